//! Smells of Python that show in the lines a repair changes, whether or not the text parsed before.

use similar::{Algorithm, DiffTag, TextDiffConfig};

use super::{Repair, Smell};

/// A run of lines that differ, but for blank ones and comments, each with its number.
struct Hunk<'t> {
    before: Vec<(usize, &'t str)>,
    after: Vec<(usize, &'t str)>,
}

pub(super) fn smells(repair: &Repair) -> Vec<Smell> {
    let hunks = hunks(repair.before, repair.after);
    let caught = hunks.iter().filter_map(swallows);
    let passed = hunks.iter().filter_map(passes);
    caught.chain(passed).collect()
}

/// Statements that are gone where the text did not parse before, told by their lines.
///
/// Fewer words must be there too, since a statement may be joined into fewer lines.
pub(super) fn deletions(repair: &Repair) -> Option<Smell> {
    let words = |lines: &[(usize, &str)]| lines.iter().map(|(_, line)| n_words(line)).sum::<usize>();
    let mut first = None;
    let mut n_statements = 0;
    for hunk in hunks(repair.before, repair.after) {
        let kept: Vec<&str> = repair.after.lines().map(str::trim).collect();
        let gone: Vec<_> = hunk.before.iter().filter(|(_, line)| !is_junk(line, &kept)).collect();
        let is_spelling = |line: &str| hunk.before.iter().any(|(_, other)| distance(line, other) <= 2);
        let n_new = hunk.after.iter().filter(|(_, line)| !is_filler(line) || is_spelling(line)).count();
        if gone.len() > n_new && words(&hunk.before) > words(&hunk.after) {
            first = first.or(gone.first().map(|(line, _)| *line));
            n_statements += gone.len() - n_new;
        }
    }
    first.map(|line| Smell::DeletesStatements { line, n_statements })
}

/// Lines that are no loss: marks of a merge, comments of other languages, brackets alone, a stray word, a line that is there a second time.
fn is_junk(line: &str, kept: &[&str]) -> bool {
    let is_word = |text: &str| !text.contains(|c: char| c.is_whitespace() || "([{=.:,;".contains(c));
    n_words(line) == 0
        || ["<<<<<<<", "=======", ">>>>>>>", "|||||||", "```", "//"].iter().any(|mark| line.starts_with(mark))
        || (is_word(line) && !matches!(line, "return" | "raise" | "break" | "continue" | "yield"))
        || kept.contains(&line)
}

/// Lines that do nothing, so that they replace nothing.
pub(super) fn is_filler(line: &str) -> bool {
    matches!(line, "pass" | "..." | "try:" | "finally: pass" | "else: pass") || is_handler(line)
}

/// Words and numbers of a line.
fn n_words(line: &str) -> usize {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).count()
}

fn first_word(line: &str) -> &str {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

fn is_handler(line: &str) -> bool {
    first_word(line) == "except"
}

fn catches(line: &str) -> bool {
    matches!(first_word(line), "try" | "except") || line.contains("suppress(")
}

/// Whether a handler takes all there is.
fn is_broad(line: &str) -> bool {
    let Some(what) = line.strip_prefix("except") else { return false };
    let first = what.split(|c: char| !c.is_alphanumeric() && c != '_').find(|word| !word.is_empty());
    first.is_none_or(|first| matches!(first, "Exception" | "BaseException" | "pass"))
}

fn swallows(hunk: &Hunk) -> Option<Smell> {
    let count =
        |lines: &[(usize, &str)], is: fn(&str) -> bool| lines.iter().filter(|(_, line)| is(line)).count();
    // As many lines as before may be another spelling of them: `catch X:` for `except X:`.
    let is_wrapped =
        hunk.after.len() > hunk.before.len() && count(&hunk.after, catches) > count(&hunk.before, catches);
    let is_widened = count(&hunk.before, is_handler) > 0
        && count(&hunk.before, is_handler) == count(&hunk.after, is_handler)
        && count(&hunk.after, is_broad) > count(&hunk.before, is_broad);
    let is_new = |line: &str| if is_wrapped { catches(line) } else { is_broad(line) };
    let (line, _) = hunk.after.iter().find(|(_, line)| (is_wrapped || is_widened) && is_new(line))?;
    Some(Smell::SwallowsErrors { line: *line })
}

fn passes(hunk: &Hunk) -> Option<Smell> {
    let is_pass = |line: &str| line == "pass" || line.ends_with(": pass");
    let count = |lines: &[(usize, &str)]| lines.iter().filter(|(_, line)| is_pass(line)).count();
    let misspelt =
        hunk.before.iter().filter(|(_, line)| !is_pass(line) && distance(line, "pass") <= 2).count();
    if count(&hunk.after) <= count(&hunk.before) + misspelt {
        return None;
    }
    hunk.after.iter().find(|(_, line)| is_pass(line)).map(|(line, _)| Smell::AddsPass { line: *line })
}

/// How many letters differ.
pub(super) fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (idx, c) in from.chars().enumerate() {
        let mut corner = row[0];
        row[0] = idx + 1;
        for (col, other) in to.iter().enumerate() {
            let changed = corner + usize::from(c != *other);
            corner = row[col + 1];
            row[col + 1] = changed.min(corner + 1).min(row[col] + 1);
        }
    }
    row[to.len()]
}

