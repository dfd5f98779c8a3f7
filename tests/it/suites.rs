//! Projects of every kind, and what their tests say about a repair.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use lastmile::io::trial::Trial;
use lastmile::suite::Settings;
use lastmile::verdict::TestVerdict;

use crate::project::{Project, Unguarded, venv};

/// One project and one repair of it.
struct Row {
    name: &'static str,
    /// By convention when it is empty. `{venv}` is the environment with pytest.
    command: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// The file that is repaired, and its text after that.
    after: (&'static str, &'static str),
    /// The name of the verdict, and its evidence.
    expected: (&'static str, &'static str),
    /// How many times the tests run.
    n_runs: usize,
}

const LIB: &str = "def add(a, b):\n    return a + b\n\ndef sub(a, b):\n    return a - b\n";
const WRONG: &str = "def add(a, b):\n    return a + b\n\ndef sub(a, b):\n    return a + b\n";
const BROKEN: &str = "def add(a, b):\n    return a + b\n\ndef sub(a, b:\n    return a - b\n";
const TESTS: &str = "import lib\n\ndef test_add():\n    assert lib.add(2, 3) == 5\n\n\
                     def test_sub():\n    assert lib.sub(3, 2) == 1\n\n\
                     def test_zero():\n    assert lib.add(0, 0) == lib.sub(0, 0)\n";
const OTHER: &str = "def test_other():\n    assert True\n";
/// Passes every other time. How often it ran is known outside of the copies.
const FLAKY: &str = "import lib, pathlib\n\ndef test_flaky():\n    \
                     count = pathlib.Path('{beside}/count')\n    \
                     n = int(count.read_text()) if count.exists() else 0\n    \
                     count.write_text(str(n + 1))\n    assert n % 2\n";
const UNITTEST: &str = "import unittest\nimport lib\n\nclass LibTest(unittest.TestCase):\n    \
                        def test_add(self):\n        \"\"\"Adds.\"\"\"\n        self.assertEqual(lib.add(2, 3), 5)\n\n    \
                        def test_sub(self):\n        print('noise')\n        self.assertEqual(lib.sub(3, 2), 1)\n";
const CASES: &str = "CASES = ['a::b[c]', 'é', '日本', 'a b', '../x', '', 'x\\n\\x1b', '-k', '@x']\n\n\
                     def size(text):\n    return len(text)\n";
const WRONG_CASES: &str = "CASES = ['a::b[c]', 'é', '日本', 'a b', '../x', '', 'x\\n\\x1b', '-k', '@x']\n\n\
                           def size(text):\n    return len(text) + 1\n";
const TEST_CASES: &str = "import pytest\nfrom lib import CASES, size\n\n\
                          @pytest.mark.parametrize('text', CASES, ids=CASES)\nclass TestGröße:\n    \
                          def test_größe(self, text):\n        assert size(text) == len(text)\n";

