//! What Python's unittest prints with `-v`, from Python 3.7 to 3.14.

use std::collections::BTreeMap;

use super::{Failure, Results, TestId, TestOutcome};
use crate::suite::modules::Modules;

/// Steps that fail in place of the tests they are for.
const FIXTURES: [&str; 4] = ["setUpClass", "tearDownClass", "setUpModule", "tearDownModule"];
const LINE: usize = 70;

/// The tests of one run; `None` when it did not come to its end.
///
/// Tests may print between all that is read here. So the numbers at the end are compared with what was found, and
/// where they differ, only whether all passed is told.
pub(super) fn read(text: &str, modules: &Modules) -> Option<Results> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let end = lines.iter().rposition(|line| n_run(line).is_some())?;
    let summary = lines[end + 1..].iter().find(|line| !line.is_empty())?;
    let sections = sections(&lines[..end]);
    let n_heads_end = sections.first().map_or(end, |section| section.start);
    let mut tests = heads(&lines[..n_heads_end], modules);
    let mut errors = BTreeMap::new();
    let n_listed = tests.iter().filter(|(id, _)| !is_fixture(id)).count();
    let agrees = Some(n_listed) >= n_run(lines[end])
        && ["failures", "errors"].map(|key| number(summary, key))
            == ["FAIL", "ERROR"].map(|kind| sections.iter().filter(|section| section.kind == kind).count());
    if !agrees {
        return Some(Results::Unlisted { passed: summary.starts_with("OK") });
    }
    let mut listed = BTreeMap::new();
    for section in sections {
        match section.subject(modules) {
            Some(Subject::Module(id)) => {
                tests.retain(|(test, _)| !(test.name == id.name && test.class.ends_with("_FailedTest")));
                errors.insert(id, section.failure);
            }
            Some(Subject::Test(id)) if is_fixture(&id) => {
                errors.insert(id, section.failure);
            }
            Some(Subject::Test(id)) => Results::add(&mut listed, id, TestOutcome::Failed(section.failure)),
            None => {}
        }
    }
    for (id, outcome) in tests {
        if !is_fixture(&id) {
            Results::add(&mut listed, id, outcome);
        }
    }
    Some(Results::Listed { tests: listed, errors })
}

fn is_fixture(id: &TestId) -> bool {
    FIXTURES.contains(&id.name.as_str())
}

/// The number in `Ran 3 tests in 0.004s`.
fn n_run(line: &str) -> Option<usize> {
    let (number, rest) = line.strip_prefix("Ran ")?.split_once(' ')?;
    (rest.starts_with("test in ") || rest.starts_with("tests in ")).then(|| number.parse().ok())?
}

/// The number behind a word in `FAILED (failures=3, errors=2)`; 0 when it is not there.
fn number(summary: &str, key: &str) -> usize {
    let inside = summary.split_once('(').map_or("", |(_, inside)| inside);
    let pairs = inside.trim_end_matches(')').split(", ").filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == key).find_map(|(_, value)| value.parse().ok()).unwrap_or(0)
}

/// Each test that was begun, and what stands behind it.
///
/// Failures come with the sections below, so whatever is neither skipped nor there has passed.
fn heads(lines: &[&str], modules: &Modules) -> Vec<(TestId, TestOutcome)> {
    let mut tests: Vec<(TestId, TestOutcome)> = Vec::new();
    for line in lines {
        // Lines of subtests are indented. Before Python 3.11 the next test follows a failed one on the same line.
        let line = line.strip_suffix(" ...").unwrap_or(line);
        for piece in line.split(" ... ").filter(|piece| !piece.starts_with(' ')) {
            if let Some((name, dotted)) = head(piece) {
                tests.push((TestId::within(dotted, name, modules), TestOutcome::Passed));
            } else if let Some((_, outcome)) = tests.last_mut() {
                match piece {
                    "expected failure" => *outcome = TestOutcome::Skipped,
                    "unexpected success" => *outcome = TestOutcome::Failed(unexpected()),
                    _ if piece.starts_with("skipped ") => *outcome = TestOutcome::Skipped,
                    _ => {}
                }
            }
        }
    }
    tests
}

