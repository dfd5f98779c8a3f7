//! `lastmile hook pre-commit`: judges what is staged, shows repairs, and says how to take them.
//!
//! The index, the stash and every reference stay as they are; a file on disk is written only with `--write`, and only
//! where that loses nothing.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use rayon::prelude::*;

use super::ExitStatus;
use super::apply::{Plan, apply_line, explain, plan, saved_patches, shell_line, word_here};
use super::check::{Telling, broken, failed, shown_path};
use super::push::{PrePushArgs, pre_push};
use super::session::{Session, hint, warn};
use crate::change::{Limit, Skip, SourceFile, is_table};
use crate::config::Format;
use crate::diagnose::{Diagnosis, diagnose};
use crate::io::files;
use crate::io::git::{self, Change, Content, Repo, Staged};
use crate::lang;
use crate::pipeline::repair;
use crate::ports::EngineError;
use crate::rank::{Applicability, Ranked};
use crate::report::{Answer, FileReport};

#[derive(Args)]
pub(super) struct HookArgs {
    #[command(subcommand)]
    hook: Hook,
}

#[derive(Subcommand)]
enum Hook {
    /// Judge what is being committed; exit 1 on any fault
    PreCommit(PreCommitArgs),
    /// Judge what is being pushed, by its tests, too; exit 1 on any fault
    PrePush(PrePushArgs),
}

#[derive(Args)]
#[command(after_help = NOTES)]
struct PreCommitArgs {
    /// Judge the staged text of these files, as pre-commit and prek name them; of all that the commit changes when none
    /// is named
    #[arg(value_name = "FILES", allow_hyphen_values = true)]
    files: Vec<PathBuf>,

    /// Write repairs that are safe into the files on disk, where nothing is lost by it; never into the index
    #[arg(long)]
    write: bool,

    /// Say which files are left alone, and why
    #[arg(long)]
    verbose: bool,
}

const NOTES: &str = "\
Judged is the text in the index that git commits from, never the file on disk. A fault in any file that the commit
changes is reported, whether the commit brought it or not.";

/// A text that is at fault.
pub(super) struct Faulty {
    pub(super) file: SourceFile,
    pub(super) diagnosis: Diagnosis,
}

/// What a look at one text gave.
pub(super) enum Look {
    Healthy(PathBuf),
    Faulty(Faulty),
    LeftAlone(PathBuf, String),
    Failed(PathBuf, String),
}

/// From so many files on, more than one thread is worth its start.
const MANY: usize = 32;

pub(super) fn hook(args: &HookArgs, session: &mut Session) -> Result<ExitStatus> {
    match &args.hook {
        Hook::PreCommit(args) => pre_commit(args, session),
        Hook::PrePush(args) => pre_push(args, session),
    }
}

fn pre_commit(args: &PreCommitArgs, session: &mut Session) -> Result<ExitStatus> {
    let repo = Repo::open()?;
    let staged = if args.files.is_empty() {
        repo.staged()?
    } else {
        repo.named(&args.files.iter().map(|path| relative(&repo, path)).collect::<Vec<_>>())?
    };
    // Names may start with a dash; what is no name is a flag that does not exist.
    for (named, staged) in args.files.iter().zip(&staged) {
        if named.as_os_str().as_encoded_bytes().starts_with(b"-")
            && staged.content == Content::None(git::Skip::Untracked)
        {
            bail!("`{}` is neither a flag nor a file that git tracks", named.display());
        }
    }
    let looks = look_at_all(&repo, staged, args, session)?;
    forget_suggestions(&repo, &looks);
    let checked = looks.iter().filter_map(|look| match look {
        Look::Healthy(path) => Some(path),
        Look::Faulty(faulty) => Some(&faulty.file.path),
        Look::LeftAlone(..) | Look::Failed(..) => None,
    });
    // Of a workbook there is a look for each formula at fault.
    let n_checked = checked.collect::<BTreeSet<_>>().len();
    let is_quiet = looks.iter().all(|look| matches!(look, Look::Healthy(_) | Look::LeftAlone(..)));
    let mut run = Run {
        repo: &repo,
        session,
        args,
        hints: Hints::default(),
        engine_error: None,
        started: Instant::now(),
    };
    let mut telling = Telling::new(Format::Human, n_checked);
    for look in looks {
        match look {
            Look::Healthy(_) => {}
            Look::LeftAlone(path, why) => warn(&format!("`{}` is not judged: {why}", shown_path(&path))),
            Look::Failed(path, why) => telling.tell(failed(&path, &why))?,
            Look::Faulty(faulty) => telling.tell(run.repair(faulty))?,
        }
    }
    if is_quiet {
        return Ok(ExitStatus::Clean);
    }
    let has_faults = telling.totals().n_broken > 0;
    let status = telling.finish()?;
    run.give_hints();
    // What was written is not staged, so the commit would still hold the fault.
    Ok(if has_faults { ExitStatus::FaultsRemain } else { status })
}

