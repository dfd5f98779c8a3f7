//! What became of each test over several runs, before and after a repair.

use std::collections::BTreeMap;

use super::{History, Run};
use crate::results::{Results, TestId, TestOutcome};
use crate::suite::Scope;

/// Something that is good or bad in a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject<'h> {
    /// That tests in this scope come to their end; where they are not listed, that they pass.
    Run(&'h Scope),
    /// That these tests can be collected.
    Load(&'h TestId),
    Test(&'h TestId),
}

impl Subject<'_> {
    /// The file of its tests; `None` when it is not known, or all are concerned.
    pub(super) fn file(&self) -> Option<&str> {
        match self {
            Subject::Run(_) => None,
            Subject::Load(id) | Subject::Test(id) => Some(id.file.as_str()).filter(|file| !file.is_empty()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Passed,
    Failed,
    Skipped,
    /// It should have been in this run, and was not.
    Missing,
}

/// What became of a subject in all runs that it was to be in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) before: Vec<Mark>,
    pub(super) after: Vec<Mark>,
}

/// What a repair did to a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Green,
    /// Passes, and was not there before.
    NewGreen,
    Fixed,
    Red,
    /// Fails, and was not there before.
    NewRed,
    Regressed,
    Skipped,
    /// Not the same in all runs of one side.
    Flaky,
    /// Not run on both sides yet.
    Open,
}

impl Marks {
    pub(super) fn change(&self) -> Change {
        use Mark::{Failed, Missing, Passed, Skipped};
        let is_mixed = |marks: &[Mark]| marks.windows(2).any(|pair| pair[0] != pair[1]);
        let Some(after) = self.after.first() else { return Change::Open };
        if is_mixed(&self.before) || is_mixed(&self.after) {
            return Change::Flaky;
        }
        match (self.before.first().unwrap_or(&Missing), after) {
            (Passed | Skipped, Passed) => Change::Green,
            (Passed, _) | (Skipped, Failed | Missing) => Change::Regressed,
            (Failed, Passed) => Change::Fixed,
            (Failed, _) => Change::Red,
            (Missing, Passed) => Change::NewGreen,
            (Missing, Failed) => Change::NewRed,
            (Skipped | Missing, Skipped) => Change::Skipped,
            (Missing, Missing) => Change::Open,
        }
    }
}

/// The marks of everything that any run has told of.
pub(super) fn marks<'h>(history: &History<'h>) -> BTreeMap<Subject<'h>, Marks> {
    let mut marks: BTreeMap<Subject, Marks> = BTreeMap::new();
    let runs = || history.before.iter().chain(history.after);
    for run in runs() {
        for subject in told(run) {
            marks.entry(subject).or_default();
        }
    }
    for (subject, marks) in &mut marks {
        let of = |runs: &'h [Run]| runs.iter().filter_map(|run| mark(run, subject)).collect();
        *marks = Marks { before: of(history.before), after: of(history.after) };
    }
    marks
}

fn told(run: &Run) -> Vec<Subject<'_>> {
    let mut told = vec![Subject::Run(&run.scope)];
    if let Ok(Results::Listed { tests, errors }) = &run.results {
        told.extend(errors.keys().map(Subject::Load));
        told.extend(tests.keys().map(Subject::Test));
    }
    told
}

/// What a run says of a subject; `None` when it has nothing to say.
fn mark(run: &Run, subject: &Subject) -> Option<Mark> {
    let verdict = |passed: bool| if passed { Mark::Passed } else { Mark::Failed };
    if let Subject::Run(scope) = subject {
        let passed = match &run.results {
            Ok(Results::Listed { .. }) => true,
            Ok(Results::Unlisted { passed }) => *passed,
            Err(_) => false,
        };
        return (**scope == run.scope).then(|| verdict(passed));
    }
    let Ok(Results::Listed { tests, errors }) = &run.results else { return None };
    let is_due = run.scope.covers(subject.file().unwrap_or_default());
    match subject {
        Subject::Load(id) if errors.contains_key(*id) => Some(Mark::Failed),
        Subject::Load(_) => is_due.then_some(Mark::Passed),
        Subject::Test(id) => match tests.get(*id) {
            Some(TestOutcome::Passed) => Some(Mark::Passed),
            Some(TestOutcome::Skipped) => Some(Mark::Skipped),
            Some(TestOutcome::Failed(_)) => Some(Mark::Failed),
            None => is_due.then_some(Mark::Missing),
        },
        Subject::Run(_) => None,
    }
}
