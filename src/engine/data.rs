//! Training examples: damaged windows with the events that mend them, drawn on several threads, the
//! same for the same seed and number of threads.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::corpus::{Corpus, Document, Pair};
use super::example::{Example, level};
use super::noise::{Damage, Profile};
use super::tokens::Tokens;
use crate::lang::{Dialect, Fault, Language};
use crate::state::{Event, State, align};

/// Where examples come from.
pub struct Source {
    pub language: &'static dyn Language,
    pub tokens: Tokens,
    pub profile: Profile,
    /// Corpora and how often each is drawn from, relative to the others.
    pub corpora: Vec<(Corpus, f64)>,
    /// Real pairs, and the share of examples made of them.
    pub pairs: Vec<Pair>,
    pub pairs_share: f64,
    /// Whether damage must still parse.
    pub keeps_parsing: bool,
    pub max_len: usize,
}

/// A damaged state and the way back.
pub struct Damaged {
    pub state: State,
    pub faults: Vec<Fault>,
    pub events: Vec<Event>,
}

/// Shares of examples that the judge accepts: code without damage, and code whose damage still parses.
/// They teach the network to tell a repair that reads well from one that merely parses.
const UNHARMED: f64 = 0.04;
const UNSEEN: f64 = 0.25;
/// Share of whole functions where damage must parse: what a slip is shows from the rest.
const WHOLE: f64 = 0.8;
/// Share of examples in which one kind of damage is done several times.
const REPEATED: f64 = 0.08;
/// Share of the texts with a damage of their own that get it.
const OWN: f64 = 0.6;
/// Share of examples with a path whose backslashes need a raw string.
const PATHS: f64 = 0.015;
pub const ALIGN_LIMIT: usize = 300;

impl Source {
    /// One example; `None` when the draw led nowhere, which happens often.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Option<Example> {
        let damaged =
            if rng.random_bool(self.pairs_share) { self.draw_pair(rng) } else { self.draw_damage(rng) }?;
        let damaged = if damaged.events.len() > 1 && rng.random_bool(0.25) {
            self.half_mended(damaged, rng)?
        } else {
            damaged
        };
        let damaged = if !self.keeps_parsing && rng.random_bool(0.3) { crop(damaged, rng) } else { damaged };
        if damaged.state.len() + 1 > self.max_len {
            return None;
        }
        let mut example = Example::new(&self.tokens, &damaged.state, &damaged.faults, &damaged.events);
        if rng.random_bool(0.5) {
            example.input.level = level(damaged.events.len());
        }
        Some(example)
    }

    fn judge(&self, text: &str) -> Vec<Fault> {
        self.language.faults(text, Dialect::default())
    }

    /// Cuts good lines and breaks them; what the judge still accepts counts now and then.
    pub fn draw_damage(&self, rng: &mut ChaCha8Rng) -> Option<Damaged> {
        let total: f64 = self.corpora.iter().map(|(_, weight)| weight).sum();
        let mut left = rng.random_range(0.0..total);
        let (corpus, _) = self.corpora.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        })?;
        // Log-uniform: short snippets are what people paste, and what teaches most for its length.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 27")]
        let n_lines = 2f64.powf(rng.random_range(0.0..4.8)) as usize;
        let Document { text: mut good, damage: own } = if self.keeps_parsing && rng.random_bool(WHOLE) {
            corpus.draw_block(self.language, &self.profile.function, rng)?
        } else {
            corpus.draw(self.language, n_lines, rng)?
        };
        if rng.random_bool(0.5) {
            good.truncate(good.trim_end().len());
        }
        let mut good = State::new(good, self.language.style());
        let plants = self.profile.weights.contains_key(&Damage::Unraw) && rng.random_bool(PATHS);
        let path = plants.then(|| self.profile.plant_path(&good, rng)).flatten();
        let mut habit = None;
        if let Some(path) = path {
            good = State::new(path, self.language.style());
            habit = Some(Damage::Unraw);
        } else if !self.keeps_parsing && rng.random_bool(REPEATED) {
            // Who does not know better does the same wrong in several places.
            habit = self.profile.draw_damage(rng);
        }
        if good.len() < 3 || good.len() > self.max_len * 3 / 2 {
            return None;
        }
        if rng.random_bool(UNHARMED) {
            return Some(Damaged { state: good, faults: Vec::new(), events: Vec::new() });
        }
        let mut bad = good.clone();
        let n_slips = if rng.random_bool(0.8) { 1 } else { 2 };
        let count = if self.keeps_parsing { n_slips } else { Profile::draw_count(good.len(), rng) };
        let mut own = own.filter(|_| rng.random_bool(OWN));
        for _ in 0..count + 2 * usize::from(habit.is_some()) {
            let Some(damage) = own.take().or(habit).or_else(|| self.profile.draw_damage(rng)) else {
                continue;
            };
            if let Some(text) = self.profile.damage(damage, &bad, rng) {
                bad = State::new(text, self.language.style());
            }
        }
        let faults = self.judge(&bad.text);
        let is_wanted = if faults.is_empty() {
            self.keeps_parsing || rng.random_bool(UNSEEN)
        } else {
            !self.keeps_parsing
        };
        if !is_wanted {
            return None;
        }
        let events = align(&bad, &good, ALIGN_LIMIT)?;
        (!events.is_empty()).then_some(Damaged { state: bad, faults, events })
    }

    fn draw_pair(&self, rng: &mut ChaCha8Rng) -> Option<Damaged> {
        let pair = &self.pairs[rng.random_range(0..self.pairs.len())];
        let fixed = pair.fixed_min.as_ref().unwrap_or(&pair.fixed);
        let bad = State::new(pair.broken.clone(), self.language.style());
        let good = State::new(fixed.clone(), self.language.style());
        let faults = self.judge(&bad.text);
        let events = align(&bad, &good, ALIGN_LIMIT)?;
        let few = events.len() <= 8.max(bad.len() / 6);
        (few && !faults.is_empty() && !events.is_empty()).then_some(Damaged { state: bad, faults, events })
    }

    /// A state on the way back, as the reverse process meets it: some of the events already applied.
    fn half_mended(&self, damaged: Damaged, rng: &mut ChaCha8Rng) -> Option<Damaged> {
        let mut good = damaged.state.apply(&damaged.events);
        let n = rng.random_range(1..damaged.events.len());
        let mut events = damaged.events;
        events.shuffle(rng);
        events.truncate(n);
        let state = State::new(damaged.state.apply(&events), self.language.style());
        let faults = self.judge(&state.text);
        let good = State::new(std::mem::take(&mut good), self.language.style());
        let events = align(&state, &good, ALIGN_LIMIT)?;
        (!events.is_empty()).then_some(Damaged { state, faults, events })
    }
}

