//! Habits: damage learned from real pairs. What a person did to good code in one place, told by the
//! neighbours of each edit instead of by names, can be done to other code where the neighbours look
//! the same.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::noise::typo;
use crate::lexeme::{Hint, Kind, Zone};
use crate::state::{Event, State, align, kind_of};

/// One way of breaking code, seen in a pair.
#[derive(Clone, Debug)]
pub struct Habit {
    edits: Vec<HabitEdit>,
}

#[derive(Clone, Debug)]
struct HabitEdit {
    before: String,
    here: String,
    zone: Zone,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Delete,
    Insert(Text),
    Substitute(Text),
}

#[derive(Clone, Debug)]
enum Text {
    /// A mark, a keyword, a line end.
    Itself(String),
    /// A name: any of the text will do.
    SomeName,
    /// What a slip of the fingers makes of the lexeme that stood there.
    Slip,
}

const MOST_EDITS: usize = 6;
/// How far apart two edits of one habit may lie, in lexemes.
const REACH: usize = 24;

impl Habit {
    /// The habit that turned `fixed` into `broken`; `None` when too much was changed.
    pub fn learn(fixed: &State, broken: &State, keywords: &[String]) -> Option<Self> {
        let events = align(fixed, broken, 300)?;
        if events.is_empty() || events.len() > MOST_EDITS {
            return None;
        }
        let hints = fixed.hints();
        let read = |text: &str, was: Option<&str>| {
            let is_name = class(text, kind_of(text, fixed.style()), keywords) == NAME;
            match was {
                Some(was) if is_slip(was, text) => Text::Slip,
                _ if is_name => Text::SomeName,
                _ => Text::Itself(text.to_owned()),
            }
        };
        let edits = events.iter().map(|event| {
            let at = event.at();
            HabitEdit {
                before: at.checked_sub(1).map_or(String::new(), |at| class_of(fixed, at, keywords)),
                here: class_of(fixed, at, keywords),
                zone: zone(&hints, at),
                change: match event {
                    Event::Delete { .. } => Change::Delete,
                    Event::Insert { text, .. } => Change::Insert(read(text, None)),
                    Event::Substitute { text, .. } => Change::Substitute(read(text, Some(&fixed.lexeme(at)))),
                },
            }
        });
        Some(Self { edits: edits.collect() })
    }

    /// Does the same to other code, if it has a place for it.
    pub fn apply(
        &self,
        state: &State,
        hints: &[Hint],
        keywords: &[String],
        rng: &mut ChaCha8Rng,
    ) -> Option<Vec<Event>> {
        let fits = |edit: &HabitEdit, at: usize| {
            zone(hints, at) == edit.zone
                && class_of(state, at, keywords) == edit.here
                && at.checked_sub(1).map_or(String::new(), |at| class_of(state, at, keywords)) == edit.before
        };
        let first = self.edits.first()?;
        let places: Vec<usize> = (1..=state.len()).filter(|at| fits(first, *at)).collect();
        let mut at = *places.choose(rng)?;
        let mut events = Vec::new();
        for (nth, edit) in self.edits.iter().enumerate() {
            if nth > 0 {
                at = (at..(at + REACH).min(state.len() + 1)).find(|next| {
                    fits(edit, *next)
                        && !(*next == at && same_place(&self.edits[nth - 1].change, &edit.change))
                })?;
            }
            let here = (at < state.len()).then_some(at);
            events.push(match &edit.change {
                Change::Delete => Event::Delete { at: here? },
                Change::Insert(text) => Event::Insert { at, text: write(text, None, state, keywords, rng)? },
                Change::Substitute(text) => {
                    let old = state.lexeme(here?).into_owned();
                    Event::Substitute { at, text: write(text, Some(old), state, keywords, rng)? }
                }
            });
        }
        Some(events)
    }
}

const NAME: &str = "a";

fn same_place(first: &Change, second: &Change) -> bool {
    // Several lexemes may be put into one gap, but one lexeme is changed only once.
    !matches!((first, second), (Change::Insert(_), _))
}

fn zone(hints: &[Hint], at: usize) -> Zone {
    hints.get(at).map_or(Zone::Code, |hint| hint.zone)
}

fn class_of(state: &State, at: usize, keywords: &[String]) -> String {
    if at >= state.len() {
        return String::new();
    }
    class(&state.lexeme(at), state.lexemes[at].kind, keywords).to_owned()
}

fn class<'t>(text: &'t str, kind: Kind, keywords: &[String]) -> &'t str {
    match kind {
        Kind::Newline => "\n",
        Kind::Number => "0",
        Kind::Word if !keywords.iter().any(|keyword| keyword == text) => NAME,
        _ => text,
    }
}

fn write(
    text: &Text,
    old: Option<String>,
    state: &State,
    keywords: &[String],
    rng: &mut ChaCha8Rng,
) -> Option<String> {
    match text {
        Text::Itself(text) => Some(text.clone()),
        Text::Slip => typo(&old?, rng),
        Text::SomeName => {
            let names: Vec<usize> =
                (0..state.len()).filter(|at| class_of(state, *at, keywords) == NAME).collect();
            let name = state.lexeme(*names.choose(rng)?).into_owned();
            Some(if rng.random_bool(0.2) { typo(&name, rng).unwrap_or(name) } else { name })
        }
    }
}

/// Whether one is the other with one letter dropped, added, changed or two swapped.
fn is_slip(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() < 3 || a.len().abs_diff(b.len()) > 1 || a == b {
        return false;
    }
    let front = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let back = a[front..].iter().rev().zip(b[front..].iter().rev()).take_while(|(x, y)| x == y).count();
    let (left, right) = (a.len() - front - back, b.len() - front - back);
    left.max(right) <= 1 || (left == 2 && right == 2 && a[front] == b[front + 1] && a[front + 1] == b[front])
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::lang::{Language, python::Python};

    #[test]
    fn the_end_of_a_text_is_not_changed() {
        let read = |text: &str| State::new(text.to_owned(), Python.style());
        // Blanks at the end are a lexeme without text, which can be changed where it is.
        let habit = Habit::learn(&read("f(a) "), &read("f(a))"), &[]).expect("one edit");
        assert!(matches!(habit.edits[0].change, Change::Substitute(_)));
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let code = read("g(b)");
        assert_eq!(habit.apply(&code, &code.hints(), &[], rng), None);
        let code = read("g(b) ");
        let events = habit.apply(&code, &code.hints(), &[], rng).expect("has a place");
        assert_eq!(code.apply(&events), "g(b))");
    }
}
