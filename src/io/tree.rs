//! Copies of a project for tests to run in: what they write is thrown away, and none sees what another left.
//!
//! A copy holds what git would take: tracked files and those that are not ignored, hidden ones too, without `.git`,
//! whose hooks and settings a test could change. Environments (`.venv`, `node_modules`) are large and know their own
//! path; they are named, for a runner to make them readable where they are.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::{DirEntry, WalkBuilder};

use super::files::path_of;

/// Why a project could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("`{}` cannot be read: {reason}", path.display())]
    Read { path: PathBuf, reason: io::Error },

    #[error("`{}` cannot be written: {reason}", path.display())]
    Write { path: PathBuf, reason: io::Error },

    #[error("`{}` has more than {limit} files, which are too many to copy for tests", root.display())]
    TooMany { root: PathBuf, limit: usize },

    #[error("`{}` has more than {} MiB, which are too many to copy for tests", root.display(), limit >> 20)]
    TooLarge { root: PathBuf, limit: u64 },

    #[error("`{}` is not empty, so nothing is copied there", path.display())]
    NotEmpty { path: PathBuf },

    #[error("`{}` lies inside of the project that is to be copied there", path.display())]
    Inside { path: PathBuf },

    #[error("`{}` leads out of the project", path.display())]
    Outside { path: PathBuf },

    #[error("`{}` is no plain file of at most {} MiB", path.display(), limit >> 20)]
    NotPlain { path: PathBuf, limit: u64 },
}

/// A project to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub root: PathBuf,
    /// Files and folders to copy although git ignores them: those it tracks all the same, and what tests need.
    pub also: Vec<PathBuf>,
    /// Leave out all but these, relative: those of a commit.
    pub only: Option<BTreeSet<PathBuf>>,
    pub limits: Limits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_files: usize,
    pub max_bytes: u64,
}

/// What there is to copy.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Without links on the way.
    pub root: PathBuf,
    /// Relative, in order.
    pub files: Vec<PathBuf>,
    /// Where links lead, relative to the folder they are in.
    links: BTreeMap<PathBuf, PathBuf>,
    /// Environments, relative.
    pub environments: Vec<PathBuf>,
    pub skipped: Vec<Skipped>,
    pub n_bytes: u64,
}

/// Something that is not in the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub path: PathBuf,
    pub reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A link that leads out of the project, or nowhere.
    Link,
    /// A pipe, socket or device.
    Special,
    Unreadable,
    /// It was there a moment ago.
    Vanished,
}

/// Folders that hold an environment, besides those with a `pyvenv.cfg`.
const ENVIRONMENTS: [&str; 1] = ["node_modules"];
/// Where environments are looked for when git ignores them.
const USUAL_NAMES: [&str; 5] = [".venv", "venv", "env", ".env", "node_modules"];

/// Copies a project into the empty folder `into`, with other bytes for the files of `overlay`.
pub fn copy_tree(source: &Source, into: &Path, overlay: &[(PathBuf, Vec<u8>)]) -> Result<Survey, TreeError> {
    let mut survey = survey(source)?;
    let skipped = survey.copy(into, overlay)?;
    survey.skipped.extend(skipped);
    Ok(survey)
}

/// Finds what there is to copy.
pub fn survey(source: &Source) -> Result<Survey, TreeError> {
    let root = fs::canonicalize(&source.root)
        .map_err(|reason| TreeError::Read { path: source.root.clone(), reason })?;
    let mut found = Finding::new(root, source.limits);
    let walk = WalkBuilder::new(&found.survey.root);
    found.walk(walk, Ignoring::AsGit)?;
    for path in &source.also {
        let path = plain(path)?;
        let full = found.survey.root.join(&path);
        found.walk(WalkBuilder::new(full), Ignoring::Nothing)?;
    }
    let mut survey = found.end();
    if let Some(only) = &source.only {
        survey.files.retain(|path| only.contains(path));
        survey.links.retain(|path, _| only.contains(path));
    }
    Ok(survey)
}

#[derive(Clone, Copy, PartialEq)]
enum Ignoring {
    AsGit,
    Nothing,
}

struct Finding {
    limits: Limits,
    survey: Survey,
    files: BTreeSet<PathBuf>,
    environments: BTreeSet<PathBuf>,
}

impl Finding {
    fn new(root: PathBuf, limits: Limits) -> Self {
        let survey = Survey {
            root,
            files: Vec::new(),
            links: BTreeMap::new(),
            environments: Vec::new(),
            skipped: Vec::new(),
            n_bytes: 0,
        };
        Self { limits, survey, files: BTreeSet::new(), environments: BTreeSet::new() }
    }

