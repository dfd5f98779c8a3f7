//! How a project is found to be tested, with nothing but its files.

use std::fs;
use std::path::{Path, PathBuf};

use lastmile::io::trial::Trial;
use lastmile::suite::{OverrideSettings, Settings};

use crate::project::{Project, Unguarded, venv};

const LIB: &str = "def add(a, b):\n    return a + b\n";
const WRONG: &str = "def add(a, b):\n    return a - b\n";

fn settings(command: &str) -> Settings {
    Settings { command: command.to_owned(), timeout_s: 30, reruns: 1, ..Settings::default() }
}

/// What the tests say, and the program that ran them, with their environment's folder as `{venv}`.
fn judge(project: &Project, settings: &Settings, path: &str, after: &str) -> (String, Vec<String>) {
    let runner = Unguarded::default();
    let trial = Trial::new(&project.source(), Vec::new(), settings, &runner).expect("it can be copied");
    let verdict = trial.expect("there are tests").judge(path, after.as_bytes()).expect("it can be run");
    let venv = project.root().join(".venv").to_string_lossy().into_owned();
    let argv = runner.jobs().first().map(|job| job.argv.clone()).unwrap_or_default();
    (verdict.to_string(), argv.into_iter().map(|word| word.replace(&venv, "{venv}")).collect())
}

#[track_caller]
fn check(project: &Project, path: &str, after: &str, evidence: &str, argv: &str) {
    let (found, words) = judge(project, &settings(""), path, after);
    assert_eq!(found, evidence);
    assert!(words.join(" ").starts_with(argv), "{words:?}");
}

#[test]
fn unittest_serves_where_pytest_is_not_installed() {
    let test = "import unittest, lib\nfrom helper import two\n\nclass T(unittest.TestCase):\n    \
                def test_add(self):\n        self.assertEqual(lib.add(2, two()), 4)\n";
    let project = Project::new([
        ("lib.py", WRONG),
        ("tests/test_lib.py", test),
        ("tests/helper.py", "def two(): return 2\n"),
        (
            "tests/test_more.py",
            "import unittest\n\nclass T(unittest.TestCase):\n    def test_x(self): pass\n",
        ),
    ]);
    project.add_bare_venv(&[]);
    check(
        &project,
        "lib.py",
        LIB,
        "2 of 2 tests pass, 1 of them failed before",
        "{venv}/bin/python -m unittest -v tests/test_lib.py",
    );
}

/// The environment imports the package from the project's own folder, as after `pip install -e`.
#[test]
fn a_project_that_is_installed_in_place_is_tested_in_its_copy() {
    let files = [
        ("back/src/shop/__init__.py", ""),
        ("back/src/shop/lib.py", WRONG),
        (
            "tests/test_lib.py",
            "import pytest\nfrom shop.lib import add\n\ndef test_add():\n    assert add(2, 3) == 5\n",
        ),
    ];
    let project = Project::new(files);
    let lib = fs::read_dir(venv().join("lib")).expect("made").next().expect("one").expect("readable");
    project.add_bare_venv(&[&project.root().join("back/src"), &lib.path().join("site-packages")]);
    let pytest =
        fs::read_dir(project.root().join(".venv/lib")).expect("made").next().expect("one").expect("readable");
    fs::create_dir(pytest.path().join("site-packages/pytest")).expect("there is none");
    check(
        &project,
        "back/src/shop/lib.py",
        LIB,
        "1 of 1 test passes, it failed before",
        "{venv}/bin/python -m pytest -q",
    );
}

#[test]
fn other_commands_for_other_files() {
    let project =
        Project::new([("lib.py", WRONG), ("tool.sh", "exit 1\n"), ("tests/test_lib.py", "import lib\n")]);
    let mut settings = settings("false");
    settings.overrides =
        vec![OverrideSettings { paths: vec!["*.sh".to_owned()], command: "sh tool.sh".to_owned() }];
    let (evidence, argv) = judge(&project, &settings, "tool.sh", "exit 0\n");
    assert_eq!(
        (evidence.as_str(), argv.join(" ").as_str()),
        ("the tests pass, and failed before", "sh tool.sh")
    );
    let (evidence, _) = judge(&project, &settings, "lib.py", LIB);
    assert_eq!(evidence, "the tests fail, as before");
}

#[test]
fn a_project_without_tests_has_no_trial() {
    let project = Project::new([("lib.py", LIB), ("README.md", "")]);
    let runner = Unguarded::default();
    let trial = Trial::new(&project.source(), Vec::new(), &settings(""), &runner).expect("it can be copied");
    assert!(trial.is_none());
}

