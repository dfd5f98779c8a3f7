//! The settings in force: defaults, then a file, then the environment, then flags.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::change::{Limit, has_cells};
use crate::suite::Settings;

/// `defaults.toml`, the only place where a default is written.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// The name of a settings file.
pub const FILE_NAME: &str = "lastmile.toml";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub files: Files,
    pub python: Python,
    pub powershell: PowerShell,
    pub repair: Repair,
    pub tests: Settings,
    pub engine: Engine,
    pub output: Output,
    pub hook: Hook,
    pub pr: Pr,
}

/// Which files are looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    pub exclude: Vec<String>,
    pub max_kib: u64,
    pub max_workbook_kib: u64,
}

impl Files {
    /// How large a file may be.
    pub fn limit(&self, path: &Path) -> Limit {
        if has_cells(path) {
            Limit { kib: self.max_workbook_kib, setting: "files.max_workbook_kib" }
        } else {
            Limit { kib: self.max_kib, setting: "files.max_kib" }
        }
    }
}

/// What holds for Python files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Python {
    pub target: PythonTarget,
}

/// What holds for PowerShell files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerShell {
    pub pwsh: PathBuf,
    pub start_ms: u64,
    pub answer_ms: u64,
}

/// How repairs are looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    pub candidates: usize,
    pub budget_ms: u64,
    pub max_windows: usize,
    pub least_confidence: f64,
    pub seed: u64,
}

/// How the engine is found and run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    pub program: PathBuf,
    pub models: PathBuf,
    pub device: String,
    pub threads: u32,
    pub start_ms: u64,
    pub grace_ms: u64,
}

/// How results are shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub format: Format,
}

/// What git's hook does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    pub write: bool,
    pub budget_ms: u64,
}

/// What is said on pull requests, and how long GitHub is waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pr {
    pub max_suggestions: usize,
    pub timeout_ms: u64,
    pub max_wait_s: u64,
}

/// A face of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Human,
    Json,
    Sarif,
    Github,
}

/// The Python version that repairs may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PythonTarget {
    /// What the nearest pyproject.toml says.
    Auto,
    Version(u8, u8),
}

impl TryFrom<String> for PythonTarget {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "auto" {
            return Ok(PythonTarget::Auto);
        }
        version(&text)
            .map(|(major, minor)| PythonTarget::Version(major, minor))
            .ok_or_else(|| format!("`{text}` is neither \"auto\" nor a version such as \"3.9\""))
    }
}

impl From<PythonTarget> for String {
    fn from(target: PythonTarget) -> Self {
        match target {
            PythonTarget::Auto => "auto".to_owned(),
            PythonTarget::Version(major, minor) => format!("{major}.{minor}"),
        }
    }
}

/// What is wrong with a settings file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", path.display())]
pub struct ConfigError {
    path: PathBuf,
    message: String,
}

impl Config {
    /// The defaults, changed by the settings file at `path` when there is one.
    pub fn layered(file: Option<(&Path, &str)>) -> Result<Self, ConfigError> {
        let mut table: toml::Table = DEFAULTS.parse().expect("defaults.toml is valid");
        let Some((path, text)) = file else {
            return Ok(table.try_into().expect("defaults.toml holds every setting"));
        };
        let fail =
            |message: String| ConfigError { path: path.to_owned(), message: message.trim_end().to_owned() };
        merge(&mut table, text.parse().map_err(|error: toml::de::Error| fail(error.to_string()))?);
        let mut config: Self = table.try_into().map_err(|error| fail(error.to_string()))?;
        if let Some(wrong) = config.out_of_range() {
            return Err(fail(wrong.to_owned()));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        for place in [&mut config.engine.program, &mut config.engine.models] {
            if !place.as_os_str().is_empty() {
                *place = folder.join(&*place);
            }
        }
        let pwsh = &mut config.powershell.pwsh;
        if pwsh.components().count() > 1 {
            *pwsh = folder.join(&*pwsh);
        }
        Ok(config)
    }
}

impl Config {
    /// The setting that names a program to run.
    pub fn program(&self) -> Option<&'static str> {
        let is_found = ["auto", "off"].iter().any(|word| self.powershell.pwsh == Path::new(word));
        match () {
            () if !self.engine.program.as_os_str().is_empty() => Some("engine.program"),
            () if !is_found => Some("powershell.pwsh"),
            () => None,
        }
    }

