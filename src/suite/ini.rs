//! The few keys of configuration files that say where tests are.

/// The value of a key in one section of an INI file, with its continuation lines; `None` when it is not there.
pub(crate) fn ini_value(text: &str, section: &str, key: &str) -> Option<String> {
    let mut value: Option<String> = None;
    let is_comment = |line: &&str| line.trim_start().starts_with(['#', ';']);
    for line in ini_section(text, section)?.filter(|line| !is_comment(line)) {
        let is_continued = line.starts_with([' ', '\t']);
        match &mut value {
            Some(value) if is_continued => {
                value.push(' ');
                value.push_str(line.trim());
            }
            Some(_) if line.trim().is_empty() => {}
            Some(_) => break,
            None => value = key_value(line, key).map(str::to_owned),
        }
    }
    value
}

pub(crate) fn has_section(text: &str, section: &str) -> bool {
    ini_section(text, section).is_some()
}

/// The lines of a section.
fn ini_section<'t>(text: &'t str, section: &str) -> Option<impl Iterator<Item = &'t str>> {
    let header = format!("[{section}]");
    let mut lines = text.lines();
    lines.find(|line| line.trim_end() == header)?;
    Some(lines.take_while(|line| !line.starts_with('[')))
}

fn key_value<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    let (name, value) = line.split_once(['=', ':'])?;
    (name.trim_end() == key).then(|| value.trim())
}

/// A table of a TOML file by its dotted name; `None` when it is not there or the file is wrong.
pub(crate) fn toml_table(text: &str, name: &str) -> Option<toml::Table> {
    let mut table: toml::Table = text.parse().ok()?;
    for part in name.split('.') {
        let toml::Value::Table(inner) = table.remove(part)? else { return None };
        table = inner;
    }
    Some(table)
}

/// The words of a value that is a list or a string of words.
pub(crate) fn toml_words(value: &toml::Value) -> Vec<String> {
    match value {
        toml::Value::String(words) => words.split_whitespace().map(str::to_owned).collect(),
        toml::Value::Array(values) => {
            values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, section: &str, expected: Option<&str>) {
        assert_eq!(ini_value(text, section, "python_files").as_deref(), expected);
    }

    #[test]
    fn values_are_found_in_their_section() {
        check("[pytest]\npython_files = a.py b.py\n", "pytest", Some("a.py b.py"));
        check(
            "[pytest]\npython_files =\n    a.py\n    # why\n    b.py\nx = 1\n",
            "pytest",
            Some(" a.py b.py"),
        );
        check("[tool:pytest]\nx=1\npython_files: a.py\n[other]\n", "tool:pytest", Some("a.py"));
        check("[other]\npython_files = a.py\n", "pytest", None);
        check("[pytest]\n[other]\npython_files = a.py\n", "pytest", None);
        assert!(has_section("x\n[pytest] \n", "pytest") && !has_section("# [pytest]\n", "pytest"));
    }

    #[test]
    fn tables_are_found_by_name() {
        let text = "[tool.pytest.ini_options]\npython_files = ['a.py', 'b.py']\ntestpaths = 'x y'\n";
        let table = toml_table(text, "tool.pytest.ini_options").expect("it is there");
        assert_eq!(toml_words(&table["python_files"]), ["a.py", "b.py"]);
        assert_eq!(toml_words(&table["testpaths"]), ["x", "y"]);
        assert_eq!(toml_table("[tool.pytest", "tool.pytest"), None);
    }
}
