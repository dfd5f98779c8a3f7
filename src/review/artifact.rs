//! Repairs on their way from a workflow that may not post to one that may. Whoever opened the pull request may have
//! written the file in between, so that nothing in it is believed: it names lines, what stands there and what could,
//! and all else is found out again.

use std::io::{Cursor, Read as _};

use serde::{Deserialize, Serialize};
use zip::ZipArchive;

use super::is_protected;
use super::markdown::is_deceptive;
use crate::candidate::Candidate;
use crate::change::{Encoding, SourceFile};
use crate::diagnose::diagnose;
use crate::lang::Dialect;
use crate::patch::line_edits;
use crate::rank::rank;
use crate::report::{Answer, Broken, FileReport, Outcome};
use crate::verify::verify;

/// The name of the artifact, and of the file in it.
pub const ARTIFACT: &str = "lastmile-report";
const ENTRY: &str = "report.json";
const VERSION: u32 = 1;

/// The most bytes of an archive that are taken.
pub const MAX_ZIP: usize = 4 << 20;
const MAX_JSON: usize = 16 << 20;
/// Text deflates to a twentieth; what goes further is a bomb. Small files may.
const MAX_RATIO: usize = 100;
const FREE_JSON: usize = 64 << 10;
const MAX_FILES: usize = 3_000;
const MAX_EDITS: usize = 200;
const MAX_PATH: usize = 1_024;
/// Most bytes by which a repair may make a file longer: the last mile is short, and advertisements are not.
const MAX_GROWTH: usize = 400;

/// Repairs of the files of one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    version: u32,
    /// The commit that was looked at.
    pub head: String,
    pub files: Vec<FileRepair>,
}

/// The repair of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRepair {
    pub path: String,
    edits: Vec<Replacement>,
}

/// Whole lines, with their ends, and what to put there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replacement {
    /// From 1.
    line: usize,
    old: String,
    new: String,
}

/// Why an artifact is not used, not even in part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hostile {
    #[error("it is larger than {} MB", MAX_ZIP >> 20)]
    TooLarge,
    #[error("it is no zip archive")]
    NoZip,
    #[error("it holds {0} entries, not one")]
    Entries(usize),
    #[error("its entry is not the plain file `{ENTRY}`")]
    Entry,
    #[error("it unpacks to more than it may")]
    Bomb,
    #[error("it is not what lastmile writes: {0}")]
    Json(String),
    #[error("it is of version {0}, not {VERSION}")]
    Version(u32),
    #[error("`head` is no name of a commit")]
    Head,
    #[error("it is about another commit than the run that it comes from")]
    OtherCommit,
    #[error("it holds more than {MAX_FILES} files, or more than {MAX_EDITS} edits of one")]
    TooMany,
    #[error("a path in it is none that git could list")]
    Path,
    #[error("a path in it is there twice")]
    TwoOfOne,
    #[error("it repairs a file that steers what runs")]
    Protected,
    #[error("it repairs a file that the pull request does not change")]
    NotChanged,
    #[error("it repairs a file that no language pack reads as one text in UTF-8")]
    NotText,
    #[error("it repairs a link or a submodule")]
    NoFile,
    #[error("its edits are not in order, or change nothing")]
    Edits,
    #[error("it holds characters that are not seen")]
    Deceptive,
    #[error("a repair makes its file more than {MAX_GROWTH} bytes longer")]
    TooLong,
    #[error("a file does not hold the lines that it says")]
    OtherText,
    #[error("it repairs a file that parses")]
    Healthy,
    #[error("a repair does not parse")]
    DoesNotParse,
}

impl Artifact {
    /// Of the repairs that can travel: those of cells and of other encodings do not.
    pub fn new(head: &str, reports: &[FileReport]) -> Self {
        let files = reports.iter().filter_map(|report| {
            let Outcome::Broken(broken) = &report.outcome else { return None };
            let is_text = broken.cell.is_none() && is_utf8(broken.encoding);
            let after = broken.after().filter(|_| is_text && !is_protected(&report.path))?;
            let lines: Vec<&str> = broken.before.split_inclusive('\n').collect();
            let edits = line_edits(&broken.before, after).into_iter().map(|edit| Replacement {
                line: edit.first,
                old: lines[edit.first - 1..edit.first - 1 + edit.n_lines].concat(),
                new: edit.replacement,
            });
            let file = FileRepair { path: report.path.clone(), edits: edits.collect() };
            (file.check().is_ok()).then_some(file)
        });
        Self { version: VERSION, head: head.to_owned(), files: files.take(MAX_FILES).collect() }
    }

