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
