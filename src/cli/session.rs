//! What the commands share: settings, engine, target versions, output.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result, bail};

use super::Global;
use super::progress::{aside, wipe};
use crate::change::SourceFile;
use crate::config::{Config, FILE_NAME, PythonTarget, python_target};
use crate::io::engine::{Engine, EngineSettings, find_models};
use crate::io::files;
use crate::io::pwsh::{Limits, Pwsh, find_pwsh};
use crate::io::sandbox::{Guarded, Level, Sandbox};
use crate::lang::{Dialect, Language};
use crate::pipeline::Ask;
use crate::ports::{EngineError, Judge};
use crate::rank::Calibration;
use crate::report::printable;

/// One run of the program.
pub(super) struct Session {
    pub(super) config: Config,
    /// The settings file, when there is one.
    pub(super) config_path: Option<PathBuf>,
    pub(super) engine: Engine,
    pwsh: Option<Pwsh>,
    calibrations: HashMap<&'static str, Option<Calibration>>,
    targets: HashMap<PathBuf, Option<(u8, u8)>>,
}

impl Session {
    pub(super) fn new(global: &Global) -> Result<Self> {
        let (config, config_path) = load_config(global)?;
        let engine = Engine::new(engine_settings(&config));
        let limits = Limits {
            start: Duration::from_millis(config.powershell.start_ms),
            answer: Duration::from_millis(config.powershell.answer_ms),
        };
        let pwsh = find_pwsh(&config.powershell.pwsh).map(|program| Pwsh::new(program, limits));
        let (calibrations, targets) = (HashMap::new(), HashMap::new());
        Ok(Self { config, config_path, engine, pwsh, calibrations, targets })
    }

    /// The folder that patterns in the settings are relative to.
    pub(super) fn root(&self) -> PathBuf {
        let folder = self.config_path.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
        files::absolute(folder)
    }

    /// The language version that the project around `path` is written for.
    pub(super) fn dialect(&mut self, path: &Path, language: &dyn Language) -> Dialect {
        if language.name() != "python" {
            return Dialect::default();
        }
        let target = match self.config.python.target {
            PythonTarget::Version(major, minor) => Some((major, minor)),
            PythonTarget::Auto => self.project_target(path),
        };
        Dialect { target }
    }

    fn project_target(&mut self, path: &Path) -> Option<(u8, u8)> {
        let path = std::path::absolute(path).ok()?;
        let folder = path.parent()?;
        if let Some(target) = self.targets.get(folder) {
            return *target;
        }
        // A pyproject.toml that cannot be read says nothing about the target.
        let target = files::nearest(folder, "pyproject.toml")
            .and_then(|path| files::read_text(&path).ok().flatten())
            .and_then(|text| python_target(&text));
        self.targets.insert(folder.to_owned(), target);
        target
    }

    /// The calibration of the language's model.
    fn calibration(&mut self, language: &'static dyn Language) -> Option<Calibration> {
        if let Some(known) = self.calibrations.get(language.name()) {
            return known.clone();
        }
        let folder = find_models(self.engine.settings().models.as_deref()).ok();
        let path = folder.map(|folder| folder.join(language.name()).join("model.toml"));
        let calibration = path.as_deref().and_then(|path| match read_calibration(path) {
            Ok(calibration) => calibration,
            Err(error) => {
                warn(&format!("`{}`: {error:#}; every repair will need review", path.display()));
                None
            }
        });
        self.calibrations.insert(language.name(), calibration.clone());
        calibration
    }

    /// Whether another judge of the language finds a text fine.
    pub(super) fn is_fine(&self, file: &SourceFile) -> bool {
        let judge = judge(self.pwsh.as_ref(), file.language);
        judge.and_then(|judge| judge.accepts(&file.text)) == Some(true)
    }

    /// What runs tests here: the strongest sandbox that works, or none where that is too weak.
    pub(super) fn guarded(&self) -> Result<Guarded> {
        let program = env::current_exe().context("the path of this program is not known")?;
        let tests = &self.config.tests;
        let require = tests.require_sandbox.then_some(Level::Landlock);
        let sandbox = Sandbox::choose(&program, require, Level::Bubblewrap)?;
        Ok(Guarded { sandbox, memory: tests.memory_mib << 20, environment: tests.environment.clone() })
    }