fn unexpected() -> Failure {
    Failure { message: "unexpected success".to_owned(), text: String::new() }
}

/// The name and the class of `test_a (mod.Class.test_a)`; before Python 3.11 the class alone stands in brackets.
fn head(piece: &str) -> Option<(&str, &str)> {
    let (name, rest) = piece.split_once(" (")?;
    let dotted = rest.strip_suffix(')')?;
    let is_word = |text: &str| !text.is_empty() && !text.contains([' ', '(', ')', '=', '\'', '"']);
    if !is_word(name) || !is_word(dotted) {
        return None;
    }
    let class = dotted.strip_suffix(name).and_then(|class| class.strip_suffix('.'));
    Some((name, class.unwrap_or(dotted)))
}

/// What stands between two lines of `=` at the end: one failure.
struct Section<'t> {
    /// The line that it begins in.
    start: usize,
    kind: &'t str,
    title: &'t str,
    failure: Failure,
}

enum Subject {
    Module(TestId),
    Test(TestId),
}

impl Section<'_> {
    fn subject(&self, modules: &Modules) -> Option<Subject> {
        // Subtests have their parameters behind the name.
        let title = self.title.find(')').map_or(self.title, |end| &self.title[..=end]);
        let (name, class) = head(title)?;
        if !class.starts_with("unittest.loader.") {
            return Some(Subject::Test(TestId::within(class, name, modules)));
        }
        let file = modules.locate(name).map_or("", |(file, _)| file).to_owned();
        Some(Subject::Module(TestId { file, class: String::new(), name: name.to_owned() }))
    }
}

