//! `lastmile pr` against a fake GitHub: what it posts, what it does not post again, what it does when GitHub fails.

use serde_json::{Value, json};

use crate::github::{FakeGitHub, NUMBER, request_of};
use crate::repo::Said;

const CALM: &str = "a = 1\nb = 2\nc = 3\nd = 4\ne = 5\nf = 6\ng = 7\nh = 8\ni = 9\nj = 10\n";

/// Text with a call that is not closed, far below the lines that are changed.
fn broken_at(line: usize) -> String {
    let mut lines: Vec<&str> = CALM.lines().collect();
    lines.insert(line - 1, "print(1");
    lines.join("\n") + "\n"
}

/// One file with one fault in it.
fn simple() -> FakeGitHub {
    FakeGitHub::new(&[("a.py", CALM)], &[("a.py", &broken_at(3))])
}

/// Files that are new and broken.
fn many(n: usize) -> FakeGitHub {
    let names: Vec<String> = (0..n).map(|idx| format!("f{idx:04}.py")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "print(1\n")).collect();
    FakeGitHub::new(&[("README", "x\n")], &files)
}

#[track_caller]
fn check_posted(github: &FakeGitHub, said: &Said, n_reviews: usize) {
    assert_eq!(github.reviews().len(), n_reviews, "{said:?}");
}

#[test]
fn a_suggestion_is_posted_once() {
    let github = simple();
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    insta::assert_snapshot!(said.stderr, @"
    checked 1 file: 1 does not parse (9 faults), 1 with a suggestion
    Posted one review on #5 (suggestions: 1).
    ");
    assert_eq!(github.comments(), [("a.py".to_owned(), 3, 3)]);
    assert_eq!(github.outputs(), "found=1\nrepaired=1\nposted=1\n");
    assert!(github.summary().contains("Posted one review on #5"), "{}", github.summary());
    let taken = github.steer("apply", &json!(NUMBER));
    assert_eq!(taken["a.py"], broken_at(3).replace("print(1", "print(1)"));

    let again = github.pr(&[]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("Nothing new on #5"), "{again:?}");
    check_posted(&github, &again, 1);
}

#[test]
fn what_parses_is_no_reason_to_speak() {
    let github = FakeGitHub::new(&[("a.py", CALM)], &[("a.py", "a = 1\n"), ("notes.txt", "f(\n")]);
    let said = github.pr(&[]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{said:?}");
    assert_eq!((github.reviews().len(), github.summary().as_str()), (0, ""));
    assert_eq!(github.outputs(), "found=0\nrepaired=0\nposted=0\n");
    assert_eq!(github.n_requests("POST /repos"), 0);
}

#[test]
fn a_push_that_shifts_lines_posts_nothing_new() {
    let github = simple();
    github.pr(&[]);
    github.push(&[("a.py", &format!("import os\nimport sys\n\n{}", broken_at(3)))]);
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    check_posted(&github, &said, 1);
    assert_eq!(github.state()["resolved"], json!([]));
    // But what is new is said.
    github.push(&[("b.py", "print(2\n")]);
    let said = github.pr(&[]);
    check_posted(&github, &said, 2);
    assert_eq!(github.comments().len(), 2);
}

#[test]
fn what_is_over_is_resolved_unless_somebody_answered() {
    let files = [("a.py", "print(1\n"), ("b.py", "print(2\n"), ("c.py", "print(3\n")];
    let github = FakeGitHub::new(&[("README", "x\n")], &files);
    github.pr(&[]);
    let state = github.state();
    let comments = state["comments"].as_array().expect("a list");
    let of = |path: &str| comments.iter().find(|comment| comment["path"] == path).expect("it is there");
    let answer = json!({ "as": "person", "number": NUMBER, "path": "b.py", "line": 1, "body": "no, thanks",
        "in_reply_to": of("b.py")["id"] });
    github.steer("comment", &answer);
    let copied =
        json!({ "as": "person", "number": NUMBER, "path": "a.py", "line": 1, "body": of("a.py")["body"] });
    github.steer("comment", &copied);
    github.push(&[("a.py", "print(1)\n"), ("b.py", "print(2)\n")]);
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(github.state()["resolved"], json!([of("a.py")["id"]]));
    assert_eq!(github.n_requests("DELETE"), 0);
    check_posted(&github, &said, 1);
}

#[test]
fn own_words_are_found_on_any_page() {
    let github = simple();
    let remark = json!({ "as": "person", "number": NUMBER, "path": "a.py", "line": 3, "body": "b" });
    for _ in 0..120 {
        github.steer("comment", &remark);
    }
    github.pr(&[]);
    let again = github.pr(&[]);
    assert!(again.stderr.contains("Nothing new on #5"), "{again:?}");
    check_posted(&github, &again, 1);
    github.push(&[("a.py", CALM)]);
    let said = github.pr(&[]);
    assert_eq!(github.state()["resolved"].as_array().map(Vec::len), Some(1), "{said:?}");
}

#[test]
fn when_all_is_well_again_nothing_stays_open() {
    let github = simple();
    github.pr(&[]);
    github.push(&[("a.py", CALM)]);
    github.plan(&json!([{ "match": "GET /repos/o/r/pulls/5/comments", "status": 403 }]));
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("warning: threads about what is gone stay open"), "{said:?}");
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(github.state()["resolved"].as_array().map(Vec::len), Some(1), "{said:?}");
    check_posted(&github, &said, 1);
}

#[test]
fn threads_that_may_not_be_resolved_stay() {
    let github = FakeGitHub::new(&[("README", "x\n")], &[("a.py", "print(1\n"), ("b.py", "print(1\n")]);
    github.pr(&[]);
    github.steer("settings", &json!({ "no_resolving": true }));
    github.push(&[("a.py", "print(1)\n")]);
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("warning: threads about what is gone stay open"), "{said:?}");
}

