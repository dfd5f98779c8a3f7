//! Checks a candidate against the judge of its language. The only maker of [`Verified`].

use std::fmt;

use crate::candidate::Candidate;
use crate::lang::{Dialect, Language};
use crate::smell::Smell;
use crate::verdict::{Standing, TestVerdict};

/// A candidate that parses, in place of a text that did not or whose tests fail.
///
/// Only [`verify`] builds one, and only a `Verified` can become a suggestion.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    candidate: Candidate,
    evidence: Evidence,
}

/// What is known about a repair besides that its whole text parses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// What the tests say, where they were asked.
    tests: Option<TestVerdict>,
    /// Signs that it pleases the tests, or the parser, and not its author.
    smells: Vec<Smell>,
}

impl Evidence {
    pub fn tests(&self) -> Option<&TestVerdict> {
        self.tests.as_ref()
    }

    pub fn smells(&self) -> &[Smell] {
        &self.smells
    }

    /// Whether the tests speak for it.
    pub fn standing(&self) -> Standing {
        self.tests.as_ref().map_or(Standing::Neutral, TestVerdict::standing)
    }

    /// Whether the tests make all of it good: some failed, and none does now.
    pub fn is_all_green(&self) -> bool {
        self.tests.as_ref().is_some_and(TestVerdict::is_all_green)
    }

    /// In a word, for JSON: what proved it.
    pub fn name(&self) -> &'static str {
        if self.standing() == Standing::For { "tests" } else { "parses" }
    }
}

/// In one line, such as `parses; 41 of 41 tests pass, 2 of them failed before`.
impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parses")?;
        if let Some(verdict) = &self.tests {
            write!(f, "; {verdict}")?;
        }
        self.smells.iter().try_for_each(|smell| write!(f, "; look: {smell}"))
    }
}

impl Verified {
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// The same with what the tests say of it; `None` when they speak against it.
    pub fn tested(self, tests: TestVerdict, smells: Vec<Smell>) -> Option<Self> {
        let is_refuted = tests.standing() == Standing::Against;
        let evidence = Evidence { tests: Some(tests), smells };
        (!is_refuted).then_some(Self { candidate: self.candidate, evidence })
    }
}

/// Accepts `candidate` as a repair of `before`, or not.
///
/// Carriage returns that stand alone end lines for some parsers and not for lexemes, so none may come or go.
pub fn verify(
    before: &str,
    candidate: Candidate,
    language: &dyn Language,
    dialect: Dialect,
) -> Option<Verified> {
    let differs = candidate.text != before;
    let n_returns = |text: &str| text.matches('\r').count() - text.matches("\r\n").count();
    (differs
        && n_returns(before) == n_returns(&candidate.text)
        && language.accepts(before, &candidate.text, dialect))
    .then(|| Verified { candidate, evidence: Evidence::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::python::Python;

    #[track_caller]
    fn check(before: &str, after: &str, expected: bool) {
        let text = after.to_owned();
        let candidate = Candidate::of_text(text);
        assert_eq!(verify(before, candidate, &Python, Dialect::default()).is_some(), expected);
    }

    #[test]
    fn only_what_parses_passes() {
        check("f(\n", "f()\n", true);
        check("f(\n", "f(\n", false);
        check("f(\n", "f[\n", false);
        check("x = 1\n", "x = 1\n", false);
        check("x = 1\rf(\r", "x = 1\rf()\r", true);
        check("x = 1\rf(\r", "x = 1\r\nf()\r", false);
    }
}
