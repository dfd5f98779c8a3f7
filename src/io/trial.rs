//! Tries repairs: for each run a fresh copy, the tests in it, and what they said. The plan is made in the core.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::environment::{look, readable, slashed, text};
use super::tree::{Source, Survey, TreeError, read_result, survey};
use crate::imports::{Imports, Seeing};
use crate::ports::{Exit, Job, RunError, Runner, Tests};
use crate::results::{self, Fault, Frame, MAX_BYTES};
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
    runner: &'r mut dyn Runner,
    survey: Survey,
    suite: Suite,
    /// What differs from the files on disk before any repair: what is staged, say.
    overlay: Vec<(PathBuf, Vec<u8>)>,
    /// Relative paths of all files.
    files: Vec<String>,
    imports: Imports,
    test_texts: Vec<String>,
    /// Runs without a repair, by the command that runs all tests.
    before: BTreeMap<Vec<String>, Vec<Run>>,
}

impl<'r> Trial<'r> {
    /// `None` when the project has no tests that could be found.
    pub fn new(
        source: &Source,
        overlay: Vec<(PathBuf, Vec<u8>)>,
        settings: &Settings,
        runner: &'r mut dyn Runner,
    ) -> Result<Option<Self>, TrialError> {
        let survey = survey(source)?;
        let copy = fresh_folder()?;
        let tree = copy.path().join("tree");
        survey.copy(&tree, &overlay)?;
        let mut listing = look(&survey, &tree);
        for (path, _) in &overlay {
            let path = slashed(path).filter(|path| !listing.files.contains(path));
            listing.files.extend(path);
        }
        let Some(suite) = Suite::new(settings, &listing)? else { return Ok(None) };
        let python = listing.files.iter().filter(|file| is_python(file));
        let texts: BTreeMap<String, String> =
            python.filter_map(|file| Some((file.clone(), text(&tree.join(file))?))).collect();
        let imports = Imports::new(&texts);
        let test_texts =
            texts.into_iter().filter(|(file, _)| suite.guards(file)).map(|(_, text)| text).collect();
        Ok(Some(Self {
            runner,
            survey,
            suite,
            overlay,
            files: listing.files,
            imports,
            test_texts,
            before: BTreeMap::new(),
        }))
    }

    pub fn suite(&self) -> &Suite {
        &self.suite
    }

    /// What the tests say about `after` as the text of the file `path`.
    pub fn judge(&mut self, path: &str, after: &[u8]) -> Result<TestVerdict, TrialError> {
        let (plan, modules) = self.plan(path);
        let mut with_repair = Vec::new();
        loop {
            let order = match plan.next(&History { before: self.before(path), after: &with_repair }) {
                Step::Done(verdict) => return Ok(verdict),
                Step::Run(order) => order,
            };
            match order.side {
                Side::Before => self.run_before(path, order, &modules)?,
                Side::After => {
                    let repair = (PathBuf::from(path), after.to_vec());
                    with_repair.push(self.run(path, order, Some(repair), &modules)?);
                }
            }
        }
    }

    /// What the tests that can see the file `path` say without a repair.
    pub fn baseline(&mut self, path: &str) -> Result<Baseline, TrialError> {
        let (plan, modules) = self.plan(path);
        loop {
            match plan.next(&History { before: self.before(path), after: &[] }) {
                Step::Run(order) if order.side == Side::Before => self.run_before(path, order, &modules)?,
                Step::Run(_) => return Ok(Baseline::of(self.before(path))),
                Step::Done(verdict) => {
                    return Ok(Baseline { hopeless: Some(verdict), ..Baseline::of(self.before(path)) });
                }
            }
        }
    }

    /// How a repair of a file is tried, and the files that hold tests.
    fn plan(&self, path: &str) -> (Plan, Modules) {
        let harness = self.suite.harness(path);
        let tests: Vec<String> =
            self.files.iter().filter(|file| harness.is_test_file(file)).cloned().collect();
        let is_known = is_python(path) && !harness.tests_anywhere;
        let seeing = if is_known { self.imports.seeing(path, &tests) } else { Seeing::Unknown };
        let plan = Plan::new(&self.suite, path, &tests, seeing);
        (plan, Modules::new(tests.iter().map(String::as_str)))
    }

