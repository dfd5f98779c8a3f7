//! How the tests of a project are run: settings or conventions in, command lines out.

pub mod discover;
pub mod ini;
pub mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use crate::results::Format;
use discover::Listing;

/// Where tests write their results, below the folder they run in. No project has such a file of its own.
pub const RESULTS_FILE: &str = ".lastmile-results.xml";

/// The part `[tests]` of lastmile.toml.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Words as for a shell, but no shell reads them; empty looks for the tests by convention.
    ///
    /// `{files}` as a word of its own becomes the files of tests to run, or nothing when all are to run. `{results}`
    /// becomes the file that JUnit XML is to be written to, `{tree}` the folder of the copy that tests run in,
    /// `{root}` the project's own.
    pub command: String,
    /// How long all tests may take, in seconds.
    pub timeout_s: u64,
    /// How often a test is run again when it is not the same before and after a repair.
    pub reruns: usize,
    /// How many candidates are tried for a file that parses and whose tests fail.
    pub max_candidates: usize,
    /// How long candidates are tried for one file, in seconds.
    pub time_limit_s: u64,
    /// What all processes of a run may take together, in MiB.
    pub memory_mib: u64,
    /// Names of variables that tests are given; they have none of the user's otherwise.
    pub environment: Vec<String>,
    /// Whether tests are run only behind walls that stop attacks.
    pub require_sandbox: bool,
    /// Other commands for some files.
    pub overrides: Vec<OverrideSettings>,
}

/// A command for files that match one of `paths`; the last that fits counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverrideSettings {
    /// Patterns as in .gitignore, below the project's folder.
    pub paths: Vec<String>,
    pub command: String,
}

/// Why tests cannot be run as the settings say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    #[error("`{command}` has a quote that is not closed")]
    Words { command: String },

    #[error("a command of `tests.overrides` is empty")]
    Empty,

    #[error("`tests.overrides` holds a wrong pattern: {reason}")]
    Pattern { reason: String },

    #[error("`{command}` has `{{files}}` inside of a word; it must stand alone")]
    Files { command: String },
}

/// How the tests of a project are run.
#[derive(Clone, Debug)]
pub struct Suite {
    pub main: Harness,
    pub overrides: Vec<Override>,
    pub timeout: Duration,
    pub reruns: usize,
}

/// A harness for some of the files that a repair may change.
#[derive(Clone, Debug)]
pub struct Override {
    paths: GlobSet,
    pub harness: Harness,
}

/// One program that runs tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Harness {
    /// Runs all tests.
    pub all: Vec<String>,
    /// Runs some files; `None` when the program cannot be told which.
    pub some: Option<Vec<String>>,
    pub format: Format,
    /// Values may hold `{tree}` and `{root}`.
    pub env: BTreeMap<String, String>,
    /// Patterns of the names of files that hold tests.
    pub test_names: Vec<String>,
    /// Whether other files may hold tests as well, as they do where doctests are run, or where it is not known what a
    /// command does.
    pub tests_anywhere: bool,
}

/// Which tests are run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Those in these files.
    Files(BTreeSet<String>),
    All,
}

impl Scope {
    /// Whether tests of `file` are run; of a file that is not known, only where all are.
    pub fn covers(&self, file: &str) -> bool {
        match self {
            Scope::Files(files) => files.contains(file),
            Scope::All => true,
        }
    }

    pub fn contains(&self, other: &Scope) -> bool {
        match (self, other) {
            (Scope::All, _) => true,
            (Scope::Files(files), Scope::Files(others)) => others.is_subset(files),
            (Scope::Files(_), Scope::All) => false,
        }
    }
}

