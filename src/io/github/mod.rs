//! GitHub's API: pull requests, their files, what was said on them, and one review more.
//!
//! Every request goes through one place, which waits where GitHub asks for it. What writes is never sent again before
//! a look at whether it was done. Pages are counted, never followed by links, so that the token goes to one host only.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Limited};
use octocrab::Octocrab;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::report::URI;
use crate::review::{Answer, Next, Remark, Review, is_any_review, is_review, unsure};

mod app;

/// Why GitHub was not asked, or did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum GithubError {
    #[error("`{address}` is no address of GitHub's API")]
    Address { address: String },

    #[error("the private key of the App cannot be used: {reason}")]
    Key { reason: &'static str },

    #[error("failed to {doing}: the token is wrong or has expired ({message})")]
    Unauthorized { doing: String, message: String },

    #[error("failed to {doing}: the token may not do that ({message})")]
    Forbidden { doing: String, message: String },

    #[error("failed to {doing}: there is no such thing, or the token may not see it")]
    Missing { doing: String },

    #[error("failed to {doing}: `{repository}` has another name or place now; name it with `--repo`")]
    Moved { doing: String, repository: String },

    #[error("failed to {doing}, and to look whether it is there: {reason}")]
    Unknown { doing: String, reason: String },

    #[error("failed to {doing}: GitHub did not accept it ({message})")]
    Invalid { doing: String, message: String },

    #[error("failed to {doing}: GitHub asks to wait {} s, longer than `pr.max_wait_s` allows", wait.as_secs())]
    Limited { doing: String, wait: Duration },

    #[error("failed to {doing}: no usable answer from GitHub ({reason})")]
    Lost { doing: String, reason: String },

    #[error("failed to {doing}: GitHub answered with status {status} ({message})")]
    Refused { doing: String, status: u16, message: String },
}

/// Who asks.
pub enum Credentials {
    Token(String),
    /// A GitHub App: its id and its private key.
    App {
        id: String,
        key: String,
    },
}

/// Where GitHub is, and how long to wait for it.
pub struct Access {
    /// As in `https://api.github.com` or `https://HOST/api/v3`.
    pub api: String,
    /// As in `https://api.github.com/graphql` or `https://HOST/api/graphql`.
    pub graphql: String,
    pub credentials: Credentials,
    /// For one answer.
    pub timeout: Duration,
    /// In all, where limits ask for it.
    pub max_wait: Duration,
}

/// One repository on GitHub.
pub struct Github {
    rest: Octocrab,
    graphql: Octocrab,
    /// As in `owner/name`.
    repository: String,
    timeout: Duration,
    patience: Cell<Duration>,
    last_write: Cell<Option<Instant>>,
    /// The login of an App, which cannot ask for it with its token.
    own_login: Option<String>,
    /// Of the commit that is looked at.
    tree: OnceCell<Tree>,
}

/// What a commit holds besides files.
#[derive(Debug)]
struct Tree {
    specials: BTreeMap<String, Special>,
    /// Whether GitHub listed all of it.
    is_whole: bool,
}

/// Why a path has no text of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Special {
    #[error("it is a symbolic link")]
    Link,
    #[error("it is a submodule")]
    Submodule,
    #[error("it may be a symbolic link, and GitHub does not list all files of the commit")]
    Unknown,
}

/// A pull request.
#[derive(Clone, Debug, Deserialize)]
pub struct Pull {
    pub number: u64,
    pub state: String,
    pub base: Branch,
    pub head: Branch,
    /// Absent in lists.
    #[serde(default)]
    pub changed_files: usize,
}

/// One side of a pull request.
#[derive(Clone, Debug, Deserialize)]
pub struct Branch {
    pub sha: String,
    #[serde(rename = "ref")]
    pub name: String,
    /// Absent when it was deleted.
    pub repo: Option<Named>,
}

/// A repository, as other things name it.
#[derive(Clone, Debug, Deserialize)]
pub struct Named {
    pub id: u64,
    pub full_name: String,
}

