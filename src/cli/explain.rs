//! `lastmile explain`: the way from the broken text to the repair, step by step.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use anyhow::{Result, bail};
use clap::Args;

use super::check::shown_path;
use super::session::{Session, complain_of_engine, note, print, print_bytes};
use super::{ExitStatus, page};
use crate::candidate::Trace;
use crate::change::{Limit, SourceFile};
use crate::diagnose::place;
use crate::io::files;
use crate::patch::line_edits;
use crate::pipeline::{Ask, Repair, repair};
use crate::protocol::Step;
use crate::report::{evidence, printable};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// The file to explain
    file: PathBuf,

    /// Write one self-contained page instead; `-` is stdout
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  lastmile explain broken.py
  lastmile explain broken.py --html why.html

Rate: the logarithm of the edit's probability. Noise: how many edits the network expects
from there on, this one included. Each step goes from one discrete state to the next, as late steps of denoising do.";

/// A broken file and the trajectory of its best repair.
pub(super) struct Explained {
    pub(super) path: String,
    pub(super) before: String,
    pub(super) repair: Repair,
}

pub(super) fn explain(args: &ExplainArgs, session: &mut Session) -> Result<ExitStatus> {
    let file = read(&args.file, session.config.files.limit(&args.file))?;
    let (ask, engine) = session.ask_for(&file);
    let repair = match repair(&file.text, &Ask { trace: true, ..ask }, engine) {
        Ok(repair) => repair,
        Err(error) => {
            complain_of_engine(&error);
            return Ok(ExitStatus::Failed);
        }
    };
    let is_healthy = repair.diagnosis.faults.is_empty();
    let explained = Explained { path: shown_path(&file.path), before: file.text, repair };
    match &args.html {
        _ if is_healthy => print(&format!("`{}` parses: there is nothing to explain\n", explained.path))?,
        None => print(&terminal(&explained))?,
        Some(out) if out == Path::new("-") => print_bytes(page::page(&explained).as_bytes())?,
        Some(out) => {
            files::create_page(out, &page::page(&explained))?;
            note(&format!("wrote `{}`\n", out.display()));
        }
    }
    Ok(if is_healthy { ExitStatus::Clean } else { ExitStatus::FaultsRemain })
}

pub(super) fn read(path: &Path, limit: Limit) -> Result<SourceFile> {
    let file = match files::read(path, limit)? {
        Ok(bytes) => SourceFile::decode(path.to_owned(), bytes),
        Err(skip) => Err(skip),
    };
    match file {
        Ok(file) => Ok(file),
        Err(skip) => bail!("`{}` is left alone: {skip}", path.display()),
    }
}

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();

fn terminal(explained: &Explained) -> String {
    let mut out = String::new();
    let path = printable(&explained.path);
    for fault in explained.repair.diagnosis.faults.iter().take(1) {
        let at = place(&explained.before, fault.span.start);
        let _ =
            writeln!(out, "{BOLD}{path}:{}:{}{BOLD:#}: {}", at.line, at.column, printable(&fault.message));
    }
    let Some(best) = explained.repair.suggestions.first() else {
        let reason = explained.repair.reason.as_deref().unwrap_or("nothing was found");
        let _ = writeln!(out, "no suggestion: {reason}");
        return out;
    };
    for trace in &best.verified.candidate().trajectory {
        out.push_str(&window(trace));
    }
    let _ = writeln!(out, "\n{BOLD}repair{BOLD:#}: {}", evidence(best));
    let others = &explained.repair.suggestions[1..];
    if !others.is_empty() {
        let scores: Vec<_> =
            others.iter().map(|other| format!("{:.2}", other.verified.candidate().score)).collect();
        let _ = writeln!(
            out,
            "{FAINT}its score is {:.2}; others that parse: {}{FAINT:#}",
            best.verified.candidate().score,
            scores.join(", ")
        );
    }
    out
}

fn window(trace: &Trace) -> String {
    let last_line = trace.first_line + trace.before.lines().count().saturating_sub(1);
    let mut out = format!("\nlines {} to {last_line}\n", trace.first_line);
    if trace.steps.is_empty() {
        out.push_str("  the engine told no steps\n");
    }
    let mut before = trace.before.as_str();
    for (idx, step) in trace.steps.iter().enumerate() {
        let Step { edit, rate, noise, text } = step;
        let _ = writeln!(
            out,
            "{BOLD}step {}{BOLD:#}  {}  {FAINT}rate {rate:+.2}, noise {noise:.1}{FAINT:#}",
            idx + 1,
            printable(edit)
        );
        for edit in line_edits(before, text) {
            let removed = before.split_inclusive('\n').skip(edit.first - 1).take(edit.n_lines);
            for line in removed {
                let _ = writeln!(
                    out,
                    "  {REMOVED}- {}{REMOVED:#}",
                    printable(line.trim_end_matches(['\r', '\n']))
                );
            }
            for line in edit.replacement.lines() {
                let _ = writeln!(out, "  {ADDED}+ {}{ADDED:#}", printable(line));
            }
        }
        before = text;
    }
    out
}
