//! Repairs tried by tests: those of a text that does not parse, and slips in one that parses and whose tests fail.
//!
//! Best first, and no further than the first repair that makes all tests pass and looks honest.

use std::collections::BTreeMap;

use crate::candidate::Candidate;
use crate::lang::Language;
use crate::patch::line_edits;
use crate::pipeline::{Ask, slips};
use crate::ports::{Denoiser, EngineError, Tests};
use crate::rank::{Ranked, rank, rank_by_tests};
use crate::smell::{Repair, Smell, smells};
use crate::verdict::{Standing, TestVerdict};
use crate::verify::verify;

/// How many repairs of a text that does not parse its tests choose from.
pub const TRIED: usize = 24;

/// How far to go.
pub struct Trying<'t> {
    /// Relative, with `/`.
    pub path: &'t str,
    /// The texts of the tests, to tell values that are taken from them.
    pub test_texts: &'t [&'t str],
    pub max_candidates: usize,
    /// Whether the time is up; asked between runs of tests.
    pub is_over: &'t dyn Fn() -> bool,
    /// Told of each candidate that was tried.
    pub tell: &'t dyn Fn(&str, &TestVerdict, &[Smell]),
}

/// What came of trying.
#[derive(Debug, Default)]
pub struct Tested {
    /// Best first: those that tests speak for, then those they have nothing against.
    pub repairs: Vec<Ranked>,
    pub n_tried: usize,
    /// Whether there was time for no more.
    pub is_cut_short: bool,
}

/// Why nothing could be tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TestedError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the tests cannot be run: {0}")]
    Tests(String),
}

/// Puts repairs of a text that does not parse before its tests. What they speak against is gone; what was not tried
/// stays behind what was.
pub fn try_repairs(
    before: &str,
    repairs: Vec<Ranked>,
    tests: &mut dyn Tests,
    trying: &Trying,
) -> Result<Tested, TestedError> {
    let mut tested = run(before, repairs, tests, trying)?;
    rank_by_tests(&mut tested.repairs, true);
    Ok(tested)
}

/// How many repairs are looked through for slips.
const MENDED: usize = 2;

/// Where no repair of a text that does not parse makes all tests pass, its author may have slipped besides: looks for
/// a slip in the repairs that the tests like best. Those that need a slip mended, too, need review.
pub fn mend_repairs(
    before: &str,
    mut tested: Tested,
    ask: &Ask<'_>,
    denoiser: &mut dyn Denoiser,
    tests: &mut dyn Tests,
    trying: &Trying,
) -> Result<Tested, TestedError> {
    let is_green = |repair: &Ranked| repair.verified.evidence().is_all_green();
    let mut mended: Vec<Ranked> = Vec::new();
    let is_red = |repair: &&Ranked| {
        use TestVerdict::{BaselineRed, Improved, Partial};
        let verdict = repair.verified.evidence().tests();
        verdict.is_some_and(|verdict| matches!(verdict, BaselineRed(_) | Improved(_) | Partial(_)))
    };
    let bases: Vec<&Ranked> = tested.repairs.iter().filter(is_red).take(MENDED).collect();
    let n_bases = bases.len();
    for (idx, base) in bases.into_iter().enumerate() {
        let max_candidates = trying.max_candidates.saturating_sub(tested.n_tried) / (n_bases - idx);
        let is_done = tested.repairs.iter().chain(&mended).any(is_green);
        if is_done || max_candidates == 0 || (trying.is_over)() {
            break;
        }
        let base = base.verified.candidate();
        let slips = match slips(&base.text, ask, denoiser) {
            // What was found without them is as good as before.
            Err(EngineError::NoWeights { .. }) => break,
            slips => slips?.into_iter(),
        };
        let slips = slips.map(|slip| Candidate { score: base.score + slip.score, ..slip });
        let verified = slips.filter_map(|one| verify(before, one, ask.language, ask.dialect));
        let repairs = rank(before, 0, ask.language, None, verified.collect());
        let more = run(before, repairs, tests, &Trying { max_candidates, ..*trying })?;
        tested.n_tried += more.n_tried;
        tested.is_cut_short |= more.is_cut_short;
        mended.extend(more.repairs.into_iter().filter(is_green));
    }
    rank_by_tests(&mut mended, false);
    tested.repairs.splice(0..0, mended);
    Ok(tested)
}

