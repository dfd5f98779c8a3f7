//! What became of the files of a pull request turns into one review: suggestions where its diff shows the lines, a
//! summary of the rest, and nothing at all where there is nothing new to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::diagnose::{counted, place};
use crate::rank::{Applicability, Ranked};
use crate::report::{Broken, FileReport, Outcome, evidence};

mod answer;
mod artifact;
mod hunk;
mod markdown;
mod part;
mod posted;
mod summary;

pub use answer::{Answer, Next, unsure};
pub use artifact::{ARTIFACT, Artifact, FileRepair, Hostile, MAX_ZIP};
pub use hunk::{Hunk, hunks};
pub use part::{Fingerprint, Obstacle, Part, fingerprints, parts};
pub use posted::{Remark, is_any_review, is_review, known, stale};
pub use summary::summary;

/// What a review depends on besides the repairs.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'s> {
    /// The commit that was looked at.
    pub head: &'s str,
    /// What the pull request shows of each file that it changes.
    pub hunks: &'s BTreeMap<String, Vec<Hunk>>,
    pub max_suggestions: usize,
    /// Changes that were shown before.
    pub known: &'s BTreeSet<Fingerprint>,
    /// Files whose suggestions GitHub did not take.
    pub refused: &'s BTreeSet<String>,
}

/// What there is to say.
#[derive(Debug, Default)]
pub struct Draft {
    /// Nothing, when there is nothing new.
    pub review: Option<Review>,
    pub counts: Counts,
    /// All changes that repairs make, new or not.
    pub current: BTreeSet<Fingerprint>,
    /// Files of which it is not known what would repair them.
    pub unsure: BTreeSet<String>,
}

/// How many repairs went where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub n_broken: usize,
    pub n_repaired: usize,
    /// Comments with a suggestion.
    pub n_suggestions: usize,
    /// Repairs that are shown as diffs.
    pub n_diffs: usize,
    /// Repairs that are only counted.
    pub n_hidden: usize,
    /// Repairs that were shown before.
    pub n_known: usize,
    /// Repairs of files that steer what runs.
    pub n_protected: usize,
}

/// One review, as it is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Marks it, so that it is found again when the answer to posting it was lost.
    pub id: Fingerprint,
    pub body: String,
    pub comments: Vec<Comment>,
}

/// A suggestion on lines of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    pub path: String,
    pub first: usize,
    pub last: usize,
    pub body: String,
}

impl Review {
    /// The request that posts it. Without an event it is a draft that nobody else sees.
    pub fn request(&self, head: &str, event: Option<&str>) -> Value {
        let mut request = json!({ "commit_id": head, "body": self.body });
        request["comments"] = self.comments.iter().map(Comment::request).collect();
        if let Some(event) = event {
            request["event"] = json!(event);
        }
        request
    }
}

impl Comment {
    fn request(&self) -> Value {
        let mut request = json!({ "path": self.path, "line": self.last, "side": "RIGHT", "body": self.body });
        // GitHub refuses a range of one line.
        if self.first < self.last {
            request["start_line"] = json!(self.first);
            request["start_side"] = json!("RIGHT");
        }
        request
    }
}

/// GitHub takes 65,536 characters.
const MAX_BODY: usize = 60_000;
/// Of those, for the marks of what is shown.
const MAX_MARK: usize = 36_000;

/// A repair of one file, or of one formula of a workbook.
struct Repair<'r> {
    path: &'r str,
    broken: &'r Broken,
    ranked: &'r Ranked,
    after: &'r str,
    prints: Vec<Fingerprint>,
}

