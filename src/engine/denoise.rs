//! The reverse process: from a broken state back to a good one.
//!
//! Two readings of the same network. *Search* follows the likeliest edits best-first and collects what
//! the judge accepts; a step may take one edit, two, or all that the network is sure of (tau-leaping,
//! arXiv 2407.15595, with the leap chosen greedily). *Sampling* adds a little noise and runs the chain
//! back at several noise levels; answers are pooled by votes, as "Diffusion is a code repair operator
//! and generator" (arXiv 2508.11110) does.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::data::ALIGN_LIMIT;
use super::example::{Input, level};
use super::model::Net;
use super::noise::Profile;
use super::tokens::Tokens;
use super::train::collate;
use crate::lang::{Dialect, Fault, Language};
use crate::lexeme;
use crate::protocol::{Aim, Proposal, Request, Step};
use crate::state::{Event, State, align};

/// One language, ready to repair.
pub struct Denoiser {
    pub language: &'static dyn Language,
    pub net: Net,
    pub tokens: Tokens,
    pub profile: Profile,
    pub limits: SearchLimits,
    pub aim: Aim,
}

/// How far the search goes.
#[derive(Clone, Copy, Debug)]
pub struct SearchLimits {
    /// States the network reads at once.
    pub batch: usize,
    /// Batches at most.
    pub n_batches: usize,
    /// Edits of a state that are tried alone.
    pub n_single: usize,
    /// Edits of a state that are tried in pairs.
    pub n_paired: usize,
    /// Places to write in a state.
    pub n_sites: usize,
    /// Chains that are sampled when the search finds nothing.
    pub n_chains: usize,
    /// How far behind the best answer a path is given up.
    pub far: f64,
    /// Lexemes after which no more states are read once there is an answer: long windows get fewer.
    pub read_lexemes: usize,
    /// Bytes that the judge reads at most. Unlike the deadline it stops at the same place every time.
    pub judged_bytes: usize,
    /// Weight of the network's opinion that nothing is left to edit in an answer.
    pub finish: f64,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self {
            batch: 6,
            n_batches: 12,
            n_single: 96,
            n_paired: 24,
            n_sites: 16,
            n_chains: 12,
            far: 6.0,
            read_lexemes: 8 << 10,
            judged_bytes: 16 << 20,
            finish: 0.5,
        }
    }
}

impl SearchLimits {
    /// Broader than deep: nearly every text parses, and the tests choose.
    pub fn for_tests(self) -> Self {
        Self { n_single: 600, n_sites: 64, n_chains: 0, far: 16.0, finish: 0.0, ..self }
    }
}

/// An edit the network proposes, with the logarithm of its probability.
///
/// Log-odds would reward a path for mending what it broke itself; probabilities never do.
#[derive(Clone, Debug)]
struct Move {
    event: Event,
    chance: f64,
}

/// What the network says of a state.
#[derive(Default)]
struct Reading {
    moves: Vec<Move>,
    /// Expected number of edits still to come.
    noise: f64,
    /// Logarithm of the probability that none is.
    rest: f64,
}

/// A state on the way, with the logarithm of the probability of the path to it.
struct Node {
    score: f64,
    text: String,
    depth: usize,
    /// Expected number of edits still to come, once the network has read the state.
    noise: f64,
    /// Index of the parent in the search's list, and the events that led here.
    parent: Option<(usize, Vec<Move>)>,
}

/// The window inside the text that the judge reads.
struct Frame<'r> {
    language: &'static dyn Language,
    before: &'r str,
    after: &'r str,
    dialect: Dialect,
}

impl Frame<'_> {
    /// Faults inside the window, in bytes of the window; empty when the judge accepts it.
    fn faults(&self, window: &str) -> Vec<Fault> {
        let whole = [self.before, window, self.after].concat();
        let start = self.before.len();
        let end = start + window.len();
        let mut faults = self.language.flaws(&whole, self.dialect);
        let last = if self.after.is_empty() { usize::MAX } else { end };
        faults.retain(|fault| fault.span.start <= last);
        for fault in &mut faults {
            let clamp = |at: usize| at.clamp(start, end) - start;
            fault.span = clamp(fault.span.start)..clamp(fault.span.end);
        }
        faults
    }
}