    /// What to ask the engine for a file, and the engine to ask.
    pub(super) fn ask_for(&mut self, file: &SourceFile) -> (Ask<'_>, &mut Engine) {
        self.ask_for_one_at(file, &file.path)
    }

    /// The same for a file that stands for the one at `place`.
    pub(super) fn ask_for_one_at(&mut self, file: &SourceFile, place: &Path) -> (Ask<'_>, &mut Engine) {
        let dialect = self.dialect(place, file.language);
        let (mut ask, engine) = self.ask(file.language, dialect);
        // What starts with `=` in a table may be a text all the same.
        if file.is_in_table() {
            ask.calibration = ask.calibration.map(Calibration::without_safe);
        }
        (ask, engine)
    }

    /// What to ask the engine for a text, and the engine to ask.
    pub(super) fn ask(
        &mut self,
        language: &'static dyn Language,
        dialect: Dialect,
    ) -> (Ask<'_>, &mut Engine) {
        let calibration = self.calibration(language);
        let repair = &self.config.repair;
        let ask = Ask {
            language,
            judge: judge(self.pwsh.as_ref(), language),
            dialect,
            k: repair.candidates,
            budget_ms: repair.budget_ms,
            max_windows: repair.max_windows,
            is_over: &|| false,
            least_confidence: repair.least_confidence,
            seed: repair.seed,
            trace: false,
            calibration,
        };
        (ask, &mut self.engine)
    }
}

/// How tests are used: flags that go before the settings.
#[derive(clap::Args, Default)]
pub(super) struct TestFlags {
    /// Try at most so many candidates for a file whose tests fail
    #[arg(long, value_name = "N", help_heading = "Tests")]
    max_candidates: Option<usize>,

    /// Try candidates for a file no longer than this
    #[arg(long, value_name = "SECONDS", help_heading = "Tests")]
    time_limit: Option<u64>,

    /// Run tests only in a sandbox that stops attacks: bubblewrap, namespaces or Landlock
    #[arg(long, help_heading = "Tests")]
    require_sandbox: bool,
}

impl TestFlags {
    pub(super) fn apply(&self, config: &mut Config) {
        let tests = &mut config.tests;
        tests.max_candidates = self.max_candidates.unwrap_or(tests.max_candidates);
        tests.time_limit_s = self.time_limit.unwrap_or(tests.time_limit_s);
        tests.require_sandbox |= self.require_sandbox;
    }
}

/// The other judge of a language.
fn judge<'j>(pwsh: Option<&'j Pwsh>, language: &dyn Language) -> Option<&'j dyn Judge> {
    pwsh.filter(|_| language.name() == "powershell").map(|pwsh| pwsh as &dyn Judge)
}

fn read_calibration(path: &Path) -> Result<Option<Calibration>> {
    let Some(text) = files::read_text(path)? else { return Ok(None) };
    Ok(Calibration::of_model(&text)?)
}

/// Defaults, file, environment and flags in one, and the file.
pub(super) fn load_config(global: &Global) -> Result<(Config, Option<PathBuf>)> {
    let named = global.config.clone().or_else(|| variable("LASTMILE_CONFIG").map(PathBuf::from));
    let is_named = named.is_some();
    let path = named.or_else(|| files::nearest(Path::new("."), FILE_NAME));
    let text = match &path {
        None => None,
        Some(path) => match files::read_text(path)? {
            Some(text) => Some(text),
            None => bail!("`{}` does not exist (named by `--config` or LASTMILE_CONFIG)", path.display()),
        },
    };
    let mut config = Config::layered(path.as_deref().zip(text.as_deref()))
        .context("the settings cannot be used (`lastmile config --default` prints all of them)")?;
    if let (Some(path), Some(setting), false) = (&path, config.program(), is_named) {
        let why = "names a program, and nothing that a project brings is run unasked";
        let way = "name it by --engine, LASTMILE_ENGINE or LASTMILE_PWSH, or these settings by --config";
        bail!("`{}`: `{setting}` {why}: {way}", path.display());
    }
    let engine = &mut config.engine;
    let set = |setting: &mut PathBuf, flag: &Option<PathBuf>, name| {
        if let Some(path) = flag.clone().or_else(|| variable(name).map(PathBuf::from)) {
            *setting = path;
        }
    };
    set(&mut engine.program, &global.engine, "LASTMILE_ENGINE");
    set(&mut engine.models, &global.models, "LASTMILE_MODELS");
    config.powershell.pwsh = variable("LASTMILE_PWSH").map_or(config.powershell.pwsh, PathBuf::from);
    let engine = &mut config.engine;
    engine.device = global.device.clone().unwrap_or_else(|| engine.device.clone());
    engine.threads = global.threads.unwrap_or(engine.threads);
    Ok((config, path))
}