#[test]
fn somebody_elses_mark_hides_nothing() {
    let github = simple();
    github.pr(&[]);
    let body = github.state()["comments"][0]["body"].clone();
    let github = simple();
    github.steer(
        "comment",
        &json!({ "as": "person", "number": NUMBER, "path": "a.py", "line": 3, "body": body }),
    );
    let said = github.pr(&[]);
    check_posted(&github, &said, 1);
}

#[test]
fn lines_outside_of_the_diff_are_shown_as_a_diff() {
    let tall = format!("print(1\n{}", CALM.repeat(3));
    let github = FakeGitHub::new(&[("a.py", &tall)], &[("a.py", &format!("{tall}k = 1\n"))]);
    let said = github.pr(&[]);
    check_posted(&github, &said, 1);
    assert_eq!(github.comments(), []);
    let body = github.reviews()[0]["body"].to_string();
    assert!(body.contains("its lines lie outside of what this pull request changes"), "{body}");
    assert!(body.contains("-print(1\\n+print(1)\\n"), "{body}");
    check_posted(&github, &github.pr(&[]), 1);
}

#[test]
fn a_review_is_not_lost_for_one_refused_comment() {
    let github = many(5);
    github.steer("settings", &json!({ "refused_paths": ["f0003.py"] }));
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    check_posted(&github, &said, 1);
    let paths: Vec<String> = github.comments().into_iter().map(|(path, ..)| path).collect();
    assert_eq!(paths, ["f0000.py", "f0001.py", "f0002.py", "f0004.py"]);
    assert!(github.reviews()[0]["body"].as_str().is_some_and(|body| body.contains("GitHub did not take it")));
    assert!(said.stderr.contains("GitHub refused the suggestions for 1 files"), "{said:?}");
    // No draft is left behind.
    assert_eq!(github.state()["reviews"].as_array().map(Vec::len), Some(1));
}

#[test]
fn nothing_is_posted_when_the_head_moves() {
    let github = simple();
    let old = github.head();
    github.push(&[("b.py", "x = 1\n")]);
    let new = github.head();
    github.repo.git(["reset", "--quiet", "--hard", &old]);
    let push = |sha: &str| {
        json!([{ "match": "GET /repos/o/r/pulls/5$", "skip": 1,
        "push": [format!("refs/pull/{NUMBER}/head"), sha] }])
    };
    let reference = format!("refs/pull/{NUMBER}/head");
    github.repo.git(["--git-dir=../origin.git", "update-ref", &reference, &old]);
    github.plan(&push(&new));
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("no longer at"), "{said:?}");
    check_posted(&github, &said, 0);
    // And before anything was looked at.
    let said = github.pr(&[]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{said:?}");
    assert_eq!(github.n_requests("POST /repos"), 0);
}

