//! What is about to be committed, read from the index that git names, and how a repair gets from there to the disk.
//!
//! Nothing here writes to the index, to a reference or to the stash.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use git2::{
    AttrCheckFlags, AttrValue, Commit, Delta, Diff, DiffFindOptions, DiffOptions, ErrorCode, FileMode, Index,
    MergeFileInput, Oid, Patch, Repository,
};
use memchr::memmem;

use crate::review::Hunk;

/// Why git's side of a command failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("`{}` is not inside a git repository that can be read", path.display())]
    NotARepository { path: PathBuf, source: git2::Error },

    #[error("the repository `{}` has no working tree", path.display())]
    Bare { path: PathBuf },

    #[error("failed to list what is staged")]
    Index { source: git2::Error },

    #[error("failed to read the staged text of `{}`", path.display())]
    ReadBlob { path: PathBuf, source: git2::Error },

    #[error("failed to compare two versions of `{}`", path.display())]
    Diff { path: PathBuf, source: git2::Error },

    #[error("the patch is not one that lastmile wrote")]
    Patch,

    #[error("failed to read the setting `core.hooksPath`")]
    Config { source: git2::Error },

    #[error(
        "the setting `core.hooksPath` is empty, so that git runs no hook; `git config --unset core.hooksPath` ends that"
    )]
    NoHooks,

    #[error("this clone does not hold the commit `{name}`")]
    Commit { name: String, source: git2::Error },

    #[error("this clone does not hold what `{base}` and `{head}` have in common")]
    Compare { base: String, head: String, source: git2::Error },
}

/// A repository, as the environment names it: inside a hook that is git's own choice of folder and index.
pub struct Repo {
    inner: Repository,
    root: PathBuf,
}

/// The name of a text in git's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobId(Oid);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One path that the commit touches, or that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Relative to [`Repo::root`].
    pub path: PathBuf,
    pub content: Content,
}

/// One file that a branch changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Relative to [`Repo::root`].
    pub path: PathBuf,
    pub content: Content,
    /// What the diff shows of the file after the change.
    pub hunks: Vec<Hunk>,
}

/// What a commit holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitFiles {
    pub all: BTreeSet<PathBuf>,
    /// Files that are not so on disk.
    pub changed: Vec<(PathBuf, Vec<u8>)>,
}

/// What the index holds for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Text(BlobId),
    None(Skip),
}

/// Why a path has no text of its own that could be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    IntentToAdd,
    Unmerged,
    Submodule,
    Symlink,
    Untracked,
    Filter(String),
    Encoding(String),
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IntentToAdd => f.write_str("only the intent to add it is staged"),
            Self::Unmerged => f.write_str("it is unmerged"),
            Self::Submodule => f.write_str("it is a submodule"),
            Self::Symlink => f.write_str("it is a symbolic link"),
            Self::Untracked => f.write_str("git does not track it"),
            Self::Filter(name) => write!(f, "the filter `{name}` stores it in another form"),
            Self::Encoding(name) => write!(f, "it is written in `{name}` on disk"),
        }
    }
}

impl Repo {
    /// Opens the repository that `GIT_DIR` or else the current folder belongs to, with the index `GIT_INDEX_FILE`
    /// names, if it names one: `git commit -a` and `git commit PATH` prepare theirs under another name.
    pub fn open() -> Result<Self, GitError> {
        let inner = Repository::open_from_env()
            .map_err(|source| GitError::NotARepository { path: PathBuf::from("."), source })?;
        // `git --git-dir=… --work-tree=…`: libgit2 asks a bare repository for no working tree, and takes another one as
        // relative to the repository, not to this folder.
        if let Some(tree) = std::env::var_os("GIT_WORK_TREE").map(PathBuf::from) {
            let tree = std::path::absolute(&tree).unwrap_or(tree);
            let named = inner.set_workdir(&tree, false);
            named.map_err(|source| GitError::NotARepository { path: tree, source })?;
        }
        Self::of(inner)
    }

