//! Has the tests in a copy tell which lines of a file each of them runs, and reads what they told.
//!
//! `trace.py` does it inside of Python: pytest loads it as a plugin, and any Python loads `trace_site.py`, which wraps
//! the tests of unittest.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::tree::{TreeError, read_result};
use crate::spectrum::MAX_BYTES;

/// At the top of the copy. Neither pytest nor unittest looks for tests in it.
const FOLDER: &str = ".lastmile-trace";
const PYTHON: [(&str, &str); 2] =
    [("lastmile_trace.py", include_str!("trace.py")), ("sitecustomize.py", include_str!("trace_site.py"))];
/// Each process adds a `.` and its number.
const RESULTS: &str = "lines.json";
const SEPARATOR: char = if cfg!(windows) { ';' } else { ':' };

/// Puts what traces the file `path` into the copy `tree`; returns the variables to set for the tests, besides or
/// instead of those in `env`.
pub fn prepare(
    tree: &Path,
    path: &str,
    env: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, TreeError> {
    let folder = tree.join(FOLDER);
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |reason| TreeError::Write { path, reason }
    };
    // A project may have it by accident; mostly it is not there.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).map_err(fail(&folder))?;
    for (name, text) in PYTHON {
        fs::write(folder.join(name), text).map_err(fail(&folder.join(name)))?;
    }
    let shown = |path: &Path| path.to_string_lossy().into_owned();
    let mut python_path = shown(&folder);
    if let Some(others) = env.get("PYTHONPATH").filter(|others| !others.is_empty()) {
        python_path = format!("{python_path}{SEPARATOR}{others}");
    }
    let mut plugins = "lastmile_trace".to_owned();
    if let Some(others) = env.get("PYTEST_PLUGINS").filter(|others| !others.is_empty()) {
        plugins = format!("{others},{plugins}");
    }
    let variables = [
        ("PYTHONPATH", python_path),
        ("PYTEST_PLUGINS", plugins),
        ("LASTMILE_TRACE_FILE", shown(&tree.join(path))),
        ("LASTMILE_TRACE_OUT", shown(&folder.join(RESULTS))),
    ];
    Ok(variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// What each process of the tests told, in any number of files. They must have ended before.
pub fn results(tree: &Path) -> Result<Vec<Vec<u8>>, TreeError> {
    let folder = tree.join(FOLDER);
    let fail = |reason| TreeError::Read { path: folder.clone(), reason };
    // Tests may have put a link in its place.
    match fs::symlink_metadata(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        about if about.as_ref().is_ok_and(fs::Metadata::is_dir) => {}
        about => {
            about.map_err(fail)?;
            return Err(TreeError::NotPlain { path: folder, limit: MAX_BYTES });
        }
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        let of_process = name.to_str().and_then(|name| name.strip_prefix(RESULTS)?.strip_prefix('.'));
        if of_process.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
            names.push(format!("{FOLDER}/{}", name.to_string_lossy()));
        }
    }
    names.sort();
    let (mut parts, mut left) = (Vec::new(), MAX_BYTES);
    for name in names {
        let part = read_result(tree, &name, left)?.unwrap_or_default();
        left -= part.len() as u64;
        parts.push(part);
    }
    Ok(parts)
}
