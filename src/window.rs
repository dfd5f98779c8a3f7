//! Cuts whole lines around a fault, few enough for the model, out of a text of any size.

use std::ops::Range;

use crate::lang::Fault;
use crate::lexeme::{Bracket, Hint, Kind, LexStyle, Lexeme, Zone, hints, lex};

/// A text that is no longer than this many lexemes is one window: a few less than the model reads, since
/// repairs add some.
const WHOLE: usize = 240;
/// A window is filled up with lines around the fault to this many lexemes.
const FILLED: usize = 200;
/// A line with more lexemes than this is not given to the model.
const LONGEST_LINE: usize = 512;
/// The judge of the engine reads the whole text up to this many bytes.
const WHOLE_REGION: usize = 6 * 1024;

/// What the engine may change, and what its judge reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Bytes of the text that may change: whole lines.
    pub span: Range<usize>,
    /// Bytes of the text around them that make sense alone: whole lines.
    pub region: Range<usize>,
}

/// A text as lines that hold lexemes.
pub struct Lines<'t> {
    text: &'t str,
    style: &'static LexStyle,
    lexemes: Vec<Lexeme>,
    /// Where each line starts, and where the text ends.
    starts: Vec<usize>,
    /// How many lexemes start before each line, and in all.
    counts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub fn new(text: &'t str, style: &'static LexStyle) -> Self {
        let lexemes = lex(text, style);
        let mut starts = vec![0];
        starts.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1));
        if starts.last() != Some(&text.len()) {
            starts.push(text.len());
        }
        let before = |start: &usize| lexemes.partition_point(|lexeme| lexeme.span.start < *start);
        let counts = starts.iter().map(before).collect();
        Self { text, style, lexemes, starts, counts }
    }

    /// The window around `fault`, or `None` when even its line is too long.
    pub fn window(&self, fault: &Fault) -> Option<Window> {
        if self.lexemes.len() <= WHOLE {
            return Some(self.with_region(0, self.len()));
        }
        let line = self.line_of(fault.span.start);
        let (mut first, mut end) = (line, line + 1);
        if self.count(first, end) > LONGEST_LINE {
            return None;
        }
        // Faults are noticed after they are made: two lines before for each line after.
        loop {
            let grown = (first, end);
            for _ in 0..2 {
                if first > 0 && self.count(first - 1, end) <= FILLED {
                    first -= 1;
                }
            }
            if end < self.len() && self.count(first, end + 1) <= FILLED {
                end += 1;
            }
            if grown == (first, end) {
                let (first, end) = self.without_torn_strings(first, line, end);
                return Some(self.with_region(first, end));
            }
        }
    }

    /// Windows for all lines with code in them, one after the other.
    pub fn cover(&self) -> Vec<Window> {
        let hints = self.hints();
        let has_code = |line: usize| {
            let end = self.counts.get(line + 1).copied().unwrap_or(self.lexemes.len());
            (self.counts[line]..end)
                .any(|idx| hints[idx].zone == Zone::Code && self.lexemes[idx].kind != Kind::Newline)
        };
        let mut windows = Vec::new();
        let mut first = 0;
        while let Some(start) = (first..self.len()).find(|line| has_code(*line)) {
            let mut end = start + 1;
            while end < self.len() && self.count(start, end + 1) <= WHOLE {
                end += 1;
            }
            if self.count(start, end) <= LONGEST_LINE {
                let last = (start..end).rev().find(|line| has_code(*line)).unwrap_or(start);
                windows.push(self.with_region(start, last + 1));
            }
            first = end;
        }
        windows
    }

    /// A second window for a fault that `tried` gave no repair for: it ends with the fault's line and
    /// reaches back to the bracket or the block that the fault is in. When that is too far, it lies at
    /// the bracket alone.
    pub fn earlier(&self, fault: &Fault, tried: &Window) -> Option<Window> {
        let line = self.line_of(fault.span.start);
        let end = line + 1;
        let opener = self.opener(line).unwrap_or(0);
        let mut first = line;
        while first > 0
            && self.count(first - 1, end) <= WHOLE
            && (first > opener || self.count(first - 1, end) <= FILLED)
        {
            first -= 1;
        }
        let bracket = self.unclosed(end).filter(|bracket| *bracket < first);
        if let Some(bracket) = bracket {
            let mut end = bracket + 1;
            while self.count(bracket, end + 1) <= FILLED / 2 {
                end += 1;
            }
            let too_long = self.count(bracket, end) > LONGEST_LINE;
            return (!too_long).then(|| self.with_region(bracket, end));
        }
        let too_long = self.count(first, end) > LONGEST_LINE;
        (self.starts[first] < tried.span.start && !too_long).then(|| self.with_region(first, end))
    }

    /// How many lines there are.
    fn len(&self) -> usize {
        (self.starts.len() - 1).max(1)
    }

    fn count(&self, first: usize, end: usize) -> usize {
        self.counts.get(end).unwrap_or(&self.lexemes.len()) - self.counts[first]
    }

    fn line_of(&self, byte: usize) -> usize {
        let line = self.starts.partition_point(|start| *start <= byte).saturating_sub(1).min(self.len() - 1);
        (0..=line).rev().find(|line| !self.line(*line).trim().is_empty()).unwrap_or(line)
    }

    fn line(&self, idx: usize) -> &'t str {
        &self.text[self.starts[idx]..self.start(idx + 1)]
    }

    fn start(&self, line: usize) -> usize {
        self.starts.get(line).copied().unwrap_or(self.text.len())
    }

    /// Leaves out lines before and after `line` that belong to a string which the window would cut: half
    /// a docstring reads like broken code.
    fn without_torn_strings(&self, first: usize, line: usize, end: usize) -> (usize, usize) {
        let hints = self.hints();
        let inside = |line: usize| {
            let opener = self.counts.get(line).and_then(|count| count.checked_sub(1));
            line > 0 && opener.is_some_and(|idx| hints[idx].zone == Zone::Text)
        };
        let start = (first..=line).find(|line| !inside(*line)).unwrap_or(first);
        let stop = (line + 2..=end).rev().find(|line| !inside(*line)).unwrap_or(end);
        (start, stop)
    }

    fn hints(&self) -> Vec<Hint> {
        hints(self.text, &self.lexemes, self.style)
    }

    /// The line of the last bracket before the end of `line` that is not closed, or else the line that
    /// opens the block around it.
    fn opener(&self, line: usize) -> Option<usize> {
        let bracket = self.unclosed(line + 1);
        if bracket.is_some() {
            return bracket;
        }
        let depth = indent(self.line(line));
        (0..line).rev().find(|above| {
            let text = self.line(*above);
            !text.trim().is_empty() && indent(text) < depth
        })
    }

    /// The line of the last bracket before the line `end` that is not closed.
    fn unclosed(&self, end: usize) -> Option<usize> {
        let n_before = self.counts.get(end).copied().unwrap_or(self.lexemes.len());
        let idx = self.hints()[..n_before].iter().rposition(|hint| hint.bracket == Bracket::Unclosed)?;
        Some(self.line_of(self.lexemes[idx].span.start))
    }

    fn with_region(&self, first: usize, end: usize) -> Window {
        let span = self.starts[first]..self.start(end);
        if self.text.len() <= WHOLE_REGION {
            return Window { span, region: 0..self.text.len() };
        }
        let hints = self.hints();
        let above = (0..=first).rev().find(|line| self.stands_alone(*line, &hints)).unwrap_or(0);
        let below = (end..self.len()).find(|line| self.stands_alone(*line, &hints)).unwrap_or(self.len());
        Window { span, region: self.starts[above]..self.start(below) }
    }

    /// Whether a statement of the outermost level starts on the line, as far as that shows.
    fn stands_alone(&self, line: usize, hints: &[Hint]) -> bool {
        let text = self.line(line);
        let opens = text.starts_with(|c: char| c.is_alphabetic() || "_@$[".contains(c));
        let continues = ["else", "elif", "except", "finally", "catch", "in", "and", "or"];
        let word = text.split(|c: char| c != '_' && !c.is_alphanumeric()).next().unwrap_or_default();
        let idx = self.counts[line];
        let is_code = hints.get(idx).is_none_or(|hint| hint.zone == Zone::Code)
            && self.lexemes.get(idx).is_none_or(|lexeme| lexeme.kind != Kind::Quote);
        opens && is_code && !continues.contains(&word)
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::{Language, python::Python};
    use proptest::prelude::*;

    fn fault(text: &str, find: &str) -> Fault {
        let at = text.find(find).expect("`find` occurs");
        Fault { span: at..at, message: String::new(), code: 1 }
    }

    fn numbered(n_lines: usize) -> String {
        (0..n_lines).map(|line| format!("x{line} = f({line}, {line})\n")).collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_short_text_is_one_window() {
        let text = numbered(20);
        let window = Lines::new(&text, Python.style()).window(&fault(&text, "x3"));
        assert_eq!(window, Some(Window { span: 0..text.len(), region: 0..text.len() }));
    }

    #[test]
    fn a_long_text_is_cut_with_more_before_than_after() {
        let text = numbered(5000);
        let lines = Lines::new(&text, Python.style());
        let window = lines.window(&fault(&text, "x2500 ")).expect("short lines");
        let cut = &text[window.span.clone()];
        assert!(cut.starts_with("x2486 =") && cut.ends_with("x2507 = f(2507, 2507)\n"), "{cut}");
        assert!(lex(cut, Python.style()).len() <= FILLED + 1);
        assert_eq!(window.region, window.span);
    }

    #[test]
    fn a_window_does_not_cut_a_docstring() {
        let words = format!("{}\n", "word ".repeat(30)).repeat(20);
        let text = format!(
            "def f():\n    \"\"\"\n{words}    \"\"\"\n    return g(\n\n\ndef h():\n    \"\"\"\n{words}\"\"\"\n"
        );
        let window = Lines::new(&text, Python.style()).window(&fault(&text, "return")).expect("short lines");
        assert_eq!(&text[window.span], "    return g(\n\n\ndef h():\n");
    }

    #[test]
    fn the_region_reaches_to_the_outermost_level() {
        let body: String = (0..900)
            .map(|line| format!("    y{line} = g({line}, 'some text')\n"))
            .collect::<Vec<_>>()
            .concat();
        let text = format!("import a\n\ndef f():\n{body}else_ = 1\ndef h():\n    pass\n");
        let lines = Lines::new(&text, Python.style());
        let window = lines.window(&fault(&text, "y450 ")).expect("short lines");
        let region = &text[window.region];
        assert!(region.starts_with("def f():\n") && region.ends_with("'some text')\n"), "{region}");
    }

    #[test]
    fn the_second_window_reaches_back_to_the_open_bracket() {
        let items: String =
            (0..30).map(|item| format!("    'k{item}': {item},\n")).collect::<Vec<_>>().concat();
        let text = format!("{}d = {{\n{items}\ndef f():\n    pass\n{}", numbered(40), numbered(40));
        let fault = fault(&text, "def");
        let lines = Lines::new(&text, Python.style());
        let tried = lines.window(&fault).expect("short lines");
        let second = lines.earlier(&fault, &tried).expect("starts earlier");
        assert!(second.span.start < tried.span.start);
        assert!(text[second.span].ends_with("def f():\n"));
    }

    #[test]
    fn a_bracket_that_is_too_far_gets_a_window_of_its_own() {
        let items: String =
            (0..90).map(|item| format!("    'k{item}': {item},\n")).collect::<Vec<_>>().concat();
        let text = format!("{}d = {{\n{items}\ndef f():\n    pass\n{}", numbered(40), numbered(40));
        let fault = fault(&text, "def");
        let lines = Lines::new(&text, Python.style());
        let tried = lines.window(&fault).expect("short lines");
        let second = lines.earlier(&fault, &tried).expect("starts earlier");
        assert!(text[second.span].starts_with("d = {\n"));
    }

    #[test]
    fn windows_cover_all_code() {
        let text = format!("{}\"\"\"\n{}\"\"\"\n", numbered(40), "word ".repeat(400));
        let windows = Lines::new(&text, Python.style()).cover();
        let ends: Vec<&str> = windows
            .iter()
            .map(|window| text[window.span.clone()].lines().next_back().unwrap_or_default())
            .collect();
        assert_eq!(windows.iter().map(|window| window.span.start).min(), Some(0));
        assert!(windows.len() > 1 && windows.is_sorted_by_key(|window| window.span.start), "{windows:?}");
        assert_eq!(ends.last(), Some(&"x39 = f(39, 39)"));
    }

    #[test]
    fn a_line_of_thousands_of_lexemes_is_refused() {
        let text = format!("x = [{}\n", "1, ".repeat(2000));
        assert_eq!(Lines::new(&text, Python.style()).window(&fault(&text, "x")), None);
    }

    proptest! {
        #[test]
        fn windows_are_whole_lines(text in "[a(\n\r:'\" é]{0,2000}", at in 0usize..2000) {
            let at = text.floor_char_boundary(at);
            let lines = Lines::new(&text, Python.style());
            let fault = Fault { span: at..at, message: String::new(), code: 1 };
            let first = lines.window(&fault);
            let second = first.as_ref().and_then(|window| lines.earlier(&fault, window));
            for window in first.into_iter().chain(second) {
                let is_start = |at: usize| at == 0 || at == text.len() || text.as_bytes()[at - 1] == b'\n';
                prop_assert!(is_start(window.span.start) && is_start(window.span.end));
                prop_assert!(window.region.start <= window.span.start && window.span.end <= window.region.end);
            }
        }
    }
}
