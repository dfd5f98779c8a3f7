//! What a sandbox asks of the system, on Linux: all levels.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, PipeWriter, Read};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::Sender;
use std::time::Duration;

use rustix::process::{self, DumpableBehavior, Pid, Signal, WaitOptions};

use super::init::{COMMAND, WATCH};
use super::spec::{Refusal, Spec, failed};
use super::supervise::{Event, Usage};
use super::{Exit, Level, Limits};

mod bubblewrap;
mod launch;
mod limits;
mod namespaces;
mod processes;
mod restrict;

/// Makes namespaces, then watches over the job inside of them.
const ENTER: &str = "enter";
/// Becomes the job.
const LAUNCH: &str = "launch";

/// This program, even where its path is out of sight.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// A job that was started. It leads a process group.
#[derive(Clone)]
pub(super) struct Running(Pid);

/// Starts the supervisor inside of the level's sandbox.
pub(super) fn command(trampoline: &Path, spec: &Spec) -> Result<Command, String> {
    let mut command = match spec.level {
        Level::Bubblewrap => bubblewrap::command(trampoline, &spec.view)?,
        _ => Command::new(trampoline),
    };
    command.arg(COMMAND).arg(if spec.level == Level::Namespaces { ENTER } else { WATCH });
    Ok(command)
}

/// The steps of `sandbox-init` besides those that every system has.
pub(super) fn step(args: &[&OsStr]) -> Result<ExitCode, String> {
    match args {
        [step] if *step == ENTER => namespaces::enter(),
        [step] if *step == LAUNCH => Ok(launch::launch()),
        _ => Err("it is not started by hand".to_owned()),
    }
}

/// Makes this process one that a job cannot look into and cannot leave behind, and the sandbox that it watches over.
pub(super) fn prepare(spec: &Spec) -> Result<(), String> {
    close_inherited()?;
    // Without a terminal of its own the job cannot type into it either.
    process::setsid().map_err(failed("no session of its own"))?;
    let hidden = process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    hidden.map_err(failed("the supervisor cannot be hidden"))?;
    process::set_child_subreaper(Some(process::getpid())).map_err(failed("orphans cannot be collected"))?;
    if is_alone(spec.level) {
        // Whatever made the namespaces is gone: nobody would miss the job.
        let bound = process::set_parent_process_death_signal(Some(Signal::KILL));
        bound.map_err(failed("the supervisor cannot be bound to its parent"))?;
    }
    if spec.level == Level::Namespaces {
        namespaces::build(&spec.view)?;
    }
    Ok(())
}

/// Closes all files but the three streams: those that this program inherited were not opened for a job.
fn close_inherited() -> Result<(), String> {
    let fail = failed("the open files cannot be listed");
    let mut open = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").map_err(&fail)? {
        let name = entry.map_err(&fail)?.file_name();
        open.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()).filter(|file| *file > 2));
    }
    for file in open {
        // The one that listed them is closed already.
        let _ = nix::unistd::close(file);
    }
    Ok(())
}

/// Starts the process that becomes the job, and waits until it has.
pub(super) fn start(spec: &Spec, stdout: PipeWriter, stderr: PipeWriter) -> Result<Running, Refusal> {
    let fail = |error: io::Error| Refusal::Failed(format!("the job cannot be launched: {error}"));
    let (mut ours, theirs) = UnixStream::pair().map_err(fail)?;
    let child = {
        let mut command = Command::new(OWN_PROGRAM);
        command.arg(COMMAND).arg(LAUNCH).env_clear().process_group(0);
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(stdout).stderr(stderr);
        // Dropped with its copies of the streams, or they would never end.
        command.spawn().map_err(fail)?
    };
    spec.write(&ours).and_then(|()| ours.shutdown(Shutdown::Write)).map_err(fail)?;
    let mut answer = Vec::new();
    ours.read_to_end(&mut answer).map_err(fail)?;
    if answer.is_empty() {
        return Ok(Running(Pid::from_child(&child)));
    }
    Err(serde_json::from_slice(&answer).unwrap_or_else(|error| fail(error.into())))
}

impl Running {
    /// Collects the dead until there is nobody left who could die.
    pub(super) fn reap(&self, events: &Sender<Event>) {
        loop {
            let event = match process::wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == self.0 => {
                    match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Event::Ended(Exit::Code(code)),
                        (_, Some(signal)) => Event::Ended(Exit::Signal(signal)),
                        _ => continue,
                    }
                }
                Ok(_) | Err(rustix::io::Errno::INTR) => continue,
                Err(_) => Event::AllGone,
            };
            let is_last = matches!(event, Event::AllGone);
            if events.send(event).is_err() || is_last {
                return;
            }
        }
    }

    /// Asks the group of the job to end.
    pub(super) fn ask_to_end(&self) {
        // It may have ended by itself.
        let _ = process::kill_process_group(self.0, Signal::TERM);
    }

    /// Kills what can be found of the job. More may have been started meanwhile: call again until all are gone.
    pub(super) fn kill_all(&self, level: Level) {
        // Those that are gone already cannot be killed.
        if is_alone(level) {
            // The kernel does it in one go; nobody can be started meanwhile.
            let everyone = nix::unistd::Pid::from_raw(-1);
            let _ = nix::sys::signal::kill(everyone, nix::sys::signal::Signal::SIGKILL);
            return;
        }
        let _ = process::kill_process_group(self.0, Signal::KILL);
        for process in processes::below(process::getpid(), usize::MAX) {
            let _ = process::kill_process(process.pid, Signal::KILL);
        }
    }
}

/// Whether there are no processes in sight but this one and the job's.
fn is_alone(level: Level) -> bool {
    level.is_at_least(Level::Namespaces) && process::getpid() == Pid::INIT
}

/// Tasks of this user, where the kernel's limit counts them.
pub(super) fn n_tasks_of_user() -> u64 {
    processes::n_tasks_of_user()
}

/// What the job uses now. Counting may end when it is more than the limits allow.
pub(super) fn usage(limits: &Limits) -> Usage {
    processes::usage(limits)
}

/// What this thread has taken of a processor.
pub(super) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
