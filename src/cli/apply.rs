//! `lastmile apply`: the suggestions that the hook saved, brought into the files on disk.
//!
//! Only the working file is written, and only where that loses nothing: what was edited since stays.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use super::ExitStatus;
use super::check::shown_path;
use super::hook::relative;
use super::session::{complain, hint, note, print, variable, warn};
use crate::change::SourceFile;
use crate::diagnose::{counted, diagnose};
use crate::io::files;
use crate::io::git::{Change, Repo};
use crate::report::printable;

/// Which suggestions to take.
#[derive(Args)]
pub(super) struct ApplyArgs {
    /// Take the suggestions for these files; all that are saved when none is named
    #[arg(value_name = "FILES")]
    paths: Vec<PathBuf>,
}

/// What a repair means for the file on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// The file holds `disk` and would hold `merged`, with so many faults left; nothing else is lost.
    Write {
        disk: Vec<u8>,
        merged: Vec<u8>,
        n_left: usize,
    },
    Written,
    /// The file holds the repair already.
    There,
    /// The file on disk has no fault: only what is staged has.
    Healthy,
    /// Lines of the repair were edited since.
    Conflict,
    /// With the repair in it the file would have as many faults as it has now.
    NoHelp,
    Missing,
    /// It is a link, cannot be written, is no text or lies outside of the repository.
    Guarded,
    /// It could not be read or written, and why; other files can.
    Failed(String),
}

/// Applies what is saved.
pub(super) fn apply(args: &ApplyArgs) -> Result<ExitStatus> {
    let repo = Repo::open()?;
    let mut saved = saved_patches(&repo)?;
    if !args.paths.is_empty() {
        let wanted: Vec<PathBuf> = args.paths.iter().map(|path| repo.saved(&relative(&repo, path))).collect();
        saved.retain(|patch| wanted.contains(patch));
    }
    if saved.is_empty() {
        note(if args.paths.is_empty() {
            "no suggestion is saved\n"
        } else {
            "no suggestion is saved for that\n"
        });
    }
    let mut status = ExitStatus::Clean;
    for patch in saved {
        if !apply_one(&repo, &patch)? {
            status = ExitStatus::FaultsRemain;
        }
    }
    Ok(status)
}

/// Whether the suggestion is done with.
fn apply_one(repo: &Repo, patch: &Path) -> Result<bool> {
    let bytes = fs::read(patch).with_context(|| format!("failed to read `{}`", patch.display()))?;
    let change = match repo.read_patch(&bytes) {
        Ok(change) => change,
        Err(error) => {
            complain(&format!("`{}` is of no use: {error}", patch.display()));
            return Ok(false);
        }
    };
    let plan = plan(repo, &change);
    let n_left = if let Plan::Write { n_left, .. } = plan { n_left } else { 0 };
    let plan = plan.carry_out(repo, &change);
    let shown = shown_path(&change.path);
    if plan == Plan::Written {
        print(&format!("repaired `{}`\n", printable(&shown)))?;
    }
    explain(repo, &change, patch, &plan);
    if !matches!(plan, Plan::Written | Plan::There | Plan::Healthy) {
        return Ok(false);
    }
    fs::remove_file(patch).with_context(|| format!("failed to remove `{}`", patch.display()))?;
    if n_left > 0 {
        let (faults, are) = (counted(n_left, "fault"), if n_left == 1 { "is" } else { "are" });
        let word = word_here(repo, &change.path);
        warn(&format!(
            "{faults} {are} left in `{shown}` on disk, of what was edited since: `lastmile fix {word}`"
        ));
        return Ok(false);
    }
    Ok(true)
}

/// Says what a plan that is not to write leaves to do.
pub(super) fn explain(repo: &Repo, change: &Change, patch: &Path, plan: &Plan) {
    let shown = shown_path(&change.path);
    let why = match plan {
        Plan::Write { .. } => return,
        Plan::Written | Plan::There | Plan::Healthy => {
            let add = shell_line(repo, &["add", "--"], &change.path);
            let what = match plan {
                Plan::Written => "look at it, then stage it",
                Plan::There => "the file on disk is repaired already; stage it",
                _ => "the file on disk has no fault; stage it",
            };
            return hint(&format!("`{shown}`: {what}: `{add}`"));
        }
        Plan::Conflict => "lines of the repair were edited since they were staged",
        Plan::NoHelp => "it would have as many faults as before",
        Plan::Missing => "it is not there",
        Plan::Guarded => "it is a link, is read-only, is no text or lies outside of the repository",
        Plan::Failed(why) => why,
    };
    warn(&format!("`{shown}` on disk is left as it is: {why}"));
    // A commit of named files, or of all, has an index of its own, gone when it ends.
    hint(&if repo.is_staged(change) {
        let line = shell_line(repo, &["apply", "--cached"], patch);
        format!("to repair what is staged, and only that: `{line}`")
    } else {
        format!("the repair is saved as a patch: `{}`", patch.display())
    });
}