impl Denoiser {
    /// Repairs of the request's window, best first.
    pub fn repair(&self, request: &Request) -> Result<Vec<Proposal>, String> {
        let window = request
            .text
            .get(request.start..request.end)
            .ok_or_else(|| "the window splits a character or leaves the text".to_owned())?;
        let frame = Frame {
            language: self.language,
            before: &request.text[..request.start],
            after: &request.text[request.end..],
            dialect: Dialect { target: request.target },
        };
        let state = State::new(window.to_owned(), self.language.style());
        if !self.fits(&state) {
            return Err(format!(
                "the window has {} lexemes, the network reads {}",
                state.len(),
                self.net.config.max_len - 1
            ));
        }
        let deadline = Instant::now() + Duration::from_millis(request.budget_ms);
        let mut search = Search::new(window.to_owned(), request.k.max(FINISHED), self.limits.far);
        tch::no_grad(|| self.search(&frame, deadline, &mut search));
        let mut votes = HashMap::new();
        if search.goals.is_empty() && Instant::now() < deadline {
            votes = tch::no_grad(|| self.sample(&frame, &state, request.seed, deadline));
        }
        tch::no_grad(|| self.finish(&frame, &mut search));
        Ok(self.proposals(&frame, request, search, votes))
    }

    /// Whether the network can read a state: its lexemes, and the gap behind the last.
    fn fits(&self, state: &State) -> bool {
        i64::try_from(state.len()).is_ok_and(|n| n < self.net.config.max_len)
    }

    fn search(&self, frame: &Frame, deadline: Instant, search: &mut Search) {
        let n_bytes = frame.before.len() + search.nodes[0].text.len() + frame.after.len();
        let n_judged = self.limits.judged_bytes / n_bytes.max(1);
        let mut n_read = 0;
        for _ in 0..self.limits.n_batches {
            let is_enough = n_read >= self.limits.read_lexemes && !search.goals.is_empty();
            if is_enough || Instant::now() >= deadline {
                return;
            }
            let batch = search.next(self.limits.batch);
            if batch.is_empty() {
                return;
            }
            let state = |idx: usize| State::new(search.nodes[idx].text.clone(), self.language.style());
            // Insertions may have made a state longer than the network reads.
            let (batch, states): (Vec<usize>, Vec<State>) =
                batch.into_iter().map(|idx| (idx, state(idx))).filter(|(_, state)| self.fits(state)).unzip();
            if batch.is_empty() {
                continue;
            }
            n_read += states.iter().map(State::len).sum::<usize>();
            let faults: Vec<Vec<Fault>> = states.iter().map(|state| frame.faults(&state.text)).collect();
            let readings = self.read(&states, &faults, &vec![0; states.len()]);
            for (nth, (state, reading)) in states.iter().zip(readings).enumerate() {
                let idx = batch[nth];
                search.nodes[idx].noise = reading.noise;
                for leap in self.leaps(&reading.moves, frame.before.len() + frame.after.len()) {
                    if search.n_judged >= n_judged || search.n_judged % 64 == 63 && Instant::now() >= deadline
                    {
                        return search.leave(&batch[nth..]);
                    }
                    search.visit(idx, state, leap, frame);
                }
            }
        }
    }

    /// Sets of moves to take at once: each alone, pairs, and all that are likelier than not. Where
    /// the judge has much to read, fewer are tried.
    fn leaps(&self, moves: &[Move], n_bytes: usize) -> Vec<Vec<Move>> {
        let share = |n: usize| (n * CHEAP_BYTES / n_bytes.max(CHEAP_BYTES)).max(12).min(n);
        let mut leaps: Vec<Vec<Move>> = Vec::new();
        for least in [0.5f64.ln(), 0.2f64.ln()] {
            let mut sure: Vec<Move> = Vec::new();
            for one in moves.iter().filter(|one| one.chance > least) {
                if !sure.iter().any(|other| clash(other, one)) {
                    sure.push(one.clone());
                }
            }
            if sure.len() > 2 {
                leaps.push(sure);
            }
        }
        leaps.extend(moves.iter().take(share(self.limits.n_single)).map(|one| vec![one.clone()]));
        let paired = &moves[..moves.len().min(share(self.limits.n_paired))];
        for (nth, first) in paired.iter().enumerate() {
            for second in &paired[nth + 1..] {
                if !clash(first, second) {
                    leaps.push(vec![first.clone(), second.clone()]);
                }
            }
        }
        leaps
    }

