//! Watches over one job: collects its output, ends it in time, and leaves nothing of it running.

use std::io::{self, PipeReader, Read};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::Exit;
use super::capture::{Output, capture};
use super::os::{self, Running};
use super::spec::{Refusal, Report, Spec, failed};

/// How long a job may go on after it was asked to end.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// How long killing may take.
pub(super) const END: Duration = Duration::from_secs(5);
/// The shortest time between two counts of processes and memory.
const LOOK: Duration = Duration::from_millis(20);
/// Counting takes at most one part in so many of a processor's time.
const LOOK_SHARE: u32 = 10;
/// The time between two rounds of killing.
const KILL: Duration = Duration::from_millis(5);

/// What the supervisor is told by its threads.
pub(super) enum Event {
    Ended(Exit),
    /// No process of the job is left.
    AllGone,
    Stdout(Output),
    Stderr(Output),
    /// The program that asked for the job is gone.
    Abandoned,
}

/// What all processes of a job hold together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Processes and threads.
    pub(super) n_tasks: u64,
    /// Bytes.
    pub(super) memory: u64,
}

/// Reads the job from stdin. `None` when nobody waits for a report any more.
pub(super) fn supervise() -> Option<Report> {
    try_supervise().unwrap_or_else(|reason| Some(Report::Refused(Refusal::Failed(reason))))
}

fn try_supervise() -> Result<Option<Report>, String> {
    let spec = Spec::read(io::stdin().lock())?;
    os::prepare(&spec)?;
    let (stdout, stdout_end) = io::pipe().map_err(failed("no pipe"))?;
    let (stderr, stderr_end) = io::pipe().map_err(failed("no pipe"))?;
    let (events, receiver) = mpsc::channel();
    let limit = spec.limits.output;
    keep(stdout, limit, Event::Stdout, events.clone());
    keep(stderr, limit, Event::Stderr, events.clone());
    let started = Instant::now();
    let job = match os::start(&spec, stdout_end, stderr_end) {
        Ok(job) => job,
        Err(refusal) => return Ok(Some(Report::Refused(refusal))),
    };
    notice_end_of_stdin(events.clone());
    let reaped = job.clone();
    thread::spawn(move || reaped.reap(&events));
    let mut watch = Watch::new(spec, job, receiver);
    let Some(exit) = watch.follow(started) else {
        watch.end();
        return Ok(None);
    };
    let duration = started.elapsed();
    watch.end();
    Ok(Some(watch.report(exit, duration)))
}

/// The job as its level and limits let it run, but for its streams.
pub(super) fn job_command(spec: &Spec) -> Command {
    let program = spec.argv.first().map_or(Path::new(""), Path::new);
    let mut command = Command::new(program);
    command.args(spec.argv.iter().skip(1)).current_dir(&spec.folder).env_clear();
    command.envs(spec.env.iter().map(|(name, value)| (name, value)));
    command
}

fn keep(stream: PipeReader, limit: usize, event: fn(Output) -> Event, events: Sender<Event>) {
    thread::spawn(move || {
        // Nobody listens when the supervisor gave up.
        let _ = events.send(event(capture(stream, limit)));
    });
}

fn notice_end_of_stdin(events: Sender<Event>) {
    thread::spawn(move || {
        let mut rest = [0];
        while io::stdin().read(&mut rest).is_ok_and(|n| n > 0) {}
        // The same.
        let _ = events.send(Event::Abandoned);
    });
}

struct Watch {
    spec: Spec,
    job: Running,
    events: Receiver<Event>,
    ended: Option<Exit>,
    is_abandoned: bool,
    all_gone: bool,
    stdout: Option<Output>,
    stderr: Option<Output>,
}

impl Watch {
    fn new(spec: Spec, job: Running, events: Receiver<Event>) -> Self {
        let (ended, stdout, stderr) = (None, None, None);
        Self { spec, job, events, ended, is_abandoned: false, all_gone: false, stdout, stderr }
    }

    /// Takes in what was told until then, at most one event.
    fn wait(&mut self, until: Instant) {
        match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Event::Ended(exit)) => self.ended = Some(exit),
            Ok(Event::AllGone) => self.all_gone = true,
            Ok(Event::Stdout(output)) => self.stdout = Some(output),
            Ok(Event::Stderr(output)) => self.stderr = Some(output),
            Err(RecvTimeoutError::Timeout) => {}
            // The thread that waits for stdin ends last.
            Ok(Event::Abandoned) | Err(RecvTimeoutError::Disconnected) => self.is_abandoned = true,
        }
    }

    /// Waits for the end of the job or for a reason to end it. `None` when it was abandoned.
    fn follow(&mut self, started: Instant) -> Option<Exit> {
        let deadline = started + self.spec.limits.wall;
        let mut next_look = started + LOOK;
        let mut asked = None;
        loop {
            let next = asked.map_or(deadline, |asked| asked + GRACE);
            self.wait(next.min(next_look));
            if self.is_abandoned {
                return None;
            }
            if let Some(exit) = self.ended {
                return Some(if asked.is_some() { Exit::TimedOut } else { exit });
            }
            let now = Instant::now();
            if now >= next {
                if asked.is_some() {
                    return Some(Exit::TimedOut);
                }
                self.job.ask_to_end();
                asked = Some(now);
            }
            if now >= next_look {
                let before = os::processor_time();
                if let Some(exit) = self.excess() {
                    return Some(exit);
                }
                // Not the time on the clock: where others keep this process from running, counting must not end.
                let cost = os::processor_time().saturating_sub(before);
                next_look = Instant::now() + LOOK.max(cost * LOOK_SHARE);
            }
        }
    }

    fn excess(&self) -> Option<Exit> {
        let limits = &self.spec.limits;
        let usage = os::usage(limits);
        if usage.n_tasks > limits.n_processes {
            return Some(Exit::TooManyProcesses);
        }
        (usage.memory > limits.memory).then_some(Exit::TooMuchMemory)
    }

    /// Kills until all are gone, then waits for the rest of the output.
    fn end(&mut self) {
        let deadline = Instant::now() + END;
        while !self.all_gone && Instant::now() < deadline {
            self.job.kill_all(self.spec.level);
            self.wait(Instant::now() + KILL);
        }
        while self.all_gone && (self.stdout.is_none() || self.stderr.is_none()) && Instant::now() < deadline {
            self.wait(deadline);
        }
    }

    fn report(self, exit: Exit, duration: Duration) -> Report {
        match (self.stdout, self.stderr) {
            (Some(stdout), Some(stderr)) if self.all_gone => Report::Ended { exit, stdout, stderr, duration },
            _ => Report::NotEnded,
        }
    }
}