fn hunks<'t>(before: &'t str, after: &'t str) -> Vec<Hunk<'t>> {
    let [from, to]: [Vec<&str>; 2] = [before, after].map(|text| text.lines().collect());
    let diff = TextDiffConfig::default().algorithm(Algorithm::Patience).diff_slices(&from, &to);
    let some = |lines: &[&'t str], start: usize| -> Vec<(usize, &'t str)> {
        let lines = lines.iter().enumerate().map(|(idx, line)| (start + idx + 1, line.trim()));
        lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect()
    };
    let changed = diff.ops().iter().filter(|op| op.tag() != DiffTag::Equal);
    let hunk = |op: &similar::DiffOp| Hunk {
        before: some(&from[op.old_range()], op.old_range().start),
        after: some(&to[op.new_range()], op.new_range().start),
    };
    changed.map(hunk).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str, expected: &[&str]) {
        let repair = Repair { path: "a.py", before, after, tests: &[] };
        let found: Vec<String> = smells(&repair).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn errors_that_are_caught() {
        check("x()\n", "try:\n    x()\nexcept E:\n    y()\n", &["line 1: errors are caught that were not"]);
        check(
            "try:\n    x(\n",
            "try:\n    x()\nexcept E: y()\n",
            &["line 3: errors are caught that were not"],
        );
        check("x()\n", "with suppress(E):\n    x()\n", &["line 1: errors are caught that were not"]);
        check("except A:\n", "except:\n", &["line 1: errors are caught that were not"]);
        check("except A\n", "except Exception:\n", &["line 1: errors are caught that were not"]);
        check("except A:\n", "except (A, B):\n", &[]);
        // Other spellings of the same.
        check("trye:\n    x()\nexcpet A:\n    y()\n", "try:\n    x()\nexcept A:\n    y()\n", &[]);
        check("try {\n    x()\n} catch A {\n    y()\n", "try:\n    x()\nexcept A:\n    y()\n", &[]);
        check("except:\n  x(\n", "except:\n  x()\n", &[]);
        check("except Exception, e:\n", "except Exception as e:\n", &[]);
    }

    #[test]
    fn pass_in_place_of_something() {
        check("if a:\n    x(\n", "if a:\n    pass\n", &["line 2: a new `pass`"]);
        check("if a:\n", "if a:\n    pass\n", &["line 2: a new `pass`"]);
        check("if a\n", "if a: pass\n", &["line 1: a new `pass`"]);
        check("if a:\n    raise\n", "if a:\n    pass\n", &["line 2: a new `pass`"]);
        check("if a:\n    pas\n", "if a:\n    pass\n", &[]);
        check("if a:\n    pass)\n", "if a:\n    pass\n", &[]);
        check("if a\n    pass\n", "if a:\n    pass\n", &[]);
    }

    #[track_caller]
    fn check_deletions(before: &str, after: &str, expected: Option<(usize, usize)>) {
        let found = deletions(&Repair { path: "a.py", before, after, tests: &[] });
        let expected = expected.map(|(line, n_statements)| Smell::DeletesStatements { line, n_statements });
        assert_eq!(found, expected);
    }

    #[test]
    fn broken_lines_that_are_cut_out() {
        check_deletions("a = 1\ntotal = fold(items, key=len\nb = 2\n", "a = 1\nb = 2\n", Some((2, 1)));
        check_deletions("if a:\n    f(\n    g()\n", "if a:\n    pass\n", Some((2, 2)));
        check_deletions("f(\n", "try:\n    f()\nexcept: pass\n", None);
        // What nobody misses.
        check_deletions("a = 1\n}\nb = 2\n", "a = 1\nb = 2\n", None);
        check_deletions("<<<<<<< HEAD\na = 1\n=======\n", "a = 1\n", None);
        check_deletions("a = 1\na = 1 (\n# x y\nb\n", "a = 1\na = 1\n", None);
        check_deletions("x = f(1)\nx = f(1)\n)\n", "x = f(1)\n", None);
        check_deletions("f(a,\n  b\n", "f(a, b)\n", None);
        check_deletions("// prints it\nf(\n", "# prints it\nf()\n", None);
        check_deletions("try:g\n    f(\n", "try:\n    f()\n", None);
        check_deletions("f(\ng(\n", "# f()\ng()\n", Some((1, 1)));
    }

    #[test]
    fn letters_are_counted() {
        for (from, to, expected) in [("", "pass", 4), ("pas", "pass", 1), ("raise", "pass", 3), ("é", "e", 1)]
        {
            assert_eq!(distance(from, to), expected, "{from}");
        }
    }
}
