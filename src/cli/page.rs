//! One self-contained HTML page about a repair: no script, nothing fetched.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use super::explain::Explained;
use crate::candidate::Trace;
use crate::diagnose::{counted, place};
use crate::patch::{Edit, unified_diff};
use crate::protocol::Step;
use crate::rank::{Applicability, Ranked};
use crate::report::evidence;

/// The whole page.
pub(super) fn page(explained: &Explained) -> String {
    let path = escape(&explained.path);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{path}: how it was repaired</title>\n<style>\n{}{}</style>\n</head>\n<body>\n<h1>{path}</h1>\n",
        include_str!("page.css"),
        step_rules(explained),
    );
    if let Some(fault) = explained.repair.diagnosis.faults.first() {
        let at = place(&explained.before, fault.span.start);
        let _ = writeln!(out, "<p>Line {}, column {}: {}</p>", at.line, at.column, escape(&fault.message));
    }
    match explained.repair.suggestions.split_first() {
        None => {
            let reason = explained.repair.reason.as_deref().unwrap_or("nothing was found");
            let _ = writeln!(out, "<p>No suggestion: {}</p>", escape(reason));
        }
        Some((best, others)) => {
            out.push_str(&chip(best));
            out.push_str(LEGEND);
            for (idx, trace) in best.verified.candidate().trajectory.iter().enumerate() {
                out.push_str(&window(idx, trace));
            }
            out.push_str(&diffs(explained, best, others));
        }
    }
    out.push_str("</body>\n</html>\n");
    out
}

const LEGEND: &str = "<p class=\"faint\">Rate: the logarithm of the edit's probability. \
    Noise: how many edits the network expects from there on, this one included. Choose a step to see the text after it.</p>\n";

fn chip(best: &Ranked) -> String {
    let class = if best.applicability == Applicability::Safe { "safe" } else { "review" };
    format!("<p><span class=\"chip {class}\">{}</span></p>\n", escape(&evidence(best)))
}

/// Shows the state whose step is chosen: one rule for each step.
fn step_rules(explained: &Explained) -> String {
    let Some(best) = explained.repair.suggestions.first() else { return String::new() };
    let mut rules = String::new();
    for (idx, trace) in best.verified.candidate().trajectory.iter().enumerate() {
        for step in 0..=trace.steps.len() {
            let id = format!("w{idx}s{step}");
            let _ = writeln!(
                rules,
                "#{id}:checked ~ .panes .{id} {{ display: block; }}\n\
                 #{id}:checked ~ .panes label[for={id}] {{ border-color: var(--accent); }}\n\
                 #{id}:focus-visible ~ .panes label[for={id}] {{ outline: 2px solid var(--accent); outline-offset: 2px; }}"
            );
        }
    }
    rules
}

/// The states of one window: a list of steps, and the state after the chosen one.
fn window(idx: usize, trace: &Trace) -> String {
    let n_lines = trace.before.lines().count().max(1);
    let mut out = format!(
        "<h2>Lines {} to {}: {} of denoising</h2>\n<section class=\"window\">\n",
        trace.first_line,
        trace.first_line + n_lines - 1,
        counted(trace.steps.len(), "step"),
    );
    for step in 0..=trace.steps.len() {
        let checked = if step == trace.steps.len() { " checked" } else { "" };
        let _ = writeln!(
            out,
            "<input type=\"radio\" name=\"w{idx}\" id=\"w{idx}s{step}\" aria-label=\"state {step}\"{checked}>"
        );
    }
    out.push_str("<div class=\"panes\">\n<div class=\"steps\">\n");
    let _ = writeln!(
        out,
        "<label for=\"w{idx}s0\"><strong>Broken</strong><br><span class=\"faint\">where denoising resumes</span></label>"
    );
    let most_noise = trace.steps.iter().map(|step| step.noise).fold(1.0, f64::max);
    for (number, step) in trace.steps.iter().enumerate() {
        out.push_str(&card(&format!("w{idx}s{}", number + 1), number + 1, step, most_noise));
    }
    out.push_str("</div>\n<div>\n");
    let mut before = trace.before.as_str();
    let _ = writeln!(out, "<div class=\"state w{idx}s0\">{}</div>", code(before, before, trace.first_line));
    for (number, step) in trace.steps.iter().enumerate() {
        let _ = writeln!(
            out,
            "<div class=\"state w{idx}s{}\">{}</div>",
            number + 1,
            code(before, &step.text, trace.first_line)
        );
        before = &step.text;
    }
    out.push_str("</div>\n</div>\n</section>\n");
    out
}

