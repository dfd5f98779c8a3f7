//! Splits any text into lexemes: words, numbers, marks, quotes, line ends. Total: every text has a
//! reading, and joining it gives the text back.
//!
//! Lexemes are the states of the diffusion process, so that no edit can cut a word in two. A lexeme
//! carries the blanks before it, and a line end carries the indentation of the line it opens.

use std::ops::Range;

/// What a lexeme looks like; it decides spacing and which damage can hit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Letters, digits and underscores, starting with a letter or a sigil of the language.
    Word,
    Number,
    /// An operator, a bracket or a delimiter.
    Mark,
    /// One quote mark or a triple one.
    Quote,
    /// `\n` or `\r\n` together with the indentation that follows; also the start of the text.
    Newline,
    /// A backslash escape, a run of one mark or of odd blanks, or a character of no other kind.
    Other,
}

/// One lexeme of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lexeme {
    pub kind: Kind,
    /// Where the blanks before it start.
    pub start: usize,
    /// Where it lies, blanks before it left out.
    pub span: Range<usize>,
}

/// Quotes around strings of many lines, where these are not those of other strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongStrings {
    None,
    /// Three marks; a single one ends with its line.
    Triple,
    /// `@'` before a line end, closed by `'@` at the start of a line; so with `"`.
    Here,
}

/// How the lexer reads one language.
#[derive(Debug)]
pub struct LexStyle {
    /// Marks of two and more characters, longest first.
    pub marks: &'static [&'static str],
    /// Characters that may open a word besides letters and `_`, when a letter or `_` follows.
    pub sigils: &'static str,
    /// Characters that may stand inside a word when a letter or digit follows.
    pub joiners: &'static str,
    pub quotes: &'static str,
    pub long_strings: LongStrings,
    /// Words with a blank between them that are one lexeme, so that one edit mends them.
    pub phrases: &'static [&'static str],
    /// Words that belong to the quote after them.
    pub quote_prefixes: &'static [&'static str],
    /// Words that stand apart from a bracket after them.
    pub keywords: &'static [&'static str],
    /// The character that takes the meaning from the next one, inside strings.
    pub escape: Option<char>,
    /// Starts a comment that runs to the end of the line.
    pub comment: Option<char>,
    /// Blanks go around operators and after commas.
    pub airy: bool,
    /// Commands as a shell has them: blanks part their arguments, and braces hold statements.
    pub commands: bool,
    /// `$A$10` is a column and a row, so that one of them can be mended alone.
    pub cells: bool,
    /// Marks around a comment of any number of lines.
    pub block_comment: Option<(&'static str, &'static str)>,
}

/// Reads `text` into lexemes. The first is always a [`Kind::Newline`] holding the indentation of the
/// first line.
///
/// Invariant: the spans with the blanks before them tile the text.
pub fn lex(text: &str, style: &LexStyle) -> Vec<Lexeme> {
    let mut lexemes = Vec::with_capacity(text.len() / 3 + 2);
    let mut at = blanks(text, 0);
    lexemes.push(Lexeme { kind: Kind::Newline, start: 0, span: 0..at });
    while at < text.len() {
        let start = at;
        at = blanks(text, at);
        if at == text.len() {
            lexemes.push(Lexeme { kind: Kind::Other, start, span: at..at });
            break;
        }
        let opens_line = lexemes.last().is_some_and(|last| last.kind == Kind::Newline && last.span.end == at);
        let here =
            if style.long_strings == LongStrings::Here { here_quote(&text[at..], opens_line) } else { None };
        let (kind, len) = here.unwrap_or_else(|| next(&text[at..], style));
        lexemes.push(Lexeme { kind, start, span: at..at + len });
        at += len;
    }
    lexemes
}

/// The text of a lexeme as the model sees it: no carriage return, no indentation before a blank
/// line, and one blank for any that Python does not take for one.
pub fn canonical<'t>(text: &'t str, lexemes: &[Lexeme], idx: usize) -> std::borrow::Cow<'t, str> {
    let lexeme = &lexemes[idx];
    let raw = &text[lexeme.span.clone()];
    if lexeme.kind != Kind::Newline {
        return if raw.starts_with(is_odd_blank) { " ".into() } else { raw.into() };
    }
    let blank = lexemes.get(idx + 1).is_none_or(|next| next.kind == Kind::Newline || next.span.is_empty());
    if blank {
        return "\n".into();
    }
    format!("\n{}", raw.trim_start_matches(['\r', '\n'])).into()
}

fn blanks(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    at + rest.len() - rest.trim_start_matches([' ', '\t', '\x0c']).len()
}