#[test]
fn a_closed_pull_request_is_left_alone() {
    let github = simple();
    github.steer("settings", &json!({ "numbers": { "5": { "state": "closed" } } }));
    let said = github.pr(&[]);
    check_posted(&github, &said, 0);
    assert!(said.stderr.contains("Nothing was posted: #5 is closed."), "{said:?}");
}

/// What GitHub answers instead, how often, and what becomes of it: exit code, reviews, words on stderr.
#[track_caller]
fn check_fault(fault: &Value, settings: &str, (code, n_reviews, words): (i32, usize, &str)) {
    let github = simple();
    github.repo.write("lastmile.toml", settings);
    github.plan(fault);
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(code), "{fault}: {said:?}");
    check_posted(&github, &said, n_reviews);
    assert!(said.stderr.contains(words), "{fault}: {said:?}");
    // Nothing is lost: what was not posted stands in annotations and in the summary.
    let is_annotated = said.stdout.contains("::error file=a.py,line=");
    assert_eq!(is_annotated, n_reviews == 0, "{said:?}");
    assert!(github.summary().contains("`a.py` does not parse"), "{}", github.summary());
    // Nor is anything posted twice by the next run.
    github.plan(&json!([]));
    check_posted(&github, &github.pr(&[]), 1);
}

const REVIEW: &str = "POST /repos/o/r/pulls/5/reviews";
const POSTED: (i32, usize, &str) = (1, 1, "Posted one review");

#[test]
fn a_review_that_was_posted_although_the_answer_says_no_is_not_posted_again() {
    check_fault(&json!([{ "match": REVIEW, "status": 502, "after": true }]), "", POSTED);
    check_fault(&json!([{ "match": REVIEW, "hang": 2, "after": true }]), "[pr]\ntimeout_ms = 700\n", POSTED);
}

#[test]
fn a_review_that_was_not_posted_is_posted_again() {
    check_fault(&json!([{ "match": REVIEW, "status": 500, "times": 2 }]), "", POSTED);
    check_fault(&json!([{ "match": REVIEW, "hang": 2 }]), "[pr]\ntimeout_ms = 700\n", POSTED);
}

#[test]
fn waits_are_as_long_as_github_asks() {
    let limited = |status: u16, headers: &Value| json!([{ "match": REVIEW, "status": status, "headers": headers, "message": "API rate limit exceeded" }]);
    check_fault(&limited(429, &json!({ "retry-after": "1" })), "", POSTED);
    check_fault(&limited(403, &json!({ "retry-after": "1" })), "", POSTED);
    check_fault(
        &limited(403, &json!({ "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1" })),
        "",
        POSTED,
    );
    let too_long = (2, 0, "GitHub asks to wait 3600 s, longer than `pr.max_wait_s` allows");
    check_fault(&limited(429, &json!({ "retry-after": "3600" })), "", too_long);
}

#[test]
fn a_secondary_limit_without_headers_is_no_missing_permission() {
    let fault =
        json!([{ "match": REVIEW, "status": 403, "message": "You have exceeded a secondary rate limit" }]);
    let expected = (2, 0, "GitHub asks to wait 60 s, longer than `pr.max_wait_s` allows");
    check_fault(&fault, "[pr]\nmax_wait_s = 59\n", expected);
}

#[test]
fn an_expired_token_is_an_error() {
    let fault = json!([{ "match": REVIEW, "status": 401, "message": "Bad credentials" }]);
    check_fault(&fault, "", (2, 0, "the token is wrong or has expired (Bad credentials)"));
}

#[test]
fn errors_without_end_are_an_error() {
    let fault = json!([{ "match": REVIEW, "status": 503, "times": 99 }]);
    check_fault(&fault, "", (2, 0, "no usable answer from GitHub (status 503: no)"));
}

#[test]
fn without_knowing_what_was_said_nothing_is_posted() {
    let fault = json!([{ "match": "GET /repos/o/r/pulls/5/comments", "status": 500, "times": 99 }]);
    check_fault(&fault, "", (2, 0, "failed to read the comments"));
}

