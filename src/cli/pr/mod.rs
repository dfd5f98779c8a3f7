//! `lastmile pr`: changed files of a pull request in, one review with suggestions out.
//!
//! The only place where tokio starts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;

use super::check::Telling;
use super::session::{Session, TestFlags, complain_of_engine, hint, note, print};
use super::{ExitStatus, FormatArg};
use crate::config::Format;
use crate::io::github::{Github, Said};
use crate::ports::EngineError;
use crate::report::{FileReport, show};
use crate::review::{Artifact, Counts, Draft, Hunk, Scene, draft, known, stale, summary};

mod actions;
mod files;
mod fork;
mod post;
mod target;

pub(super) use files::{Found, changed};
use target::Target;

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct PrArgs {
    /// The number of the pull request; in a workflow that of its event
    #[arg(value_name = "NUMBER")]
    number: Option<u64>,

    /// Its repository (or set `GITHUB_REPOSITORY`)
    #[arg(long, value_name = "OWNER/NAME")]
    repo: Option<String>,

    /// Read the event of a workflow from this file (or set `GITHUB_EVENT_PATH`)
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,

    /// The commit that changes are counted from, when it is not that of the pull request
    #[arg(long, value_name = "COMMIT")]
    base: Option<String>,

    /// The commit to look at; where no pull request is named, the one that is checked out
    #[arg(long, value_name = "COMMIT")]
    head: Option<String>,

    /// Show what would be posted, and post nothing
    #[arg(long)]
    dry_run: bool,

    /// How to show what was found; with `sarif`, nothing is posted
    #[arg(long, value_enum)]
    format: Option<FormatArg>,

    /// Exit with 0 also when faults remain
    #[arg(long)]
    exit_zero: bool,

    /// Post nothing, and write the repairs to this file, for `--post` in a workflow that may
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    compute: Option<PathBuf>,

    /// In a workflow on `workflow_run`: post the repairs that `--compute` of that run wrote; nothing in it is believed
    #[arg(long, conflicts_with_all = ["number", "base", "head", "dry_run", "compute"])]
    post: bool,

    /// Choose repairs by the tests of the project, which run in a sandbox
    #[arg(long, conflicts_with = "post", help_heading = "Tests")]
    tests: bool,

    #[command(flatten)]
    how: TestFlags,

    /// With `--post`, the workflow whose runs are taken
    #[arg(long, value_name = "FILE", default_value = ".github/workflows/lastmile.yml")]
    workflow: String,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  lastmile pr                                    in a workflow on `pull_request`: post suggestions
  lastmile pr --dry-run --base origin/main       what would be said about this branch; asks nobody
  lastmile pr 7 --repo o/r --dry-run             the same for a pull request on GitHub
  lastmile pr --tests                            say of each suggestion what the tests say of it
  lastmile pr --format sarif >lastmile.sarif     for `github/codeql-action/upload-sarif`, in place of suggestions

GITHUB_TOKEN holds the token; or LASTMILE_APP_ID and LASTMILE_APP_KEY (a PEM) let it post as a GitHub App. The token
needs `pull-requests: write` and `contents: read`. With a token that may only read, as for pull requests from forks,
faults become annotations and the summary of the job. GITHUB_API_URL names GitHub Enterprise.

Posted is one review, with suggestions for lines that the pull request shows and a summary of the rest, and only what
was not posted before. Nothing is posted when a new commit arrived in the meantime.

Pull requests from forks get no token that may post. There, one workflow computes without any secret (`--compute`),
keeps the file as the artifact `lastmile-report`, and another posts it (`--post`); action/README.md has both.

Exit codes: 0 all changed files parse, 1 faults remain (posted or not), 2 lastmile itself failed.";

pub(super) fn pr(args: &PrArgs, session: &mut Session) -> Result<ExitStatus> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime of the network cannot be started")?;
    Ok(match runtime.block_on(run(args, session))? {
        ExitStatus::FaultsRemain if args.exit_zero => ExitStatus::Clean,
        status => status,
    })
}

/// What was found, before anything is said about it.
struct Gathered {
    github: Option<Github>,
    found: files::Found,
    reports: Vec<FileReport>,
    n_checked: usize,
    engine_error: Option<EngineError>,
}

async fn run(args: &PrArgs, session: &mut Session) -> Result<ExitStatus> {
    let format = args.format.map_or(session.config.output.format, Format::from);
    let is_dry = args.dry_run || args.compute.is_some() || format == Format::Sarif;
    let gathered = if args.post {
        fork::gather(args, session).await?
    } else {
        let target = Target::find(args)?;
        let github = target.open(&session.config, is_dry).await?;
        let mut found = match files::find(&target, github.as_ref(), session).await? {
            Ok(found) => found,
            Err(moved) => {
                note(&format!("{moved}\n"));
                return Ok(ExitStatus::Failed);
            }
        };
        args.how.apply(&mut session.config);
        let (reports, n_checked, engine_error) = found.repair(args.tests, session)?;
        Gathered { github, found, reports, n_checked, engine_error }
    };
    if let Some(path) = &args.compute {
        let artifact = serde_json::to_vec(&Artifact::new(&gathered.found.head, &gathered.reports))?;
        std::fs::write(path, artifact).with_context(|| format!("failed to write `{}`", path.display()))?;
    }
    tell(gathered, format, (is_dry, args.dry_run), session).await
}

