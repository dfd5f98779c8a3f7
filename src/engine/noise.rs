//! The forward process: damages good code the way people do.
//!
//! Damage is done to lexemes and joined back to text, because a person breaks text. Most of the time
//! one to three things go wrong; the tail reaches an eighth of the lexemes, which is what lets the
//! reverse process mend several faults and generate code (`DiffusER`, arXiv 2210.16886).

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::habits::Habit;
use crate::lexeme::{Bracket, Hint, Kind, Zone};
use crate::state::{Event, State};

/// What goes wrong in one language and how often: `models/<language>/noise.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// How often each kind of damage is tried, relative to the others.
    pub weights: BTreeMap<Damage, f64>,
    /// Words that carry the structure: dropped, misspelt, capitalised.
    pub keywords: Vec<String>,
    /// Lexeme to what people write instead of it.
    pub confusions: BTreeMap<String, Vec<String>>,
    /// Marks that get lost, doubled or strewn in.
    pub marks: Vec<String>,
    /// Text that is pasted before a line.
    pub prompts: Vec<String>,
    /// Lexemes that turn up where nobody wants them.
    pub strays: Vec<String>,
    /// Calls whose brackets people leave out.
    pub bare_calls: Vec<String>,
    /// What a typed quote turns into in a word processor.
    pub smart_quotes: Vec<(String, String)>,
    /// What is put before names or inside them.
    pub sigils: Vec<String>,
    /// Learned from real pairs.
    #[serde(skip)]
    pub habits: Vec<Habit>,
}

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    DropBracket,
    ExtraBracket,
    SwapBracket,
    MoveBracket,
    DropPair,
    DropQuote,
    SwapQuote,
    ExtraQuote,
    Unquote,
    NestQuote,
    SmartQuote,
    DropMark,
    ConfuseMark,
    ExtraMark,
    DropKeyword,
    ConfuseWord,
    Typo,
    Recase,
    SplitWord,
    JoinWords,
    IndentLine,
    IndentBlock,
    JoinLines,
    SplitLine,
    DropLine,
    Prompt,
    BareCall,
    DropSpan,
    Uncomment,
    Braces,
    NameIsKeyword,
    Sigil,
    Truncate,
    Stray,
    Delete,
    Insert,
    Substitute,
    Swap,
    Double,
    /// What a person did in a real pair.
    Habit,
}

/// Things damage borrows from: a state, its hints and the random numbers.
struct Site<'s> {
    state: &'s State,
    hints: Vec<Hint>,
    profile: &'s Profile,
    rng: &'s mut ChaCha8Rng,
}

impl Profile {
    /// Draws how many things go wrong in a text of `n` lexemes.
    pub fn draw_count(n: usize, rng: &mut ChaCha8Rng) -> usize {
        let tail = (n / 8).clamp(1, 24);
        match rng.random_range(0..100) {
            0..58 => 1,
            58..80 => 2,
            80..90 => 3,
            90..96 => rng.random_range(2..=6).min(tail.max(3)),
            _ => rng.random_range(1..=tail),
        }
    }

    /// Damages `state` once. `None` when the kind of damage that was drawn finds no place.
    pub fn damage(&self, state: &State, rng: &mut ChaCha8Rng) -> Option<(Damage, String)> {
        let total: f64 = self.weights.values().sum();
        let mut left = rng.random_range(0.0..total);
        let damage = self.weights.iter().find(|(_, weight)| {
            left -= **weight;
            left < 0.0
        })?;
        let mut site = Site { state, hints: state.hints(), profile: self, rng };
        let events = site.events(*damage.0)?;
        let text = state.apply(&events);
        (text != state.text).then_some((*damage.0, text))
    }
}

