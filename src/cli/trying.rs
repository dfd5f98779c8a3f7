//! Tests of projects, for the commands that repair: which repair they speak for, and which changed file fails them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::check::shown_path;
use super::progress::Progress;
use super::session::{Session, is_stopped, note, warn};
use crate::change::SourceFile;
use crate::diagnose::{Diagnosis, counted, diagnose};
use crate::io::engine::Engine;
use crate::io::files;
use crate::io::git::{CommitFiles, Repo};
use crate::io::sandbox::{Guarded, Level};
use crate::io::tree::{Limits, Source};
use crate::io::trial::{OfFile, Trial};
use crate::patch::line_edits;
use crate::pipeline::{Ask, Repair, drop_unlikely, repair};
use crate::ports::EngineError;
use crate::rank::Ranked;
use crate::smell::Smell;
use crate::tested::{TRIED, Tested, TestedError, Trying, can_mend, mend, mend_repairs, try_repairs};
use crate::verdict::{Baseline, TestVerdict};

/// How much of a project is copied for its tests.
const LIMITS: Limits = Limits { max_files: 50_000, max_bytes: 2 << 30 };

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

/// A project as it is on disk.
pub(super) fn on_disk(root: PathBuf) -> Source {
    let tracked =
        Repo::around(&root).ok().filter(|repo| repo.root() == root).map(|repo| repo.tracked_and_ignored());
    Source { also: tracked.unwrap_or_default(), root, only: None, limits: LIMITS }
}

/// A project as a commit holds it.
pub(super) fn in_commit(repo: &Repo, commit: &str) -> Result<(Source, Overlay)> {
    let CommitFiles { all, changed } = repo.files_of(commit)?;
    let also = repo.ignored(all.iter().cloned());
    Ok((Source { root: repo.root().to_owned(), also, only: Some(all), limits: LIMITS }, changed))
}

/// The state of projects that tests run in.
#[derive(Clone, Copy)]
pub(super) enum State<'s> {
    OnDisk,
    InCommit(&'s Repo, &'s str),
}

impl State<'_> {
    fn of(self, root: &Path) -> Result<(Source, Overlay)> {
        match self {
            State::OnDisk => Ok((on_disk(root.to_owned()), Overlay::new())),
            State::InCommit(repo, commit) => in_commit(repo, commit),
        }
    }
}

/// What runs tests; says so once where it guards little.
pub(super) fn guarded(session: &Session) -> Result<Guarded> {
    let guarded = session.guarded()?;
    if guarded.sandbox.level() == Level::Limits {
        warn(
            "no sandbox works here: tests run with limits of time and memory only (`--require-sandbox` refuses that)",
        );
    }
    Ok(guarded)
}

/// A file that does not parse, and repairs that do.
pub(super) struct Proposed {
    pub(super) file: SourceFile,
    pub(super) diagnosis: Diagnosis,
    /// Best first.
    pub(super) repairs: Vec<Ranked>,
    /// Why there are none.
    pub(super) reason: String,
}

/// A file that parses and fails its tests.
pub(super) struct Patient {
    pub(super) file: SourceFile,
    /// What the tests say of it as it is.
    pub(super) failing: String,
    pub(super) repair: Option<Ranked>,
    /// Why there is none.
    pub(super) reason: String,
}

/// Lines that are likelier at fault than others, counted from 1, and by how many nats.
pub(super) type Suspects = BTreeMap<usize, f64>;

/// Files with other bytes than on disk, relative to their project.
pub(super) type Overlay = Vec<(PathBuf, Vec<u8>)>;

/// The bytes of a text on disk; `None` when the encoding of its file lacks a character.
fn bytes_of(file: &SourceFile, text: &str) -> Option<Vec<u8>> {
    file.encode(text).ok().map(Cow::into_owned)
}

/// The tests of a project in some state of it; `None`, and a warning, when there are none to run.
pub(super) fn open<'g>(
    source: &Source,
    overlay: Overlay,
    guarded: &'g Guarded,
    session: &Session,
) -> Option<Trial<'g>> {
    let why = match Trial::new(source, overlay, &session.config.tests, guarded) {
        Ok(Some(trial)) => return Some(trial),
        Ok(None) => "no tests were found; `tests.command` in lastmile.toml names them".to_owned(),
        Err(error) => error.to_string(),
    };
    say_untested(&source.root, &why);
    None
}

