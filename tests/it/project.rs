//! A temporary project, and a runner without a sandbox.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use lastmile::io::tree::{Limits, Source};
use lastmile::ports::{Exit, Job, Outcome, RunError, Runner};
use tempfile::TempDir;

pub(crate) const LIMITS: Limits = Limits { max_files: 20_000, max_bytes: 1 << 30 };

/// The environment with pytest.
pub(crate) fn venv() -> PathBuf {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv");
    assert!(venv.join("bin/pytest").is_file(), "`make tools` makes `{}`", venv.display());
    venv
}

/// A project in a folder of its own, with a folder beside it.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    pub(crate) fn new<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Self {
        let project = Self { folder: TempDir::new().expect("a folder for the test") };
        fs::create_dir(project.root()).expect("it is fresh");
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    pub(crate) fn beside(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn source(&self) -> Source {
        Source { root: self.root(), also: Vec::new(), only: None, limits: LIMITS }
    }

    /// `{beside}` in a text becomes the folder that no copy holds.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("it can be made");
        fs::write(path, text.replace("{beside}", &self.beside().to_string_lossy()))
            .expect("it can be written");
    }

    /// Makes the environment with pytest the project's own.
    pub(crate) fn add_venv(&self) {
        std::os::unix::fs::symlink(venv(), self.root().join(".venv")).expect("there is none");
    }

    /// An environment without pytest, but for the folders that `paths` adds.
    pub(crate) fn add_bare_venv(&self, paths: &[&Path]) {
        let venv_of = venv().join("bin/python");
        let status = Command::new(venv_of)
            .args(["-m", "venv", "--without-pip"])
            .arg(self.root().join(".venv"))
            .status()
            .expect("there is a Python");
        assert!(status.success());
        let lib = fs::read_dir(self.root().join(".venv/lib"))
            .expect("made")
            .next()
            .expect("one")
            .expect("readable");
        let lines: Vec<String> =
            paths.iter().map(|path| path.to_string_lossy().into_owned() + "\n").collect();
        fs::write(lib.path().join("site-packages/paths.pth"), lines.concat()).expect("it can be written");
    }
}

/// Runs what it is given, with no more than a time limit.
#[derive(Default)]
pub(crate) struct Unguarded {
    jobs: Mutex<Vec<Job>>,
}

impl Unguarded {
    /// What was run so far.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.jobs.lock().expect("no holder panics").clone()
    }
}

impl Runner for Unguarded {
    fn run(&self, job: &Job) -> Result<Outcome, RunError> {
        self.jobs.lock().expect("no holder panics").push(job.clone());
        let start = Instant::now();
        let mut child = Command::new(&job.argv[0])
            .args(&job.argv[1..])
            .current_dir(&job.tree)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", std::env::var_os("HOME").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .envs(&job.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| RunError::Start { program: job.argv[0].clone(), reason: error.to_string() })?;
        let mut stdin = child.stdin.take().expect("piped");
        // A program may end without reading it.
        let _ = stdin.write_all(&job.stdin);
        drop(stdin);
        let stdout = drain(child.stdout.take().expect("piped"));
        let stderr = drain(child.stderr.take().expect("piped"));
        let exit = wait(&mut child, start + job.timeout);
        let [stdout, stderr] = [stdout, stderr].map(|reader| reader.join().expect("it does not panic"));
        Ok(Outcome { exit, stdout, stderr, duration: start.elapsed() })
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read until then is what there is.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

fn wait(child: &mut Child, end: Instant) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    loop {
        if let Some(status) = child.try_wait().expect("it is ours") {
            return status.code().map_or_else(|| Exit::Signal(status.signal().unwrap_or(0)), Exit::Code);
        }
        if Instant::now() > end {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
            return Exit::TimedOut;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
