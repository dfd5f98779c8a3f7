//! All that crosses between `lastmile` and `lastmile-engine`: one JSON object a line, the engine's
//! greeting first.
//!
//! The engine sees text and returns text: no path, no secret, no setting of the project.

use serde::{Deserialize, Serialize};

/// Raised when an older reader would misread a message.
pub const VERSION: u32 = 3;

/// The engine's first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// [`VERSION`] of the engine.
    pub lastmile: u32,
    /// The engine's own version, such as `0.1.0`.
    pub engine: String,
    /// `cpu` or `cuda:0`.
    pub device: String,
    /// Languages whose weights were found, and `python/tests` where there are weights for slips.
    pub languages: Vec<String>,
}

/// Asks for repairs of one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Comes back in the [`Response`].
    pub id: u64,
    /// A language by name, such as `python`.
    pub lang: String,
    /// The text around the fault that the judge reads: the whole file when it is small.
    pub text: String,
    /// The bytes of `text` that may change: whole lines.
    pub start: usize,
    pub end: usize,
    /// What is wrong with the text.
    #[serde(default)]
    pub aim: Aim,
    /// The language version the project is written for.
    pub target: Option<(u8, u8)>,
    /// How many candidates are wanted.
    pub k: usize,
    /// Milliseconds after which the best so far is sent.
    pub budget_ms: u64,
    pub seed: u64,
    /// Whether each candidate tells the way it was found.
    pub trace: bool,
}

/// What a repair is to reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aim {
    /// The text parses again.
    #[default]
    Parses,
    /// Its tests pass: it parses before and after, and candidates come by their likelihood.
    Tests,
}

impl Request {
    /// The weights that answer: those of the language, or those for slips that only tests find.
    pub fn pack(&self) -> String {
        match self.aim {
            Aim::Parses => self.lang.clone(),
            Aim::Tests => format!("{}/tests", self.lang),
        }
    }
}

/// The answer to a [`Request`], best candidate first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Response {
    pub id: u64,
    pub candidates: Vec<Proposal>,
    /// Why there is no candidate, when the request itself was at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Why no request of this kind can be answered: weights that are of no use, a device that is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    pub ms: f64,
}

/// A replacement for the window, after which the judge found no fault up to the window's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    pub text: String,
    /// Logarithm of the probability of the path to it: 0 at most, higher is likelier.
    pub score: f64,
    /// Logarithm of the probability that nothing is left to edit in it; part of the score, too.
    #[serde(default)]
    pub rest: f64,
    /// Its score less that of the likeliest path that the search left open, at least; absent where it left none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<f64>,
    /// How many sampled chains ended here.
    #[serde(default)]
    pub votes: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// One step of the reverse process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What was done, such as "insert `)` on line 3".
    pub edit: String,
    /// Logarithm of the probability of the edit, as seen from the state before it.
    pub rate: f64,
    /// Expected number of edits still to come before this one, in the network's opinion.
    pub noise: f64,
    /// The window after this step.
    pub text: String,
}
