//! `lastmile languages`: the packs, who judges and what their models came to.

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;

use super::ExitStatus;
use super::session::{Session, print};
use crate::io::engine::find_models;
use crate::io::files;
use crate::lang::LANGUAGES;
use crate::pack::Manifest;

#[derive(Args)]
#[command(after_help = "Examples:
  lastmile languages          what is recognised, who judges, how good the model is
  lastmile languages --json   the same for programs, one object a line")]
pub(super) struct LanguagesArgs {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn languages(args: &LanguagesArgs, session: &Session) -> Result<ExitStatus> {
    let models = find_models(session.engine.settings().models.as_deref()).ok();
    for language in LANGUAGES {
        let path = models.as_ref().map(|models| models.join(language.name()).join("model.toml"));
        let text = path.as_deref().map(files::read_text).transpose()?.flatten();
        let manifest = text.as_deref().map(Manifest::of_model).transpose().with_context(|| {
            format!("`{}` is no description of a model", path.clone().unwrap_or_default().display())
        })?;
        let (has_weights, results) = match &manifest {
            Some(manifest) => (true, manifest.results().collect()),
            None => (false, Vec::new()),
        };
        if args.json {
            let results: serde_json::Map<_, _> =
                results.into_iter().map(|(rows, text)| (rows.to_owned(), json!(text))).collect();
            let value = json!({
                "name": language.name(), "extensions": language.extensions(), "judge": language.judge(),
                "model": has_weights, "results": results,
            });
            print(&format!("{value}\n"))?;
            continue;
        }
        let extensions: Vec<String> =
            language.extensions().iter().map(|extension| format!(".{extension}")).collect();
        print(&format!("{:12}{}\n", language.name(), extensions.join(" ")))?;
        print(&format!("{:12}judge: {}\n", "", language.judge()))?;
        if !has_weights {
            print(&format!("{:12}model: none; faults are found and not repaired\n", ""))?;
        }
        for (rows, text) in results {
            print(&format!("{:12}{rows}: {text}\n", ""))?;
        }
    }
    Ok(ExitStatus::Clean)
}
