//! `lastmile hook pre-commit`, run by git in each of the ways in which people commit.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use crate::repo::{Said, TestRepo, set_mode};

const BROKEN: &str = "f(\na = 1\nb = 2\nc = 3\n";
const REPAIRED: &str = "f()\na = 1\nb = 2\nc = 3\n";

/// Commits, and expects that besides the commit itself nothing of git's changed.
#[track_caller]
fn commit<const N: usize>(repo: &TestRepo, arguments: [&str; N], code: i32) -> Said {
    let before = repo.git_state();
    let said = repo.run(repo.command("git").args(["commit", "--quiet", "-m", "change"]).args(arguments));
    assert_eq!(said.code, Some(code), "{said:?}");
    if code != 0 {
        assert_eq!(repo.git_state(), before, "the index, the stash and the references stay");
    }
    assert!(!repo.root.join(".git/index.lock").exists());
    said
}

/// The name of the only patch.
#[track_caller]
fn only_patch(repo: &TestRepo, folder: &str) -> String {
    let patches = repo.patches(folder);
    assert_eq!(patches.len(), 1, "{patches:?}");
    format!("{folder}/{}", patches[0])
}

#[test]
fn what_parses_is_committed_without_a_word() {
    let repo = TestRepo::with_hook();
    repo.stage("a.py", "x = 1\n");
    repo.stage("notes.txt", "f(\n");
    let said = commit(&repo, [], 0);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
    let marker = repo.base().join("home/engine-was-started");
    assert!(!marker.exists());
    repo.stage("a.py", BROKEN);
    commit(&repo, [], 1);
    assert!(marker.exists());
}

#[test]
fn the_index_keeps_its_bytes() {
    let repo = TestRepo::with_writing_hook();
    repo.stage("a.py", BROKEN);
    repo.stage("b.py", "x = 1\n");
    let index = || fs::read(repo.root.join(".git/index")).expect("it is there");
    let before = index();
    let said = repo.lastmile(["hook", "pre-commit", "--write"]);
    assert_eq!((said.code, repo.read("a.py").as_str()), (Some(1), REPAIRED));
    assert_eq!(index(), before);
    repo.lastmile(["apply"]);
    assert_eq!(index(), before);
}

#[test]
fn a_working_tree_that_is_named() {
    let repo = TestRepo::with_writing_hook();
    repo.stage("a.py", BROKEN);
    let said = repo.run(repo.command("git").args(["--git-dir=.git", "--work-tree=.", "commit", "-qm", "x"]));
    assert_eq!((said.code, repo.read("a.py").as_str()), (Some(1), REPAIRED), "{said:?}");
}

#[test]
fn a_flag_that_does_not_exist_is_no_file() {
    let repo = TestRepo::new();
    repo.stage("-a.py", BROKEN);
    assert_eq!(repo.lastmile(["hook", "pre-commit", "-a.py"]).code, Some(1));
    let said = repo.lastmile(["hook", "pre-commit", "--format", "json"]);
    assert_eq!(said.code, Some(2));
    assert_eq!(said.stderr, "error: `--format` is neither a flag nor a file that git tracks\n");
}