fn say_untested(what: &Path, why: &str) {
    warn(&format!("`{}` is judged by parsing alone: {why}", what.display()));
}

/// Puts repairs before the tests of their projects. Files are tried one by one, with the other ones as they will be,
/// since one that does not parse is enough to keep tests from running.
pub(super) fn try_all(proposed: &mut [Proposed], state: State<'_>, guarded: &Guarded, session: &mut Session) {
    let places = places(proposed, session);
    // None where there are no tests to run.
    let mut states: BTreeMap<&Path, Option<(Source, Overlay)>> = BTreeMap::new();
    let progress = Progress::up_to(proposed.len(), "testing");
    for idx in 0..proposed.len() {
        let Some((root, name)) = &places[idx] else { continue };
        if proposed[idx].repairs.is_empty() || is_stopped() {
            continue;
        }
        let read = || state.of(root).inspect_err(|error| say_untested(root, &format!("{error:#}"))).ok();
        let known = states.entry(root).or_insert_with(read);
        let Some((source, changed)) = known else { continue };
        let others = overlay(proposed, &places, root, Some(idx));
        let overlay = changed.iter().cloned().chain(others).collect();
        let Some(trial) = open(source, overlay, guarded, session) else {
            *known = None;
            continue;
        };
        let one = &mut proposed[idx];
        let n_repairs = one.repairs.len();
        match try_one((&one.file, name), one.repairs.clone(), &trial, session, &|_, _, _| {}) {
            Ok(tested) => one.repairs = tested.repairs,
            Err(error) => say_untested(Path::new(&shown_path(&one.file.path)), &error.to_string()),
        }
        if one.repairs.is_empty() {
            one.reason = format!("the tests speak against all {n_repairs} repairs that parse");
        }
        progress.advance();
    }
    for one in proposed {
        if let Some(reason) = drop_unlikely(&mut one.repairs, session.config.repair.least_confidence) {
            one.reason = reason;
        }
    }
}

/// The projects of files and their names there; a formula of a workbook has none.
fn places(proposed: &[Proposed], session: &Session) -> Vec<Option<(PathBuf, String)>> {
    let place = |one: &Proposed| project(&one.file.path, session).ok().filter(|_| one.file.cell.is_none());
    proposed.iter().map(place).collect()
}

/// The best repairs of the files of one project, but for one of them.
fn overlay(
    proposed: &[Proposed],
    places: &[Option<(PathBuf, String)>],
    root: &Path,
    without: Option<usize>,
) -> Overlay {
    let all = proposed.iter().zip(places).enumerate();
    let others = all.filter(|(idx, _)| Some(*idx) != without);
    let repaired = others.filter_map(|(_, (one, place))| {
        let (_, name) = place.as_ref().filter(|(of, _)| of == root)?;
        let best = one.repairs.first()?.verified.candidate();
        Some((PathBuf::from(name), bytes_of(&one.file, &best.text)?))
    });
    repaired.collect()
}

/// More repairs than are shown: the tests choose among them. Without those that the file's encoding cannot hold.
pub(super) fn all_repairs(file: &SourceFile, session: &mut Session) -> Result<Repair, EngineError> {
    let (ask, engine) = session.ask_for(file);
    let ask = Ask { k: ask.k.max(TRIED), least_confidence: 0.0, ..ask };
    let mut found = repair(&file.text, &ask, engine)?;
    found.suggestions.retain(|repair| bytes_of(file, &repair.verified.candidate().text).is_some());
    Ok(found)
}

/// Puts repairs of a file that does not parse before its tests, and looks for a slip besides where none is enough.
pub(super) fn try_one(
    (file, name): (&SourceFile, &str),
    repairs: Vec<Ranked>,
    trial: &Trial,
    session: &mut Session,
    tell: &Tell,
) -> Result<Tested, TestedError> {
    with_tests((file, name), trial, session, tell, |ask, engine, tests, trying| {
        let tested = try_repairs(&file.text, repairs, tests, trying)?;
        if can_mend(file.language) {
            mend_repairs(&file.text, tested, ask, engine, tests, trying)
        } else {
            Ok(tested)
        }
    })
}

