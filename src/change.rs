//! The bytes of a file become text that can be judged and repaired, and go back to bytes.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::lang::{self, Language};
use crate::table;
use crate::workbook::{Formula, Kind, Workbook, WorkbookError};

/// A file that one of the languages recognises, read as text.
pub struct SourceFile {
    pub path: PathBuf,
    pub language: &'static dyn Language,
    /// Without a byte order mark.
    pub text: String,
    /// Where the text stands, when it is a formula in a workbook or a table.
    pub cell: Option<Cell>,
    encoding: Encoding,
}

/// A formula in a workbook or a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// As in `Sheet1!B7`, or `B7` in a table.
    pub name: String,
    /// The line of the table that it starts in, from 1; a workbook has none.
    pub line: Option<usize>,
    number: usize,
}

/// How the text of a file is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf8Bom,
    Latin1,
    Ascii,
    /// With a byte order mark.
    Utf16Le,
    Utf16Be,
}

/// Why a file is left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    #[error("no language pack recognises it")]
    UnknownLanguage,
    #[error("it holds a NUL byte, so it is taken for binary")]
    Binary,
    #[error("it is {kib} KiB; the limit is {} KiB (`{}`)", limit.kib, limit.setting)]
    TooLarge { kib: u64, limit: Limit },
    #[error("byte {at} is not valid UTF-8, and no coding line names another encoding")]
    NotUtf8 { at: usize },
    #[error("it starts with the mark of UTF-16, but byte {at} is none")]
    NotUtf16 { at: usize },
    #[error("its coding line names `{0}`, which lastmile does not read")]
    UnknownEncoding(String),
    #[error("its coding line names `{name}`, but byte {at} does not fit it")]
    WrongEncoding { name: String, at: usize },
    #[error("its expressions nest too deeply to be judged")]
    TooDeep,
    #[error("{0}")]
    Workbook(WorkbookError),
    #[error(
        "it holds formulas in cells, which `lastmile check FILE` and `lastmile fix FILE` look at one by one"
    )]
    Cells,
    #[error("it is not a regular file")]
    NotRegular,
    #[error("it has other names (hard links), which would keep the text as it was")]
    Linked,
    #[error("it changed while lastmile was working on it")]
    Changed,
    #[error("the repair holds a character that its encoding lacks")]
    Unencodable,
}

/// How large a file may be, and the setting that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub kib: u64,
    pub setting: &'static str,
}

