//! `lastmile hook pre-push`: what is pushed must parse, and must not make tests fail that passed before.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Read as _};

use anyhow::{Context as _, Result};
use clap::Args;

use super::ExitStatus;
use super::check::{Cause, Telling, broken};
use super::pr::{Found, changed};
use super::session::{
    Session, TestFlags, complain_of_engine, hint, note, stop_at_leisure, text_variable, warn,
};
use super::trying::{Changed, Patient, find_patient, guarded, in_commit, open};
use crate::change::SourceFile;
use crate::config::Format;
use crate::diagnose::diagnose;
use crate::io::git::{self, Content, Repo};
use crate::io::trial::Trial;
use crate::report::Answer;
use crate::tested::{TestedError, can_mend};
use crate::verdict::Baseline;

#[derive(Args)]
#[command(after_help = NOTES)]
pub(super) struct PrePushArgs {
    /// The name of the remote, as git gives it
    #[arg(default_value = "origin")]
    remote: String,

    /// Its address, as git gives it
    #[arg(hide = true)]
    _url: Option<String>,

    /// Only judge whether files parse
    #[arg(long)]
    no_tests: bool,

    #[command(flatten)]
    tests: TestFlags,
}

const NOTES: &str = "\
Judged are the files that the commits change, as the last of them holds them, never those on disk. git gives what is
pushed on stdin, pre-commit and prek in variables; from a terminal it is what HEAD has and the remote has not.

Where all files parse and some of Python changed, the tests that see them run, in a fresh copy of the commit and in a
sandbox. Tests that failed before these commits do not count. Nothing is written.

Exit codes: 0 nothing against it, 1 a file does not parse or makes tests fail, 2 lastmile itself failed.";

/// Commits that are pushed: to where, and from where.
struct Push {
    /// The commit that the remote has; `None` when it has nothing of it.
    base: Option<String>,
    head: String,
}

pub(super) fn pre_push(args: &PrePushArgs, session: &mut Session) -> Result<ExitStatus> {
    args.tests.apply(&mut session.config);
    let repo = Repo::open()?;
    let mut status = ExitStatus::Clean;
    for push in pushes(&repo, &args.remote)? {
        status = match (status, judge(&push, &repo, args, session)?) {
            (ExitStatus::Failed, _) | (_, ExitStatus::Failed) => ExitStatus::Failed,
            (ExitStatus::FaultsRemain, _) | (_, ExitStatus::FaultsRemain) => ExitStatus::FaultsRemain,
            _ => ExitStatus::Clean,
        };
    }
    if status == ExitStatus::FaultsRemain {
        hint("`git push --no-verify` skips this hook");
    }
    Ok(status)
}

/// What is pushed: from pre-commit's variables, from git on stdin, or what HEAD has and the remote has not.
fn pushes(repo: &Repo, remote: &str) -> Result<Vec<Push>> {
    let of = |head: &str, known: Option<&str>| -> Result<Push> {
        let head = repo.commit(head)?;
        let known = known.and_then(|known| repo.commit(known).ok());
        Ok(Push { base: known.or_else(|| repo.fork_point(&head, remote)), head })
    };
    if let Some(head) = text_variable("PRE_COMMIT_TO_REF") {
        return Ok(vec![of(&head, text_variable("PRE_COMMIT_FROM_REF").as_deref())?]);
    }
    if io::stdin().is_terminal() {
        return Ok(vec![of("HEAD", None)?]);
    }
    let mut lines = Vec::new();
    io::stdin().take(MAX_LINES).read_to_end(&mut lines).context("what git pushes cannot be read")?;
    let mut pushes = BTreeMap::new();
    // Names may be no text; the first, as the user gave it, may hold blanks.
    for line in String::from_utf8_lossy(&lines).lines() {
        let &[known, _, head, _] = line.rsplitn(4, ' ').collect::<Vec<_>>().as_slice() else { continue };
        // A branch that is deleted holds nothing.
        if !is_zero(head) {
            let push = of(head, Some(known).filter(|known| !is_zero(known)))?;
            pushes.insert(push.head.clone(), push);
        }
    }
    Ok(pushes.into_values().collect())
}

