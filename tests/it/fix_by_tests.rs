//! `lastmile fix --tests`: repairs that the tests choose, and changed files that parse and fail them.

use insta::assert_snapshot;
use serde_json::Value;

use crate::repo::{LIB, Said, TestRepo};

/// What `fix --tests` says, without what differs between machines.
fn fix(repo: &TestRepo, args: &[&str], engine: &str) -> Said {
    let mut command = repo.command(env!("CARGO_BIN_EXE_lastmile"));
    command.args(["fix", "--tests"]).args(args).env("LASTMILE_TEST_ENGINE", engine);
    let mut said = repo.run(&mut command);
    let kept = said.stderr.lines().filter(|line| !line.starts_with("warning: no sandbox works here"));
    said.stderr = kept.flat_map(|line| [line, "\n"]).collect();
    said
}

fn is_engine_started(repo: &TestRepo) -> bool {
    repo.base().join("home/engine-was-started").exists()
}

#[test]
fn tests_choose_among_repairs_that_parse() {
    let repo = TestRepo::with_tests();
    repo.write("lib.py", LIB.replace("a + b)", "a + b"));
    let untested = repo
        .command(env!("CARGO_BIN_EXE_lastmile"))
        .args(["fix", "--diff"])
        .env("LASTMILE_TEST_ENGINE", "errs first")
        .output();
    let untested = String::from_utf8(untested.expect("it runs").stdout).expect("UTF-8");
    assert!(untested.contains("+    return (a * b)"), "{untested}");
    let said = fix(&repo, &["--write"], "errs first");
    assert_snapshot!(said, @"
    error: `lib.py` does not parse
     --> lib.py:5:18
      |
    5 |     return (a + b
      |                  ^ unexpected EOF while parsing
    repaired: safe (parses; 2 of 2 tests pass, 1 file of tests could not be loaded before, 95 % sure)
    --- a/lib.py
    +++ b/lib.py
    @@ -2,4 +2,4 @@
         return a < b
     
     def add(a, b):
    -    return (a + b
    +    return (a + b)

    --- stderr
    checked 2 files: 1 does not parse (1 fault), 1 repaired
    --- exit 0
    ");
    assert_eq!(repo.read("lib.py"), LIB);
}

#[test]
fn a_changed_file_that_parses_and_fails_is_mended() {
    let repo = TestRepo::with_tests();
    let wrong = LIB.replace("a + b", "a - b");
    repo.write("lib.py", &wrong);
    repo.write("other.py", "import lib\n");
    assert_snapshot!(fix(&repo, &[], ""), @"
    error: `lib.py` parses, and its tests fail
     |
     = note: 1 of 2 tests fails: `test_lib.py::T::test_add`
    suggestion: needs review (parses; 2 of 2 tests pass, 1 of them failed before)
    --- a/lib.py
    +++ b/lib.py
    @@ -2,4 +2,4 @@
         return a < b
     
     def add(a, b):
    -    return (a - b)
    +    return (a + b)

    --- stderr
    hint: `lastmile fix --tests --write --unsafe` writes it
    checked 3 files: all parse, 1 fails its tests, 1 with a suggestion
    --- exit 1
    ");
    let said = fix(&repo, &["--format", "json", "lib.py"], "");
    let value: Value = serde_json::from_str(&said.stdout).expect("one object");
    assert_eq!(value["kind"], "failing", "{value}");
    assert_eq!(value["suggestion"]["tests"]["verdict"], "improved", "{value}");
    assert_snapshot!(fix(&repo, &["--format", "github"], "").stdout, @"
    ::error file=lib.py,line=5,title=lastmile::its tests fail: 1 of 2 tests fails: `test_lib.py::T::test_add`%0A%0Asuggestion: needs review (parses; 2 of 2 tests pass, 1 of them failed before)%0A--- a/lib.py%0A+++ b/lib.py%0A@@ -2,4 +2,4 @@%0A     return a < b%0A %0A def add(a, b):%0A-    return (a - b)%0A+    return (a + b)%0A
    ");
    let sarif: Value =
        serde_json::from_str(&fix(&repo, &["--format", "sarif"], "").stdout).expect("a document");
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "tests-fail", "{sarif}");
    // It parsed before, so that the tests are all there is to go by.
    assert_eq!(fix(&repo, &["--write"], "").code, Some(1));
    assert_eq!(repo.read("lib.py"), wrong);
    assert_eq!(fix(&repo, &["--write", "--unsafe"], "").code, Some(0));
    assert_eq!(repo.read("lib.py"), LIB);
}

#[test]
fn tests_that_pass_start_no_engine() {
    let repo = TestRepo::with_tests();
    repo.write("lib.py", LIB.replace("def less", "# fine\ndef less"));
    assert_snapshot!(fix(&repo, &[], ""), @"
    --- stderr
    2 of 2 tests pass
    checked 2 files: all parse
    --- exit 0
    ");
    assert!(!is_engine_started(&repo));
}

#[test]
fn one_broken_file_does_not_keep_another_from_its_tests() {
    let repo = TestRepo::with_tests();
    repo.write("lib.py", format!("import other\n{}", LIB.replace("a + b)", "a + b")));
    repo.write("other.py", "x = (1\n");
    let said = fix(&repo, &["--write"], "errs first");
    assert_eq!(said.code, Some(0), "{said}");
    assert_eq!(repo.read("lib.py"), format!("import other\n{LIB}"));
}

#[test]
fn without_tests_it_parses_and_that_is_said() {
    let repo = TestRepo::new();
    repo.write("lib.py", "f(\n");
    assert_snapshot!(fix(&repo, &[], ""), @"
    error: `lib.py` does not parse
     --> lib.py:1:3
      |
    1 | f(
      |   ^ unexpected EOF while parsing
    suggestion: safe (parses, 95 % sure)
    --- a/lib.py
    +++ b/lib.py
    @@ -1 +1 @@
    -f(
    +f()

    --- stderr
    warning: `[repo]` is judged by parsing alone: no tests were found; `tests.command` in lastmile.toml names them
    hint: `lastmile fix --tests --write` writes what is safe, `lastmile fix --tests --diff | git apply` all of it
    checked 1 file: 1 does not parse (1 fault), 1 with a suggestion
    --- exit 1
    ");
    assert_eq!(fix(&repo, &["-"], "").code, Some(2));
}

#[test]
fn a_file_that_no_candidate_mends_is_told_of() {
    let repo = TestRepo::with_tests();
    repo.write("lib.py", LIB.replace("a + b", "a * b"));
    assert_snapshot!(fix(&repo, &[], ""), @"
    error: `lib.py` parses, and its tests fail
     |
     = note: 1 of 2 tests fails: `test_lib.py::T::test_add`
    no suggestion: the engine proposes nothing

    --- stderr
    checked 2 files: all parse, 1 fails its tests
    --- exit 1
    ");
}

/// What is judged is the commit, not what lies on disk by now.
#[test]
fn suggestions_for_a_pull_request_say_what_its_tests_say() {
    let repo = TestRepo::with_tests();
    repo.stage("lib.py", LIB.replace("a + b)", "a + b"));
    repo.git(["commit", "--quiet", "-m", "change"]);
    repo.write("lib.py", "x = 1\n");
    let mut command = repo.command(env!("CARGO_BIN_EXE_lastmile"));
    command
        .args(["pr", "--dry-run", "--tests", "--base", "HEAD~1"])
        .env("LASTMILE_TEST_ENGINE", "errs first");
    let said = repo.run(&mut command);
    assert_eq!(said.code, Some(1), "{said}");
    let suggestion = "```suggestion\n    return (a + b)\n```\n`safe (parses; 2 of 2 tests pass, 1 file of tests could not be \
                      loaded before, 95 % sure)`";
    assert!(said.stdout.contains(suggestion), "{said}");
}
