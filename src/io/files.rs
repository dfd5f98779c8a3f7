//! Finds, reads and replaces files.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{WalkBuilder, WalkState};
use tempfile::NamedTempFile;

use crate::change::{Limit, Skip};

/// Why files could not be found, read or replaced.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("`{}` cannot be read: {reason}", path.display())]
    Read { path: PathBuf, reason: String },

    #[error("`{}` cannot be written: {reason}; it is as it was", path.display())]
    Write { path: PathBuf, reason: io::Error },

    #[error("`files.exclude` holds a wrong pattern: {0}")]
    Pattern(ignore::Error),
}

/// What one look at a path gave.
pub enum Found {
    /// A file that was asked for by name or found in a folder.
    File {
        path: PathBuf,
        is_named: bool,
    },
    Failed(PathBuf, FileError),
}

impl Found {
    pub fn path(&self) -> &Path {
        match self {
            Found::File { path, .. } | Found::Failed(path, _) => path,
        }
    }
}

/// Patterns of files to leave alone, relative to `folder`.
pub fn excludes(folder: &Path, patterns: &[String]) -> Result<Gitignore, FileError> {
    let mut builder = GitignoreBuilder::new(folder);
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(FileError::Pattern)?;
    }
    builder.build().map_err(FileError::Pattern)
}

/// Whether patterns say to leave a path alone. They say nothing about what lies outside of their folder.
pub fn is_excluded(excludes: &Gitignore, path: &Path, is_folder: bool) -> bool {
    if excludes.is_empty() {
        return false;
    }
    let path = absolute(path);
    path.starts_with(excludes.path()) && excludes.matched_path_or_any_parents(path, is_folder).is_ignore()
}

/// Calls `visit` for every file below `roots`, on several threads and in no order.
///
/// Folders honour .gitignore. Links inside folders are not followed: what they point to is looked at
/// where it lies. A root is always taken, link or not.
pub fn walk(roots: &[PathBuf], excludes: &Gitignore, visit: &(impl Fn(Found) + Sync)) {
    let Some((first, others)) = roots.split_first() else { return };
    let mut builder = WalkBuilder::new(first);
    for root in others {
        builder.add(root);
    }
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    builder.require_git(false).threads(n_threads).build_parallel().run(|| {
        Box::new(move |entry| {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = path_of(&error).unwrap_or_default();
                    let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                    visit(Found::Failed(path.clone(), FileError::Read { path, reason }));
                    return WalkState::Continue;
                }
            };
            let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
            if is_excluded(excludes, entry.path(), is_folder) {
                return WalkState::Skip;
            }
            let is_named = entry.depth() == 0;
            let is_file = entry.file_type().is_none_or(|kind| kind.is_file());
            if is_file || (is_named && !is_folder && !entry.path().is_dir()) {
                let path = entry.into_path();
                let path = path.strip_prefix("./").map(Path::to_owned).unwrap_or(path);
                visit(Found::File { path, is_named });
            }
            WalkState::Continue
        })
    });
}

/// The path that a walk stumbled over.
pub(super) fn path_of(error: &ignore::Error) -> Option<PathBuf> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path.clone()),
        ignore::Error::Loop { child, .. } => Some(child.clone()),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}

/// The path from the root, without `.` and `..`. Links stay.
pub fn absolute(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => _ = plain.pop(),
            other => plain.push(other),
        }
    }
    plain
}

/// The path from the root with links followed, or as it is named where that is not possible.
pub fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| absolute(path))
}

/// The path from a folder, which is named from the root; `None` when it lies elsewhere.
pub fn inside(folder: &Path, path: &Path) -> Option<PathBuf> {
    let path = absolute(path);
    let from_folder = |path: &Path| path.strip_prefix(folder).ok().map(Path::to_owned);
    // The folder may have been reached through a link; the file itself may be one, too, and stays it.
    from_folder(&path).or_else(|| from_folder(&real(path.parent()?).join(path.file_name()?)))
}

/// The first bytes of a file, enough for a `#!` line.
pub fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    // A file that cannot be read here is reported when it is read whole.
    if let Ok(file) = fs::File::open(path) {
        let _ = file.take(128).read_to_end(&mut head);
    }
    head
}

/// All bytes of a regular file that is not larger than the limit.
pub fn read(path: &Path, limit: Limit) -> Result<Result<Vec<u8>, Skip>, FileError> {
    let fail = |error: io::Error| FileError::Read { path: path.to_owned(), reason: error.to_string() };
    // Asked before it is opened: opening a pipe would wait for its writer.
    let about = fs::metadata(path).map_err(fail)?;
    if !about.is_file() {
        return Ok(Err(Skip::NotRegular));
    }
    if let Err(skip) = limit.check(about.len()) {
        return Ok(Err(skip));
    }
    fs::read(path).map(Ok).map_err(fail)
}

/// The whole text of a small file; `None` when there is none.
pub fn read_text(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::Read { path: path.to_owned(), reason: error.to_string() }),
    }
}