/// Looks for a slip in a text that parses: edits that the engine proposes, tried by the tests. Edits of lines among the
/// `suspects`, which count from 1, count as so many nats likelier.
pub fn mend(
    text: &str,
    ask: &Ask<'_>,
    denoiser: &mut dyn Denoiser,
    tests: &mut dyn Tests,
    suspects: &BTreeMap<usize, f64>,
    trying: &Trying,
) -> Result<Tested, TestedError> {
    let candidates = slips(text, ask, denoiser)?;
    let verified = candidates.into_iter().filter_map(|one| verify(text, one, ask.language, ask.dialect));
    let mut repairs = rank(text, 0, ask.language, None, verified.collect());
    let weight = |repair: &Ranked| {
        let candidate = repair.verified.candidate();
        candidate.score + suspicion(text, &candidate.text, suspects)
    };
    repairs.sort_by(|x, y| weight(y).total_cmp(&weight(x)));
    let mut tested = run(text, repairs, tests, trying)?;
    tested.repairs.retain(|repair| repair.verified.evidence().standing() == Standing::For);
    rank_by_tests(&mut tested.repairs, false);
    Ok(tested)
}

/// How suspect the lines are that an edit changes: that of the most suspect one.
fn suspicion(before: &str, after: &str, suspects: &BTreeMap<usize, f64>) -> f64 {
    if suspects.is_empty() {
        return 0.0;
    }
    let edits = line_edits(before, after);
    let lines = edits.iter().flat_map(|edit| suspects.range(edit.first..edit.first + edit.n_lines.max(1)));
    lines.map(|(_, nats)| *nats).fold(0.0, f64::max)
}

fn run(
    before: &str,
    repairs: Vec<Ranked>,
    tests: &mut dyn Tests,
    trying: &Trying,
) -> Result<Tested, TestedError> {
    let mut tested = Tested::default();
    let mut waiting = repairs.into_iter().peekable();
    let mut is_found = false;
    while waiting.peek().is_some() && !is_found && tested.n_tried < trying.max_candidates {
        if (trying.is_over)() {
            tested.is_cut_short = true;
            break;
        }
        let width = tests.width().clamp(1, trying.max_candidates - tested.n_tried);
        let batch: Vec<Ranked> = waiting.by_ref().take(width).collect();
        let afters: Vec<&str> = batch.iter().map(|one| one.verified.candidate().text.as_str()).collect();
        let verdicts = tests.judge(&afters).map_err(TestedError::Tests)?;
        tested.n_tried += batch.len();
        for (repair, verdict) in batch.into_iter().zip(verdicts) {
            let after = &repair.verified.candidate().text;
            let smells = smells(&Repair { path: trying.path, before, after, tests: trying.test_texts });
            (trying.tell)(after, &verdict, &smells);
            is_found |= verdict.is_all_green() && smells.is_empty();
            let Ranked { verified, features, confidence, applicability } = repair;
            if let Some(verified) = verified.tested(verdict, smells) {
                tested.repairs.push(Ranked { verified, features, confidence, applicability });
            }
        }
    }
    tested.repairs.extend(waiting);
    Ok(tested)
}

