//! The summary of a job: all faults and all repairs, also those that found no place in the review.

use std::fmt::Write as _;

use super::{markdown, trust};
use crate::diagnose::{counted, place};
use crate::report::{Broken, FileReport, Outcome};

/// GitHub takes 1 MiB for each step.
const MAX_SUMMARY: usize = 900_000;

/// Markdown for the page of a workflow run, below the line that says what was `done`; empty without reports.
pub fn summary(reports: &[FileReport], done: &str) -> String {
    if reports.is_empty() {
        return String::new();
    }
    let mut out = format!("### lastmile\n\n{done}\n");
    for (idx, report) in reports.iter().enumerate() {
        let path = markdown::code(&report.path);
        let entry = match &report.outcome {
            Outcome::Broken(broken) => broken_file(&report.path, broken),
            Outcome::Skipped(reason) => format!("{path} was left alone: {}\n", markdown::code(reason)),
            Outcome::Failed(reason) => format!("{path} failed: {}\n", markdown::code(reason)),
        };
        if out.len() + entry.len() > MAX_SUMMARY {
            write!(out, "\n{} more: too long to be shown here.\n", counted(reports.len() - idx, "file"))
                .expect("a string takes all");
            break;
        }
        write!(out, "\n{entry}").expect("a string takes all");
    }
    out
}

fn broken_file(path: &str, broken: &Broken) -> String {
    let cell = broken.cell.as_deref().map(|cell| format!(" {}", markdown::code(cell))).unwrap_or_default();
    let mut out = format!("{}{cell} does not parse", markdown::code(path));
    if let Some(fault) = broken.faults.first() {
        let line = place(&broken.before, fault.span.start).line;
        write!(out, ", line {line}: {}", markdown::code(&fault.message)).expect("a string takes all");
    }
    match (broken.repair(), broken.after()) {
        (Some(repair), Some(after)) => {
            let diff = markdown::fenced("diff", &markdown::visible(&broken.diff(path, after)));
            let evidence = trust(repair);
            write!(out, "\n\nRepair: {evidence}\n\n{diff}").expect("a string takes all");
        }
        _ => out.push_str("\n\nNo repair\n"),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn a_summary_holds_all_of_it() {
        let skipped =
            FileReport { path: "b`.py".to_owned(), outcome: Outcome::Skipped("too large".to_owned()) };
        insta::assert_snapshot!(summary(&[report("a.py", "f(\n", "f()\n"), skipped], "Posted."), @"
        ### lastmile

        Posted.

        `a.py` does not parse, line 1: `unexpected EOF while parsing`

        Repair: safe (parses, 95 % sure)

        ```diff
        --- a/a.py
        +++ b/a.py
        @@ -1 +1 @@
        -f(
        +f()
        ```

        ``b`.py`` was left alone: `too large`
        ");
        assert_eq!(summary(&[], "Posted."), "");
    }

    #[test]
    fn a_summary_has_an_end() {
        let long = format!("f('{}'\n", "1".repeat(180_000));
        let reports: Vec<_> =
            (0..6).map(|_| report("a.py", &long, &format!("{})\n", long.trim_end()))).collect();
        let text = summary(&reports, "Posted.");
        assert!(text.len() <= MAX_SUMMARY + 100 && text.contains("files more: too long"), "{}", text.len());
    }
}
