//! Excel formulas: a reader of our own is the judge, with a table of the functions beside it.
//!
//! A text holds one formula or more. It is judged as the English Excel judges what is typed into a
//! cell: `,` between arguments, `.` in numbers, A1 references.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use super::{Dialect, Fault, Language};
use crate::lexeme::{LexStyle, LongStrings};

pub struct Excel;

static STYLE: LexStyle = LexStyle {
    // Not all are Excel's: what people write for `>=`, `<=`, `<>`, `=` and `&` is one edit away.
    marks: &["< =", "> =", "< >", "<>", "<=", ">=", "=>", "=<", "==", "!=", "&&", "||"],
    sigils: "$",
    joiners: ".",
    quotes: "\"'",
    long_strings: LongStrings::None,
    phrases: &[],
    quote_prefixes: &[],
    keywords: &[],
    escape: None,
    comment: None,
    airy: false,
    commands: false,
    cells: true,
    block_comment: None,
};

impl Language for Excel {
    fn name(&self) -> &'static str {
        "excel"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["xlsx", "xlsm", "csv", "tsv", "formula", "formulas"]
    }

    fn judge(&self) -> &'static str {
        "a reader of our own, with the arguments of 535 functions"
    }

    fn faults(&self, text: &str, _dialect: Dialect) -> Vec<Fault> {
        formulas(text).into_iter().flat_map(|formula| Reader::new(text, formula).faults()).collect()
    }

    fn accepts(&self, _before: &str, after: &str, dialect: Dialect) -> bool {
        self.faults(after, dialect).is_empty()
    }

    fn unit(&self, text: &str, byte: usize) -> Option<Range<usize>> {
        formulas(text).into_iter().rfind(|formula| formula.start <= byte)
    }

    /// What Excel reads in one way only in the author's country: `;` stands between arguments, or where `:` was
    /// meant. Operators of other languages: `**` is a power, `&&` is AND, `~=` and `!=` are `<>`; of `+*` either may be meant.
    /// And where the formula says less after the repair, or an argument or the end of a sum was made up.
    fn is_in_doubt(&self, before: &str, after: &str) -> bool {
        let loses_quote = before.matches('"').count() > after.matches('"').count();
        let [before, after] = [before, after].map(without_strings);
        let lost = |mark: &str| before.matches(mark).count().saturating_sub(after.matches(mark).count());
        let n_commas = after.matches(',').count().saturating_sub(before.matches(',').count());
        let n_doubled = |text: &str| {
            let marks: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
            let is_doubled = |pair: &&[char]| {
                "+-*/^&".contains(pair[0]) && "*/^&".contains(pair[1]) || pair == &['|', '|']
            };
            marks.windows(2).filter(is_doubled).count()
        };
        let gains_not = after.matches("<>").count() > before.matches("<>").count();
        let loses_not = !gains_not && ["~=", "!="].iter().any(|mark| lost(mark) > 0);
        lost(";") > 0 && lost(";") != n_commas
            || n_doubled(&after) < n_doubled(&before)
            || loses_not
            || says_less(&before, &after)
            || open_sum(&before)
            || loses_quote
            || n_empty(&after) > n_empty(&before)
    }

    fn has_windows_encodings(&self) -> bool {
        true
    }

    fn style(&self) -> &'static LexStyle {
        &STYLE
    }
}

/// The kinds of fault; the model learns what each tends to mean. Part of the checkpoint format:
/// append, never renumber.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    /// A character that means nothing in a formula.
    Character = 1,
    /// `“` for `"`.
    CurlyQuote = 2,
    OpenString = 3,
    /// `'Sheet 1` without the second quote or the `!`.
    SheetQuote = 4,
    OpenSquare = 5,
    OpenBracket = 6,
    Unopened = 7,
    /// An operator with nothing to work on.
    MissingValue = 8,
    /// `,` outside brackets.
    StrayComma = 9,
    /// Two values side by side.
    MissingOperator = 10,
    /// `< =`
    SplitOperator = 11,
    /// `=>`
    SwappedOperator = 12,
    Semicolon = 13,
    /// `A1:10`, `B$B`, `$5`
    Reference = 14,
    /// `"A1":"B2"`
    RangeOfValues = 15,
    /// `(A1,"x")`
    UnionOfValues = 16,
    TooFew = 17,
    TooMany = 18,
    /// An argument whose partner is missing, as in `SUMIFS(A:A,B:B)`.
    Unpaired = 19,
    /// `COUNTIF("x",1)`
    NotAReference = 20,
    /// `SUM (A1)`
    BlankBeforeBracket = 21,
    Array = 22,
    OpenArray = 23,
    /// `Sheet1!` with nothing after it, or `!` with nothing before it.
    Sheet = 24,
    Empty = 25,
    EmptyBrackets = 26,
    /// The formula ends where a value should be.
    Unfinished = 27,
    /// `SUMIF(A:A,>0)`
    BareCriterion = 28,
    /// `"x"#`
    Spill = 29,
    TooDeep = 30,
    TooLong = 31,
}

/// Deeper nesting than Excel's own 64 levels would allow.
const DEEPEST: usize = 128;
/// Excel's own limit for what is typed; it also keeps the reader from going over a long text again and again.
const LONGEST: usize = 8192;
/// In files the same formula is longer: `Table1[[#This Row],[Price]]` is `[@Price]`, and new functions are marked.
const LONGEST_STORED: usize = 4 * LONGEST;
const LAST_COLUMN: u32 = 16_384;
const LAST_ROW: u32 = 1_048_576;

const ERRORS: &[&str] = &[
    "#NULL!",
    "#DIV/0!",
    "#VALUE!",
    "#REF!",
    "#NAME?",
    "#NUM!",
    "#N/A",
    "#GETTING_DATA",
    "#SPILL!",
    "#CALC!",
    "#FIELD!",
    "#BLOCKED!",
    "#CONNECT!",
    "#UNKNOWN!",
    "#EXTERNAL!",
    "#BUSY!",
    "#PYTHON!",
];

/// How a function is called.
struct Function {
    min: usize,
    max: Option<usize>,
    /// Arguments past `min` come in pairs.
    pairs: bool,
    /// As in the table: `2`, `2+` or `2*`, several with `,`.
    references: &'static str,
    gives_reference: bool,
}

impl Function {
    /// Whether Excel takes only a reference for this argument, counted from 1.
    fn wants_reference(&self, number: usize) -> bool {
        self.references.split(',').any(|rule| {
            let first: usize = rule.trim_end_matches(['+', '*']).parse().unwrap_or(usize::MAX);
            match rule.as_bytes().last() {
                Some(b'+') => number >= first,
                Some(b'*') => number >= first && (number - first).is_multiple_of(2),
                _ => number == first,
            }
        })
    }
}

