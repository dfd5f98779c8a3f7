//! The state of the diffusion process: a text read as lexemes, the edit events that change it, and
//! the alignment that says which events lead from one state to another.
//!
//! Events follow Edit Flows (arXiv 2506.09018): delete, substitute or insert one lexeme. Applying
//! them gives text, and the next state is that text read afresh, so a state never holds a sequence
//! that the lexer would not produce.

use std::borrow::Cow;

use crate::layout::Writer;
use crate::lexeme::{Hint, Kind, LexStyle, Lexeme, canonical, hints, lex};

/// One change of one lexeme. Positions are indexes into the lexemes of the state it applies to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// Puts `text` before the lexeme at `at`, which may be one past the last.
    Insert {
        at: usize,
        text: String,
    },
    Delete {
        at: usize,
    },
    Substitute {
        at: usize,
        text: String,
    },
}

impl Event {
    pub fn at(&self) -> usize {
        match self {
            Event::Insert { at, .. } | Event::Delete { at } | Event::Substitute { at, .. } => *at,
        }
    }
}

/// A text and its reading.
#[derive(Clone, Debug)]
pub struct State {
    pub text: String,
    pub lexemes: Vec<Lexeme>,
    style: &'static LexStyle,
    /// Blanks that every line starts with; the model does not see them.
    pub margin: String,
    pub(crate) crlf: bool,
}

impl State {
    pub fn new(text: String, style: &'static LexStyle) -> Self {
        let lexemes = lex(&text, style);
        let margin = margin(&text, &lexemes).to_owned();
        let crlf = text.contains("\r\n");
        Self { text, lexemes, style, margin, crlf }
    }

    pub fn len(&self) -> usize {
        self.lexemes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lexemes.is_empty()
    }

    pub fn hints(&self) -> Vec<Hint> {
        hints(&self.text, &self.lexemes, self.style)
    }

    pub fn style(&self) -> &'static LexStyle {
        self.style
    }

    /// The bytes of the lexeme, without blanks before it.
    pub fn raw(&self, idx: usize) -> &str {
        &self.text[self.lexemes[idx].span.clone()]
    }

    /// The lexeme as the model sees it: line ends are `\n` and indentation counts from the margin.
    pub fn lexeme(&self, idx: usize) -> Cow<'_, str> {
        self.lexeme_from(idx, &self.margin)
    }

    /// The same with indentation that counts from the margin of another text, where the line has as much.
    pub fn lexeme_from(&self, idx: usize, margin: &str) -> Cow<'_, str> {
        let whole = canonical(&self.text, &self.lexemes, idx);
        let Some(indent) = whole.strip_prefix('\n') else { return whole };
        match indent.strip_prefix(margin).or_else(|| indent.strip_prefix(self.margin.as_str())) {
            Some(rest) if rest.len() < indent.len() => format!("\n{rest}").into(),
            _ => whole,
        }
    }

    /// The lexeme at a byte of the text; past the end, the last.
    pub fn at_byte(&self, byte: usize) -> usize {
        self.lexemes.partition_point(|lexeme| lexeme.span.end <= byte).min(self.len() - 1)
    }

    /// The text after all `events`, whose positions refer to this state. Lexemes that no event
    /// touches keep their bytes and, where no neighbour changed, the blanks before them.
    pub fn apply(&self, events: &[Event]) -> String {
        let mut sorted: Vec<&Event> = events.iter().collect();
        sorted.sort_by_key(|event| (event.at(), !matches!(event, Event::Insert { .. })));
        let mut out = Writer::new(self);
        let mut next = sorted.into_iter().peekable();
        for idx in 0..=self.len() {
            let mut kept = true;
            while let Some(event) = next.next_if(|event| event.at() <= idx) {
                match event {
                    Event::Insert { text, .. } => out.fresh(idx, text, None),
                    Event::Delete { .. } if idx > 0 => {
                        out.deleted(idx);
                        kept = false;
                    }
                    Event::Delete { .. } => {}
                    Event::Substitute { text, .. } => {
                        out.fresh(idx, text, Some(idx));
                        kept = false;
                    }
                }
            }
            if kept && idx < self.len() {
                out.original(idx);
            }
        }
        out.text()
    }
}

/// The blanks that start every line with code on it.
fn margin<'t>(text: &'t str, lexemes: &[Lexeme]) -> &'t str {
    let mut margin: Option<&str> = None;
    for (idx, lexeme) in lexemes.iter().enumerate() {
        let opens_code = lexeme.kind == Kind::Newline
            && lexemes.get(idx + 1).is_some_and(|next| next.kind != Kind::Newline && !next.span.is_empty());
        if !opens_code {
            continue;
        }
        let indent = text[lexeme.span.clone()].trim_start_matches(['\r', '\n']);
        margin = Some(match margin {
            None => indent,
            Some(known) => {
                let shared = known.bytes().zip(indent.bytes()).take_while(|(a, b)| a == b).count();
                &known[..shared]
            }
        });
        if margin == Some("") {
            break;
        }
    }
    margin.unwrap_or("")
}

/// The kind of a lexeme that stands alone.
pub fn kind_of(text: &str, style: &LexStyle) -> Kind {
    if text.starts_with('\n') {
        return Kind::Newline;
    }
    lex(text, style).get(1).map_or(Kind::Other, |lexeme| lexeme.kind)
}