/// Looks among the candidates for a file: with what is asked of the engine for slips, the tests of the file, and how far
/// to go by the settings.
fn with_tests<T>(
    (file, name): (&SourceFile, &str),
    trial: &Trial,
    session: &mut Session,
    tell: &Tell,
    look: impl FnOnce(&Ask<'_>, &mut Engine, &mut OfFile<'_, '_, '_>, &Trying<'_>) -> T,
) -> T {
    let (started, settings) = (Instant::now(), &session.config.tests);
    let (limit, max_candidates) = (Duration::from_secs(settings.time_limit_s), settings.max_candidates);
    let is_over = || is_stopped() || started.elapsed() > limit;
    let test_texts: Vec<&str> = trial.test_texts().iter().map(String::as_str).collect();
    let trying = Trying { path: name, test_texts: &test_texts, max_candidates, is_over: &is_over, tell };
    let encode = |text: &str| bytes_of(file, text);
    let mut tests = OfFile { trial, path: name, encode: &encode };
    let (ask, engine) = session.ask_for(file);
    look(&Ask { k: max_candidates, ..ask }, engine, &mut tests, &trying)
}

/// Told of each candidate that was tried.
pub(super) type Tell<'t> = dyn Fn(&str, &TestVerdict, &[Smell]) + 't;

/// The lines of a text that the last commit does not hold so; none where there is no commit of the file.
pub(super) fn changed_lines(path: &Path, text: &str) -> BTreeSet<usize> {
    let before = Repo::around(path).ok().and_then(|repo| repo.committed(path));
    let Some(before) = before else { return BTreeSet::new() };
    let edits = line_edits(text, &String::from_utf8_lossy(&before));
    edits.iter().flat_map(|edit| edit.first..edit.first + edit.n_lines).collect()
}

/// How much likelier a line is at fault when it is in the traceback of a failing test, when failing tests run it and
/// passing ones do not, and when it is new.
const IN_TRACEBACK: f64 = 1.5;
const RUN_BY_FAILING: f64 = 2.0;
const CHANGED: f64 = 1.0;

/// The lines of a file that failing tests, and the latest changes, make suspect.
pub(super) fn suspects(name: &str, trial: &Trial, changed: &BTreeSet<usize>) -> Suspects {
    let frames = trial.suspects(name).into_iter().filter(|frame| frame.file == name);
    let mut suspects: Suspects = frames.map(|frame| (frame.line, IN_TRACEBACK)).collect();
    for (line, suspicion) in trial.suspicions(name) {
        *suspects.entry(line).or_default() += RUN_BY_FAILING * suspicion;
    }
    for line in changed {
        *suspects.entry(*line).or_default() += CHANGED;
    }
    suspects
}

/// Looks for the slip in a text that parses and whose tests fail.
pub(super) fn mend_one(
    (file, name): (&SourceFile, &str),
    trial: &Trial,
    suspects: &Suspects,
    session: &mut Session,
    tell: &Tell,
) -> Result<Tested, TestedError> {
    if !can_mend(file.language) {
        let lang = format!("{}/tests", file.language.name());
        return Err(EngineError::NoWeights { program: "lastmile".into(), lang }.into());
    }
    with_tests((file, name), trial, session, tell, |ask, engine, tests, trying| {
        mend(&file.text, ask, engine, tests, suspects, trying)
    })
}

/// `2 candidates were tried`
pub(super) fn tried(n: usize) -> String {
    format!("{} {} tried", counted(n, "candidate"), if n == 1 { "was" } else { "were" })
}

/// Why there is no repair, after so many candidates.
pub(super) fn nothing_helps(n: usize) -> String {
    match n {
        0 => "the engine proposes nothing".to_owned(),
        n => format!("{}, and none makes a failing test pass", tried(n)),
    }
}

/// A file that people have changed and that parses.
pub(super) struct Changed {
    pub(super) file: SourceFile,
    /// Relative to its project, with `/`.
    pub(super) name: String,
    /// The new lines.
    pub(super) lines: BTreeSet<usize>,
}

/// Which of the changed files of a project makes its tests fail, and its repair; `is_known` tells failures that are no
/// news. `None` when no test that sees them fails.
pub(super) fn find_patient(
    changed: Vec<Changed>,
    trial: &Trial,
    is_known: &dyn Fn(&str, &Baseline) -> bool,
    session: &mut Session,
) -> Result<Option<Patient>, TestedError> {
    let (mut suspected, mut passing) = (Vec::new(), None);
    for one in changed {
        if !can_mend(one.file.language) || trial.suite().guards(&one.name) {
            continue;
        }
        let progress = Progress::open("running the tests");
        let baseline = trial.baseline(&one.name).map_err(|error| TestedError::Tests(error.to_string()))?;
        drop(progress);
        if baseline.hopeless.is_some() {
            continue;
        }
        passing = baseline.is_green().then(|| baseline.to_string()).or(passing);
        if baseline.is_green() || is_known(&one.name, &baseline) {
            continue;
        }
        let suspects = suspects(&one.name, trial, &one.lines);
        suspected.push((one, baseline.to_string(), suspects));
    }
    if let (true, Some(passing)) = (suspected.is_empty(), passing) {
        note(&format!("{passing}\n"));
    }
    let weight = |suspects: &Suspects| suspects.values().copied().fold(0.0, f64::max);
    suspected.sort_by(|(_, _, x), (_, _, y)| weight(y).total_cmp(&weight(x)));
    let mut best: Option<Patient> = None;
    for (Changed { file, name, .. }, failing, suspects) in suspected {
        if is_stopped() {
            break;
        }
        let progress = Progress::open("candidates tried");
        let tested = mend_one((&file, &name), trial, &suspects, session, &|_, _, _| progress.advance())?;
        drop(progress);
        let reason = nothing_helps(tested.n_tried);
        let repair = tested.repairs.into_iter().next();
        let is_all = repair.as_ref().is_some_and(|one| one.verified.evidence().is_all_green());
        let is_better = best.as_ref().is_none_or(|best| best.repair.is_none() && repair.is_some());
        if is_better || is_all {
            best = Some(Patient { file, failing, repair, reason });
        }
        if is_all {
            break;
        }
    }
    Ok(best)
}

/// The changed files below `paths` that make the tests of their project fail, where those parse.
pub(super) fn find_patients(
    paths: &[PathBuf],
    proposed: &[Proposed],
    guarded: &Guarded,
    session: &mut Session,
) -> Result<Vec<Patient>, TestedError> {
    let here = [PathBuf::from(".")];
    let mut projects: BTreeMap<PathBuf, Vec<Changed>> = BTreeMap::new();
    for path in changed_files(if paths.is_empty() { &here } else { paths }, session) {
        let Ok((root, name)) = project(&path, session) else { continue };
        let Some(file) = healthy(&path, session).filter(|file| can_mend(file.language)) else { continue };
        let lines = changed_lines(&path, &file.text);
        projects.entry(root).or_default().push(Changed { file, name, lines });
    }
    let places = places(proposed, session);
    let mut patients = Vec::new();
    for (root, changed) in projects {
        if is_stopped() {
            break;
        }
        let overlay = overlay(proposed, &places, &root, None);
        let Some(trial) = open(&on_disk(root), overlay, guarded, session) else { continue };
        patients.extend(find_patient(changed, &trial, &|_, _| false, session)?);
    }
    Ok(patients)
}

/// Files below `paths` that are not as in the last commit; without git, those that are named.
fn changed_files(paths: &[PathBuf], session: &Session) -> Vec<PathBuf> {
    let excludes = files::excludes(&session.root(), &session.config.files.exclude);
    let mut found = BTreeSet::new();
    for path in paths {
        let Ok(real) = path.canonicalize() else { continue };
        match Repo::around(path).and_then(|repo| Ok((repo.changed_on_disk()?, repo))) {
            Ok((changed, repo)) => {
                let changed = changed.into_iter().map(|inside| repo.root().join(inside));
                found.extend(changed.filter(|file| file.starts_with(&real)));
            }
            Err(_) if real.is_file() => drop(found.insert(real)),
            Err(_) => {}
        }
    }
    let is_excluded =
        |path: &Path| excludes.as_ref().is_ok_and(|excludes| files::is_excluded(excludes, path, false));
    found.into_iter().filter(|path| !is_excluded(path)).collect()
}

/// A file that can be read and parses; the name is as people would write it from here.
fn healthy(path: &Path, session: &Session) -> Option<SourceFile> {
    let shown = files::inside(&files::real(Path::new(".")), path);
    let bytes = files::read(path, session.config.files.limit(path)).ok()?.ok()?;
    let file = SourceFile::decode(shown.unwrap_or_else(|| path.to_owned()), bytes).ok()?;
    (file.cell.is_none() && diagnose(&file.text, file.language).faults.is_empty()).then_some(file)
}
