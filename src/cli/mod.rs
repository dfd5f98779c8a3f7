//! The command line: what can be asked, and which exit code answers it.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::config::Format;
use crate::io::sandbox;
use crate::lang::STACK;

mod apply;
mod check;
mod doctor;
mod explain;
mod fix;
mod hook;
mod install;
mod languages;
mod page;
mod pr;
mod progress;
mod push;
mod repair;
mod session;
mod stdin;
mod test;
mod trying;

use session::Session;

/// Repairs code that no longer parses.
#[derive(Parser)]
#[command(version, about, after_help = EXAMPLES, propagate_version = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    global: Global,
}

const EXAMPLES: &str = "\
Examples:
  lastmile check                    what does not parse below this folder, and where
  lastmile fix src                  show repairs as diffs; change nothing
  lastmile fix --diff | git apply   apply them all through git
  lastmile fix --write              write those that are safe
  lastmile test src/cart.py         which edit makes the failing tests pass
  lastmile explain broken.py        how the repair was found, step by step

Exit codes: 0 nothing left to fix, 1 faults remain, 2 lastmile itself failed.";

/// Flags that every command takes.
#[derive(Args)]
struct Global {
    /// Read settings from this file, not from the nearest lastmile.toml (or set `LASTMILE_CONFIG`)
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    config: Option<PathBuf>,

    /// Use this lastmile-engine (or set `LASTMILE_ENGINE`)
    #[arg(long, global = true, value_name = "PROGRAM", help_heading = "Global options")]
    engine: Option<PathBuf>,

    /// Use the models in this folder (or set `LASTMILE_MODELS`)
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    models: Option<PathBuf>,

    /// Run the network on `auto`, `cpu` or `cuda:0`
    #[arg(long, global = true, value_name = "DEVICE", help_heading = "Global options")]
    device: Option<String>,

    /// Run the network on this many threads; 0 is one for each core
    #[arg(long, global = true, value_name = "N", help_heading = "Global options")]
    threads: Option<u32>,
}

#[derive(Subcommand)]
enum Command {
    /// Say what does not parse, and where; starts no engine
    #[command(after_help = check::EXAMPLES)]
    Check(check::CheckArgs),
    /// Repair files that do not parse: show, print as a diff, or write
    Fix(fix::FixArgs),
    /// Repair texts in a batch: one JSON object a line in, one a line out
    Repair(repair::RepairArgs),
    /// Find the edit of a file that makes failing tests pass
    Test(test::TestArgs),
    /// Show how a repair was found: each denoising step, its edit, its rate
    Explain(explain::ExplainArgs),
    /// Judge what is being committed, as git's hook or for pre-commit and prek
    Hook(hook::HookArgs),
    /// Judge the changed files of a pull request, and post repairs as suggestions
    #[command(after_help = pr::EXAMPLES)]
    Pr(pr::PrArgs),
    /// Take the suggestions that the hook saved
    Apply(apply::ApplyArgs),
    /// Put git's hook in place
    Install(install::InstallArgs),
    /// Take the hook away and put back what was there
    Uninstall,
    /// Say what was found: settings, engine, models
    Doctor,
    /// List the language packs: what they recognise, who judges, how good the model is
    Languages(languages::LanguagesArgs),
    /// Print the settings in force
    Config(doctor::ConfigArgs),
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExitStatus {
    Clean,
    FaultsRemain,
    Failed,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        ExitCode::from(match status {
            ExitStatus::Clean => 0,
            ExitStatus::FaultsRemain => 1,
            ExitStatus::Failed => 2,
        })
    }
}

/// How results are shown.
#[derive(Clone, Copy, ValueEnum)]
enum FormatArg {
    /// Excerpts and diffs for people
    Human,
    /// One JSON object a line
    Json,
    /// One SARIF 2.1.0 document
    Sarif,
    /// Annotations in a GitHub workflow
    Github,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Human => Format::Human,
            FormatArg::Json => Format::Json,
            FormatArg::Sarif => Format::Sarif,
            FormatArg::Github => Format::Github,
        }
    }
}

/// Runs the program and gives its exit code.
///
/// On a thread with a stack of its own: how deep judges may go must not depend on the system.
pub fn main() -> ExitCode {
    // Before anything else: a process of a sandbox must have one thread.
    let args: Vec<_> = env::args_os().skip(1).collect();
    if let Some((command, args)) = args.split_first()
        && command == sandbox::COMMAND
    {
        return sandbox::init(args);
    }
    let cli = Cli::parse();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(|| answer(cli));
    let answer = thread.map(std::thread::JoinHandle::join);
    match answer {
        Ok(Ok(code)) => code,
        // A panic has told about itself.
        Ok(Err(_)) => ExitStatus::Failed.into(),
        Err(error) => {
            session::complain(&format!("no thread could be started: {error}"));
            ExitStatus::Failed.into()
        }
    }
}

fn answer(cli: Cli) -> ExitCode {
    match run(cli) {
        Ok(status) => status.into(),
        Err(error) => {
            session::complain(&format!("{error:#}"));
            ExitStatus::Failed.into()
        }
    }
}

fn run(cli: Cli) -> Result<ExitStatus> {
    session::stop_between_writes()?;
    let global = &cli.global;
    match cli.command {
        Command::Check(args) => check::check(&args, &Session::new(global)?),
        Command::Fix(args) => fix::fix(&args, &mut Session::new(global)?),
        Command::Repair(args) => repair::repair(&args, &mut Session::new(global)?),
        Command::Test(args) => test::test(&args, &mut Session::new(global)?),
        Command::Explain(args) => explain::explain(&args, &mut Session::new(global)?),
        Command::Hook(args) => hook::hook(&args, &mut Session::new(global)?),
        Command::Pr(args) => pr::pr(&args, &mut Session::new(global)?),
        Command::Apply(args) => apply::apply(&args),
        Command::Install(args) => install::install(&args),
        Command::Uninstall => install::uninstall(),
        Command::Doctor => doctor::doctor(&mut Session::new(global)?),
        Command::Languages(args) => languages::languages(&args, &Session::new(global)?),
        Command::Config(args) => doctor::config(&args, global),
        Command::Completions { shell } => completions(shell),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lastmile", &mut script);
    session::print_bytes(&script)?;
    Ok(ExitStatus::Clean)
}
