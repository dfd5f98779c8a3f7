//! The process that gives up its rights and then becomes the job.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{ExitCode, Stdio};

use super::super::spec::{Refusal, Spec, failed};
use super::super::supervise::job_command;

/// Its stdin is a socket: the job comes in, and why it could not be started goes out. Nothing goes out when all is
/// well, since the socket closes as the job begins.
pub(super) fn launch() -> ExitCode {
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let mut socket = UnixStream::from(socket);
    let Err(refusal) = become_job(&socket);
    // Without it the supervisor sees a job that failed at once.
    let _ = serde_json::to_writer(&mut socket, &refusal).map(|()| socket.flush());
    ExitCode::FAILURE
}

/// There is no way back from being the job.
enum Never {}

fn become_job(socket: &UnixStream) -> Result<Never, Refusal> {
    let spec = Spec::read(BufReader::new(socket)).map_err(Refusal::Failed)?;
    let stdin = match &spec.stdin {
        None => Stdio::null(),
        Some(path) => {
            File::open(path).map_err(failed("no stdin for the job")).map_err(Refusal::Failed)?.into()
        }
    };
    let mut command = job_command(&spec);
    command.stdin(stdin);
    super::limits::impose(&spec).map_err(Refusal::Failed)?;
    super::restrict::restrict(&spec).map_err(Refusal::Failed)?;
    Err(Refusal::NotStarted(command.exec().to_string()))
}
