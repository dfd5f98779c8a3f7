//! Which pull request is meant: by flags, by the event of a workflow, by the environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::PrArgs;
use crate::cli::session::text_variable;
use crate::config::Config;
use crate::io::files;
use crate::io::github::{Access, Branch, Credentials, Github};

/// What is known before GitHub is asked.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) repository: Option<String>,
    pub(super) number: Option<u64>,
    pub(super) base: Option<String>,
    pub(super) head: Option<String>,
}

/// The parts of a workflow's event that name a pull request.
#[derive(Deserialize)]
struct Event {
    pull_request: Option<EventPull>,
    issue: Option<EventIssue>,
    repository: Option<EventRepository>,
}

#[derive(Deserialize)]
struct EventPull {
    number: u64,
    base: Branch,
    head: Branch,
}

#[derive(Deserialize)]
struct EventIssue {
    number: u64,
    /// Only of issues that are pull requests.
    pull_request: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct EventRepository {
    full_name: String,
}

impl Target {
    pub(super) fn find(args: &PrArgs) -> Result<Self> {
        // Flags name another pull request than the one that a workflow runs for.
        let event = match (&args.event, args.number) {
            (Some(path), _) => Some(path.clone()),
            (None, None) if args.base.is_none() => text_variable("GITHUB_EVENT_PATH").map(PathBuf::from),
            (None, _) => None,
        };
        let mut target = match event {
            Some(path) => Self::of_event(&path)?,
            None => Self::default(),
        };
        target.repository =
            args.repo.clone().or(target.repository).or_else(|| text_variable("GITHUB_REPOSITORY"));
        target.number = args.number.or(target.number);
        target.base = args.base.clone().or(target.base);
        target.head = args.head.clone().or(target.head);
        if let Some(name) = &target.repository {
            check_name(name)?;
        }
        if target.number.is_none() && target.base.is_none() {
            bail!(
                "no pull request is named: give its number, run on the event `pull_request`, or name a commit with \
                 `--dry-run --base`"
            );
        }
        Ok(target)
    }

    fn of_event(path: &Path) -> Result<Self> {
        let wrong = || format!("the event in `{}` cannot be read", path.display());
        let text = files::read_text(path).with_context(wrong)?.unwrap_or_default();
        let event: Event = serde_json::from_str(&text).with_context(wrong)?;
        let repository = event.repository.map(|repository| repository.full_name);
        if let Some(pull) = event.pull_request {
            let repository = pull.base.repo.map(|named| named.full_name).or(repository);
            let (base, head) = (Some(pull.base.sha), Some(pull.head.sha));
            return Ok(Self { repository, number: Some(pull.number), base, head });
        }
        let issue = event.issue.filter(|issue| issue.pull_request.is_some());
        Ok(Self { repository, number: issue.map(|issue| issue.number), ..Self::default() })
    }

    /// GitHub, where it is needed or can be had.
    pub(super) async fn open(&self, config: &Config, is_dry: bool) -> Result<Option<Github>> {
        let Some((repository, _)) = self.repository.as_ref().zip(self.number) else {
            if !is_dry {
                bail!(
                    "to post, a repository (`--repo OWNER/NAME`) and a number are needed; or say `--dry-run`"
                );
            }
            return Ok(None);
        };
        // A pull request whose commits are here can be looked at without a token.
        if is_dry && self.base.is_some() && credentials()?.is_none() {
            return Ok(None);
        }
        connect(repository, config).await.map(Some)
    }
}

/// GitHub, as the environment says where it is and who asks.
pub(super) async fn connect(repository: &str, config: &Config) -> Result<Github> {
    let Some(credentials) = credentials()? else {
        bail!(
            "GITHUB_TOKEN is not set; in a workflow, `env: {{ GITHUB_TOKEN: ${{{{ github.token }}}} }}` sets it"
        );
    };
    let api = text_variable("GITHUB_API_URL").unwrap_or_else(|| "https://api.github.com".to_owned());
    let graphql = text_variable("GITHUB_GRAPHQL_URL").unwrap_or_else(|| graphql_of(&api));
    let (timeout, max_wait) =
        (Duration::from_millis(config.pr.timeout_ms), Duration::from_secs(config.pr.max_wait_s));
    let access = Access { api, graphql, credentials, timeout, max_wait };
    Ok(Github::open(&access, repository).await?)
}

fn credentials() -> Result<Option<Credentials>> {
    match (text_variable("LASTMILE_APP_ID"), text_variable("LASTMILE_APP_KEY")) {
        (Some(id), Some(key)) => Ok(Some(Credentials::App { id, key })),
        (None, None) => Ok(text_variable("GITHUB_TOKEN").map(Credentials::Token)),
        _ => bail!("LASTMILE_APP_ID and LASTMILE_APP_KEY go together"),
    }
}

/// GitHub Enterprise has it beside its API.
fn graphql_of(api: &str) -> String {
    let api = api.trim_end_matches('/');
    format!("{}/graphql", api.strip_suffix("/v3").unwrap_or(api))
}

/// Names become parts of addresses.
pub(super) fn check_name(name: &str) -> Result<()> {
    let is_plain = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        !part.is_empty() && part != "." && part != ".." && part.chars().all(plain)
    };
    match name.split_once('/') {
        Some((owner, name)) if is_plain(owner) && is_plain(name) => Ok(()),
        _ => bail!("`{}` is no repository such as `owner/name`", crate::report::printable(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphql_lies_beside_the_api() {
        assert_eq!(graphql_of("https://api.github.com"), "https://api.github.com/graphql");
        assert_eq!(graphql_of("https://ghe.example.org/api/v3/"), "https://ghe.example.org/api/graphql");
    }

    #[test]
    fn repositories_are_named_plainly() {
        for (name, expected) in [
            ("o/r", true),
            ("octo-org/a.b_c", true),
            ("o", false),
            ("o/../x", false),
            ("o/..", false),
            ("o/r?x=1", false),
            ("/r", false),
        ] {
            assert_eq!(check_name(name).is_ok(), expected, "{name}");
        }
    }
}
