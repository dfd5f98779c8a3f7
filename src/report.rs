//! What became of each file, and how it is told: for people, as JSON, SARIF or workflow commands.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use anstyle::{AnsiColor, Style};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::change::Encoding;
use crate::config::Format;
use crate::diagnose::{Place, counted, place};
use crate::lang::Fault;
use crate::patch::{LineEdit, line_edits, unified_diff};
use crate::rank::{Applicability, Ranked, percent};

/// One file and what became of it. Healthy files have none.
#[derive(Debug)]
pub struct FileReport {
    /// As the user named it, with `/` between folders.
    pub path: String,
    pub outcome: Outcome,
}

/// What became of a file.
#[derive(Debug)]
pub enum Outcome {
    /// It does not parse, or its tests fail; or it was so.
    Broken(Broken),
    /// It was left alone, for this reason.
    Skipped(String),
    /// It could not be read or written, for this reason.
    Failed(String),
}

/// A file that does not parse or whose tests fail, or for which that was so before it was repaired.
#[derive(Debug)]
pub struct Broken {
    pub language: &'static str,
    /// The cell of the workbook that the text is the formula of.
    pub cell: Option<String>,
    /// The line that this cell starts in, where the file has lines.
    pub cell_line: Option<usize>,
    pub before: String,
    pub encoding: Encoding,
    pub faults: Vec<Fault>,
    /// What its tests say, where it parses and they fail.
    pub failing: Option<String>,
    pub answer: Answer,
}

/// What `lastmile` has to say about a broken file.
#[derive(Debug)]
pub enum Answer {
    /// Only the faults were asked for.
    NotAsked,
    /// No repair, for this reason.
    Nothing(String),
    /// The best repair, shown and not written.
    Suggested(Box<Ranked>),
    Written(Box<Ranked>),
}

impl Broken {
    /// The best repair.
    pub fn repair(&self) -> Option<&Ranked> {
        match &self.answer {
            Answer::Suggested(repair) | Answer::Written(repair) => Some(repair),
            Answer::NotAsked | Answer::Nothing(_) => None,
        }
    }

    /// The text after it.
    pub fn after(&self) -> Option<&str> {
        self.repair().map(|repair| repair.verified.candidate().text.as_str())
    }

    /// The path, or the path and the cell.
    fn place(&self, path: &str) -> String {
        match &self.cell {
            Some(cell) => format!("{path}:{}", printable(cell)),
            None => path.to_owned(),
        }
    }

    /// What a repair changes: of a cell the formula before and after, which is no diff that applies.
    pub(crate) fn diff(&self, path: &str, after: &str) -> String {
        if self.cell.is_none() {
            return unified_diff(path, &self.before, after);
        }
        let mut diff = String::new();
        for (mark, text) in [('-', self.before.as_str()), ('+', after)] {
            for line in text.lines() {
                writeln!(diff, "{mark}{line}").expect("a string takes all");
            }
        }
        diff
    }

    /// The same with the mark that the file starts with, so that it applies.
    pub(crate) fn diff_of_bytes(&self, path: &str, after: &str) -> String {
        match self.cell {
            Some(_) => self.diff(path, after),
            None => {
                unified_diff(path, &self.encoding.with_mark(&self.before), &self.encoding.with_mark(after))
            }
        }
    }

    /// What is wrong with it, in a word for JSON.
    fn kind(&self) -> &'static str {
        if self.failing.is_some() { "failing" } else { "broken" }
    }

    /// The line that a repair changes first, for what has no fault to point at.
    fn first_line(&self) -> usize {
        let after = self.after().unwrap_or(&self.before);
        line_edits(&self.before, after).first().map_or(1, |edit| edit.first)
    }

    fn is_written(&self) -> bool {
        matches!(self.answer, Answer::Written(_))
    }
}

/// How many files came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub n_checked: usize,
    pub n_broken: usize,
    /// How many of these are further formulas of a workbook.
    pub n_same_file: usize,
    pub n_faults: usize,
    /// How many parse, and their tests fail.
    pub n_failing: usize,
    pub n_suggested: usize,
    /// How many of these are for cells, of which there is no diff that applies.
    pub n_in_cells: usize,
    pub n_unsure: usize,
    pub n_written: usize,
    pub n_skipped: usize,
    pub n_failed: usize,
}

