//! `lastmile-engine serve`: a greeting, then one answer for every request, until stdin closes.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use tch::Device;

use super::denoise::{Denoiser, SearchLimits};
use super::model::fast_kind;
use super::weights::load_pack;
use crate::lang::{self, LANGUAGES};
use crate::protocol::{Aim, Greeting, Proposal, Request, Response, VERSION};

/// Packs by language, read when first asked for.
pub struct Server {
    models: PathBuf,
    device: Device,
    limits: SearchLimits,
    packs: HashMap<String, Denoiser>,
}

impl Server {
    pub fn new(models: &Path, device: Device, limits: SearchLimits) -> Self {
        Self { models: models.to_owned(), device, limits, packs: HashMap::new() }
    }

    /// Speaks JSON lines until `input` ends.
    pub fn serve(&mut self, input: impl BufRead, mut output: impl Write) -> Result<()> {
        let languages = LANGUAGES
            .iter()
            .flat_map(|language| [language.name().to_owned(), format!("{}/tests", language.name())]);
        let greeting = Greeting {
            lastmile: VERSION,
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            device: match self.device {
                Device::Cuda(n) => format!("cuda:{n}"),
                _ => "cpu".to_owned(),
            },
            languages: languages
                .filter(|name| self.models.join(name).join("weights.safetensors").exists())
                .collect(),
        };
        writeln!(output, "{}", serde_json::to_string(&greeting)?)?;
        output.flush()?;
        for line in input.lines() {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            writeln!(output, "{}", serde_json::to_string(&self.answer(&line))?)?;
            output.flush()?;
        }
        Ok(())
    }

    fn answer(&mut self, line: &str) -> Response {
        let start = Instant::now();
        let request: Result<Request, _> = serde_json::from_str(line);
        let id = request.as_ref().map_or(0, |request| request.id);
        let mut response = Response { id, ..Response::default() };
        match request {
            Err(error) => response.refused = Some(error.to_string()),
            // The last panic boundary: a bad shape answers this request and leaves the next alone.
            Ok(request) => match catch_unwind(AssertUnwindSafe(|| self.repair(&request))) {
                Ok(Ok(Ok(candidates))) => response.candidates = candidates,
                Ok(Ok(Err(reason))) => response.refused = Some(reason),
                Ok(Err(error)) => response.failed = Some(format!("{error:#}")),
                Err(_) => response.failed = Some("the network failed".to_owned()),
            },
        }
        response.ms = start.elapsed().as_secs_f64() * 1e3;
        response
    }

    /// Candidates, or why the request cannot be answered; an error when none like it could be.
    fn repair(&mut self, request: &Request) -> Result<Result<Vec<Proposal>, String>> {
        Ok(self.pack(&request.pack())?.repair(request))
    }

    /// The pack of a language, or that for its tests.
    pub fn pack(&mut self, name: &str) -> Result<&Denoiser> {
        if !self.packs.contains_key(name) {
            let (lang, aim, limits) = match name.strip_suffix("/tests") {
                Some(lang) => (lang, Aim::Tests, self.limits.for_tests()),
                None => (name, Aim::Parses, self.limits),
            };
            let language = lang::by_name(lang).ok_or_else(|| anyhow!("`{lang}` is not a language"))?;
            let folder = self.models.join(name);
            let (net, tokens) = load_pack(&folder, self.device)?;
            let kind = fast_kind(self.device);
            let noise = folder.join("noise.toml");
            let text =
                std::fs::read_to_string(&noise).with_context(|| format!("reading `{}`", noise.display()))?;
            let profile = toml::from_str(&text).with_context(|| format!("`{}`", noise.display()))?;
            let denoiser = Denoiser { language, net: net.cast(kind), tokens, profile, limits, aim };
            self.packs.insert(name.to_owned(), denoiser);
        }
        Ok(&self.packs[name])
    }
}
