//! A repair becomes suggestions: whole lines that the diff of the pull request shows, and what to put there.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::hunk::Hunk;
use super::markdown;
use crate::change::Encoding;
use crate::patch::{LineEdit, line_edits};
use crate::report::Broken;

/// Names a change by its text and the lines around it, so that it is known again on other lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    const LEN: usize = 10;

    /// Of these texts, each with its end.
    pub(super) fn of(texts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for text in texts {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
        let mut hex = format!("{:x}", hash.finalize());
        hex.truncate(Self::LEN);
        Self(hex)
    }

    /// Reads what [`Self::as_str`] gave.
    pub fn read(text: &str) -> Option<Self> {
        let is_hex = text.len() == Self::LEN && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One suggestion: whole lines and what to put in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Lines of the file as the pull request has it, from 1.
    pub first: usize,
    pub last: usize,
    /// Whole lines with their ends; empty when the lines go away.
    pub replacement: String,
    /// Of all changes that it makes.
    pub fingerprints: Vec<Fingerprint>,
}

/// Why a repair is shown as a diff and not as suggestions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    OutsideDiff,
    Carriage,
    LastLine,
    Deceptive,
    Mark,
    Encoding,
    Cell,
    TooLong,
    /// GitHub did not take them.
    Refused,
    /// As many as there may be are there already.
    Limit,
}

impl Obstacle {
    /// For the sentence "shown as a diff, since …".
    pub fn reason(self) -> &'static str {
        match self {
            Self::OutsideDiff => "its lines lie outside of what this pull request changes",
            Self::Carriage => "its lines end in CRLF, which suggestions do not keep",
            Self::LastLine => "the file does not end in a line end, which suggestions cannot say",
            Self::Deceptive => "it holds characters that are not seen, written here as `<U+…>`",
            Self::Mark => "the file starts with a byte order mark, which suggestions do not keep",
            Self::Encoding => "the file is not in UTF-8",
            Self::Cell => "it is a formula in a cell",
            Self::TooLong => "it is too long for a comment",
            Self::Refused => "GitHub did not take it as suggestions",
            Self::Limit => "there are as many suggestions as there may be (`pr.max_suggestions`)",
        }
    }
}

/// The longest suggestion; GitHub takes 65,536 characters with all that stands around it.
const MAX_SUGGESTION: usize = 50_000;

/// The suggestions that together make a repair, in the order of their lines; or why there are none.
///
/// All or nothing: a part of a repair would leave a file that does not parse.
pub fn parts(path: &str, broken: &Broken, after: &str, hunks: &[Hunk]) -> Result<Vec<Part>, Obstacle> {
    if broken.cell.is_some() {
        return Err(Obstacle::Cell);
    }
    if !matches!(broken.encoding, Encoding::Utf8 | Encoding::Utf8Bom | Encoding::Ascii) {
        return Err(Obstacle::Encoding);
    }
    let file = Changed::new(path, &broken.before, after);
    let ranges = file.ranges(hunks).ok_or(Obstacle::OutsideDiff)?;
    let mut parts = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        if first == 1 && broken.encoding == Encoding::Utf8Bom {
            return Err(Obstacle::Mark);
        }
        let part = file.part(first, last);
        let covered = file.lines[first - 1..last].concat();
        let both = [covered.as_str(), &part.replacement];
        if both.iter().any(|text| text.contains("\r\n")) {
            return Err(Obstacle::Carriage);
        }
        if both.iter().any(|text| !text.is_empty() && !text.ends_with('\n')) {
            return Err(Obstacle::LastLine);
        }
        if both.iter().any(|text| markdown::is_deceptive(text)) {
            return Err(Obstacle::Deceptive);
        }
        if part.replacement.len() > MAX_SUGGESTION {
            return Err(Obstacle::TooLong);
        }
        parts.push(part);
    }
    Ok(parts)
}

/// Of every change of a repair, suggestion or not.
pub fn fingerprints(path: &str, broken: &Broken, after: &str) -> Vec<Fingerprint> {
    match &broken.cell {
        Some(cell) => vec![Fingerprint::of(&[path, cell, &broken.before, after])],
        None => Changed::new(path, &broken.before, after).edits.into_iter().map(|(_, print)| print).collect(),
    }
}