impl Totals {
    /// Counts one report; of a workbook each broken formula is one.
    pub fn count(&mut self, report: &FileReport, is_same_file: bool) {
        self.n_same_file += usize::from(is_same_file);
        match &report.outcome {
            Outcome::Skipped(_) => self.n_skipped += 1,
            Outcome::Failed(_) => self.n_failed += 1,
            Outcome::Broken(broken) => {
                self.n_broken += usize::from(broken.failing.is_none());
                self.n_failing += usize::from(broken.failing.is_some());
                self.n_faults += broken.faults.len();
                self.n_written += usize::from(broken.is_written());
                if let Answer::Suggested(repair) = &broken.answer {
                    self.n_suggested += 1;
                    self.n_in_cells += usize::from(broken.cell.is_some());
                    self.n_unsure += usize::from(repair.applicability == Applicability::NeedsReview);
                }
            }
        }
    }

    /// The last line for people.
    pub fn summary(&self) -> String {
        let mut line = format!("checked {}: ", counted(self.n_checked, "file"));
        match (self.n_broken - self.n_same_file, self.n_faults) {
            (0, _) if self.n_checked == 0 && self.n_skipped + self.n_failed > 0 => {
                line.push_str("nothing could be judged");
            }
            (0, _) if self.n_checked == 0 => line.push_str("nothing to judge"),
            (0, _) => line.push_str("all parse"),
            (n, n_faults) => {
                let does = if n == 1 { "does" } else { "do" };
                let faults = counted(n_faults, "fault");
                write!(line, "{n} {does} not parse ({faults})").expect("a string takes all");
            }
        }
        let fail = if self.n_failing == 1 { "fails its tests" } else { "fail their tests" };
        for (n, what) in [
            (self.n_failing, fail),
            (self.n_written, "repaired"),
            (self.n_suggested, "with a suggestion"),
            (self.n_skipped, "skipped"),
            (self.n_failed, "failed"),
        ] {
            if n > 0 {
                write!(line, ", {n} {what}").expect("a string takes all");
            }
        }
        line
    }
}

/// What goes to stdout and to stderr for one file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub stdout: String,
    pub stderr: String,
}

