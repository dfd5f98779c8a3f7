//! Posts the review, and says what came of it. What GitHub refuses is found by drafts and shown as diffs instead.

use std::collections::BTreeSet;

use super::View;
use super::files::moved;
use crate::io::github::{Github, GithubError};
use crate::review::{Counts, Review};

/// What came of posting.
pub(super) struct Done {
    /// For people.
    pub(super) sentence: String,
    pub(super) n_posted: usize,
    /// Whether what was found must be told in another way.
    pub(super) is_failed: bool,
    /// Whether that is more than a token that may only read.
    pub(super) is_error: bool,
    pub(super) notes: Vec<String>,
}

impl Done {
    pub(super) fn dry(unread: Option<&GithubError>) -> Self {
        let notes = unread.map(|error| format!("all is shown as if it were new: {error}"));
        let notes = notes.into_iter().collect();
        Self { notes, ..Self::calm("Nothing was posted, as asked for.".to_owned()) }
    }

    fn calm(sentence: String) -> Self {
        Self { sentence, n_posted: 0, is_failed: false, is_error: false, notes: Vec::new() }
    }

    /// There was nothing to say, so that nothing is lost.
    pub(super) fn unread(error: &GithubError) -> Self {
        let notes = vec![format!("threads about what is gone stay open: {error}")];
        Self { notes, ..Self::calm("Nothing to say.".to_owned()) }
    }

    pub(super) fn failed(error: &GithubError) -> Self {
        let is_error = !matches!(error, GithubError::Forbidden { .. });
        let outcome = match error {
            GithubError::Unknown { .. } => "It is not known whether the review was posted",
            _ => "Nothing was posted",
        };
        let sentence = format!("{outcome}: {error}.");
        Self { is_failed: true, is_error, ..Self::calm(sentence) }
    }
}

/// How often GitHub may refuse a part of the review.
const TRIES: u32 = 3;

pub(super) async fn post(
    github: &Github,
    number: u64,
    view: &View<'_>,
    max_suggestions: usize,
    stale: &[u64],
) -> Done {
    let mut done = match say(github, number, view, max_suggestions).await {
        Ok(done) => done,
        Err(error) => return Done::failed(&error),
    };
    if !stale.is_empty() && !done.is_error {
        match github.resolve(number, stale).await {
            Ok(n) => done.notes.extend((n > 0).then(|| format!("resolved {n} threads about what is gone"))),
            Err(error) => done.notes.push(format!("threads about what is gone stay open: {error}")),
        }
    }
    done
}

async fn say(
    github: &Github,
    number: u64,
    view: &View<'_>,
    max_suggestions: usize,
) -> Result<Done, GithubError> {
    let mut refused = BTreeSet::new();
    let mut tries = 0;
    loop {
        let draft = view.draft(max_suggestions, &refused);
        let Some(review) = &draft.review else { return Ok(nothing(number, draft.counts)) };
        let pull = github.pull(number).await?;
        if let Some(moved) = moved(number, view.head, &pull.head.sha) {
            let sentence = format!("Nothing was posted: {moved}.");
            return Ok(Done { is_failed: true, is_error: true, ..Done::calm(sentence) });
        }
        if pull.state != "open" {
            return Ok(Done::calm(format!("Nothing was posted: #{number} is {}.", pull.state)));
        }
        match github.post(number, view.head, review).await {
            Ok(()) => return Ok(posted(number, draft.counts, &refused)),
            Err(invalid @ GithubError::Invalid { .. }) => {
                tries += 1;
                // A run that was cancelled leaves its draft, and GitHub takes nothing beside one.
                if tries < TRIES && github.take_back_drafts(number).await? > 0 {
                    continue;
                }
                let more = find_refused(github, number, view.head, review).await?;
                if more.is_empty() || tries == TRIES {
                    return Err(invalid);
                }
                refused.extend(more);
            }
            Err(error) => return Err(error),
        }
    }
}

fn nothing(number: u64, counts: Counts) -> Done {
    Done::calm(match counts {
        Counts { n_known: 0, n_repaired: 0, n_broken: 0, .. } => format!("Nothing to say on #{number}."),
        Counts { n_known: 0, .. } => format!("Nothing to suggest on #{number}."),
        Counts { n_known: 1, .. } => format!("Nothing new on #{number}: the repair was shown before."),
        Counts { n_known, .. } => format!("Nothing new on #{number}: {n_known} repairs were shown before."),
    })
}

fn posted(number: u64, counts: Counts, refused: &BTreeSet<String>) -> Done {
    let parts = [
        (counts.n_suggestions, "suggestions"),
        (counts.n_diffs, "diffs"),
        (counts.n_hidden, "repairs that are only counted"),
        (counts.n_known, "repairs shown before"),
    ];
    let parts: Vec<_> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{what}: {n}")).collect();
    let mut done = Done::calm(format!("Posted one review on #{number} ({}).", parts.join(", ")));
    done.n_posted = counts.n_suggestions + counts.n_diffs;
    if !refused.is_empty() {
        let n = refused.len();
        done.notes.push(format!("GitHub refused the suggestions for {n} files, so they are shown as diffs"));
    }
    done
}

fn halves<'p>(paths: &[&'p str]) -> [Vec<&'p str>; 2] {
    let (first, second) = paths.split_at(paths.len() / 2);
    [first.to_vec(), second.to_vec()]
}

/// The files whose suggestions GitHub does not take: it says no to all of a review for one of them.
async fn find_refused(
    github: &Github,
    number: u64,
    head: &str,
    review: &Review,
) -> Result<BTreeSet<String>, GithubError> {
    let paths: BTreeSet<&str> = review.comments.iter().map(|comment| comment.path.as_str()).collect();
    let all: Vec<&str> = paths.into_iter().collect();
    // All together are refused already.
    let mut open: Vec<_> = if all.len() > 1 { halves(&all).into() } else { vec![all] };
    let mut refused = BTreeSet::new();
    while let Some(paths) = open.pop() {
        let mut part = review.clone();
        part.comments.retain(|comment| paths.contains(&comment.path.as_str()));
        if part.comments.is_empty() || github.would_take(number, head, &part).await? {
            continue;
        }
        match paths.as_slice() {
            [path] => drop(refused.insert((*path).to_owned())),
            paths => open.extend(halves(paths)),
        }
    }
    Ok(refused)
}
