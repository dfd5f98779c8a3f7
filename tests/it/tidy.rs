//! The shape of the source: arrows between modules, generated files, what the light program links.

use std::fs;
use std::path::{Path, PathBuf};

use lastmile::pack::Manifest;

/// All Rust files below a folder.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("it is in the repository").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Lines of `files` that name one of `words`, but for comments.
fn lines_that_name(files: &[PathBuf], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for path in files {
        let text = fs::read_to_string(path).expect("it was listed");
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    found
}

fn is_below(path: &Path, folders: &[&str]) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}

#[test]
fn the_core_does_not_know_the_world() {
    let mut core = rust_files("src");
    core.retain(|path| {
        !is_below(path, &["src/io", "src/cli", "src/engine", "src/bin", "src/main.rs", "src/lib.rs"])
    });
    assert_eq!(
        lines_that_name(
            &core,
            &["crate::io", "crate::cli", "crate::engine", "std::fs", "std::process", "std::net"]
        ),
        Vec::<String>::new()
    );
}

#[test]
fn each_outside_crate_has_its_place() {
    let elsewhere = |place: &[&str]| {
        let mut files = rust_files("src");
        files.retain(|path| !is_below(path, place));
        files
    };
    let none = Vec::<String>::new();
    assert_eq!(lines_that_name(&elsewhere(&["src/io/git.rs"]), &["git2::"]), none);
    assert_eq!(
        lines_that_name(&elsewhere(&["src/engine", "src/bin"]), &[" tch::", "use tch", "tokenizers::"]),
        none
    );
    assert_eq!(
        lines_that_name(&elsewhere(&["src/io/files.rs", "src/io/tree.rs"]), &["use ignore", "ignore::Walk"]),
        none
    );
    assert_eq!(lines_that_name(&elsewhere(&["src/lang", "src/smell"]), &["ruff_python"]), none);
    let system = ["rustix::", " nix::", "landlock::", "seccompiler::"];
    assert_eq!(lines_that_name(&elsewhere(&["src/io/sandbox"]), &system), none);
    assert_eq!(lines_that_name(&rust_files("src/io"), &["anyhow"]), none);
    // Asynchronous is only what talks to GitHub.
    let github = ["src/io/github", "src/cli/pr"];
    assert_eq!(lines_that_name(&elsewhere(&github[..1]), &["octocrab::", "use octocrab", "use ring"]), none);
    assert_eq!(lines_that_name(&elsewhere(&github), &["tokio::", "async fn", ".await"]), none);
}

#[test]
fn the_protocol_knows_only_serde() {
    let protocol = [PathBuf::from("src/protocol.rs")];
    assert_eq!(
        lines_that_name(&protocol, &["use "]),
        ["src/protocol.rs: use serde::{Deserialize, Serialize};"]
    );
}

#[test]
fn every_test_file_is_listed() {
    let main = fs::read_to_string("tests/it/main.rs").expect("this binary");
    for path in rust_files("tests/it") {
        let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
        assert!(name == "main" || main.contains(&format!("mod {name};")), "{} is not listed", path.display());
    }
}

#[test]
fn the_manual_of_settings_is_up_to_date() {
    let expected = format!(
        "# Settings\n\nGenerated from `src/defaults.toml`, which `lastmile config --default` prints: \
         `UPDATE=1 cargo test settings` writes it anew.\n`lastmile config` prints what is in force.\n\n```toml\n{}```\n",
        lastmile::config::DEFAULTS,
    );
    if std::env::var_os("UPDATE").is_some() {
        fs::write("CONFIG.md", &expected).expect("it is in the repository");
    }
    let written = fs::read_to_string("CONFIG.md").expect("it is in the repository").replace("\r\n", "\n");
    assert_eq!(written, expected, "run `UPDATE=1 cargo test settings`");
}

#[test]
fn the_models_are_those_that_their_hashes_name() {
    for pack in fs::read_dir("models").expect("it is in the repository").flatten() {
        let Ok(text) = fs::read_to_string(pack.path().join("model.toml")) else { continue };
        let manifest = Manifest::of_model(&text).expect("it is valid");
        assert!(manifest.names().any(|name| name == "weights.safetensors"), "run `models/pack.py`");
        for name in manifest.names() {
            let bytes = fs::read(pack.path().join(name)).expect("it is in the repository");
            assert_eq!(manifest.check(name, &bytes), Ok(()), "run `models/pack.py`");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_light_program_does_not_link_libtorch() {
    let program = fs::read(env!("CARGO_BIN_EXE_lastmile")).expect("it was built");
    for name in [b"libtorch_cpu.so".as_slice(), b"libc10.so"] {
        assert!(memchr::memmem::find(&program, name).is_none());
    }
}
