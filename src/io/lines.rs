//! A program that answers each line on its stdin with a line on its stdout.

use std::collections::VecDeque;
use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A started program. It is stopped when this goes.
pub(super) struct LineProcess {
    child: Child,
    /// `None` once its stdin is closed.
    requests: Option<Sender<String>>,
    answers: Receiver<Answer>,
    stderr: Arc<Mutex<VecDeque<String>>>,
}

/// Why there is no line.
pub(super) enum LineError {
    TooLong,
    Late,
    /// How it ended.
    Ended(String),
}

/// What came through its stdout.
enum Answer {
    Line(String),
    TooLong,
}

/// The longest line that is taken, in MiB.
pub(super) const MAX_LINE_MIB: u64 = 64;
/// How many lines of its stderr are kept.
const STDERR_LINES: usize = 6;
/// How long it may take to end after its stdin was closed.
const FAREWELL: Duration = Duration::from_millis(500);

impl LineProcess {
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            unreachable!("all three are piped");
        };
        let (requests, answers) = (Some(write_lines(stdin)), read_lines(stdout));
        Ok(Self { child, requests, answers, stderr: keep_last_lines(stderr) })
    }

    /// Sends a line. A program that is gone shows when its answer is received.
    pub(super) fn send(&self, line: String) {
        let _ = self.requests.as_ref().map(|requests| requests.send(line));
    }

    pub(super) fn receive(&mut self, wait: Duration) -> Result<String, LineError> {
        match self.answers.recv_timeout(wait) {
            Ok(Answer::Line(line)) => Ok(line),
            Ok(Answer::TooLong) => Err(LineError::TooLong),
            Err(RecvTimeoutError::Timeout) => Err(LineError::Late),
            Err(RecvTimeoutError::Disconnected) => Err(LineError::Ended(self.stop())),
        }
    }

    /// The last lines of its stderr, indented, each on a new line.
    pub(super) fn last_words(&self) -> String {
        let lines = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().fold(String::new(), |all, line| format!("{all}\n  {line}"))
    }

    /// Closes its stdin, waits shortly, then kills it. Says how it ended.
    fn stop(&mut self) -> String {
        self.requests = None;
        let deadline = Instant::now() + FAREWELL;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.to_string(),
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Err(_) => break,
            }
        }
        // It may have ended by itself in the meantime.
        let _ = self.child.kill();
        self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

impl Drop for LineProcess {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The folders of PATH. A relative one may be one that came with the files under repair.
pub(super) fn path_folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
}

/// Writes on a thread of its own, since a program that does not read would block the pipe.
fn write_lines(mut stdin: ChildStdin) -> Sender<String> {
    let (sender, lines) = mpsc::channel::<String>();
    thread::spawn(move || {
        for mut line in lines {
            line.push('\n');
            if stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).is_err() {
                return;
            }
        }
    });
    sender
}

fn read_lines(stdout: ChildStdout) -> Receiver<Answer> {
    let (sender, answers) = mpsc::channel();
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        loop {
            let mut line = Vec::new();
            let answer = match stdout.by_ref().take(MAX_LINE_MIB << 20).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line.last() == Some(&b'\n') => {
                    Answer::Line(String::from_utf8_lossy(&line).into_owned())
                }
                Ok(read) if read as u64 == MAX_LINE_MIB << 20 => Answer::TooLong,
                // Cut off in the middle of a line: the end of the stream follows.
                Ok(_) => return,
            };
            if sender.send(answer).is_err() {
                return;
            }
        }
    });
    answers
}

fn keep_last_lines(stderr: ChildStderr) -> Arc<Mutex<VecDeque<String>>> {
    let kept = Arc::new(Mutex::new(VecDeque::new()));
    let shared = Arc::clone(&kept);
    thread::spawn(move || {
        let mut stderr = BufReader::new(stderr);
        loop {
            let mut line = Vec::new();
            match stderr.by_ref().take(4096).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    let mut lines = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    lines.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
                    if lines.len() > STDERR_LINES {
                        lines.pop_front();
                    }
                }
            }
        }
    });
    kept
}
