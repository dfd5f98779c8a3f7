//! The blanks between lexemes. The network says which lexemes a text should have; people also have habits
//! of setting them apart, and between the arguments of a command blanks have a meaning.

use crate::lexeme::{Kind, LexStyle, Reader, Zone, lex};
use crate::state::{State, kind_of};

/// Joins kept and fresh lexemes, choosing the blanks between them.
pub struct Writer<'s> {
    state: &'s State,
    style: &'static LexStyle,
    reader: Reader<'s>,
    text: String,
    last: Option<Written<'s>>,
    /// Inside of escaped quotes.
    escaped: bool,
    /// Blanks of deleted lexemes since the last one written: of the first, and the longest.
    dropped: Option<(&'s str, &'s str)>,
    /// The last lexeme written is inserted; holds the blanks its successor should start with.
    after_fresh: Option<&'static str>,
}

/// A lexeme that is written.
#[derive(Clone, Copy)]
struct Written<'s> {
    kind: Kind,
    raw: &'s str,
    role: Role,
    is_fresh: bool,
    /// Blanks stand before it.
    apart: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A quote that opens a string, or a quoted part of one.
    Opens,
    /// A mark before its only operand, or a dot before a script.
    Prefix,
    /// A name that takes its brackets with no blank: a method, an attribute, a function that is declared.
    Called,
    Other,
}

impl<'s> Writer<'s> {
    /// Nothing of `state` is written yet.
    pub fn new(state: &'s State) -> Self {
        Self {
            state,
            style: state.style(),
            reader: Reader::new(state.style()),
            text: String::with_capacity(state.text.len() + 16),
            last: None,
            escaped: false,
            dropped: None,
            after_fresh: None,
        }
    }

    /// What was written.
    pub fn text(self) -> String {
        self.text
    }