static FUNCTIONS: LazyLock<HashMap<&str, Function>> = LazyLock::new(|| {
    let row = |line: &'static str| {
        let mut cells = line.split('\t');
        let name = cells.next()?;
        let min = cells.next()?.parse().ok()?;
        let max = cells.next()?;
        let function = Function {
            min,
            max: max.parse().ok().filter(|_| !max.starts_with('+')),
            pairs: max == "+2",
            references: cells.next()?,
            gives_reference: cells.next()? == "yes",
        };
        Some((name, function))
    };
    include_str!("excel_functions.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(row)
        .collect()
});

fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.get(bare(name).as_str())
}

/// The name of a function as people know it: files mark new ones.
fn bare(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    name.trim_start_matches("_XLFN.").trim_start_matches("_XLWS.").to_owned()
}

/// Functions that may give one, which may be called at once, besides LAMBDA and LET: `IF(A1,SUM,MAX)(B1:B3)`.
const GIVERS: &[&str] = &[
    "CHOOSE", "DROP", "HLOOKUP", "IF", "IFERROR", "IFNA", "IFS", "INDEX", "LOOKUP", "REDUCE", "SWITCH",
    "TAKE", "VLOOKUP", "XLOOKUP",
];

/// A formula with one quote mark for each string.
fn without_strings(text: &str) -> String {
    text.split('"').step_by(2).collect::<Vec<_>>().join("\"")
}

/// What signs out of other programs mean.
const SIGNS: [(&str, &str); 7] =
    [("–", "-"), ("−", "-"), ("×", "*"), ("÷", "/"), ("≤", "<="), ("≥", ">="), ("≠", "<>")];

/// Whether a formula has lost a word, a `#`, the rows of an array, or a sign that became something else.
fn says_less(before: &str, after: &str) -> bool {
    let meant = SIGNS.iter().fold(before.to_owned(), |text, (sign, meaning)| text.replace(sign, meaning));
    let lost = |mark: &str| meant.matches(mark).count() > after.matches(mark).count();
    let n_words = |text: &str| {
        let words = text.split(|c: char| !c.is_alphanumeric());
        words.filter(|word| word.chars().count() > 1 && word.chars().all(char::is_alphabetic)).count()
    };
    let is_sign =
        |c: &char| !c.is_ascii() && !c.is_alphanumeric() && !c.is_whitespace() && !"“”„«»‘’".contains(*c);
    let n_signs = |text: &str| text.chars().filter(is_sign).count();
    let had_signs = SIGNS.iter().any(|(sign, _)| before.contains(sign));
    n_words(after) < n_words(before)
        || n_signs(after) < n_signs(&meant)
        || had_signs && SIGNS.iter().any(|(_, meaning)| lost(meaning))
        || lost("#")
        || before.contains('{') && lost(";")
}

/// Arguments with nothing in them.
fn n_empty(formula: &str) -> usize {
    let marks: Vec<char> = formula.chars().filter(|c| !c.is_whitespace()).collect();
    marks.windows(2).filter(|pair| matches!(pair, [',' | ';' | '(', ',' | ';'] | [',' | ';', ')'])).count()
}

/// Whether a bracket around a sum or product is open: where it ends decides what the formula gives.
fn open_sum(formula: &str) -> bool {
    let mut open = Vec::new();
    let mut last = None;
    for (at, c) in formula.char_indices() {
        match c {
            '(' => open.push((at, last.is_some_and(|c: char| c.is_alphanumeric() || "_.])".contains(c)))),
            ')' => drop(open.pop()),
            _ => {}
        }
        last = (!c.is_whitespace()).then_some(c).or(last);
    }
    let n_operators = |at: usize| formula[at..].matches(|c| "+-*/^&".contains(c)).count();
    open.iter().any(|(at, is_call)| !is_call && n_operators(*at) > 1)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{feff}')
}

/// Where the formulas lie, from their sign to their last character: one starts at the first line and
/// at every line that opens with `=`.
fn formulas(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let end = at + line.trim_end_matches(is_blank).len();
        let start = at + line.len() - line.trim_start_matches(is_blank).len();
        at += line.len();
        match found.last_mut() {
            _ if start >= end => {}
            Some(last) if !text[start..].starts_with('=') => last.end = end,
            _ => found.push(start..end),
        }
    }
    found
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Number,
    Text,
    /// A reference, a name or the name of a function.
    Word,
    /// `Sheet1!`, `'Sheet 1'!`, `[Book.xlsx]Sheet1!`
    Sheet,
    /// `Table1[Column]`, `[@Column]`
    Table,
    Error,
    Array,
    Arithmetic,
    Compare,
    Percent,
    Hash,
    At,
    Colon,
    Comma,
    Semicolon,
    Open,
    Close,
    End,
}

impl Token {
    fn opens_operand(self) -> bool {
        use Token as T;
        matches!(
            self,
            T::Number | T::Text | T::Word | T::Sheet | T::Table | T::Error | T::Array | T::Open | T::At
        )
    }
}

#[derive(Clone, Debug)]
struct Piece {
    token: Token,
    span: Range<usize>,
    /// A blank stands before it.
    apart: bool,
}

/// What an operand is, as far as it can be told without a workbook.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Value,
    /// A whole number that could be a row.
    Row,
    Cell,
    Column,
    Name,
    /// Anything else that is a reference or may turn out as one.
    Reference,
}

impl Class {
    fn is_part(self) -> bool {
        matches!(self, Class::Row | Class::Cell | Class::Column)
    }
}

struct Argument {
    /// The comma or bracket before it.
    before: Range<usize>,
    span: Range<usize>,
    /// `None` when it is left empty.
    class: Option<Class>,
}