const ROWS: &[Row] = &[
    Row {
        name: "all green",
        command: "",
        files: &[("lib.py", LIB), ("tests/test_lib.py", TESTS)],
        after: ("lib.py", "def add(a, b):\n    return b + a\n\ndef sub(a, b):\n    return a - b\n"),
        expected: ("unchanged", "3 of 3 tests pass, as before"),
        n_runs: 2,
    },
    Row {
        name: "one red, fixed",
        command: "",
        files: &[("lib.py", WRONG), ("tests/test_lib.py", TESTS), ("tests/test_other.py", OTHER)],
        after: ("lib.py", LIB),
        expected: ("improved", "4 of 4 tests pass, 1 of them failed before"),
        n_runs: 8,
    },
    Row {
        name: "one red, not fixed",
        command: "",
        files: &[("lib.py", WRONG), ("tests/test_lib.py", TESTS)],
        after: ("lib.py", "def add(a, b):\n    return a + b\n\ndef sub(a, b):\n    return a * b\n"),
        expected: ("baseline-red", "1 of 3 tests fails, as before"),
        n_runs: 3,
    },
    Row {
        name: "fixes one, breaks another",
        command: "",
        files: &[("lib.py", WRONG), ("tests/test_lib.py", TESTS)],
        after: ("lib.py", "def add(a, b):\n    return 0\n\ndef sub(a, b):\n    return a - b\n"),
        expected: ("regressed", "`tests/test_lib.py::test_add` fails or is gone, and passed before"),
        n_runs: 6,
    },
    Row {
        name: "all red",
        command: "",
        files: &[("lib.py", "def add(a, b):\n    return 7\n"), ("tests/test_lib.py", TESTS)],
        after: ("lib.py", "def add(a, b):\n    return 8\n"),
        expected: ("baseline-red", "3 of 3 tests fail, as before"),
        n_runs: 3,
    },
    Row {
        name: "flaky, every other time",
        command: "",
        files: &[("lib.py", LIB), ("tests/test_lib.py", TESTS), ("tests/test_flaky.py", FLAKY)],
        after: ("lib.py", "def add(a, b):\n    return b + a\n\ndef sub(a, b):\n    return a - b\n"),
        expected: ("unstable", "`tests/test_flaky.py::test_flaky` does not give the same result each time"),
        n_runs: 3,
    },
    Row {
        name: "flaky, and one fixed",
        command: "",
        files: &[("lib.py", WRONG), ("tests/test_lib.py", TESTS), ("tests/test_flaky.py", FLAKY)],
        after: ("lib.py", LIB),
        expected: ("improved", "3 of 3 tests pass, 1 of them failed before; 1 unstable test does not count"),
        n_runs: 6,
    },
    Row {
        name: "zero tests",
        command: "",
        files: &[("lib.py", LIB), ("tests/test_lib.py", "import pytest, lib\n")],
        after: ("lib.py", LIB),
        expected: ("no-tests", "there are no tests"),
        n_runs: 1,
    },
    Row {
        name: "all skipped",
        command: "",
        files: &[
            ("lib.py", LIB),
            ("test_lib.py", "import pytest, lib\n\n@pytest.mark.skip\ndef test_a(): pass\n"),
        ],
        after: ("lib.py", WRONG),
        expected: ("no-tests", "no test ran, 1 was skipped"),
        n_runs: 1,
    },
    Row {
        name: "no test sees the file",
        command: "",
        files: &[("lib.py", BROKEN), ("tests/test_other.py", OTHER), ("tests/conftest.py", "")],
        after: ("lib.py", LIB),
        expected: ("no-tests", "no test imports `lib.py`"),
        n_runs: 0,
    },
    Row {
        name: "crash, os._exit(3)",
        command: "",
        files: &[
            ("lib.py", WRONG),
            ("tests/test_lib.py", "import os, pytest, lib\n\ndef test_a(): os._exit(3)\n"),
        ],
        after: ("lib.py", LIB),
        expected: ("crashed", "the tests stopped half-way (exit status 3), as before"),
        n_runs: 3,
    },
    Row {
        name: "crash, exit status 0",
        command: "",
        files: &[
            ("lib.py", LIB),
            ("tests/test_lib.py", TESTS),
            // What an earlier run left, with nothing but good news.
            (".lastmile-results.xml", "<testsuite><testcase classname='x' name='y'/></testsuite>"),
        ],
        after: ("lib.py", "import os\ndef add(a, b): os._exit(0)\ndef sub(a, b): return a - b\n"),
        expected: ("crashed", "the tests stopped half-way (exit status 0), and did not before"),
        n_runs: 4,
    },
    Row {
        name: "crash, segmentation fault",
        command: "",
        files: &[("lib.py", LIB), ("tests/test_lib.py", TESTS)],
        after: ("lib.py", "import ctypes\ndef add(a, b): ctypes.string_at(0)\ndef sub(a, b): return a - b\n"),
        expected: ("crashed", "the tests were ended by signal 11, and did not before"),
        n_runs: 4,
    },
    Row {
        name: "sys.exit at import",
        command: "",
        files: &[("lib.py", LIB), ("tests/test_lib.py", TESTS)],
        after: ("lib.py", "import sys\nsys.exit(0)\n"),
        expected: (
            "crashed",
            "the tests stopped half-way (exit status 3): mainloop: caught unexpected SystemExit!, and did not before",
        ),
        n_runs: 4,
    },
    Row {
        name: "too slow, before and after",
        command: "",
        files: &[
            ("lib.py", LIB),
            ("tests/test_lib.py", "import time, pytest, lib\n\ndef test_a(): time.sleep(60)\n"),
        ],
        after: ("lib.py", WRONG),
        expected: ("timed-out", "the tests take longer than 4 s, as before"),
        n_runs: 2,
    },
    Row {
        name: "endless with the repair",
        command: "",
        files: &[("lib.py", LIB), ("tests/test_lib.py", TESTS)],
        after: ("lib.py", "def add(a, b):\n    while True: pass\n\ndef sub(a, b):\n    return a - b\n"),
        expected: ("timed-out", "the tests take longer than 4 s, and did not before"),
        n_runs: 2,
    },
    Row {
        name: "endless before",
        command: "",
        files: &[
            (
                "lib.py",
                "def add(a, b):\n    while a: pass\n    return b\n\ndef sub(a, b):\n    return a - b\n",
            ),
            ("tests/test_lib.py", TESTS),
        ],
        after: ("lib.py", LIB),
        expected: ("improved", "3 of 3 tests pass, they did not come to an end before"),
        n_runs: 4,
    },
    Row {
        name: "syntax error in the module",
        command: "",
        files: &[("lib.py", BROKEN), ("tests/test_lib.py", TESTS), ("tests/test_other.py", OTHER)],
        after: ("lib.py", LIB),
        expected: ("improved", "4 of 4 tests pass, 1 file of tests could not be loaded before"),
        n_runs: 6,
    },
    Row {
        name: "syntax error, wrong repair",
        command: "",
        files: &[("lib.py", BROKEN), ("tests/test_lib.py", TESTS), ("tests/test_other.py", OTHER)],
        after: ("lib.py", WRONG),
        expected: (
            "partial",
            "3 of 4 tests pass, 1 file of tests could not be loaded before; 1 of those that run now fails",
        ),
        n_runs: 7,
    },
    Row {
        name: "syntax error, still there",
        command: "",
        files: &[("lib.py", BROKEN), ("tests/test_lib.py", TESTS), ("tests/test_other.py", OTHER)],
        after: ("lib.py", "def add(a, b:\n    pass\n"),
        expected: ("baseline-red", "1 file of tests cannot be loaded, as before"),
        n_runs: 3,
    },
    Row {
        name: "syntax error behind a conftest",
        command: "",
        files: &[
            ("lib.py", BROKEN),
            ("tests/test_lib.py", TESTS),
            ("tests/conftest.py", "import lib\n"),
            ("conftest.py", ""),
        ],
        after: ("lib.py", LIB),
        expected: ("improved", "3 of 3 tests pass, they did not come to an end before"),
        n_runs: 4,
    },
    Row {
        name: "parameters with odd names",
        command: "",
        files: &[("lib.py", WRONG_CASES), ("tests/ünï/test_größe 日本.py", TEST_CASES)],
        after: ("lib.py", CASES),
        expected: ("improved", "9 of 9 tests pass, all of them failed before"),
        n_runs: 6,
    },
    Row {
        name: "parameters that go away",
        command: "",
        files: &[("lib.py", CASES), ("tests/test_size.py", TEST_CASES)],
        after: ("lib.py", "CASES = ['é']\n\ndef size(text):\n    return len(text)\n"),
        expected: (
            "regressed",
            "`tests/test_size.py::TestGröße::test_größe[-k]` and 7 more fail or are gone, and passed before",
        ),
        n_runs: 6,
    },
    Row {
        name: "repair of a test",
        command: "",
        files: &[("lib.py", WRONG), ("tests/test_lib.py", TESTS)],
        after: ("tests/test_lib.py", OTHER),
        expected: ("edits-tests", "`tests/test_lib.py` belongs to the tests, so they prove nothing"),
        n_runs: 0,
    },
    Row {
        name: "a project that stops at once",
        command: "",
        files: &[
            ("lib.py", WRONG),
            ("pytest.ini", "[pytest]\naddopts = -x --tb=no -vv\n"),
            (
                "tests/test_lib.py",
                "import lib\n\ndef test_sub():\n    assert lib.sub(3, 2) == 1\n\ndef test_add():\n    assert lib.add(2, 3) == 5\n",
            ),
        ],
        after: ("lib.py", "def add(a, b):\n    return a - b\n\ndef sub(a, b):\n    return a - b\n"),
        expected: ("regressed", "`tests/test_lib.py::test_add` fails or is gone, and passed before"),
        n_runs: 6,
    },
    Row {
        name: "settings of a subfolder",
        command: "",
        files: &[
            ("back/lib.py", WRONG),
            ("back/pytest.ini", "[pytest]\npythonpath = .\n"),
            ("back/tests/test_lib.py", TESTS),
            ("back/conftest.py", ""),
            ("tests/test_other.py", OTHER),
        ],
        after: ("back/lib.py", LIB),
        expected: ("improved", "4 of 4 tests pass, 1 of them failed before"),
        n_runs: 8,
    },
    Row {
        name: "doctests",
        command: "",
        files: &[
            (
                "lib.py",
                "def add(a, b):\n    \"\"\"Adds.\n\n    >>> add(2, 3)\n    5\n    \"\"\"\n    return a - b\n",
            ),
            ("pytest.ini", "[pytest]\naddopts = --doctest-modules\n"),
        ],
        after: (
            "lib.py",
            "def add(a, b):\n    \"\"\"Adds.\n\n    >>> add(2, 3)\n    5\n    \"\"\"\n    return a + b\n",
        ),
        expected: ("improved", "1 of 1 test passes, it failed before"),
        n_runs: 6,
    },
    Row {
        name: "pytest-xdist, syntax error",
        command: "'{venv}/bin/python' -m pytest -n 2 {files}",
        files: &[
            ("lib.py", BROKEN),
            ("tests/test_lib.py", TESTS),
            ("tests/test_other.py", "import lib\n\ndef test_x(): pass\n"),
            ("tests/test_y.py", OTHER),
        ],
        after: ("lib.py", LIB),
        expected: ("improved", "5 of 5 tests pass, 2 files of tests could not be loaded before"),
        n_runs: 4,
    },
    Row {
        name: "pytest-xdist, a worker crashes",
        command: "'{venv}/bin/python' -m pytest -n 2 {files}",
        files: &[("lib.py", LIB), ("tests/test_lib.py", TESTS)],
        after: (
            "lib.py",
            "import os\ndef add(a, b):\n    if a == 2: os._exit(3)\n    return a + b\n\ndef sub(a, b):\n    return a - b\n",
        ),
        expected: ("regressed", "`tests/test_lib.py::test_add` fails or is gone, and passed before"),
        n_runs: 6,
    },
    Row {
        name: "unittest, one red, fixed",
        command: "'{venv}/bin/python' -m unittest {files}",
        files: &[("lib.py", WRONG), ("test_lib.py", UNITTEST)],
        after: ("lib.py", LIB),
        expected: ("improved", "2 of 2 tests pass, 1 of them failed before"),
        n_runs: 6,
    },
    Row {
        name: "unittest, syntax error",
        command: "'{venv}/bin/python' -m unittest {files}",
        files: &[("lib.py", BROKEN), ("test_lib.py", UNITTEST)],
        after: ("lib.py", LIB),
        expected: ("improved", "2 of 2 tests pass, 1 file of tests could not be loaded before"),
        n_runs: 6,
    },
    Row {
        name: "make test, fixed",
        command: "",
        files: &[("Makefile", "test:\n\t@sh lib.sh\n"), ("lib.sh", "exit 1\n")],
        after: ("lib.sh", "exit 0\n"),
        expected: ("improved", "the tests pass, and failed before"),
        n_runs: 4,
    },
    Row {
        name: "make test, of Python",
        command: "",
        files: &[("Makefile", "test:\n\tgrep -q 'return 1' lib.py\n"), ("lib.py", "def f(): return 2\n")],
        after: ("lib.py", "def f(): return 1\n"),
        expected: ("improved", "the tests pass, and failed before"),
        n_runs: 4,
    },
    Row {
        name: "make test, broken",
        command: "",
        files: &[("Makefile", "test:\n\t@sh lib.sh\n"), ("lib.sh", "exit 0\n")],
        after: ("lib.sh", "exit 1\n"),
        expected: ("regressed", "the tests fail, and passed before"),
        n_runs: 4,
    },
    Row {
        name: "TAP, one red, fixed",
        command: "sh run.sh --tap",
        files: &[("run.sh", "echo 1..2; echo ok 1 - a; sh lib.sh\n"), ("lib.sh", "echo not ok 2 - b\n")],
        after: ("lib.sh", "echo ok 2 - b\n"),
        expected: ("improved", "2 of 2 tests pass, 1 of them failed before"),
        n_runs: 6,
    },
];

