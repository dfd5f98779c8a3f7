//! Tries repairs: for each run a fresh copy, the tests in it, and what they said. The plan is made in the core.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::environment::{look, readable, text};
use super::trace;
use super::tree::{Source, Survey, TreeError, read_result, survey};
use crate::imports::{Imports, Seeing};
use crate::ports::{Exit, Job, RunError, Runner, Tests};
use crate::results::{self, Fault, Frame, MAX_BYTES};
use crate::spectrum;
use crate::suite::modules::{Modules, is_python};
use crate::suite::{RESULTS_FILE, Scope, Settings, Suite, SuiteError};
use crate::verdict::{Baseline, History, Order, Plan, Run, Side, Step, TestVerdict};

/// Why no verdict was reached. Nothing is said about the repair then.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Suite(#[from] SuiteError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("no folder for a copy can be made: {0}")]
    Folder(std::io::Error),
}

/// The tests of one state of a project.
pub struct Trial<'r> {
    runner: &'r dyn Runner,
    survey: Survey,
    /// What lies outside of the copies and tests may read.
    readable: Vec<PathBuf>,
    suite: Suite,
    /// What differs from the files on disk before any repair: what is staged, say.
    overlay: Vec<(PathBuf, Vec<u8>)>,
    /// Relative paths of all files.
    files: Vec<String>,
    imports: Imports,
    test_texts: Vec<String>,
    /// Runs without a repair, by the command that runs all tests.
    before: Mutex<BTreeMap<Vec<String>, Vec<Run>>>,
}

impl<'r> Trial<'r> {
    /// `None` when the project has no tests that could be found.
    pub fn new(
        source: &Source,
        overlay: Vec<(PathBuf, Vec<u8>)>,
        settings: &Settings,
        runner: &'r dyn Runner,
    ) -> Result<Option<Self>, TrialError> {
        let survey = survey(source)?;
        let copy = fresh_folder()?;
        let tree = copy.path().join("tree");
        survey.copy(&tree, &overlay)?;
        let listing = look(&survey, overlay.iter().map(|(path, _)| path.as_path()), &tree);
        let Some(suite) = Suite::new(settings, &listing)? else { return Ok(None) };
        let python = listing.files.iter().filter(|file| is_python(file));
        let texts: BTreeMap<String, String> =
            python.filter_map(|file| Some((file.clone(), text(&tree.join(file))?))).collect();
        let imports = Imports::new(&texts);
        let test_texts =
            texts.into_iter().filter(|(file, _)| suite.guards(file)).map(|(_, text)| text).collect();
        Ok(Some(Self {
            runner,
            readable: readable(&survey),
            survey,
            suite,
            overlay,
            files: listing.files,
            imports,
            test_texts,
            before: Mutex::default(),
        }))
    }

    pub fn suite(&self) -> &Suite {
        &self.suite
    }

    /// What the tests say about `after` as the text of the file `path`.
    pub fn judge(&self, path: &str, after: &[u8]) -> Result<TestVerdict, TrialError> {
        let (plan, modules) = self.plan(path);
        let mut with_repair = Vec::new();
        loop {
            match self.step_before(path, &plan, &modules, &with_repair)? {
                Step::Done(verdict) => return Ok(verdict),
                Step::Run(order) => {
                    let repair = (PathBuf::from(path), after.to_vec());
                    with_repair.push(self.run(path, order, Some(repair), &modules)?);
                }
            }
        }
    }

    /// Runs what is wanted without a repair, and gives what comes next. One at a time: those runs serve all repairs.
    fn step_before(
        &self,
        path: &str,
        plan: &Plan,
        modules: &Modules,
        with_repair: &[Run],
    ) -> Result<Step, TrialError> {
        let mut all = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.entry(self.suite.harness(path).all.clone()).or_default();
        loop {
            match plan.next(&History { before, after: with_repair }) {
                Step::Run(order) if order.side == Side::Before => {
                    before.push(self.run(path, order, None, modules)?);
                }
                step => return Ok(step),
            }
        }
    }