/// A variable of the environment; an empty one counts as none.
pub(super) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// The same, where it is text.
pub(super) fn text_variable(name: &str) -> Option<String> {
    variable(name)?.into_string().ok()
}

fn engine_settings(config: &Config) -> EngineSettings {
    let named = |path: &PathBuf| (!path.as_os_str().is_empty()).then(|| path.clone());
    EngineSettings {
        program: named(&config.engine.program),
        models: named(&config.engine.models),
        device: config.engine.device.clone(),
        threads: config.engine.threads,
        start: Duration::from_millis(config.engine.start_ms),
        grace: Duration::from_millis(config.engine.grace_ms),
    }
}

/// Prints results, coloured where that is wanted and possible.
pub(super) fn print(text: &str) -> Result<()> {
    print_to(&mut anstream::AutoStream::auto(io::stdout().lock()), text.as_bytes())
}

/// Prints bytes as they are.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<()> {
    print_to(&mut io::stdout().lock(), bytes)
}

/// A reader that goes away, as `head` does, is no failure, and changes neither what is done nor the exit status.
fn print_to(out: &mut impl Write, bytes: &[u8]) -> Result<()> {
    match aside(|| out.write_all(bytes).and_then(|()| out.flush())) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            IS_UNREAD.store(true, Ordering::Relaxed);
            Ok(())
        }
        done => done.context("failed to write to stdout"),
    }
}

static IS_UNREAD: AtomicBool = AtomicBool::new(false);

/// Whether nobody reads what is printed any more.
pub(super) fn is_unread() -> bool {
    IS_UNREAD.load(Ordering::Relaxed)
}

/// Prints to stderr. Nothing is left to do when that fails.
pub(super) fn note(text: &str) {
    let _ = aside(|| anstream::AutoStream::auto(io::stderr().lock()).write_all(text.as_bytes()));
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

pub(super) fn complain(message: &str) {
    note(&format!("{ERROR}error{ERROR:#}: {}\n", tame(message)));
}

pub(super) fn warn(message: &str) {
    note(&format!("{WARNING}warning{WARNING:#}: {}\n", tame(message)));
}

pub(super) fn hint(message: &str) {
    note(&format!("{HINT}hint{HINT:#}: {}\n", tame(message)));
}

/// A message of several lines without what could steer a terminal: names of files may hold anything.
fn tame(message: &str) -> String {
    message.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Says why the engine gave no answer and what to do.
pub(super) fn complain_of_engine(error: &EngineError) {
    complain(&error.to_string());
    hint(error.hint());
}

static IS_PATIENT: AtomicBool = AtomicBool::new(false);
static IS_STOPPED: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C only asks for an end, which [`is_stopped`] tells.
pub(super) fn stop_at_leisure() {
    IS_PATIENT.store(true, Ordering::Relaxed);
}

pub(super) fn is_stopped() -> bool {
    IS_STOPPED.load(Ordering::Relaxed)
}

/// Makes Ctrl-C wait for the file that is being replaced, then stop.
pub(super) fn stop_between_writes() -> Result<()> {
    #[expect(
        clippy::exit,
        reason = "a signal ends the program from its own thread, with the shell's code for it"
    )]
    let stop = || {
        if IS_PATIENT.load(Ordering::Relaxed) && !IS_STOPPED.swap(true, Ordering::Relaxed) {
            return;
        }
        files::between_writes(|| {
            wipe();
            std::process::exit(130)
        });
    };
    ctrlc::set_handler(stop).context("Ctrl-C cannot be handled")
}