    /// Opens the repository around a file, wherever this program runs.
    pub fn around(path: &Path) -> Result<Self, GitError> {
        let fail = |source| GitError::NotARepository { path: path.to_owned(), source };
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let real = absolute.canonicalize().unwrap_or(absolute);
        let folder = real.parent().filter(|_| !real.is_dir()).unwrap_or(&real);
        Self::of(Repository::discover(folder).map_err(fail)?)
    }

    fn of(inner: Repository) -> Result<Self, GitError> {
        let root = match inner.workdir() {
            // Without the slash that libgit2 puts behind it.
            Some(root) => root.components().collect(),
            None => return Err(GitError::Bare { path: inner.path().to_owned() }),
        };
        Ok(Self { inner, root })
    }

    /// What the last commit holds of a file on disk.
    pub fn committed(&self, path: &Path) -> Option<Vec<u8>> {
        let real = path.canonicalize().ok()?;
        let inside = real.strip_prefix(self.root.canonicalize().ok()?).ok()?;
        let entry = self.head_tree().ok()??.get_path(inside).ok()?;
        Some(self.inner.find_blob(entry.id()).ok()?.content().to_owned())
    }

    /// Files that are on disk and not so in the last commit, new ones too; relative to [`Self::root`].
    pub fn changed_on_disk(&self) -> Result<Vec<PathBuf>, GitError> {
        let changed = || {
            let mut options = DiffOptions::new();
            options.include_untracked(true).recurse_untracked_dirs(true);
            let head = self.head_tree()?;
            let diff = self.inner.diff_tree_to_workdir_with_index(head.as_ref(), Some(&mut options))?;
            let paths = diff.deltas().filter(|delta| delta.status() != Delta::Deleted);
            Ok(paths.filter_map(|delta| Some(delta.new_file().path()?.to_owned())).collect())
        };
        changed().map_err(|source| GitError::Index { source })
    }

    /// The top of the working tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder for our own files: git leaves it alone, and each linked worktree has its own.
    pub fn folder(&self) -> PathBuf {
        self.inner.path().join("lastmile")
    }

    /// The folder for our own files about hooks, which all linked worktrees share.
    pub fn shared_folder(&self) -> PathBuf {
        self.inner.commondir().join("lastmile")
    }

    /// Where git looks for hooks unless it is told otherwise.
    pub fn own_hooks(&self) -> PathBuf {
        self.inner.commondir().join("hooks")
    }

