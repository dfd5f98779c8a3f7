//! PowerShell: a parser of our own is the judge. It takes the rules of PowerShell's own parser, which
//! needs .NET, and tells only where a script is broken; it builds no tree.
//!
//! As there, one text is read in several modes: a word is a command in one and an operator in another,
//! so a token that was peeked at is read again when the mode changes.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use super::braces::Braces;
use super::{Dialect, Fault, Language};
use crate::diagnose::place;
use crate::lexeme::{LexStyle, LongStrings};

pub struct PowerShell;

static STYLE: LexStyle = LexStyle {
    // `@(` and `$(` stay two marks each, so that the bracket is seen as one.
    marks: &[
        "??=", "--%", "...", "&&", "||", "::", "..", "+=", "-=", "*=", "/=", "%=", "++", "--", "??", "?.",
        "<#", "#>", ">>", "==", "!=", "<=", ">=", "=>",
    ],
    sigils: "$@-",
    joiners: "-",
    quotes: "'\"",
    long_strings: LongStrings::Here,
    phrases: &["else if"],
    quote_prefixes: &[],
    keywords: &[],
    escape: Some('`'),
    comment: Some('#'),
    airy: true,
    commands: true,
    cells: false,
    block_comment: Some(("<#", "#>")),
};

impl Language for PowerShell {
    fn name(&self) -> &'static str {
        "powershell"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["ps1", "psm1", "psd1"]
    }

    fn judge(&self) -> &'static str {
        "a reader of our own, after PowerShell's own parser"
    }

    fn is_run_by(&self, program: &str) -> bool {
        program.starts_with("pwsh")
    }

    fn faults(&self, text: &str, _: Dialect) -> Vec<Fault> {
        read(text, false)
    }

    /// PowerShell takes a stray `else { … }` for a command of that name.
    fn flaws(&self, text: &str, _: Dialect) -> Vec<Fault> {
        read(text, true)
    }

    fn accepts(&self, _: &str, after: &str, dialect: Dialect) -> bool {
        self.flaws(after, dialect).is_empty()
    }

    fn has_windows_encodings(&self) -> bool {
        true
    }

    fn style(&self) -> &'static LexStyle {
        &STYLE
    }
}

/// What a key of a hash literal is, where it is a constant text.
fn constant_key(key: &str) -> Option<&str> {
    let quoted =
        |quote: char| key.strip_prefix(quote)?.strip_suffix(quote).filter(|text| !text.contains(quote));
    let is_plain = |c: char| c == '_' || c.is_alphanumeric();
    match key.chars().next()? {
        '\'' => quoted('\''),
        '"' => quoted('"').filter(|text| !text.contains(['$', '`'])),
        first => (!first.is_ascii_digit() && key.chars().all(is_plain)).then_some(key),
    }
}

/// The faults of a text in order of place. What nests too deep or follows too many faults is left unread,
/// and has none.
fn read(text: &str, strict: bool) -> Vec<Fault> {
    let mut parser = Parser::new(text, 16 * text.len() + (1 << 20));
    if text.starts_with('\u{feff}') {
        parser.at = '\u{feff}'.len_utf8();
    }
    parser.strict = strict;
    parser.script_block(None);
    let mut faults = place_braces(text, parser.faults, parser.braces, &parser.torn);
    faults.sort_by_key(|fault| (fault.span.start, fault.code));
    faults.dedup_by_key(|fault| (fault.span.start, fault.code));
    faults
}

/// Faults of braces go where the indentation says that the brace is missing or too many.
fn place_braces(
    text: &str,
    mut faults: Vec<Fault>,
    braces: Vec<(usize, bool)>,
    torn: &[Range<usize>],
) -> Vec<Fault> {
    let is_closer =
        |fault: &Fault| fault.code == Code::UnexpectedToken as u8 && &text[fault.span.clone()] == "}";
    if !faults.iter().any(|fault| fault.code == Code::EndCurly as u8 || is_closer(fault)) {
        return faults;
    }
    let braces = Braces::new(text, braces, torn);
    for fault in &mut faults {
        if fault.code == Code::EndCurly as u8 {
            let (opener, at) = braces.unclosed(fault.span.end - 1);
            let line = place(text, opener).line;
            fault.message = format!(
                "Missing closing '}}' in statement block or type definition: '{{' of line {line} is open."
            );
            fault.span = at..at;
        } else if is_closer(fault) {
            let at = braces.unopened(fault.span.start);
            fault.span = at..at + 1;
        }
    }
    faults
}

/// How deep statements and expressions may nest.
const DEPTH: usize = 200;

/// Reading ends after so many faults.
const MOST_FAULTS: usize = 500;

/// The kinds of fault; the model learns what each tends to mean. Part of the checkpoint format:
/// append, never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Code {
    UnexpectedToken = 1,
    EndCurly = 2,
    EndParen = 3,
    EndParenSubexpression = 4,
    EndParenCall = 5,
    EndBracketIndex = 6,
    StringTerminator = 7,
    HereStringFooter = 8,
    HereStringHeader = 9,
    CommentTerminator = 10,
    DollarSubexpression = 11,
    BracedVariable = 12,
    VariableDrive = 13,
    VariableName = 14,
    UnrecognizedToken = 15,
    ValueAfterOperator = 16,
    ExpressionAfterToken = 17,
    ExpressionAfterUnary = 18,
    ExpressionAfterParen = 19,
    ExpressionInPipeline = 20,
    EmptyPipe = 21,
    EmptyChain = 22,
    ExpressionNotFirst = 23,
    Argument = 24,
    ParameterArgument = 25,
    FileSpecification = 26,
    ReservedRedirection = 27,
    StreamTwice = 28,
    PropertyName = 29,
    ArrayIndex = 30,
    HashEquals = 31,
    HashStatement = 32,
    TypeName = 33,
    EndBracketType = 34,
    Attribute = 35,
    IfParen = 36,
    IfCondition = 37,
    EndParenStatement = 38,
    IfBlock = 39,
    ElseBlock = 40,
    LoopParen = 41,
    LoopCondition = 42,
    LoopBlock = 43,
    WhileOrUntil = 44,
    ForeachHead = 45,
    ForeachExpression = 46,
    SwitchHead = 47,
    SwitchCurly = 48,
    SwitchCondition = 49,
    SwitchBlock = 50,
    Name = 51,
    EndParenParameters = 52,
    Parameter = 53,
    FunctionBody = 54,
    NamedBlock = 55,
    TryBlock = 56,
    CatchOrFinally = 57,
    Member = 58,
    Using = 59,
    Target = 60,
    Splatting = 61,
    TernaryColon = 62,
    Other = 63,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Command,
    Expression,
    TypeName,
    Signature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unknown,
    Variable,
    Splat,
    /// `-Name`, with a colon at its end or not.
    Parameter(bool),
    Number,
    Label,
    Identifier,
    /// A word that is only a word, such as `Get-Item` or `a/b`.
    Generic,
    Keyword(&'static str),
    NewLine,
    End,
    Literal,
    Expandable,
    LParen,
    RParen,
    LCurly,
    RCurly,
    LBracket,
    RBracket,
    AtParen,
    AtCurly,
    DollarParen,
    Semi,
    /// `&&` or `||`.
    Chain,
    Ampersand,
    Pipe,
    Comma,
    Increment,
    Decrement,
    ColonColon,
    Dot,
    /// An operator that only stands between operands.
    Binary,
    /// `+`, `-join` and `-split` forms: before one operand or between two.
    Either,
    Minus,
    /// `!`, `-not` and `-bnot`.
    Unary,
    Equals,
    /// An assignment operator besides `=`.
    Assign,
    /// To a file, from the stream of that number; 0 stands for all.
    Redirect(u8),
    /// Into another stream.
    Merge(u8, u8),
    Input,
    Colon,
    Question,
    QuestionDot,
    QuestionBracket,
}

impl Kind {
    /// Whether every mode reads the token alike.
    fn invariant(self) -> bool {
        use Kind as K;
        matches!(
            self,
            K::NewLine
                | K::End
                | K::Literal
                | K::Expandable
                | K::LParen
                | K::RParen
                | K::LCurly
                | K::RCurly
                | K::RBracket
                | K::AtParen
                | K::AtCurly
                | K::DollarParen
                | K::Semi
                | K::Chain
                | K::Ampersand
                | K::Pipe
                | K::Comma
                | K::Input
        )
    }

    fn binary(self) -> bool {
        matches!(self, Kind::Binary | Kind::Either | Kind::Minus)
    }

    fn unary(self) -> bool {
        matches!(
            self,
            Kind::Unary | Kind::Either | Kind::Minus | Kind::Comma | Kind::Increment | Kind::Decrement
        )
    }

    /// Ends a command without being part of it.
    fn ends_command(self) -> bool {
        use Kind as K;
        matches!(
            self,
            K::Pipe | K::RCurly | K::RParen | K::End | K::NewLine | K::Semi | K::Chain | K::Ampersand
        )
    }
}

#[derive(Clone, Copy, Debug)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

static KEYWORDS: &[&str] = &[
    "elseif",
    "if",
    "else",
    "switch",
    "foreach",
    "from",
    "in",
    "for",
    "while",
    "until",
    "do",
    "try",
    "catch",
    "finally",
    "trap",
    "data",
    "return",
    "continue",
    "break",
    "exit",
    "throw",
    "begin",
    "process",
    "end",
    "dynamicparam",
    "function",
    "filter",
    "param",
    "class",
    "define",
    "var",
    "using",
    "workflow",
    "parallel",
    "sequence",
    "inlinescript",
    "configuration",
    "public",
    "private",
    "static",
    "interface",
    "enum",
    "namespace",
    "module",
    "type",
    "assembly",
    "command",
    "hidden",
    "base",
    "default",
    "clean",
];

/// Operators between two operands that may start with `i` or `c`.
static COMPARISONS: &[&str] = &[
    "eq",
    "ne",
    "ge",
    "gt",
    "lt",
    "le",
    "like",
    "notlike",
    "match",
    "notmatch",
    "replace",
    "contains",
    "notcontains",
    "in",
    "notin",
];

static BINARY: &[&str] = &["is", "isnot", "as", "f", "and", "band", "or", "bor", "xor", "bxor", "shl", "shr"];

/// The operator of that name, without its dash.
fn operator(word: &str) -> Option<Kind> {
    let among = |word: &str, list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(word));
    let bare = word.strip_prefix(['i', 'c', 'I', 'C']).unwrap_or(word);
    if among(word, &["not", "bnot"]) {
        Some(Kind::Unary)
    } else if among(word, &["join", "split", "isplit", "csplit"]) {
        Some(Kind::Either)
    } else if among(word, BINARY) || among(word, COMPARISONS) || among(bare, COMPARISONS) {
        Some(Kind::Binary)
    } else {
        None
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0b' | '\x0c') || (!c.is_ascii() && c.is_whitespace())
}

/// Ends any word.
fn ends_word(c: char) -> bool {
    matches!(c, '\0' | '\n' | '\r' | '&' | '(' | ')' | ',' | ';' | '{' | '|' | '}') || is_blank(c)
}

/// Letters beyond the first plane are none to .NET, which sees halves of them.
fn is_letter(c: char) -> bool {
    c < '\u{10000}' && c.is_alphabetic()
}

fn is_letter_or_digit(c: char) -> bool {
    c < '\u{10000}' && c.is_alphanumeric()
}

fn opens_identifier(c: char) -> bool {
    c == '_' || is_letter(c)
}

fn opens_variable(c: char) -> bool {
    matches!(c, '$' | '?' | '^' | ':' | '_') || is_letter_or_digit(c)
}

fn is_single_quote(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}'..='\u{201b}')
}

fn is_double_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}'..='\u{201e}')
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2013}'..='\u{2015}')
}

/// What may stand left of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    No,
    One,
    /// An array literal of such: only `=` assigns to it.
    List,
}

#[derive(Clone, Copy, Debug)]
struct Expr {
    start: usize,
    end: usize,
    target: Target,
}

/// A statement or a pipeline; `target` is that of a pipeline which is nothing but an expression.
type Part = Expr;

/// Where an argument of a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Name,
    /// After `&` or `.`.
    Invoked,
    File,
    Argument,
    Condition,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a context of its own")]