/// The fewest events that turn `before` into `after`, by Levenshtein distance on lexemes; blanks do
/// not count, indentation counts from the margin of `before`. `None` when more than `limit` rows of
/// the table would be needed.
///
/// Common ends are trimmed first, the front before the back, so that of equal alignments the
/// rightmost is taken, always.
pub fn align(before: &State, after: &State, limit: usize) -> Option<Vec<Event>> {
    let xs: Vec<_> = (0..before.len()).map(|idx| before.lexeme(idx)).collect();
    let ys: Vec<_> = (0..after.len()).map(|idx| after.lexeme_from(idx, &before.margin)).collect();
    let front = xs.iter().zip(&ys).take_while(|(x, y)| x == y).count();
    let back = xs[front..].iter().rev().zip(ys[front..].iter().rev()).take_while(|(x, y)| x == y).count();
    let (xs, ys) = (&xs[front..xs.len() - back], &ys[front..ys.len() - back]);
    if xs.len() > limit || ys.len() > limit {
        return None;
    }
    let width = ys.len() + 1;
    let mut cost = vec![0u32; (xs.len() + 1) * width];
    for (y, cell) in cost.iter_mut().enumerate().take(width) {
        *cell = 2 * u32::try_from(y).expect("limited");
    }
    for x in 1..=xs.len() {
        cost[x * width] = 2 * u32::try_from(x).expect("limited");
        for y in 1..width {
            let swap = cost[(x - 1) * width + y - 1] + substitution_cost(&xs[x - 1], &ys[y - 1]);
            let edge = cost[(x - 1) * width + y].min(cost[x * width + y - 1]) + 2;
            cost[x * width + y] = swap.min(edge);
        }
    }
    let mut events = Vec::new();
    let (mut x, mut y) = (xs.len(), ys.len());
    while x > 0 || y > 0 {
        let here = cost[x * width + y];
        if x > 0 && y > 0 && here == cost[(x - 1) * width + y - 1] + substitution_cost(&xs[x - 1], &ys[y - 1])
        {
            (x, y) = (x - 1, y - 1);
            if xs[x] != ys[y] {
                events.push(Event::Substitute { at: front + x, text: ys[y].to_string() });
            }
        } else if y > 0 && here == cost[x * width + y - 1] + 2 {
            y -= 1;
            events.push(Event::Insert { at: front + x, text: ys[y].to_string() });
        } else {
            x -= 1;
            events.push(Event::Delete { at: front + x });
        }
    }
    events.reverse();
    Some(events)
}

/// A line end is not the damaged form of a mark, nor a word of a bracket: such pairs cost nearly as
/// much as a deletion and an insertion. Costs are halves of an event.
fn substitution_cost(x: &str, y: &str) -> u32 {
    if x == y {
        return 0;
    }
    let class = |text: &str| match text.chars().next() {
        Some('\n') => 0,
        Some(c) if c.is_alphanumeric() || c == '_' => 1,
        _ => 2,
    };
    if class(x) == class(y) { 2 } else { 3 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::{Language, python::Python};

    fn state(text: &str) -> State {
        State::new(text.to_owned(), Python.style())
    }

    #[track_caller]
    fn check(before: &str, after: &str, expected: &str) {
        let (before, after) = (state(before), state(after));
        let events = align(&before, &after, 500).expect("short");
        assert_eq!(before.apply(&events), expected, "{events:?}");
    }

    #[test]
    fn the_way_back_restores_the_text() {
        for (before, after) in [
            ("print 'hi'\n", "print('hi')\n"),
            ("for i in range(3)\n    pass", "for i in range(3):\n    pass"),
            ("else if x:\n    y\n", "elif x:\n    y\n"),
            ("x = 'a\n", "x = 'a'\n"),
            ("x = a'\n", "x = 'a'\n"),
            ("  x = f(1, 2\n  y = 3\n", "  x = f(1, 2)\n  y = 3\n"),
            ("a\r\nif b:\r\nc\r\n", "a\r\nif b:\r\n    c\r\n"),
            ("retrun x", "return x"),
            ("my-var = 3", "my_var = 3"),
            ("import a b", "import a, b"),
            (">>> x = 1\n", "x = 1\n"),
            ("foo bar(x)", "foo.bar(x)"),
            // Without what stands at the edge, all lines have a margin.
            ("--\n    x = 1\n    y = 2\n", "\n    x = 1\n    y = 2\n"),
            ("    x = 1\ny = 2\n    if z:\n        w\n", "    x = 1\n    y = 2\n    if z:\n        w\n"),
        ] {
            check(before, after, after);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_event_changes_no_byte(text in "[a-z0-9 \\t\\r\\n'\"()\\[\\]{}:=+#\\\\é]*") {
            let state = state(&text);
            proptest::prop_assert_eq!(state.apply(&[]), text);
        }

        #[test]
        fn aligned_events_lead_to_the_other_text(
            before in "[a-c01 \\n'(),:=+]{0,40}",
            after in "[a-c01 \\n'(),:=+]{0,40}",
        ) {
            let (before, after) = (state(&before), state(&after));
            let events = align(&before, &after, 200).expect("short");
            // Marks that come to touch may read as another mark, so texts are compared without blanks.
            let bare = |text: &str| text.replace([' ', '\n'], "");
            proptest::prop_assert_eq!(bare(&before.apply(&events)), bare(&after.text));
        }
    }
}