    fn run_before(&mut self, path: &str, order: Order, modules: &Modules) -> Result<(), TrialError> {
        let run = self.run(path, order, None, modules)?;
        self.before.entry(self.suite.harness(path).all.clone()).or_default().push(run);
        Ok(())
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
    pub fn before(&self, path: &str) -> &[Run] {
        self.before.get(&self.suite.harness(path).all).map_or(&[], Vec::as_slice)
    }

    /// Lines of the project that tests passed through when they failed without a repair, tests themselves left out.
    pub fn suspects(&self, path: &str) -> Vec<Frame> {
        let files: BTreeSet<&str> = self.files.iter().map(String::as_str).collect();
        let is_ours = |file: &str| files.contains(file) && !self.suite.guards(file);
        let failures =
            self.before(path).iter().flat_map(|run| run.failures().map(move |failure| (run, failure)));
        failures.flat_map(|(run, failure)| results::suspects(&failure.text, &run.tree, is_ours)).collect()
    }

    fn run(
        &mut self,
        path: &str,
        order: Order,
        repair: Option<(PathBuf, Vec<u8>)>,
        modules: &Modules,
    ) -> Result<Run, TrialError> {
        let harness = self.suite.harness(path).clone();
        let copy = fresh_folder()?;
        let tree = copy.path().join("tree");
        let overlay: Vec<_> = self.overlay.iter().cloned().chain(repair).collect();
        self.survey.copy(&tree, &overlay)?;
        // A project may have such a file; what it says is not what these tests say.
        let _ = fs::remove_file(tree.join(RESULTS_FILE));
        let [place, root] = [&tree, &self.survey.root].map(|path| path.to_string_lossy().into_owned());
        let job = Job {
            argv: harness.argv(&order.scope, &place, &root),
            tree: tree.clone(),
            readable: readable(&self.survey),
            env: harness.env(&place, &root),
            stdin: Vec::new(),
            timeout: order.timeout,
        };
        let outcome = self.runner.run(&job)?;
        let results = match read_result(&tree, RESULTS_FILE, MAX_BYTES as u64) {
            _ if outcome.exit == Exit::TimedOut => Err(Fault::TimedOut { limit: order.timeout }),
            Ok(file) => results::read(harness.format, &outcome, file.as_deref(), modules)
                .map(|results| results.relative_to(&place)),
            Err(error) => Err(Fault::Unreadable { reason: error.to_string() }),
        };
        Ok(Run { scope: order.scope, results, duration: outcome.duration, tree: place })
    }
}

/// A folder of its own for one copy, without links on the way: tracebacks name files by it.
fn fresh_folder() -> Result<TempDir, TrialError> {
    let place = fs::canonicalize(std::env::temp_dir()).map_err(TrialError::Folder)?;
    tempfile::Builder::new().prefix("lastmile-tests-").tempdir_in(place).map_err(TrialError::Folder)
}

/// The tests of a project, for candidates of one of its files.
pub struct OfFile<'t, 'r, 'e> {
    pub trial: &'t mut Trial<'r>,
    /// Relative, with `/`.
    pub path: &'t str,
    /// The bytes that a text is on disk; `None` when its encoding lacks a character.
    pub encode: &'e dyn Fn(&str) -> Option<Vec<u8>>,
}

impl Tests for OfFile<'_, '_, '_> {
    fn judge(&mut self, afters: &[&str]) -> Result<Vec<TestVerdict>, String> {
        let mut verdicts = Vec::with_capacity(afters.len());
        for after in afters {
            let bytes = (self.encode)(after).ok_or("a character cannot be encoded")?;
            verdicts.push(self.trial.judge(self.path, &bytes).map_err(|error| error.to_string())?);
        }
        Ok(verdicts)
    }
}
