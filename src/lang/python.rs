//! Python: ruff's parser is the judge.

use std::path::Path;

use ruff_python_ast::PythonVersion;
use ruff_python_parser::{
    Mode, ParseErrorType, ParseOptions, Parsed, UnsupportedSyntaxError, UnsupportedSyntaxErrorKind,
    parse_unchecked,
};

use super::{Dialect, Fault, Language};
use crate::lexeme::LexStyle;

pub struct Python;

static STYLE: LexStyle = LexStyle {
    marks: &[
        ">>>", "**=", "//=", ">>=", "<<=", "...", "===", "!==", "==", "!=", ">=", "<=", "->", ":=", "+=", "-=",
        "*=", "/=", "%=", "&=", "|=", "^=", "@=", "**", "//", "<<", ">>", "<>", "=>", "&&", "||", "++", "--",
    ],
    sigils: "",
    joiners: "",
    quotes: "'\"",
    triple_quotes: true,
    escape: Some('\\'),
    comment: Some('#'),
    airy: true,
};

impl Language for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn recognises(&self, path: &Path, head: &[u8]) -> bool {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("py" | "pyi" | "pyw") => true,
            Some(_) => false,
            None => {
                let first_line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
                first_line.starts_with(b"#!") && String::from_utf8_lossy(first_line).contains("python")
            }
        }
    }

    fn faults(&self, text: &str, dialect: Dialect) -> Vec<Fault> {
        let bom = text.len() - text.trim_start_matches('\u{feff}').len();
        let parsed = parse(&text[bom..], version(dialect));
        parsed
            .errors()
            .iter()
            .map(|error| Fault {
                span: clamp(text, error.location.start().to_usize() + bom..error.location.end().to_usize() + bom),
                message: error.error.to_string(),
                code: code(&error.error),
            })
            .collect()
    }

    fn flaws(&self, text: &str, dialect: Dialect) -> Vec<Fault> {
        let mut flaws = self.faults(text, dialect);
        if flaws.is_empty() && text.contains("except") {
            // Python 2's `except A, e:` parses since 3.14 and means something else.
            let bom = text.len() - text.trim_start_matches('\u{feff}').len();
            let target = dialect.target.map_or(BEFORE_BARE_EXCEPT, |_| version(dialect));
            let parsed = parse(&text[bom..], target);
            let bare = |error: &&UnsupportedSyntaxError| {
                error.kind == UnsupportedSyntaxErrorKind::UnparenthesizedExceptionTypes
            };
            flaws.extend(parsed.unsupported_syntax_errors().iter().filter(bare).map(|error| Fault {
                span: clamp(text, error.range.start().to_usize() + bom..error.range.end().to_usize() + bom),
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
        let newer = |text: &str| {
            let parsed = parse(text.trim_start_matches('\u{feff}'), target);
            parsed.unsupported_syntax_errors().len()
        };
        let left = newer(after);
        left == 0 || left <= newer(before)
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

fn parse(text: &str, target: PythonVersion) -> Parsed<ruff_python_ast::Mod> {
    parse_unchecked(text, ParseOptions::from(Mode::Module).with_target_version(target))
}

fn clamp(text: &str, span: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    start..floor(span.end).max(start)
}

/// Numbers the kinds of parse error; the model learns what each tends to mean. Part of the checkpoint
/// format: append, never renumber.
fn code(error: &ParseErrorType) -> u8 {
    use ParseErrorType as E;
    use ruff_python_ast::token::TokenKind as T;
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