    /// The network's proposals for each state, likeliest first.
    fn read(&self, states: &[State], faults: &[Vec<Fault>], levels: &[u8]) -> Vec<Reading> {
        let device = self.net.weights()[0].device();
        let inputs: Vec<Input> = states
            .iter()
            .zip(faults)
            .zip(levels)
            .map(|((state, faults), level)| Input {
                level: *level,
                ..Input::new(&self.tokens, state, faults)
            })
            .collect();
        let batch = collate(&inputs.iter().collect::<Vec<_>>(), device);
        let odds = self.net.forward(&batch);
        let width = usize::try_from(odds.hidden.size()[1]).expect("positive");
        let ops = floats(&odds.ops.log_softmax(-1, Kind::Float));
        let gaps = floats(&odds.inserts.log_softmax(-1, Kind::Float));
        let mut readings: Vec<Reading> = states.iter().map(|_| Reading::default()).collect();
        let (mut substitutes, mut inserts) = (Vec::new(), Vec::new());
        for (row, state) in states.iter().enumerate() {
            let op = |at: usize, which: usize| f64::from(ops[(row * width + at) * 3 + which]);
            let gap = |at: usize, which: usize| f64::from(gaps[(row * width + at) * 2 + which]);
            let n = state.len();
            for at in 1..n {
                readings[row].moves.push(Move { event: Event::Delete { at }, chance: op(at, 1) });
            }
            readings[row].noise = (0..n).map(|at| 1.0 - op(at, 0).exp()).sum::<f64>()
                + (1..=n).map(|at| gap(at, 1).exp()).sum::<f64>();
            readings[row].rest =
                (0..n).map(|at| op(at, 0)).sum::<f64>() + (1..=n).map(|at| gap(at, 0)).sum::<f64>();
            substitutes.extend(best_sites((0..n).map(|at| (at, op(at, 2))), row, self.limits.n_sites));
            inserts.extend(best_sites((1..=n).map(|at| (at, gap(at, 1))), row, self.limits.n_sites));
        }
        for (sites, is_insert) in [(substitutes, false), (inserts, true)] {
            if sites.is_empty() {
                continue;
            }
            let column = |of: fn(&(usize, usize, f64)) -> usize| {
                let values: Vec<i64> = sites.iter().map(|site| of(site) as i64).collect();
                Tensor::from_slice(&values).to_device(device)
            };
            let logits =
                self.net.write(&odds, &batch, &column(|site| site.0), &column(|site| site.1), is_insert);
            let (top, which) = logits.log_softmax(-1, Kind::Float).topk(CONTENTS as i64, -1, true, true);
            let (top, which) = (floats(&top), integers(&which));
            for (nth, (row, at, site_chance)) in sites.iter().enumerate() {
                let state = &states[*row];
                let mut texts: HashMap<String, f64> = HashMap::new();
                for slot in nth * CONTENTS..(nth + 1) * CONTENTS {
                    let id = usize::try_from(which[slot]).expect("an index");
                    let text = match id.checked_sub(self.tokens.n_emit()) {
                        None => self.tokens.lexeme(id).map(str::to_owned),
                        Some(copied) if copied < state.len() => Some(state.lexeme(copied).into_owned()),
                        Some(_) => None,
                    };
                    if let Some(text) = text.filter(|text| is_insert || *text != state.lexeme(*at)) {
                        *texts.entry(text).or_default() += f64::from(top[slot]).exp();
                    }
                }
                readings[*row].moves.extend(texts.into_iter().map(|(text, chance)| {
                    let event = if is_insert {
                        Event::Insert { at: *at, text }
                    } else {
                        Event::Substitute { at: *at, text }
                    };
                    Move { event, chance: site_chance + chance.ln() }
                }));
            }
        }
        for Reading { moves, .. } in &mut readings {
            moves.sort_by(|a, b| b.chance.total_cmp(&a.chance).then_with(|| a.event.cmp(&b.event)));
            moves.truncate(self.limits.n_single.max(64));
        }
        readings
    }

