//! `lastmile check`.

use insta::assert_snapshot;

use crate::support::Sandbox;

#[test]
fn what_does_not_parse_is_shown_with_its_line() {
    let sandbox =
        Sandbox::new(&[("fine.py", b"x = 1\n"), ("pkg/bad.py", b"import os\n\nprint((1)\nx = 2\n")]);
    assert_snapshot!(sandbox.run(&["check"]), @"
    --- stdout
    error: `pkg/bad.py` does not parse
     --> pkg/bad.py:4:1
      |
    4 | x = 2
      | ^    ^ unexpected EOF while parsing
      | |
      | Expected `,`, found name

    --- stderr
    checked 2 files: 1 does not parse (2 faults)
    --- exit 1
    ");
    assert_eq!(sandbox.n_engine_starts(), 0);
}

#[test]
fn healthy_files_are_not_spoken_of() {
    let sandbox =
        Sandbox::new(&[("fine.py", b"x = 1\n"), ("notes.txt", b"print 1\n"), ("nb.ipynb", b"{print\n")]);
    assert_snapshot!(sandbox.run(&["check"]), @"
    --- stderr
    checked 1 file: all parse
    --- exit 0
    ");
}

#[test]
fn each_format_tells_the_same() {
    let sandbox = Sandbox::new(&[("a, b:c.py", "é = f(\n".as_bytes())]);
    assert_snapshot!(sandbox.run(&["check", "--format", "json"]), @r#"
    --- stdout
    {"faults":[{"column":7,"end_column":7,"end_line":1,"line":1,"message":"unexpected EOF while parsing"}],"kind":"broken","lang":"python","path":"a, b:c.py"}
    --- exit 1
    "#);
    assert_snapshot!(sandbox.run(&["check", "--format", "github"]), @"
    --- stdout
    ::error file=a%2C b%3Ac.py,line=1,endLine=1,col=7,endColumn=7,title=lastmile::does not parse: unexpected EOF while parsing
    --- exit 1
    ");
    assert_snapshot!(sandbox.run(&["check", "--format", "sarif"]), @r#"
    --- stdout
    {
      "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
      "runs": [
        {
          "columnKind": "unicodeCodePoints",
          "invocations": [
            {
              "executionSuccessful": true,
              "toolExecutionNotifications": []
            }
          ],
          "results": [
            {
              "level": "error",
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "a%2C%20b%3Ac.py"
                    },
                    "region": {
                      "endColumn": 7,
                      "endLine": 1,
                      "startColumn": 7,
                      "startLine": 1
                    }
                  }
                }
              ],
              "message": {
                "text": "unexpected EOF while parsing"
              },
              "ruleId": "does-not-parse",
              "ruleIndex": 0
            }
          ],
          "tool": {
            "driver": {
              "informationUri": "https://github.com/lastmile-repair/lastmile",
              "name": "lastmile",
              "rules": [
                {
                  "defaultConfiguration": {
                    "level": "error"
                  },
                  "id": "does-not-parse",
                  "shortDescription": {
                    "text": "The file does not parse"
                  }
                },
                {
                  "defaultConfiguration": {
                    "level": "error"
                  },
                  "id": "tests-fail",
                  "shortDescription": {
                    "text": "The file parses, and its tests fail"
                  }
                }
              ],
              "version": "[version]"
            }
          }
        }
      ],
      "version": "2.1.0"
    }
    --- exit 1
    "#);
}

#[test]
fn github_knows_files_from_the_top_of_the_checkout() {
    let sandbox = Sandbox::new(&[("p/a.py", b"f(\n")]);
    for (format, place) in [("github", "::error file=p/a.py,"), ("sarif", "\"uri\": \"p/a.py\"")] {
        let mut command = sandbox.command(&["check", "--format", format]);
        command.current_dir(sandbox.root().join("p")).env("GITHUB_WORKSPACE", sandbox.root());
        let told = sandbox.answer(&mut command).stdout;
        assert!(told.contains(place), "{told}");
    }
}

#[test]
fn names_cannot_steer_a_terminal() {
    let sandbox = Sandbox::new(&[]);
    let answer = sandbox.run(&["check", "\x1b[32mgone.py"]);
    assert_eq!(answer.code, Some(2));
    assert!(!answer.stderr.contains('\x1b'), "{answer:?}");
}

#[test]
fn gitignore_and_exclude_are_honoured() {
    let sandbox = Sandbox::new(&[
        (".gitignore", b"build/\n"),
        ("build/bad.py", b"f(\n"),
        ("vendor/bad.py", b"f(\n"),
        ("lastmile.toml", b"[files]\nexclude = ['vendor/']\n"),
    ]);
    assert_eq!(sandbox.run(&["check"]).code, Some(0));
    assert_eq!(sandbox.run(&["check", "build/bad.py"]).code, Some(1), "named files are not ignored");
    assert_eq!(sandbox.run(&["check", "vendor/bad.py"]).code, Some(0), "but excluded ones are");
    assert_eq!(sandbox.run(&["check", "build/../vendor/bad.py"]).code, Some(0), "however they are named");
    let here = sandbox.root().join("build");
    assert_eq!(sandbox.answer(sandbox.command(&["check", ".."]).current_dir(here)).code, Some(0));
    let elsewhere = Sandbox::new(&[("vendor/bad.py", b"f(\n")]);
    let elsewhere = elsewhere.root().join("vendor/bad.py");
    let answer = sandbox.run(&["check", &elsewhere.to_string_lossy()]);
    assert_eq!(answer.code, Some(1), "patterns are relative to their folder: {answer}");
}

#[test]
fn a_text_from_stdin_is_judged_as_the_file_it_stands_for() {
    let sandbox = Sandbox::new(&[("lastmile.toml", b"[files]\nexclude = ['vendor/']\nmax_kib = 1\n")]);
    assert_snapshot!(sandbox.run_with_input(b"f(\n", &["check", "-"]), @"
    --- stdout
    error: `-` does not parse
     --> -:1:3
      |
    1 | f(
      |   ^ unexpected EOF while parsing

    --- stderr
    checked 1 file: 1 does not parse (1 fault)
    --- exit 1
    ");
    let named =
        |name: &str, text: &[u8]| sandbox.run_with_input(text, &["check", "-", "--stdin-filename", name]);
    assert_snapshot!(named("src/new.py", b"f(\n"), @"
    --- stdout
    error: `src/new.py` does not parse
     --> src/new.py:1:3
      |
    1 | f(
      |   ^ unexpected EOF while parsing

    --- stderr
    checked 1 file: 1 does not parse (1 fault)
    --- exit 1
    ");
    assert_snapshot!(named("notes.txt", b"f(\n").stderr, @"
    warning: `notes.txt` was left alone: no language pack recognises it
    checked 0 files: nothing could be judged, 1 skipped
    ");
    assert_snapshot!(named("vendor/bad.py", b"f(\n").stderr, @"checked 0 files: nothing to judge");
    assert_snapshot!(named("long.py", &b"f(\n".repeat(1000)).stderr, @"
    warning: `long.py` was left alone: it is 3 KiB; the limit is 1 KiB (`files.max_kib`)
    checked 0 files: nothing could be judged, 1 skipped
    ");
    assert_eq!(named("fine.py", b"x = 1\n").code, Some(0));
    assert_eq!(sandbox.n_engine_starts(), 0);
}

#[test]
fn scripts_without_extension_are_found_by_their_first_line() {
    let sandbox = Sandbox::new(&[("run", b"#!/usr/bin/env python3\nf(\n"), ("other", b"f(\n")]);
    assert_snapshot!(sandbox.run(&["check"]).stderr, @"checked 1 file: 1 does not parse (1 fault)");
}

#[test]
fn comments_silence_faults() {
    let sandbox = Sandbox::new(&[
        ("a.py", b"print 1  # lastmile: ignore\n"),
        ("b.py", b"# lastmile: ignore-file\nf(\n"),
    ]);
    assert_snapshot!(sandbox.run(&["check"]), @"
    --- stderr
    checked 2 files: all parse
    --- exit 0
    ");
}

#[test]
fn what_cannot_be_read_is_named_with_the_reason() {
    let big = "x = 1\n".repeat(200_000);
    let sandbox = Sandbox::new(&[
        ("big.py", big.as_bytes()),
        ("binary.py", b"x = 1\0"),
        ("koi.py", b"# coding: koi8-r\nf(\n"),
        ("latin.py", b"x = '\xe9'\n"),
        ("fine.py", b"x = 1\n"),
    ]);
    assert_snapshot!(sandbox.run(&["check", ".", "nowhere.py", "fine.py"]), @"
    --- stderr
    warning: `big.py` was left alone: it is 1172 KiB; the limit is 1024 KiB (`files.max_kib`)
    warning: `binary.py` was left alone: it holds a NUL byte, so it is taken for binary
    warning: `koi.py` was left alone: its coding line names `koi8-r`, which lastmile does not read
    warning: `latin.py` was left alone: byte 5 is not valid UTF-8, and no coding line names another encoding
    error: `nowhere.py` cannot be read: No such file or directory (os error 2)
    checked 1 file: all parse, 4 skipped, 1 failed
    --- exit 2
    ");
    assert_snapshot!(sandbox.run(&["check", "--format", "json", "binary.py", "nowhere.py"]), @r#"
    --- stdout
    {"kind":"skipped","path":"binary.py","reason":"it holds a NUL byte, so it is taken for binary"}
    {"kind":"failed","path":"nowhere.py","reason":"`nowhere.py` cannot be read: No such file or directory (os error 2)"}
    --- exit 2
    "#);
}

#[test]
fn what_nests_too_deeply_is_skipped_and_not_a_crash() {
    let sandbox = Sandbox::new(&[("deep.py", "[".repeat(50_000).as_bytes())]);
    sandbox.write("nearly.py", "not ".repeat(4_990).as_bytes());
    sandbox.write("long.py", format!("x = [{}]\n", "(1, 'a (b'), ".repeat(20_000)).as_bytes());
    assert_snapshot!(sandbox.run(&["check"]).stderr, @r"
    warning: `deep.py` was left alone: its expressions nest too deeply to be judged
    checked 2 files: 1 does not parse (1 fault), 1 skipped
    ");
}

#[cfg(unix)]
#[test]
fn odd_kinds_of_files_do_no_harm() {
    let sandbox = Sandbox::new(&[("real.py", b"f(\n"), ("line\nbreak \x1b[31m.py", b"f(\n")]);
    std::os::unix::fs::symlink("real.py", sandbox.root().join("link.py")).expect("it is ours");
    std::os::unix::fs::symlink("nowhere.py", sandbox.root().join("dangling.py")).expect("it is ours");
    std::os::unix::fs::symlink(".", sandbox.root().join("loop")).expect("it is ours");
    let pipe = std::process::Command::new("mkfifo").arg(sandbox.root().join("pipe.py")).status();
    assert!(pipe.is_ok_and(|status| status.success()));
    assert_snapshot!(sandbox.run(&["check", ".", "link.py", "pipe.py", "dangling.py"]), @"
    --- stdout
    error: `line�break �[31m.py` does not parse
     --> line�break �[31m.py:1:3
      |
    1 | f(
      |   ^ unexpected EOF while parsing

    error: `link.py` does not parse
     --> link.py:1:3
      |
    1 | f(
      |   ^ unexpected EOF while parsing

    --- stderr
    error: `dangling.py` cannot be read: No such file or directory (os error 2)
    warning: `pipe.py` was left alone: it is not a regular file
    checked 2 files: 2 do not parse (2 faults), 1 skipped, 1 failed
    --- exit 2
    ");
}

#[test]
fn colour_is_off_unless_it_is_forced() {
    let sandbox = Sandbox::new(&[("a.py", b"f(\n")]);
    let mut forced = sandbox.command(&["check"]);
    let forced = sandbox.answer(forced.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1"));
    assert!(forced.stdout.contains("\x1b["), "{forced}");
    assert!(!sandbox.run(&["check"]).stdout.contains('\x1b'));
}