    /// Reads the archive that GitHub makes of it.
    pub fn unzip(bytes: &[u8]) -> Result<Self, Hostile> {
        if bytes.len() > MAX_ZIP {
            return Err(Hostile::TooLarge);
        }
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| Hostile::NoZip)?;
        // Two entries of one name are one to the archive, but not to the directory at its end.
        let n_listed = memchr::memmem::find_iter(bytes, b"PK\x01\x02").count();
        if archive.len() != 1 || n_listed > 1 {
            return Err(Hostile::Entries(archive.len().max(n_listed)));
        }
        let entry = archive.by_index(0).map_err(|_| Hostile::Entry)?;
        let is_plain = entry.is_file() && !entry.is_symlink() && !entry.encrypted();
        if !is_plain || entry.name_raw() != ENTRY.as_bytes() {
            return Err(Hostile::Entry);
        }
        let limit = MAX_JSON.min(FREE_JSON.max(bytes.len() * MAX_RATIO));
        let mut json = Vec::new();
        // What the entry says about its size is not believed either.
        entry.take(limit as u64 + 1).read_to_end(&mut json).map_err(|_| Hostile::NoZip)?;
        if json.len() > limit { Err(Hostile::Bomb) } else { Self::read(&json) }
    }

    /// Reads what `lastmile pr --compute` wrote.
    pub fn read(json: &[u8]) -> Result<Self, Hostile> {
        if json.len() > MAX_JSON {
            return Err(Hostile::TooLarge);
        }
        let artifact: Self = serde_json::from_slice(json).map_err(|error| {
            // Names of fields in it are not ours.
            Hostile::Json(format!("line {}, column {}", error.line(), error.column()))
        })?;
        artifact.check()?;
        Ok(artifact)
    }

    fn check(&self) -> Result<(), Hostile> {
        if self.version != VERSION {
            return Err(Hostile::Version(self.version));
        }
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if self.head.len() != 40 || !self.head.bytes().all(is_hex) {
            return Err(Hostile::Head);
        }
        if self.files.len() > MAX_FILES {
            return Err(Hostile::TooMany);
        }
        let mut paths: Vec<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        paths.sort_unstable();
        if paths.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Hostile::TwoOfOne);
        }
        self.files.iter().try_for_each(FileRepair::check)
    }
}

fn is_utf8(encoding: Encoding) -> bool {
    matches!(encoding, Encoding::Utf8 | Encoding::Utf8Bom | Encoding::Ascii)
}

impl FileRepair {
    fn check(&self) -> Result<(), Hostile> {
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        let is_path = self.path.len() <= MAX_PATH
            && self.path.split('/').all(is_plain)
            && !self.path.contains(['\\', '\n', '\t'])
            && !is_deceptive(&self.path);
        if !is_path {
            return Err(Hostile::Path);
        }
        if is_protected(&self.path) {
            return Err(Hostile::Protected);
        }
        if self.edits.len() > MAX_EDITS {
            return Err(Hostile::TooMany);
        }
        let is_hidden = |edit: &Replacement| is_deceptive(&edit.new) && !is_deceptive(&edit.old);
        if self.edits.iter().any(|edit| edit.old.contains('\0') || edit.new.contains('\0') || is_hidden(edit))
        {
            return Err(Hostile::Deceptive);
        }
        let sum =
            |part: fn(&Replacement) -> &str| self.edits.iter().map(|edit| part(edit).len()).sum::<usize>();
        if sum(|edit| &edit.new) > sum(|edit| &edit.old) + MAX_GROWTH {
            return Err(Hostile::TooLong);
        }
        Ok(())
    }

    /// The text after it; `before` must hold the lines that it says.
    fn apply(&self, before: &str) -> Result<String, Hostile> {
        let lines: Vec<&str> = before.split_inclusive('\n').collect();
        let (mut after, mut at) = (String::with_capacity(before.len()), 0);
        for edit in &self.edits {
            let start = edit.line.checked_sub(1).filter(|start| *start >= at).ok_or(Hostile::Edits)?;
            let end = start.saturating_add(edit.old.split_inclusive('\n').count());
            let (between, old) = (lines.get(at..start), lines.get(start..end));
            let (Some(between), Some(old)) = (between, old) else { return Err(Hostile::OtherText) };
            if old.concat() != edit.old {
                return Err(Hostile::OtherText);
            }
            after.extend(between.iter().copied());
            after.push_str(&edit.new);
            at = end;
        }
        after.extend(lines[at..].iter().copied());
        if after == before { Err(Hostile::Edits) } else { Ok(after) }
    }

