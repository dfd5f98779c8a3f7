//! Asks PowerShell's own parser, where `pwsh` is installed.

use std::cell::RefCell;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::lines::{LineProcess, path_folders};
use crate::ports::Judge;

/// `pwsh`, started when the first script comes.
///
/// It starts slower than a whole check by the reader of our own takes, so it is asked only about what that
/// one calls broken, and about repairs. A `pwsh` that does not answer has no opinion.
pub struct Pwsh {
    program: PathBuf,
    state: RefCell<State>,
    limits: Limits,
}

/// How long `pwsh` may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub start: Duration,
    pub answer: Duration,
}

enum State {
    New,
    Running(LineProcess),
    Gone,
}

/// Reads a line of JSON, answers with the number of faults. Each text comes behind an `x`, since a text that
/// looks like a date would be read as one. Types and modules that are missing here are no faults of a script.
const PARSE: &str = r"
$ErrorActionPreference = 'Stop'
[Console]::InputEncoding = [Console]::OutputEncoding = [Text.UTF8Encoding]::new($false)
$elsewhere = 'TypeNotFound', 'ModuleNotFoundDuringParse'
while ($null -ne ($line = [Console]::In.ReadLine())) {
    $text = (ConvertFrom-Json $line).Substring(1)
    $tokens = $faults = $null
    $null = [Management.Automation.Language.Parser]::ParseInput($text, [ref]$tokens, [ref]$faults)
    [Console]::Out.WriteLine(@($faults | Where-Object ErrorId -NotIn $elsewhere).Count)
}
";

impl Pwsh {
    pub fn new(program: PathBuf, limits: Limits) -> Self {
        Self { program, state: RefCell::new(State::New), limits }
    }

    fn ask(&self, text: &str) -> Option<bool> {
        let mut state = self.state.borrow_mut();
        let wait = if matches!(*state, State::New) { self.limits.start } else { self.limits.answer };
        if matches!(*state, State::New) {
            *state = start(&self.program).map_or(State::Gone, State::Running);
        }
        let State::Running(process) = &mut *state else { return None };
        process.send(serde_json::to_string(&format!("x{text}")).expect("a string is plain data"));
        let answer = process.receive(wait).ok().and_then(|line| line.trim().parse::<u32>().ok());
        if answer.is_none() {
            *state = State::Gone;
        }
        answer.map(|n_faults| n_faults == 0)
    }
}

impl Judge for Pwsh {
    fn accepts(&self, text: &str) -> Option<bool> {
        // To parse these, PowerShell looks for modules, and may run them.
        if loads(text) { None } else { self.ask(text) }
    }
}

/// Whether there may be a statement that loads modules or assemblies.
fn loads(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let names_one = |mut rest: &str| loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '`');
        match rest.strip_prefix("<#") {
            Some(comment) => rest = comment.split_once("#>").map_or("", |(_, after)| after),
            None => break ["module", "assembly"].iter().any(|word| rest.starts_with(word)),
        }
    };
    lower.contains("import-dscresource")
        || lower.match_indices("using").any(|(at, word)| names_one(&lower[at + word.len()..]))
}

/// The program that the settings name: `auto` is the `pwsh` of PATH, `off` is none.
pub fn find_pwsh(named: &Path) -> Option<PathBuf> {
    match named.to_str() {
        Some("off") => None,
        Some("auto") => {
            let name = format!("pwsh{}", env::consts::EXE_SUFFIX);
            path_folders().into_iter().map(|folder| folder.join(&name)).find(|place| place.is_file())
        }
        _ => Some(named.to_owned()),
    }
}

fn start(program: &Path) -> Option<LineProcess> {
    let mut command = Command::new(program);
    command.args(["-NoLogo", "-NoProfile", "-NonInteractive", "-Command", PARSE]);
    command.env("POWERSHELL_TELEMETRY_OPTOUT", "1").env("POWERSHELL_UPDATECHECK", "Off");
    LineProcess::start(command).ok()
}

#[cfg(test)]
mod tests {
    use super::loads;

    #[test]
    fn what_loads_modules_is_known_by_its_words() {
        for text in [
            "using module .\\a.psm1",
            "Using\t Module a",
            "using <# a #> <# b #>\n module a",
            "using `\n assembly a.dll",
            "configuration c { Import-DscResource a }",
        ] {
            assert!(loads(text), "{text}");
        }
        for text in ["$using:x", "using namespace System", "# using <# module", "Import-Module using"] {
            assert!(!loads(text), "{text}");
        }
    }
}
