//! `lastmile apply`: the suggestions that the hook saved, brought into the files on disk.
//!
//! Only the working file is written, and only where that loses nothing: what was edited since stays.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::ExitStatus;
use crate::change::SourceFile;
use crate::diagnose::diagnose;
use crate::io::files;
use crate::io::git::{Change, Repo};

/// Which suggestions to take.
#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    /// Files whose suggestions are applied; all of them when none is named
    paths: Vec<PathBuf>,
}

/// What became of a repair that was to reach the file on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Landing {
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
    /// It is a link, cannot be written or lies outside of the repository.
    Guarded,
}

/// Applies what is saved.
pub fn apply(args: &ApplyArgs) -> anyhow::Result<ExitStatus> {
    let repo = Repo::open()?;
    let mut saved = saved_patches(&repo)?;
    if !args.paths.is_empty() {
        let wanted: Vec<PathBuf> = args.paths.iter().map(|path| repo.saved(&super::hook::relative(&repo, path))).collect();
        saved.retain(|patch| wanted.contains(patch));
    }
    if saved.is_empty() {
        anstream::eprintln!("no suggestion is saved{}", if args.paths.is_empty() { "" } else { " for that" });
    }
    let mut status = ExitStatus::Clean;
    for patch in saved {
        let bytes = fs::read(&patch).with_context(|| format!("failed to read `{}`", patch.display()))?;
        let change = match repo.read_patch(&bytes) {
            Ok(change) => change,
            Err(error) => {
                anstream::eprintln!("error: `{}`: {error}", patch.display());
                status = ExitStatus::FaultsRemain;
                continue;
            }
        };
        let landing = land(&repo, &change)?;
        if !tell(&repo, &change.path, &patch, landing) {
            status = ExitStatus::FaultsRemain;
        } else {
            fs::remove_file(&patch)?;
        }
    }
    Ok(status)
}

/// Says what became of a suggestion; whether it is done with.
pub(super) fn tell(repo: &Repo, path: &Path, patch: &Path, landing: Landing) -> bool {
    let shown = path.display();
    let stage = format!("`{}`", git_line(repo, &["add", "--"], path));
    let why = match landing {
        Landing::Written => {
            anstream::println!("repaired `{shown}` on disk");
            anstream::eprintln!("hint: look at it, then stage it: {stage}");
            return true;
        }
        Landing::There => {
            anstream::eprintln!("hint: `{shown}` on disk is repaired already; stage it: {stage}");
            return true;
        }
        Landing::Healthy => {
            anstream::eprintln!("hint: `{shown}` on disk has no fault; stage it: {stage}");
            return true;
        }
        Landing::Conflict => "the lines of the repair were edited after they were staged",
        Landing::NoHelp => "the file on disk would have as many faults as before",
        Landing::Missing => "the file is not on disk",
        Landing::Guarded => "it is a link, is read-only or lies outside of the repository",
    };
    anstream::eprintln!("warning: `{shown}` is left as it is: {why}");
    anstream::eprintln!("hint: to repair only what is staged: `{}`", git_line(repo, &["apply", "--cached"], patch));
    false
}

/// Brings `change` into the file on disk, if that loses nothing there.
pub(super) fn land(repo: &Repo, change: &Change) -> anyhow::Result<Landing> {
    let file = repo.root().join(&change.path);
    let failed = || format!("failed to read `{}`", file.display());
    let disk = match fs::symlink_metadata(&file) {
        Ok(meta) if !meta.is_file() || meta.permissions().readonly() || !lies_in(repo.root(), &file) => {
            return Ok(Landing::Guarded);
        }
        Ok(_) => fs::read(&file).with_context(failed)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Landing::Missing),
        Err(error) => return Err(error).with_context(failed),
    };
    let Some(n_faults) = n_faults(&change.path, &disk) else { return Ok(Landing::Guarded) };
    if n_faults == 0 {
        return Ok(if disk == change.after { Landing::There } else { Landing::Healthy });
    }
    let Some(merged) = change.merge_into(&disk) else { return Ok(Landing::Conflict) };
    if self::n_faults(&change.path, &merged).is_none_or(|n_left| n_left >= n_faults) {
        return Ok(Landing::NoHelp);
    }
    match files::replace(&file, &disk, &merged)? {
        Ok(()) => Ok(Landing::Written),
        // It was saved by an editor in this moment.
        Err(_) => Ok(Landing::Conflict),
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
fn saved_patches(repo: &Repo) -> anyhow::Result<Vec<PathBuf>> {
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
pub(super) fn git_line(repo: &Repo, command: &[&str], path: &Path) -> String {
    let short = path.strip_prefix(repo.root()).unwrap_or(path);
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let is_at_top = std::env::var_os("GIT_PREFIX").is_none_or(|prefix| prefix.is_empty())
        && matches!((here, repo.root().canonicalize()), (Ok(here), Ok(root)) if here == root);
    let place = if is_at_top { String::new() } else { format!("-C {} ", shell_word(repo.root())) };
    format!("git {place}{} {}", command.join(" "), shell_word(short))
}

/// A path as a shell wants it. What is no text, or would end the line, needs a shell that knows `$'…'`.
fn shell_word(path: &Path) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=~\\".contains(c);
    match path.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        Some(text) if !text.contains(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let bytes = path.as_os_str().as_encoded_bytes().iter();
            let escaped: String = bytes.flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from).collect();
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