    /// Does it to the file as GitHub has it, and judges the result anew.
    pub fn verify(&self, bytes: Vec<u8>) -> Result<FileReport, Hostile> {
        let mut texts = SourceFile::decode_all((&self.path).into(), bytes).map_err(|_| Hostile::NotText)?;
        let file = match (texts.pop(), texts.is_empty()) {
            (Some(file), true) if file.cell.is_none() && is_utf8(file.encoding()) => file,
            _ => return Err(Hostile::NotText),
        };
        let after = self.apply(&file.text)?;
        let faults = diagnose(&file.text, file.language).faults;
        if faults.is_empty() {
            return Err(Hostile::Healthy);
        }
        let verified = verify(&file.text, Candidate::of_text(after), file.language, Dialect::default());
        let verified = verified.ok_or(Hostile::DoesNotParse)?;
        // Without the scores there is no confidence, and nothing that could be safe.
        let best = rank(&file.text, faults.len(), file.language, None, vec![verified]).pop();
        let answer = best.map_or(Answer::NotAsked, |best| Answer::Suggested(Box::new(best)));
        let broken = Broken {
            language: file.language.name(),
            cell: None,
            cell_line: None,
            encoding: file.encoding(),
            before: file.text,
            faults,
            failing: None,
            answer,
        };
        Ok(FileReport { path: self.path.clone(), outcome: Outcome::Broken(broken) })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::{Value, json};
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::super::tests::report;
    use super::*;

    const HEAD: &str = "0123456789abcdef0123456789abcdef01234567";

    fn honest() -> Value {
        let artifact = Artifact::new(HEAD, &[report("src/a.py", "x = 1\nf(\n", "x = 1\nf()\n")]);
        serde_json::to_value(artifact).expect("plain data")
    }

    /// An archive of these entries.
    fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            writer.start_file(*name, SimpleFileOptions::default()).expect("in memory");
            writer.write_all(bytes).expect("in memory");
        }
        writer.finish().expect("in memory").into_inner()
    }

    #[test]
    fn what_was_written_is_read_and_verified_again() {
        let artifact = Artifact::unzip(&zipped(&[(ENTRY, honest().to_string().as_bytes())])).expect("honest");
        assert_eq!((artifact.head.as_str(), artifact.files.len()), (HEAD, 1));
        let again = artifact.files[0].verify(b"x = 1\nf(\n".to_vec()).expect("it is what it says");
        let Outcome::Broken(broken) = again.outcome else { panic!("it is broken") };
        assert_eq!(broken.after(), Some("x = 1\nf()\n"));
    }

    #[test]
    fn what_cannot_travel_stays() {
        let long = format!("f({}\n", "1, ".repeat(MAX_GROWTH));
        let reports = [
            report(".github/a.py", "f(\n", "f()\n"),
            report("b.py", "f(\n", &format!("{})\n", long.trim_end())),
        ];
        assert_eq!(Artifact::new(HEAD, &reports).files, []);
    }

    #[track_caller]
    fn check_zip(bytes: &[u8], expected: &Hostile) {
        assert_eq!(Artifact::unzip(bytes).as_ref(), Err(expected));
    }

    #[test]
    fn hostile_archives_are_refused() {
        let json = honest().to_string();
        let json = json.as_bytes();
        check_zip(b"", &Hostile::NoZip);
        check_zip(json, &Hostile::NoZip);
        check_zip(&zipped(&[]), &Hostile::Entries(0));
        check_zip(&zipped(&[(ENTRY, json), ("other.json", json)]), &Hostile::Entries(2));
        check_zip(&zipped(&[("../report.json", json)]), &Hostile::Entry);
        check_zip(&zipped(&[("/report.json", json)]), &Hostile::Entry);
        check_zip(&zipped(&[("x/report.json", json)]), &Hostile::Entry);
        check_zip(&zipped(&[("report.json/", b"")]), &Hostile::Entry);
        check_zip(&zipped(&[(ENTRY, &vec![b' '; 8 << 20])]), &Hostile::Bomb);
        check_zip(&vec![0; MAX_ZIP + 1], &Hostile::TooLarge);
        let mut link = ZipWriter::new(Cursor::new(Vec::new()));
        link.add_symlink(ENTRY, "/etc/passwd", SimpleFileOptions::default()).expect("in memory");
        check_zip(&link.finish().expect("in memory").into_inner(), &Hostile::Entry);
        let mut cut = zipped(&[(ENTRY, json)]);
        cut.truncate(cut.len() / 2);
        check_zip(&cut, &Hostile::NoZip);
    }

    #[track_caller]
    fn check_json(change: impl FnOnce(&mut Value), expected: &Hostile) {
        let mut json = honest();
        change(&mut json);
        match Artifact::read(json.to_string().as_bytes()) {
            Err(Hostile::Json(_)) if matches!(expected, Hostile::Json(_)) => {}
            found => assert_eq!(found.as_ref(), Err(expected), "{json}"),
        }
    }

    #[test]
    fn hostile_texts_are_refused() {
        let strange = Hostile::Json(String::new());
        check_json(|json| json["pull"] = json!(6), &strange);
        check_json(|json| json["files"][0]["prose"] = json!("@everyone"), &strange);
        check_json(|json| json["files"][0]["edits"][0]["line"] = json!(-1), &strange);
        check_json(|json| json["files"][0]["edits"][0]["line"] = json!(1e300), &strange);
        check_json(|json| json["files"][0]["edits"][0]["new"] = json!(null), &strange);
        check_json(|json| *json = json!([]), &strange);
        check_json(|json| json["version"] = json!(2), &Hostile::Version(2));
        check_json(|json| json["head"] = json!("main"), &Hostile::Head);
        check_json(|json| json["head"] = json!("../".repeat(13) + "x"), &Hostile::Head);
        check_json(|json| json["files"] = vec![json["files"][0].clone(); 2].into(), &Hostile::TwoOfOne);
        check_json(|json| json["files"] = vec![json["files"][0].clone(); 3_001].into(), &Hostile::TooMany);
        let edit = honest()["files"][0]["edits"][0].clone();
        check_json(|json| json["files"][0]["edits"] = vec![edit; 201].into(), &Hostile::TooMany);
        let paths = [
            "",
            "/etc/x.py",
            "../x.py",
            "a/../../x.py",
            "a//x.py",
            "./x.py",
            "a\\x.py",
            "a\nx.py",
            "a\u{202e}x.py",
        ];
        for path in paths {
            check_json(|json| json["files"][0]["path"] = json!(path), &Hostile::Path);
        }
        check_json(|json| json["files"][0]["path"] = json!("x".repeat(2_000)), &Hostile::Path);
        for path in
            [".github/x.py", "sub/.github/workflows/x.py", ".husky/x.py", "sub/action.yml", "CODEOWNERS"]
        {
            check_json(|json| json["files"][0]["path"] = json!(path), &Hostile::Protected);
        }
        check_json(|json| json["files"][0]["edits"][0]["new"] = json!("f()\0\n"), &Hostile::Deceptive);
        check_json(
            |json| json["files"][0]["edits"][0]["new"] = json!("f()  # \u{2066}\n"),
            &Hostile::Deceptive,
        );
        let advertisement = format!("f()  # {}\n", "buy ".repeat(200));
        check_json(|json| json["files"][0]["edits"][0]["new"] = json!(advertisement), &Hostile::TooLong);
        for bytes in
            [b"".as_slice(), b"\xff", b"{", b"{\"version\":1,\"version\":1}", "[".repeat(9_999).as_bytes()]
        {
            assert!(matches!(Artifact::read(bytes), Err(Hostile::Json(_))));
        }
    }

    #[test]
    fn what_git_has_decides() {
        let check = |change: &dyn Fn(&mut Value), before: &str, expected: Hostile| {
            let mut json = honest();
            change(&mut json);
            let artifact = Artifact::read(json.to_string().as_bytes()).expect("well formed");
            let found = artifact.files[0].verify(before.as_bytes().to_vec());
            assert_eq!(found.err(), Some(expected), "{json}");
        };
        let edit = |json: &mut Value, key: &str, value: Value| json["files"][0]["edits"][0][key] = value;
        let text = "x = 1\nf(\n";
        check(&|_| {}, "x = 1\ng(\n", Hostile::OtherText);
        check(&|_| {}, "f(\n", Hostile::OtherText);
        check(&|json| edit(json, "line", json!(0)), text, Hostile::Edits);
        check(&|json| edit(json, "line", json!(usize::MAX)), text, Hostile::OtherText);
        let far = |json: &mut Value| {
            json["files"][0]["edits"][0] = json!({ "line": usize::MAX, "old": "a\nb\nc\n", "new": "" });
        };
        check(&far, text, Hostile::OtherText);
        check(&|json| edit(json, "new", json!("f(\n")), text, Hostile::Edits);
        check(&|json| edit(json, "new", json!("f[\n")), text, Hostile::DoesNotParse);
        check(&|json| json["files"][0]["edits"] = json!([]), text, Hostile::Edits);
        check(&|json| edit(json, "old", json!("f()\n")), "x = 1\nf()\n", Hostile::Edits);
        check(
            &|json| json["files"][0]["edits"][0] = json!({ "line": 2, "old": "f()\n", "new": "g()\n" }),
            "x = 1\nf()\n",
            Hostile::Healthy,
        );
        check(&|json| json["files"][0]["path"] = json!("notes.txt"), text, Hostile::NotText);
        check(&|_| {}, "x = 1\nf(\0\n", Hostile::NotText);
        let twice = |json: &mut Value| {
            let edit = json["files"][0]["edits"][0].clone();
            json["files"][0]["edits"] = json!([edit, edit]);
        };
        check(&twice, text, Hostile::Edits);
    }
}
