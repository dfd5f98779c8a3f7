//! Orders verified repairs and says how sure it is of each.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::lang::Language;
use crate::lexeme::{Kind, Zone};
use crate::state::{Event, State, align, kind_of};
use crate::verdict::{Standing, TestVerdict};
use crate::verify::Verified;

/// How a suggestion may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applicability {
    /// Likely enough what the author meant; `fix --write` applies it.
    Safe,
    /// Parses, but a person should look first.
    NeedsReview,
}

impl Applicability {
    /// For people and for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Applicability::Safe => "safe",
            Applicability::NeedsReview => "needs-review",
        }
    }
}

/// Names of the features, in their order; also the keys of `[confidence.weights]`.
pub const FEATURES: [&str; 15] = [
    "bias", "score", "rest", "gap", "rank", "siblings", "events", "written", "dropped", "quotes", "lines",
    "lexemes", "faults", "votes", "windows",
];

/// What is known about a candidate, as numbers.
pub type Features = [f64; FEATURES.len()];

/// A verified repair in its place among its siblings.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    pub verified: Verified,
    pub features: Features,
    /// The probability that the author would have made this repair; absent without a calibration.
    pub confidence: Option<f64>,
    pub applicability: Applicability,
}

/// Turns features into a probability. Fitted on the training split, stored with the weights.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    weights: BTreeMap<String, f64>,
    /// From this probability on a repair is [`Applicability::Safe`].
    pub threshold: f64,
}

/// Why a model's calibration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalibrationError {
    #[error("{0}")]
    Toml(String),
    #[error("`confidence.weights` names `{0}`, which is no feature")]
    UnknownFeature(String),
}

impl Calibration {
    /// Reads the section `[confidence]` of a `model.toml`; `None` when it has none.
    pub fn of_model(model_toml: &str) -> Result<Option<Self>, CalibrationError> {
        #[derive(Deserialize)]
        struct Model {
            confidence: Option<Calibration>,
        }
        let model: Model =
            toml::from_str(model_toml).map_err(|error| CalibrationError::Toml(error.to_string()))?;
        let unknown = model
            .confidence
            .iter()
            .flat_map(|calibration| calibration.weights.keys())
            .find(|name| !FEATURES.contains(&name.as_str()));
        match unknown {
            Some(name) => Err(CalibrationError::UnknownFeature(name.clone())),
            None => Ok(model.confidence),
        }
    }

    /// The same, with which no repair is safe.
    #[must_use]
    pub fn without_safe(self) -> Self {
        Self { threshold: f64::INFINITY, ..self }
    }

    /// The logistic function of the weighted sum.
    pub fn confidence(&self, features: &Features) -> f64 {
        let weight = |name: &str| self.weights.get(name).copied().unwrap_or_default();
        let sum: f64 = FEATURES.iter().zip(features).map(|(name, value)| weight(name) * value).sum();
        1.0 / (1.0 + (-sum).exp())
    }
}

/// As people are told it: rounded down, so that nothing seems surer than a threshold that it misses.
pub fn percent(confidence: f64) -> f64 {
    (100.0 * confidence).floor()
}

/// Orders repairs of `before`: by score, then the shorter text.
pub fn rank(
    before: &str,
    n_faults: usize,
    language: &dyn Language,
    calibration: Option<&Calibration>,
    mut repairs: Vec<Verified>,
) -> Vec<Ranked> {
    repairs.sort_by(|x, y| {
        let lengths = || x.candidate().text.len().cmp(&y.candidate().text.len());
        y.candidate().score.total_cmp(&x.candidate().score).then_with(lengths)
    });
    let state = State::new(before.to_owned(), language.style());
    let all: Vec<Features> =
        (0..repairs.len()).map(|rank| features(&state, n_faults, &repairs, rank)).collect();
    repairs
        .into_iter()
        .zip(all)
        .map(|(verified, features)| {
            let confidence = calibration.map(|calibration| calibration.confidence(&features));
            let is_sure =
                calibration.zip(confidence).is_some_and(|(c, confidence)| confidence >= c.threshold);
            let after = &verified.candidate().text;
            let is_safe = is_sure && !language.is_in_doubt(before, after) && !rewords(&state, after);
            let applicability = if is_safe { Applicability::Safe } else { Applicability::NeedsReview };
            Ranked { verified, features, confidence, applicability }
        })
        .collect()
}