#[test]
fn with_a_token_that_may_only_read_all_findings_become_annotations() {
    let github = many(25);
    let said = github.repo.run(github.command(&[]).env("GITHUB_TOKEN", "read-only"));
    assert_eq!(said.code, Some(1), "{said:?}");
    check_posted(&github, &said, 0);
    for idx in 0..25 {
        assert!(said.stdout.contains(&format!("::error file=f{idx:04}.py,line=1")), "{said:?}");
        assert!(github.summary().contains(&format!("`f{idx:04}.py` does not parse")));
    }
    assert_eq!(github.outputs(), "found=25\nrepaired=25\nposted=0\n");
    assert!(said.stderr.contains("Resource not accessible by integration"), "{said:?}");
}

#[test]
fn commands_to_the_workflow_are_not_taken_from_code_or_names() {
    let name = "a\n::set-output name=x::y.py";
    let github = FakeGitHub::new(&[("README", "x\n")], &[(name, "::add-mask::print(1\n")]);
    let said =
        github.repo.run(github.command(&[]).env("GITHUB_ACTIONS", "true").env("GITHUB_TOKEN", "read-only"));
    let lines: Vec<&str> = said.stdout.lines().filter(|line| line.trim_start().starts_with("::")).collect();
    let token = lines[0].strip_prefix("::stop-commands::").expect("silence comes first");
    assert_eq!(lines[1], format!("::{token}::"));
    assert!(
        lines[2..].iter().all(|line| line.starts_with("::error file=a%0A%3A%3Aset-output name=x%3A%3Ay.py,")),
        "{said:?}"
    );
    let start = said.stdout.find("::stop-commands").expect("just seen");
    assert!(said.stdout[..start].trim().is_empty());
    let summary = github.summary();
    assert!(!summary.contains("\n::"), "{summary}");
}

#[test]
fn the_api_lists_what_the_clone_does_not_hold() {
    let github = many(130);
    github.repo.git([
        "clone",
        "--quiet",
        "--depth=1",
        &format!("file://{}", github.repo.base().join("origin.git").display()),
        "../shallow",
    ]);
    let run = || github.repo.run(github.command(&[]).current_dir(github.repo.base().join("shallow")));
    let said = run();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("`fetch-depth: 0` for actions/checkout saves the requests"), "{said:?}");
    assert!(said.stderr.contains("checked 130 files"), "{said:?}");
    assert_eq!((github.reviews().len(), github.comments().len()), (1, 20));
    assert_eq!(github.n_requests("GET /repos/o/r/pulls/5/files"), 2);
    check_posted(&github, &run(), 1);
}

#[test]
fn files_whose_changes_github_does_not_show_get_no_suggestions() {
    let github = simple();
    github.steer("settings", &json!({ "no_patches": true, "numbers": { "5": { "changed_files": 4000 } } }));
    let origin = format!("file://{}", github.repo.base().join("origin.git").display());
    github.repo.git(["clone", "--quiet", "--depth=1", &origin, "../shallow"]);
    let said = github.repo.run(github.command(&[]).current_dir(github.repo.base().join("shallow")));
    assert!(said.stderr.contains("GitHub shows no changes of 1 files"), "{said:?}");
    assert!(said.stderr.contains("GitHub lists 1 of 4000 changed files"), "{said:?}");
    assert_eq!((github.reviews().len(), github.comments().len()), (1, 0));
}

#[test]
fn github_enterprise_has_its_own_address_and_no_limits() {
    let github = simple();
    github.steer("settings", &json!({ "limits": false }));
    let address = format!("http://127.0.0.1:{}/api/v3", github.server.port);
    let said =
        github.repo.run(github.command(&[]).env("GITHUB_API_URL", address).env_remove("GITHUB_GRAPHQL_URL"));
    check_posted(&github, &said, 1);
}

#[test]
fn the_token_goes_to_no_other_host() {
    let elsewhere = simple();
    let github = simple();
    let address = format!("http://127.0.0.1:{}/elsewhere", elsewhere.server.port);
    let link = format!("<{address}>; rel=\"next\"");
    github.plan(&json!([
        { "match": "GET /repos/o/r/pulls/5$", "status": 302, "headers": { "location": address, "link": link } },
    ]));
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("GitHub answered with status 302"), "{said:?}");
    assert_eq!(elsewhere.n_requests("GET"), 0);
}