/// A file that a pull request changes.
#[derive(Clone, Debug, Deserialize)]
pub struct PullFile {
    pub filename: String,
    pub status: String,
    /// The name of its text; of a submodule that of a commit elsewhere.
    pub sha: Option<String>,
    /// Absent for binary and for very long ones.
    pub patch: Option<String>,
}

/// What a run of a workflow left behind.
#[derive(Clone, Debug, Deserialize)]
pub struct Listed {
    pub id: u64,
    pub name: String,
    pub size_in_bytes: u64,
    pub expired: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct User {
    id: u64,
    login: String,
}

#[derive(Clone, Debug, Deserialize)]
struct PostedReview {
    id: u64,
    user: Option<User>,
    #[serde(default)]
    body: Option<String>,
    state: String,
}

#[derive(Clone, Debug, Deserialize)]
struct PostedComment {
    id: u64,
    user: Option<User>,
    path: String,
    body: String,
    line: Option<u64>,
    in_reply_to_id: Option<u64>,
}

/// What was said on a pull request.
#[derive(Debug, Default)]
pub struct Said {
    /// The bodies of our own reviews.
    pub reviews: Vec<String>,
    pub remarks: Vec<Remark>,
}

enum Method<'v> {
    Get,
    /// A question to GraphQL: sent as what writes is, but it changes nothing.
    Query(&'v Value),
    Post(&'v Value),
    Delete,
}

struct Reply {
    answer: Answer,
    body: String,
}

/// How often a request is sent whose answer is lost.
const TRIES: u32 = 4;
/// GitHub asks for this between two requests that write.
const PACE: Duration = Duration::from_secs(1);
const PAGE: usize = 100;
/// GitHub lists no more files than these.
const MAX_FILES: usize = 3_000;
/// Beyond this, nobody reads what was said.
const MAX_PAGES: usize = 100;
/// No system has links to longer names.
const MAX_TARGET: usize = 4_096;

impl Github {
    /// Must be called inside of a tokio runtime.
    pub async fn open(access: &Access, repository: &str) -> Result<Self, GithubError> {
        let open = |token: &str, own_login| {
            let graphql = access.graphql.strip_suffix("/graphql").unwrap_or(&access.graphql);
            Ok(Self {
                rest: client(&access.api, Some(token))?,
                graphql: client(graphql, Some(token))?,
                repository: repository.to_owned(),
                timeout: access.timeout,
                patience: Cell::new(access.max_wait),
                last_write: Cell::new(None),
                own_login,
                tree: OnceCell::new(),
            })
        };
        let (id, key) = match &access.credentials {
            Credentials::Token(token) => return open(token, None),
            Credentials::App { id, key } => (id, key),
        };
        let as_app = open(&app::sign(id, key, now())?, None)?;
        let (token, login) = as_app.installation().await?;
        open(&token, Some(login))
    }

    /// A token for this repository alone, and the login that it posts under.
    async fn installation(&self) -> Result<(String, String), GithubError> {
        #[derive(Deserialize)]
        struct App {
            slug: String,
        }
        #[derive(Deserialize)]
        struct Installation {
            id: u64,
        }
        #[derive(Deserialize)]
        struct Token {
            token: String,
        }
        let app: App = self.get("read the App", "/app").await?;
        let path = format!("/repos/{}/installation", self.repository);
        let Installation { id } = self.get("find the App in the repository", &path).await?;
        let name = self.repository.rsplit('/').next().unwrap_or_default();
        let wanted = json!({
            "repositories": [name],
            "permissions": { "pull_requests": "write", "contents": "read" },
        });
        let doing = "get a token for the App";
        let path = format!("/app/installations/{id}/access_tokens");
        let reply = self.ask(doing, &Method::Post(&wanted), &path).await?;
        let Token { token } = read(doing, &reply.body)?;
        Ok((token, format!("{}[bot]", app.slug)))
    }

    fn pull_path(&self, number: u64) -> String {
        format!("/repos/{}/pulls/{number}", self.repository)
    }

    pub async fn pull(&self, number: u64) -> Result<Pull, GithubError> {
        self.get("read the pull request", &self.pull_path(number)).await
    }

    /// The open pull requests from a branch of a repository, as in `owner:branch`.
    pub async fn pulls_from(&self, head: &str) -> Result<Vec<Pull>, GithubError> {
        let path = format!("/repos/{}/pulls?state=open&head={}&", self.repository, escaped(head));
        self.pages("list the pull requests", &path, MAX_PAGES).await
    }

    /// The files that a pull request changes, as far as GitHub lists them.
    pub async fn files(&self, number: u64) -> Result<Vec<PullFile>, GithubError> {
        let path = format!("{}/files?", self.pull_path(number));
        self.pages("list the changed files", &path, MAX_FILES / PAGE).await
    }

    /// The bytes of a changed file of `commit`, unless it has no text of its own; `sha` is its name in git's store.
    pub async fn text(
        &self,
        commit: &str,
        path: &str,
        sha: &str,
    ) -> Result<Result<Vec<u8>, Special>, GithubError> {
        let found = self.blob(sha).await;
        let special = match &found {
            Ok(bytes) => self.special(commit, path, Some(bytes)).await?,
            Err(GithubError::Missing { .. }) => self.special(commit, path, None).await?,
            Err(_) => None,
        };
        special.map_or_else(|| found.map(Ok), |special| Ok(Err(special)))
    }

    async fn blob(&self, sha: &str) -> Result<Vec<u8>, GithubError> {
        #[derive(Deserialize)]
        struct Blob {
            content: String,
        }
        let doing = "read a changed file";
        let path = format!("/repos/{}/git/blobs/{}", self.repository, escaped(sha));
        let Blob { content } = self.get(doing, &path).await?;
        let bytes = STANDARD.decode(content.replace(['\n', '\r'], ""));
        bytes.map_err(|error| GithubError::Lost { doing: doing.to_owned(), reason: error.to_string() })
    }

    /// What a path of `commit` is, when it is no file although its text could be one. Lists of changed files do not tell.
    async fn special(
        &self,
        commit: &str,
        path: &str,
        text: Option<&[u8]>,
    ) -> Result<Option<Special>, GithubError> {
        // A link holds its target; of a submodule there is nothing.
        if text.is_some_and(|text| text.is_empty() || text.len() > MAX_TARGET || text.contains(&b'\n')) {
            return Ok(None);
        }
        let tree = match self.tree.get() {
            Some(tree) => tree,
            None => self.tree.get_or_init({
                let tree = self.tree(commit).await?;
                || tree
            }),
        };
        let unknown = (!tree.is_whole && text.is_some()).then_some(Special::Unknown);
        Ok(tree.specials.get(path).copied().or(unknown))
    }

    async fn tree(&self, commit: &str) -> Result<Tree, GithubError> {
        #[derive(Deserialize)]
        struct Entry {
            path: String,
            mode: String,
        }
        #[derive(Deserialize)]
        struct Listing {
            tree: Vec<Entry>,
            truncated: bool,
        }
        let path = format!("/repos/{}/git/trees/{}?recursive=1", self.repository, escaped(commit));
        let listing: Listing = self.get("list the files of the commit", &path).await?;
        let specials = listing.tree.into_iter().filter_map(|entry| match entry.mode.as_str() {
            "120000" => Some((entry.path, Special::Link)),
            "160000" => Some((entry.path, Special::Submodule)),
            _ => None,
        });
        Ok(Tree { specials: specials.collect(), is_whole: !listing.truncated })
    }

    /// The artifacts of a run that have this name.
    pub async fn artifacts(&self, run: u64, name: &str) -> Result<Vec<Listed>, GithubError> {
        #[derive(Deserialize)]
        struct Page {
            artifacts: Vec<Listed>,
        }
        let name_of = escaped(name);
        let path =
            format!("/repos/{}/actions/runs/{run}/artifacts?name={name_of}&per_page={PAGE}", self.repository);
        let mut page: Page = self.get("list the artifacts", &path).await?;
        page.artifacts.retain(|artifact| artifact.name == name);
        Ok(page.artifacts)
    }

    /// The bytes of an artifact, up to `limit`. GitHub keeps them elsewhere, where the token does not go.
    pub async fn download(&self, artifact: u64, limit: usize) -> Result<Vec<u8>, GithubError> {
        let lost = |reason: String| GithubError::Lost { doing: "read the artifact".to_owned(), reason };
        let path = format!("/repos/{}/actions/artifacts/{artifact}/zip", self.repository);
        let fetch = async {
            let moved = self.rest._get(path.as_str()).await.map_err(|error| lost(chain(&error)))?;
            let location = moved.headers().get("location").and_then(|location| location.to_str().ok());
            let Some(location) = location else {
                return Err(lost(format!("status {}, and no place to go to", moved.status().as_u16())));
            };
            let elsewhere = client(location, None)?;
            let response = elsewhere._get(location).await.map_err(|error| lost(chain(&error)))?;
            if !response.status().is_success() {
                return Err(lost(format!("status {}", response.status().as_u16())));
            }
            let body = Limited::new(response.into_body(), limit).collect().await;
            Ok(body.map_err(|error| lost(error.to_string()))?.to_bytes().to_vec())
        };
        let late = |_| lost(format!("none within {} s", self.timeout.as_secs_f32()));
        tokio::time::timeout(self.timeout, fetch).await.map_err(late)?
    }

    /// What was said so far, and which of it is ours.
    pub async fn said(&self, number: u64) -> Result<Said, GithubError> {
        let us = self.us().await?;
        let path = self.pull_path(number);
        let comments: Vec<PostedComment> =
            self.pages("read the comments", &format!("{path}/comments?"), MAX_PAGES).await?;
        let remarks = comments.into_iter().map(|comment| Remark {
            id: comment.id,
            is_ours: us.is(comment.user.as_ref()),
            path: comment.path,
            body: comment.body,
            is_outdated: comment.line.is_none(),
            reply_to: comment.in_reply_to_id,
        });
        let reviews = self.reviews(number).await?.into_iter();
        let ours = reviews.filter(|review| us.is(review.user.as_ref()) && review.state != PENDING);
        Ok(Said { remarks: remarks.collect(), reviews: ours.filter_map(|review| review.body).collect() })
    }

    async fn reviews(&self, number: u64) -> Result<Vec<PostedReview>, GithubError> {
        self.pages("read the reviews", &format!("{}/reviews?", self.pull_path(number)), MAX_PAGES).await
    }

    /// The account that posts. Tokens of workflows and of Apps may not ask the one way, but the other.
    async fn us(&self) -> Result<Us, GithubError> {
        if let Some(login) = &self.own_login {
            return Ok(Us { id: None, login: login.clone() });
        }
        let doing = "read the own account";
        match self.get::<User>(doing, "/user").await {
            Ok(user) => return Ok(Us { id: Some(user.id), login: user.login }),
            Err(GithubError::Forbidden { .. } | GithubError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
        let nobody = json!({});
        match self.query(doing, &Method::Query(&graphql(include_str!("viewer.graphql"), &nobody))).await {
            Ok(data) => {
                let (id, login) = (&data["viewer"]["databaseId"], &data["viewer"]["login"]);
                Ok(Us { id: id.as_u64(), login: login.as_str().unwrap_or(WORKFLOWS).to_owned() })
            }
            // Old servers.
            Err(
                GithubError::Forbidden { .. } | GithubError::Missing { .. } | GithubError::Refused { .. },
            ) => Ok(Us { id: None, login: WORKFLOWS.to_owned() }),
            Err(error) => Err(error),
        }
    }

    /// Posts a review once, also where the answer to it is lost.
    pub async fn post(&self, number: u64, head: &str, review: &Review) -> Result<(), GithubError> {
        let path = format!("{}/reviews", self.pull_path(number));
        let request = review.request(head, Some("COMMENT"));
        let mut attempt = 0;
        loop {
            match self.ask("post the review", &Method::Post(&request), &path).await {
                Ok(_) => return Ok(()),
                Err(lost @ GithubError::Lost { .. }) => {
                    let doing = "post the review";
                    self.wait(doing, Duration::from_secs(1 << attempt)).await?;
                    let ours = |posted: &PostedReview| {
                        posted.state != PENDING
                            && posted.body.as_deref().is_some_and(|body| is_review(body, &review.id))
                    };
                    let reviews = self.reviews(number).await.map_err(|error| GithubError::Unknown {
                        doing: doing.to_owned(),
                        reason: error.to_string(),
                    })?;
                    if reviews.iter().any(ours) {
                        return Ok(());
                    }
                    attempt += 1;
                    if attempt == TRIES {
                        return Err(lost);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether GitHub would take a review: tried as a draft, which nobody else sees and which is taken back.
    pub async fn would_take(&self, number: u64, head: &str, review: &Review) -> Result<bool, GithubError> {
        let path = format!("{}/reviews", self.pull_path(number));
        let request = review.request(head, None);
        match self.ask("try a draft of the review", &Method::Post(&request), &path).await {
            Ok(_) => {
                self.take_back_drafts(number).await?;
                Ok(true)
            }
            Err(GithubError::Invalid { .. }) => Ok(false),
            Err(error) => {
                // It may be there all the same. What went wrong before is the better message.
                let _ = self.take_back_drafts(number).await;
                Err(error)
            }
        }
    }

    /// Takes back drafts of this run, or of one that was cancelled; how many there were. Only ours are seen at all.
    pub async fn take_back_drafts(&self, number: u64) -> Result<usize, GithubError> {
        let mut n_taken = 0;
        for review in self.reviews(number).await? {
            if review.state == PENDING && review.body.as_deref().is_some_and(is_any_review) {
                let path = format!("{}/reviews/{}", self.pull_path(number), review.id);
                self.ask("take the draft back", &Method::Delete, &path).await?;
                n_taken += 1;
            }
        }
        Ok(n_taken)
    }

    /// Marks the threads that start with these comments as resolved; how many there were.
    pub async fn resolve(&self, number: u64, comments: &[u64]) -> Result<usize, GithubError> {
        let (owner, name) = self.repository.split_once('/').unwrap_or_default();
        let mut after = None;
        let mut threads = Vec::new();
        loop {
            let variables = json!({ "owner": owner, "name": name, "number": number, "after": after });
            let question = graphql(include_str!("threads.graphql"), &variables);
            let data = self.query("read the threads", &Method::Query(&question)).await?;
            let page = &data["repository"]["pullRequest"]["reviewThreads"];
            for thread in page["nodes"].as_array().into_iter().flatten() {
                // Too large for a number of GraphQL, so it comes as a text.
                let first = thread["comments"]["nodes"][0]["fullDatabaseId"].as_str();
                let first = first.and_then(|id| id.parse().ok());
                let is_wanted = first.is_some_and(|id: u64| comments.contains(&id));
                if let (true, Some(id)) = (is_wanted && thread["isResolved"] == false, thread["id"].as_str())
                {
                    threads.push(id.to_owned());
                }
            }
            after = page["pageInfo"]["endCursor"].as_str().map(str::to_owned);
            if page["pageInfo"]["hasNextPage"] != true || after.is_none() {
                break;
            }
        }
        for id in &threads {
            let change = graphql(include_str!("resolve.graphql"), &json!({ "id": id }));
            self.query("resolve a thread", &Method::Post(&change)).await?;
        }
        Ok(threads.len())
    }

    async fn query(&self, doing: &str, method: &Method<'_>) -> Result<Value, GithubError> {
        let reply = self.ask_at(&self.graphql, doing, method, "/graphql").await?;
        let mut answer: Value = read(doing, &reply.body)?;
        match answer["errors"].get(0) {
            None => Ok(answer["data"].take()),
            // Said with status 200, and no missing right.
            Some(error) if error["type"] == "RATE_LIMITED" => {
                let reason = error["message"].as_str().unwrap_or("rate limit").to_owned();
                Err(GithubError::Lost { doing: doing.to_owned(), reason })
            }
            Some(error) => {
                let message = error["message"].as_str().unwrap_or("no message").to_owned();
                Err(GithubError::Forbidden { doing: doing.to_owned(), message })
            }
        }
    }

    async fn get<T: DeserializeOwned>(&self, doing: &str, path: &str) -> Result<T, GithubError> {
        let reply = self.ask(doing, &Method::Get, path).await?;
        read(doing, &reply.body)
    }

    /// All pages of a list; `path` ends where its next parameter goes.
    async fn pages<T: DeserializeOwned>(
        &self,
        doing: &str,
        path: &str,
        max_pages: usize,
    ) -> Result<Vec<T>, GithubError> {
        let mut all = Vec::new();
        for page in 1..=max_pages {
            let mut found: Vec<T> = self.get(doing, &format!("{path}per_page={PAGE}&page={page}")).await?;
            let is_last = found.len() < PAGE;
            all.append(&mut found);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    async fn ask(&self, doing: &str, method: &Method<'_>, path: &str) -> Result<Reply, GithubError> {
        self.ask_at(&self.rest, doing, method, path).await
    }

    /// Asks until there is an answer. What writes is not sent again when its answer is lost.
    async fn ask_at(
        &self,
        client: &Octocrab,
        doing: &str,
        method: &Method<'_>,
        path: &str,
    ) -> Result<Reply, GithubError> {
        let is_write = matches!(method, Method::Post(_) | Method::Delete);
        let doing = doing.to_owned();
        for attempt in 0.. {
            if is_write {
                self.keep_pace().await;
            }
            let sent = tokio::time::timeout(self.timeout, send(client, method, path)).await;
            let (next, answer) = match sent {
                Ok(Ok(reply)) => match reply.answer.next(attempt, now()) {
                    Next::Done => return Ok(reply),
                    next => (next, reply.answer),
                },
                Ok(Err(reason)) => (unsure(attempt), Answer { message: reason, ..Answer::default() }),
                Err(_) => {
                    let message = format!("none within {} s", self.timeout.as_secs_f32());
                    (unsure(attempt), Answer { message, ..Answer::default() })
                }
            };
            let Answer { status, message, .. } = answer;
            match next {
                Next::Wait(wait) => self.wait(&doing, wait).await?,
                Next::Unsure(wait) if !is_write && attempt + 1 < TRIES => self.wait(&doing, wait).await?,
                Next::Unsure(_) => {
                    let reason = if status == 0 { message } else { format!("status {status}: {message}") };
                    return Err(GithubError::Lost { doing, reason });
                }
                Next::Unauthorized => return Err(GithubError::Unauthorized { doing, message }),
                Next::Forbidden => return Err(GithubError::Forbidden { doing, message }),
                Next::Missing => return Err(GithubError::Missing { doing }),
                Next::Moved => {
                    return Err(GithubError::Moved { doing, repository: self.repository.clone() });
                }
                Next::Invalid => return Err(GithubError::Invalid { doing, message }),
                Next::Done | Next::Stop => return Err(GithubError::Refused { doing, status, message }),
            }
        }
        unreachable!("there is always another attempt")
    }

    /// Waits, as long as all the waiting together is not too much.
    async fn wait(&self, doing: &str, wait: Duration) -> Result<(), GithubError> {
        let Some(left) = self.patience.get().checked_sub(wait) else {
            return Err(GithubError::Limited { doing: doing.to_owned(), wait });
        };
        self.patience.set(left);
        tokio::time::sleep(wait).await;
        Ok(())
    }

    async fn keep_pace(&self) {
        if let Some(last) = self.last_write.get() {
            tokio::time::sleep(PACE.saturating_sub(last.elapsed())).await;
        }
        self.last_write.set(Some(Instant::now()));
    }
}

/// The state of a review that only its author sees.
const PENDING: &str = "PENDING";

/// The account of tokens that GitHub makes for workflows.
const WORKFLOWS: &str = "github-actions[bot]";

/// The account that posts.
struct Us {
    id: Option<u64>,
    login: String,
}

impl Us {
    /// Nobody can choose a login that ends in `[bot]`; other logins may have changed hands.
    fn is(&self, user: Option<&User>) -> bool {
        user.is_some_and(|user| match self.id {
            Some(id) => user.id == id,
            None => user.login == self.login,
        })
    }
}

fn graphql(query: &str, variables: &Value) -> Value {
    json!({ "query": query, "variables": variables })
}

fn client(address: &str, token: Option<&str>) -> Result<Octocrab, GithubError> {
    let wrong = || GithubError::Address { address: address.to_owned() };
    let base = format!("{}/", address.trim_end_matches('/'));
    if !base.starts_with("https://") && !base.starts_with("http://") {
        return Err(wrong());
    }
    let builder = Octocrab::builder().base_uri(base.as_str()).map_err(|_| wrong())?;
    let builder = builder.upload_uri(base.as_str()).map_err(|_| wrong())?;
    let builder = match token {
        Some(token) => builder.personal_token(token),
        None => builder,
    };
    builder.build().map_err(|_| wrong())
}

/// One request; `Err` says why there was no whole answer.
async fn send(client: &Octocrab, method: &Method<'_>, path: &str) -> Result<Reply, String> {
    let response = match method {
        Method::Get => client._get(path).await,
        Method::Query(body) | Method::Post(body) => client._post(path, Some(*body)).await,
        Method::Delete => client._delete(path, None::<&()>).await,
    };
    let response = response.map_err(|error| chain(&error))?;
    let status = response.status().as_u16();
    let number = |name: &str| response.headers().get(name)?.to_str().ok()?.parse().ok();
    let (retry_after, remaining, reset) =
        (number("retry-after"), number("x-ratelimit-remaining"), number("x-ratelimit-reset"));
    let body = client.body_to_string(response).await.map_err(|error| chain(&error))?;
    let message = if (200..300).contains(&status) { String::new() } else { message(&body) };
    Ok(Reply { answer: Answer { status, retry_after, remaining, reset, message }, body })
}

/// An error and what caused it, without the places in the source that octocrab adds.
fn chain(error: &dyn std::error::Error) -> String {
    let mut texts = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        texts.push(text.lines().next().unwrap_or_default().trim_end_matches(':').to_owned());
        next = error.source();
    }
    texts.dedup();
    texts.join(": ")
}

/// What an answer says was wrong, on one line.
fn message(body: &str) -> String {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let mut texts: Vec<String> = answer["message"].as_str().map(str::to_owned).into_iter().collect();
    for error in answer["errors"].as_array().into_iter().flatten() {
        texts.extend(error.as_str().or(error["message"].as_str()).map(str::to_owned));
    }
    let text = if texts.is_empty() { "no message".to_owned() } else { texts.join(": ") };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

fn read<T: DeserializeOwned>(doing: &str, body: &str) -> Result<T, GithubError> {
    serde_json::from_str(body)
        .map_err(|error| GithubError::Lost { doing: doing.to_owned(), reason: error.to_string() })
}

/// A value of a path or query.
fn escaped(text: &str) -> String {
    utf8_percent_encode(text, URI).to_string()
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
