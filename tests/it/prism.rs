//! `lastmile pr` and the fake GitHub, each held against GitHub's own description of its API, and real events.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::github::{FakeGitHub, NUMBER, request_of, tool, tools};

/// A module of a small project, its test, and how the module is broken.
fn module(idx: usize, is_broken: bool) -> [(String, String); 2] {
    let body = [
        "    return max(values, key=len)\n",
        "    total = sum(values)\n    return round(total / len(values), 2)\n",
        "    found = sorted(set(values))\n    return found[:3]\n",
    ][idx % 3];
    let text = format!("\"\"\"Part {idx}.\"\"\"\n\n\ndef part{idx}(values):\n{body}");
    let broken = text
        .strip_suffix(")\n")
        .map_or_else(|| text.replace("set(values))", "set(values)"), |rest| format!("{rest}\n"));
    let check = match idx % 3 {
        0 => format!("assert part{idx}(['a', 'bcd', 'ef']) == 'bcd'"),
        1 => format!("assert part{idx}([1, 2, 2]) == 1.67"),
        _ => format!("assert part{idx}([4, 1, 3, 2, 1]) == [1, 2, 3]"),
    };
    [
        (format!("part{idx}.py"), if is_broken { broken } else { text }),
        (format!("test_part{idx}.py"), format!("from part{idx} import part{idx}\n\n{check}\n")),
    ]
}

/// Twelve changed files, of which six are broken: three modules are new, three were fine before.
#[test]
fn from_an_event_to_files_that_pass_their_tests() {
    let before: Vec<_> = (3..6).flat_map(|idx| module(idx, false)).collect();
    let mut after: Vec<_> = (0..6).flat_map(|idx| module(idx, true)).collect();
    for (path, text) in &mut after {
        if path.starts_with("test_") {
            text.push_str("print('fine')\n");
        }
    }
    let borrow = |files: &[(String, String)]| -> Vec<(&'static str, &'static str)> {
        let leak = |text: &String| -> &'static str { text.clone().leak() };
        files.iter().map(|(path, text)| (leak(path), leak(text))).collect()
    };
    let Some(github) = FakeGitHub::proxied(&borrow(&before), &borrow(&after)) else { return };
    let run = || {
        let mut command = github.command(&[]);
        command.env("GITHUB_EVENT_PATH", real_event(&github));
        github.repo.run(&mut command)
    };
    let said = run();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(github.outputs(), "found=6\nrepaired=6\nposted=6\n", "{said:?}");
    assert_eq!((github.reviews().len(), github.comments().len()), (1, 6));

    let taken = github.steer("apply", &json!(NUMBER));
    let taken: BTreeMap<String, String> = serde_json::from_value(taken).expect("texts by path");
    let expected: BTreeMap<_, _> = (0..6).map(|idx| module(idx, false)[0].clone()).collect();
    assert_eq!(taken, expected);
    for (path, text) in &taken {
        github.repo.write(path, text);
    }
    for idx in 0..6 {
        let said = github.repo.run(github.repo.command("python3").arg(format!("test_part{idx}.py")));
        assert_eq!((said.code, said.stdout.as_str()), (Some(0), "fine\n"), "{said:?}");
    }

    github.repo.git(["checkout", "--quiet", "."]);
    let said = run();
    assert!(said.stderr.contains("Nothing new on #5: 6 repairs were shown before."), "{said:?}");
    github.push(&[("part0.py", &format!("import os\n\n{}", module(0, true)[0].1))]);
    let said = run();
    assert!(said.stderr.contains("Nothing new on #5: 6 repairs were shown before."), "{said:?}");
    assert_eq!(github.reviews().len(), 1);
    // Two are repaired; what was said of them is over.
    github.push(&borrow(&[module(1, false)[0].clone(), module(2, false)[0].clone()]));
    let said = run();
    assert!(said.stderr.contains("Nothing new on #5: 4 repairs were shown before."), "{said:?}");
    assert_eq!(github.state()["resolved"].as_array().map(Vec::len), Some(2), "{said:?}");
}

/// An event as GitHub sends it, about our pull request.
fn real_event(github: &FakeGitHub) -> std::path::PathBuf {
    let events = tool("events.json").expect("it is there when the proxy is");
    let events: Value = serde_json::from_slice(&std::fs::read(events).expect("just found")).expect("JSON");
    let mut event = events["pull_request"][0].clone();
    let ours = github.event();
    event["number"] = json!(NUMBER);
    event["pull_request"]["number"] = json!(NUMBER);
    for side in ["base", "head"] {
        event["pull_request"][side]["sha"] = ours["pull_request"][side]["sha"].clone();
        event["pull_request"][side]["repo"]["full_name"] = json!("o/r");
    }
    let path = github.repo.base().join("real.json");
    std::fs::write(&path, event.to_string()).expect("it is ours");
    path
}

