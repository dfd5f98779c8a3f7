//! What a run of tests said: its output in, one outcome for each test out.

mod junit;
mod suspects;
mod tap;
mod unittest;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use junit::{JunitError, MAX_BYTES};
pub use suspects::{Frame, suspects};

use crate::ports::{Exit, Outcome};
use crate::suite::modules::Modules;

/// How a run of tests tells its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JUnit XML and the exit status as pytest means them.
    Pytest,
    /// JUnit XML of any other program.
    Junit,
    /// What Python's unittest prints with `-v`.
    Unittest,
    /// The Test Anything Protocol on stdout.
    Tap,
    /// Zero is good, anything else is not.
    ExitStatus,
}

/// One test, by names that stay when the run is repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TestId {
    /// Relative, with `/`; empty when it is not known.
    pub file: String,
    /// Dotted; empty for a plain function.
    pub class: String,
    /// With the parameters, as the framework writes them.
    pub name: String,
}

impl TestId {
    /// The test called `name` in something dotted, a class or a module.
    pub(crate) fn within(dotted: &str, name: &str, modules: &Modules) -> Self {
        let (file, class) = modules.locate(dotted).unwrap_or(("", dotted));
        Self { file: file.to_owned(), class: class.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for TestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Where the file is known, the rest is classes of Python in each other.
        let class = if self.file.is_empty() { self.class.clone() } else { self.class.replace('.', "::") };
        let parts = [self.file.as_str(), &class, &self.name];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        f.write_str(&parts.join("::"))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestOutcome {
    Passed,
    /// Left out by the project, or expected to fail.
    Skipped,
    Failed(Failure),
}

/// What a test said when it failed. Neither part is to be trusted to be short or printable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    pub message: String,
    /// The end of it, with the traceback.
    pub text: String,
}

/// What a run of tests said about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Results {
    Listed {
        tests: BTreeMap<TestId, TestOutcome>,
        /// What kept tests from being collected: files that cannot be imported, classes that cannot be set up.
        errors: BTreeMap<TestId, Failure>,
    },
    /// Only whether all is well.
    Unlisted { passed: bool },
}

impl Results {
    /// The same without the folder that the tests ran in, which is another one each time: Pester names files in full.
    #[must_use]
    pub fn relative_to(self, tree: &str) -> Self {
        let Results::Listed { tests, errors } = self else { return self };
        let part = |text: String| {
            if text.contains(tree) {
                text.replace(tree, "").trim_start_matches(['/', '\\']).to_owned()
            } else {
                text
            }
        };
        let id = |id: TestId| TestId { file: part(id.file), class: part(id.class), name: part(id.name) };
        Results::Listed {
            tests: tests.into_iter().map(|(test, outcome)| (id(test), outcome)).collect(),
            errors: errors.into_iter().map(|(error, failure)| (id(error), failure)).collect(),
        }
    }

    /// Adds a test. Where it was there already, as tests are that fail and cannot be torn down, the worst stays.
    fn add(tests: &mut BTreeMap<TestId, TestOutcome>, id: TestId, outcome: TestOutcome) {
        let rank = |outcome: &TestOutcome| match outcome {
            TestOutcome::Passed => 0,
            TestOutcome::Skipped => 1,
            TestOutcome::Failed(_) => 2,
        };
        match tests.get_mut(&id) {
            Some(known) if rank(known) >= rank(&outcome) => {}
            Some(known) => *known = outcome,
            None => {
                tests.insert(id, outcome);
            }
        }
    }
}

/// Why a run of tests says nothing about single tests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the tests took longer than {} s", limit.as_secs_f32().ceil())]
    TimedOut { limit: Duration },

    #[error("the tests were ended by signal {signal}")]
    Killed { signal: i32 },

