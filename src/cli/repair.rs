//! `lastmile repair --jsonl`: texts in, candidates out, one JSON object a line each way.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ExitStatus;
use super::progress::Progress;
use super::session::{Session, TestFlags, complain_of_engine, is_unread, print_bytes};
use crate::change::Skip;
use crate::config::version;
use crate::io::examples::{Example, Examples};
use crate::lang::python::Python;
use crate::lang::{self, Dialect, Language};
use crate::pipeline::{self, Ask};
use crate::ports::EngineError;
use crate::rank::{FEATURES, Ranked};
use crate::tested::{TRIED, TestedError, Trying, mend, mend_repairs, try_repairs};
use crate::verdict::TestVerdict;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RepairArgs {
    /// Read {"id", "lang", "text"} a line from stdin, write {"id", "candidates", "ms"} a line to stdout
    #[arg(long, required = true)]
    jsonl: bool,

    /// How many candidates at most for each text
    #[arg(short, long, value_name = "N", default_value = "10", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    k: usize,

    /// Milliseconds to search around each fault
    #[arg(long, value_name = "MS")]
    budget_ms: Option<u64>,

    /// Add to each candidate its features and its confidence
    #[arg(long)]
    features: bool,

    #[command(flatten)]
    tests: TestFlags,
}

const EXAMPLES: &str = r#"Examples:
  echo '{"id": "1", "lang": "python", "text": "print(1"}' | lastmile repair --jsonl
  {"id":"1","candidates":[{"text":"print(1)","score":-0.07,"confidence":0.99}],"ms":295.8}

Candidates come best first and all parse; a text that is fine has none, and one that could not be repaired
has a "reason". A line that cannot be read gets an answer with "error". A row may name its language version: {"target": "3.9"}.

A row of Python may have examples: {"tests": [{"input": "2 3\n", "output": "5"}]}, given to the program as its input, or with
{"call": "f"} to that function, both as JSON: {"input": "[2, 3]", "output": "5"}. Candidates are run on them in a sandbox;
those that pass come first and have "tests": "improved". Where none does, a slip is looked for besides. A text that parses and fails its examples is repaired, too."#;

/// The byte order mark.
const MARK: char = '\u{feff}';

/// The longest line that is read.
const MAX_LINE: u64 = 64 * 1024 * 1024;

#[derive(Deserialize)]
struct Row {
    id: Value,
    lang: String,
    text: String,
    target: Option<String>,
    #[serde(default)]
    tests: Vec<Example>,
    call: Option<String>,
}

#[derive(Default, Serialize)]
struct Answer {
    id: Value,
    candidates: Vec<Candidate>,
    ms: f64,
    /// Why there is no candidate, when the text is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Candidate {
    text: String,
    score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    /// What its examples say, where they were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    tests: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<BTreeMap<&'static str, f64>>,
}

pub(super) fn repair(args: &RepairArgs, session: &mut Session) -> Result<ExitStatus> {
    // Who asks for candidates by number wants to see them all.
    session.config.repair.least_confidence = 0.0;
    session.config.repair.candidates = args.k;
    args.tests.apply(&mut session.config);
    session.config.repair.budget_ms = args.budget_ms.unwrap_or(session.config.repair.budget_ms);
    let mut input = io::stdin().lock();
    let mut last_error = None;
    let mut n_answered = 0;
    let progress = Progress::open("texts repaired");
    while let Some(line) = next_line(&mut input)? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let start = Instant::now();
        let mut answer = answer(&line, args, session, &mut last_error);
        n_answered += usize::from(answer.error.is_none());
        answer.ms = start.elapsed().as_secs_f64() * 1000.0;
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        print_bytes(&line)?;
        if is_unread() {
            break;
        }
        progress.advance();
    }
    drop(progress);
    match last_error {
        Some(error) => {
            complain_of_engine(&error);
            Ok(if n_answered == 0 { ExitStatus::Failed } else { ExitStatus::Clean })
        }
        None => Ok(ExitStatus::Clean),
    }
}

fn next_line(input: &mut impl BufRead) -> Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = input.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if read as u64 == MAX_LINE && line.last() != Some(&b'\n') {
        bail!("a line of stdin is longer than {} MiB", MAX_LINE >> 20);
    }
    Ok((read > 0).then_some(line))
}