#[test]
fn a_working_tree_far_from_its_repository() {
    let repo = TestRepo::new();
    repo.git(["init", "--quiet", "--bare", "../dotfiles"]);
    let git = |arguments: &[&str]| {
        repo.run(repo.command("git").args(["--git-dir=../dotfiles", "--work-tree=."]).args(arguments))
    };
    repo.write("../dotfiles/hooks/pre-commit", "#!/bin/sh\nexec lastmile hook pre-commit --write\n");
    set_mode(&repo.base().join("dotfiles/hooks/pre-commit"), 0o755);
    repo.write("bin/a.py", BROKEN);
    assert_eq!(git(&["add", "bin/a.py"]).code, Some(0));
    let said = git(&["commit", "-qm", "x"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("repaired: safe"), "{said:?}");
    assert_eq!(repo.read("bin/a.py"), REPAIRED);
    assert_eq!(repo.patches("../dotfiles/lastmile").len(), 1);
}

#[test]
fn inside_of_a_submodule() {
    let repo = TestRepo::new();
    repo.git(["init", "--quiet", "../other"]);
    repo.git(["-C", "../other", "commit", "--quiet", "--allow-empty", "-m", "x"]);
    repo.git(["submodule", "--quiet", "add", "../other", "sub"]);
    let inside = |program: &str, arguments: &[&str]| {
        repo.run(repo.command(program).current_dir(repo.root.join("sub")).args(arguments))
    };
    let said = inside("lastmile", &["install"]);
    assert_eq!(said.stdout, "installed `[repo]/.git/modules/sub/hooks/pre-commit`\n", "{said:?}");
    repo.write("sub/a.py", BROKEN);
    inside("git", &["add", "a.py"]);
    assert_eq!(inside("git", &["commit", "-qm", "x"]).code, Some(1));
    assert_eq!(inside("lastmile", &["apply"]).code, Some(0));
    assert_eq!(repo.read("sub/a.py"), REPAIRED);
    assert_eq!(inside("git", &["commit", "-qam", "x"]).code, Some(0));
}

#[test]
fn runs_side_by_side_do_not_meet() {
    let repo = TestRepo::new();
    for idx in 0..4 {
        repo.stage(&format!("f{idx}.py"), BROKEN);
    }
    let run = || {
        let mut command = repo.command(env!("CARGO_BIN_EXE_lastmile"));
        command.args(["hook", "pre-commit", "--write"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("it starts")
    };
    for mut child in [run(), run(), run(), run()] {
        assert_eq!(child.wait().expect("it was started").code(), Some(1));
    }
    for idx in 0..4 {
        assert_eq!(repo.read(format!("f{idx}.py")), REPAIRED);
    }
    assert_eq!(repo.patches(".git/lastmile").len(), 4);
}

#[test]
fn a_fault_is_shown_with_its_repair() {
    let repo = TestRepo::with_hook();
    repo.stage("src/a b.py", BROKEN);
    repo.write("../repaired", REPAIRED);
    let said = commit(&repo, [], 1);
    let patch = only_patch(&repo, ".git/lastmile");
    // A tab ends a name with a blank in it.
    let shown = said.stderr.replace(&patch, "PATCH").replace("\t\n", "\n");
    insta::assert_snapshot!(shown, @r"
    error: `src/a b.py` does not parse
     --> src/a b.py:3:1
      |
    3 | b = 2
      | ^ Expected `,`, found name
    4 | c = 3
      | ^    ^ unexpected EOF while parsing
      | |
      | Expected `,`, found name
    suggestion: safe (parses, 95 % sure)
    --- a/src/a b.py
    +++ b/src/a b.py
    @@ -1,4 +1,4 @@
    -f(
    +f()
     a = 1
     b = 2
     c = 3

    checked 1 file: 1 does not parse (3 faults), 1 with a suggestion
    hint: run `lastmile apply 'src/a b.py'` to accept it, or `git commit --no-verify` to skip this hook
    hint: it is saved as a patch, too: `git apply PATCH`
    ");
    assert_eq!(repo.read("src/a b.py"), BROKEN, "shown, not written");
    let ids = [repo.git(["rev-parse", ":src/a b.py"]), repo.git(["hash-object", "../repaired"])];
    let [before, after] = ids.each_ref().map(|id| id.trim_end());
    assert_eq!(
        repo.read(&patch),
        format!(
            "diff --git a/src/a b.py b/src/a b.py\nindex {before}..{after}\n--- a/src/a b.py\n+++ b/src/a b.py\n\
             @@ -1,4 +1,4 @@\n-f(\n+f()\n a = 1\n b = 2\n c = 3\n"
        )
    );
    repo.git(["apply", &patch]);
    assert_eq!(repo.read("src/a b.py"), REPAIRED);
}

#[test]
fn the_staged_text_is_judged_not_the_file() {
    let repo = TestRepo::with_hook();
    repo.stage("a.py", "x = 1\n");
    repo.write("a.py", BROKEN);
    commit(&repo, [], 0);
    repo.git(["add", "a.py"]);
    repo.write("a.py", "x = 2\n");
    let said = commit(&repo, [], 1);
    assert!(
        said.stderr.contains("hint: `a.py`: the file on disk has no fault; stage it: `git add -- a.py`\n"),
        "{said:?}"
    );
    assert_eq!(repo.read("a.py"), "x = 2\n");
}

#[test]
fn commit_all_and_commit_path_are_judged_by_their_own_index() {
    let repo = TestRepo::with_hook();
    for name in ["a.py", "b.py", "c.py"] {
        repo.stage(name, "x = 1\n");
    }
    commit(&repo, [], 0);
    repo.stage("a.py", BROKEN);
    repo.write("b.py", "x = 2\n");
    repo.write("c.py", BROKEN);
    // What is staged in `a.py` is not part of this commit.
    commit(&repo, ["b.py"], 0);
    assert_eq!(repo.git(["show", ":a.py"]), BROKEN);
    let said = commit(&repo, ["c.py"], 1);
    assert!(said.stderr.contains("`c.py` does not parse") && !said.stderr.contains("`a.py`"), "{said:?}");
    repo.git(["reset", "--quiet"]);
    repo.git(["checkout", "a.py"]);
    let said = commit(&repo, ["--all"], 1);
    assert!(said.stderr.contains("`c.py` does not parse") && !said.stderr.contains("--cached"), "{said:?}");
    assert_eq!(repo.lastmile(["apply"]).code, Some(0));
    assert_eq!(repo.read("c.py"), REPAIRED);
    commit(&repo, ["--all"], 0);
}

#[test]
fn linked_worktrees_and_subdirectories() {
    let repo = TestRepo::with_hook();
    repo.commit_all();
    repo.git(["worktree", "add", "--quiet", "../linked"]);
    let folder = repo.base().join("linked/deep/er");
    fs::create_dir_all(&folder).expect("it is ours");
    fs::write(folder.join("a.py"), BROKEN).expect("it is ours");
    let run = |program: &str, arguments: &[&str]| {
        repo.run(repo.command(program).current_dir(&folder).args(arguments))
    };
    assert_eq!(run("git", &["add", "."]).code, Some(0));
    let said = run("git", &["commit", "-qm", "x"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("--> deep/er/a.py:3:1"), "{said:?}");
    let patch = only_patch(&repo, ".git/worktrees/linked/lastmile");
    let line = format!("git -C [base]/linked apply [repo]/{patch}");
    assert!(said.stderr.contains(&format!("`{line}`")), "{said:?}");
    assert_eq!(repo.patches(".git/lastmile"), [""; 0]);
    // The line works as it is printed, from the folder of the commit.
    let line = line
        .replace("[base]", &repo.base().to_string_lossy())
        .replace("[repo]", &repo.root.to_string_lossy());
    assert_eq!(run("sh", &["-c", &line]).code, Some(0));
    assert_eq!(fs::read_to_string(folder.join("a.py")).expect("it is there"), REPAIRED);
    assert_eq!(run("lastmile", &["apply"]).code, Some(0));
    assert_eq!(run("git", &["commit", "-qam", "x"]).code, Some(0));
}

#[test]
fn a_partly_staged_file_is_merged_where_nothing_is_lost() {
    let repo = TestRepo::with_writing_hook();
    repo.stage("a.py", BROKEN);
    let edited = BROKEN.replace("c = 3", "c = 'mine'");
    repo.write("a.py", &edited);
    let said = commit(&repo, [], 1);
    assert!(said.stdout.is_empty() && said.stderr.contains("repaired: safe"), "{said:?}");
    assert_eq!(repo.read("a.py"), edited.replace("f(\n", "f()\n"));
    assert_eq!(repo.git(["show", ":a.py"]), BROKEN, "staging is left to people");
}

#[test]
fn a_partly_staged_file_that_conflicts_is_left_as_it_is() {
    let repo = TestRepo::with_writing_hook();
    repo.stage("a.py", BROKEN);
    let edited = BROKEN.replace("f(", "f(mine");
    repo.write("a.py", &edited);
    let said = commit(&repo, [], 1);
    assert_eq!(repo.read("a.py"), edited);
    let patch = only_patch(&repo, ".git/lastmile");
    let line = format!("git apply --cached {patch}");
    assert!(said.stderr.contains("lines of the repair were edited since they were staged"), "{said:?}");
    assert!(
        said.stderr.contains(&format!("hint: to repair what is staged, and only that: `{line}`\n")),
        "{said:?}"
    );
    assert_eq!(repo.run(repo.command("sh").args(["-c", &line])).code, Some(0));
    assert_eq!(repo.git(["show", ":a.py"]), REPAIRED);
    commit(&repo, [], 0);
    assert_eq!(repo.read("a.py"), edited);
}

#[test]
fn a_setting_lets_the_hook_write() {
    let repo = TestRepo::with_hook();
    repo.stage("lastmile.toml", "[hook]\nwrite = true\n");
    repo.stage("a.py", BROKEN);
    commit(&repo, [], 1);
    assert_eq!((repo.read("a.py").as_str(), repo.git(["show", ":a.py"]).as_str()), (REPAIRED, BROKEN));
}

#[test]
fn what_needs_review_is_not_written() {
    let repo = TestRepo::with_writing_hook();
    repo.write("../models/python/model.toml", "");
    repo.stage("a.py", BROKEN);
    let said = commit(&repo, [], 1);
    assert!(said.stderr.contains("suggestion: needs review (parses)"), "{said:?}");
    assert_eq!(repo.read("a.py"), BROKEN);
}

/// Stages `bytes` and expects the file on disk to become `expected`.
#[track_caller]
fn check_bytes(name: &[u8], bytes: &[u8], expected: &[u8]) {
    let repo = TestRepo::with_writing_hook();
    repo.write(OsStr::from_bytes(name), bytes);
    repo.git(["add", "--all"]);
    commit(&repo, [], 1);
    let after = fs::read(repo.root.join(OsStr::from_bytes(name))).expect("it is there");
    assert_eq!(String::from_utf8_lossy(&after), String::from_utf8_lossy(expected));
    assert_eq!(repo.patches(".git/lastmile").len(), 1);
    repo.git(["add", "--all"]);
    commit(&repo, [], 0);
    assert_eq!(repo.patches(".git/lastmile").len(), 0);
}

#[test]
fn bytes_around_the_repair_stay() {
    check_bytes(b"crlf.py", b"f(\r\nx = 1\r\n", b"f()\r\nx = 1\r\n");
    check_bytes(b"mixed.py", b"f(\r\nx = 1\ny = 2", b"f()\r\nx = 1\ny = 2");
    check_bytes(b"bom.py", b"\xef\xbb\xbff(\n", b"\xef\xbb\xbff()\n");
    check_bytes(b"bare.py", b"f(", b"f()");
    check_bytes(b"latin.py", b"# coding: latin-1\nf('\xe9'\n", b"# coding: latin-1\nf('\xe9')\n");
    check_bytes(b"script", b"#!/usr/bin/env python3\nf(\n", b"#!/usr/bin/env python3\nf()\n");
}

#[test]
fn any_name_will_do() {
    for name in [
        &b"two words.py"[..],
        b"new\nline.py",
        b"-x.py",
        b"--write.py",
        b"\xff\xfe.py",
        b"it's \"q\" \\.py",
        b":(top)a.py",
    ] {
        check_bytes(name, b"f(\n", b"f()\n");
    }
}

/// Brings the repository into a state in which the hook has nothing to judge, and says why.
#[track_caller]
fn check_left_alone(prepare: impl Fn(&TestRepo), why: &str) {
    let repo = TestRepo::new();
    repo.stage("old.py", "x = 1\n");
    repo.commit_all();
    prepare(&repo);
    let before = (repo.git_state(), repo.git(["status", "--porcelain"]));
    let said = repo.lastmile(["hook", "pre-commit", "--write", "--verbose"]);
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (Some(0), "", why));
    assert_eq!((repo.git_state(), repo.git(["status", "--porcelain"])), before);
}

#[test]
fn states_of_the_index_that_hold_no_text_of_ours() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n";
    check_left_alone(|_| {}, "");
    check_left_alone(
        |repo| {
            repo.write("a.py", BROKEN);
            repo.git(["add", "--intent-to-add", "a.py"]);
        },
        "warning: `a.py` is not judged: only the intent to add it is staged\n",
    );
    check_left_alone(|repo| _ = repo.git(["rm", "--quiet", "old.py"]), "");
    check_left_alone(|repo| _ = repo.git(["mv", "old.py", "new.py"]), "");
    check_left_alone(|repo| _ = repo.git(["update-index", "--chmod=+x", "old.py"]), "");
    check_left_alone(
        |repo| {
            std::os::unix::fs::symlink("f(", repo.root.join("a.py")).expect("it is ours");
            repo.git(["add", "a.py"]);
        },
        "warning: `a.py` is not judged: it is a symbolic link\n",
    );
    check_left_alone(
        |repo| {
            repo.git(["init", "--quiet", "../other"]);
            repo.git(["-C", "../other", "commit", "--quiet", "--allow-empty", "-m", "x"]);
            repo.git(["submodule", "--quiet", "add", "../other", "sub"]);
        },
        "warning: `sub` is not judged: it is a submodule\n",
    );
    check_left_alone(
        |repo| repo.stage("a.py", pointer),
        "warning: `a.py` is not judged: it is a pointer of Git LFS\n",
    );
    check_left_alone(
        |repo| {
            repo.write(".gitattributes", "*.py filter=secret\n");
            repo.stage("a.py", BROKEN);
        },
        "warning: `a.py` is not judged: the filter `secret` stores it in another form\n",
    );
    check_left_alone(
        |repo| {
            repo.write(".gitattributes", "*.py working-tree-encoding=UTF-16LE\n");
            repo.stage("a.py", BROKEN.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
        },
        "warning: `a.py` is not judged: it is written in `UTF-16LE` on disk\n",
    );
    check_left_alone(
        |repo| repo.stage("a.py", b"f(\xe9\n"),
        "warning: `a.py` is not judged: byte 2 is not valid UTF-8, and no coding line names another encoding\n",
    );
    check_left_alone(
        |repo| {
            repo.write("lastmile.toml", "[files]\nexclude = ['vendor/']\nmax_kib = 1\n");
            repo.stage("vendor/a.py", BROKEN);
            repo.stage("b.py", BROKEN.repeat(100));
        },
        "warning: `b.py` is not judged: it is 3 KiB; the limit is 1 KiB (`files.max_kib`)\n",
    );
}

#[test]
fn only_the_intent_to_add_stays_only_that() {
    let repo = TestRepo::with_writing_hook();
    repo.write("new.py", BROKEN);
    repo.git(["add", "--intent-to-add", "new.py"]);
    repo.stage("a.py", "x = 1\n");
    commit(&repo, [], 0);
    assert_eq!(
        (repo.read("new.py").as_str(), repo.git(["status", "--porcelain"]).as_str()),
        (BROKEN, " A new.py\n")
    );
}

#[test]
fn a_renamed_file_is_judged() {
    let repo = TestRepo::with_hook();
    repo.stage("a.py", BROKEN);
    repo.commit_all();
    repo.git(["mv", "a.py", "b.py"]);
    assert!(commit(&repo, [], 1).stderr.contains("`b.py` does not parse"));
}

#[test]
fn a_fault_that_was_there_before_is_reported_when_the_file_is_touched() {
    let repo = TestRepo::with_hook();
    repo.stage("a.py", BROKEN);
    repo.commit_all();
    repo.stage("b.py", "x = 1\n");
    commit(&repo, [], 0);
    repo.stage("a.py", format!("{BROKEN}d = 4\n"));
    commit(&repo, [], 1);
    repo.stage("a.py", format!("# lastmile: ignore-file\n{BROKEN}d = 4\n"));
    commit(&repo, [], 0);
}

#[test]
fn unmerged_files_are_left_to_people() {
    let repo = TestRepo::new();
    conflict(&repo);
    let said = repo.lastmile(["hook", "pre-commit", "--verbose", "a.py", "none.py"]);
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (
            Some(0),
            "warning: `a.py` is not judged: it is unmerged\nwarning: `none.py` is not judged: git does not track it\n"
        )
    );
}

/// A merge that stopped at `a.py`, and brought `theirs.py`, which is broken.
fn conflict(repo: &TestRepo) {
    repo.stage("a.py", "x = 1\n");
    repo.commit_all();
    repo.git(["switch", "--quiet", "--create", "theirs"]);
    repo.stage("a.py", "x = 2\n");
    repo.stage("theirs.py", BROKEN);
    repo.commit_all();
    repo.git(["switch", "--quiet", "main"]);
    repo.stage("a.py", "x = 3\n");
    repo.commit_all();
    assert_eq!(repo.try_git(["merge", "theirs"]).code, Some(1));
}

#[test]
fn a_merge_answers_for_its_own_lines_only() {
    let repo = TestRepo::with_hook();
    conflict(&repo);
    repo.stage("a.py", "x = (\n");
    let said = commit(&repo, [], 1);
    assert!(said.stderr.contains("`a.py` does not parse") && !said.stderr.contains("theirs.py"), "{said:?}");
    repo.stage("a.py", "x = 4\n");
    commit(&repo, [], 0);
}

/// Commits a fault with an engine that misbehaves; what is reported must stay the same.
#[track_caller]
fn check_engine(how: &str, settings: &str, expected: &str) {
    let repo = TestRepo::with_hook();
    repo.write("lastmile.toml", settings);
    repo.stage("a.py", BROKEN);
    let said = repo.run(repo.command("git").env("LASTMILE_TEST_ENGINE", how).args(["commit", "-qm", "x"]));
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.starts_with("error: `a.py` does not parse\n"), "{said:?}");
    let (_, end) = said.stderr.split_once("no suggestion: ").unwrap_or_else(|| panic!("{said:?}"));
    assert_eq!(end, expected);
    assert_eq!(repo.read("a.py"), BROKEN);
}

#[test]
fn an_engine_that_fails_hides_no_fault() {
    let skip = "hint: `git commit --no-verify` skips this hook\n";
    let summary = "checked 1 file: 1 does not parse (3 faults)\n";
    check_engine("knows nothing", "", &format!("the engine found nothing that parses\n\n{summary}{skip}"));
    check_engine(
        "dies",
        "",
        &format!(
            "the engine gave no answer\n\n{summary}warning: `[base]/bin/lastmile-engine` ended without an answer (exit \
             status: 1)\n  out of memory\nhint: run `lastmile doctor` to see what was found\n{skip}"
        ),
    );
    check_engine(
        "sleeps",
        "[repair]\nbudget_ms = 100\n[engine]\ngrace_ms = 100\n",
        &format!(
            "the engine gave no answer\n\n{summary}warning: `[base]/bin/lastmile-engine` gave no answer within 0.2 s\n\
             hint: raise `engine.grace_ms` or lower `repair.budget_ms` in lastmile.toml\n{skip}"
        ),
    );
}

#[test]
fn time_for_repairs_runs_out_and_faults_are_still_told() {
    let repo = TestRepo::with_hook();
    repo.write(
        "lastmile.toml",
        "[repair]\nbudget_ms = 300\n[engine]\ngrace_ms = 0\n[hook]\nbudget_ms = 250\n",
    );
    repo.stage("a.py", BROKEN);
    repo.stage("b.py", BROKEN);
    let said =
        repo.run(repo.command("git").env("LASTMILE_TEST_ENGINE", "sleeps").args(["commit", "-qm", "x"]));
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr.contains("`a.py` does not parse") && said.stderr.contains("`b.py` does not parse"),
        "{said:?}"
    );
    assert!(
        said.stderr.contains("no suggestion: the time for repairs is up (`hook.budget_ms`)\n"),
        "{said:?}"
    );
}

#[test]
fn an_index_that_libgit2_cannot_read_is_listed_by_git() {
    let repo = TestRepo::with_hook();
    repo.stage("in/a.py", "x = 1\n");
    repo.stage("out/b.py", "x = 1\n");
    repo.commit_all();
    repo.git(["sparse-checkout", "set", "--cone", "--sparse-index", "in"]);
    repo.stage("in/a.py", BROKEN);
    assert!(commit(&repo, [], 1).stderr.contains("`in/a.py` does not parse"));
    assert_eq!(repo.lastmile(["hook", "pre-commit", "in/a.py"]).code, Some(1));
    repo.stage("in/a.py", "x = 2\n");
    commit(&repo, [], 0);

    let repo = TestRepo::with_hook();
    repo.git(["update-index", "--split-index"]);
    repo.stage("a\n b.py", BROKEN);
    assert_eq!(commit(&repo, [], 1).code, Some(1));
    repo.stage("a\n b.py", "x = 2\n");
    commit(&repo, [], 0);
}

#[test]
fn many_files_are_judged_in_order() {
    let repo = TestRepo::with_hook();
    for idx in 0..300 {
        repo.write(format!("f{idx:03}.py"), if idx % 100 == 7 { "f(\n" } else { "x = 1\n" });
    }
    repo.git(["add", "--all"]);
    let said = commit(&repo, [], 1);
    let named: Vec<_> = said.stderr.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    assert_eq!(named, ["`f007.py` does not parse", "`f107.py` does not parse", "`f207.py` does not parse"]);
    assert!(said.stderr.ends_with(
        "hint: run `lastmile apply f007.py f107.py f207.py` to accept these 3, or `git commit --no-verify` to skip this hook\n"
    ));
}

#[test]
fn a_suggestion_that_cannot_be_saved_is_shown() {
    let repo = TestRepo::with_writing_hook();
    repo.stage("a.py", BROKEN);
    repo.write(".git/lastmile", "in the way");
    let said = commit(&repo, [], 1);
    assert!(said.stderr.contains("suggestion: safe (parses"), "{said:?}");
    assert!(
        said.stderr.contains("warning: failed to save the suggestion as `[repo]/.git/lastmile/a.py-"),
        "{said:?}"
    );
    assert_eq!(repo.read("a.py"), BROKEN);
}
