//! What a project's own environment holds, without running anything of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::tree::{Survey, is_environment};
use crate::suite::discover::{Listing, wanted};

/// Larger files are not read to find out how tests are run, or what imports what.
const MAX_TEXT: u64 = 1 << 20;

/// What conventions want to know of a project. `tree` is a copy of it, which holds `others` besides what is on disk.
pub fn look<'p>(survey: &'p Survey, others: impl Iterator<Item = &'p Path>, tree: &Path) -> Listing {
    let paths: BTreeSet<&Path> = survey.files.iter().map(PathBuf::as_path).chain(others).collect();
    let files: Vec<String> = paths.into_iter().filter_map(slashed).collect();
    let wanted = wanted(&files).into_iter().map(str::to_owned);
    let texts = wanted.filter_map(|file| Some((file.clone(), text(&tree.join(file))?))).collect();
    let mut listing = Listing { files, texts, ..Listing::default() };
    let python = survey.environments.iter().find_map(|folder| Some((folder, python(&survey.root, folder)?)));
    if let Some((folder, python)) = python {
        listing.python = Some(python);
        let packages = packages(&survey.root.join(folder));
        listing.has_pytest = Some(packages.iter().any(|folder| folder.join("pytest").is_dir()));
        listing.import_roots = packages.iter().flat_map(|folder| in_place(folder, &survey.root)).collect();
    }
    listing
}

/// What lies outside of a copy and tests may read: environments, and the Pythons that they were made from.
///
/// Where an environment lies may be the project's word, so that links to anything else, and folders around the project or
/// the user's home, are none.
pub fn readable(survey: &Survey) -> Vec<PathBuf> {
    let mut readable = Vec::new();
    let own = [Some(survey.root.clone()), env::home_dir()].into_iter().flatten();
    let own: Vec<PathBuf> = own.filter_map(|own| own.canonicalize().ok()).collect();
    let is_around = |place: &Path| own.iter().any(|own| own.starts_with(place));
    for folder in &survey.environments {
        let folder = survey.root.join(folder);
        let Ok(place) = folder.canonicalize() else { continue };
        if !is_environment(&place) || is_around(&place) {
            continue;
        }
        let python = home(&folder).and_then(|home| home.canonicalize().ok());
        readable.extend(python.filter(|home| !is_around(home)));
        readable.push(folder);
    }
    readable.sort();
    readable.dedup();
    readable
}

/// A small text file; `None` for any other.
pub(super) fn text(path: &Path) -> Option<String> {
    let about = fs::metadata(path).ok()?;
    if !about.is_file() || about.len() > MAX_TEXT {
        return None;
    }
    // Imports and settings are ASCII, so a file in another encoding is read well enough.
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned())
}

/// A path with `/`; `None` when it is not UTF-8.
pub(super) fn slashed(path: &Path) -> Option<String> {
    Some(path.to_str()?.replace(std::path::MAIN_SEPARATOR, "/"))
}

fn python(root: &Path, environment: &Path) -> Option<String> {
    let places = ["bin/python", "Scripts/python.exe"];
    let place = places.into_iter().find(|place| root.join(environment).join(place).exists())?;
    Some(format!("{{root}}/{}/{place}", slashed(environment)?))
}

/// The folders that an environment installs packages into.
fn packages(environment: &Path) -> Vec<PathBuf> {
    let versions = fs::read_dir(environment.join("lib")).into_iter().flatten().flatten();
    let unix = versions.map(|entry| entry.path().join("site-packages"));
    unix.chain([environment.join("Lib/site-packages")]).filter(|folder| folder.is_dir()).collect()
}

/// The Python that an environment was made from: `home` in `pyvenv.cfg` is the folder of its programs.
fn home(environment: &Path) -> Option<PathBuf> {
    let config = text(&environment.join("pyvenv.cfg"))?;
    let home = config.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "home").then(|| PathBuf::from(value.trim()))
    })?;
    let is_python = ["python3", "python", "python.exe"].iter().any(|name| home.join(name).is_file());
    home.parent().filter(|_| is_python).map(Path::to_owned)
}

/// Folders of the project that an environment imports packages from, relative: those of `pip install -e`.
///
/// They stand in `.pth` files, one a line, or in the tables of setuptools' finders, as `{'pkg': '/home/me/src/pkg'}`.
fn in_place(packages: &Path, root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let entries = fs::read_dir(packages).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_finder = name.starts_with("__editable__") && name.ends_with("_finder.py");
        if !is_finder && path.extension().is_none_or(|extension| extension != "pth") {
            continue;
        }
        let text = text(&path).unwrap_or_default();
        let lines = text.lines().flat_map(|line| line.split(['\'', '"'])).map(Path::new);
        for inside in lines.filter_map(|line| line.strip_prefix(root).ok()) {
            let folder = if is_finder { inside.parent().unwrap_or(inside) } else { inside };
            found.extend(slashed(folder));
        }
    }
    found.dedup();
    found
}