    /// Where a suggestion for `path` is kept: one for each path, under a name that any system can have.
    pub fn saved(&self, path: &Path) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        let name: String =
            path.file_name().unwrap_or_default().to_string_lossy().chars().map(plain).take(60).collect();
        let hash = Oid::hash_object(git2::ObjectType::Blob, path.as_os_str().as_encoded_bytes());
        let hash = hash.map_or_else(|_| String::new(), |hash| hash.to_string());
        self.folder().join(format!("{name}-{}.patch", &hash[..hash.len().min(8)]))
    }

    /// What the commit changes, by path. A file that equals a parent is not touched: a merge brings many of those.
    pub fn staged(&self) -> Result<Vec<Staged>, GitError> {
        let listed = self.staged_by_libgit2();
        match listed {
            Ok(staged) => Ok(staged),
            // Sparse and split indexes, and trees that a partial clone left out: git itself can read them.
            Err(source) => self.staged_by_git().ok_or(GitError::Index { source }),
        }
    }

    fn staged_by_libgit2(&self) -> Result<Vec<Staged>, git2::Error> {
        let index = self.inner.index()?;
        let mut options = DiffOptions::new();
        options.include_typechange(true).context_lines(0);
        let head = self.head_tree()?;
        let diff = self.inner.diff_tree_to_index(head.as_ref(), Some(&index), Some(&mut options))?;
        let merged = self.merged_trees();
        let mut staged = Vec::new();
        for delta in diff.deltas() {
            let (before, after) = (delta.old_file(), delta.new_file());
            let Some(path) = after.path().or_else(|| before.path()) else { continue };
            if delta.status() == Delta::Deleted || before.id() == after.id() {
                continue;
            }
            let from_parent =
                |tree: &git2::Tree<'_>| tree.get_path(path).is_ok_and(|entry| entry.id() == after.id());
            if !merged.iter().any(from_parent) {
                staged.push(look_up(&index, path));
            }
        }
        Ok(staged)
    }

    /// What the index holds for these paths, which are relative to [`Self::root`].
    pub fn named(&self, paths: &[PathBuf]) -> Result<Vec<Staged>, GitError> {
        let listed = self.inner.index().map(|index| paths.iter().map(|path| look_up(&index, path)).collect());
        match listed {
            Ok(staged) => Ok(staged),
            Err(source) => paths
                .iter()
                .map(|path| self.named_by_git(path))
                .collect::<Option<_>>()
                .ok_or(GitError::Index { source }),
        }
    }

    /// The full name of a commit.
    pub fn commit(&self, name: &str) -> Result<String, GitError> {
        Ok(self.find_commit(name)?.id().to_string())
    }

    /// The commit from which `head` left what the remote has, as far as this clone knows; `None` when it never met it.
    pub fn fork_point(&self, head: &str, remote: &str) -> Option<String> {
        let head = self.find_commit(head).ok()?.id();
        let known = self.inner.references_glob(&format!("refs/remotes/{remote}/*")).ok()?;
        let tips = known.flatten().filter_map(|reference| Some(reference.peel_to_commit().ok()?.id()));
        let bases = tips.filter_map(|tip| self.inner.merge_base(tip, head).ok());
        let ahead =
            |base: &Oid| self.inner.graph_ahead_behind(head, *base).map_or(usize::MAX, |(ahead, _)| ahead);
        bases.min_by_key(ahead).map(|base| base.to_string())
    }

    /// Files that git tracks although it would ignore them; relative to [`Self::root`].
    pub fn tracked_and_ignored(&self) -> Vec<PathBuf> {
        let Ok(index) = self.inner.index() else { return Vec::new() };
        self.ignored(index.iter().map(|entry| path_of(&entry.path)))
    }

    /// Those of `paths`, relative to [`Self::root`], that git would ignore.
    pub fn ignored(&self, paths: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
        paths.filter(|path| self.inner.is_path_ignored(path).unwrap_or(false)).collect()
    }

    /// All files of a commit, and the bytes of those that are not so on disk; relative to [`Self::root`].
    pub fn files_of(&self, commit: &str) -> Result<CommitFiles, GitError> {
        let read = || -> Result<CommitFiles, git2::Error> {
            let tree = self.inner.revparse_single(commit)?.peel_to_tree()?;
            let mut files = CommitFiles::default();
            let mut index = Index::new()?;
            index.read_tree(&tree)?;
            files.all = index.iter().map(|entry| path_of(&entry.path)).collect();
            let diff = self.inner.diff_tree_to_workdir_with_index(Some(&tree), None)?;
            for delta in diff.deltas() {
                let file = delta.old_file();
                let is_plain = matches!(file.mode(), FileMode::Blob | FileMode::BlobExecutable);
                if let Some(path) = file.path().filter(|_| is_plain && delta.status() != Delta::Added) {
                    files
                        .changed
                        .push((path.to_owned(), self.inner.find_blob(file.id())?.content().to_owned()));
                }
            }
            Ok(files)
        };
        read().map_err(|source| GitError::Commit { name: commit.to_owned(), source })
    }

    fn find_commit(&self, name: &str) -> Result<Commit<'_>, GitError> {
        let commit = self.inner.revparse_single(name).and_then(|object| object.peel_to_commit());
        commit.map_err(|source| GitError::Commit { name: name.to_owned(), source })
    }

    /// What `head` changes since it left `base`, as `git diff base...head` shows it: files that are `wanted` and not
    /// deleted, by path. Without a base these are all files.
    pub fn changed(
        &self,
        base: Option<&str>,
        head: &str,
        wanted: &dyn Fn(&Path) -> bool,
    ) -> Result<Vec<Changed>, GitError> {
        let (from, to) = (base.map(|base| self.find_commit(base)).transpose()?, self.find_commit(head)?);
        let changed = || {
            let common = from.map(|from| self.inner.merge_base(from.id(), to.id())).transpose()?;
            let common = common.map(|common| self.inner.find_commit(common)?.tree()).transpose()?;
            // As git has it by itself.
            let mut options = DiffOptions::new();
            options.indent_heuristic(true);
            let (from, to) = (common.as_ref(), to.tree()?);
            let mut diff = self.inner.diff_tree_to_tree(from, Some(&to), Some(&mut options))?;
            diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;
            let mut changed = Vec::new();
            for (idx, delta) in diff.deltas().enumerate() {
                let file = delta.new_file();
                let Some(path) = file.path().filter(|path| delta.status() != Delta::Deleted && wanted(path))
                else {
                    continue;
                };
                let mut hunks = Vec::new();
                // Binary files have none.
                if let Some(shown) = Patch::from_diff(&diff, idx)? {
                    for hunk_idx in 0..shown.num_hunks() {
                        let (hunk, _) = shown.hunk(hunk_idx)?;
                        let (first, n_lines) = (hunk.new_start() as usize, hunk.new_lines() as usize);
                        hunks.push(Hunk { first, n_lines });
                    }
                }
                let content = content(u32::from(file.mode()), file.id());
                changed.push(Changed { path: path.to_owned(), content, hunks });
            }
            Ok(changed)
        };
        changed().map_err(|source| {
            let base = base.unwrap_or("nothing").to_owned();
            GitError::Compare { base, head: head.to_owned(), source }
        })
    }

    /// The text of a blob, as it is stored.
    pub fn read(&self, path: &Path, id: BlobId) -> Result<Vec<u8>, GitError> {
        match self.inner.find_blob(id.0) {
            Ok(blob) => Ok(blob.content().to_owned()),
            Err(source) => Err(GitError::ReadBlob { path: path.to_owned(), source }),
        }
    }

    /// The size of a blob in bytes, found without unpacking it; 0 when it cannot be told.
    pub fn size(&self, id: BlobId) -> usize {
        self.inner.odb().and_then(|odb| odb.read_header(id.0)).map_or(0, |(size, _)| size)
    }

    /// Why the stored text of `path` is not what an editor would show, if so.
    pub fn disguise(&self, path: &Path) -> Option<Skip> {
        let value = |name| {
            let bytes = self.inner.get_attr_bytes(path, name, AttrCheckFlags::FILE_THEN_INDEX).ok()?;
            match AttrValue::from_bytes(bytes) {
                AttrValue::String(text) => Some(text.to_owned()),
                AttrValue::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                AttrValue::True | AttrValue::False | AttrValue::Unspecified => None,
            }
        };
        value("filter").map(Skip::Filter).or_else(|| value("working-tree-encoding").map(Skip::Encoding))
    }

    fn head_tree(&self) -> Result<Option<git2::Tree<'_>>, git2::Error> {
        match self.inner.head() {
            Ok(head) => head.peel_to_tree().map(Some),
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn merged_trees(&self) -> Vec<git2::Tree<'_>> {
        let heads = std::fs::read_to_string(self.inner.path().join("MERGE_HEAD")).unwrap_or_default();
        let tree = |line| self.inner.find_commit(Oid::from_str(line).ok()?).ok()?.tree().ok();
        heads.lines().filter_map(tree).collect()
    }

    fn staged_by_git(&self) -> Option<Vec<Staged>> {
        let head = match self.inner.head() {
            Ok(_) => "HEAD",
            Err(_) => EMPTY_TREE,
        };
        let arguments = ["diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", head, "--"];
        let listing = self.git(arguments.map(OsStr::new))?;
        let mut staged = Vec::new();
        let mut fields = listing.split(|byte| *byte == 0);
        while let (Some(meta), Some(path)) = (fields.next().filter(|meta| !meta.is_empty()), fields.next()) {
            let meta: Vec<&str> = std::str::from_utf8(meta).ok()?.split(' ').collect();
            let &[_, mode, before, after, status] = meta.as_slice() else { return None };
            if status == "D" || (before == after && status != "U") {
                continue;
            }
            let content = match status {
                "U" => Content::None(Skip::Unmerged),
                _ => content(u32::from_str_radix(mode, 8).ok()?, Oid::from_str(after).ok()?),
            };
            staged.push(Staged { path: path_of(path), content });
        }
        Some(staged)
    }

    fn named_by_git(&self, path: &Path) -> Option<Staged> {
        let options = ["--literal-pathspecs", "ls-files", "--stage", "-z", "--"].map(OsStr::new);
        let listing = self.git(options.into_iter().chain([path.as_os_str()]))?;
        let content =
            match listing.split(|byte| *byte == b'\t').next().and_then(|meta| std::str::from_utf8(meta).ok())
            {
                Some(meta) if !meta.is_empty() => match meta.split(' ').collect::<Vec<_>>().as_slice() {
                    [mode, id, "0"] => content(u32::from_str_radix(mode, 8).ok()?, Oid::from_str(id).ok()?),
                    _ => Content::None(Skip::Unmerged),
                },
                _ => Content::None(Skip::Untracked),
            };
        Some(Staged { path: path.to_owned(), content })
    }

    fn git<'a>(&self, arguments: impl IntoIterator<Item = &'a OsStr>) -> Option<Vec<u8>> {
        let output = Command::new("git").args(arguments).current_dir(&self.root).output().ok()?;
        output.status.success().then_some(output.stdout)
    }

    /// Whether the index holds the text of `path` that the patch was made from, and will after the commit.
    pub fn is_staged(&self, change: &Change) -> bool {
        if is_passing() {
            return false;
        }
        let Ok(id) = Oid::hash_object(git2::ObjectType::Blob, &change.before) else { return false };
        let staged = self.named(std::slice::from_ref(&change.path)).unwrap_or_default();
        staged.iter().any(|staged| staged.content == Content::Text(BlobId(id)))
    }

    /// Reads back what [`Change::to_patch`] wrote; lines in front of the diff are skipped.
    pub fn read_patch(&self, bytes: &[u8]) -> Result<Change, GitError> {
        let diff = Diff::from_buffer(bytes).map_err(|_| GitError::Patch)?;
        let file = diff.get_delta(0).ok_or(GitError::Patch)?.old_file();
        let path = file.path().ok_or(GitError::Patch)?.to_owned();
        let before = self.read(&path, BlobId(file.id()))?;
        let after = patched(bytes, &before).ok_or(GitError::Patch)?;
        Ok(Change { path, before, after })
    }

    /// Where git looks for hooks.
    pub fn hooks(&self) -> Result<HooksFolder, GitError> {
        let own = self.own_hooks();
        let config = self
            .inner
            .config()
            .and_then(|mut config| config.snapshot())
            .map_err(|source| GitError::Config { source })?;
        let path = match config.get_path("core.hooksPath") {
            Ok(path) if path.as_os_str().is_empty() => return Err(GitError::NoHooks),
            Ok(path) => self.root.join(path),
            Err(error) if error.code() == ErrorCode::NotFound => own.clone(),
            Err(source) => return Err(GitError::Config { source }),
        };
        // The folders of git's own are known by their real names.
        let path = path.canonicalize().unwrap_or(path);
        let owner = match () {
            () if path.starts_with(self.inner.commondir()) || path == own => HooksOwner::Git,
            () if path.starts_with(&self.root) => HooksOwner::Project,
            () => HooksOwner::Shared,
        };
        Ok(HooksFolder { path, owner })
    }
}

