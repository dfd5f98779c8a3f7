//! `lastmile pr --compute` and `--post`: a pull request from a fork, and a run of it that nobody can trust.

use std::io::{Cursor, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::github::{FakeGitHub, NUMBER, tool};
use crate::repo::Said;

const CALM: &str = "a = 1\nb = 2\n";

/// A pull request from a fork, computed; the artifact is not on GitHub yet.
fn computed(github: FakeGitHub) -> (FakeGitHub, Value) {
    github.steer(
        "settings",
        &json!({ "numbers": { NUMBER.to_string(): { "branch": "topic", "from": "fork/r" } } }),
    );
    let mut command = github.command(&["--compute", "../report.json", "--exit-zero"]);
    let said = github.repo.run(command.env_remove("GITHUB_TOKEN").env_remove("GITHUB_API_URL"));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(github.n_requests(""), 0, "without a token nobody is asked");
    let report = serde_json::from_str(&github.repo.read("../report.json")).expect("JSON");
    (github, report)
}

fn simple() -> (FakeGitHub, Value) {
    computed(FakeGitHub::new(&[("a.py", CALM)], &[("a.py", "a = 1\nprint(1\nb = 2\n")]))
}

fn zipped(name: &str, text: &str) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(name, SimpleFileOptions::default()).expect("in memory");
    writer.write_all(text.as_bytes()).expect("in memory");
    writer.finish().expect("in memory").into_inner()
}

fn artifact(bytes: &[u8]) -> Value {
    let shown = json!({ "name": "lastmile-report", "size_in_bytes": bytes.len(), "expired": false });
    json!({ "shown": shown, "bytes": STANDARD.encode(bytes) })
}

/// The event of the run that computed, as GitHub makes it for a fork: it names no pull request.
fn event(github: &FakeGitHub) -> Value {
    let ours = json!({ "id": 1, "full_name": "o/r" });
    json!({
        "action": "completed",
        "repository": ours,
        "workflow_run": {
            "id": 77,
            "event": "pull_request",
            "path": ".github/workflows/lastmile.yml",
            "head_sha": github.head(),
            "head_branch": "topic",
            "conclusion": "success",
            "repository": ours,
            "head_repository": { "id": 2, "full_name": "fork/r" },
            "pull_requests": [],
        },
    })
}

/// Posts in a folder without a clone.
fn post(github: &FakeGitHub, artifacts: &Value, event: &Value) -> Said {
    github.steer("settings", &json!({ "artifacts": artifacts }));
    let path = github.repo.base().join("run.json");
    std::fs::write(&path, event.to_string()).expect("it is ours");
    let empty = github.repo.base().join("empty");
    std::fs::create_dir_all(&empty).expect("it is ours");
    github.repo.run(github.command(&["--post"]).env("GITHUB_EVENT_PATH", path).current_dir(empty))
}

fn posts_once(github: &FakeGitHub, report: &Value) {
    let artifacts = json!([artifact(&zipped("report.json", &report.to_string()))]);
    let said = post(github, &artifacts, &event(github));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(github.comments(), [("a.py".to_owned(), 2, 2)], "{said:?}");
    // What the other run was sure of is a claim.
    let body = github.state()["comments"][0]["body"].to_string();
    assert!(body.contains("needs review (parses)"), "{body}");
    let again = post(github, &artifacts, &event(github));
    assert!(again.stderr.contains("Nothing new on #5"), "{again:?}");
    assert_eq!(github.reviews().len(), 1);
    let state = github.state();
    let requests = state["requests"].as_array().expect("a list");
    let elsewhere: Vec<_> =
        requests.iter().filter(|r| r["path"].as_str().unwrap_or("").starts_with("/elsewhere")).collect();
    assert!(elsewhere.len() == 2 && elsewhere.iter().all(|request| request["has_token"] == false));
}

#[test]
fn a_fork_gets_its_suggestions() {
    let (github, report) = simple();
    posts_once(&github, &report);
}

/// Nothing may come of it; the reason is named.
#[track_caller]
fn check_refused(github: &FakeGitHub, artifacts: &Value, event: &Value, reason: &str) {
    let said = post(github, artifacts, event);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains(reason), "{reason}: {said:?}");
    assert_eq!(github.n_requests("POST /repos"), 0, "{said:?}");
}

