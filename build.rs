//! Tells programs built with the feature `engine` where to look for libtorch when they start.
//!
//! Which libraries a program needs comes from `tch`; this adds only folders to search, so that nobody has to set
//! `LD_LIBRARY_PATH`. Without the feature it does nothing.

#![expect(clippy::disallowed_methods, reason = "cargo speaks to a build script through the environment")]

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBTORCH");

    let has_engine = env::var_os("CARGO_FEATURE_ENGINE").is_some();
    let origin = match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("macos") => "@loader_path",
        Ok("windows") => return, // looks beside the program and in PATH
        _ => "$ORIGIN",
    };
    if !has_engine {
        return;
    }

    // An unpacked release archive, then an installed prefix.
    for folder in ["lib", "../lib/lastmile"] {
        search("cargo::rustc-link-arg-bin=lastmile-engine", &format!("{origin}/{folder}"));
    }
    // The checkout. Unit tests of the library load libtorch too, and only the plain form reaches them.
    if let Ok(libtorch) = env::var("LIBTORCH") {
        search("cargo::rustc-link-arg", &format!("{libtorch}/lib"));
    }
}

/// `-Xlinker` and not `-Wl,`, which would cut a folder's name at a comma.
fn search(instruction: &str, folder: &str) {
    for argument in ["-rpath", folder] {
        println!("{instruction}=-Xlinker");
        println!("{instruction}={argument}");
    }
}