/// Whether the index is one that git made for a commit of some files only: it does not hold what else is staged.
pub fn is_passing() -> bool {
    std::env::var_os("GIT_INDEX_FILE").is_some_and(|name| name.as_encoded_bytes().ends_with(b".lock"))
}

/// A suggestion as it was saved: the staged text that it was made from, and the repaired one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub path: PathBuf,
    pub before: Vec<u8>,
    pub after: Vec<u8>,
}

impl Change {
    /// The change in the form that `git apply` reads.
    pub fn to_patch(&self) -> Result<Vec<u8>, GitError> {
        let diff = || {
            let mut options = DiffOptions::new();
            options.force_text(true).id_abbrev(40).indent_heuristic(false);
            let path = Some(self.path.as_path());
            Patch::from_buffers(&self.before, path, &self.after, path, Some(&mut options))?.to_buf()
        };
        match diff() {
            Ok(patch) => Ok(without_mode(&patch)),
            Err(source) => Err(GitError::Diff { path: self.path.clone(), source }),
        }
    }

    /// Brings the change into `disk`, a text that shares its origin with `before`; `None` where both changed the
    /// same lines. Line ends that a checkout turned into CRLF stay so.
    pub fn merge_into(&self, disk: &[u8]) -> Option<Vec<u8>> {
        if disk == self.before {
            return Some(self.after.clone());
        }
        let unix = replace(disk, b"\r\n", b"\n");
        let is_converted =
            !self.before.contains(&b'\r') && unix != disk && replace(&unix, b"\n", b"\r\n") == disk;
        if !is_converted {
            return merge(&self.before, &self.after, disk);
        }
        Some(replace(&merge(&self.before, &self.after, &unix)?, b"\n", b"\r\n"))
    }
}

