//! `lastmile fix`.

use std::fs;
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;

use crate::support::{Answer, Sandbox};

const BAD: (&str, &[u8]) = ("bad.py", b"import os\n\nprint((1)\n");

/// What is said about a repair besides the excerpt and the diff.
fn verdict(answer: &Answer) -> String {
    let words = ["repaired:", "suggestion:", "hint:", "checked ", "--- exit"];
    let answer = answer.to_string();
    answer
        .lines()
        .filter(|line| words.iter().any(|word| line.starts_with(word)))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_repair_is_shown_and_nothing_changes() {
    let sandbox = Sandbox::new(&[BAD, ("fine.py", b"x = 1\n")]);
    let before = sandbox.files();
    assert_snapshot!(sandbox.run(&["fix"]), @"
    --- stdout
    error: `bad.py` does not parse
     --> bad.py:3:10
      |
    3 | print((1)
      |          ^ unexpected EOF while parsing
    suggestion: safe (parses, 95 % sure)
    --- a/bad.py
    +++ b/bad.py
    @@ -1,3 +1,3 @@
     import os
     
    -print((1)
    +print((1))

    --- stderr
    hint: `lastmile fix --write` writes what is safe, `lastmile fix --diff | git apply` all of it
    checked 2 files: 1 does not parse (1 fault), 1 with a suggestion
    --- exit 1
    ");
    assert_eq!(sandbox.files(), before);
}

#[test]
fn healthy_files_start_no_engine() {
    let sandbox = Sandbox::new(&[("fine.py", b"x = 1\n")]);
    assert_snapshot!(sandbox.run(&["fix", "--write", "--unsafe"]), @"
    --- stderr
    checked 1 file: all parse
    --- exit 0
    ");
    assert_eq!(sandbox.n_engine_starts(), 0);
}

#[test]
fn safe_repairs_are_written() {
    let sandbox = Sandbox::new(&[BAD]);
    assert_snapshot!(verdict(&sandbox.run(&["fix", "--write"])), @"
    repaired: safe (parses, 95 % sure)
    checked 1 file: 1 does not parse (1 fault), 1 repaired
    --- exit 0
    ");
    assert_eq!(sandbox.read("bad.py"), b"import os\n\nprint((1))\n");
    assert_eq!(sandbox.files().len(), 1, "no temporary file is left");
}

#[test]
fn what_a_killed_run_left_is_removed_by_a_later_one() {
    let old = [".lastmile-aB3xYz", ".lastmile-notes.txt", "sub/.lastmile-aB3xYz"];
    let fresh = ".lastmile-Qq1234";
    let sandbox = Sandbox::new(&[old[0], old[1], old[2], fresh].map(|name| (name, b"f()\n".as_slice())));
    sandbox.write(BAD.0, BAD.1);
    for name in old {
        let file = fs::File::options().write(true).open(sandbox.root().join(name)).expect("it is ours");
        file.set_modified(SystemTime::now() - Duration::from_mins(10)).expect("it is ours");
    }
    assert_eq!(sandbox.run(&["fix", "--write", "bad.py"]).code, Some(0));
    let left = sandbox.files();
    let is_left = |name: &str| left.contains_key(&sandbox.root().join(name));
    assert!(!is_left(old[0]), "it lay beside the file that was replaced");
    assert!(is_left(old[1]) && is_left(old[2]) && is_left(fresh), "not ours, elsewhere, or in use");
}

#[test]
fn what_needs_review_is_written_only_when_asked() {
    let sandbox = Sandbox::new(&[BAD]);
    fs::write(sandbox.model(), "version = 1\n").expect("it is ours");
    assert_snapshot!(verdict(&sandbox.run(&["fix", "--write"])), @"
    suggestion: needs review (parses)
    hint: what needs review was not written; `--unsafe` writes it too
    checked 1 file: 1 does not parse (1 fault), 1 with a suggestion
    --- exit 1
    ");
    assert_eq!(sandbox.read("bad.py"), BAD.1);
    assert_eq!(sandbox.run(&["fix", "--write", "--unsafe"]).code, Some(0));
    assert_eq!(sandbox.read("bad.py"), b"import os\n\nprint((1))\n");
}

#[test]
fn diffs_apply_with_git() {
    let files: &[(&str, &[u8])] = &[
        BAD,
        ("crlf.py", b"x = 1\r\nf(\r\n"),
        ("no newline.py", b"x = 1\nf("),
        ("tab\there/\"quoted\".py", b"f(\n"),
        ("sub/bom.py", b"\xef\xbb\xbff(\n"),
    ];
    let sandbox = Sandbox::new(files);
    let diff = sandbox.run(&["fix", "--diff"]);
    assert_eq!(diff.code, Some(1));
    fs::write(sandbox.root().join("all.diff"), &diff.stdout).expect("it is ours");
    let mut git = std::process::Command::new("git");
    let git = sandbox.answer(git.args(["apply", "--verbose", "all.diff"]).current_dir(sandbox.root()));
    assert_eq!(git.code, Some(0), "{git}\n{}", diff.stdout);
    assert_eq!(sandbox.read("crlf.py"), b"x = 1\r\nf()\r\n");
    assert_eq!(sandbox.read("no newline.py"), b"x = 1\nf()");
    assert_eq!(sandbox.read("tab\there/\"quoted\".py"), b"f()\n");
    assert_eq!(sandbox.read("sub/bom.py"), b"\xef\xbb\xbff()\n");
}

#[test]
fn diffs_name_files_from_here() {
    let sandbox = Sandbox::new(&[BAD, ("sub/m.py", BAD.1)]);
    let named = |paths: &[&str]| sandbox.run(&[&["fix", "--diff"], paths].concat());
    let diff = named(&["sub/m.py"]);
    assert!(diff.stdout.starts_with("--- a/sub/m.py\n+++ b/sub/m.py\n"), "{diff}");
    let absolute = sandbox.root().join("sub");
    for other in ["sub/./m.py", "./sub/../sub/m.py", &absolute.to_string_lossy()] {
        assert_eq!(named(&[other]).stdout, diff.stdout);
    }
    let from_sub = |args: &[&str]| sandbox.answer(sandbox.command(args).current_dir(&absolute));
    assert_snapshot!(from_sub(&["fix", "--diff", "m.py", "../bad.py"]), @"
    --- stdout
    --- a/m.py
    +++ b/m.py
    @@ -1,3 +1,3 @@
     import os
     
    -print((1)
    +print((1))
    --- stderr
    warning: the repair of `../bad.py` is not in the diff: it lies outside of this folder; run lastmile in one that holds it
    checked 2 files: 2 do not parse (2 faults), 2 with a suggestion
    --- exit 1
    ");
}

#[test]
fn a_copy_is_named_like_its_file() {
    let sandbox = Sandbox::new(&[("tool", b"#!/usr/bin/env python3\nf(\n"), BAD]);
    assert_eq!(sandbox.run(&["fix", "--write", "--aside", "tool", "bad.py"]).code, Some(1), "the files stay");
    assert_eq!(sandbox.read("tool.repaired"), b"#!/usr/bin/env python3\nf()\n");
    assert_eq!(sandbox.read("bad.repaired.py"), b"import os\n\nprint((1))\n");
}

#[test]
fn a_file_with_two_names_is_repaired_once() {
    let sandbox = Sandbox::new(&[BAD]);
    assert_snapshot!(sandbox.run(&["fix", "--write", "bad.py", "./bad.py", "../files/bad.py"]), @"
    --- stdout
    error: `../files/bad.py` does not parse
     --> ../files/bad.py:3:10
      |
    3 | print((1)
      |          ^ unexpected EOF while parsing
    repaired: safe (parses, 95 % sure)
    --- a/../files/bad.py
    +++ b/../files/bad.py
    @@ -1,3 +1,3 @@
     import os
     
    -print((1)
    +print((1))

    --- stderr
    checked 1 file: 1 does not parse (1 fault), 1 repaired
    --- exit 0
    ");
}

#[track_caller]
fn check_bytes(before: &[u8], after: &[u8]) {
    let sandbox = Sandbox::new(&[("f.py", before)]);
    let answer = sandbox.run(&["fix", "--write"]);
    assert_eq!(answer.code, Some(0), "{answer}");
    assert_eq!(String::from_utf8_lossy(&sandbox.read("f.py")), String::from_utf8_lossy(after));
    assert_eq!(sandbox.read("f.py"), after);
}

#[test]
fn bytes_outside_the_repair_stay() {
    check_bytes(b"if x:\r\n\tf(\r\n\ty = 1  \r\n", b"if x:\r\n\tf()\r\n\ty = 1  \r\n");
    check_bytes(b"\xef\xbb\xbfx = f(\n", b"\xef\xbb\xbfx = f()\n");
    check_bytes(b"# coding: latin-1\nx = '\xe9'\nf(\n", b"# coding: latin-1\nx = '\xe9'\nf()\n");
    check_bytes(b"x = 1\n\x0c\nf(\n", b"x = 1\n\x0c\nf()\n");
    check_bytes(b"x = 1\nf(", b"x = 1\nf()");
    check_bytes("x = '\u{1f40d}é'\nf(\n".as_bytes(), "x = '\u{1f40d}é'\nf()\n".as_bytes());
}

#[test]
fn a_repair_that_the_encoding_lacks_is_not_written() {
    let before = b"# coding: latin-1\nf(\n";
    let sandbox = Sandbox::new(&[("f.py", before)]);
    assert_snapshot!(sandbox.run_with_engine_that("writes euros", &["fix", "--write"]), @"
    --- stdout
    error: `f.py` does not parse
     --> f.py:2:3
      |
    2 | f(
      |   ^ unexpected EOF while parsing
    suggestion: safe (parses, 95 % sure)
    --- a/f.py
    +++ b/f.py
    @@ -1,2 +1 @@
    -# coding: latin-1
    -f(
    +f('€')

    --- stderr
    warning: `f.py` was left alone: the repair holds a character that its encoding lacks
    checked 1 file: 1 does not parse (1 fault), 1 with a suggestion, 1 skipped
    --- exit 1
    ");
    assert_eq!(sandbox.read("f.py"), before);
}

#[test]
fn several_faults_in_a_long_file_are_repaired_one_after_another() {
    let filler = "def f(a, b):\n    return a + b\n\n\n".repeat(150);
    let before = format!("print 'first'\n{filler}x = f(1, f(2, 3)\n{filler}print 'last'\n");
    let after = format!("print('first')\n{filler}x = f(1, f(2, 3))\n{filler}print('last')\n");
    let sandbox = Sandbox::new(&[("long.py", before.as_bytes())]);
    let answer = sandbox.run(&["fix", "--write"]);
    assert_eq!(answer.code, Some(0), "{answer}");
    assert_eq!(String::from_utf8(sandbox.read("long.py")), Ok(after));
}

#[test]
fn the_python_of_the_project_is_asked_for_once() {
    let sandbox = Sandbox::new(&[BAD, ("pyproject.toml", b"[project]\nrequires-python = '>=3.8'\n")]);
    assert_eq!(sandbox.run(&["fix"]).code, Some(1));
}

#[test]
fn each_format_shows_the_repair() {
    let sandbox = Sandbox::new(&[("bad.py", b"f(\n")]);
    assert_snapshot!(sandbox.run(&["fix", "--format", "json"]).stdout, @r#"{"faults":[{"column":3,"end_column":3,"end_line":1,"line":1,"message":"unexpected EOF while parsing"}],"kind":"broken","lang":"python","path":"bad.py","suggestion":{"applicability":"safe","confidence":0.9525741268224334,"diff":"--- a/bad.py\n+++ b/bad.py\n@@ -1 +1 @@\n-f(\n+f()\n","edits":[{"line":1,"n_lines":1,"text":"f()\n"}],"evidence":"parses","score":2.5,"written":false}}"#);
    assert_snapshot!(sandbox.run(&["fix", "--format", "github"]).stdout, @"::error file=bad.py,line=1,endLine=1,col=3,endColumn=3,title=lastmile::does not parse: unexpected EOF while parsing%0A%0Asuggestion: safe (parses, 95 %25 sure)%0A--- a/bad.py%0A+++ b/bad.py%0A@@ -1 +1 @@%0A-f(%0A+f()%0A");
    let sarif: serde_json::Value =
        serde_json::from_str(&sandbox.run(&["fix", "--format", "sarif"]).stdout).expect("it is JSON");
    let replacement = &sarif["runs"][0]["results"][0]["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert_snapshot!(replacement, @r#"{"deletedRegion":{"endColumn":1,"endLine":2,"startColumn":1,"startLine":1},"insertedContent":{"text":"f()\n"}}"#);
}

#[test]
fn a_text_from_stdin_is_printed_repaired() {
    let sandbox = Sandbox::new(&[]);
    assert_snapshot!(sandbox.run_with_input(BAD.1, &["fix", "-", "--stdin-filename", "src/bad.py"]), @"
    --- stdout
    import os

    print((1))
    --- stderr
    error: `src/bad.py` does not parse
     --> src/bad.py:3:10
      |
    3 | print((1)
      |          ^ unexpected EOF while parsing
    repaired: safe (parses, 95 % sure)
    --- a/src/bad.py
    +++ b/src/bad.py
    @@ -1,3 +1,3 @@
     import os
     
    -print((1)
    +print((1))

    checked 1 file: 1 does not parse (1 fault), 1 repaired
    --- exit 0
    ");
    assert_eq!(sandbox.run_with_input(b"x = 1\n", &["fix", "-"]).stdout, "x = 1\n");
    assert_eq!(sandbox.files().len(), 0);
}

#[test]
fn a_text_from_stdin_gives_a_diff() {
    let sandbox = Sandbox::new(&[]);
    assert_snapshot!(sandbox.run_with_input(BAD.1, &["fix", "--diff", "-", "--stdin-filename", "src/bad.py"]), @"
    --- stdout
    --- a/src/bad.py
    +++ b/src/bad.py
    @@ -1,3 +1,3 @@
     import os
     
    -print((1)
    +print((1))
    --- stderr
    checked 1 file: 1 does not parse (1 fault), 1 with a suggestion
    --- exit 1
    ");
    assert_snapshot!(sandbox.run_with_input(b"f(\n", &["fix", "-", "--format", "json"]), @r#"
    --- stdout
    {"faults":[{"column":3,"end_column":3,"end_line":1,"line":1,"message":"unexpected EOF while parsing"}],"kind":"broken","lang":"python","path":"-","suggestion":{"applicability":"safe","confidence":0.9525741268224334,"diff":"--- a/-\n+++ b/-\n@@ -1 +1 @@\n-f(\n+f()\n","edits":[{"line":1,"n_lines":1,"text":"f()\n"}],"evidence":"parses","score":2.5,"written":false}}
    --- exit 1
    "#);
}

#[test]
fn a_text_from_stdin_comes_back_as_it_was_where_no_repair_is_taken() {
    let sandbox = Sandbox::new(&[]);
    let binary = sandbox.run_with_input(b"x = 1\0", &["fix", "-"]);
    assert_eq!((binary.code, binary.stdout.as_str()), (Some(0), "x = 1\0"));
    assert_snapshot!(binary.stderr, @"
    warning: `-` was left alone: it holds a NUL byte, so it is taken for binary
    checked 0 files: nothing could be judged, 1 skipped
    ");
    let mut dead = sandbox.command(&["fix", "-", "--engine", "nowhere"]);
    fs::write(sandbox.root().join("text"), BAD.1).expect("it is ours");
    let dead = sandbox.answer(dead.stdin(fs::File::open(sandbox.root().join("text")).expect("just written")));
    assert_eq!((dead.code, dead.stdout.as_bytes()), (Some(2), BAD.1));
    fs::write(sandbox.model(), "version = 1\n").expect("it is ours");
    let unsure = sandbox.run_with_input(BAD.1, &["fix", "-"]);
    assert_eq!((unsure.code, unsure.stdout.as_bytes()), (Some(1), BAD.1));
    assert!(unsure.stderr.contains("`--unsafe` writes it too"), "{unsure}");
    let forced = sandbox.run_with_input(BAD.1, &["fix", "-", "--unsafe"]);
    assert_eq!((forced.code, forced.stdout.as_str()), (Some(0), "import os\n\nprint((1))\n"));
}

#[test]
fn the_encoding_of_a_text_from_stdin_stays() {
    let sandbox = Sandbox::new(&[]);
    let answer = sandbox.run_with_input(b"\xef\xbb\xbff(\r\n", &["fix", "-"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(0), "\u{feff}f()\r\n"));
}

#[test]
fn flags_that_do_not_go_with_stdin_are_named() {
    let sandbox = Sandbox::new(&[]);
    let error = |args: &[&str]| sandbox.run_with_input(b"f(\n", args).stderr;
    assert_snapshot!(error(&["fix", "-", "--write"]), @"error: a text from stdin has no file: `--write` does not go with `-`");
    assert_snapshot!(error(&["fix", "--unsafe"]), @"error: `--unsafe` goes with `--write`, or with `-` where the text is printed");
    assert_snapshot!(error(&["fix", "-", "a.py"]), @"error: `-` stands for stdin and cannot be named with other paths");
    assert_snapshot!(error(&["fix", "--stdin-filename", "a.py"]), @"error: `--stdin-filename` is for a text from stdin: name `-` too");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    #[test]
    fn permissions_and_links_stay() {
        let sandbox = Sandbox::new(&[BAD]);
        let path = sandbox.root().join("bad.py");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).expect("it is ours");
        fs::create_dir(sandbox.root().join("links")).expect("it is ours");
        let link = sandbox.root().join("links/link.py");
        symlink("../bad.py", &link).expect("it is ours");
        assert_eq!(
            sandbox.run(&["fix", "--write", "links"]).code,
            Some(0),
            "links in folders are not followed"
        );
        assert_eq!(sandbox.read("bad.py"), BAD.1);
        assert_eq!(sandbox.run(&["fix", "--write", "links/link.py"]).code, Some(0));
        assert_eq!(sandbox.read("bad.py"), b"import os\n\nprint((1))\n");
        assert!(link.symlink_metadata().expect("it is there").is_symlink());
        assert_eq!(path.metadata().expect("it is there").mode() & 0o777, 0o750);
    }

    #[test]
    fn a_file_with_several_names_is_left_alone() {
        let sandbox = Sandbox::new(&[BAD]);
        fs::hard_link(sandbox.root().join("bad.py"), sandbox.root().join("other")).expect("it is ours");
        assert_snapshot!(sandbox.run(&["fix", "--write"]).stderr, @"
        warning: `bad.py` was left alone: it has other names (hard links), which would keep the text as it was
        checked 1 file: 1 does not parse (1 fault), 1 with a suggestion, 1 skipped
        ");
        assert_eq!(sandbox.read("bad.py"), BAD.1);
    }

    #[test]
    fn the_owner_stays() {
        let sandbox = Sandbox::new(&[BAD]);
        let path = sandbox.root().join("bad.py");
        // Only root can give a file away.
        if std::os::unix::fs::chown(&path, Some(1234), Some(1235)).is_err() {
            return;
        }
        assert_eq!(sandbox.run(&["fix", "--write"]).code, Some(0));
        let about = path.metadata().expect("it is there");
        assert_eq!((about.uid(), about.gid()), (1234, 1235));
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays() {
        let sandbox = Sandbox::new(&[BAD]);
        let path = sandbox.root().join("bad.py");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).expect("it is ours");
        assert_snapshot!(sandbox.run(&["fix", "--write"]).stderr, @"
        error: `bad.py` cannot be written: it is read-only; it is as it was
        checked 1 file: 1 does not parse (1 fault), 1 with a suggestion, 1 failed
        ");
        assert_eq!(sandbox.read("bad.py"), BAD.1);
    }

    #[test]
    fn an_interrupt_stops_at_once_and_leaves_the_files() {
        let sandbox = Sandbox::new(&[BAD]);
        let before = sandbox.files();
        let mut command = sandbox.command(&["fix", "--write"]);
        command.env("FAKE_ENGINE", "is late").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        while sandbox.n_engine_starts() == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        interrupt(&child);
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "what a shell expects");
        assert_eq!(sandbox.files(), before);
    }

    fn interrupt(child: &Child) {
        kill_process(Pid::from_child(child), Signal::INT).expect("it is ours");
    }

    /// On a terminal of its own, which `script` makes.
    #[cfg(target_os = "linux")]
    fn on_terminal(sandbox: &Sandbox, how: &str, args: &str) -> String {
        let lastmile = env!("CARGO_BIN_EXE_lastmile");
        let mut script = Command::new("script");
        script.args(["-qec", &format!("'{lastmile}' {args}"), "/dev/null"]);
        let settings = sandbox.command(&[]);
        script.envs(settings.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.current_dir(sandbox.root()).stdin(Stdio::null());
        sandbox.answer(script.env("TERM", "xterm").env("FAKE_ENGINE", how)).stdout
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn long_work_shows_a_bar_to_those_who_look_on() {
        let sandbox = Sandbox::new(&[BAD, ("lastmile.toml", b"[engine]\nstart_ms = 1700\n")]);
        let long = on_terminal(&sandbox, "is slow to start", "fix");
        assert!(long.contains("repairing [") && long.contains("] 0/1 files"), "{long:?}");
        let after = long.rsplit("files, ").next().unwrap_or_default();
        assert!(after.contains("\x1b[2K"), "it vanishes: {after:?}");
        let short = on_terminal(&sandbox, "", "check");
        assert!(short.contains("checked 1 file: ") && !short.contains("checking ["), "{short:?}");
    }

    #[test]
    fn an_interrupt_among_many_repairs_answers_at_once_and_leaves_each_file_old_or_new() {
        let sandbox = Sandbox::new(&[]);
        let before = "f(\n# filler\n".repeat(20);
        let after = before.replace("f(", "f()");
        for idx in 0..200 {
            sandbox.write(&format!("{idx:03}.py"), before.as_bytes());
        }
        let n_new = || sandbox.files().values().filter(|bytes| **bytes == after.as_bytes()).count();
        let mut command = sandbox.command(&["fix", "--write"]);
        command.env("FAKE_ENGINE", "takes its time").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        while n_new() < 3 {
            assert_eq!(child.try_wait().expect("it is ours"), None, "it works on");
            std::thread::sleep(Duration::from_millis(5));
        }
        interrupt(&child);
        let asked = Instant::now();
        assert_eq!(child.wait().expect("it ends").code(), Some(130));
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        let files = sandbox.files();
        assert_eq!(files.len(), 200, "no temporary file is left");
        let n_old = files.values().filter(|bytes| **bytes == before.as_bytes()).count();
        assert!(n_old > 0, "it was stopped in the middle");
        assert_eq!(n_old + n_new(), 200, "each is old or new");
    }

    #[test]
    fn a_full_disk_leaves_the_file_as_it_was() {
        let sandbox = Sandbox::new(&[("bad.py", format!("f(\n{}", "# filler\n".repeat(4000)).as_bytes())]);
        let before = sandbox.files();
        // No file may grow beyond 8 blocks: what a full disk answers, without filling one.
        let lastmile = env!("CARGO_BIN_EXE_lastmile");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("trap '' XFSZ; ulimit -f 8; exec '{lastmile}' fix --write")]);
        let envs: Vec<_> = sandbox
            .command(&[])
            .get_envs()
            .filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned())))
            .collect();
        let answer = sandbox.answer(shell.envs(envs).current_dir(sandbox.root()));
        assert_eq!(answer.code, Some(2), "{answer}");
        assert!(answer.stderr.contains("`bad.py` cannot be written: "), "{answer}");
        assert_eq!(sandbox.files(), before);
    }
}
