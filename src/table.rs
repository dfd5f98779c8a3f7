//! Formulas in a table of text (`.csv`, `.tsv`): read them all, write repaired ones back.
//!
//! A field that starts with `=` is a formula to Excel. Texts such as `=== part 2 ===` and `=> B2` start so, too, and
//! Excel keeps them as texts without a word; so only what goes on like a formula, and has a function or a cell in it,
//! is judged.

use std::ops::Range;

use crate::lang::excel::{calls_or_refers, column_letters};

/// A formula and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// As in `B7`.
    pub cell: String,
    /// The line of the table in which it starts, from 1.
    pub line: usize,
    /// The formula with its leading `=`, quotes resolved.
    pub text: String,
    /// Bytes of the table, quotes included.
    span: Range<usize>,
    separator: char,
}

/// The formulas of a table in their order.
pub fn formulas(table: &str, is_tsv: bool) -> Vec<Field> {
    let Some(separator) = separator(table, is_tsv) else { return Vec::new() };
    let mut found = Vec::new();
    let (mut row, mut column, mut line, mut at) = (1, 1, 1, 0);
    while at < table.len() {
        let Some(span) = field(&table[at..], separator).map(|length| at..at + length) else { break };
        let rest = &table[span.end..];
        let ends_row = !rest.starts_with(separator);
        if let Some(text) = formula(&table[span.clone()], separator == ',' && !ends_row) {
            found.push(Field {
                cell: format!("{}{row}", column_letters(column)),
                line,
                text,
                span: span.clone(),
                separator,
            });
        }
        let width = if rest.starts_with("\r\n") { 2 } else { rest.chars().next().map_or(0, char::len_utf8) };
        line += table[at..span.end + width].matches('\n').count();
        at = span.end + width;
        (row, column) = if ends_row { (row + 1, 1) } else { (row, column + 1) };
    }
    found
}

