//! `lastmile test`: the tests of a project without a repair, the lines under suspicion, candidates, and what the tests
//! say of each.

use std::fmt::Write as _;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::ExitStatus;
use super::check::shown_path;
use super::explain::read;
use super::progress::{Progress, aside};
use super::session::{Session, TestFlags, complain_of_engine, hint, note, print, stop_at_leisure};
use super::trying::{
    Suspects, all_repairs, changed_lines, guarded, mend_one, nothing_helps, on_disk, project, suspects,
    tried, try_one,
};
use crate::change::SourceFile;
use crate::diagnose::diagnose;
use crate::io::sandbox::Level;
use crate::io::trial::Trial;
use crate::patch::{line_edits, unified_diff};
use crate::report::{coloured, evidence, printable};
use crate::smell::Smell;
use crate::tested::{Tested, TestedError};
use crate::verdict::{Baseline, TestVerdict};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TestArgs {
    /// The file that is thought to be at fault
    file: PathBuf,

    /// Print only the diff of the best repair, for `git apply`
    #[arg(long)]
    diff: bool,

    /// Print one JSON object instead
    #[arg(long, conflicts_with = "diff")]
    json: bool,

    /// Say what the tests said of every candidate
    #[arg(long)]
    verbose: bool,

    #[command(flatten)]
    tests: TestFlags,
}

const EXAMPLES: &str = "\
Examples:
  lastmile test src/cart.py                     which edit of this file makes the failing tests pass
  lastmile test src/cart.py --diff | git apply  take it
  lastmile test src/cart.py --max-candidates 50 --time-limit 60
  lastmile test src/cart.py --require-sandbox   run nothing where only limits can be set

Tests run in fresh copies of the project, without a network and without your environment: `tests.command` in lastmile.toml
says how, or pytest, unittest, make test, nox, tox or Pester are found by convention. Tests are never changed, and a repair
that passes them still needs review. Ctrl-C while candidates are tried shows the best so far.

Exit codes: 0 the tests pass, 1 they fail, 2 lastmile itself failed.";

const HEAD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
/// How many suspect lines are named, the most suspect ones.
const SHOWN_SUSPECTS: usize = 12;

/// What there is to tell in the end.
struct Told<'t> {
    path: &'t str,
    level: Level,
    command: String,
    baseline: Baseline,
    suspects: Suspects,
    tested: Tested,
    before: &'t str,
}

pub(super) fn test(args: &TestArgs, session: &mut Session) -> Result<ExitStatus> {
    args.tests.apply(&mut session.config);
    let file = read(&args.file, session.config.files.limit(&args.file))?;
    let (root, path) = project(&args.file, session)?;
    let guarded = guarded(session)?;
    let level = guarded.sandbox.level();
    let source = on_disk(root);
    let Some(trial) = Trial::new(&source, Vec::new(), &session.config.tests, &guarded)? else {
        bail!("no tests were found in `{}`; name the command as `tests.command`", source.root.display());
    };
    if trial.suite().guards(&path) {
        bail!("`{path}` belongs to the tests, which are never changed; name the file that they test");
    }
    let progress = Progress::open("running the tests");
    let baseline = trial.baseline(&path)?;
    drop(progress);
    let command = trial.command(&path);
    let is_settled = baseline.is_green() || baseline.hopeless.is_some();
    let suspects = if is_settled {
        Suspects::new()
    } else {
        suspects(&path, &trial, &changed_lines(&args.file, &file.text))
    };
    let before = file.text.clone();
    let mut told =
        Told { path: &path, level, command, baseline, suspects, tested: Tested::default(), before: &before };
    if args.verbose || !args.json && !args.diff {
        note(&told.opening());
    }
    if !is_settled {
        stop_at_leisure();
        match search(&file, &trial, &told, args, session) {
            Ok(tested) => told.tested = tested,
            Err(TestedError::Engine(error)) => {
                complain_of_engine(&error);
                return Ok(ExitStatus::Failed);
            }
            Err(error) => return Err(error.into()),
        }
    }
    told.tell(args, session)?;
    Ok(if told.baseline.is_green() { ExitStatus::Clean } else { ExitStatus::FaultsRemain })
}

