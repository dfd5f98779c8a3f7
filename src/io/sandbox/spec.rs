//! What crosses between the program and its `sandbox-init`: the job one way, what became of it the other.

use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::capture::Output;
use super::view::View;
use super::{Exit, Level, Limits};

/// One job, as the supervisor and the process that becomes the job need it.
///
/// Paths are `OsString`, since serde takes no `PathBuf` that is not UTF-8.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    pub(super) level: Level,
    pub(super) argv: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) folder: OsString,
    /// A file; `None` is an empty stdin.
    pub(super) stdin: Option<OsString>,
    pub(super) limits: Limits,
    pub(super) view: View,
    /// Tasks that this user runs besides the job: the kernel's limit counts them all.
    pub(super) n_other_tasks: u64,
}

impl Spec {
    /// As one line.
    pub(super) fn write(&self, mut to: impl Write) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        to.write_all(&line)
    }

    pub(super) fn read(mut from: impl BufRead) -> Result<Self, String> {
        let mut line = String::new();
        from.read_line(&mut line).map_err(|error| format!("the job cannot be read: {error}"))?;
        serde_json::from_str(&line).map_err(|error| format!("the job cannot be understood: {error}"))
    }
}

/// What became of a job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    Ended {
        exit: Exit,
        stdout: Output,
        stderr: Output,
        duration: Duration,
    },
    /// A process of the job outlived its end.
    NotEnded,
    Refused(Refusal),
}

/// Why a job did not begin.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Refusal {
    /// The sandbox stands, but the program of the job cannot be executed.
    NotStarted(String),
    /// The sandbox could not be set up.
    Failed(String),
}

/// For `map_err`: says what was tried when a call failed.
pub(super) fn failed<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}