/// Takes the file's mode from the second line of a patch: two texts have none, and git would warn about programs.
fn without_mode(patch: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = patch.split(|byte| *byte == b'\n').collect();
    if let Some(index) = lines.get_mut(1) {
        *index = index.strip_suffix(b" 100644").unwrap_or(index);
    }
    lines.join(&b'\n')
}

fn merge(before: &[u8], after: &[u8], disk: &[u8]) -> Option<Vec<u8>> {
    // libgit2 hands out an empty result as a null pointer.
    if disk == before || after.is_empty() || disk.is_empty() {
        return (disk == before).then(|| after.to_owned());
    }
    // Most calls set libgit2 up when they are the first; `merge_file` leaves that to others.
    let _ = Oid::hash_object(git2::ObjectType::Blob, before).ok()?;
    let input = |content| {
        let mut input = MergeFileInput::new();
        input.content(content);
        input
    };
    let merged = git2::merge_file(&input(before), &input(disk), &input(after), None).ok()?;
    merged.is_automergeable().then(|| merged.content().to_owned())
}

fn replace(text: &[u8], find: &[u8], put: &[u8]) -> Vec<u8> {
    let (mut replaced, mut done) = (Vec::with_capacity(text.len()), 0);
    for at in memmem::find_iter(text, find) {
        replaced.extend_from_slice(&text[done..at]);
        replaced.extend_from_slice(put);
        done = at + find.len();
    }
    replaced.extend_from_slice(&text[done..]);
    replaced
}