/// Tries candidates: repairs of the text where it does not parse, else slips.
fn search(
    file: &SourceFile,
    trial: &Trial,
    told: &Told,
    args: &TestArgs,
    session: &mut Session,
) -> Result<Tested, TestedError> {
    let progress = Progress::open("candidates tried");
    let tell = |after: &str, verdict: &TestVerdict, smells: &[Smell]| {
        progress.advance();
        if args.verbose {
            let line = candidate_line(&file.text, after, verdict, smells);
            aside(|| note(&line));
        }
    };
    if diagnose(&file.text, file.language).faults.is_empty() || session.is_fine(file) {
        return mend_one((file, told.path), trial, &told.suspects, session, &tell);
    }
    let repairs = all_repairs(file, session)?.suggestions;
    try_one((file, told.path), repairs, trial, session, &tell)
}

/// `line 3: a - b -> a + b: 1 of 2 tests fails, as before`
fn candidate_line(before: &str, after: &str, verdict: &TestVerdict, smells: &[Smell]) -> String {
    let mut line = String::from("  ");
    for edit in line_edits(before, after) {
        let was: Vec<&str> = before.lines().skip(edit.first - 1).take(edit.n_lines).map(str::trim).collect();
        let is: Vec<&str> = edit.replacement.lines().map(str::trim).collect();
        let _ = write!(
            line,
            "line {}: {} -> {}; ",
            edit.first,
            printable(&was.join(" ")),
            printable(&is.join(" "))
        );
    }
    let smells = smells.iter().fold(String::new(), |all, smell| format!("{all}; look: {smell}"));
    format!("{line}{}{}\n", printable(&verdict.to_string()), printable(&smells))
}

impl Told<'_> {
    fn opening(&self) -> String {
        let mut out = format!("{HEAD}sandbox{HEAD:#}: {}\n", self.level);
        let _ = writeln!(out, "{HEAD}tests{HEAD:#}: {}", printable(&self.command));
        let _ = writeln!(out, "{HEAD}without a repair{HEAD:#}: {}", printable(&self.baseline.to_string()));
        if !self.suspects.is_empty() {
            let mut lines: Vec<(usize, f64)> = self
                .suspects
                .iter()
                .map(|(line, nats)| (*line, *nats))
                .filter(|(_, nats)| *nats > 0.0)
                .collect();
            lines.sort_by(|x, y| y.1.total_cmp(&x.1));
            let more = lines.split_off(lines.len().min(SHOWN_SUSPECTS));
            let shown: Vec<String> = lines.iter().map(|(line, _)| line.to_string()).collect();
            let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            let _ = writeln!(out, "{HEAD}suspects{HEAD:#}: {} line {}{more}", self.path, shown.join(", "));
        }
        out
    }

    fn tell(&self, args: &TestArgs, session: &Session) -> Result<()> {
        let best = self.tested.repairs.first();
        let path = shown_path(&args.file);
        let diff = |after: &str| unified_diff(&path, self.before, after);
        if args.json {
            let repairs = self.tested.repairs.iter().map(|repair| {
                let known = repair.verified.evidence();
                let smells: Vec<String> = known.smells().iter().map(ToString::to_string).collect();
                json!({
                    "diff": diff(&repair.verified.candidate().text),
                    "verdict": known.tests().map(TestVerdict::name),
                    "evidence": known.to_string(),
                    "smells": smells,
                    "applicability": repair.applicability.name(),
                })
            });
            let ids =
                |ids: &[crate::results::TestId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
            let value = json!({
                "path": path, "sandbox": self.level.name(), "command": self.command,
                "baseline": {
                    "text": self.baseline.to_string(), "n_tests": self.baseline.n_tests,
                    "failing": ids(&self.baseline.failing), "errors": ids(&self.baseline.errors),
                    "passes": self.baseline.is_green(),
                },
                "suspects": self.suspects.keys().collect::<Vec<_>>(), "n_tried": self.tested.n_tried,
                "is_cut_short": self.tested.is_cut_short, "repairs": repairs.collect::<Vec<_>>(),
            });
            return print(&format!("{value}\n"));
        }
        if self.baseline.is_green() || self.baseline.hopeless.is_some() {
            return Ok(());
        }
        let Some(best) = best else {
            note(&format!("{HEAD}no suggestion{HEAD:#}: {}\n", nothing_helps(self.tested.n_tried)));
            if self.tested.is_cut_short {
                let limit = session.config.tests.time_limit_s;
                hint(&format!("{limit} s were over; `--time-limit` allows more"));
            }
            return Ok(());
        };
        let diff = diff(&best.verified.candidate().text);
        if args.diff {
            return print(&diff);
        }
        note(&format!("{}\n", tried(self.tested.n_tried)));
        print(&format!("{GOOD}suggestion{GOOD:#}: {}\n{}", evidence(best), coloured(&diff)))
    }
}
