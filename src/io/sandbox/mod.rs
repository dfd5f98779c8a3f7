//! Runs a command that nobody vouches for on a fresh copy of a tree, behind the strongest walls that work here.
//!
//! The program starts itself again as `sandbox-init` ([`init()`]). That process watches over the job from inside
//! the sandbox: it collects the output, counts processes and memory, keeps the time, and leaves nothing running.
//! Another one gives up its own rights and then becomes the job. A job starts with an empty stdin or a given text,
//! no open files but the three streams, a clean environment, no capabilities and no terminal, and yields to others.
//!
//! | | bubblewrap, namespaces | landlock | limits |
//! | --- | --- | --- | --- |
//! | files it can change | tree, own home and temporary folder | the same; permissions and times of all | all of the user's |
//! | files it can read | these, system files, what is named | the same; names and sizes of all | all of the user's |
//! | network | a loopback of its own | none, nor sockets of any kind | open |
//! | processes it can see | its own | all | all |
//! | processes it can kill | its own | its own since Linux 6.12, then the user's | the user's |
//! | environment of others | hidden | hidden | open, but for root's |
//! | processes that it leaves behind | die with the first one | are found and killed | are found and killed |
//!
//! Everywhere on Linux: time, size and number of open files by the kernel's limits; processes and memory of all of
//! them together by counting, fifty times a second at most. The kernel's limit for processes does not bind root, so
//! the count alone stops root's jobs. Nothing limits how many files a job writes, and so the disk that it takes.
//! Elsewhere there is only `limits`, and of it only time and output.
//!
//! The tree has to be a copy: no hard links to other files, no linked worktree. What a job leaves in it is as
//! hostile as the job: links to anywhere, pipes, names of any bytes.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod capture;
mod init;
mod ladder;
#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(not(target_os = "linux"), path = "elsewhere.rs")]
mod os;
mod private;
mod run;
mod runner;
mod spec;
mod supervise;
mod view;

pub use capture::Output;
pub use init::{COMMAND, init};
pub use runner::Guarded;

pub use crate::ports::Exit;

/// What stands between a job and the machine, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// The program `bwrap` makes the namespaces.
    Bubblewrap,
    /// This program makes the same namespaces: user, process, mount, network and IPC.
    Namespaces,
    /// Rules for files, and no sockets.
    Landlock,
    /// Time, memory, processes, sizes. Contains accidents, not attacks.
    Limits,
}

impl Level {
    /// Strongest first.
    pub const ALL: [Self; 4] = [Self::Bubblewrap, Self::Namespaces, Self::Landlock, Self::Limits];

    pub fn name(self) -> &'static str {
        match self {
            Self::Bubblewrap => "bubblewrap",
            Self::Namespaces => "namespaces",
            Self::Landlock => "landlock",
            Self::Limits => "limits",
        }
    }

    pub fn is_at_least(self, other: Self) -> bool {
        self <= other
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One command to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The program, looked for in the job's PATH, and its arguments.
    pub argv: Vec<OsString>,
    /// The fresh copy in which it runs, and which it may change.
    pub tree: PathBuf,
    /// What it may read besides system files.
    pub readable: Vec<PathBuf>,
    /// Variables besides PATH, LANG, HOME, TMPDIR and CI, or instead of them. The caller knows that they are harmless.
    pub env: Vec<(OsString, OsString)>,
    pub stdin: Option<String>,
    pub limits: Limits,
}

/// How much a job may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// After it the job is asked to end, and killed two seconds later.
    pub wall: Duration,
    /// Of each process.
    pub cpu: Duration,
    /// Bytes of all processes together. No single process can ask for more.
    pub memory: u64,
    /// Bytes of each file.
    pub file_size: u64,
    /// Processes and threads.
    pub n_processes: u64,
    /// Open files of each process.
    pub n_files: u64,
    /// Bytes that are kept of each stream.
    pub output: usize,
}

/// What a job did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub exit: Exit,
    pub stdout: Output,
    pub stderr: Output,
    pub duration: Duration,
    pub level: Level,
}

/// A level that does not work here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    pub level: Level,
    pub reason: String,
}

/// A level that was tried and works, and runs jobs.
#[derive(Clone, Debug)]
pub struct Sandbox {
    trampoline: PathBuf,
    level: Level,
    passed_over: Vec<PassedOver>,
}

/// Why a job could not be run. A job that ran and failed is an [`Outcome`].
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("no sandbox of the level `{required}` works here{}", reasons(passed_over))]
    TooWeak { required: Level, passed_over: Vec<PassedOver> },

    #[error("the private folders of a job cannot be made in `{}`", path.display())]
    Folder { path: PathBuf, source: io::Error },

    #[error("the private folder `{}` of a job cannot be removed", path.display())]
    Remove { path: PathBuf, source: io::Error },

    #[error("`{}` cannot be shown to a job", path.display())]
    Path { path: PathBuf, source: io::Error },

    #[error("`{}` cannot be started to make a sandbox", program.display())]
    Trampoline { program: PathBuf, source: io::Error },

    #[error("the sandbox `{level}` cannot be set up: {reason}")]
    Setup { level: Level, reason: String },

    #[error("`{}` cannot be started in the sandbox: {reason}", program.display())]
    Start { program: PathBuf, reason: String },

    #[error("the sandbox `{level}` ended before its job: {status}{stderr}")]
    Died { level: Level, status: String, stderr: String },

    #[error("the sandbox `{level}` did not answer within {} s and was killed", waited.as_secs())]
    Late { level: Level, waited: Duration },

    #[error("processes of the job went on after its end and could not be killed")]
    NotEnded,
}

fn reasons(passed_over: &[PassedOver]) -> String {
    passed_over.iter().fold(String::new(), |all, level| format!("{all}\n  {}: {}", level.level, level.reason))
}

impl Sandbox {
    /// The strongest level that works here; fails when it is weaker than `require`.
    ///
    /// Each level is tried once for the life of this process. `trampoline` is the program whose command
    /// `sandbox-init` is [`init()`]. Levels above `at_most` are not looked at, so that a test can choose one.
    pub fn choose(trampoline: &Path, require: Option<Level>, at_most: Level) -> Result<Self, SandboxError> {
        ladder::choose(trampoline, require, at_most)
    }

    pub fn level(&self) -> Level {
        self.level
    }

    /// The stronger levels that do not work here, and why.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// Runs a job to its end, and ends all that it left running.
    pub fn run(&self, job: &Job) -> Result<Outcome, SandboxError> {
        run::run(&self.trampoline, self.level, job)
    }
}