    /// What the tests that can see the file `path` say without a repair.
    pub fn baseline(&self, path: &str) -> Result<Baseline, TrialError> {
        let (plan, modules) = self.plan(path);
        let step = self.step_before(path, &plan, &modules, &[])?;
        let baseline = Baseline::of(&self.before(path));
        Ok(match step {
            Step::Run(_) => baseline,
            Step::Done(verdict) => Baseline { hopeless: Some(verdict), ..baseline },
        })
    }

    /// How a repair of a file is tried, and the files that hold tests.
    fn plan(&self, path: &str) -> (Plan, Modules) {
        let harness = self.suite.harness(path);
        let is_test = harness.test_matcher();
        let tests: Vec<String> = self.files.iter().filter(|file| is_test(file)).cloned().collect();
        let is_known = is_python(path) && !harness.tests_anywhere;
        let seeing = if is_known { self.imports.seeing(path, &tests) } else { Seeing::Unknown };
        let plan = Plan::new(&self.suite, path, &tests, seeing);
        (plan, Modules::new(tests.iter().map(String::as_str)))
    }

    /// The texts of the tests.
    pub fn test_texts(&self) -> &[String] {
        &self.test_texts
    }

    /// The command that runs all tests of a file.
    pub fn command(&self, path: &str) -> String {
        let root = self.survey.root.to_string_lossy();
        self.suite.harness(path).argv(&Scope::All, "{tree}", &root).join(" ")
    }

    /// The runs so far without a repair of this file.
    pub fn before(&self, path: &str) -> Vec<Run> {
        let all = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&self.suite.harness(path).all).cloned().unwrap_or_default()
    }

    /// Lines of the project that tests passed through when they failed without a repair, tests themselves left out.
    pub fn suspects(&self, path: &str) -> Vec<Frame> {
        let files: BTreeSet<&str> = self.files.iter().map(String::as_str).collect();
        let is_ours = |file: &str| files.contains(file) && !self.suite.guards(file);
        let before = self.before(path);
        let failures = before.iter().flat_map(|run| run.failures().map(move |failure| (run, failure)));
        failures.flat_map(|(run, failure)| results::suspects(&failure.text, &run.tree, is_ours)).collect()
    }

    /// How suspect the lines of a file of Python are, from 0 to 1: failing tests run those that are, passing ones do
    /// not. Empty where no test can be told to say which lines it runs, or where that would take too long.
    pub fn suspicions(&self, path: &str) -> BTreeMap<usize, f64> {
        let Some(order) = self.traced(path) else { return BTreeMap::new() };
        let traced = || -> Result<_, TrialError> {
            let (copy, mut job) = self.job(path, &order, None)?;
            job.env.extend(trace::prepare(&job.tree, path, &job.env)?);
            self.runner.run(&job)?;
            let told = trace::results(&job.tree)?;
            drop(copy);
            Ok(told)
        };
        // It only says where to look first.
        let tests = traced().ok().and_then(|told| spectrum::read(&told).ok()).unwrap_or_default();
        spectrum::suspicions(&tests)
    }

    /// The run that tells lines: that of the files with failing tests, with time for the slowest kind of tracing.
    fn traced(&self, path: &str) -> Option<Order> {
        let before = self.before(path);
        let slowest = before.iter().map(|run| run.duration).max().filter(|took| *took <= MAX_TRACED)?;
        let baseline = Baseline::of(&before);
        if baseline.failing.is_empty() && !baseline.is_red {
            return None;
        }
        let files: Vec<String> = baseline.failing.iter().map(|id| id.file.clone()).collect();
        let is_known = !files.is_empty() && files.iter().all(|file| !file.is_empty());
        let can_select = self.suite.harness(path).can_select();
        let scope =
            if can_select && is_known { Scope::Files(files.into_iter().collect()) } else { Scope::All };
        let timeout = (slowest * 20 + Duration::from_secs(10)).min(self.suite.timeout);
        is_python(path).then_some(Order { side: Side::Before, scope, timeout })
    }

    fn run(
        &self,
        path: &str,
        order: Order,
        repair: Option<(PathBuf, Vec<u8>)>,
        modules: &Modules,
    ) -> Result<Run, TrialError> {
        let harness = self.suite.harness(path);
        let (copy, job) = self.job(path, &order, repair)?;
        let (tree, place) = (job.tree.clone(), job.tree.to_string_lossy().into_owned());
        let outcome = self.runner.run(&job)?;
        let results = match read_result(&tree, RESULTS_FILE, MAX_BYTES as u64) {
            _ if outcome.exit == Exit::TimedOut => Err(Fault::TimedOut { limit: order.timeout }),
            Ok(file) => results::read(harness.format, &outcome, file.as_deref(), modules)
                .map(|results| results.relative_to(&place)),
            Err(error) => Err(Fault::Unreadable { reason: error.to_string() }),
        };
        drop(copy);
        Ok(Run { scope: order.scope, results, duration: outcome.duration, tree: place })
    }

    /// A fresh copy, and what runs the tests in it.
    fn job(
        &self,
        path: &str,
        order: &Order,
        repair: Option<(PathBuf, Vec<u8>)>,
    ) -> Result<(TempDir, Job), TrialError> {
        let harness = self.suite.harness(path);
        let copy = fresh_folder()?;
        let tree = copy.path().join("tree");
        let overlay: Vec<_> = self.overlay.iter().cloned().chain(repair).collect();
        self.survey.copy(&tree, &overlay)?;
        // A project may have such a file; what it says is not what these tests say.
        let _ = fs::remove_file(tree.join(RESULTS_FILE));
        let [place, root] = [&tree, &self.survey.root].map(|path| path.to_string_lossy().into_owned());
        let job = Job {
            argv: harness.argv(&order.scope, &place, &root),
            env: harness.env(&place, &root),
            tree,
            readable: self.readable.clone(),
            stdin: Vec::new(),
            timeout: order.timeout,
        };
        Ok((copy, job))
    }
}