#[test]
fn an_app_asks_for_no_more_than_it_needs() {
    let github = simple();
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/github/app.pem");
    github.steer("settings", &json!({ "app_key": key }));
    let pem = std::fs::read_to_string(key).expect("it is in the repository");
    let run = || {
        let mut command = github.command(&[]);
        command.env_remove("GITHUB_TOKEN").env("LASTMILE_APP_ID", "12345").env("LASTMILE_APP_KEY", &pem);
        github.repo.run(&mut command)
    };
    let said = run();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(github.reviews()[0]["user"]["login"], "lastmile-app[bot]");
    check_posted(&github, &run(), 1);
}

/// As `actions/create-github-app-token` makes it: it may not ask for `/user`, and is not of the account of workflows.
#[test]
fn a_token_that_somebody_made_for_an_app_knows_its_own_words() {
    let github = simple();
    let run = || github.repo.run(github.command(&[]).env("GITHUB_TOKEN", "app-token"));
    check_posted(&github, &run(), 1);
    assert_eq!(github.reviews()[0]["user"]["login"], "lastmile-app[bot]");
    let again = run();
    assert!(again.stderr.contains("Nothing new on #5"), "{again:?}");
    check_posted(&github, &again, 1);
    // GraphQL has limits of its own, and says so with status 200: then it is not known who speaks.
    github.steer("settings", &json!({ "no_queries_left": true }));
    let said = run();
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("Nothing was posted: failed to read the own account"), "{said:?}");
    check_posted(&github, &said, 1);
}

/// A run that is cancelled while it looks for what GitHub refuses leaves its draft, and there may be one only.
#[test]
fn a_draft_that_was_left_behind_is_taken_back() {
    let github = many(3);
    github.steer("settings", &json!({ "refused_paths": ["f0001.py"] }));
    github.plan(&json!([{ "match": "DELETE /repos/o/r/pulls/5/reviews", "status": 401 }]));
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert_eq!(github.state()["reviews"][0]["state"], "PENDING");
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    check_posted(&github, &said, 1);
    assert_eq!((github.state()["reviews"].as_array().map(Vec::len), github.comments().len()), (Some(1), 2));
}

/// What a person is about to say is not ours to take back.
#[test]
fn the_draft_of_a_person_stays() {
    let github = simple();
    let draft = json!({ "commit_id": github.head(), "body": "so far" });
    let headers = "Authorization: Bearer person\r\n";
    request_of(github.server.port, "POST", "/repos/o/r/pulls/5/reviews", headers, &draft);
    let said = github.repo.run(github.command(&[]).env("GITHUB_TOKEN", "person"));
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("one pending review per pull request"), "{said:?}");
    assert!(said.stdout.contains("::error file=a.py,line="), "{said:?}");
    assert_eq!(github.state()["reviews"][0]["body"], "so far");
    check_posted(&github, &said, 0);
}

#[test]
fn without_an_engine_nothing_is_called_gone() {
    let github = simple();
    github.pr(&[]);
    // Its lines changed, so GitHub calls the comment outdated; the file is as broken as before.
    github.push(&[("a.py", &broken_at(3).replace("print(1", "print(12"))]);
    let said = github.repo.run(github.command(&[]).env("LASTMILE_TEST_ENGINE", "dies"));
    assert_eq!(said.code, Some(2), "{said:?}");
    let said = github.repo.run(github.command(&[]).env("LASTMILE_TEST_ENGINE", "knows nothing"));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(github.state()["resolved"], json!([]));
}

/// A clone of the pull request alone, without what comes before it.
fn shallow(github: &FakeGitHub) -> std::path::PathBuf {
    let origin = format!("file://{}", github.repo.base().join("origin.git").display());
    github.repo.git(["clone", "--quiet", "--depth=1", &origin, "../shallow"]);
    github.repo.base().join("shallow")
}

