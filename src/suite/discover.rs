//! Finds how tests are run, by what projects usually do.
//!
//! In this order, the first that fits:
//!
//! 1. **pytest**, when the project names it (its configuration, a `conftest.py`, a test or a requirement that imports
//!    it) or has test files and pytest is there. It runs tests of unittest too, and lists results best.
//! 2. **unittest**, when test files use it. It comes with Python, so it works where pytest is not installed.
//! 3. **make test**, where a Makefile has that target. The author's own words, and it needs nothing from the network.
//! 4. **nox**, then **tox**. Both build environments first, which takes long and fails without a network.
//! 5. **Pester**, for `*.Tests.ps1`. In a project with Python tests as well, it is used for PowerShell files.

use std::collections::BTreeMap;

use super::Harness;
use super::ini::{has_section, ini_value, toml_table, toml_words};
use super::modules::is_python;
use crate::results::Format;

/// What is known of a project without running anything of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// All files, relative, with `/`.
    pub files: Vec<String>,
    /// The texts of those that [`wanted`] names.
    pub texts: BTreeMap<String, String>,
    /// The Python to use, such as `{root}/.venv/bin/python`.
    pub python: Option<String>,
    /// Whether that Python has pytest, if it is known.
    pub has_pytest: Option<bool>,
    /// Folders that an environment takes the project's own packages from. Tests must find the copy's instead.
    pub import_roots: Vec<String>,
}

/// What conventions say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub main: Harness,
    /// Patterns of files that are tested otherwise.
    pub others: Vec<(&'static str, Harness)>,
}

/// Lists every test, in a form that names its file; nothing is written beside the results.
///
/// A file that cannot be imported does not keep the others from being run: only so is it known what a repair of one
/// file does to the tests of others.
///
/// Names are relative to the copy, whichever files are run, and no `-x` of the project's own keeps tests from running.
pub const PYTEST_OPTIONS: [&str; 11] = [
    "-q",
    "--rootdir=.",
    "--maxfail=0",
    "--tb=short",
    "-p",
    "no:cacheprovider",
    "--color=no",
    "--continue-on-collection-errors",
    "-o",
    "junit_family=xunit1",
    "--junitxml={results}",
];

const PYTEST_FILES: [&str; 4] = ["pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml"];
const MAKEFILES: [&str; 3] = ["GNUmakefile", "makefile", "Makefile"];
const CONFIG_FILES: [&str; 14] = [
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "tox.ini",
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-test.txt",
    "GNUmakefile",
    "makefile",
    "Makefile",
];
/// What stands between the folders of PYTHONPATH.
const SEPARATOR: &str = if cfg!(windows) { ";" } else { ":" };
/// How many test files are looked into.
const MAX_SAMPLES: usize = 40;

/// The files whose texts [`discover`] wants to see.
pub fn wanted(files: &[String]) -> Vec<&str> {
    let config = files.iter().filter(|file| CONFIG_FILES.contains(&file.as_str()));
    let samples = files.iter().filter(|file| is_python_test(file)).take(MAX_SAMPLES);
    config.chain(samples).map(String::as_str).collect()
}

/// How the tests of a project are run; `None` when it seems to have none.
pub fn discover(listing: &Listing) -> Option<Found> {
    let python = if wants_pytest(listing) {
        Some(pytest(listing))
    } else if has_unittest(listing) {
        Some(unittest(listing))
    } else {
        make(listing).or_else(|| nox(listing)).or_else(|| tox(listing))
    };
    let pester =
        listing.files.iter().any(|file| file.to_ascii_lowercase().ends_with(".tests.ps1")).then(pester);
    match (python, pester) {
        (Some(main), Some(pester)) => {
            let patterns = ["*.ps1", "*.psm1", "*.psd1"];
            Some(Found { main, others: patterns.map(|pattern| (pattern, pester.clone())).to_vec() })
        }
        (Some(main), None) | (None, Some(main)) => Some(Found { main, others: Vec::new() }),
        (None, None) => None,
    }
}

fn is_python_test(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".py").is_some_and(|stem| stem.starts_with("test") || stem.ends_with("_test"))
}

impl Listing {
    fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file == name)
    }

    /// Whether a test file has a line that begins with one of these.
    fn tests_say(&self, beginnings: &[&str]) -> bool {
        let tests = self.texts.iter().filter(|(file, _)| is_python_test(file));
        tests.flat_map(|(_, text)| text.lines()).any(|line| {
            let line = line.trim_start();
            beginnings.iter().any(|beginning| line.starts_with(beginning))
        })
    }
}