fn sections<'t>(lines: &[&'t str]) -> Vec<Section<'t>> {
    let is_rule = |line: &str, c: char| line.len() == LINE && line.chars().all(|found| found == c);
    let mut sections: Vec<Section> = Vec::new();
    for (idx, line) in lines.iter().enumerate() {
        let after_rule = idx > 0 && is_rule(lines[idx - 1], '=');
        let title = line.split_once(": ").filter(|(kind, _)| matches!(*kind, "FAIL" | "ERROR"));
        if let (true, Some((kind, title))) = (after_rule, title) {
            sections.push(Section { start: idx - 1, kind, title, failure: Failure::default() });
        } else if let Some(section) = sections.last_mut()
            && !is_rule(line, '=')
            && !is_rule(line, '-')
        {
            section.failure.text.push_str(line);
            section.failure.text.push('\n');
            if !line.is_empty() {
                (*line).clone_into(&mut section.failure.message);
            }
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let rules = text.replace("<==>", &"=".repeat(LINE)).replace("<-->", &"-".repeat(LINE));
        let found = match read(&rules, &Modules::new(["tests/test_u.py", "tests/test_bad.py"])) {
            None => vec!["no end".to_owned()],
            Some(Results::Unlisted { passed }) => vec![format!("unlisted {passed}")],
            Some(Results::Listed { tests, errors }) => {
                let tests = tests.iter().map(|(id, outcome)| match outcome {
                    TestOutcome::Passed => format!("+{id}"),
                    TestOutcome::Skipped => format!("s{id}"),
                    TestOutcome::Failed(failure) => format!("-{id} {}", failure.message),
                });
                let errors = errors.iter().map(|(id, failure)| format!("!{id} {}", failure.message));
                tests.chain(errors).collect()
            }
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn tests_are_listed_by_any_python() {
        let all = ["+tests/test_u.py::C::test_a", "-tests/test_u.py::C::test_b AssertionError: 2 != 3"];
        // 3.7
        check(
            "test_a (test_u.C) ... ok\ntest_b (test_u.C) ... FAIL\n\n<==>\nFAIL: test_b (test_u.C)\n<-->\n\
             AssertionError: 2 != 3\n\n<-->\nRan 2 tests in 0.001s\n\nFAILED (failures=1)\n",
            &all,
        );
        // 3.11
        check(
            "test_a (test_u.C.test_a) ... ok\ntest_b (test_u.C.test_b) ... FAIL\n\n<==>\n\
             FAIL: test_b (test_u.C.test_b)\n<-->\nAssertionError: 2 != 3\n\n<-->\n\
             Ran 2 tests in 0.001s\n\nFAILED (failures=1)\n",
            &all,
        );
        // Named by file.
        check(
            "test_a (tests.test_u.C.test_a) ... ok\n\n<-->\nRan 1 test in 0.0s\n\nOK\n",
            &["+tests/test_u.py::C::test_a"],
        );
    }

    #[test]
    fn docstrings_and_prints_are_in_the_way() {
        check(
            "test_a (test_u.C.test_a)\nDoc of a. ... ok\ntest_b (test_u.C.test_b) ... noise\nok\n\
             test_c (test_u.C.test_c) ... xok\nwarning: see (this) ... or that\n\n<-->\n\
             Ran 3 tests in 0.001s\n\nOK\n",
            &["+tests/test_u.py::C::test_a", "+tests/test_u.py::C::test_b", "+tests/test_u.py::C::test_c"],
        );
    }

    #[test]
    fn skipped_and_expected_are_neither() {
        check(
            "test_a (test_u.C) ... skipped 'why'\ntest_b (test_u.C) ... expected failure\n\
             test_c (test_u.C) ... unexpected success\n\n<-->\nRan 3 tests in 0.001s\n\n\
             FAILED (skipped=1, expected failures=1, unexpected successes=1)\n",
            &[
                "stests/test_u.py::C::test_a",
                "stests/test_u.py::C::test_b",
                "-tests/test_u.py::C::test_c unexpected success",
            ],
        );
    }

    #[test]
    fn subtests_fail_their_test() {
        // 3.7: the next test begins on the same line.
        check(
            "test_s (test_u.C)\nDoc ... test_x (test_u.C) ... ok\n\n<==>\nFAIL: test_s (test_u.C) (i=0)\nDoc\n\
             <-->\nAssertionError: 0 != 1\n\n<==>\nFAIL: test_s (test_u.C) (i=2)\nDoc\n<-->\nAssertionError: 2 != 1\n\
             \n<-->\nRan 2 tests in 0.001s\n\nFAILED (failures=2)\n",
            &["-tests/test_u.py::C::test_s AssertionError: 0 != 1", "+tests/test_u.py::C::test_x"],
        );
        // 3.13
        check(
            "test_s (test_u.C.test_s) ... \n  test_s (test_u.C.test_s) (i=0) ... FAIL\n\n<==>\n\
             FAIL: test_s (test_u.C.test_s) (i=0)\n<-->\nAssertionError: 0 != 1\n\n<-->\n\
             Ran 1 test in 0.001s\n\nFAILED (failures=1)\n",
            &["-tests/test_u.py::C::test_s AssertionError: 0 != 1"],
        );
    }

    #[test]
    fn what_cannot_be_loaded_is_no_test() {
        check(
            "test_bad (unittest.loader._FailedTest.test_bad) ... ERROR\ntest_a (test_u.C.test_a) ... ok\nERROR\n\n\
             <==>\nERROR: test_bad (unittest.loader._FailedTest.test_bad)\n<-->\nSyntaxError: x\n\n<==>\n\
             ERROR: setUpClass (test_u.D)\n<-->\nOSError: x\n\n<-->\nRan 2 tests in 0.001s\n\nFAILED (errors=2)\n",
            &[
                "+tests/test_u.py::C::test_a",
                "!tests/test_bad.py::test_bad SyntaxError: x",
                "!tests/test_u.py::D::setUpClass OSError: x",
            ],
        );
    }

    #[test]
    fn what_does_not_add_up_is_not_listed() {
        check("test_a (test_u.C) ... ok\n", &["no end"]);
        check("Ran 1 test in 0.1s\n", &["no end"]);
        check("..\n<-->\nRan 2 tests in 0.1s\n\nOK\n", &["unlisted true"]);
        check(
            "test_a (test_u.C) ... FAIL\n<-->\nRan 1 test in 0.1s\n\nFAILED (failures=1)\n",
            &["unlisted false"],
        );
        check("\n<-->\nRan 0 tests in 0.000s\n\nNO TESTS RAN\n", &[]);
        check("\n<-->\nRan 0 tests in 0.000s\n\nOK\n", &[]);
    }
}