/// Every request that lastmile knows, besides those of the test above.
#[test]
fn all_that_is_asked_and_answered_fits_the_description() {
    let files: Vec<(String, String)> =
        (0..7).map(|idx| (format!("f{idx:03}.py"), "print(1\n".to_owned())).collect();
    // Without a line end it could be a link, which only the tree of the commit tells.
    let files = [files, vec![("z.py".to_owned(), "print(1".to_owned())]].concat();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let Some(github) = FakeGitHub::proxied(&[("README", "x\n")], &files) else { return };
    // Files and texts from the API, drafts, and taking them back.
    github.steer("settings", &json!({ "refused_paths": ["f003.py"] }));
    let origin = format!("file://{}", github.repo.base().join("origin.git").display());
    github.repo.git(["clone", "--quiet", "--depth=1", &origin, "../shallow"]);
    let said = github.repo.run(github.command(&[]).current_dir(github.repo.base().join("shallow")));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!((github.reviews().len(), github.comments().len()), (1, 6), "{said:?}");
    assert!(github.n_requests("DELETE") > 0 && github.n_requests("GET /repos/o/r/git/trees") == 1);
    // A token that may only read.
    github.push(&[("g.py", "print(2\n")]);
    let said = github.repo.run(github.command(&[]).env("GITHUB_TOKEN", "read-only"));
    assert!(
        said.stderr.contains("the token may not do that (Resource not accessible by integration)"),
        "{said:?}"
    );
    // A person's token, and an App.
    let said = github.repo.run(github.command(&[]).env("GITHUB_TOKEN", "person"));
    assert_eq!((said.code, github.reviews().len()), (Some(1), 2), "{said:?}");
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/github/app.pem");
    github.steer("settings", &json!({ "app_key": key }));
    let mut command = github.command(&[]);
    command
        .env("LASTMILE_APP_ID", "12345")
        .env("LASTMILE_APP_KEY", std::fs::read_to_string(key).expect("ours"));
    let said = github.repo.run(&mut command);
    assert_eq!((said.code, github.reviews().len()), (Some(1), 3), "{said:?}");

    // The proxy does notice.
    let review = |request: &Value| {
        let headers = "Authorization: Bearer good\r\n";
        request_of(github.port(), "POST", "/repos/o/r/pulls/5/reviews", headers, request).0
    };
    let comment = |line: Value| json!({ "event": "COMMENT", "body": "b", "comments": [{ "path": "g.py", "line": line, "body": "b" }] });
    assert_eq!(review(&comment(json!(1))), 200);
    assert_eq!(review(&comment(json!("1"))), 422);
    assert_eq!(review(&json!({ "event": "NOPE", "body": "b" })), 422);
    github.steer("settings", &json!({ "is_wrong": true }));
    assert_eq!(review(&comment(json!(1))), 500);
}

/// What GraphQL is asked fits GitHub's schema of it, where a field that is to go counts as none.
#[test]
fn queries_fit_the_schema_of_graphql() {
    let Some(_) = tool("@octokit/graphql-schema/schema.json") else { return };
    let check = "import { readFileSync } from 'node:fs';\n\
        import { buildClientSchema, parse, validate, specifiedRules, NoDeprecatedCustomRule } from 'graphql';\n\
        const schema = buildClientSchema(JSON.parse(readFileSync('@octokit/graphql-schema/schema.json', 'utf8')));\n\
        const errors = validate(schema, parse(readFileSync(0, 'utf8')), [...specifiedRules, NoDeprecatedCustomRule]);\n\
        console.log(errors.join('\\n'));";
    let said = |query: &str| {
        let mut command = std::process::Command::new("node");
        command.args(["--input-type=module", "--eval", check]).current_dir(tools());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(query.as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let queries = [
        include_str!("../../src/io/github/resolve.graphql"),
        include_str!("../../src/io/github/threads.graphql"),
        include_str!("../../src/io/github/viewer.graphql"),
    ];
    for query in queries {
        assert_eq!(said(query), "", "{query}");
    }
    let old = queries[1].replace("fullDatabaseId", "databaseId");
    assert!(said(&old).contains("`fullDatabaseId`"), "{}", said(&old));
}

/// Events as GitHub sends them are read: what fails is that this clone has none of their commits.
#[test]
fn real_events_name_their_pull_request() {
    let Some(events) = tool("events.json") else { return };
    let events: Value = serde_json::from_slice(&std::fs::read(events).expect("just found")).expect("JSON");
    let github = FakeGitHub::new(&[("README", "x\n")], &[("a.py", "x = 1\n")]);
    let said = |event: &Value| {
        let path = github.repo.base().join("real.json");
        std::fs::write(&path, event.to_string()).expect("it is ours");
        let mut command = github.command(&["--dry-run"]);
        github.repo.run(command.env("GITHUB_EVENT_PATH", path).env_remove("GITHUB_TOKEN"))
    };
    for event in events["pull_request"].as_array().expect("a list") {
        let said = said(event);
        let head = event["pull_request"]["head"]["sha"].as_str().expect("a commit");
        assert!(said.stderr.contains(&format!("this clone does not hold the commit `{head}`")), "{said:?}");
    }
    for event in events["issue_comment"].as_array().expect("a list") {
        let said = said(event);
        let is_pull = event["issue"].get("pull_request").is_some();
        let expected = if is_pull { "GITHUB_TOKEN is not set" } else { "no pull request is named" };
        assert!(said.stderr.contains(expected), "{said:?}");
    }
}
