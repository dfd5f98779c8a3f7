//! `lastmile check`: what does not parse, and where. Starts no engine.

use std::collections::HashSet;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use clap::Args;
use rayon::prelude::*;

use super::progress::Progress;
use super::session::{Session, note, print, print_bytes, variable, warn};
use super::stdin::Stdin;
use super::{ExitStatus, FormatArg};
use crate::change::{Skip, SourceFile};
use crate::config::{Files, Format};
use crate::diagnose::{Diagnosis, diagnose};
use crate::io::files::{self, FileError, Found};
use crate::io::git::Change;
use crate::lang::{self, Fault, STACK};
use crate::report::{Answer, Broken, FileReport, Outcome, Totals, sarif, show};

#[derive(Args)]
pub(super) struct CheckArgs {
    /// Files and folders, or `-` for a text from stdin; this folder when none is named. What is hidden or matches
    /// a .gitignore inside a folder is passed over, tracked by git or not
    #[arg(value_name = "PATHS")]
    pub(super) paths: Vec<PathBuf>,

    /// The file that a text from stdin stands for: tells its language, its project and its name
    #[arg(long, value_name = "PATH")]
    pub(super) stdin_filename: Option<PathBuf>,

    /// How to show what was found
    #[arg(long, value_enum)]
    pub(super) format: Option<FormatArg>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  lastmile check                                       files below this folder
  lastmile check src setup.py                          only these
  lastmile check --format github                       annotations in a workflow
  lastmile check - --stdin-filename src/a.py <buffer   a text that is not saved yet";

/// A file that was looked at and is not healthy.
pub(super) enum Finding {
    Broken(SourceFile, Diagnosis),
    Skipped(PathBuf, Skip),
    Failed(PathBuf, FileError),
}

/// All that was looked at below some paths.
pub(super) struct Survey {
    pub(super) n_checked: usize,
    /// In the order of their paths.
    pub(super) findings: Vec<Finding>,
}

pub(super) fn check(args: &CheckArgs, session: &Session) -> Result<ExitStatus> {
    let format = args.format.map_or(session.config.output.format, Format::from);
    let survey = survey(&args.paths, Stdin::read(args)?.as_ref(), session)?;
    let mut telling = Telling::new(format, survey.n_checked);
    for finding in survey.findings {
        let report = match finding {
            Finding::Broken(file, diagnosis) => broken(file, diagnosis.into(), Answer::NotAsked),
            Finding::Skipped(path, skip) => skipped(&path, &skip),
            Finding::Failed(path, error) => failed(&path, &error.to_string()),
        };
        telling.tell(report)?;
    }
    telling.finish()
}

/// Looks at the text from stdin or, in parallel, at every file below `paths`.
pub(super) fn survey(paths: &[PathBuf], stdin: Option<&Stdin>, session: &Session) -> Result<Survey> {
    let mut survey = match stdin {
        Some(stdin) => stdin.survey(session)?,
        None => survey_files(paths, session)?,
    };
    survey.findings.retain(|finding| !matches!(finding, Finding::Broken(file, _) if session.is_fine(file)));
    Ok(survey)
}

fn survey_files(paths: &[PathBuf], session: &Session) -> Result<Survey> {
    let roots = if paths.is_empty() { &[PathBuf::from(".")] } else { paths };
    let excludes = files::excludes(&session.root(), &session.config.files.exclude)?;
    let limits = &session.config.files;
    let found = Mutex::new(Vec::new());
    let progress = Progress::open("files found");
    files::walk(roots, &excludes, &|one| {
        found.lock().expect("no holder panics").push(one);
        progress.advance();
    });
    drop(progress);
    let mut found = found.into_inner().expect("no holder panics");
    found.sort_by(|x, y| x.path().cmp(y.path()));
    if roots.len() > 1 {
        let mut seen = HashSet::new();
        found.retain(|one| seen.insert(files::real(one.path())));
    }
    let n_checked = AtomicUsize::new(0);
    let judges = rayon::ThreadPoolBuilder::new().stack_size(STACK).build()?;
    let progress = Progress::up_to(found.len(), "checking");
    let findings = judges.install(|| {
        let looks = found.into_par_iter().flat_map_iter(|found| {
            let findings = match found {
                Found::Failed(path, error) => vec![Finding::Failed(path, error)],
                Found::File { path, is_named } => look(path, is_named, limits, &n_checked),
            };
            progress.advance();
            findings
        });
        looks.collect()
    });
    Ok(Survey { n_checked: n_checked.into_inner(), findings })
}

/// Reads and judges one file, or every formula of a workbook. Nothing when it is fine or none of ours.
fn look(path: PathBuf, is_named: bool, limits: &Files, n_checked: &AtomicUsize) -> Vec<Finding> {
    if !is_named && !may_be_ours(&path) {
        return Vec::new();
    }
    let bytes = match files::read(&path, limits.limit(&path)) {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(skip)) => return vec![Finding::Skipped(path, skip)],
        Err(error) => return vec![Finding::Failed(path, error)],
    };
    match SourceFile::decode_all(path.clone(), bytes) {
        Err(Skip::UnknownLanguage) if !is_named => Vec::new(),
        Err(skip) => vec![Finding::Skipped(path, skip)],
        Ok(texts) => {
            n_checked.fetch_add(1, Ordering::Relaxed);
            let judged = texts.into_iter().map(|text| (diagnose(&text.text, text.language), text));
            judged
                .filter(|(diagnosis, _)| !diagnosis.faults.is_empty())
                .map(|(diagnosis, text)| Finding::Broken(text, diagnosis))
                .collect()
        }
    }
}

