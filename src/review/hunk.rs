//! The lines of a changed file that a review can speak of.

/// Lines of the file after the change that one hunk of the diff shows, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hunk {
    pub first: usize,
    pub n_lines: usize,
}

impl Hunk {
    /// Whether the hunk shows all lines from `first` to `last`.
    pub fn shows(self, first: usize, last: usize) -> bool {
        self.first <= first && last < self.first.saturating_add(self.n_lines)
    }
}

/// The hunks of a patch as GitHub lists it, without the header of the file; `None` when it is none.
pub fn hunks(patch: &str) -> Option<Vec<Hunk>> {
    patch.lines().filter_map(|line| line.strip_prefix("@@ ")).map(hunk).collect()
}

/// Reads `-1,2 +3,4 @@ …`.
fn hunk(header: &str) -> Option<Hunk> {
    let (ranges, _) = header.split_once(" @@")?;
    let (_, after) = ranges.split_once(" +")?;
    let (first, n_lines) = after.split_once(',').unwrap_or((after, "1"));
    Some(Hunk { first: first.parse().ok()?, n_lines: n_lines.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(patch: &str, expected: Option<&[(usize, usize)]>) {
        let found = hunks(patch).map(|hunks| hunks.iter().map(|h| (h.first, h.n_lines)).collect::<Vec<_>>());
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn headers_name_the_lines_after_the_change() {
        check("@@ -1,2 +1,3 @@ def f():\n a\n+b\n c", Some(&[(1, 3)]));
        check("@@ -0,0 +1 @@\n+a\n@@ -9 +10,0 @@\n-b", Some(&[(1, 1), (10, 0)]));
        check("@@ -1 +1 @@\n-@@ -5 +5 @@\n+@@ x\n", Some(&[(1, 1)]));
        check("", Some(&[]));
        check("@@ nonsense @@\n", None);
        check("@@ -1 +99999999999999999999 @@\n", None);
    }

    #[test]
    fn a_range_lies_in_one_hunk_or_in_none() {
        let hunk = Hunk { first: 3, n_lines: 2 };
        let shown = [(3, 3), (3, 4), (2, 3), (4, 5), (5, 5)].map(|(first, last)| hunk.shows(first, last));
        assert_eq!(shown, [true, true, false, false, false]);
        assert!(!Hunk { first: 1, n_lines: 0 }.shows(1, 1));
    }
}
