//! Says where a text breaks the rules of its language, and which of the faults count.

use crate::lang::{Dialect, Fault, Language};

/// What the judge found in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// In the order of the text; empty means healthy.
    pub faults: Vec<Fault>,
    /// How many more were found on lines that ask to be left alone.
    pub n_ignored: usize,
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
    let end = text.trim_end().len();
    for fault in faults.iter_mut().filter(|fault| fault.span.start > end) {
        // What is noticed at the very end is missing after the last thing written.
        fault.span = end..end;
    }
    Diagnosis { n_ignored: n_found - faults.len(), faults }
}

fn line_at(text: &str, byte: usize) -> &str {
    let start = text[..byte].rfind('\n').map_or(0, |at| at + 1);
    text[start..].lines().next().unwrap_or_default()
}

/// Whether the line ends in a comment that opens with `words`.
fn comment_says(line: &str, marker: char, words: &str) -> bool {
    let Some((_, comment)) = line.rsplit_once(marker) else { return false };
    let Some(rest) = comment.trim_start().strip_prefix(words) else { return false };
    !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-')
}

/// Parsers that call themselves for each level would run out of stack beyond this many; Python
/// itself refuses far fewer.
pub const DEEPEST: usize = 5_000;

/// The stack that a thread needs to judge texts of at most [`DEEPEST`] levels.
pub const STACK: usize = 256 * 1024 * 1024;

/// At least how deep expressions of `text` can nest, by brackets or by chains such as `not not x` and
/// `a.b.c`: words and marks since the last comma, line end or statement that ends them.
pub fn nesting(text: &str) -> usize {
    if text.len() <= DEEPEST {
        return text.len();
    }
    // With each open bracket, the level that a comma inside it returns to.
    let mut open: Vec<usize> = Vec::new();
    let (mut level, mut deepest) = (0, 0);
    let (bytes, mut at) = (text.as_bytes(), 0);
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'\n' if open.is_empty() => level = 0,
            b'\n' if STATEMENTS.iter().any(|word| bytes[at..].starts_with(word)) => {
                open.clear();
                level = 0;
            }
            b' ' | b'\n' | b'\t' | b'\r' => {}
            b',' => level = open.last().copied().unwrap_or_default(),
            b'(' | b'[' | b'{' => {
                level += 1;
                open.push(level);
            }
            b')' | b']' | b'}' => drop(open.pop()),
            b'#' => at += bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or_default(),
            b'"' | b'\'' => at += quoted_len(&bytes[at..], *byte),
            byte if is_word(*byte) => {
                at += bytes[at..].iter().position(|byte| !is_word(*byte)).unwrap_or(bytes.len() - at);
                level += 1;
                // Strings with code in them are read as code.
                let is_prefix = bytes[start..at].iter().any(|byte| b"fFtT".contains(byte));
                at += usize::from(is_prefix && matches!(bytes.get(at), Some(b'"' | b'\'')));
            }
            _ => level += 1,
        }
        deepest = deepest.max(level);
    }
    deepest
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// The length of what follows a quote mark up to its partner; 0 when the line has none.
fn quoted_len(rest: &[u8], quote: u8) -> usize {
    let mut is_escaped = false;
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            b'\n' => return 0,
            byte if *byte == quote && !is_escaped => return at + 1,
            byte => is_escaped = *byte == b'\\' && !is_escaped,
        }
    }
    0
}

/// No expression goes on after these, whatever a quote or a stray bracket made of the text before.
const STATEMENTS: [&[u8]; 5] = [b"def ", b"class ", b"import ", b"from ", b"@"];

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
        check("# lastmile: ignore-file\nprint 'a'\nprint 'b'\n", 0, 2);
        check("print 'a'\nprint 'b'  # lastmile: ignore\n", 1, 1);
    }

    #[test]
    fn newer_grammar_is_no_fault() {
        check("match x:\n    case 1: pass\n", 0, 0);
        check("type A = int\n", 0, 0);
        check("try:\n    pass\nexcept A, B:\n    pass\n", 0, 0);
    }

    #[test]
    fn nesting_counts_brackets_and_chains() {
        assert!(nesting(&"x = f(1, 2)  # (\n".repeat(1000)) < 20);
        assert!(nesting(&format!("x = [{}]", "(1, '(a b'), ".repeat(1000))) < 20);
        for chain in ["(", "not ", "-", "a.", "a()", "+a\n(", "lambda: ", "x if y else ", "f'{"] {
            assert!(nesting(&chain.repeat(6000)) >= 6000, "{chain}");
        }
        assert!(nesting(&format!("(\n{}", "def f():\n    pass\n".repeat(1000))) < 20);
    }

    #[test]
    fn places_count_characters_from_one() {
        assert_eq!(place("é = (\n", 5), Place { line: 1, column: 5 });
        assert_eq!(place("a\nb", 2), Place { line: 2, column: 1 });
        assert_eq!(place("a\n", 99), Place { line: 2, column: 1 });
    }
}
