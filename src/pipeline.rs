//! The story on one screen: a text that does not parse goes in, verified repairs come out.

use crate::candidate::{Candidate, Choice, Trace, combine};
use crate::diagnose::{Diagnosis, counted, diagnose, left_alone, place};
use crate::lang::{Dialect, Fault, Language};
use crate::patch::Edit;
use crate::ports::{Denoiser, EngineError, Judge};
use crate::protocol::{Aim, Request};
use crate::rank::{Calibration, Ranked, percent, rank};
use crate::verdict::Standing;
use crate::verify::verify;
use crate::window::{Lines, Window};

/// What is asked of the engine for each text.
#[derive(Clone)]
pub struct Ask<'j> {
    pub language: &'static dyn Language,
    /// Has the last word on what is broken and what is repaired.
    pub judge: Option<&'j dyn Judge>,
    pub dialect: Dialect,
    /// How many repairs are wanted.
    pub k: usize,
    /// Milliseconds for each window.
    pub budget_ms: u64,
    /// How many windows of one text are repaired before giving up.
    pub max_windows: usize,
    /// Whether the time is up: then no further window is begun.
    pub is_over: &'j dyn Fn() -> bool,
    /// Repairs that are less likely right than this are left out.
    pub least_confidence: f64,
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
pub fn repair(text: &str, ask: &Ask<'_>, denoiser: &mut dyn Denoiser) -> Result<Repair, EngineError> {
    let diagnosis = diagnose(text, ask.language);
    let mut repair = Repair { diagnosis, ..Repair::default() };
    if !repair.diagnosis.faults.is_empty() && (ask.is_over)() {
        repair.reason = Some(NO_TIME.to_owned());
        return Ok(repair);
    }
    // How sure the first one is depends on the others.
    let (n_wanted, ask) = (ask.k, &Ask { k: ask.k.max(RANKED), ..ask.clone() });
    let opinion = |text: &str| ask.judge.and_then(|judge| judge.accepts(text));
    if !repair.diagnosis.faults.is_empty() && opinion(text) == Some(true) {
        repair.diagnosis.faults.clear();
    }
    if repair.diagnosis.faults.is_empty() {
        return Ok(repair);
    }
    if repair.diagnosis.is_conflict {
        repair.reason = Some("which side of a merge is wanted only its author knows".to_owned());
        return Ok(repair);
    }
    if repair.diagnosis.n_ignored > 0 {
        repair.reason = Some("it cannot parse while a line that is to be left alone does not".to_owned());
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
        .filter(|verified| opinion(&verified.candidate().text) != Some(false))
        .take(ask.k)
        .collect();
    if verified.is_empty() {
        repair.reason = Some("no suggestion parses in the language version of the project".to_owned());
    }
    let n_faults = repair.diagnosis.faults.len();
    repair.suggestions = rank(text, n_faults, ask.language, ask.calibration.as_ref(), verified);
    repair.suggestions.truncate(n_wanted);
    repair.reason = drop_unlikely(&mut repair.suggestions, ask.least_confidence).or(repair.reason);
    Ok(repair)
}

/// Why nothing further is tried; only hooks bound the time of all texts together.
const NO_TIME: &str = "the time for repairs is up (`hook.budget_ms`)";

/// At least so many repairs are ranked, however few are wanted.
const RANKED: usize = 5;

/// Takes away repairs that are less sure than `least` and that no test speaks for; where none is left, says why.
pub fn drop_unlikely(repairs: &mut Vec<Ranked>, least: f64) -> Option<String> {
    let likeliest = repairs.iter().filter_map(|ranked| ranked.confidence).reduce(f64::max);
    let is_spoken_for = |ranked: &Ranked| ranked.verified.evidence().standing() == Standing::For;
    repairs.retain(|ranked| is_spoken_for(ranked) || ranked.confidence.is_none_or(|sure| sure >= least));
    let percent = percent(likeliest.filter(|_| repairs.is_empty())?);
    Some(format!("the likeliest repair is {percent:.0} % sure, less than `repair.least_confidence`"))
}

/// Choices for each window, each list best first; or the reason why a fault is left.
///
/// Goes on with the best choice of each window, and back to its next one where that leads nowhere.
fn repair_windows(
    text: &str,
    ask: &Ask<'_>,
    denoiser: &mut dyn Denoiser,
) -> Result<Found<Vec<Vec<Choice>>>, EngineError> {
    let mut current = text.to_owned();
    // With each window the text it was cut from.
    let mut windows: Vec<(String, Vec<Choice>)> = Vec::new();
    let mut n_returns = 0;
    let mut first_reason = None;
    loop {
        let faults = ask.language.flaws(&current, ask.dialect);
        if faults.is_empty() {
            return Ok(Ok(windows.into_iter().map(|(_, choices)| choices).collect()));
        }
        if (ask.is_over)() {
            return Ok(Err(NO_TIME.to_owned()));
        }
        if windows.len() == ask.max_windows {
            let windows = counted(ask.max_windows, "window");
            return Ok(Err(format!("faults are left after {windows} (`repair.max_windows`)")));
        }
        match repair_fault(&current, &faults, ask, denoiser)? {
            Ok(choices) => windows.push((current, choices)),
            Err(reason) => {
                let reason = first_reason.get_or_insert(reason);
                n_returns += 1;
                if n_returns > MAX_RETURNS || !drop_last_choice(&mut windows) {
                    return Ok(Err(reason.clone()));
                }
            }
        }
        let (before, choices) = windows.last().expect("one was added or is left");
        current = choices[0].edit.apply(before).expect("it was made from this text");
    }
}

/// How often a window is left by its next best choice.
const MAX_RETURNS: u32 = 2;

/// Takes away the choice that was gone on with last; `false` when there was no other.
fn drop_last_choice(windows: &mut Vec<(String, Vec<Choice>)>) -> bool {
    while let Some((_, choices)) = windows.last_mut() {
        if choices.len() > 1 {
            choices.remove(0);
            return true;
        }
        windows.pop();
    }
    false
}

/// Something, or the reason why there is nothing.
type Found<T> = Result<T, String>;

/// Asks for the window around the first fault and, when that gives nothing, once for an earlier one.
fn repair_fault(
    text: &str,
    faults: &[Fault],
    ask: &Ask<'_>,
    denoiser: &mut dyn Denoiser,
) -> Result<Found<Vec<Choice>>, EngineError> {
    if let Some(unit) = ask.language.unit(text, faults[0].span.start) {
        let window = Window { span: unit.clone(), region: unit };
        let (choices, refused) = propose(text, faults, &window, ask, denoiser)?;
        return Ok(if choices.is_empty() { Err(refused.unwrap_or_else(nothing)) } else { Ok(choices) });
    }
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
    if choices.is_empty() {
        return Ok(Err(refused.unwrap_or_else(nothing)));
    }
    Ok(Ok(choices))
}

fn nothing() -> String {
    "the engine found nothing that parses".to_owned()
}

/// The engine's proposals for a window that bring the text further, best first.
fn propose(
    text: &str,
    faults: &[Fault],
    window: &Window,
    ask: &Ask<'_>,
    denoiser: &mut dyn Denoiser,
) -> Result<(Vec<Choice>, Option<String>), EngineError> {
    let (mut choices, refused) = ask_engine(text, Aim::Parses, window, ask, denoiser)?;
    choices.retain(|choice| brings_further(text, faults, window, choice, ask));
    Ok((choices, refused))
}

/// What may be wrong with a text that parses, likeliest first: a slip, as far as the engine can tell.
pub fn slips(text: &str, ask: &Ask<'_>, denoiser: &mut dyn Denoiser) -> Result<Vec<Candidate>, EngineError> {
    let mut choices = Vec::new();
    for window in Lines::new(text, ask.language.style()).cover() {
        choices.extend(ask_engine(text, Aim::Tests, &window, ask, denoiser)?.0);
    }
    choices.sort_by(|x, y| y.score.total_cmp(&x.score));
    Ok(if choices.is_empty() { Vec::new() } else { combine(text, &[choices], ask.k) })
}

/// The engine's proposals for a window, best first, and why it refused.
fn ask_engine(
    text: &str,
    aim: Aim,
    window: &Window,
    ask: &Ask<'_>,
    denoiser: &mut dyn Denoiser,
) -> Result<(Vec<Choice>, Option<String>), EngineError> {
    let (span, region) = (&window.span, &window.region);
    let response = denoiser.repair(&Request {
        id: 0,
        lang: ask.language.name().to_owned(),
        text: text[region.clone()].to_owned(),
        start: span.start - region.start,
        end: span.end - region.start,
        aim,
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
            rest: proposal.rest,
            lead: proposal.lead.unwrap_or(f64::INFINITY),
            votes: proposal.votes,
            trace: ask.trace.then(|| Trace {
                first_line: place(text, span.start).line,
                before: before.to_owned(),
                steps: proposal.steps,
            }),
        })
        .collect();
    choices.sort_by(|x, y| y.score.total_cmp(&x.score));
    let mut refused = response.refused;
    let left = left_alone(text, ask.language);
    if !left.is_empty() && !choices.is_empty() {
        choices.retain(|choice| {
            choice.edit.apply(text).is_some_and(|after| left_alone(&after, ask.language) == left)
        });
        if choices.is_empty() {
            refused = Some("what was found changes a line that is to be left alone".to_owned());
        }
    }
    Ok((choices, refused))
}

/// Whether a choice leaves no fault, or only faults beyond its window and beyond the first there was,
/// and no more than there were.
fn brings_further(text: &str, faults: &[Fault], window: &Window, choice: &Choice, ask: &Ask<'_>) -> bool {
    let Some(after) = choice.edit.apply(text) else { return false };
    let left = ask.language.flaws(&after, ask.dialect);
    // Both as places in the text before, where what follows the window has not moved.
    let frontier = window.span.end.max(faults[0].span.start + 1) + after.len();
    left.first().is_none_or(|fault| fault.span.start + text.len() >= frontier && left.len() <= faults.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::python::Python;
    use crate::protocol::{Proposal, Response};

    /// Answers each request with the same replacements of substrings, scored by their order.
    struct Replacing(&'static [(&'static str, &'static str)]);

    impl Denoiser for Replacing {
        fn repair(&mut self, request: &Request) -> Result<Response, EngineError> {
            let window = &request.text[request.start..request.end];
            let proposals = self.0.iter().zip(1u32..).map(|((find, put), rank)| Proposal {
                text: window.replacen(find, put, 1),
                score: -f64::from(rank),
                rest: 0.0,
                lead: None,
                votes: 0,
                steps: Vec::new(),
            });
            Ok(Response { id: request.id, candidates: proposals.collect(), ..Response::default() })
        }
    }

    fn ask() -> Ask<'static> {
        Ask {
            language: &Python,
            judge: None,
            dialect: Dialect::default(),
            k: 5,
            budget_ms: 0,
            max_windows: 4,
            is_over: &|| false,
            least_confidence: 0.0,
            seed: 0,
            trace: false,
            calibration: None,
        }
    }

    #[track_caller]
    fn check(text: &str, replacements: &'static [(&'static str, &'static str)], expected: &[&str]) {
        let repair = repair(text, &ask(), &mut Replacing(replacements)).expect("the script has no errors");
        let texts: Vec<_> =
            repair.suggestions.iter().map(|ranked| ranked.verified.candidate().text.as_str()).collect();
        assert_eq!(texts, expected);
        assert_eq!(repair.reason.is_some(), expected.is_empty());
    }

    fn padded(first: &str, last: &str) -> String {
        format!("{first}\n{}{last}\n", "x = f(1)\n".repeat(60))
    }

    #[test]
    fn only_what_parses_comes_out() {
        check("f(\n", &[("f(", "f["), ("f(", "f()"), ("f(", "f(")], &["f()\n"]);
        check("f(\n", &[("f(", "f[")], &[]);
    }

    #[test]
    fn what_is_hardly_right_is_left_out() {
        let model = "[confidence]\nweights = { score = 1.0 }\nthreshold = 0.9\n";
        let calibration = Calibration::of_model(model).expect("valid");
        let ask = Ask { calibration, ..ask() };
        let told = |least_confidence: f64| {
            let mut denoiser = Replacing(&[("f(", "f()"), ("f(", "f")]);
            repair("f(\n", &Ask { least_confidence, ..ask.clone() }, &mut denoiser)
                .expect("the script has no errors")
        };
        // The scripted scores are -1 and -2: 26 and 11 per cent.
        assert_eq!(told(0.1).suggestions.len(), 2);
        assert_eq!(told(0.2).suggestions.len(), 1);
        let silent = told(0.3);
        assert!(silent.suggestions.is_empty());
        assert!(silent.reason.is_some_and(|reason| reason.contains("26 % sure")));
    }

    #[test]
    fn how_many_are_wanted_does_not_change_how_sure_the_first_is() {
        let model = "[confidence]\nweights = { gap = 1.0 }\nthreshold = 0.9\n";
        let ask = Ask { calibration: Calibration::of_model(model).expect("valid"), ..ask() };
        let told = |k: usize| {
            let mut denoiser = Replacing(&[("f(", "f()"), ("f(", "f")]);
            repair("f(\n", &Ask { k, ..ask.clone() }, &mut denoiser)
                .expect("the script has no errors")
                .suggestions
        };
        assert_eq!((told(1).len(), told(2).len()), (1, 2));
        assert_eq!(told(1)[0].confidence, told(2)[0].confidence);
    }

    #[test]
    fn no_window_is_begun_when_the_time_is_up() {
        let mut denoiser = Replacing(&[("f(", "f()")]);
        let late = Ask { is_over: &|| true, ..ask() };
        let told = repair("f(\n", &late, &mut denoiser).expect("the script has no errors");
        assert!(told.suggestions.is_empty());
        assert_eq!(told.reason.as_deref(), Some("the time for repairs is up (`hook.budget_ms`)"));
    }

    #[test]
    fn another_judge_has_the_last_word() {
        struct Picky(&'static str);
        impl Judge for Picky {
            fn accepts(&self, text: &str) -> Option<bool> {
                (!text.contains('g')).then_some(text.contains(self.0))
            }
        }
        let told = |judge: &'static str, text: &str| {
            let mut denoiser = Replacing(&[("(", "()"), ("(", ""), ("f(", "g()")]);
            let repair = repair(text, &Ask { judge: Some(&Picky(judge)), ..ask() }, &mut denoiser)
                .expect("the script has no errors");
            let texts = repair.suggestions.into_iter().map(|ranked| ranked.verified.candidate().text.clone());
            (repair.diagnosis.faults.len(), texts.collect::<Vec<_>>())
        };
        assert_eq!(told("(", "f(\n"), (0, vec![]));
        assert_eq!(told("()", "f(\n"), (1, vec!["f()\n".to_owned(), "g()\n".to_owned()]));
    }

    #[test]
    fn windows_are_repaired_one_after_another() {
        let text = padded("print 1", "print 2");
        let fixed = padded("print(1)", "print(2)");
        check(&text, &[("print 1", "print(1)"), ("print 2", "print(2)")], &[&fixed]);
        check(&text, &[("print 1", "print(1)")], &[]);
    }

    #[test]
    fn choices_of_all_windows_are_combined() {
        let text = padded("print 1", "print 2");
        let expected = [
            padded("print(1)", "print(2)"),
            padded("print(1)", "2"),
            padded("1", "print(2)"),
            padded("1", "2"),
        ];
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(
            &text,
            &[("print 1", "print(1)"), ("print 1", "1"), ("print 2", "print(2)"), ("print 2", "2")],
            &expected,
        );
    }

    #[test]
    fn where_the_best_choice_leads_nowhere_the_next_is_taken() {
        /// Knows nothing about the second window the first two times.
        struct SlowWitted(u32);
        impl Denoiser for SlowWitted {
            fn repair(&mut self, request: &Request) -> Result<Response, EngineError> {
                self.0 += 1;
                let known: &[_] = if self.0 == 1 {
                    &[("print 1", "1"), ("print 1", "print(1)")]
                } else {
                    &[("print 2", "2")]
                };
                Replacing(if (2..=3).contains(&self.0) { &[] } else { known }.to_vec().leak()).repair(request)
            }
        }
        let text = padded("print 1", "print 2");
        let repair = repair(&text, &ask(), &mut SlowWitted(0)).expect("the script has no errors");
        let best = repair.suggestions.first().expect("one is left").verified.candidate();
        assert_eq!(best.text, padded("print(1)", "2"));
    }

    #[test]
    fn lines_to_be_left_alone_stay_as_they_are() {
        let text = "print('a'  # lastmile: ignore\nq = 1\n";
        let repair =
            repair(text, &ask(), &mut Replacing(&[("'a'", "'a')")])).expect("the script has no errors");
        assert!(repair.suggestions.is_empty());
        assert_eq!(repair.reason.as_deref(), Some("what was found changes a line that is to be left alone"));
        let text = "f(1)  # lastmile: ignore\nprint 1\n";
        check(text, &[("print 1", "print(1)")], &["f(1)  # lastmile: ignore\nprint(1)\n"]);
    }

    #[test]
    fn what_is_healthy_or_for_people_to_decide_asks_nothing() {
        struct Silent;
        impl Denoiser for Silent {
            fn repair(&mut self, _: &Request) -> Result<Response, EngineError> {
                panic!("nobody should have asked")
            }
        }
        for (text, has_reason) in [
            ("x = 1\n", false),
            ("<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> other\n", true),
            ("print 1  # lastmile: ignore\nprint 2\n", true),
        ] {
            let repair = repair(text, &ask(), &mut Silent).expect("not asked");
            assert!(repair.suggestions.is_empty());
            assert_eq!(repair.reason.is_some(), has_reason, "{text:?}");
        }
    }
}