impl Suite {
    /// What the settings say, and the conventions where they say nothing; `None` when no tests are found.
    pub fn new(settings: &Settings, listing: &Listing) -> Result<Option<Self>, SuiteError> {
        let found = match settings.command.trim() {
            "" => discover::discover(listing),
            command => {
                Some(discover::Found { main: Harness::configured(command, listing)?, others: Vec::new() })
            }
        };
        let Some(found) = found else { return Ok(None) };
        let mut overrides = Vec::new();
        for (pattern, harness) in found.others {
            overrides.push(Override { paths: globs(&[pattern.to_owned()])?, harness });
        }
        for other in &settings.overrides {
            if other.command.trim().is_empty() {
                return Err(SuiteError::Empty);
            }
            let harness = Harness::configured(&other.command, listing)?;
            overrides.push(Override { paths: globs(&other.paths)?, harness });
        }
        let timeout = Duration::from_secs(settings.timeout_s);
        Ok(Some(Self { main: found.main, overrides, timeout, reruns: settings.reruns }))
    }

    /// What runs the tests of a file that a repair changes.
    pub fn harness(&self, path: &str) -> &Harness {
        let fitting = self.overrides.iter().rev().find(|other| other.paths.is_match(path));
        fitting.map_or(&self.main, |other| &other.harness)
    }

    /// Whether a file belongs to the tests or says how they are run, so that a repair of it proves nothing.
    pub fn guards(&self, path: &str) -> bool {
        is_test_path(path) || self.harness(path).is_test_file(path)
    }
}

impl Harness {
    /// A command that somebody wrote. pytest and unittest are known by their names, and told to list their results.
    pub fn configured(command: &str, listing: &Listing) -> Result<Self, SuiteError> {
        let words = shlex::split(command).filter(|words| !words.is_empty());
        let mut words = words.ok_or_else(|| SuiteError::Words { command: command.to_owned() })?;
        if words.iter().any(|word| word.contains("{files}") && word != "{files}") {
            return Err(SuiteError::Files { command: command.to_owned() });
        }
        let runs = |name: &str| {
            let file_name = |word: &String| Path::new(word).file_stem().is_some_and(|stem| stem == name);
            file_name(&words[0]) || words.windows(2).any(|pair| pair[0] == "-m" && pair[1] == name)
        };
        let writes_results = words.iter().any(|word| word.contains("{results}"));
        let format = match () {
            () if runs("pytest") || runs("py.test") => Format::Pytest,
            () if writes_results => Format::Junit,
            () if runs("unittest") => Format::Unittest,
            () if words.iter().any(|word| word == "--tap") || runs("prove") || runs("bats") => Format::Tap,
            () => Format::ExitStatus,
        };
        let add: &[&str] = match format {
            Format::Pytest => &discover::PYTEST_OPTIONS,
            Format::Unittest if !words.iter().any(|word| word == "-v" || word == "--verbose") => &["-v"],
            _ => &[],
        };
        // Before the files, for unittest takes no option after them.
        let at = words.iter().position(|word| word == "{files}").unwrap_or(words.len());
        words.splice(at..at, add.iter().map(|word| (*word).to_owned()));
        let some = words.iter().any(|word| word == "{files}").then(|| words.clone());
        let all = words.into_iter().filter(|word| word != "{files}").collect();
        let test_names = discover::test_names(listing);
        let env = discover::python_env(listing);
        let is_python = matches!(format, Format::Pytest | Format::Unittest);
        let tests_anywhere = !is_python || discover::has_doctests(listing);
        Ok(Self { all, some, format, env, test_names, tests_anywhere })
    }

    /// The command line for some tests. `tree` is the copy they run in, `root` the project they were copied from.
    pub fn argv(&self, scope: &Scope, tree: &str, root: &str) -> Vec<String> {
        let (words, files) = match (scope, &self.some) {
            (Scope::Files(files), Some(some)) => (some, Some(files)),
            _ => (&self.all, None),
        };
        let mut argv = Vec::new();
        for word in words {
            if let Some(files) = files
                && word == "{files}"
            {
                argv.extend(files.iter().map(|file| plain_argument(file)));
            } else {
                argv.push(fill(word, tree, root));
            }
        }
        argv
    }

    /// What is added to the environment.
    pub fn env(&self, tree: &str, root: &str) -> BTreeMap<String, String> {
        self.env.iter().map(|(key, value)| (key.clone(), fill(value, tree, root))).collect()
    }