/// Tests that take longer are not traced: that can make them slower by an order of magnitude.
const MAX_TRACED: Duration = Duration::from_secs(30);

/// A folder of its own for one copy, without links on the way: tracebacks name files by it.
fn fresh_folder() -> Result<TempDir, TrialError> {
    let place = fs::canonicalize(std::env::temp_dir()).map_err(TrialError::Folder)?;
    tempfile::Builder::new().prefix("lastmile-tests-").tempdir_in(place).map_err(TrialError::Folder)
}

/// The tests of a project, for candidates of one of its files.
pub struct OfFile<'t, 'r, 'e> {
    pub trial: &'t Trial<'r>,
    /// Relative, with `/`.
    pub path: &'t str,
    /// The bytes that a text is on disk; `None` when its encoding lacks a character.
    pub encode: &'e dyn Fn(&str) -> Option<Vec<u8>>,
}

/// Candidates that are tried at once, at most: each run may take all the memory that is allowed.
const MAX_WIDTH: usize = 8;

impl Tests for OfFile<'_, '_, '_> {
    fn width(&self) -> usize {
        thread::available_parallelism().map_or(1, usize::from).min(MAX_WIDTH)
    }

    fn judge(&mut self, afters: &[&str]) -> Result<Vec<TestVerdict>, String> {
        let encoded = afters.iter().map(|after| (self.encode)(after).ok_or("a character cannot be encoded"));
        let encoded = encoded.collect::<Result<Vec<_>, _>>()?;
        let (trial, path) = (self.trial, self.path);
        thread::scope(|scope| {
            let runs: Vec<_> =
                encoded.iter().map(|bytes| scope.spawn(move || trial.judge(path, bytes))).collect();
            let ended = runs.into_iter().map(|run| match run.join() {
                Ok(verdict) => verdict.map_err(|error| error.to_string()),
                Err(_) => Err("a thread died".to_owned()),
            });
            ended.collect()
        })
    }
}