/// What is on disk is not what is staged, and only the latter is repaired.
#[test]
fn staged_texts_are_tested_and_runs_before_serve_all_repairs() {
    let test = "import pytest\nfrom lib import add\n\ndef test_add():\n    assert add(2, 3) == 5\n";
    let project = Project::new([("lib.py", LIB), ("tests/test_lib.py", test)]);
    project.add_venv();
    let staged = vec![(PathBuf::from("lib.py"), WRONG.as_bytes().to_vec())];
    let runner = Unguarded::default();
    let trial = Trial::new(&project.source(), staged, &settings(""), &runner).expect("it can be copied");
    let trial = trial.expect("there are tests");
    let verdict = trial.judge("lib.py", b"def add(a, b):\n    return a * b\n").expect("it can be run");
    assert_eq!(verdict.to_string(), "1 of 1 test fails, as before");
    let suspects: Vec<_> =
        trial.suspects("lib.py").into_iter().map(|frame| (frame.file, frame.line)).collect();
    assert_eq!(suspects, [], "the test itself is no suspect, and `add` raises nothing");
    assert_eq!(trial.before("lib.py").len(), 2);
    let verdict = trial.judge("lib.py", LIB.as_bytes()).expect("it can be run");
    assert_eq!(verdict.to_string(), "1 of 1 test passes, it failed before");
    assert_eq!(trial.before("lib.py").len(), 2);
    assert_eq!(fs::read_to_string(project.root().join("lib.py")).expect("it is there"), LIB);
}

#[test]
fn tracebacks_name_lines_of_the_project() {
    let lib = "def add(a, b):\n    return inner(a, b)\n\ndef inner(a, b):\n    return a + c\n";
    let test = "import pytest\nfrom pkg.lib import add\n\ndef test_add():\n    assert add(2, 3) == 5\n";
    let project = Project::new([("pkg/__init__.py", ""), ("pkg/lib.py", lib), ("tests/test_lib.py", test)]);
    project.add_venv();
    let runner = Unguarded::default();
    let trial = Trial::new(&project.source(), Vec::new(), &settings(""), &runner).expect("it can be copied");
    let trial = trial.expect("there are tests");
    let after = lib.replace("a + c", "a + b");
    assert_eq!(
        trial.judge("pkg/lib.py", after.as_bytes()).expect("it can be run").to_string(),
        "1 of 1 test passes, it failed before"
    );
    let suspects: Vec<_> =
        trial.suspects("pkg/lib.py").into_iter().map(|frame| (frame.file, frame.line)).collect();
    let once = [("pkg/lib.py".to_owned(), 2), ("pkg/lib.py".to_owned(), 5)];
    assert_eq!(suspects, [once.clone(), once].concat(), "in each of two runs, the deepest last");
}

/// A project names what tests may read by links and by text, and may name anything.
#[cfg(unix)]
#[test]
fn a_project_cannot_open_the_folders_around_it() {
    let project = Project::new([
        ("lib.py", LIB),
        ("test_lib.py", "import unittest, lib\n\nclass T(unittest.TestCase):\n    def test_a(self): pass\n"),
        ("v/pyvenv.cfg", "home = /tmp/anything\n"),
    ]);
    std::os::unix::fs::symlink("..", project.root().join("node_modules")).expect("it can be linked");
    std::os::unix::fs::symlink(".", project.root().join("venv")).expect("it can be linked");
    let runner = Unguarded::default();
    let trial = Trial::new(&project.source(), Vec::new(), &settings(""), &runner).expect("it can be copied");
    trial.expect("there are tests").judge("lib.py", WRONG.as_bytes()).expect("it can be run");
    let root = fs::canonicalize(project.root()).expect("it is there");
    assert_eq!(runner.jobs()[0].readable, [root.join("v")]);
}

#[test]
fn what_tests_may_read_outside_of_the_copy_is_named() {
    let project =
        Project::new([("lib.py", LIB), ("test_lib.py", "import pytest, lib\n\ndef test_a(): pass\n")]);
    project.add_venv();
    let runner = Unguarded::default();
    let trial = Trial::new(&project.source(), Vec::new(), &settings(""), &runner).expect("it can be copied");
    trial.expect("there are tests").judge("lib.py", WRONG.as_bytes()).expect("it can be run");
    let root = fs::canonicalize(project.root()).expect("it is there");
    let job = &runner.jobs()[0];
    assert!(job.readable.contains(&root.join(".venv")), "{:?}", job.readable);
    assert!(
        job.readable.iter().any(|path| path.join("bin").is_dir() && !path.starts_with(&root)),
        "its Python"
    );
    assert_eq!(job.env["PYTHONPATH"], job.tree.to_string_lossy());
    assert!(Path::new(&job.argv[0]).starts_with(root));
}