    fn blanks(&self, idx: usize) -> &'s str {
        self.state.lexemes.get(idx).map_or("", |lexeme| &self.state.text[lexeme.start..lexeme.span.start])
    }

    fn after_newline(&self) -> bool {
        self.last.is_none_or(|last| last.kind == Kind::Newline)
    }

    fn write(&mut self, kind: Kind, raw: &'s str, blanks: &str, is_fresh: bool) {
        self.escaped = kind != Kind::Quote && (self.escaped != (raw == ESCAPED_QUOTE));
        let (opens, is_prefix) = (self.opens(kind), self.is_prefix(raw));
        if is_fresh {
            // Damage may put several lexemes in the place of one.
            for part in &lex(raw, self.style)[1..] {
                self.reader.pass(part.kind, &raw[part.span.clone()]);
            }
        } else {
            self.reader.pass(kind, raw);
        }
        let role = if opens && self.reader.zone() == Zone::Text || self.escaped && raw == ESCAPED_QUOTE {
            Role::Opens
        } else if is_prefix {
            Role::Prefix
        } else if self.last.is_some_and(|last| matches!(last.raw, "." | "::" | "[" | "function")) {
            Role::Called
        } else {
            Role::Other
        };
        self.text.push_str(blanks);
        self.last = Some(Written { kind, raw, role, is_fresh, apart: !blanks.is_empty() });
    }

    /// Whether a lexeme would be a quote that opens a string.
    fn opens(&self, kind: Kind) -> bool {
        kind == Kind::Quote && self.reader.zone() == Zone::Code
    }

    /// Writes a lexeme of the state.
    pub fn original(&mut self, idx: usize) {
        let (kind, raw, blanks) = (self.state.lexemes[idx].kind, self.state.raw(idx), self.blanks(idx));
        let (dropped, wanted) = (self.dropped.take(), self.after_fresh.take());
        let hugs = hugs_left(raw) || self.style.commands && kind == Kind::Quote && !self.opens(kind);
        let longest = dropped.map(|(_, longest)| longest).filter(|_| blanks.is_empty() && !hugs);
        // An inserted quote closed the string that this one opened, and this one opens the next.
        let next = self.blanks(idx + 1);
        let splits = self.opens(kind)
            && blanks.is_empty()
            && !next.is_empty()
            && self.last.is_some_and(|last| last.kind == Kind::Quote && last.is_fresh);
        let beside_fresh =
            self.style.airy && !self.style.commands && self.last.is_some_and(|last| last.is_fresh);
        let blanks = if dropped.is_none() && wanted.is_none() && !beside_fresh {
            blanks
        } else if self.after_newline() || raw.is_empty() {
            ""
        } else if self.style.commands && kind == Kind::Newline {
            blanks
        } else if self.style.commands && splits {
            self.dropped = Some(("", ""));
            next
        } else if self.style.commands {
            // What follows a substitute stays where it is, unless words would touch; but blanks on one side
            // of a mark between two values ask for some on the other.
            let stays = |last: Written| {
                last.is_fresh
                    && !matches!(last.raw, "=" | "+=" | "==" | "|" | "+" | "@" | "$" | "(" | "[" | "::")
            };
            let after_substitute = wanted.is_none() && self.last.is_some_and(stays);
            let known = longest.unwrap_or(blanks);
            if after_substitute {
                self.separate(kind, known)
            } else {
                self.join(kind, raw, known, idx, dropped)
            }
        } else {
            self.separate(kind, self.near(kind, raw, blanks, dropped, wanted))
        };
        self.write(kind, raw, blanks, false);
        self.text.push_str(raw);
    }

    /// The blanks before a lexeme of a program, beside which something changed.
    fn near(
        &self,
        kind: Kind,
        raw: &str,
        own: &'s str,
        dropped: Option<(&'s str, &'s str)>,
        wanted: Option<&'static str>,
    ) -> &'s str {
        let Some(last) = self.last else { return own };
        let closes = kind == Kind::Quote && !self.opens(kind);
        let is_call = matches!(raw, "(" | "[")
            && (last.kind == Kind::Word && !self.is_keyword(last.raw) || is_close(last.raw));
        let hugs = closes || is_call || hugs_left(raw) && !matches!(raw, "(" | "[");
        if is_open(last.raw) || last.role == Role::Opens {
            // What stood first behind it.
            return wanted.or(dropped.map(|(first, _)| first)).unwrap_or(own);
        }
        if last.is_fresh && wanted.is_some() {
            let wanted = wanted.unwrap_or_default();
            return match raw {
                _ if wanted.is_empty() || closes => "",
                "," | ":" | ";" => "",
                _ if self.is_comment(raw) && own.is_empty() => "  ",
                _ if hugs || self.is_comment(raw) => own,
                _ => wanted,
            };
        }
        if last.is_fresh && (self.style.quote_prefixes.contains(&last.raw) && self.opens(kind)) {
            return "";
        }
        if last.is_fresh
            && is_close(last.raw)
            && own.is_empty()
            && (raw == "->" || is_word(kind) && self.reader.zone() == Zone::Code)
        {
            return " ";
        }
        let longest = dropped.map(|(_, longest)| longest).filter(|_| own.is_empty() && !hugs);
        let blanks = if dropped.is_some() && matches!(raw, "," | ";") { "" } else { longest.unwrap_or(own) };
        let is_word = dropped.is_some() && own.is_empty() && self.opens(kind);
        self.separate(if is_word { Kind::Word } else { kind }, blanks)
    }

    fn is_comment(&self, raw: &str) -> bool {
        self.style.comment.is_some_and(|mark| raw.starts_with(mark))
    }

    /// A word that no brackets of a call follow.
    fn is_keyword(&self, raw: &str) -> bool {
        self.style.keywords.contains(&raw)
    }

    /// Passes over a lexeme of the state.
    pub fn deleted(&mut self, idx: usize) {
        let blanks = if self.state.lexemes[idx].kind == Kind::Newline { " " } else { self.blanks(idx) };
        let (first, longest) = self.dropped.unwrap_or((blanks, blanks));
        self.dropped = Some((first, if longest.len() >= blanks.len() { longest } else { blanks }));
    }

    /// Writes another lexeme, before the one at `idx` or in the place of the one that is `replaced`.
    pub fn fresh(&mut self, idx: usize, text: &'s str, replaced: Option<usize>) {
        let kind = kind_of(text, self.style);
        let (before, after) = match replaced {
            Some(_) => self.instead(idx, text, kind),
            None => self.around(idx, text, kind),
        };
        let before = if self.after_newline() || kind == Kind::Newline {
            ""
        } else if self.style.commands && replaced.is_some() {
            let longest = self.dropped.map(|(_, longest)| longest).filter(|_| before.is_empty());
            let known = longest.unwrap_or(before);
            let requoted = [self.state.raw(idx), text].iter().all(|raw| raw.ends_with(['"', '\'']))
                && !self.last.is_some_and(|last| last.is_fresh);
            if requoted { known } else { self.join(kind, text, known, idx + 1, self.dropped) }
        } else {
            self.separate(kind, before)
        };
        self.write(kind, text, before, true);
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
            self.after_fresh = after;
            if replaced.is_some() && after.is_none() {
                // What follows stays where it is, unless words would touch.
                self.dropped = Some(("", ""));
            }
        }
    }

    /// Blanks before and after a lexeme in the place of another: those of the other, unless nobody sets it so.
    fn instead(&self, idx: usize, text: &str, kind: Kind) -> (&'s str, Option<&'static str>) {
        let own = self.blanks(idx);
        let kept = self.after_fresh.filter(|blanks| !blanks.is_empty());
        if self.style.commands || self.style.cells {
            return (own, kept);
        }
        // What was inserted before it took its blanks.
        let own =
            if self.after_fresh.is_some() { self.near(kind, text, own, None, self.after_fresh) } else { own };
        let last = self.last.map_or("", |last| last.raw);
        let in_code = self.reader.zone() == Zone::Code;
        let ends_line = self.state.lexemes.get(idx + 1).is_none_or(|next| next.kind == Kind::Newline);
        match text {
            "=" if in_code && self.names_argument() => ("", Some("")),
            "." if in_code && !self.is_keyword(last) && !is_open(last) && last != "," => ("", Some("")),
            ":" if in_code && ends_line => ("", kept),
            ")" | "]" | "}" if in_code => ("", kept),
            "#" if own.is_empty() => ("  ", kept),
            _ => (own, kept),
        }
    }

    /// Blanks before and after an inserted lexeme.
    fn around(&self, idx: usize, text: &str, kind: Kind) -> (&'s str, Option<&'static str>) {
        let gap = self.blanks(idx);
        let airy = self.style.airy;
        let space = if airy { " " } else { "" };
        let gap_or_space = if gap.is_empty() { space } else { gap };
        let last = self.last.map_or("", |last| last.raw);
        if self.style.commands {
            let before = match self.apart(kind, text, idx) {
                Some(true) => gap_or_space,
                Some(false) => "",
                None => gap,
            };
            return (before, Some(" "));
        }
        let last_kind = self.last.map_or(Kind::Newline, |last| last.kind);
        let opens = matches!(last, "(" | "[" | "{" | "." | "@")
            || self.last.is_some_and(|last| last.role == Role::Opens);
        let next = self.state.lexemes.get(idx);
        let before_quote = next.is_some_and(|next| next.kind == Kind::Quote);
        let before_comment = next.is_some() && self.is_comment(self.state.raw(idx));
        let in_text = self.reader.zone() == Zone::Text;
        match kind {
            Kind::Quote if self.opens(kind) && idx < self.state.len() => {
                (if last == "," { gap_or_space } else { gap }, Some(""))
            }
            Kind::Quote => ("", None),
            Kind::Word | Kind::Number if self.style.cells => (gap, None),
            Kind::Word | Kind::Number => {
                let is_prefix = before_quote && self.style.quote_prefixes.contains(&text);
                let hugs = opens || self.last.is_some_and(|last| !last.apart && is_infix(last.raw));
                let before = if hugs {
                    ""
                } else if in_text && !is_word(last_kind) {
                    self.after_fresh.unwrap_or(gap)
                } else if before_comment {
                    space
                } else {
                    gap_or_space
                };
                let before_word = next.is_some_and(|next| is_word(next.kind));
                let is_part = in_text && gap.is_empty() && !before_word;
                (before, Some(if is_prefix || is_part { "" } else { " " }))
            }
            _ if in_text => match text {
                "," | ":" | ";" | "." | "!" | "?" | ")" => ("", None),
                _ => (gap, Some("")),
            },
            _ => match text {
                "(" | "[" | "{" => {
                    let calls = last_kind == Kind::Word && !self.is_keyword(last) || is_close(last);
                    (if calls || opens { "" } else { gap_or_space }, Some(""))
                }
                "." => ("", Some("")),
                ")" | "]" | "}" => ("", None),
                "," | ":" | ";" => ("", Some(space).filter(|space| !space.is_empty())),
                "#" if self.style.comment == Some('#') => {
                    let before = if gap.len() > 2 { gap } else { "  " };
                    (if self.after_newline() { "" } else { before }, Some(" "))
                }
                "=" if airy && self.names_argument() => ("", Some("")),
                "-" | "+" | "*" | "**" | "~" | "@" | "!" | "$"
                    if opens || last == "," || self.after_newline() =>
                {
                    (if last == "," { space } else { "" }, Some(""))
                }
                _ => (space, if airy { Some(" ") } else { None }),
            },
        }
    }

    /// Whether `=` would name an argument or give a parameter its default: in brackets, behind a name with no type.
    fn names_argument(&self) -> bool {
        let (mut depth, mut start) = (0usize, None);
        for (at, mark) in self.text.char_indices().rev() {
            match mark {
                ')' | ']' | '}' => depth += 1,
                '(' | '[' | '{' if depth > 0 => depth -= 1,
                '(' => return !self.text[start.unwrap_or(at)..].contains(':'),
                '[' | '{' => return false,
                ',' if depth == 0 => start = start.or(Some(at)),
                '\n' if depth == 0 && !self.text[..at].trim_end().ends_with(['(', ',']) => return false,
                _ => {}
            }
        }
        false
    }

    /// Keeps two words, or a word and a number, apart; but not a column and its row.
    fn separate(&self, kind: Kind, blanks: &'s str) -> &'s str {
        let last = self.last.map_or(Kind::Newline, |last| last.kind);
        let is_cell = self.style.cells && (last, kind) == (Kind::Word, Kind::Number);
        let touch = is_word(last) && is_word(kind) && !is_cell;
        if blanks.is_empty() && touch { " " } else { blanks }
    }

    /// Whether a mark of a command line would stand before its only operand.
    fn is_prefix(&self, raw: &str) -> bool {
        let starts = self.last.is_none_or(|last| {
            last.kind == Kind::Newline
                || last.role == Role::Prefix
                || matches!(last.raw, "(" | "[" | "{" | "," | ";" | "=" | "|" | "&&" | "||" | "+=" | "..")
        });
        match raw {
            "." | "&" => starts,
            "-" | "+" | "!" => starts || self.last.is_some_and(|last| last.raw.starts_with('-')),
            _ => false,
        }
    }

    /// The blanks before a lexeme of a command line, beside which something changed: those that are
    /// known, unless it has to be otherwise.
    fn join(
        &self,
        kind: Kind,
        raw: &str,
        known: &'s str,
        next: usize,
        dropped: Option<(&str, &str)>,
    ) -> &'s str {
        let hugs = |last: Written| {
            let is_opening = matches!(
                last.raw,
                "(" | "[" | "." | "::" | ".." | "\\" | ":" | "/" | "--" | "-" | "<" | "$" | "@" | "," | ";"
            );
            let is_closing = kind == Kind::Quote || matches!(raw, ")" | "]" | "." | "\\" | ":" | "::");
            (matches!(last.role, Role::Opens | Role::Prefix) || is_opening || is_closing)
                && (last.is_fresh || dropped.is_some_and(|(first, _)| first.is_empty()))
        };
        match self.apart(kind, raw, next) {
            Some(true) if known.is_empty() => " ",
            Some(false) if self.last.is_some_and(hugs) => "",
            _ => known,
        }
    }

    /// Whether blanks part a lexeme of a command line from the one before it; `None` where either is
    /// as good, and what stands there should stay. `next` is the place of the lexeme that the rest of
    /// the text starts with.
    fn apart(&self, kind: Kind, raw: &str, next: usize) -> Option<bool> {
        let last = self.last?;
        let zone = self.reader.zone();
        let rest = self.state.lexemes.get(next).map_or("", |next| &self.state.text[next.span.start..]);
        let ends_line = rest.is_empty() || rest.starts_with(['\r', '\n']);
        // A quote at the end of a line closes, also where the one that opens is still to be inserted.
        if last.role == Role::Opens || kind == Kind::Quote && (zone == Zone::Text || ends_line) {
            return Some(false);
        }
        let (words, word) = (is_word(last.kind), is_word(kind));
        if zone != Zone::Code {
            return match (last.raw, raw) {
                ("#", _) => Some(true),
                _ if words && word && !raw.starts_with(['$', '@', '-']) => Some(true),
                (ESCAPED_QUOTE, _) if word => Some(true),
                ("\\" | "/" | "." | "@" | "-" | "--", _) if word => Some(false),
                (":", _) if kind == Kind::Number => Some(false),
                (_, "\\") if rest.starts_with('"') => None,
                ("(" | "[", _) | ("$" | "@", "(" | "{") | (_, "\\" | "," | ":" | ";" | ")" | "]") => {
                    Some(false)
                }
                (_, "/" | "." | "@" | "-") if words => Some(false),
                (_, ESCAPED_QUOTE) if self.escaped => Some(false),
                ("=", _) => Some(last.apart),
                _ => None,
            };
        }
        let habit = |raw| self.habit(raw);
        Some(match (last.raw, raw) {
            ("." | "&", _) if last.role == Role::Prefix => true,
            ("-" | "+" | "!", _) if last.role == Role::Prefix => false,
            ("(" | "[" | "." | "::" | ".." | "\\" | ":", _)
            | ("$" | "@", "(" | "{")
            | (_, ")" | "]" | ":" | "::" | ".." | "++") => false,
            ("/", _) if word => false,
            ("--", _) if word => !last.apart,
            (_, ".") if last.raw.starts_with('-') && rest.starts_with(['/', '\\']) => true,
            (_, ".") => self.is_prefix(raw),
            (_, "-") if words && !last.raw.starts_with('$') => false,
            ("-", _) if !last.apart => false,
            (_, "/") if PROGRAMS.iter().any(|program| program.eq_ignore_ascii_case(last.raw)) => true,
            ("/", _) | (_, "/") => return habit("/").map(|(before, _)| before),
            (_, ">") if self.in_placeholder() => false,
            ("<", _) if word && opens_placeholder(rest) => false,
            ("=" | "+=", _) => habit(last.raw).map_or(last.apart, |(_, after)| after),
            ("{" | "," | ";" | "|" | "||" | "&&" | "+" | "==", _) => {
                habit(last.raw).is_none_or(|(_, after)| after)
            }
            (_, "," | ";") => habit(raw).is_some_and(|(before, _)| before),
            (_, "}") => {
                self.text.rfind('{').is_none_or(|at| self.text[at + 1..].starts_with(char::is_whitespace))
            }
            (_, "=" | "+=" | "|" | "||" | "&&" | "+" | "==") => habit(raw).is_none_or(|(before, _)| before),
            (_, "`") if ends_line => true,
            (_, "\\") if words => false,
            ("%" | "?", "{" | "(") => return None,
            (_, "{") => true,
            ("]", _) if word => !raw.starts_with('$'),
            (")" | "}", _) if word => true,
            (_, "(") if words => {
                !(last.role == Role::Called
                    || last.raw.starts_with('$')
                    || last.raw.eq_ignore_ascii_case("param"))
            }
            (_, "[" | "*") if words => !(last.role == Role::Called || last.raw.starts_with('$')),
            (")" | "]", "(" | "[") => false,
            (_, "(" | "[" | "$" | "@") => return None,
            _ if words && (word || self.opens(kind)) => true,
            _ if last.kind == Kind::Quote && word => true,
            ("--%" | "<" | ">" | ">>" | "-", _) | (_, "--%" | "--" | "&" | "<" | ">" | ">>" | "-") => true,
            _ => return None,
        })
    }

    /// Whether the text so far ends as `<name` does, of which `>` is missing.
    fn in_placeholder(&self) -> bool {
        let open = self.text.rfind(['<', '>', '\n']).map(|at| &self.text[at..]);
        open.is_some_and(|open| open.starts_with('<') && open[1..].starts_with(|c: char| c.is_alphanumeric()))
    }

    /// Whether this text puts blanks before and after a mark, where it does at all.
    fn habit(&self, mark: &str) -> Option<(bool, bool)> {
        let (mut n, mut before, mut after) = (0, 0, 0);
        let mut reader = Reader::new(self.style);
        for (idx, lexeme) in self.state.lexemes.iter().enumerate() {
            let zone = reader.pass(lexeme.kind, self.state.raw(idx));
            let is_inner = |idx: usize| {
                self.state
                    .lexemes
                    .get(idx)
                    .is_some_and(|near| near.kind != Kind::Newline && !near.span.is_empty())
            };
            if zone == Zone::Code && self.state.raw(idx) == mark && is_inner(idx - 1) && is_inner(idx + 1) {
                n += 1;
                before += usize::from(!self.blanks(idx).is_empty());
                after += usize::from(!self.blanks(idx + 1).is_empty());
            }
        }
        (n > 0).then_some((2 * before > n, 2 * after > n))
    }
}