/// Blanks that come with text out of web pages and word processors, those without a width among them.
fn is_odd_blank(c: char) -> bool {
    !c.is_ascii() && (c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'))
}

fn next(rest: &str, style: &LexStyle) -> (Kind, usize) {
    let mut chars = rest.chars();
    let Some(first) = chars.next() else { return (Kind::Other, 0) };
    let second = chars.next();
    if first == '\n' || (first == '\r' && second == Some('\n')) {
        let end = if first == '\r' { 2 } else { 1 };
        return (Kind::Newline, blanks(rest, end));
    }
    if style.quotes.contains(first) {
        let triple =
            style.long_strings == LongStrings::Triple && second == Some(first) && chars.next() == Some(first);
        return (Kind::Quote, if triple { 3 * first.len_utf8() } else { first.len_utf8() });
    }
    if style.cells {
        if let Some(column) = column_len(rest) {
            return (Kind::Word, column);
        }
        if first == '$' && second.is_some_and(|c| c.is_ascii_digit()) {
            return (Kind::Number, 1 + number_len(&rest[1..], style));
        }
    }
    let opens_word =
        is_word_start(first) || (style.sigils.contains(first) && second.is_some_and(is_word_start));
    if opens_word {
        let phrase = style.phrases.iter().find(|phrase| starts_with_phrase(rest, phrase));
        return (Kind::Word, phrase.map_or_else(|| word_len(rest, style), |phrase| phrase.len()));
    }
    if first.is_ascii_digit() {
        return (Kind::Number, number_len(rest, style));
    }
    if Some(first) == style.escape
        && let Some(second) = second
        && (second.is_ascii_alphabetic() || second == first || style.quotes.contains(second))
    {
        return (Kind::Other, first.len_utf8() + second.len_utf8());
    }
    if first.is_ascii_punctuation() && !"()[]{}".contains(first) {
        let run = rest.len() - rest.trim_start_matches(first).len();
        if run >= 4 {
            return (Kind::Other, run);
        }
    }
    if let Some(mark) = style.marks.iter().find(|mark| rest.starts_with(**mark)) {
        return (Kind::Mark, mark.len());
    }
    if is_odd_blank(first) {
        let run = rest.trim_start_matches(|c| is_odd_blank(c) || c == ' ');
        return (Kind::Other, rest[..rest.len() - run.len()].trim_end_matches(' ').len());
    }
    let kind = if first.is_ascii_punctuation() { Kind::Mark } else { Kind::Other };
    (kind, first.len_utf8())
}

/// `@'` or `@"` at the end of a line, `'@` or `"@` at the start of one.
fn here_quote(rest: &str, opens_line: bool) -> Option<(Kind, usize)> {
    let opens = ["@'", "@\""].iter().any(|quote| {
        let after = rest.strip_prefix(quote).map(|after| after.trim_start_matches([' ', '\t', '\r']));
        after.is_some_and(|after| after.starts_with('\n'))
    });
    let closes = opens_line && ["'@", "\"@"].iter().any(|quote| rest.starts_with(quote));
    (opens || closes).then_some((Kind::Quote, 2))
}

fn is_word_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

/// In any case of letters, and not as the beginning of a longer word.
fn starts_with_phrase(rest: &str, phrase: &str) -> bool {
    rest.get(..phrase.len()).is_some_and(|start| start.eq_ignore_ascii_case(phrase))
        && !rest[phrase.len()..].starts_with(|c: char| c == '_' || c.is_alphanumeric())
}

fn word_len(rest: &str, style: &LexStyle) -> usize {
    let mut end = 0;
    // `$i-1` is a difference, `Get-Item` and `-Path` are words.
    let may_join = rest.starts_with(|c| !style.sigils.contains(c) || style.joiners.contains(c));
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let joins = may_join
            && style.joiners.contains(c)
            && chars.peek().is_some_and(|(_, next)| next.is_alphanumeric() || *next == '_');
        if at > 0 && !(c == '_' || c.is_alphanumeric() || joins) {
            break;
        }
        end = at + c.len_utf8();
    }
    end
}

/// The length of a column that a row follows, as in `$AB$12`; `LOG10(` is none.
fn column_len(rest: &str) -> Option<usize> {
    let without = |text: &str, fits: fn(&char) -> bool| text.trim_start_matches(|c| fits(&c)).len();
    let letters = rest.strip_prefix('$').unwrap_or(rest);
    let row = &letters[letters.len() - without(letters, char::is_ascii_alphabetic)..];
    let digits = row.strip_prefix('$').unwrap_or(row);
    let after = &digits[digits.len() - without(digits, char::is_ascii_digit)..];
    let is_cell = (1..=3).contains(&(letters.len() - row.len()))
        && after.len() < digits.len()
        && !after.starts_with(|c: char| c.is_alphanumeric() || "_.($".contains(c));
    is_cell.then(|| rest.len() - row.len())
}