/// Puts every new repair in its place: the surest first, since places for suggestions are few.
pub fn draft(reports: &[FileReport], scene: Scene<'_>) -> Draft {
    let mut draft = Draft::default();
    let mut repairs = Vec::new();
    for report in reports {
        let Outcome::Broken(broken) = &report.outcome else {
            draft.unsure.insert(report.path.clone());
            continue;
        };
        draft.counts.n_broken += 1;
        let (Some(ranked), Some(after)) = (broken.repair(), broken.after()) else {
            draft.unsure.insert(report.path.clone());
            continue;
        };
        draft.counts.n_repaired += 1;
        let prints = fingerprints(&report.path, broken, after);
        let is_known = prints.iter().all(|print| scene.known.contains(print));
        draft.current.extend(prints.iter().cloned());
        if is_protected(&report.path) {
            draft.counts.n_protected += 1;
        } else if is_known {
            draft.counts.n_known += 1;
        } else {
            repairs.push(Repair { path: &report.path, broken, ranked, after, prints });
        }
    }
    repairs.sort_by(|x, y| {
        let is_unsure = |repair: &Repair| repair.ranked.applicability == Applicability::NeedsReview;
        let sure = |repair: &Repair| repair.ranked.confidence.unwrap_or_default();
        is_unsure(x).cmp(&is_unsure(y)).then(sure(y).total_cmp(&sure(x))).then(x.path.cmp(y.path))
    });
    if repairs.is_empty() {
        return draft;
    }
    let (mut comments, mut diffs) = (Vec::new(), Vec::new());
    for repair in &repairs {
        let no_hunks = Vec::new();
        let hunks = scene.hunks.get(repair.path).unwrap_or(&no_hunks);
        let placed = match parts(repair.path, repair.broken, repair.after, hunks) {
            Ok(_) if scene.refused.contains(repair.path) => Err(Obstacle::Refused),
            Ok(parts) => {
                let is_new =
                    |part: &&Part| !part.fingerprints.iter().all(|print| scene.known.contains(print));
                let n_new = parts.iter().filter(is_new).count();
                let is_room = comments.len() + n_new <= scene.max_suggestions;
                if is_room { Ok(parts) } else { Err(Obstacle::Limit) }
            }
            Err(obstacle) => Err(obstacle),
        };
        match placed {
            Ok(parts) => {
                let all = parts.iter().enumerate();
                let new = all.filter(|(_, part)| !part.fingerprints.iter().all(|p| scene.known.contains(p)));
                comments.extend(new.map(|(idx, part)| comment(repair, part, (idx + 1, parts.len()))));
            }
            Err(obstacle) => diffs.push((repair, obstacle)),
        }
    }
    comments.sort_by(|x: &Comment, y| (&x.path, x.first).cmp(&(&y.path, y.first)));
    draft.counts.n_suggestions = comments.len();
    draft.review = Some(review(scene.head, comments, &diffs, &mut draft.counts));
    draft
}

/// Whether a file steers what runs on this repository: a suggestion for it is too easily taken.
pub fn is_protected(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_below = |folder: &str| path.starts_with(folder) || path.contains(&format!("/{folder}"));
    [".github/", ".git/", ".husky/", ".githooks/", ".gitlab/"].iter().any(|folder| is_below(folder))
        || ["action.yml", "action.yaml", ".gitattributes", ".gitmodules", "CODEOWNERS"].contains(&name)
}

/// `part` is the number of this one, and how many there are.
fn comment(repair: &Repair<'_>, part: &Part, (number, n_parts): (usize, usize)) -> Comment {
    let mut body = format!("{}\n", fault_near(repair.broken, part));
    body.push_str(&markdown::fenced("suggestion", &part.replacement));
    body.push_str(&trust(repair.ranked));
    if n_parts > 1 {
        write!(body, ". Suggestion {number} of {n_parts} for this file, which parses when all are taken")
            .expect("a string takes all");
    }
    write!(body, "\n\n{}", posted::mark(None, &part.fingerprints.iter().collect::<Vec<_>>()))
        .expect("a string takes all");
    Comment { path: repair.path.to_owned(), first: part.first, last: part.last, body }
}

