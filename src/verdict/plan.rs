//! What to run next to find out what a repair does: a pure function of all runs so far, cheapest run first.
//!
//! First the tests that can see the file, before and after; then all tests. Tests that failed before run twice, so
//! that unstable ones are known. Tests that differ run again on both sides, since a test that fails every other time
//! would else count for or against the repair. A verdict that more tests cannot better ends it.

use std::time::Duration;

use super::marks::{Change, Marks, Subject, marks};
use super::{History, NoTests, Run, Standing, TestVerdict, judge, was_unloaded};
use crate::imports::Seeing;
use crate::results::{Fault, Results, TestOutcome};
use crate::suite::{Scope, Suite};

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Run(Order),
    Done(TestVerdict),
}

/// A run that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub side: Side,
    pub scope: Scope,
    pub timeout: Duration,
}

/// Whether the tests run without the repair or with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// How a repair of one file is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Narrow ones first; the last is all.
    scopes: Vec<Scope>,
    can_select: bool,
    timeout: Duration,
    reruns: usize,
    /// What is known without any run.
    known: Option<TestVerdict>,
}

/// Runs that settle whether something besides a test is bad: that files can be loaded hardly changes by chance.
const RUNS_OF_OTHERS: usize = 2;

impl Plan {
    /// How to try a repair of `changed`, when `seeing` of the `tests` import it.
    pub fn new(suite: &Suite, changed: &str, tests: &[String], seeing: Seeing) -> Self {
        let can_select = suite.harness(changed).can_select();
        let mut known = None;
        let mut scopes = vec![Scope::All];
        if suite.guards(changed) {
            known = Some(TestVerdict::EditsTests { file: changed.to_owned() });
        } else if let Seeing::Only(files) = seeing {
            if files.is_empty() {
                known = Some(TestVerdict::NoTests(NoTests::Seeing { file: changed.to_owned() }));
            // Where most tests see the file, running those first saves little.
            } else if can_select && 2 * files.len() <= tests.len() {
                scopes.insert(0, Scope::Files(files));
            }
        }
        let (timeout, reruns) = (suite.timeout, suite.reruns);
        Self { scopes, can_select, timeout, reruns, known }
    }

    /// What to run next, or what all runs prove.
    pub fn next(&self, history: &History) -> Step {
        if let Some(verdict) = &self.known {
            return Step::Done(verdict.clone());
        }
        for scope in &self.scopes {
            if let Some(order) = self.wanted(scope, history) {
                return Step::Run(order);
            }
            let verdict = judge(history);
            if ends_it(&verdict) {
                return Step::Done(verdict);
            }
        }
        Step::Done(judge(history))
    }

    /// The next run in a scope; `None` when all is settled there.
    fn wanted(&self, scope: &Scope, history: &History) -> Option<Order> {
        let Some(before) = history.before.iter().find(|run| run.scope.contains(scope)) else {
            return Some(self.order(Side::Before, scope.clone(), history));
        };
        if is_empty(before, scope) {
            return None;
        }
        if let Some(again) = self.failing(before, scope)
            && count(history.before, &again) < RUNS_OF_OTHERS
        {
            return Some(self.order(Side::Before, again, history));
        }
        if !history.after.iter().any(|run| run.scope == *scope) {
            return Some(self.order(Side::After, scope.clone(), history));
        }
        self.doubted(history)
    }

    /// The run that settles what differs, when it was not seen often enough.
    fn doubted(&self, history: &History) -> Option<Order> {
        let marks = marks(history);
        let was_unloaded = was_unloaded(&marks);
        let is_late = is_late(history.after);
        for (side, runs) in [(Side::After, history.after), (Side::Before, history.before)] {
            let is_doubted = |(subject, marks): &(&Subject, &Marks)| match marks.change() {
                Change::Fixed | Change::Regressed => !(is_late && matches!(subject, Subject::Run(_))),
                // What could not run before can only be seen to be unstable with the repair.
                Change::NewRed => side == Side::After || !was_unloaded,
                _ => false,
            };
            let doubted = marks.iter().filter(is_doubted).map(|(subject, _)| subject);
            if let Some(again) = self.lacking(doubted, runs) {
                return Some(self.order(side, again, history));
            }
        }
        None
    }