/// Reads one formula.
struct Reader<'t> {
    text: &'t str,
    /// Ends with a [`Token::End`].
    pieces: Vec<Piece>,
    at: usize,
    depth: usize,
    unclosed: usize,
    faults: Vec<Fault>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, formula: Range<usize>) -> Self {
        let sign = usize::from(text[formula.clone()].starts_with('='));
        let mut reader = Self { text, pieces: Vec::new(), at: 0, depth: 0, unclosed: 0, faults: Vec::new() };
        let is_stored = ["[#This Row]", "_xl"].iter().any(|mark| text[formula.clone()].contains(mark));
        let longest = if is_stored { LONGEST_STORED } else { LONGEST };
        if text[formula.clone()].chars().nth(longest).is_some() {
            let message = format!("the formula is longer than {longest} characters");
            reader.fault(Code::TooLong, formula.clone(), message);
        } else {
            reader.pieces = reader.lex(formula.start + sign..formula.end);
        }
        reader.pieces.push(Piece { token: Token::End, span: formula.end..formula.end, apart: true });
        reader
    }

    fn faults(mut self) -> Vec<Fault> {
        self.formula();
        match self.unclosed {
            0 => {}
            _ if self.faults.iter().any(|fault| fault.code == Code::TooDeep as u8) => {}
            1 => self.fault_here(Code::OpenBracket, "a closing bracket is missing"),
            many => self.fault_here(Code::OpenBracket, format!("{many} closing brackets are missing")),
        }
        self.faults.sort_by_key(|fault| fault.span.start);
        self.faults
    }

    fn fault(&mut self, code: Code, span: Range<usize>, message: impl Into<String>) {
        self.faults.push(Fault { span, message: message.into(), code: code as u8 });
    }

    fn fault_here(&mut self, code: Code, message: impl Into<String>) {
        self.fault(code, self.here().span.clone(), message);
    }

    fn formula(&mut self) {
        if self.here().token == Token::End && self.faults.is_empty() {
            self.fault_here(Code::Empty, "the formula is empty");
        }
        let mut value_due = true;
        loop {
            match self.here().token {
                Token::End => return,
                Token::Close => {
                    self.fault_here(Code::Unopened, "this bracket closes nothing");
                    self.next();
                    // The formula may go on with an operator.
                    value_due = false;
                }
                Token::Comma | Token::Semicolon => {
                    self.fault_here(Code::StrayComma, "a separator outside brackets");
                    self.next();
                    value_due = true;
                }
                token => {
                    if !value_due && matches!(token, Token::Compare | Token::Arithmetic) {
                        self.next();
                    }
                    self.expression();
                }
            }
        }
    }

    /// Operands and the operators between them; consumes something unless at the end, a separator or
    /// a closing bracket.
    fn expression(&mut self) -> Class {
        if self.depth == DEEPEST {
            self.fault_here(Code::TooDeep, "brackets are nested too deep");
            self.at = self.pieces.len() - 1;
            return Class::Reference;
        }
        self.depth += 1;
        let mut class = self.operand();
        loop {
            let Piece { token, span, apart } = self.here().clone();
            if matches!(token, Token::Compare | Token::Arithmetic) {
                self.next();
                self.operand();
                class = Class::Value;
            } else if token.opens_operand() {
                let gap = self.end()..span.start;
                let right = self.operand();
                let fits = apart && class != Class::Value && right != Class::Value;
                // A blank between references stands for their common cells. What is no piece has its
                // fault already.
                if !fits && self.text[gap.clone()].chars().all(is_blank) {
                    self.fault(Code::MissingOperator, gap, "an operator or a separator is missing");
                }
                class = if fits { Class::Reference } else { Class::Value };
            } else {
                break;
            }
        }
        self.depth -= 1;
        class
    }

    /// One operand with its signs.
    fn operand(&mut self) -> Class {
        let mut signed = false;
        while self.here().token == Token::At || self.is_sign() {
            signed |= self.here().token != Token::At;
            self.next();
        }
        let mut class = self.range();
        while self.here().token == Token::Percent {
            self.next();
            class = Class::Value;
        }
        if signed { Class::Value } else { class }
    }

    fn is_sign(&self) -> bool {
        let here = self.here();
        here.token == Token::Arithmetic && matches!(&self.text[here.span.clone()], "+" | "-")
    }

    /// References joined by `:`, or a single value.
    fn range(&mut self) -> Class {
        let start = self.here().span.start;
        let mut from = self.at;
        let mut class = self.primary();
        let mut end = self.end();
        while self.here().token == Token::Colon {
            self.next();
            let (middle, right_from) = (self.here().span.start, self.at);
            let right = self.primary();
            // `Jan:Dec!A1` names a row of sheets.
            let sheets = class != Class::Value
                && self.pieces[from].token != Token::Sheet
                && self.pieces[right_from].token == Token::Sheet;
            let rows = class == Class::Row || right == Class::Row;
            if class == Class::Value || right == Class::Value {
                let left = if class == Class::Value { start } else { middle };
                let right = if right == Class::Value { self.end() } else { end };
                self.fault(Code::RangeOfValues, left..right.max(left), "only references can make a range");
            } else if !sheets && class != right && (rows || class.is_part() && right.is_part()) {
                self.fault(Code::Reference, start..self.end(), "the ends of this range do not fit together");
            }
            class = if sheets { right } else { Class::Reference };
            (end, from) = (self.end(), right_from);
        }
        let last = self.before().map_or("", |before| &self.text[before.span.clone()]);
        match class {
            Class::Row if self.pieces[from].token == Token::Number => Class::Value,
            Class::Column if !last.contains('$') => Class::Name,
            Class::Row | Class::Column => {
                self.fault(Code::Reference, start..end, "this reference lacks a row or a column");
                Class::Reference
            }
            class => class,
        }
    }

    fn primary(&mut self) -> Class {
        let Piece { token, span, .. } = self.here().clone();
        let class = match token {
            Token::Number => {
                self.next();
                if is_row(&self.text[span]) { Class::Row } else { Class::Value }
            }
            Token::Text | Token::Array => {
                self.next();
                Class::Value
            }
            Token::Table => {
                self.next();
                Class::Reference
            }
            Token::Error => {
                self.next();
                // What is left of a reference into a deleted sheet.
                if matches!(self.here().token, Token::Word | Token::Number) && !self.here().apart {
                    self.next();
                }
                Class::Reference
            }
            Token::Sheet => self.on_sheet(span),
            Token::Word => self.word(true),
            Token::Open => self.group(),
            _ => self.missing(),
        };
        if self.here().token == Token::Hash {
            if matches!(class, Class::Value | Class::Row) {
                self.fault_here(Code::Spill, "only a reference can spill");
            }
            self.next();
            return Class::Reference;
        }
        class
    }

    /// What stands after `Sheet1!`.
    fn on_sheet(&mut self, sheet: Range<usize>) -> Class {
        self.next();
        match self.here().token {
            Token::Word => self.word(false),
            Token::Number | Token::Table | Token::Error => self.primary(),
            _ => {
                self.fault(Code::Sheet, sheet, "a reference is missing after this sheet");
                Class::Reference
            }
        }
    }

    fn word(&mut self, built_in: bool) -> Class {
        let span = self.here().span.clone();
        let word = &self.text[span.clone()];
        let known = if built_in { function(word) } else { None };
        self.next();
        let shape = shape(word);
        let open = self.here().clone();
        let named = matches!(shape, Some(Class::Name | Class::Column));
        if open.token == Token::Open && (known.is_some() || named && !open.apart) {
            if open.apart {
                let gap = span.end..open.span.start;
                self.fault(Code::BlankBeforeBracket, gap, "a blank before the bracket of a function");
            }
            return self.call(word, known);
        }
        shape.unwrap_or_else(|| {
            self.fault(Code::Reference, span, "this reference is malformed");
            Class::Reference
        })
    }

    fn call(&mut self, name: &str, known: Option<&Function>) -> Class {
        let (arguments, close) = self.list();
        let Some(known) = known else { return self.called() };
        let count = arguments.len();
        let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
        if count < known.min {
            let least = if known.max == Some(known.min) { "" } else { "at least " };
            let message = format!("{name} needs {least}{} {}", known.min, plural(known.min));
            self.fault(Code::TooFew, close, message);
        } else if let Some(max) = known.max.filter(|max| count > *max) {
            let first = &arguments[max];
            let span = if max == 0 && first.class.is_some() { &first.span } else { &first.before };
            let message = match max {
                0 => format!("{name} takes no arguments"),
                _ => format!("{name} takes {max} {} at most", plural(max)),
            };
            self.fault(Code::TooMany, span.clone(), message);
        } else if known.pairs && !(count - known.min).is_multiple_of(2) {
            self.fault(Code::Unpaired, close, format!("{name} takes its arguments in pairs"));
        }
        // Values and their names come in turn, or names come first; the last argument is what is worked out.
        let plain = bare(name);
        let step = if plain == "LET" { 2 } else { 1 };
        let is_maker = plain == "LET" || plain == "LAMBDA";
        let n_named = if is_maker { count.saturating_sub(1) } else { 0 };
        for argument in arguments.iter().take(n_named).step_by(step) {
            if matches!(argument.class, Some(Class::Value | Class::Cell)) {
                let message = format!("{name} wants a name here");
                self.fault(Code::NotAReference, argument.span.clone(), message);
            }
        }
        for (idx, argument) in arguments.into_iter().enumerate() {
            if argument.class == Some(Class::Value) && known.wants_reference(idx + 1) {
                let message = format!("argument {} of {name} must be a reference", idx + 1);
                self.fault(Code::NotAReference, argument.span, message);
            }
        }
        match known.gives_reference {
            _ if is_maker || self.is_call() && GIVERS.contains(&plain.as_str()) => self.called(),
            true => Class::Reference,
            false => Class::Value,
        }
    }

    /// Whether what was just read is called.
    fn is_call(&self) -> bool {
        self.here().token == Token::Open && !self.here().apart
    }

    /// What a call gave may be called, too.
    fn called(&mut self) -> Class {
        while self.is_call() {
            self.list();
        }
        Class::Reference
    }

    /// Brackets that call nothing: around one value, or around references that are taken together.
    fn group(&mut self) -> Class {
        let open = self.here().span.clone();
        let is_function = self.pieces.get(self.at + 1).is_some_and(|piece| {
            piece.token == Token::Word && bare(&self.text[piece.span.clone()]) == "LAMBDA"
        });
        let (arguments, close) = self.list();
        if is_function && self.is_call() {
            return self.called();
        }
        match arguments.as_slice() {
            [] => {
                if !close.is_empty() {
                    self.fault(Code::EmptyBrackets, open.start..close.end, "these brackets are empty");
                }
                Class::Reference
            }
            [Argument { class: Some(Class::Value), .. }] => Class::Value,
            [_] => Class::Reference,
            _ => {
                // Excel itself keeps `(-4,3)`, which was meant as a number in another country.
                let is_number = |argument: &Argument| self.text[argument.span.clone()].parse::<f64>().is_ok();
                let numbers = arguments.iter().all(is_number);
                for argument in arguments {
                    if !numbers && matches!(argument.class, None | Some(Class::Value)) {
                        let message = "only references can be listed in brackets";
                        self.fault(Code::UnionOfValues, argument.span, message);
                    }
                }
                Class::Reference
            }
        }
    }

    /// What stands between two brackets, and the second bracket or the place where it is missing.
    /// `()` holds nothing, `(,)` two empty arguments.
    fn list(&mut self) -> (Vec<Argument>, Range<usize>) {
        let mut arguments = Vec::new();
        loop {
            let before = self.here().span.clone();
            self.next();
            let start = self.here().span.start;
            let ends =
                |token: Token| matches!(token, Token::Comma | Token::Semicolon | Token::Close | Token::End);
            let class = if ends(self.here().token) { None } else { Some(self.expression()) };
            let span = if class.is_some() { start..self.end() } else { start..start };
            arguments.push(Argument { before, span, class });
            match self.here().token {
                Token::Comma => {}
                Token::Semicolon => {
                    self.fault_here(Code::Semicolon, "arguments are separated by `,`, not `;`");
                }
                Token::Close => break,
                _ => {
                    self.unclosed += 1;
                    break;
                }
            }
        }
        let close = self.here().span.clone();
        self.next();
        if let [Argument { class: None, .. }] = arguments.as_slice() {
            arguments.clear();
        }
        (arguments, close)
    }

    /// Something stands where an operand should be.
    fn missing(&mut self) -> Class {
        use Token as T;
        loop {
            let Piece { token, span, .. } = self.here().clone();
            let before = self.before().cloned();
            let behind = before.as_ref().map_or(T::Open, |before| before.token);
            let operator = matches!(behind, T::Compare | T::Arithmetic | T::Colon | T::At);
            if !matches!(token, T::Compare | T::Arithmetic) {
                let place = before.filter(|_| operator).map_or(span.start..span.start, |before| before.span);
                match token {
                    T::End => self.fault(Code::Unfinished, place, "the formula ends too early"),
                    _ => self.fault(Code::MissingValue, place, "a value is missing"),
                }
                return Class::Reference;
            }
            let both = before.map_or(span.start, |before| before.span.start)..span.end;
            match self.text[both.clone()].replace(is_blank, "").as_str() {
                "<=" | ">=" | "<>" => self.fault(Code::SplitOperator, both, "a blank inside an operator"),
                "=<" | "=>" | "><" => self.fault(Code::SwappedOperator, both, "no such operator"),
                _ if token == T::Compare && matches!(behind, T::Open | T::Comma | T::Semicolon) => {
                    self.fault(Code::BareCriterion, span, "nothing to compare; a criterion needs quotes");
                }
                _ => self.fault(Code::MissingValue, span, "a value is missing before this operator"),
            }
            self.next();
            if self.here().token.opens_operand() {
                return self.range();
            }
        }
    }

    fn here(&self) -> &Piece {
        &self.pieces[self.at]
    }

    fn before(&self) -> Option<&Piece> {
        self.at.checked_sub(1).map(|at| &self.pieces[at])
    }

    /// Where the last piece that was read ends.
    fn end(&self) -> usize {
        self.before().map_or(self.here().span.start, |before| before.span.end)
    }

    fn next(&mut self) {
        self.at = (self.at + 1).min(self.pieces.len() - 1);
    }

    /// Splits a stretch of the text; what is no piece is a fault and left out.
    fn lex(&mut self, stretch: Range<usize>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut at = stretch.start;
        let mut apart = false;
        while at < stretch.end {
            let rest = &self.text[at..stretch.end];
            let blank = rest.len() - rest.trim_start_matches(is_blank).len();
            if blank > 0 {
                (at, apart) = (at + blank, true);
                continue;
            }
            let (token, len) = self.piece(at, rest);
            if let Some(token) = token {
                pieces.push(Piece { token, span: at..at + len, apart });
            }
            (at, apart) = (at + len, false);
        }
        pieces
    }

    fn piece(&mut self, at: usize, rest: &str) -> (Option<Token>, usize) {
        use Token as T;
        let Some(first) = rest.chars().next() else { return (None, 0) };
        let colon = colon_len(rest);
        if colon > 0 {
            return (Some(T::Colon), colon);
        }
        let mut word = word_len(rest);
        // The dot of `A1.:B9` belongs to the colon.
        if rest[..word].ends_with('.') && colon_len(&rest[word - 1..]) > 0 {
            word -= 1;
        }
        let sheet = sheet_len(rest, word);
        if sheet > 0 {
            return (Some(T::Sheet), sheet);
        }
        let number = number_len(rest);
        if number > 0 {
            return (Some(T::Number), number);
        }
        let token = match first {
            '"' => {
                let len = quoted_len(rest, '"').unwrap_or_else(|| {
                    self.fault(Code::OpenString, at..at + rest.len(), "the closing quote is missing");
                    rest.len()
                });
                return (Some(T::Text), len);
            }
            '\'' => return self.quoted_sheet(at, rest),
            '[' => return self.square(at, rest, 0),
            '{' => return self.array(at, rest),
            '“' | '”' | '„' | '«' | '»' => return self.curly(at, rest, first),
            '#' => {
                let starts = |error: &&str| {
                    rest.get(..error.len()).is_some_and(|head| head.eq_ignore_ascii_case(error))
                };
                let error = ERRORS.iter().copied().find(starts);
                return error.map_or((Some(T::Hash), 1), |error| (Some(T::Error), error.len()));
            }
            _ if word > 0 && rest[word..].starts_with('[') => return self.square(at, rest, word),
            _ if word > 0 => return (Some(T::Word), word),
            '<' if rest.starts_with("<=") || rest.starts_with("<>") => return (Some(T::Compare), 2),
            '>' if rest.starts_with(">=") => return (Some(T::Compare), 2),
            '<' | '>' | '=' => T::Compare,
            '+' | '-' | '*' | '/' | '^' | '&' => T::Arithmetic,
            '%' => T::Percent,
            '@' => T::At,
            ',' => T::Comma,
            ';' => T::Semicolon,
            '(' => T::Open,
            ')' => T::Close,
            _ => {
                let span = at..at + first.len_utf8();
                match first {
                    '!' => self.fault(Code::Sheet, span, "a sheet is missing before this mark"),
                    _ => self.fault(
                        Code::Character,
                        span,
                        format!("`{}` means nothing in a formula", first.escape_debug()),
                    ),
                }
                return (None, first.len_utf8());
            }
        };
        (Some(token), 1)
    }

    fn quoted_sheet(&mut self, at: usize, rest: &str) -> (Option<Token>, usize) {
        let len = quoted_len(rest, '\'');
        if let Some(len) = len
            && rest[len..].starts_with('!')
        {
            return (Some(Token::Sheet), len + 1);
        }
        // What another program is asked for: `[1]!'ES #F'`.
        if let Some(len) = len
            && self.text[..at].ends_with('!')
        {
            return (Some(Token::Error), len);
        }
        let (len, message) = match len {
            Some(len) => (len, "only the name of a sheet stands in single quotes, with `!` after them"),
            None => (1, "the closing single quote is missing"),
        };
        self.fault(Code::SheetQuote, at..at + len, message);
        // An error fits everywhere, so that nothing else is complained of.
        (Some(Token::Error), len)
    }

    /// `“text”`, one fault for each mark.
    fn curly(&mut self, at: usize, rest: &str, first: char) -> (Option<Token>, usize) {
        let inside = first.len_utf8();
        let close = rest[inside..].char_indices().find(|(_, c)| matches!(c, '“' | '”' | '«' | '»' | '"'));
        let message = "quotes are straight in a formula";
        self.fault(Code::CurlyQuote, at..at + inside, message);
        let Some((len, close)) = close else { return (None, inside) };
        let (start, end) = (inside + len, inside + len + close.len_utf8());
        if close != '"' {
            self.fault(Code::CurlyQuote, at + start..at + end, message);
        }
        (Some(Token::Text), end)
    }

    /// Square brackets after `name` bytes: columns of a table, or a workbook before its sheet.
    fn square(&mut self, at: usize, rest: &str, name: usize) -> (Option<Token>, usize) {
        let Some(len) = square_len(&rest[name..]) else {
            self.fault(Code::OpenSquare, at + name..at + name + 1, "a closing square bracket is missing");
            return (Some(Token::Error), name + 1);
        };
        let after = &rest[name + len..];
        let sheet = after.len() - after.trim_start_matches(|c: char| c == ':' || is_word(c)).len();
        if name == 0 && after[sheet..].starts_with('!') {
            return (Some(Token::Sheet), len + sheet + 1);
        }
        (Some(Token::Table), name + len)
    }

    /// `{1,2;"a",TRUE}`: rows of constants, all of one length.
    fn array(&mut self, at: usize, rest: &str) -> (Option<Token>, usize) {
        let mut quoted = false;
        let close = rest.char_indices().find(|(_, c)| {
            quoted ^= *c == '"';
            *c == '}' && !quoted
        });
        let Some((len, _)) = close else {
            self.fault(Code::OpenArray, at..at + 1, "the closing brace is missing");
            return (None, 1);
        };
        let known = self.faults.len();
        let inside = self.lex(at + 1..at + len);
        let mut widths = vec![0];
        let mut items = inside.iter().peekable();
        let mut fine = self.faults.len() == known;
        while fine {
            if let Some(sign) = items.peek()
                && matches!(&self.text[sign.span.clone()], "+" | "-")
            {
                items.next();
            }
            fine = items.next().is_some_and(|item| match item.token {
                Token::Word => matches!(shape(&self.text[item.span.clone()]), Some(Class::Value)),
                token => matches!(token, Token::Number | Token::Text | Token::Error),
            });
            if let Some(width) = widths.last_mut() {
                *width += 1;
            }
            match items.next().map(|item| item.token) {
                Some(Token::Comma) => {}
                Some(Token::Semicolon) => widths.push(0),
                None => break,
                Some(_) => fine = false,
            }
        }
        if self.faults.len() == known && !(fine && widths.iter().all(|width| *width == widths[0])) {
            let message = "between braces stand constants, in rows of one length";
            self.fault(Code::Array, at..at + len + 1, message);
        }
        (Some(Token::Array), len + 1)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '\\' | '?' | '·' | '・')
}