impl Limit {
    /// Why so many bytes are too many, if they are.
    pub fn check(self, n_bytes: u64) -> Result<(), Skip> {
        if n_bytes <= self.kib * 1024 {
            return Ok(());
        }
        Err(Skip::TooLarge { kib: n_bytes.div_ceil(1024), limit: self })
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

impl SourceFile {
    /// Reads `bytes` as the text of `path`, or as the texts of all formulas when it is a workbook or a table.
    pub fn decode_all(path: PathBuf, bytes: Vec<u8>) -> Result<Vec<Self>, Skip> {
        if !has_cells(&path) {
            return Ok(vec![Self::decode(path, bytes)?]);
        }
        let Some(language) = lang::of_file(&path, &bytes) else {
            return Err(Workbook::open(&bytes).err().map_or(Skip::UnknownLanguage, Skip::Workbook));
        };
        if is_table(&path) {
            let (text, encoding) = decode(bytes, language)?;
            let fields = table::formulas(&text, is_tsv(&path)).into_iter().enumerate();
            let file = |(number, field): (usize, table::Field)| Self {
                path: path.clone(),
                language,
                text: field.text,
                cell: Some(Cell { name: field.cell, line: Some(field.line), number }),
                encoding,
            };
            return Ok(fields.map(file).collect());
        }
        let workbook = Workbook::open(&bytes).map_err(Skip::Workbook)?;
        // Names may hold what cells may not, such as references with commas between them.
        let formulas =
            workbook.formulas().iter().enumerate().filter(|(_, formula)| formula.kind != Kind::Name);
        let file = |(number, formula): (usize, &Formula)| Self {
            path: path.clone(),
            language,
            text: formula.text.clone(),
            cell: Some(Cell { name: formula.to_string(), line: None, number }),
            encoding: Encoding::Utf8,
        };
        Ok(formulas.map(file).collect())
    }

    /// Reads `bytes` as the text of `path`.
    pub fn decode(path: PathBuf, bytes: Vec<u8>) -> Result<Self, Skip> {
        if has_cells(&path) {
            return Err(Skip::Cells);
        }
        let language = lang::of_file(&path, &bytes).ok_or(Skip::UnknownLanguage)?;
        let (text, encoding) = decode(bytes, language)?;
        if language.is_too_deep(&text) {
            return Err(Skip::TooDeep);
        }
        Ok(Self { path, language, text, cell: None, encoding })
    }

    /// Whether it is a cell of a table of text, which only may be a formula.
    pub fn is_in_table(&self) -> bool {
        is_table(&self.path)
    }

    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The bytes of the file with `text` in place of this text; `disk` is what the file holds, where other
    /// formulas of a workbook may have been repaired.
    pub fn replaced_in(&self, disk: &[u8], text: &str) -> Result<Vec<u8>, Skip> {
        let Some(cell) = &self.cell else { return self.encode(text).map(Cow::into_owned) };
        if is_table(&self.path) {
            let (table, _) = decode(disk.to_owned(), self.language)?;
            let field = table::formulas(&table, is_tsv(&self.path)).into_iter().nth(cell.number);
            let field = field.filter(|field| field.text == self.text && field.cell == cell.name);
            let after = field.ok_or(Skip::Changed)?.replaced_in(&table, text);
            return self.encode(&after).map(Cow::into_owned);
        }
        let workbook = Workbook::open(disk).map_err(Skip::Workbook)?;
        let formula = workbook.formulas().get(cell.number);
        if formula.is_none_or(|formula| formula.text != self.text || formula.to_string() != cell.name) {
            return Err(Skip::Changed);
        }
        workbook.with(&[(cell.number, text)]).map_err(Skip::Workbook)
    }

    /// The bytes of `text`, a repair of this file, stored as this file is.
    pub fn encode<'t>(&self, text: &'t str) -> Result<Cow<'t, [u8]>, Skip> {
        match self.encoding.with_mark(text) {
            Cow::Borrowed(text) => self.encoding.encode(text),
            Cow::Owned(text) => Ok(self.encoding.encode(&text)?.into_owned().into()),
        }
    }
}

/// Whether a file holds formulas in cells.
pub fn has_cells(path: &Path) -> bool {
    is_table(path) || has_extension(path, &["xlsx", "xlsm"]) || is_old_workbook(path)
}

/// Whether a file holds formulas in a form that is not read, and says so.
fn is_old_workbook(path: &Path) -> bool {
    has_extension(path, &["xls", "xlsb"])
}

/// Whether a file is a table of text.
pub fn is_table(path: &Path) -> bool {
    is_tsv(path) || has_extension(path, &["csv"])
}

fn is_tsv(path: &Path) -> bool {
    has_extension(path, &["tsv"])
}

fn has_extension(path: &Path, ours: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ours.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

impl Encoding {
    /// The text with the byte order mark that files of this encoding start with.
    pub fn with_mark<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self {
            Encoding::Utf8Bom => format!("\u{feff}{text}").into(),
            // Texts in UTF-16 are shown in UTF-8, which needs no mark.
            _ => text.into(),
        }
    }

    pub fn is_utf16(&self) -> bool {
        matches!(self, Encoding::Utf16Le | Encoding::Utf16Be)
    }

    /// The bytes of `text`, which may start with a byte order mark.
    pub fn encode<'t>(&self, text: &'t str) -> Result<Cow<'t, [u8]>, Skip> {
        match self {
            Encoding::Utf8 | Encoding::Utf8Bom => Ok(text.as_bytes().into()),
            Encoding::Ascii if text.is_ascii() => Ok(text.as_bytes().into()),
            Encoding::Ascii => Err(Skip::Unencodable),
            Encoding::Latin1 => {
                let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
                bytes.map(Cow::from).ok_or(Skip::Unencodable)
            }
            Encoding::Utf16Le => Ok(utf16(text, u16::to_le_bytes)),
            Encoding::Utf16Be => Ok(utf16(text, u16::to_be_bytes)),
        }
    }
}

