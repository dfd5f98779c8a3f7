//! What a workflow of GitHub reads besides the exit code: annotations, the summary of the job, outputs.

use std::collections::hash_map::RandomState;
use std::fs::OpenOptions;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write as _;

use anyhow::{Context as _, Result};

use super::annotation;
use crate::cli::session::{print, text_variable, variable};
use crate::config::Format;
use crate::report::FileReport;
use crate::review::Counts;

/// As long as it lives, no line of the output is a command to the workflow: code and names come from outside.
pub(super) struct Silence(Option<String>);

impl Silence {
    pub(super) fn start(format: Format) -> Result<Self> {
        if variable("GITHUB_ACTIONS").is_none() || format != Format::Human {
            return Ok(Self(None));
        }
        // Nobody who wrote the code can have known it.
        let token = format!("lastmile-{:016x}", RandomState::new().build_hasher().finish());
        print(&format!("::stop-commands::{token}\n"))?;
        Ok(Self(Some(token)))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(token) = &self.0 {
            // When stdout is gone, nobody reads commands either.
            let _ = print(&format!("::{token}::\n"));
        }
    }
}

/// Writes the summary of the job and the outputs of the step, where a workflow asks for them.
pub(super) fn report(summary: &str, counts: Counts, n_posted: usize) -> Result<()> {
    let Counts { n_broken, n_repaired, .. } = counts;
    append("GITHUB_STEP_SUMMARY", summary)?;
    append("GITHUB_OUTPUT", &format!("found={n_broken}\nrepaired={n_repaired}\nposted={n_posted}\n"))
}

fn append(name: &str, text: &str) -> Result<()> {
    let Some(path) = text_variable(name).filter(|_| !text.is_empty()) else { return Ok(()) };
    let failed = || format!("failed to write `{path}`, which {name} names");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)
}

/// All that was found, as annotations: for when it could not be posted.
pub(super) fn annotate(reports: &[FileReport]) -> Result<()> {
    reports.iter().map(annotation).try_for_each(|line| print(&line))
}
