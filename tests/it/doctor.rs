//! `lastmile doctor`, `lastmile completions` and `--help`.

use std::fs;

use insta::assert_snapshot;

use crate::support::Sandbox;

#[test]
fn what_was_found_is_listed() {
    let mut answer = Sandbox::new(&[]).run(&["doctor"]);
    // It differs between machines.
    let line =
        answer.stdout.lines().find(|line| line.starts_with("sandbox ")).expect("it is told").to_owned();
    let levels = ["bubblewrap", "namespaces", "landlock", "limits"];
    assert!(levels.iter().any(|level| line["sandbox".len()..].trim_start().starts_with(level)), "{line}");
    answer.stdout = answer.stdout.replace(&line, "sandbox         [level]");
    assert_snapshot!(answer, @"
    --- stdout
    lastmile        [version]
    settings        defaults
    engine          [temp]/engine/engine.py
    models          [temp]/models
    pwsh            none
    sandbox         [level]
    engine version  0.0.0
    device          cpu
    python          ready
    powershell      no weights
    excel           ready
    --- exit 0
    ");
}

/// What `doctor` says with these arguments that it does not say when all is well.
fn complaints(sandbox: &Sandbox, engine: &str, args: &[&str]) -> String {
    let healthy = Sandbox::new(&[]).run(&["doctor"]).to_string();
    let answer = sandbox.run_with_engine_that(engine, &[&["doctor"], args].concat()).to_string();
    let lines = answer.lines().filter(|line| !healthy.lines().any(|known| known == *line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_missing_is_named() {
    let sandbox = Sandbox::new(&[]);
    assert_snapshot!(complaints(&sandbox, "works", &["--engine", "nowhere/lastmile-engine"]), @"
    engine          none
    --- stderr
    error: `lastmile-engine` was not found (looked in `nowhere/lastmile-engine`)
    hint: install `lastmile-engine` beside `lastmile`, or name it with `--engine` or LASTMILE_ENGINE
    --- exit 2
    ");
    assert_snapshot!(complaints(&sandbox, "works", &["--models", "nowhere"]), @"
    models          none
    --- stderr
    error: no models were found (looked in `nowhere`)
    hint: name the folder of models with `--models` or LASTMILE_MODELS
    --- exit 2
    ");
    assert_snapshot!(complaints(&sandbox, "has no weights", &[]), @"
    python          no weights
    excel           no weights
    --- exit 2
    ");
    assert_snapshot!(complaints(&sandbox, "is from the future", &[]), @"
    --- stderr
    error: `[temp]/engine/engine.py` speaks protocol 99, this lastmile speaks 3
    hint: install both programs from the same release
    --- exit 2
    ");
}

#[test]
fn files_of_another_model_are_named() {
    let sandbox = Sandbox::new(&[]);
    let model = "[files]\n\"weights.safetensors\" = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n";
    fs::write(sandbox.model(), model).expect("it is ours");
    assert_snapshot!(complaints(&sandbox, "works", &[]), @"
    --- stderr
    error: `[temp]/models/python`: `weights.safetensors` cannot be read: No such file or directory (os error 2)
    --- exit 2
    ");
    let weights = sandbox.model().with_file_name("weights.safetensors");
    fs::write(&weights, "other").expect("it is ours");
    assert_snapshot!(complaints(&sandbox, "works", &["--engine", "nowhere/lastmile-engine"]), @"
    engine          none
    --- stderr
    error: `[temp]/models/python`: `weights.safetensors` is not the file that `model.toml` was written for (SHA-256 d9298a10…, expected e3b0c442…): `git checkout` both, or unpack the release again
    error: `lastmile-engine` was not found (looked in `nowhere/lastmile-engine`)
    hint: install `lastmile-engine` beside `lastmile`, or name it with `--engine` or LASTMILE_ENGINE
    --- exit 2
    ");
    fs::write(&weights, "").expect("it is ours");
    assert_snapshot!(complaints(&sandbox, "works", &[]), @"");
}

#[test]
fn help_shows_examples() {
    let sandbox = Sandbox::new(&[]);
    let help = sandbox.run(&["--help"]);
    assert!(help.stdout.contains("lastmile fix --diff | git apply"), "{help}");
    assert!(
        help.stdout.contains("Exit codes: 0 nothing left to fix, 1 faults remain, 2 lastmile itself failed."),
        "{help}"
    );
    for command in ["check", "fix", "repair", "explain", "doctor", "config", "completions"] {
        assert_eq!(sandbox.run(&[command, "--help"]).code, Some(0), "{command}");
        assert!(help.stdout.contains(command), "{command}");
    }
}

#[test]
fn wrong_flags_are_named() {
    assert_snapshot!(Sandbox::new(&[]).run(&["fix", "--diff", "--write"]), @"
    --- stderr
    error: the argument '--diff' cannot be used with '--write'

    Usage: lastmile fix --diff [PATHS]...

    For more information, try '--help'.
    --- exit 2
    ");
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let answer = Sandbox::new(&[]).run(&["completions", shell]);
        assert!(answer.code == Some(0) && answer.stdout.contains("lastmile"), "{shell}");
    }
}

#[test]
fn language_packs_are_listed() {
    let sandbox = Sandbox::new(&[]);
    let model = "[results]\nsome_rows = \"exact@1 50.0 %\"\n";
    std::fs::write(sandbox.model(), model).expect("it is there");
    assert_snapshot!(sandbox.run(&["languages"]), @"
    --- stdout
    python      .py .pyi .pyw
                judge: ruff's parser
                some_rows: exact@1 50.0 %
    powershell  .ps1 .psm1 .psd1
                judge: a reader of our own, after PowerShell's own parser
                model: none; faults are found and not repaired
    excel       .xlsx .xlsm .csv .tsv .formula .formulas
                judge: a reader of our own, with the arguments of 535 functions
                model: none; faults are found and not repaired
    --- exit 0
    ");
    assert_snapshot!(sandbox.run(&["languages", "--json"]), @r#"
    --- stdout
    {"extensions":["py","pyi","pyw"],"judge":"ruff's parser","model":true,"name":"python","results":{"some_rows":"exact@1 50.0 %"}}
    {"extensions":["ps1","psm1","psd1"],"judge":"a reader of our own, after PowerShell's own parser","model":false,"name":"powershell","results":{}}
    {"extensions":["xlsx","xlsm","csv","tsv","formula","formulas"],"judge":"a reader of our own, with the arguments of 535 functions","model":false,"name":"excel","results":{}}
    --- exit 0
    "#);
}