/// Tells about one file, except in SARIF, which is one document: see [`sarif`].
pub fn show(report: &FileReport, format: Format) -> Shown {
    match format {
        Format::Human => human(report),
        Format::Json => Shown { stdout: json_line(report), stderr: String::new() },
        Format::Github => Shown { stdout: github(report), stderr: String::new() },
        Format::Sarif => Shown::default(),
    }
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
const HUNK: Style = AnsiColor::Cyan.on_default();

/// How many faults of one file are shown: most follow from the first.
const SHOWN_FAULTS: usize = 3;

fn human(report: &FileReport) -> Shown {
    let path = printable(&report.path);
    match &report.outcome {
        Outcome::Skipped(reason) => Shown {
            stderr: format!("{WARNING}warning{WARNING:#}: `{path}` was left alone: {reason}\n"),
            ..Shown::default()
        },
        Outcome::Failed(reason) => {
            Shown { stderr: format!("{ERROR}error{ERROR:#}: {}\n", printable(reason)), ..Shown::default() }
        }
        Outcome::Broken(broken) => {
            Shown { stdout: human_broken(&broken.place(&path), broken), stderr: String::new() }
        }
    }
}

fn human_broken(path: &str, broken: &Broken) -> String {
    let mut out = String::new();
    out.push_str(&excerpt(path, broken));
    out.push('\n');
    match &broken.answer {
        Answer::NotAsked => {}
        Answer::Nothing(reason) => {
            writeln!(out, "{HINT}no suggestion{HINT:#}: {reason}").expect("a string takes all");
        }
        Answer::Suggested(repair) | Answer::Written(repair) => {
            let (word, style) = if broken.is_written() { ("repaired", ADDED) } else { ("suggestion", HINT) };
            writeln!(out, "{style}{word}{style:#}: {}", evidence(repair)).expect("a string takes all");
            out.push_str(&coloured(&broken.diff(path, &repair.verified.candidate().text)));
        }
    }
    out.push('\n');
    out
}

/// How far a repair may be trusted, in a few words.
pub fn evidence(repair: &Ranked) -> String {
    let review = match repair.applicability {
        Applicability::Safe => "safe",
        Applicability::NeedsReview => "needs review",
    };
    let evidence = printable(&repair.verified.evidence().to_string());
    match repair.confidence {
        Some(confidence) => format!("{review} ({evidence}, {:.0} % sure)", percent(confidence)),
        None => format!("{review} ({evidence})"),
    }
}

/// The faults with their lines, as compilers print them.
fn excerpt(path: &str, broken: &Broken) -> String {
    if let Some(failing) = &broken.failing {
        let group = Level::ERROR.primary_title(format!("`{path}` parses, and its tests fail"));
        let group = group.element(Level::NOTE.message(printable(failing)));
        return Renderer::styled().render(&[group]);
    }
    let text = &broken.before;
    let annotations = broken.faults.iter().take(SHOWN_FAULTS).map(|fault| {
        let line_end = text[fault.span.start..].find('\n').map_or(text.len(), |at| fault.span.start + at);
        let end = fault.span.end.clamp(fault.span.start, line_end);
        AnnotationKind::Primary.span(fault.span.start..end).label(printable(&fault.message))
    });
    let snippet = Snippet::source(text).path(path).annotations(annotations);
    let mut group = Level::ERROR.primary_title(format!("`{path}` does not parse")).element(snippet);
    let n_more = broken.faults.len().saturating_sub(SHOWN_FAULTS);
    if n_more > 0 {
        group =
            group.element(Level::NOTE.message(format!("and {} not shown", counted(n_more, "more fault"))));
    }
    Renderer::styled().render(&[group])
}

/// Longer lines are cut for people.
const WIDEST: usize = 1000;

/// A line of a file without what could steer a terminal.
fn shown_line(line: &str) -> String {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let seen = |c: char| if c.is_control() && c != '\t' { '\u{fffd}' } else { c };
    let cut = if line.chars().nth(WIDEST).is_some() { "\u{2026}" } else { "" };
    line.chars().take(WIDEST).map(seen).chain(cut.chars()).collect()
}

/// A diff with colours for people.
pub fn coloured(diff: &str) -> String {
    let mut out = String::with_capacity(diff.len() * 2);
    for line in diff.split_inclusive('\n') {
        let style = match line.as_bytes().first() {
            _ if line.starts_with("---") || line.starts_with("+++") => Style::new().bold(),
            Some(b'+') => ADDED,
            Some(b'-') => REMOVED,
            Some(b'@') => HUNK,
            _ => Style::new(),
        };
        let text = shown_line(line.trim_end_matches('\n'));
        writeln!(out, "{style}{text}{style:#}").expect("a string takes all");
    }
    out
}

/// Text from outside without what could steer a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn json_line(report: &FileReport) -> String {
    let path = &report.path;
    let value = match &report.outcome {
        Outcome::Skipped(reason) => json!({ "kind": "skipped", "path": path, "reason": reason }),
        Outcome::Failed(reason) => json!({ "kind": "failed", "path": path, "reason": reason }),
        Outcome::Broken(broken) => json_broken(path, broken),
    };
    format!("{value}\n")
}