#[derive(Debug)]
struct Parser<'t> {
    text: &'t str,
    at: usize,
    mode: Mode,
    /// A token that was read and given back.
    ungot: Option<Token>,
    /// The `$(…)` inside the token read last, and whether a here-string holds them.
    subs: Vec<(Range<usize>, bool)>,
    /// A comma ends an expression, as in the arguments of a method.
    no_comma: bool,
    signed: bool,
    ternary: bool,
    simple_name: bool,
    in_workflow: bool,
    in_configuration: bool,
    /// Keywords that only go on with a statement are no commands.
    strict: bool,
    faults: Vec<Fault>,
    /// Each brace that was read, perhaps twice, and whether it opens a block.
    braces: Vec<(usize, bool)>,
    /// Strings and comments of several lines.
    torn: Vec<Range<usize>>,
    depth: usize,
    /// Bytes that may yet be read, so that reading again stays cheap.
    budget: usize,
    gave_up: bool,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, budget: usize) -> Self {
        Self {
            text,
            at: 0,
            mode: Mode::Command,
            ungot: None,
            subs: Vec::new(),
            no_comma: false,
            signed: false,
            ternary: false,
            simple_name: false,
            in_workflow: false,
            in_configuration: false,
            strict: false,
            faults: Vec::new(),
            braces: Vec::new(),
            torn: Vec::new(),
            depth: 0,
            budget,
            gave_up: false,
        }
    }

    fn report(&mut self, code: Code, span: Range<usize>, message: impl Into<String>) {
        if self.gave_up {
            return;
        }
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.floor_char_boundary(span.end).max(start);
        self.faults.push(Fault { span: start..end, message: message.into(), code: code as u8 });
        if self.faults.len() >= MOST_FAULTS {
            self.give_up();
        }
    }

    /// Reports what is missing at a place.
    fn missing(&mut self, code: Code, at: usize, message: impl Into<String>) {
        self.report(code, at..at, message);
    }

    fn unexpected(&mut self, token: Token) {
        let shown: String = self.word(token).chars().take_while(|c| !c.is_control()).take(40).collect();
        let message = format!("Unexpected token '{shown}' in expression or statement.");
        self.report(Code::UnexpectedToken, token.start..token.end, message);
    }

    fn give_up(&mut self) {
        self.gave_up = true;
        self.ungot = None;
    }

    fn word(&self, token: Token) -> &'t str {
        &self.text[token.start..token.end]
    }

    // Characters.

    fn char_at(&self, at: usize) -> char {
        match self.text.as_bytes().get(at) {
            None => '\0',
            Some(byte) if byte.is_ascii() => char::from(*byte),
            // Inside a character nothing of interest can be found.
            Some(_) => self.text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('\u{fffd}'),
        }
    }

    /// The next character; NUL at the end.
    fn peek_char(&self) -> char {
        self.char_at(self.at)
    }

    fn next_char(&mut self) -> char {
        let c = self.peek_char();
        if self.at < self.text.len() {
            self.at += c.len_utf8();
        }
        c
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.at < self.text.len() && self.peek_char() == wanted;
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn skip_while(&mut self, test: impl Fn(char) -> bool) -> usize {
        let start = self.at;
        while self.at < self.text.len() && test(self.peek_char()) {
            self.next_char();
        }
        self.at - start
    }

    fn rest_starts_with(&self, prefix: &str) -> bool {
        self.text.as_bytes()[self.at..].starts_with(prefix.as_bytes())
    }

    // Tokens.

    fn line_comment(&mut self) {
        self.skip_while(|c| !matches!(c, '\r' | '\n'));
    }

    /// The rest of a comment that starts at `start`.
    fn block_comment(&mut self, start: usize) {
        if let Some(length) = self.text[self.at..].find("#>") {
            self.at += length + 2;
            self.torn.push(start..self.at);
        } else {
            self.at = self.text.len();
            let message = "The terminator '#>' is missing from the multiline comment.";
            self.report(Code::CommentTerminator, start..start + 2, message);
        }
    }

    fn skip_blank_lines(&mut self, semis: bool) {
        while self.at < self.text.len() {
            let start = self.at;
            match self.next_char() {
                '\r' | '\n' => {}
                ';' if semis => {}
                '#' => self.line_comment(),
                '<' if self.eat('#') => self.block_comment(start),
                '`' if self.peek_char().is_whitespace() => {
                    self.next_char();
                }
                c if is_blank(c) => {}
                _ => {
                    self.at = start;
                    return;
                }
            }
        }
    }

    /// A string in single quotes, behind the first of them.
    fn single_quoted(&mut self, start: usize) {
        loop {
            if self.at >= self.text.len() {
                return self.missing_terminator(start, "'");
            }
            if is_single_quote(self.next_char()) {
                if !is_single_quote(self.peek_char()) {
                    return;
                }
                self.next_char();
            }
        }
    }

    fn missing_terminator(&mut self, start: usize, terminator: &str) {
        let end = start + self.char_at(start).len_utf8() + usize::from(terminator.len() > 1);
        let message = format!("The string is missing the terminator: {terminator}.");
        self.report(Code::StringTerminator, start..end, message);
    }

    /// A string in double quotes, behind the first of them.
    fn double_quoted(&mut self, start: usize) {
        loop {
            if self.at >= self.text.len() {
                return self.missing_terminator(start, "\"");
            }
            match self.next_char() {
                c if is_double_quote(c) => {
                    if !is_double_quote(self.peek_char()) {
                        return;
                    }
                    self.next_char();
                }
                '$' => self.dollar(false),
                '`' => {
                    self.next_char();
                }
                _ => {}
            }
        }
    }

    /// What follows a `$` inside a string or a word.
    fn dollar(&mut self, here: bool) {
        let c = self.peek_char();
        let start = self.at - 1;
        if c == '(' {
            self.at += 1;
            self.sub_expression(start, here);
        } else if self.at < self.text.len() && (c == '{' || opens_variable(c)) {
            let mode = std::mem::replace(&mut self.mode, Mode::Expression);
            self.variable(start, false, true);
            self.mode = mode;
        }
    }

    /// Finds the end of a `$(…)` in a string by counting parentheses, as PowerShell does.
    fn sub_expression(&mut self, start: usize, here: bool) {
        let mut open = 1;
        while open > 0 {
            if self.at >= self.text.len() {
                let message = "$(subexpression) is missing the closing ')'.";
                self.report(Code::DollarSubexpression, start..start + 2, message);
                return;
            }
            match self.next_char() {
                '(' => open += 1,
                ')' => open -= 1,
                c if !here && (c == '`' || is_double_quote(c)) && is_double_quote(self.peek_char()) => {
                    self.next_char();
                }
                _ => {}
            }
        }
        self.subs.push((start..self.at, here));
    }

    /// The rest of a here-string; `quote` tells its kind.
    fn here_string(&mut self, start: usize, quote: fn(char) -> bool, expands: bool) -> Kind {
        let kind = if expands { Kind::Expandable } else { Kind::Literal };
        let footer = if expands { "\"@" } else { "'@" };
        self.skip_while(is_blank);
        if self.at >= self.text.len() {
            self.missing_terminator(start, footer);
            return kind;
        }
        if !matches!(self.peek_char(), '\r' | '\n') {
            let message =
                "No characters are allowed after a here-string header but before the end of the line.";
            self.report(Code::HereStringHeader, self.at..self.at + 1, message);
            while self.at < self.text.len() && !matches!(self.peek_char(), '\r' | '\n') {
                if quote(self.next_char()) && self.eat('@') {
                    break;
                }
            }
            return kind;
        }
        let mut false_footer = None;
        let mut line_start = true;
        if self.next_char() == '\r' {
            self.eat('\n');
        }
        loop {
            if line_start {
                line_start = false;
                let line = self.at;
                let blanks = self.skip_while(is_blank);
                let mark = self.at;
                if quote(self.peek_char()) && self.char_at(mark + self.peek_char().len_utf8()) == '@' {
                    if blanks == 0 {
                        self.next_char();
                        self.next_char();
                        return kind;
                    }
                    false_footer.get_or_insert(line..mark);
                }
            }
            if self.at >= self.text.len() {
                if let Some(blanks) = false_footer {
                    let message = "White space is not allowed before the string terminator.";
                    self.report(Code::HereStringFooter, blanks, message);
                } else {
                    self.missing_terminator(start, footer);
                }
                return kind;
            }
            match self.next_char() {
                '\r' => {
                    self.eat('\n');
                    line_start = true;
                }
                '\n' => line_start = true,
                '$' if expands => self.dollar(true),
                '`' if expands => {
                    self.next_char();
                }
                _ => {}
            }
        }
    }

    /// A variable whose `$` or `@` was read.
    fn variable(&mut self, start: usize, splat: bool, in_string: bool) -> Kind {
        let after_word = |c: char, mode: Mode| mode == Mode::Command && !ends_word(c);
        if !splat && self.eat('{') {
            let name = self.at;
            let end = loop {
                if self.at >= self.text.len() {
                    let message = "${variable} reference starting is missing the closing '}'.";
                    self.report(Code::BracedVariable, start..start + 2, message);
                    break self.at;
                }
                match self.next_char() {
                    '}' => break self.at - 1,
                    '`' => self.escaped(),
                    '{' => {
                        let message = "Use `{ instead of { in variable names.";
                        self.report(Code::VariableName, self.at - 1..self.at, message);
                    }
                    c if in_string && is_double_quote(c) && is_double_quote(self.peek_char()) => {
                        self.next_char();
                    }
                    _ => {}
                }
            };
            if end == name && self.at > end {
                let message =
                    "An empty ${} variable reference was found. A name is required inside the braces.";
                self.report(Code::VariableName, start..self.at, message);
            }
            if after_word(self.peek_char(), self.mode) && !matches!(self.peek_char(), '.' | '[') {
                self.at = start;
                return self.generic();
            }
            self.check_drive(start, name..end, "The variable name is missing.");
            return Kind::Variable;
        }
        let first = self.peek_char();
        if !opens_variable(first) {
            return self.generic();
        }
        let name = self.at;
        self.next_char();
        if matches!(first, '$' | '?' | '^') {
            if after_word(self.peek_char(), self.mode) {
                self.at = start;
                return self.generic();
            }
            return Kind::Variable;
        }
        loop {
            let c = self.peek_char();
            match c {
                ':' if self.char_at(self.at + 1) == ':' => break,
                '.' | '[' | '=' => break,
                '_' | '?' | ':' => {}
                c if is_letter_or_digit(c) => {}
                c if after_word(c, self.mode) => {
                    self.at = start;
                    return self.generic();
                }
                _ => break,
            }
            self.next_char();
        }
        let advice = "':' was not followed by a valid variable name character. \
                      Consider using ${} to delimit the name.";
        self.check_drive(start, name..self.at, advice);
        if splat { Kind::Splat } else { Kind::Variable }
    }

    /// A drive or scope needs a name behind its colon.
    fn check_drive(&mut self, start: usize, name: Range<usize>, why: &str) {
        if name.len() > 1 && self.text[name.clone()].find(':') == Some(name.len() - 1) {
            let message = format!("Variable reference is not valid. {why}");
            self.report(Code::VariableDrive, start..self.at, message);
        }
    }

    /// The rest of a word.
    fn generic(&mut self) -> Kind {
        while self.at < self.text.len() && !ends_word(self.peek_char()) {
            let start = self.at;
            match self.next_char() {
                '`' => self.escaped(),
                '$' => self.dollar(false),
                c if is_single_quote(c) => self.single_quoted(start),
                c if is_double_quote(c) => self.double_quoted(start),
                _ => {}
            }
        }
        Kind::Generic
    }

    /// What follows a backtick inside a word: a character, or `u{…}`.
    fn escaped(&mut self) {
        if self.next_char() == 'u' && self.peek_char() == '{' {
            let digits = self.text[self.at + 1..].find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(0);
            if digits > 0 && self.char_at(self.at + 1 + digits) == '}' {
                self.at += digits + 2;
            }
        }
    }

    /// A mark that is part of a word when a command's word goes on behind it.
    fn mark(&mut self, kind: Kind) -> Kind {
        if self.mode == Mode::Command && !ends_word(self.peek_char()) { self.generic() } else { kind }
    }

    /// The end of the number that starts at `start`, if it is one and ends there.
    fn number_end(&self, start: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|byte| set.contains(byte));
        let digits = |mut at: usize, test: fn(&u8) -> bool| {
            while bytes.get(at).is_some_and(test) {
                at += 1;
            }
            at
        };
        let exponent = |at: usize| -> Option<usize> {
            if !is(at, b"eE") {
                return Some(at);
            }
            let sign = self.char_at(at + 1);
            let from = at + 1 + if sign == '+' || is_dash(sign) { sign.len_utf8() } else { 0 };
            let end = digits(from, u8::is_ascii_digit);
            (end > from).then_some(end)
        };
        let mut at = start;
        let sign = self.char_at(at);
        if sign == '+' || is_dash(sign) {
            at += sign.len_utf8();
        }
        if is(at, b".") {
            at = exponent(digits(at + 1, u8::is_ascii_digit))?;
        } else if is(at, b"0") && is(at + 1, b"xXbB") {
            let hex = is(at + 1, b"xX");
            at = digits(at + 2, if hex { u8::is_ascii_hexdigit } else { |byte| matches!(byte, b'0' | b'1') });
        } else {
            at = digits(at, u8::is_ascii_digit);
            at = match bytes.get(at) {
                Some(b'.') if !is(at + 1, b".") => exponent(digits(at + 1, u8::is_ascii_digit))?,
                _ => exponent(at)?,
            };
        }
        if is(at, b"uU") && is(at + 1, b"lLsSyY") {
            at += 2;
        } else if is(at, b"uUsSlLdDyYnN") {
            at += 1;
        }
        if is(at, b"kKmMgGtTpP") {
            if !is(at + 1, b"bB") {
                return None;
            }
            at += 2;
        }
        let next = self.char_at(at);
        let operator = matches!(next, '!' | '#' | '%' | '*' | '+' | '-' | '.' | '/' | '<' | '=' | '>' | ']')
            || is_dash(next)
            || (self.ternary && matches!(next, '?' | ':'));
        (ends_word(next) || (self.mode == Mode::Expression && operator)).then_some(at)
    }

    fn number(&mut self, start: usize) -> Kind {
        if let Some(end) = self.number_end(start) {
            self.at = end;
            Kind::Number
        } else {
            self.at = start;
            self.generic()
        }
    }

    /// `-Name` or an operator such as `-eq`, behind the dash.
    fn parameter(&mut self) -> Kind {
        let start = self.at;
        let command = self.mode == Mode::Command;
        let mut colon = false;
        loop {
            let c = self.peek_char();
            match c {
                '.' | '[' => break,
                ':' => {
                    colon = true;
                    break;
                }
                c if ends_word(c) => break,
                c if is_single_quote(c) || is_double_quote(c) => {
                    if command {
                        return self.generic();
                    }
                    break;
                }
                c if c.is_ascii_alphabetic() || command => {
                    self.next_char();
                }
                _ => break,
            }
        }
        let name = &self.text[start..self.at];
        if colon && command {
            self.at += 1;
        }
        if self.mode == Mode::Expression
            && let Some(kind) = operator(name)
        {
            return kind;
        }
        if name.is_empty() { Kind::Minus } else { Kind::Parameter(colon) }
    }

    fn identifier(&mut self, start: usize) -> Kind {
        self.skip_while(|c| c == '_' || is_letter_or_digit(c));
        if self.mode == Mode::TypeName {
            self.skip_while(|c| matches!(c, '.' | '`' | '_' | '+' | '#' | '\\') || is_letter_or_digit(c));
            return Kind::Identifier;
        }
        if self.simple_name {
            return Kind::Identifier;
        }
        if self.mode == Mode::Command && !ends_word(self.peek_char()) {
            return self.generic();
        }
        if matches!(self.mode, Mode::Command | Mode::Signature) {
            let word = &self.text[start..self.at];
            let keyword = KEYWORDS.iter().find(|keyword| keyword.eq_ignore_ascii_case(word));
            if let Some(keyword) = keyword.filter(|found| **found != "inlinescript" || self.in_workflow) {
                return Kind::Keyword(keyword);
            }
        }
        Kind::Identifier
    }

    fn redirection(&mut self, from: u8, explicit: bool, start: usize) -> Kind {
        if !self.eat('>') && self.rest_starts_with("&") {
            let to = self.char_at(self.at + 1);
            if to == '1' || (to == '2' && from > 0) {
                self.at += 2;
                return Kind::Merge(from, if to == '1' { 1 } else { 2 });
            }
        }
        if explicit && self.mode == Mode::Expression {
            self.at = start + 1;
            return Kind::Number;
        }
        Kind::Redirect(from)
    }

    fn scan(&mut self) -> Token {
        self.subs.clear();
        loop {
            let start = self.at;
            if self.gave_up || start >= self.text.len() {
                let end = self.text.len();
                return Token { kind: Kind::End, start: end, end };
            }
            if let Some(kind) = self.scan_at(start) {
                let read = self.at - start;
                match self.budget.checked_sub(read) {
                    Some(left) => self.budget = left,
                    None => self.give_up(),
                }
                if kind != Kind::NewLine && self.text.as_bytes()[start..self.at].contains(&b'\n') {
                    self.torn.push(start..self.at);
                }
                return Token { kind, start, end: self.at };
            }
        }
    }

    /// A brace that ends here.
    fn brace(&mut self, kind: Kind) -> Kind {
        self.braces.push((self.at - 1, kind != Kind::RCurly));
        kind
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each first character")]
    /// The token at `start`, or nothing when only blanks or a comment stand there.
    fn scan_at(&mut self, start: usize) -> Option<Kind> {
        let c = self.next_char();
        let next = self.peek_char();
        let (command, expression) = (self.mode == Mode::Command, self.mode == Mode::Expression);
        Some(match c {
            '\n' => Kind::NewLine,
            '\r' => {
                self.eat('\n');
                Kind::NewLine
            }
            '#' => {
                self.line_comment();
                return None;
            }
            '<' if self.eat('#') => {
                self.block_comment(start);
                return None;
            }
            '<' => Kind::Input,
            '`' if next == '\r' || next.is_whitespace() => {
                if self.next_char() == '\r' {
                    self.eat('\n');
                }
                return None;
            }
            '`' if self.at >= self.text.len() => {
                self.report(Code::UnrecognizedToken, start..self.at, "Incomplete string token.");
                return None;
            }
            '`' => {
                self.escaped();
                self.generic()
            }
            '@' if self.eat('{') => self.brace(Kind::AtCurly),
            '@' if self.eat('(') => Kind::AtParen,
            '@' if is_single_quote(next) => {
                self.next_char();
                self.here_string(start, is_single_quote, false)
            }
            '@' if is_double_quote(next) => {
                self.next_char();
                self.here_string(start, is_double_quote, true)
            }
            '@' if opens_variable(next) => self.variable(start, true, false),
            '@' => {
                self.report(Code::UnrecognizedToken, start..self.at, "Unrecognized token in source text.");
                Kind::Unknown
            }
            '$' if self.eat('(') => Kind::DollarParen,
            '$' => self.variable(start, false, false),
            '(' => Kind::LParen,
            ')' => Kind::RParen,
            '{' => self.brace(Kind::LCurly),
            '}' => self.brace(Kind::RCurly),
            '[' => self.mark(Kind::LBracket),
            ']' => Kind::RBracket,
            ';' => Kind::Semi,
            ',' => Kind::Comma,
            '&' if self.eat('&') => Kind::Chain,
            '&' => Kind::Ampersand,
            '|' if self.eat('|') => Kind::Chain,
            '|' => Kind::Pipe,
            '=' => self.mark(Kind::Equals),
            '*' if self.eat('>') => self.redirection(0, false, start),
            '+' | '*' | '/' | '%' if self.eat('=') => self.mark(Kind::Assign),
            '*' | '/' | '%' => self.mark(Kind::Binary),
            '+' if self.eat('+') => self.mark(Kind::Increment),
            '+' if self.signed && (next.is_ascii_digit() || next == '.') => self.number(start),
            '+' => self.mark(Kind::Either),
            c if is_dash(c) => match next {
                next if is_dash(next) => {
                    self.next_char();
                    self.mark(Kind::Decrement)
                }
                '=' => {
                    self.next_char();
                    self.mark(Kind::Assign)
                }
                '_' | '?' => self.parameter(),
                next if is_letter(next) => self.parameter(),
                next if self.signed && (next.is_ascii_digit() || next == '.') => self.number(start),
                _ => self.mark(Kind::Minus),
            },
            '>' => self.redirection(1, false, start),
            '1'..='6' if next == '>' => {
                self.next_char();
                let from = u8::try_from(u32::from(c)).unwrap_or(b'1') - b'0';
                self.redirection(from, true, start)
            }
            '0'..='9' => self.number(start),
            '.' if next == '.' => {
                self.next_char();
                self.mark(Kind::Binary)
            }
            '.' if next.is_ascii_digit() => self.number(start),
            '.' if command && !ends_word(next) && !matches!(next, '$' | '"' | '\'') => self.generic(),
            '.' => Kind::Dot,
            '!' if (command && !ends_word(next)) || (expression && opens_identifier(next)) => self.generic(),
            '!' if expression
                && (next.is_ascii_digit() || next == '.')
                && self.number_end(self.at).is_none() =>
            {
                self.generic()
            }
            '!' => Kind::Unary,
            ':' if self.eat(':') => {
                if command && !self.simple_name && !ends_word(self.peek_char()) {
                    self.generic()
                } else {
                    Kind::ColonColon
                }
            }
            ':' if command => self.label(),
            ':' => Kind::Colon,
            '?' if expression => match next {
                '?' => {
                    self.next_char();
                    if self.eat('=') { Kind::Assign } else { Kind::Binary }
                }
                _ => Kind::Question,
            },
            c if is_single_quote(c) => {
                self.single_quoted(start);
                Kind::Literal
            }
            c if is_double_quote(c) => {
                self.double_quoted(start);
                Kind::Expandable
            }
            c if is_blank(c) => {
                self.skip_while(is_blank);
                return None;
            }
            c if opens_identifier(c) => self.identifier(start),
            _ => self.generic(),
        })
    }

    fn label(&mut self) -> Kind {
        if !opens_identifier(self.peek_char()) {
            return self.generic();
        }
        self.skip_while(|c| c == '_' || is_letter_or_digit(c));
        self.mark(Kind::Label)
    }

    fn next(&mut self) -> Token {
        match self.ungot.take() {
            Some(token) => token,
            None => self.scan(),
        }
    }

    fn peek(&mut self) -> Token {
        let token = self.next();
        self.ungot = Some(token);
        token
    }

    fn unget(&mut self, token: Token) {
        self.ungot = Some(token);
    }

    /// Takes the next token if it is of that kind.
    fn take(&mut self, kind: Kind) -> Option<Token> {
        let found = self.peek();
        (found.kind == kind).then(|| self.next())
    }

    fn resync(&mut self, at: usize) {
        self.ungot = None;
        self.at = at;
    }

    /// Where reading can be resumed.
    fn here(&self) -> usize {
        self.ungot.map_or(self.at, |token| token.start)
    }

    fn set_mode(&mut self, mode: Mode) -> Mode {
        if mode != self.mode
            && let Some(token) = self.ungot
            && !token.kind.invariant()
        {
            self.resync(token.start);
        }
        std::mem::replace(&mut self.mode, mode)
    }

    fn in_mode<T>(&mut self, mode: Mode, rule: impl FnOnce(&mut Self) -> T) -> T {
        let old = self.set_mode(mode);
        let result = rule(self);
        self.set_mode(old);
        result
    }

    fn with_comma<T>(&mut self, comma: bool, rule: impl FnOnce(&mut Self) -> T) -> T {
        let old = std::mem::replace(&mut self.no_comma, !comma);
        let result = rule(self);
        self.no_comma = old;
        result
    }

    fn deeper<T>(&mut self, rule: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= DEPTH {
            self.give_up();
            return None;
        }
        self.depth += 1;
        let result = rule(self);
        self.depth -= 1;
        result
    }

    fn skip_newlines(&mut self) {
        if self.ungot.is_none_or(|token| token.kind == Kind::NewLine) {
            self.ungot = None;
            self.skip_blank_lines(false);
        }
    }

    fn skip_separators(&mut self) {
        if self.ungot.is_none_or(|token| matches!(token.kind, Kind::NewLine | Kind::Semi)) {
            self.ungot = None;
            self.skip_blank_lines(true);
        }
    }

    /// Skips to one of these tokens after a fault; brackets on the way are skipped whole.
    fn sync(&mut self, take: bool, kinds: &[Kind]) {
        let pairs =
            [(Kind::LParen, Kind::RParen), (Kind::LCurly, Kind::RCurly), (Kind::LBracket, Kind::RBracket)];
        let mut open = pairs.map(|(_, closer)| i32::from(kinds.contains(&closer)));
        loop {
            let token = self.next();
            if token.kind == Kind::End {
                return self.unget(token);
            }
            for (depth, (opener, closer)) in open.iter_mut().zip(pairs) {
                if token.kind == opener {
                    *depth += 1;
                } else if token.kind == closer {
                    *depth -= 1;
                    if *depth == 0 && kinds.contains(&closer) {
                        if !take {
                            self.unget(token);
                        }
                        return;
                    }
                }
            }
            if kinds.contains(&token.kind) && open == [0; 3] {
                return;
            }
        }
    }

    // Blocks.

    /// A script, or the inside of a script block whose `{` was read. Tells whether it has a `param`.
    fn script_block(&mut self, open: Option<Token>) -> bool {
        self.skip_newlines();
        if open.is_none() {
            while let Some(token) = self.take(Kind::Keyword("using")) {
                self.using(token);
                self.skip_separators();
            }
        }
        let restore = self.here();
        self.resync(restore);
        let param = self.param_block();
        if !param {
            self.resync(restore);
        }
        self.skip_separators();
        if let Kind::Keyword("begin" | "process" | "end" | "clean" | "dynamicparam") = self.peek().kind {
            self.named_blocks(open);
            return param;
        }
        loop {
            self.statements();
            if self.close_block(open) {
                return param;
            }
        }
    }

    fn close_block(&mut self, open: Option<Token>) -> bool {
        let token = self.next();
        if let Some(open) = open {
            if token.kind != Kind::RCurly {
                self.unget(token);
                self.missing_end_curly(open);
            }
            return true;
        }
        if token.kind != Kind::End {
            self.unexpected(token);
        }
        token.kind == Kind::End
    }

    fn missing_end_curly(&mut self, open: Token) {
        let message = "Missing closing '}' in statement block or type definition.";
        self.report(Code::EndCurly, open.start..open.end, message);
    }

    fn named_blocks(&mut self, open: Option<Token>) {
        let mut seen: Vec<&str> = Vec::new();
        loop {
            let name = self.next();
            match name.kind {
                Kind::RCurly | Kind::End => {
                    self.unget(name);
                    self.close_block(open);
                    return;
                }
                Kind::Keyword(word @ ("begin" | "process" | "end" | "clean" | "dynamicparam")) => {
                    if self.block().is_none() {
                        let message = format!("Missing statement block after '{word}'.");
                        self.missing(Code::NamedBlock, name.end, message);
                    }
                    if seen.contains(&word) {
                        let message = format!("Script command clause '{word}' has already been defined.");
                        self.report(Code::NamedBlock, name.start..name.end, message);
                    }
                    seen.push(word);
                    self.skip_separators();
                }
                _ => {
                    let message = format!(
                        "unexpected token '{}', expected 'begin', 'process', 'end', 'clean', or 'dynamicparam'.",
                        self.word(name)
                    );
                    self.report(Code::NamedBlock, name.start..name.end, message);
                    if open.is_some() {
                        self.unget(name);
                    } else {
                        self.give_up();
                    }
                    return;
                }
            }
        }
    }

    /// `{ … }` with its end, or nothing when no `{` comes.
    fn block(&mut self) -> Option<usize> {
        self.skip_newlines();
        let open = self.take(Kind::LCurly)?;
        self.statements();
        if let Some(close) = self.take(Kind::RCurly) {
            return Some(close.end);
        }
        self.missing_end_curly(open);
        Some(self.here())
    }

    fn statements(&mut self) {
        self.skip_separators();
        while self.statement().is_some() {
            self.skip_separators();
            if matches!(self.peek().kind, Kind::RParen | Kind::RCurly) {
                return;
            }
        }
    }

    fn param_block(&mut self) -> bool {
        self.skip_newlines();
        let attributes = self.attributes(false);
        self.skip_newlines();
        if self.take(Kind::Keyword("param")).is_none() {
            return false;
        }
        self.skip_newlines();
        let Some(open) = self.take(Kind::LParen) else { return false };
        self.parameter_list(open);
        for (attribute, is_type) in attributes {
            if is_type {
                let message = "Unexpected type was found in the parameter statement.";
                self.report(Code::Attribute, attribute, message);
            }
        }
        true
    }

    /// The parameters behind `(` and the `)`. Tells whether that was there, and any parameter.
    fn parameter_list(&mut self, open: Token) -> (bool, bool) {
        let mut last = open.end;
        let mut comma: Option<Token> = None;
        let mut names = HashSet::new();
        loop {
            let Some(name) = self.in_mode(Mode::Expression, |parser| {
                parser.with_comma(false, |parser| parser.parameter_declaration(&mut last))
            }) else {
                if let Some(comma) = comma {
                    self.missing(Code::ExpressionAfterToken, comma.end, "Missing expression after ','.");
                }
                break;
            };
            if name.kind == Kind::Variable && !names.insert(self.word(name).to_lowercase()) {
                let message = format!("Duplicate parameter {} in parameter list.", self.word(name));
                self.report(Code::Other, name.start..name.end, message);
            }
            self.skip_newlines();
            comma = self.take(Kind::Comma);
            if comma.is_none() {
                break;
            }
        }
        self.skip_newlines();
        let closed = self.take(Kind::RParen).is_some();
        if !closed {
            self.missing(Code::EndParenParameters, last, "Missing ')' in function parameter list.");
        }
        (closed, !names.is_empty())
    }

    fn parameter_declaration(&mut self, last: &mut usize) -> Option<Token> {
        self.skip_newlines();
        let attributes = self.attributes(false);
        self.skip_newlines();
        let name = self.next();
        if !matches!(name.kind, Kind::Variable | Kind::Splat) {
            self.unget(name);
            let (attribute, _) = attributes.last()?;
            *last = attribute.end;
            let message = "Parameter declarations are a comma-separated list of variable names \
                           with optional initializer expressions.";
            self.missing(Code::Parameter, attribute.end, message);
            self.sync(false, &[Kind::RParen]);
            return Some(Token { kind: Kind::Unknown, ..name });
        }
        *last = name.end;
        self.skip_newlines();
        if let Some(equals) = self.take(Kind::Equals) {
            self.skip_newlines();
            *last = equals.end;
            if let Some(value) = self.expression(false) {
                *last = value.end;
            } else {
                self.missing(Code::ExpressionAfterToken, equals.end, "Missing expression after '='.");
            }
        }
        Some(name)
    }

    // Attributes and types.

    /// Attributes and types in brackets, each with whether it is a type.
    fn attributes(&mut self, in_expression: bool) -> Vec<(Range<usize>, bool)> {
        let mut found = Vec::new();
        while let Some(attribute) = self.attribute() {
            if !in_expression || !attribute.1 {
                self.skip_newlines();
            }
            found.push(attribute);
        }
        found
    }

    fn bracket(&mut self) -> Option<Token> {
        if self.ungot.is_some() {
            return self.take(Kind::LBracket);
        }
        let restore = self.at;
        let mut blanks = false;
        while self.at < self.text.len() {
            let start = self.at;
            match self.next_char() {
                '#' => {
                    blanks = true;
                    self.line_comment();
                }
                '<' if self.eat('#') => {
                    blanks = false;
                    self.block_comment(start);
                }
                '[' => return Some(Token { kind: Kind::LBracket, start, end: self.at }),
                c if is_blank(c) => blanks = true,
                '.' | ':' if blanks => {
                    self.at = restore;
                    return None;
                }
                _ => {
                    self.at = start;
                    return None;
                }
            }
        }
        None
    }

    fn attribute(&mut self) -> Option<(Range<usize>, bool)> {
        let open = self.bracket()?;
        self.skip_newlines();
        if !self.type_name(true) {
            self.resync(open.start);
            self.missing(Code::TypeName, open.end, "Missing type name after '['.");
            return None;
        }
        let no_end = "Missing ] at end of attribute or type literal.";
        let Some(paren) = self.take(Kind::LParen) else {
            let end = self.peek().start;
            if let Some(close) = self.take(Kind::RBracket) {
                return Some((open.start..close.end, true));
            }
            self.missing(Code::EndBracketType, end, no_end);
            return Some((open.start..end, true));
        };
        self.skip_newlines();
        let mut end = paren.end;
        self.in_mode(Mode::Expression, |parser| {
            parser.with_comma(false, |parser| parser.attribute_arguments(&mut end));
        });
        self.skip_newlines();
        let closed = self.take(Kind::RParen);
        if let Some(closed) = closed {
            end = closed.end;
        } else {
            self.missing(Code::EndParen, end, "Missing closing ')' in expression.");
        }
        self.skip_newlines();
        if let Some(close) = self.take(Kind::RBracket) {
            end = close.end;
        } else if closed.is_some() {
            self.missing(Code::EndBracketType, end, no_end);
        }
        Some((open.start..end, false))
    }

    fn attribute_arguments(&mut self, end: &mut usize) {
        let mut comma: Option<Token> = None;
        loop {
            self.skip_newlines();
            if let Some(name) = self.simple_name() {
                *end = name.end;
                if let Some(equals) = self.take(Kind::Equals) {
                    self.skip_newlines();
                    if let Some(value) = self.expression(false) {
                        *end = value.end;
                    } else {
                        let message = "Missing statement after '=' in named argument.";
                        self.missing(Code::ExpressionAfterToken, equals.end, message);
                        self.sync(true, &[Kind::Comma, Kind::RParen, Kind::RBracket, Kind::NewLine]);
                    }
                }
            } else if let Some(value) = self.expression(false) {
                *end = value.end;
            } else if let Some(comma) = comma {
                self.missing(Code::ExpressionAfterToken, comma.end, "Missing expression after ','.");
            }
            self.skip_newlines();
            comma = self.take(Kind::Comma);
            match comma {
                Some(token) => *end = token.end,
                None => return,
            }
        }
    }

    /// A type name in its brackets; `false` when none comes.
    fn type_name(&mut self, qualified: bool) -> bool {
        self.in_mode(Mode::TypeName, |parser| {
            let named = parser.take(Kind::Identifier).is_some();
            if named {
                parser.type_rest(false, qualified);
            }
            named
        })
    }

    /// What follows a type name: type arguments, array brackets, the assembly.
    fn type_rest(&mut self, bare: bool, qualified: bool) {
        if let Some(open) = self.take(Kind::LBracket) {
            self.skip_newlines();
            let token = self.next();
            match token.kind {
                Kind::RBracket | Kind::Comma => self.array_type(token, bare),
                Kind::LBracket | Kind::Identifier => {
                    let close = self.type_arguments(token);
                    if close.kind != Kind::RBracket {
                        self.unget(close);
                        let message = "Missing ] at end of attribute or type literal.";
                        self.missing(Code::EndBracketType, close.start, message);
                    }
                    if self.take(Kind::LBracket).is_some() {
                        let token = self.next();
                        self.array_type(token, bare);
                    } else if !bare {
                        self.assembly();
                    }
                }
                Kind::End => {
                    self.unget(token);
                    self.missing(Code::TypeName, open.end, "Missing type name after '['.");
                }
                _ => {
                    self.unexpected(token);
                    self.sync(true, &[Kind::RBracket]);
                }
            }
        } else if qualified && !bare {
            self.assembly();
        }
    }

    fn assembly(&mut self) {
        let Some(comma) = self.take(Kind::Comma) else { return };
        let name = |parser: &mut Self| {
            parser.skip_while(is_blank);
            let length = parser
                .skip_while(|c| !matches!(c, '\0' | '\n' | '\r' | ',' | '=' | '[' | ']') && !is_blank(c));
            parser.skip_while(is_blank);
            length
        };
        let mut length = name(self);
        while self.eat(',') {
            length += name(self);
            if self.eat('=') {
                length += name(self);
            }
        }
        if length == 0 {
            let message = "The type name is missing the assembly name specification.";
            self.missing(Code::TypeName, comma.end, message);
        }
    }

    /// The type arguments from `first` on; returns the token after them.
    fn type_arguments(&mut self, first: Token) -> Token {
        let read = self.deeper(|parser| {
            parser.type_argument(first);
            loop {
                parser.skip_newlines();
                let token = parser.next();
                if token.kind != Kind::Comma {
                    return Some(token);
                }
                parser.skip_newlines();
                let next = parser.next();
                if matches!(next.kind, Kind::Identifier | Kind::LBracket) {
                    parser.type_argument(next);
                } else {
                    parser.unget(next);
                    parser.missing(Code::TypeName, token.end, "Missing type name after '['.");
                }
            }
        });
        read.unwrap_or(first)
    }

    fn type_argument(&mut self, first: Token) {
        if first.kind == Kind::Identifier {
            return self.type_rest(true, true);
        }
        if self.take(Kind::Identifier).is_none() {
            return self.missing(Code::TypeName, first.end, "Missing type name after '['.");
        }
        self.type_rest(false, true);
        let end = self.peek().start;
        if self.take(Kind::RBracket).is_none() {
            self.missing(Code::EndBracketType, end, "Missing ] at end of type token.");
        }
    }

    fn array_type(&mut self, mut token: Token, bare: bool) {
        loop {
            match token.kind {
                Kind::Comma => {
                    while token.kind == Kind::Comma {
                        token = self.next();
                    }
                    if token.kind != Kind::RBracket {
                        self.unget(token);
                        let message = "Missing ] at end of attribute or type literal.";
                        self.missing(Code::EndBracketType, token.start, message);
                    }
                }
                Kind::RBracket => {}
                Kind::End => {
                    self.unget(token);
                    let message = "Missing ] at end of attribute or type literal.";
                    self.missing(Code::EndBracketType, token.start, message);
                }
                _ => {
                    self.unexpected(token);
                    self.sync(true, &[Kind::RBracket]);
                }
            }
            if !bare && self.peek().kind == Kind::Comma {
                return self.assembly();
            }
            if self.take(Kind::LBracket).is_none() {
                return;
            }
            token = self.next();
        }
    }

    // Statements.

    fn statement(&mut self) -> Option<Part> {
        self.deeper(Self::statement_inside)
    }

    fn statement_inside(&mut self) -> Option<Part> {
        let mut token = self.next();
        let mut restore = None;
        if token.kind == Kind::Generic && self.text[token.start..].starts_with('[') {
            let start = token.start;
            self.resync(start);
            let attributes = self.attributes(false);
            token = self.next();
            let bare = ["class", "enum", "configuration"];
            match token.kind {
                _ if attributes.is_empty() => {}
                Kind::Keyword(word) if bare.contains(&word) => restore = Some(start),
                Kind::End => restore = Some(start),
                Kind::Keyword(_) if attributes.iter().all(|attribute| !attribute.1) => {
                    self.report(Code::Attribute, attributes[0].0.clone(), "Unexpected attribute.");
                    restore = Some(start);
                }
                _ => {
                    self.resync(start);
                    token = self.next();
                }
            }
        }
        if let Kind::Keyword(word) = token.kind
            && let Some(end) = self.keyword_statement(word, token)
        {
            return Some(Part { start: token.start, end, target: Target::No });
        }
        match token.kind {
            Kind::Keyword("else" | "elseif" | "catch" | "until") if !self.faults.is_empty() => {
                self.skip_newlines();
                return self.statement();
            }
            Kind::Keyword("else" | "elseif" | "catch" | "finally" | "until")
                if self.strict && matches!(self.peek().kind, Kind::LCurly | Kind::LParen) =>
            {
                self.unexpected(token);
                self.skip_newlines();
                return self.statement();
            }
            Kind::Label => {
                self.skip_newlines();
                let loop_token = self.next();
                if let Kind::Keyword(word @ ("switch" | "foreach" | "for" | "while" | "do")) = loop_token.kind
                    && let Some(end) = self.keyword_statement(word, loop_token)
                {
                    return Some(Part { start: token.start, end, target: Target::No });
                }
                self.resync(token.start);
            }
            Kind::End if restore.is_none() => {
                self.unget(token);
                return None;
            }
            Kind::Identifier if self.in_configuration => {
                if let Some(end) = self.resource(token) {
                    return Some(Part { start: token.start, end, target: Target::No });
                }
            }
            _ => match restore {
                Some(start) => self.resync(start),
                None => self.unget(token),
            },
        }
        self.chain()
    }

    /// The statement of a keyword, with its end; nothing when the keyword opens none.
    fn keyword_statement(&mut self, word: &'static str, token: Token) -> Option<usize> {
        match word {
            "if" => self.if_statement(token),
            "switch" => self.switch_statement(token),
            "foreach" => self.foreach_statement(token),
            "for" => self.for_statement(token),
            "while" => self.while_statement(token),
            "do" => self.do_statement(token),
            "function" | "filter" | "workflow" => self.function(word, token),
            "return" | "throw" | "exit" => {
                self.chain();
            }
            "break" | "continue" => {
                self.label_or_key();
            }
            "trap" => {
                let restore = self.here();
                self.skip_newlines();
                if self.attribute().is_some_and(|(_, is_type)| !is_type) {
                    self.resync(restore);
                }
                if self.block().is_none() {
                    let message = "The 'trap' statement was incomplete. A trap statement requires a body.";
                    self.missing(Code::TryBlock, token.end, message);
                }
            }
            "try" => self.try_statement(token),
            "data" => self.data_statement(token),
            "parallel" | "sequence" => {
                if self.block().is_none() {
                    let message = format!("Missing statement body after keyword '{}'.", self.word(token));
                    self.missing(Code::Other, token.end, message);
                }
            }
            "configuration" => self.configuration(token),
            "from" | "define" | "var" => {
                let message =
                    format!("The '{word}' keyword is not supported in this version of the language.");
                self.report(Code::Other, token.start..token.end, message);
            }
            "class" => self.in_type(token, Self::class_body),
            "enum" => self.in_type(token, Self::enum_body),
            "using" => {
                let message = "A 'using' statement must appear before any other statements in a script.";
                self.report(Code::Using, token.start..token.end, message);
                self.using(token);
            }
            _ => return None,
        }
        Some(self.here())
    }

    fn simple_name(&mut self) -> Option<Token> {
        self.simple_name = true;
        let token = self.take(Kind::Identifier);
        self.simple_name = false;
        token
    }

    fn label_or_key(&mut self) -> Option<Part> {
        if let Some(name) = self.simple_name() {
            return Some(Part { start: name.start, end: name.end, target: Target::No });
        }
        if matches!(self.peek().kind, Kind::NewLine | Kind::Semi) {
            return None;
        }
        self.with_comma(false, |parser| parser.unary(false))
    }

    fn condition_missing_end(&mut self, at: usize, word: &str) {
        let message = format!("Missing closing ')' after expression in '{word}' statement.");
        self.missing(Code::EndParenStatement, at, message);
    }

    fn if_statement(&mut self, token: Token) {
        let mut keyword = token;
        loop {
            let word = self.word(keyword);
            let no_paren = |parser: &mut Self| {
                let message = format!("Missing '(' after '{word}' in if statement.");
                parser.missing(Code::IfParen, keyword.end, message);
            };
            let no_condition = |parser: &mut Self, at| {
                let message = format!("Missing condition in if statement after '{word} ('.");
                parser.missing(Code::IfCondition, at, message);
            };
            let Some(end) = self.condition(word, no_paren, no_condition) else { return };
            if self.block().is_none() {
                let message = format!("Missing statement block after {word} ( condition ).");
                return self.missing(Code::IfBlock, end, message);
            }
            let restore = self.here();
            self.skip_newlines();
            keyword = self.next();
            match keyword.kind {
                Kind::Keyword("elseif") => {}
                Kind::Keyword("else") => {
                    if self.block().is_none() {
                        let message = "Missing statement block after 'else' keyword.";
                        self.missing(Code::ElseBlock, keyword.end, message);
                    }
                    return;
                }
                _ => return self.resync(restore),
            }
        }
    }

    fn switch_statement(&mut self, token: Token) {
        self.skip_newlines();
        let mut end = token.end;
        let (mut file, mut failed) = (false, false);
        while let Kind::Parameter(_) = self.peek().kind {
            let flag = self.next();
            end = flag.end;
            let name = self.word(flag).trim_start_matches(is_dash).trim_end_matches(':').to_lowercase();
            let known = ["regex", "wildcard", "exact", "casesensitive", "parallel"];
            if known.iter().any(|known| known.starts_with(&name)) {
            } else if "file".starts_with(&name) {
                self.skip_newlines();
                file = true;
                if self.single_argument(Place::File).is_none() {
                    failed = true;
                    let message = "Cannot process the 'switch' statement because of a missing file name \
                                   argument to the -file option.";
                    self.missing(Code::SwitchHead, flag.end, message);
                }
            } else {
                let message = format!("The parameter {name} is not valid for the switch statement.");
                self.report(Code::SwitchHead, flag.start..flag.end, message);
            }
        }
        let required =
            "A switch statement must have one of the following:  '-file file_name' or '( expression )'.";
        if let Some(open) = self.take(Kind::LParen) {
            if file {
                self.report(Code::SwitchHead, open.start..open.end, required);
            }
            self.skip_newlines();
            let value = self.chain();
            end = value.map_or(open.end, |value| value.end);
            if value.is_none() {
                failed = true;
                self.missing(Code::SwitchHead, open.end, required);
            }
            self.skip_newlines();
            if let Some(close) = self.take(Kind::RParen) {
                end = close.end;
            } else if !failed {
                failed = true;
                self.missing(Code::SwitchHead, end, "Missing ')' after expression in switch statement.");
            }
        } else if !file {
            failed = true;
            self.missing(Code::SwitchHead, end, required);
        }
        self.skip_newlines();
        if let Some(open) = self.take(Kind::LCurly) {
            self.switch_clauses(open);
        } else if !failed {
            self.missing(Code::SwitchCurly, end, "Missing '{' in switch statement.");
        }
    }

    fn switch_clauses(&mut self, open: Token) {
        let mut end = open.end;
        let mut default = false;
        self.skip_newlines();
        loop {
            let is_default = self.take(Kind::Keyword("default"));
            let Some(condition) = is_default
                .map(|token| token.start..token.end)
                .or_else(|| self.single_argument(Place::Condition).map(|part| part.start..part.end))
            else {
                let message = "Missing condition in switch statement clause.";
                self.missing(Code::SwitchCondition, end, message);
                self.take(Kind::RCurly);
                return;
            };
            end = condition.end;
            let mut incomplete = false;
            if let Some(body) = self.block() {
                end = body;
            } else {
                incomplete = true;
                self.missing(Code::SwitchBlock, end, "Missing statement block in switch statement clause.");
            }
            if is_default.is_some() && std::mem::replace(&mut default, true) {
                let message = "A switch statement can have only one default clause.";
                self.report(Code::Other, condition, message);
            }
            self.skip_separators();
            let token = self.peek();
            if token.kind == Kind::RCurly {
                self.next();
                return;
            }
            if token.kind == Kind::End {
                if !incomplete {
                    self.missing_end_curly(open);
                }
                return;
            }
        }
    }

    fn missing_loop_paren(&mut self, keyword: Token) {
        let message = format!("Missing opening '(' after keyword '{}'.", self.word(keyword));
        self.missing(Code::LoopParen, keyword.end, message);
    }

    fn missing_loop_block(&mut self, at: usize, word: &str) {
        self.missing(Code::LoopBlock, at, format!("Missing statement body in {word} loop."));
    }

    fn foreach_statement(&mut self, token: Token) {
        self.skip_newlines();
        while let Kind::Parameter(_) = self.peek().kind {
            let flag = self.next();
            let name = self.word(flag).trim_start_matches(is_dash).trim_end_matches(':').to_lowercase();
            if "throttlelimit".starts_with(&name) {
                self.skip_newlines();
                if self.single_argument(Place::Argument).is_none() {
                    let message = "The ThrottleLimit parameter of the foreach statement is missing a value.";
                    self.missing(Code::ForeachHead, flag.end, message);
                }
            } else if !"parallel".starts_with(&name) {
                let message = format!("The parameter {name} is not valid for the foreach statement.");
                self.report(Code::ForeachHead, flag.start..flag.end, message);
            }
            self.skip_newlines();
        }
        let Some(open) = self.take(Kind::LParen) else { return self.missing_loop_paren(token) };
        self.skip_newlines();
        let variable = self.next();
        if !matches!(variable.kind, Kind::Variable | Kind::Splat) {
            self.unget(variable);
            let message =
                "Missing variable name after foreach. The correct form is: foreach ($a in $b) {...}";
            return self.missing(Code::ForeachHead, open.end, message);
        }
        self.skip_newlines();
        let Some(word) = self.take(Kind::Keyword("in")) else {
            let message = "Missing 'in' after variable in foreach loop. \
                           The correct form is: foreach ($a in $b) {...}";
            return self.missing(Code::ForeachHead, variable.end, message);
        };
        self.skip_newlines();
        let Some(values) = self.chain() else {
            let message = "Missing expression in foreach loop. The correct form is: foreach ($a in $b) {...}";
            return self.missing(Code::ForeachExpression, word.end, message);
        };
        self.skip_newlines();
        let Some(close) = self.take(Kind::RParen) else {
            let message = "Missing closing ')' after expression part of foreach loop. \
                           The correct form is: foreach ($a in $b) {...}";
            return self.missing(Code::EndParenStatement, values.end, message);
        };
        if self.block().is_none() {
            let message =
                "Missing statement body in foreach loop. The correct form is: foreach ($a in $b) {...}";
            self.missing(Code::LoopBlock, close.end, message);
        }
    }

    fn for_statement(&mut self, token: Token) {
        self.skip_newlines();
        let Some(open) = self.take(Kind::LParen) else { return self.missing_loop_paren(token) };
        let mut end = open.end;
        for part in 0..3 {
            self.skip_newlines();
            if let Some(pipeline) = self.chain() {
                end = pipeline.end;
            }
            if part < 2
                && let Some(semi) = self.take(Kind::Semi)
            {
                end = semi.end;
            }
        }
        self.skip_newlines();
        if let Some(close) = self.take(Kind::RParen) {
            if self.block().is_none() {
                self.missing_loop_block(close.end, "for");
            }
        } else {
            self.condition_missing_end(end, "for");
        }
    }

    /// `( condition )` after `word`; the end of the `)` if it was there.
    fn condition(
        &mut self,
        word: &str,
        no_paren: impl FnOnce(&mut Self),
        no_condition: impl FnOnce(&mut Self, usize),
    ) -> Option<usize> {
        self.skip_newlines();
        let Some(open) = self.take(Kind::LParen) else {
            no_paren(self);
            return None;
        };
        self.skip_newlines();
        let condition = self.chain();
        if condition.is_none() {
            no_condition(self, open.end);
        }
        self.skip_newlines();
        let close = self.take(Kind::RParen);
        if let (None, Some(condition)) = (close, condition) {
            self.condition_missing_end(condition.end, word);
        }
        close.map(|close| close.end)
    }

    fn loop_condition(&mut self, keyword: Token) -> Option<usize> {
        let word = self.word(keyword);
        let no_condition = |parser: &mut Self, at| {
            let message = format!("Missing expression after '{word}' in loop.");
            parser.missing(Code::LoopCondition, at, message);
        };
        self.condition(word, |parser| parser.missing_loop_paren(keyword), no_condition)
    }

    fn while_statement(&mut self, token: Token) {
        if let Some(end) = self.loop_condition(token)
            && self.block().is_none()
        {
            self.missing_loop_block(end, "while");
        }
    }

    fn do_statement(&mut self, token: Token) {
        let Some(end) = self.block() else { return self.missing_loop_block(token.end, "do") };
        self.skip_newlines();
        let word = self.next();
        if matches!(word.kind, Kind::Keyword("while" | "until")) {
            self.loop_condition(word);
        } else {
            self.unget(word);
            self.missing(Code::WhileOrUntil, end, "Missing while or until keyword in do loop.");
        }
    }

    fn try_statement(&mut self, token: Token) {
        let Some(end) = self.block() else {
            let message = "The Try statement is missing its statement block.";
            return self.missing(Code::TryBlock, token.end, message);
        };
        let mut handled = false;
        loop {
            self.skip_newlines();
            let Some(word) = self.take(Kind::Keyword("catch")) else { break };
            handled = true;
            let mut last = word.end;
            let mut comma: Option<Token> = None;
            loop {
                let restore = self.here();
                self.skip_newlines();
                let Some((span, is_type)) = self.attribute() else {
                    if let Some(comma) = comma {
                        self.missing(Code::TypeName, comma.end, "Missing type literal.");
                    }
                    break;
                };
                if !is_type {
                    self.resync(restore);
                    break;
                }
                last = span.end;
                self.skip_newlines();
                comma = self.take(Kind::Comma);
                if comma.is_none() {
                    break;
                }
            }
            if self.block().is_none() {
                let message = "The Catch block is missing its statement block.";
                self.missing(Code::TryBlock, last, message);
                break;
            }
        }
        self.skip_newlines();
        if let Some(word) = self.take(Kind::Keyword("finally")) {
            handled = true;
            if self.block().is_none() {
                let message = "The Finally block is missing its statement block.";
                self.missing(Code::TryBlock, word.end, message);
            }
        }
        if !handled {
            let message = "The Try statement is missing its Catch or Finally block.";
            self.missing(Code::CatchOrFinally, end, message);
        }
    }

    fn data_statement(&mut self, token: Token) {
        let mut end = token.end;
        self.skip_newlines();
        if let Some(name) = self.simple_name() {
            end = name.end;
        }
        self.skip_newlines();
        if let Kind::Parameter(_) = self.peek().kind {
            end = self.next().end;
            loop {
                self.skip_newlines();
                let Some(command) = self.single_argument(Place::Name) else {
                    let message = "The SupportedCommand parameter of the Data section is missing a value.";
                    return self.missing(Code::Other, end, message);
                };
                end = command.end;
                if self.take(Kind::Comma).is_none() {
                    break;
                }
            }
        }
        if self.block().is_none() {
            self.missing(Code::Other, end, "The Data section is missing its statement block.");
        }
    }

    fn function(&mut self, word: &str, token: Token) {
        self.skip_newlines();
        let name = self.next();
        let unnamed = matches!(
            name.kind,
            Kind::Pipe
                | Kind::LParen
                | Kind::LCurly
                | Kind::AtParen
                | Kind::AtCurly
                | Kind::RCurly
                | Kind::RParen
                | Kind::End
                | Kind::Semi
                | Kind::Redirect(_)
                | Kind::Merge(..)
                | Kind::Input
                | Kind::Chain
                | Kind::Ampersand
                | Kind::Variable
                | Kind::Splat
                | Kind::Literal
                | Kind::Expandable
        );
        if unnamed {
            self.unget(name);
            let message = format!("Missing name after {} keyword.", self.word(token));
            return self.missing(Code::Name, token.end, message);
        }
        if self.strict && KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(self.word(name))) {
            // It may be one, and nobody could call it.
            self.unexpected(name);
        }
        self.skip_newlines();
        let mut end = name.end;
        let mut has_parameters = false;
        if let Some(open) = self.take(Kind::LParen) {
            let (closed, any) = self.parameter_list(open);
            has_parameters = any;
            end = self.here();
            self.skip_newlines();
            if !closed {
                self.take(Kind::LCurly).map(|curly| self.script_block(Some(curly)));
                return;
            }
        }
        let Some(curly) = self.take(Kind::LCurly) else {
            return self.missing(Code::FunctionBody, end, "Missing function body in function declaration.");
        };
        let outer = std::mem::replace(&mut self.in_workflow, word == "workflow");
        if self.script_block(Some(curly)) && has_parameters {
            let message =
                "The param statement cannot be used if arguments were specified in the function declaration.";
            self.report(Code::Other, name.start..name.end, message);
        }
        self.in_workflow = outer;
    }

    fn using(&mut self, token: Token) {
        let directive = self.next();
        let Kind::Keyword(word @ ("namespace" | "type" | "module" | "command" | "assembly")) = directive.kind
        else {
            self.unget(directive);
            return self.missing(Code::Using, token.end, "Missing using directive");
        };
        let item = self.next();
        if matches!(item.kind, Kind::End | Kind::NewLine | Kind::Comma | Kind::Semi) {
            return self.missing(Code::Using, directive.end, "Missing using name");
        }
        let Some(named) = self.argument(Place::Argument, item) else {
            let message = format!("'{}' is not a valid value for using name.", self.word(item));
            self.report(Code::Using, item.start..item.end, message);
            return self.sync(true, &[Kind::Semi, Kind::NewLine]);
        };
        let mut end = named.end;
        if word != "assembly" && item.kind != Kind::AtCurly {
            if let Some(equals) = self.take(Kind::Equals) {
                let alias = self.next();
                if matches!(alias.kind, Kind::End | Kind::NewLine | Kind::Semi | Kind::Comma) {
                    self.unget(alias);
                    return self.missing(Code::Using, equals.end, "Missing namespace alias");
                }
                end = self.argument(Place::Argument, alias).map_or(alias.end, |alias| alias.end);
            } else if matches!(word, "type" | "command") {
                return self.missing(Code::Using, end, "Missing '=' operator");
            }
        }
        let last = self.peek();
        if matches!(last.kind, Kind::NewLine | Kind::Semi) {
            self.next();
        } else if last.kind != Kind::End {
            self.missing(Code::Using, end, "Missing a newline or semicolon.");
        }
    }

    // Types.

    /// A class or an enum up to its body.
    fn in_type(&mut self, token: Token, body: fn(&mut Self, &str)) {
        self.skip_newlines();
        let Some(name) = self.simple_name() else {
            let message = format!("Missing name after {} keyword.", self.word(token));
            return self.missing(Code::Name, token.end, message);
        };
        self.skip_newlines();
        self.in_mode(Mode::Signature, |parser| {
            let mut end = name.end;
            if let Some(colon) = parser.take(Kind::Colon) {
                let mut last = colon;
                loop {
                    parser.skip_newlines();
                    if !parser.type_name(false) {
                        parser.missing(Code::TypeName, last.end, "Type name expected.");
                        break;
                    }
                    end = parser.here();
                    parser.skip_newlines();
                    let Some(comma) = parser.take(Kind::Comma) else { break };
                    last = comma;
                }
            }
            parser.skip_newlines();
            let Some(open) = parser.take(Kind::LCurly) else {
                let word = parser.word(token);
                let message = format!("Missing '{word}' body in '{word}' declaration.");
                return parser.missing(Code::Member, end, message);
            };
            body(parser, &parser.text[name.start..name.end]);
            if parser.take(Kind::RCurly).is_none() {
                parser.missing_end_curly(open);
            }
        });
    }

    fn end_of_property(&mut self, end: usize) {
        if !matches!(self.peek().kind, Kind::NewLine | Kind::Semi | Kind::RCurly) {
            self.missing(Code::Member, end, "Missing ';' or end-of-line in property definition.");
        }
        self.skip_separators();
    }

    fn enum_body(&mut self, _: &str) {
        loop {
            self.skip_newlines();
            let Some(name) = self.simple_name() else { return };
            let end = self.in_mode(Mode::Expression, |parser| {
                let Some(equals) = parser.take(Kind::Equals) else { return Some(name.end) };
                let value = parser.expression(false);
                if value.is_none() {
                    let message = "You must provide a value expression following the '=' operator.";
                    parser.missing(Code::ValueAfterOperator, equals.end, message);
                }
                value.map(|value| value.end)
            });
            match end {
                Some(end) => self.end_of_property(end),
                None => self.skip_separators(),
            }
        }
    }

    fn class_body(&mut self, name: &str) {
        while self.class_member(name) {}
    }

    /// One member of a class; `false` when none comes.
    fn class_member(&mut self, class: &str) -> bool {
        let mut last: Option<usize> = None;
        let mut typed = false;
        let mut seen: Vec<&str> = Vec::new();
        let token = loop {
            self.skip_newlines();
            if let Some((span, is_type)) = self.attribute() {
                last = Some(span.end);
                if is_type && std::mem::replace(&mut typed, true) {
                    self.report(Code::Member, span, "Only one type may be specified on class members.");
                }
                continue;
            }
            let token = self.next();
            let Kind::Keyword(word @ ("hidden" | "static")) = token.kind else { break token };
            if seen.contains(&word) {
                self.report(Code::Member, token.start..token.end, format!("Duplicate '{word}' qualifier"));
            }
            seen.push(word);
            last = Some(token.end);
        };
        match token.kind {
            Kind::Variable => {
                let mut end = token.end;
                if self.take(Kind::Equals).is_some() {
                    self.skip_newlines();
                    end = self.expression(false).map_or(end, |value| value.end);
                }
                self.end_of_property(end);
                true
            }
            Kind::Identifier | Kind::Keyword(_) => {
                let constructor = self.word(token).eq_ignore_ascii_case(class) && !seen.contains(&"static");
                if self.method(token, constructor) {
                    return true;
                }
                self.sync(false, &[Kind::RCurly]);
                last.is_some()
            }
            _ => {
                self.unget(token);
                if let Some(end) = last {
                    let message = "Missing a property name or method definition.";
                    self.missing(Code::Member, end, message);
                }
                false
            }
        }
    }

    fn method(&mut self, name: Token, constructor: bool) -> bool {
        let mut end = name.end;
        let (mut fine, mut told) = (true, false);
        self.skip_newlines();
        if let Some(open) = self.take(Kind::LParen) {
            fine = self.parameter_list(open).0;
            end = self.here();
            self.skip_newlines();
        } else {
            told = true;
            self.missing(Code::Member, end, "Missing '(' in class method parameter list.");
        }
        if constructor {
            self.skip_newlines();
            fine &= self.in_mode(Mode::Signature, |parser| {
                let Some(colon) = parser.take(Kind::Colon) else { return true };
                parser.skip_newlines();
                let Some(base) = parser.take(Kind::Keyword("base")) else {
                    let message = "Missing 'base' after ':' in a base class constructor call.";
                    parser.missing(Code::Member, colon.end, message);
                    return false;
                };
                parser.skip_newlines();
                let Some(open) = parser.take(Kind::LParen) else {
                    let message = "Missing '(' in class method parameter list.";
                    parser.missing(Code::Member, base.end, message);
                    return false;
                };
                parser.call_arguments(open);
                parser.skip_newlines();
                true
            });
        }
        let Some(open) = self.take(Kind::LCurly) else {
            if fine && !told {
                let message = "Missing function body in function declaration.";
                self.missing(Code::FunctionBody, end, message);
            }
            return false;
        };
        self.in_mode(Mode::Command, |parser| parser.script_block(Some(open)));
        fine
    }

    // Desired State Configuration.

    fn configuration(&mut self, token: Token) {
        self.skip_newlines();
        let name = self.next();
        let unnamed = match name.kind {
            Kind::LCurly | Kind::End | Kind::Comma => {
                self.unget(name);
                true
            }
            _ => self.argument(Place::Argument, name).is_none(),
        };
        if unnamed {
            self.missing(Code::Name, token.end, "The name for the configuration is missing.");
        }
        self.skip_newlines();
        let Some(open) = self.take(Kind::LCurly) else {
            return self.missing(Code::Other, self.here(), "Missing '{' in configuration statement.");
        };
        let outer = std::mem::replace(&mut self.in_configuration, true);
        self.braced(open);
        self.in_configuration = outer;
    }

    /// A resource of a configuration, such as `File Name { Key = value }`. Which words name resources is
    /// only known where they are installed, so whatever has another form is read as a command.
    fn resource(&mut self, token: Token) -> Option<usize> {
        let known = self.faults.len();
        let end = self.resource_inside(token);
        if end.is_none() {
            self.faults.truncate(known);
            self.resync(token.start);
        }
        end
    }

    fn resource_inside(&mut self, token: Token) -> Option<usize> {
        self.skip_newlines();
        let next = self.peek();
        if next.kind != Kind::LCurly {
            if self.text[token.end..next.start].contains(['\n', '\r']) || next.kind.ends_command() {
                return None;
            }
            self.single_argument(Place::Argument)?;
            self.skip_newlines();
        }
        let open = self.take(Kind::LCurly)?;
        self.skip_newlines();
        let inside = self.here();
        let key = self.simple_name();
        let hash = self.peek().kind == Kind::RCurly
            || (key.is_some() && self.in_mode(Mode::Expression, |parser| parser.peek().kind == Kind::Equals));
        self.resync(inside);
        if hash {
            self.in_mode(Mode::Expression, |parser| parser.hash(open));
        } else {
            self.braced(open);
        }
        Some(self.here())
    }

    // Pipelines.

    fn chain(&mut self) -> Option<Part> {
        let (expr, assign) = self.in_mode(Mode::Expression, |parser| {
            let expr = parser.expression(false);
            let assigns = expr.is_some() && matches!(parser.peek().kind, Kind::Equals | Kind::Assign);
            let assign = assigns.then(|| parser.next());
            (expr, assign)
        });
        if let (Some(left), Some(assign)) = (expr, assign) {
            return Some(self.assignment(left, assign));
        }
        let mut first = expr;
        let mut whole: Option<Part> = None;
        let mut link: Option<Token> = None;
        loop {
            let opening = if first.is_none() { Some(self.peek()) } else { None };
            let Some(pipeline) = self.pipeline(first.take()) else {
                if let (Some(link), Some(opening)) = (link, opening)
                    && !matches!(opening.kind, Kind::Dot | Kind::Ampersand)
                {
                    let message = "A pipeline chain operator must be followed by a pipeline.";
                    self.report(Code::EmptyChain, link.start..link.end, message);
                }
                return whole;
            };
            whole = Some(match whole {
                Some(whole) => Part { end: pipeline.end, target: Target::No, ..whole },
                None => pipeline,
            });
            let token = self.peek();
            match token.kind {
                Kind::Chain => {
                    self.next();
                    self.skip_newlines();
                    link = Some(token);
                }
                Kind::Ampersand => {
                    self.next();
                    if let Some(chain) = self.take(Kind::Chain) {
                        let message = "Background operators can only be used at the end of a pipeline chain.";
                        self.report(Code::EmptyChain, chain.start..chain.end, message);
                    }
                    return whole.map(|whole| Part { end: token.end, target: Target::No, ..whole });
                }
                _ => return whole,
            }
        }
    }

    fn assignment(&mut self, left: Expr, assign: Token) -> Part {
        let fits = match left.target {
            Target::One => true,
            Target::List => assign.kind == Kind::Equals,
            Target::No => false,
        };
        if !fits {
            let message = "The assignment expression is not valid. The input to an assignment operator must be \
                           an object that is able to accept assignments, such as a variable or a property.";
            self.report(Code::Target, left.start..left.end, message);
        }
        self.skip_newlines();
        let value = self.statement();
        if value.is_none() {
            self.missing_value(assign);
        }
        let end = value.map_or(assign.end, |value| value.end);
        Part { start: left.start, end, target: Target::No }
    }

    fn missing_value(&mut self, operator: Token) {
        let message =
            format!("You must provide a value expression following the '{}' operator.", self.word(operator));
        self.missing(Code::ValueAfterOperator, operator.end, message);
    }

    fn pipeline(&mut self, first: Option<Expr>) -> Option<Part> {
        let mut expr = first;
        let mut whole: Option<Part> = None;
        let mut pipe: Option<Token> = None;
        loop {
            if expr.is_none() {
                expr = self.expression_here();
            }
            let element = if let Some(mut expr) = expr.take() {
                if whole.is_some() {
                    let message = "Expressions are only allowed as the first element of a pipeline.";
                    self.report(Code::ExpressionNotFirst, expr.start..expr.end, message);
                }
                let mut streams = 0;
                while let Kind::Redirect(_) | Kind::Merge(..) | Kind::Input = self.peek().kind {
                    let token = self.next();
                    expr.end = self.redirect(token, &mut streams);
                    expr.target = Target::No;
                }
                Some(expr)
            } else {
                self.command()
            };
            if let Some(element) = element {
                whole = Some(match whole {
                    Some(whole) => Part { end: element.end, target: Target::No, ..whole },
                    None => element,
                });
            } else if whole.is_some() || self.peek().kind == Kind::Pipe {
                let span = pipe.unwrap_or_else(|| self.peek());
                self.report(Code::EmptyPipe, span.start..span.end, "An empty pipe element is not allowed.");
            }
            let mut token = self.peek();
            if token.kind == Kind::NewLine && self.pipe_on_next_line(token.end) {
                self.skip_newlines();
                token = self.peek();
            }
            match token.kind {
                Kind::Pipe => {
                    self.next();
                    self.skip_newlines();
                    pipe = Some(token);
                    if self.peek().kind == Kind::End {
                        let message = "An empty pipe element is not allowed.";
                        self.report(Code::EmptyPipe, token.start..token.end, message);
                        return whole;
                    }
                }
                Kind::Semi
                | Kind::NewLine
                | Kind::RParen
                | Kind::RCurly
                | Kind::End
                | Kind::Chain
                | Kind::Ampersand => return whole,
                _ => {
                    self.unexpected(token);
                    return whole;
                }
            }
        }
    }

    fn expression_here(&mut self) -> Option<Expr> {
        self.in_mode(Mode::Expression, |parser| parser.expression(false))
    }

    /// Whether the next line with code goes on with `|`; a blank line ends the search.
    fn pipe_on_next_line(&self, mut at: usize) -> bool {
        let mut blank = true;
        loop {
            match self.char_at(at) {
                '\n' | '\r' if blank => return false,
                '\n' => {
                    blank = true;
                    at += 1;
                }
                '\r' => {
                    blank = true;
                    at += if self.char_at(at + 1) == '\n' { 2 } else { 1 };
                }
                '#' => {
                    blank = false;
                    at += self.text[at..].find(['\r', '\n']).unwrap_or(self.text.len() - at);
                }
                '<' if self.text[at..].starts_with("<#") => {
                    blank = false;
                    at += self.text[at..].find("#>").map_or(self.text.len() - at, |length| length + 2);
                }
                c if is_blank(c) => at += c.len_utf8(),
                c => return c == '|',
            }
        }
    }

    /// A redirection whose operator was read, and its end. `streams` has a bit for each stream that was
    /// redirected before.
    fn redirect(&mut self, token: Token, streams: &mut u8) -> usize {
        let reserved = format!("The '{}' operator is reserved for future use.", self.word(token));
        let mut end = token.end;
        let from = match token.kind {
            Kind::Merge(from, to) => {
                if to != 1 || from == to {
                    self.report(Code::ReservedRedirection, token.start..token.end, reserved);
                }
                from
            }
            kind => {
                if let Some(file) = self.single_argument(Place::File) {
                    end = file.end;
                } else {
                    let message = "Missing file specification after redirection operator.";
                    self.missing(Code::FileSpecification, token.end, message);
                }
                let Kind::Redirect(from) = kind else {
                    self.report(Code::ReservedRedirection, token.start..token.end, reserved);
                    return end;
                };
                from
            }
        };
        if *streams & (1 << from) != 0 {
            let message = "The stream for this command is already redirected.";
            self.report(Code::StreamTwice, token.start..token.end, message);
        }
        *streams |= 1 << from;
        end
    }

    fn single_argument(&mut self, place: Place) -> Option<Part> {
        if matches!(self.peek().kind, Kind::Comma | Kind::End) {
            return None;
        }
        self.in_mode(Mode::Command, |parser| {
            let token = parser.next();
            parser.argument(place, token)
        })
    }

    /// An argument from `token` on, or a list of them where those are allowed.
    fn argument(&mut self, place: Place, mut token: Token) -> Option<Part> {
        let start = token.start;
        let mut comma: Option<Token> = None;
        let mut splat: Option<Token> = None;
        loop {
            let end = match token.kind {
                kind if kind.ends_command()
                    || matches!(
                        kind,
                        Kind::Redirect(_) | Kind::Merge(..) | Kind::Input | Kind::Decrement | Kind::Comma
                    ) =>
                {
                    self.unget(token);
                    let comma = comma?;
                    let message = "Missing expression after ',' in pipeline element.";
                    self.missing(Code::ExpressionInPipeline, comma.end, message);
                    return Some(Part { start, end: comma.end, target: Target::No });
                }
                Kind::Splat
                | Kind::Variable
                | Kind::Number
                | Kind::Expandable
                | Kind::Literal
                | Kind::LParen
                | Kind::DollarParen
                | Kind::AtParen
                | Kind::AtCurly
                | Kind::LCurly => {
                    self.unget(token);
                    let value = self.primary(true)?;
                    if token.kind == Kind::Splat && value.end == token.end {
                        splat = splat.or(Some(token));
                    }
                    value.end
                }
                Kind::Generic => {
                    if place != Place::Name {
                        self.nested();
                    }
                    token.end
                }
                _ => token.end,
            };
            let verbatim = token.kind == Kind::Generic && self.word(token) == "--%";
            if place == Place::Argument
                && !verbatim
                && let Some(found) = self.take(Kind::Comma)
            {
                comma = Some(found);
                self.skip_newlines();
                token = self.next();
                continue;
            }
            if let (Some(splat), Some(_)) = (splat, comma) {
                let message = format!(
                    "Splatted variables like '{}' cannot be part of a comma-separated list of arguments.",
                    self.word(splat)
                );
                self.report(Code::Splatting, splat.start..splat.end, message);
            }
            return Some(Part { start, end, target: Target::No });
        }
    }

    fn command(&mut self) -> Option<Part> {
        self.in_mode(Mode::Command, Self::command_inside)
    }

    fn command_inside(&mut self) -> Option<Part> {
        let first = self.next();
        let invokes = matches!(first.kind, Kind::Dot | Kind::Ampersand);
        let mut token = if invokes { self.next() } else { first };
        let mut place = if invokes { Place::Invoked } else { Place::Name };
        let mut end = None;
        let (mut streams, mut dashes) = (0, false);
        loop {
            let named = place != Place::Argument;
            match token.kind {
                kind if kind.ends_command() => {
                    self.unget(token);
                    break;
                }
                Kind::Decrement => {
                    dashes = true;
                    end = Some(token.end);
                }
                Kind::Comma => {
                    self.report(
                        Code::Argument,
                        token.start..token.end,
                        "Missing argument in parameter list.",
                    );
                    self.skip_newlines();
                    end = end.map(|_| token.end);
                }
                Kind::Parameter(colon) if !named && !dashes => {
                    end = Some(token.end);
                    if colon && self.peek().kind != Kind::Comma {
                        let value = self.next();
                        if let Some(value) = self.argument(Place::Argument, value) {
                            end = Some(value.end);
                        } else {
                            let message = format!("Parameter {} requires an argument.", self.word(token));
                            self.missing(Code::ParameterArgument, token.end, message);
                        }
                    }
                }
                Kind::Redirect(_) | Kind::Merge(..) | Kind::Input if !named => {
                    end = Some(self.redirect(token, &mut streams));
                }
                Kind::Parameter(_) | Kind::Redirect(_) | Kind::Merge(..) | Kind::Input => {
                    end = Some(token.end);
                }
                Kind::Keyword("inlinescript") if place == Place::Name => {
                    self.skip_newlines();
                    let Some(open) = self.take(Kind::LCurly) else {
                        let message = "Missing statement body after keyword 'inlinescript'.";
                        self.missing(Code::Other, token.end, message);
                        end = Some(token.end);
                        break;
                    };
                    self.braced(open);
                    end = Some(self.here());
                }
                _ => {
                    end = self.argument(place, token).map(|argument| argument.end).or(end);
                    if token.kind == Kind::Generic
                        && self.word(token) == "--%"
                        && self.ungot.is_none_or(|next| matches!(next.kind, Kind::Parameter(_)))
                    {
                        self.verbatim();
                        end = Some(self.at);
                        break;
                    }
                }
            }
            place = Place::Argument;
            token = self.next();
        }
        if end.is_none() && invokes {
            let message = format!("Missing expression after '{}' in pipeline element.", self.word(first));
            self.report(Code::ExpressionInPipeline, first.start..first.end, message);
        }
        end.map(|end| Part { start: first.start, end, target: Target::No })
    }

    /// What stands behind `--%` is left to the program that is called.
    fn verbatim(&mut self) {
        self.resync(self.here());
        let mut quoted = false;
        while self.at < self.text.len() {
            match self.peek_char() {
                '\r' | '\n' => return,
                '|' if !quoted => return,
                '&' if !quoted && self.rest_starts_with("&&") => return,
                c => quoted ^= is_double_quote(c),
            }
            self.next_char();
        }
    }

    // Expressions.

    fn expression(&mut self, ternary: bool) -> Option<Expr> {
        self.deeper(|parser| parser.in_mode(Mode::Expression, |parser| parser.expression_inside(ternary)))
    }

    fn expression_inside(&mut self, ternary: bool) -> Option<Expr> {
        let condition = self.binary(ternary)?;
        let Some(question) = self.take(Kind::Question) else { return Some(condition) };
        self.skip_newlines();
        let yes = self.expression(true);
        if yes.is_none() {
            self.missing_value(question);
        }
        self.skip_newlines();
        let whole = |end| Some(Expr { start: condition.start, end, target: Target::No });
        let Some(colon) = self.take(Kind::Colon) else {
            let end = yes.map_or(question.end, |yes| yes.end);
            if yes.is_some() {
                self.missing(Code::TernaryColon, end, "Missing ':' in the ternary expression.");
            }
            return whole(end);
        };
        self.skip_newlines();
        let no = self.expression(true);
        if no.is_none() {
            self.missing_value(colon);
        }
        whole(no.map_or(colon.end, |no| no.end))
    }

    fn binary(&mut self, ternary: bool) -> Option<Expr> {
        let mut whole = self.list(ternary)?;
        loop {
            let token = self.peek();
            if let Kind::Parameter(_) = token.kind {
                self.next();
                self.unexpected(token);
                return Some(Expr { end: token.end, target: Target::No, ..whole });
            }
            if !token.kind.binary() {
                return Some(whole);
            }
            self.next();
            self.skip_newlines();
            let right = self.list(true);
            if right.is_none() {
                self.missing_value(token);
            }
            let end = right.map_or(token.end, |right| right.end);
            whole = Expr { end, target: Target::No, ..whole };
        }
    }

    fn list(&mut self, ternary: bool) -> Option<Expr> {
        let mut whole = self.unary(ternary)?;
        if self.no_comma {
            return Some(whole);
        }
        let mut assignable = whole.target != Target::No;
        while let Some(comma) = self.take(Kind::Comma) {
            self.skip_newlines();
            let Some(next) = self.unary(true) else {
                self.missing(Code::ExpressionAfterToken, comma.end, "Missing expression after ','.");
                return Some(Expr { end: comma.end, target: Target::No, ..whole });
            };
            assignable &= next.target != Target::No;
            whole.end = next.end;
            whole.target = if assignable { Target::List } else { Target::No };
        }
        Some(whole)
    }

    fn unary(&mut self, ternary: bool) -> Option<Expr> {
        self.deeper(|parser| parser.unary_inside(ternary))
    }

    /// The token an operand starts with; numbers may have signs here.
    fn operand(&mut self, ternary: bool) -> Token {
        let old = (self.signed, self.ternary);
        (self.signed, self.ternary) = (true, ternary);
        if let Some(token) = self.ungot
            && (token.kind == Kind::Minus || (ternary && token.kind == Kind::Generic))
        {
            self.resync(token.start);
        }
        let token = self.peek();
        (self.signed, self.ternary) = old;
        token
    }

    fn unary_inside(&mut self, ternary: bool) -> Option<Expr> {
        let token = self.operand(ternary);
        let mut expr = if token.kind.unary() {
            // A loop, since a line of dashes is a long row of operators.
            let mut last = token;
            let mut next = token;
            while next.kind.unary() && !(self.no_comma && next.kind == Kind::Comma) {
                last = self.next();
                self.skip_newlines();
                next = self.operand(true);
            }
            if self.peek().start == token.start {
                return None;
            }
            let child = if next.kind.unary() { None } else { self.unary(true) };
            let Some(child) = child else {
                let message = format!("Missing expression after unary operator '{}'.", self.word(last));
                self.missing(Code::ExpressionAfterUnary, last.end, message);
                return Some(Expr { start: token.start, end: last.end, target: Target::No });
            };
            if matches!(last.kind, Kind::Increment | Kind::Decrement) {
                self.check_counter(last, child);
            }
            Expr { start: token.start, end: child.end, target: Target::No }
        } else if token.kind == Kind::LBracket {
            self.typed(token)?
        } else {
            if token.kind == Kind::Splat {
                let name = self.word(token).trim_start_matches('@');
                let message = format!(
                    "The splatting operator '@' cannot be used to reference variables in an expression. \
                     '@{name}' can be used only as an argument to a command. \
                     To reference variables in an expression use '${name}'."
                );
                self.report(Code::Splatting, token.start..token.end, message);
            }
            self.primary(true)?
        };
        let token = self.peek();
        if matches!(token.kind, Kind::Increment | Kind::Decrement) {
            self.next();
            self.check_counter(token, expr);
            expr = Expr { end: token.end, target: Target::No, ..expr };
        }
        Some(expr)
    }

    /// `++` and `--` need something that can be assigned to.
    fn check_counter(&mut self, operator: Token, operand: Expr) {
        if operand.target != Target::One {
            let message =
                format!("The '{}' operator works only on variables or on properties.", self.word(operator));
            self.report(Code::Target, operator.start..operator.end, message);
        }
    }

    /// A type, or a value behind types and attributes.
    fn typed(&mut self, open: Token) -> Option<Expr> {
        let attributes = self.attributes(true);
        let (last, is_type) = attributes.last()?.clone();
        let start = open.start;
        let bare = Expr { start, end: last.end, target: Target::No };
        if !is_type {
            self.skip_newlines();
            let Some(child) = self.unary(true) else {
                self.report(Code::Attribute, last, "Unexpected attribute.");
                return Some(bare);
            };
            return Some(Expr { start, ..child });
        }
        if self.ungot.is_none()
            && let Some(operator) = self.member_operator(false)
        {
            let member = self.members(Some(operator), bare);
            // A cast of a member can be assigned to as the member itself.
            return Some(member);
        }
        if !matches!(self.peek().kind, Kind::NewLine | Kind::Comma)
            && let Some(child) = self.unary(true)
        {
            return Some(Expr { start, ..child });
        }
        Some(bare)
    }

    fn primary(&mut self, members: bool) -> Option<Expr> {
        let token = self.next();
        let mut target = Target::No;
        match token.kind {
            Kind::Variable | Kind::Splat => target = Target::One,
            Kind::Number | Kind::Literal => {}
            Kind::Expandable => self.nested(),
            Kind::LParen => target = self.parenthesized(token),
            Kind::AtParen | Kind::DollarParen => self.subexpression(),
            Kind::AtCurly => self.hash(token),
            Kind::LCurly => self.braced(token),
            _ => {
                self.unget(token);
                return None;
            }
        }
        let expr = Expr { start: token.start, end: self.here().max(token.end), target };
        if !members {
            return Some(expr);
        }
        let operator = if self.ungot.is_none() { self.member_operator(true) } else { None };
        Some(self.members(operator, expr))
    }

    /// Reads the `$(…)` inside the string or word that was read last.
    fn nested(&mut self) {
        for (span, here) in std::mem::take(&mut self.subs) {
            let raw = &self.text[span.clone()];
            // Quotes are doubled inside a quoted string; those dropped are remembered for the places.
            let mut dropped = Vec::new();
            let mut value = Cow::Borrowed(raw);
            if !here && raw.contains(is_double_quote) {
                let mut copy = String::with_capacity(raw.len());
                let mut chars = raw.chars().peekable();
                while let Some(c) = chars.next() {
                    let doubled = (c == '`' || is_double_quote(c))
                        && chars.peek().is_some_and(|next| is_double_quote(*next));
                    let kept = if doubled { chars.next().unwrap_or(c) } else { c };
                    if doubled {
                        dropped.push((copy.len(), c.len_utf8()));
                    }
                    copy.push(kept);
                }
                value = Cow::Owned(copy);
            }
            let Some(budget) = self.budget.checked_sub(value.len()).filter(|_| self.depth < DEPTH) else {
                return self.give_up();
            };
            let mut inner = Parser {
                depth: self.depth,
                in_workflow: self.in_workflow,
                in_configuration: self.in_configuration,
                strict: self.strict,
                ..Parser::new(&value, budget)
            };
            inner.primary(true);
            self.budget = inner.budget;
            let place = |at: usize| {
                let skipped: usize =
                    dropped.iter().take_while(|(before, _)| *before < at).map(|(_, length)| length).sum();
                span.start + at + skipped
            };
            let (faults, gave_up) = (inner.faults, inner.gave_up);
            for fault in faults {
                let (start, end) = (place(fault.span.start), place(fault.span.end));
                self.faults.push(Fault { span: start..end.max(start), ..fault });
            }
            if gave_up {
                return self.give_up();
            }
        }
    }

    fn parenthesized(&mut self, open: Token) -> Target {
        self.in_mode(Mode::Command, |parser| {
            parser.with_comma(true, |parser| {
                parser.skip_newlines();
                let inside = parser.chain();
                if inside.is_none() {
                    let message = "An expression was expected after '('.";
                    parser.missing(Code::ExpressionAfterParen, open.end, message);
                }
                parser.skip_newlines();
                if parser.take(Kind::RParen).is_none() {
                    let end = inside.map_or(open.end, |inside| inside.end);
                    parser.missing(Code::EndParen, end, "Missing closing ')' in expression.");
                }
                inside.map_or(Target::No, |inside| inside.target)
            })
        })
    }

    fn subexpression(&mut self) {
        self.in_mode(Mode::Command, |parser| {
            parser.with_comma(true, |parser| {
                parser.skip_newlines();
                parser.statements();
                parser.skip_newlines();
                let end = parser.peek().start;
                if parser.take(Kind::RParen).is_none() {
                    let message = "Missing closing ')' in subexpression.";
                    parser.missing(Code::EndParenSubexpression, end, message);
                }
            });
        });
    }

    /// A script block whose `{` was read.
    fn braced(&mut self, open: Token) {
        self.in_mode(Mode::Command, |parser| {
            parser.with_comma(true, |parser| parser.script_block(Some(open)));
        });
    }

    fn hash(&mut self, open: Token) {
        let mut keys = HashSet::new();
        self.skip_newlines();
        while let Some(key) = self.hash_entry() {
            let word = constant_key(&self.text[key]).map(str::to_lowercase);
            if let Some(word) = word
                && !keys.insert(word.clone())
            {
                let message = format!("Duplicate keys '{word}' are not allowed in hash literals.");
                let at = self.here();
                self.report(Code::Other, at..at, message);
            }
            if !matches!(self.peek().kind, Kind::NewLine | Kind::Semi) {
                break;
            }
            self.skip_separators();
        }
        if self.take(Kind::RCurly).is_none() {
            self.missing_end_curly(open);
        }
    }

    /// `key = value`; returns where the key lies.
    fn hash_entry(&mut self) -> Option<Range<usize>> {
        let (key, equals) = self.in_mode(Mode::Expression, |parser| {
            let key = parser.label_or_key();
            (key, key.and_then(|_| parser.take(Kind::Equals)))
        });
        let key = key?;
        let span = key.start..key.end;
        let Some(equals) = equals else {
            self.missing(Code::HashEquals, key.end, "Missing '=' operator after key in hash literal.");
            self.sync(false, &[Kind::RCurly, Kind::Semi, Kind::NewLine]);
            return Some(span);
        };
        self.in_mode(Mode::Command, |parser| {
            parser.skip_newlines();
            if parser.statement().is_none() {
                let message = "Missing statement after '=' in hash literal.";
                parser.missing(Code::HashStatement, equals.end, message);
            }
        });
        Some(span)
    }

    /// `.`, `::`, `[` and their kin right behind a value.
    fn member_operator(&mut self, brackets: bool) -> Option<Token> {
        while self.rest_starts_with("<#") {
            let start = self.at;
            self.at += 2;
            self.block_comment(start);
        }
        let start = self.at;
        let (second, third) = (self.char_at(start + 1), self.char_at(start + 2));
        let open = |c: char| self.mode == Mode::Command && (c == '\0' || c.is_whitespace());
        let kind = match self.peek_char() {
            '.' if second != '.' && !open(second) => Kind::Dot,
            ':' if second == ':' && !open(third) => Kind::ColonColon,
            '[' if brackets => Kind::LBracket,
            '?' if second == '.' => Kind::QuestionDot,
            '?' if second == '[' && brackets => Kind::QuestionBracket,
            _ => return None,
        };
        let end = start + if matches!(kind, Kind::Dot | Kind::LBracket) { 1 } else { 2 };
        self.at = end;
        Some(Token { kind, start, end })
    }

    fn members(&mut self, operator: Option<Token>, mut expr: Expr) -> Expr {
        let mut operator = operator;
        while let Some(token) = operator {
            self.skip_newlines();
            if matches!(token.kind, Kind::LBracket | Kind::QuestionBracket) {
                self.index(token);
            } else {
                self.member(token);
            }
            let assignable = !matches!(token.kind, Kind::QuestionDot | Kind::QuestionBracket);
            let target = if assignable { Target::One } else { Target::No };
            expr = Expr { end: self.here().max(token.end), target, ..expr };
            operator = if self.ungot.is_none() { self.member_operator(true) } else { None };
        }
        expr
    }

    fn member(&mut self, operator: Token) {
        let named = self.simple_name().is_some() || {
            let token = self.peek();
            let member = if token.kind.unary() || token.kind == Kind::LBracket {
                self.unary(false)
            } else {
                self.primary(false)
            };
            member.is_some()
        };
        if !named {
            self.missing(Code::PropertyName, operator.end, "Missing property name after reference operator.");
            self.single_argument(Place::Argument);
            return;
        }
        if self.ungot.is_some() {
            return;
        }
        let restore = self.at;
        let generic = self.method_types(restore);
        if self.eat('(') {
            let open = Token { kind: Kind::LParen, start: self.at - 1, end: self.at };
            self.call_arguments(open);
        } else if self.eat('{') {
            let open = Token { kind: Kind::LCurly, start: self.at - 1, end: self.at };
            self.braced(open);
        } else if generic {
            self.resync(restore);
        }
    }

    /// The type arguments of a method, as in `Method[int]()`.
    fn method_types(&mut self, restore: usize) -> bool {
        // PowerShell reads a token here and goes back; only a bracket matters.
        if self.peek_char() != '[' && self.take(Kind::LBracket).is_none() {
            self.resync(restore);
            return false;
        }
        self.resync(restore);
        if self.take(Kind::LBracket).is_none() {
            self.resync(restore);
            return false;
        }
        let mut back = true;
        let mut generic = false;
        let old = self.set_mode(Mode::TypeName);
        self.skip_newlines();
        let first = self.next();
        if first.kind == Kind::Identifier {
            back = false;
            let close = self.type_arguments(first);
            generic = close.kind == Kind::RBracket;
            if !generic {
                self.unget(close);
                self.missing(Code::EndBracketType, close.start, "Missing ] at end of type token.");
            }
        }
        self.set_mode(old);
        if back {
            self.resync(restore);
        }
        generic
    }

    fn call_arguments(&mut self, open: Token) {
        let mut end = open.end;
        let mut comma: Option<Token> = None;
        let mut reported = false;
        self.with_comma(false, |parser| {
            loop {
                parser.skip_newlines();
                let Some(argument) = parser.expression(false) else {
                    if let Some(comma) = comma {
                        let message = "Missing expression after ','.";
                        parser.missing(Code::ExpressionAfterToken, comma.end, message);
                        reported = true;
                    }
                    break;
                };
                end = argument.end;
                parser.skip_newlines();
                comma = parser.take(Kind::Comma);
                if comma.is_none() {
                    break;
                }
            }
        });
        self.skip_newlines();
        if self.take(Kind::RParen).is_none() && !reported {
            self.missing(Code::EndParenCall, end, "Missing ')' in method call.");
        }
    }

    fn index(&mut self, open: Token) {
        let index = self.with_comma(true, |parser| parser.expression(false));
        if index.is_none() {
            let message = "Array index expression is missing or not valid.";
            self.missing(Code::ArrayIndex, open.end, message);
        }
        self.skip_newlines();
        if self.take(Kind::RBracket).is_none()
            && let Some(index) = index
        {
            self.missing(Code::EndBracketIndex, index.end, "Missing ']' after array index expression.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Code>) {
        let faults = PowerShell.faults(text, Dialect::default());
        assert_eq!(
            faults.first().map(|fault| fault.code),
            expected.map(|code| code as u8),
            "{text:?}: {faults:?}"
        );
    }

    #[test]
    fn good_scripts() {
        for text in [
            "",
            "\u{feff}$a = 1\r\n",
            "switch -Regex ($x) { '^a' { 1 } default { 2 } }",
            "switch -File a.txt { a { 1 } { $_ -gt 2 } { 3 }; b { } }",
            ":outer foreach ($i in 1..3) { while ($true) { continue outer; break } }",
            "foreach -parallel ($i in $x) { $i }",
            "for (;;) { break }",
            "for ($i = 0; $i -lt 3; $i++) { }",
            "do { $x-- } until (!$x)",
            "do { } while ($a -and -not $b)",
            "if ($a) { } elseif ($b) { }\n# note\nelse { }",
            "try { } catch [A], [B.C] { } catch { } finally { }",
            "trap [Exception] { continue }",
            "Get-Item -Path $env:TEMP, ${a b} @args -Force:$true 2>&1 | % { $_.Name } | ? Length -gt 3",
            "1..10 | % { $_ * 2 } > out.txt",
            "$s = @'\nit's\n'@\n$t = @\"\n$($a[\"b\"]) `\" \"x\"\n\"@",
            "$x?.y; $x?[0]; $a ?? 1; $a ??= 2; $a ? 1 : 2; $y = $a ? $b.c : $(1)",
            "using module A\nusing namespace System.IO\n$a = 1",
            "class A : B, C { [int]$x = 1; static [string]$y\n hidden A([int]$i) : base($i) { } \n [void] f() { return } }",
            "[Flags()] enum E : byte { A = 1; B\n C = 0x4 }",
            "configuration C { Import-DscResource -ModuleName M\n Node 'n' { File F { Type = 'x'; Data = 1\n Filter = 2 } } }",
            "data D -SupportedCommand Get-X { 'a' }",
            "workflow W { parallel { a } sequence { b } inlinescript { c } }",
            "[CmdletBinding()]\n[OutputType([int])]\nparam([Parameter(Mandatory, Position = 0)][string[]]$A = @('x'), $B)\n1",
            "function f { param($a) begin { } process { } end { } }",
            "filter f($a, $b = 2) { $_ }",
            "icacls c:\\x --% /grant Everyone:(F) \"a",
            "$a[0]::b.c(1, { 2 }).d{ 3 }[1, 2]",
            "& $x @args; . ./a.ps1; & { 1 } & ",
            "\"a $($b[\"c\"]) d $e:f ${g}h `$i $\"",
            "\"a $(f \"\"x\"\") b\"",
            "$h = @{ a = 1; 'b c' = 2\n $d = if ($x) { 1 } else { 2 } }",
            "Set-X @{ A = 1 } -B @{}",
            "[int[]]$a, $b = 1, 2; ($c) = 3; [x]::y = 4; $a.b[1] += 5; $a.b()++",
            "[Collections.Generic.Dictionary[string, [int]]]::new()",
            "[System.Foo, Bar, Version=1.0]$x",
            "[Linq.Enumerable]::Select[int, string]($a, $b)",
            "a && b || c\nGet-X |\n  Get-Y\nGet-X\n  | Get-Y",
            "$a = <# note #> 1 # more\n<# #requires #>",
            "#requires -Version 5\n# SIG # Begin signature block\n# SIG # End signature block\n",
            "foo -a:1 -b: 2 --c - -- -d , 3".trim_end_matches(" , 3"),
            "-not $a -and !$b -bor -$c + +1 -split ',' -join ';'",
            "-join $a; , 1; 'a' -f 1, 2",
            "1kb + 0x1F + 1e3 + 1.5 + .5 + 10l + 2d + 0b11 + 100u",
            "$a = $b = 1; $null = x; return -1",
            "if ($a -in 1, 2) { throw 'x' } else { exit 1 }",
            "$x = \u{201c}quoted\u{201d} \u{2013}eq \u{2018}a\u{2019}",
            "foreach ($a in b | c) { }\nforeach { }".trim_end_matches("\nforeach { }"),
            "echo a`\n b `u{2195} `$x a#b",
            "*>&1; a 3>&1 2> $null >> b",
            "Describe 'x' { It 'y' { $a | Should -Be 1 } }",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn broken_scripts() {
        for (text, code) in [
            ("$a ]", Code::UnexpectedToken),
            ("}", Code::UnexpectedToken),
            ("1 2", Code::UnexpectedToken),
            ("$a -foo 1", Code::UnexpectedToken),
            ("if ($a) {", Code::EndCurly),
            ("@{ a = 1", Code::EndCurly),
            ("f (1 + 2", Code::EndParen),
            ("$(1", Code::EndParenSubexpression),
            ("$a.b(1", Code::EndParenCall),
            ("$a[1", Code::EndBracketIndex),
            ("'a", Code::StringTerminator),
            ("echo \"a", Code::StringTerminator),
            ("@'\na\n", Code::StringTerminator),
            ("@'\na\n  '@", Code::HereStringFooter),
            ("@'a\n'@", Code::HereStringHeader),
            ("<# a", Code::CommentTerminator),
            ("\"$(a\"", Code::StringTerminator),
            ("${a", Code::BracedVariable),
            ("\"$a: b\"", Code::VariableDrive),
            ("${}", Code::VariableName),
            ("@", Code::UnrecognizedToken),
            ("$a = ", Code::ValueAfterOperator),
            ("1 +", Code::ValueAfterOperator),
            ("$a -eq", Code::ValueAfterOperator),
            ("$a, ", Code::ExpressionAfterToken),
            ("-not", Code::ExpressionAfterUnary),
            ("()", Code::ExpressionAfterParen),
            ("f a,", Code::ExpressionInPipeline),
            ("& ", Code::ExpressionInPipeline),
            ("a | | b", Code::EmptyPipe),
            ("a |", Code::EmptyPipe),
            ("a && ", Code::EmptyChain),
            ("a | 1", Code::ExpressionNotFirst),
            ("f , 1", Code::Argument),
            ("f -a:", Code::ParameterArgument),
            ("f >", Code::FileSpecification),
            ("f < a", Code::ReservedRedirection),
            ("f > a > b", Code::StreamTwice),
            ("$a.", Code::PropertyName),
            ("$a[]", Code::ArrayIndex),
            ("@{ a }", Code::HashEquals),
            ("@{ a = }", Code::HashStatement),
            ("[]$a", Code::TypeName),
            ("[int $a", Code::EndBracketType),
            ("[A()]", Code::Attribute),
            ("if $a { }", Code::IfParen),
            ("if () { }", Code::IfCondition),
            ("if ($a { }", Code::EndParenStatement),
            ("if ($a) 1", Code::IfBlock),
            ("if ($a) { } else 1", Code::ElseBlock),
            ("while { }", Code::LoopParen),
            ("while () { }", Code::LoopCondition),
            ("for (;;) 1", Code::LoopBlock),
            ("do { } 1", Code::WhileOrUntil),
            ("foreach ($a of $b) { }", Code::ForeachHead),
            ("foreach (a in $b) { }", Code::ForeachHead),
            ("foreach ($a in ) { }", Code::ForeachExpression),
            ("switch { }", Code::SwitchHead),
            ("switch ($a) 1", Code::SwitchCurly),
            ("switch ($a) { }", Code::SwitchCondition),
            ("switch ($a) { 1 }", Code::SwitchBlock),
            ("function { }", Code::Name),
            ("function f($a { }", Code::EndParenParameters),
            ("param([int])", Code::Parameter),
            ("function f", Code::FunctionBody),
            ("begin { } 1", Code::NamedBlock),
            ("try { } catch", Code::TryBlock),
            ("try { }", Code::CatchOrFinally),
            ("class A { f }", Code::Member),
            ("using\n", Code::Using),
            ("1 = 2", Code::Target),
            ("1++", Code::Target),
            ("$a = @b", Code::Splatting),
            ("$a ? 1", Code::TernaryColon),
            ("@{ a = 1; A = 2 }", Code::Other),
        ] {
            check(text, Some(code));
        }
    }

    #[test]
    fn faults_come_in_the_order_of_the_text() {
        let text = "if ($a { }\n$b = \nwhile { }\n$c[1";
        let faults = PowerShell.faults(text, Dialect::default());
        assert!(faults.len() > 2 && faults.is_sorted_by_key(|fault| fault.span.start), "{faults:?}");
    }

    #[test]
    fn faults_of_braces_are_where_the_indentation_says() {
        for (text, line, column) in [
            ("function f {\n    if ($a) {\n        b\n    c\n}\n", 4, 5),
            ("function f {\n    if ($a) {\n        b\n    }\n    }\n    c\n}\n", 5, 5),
            ("function f {\n    $s = @'\n{\n'@\n    <#\n{ #>\n    if ($a) {\n        b\n\n    c\n}\n", 10, 5),
            ("$h = @{\n    a = 1\nf {\n    b\n}\n", 3, 1),
        ] {
            let faults = PowerShell.faults(text, Dialect::default());
            let place = place(text, faults[0].span.start);
            assert_eq!((place.line, place.column), (line, column), "{text}{faults:?}");
        }
    }

    #[test]
    fn keys_of_a_hash_are_there_once() {
        for (text, is_twice) in [
            ("@{ a = 1; A = 2 }", true),
            ("@{ 'a b' = 1; \"A b\" = 2 }", true),
            ("@{ a = 1; 'a' = 2 }", true),
            ("@{ \"$a\" = 1; \"$a\" = 2; $b = 1; $b = 2; (c) = 1; (c) = 2; 1 = 1; '1' = 2 }", false),
        ] {
            assert_eq!(!PowerShell.faults(text, Dialect::default()).is_empty(), is_twice, "{text}");
        }
    }

    #[test]
    fn keywords_out_of_place_are_flaws() {
        let texts = [
            "else { }",
            "f; elseif ($a) { }",
            "catch { }",
            "until ($a)",
            "function Else { }",
            "filter if($a) { }",
        ];
        for text in texts {
            assert!(PowerShell.faults(text, Dialect::default()).is_empty(), "{text:?}");
            assert!(!PowerShell.flaws(text, Dialect::default()).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn places_inside_strings_are_those_of_the_text() {
        for (text, place) in [("\"é $(f \"\"x\"\" >)\"", 15), ("@\"\n$(1 +)\n\"@", 8)] {
            let faults = PowerShell.faults(text, Dialect::default());
            assert_eq!(faults.first().map(|fault| fault.span.start), Some(place), "{faults:?}");
        }
    }

    #[test]
    fn nothing_makes_it_slow_or_panic() {
        for part in ["(", "{", "\"$(", "[A({", "@{a=", "-", "$a?", "[a[", "if(1){", "$a.b(", "}", "é", "`"] {
            let text = part.repeat(20_000);
            PowerShell.faults(&text, Dialect::default());
        }
        let pieces = [
            "$", "{", "}", "(", ")", "\"", "'", "@", "[", "]", "a", "\n", "|", "é", "#", "<", ">", "-", ",",
            "`", "if", " ",
        ];
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..24 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = usize::try_from(seed >> 40).expect("small") % pieces.len();
                text.push_str(pieces[at]);
            }
            for fault in PowerShell.flaws(&text, Dialect::default()) {
                assert!(text.get(fault.span.clone()).is_some() && (1..64).contains(&fault.code), "{text:?}");
            }
        }
    }
}
