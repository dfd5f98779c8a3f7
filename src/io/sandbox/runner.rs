//! Runs what the core asks for inside of a sandbox.

use std::path::PathBuf;
use std::time::Duration;

use super::{Job, Limits, Sandbox, SandboxError};
use crate::ports::{self, RunError, Runner};

/// A sandbox with the limits of all its jobs.
#[derive(Clone, Debug)]
pub struct Guarded {
    pub sandbox: Sandbox,
    /// Bytes of all processes of a job together.
    pub memory: u64,
    /// Names of variables that jobs are given besides their own.
    pub environment: Vec<String>,
}

/// Bytes of each stream that are kept.
const OUTPUT: usize = 1 << 20;
const FILE_SIZE: u64 = 1 << 28;
const N_PROCESSES: u64 = 512;
const N_FILES: u64 = 1024;

impl Runner for Guarded {
    fn run(&self, job: &ports::Job) -> Result<ports::Outcome, RunError> {
        let passed = self.environment.iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
        let own = job.env.iter().map(|(name, value)| (name.into(), value.into()));
        let outcome = self.sandbox.run(&Job {
            argv: job.argv.iter().map(Into::into).collect(),
            tree: job.tree.clone(),
            readable: job.readable.clone(),
            env: passed.chain(own).collect(),
            stdin: (!job.stdin.is_empty()).then(|| String::from_utf8_lossy(&job.stdin).into_owned()),
            limits: Limits {
                wall: job.timeout,
                // A suite that uses all cores takes more than its time on the wall.
                cpu: job.timeout + Duration::from_secs(5),
                memory: self.memory,
                file_size: FILE_SIZE,
                n_processes: N_PROCESSES,
                n_files: N_FILES,
                output: OUTPUT,
            },
        });
        let outcome = outcome.map_err(|error| run_error(error, job))?;
        Ok(ports::Outcome {
            exit: outcome.exit,
            stdout: outcome.stdout.text().into_bytes(),
            stderr: outcome.stderr.text().into_bytes(),
            duration: outcome.duration,
        })
    }
}

fn run_error(error: SandboxError, job: &ports::Job) -> RunError {
    let program = job.argv.first().map(PathBuf::from).unwrap_or_default().display().to_string();
    match error {
        SandboxError::Start { reason, .. } => RunError::Start { program, reason },
        error => RunError::Sandbox { reason: with_causes(&error) },
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |all, cause| format!("{all}: {cause}"))
}
