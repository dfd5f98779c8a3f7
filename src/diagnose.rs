//! Says where a text breaks the rules of its language, and which of the faults count.

use crate::lang::{Dialect, Fault, Language};

/// What the judge found in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// In the order of the text; empty means healthy.
    pub faults: Vec<Fault>,
    /// How many more were found on lines that ask to be left alone.
    pub n_ignored: usize,
    /// The faults are merge conflicts, each at the line that opens it. What else may be wrong is not told.
    pub is_conflict: bool,
}

/// Finds the faults of `text`. The newest grammar decides, whatever the project is written for: a
/// file that some Python accepts is never called broken.
pub fn diagnose(text: &str, language: &dyn Language) -> Diagnosis {
    let mut faults = language.faults(text, Dialect::default());
    let n_found = faults.len();
    let marker = language.style().comment;
    if n_found > 0
        && let Some(marker) = marker
        && text.contains("lastmile: ignore")
    {
        if text.lines().any(|line| comment_says(line, marker, "lastmile: ignore-file")) {
            faults.clear();
        }
        faults.retain(|fault| !comment_says(line_at(text, fault.span.start), marker, "lastmile: ignore"));
    }
    if !faults.is_empty() {
        let conflicts = conflicts(text);
        if !conflicts.is_empty() {
            return Diagnosis { n_ignored: n_found - faults.len(), faults: conflicts, is_conflict: true };
        }
    }
    let end = text.trim_end().len();
    for fault in faults.iter_mut().filter(|fault| fault.span.start > end) {
        // What is noticed at the very end is missing after the last thing written.
        fault.span = end..end;
    }
    Diagnosis { n_ignored: n_found - faults.len(), faults, is_conflict: false }
}

/// The lines that ask to be left alone.
pub fn left_alone<'t>(text: &'t str, language: &dyn Language) -> Vec<&'t str> {
    let marker = language.style().comment.filter(|_| text.contains("lastmile: ignore"));
    let says = |line: &&str| marker.is_some_and(|marker| comment_says(line, marker, "lastmile: ignore"));
    text.lines().filter(says).collect()
}

/// Both sides of a merge that git left for a person to choose from.
fn conflicts(text: &str) -> Vec<Fault> {
    let (mut conflicts, mut opened, mut is_divided) = (Vec::new(), None, false);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let word = line.trim_end();
        if word == "<<<<<<<" || word.starts_with("<<<<<<< ") {
            (opened, is_divided) = (Some(start..start + word.len()), false);
        } else if word == "=======" {
            is_divided = true;
        } else if (word == ">>>>>>>" || word.starts_with(">>>>>>> ")) && is_divided {
            let message = "merge conflict that is not resolved".to_owned();
            conflicts.extend(opened.take().map(|span| Fault { span, message, code: 1 }));
        }
        start += line.len();
    }
    conflicts
}

fn line_at(text: &str, byte: usize) -> &str {
    let start = text[..byte].rfind('\n').map_or(0, |at| at + 1);
    text[start..].lines().next().unwrap_or_default()
}

/// Whether the line holds a comment that opens with `words`; other tools' words may stand before and after it.
fn comment_says(line: &str, marker: char, words: &str) -> bool {
    line.split(marker).skip(1).any(|comment| {
        let rest = comment.trim_start().strip_prefix(words);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-'))
    })
}

/// A place as people count it: lines and characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// The place of a byte of `text`; past its end, the end.
pub fn place(text: &str, byte: usize) -> Place {
    let before = &text[..byte.min(text.len())];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    Place {
        line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: before[start..].chars().count() + 1,
    }
}

/// So many of what `one` names, as in `1 file` and `2 files`.
pub fn counted(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::python::Python;

    #[track_caller]
    fn check(text: &str, n_faults: usize, n_ignored: usize) {
        let diagnosis = diagnose(text, &Python);
        assert_eq!((diagnosis.faults.len(), diagnosis.n_ignored), (n_faults, n_ignored), "{diagnosis:?}");
    }

    #[test]
    fn comments_can_silence_faults() {
        check("print 'a'\n", 1, 0);
        check("print 'a'  # lastmile: ignore\n", 0, 1);
        check("print 'a'  # lastmile: ignore, Python 2 on purpose\n", 0, 1);
        check("print 'a'  # lastmile: ignored\n", 1, 0);
        check("print 'a'  # noqa # lastmile: ignore # type: ignore\n", 0, 1);
        check("# lastmile: ignore-file\nprint 'a'\nprint 'b'\n", 0, 2);
        check("print 'a'\nprint 'b'  # lastmile: ignore\n", 1, 1);
    }

    #[test]
    fn a_conflict_is_one_fault() {
        let conflict = "<<<<<<< HEAD\nb = 2\n||||||| base\nb = 0\n=======\nb = 3\n>>>>>>> other\n";
        let text = format!("a = 1\n{conflict}c = (\n{conflict}").replace('\n', "\r\n");
        let diagnosis = diagnose(&text, &Python);
        let places: Vec<_> =
            diagnosis.faults.iter().map(|fault| place(&text, fault.span.start).line).collect();
        assert_eq!((diagnosis.is_conflict, places), (true, vec![2, 10]));
        check(&format!("x = \"\"\"\n{conflict}\"\"\"\n"), 0, 0);
        let is_conflict = |text: &str| diagnose(text, &Python).is_conflict;
        assert!(!is_conflict("<<<<<<< HEAD\na = 1\n=======\n"), "half of one is a slip like others");
        assert!(!is_conflict("=======\n>>>>>>> other\n"));
    }

    #[test]
    fn newer_grammar_is_no_fault() {
        check("match x:\n    case 1: pass\n", 0, 0);
        check("type A = int\n", 0, 0);
        check("try:\n    pass\nexcept A, B:\n    pass\n", 0, 0);
    }

    #[test]
    fn places_count_characters_from_one() {
        assert_eq!(place("é = (\n", 5), Place { line: 1, column: 5 });
        assert_eq!(place("a\nb", 2), Place { line: 2, column: 1 });
        assert_eq!(place("a\n", 99), Place { line: 2, column: 1 });
    }
}
