//! Tests that tell which lines they run, by each Python test runner.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use lastmile::io::trace::{prepare, results};
use lastmile::spectrum::{MAX_BYTES, Traced, read, suspicions};

use crate::project::Project;

const LIB: &str = "LIMIT = 9\n\n\ndef clip(n):\n    if n > LIMIT:\n        return n\n    return n\n\n\n\
                   def twice(n):\n    return n * 2\n";
/// Its second test is the one that should fail. It needs what the project's own start of Python brings.
const TESTS: &str = "import unittest, lib\n\nclass T(unittest.TestCase):\n    \
                     def test_few(self):\n        self.assertEqual(lib.clip(1), 1)\n\n    \
                     def test_many(self):\n        self.assertEqual(lib.clip(BIG), 9)\n\n    \
                     def test_twice(self):\n        self.assertEqual(lib.twice(2), 4)\n\n    \
                     @unittest.expectedFailure\n    def test_later(self):\n        self.assertEqual(lib.clip(BIG), 9)\n\n    \
                     @unittest.skip('')\n    def test_never(self):\n        lib.twice(2)\n";

/// The Python of the project's tools, else the machine's.
fn python() -> OsString {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    if venv.is_file() { venv.into_os_string() } else { "python3".into() }
}

/// Runs the tests with these arguments for Python, and expects what they tell.
#[track_caller]
fn check(arguments: &[&str]) {
    let project = Project::new([("lib.py", LIB), ("test_lib.py", TESTS)]);
    project.write("start/sitecustomize.py", "import builtins\nbuiltins.BIG = 10\n");
    let root = project.root().canonicalize().expect("made");
    let given = BTreeMap::from([("PYTHONPATH".to_owned(), format!("{}/start", root.display()))]);
    let variables = prepare(&root, "lib.py", &given).expect("it can be written");
    let mut command = Command::new(python());
    command.args(arguments).current_dir(&root).env_remove("PYTEST_ADDOPTS").envs(&variables);
    let output = command.output().expect("it starts");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let tests = read(&results(&root).expect("plain files")).expect("a list of tests");
    let said = |test: &Traced| {
        let name = test.id.rsplit(['.', ':']).next().unwrap_or_default().to_owned();
        (name, test.failed, test.lines.iter().copied().collect::<Vec<_>>())
    };
    assert_eq!(
        tests.iter().map(said).collect::<Vec<_>>(),
        [
            ("test_few".to_owned(), false, vec![5, 7]),
            ("test_many".to_owned(), true, vec![5, 6]),
            ("test_twice".to_owned(), false, vec![11]),
        ],
        "{output:?}"
    );
    let shared = 1.0 / 2.0_f64.sqrt();
    assert_eq!(suspicions(&tests), BTreeMap::from([(5, shared), (6, 1.0), (7, 0.0), (11, 0.0)]));
}

#[test]
fn lines_that_tests_of_unittest_run() {
    check(&["-m", "unittest"]);
}

/// Where pytest is missing the test passes, except in CI.
#[test]
fn lines_that_tests_of_pytest_run() {
    let has_pytest = Command::new(python()).args(["-c", "import pytest"]).output().expect("it starts");
    assert!(has_pytest.status.success() || std::env::var_os("CI").is_none(), "CI must have pytest");
    if has_pytest.status.success() {
        check(&["-m", "pytest", "-W", "error", "-p", "no:cacheprovider"]);
    }
}

#[test]
fn variables_that_are_set_already_stay() {
    let project = Project::new([("lib.py", LIB)]);
    let given = [("PYTHONPATH", "src"), ("PYTEST_PLUGINS", "one,two"), ("HOME", "/")];
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let variables = prepare(&project.root(), "lib.py", &given).expect("it can be written");
    assert_eq!(variables["PYTHONPATH"], format!("{}/.lastmile-trace:src", project.root().display()));
    assert_eq!(variables["PYTEST_PLUGINS"], "one,two,lastmile_trace");
    assert!(!variables.contains_key("HOME"));
}

#[test]
fn what_hostile_tests_leave_is_refused() {
    let project = Project::new([("lib.py", LIB), ("lines.json.1", "{\"tests\": []}")]);
    let root = project.root();
    assert_eq!(results(&root).expect("no tests ran"), Vec::<Vec<u8>>::new());
    prepare(&root, "lib.py", &BTreeMap::new()).expect("it can be written");
    let folder = root.join(".lastmile-trace");
    fs::write(folder.join("lines.json.x"), "none of ours").expect("it is ours");
    assert_eq!(results(&root).expect("no test told anything"), Vec::<Vec<u8>>::new());
    symlink(root.join("lines.json.1"), folder.join("lines.json.2")).expect("it is ours");
    let why = |path: &str| format!("`{}/{path}` is no plain file of at most 64 MiB", root.display());
    assert_eq!(results(&root).expect_err("a link").to_string(), why(".lastmile-trace/lines.json.2"));
    fs::remove_file(folder.join("lines.json.2")).expect("it is ours");
    let large = fs::File::create(folder.join("lines.json.3")).expect("it is ours");
    large.set_len(MAX_BYTES + 1).expect("it is sparse");
    assert_eq!(results(&root).expect_err("too large").to_string(), why(".lastmile-trace/lines.json.3"));
    fs::remove_dir_all(&folder).expect("it is ours");
    symlink(&root, &folder).expect("it is ours");
    assert_eq!(results(&root).expect_err("a link").to_string(), why(".lastmile-trace"));
}