    pub fn can_select(&self) -> bool {
        self.some.is_some()
    }

    /// Whether tests are looked for in this file.
    pub fn is_test_file(&self, path: &str) -> bool {
        self.test_matcher()(path)
    }

    /// The same for many files.
    pub fn test_matcher(&self) -> impl Fn(&str) -> bool + use<> {
        let matcher = |pattern: &String| {
            // A pattern with a folder in it is one for the whole path, as pytest has it.
            Some((pattern.contains('/'), glob(pattern).ok()?.compile_matcher()))
        };
        let matchers: Vec<_> = self.test_names.iter().filter_map(matcher).collect();
        move |path| {
            let name = path.rsplit('/').next().unwrap_or(path);
            matchers.iter().any(|(is_whole, glob)| glob.is_match(if *is_whole { path } else { name }))
        }
    }
}

/// A file as an argument that is no option (`-x.py`) and no list of arguments (`@x.py`).
fn plain_argument(file: &str) -> String {
    if file.starts_with(['-', '@']) { format!("./{file}") } else { file.to_owned() }
}

fn fill(word: &str, tree: &str, root: &str) -> String {
    word.replace("{results}", RESULTS_FILE).replace("{tree}", tree).replace("{root}", root)
}

fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).build()
}

fn globs(patterns: &[String]) -> Result<GlobSet, SuiteError> {
    let wrong = |error: globset::Error| SuiteError::Pattern { reason: error.to_string() };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        // As in .gitignore: a pattern without a folder is for files anywhere.
        let anywhere = !pattern.trim_end_matches('/').contains('/');
        let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
        let pattern = if anywhere { format!("**/{pattern}") } else { pattern.to_owned() };
        set.add(glob(&pattern).map_err(wrong)?);
        set.add(glob(&format!("{}/**", pattern.trim_end_matches('/'))).map_err(wrong)?);
    }
    set.build().map_err(wrong)
}

/// Files that say which tests are run, and how.
const TEST_CONFIG: [&str; 12] = [
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "pyproject.toml",
    "setup.cfg",
    "tox.ini",
    "noxfile.py",
    "conftest.py",
    "Makefile",
    "makefile",
    "GNUmakefile",
];

