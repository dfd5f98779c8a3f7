//! Finds, starts, greets, times out and stops `lastmile-engine`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::lines::{LineError, LineProcess, MAX_LINE_MIB, path_folders};
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
        if answer.as_ref().is_err_and(|error| !error.is_of_language()) {
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
            Err(error) if error.is_of_language() => {}
            Err(error) => {
                let is_final = !matches!(error, EngineError::Late { .. } | EngineError::Died { .. });
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
    process: LineProcess,
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
        let process = LineProcess::start(command).map_err(fail)?;
        let greeting =
            Greeting { lastmile: 0, engine: String::new(), device: String::new(), languages: Vec::new() };
        let mut running = Self { program, greeting, process };
        running.greeting = running.greet(settings.start)?;
        Ok(running)
    }

    fn greet(&mut self, wait: Duration) -> Result<Greeting, EngineError> {
        let line = self.receive(wait).map_err(|error| match error {
            EngineError::Late { program, waited, stderr } => EngineError::Slow { program, waited, stderr },
            other => other,
        })?;
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
        let lang = request.pack();
        if !self.greeting.languages.contains(&lang) {
            return Err(EngineError::NoWeights { program: self.program.clone(), lang });
        }
        let line = serde_json::to_string(request).expect("a request is plain data");
        self.process.send(line);
        let line = self.receive(wait)?;
        match serde_json::from_str::<Response>(&line) {
            Ok(Response { id, failed: Some(reason), .. }) if id == request.id => {
                Err(EngineError::Failed { program: self.program.clone(), lang, reason })
            }
            Ok(response) if response.id == request.id => Ok(response),
            _ => Err(self.garbage(&line)),
        }
    }

    fn receive(&mut self, wait: Duration) -> Result<String, EngineError> {
        let program = self.program.clone();
        match self.process.receive(wait) {
            Ok(line) => Ok(line),
            Err(LineError::TooLong) => Err(self.garbage(&format!("a line of more than {MAX_LINE_MIB} MiB"))),
            Err(LineError::Late) => {
                Err(EngineError::Late { program, waited: wait, stderr: self.process.last_words() })
            }
            Err(LineError::Ended(status)) => {
                Err(EngineError::Died { program, status, stderr: self.process.last_words() })
            }
        }
    }

    fn garbage(&self, line: &str) -> EngineError {
        let shown: String =
            line.trim_end().chars().take(120).map(|c| if c.is_control() { ' ' } else { c }).collect();
        EngineError::Garbage { program: self.program.clone(), answer: format!("`{shown}`") }
    }
}

/// The program: the one named, or the first that is found.
pub fn find_program(named: Option<&Path>) -> Result<PathBuf, EngineError> {
    let name = format!("lastmile-engine{}", env::consts::EXE_SUFFIX);
    let places = if let Some(path) = named {
        vec![path.to_owned()]
    } else {
        let beside = own_folder().into_iter().flat_map(|own| [own.clone(), own.join("../lib/lastmile")]);
        beside.chain(path_folders()).map(|folder| folder.join(&name)).collect()
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
