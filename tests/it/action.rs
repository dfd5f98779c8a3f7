//! The GitHub Action: what it runs, and what it refuses to run.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::repo::{Said, TestRepo};

const VERSION: &str = "1.2.3";

/// A mirror with one release, whose program prints how it was called.
fn release() -> TestRepo {
    let repo = TestRepo::new();
    repo.write("../full/bin/lastmile", "#!/bin/sh\necho \"ran: $*\"\nexit 1\n");
    crate::repo::set_mode(&repo.base().join("full/bin/lastmile"), 0o755);
    let folder = repo.base().join(format!("mirror/v{VERSION}"));
    std::fs::create_dir_all(&folder).expect("it is ours");
    let mut sums = String::new();
    for kind in ["lastmile", "lastmile-light"] {
        let name = format!("{kind}-{VERSION}-x86_64-unknown-linux-gnu.tar.gz");
        let mut tar = Command::new("tar");
        tar.args(["-czf"]).arg(folder.join(&name)).arg("-C").arg(repo.base().join("full")).arg(".");
        assert!(tar.status().expect("tar starts").success());
        writeln!(sums, "{}  {name}", sum(&folder.join(&name))).expect("a string takes all");
    }
    std::fs::write(folder.join("SHA256SUMS"), sums).expect("it is ours");
    std::fs::create_dir(repo.base().join("temp")).expect("it is ours");
    repo
}

fn sum(path: &Path) -> String {
    format!("{:x}", Sha256::digest(std::fs::read(path).expect("it is ours")))
}

fn run(repo: &TestRepo, inputs: &[(&str, &str)]) -> Said {
    let mut command = repo.command("bash");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/action/entrypoint.sh"));
    command.env("RUNNER_TEMP", repo.base().join("temp"));
    command.env("LASTMILE_RELEASES", format!("file://{}/mirror", repo.base().display()));
    let defaults = [
        ("INPUT_MODE", "suggest"),
        ("INPUT_VERSION", VERSION),
        ("INPUT_SHA256", ""),
        ("INPUT_TESTS", "false"),
        ("INPUT_FAIL", "true"),
        ("INPUT_REPORT", "out/report.json"),
        ("INPUT_WORKFLOW", ".github/workflows/lastmile.yml"),
    ];
    repo.run(command.envs(defaults).envs(inputs.iter().copied()))
}

/// Without curl the tests pass, except in CI.
fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "CI must have curl");
    found && cfg!(target_arch = "x86_64")
}

#[test]
fn each_mode_runs_the_release() {
    if !has_curl() {
        return;
    }
    let repo = release();
    for (inputs, expected) in [
        (vec![], "ran: pr\n"),
        (vec![("INPUT_MODE", "compute")], "ran: pr --compute out/report.json\n"),
        (vec![("INPUT_MODE", "post")], "ran: pr --post --workflow .github/workflows/lastmile.yml\n"),
        (vec![("INPUT_MODE", "dry-run"), ("INPUT_FAIL", "false")], "ran: pr --dry-run --exit-zero\n"),
        (vec![("INPUT_TESTS", "true")], "ran: pr --tests\n"),
        (
            vec![("INPUT_MODE", "compute"), ("INPUT_REPORT", "$(touch x)/a b;c")],
            "ran: pr --compute $(touch x)/a b;c\n",
        ),
    ] {
        let said = run(&repo, &inputs);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), expected), "{said:?}");
    }
    let said = run(&repo, &[("INPUT_MODE", "sarif")]);
    assert_eq!(
        (said.stdout.as_str(), repo.read("out/report.json").as_str()),
        ("", "ran: pr --format sarif\n")
    );
    assert!(!repo.root.join("x").exists());
}

#[test]
fn a_release_that_is_not_what_it_says_is_not_run() {
    if !has_curl() {
        return;
    }
    let check = |repo: &TestRepo, inputs: &[(&str, &str)], reason: &str| {
        let said = run(repo, inputs);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.stdout.contains(reason) && !said.stdout.contains("ran:"), "{said:?}");
    };
    let repo = release();
    let name = format!("lastmile-{VERSION}-x86_64-unknown-linux-gnu.tar.gz");
    let archive = repo.base().join(format!("mirror/v{VERSION}/{name}"));
    let right = sum(&archive);
    check(&repo, &[("INPUT_SHA256", &"0".repeat(64))], "is not the file that its checksum was made of");
    check(&repo, &[("INPUT_SHA256", "none")], "input `sha256` is none");
    check(&repo, &[("INPUT_VERSION", "../../x")], "input `version` is none");
    check(&repo, &[("INPUT_VERSION", "9.9.9")], "cannot be fetched");
    check(&repo, &[("INPUT_MODE", "rm -rf")], "input `mode` is none of");
    // Nor what a cache brings.
    repo.write(format!("../temp/lastmile-archive/{name}"), "poison");
    assert_eq!(run(&repo, &[("INPUT_SHA256", &right)]).stdout, "ran: pr\n");
    std::fs::write(&archive, "other").expect("it is ours");
    assert_eq!(
        run(&repo, &[("INPUT_SHA256", &right)]).stdout,
        "ran: pr\n",
        "what was fetched before is right"
    );
    let repo = release();
    std::fs::write(repo.base().join(format!("mirror/v{VERSION}/{name}")), "other").expect("it is ours");
    check(&repo, &[], "is not the file that its checksum was made of");
}

/// Where expressions stand in a script, what they become is code.
#[test]
fn no_expression_stands_in_a_script() {
    let action = include_str!("../../action/action.yml");
    for line in action.lines().filter(|line| line.trim_start().starts_with("run:")) {
        assert!(!line.contains("${{"), "{line}");
    }
    assert!(!include_str!("../../action/entrypoint.sh").contains("${{"));
}

/// The workflows of the manual are those that zizmor and the schema see in ours, but for what installs lastmile.
#[test]
fn the_manual_gives_no_more_rights_than_ours() {
    let manual = include_str!("../../action/README.md");
    let ours = include_str!("../../.github/workflows/lastmile-post.yml");
    for right in ["actions: read", "contents: read", "pull-requests: write"] {
        assert!(manual.contains(right) && ours.contains(right), "{right}");
    }
    let post = manual
        .split("lastmile-post.yml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("it is there");
    assert!(
        !post.contains("checkout") && !ours.contains("actions/checkout") && !post.contains("contents: write")
    );
}
