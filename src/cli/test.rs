//! `lastmile test`: the tests of a project without a repair, the lines under suspicion, candidates, and what the tests
//! say of each.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;

use super::ExitStatus;
use super::check::shown_path;
use super::explain::read;
use super::progress::{Progress, aside};
use super::session::{
    Session, TestFlags, complain_of_engine, hint, is_stopped, note, print, stop_at_leisure, warn,
};
use crate::change::SourceFile;
use crate::diagnose::diagnose;
use crate::io::files;
use crate::io::sandbox::{Guarded, Level};
use crate::io::tree::{Limits, Source};
use crate::io::trial::{OfFile, Trial};
use crate::patch::{line_edits, unified_diff};
use crate::pipeline::repair;
use crate::ports::EngineError;
use crate::report::{coloured, evidence, printable};
use crate::smell::Smell;
use crate::tested::{Tested, TestedError, Trying, mend, try_repairs};
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

/// How much of a project is copied for its tests.
pub(super) const LIMITS: Limits = Limits { max_files: 50_000, max_bytes: 2 << 30 };

/// The folder of the project around a file, and the file below it, with `/`.
pub(super) fn project(path: &Path, session: &Session) -> Result<(PathBuf, String)> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = path.canonicalize().with_context(|| format!("failed to read `{}`", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let git = files::nearest_entry(folder, ".git").and_then(|git| git.parent().map(Path::to_owned));
    let root = git.or_else(|| session.root().canonicalize().ok()).unwrap_or_else(|| folder.to_owned());
    let inside = path.strip_prefix(&root);
    let inside =
        inside.with_context(|| format!("`{}` lies outside of `{}`", path.display(), root.display()))?;
    let name = inside.to_str().with_context(|| format!("`{}` is not UTF-8", inside.display()))?;
    let name = name.replace(std::path::MAIN_SEPARATOR, "/");
    Ok((root, name))
}

/// Says it once where tests are not well guarded.
pub(super) fn warn_of_weak_sandbox(guarded: &Guarded) {
    if guarded.sandbox.level() == Level::Limits {
        warn(
            "no sandbox works here: tests run with limits of time and memory only (`--require-sandbox` refuses that)",
        );
    }
}

/// What there is to tell in the end.
struct Told<'t> {
    path: &'t str,
    level: Level,
    command: String,
    baseline: Baseline,
    suspects: BTreeSet<usize>,
    tested: Tested,
    before: &'t str,
}

pub(super) fn test(args: &TestArgs, session: &mut Session) -> Result<ExitStatus> {
    args.tests.apply(&mut session.config);
    let started = Instant::now();
    let file = read(&args.file, session.config.files.limit(&args.file))?;
    let (root, path) = project(&args.file, session)?;
    let mut guarded = session.guarded()?;
    warn_of_weak_sandbox(&guarded);
    let level = guarded.sandbox.level();
    let source = Source { root, also: Vec::new(), limits: LIMITS };
    let settings = session.config.tests.clone();
    let Some(mut trial) = Trial::new(&source, Vec::new(), &settings, &mut guarded)? else {
        bail!("no tests were found in `{}`; name the command as `tests.command`", source.root.display());
    };
    let progress = Progress::open("running the tests");
    let baseline = trial.baseline(&path)?;
    drop(progress);
    let command = trial.command(&path);
    let lines = trial.suspects(&path).into_iter().filter(|frame| frame.file == path).map(|frame| frame.line);
    let suspects: BTreeSet<usize> = lines.collect();
    let is_settled = baseline.is_green() || baseline.hopeless.is_some();
    let before = file.text.clone();
    let mut told =
        Told { path: &path, level, command, baseline, suspects, tested: Tested::default(), before: &before };
    if args.verbose || !args.json && !args.diff {
        note(&told.opening());
    }
    if !is_settled {
        let limit = Duration::from_secs(settings.time_limit_s);
        stop_at_leisure();
        let is_over = || is_stopped() || started.elapsed() > limit;
        match search(&file, &mut trial, &told, args, session, &is_over) {
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
    trial: &mut Trial,
    told: &Told,
    args: &TestArgs,
    session: &mut Session,
    is_over: &dyn Fn() -> bool,
) -> Result<Tested, TestedError> {
    let max_candidates = session.config.tests.max_candidates;
    let is_broken = !diagnose(&file.text, file.language).faults.is_empty() && !session.is_fine(file);
    if !is_broken {
        session.config.repair.candidates = max_candidates;
    }
    let dialect = session.dialect(&file.path, file.language);
    let (ask, engine) = session.ask(file.language, dialect);
    let known: Vec<String> = trial.test_texts().to_vec();
    let test_texts: Vec<&str> = known.iter().map(String::as_str).collect();
    let progress = Progress::open("candidates tried");
    let tell = |after: &str, verdict: &TestVerdict, smells: &[Smell]| {
        progress.advance();
        if args.verbose {
            let line = candidate_line(&file.text, after, verdict, smells);
            aside(|| note(&line));
        }
    };
    let trying = Trying { path: told.path, test_texts: &test_texts, max_candidates, is_over, tell: &tell };
    let encode = |text: &str| file.encode(text).ok().map(std::borrow::Cow::into_owned);
    let mut tests = OfFile { trial, path: told.path, encode: &encode };
    if is_broken {
        let found = repair(&file.text, &ask, engine)?;
        return try_repairs(&file.text, found.suggestions, &mut tests, &trying);
    }
    if file.language.name() != "python" {
        return Err(EngineError::NoWeights {
            program: "lastmile".into(),
            lang: format!("{}/tests", file.language.name()),
        }
        .into());
    }
    mend(&file.text, &ask, engine, &mut tests, &told.suspects, &trying)
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
            let lines: Vec<String> = self.suspects.iter().map(ToString::to_string).collect();
            let _ = writeln!(out, "{HEAD}suspects{HEAD:#}: {} line {}", self.path, lines.join(", "));
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
                "suspects": self.suspects, "n_tried": self.tested.n_tried,
                "is_cut_short": self.tested.is_cut_short, "repairs": repairs.collect::<Vec<_>>(),
            });
            return print(&format!("{value}\n"));
        }
        if self.baseline.is_green() || self.baseline.hopeless.is_some() {
            return Ok(());
        }
        let tried = match self.tested.n_tried {
            1 => "1 candidate was tried".to_owned(),
            n_tried => format!("{n_tried} candidates were tried"),
        };
        let Some(best) = best else {
            note(&format!("{HEAD}no suggestion{HEAD:#}: {tried}, and none makes a failing test pass\n"));
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
        note(&format!("{tried}\n"));
        print(&format!("{GOOD}suggestion{GOOD:#}: {}\n{}", evidence(best), coloured(&diff)))
    }
}
