//! What lastmile has said on a pull request already, read back from the marks that end its comments.

use std::collections::BTreeSet;

use super::part::Fingerprint;

/// A comment on lines of the pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    pub id: u64,
    /// Whether the account that posts now wrote it.
    pub is_ours: bool,
    pub path: String,
    pub body: String,
    /// Whether the lines that it speaks of have changed since.
    pub is_outdated: bool,
    pub reply_to: Option<u64>,
}

const START: &str = "<!-- lastmile:v1 ";
const END: &str = " -->";

/// The last line of a comment: which changes it shows, and of a review also which one it is.
pub(super) fn mark(review: Option<&Fingerprint>, prints: &[&Fingerprint]) -> String {
    let prints: Vec<&str> = prints.iter().map(|print| print.as_str()).collect();
    let mut fields: Vec<String> = review.iter().map(|review| format!("review={}", review.as_str())).collect();
    fields.extend((!prints.is_empty()).then(|| format!("fp={}", prints.join(","))));
    format!("{START}{}{END}\n", fields.join(" "))
}

/// The values of `key` in the mark of a comment. Only what stands below all code counts: the code is not ours. People
/// may have added words there.
fn marked<'b>(body: &'b str, key: &str) -> impl Iterator<Item = Fingerprint> + use<'b> {
    let mut below = body.lines().rev().take_while(|line| !line.trim_start().starts_with("```"));
    let mark = below.find_map(|line| line.trim_end().strip_prefix(START)?.strip_suffix(END));
    let fields = mark.unwrap_or_default();
    let values = fields.split(' ').find_map(|field| field.strip_prefix(key)?.strip_prefix('='));
    values.unwrap_or_default().split(',').filter_map(Fingerprint::read)
}

/// The changes that comments and reviews of ours show.
pub fn known<'b>(bodies: impl IntoIterator<Item = &'b str>) -> BTreeSet<Fingerprint> {
    bodies.into_iter().flat_map(|body| marked(body, "fp")).collect()
}

/// Whether `body` is that of the review `id`.
pub fn is_review(body: &str, id: &Fingerprint) -> bool {
    marked(body, "review").any(|review| review == *id)
}

/// Whether `body` is that of a review of ours.
pub fn is_any_review(body: &str) -> bool {
    marked(body, "review").next().is_some()
}

/// Our comments that nobody needs any more: outdated, without a reply, about nothing that is still there. What is there
/// in the `unsure` files is not known.
pub fn stale(remarks: &[Remark], current: &BTreeSet<Fingerprint>, unsure: &BTreeSet<String>) -> Vec<u64> {
    let is_answered = |id| remarks.iter().any(|remark| remark.reply_to == Some(id));
    let is_over = |remark: &&Remark| {
        let prints: Vec<_> = marked(&remark.body, "fp").collect();
        let is_gone = !prints.is_empty() && !prints.iter().any(|print| current.contains(print));
        remark.is_ours
            && remark.is_outdated
            && remark.reply_to.is_none()
            && is_gone
            && !unsure.contains(&remark.path)
            && !is_answered(remark.id)
    };
    remarks.iter().filter(is_over).map(|remark| remark.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(text: &str) -> Fingerprint {
        Fingerprint::of(&[text])
    }

    fn body(text: &str) -> String {
        format!("words\n{}", mark(None, &[&print(text)]))
    }

    #[test]
    fn marks_are_read_back() {
        let (a, b) = (print("a"), print("b"));
        let body = format!("words\n\n{}", mark(Some(&a), &[&a, &b]));
        assert_eq!(known([body.as_str()]), BTreeSet::from([a.clone(), b.clone()]));
        assert!(is_review(&body, &a) && !is_review(&body, &b));
        assert!(!is_review(&mark(None, &[&a]), &a));
        // As GitHub gives it back.
        assert_eq!(known([body.trim_end().replace('\n', "\r\n").as_str()]).len(), 2);
        // As a person left it.
        assert_eq!(known([format!("{body}\nEdit: not in this release, please.\n").as_str()]).len(), 2);
    }

    #[test]
    fn a_mark_inside_of_a_suggestion_is_none() {
        let forged = format!("```suggestion\n{}```\n", mark(None, &[&print("a")]));
        assert_eq!(
            known([forged.as_str(), "", "<!-- lastmile:v1 fp=zz -->", "<!-- lastmile:v2 fp= -->"]).len(),
            0
        );
    }

    #[test]
    fn only_our_own_outdated_remarks_without_replies_go() {
        let remark = |id, text: &str| Remark {
            id,
            is_ours: true,
            path: "a.py".to_owned(),
            body: body(text),
            is_outdated: true,
            reply_to: None,
        };
        let remarks = [
            remark(1, "gone"),
            Remark { is_ours: false, ..remark(2, "gone, but of somebody else who copied the mark") },
            Remark { is_outdated: false, ..remark(3, "gone, but on lines that are still there") },
            remark(4, "still there"),
            remark(5, "answered"),
            Remark { is_ours: false, reply_to: Some(5), body: "thanks".to_owned(), ..remark(6, "") },
            Remark { body: "ours, by hand".to_owned(), ..remark(7, "") },
            remark(8, "gone, too"),
            Remark { path: "b.py".to_owned(), ..remark(9, "gone, or without a repair this time") },
        ];
        let (current, unsure) = (BTreeSet::from([print("still there")]), BTreeSet::from(["b.py".to_owned()]));
        assert_eq!(stale(&remarks, &current, &unsure), [1, 8]);
    }
}
