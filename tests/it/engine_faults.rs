//! An engine that is absent, dead, late or talks nonsense: said, and every byte as it was.

use insta::assert_snapshot;

use crate::support::{Answer, Sandbox};

/// `fix --write` with short patience over two broken files, of which none may change.
#[track_caller]
fn check(how: &str) -> Answer {
    let settings = b"[engine]\nstart_ms = 2000\ngrace_ms = 200\n[repair]\nbudget_ms = 100\n";
    let sandbox = Sandbox::new(&[
        ("a.py", b"f(\n"),
        ("b.py", b"f(\n"),
        ("fine.py", b"x\n"),
        ("lastmile.toml", settings),
    ]);
    let before = sandbox.files();
    let answer = sandbox.run_with_engine_that(how, &["fix", "--write"]);
    assert_eq!(sandbox.files(), before);
    assert_eq!(answer.code, Some(2), "{answer}");
    assert_eq!(
        answer.stdout.matches("does not parse").count(),
        2,
        "the faults are shown all the same: {answer}"
    );
    answer
}

#[test]
fn dead() {
    assert_snapshot!(check("dies at once").stderr, @"
    error: `[temp]/engine/engine.py` ended without an answer (exit status: 1)
      cannot load libtorch
    hint: run `lastmile doctor` to see what was found
    checked 3 files: 2 do not parse (2 faults)
    ");
    assert_snapshot!(check("dies").stderr, @"
    error: `[temp]/engine/engine.py` ended without an answer (exit status: 1)
      out of memory
      the tensor was too large
    hint: run `lastmile doctor` to see what was found
    checked 3 files: 2 do not parse (2 faults)
    ");
}

#[test]
fn late() {
    assert_snapshot!(check("is late").stderr, @"
    error: `[temp]/engine/engine.py` gave no answer within 0.3 s
    hint: raise `engine.grace_ms` or lower `repair.budget_ms` in lastmile.toml
    checked 3 files: 2 do not parse (2 faults)
    ");
    assert_snapshot!(check("is slow to start").stderr, @"
    error: `[temp]/engine/engine.py` did not start within 2 s
    hint: raise `engine.start_ms` in lastmile.toml
    checked 3 files: 2 do not parse (2 faults)
    ");
    assert_snapshot!(check("is deaf").stderr, @"
    error: `[temp]/engine/engine.py` gave no answer within 0.3 s
    hint: raise `engine.grace_ms` or lower `repair.budget_ms` in lastmile.toml
    checked 3 files: 2 do not parse (2 faults)
    ");
}

#[test]
fn foreign() {
    assert_snapshot!(check("is no engine").stderr, @"
    error: `[temp]/engine/engine.py` answered something that is not its protocol: `usage: lastmile-engine`
    hint: run `lastmile doctor` to see what was found
    checked 3 files: 2 do not parse (2 faults)
    ");
    assert_snapshot!(check("is from the future").stderr, @"
    error: `[temp]/engine/engine.py` speaks protocol 99, this lastmile speaks 3
    hint: install both programs from the same release
    checked 3 files: 2 do not parse (2 faults)
    ");
    assert_snapshot!(check("talks nonsense").stderr, @"
    error: `[temp]/engine/engine.py` answered something that is not its protocol: `I think you forgot a bracket `
    hint: run `lastmile doctor` to see what was found
    checked 3 files: 2 do not parse (2 faults)
    ");
    assert_snapshot!(check("floods").stderr, @"
    error: `[temp]/engine/engine.py` answered something that is not its protocol: `a line of more than 64 MiB`
    hint: run `lastmile doctor` to see what was found
    checked 3 files: 2 do not parse (2 faults)
    ");
    assert_snapshot!(check("has no weights").stderr, @"
    error: `[temp]/engine/engine.py` has no weights for `python`
    hint: name the folder of models with `--models` or LASTMILE_MODELS
    checked 3 files: 2 do not parse (2 faults)
    ");
}

#[test]
fn absent() {
    let sandbox = Sandbox::new(&[("a.py", b"f(\n")]);
    assert_snapshot!(sandbox.run(&["fix", "--engine", "nowhere"]), @"
    --- stdout
    error: `a.py` does not parse
     --> a.py:1:3
      |
    1 | f(
      |   ^ unexpected EOF while parsing
    no suggestion: the engine gave no answer

    --- stderr
    error: `lastmile-engine` was not found (looked in `nowhere`)
    hint: install `lastmile-engine` beside `lastmile`, or name it with `--engine` or LASTMILE_ENGINE
    checked 1 file: 1 does not parse (1 fault)
    --- exit 2
    ");
    assert_snapshot!(sandbox.run(&["fix", "--models", "nowhere"]).stderr, @"
    error: no models were found (looked in `nowhere`)
    hint: name the folder of models with `--models` or LASTMILE_MODELS
    checked 1 file: 1 does not parse (1 fault)
    ");
    assert_snapshot!(sandbox.run(&["fix", "--engine", "a.py"]).stderr, @"
    error: `[temp]/files/a.py` did not start: Permission denied (os error 13)
    hint: run `lastmile doctor` to see what was found
    checked 1 file: 1 does not parse (1 fault)
    ");
}

#[test]
fn one_crash_is_survived() {
    let sandbox = Sandbox::new(&[("a.py", b"f(\n")]);
    let answer = sandbox.run_with_engine_that("dies once", &["fix", "--write"]);
    assert_eq!(answer.code, Some(0), "{answer}");
    assert_eq!(sandbox.n_engine_starts(), 2);
}

#[test]
fn a_batch_ends_and_says_so() {
    let sandbox = Sandbox::new(&[]);
    let rows = "{\"id\":1,\"lang\":\"python\",\"text\":\"f(\"}\n".repeat(50);
    let mut command = sandbox.command(&["repair", "--jsonl"]);
    std::fs::write(sandbox.root().join("rows"), rows).expect("it is ours");
    let input = std::fs::File::open(sandbox.root().join("rows")).expect("just written");
    let answer = sandbox.answer(command.stdin(input).env("FAKE_ENGINE", "dies"));
    assert_eq!(answer.stdout.lines().filter(|line| line.contains("\"candidates\":[]")).count(), 50);
    assert_eq!(answer.code, Some(2), "{answer}");
    assert!(sandbox.n_engine_starts() <= 6, "a hopeless engine is not started for every row");
}

#[test]
fn unfit() {
    assert_snapshot!(check("is unfit").stderr, @"
    error: `[temp]/engine/engine.py` cannot repair `python`: the network failed
    hint: run `lastmile doctor` to see what was found
    checked 3 files: 2 do not parse (2 faults)
    ");
}