/// Whether a path is that of a test by what people call them, in any language.
pub fn is_test_path(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let in_folder = folders.split('/').any(|folder| {
        matches!(folder.to_ascii_lowercase().as_str(), "test" | "tests" | "__tests__" | "spec" | "specs")
    });
    let stem = name.split('.').next().unwrap_or(name);
    let lower = name.to_ascii_lowercase();
    let is_named = stem.starts_with("test_") || stem.ends_with("_test") || stem == "tests" || stem == "test";
    in_folder || is_named || lower.ends_with(".tests.ps1") || TEST_CONFIG.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(command: &str, overrides: &[(&str, &str)]) -> Settings {
        let over = |(paths, command): &(&str, &str)| OverrideSettings {
            paths: vec![(*paths).to_owned()],
            command: (*command).to_owned(),
        };
        let overrides = overrides.iter().map(over).collect();
        Settings { command: command.to_owned(), timeout_s: 60, reruns: 2, overrides, ..Settings::default() }
    }

    /// The command line for `tests/test_a.py` and `-x.py`, and the one for all.
    #[track_caller]
    fn check(command: &str, some: &str, all: &str, format: Format) {
        let suite =
            Suite::new(&settings(command, &[]), &Listing::default()).expect("valid").expect("configured");
        let files = ["tests/test a.py", "-x.py"].map(str::to_owned);
        let show = |scope| suite.main.argv(&scope, "/t", "/r").join("|");
        let results = format!("={RESULTS_FILE}");
        assert_eq!(show(Scope::Files(BTreeSet::from(files))).replace(&results, "=R"), some);
        assert_eq!(show(Scope::All).replace(&results, "=R"), all);
        assert_eq!(suite.main.format, format);
    }

    #[test]
    fn words_are_filled_in() {
        let options = "-q|--rootdir=.|--maxfail=0|--tb=short|-p|no:cacheprovider|--color=no|--continue-on-collection-errors|-o|junit_family=xunit1|--junitxml=R";
        check(
            "python -m pytest {files}",
            &format!("python|-m|pytest|{options}|./-x.py|tests/test a.py"),
            &format!("python|-m|pytest|{options}"),
            Format::Pytest,
        );
        check(
            "'{root}/my env/bin/pytest' --rootdir={tree}",
            &format!("/r/my env/bin/pytest|--rootdir=/t|{options}"),
            &format!("/r/my env/bin/pytest|--rootdir=/t|{options}"),
            Format::Pytest,
        );
        check(
            "python -m unittest {files}",
            "python|-m|unittest|-v|./-x.py|tests/test a.py",
            "python|-m|unittest|-v",
            Format::Unittest,
        );
        check("npm test", "npm|test", "npm|test", Format::ExitStatus);
        check(
            "sh -c 'make && ./t; exit'",
            "sh|-c|make && ./t; exit",
            "sh|-c|make && ./t; exit",
            Format::ExitStatus,
        );
        check("prove -v t", "prove|-v|t", "prove|-v|t", Format::Tap);
        check("t --xml={results}", "t|--xml=R", "t|--xml=R", Format::Junit);
    }

    #[track_caller]
    fn check_error(command: &str, overrides: &[(&str, &str)], expected: &str) {
        let error = Suite::new(&settings(command, overrides), &Listing::default()).expect_err("wrong");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn mistakes_are_named() {
        check_error("pytest 'x", &[], "`pytest 'x` has a quote that is not closed");
        check_error(
            "pytest --x={files}",
            &[],
            "`pytest --x={files}` has `{files}` inside of a word; it must stand alone",
        );
        check_error("x", &[("*.py", " ")], "a command of `tests.overrides` is empty");
        check_error(
            "x",
            &[("a/[", "y")],
            "`tests.overrides` holds a wrong pattern: error parsing glob 'a/[': unclosed character class; missing ']'",
        );
    }

    #[test]
    fn the_last_override_that_fits_counts() {
        let overrides = [("packages/a/**", "one"), ("*.ps1", "two"), ("/packages/a/deep/", "three")];
        let suite = Suite::new(&settings("zero", &overrides), &Listing::default())
            .expect("valid")
            .expect("configured");
        let rows = [
            ("x.py", "zero"),
            ("packages/a/x.py", "one"),
            ("packages/a/x.ps1", "two"),
            ("deep/x.ps1", "two"),
            ("packages/a/deep/x.py", "three"),
        ];
        for (path, expected) in rows {
            assert_eq!(suite.harness(path).all, [expected], "{path}");
        }
    }

    #[test]
    fn tests_are_known_by_their_paths() {
        let tests = [
            "tests/data/x.json",
            "pkg/test/x.py",
            "test_x.py",
            "pkg/x_test.py",
            "conftest.py",
            "Math.Tests.ps1",
            "pyproject.toml",
            "app/tests.py",
            "Tests/x.ps1",
            "sub/noxfile.py",
        ];
        for path in tests {
            assert!(is_test_path(path), "{path}");
        }
        for path in [
            "pkg/testing/x.py",
            "contest.py",
            "latest_x.py",
            "src/attest.py",
            "spectrum.py",
            "pkg/protest.py",
        ] {
            assert!(!is_test_path(path), "{path}");
        }
    }

    #[test]
    fn scopes_hold_each_other() {
        let some = |files: &[&str]| Scope::Files(files.iter().map(|file| (*file).to_owned()).collect());
        assert!(
            Scope::All.contains(&some(&["a"])) && Scope::All.contains(&Scope::All) && Scope::All.covers("")
        );
        assert!(some(&["a", "b"]).contains(&some(&["a"])) && !some(&["a"]).contains(&Scope::All));
        assert!(some(&["a"]).covers("a") && !some(&["a"]).covers("b") && !some(&["a"]).covers(""));
    }
}
