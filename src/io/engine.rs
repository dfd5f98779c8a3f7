//! Finds, starts, greets, times out and stops `lastmile-engine`.

use std::collections::VecDeque;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::ports::{Denoiser, EngineError};
use crate::protocol::{Greeting, Request, Response, VERSION};

/// How the engine is found and run.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// `None` looks beside this program, in `../lib/lastmile` and in PATH.
    pub program: Option<PathBuf>,
    /// `None` looks beside this program, in `../share/lastmile` and in the source tree.
    pub models: Option<PathBuf>,
    pub device: String,
    /// 0 lets the engine choose.
    pub threads: u32,
    /// The longest wait for the greeting.
    pub start: Duration,
    /// The longest wait for an answer beyond the budget of the request.
    pub grace: Duration,
}

/// The engine, started when the first request comes.
pub struct Engine {
    settings: EngineSettings,
    running: Option<Running>,
    n_failures: u32,
    last_failure: Option<EngineError>,
    next_id: u64,
}

/// Requests in a row without an answer after which the engine is not asked again.
const MAX_FAILURES: u32 = 3;
/// The longest line that is taken from the engine.
const MAX_LINE: u64 = 64 * 1024 * 1024;
/// How many lines of the engine's stderr an error shows.
const STDERR_LINES: usize = 6;
/// How long the engine may take to end after its stdin was closed.
const FAREWELL: Duration = Duration::from_millis(500);

impl Engine {
    pub fn new(settings: EngineSettings) -> Self {
        Self { settings, running: None, n_failures: 0, last_failure: None, next_id: 1 }
    }

    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// Starts the engine unless it runs, and says what it is.
    pub fn greeting(&mut self) -> Result<Greeting, EngineError> {
        Ok(self.running()?.greeting.clone())
    }

    fn running(&mut self) -> Result<&mut Running, EngineError> {
        let running = match self.running.take() {
            Some(running) => running,
            None => Running::start(&self.settings)?,
        };
        Ok(self.running.insert(running))
    }

    /// One try; an engine that failed is stopped.
    fn ask(&mut self, request: &Request) -> Result<Response, EngineError> {
        let wait = Duration::from_millis(request.budget_ms) + self.settings.grace;
        let running = self.running()?;
        let answer = running.ask(request, wait);
        if answer.as_ref().is_err_and(|error| !matches!(error, EngineError::NoWeights { .. })) {
            self.running = None;
        }
        answer
    }
}

impl Denoiser for Engine {
    fn repair(&mut self, request: &Request) -> Result<Response, EngineError> {
        if self.n_failures >= MAX_FAILURES
            && let Some(error) = &self.last_failure
        {
            return Err(error.clone());
        }
        let request = Request { id: self.next_id, ..request.clone() };
        self.next_id += 1;
        let mut answer = self.ask(&request);
        // A crash may be the fault of what came before; a late answer would only be late again.
        if matches!(answer, Err(EngineError::Died { .. } | EngineError::Garbage { .. })) {
            answer = self.ask(&request);
        }
        match &answer {
            Ok(_) => self.n_failures = 0,
            Err(error) => {
                let is_final = !matches!(
                    error,
                    EngineError::Late { .. } | EngineError::Died { .. } | EngineError::NoWeights { .. }
                );
                self.n_failures = if is_final { MAX_FAILURES } else { self.n_failures + 1 };
                self.last_failure = Some(error.clone());
            }
        }
        answer
    }
}

/// A started engine that has greeted.
struct Running {
    program: PathBuf,
    greeting: Greeting,
    child: Child,
    /// `None` once its stdin is closed.
    requests: Option<Sender<String>>,
    answers: Receiver<Answer>,
    stderr: Arc<Mutex<VecDeque<String>>>,
}

/// What came through the engine's stdout.
enum Answer {
    Line(String),
    TooLong,
}

impl Running {
    fn start(settings: &EngineSettings) -> Result<Self, EngineError> {
        let program = find_program(settings.program.as_deref())?;
        let models = find_models(settings.models.as_deref())?;
        let fail = |error: std::io::Error| EngineError::Start {
            program: program.clone(),
            reason: error.to_string(),
        };
        let mut command = Command::new(&program);
        command.arg("serve").arg("--models").arg(models).arg("--device").arg(&settings.device);
        if settings.threads > 0 {
            command.arg("--threads").arg(settings.threads.to_string());
        }
        if env::var_os("OMP_WAIT_POLICY").is_none() {
            // Threads that spin while they wait for each other make a busy machine several times slower.
            command.env("OMP_WAIT_POLICY", "passive");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(fail)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            unreachable!("all three are piped");
        };
        let greeting =
            Greeting { lastmile: 0, engine: String::new(), device: String::new(), languages: Vec::new() };
        let (requests, answers) = (Some(write_lines(stdin)), read_lines(stdout));
        let mut running =
            Self { program, greeting, child, requests, answers, stderr: keep_last_lines(stderr) };
        running.greeting = running.greet(settings.start)?;
        Ok(running)
    }