/// Whether `name> …` comes, of which `<` was just written.
fn opens_placeholder(rest: &str) -> bool {
    let line = rest.lines().next().unwrap_or_default();
    line.find(['<', '>', '|']).is_some_and(|at| line[at..].starts_with('>') && !line[..at].ends_with(' '))
}

/// A quote inside of a string.
const ESCAPED_QUOTE: &str = "`\"";

fn is_word(kind: Kind) -> bool {
    matches!(kind, Kind::Word | Kind::Number)
}

fn is_open(raw: &str) -> bool {
    matches!(raw, "(" | "[" | "{")
}

fn is_close(raw: &str) -> bool {
    matches!(raw, ")" | "]" | "}")
}

/// A mark between two values, with as many blanks behind it as before.
fn is_infix(raw: &str) -> bool {
    matches!(raw, "=" | "==" | "!=" | "<" | ">" | "<=" | ">=" | "+" | "-" | "*" | "/" | "//" | "%" | "**")
        || raw.len() > 1 && raw.ends_with('=')
}

/// Ends of names of programs that take options after `/`.
const PROGRAMS: [&str; 4] = ["cmd", "exe", "bat", "com"];

/// Lexemes that stand right after the one before them.
fn hugs_left(raw: &str) -> bool {
    raw.is_empty()
        || matches!(raw, ")" | "]" | "}" | "," | ":" | ";" | "." | "(" | "[")
        || raw.starts_with('\n')
        || raw.starts_with('\r')
}

