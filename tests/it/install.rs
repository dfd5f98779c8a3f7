//! `lastmile install` and `lastmile uninstall`.

use std::fs;
use std::path::Path;

use crate::repo::{TestRepo, set_mode};

const FOREIGN: &str = "#!/bin/sh\necho foreign\ntest ! -e refuse\n";

/// A hook of somebody else.
fn put_foreign(repo: &TestRepo, path: &str, text: &str) {
    repo.write(path, text);
    set_mode(&repo.root.join(path), 0o755);
}

/// Names, modes and bytes of all files in a folder.
fn listing(folder: &Path) -> Vec<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut lines: Vec<String> = fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.expect("it is ours").path()).collect::<Vec<_>>())
        .unwrap_or_default()
        .into_iter()
        .map(|path| {
            let meta = path.symlink_metadata().expect("it is there");
            let text = fs::read(&path).unwrap_or_default();
            let link = fs::read_link(&path).unwrap_or_default();
            let (path, link, mode) = (path.display(), link.display(), meta.permissions().mode());
            format!("{path} {mode:o} {link} {}", String::from_utf8_lossy(&text))
        })
        .collect();
    lines.sort();
    lines
}

/// Installs, then uninstalls, and expects the hooks folder to be as it was.
#[track_caller]
fn check_round_trip(repo: &TestRepo, folder: &str, installed: &str, uninstalled: &str) {
    let folder = repo.root.join(folder);
    let before = listing(&folder);
    let said = repo.lastmile(["install"]);
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (Some(0), installed, ""));
    assert_ne!(listing(&folder), before);
    let said = repo.lastmile(["uninstall"]);
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (Some(0), uninstalled, ""));
    assert_eq!(listing(&folder), before);
    assert!(!repo.root.join(".git/lastmile").exists());
}

/// Expects a refusal that changes nothing.
#[track_caller]
fn check_refusal(repo: &TestRepo, folder: &Path, expected: &str) {
    let before = listing(folder);
    let said = repo.lastmile(["install"]);
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (Some(2), "", expected));
    assert_eq!(listing(folder), before);
    assert!(!repo.root.join(".git/lastmile").exists());
}

#[test]
fn comes_and_goes_without_a_trace() {
    let repo = TestRepo::new();
    let (came, went) =
        ("installed `[repo]/.git/hooks/pre-commit`\n", "removed `[repo]/.git/hooks/pre-commit`\n");
    check_round_trip(&repo, ".git/hooks", came, went);
    fs::remove_dir_all(repo.root.join(".git/hooks")).expect("it is ours");
    fs::create_dir(repo.root.join(".git/hooks")).expect("it is ours");
    check_round_trip(&repo, ".git/hooks", came, went);
}

#[test]
fn a_foreign_hook_goes_first_and_comes_back() {
    let repo = TestRepo::new();
    put_foreign(&repo, ".git/hooks/pre-commit", FOREIGN);
    let came = "installed `[repo]/.git/hooks/pre-commit`\n\
                the hook that was there goes first; it is kept as `[repo]/.git/hooks/pre-commit.before-lastmile`\n";
    check_round_trip(&repo, ".git/hooks", came, "put back `[repo]/.git/hooks/pre-commit` as it was\n");

    repo.lastmile(["install"]);
    repo.stage("a.py", "x = 1\n");
    let said = repo.try_git(["commit", "--quiet", "-m", "fine"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), "foreign\n"));
    repo.stage("b.py", "f(\n");
    let said = repo.try_git(["commit", "--quiet", "-m", "broken"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("foreign\n") && said.stderr.contains("`b.py` does not parse"), "{said:?}");
    repo.write("refuse", "");
    let said = repo.try_git(["commit", "--quiet", "-m", "refused"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), "foreign\n"));
}

#[test]
fn a_hook_that_is_a_link_or_not_executable_comes_back_too() {
    let repo = TestRepo::new();
    put_foreign(&repo, "scripts/check", FOREIGN);
    std::os::unix::fs::symlink("../../scripts/check", repo.root.join(".git/hooks/pre-commit"))
        .expect("it is ours");
    let came = "installed `[repo]/.git/hooks/pre-commit`\n\
                the hook that was there goes first; it is kept as `[repo]/.git/hooks/pre-commit.before-lastmile`\n";
    let went = "put back `[repo]/.git/hooks/pre-commit` as it was\n";
    check_round_trip(&repo, ".git/hooks", came, went);
    fs::remove_file(repo.root.join(".git/hooks/pre-commit")).expect("it is ours");
    repo.write(".git/hooks/pre-commit", FOREIGN);
    check_round_trip(&repo, ".git/hooks", came, went);
}