impl Field {
    /// The table with `text` for this formula.
    pub fn replaced_in(&self, table: &str, text: &str) -> String {
        let was_quoted = table[self.span.clone()].starts_with('"');
        // Whatever may be taken for a separator is quoted.
        let field = if was_quoted || text.contains([self.separator, ',', ';', '\t', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        };
        [&table[..self.span.start], &field, &table[self.span.end..]].concat()
    }
}

/// What stands between two fields. `None` where it is `;`: there, `;` stands between arguments, too.
fn separator(table: &str, is_tsv: bool) -> Option<char> {
    let line = table.lines().next().unwrap_or_default();
    if let Some(named) = line.strip_prefix("sep=") {
        return named.chars().next().filter(|separator| *separator != ';');
    }
    if is_tsv {
        return Some('\t');
    }
    let mut counts = [0; 3];
    let mut is_text = false;
    for c in table.chars() {
        match c {
            '"' => is_text = !is_text,
            '\n' | '\r' if !is_text => break,
            _ if is_text => {}
            ',' => counts[0] += 1,
            ';' => counts[1] += 1,
            '\t' => counts[2] += 1,
            _ => {}
        }
    }
    let [commas, semis, tabs] = counts;
    match () {
        () if semis > commas.max(tabs) => None,
        () if tabs > commas => Some('\t'),
        () => Some(','),
    }
}

/// The length of the field that `rest` starts with; `None` when its quote is never closed.
fn field(rest: &str, separator: char) -> Option<usize> {
    let mut at = 0;
    if rest.starts_with('"') {
        at = 1;
        loop {
            at += rest[at..].find('"')? + 1;
            if !rest[at..].starts_with('"') {
                break;
            }
            at += 1;
        }
    }
    Some(at + rest[at..].find([separator, '\n', '\r']).unwrap_or(rest.len() - at))
}

/// The formula in a field, if it is one.
fn formula(raw: &str, may_be_cut: bool) -> Option<String> {
    let quoted = raw.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
    let text = quoted.map_or_else(|| raw.to_owned(), |inner| inner.replace("\"\"", "\""));
    if !goes_on_like_one(text.strip_prefix('=')?) || !calls_or_refers(&text) {
        return None;
    }
    // Without quotes, a comma between arguments cuts a formula in two: the table is at fault, not the formula.
    let is_cut = quoted.is_none() && may_be_cut && text.matches('(').count() > text.matches(')').count();
    (!is_cut).then_some(text)
}

/// Whether a formula may go on like this after its `=`: with an operand or a sign, and not as e-mail writes
/// bytes, in two digits between signs.
fn goes_on_like_one(rest: &str) -> bool {
    let opens = |c: char| c.is_alphanumeric() || "_\\$([{\"'@#+-.“”".contains(c);
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    let is_bytes = match rest.as_bytes() {
        [a, b, b'=', c, d, ..] => [a, b, c, d].into_iter().all(is_digit),
        _ => false,
    };
    rest.trim_start().starts_with(opens) && !is_bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(table: &str, expected: &[(&str, &str)]) {
        let found = formulas(table, false);
        let found: Vec<_> = found.iter().map(|field| (field.cell.as_str(), field.text.as_str())).collect();
        assert_eq!(found, expected, "{table:?}");
    }

    #[test]
    fn fields_that_are_formulas() {
        check(
            "a,b\r\n1,=SUM(A1:A2)\r\n\"x\ny\",\"=IF(A1=\"\"\"\",1,2)\"\n",
            &[("B2", "=SUM(A1:A2)"), ("B3", "=IF(A1=\"\",1,2)")],
        );
        check("name\ttotal\n\"a\"\t=A1+1", &[("B2", "=A1+1")]);
        check("sep=|\n=A1|=B1", &[("A2", "=A1"), ("B2", "=B1")]);
        check("a,b\n,=A1*(2", &[("B2", "=A1*(2")]);
    }

    #[test]
    fn lines_of_fields() {
        let lines = |table| formulas(table, false).iter().map(|field| field.line).collect::<Vec<_>>();
        assert_eq!(lines("=A1,=A2\r\n\"x\ny\",=A3\n\"=A4+\n1\",=A5\n"), [1, 1, 3, 4, 5]);
    }

    #[test]
    fn fields_that_are_none() {
        for table in [
            "",
            "=== part A ===,=>,==,=)\n",
            "==A1==,=> B2,==> A1 is first,=^.^= C3\n\"== Q3 results (draft) ==\"\n",
            "=E2=80=A2 item,=C3=A9t=C3=A9\n",
            "=?utf-8?B?aGVsbG8=?=,x\n",
            "a;b\n1;=SUM(A1;A2)\n",
            "a,b\n=SUM(A1,A2)\n",
            "a,\"=SUM(A1\n",
            "a, =SUM(A1\n",
        ] {
            check(table, &[]);
        }
    }

    #[test]
    fn a_repair_is_quoted_where_it_must_be() {
        let table = "a,=A1&(x\r\n\"=SUM(A1,\"\"b\"\"\",2\n";
        let fields = formulas(table, false);
        assert_eq!(fields[0].replaced_in(table, "=A1&(x)"), "a,=A1&(x)\r\n\"=SUM(A1,\"\"b\"\"\",2\n");
        assert_eq!(
            fields[0].replaced_in(table, "=IF(A1,\"y\")"),
            "a,\"=IF(A1,\"\"y\"\")\"\r\n\"=SUM(A1,\"\"b\"\"\",2\n"
        );
        assert_eq!(fields[1].replaced_in(table, "=SUM(A1,\"b\")"), "a,=A1&(x\r\n\"=SUM(A1,\"\"b\"\")\",2\n");
    }

    fn check_one_changes(table: &str, is_tsv: bool, text: &str) {
        let before = formulas(table, is_tsv);
        for (nth, field) in before.iter().enumerate() {
            let after = formulas(&field.replaced_in(table, text), is_tsv);
            assert_eq!(after.len(), before.len());
            for (idx, (x, y)) in before.iter().zip(&after).enumerate() {
                assert_eq!(x.cell, y.cell);
                assert_eq!(if idx == nth { text } else { &x.text }, y.text);
            }
        }
    }

    #[test]
    fn a_repair_keeps_the_separator() {
        check_one_changes("\t,\t=1;\"=LEFT(\"\"é\"\"\"", false, "=A1+,");
    }

    proptest! {
        #[test]
        fn a_repair_changes_one_formula(
            table in "([a,\n]|\r\n|=A1|\"=B2\"|\"\"|\"=LEFT\\(\"\"é\"\"\"|=1|\t){0,30}",
            is_tsv: bool,
            text in "=A1\\+[a,\"\t\n]{0,5}",
        ) {
            check_one_changes(&table, is_tsv, &text);
        }
    }
}
