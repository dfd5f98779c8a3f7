//! A text from stdin, as editors and pipes hand it over.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::check::{CheckArgs, Finding, Survey};
use super::session::Session;
use crate::change::{Skip, SourceFile};
use crate::config::Files;
use crate::diagnose::diagnose;
use crate::io::files;

/// What stands for stdin where paths are named.
const STDIN: &str = "-";

/// A text without a file.
pub(super) struct Stdin {
    /// The file it stands for, when that was said.
    path: Option<PathBuf>,
    pub(super) bytes: Vec<u8>,
}

/// Whether a text from stdin is asked for.
pub(super) fn is_named(args: &CheckArgs) -> bool {
    args.paths.iter().any(|path| path == Path::new(STDIN))
}

impl Stdin {
    /// Reads all of it; `None` when it is not asked for.
    pub(super) fn read(args: &CheckArgs) -> Result<Option<Self>> {
        if !is_named(args) {
            if args.stdin_filename.is_some() {
                bail!("`--stdin-filename` is for a text from stdin: name `-` too");
            }
            return Ok(None);
        }
        if args.paths.len() > 1 {
            bail!("`-` stands for stdin and cannot be named with other paths");
        }
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).context("stdin cannot be read")?;
        Ok(Some(Self { path: args.stdin_filename.clone(), bytes }))
    }

    /// Judges it as the file that it stands for would be.
    pub(super) fn survey(&self, session: &Session) -> Result<Survey> {
        let path = self.path.clone().unwrap_or_else(|| STDIN.into());
        let mut survey = Survey { n_checked: 0, findings: Vec::new() };
        let excludes = files::excludes(&session.root(), &session.config.files.exclude)?;
        if files::is_excluded(&excludes, &path, false) {
            return Ok(survey);
        }
        match self.decode(&session.config.files) {
            Err(skip) => survey.findings.push(Finding::Skipped(path, skip)),
            Ok(mut file) => {
                file.path = path;
                survey.n_checked = 1;
                let diagnosis = diagnose(&file.text, file.language);
                if !diagnosis.faults.is_empty() {
                    survey.findings.push(Finding::Broken(file, diagnosis));
                }
            }
        }
        Ok(survey)
    }

    fn decode(&self, limits: &Files) -> Result<SourceFile, Skip> {
        // A text without a name is taken for Python.
        let name = self.path.clone().unwrap_or_else(|| "stdin.py".into());
        limits.limit(&name).check(self.bytes.len() as u64)?;
        SourceFile::decode(name, self.bytes.clone())
    }
}