#[test]
fn twice_is_once() {
    let repo = TestRepo::with_hook();
    let before = listing(&repo.root.join(".git/hooks"));
    let said = repo.lastmile(["install"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(0), "`[repo]/.git/hooks/pre-commit` is in place already\n")
    );
    assert_eq!(listing(&repo.root.join(".git/hooks")), before);
    repo.lastmile(["uninstall"]);
    let said = repo.lastmile(["uninstall"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(0), "nothing to remove: `lastmile install` has not put a hook here\n")
    );
}

#[test]
fn a_hook_that_calls_lastmile_is_left_alone() {
    let repo = TestRepo::new();
    put_foreign(&repo, ".git/hooks/pre-commit", "#!/bin/sh\nlastmile hook pre-commit\n");
    let said = repo.lastmile(["install"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(0), "`[repo]/.git/hooks/pre-commit` calls lastmile already\n")
    );
    assert_eq!(repo.read(".git/hooks/pre-commit"), "#!/bin/sh\nlastmile hook pre-commit\n");
    assert_eq!(
        repo.lastmile(["uninstall"]).stdout,
        "nothing to remove: `lastmile install` has not put a hook here\n"
    );
}

#[test]
fn an_edited_hook_is_not_removed() {
    let repo = TestRepo::with_hook();
    let edited = repo.read(".git/hooks/pre-commit") + "echo more\n";
    repo.write(".git/hooks/pre-commit", &edited);
    let said = repo.lastmile(["uninstall"]);
    assert_eq!(said.code, Some(2));
    assert_eq!(
        said.stderr,
        "error: `[repo]/.git/hooks/pre-commit` was changed after `lastmile install`\n\
         hint: take what runs `lastmile hook pre-commit` out of it yourself\n"
    );
    assert_eq!(repo.read(".git/hooks/pre-commit"), edited);
}

#[test]
fn a_program_that_is_gone_does_not_block_commits() {
    let repo = TestRepo::with_hook();
    let shim =
        repo.read(".git/hooks/pre-commit").replace(env!("CARGO_BIN_EXE_lastmile"), "/nowhere/lastmile");
    repo.write(".git/hooks/pre-commit", shim);
    repo.stage("a.py", "f(\n");
    let said = repo
        .run(repo.command("git").env("PATH", "/usr/bin:/bin:/usr/local/bin").args(["commit", "-qm", "x"]));
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (
            Some(0),
            "warning: `lastmile` is not found, so nothing was checked\nhint: install it, or remove this hook: .git/hooks/pre-commit\n"
        )
    );
}

#[test]
fn hooks_path_in_the_working_tree_is_respected() {
    let repo = TestRepo::new();
    repo.git(["config", "core.hooksPath", ".githooks"]);
    let came =
        "installed `[repo]/.githooks/pre-commit`\nit lies in the working tree: commit it to share it\n";
    fs::create_dir(repo.root.join(".githooks")).expect("it is ours");
    check_round_trip(&repo, ".githooks", came, "removed `[repo]/.githooks/pre-commit`\n");
    repo.lastmile(["install"]);
    assert!(repo.read(".githooks/pre-commit").contains("\ninstalled=\n"), "no path of this machine");
    repo.stage("a.py", "f(\n");
    assert_eq!(repo.try_git(["commit", "-qm", "x"]).code, Some(1));
    repo.lastmile(["uninstall"]);
    fs::remove_dir_all(repo.root.join(".git/lastmile")).expect("the suggestion is in it");

    put_foreign(&repo, ".githooks/pre-commit", FOREIGN);
    check_refusal(
        &repo,
        &repo.root.join(".githooks"),
        "error: `[repo]/.githooks/pre-commit` is left as it is: the working tree has a hook of its own there\n\
         hint: add this line to `[repo]/.githooks/pre-commit`:\n\
         lastmile hook pre-commit\n",
    );
}

#[test]
fn hooks_path_elsewhere_is_refused() {
    let repo = TestRepo::new();
    let shared = repo.base().join("shared");
    fs::create_dir(&shared).expect("it is ours");
    repo.git(["config", "--global", "core.hooksPath", "../shared"]);
    check_refusal(
        &repo,
        &shared,
        "error: `[base]/shared/pre-commit` is left as it is: `core.hooksPath` leads out of this repository, where the \
         hook would serve others too\n\
         hint: add this line to `[base]/shared/pre-commit`:\n\
         lastmile hook pre-commit\n",
    );
}

