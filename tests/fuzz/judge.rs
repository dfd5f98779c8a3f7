//! What holds for the readings of any text: bytes and back, lexemes, faults, reports.
#![no_main]

use lastmile::change::SourceFile;
use lastmile::config::Format;
use lastmile::diagnose::{diagnose, place};
use lastmile::lang::python::Python;
use lastmile::lang::{Dialect, Fault, Language};
use lastmile::lexeme::{Hint, Kind, canonical, hints, lex};
use lastmile::report::{Answer, Broken, FileReport, Outcome, sarif, show};
use libfuzzer_sys::fuzz_target;

mod input;

const TARGETS: [Option<(u8, u8)>; 4] = [None, Some((3, 7)), Some((3, 13)), Some((255, 255))];

fuzz_target!(|data: &[u8]| {
    input::with(data, |text, choices| {
        check_lexemes(text);
        let target = *choices.choose(&TARGETS)?;
        check_judge(text, Dialect { target });
        Ok(())
    });
    if let Ok(file) = SourceFile::decode("f.py".into(), data.to_vec()) {
        assert_eq!(file.encode(&file.text).as_deref(), Ok(data));
        input::with(b"", |_, _| {
            check_report(file);
            Ok(())
        });
    }
});

fn check_lexemes(text: &str) {
    let lexemes = lex(text, Python.style());
    let mut at = 0;
    for (idx, lexeme) in lexemes.iter().enumerate() {
        assert_eq!(lexeme.start, at);
        assert!(lexeme.start <= lexeme.span.start && lexeme.span.start <= lexeme.span.end);
        assert!(text[lexeme.start..lexeme.span.start].trim_matches([' ', '\t', '\x0c']).is_empty());
        let is_newline = canonical(text, &lexemes, idx).starts_with('\n');
        assert_eq!(is_newline, lexeme.kind == Kind::Newline);
        at = lexeme.span.end;
    }
    assert_eq!(at, text.len());
    let hints = hints(text, &lexemes, Python.style());
    assert_eq!(hints.len(), lexemes.len());
    assert!(hints.iter().all(|hint| (0..Hint::COUNT).contains(&hint.index())));
}

fn check_judge(text: &str, dialect: Dialect) {
    let faults = Python.faults(text, dialect);
    let flaws = Python.flaws(text, dialect);
    check_faults(text, &faults);
    check_faults(text, &flaws);
    assert!(flaws.starts_with(&faults), "a fault is a flaw");
    assert_eq!(Python.accepts(text, text, dialect), flaws.is_empty());
}

fn check_faults(text: &str, faults: &[Fault]) {
    assert!(faults.is_sorted_by_key(|fault| fault.span.start), "{faults:?}");
    for fault in faults {
        assert!(fault.span.start <= fault.span.end && text.get(fault.span.clone()).is_some(), "{fault:?}");
        assert!((1..Fault::CODES).contains(&fault.code) && !fault.message.is_empty(), "{fault:?}");
    }
}

fn check_report(file: SourceFile) {
    let faults = diagnose(&file.text, &Python).faults;
    check_faults(&file.text, &faults);
    for fault in &faults {
        assert!(place(&file.text, fault.span.start) <= place(&file.text, fault.span.end));
    }
    let broken = Broken {
        language: "python",
        cell: None,
        cell_line: None,
        encoding: file.encoding(),
        before: file.text,
        faults,
        failing: None,
        answer: Answer::NotAsked,
    };
    let report = FileReport { path: "f.py".to_owned(), outcome: Outcome::Broken(broken) };
    for format in [Format::Human, Format::Json, Format::Github] {
        show(&report, format);
    }
    sarif(&[report], "0.0.0");
}
