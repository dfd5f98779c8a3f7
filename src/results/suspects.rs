//! Where a failure passed through the project: the lines of its tracebacks that lie in it.

/// One line of the project in a traceback.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frame {
    /// Relative, with `/`.
    pub file: String,
    /// From 1.
    pub line: usize,
}

/// The frames of a failure's text that `is_ours` takes for the project's, in the order they are told: where Python
/// tells one traceback, the deepest is the last.
///
/// `tree` is the folder the tests ran in. Both Python's own tracebacks and those of pytest are read.
pub fn suspects(text: &str, tree: &str, is_ours: impl Fn(&str) -> bool) -> Vec<Frame> {
    let tree = tree.replace('\\', "/");
    let mut frames: Vec<Frame> = Vec::new();
    for line in text.lines() {
        let Some((path, number)) = of_python(line).or_else(|| of_pytest(line)) else { continue };
        let path = path.replace('\\', "/");
        let inside = path.strip_prefix(&tree).and_then(|rest| rest.strip_prefix('/'));
        let file = inside.unwrap_or(&path).trim_start_matches("./");
        let frame = Frame { file: file.to_owned(), line: number };
        if is_ours(file) && frames.last() != Some(&frame) {
            frames.push(frame);
        }
    }
    frames
}

/// `  File "shop/cart.py", line 3, in total`, at any depth: pytest puts an `E` before it, groups of exceptions a `|`.
fn of_python(line: &str) -> Option<(&str, usize)> {
    let (before, rest) = line.split_once("File \"")?;
    if !before.chars().all(|c| matches!(c, ' ' | 'E' | '|' | '+')) {
        return None;
    }
    let (path, rest) = rest.split_once("\", line ")?;
    Some((path, leading_number(rest)?))
}

/// `shop/cart.py:3: in total`, or with the name of the exception at the end.
fn of_pytest(line: &str) -> Option<(&str, usize)> {
    let end = line.find(".py:")? + ".py".len();
    let number = &line[end + 1..];
    let n_digits = number.bytes().take_while(u8::is_ascii_digit).count();
    if line.starts_with([' ', '>']) || !number[n_digits..].starts_with(':') {
        return None;
    }
    Some((&line[..end], leading_number(number)?))
}

fn leading_number(text: &str) -> Option<usize> {
    let n_digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..n_digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, usize)]) {
        let ours = ["shop/cart.py", "tests/test_a.py", "my shop/é.py"];
        let found = suspects(text, "/tmp/copy", |path| ours.contains(&path));
        let found: Vec<_> = found.iter().map(|frame| (frame.file.as_str(), frame.line)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn tracebacks_of_python() {
        check(
            "Traceback (most recent call last):\n  File \"/usr/lib/python3/unittest/case.py\", line 59, in run\n    x\n  \
             File \"/tmp/copy/tests/test_a.py\", line 9, in test_e\n  File \"/tmp/copy/shop/cart.py\", line 2, in f\n",
            &[("tests/test_a.py", 9), ("shop/cart.py", 2)],
        );
        check("  | File \"shop/cart.py\", line 7, in f\n", &[("shop/cart.py", 7)]);
        check("print('File \"shop/cart.py\", line 7')\n", &[]);
    }

    #[test]
    fn tracebacks_of_pytest() {
        check(
            "tests/test_a.py:5: \n_ _ _ _\n\nx = 0\n>       return 1/x\nE   ZeroDivisionError\n\n\
             shop/cart.py:2: ZeroDivisionError",
            &[("tests/test_a.py", 5), ("shop/cart.py", 2)],
        );
        check(
            "/tmp/copy/tests/test_a.py:1: in <module>\n    from x import y\n\
             E     File \"/tmp/copy/shop/cart.py\", line 3\nE       def f(:\nE   SyntaxError: invalid syntax",
            &[("tests/test_a.py", 1), ("shop/cart.py", 3)],
        );
        check("my shop/é.py:12: in f\nmy shop/é.py:12: KeyError", &[("my shop/é.py", 12)]);
        check("/usr/lib/shop/cart.py:2: in f\nshop/cart.py:x: in f\nshop/cart.py:\n", &[]);
    }
}