/// Whether it is worth reading: most files tell by their names.
fn may_be_ours(path: &Path) -> bool {
    lang::of_file(path, b"").is_some()
        || (path.extension().is_none() && lang::of_file(path, &files::head(path)).is_some())
}

/// A path as reports show it.
pub(super) fn shown_path(path: &Path) -> String {
    let path = path.strip_prefix("./").unwrap_or(path).to_string_lossy();
    if cfg!(windows) { path.replace('\\', "/") } else { path.into_owned() }
}

/// What is wrong with a file.
pub(super) struct Cause {
    pub(super) faults: Vec<Fault>,
    /// What its tests say, where it parses.
    pub(super) failing: Option<String>,
}

impl From<Diagnosis> for Cause {
    fn from(diagnosis: Diagnosis) -> Self {
        Self { faults: diagnosis.faults, failing: None }
    }
}

pub(super) fn broken(file: SourceFile, cause: Cause, answer: Answer) -> FileReport {
    let path = shown_path(&file.path);
    let encoding = file.encoding();
    let broken = Broken {
        language: file.language.name(),
        cell_line: file.cell.as_ref().and_then(|cell| cell.line),
        cell: file.cell.map(|cell| cell.name),
        before: file.text,
        encoding,
        faults: cause.faults,
        failing: cause.failing,
        answer,
    };
    FileReport { path, outcome: Outcome::Broken(broken) }
}

pub(super) fn skipped(path: &Path, skip: &Skip) -> FileReport {
    FileReport { path: shown_path(path), outcome: Outcome::Skipped(skip.to_string()) }
}

pub(super) fn failed(path: &Path, reason: &str) -> FileReport {
    FileReport { path: shown_path(path), outcome: Outcome::Failed(reason.to_owned()) }
}

/// A path as `git apply` and `patch -p1` find it from here; or why they cannot.
fn place_in_diff(path: &str) -> Result<String, &'static str> {
    if path.contains(char::REPLACEMENT_CHARACTER) {
        return Err("its name is not UTF-8; `--write` repairs it");
    }
    let inside = env::current_dir().ok().and_then(|here| files::inside(&here, Path::new(path)));
    Ok(shown_path(&inside.ok_or("it lies outside of this folder; run lastmile in one that holds it")?))
}

/// A path as GitHub knows it: a step of a workflow may run in any folder of the checkout.
fn place_in_checkout(path: String) -> String {
    let checkout = variable("GITHUB_WORKSPACE");
    let inside =
        checkout.and_then(|checkout| files::inside(&files::real(Path::new(&checkout)), Path::new(&path)));
    inside.map_or(path, |inside| shown_path(&inside))
}