    /// A setting whose value makes no sense, and why.
    fn out_of_range(&self) -> Option<&'static str> {
        let (files, repair) = (&self.files, &self.repair);
        let largest = u64::MAX / 1024;
        [
            (repair.candidates == 0, "`repair.candidates` must be 1 at least"),
            (repair.max_windows == 0, "`repair.max_windows` must be 1 at least"),
            (
                !(0.0..=1.0).contains(&repair.least_confidence),
                "`repair.least_confidence` must be from 0 to 1",
            ),
            (
                matches!(self.python.target, PythonTarget::Version(major, _) if major != 3),
                "`python.target` must be a version of Python 3",
            ),
            (files.max_kib > largest, "`files.max_kib` is too large"),
            (files.max_workbook_kib > largest, "`files.max_workbook_kib` is too large"),
        ]
        .into_iter()
        .find_map(|(is_wrong, why)| is_wrong.then_some(why))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Config::layered(None).expect("the defaults are valid").tests
    }
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// The oldest Python that a pyproject.toml allows; `None` when it does not say.
pub fn python_target(pyproject: &str) -> Option<(u8, u8)> {
    let table: toml::Table = pyproject.parse().ok()?;
    let project = || table.get("project")?.get("requires-python")?.as_str();
    let poetry = || table.get("tool")?.get("poetry")?.get("dependencies")?.get("python")?.as_str();
    let requires = project().or_else(poetry)?;
    let lower_bounds = requires.split(',').filter_map(|part| {
        let part = part.trim();
        let bound =
            [">=", "~=", "===", "==", "^", "~", ">"].iter().find_map(|sign| part.strip_prefix(sign))?;
        version(bound.trim())
    });
    lower_bounds.max()
}

/// The first two numbers of a version.
pub(crate) fn version(text: &str) -> Option<(u8, u8)> {
    let mut parts = text.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().map_or(Some(0), |minor| minor.parse().ok())?;
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_complete() {
        let config = Config::layered(None).expect("no file, no fault");
        assert_eq!(config.output.format, Format::Human);
        let again = toml::to_string(&config).expect("every setting can be written");
        assert_eq!(Config::layered(Some((Path::new("x.toml"), &again))), Ok(config));
    }

    #[test]
    fn a_file_changes_what_it_names() {
        let text = "[engine]\nmodels = 'm'\n[python]\ntarget = '3.9'\n";
        let config = Config::layered(Some((Path::new("/p/lastmile.toml"), text))).expect("valid");
        assert_eq!(config.engine.models, Path::new("/p/m"));
        assert_eq!(config.engine.program, Path::new(""));
        assert_eq!(config.python.target, PythonTarget::Version(3, 9));
        assert_eq!(config.repair, Config::layered(None).expect("valid").repair);
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = Config::layered(Some((Path::new("lastmile.toml"), text))).expect_err("wrong");
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn mistakes_name_the_file_and_the_key() {
        check_error("[repiar]\nseed = 1\n", "lastmile.toml: unknown field `repiar`, expected one of"); // typos: ignore
        check_error("[repair]\nseed = 'x'\n", "invalid type: string \"x\", expected u64");
        check_error("[repair]\ncandidates = 0\n", "lastmile.toml: `repair.candidates` must be 1 at least");
        check_error("[repair]\nleast_confidence = 5\n", "from 0 to 1");
        check_error("[files]\nmax_kib = 9223372036854775807\n", "too large");
        check_error("[python]\ntarget = 'three'\n", "neither \"auto\" nor a version");
        check_error("[repair\n", "lastmile.toml: TOML parse error at line 1");
    }

    #[track_caller]
    fn check_target(requires: &str, expected: Option<(u8, u8)>) {
        assert_eq!(
            python_target(&format!("[project]\nrequires-python = '{requires}'\n")),
            expected,
            "{requires}"
        );
    }

    #[test]
    fn the_lowest_allowed_python_is_the_target() {
        check_target(">=3.9", Some((3, 9)));
        check_target(">=3.8, <4, !=3.9.*", Some((3, 8)));
        check_target("~=3.10.2", Some((3, 10)));
        check_target("==3.11.*", Some((3, 11)));
        check_target(">= 3", Some((3, 0)));
        check_target("<3.13", None);
        check_target("nonsense", None);
        assert_eq!(python_target("[tool.poetry.dependencies]\npython = '^3.7'\n"), Some((3, 7)));
        assert_eq!(python_target("not toml ["), None);
    }
}
