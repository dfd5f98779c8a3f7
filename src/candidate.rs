//! A repair of a whole text, put together from the engine's proposals for its windows.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};

use crate::patch::Edit;
use crate::protocol::Step;

/// One way to repair one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Applies to the text as the first choices of all earlier windows left it.
    pub edit: Edit,
    pub score: f64,
    /// Logarithm of the probability that nothing is left to edit.
    pub rest: f64,
    /// Its score less that of the likeliest path that the search left open; infinite where it left none.
    pub lead: f64,
    pub votes: u32,
    pub trace: Option<Trace>,
}

/// How a window was repaired.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The line of the text that the window starts with, from 1.
    pub first_line: usize,
    pub before: String,
    pub steps: Vec<Step>,
}

/// A text that may be a repair: not verified yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub text: String,
    /// Sum of the scores of its choices.
    pub score: f64,
    /// Least of its choices.
    pub rest: f64,
    /// Least of its choices.
    pub lead: f64,
    /// Fewest votes of its choices.
    pub votes: u32,
    pub n_windows: usize,
    /// How each window was repaired, when that was asked for.
    pub trajectory: Vec<Trace>,
}

impl Candidate {
    /// One of which nothing but the text is known.
    pub fn of_text(text: String) -> Self {
        Self {
            text,
            score: 0.0,
            rest: 0.0,
            lead: f64::INFINITY,
            votes: 0,
            n_windows: 1,
            trajectory: Vec::new(),
        }
    }
}

/// The most combinations that are looked at for each one that is wanted.
const TRIES: usize = 4;

/// Combines the choices of all windows, best sum of scores first, into at most about
/// four times `k` texts that differ from `text` and from each other.
///
/// Each list is ordered best first and not empty.
pub fn combine(text: &str, windows: &[Vec<Choice>], k: usize) -> Vec<Candidate> {
    let mut seen_texts = HashSet::from([text.to_owned()]);
    let mut candidates = Vec::new();
    for picks in best_sums(windows, TRIES * k) {
        let Some(mut after) = apply(text, windows, &picks) else { continue };
        after.push_str(lost_end(text, &after));
        if !seen_texts.insert(after.clone()) {
            continue;
        }
        let chosen = || windows.iter().zip(&picks).map(|(choices, pick)| &choices[*pick]);
        candidates.push(Candidate {
            text: after,
            score: chosen().map(|choice| choice.score).sum(),
            rest: chosen().map(|choice| choice.rest).fold(0.0, f64::min),
            lead: chosen().map(|choice| choice.lead).fold(f64::INFINITY, f64::min),
            votes: chosen().map(|choice| choice.votes).min().unwrap_or_default(),
            n_windows: windows.len(),
            trajectory: chosen().filter_map(|choice| choice.trace.clone()).collect(),
        });
    }
    candidates
}

/// The line end that the last line of `before` has and that of `after` has not.
fn lost_end(before: &str, after: &str) -> &'static str {
    let is_lost = !after.is_empty() && !after.ends_with('\n');
    match before {
        _ if !is_lost => "",
        before if before.ends_with("\r\n") => "\r\n",
        before if before.ends_with('\n') => "\n",
        _ => "",
    }
}

/// The text after one choice for each window; `None` when two of them touch the same place.
fn apply(text: &str, windows: &[Vec<Choice>], picks: &[usize]) -> Option<String> {
    let first: Vec<&Edit> = windows.iter().map(|choices| &choices[0].edit).collect();
    let mut applied: Vec<Edit> = Vec::with_capacity(picks.len());
    let mut after = text.to_owned();
    for (idx, pick) in picks.iter().enumerate() {
        let mut edit = windows[idx][*pick].edit.clone();
        if picks[..idx].iter().any(|pick| *pick != 0) {
            for before in first[..idx].iter().rev() {
                edit = edit.before(before)?;
            }
            for before in &applied {
                edit = edit.after(before)?;
            }
        }
        after = edit.apply(&after)?;
        applied.push(edit);
    }
    Some(after)
}

/// Index vectors of the highest sums, highest first.
fn best_sums(windows: &[Vec<Choice>], limit: usize) -> Vec<Vec<usize>> {
    let sum = |picks: &[usize]| picks.iter().zip(windows).map(|(pick, choices)| choices[*pick].score).sum();
    let first = vec![0; windows.len()];
    let mut seen = HashSet::from([first.clone()]);
    let mut heap = BinaryHeap::from([Entry { sum: sum(&first), picks: first }]);
    let mut best = Vec::new();
    while best.len() < limit
        && let Some(entry) = heap.pop()
    {
        for idx in 0..windows.len() {
            let mut picks = entry.picks.clone();
            picks[idx] += 1;
            if picks[idx] < windows[idx].len() && seen.insert(picks.clone()) {
                heap.push(Entry { sum: sum(&picks), picks });
            }
        }
        best.push(entry.picks);
    }
    best
}

#[derive(PartialEq)]
struct Entry {
    sum: f64,
    picks: Vec<usize>,
}

impl Eq for Entry {}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sum.total_cmp(&other.sum).then_with(|| other.picks.cmp(&self.picks))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(before: &str, after: &str, score: f64) -> Choice {
        Choice {
            edit: Edit::between(before, after),
            score,
            rest: 0.0,
            lead: f64::INFINITY,
            votes: 0,
            trace: None,
        }
    }

    fn texts(candidates: &[Candidate]) -> Vec<&str> {
        candidates.iter().map(|candidate| candidate.text.as_str()).collect()
    }

    #[test]
    fn choices_of_two_windows_combine_best_first() {
        let first = vec![choice("a x b", "AA x b", -1.0), choice("a x b", "A x b", -2.0)];
        let second = vec![choice("AA x b", "AA x B", -1.0), choice("AA x b", "AA x", -1.5)];
        let candidates = combine("a x b", &[first, second], 4);
        assert_eq!(texts(&candidates), ["AA x B", "AA x", "A x B", "A x"]);
        assert_eq!(candidates.iter().map(|c| c.score).collect::<Vec<_>>(), [-2.0, -2.5, -3.0, -3.5]);
    }

    #[test]
    fn clashing_no_op_and_double_candidates_are_dropped() {
        let first = vec![choice("a", "ab", 0.0), choice("a", "b", -1.0)];
        let second = vec![choice("ab", "abc", 0.0), choice("ab", "a", -0.5), choice("ab", "abc", -1.0)];
        assert_eq!(texts(&combine("a", &[first, second], 4)), ["abc"]);
    }

    #[test]
    fn the_last_line_keeps_its_end() {
        let combined = |before: &str, after: &str| {
            let candidates = combine(before, &[vec![choice(before, after, 0.0)]], 1);
            candidates.into_iter().next().map(|candidate| candidate.text)
        };
        let rows = [
            ("{\n", "{\n}", "{\n}\n"),
            ("{\r\n\r\n", "{\r\n\r\n}", "{\r\n\r\n}\r\n"),
            ("{\n", "{}\n", "{}\n"),
            ("{", "{\n}", "{\n}"),
        ];
        for (before, after, expected) in rows {
            assert_eq!(combined(before, after).as_deref(), Some(expected));
        }
        assert_eq!(combined("x\n", "").as_deref(), Some(""));
    }
}