/// Reads and judges what is staged, in order; what is none of ours is left out.
fn look_at_all(
    repo: &Repo,
    staged: Vec<Staged>,
    args: &PreCommitArgs,
    session: &Session,
) -> Result<Vec<Look>> {
    let limits = &session.config.files;
    let is_excluded = excluded(repo.root(), session)?;
    let mut looks = Vec::new();
    let ours = staged.into_iter().filter(|staged| may_be_ours(&staged.path) && !is_excluded(&staged.path));
    for part in ours.collect::<Vec<_>>().chunks(8 * MANY) {
        let texts: Vec<_> =
            part.iter().map(|staged| read(repo, staged, limits.limit(&staged.path))).collect();
        let judge = |text| match text {
            Text::Bytes(path, bytes) => judge(path, bytes),
            Text::None(path, why) if args.verbose => vec![Look::LeftAlone(path, why)],
            Text::None(..) => Vec::new(),
            Text::Failed(path, why) => vec![Look::Failed(path, why)],
        };
        let judged: Vec<Vec<Look>> = match texts.len() {
            0..MANY => texts.into_iter().map(judge).collect(),
            _ => texts.into_par_iter().map(judge).collect(),
        };
        looks.extend(judged.into_iter().flatten().map(|look| match without_disguise(repo, look) {
            Look::Faulty(Faulty { file, .. }) if session.is_fine(&file) => Look::Healthy(file.path),
            look => look,
        }));
    }
    Ok(looks)
}

/// Whether the settings leave a path below `root` alone.
pub(super) fn excluded(root: &Path, session: &Session) -> Result<impl Fn(&Path) -> bool + use<>> {
    let root = root.to_owned();
    let excludes = files::excludes(&session.root(), &session.config.files.exclude)?;
    Ok(move |path: &Path| files::is_excluded(&excludes, &root.join(path), false))
}

/// Whether it is worth reading; a file without an extension tells by its first line.
pub(super) fn may_be_ours(path: &Path) -> bool {
    lang::of_file(path, b"").is_some() || path.extension().is_none()
}

enum Text {
    Bytes(PathBuf, Vec<u8>),
    None(PathBuf, String),
    Failed(PathBuf, String),
}

fn read(repo: &Repo, staged: &Staged, limit: Limit) -> Text {
    let path = staged.path.clone();
    let id = match &staged.content {
        Content::Text(id) => *id,
        Content::None(skip) => return Text::None(path, skip.to_string()),
    };
    if let Err(skip) = limit.check(repo.size(id) as u64) {
        return Text::None(path, skip.to_string());
    }
    match repo.read(&path, id) {
        Ok(bytes) if is_pointer(&bytes) => Text::None(path, LFS.to_owned()),
        Ok(bytes) => Text::Bytes(path, bytes),
        Err(error) => Text::Failed(path, error.to_string()),
    }
}

/// Why pointers of Git LFS are left alone.
pub(super) const LFS: &str = "it is a pointer of Git LFS";

