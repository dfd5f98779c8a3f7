//! The package of a workbook: a zip archive of parts that relations tie together.

use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::sync::Arc;

use memchr::memmem;
use zip::{ZipArchive, ZipWriter};

use super::xml::{MAIN, Step, Walk, Xml};
use super::{Result, WorkbookError, damaged};

/// Most bytes that the parts read from one workbook may inflate to.
const MAX_INFLATED: u64 = 512 << 20;
/// Below the maximum, as many bytes as this are allowed for any workbook ...
const FREE_INFLATED: u64 = 16 << 20;
/// ... and this many for every byte of the file. Deflate can reach 1000; workbooks stay below 100.
const MAX_RATIO: u64 = 300;
/// Most entries of an archive.
const MAX_ENTRIES: usize = 65_536;
/// Elements of `.rels` parts.
const PACKAGE: &[&str] = &["http://schemas.openxmlformats.org/package/2006/relationships"];

pub(super) type Archive<'b> = ZipArchive<Cursor<&'b [u8]>>;

/// A part: its name, for messages, and its number in the archive.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) entry: usize,
}

/// A sheet; only a worksheet has a part here.
pub(super) struct Sheet {
    pub(super) name: Arc<str>,
    pub(super) part: Option<Part>,
}

/// A relation of a part: its id, the last word of its type, the name of the part it leads to.
struct Relation {
    id: String,
    kind: String,
    target: String,
}

/// The archive with its entries by name, and how many bytes may still be inflated.
pub(super) struct Package<'b> {
    pub(super) archive: Archive<'b>,
    entries: HashMap<String, usize>,
    budget: u64,
}

impl<'b> Package<'b> {
    pub(super) fn open(bytes: &'b [u8]) -> Result<Self> {
        check_kind(bytes)?;
        if memmem::find_iter(bytes, b"PK\x01\x02").nth(MAX_ENTRIES).is_some() {
            return Err(WorkbookError::Refused("too many entries"));
        }
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged("archive", error))?;
        let names = archive.file_names_raw().enumerate();
        let entries: HashMap<_, _> =
            names.map(|(i, name)| (key(&String::from_utf8_lossy(name)), i)).collect();
        if archive.has_duplicate_names() || entries.len() < archive.len() {
            return Err(WorkbookError::Refused("two entries of the same name"));
        }
        Ok(Self { archive, entries, budget: budget(bytes) })
    }

    pub(super) fn read(&mut self, part: &Part) -> Result<Xml> {
        Xml::read(&mut self.archive, part, &mut self.budget)
    }

    /// The workbook part, and the sheets in their order.
    pub(super) fn sheets(&mut self) -> Result<(Part, Vec<Sheet>)> {
        let root = self.part("_rels/.rels").map_err(|_| WorkbookError::NotAWorkbook)?;
        let mut root = self.relations("", &root)?.into_iter();
        let name = root.find(|r| r.kind == "officeDocument").ok_or(WorkbookError::NotAWorkbook)?.target;
        if name.to_ascii_lowercase().ends_with(".bin") {
            return Err(WorkbookError::Xlsb);
        }
        let book = self.part(&name)?;
        let (folder, file) = name.split_at(name.rfind('/').map_or(0, |slash| slash + 1));
        let relations = self.part(&format!("{folder}_rels/{file}.rels"))?;
        let relations = self.relations(folder, &relations)?;
        let worksheets =
            relations.into_iter().filter(|r| r.kind == "worksheet").map(|r| (r.id, r.target)).collect();
        let sheets = self.list(&book, &worksheets)?;
        Ok((book, sheets))
    }

    /// The sheets in the workbook part. Chart sheets have no formulas, and module sheets of old versions no part.
    fn list(&mut self, book: &Part, worksheets: &HashMap<String, String>) -> Result<Vec<Sheet>> {
        let text = self.read(book)?.text;
        let mut sheets = Vec::new();
        let mut walk = Walk::new(&text, book, MAIN);
        while let Some(step) = walk.next()? {
            let Step::Open(element) = step else { continue };
            if walk.depth == 1 && element.name() != "workbook" {
                return Err(WorkbookError::NotAWorkbook);
            }
            if walk.depth == 3 && element.name() == "sheet" {
                let name = element.attribute("name")?.unwrap_or_default().into();
                let target = worksheets.get(&walk.relation(&element)?);
                sheets.push(Sheet { name, part: target.map(|name| self.part(name)).transpose()? });
            }
        }
        Ok(sheets)
    }

    fn part(&self, name: &str) -> Result<Part> {
        let entry = *self.entries.get(&key(name)).ok_or_else(|| damaged(name, "missing"))?;
        Ok(Part { name: name.to_owned(), entry })
    }

    /// The relations in `part` of a part in `folder`.
    fn relations(&mut self, folder: &str, part: &Part) -> Result<Vec<Relation>> {
        let text = self.read(part)?.text;
        let mut walk = Walk::new(&text, part, PACKAGE);
        let mut relations = Vec::new();
        while let Some(step) = walk.next()? {
            let Step::Open(element) = step else { continue };
            if element.name() == "Relationship"
                && element.attribute("TargetMode")?.as_deref() != Some("External")
            {
                let get = |name| Ok(element.attribute(name)?.unwrap_or_default());
                let kind = get("Type")?.rsplit('/').next().unwrap_or_default().to_owned();
                relations.push(Relation { id: get("Id")?, kind, target: resolve(folder, &get("Target")?) });
            }
        }
        Ok(relations)
    }
}

