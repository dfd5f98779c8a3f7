//! A folder of its own for each test, the program run in it, and stand-ins for the engine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use lastmile::ports::{Denoiser, EngineError};
use lastmile::protocol::{Proposal, Request, Response};
use tempfile::TempDir;

/// Answers every request with replacements of substrings, likeliest first.
pub(crate) struct ScriptedDenoiser {
    pub(crate) replacements: Vec<(String, String)>,
    pub(crate) requests: Vec<Request>,
}

impl Denoiser for ScriptedDenoiser {
    fn repair(&mut self, request: &Request) -> Result<Response, EngineError> {
        let window = &request.text[request.start..request.end];
        let proposals = self.replacements.iter().zip(1u32..).map(|((find, put), rank)| Proposal {
            text: window.replacen(find, put, 1),
            score: -f64::from(rank),
            rest: 0.0,
            lead: None,
            votes: 0,
            steps: Vec::new(),
        });
        let candidates = proposals.collect();
        self.requests.push(request.clone());
        Ok(Response { id: request.id, candidates, ..Response::default() })
    }
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "--- {name}\n{text}")?;
            }
        }
        match self.code {
            Some(code) => write!(f, "--- exit {code}"),
            None => write!(f, "--- killed"),
        }
    }
}

/// A temporary folder with an engine and a model beside the files of the test.
pub(crate) struct Sandbox {
    temp: TempDir,
}

/// Repairs of the model in a sandbox are safe.
pub(crate) const SURE: &str = "[confidence]\nweights = { bias = 3.0 }\nthreshold = 0.9\n";

impl Sandbox {
    /// With these files.
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let sandbox = Self { temp: TempDir::new().expect("a temporary folder") };
        for folder in ["files", "engine", "models/python"] {
            fs::create_dir_all(sandbox.temp.path().join(folder)).expect("it is ours");
        }
        fs::write(sandbox.model(), SURE).expect("it is ours");
        fs::write(sandbox.engine(), include_str!("engine.py")).expect("it is ours");
        make_executable(&sandbox.engine());
        for (name, bytes) in files {
            sandbox.write(name, bytes);
        }
        sandbox
    }

    /// Where the program runs.
    pub(crate) fn root(&self) -> PathBuf {
        self.temp.path().join("files")
    }

    pub(crate) fn engine(&self) -> PathBuf {
        self.temp.path().join("engine/engine.py")
    }

    pub(crate) fn model(&self) -> PathBuf {
        self.temp.path().join("models/python/model.toml")
    }

    pub(crate) fn n_engine_starts(&self) -> usize {
        fs::read(self.temp.path().join("engine/starts")).map_or(0, |starts| starts.len())
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().expect("it lies in the root")).expect("it is ours");
        fs::write(path, bytes).expect("it is ours");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.root().join(name)).expect("the test wrote it")
    }

    /// Every file, links followed, with its bytes.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("it is ours").flatten() {
                match entry.path() {
                    path if path.is_dir() => folders.push(path),
                    path => drop(files.insert(path.clone(), fs::read(path).unwrap_or_default())),
                }
            }
        }
        files
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lastmile"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LASTMILE_") {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .current_dir(self.root())
            .env("LASTMILE_ENGINE", self.engine())
            .env("LASTMILE_MODELS", self.temp.path().join("models"))
            .env("LASTMILE_PWSH", "off")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program with these arguments.
    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        self.answer(&mut self.command(args))
    }

    /// Runs it with an engine that misbehaves.
    pub(crate) fn run_with_engine_that(&self, how: &str, args: &[&str]) -> Answer {
        self.answer(self.command(args).env("FAKE_ENGINE", how))
    }

    /// Runs it with this on its stdin.
    pub(crate) fn run_with_input(&self, input: &[u8], args: &[&str]) -> Answer {
        let path = self.temp.path().join("stdin");
        fs::write(&path, input).expect("it is ours");
        self.answer(self.command(args).stdin(fs::File::open(path).expect("just written")))
    }

    /// With the names of temporary folders replaced.
    pub(crate) fn answer(&self, command: &mut Command) -> Answer {
        let Output { status, stdout, stderr } = command.output().expect("the program starts");
        let folder = self.temp.path().canonicalize().expect("it exists");
        let plain = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(&*folder.to_string_lossy(), "[temp]");
            text.replace(&*self.temp.path().to_string_lossy(), "[temp]")
                .replace(env!("CARGO_PKG_VERSION"), "[version]")
        };
        Answer { code: status.code(), stdout: plain(&stdout), stderr: plain(&stderr) }
    }
}

#[cfg(unix)]
pub(crate) fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

#[cfg(not(unix))]
pub(crate) fn make_executable(_: &Path) {}
