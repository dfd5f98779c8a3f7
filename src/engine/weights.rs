//! Packs on disk: `model.toml`, `tokenizer.json` and `weights.safetensors` in f16.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::model::{ModelConfig, Net, layout};
use super::tokens::Tokens;
use crate::pack::Manifest;

/// The part of `model.toml` that the engine reads; other sections belong to the light side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PackFile {
    pub network: ModelConfig,
}

/// Reads a network and its vocabulary, in f32 on `device`.
pub fn load_pack(folder: &Path, device: Device) -> Result<(Net, Tokens)> {
    let path = folder.join("model.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading `{}`", path.display()))?;
    let pack: PackFile =
        toml::from_str(&text).with_context(|| format!("`{}` is not a model description", path.display()))?;
    check_files(folder, &text)?;
    let tokens = Tokens::load(&folder.join("tokenizer.json"), usize::try_from(pack.network.n_emit)?)?;
    if tokens.size() as i64 != pack.network.n_vocab {
        bail!(
            "`{}` has {} entries, `model.toml` says {}",
            folder.join("tokenizer.json").display(),
            tokens.size(),
            pack.network.n_vocab
        );
    }
    let net = load_weights(&folder.join("weights.safetensors"), pack.network, device)?;
    Ok((net, tokens))
}

/// Refuses files that another `model.toml` was written for: wrong weights of the right shape would
/// answer nonsense.
fn check_files(folder: &Path, model_toml: &str) -> Result<()> {
    let manifest = Manifest::of_model(model_toml)
        .with_context(|| format!("`{}`", folder.join("model.toml").display()))?;
    for name in manifest.names() {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).with_context(|| format!("reading `{}`", path.display()))?;
        manifest.check(name, &bytes).with_context(|| format!("`{}` cannot be used", folder.display()))?;
    }
    Ok(())
}

/// Reads weights, refusing a file that lacks one or has it in another shape.
pub fn load_weights(path: &Path, config: ModelConfig, device: Device) -> Result<Net> {
    let stored = Tensor::read_safetensors(path).with_context(|| format!("reading `{}`", path.display()))?;
    let mut stored: HashMap<String, Tensor> = stored.into_iter().collect();
    let weights = layout(&config).into_iter().map(|(name, shape, _)| {
        let weight = stored.remove(&name).with_context(|| format!("`{}` lacks `{name}`", path.display()))?;
        if weight.size() != shape {
            bail!("`{}`: `{name}` is {:?}, `model.toml` asks for {shape:?}", path.display(), weight.size());
        }
        Ok(weight.to_device(device).to_kind(Kind::Float))
    });
    Ok(Net::from_weights(config, weights.collect::<Result<_>>()?))
}

/// Writes weights in `kind`, into place only when complete.
pub fn save_weights(path: &Path, net: &Net, kind: Kind) -> Result<()> {
    let names = layout(&net.config).into_iter().map(|(name, ..)| name);
    let tensors: Vec<(String, Tensor)> =
        names.zip(net.weights()).map(|(name, weight)| (name, stored(weight, kind))).collect();
    save_tensors(path, &tensors)
}

/// Writes named tensors, into place only when complete.
pub fn save_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let part = path.with_extension("part");
    Tensor::write_safetensors(tensors, &part).with_context(|| format!("writing `{}`", part.display()))?;
    std::fs::rename(&part, path).with_context(|| format!("writing `{}`", path.display()))
}

fn stored(weight: &Tensor, kind: Kind) -> Tensor {
    weight.detach().to_device(Device::Cpu).to_kind(kind).contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(model_toml: &str, expected: Option<&str>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("weights.safetensors"), "abc").expect("it is ours");
        let error = check_files(folder.path(), model_toml).err().map(|error| format!("{error:#}"));
        match (error, expected) {
            (None, None) => {}
            (Some(error), Some(part)) if error.contains(part) => {}
            (error, expected) => panic!("{error:?} is not {expected:?}"),
        }
    }

    #[test]
    fn files_must_be_those_of_the_model() {
        let files = |name: &str, hash: &str| format!("[files]\n\"{name}\" = \"{hash}\"\n");
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        check(&files("weights.safetensors", of_abc), None);
        check(&files("weights.safetensors", "00"), Some("(SHA-256 ba7816bf…, expected 00…)"));
        check(&files("tokenizer.json", of_abc), Some("reading `"));
        check("[network]\n", None);
    }
}
