//! The state of the diffusion process: a text read as lexemes, the edit events that change it, and
//! the alignment that says which events lead from one state to another.
//!
//! Events follow Edit Flows (arXiv 2506.09018): delete, substitute or insert one lexeme. Applying
//! them gives text, and the next state is that text read afresh, so a state never holds a sequence
//! that the lexer would not produce.

use std::borrow::Cow;

use crate::lexeme::{Hint, Kind, LexStyle, Lexeme, Zone, canonical, hints, lex};

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
    margin: String,
    crlf: bool,
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
        let whole = canonical(&self.text, &self.lexemes, idx);
        match whole.strip_prefix('\n').and_then(|indent| indent.strip_prefix(self.margin.as_str())) {
            Some(indent) if !self.margin.is_empty() => format!("\n{indent}").into(),
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
        out.text
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

/// Joins kept and fresh lexemes, choosing the blanks between them.
struct Writer<'s> {
    state: &'s State,
    hints: Option<Vec<Hint>>,
    text: String,
    last: Option<(Kind, String)>,
    /// Blanks of deleted lexemes since the last one written.
    dropped: Option<&'s str>,
    /// The last lexeme written is fresh; holds the blanks its successor should start with.
    after_fresh: Option<&'static str>,
}

impl<'s> Writer<'s> {
    fn new(state: &'s State) -> Self {
        Self {
            state,
            hints: None,
            text: String::with_capacity(state.text.len() + 16),
            last: None,
            dropped: None,
            after_fresh: None,
        }
    }

    fn blanks(&self, idx: usize) -> &'s str {
        self.state.lexemes.get(idx).map_or("", |lexeme| &self.state.text[lexeme.start..lexeme.span.start])
    }

    fn after_newline(&self) -> bool {
        self.last.as_ref().is_none_or(|(kind, _)| *kind == Kind::Newline)
    }

    fn original(&mut self, idx: usize) {
        let (kind, raw, blanks) = (self.state.lexemes[idx].kind, self.state.raw(idx), self.blanks(idx));
        let was_dropped = self.dropped.is_some();
        let untouched = !was_dropped && self.after_fresh.is_none();
        let blanks = match (self.dropped.take(), self.after_fresh.take()) {
            _ if untouched => blanks,
            _ if self.after_newline() || raw.is_empty() => "",
            (_, Some("")) => "",
            (_, Some(wanted)) if blanks.is_empty() && !hugs_left(raw) => wanted,
            (Some(dropped), _) if blanks.is_empty() && !hugs_left(raw) => dropped,
            _ => blanks,
        };
        let blanks = if untouched { blanks } else { self.separate(kind, blanks) };
        let blanks = if was_dropped && blanks.is_empty() && kind == Kind::Quote {
            self.separate(Kind::Word, blanks)
        } else {
            blanks
        };
        self.text.push_str(blanks);
        self.text.push_str(raw);
        self.last = Some((kind, raw.to_owned()));
    }

    fn deleted(&mut self, idx: usize) {
        let blanks = if self.state.lexemes[idx].kind == Kind::Newline { " " } else { self.blanks(idx) };
        let longest = self.dropped.filter(|known| known.len() >= blanks.len()).unwrap_or(blanks);
        self.dropped = Some(longest);
    }

    fn fresh(&mut self, idx: usize, text: &str, replaced: Option<usize>) {
        let kind = kind_of(text, self.state.style);
        let (before, after) = match replaced {
            Some(_) => (self.blanks(idx), self.after_fresh),
            None => self.around(idx, text, kind),
        };
        let before =
            if self.after_newline() || kind == Kind::Newline { "" } else { self.separate(kind, before) };
        self.text.push_str(before);
        self.dropped = None;
        if kind == Kind::Newline {
            let first = self.text.is_empty() && replaced == Some(0);
            self.text.push_str(if first {
                ""
            } else if self.state.crlf {
                "\r\n"
            } else {
                "\n"
            });
            if text.len() > 1 || replaced.is_some() || !self.state.margin.is_empty() {
                self.text.push_str(&self.state.margin);
            }
            self.text.push_str(text.trim_start_matches('\n'));
            self.after_fresh = Some("");
        } else {
            self.text.push_str(text);
            // A substitute leaves the blanks after it alone, unless words would touch.
            self.after_fresh =
                if replaced.is_some() { after.filter(|blanks| !blanks.is_empty()) } else { after };
            if replaced.is_some() && self.after_fresh.is_none() {
                self.dropped = Some("");
            }
        }
        self.last = Some((kind, text.to_owned()));
    }

    /// Blanks before and after an inserted lexeme.
    fn around(&mut self, idx: usize, text: &str, kind: Kind) -> (&'s str, Option<&'static str>) {
        let gap = self.blanks(idx);
        let airy = self.state.style.airy;
        let space = if airy { " " } else { "" };
        let last = self.last.as_ref().map_or("", |(_, text)| text.as_str());
        let last_kind = self.last.as_ref().map_or(Kind::Newline, |(kind, _)| *kind);
        let opens = matches!(last, "(" | "[" | "{" | "." | "@");
        let before_quote = self.state.lexemes.get(idx).is_some_and(|next| next.kind == Kind::Quote);
        match kind {
            Kind::Quote => {
                let state = self.state;
                let zones = self.hints.get_or_insert_with(|| state.hints());
                let inside = zones.get(idx).is_some_and(|hint| hint.zone == Zone::Text)
                    && idx > 0
                    && zones[idx - 1].zone == Zone::Text;
                if inside || last_kind == Kind::Quote || idx == self.state.len() {
                    ("", None)
                } else {
                    (if gap.is_empty() && last == "," { space } else { gap }, Some(""))
                }
            }
            Kind::Word | Kind::Number if self.state.style.cells => (gap, None),
            Kind::Word | Kind::Number => (
                if opens {
                    ""
                } else if gap.is_empty() {
                    space
                } else {
                    gap
                },
                Some(if before_quote && self.state.style.quote_prefixes.contains(&text) { "" } else { " " }),
            ),
            _ => match text {
                "{" if self.state.style.blocks => (if opens { "" } else { space }, Some(space)),
                "}" if self.state.style.blocks => (if last == "{" { "" } else { space }, None),
                "(" | "[" | "{" => {
                    let is_operator = self.state.style.sigils.contains('-') && last.starts_with('-');
                    let calls = last_kind == Kind::Word && !is_operator || matches!(last, ")" | "]");
                    (
                        if calls || opens {
                            ""
                        } else if gap.is_empty() {
                            space
                        } else {
                            gap
                        },
                        Some(""),
                    )
                }
                "." => ("", Some("")),
                ")" | "]" | "}" => ("", None),
                "," | ":" | ";" => ("", Some(space).filter(|space| !space.is_empty())),
                "#" if self.state.style.comment == Some('#') => {
                    (if self.after_newline() { "" } else { "  " }, Some(" "))
                }
                "-" | "+" | "*" | "**" | "~" | "@" | "!" | "$"
                    if opens || last == "," || self.after_newline() =>
                {
                    (if last == "," { space } else { "" }, Some(""))
                }
                _ => (space, if airy { Some(" ") } else { None }),
            },
        }
    }

    /// Keeps two words, or a word and a number, apart; but not a column and its row.
    fn separate(&self, kind: Kind, blanks: &'s str) -> &'s str {
        let wordlike = |kind: Kind| matches!(kind, Kind::Word | Kind::Number);
        let last = self.last.as_ref().map_or(Kind::Newline, |(last, _)| *last);
        let is_cell = self.state.style.cells && (last, kind) == (Kind::Word, Kind::Number);
        let touch = wordlike(last) && wordlike(kind) && !is_cell;
        if blanks.is_empty() && touch { " " } else { blanks }
    }
}