    #[error("the tests were ended, since they used too much or too many: {what}")]
    TooMuch { what: &'static str },

    #[error("the tests stopped half-way (exit status {code}){said}")]
    Stopped { code: i32, said: Said },

    #[error("the results of the tests cannot be read: {reason}")]
    Unreadable { reason: String },
}

/// The last line that a program printed, cleaned for a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said(String);

impl Said {
    fn of(outcome: &Outcome) -> Self {
        let [err, out] = [&outcome.stderr, &outcome.stdout].map(|bytes| String::from_utf8_lossy(bytes));
        let line = last_line(&err).or_else(|| last_line(&out)).unwrap_or_default();
        Self(line.chars().filter(|c| !c.is_control()).take(160).collect())
    }
}

fn last_line(text: &str) -> Option<&str> {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty())
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

/// What a run said. `file` is what it wrote into its results file, `modules` are the files that hold tests.
pub fn read(
    format: Format,
    outcome: &Outcome,
    file: Option<&[u8]>,
    modules: &Modules,
) -> Result<Results, Fault> {
    let code = match outcome.exit {
        Exit::TimedOut => return Err(Fault::TimedOut { limit: outcome.duration }),
        Exit::TooManyProcesses => return Err(Fault::TooMuch { what: "processes" }),
        Exit::TooMuchMemory => return Err(Fault::TooMuch { what: "memory" }),
        Exit::Signal(signal) => return Err(Fault::Killed { signal }),
        // So does a shell or `make` pass on that a signal ended the tests.
        Exit::Code(code @ 129..=159) => return Err(Fault::Killed { signal: code - 128 }),
        Exit::Code(code) => code,
    };
    let stopped = || Fault::Stopped { code, said: Said::of(outcome) };
    match format {
        Format::Pytest => pytest(code, file, modules).map_err(|error| error.unwrap_or_else(stopped)),
        Format::Junit => match file {
            Some(file) => junit::read(file, modules).map_err(unreadable),
            None => Err(stopped()),
        },
        Format::Unittest => {
            let text = String::from_utf8_lossy(&outcome.stderr);
            let results = unittest::read(&text, modules).ok_or_else(stopped)?;
            let is_good = code == 0 || code == 5;
            if is_good || has_failures(&results) { Ok(results) } else { Err(stopped()) }
        }
        Format::Tap => tap::read(&String::from_utf8_lossy(&outcome.stdout)).map_err(unreadable),
        // A shell's way to say that there is no such program.
        Format::ExitStatus if code == 126 || code == 127 => Err(stopped()),
        Format::ExitStatus => Ok(Results::Unlisted { passed: code == 0 }),
    }
}

fn unreadable(error: impl fmt::Display) -> Fault {
    Fault::Unreadable { reason: error.to_string() }
}

/// Reads what pytest wrote, in the light of its exit status; `Err(None)` when it did not come to an end.
///
/// 0 and 1 say that all tests ran, 5 that there were none. 2, 3 and 4 say that pytest was interrupted, failed itself
/// or was called in a wrong way, so that what it listed is not all; but a run that 2 ended because files could not be
/// imported says which.
fn pytest(code: i32, file: Option<&[u8]>, modules: &Modules) -> Result<Results, Option<Fault>> {
    if !matches!(code, 0 | 1 | 2 | 5) {
        return Err(None);
    }
    let results = junit::read(file.ok_or(None)?, modules).map_err(|error| Some(unreadable(error)))?;
    let is_whole = match &results {
        Results::Listed { tests, errors } => match code {
            0 => !has_failures(&results),
            2 => tests.is_empty() && !errors.is_empty(),
            _ => true,
        },
        Results::Unlisted { .. } => true,
    };
    if is_whole { Ok(results) } else { Err(None) }
}

fn has_failures(results: &Results) -> bool {
    match results {
        Results::Listed { tests, errors } => {
            !errors.is_empty() || tests.values().any(|outcome| matches!(outcome, TestOutcome::Failed(_)))
        }
        Results::Unlisted { passed } => !passed,
    }
}

/// The last `n` bytes of a text, or a few less.
fn tail(text: &str, n: usize) -> &str {
    let mut start = text.len().saturating_sub(n);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREEN: &str = "<testsuite><testcase classname='test_a' name='t'/></testsuite>";
    const RED: &str = "<testsuite><testcase classname='test_a' name='t'><failure/></testcase></testsuite>";
    const BROKEN: &str = "<testsuite><testcase classname='' name='test_a'>\
                          <error message='collection failure'/></testcase></testsuite>";

    #[track_caller]
    fn check(format: Format, exit: Exit, file: Option<&str>, expected: &str) {
        let outcome = Outcome {
            exit,
            stdout: b"ok 1\n1..1\n".to_vec(),
            stderr: b"oh\x1b no\n\n".to_vec(),
            duration: Duration::from_millis(1500),
        };
        let found = match read(format, &outcome, file.map(str::as_bytes), &Modules::default()) {
            Ok(Results::Unlisted { passed }) => format!("unlisted {passed}"),
            Ok(Results::Listed { tests, errors }) => {
                format!("{} tests, {} errors", tests.len(), errors.len())
            }
            Err(fault) => fault.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn the_exit_status_of_pytest_counts() {
        use Format::Pytest;
        check(Pytest, Exit::Code(0), Some(GREEN), "1 tests, 0 errors");
        check(Pytest, Exit::Code(1), Some(RED), "1 tests, 0 errors");
        // A plugin may ask for more than the tests do: for coverage, say.
        check(Pytest, Exit::Code(1), Some(GREEN), "1 tests, 0 errors");
        check(Pytest, Exit::Code(2), Some(BROKEN), "0 tests, 1 errors");
        check(Pytest, Exit::Code(5), Some("<testsuites/>"), "0 tests, 0 errors");
        for code in 2..5 {
            let stopped = format!("the tests stopped half-way (exit status {code}): oh no");
            check(Pytest, Exit::Code(code), Some(GREEN), &stopped);
        }
        // `os._exit(0)` in a test.
        check(Pytest, Exit::Code(0), None, "the tests stopped half-way (exit status 0): oh no");
        check(Pytest, Exit::Code(0), Some(RED), "the tests stopped half-way (exit status 0): oh no");
        check(
            Pytest,
            Exit::Code(1),
            Some("<testsuite>"),
            "the results of the tests cannot be read: the XML ends too early",
        );
    }

    #[test]
    fn the_folder_of_a_copy_is_in_no_name() {
        let xml = b"<testsuite><testcase classname='/tmp/x/tree/sub/a.Tests.ps1' name='C:/tmp/x/tree'/></testsuite>";
        let results = junit::read(xml, &Modules::default()).expect("valid").relative_to("/tmp/x/tree");
        let Results::Listed { tests, .. } = results else { panic!("they are listed") };
        assert_eq!(tests.keys().map(ToString::to_string).collect::<Vec<_>>(), ["sub/a.Tests.ps1::C:"]);
    }

    #[test]
    fn what_ends_a_run_is_told() {
        check(Format::ExitStatus, Exit::Code(0), None, "unlisted true");
        check(Format::ExitStatus, Exit::Code(2), None, "unlisted false");
        check(
            Format::ExitStatus,
            Exit::Code(127),
            None,
            "the tests stopped half-way (exit status 127): oh no",
        );
        check(Format::ExitStatus, Exit::Code(139), None, "the tests were ended by signal 11");
        check(Format::Pytest, Exit::Signal(11), Some(GREEN), "the tests were ended by signal 11");
        check(Format::Tap, Exit::TimedOut, None, "the tests took longer than 2 s");
        check(Format::Tap, Exit::Code(1), None, "1 tests, 0 errors");
        check(Format::Unittest, Exit::Code(3), None, "the tests stopped half-way (exit status 3): oh no");
    }
}