/// Far more than any push has.
const MAX_LINES: u64 = 16 << 20;

/// How git names no commit.
fn is_zero(name: &str) -> bool {
    name.bytes().all(|byte| byte == b'0')
}

fn judge(push: &Push, repo: &Repo, args: &PrePushArgs, session: &mut Session) -> Result<ExitStatus> {
    let files = changed(push.base.as_deref(), &push.head, repo, session)?;
    let mut found = Found::of_changed(files.clone(), &push.head, repo, session);
    let (reports, n_checked, engine_error) = found.repair(false, session)?;
    if reports.is_empty() {
        return if args.no_tests { Ok(ExitStatus::Clean) } else { test(push, files, repo, session) };
    }
    let mut telling = Telling::new(Format::Human, n_checked);
    for report in reports {
        telling.tell(report)?;
    }
    // A fault stops the push whether or not there was an engine to mend it.
    if let Some(error) = &engine_error {
        warn(&error.to_string());
        hint(error.hint());
    }
    telling.finish()
}

/// Runs the tests that see what changed, and looks for the slip where they fail.
fn test(push: &Push, files: Vec<git::Changed>, repo: &Repo, session: &mut Session) -> Result<ExitStatus> {
    let changed = mendable(files, repo, session)?;
    if changed.is_empty() {
        return Ok(ExitStatus::Clean);
    }
    let guarded = guarded(session)?;
    stop_at_leisure();
    let (source, overlay) = in_commit(repo, &push.head)?;
    let Some(trial) = open(&source, overlay, &guarded, session) else { return Ok(ExitStatus::Clean) };
    let settings = session.config.tests.clone();
    let open_before = || {
        let (source, overlay) = in_commit(repo, push.base.as_deref()?).ok()?;
        Trial::new(&source, overlay, &settings, &guarded).ok()?
    };
    let trial_before = OnceCell::new();
    let failed_before = |name: &str, now: &Baseline| {
        let before = trial_before.get_or_init(open_before).as_ref();
        let before = before.and_then(|trial: &Trial| trial.baseline(name).ok());
        let is_known = before.is_some_and(|before| now.adds_nothing_to(&before));
        if is_known {
            note(&format!("{now}, as before these commits\n"));
        }
        is_known
    };
    let n_changed = changed.len();
    let patient = match find_patient(changed, &trial, &failed_before, session) {
        Ok(Some(patient)) => patient,
        Ok(None) => return Ok(ExitStatus::Clean),
        Err(TestedError::Tests(reason)) => {
            warn(&format!("the tests cannot be run: {reason}"));
            return Ok(ExitStatus::Clean);
        }
        Err(TestedError::Engine(error)) => {
            complain_of_engine(&error);
            return Ok(ExitStatus::FaultsRemain);
        }
    };
    let mut telling = Telling::new(Format::Human, n_changed);
    let Patient { file, failing, repair, reason } = patient;
    let answer = match repair {
        Some(repair) => Answer::Suggested(Box::new(repair)),
        None => Answer::Nothing(reason),
    };
    telling.tell(broken(file, Cause { faults: Vec::new(), failing: Some(failing) }, answer))?;
    telling.finish()
}

/// The files whose tests can tell what is wrong.
fn mendable(files: Vec<git::Changed>, repo: &Repo, session: &Session) -> Result<Vec<Changed>> {
    let mut mendable = Vec::new();
    for file in files {
        let Content::Text(id) = file.content else { continue };
        let is_module = file.path.extension().is_some_and(|extension| extension == "py");
        if !is_module || session.config.files.limit(&file.path).check(repo.size(id) as u64).is_err() {
            continue;
        }
        let Some(name) = file.path.to_str().map(str::to_owned) else { continue };
        let lines = file.hunks.iter().flat_map(|hunk| hunk.first..hunk.first + hunk.n_lines).collect();
        let bytes = repo.read(&file.path, id)?;
        let Ok(file) = SourceFile::decode(file.path, bytes) else { continue };
        if can_mend(file.language) && diagnose(&file.text, file.language).faults.is_empty() {
            mendable.push(Changed { file, name, lines });
        }
    }
    Ok(mendable)
}