/// Says it: here, and on the pull request unless it `is_dry`.
async fn tell(
    gathered: Gathered,
    format: Format,
    (is_dry, is_shown): (bool, bool),
    session: &Session,
) -> Result<ExitStatus> {
    let Gathered { github, found, reports, n_checked, engine_error } = gathered;
    let silence = actions::Silence::start(format)?;
    let mut telling = Telling::new(format, n_checked);
    for report in &reports {
        telling.tell_of(report)?;
    }
    let said = match (&github, found.number) {
        // Also when all is well: threads about what is gone may be open.
        (Some(github), Some(number)) => github.said(number).await,
        _ => Ok(Said::default()),
    };
    // Not to know what was said is no reason to be silent about what was found.
    let (said, unread) = match said {
        Ok(said) => (said, None),
        Err(error) => (Said::default(), Some(error)),
    };
    let bodies = said.remarks.iter().filter(|remark| remark.is_ours).map(|remark| remark.body.as_str());
    let known = known(bodies.chain(said.reviews.iter().map(String::as_str)));
    let view = View { reports: &reports, hunks: &found.hunks, known: &known, head: &found.head };
    let max_suggestions = session.config.pr.max_suggestions;
    let first = view.draft(max_suggestions, &BTreeSet::new());
    let mut stale = stale(&said.remarks, &first.current, &first.unsure);
    if let Some(github) = &github {
        stale = found.over(stale, &said.remarks, github).await;
    }
    if is_shown {
        show_draft(&first, &found, &stale, format)?;
    }
    drop(silence);
    let done = match (&github, found.number) {
        _ if is_dry => post::Done::dry(unread.as_ref()),
        (Some(github), Some(number)) => match unread {
            Some(error) if reports.is_empty() => post::Done::unread(&error),
            Some(error) => post::Done::failed(&error),
            None => post::post(github, number, &view, max_suggestions, &stale).await,
        },
        _ => post::Done::dry(None),
    };
    if done.is_failed && format != Format::Github {
        actions::annotate(&reports)?;
    }
    actions::report(&summary(&reports, &done.sentence), first.counts, done.n_posted)?;
    let status = telling.finish_with(&reports)?;
    if !is_dry {
        note(&format!("{}\n", done.sentence));
    }
    for warning in found.notes.iter().chain(&done.notes) {
        super::session::warn(warning);
    }
    if let Some(error) = &engine_error {
        complain_of_engine(error);
        return Ok(ExitStatus::Failed);
    }
    if is_shown && found.number.is_some() && first.review.is_some() && format == Format::Human {
        hint("without `--dry-run` this is posted");
    }
    Ok(if done.is_error { ExitStatus::Failed } else { status })
}

/// All that a review is made of, but for what GitHub refuses.
struct View<'v> {
    reports: &'v [FileReport],
    hunks: &'v BTreeMap<String, Vec<Hunk>>,
    known: &'v BTreeSet<crate::review::Fingerprint>,
    head: &'v str,
}

impl View<'_> {
    fn draft(&self, max_suggestions: usize, refused: &BTreeSet<String>) -> Draft {
        let Self { reports, hunks, known, head } = *self;
        draft(reports, Scene { head, hunks, max_suggestions, known, refused })
    }
}

/// What would be posted.
fn show_draft(draft: &Draft, found: &files::Found, stale: &[u64], format: Format) -> Result<()> {
    let request = draft.review.as_ref().map(|review| review.request(&found.head, Some("COMMENT")));
    if format == Format::Json {
        let Counts { n_broken, n_repaired, n_suggestions, n_diffs, n_hidden, n_known, n_protected } =
            draft.counts;
        let line = json!({
            "kind": "review", "pull": found.number, "commit": found.head, "request": request, "resolve": stale,
            "counts": {
                "broken": n_broken, "repaired": n_repaired, "suggestions": n_suggestions, "diffs": n_diffs,
                "hidden": n_hidden, "known": n_known, "protected": n_protected,
            },
        });
        return print(&format!("{line}\n"));
    }
    if format != Format::Human {
        return Ok(());
    }
    let Some(review) = &draft.review else {
        return print("nothing new would be posted\n");
    };
    print(&format!("would be posted on {}:\n\n{}\n", found.name(), review.body))?;
    for comment in &review.comments {
        let (path, first, last) = (crate::report::printable(&comment.path), comment.first, comment.last);
        let lines = if first == last { format!("line {last}") } else { format!("lines {first} to {last}") };
        print(&format!("--- on `{path}`, {lines}:\n\n{}\n", comment.body))?;
    }
    Ok(())
}

/// How `lastmile pr` shows a report in a workflow.
fn annotation(report: &FileReport) -> String {
    show(report, Format::Github).stdout
}
