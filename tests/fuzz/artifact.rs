//! What holds for anything that comes as the artifact of a run: it is refused, or each repair parses where the file did
//! not, and its suggestions make it.
#![no_main]

use std::io::{Cursor, Write as _};

use lastmile::lang::{Dialect, Language, python::Python};
use lastmile::report::Outcome;
use lastmile::review::{Artifact, Hunk, parts};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

mod input;

fuzz_target!(|data: &[u8]| {
    // As an archive, and as the file in one.
    let _ = Artifact::unzip(data);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("report.json", zip::write::SimpleFileOptions::default()).expect("in memory");
    writer.write_all(data).expect("in memory");
    let zipped = writer.finish().expect("in memory").into_inner();
    assert_eq!(Artifact::unzip(&zipped), Artifact::read(data));
    input::with(data, check);
});

fn check(text: &str, choices: &mut Unstructured) -> Result<()> {
    let json = report(text, choices)?;
    let Ok(artifact) = Artifact::read(json.to_string().as_bytes()) else { return Ok(()) };
    for file in &artifact.files {
        assert!(!file.path.starts_with('/') && !file.path.contains(".."));
        let Ok(report) = file.verify(text.as_bytes().to_vec()) else { continue };
        let Outcome::Broken(broken) = report.outcome else { panic!("it is broken") };
        let after = broken.after().expect("it is repaired");
        assert!(!Python.faults(text, Dialect::default()).is_empty());
        assert!(Python.accepts(text, after, Dialect::default()));
        let whole = [Hunk { first: 1, n_lines: text.split_inclusive('\n').count() }];
        let Ok(parts) = parts(&report.path, &broken, after, &whole) else { continue };
        let mut lines: Vec<&str> = broken.before.split_inclusive('\n').collect();
        for part in parts.iter().rev() {
            lines.splice(part.first - 1..part.last, part.replacement.split_inclusive('\n'));
        }
        assert_eq!(lines.concat(), after);
    }
    Ok(())
}

const NEW: [&str; 8] = ["", "\n", ")\n", "f()\n", "x = 1\n", "x = 1", "pass\n", "\u{202e}\n"];

/// A report that has a chance to be taken.
fn report(text: &str, choices: &mut Unstructured) -> Result<serde_json::Value> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut edits = Vec::new();
    for _ in 0..choices.int_in_range(0..=3)? {
        let start = choices.int_in_range(0..=lines.len())?;
        let end = choices.int_in_range(start..=lines.len().min(start + 3))?;
        let line: usize = if choices.ratio(1, 20)? { choices.arbitrary()? } else { start + 1 };
        edits.push(serde_json::json!({ "line": line, "old": lines[start..end].concat(), "new": choices.choose(&NEW)? }));
    }
    let path = *choices.choose(&["a.py", "a.py", "a.py", "a/b.py", "../a.py", ".github/a.py", ""])?;
    let head = "0123456789abcdef0123456789abcdef01234567";
    Ok(serde_json::json!({ "version": 1, "head": head, "files": [{ "path": path, "edits": edits }] }))
}