/// The proxy follows the redirect to the archive itself, so only what comes before that goes through it.
#[test]
fn what_is_asked_about_runs_fits_the_description() {
    let files = [("a.py", "print(1\n")];
    let Some(github) = FakeGitHub::proxied(&[("README", "x\n")], &files) else { return };
    let (github, report) = computed(github);
    let good = artifact(&zipped("report.json", &report.to_string()));
    check_refused(&github, &json!([good, good]), &event(&github), "the run left 2 artifacts");
}

#[test]
fn hostile_artifacts_are_refused() {
    let (github, report) = simple();
    let event = event(&github);
    let good = artifact(&zipped("report.json", &report.to_string()));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut report = report.clone();
        change(&mut report);
        json!([artifact(&zipped("report.json", &report.to_string()))])
    };
    let check = |artifacts: &Value, reason: &str| check_refused(&github, artifacts, &event, reason);
    check(&json!([]), "the run left 0 artifacts named `lastmile-report`, not one");
    check(&json!([good, good]), "the run left 2 artifacts");
    let mut other = good.clone();
    other["shown"]["expired"] = json!(true);
    check(&json!([other]), "has expired");
    other["shown"] = json!({ "name": "lastmile-report", "size_in_bytes": 5_000_000, "expired": false });
    check(&json!([other]), "it is larger than 4 MB");
    // Larger than it was said to be.
    check(
        &json!([artifact(&vec![0; 5 << 20])])
            .pointer("/0")
            .map(|large| {
                let mut large = large.clone();
                large["shown"]["size_in_bytes"] = json!(9);
                json!([large])
            })
            .expect("just made"),
        "length limit exceeded",
    );
    check(&json!([artifact(b"no zip")]), "it is no zip archive");
    check(
        &json!([artifact(&zipped("../report.json", "{}"))]),
        "its entry is not the plain file `report.json`",
    );
    check(&json!([artifact(&zipped("report.json", &" ".repeat(8 << 20)))]), "it unpacks to more than it may");
    let two = {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["report.json", "more.json"] {
            writer.start_file(name, SimpleFileOptions::default()).expect("in memory");
            writer.write_all(report.to_string().as_bytes()).expect("in memory");
        }
        writer.finish().expect("in memory").into_inner()
    };
    check(&json!([artifact(&two)]), "it holds 2 entries, not one");
    for path in ["../a.py", "a.py\n::error::x.py", "a\u{202e}.py"] {
        check(
            &with(&|report| report["files"][0]["path"] = json!(path)),
            "a path in it is none that git could list",
        );
    }
    check(
        &with(&|report| report["files"][0]["edits"][0]["new"] = json!("print(1)\n```\n@everyone\n")),
        "a repair does not parse",
    );
    let long = format!("print(1)  # {}\n", "[buy](https://example.org) ".repeat(20));
    check(&with(&|report| report["files"][0]["edits"][0]["new"] = json!(long)), "400 bytes longer");
    check(&with(&|report| report["pull"] = json!(6)), "it is not what lastmile writes: line 1");
    check(&with(&|report| report["head"] = json!("0".repeat(40))), "it is about another commit than the run");
    check(
        &with(&|report| report["files"][0]["path"] = json!("b.py")),
        "a file that the pull request does not change",
    );
    check(
        &with(&|report| report["files"][0]["path"] = json!(".github/x.py")),
        "a file that steers what runs",
    );
    check(
        &with(&|report| report["files"][0]["edits"][0]["old"] = json!("print(2\n")),
        "does not hold the lines",
    );
    check(
        &with(&|report| report["files"][0]["edits"][0]["new"] = json!("print[1\n")),
        "a repair does not parse",
    );
}

/// A text, the line that changes, what stands there and what comes there.
type Row = (&'static str, &'static str, (usize, &'static str, &'static str));