/// What came of a row, and how often tests ran.
fn judge(row: &Row) -> (TestVerdict, usize) {
    let project = Project::new(row.files.iter().copied());
    project.add_venv();
    let command = row.command.replace("{venv}", &venv().to_string_lossy());
    let is_slow = row.name.contains("slow") || row.name.contains("endless");
    let timeout_s = if is_slow { 4 } else { 120 };
    let settings = Settings { command, timeout_s, reruns: 2, ..Settings::default() };
    let runner = Unguarded::default();
    let trial = Trial::new(&project.source(), Vec::new(), &settings, &runner).expect("it can be copied");
    let verdict =
        trial.expect("there are tests").judge(row.after.0, row.after.1.as_bytes()).expect("it can be run");
    let jobs = runner.jobs();
    let trees: BTreeSet<_> = jobs.iter().map(|job| &job.tree).collect();
    assert_eq!(trees.len(), jobs.len(), "each run has a copy of its own");
    assert!(trees.iter().all(|tree| !tree.exists()), "copies are thrown away");
    (verdict, jobs.len())
}

#[test]
fn every_suite_gets_its_verdict() {
    let (mut table, mut wrong) = (String::new(), Vec::new());
    for row in ROWS {
        let (verdict, n_runs) = judge(row);
        let (name, evidence) = (verdict.name(), verdict.to_string());
        let standing = format!("{:?}", verdict.standing()).to_lowercase();
        writeln!(table, "{:31} {:12} {standing:8} {n_runs:2} runs  {evidence}", row.name, name)
            .expect("a string");
        if (name, evidence.as_str(), n_runs) != (row.expected.0, row.expected.1, row.n_runs) {
            wrong.push(row.name);
        }
    }
    println!("{table}");
    assert_eq!(wrong, Vec::<&str>::new());
}
