//! `lastmile fix`: files in, suggestions, one diff, or repaired files out; or a text in and a text out.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use super::ExitStatus;
use super::apply::shell_word;
use super::check::{Cause, CheckArgs, Finding, Telling, broken, failed, shown_path, skipped, survey};
use super::progress::Progress;
use super::session::{
    Session, TestFlags, complain_of_engine, hint, is_stopped, is_unread, print_bytes, stop_at_leisure, warn,
};
use super::stdin::{self, Stdin};
use super::trying::{Patient, Proposed, State, all_repairs, find_patients, guarded, try_all};
use crate::change::{Limit, Skip, SourceFile};
use crate::config::Format;
use crate::io::files::{self, FileError};
use crate::io::git::Repo;
use crate::io::sandbox::Guarded;
use crate::pipeline::repair;
use crate::ports::EngineError;
use crate::rank::{Applicability, Ranked};
use crate::report::{Answer, FileReport, Outcome};
use crate::tested::TestedError;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct FixArgs {
    #[command(flatten)]
    check: CheckArgs,

    /// Write repairs that are safe into the files
    #[arg(long)]
    write: bool,

    /// With `--write`, leave the files alone and write copies beside them, as in `book.repaired.xlsx`
    #[arg(long, requires = "write")]
    aside: bool,

    /// Print all repairs as one diff, for `git apply`
    #[arg(long, conflicts_with_all = ["write", "format"])]
    diff: bool,

    /// With `--write` or a text from stdin, take repairs that need review too
    #[arg(long = "unsafe")]
    is_unsafe: bool,

    /// Choose repairs by the tests of the project, and look for the slip in changed files that parse and fail them
    #[arg(long, help_heading = "Tests")]
    tests: bool,

    #[command(flatten)]
    how: TestFlags,
}

const EXAMPLES: &str = "\
Examples:
  lastmile fix                         show a repair for each file that does not parse
  lastmile fix --diff | git apply      apply all of them
  lastmile fix --write src/parse.py    write it when it is safe
  lastmile fix --write --unsafe        write what needs review too, then look at `git diff`
  lastmile fix --tests                 let the tests choose, and mend what parses and fails them
  lastmile fix --write --aside book.xlsx   write book.repaired.xlsx, to be compared with book.xlsx
  lastmile fix - <broken.py            print the text, repaired when that is safe
  lastmile fix - --diff --stdin-filename src/a.py <buffer

A text from stdin is printed as it came where nothing can be repaired; what was found goes to stderr, or with
`--format` to stdout in place of the text.
With `--tests`, tests run in fresh copies of the project, in a sandbox. Changed are files that are not as in the last
commit; without git, those that are named. What makes tests pass again but parsed before always needs review.
A link that is named is followed to its file; links inside folders are not.";

/// What becomes of repairs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outlet {
    /// They are shown.
    Report,
    /// They are one diff on stdout.
    Diff,
    /// Those that are safe enough are written into their files.
    Files,
    /// Those that are safe enough are written into copies beside their files.
    Copies,
    /// One that is safe enough takes the place of the text from stdin on its way to stdout.
    Stdout,
}

impl FixArgs {
    fn outlet(&self) -> Result<Outlet> {
        let outlet = match stdin::is_named(&self.check) {
            true if self.write => bail!("a text from stdin has no file: `--write` does not go with `-`"),
            _ if self.diff => Outlet::Diff,
            true if self.check.format.is_none() => Outlet::Stdout,
            false if self.aside => Outlet::Copies,
            false if self.write => Outlet::Files,
            _ => Outlet::Report,
        };
        if self.tests && stdin::is_named(&self.check) {
            bail!("a text from stdin has no project: `--tests` does not go with `-`");
        }
        if self.is_unsafe && !matches!(outlet, Outlet::Files | Outlet::Copies | Outlet::Stdout) {
            bail!("`--unsafe` goes with `--write`, or with `-` where the text is printed");
        }
        Ok(outlet)
    }
}