fn number_len(rest: &str, style: &LexStyle) -> usize {
    let part = |s: &str| s.len() - s.trim_start_matches(|c: char| c == '_' || c.is_alphanumeric()).len();
    let whole = part(rest);
    let after = &rest[whole..];
    let fraction = after.strip_prefix('.').map_or(0, part);
    let is_range = style.marks.contains(&"..") && after.starts_with("..");
    if fraction > 0 && after[1..].starts_with(|c: char| c.is_ascii_digit()) && !is_range {
        whole + 1 + fraction
    } else {
        whole
    }
}

/// Where a lexeme stands, as a plain reader of quotes and brackets sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    pub zone: Zone,
    pub bracket: Bracket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    Code,
    /// Inside quotes, or one of the quote marks.
    Text,
    Comment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bracket {
    None,
    Matched,
    /// Opened and never closed.
    Unclosed,
    /// Closes nothing.
    Unopened,
    /// Closes a bracket of another kind.
    Mismatched,
}

impl Hint {
    pub const COUNT: i64 = 15;

    /// A number below [`Hint::COUNT`].
    pub fn index(self) -> i64 {
        self.zone as i64 * 5 + self.bracket as i64
    }
}

/// Reads quotes and comments from left to right, one lexeme after the other. It needs no grammar, so
/// it also has an answer where the parser gave up.
#[derive(Debug)]
pub struct Reader<'t> {
    style: &'static LexStyle,
    quote: Option<&'t str>,
    comment: bool,
    block: bool,
}

impl<'t> Reader<'t> {
    pub fn new(style: &'static LexStyle) -> Self {
        Self { style, quote: None, comment: false, block: false }
    }

    /// Where the next lexeme stands if it is a word.
    pub fn zone(&self) -> Zone {
        match (self.comment || self.block, self.quote) {
            (true, _) => Zone::Comment,
            (false, Some(_)) => Zone::Text,
            (false, None) => Zone::Code,
        }
    }

    /// Where the next lexeme stands.
    pub fn pass(&mut self, kind: Kind, raw: &'t str) -> Zone {
        let style = self.style;
        if kind == Kind::Newline {
            self.comment = false;
            if self.quote.is_some_and(|q| style.long_strings == LongStrings::Triple && q.chars().count() == 1)
            {
                self.quote = None;
            }
        }
        if let Some((open, close)) = style.block_comment
            && self.quote.is_none()
            && (self.block || raw == open && !self.comment)
        {
            self.block = raw != close;
            return Zone::Comment;
        }
        if self.comment {
            return Zone::Comment;
        }
        if let Some(open) = self.quote {
            let closes = match open.strip_prefix('@') {
                Some(mark) => raw.strip_suffix('@') == Some(mark),
                // A triple mark closes a plain string and opens another, as `'a'''` does.
                None => {
                    raw == open || kind == Kind::Quote && open.chars().count() == 1 && raw.starts_with(open)
                }
            };
            if closes {
                self.quote = None;
            }
            return Zone::Text;
        }
        if kind == Kind::Quote {
            self.quote = Some(raw);
            return Zone::Text;
        }
        self.comment = style.comment.is_some_and(|c| raw.starts_with(c));
        if self.comment { Zone::Comment } else { Zone::Code }
    }
}

/// Reads quotes, comments and brackets over all lexemes.
pub fn hints(text: &str, lexemes: &[Lexeme], style: &'static LexStyle) -> Vec<Hint> {
    let mut hints = vec![Hint { zone: Zone::Code, bracket: Bracket::None }; lexemes.len()];
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut reader = Reader::new(style);
    for (idx, lexeme) in lexemes.iter().enumerate() {
        let raw = &text[lexeme.span.clone()];
        hints[idx].zone = reader.pass(lexeme.kind, raw);
        if hints[idx].zone == Zone::Code && lexeme.kind == Kind::Mark {
            hints[idx].bracket = match_bracket(raw, idx, &mut open, &mut hints);
        }
    }
    for (idx, _) in open {
        hints[idx].bracket = Bracket::Unclosed;
    }
    hints
}

/// So many open brackets are searched for the partner of a closing one.
const DEEPEST: usize = 1000;

