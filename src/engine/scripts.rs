//! Damage to commands, and to what only scripts have: other languages' habits.

use rand::Rng;

use super::noise::{Site, is_close};
use crate::lexeme::Kind;
use crate::state::Event;

/// Lexemes from the program to the command line in quotes that it runs.
const MAX_PREFIX: usize = 6;

impl Site<'_> {
    /// `.f(a, b)` as a command would take it: `.f a b`.
    pub(super) fn command_call(&mut self) -> Option<Vec<Event>> {
        let open = self.pick(|s, i| {
            i > 2 && s.raw(i) == "(" && s.is_code(i) && s.kind(i - 1) == Kind::Word && s.is_member(i - 1)
        })?;
        let close = self.partner(open).filter(|close| *close > open + 1)?;
        let mut events: Vec<Event> =
            self.commas_inside(open, close).into_iter().map(|at| Event::Delete { at }).collect();
        // Half of a habit: the brackets stay.
        if events.is_empty() || self.rng.random_bool(0.7) {
            events.extend([open, close].map(|at| Event::Delete { at }));
        }
        Some(events)
    }

    /// Strings between commas, all without their quotes: `'a', 'b'` to `a, b`.
    pub(super) fn unquote_list(&mut self) -> Option<Vec<Event>> {
        let mut at = self.pick(|s, i| {
            s.is_quote(i)
                && i > 1
                && s.raw(i - 1) != ","
                && s.closing_quote(i).is_some_and(|end| s.follows(end, ","))
        })?;
        let mut events = Vec::new();
        while let Some(end) = self.closing_quote(at) {
            events.extend([at, end].map(|at| Event::Delete { at }));
            if !(self.follows(end, ",") && end + 2 < self.state.len() && self.is_quote(end + 2)) {
                break;
            }
            at = end + 2;
        }
        (4..=16).contains(&events.len()).then_some(events)
    }

    /// What makes a program of a path or keeps its arguments as they are, gone: `& "a b" "c"` to `"a b" c`, `a --% b` to `a b`.
    pub(super) fn uncall(&mut self) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| s.is_code(i) && (s.raw(i) == "--%" || s.calls_value(i)))?;
        let mut events = vec![Event::Delete { at }];
        if self.raw(at) == "--%" || self.rng.random_bool(0.6) {
            return Some(events);
        }
        // Nor are arguments in quotes that need none.
        let mut next = self.closing_quote(at + 1)? + 1;
        while next < self.state.len()
            && self.kind(next) != Kind::Newline
            && !matches!(self.raw(next), "|" | ";")
        {
            if let Some(end) = self.closing_quote(next).filter(|_| self.is_quote(next)) {
                let has_blanks =
                    self.state.lexemes[next + 1..=end].iter().any(|lexeme| lexeme.start < lexeme.span.start);
                if !has_blanks {
                    events.extend([next, end].map(|at| Event::Delete { at }));
                }
                next = end;
            }
            next += 1;
        }
        Some(events)
    }

    /// Whether this is the `&` or `.` that runs what a string, a variable or brackets say.
    fn calls_value(&self, at: usize) -> bool {
        let opens = self.kind(at - 1) == Kind::Newline
            || matches!(self.raw(at - 1), "|" | ";" | "{" | "(" | "=" | "&&" | "||");
        let value = || {
            let next = self.raw(at + 1);
            self.is_quote(at + 1) || next.starts_with(['$', '('])
        };
        matches!(self.raw(at), "&" | ".") && opens && at + 1 < self.state.len() && value()
    }

    /// What another shell was to run, left to this one: `cmd /c "a < b"` to `a < b`.
    pub(super) fn unshell(&mut self) -> Option<Vec<Event>> {
        let shell = self.pick(|s, i| {
            s.is_code(i) && ["cmd", "cmd.exe"].iter().any(|shell| s.raw(i).eq_ignore_ascii_case(shell))
        })?;
        let open = (shell + 1..self.state.len()).take(MAX_PREFIX).find(|i| self.is_quote(*i))?;
        let close = self.closing_quote(open)?;
        let first = shell - usize::from(self.raw(shell - 1) == "&");
        Some((first..=open).chain([close]).map(|at| Event::Delete { at }).collect())
    }

    /// A table of names and values, with those inside it, as JSON or Python write it: `@{a = 1; b = 2}` to `{"a": 1, "b": 2}`.
    pub(super) fn table_as_json(&mut self) -> Option<Vec<Event>> {
        let is_table = |s: &Self, i: usize| i > 1 && s.is_code(i) && s.raw(i) == "{" && s.raw(i - 1) == "@";
        let open = self.pick(is_table)?;
        let close = self.partner(open)?;
        let (names, ends, bare) =
            (self.rng.random_bool(0.5), self.rng.random_bool(0.6), self.rng.random_bool(0.3));
        let mut events = Vec::new();
        for table in (open..close).filter(|i| is_table(self, *i)) {
            if bare || table > open {
                events.push(Event::Delete { at: table - 1 });
            }
            for at in self.directly_inside(table, self.partner(table)?) {
                match self.raw(at) {
                    "=" => {
                        events.push(Event::Substitute { at, text: ":".to_owned() });
                        if names && self.kind(at - 1) == Kind::Word && at > table + 1 {
                            let text = format!("\"{}\"", self.raw(at - 1));
                            events.push(Event::Substitute { at: at - 1, text });
                        }
                    }
                    ";" if ends => events.push(Event::Substitute { at, text: ",".to_owned() }),
                    _ => {}
                }
            }
        }
        (2..=24).contains(&events.len()).then_some(events)
    }

    /// Braces or brackets around a command that needs none: `| f -a` to `| { f -a }`.
    pub(super) fn wrap_command(&mut self) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| s.is_code(i) && matches!(s.raw(i), "|" | "=" | ";"))? + 1;
        let end = (at..self.state.len())
            .find(|i| {
                self.kind(*i) == Kind::Newline
                    || self.is_code(*i) && (matches!(self.raw(*i), "|" | ";") || is_close(self.raw(*i)))
            })
            .unwrap_or(self.state.len());
        let (open, shut) = if self.rng.random_bool(0.6) { ("{", "}") } else { ("(", ")") };
        (end > at + 1).then(|| {
            vec![
                Event::Insert { at, text: open.to_owned() },
                Event::Insert { at: end, text: shut.to_owned() },
            ]
        })
    }

    /// Brackets that make a value of a command, without what stands before them: `$(f a)` or `& (a)` to `f a`.
    pub(super) fn drop_subexpression(&mut self) -> Option<Vec<Event>> {
        let open = self.pick(|s, i| {
            i > 1 && s.raw(i) == "(" && s.is_code(i) && ["$", "@", "&"].contains(&s.raw(i - 1))
        })?;
        let close = self.partner(open).filter(|close| *close > open + 1)?;
        // Half of a habit: what stands before stays.
        let first = open - usize::from(self.rng.random_bool(0.8));
        Some((first..=open).chain([close]).map(|at| Event::Delete { at }).collect())
    }

    /// A name behind a value.
    fn is_member(&self, at: usize) -> bool {
        matches!(self.raw(at - 1), "." | "::")
    }
}