/// Finds out how `change` can reach the file on disk without losing anything there.
pub(super) fn plan(repo: &Repo, change: &Change) -> Plan {
    let file = repo.root().join(&change.path);
    let is_guarded = |meta: &fs::Metadata| {
        !meta.is_file() || meta.permissions().readonly() || !lies_in(repo.root(), &file)
    };
    let disk = match fs::symlink_metadata(&file) {
        Ok(meta) if is_guarded(&meta) => return Plan::Guarded,
        Ok(_) => fs::read(&file),
        Err(error) => Err(error),
    };
    let disk = match disk {
        Ok(disk) => disk,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Plan::Missing;
        }
        Err(error) => return Plan::Failed(format!("it cannot be read: {error}")),
    };
    let Some(n_faults) = n_faults(&change.path, &disk) else { return Plan::Guarded };
    if n_faults == 0 {
        return if disk == change.after { Plan::There } else { Plan::Healthy };
    }
    let Some(merged) = change.merge_into(&disk) else { return Plan::Conflict };
    match self::n_faults(&change.path, &merged) {
        Some(n_left) if n_left < n_faults => Plan::Write { disk, merged, n_left },
        _ => Plan::NoHelp,
    }
}

impl Plan {
    /// Writes, if that is the plan.
    pub(super) fn carry_out(self, repo: &Repo, change: &Change) -> Self {
        let Self::Write { disk, merged, .. } = self else { return self };
        match files::replace(&repo.root().join(&change.path), &disk, &merged) {
            Ok(Ok(())) => Self::Written,
            // An editor saved it in this moment, or it has another name that would not be repaired.
            Ok(Err(skip)) => Self::Failed(skip.to_string()),
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

fn n_faults(path: &Path, bytes: &[u8]) -> Option<usize> {
    let source = SourceFile::decode(path.to_owned(), bytes.to_owned()).ok()?;
    Some(diagnose(&source.text, source.language).faults.len())
}

/// Whether a file's folder is where it seems to be, and not behind a link that leads out of `root`.
fn lies_in(root: &Path, file: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    match (real(root), file.parent().and_then(real)) {
        (Some(root), Some(folder)) => folder.starts_with(root),
        _ => false,
    }
}

/// The suggestions that wait, in order of their names.
pub(super) fn saved_patches(repo: &Repo) -> Result<Vec<PathBuf>> {
    let folder = repo.folder();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("failed to read `{}`", folder.display())),
    };
    let mut patches = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            patches.push(path);
        }
    }
    patches.sort();
    Ok(patches)
}

/// A command for the user's shell that works in whichever folder of the repository they are.
pub(super) fn shell_line(repo: &Repo, command: &[&str], path: &Path) -> String {
    let short = path.strip_prefix(repo.root()).unwrap_or(path);
    let place = if is_at_top(repo) { String::new() } else { format!("-C {} ", shell_word(repo.root())) };
    format!("git {place}{} {}", command.join(" "), shell_word(short))
}

/// A file of the working tree as a shell wants it here.
pub(super) fn word_here(repo: &Repo, path: &Path) -> String {
    if is_at_top(repo) { shell_word(path) } else { shell_word(&repo.root().join(path)) }
}

/// The command that takes the suggestions for these files, relative to the top; where names would not do, for all.
pub(super) fn apply_line(repo: &Repo, paths: &[&Path]) -> String {
    let names = paths.iter().map(|path| format!(" {}", shell_word(path)));
    let names = if is_at_top(repo) && paths.len() <= MAX_NAMED { names.collect() } else { String::new() };
    format!("lastmile apply{names}")
}

const MAX_NAMED: usize = 4;

/// Whether the user is in the top folder of the repository.
fn is_at_top(repo: &Repo) -> bool {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    variable("GIT_PREFIX").is_none()
        && matches!((here, repo.root().canonicalize()), (Ok(here), Ok(root)) if here == root)
}

/// A path as a shell wants it. What is no text, or would end the line, needs a shell that knows `$'…'`.
pub(super) fn shell_word(path: &Path) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    match path.to_str() {
        // It would be taken for an option.
        Some(text) if text.starts_with('-') => shell_word(&Path::new(".").join(path)),
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        Some(text) if !text.contains(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let bytes = path.as_os_str().as_encoded_bytes().iter();
            let escaped: String =
                bytes.flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from).collect();
            format!("$'{escaped}'")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        assert_eq!(shell_word(Path::new(path)), expected);
    }

    #[test]
    fn paths_survive_the_shell() {
        check("src/a-b_c.py", "src/a-b_c.py");
        check("two words.py", "'two words.py'");
        check("it's $x.py", r"'it'\''s $x.py'");
        check("a\n'é.py", r"$'a\n\'\xc3\xa9.py'");
    }
}