fn json_broken(path: &str, broken: &Broken) -> Value {
    let faults: Vec<Value> = broken
        .faults
        .iter()
        .map(|fault| {
            let (start, end) = places(&broken.before, &fault.span);
            json!({
                "line": start.line, "column": start.column, "end_line": end.line, "end_column": end.column,
                "message": fault.message,
            })
        })
        .collect();
    let mut value = json!({ "kind": broken.kind(), "path": path, "lang": broken.language, "faults": faults });
    if let Some(failing) = &broken.failing {
        value["tests"] = json!(failing);
    }
    if let Some(cell) = &broken.cell {
        value["cell"] = json!(cell);
        value["before"] = json!(broken.before);
        if let Some(line) = broken.cell_line {
            value["cell_line"] = json!(line);
        }
    }
    match &broken.answer {
        Answer::NotAsked => {}
        Answer::Nothing(reason) => value["reason"] = json!(reason),
        Answer::Suggested(repair) | Answer::Written(repair) => {
            let after = &repair.verified.candidate().text;
            let edits: Vec<Value> = line_edits(&broken.before, after)
                .iter()
                .map(|edit| json!({ "line": edit.first, "n_lines": edit.n_lines, "text": edit.replacement }))
                .collect();
            value["suggestion"] = json!({
                "applicability": repair.applicability.name(),
                "confidence": repair.confidence,
                "score": repair.verified.candidate().score,
                "evidence": repair.verified.evidence().name(),
                "written": broken.is_written(),
                "edits": edits,
                "diff": broken.diff_of_bytes(path, after),
            });
            if broken.cell.is_some() {
                value["suggestion"]["after"] = json!(after);
            }
            let evidence = repair.verified.evidence();
            if let Some(tests) = evidence.tests() {
                let smells: Vec<String> = evidence.smells().iter().map(ToString::to_string).collect();
                value["suggestion"]["tests"] =
                    json!({ "verdict": tests.name(), "text": tests.to_string(), "smells": smells });
            }
        }
    }
    value
}

fn places(text: &str, span: &Range<usize>) -> (Place, Place) {
    (place(text, span.start), place(text, span.end))
}

/// Workflow commands that GitHub turns into annotations.
fn github(report: &FileReport) -> String {
    let command = |level: &str, line: Option<usize>, place: Option<(Place, Place)>, message: &str| {
        let mut properties = format!("file={}", escape_property(&report.path));
        if let Some(line) = line {
            write!(properties, ",line={line}").expect("a string takes all");
        }
        if let Some((start, end)) = place {
            write!(properties, ",line={},endLine={},col={}", start.line, end.line, start.column)
                .expect("a string takes all");
            if start.line == end.line {
                write!(properties, ",endColumn={}", end.column).expect("a string takes all");
            }
        }
        format!("::{level} {properties},title=lastmile::{}\n", escape_data(message))
    };
    match &report.outcome {
        Outcome::Skipped(reason) => command("warning", None, None, &format!("left alone: {reason}")),
        Outcome::Failed(reason) => command("error", None, None, reason),
        Outcome::Broken(broken) => {
            let word = if broken.is_written() { "repaired" } else { "suggestion" };
            let repair = broken.repair().map(|repair| {
                let diff = broken.diff(&report.path, &repair.verified.candidate().text);
                format!("\n\n{word}: {}\n{diff}", evidence(repair))
            });
            let repair = repair.unwrap_or_default();
            let mut out = String::new();
            if let Some(failing) = &broken.failing {
                let message = format!("its tests fail: {failing}{repair}");
                out.push_str(&command("error", Some(broken.first_line()), None, &message));
            }
            for (idx, fault) in broken.faults.iter().enumerate() {
                let cell = broken.cell.as_deref().map(|cell| format!("{cell} ")).unwrap_or_default();
                let mut message = format!("{cell}does not parse: {}", fault.message);
                if idx == 0 {
                    message.push_str(&repair);
                }
                // Lines of a workbook mean nothing.
                let place = broken.cell.is_none().then(|| places(&broken.before, &fault.span));
                out.push_str(&command("error", broken.cell_line, place, &message));
            }
            out
        }
    }
}

fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// All reports as one SARIF 2.1.0 document.
pub fn sarif(reports: &[FileReport], version: &str) -> String {
    let mut results = Vec::new();
    let mut notifications = Vec::new();
    for report in reports {
        let uri = uri(&report.path);
        match &report.outcome {
            Outcome::Broken(broken) => results.extend(sarif_results(&uri, broken)),
            Outcome::Skipped(reason) => notifications.push(notification("warning", &uri, reason)),
            Outcome::Failed(reason) => notifications.push(notification("error", &uri, reason)),
        }
    }
    let has_failed = reports.iter().any(|report| matches!(report.outcome, Outcome::Failed(_)));
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "lastmile",
                "version": version,
                "informationUri": "https://github.com/lastmile-repair/lastmile",
                "rules": [{
                    "id": "does-not-parse",
                    "shortDescription": { "text": "The file does not parse" },
                    "defaultConfiguration": { "level": "error" },
                }, {
                    "id": "tests-fail",
                    "shortDescription": { "text": "The file parses, and its tests fail" },
                    "defaultConfiguration": { "level": "error" },
                }],
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{ "executionSuccessful": !has_failed, "toolExecutionNotifications": notifications }],
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