#[test]
fn links_and_submodules_are_no_texts() {
    let github = simple();
    let other = github.head();
    // To Python this target is a fault, which a round bracket repairs.
    std::os::unix::fs::symlink("print(1", github.repo.root.join("link.py")).expect("it is ours");
    std::fs::create_dir(github.repo.root.join("vendored")).expect("it is ours");
    github.repo.git(["update-index", "--add", "--cacheinfo", &format!("160000,{},vendored", "1".repeat(40))]);
    // A text that could be a target, and is none.
    github.push(&[("b.py", "print(2")]);
    assert_ne!(github.head(), other);
    let folder = shallow(&github);
    let run = || github.repo.run(github.command(&[]).current_dir(&folder));
    let said = run();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("checked 2 files: 2 do not parse"), "{said:?}");
    assert_eq!(github.comments(), [("a.py".to_owned(), 3, 3)]);
    assert_eq!(github.n_requests("GET /repos/o/r/git/trees"), 1);
    let body = github.reviews()[0]["body"].to_string();
    assert!(body.contains("`b.py`") && !body.contains("link.py"), "{body}");
    // From the clone it is the same.
    assert!(github.pr(&[]).stderr.contains("Nothing new on #5"), "{said:?}");
    // Where GitHub does not list all of them, nothing is taken for a text that may be a link.
    github.steer("settings", &json!({ "has_cut_trees": true }));
    let said = run();
    assert!(said.stderr.contains("checked 1 file: 1 does not parse"), "{said:?}");
}

#[test]
fn deleted_files_are_over_and_renamed_ones_have_their_new_name() {
    let tall = CALM.repeat(3);
    let github = FakeGitHub::new(&[("gone.py", "print(1\n"), ("old.py", &tall)], &[]);
    github.repo.git(["rm", "--quiet", "gone.py"]);
    github.repo.git(["mv", "old.py", "new.py"]);
    github.push(&[("new.py", &format!("{tall}print(1\n{CALM}"))]);
    let folder = shallow(&github);
    let said = github.repo.run(github.command(&[]).current_dir(&folder));
    assert!(said.stderr.contains("checked 1 file: 1 does not parse"), "{said:?}");
    assert_eq!(github.comments(), [("new.py".to_owned(), 31, 31)], "{said:?}");
    let said = github.pr(&[]);
    assert!(said.stderr.contains("checked 1 file: 1 does not parse"), "{said:?}");
    check_posted(&github, &said, 1);
}

/// Where a change can be read in several ways, git's own is what GitHub shows.
#[test]
fn hunks_are_those_of_git() {
    let head = "v = 1\n".repeat(5) + "print(1\n\n\n";
    let part = |n: usize| format!("@one\n@two\n@three\ndef part{n}():\n    return {n}\n\n\n");
    let before = format!("{head}{}", part(1));
    let github = FakeGitHub::new(&[("a.py", &before)], &[("a.py", &format!("{head}{}{}", part(0), part(1)))]);
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(github.comments(), [("a.py".to_owned(), 6, 6)], "{said:?}");
}

#[test]
fn what_git_stores_in_another_form_is_left_alone() {
    let attributes = "*.py filter=hidden\n";
    let github = FakeGitHub::new(&[(".gitattributes", attributes)], &[("a.py", "print(1\n")]);
    let said = github.pr(&[]);
    assert_eq!((said.code, github.reviews().len()), (Some(0), 0), "{said:?}");
    assert!(
        github.summary().contains("the filter `hidden` stores it in another form"),
        "{}",
        github.summary()
    );
}

#[test]
fn a_review_of_which_nothing_is_known_is_not_called_lost() {
    let github = simple();
    github.plan(&json!([
        { "match": REVIEW, "status": 502, "after": true },
        { "match": "GET /repos/o/r/pulls/5/reviews", "skip": 1, "status": 500, "times": 99 },
    ]));
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("It is not known whether the review was posted"), "{said:?}");
    assert!(said.stdout.contains("::error file=a.py,line="), "{said:?}");
    github.plan(&json!([]));
    check_posted(&github, &github.pr(&[]), 1);
}