/// Does what the hunks of `patch` say to `before`; `None` when they do not belong together.
///
/// Reads bytes of its own: of lines that hold a NUL, as those of UTF-16 do, libgit2 gives only what comes before it.
fn patched(patch: &[u8], before: &[u8]) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = before.split_inclusive(|byte| *byte == b'\n').collect();
    let mut after = Vec::with_capacity(before.len());
    let mut next = 0;
    let said = patch.split_inclusive(|byte| *byte == b'\n').skip_while(|line| !line.starts_with(b"@@ -"));
    let mut said = said.peekable();
    while let Some(line) = said.next() {
        let (mark, text) = line.split_first()?;
        // "\ No newline at end of file" is a line of its own behind the one it speaks of.
        let ends_bare = said.peek().is_some_and(|next| next.starts_with(b"\\"));
        let text = text.strip_suffix(b"\n").filter(|_| ends_bare).unwrap_or(text);
        match mark {
            b'@' => {
                let start = hunk_start(line)?;
                after.extend(lines.get(next..start)?.concat());
                next = start;
            }
            b' ' | b'-' | b'+' => {
                if *mark != b'+' {
                    if *lines.get(next)? != text {
                        return None;
                    }
                    next += 1;
                }
                if *mark != b'-' {
                    after.extend_from_slice(text);
                }
            }
            b'\\' => {}
            _ => return None,
        }
    }
    after.extend(lines.get(next..)?.concat());
    Some(after)
}

