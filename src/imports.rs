//! Which tests can see a file: follows the imports of Python files, line by line.
//!
//! Files that do not parse are read too, and when in doubt, a file counts as imported: a test too many costs time, a
//! test too few would hide what a repair breaks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::suite::modules::Modules;

/// Words of a file that may import or run any other.
const DYNAMIC: [&str; 14] = [
    "importlib.import_module",
    "import_module(",
    "__import__(",
    "spec_from_file_location",
    "SourceFileLoader",
    "runpy",
    "subprocess",
    "os.system",
    "os.exec",
    "os.spawn",
    "pkgutil",
    "entry_points(",
    "exec(",
    "execfile(",
];

/// Which tests can see a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seeing {
    /// Any may.
    Unknown,
    Only(BTreeSet<String>),
}

/// What each file of a project imports.
#[derive(Clone, Debug)]
pub struct Imports {
    /// Files of the project that a file imports.
    uses: HashMap<String, BTreeSet<String>>,
    /// Files that may import anything.
    dynamic: BTreeSet<String>,
}

impl Imports {
    /// Reads all Python files of a project, by their relative paths.
    pub fn new(texts: &BTreeMap<String, String>) -> Self {
        let modules = Modules::new(texts.keys().map(String::as_str));
        let mut uses = HashMap::new();
        let mut dynamic = BTreeSet::new();
        for (path, text) in texts {
            let mut imported = conftests(path, texts);
            for name in names(path, text) {
                imported.extend(files_of(&name, &modules));
            }
            imported.remove(path);
            uses.insert(path.clone(), imported);
            if DYNAMIC.iter().any(|word| text.contains(word)) {
                dynamic.insert(path.clone());
            }
        }
        Self { uses, dynamic }
    }

    /// The files of `tests` that import `changed`, at however many removes.
    pub fn seeing(&self, changed: &str, tests: &[String]) -> Seeing {
        if !self.uses.contains_key(changed) {
            return Seeing::Unknown;
        }
        let targets = self.dynamic.iter().map(String::as_str).chain([changed]);
        let seeing = self.reaching(targets.collect());
        Seeing::Only(tests.iter().filter(|test| seeing.contains(test.as_str())).cloned().collect())
    }

    /// The files from which imports lead to one of `targets`, and those themselves.
    fn reaching<'s>(&'s self, targets: BTreeSet<&'s str>) -> BTreeSet<&'s str> {
        let mut users: HashMap<&str, Vec<&str>> = HashMap::new();
        for (file, used) in &self.uses {
            for used in used {
                users.entry(used).or_default().push(file);
            }
        }
        let mut open: Vec<&str> = targets.iter().copied().collect();
        let mut reaching = targets;
        while let Some(file) = open.pop() {
            for user in users.get(file).into_iter().flatten() {
                if reaching.insert(user) {
                    open.push(user);
                }
            }
        }
        reaching
    }
}

/// Files that pytest loads for every test beside or below them.
fn conftests(path: &str, texts: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folder = path;
    while !folder.is_empty() {
        folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
        let conftest =
            if folder.is_empty() { "conftest.py".to_owned() } else { format!("{folder}/conftest.py") };
        if texts.contains_key(&conftest) {
            found.insert(conftest);
        }
    }
    found
}

/// The files that importing a dotted name runs: the packages on the way, and the longest part that is a file.
fn files_of(name: &str, modules: &Modules) -> Vec<String> {
    let ends = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
    ends.flat_map(|end| modules.named(&name[..end]).to_vec()).collect()
}

/// The dotted names that a file may import; relative ones in full.
fn names(path: &str, text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in logical_lines(text) {
        for statement in line.split(';') {
            let mut words = statement.split_whitespace();
            match words.next() {
                Some("import") => {
                    let list = statement.trim_start().trim_start_matches("import");
                    names.extend(list.split(',').filter_map(first_word).map(str::to_owned));
                }
                Some("from") => names.extend(from_names(path, statement)),
                // `try: import x`, `if a: from x import y`.
                Some(_) => {
                    if let Some((_, inner)) = statement.split_once(": ")
                        && ["import ", "from "].iter().any(|word| inner.trim_start().starts_with(word))
                    {
                        names.extend(self::names(path, inner));
                    }
                }
                None => {}
            }
        }
        names.extend(quoted(&line));
    }
    names
}

fn first_word(text: &str) -> Option<&str> {
    text.split_whitespace().next()
}

/// `from .a import b, c as d` in `pkg/mod.py`: `pkg.a`, `pkg.a.b` and `pkg.a.c`.
fn from_names(path: &str, statement: &str) -> Vec<String> {
    let rest = statement.trim_start().trim_start_matches("from").trim_start();
    let Some((module, list)) = rest.split_once(" import").or_else(|| rest.split_once(" import(")) else {
        return Vec::new();
    };
    let module = module.trim();
    let n_dots = module.bytes().take_while(|byte| *byte == b'.').count();
    let mut base: Vec<&str> = Vec::new();
    if n_dots > 0 {
        base = path.split('/').collect();
        base.truncate(base.len().saturating_sub(n_dots));
    }
    base.extend(module[n_dots..].split('.').map(str::trim).filter(|part| !part.is_empty()));
    let base = base.join(".");
    let within = |name: &str| if base.is_empty() { name.to_owned() } else { format!("{base}.{name}") };
    let list = list.trim_matches(|c: char| c.is_whitespace() || c == '(' || c == ')');
    let mut names: Vec<String> = list.split(',').filter_map(first_word).map(within).collect();
    names.push(base);
    names
}

