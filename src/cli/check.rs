//! `lastmile check`: what does not parse, and where. Starts no engine.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use clap::Args;
use rayon::prelude::*;

use super::progress::Progress;
use super::session::{Session, note, print, print_bytes, warn};
use super::stdin::Stdin;
use super::{ExitStatus, FormatArg};
use crate::change::{Skip, SourceFile};
use crate::config::Format;
use crate::diagnose::{Diagnosis, STACK, diagnose};
use crate::io::files::{self, FileError, Found};
use crate::lang;
use crate::patch::unified_diff;
use crate::report::{Answer, Broken, FileReport, Outcome, Totals, sarif, show};

#[derive(Args)]
pub(super) struct CheckArgs {
    /// Files and folders, or `-` for a text from stdin; this folder when none is named
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
  lastmile check                                       all files below this folder
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
            Finding::Broken(file, diagnosis) => broken(file, diagnosis, Answer::NotAsked),
            Finding::Skipped(path, skip) => skipped(&path, &skip),
            Finding::Failed(path, error) => failed(&path, &error.to_string()),
        };
        telling.tell(report)?;
    }
    telling.finish()
}

/// Looks at the text from stdin or, in parallel, at every file below `paths`.
pub(super) fn survey(paths: &[PathBuf], stdin: Option<&Stdin>, session: &Session) -> Result<Survey> {
    if let Some(stdin) = stdin {
        return stdin.survey(session);
    }
    let roots = if paths.is_empty() { &[PathBuf::from(".")] } else { paths };
    let excludes = files::excludes(&session.root(), &session.config.files.exclude)?;
    let max_kib = session.config.files.max_kib;
    let found = Mutex::new(Vec::new());
    let progress = Progress::open("files found");
    files::walk(roots, &excludes, &|one| {
        found.lock().expect("no holder panics").push(one);
        progress.advance();
    });
    drop(progress);
    let mut found = found.into_inner().expect("no holder panics");
    found.sort_by(|x, y| x.path().cmp(y.path()));
    found.dedup_by(|x, y| x.path() == y.path());
    let n_checked = AtomicUsize::new(0);
    let judges = rayon::ThreadPoolBuilder::new().stack_size(STACK).build()?;
    let progress = Progress::up_to(found.len(), "checking");
    let findings = judges.install(|| {
        let looks = found.into_par_iter().filter_map(|found| {
            let finding = match found {
                Found::Failed(path, error) => Some(Finding::Failed(path, error)),
                Found::File { path, is_named } => look(path, is_named, max_kib, &n_checked),
            };
            progress.advance();
            finding
        });
        looks.collect()
    });
    Ok(Survey { n_checked: n_checked.into_inner(), findings })
}

/// Reads and judges one file. `None` when it is fine or none of ours.
fn look(path: PathBuf, is_named: bool, max_kib: u64, n_checked: &AtomicUsize) -> Option<Finding> {
    if !is_named && !may_be_ours(&path) {
        return None;
    }
    let bytes = match files::read(&path, max_kib) {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(skip)) => return Some(Finding::Skipped(path, skip)),
        Err(error) => return Some(Finding::Failed(path, error)),
    };
    match SourceFile::decode(path.clone(), bytes) {
        Err(Skip::UnknownLanguage) if !is_named => None,
        Err(skip) => Some(Finding::Skipped(path, skip)),
        Ok(file) => {
            n_checked.fetch_add(1, Ordering::Relaxed);
            let diagnosis = diagnose(&file.text, file.language);
            (!diagnosis.faults.is_empty()).then_some(Finding::Broken(file, diagnosis))
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

pub(super) fn broken(file: SourceFile, diagnosis: Diagnosis, answer: Answer) -> FileReport {
    let path = shown_path(&file.path);
    let encoding = file.encoding();
    let broken = Broken {
        language: file.language.name(),
        before: file.text,
        encoding,
        faults: diagnosis.faults,
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

/// The diff of a file as its bytes stand on the disk, so that it applies.
fn print_diff(path: &str, broken: &Broken, after: &str) -> Result<()> {
    let encoding = broken.encoding;
    let diff = unified_diff(path, &encoding.with_mark(&broken.before), &encoding.with_mark(after));
    let (header, body) = diff.split_at(diff.find("\n@@").map_or(0, |at| at + 1));
    match encoding.encode(body) {
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
    /// Kept only for SARIF, which is one document.
    kept: Vec<FileReport>,
}

impl Telling {
    pub(super) fn new(format: Format, n_checked: usize) -> Self {
        Self { format, totals: Totals { n_checked, ..Totals::default() }, kept: Vec::new() }
    }

    pub(super) fn tell(&mut self, report: FileReport) -> Result<()> {
        self.totals.count(&report);
        let shown = show(&report, self.format);
        note(&shown.stderr);
        print(&shown.stdout)?;
        if self.format == Format::Sarif {
            self.kept.push(report);
        }
        Ok(())
    }

    /// Tells on stderr, where stdout is for something else.
    pub(super) fn tell_aside(&mut self, report: &FileReport) {
        self.totals.count(report);
        let shown = show(report, Format::Human);
        note(&shown.stdout);
        note(&shown.stderr);
    }

    /// Prints only the diff; the rest goes to stderr.
    pub(super) fn tell_diff(&mut self, report: &FileReport) -> Result<()> {
        self.totals.count(report);
        let path = report.path.trim_start_matches('/');
        if let Outcome::Broken(broken) = &report.outcome {
            if let Some(after) = broken.after() {
                return print_diff(path, broken, after);
            }
            warn(&format!("`{}` does not parse, and there is no suggestion", report.path));
            return Ok(());
        }
        note(&show(report, Format::Human).stderr);
        Ok(())
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// Prints what comes last and gives the exit status.
    pub(super) fn finish(self) -> Result<ExitStatus> {
        match self.format {
            Format::Sarif => print(&sarif(&self.kept, env!("CARGO_PKG_VERSION")))?,
            Format::Human => note(&format!("{}\n", self.totals.summary())),
            Format::Json | Format::Github => {}
        }
        Ok(match self.totals {
            totals if totals.n_failed > 0 => ExitStatus::Failed,
            totals if totals.n_broken > totals.n_written => ExitStatus::FaultsRemain,
            _ => ExitStatus::Clean,
        })
    }
}