    /// Adds to the score of the best answers how sure the network is that nothing is left to edit. Where it is
    /// sure that something is, it goes on: a judge may accept half of a repair.
    fn finish(&self, frame: &Frame, search: &mut Search) {
        if self.limits.finish == 0.0 {
            return;
        }
        let mut scored: HashSet<String> = HashSet::new();
        let mut least = f64::INFINITY;
        let mut texts = search.best(FINISHED);
        for _ in 0..ROUNDS {
            let states: Vec<State> = texts
                .into_iter()
                .map(|text| State::new(text, self.language.style()))
                .filter(|state| self.fits(state))
                .collect();
            if states.is_empty() {
                break;
            }
            let readings = self.read(&states, &vec![Vec::new(); states.len()], &vec![0; states.len()]);
            texts = Vec::new();
            for (state, reading) in states.into_iter().zip(readings) {
                texts.extend(search.go_on(&state, &reading, frame));
                if let Some(goal) = search.goals.get_mut(&state.text) {
                    goal.rest = reading.rest;
                    goal.score += self.limits.finish * goal.rest;
                    least = least.min(goal.score);
                }
                scored.insert(state.text);
            }
        }
        for (text, goal) in &mut search.goals {
            if !scored.contains(text) {
                goal.score = goal.score.min(least) - 1.0;
            }
        }
    }

    /// Chains at several noise levels; how many ended in each accepted text.
    fn sample(&self, frame: &Frame, start: &State, seed: u64, deadline: Instant) -> HashMap<String, u32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut votes = HashMap::new();
        let mut chains: Vec<(State, u8)> = (0..self.limits.n_chains)
            .map(|nth| {
                let n_edits = [1, 2, 4, 8][nth % 4];
                let mut state = start.clone();
                for _ in 0..n_edits / 4 {
                    let Some(damage) = self.profile.draw_damage(&mut rng) else { continue };
                    if let Some(text) = self.profile.damage(damage, &state, &mut rng) {
                        state = State::new(text, self.language.style());
                    }
                }
                (state, level(n_edits))
            })
            .collect();
        for _ in 0..CHAIN_STEPS {
            chains.retain(|(state, _)| self.fits(state));
            if chains.is_empty() || Instant::now() >= deadline {
                break;
            }
            let states: Vec<State> = chains.iter().map(|(state, _)| state.clone()).collect();
            let faults: Vec<Vec<Fault>> = states.iter().map(|state| frame.faults(&state.text)).collect();
            let levels: Vec<u8> = chains.iter().map(|(_, level)| *level).collect();
            let readings = self.read(&states, &faults, &levels);
            let mut running = Vec::new();
            for ((state, level), Reading { moves, .. }) in chains.into_iter().zip(readings) {
                let text = state.apply(&leap(&moves, &mut rng));
                if frame.faults(&text).is_empty() {
                    if text != start.text {
                        *votes.entry(text).or_default() += 1;
                    }
                } else {
                    running.push((State::new(text, self.language.style()), level));
                }
            }
            chains = running;
        }
        votes
    }

    fn proposals(
        &self,
        frame: &Frame,
        request: &Request,
        mut search: Search,
        votes: HashMap<String, u32>,
    ) -> Vec<Proposal> {
        let whole = |window: &str| [frame.before, window, frame.after].concat();
        for (text, n) in votes {
            // A sampled answer has no path from the start; its votes stand in for its odds.
            let score = f64::from(n).ln() - SAMPLED_COST;
            search.goals.entry(text.clone()).or_insert(Goal { score, rest: 0.0, node: None, votes: n });
        }
        let mut goals: Vec<(String, Goal)> = search.goals.drain().collect();
        goals.sort_by(|a, b| b.1.score.total_cmp(&a.1.score).then_with(|| a.0.cmp(&b.0)));
        let accepted = goals.into_iter().filter(|(text, _)| {
            !frame.after.is_empty() || self.language.accepts(&request.text, &whole(text), frame.dialect)
        });
        let open = search.open.peek().map(|(score, _)| score.0).filter(|score| *score >= search.bound);
        let start = State::new(request.text[request.start..request.end].to_owned(), self.language.style());
        let mut seen = HashSet::new();
        accepted
            .map(|(text, goal)| (lay_out(frame, &start, &text).unwrap_or(text), goal))
            .filter(|(text, _)| seen.insert(text.clone()))
            .take(request.k.max(1))
            .map(|(text, goal)| {
                let steps = if request.trace { search.steps(&goal, self.language) } else { Vec::new() };
                let lead = open.map(|open| goal.score - open);
                Proposal { score: goal.score, rest: goal.rest, lead, votes: goal.votes, steps, text }
            })
            .collect()
    }
}

