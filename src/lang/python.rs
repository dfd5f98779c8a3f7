//! Python: ruff's parser is the judge.

use std::ops::Range;

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{Mod, PythonVersion};
use ruff_python_parser::{
    Mode, ParseError, ParseErrorType, ParseOptions, Parsed, UnsupportedSyntaxError,
    UnsupportedSyntaxErrorKind, parse_unchecked,
};
use ruff_text_size::{Ranged, TextSize};

use super::{Dialect, Fault, Language};
use crate::lexeme::{LexStyle, LongStrings, lex};

pub struct Python;

static STYLE: LexStyle = LexStyle {
    marks: &[
        ">>>", "**=", "//=", ">>=", "<<=", "...", "===", "!==", "==", "!=", ">=", "<=", "->", ":=", "+=",
        "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@=", "**", "//", "<<", ">>", "<>", "=>", "&&", "||", "++",
        "--",
    ],
    sigils: "",
    joiners: "",
    quotes: "'\"",
    long_strings: LongStrings::Triple,
    phrases: &["else if"],
    quote_prefixes: &["r", "b", "f", "u", "R", "B", "F", "U", "rb", "br", "fr", "rf"],
    keywords: &[
        "and", "as", "assert", "await", "del", "elif", "else", "except", "for", "from", "if", "import", "in",
        "is", "lambda", "not", "or", "raise", "return", "while", "with", "yield",
    ],
    escape: Some('\\'),
    comment: Some('#'),
    airy: true,
    commands: false,
    cells: false,
    block_comment: None,
};

impl Language for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["py", "pyi", "pyw"]
    }

    fn judge(&self) -> &'static str {
        "ruff's parser"
    }

    fn is_run_by(&self, program: &str) -> bool {
        program.starts_with("python") || program.starts_with("pypy")
    }

    fn faults(&self, text: &str, dialect: Dialect) -> Vec<Fault> {
        let parsed = parse(text, version(dialect));
        let fault = |error: &ParseError| Fault {
            span: span(text, error),
            message: error.error.to_string(),
            code: code(&error.error),
        };
        let mut faults: Vec<Fault> = parsed.errors().iter().map(fault).collect();
        // The parser notices what is wrong with a target only after what follows it.
        faults.sort_by_key(|fault| fault.span.start);
        if faults.is_empty() && text.contains('\t') {
            faults.extend(mixed_indentation(text, &parsed));
        }
        faults
    }

    fn flaws(&self, text: &str, dialect: Dialect) -> Vec<Fault> {
        let mut flaws = self.faults(text, dialect);
        if flaws.is_empty() && text.contains("except") {
            // Python 2's `except A, e:` parses since 3.14 and means something else.
            let target = dialect.target.map_or(BEFORE_BARE_EXCEPT, |_| version(dialect));
            let parsed = parse(text, target);
            let bare = |error: &&UnsupportedSyntaxError| {
                error.kind == UnsupportedSyntaxErrorKind::UnparenthesizedExceptionTypes
            };
            flaws.extend(parsed.unsupported_syntax_errors().iter().filter(bare).map(|error| Fault {
                span: span(text, error),
                message: "multiple exception types must be parenthesized".to_owned(),
                code: 42,
            }));
        }
        flaws
    }

    fn accepts(&self, before: &str, after: &str, dialect: Dialect) -> bool {
        if !self.flaws(after, dialect).is_empty() {
            return false;
        }
        let target = dialect.target.map_or(OLDEST, |_| version(dialect));
        let newer = |text: &str| parse(text, target).unsupported_syntax_errors().len();
        let left = newer(after);
        left == 0 || left <= newer(before)
    }

    /// A negation that goes turns a condition round: `a !== b` is no `a == b`. Nor is `a => b`, or `a =< b` an `a < b`. And a
    /// bracket or a mark may have been meant: `f((a, b)`, `a?.b`, `-a = 1` in a pasted diff.
    fn is_in_doubt(&self, before: &str, after: &str) -> bool {
        let negates = |raw: &str| raw.contains('!') || matches!(raw, "<>" | "not");
        let orders = |raw: &str, next: &str| {
            matches!(raw, "<=" | ">=" | "=>") || matches!((raw, next), ("=", "<" | ">") | ("<" | ">", "="))
        };
        let opens = |raw: &str| matches!(raw, "(" | "[" | "{");
        // `a?.b`, and what a diff puts before a line.
        let is_foreign = |raw: &str, next: &str| {
            raw == "?" || (raw.is_empty() || raw.starts_with('\n')) && matches!(next, "-" | "+")
        };
        let counts = |text: &str| {
            let lexemes = lex(text, &STYLE);
            let mut counts = [0; 4];
            for (idx, lexeme) in lexemes.iter().enumerate() {
                let raw = &text[lexeme.span.clone()];
                let next = lexemes.get(idx + 1).map_or("", |next| &text[next.span.clone()]);
                let said = [negates(raw), orders(raw, next), opens(raw), is_foreign(raw, next)];
                counts.iter_mut().zip(said).for_each(|(count, is_said)| *count += usize::from(is_said));
            }
            counts
        };
        counts(before).iter().zip(counts(after)).any(|(before, after)| after < *before)
    }

    fn declared_encoding(&self, bytes: &[u8]) -> Option<String> {
        coding_line(bytes)
    }

    fn is_too_deep(&self, text: &str) -> bool {
        nesting(text) > DEEPEST
    }

    fn style(&self) -> &'static LexStyle {
        &STYLE
    }
}