/// Edits of every kind, taken by the fake as GitHub takes them.
#[test]
fn suggestions_of_every_kind_make_the_repaired_text() {
    let rows: [Row; 7] = [
        ("above all.py", "    x = 1\nprint(2)\n", (1, "", "if True:\n")),
        ("below all.py", "x = 1\ndef f():\n", (3, "", "    pass\n")),
        ("between.py", "if x:\n\nprint(2)\n", (2, "", "    pass\n")),
        ("gone.py", "x = 1\n)\ny = 2\n", (2, ")\n", "")),
        ("many.py", "f(\ng(\nh()\n", (1, "f(\ng(\n", "f()\n\ng()\n")),
        ("s`ign @all.py", "s = '``````'; f(\n", (1, "s = '``````'; f(\n", "s = '``````'; f()\n")),
        (
            "\u{e4}\u{4e2d}.py",
            "s = '\u{e4}\u{4e2d}\u{1f600}'; f(\n",
            (1, "s = '\u{e4}\u{4e2d}\u{1f600}'; f(\n", "f()\n"),
        ),
    ];
    // What a suggestion would not keep.
    let diffs: [Row; 3] = [
        ("carriage.py", "x = 1\r\nf(\r\n", (2, "f(\r\n", "f()\r\n")),
        ("last.py", "x = 1\nf(", (2, "f(", "f()")),
        ("turned.py", "f(  # \u{202e}x\n", (1, "f(  # \u{202e}x\n", "f()  # \u{202e}x\n")),
    ];
    let all = || rows.iter().chain(&diffs);
    let files: Vec<(&str, &str)> = all().map(|(path, text, _)| (*path, *text)).collect();
    let (github, mut report) = computed(FakeGitHub::new(&[("README", "x\n")], &files));
    let file = |(path, _, (line, old, new)): &Row| json!({ "path": path, "edits": [{ "line": line, "old": old, "new": new }] });
    report["files"] = all().map(file).collect();
    let artifacts = json!([artifact(&zipped("report.json", &report.to_string()))]);
    let said = post(&github, &artifacts, &event(&github));
    assert_eq!(said.code, Some(1), "{said:?}");
    let taken = github.steer("apply", &json!(NUMBER));
    for (path, text, (line, old, new)) in &rows {
        let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        assert_eq!(
            taken[path],
            [&text[..start], new, &text[start + old.len()..]].concat(),
            "{path}: {said:?}"
        );
    }
    let body = github.reviews()[0]["body"].as_str().expect("a text").to_owned();
    assert_eq!((taken.as_object().map(serde_json::Map::len), github.reviews().len()), (Some(rows.len()), 1));
    assert!(diffs.iter().all(|(path, ..)| body.contains(&format!("\n`{path}`: "))), "{body}");
    assert!(body.contains("<U+202E>") && !body.contains('\u{202e}'), "{body}");
    let again = post(&github, &artifacts, &event(&github));
    assert!(again.stderr.contains("Nothing new on #5: 10 repairs were shown before."), "{again:?}");
}

/// The run that computes may have had no engine: then its report names no file, and says nothing about any.
#[test]
fn what_a_run_leaves_out_is_not_over() {
    let (github, report) = simple();
    posts_once(&github, &report);
    let post_without_files = || {
        let report = json!({ "version": 1, "head": github.head(), "files": [] });
        post(&github, &json!([artifact(&zipped("report.json", &report.to_string()))]), &event(&github))
    };
    github.push(&[("a.py", "a = 1\nprint(12\nb = 2\n")]);
    let said = post_without_files();
    assert_eq!((said.code, github.state()["resolved"].clone()), (Some(0), json!([])), "{said:?}");
    github.push(&[("a.py", "a = 1\nprint(12)\nb = 2\n")]);
    let said = post_without_files();
    assert_eq!(github.state()["resolved"].as_array().map(Vec::len), Some(1), "{said:?}");
}

#[test]
fn of_a_file_that_is_gone_nothing_stays_open() {
    let (github, report) = simple();
    posts_once(&github, &report);
    github.repo.git(["rm", "--quiet", "a.py"]);
    github.push(&[]);
    let report = json!({ "version": 1, "head": github.head(), "files": [] });
    let artifacts = json!([artifact(&zipped("report.json", &report.to_string()))]);
    let said = post(&github, &artifacts, &event(&github));
    assert_eq!(github.state()["resolved"].as_array().map(Vec::len), Some(1), "{said:?}");
}