/// A text, and the edits of its lines.
struct Changed<'t> {
    lines: Vec<&'t str>,
    edits: Vec<(LineEdit, Fingerprint)>,
}

impl<'t> Changed<'t> {
    fn new(path: &str, before: &'t str, after: &str) -> Self {
        let lines: Vec<&str> = before.split_inclusive('\n').collect();
        let mut edits: Vec<(LineEdit, Fingerprint)> = Vec::new();
        // The same change at places that look the same.
        let mut n_same: HashMap<Fingerprint, usize> = HashMap::new();
        for edit in line_edits(before, after) {
            let start = edit.first - 1;
            let old = lines[start..start + edit.n_lines].concat();
            let around = |line: Option<&&str>| line.map_or("", |line| line.trim()).to_owned();
            let above = around(start.checked_sub(1).and_then(|idx| lines.get(idx)));
            let below = around(lines.get(start + edit.n_lines));
            let print =
                |n: usize| Fingerprint::of(&[path, &above, &old, &edit.replacement, &below, &n.to_string()]);
            let n = n_same.entry(print(0)).or_default();
            let print = print(*n);
            *n += 1;
            edits.push((edit, print));
        }
        Self { lines, edits }
    }

    /// The lines that suggestions replace, apart from each other; `None` where the diff does not show them.
    fn ranges(&self, hunks: &[Hunk]) -> Option<Vec<(usize, usize)>> {
        let is_shown = |&(first, last): &(usize, usize)| hunks.iter().any(|hunk| hunk.shows(first, last));
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for (edit, _) in &self.edits {
            let range = if edit.n_lines > 0 {
                Some((edit.first, edit.first + edit.n_lines - 1)).filter(is_shown)
            } else {
                // A new line takes the line above along, or the one below.
                let anchors = [edit.first.saturating_sub(1), edit.first].map(|line| (line, line));
                anchors.into_iter().find(|range| (1..=self.lines.len()).contains(&range.0) && is_shown(range))
            };
            ranges.push(range?);
        }
        // Bytes that are all blank could be read as "take the lines away": a line beside them goes along.
        for range in &mut ranges {
            let text = self.part(range.0, range.1).replacement;
            if !text.is_empty() && text.trim().is_empty() {
                let wider = [(range.0.saturating_sub(1), range.1), (range.0, range.1 + 1)];
                let exists = |(first, last): &(usize, usize)| *first >= 1 && *last <= self.lines.len();
                *range = wider.into_iter().find(|range| {
                    exists(range)
                        && is_shown(range)
                        && !self.part(range.0, range.1).replacement.trim().is_empty()
                })?;
            }
        }
        ranges.sort_unstable();
        let mut apart: Vec<(usize, usize)> = Vec::new();
        for range in ranges {
            match apart.last_mut() {
                Some(last) if range.0 <= last.1 + 1 => last.1 = last.1.max(range.1),
                _ => apart.push(range),
            }
        }
        apart.iter().all(is_shown).then_some(apart)
    }

    /// What the lines from `first` to `last` become.
    fn part(&self, first: usize, last: usize) -> Part {
        let mut part = Part { first, last, replacement: String::new(), fingerprints: Vec::new() };
        let mut at = first - 1;
        for (edit, print) in &self.edits {
            let end = edit.first - 1 + edit.n_lines;
            let is_inside = first <= edit.first && end <= last;
            if !is_inside {
                continue;
            }
            part.replacement.extend(self.lines[at..edit.first - 1].iter().copied());
            part.replacement.push_str(&edit.replacement);
            part.fingerprints.push(print.clone());
            at = end;
        }
        part.replacement.extend(self.lines[at..last].iter().copied());
        part
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::Answer;

    fn broken(before: &str, encoding: Encoding) -> Broken {
        let (cell, faults, answer) = (None, Vec::new(), Answer::NotAsked);
        Broken {
            language: "python",
            cell,
            cell_line: None,
            before: before.to_owned(),
            encoding,
            faults,
            failing: None,
            answer,
        }
    }

    /// Takes suggestions as GitHub does: whole lines, from the last to the first.
    pub(crate) fn apply(text: &str, parts: &[Part]) -> String {
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        for part in parts.iter().rev() {
            lines.splice(part.first - 1..part.last, part.replacement.split_inclusive('\n'));
        }
        lines.concat()
    }

    fn whole(text: &str) -> Vec<Hunk> {
        vec![Hunk { first: 1, n_lines: text.split_inclusive('\n').count() }]
    }

    type Row<'t> = (usize, usize, &'t str);