/// Cuts whole lines around the damage and the first fault, as a window is cut from a file.
fn crop(damaged: Damaged, rng: &mut ChaCha8Rng) -> Damaged {
    let state = &damaged.state;
    let fault = damaged.faults.first().map(|fault| state.at_byte(fault.span.start));
    let touched = damaged.events.iter().map(Event::at).chain(fault);
    let (low, high) = touched.fold((usize::MAX, 0), |(low, high), at| (low.min(at), high.max(at)));
    if low > high {
        return damaged;
    }
    let newline = |idx: &usize| state.raw(*idx).starts_with(['\n', '\r']) || *idx == 0;
    let fronts: Vec<usize> = (0..low.max(1)).filter(newline).collect();
    let front = fronts[rng.random_range(0..fronts.len())];
    let backs: Vec<usize> = (high + 1..state.len()).filter(newline).collect();
    let back = backs.get(rng.random_range(0..=backs.len())).copied();
    let start = if front == 0 {
        0
    } else {
        state.lexemes[front].span.end - state.raw(front).trim_start_matches(['\r', '\n']).len()
    };
    let end = back.map_or(state.text.len(), |back| state.lexemes[back].span.start);
    let part = State::new(state.text[start..end].to_owned(), state.style());
    // Line ends are told from the margin, which can change with the cut.
    let whole = (front..state.len()).zip(0..part.len());
    let shift = whole.skip(1).find_map(|(old, new)| {
        let (old, new) = (state.lexeme(old), part.lexeme(new));
        (old.starts_with('\n') && old.len() > 1 && new.starts_with('\n'))
            .then(|| old.len() - new.len().min(old.len()))
    });
    let margin = " ".repeat(shift.unwrap_or(0));
    let mut events = Vec::new();
    for event in &damaged.events {
        let mut event = event.clone();
        match &mut event {
            Event::Insert { at, text } | Event::Substitute { at, text } => {
                *at -= front;
                if let Some(indent) = text.strip_prefix('\n').filter(|_| !margin.is_empty()) {
                    let Some(rest) = indent.strip_prefix(margin.as_str()) else { return damaged };
                    *text = format!("\n{rest}");
                }
            }
            Event::Delete { at } => *at -= front,
        }
        events.push(event);
    }
    let inside = damaged.faults.iter().filter(|fault| fault.span.start >= start && fault.span.start <= end);
    let faults = inside
        .map(|fault| Fault {
            span: fault.span.start - start..fault.span.end.max(start).min(end) - start,
            ..fault.clone()
        })
        .collect();
    Damaged { state: part, faults, events }
}

/// Examples in chunks, from as many threads as `n_workers`; chunk `first_chunk` is the first sent.
pub fn stream(
    source: &Arc<Source>,
    seed: u64,
    n_workers: usize,
    first_chunk: u64,
) -> Vec<Receiver<Vec<Example>>> {
    let worker = |worker: usize| {
        let (sender, receiver): (SyncSender<Vec<Example>>, _) = sync_channel(16);
        let source = Arc::clone(source);
        std::thread::spawn(move || {
            for chunk in first_chunk.. {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(((worker as u64) << 40) | chunk);
                let examples = (0..CHUNK * 4).filter_map(|_| source.draw(&mut rng)).take(CHUNK).collect();
                if sender.send(examples).is_err() {
                    return;
                }
            }
        });
        receiver
    };
    (0..n_workers).map(worker).collect()
}

