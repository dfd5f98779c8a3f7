//! `lastmile install` and `lastmile uninstall`: git's hook put in place, and taken away without a trace.
//!
//! Somebody else's hook is never changed: it is kept and goes first, or the command refuses and says which line to add.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use memchr::memmem;

use super::ExitStatus;
use super::session::print;
use crate::io::files;
use crate::io::git::{HooksFolder, HooksOwner, Repo};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct InstallArgs {
    /// When git asks lastmile
    #[arg(long, value_enum, value_name = "HOOK", default_value = "pre-commit")]
    hook: Vec<Kind>,
}

const EXAMPLES: &str = "\
Examples:
  lastmile install                                          before each commit
  lastmile install --hook pre-commit --hook pre-push        and before each push, when tests run, too";

/// A hook of git.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Before each commit: what is staged must parse
    PreCommit,
    /// Before each push: what is pushed must parse, and make no test fail
    PrePush,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::PreCommit => "pre-commit",
            Kind::PrePush => "pre-push",
        }
    }

    /// The hook as it stands in the project's own folder `hooks`.
    fn shim(self) -> &'static str {
        match self {
            Kind::PreCommit => include_str!("../../hooks/pre-commit"),
            Kind::PrePush => include_str!("../../hooks/pre-push"),
        }
    }

    /// What a hook of one's own needs to call.
    fn line(self) -> &'static str {
        match self {
            Kind::PreCommit => "lastmile hook pre-commit",
            Kind::PrePush => "lastmile hook pre-push \"$@\"",
        }
    }

    /// The words that tell that a hook calls it already.
    fn words(self) -> String {
        format!("hook {}", self.name())
    }
}

/// Puts hooks in place.
pub(super) fn install(args: &InstallArgs) -> Result<ExitStatus> {
    let repo = Repo::open()?;
    let hooks = repo.hooks()?;
    for kind in &args.hook {
        install_one(*kind, &repo, &hooks)?;
    }
    Ok(ExitStatus::Clean)
}

fn install_one(kind: Kind, repo: &Repo, hooks: &HooksFolder) -> Result<()> {
    let hook = hooks.path.join(kind.name());
    let found = read(&hook)?;
    if let Some(text) = &found {
        if read(&record_of(kind, repo))?.as_ref() == Some(text) {
            return renew(kind, repo, hooks, &hook, text);
        }
        if mentions(text, "lastmile") && mentions(text, &kind.words()) {
            say(&format!("`{}` calls lastmile already", hook.display()))?;
            return Ok(());
        }
        refuse_manager(kind, text, &hook)?;
    } else if is_husky(&hooks.path) {
        refuse_husky(kind, &hook, "husky writes the files there")?;
    }
    match hooks.owner {
        HooksOwner::Shared => {
            let why = "`core.hooksPath` leads out of this repository, where the hook would serve others too";
            refuse(&hook, why, &format!("`{}`", hook.display()), kind.line())?;
        }
        HooksOwner::Project if found.is_some() => {
            let why = "the working tree has a hook of its own there";
            refuse(&hook, why, &format!("`{}`", hook.display()), kind.line())?;
        }
        HooksOwner::Project | HooksOwner::Git => {}
    }
    put(kind, repo, hooks, &hook, found.is_some())
}

fn put(kind: Kind, repo: &Repo, hooks: &HooksFolder, hook: &Path, is_taken: bool) -> Result<()> {
    let shim = shim_for(kind, hooks);
    let kept = kept_beside(hook);
    if is_taken && kept.symlink_metadata().is_ok() {
        bail!("`{}` is there already: an earlier hook is kept in it", kept.display());
    }
    fs::create_dir_all(&hooks.path).with_context(|| format!("failed to make `{}`", hooks.path.display()))?;
    let mut new = tempfile::NamedTempFile::new_in(&hooks.path)?;
    new.write_all(shim.as_bytes())?;
    make_executable(new.path())?;
    let record = record_of(kind, repo);
    fs::create_dir_all(repo.shared_folder())?;
    files::create(&record, shim.as_bytes())?;
    // At no time is there none of the two.
    files::between_writes(|| {
        if is_taken {
            fs::rename(hook, &kept).with_context(|| format!("failed to keep `{}`", hook.display()))?;
        }
        if let Err(error) = new.persist_noclobber(hook) {
            if is_taken {
                fs::rename(&kept, hook)?;
            }
            return Err(error.error).with_context(|| format!("failed to write `{}`", hook.display()));
        }
        Ok(())
    })?;
    say(&format!("installed `{}`", hook.display()))?;
    if is_taken {
        say(&format!("the hook that was there goes first; it is kept as `{}`", kept.display()))?;
    }
    if hooks.owner == HooksOwner::Project {
        say("it lies in the working tree: commit it to share it")?;
    }
    Ok(())
}

/// Our own hook, untouched: brought up to date when this program is another than the one that wrote it.
fn renew(kind: Kind, repo: &Repo, hooks: &HooksFolder, hook: &Path, text: &[u8]) -> Result<()> {
    let shim = shim_for(kind, hooks);
    if shim.as_bytes() == text {
        return say(&format!("`{}` is in place already", hook.display()));
    }
    files::create(&record_of(kind, repo), shim.as_bytes())?;
    // An interruption here leaves a hook that works and that `uninstall` takes for an edited one.
    if files::replace(hook, text, shim.as_bytes())?.is_err() {
        bail!("`{}` changed in this moment", hook.display());
    }
    say(&format!("renewed `{}`", hook.display()))
}