/// Lexemes looked at for each place to write.
const CONTENTS: usize = 16;
/// Text around the window that is parsed in no time.
const CHEAP_BYTES: usize = 2048;
const CHAIN_STEPS: usize = 8;
/// Answers that are looked at once more.
const FINISHED: usize = 16;
/// How often an answer is gone on from, and the last one looked at.
const ROUNDS: usize = 3;
/// Puts sampled answers behind found ones.
const SAMPLED_COST: f64 = 12.0;

/// The blanks of an answer as they are when all of its edits are known, where it has others: on the way, a quote that
/// closes may have been taken for one that opens. Where the text is indented by tabs, so is what is new.
fn lay_out(frame: &Frame, start: &State, text: &str) -> Option<String> {
    let answer = State::new(text.to_owned(), start.style());
    let mut events = align(start, &answer, ALIGN_LIMIT)?;
    let tabs = is_tabbed(start);
    for event in events.iter_mut().filter(|_| tabs) {
        if let Event::Insert { text, .. } | Event::Substitute { text, .. } = event
            && text.strip_prefix('\n').is_some_and(|indent| indent.trim_start_matches(' ').is_empty())
        {
            *text = text.replace("    ", "\t");
        }
    }
    let again = State::new(start.apply(&events), start.style());
    let is_same = |idx: usize| {
        let (here, there) = (again.lexeme(idx), answer.lexeme_from(idx, &again.margin));
        here == there || tabs && here.starts_with('\n') && there.starts_with('\n')
    };
    let same = again.len() == answer.len() && (0..again.len()).all(is_same);
    (same && again.text != text && frame.faults(&again.text).is_empty()).then_some(again.text)
}

/// Whether lines are indented by tabs, and none by blanks.
fn is_tabbed(state: &State) -> bool {
    let mut indents = (0..state.len())
        .filter(|idx| state.lexemes[*idx].kind == lexeme::Kind::Newline)
        .map(|idx| state.raw(idx).trim_start_matches(['\r', '\n']))
        .filter(|indent| !indent.is_empty())
        .peekable();
    indents.peek().is_some() && indents.all(|indent| !indent.contains(' '))
}

fn best_sites(
    sites: impl Iterator<Item = (usize, f64)>,
    row: usize,
    n_sites: usize,
) -> Vec<(usize, usize, f64)> {
    let mut sites: Vec<(usize, usize, f64)> = sites.map(|(at, odds)| (row, at, odds)).collect();
    sites.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.1.cmp(&b.1)));
    sites.truncate(n_sites);
    sites
}

/// Two moves that cannot be taken together: both change the same lexeme or fill the same gap.
fn clash(a: &Move, b: &Move) -> bool {
    let is_insert = |one: &Move| matches!(one.event, Event::Insert { .. });
    a.event.at() == b.event.at() && is_insert(a) == is_insert(b)
}

