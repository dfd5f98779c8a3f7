//! What is in a copy, and what is not.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use lastmile::io::tree::{Limits, Reason, Source, Survey, TreeError, copy_tree, read_result};

use crate::project::{LIMITS, Project};

/// Every file and link of a copy.
fn listed(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("it is a folder").flatten() {
            if entry.file_type().expect("it has one").is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder).expect("below").to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

fn copy(project: &Project, overlay: &[(PathBuf, Vec<u8>)]) -> (Survey, PathBuf) {
    let into = project.beside().join("copy");
    let survey = copy_tree(&project.source(), &into, overlay).expect("it can be copied");
    (survey, into)
}

#[track_caller]
fn check(project: &Project, expected: &[&str]) -> Survey {
    let (survey, into) = copy(project, &[]);
    assert_eq!(listed(&into), expected);
    survey
}

#[test]
fn what_git_would_take_is_copied() {
    let project = Project::new([
        (".gitignore", "*.log\n/build/\n!keep.log\n"),
        (".hidden/x", ""),
        (".github/workflows/ci.yml", ""),
        (".ignore", "a.py\n"),
        ("a.py", ""),
        ("a.log", ""),
        ("keep.log", ""),
        ("build/x", ""),
        ("sub/build/x", ""),
        ("sub/.gitignore", "local\n"),
        ("sub/local", ""),
        ("sub/.git", "gitdir: elsewhere\n"),
        (".git/hooks/pre-commit", ""),
        (".git/info/exclude", "secret\n"),
        ("secret", ""),
        ("pkg/__pycache__/a.pyc", ""),
        ("with space/ünï 日本.py", ""),
    ]);
    check(
        &project,
        &[
            ".github/workflows/ci.yml",
            ".gitignore",
            ".hidden/x",
            ".ignore",
            "a.py",
            "keep.log",
            "sub/.gitignore",
            "sub/build/x",
            "with space/ünï 日本.py",
        ],
    );
}

#[test]
fn tracked_files_are_copied_though_ignored() {
    let project = Project::new([
        (".gitignore", "gen/\n*.so\n"),
        ("gen/a.py", ""),
        ("gen/b.py", ""),
        ("x.so", ""),
        ("y.so", ""),
    ]);
    let also = vec![PathBuf::from("gen"), PathBuf::from("./x.so")];
    let into = project.beside().join("copy");
    copy_tree(&Source { also, ..project.source() }, &into, &[]).expect("it can be copied");
    assert_eq!(listed(&into), [".gitignore", "gen/a.py", "gen/b.py", "x.so"]);
    let outside = Source { also: vec![PathBuf::from("../x")], ..project.source() };
    assert!(matches!(
        copy_tree(&outside, &project.beside().join("other"), &[]),
        Err(TreeError::Outside { .. })
    ));
}

#[test]
fn environments_are_named_and_not_copied() {
    let project = Project::new([
        (".gitignore", ".venv/\n"),
        (".venv/pyvenv.cfg", ""),
        (".venv/lib/x.py", ""),
        ("odd-name/pyvenv.cfg", ""),
        ("odd-name/x.py", ""),
        ("web/node_modules/x/index.js", ""),
        ("web/app.js", ""),
        ("env/settings.py", ""),
    ]);
    let survey = check(&project, &[".gitignore", "env/settings.py", "web/app.js"]);
    let expected = [".venv", "odd-name", "web/node_modules"].map(PathBuf::from);
    assert_eq!(survey.environments, expected);
}

#[test]
fn links_stay_only_inside() {
    let project = Project::new([("a/x.py", "x\n"), ("b/y.py", "")]);
    fs::write(project.beside().join("outside"), "secret").expect("it can be written");
    let links = [
        ("a/in.py", "x.py"),
        ("b/up.py", "../a/x.py"),
        ("folder", "a"),
        ("b/through", "../folder/x.py"),
        ("out", "../outside"),
        ("passwd", "/etc/passwd"),
        ("dangling", "nothing"),
        ("loop", "loop"),
        // Back in again, but only here: a copy has another name.
        ("b/around", "../../project/a/x.py"),
    ];
    for (link, target) in links {
        symlink(target, project.root().join(link)).expect("there is none");
    }
    symlink(project.root().join("a/x.py"), project.root().join("absolute")).expect("there is none");
    let (survey, into) = copy(&project, &[(PathBuf::from("a/in.py"), b"new\n".to_vec())]);
    assert_eq!(listed(&into), ["a/in.py", "a/x.py", "b/through", "b/up.py", "b/y.py", "folder"]);
    let mut skipped: Vec<_> = survey.skipped.iter().map(|skip| (skip.path.to_str(), skip.reason)).collect();
    skipped.sort_by_key(|(path, _)| *path);
    let expected = ["absolute", "b/around", "dangling", "loop", "out", "passwd"];
    assert_eq!(skipped, expected.map(|path| (Some(path), Reason::Link)));
    // Written through the link of the copy, not the project's.
    assert_eq!(fs::read_to_string(into.join("folder/x.py")).expect("it is there"), "new\n");
    assert_eq!(fs::read_to_string(project.root().join("a/x.py")).expect("it is there"), "x\n");
}

#[test]
fn modes_stay_and_texts_are_replaced() {
    let project = Project::new([("run.sh", "old"), ("plain", "old"), ("sub/read-only", "old")]);
    for (path, mode) in [("run.sh", 0o755), ("plain", 0o640), ("sub/read-only", 0o444)] {
        fs::set_permissions(project.root().join(path), fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    let overlay =
        ["run.sh", "sub/read-only", "fresh/folder/x"].map(|path| (PathBuf::from(path), b"new".to_vec()));
    let (_, into) = copy(&project, &overlay);
    let expected = [("run.sh", 0o755, "new"), ("plain", 0o640, "old"), ("sub/read-only", 0o444, "new")];
    for (path, mode, text) in expected {
        let about = fs::metadata(into.join(path)).expect("it is there");
        assert_eq!(about.permissions().mode() & 0o777, mode, "{path}");
        assert_eq!(fs::read_to_string(into.join(path)).expect("it is text"), text);
    }
    assert_eq!(fs::read_to_string(into.join("fresh/folder/x")).expect("it is text"), "new");
    assert_eq!(fs::read_to_string(project.root().join("run.sh")).expect("it is text"), "old");
    for path in ["../x", "/tmp/x", "a/../../x", ""] {
        let into = project.beside().join("other");
        let error =
            copy_tree(&project.source(), &into, &[(PathBuf::from(path), Vec::new())]).expect_err("wrong");
        assert!(matches!(error, TreeError::Outside { .. }), "{error}");
        fs::remove_dir_all(into).expect("it was made");
    }
}

#[test]
fn pipes_are_skipped() {
    let project = Project::new([("a.py", "")]);
    let made = Command::new("mkfifo").arg(project.root().join("pipe")).status().expect("it can be run");
    assert!(made.success());
    let survey = check(&project, &["a.py"]);
    assert_eq!((survey.skipped.len(), survey.skipped[0].reason), (1, Reason::Special));
}

#[track_caller]
fn check_error(project: &Project, limits: Limits, into: &str, expected: &str) {
    let source = Source { limits, ..project.source() };
    let error = copy_tree(&source, &project.beside().join(into), &[]).expect_err("wrong");
    let beside = fs::canonicalize(project.beside()).expect("it is there");
    let message = error.to_string().replace(beside.to_str().expect("UTF-8"), "~");
    assert_eq!(message.replace(project.beside().to_str().expect("UTF-8"), "~"), expected);
}

#[test]
fn limits_hold() {
    let project = Project::new([("a", "12345"), ("b", "12345"), ("c", "12345")]);
    let few = Limits { max_files: 2, ..LIMITS };
    check_error(
        &project,
        few,
        "copy",
        "`~/project` has more than 2 files, which are too many to copy for tests",
    );
    let small = Limits { max_bytes: 12, ..LIMITS };
    check_error(
        &project,
        small,
        "copy",
        "`~/project` has more than 0 MiB, which are too many to copy for tests",
    );
    check_error(
        &project,
        LIMITS,
        "project/copy",
        "`~/project/copy` lies inside of the project that is to be copied there",
    );
    assert!(!project.root().join("copy").exists());
    fs::create_dir(project.beside().join("full")).expect("there is none");
    fs::write(project.beside().join("full/x"), "").expect("it can be written");
    check_error(&project, LIMITS, "full", "`~/full` is not empty, so nothing is copied there");
}

#[test]
fn results_are_plain_files() {
    let project = Project::new([("good", "12345")]);
    symlink("/etc/passwd", project.root().join("link")).expect("there is none");
    fs::create_dir(project.root().join("folder")).expect("there is none");
    assert_eq!(read_result(&project.root(), "good", 5).expect("it is plain"), Some(b"12345".to_vec()));
    assert_eq!(read_result(&project.root(), "none", 5).expect("it is not there"), None);
    for (name, limit) in [("good", 4), ("link", 1 << 20), ("folder", 1 << 20)] {
        let error = read_result(&project.root(), name, limit).expect_err("not plain");
        assert!(matches!(error, TreeError::NotPlain { .. }), "{error}");
    }
}