fn notification(level: &str, uri: &str, reason: &str) -> Value {
    json!({
        "level": level,
        "message": { "text": reason },
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri } } }],
    })
}

fn sarif_results(uri: &str, broken: &Broken) -> Vec<Value> {
    let mut results: Vec<Value> = broken
        .faults
        .iter()
        .map(|fault| {
            let mut location = json!({ "physicalLocation": { "artifactLocation": { "uri": uri } } });
            if let Some(cell) = &broken.cell {
                location["logicalLocations"] = json!([{ "fullyQualifiedName": cell }]);
                if let Some(line) = broken.cell_line {
                    location["physicalLocation"]["region"] = json!({ "startLine": line });
                }
            } else {
                let (start, end) = places(&broken.before, &fault.span);
                location["physicalLocation"]["region"] = json!({
                    "startLine": start.line, "startColumn": start.column,
                    "endLine": end.line, "endColumn": end.column,
                });
            }
            json!({
                "ruleId": "does-not-parse",
                "ruleIndex": 0,
                "level": "error",
                "message": { "text": fault.message },
                "locations": [location],
            })
        })
        .collect();
    if let Some(failing) = &broken.failing {
        let region = json!({ "startLine": broken.first_line() });
        results.push(json!({
            "ruleId": "tests-fail",
            "ruleIndex": 1,
            "level": "error",
            "message": { "text": failing },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri }, "region": region } }],
        }));
    }
    let repair = broken.repair().filter(|_| broken.cell.is_none());
    if let (Some(result), Some(repair), Some(after)) = (results.first_mut(), repair, broken.after()) {
        let edits = line_edits(&broken.before, after);
        let replacements: Vec<Value> = edits.iter().map(|edit| replacement(edit, &broken.before)).collect();
        result["fixes"] = json!([{
            "description": { "text": format!("lastmile: {}", evidence(repair)) },
            "artifactChanges": [{ "artifactLocation": { "uri": uri }, "replacements": replacements }],
        }]);
    }
    results
}

fn replacement(edit: &LineEdit, before: &str) -> Value {
    // Where the line after it starts, or where the text ends.
    let n_before = edit.first - 1 + edit.n_lines;
    let end = place(before, before.split_inclusive('\n').take(n_before).map(str::len).sum());
    json!({
        "deletedRegion": {
            "startLine": edit.first, "startColumn": 1,
            "endLine": end.line, "endColumn": end.column,
        },
        "insertedContent": { "text": edit.replacement },
    })
}

/// What is escaped in a part of a URI: all but unreserved characters (RFC 3986).
pub(crate) const URI: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A relative path as a URI reference.
fn uri(path: &str) -> String {
    const ESCAPED: &AsciiSet = &URI.remove(b'/');
    let uri = utf8_percent_encode(path, ESCAPED);
    if path.starts_with('/') { format!("file://{uri}") } else { uri.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_region(before: &str, after: &str, expected: (usize, usize, usize)) {
        let edits = line_edits(before, after);
        let value = replacement(&edits[0], before);
        let number = |name: &str| value["deletedRegion"][name].as_u64().and_then(|n| usize::try_from(n).ok());
        let found = (number("startLine"), number("endLine"), number("endColumn"));
        assert_eq!(found, (Some(expected.0), Some(expected.1), Some(expected.2)), "{value}");
    }

    #[test]
    fn regions_of_sarif_end_inside_of_the_text() {
        check_region("a\nf(\nb\n", "a\nf()\nb\n", (2, 3, 1));
        check_region("a\nf(\n", "a\nf()\n", (2, 3, 1));
        check_region("a\né(", "a\né()", (2, 2, 3));
        check_region("a\n", "b\na\n", (1, 1, 1));
    }
}