/// The diff of a file as its bytes stand on the disk, so that it applies.
fn print_diff(path: &str, broken: &Broken, after: &str) -> Result<()> {
    if let Some(cell) = &broken.cell {
        warn(&format!("`{path}` is repaired by cell, so that the repair of {cell} has no diff"));
        return Ok(());
    }
    let bytes = |text: &str| Ok::<_, Skip>(broken.encoding.encode(text)?.into_owned());
    if broken.encoding.is_utf16() {
        // To git these are bytes, with the ends of its lines in the middle of characters.
        let change = Change { path: path.into(), before: bytes(&broken.before)?, after: bytes(after)? };
        return print_bytes(&change.to_patch()?);
    }
    let diff = broken.diff_of_bytes(path, after);
    let (header, body) = diff.split_at(diff.find("\n@@").map_or(0, |at| at + 1));
    match bytes(body) {
        Ok(body) => print_bytes(&[header.as_bytes(), &body].concat()),
        Err(skip) => {
            warn(&format!("`{path}` has no diff: {skip}"));
            Ok(())
        }
    }
}

/// Tells about files as they come and sums up.
pub(super) struct Telling {
    format: Format,
    totals: Totals,
    /// The workbook that was told about last.
    last_book: Option<String>,
    /// Kept only for SARIF, which is one document.
    kept: Vec<FileReport>,
}

impl Telling {
    pub(super) fn new(format: Format, n_checked: usize) -> Self {
        Self { format, totals: Totals { n_checked, ..Totals::default() }, last_book: None, kept: Vec::new() }
    }

    fn count(&mut self, report: &FileReport) {
        let is_cell = matches!(&report.outcome, Outcome::Broken(broken) if broken.cell.is_some());
        let is_same_file = is_cell && self.last_book.as_ref() == Some(&report.path);
        if is_cell && !is_same_file {
            self.last_book = Some(report.path.clone());
        }
        self.totals.count(report, is_same_file);
    }

    /// Tells about one that is kept elsewhere: see [`Telling::finish_with`].
    pub(super) fn tell_of(&mut self, report: &FileReport) -> Result<()> {
        self.count(report);
        let shown = show(report, self.format);
        note(&shown.stderr);
        print(&shown.stdout)
    }

    pub(super) fn tell(&mut self, mut report: FileReport) -> Result<()> {
        if matches!(self.format, Format::Github | Format::Sarif) {
            report.path = place_in_checkout(report.path);
        }
        self.tell_of(&report)?;
        if self.format == Format::Sarif {
            self.kept.push(report);
        }
        Ok(())
    }

    /// Tells on stderr, where stdout is for something else.
    pub(super) fn tell_aside(&mut self, report: &FileReport) {
        self.count(report);
        let shown = show(report, Format::Human);
        note(&shown.stdout);
        note(&shown.stderr);
    }

    /// Prints only the diff; the rest goes to stderr.
    pub(super) fn tell_diff(&mut self, report: &FileReport) -> Result<()> {
        self.count(report);
        if let Outcome::Broken(broken) = &report.outcome {
            if let Some(after) = broken.after() {
                match place_in_diff(&report.path) {
                    Ok(path) => return print_diff(&path, broken, after),
                    Err(why) => warn(&format!("the repair of `{}` is not in the diff: {why}", report.path)),
                }
                return Ok(());
            }
            let what = if broken.failing.is_some() { "fails its tests" } else { "does not parse" };
            warn(&format!("`{}` {what}, and there is no suggestion", report.path));
            return Ok(());
        }
        note(&show(report, Format::Human).stderr);
        Ok(())
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// Prints what comes last and gives the exit status.
    pub(super) fn finish(mut self) -> Result<ExitStatus> {
        let kept = std::mem::take(&mut self.kept);
        self.finish_with(&kept)
    }

    /// The same, of reports that were kept elsewhere.
    pub(super) fn finish_with(self, reports: &[FileReport]) -> Result<ExitStatus> {
        match self.format {
            Format::Sarif => print(&sarif(reports, env!("CARGO_PKG_VERSION")))?,
            Format::Human => note(&format!("{}\n", self.totals.summary())),
            Format::Json | Format::Github => {}
        }
        Ok(match self.totals {
            totals if totals.n_failed > 0 => ExitStatus::Failed,
            totals if totals.n_broken + totals.n_failing > totals.n_written => ExitStatus::FaultsRemain,
            _ => ExitStatus::Clean,
        })
    }
}
