//! What the core needs from the world.

use std::path::PathBuf;
use std::time::Duration;

use crate::protocol::{Request, Response};

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
            EngineError::Start { .. } | EngineError::Died { .. } | EngineError::Garbage { .. } => {
                "run `lastmile doctor` to see what was found"
            }
        }
    }
}
