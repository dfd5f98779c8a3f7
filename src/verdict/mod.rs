//! What the runs of tests before and after a repair prove about it.

mod marks;
mod plan;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use marks::{Change, Mark, Marks, Subject, marks};
pub use plan::{Order, Plan, Side, Step};

use crate::diagnose::counted;
use crate::results::{Failure, Fault, Results, TestId, TestOutcome};
use crate::suite::Scope;

/// One run of tests, with or without the repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub scope: Scope,
    pub results: Result<Results, Fault>,
    pub duration: Duration,
    /// The folder it was in, as tracebacks name it.
    pub tree: String,
}

impl Run {
    /// What its tests said where they failed.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        let listed = match &self.results {
            Ok(Results::Listed { tests, errors }) => Some((tests, errors)),
            _ => None,
        };
        listed.into_iter().flat_map(|(tests, errors)| {
            let failed = tests.values().filter_map(|outcome| match outcome {
                TestOutcome::Failed(failure) => Some(failure),
                TestOutcome::Passed | TestOutcome::Skipped => None,
            });
            failed.chain(errors.values())
        })
    }
}

/// What tests say without a repair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// Those that ran; 0 where tests are not listed.
    pub n_tests: usize,
    /// Those that failed each time.
    pub failing: Vec<TestId>,
    /// What kept tests from being collected.
    pub errors: Vec<TestId>,
    /// Whether a run failed without saying which test did.
    pub is_red: bool,
    /// What is known of every repair, whatever it is.
    pub hopeless: Option<TestVerdict>,
}

impl Baseline {
    pub fn of(runs: &[Run]) -> Self {
        let mut baseline = Self::default();
        let mut failed: BTreeMap<&TestId, bool> = BTreeMap::new();
        for run in runs {
            match &run.results {
                Ok(Results::Listed { tests, errors }) => {
                    for (id, outcome) in tests {
                        let is_failed = matches!(outcome, TestOutcome::Failed(_));
                        *failed.entry(id).or_insert(true) &= is_failed;
                    }
                    baseline.errors.extend(errors.keys().cloned());
                }
                Ok(Results::Unlisted { passed }) => baseline.is_red |= !passed,
                Err(_) => baseline.is_red = true,
            }
        }
        baseline.n_tests = failed.len();
        baseline.failing =
            failed.into_iter().filter(|(_, failed)| *failed).map(|(id, _)| id.clone()).collect();
        baseline.errors.sort();
        baseline.errors.dedup();
        baseline
    }

    /// Whether all that fails here fails there, too.
    pub fn adds_nothing_to(&self, other: &Self) -> bool {
        let is_in = |ids: &[TestId], others: &[TestId]| ids.iter().all(|id| others.contains(id));
        (!self.is_red || other.is_red)
            && is_in(&self.failing, &other.failing)
            && is_in(&self.errors, &other.errors)
    }

    /// Whether nothing fails.
    pub fn is_green(&self) -> bool {
        self.failing.is_empty() && self.errors.is_empty() && !self.is_red
    }
}

/// In one sentence, such as ``1 of 3 tests fails: `test_lib.py::test_add` ``.
impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(verdict) = &self.hopeless {
            return write!(f, "{verdict}");
        }
        let tally = Tally {
            n_tests: self.n_tests,
            n_passed: self.n_tests - self.failing.len(),
            n_unloaded: self.errors.len(),
            is_listed: self.n_tests > 0 || !self.errors.is_empty(),
            ..Tally::default()
        };
        if self.is_green() {
            return f.write_str(&tally.passing());
        }
        f.write_str(&tally.failing())?;
        match named(&self.failing).or_else(|| named(&self.errors)) {
            Some(tests) => write!(f, ": {tests}"),
            None => Ok(()),
        }
    }
}

/// All runs so far. Those before a repair serve for each repair of the same file.
#[derive(Clone, Copy, Debug)]
pub struct History<'h> {
    pub before: &'h [Run],
    pub after: &'h [Run],
}