/// Whether a text stands for one that Git LFS keeps elsewhere.
pub(super) fn is_pointer(bytes: &[u8]) -> bool {
    bytes.starts_with(b"version https://git-lfs.github.com/spec/")
}

/// One look for a file; of a workbook one for each formula that is at fault.
pub(super) fn judge(path: PathBuf, bytes: Vec<u8>) -> Vec<Look> {
    let texts = match SourceFile::decode_all(path.clone(), bytes) {
        Ok(texts) => texts,
        Err(Skip::UnknownLanguage) => return Vec::new(),
        Err(skip) => return vec![Look::LeftAlone(path, skip.to_string())],
    };
    let mut looks = Vec::new();
    for file in texts {
        let diagnosis = diagnose(&file.text, file.language);
        if !diagnosis.faults.is_empty() {
            looks.push(Look::Faulty(Faulty { file, diagnosis }));
        }
    }
    if looks.is_empty() {
        looks.push(Look::Healthy(path));
    }
    looks
}

/// A text that only looks broken because git stores it in another form is left alone.
pub(super) fn without_disguise(repo: &Repo, look: Look) -> Look {
    match look {
        Look::Faulty(faulty) => match repo.disguise(&faulty.file.path) {
            Some(why) => Look::LeftAlone(faulty.file.path, why.to_string()),
            None => Look::Faulty(faulty),
        },
        other => other,
    }
}

/// Suggestions for texts that are no longer staged are of no use.
fn forget_suggestions(repo: &Repo, looks: &[Look]) {
    if !repo.folder().is_dir() {
        return;
    }
    for look in looks {
        if let Look::Healthy(path) = look {
            // Mostly there is none.
            let _ = fs::remove_file(repo.saved(path));
        }
    }
    if git::is_passing() {
        return;
    }
    // Those for texts that are neither staged nor on disk any more fit nothing.
    for patch in saved_patches(repo).unwrap_or_default() {
        let change = fs::read(&patch).ok().and_then(|bytes| repo.read_patch(&bytes).ok());
        let is_there = |change: &Change| {
            let disk = fs::read(repo.root().join(&change.path));
            repo.is_staged(change) || disk.is_ok_and(|disk| disk == change.before)
        };
        if change.is_some_and(|change| !is_there(&change)) {
            let _ = fs::remove_file(patch);
        }
    }
}

/// What the last lines will say.
#[derive(Default)]
struct Hints {
    /// The suggestions, the patches they are saved as, and what they mean for the files on disk.
    on_disk: Vec<(Change, PathBuf, Plan)>,
    /// Workbooks and tables with suggestions.
    books: BTreeSet<PathBuf>,
    /// Why a suggestion could not be saved.
    unsaved: Option<String>,
}

/// One run of the hook that found faults.
struct Run<'a> {
    repo: &'a Repo,
    session: &'a mut Session,
    args: &'a PreCommitArgs,
    hints: Hints,
    engine_error: Option<EngineError>,
    started: Instant,
}