/// How many lines stand before a hunk, by its header `@@ -12,3 +12,4 @@`.
fn hunk_start(header: &[u8]) -> Option<usize> {
    let old = std::str::from_utf8(header).ok()?.strip_prefix("@@ -")?.split(' ').next()?;
    let (start, n_lines) = old.split_once(',').unwrap_or((old, "1"));
    // A hunk that takes no line away names the line before it.
    start.parse::<usize>().ok()?.checked_sub(usize::from(n_lines != "0"))
}

/// The folder from which git runs hooks here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HooksFolder {
    pub path: PathBuf,
    pub owner: HooksOwner,
}

/// Whose files the hooks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HooksOwner {
    /// Inside git's own folder: of this clone alone.
    Git,
    /// Inside the working tree: perhaps committed, and so everybody's.
    Project,
    /// Elsewhere: perhaps of several repositories.
    Shared,
}

/// The tree without files, which every repository knows.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
/// The bit of an index entry's second word of flags that marks `git add --intent-to-add`.
const INTENT_TO_ADD: u16 = 1 << 13;

fn look_up(index: &Index, path: &Path) -> Staged {
    let content = match index.get_path(path, 0) {
        Some(entry) if entry.flags_extended & INTENT_TO_ADD != 0 => Content::None(Skip::IntentToAdd),
        Some(entry) => content(entry.mode, entry.id),
        None if (1..=3).any(|stage| index.get_path(path, stage).is_some()) => Content::None(Skip::Unmerged),
        None => Content::None(Skip::Untracked),
    };
    Staged { path: path.to_owned(), content }
}

