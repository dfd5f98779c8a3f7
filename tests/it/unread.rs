//! A reader of stdout that goes away: all is done and judged as if it had stayed.

use std::io::pipe;
use std::process::{Command, Stdio};

use crate::repo::TestRepo;
use crate::support::Sandbox;

const BAD: &[u8] = b"print((1)\n";
const GOOD: &[u8] = b"print((1))\n";

/// How a command ends whose stdout nobody reads.
fn unread(command: &mut Command) -> Option<i32> {
    let (reader, writer) = pipe().expect("there are some left");
    drop(reader);
    command.stdout(writer).stderr(Stdio::null()).status().expect("it starts").code()
}

#[track_caller]
fn check(args: &[&str], code: i32) {
    let sandbox = Sandbox::new(&[("a.py", BAD), ("b.py", BAD)]);
    assert_eq!(unread(&mut sandbox.command(args)), Some(code));
}

#[test]
fn faults_are_not_forgotten() {
    check(&["check"], 1);
    check(&["check", "--format", "sarif"], 1);
    check(&["fix"], 1);
    check(&["fix", "--diff"], 1);
    check(&["explain", "a.py"], 1);
    check(&["completions", "bash"], 0);
}

#[test]
fn what_was_asked_for_is_done() {
    let sandbox = Sandbox::new(&[("a.py", BAD), ("b.py", BAD)]);
    assert_eq!(unread(&mut sandbox.command(&["fix", "--write"])), Some(0));
    assert_eq!((sandbox.read("a.py"), sandbox.read("b.py")), (GOOD.to_vec(), GOOD.to_vec()));
}

#[test]
fn the_hook_lets_nothing_through() {
    let repo = TestRepo::with_hook();
    repo.stage("a.py", "f(\n");
    assert_eq!(unread(repo.command("lastmile").args(["hook", "pre-commit", "a.py"])), Some(1));
    assert_eq!(unread(repo.command("git").args(["commit", "-m", "broken"])), Some(1));
}