/// `text` with a byte order mark.
fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Cow<'static, [u8]> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(bytes).collect::<Vec<u8>>().into()
}

/// Reads what follows the byte order mark.
fn from_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Skip> {
    let (pairs, rest) = bytes[2..].as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let mut at = 2;
    let mut text = String::with_capacity(pairs.len());
    for c in char::decode_utf16(units) {
        let c = c.map_err(|_| Skip::NotUtf16 { at })?;
        at += 2 * c.len_utf16();
        text.push(c);
    }
    if rest.is_empty() { Ok(text) } else { Err(Skip::NotUtf16 { at }) }
}

fn decode(bytes: Vec<u8>, language: &dyn Language) -> Result<(String, Encoding), Skip> {
    // UTF-32 starts as UTF-16 does.
    if bytes.starts_with(b"\xff\xfe\0\0") {
        return Err(Skip::Binary);
    }
    match bytes.get(..2) {
        Some(b"\xff\xfe") if language.has_windows_encodings() => {
            return Ok((from_utf16(&bytes, u16::from_le_bytes)?, Encoding::Utf16Le));
        }
        Some(b"\xfe\xff") if language.has_windows_encodings() => {
            return Ok((from_utf16(&bytes, u16::from_be_bytes)?, Encoding::Utf16Be));
        }
        _ => {}
    }
    if bytes.contains(&0) {
        return Err(Skip::Binary);
    }
    let declared = language.declared_encoding(&bytes);
    let has_bom = bytes.starts_with(BOM);
    let encoding = match declared.as_deref().map(known_encoding) {
        _ if has_bom => Encoding::Utf8Bom,
        // Of a code page only the ASCII part is sure; whatever the rest means, it stays as it is.
        None if language.has_windows_encodings() && std::str::from_utf8(&bytes).is_err() => Encoding::Latin1,
        None => Encoding::Utf8,
        Some(Some(encoding)) => encoding,
        Some(None) => return Err(Skip::UnknownEncoding(declared.unwrap_or_default())),
    };
    match encoding {
        Encoding::Latin1 => Ok((bytes.iter().map(|byte| char::from(*byte)).collect(), encoding)),
        Encoding::Ascii => match bytes.iter().position(|byte| !byte.is_ascii()) {
            Some(at) => Err(Skip::WrongEncoding { name: declared.unwrap_or_default(), at }),
            None => Ok((utf8(bytes, 0)?, encoding)),
        },
        Encoding::Utf8 => Ok((utf8(bytes, 0)?, encoding)),
        Encoding::Utf8Bom => Ok((utf8(bytes, BOM.len())?, encoding)),
        Encoding::Utf16Le | Encoding::Utf16Be => unreachable!("told by its mark"),
    }
}

fn utf8(mut bytes: Vec<u8>, skip: usize) -> Result<String, Skip> {
    bytes.drain(..skip);
    String::from_utf8(bytes).map_err(|error| Skip::NotUtf8 { at: skip + error.utf8_error().valid_up_to() })
}

