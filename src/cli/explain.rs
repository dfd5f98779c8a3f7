//! `lastmile explain`: the way from the broken text to the repair, step by step.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use super::ExitStatus;
use super::session::Session;

#[derive(Args)]
pub(super) struct ExplainArgs {
    /// The file to explain
    file: PathBuf,
}

pub(super) fn explain(args: &ExplainArgs, _session: &mut Session) -> Result<ExitStatus> {
    bail!("`{}`: not there yet", args.file.display())
}