/// The nearest file of that name in `folder` or above it.
pub fn nearest(folder: &Path, name: &str) -> Option<PathBuf> {
    absolute(folder).ancestors().map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The nearest file or folder of that name in `folder` or above it.
pub fn nearest_entry(folder: &Path, name: &str) -> Option<PathBuf> {
    absolute(folder).ancestors().map(|folder| folder.join(name)).find(|path| path.exists())
}

static WRITING: Mutex<()> = Mutex::new(());

/// Runs `f` while no file is being replaced, and keeps any from being replaced until it ends.
pub fn between_writes<T>(f: impl FnOnce() -> T) -> T {
    let _guard = WRITING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    f()
}

/// Puts `after` in the place of `before`, all or nothing, with the same permissions.
///
/// A link is followed, so it goes on pointing to the same file. Nothing happens when the file no
/// longer holds `before`.
pub fn replace(path: &Path, before: &[u8], after: &[u8]) -> Result<Result<(), Skip>, FileError> {
    let fail = |reason| FileError::Write { path: path.to_owned(), reason };
    between_writes(|| {
        let target = fs::canonicalize(path).map_err(fail)?;
        let about = fs::metadata(&target).map_err(fail)?;
        if about.permissions().readonly() {
            return Err(fail(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only")));
        }
        if n_names(&about) > 1 {
            return Ok(Err(Skip::Linked));
        }
        let folder = target.parent().unwrap_or(Path::new("."));
        let mut fresh = fresh_in(folder, None).map_err(fail)?;
        fresh.write_all(after).map_err(fail)?;
        keep_owner(fresh.as_file(), &about).map_err(fail)?;
        fresh.as_file().set_permissions(about.permissions()).map_err(fail)?;
        fresh.as_file().sync_all().map_err(fail)?;
        if fs::read(&target).map_err(fail)? != before {
            return Ok(Err(Skip::Changed));
        }
        fresh.persist(&target).map_err(|error| fail(error.error))?;
        Ok(Ok(()))
    })
}

/// Under how many names a file is known: a new file would take the place of one of them.
#[cfg(unix)]
fn n_names(about: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(about)
}

#[cfg(not(unix))]
fn n_names(_: &fs::Metadata) -> u64 {
    1
}

/// Gives a new file the owner and the group of another; an error when that is not allowed.
#[cfg(unix)]
fn keep_owner(fresh: &fs::File, about: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let own = fresh.metadata()?;
    if (own.uid(), own.gid()) == (about.uid(), about.gid()) {
        return Ok(());
    }
    fchown(fresh, Some(about.uid()), Some(about.gid()))
        .map_err(|error| io::Error::new(error.kind(), "it belongs to another user or group"))
}

#[cfg(not(unix))]
fn keep_owner(_: &fs::File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

/// Writes a file that must not be there yet, with the permissions of another.
pub fn create_like(path: &Path, other: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let fail = |reason| FileError::Write { path: path.to_owned(), reason };
    between_writes(|| {
        let mut fresh = fresh_in(folder_of(path), None).map_err(fail)?;
        fresh.write_all(bytes).map_err(fail)?;
        let permissions = fs::metadata(other).map_err(fail)?.permissions();
        fresh.as_file().set_permissions(permissions).map_err(fail)?;
        fresh.persist_noclobber(path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => fail(io::Error::new(error.error.kind(), "it is there already")),
            _ => fail(error.error),
        })?;
        Ok(())
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What the names of files that are being written start with; six letters or digits follow.
const FRESH: &str = ".lastmile-";

/// Nothing is being written for as long as this.
const STALE: Duration = Duration::from_mins(1);

/// The permissions of new files, of which the system takes away what the user does not want.
fn ordinary() -> Option<fs::Permissions> {
    #[cfg(unix)]
    let permissions = Some(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    #[cfg(not(unix))]
    let permissions = None;
    permissions
}

/// A file that will replace one beside it, for its owner alone where no permissions are named. Removes what runs that
/// were killed left in the folder.
fn fresh_in(folder: &Path, permissions: Option<fs::Permissions>) -> io::Result<NamedTempFile> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours = name.to_str().and_then(|name| name.strip_prefix(FRESH)).is_some_and(|letters| {
            letters.len() == 6 && letters.bytes().all(|letter| letter.is_ascii_alphanumeric())
        });
        if is_ours && entry.metadata().is_ok_and(|about| about.is_file() && is_stale(&about)) {
            // Another run may have been faster.
            let _ = fs::remove_file(entry.path());
        }
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(FRESH);
    if let Some(permissions) = permissions {
        builder.permissions(permissions);
    }
    builder.tempfile_in(folder)
}

fn is_stale(about: &fs::Metadata) -> bool {
    about.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE))
}

/// Writes a page: a new file, or in place of one that starts in the same way. A link is followed.
pub fn create_page(path: &Path, page: &str) -> Result<(), FileError> {
    let fail = |reason| FileError::Write { path: path.to_owned(), reason };
    let target = real(path);
    match fs::metadata(&target) {
        // A pipe or a device.
        Ok(about) if !about.is_file() => return fs::write(&target, page).map_err(fail),
        Ok(_) => {
            let known = page.lines().next().unwrap_or_default().as_bytes();
            if !head(&target).starts_with(known) {
                let reason = "it is there already and holds something else";
                return Err(fail(io::Error::new(io::ErrorKind::AlreadyExists, reason)));
            }
        }
        Err(_) => {}
    }
    create(&target, page.as_bytes())
}

/// Writes a file that may not exist yet, all or nothing, with the permissions that new files get.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let fail = |reason| FileError::Write { path: path.to_owned(), reason };
    let mut fresh = fresh_in(folder_of(path), ordinary()).map_err(fail)?;
    fresh.write_all(bytes).map_err(fail)?;
    fresh.as_file().sync_all().map_err(fail)?;
    between_writes(|| fresh.persist(path)).map_err(|error| fail(error.error))?;
    Ok(())
}