    fn walk(&mut self, mut builder: WalkBuilder, ignoring: Ignoring) -> Result<(), TreeError> {
        let environments = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&environments);
        let as_git = ignoring == Ignoring::AsGit;
        builder
            .hidden(false)
            .ignore(false)
            .parents(as_git)
            .git_ignore(as_git)
            .git_exclude(as_git)
            .git_global(as_git)
            .require_git(false)
            .filter_entry(move |entry| {
                let is_environment = entry.depth() > 0 && is_environment(entry.path());
                if is_environment {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(entry.path().to_owned());
                }
                !is_environment && !is_left_out(entry)
            });
        for entry in builder.build() {
            match entry {
                Ok(entry) => self.take(&entry, as_git)?,
                Err(error) => self.skip_error(&error)?,
            }
        }
        for path in environments.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            self.environments.insert(self.relative(&path));
        }
        Ok(())
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.survey.root).unwrap_or(path).to_owned()
    }

    fn take(&mut self, entry: &DirEntry, as_git: bool) -> Result<(), TreeError> {
        let path = self.relative(entry.path());
        let Some(kind) = entry.file_type() else { return Ok(()) };
        if kind.is_dir() {
            if as_git {
                let places = USUAL_NAMES.iter().map(|name| (path.join(name), entry.path().join(name)));
                let found = places.filter(|(_, place)| is_environment(place)).map(|(path, _)| path);
                self.environments.extend(found);
            }
        } else if kind.is_symlink() {
            match target(&self.survey.root, &path) {
                Some(target) => drop(self.survey.links.insert(path, target)),
                None => self.skip(path, Reason::Link),
            }
        } else if !kind.is_file() {
            self.skip(path, Reason::Special);
        } else if self.files.insert(path.clone()) {
            if let Ok(about) = fs::symlink_metadata(entry.path()) {
                self.survey.n_bytes += about.len();
            } else {
                self.files.remove(&path);
                self.skip(path, Reason::Vanished);
            }
        }
        self.check_limits()
    }

    fn check_limits(&self) -> Result<(), TreeError> {
        let Limits { max_files, max_bytes } = self.limits;
        let root = || self.survey.root.clone();
        if self.files.len() + self.survey.links.len() > max_files {
            return Err(TreeError::TooMany { root: root(), limit: max_files });
        }
        if self.survey.n_bytes > max_bytes {
            return Err(TreeError::TooLarge { root: root(), limit: max_bytes });
        }
        Ok(())
    }

    fn skip(&mut self, path: PathBuf, reason: Reason) {
        self.survey.skipped.push(Skipped { path, reason });
    }

    /// What cannot be read is left out; only the project's own folder must be.
    fn skip_error(&mut self, error: &ignore::Error) -> Result<(), TreeError> {
        let path = path_of(error).unwrap_or_default();
        if path == self.survey.root || path.as_os_str().is_empty() {
            return Err(TreeError::Read { path, reason: io::Error::other(error.to_string()) });
        }
        let is_gone = error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
        let path = self.relative(&path);
        self.skip(path, if is_gone { Reason::Vanished } else { Reason::Unreadable });
        Ok(())
    }

    fn end(mut self) -> Survey {
        self.survey.files = self.files.into_iter().collect();
        self.survey.environments = self.environments.into_iter().collect();
        self.survey
    }
}

pub(super) fn is_environment(path: &Path) -> bool {
    let is_named = path.file_name().is_some_and(|name| ENVIRONMENTS.iter().any(|known| name == *known));
    (is_named && path.is_dir()) || path.join("pyvenv.cfg").is_file()
}

/// Git's own files, and compiled Python that an older text may be read from.
fn is_left_out(entry: &DirEntry) -> bool {
    entry.depth() > 0 && (entry.file_name() == ".git" || entry.file_name() == "__pycache__")
}

/// Where a link leads, if that is inside of `root` and will be so in a copy.
///
/// So it must be relative, must not leave the project on its way, and must end inside of it.
fn target(root: &Path, link: &Path) -> Option<PathBuf> {
    let target = fs::read_link(root.join(link)).ok()?;
    let mut depth = link.components().count() - 1;
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth = depth.checked_sub(1)?,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let end = fs::canonicalize(root.join(link)).ok()?;
    end.starts_with(root).then_some(target)
}

