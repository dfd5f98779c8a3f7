//! `lastmile fix`: files in, suggestions, one diff, or repaired files out.

use std::borrow::Cow;

use anyhow::Result;
use clap::Args;

use super::ExitStatus;
use super::check::{CheckArgs, Finding, Telling, broken, failed, skipped, survey};
use super::session::{Session, complain_of_engine, hint};
use crate::change::SourceFile;
use crate::config::Format;
use crate::diagnose::Diagnosis;
use crate::io::files;
use crate::pipeline::repair;
use crate::ports::EngineError;
use crate::rank::{Applicability, Ranked};
use crate::report::{Answer, FileReport};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct FixArgs {
    #[command(flatten)]
    check: CheckArgs,

    /// Write repairs that are safe into the files
    #[arg(long)]
    write: bool,

    /// Print all repairs as one diff, for `git apply`
    #[arg(long, conflicts_with_all = ["write", "format"])]
    diff: bool,

    /// With `--write`, write repairs that need review too
    #[arg(long = "unsafe", requires = "write")]
    is_unsafe: bool,
}

const EXAMPLES: &str = "\
Examples:
  lastmile fix                         show a repair for each file that does not parse
  lastmile fix --diff | git apply      apply all of them
  lastmile fix --write src/parse.py    write it when it is safe
  lastmile fix --write --unsafe        write what needs review too, then look at `git diff`

A link that is named is followed to its file; links inside folders are not.";

pub(super) fn fix(args: &FixArgs, session: &mut Session) -> Result<ExitStatus> {
    let format = args.check.format.map_or(session.config.output.format, Format::from);
    let format = if args.diff { Format::Human } else { format };
    let survey = survey(&args.check.paths, session)?;
    let mut telling = Telling::new(format, survey.n_checked);
    let mut engine_error = None;
    for finding in survey.findings {
        let reports = match finding {
            Finding::Broken(file, diagnosis) => fix_file(file, diagnosis, args, session, &mut engine_error),
            Finding::Skipped(path, skip) => vec![skipped(&path, &skip)],
            Finding::Failed(path, error) => vec![failed(&path, &error.to_string())],
        };
        for report in reports {
            if args.diff {
                telling.tell_diff(&report)?;
            } else {
                telling.tell(report)?;
            }
        }
    }
    if let Some(error) = &engine_error {
        complain_of_engine(error);
    }
    let totals = telling.totals();
    if format == Format::Human && !args.diff {
        if args.write && totals.n_unsure > 0 {
            hint("what needs review was not written; `--unsafe` writes it too");
        } else if !args.write && totals.n_suggested > 0 {
            hint("`lastmile fix --write` writes what is safe, `lastmile fix --diff | git apply` all of it");
        }
    }
    let status = telling.finish()?;
    Ok(if engine_error.is_some() { ExitStatus::Failed } else { status })
}

/// Repairs one file and writes it when that was asked for. A second report says why that failed.
fn fix_file(
    file: SourceFile,
    diagnosis: Diagnosis,
    args: &FixArgs,
    session: &mut Session,
    engine_error: &mut Option<EngineError>,
) -> Vec<FileReport> {
    let dialect = session.dialect(&file.path, file.language);
    let (ask, engine) = session.ask(file.language, dialect);
    let found = match repair(&file.text, &ask, engine) {
        Ok(found) => found,
        Err(error) => {
            let answer = Answer::Nothing("the engine gave no answer".to_owned());
            *engine_error = Some(error);
            return vec![broken(file, diagnosis, answer)];
        }
    };
    let Some(best) = found.suggestions.into_iter().next() else {
        let reason = found.reason.unwrap_or_else(|| "nothing was found".to_owned());
        return vec![broken(file, diagnosis, Answer::Nothing(reason))];
    };
    if args.write && (args.is_unsafe || best.applicability == Applicability::Safe) {
        return write(file, diagnosis, best);
    }
    vec![broken(file, diagnosis, Answer::Suggested(Box::new(best)))]
}

fn write(file: SourceFile, diagnosis: Diagnosis, best: Ranked) -> Vec<FileReport> {
    let path = file.path.clone();
    let best = Box::new(best);
    let encode = |text| file.encode(text).map(Cow::into_owned);
    let bytes = encode(&file.text).and_then(|before| Ok((before, encode(&best.verified.candidate().text)?)));
    let written = match &bytes {
        Ok((before, after)) => files::replace(&path, before, after),
        Err(skip) => Ok(Err(skip.clone())),
    };
    match written {
        Ok(Ok(())) => vec![broken(file, diagnosis, Answer::Written(best))],
        Ok(Err(skip)) => vec![broken(file, diagnosis, Answer::Suggested(best)), skipped(&path, &skip)],
        Err(error) => {
            vec![broken(file, diagnosis, Answer::Suggested(best)), failed(&path, &error.to_string())]
        }
    }
}