    /// The scope to run again because some subjects are in too few runs.
    fn lacking<'s>(&self, subjects: impl Iterator<Item = &'s Subject<'s>>, runs: &[Run]) -> Option<Scope> {
        let mut files = Vec::new();
        for subject in subjects {
            let n_wanted = if matches!(subject, Subject::Test(_)) { 1 + self.reruns } else { RUNS_OF_OTHERS };
            let file = subject.file().unwrap_or_default();
            let has_it = |run: &&Run| match subject {
                Subject::Run(scope) => run.scope == **scope,
                Subject::Load(_) | Subject::Test(_) => run.scope.covers(file),
            };
            if runs.iter().filter(has_it).count() >= n_wanted {
                continue;
            }
            if let Subject::Run(scope) = subject {
                return Some((*scope).clone());
            }
            files.push(file);
        }
        self.again(&files)
    }

    /// What failed in a run, to be run again.
    ///
    /// Not where time ran out: that would take as long again, for a repair that may do no better.
    fn failing(&self, run: &Run, scope: &Scope) -> Option<Scope> {
        match &run.results {
            Ok(Results::Listed { tests, errors }) => {
                let is_red = |outcome: &TestOutcome| matches!(outcome, TestOutcome::Failed(_));
                let tests = tests.iter().filter(|(_, outcome)| is_red(outcome)).map(|(id, _)| id);
                let files = tests.chain(errors.keys()).map(|id| id.file.as_str());
                self.again(&files.filter(|file| scope.covers(file)).collect::<Vec<_>>())
            }
            Ok(Results::Unlisted { passed: true }) | Err(Fault::TimedOut { .. }) => None,
            Ok(Results::Unlisted { passed: false }) | Err(_) => Some(scope.clone()),
        }
    }

    /// The narrowest scope that has all of these files, if there are any; an empty name is one that is not known.
    fn again(&self, files: &[&str]) -> Option<Scope> {
        if files.is_empty() {
            return None;
        }
        let is_known = files.iter().all(|file| !file.is_empty());
        let names = files.iter().map(|file| (*file).to_owned());
        Some(if self.can_select && is_known { Scope::Files(names.collect()) } else { Scope::All })
    }

    fn order(&self, side: Side, scope: Scope, history: &History) -> Order {
        let timeout = match side {
            Side::Before => self.timeout,
            Side::After => self.patience(&scope, history),
        };
        Order { side, scope, timeout }
    }

    /// A repair may bring an endless loop, so what took a second before does not get minutes now.
    fn patience(&self, scope: &Scope, history: &History) -> Duration {
        let is_whole = |run: &&Run| {
            run.scope.contains(scope)
                && matches!(&run.results, Ok(Results::Listed { errors, .. }) if errors.is_empty())
        };
        let slowest = history.before.iter().filter(is_whole).map(|run| run.duration).max();
        slowest.map_or(self.timeout, |slowest| (slowest * 5 + Duration::from_secs(10)).min(self.timeout))
    }
}

/// Whether more tests cannot make a verdict better.
fn ends_it(verdict: &TestVerdict) -> bool {
    let is_red = matches!(
        verdict,
        TestVerdict::BaselineRed(_) | TestVerdict::Crashed { .. } | TestVerdict::TimedOut { .. }
    );
    is_red || verdict.standing() == Standing::Against
}

/// Whether time ran out with the repair. Once is enough, for waiting again would take as long.
fn is_late(runs: &[Run]) -> bool {
    runs.iter().any(|run| matches!(run.results, Err(Fault::TimedOut { .. })))
}

/// How many runs have all of `scope`.
fn count(runs: &[Run], scope: &Scope) -> usize {
    runs.iter().filter(|run| run.scope.contains(scope)).count()
}