#[test]
fn managers_are_told_in_their_own_words() {
    let repo = TestRepo::new();
    let hook = |text: &str| put_foreign(&repo, ".git/hooks/pre-commit", text);
    let hooks = repo.root.join(".git/hooks");
    let lines = "hint: add these lines to `repos` in `.pre-commit-config.yaml`:\n  - repo: local\n    hooks:\n      \
                 - {id: lastmile, name: lastmile, entry: lastmile hook pre-commit, language: system, types: [file], \
                 require_serial: true}\n";
    let left = "error: `[repo]/.git/hooks/pre-commit` is left as it is:";
    hook("#!/usr/bin/env bash\n# File generated by pre-commit: https://pre-commit.com\n");
    check_refusal(&repo, &hooks, &format!("{left} pre-commit or prek wrote it\n{lines}"));
    hook("#!/bin/sh\n# File generated by prek: https://github.com/j178/prek\n");
    check_refusal(&repo, &hooks, &format!("{left} pre-commit or prek wrote it\n{lines}"));
    hook("#!/bin/sh\ncall_lefthook run \"pre-commit\" \"$@\"\n");
    let jobs = "hint: add these lines to `lefthook.yml`:\npre-commit:\n  jobs:\n    - {name: lastmile, run: lastmile hook pre-commit}\n";
    check_refusal(&repo, &hooks, &format!("{left} lefthook wrote it\n{jobs}"));
    fs::remove_file(hooks.join("pre-commit")).expect("it is ours");

    repo.git(["config", "core.hooksPath", ".husky/_"]);
    put_foreign(&repo, ".husky/_/pre-commit", "#!/usr/bin/env sh\n. \"${0%/*}/h\"\n");
    check_refusal(
        &repo,
        &repo.root.join(".husky/_"),
        "error: `[repo]/.husky/_/pre-commit` is left as it is: husky wrote it\n\
         hint: add this line to `.husky/pre-commit`:\nlastmile hook pre-commit\n",
    );
}

#[test]
fn linked_worktrees_share_the_hook() {
    let repo = TestRepo::new();
    repo.commit_all();
    repo.git(["worktree", "add", "--quiet", "../linked"]);
    let linked = repo.base().join("linked");
    let said = repo.run(repo.command("lastmile").current_dir(&linked).arg("install"));
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), "installed `[repo]/.git/hooks/pre-commit`\n"));
    repo.stage("a.py", "f(\n");
    assert_eq!(repo.try_git(["commit", "-qm", "x"]).code, Some(1));
    assert_eq!(repo.lastmile(["uninstall"]).stdout, "removed `[repo]/.git/hooks/pre-commit`\n");
}

#[test]
fn outside_of_a_repository_it_says_so() {
    let repo = TestRepo::new();
    let said = repo.run(repo.command("lastmile").current_dir(repo.base().join("home")).arg("install"));
    assert_eq!(said.code, Some(2));
    assert!(
        said.stderr.starts_with("error: `.` is not inside a git repository that can be read"),
        "{said:?}"
    );
    repo.git(["init", "--quiet", "--bare", "../bare"]);
    let said = repo.run(repo.command("lastmile").current_dir(repo.base().join("bare")).arg("install"));
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (Some(2), "error: the repository `[base]/bare/` has no working tree\n")
    );
}

#[test]
fn a_hook_before_pushes_goes_beside_the_one_before_commits() {
    let repo = TestRepo::new();
    repo.write("a.py", "f()\n");
    repo.commit_all();
    repo.git(["init", "--quiet", "--bare", "../remote"]);
    repo.git(["remote", "add", "origin", "../remote"]);
    let first = "#!/bin/sh\ncat >seen\n";
    repo.write(".git/hooks/pre-push", first);
    set_mode(&repo.root.join(".git/hooks/pre-push"), 0o755);
    let said = repo.lastmile(["install", "--hook", "pre-commit", "--hook", "pre-push"]);
    assert_eq!(said.code, Some(0), "{said}");
    repo.stage("a.py", "f(\n");
    repo.git(["commit", "--quiet", "--no-verify", "-m", "change"]);
    let pushed = repo.try_git(["push", "--quiet", "origin", "main"]);
    assert_eq!(pushed.code, Some(1), "{pushed}");
    assert!(
        pushed.stdout.contains("`a.py` does not parse") || pushed.stderr.contains("`a.py` does not parse")
    );
    assert!(repo.read("seen").starts_with("refs/heads/main "), "the hook that was there is told, too");
    assert!(repo.lastmile(["install", "--hook", "pre-push"]).stdout.contains("in place already"));
    assert_eq!(repo.lastmile(["uninstall"]).code, Some(0));
    assert_eq!(repo.read(".git/hooks/pre-push"), first);
    assert!(!repo.root.join(".git/hooks/pre-commit").exists());
    assert!(repo.lastmile(["uninstall"]).stdout.contains("nothing to remove"));
}

#[test]
fn an_empty_folder_of_hooks_is_an_error() {
    let repo = TestRepo::new();
    repo.git(["config", "core.hooksPath", ""]);
    let said = repo.lastmile(["install"]);
    assert_eq!(said.code, Some(2));
    assert!(said.stderr.contains("so that git runs no hook"), "{said:?}");
}