fn card(id: &str, number: usize, step: &Step, most_noise: f64) -> String {
    let likelihood = 1.0 / (1.0 + (-step.rate).exp());
    let meter = |name: &str, share: f64, shown: String| {
        let width = (share * 100.0).clamp(0.0, 100.0);
        format!(
            "<span class=\"meter\"><span>{name}</span><span class=\"bar\"><i style=\"width:{width:.0}%\"></i></span><span class=\"num\">{shown}</span></span>"
        )
    };
    format!(
        "<label for=\"{id}\"><strong>{number}. {}</strong>{}{}</label>\n",
        with_code(&step.edit),
        meter("rate", likelihood, format!("{:+.2}", step.rate)),
        meter("noise", step.noise / most_noise, format!("{:.1}", step.noise)),
    )
}

/// `after` with its changes against `before`, line by line, changed characters marked.
fn code(before: &str, after: &str, first_line: usize) -> String {
    let diff = TextDiff::from_lines(before, after);
    let mut out = String::from("<pre>");
    for op in diff.ops() {
        let pairs = op.tag() == similar::DiffTag::Replace && op.old_range().len() == op.new_range().len();
        for change in diff.iter_changes(op) {
            let line = change.value().trim_end_matches(['\r', '\n']);
            let (class, number) = match change.tag() {
                ChangeTag::Equal => ("row", change.new_index()),
                ChangeTag::Delete => ("row removed", None),
                ChangeTag::Insert => ("row added", change.new_index()),
            };
            let other = match (pairs, change.old_index(), change.new_index()) {
                (true, Some(old), None) => diff.new_slice(op.new_range().start + old - op.old_range().start),
                (true, None, Some(new)) => diff.old_slice(op.old_range().start + new - op.new_range().start),
                _ => None,
            };
            let number = number.map_or("\u{2212}".to_owned(), |idx| (first_line + idx).to_string());
            let _ = write!(out, "<span class=\"{class}\" data-n=\"{number}\">{}</span>", marked(line, other));
        }
    }
    out.push_str("</pre>");
    out
}

/// The line with what it does not share with `other` marked.
fn marked(line: &str, other: Option<&str>) -> String {
    let Some(other) = other else { return escape(line) };
    let Edit { span, replacement } = Edit::between(other.trim_end_matches(['\r', '\n']), line);
    let (front, rest) = line.split_at(span.start);
    let (changed, back) = rest.split_at(replacement.len());
    if changed.is_empty() {
        return escape(line);
    }
    format!("{}<b>{}</b>{}", escape(front), escape(changed), escape(back))
}

fn diffs(explained: &Explained, best: &Ranked, others: &[Ranked]) -> String {
    let diff = |repair: &Ranked| {
        let after = &repair.verified.candidate().text;
        escape(&unified_diff(&explained.path, &explained.before, after))
    };
    let mut out = format!(
        "<h2>The whole repair</h2>\n<details open><summary>score {:.2}</summary><pre>{}</pre></details>\n",
        best.verified.candidate().score,
        diff(best)
    );
    if !others.is_empty() {
        out.push_str("<h2>Other repairs that parse</h2>\n");
    }
    for other in others {
        let score = other.verified.candidate().score;
        let _ =
            writeln!(out, "<details><summary>score {score:.2}</summary><pre>{}</pre></details>", diff(other));
    }
    out
}

/// Text in which backticks stand around code.
fn with_code(text: &str) -> String {
    let mut out = String::new();
    for (idx, part) in text.split('`').enumerate() {
        let part = escape(part);
        let _ = if idx % 2 == 1 { write!(out, "<code>{part}</code>") } else { write!(out, "{part}") };
    }
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