#[cfg(test)]
mod tests {
    use crate::lang::{Language, powershell::PowerShell, python::Python};
    use crate::lexeme::LexStyle;
    use crate::state::{State, align};

    /// The edits that lead to a text give it, blanks and all.
    #[track_caller]
    fn check(style: &'static LexStyle, rows: &[(&str, &str)]) {
        for (before, after) in rows {
            let [before, after] = [before, after].map(|text| State::new((*text).to_owned(), style));
            let events = align(&before, &after, 500).expect("short");
            assert_eq!(before.apply(&events), after.text, "{} {events:?}", before.text);
        }
    }

    #[test]
    fn programs_are_laid_out_as_people_do() {
        let rows = [
            ("f(a, on'b')", "f(a, on='b')"),
            ("f(a: True)", "f(a=True)"),
            ("def f(a: int 3): pass", "def f(a: int = 3): pass"),
            ("a 'b'", "a = 'b'"),
            ("a, b f()", "a, b = f()"),
            ("f(\n    a=1,\n    b 2\n)", "f(\n    a=1,\n    b=2\n)"),
            ("a[[0]*m]", "a = [[0]*m]"),
            ("a = [['b', 'c']", "a = ['b', 'c']"),
            ("def f(int a, int b):", "def f(a, b):"),
            ("f(a = , b = 1)", "f(a, b = 1)"),
            ("with a as :", "with a as f:"),
            ("try ;", "try:"),
            ("if a ;", "if a:"),
            ("i++", "i+=1"),
            ("f(lambda x: x  3, y)", "f(lambda x: x >= 3, y)"),
            ("a = 'b +'", "a = 'b %s +'"),
            ("a = 'x y'", "a = 'w x y'"),
            ("a = '(b)'", "a = r'(b)'"),
            ("for i in[1, 2:", "for i in[1, 2]:"),
            ("if a in b):", "if a in (b):"),
            ("x = 1     XXX", "x = 1     # XXX"),
            ("if a:\n    # b", "if a:\n    pass  # b"),
            ("def f(a-> int: pass", "def f(a) -> int: pass"),
            ("a, json()", "a.json()"),
            ("print str(a)", "print(str(a))"),
            ("print sum(a)", "print(sum(a))"),
            ("f type self, b)", "f(type(self), b)"),
        ];
        check(Python.style(), &rows);
    }