/// Whether a repair loses a word of a string, which no parser asks for.
fn rewords(before: &State, after: &str) -> bool {
    let hints = before.hints();
    let events = align(before, &State::new(after.to_owned(), before.style()), MAX_ALIGNED);
    events.unwrap_or_default().iter().any(|event| match event {
        Event::Insert { .. } => false,
        Event::Delete { at } | Event::Substitute { at, .. } => {
            before.lexemes[*at].kind == Kind::Word && hints[*at].zone == Zone::Text
        }
    })
}

/// Orders repairs anew by what tests say: those they speak for come first, of these those without a smell; the rest of
/// the order stays.
///
/// A repair that mends what was broken and makes tests pass is safe, one that smells never is. Where the text parsed
/// before (`is_broken` is false) the tests are all there is, and tests can be pleased by a wrong text: no repair is safe.
pub fn rank_by_tests(repairs: &mut [Ranked], is_broken: bool) {
    for repair in &mut *repairs {
        let evidence = repair.verified.evidence();
        if !is_broken || !evidence.smells().is_empty() {
            repair.applicability = Applicability::NeedsReview;
        } else if evidence.standing() == Standing::For {
            repair.applicability = Applicability::Safe;
        }
    }
    repairs.sort_by_key(|repair| {
        let evidence = repair.verified.evidence();
        let n_passed = evidence.tests().map_or(0, TestVerdict::n_passed);
        (Reverse(evidence.standing()), !evidence.smells().is_empty(), Reverse(n_passed))
    });
}

/// The features of one repair among its siblings, which are ordered best first.
fn features(before: &State, n_faults: usize, repairs: &[Verified], rank: usize) -> Features {
    let candidate = repairs[rank].candidate();
    let rival = repairs.iter().enumerate().find(|(idx, _)| *idx != rank).map(|(_, rival)| rival);
    let gap = rival.map_or(NO_RIVAL, |rival| candidate.score - rival.candidate().score).min(candidate.lead);
    let after = State::new(candidate.text.clone(), before.style());
    let events = align(before, &after, MAX_ALIGNED);
    let n_events = events.as_ref().map_or(MAX_ALIGNED, Vec::len);
    let changes = Changes::count(before, events.as_deref().unwrap_or_default());
    [
        1.0,
        candidate.score,
        candidate.rest,
        gap.clamp(-NO_RIVAL, NO_RIVAL),
        number(rank),
        number(repairs.len()).ln(),
        number(n_events).ln_1p(),
        number(changes.written).ln_1p(),
        number(changes.dropped).ln_1p(),
        number(changes.quotes).ln_1p(),
        number(changes.lines).ln_1p(),
        number(before.len()).ln(),
        number(n_faults).ln_1p(),
        f64::from(candidate.votes).ln_1p(),
        number(candidate.n_windows),
    ]
}

/// What a repair changes, by kind: a lost bracket is easier to be sure of than a lost name.
#[derive(Default)]
struct Changes {
    /// Words and numbers that were not there.
    written: usize,
    /// Words and numbers that were there.
    dropped: usize,
    quotes: usize,
    /// Line ends and indentation.
    lines: usize,
}