/// The last version that refuses `except A, e:`.
const BEFORE_BARE_EXCEPT: PythonVersion = PythonVersion { major: 3, minor: 13 };

/// A repair may not need a newer Python than this one, unless the file or its project already does.
const OLDEST: PythonVersion = PythonVersion { major: 3, minor: 8 };

fn version(dialect: Dialect) -> PythonVersion {
    dialect.target.map_or(PythonVersion::latest(), |(major, minor)| PythonVersion { major, minor })
}

fn parse(text: &str, target: PythonVersion) -> Parsed<Mod> {
    parse_unchecked(text, ParseOptions::from(Mode::Module).with_target_version(target))
}

/// Where something lies in the text, on character boundaries.
fn span(text: &str, ranged: &impl Ranged) -> Range<usize> {
    let place = |at: TextSize| text.floor_char_boundary(at.to_usize());
    let start = place(ranged.start());
    start..place(ranged.end()).max(start)
}

/// Lines whose indentation means one thing with tabs of eight columns and another with tabs of one:
/// Python refuses them; ruff, whose tabs are narrower, may not.
fn mixed_indentation(text: &str, parsed: &Parsed<Mod>) -> Option<Fault> {
    // The parser passes over a byte order mark, which is no blank either.
    let mark = text.len() - text.strip_prefix('\u{feff}').unwrap_or(text).len();
    let mut open: Vec<(usize, usize)> = vec![(0, 0)];
    let mut at_start = true;
    for token in parsed.tokens() {
        match token.kind() {
            TokenKind::Newline => at_start = true,
            TokenKind::NonLogicalNewline | TokenKind::Comment | TokenKind::Indent | TokenKind::Dedent => {}
            _ if at_start => {
                at_start = false;
                let end = span(text, token).start;
                let start = text[..end].rfind(['\n', '\r']).map_or(mark, |at| at + 1);
                let here = columns(&text[start..end]);
                let depth = open.len();
                open.retain(|level| level.0 <= here.0);
                let closes = open.len() < depth;
                let last = *open.last().unwrap_or(&(0, 0));
                let agrees = if last.0 == here.0 { last.1 == here.1 } else { !closes && last.1 < here.1 };
                if !agrees {
                    let message = "inconsistent use of tabs and spaces in indentation".to_owned();
                    return Some(Fault { span: start..end, message, code: 43 });
                }
                if here.0 > last.0 {
                    open.push(here);
                }
            }
            _ => {}
        }
    }
    None
}

/// Width of an indentation with tabs to every eighth column, and with tabs of one.
fn columns(indent: &str) -> (usize, usize) {
    indent.chars().fold((0, 0), |(wide, narrow), c| match c {
        '\t' => (wide / 8 * 8 + 8, narrow + 1),
        '\x0c' => (0, 0),
        _ => (wide + 1, narrow + 1),
    })
}

/// The encoding named in a comment on one of the first two lines (PEP 263).
fn coding_line(bytes: &[u8]) -> Option<String> {
    for line in bytes.split(|byte| *byte == b'\n').take(2) {
        let line = line.trim_ascii_start();
        if !line.is_empty() && !line.starts_with(b"#") {
            return None;
        }
        // The name and what leads to it are ASCII, whatever the rest of the line is.
        let line = String::from_utf8_lossy(line);
        for (at, _) in line.match_indices("coding") {
            let Some(rest) = line[at + "coding".len()..].strip_prefix([':', '=']) else { continue };
            let name: String = rest
                .trim_start_matches([' ', '\t'])
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
                .collect();
            if !name.is_empty() {
                return Some(name);
            }
        }
    }
    None
}

/// The parser calls itself for each level and would run out of [`super::STACK`] beyond this many;
/// Python itself refuses far fewer.
const DEEPEST: usize = 5_000;