fn known_encoding(name: &str) -> Option<Encoding> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    match name.as_str() {
        "utf-8-sig" | "utf8" | "u8" | "utf" => Some(Encoding::Utf8),
        "latin-1" | "latin1" | "latin" | "l1" | "iso-8859-1" | "iso8859-1" | "8859" | "cp819" => {
            Some(Encoding::Latin1)
        }
        "ascii" | "us-ascii" | "646" => Some(Encoding::Ascii),
        // Editors append their own line ending, as in `utf-8-unix`.
        _ if name == "utf-8" || name.starts_with("utf-8-") => Some(Encoding::Utf8),
        _ if name.starts_with("latin-1-") || name.starts_with("iso-8859-1-") => Some(Encoding::Latin1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&str, Skip>) {
        let file = SourceFile::decode("f.py".into(), bytes.to_vec());
        match (file, expected) {
            (Ok(file), Ok(text)) => {
                assert_eq!(file.text, text);
                assert_eq!(file.encode(&file.text).expect("it came from there"), bytes);
            }
            (Err(skip), Err(expected)) => assert_eq!(skip, expected),
            (file, expected) => panic!("{:?} is not {expected:?}", file.map(|file| file.text)),
        }
    }

    #[test]
    fn bytes_survive_the_round_trip() {
        check(b"x = 1\r\n", Ok("x = 1\r\n"));
        check(b"\xef\xbb\xbfx = 1\n", Ok("x = 1\n"));
        check(b"# coding: latin-1\nx = '\xe9'\n", Ok("# coding: latin-1\nx = 'é'\n"));
        check(
            b"#!/usr/bin/python\n# vim: set fileencoding=iso-8859-1 :\n'\xff'",
            Ok("#!/usr/bin/python\n# vim: set fileencoding=iso-8859-1 :\n'ÿ'"),
        );
        check(
            b"\n# -*- coding: utf-8-unix -*-\nx = '\xc3\xa9'\n",
            Ok("\n# -*- coding: utf-8-unix -*-\nx = 'é'\n"),
        );
        check(b"\tx\x0c\n", Ok("\tx\x0c\n"));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        check(b"x = 1\0\n", Err(Skip::Binary));
        check(b"\xff\xfe\0\0x\0\0\0", Err(Skip::Binary));
        check(b"x = '\xe9'\n", Err(Skip::NotUtf8 { at: 5 }));
        check(b"x = 1\n# coding: latin-1\n'\xe9'\n", Err(Skip::NotUtf8 { at: 25 }));
        check(b"# coding: koi8-r\n", Err(Skip::UnknownEncoding("koi8-r".to_owned())));
        check(b"# coding: ascii\n'\xe9'\n", Err(Skip::WrongEncoding { name: "ascii".to_owned(), at: 17 }));
    }

    #[test]
    fn scripts_of_windows_keep_their_encoding() {
        let check = |bytes: &[u8], expected: Result<&str, Skip>| {
            let file = SourceFile::decode("f.ps1".into(), bytes.to_vec());
            let again =
                file.as_ref().map(|file| file.encode(&file.text).expect("it came from there").into_owned());
            assert_eq!(file.as_ref().map(|file| file.text.as_str()).map_err(Clone::clone), expected);
            assert!(again.is_err() || again.is_ok_and(|again| again == bytes));
        };
        check(b"\xff\xfe$\0a\0\n\0", Ok("$a\n"));
        check(b"\xfe\xff\0$\0\xe9\0\r\0\n", Ok("$é\r\n"));
        check(b"\xff\xfe$\0a", Err(Skip::NotUtf16 { at: 4 }));
        check(b"\xff\xfe\0\xdc", Err(Skip::NotUtf16 { at: 2 }));
        check(b"'caf\xe9 \x93'\r\n", Ok("'café \u{93}'\r\n"));
        check(b"\xef\xbb\xbf'\xc3\xa9'", Ok("'é'"));
    }

    #[test]
    fn a_repair_must_fit_the_encoding() {
        let file = SourceFile::decode("f.py".into(), b"# coding: latin-1\n".to_vec()).expect("fine");
        assert_eq!(file.encode("x = '€'"), Err(Skip::Unencodable));
    }
}