/// A relative path without `.` and `..`.
fn plain(path: &Path) -> Result<PathBuf, TreeError> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    let is_plain =
        parts.clone().all(|part| matches!(part, Component::Normal(_))) && parts.clone().count() > 0;
    if is_plain { Ok(parts.collect()) } else { Err(TreeError::Outside { path: path.to_owned() }) }
}

impl Survey {
    /// Copies all that was found into the empty folder `into`; returns what could not be read any more.
    ///
    /// Files are copied, never linked, and keep their modes.
    pub fn copy(&self, into: &Path, overlay: &[(PathBuf, Vec<u8>)]) -> Result<Vec<Skipped>, TreeError> {
        let into = self.empty_folder(into)?;
        let mut folders = HashSet::new();
        let mut skipped = Vec::new();
        for path in &self.files {
            let to = into.join(path);
            make_parent(&to, &mut folders)?;
            if let Err(error) = fs::copy(self.root.join(path), &to) {
                let reason = unreadable(&self.root.join(path));
                let reason = reason.ok_or(TreeError::Write { path: to, reason: error })?;
                skipped.push(Skipped { path: path.clone(), reason });
            }
        }
        for (path, target) in &self.links {
            let to = into.join(path);
            make_parent(&to, &mut folders)?;
            if link(target, &to).is_err() {
                skipped.push(Skipped { path: path.clone(), reason: Reason::Link });
            }
        }
        for (path, bytes) in overlay {
            write(&into, &plain(path)?, bytes, &mut folders)?;
        }
        Ok(skipped)
    }

    fn empty_folder(&self, into: &Path) -> Result<PathBuf, TreeError> {
        let fail = |reason| TreeError::Write { path: into.to_owned(), reason };
        fs::create_dir_all(into).map_err(fail)?;
        let full = fs::canonicalize(into).map_err(fail)?;
        if full.starts_with(&self.root) {
            // It may have been made just now; a folder with anything in it stays.
            let _ = fs::remove_dir(&full);
            return Err(TreeError::Inside { path: into.to_owned() });
        }
        if fs::read_dir(&full).map_err(fail)?.next().is_some() {
            return Err(TreeError::NotEmpty { path: into.to_owned() });
        }
        Ok(full)
    }
}

/// Why a file cannot be read; `None` when it can.
fn unreadable(path: &Path) -> Option<Reason> {
    match fs::File::open(path) {
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Reason::Vanished),
        Err(_) => Some(Reason::Unreadable),
    }
}

fn make_parent(path: &Path, folders: &mut HashSet<PathBuf>) -> Result<(), TreeError> {
    let Some(folder) = path.parent().filter(|folder| !folders.contains(*folder)) else { return Ok(()) };
    fs::create_dir_all(folder).map_err(|reason| TreeError::Write { path: folder.to_owned(), reason })?;
    folders.insert(folder.to_owned());
    Ok(())
}

/// Replaces or makes a file of the copy. A link is followed, and the mode stays.
fn write(into: &Path, path: &Path, bytes: &[u8], folders: &mut HashSet<PathBuf>) -> Result<(), TreeError> {
    let fail = |reason| TreeError::Write { path: into.join(path), reason };
    make_parent(&into.join(path), folders)?;
    let Ok(place) = fs::canonicalize(into.join(path)) else {
        return fs::write(into.join(path), bytes).map_err(fail);
    };
    if !place.starts_with(into) {
        return Err(TreeError::Outside { path: path.to_owned() });
    }
    let mode = fs::metadata(&place).map_err(fail)?.permissions();
    // A file that is read-only can be replaced, though not written.
    fs::remove_file(&place).map_err(fail)?;
    fs::write(&place, bytes).map_err(fail)?;
    fs::set_permissions(&place, mode).map_err(fail)
}

#[cfg(unix)]
fn link(target: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, to)
}

/// Windows asks for rights that few have.
#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The bytes of a file that tests wrote at the top of a copy; `None` when there is none.
///
/// The tests are not trusted: a link there may lead to any file, a pipe may never end. They must have ended before.
pub fn read_result(tree: &Path, name: &str, limit: u64) -> Result<Option<Vec<u8>>, TreeError> {
    let path = tree.join(name);
    let fail = |reason| TreeError::Read { path: path.clone(), reason };
    let about = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        about => about.map_err(fail)?,
    };
    if !about.is_file() || about.len() > limit {
        return Err(TreeError::NotPlain { path, limit });
    }
    let mut bytes = Vec::new();
    fs::File::open(&path).map_err(fail)?.take(limit).read_to_end(&mut bytes).map_err(fail)?;
    Ok(Some(bytes))
}