    #[test]
    fn commands_are_laid_out_as_people_do() {
        let rows = [
            ("mysql -p db < a.sql", "& cmd /c \"mysql -p db < a.sql\""),
            ("az show --name <the name>", "az show --% --name <the name>"),
            ("\"C:\\a b\\c.exe\" -x d.txt", "& \"C:\\a b\\c.exe\" -x \"d.txt\""),
            ("\"C:\\a b\\c.exe\" -x", ". \"C:\\a b\\c.exe\" -x"),
            ("$a = 1 + f 'b'", "$a = 1 + $(f 'b')"),
            ("cat a | $b + '\\c' -t", "cat a | & ($b + '\\c') -t"),
            ("$a = b, c", "$a = 'b', 'c'"),
            ("$a = \"<p id=\"b\">c</p>\"", "$a = \"<p id=`\"b`\">c</p>\""),
            ("$a=1 $b=2", "$a=1; $b=2"),
            ("@{ \"id\":1 }", "@{ \"id\" = 1 }"),
            ("@{a:1}", "@{a = 1}"),
            ("f -a>g", "f -a | g"),
            ("$a=1;$b=2 $c=3", "$a=1;$b=2;$c=3"),
            ("[Math]Round($a)", "[Math]::Round($a)"),
            ("'C:\\a b\\c.exe' -x", "& \"C:\\a b\\c.exe\" -x"),
            ("@{ \"a\": {b: 1} }", "@{ a = @{b = 1} }"),
            ("$f 'a' 'b'", "$f.Invoke('a', 'b')"),
            ("Join-Path Get-Location b", "Join-Path (Get-Location) b"),
            ("if $a.Contains($b) { c }", "if ($a.Contains($b)) { c }"),
            ("if (! -not $a) { c }", "if (-not $a) { c }"),
            ("Get-Content list.txt foo /a", "Get-Content list.txt | foo /a"),
            ("f {g}; h {i", "f {g}; h {i}"),
            ("f -a b # note\nc )", "f -a b # note\nc"),
            ("curl <url", "curl <url>"),
            ("$a = \"b `\"c`\" d\"", "$a = \"b \"c\" d\""),
            ("\"a b c", "\"a b c\""),
            ("a b c\n", "\"a b c\"\n"),
        ];
        check(PowerShell.style(), &rows);
    }

    #[test]
    fn blanks_go_around_braces_of_blocks() {
        let rows = [
            ("if ($a)\n    b\n}\n", "if ($a) {\n    b\n}\n"),
            ("{ f -a b | g", "{ f -a b } | g"),
            ("$a -f Get-B", "$a -f (Get-B)"),
            ("f {}\nif ($a) { b\n", "f {}\nif ($a) { b }\n"),
            ("if ($a) {\n    b\nc\n", "if ($a) {\n    b\n}\nc\n"),
        ];
        check(PowerShell.style(), &rows);
    }
}