fn wants_pytest(listing: &Listing) -> bool {
    let has_tests = listing.files.iter().any(|file| is_python_test(file));
    let is_configured = PYTEST_FILES.iter().any(|name| listing.has(name))
        || listing.text("pyproject.toml").is_some_and(|text| toml_table(text, "tool.pytest").is_some())
        || listing.text("setup.cfg").is_some_and(|text| has_section(text, "tool:pytest"))
        || listing.text("tox.ini").is_some_and(|text| has_section(text, "pytest"))
        || listing.files.iter().any(|file| file == "conftest.py" || file.ends_with("/conftest.py"))
        || listing.tests_say(&["import pytest", "from pytest"]);
    let lists = CONFIG_FILES.iter().filter(|name| !MAKEFILES.contains(name) && **name != "tox.ini");
    let is_required = lists.filter_map(|name| listing.text(name)).any(|text| text.contains("pytest"));
    match listing.has_pytest {
        // Where it is not installed, tests of unittest can still be run without it.
        Some(false) => (is_configured || is_required) && !has_unittest(listing),
        Some(true) => is_configured || is_required || has_tests,
        None => is_configured || (is_required && has_tests),
    }
}

fn has_unittest(listing: &Listing) -> bool {
    listing.tests_say(&["import unittest", "from unittest"])
}