/// What parses is taken, whatever it says: it stays code, to GitHub and to the workflow.
#[test]
fn what_a_run_says_stays_code() {
    let (github, mut report) = simple();
    let new = "print(1)  # `````` @everyone <img src=x> ::error::x\n";
    report["files"][0]["edits"][0]["new"] = json!(new);
    github
        .steer("settings", &json!({ "artifacts": [artifact(&zipped("report.json", &report.to_string()))] }));
    let path = github.repo.base().join("run.json");
    std::fs::write(&path, event(&github).to_string()).expect("it is ours");
    let mut command = github.command(&["--post"]);
    let said = github.repo.run(command.env("GITHUB_EVENT_PATH", path).env("GITHUB_ACTIONS", "true"));
    assert_eq!(said.code, Some(1), "{said:?}");
    let body = github.state()["comments"][0]["body"].as_str().expect("a text").to_owned();
    assert_eq!(body.matches(&format!("```````suggestion\n{new}```````\n")).count(), 1, "{body}");
    assert_eq!(body.matches("@everyone").count(), 1, "{body}");
    assert_eq!(github.steer("apply", &json!(NUMBER))["a.py"], format!("a = 1\n{new}b = 2\n"));
    let commands = |text: &str| text.lines().filter(|line| line.trim_start().starts_with("::")).count();
    assert_eq!((commands(&said.stdout), commands(&said.stderr)), (2, 0), "{said:?}");
}

/// Its target reads as Python; the text of another file would be replaced by the target's name.
#[test]
fn a_link_is_no_file_to_repair() {
    let github = FakeGitHub::new(&[("a.py", CALM)], &[("b.py", CALM)]);
    std::os::unix::fs::symlink("print(1", github.repo.root.join("link.py")).expect("it is ours");
    github.push(&[("a.py", "a = 1\nprint(1\nb = 2\n")]);
    let (github, mut report) = computed(github);
    assert_eq!(report["files"].as_array().map(Vec::len), Some(1));
    report["files"][0] =
        json!({ "path": "link.py", "edits": [{ "line": 1, "old": "print(1", "new": "print(1)" }] });
    let artifacts = json!([artifact(&zipped("report.json", &report.to_string()))]);
    check_refused(&github, &artifacts, &event(&github), "it repairs a link or a submodule");
}

