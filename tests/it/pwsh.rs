//! A `pwsh` in PATH has the last word on scripts.

use std::fs;
use std::path::{Path, PathBuf};

use crate::repo::TestRepo;
use crate::support::{Sandbox, make_executable};

/// Finds fault with every text that says so, unless it is told to be slow or to end.
const PWSH: &str = r#"#!/bin/sh
[ "$1 $2 $3 $4" = "-NoLogo -NoProfile -NonInteractive -Command" ] || exit 1
while IFS= read -r line; do
    case "$line" in
        *slow*) sleep 9 ;;
        *ends*) exit 1 ;;
        '"x'*wrong*'"') echo 2 ;;
        '"x'*'"') echo 0 ;;
    esac
done
"#;

/// The builtin judge finds fault with all of these, PowerShell would, too; the scripted one goes by a word.
const SCRIPTS: [(&str, &[u8]); 2] =
    [("fine.ps1", b"if ($a { 'fine' }\n"), ("wrong.ps1", b"if ($a { 'wrong' }\n")];

/// Puts the scripted `pwsh` into a folder.
fn pwsh(folder: &Path) -> PathBuf {
    let program = folder.join("pwsh");
    fs::write(&program, PWSH).expect("it is ours");
    make_executable(&program);
    program
}

fn broken(sandbox: &Sandbox, args: &[&str]) -> Vec<String> {
    let program = pwsh(sandbox.engine().parent().expect("it has a folder"));
    let output = sandbox.command(args).env("LASTMILE_PWSH", program).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let names = text.lines().filter_map(|line| line.split_once("\"path\":\""));
    names.filter_map(|(_, rest)| Some(rest.split_once('"')?.0.to_owned())).collect()
}

#[test]
fn what_pwsh_accepts_is_not_broken() {
    let sandbox = Sandbox::new(&SCRIPTS);
    assert_eq!(broken(&sandbox, &["check", "--format", "json"]), ["wrong.ps1"]);
}

#[test]
fn without_an_answer_the_builtin_judge_decides() {
    for (text, setting) in [
        (b"if ($a { 'ends' }\n".as_slice(), ""),
        (b"if ($a { 'slow' }\n", "[powershell]\nstart_ms = 50\nanswer_ms = 50\n"),
        (b"using module fine\nif ($a { 1 }\n", ""),
    ] {
        let sandbox = Sandbox::new(&[("a.ps1", text), ("lastmile.toml", setting.as_bytes())]);
        assert_eq!(broken(&sandbox, &["check", "--format", "json"]), ["a.ps1"], "{setting}");
    }
}

#[test]
fn the_hook_asks_it_too() {
    let repo = TestRepo::new();
    for (name, text) in SCRIPTS {
        repo.stage(name, text);
    }
    let mut command = repo.command(env!("CARGO_BIN_EXE_lastmile"));
    command.args(["hook", "pre-commit"]).env("LASTMILE_PWSH", pwsh(repo.base()));
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("wrong.ps1") && !text.contains("fine.ps1"), "{text}");
}
