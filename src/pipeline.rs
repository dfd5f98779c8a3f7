//! The story on one screen: a text that does not parse goes in, verified repairs come out.

use crate::candidate::{Choice, combine};
use crate::diagnose::{Diagnosis, diagnose};
use crate::lang::{Dialect, Fault, Language};
use crate::patch::Edit;
use crate::ports::{Denoiser, EngineError};
use crate::protocol::Request;
use crate::rank::{Calibration, Ranked, rank};
use crate::verify::verify;
use crate::window::{Lines, Window};

/// What is asked of the engine for each text.
#[derive(Clone)]
pub struct Ask {
    pub language: &'static dyn Language,
    pub dialect: Dialect,
    /// How many repairs are wanted.
    pub k: usize,
    /// Milliseconds for each window.
    pub budget_ms: u64,
    /// How many windows of one text are repaired before giving up.
    pub max_windows: usize,
    pub seed: u64,
    /// Whether repairs tell the way they were found.
    pub trace: bool,
    /// Turns features into confidence; without it every repair needs review.
    pub calibration: Option<Calibration>,
}

/// What came of a text.
#[derive(Debug, Default)]
pub struct Repair {
    pub diagnosis: Diagnosis,
    /// Best first; empty when nothing passed.
    pub suggestions: Vec<Ranked>,
    /// Why there is nothing, when there is nothing.
    pub reason: Option<String>,
}

/// Repairs one window after the other until `text` parses, then combines what was found.
pub fn repair(text: &str, ask: &Ask, denoiser: &mut dyn Denoiser) -> Result<Repair, EngineError> {
    let diagnosis = diagnose(text, ask.language);
    let mut repair = Repair { diagnosis, ..Repair::default() };
    if repair.diagnosis.faults.is_empty() {
        return Ok(repair);
    }
    let windows = match repair_windows(text, ask, denoiser)? {
        Ok(windows) => windows,
        Err(reason) => {
            repair.reason = Some(reason);
            return Ok(repair);
        }
    };
    let verified: Vec<_> = combine(text, &windows, ask.k)
        .into_iter()
        .filter_map(|candidate| verify(text, candidate, ask.language, ask.dialect))
        .take(ask.k)
        .collect();
    if verified.is_empty() {
        repair.reason = Some("no suggestion parses in the language version of the project".to_owned());
    }
    let n_faults = repair.diagnosis.faults.len();
    repair.suggestions = rank(text, n_faults, ask.language, ask.calibration.as_ref(), verified);
    Ok(repair)
}

/// Choices for each window, each list best first; or the reason why a fault is left.
fn repair_windows(
    text: &str,
    ask: &Ask,
    denoiser: &mut dyn Denoiser,
) -> Result<Result<Vec<Vec<Choice>>, String>, EngineError> {
    let mut current = text.to_owned();
    let mut windows = Vec::new();
    loop {
        let faults = ask.language.faults(&current, Dialect::default());
        if faults.is_empty() {
            return Ok(Ok(windows));
        }
        if windows.len() == ask.max_windows {
            let left = format!("faults are left after {} windows (`repair.max_windows`)", ask.max_windows);
            return Ok(Err(left));
        }
        let choices = match repair_fault(&current, &faults, ask, denoiser)? {
            Ok(choices) => choices,
            Err(reason) => return Ok(Err(reason)),
        };
        current = choices[0].edit.apply(&current).expect("it was made from this text");
        windows.push(choices);
    }
}

/// Asks for the window around the first fault and, when that gives nothing, once for an earlier one.
fn repair_fault(
    text: &str,
    faults: &[Fault],
    ask: &Ask,
    denoiser: &mut dyn Denoiser,
) -> Result<Result<Vec<Choice>, String>, EngineError> {
    let lines = Lines::new(text, ask.language.style());
    let Some(window) = lines.window(&faults[0]) else {
        return Ok(Err("the line of the fault is too long".to_owned()));
    };
    let (choices, refused) = propose(text, faults, &window, ask, denoiser)?;
    if !choices.is_empty() {
        return Ok(Ok(choices));
    }
    let second = lines.earlier(&faults[0], &window);
    let choices = match second {
        Some(window) => propose(text, faults, &window, ask, denoiser)?.0,
        None => Vec::new(),
    };
    match choices.is_empty() {
        true => Ok(Err(refused.unwrap_or_else(|| "the engine found nothing that parses".to_owned()))),
        false => Ok(Ok(choices)),
    }
}

/// The engine's proposals for a window that bring the text further, best first.
fn propose(
    text: &str,
    faults: &[Fault],
    window: &Window,
    ask: &Ask,
    denoiser: &mut dyn Denoiser,
) -> Result<(Vec<Choice>, Option<String>), EngineError> {
    let (span, region) = (&window.span, &window.region);
    let response = denoiser.repair(&Request {
        id: 0,
        lang: ask.language.name().to_owned(),
        text: text[region.clone()].to_owned(),
        start: span.start - region.start,
        end: span.end - region.start,
        target: ask.dialect.target,
        k: ask.k,
        budget_ms: ask.budget_ms,
        seed: ask.seed,
        trace: ask.trace,
    })?;
    let before = &text[span.clone()];
    let mut choices: Vec<Choice> = response
        .candidates
        .into_iter()
        .filter(|proposal| proposal.text != before && proposal.score.is_finite())
        .map(|proposal| Choice {
            edit: Edit::between(before, &proposal.text).shifted(span.start),
            score: proposal.score,
            votes: proposal.votes,
            steps: proposal.steps,
        })
        .filter(|choice| brings_further(text, faults, window, choice, ask.language))
        .collect();
    choices.sort_by(|x, y| y.score.total_cmp(&x.score));
    Ok((choices, response.refused))
}

/// Whether a choice leaves no fault, or only faults beyond its window and no more than there were.
fn brings_further(text: &str, faults: &[Fault], window: &Window, choice: &Choice, language: &dyn Language) -> bool {
    let Some(after) = choice.edit.apply(text) else { return false };
    let left = language.faults(&after, Dialect::default());
    let grown = after.len() + window.span.end - text.len();
    left.first().is_none_or(|fault| fault.span.start >= grown && left.len() <= faults.len())
}
