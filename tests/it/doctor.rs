//! `lastmile doctor`, `lastmile completions` and `--help`.

use insta::assert_snapshot;

use crate::support::Sandbox;

#[test]
fn what_was_found_is_listed() {
    assert_snapshot!(Sandbox::new(&[]).run(&["doctor"]), @"
    --- stdout
    lastmile        [version]
    settings        defaults
    engine          [temp]/engine/engine.py
    models          [temp]/models
    engine version  0.0.0
    device          cpu
    python          ready
    --- exit 0
    ");
}

#[test]
fn what_is_missing_is_named() {
    let sandbox = Sandbox::new(&[]);
    assert_snapshot!(sandbox.run(&["doctor", "--engine", "nowhere/lastmile-engine"]), @"
    --- stdout
    lastmile        [version]
    settings        defaults
    engine          none
    models          [temp]/models
    --- stderr
    error: `lastmile-engine` was not found (looked in `nowhere/lastmile-engine`)
    hint: install `lastmile-engine` beside `lastmile`, or name it with `--engine` or LASTMILE_ENGINE
    --- exit 2
    ");
    assert_snapshot!(sandbox.run(&["doctor", "--models", "nowhere"]), @"
    --- stdout
    lastmile        [version]
    settings        defaults
    engine          [temp]/engine/engine.py
    models          none
    --- stderr
    error: no models were found (looked in `nowhere`)
    hint: name the folder of models with `--models` or LASTMILE_MODELS
    --- exit 2
    ");
    assert_snapshot!(sandbox.run_with_engine_that("has no weights", &["doctor"]), @"
    --- stdout
    lastmile        [version]
    settings        defaults
    engine          [temp]/engine/engine.py
    models          [temp]/models
    engine version  0.0.0
    device          cpu
    python          no weights
    --- exit 2
    ");
    assert_snapshot!(sandbox.run_with_engine_that("is from the future", &["doctor"]), @"
    --- stdout
    lastmile        [version]
    settings        defaults
    engine          [temp]/engine/engine.py
    models          [temp]/models
    --- stderr
    error: `[temp]/engine/engine.py` speaks protocol 99, this lastmile speaks 1
    hint: install both programs from the same release
    --- exit 2
    ");
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
