//! What the core needs from the world.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::protocol::{Request, Response};
use crate::verdict::TestVerdict;

/// Proposes repairs of a window. The real one is the program `lastmile-engine`.
pub trait Denoiser {
    /// Answers one request, best candidate first.
    fn repair(&mut self, request: &Request) -> Result<Response, EngineError>;
}

/// Another judge of a language, such as its own parser where that is installed.
pub trait Judge {
    /// Whether it finds no fault in a whole text; `None` when it has no opinion.
    fn accepts(&self, text: &str) -> Option<bool>;
}

/// Why there was no answer. Never a reason to change or to block anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    #[error("`lastmile-engine` was not found (looked in {searched})")]
    Missing { searched: String },

    #[error("no models were found (looked in {searched})")]
    NoModels { searched: String },

    #[error("`{}` did not start: {reason}", program.display())]
    Start { program: PathBuf, reason: String },

    #[error("`{}` speaks protocol {found}, this lastmile speaks {wanted}", program.display())]
    Version { program: PathBuf, found: u32, wanted: u32 },

    #[error("`{}` has no weights for `{lang}`", program.display())]
    NoWeights { program: PathBuf, lang: String },

    #[error("`{}` cannot repair `{lang}`: {reason}", program.display())]
    Failed { program: PathBuf, lang: String, reason: String },

    #[error("`{}` did not start within {} s{stderr}", program.display(), waited.as_secs_f32())]
    Slow { program: PathBuf, waited: Duration, stderr: String },

    #[error("`{}` gave no answer within {} s{stderr}", program.display(), waited.as_secs_f32())]
    Late { program: PathBuf, waited: Duration, stderr: String },

    #[error("`{}` ended without an answer ({status}){stderr}", program.display())]
    Died { program: PathBuf, status: String, stderr: String },

    #[error("`{}` answered something that is not its protocol: {answer}", program.display())]
    Garbage { program: PathBuf, answer: String },
}

impl EngineError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            EngineError::Missing { .. } => {
                "install `lastmile-engine` beside `lastmile`, or name it with `--engine` or LASTMILE_ENGINE"
            }
            EngineError::NoModels { .. } | EngineError::NoWeights { .. } => {
                "name the folder of models with `--models` or LASTMILE_MODELS"
            }
            EngineError::Version { .. } => "install both programs from the same release",
            EngineError::Late { .. } => {
                "raise `engine.grace_ms` or lower `repair.budget_ms` in lastmile.toml"
            }
            EngineError::Slow { .. } => "raise `engine.start_ms` in lastmile.toml",
            EngineError::Start { .. }
            | EngineError::Died { .. }
            | EngineError::Garbage { .. }
            | EngineError::Failed { .. } => "run `lastmile doctor` to see what was found",
        }
    }

    /// Whether texts in other languages may be repaired all the same.
    pub fn is_of_language(&self) -> bool {
        matches!(self, EngineError::NoWeights { .. } | EngineError::Failed { .. })
    }
}

/// Judges whole texts by running them.
pub trait Tests {
    /// How many texts are best given at once.
    fn width(&self) -> usize {
        1
    }

    /// What the tests say about each of these in place of the text that is to be repaired; or why nothing can be said.
    fn judge(&mut self, afters: &[&str]) -> Result<Vec<TestVerdict>, String>;
}

/// Runs programs of a project, several at a time where that is asked for. They are not trusted.
pub trait Runner: Sync {
    fn run(&self, job: &Job) -> Result<Outcome, RunError>;
}

/// One program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The program and its arguments. A bare name is looked for in `PATH`.
    pub argv: Vec<String>,
    /// The folder it runs in, and the only one it may write to.
    pub tree: PathBuf,
    /// What it may read outside of `tree`, at the same place: virtual environments, for the most part.
    pub readable: Vec<PathBuf>,
    /// Comes on top of the few variables that the runner lets through.
    pub env: BTreeMap<String, String>,
    pub stdin: Vec<u8>,
    /// How long it may take by the clock on the wall.
    pub timeout: Duration,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub exit: Exit,
    /// May be cut in the middle where there was too much of it; the end is there.
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub duration: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    TimedOut,
    TooManyProcesses,
    TooMuchMemory,
}

/// Why a program could not be run at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    #[error("`{program}` was not found")]
    NotFound { program: String },

    #[error("`{program}` could not be started: {reason}")]
    Start { program: String, reason: String },

    #[error("no sandbox could be set up: {reason}")]
    Sandbox { reason: String },
}