/// What tests say about a repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestVerdict {
    /// Something that failed passes, nothing that passed fails.
    Improved(Tally),
    /// What kept tests from running is gone, but some of those that run now fail.
    Partial(Tally),
    /// All tests pass, as before.
    Unchanged(Tally),
    /// What failed fails still.
    BaselineRed(Tally),
    /// Tests fail or are gone that passed before.
    Regressed {
        tests: Vec<TestId>,
        tally: Tally,
    },
    /// Tests that pass at times and fail at times are all that differs, or runs do not always come to their end.
    Unstable {
        tests: Vec<TestId>,
        tally: Tally,
    },
    /// No test ran.
    NoTests(NoTests),
    /// The tests did not come to their end.
    Crashed {
        fault: Fault,
        was_so: bool,
    },
    TimedOut {
        limit: Duration,
        was_so: bool,
    },
    /// The repair is one of the tests themselves, or of what says how they are run.
    EditsTests {
        file: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoTests {
    /// There are none, or all of them are skipped.
    Ran { n_skipped: usize },
    /// There are some, but none imports the file.
    Seeing { file: String },
}

/// Whether a verdict speaks for a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Against,
    Neutral,
    For,
}

/// How many tests there are of each kind, but for unstable ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that ran, or should have, with the repair.
    pub n_tests: usize,
    pub n_passed: usize,
    /// Those that failed before and pass now.
    pub n_fixed: usize,
    /// What could not be collected before and can be now: files, for the most part.
    pub n_loaded: usize,
    /// What can still not be collected.
    pub n_unloaded: usize,
    /// Whether the tests came to no end before, and do now.
    pub ends_now: bool,
    /// Tests that are not the same in all runs of one side. They do not count.
    pub n_unstable: usize,
    /// Whether the tests are listed; if not, all of them are one.
    pub is_listed: bool,
}

impl TestVerdict {
    pub fn standing(&self) -> Standing {
        match self {
            TestVerdict::Improved(_) => Standing::For,
            TestVerdict::Regressed { .. }
            | TestVerdict::Crashed { was_so: false, .. }
            | TestVerdict::TimedOut { was_so: false, .. } => Standing::Against,
            _ => Standing::Neutral,
        }
    }

    /// How many tests pass with the repair, where they were counted and nothing speaks against it.
    pub fn n_passed(&self) -> usize {
        match self {
            TestVerdict::Improved(tally)
            | TestVerdict::Partial(tally)
            | TestVerdict::Unchanged(tally)
            | TestVerdict::BaselineRed(tally) => tally.n_passed,
            _ => 0,
        }
    }

    /// Whether something failed before, and nothing fails any more.
    pub fn is_all_green(&self) -> bool {
        matches!(self, TestVerdict::Improved(tally) if tally.n_passed == tally.n_tests && tally.n_unloaded == 0)
    }

    /// In a word, for JSON.
    pub fn name(&self) -> &'static str {
        match self {
            TestVerdict::Improved(_) => "improved",
            TestVerdict::Partial(_) => "partial",
            TestVerdict::Unchanged(_) => "unchanged",
            TestVerdict::BaselineRed(_) => "baseline-red",
            TestVerdict::Regressed { .. } => "regressed",
            TestVerdict::Unstable { .. } => "unstable",
            TestVerdict::NoTests(_) => "no-tests",
            TestVerdict::Crashed { .. } => "crashed",
            TestVerdict::TimedOut { .. } => "timed-out",
            TestVerdict::EditsTests { .. } => "edits-tests",
        }
    }
}

/// The evidence in one sentence, such as `41 of 41 tests pass, 2 of them failed before`.
impl fmt::Display for TestVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let as_before = |was_so: &bool| if *was_so { ", as before" } else { ", and did not before" };
        match self {
            TestVerdict::Improved(tally) => f.write_str(&tally.improvement()),
            TestVerdict::Partial(tally) => {
                let n_red = tally.n_tests - tally.n_passed;
                let verb = if n_red == 1 { "fails" } else { "fail" };
                write!(f, "{}; {n_red} of those that run now {verb}", tally.improvement())
            }
            TestVerdict::Unchanged(tally) => write!(f, "{}, as before{}", tally.passing(), tally.unstable()),
            TestVerdict::BaselineRed(tally) => {
                write!(f, "{}, as before{}", tally.failing(), tally.unstable())
            }
            TestVerdict::Regressed { tests, tally } => {
                let verb = if tests.len() == 1 { "fails or is gone" } else { "fail or are gone" };
                match named(tests) {
                    Some(tests) => write!(f, "{tests} {verb}, and passed before{}", tally.unstable()),
                    None => f.write_str("the tests fail, and passed before"),
                }
            }
            TestVerdict::Unstable { tests, .. } => {
                let subject = named(tests).unwrap_or_else(|| "the tests".to_owned());
                let verb = if tests.len() == 1 { "does" } else { "do" };
                write!(f, "{subject} {verb} not give the same result each time")
            }
            TestVerdict::NoTests(NoTests::Ran { n_skipped: 0 }) => f.write_str("there are no tests"),
            TestVerdict::NoTests(NoTests::Ran { n_skipped }) => {
                write!(f, "no test ran, {n_skipped} {} skipped", if *n_skipped == 1 { "was" } else { "were" })
            }
            TestVerdict::NoTests(NoTests::Seeing { file }) => write!(f, "no test imports `{file}`"),
            TestVerdict::Crashed { fault, was_so } => write!(f, "{fault}{}", as_before(was_so)),
            TestVerdict::TimedOut { limit, was_so } => {
                write!(f, "the tests take longer than {} s{}", limit.as_secs_f32().ceil(), as_before(was_so))
            }
            TestVerdict::EditsTests { file } => {
                write!(f, "`{file}` belongs to the tests, so they prove nothing")
            }
        }
    }
}

