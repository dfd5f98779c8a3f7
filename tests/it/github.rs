//! A GitHub for tests: `tests/github/fake.py` in front of a bare repository, and behind it a clone with a pull request.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::repo::{Said, TestRepo};

/// Number of the pull request that tests are about.
pub(crate) const NUMBER: u64 = 5;

/// Ends with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The pull request of a repository, and the GitHub that it is on.
pub(crate) struct FakeGitHub {
    pub(crate) repo: TestRepo,
    pub(crate) server: Server,
    /// Checks what is asked and answered against GitHub's own description.
    proxy: Option<Server>,
}

/// Where `make tools` puts what npm brings.
pub(crate) fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/github/node_modules")
}

/// A file that `make tools` makes. Where it is missing the test passes, except in CI.
pub(crate) fn tool(path: &str) -> Option<PathBuf> {
    let found = tools().join(path);
    let is_there = found.exists();
    assert!(is_there || std::env::var_os("CI").is_none(), "CI must have {path} (`make tools`)");
    is_there.then_some(found)
}

impl FakeGitHub {
    /// Files before the pull request, and those that it changes.
    pub(crate) fn new(before: &[(&str, &str)], after: &[(&str, &str)]) -> Self {
        let repo = TestRepo::new();
        repo.git(["init", "--quiet", "--bare", "../origin.git"]);
        for (path, text) in before {
            repo.write(path, text);
        }
        repo.commit_all();
        repo.git(["push", "--quiet", "../origin.git", "HEAD:refs/heads/main"]);
        let fake = Self { server: start(&repo.base().join("origin.git")), repo, proxy: None };
        fake.push(after);
        fake
    }

    /// The same behind the proxy; `None` where that is not installed.
    pub(crate) fn proxied(before: &[(&str, &str)], after: &[(&str, &str)]) -> Option<Self> {
        let (prism, api) = (tool(".bin/prism")?, tool("api.json")?);
        let mut fake = Self::new(before, after);
        fake.proxy = Some(start_proxy(&prism, &api, fake.server.port));
        Some(fake)
    }

    /// The port that lastmile asks.
    pub(crate) fn port(&self) -> u16 {
        self.proxy.as_ref().unwrap_or(&self.server).port
    }

    /// A commit more on the pull request.
    pub(crate) fn push(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            self.repo.write(path, text);
        }
        self.repo.commit_all();
        self.repo.git([
            "push",
            "--quiet",
            "--force",
            "../origin.git",
            &format!("HEAD:refs/pull/{NUMBER}/head"),
        ]);
    }

    pub(crate) fn head(&self) -> String {
        self.repo.git(["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// The event of a workflow, with no more than is read.
    pub(crate) fn event(&self) -> Value {
        let base = self.repo.git(["--git-dir=../origin.git", "rev-parse", "refs/heads/main"]);
        let repo = json!({ "id": 1, "full_name": "o/r" });
        json!({
            "action": "synchronize",
            "pull_request": {
                "number": NUMBER,
                "base": { "sha": base.trim(), "ref": "main", "repo": repo },
                "head": { "sha": self.head(), "ref": "topic", "repo": repo },
            },
            "repository": repo,
        })
    }

    /// `lastmile pr` as a workflow runs it, but for `GITHUB_ACTIONS`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let base = self.repo.base();
        let event = base.join("event.json");
        std::fs::write(&event, self.event().to_string()).expect("it is ours");
        let mut command = self.repo.command(env!("CARGO_BIN_EXE_lastmile"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GITHUB_") {
                command.env_remove(name);
            }
        }
        command
            .arg("pr")
            .args(arguments)
            .env("GITHUB_API_URL", format!("http://127.0.0.1:{}", self.port()))
            // Of GraphQL the description says nothing.
            .env("GITHUB_GRAPHQL_URL", format!("http://127.0.0.1:{}/graphql", self.server.port))
            .env("GITHUB_REPOSITORY", "o/r")
            .env("GITHUB_TOKEN", "good")
            .env("GITHUB_EVENT_PATH", event)
            .env("GITHUB_STEP_SUMMARY", base.join("summary.md"))
            .env("GITHUB_OUTPUT", base.join("output"));
        command
    }

    pub(crate) fn pr(&self, arguments: &[&str]) -> Said {
        self.repo.run(&mut self.command(arguments))
    }

    /// With what it is told and asked below `/fake/`.
    pub(crate) fn steer(&self, what: &str, request: &Value) -> Value {
        let (status, body) = request_of(self.server.port, "POST", &format!("/fake/{what}"), "", request);
        assert_eq!(status, 200, "{body}");
        body
    }

    /// What the next requests that match are answered with.
    pub(crate) fn plan(&self, faults: &Value) {
        self.steer("plan", faults);
    }

    pub(crate) fn state(&self) -> Value {
        self.steer("state", &Value::Null)
    }

    /// The reviews that everybody sees.
    pub(crate) fn reviews(&self) -> Vec<Value> {
        let state = self.state();
        let reviews = state["reviews"].as_array().expect("a list").clone();
        reviews.into_iter().filter(|review| review["state"] == "COMMENTED").collect()
    }

    /// Path and lines of each comment.
    pub(crate) fn comments(&self) -> Vec<(String, u64, u64)> {
        let state = self.state();
        let comments = state["comments"].as_array().expect("a list").clone();
        let place = |comment: Value| {
            let last = comment["line"].as_u64().expect("a line");
            let first = comment["start_line"].as_u64().unwrap_or(last);
            (comment["path"].as_str().expect("a path").to_owned(), first, last)
        };
        comments.into_iter().map(place).collect()
    }

    /// The summary of the job.
    pub(crate) fn summary(&self) -> String {
        std::fs::read_to_string(self.repo.base().join("summary.md")).unwrap_or_default()
    }

    /// The outputs of the step.
    pub(crate) fn outputs(&self) -> String {
        std::fs::read_to_string(self.repo.base().join("output")).unwrap_or_default()
    }

    /// How many requests there were whose method and path start so.
    pub(crate) fn n_requests(&self, start: &str) -> usize {
        let state = self.state();
        let line = |r: &Value| {
            format!("{} {}", r["method"].as_str().unwrap_or(""), r["path"].as_str().unwrap_or(""))
        };
        state["requests"].as_array().expect("a list").iter().filter(|r| line(r).starts_with(start)).count()
    }
}

fn start(repository: &Path) -> Server {
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/github/fake.py");
    let mut command = Command::new("python3");
    command.arg(fake).arg(repository);
    let examples = tools().join("examples.json");
    if examples.exists() {
        command.arg(examples);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts, as for the engine");
    let mut line = String::new();
    let stdout = child.stdout.as_mut().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("it prints its port");
    Server { child, port: line.trim().parse().expect("a port") }
}

fn start_proxy(prism: &Path, api: &Path, upstream: u16) -> Server {
    // Let go of again at once, so that it is free.
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    let mut command = Command::new(prism);
    command.args(["proxy", "--errors", "--host", "127.0.0.1", "--port", &port.to_string()]);
    command.arg(api).arg(format!("http://127.0.0.1:{upstream}"));
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("node starts");
    let server = Server { child, port };
    for _ in 0..600 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return server;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the proxy does not listen")
}

/// One request without lastmile.
pub(crate) fn request_of(port: u16, method: &str, path: &str, headers: &str, body: &Value) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let body = if body.is_null() && method == "GET" { String::new() } else { body.to_string() };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("it listens");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}
