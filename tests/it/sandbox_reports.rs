//! What is reported of jobs that mean well.

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use lastmile::io::sandbox::{Exit, Job, Level, Outcome, SandboxError};

use crate::sandbox_support::{job, sandbox};

/// Runs the job at every level that works here.
#[track_caller]
fn check(script: &str, change: impl Fn(&mut Job), expected: impl Fn(&Job, Result<Outcome, SandboxError>)) {
    for sandbox in Level::ALL.into_iter().filter_map(sandbox) {
        let tree = tempfile::tempdir().expect("it is ours");
        let mut job = job(script, tree.path());
        change(&mut job);
        expected(&job, sandbox.run(&job));
    }
}

#[track_caller]
fn check_text(script: &str, change: impl Fn(&mut Job), stdout: &str) {
    check(script, change, |_, outcome| {
        let outcome = outcome.expect("it runs");
        let all = (outcome.exit, outcome.stdout.text(), outcome.stderr.text());
        assert_eq!(all, (Exit::Code(0), stdout.to_owned(), String::new()), "{}", outcome.level);
    });
}

#[test]
fn exits_and_signals_come_through() {
    let rows = [
        ("exit 0", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("exit 255", Exit::Code(255)),
        ("kill -KILL $$", Exit::Signal(9)),
        ("kill -TERM $$", Exit::Signal(15)),
        ("kill -SEGV $$", Exit::Signal(11)),
        // A real-time signal has no name.
        ("kill -40 $$; sleep 5", Exit::Signal(40)),
        // An orphan's exit is not the job's.
        ("(sleep 0.1; exit 3) & exit 4", Exit::Code(4)),
    ];
    for (script, exit) in rows {
        check(script, |_| {}, |_, outcome| assert_eq!(outcome.unwrap().exit, exit, "{script}"));
    }
}

#[test]
fn streams_come_through() {
    check_text("printf 'a\\0b'; printf '\\n'", |_| {}, "a\0b\n");
    check_text("cat; cat", |job| job.stdin = Some("two\nlines\n".to_owned()), "two\nlines\n");
    check_text("cat", |_| {}, "");
    check_text("true", |job| job.stdin = Some("x".repeat(1 << 20)), "");
    check(
        "echo out; echo err >&2",
        |_| {},
        |_, outcome| {
            let outcome = outcome.unwrap();
            assert_eq!((outcome.stdout.text(), outcome.stderr.text()), ("out\n".into(), "err\n".into()));
        },
    );
    // What comes after stdout was closed is not lost.
    check_text("exec >&- 2>&-; sleep 0.2; echo done > note; [ -e note ]", |_| {}, "");
}

#[test]
fn the_job_works_in_its_tree() {
    check(
        "pwd; echo changed > new; mkdir folder; mv new folder/newer; ln -s a b",
        |_| {},
        |job, outcome| {
            let tree = job.tree.canonicalize().unwrap();
            assert_eq!(outcome.unwrap().stdout.text(), format!("{}\n", tree.display()));
            assert_eq!(std::fs::read_to_string(tree.join("folder/newer")).unwrap(), "changed\n");
        },
    );
}

#[test]
fn the_environment_is_small() {
    let names = "CI HOME LANG PATH TMPDIR";
    let script = "env -u PWD -u SHLVL -u _ -u OLDPWD | cut -d= -f1 | sort | paste -sd ' '";
    check_text(script, |_| {}, &format!("{names}\n"));
    let more =
        |job: &mut Job| job.env = vec![("PATH".into(), "/usr/bin:/bin".into()), ("A".into(), "b".into())];
    check_text("echo $PATH $A", more, "/usr/bin:/bin b\n");
}

#[test]
fn programs_are_found_in_the_tree_and_in_the_path_of_the_job() {
    for (program, path) in [("./tool", "/usr/bin:/bin"), ("tool", ".:/usr/bin:/bin")] {
        let named = |job: &mut Job| {
            let file = job.tree.join("tool");
            std::fs::write(&file, "#!/bin/sh\necho ran $1\n").unwrap();
            std::fs::set_permissions(&file, Permissions::from_mode(0o700)).unwrap();
            job.argv = vec![program.into(), "well".into()];
            job.env = vec![("PATH".into(), path.into())];
        };
        check_text("", named, "ran well\n");
    }
}

#[test]
fn arguments_need_not_be_text() {
    let argument = |job: &mut Job| {
        job.argv = vec!["printf".into(), "%s|".into(), "a b".into(), OsString::from_vec(vec![0xff])];
    };
    check_text("", argument, "a b|\u{fffd}|");
}

#[test]
fn home_and_temp_are_new_and_gone_afterwards() {
    let script = "for folder in ~ $TMPDIR; do ls -A $folder; mkdir -p $folder/a/b; chmod 500 $folder/a; done; \
                  echo $HOME";
    check(
        script,
        |_| {},
        |_, outcome| {
            let home = outcome.unwrap().stdout.text();
            assert!(home.starts_with('/') && home.lines().count() == 1, "{home}");
            assert!(!std::path::Path::new(home.trim_end()).parent().unwrap().exists());
        },
    );
}

#[test]
fn a_readable_folder_can_be_read_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "text\n").unwrap();
    let link = folder.path().with_extension("link");
    std::os::unix::fs::symlink(folder.path(), &link).unwrap();
    let script = "cat $FOLDER/file; echo new > $FOLDER/file && echo written";
    for level in [Level::Bubblewrap, Level::Namespaces, Level::Landlock] {
        for name in [folder.path(), &link] {
            let Some(sandbox) = sandbox(level) else { continue };
            let tree = tempfile::tempdir().unwrap();
            let mut job = job(script, tree.path());
            job.readable = vec![name.to_owned()];
            job.env = vec![("FOLDER".into(), folder.path().into())];
            assert_eq!(sandbox.run(&job).unwrap().stdout.text(), "text\n", "{level}");
        }
    }
    std::fs::remove_file(link).unwrap();
}