impl Site<'_> {
    #[expect(clippy::too_many_lines, reason = "a flat table")]
    fn events(&mut self, damage: Damage) -> Option<Vec<Event>> {
        match damage {
            Damage::DropBracket => {
                let closes = self.rng.random_bool(0.65);
                let at = self.pick(|s, i| {
                    s.is_code(i) && if closes { is_close(s.raw(i)) } else { is_open(s.raw(i)) }
                })?;
                Some(vec![Event::Delete { at }])
            }
            Damage::ExtraBracket => {
                let at = self.pick(|s, i| {
                    s.is_code(i) && (is_close(s.raw(i)) || is_open(s.raw(i)) || s.ends_line(i))
                })?;
                let text = if is_bracket(self.state.raw(at)) && self.rng.random_bool(0.7) {
                    self.state.raw(at).to_owned()
                } else {
                    self.choose(&[")", ")", ")", "]", "}", "(", "[", "{"])
                };
                Some(vec![Event::Insert { at: at + usize::from(self.rng.random_bool(0.5)), text }])
            }
            Damage::SwapBracket => {
                let at = self.pick(|s, i| s.is_code(i) && is_bracket(s.raw(i)))?;
                let others: &[&str] =
                    if is_open(self.state.raw(at)) { &["(", "[", "{"] } else { &[")", "]", "}"] };
                let text = self.choose(others);
                let mut events = vec![Event::Substitute { at, text }];
                if self.rng.random_bool(0.15)
                    && let Some(partner) = self.partner(at)
                {
                    let other = if is_open(self.state.raw(partner)) { "(" } else { ")" };
                    events.push(Event::Substitute { at: partner, text: other.to_owned() });
                }
                Some(events)
            }
            Damage::MoveBracket => {
                let at = self.pick(|s, i| s.is_code(i) && is_close(s.raw(i)))?;
                let line = self.line_of(at);
                let to = self.rng.random_range(line.start + 1..=line.end);
                Some(vec![
                    Event::Delete { at },
                    Event::Insert { at: to, text: self.state.raw(at).to_owned() },
                ])
            }
            Damage::DropPair => {
                let at = self.pick(|s, i| s.is_code(i) && is_open(s.raw(i)))?;
                let partner = self.partner(at)?;
                let mut events = vec![Event::Delete { at }, Event::Delete { at: partner }];
                if partner == at + 1 && self.rng.random_bool(0.2) {
                    events.truncate(1);
                }
                Some(events)
            }
            Damage::DropQuote => {
                let at = self.pick(Self::is_quote)?;
                Some(vec![Event::Delete { at }])
            }
            Damage::SwapQuote => {
                let at = self.pick(Self::is_quote)?;
                let text = match self.state.raw(at) {
                    "'" => self.choose(&["\"", "\"", "`", "'''"]),
                    "\"" => self.choose(&["'", "'", "`", "\"\"\""]),
                    "\"\"\"" => self.choose(&["'''", "\"", "\""]),
                    _ => self.choose(&["\"\"\"", "'", "'"]),
                };
                Some(vec![Event::Substitute { at, text }])
            }
            Damage::ExtraQuote => {
                let near = self.pick(|s, i| s.is_quote(i) || s.ends_line(i))?;
                let text = if self.is_quote(near) {
                    self.state.raw(near).to_owned()
                } else {
                    self.choose(&["'", "\""])
                };
                Some(vec![Event::Insert { at: near + usize::from(self.rng.random_bool(0.6)), text }])
            }
            Damage::Unquote => {
                let at = self.pick(Self::is_quote)?;
                let end = self.closing_quote(at)?;
                Some(vec![Event::Delete { at }, Event::Delete { at: end }])
            }
            Damage::NestQuote => self.nest_quote(),
            Damage::SmartQuote => {
                let at = self.pick(|s, i| s.is_quote(i) && s.raw(i).len() == 1)?;
                let end = self.closing_quote(at)?;
                let (open, close) = self.profile.smart_quotes.choose(self.rng)?.clone();
                let mut events =
                    vec![Event::Substitute { at, text: open }, Event::Substitute { at: end, text: close }];
                if self.rng.random_bool(0.15) {
                    events.remove(usize::from(self.rng.random_bool(0.5)));
                }
                Some(events)
            }
            Damage::DropMark => {
                let at = self.pick(|s, i| s.is_code(i) && s.is_profile_mark(i))?;
                Some(vec![Event::Delete { at }])
            }
            Damage::ConfuseMark => {
                let at = self.pick(|s, i| {
                    s.is_code(i) && s.kind(i) == Kind::Mark && s.profile.confusions.contains_key(s.raw(i))
                })?;
                self.confuse(at)
            }
            Damage::ExtraMark => {
                let text = self.profile.marks.choose(self.rng)?.clone();
                let at = if self.rng.random_bool(0.4) {
                    let end = self.pick(Self::ends_line)?;
                    end + usize::from(self.rng.random_bool(0.75))
                } else if self.rng.random_ratio(2, 5) {
                    let same = self.pick(|s, i| s.is_code(i) && s.is_profile_mark(i))?;
                    return Some(vec![Event::Insert { at: same, text: self.state.raw(same).to_owned() }]);
                } else {
                    self.pick(Self::is_code)?
                };
                Some(vec![Event::Insert { at, text }])
            }
            Damage::DropKeyword => {
                let at = self.pick(|s, i| s.is_code(i) && s.is_keyword(i))?;
                Some(vec![Event::Delete { at }])
            }
            Damage::ConfuseWord => {
                let at = self.pick(|s, i| {
                    s.is_code(i) && s.kind(i) == Kind::Word && s.profile.confusions.contains_key(s.raw(i))
                })?;
                self.confuse(at)
            }
            Damage::Typo => {
                let keyword = self.rng.random_bool(0.85);
                let at = self
                    .pick(|s, i| s.is_code(i) && s.kind(i) == Kind::Word && (s.is_keyword(i) || !keyword))?;
                let text = typo(self.state.raw(at), self.rng)?;
                Some(vec![Event::Substitute { at, text }])
            }
            Damage::Recase => {
                let at = self.pick(|s, i| s.is_code(i) && s.is_keyword(i))?;
                let raw = self.state.raw(at);
                let mut chars = raw.chars();
                let first = chars.next()?;
                let text = if self.rng.random_bool(0.15) {
                    raw.to_uppercase()
                } else if first.is_uppercase() {
                    raw.to_lowercase()
                } else {
                    first.to_uppercase().chain(chars).collect()
                };
                Some(vec![Event::Substitute { at, text }])
            }
            Damage::SplitWord => self.split_word(),
            Damage::JoinWords => {
                let at = self.pick(|s, i| {
                    i > 1 && s.is_code(i) && s.kind(i) == Kind::Word && s.kind(i - 1) == Kind::Word
                })?;
                let text = format!("{}{}", self.state.raw(at - 1), self.state.raw(at));
                Some(vec![Event::Substitute { at: at - 1, text }, Event::Delete { at }])
            }
            Damage::IndentLine | Damage::IndentBlock => self.indent(damage == Damage::IndentBlock),
            Damage::JoinLines => {
                let at =
                    self.pick(|s, i| i > 0 && s.kind(i) == Kind::Newline && s.hints[i].zone != Zone::Text)?;
                Some(vec![Event::Delete { at }])
            }
            Damage::SplitLine => {
                let at = self
                    .pick(|s, i| i > 1 && s.hints[i].zone != Zone::Comment && s.kind(i) != Kind::Newline)?;
                let indent = self.indent_of(at);
                let deeper = if self.rng.random_bool(0.4) { "    " } else { "" };
                let text =
                    if self.rng.random_bool(0.3) { "\n".to_owned() } else { format!("{indent}{deeper}") };
                Some(vec![Event::Insert { at, text }])
            }
            Damage::DropLine => {
                let at = self.pick(|s, i| s.kind(i) == Kind::Newline)?;
                let line = self.line_of((at + 1).min(self.state.len() - 1));
                if line.end - line.start > 14 {
                    return None;
                }
                Some((line.start.max(1)..line.end).map(|at| Event::Delete { at }).collect())
            }
            Damage::Prompt => self.prompt(),
            Damage::BareCall => self.bare_call(),
            Damage::DropSpan => {
                let at = self.pick(|s, i| i > 0 && s.is_code(i))?;
                let end = (at + self.rng.random_range(2..=4)).min(self.line_of(at).end);
                Some((at..end).map(|at| Event::Delete { at }).collect())
            }
            Damage::Uncomment => {
                let at = self.pick(|s, i| s.hints[i].zone == Zone::Comment && s.raw(i).starts_with('#'))?;
                let mut events = vec![Event::Delete { at }];
                if self.rng.random_bool(0.1) {
                    events = vec![Event::Substitute { at, text: "//".to_owned() }];
                }
                Some(events)
            }
            Damage::Braces => self.braces(),
            Damage::NameIsKeyword => {
                let at = self.pick(|s, i| s.is_code(i) && s.kind(i) == Kind::Word && !s.is_keyword(i))?;
                let text = self.profile.keywords.choose(self.rng)?.clone();
                let name = self.state.raw(at).to_owned();
                let everywhere = self.rng.random_bool(0.5);
                let places =
                    (1..self.state.len()).filter(|i| *i == at || (everywhere && self.state.raw(*i) == name));
                Some(places.map(|at| Event::Substitute { at, text: text.clone() }).take(6).collect())
            }
            Damage::Sigil => {
                let at = self.pick(|s, i| s.is_code(i) && s.kind(i) == Kind::Word && !s.is_keyword(i))?;
                let sigil = self.profile.sigils.choose(self.rng)?.clone();
                if self.rng.random_bool(0.5) {
                    return Some(vec![Event::Insert { at, text: sigil }]);
                }
                let raw = self.state.raw(at);
                let text = match raw.find('_').filter(|cut| *cut > 0) {
                    Some(cut) => {
                        format!("{}{}{}", &raw[..cut], self.choose(&["-", " ", ".", "-"]), &raw[cut + 1..])
                    }
                    None if self.rng.random_bool(0.5) => format!("{}{raw}", self.rng.random_range(1..9)),
                    None => format!("{raw}{sigil}"),
                };
                Some(vec![Event::Substitute { at, text }])
            }
            Damage::Truncate => {
                let n = self.state.len();
                let cut = n - self.rng.random_range(1..=(n / 3).clamp(1, 6));
                Some((cut.max(1)..n).map(|at| Event::Delete { at }).collect())
            }
            Damage::Stray => {
                let text = self.profile.strays.choose(self.rng)?.clone();
                let at = self.pick(|s, i| i > 0 && s.is_code(i))?;
                Some(vec![Event::Insert { at, text }])
            }
            Damage::Delete => Some(vec![Event::Delete { at: self.anywhere()? }]),
            Damage::Insert => {
                let text = self.some_lexeme()?;
                Some(vec![Event::Insert { at: self.anywhere()?, text }])
            }
            Damage::Substitute => {
                let text = self.some_lexeme()?;
                Some(vec![Event::Substitute { at: self.anywhere()?, text }])
            }
            Damage::Habit => (0..HABIT_TRIES).find_map(|_| {
                let habit = self.profile.habits.choose(self.rng)?;
                habit.apply(self.state, &self.hints, &self.profile.keywords, self.rng)
            }),
            Damage::Swap => {
                let at = self.anywhere().filter(|at| at + 1 < self.state.len())?;
                let (here, next) =
                    (self.state.lexeme(at).into_owned(), self.state.lexeme(at + 1).into_owned());
                Some(vec![Event::Substitute { at, text: next }, Event::Substitute { at: at + 1, text: here }])
            }
            Damage::Double => {
                let at = self.anywhere()?;
                let end = (at + if self.rng.random_bool(0.75) { 1 } else { self.rng.random_range(2..=4) })
                    .min(self.state.len());
                Some(
                    (at..end)
                        .map(|i| Event::Insert { at: end, text: self.state.lexeme(i).into_owned() })
                        .collect(),
                )
            }
        }
    }

    fn raw(&self, idx: usize) -> &str {
        self.state.raw(idx)
    }

    fn kind(&self, idx: usize) -> Kind {
        self.state.lexemes[idx].kind
    }

    fn is_code(&self, idx: usize) -> bool {
        idx > 0 && self.hints[idx].zone == Zone::Code && self.kind(idx) != Kind::Newline
    }

    fn is_quote(&self, idx: usize) -> bool {
        self.kind(idx) == Kind::Quote && self.hints[idx].zone != Zone::Comment
    }

    fn is_keyword(&self, idx: usize) -> bool {
        self.kind(idx) == Kind::Word && self.profile.keywords.iter().any(|keyword| keyword == self.raw(idx))
    }

    fn is_profile_mark(&self, idx: usize) -> bool {
        self.profile.marks.iter().any(|mark| mark == self.raw(idx))
    }

    /// The last lexeme with text on its line.
    fn ends_line(&self, idx: usize) -> bool {
        idx > 0
            && self.kind(idx) != Kind::Newline
            && self.hints[idx].zone != Zone::Comment
            && self.state.lexemes.get(idx + 1).is_none_or(|next| next.kind == Kind::Newline)
    }

    fn pick(&mut self, fits: impl Fn(&Self, usize) -> bool) -> Option<usize> {
        let places: Vec<usize> = (0..self.state.len()).filter(|idx| fits(self, *idx)).collect();
        places.choose(self.rng).copied()
    }

    /// Any lexeme but the first; code is likelier than strings and comments.
    fn anywhere(&mut self) -> Option<usize> {
        let code = self.rng.random_bool(0.85);
        self.pick(|s, i| i > 0 && (!code || s.hints[i].zone == Zone::Code))
    }

    fn choose(&mut self, options: &[&str]) -> String {
        (*options.choose(self.rng).expect("options are not empty")).to_owned()
    }

    fn some_lexeme(&mut self) -> Option<String> {
        match self.rng.random_range(0..10) {
            0..4 => Some(self.profile.marks.choose(self.rng)?.clone()),
            4..6 => Some(self.profile.keywords.choose(self.rng)?.clone()),
            _ => {
                let idx = self.rng.random_range(1..self.state.len().max(2));
                (idx < self.state.len()).then(|| self.state.lexeme(idx).into_owned())
            }
        }
    }

    /// From the line end that opens the line of `idx` to the one that closes it.
    fn line_of(&self, idx: usize) -> std::ops::Range<usize> {
        let start = (0..=idx).rev().find(|i| self.kind(*i) == Kind::Newline).unwrap_or(0);
        let end = (start + 1..self.state.len())
            .find(|i| self.kind(*i) == Kind::Newline)
            .unwrap_or(self.state.len());
        start..end
    }

    fn indent_of(&self, idx: usize) -> String {
        format!("\n{}", self.state.lexeme(self.line_of(idx).start).trim_start_matches('\n'))
    }

    fn partner(&self, at: usize) -> Option<usize> {
        if self.hints[at].bracket != Bracket::Matched {
            return None;
        }
        let opens = is_open(self.raw(at));
        let mut depth = 0usize;
        let mut idx = at;
        loop {
            if self.is_code(idx) && is_bracket(self.raw(idx)) {
                if is_open(self.raw(idx)) == opens {
                    depth += 1;
                } else {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(idx);
                    }
                }
            }
            idx = if opens { idx + 1 } else { idx.checked_sub(1)? };
            if idx >= self.state.len() {
                return None;
            }
        }
    }

    fn closing_quote(&self, at: usize) -> Option<usize> {
        // A quote mark opens a string when what stands before it is not inside one.
        let inside = at > 0 && self.hints[at - 1].zone == Zone::Text && !self.is_quote(at - 1);
        if inside {
            return None;
        }
        (at + 1..self.state.len())
            .take(60)
            .find(|i| self.kind(*i) == Kind::Quote && self.raw(*i) == self.raw(at))
    }

    fn confuse(&mut self, at: usize) -> Option<Vec<Event>> {
        let text = self.profile.confusions.get(self.state.raw(at))?.choose(self.rng)?.clone();
        Some(if text.is_empty() { vec![Event::Delete { at }] } else { vec![Event::Substitute { at, text }] })
    }

    fn nest_quote(&mut self) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| s.is_quote(i) && s.raw(i).len() == 1)?;
        let end = self.closing_quote(at)?;
        let quote = self.state.raw(at).to_owned();
        let inner: Vec<usize> = (at + 1..end).collect();
        let escaped = format!("\\{quote}");
        let other = if quote == "'" { "\"" } else { "'" };
        let marks: Vec<usize> =
            inner.iter().copied().filter(|i| self.raw(*i) == escaped || self.raw(*i) == other).collect();
        if !marks.is_empty() {
            return Some(marks.into_iter().map(|at| Event::Substitute { at, text: quote.clone() }).collect());
        }
        let words: Vec<usize> = inner.into_iter().filter(|i| self.kind(*i) == Kind::Word).collect();
        let word = *words.choose(self.rng)?;
        Some(vec![
            Event::Insert { at: word, text: quote.clone() },
            Event::Insert { at: word + 1, text: quote },
        ])
    }

    fn split_word(&mut self) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| s.is_code(i) && s.kind(i) == Kind::Word && s.raw(i).chars().count() > 3)?;
        let raw = self.state.raw(at);
        let humps: Vec<usize> = raw
            .char_indices()
            .zip(raw.chars().skip(1))
            .filter(|((_, a), b)| *a == '_' || (a.is_lowercase() && b.is_uppercase()))
            .map(|((at, a), _)| at + a.len_utf8())
            .collect();
        let cut = match humps.choose(self.rng) {
            Some(cut) => *cut,
            None => {
                raw.char_indices().map(|(at, _)| at).skip(1).collect::<Vec<_>>().choose(self.rng).copied()?
            }
        };
        let (head, tail) = raw.split_at(cut);
        let head = if self.rng.random_bool(0.6) { head.trim_end_matches('_') } else { head };
        if head.is_empty() {
            return None;
        }
        Some(vec![Event::Substitute { at, text: format!("{head} {tail}") }])
    }

    fn indent(&mut self, block: bool) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| {
            s.kind(i) == Kind::Newline && s.state.lexemes.get(i + 1).is_some_and(|l| l.kind != Kind::Newline)
        })?;
        let old = self.state.lexeme(at).trim_start_matches('\n').to_owned();
        let new = match self.rng.random_range(0..10) {
            0 => format!("{old} "),
            1 => old.strip_suffix(' ').unwrap_or(" ").to_owned(),
            2..5 => format!("{old}    "),
            5..7 => old.strip_suffix("    ").map(str::to_owned)?,
            7 => old.replace("    ", "\t"),
            8 => format!("{old}  "),
            _ => String::new(),
        };
        let mut events = vec![Event::Substitute { at, text: format!("\n{new}") }];
        if block {
            let to = self.rng.random_range(2..=6);
            let later: Vec<usize> = (at + 1..self.state.len())
                .filter(|i| {
                    self.kind(*i) == Kind::Newline
                        && self.state.lexemes.get(i + 1).is_some_and(|l| l.kind != Kind::Newline)
                })
                .take(to)
                .collect();
            for i in later {
                let here = self.state.lexeme(i).trim_start_matches('\n').to_owned();
                let Some(rest) = here.strip_prefix(&old) else { break };
                events.push(Event::Substitute { at: i, text: format!("\n{new}{rest}") });
            }
        }
        Some(events)
    }

    fn prompt(&mut self) -> Option<Vec<Event>> {
        let prompt = self.profile.prompts.choose(self.rng)?.clone();
        let all = self.rng.random_bool(0.35);
        let at = self.pick(|s, i| {
            s.kind(i) == Kind::Newline && s.state.lexemes.get(i + 1).is_some_and(|l| l.kind != Kind::Newline)
        })?;
        let lines = (0..self.state.len())
            .filter(|i| self.kind(*i) == Kind::Newline && (*i == at || all))
            .filter(|i| self.state.lexemes.get(i + 1).is_some_and(|l| l.kind != Kind::Newline));
        Some(lines.map(|i| Event::Insert { at: i + 1, text: prompt.clone() }).take(8).collect())
    }

    fn bare_call(&mut self) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| {
            s.is_code(i)
                && s.profile.bare_calls.iter().any(|call| call == s.raw(i))
                && i + 1 < s.state.len()
                && s.raw(i + 1) == "("
        })?;
        let mut events = Vec::new();
        let everywhere = self.rng.random_bool(0.5);
        for i in 1..self.state.len() - 1 {
            let same = i == at
                || (everywhere && self.raw(i) == self.raw(at) && self.is_code(i) && self.raw(i + 1) == "(");
            if same && let Some(end) = self.partner(i + 1) {
                events.extend([Event::Delete { at: i + 1 }, Event::Delete { at: end }]);
            }
        }
        if events.len() == 2 && self.rng.random_bool(0.05) {
            events.pop();
        }
        (events.len() <= 24).then_some(events)
    }

    fn braces(&mut self) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| s.is_code(i) && s.raw(i) == ":" && s.ends_line(i))?;
        let head = self.rng.random_range(0..3);
        let open = if head == 0 {
            Event::Insert { at: at + 1, text: "{".to_owned() }
        } else {
            Event::Substitute { at, text: " {".to_owned() }
        };
        let mut events = vec![open];
        if self.rng.random_bool(0.7) {
            let own = self.state.lexeme(self.line_of(at).start).len();
            let mut end = self.line_of(at).end;
            while end < self.state.len()
                && (self.state.lexeme(end).len() > own || self.line_of(end).end == end + 1)
            {
                end = self.line_of(end).end;
            }
            let text = format!("{}}}", self.indent_of(at));
            events.push(Event::Insert { at: end, text });
        }
        Some(events)
    }
}

