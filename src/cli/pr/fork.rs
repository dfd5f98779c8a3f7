//! `lastmile pr --post`: repairs that another run computed, without secrets, for a pull request from a fork.
//!
//! That run is in the hands of whoever opened the pull request. Which one it is comes from GitHub, never from the file;
//! each repair is made and judged again on the text that GitHub has; and there is no clone that anything could run in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::files::Found;
use super::target::{check_name, connect};
use super::{Gathered, PrArgs};
use crate::cli::session::{Session, variable};
use crate::io::files;
use crate::io::github::{Github, Named, Pull, PullFile};
use crate::review::{ARTIFACT, Artifact, Hostile, MAX_ZIP, hunks};

/// The event `workflow_run`, which GitHub fills.
#[derive(Deserialize)]
struct Event {
    workflow_run: Option<Run>,
    repository: Named,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    event: String,
    path: Option<String>,
    head_sha: String,
    head_branch: Option<String>,
    repository: Named,
    /// Absent when the fork is gone.
    head_repository: Option<Named>,
}

pub(super) async fn gather(args: &PrArgs, session: &Session) -> Result<Gathered> {
    let (run, repository) = trusted_run(args)?;
    let github = connect(&repository, &session.config).await?;
    let pull = pull_of(&run, &repository, &github).await?;
    let artifact = artifact_of(&run, &github).await?;
    let listed: BTreeMap<String, PullFile> =
        github.files(pull.number).await?.into_iter().map(|file| (file.filename.clone(), file)).collect();
    let (mut reports, mut shown) = (Vec::new(), BTreeMap::new());
    for file in &artifact.files {
        let changed = listed.get(&file.path).filter(|file| file.status != "removed");
        let Some((changed, sha)) = changed.and_then(|changed| changed.sha.as_ref().map(|sha| (changed, sha)))
        else {
            return Err(refused(&Hostile::NotChanged));
        };
        let text = github.text(&run.head_sha, &file.path, sha).await?;
        let bytes = text.map_err(|_| refused(&Hostile::NoFile))?;
        if session.config.files.limit(file.path.as_ref()).check(bytes.len() as u64).is_err() {
            return Err(refused(&Hostile::NotText));
        }
        reports.push(file.verify(bytes).map_err(|hostile| refused(&hostile))?);
        shown.insert(file.path.clone(), changed.patch.as_deref().and_then(hunks).unwrap_or_default());
    }
    let n_checked = reports.len();
    let present = listed.into_values().filter(|file| file.status != "removed");
    let texts = present.filter_map(|file| Some((file.filename, file.sha?)));
    let found = Found::of_others(pull.number, run.head_sha, shown, texts.collect());
    Ok(Gathered { github: Some(github), found, reports, n_checked, engine_error: None })
}

fn refused(hostile: &Hostile) -> anyhow::Error {
    anyhow::anyhow!("the artifact `{ARTIFACT}` is refused, and nothing of it is posted: {hostile}")
}

/// The run, when it is one of ours on a pull request, and the repository.
fn trusted_run(args: &PrArgs) -> Result<(Run, String)> {
    let path = args.event.clone().or_else(|| variable("GITHUB_EVENT_PATH").map(PathBuf::from));
    let Some(path) = path else {
        bail!("`--post` needs the event of a workflow (`--event` or GITHUB_EVENT_PATH)")
    };
    let wrong = || format!("the event in `{}` cannot be read", path.display());
    let text = files::read_text(&path).with_context(wrong)?.unwrap_or_default();
    let event: Event = serde_json::from_str(&text).with_context(wrong)?;
    let Some(run) = event.workflow_run else { bail!("`--post` is for the event `workflow_run`") };
    check_name(&event.repository.full_name)?;
    if run.event != "pull_request" {
        bail!("the run was started by another event than `pull_request`");
    }
    // The API puts the branch behind it.
    let ran = run.path.as_deref().map(|path| path.split('@').next().unwrap_or(path));
    if ran != Some(args.workflow.as_str()) {
        bail!("the run is of another workflow than `{}` (`--workflow`)", args.workflow);
    }
    if run.repository.id != event.repository.id {
        bail!("the run is of another repository");
    }
    Ok((run, event.repository.full_name))
}

/// The only open pull request at the commit of the run. Runs for forks do not name theirs.
async fn pull_of(run: &Run, repository: &str, github: &Github) -> Result<Pull> {
    let (Some(from), Some(branch)) = (&run.head_repository, &run.head_branch) else {
        bail!("the run names no branch that it was started for");
    };
    let owner = from.full_name.split('/').next().unwrap_or_default();
    let mut pulls = github.pulls_from(&format!("{owner}:{branch}")).await?;
    pulls.retain(|pull| {
        let is_ours = pull.base.repo.as_ref().is_some_and(|base| base.full_name == repository);
        let is_theirs = pull.head.repo.as_ref().is_some_and(|head| head.id == from.id);
        is_ours && is_theirs && pull.state == "open" && pull.head.sha == run.head_sha
    });
    match (pulls.pop(), pulls.len()) {
        (Some(pull), 0) => Ok(pull),
        (None, _) => bail!("no open pull request is at the commit of the run: it has moved on, or is closed"),
        (Some(_), n) => bail!("{} open pull requests are at the commit of the run", n + 1),
    }
}

async fn artifact_of(run: &Run, github: &Github) -> Result<Artifact> {
    let listed = github.artifacts(run.id, ARTIFACT).await?;
    let [listed] = listed.as_slice() else {
        bail!("the run left {} artifacts named `{ARTIFACT}`, not one", listed.len());
    };
    if listed.expired {
        bail!("the artifact `{ARTIFACT}` has expired");
    }
    if listed.size_in_bytes > MAX_ZIP as u64 {
        return Err(refused(&Hostile::TooLarge));
    }
    let bytes = github.download(listed.id, MAX_ZIP).await?;
    let artifact = Artifact::unzip(&bytes).map_err(|hostile| refused(&hostile))?;
    if artifact.head != run.head_sha {
        return Err(refused(&Hostile::OtherCommit));
    }
    Ok(artifact)
}