fn answer(
    line: &[u8],
    args: &RepairArgs,
    session: &mut Session,
    last_error: &mut Option<EngineError>,
) -> Answer {
    let fail = |id, error| Answer { id, error: Some(error), ..Answer::default() };
    let row: Row = match serde_json::from_slice(line) {
        Ok(row) => row,
        Err(error) => {
            let id = serde_json::from_slice::<Value>(line).ok().and_then(|row| row.get("id").cloned());
            return fail(id.unwrap_or_default(), format!("not a row: {error}"));
        }
    };
    let Some(language) = lang::by_name(&row.lang) else {
        return fail(row.id, format!("unknown language `{}`", row.lang));
    };
    // A mark at the start is none of the text, as it is none of that of a file.
    let text = row.text.strip_prefix(MARK).unwrap_or(&row.text);
    let mark = &row.text[..row.text.len() - text.len()];
    if language.is_too_deep(text) {
        return fail(row.id, Skip::TooDeep.to_string());
    }
    let target = match row.target.as_deref().map(version) {
        Some(None) => return fail(row.id, "`target` is no version such as \"3.9\"".to_owned()),
        version => version.flatten(),
    };
    let dialect = Dialect { target };
    if row.call.is_some()
        && let Some(nth) =
            row.tests.iter().position(|one| serde_json::from_str::<Vec<Value>>(&one.input).is_err())
    {
        return fail(
            row.id,
            format!("`input` of example {} is no list of arguments in JSON, such as \"[2, 3]\"", nth + 1),
        );
    }
    let told = if row.tests.is_empty() || language.name() != "python" {
        untested(text, language, dialect, session)
    } else {
        tested(text, dialect, (row.tests, row.call), session)
    };
    let (repairs, reason) = match told {
        Ok(told) => told,
        Err(error) => {
            let message = error.to_string();
            if let TestedError::Engine(error) = error {
                *last_error = Some(error);
            }
            return fail(row.id, message);
        }
    };
    let candidates = repairs.iter().take(args.k).map(|ranked| candidate(ranked, mark, args));
    Answer { id: row.id, candidates: candidates.collect(), reason, ..Answer::default() }
}

/// Repairs, and why there are none.
type Told = Result<(Vec<Ranked>, Option<String>), TestedError>;

fn untested(text: &str, language: &'static dyn Language, dialect: Dialect, session: &mut Session) -> Told {
    let (ask, engine) = session.ask(language, dialect);
    let repair = pipeline::repair(text, &ask, engine)?;
    Ok((repair.suggestions, repair.reason))
}

/// Repairs of Python that are tried on examples.
fn tested(
    text: &str,
    dialect: Dialect,
    (examples, call): (Vec<Example>, Option<String>),
    session: &mut Session,
) -> Told {
    let started = Instant::now();
    let limit = Duration::from_secs(session.config.tests.time_limit_s);
    let max_candidates = session.config.tests.max_candidates;
    let guarded = session.guarded().map_err(|error| TestedError::Tests(format!("{error:#}")))?;
    let texts: Vec<String> =
        examples.iter().flat_map(|one| [one.input.clone(), one.output.clone()]).collect();
    let test_texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let trying = Trying {
        path: "program.py",
        test_texts: &test_texts,
        max_candidates,
        is_over: &|| started.elapsed() > limit,
        tell: &|_, _, _| {},
    };
    let is_broken = !Python.flaws(text, dialect).is_empty();
    let before = (!is_broken).then_some(text);
    let mut examples = Examples::new(guarded, examples, call, SECONDS, before).map_err(TestedError::Tests)?;
    if examples.n_failed_before() == 0 {
        return Ok((Vec::new(), Some("all examples pass".to_owned())));
    }
    let (ask, engine) = session.ask(&Python, dialect);
    let for_slips = Ask { k: max_candidates, ..ask.clone() };
    let (tested, reason) = if is_broken {
        let repair = pipeline::repair(text, &Ask { k: ask.k.max(TRIED), ..ask }, engine)?;
        let tested = try_repairs(text, repair.suggestions, &mut examples, &trying)?;
        (mend_repairs(text, tested, &for_slips, engine, &mut examples, &trying)?, repair.reason)
    } else {
        let tested = mend(text, &for_slips, engine, &mut examples, &BTreeMap::new(), &trying)?;
        let nothing = format!("no candidate passes more examples ({} tried)", tested.n_tried);
        let reason = tested.repairs.is_empty().then_some(nothing);
        (tested, reason)
    };
    Ok((tested.repairs, reason))
}

/// How long one example may take.
const SECONDS: f64 = 2.0;

fn candidate(ranked: &Ranked, mark: &str, args: &RepairArgs) -> Candidate {
    let candidate = ranked.verified.candidate();
    Candidate {
        text: format!("{mark}{}", candidate.text),
        score: candidate.score,
        tests: ranked.verified.evidence().tests().map(TestVerdict::name),
        confidence: ranked.confidence,
        features: args.features.then(|| FEATURES.into_iter().zip(ranked.features).collect()),
    }
}