fn python(listing: &Listing) -> String {
    listing.python.clone().unwrap_or_else(|| "python3".to_owned())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The environment of Python: the same for each run, and with the copy before all that is installed.
///
/// A project that is installed in place (`pip install -e`) would otherwise be imported from its own folder, and no
/// test would ever see a repair.
pub(super) fn python_env(listing: &Listing) -> BTreeMap<String, String> {
    let mut roots = listing.import_roots.clone();
    if listing.files.iter().any(|file| file.starts_with("src/") && is_python(file)) {
        roots.push("src".to_owned());
    }
    roots.push(String::new());
    let mut folders: Vec<String> = Vec::new();
    for root in roots {
        let folder = format!("{{tree}}/{root}").trim_end_matches('/').to_owned();
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let path = folders.join(SEPARATOR);
    let fixed = [
        ("PYTHONPATH", path.as_str()),
        ("PYTHONHASHSEED", "0"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("NO_COLOR", "1"),
    ];
    fixed.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Patterns of the files that pytest collects.
pub(super) fn test_names(listing: &Listing) -> Vec<String> {
    let ini = |name: &str, section: &str| {
        let value = ini_value(listing.text(name)?, section, "python_files")?;
        Some(value.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    let toml = |name: &str, table: &str| {
        let table = toml_table(listing.text(name)?, table)?;
        table.get("python_files").map(toml_words)
    };
    ini("pytest.ini", "pytest")
        .or_else(|| ini(".pytest.ini", "pytest"))
        .or_else(|| toml("pytest.toml", "pytest"))
        .or_else(|| toml("pyproject.toml", "tool.pytest.ini_options"))
        .or_else(|| toml("pyproject.toml", "tool.pytest"))
        .or_else(|| ini("tox.ini", "pytest"))
        .or_else(|| ini("setup.cfg", "tool:pytest"))
        .filter(|names| !names.is_empty())
        .unwrap_or_else(|| words(&["test_*.py", "*_test.py"]))
}

/// Whether the project asks for tests in its own docstrings, or takes any file for one of tests.
pub(super) fn has_doctests(listing: &Listing) -> bool {
    let config = CONFIG_FILES.iter().filter_map(|name| listing.text(name));
    config.into_iter().any(|text| text.contains("--doctest"))
        || test_names(listing).iter().any(|name| name == "*.py")
}

fn pytest(listing: &Listing) -> Harness {
    let mut all = vec![python(listing)];
    all.extend(words(&["-m", "pytest"]));
    all.extend(words(&PYTEST_OPTIONS));
    let mut some = all.clone();
    some.push("{files}".to_owned());
    let env = python_env(listing);
    Harness {
        all,
        some: Some(some),
        format: Format::Pytest,
        env,
        test_names: test_names(listing),
        tests_anywhere: has_doctests(listing),
    }
}

/// Starts in the folder that holds most tests, since unittest does not enter folders that are no packages.
fn unittest(listing: &Listing) -> Harness {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for file in listing.files.iter().filter(|file| is_python_test(file)) {
        *counts.entry(file.split_once('/').map_or("", |(folder, _)| folder)).or_default() += 1;
    }
    let start = counts.into_iter().max_by_key(|(_, n_files)| *n_files).map_or("", |(folder, _)| folder);
    let is_package = listing.has(&format!("{start}/__init__.py"));
    let mut all = vec![python(listing)];
    all.extend(words(&["-m", "unittest", "discover", "-v"]));
    let mut env = python_env(listing);
    if !start.is_empty() {
        all.extend(words(&["-s", start]));
        if is_package {
            all.extend(words(&["-t", "."]));
        } else if let Some(path) = env.get_mut("PYTHONPATH") {
            // Where `discover` finds them; the command for single files must find the same.
            *path = [path.as_str(), &format!("{{tree}}/{start}")].join(SEPARATOR);
        }
    }
    let mut some = vec![python(listing)];
    some.extend(words(&["-m", "unittest", "-v", "{files}"]));
    Harness {
        all,
        some: Some(some),
        format: Format::Unittest,
        env,
        test_names: words(&["test*.py"]),
        tests_anywhere: false,
    }
}

fn plain(listing: &Listing, command: &[&str]) -> Harness {
    let env = python_env(listing);
    Harness {
        all: words(command),
        some: None,
        format: Format::ExitStatus,
        env,
        test_names: test_names(listing),
        tests_anywhere: true,
    }
}

fn make(listing: &Listing) -> Option<Harness> {
    let makefile = MAKEFILES.iter().find_map(|name| listing.text(name))?;
    let is_target = |line: &str| {
        let (targets, _) = line.split_once(':').unwrap_or_default();
        !line.starts_with(['\t', '#', ' ']) && targets.split_whitespace().any(|target| target == "test")
    };
    makefile.lines().any(is_target).then(|| plain(listing, &["make", "test"]))
}

fn nox(listing: &Listing) -> Option<Harness> {
    listing.has("noxfile.py").then(|| plain(listing, &["nox"]))
}

fn tox(listing: &Listing) -> Option<Harness> {
    let is_there = listing.has("tox.ini")
        || listing.has("tox.toml")
        || listing.text("setup.cfg").is_some_and(|text| has_section(text, "tox:tox"))
        || listing.text("pyproject.toml").is_some_and(|text| toml_table(text, "tool.tox").is_some());
    is_there.then(|| plain(listing, &["tox"]))
}

/// Pester 5 or newer.
fn pester() -> Harness {
    let script = "$c = New-PesterConfiguration; $c.Run.Exit = $true; $c.TestResult.Enabled = $true; \
                  $c.TestResult.OutputFormat = 'JUnitXml'; $c.TestResult.OutputPath = '{results}'; \
                  Invoke-Pester -Configuration $c";
    Harness {
        all: words(&["pwsh", "-NoProfile", "-NonInteractive", "-Command", script]),
        some: None,
        format: Format::Junit,
        env: BTreeMap::from([("NO_COLOR".to_owned(), "1".to_owned())]),
        test_names: words(&["*.Tests.ps1"]),
        tests_anywhere: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files, some with texts, as `path` or `path=text`.
    fn listing(files: &[&str], has_pytest: Option<bool>) -> Listing {
        let mut listing = Listing { has_pytest, python: Some("py".to_owned()), ..Listing::default() };
        for file in files {
            let (path, text) = file.split_once('=').unwrap_or((file, ""));
            listing.files.push(path.to_owned());
            listing.texts.insert(path.to_owned(), text.to_owned());
        }
        let wanted: Vec<String> = wanted(&listing.files).iter().map(|name| (*name).to_owned()).collect();
        listing.texts.retain(|name, _| wanted.contains(name));
        listing
    }

    #[track_caller]
    fn check_with(has_pytest: Option<bool>, files: &[&str], expected: &str) {
        let found = discover(&listing(files, has_pytest)).map(|found| found.main.all.join(" "));
        let found = found.unwrap_or_else(|| "none".to_owned());
        assert_eq!(found.replace(&format!(" {}", PYTEST_OPTIONS.join(" ")), ""), expected);
    }

    #[track_caller]
    fn check(files: &[&str], expected: &str) {
        check_with(None, files, expected);
    }

    #[test]
    fn pytest_is_known_by_its_files() {
        check(&["pytest.ini"], "py -m pytest");
        check(&["pyproject.toml=[tool.pytest.ini_options]\n"], "py -m pytest");
        check(&["pyproject.toml=[tool.pytest]\nminversion = '9'\n"], "py -m pytest");
        check(&["setup.cfg=[tool:pytest]\n"], "py -m pytest");
        check(&["tox.ini=[pytest]\n"], "py -m pytest");
        check(&["tests/conftest.py"], "py -m pytest");
        check(&["tests/test_a.py=import pytest\n"], "py -m pytest");
        check(&["tests/test_a.py=def test_a(): pass\n", "requirements-dev.txt=pytest>=7\n"], "py -m pytest");
        check_with(Some(true), &["a_test.py=def test_a(): pass\n"], "py -m pytest");
        check_with(Some(true), &["test_a.py=import unittest\n"], "py -m pytest");
        check(&["pyproject.toml=[tool.pytest", "a.py"], "none");
    }

    #[test]
    fn unittest_is_known_by_its_tests() {
        check(&["test_a.py=import unittest\n"], "py -m unittest discover -v");
        check(&["tests/test_a.py=from unittest import TestCase\n"], "py -m unittest discover -v -s tests");
        check(
            &["tests/__init__.py", "tests/test_a.py=import unittest\n"],
            "py -m unittest discover -v -s tests -t .",
        );
        check_with(
            Some(false),
            &["pytest.ini", "tests/test_a.py=import unittest\n"],
            "py -m unittest discover -v -s tests",
        );
        check(&["test_a.py=def test_a(): pass\n"], "none");
        check(&["lib.py=import unittest\n"], "none");
    }

    #[test]
    fn others_come_last() {
        check(&["Makefile=all: x\n\ntest: all\n\tpytest\n", "tox.ini=[tox]\n"], "make test");
        check(&["Makefile=all test: x\n"], "make test");
        check(&["Makefile=.PHONY: test\ntests: x\n\ttest: no\n# test: no\n"], "none");
        check(&["noxfile.py", "tox.ini=[tox]\n"], "nox");
        check(&["tox.ini=[tox]\n"], "tox");
        check(&["pyproject.toml=[tool.tox]\nenv_list = ['py']\n"], "tox");
        check(&[], "none");
        check(&["README.md"], "none");
    }

    #[test]
    fn pester_is_for_powershell() {
        let found = discover(&listing(&["a.Tests.ps1"], None)).expect("found");
        assert_eq!((found.main.all[0].as_str(), found.others.len()), ("pwsh", 0));
        let found = discover(&listing(&["a.Tests.ps1", "pytest.ini"], None)).expect("found");
        assert_eq!((found.main.all[0].as_str(), found.others.len()), ("py", 3));
    }

    #[track_caller]
    fn check_names(files: &[&str], expected: &[&str]) {
        assert_eq!(test_names(&listing(files, None)), expected);
    }

    #[test]
    fn patterns_of_test_files_are_read() {
        check_names(&[], &["test_*.py", "*_test.py"]);
        check_names(&["pytest.ini=[pytest]\npython_files = check_*.py\n  x.py\n"], &["check_*.py", "x.py"]);
        check_names(&["pyproject.toml=[tool.pytest.ini_options]\npython_files = ['c.py']\n"], &["c.py"]);
        check_names(&["setup.cfg=[tool:pytest]\npython_files=\n"], &["test_*.py", "*_test.py"]);
    }

    #[test]
    fn tests_in_docstrings_are_told_of() {
        let rows = [
            ("pytest.ini=[pytest]\naddopts = --doctest-modules\n", true),
            ("pytest.ini=[pytest]\npython_files = *.py\n", true),
            ("pytest.ini=[pytest]\n", false),
        ];
        for (file, expected) in rows {
            assert_eq!(has_doctests(&listing(&[file], None)), expected, "{file}");
        }
    }

    #[track_caller]
    fn check_path(files: &[&str], roots: &[&str], expected: &str) {
        let mut listing = listing(files, None);
        listing.import_roots = roots.iter().map(|root| (*root).to_owned()).collect();
        assert_eq!(python_env(&listing)["PYTHONPATH"].replace(';', ":"), expected);
    }

    #[test]
    fn the_copy_is_imported_first() {
        check_path(&["a.py"], &[], "{tree}");
        check_path(&["src/a/b.py"], &[], "{tree}/src:{tree}");
        check_path(&["back/a/b.py"], &["back", ""], "{tree}/back:{tree}");
    }
}
