//! A temporary git repository, a home of its own, and a scripted engine that closes round brackets.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The folder `root` is a git repository; nothing of the machine's own settings reaches it.
pub(crate) struct TestRepo {
    temp: TempDir,
    pub(crate) root: PathBuf,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A module, its tests, and how they are run: they pass.
pub(crate) const LIB: &str = "def less(a, b):\n    return a < b\n\ndef add(a, b):\n    return (a + b)\n";
pub(crate) const LIB_TESTS: &str = "import unittest, lib\n\nclass T(unittest.TestCase):\n    def test_add(self):\n        \
    self.assertEqual(lib.add(2, 3), 5)\n\n    def test_less(self):\n        self.assertTrue(lib.less(1, 2))\n";
pub(crate) const LIB_SETTINGS: &str = "[tests]\ncommand = 'python3 -m unittest {files}'\n";

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}--- stderr\n{}--- exit {:?}", self.stdout, self.stderr, self.code.unwrap_or(-1))
    }
}

/// Closes what is open at the end of each line, adds where tests are the aim, or misbehaves as `LASTMILE_TEST_ENGINE` says.
const ENGINE: &str = r#"#!/usr/bin/env python3
import json, os, sys, time
how = os.environ.get("LASTMILE_TEST_ENGINE", "")
open(os.environ["HOME"] + "/engine-was-started", "w").close()
def send(message):
    print(json.dumps(message), flush=True)
if how == "dies":
    sys.exit("out of memory")
send({"lastmile": 3, "engine": "0", "device": "cpu", "languages": ["python", "python/tests", "powershell", "excel"]})
def close(line):
    text = line.rstrip("\r\n")
    return text + ")" * (text.count("(") - text.count(")")) + line[len(text):]
for request in map(json.loads, sys.stdin):
    if how == "sleeps":
        time.sleep(60)
    if how == "takes its time":
        time.sleep(0.005)
    window = request["text"].encode()[request["start"]:request["end"]].decode()
    text = "".join(map(close, window.splitlines(keepends=True)))
    candidates = [] if how == "knows nothing" else [{"text": text, "score": 1.0}]
    if how == "errs first":
        candidates.append({"text": text.replace("+", "*"), "score": 2.0})
    if request["aim"] == "tests":
        candidates = [{"text": window.replace(" - ", " + "), "score": 1.0}]
    send({"id": request["id"], "candidates": candidates, "ms": 1.0})
"#;

impl TestRepo {
    pub(crate) fn new() -> Self {
        let temp = TempDir::new().expect("a temporary folder");
        let base = temp.path().canonicalize().expect("it exists");
        for folder in ["home", "repo", "bin", "models/python"] {
            fs::create_dir_all(base.join(folder)).expect("it is ours");
        }
        let settings = "[user]\n name = A\n email = a@example.org\n[init]\n defaultBranch = main\n[commit]\n gpgSign = false\n\
                        [core]\n autocrlf = false\n[protocol \"file\"]\n allow = always\n[advice]\n detachedHead = false\n";
        fs::write(base.join("home/gitconfig"), settings).expect("it is ours");
        let model = "[confidence]\nweights = { bias = 3.0 }\nthreshold = 0.9\n";
        fs::write(base.join("models/python/model.toml"), model).expect("it is ours");
        fs::write(base.join("bin/lastmile-engine"), ENGINE).expect("it is ours");
        set_mode(&base.join("bin/lastmile-engine"), 0o755);
        let repo = Self { root: base.join("repo"), temp };
        repo.git(["init", "--quiet"]);
        repo
    }

    /// One whose commit holds a module that passes its tests.
    pub(crate) fn with_tests() -> Self {
        let repo = Self::new();
        for (name, text) in [("lib.py", LIB), ("test_lib.py", LIB_TESTS), ("lastmile.toml", LIB_SETTINGS)] {
            repo.write(name, text);
        }
        repo.commit_all();
        repo
    }