pub(super) fn fix(args: &FixArgs, session: &mut Session) -> Result<ExitStatus> {
    let outlet = args.outlet()?;
    let format = match outlet {
        Outlet::Report | Outlet::Files | Outlet::Copies => {
            args.check.format.map_or(session.config.output.format, Format::from)
        }
        Outlet::Diff | Outlet::Stdout => Format::Human,
    };
    let stdin = Stdin::read(&args.check)?;
    let is_stdin = stdin.is_some();
    let survey = survey(&args.check.paths, stdin.as_ref(), session)?;
    let mut telling = Telling::new(format, survey.n_checked);
    let mut printed = stdin.map_or_else(Vec::new, |stdin| stdin.bytes);
    let mut fixer = Fixer { outlet, is_unsafe: args.is_unsafe, ..Fixer::reporting(session) };
    if args.tests {
        args.how.apply(&mut fixer.session.config);
        stop_at_leisure();
        for report in fixer.fix_by_tests(survey.findings, &args.check.paths)? {
            tell(report, outlet, &mut telling, &mut printed)?;
        }
    } else {
        let progress = Progress::up_to(survey.findings.len(), "repairing");
        for finding in survey.findings {
            for report in fixer.fix(finding) {
                tell(report, outlet, &mut telling, &mut printed)?;
            }
            progress.advance();
        }
    }
    if outlet == Outlet::Stdout {
        print_bytes(&printed)?;
    }
    if let Some(error) = &fixer.engine_error {
        complain_of_engine(error);
    }
    let totals = telling.totals();
    for copy in &fixer.copies {
        hint(&format!("the repaired copy is `{}`", shown_path(copy)));
    }
    match outlet {
        Outlet::Files | Outlet::Copies | Outlet::Stdout
            if format == Format::Human && totals.n_unsure > 0 && !args.is_unsafe =>
        {
            hint("what needs review was not written; `--unsafe` writes it too");
        }
        Outlet::Report if format == Format::Human && totals.n_suggested > 0 && !is_stdin => {
            let files: String =
                args.check.paths.iter().flat_map(|path| [" ".to_owned(), shell_word(path)]).collect();
            let fix = if args.tests { "lastmile fix --tests" } else { "lastmile fix" };
            hint(&if totals.n_suggested == totals.n_unsure {
                format!("`{fix} --write --unsafe{files}` writes it")
            } else if totals.n_suggested == totals.n_in_cells {
                format!("`{fix} --write{files}` writes what is safe")
            } else {
                let all = if totals.n_in_cells > 0 { "all but cells" } else { "all of it" };
                format!("`{fix} --write{files}` writes what is safe, `{fix} --diff{files} | git apply` {all}")
            });
        }
        _ => {}
    }
    let status = telling.finish()?;
    Ok(if fixer.engine_error.is_some() { ExitStatus::Failed } else { status })
}

fn tell(report: FileReport, outlet: Outlet, telling: &mut Telling, printed: &mut Vec<u8>) -> Result<()> {
    match outlet {
        Outlet::Report | Outlet::Files | Outlet::Copies => telling.tell(report),
        Outlet::Diff => telling.tell_diff(&report),
        Outlet::Stdout => {
            telling.tell_aside(&report);
            if let Some(bytes) = written(&report) {
                *printed = bytes;
            }
            Ok(())
        }
    }
}

/// The bytes of a repair that was taken.
fn written(report: &FileReport) -> Option<Vec<u8>> {
    let Outcome::Broken(broken) = &report.outcome else { return None };
    let Answer::Written(best) = &broken.answer else { return None };
    let text = broken.encoding.with_mark(&best.verified.candidate().text);
    let bytes = broken.encoding.encode(&text).expect("it was taken since it can be encoded");
    Some(bytes.into_owned())
}

/// Puts a repair into its file, unless that changed since it was read.
fn write(file: &SourceFile, text: &str, limit: Limit) -> Result<Result<(), Skip>, FileError> {
    let disk = match &file.cell {
        Some(_) => files::read(&file.path, limit)?,
        None => file.encode(&file.text).map(Cow::into_owned),
    };
    match disk.and_then(|disk| Ok((file.replaced_in(&disk, text)?, disk))) {
        Ok((after, disk)) => files::replace(&file.path, &disk, &after),
        Err(skip) => Ok(Err(skip)),
    }
}

