//! The bytes of a file become text that can be judged and repaired, and go back to bytes.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::diagnose::{DEEPEST, nesting};
use crate::lang::{self, Language};

/// A file that one of the languages recognises, read as text.
pub struct SourceFile {
    pub path: PathBuf,
    pub language: &'static dyn Language,
    /// Without a byte order mark.
    pub text: String,
    encoding: Encoding,
}

/// How the text of a file is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf8Bom,
    Latin1,
    Ascii,
}

/// Why a file is left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    #[error("no language pack recognises it")]
    UnknownLanguage,
    #[error("it holds a NUL byte, so it is taken for binary")]
    Binary,
    #[error("it is {kib} KiB; the limit is {limit_kib} KiB (`files.max_kib`)")]
    TooLarge { kib: u64, limit_kib: u64 },
    #[error("byte {at} is not valid UTF-8, and no coding line names another encoding")]
    NotUtf8 { at: usize },
    #[error("its coding line names `{0}`, which lastmile does not read")]
    UnknownEncoding(String),
    #[error("its coding line names `{name}`, but byte {at} does not fit it")]
    WrongEncoding { name: String, at: usize },
    #[error("its expressions nest too deeply to be judged")]
    TooDeep,
    #[error("it is not a regular file")]
    NotRegular,
    #[error("it changed while lastmile was working on it")]
    Changed,
    #[error("the repair holds a character that its encoding lacks")]
    Unencodable,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

impl SourceFile {
    /// Reads `bytes` as the text of `path`.
    pub fn decode(path: PathBuf, bytes: Vec<u8>) -> Result<Self, Skip> {
        let language = lang::of_file(&path, &bytes).ok_or(Skip::UnknownLanguage)?;
        let (text, encoding) = decode(bytes, language)?;
        if nesting(&text) > DEEPEST {
            return Err(Skip::TooDeep);
        }
        Ok(Self { path, language, text, encoding })
    }

    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The bytes of `text`, a repair of this file, stored as this file is.
    pub fn encode<'t>(&self, text: &'t str) -> Result<Cow<'t, [u8]>, Skip> {
        match self.encoding.with_mark(text) {
            Cow::Borrowed(text) => self.encoding.encode(text),
            Cow::Owned(text) => Ok(self.encoding.encode(&text)?.into_owned().into()),
        }
    }
}

impl Encoding {
    /// The text with the byte order mark that files of this encoding start with.
    pub fn with_mark<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self {
            Encoding::Utf8Bom => format!("\u{feff}{text}").into(),
            Encoding::Utf8 | Encoding::Latin1 | Encoding::Ascii => text.into(),
        }
    }

    /// The bytes of `text`.
    pub fn encode<'t>(&self, text: &'t str) -> Result<Cow<'t, [u8]>, Skip> {
        match self {
            Encoding::Utf8 | Encoding::Utf8Bom => Ok(text.as_bytes().into()),
            Encoding::Ascii if text.is_ascii() => Ok(text.as_bytes().into()),
            Encoding::Ascii => Err(Skip::Unencodable),
            Encoding::Latin1 => {
                let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
                bytes.map(Cow::from).ok_or(Skip::Unencodable)
            }
        }
    }
}

fn decode(bytes: Vec<u8>, language: &dyn Language) -> Result<(String, Encoding), Skip> {
    if bytes.contains(&0) {
        return Err(Skip::Binary);
    }
    // Only Python lets a file name its encoding (PEP 263).
    let declared = (language.name() == "python").then(|| coding_line(&bytes)).flatten();
    let has_bom = bytes.starts_with(BOM);
    let encoding = match declared.as_deref().map(known_encoding) {
        _ if has_bom => Encoding::Utf8Bom,
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
    }
}

fn utf8(mut bytes: Vec<u8>, skip: usize) -> Result<String, Skip> {
    bytes.drain(..skip);
    String::from_utf8(bytes).map_err(|error| Skip::NotUtf8 { at: skip + error.utf8_error().valid_up_to() })
}

/// The encoding named in a comment on one of the first two lines.
fn coding_line(bytes: &[u8]) -> Option<String> {
    for line in bytes.split(|byte| *byte == b'\n').take(2) {
        let line = line.trim_ascii_start();
        if !line.is_empty() && !line.starts_with(b"#") {
            return None;
        }
        // The name and what leads to it are ASCII, whatever the rest of the line is.
        let line = String::from_utf8_lossy(line);
        for (at, _) in line.match_indices("coding") {
            let Some(rest) = line[at + "coding".len()..].strip_prefix([':', '=']) else { continue };
            let name: String = rest
                .trim_start_matches([' ', '\t'])
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
                .collect();
            if !name.is_empty() {
                return Some(name);
            }
        }
    }
    None
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
        check(b"x = '\xe9'\n", Err(Skip::NotUtf8 { at: 5 }));
        check(b"x = 1\n# coding: latin-1\n'\xe9'\n", Err(Skip::NotUtf8 { at: 25 }));
        check(b"# coding: koi8-r\n", Err(Skip::UnknownEncoding("koi8-r".to_owned())));
        check(b"# coding: ascii\n'\xe9'\n", Err(Skip::WrongEncoding { name: "ascii".to_owned(), at: 17 }));
    }

    #[test]
    fn a_repair_must_fit_the_encoding() {
        let file = SourceFile::decode("f.py".into(), b"# coding: latin-1\n".to_vec()).expect("fine");
        assert_eq!(file.encode("x = '€'"), Err(Skip::Unencodable));
    }
}