    #[track_caller]
    fn check(before: &str, after: &str, hunks: &[(usize, usize)], expected: Result<&[Row], Obstacle>) {
        let hunks: Vec<_> = hunks.iter().map(|&(first, n_lines)| Hunk { first, n_lines }).collect();
        let found = parts("f.py", &broken(before, Encoding::Utf8), after, &hunks);
        if let Ok(parts) = &found {
            assert_eq!(apply(before, parts), after);
        }
        let rows = found.as_ref().map(|parts| {
            parts.iter().map(|part| (part.first, part.last, part.replacement.as_str())).collect::<Vec<_>>()
        });
        assert_eq!(rows.as_deref().map_err(|obstacle| **obstacle), expected);
    }

    const ABC: &str = "a\nb\nc\nd\ne\n";

    #[test]
    fn replaced_lines_are_named() {
        check(ABC, "a\nB\nc\nd\ne\n", &[(1, 5)], Ok(&[(2, 2, "B\n")]));
        check(ABC, "a\nB\nC\nd\ne\n", &[(2, 2)], Ok(&[(2, 3, "B\nC\n")]));
        check(ABC, "a\nB\nc\nD\ne\n", &[(1, 5)], Ok(&[(2, 2, "B\n"), (4, 4, "D\n")]));
    }

    #[test]
    fn deleted_lines_leave_an_empty_block() {
        check(ABC, "a\nc\nd\ne\n", &[(1, 5)], Ok(&[(2, 2, "")]));
        check(ABC, "a\nb\nc\n", &[(1, 5)], Ok(&[(4, 5, "")]));
    }

    #[test]
    fn a_new_line_takes_a_neighbour_along() {
        check(ABC, "a\nx\nb\nc\nd\ne\n", &[(1, 5)], Ok(&[(1, 1, "a\nx\n")]));
        check(ABC, "x\na\nb\nc\nd\ne\n", &[(1, 5)], Ok(&[(1, 1, "x\na\n")]));
        check(ABC, "a\nx\nb\nc\nd\ne\n", &[(2, 2)], Ok(&[(2, 2, "x\nb\n")]));
        check(ABC, "a\nb\nc\nd\ne\nx\n", &[(5, 1)], Ok(&[(5, 5, "e\nx\n")]));
        check("", "x\n", &[(1, 0)], Err(Obstacle::OutsideDiff));
    }

    #[test]
    fn suggestions_that_touch_are_one() {
        check(ABC, "a\nx\nb\nC\nd\ne\n", &[(2, 3)], Ok(&[(2, 3, "x\nb\nC\n")]));
        check(ABC, "A\nb\nx\nc\nd\ne\n", &[(1, 5)], Ok(&[(1, 2, "A\nb\nx\n")]));
    }

    #[test]
    fn a_suggestion_of_blanks_takes_a_neighbour_along() {
        check("a\n(\nc\n", "a\n\nc\n", &[(1, 3)], Ok(&[(1, 2, "a\n\n")]));
        check("(\nc\n", "\nc\n", &[(1, 2)], Ok(&[(1, 2, "\nc\n")]));
        check("a\n(\nc\n", "a\n\nc\n", &[(2, 1)], Err(Obstacle::OutsideDiff));
    }

    #[test]
    fn a_range_across_two_hunks_is_no_suggestion() {
        check(ABC, "a\nB\nC\nd\ne\n", &[(1, 2), (3, 3)], Err(Obstacle::OutsideDiff));
        check(ABC, "a\nB\nc\nd\nE\n", &[(1, 2)], Err(Obstacle::OutsideDiff));
        check(ABC, "a\nB\nc\nd\nE\n", &[(1, 2), (5, 1)], Ok(&[(2, 2, "B\n"), (5, 5, "E\n")]));
        check(ABC, "a\nB\nc\nd\ne\n", &[], Err(Obstacle::OutsideDiff));
    }

