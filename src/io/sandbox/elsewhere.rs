//! What a sandbox asks of the system, where it is not Linux: the level `limits` alone, and of it only time and output.
//!
//! On Unix the process group of the job is killed, so a daemon that leaves the group gets away.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, PipeWriter};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::init::{COMMAND, WATCH};
use super::spec::{Refusal, Spec};
use super::supervise::{Event, Usage, job_command};
use super::{Exit, Level, Limits};

/// How often a job is asked whether it ended.
const POLL: Duration = Duration::from_millis(5);

#[derive(Clone)]
pub(super) struct Running(Arc<Mutex<Child>>);

#[expect(clippy::unnecessary_wraps, reason = "on Linux it can fail")]
pub(super) fn command(trampoline: &Path, _spec: &Spec) -> Result<Command, String> {
    let mut command = Command::new(trampoline);
    command.arg(COMMAND).arg(WATCH);
    Ok(command)
}

pub(super) fn step(_args: &[&OsStr]) -> Result<ExitCode, String> {
    Err("it is not started by hand".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "on Linux it can fail")]
pub(super) fn prepare(_spec: &Spec) -> Result<(), String> {
    Ok(())
}

pub(super) fn n_tasks_of_user() -> u64 {
    0
}

pub(super) fn usage(_limits: &Limits) -> Usage {
    Usage::default()
}

/// Counting costs nothing here.
pub(super) fn processor_time() -> Duration {
    Duration::ZERO
}

pub(super) fn start(spec: &Spec, stdout: PipeWriter, stderr: PipeWriter) -> Result<Running, Refusal> {
    let fail = |error: io::Error| Refusal::Failed(format!("no stdin for the job: {error}"));
    let stdin = match &spec.stdin {
        None => Stdio::null(),
        Some(path) => File::open(path).map_err(fail)?.into(),
    };
    let mut command = job_command(spec);
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    match command.spawn() {
        Ok(child) => Ok(Running(Arc::new(Mutex::new(child)))),
        Err(error) => Err(Refusal::NotStarted(error.to_string())),
    }
}

impl Running {
    fn child<T>(&self, ask: impl FnOnce(&mut Child) -> T) -> T {
        ask(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for the job; others that it left behind are not seen.
    pub(super) fn reap(&self, events: &Sender<Event>) {
        loop {
            if let Ok(Some(status)) = self.child(Child::try_wait) {
                self.kill_all(Level::Limits);
                // A supervisor that does not listen has ended.
                let _ = events.send(Event::Ended(exit(status)));
                let _ = events.send(Event::AllGone);
                return;
            }
            thread::sleep(POLL);
        }
    }

    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        let group = self.child(|child| rustix::process::Pid::from_child(child));
        // All of them may have ended.
        let _ = rustix::process::kill_process_group(group, signal);
    }

    pub(super) fn ask_to_end(&self) {
        #[cfg(unix)]
        self.signal(rustix::process::Signal::TERM);
        #[cfg(not(unix))]
        self.kill_all(Level::Limits);
    }

    pub(super) fn kill_all(&self, _level: Level) {
        #[cfg(unix)]
        self.signal(rustix::process::Signal::KILL);
        // It may have ended by itself.
        #[cfg(not(unix))]
        let _ = self.child(Child::kill);
    }
}

#[cfg(unix)]
fn exit(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    status.code().map_or_else(|| Exit::Signal(status.signal().unwrap_or(0)), Exit::Code)
}

#[cfg(not(unix))]
fn exit(status: ExitStatus) -> Exit {
    Exit::Code(status.code().unwrap_or(-1))
}