fn content(mode: u32, id: Oid) -> Content {
    match mode {
        0o120_000 => Content::None(Skip::Symlink),
        0o160_000 => Content::None(Skip::Submodule),
        _ => Content::Text(BlobId(id)),
    }
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::change::Encoding;

    fn change(path: &str, before: &str, after: &str) -> Change {
        Change { path: PathBuf::from(path), before: before.into(), after: after.into() }
    }

    #[track_caller]
    fn check_patch(path: &str, before: &str, after: &str, expected: &str) {
        let written = change(path, before, after).to_patch().unwrap();
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }

    #[test]
    fn a_patch_is_what_git_apply_reads() {
        let index =
            "index 4a1e04aca198ab6bc8bad2149afad2a7cc3ad45c..a19096b572ed8dab6bb8b565294b78f5da9d24b9";
        check_patch(
            "a b.py",
            "f(\n",
            "f()\n",
            &format!(
                "diff --git a/a b.py b/a b.py\n{index}\n--- a/a b.py\n+++ b/a b.py\n@@ -1 +1 @@\n-f(\n+f()\n"
            ),
        );
        check_patch(
            "\n\"é.py",
            "f(\n",
            "f()\n",
            &format!(
                "diff --git {0}a{1} {0}b{1}\n{index}\n--- {0}a{1}\n+++ {0}b{1}\n@@ -1 +1 @@\n-f(\n+f()\n",
                '"', r#"/\n\"\303\251.py""#
            ),
        );
    }

    #[track_caller]
    fn check_merge(before: &str, after: &str, disk: &str, expected: Option<&str>) {
        let merged = change("f.py", before, after).merge_into(disk.as_bytes());
        assert_eq!(merged.map(|bytes| String::from_utf8(bytes).unwrap()).as_deref(), expected);
    }

    #[test]
    fn merges_what_does_not_meet() {
        check_merge("a(\n", "a()\n", "a(\n", Some("a()\n"));
        check_merge("a(\nb\nc\n", "a()\nb\nc\n", "a(\nb\nd\n", Some("a()\nb\nd\n"));
        check_merge("a(\nb\nc\n", "a()\nb\nc\n", "a(1\nb\nc\n", None);
        check_merge("a(\nb\nc", "a()\nb\nc", "a(\nb\nc\nd", Some("a()\nb\nc\nd"));
        check_merge("a(\n", "a()\n", "", None);
    }

    #[test]
    fn a_checkout_with_crlf_keeps_it() {
        check_merge("a(\nb\n", "a()\nb\n", "a(\r\nb\r\n", Some("a()\r\nb\r\n"));
        check_merge("a(\nb\nc\n", "a()\nb\nc\n", "a(\r\nb\r\nd\r\n", Some("a()\r\nb\r\nd\r\n"));
        check_merge("a(\r\nb\r\n", "a()\r\nb\r\n", "a(\r\nb\r\n", Some("a()\r\nb\r\n"));
        check_merge("a(\nb\nc\n", "a()\nb\nc\n", "a(\nb\r\nd\r\n", None);
    }

    #[test]
    fn a_patch_of_utf16_can_be_read_back() {
        let [before, after] = ["f (\r\n\r\nb\r\n", "f ()\r\n\r\nb\r\n"]
            .map(|text| Encoding::Utf16Le.encode(text).expect("it holds all text").into_owned());
        let change = Change { path: PathBuf::from("f.ps1"), before: before.clone(), after: after.clone() };
        let patch = change.to_patch().expect("two texts");
        assert_eq!(patched(&patch, &before), Some(after));
    }

    proptest! {
        #[test]
        fn a_merge_keeps_both_sides_or_does_nothing(n_lines in 1usize..12, repaired in 0usize..12, edited in 0usize..12, crlf: bool) {
            let (repaired, edited) = (repaired % n_lines, edited % n_lines);
            let line = |idx: usize, is_repaired: bool, is_edited: bool| {
                format!("{idx}{}{}\n", if is_repaired { "()" } else { "(" }, if is_edited { " # mine" } else { "" })
            };
            let text = |is_repaired: bool, is_edited: bool| -> String {
                (0..n_lines).map(|idx| line(idx, is_repaired && idx == repaired, is_edited && idx == edited)).collect()
            };
            let end = |text: String| if crlf { text.replace('\n', "\r\n") } else { text };
            let change = change("f.py", &text(false, false), &text(true, false));
            let merged = change.merge_into(end(text(false, true)).as_bytes());
            let is_apart = repaired.abs_diff(edited) > 1;
            prop_assert_eq!(merged, is_apart.then(|| end(text(true, true)).into_bytes()));
        }

        #[test]
        fn a_patch_read_back_is_the_same_change(
            before in "([ab(]{0,2}\r?\n){0,12}[ab]{0,2}",
            after in "([ab)]{0,2}\r?\n){0,12}[ab]{0,2}",
            path in "[a-z \"\\\\é\n\t-]{1,6}\\.py",
        ) {
            prop_assume!(before != after);
            let change = change(&path, &before, &after);
            let mut patch = b"lastmile suggestion\n\n".to_vec();
            patch.extend(change.to_patch().unwrap());
            let diff = Diff::from_buffer(&patch).unwrap();
            prop_assert_eq!(diff.get_delta(0).unwrap().old_file().path(), Some(Path::new(&path)));
            let read = patched(&patch, before.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
            prop_assert_eq!(read, Some(after));
        }
    }
}