/// As on GitHub: the fork is a repository of its own, whose branch is fetched; the base has gone on; and the run has
/// the merge of both checked out, which is the head of neither.
#[test]
fn a_fork_is_a_repository_of_its_own() {
    let github = FakeGitHub::new(&[("a.py", &CALM.repeat(5))], &[]);
    let git = |folder: &str, arguments: &[&str]| {
        let mut command = github.repo.command("git");
        let said = github.repo.run(command.args(arguments).current_dir(github.repo.root.join(folder)));
        assert_eq!(said.code, Some(0), "git {arguments:?}: {said:?}");
        said.stdout.trim().to_owned()
    };
    git(".", &["clone", "--quiet", "--bare", "../origin.git", "../fork.git"]);
    git(".", &["clone", "--quiet", "../fork.git", "../contributor"]);
    github.repo.write("../contributor/a.py", format!("a = 1\nprint(1\n{}", CALM.repeat(5)));
    git("../contributor", &["commit", "--quiet", "--all", "--message", "theirs"]);
    git("../contributor", &["push", "--quiet", "origin", "HEAD:refs/heads/topic"]);
    let head = git("../contributor", &["rev-parse", "HEAD"]);
    git("../origin.git", &["fetch", "--quiet", "../fork.git", "+refs/heads/topic:refs/pull/5/head"]);

    git(".", &["clone", "--quiet", "../origin.git", "../maintainer"]);
    github.repo.write("../maintainer/a.py", format!("{}z = 26\nprint(26\n", CALM.repeat(5)));
    git("../maintainer", &["commit", "--quiet", "--all", "--message", "ours"]);
    git("../maintainer", &["push", "--quiet", "origin", "HEAD:refs/heads/main"]);

    git(".", &["clone", "--quiet", "../origin.git", "../runner"]);
    git("../runner", &["fetch", "--quiet", "origin", "+refs/pull/5/head:refs/remotes/pull/5/head"]);
    git("../runner", &["checkout", "--quiet", "--detach", "origin/main"]);
    git("../runner", &["merge", "--quiet", "--no-ff", "--no-edit", "refs/remotes/pull/5/head"]);
    let merge = git("../runner", &["rev-parse", "HEAD"]);

    let mut opened = github.event();
    opened["pull_request"]["head"] =
        json!({ "sha": head, "ref": "topic", "repo": { "id": 2, "full_name": "fork/r" } });
    let mut command = github.command(&["--compute", "../report.json", "--exit-zero"]);
    std::fs::write(github.repo.base().join("event.json"), opened.to_string()).expect("it is ours");
    command.current_dir(github.repo.base().join("runner"));
    command.env("GITHUB_SHA", &merge).env("GITHUB_REF", "refs/pull/5/merge");
    let said = github.repo.run(command.env_remove("GITHUB_TOKEN"));
    assert_eq!(said.code, Some(0), "{said:?}");
    let report: Value = serde_json::from_str(&github.repo.read("../report.json")).expect("JSON");
    assert_eq!((&report["head"], report["files"].as_array().map(Vec::len)), (&json!(head), Some(1)));

    let numbers = json!({ NUMBER.to_string(): { "branch": "topic", "from": "fork/r" } });
    github.steer("settings", &json!({ "numbers": numbers }));
    let mut event = event(&github);
    event["workflow_run"]["head_sha"] = json!(head);
    let artifacts = json!([artifact(&zipped("report.json", &report.to_string()))]);
    let said = post(&github, &artifacts, &event);
    assert_eq!(said.code, Some(1), "{said:?}");
    // What the base brought is not of this pull request.
    assert_eq!(github.comments(), [("a.py".to_owned(), 2, 2)], "{said:?}");
    let taken = github.steer("apply", &json!(NUMBER));
    assert_eq!(taken["a.py"], format!("a = 1\nprint(1)\n{}", CALM.repeat(5)));
}

#[test]
fn runs_that_are_not_ours_are_refused() {
    let (github, report) = simple();
    let artifacts = json!([artifact(&zipped("report.json", &report.to_string()))]);
    let check = |key: &str, value: Value, reason: &str| {
        let mut event = event(&github);
        event["workflow_run"][key] = value;
        check_refused(&github, &artifacts, &event, reason);
    };
    check("event", json!("push"), "started by another event than `pull_request`");
    check(
        "path",
        json!(".github/workflows/other.yml"),
        "of another workflow than `.github/workflows/lastmile.yml`",
    );
    check("path", json!(null), "of another workflow");
    check("repository", json!({ "id": 3, "full_name": "o/r" }), "of another repository");
    check("head_sha", json!("0".repeat(40)), "no open pull request is at the commit of the run");
    check("head_branch", json!("other"), "no open pull request is at the commit of the run");
    check("head_repository", json!({ "id": 3, "full_name": "fork/r" }), "no open pull request");
    check("head_repository", json!(null), "names no branch");
    check_refused(&github, &artifacts, &github.event(), "is for the event `workflow_run`");
    // The pull request went on in the meantime.
    let old = event(&github);
    github.push(&[("b.py", "x = 1\n")]);
    check_refused(&github, &artifacts, &old, "it has moved on, or is closed");
    github.steer(
        "settings",
        &json!({ "numbers": { "5": { "branch": "topic", "from": "fork/r", "state": "closed" } } }),
    );
    check_refused(&github, &artifacts, &event(&github), "it has moved on, or is closed");
}

/// Runs of other events and workflows, as GitHub sends them.
#[test]
fn real_runs_are_read() {
    let Some(events) = tool("events.json") else { return };
    let events: Value = serde_json::from_slice(&std::fs::read(events).expect("just found")).expect("JSON");
    let (github, _) = simple();
    for event in events["workflow_run"].as_array().expect("a list") {
        check_refused(&github, &json!([]), event, "started by another event than `pull_request`");
    }
}