    #[test]
    fn what_a_suggestion_cannot_keep_is_none() {
        check("a(\r\nb\r\n", "a()\r\nb\r\n", &[(1, 2)], Err(Obstacle::Carriage));
        check("a\nb(", "a\nb()", &[(1, 2)], Err(Obstacle::LastLine));
        check("a(\nb", "a()\nb", &[(1, 2)], Ok(&[(1, 1, "a()\n")]));
        check("a\nb(", "a\n", &[(1, 2)], Err(Obstacle::LastLine));
        check("a(  # \u{202e}x\n", "a()  # \u{202e}x\n", &[(1, 1)], Err(Obstacle::Deceptive));
        check("a(\x0c\n", "a()\x0c\n", &[(1, 1)], Err(Obstacle::Deceptive));
        check("a(\rb\n", "a()\rb\n", &[(1, 1)], Err(Obstacle::Deceptive));
        check("a(\n", &format!("a({})\n", "1,".repeat(30_000)), &[(1, 1)], Err(Obstacle::TooLong));
        for (encoding, expected) in [
            (Encoding::Utf8Bom, Some(Obstacle::Mark)),
            (Encoding::Latin1, Some(Obstacle::Encoding)),
            (Encoding::Utf16Le, Some(Obstacle::Encoding)),
            (Encoding::Ascii, None),
        ] {
            let found = parts("f.py", &broken("a(\nb\n", encoding), "a()\nb\n", &whole("a\nb\n"));
            assert_eq!(found.err(), expected);
        }
        let cell = Broken { cell: Some("A1".to_owned()), ..broken("SUM(1\n", Encoding::Utf8) };
        assert_eq!(parts("f.xlsx", &cell, "SUM(1)\n", &whole("a\n")), Err(Obstacle::Cell));
    }

    #[test]
    fn a_change_is_known_again_on_other_lines() {
        let prints = |before: &str, after: &str| fingerprints("f.py", &broken(before, Encoding::Utf8), after);
        let first = prints("a\nf(\nb\n", "a\nf()\nb\n");
        assert_eq!(prints("x\ny\na\nf(\nb\nz\n", "x\ny\na\nf()\nb\nz\n"), first);
        assert_ne!(prints("a\nf(\nc\n", "a\nf()\nc\n"), first);
        assert_ne!(prints("a\nf(\nb\n", "a\nf(1)\nb\n"), first);
        let twice = prints("a\nf(\nb\na\nf(\nb\n", "a\nf()\nb\na\nf()\nb\n");
        assert_eq!(twice[0], first[0]);
        assert_ne!(twice[1], first[0]);
        assert_eq!(Fingerprint::read(first[0].as_str()).as_ref(), Some(&first[0]));
        assert_eq!(Fingerprint::read("../../../x"), None);
    }

    proptest! {
        /// Any repair, any hunks: there are no suggestions, or GitHub makes exactly the repaired text of them.
        #[test]
        fn suggestions_make_the_repaired_text(
            before in "([ab ]{0,2}\n){0,9}[ab]{0,1}",
            after in "([ab ]{0,2}\n){0,9}[ab]{0,1}",
            edges in proptest::collection::vec(1usize..11, 0..6),
        ) {
            prop_assume!(before != after);
            let mut edges = edges;
            edges.sort_unstable();
            edges.dedup();
            let hunks: Vec<_> =
                edges.as_chunks::<2>().0.iter().map(|[first, end]| Hunk { first: *first, n_lines: end - first }).collect();
            for hunks in [hunks, whole(&before)] {
                let Ok(parts) = parts("f.py", &broken(&before, Encoding::Utf8), &after, &hunks) else { continue };
                prop_assert_eq!(apply(&before, &parts), after.as_str());
                prop_assert!(parts.iter().all(|part| hunks.iter().any(|hunk| hunk.shows(part.first, part.last))));
                prop_assert!(parts.is_sorted_by(|x, y| x.last < y.first));
                let prints: Vec<_> = parts.iter().flat_map(|part| part.fingerprints.clone()).collect();
                prop_assert_eq!(prints, fingerprints("f.py", &broken(&before, Encoding::Utf8), &after));
            }
        }
    }
}
