//! Says whether the files of a language pack are those that its `model.toml` was written for.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The sections `[files]` of a `model.toml`, files beside it and their SHA-256 in hex, and `[results]`.
///
/// The run folder of a training has none yet, and nothing is checked there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Manifest {
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// What the model came to, by the rows that it was measured on.
    #[serde(default)]
    results: BTreeMap<String, String>,
}

/// A file of a pack that another model was meant to have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is not the file that `model.toml` was written for (SHA-256 {}, expected {}): \
     `git checkout` both, or unpack the release again",
    short(found),
    short(wanted)
)]
pub struct WrongFile {
    name: String,
    found: String,
    wanted: String,
}

impl Manifest {
    pub fn of_model(model_toml: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(model_toml)
    }

    /// Names of benchmark rows, and what was measured on them.
    pub fn results(&self) -> impl Iterator<Item = (&str, &str)> {
        self.results.iter().map(|(rows, text)| (rows.as_str(), text.as_str()))
    }

    /// The files to check, relative to the folder of the pack.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Compares the bytes of a file with what is known of it.
    pub fn check(&self, name: &str, bytes: &[u8]) -> Result<(), WrongFile> {
        let Some(wanted) = self.files.get(name) else { return Ok(()) };
        let found = format!("{:x}", Sha256::digest(bytes));
        if found.eq_ignore_ascii_case(wanted) {
            return Ok(());
        }
        Err(WrongFile { name: name.to_owned(), found, wanted: wanted.clone() })
    }
}

/// Enough of a hash for people to tell two apart.
fn short(hash: &str) -> String {
    format!("{}…", hash.chars().take(8).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(model_toml: &str, bytes: &[u8], expected: Option<&str>) {
        let manifest = Manifest::of_model(model_toml).expect("valid");
        let error = manifest.check("weights", bytes).err();
        assert_eq!(error.map(|error| error.to_string()).as_deref(), expected);
    }

    #[test]
    fn bytes_are_compared_with_what_the_model_names() {
        let model =
            "[files]\nweights = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"\n";
        check(model, b"abc", None);
        check(
            model,
            b"",
            Some(
                "`weights` is not the file that `model.toml` was written for (SHA-256 e3b0c442…, expected \
                 ba7816bf…): `git checkout` both, or unpack the release again",
            ),
        );
        check("[network]\nd_model = 8\n", b"", None);
        check("[files]\nother = \"00\"\n", b"", None);
        check(
            "[files]\nweights = \"é\"\n",
            b"abc",
            Some(
                "`weights` is not the file that `model.toml` was written for (SHA-256 ba7816bf…, expected é…): `git checkout` both, or unpack the release again",
            ),
        );
    }
}
