//! What the tests of the sandbox share.

use std::path::Path;
use std::time::Duration;

use lastmile::io::sandbox::{Job, Level, Limits, Sandbox};

pub(crate) const LIMITS: Limits = Limits {
    wall: Duration::from_secs(20),
    cpu: Duration::from_secs(20),
    memory: 1 << 30,
    file_size: 1 << 26,
    n_processes: 64,
    n_files: 64,
    output: 4096,
};

pub(crate) fn trampoline() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lastmile"))
}

/// `None` where the level does not work.
pub(crate) fn sandbox(level: Level) -> Option<Sandbox> {
    Sandbox::choose(trampoline(), Some(level), level).ok()
}

pub(crate) fn job(script: &str, tree: &Path) -> Job {
    Job {
        argv: vec!["/bin/bash".into(), "-c".into(), script.into()],
        tree: tree.to_owned(),
        readable: Vec::new(),
        env: Vec::new(),
        stdin: None,
        limits: LIMITS,
    }
}
