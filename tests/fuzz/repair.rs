//! What holds for the repairs of any text by an engine that answers anything.
#![no_main]

use std::collections::HashSet;

use lastmile::lang::python::Python;
use lastmile::lang::{Dialect, Language};
use lastmile::patch::{Edit, line_edits, unified_diff};
use lastmile::pipeline::{Ask, repair};
use lastmile::ports::{Denoiser, EngineError};
use lastmile::protocol::{Proposal, Request, Response};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

mod input;

fuzz_target!(|data: &[u8]| input::with(data, check));

fn check(text: &str, choices: &mut Unstructured) -> Result<()> {
    check_edits(text, choices)?;
    let ask = Ask {
        language: &Python,
        judge: None,
        dialect: Dialect { target: *choices.choose(&[None, Some((3, 7)), Some((3, 13))])? },
        k: choices.int_in_range(0..=5)?,
        budget_ms: 0,
        max_windows: choices.int_in_range(0..=4)?,
        is_over: &|| false,
        least_confidence: 0.0,
        seed: 0,
        trace: choices.arbitrary()?,
        calibration: None,
    };
    let repair = repair(text, &ask, &mut Guessing(choices)).expect("it always answers");
    assert!(repair.suggestions.len() <= ask.k);
    assert_eq!(repair.reason.is_some(), !repair.diagnosis.faults.is_empty() && repair.suggestions.is_empty());
    let mut seen = HashSet::from([text]);
    for ranked in &repair.suggestions {
        let after = &ranked.verified.candidate().text;
        assert!(seen.insert(after), "a suggestion is no change or comes twice");
        assert!(Python.accepts(text, after, ask.dialect));
        assert!(ranked.features.iter().all(|feature| feature.is_finite()), "{:?}", ranked.features);
        check_diff(text, after);
    }
    Ok(())
}

/// Answers with whatever the choices say.
struct Guessing<'c, 'd>(&'c mut Unstructured<'d>);

impl Denoiser for Guessing<'_, '_> {
    fn repair(&mut self, request: &Request) -> std::result::Result<Response, EngineError> {
        let window = &request.text[request.start..request.end];
        let mut candidates = Vec::new();
        for _ in 0..self.0.int_in_range(0..=4).unwrap_or_default() {
            candidates.extend(proposal(window, self.0));
        }
        Ok(Response { id: request.id, candidates, ..Response::default() })
    }
}

const GUESSES: [&str; 12] =
    ["", ")", "]", "}", ":", "'", "\"\"\"", "\n", "#", "pass\n", "x = 1", "except A, e:"];

/// A text that has a chance to parse.
fn proposal(window: &str, choices: &mut Unstructured) -> Result<Proposal> {
    let text = match choices.int_in_range(0..=2)? {
        0 => edit(window, choices)?.apply(window).expect("between characters"),
        1 => {
            let dropped = choices.int_in_range(0..=window.lines().count())?;
            window
                .split_inclusive('\n')
                .enumerate()
                .filter(|(line, _)| *line != dropped)
                .map(|(_, x)| x)
                .collect()
        }
        _ => (*choices.choose(&GUESSES)?).to_owned(),
    };
    let (score, rest, lead, votes): (i8, i8, Option<i8>, u8) = choices.arbitrary()?;
    let message =
        json!({ "text": text, "score": score, "rest": rest, "lead": lead, "votes": votes, "steps": [] });
    Ok(serde_json::from_value(message).expect("as the engine sends it"))
}

fn edit(text: &str, choices: &mut Unstructured) -> Result<Edit> {
    Ok(Edit { span: input::span(text, choices)?, replacement: (*choices.choose(&GUESSES)?).to_owned() })
}

/// Edits that are apart can be made in any order.
fn check_edits(text: &str, choices: &mut Unstructured) -> Result<()> {
    let first = edit(text, choices)?;
    let between = first.apply(text).expect("between characters");
    let second = edit(&between, choices)?;
    let after = second.apply(&between).expect("between characters");
    check_diff(text, &after);
    if let Some(second) = second.before(&first) {
        let first = first.after(&second).expect("they are apart");
        assert_eq!(second.apply(text).and_then(|text| first.apply(&text)), Some(after));
    }
    Ok(())
}

/// The diff and the line edits lead from `before` to `after`.
fn check_diff(before: &str, after: &str) {
    let lines: Vec<&str> = before.split_inclusive('\n').collect();
    let mut made = String::new();
    let mut at = 0;
    for edit in line_edits(before, after) {
        made.extend(lines[at..edit.first - 1].iter().copied());
        made.push_str(&edit.replacement);
        at = edit.first - 1 + edit.n_lines;
    }
    made.extend(lines[at..].iter().copied());
    assert_eq!(made, after, "line edits");
    assert_eq!(apply_diff(before, &unified_diff("f.py", before, after)), after, "unified diff");
}

/// Reads a diff as `patch` does, but strictly.
fn apply_diff(before: &str, diff: &str) -> String {
    let lines: Vec<&str> = before.split_inclusive('\n').collect();
    let (mut made, mut at) = (String::new(), 0);
    let mut rest = diff.split_inclusive('\n').skip(2).peekable();
    while let Some(line) = rest.next() {
        if let Some(header) = line.strip_prefix("@@ -") {
            let range = header.split(' ').next().expect("a header has ranges");
            let (first, n_lines) = range.split_once(',').unwrap_or((range, "1"));
            let first: usize = first.parse().expect("a number");
            let start = if n_lines == "0" { first } else { first - 1 };
            made.extend(lines[at..start].iter().copied());
            at = start;
            continue;
        }
        let lacks_newline = rest.next_if(|next| next.starts_with('\\')).is_some();
        let content = if lacks_newline { line[1..].strip_suffix('\n').expect("a line") } else { &line[1..] };
        match line.as_bytes()[0] {
            b'+' => made.push_str(content),
            mark => {
                assert_eq!(lines[at], content);
                at += 1;
                if mark == b' ' {
                    made.push_str(content);
                }
            }
        }
    }
    made.extend(lines[at..].iter().copied());
    made
}