fn word_len(rest: &str) -> usize {
    let opens = rest.starts_with(|c: char| c != '?' && c != '.' && is_word(c));
    if opens { rest.len() - rest.trim_start_matches(is_word).len() } else { 0 }
}

/// `:`, or one that trims what it joins: `A1:.A9`, `A1.:A9`, `A1.:.A9`.
fn colon_len(rest: &str) -> usize {
    let dot = usize::from(rest.starts_with('.'));
    if !rest[dot..].starts_with(':') {
        return 0;
    }
    let after = &rest[dot + 1..];
    let trims =
        after.strip_prefix('.').is_some_and(|end| end.starts_with(|c: char| c.is_alphanumeric() || c == '$'));
    dot + 1 + usize::from(trims)
}

/// `Sheet1!`, or a program and what it has open: `TOS|LAST!`, `Excel|'Book 1'!`. `word` bytes of it are a word.
fn sheet_len(rest: &str, word: usize) -> usize {
    let after = &rest[word..];
    let topic = match after.strip_prefix('|') {
        Some(topic) if topic.starts_with('\'') => quoted_len(topic, '\'').map_or(0, |len| len + 1),
        Some(topic) => word_len(topic) + 1,
        None => 0,
    };
    if word > 0 && after[topic..].starts_with('!') { word + topic + 1 } else { 0 }
}

