//! Files of Python as the dotted names that they are imported by.

use std::collections::HashMap;
use std::path::Path;

/// Which files a dotted name may mean.
///
/// The folders that Python searches are not known here, so a file is found by its full name and by every end of it:
/// `src/shop/cart.py` as `src.shop.cart`, `shop.cart` and `cart`.
#[derive(Clone, Debug, Default)]
pub struct Modules {
    by_name: HashMap<String, Vec<String>>,
}

impl Modules {
    /// Paths are relative and use `/`. Those that are not Python's are left out.
    pub fn new<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
        for path in paths {
            let Some(name) = dotted(path) else { continue };
            let ends = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
            for end in ends.chain([name.as_str()]) {
                by_name.entry(end.to_owned()).or_default().push(path.to_owned());
            }
        }
        Self { by_name }
    }

    /// The files that may be called `name`.
    pub fn named(&self, name: &str) -> &[String] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// Parts a dotted name into the one file that it starts with and what is inside of that file; `None` when no
    /// file fits, or several do.
    pub fn locate<'n>(&self, name: &'n str) -> Option<(&str, &'n str)> {
        let ends = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
        let ends: Vec<usize> = ends.collect();
        let end = ends.into_iter().rev().find(|end| !self.named(&name[..*end]).is_empty())?;
        let files = self.named(&name[..end]);
        let exact = files.iter().find(|file| dotted(file).as_deref() == Some(&name[..end]));
        let only = || if files.len() == 1 { files.first() } else { None };
        let file = exact.or_else(only)?;
        Some((file, name[end..].trim_start_matches('.')))
    }
}

/// Whether a file is one of Python's, to be imported or run.
pub(crate) fn is_python(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "py" || extension == "pyw")
}

/// The full dotted name of a file of Python; `None` for other files.
pub(crate) fn dotted(path: &str) -> Option<String> {
    let stem = path.strip_suffix(".py").or_else(|| path.strip_suffix(".pyi"))?;
    let stem = stem.strip_suffix("/__init__").unwrap_or(stem);
    Some(stem.trim_start_matches("./").replace('/', "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(files: &[&str], name: &str, expected: Option<(&str, &str)>) {
        assert_eq!(Modules::new(files.iter().copied()).locate(name), expected);
    }

    #[test]
    fn names_are_found_by_their_ends() {
        check(&["tests/test_u.py"], "tests.test_u.C.test_a", Some(("tests/test_u.py", "C.test_a")));
        check(&["tests/test_u.py"], "test_u.C.test_a", Some(("tests/test_u.py", "C.test_a")));
        check(&["tests/test_u.py"], "test_u", Some(("tests/test_u.py", "")));
        check(&["pkg/__init__.py"], "pkg.C", Some(("pkg/__init__.py", "C")));
        check(&["a/test_x.py", "b/test_x.py"], "test_x.C", None);
        check(&["test_x.py", "b/test_x.py"], "test_x.C", Some(("test_x.py", "C")));
        check(&["tests/data.txt"], "tests.data", None);
    }
}