#[test]
fn what_cannot_start_is_an_error() {
    let missing = |job: &mut Job| job.argv = vec!["no-such-program".into()];
    check("", missing, |_, outcome| {
        let error = outcome.unwrap_err().to_string();
        let reason = "No such file or directory (os error 2)";
        assert_eq!(error, format!("`no-such-program` cannot be started in the sandbox: {reason}"));
    });
    check(
        "",
        |job| job.argv.clear(),
        |_, outcome| {
            assert!(matches!(outcome.unwrap_err(), SandboxError::Start { .. }));
        },
    );
    check(
        "",
        |job| job.tree.push("none"),
        |_, outcome| {
            assert!(matches!(outcome.unwrap_err(), SandboxError::Path { .. }));
        },
    );
    check(
        "",
        |job| job.readable.push("/no/such/folder".into()),
        |_, outcome| {
            assert!(matches!(outcome.unwrap_err(), SandboxError::Path { .. }));
        },
    );
}

#[test]
fn programs_find_what_they_need() {
    let script = "echo x > /dev/null; head -c 3 /dev/urandom | wc -c; echo $((6 * 7)) | cat <(cat); \
                  grep -c root /etc/passwd > $TMPDIR/n; cat $TMPDIR/n; [ -e /proc/self/exe ] && echo err > /dev/stdout";
    check(
        script,
        |_| {},
        |_, outcome| {
            let outcome = outcome.unwrap();
            let text = outcome.stdout.text();
            assert!(text.starts_with("3\n42\n") && text.ends_with("err\n"), "{}: {outcome:?}", outcome.level);
        },
    );
}

/// Runs itself once more for each level, as the program that is killed while its job runs.
#[test]
fn the_job_dies_with_the_program() {
    let (level, tree) = (std::env::var("LASTMILE_TEST_LEVEL"), std::env::var_os("LASTMILE_TEST_TREE"));
    if let (Ok(name), Some(tree)) = (level, tree) {
        let level = Level::ALL.into_iter().find(|level| level.name() == name).unwrap();
        let script = "echo x > begun; sleep 1; echo x > late";
        sandbox(level).unwrap().run(&job(script, tree.as_ref())).unwrap();
        return;
    }
    let levels = Level::ALL.into_iter().filter(|level| sandbox(*level).is_some());
    let trees: Vec<_> = levels.map(|level| (level, tempfile::tempdir().unwrap())).collect();
    let programs = trees.iter().map(|(level, tree)| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sandbox_reports::the_job_dies_with_the_program"])
            .env("LASTMILE_TEST_LEVEL", level.name())
            .env("LASTMILE_TEST_TREE", tree.path())
            // A program that is killed leaves its folders behind.
            .env("TMPDIR", tree.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    });
    for (mut program, (_, tree)) in programs.collect::<Vec<_>>().into_iter().zip(&trees) {
        while !tree.path().join("begun").exists() && program.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(5));
        }
        program.kill().unwrap();
        program.wait().unwrap();
    }
    thread::sleep(Duration::from_millis(1500));
    for (level, tree) in &trees {
        let files = ["begun", "late"].map(|name| tree.path().join(name).exists());
        assert_eq!(files, [true, false], "{level}");
    }
}

#[test]
fn jobs_run_side_by_side() {
    for sandbox in Level::ALL.into_iter().filter_map(sandbox) {
        let run = &|n: i32| {
            let tree = tempfile::tempdir().unwrap();
            sandbox.run(&job(&format!("echo {n}; exit {n}"), tree.path())).unwrap()
        };
        thread::scope(|scope| {
            let jobs: Vec<_> = (0..4).map(|n| (n, scope.spawn(move || run(n)))).collect();
            for (n, job) in jobs {
                let outcome = job.join().unwrap();
                assert_eq!((outcome.exit, outcome.stdout.text()), (Exit::Code(n), format!("{n}\n")));
            }
        });
    }
}