    fn greet(&mut self, wait: Duration) -> Result<Greeting, EngineError> {
        let line = self.receive(wait)?;
        // Another version may have other fields: its number is read alone first.
        let found = serde_json::from_str::<serde_json::Value>(&line)
            .ok()
            .and_then(|greeting| greeting.get("lastmile")?.as_u64());
        let program = self.program.clone();
        match found {
            None => Err(self.garbage(&line)),
            Some(found) if found != u64::from(VERSION) => Err(EngineError::Version {
                program,
                found: u32::try_from(found).unwrap_or(u32::MAX),
                wanted: VERSION,
            }),
            Some(_) => serde_json::from_str(&line).map_err(|_| self.garbage(&line)),
        }
    }

    fn ask(&mut self, request: &Request, wait: Duration) -> Result<Response, EngineError> {
        if !self.greeting.languages.contains(&request.lang) {
            return Err(EngineError::NoWeights { program: self.program.clone(), lang: request.lang.clone() });
        }
        let line = serde_json::to_string(request).expect("a request is plain data");
        // A writer that is gone shows as a closed stdout below.
        let _ = self.requests.as_ref().map(|requests| requests.send(line));
        let line = self.receive(wait)?;
        match serde_json::from_str::<Response>(&line) {
            Ok(response) if response.id == request.id => Ok(response),
            _ => Err(self.garbage(&line)),
        }
    }

    fn receive(&mut self, wait: Duration) -> Result<String, EngineError> {
        match self.answers.recv_timeout(wait) {
            Ok(Answer::Line(line)) => Ok(line),
            Ok(Answer::TooLong) => Err(self.garbage(&format!("a line of more than {} MiB", MAX_LINE >> 20))),
            Err(RecvTimeoutError::Timeout) => Err(EngineError::Late {
                program: self.program.clone(),
                waited: wait,
                stderr: self.last_words(),
            }),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.stop();
                Err(EngineError::Died { program: self.program.clone(), status, stderr: self.last_words() })
            }
        }
    }

    fn garbage(&self, line: &str) -> EngineError {
        let shown: String =
            line.trim_end().chars().take(120).map(|c| if c.is_control() { ' ' } else { c }).collect();
        EngineError::Garbage { program: self.program.clone(), answer: format!("`{shown}`") }
    }

    fn last_words(&self) -> String {
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

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Writes on a thread of its own, since an engine that does not read would block the pipe.
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
            let answer = match stdout.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line.last() == Some(&b'\n') => {
                    Answer::Line(String::from_utf8_lossy(&line).into_owned())
                }
                Ok(read) if read as u64 == MAX_LINE => Answer::TooLong,
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

/// The program: the one named, or the first that is found.
pub fn find_program(named: Option<&Path>) -> Result<PathBuf, EngineError> {
    let name = format!("lastmile-engine{}", env::consts::EXE_SUFFIX);
    let places = if let Some(path) = named {
        vec![path.to_owned()]
    } else {
        let path = env::var_os("PATH").unwrap_or_default();
        let beside = own_folder().into_iter().flat_map(|own| [own.clone(), own.join("../lib/lastmile")]);
        // A relative folder in PATH may be one that came with the files under repair.
        let in_path = env::split_paths(&path).filter(|folder| folder.is_absolute());
        beside.chain(in_path).map(|folder| folder.join(&name)).collect()
    };
    match places.iter().find(|place| place.is_file()) {
        // Absolute: a bare name would be looked for in PATH.
        Some(program) => Ok(std::path::absolute(program).unwrap_or_else(|_| program.clone())),
        None => Err(EngineError::Missing { searched: searched(&places, named.is_none()) }),
    }
}

/// The folder of models: the one named, or the first that holds a model.
pub fn find_models(named: Option<&Path>) -> Result<PathBuf, EngineError> {
    let places = if let Some(path) = named {
        vec![path.to_owned()]
    } else {
        let beside = own_folder()
            .into_iter()
            .flat_map(|own| [own.join("models"), own.join("../share/lastmile/models")]);
        beside.chain([Path::new(env!("CARGO_MANIFEST_DIR")).join("models")]).collect()
    };
    match places.iter().find(|place| holds_model(place)) {
        Some(folder) => Ok(folder.clone()),
        None => Err(EngineError::NoModels { searched: searched(&places, false) }),
    }
}

fn holds_model(folder: &Path) -> bool {
    let Ok(entries) = folder.read_dir() else { return false };
    entries.flatten().any(|entry| entry.path().join("model.toml").is_file())
}

/// The folder of this program, links followed: it may have been linked into a folder of PATH.
fn own_folder() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    Some(program.canonicalize().unwrap_or(program).parent()?.to_owned())
}

/// The places for a message; the folders of PATH would be too many.
fn searched(places: &[PathBuf], has_path: bool) -> String {
    let n_shown = if has_path { 2 } else { places.len() };
    let mut shown: Vec<_> =
        places.iter().take(n_shown).map(|place| format!("`{}`", place.display())).collect();
    if has_path {
        shown.push("PATH".to_owned());
    }
    shown.join(", ")
}
