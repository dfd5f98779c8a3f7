//! Every folder of `tests/cases`: a broken file, what the engine proposes, and the diff that comes out.

use std::fs;
use std::path::Path;

use lastmile::change::SourceFile;
use lastmile::lang::Dialect;
use lastmile::patch::unified_diff;
use lastmile::pipeline::{Ask, repair};
use serde::Deserialize;

use crate::support::ScriptedDenoiser;

/// `case.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case shows.
    #[expect(dead_code, reason = "read by people")]
    about: String,
    /// Pairs of texts to find in a window and to put in their place, likeliest first.
    replacements: Vec<(String, String)>,
    target: Option<(u8, u8)>,
    /// How often the engine is asked.
    n_requests: Option<usize>,
}

#[track_caller]
fn check(folder: &Path) {
    let read = |name: &str| {
        fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name} in {}: {error}", folder.display()))
    };
    let case: Case = toml::from_str(&String::from_utf8(read("case.toml")).expect("UTF-8")).expect("a case");
    let file = SourceFile::decode("broken.py".into(), read("broken.py")).expect("it can be read");
    let mut engine = ScriptedDenoiser { replacements: case.replacements, requests: Vec::new() };
    let ask = Ask {
        language: file.language,
        judge: None,
        dialect: Dialect { target: case.target },
        k: 5,
        budget_ms: 0,
        max_windows: 8,
        is_over: &|| false,
        least_confidence: 0.0,
        seed: 0,
        trace: false,
        calibration: None,
    };
    let repair = repair(&file.text, &ask, &mut engine).expect("the script does not fail");
    let diff = match repair.suggestions.first() {
        Some(best) => unified_diff("broken.py", &file.text, &best.verified.candidate().text),
        None => format!("{}\n", repair.reason.unwrap_or_default()),
    };
    if std::env::var_os("UPDATE").is_some() {
        fs::write(folder.join("expected.diff"), &diff).expect("it is in the repository");
    }
    assert_eq!(diff, String::from_utf8(read("expected.diff")).expect("UTF-8"), "{}", folder.display());
    if let Some(n_requests) = case.n_requests {
        assert_eq!(engine.requests.len(), n_requests, "{}", folder.display());
    }
    for request in &engine.requests {
        assert!(request.end - request.start <= 16 * 1024 && request.text.is_char_boundary(request.start));
    }
}

#[test]
fn every_case_gives_its_diff() {
    let mut n_cases = 0;
    let languages = fs::read_dir("tests/cases").expect("it is in the repository").flatten();
    for language in languages {
        for case in fs::read_dir(language.path()).expect("a folder for each language").flatten() {
            check(&case.path());
            n_cases += 1;
        }
    }
    assert!(n_cases > 0);
}