/// Whether nothing ran, or nothing but skipped tests.
fn is_empty(run: &Run, scope: &Scope) -> bool {
    let Ok(Results::Listed { tests, errors }) = &run.results else { return false };
    let ran = tests.iter().any(|(id, outcome)| scope.covers(&id.file) && *outcome != TestOutcome::Skipped);
    !ran && !errors.keys().any(|id| scope.covers(&id.file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Failure, TestId};
    use crate::suite::Settings;
    use crate::suite::discover::Listing;
    use std::collections::{BTreeMap, BTreeSet};

    /// What a test does in the runs before and after, over and over: `+` passes, `-` fails, `s` is skipped, `.` is
    /// not there, `!` cannot be collected, `x` ends the run, `~` never ends.
    #[derive(Clone, Debug)]
    struct Row {
        file: &'static str,
        before: String,
        after: String,
    }

    fn row(file: &'static str, before: &str, after: &str) -> Row {
        Row { file, before: before.to_owned(), after: after.to_owned() }
    }

    fn run(rows: &[Row], order: &Order, n_runs: usize) -> Run {
        let (mut tests, mut errors) = (BTreeMap::new(), BTreeMap::new());
        let mut fault = None;
        let duration = Duration::from_secs(1);
        for (idx, row) in rows.iter().enumerate().filter(|(_, row)| order.scope.covers(row.file)) {
            let marks = if order.side == Side::Before { &row.before } else { &row.after };
            let mark = marks.as_bytes()[n_runs % marks.len()];
            let id = TestId { file: row.file.to_owned(), class: String::new(), name: format!("t{idx}") };
            match mark {
                b'+' => drop(tests.insert(id, TestOutcome::Passed)),
                b's' => drop(tests.insert(id, TestOutcome::Skipped)),
                b'-' => drop(tests.insert(id, TestOutcome::Failed(Failure::default()))),
                b'!' => {
                    errors.insert(TestId { name: "load".to_owned(), ..id }, Failure::default());
                }
                b'x' => fault = Some(Fault::Killed { signal: 11 }),
                b'~' => fault = Some(Fault::TimedOut { limit: order.timeout }),
                _ => {}
            }
        }
        let results = fault.map_or(Ok(Results::Listed { tests, errors }), Err);
        Run { scope: order.scope.clone(), results, duration, tree: String::new() }
    }

    fn plan(rows: &[Row], changed: &str) -> Plan {
        let settings = |command: &str| Settings {
            command: command.to_owned(),
            timeout_s: 300,
            reruns: 2,
            ..Settings::default()
        };
        let suite =
            Suite::new(&settings("pytest {files}"), &Listing::default()).expect("valid").expect("configured");
        let tests: BTreeSet<String> = rows.iter().map(|row| row.file.to_owned()).collect();
        let tests: Vec<String> = tests.into_iter().collect();
        // Files whose names end in `_sees.py` import the changed one, if there are any.
        let seeing: BTreeSet<String> =
            tests.iter().filter(|file| file.ends_with("_sees.py")).cloned().collect();
        let seeing = if seeing.is_empty() { Seeing::Unknown } else { Seeing::Only(seeing) };
        Plan::new(&suite, changed, &tests, seeing)
    }

    /// Follows a plan to its end: the runs, as `B` and `A` with their files, and the verdict.
    fn follow(rows: &[Row]) -> (String, TestVerdict) {
        let plan = plan(rows, "lib.py");
        let (mut before, mut after, mut trace) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..100 {
            let order = match plan.next(&History { before: &before, after: &after }) {
                Step::Done(verdict) => return (trace.join(" "), verdict),
                Step::Run(order) => order,
            };
            let (letter, runs) = match order.side {
                Side::Before => ("B", &mut before),
                Side::After => ("A", &mut after),
            };
            let files = match &order.scope {
                Scope::All => String::new(),
                Scope::Files(files) => {
                    let stems = files.iter().map(|file| file.trim_end_matches(".py"));
                    format!(":{}", stems.collect::<Vec<_>>().join(","))
                }
            };
            trace.push(format!("{letter}{files}"));
            runs.push(run(rows, &order, runs.len()));
        }
        panic!("no end: {}", trace.join(" "));
    }

    #[track_caller]
    fn check(rows: &[Row], runs: &str, evidence: &str) {
        let (trace, verdict) = follow(rows);
        assert_eq!((trace.as_str(), verdict.to_string().as_str()), (runs, evidence));
    }

    #[test]
    fn green_stays_green() {
        check(&[row("a.py", "+", "+"), row("b.py", "+", "+")], "B A", "2 of 2 tests pass, as before");
        check(&[row("a.py", "+", "+"), row("b.py", "s", "s")], "B A", "1 of 1 test passes, as before");
    }

    #[test]
    fn what_failed_and_passes_is_run_again() {
        check(
            &[row("a.py", "+", "+"), row("b.py", "-", "+")],
            "B B:b A A:b A:b B:b",
            "2 of 2 tests pass, 1 of them failed before",
        );
        check(
            &[row("a.py", "-", "-"), row("b.py", "-", "+")],
            "B B:a,b A A:b A:b B:b",
            "1 of 2 tests passes, 1 of them failed before",
        );
    }

    #[test]
    fn what_passed_and_fails_is_run_again() {
        check(
            &[row("a.py", "+", "+"), row("b.py", "+", "-")],
            "B A A:b A:b B:b B:b",
            "`b.py::t1` fails or is gone, and passed before",
        );
        check(
            &[row("b.py", "+", "."), row("c.py", "+", "+")],
            "B A A:b A:b B:b B:b",
            "`b.py::t0` fails or is gone, and passed before",
        );
        check(
            &[row("b.py", "+", "s"), row("c.py", "+", "+")],
            "B A A:b A:b B:b B:b",
            "`b.py::t0` fails or is gone, and passed before",
        );
        // One test for another is no gain.
        check(
            &[row("a.py", "-", "+"), row("b.py", "+", "-")],
            "B B:a A A:a,b A:a,b B:a,b B:b",
            "`b.py::t1` fails or is gone, and passed before",
        );
        check(
            &[row("a.py", "+", "+"), row("a.py", ".", "-")],
            "B A A:a A:a B:a B:a",
            "`a.py::t1` fails or is gone, and passed before",
        );
    }

    #[test]
    fn nothing_fixed_is_nothing_gained() {
        check(&[row("a.py", "-", "-"), row("b.py", "+", "+")], "B B:a A", "1 of 2 tests fails, as before");
        check(&[row("a.py", "-", "s")], "B B:a A", "1 of 1 test fails, as before");
        check(
            &[row("a.py", "!", "!"), row("b.py", "+", "+")],
            "B B:a A",
            "1 file of tests cannot be loaded, as before",
        );
    }

    #[test]
    fn unstable_tests_do_not_count() {
        // It fails on both sides at first: only the second run before shows it.
        check(
            &[row("a.py", "+", "+"), row("b.py", "-+", "-")],
            "B B:b A",
            "`b.py::t1` does not give the same result each time",
        );
        check(
            &[row("a.py", "+", "+"), row("b.py", "+", "-+")],
            "B A A:b",
            "`b.py::t1` does not give the same result each time",
        );
        check(
            &[row("a.py", "+", "+"), row("b.py", "--+", "+")],
            "B B:b A A:b A:b B:b",
            "`b.py::t1` does not give the same result each time",
        );
        check(
            &[row("a.py", "-", "+"), row("b.py", "+", "-+")],
            "B B:a A A:a,b A:a B:a",
            "1 of 1 test passes, it failed before; 1 unstable test does not count",
        );
        // Names that change with each run.
        check(
            &[row("a.py", "+", "+"), row("b.py", "+..", "..+"), row("b.py", ".++", "++.")],
            "B A A:b A:b",
            "`b.py::t1` and 1 more do not give the same result each time",
        );
    }

    #[test]
    fn what_could_not_be_loaded_runs_now() {
        let broken = |after: &str| [row("a.py", "!", "+"), row("a.py", ".", after), row("b.py", "+", "+")];
        check(&broken("+"), "B B:a A A:a", "3 of 3 tests pass, 1 file of tests could not be loaded before");
        check(
            &broken("-"),
            "B B:a A A:a A:a",
            "2 of 3 tests pass, 1 file of tests could not be loaded before; 1 of those that run now fails",
        );
        check(
            &broken("-+"),
            "B B:a A A:a",
            "2 of 2 tests pass, 1 file of tests could not be loaded before; 1 unstable test does not count",
        );
        check(
            &[row("a.py", "+", "!")],
            "B A A:a A:a B:a B:a",
            "`a.py::load` and 1 more fail or are gone, and passed before",
        );
    }

    #[test]
    fn runs_without_an_end() {
        check(&[row("a.py", "x", "x")], "B B A", "the tests were ended by signal 11, as before");
        check(&[row("a.py", "+", "x")], "B A A B", "the tests were ended by signal 11, and did not before");
        check(&[row("a.py", "x", "+")], "B B A A", "1 of 1 test passes, they did not come to an end before");
        check(&[row("a.py", "x+", "+")], "B B A", "the tests do not give the same result each time");
        check(
            &[row("a.py", "+", "+"), row("b.py", "-", "+x+")],
            "B B:b A A:b A:b B:b",
            "the tests do not give the same result each time",
        );
        check(&[row("a.py", "~", "~")], "B A", "the tests take longer than 300 s, as before");
        check(&[row("a.py", "+", "~")], "B A", "the tests take longer than 15 s, and did not before");
        check(&[row("a.py", "~", "+")], "B A A B", "1 of 1 test passes, they did not come to an end before");
    }

    #[test]
    fn no_tests_prove_nothing() {
        check(&[], "B", "there are no tests");
        check(&[row("a.py", "s", "s"), row("a.py", "s", "s")], "B", "no test ran, 2 were skipped");
        check(&[row("a.py", "!", "s")], "B B:a A A:a", "no test ran, 1 was skipped");
        check(
            &[row("a.py", "+", ".")],
            "B A A:a A:a B:a B:a",
            "`a.py::t0` fails or is gone, and passed before",
        );
    }

    #[test]
    fn tests_that_see_the_file_come_first() {
        let rows = |sees: [&str; 2], other: [&str; 2]| {
            [row("a_sees.py", sees[0], sees[1]), row("b.py", other[0], other[1]), row("c.py", "+", "+")]
        };
        check(&rows(["+", "+"], ["+", "+"]), "B:a_sees A:a_sees B A", "3 of 3 tests pass, as before");
        // No need to run the others.
        check(
            &rows(["+", "-"], ["+", "+"]),
            "B:a_sees A:a_sees A:a_sees A:a_sees B:a_sees B:a_sees",
            "`a_sees.py::t0` fails or is gone, and passed before",
        );
        check(&rows(["-", "-"], ["+", "+"]), "B:a_sees B:a_sees A:a_sees", "1 of 1 test fails, as before");
        check(
            &rows(["-", "+"], ["+", "+"]),
            "B:a_sees B:a_sees A:a_sees A:a_sees A:a_sees B:a_sees B A",
            "3 of 3 tests pass, 1 of them failed before",
        );
        check(
            &rows(["-", "+"], ["+", "-"]),
            "B:a_sees B:a_sees A:a_sees A:a_sees A:a_sees B:a_sees B A A:b A:b B:b B:b",
            "`b.py::t1` fails or is gone, and passed before",
        );
    }

    #[track_caller]
    fn check_known(changed: &str, seeing: Seeing, evidence: &str) {
        let suite = Suite::new(
            &Settings { command: "pytest".to_owned(), timeout_s: 1, reruns: 1, ..Settings::default() },
            &Listing::default(),
        );
        let suite = suite.expect("valid").expect("configured");
        let plan = Plan::new(&suite, changed, &[], seeing);
        let Step::Done(verdict) = plan.next(&History { before: &[], after: &[] }) else {
            panic!("nothing is to run")
        };
        assert_eq!((verdict.to_string().as_str(), verdict.standing()), (evidence, Standing::Neutral));
    }

    #[test]
    fn some_things_are_known_without_a_run() {
        check_known(
            "tests/helper.py",
            Seeing::Unknown,
            "`tests/helper.py` belongs to the tests, so they prove nothing",
        );
        check_known(
            "conftest.py",
            Seeing::Unknown,
            "`conftest.py` belongs to the tests, so they prove nothing",
        );
        check_known("lib.py", Seeing::Only(BTreeSet::new()), "no test imports `lib.py`");
    }

    /// Whatever tests do, a plan ends, and only what is the same in all runs counts.
    #[test]
    fn every_plan_ends() {
        let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut draw = |n: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).expect("31 bits") % n
        };
        let files = ["a_sees.py", "b.py", "c.py", "d.py", ""];
        for _ in 0..3000 {
            let rows: Vec<Row> = (0..draw(5))
                .map(|_| {
                    let mut marks = || -> String {
                        (0..=draw(3))
                            .map(|_| ["+", "+", "+", "-", "-", "s", ".", "!", "x", "~"][draw(10)])
                            .collect()
                    };
                    let (before, after) = (marks(), marks());
                    row(files[draw(files.len())], &before, &after)
                })
                .collect();
            let (_, verdict) = follow(&rows);
            let never_red = rows.iter().all(|row| row.before.chars().all(|mark| mark == '+'));
            assert!(!(never_red && verdict.standing() == Standing::For), "{rows:?}: {verdict}");
            let never_bad = rows.iter().all(|row| row.after.chars().all(|mark| mark == '+'));
            assert!(!(never_bad && verdict.standing() == Standing::Against), "{rows:?}: {verdict}");
        }
    }
}