/// Lines with the rest of their brackets behind `import` joined to them, and those that end in a backslash.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or(line);
        let (part, is_continued) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match lines.last_mut() {
            Some(last) if is_open => {
                last.push(' ');
                last.push_str(part);
            }
            _ => lines.push(part.to_owned()),
        }
        let last = lines.last().map_or("", String::as_str);
        let is_list =
            last.split_once("import").is_some_and(|(_, list)| list.contains('(') && !list.contains(')'));
        // A bracket that is never closed, as in a broken file, ends with the list of names.
        let is_name = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_,()#*".contains(c);
        let only_names = last.split_once("import").is_some_and(|(_, list)| list.chars().all(is_name));
        is_open = is_continued || (is_list && only_names);
    }
    lines
}

/// Dotted names in quotes: `mock.patch("shop.cart.total")`, `pytest_plugins`, `INSTALLED_APPS`.
fn quoted(line: &str) -> impl Iterator<Item = String> {
    let is_name = |part: &str| {
        part.contains('.')
            && part.split('.').all(|word| {
                word.starts_with(|c: char| c.is_alphabetic() || c == '_')
                    && word.chars().all(|c| c.is_alphanumeric() || c == '_')
            })
    };
    let parts = line.split(['"', '\'']).filter(move |part| is_name(part));
    parts.map(str::to_owned).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the test files see `pkg/core.py`.
    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let mut texts: BTreeMap<String, String> =
            [("pkg/__init__.py", ""), ("pkg/core.py", "def f(:\n"), ("pkg/other.py", "")]
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .into();
        texts.extend(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
        let test_files: Vec<String> = texts.keys().filter(|path| path.contains("test_")).cloned().collect();
        let expected = expected.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(Imports::new(&texts).seeing("pkg/core.py", &test_files), Seeing::Only(expected));
    }

    #[track_caller]
    fn check_line(line: &str, sees: bool) {
        check(&[("tests/test_a.py", line)], if sees { &["tests/test_a.py"] } else { &[] });
    }

    #[test]
    fn every_way_to_import() {
        for line in [
            "import pkg.core",
            "import os, pkg.core as c",
            "from pkg import core",
            "from pkg import other, core as c",
            "from pkg.core import f",
            "from pkg . core import f",
            "from pkg import (\n    other,\n    core,\n)",
            "from pkg import(core)",
            "from pkg import \\\n    core",
            "import os; import pkg.core",
            "try: import pkg.core\nexcept ImportError: pass",
            "def t():\n    from pkg.core import f",
            "@mock.patch('pkg.core.f')",
            "pytest_plugins = [\"pkg.core\"]",
            "import core",
            "from core import f",
            "import subprocess",
            "importlib.import_module(name)",
            "from pkg import core  # why",
            "import pkg.core # x",
        ] {
            check_line(line, true);
        }
    }

    #[test]
    fn what_is_no_import_of_it() {
        for line in [
            "import os",
            "import pkg",
            "from pkg import other",
            "import pkg.other",
            "import corelib",
            "x = 'pkg.other.x'",
            "from importlib import metadata",
            "# import pkg.core",
            "",
            "from pkg import (other",
            "import (",
            "from",
        ] {
            check_line(line, false);
        }
    }

    #[test]
    fn imports_are_followed() {
        check(
            &[
                ("pkg/api.py", "from . import core\n"),
                ("pkg/sub/deep.py", "from ..api import g\n"),
                ("pkg/loop.py", "import pkg.loop2\n"),
                ("pkg/loop2.py", "import pkg.loop\n"),
                ("tests/test_api.py", "from pkg.api import g"),
                ("tests/test_deep.py", "import pkg.sub.deep"),
                ("tests/test_loop.py", "import pkg.loop"),
            ],
            &["tests/test_api.py", "tests/test_deep.py"],
        );
        // A package imports what its `__init__` does.
        check(
            &[("pkg/__init__.py", "from .core import f"), ("tests/test_a.py", "import pkg.other")],
            &["tests/test_a.py"],
        );
        check(&[("src/app/m.py", "import pkg.core"), ("test_m.py", "from app.m import x")], &["test_m.py"]);
    }

    #[test]
    fn tests_see_what_their_conftest_sees() {
        check(
            &[
                ("tests/conftest.py", "import pkg.core"),
                ("tests/unit/test_a.py", ""),
                ("other/test_b.py", ""),
            ],
            &["tests/unit/test_a.py"],
        );
        check(&[("conftest.py", "from pkg.core import f"), ("other/test_b.py", "")], &["other/test_b.py"]);
    }

    #[test]
    fn other_files_are_seen_by_who_knows_whom() {
        let imports = Imports::new(&BTreeMap::new());
        assert_eq!(imports.seeing("data.json", &["test_a.py".to_owned()]), Seeing::Unknown);
    }
}