impl Run<'_> {
    fn repair(&mut self, faulty: Faulty) -> FileReport {
        let Faulty { file, diagnosis } = faulty;
        let limit = Duration::from_millis(self.session.config.hook.budget_ms);
        let started = self.started;
        let is_over = || started.elapsed() >= limit;
        let (mut ask, engine) = self.session.ask_for_one_at(&file, &self.repo.root().join(&file.path));
        ask.is_over = &is_over;
        let found = match repair(&file.text, &ask, engine) {
            Ok(found) => found,
            Err(error) => {
                self.engine_error = Some(error);
                return broken(
                    file,
                    diagnosis.into(),
                    Answer::Nothing("the engine gave no answer".to_owned()),
                );
            }
        };
        let Some(best) = found.suggestions.into_iter().next() else {
            let reason = found.reason.unwrap_or_else(|| "nothing was found".to_owned());
            return broken(file, diagnosis.into(), Answer::Nothing(reason));
        };
        if file.cell.is_some() {
            // A workbook is one binary file to git: nothing of it can be staged or merged alone.
            self.hints.books.insert(file.path.clone());
            return broken(file, diagnosis.into(), Answer::Suggested(Box::new(best)));
        }
        let both = |after| Ok((file.encode(&file.text)?.into_owned(), file.encode(after)?.into_owned()));
        let (before, after) = match both(&best.verified.candidate().text) {
            Ok(both) => both,
            Err::<_, Skip>(skip) => {
                return broken(file, diagnosis.into(), Answer::Nothing(skip.to_string()));
            }
        };
        let change = Change { path: file.path.clone(), before, after };
        // A suggestion that cannot be kept is shown all the same.
        if let Err(error) = save(self.repo, &change) {
            self.hints.unsaved = Some(format!("{error:#}"));
            return broken(file, diagnosis.into(), Answer::Suggested(Box::new(best)));
        }
        let answer = self.suggest(change, best);
        broken(file, diagnosis.into(), answer)
    }

    /// Brings the suggestion to the disk, where that is wanted and safe.
    fn suggest(&mut self, change: Change, best: Ranked) -> Answer {
        let patch = self.repo.saved(&change.path);
        let is_wanted = self.args.write || self.session.config.hook.write;
        let may_write = is_wanted && best.applicability == Applicability::Safe;
        let mut plan = plan(self.repo, &change);
        if may_write {
            plan = plan.carry_out(self.repo, &change);
        }
        let is_written = plan == Plan::Written;
        self.hints.on_disk.push((change, patch, plan));
        let best = Box::new(best);
        if is_written { Answer::Written(best) } else { Answer::Suggested(best) }
    }

    fn give_hints(&self) {
        for (change, patch, plan) in &self.hints.on_disk {
            explain(self.repo, change, patch, plan);
        }
        for book in &self.hints.books {
            let path = word_here(self.repo, book);
            hint(&if is_table(book) {
                format!(
                    "`lastmile fix --write --unsafe {path}` repairs the table on disk: no repair of a table is safe"
                )
            } else {
                format!("`lastmile fix --write {path}` repairs the workbook on disk where that is safe")
            });
        }
        if let Some(why) = &self.hints.unsaved {
            warn(why);
        }
        if let Some(error) = &self.engine_error {
            warn(&error.to_string());
            hint(error.hint());
        }
        let waits = self
            .hints
            .on_disk
            .iter()
            .filter(|(_, _, plan)| matches!(plan, Plan::Write { .. }))
            .collect::<Vec<_>>();
        let skip = match env::var_os("PRE_COMMIT") {
            Some(_) => "`SKIP=lastmile git commit`",
            None => "`git commit --no-verify`",
        };
        match waits.as_slice() {
            [] => hint(&format!("{skip} skips this hook")),
            waits => {
                let paths: Vec<&Path> = waits.iter().map(|(change, ..)| change.path.as_path()).collect();
                let what = if waits.len() == 1 { "it".to_owned() } else { format!("these {}", waits.len()) };
                let line = apply_line(self.repo, &paths);
                hint(&format!("run `{line}` to accept {what}, or {skip} to skip this hook"));
            }
        }
        if let [(_, patch, _)] = waits.as_slice() {
            hint(&format!("it is saved as a patch, too: `{}`", shell_line(self.repo, &["apply"], patch)));
        }
    }
}

fn save(repo: &Repo, change: &Change) -> Result<()> {
    let patch = repo.saved(&change.path);
    let bytes = change.to_patch()?;
    let failed = || format!("failed to save the suggestion as `{}`", patch.display());
    fs::create_dir_all(repo.folder()).with_context(failed)?;
    // All or nothing: another run may be about the same file.
    files::create(&patch, &bytes).with_context(failed)
}

/// A path as the index names it, from one as the user does.
pub(super) fn relative(repo: &Repo, path: &Path) -> PathBuf {
    files::inside(repo.root(), path).unwrap_or_else(|| path.to_owned())
}
