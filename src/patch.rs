//! Turns a repair into edits and a unified diff.

use std::fmt::Write as _;
use std::ops::Range;

use similar::{Algorithm, TextDiff, TextDiffConfig};

/// One replacement inside a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub span: Range<usize>,
    pub replacement: String,
}

impl Edit {
    /// The smallest edit that turns `before` into `after`.
    pub fn between(before: &str, after: &str) -> Self {
        let pairs = before.char_indices().zip(after.chars());
        let front = pairs.take_while(|((_, x), y)| x == y).last().map_or(0, |((at, x), _)| at + x.len_utf8());
        let back: usize = before[front..]
            .chars()
            .rev()
            .zip(after[front..].chars().rev())
            .take_while(|(x, y)| x == y)
            .map(|(x, _)| x.len_utf8())
            .sum();
        Self { span: front..before.len() - back, replacement: after[front..after.len() - back].to_owned() }
    }

    /// The same edit of a text in which `start` more bytes come first.
    #[must_use]
    pub fn shifted(mut self, start: usize) -> Self {
        self.span = self.span.start + start..self.span.end + start;
        self
    }

    /// `None` when the span leaves the text or splits a character of it.
    pub fn apply(&self, text: &str) -> Option<String> {
        Some([text.get(..self.span.start)?, &self.replacement, text.get(self.span.end..)?].concat())
    }

    /// This edit, made after `other`, as an edit of the text before `other`; `None` when they touch.
    pub fn before(&self, other: &Edit) -> Option<Edit> {
        let end = other.span.start + other.replacement.len();
        self.moved(other.span.start..end, other.span.len())
    }

    /// This edit, made beside `other`, as an edit of the text after `other`; `None` when they touch.
    pub fn after(&self, other: &Edit) -> Option<Edit> {
        self.moved(other.span.clone(), other.replacement.len())
    }

    /// The edit after `changed` became `len` bytes long.
    fn moved(&self, changed: Range<usize>, len: usize) -> Option<Edit> {
        if self.span.end < changed.start {
            return Some(self.clone());
        }
        if self.span.start <= changed.end {
            return None;
        }
        let place = |at: usize| at - changed.len() + len;
        Some(Edit {
            span: place(self.span.start)..place(self.span.end),
            replacement: self.replacement.clone(),
        })
    }
}

/// The lines from `first` on that a repair replaces, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineEdit {
    pub first: usize,
    /// How many lines go away; 0 when lines are only put before `first`.
    pub n_lines: usize,
    /// Whole lines, with their line ends.
    pub replacement: String,
}

/// The runs of lines in which two texts differ.
pub fn line_edits(before: &str, after: &str) -> Vec<LineEdit> {
    let (old, new) = (lines(before), lines(after));
    diff(&old, &new)
        .ops()
        .iter()
        .filter(|op| op.tag() != similar::DiffTag::Equal)
        .map(|op| LineEdit {
            first: op.old_range().start + 1,
            n_lines: op.old_range().len(),
            replacement: new[op.new_range()].concat(),
        })
        .collect()
}

/// The difference of two texts as `git apply` and `patch -p1` read it; empty when they are equal.
pub fn unified_diff(path: &str, before: &str, after: &str) -> String {
    let (old, new) = (lines(before), lines(after));
    let diff = diff(&old, &new);
    let mut out = String::new();
    // Written here and not by `similar`, which takes a lone carriage return at the end for a line end.
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        if out.is_empty() {
            let [from, to] = ["a", "b"].map(|side| quoted(&format!("{side}/{path}")));
            writeln!(out, "--- {from}\n+++ {to}").expect("a string takes all");
        }
        writeln!(out, "{}", hunk.header()).expect("a string takes all");
        for change in hunk.iter_changes() {
            write!(out, "{}{}", change.tag(), change.value()).expect("a string takes all");
            if !change.value().ends_with('\n') {
                out.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
    out
}

/// Lines end at `\n` alone: a lone carriage return is part of its line, as git sees it.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn diff<'t>(old: &'t [&'t str], new: &'t [&'t str]) -> TextDiff<'t, 't, str> {
    TextDiffConfig::default().algorithm(Algorithm::Patience).newline_terminated(true).diff_slices(old, new)
}

/// A path as git writes it in a header: quoted when it holds what could end the line, and with a tab
/// after it when it holds a blank.
fn quoted(path: &str) -> String {
    if !path.contains(|c: char| c.is_control() || c == '"' || c == '\\') {
        let end = if path.contains(' ') { "\t" } else { "" };
        return format!("{path}{end}");
    }
    let mut quoted = String::from("\"");
    for c in path.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_ascii_control() => quoted.extend(format!("\\{:03o}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str, expected: &str) {
        assert_eq!(unified_diff("f.py", before, after), expected);
    }

    #[test]
    fn diffs_read_as_git_writes_them() {
        check(
            "print((1)\n",
            "print((1))\n",
            "--- a/f.py\n+++ b/f.py\n@@ -1 +1 @@\n-print((1)\n+print((1))\n",
        );
        check("a\r\nb\r\n", "a\r\nc\r\n", "--- a/f.py\n+++ b/f.py\n@@ -1,2 +1,2 @@\n a\r\n-b\r\n+c\r\n");
        check(
            "x",
            "y",
            "--- a/f.py\n+++ b/f.py\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+y\n\\ No newline at end of file\n",
        );
        check(
            "f(\r",
            "f()\r",
            "--- a/f.py\n+++ b/f.py\n@@ -1 +1 @@\n-f(\r\n\\ No newline at end of file\n+f()\r\n\\ No newline at end of file\n",
        );
        check("same\n", "same\n", "");
    }

    #[test]
    fn odd_paths_are_quoted() {
        assert_eq!(quoted("a/tab\tand \"quotes\""), "\"a/tab\\tand \\\"quotes\\\"\"");
        assert_eq!(quoted("a/plain.py"), "a/plain.py");
        assert_eq!(quoted("a/two words.py"), "a/two words.py\t");
    }

    #[test]
    fn edits_are_smallest_and_keep_characters_whole() {
        let edit = Edit::between("é = (1\n", "é = (1)\n");
        assert_eq!(edit, Edit { span: 7..7, replacement: ")".to_owned() });
        assert_eq!(Edit::between("aa", "aaa"), Edit { span: 2..2, replacement: "a".to_owned() });
        assert_eq!(edit.apply("é = (1\n").as_deref(), Some("é = (1)\n"));
        assert_eq!(Edit { span: 1..1, replacement: String::new() }.apply("é"), None);
    }

    #[test]
    fn edits_move_with_their_neighbours() {
        let first = Edit { span: 2..3, replacement: "long".to_owned() };
        let second = Edit { span: 10..12, replacement: "y".to_owned() };
        let back = second.before(&first).expect("apart");
        assert_eq!(back.span, 7..9);
        assert_eq!(back.after(&first), Some(second.clone()));
        assert_eq!(Edit { span: 5..6, ..second }.before(&first), None);
    }

    #[test]
    fn line_edits_name_whole_lines() {
        let edits = line_edits("a\nb\nc\n", "a\nB\nc\nd\n");
        let expected = [(2, 1, "B\n"), (4, 0, "d\n")];
        let found: Vec<_> = edits.iter().map(|e| (e.first, e.n_lines, e.replacement.as_str())).collect();
        assert_eq!(found, expected);
    }
}
