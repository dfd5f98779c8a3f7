//! `lastmile doctor` and `lastmile config`: what was found and what is in force.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::session::{Session, complain, complain_of_engine, load_config, print};
use super::{ExitStatus, Global};
use crate::config::DEFAULTS;
use crate::io::engine::{Engine, find_models, find_program};
use crate::io::files;
use crate::io::pwsh::find_pwsh;
use crate::lang::LANGUAGES;
use crate::pack::Manifest;
use crate::ports::{Denoiser as _, EngineError};
use crate::protocol::{Aim, Request};

#[derive(Args)]
pub(super) struct ConfigArgs {
    /// Print the defaults and what each setting means
    #[arg(long)]
    default: bool,
}

pub(super) fn config(args: &ConfigArgs, global: &Global) -> Result<ExitStatus> {
    if args.default {
        print(DEFAULTS)?;
        return Ok(ExitStatus::Clean);
    }
    let (config, path) = load_config(global)?;
    let source = path.map_or("defaults".to_owned(), |path| format!("defaults, {}", path.display()));
    print(&format!("# From: {source}, environment, flags\n{}", toml::to_string(&config)?))?;
    Ok(ExitStatus::Clean)
}

pub(super) fn doctor(session: &mut Session) -> Result<ExitStatus> {
    let settings = session.engine.settings().clone();
    let shown = |path: PathBuf| path.display().to_string();
    let none = || "none".to_owned();
    let mut lines = vec![
        ("lastmile", env!("CARGO_PKG_VERSION").to_owned()),
        ("settings", session.config_path.clone().map_or_else(|| "defaults".to_owned(), shown)),
        ("engine", find_program(settings.program.as_deref()).map_or_else(|_| none(), shown)),
        ("models", find_models(settings.models.as_deref()).map_or_else(|_| none(), shown)),
        ("pwsh", find_pwsh(&session.config.powershell.pwsh).map_or_else(none, |program| pwsh(&program))),
        ("sandbox", sandbox(session)),
    ];
    let greeting = session.engine.greeting();
    let mut failed = Vec::new();
    if let Ok(greeting) = &greeting {
        lines.push(("engine version", greeting.engine.clone()));
        lines.push(("device", greeting.device.clone()));
        for language in LANGUAGES {
            let has_weights = greeting.languages.iter().any(|name| name == language.name());
            let tried = if has_weights { try_out(language.name(), &mut session.engine) } else { Ok(()) };
            let state = match &tried {
                Err(_) => "fails",
                Ok(()) if has_weights => "ready",
                Ok(()) => "no weights",
            };
            lines.push((language.name(), state.to_owned()));
            failed.extend(tried.err());
        }
    }
    for (name, value) in lines {
        print(&format!("{name:15} {value}\n"))?;
    }
    let models = find_models(settings.models.as_deref());
    let wrong: Vec<String> = models.iter().flat_map(|models| wrong_packs(models)).collect();
    for message in wrong.iter().cloned().chain(failed.iter().map(ToString::to_string)) {
        complain(&message);
    }
    let is_well = wrong.is_empty() && failed.is_empty();
    match greeting {
        Ok(greeting) if !greeting.languages.is_empty() && is_well => Ok(ExitStatus::Clean),
        Ok(_) => Ok(ExitStatus::Failed),
        Err(error) => {
            complain_of_engine(&error);
            Ok(ExitStatus::Failed)
        }
    }
}

/// Has the engine read its weights for a language and use them once.
fn try_out(lang: &str, engine: &mut Engine) -> Result<(), EngineError> {
    let text = "(".to_owned();
    let request = Request {
        id: 0,
        lang: lang.to_owned(),
        start: 0,
        end: text.len(),
        text,
        aim: Aim::Parses,
        target: None,
        k: 1,
        budget_ms: 1000,
        seed: 0,
        trace: false,
    };
    engine.repair(&request).map(drop)
}

/// What guards tests here, and why nothing stronger does.
fn sandbox(session: &Session) -> String {
    match session.guarded() {
        Ok(guarded) => {
            let passed_over = guarded.sandbox.passed_over().iter();
            let reasons = passed_over.map(|one| format!("no {}: {}", one.level, one.reason));
            let reasons: Vec<String> = reasons.collect();
            let level = guarded.sandbox.level();
            if reasons.is_empty() { level.to_string() } else { format!("{level} ({})", reasons.join("; ")) }
        }
        Err(error) => format!("none: {error:#}"),
    }
}

/// PowerShell's own parser; one that is named by its place and is not there has no opinion.
fn pwsh(program: &Path) -> String {
    let is_gone = program.components().count() > 1 && !program.is_file();
    format!("{}{}", program.display(), if is_gone { " (is not there)" } else { "" })
}

/// What is wrong with the packs in a folder, as the engine would say it when it is asked.
fn wrong_packs(models: &Path) -> Vec<String> {
    let packs = LANGUAGES.iter().map(|language| models.join(language.name()));
    // Some languages have weights of their own for where tests fail.
    packs
        .flat_map(|pack| [pack.join("tests"), pack])
        .filter_map(|pack| check_pack(&pack).err().map(|error| format!("`{}`: {error:#}", pack.display())))
        .collect()
}

fn check_pack(pack: &Path) -> Result<()> {
    let Some(text) = files::read_text(&pack.join("model.toml"))? else { return Ok(()) };
    let manifest = Manifest::of_model(&text).context("model.toml")?;
    for name in manifest.names() {
        let bytes = std::fs::read(pack.join(name)).with_context(|| format!("`{name}` cannot be read"))?;
        manifest.check(name, &bytes)?;
    }
    Ok(())
}
