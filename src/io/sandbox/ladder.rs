//! Finds the strongest level that works, by trying.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::init::{COMMAND, PLANTED, PROBE};
use super::{Exit, Job, Level, Limits, PassedOver, Sandbox, SandboxError, run};

/// What came of each try; `None` is a level that works.
static TRIED: Mutex<BTreeMap<(PathBuf, Level), Option<String>>> = Mutex::new(BTreeMap::new());

pub(super) fn choose(
    trampoline: &Path,
    require: Option<Level>,
    at_most: Level,
) -> Result<Sandbox, SandboxError> {
    // Absolute, since it is started from other folders.
    let absolute = trampoline.canonicalize();
    let program =
        absolute.map_err(|source| SandboxError::Trampoline { program: trampoline.to_owned(), source })?;
    let mut passed_over = Vec::new();
    for level in Level::ALL.into_iter().filter(|level| at_most.is_at_least(*level)) {
        if require.is_some_and(|required| !level.is_at_least(required)) {
            break;
        }
        match try_once(&program, level) {
            None => return Ok(Sandbox { trampoline: program, level, passed_over }),
            Some(reason) => passed_over.push(PassedOver { level, reason }),
        }
    }
    Err(SandboxError::TooWeak { required: require.unwrap_or(Level::Limits), passed_over })
}

fn try_once(trampoline: &Path, level: Level) -> Option<String> {
    let mut tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
    let probed = tried.entry((trampoline.to_owned(), level));
    probed.or_insert_with(|| probe(trampoline, level).err()).clone()
}

/// Runs a job that tries to read and write outside and to reach the network.
fn probe(trampoline: &Path, level: Level) -> Result<(), String> {
    if level != Level::Limits && !cfg!(target_os = "linux") {
        return Err("only on Linux".to_owned());
    }
    let fail = |error: std::io::Error| format!("it cannot be tried: {error}");
    let outside = tempfile::tempdir().map_err(fail)?;
    let tree = outside.path().join("tree");
    fs::create_dir(&tree).map_err(fail)?;
    let file = outside.path().join("file");
    // Limits do not hide anything, so there is nothing to be found. Where nobody can listen, nobody can be reached.
    let mut listener = None;
    if level != Level::Limits {
        fs::write(&file, "").map_err(fail)?;
        listener = TcpListener::bind("127.0.0.1:0").ok();
    }
    let port =
        listener.as_ref().and_then(|listener| listener.local_addr().ok()).map_or(0, |address| address.port());
    let argv = [trampoline.into(), COMMAND.into(), PROBE.into(), file.into(), port.to_string().into()];
    let readable = vec![trampoline.to_owned()];
    let job = Job { argv: argv.into(), tree, readable, env: Vec::new(), stdin: None, limits: PROBE_LIMITS };
    match run::run(trampoline, level, &job) {
        Ok(outcome) if outcome.exit != Exit::Code(0) => {
            Err(format!("a trial ended with {:?}: {}", outcome.exit, outcome.stdout.text()))
        }
        Ok(_) if level != Level::Limits && outside.path().join(PLANTED).exists() => {
            Err("a file outside can be written".to_owned())
        }
        Ok(_) => Ok(()),
        Err(SandboxError::Setup { reason, .. }) => Err(reason),
        Err(error) => Err(error.source().map_or_else(|| error.to_string(), |why| format!("{error}: {why}"))),
    }
}

const PROBE_LIMITS: Limits = Limits {
    wall: Duration::from_secs(10),
    cpu: Duration::from_secs(10),
    memory: 1 << 30,
    file_size: 1 << 20,
    n_processes: 64,
    n_files: 64,
    output: 4096,
};