/// Draws every move on its own; of those that clash, the first drawn stays.
fn leap(moves: &[Move], rng: &mut ChaCha8Rng) -> Vec<Event> {
    let mut taken: Vec<Move> = Vec::new();
    for one in moves {
        if rng.random_bool(one.chance.exp().clamp(0.0, 1.0)) && !taken.iter().any(|other| clash(other, one)) {
            taken.push(one.clone());
        }
    }
    taken.into_iter().map(|one| one.event).collect()
}

/// Logarithm of the probability of taking all of these.
fn chance(moves: &[Move]) -> f64 {
    moves.iter().map(|one| one.chance).sum()
}

/// A text that the judge accepts.
struct Goal {
    score: f64,
    /// Logarithm of the probability that nothing is left to edit.
    rest: f64,
    /// The node it was found from, and the moves from there.
    node: Option<(usize, Vec<Move>)>,
    votes: u32,
}

/// A best-first search.
struct Search {
    nodes: Vec<Node>,
    /// Nodes that the network has not read, by score.
    open: BinaryHeap<(Ordered, std::cmp::Reverse<usize>)>,
    seen: HashSet<String>,
    goals: HashMap<String, Goal>,
    n_judged: usize,
    /// How many goals are wanted, and the score below which no path leads to one of them.
    k: usize,
    far: f64,
    bound: f64,
}

#[derive(PartialEq)]
struct Ordered(f64);
impl Eq for Ordered {}
impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Search {
    fn new(start: String, k: usize, far: f64) -> Self {
        let mut search = Self {
            nodes: Vec::new(),
            open: BinaryHeap::new(),
            seen: HashSet::from([start.clone()]),
            goals: HashMap::new(),
            n_judged: 0,
            k,
            far,
            bound: LEAST_SCORE,
        };
        search.nodes.push(Node { score: 0.0, text: start, depth: 0, noise: 0.0, parent: None });
        search.open.push((Ordered(0.0), std::cmp::Reverse(0)));
        search
    }

    /// The best open states that can still lead to a goal worth having.
    fn next(&mut self, n: usize) -> Vec<usize> {
        let bound = self.bound;
        (0..n)
            .map_while(|_| self.open.pop().filter(|(score, _)| score.0 >= bound))
            .map(|(_, std::cmp::Reverse(idx))| idx)
            .collect()
    }

    /// Puts states back that were not followed to the end: what is left of them is no likelier than they are.
    fn leave(&mut self, nodes: &[usize]) {
        let open = nodes.iter().map(|node| (Ordered(self.nodes[*node].score), std::cmp::Reverse(*node)));
        self.open.extend(open);
    }

    /// Paths only get less likely: behind the last goal that is wanted nothing can come back.
    fn tighten(&mut self) {
        let mut scores: Vec<f64> = self.goals.values().map(|goal| goal.score).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        let best = scores.first().map_or(f64::NEG_INFINITY, |best| best - self.far);
        let last = scores.get(self.k - 1).copied().unwrap_or(f64::NEG_INFINITY);
        self.bound = best.max(last).max(LEAST_SCORE);
    }

    /// Judges the state after `moves`: a goal is kept, anything else stays open.
    fn visit(&mut self, parent: usize, state: &State, moves: Vec<Move>, frame: &Frame) {
        let score = self.nodes[parent].score + chance(&moves);
        let depth = self.nodes[parent].depth + moves.len();
        if score < self.bound || depth > DEEPEST {
            return;
        }
        let events: Vec<Event> = moves.iter().map(|one| one.event.clone()).collect();
        let text = state.apply(&events);
        if let Some(goal) = self.goals.get_mut(&text) {
            if score > goal.score {
                *goal = Goal { score, rest: 0.0, node: Some((parent, moves)), votes: 0 };
                self.tighten();
            }
            return;
        }
        if !self.seen.insert(text.clone()) {
            return;
        }
        self.n_judged += 1;
        if frame.faults(&text).is_empty() {
            self.goals.insert(text, Goal { score, rest: 0.0, node: Some((parent, moves)), votes: 0 });
            self.tighten();
        } else {
            self.open.push((Ordered(score), std::cmp::Reverse(self.nodes.len())));
            self.nodes.push(Node { score, text, depth, noise: 0.0, parent: Some((parent, moves)) });
        }
    }

    /// The texts of the best goals.
    fn best(&self, n: usize) -> Vec<String> {
        let mut best: Vec<(&String, f64)> =
            self.goals.iter().map(|(text, goal)| (text, goal.score)).collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        best.into_iter().take(n).map(|(text, _)| text.clone()).collect()
    }

    /// Takes all moves that are likelier than not from a goal; the new goal, if the judge accepts that, too.
    fn go_on(&mut self, state: &State, reading: &Reading, frame: &Frame) -> Option<String> {
        let mut sure: Vec<Move> = Vec::new();
        for one in reading.moves.iter().filter(|one| one.chance > 0.5f64.ln()) {
            if !sure.iter().any(|other| clash(other, one)) {
                sure.push(one.clone());
            }
        }
        let goal = self.goals.get(&state.text).filter(|_| !sure.is_empty())?;
        let text = state.apply(&sure.iter().map(|one| one.event.clone()).collect::<Vec<_>>());
        if !self.seen.insert(text.clone()) || !frame.faults(&text).is_empty() {
            return None;
        }
        let score = goal.score + chance(&sure);
        let parent = goal.node.clone();
        self.nodes.push(Node {
            score: goal.score,
            text: state.text.clone(),
            depth: 0,
            noise: reading.noise,
            parent,
        });
        let node = Some((self.nodes.len() - 1, sure));
        self.goals.insert(text.clone(), Goal { score, rest: 0.0, node, votes: 0 });
        Some(text)
    }

    /// The way to a goal, one step for every edit.
    fn steps(&self, goal: &Goal, language: &'static dyn Language) -> Vec<Step> {
        let mut legs = Vec::new();
        let mut next = goal.node.clone();
        while let Some((idx, moves)) = next.take() {
            legs.push((idx, moves));
            next.clone_from(&self.nodes[idx].parent);
        }
        legs.reverse();
        let mut steps = Vec::new();
        for (idx, moves) in legs {
            let state = State::new(self.nodes[idx].text.clone(), language.style());
            let text = state.apply(&moves.iter().map(|one| one.event.clone()).collect::<Vec<_>>());
            for one in moves {
                steps.push(Step {
                    edit: describe(&state, &one.event),
                    rate: one.chance,
                    noise: self.nodes[idx].noise,
                    text: text.clone(),
                });
            }
        }
        steps
    }
}