impl Changes {
    fn count(before: &State, events: &[Event]) -> Self {
        let mut changes = Self::default();
        for event in events {
            let (old, new) = match event {
                Event::Insert { text, .. } => (None, Some(text)),
                Event::Delete { at } => (Some(*at), None),
                Event::Substitute { at, text } => (Some(*at), Some(text)),
            };
            let kinds =
                [old.map(|at| before.lexemes[at].kind), new.map(|text| kind_of(text, before.style()))];
            let is_word = |kind: Option<Kind>| matches!(kind, Some(Kind::Word | Kind::Number));
            changes.dropped += usize::from(is_word(kinds[0]));
            changes.written += usize::from(is_word(kinds[1]));
            changes.quotes += usize::from(kinds.contains(&Some(Kind::Quote)));
            changes.lines += usize::from(kinds.contains(&Some(Kind::Newline)));
        }
        changes
    }
}

/// The gap to the second best when there is none, found or left open: as good as a clear lead.
const NO_RIVAL: f64 = 8.0;

/// Lexemes between the first and the last change beyond which a repair counts as very large.
const MAX_ALIGNED: usize = 400;

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::Candidate;
    use crate::lang::{Dialect, python::Python};
    use crate::verify::verify;

    fn repairs(texts: &[(&str, f64)]) -> Vec<Verified> {
        let candidate = |text: &str, score| Candidate { score, ..Candidate::of_text(text.to_owned()) };
        let verified =
            |(text, score): &(&str, f64)| verify("f(", candidate(text, *score), &Python, Dialect::default());
        texts.iter().filter_map(verified).collect()
    }

    #[test]
    fn the_likelier_comes_first_and_its_features_say_so() {
        let ranked = rank("f(", 1, &Python, None, repairs(&[("f", -3.0), ("f()", -1.0)]));
        assert_eq!(ranked[0].verified.candidate().text, "f()");
        let named: BTreeMap<_, _> = FEATURES.iter().zip(ranked[0].features).collect();
        assert_eq!(
            (named[&"score"], named[&"gap"], named[&"events"], named[&"rank"]),
            (-1.0, 2.0, 2f64.ln(), 0.0)
        );
        assert_eq!(ranked[1].applicability, Applicability::NeedsReview);
        assert_eq!(ranked[1].confidence, None);
    }

    #[test]
    fn what_the_search_left_open_is_a_rival() {
        let candidate = |lead| Candidate { score: -1.0, lead, ..Candidate::of_text("f()".to_owned()) };
        let gap = |lead| {
            let verified = verify("f(", candidate(lead), &Python, Dialect::default()).expect("parses");
            rank("f(", 1, &Python, None, vec![verified])[0].features[3]
        };
        assert_eq!((gap(f64::INFINITY), gap(0.5), gap(-20.0)), (NO_RIVAL, 0.5, -NO_RIVAL));
    }

    #[test]
    fn a_calibration_makes_it_safe() {
        let model = "version = 1\n[confidence]\nweights = { bias = 1.0, score = 2.0 }\nthreshold = 0.9\n";
        let calibration = Calibration::of_model(model).expect("valid").expect("has one");
        let ranked = rank("f(", 1, &Python, Some(&calibration), repairs(&[("f", -3.0), ("f()", 2.0)]));
        assert_eq!(
            ranked.iter().map(|r| r.applicability).collect::<Vec<_>>(),
            [Applicability::Safe, Applicability::NeedsReview]
        );
    }

    #[test]
    fn a_repair_that_loses_a_word_of_a_string_is_not_safe() {
        let rewords = |before: &str, after| rewords(&State::new(before.to_owned(), Python.style()), after);
        assert!(rewords("f('two words'\n", "f('two')\n"));
        assert!(!rewords("f('two words'\n", "f('two words')\n"));
        assert!(!rewords("f('two words)\n", "f('two words')\n"));
        assert!(!rewords("retrun f('two')\n", "return f('two')\n"));
    }

    #[test]
    fn a_calibration_may_be_absent_but_not_wrong() {
        assert_eq!(Calibration::of_model("version = 1"), Ok(None));
        let unknown = "[confidence]\nweights = { scroe = 1.0 }\nthreshold = 0.9"; // typos: ignore
        let error = Calibration::of_model(unknown).expect_err("misspelt");
        assert_eq!(error, CalibrationError::UnknownFeature("scroe".to_owned())); // typos: ignore
    }
}