pub const CHUNK: usize = 64;

/// Groups examples of like length: every batch has about `n_lexemes` places, padding included.
pub fn batches(mut pool: Vec<Example>, n_lexemes: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<Example>> {
    pool.sort_by_key(|example| example.input.len());
    let mut batches: Vec<Vec<Example>> = Vec::new();
    for example in pool.into_iter().rev() {
        let longest = batches.last().map_or(usize::MAX, |batch| pad_to(batch[0].input.len()));
        match batches.last_mut() {
            Some(batch) if longest * (batch.len() + 1) <= n_lexemes => batch.push(example),
            _ => batches.push(vec![example]),
        }
    }
    batches.shuffle(rng);
    batches
}

/// Lengths are padded to a multiple that attention kernels like.
pub fn pad_to(len: usize) -> usize {
    len.next_multiple_of(16)
}

#[cfg(test)]
mod tests {
    use super::super::tokens::Sizes;
    use super::*;
    use crate::lang::python::Python;

    const GOOD: &str = "import os\n\n\ndef load(path, mode='r'):\n    \"\"\"Read it.\"\"\"\n    with open(path, mode) as f:\n        \
                        data = [int(x) for x in f.read().split(',') if x]\n    # sum them\n    if not data:\n        \
                        raise ValueError(\"no data\")\n    return {'n': len(data), 'sum': sum(data)}\n\n\nprint(load('a.txt'))\n";

    fn source() -> Source {
        source_of(GOOD)
    }

    fn source_of(good: &str) -> Source {
        let profile = toml::from_str(include_str!("../../models/python/noise.toml")).expect("valid");
        let state = State::new(GOOD.to_owned(), Python.style());
        let lexemes: Vec<String> = (0..state.len()).map(|idx| state.lexeme(idx).into_owned()).collect();
        let sizes = Sizes { emit: 200, pieces: 120 };
        Source {
            language: &Python,
            tokens: Tokens::train(std::iter::once(lexemes.as_slice()), &[], sizes).expect("trains"),
            profile,
            corpora: vec![(Corpus::new(vec![Document { text: good.to_owned(), damage: None }]), 1.0)],
            pairs: Vec::new(),
            pairs_share: 0.0,
            keeps_parsing: false,
            max_len: 256,
        }
    }

    /// What the model sees of a text.
    fn seen(text: String) -> Vec<String> {
        let state = State::new(text, Python.style());
        (0..state.len()).map(|idx| state.lexeme(idx).into_owned()).collect()
    }

    #[test]
    fn events_lead_back_to_good_code() {
        let source = source();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut n, mut n_accepted) = (0, 0);
        while n < 300 {
            let Some(damaged) = source.draw_damage(&mut rng) else { continue };
            n += 1;
            n_accepted += u32::from(source.judge(&damaged.state.apply(&damaged.events)).is_empty());
        }
        // Blanks that matter can get lost where words of a comment or a string were cut.
        assert!(n_accepted >= 285, "{n_accepted} of 300");
    }

    #[test]
    fn cropped_damage_is_mended_by_the_same_edits() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for (n, line_end) in (0..300).zip(["\n", "\r\n", "\r"].iter().cycle()) {
            let source = source_of(&GOOD.replace('\n', line_end));
            let damaged = std::iter::repeat_with(|| source.draw_damage(&mut rng)).flatten().next();
            let damaged = damaged.unwrap_or_else(|| panic!("no damage in draw {n}"));
            let whole = seen(damaged.state.apply(&damaged.events)).concat();
            let part = crop(damaged, &mut rng);
            let mended = seen(part.state.apply(&part.events)).concat();
            let bare = |text: &str| text.replace([' ', '\n'], "");
            assert!(bare(&whole).contains(&bare(&mended)), "{mended}\n---\n{whole}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_examples() {
        let source = Arc::new(source());
        let draw = || {
            let receivers = stream(&source, 7, 2, 3);
            let chunks = receivers.iter().map(|receiver| receiver.recv().expect("a chunk"));
            chunks.flatten().map(|example| (example.input.pieces, example.ops)).collect::<Vec<_>>()
        };
        let first = draw();
        assert!(first.len() > 20);
        assert!(first == draw());
    }

    #[test]
    fn batches_hold_every_example_once_and_stay_small() {
        let source = source();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let pool: Vec<Example> = (0..300).filter_map(|_| source.draw(&mut rng)).collect();
        let n = pool.len();
        let batches = batches(pool, 1024, &mut rng);
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), n);
        for batch in batches {
            let longest = batch.iter().map(|example| example.input.len()).max().expect("not empty");
            assert!(batch.len() == 1 || batch.len() * pad_to(longest) <= 1024);
        }
    }
}