fn number_len(rest: &str) -> usize {
    let digits = |from: usize| from + rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(0);
    let end = if rest[whole..].starts_with('.') { digits(whole + 1) } else { whole };
    if end == 0 || end == 1 && whole == 0 {
        return 0;
    }
    let after = rest[end..].trim_start_matches(['e', 'E']);
    let signed = after.trim_start_matches(['+', '-']);
    let (mantissa, sign) = (rest.len() - end - after.len(), after.len() - signed.len());
    let power = end + mantissa + sign;
    if mantissa == 1 && sign <= 1 && digits(power) > power { digits(power) } else { end }
}

/// The length of a quoted stretch, where a doubled quote stands for itself.
fn quoted_len(rest: &str, quote: char) -> Option<usize> {
    let mut at = 1;
    loop {
        at += rest[at..].find(quote)? + 1;
        if !rest[at..].starts_with(quote) {
            return Some(at);
        }
        at += 1;
    }
}

/// The length of a stretch in square brackets, where `'` takes the meaning from the next character.
fn square_len(rest: &str) -> Option<usize> {
    // LibreOffice writes addresses of other workbooks so; else `'` takes the meaning from a character.
    if let Some((address, after)) = rest.strip_prefix("['").and_then(|rest| rest.split_once('\''))
        && address.contains("//")
    {
        return after.find(']').map(|at| "['".len() + address.len() + "'".len() + at + 1);
    }
    let mut depth = 0_usize;
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => {
                chars.next();
            }
            '[' => depth += 1,
            ']' if depth == 1 => return Some(at + 1),
            ']' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn is_row(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_digit())
        && digits.parse::<u32>().is_ok_and(|row| (1..=LAST_ROW).contains(&row))
}