/// Habits looked at before giving up on finding one that fits.
const HABIT_TRIES: usize = 12;

fn is_open(raw: &str) -> bool {
    matches!(raw, "(" | "[" | "{")
}

fn is_close(raw: &str) -> bool {
    matches!(raw, ")" | "]" | "}")
}

fn is_bracket(raw: &str) -> bool {
    is_open(raw) || is_close(raw)
}

/// Drops, doubles, swaps or changes one letter.
pub(super) fn typo(word: &str, rng: &mut ChaCha8Rng) -> Option<String> {
    let mut chars: Vec<char> = word.chars().collect();
    if chars.len() < 2 {
        return None;
    }
    let at = rng.random_range(0..chars.len());
    match rng.random_range(0..10) {
        0..3 => {
            chars.remove(at);
        }
        3..5 => chars.insert(at, chars[at]),
        5..8 => chars.swap(at.max(1) - 1, at.max(1)),
        8 => chars[at] = rng.random_range(b'a'..=b'z').into(),
        _ => chars.insert(at, rng.random_range(b'a'..=b'z').into()),
    }
    Some(chars.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;
    use crate::lang::{Language, python::Python};

    fn profile() -> Profile {
        toml::from_str(include_str!("../../models/python/noise.toml")).expect("valid")
    }

    #[track_caller]
    fn check(damage: Damage, before: &str, after: &str) {
        let profile = profile();
        let state = State::new(before.to_owned(), Python.style());
        let found = (0..2000).any(|seed| {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let mut site = Site { state: &state, hints: state.hints(), profile: &profile, rng };
            site.events(damage).is_some_and(|events| state.apply(&events) == after)
        });
        assert!(found, "{damage:?} never turns {before:?} into {after:?}");
    }

    #[test]
    fn damage_looks_like_what_people_do() {
        check(Damage::DropBracket, "f(g(1))\n", "f(g(1)\n");
        check(Damage::BareCall, "print('a')\n", "print 'a'\n");
        check(Damage::ConfuseWord, "elif x:\n", "else if x:\n");
        check(Damage::ConfuseMark, "if a == 1:\n", "if a = 1:\n");
        check(Damage::DropMark, "for x in y:\n", "for x in y\n");
        check(Damage::DropQuote, "a = 'b'\n", "a = 'b\n");
        check(Damage::Unquote, "open('a.txt')\n", "open(a.txt)\n");
        check(Damage::JoinWords, "for x in y:\n", "for xin y:\n");
        check(Damage::Uncomment, "# note\n", "note\n");
        check(Damage::Prompt, "x = 1\n", ">>> x = 1\n");
        check(Damage::JoinLines, "a\nb\n", "a b\n");
    }

    proptest! {
        #[test]
        fn any_text_survives_damage(text in "[a-z0-9 \\t\\r\\n'\"()\\[\\]{}:=+#\\\\é“]{0,60}", seed: u64) {
            let profile = profile();
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let mut state = State::new(text, Python.style());
            for _ in 0..20 {
                if let Some((_, text)) = profile.damage(&state, rng) {
                    state = State::new(text, Python.style());
                }
            }
        }

        #[test]
        fn more_lexemes_allow_more_damage(n in 1usize..400, seed: u64) {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let count = Profile::draw_count(n, rng);
            prop_assert!(count >= 1 && count <= (n / 8).clamp(3, 24));
        }
    }
}
