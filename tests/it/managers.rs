//! The real pre-commit and prek run `.pre-commit-hooks.yaml`.

use std::path::{Path, PathBuf};

use crate::repo::{Said, TestRepo};

const BROKEN: &str = "f(\na = 1\nb = 2\nc = 3\n";
const REPAIRED: &str = "f()\na = 1\nb = 2\nc = 3\n";

/// The program on PATH or in the project's `.venv`. Where it is missing the test passes, except in CI.
fn manager(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin");
    let found = std::env::split_paths(&path)
        .chain([venv])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "CI must have {name} (`make tools`)");
    found
}

/// A repository that takes `id` from a clone of this project, as people do from its address.
fn repository(program: &Path, id: &str) -> TestRepo {
    let repo = TestRepo::new();
    let project = repo.base().join("project");
    let manifest = include_str!("../../.pre-commit-hooks.yaml");
    std::fs::create_dir(&project).expect("it is ours");
    std::fs::write(project.join(".pre-commit-hooks.yaml"), manifest).expect("it is ours");
    repo.git(["-C", "../project", "init", "--quiet"]);
    repo.git(["-C", "../project", "add", "--all"]);
    repo.git(["-C", "../project", "commit", "--quiet", "-m", "release"]);
    repo.git(["-C", "../project", "tag", "v1"]);
    let address = project.display();
    repo.write(
        ".pre-commit-config.yaml",
        format!("repos:\n- repo: {address}\n  rev: v1\n  hooks:\n  - id: {id}\n"),
    );
    repo.git(["add", "--all"]);
    let said = run(&repo, program, &["install"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    repo
}

fn run(repo: &TestRepo, program: &Path, arguments: &[&str]) -> Said {
    repo.run(repo.command(program).args(arguments))
}

#[track_caller]
fn commit(repo: &TestRepo, code: i32) -> String {
    let before = (repo.git(["stash", "list"]), repo.git(["ls-files", "--stage"]));
    let said = repo.try_git(["commit", "--quiet", "-m", "change"]);
    assert_eq!(said.code, Some(code), "{said:?}");
    assert_eq!((repo.git(["stash", "list"]), repo.git(["ls-files", "--stage"])), before);
    said.stdout + &said.stderr
}

fn shows(program: &Path) {
    let repo = repository(program, "lastmile");
    repo.stage("a b.py", "x = 1\n");
    commit(&repo, 0);
    repo.stage("a b.py", BROKEN);
    repo.stage("-x.py", BROKEN);
    repo.stage("notes.txt", BROKEN);
    let said = commit(&repo, 1);
    assert!(said.contains("`a b.py` does not parse") && said.contains("`-x.py` does not parse"), "{said}");
    assert!(said.contains("`SKIP=lastmile git commit` to skip this hook"), "{said}");
    assert_eq!(repo.read("a b.py"), BROKEN);
    assert_eq!(repo.lastmile(["apply"]).code, Some(0));
    assert_eq!((repo.read("a b.py").as_str(), repo.read("-x.py").as_str()), (REPAIRED, REPAIRED));
    repo.git(["add", "--all"]);
    commit(&repo, 0);
}

/// Unstaged edits elsewhere in the file: the manager hides them while hooks run, then brings them back.
fn writes(program: &Path) {
    let repo = repository(program, "lastmile-write");
    repo.stage("a.py", BROKEN);
    let said = commit(&repo, 1);
    assert!(said.contains("repaired: safe"), "{said}");
    assert_eq!((repo.read("a.py").as_str(), repo.git(["show", ":a.py"]).as_str()), (REPAIRED, BROKEN));

    repo.stage("a.py", BROKEN);
    let edited = BROKEN.replace("c = 3", "c = 'mine'");
    repo.write("a.py", &edited);
    commit(&repo, 1);
    let after = repo.read("a.py");
    assert!(after == edited || after == edited.replace("f(\n", "f()\n"), "{after}");
    assert!(after.contains("'mine'"));
}

fn runs_on_all_files(program: &Path) {
    let repo = repository(program, "lastmile");
    repo.stage("a.py", BROKEN);
    repo.commit_all();
    let said = run(&repo, program, &["run", "--all-files"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stdout.contains("`a.py` does not parse"), "{said:?}");
}

/// The configuration without the network, as hooks/README.md prints it.
fn runs_as_a_local_hook(program: &Path) {
    let manual = include_str!("../../hooks/README.md");
    let blocks = manual.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let local: Vec<_> = blocks.filter(|block| block.contains("repo: local")).collect();
    assert_eq!(local.len(), 1);
    let repo = TestRepo::new();
    repo.write(".pre-commit-config.yaml", local[0]);
    repo.git(["add", "--all"]);
    assert_eq!(run(&repo, program, &["install"]).code, Some(0));
    repo.stage("a.py", BROKEN);
    assert!(commit(&repo, 1).contains("`a.py` does not parse"));
    repo.stage("a.py", REPAIRED);
    commit(&repo, 0);
}

fn all(name: &str) {
    let Some(program) = manager(name) else { return };
    runs_as_a_local_hook(&program);
    shows(&program);
    writes(&program);
    runs_on_all_files(&program);
}

#[test]
fn pre_commit() {
    all("pre-commit");
}

#[test]
fn prek() {
    all("prek");
}