/// Whether tests of a language can be told what failed.
pub fn can_mend(language: &dyn Language) -> bool {
    language.name() == "python"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::{Dialect, python::Python};
    use crate::protocol::{Aim, Proposal, Request, Response};
    use crate::rank::Applicability;
    use crate::verdict::Tally;

    /// Answers with texts, likeliest first.
    struct Scripted(Vec<&'static str>);

    impl Denoiser for Scripted {
        fn repair(&mut self, request: &Request) -> Result<Response, EngineError> {
            assert_eq!(request.aim, Aim::Tests);
            let proposals = self.0.iter().zip(1u32..).map(|(text, rank)| Proposal {
                text: (*text).to_owned(),
                score: -f64::from(rank),
                rest: 0.0,
                lead: None,
                votes: 0,
                steps: Vec::new(),
            });
            Ok(Response { id: request.id, candidates: proposals.collect(), ..Response::default() })
        }
    }

    /// Two tests; texts with `good` pass both, texts with `half` one of them, texts with `bad` break one.
    struct Words(usize);

    impl Tests for Words {
        fn judge(&mut self, afters: &[&str]) -> Result<Vec<TestVerdict>, String> {
            self.0 += afters.len();
            let tally =
                |n_passed| Tally { n_tests: 2, n_passed, n_fixed: 1, is_listed: true, ..Tally::default() };
            let judge = |text: &&str| match *text {
                text if text.contains("good") => TestVerdict::Improved(tally(2)),
                text if text.contains("half") => TestVerdict::Improved(tally(1)),
                text if text.contains("bad") => TestVerdict::Regressed { tests: Vec::new(), tally: tally(0) },
                _ => TestVerdict::BaselineRed(tally(0)),
            };
            Ok(afters.iter().map(judge).collect())
        }
    }

    const TEXT: &str = "def f(n):\n    a = n\n    return a\n";

    fn ask() -> Ask<'static> {
        Ask {
            language: &Python,
            judge: None,
            dialect: Dialect::default(),
            k: 10,
            budget_ms: 0,
            max_windows: 1,
            is_over: &|| false,
            least_confidence: 0.0,
            seed: 0,
            trace: false,
            calibration: None,
        }
    }

    fn trying(max_candidates: usize) -> Trying<'static> {
        Trying { path: "lib.py", test_texts: &[], max_candidates, is_over: &|| false, tell: &|_, _, _| {} }
    }

    fn mend_with(
        proposals: &[&'static str],
        suspects: &[usize],
        max_candidates: usize,
    ) -> (Vec<String>, usize) {
        let suspects = suspects.iter().map(|line| (*line, 1.5)).collect();
        let mut words = Words(0);
        let tested = mend(
            TEXT,
            &ask(),
            &mut Scripted(proposals.to_vec()),
            &mut words,
            &suspects,
            &trying(max_candidates),
        )
        .expect("the script has no errors");
        assert_eq!(tested.n_tried, words.0);
        let texts = tested.repairs.iter().map(|repair| repair.verified.candidate().text.clone());
        (texts.collect(), words.0)
    }

    #[test]
    fn the_first_repair_that_all_tests_pass_with_ends_it() {
        let half = "def f(n):\n    a = half\n    return a\n";
        let good = "def f(n):\n    a = good\n    return a\n";
        let bad = "def f(n):\n    a = bad\n    return a\n";
        let same = "def f(n):\n    b = n\n    return b\n";
        let late = "def f(n):\n    return good\n";
        let broken = "def f(n):\n    a = (good\n    return a\n";
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(mend_with(&[bad, same, half, good, late], &[], 9), (texts(&[good, half]), 4));
        assert_eq!(mend_with(&[bad, half, good], &[], 2), (texts(&[half]), 2));
        assert_eq!(mend_with(&[broken, TEXT, same], &[], 9), (Vec::new(), 1));
    }

    #[test]
    fn a_slip_besides_is_mended_and_needs_review() {
        let before = "def f(n:\n    a = n\n    return a\n";
        let good = "def f(n):\n    a = good\n    return a\n";
        let candidate = Candidate::of_text(TEXT.to_owned());
        let verified = verify(before, candidate, &Python, Dialect::default()).expect("it parses");
        let repairs = rank(before, 1, &Python, None, vec![verified]);
        let trying = trying(9);
        let mut words = Words(0);
        let tested = try_repairs(before, repairs, &mut words, &trying).expect("no errors");
        let mut scripted = Scripted(vec!["def f(n):\n    a = bad\n    return a\n", good]);
        let mended = mend_repairs(before, tested, &ask(), &mut scripted, &mut words, &trying);
        let mended = mended.expect("the script has no errors");
        let texts: Vec<_> =
            mended.repairs.iter().map(|repair| repair.verified.candidate().text.as_str()).collect();
        assert_eq!((texts, mended.n_tried), (vec![good, TEXT], 3));
        assert_eq!(mended.repairs[0].applicability, Applicability::NeedsReview);
    }

    #[test]
    fn what_smells_comes_last_and_does_not_end_it() {
        let smelly = "def f(n):\n    try:\n        return good\n    except Exception:\n        pass\n";
        let good = "def f(n):\n    a = good\n    return a\n";
        assert_eq!(mend_with(&[smelly, good], &[], 9), (vec![good.to_owned(), smelly.to_owned()], 2));
    }

    #[test]
    fn lines_that_failing_tests_passed_through_come_first() {
        let first = "def f(n):\n    a = good\n    return a\n";
        let second = "def f(n):\n    a = n\n    return good\n";
        assert_eq!(mend_with(&[first, second], &[2], 1), (vec![first.to_owned()], 1));
        assert_eq!(mend_with(&[first, second], &[3], 1), (vec![second.to_owned()], 1));
    }
}