/// The copy of a file that is repaired in its place: `book.repaired.xlsx`.
fn copy_of(path: &Path) -> PathBuf {
    let mut extension = OsString::from("repaired");
    if let Some(own) = path.extension() {
        extension.push(".");
        extension.push(own);
    }
    path.with_extension(extension)
}

/// Repairs files one after the other.
pub(super) struct Fixer<'s> {
    outlet: Outlet,
    is_unsafe: bool,
    session: &'s mut Session,
    /// Copies that were made.
    copies: BTreeSet<PathBuf>,
    /// The last one.
    pub(super) engine_error: Option<EngineError>,
}

impl<'s> Fixer<'s> {
    /// Writes nothing.
    pub(super) fn reporting(session: &'s mut Session) -> Self {
        let (copies, engine_error) = (BTreeSet::new(), None);
        Self { outlet: Outlet::Report, is_unsafe: false, session, copies, engine_error }
    }
}

impl Fixer<'_> {
    /// What became of a file. A second report says why a repair could not be taken.
    pub(super) fn fix(&mut self, finding: Finding) -> Vec<FileReport> {
        match self.propose(finding, false) {
            Ok(proposed) => self.settle(proposed),
            Err(report) => vec![*report],
        }
    }

    /// The same for many files, and for changed ones below `paths` that parse, as the tests of their projects say.
    fn fix_by_tests(&mut self, findings: Vec<Finding>, paths: &[PathBuf]) -> Result<Vec<FileReport>> {
        let guarded = guarded(self.session)?;
        let (mut reports, proposed) = self.try_findings(findings, State::OnDisk, &guarded);
        let patients = match find_patients(paths, &proposed, &guarded, self.session) {
            Ok(patients) => patients,
            Err(TestedError::Engine(error)) => {
                self.engine_error = Some(error);
                Vec::new()
            }
            Err(TestedError::Tests(reason)) => {
                warn(&format!("the tests cannot be run: {reason}"));
                Vec::new()
            }
        };
        if is_stopped() && matches!(self.outlet, Outlet::Files | Outlet::Copies) {
            warn("nothing is written after Ctrl-C");
            self.outlet = Outlet::Report;
        }
        for one in proposed {
            reports.extend(self.settle(one));
        }
        for Patient { file, failing, repair, reason } in patients {
            let cause = Cause { faults: Vec::new(), failing: Some(failing) };
            reports.extend(self.answer(file, cause, repair, reason));
        }
        reports.sort_by(|x, y| x.path.cmp(&y.path));
        Ok(reports)
    }

    /// The same for files of a commit that do not parse, whose places on disk tell their project.
    pub(super) fn fix_in_commit(
        &mut self,
        findings: Vec<Finding>,
        (repo, commit): (&Repo, &str),
    ) -> Result<Vec<FileReport>> {
        if findings.is_empty() {
            return Ok(Vec::new());
        }
        let guarded = guarded(self.session)?;
        let state = State::InCommit(repo, commit);
        let (mut reports, proposed) = self.try_findings(findings, state, &guarded);
        for one in proposed {
            reports.extend(self.settle(one));
        }
        Ok(reports)
    }

    /// Repairs of files as their tests order them, and what became of files that have none.
    fn try_findings(
        &mut self,
        findings: Vec<Finding>,
        state: State<'_>,
        guarded: &Guarded,
    ) -> (Vec<FileReport>, Vec<Proposed>) {
        let (mut reports, mut proposed) = (Vec::new(), Vec::new());
        let progress = Progress::up_to(findings.len(), "repairing");
        for finding in findings {
            match self.propose(finding, true) {
                Ok(one) => proposed.push(one),
                Err(report) => reports.push(*report),
            }
            progress.advance();
        }
        drop(progress);
        try_all(&mut proposed, state, guarded, self.session);
        (reports, proposed)
    }

    /// Repairs of a file; more than are shown when its tests are to choose.
    fn propose(&mut self, finding: Finding, for_tests: bool) -> Result<Proposed, Box<FileReport>> {
        let (file, diagnosis) = match finding {
            Finding::Broken(file, diagnosis) => (file, diagnosis),
            Finding::Skipped(path, skip) => return Err(Box::new(skipped(&path, &skip))),
            Finding::Failed(path, error) => return Err(Box::new(failed(&path, &error.to_string()))),
        };
        if is_unread() && matches!(self.outlet, Outlet::Report | Outlet::Diff) {
            return Err(Box::new(broken(file, diagnosis.into(), Answer::NotAsked)));
        }
        let found = if for_tests {
            all_repairs(&file, self.session)
        } else {
            let (ask, engine) = self.session.ask_for(&file);
            repair(&file.text, &ask, engine)
        };
        match found {
            Ok(found) => {
                let reason = found.reason.unwrap_or_else(|| "nothing was found".to_owned());
                Ok(Proposed { file, diagnosis, repairs: found.suggestions, reason })
            }
            Err(error) => {
                self.engine_error = Some(error);
                let answer = Answer::Nothing("the engine gave no answer".to_owned());
                Err(Box::new(broken(file, diagnosis.into(), answer)))
            }
        }
    }

    fn settle(&mut self, proposed: Proposed) -> Vec<FileReport> {
        let Proposed { file, diagnosis, repairs, reason } = proposed;
        self.answer(file, diagnosis.into(), repairs.into_iter().next(), reason)
    }

    fn answer(
        &mut self,
        file: SourceFile,
        cause: Cause,
        best: Option<Ranked>,
        reason: String,
    ) -> Vec<FileReport> {
        let Some(best) = best else { return vec![broken(file, cause, Answer::Nothing(reason))] };
        let is_sure = self.is_unsafe || best.applicability == Applicability::Safe;
        match self.outlet {
            Outlet::Files | Outlet::Copies | Outlet::Stdout if is_sure => self.take(file, cause, best),
            _ => vec![broken(file, cause, Answer::Suggested(Box::new(best)))],
        }
    }

    /// Puts a repair into the copy of its file.
    fn write_aside(&mut self, file: &SourceFile, text: &str) -> Result<Result<(), Skip>, FileError> {
        let copy = copy_of(&file.path);
        let limit = self.session.config.files.limit(&file.path);
        let is_new = !self.copies.contains(&copy);
        let disk = match files::read(if is_new { &file.path } else { &copy }, limit)? {
            Ok(disk) => disk,
            Err(skip) => return Ok(Err(skip)),
        };
        let after = match file.replaced_in(&disk, text) {
            Ok(after) => after,
            Err(skip) => return Ok(Err(skip)),
        };
        if !is_new {
            return files::replace(&copy, &disk, &after);
        }
        files::create_like(&copy, &file.path, &after)?;
        self.copies.insert(copy);
        Ok(Ok(()))
    }

    fn take(&mut self, file: SourceFile, cause: Cause, best: Ranked) -> Vec<FileReport> {
        let path = file.path.clone();
        let best = Box::new(best);
        let text = &best.verified.candidate().text;
        let taken = match self.outlet {
            Outlet::Files => write(&file, text, self.session.config.files.limit(&path)),
            Outlet::Copies => self.write_aside(&file, text),
            _ => Ok(file.encode(text).map(|_| ())),
        };
        match taken {
            // The file itself is as broken as before.
            Ok(Ok(())) if self.outlet == Outlet::Copies => {
                vec![broken(file, cause, Answer::Suggested(best))]
            }
            Ok(Ok(())) => vec![broken(file, cause, Answer::Written(best))],
            Ok(Err(skip)) => vec![broken(file, cause, Answer::Suggested(best)), skipped(&path, &skip)],
            Err(error) => {
                vec![broken(file, cause, Answer::Suggested(best)), failed(&path, &error.to_string())]
            }
        }
    }
}
