//! The Test Anything Protocol, versions 12 to 14.

use std::collections::BTreeMap;

use super::{Failure, Results, TestId, TestOutcome};

/// Why a text is not taken for TAP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TapError {
    #[error("no plan such as `1..5`")]
    NoPlan,
    #[error("{n_found} tests where {n_planned} were planned")]
    Count { n_found: usize, n_planned: usize },
    #[error("`Bail out!`")]
    BailOut,
}

/// Reads the tests of the outermost level; subtests sum up in theirs.
pub(super) fn read(text: &str) -> Result<Results, TapError> {
    let mut tests = BTreeMap::new();
    let mut n_found = 0;
    let mut planned = None;
    for line in text.lines() {
        if line.starts_with("Bail out!") {
            return Err(TapError::BailOut);
        }
        if let Some(plan) = plan(line) {
            planned = planned.or(Some(plan));
        } else if let Some((name, outcome)) = point(line) {
            n_found += 1;
            let number = if name.is_empty() { format!("test {n_found}") } else { String::new() };
            let mut id = TestId { file: String::new(), class: String::new(), name: name + &number };
            if tests.contains_key(&id) {
                id.name = format!("{} (test {n_found})", id.name);
            }
            tests.insert(id, outcome);
        }
    }
    let n_planned = planned.ok_or(TapError::NoPlan)?;
    if n_found != n_planned {
        return Err(TapError::Count { n_found, n_planned });
    }
    Ok(Results::Listed { tests, errors: BTreeMap::new() })
}

/// The number of tests in `1..5`.
fn plan(line: &str) -> Option<usize> {
    let number = line.strip_prefix("1..")?;
    number.split([' ', '#']).next()?.parse().ok()
}

/// The name and outcome of `not ok 2 - name # SKIP why`.
fn point(line: &str) -> Option<(String, TestOutcome)> {
    let (is_ok, rest) = match line.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok")?),
    };
    if !rest.is_empty() && !rest.starts_with(' ') {
        return None;
    }
    let (name, directive) = rest.split_once(" #").unwrap_or((rest, ""));
    let name = name.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim();
    let name = name.strip_prefix("- ").unwrap_or(name).trim();
    let directive = directive.trim_start().to_ascii_uppercase();
    let is_excused = directive.starts_with("SKIP") || (!is_ok && directive.starts_with("TODO"));
    let outcome = match (is_excused, is_ok) {
        (true, _) => TestOutcome::Skipped,
        (false, true) => TestOutcome::Passed,
        (false, false) => TestOutcome::Failed(Failure::default()),
    };
    Some((name.to_owned(), outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match read(text) {
            Ok(Results::Listed { tests, .. }) => {
                let line = |(id, outcome): (&TestId, &TestOutcome)| match outcome {
                    TestOutcome::Passed => format!("+{id}"),
                    TestOutcome::Skipped => format!("s{id}"),
                    TestOutcome::Failed(_) => format!("-{id}"),
                };
                tests.iter().map(line).collect::<Vec<_>>().join(", ")
            }
            Ok(Results::Unlisted { .. }) => "unlisted".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn points_are_tests() {
        check(
            "TAP version 13\n1..2\nok 1 - adds\nnot ok 2 - divides\n  ---\n  at: x\n  ...\n",
            "+adds, -divides",
        );
        check("ok\nok\nok 3 x\nok 4 x\n1..4\n", "+test 1, +test 2, +x, +x (test 4)");
        check("ok 1 a # SKIP no net\nnot ok 2 b # TODO later\nok 3 c # todo\n1..3", "sa, sb, +c");
        check("    ok 1 - inner\n    1..1\nok 1 - outer\n1..1\n", "+outer");
        check("1..0 # SKIP nothing\n", "");
        check("okay then\n1..0\n", "");
    }

    #[test]
    fn what_is_cut_is_refused() {
        check("ok 1 - a\n", "no plan such as `1..5`");
        check("1..3\nok 1 - a\n", "1 tests where 3 were planned");
        check("1..2\nok 1\nBail out! no disk\n", "`Bail out!`");
    }
}
