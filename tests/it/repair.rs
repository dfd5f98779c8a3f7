//! `lastmile repair --jsonl`.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::Sandbox;

/// What is answered to these lines, times left out.
fn repair(input: &str, args: &[&str]) -> String {
    let answer = Sandbox::new(&[]).run_with_input(input.as_bytes(), &[&["repair", "--jsonl"], args].concat());
    let mut parts = answer.stdout.split(",\"ms\":");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit() || ".e-".contains(c)));
    }
    format!("{shown}{}--- exit {:?}", answer.stderr, answer.code)
}

#[test]
fn every_row_is_answered_in_its_order() {
    let input = r#"{"id":"a","lang":"python","text":"print((1)\n"}
{"id":7,"lang":"python","text":"x = 1\n","more":true}

{"id":"b","lang":"cobol","text":"MOVE"}
{"id":"c"}
not json
{"id":"d","lang":"python","text":""}
{"id":"e","lang":"python","text":"print 'x'"}
{"id":"f","lang":"python","text":"x = = 1"}
"#;
    assert_snapshot!(repair(input, &[]), @r#"
    {"id":"a","candidates":[{"text":"print((1))\n","score":2.5,"confidence":0.9525741268224334}]}
    {"id":7,"candidates":[]}
    {"id":"b","candidates":[],"error":"unknown language `cobol`"}
    {"id":"c","candidates":[],"error":"not a row: missing field `lang` at line 1 column 10"}
    {"id":null,"candidates":[],"error":"not a row: expected ident at line 1 column 2"}
    {"id":"d","candidates":[]}
    {"id":"e","candidates":[{"text":"print('x')","score":2.5,"confidence":0.9525741268224334}]}
    {"id":"f","candidates":[],"reason":"the engine found nothing that parses"}
    --- exit Some(0)
    "#);
}

#[test]
fn features_are_told_when_asked() {
    assert_snapshot!(repair(r#"{"id":"a","lang":"python","text":"f(\n"}"#, &["--features"]), @r#"
    {"id":"a","candidates":[{"text":"f()\n","score":2.5,"confidence":0.9525741268224334,"features":{"bias":1.0,"dropped":0.0,"events":0.6931471805599453,"faults":0.6931471805599453,"gap":8.0,"lexemes":1.3862943611198906,"lines":0.0,"quotes":0.0,"rank":0.0,"rest":0.0,"score":2.5,"siblings":0.0,"votes":0.6931471805599453,"windows":1.0,"written":0.0}}]}
    --- exit Some(0)
    "#);
}

#[test]
fn odd_texts_are_answered() {
    let deep =
        ["(".repeat(300), "[".repeat(4000), "x = ".repeat(2000), "-".repeat(4000), "if x:\n".repeat(500)];
    let mut texts = vec!["\0", "\u{feff}f(", "(\r\n", "\r\r(", "\t\x0c(", "'''", "é(\u{2028}"];
    texts.extend(deep.iter().map(String::as_str));
    let rows: Vec<String> =
        texts.iter().map(|text| json!({ "id": 1, "lang": "python", "text": text }).to_string()).collect();
    let answer = Sandbox::new(&[]).run_with_input(rows.join("\n").as_bytes(), &["repair", "--jsonl"]);
    assert_eq!(answer.code, Some(0), "{answer}");
    assert_eq!(answer.stdout.lines().count(), texts.len(), "{answer}");
    for line in answer.stdout.lines() {
        let row: Value = serde_json::from_str(line).expect("it is JSON");
        assert!(row["candidates"].is_array() && row["error"].is_null(), "{row}");
    }
}

#[test]
fn a_mark_at_the_start_stays() {
    let answer = repair(r#"{"id":1,"lang":"python","text":"\ufefff(\n"}"#, &[]);
    assert!(answer.contains("\"text\":\"\u{feff}f()\\n\""), "{answer}");
}

#[test]
fn a_row_may_name_its_language_version() {
    let row = |target: &str| {
        format!(r#"{{"id":1,"lang":"python","text":"with (a as b, c as d):\n f(\n"{target}}}"#)
    };
    let n_candidates = |answer: &str| answer.matches("\"text\"").count();
    assert_eq!(n_candidates(&repair(&row(""), &[])), 1);
    assert_eq!(n_candidates(&repair(&row(r#","target":"3.8.1""#), &[])), 1, "the file asked for more before");
    assert!(repair(&row(r#","target":">=3.8""#), &[]).contains("is no version"));
}

#[cfg(target_os = "linux")]
#[test]
fn examples_decide() {
    let row = |id: u32, text: &str, more: &str| {
        format!("{{\"id\":{id},\"lang\":\"python\",\"text\":{},{more}}}\n", json!(text))
    };
    let add = r#""call":"add","tests":[{"input":"[2, 3]","output":"5"},{"input":"[0, 1]","output":"1"}]"#;
    let echo = r#""tests":[{"input":"4\n","output":"4"}]"#;
    let input = [
        row(1, "def add(a, b):\n    return a - b\n", add),
        row(2, "def add(a, b):\n    return a + b\n", add),
        row(3, "def add(a, b):\n    return a * b\n", add),
        row(4, "def add(a, b):\n    while a - b < 9: a = a - 1\n    return a\n", add),
        row(5, "print(input()\n", echo),
        row(6, "print(5\n", echo),
        row(7, "x = 1\n", r#""call":"f(); g","tests":[{"input":"[]","output":""}]"#),
        row(
            8,
            "x = 1\n",
            r#""call":"f","tests":[{"input":"[1]","output":"1"},{"input":"2, 3","output":"5"}]"#,
        ),
    ]
    .concat();
    assert_snapshot!(repair(&input, &[]), @r#"
    {"id":1,"candidates":[{"text":"def add(a, b):\n    return a + b\n","score":-0.0,"tests":"improved"}]}
    {"id":2,"candidates":[],"reason":"all examples pass"}
    {"id":3,"candidates":[],"reason":"no candidate passes more examples (0 tried)"}
    {"id":4,"candidates":[],"reason":"no candidate passes more examples (3 tried)"}
    {"id":5,"candidates":[{"text":"print(input())\n","score":2.5,"confidence":0.9525741268224334,"tests":"improved"}]}
    {"id":6,"candidates":[{"text":"print(5)\n","score":2.5,"confidence":0.9525741268224334,"tests":"baseline-red"}]}
    {"id":7,"candidates":[],"error":"the tests cannot be run: `f(); g` is no name of a function"}
    {"id":8,"candidates":[],"error":"`input` of example 2 is no list of arguments in JSON, such as \"[2, 3]\""}
    --- exit Some(0)
    "#);
    let sandbox = Sandbox::new(&[]);
    sandbox
        .run_with_input(row(1, "def add(a, b):\n    return a + b\n", add).as_bytes(), &["repair", "--jsonl"]);
    assert_eq!(sandbox.n_engine_starts(), 0, "nothing fails, so nothing is asked");
}

#[test]
fn a_way_of_working_must_be_named() {
    assert_snapshot!(Sandbox::new(&[]).run(&["repair"]), @"
    --- stderr
    error: the following required arguments were not provided:
      --jsonl

    Usage: lastmile repair --jsonl

    For more information, try '--help'.
    --- exit 2
    ");
}