    /// One with git's hook in place.
    pub(crate) fn with_hook() -> Self {
        let repo = Self::new();
        let said = repo.lastmile(["install"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        repo
    }

    /// The hook that writes safe repairs.
    pub(crate) fn with_writing_hook() -> Self {
        let repo = Self::new();
        repo.write(".git/hooks/pre-commit", "#!/bin/sh\nexec lastmile hook pre-commit --write\n");
        set_mode(&repo.root.join(".git/hooks/pre-commit"), 0o755);
        repo
    }

    /// The folder in which `root`, the home and the engine lie.
    pub(crate) fn base(&self) -> &Path {
        self.root.parent().unwrap_or(self.temp.path())
    }

    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GIT_") || name.to_string_lossy().starts_with("LASTMILE_") {
                command.env_remove(name);
            }
        }
        let own = Path::new(env!("CARGO_BIN_EXE_lastmile")).parent().expect("it lies in a folder").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([own].into_iter().chain(std::env::split_paths(&path)))
            .expect("no colon in it");
        command
            .current_dir(&self.root)
            .env("PATH", path)
            .env("HOME", self.base().join("home"))
            .env("GIT_CONFIG_GLOBAL", self.base().join("home/gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LASTMILE_ENGINE", self.base().join("bin/lastmile-engine"))
            .env("LASTMILE_MODELS", self.base().join("models"))
            .env("LASTMILE_PWSH", "off")
            .env("LC_ALL", "C.UTF-8")
            .env("NO_COLOR", "1")
            .env_remove("PRE_COMMIT")
            .env_remove("XDG_CONFIG_HOME");
        command
    }

    pub(crate) fn run(&self, command: &mut Command) -> Said {
        let output = command.output().expect("the program starts");
        self.said(&output)
    }

    /// With the names of temporary folders and of saved patches replaced.
    pub(crate) fn said(&self, output: &Output) -> Said {
        let plain = |bytes: &[u8]| {
            let own = env!("CARGO_BIN_EXE_lastmile");
            let text = String::from_utf8_lossy(bytes).replace(&*self.root.to_string_lossy(), "[repo]");
            text.replace(&*self.base().to_string_lossy(), "[base]").replace(own, "[lastmile]")
        };
        Said { code: output.status.code(), stdout: plain(&output.stdout), stderr: plain(&output.stderr) }
    }

    pub(crate) fn lastmile<const N: usize>(&self, arguments: [&str; N]) -> Said {
        self.run(self.command(env!("CARGO_BIN_EXE_lastmile")).args(arguments))
    }

    pub(crate) fn try_git<const N: usize>(&self, arguments: [&str; N]) -> Said {
        self.run(self.command("git").args(arguments))
    }

    /// What git printed; it must succeed.
    #[track_caller]
    pub(crate) fn git<const N: usize>(&self, arguments: [&str; N]) -> String {
        let said = self.try_git(arguments);
        assert_eq!(said.code, Some(0), "git {arguments:?}: {said:?}");
        said.stdout
    }

    pub(crate) fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("it is inside of the repository")).expect("it is ours");
        fs::write(path, bytes).expect("it is ours");
    }

    #[track_caller]
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> String {
        let bytes = fs::read(self.root.join(&path));
        String::from_utf8_lossy(&bytes.unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display())))
            .into_owned()
    }

    /// Writes and stages.
    pub(crate) fn stage(&self, path: &str, bytes: impl AsRef<[u8]>) {
        self.write(path, bytes);
        self.git(["add", "--", path]);
    }

    /// A first commit, past the hook.
    pub(crate) fn commit_all(&self) {
        self.git(["add", "--all"]);
        self.git(["commit", "--quiet", "--no-verify", "--allow-empty", "-m", "before"]);
    }

    /// Everything that a hook must leave as it is, besides the files on disk.
    pub(crate) fn git_state(&self) -> String {
        let lists =
            [self.git(["ls-files", "--stage"]), self.git(["stash", "list"]), self.git(["for-each-ref"])];
        lists.join("--\n")
    }

    /// The patches that are saved below git's folder.
    pub(crate) fn patches(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join(folder)) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("it is ours").path());
        let patches = paths.filter(|path| path.extension().is_some_and(|extension| extension == "patch"));
        let mut names: Vec<_> =
            patches.map(|path| path.file_name().expect("a file").to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[cfg(not(unix))]
pub(crate) fn set_mode(_path: &Path, _mode: u32) {}
