//! `lastmile hook pre-push`, called by git itself on a push to a bare repository.

use insta::assert_snapshot;

use crate::repo::{LIB, Said, TestRepo, set_mode};

/// A repository whose first commit, which passes its tests, is pushed already.
fn pushed() -> TestRepo {
    let repo = TestRepo::with_tests();
    repo.git(["init", "--quiet", "--bare", "../remote"]);
    repo.git(["remote", "add", "origin", "../remote"]);
    repo.git(["push", "--quiet", "--set-upstream", "origin", "main"]);
    repo.write(".git/hooks/pre-push", "#!/bin/sh\nexec lastmile hook pre-push \"$@\"\n");
    set_mode(&repo.root.join(".git/hooks/pre-push"), 0o755);
    repo
}

fn commit(repo: &TestRepo, name: &str, text: impl AsRef<[u8]>) {
    repo.stage(name, text);
    repo.git(["commit", "--quiet", "-m", "change"]);
}

/// What a push says, without what differs between machines.
#[track_caller]
fn push<const N: usize>(repo: &TestRepo, arguments: [&str; N], is_let_through: bool) -> String {
    let state = repo.git_state();
    let mut said: Said = repo.try_git(arguments);
    assert_eq!(said.code == Some(0), is_let_through, "{said}");
    assert!(is_let_through || repo.git_state() == state, "the repository stays as it is");
    let is_ours = |line: &&str| {
        !line.starts_with("warning: no sandbox works here") && !line.starts_with("error: failed to push")
    };
    said.stderr = said.stderr.lines().filter(is_ours).flat_map(|line| [line, "\n"]).collect();
    said.stdout + &said.stderr
}

#[test]
fn what_is_pushed_may_have_any_name() {
    let repo = pushed();
    commit(&repo, "other.py", "f(\n");
    let said = push(&repo, ["push", "origin", "HEAD@{0 seconds ago}:refs/heads/other"], false);
    assert!(said.contains("`other.py` does not parse"), "{said}");
}

#[test]
fn files_that_git_tracks_although_it_ignores_them_are_there_for_tests() {
    let repo = pushed();
    repo.write(".gitignore", "*.json\n");
    repo.write("data.json", "1\n");
    repo.git(["add", "--force", "data.json"]);
    commit(
        &repo,
        "test_data.py",
        "import unittest\n\nclass D(unittest.TestCase):\n    def test_data(self):\n        open('data.json').close()\n",
    );
    push(&repo, ["push", "origin", "main"], true);
}

#[test]
fn what_does_not_parse_is_not_pushed() {
    let repo = pushed();
    commit(&repo, "other.py", "f(\n");
    assert_snapshot!(push(&repo, ["push", "--quiet"], false), @"
    error: `other.py` does not parse
     --> other.py:1:3
      |
    1 | f(
      |   ^ unexpected EOF while parsing
    suggestion: safe (parses, 95 % sure)
    --- a/other.py
    +++ b/other.py
    @@ -1 +1 @@
    -f(
    +f()

    checked 1 file: 1 does not parse (1 fault), 1 with a suggestion
    hint: `git push --no-verify` skips this hook
    ");
    // The file on disk is another one by now; what counts is what is pushed.
    repo.write("other.py", "f()\n");
    push(&repo, ["push", "--quiet"], false);
    commit(&repo, "other.py", "f()\n");
    repo.write("other.py", "f(\n");
    push(&repo, ["push", "--quiet"], true);
}

#[test]
fn what_fails_tests_that_passed_is_not_pushed() {
    let repo = pushed();
    commit(&repo, "lib.py", LIB.replace("a + b", "a - b"));
    // Neither what is on disk nor what git does not know is in the copy.
    repo.write("lib.py", LIB);
    repo.write("test_more.py", "import lib\n\nassert False\n");
    assert_snapshot!(push(&repo, ["push", "--quiet"], false), @"
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

    checked 1 file: all parse, 1 fails its tests, 1 with a suggestion
    hint: `git push --no-verify` skips this hook
    ");
    assert_eq!(repo.read("lib.py"), LIB);
    repo.write(".git/hooks/pre-push", "#!/bin/sh\nexec lastmile hook pre-push --no-tests \"$@\"\n");
    push(&repo, ["push", "--quiet"], true);
}

#[test]
fn tests_that_failed_before_do_not_count() {
    let repo = pushed();
    commit(&repo, "lib.py", LIB.replace("a + b", "a * b"));
    repo.git(["push", "--quiet", "--no-verify"]);
    commit(&repo, "lib.py", format!("# new\n{}", LIB.replace("a + b", "a * b")));
    assert_snapshot!(push(&repo, ["push", "--quiet"], true), @"
    1 of 2 tests fails: `test_lib.py::T::test_add`, as before these commits
    ");
}

#[test]
fn new_branches_tags_and_deletions() {
    let repo = pushed();
    repo.git(["switch", "--quiet", "--create", "more"]);
    commit(&repo, "notes.txt", "text\n");
    commit(&repo, "other.py", "x = 1\n");
    assert_eq!(push(&repo, ["push", "--quiet", "origin", "more"], true), "");
    commit(&repo, "other.py", "f(\n");
    repo.git(["tag", "v1"]);
    assert!(push(&repo, ["push", "--quiet", "origin", "v1"], false).contains("`other.py` does not parse"));
    assert_eq!(push(&repo, ["push", "--quiet", "origin", ":more"], true), "");
    // Nothing of ours has been there yet.
    repo.git(["init", "--quiet", "--bare", "../empty"]);
    assert!(
        push(&repo, ["push", "--quiet", "../empty", "more"], false).contains("`other.py` does not parse")
    );
}

#[test]
fn nothing_of_python_runs_no_tests_and_starts_no_engine() {
    let repo = pushed();
    commit(&repo, "notes.txt", "text\n");
    assert_eq!(push(&repo, ["push", "--quiet"], true), "");
    commit(&repo, "lib.py", LIB.replace("def less", "# fine\ndef less"));
    assert_snapshot!(push(&repo, ["push", "--quiet"], true), @"
    2 of 2 tests pass
    ");
    assert!(!repo.base().join("home/engine-was-started").exists());
}

/// As pre-commit and prek name what is pushed.
#[test]
fn variables_say_what_is_pushed() {
    let repo = pushed();
    let before = repo.git(["rev-parse", "HEAD"]);
    commit(&repo, "other.py", "f(\n");
    let mut command = repo.command(env!("CARGO_BIN_EXE_lastmile"));
    command
        .args(["hook", "pre-push"])
        .env("PRE_COMMIT_FROM_REF", before.trim())
        .env("PRE_COMMIT_TO_REF", "HEAD");
    assert_eq!(repo.run(&mut command).code, Some(1));
    command.env("PRE_COMMIT_TO_REF", before.trim());
    assert_eq!(repo.run(&mut command).code, Some(0));
}

#[test]
fn tests_that_are_gone_from_disk_count() {
    let repo = pushed();
    repo.git(["rm", "--quiet", "lastmile.toml"]);
    commit(&repo, "lib.py", LIB.replace("a + b", "a - b"));
    std::fs::remove_file(repo.root.join("test_lib.py")).expect("it is ours");
    assert!(push(&repo, ["push", "--quiet"], false).contains("`lib.py` parses, and its tests fail"));
}