/// At least how deep expressions of `text` can nest, by brackets or by chains such as `not not x` and
/// `a.b.c`: words and marks since the last comma, line end or statement that ends them.
fn nesting(text: &str) -> usize {
    if text.len() <= DEEPEST {
        return text.len();
    }
    // With each open bracket, the level that a comma inside it returns to.
    let mut open: Vec<usize> = Vec::new();
    let (mut level, mut deepest) = (0, 0);
    // Of either quote mark, up to where it has no partner.
    let mut alone = [0, 0];
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
            b'"' | b'\'' => {
                let alone = &mut alone[usize::from(*byte == b'"')];
                if at >= *alone {
                    match quoted_len(&bytes[at..], *byte) {
                        Ok(length) => at += length,
                        Err(length) => *alone = at + length,
                    }
                }
            }
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
        if deepest > DEEPEST {
            break;
        }
    }
    deepest
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// The length of what follows a quote mark up to its partner; when the line has none, up to its end.
fn quoted_len(rest: &[u8], quote: u8) -> Result<usize, usize> {
    let mut is_escaped = false;
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            b'\n' => return Err(at),
            byte if *byte == quote && !is_escaped => return Ok(at + 1),
            byte => is_escaped = *byte == b'\\' && !is_escaped,
        }
    }
    Err(rest.len())
}

/// No expression goes on after these, whatever a quote or a stray bracket made of the text before.
const STATEMENTS: [&[u8]; 5] = [b"def ", b"class ", b"import ", b"from ", b"@"];

