//! `lastmile config` and where settings come from.

use insta::assert_snapshot;

use crate::support::Sandbox;

#[test]
fn a_project_names_no_program() {
    let settings = b"[powershell]\npwsh = \"./x\"\n";
    let sandbox = Sandbox::new(&[("lastmile.toml", settings), ("other.toml", settings)]);
    assert_snapshot!(sandbox.run(&["check"]), @"
    --- stderr
    error: `[temp]/files/lastmile.toml`: `powershell.pwsh` names a program, and nothing that a project brings is run unasked: name it by --engine, LASTMILE_ENGINE or LASTMILE_PWSH, or these settings by --config
    --- exit 2
    ");
    assert_snapshot!(sandbox.run(&["check", "--config", "other.toml"]), @"
    --- stderr
    checked 0 files: nothing to judge
    --- exit 0
    ");
}

#[test]
fn defaults_are_printed_as_they_are_written() {
    let answer = Sandbox::new(&[]).run(&["config", "--default"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(0), lastmile::config::DEFAULTS));
}

#[test]
fn the_nearest_file_is_in_force() {
    let sandbox = Sandbox::new(&[
        ("lastmile.toml", b"[repair]\nseed = 7\n"),
        ("a/other.toml", b"[repair]\nseed = 8\n"),
    ]);
    let seed = |args: &[&str]| {
        let answer = sandbox.run(args);
        answer.stdout.lines().find(|line| line.starts_with("seed")).map(str::to_owned)
    };
    assert_eq!(seed(&["config"]).as_deref(), Some("seed = 7"));
    assert_eq!(seed(&["config", "--config", "a/other.toml"]).as_deref(), Some("seed = 8"));
    assert!(sandbox.run(&["config", "--device", "cpu"]).stdout.contains("device = \"cpu\""));
    assert!(sandbox.run(&["config"]).stdout.contains("program = \"[temp]/engine/engine.py\""));
}

#[test]
fn mistakes_name_the_file_and_the_way_out() {
    let sandbox = Sandbox::new(&[("lastmile.toml", b"[repair]\nseeds = 7\n")]);
    assert_snapshot!(sandbox.run(&["check"]), @"
    --- stderr
    error: the settings cannot be used (`lastmile config --default` prints all of them): [temp]/files/lastmile.toml: unknown field `seeds`, expected one of `candidates`, `budget_ms`, `max_windows`, `least_confidence`, `seed`
    in `repair`
    --- exit 2
    ");
    assert_snapshot!(sandbox.run(&["check", "--config", "nowhere.toml"]), @"
    --- stderr
    error: `nowhere.toml` does not exist (named by `--config` or LASTMILE_CONFIG)
    --- exit 2
    ");
}