/// Puts back what [`install`] found.
pub(super) fn uninstall() -> Result<ExitStatus> {
    let repo = Repo::open()?;
    let mut n_found = 0;
    for kind in Kind::value_variants() {
        let record = record_of(*kind, &repo);
        if let Some(shim) = read(&record)? {
            uninstall_one(*kind, &repo, &shim)?;
            fs::remove_file(&record)?;
            n_found += 1;
        }
    }
    if n_found == 0 {
        say("nothing to remove: `lastmile install` has not put a hook here")?;
    }
    // Saved suggestions may still lie in it.
    let _ = fs::remove_dir(repo.shared_folder());
    Ok(ExitStatus::Clean)
}

fn uninstall_one(kind: Kind, repo: &Repo, shim: &Vec<u8>) -> Result<()> {
    let folders = [repo.hooks()?.path, repo.own_hooks()];
    let mut hook = folders[0].join(kind.name());
    for folder in &folders {
        let candidate = folder.join(kind.name());
        if read(&candidate)?.as_ref() == Some(shim) {
            hook = candidate;
            break;
        }
    }
    let kept = kept_beside(&hook);
    match read(&hook)? {
        Some(text) if text != *shim => {
            bail!(
                "`{}` was changed after `lastmile install`\nhint: take what runs `{}` out of it yourself{}",
                hook.display(),
                kind.line(),
                if kept.symlink_metadata().is_ok() {
                    format!("; the hook before it is `{}`", kept.display())
                } else {
                    String::new()
                },
            );
        }
        _ if kept.symlink_metadata().is_ok() => {
            fs::rename(&kept, &hook).with_context(|| format!("failed to put `{}` back", hook.display()))?;
            say(&format!("put back `{}` as it was", hook.display()))?;
        }
        Some(_) => {
            fs::remove_file(&hook).with_context(|| format!("failed to remove `{}`", hook.display()))?;
            say(&format!("removed `{}`", hook.display()))?;
        }
        None => say(&format!("`{}` is gone already", hook.display()))?,
    }
    Ok(())
}

fn refuse_manager(kind: Kind, hook: &[u8], path: &Path) -> Result<()> {
    if mentions(hook, "generated by pre-commit") || mentions(hook, "generated by prek") {
        let config = format!(
            "  - repo: local\n    hooks:\n      - {{id: lastmile, name: lastmile, entry: lastmile hook {}, language: system, {}}}",
            kind.name(),
            match kind {
                Kind::PreCommit => "types: [file], require_serial: true",
                Kind::PrePush => "stages: [pre-push], pass_filenames: false, always_run: true",
            },
        );
        refuse(path, "pre-commit or prek wrote it", "`repos` in `.pre-commit-config.yaml`", &config)?;
    }
    if mentions(hook, "lefthook") {
        let config = match kind {
            Kind::PreCommit => "pre-commit:\n  jobs:\n    - {name: lastmile, run: lastmile hook pre-commit}",
            // What git says on stdin reaches only who asks for it.
            Kind::PrePush => {
                "pre-push:\n  jobs:\n    - {name: lastmile, run: lastmile hook pre-push {1} {2}, use_stdin: true}"
            }
        };
        refuse(path, "lefthook wrote it", "`lefthook.yml`", config)?;
    }
    if path.parent().is_some_and(is_husky) || mentions(hook, "husky") {
        refuse_husky(kind, path, "husky wrote it")?;
    }
    Ok(())
}

fn refuse_husky(kind: Kind, hook: &Path, why: &str) -> Result<()> {
    refuse(hook, why, &format!("`.husky/{}`", kind.name()), kind.line())
}

fn refuse(hook: &Path, why: &str, whereto: &str, lines: &str) -> Result<()> {
    let what = if lines.contains('\n') { "these lines" } else { "this line" };
    bail!("`{}` is left as it is: {why}\nhint: add {what} to {whereto}:\n{lines}", hook.display())
}

/// Husky 9 has git look in `.husky/_` and keeps people's files in `.husky`.
fn is_husky(folder: &Path) -> bool {
    folder.ends_with(".husky/_")
}

/// The hook as it is to be written.
fn shim_for(kind: Kind, hooks: &HooksFolder) -> String {
    let program = match hooks.owner {
        HooksOwner::Git => std::env::current_exe().ok(),
        // Others will check this file out, where this machine's paths mean nothing.
        HooksOwner::Project | HooksOwner::Shared => None,
    };
    let Some(program) = program.as_deref().and_then(Path::to_str) else { return kind.shim().to_owned() };
    let line = format!("installed='{}'\n", program.replace('\\', "/").replace('\'', r"'\''"));
    kind.shim().replacen("installed=\n", &line, 1)
}

/// Where the hook that was there first is kept.
fn kept_beside(hook: &Path) -> PathBuf {
    hook.with_extension("before-lastmile")
}

/// A copy of the hook as it was installed tells an untouched one from one that was edited.
fn record_of(kind: Kind, repo: &Repo) -> PathBuf {
    repo.shared_folder().join(format!("installed-{}", kind.name()))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        // A link that leads nowhere is no hook, but it is somebody's.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(path.is_symlink().then(Vec::new)),
        Err(error) => Err(error).with_context(|| format!("failed to read `{}`", path.display())),
    }
}

fn mentions(text: &[u8], words: &str) -> bool {
    memmem::find(text, words.as_bytes()).is_some()
}

#[cfg(unix)]
fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// Git for Windows goes by the first line.
#[cfg(not(unix))]
fn make_executable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

fn say(line: &str) -> Result<()> {
    print(&format!("{line}\n"))
}