/// Numbers the kinds of parse error; the model learns what each tends to mean. Part of the checkpoint
/// format: append, never renumber.
fn code(error: &ParseErrorType) -> u8 {
    use ParseErrorType as E;
    use TokenKind as T;
    match error {
        E::ExpectedToken { expected, .. } => match expected {
            T::Colon => 2,
            T::Rpar => 3,
            T::Lpar => 4,
            T::Rsqb => 5,
            T::Rbrace => 6,
            T::Comma => 7,
            T::In => 8,
            T::Newline => 9,
            T::Indent => 10,
            T::Import => 11,
            T::Else => 12,
            T::Equal => 13,
            _ => 14,
        },
        E::ExpectedExpression => 15,
        E::UnexpectedIndentation => 16,
        E::SimpleStatementsOnSameLine => 17,
        E::SimpleAndCompoundStatementOnSameLine => 18,
        E::UnexpectedExpressionToken => 19,
        E::Lexical(lexical) => {
            let message = lexical.to_string();
            match () {
                () if message.contains("missing closing quote") => 20,
                () if message.contains("indent") => 21,
                () if message.contains("Got unexpected") => 22,
                () if message.contains("line continuation") => 23,
                () => 24,
            }
        }
        E::InvalidAssignmentTarget => 25,
        E::InvalidAugmentedAssignmentTarget | E::InvalidNamedAssignmentTarget => 26,
        E::InvalidAnnotatedAssignmentTarget => 27,
        E::PositionalAfterKeywordArgument | E::PositionalAfterKeywordUnpacking => 28,
        E::UnparenthesizedTupleExpression | E::UnparenthesizedGeneratorExpression => 29,
        E::NonDefaultParamAfterDefaultParam => 30,
        E::InvalidStarredExpressionUsage => 31,
        E::EmptyImportNames => 32,
        E::EmptySlice => 33,
        E::FStringError(_) | E::TStringError(_) => 34,
        E::UnexpectedIpythonEscapeCommand => 35,
        E::InvalidDeleteTarget => 36,
        E::OtherError(message) => match message.as_str() {
            m if m.contains("indented block") => 37,
            m if m.contains("except") || m.contains("finally") => 38,
            m if m.contains("Unexpected token") => 39,
            m if m.contains("statement") => 40,
            _ => 41,
        },
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[track_caller]
    fn check(text: &str, faults: bool, flaws: bool) {
        assert_eq!(!Python.faults(text, Dialect::default()).is_empty(), faults, "{text:?}");
        assert_eq!(!Python.flaws(text, Dialect::default()).is_empty(), flaws, "{text:?}");
    }

    #[test]
    fn what_a_repair_may_not_leave_behind() {
        check("x = 1\n", false, false);
        check("x = (\n", true, true);
        check("try:\n    f()\nexcept A, e:\n    pass\n", false, true);
        check("try:\n    f()\nexcept (A, e):\n    pass\n", false, false);
        check("if x:\n\ty\n\tz\n", false, false);
        check("if x:\n        y\n\tz\n", true, true);
        check("class A:\n\tdef f():\n    \ty\n", true, true);
        check("class A:\n\tdef f():\n    y\n", true, true);
        check("def f(x):\n\tif x:\n        return 1\n\treturn 2\n", true, true);
        check("if x:\n    y = (1,\n\t2)\n", false, false);
        check("f(1)\rif x:\r\ty\r", false, false);
    }

    #[test]
    fn a_condition_turned_round_is_in_doubt() {
        let is_in_doubt = |before, after| Python.is_in_doubt(before, after);
        assert!(is_in_doubt("if x !== 1: f(\n", "if x == 1: f()\n"));
        assert!(is_in_doubt("assert x ! 3\n", "assert x == 3\n"));
        assert!(is_in_doubt("return a <> b\n", "return a == b\n"));
        assert!(is_in_doubt("if x not y:\n", "if x in y:\n"));
        assert!(is_in_doubt("f((a, b)\n", "f(a, b)\n"));
        assert!(is_in_doubt("return a?.b\n", "return a.b\n"));
        assert!(is_in_doubt("-x = 1\n+x = 2\n", "x = 1\nx = 2\n"));
        assert!(is_in_doubt("+x = 1\n", "x = 1\n"));
        assert!(!is_in_doubt("f((a, b)\n", "f((a, b))\n"));
        assert!(is_in_doubt("if x => 1:\n", "if x == 1:\n"));
        assert!(is_in_doubt("if x =< 1:\n", "if x < 1:\n"));
        assert!(is_in_doubt("if x > = 1:\n", "if x > 1:\n"));
        assert!(!is_in_doubt("if x => 1:\n", "if x >= 1:\n"));
        assert!(!is_in_doubt("if x =< 1:\n", "if x <= 1:\n"));
        assert!(!is_in_doubt(">>> if x > 1\n", "if x > 1:\n"));
        assert!(!is_in_doubt("if x !== 1:\n", "if x != 1:\n"));
        assert!(!is_in_doubt("if a <> b:\n", "if a != b:\n"));
        assert!(!is_in_doubt("if ! x:\n", "if not x:\n"));
        assert!(!is_in_doubt("print(not so!')\n", "print('not so!')\n"));
    }

    #[test]
    fn a_byte_order_mark_changes_nothing_but_the_places() {
        for text in [
            "x = (\n",
            "é = (\n",
            "try:\n    f()\nexcept A, e:\n    pass\n",
            "if x:\n        y\n\tz\n",
            "class A:\n\tdef f():\n    y\n",
            "if x:\n\ty\n",
        ] {
            let mut expected = Python.flaws(text, Dialect::default());
            for fault in &mut expected {
                fault.span = fault.span.start + 3..fault.span.end + 3;
            }
            assert_eq!(Python.flaws(&format!("\u{feff}{text}"), Dialect::default()), expected, "{text:?}");
        }
        check("\u{feff}\u{feff}x = 1\n", true, true);
    }

    #[test]
    fn faults_come_in_the_order_of_the_text() {
        let faults = Python.faults("x = [\n@@ b.py\n-n = [\n+n = []\n", Dialect::default());
        assert!(faults.len() > 2 && faults.is_sorted_by_key(|fault| fault.span.start), "{faults:?}");
    }

    #[test]
    fn a_repair_asks_for_no_newer_python_than_the_file_did() {
        let accepts = |before: &str, after: &str| Python.accepts(before, after, Dialect::default());
        assert!(accepts("x = (1\n", "x = (1)\n"));
        assert!(!accepts("type x = 1 +\n", "x = f'{a['b']}'\ntype x = 1\ntype y = 2\n"));
        assert!(!accepts("x = 1 +\n", "type x = 1\n"));
    }

    #[test]
    fn scripts_are_known_by_the_program_that_runs_them() {
        for line in
            ["#!/usr/bin/env python3", "#!/usr/bin/python -u", "#! /usr/bin/env -S A=b pypy3", "#!python\r\n"]
        {
            assert!(Python.recognises(Path::new("x"), line.as_bytes()), "{line}");
        }
        for line in ["#!/opt/python-tools/bin/bash", "#!/bin/sh -e python wrapper", "#!", "#!/usr/bin/env"] {
            assert!(!Python.recognises(Path::new("x"), line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn nesting_counts_brackets_and_chains() {
        assert!(nesting(&"x = f(1, 2)  # (\n".repeat(1000)) < 20);
        assert!(nesting(&format!("x = [{}]", "(1, '(a b'), ".repeat(1000))) < 20);
        for chain in ["(", "not ", "-", "a.", "a()", "+a\n(", "lambda: ", "x if y else ", "f'{"] {
            assert!(nesting(&chain.repeat(6000)) > DEEPEST, "{chain}");
        }
        // Reading on from each of these to the end of the line would take minutes.
        assert!(nesting(&"\\'".repeat(1 << 19)) > DEEPEST);
        assert!(nesting(&format!("(\n{}", "def f():\n    pass\n".repeat(1000))) < 20);
    }
}
