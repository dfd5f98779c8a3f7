//! Examples of what a program answers, as its tests: each candidate is run on them in the sandbox.

use std::fs;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sandbox::Guarded;
use crate::ports::{Exit, Job, Runner as _, Tests};
use crate::results::TestId;
use crate::verdict::{Tally, TestVerdict};

/// What goes in, and what comes out: texts, or with a function to call JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    pub input: String,
    pub output: String,
}

/// A program's examples.
pub struct Examples {
    runner: Guarded,
    /// Those that failed before come first, so that most candidates fail at once.
    all: Vec<Example>,
    call: Option<String>,
    seconds: f64,
    n_failed_before: usize,
}

const DRIVER: &str = include_str!("examples.py");
/// How long the driver may take besides the examples.
const SLACK: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Task<'e> {
    tests: &'e [Example],
    call: Option<&'e str>,
    seconds: f64,
    stop: bool,
}

impl Examples {
    /// Runs the examples on `before` to know which fail, or takes all to fail where it does not even parse.
    ///
    /// `call` is the function that inputs are arguments of; without it they are given as stdin. Each example may take
    /// `seconds`.
    pub fn new(
        runner: Guarded,
        examples: Vec<Example>,
        call: Option<String>,
        seconds: f64,
        before: Option<&str>,
    ) -> Result<Self, String> {
        let is_name = |name: &String| name.chars().all(|c| c.is_alphanumeric() || "_.".contains(c));
        if let Some(name) = call.as_ref().filter(|name| !is_name(name)) {
            return Err(format!("`{name}` is no name of a function"));
        }
        let mut known = Self { runner, all: examples, call, seconds, n_failed_before: 0 };
        let passed = match before {
            Some(before) => known.run(before, false)?,
            None => Vec::new(),
        };
        let is_red = |at: usize| passed.get(at) != Some(&Some(true));
        let mut order: Vec<usize> = (0..known.all.len()).collect();
        order.sort_by_key(|at| (!is_red(*at), passed.get(*at) == Some(&None)));
        known.n_failed_before = order.iter().filter(|at| is_red(**at)).count();
        known.all = order.into_iter().map(|at| known.all[at].clone()).collect();
        Ok(known)
    }

    pub fn n_failed_before(&self) -> usize {
        self.n_failed_before
    }

    /// What came of each example; with `stop`, up to the first that fails.
    fn run(&self, program: &str, stop: bool) -> Result<Vec<Option<bool>>, String> {
        let fail = |error: std::io::Error| format!("no folder for the examples can be made: {error}");
        let folder = tempfile::Builder::new().prefix("lastmile-tests-").tempdir().map_err(fail)?;
        let call = self.call.as_deref();
        let task = Task { tests: &self.all, call, seconds: self.seconds, stop };
        let task = serde_json::to_string(&task).map_err(|error| error.to_string())?;
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).map_err(fail);
        write("program.py", program)?;
        write("examples.json", &task)?;
        write("examples.py", DRIVER)?;
        let n_examples = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let job = Job {
            argv: ["python3", "-s", "examples.py"].map(str::to_owned).to_vec(),
            tree: folder.path().to_owned(),
            readable: Vec::new(),
            env: [("PYTHONHASHSEED".to_owned(), "0".to_owned())].into(),
            stdin: Vec::new(),
            timeout: Duration::from_secs_f64(self.seconds) * n_examples + SLACK,
        };
        let outcome = self.runner.run(&job).map_err(|error| error.to_string())?;
        match outcome.exit {
            Exit::Code(0) => serde_json::from_slice(&outcome.stdout)
                .map_err(|error| format!("the results of the examples cannot be read: {error}")),
            Exit::Code(code) => {
                let said = String::from_utf8_lossy(&outcome.stderr);
                Err(format!("the examples could not be run (exit status {code}): {}", said.trim_end()))
            }
            // Too slow, too large, too many: the candidate's doing.
            _ => Ok(vec![None]),
        }
    }

    fn verdict(&self, results: &[Option<bool>]) -> TestVerdict {
        let n_tests = self.all.len();
        let n_good = results.iter().take_while(|passed| **passed == Some(true)).count();
        let tally = |n_passed: usize| Tally { n_tests, n_passed, is_listed: true, ..Tally::default() };
        if n_good < n_tests {
            let id = TestId { name: format!("example {}", n_good + 1), ..TestId::default() };
            return if n_good < self.n_failed_before {
                TestVerdict::BaselineRed(tally(n_tests - self.n_failed_before))
            } else {
                TestVerdict::Regressed { tests: vec![id], tally: tally(n_good) }
            };
        }
        if self.n_failed_before == 0 {
            return TestVerdict::Unchanged(tally(n_tests));
        }
        TestVerdict::Improved(Tally { n_fixed: self.n_failed_before, ..tally(n_tests) })
    }
}

impl Tests for Examples {
    fn width(&self) -> usize {
        thread::available_parallelism().map_or(1, usize::from)
    }

    fn judge(&mut self, afters: &[&str]) -> Result<Vec<TestVerdict>, String> {
        let examples = &*self;
        let results = thread::scope(|scope| {
            let runs: Vec<_> =
                afters.iter().map(|after| scope.spawn(move || examples.run(after, true))).collect();
            let ended =
                runs.into_iter().map(|run| run.join().unwrap_or_else(|_| Err("a thread died".to_owned())));
            ended.collect::<Vec<_>>()
        });
        results.into_iter().map(|result| Ok(self.verdict(&result?))).collect()
    }
}