/// The fault that is closest to the lines of a suggestion.
fn fault_near(broken: &Broken, part: &Part) -> String {
    let line = |start| place(&broken.before, start).line;
    let distance = |line: usize| part.first.saturating_sub(line) + line.saturating_sub(part.last);
    let faults = broken.faults.iter().map(|fault| (line(fault.span.start), &fault.message));
    match faults.min_by_key(|(line, _)| distance(*line)) {
        Some((line, message)) => format!("Does not parse, line {line}: {}\n", markdown::code(message)),
        None => "Does not parse\n".to_owned(),
    }
}

fn review(
    head: &str,
    comments: Vec<Comment>,
    diffs: &[(&Repair<'_>, Obstacle)],
    counts: &mut Counts,
) -> Review {
    let short = &head[..head.floor_char_boundary(12)];
    let mut body =
        format!("**lastmile**: at {short}, {} of this pull request", counted(counts.n_broken, "file"));
    body.push_str(if counts.n_broken == 1 { " does not parse.\n" } else { " do not parse.\n" });
    if !comments.is_empty() {
        writeln!(body, "Below: {}.", counted(comments.len(), "suggestion")).expect("a string takes all");
    }
    let mut prints: Vec<&Fingerprint> = diffs.iter().flat_map(|(repair, _)| &repair.prints).collect();
    prints.truncate(MAX_MARK / 11);
    let limit = MAX_BODY - MAX_MARK.min(prints.len() * 11) - 500;
    for (repair, obstacle) in diffs {
        let section = section(repair, *obstacle);
        if body.len() + section.len() <= limit {
            body.push_str(&section);
            counts.n_diffs += 1;
        } else {
            counts.n_hidden += 1;
        }
    }
    if counts.n_hidden > 0 {
        write!(
            body,
            "\n{} more: too long to be shown here; see the summary of the job.\n",
            counted(counts.n_hidden, "repair")
        )
        .expect("a string takes all");
    }
    let mut texts = vec![head, &body];
    texts.extend(comments.iter().map(|comment| comment.body.as_str()));
    let id = Fingerprint::of(&texts);
    write!(body, "\n{}", posted::mark(Some(&id), &prints)).expect("a string takes all");
    Review { id, body, comments }
}

/// How far a repair may be trusted. What tests say is text of the project, which may be any Markdown.
fn trust(repair: &Ranked) -> String {
    let evidence = evidence(repair);
    if repair.verified.evidence().tests().is_none() { evidence } else { markdown::code(&evidence) }
}

/// A repair as a diff, and why it is no suggestion.
fn section(repair: &Repair<'_>, obstacle: Obstacle) -> String {
    let name = match &repair.broken.cell {
        Some(cell) => format!("{} {}", markdown::code(repair.path), markdown::code(cell)),
        None => markdown::code(repair.path),
    };
    let evidence = trust(repair.ranked);
    let diff = markdown::fenced("diff", &markdown::visible(&repair.broken.diff(repair.path, repair.after)));
    format!("\n{name}: {evidence}. Shown as a diff, since {}:\n\n{diff}", obstacle.reason())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::Candidate;
    use crate::change::Encoding;
    use crate::diagnose::diagnose;
    use crate::lang::{Dialect, python::Python};
    use crate::rank::{Calibration, rank};
    use crate::report::Answer;
    use crate::verify::verify;

    /// A file that a verified repair turns from `before` into `after`.
    pub(super) fn report(path: &str, before: &str, after: &str) -> FileReport {
        let candidate = Candidate::of_text(after.to_owned());
        let verified = verify(before, candidate, &Python, Dialect::default()).expect("it parses");
        let model = "[confidence]\nweights = { bias = 3.0 }\nthreshold = 0.9\n";
        let calibration = Calibration::of_model(model).expect("valid");
        let mut ranked = rank(before, 1, &Python, calibration.as_ref(), vec![verified]);
        let broken = Broken {
            language: "python",
            cell: None,
            cell_line: None,
            before: before.to_owned(),
            encoding: Encoding::Utf8,
            faults: diagnose(before, &Python).faults,
            failing: None,
            answer: Answer::Suggested(Box::new(ranked.remove(0))),
        };
        FileReport { path: path.to_owned(), outcome: Outcome::Broken(broken) }
    }

    fn whole(reports: &[FileReport]) -> BTreeMap<String, Vec<Hunk>> {
        reports.iter().map(|r| (r.path.clone(), vec![Hunk { first: 1, n_lines: 1_000 }])).collect()
    }

    fn drafted(reports: &[FileReport], max_suggestions: usize, known: &BTreeSet<Fingerprint>) -> Draft {
        let (hunks, refused) = (whole(reports), BTreeSet::new());
        draft(
            reports,
            Scene { head: "0123456789abcdef", hunks: &hunks, max_suggestions, known, refused: &refused },
        )
    }

    const HEALTHY: FileReport = FileReport { path: String::new(), outcome: Outcome::Skipped(String::new()) };

    #[test]
    fn nothing_to_say_is_no_review() {
        let broken = report("a.py", "f(\n", "f()\n");
        assert!(drafted(&[HEALTHY], 20, &BTreeSet::new()).review.is_none());
        let first = drafted(std::slice::from_ref(&broken), 20, &BTreeSet::new());
        let second = drafted(&[broken], 20, &first.current);
        assert!(second.review.is_none());
        assert_eq!((second.counts.n_known, second.counts.n_suggestions), (1, 0));
    }

    #[test]
    fn a_review_reads_well() {
        let reports = [
            report("a.py", "x = 1\nf(\n", "x = 1\nf()\n"),
            report("b.py", "f(\r\n", "f()\r\n"),
            report(".github/x.py", "f(\n", "f()\n"),
        ];
        let draft = drafted(&reports, 20, &BTreeSet::new());
        let review = draft.review.expect("there is something to say");
        insta::assert_snapshot!(review.body, @"
        **lastmile**: at 0123456789ab, 3 files of this pull request do not parse.
        Below: 1 suggestion.

        `b.py`: safe (parses, 95 % sure). Shown as a diff, since its lines end in CRLF, which suggestions do not keep:

        ```diff
        --- a/b.py
        +++ b/b.py
        @@ -1 +1 @@
        -f(
        +f()
        ```

        <!-- lastmile:v1 review=14eee31d27 fp=6aa81795a6 -->
        ");
        insta::assert_snapshot!(review.comments[0].body, @"
        Does not parse, line 2: `unexpected EOF while parsing`

        ```suggestion
        f()
        ```
        safe (parses, 95 % sure)

        <!-- lastmile:v1 fp=70982b8c25 -->
        ");
        assert_eq!(draft.counts.n_protected, 1);
    }

    #[test]
    fn a_range_of_one_line_names_only_its_end() {
        let comment = |first| Comment { path: "a".to_owned(), first, last: 3, body: "b".to_owned() };
        let one = json!({ "path": "a", "line": 3, "side": "RIGHT", "body": "b" });
        assert_eq!(comment(3).request(), one);
        let more = json!({ "path": "a", "line": 3, "side": "RIGHT", "body": "b", "start_line": 2, "start_side": "RIGHT" });
        assert_eq!(comment(2).request(), more);
    }

    #[test]
    fn what_is_posted_is_read_back_as_known() {
        let reports = [report("a.py", "f(\n", "f()\n"), report("b.py", "f(\r\n", "f()\r\n")];
        let draft = drafted(&reports, 20, &BTreeSet::new());
        let review = draft.review.expect("there is something to say");
        let bodies =
            review.comments.iter().map(|comment| comment.body.as_str()).chain([review.body.as_str()]);
        assert_eq!(known(bodies), draft.current);
        assert!(is_review(&review.body, &review.id));
    }

    #[test]
    fn more_than_fit_are_counted() {
        let reports: Vec<_> = (0..30).map(|n| report(&format!("f{n:02}.py"), "f(\n", "f()\n")).collect();
        let draft = drafted(&reports, 20, &BTreeSet::new());
        let review = draft.review.expect("there is something to say");
        assert_eq!((review.comments.len(), draft.counts.n_diffs), (20, 10));
        assert_eq!(review.body.matches(Obstacle::Limit.reason()).count(), 10);
    }

    #[test]
    fn a_body_has_an_end() {
        let reports: Vec<_> = (0..1_000).map(|n| report(&format!("f{n:04}.py"), "f(\n", "f()\n")).collect();
        let draft = drafted(&reports, 20, &BTreeSet::new());
        let review = draft.review.expect("there is something to say");
        assert!(review.body.len() <= MAX_BODY, "{}", review.body.len());
        let Counts { n_diffs, n_hidden, .. } = draft.counts;
        assert!(n_diffs > 50 && n_hidden > 50 && n_diffs + n_hidden == 980, "{:?}", draft.counts);
        assert!(review.body.contains(&format!("{n_hidden} repairs more")));
        // Also what is only counted is not counted again.
        let bodies =
            review.comments.iter().map(|comment| comment.body.as_str()).chain([review.body.as_str()]);
        assert!(drafted(&reports, 20, &known(bodies)).review.is_none());
    }

    #[test]
    fn a_file_that_gets_one_more_fault_gets_one_more_suggestion() {
        let calm = "x = 1\n".repeat(40);
        let first = report("a.py", &format!("f(\n{calm}"), &format!("f()\n{calm}"));
        let shown = drafted(&[first], 20, &BTreeSet::new()).current;
        let both = report("a.py", &format!("f(\n{calm}g(\n"), &format!("f()\n{calm}g()\n"));
        let review = drafted(&[both], 20, &shown).review.expect("there is something new");
        assert_eq!(review.comments.iter().map(|comment| comment.last).collect::<Vec<_>>(), [42]);
        assert!(review.comments[0].body.contains("Suggestion 2 of 2"));
    }

    #[test]
    fn hostile_names_and_messages_stay_text() {
        for name in
            ["@org/team.py", "a](http://x).py", "a\n::set-output name=x::y.py", "`.py", "<img src=x>.py"]
        {
            let review = drafted(&[report(name, "f(\r\n", "f()\r\n")], 20, &BTreeSet::new()).review;
            let body = review.expect("there is something to say").body;
            let prose = prose(&body);
            for sign in ["@", "](", "<img", "\n::"] {
                assert!(!prose.contains(sign), "{prose}");
            }
        }
    }

    /// What a reader of Markdown does not take for code.
    fn prose(body: &str) -> String {
        let mut is_block = false;
        let mut prose = String::new();
        for event in pulldown_cmark::Parser::new(body) {
            match event {
                pulldown_cmark::Event::Start(pulldown_cmark::Tag::CodeBlock(_)) => is_block = true,
                pulldown_cmark::Event::End(pulldown_cmark::TagEnd::CodeBlock) => is_block = false,
                pulldown_cmark::Event::Text(text) if !is_block => prose.push_str(&text),
                pulldown_cmark::Event::Start(pulldown_cmark::Tag::Link { .. }) => prose.push_str("]("),
                pulldown_cmark::Event::InlineHtml(html) => prose.push_str(&html),
                pulldown_cmark::Event::SoftBreak => prose.push('\n'),
                _ => {}
            }
        }
        prose
    }

    #[test]
    fn what_steers_is_protected() {
        let check = |path: &str, expected: bool| assert_eq!(is_protected(path), expected, "{path}");
        check(".github/scripts/x.py", true);
        check("sub/.github/x.py", true);
        check("sub/action.yml", true);
        check(".husky/x.py", true);
        check("src/github/x.py", false);
        check("a.github/x.py", false);
    }
}