/// Less likely paths are not worth keeping.
const LEAST_SCORE: f64 = -25.0;
const DEEPEST: usize = 40;

/// "insert `)` on line 3"
fn describe(state: &State, event: &Event) -> String {
    let line = |at: usize| {
        let end = state.lexemes.get(at).map_or(state.text.len(), |lexeme| lexeme.span.start);
        state.text[..end].matches('\n').count() + 1
    };
    let show = |text: &str| match text.strip_prefix('\n') {
        Some("") => "a line end".to_owned(),
        Some(indent) => format!("a line end and {} blanks", indent.len()),
        None => format!("`{text}`"),
    };
    match event {
        Event::Insert { at, text } => format!("insert {} on line {}", show(text), line(at.saturating_sub(1))),
        Event::Delete { at } => format!("delete {} on line {}", show(&state.lexeme(*at)), line(*at)),
        Event::Substitute { at, text } => {
            format!("replace {} by {} on line {}", show(&state.lexeme(*at)), show(text), line(*at))
        }
    }
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.to_device(Device::Cpu).to_kind(Kind::Float).flatten(0, -1);
    Vec::try_from(&flat).expect("one dimension of f32")
}

fn integers(tensor: &Tensor) -> Vec<i64> {
    Vec::try_from(&tensor.to_device(Device::Cpu).flatten(0, -1)).expect("one dimension of i64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_open_again() {
        let mut search = Search::new("f(".to_owned(), 1, 6.0);
        let batch = search.next(6);
        assert_eq!((batch.len(), search.open.len()), (1, 0));
        search.leave(&batch);
        assert_eq!(search.next(6), batch);
    }
}