/// The number of a column: 28 for `AB`. `None` when it is no column by its form.
pub(crate) fn column_number(letters: &str) -> Option<u32> {
    let place = |sum: u32, letter: u8| sum * 26 + u32::from(letter.to_ascii_uppercase() - b'A') + 1;
    let is_column =
        (1..=3).contains(&letters.len()) && letters.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_column.then(|| letters.bytes().fold(0, place))
}

/// Letters of a column: `AB` for 28.
pub(crate) fn column_letters(mut column: u32) -> String {
    let mut letters = Vec::new();
    while column > 0 {
        column -= 1;
        letters.push(char::from_u32(u32::from(b'A') + column % 26).unwrap_or('?'));
        column /= 26;
    }
    letters.iter().rev().collect()
}

/// Whether a text calls a function that Excel has, or refers to a cell.
pub(crate) fn calls_or_refers(text: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "_.$".contains(c);
    text.split_inclusive(|c| !is_part(c)).any(|piece| {
        let word = piece.trim_end_matches(|c| !is_part(c));
        if piece.ends_with('(') { function(word).is_some() } else { shape(word) == Some(Class::Cell) }
    })
}

fn is_column(letters: &str) -> bool {
    column_number(letters).is_some_and(|number| number <= LAST_COLUMN)
}

