//! Runs one job at one level: starts `sandbox-init` there and waits for its report.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use super::private::Private;
use super::spec::{Refusal, Report, Spec};
use super::view::View;
use super::{Job, Level, Outcome, SandboxError, os, supervise};

/// How long the supervisor may take beyond the times that it keeps itself.
const SLACK: Duration = Duration::from_secs(10);
/// The longest message of a sandbox that could not be set up.
const MAX_STDERR: u64 = 4096;
/// A character of output is at most that long in a report.
const MAX_ESCAPE: u64 = 6;

pub(super) fn run(trampoline: &Path, level: Level, job: &Job) -> Result<Outcome, SandboxError> {
    let private = Private::new(job.stdin.as_deref())?;
    let tree = job.tree.canonicalize();
    let tree = tree.map_err(|source| SandboxError::Path { path: job.tree.clone(), source })?;
    let spec = Spec {
        level,
        argv: job.argv.clone(),
        env: environment(job, &private),
        folder: tree.clone().into(),
        stdin: job.stdin.is_some().then(|| private.stdin().into()),
        limits: job.limits,
        view: View::new(job, &tree, &private)?,
        n_other_tasks: os::n_tasks_of_user(),
    };
    let report = ask(trampoline, &spec)?;
    private.remove()?;
    match report {
        Report::Ended { exit, stdout, stderr, duration } => {
            Ok(Outcome { exit, stdout, stderr, duration, level })
        }
        Report::Refused(Refusal::NotStarted(reason)) => {
            let program = job.argv.first().map(PathBuf::from).unwrap_or_default();
            Err(SandboxError::Start { program, reason })
        }
        Report::Refused(Refusal::Failed(reason)) => Err(SandboxError::Setup { level, reason }),
        Report::NotEnded => Err(SandboxError::NotEnded),
    }
}

/// All variables of a job. Later ones win.
fn environment(job: &Job, private: &Private) -> Vec<(OsString, OsString)> {
    let mut env: Vec<(OsString, OsString)> = vec![
        ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
        ("LANG".into(), "C.UTF-8".into()),
        ("HOME".into(), private.home().into()),
        ("TMPDIR".into(), private.temp().into()),
        ("CI".into(), "1".into()),
    ];
    env.extend(job.env.iter().cloned());
    env
}

fn ask(trampoline: &Path, spec: &Spec) -> Result<Report, SandboxError> {
    let level = spec.level;
    let command = os::command(trampoline, spec);
    let mut command = command.map_err(|reason| SandboxError::Setup { level, reason })?;
    command.env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|source| SandboxError::Trampoline { program: command.get_program().into(), source })?;
    let answer = listen(&mut child, spec.limits.output as u64);
    // It stays open: its end is how the supervisor learns that this program is gone.
    let mut stdin = child.stdin.take().expect("it is piped");
    // A supervisor that does not read has died: its answer is empty.
    let _ = spec.write(&mut stdin);
    let wait = spec.limits.wall + supervise::GRACE + supervise::END + SLACK;
    let answered = answer.recv_timeout(wait);
    if answered.is_err() {
        drop(stdin);
        // It may kill the job yet.
        let _ = answer.recv_timeout(supervise::END);
        // It may end by itself in the meantime.
        let _ = child.kill();
    }
    let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    let (stdout, stderr) = answered.map_err(|_| SandboxError::Late { level, waited: wait })?;
    serde_json::from_slice(&stdout).map_err(|_| {
        let stderr = String::from_utf8_lossy(&stderr);
        let stderr = stderr.lines().fold(String::new(), |all, line| format!("{all}\n  {line}"));
        SandboxError::Died { level, status, stderr }
    })
}

/// Receives what comes on stdout and stderr when both have ended.
fn listen(child: &mut Child, output: u64) -> Receiver<(Vec<u8>, Vec<u8>)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (sender, answer) = mpsc::channel();
    thread::spawn(move || {
        let stderr = thread::spawn(move || read(stderr, MAX_STDERR));
        let stdout = read(stdout, 2 * MAX_ESCAPE * output + 4096);
        // Nobody waits for it any more when it is late.
        let _ = sender.send((stdout, stderr.join().unwrap_or_default()));
    });
    answer
}

fn read(stream: Option<impl Read>, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What came before an error is all there is.
        let _ = stream.take(limit).read_to_end(&mut bytes);
    }
    bytes
}
