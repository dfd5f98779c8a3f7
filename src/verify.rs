//! Checks a candidate against the judge of its language. The only maker of [`Verified`].

use crate::candidate::Candidate;
use crate::lang::{Dialect, Language};

/// A candidate that parses, in a text that did not.
///
/// Only [`verify`] builds one, and only a `Verified` can become a suggestion.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    candidate: Candidate,
    evidence: Evidence,
}

/// What is known in favour of a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// The whole text parses.
    Parses,
}

impl Evidence {
    /// In a word, for people and for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Evidence::Parses => "parses",
        }
    }
}

impl Verified {
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    pub fn evidence(&self) -> Evidence {
        self.evidence
    }
}

/// Accepts `candidate` as a repair of `before`, or not.
pub fn verify(
    before: &str,
    candidate: Candidate,
    language: &dyn Language,
    dialect: Dialect,
) -> Option<Verified> {
    let differs = candidate.text != before;
    (differs && language.accepts(before, &candidate.text, dialect))
        .then_some(Verified { candidate, evidence: Evidence::Parses })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::python::Python;

    #[track_caller]
    fn check(before: &str, after: &str, expected: bool) {
        let text = after.to_owned();
        let candidate =
            Candidate { text, score: 0.0, rest: 0.0, votes: 0, n_windows: 1, trajectory: Vec::new() };
        assert_eq!(verify(before, candidate, &Python, Dialect::default()).is_some(), expected);
    }

    #[test]
    fn only_what_parses_passes() {
        check("f(\n", "f()\n", true);
        check("f(\n", "f(\n", false);
        check("f(\n", "f[\n", false);
        check("x = 1\n", "x = 1\n", false);
    }
}
