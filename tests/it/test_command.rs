//! `lastmile test`: a project whose tests fail, the edit that makes them pass.

use insta::assert_snapshot;
use serde_json::Value;

use crate::repo::{LIB, LIB_SETTINGS, LIB_TESTS};
use crate::support::{Answer, Sandbox};

/// A project with a text for lib.py and what the command says about it, without what differs between machines.
fn told(text: &str, args: &[&str]) -> (Sandbox, Answer) {
    let sandbox = Sandbox::new(&[
        ("lib.py", text.as_bytes()),
        ("test_lib.py", LIB_TESTS.as_bytes()),
        ("lastmile.toml", LIB_SETTINGS.as_bytes()),
    ]);
    let mut answer = sandbox.run(&[&["test", "lib.py"], args].concat());
    let kept =
        answer.stderr.lines().filter(|line| !line.starts_with("sandbox:") && !line.starts_with("warning:"));
    answer.stderr = kept.flat_map(|line| [line, "\n"]).collect();
    (sandbox, answer)
}

#[test]
fn the_edit_that_makes_failing_tests_pass_is_shown() {
    let wrong = LIB.replace("a + b", "a - b");
    let (sandbox, answer) = told(&wrong, &["--verbose"]);
    assert_snapshot!(answer, @"
    --- stdout
    suggestion: needs review (parses; 2 of 2 tests pass, 1 of them failed before)
    --- a/lib.py
    +++ b/lib.py
    @@ -2,4 +2,4 @@
         return a < b
     
     def add(a, b):
    -    return (a - b)
    +    return (a + b)
    --- stderr
    tests: python3 -m unittest -v
    without a repair: 1 of 2 tests fails: `test_lib.py::T::test_add`
    suspects: lib.py line 5
      line 5: return (a - b) -> return (a + b); 2 of 2 tests pass, 1 of them failed before
      line 2: return a < b -> return a <= b; 1 of 2 tests fails, as before
    2 candidates were tried
    --- exit 1
    ");
    assert_eq!(sandbox.read("lib.py"), wrong.as_bytes(), "nothing is written");
    let (_, diff) = told(&wrong, &["--diff"]);
    assert!(
        diff.stdout.ends_with("-    return (a - b)\n+    return (a + b)\n") && diff.stderr.is_empty(),
        "{diff}"
    );
    let (_, json) = told(&wrong, &["--json"]);
    let value: Value = serde_json::from_str(&json.stdout).expect("it is JSON");
    assert_eq!(value["repairs"][0]["verdict"], "improved", "{value}");
    assert_eq!(value["baseline"]["failing"][0], "test_lib.py::T::test_add", "{value}");
}

#[test]
fn tests_are_not_at_fault() {
    let (sandbox, _) = told(LIB, &[]);
    assert_snapshot!(sandbox.run(&["test", "test_lib.py"]), @"
    --- stderr
    error: `test_lib.py` belongs to the tests, which are never changed; name the file that they test
    --- exit 2
    ");
}

#[test]
fn tests_that_pass_cost_no_engine() {
    let (sandbox, answer) = told(LIB, &[]);
    assert_snapshot!(answer, @"
    --- stderr
    tests: python3 -m unittest -v
    without a repair: 2 of 2 tests pass
    --- exit 0
    ");
    assert_eq!(sandbox.n_engine_starts(), 0);
}

#[test]
fn a_text_that_does_not_parse_is_repaired_as_the_tests_say() {
    let (_, answer) = told(&LIB.replace("(a + b)", "(a + b"), &[]);
    assert_snapshot!(answer, @"
    --- stdout
    suggestion: safe (parses; 2 of 2 tests pass, 1 file of tests could not be loaded before, 95 % sure)
    --- a/lib.py
    +++ b/lib.py
    @@ -2,4 +2,4 @@
         return a < b
     
     def add(a, b):
    -    return (a + b
    +    return (a + b)
    --- stderr
    tests: python3 -m unittest -v
    without a repair: 1 file of tests cannot be loaded: `test_lib.py::test_lib`
    suspects: lib.py line 5
    1 candidate was tried
    --- exit 1
    ");
}

#[test]
fn where_nothing_helps_it_is_said() {
    let (_, answer) = told(&LIB.replace("a + b", "a * b"), &["--max-candidates", "3"]);
    assert_snapshot!(answer, @"
    --- stderr
    tests: python3 -m unittest -v
    without a repair: 1 of 2 tests fails: `test_lib.py::T::test_add`
    suspects: lib.py line 5
    no suggestion: 1 candidate was tried, and none makes a failing test pass
    --- exit 1
    ");
    let sandbox = Sandbox::new(&[("lib.py", LIB.as_bytes())]);
    let none = sandbox.run(&["test", "lib.py"]);
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("no tests were found"), "{none}");
    assert_eq!(sandbox.run(&["test", "gone.py"]).code, Some(2));
}