fn match_bracket(raw: &str, idx: usize, open: &mut Vec<(usize, char)>, hints: &mut [Hint]) -> Bracket {
    let closes = match raw {
        "(" | "[" | "{" => {
            open.push((idx, raw.chars().next().expect("a mark is not empty")));
            return Bracket::Matched;
        }
        ")" => '(',
        "]" => '[',
        "}" => '{',
        _ => return Bracket::None,
    };
    match open.last().copied() {
        None => Bracket::Unopened,
        Some((_, opener)) if opener == closes => {
            open.pop();
            Bracket::Matched
        }
        Some((opener_idx, _)) => {
            // Prefer the reading in which an inner bracket was left open.
            let near = open.len().saturating_sub(DEEPEST);
            if let Some(depth) = open[near..].iter().rposition(|(_, opener)| *opener == closes) {
                let depth = near + depth;
                for (unclosed, _) in open.drain(depth + 1..) {
                    hints[unclosed].bracket = Bracket::Unclosed;
                }
                open.pop();
                Bracket::Matched
            } else {
                hints[opener_idx].bracket = Bracket::Mismatched;
                Bracket::Mismatched
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lang::{Language, powershell::PowerShell, python::Python};

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let lexemes = lex(text, Python.style());
        let read: Vec<String> =
            (1..lexemes.len()).map(|idx| canonical(text, &lexemes, idx).into_owned()).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn words_numbers_and_marks() {
        check("x += 1.5", &["x", "+=", "1.5"]);
        check("f(a.b)", &["f", "(", "a", ".", "b", ")"]);
        check("321tup", &["321tup"]);
        check(">>> x", &[">>>", "x"]);
        check("x =\u{a0}\u{200b} \u{a0} 1", &["x", "=", " ", "1"]);
    }

    #[test]
    fn a_phrase_is_one_lexeme() {
        let words = |text: &str| {
            let lexemes = lex(text, PowerShell.style());
            lexemes[1..]
                .iter()
                .map(|lexeme| text[lexeme.span.clone()].to_owned())
                .collect::<Vec<_>>()
                .join("|")
        };
        assert_eq!(words("Else If ($a)"), "Else If|(|$a|)");
        assert_eq!(words("else ifs; else  if"), "else|ifs|;|else|if");
        check("else if x:", &["else if", "x", ":"]);
    }

    #[test]
    fn quotes_and_escapes() {
        check(r"'it\'s'", &["'", "it", r"\'", "s", "'"]);
        check(r#""""a""#, &[r#"""""#, "a", r#"""#]);
    }

    #[test]
    fn line_ends_carry_indentation_but_not_before_blank_lines() {
        check("a\r\n    b", &["a", "\n    ", "b"]);
        check("a\n    \nb", &["a", "\n", "\n", "b"]);
    }

    #[test]
    fn powershell_has_strings_and_comments_of_many_lines() {
        let text = "<# it's\n#> $i-1\n$a = @'\nit's '@\n'@ + Get-Item -Path b # c";
        let style = PowerShell.style();
        let lexemes = lex(text, style);
        let zone = |zone: Zone| {
            let hints = hints(text, &lexemes, style);
            let inside = (0..lexemes.len()).filter(|idx| hints[*idx].zone == zone);
            let words =
                inside.map(|idx| text[lexemes[idx].span.clone()].trim()).filter(|raw| !raw.is_empty());
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(zone(Zone::Code), "$i - 1 $a = + Get-Item -Path b");
        assert_eq!(zone(Zone::Text), "@' it ' s ' @ '@");
        assert_eq!(zone(Zone::Comment), "<# it ' s #> # c");
    }

    #[test]
    fn runs_are_one_lexeme() {
        check("# -----\n====", &["#", "-----", "\n", "===="]);
        check("))))", &[")", ")", ")", ")"]);
    }

    #[test]
    fn brackets_are_matched_without_a_grammar() {
        let text = "f(a[1)";
        let lexemes = lex(text, Python.style());
        let brackets: Vec<Bracket> = hints(text, &lexemes, Python.style())
            .into_iter()
            .map(|hint| hint.bracket)
            .filter(|bracket| *bracket != Bracket::None)
            .collect();
        assert_eq!(brackets, [Bracket::Matched, Bracket::Unclosed, Bracket::Matched]);
    }

    proptest! {
        #[test]
        fn lexemes_tile_any_text(text in "\\PC*|[a-z0-9 \\t\\r\\n'\"()\\[\\]{}:=+#\\\\]*") {
            let lexemes = lex(&text, Python.style());
            let mut at = 0;
            for lexeme in &lexemes {
                prop_assert_eq!(lexeme.start, at);
                prop_assert!(lexeme.span.start >= lexeme.start && lexeme.span.end >= lexeme.span.start);
                prop_assert!(text.is_char_boundary(lexeme.span.start) && text.is_char_boundary(lexeme.span.end));
                at = lexeme.span.end;
            }
            prop_assert_eq!(at, text.len());
            prop_assert_eq!(hints(&text, &lexemes, Python.style()).len(), lexemes.len());
        }
    }
}