#[test]
fn a_commit_can_be_named_as_git_does() {
    let github = simple();
    let said = github.pr(&["5", "--repo", "o/r", "--head", "HEAD"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    check_posted(&github, &said, 1);
}

#[test]
fn a_repository_with_a_new_name_is_named() {
    let github = simple();
    github.plan(&json!([{ "match": "GET /repos/o/r/pulls/5$", "status": 301, "message": "Moved Permanently",
        "headers": { "location": "https://api.github.com/repositories/1/pulls/5" } }]));
    let said = github.pr(&[]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("`o/r` has another name or place now"), "{said:?}");
}

#[test]
fn settings_of_the_top_count_in_a_folder_of_a_shallow_clone() {
    let github = FakeGitHub::new(
        &[("lastmile.toml", "[files]\nexclude = [\"sub/gen/\"]\n")],
        &[("sub/gen/a.py", "print(1\n"), ("sub/b.py", "print(1\n")],
    );
    let folder = shallow(&github);
    github.repo.git(["-C", "../shallow", "checkout", "--quiet", "HEAD"]);
    std::fs::create_dir_all(folder.join("sub")).expect("it is ours");
    let said = github.repo.run(github.command(&[]).current_dir(folder.join("sub")));
    assert!(said.stderr.contains("checked 1 file: 1 does not parse"), "{said:?}");
    assert_eq!(github.comments(), [("sub/b.py".to_owned(), 1, 1)]);
}

#[test]
fn a_dry_run_shows_what_would_be_posted() {
    let github = simple();
    let said = github.pr(&["--dry-run"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let head = github.head();
    let plain = said.stdout.replace(&head[..12], "[head]");
    let (_, review) = plain.split_once("would be posted").expect("it says so");
    insta::with_settings!({ filters => vec![("review=[0-9a-f]+", "review=[id]")] }, {
        insta::assert_snapshot!(review, @"
         on #5:

        **lastmile**: at [head], 1 file of this pull request does not parse.
        Below: 1 suggestion.

        <!-- lastmile:v1 review=[id] -->

        --- on `a.py`, line 3:

        Does not parse, line 4: ``Expected `,`, found name``

        ```suggestion
        print(1)
        ```
        safe (parses, 95 % sure)

        <!-- lastmile:v1 fp=a743175810 -->
        ");
    });
    let said = github.pr(&["--dry-run", "--format", "json"]);
    let line: Value = serde_json::from_str(said.stdout.lines().last().unwrap_or("")).expect("JSON");
    assert_eq!((&line["kind"], &line["counts"]["suggestions"]), (&json!("review"), &json!(1)));
    assert_eq!(line["request"]["comments"][0]["line"], 3);
    assert_eq!(github.n_requests("POST /repos"), 0);
    check_posted(&github, &said, 0);
}

#[test]
fn a_dry_run_needs_no_github() {
    let github = simple();
    let mut command = github.repo.command(env!("CARGO_BIN_EXE_lastmile"));
    command.args(["pr", "--dry-run", "--base", "HEAD~1"]);
    for name in
        ["GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_EVENT_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"]
    {
        command.env_remove(name);
    }
    let said = github.repo.run(&mut command);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stdout.contains("```suggestion\nprint(1)\n```"), "{said:?}");
    assert_eq!(github.n_requests(""), 0);
}

#[test]
fn sarif_takes_the_place_of_suggestions() {
    let github = simple();
    let said = github.pr(&["--format", "sarif"]);
    let document: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(document["runs"][0]["results"][0]["fixes"].as_array().map(Vec::len), Some(1), "{said:?}");
    check_posted(&github, &said, 0);
}

#[test]
fn exit_zero_forgives_faults_and_nothing_else() {
    let github = simple();
    assert_eq!(github.pr(&["--exit-zero"]).code, Some(0));
    github.plan(&json!([{ "match": "GET /repos/o/r/pulls/5$", "status": 404 }]));
    assert_eq!(github.pr(&["--exit-zero"]).code, Some(2));
}

#[test]
fn what_is_missing_is_named() {
    let github = simple();
    let check = |arguments: &[&str], without: &str, expected: &str| {
        let said = github.repo.run(github.command(arguments).env_remove(without));
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.stderr.contains(expected), "{said:?}");
    };
    check(&[], "GITHUB_TOKEN", "GITHUB_TOKEN is not set");
    check(&[], "GITHUB_EVENT_PATH", "no pull request is named");
    check(&["--base", "HEAD~1"], "", "to post, a repository");
    check(&["5", "--repo", "o/../x"], "", "is no repository such as `owner/name`");
    check(&["--event", "missing.json"], "", "the event in `missing.json` cannot be read");
}

#[test]
fn a_dead_engine_loses_no_finding() {
    let github = simple();
    let said = github.repo.run(github.command(&[]).env("LASTMILE_TEST_ENGINE", "dies"));
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stdout.contains("`a.py` does not parse"), "{said:?}");
    assert_eq!(github.outputs(), "found=1\nrepaired=0\nposted=0\n");
    check_posted(&github, &said, 0);
}

/// A thousand faults: one review, quickly, in little memory.
#[test]
fn a_thousand_findings_are_one_review() {
    let github = many(1_000);
    let started = std::time::Instant::now();
    let mut child = github
        .command(&[])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let mut peak = 0;
    let status = loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0));
        if let Some(status) = child.try_wait().expect("it was started") {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let took = started.elapsed();
    println!("{took:?}, {} MB", peak / 1024);
    assert_eq!(status.code(), Some(1));
    assert!(took.as_secs() < 30 && peak < 200 * 1024, "{took:?}, {peak} kB");
    let reviews = github.reviews();
    assert_eq!((reviews.len(), github.comments().len()), (1, 20));
    let body = reviews[0]["body"].as_str().expect("a text");
    assert!(
        body.len() < 65_536 && body.contains("repairs more: too long to be shown here"),
        "{}",
        body.len()
    );
    assert_eq!(github.outputs().lines().next(), Some("found=1000"));
    assert!(github.summary().contains("`f0999.py` does not parse"));
    check_posted(&github, &github.pr(&[]), 1);
}

/// The fake refuses what GitHub refuses and no schema does.
#[test]
fn the_fake_refuses_what_github_refuses() {
    let github = FakeGitHub::new(
        &[("a.py", &CALM.repeat(3))],
        &[("a.py", &format!("x = 1\n{}y = 1\n", CALM.repeat(3)))],
    );
    let head = github.head();
    let comment = json!({ "path": "a.py", "line": 2, "side": "RIGHT", "body": "b" });
    let with = |changes: Value| {
        let mut comment = comment.clone();
        for (key, value) in changes.as_object().expect("fields") {
            comment[key] = value.clone();
        }
        json!({ "commit_id": head, "event": "COMMENT", "body": "b", "comments": [comment] })
    };
    let status = |token: &str, request: &Value| {
        let headers = format!("Authorization: Bearer {token}\r\n");
        request_of(github.server.port, "POST", "/repos/o/r/pulls/5/reviews", &headers, request).0
    };
    for (changes, expected) in [
        (json!({}), 200),
        (json!({ "line": 3, "start_line": 1, "start_side": "RIGHT" }), 200),
        (json!({ "line": 1, "start_line": 3 }), 422),
        (json!({ "line": 1, "start_line": 1 }), 422),
        (json!({ "line": 15 }), 422),
        (json!({ "line": 32, "start_line": 2 }), 422),
        (json!({ "side": "UP" }), 422),
        (json!({ "path": "b.py" }), 422),
        (json!({ "body": "" }), 422),
        (json!({ "body": "b".repeat(65_537) }), 422),
        (json!({ "colour": "red" }), 422),
    ] {
        assert_eq!(status("good", &with(changes.clone())), expected, "{changes}");
    }
    let review = |changes: Value| {
        let mut review = json!({ "commit_id": head, "event": "COMMENT", "body": "b" });
        for (key, value) in changes.as_object().expect("fields") {
            review[key] = value.clone();
        }
        review
    };
    assert_eq!(status("good", &review(json!({ "event": "NOPE" }))), 422);
    assert_eq!(status("good", &review(json!({ "body": "" }))), 422);
    assert_eq!(status("good", &review(json!({ "body": "b".repeat(65_537) }))), 422);
    assert_eq!(status("good", &review(json!({ "colour": "red" }))), 422);
    assert_eq!(status("good", &review(json!({ "commit_id": "0".repeat(40) }))), 422);
    assert_eq!(status("good", &review(json!({ "event": null }))), 200);
    assert_eq!(status("good", &review(json!({ "event": null }))), 422);
    assert_eq!(status("good", &review(json!({}))), 422);
    assert_eq!(status("read-only", &review(json!({}))), 403);
    assert_eq!(status("nobody", &review(json!({}))), 401);
}
