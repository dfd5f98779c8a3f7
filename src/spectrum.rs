//! Which lines failing tests run and passing ones do not: what tests were traced in, a suspicion for each line out.
//!
//! The suspicion is Ochiai's coefficient, the best of those compared by Abreu, Zoeteweij and van Gemund in "On the
//! accuracy of spectrum-based fault localization" (TAIC PART 2007) and in "An evaluation of similarity coefficients
//! for software fault localization" (PRDC 2006).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// All that the processes of one run of tests may tell together.
pub const MAX_BYTES: u64 = 64 << 20;

/// One test, and the lines of the file in question that it ran.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Traced {
    /// As the framework writes it.
    pub id: String,
    pub failed: bool,
    /// From 1.
    pub lines: BTreeSet<usize>,
}

/// Why nothing is known of the lines that tests ran.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpectrumError {
    #[error("the tests told more than {} MiB of the lines they ran", MAX_BYTES >> 20)]
    TooLarge,
    #[error("what the tests told of the lines they ran cannot be read: {0}")]
    NotJson(String),
}

/// The tests in what the processes of one run told. They are not trusted.
pub fn read(parts: &[Vec<u8>]) -> Result<Vec<Traced>, SpectrumError> {
    #[derive(Deserialize)]
    struct Part {
        tests: Vec<Traced>,
    }
    if parts.iter().map(|part| part.len() as u64).sum::<u64>() > MAX_BYTES {
        return Err(SpectrumError::TooLarge);
    }
    let mut all = Vec::new();
    for part in parts {
        let part: Part =
            serde_json::from_slice(part).map_err(|error| SpectrumError::NotJson(error.to_string()))?;
        all.extend(part.tests);
    }
    Ok(all)
}

/// From 0 for a line that only passing tests ran, to 1 for one that all failing tests ran and no other.
///
/// Lines that no test ran are left out, and so are all when no test failed.
pub fn suspicions(tests: &[Traced]) -> BTreeMap<usize, f64> {
    let mut n_failed = 0.0;
    let mut ran_by: BTreeMap<usize, [f64; 2]> = BTreeMap::new();
    for test in tests {
        n_failed += f64::from(u8::from(test.failed));
        for line in &test.lines {
            ran_by.entry(*line).or_default()[usize::from(test.failed)] += 1.0;
        }
    }
    if n_failed == 0.0 {
        return BTreeMap::new();
    }
    let ochiai = |[passed, failed]: [f64; 2]| failed / (n_failed * (failed + passed)).sqrt();
    ran_by.into_iter().map(|(line, counts)| (line, ochiai(counts))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tests: &[(bool, &[usize])], expected: &[(usize, f64)]) {
        let traced = |(failed, lines): &(bool, &[usize])| Traced {
            id: String::new(),
            failed: *failed,
            lines: lines.iter().copied().collect(),
        };
        let found = suspicions(&tests.iter().map(traced).collect::<Vec<_>>());
        let rounded: Vec<_> = found.iter().map(|(line, s)| (*line, (s * 100.0).round() / 100.0)).collect();
        assert_eq!(rounded, expected);
    }

    #[test]
    fn lines_of_failing_tests_are_suspected() {
        check(&[], &[]);
        check(&[(false, &[1, 2])], &[]);
        check(&[(true, &[])], &[]);
        check(&[(true, &[1, 2])], &[(1, 1.0), (2, 1.0)]);
        check(&[(true, &[1, 2]), (false, &[1, 3])], &[(1, 0.71), (2, 1.0), (3, 0.0)]);
        check(&[(true, &[1, 2]), (true, &[1])], &[(1, 1.0), (2, 0.71)]);
        check(&[(true, &[1]), (true, &[]), (false, &[1]), (false, &[1])], &[(1, 0.41)]);
    }

    /// The name of a test, whether it failed, and its lines.
    type Told<'t> = (&'t str, bool, &'t [usize]);

    #[track_caller]
    fn check_read(parts: &[&str], expected: Result<&[Told], &str>) {
        let parts: Vec<_> = parts.iter().map(|part| part.as_bytes().to_vec()).collect();
        let found = read(&parts).map_err(|error| error.to_string());
        let expected = expected.map_err(str::to_owned).map(|tests| {
            let traced = tests.iter().map(|(id, failed, lines)| Traced {
                id: (*id).to_owned(),
                failed: *failed,
                lines: lines.iter().copied().collect(),
            });
            traced.collect::<Vec<_>>()
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn what_processes_tell_is_one_list() {
        let one = r#"{"tests": [{"id": "a", "failed": true, "lines": [3, 1, 3], "ms": 1}], "by": 1}"#;
        let other = r#"{"tests": [{"id": "b", "failed": false, "lines": []}]}"#;
        check_read(&[], Ok(&[]));
        check_read(&[one, other], Ok(&[("a", true, &[1, 3]), ("b", false, &[])]));
    }

    #[test]
    fn what_is_no_list_of_tests_is_refused() {
        let why =
            |reason: &str| format!("what the tests told of the lines they ran cannot be read: {reason}");
        check_read(&[""], Err(&why("EOF while parsing a value at line 1 column 0")));
        check_read(&["{}"], Err(&why("missing field `tests` at line 1 column 2")));
        let negative = r#"{"tests": [{"id": "a", "failed": true, "lines": [-1]}]}"#;
        check_read(&[negative], Err(&why("invalid value: integer `-1`, expected usize at line 1 column 51")));
        let deep = format!("{{\"by\": {}", "[".repeat(1 << 20));
        check_read(&[&deep], Err(&why("EOF while parsing a list at line 1 column 1048583")));
        let large = vec![b' '; 1 << 26];
        assert_eq!(read(&[large, vec![b' ']]), Err(SpectrumError::TooLarge));
    }
}
