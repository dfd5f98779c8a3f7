//! Damage that still parses: the slips that only tests find.

use rand::Rng;
use rand::seq::IndexedRandom;

use super::noise::{Site, is_close, is_open};
use crate::lexeme::Kind;
use crate::state::Event;

/// What joins two operands.
const JOINS: [&str; 10] = ["+", "-", "*", "/", "//", "%", "and", "or", "&", "|"];

impl Site<'_> {
    /// A name where another one that is in sight belongs.
    pub(super) fn other_name(&mut self) -> Option<Vec<Event>> {
        let at = self.pick(Self::is_name)?;
        let is_called = |s: &Self, i: usize| s.follows(i, "(");
        let called = is_called(self, at);
        let raw = self.raw(at).to_owned();
        let other = self.pick(|s, i| s.is_name(i) && is_called(s, i) == called && s.raw(i) != raw)?;
        Some(vec![Event::Substitute { at, text: self.raw(other).to_owned() }])
    }

    /// One too many or too few: in a number, or beside an operand.
    pub(super) fn off_by_one(&mut self) -> Option<Vec<Event>> {
        match self.rng.random_range(0..4) {
            // `n + 1` to `n`, in the same words as `n` to `n + 1`
            0 => {
                let at = self.pick(|s, i| {
                    s.is_code(i)
                        && matches!(s.raw(i), "+" | "-")
                        && s.is_operand_end(i - 1)
                        && s.follows(i, "1")
                })?;
                Some((at..=at + 1).map(|at| Event::Delete { at }).collect())
            }
            1 => {
                let at = self.pick(|s, i| s.is_operand_end(i) && !s.follows(i, "(") && !s.follows(i, "."))?;
                let sign = self.choose(&["+", "-"]);
                let texts = [sign, "1".to_owned()];
                Some(texts.map(|text| Event::Insert { at: at + 1, text }).into())
            }
            _ => {
                let at = self.pick(|s, i| s.is_code(i) && s.kind(i) == Kind::Number)?;
                let number: i64 = self.raw(at).parse().ok()?;
                let near = [number + 1, number - 1, number + 1, number - 1, 0, 1, 2, -number];
                let text = near.choose(self.rng)?.to_string();
                (text != self.raw(at)).then(|| vec![Event::Substitute { at, text }])
            }
        }
    }

    /// One operand and the operator beside it are missing.
    pub(super) fn drop_operand(&mut self) -> Option<Vec<Event>> {
        let at =
            self.pick(|s, i| i > 1 && s.is_code(i) && JOINS.contains(&s.raw(i)) && s.is_operand_end(i - 1))?;
        let range = if self.rng.random_bool(0.6) {
            at..self.operand_end(at + 1)?
        } else {
            self.operand_start(at - 1)..at + 1
        };
        (range.len() <= 10).then(|| range.map(|at| Event::Delete { at }).collect())
    }

    /// `f(x)` to `x`, or `x.f()` to `x`.
    pub(super) fn unwrap(&mut self) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| s.is_name(i) && s.follows(i, "("))?;
        let close = self.partner(at + 1)?;
        if self.raw(at - 1) == "." {
            let range = at - 1..close + 1;
            return (range.len() <= 9).then(|| range.map(|at| Event::Delete { at }).collect());
        }
        let is_one = close > at + 2 && self.commas_inside(at + 1, close).is_empty();
        is_one.then(|| [at, at + 1, close].map(|at| Event::Delete { at }).into())
    }

    /// What makes a list, a tuple or an index out of an operand is missing, or is there for nothing.
    pub(super) fn brackets(&mut self) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| s.is_code(i) && s.raw(i) == "[")?;
        let close = self.partner(at)?;
        let range = at..close + 1;
        if self.is_operand_end(at - 1) {
            return (range.len() <= 6).then(|| range.map(|at| Event::Delete { at }).collect());
        }
        let inner = at + 1..close;
        match inner.len() {
            0 => None,
            _ if self.rng.random_bool(0.5) => Some([at, close].map(|at| Event::Delete { at }).into()),
            1..=6 => Some(inner.map(|at| Event::Delete { at }).collect()),
            _ => None,
        }
    }

    /// A word that is no keyword and no literal.
    fn is_name(&self, idx: usize) -> bool {
        self.is_code(idx)
            && self.kind(idx) == Kind::Word
            && !self.is_keyword(idx)
            && !matches!(self.raw(idx - 1), "def" | "class" | "import" | "from" | "as")
    }

    pub(super) fn follows(&self, idx: usize, text: &str) -> bool {
        idx + 1 < self.state.len() && self.raw(idx + 1) == text
    }

    fn is_operand_end(&self, idx: usize) -> bool {
        self.is_name(idx) || self.is_code(idx) && (self.kind(idx) == Kind::Number || is_close(self.raw(idx)))
    }

    /// Behind the operand that starts at `idx`: a name or a number, then calls, indices and attributes.
    fn operand_end(&self, idx: usize) -> Option<usize> {
        let mut end = match idx {
            _ if idx >= self.state.len() => return None,
            _ if self.is_code(idx) && is_open(self.raw(idx)) => self.partner(idx)? + 1,
            _ if self.is_name(idx) || self.kind(idx) == Kind::Number => idx + 1,
            _ => return None,
        };
        while end < self.state.len() && self.is_code(end) {
            end = match self.raw(end) {
                "(" | "[" => self.partner(end)? + 1,
                "." => (end + 2).min(self.state.len()),
                _ => return Some(end),
            };
        }
        Some(end)
    }

    /// Where the operand that ends at `idx` starts.
    fn operand_start(&self, idx: usize) -> usize {
        let mut start = idx;
        loop {
            if is_close(self.raw(start)) {
                match self.partner(start) {
                    Some(open) if open > 1 && self.is_name(open - 1) => start = open - 1,
                    Some(open) => return open,
                    None => return start,
                }
            }
            if start > 2 && self.raw(start - 1) == "." {
                start -= 2;
            } else {
                return start;
            }
        }
    }
}