/// Lexemes that stand right after the one before them.
fn hugs_left(raw: &str) -> bool {
    raw.is_empty()
        || matches!(raw, ")" | "]" | "}" | "," | ":" | ";" | "." | "(" | "[")
        || raw.starts_with('\n')
        || raw.starts_with('\r')
}

/// The kind of a lexeme that stands alone.
pub fn kind_of(text: &str, style: &LexStyle) -> Kind {
    if text.starts_with('\n') {
        return Kind::Newline;
    }
    lex(text, style).get(1).map_or(Kind::Other, |lexeme| lexeme.kind)
}

/// The fewest events that turn `before` into `after`, by Levenshtein distance on lexemes; blanks do
/// not count. `None` when more than `limit` rows of the table would be needed.
///
/// Common ends are trimmed first, the front before the back, so that of equal alignments the
/// rightmost is taken, always.
pub fn align(before: &State, after: &State, limit: usize) -> Option<Vec<Event>> {
    let xs: Vec<_> = (0..before.len()).map(|idx| before.lexeme(idx)).collect();
    let ys: Vec<_> = (0..after.len()).map(|idx| after.lexeme(idx)).collect();
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
    use crate::lang::{Language, powershell::PowerShell, python::Python};

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
        ] {
            check(before, after, after);
        }
    }

    #[test]
    fn blanks_go_around_braces_of_blocks() {
        for (before, after) in [
            ("if ($a)\n    b\n}\n", "if ($a) {\n    b\n}\n"),
            ("{ f -a b | g", "{ f -a b } | g"),
            ("$a -f Get-B", "$a -f (Get-B)"),
            ("f {}\nif ($a) { b\n", "f {}\nif ($a) { b }\n"),
            ("if ($a) {\n    b\nc\n", "if ($a) {\n    b\n}\nc\n"),
        ] {
            let [before, after] = [before, after].map(|text| State::new(text.to_owned(), PowerShell.style()));
            let events = align(&before, &after, 500).expect("short");
            assert_eq!(before.apply(&events), after.text, "{events:?}");
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