/// What a word is; `None` when its `$` make no sense. What lies outside the sheet is a name.
fn shape(word: &str) -> Option<Class> {
    let rest = word.strip_prefix('$').unwrap_or(word);
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (letters, after) = rest.split_at(letters);
    let digits = after.strip_prefix('$').unwrap_or(after);
    if is_column(letters) && is_row(digits) {
        Some(Class::Cell)
    } else if is_column(letters) && after.is_empty() {
        Some(Class::Column)
    } else if letters.is_empty() && rest.len() < word.len() && is_row(after) {
        Some(Class::Row)
    } else if word.contains('$') {
        None
    } else if word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false") {
        Some(Class::Value)
    } else {
        Some(Class::Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexeme::{canonical, lex};
    use crate::state::{State, align};

    fn faults(text: &str) -> Vec<Fault> {
        Excel.faults(text, Dialect::default())
    }

    /// The codes of the faults, and the stretches of text they point at.
    #[track_caller]
    fn check(text: &str, expected: &[(Code, &str)]) {
        let found = faults(text);
        let found: Vec<(u8, &str)> =
            found.iter().map(|fault| (fault.code, &text[fault.span.clone()])).collect();
        let expected: Vec<(u8, &str)> = expected.iter().map(|(code, place)| (*code as u8, *place)).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn good_formulas() {
        for text in [
            "=1",
            "= .5 + 1E+3 - 2.% ^ -3",
            "=\"say \"\"hi\"\"\"&\"\"",
            "=Sum(a1:$B$2,C:C,$3:4,D1 : D2)",
            "=A1:B2 B1:C2",
            "=SUM((A1,B2:C3),Name)",
            "='Jan ''26'!A1+'C:\\x\\[b.xlsx]S'!$A$1+[1]S!A1+[b.xlsx]S!Total+Été!B2",
            "=SUM(Jan:Dec!A1,'Jan:Dec'!A1:B2,Jan:Dec!2:3,Jan!A1:Jan!B2)",
            "=Sales[[#This Row],[Net '# of]]+Sales[@Net]+[@Net]+SUM(Sales[])",
            "=@A1+SUM(A1#)+@INDEX(A:A,2)",
            "=SUM({1,-2;\"a;\",TRUE;#N/A,1e3})",
            "=IF(A1,,2)+IF(A1,)+PI()+PI( )",
            "=INDEX(A:A,1):INDEX(A:A,2)+SUM(OFFSET(A1,1,0):B9)",
            "=IFS(A1,1,A2,2)+SWITCH(A1,1,2,3)+SUMIFS(A:A,B:B,1,C:C,\">2\")",
            "=_xlfn._xlws.SORT(A1:A9)+_xlfn.CONCAT(A1,B1)",
            "=LET(f,LAMBDA(x,[y],x+1),f(2))+LAMBDA(x,x)(1)",
            "=_xlfn.LAMBDA(_xlpm.x,_xlpm.x+1)(2)+_xlfn.LET(_xlpm.f,A1,_xlpm.f)(2)+(LAMBDA(x,x))(1)",
            "=LET(t,MAP(A1:A3,LAMBDA(x,LAMBDA(x))),INDEX(t,1)())+IF(A1,SUM,MAX)(B1:B3)",
            "=SUM(A1:.A100,A1.:.B9,A1.:B9,A:.A,A.:.A,$A$1:.$B$9)+UNIQUE(A2:.A1000)",
            "=[1]!'ES #F'+[2]!'!Quotes!R2C2'+TOS|LAST!'.SPX'+Excel|'Book 1'!R1C1",
            "=MyMacro()+MyMacro(1,,3)",
            "=#REF!+Sheet1!#REF!+SUM(#REF!$A$1)",
            "=XFD1048576+XFE1+A1048577+A0",
            "=OFFSET(IF(A1,B1,C1),1,1)+ROW(name)+COUNTIF(INDIRECT(\"A:A\"),1)",
            "=-+-A1%%",
            "=IF(A1>1,\n  B1,\r\n\tC1)\r\n\r\n=2",
            "A1+1\n=A2",
            "=A1-(-4,3)",
            "=['file:///tmp/a.xlsx']S!A1+['file:///tmp/a.ods'#$S.A1]+T['# of]+Été・1!A1",
            "\u{feff}=1",
            "",
            " \n",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn what_is_stored_may_be_longer() {
        let typed = vec!["IF([@Amount]>1,[@[Unit Price]],0)"; 200].join("+");
        let stored =
            typed.replace("[@[", "Sales[[#This Row],[").replace("[@Amount", "Sales[[#This Row],[Amount]");
        assert!(typed.len() < LONGEST && stored.len() > LONGEST);
        check(&format!("={typed}"), &[]);
        check(&format!("={stored}"), &[]);
    }

    #[test]
    fn doubtful_repairs() {
        let is_in_doubt = |before: &str, after: &str| Excel.is_in_doubt(before, after);
        assert!(is_in_doubt("=SUM(B2;B9)", "=SUM(B2:B9)"));
        assert!(is_in_doubt("=A1**2", "=A1*2"));
        assert!(is_in_doubt("=A1&&B1", "=A1&B1"));
        assert!(is_in_doubt("=A1 || B1", "=A1=B1"));
        assert!(is_in_doubt("=A1 +* B1", "=A1 + B1"));
        assert!(is_in_doubt("=IF(A1~=B1,1,2)", "=IF(A1=B1,1,2)"));
        assert!(is_in_doubt("=IF(A1!=B1,1,2)", "=IF(A1=B1,1,2)"));
        for (before, after) in [
            ("=A1−B1", "=A1*B1"),
            ("=A1≤5", "=A1*5"),
            ("=√A1", "=A1"),
            ("=COUNTIF(B:B)", "=COUNTIF(B:B,)"),
            ("=(A1+B1*2", "=(A1+B1)*2"),
            ("=#N/B", "=N/B"),
            ("={1;2,3}", "={1,2,3}"),
            ("=IF(A1=1 THEN 2", "=IF(A1=1,2)"),
            ("=IF(A1,\"it\"s ok\",2)", "=IF(A1,\"it s ok\",2)"),
        ] {
            assert!(is_in_doubt(before, after), "{before}");
        }
        for (before, after) in [
            ("=A1–B1", "=A1-B1"),
            ("=A1≤5", "=A1<=5"),
            ("=SUM(A1:A9", "=SUM(A1:A9)"),
            ("=(A1+B1", "=(A1+B1)"),
            ("=SUMM(A1)", "=SUM(A1)"),
            ("=IF(A1=“a”,1,2)", "=IF(A1=\"a\",1,2)"),
            ("=SUM(A1:A9,)", "=SUM(A1:A9)"),
        ] {
            assert!(!is_in_doubt(before, after), "{before}");
        }
        assert!(!is_in_doubt("=IF(A1!=B1,1,2)", "=IF(A1<>B1,1,2)"));
        assert!(!is_in_doubt("==A1*-B1&\"&&\"", "=A1*-B1&\"&&\""));
        assert!(!is_in_doubt("=Sheet1!A1+SUM(A1", "=Sheet1!A1+SUM(A1)"));
        assert!(!is_in_doubt("=IF(A1;\";\";2)", "=IF(A1,\";\",2)"));
        assert!(!is_in_doubt("=SUM(A1 B1", "=SUM(A1,B1)"));
    }

    #[test]
    fn faults_and_where_they_are() {
        use Code as C;
        check("=1 § 2", &[(C::Character, "§")]);
        check("=LEN(“a”)", &[(C::CurlyQuote, "“"), (C::CurlyQuote, "”")]);
        check("=LEN(\"a)", &[(C::OpenString, "\"a)"), (C::OpenBracket, "")]);
        check("='My Sheet'A1", &[(C::SheetQuote, "'My Sheet'")]);
        check("=T[[a]", &[(C::OpenSquare, "["), (C::MissingOperator, "")]);
        check("=SUM(A1,(B1", &[(C::OpenBracket, "")]);
        check("=SUM(A1)))", &[(C::Unopened, ")"), (C::Unopened, ")")]);
        check("=SUM(A1))+1", &[(C::Unopened, ")")]);
        check("=SUM(A1*,B1)", &[(C::MissingValue, "*")]);
        check("=A1,", &[(C::StrayComma, ",")]);
        check("=A1*/B1", &[(C::MissingValue, "/")]);
        check("=SUM(A1\"x\")", &[(C::MissingOperator, "")]);
        check("=2 A1", &[(C::MissingOperator, " ")]);
        check("=2x", &[(C::MissingOperator, "")]);
        check("=SUM(A1)(2)", &[(C::MissingOperator, "")]);
        check("=A1 .B1", &[(C::Character, ".")]);
        check("=A1 < = B1", &[(C::SplitOperator, "< =")]);
        check("=A1=<B1", &[(C::SwappedOperator, "=<")]);
        check("=IF(A1;1;2)", &[(C::Semicolon, ";"), (C::Semicolon, ";")]);
        check("=SUM(C1:20)", &[(C::Reference, "C1:20")]);
        check("=SUM(C1:D)", &[(C::Reference, "C1:D")]);
        check("=C$D+1", &[(C::Reference, "C$D")]);
        check("=S!4+S!$C", &[(C::Reference, "S!4"), (C::Reference, "S!$C")]);
        check("=2*$7", &[(C::Reference, "$7")]);
        check("=SUM(\"A1\":B1)", &[(C::RangeOfValues, "\"A1\"")]);
        check("=SUM((A1,2))", &[(C::UnionOfValues, "2")]);
        check("=ROUND(A1)", &[(C::TooFew, ")")]);
        check("=IF(A1,B1,C1,D1)", &[(C::TooMany, ",")]);
        check("=NOW(A1)", &[(C::TooMany, "A1")]);
        check("=AVERAGEIFS(A:A,B:B,1,C:C)", &[(C::Unpaired, ")")]);
        check("=LET(A1,2,A1)+LET(x,2,3)", &[(C::NotAReference, "A1")]);
        check("=LAMBDA(1,x,[y],2)", &[(C::NotAReference, "1")]);
        check("=COUNTIF(A1>1,2)", &[(C::NotAReference, "A1>1")]);
        check("=COUNTIFS(A:A,1,SORT(B:B),2)", &[(C::NotAReference, "SORT(B:B)")]);
        check("=SUBTOTAL(9,A:A,3)", &[(C::NotAReference, "3")]);
        check("=SUM (A1)", &[(C::BlankBeforeBracket, " ")]);
        check("={1,2;3}", &[(C::Array, "{1,2;3}")]);
        check("={A1}", &[(C::Array, "{A1}")]);
        check("=SUM({1,2)", &[(C::OpenArray, "{")]);
        check("=Data!+1", &[(C::Sheet, "Data!")]);
        check("=SUM(!A1)", &[(C::Sheet, "!")]);
        check("=", &[(C::Empty, "")]);
        check("=()", &[(C::EmptyBrackets, "()")]);
        check("=A1&", &[(C::Unfinished, "&")]);
        check("=SUMIF(A:A,>=1)", &[(C::BareCriterion, ">=")]);
        check("=1#", &[(C::Spill, "#")]);
        check("=A1\n =B1)\n=C1+", &[(C::Unopened, ")"), (C::Unfinished, "+")]);
    }

    #[test]
    fn deep_nesting_and_length_have_limits() {
        let deep = |depth: usize| format!("={}1{}", "(".repeat(depth), ")".repeat(depth));
        check(&deep(100), &[]);
        check(&deep(4000), &[(Code::TooDeep, "(")]);
        check(&deep(5000), &[(Code::TooLong, &deep(5000))]);
        assert!(!faults(&format!("={}", "<".repeat(8000))).is_empty());
    }

    #[test]
    fn the_table_is_read_whole() {
        let rows = include_str!("excel_functions.tsv").lines().filter(|line| !line.starts_with('#'));
        assert_eq!(rows.count(), FUNCTIONS.len());
        for (name, function) in FUNCTIONS.iter() {
            assert!(function.max.is_none_or(|max| max >= function.min), "{name}");
            assert!(
                function.references.is_empty() || function.wants_reference(1) || function.wants_reference(2)
            );
        }
    }

    #[test]
    fn columns_and_rows_are_lexemes_and_names_are_whole() {
        let text = "=_xlfn.T.DIST($A$1,LOG10(b$2:CC30))<>'My Sheet'!$A:$A+$3:4+Q1_2";
        let lexemes = lex(text, Excel.style());
        let read: Vec<_> = (1..lexemes.len()).map(|idx| canonical(text, &lexemes, idx)).collect();
        let expected =
            "= _xlfn.T.DIST ( $A $1 , LOG10 ( b $2 : CC 30 ) ) <> ' My Sheet ' ! $A : $A + $3 : 4 + Q1_2";
        assert_eq!(read.join(" "), expected);
    }

    #[test]
    fn the_way_back_adds_no_blanks() {
        for (before, after) in [
            ("=SUM(A1:10)", "=SUM(A1:A10)"),
            ("=SUM($A$1:$9)", "=SUM($A$1:$A$9)"),
            ("=SUM(A1:B)", "=SUM(A1:B9)"),
            ("=B$B+$$20", "=$B:$B+$C$20"),
            ("=IF(B1=\"x\"2,3)", "=IF(B1=\"x\",2,3)"),
            ("=IF(A1=>2,B1;C1)", "=IF(A1>=2,B1,C1)"),
            ("=COUNTIF(A1:A9,<5)", "=COUNTIF(A1:A9,\"<5\")"),
            ("=A1 # + 2", "=A1 + 2"),
            ("=SUM(A1:A9", "=SUM(A1:A9)"),
            ("=SUM(A1:A9)B2", "=SUM(A1:A9)*B2"),
        ] {
            let state = |text: &str| State::new(text.to_owned(), Excel.style());
            let events = align(&state(before), &state(after), 100).expect("short");
            assert_eq!(state(before).apply(&events), after, "{events:?}");
        }
    }

    #[test]
    fn a_formula_is_repaired_alone() {
        let text = "=A1\n=B1+\n  2)\n\n=C1\n";
        let unit = |find: &str| Excel.unit(text, text.find(find).expect("there")).map(|unit| &text[unit]);
        assert_eq!(unit(")"), Some("=B1+\n  2)"));
        assert_eq!(unit("A1"), Some("=A1"));
        assert_eq!(unit("=C"), Some("=C1"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_judged(text in "\\PC*|[=A-C0-2 \\n'\"()\\[\\]{}:;,<>#%@!$&+*é“]*|(=|A1|SUM\\(|IF\\(|\\)|,|:|1|\"|<|-| |S!|T\\[|\\]|\\{)*") {
            let found = faults(&text);
            proptest::prop_assert!(found.is_sorted_by_key(|fault| fault.span.start));
            for fault in found {
                proptest::prop_assert!(text.get(fault.span.clone()).is_some());
                proptest::prop_assert!((1..Fault::CODES).contains(&fault.code));
            }
        }
    }
}