/// The first of some tests, and how many more there are.
fn named(tests: &[TestId]) -> Option<String> {
    let first = tests.first()?;
    Some(match tests.len() {
        1 => format!("`{first}`"),
        2 => format!("`{first}` and 1 more"),
        n_tests => format!("`{first}` and {} more", n_tests - 1),
    })
}

impl Tally {
    fn passing(&self) -> String {
        if !self.is_listed {
            return "the tests pass".to_owned();
        }
        format!(
            "{} of {} {}",
            self.n_passed,
            self.n_tests,
            tests_do(self.n_tests, self.n_passed, ["passes", "pass"])
        )
    }

    fn failing(&self) -> String {
        let n_red = self.n_tests - self.n_passed;
        let noun = tests_do(self.n_tests, n_red, ["fails", "fail"]);
        match (self.is_listed, n_red, self.n_unloaded) {
            (false, ..) => "the tests fail".to_owned(),
            (true, 0, n_unloaded) => format!("{} of tests cannot be loaded", counted(n_unloaded, "file")),
            (true, _, 0) => format!("{n_red} of {} {noun}", self.n_tests),
            (true, _, n_unloaded) => {
                format!(
                    "{n_red} of {} {noun} and {} cannot be loaded",
                    self.n_tests,
                    counted(n_unloaded, "file")
                )
            }
        }
    }

    /// What passes, and what was wrong with it before.
    fn improvement(&self) -> String {
        if !self.is_listed {
            return "the tests pass, and failed before".to_owned();
        }
        let mut before = Vec::new();
        match self.n_fixed {
            0 => {}
            1 if self.n_tests == 1 => before.push("it failed before".to_owned()),
            n_fixed if n_fixed == self.n_tests => before.push("all of them failed before".to_owned()),
            n_fixed => before.push(format!("{n_fixed} of them failed before")),
        }
        if self.n_loaded > 0 {
            before.push(format!("{} of tests could not be loaded before", counted(self.n_loaded, "file")));
        }
        if before.is_empty() && self.ends_now {
            before.push("they did not come to an end before".to_owned());
        }
        format!("{}, {}{}", self.passing(), before.join(", "), self.unstable())
    }

    fn unstable(&self) -> String {
        match self.n_unstable {
            0 => String::new(),
            1 => "; 1 unstable test does not count".to_owned(),
            n_unstable => format!("; {n_unstable} unstable tests do not count"),
        }
    }
}

/// `test passes`, `tests pass`, and `tests passes` behind `1 of 2`.
fn tests_do(n_tests: usize, n_doing: usize, [one, many]: [&str; 2]) -> String {
    format!("{} {}", if n_tests == 1 { "test" } else { "tests" }, if n_doing == 1 { one } else { many })
}

