//! The hidden command `sandbox-init`: the processes between this program and a job.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;

use super::spec::{Refusal, Report};
use super::{os, supervise};

/// The name of the command that has to lead to [`init()`].
pub const COMMAND: &str = "sandbox-init";

/// Watches over the job.
pub(super) const WATCH: &str = "watch";
/// A job that tries what its level forbids.
pub(super) const PROBE: &str = "probe";
/// The name of the file that the probe tries to make.
pub(super) const PLANTED: &str = "planted";

/// Does what the command's arguments say. Called first in a process, while it has one thread.
pub fn init(args: &[OsString]) -> ExitCode {
    let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
    match args.as_slice() {
        [step] if *step == WATCH => supervise::supervise().as_ref().map_or(ExitCode::FAILURE, tell),
        [step, file, port] if *step == PROBE => probe(Path::new(file), port),
        args => os::step(args).unwrap_or_else(|reason| tell(&Report::Refused(Refusal::Failed(reason)))),
    }
}

fn tell(report: &Report) -> ExitCode {
    let mut stdout = io::stdout().lock();
    let told = serde_json::to_writer(&mut stdout, report).is_ok() && stdout.flush().is_ok();
    if told { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Fails if a file outside can be read or a port of the host answers. Whoever started it looks for the file that
/// it tries to make outside.
fn probe(file: &Path, port: &OsStr) -> ExitCode {
    // It may work, in a folder that only has the same name.
    let _ = std::fs::write(file.with_file_name(PLANTED), "");
    let port = port.to_str().and_then(|port| port.parse::<u16>().ok()).unwrap_or(0);
    let breach = if std::fs::read(file).is_ok() {
        "a file outside can be read"
    } else if TcpStream::connect(("127.0.0.1", port)).is_ok() {
        "the network can be reached"
    } else {
        return ExitCode::SUCCESS;
    };
    // The exit code alone says that it failed.
    let _ = io::stdout().write_all(breach.as_bytes());
    ExitCode::FAILURE
}