/// How many bytes the parts of a workbook may inflate to. The sizes that the archive states are not believed.
pub(super) fn budget(bytes: &[u8]) -> u64 {
    (bytes.len() as u64).saturating_mul(MAX_RATIO).clamp(FREE_INFLATED, MAX_INFLATED)
}

/// The archive with new contents for some entries.
///
/// The others keep their name, order, time, attributes and compressed bytes. Lost is what no reader of workbooks
/// uses: padding in local headers, hints on the compression level, the version of zip that wrote an entry.
pub(super) fn pack(mut archive: Archive, contents: &HashMap<usize, Vec<u8>>) -> Result<Vec<u8>> {
    let failed = |error: zip::result::ZipError| damaged("archive", error);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.set_raw_comment(archive.comment().into()).map_err(failed)?;
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(failed)?;
        if let Some(bytes) = contents.get(&index) {
            let options = file.options();
            writer.start_file_with_options(options.name(file.name_raw())).map_err(failed)?;
            writer.write_all(bytes).map_err(|error| damaged("archive", error))?;
        } else {
            writer.raw_copy_file(file).map_err(failed)?;
        }
    }
    Ok(writer.finish().map_err(failed)?.into_inner())
}

/// Refuses what is not a zip archive, by its first bytes.
fn check_kind(bytes: &[u8]) -> Result<()> {
    // A compound file; its directory names the streams in UTF-16.
    if bytes.starts_with(b"\xD0\xCF\x11\xE0") {
        let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let encrypted = memmem::find(bytes, &name).is_some();
        return Err(if encrypted { WorkbookError::Encrypted } else { WorkbookError::OldXls });
    }
    if bytes.starts_with(b"PK") { Ok(()) } else { Err(WorkbookError::NotAWorkbook) }
}

/// Names of parts are equal whatever their case; some programs write them with backslashes.
fn key(name: &str) -> String {
    name.replace('\\', "/").trim_start_matches('/').to_ascii_lowercase()
}

/// The name of the part that `target` leads to, seen from a part in `folder`.
fn resolve(folder: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    let path = if target.starts_with('/') { target } else { format!("{folder}{target}") };
    let mut steps = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => _ = steps.pop(),
            step => steps.push(step),
        }
    }
    steps.join("/")
}