/// What all runs together say.
fn judge(history: &History) -> TestVerdict {
    let marks = marks(history);
    let changes: BTreeMap<&Subject, Change> =
        marks.iter().map(|(subject, marks)| (subject, marks.change())).collect();
    if let Some(verdict) = no_end(history, &changes) {
        return verdict;
    }
    let tally = tally(history, &changes);
    let is = |wanted: Change| {
        let tests = changes.iter().filter(move |(_, change)| **change == wanted);
        tests.map(|(subject, _)| *subject)
    };
    let ids = |subjects: &mut dyn Iterator<Item = &Subject>| -> Vec<TestId> {
        let id = |subject: &Subject| match subject {
            Subject::Run(_) => None,
            Subject::Load(id) | Subject::Test(id) => Some((*id).clone()),
        };
        subjects.filter_map(id).collect()
    };
    let was_unloaded = was_unloaded(&marks);
    let regressed = is(Change::Regressed).chain(is(Change::NewRed).filter(|_| !was_unloaded));
    let mut regressed = regressed.peekable();
    if regressed.peek().is_some() {
        return TestVerdict::Regressed { tests: ids(&mut regressed), tally };
    }
    if is(Change::Flaky).any(|subject| matches!(subject, Subject::Run(_))) {
        return TestVerdict::Unstable { tests: Vec::new(), tally };
    }
    if tally.n_passed == 0 && is(Change::Fixed).next().is_some() && is(Change::NewRed).next().is_none() {
        return TestVerdict::NoTests(NoTests::Ran { n_skipped: n_skipped(&marks) });
    }
    if is(Change::Fixed).next().is_some() {
        let is_partial = is(Change::NewRed).next().is_some();
        return if is_partial { TestVerdict::Partial(tally) } else { TestVerdict::Improved(tally) };
    }
    if is(Change::Red).next().is_some() {
        return TestVerdict::BaselineRed(tally);
    }
    if is(Change::Flaky).next().is_some() {
        return TestVerdict::Unstable { tests: ids(&mut is(Change::Flaky)), tally };
    }
    if tally.n_passed == 0 {
        return TestVerdict::NoTests(NoTests::Ran { n_skipped: n_skipped(&marks) });
    }
    TestVerdict::Unchanged(tally)
}

/// The verdict when the tests do not come to their end with the repair.
fn no_end(history: &History, changes: &BTreeMap<&Subject, Change>) -> Option<TestVerdict> {
    for (subject, change) in changes {
        let (Subject::Run(scope), Change::Red | Change::Regressed | Change::NewRed) = (subject, change)
        else {
            continue;
        };
        let faulty = |run: &&Run| run.scope == **scope && run.results.is_err();
        let Some(Run { results: Err(fault), .. }) = history.after.iter().find(faulty) else { continue };
        let was_so = history.before.iter().any(|run| faulty(&run));
        return Some(match fault {
            Fault::TimedOut { limit } => TestVerdict::TimedOut { limit: *limit, was_so },
            fault => TestVerdict::Crashed { fault: fault.clone(), was_so },
        });
    }
    None
}

fn n_skipped(marks: &BTreeMap<Subject, Marks>) -> usize {
    let is_skipped =
        |marks: &&Marks| marks.before.iter().chain(&marks.after).any(|mark| *mark == Mark::Skipped);
    marks.values().filter(is_skipped).count()
}

/// Whether something kept tests from being collected before the repair.
fn was_unloaded(marks: &BTreeMap<Subject, Marks>) -> bool {
    let is_bad = |mark: &Mark| *mark == Mark::Failed;
    marks
        .iter()
        .any(|(subject, marks)| !matches!(subject, Subject::Test(_)) && marks.before.iter().any(is_bad))
}

fn tally(history: &History, changes: &BTreeMap<&Subject, Change>) -> Tally {
    let is_listed = |run: &Run| matches!(run.results, Ok(Results::Listed { .. }));
    let mut tally = Tally { is_listed: history.after.iter().any(is_listed), ..Tally::default() };
    for (subject, change) in changes {
        let is_test = matches!(subject, Subject::Test(_)) || !tally.is_listed;
        match (change, is_test) {
            (Change::Flaky, _) => tally.n_unstable += usize::from(!matches!(subject, Subject::Run(_))),
            (Change::Green | Change::NewGreen | Change::Fixed, true) => {
                tally.n_tests += 1;
                tally.n_passed += 1;
                tally.n_fixed += usize::from(*change == Change::Fixed);
            }
            (Change::Red | Change::NewRed | Change::Regressed, true) => tally.n_tests += 1,
            (Change::Fixed, false) if matches!(subject, Subject::Run(_)) => tally.ends_now = true,
            (Change::Fixed, false) => tally.n_loaded += 1,
            (Change::Red, false) => tally.n_unloaded += 1,
            _ => {}
        }
    }
    tally
}
