//! Signs that a repair pleases the tests, or the parser, and not its author. None is a proof; each is worth a look.

mod lines;
mod python;

use std::fmt;

use crate::suite::is_test_path;
use crate::suite::modules::is_python;

/// A repair to look at.
#[derive(Clone, Copy, Debug)]
pub struct Repair<'t> {
    /// Relative, with `/`.
    pub path: &'t str,
    pub before: &'t str,
    pub after: &'t str,
    /// The texts of the tests that judge it, with the data they compare with.
    pub tests: &'t [&'t str],
}

/// Something that a repair should rather not do. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Smell {
    EditsTests {
        path: String,
    },
    /// Statements are gone that nothing came in place of. The line is one of the text before.
    DeletesStatements {
        line: usize,
        n_statements: usize,
    },
    /// A new `try` or `except`, or one that catches more.
    SwallowsErrors {
        line: usize,
    },
    AddsPass {
        line: usize,
    },
    /// A new comparison with a value that occurs in the tests.
    SpecialCases {
        line: usize,
        literal: String,
    },
    /// A function that gives the same answer to whatever it is asked.
    ReturnsLiteral {
        line: usize,
        literal: String,
    },
}

impl fmt::Display for Smell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Smell::EditsTests { path } => write!(f, "`{path}` belongs to the tests"),
            Smell::DeletesStatements { line, n_statements: 1 } => {
                write!(f, "line {line}: a statement is deleted and not replaced")
            }
            Smell::DeletesStatements { line, n_statements } => {
                write!(f, "line {line}: {n_statements} statements are deleted and not replaced")
            }
            Smell::SwallowsErrors { line } => write!(f, "line {line}: errors are caught that were not"),
            Smell::AddsPass { line } => write!(f, "line {line}: a new `pass`"),
            Smell::SpecialCases { line, literal } => {
                write!(f, "line {line}: a new comparison with {literal}, which occurs in the tests")
            }
            Smell::ReturnsLiteral { line, literal } => {
                write!(f, "line {line}: the function returns {literal} whatever it is given")
            }
        }
    }
}

/// What is suspicious about a repair, worst first.
pub fn smells(repair: &Repair) -> Vec<Smell> {
    let mut smells = Vec::new();
    if is_test_path(repair.path) {
        smells.push(Smell::EditsTests { path: repair.path.to_owned() });
    }
    if is_python(repair.path) {
        smells.extend(python::smells(repair));
        smells.extend(lines::smells(repair));
    }
    smells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &[&str]) {
        let repair = Repair { path, before: "x = (1\n", after: "x = (1)\n", tests: &[] };
        let found: Vec<String> = smells(&repair).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn repairs_of_tests_are_named() {
        check("tests/test_a.py", &["`tests/test_a.py` belongs to the tests"]);
        check("tests/data.json", &["`tests/data.json` belongs to the tests"]);
        check("pkg/a.py", &[]);
    }
}
