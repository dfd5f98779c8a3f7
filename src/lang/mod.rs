//! The languages `lastmile` repairs: how to recognise, read, judge and damage each.

use std::ops::Range;
use std::path::Path;

use crate::lexeme::LexStyle;

mod braces;
pub mod excel;
pub mod powershell;
pub mod python;

/// A place where the judge of a language stumbled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Bytes of the text; may be empty at the place where something is missing.
    pub span: Range<usize>,
    pub message: String,
    /// A small number for the kind of message, an input of the model: 1 to [`Fault::CODES`] - 1.
    pub code: u8,
}

impl Fault {
    pub const CODES: u8 = 64;
}

/// The program that a `#!` line starts, without its folder; paths and arguments of other programs may hold any word.
fn program(line: &str) -> Option<&str> {
    let mut names = line.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    names.find(|name| *name != "env" && !name.starts_with('-') && !name.contains('='))
}

/// What the judge is told besides the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// The language version the project is written for, as (major, minor); newest when absent.
    pub target: Option<(u8, u8)>,
}

/// One language pack. The weights that belong to it lie in `models/<name>/`.
pub trait Language: Sync {
    /// The name in requests, reports and folders, such as `python`.
    fn name(&self) -> &'static str;

    /// Extensions of its files, without the dot.
    fn extensions(&self) -> &'static [&'static str];

    /// Who judges, in a few words.
    fn judge(&self) -> &'static str;

    /// Whether a program, as a `#!` line names it, is an interpreter of the language.
    fn is_run_by(&self, _program: &str) -> bool {
        false
    }

    /// Whether a file is of this language, by its path and its first bytes.
    fn recognises(&self, path: &Path, head: &[u8]) -> bool {
        if let Some(extension) = path.extension() {
            return self.extensions().iter().any(|known| extension.eq_ignore_ascii_case(known));
        }
        let first_line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        first_line.strip_prefix(b"#!").is_some_and(|line| {
            program(&String::from_utf8_lossy(line)).is_some_and(|program| self.is_run_by(program))
        })
    }

    /// Where `text` breaks the rules of the language, in order; empty when it is fine.
    fn faults(&self, text: &str, dialect: Dialect) -> Vec<Fault>;

    /// What a repair of a broken text may not leave behind: its faults, and what only looks fine
    /// because a newer version of the language gave an old mistake a meaning.
    fn flaws(&self, text: &str, dialect: Dialect) -> Vec<Fault> {
        self.faults(text, dialect)
    }

    /// Whether `after`, a repair of `before`, is fine and asks for no newer language version than
    /// `before` did.
    fn accepts(&self, before: &str, after: &str, dialect: Dialect) -> bool;

    /// Whether a repair reads something into the text that may as well mean something else: it is never safe.
    fn is_in_doubt(&self, _before: &str, _after: &str) -> bool {
        false
    }

    /// The part of `text` around a byte that is judged for itself, if a text is made of such parts.
    fn unit(&self, _text: &str, _byte: usize) -> Option<Range<usize>> {
        None
    }

    /// Whether `text` nests so deeply that the judge would run out of [`STACK`].
    fn is_too_deep(&self, _text: &str) -> bool {
        false
    }

    /// The encoding that a file names itself.
    fn declared_encoding(&self, _bytes: &[u8]) -> Option<String> {
        None
    }

    /// Whether files may be in UTF-16 with a byte order mark, or in the code page of some machine.
    fn has_windows_encodings(&self) -> bool {
        false
    }

    fn style(&self) -> &'static LexStyle;
}

/// The stack that a thread needs to judge any text that does not nest too deeply.
pub const STACK: usize = 256 * 1024 * 1024;

/// All packs, in the order in which they are asked to recognise a file.
pub static LANGUAGES: &[&dyn Language] = &[&python::Python, &powershell::PowerShell, &excel::Excel];

/// The language of that name, in any case.
pub fn by_name(name: &str) -> Option<&'static dyn Language> {
    LANGUAGES.iter().copied().find(|language| language.name().eq_ignore_ascii_case(name))
}

/// The language of a file, if it is one of ours.
pub fn of_file(path: &Path, head: &[u8]) -> Option<&'static dyn Language> {
    LANGUAGES.iter().copied().find(|language| language.recognises(path, head))
}
