//! The folders that belong to one job alone, made before it and removed after it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::SandboxError;

/// Where a job may leave what it likes.
pub(super) struct Private {
    folder: TempDir,
    /// Links followed.
    path: PathBuf,
}

const PREFIX: &str = "lastmile-job-";
/// No job runs for as long as this.
const STALE: Duration = Duration::from_hours(48);

const HOME: &str = "home";
const TEMP: &str = "tmp";
const SLASH_TEMP: &str = "slash-tmp";
const SHARED_MEMORY: &str = "shm";
const ROOT: &str = "root";
const STDIN: &str = "stdin";

impl Private {
    /// Removes what programs that were killed left long ago, too.
    pub(super) fn new(stdin: Option<&str>) -> Result<Self, SandboxError> {
        let place = std::env::temp_dir();
        remove_stale(&place);
        let fail = |source| SandboxError::Folder { path: place.clone(), source };
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&place).map_err(fail)?;
        let path = folder.path().canonicalize().map_err(fail)?;
        for name in [HOME, TEMP, SLASH_TEMP, SHARED_MEMORY, ROOT] {
            fs::create_dir(path.join(name)).map_err(fail)?;
        }
        if let Some(text) = stdin {
            fs::write(path.join(STDIN), text).map_err(fail)?;
        }
        Ok(Self { folder, path })
    }

    pub(super) fn home(&self) -> PathBuf {
        self.path.join(HOME)
    }

    pub(super) fn temp(&self) -> PathBuf {
        self.path.join(TEMP)
    }

    /// Stands in for `/tmp`. What is shown below it leaves empty folders there, so it is not the job's TMPDIR.
    pub(super) fn slash_temp(&self) -> PathBuf {
        self.path.join(SLASH_TEMP)
    }

    /// Stands in for `/dev/shm`: on disk, where it counts as files and not as memory.
    pub(super) fn shared_memory(&self) -> PathBuf {
        self.path.join(SHARED_MEMORY)
    }

    /// Where the job's own root is put together.
    pub(super) fn root(&self) -> PathBuf {
        self.path.join(ROOT)
    }

    pub(super) fn stdin(&self) -> PathBuf {
        self.path.join(STDIN)
    }

    pub(super) fn remove(self) -> Result<(), SandboxError> {
        let Self { folder, path } = self;
        if folder.close().is_ok() {
            return Ok(());
        }
        // Tests like to leave folders that nobody may write to.
        open_up(&path);
        fs::remove_dir_all(&path).map_err(|source| SandboxError::Remove { path, source })
    }
}

fn remove_stale(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let is_stale = |about: fs::Metadata| {
            about.is_dir()
                && is_own(&about)
                && about.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE))
        };
        if is_ours && entry.metadata().is_ok_and(is_stale) {
            open_up(&entry.path());
            // Another run may be faster.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Nobody else could then put a link into it while it is removed.
#[cfg(unix)]
fn is_own(about: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(about) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_about: &fs::Metadata) -> bool {
    true
}

/// Lets the owner into every folder below `folder`. Links are not followed, and nothing runs there any more.
fn open_up(folder: &Path) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let_owner_in(&folder);
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
}

#[cfg(unix)]
fn let_owner_in(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    // What cannot be opened shows when it cannot be removed.
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
}

#[cfg(not(unix))]
fn let_owner_in(_folder: &Path) {}
