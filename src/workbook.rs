//! Formulas of an Excel workbook (`.xlsx`, `.xlsm`): read them all, write repaired ones back.
//!
//! Bytes in, bytes out. A repair changes three things, and nothing else in any entry:
//!
//! - The text inside the `<f>` of the cell, or inside the element of a name, condition or validation.
//! - The cached `<v>` of that cell, and of the cells that share its formula, goes: it is the result of another
//!   formula. Readers that do not calculate (pandas, Protected View) would show it as if it were right.
//! - `<calcPr>` in the workbook part gets `fullCalcOnLoad="1"`, because cells that use the repaired one are stale
//!   too. It is the documented way to have them calculated. Excel does so when it opens the file, and asks to
//!   save it. A workbook set to manual calculation shows the cell without a value until it is told to calculate.
//!
//! Not covered: formulas in charts, tables, pivot tables and the extension lists of newer Excel versions; macro
//! sheets; `_x000D_` escapes in texts, which stay as they are; the digital signature of a signed workbook, which
//! any change breaks; the other cells of an array formula, which keep their values until Excel calculates.

mod find;
mod package;
mod xml;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{self, Display};
use std::ops::Range;
use std::sync::Arc;

use find::{Found, find};
use package::{Archive, Package, Part, budget, pack};
use xml::{Element, MAIN, Step, Walk, Xml, is_xml};

/// Most formulas of a workbook.
const MAX_FORMULAS: usize = 2_000_000;
/// Attribute of `calcPr`: calculate everything when the workbook is opened.
const MARK: &str = "fullCalcOnLoad";

type Result<T, E = WorkbookError> = std::result::Result<T, E>;

/// Why a workbook cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkbookError {
    #[error("not an Excel workbook (.xlsx or .xlsm)")]
    NotAWorkbook,
    #[error("encrypted workbook: save it without a password")]
    Encrypted,
    #[error("workbook in the old .xls format: save it as .xlsx")]
    OldXls,
    #[error("binary .xlsb workbook: save it as .xlsx or .xlsm")]
    Xlsb,
    #[error("damaged workbook: {part}: {reason}")]
    Damaged { part: String, reason: String },
    #[error("workbook refused: {0}")]
    Refused(&'static str),
    #[error("the workbook has no formula number {0}")]
    NoFormula(usize),
    #[error("the workbook is signed, and a change would break its signature")]
    Signed,
    #[error("repair of {0} has a character that XML cannot hold")]
    BadText(String),
}

/// What a formula belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// One cell.
    Cell,
    /// The first of several cells with one formula, and their range. A repair applies to all of them.
    Shared(String),
    /// An array formula, and its range.
    Array(String),
    /// A rule of conditional formatting.
    Condition,
    /// A rule of data validation.
    Validation,
    /// A defined name.
    Name,
}

/// A formula and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formula {
    /// Name of the sheet; empty for a name that the whole workbook knows.
    pub sheet: Arc<str>,
    /// The cell (`B7`), the cells of a condition or validation (`A1:A9 C1`), or the defined name.
    /// The rules of one condition share it, since it can be long.
    pub cell: Arc<str>,
    /// The formula with its leading `=`, entities resolved.
    pub text: String,
    pub kind: Kind,
    part: usize,
    start: usize,
    group: Option<String>,
}

impl Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let bang = if self.sheet.is_empty() { "" } else { "!" };
        let rule = match self.kind {
            Kind::Condition => " (conditional format)",
            Kind::Validation => " (validation)",
            _ => "",
        };
        write!(f, "{}{bang}{}{rule}", self.sheet, self.cell)
    }
}

/// An open workbook.
#[derive(Debug)]
pub struct Workbook<'b> {
    bytes: &'b [u8],
    archive: Archive<'b>,
    /// The parts with formulas: the sheets in their order, then the workbook part.
    parts: Vec<Part>,
    formulas: Vec<Formula>,
}

/// A piece of a text, and what replaces it.
type Edit = (Range<usize>, String);

/// New texts for formulas of one part, by where the formulas start.
type Repairs<'a> = HashMap<usize, (&'a Formula, &'a str)>;

impl<'b> Workbook<'b> {
    /// Reads every formula of the workbook in `bytes`.
    pub fn open(bytes: &'b [u8]) -> Result<Self> {
        let mut package = Package::open(bytes)?;
        let (book, sheets) = package.sheets()?;
        let nowhere: Arc<str> = Arc::from("");
        let (mut parts, mut formulas, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        let worksheets = sheets.iter().filter_map(|sheet| Some((&sheet.name, sheet.part.clone()?)));
        for (sheet, part) in worksheets.chain([(&nowhere, book)]) {
            if !seen.insert(part.entry) {
                return Err(damaged(&part.name, "belongs to two sheets"));
            }
            let text = package.read(&part)?.text;
            find(&text, &part, &mut |Found { kind, place, text, inner, group, scope, .. }| {
                if formulas.len() == MAX_FORMULAS {
                    return Err(WorkbookError::Refused("too many formulas"));
                }
                if text.trim() != "=" {
                    let sheet =
                        scope.and_then(|index: usize| sheets.get(index)).map_or(sheet, |sheet| &sheet.name);
                    let (sheet, part, start) = (Arc::clone(sheet), parts.len(), inner.start);
                    formulas.push(Formula { sheet, cell: place, text, kind, part, start, group });
                }
                Ok(())
            })?;
            parts.push(part);
        }
        Ok(Self { bytes, archive: package.archive, parts, formulas })
    }

    /// All formulas: sheet by sheet in the order of the file, then the defined names.
    pub fn formulas(&self) -> &[Formula] {
        &self.formulas
    }

    /// The workbook with new texts for some formulas, given by their index.
    ///
    /// If an index repeats, its last text counts. A text may start with `=` or not; one that equals the formula
    /// changes nothing.
    pub fn with(&self, repairs: &[(usize, &str)]) -> Result<Vec<u8>> {
        let mut parts = self.by_part(repairs)?;
        let stale = parts.values().flat_map(Repairs::values).any(|(formula, _)| formula.has_value());
        let book = self.parts.len() - 1;
        if stale {
            parts.entry(book).or_default();
        }
        if parts.is_empty() {
            return Ok(self.bytes.to_vec());
        }
        let is_signature = |name: Cow<'_, str>| name.to_ascii_lowercase().starts_with("_xmlsignatures/");
        if self.archive.file_names().flatten().any(is_signature) {
            return Err(WorkbookError::Signed);
        }
        let mut archive = self.archive.clone();
        let mut contents = HashMap::new();
        for (index, repairs) in &parts {
            let part = &self.parts[*index];
            let xml = Xml::read(&mut archive, part, &mut budget(self.bytes))?;
            let mut edits = rewrite(&xml.text, part, repairs)?;
            if stale && *index == book {
                edits.extend(recalculate(&xml.text, part)?);
            }
            contents.insert(part.entry, xml.encode(&splice(&xml.text, edits)));
        }
        pack(archive, &contents)
    }

    /// The repairs that change something, by the index of their part.
    fn by_part<'a>(&'a self, repairs: &[(usize, &'a str)]) -> Result<BTreeMap<usize, Repairs<'a>>> {
        let mut parts: BTreeMap<_, Repairs> = BTreeMap::new();
        for &(index, text) in repairs {
            let formula = self.formulas.get(index).ok_or(WorkbookError::NoFormula(index))?;
            if !text.chars().all(is_xml) {
                return Err(WorkbookError::BadText(formula.to_string()));
            }
            let text = text.strip_prefix('=').unwrap_or(text);
            parts.entry(formula.part).or_default().insert(formula.start, (formula, text));
        }
        for repairs in parts.values_mut() {
            repairs.retain(|_, (formula, text)| formula.text.get(1..) != Some(text));
        }
        parts.retain(|_, repairs| !repairs.is_empty());
        Ok(parts)
    }
}

impl Formula {
    /// Whether the file keeps results of the formula, or of formulas that use it.
    fn has_value(&self) -> bool {
        !matches!(self.kind, Kind::Condition | Kind::Validation)
    }
}

/// The edits that give formulas new texts and take their stale values away.
fn rewrite(text: &str, part: &Part, repairs: &Repairs) -> Result<Vec<Edit>> {
    let shared = repairs.values().filter(|(formula, _)| matches!(formula.kind, Kind::Shared(_)));
    let groups: HashSet<_> = shared.filter_map(|(formula, _)| formula.group.as_deref()).collect();
    let mut edits = Vec::new();
    find(text, part, &mut |found| {
        let new = repairs.get(&found.inner.start);
        if new.is_some() || found.group.as_deref().is_some_and(|group| groups.contains(group)) {
            edits.extend(found.value.map(|value| (value, String::new())));
        }
        edits.extend(new.map(|(_, new)| (found.inner, escape(new))));
        Ok(())
    })?;
    Ok(edits)
}

/// The edit of the workbook part that asks for a full calculation, unless it asks already.
fn recalculate(text: &str, part: &Part) -> Result<Option<Edit>> {
    let mut walk = Walk::new(text, part, MAIN);
    let (mut prefix, mut before, mut after) = (String::new(), false, None);
    while let Some(step) = walk.next()? {
        match step {
            Step::Open(root) if walk.depth == 1 => {
                prefix = root
                    .start
                    .name()
                    .prefix()
                    .map(|name| format!("{}:", name.into_inner()))
                    .unwrap_or_default();
            }
            Step::Open(element) if walk.depth == 2 && element.name() == "calcPr" => {
                return mark(text, &element);
            }
            // `calcPr` comes behind the last of these.
            Step::Open(element) if walk.depth == 2 => {
                let name = element.name();
                before = matches!(name, "sheets" | "functionGroups" | "externalReferences" | "definedNames");
            }
            Step::Close(span) if walk.depth == 1 && before => after = Some(span.end),
            _ => {}
        }
    }
    Ok(after.map(|at| (at..at, format!("<{prefix}calcPr {MARK}=\"1\"/>"))))
}

/// The edit that sets the mark on `calcPr`.
fn mark(text: &str, element: &Element) -> Result<Option<Edit>> {
    let tag = &text[element.span.clone()];
    let behind = |at: usize| element.span.start + at;
    let Some(value) = element.attribute(MARK)? else {
        let name = behind(1 + element.start.name().into_inner().len());
        return Ok(Some((name..name, format!(" {MARK}=\"1\""))));
    };
    if matches!(value.trim(), "1" | "true") {
        return Ok(None);
    }
    let value = tag.find(MARK).and_then(|at| {
        let open = at + tag[at..].find(['"', '\''])?;
        let close = open + 1 + tag[open + 1..].find(&tag[open..=open])?;
        Some((behind(open + 1)..behind(close), "1".to_owned()))
    });
    Ok(value)
}

/// `text` with its edits, which do not overlap.
fn splice(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (range, new) in edits {
        out.push_str(&text[done..range.start]);
        out.push_str(&new);
        done = range.end;
    }
    out + &text[done..]
}

/// Text as the content of an element. A carriage return would be read as a line feed if it were not a number.
fn escape(text: &str) -> String {
    quick_xml::escape::partial_escape(text).replace('\r', "&#13;")
}

fn damaged(part: &str, reason: impl Display) -> WorkbookError {
    // Both may quote the file, at any length and with any characters.
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(200).collect();
    WorkbookError::Damaged { part: plain(part), reason: plain(&reason.to_string()) }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read, Write};

    use proptest::prelude::*;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

    use super::*;

    const NS: &str = r#"xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main""#;
    const NS_R: &str = r#"xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships""#;
    const TYPE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

    /// Cell, kind and text of a formula.
    type Row<'a> = (&'a str, Kind, &'a str);

    fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn rels(rows: &[(&str, &str, &str)]) -> String {
        let row = |(id, kind, target): &(&str, &str, &str)| {
            format!(r#"<Relationship Id="{id}" Type="{TYPE}/{kind}" Target="{target}"/>"#)
        };
        let rows: String = rows.iter().map(row).collect();
        format!(
            r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{rows}</Relationships>"#
        )
    }

    fn book_xml(rest: &str) -> String {
        format!(
            r#"<workbook {NS} {NS_R}><sheets><sheet name="Sheet 1" sheetId="1" r:id="rId7"/></sheets>{rest}</workbook>"#
        )
    }

    /// A workbook of one sheet, from the bytes of its part and the end of the workbook part.
    fn book(sheet: &[u8], rest: &str) -> Vec<u8> {
        zipped(&[
            ("[Content_Types].xml", b"<Types/>"),
            ("_rels/.rels", rels(&[("rId1", "officeDocument", "xl/workbook.xml")]).as_bytes()),
            ("xl/workbook.xml", book_xml(rest).as_bytes()),
            ("xl/_rels/workbook.xml.rels", rels(&[("rId7", "worksheet", "worksheets/one.xml")]).as_bytes()),
            ("xl/worksheets/one.xml", sheet),
            ("xl/vbaProject.bin", b"\0macros"),
            ("xl/calcChain.xml", b"<calcChain/>"),
        ])
    }

    fn cells(rows: &str) -> String {
        format!("<worksheet {NS}><sheetData>{rows}</sheetData></worksheet>")
    }

    fn entry(archive: &[u8], name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut archive = ZipArchive::new(Cursor::new(archive)).unwrap();
        archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Place, kind and text of every formula.
    fn list(bytes: &[u8]) -> Vec<(String, Kind, String)> {
        let workbook = Workbook::open(bytes).unwrap();
        workbook.formulas().iter().map(|f| (f.to_string(), f.kind.clone(), f.text.clone())).collect()
    }

    fn one(cell: &str) -> String {
        cells(&format!(r#"<row r="2">{cell}</row>"#))
    }

    #[test]
    fn reads_formulas() {
        let rows: &[(&str, &[Row])] = &[
            (r#"<c r="B2"><f>A1+1</f><v>2</v></c>"#, &[("B2", Kind::Cell, "=A1+1")]),
            (r#"<c r="B2"><f>A1&amp;"&lt;&#65;&#x42;"</f></c>"#, &[("B2", Kind::Cell, "=A1&\"<AB\"")]),
            (r#"<c r="B2"><f><![CDATA[A1<]]>2<!-- x -->+3<?p?></f></c>"#, &[("B2", Kind::Cell, "=A1<2+3")]),
            (
                "<c r=\"B2\"><f xml:space=\"preserve\"> SUM(\r\n1) </f></c>",
                &[("B2", Kind::Cell, "= SUM(\n1) ")],
            ),
            (r#"<c r="B2"><f>=A1</f></c>"#, &[("B2", Kind::Cell, "=A1")]),
            ("<c/><c><f>A1</f></c>", &[("B2", Kind::Cell, "=A1")]),
            (r#"<c r="ZZ2"/><c><f>A1</f></c>"#, &[("AAA2", Kind::Cell, "=A1")]),
            (r#"<c r="B2"><f/></c><c r="C2"><f> </f></c><c r="D2"><v>1</v></c><c r="E2"/>"#, &[]),
            (
                r#"<c r="B2"><f t="shared" ref="B2:B9" si="0">A2</f></c><c r="B3"><f t="shared" si="0"/></c>"#,
                &[("B2", Kind::Shared(String::new()), "=A2")],
            ),
            (
                r#"<c r="B2"><f t="array" ref="B2:C3">A1:A9*2</f></c>"#,
                &[("B2", Kind::Array(String::new()), "=A1:A9*2")],
            ),
            (r#"<c r="B2"><f t="dataTable" ref="B2:C3">A1</f></c>"#, &[]),
            (r#"<x:c xmlns:x="urn:other" r="B2"><x:f>A1</x:f></x:c>"#, &[]),
        ];
        for (xml, wanted) in rows {
            let found = list(&book(one(xml).as_bytes(), ""));
            let wanted =
                wanted.iter().map(|(cell, kind, text)| (format!("Sheet 1!{cell}"), kind, (*text).to_owned()));
            assert_eq!(found.len(), wanted.len(), "{xml}");
            for (found, wanted) in found.iter().zip(wanted) {
                assert_eq!((&found.0, &found.2), (&wanted.0, &wanted.2), "{xml}");
                assert_eq!(std::mem::discriminant(&found.1), std::mem::discriminant(wanted.1), "{xml}");
            }
        }
    }

    #[test]
    fn a_signed_workbook_is_read_and_not_changed() {
        let sheet = cells(r#"<row><c r="A1"><f>B1</f></c></row>"#);
        let signed = zipped(&[
            ("[Content_Types].xml", b"<Types/>"),
            ("_rels/.rels", rels(&[("rId1", "officeDocument", "xl/workbook.xml")]).as_bytes()),
            ("_xmlsignatures/sig1.xml", b"<Signature/>"),
            ("xl/workbook.xml", book_xml("").as_bytes()),
            ("xl/_rels/workbook.xml.rels", rels(&[("rId7", "worksheet", "worksheets/one.xml")]).as_bytes()),
            ("xl/worksheets/one.xml", sheet.as_bytes()),
        ]);
        let workbook = Workbook::open(&signed).unwrap();
        assert_eq!(workbook.with(&[(0, "=B1")]).unwrap(), signed);
        assert_eq!(workbook.with(&[(0, "=B2")]), Err(WorkbookError::Signed));
    }

    #[test]
    fn reads_ranges_conditions_validations_and_names() {
        let sheet = format!(
            r#"<worksheet {NS}><sheetData><row><c><f t="shared" ref="A1:A3" si="4">B1</f></c>
            <c><f t="array" ref="B1:B3">C1:C3</f></c></row></sheetData>
            <conditionalFormatting sqref="A1:A9 C1"><cfRule type="expression"><formula>A1&gt;1</formula></cfRule>
            </conditionalFormatting><dataValidations count="1"><dataValidation sqref="D1"><formula1>1</formula1>
            <formula2>B1</formula2></dataValidation></dataValidations></worksheet>"#
        );
        let names = r#"<definedNames><definedName name="Total">SUM(A1:A9)</definedName>
            <definedName name="Mine" localSheetId="0">A1</definedName>
            <definedName name="Macro" function="1">A1</definedName></definedNames>"#;
        let wanted = [
            ("Sheet 1!A1", Kind::Shared("A1:A3".into()), "=B1"),
            ("Sheet 1!B1", Kind::Array("B1:B3".into()), "=C1:C3"),
            ("Sheet 1!A1:A9 C1 (conditional format)", Kind::Condition, "=A1>1"),
            ("Sheet 1!D1 (validation)", Kind::Validation, "=1"),
            ("Sheet 1!D1 (validation)", Kind::Validation, "=B1"),
            ("Total", Kind::Name, "=SUM(A1:A9)"),
            ("Sheet 1!Mine", Kind::Name, "=A1"),
        ];
        let wanted = wanted.map(|(place, kind, text)| (place.to_owned(), kind, text.to_owned()));
        assert_eq!(list(&book(sheet.as_bytes(), names)), wanted);
    }

    #[test]
    fn reads_every_encoding_and_writes_it_back() {
        let xml = |name: &str| {
            let head = format!(r#"<?xml version="1.0" encoding="{name}"?>"#);
            head + &one(r#"<c r="B2"><f>"ä😀"</f><v>1</v></c>"#)
        };
        let wide = |text: &str, to: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to).collect::<Vec<_>>();
        let rows = [
            xml("UTF-8").into_bytes(),
            format!("\u{feff}{}", xml("utf-8")).into_bytes(),
            wide(&xml("UTF-16"), u16::to_le_bytes),
            wide(&format!("\u{feff}{}", xml("UTF-16")), u16::to_le_bytes),
            wide(&format!("\u{feff}{}", xml("UTF-16")), u16::to_be_bytes),
        ];
        for bytes in rows {
            let old = book(&bytes, "");
            let workbook = Workbook::open(&old).unwrap();
            assert_eq!(workbook.formulas()[0].text, "=\"ä😀\"");
            let new = workbook.with(&[(0, "ö")]).unwrap();
            assert_eq!(list(&new)[0].2, "=ö");
            let (old, new) = (entry(&old, "xl/worksheets/one.xml"), entry(&new, "xl/worksheets/one.xml"));
            let gone = if old.contains(&0) { 2 * 11 + 2 } else { 8 + 8 - 2 };
            assert_eq!((new.len(), &new[..20]), (old.len() - gone, &old[..20]));
        }
    }

    #[test]
    fn follows_relations_and_strict_names_and_prefixes() {
        let strict = "http://purl.oclc.org/ooxml";
        let kind = format!("{strict}/officeDocument/relationships");
        let package = r#"xmlns="http://schemas.openxmlformats.org/package/2006/relationships""#;
        let root = format!(
            r#"<Relationships {package}><Relationship Id="a" Type="{kind}/officeDocument" Target="/Office/Book.xml"/></Relationships>"#
        );
        let links = format!(
            r#"<p:Relationships xmlns:p="http://schemas.openxmlformats.org/package/2006/relationships">
            <p:Relationship Id="one" Type="{kind}/worksheet" Target="..\Other\.\Second.XML"/>
            <p:Relationship Id="two" Type="{kind}/worksheet" Target="First.xml"/>
            <p:Relationship Id="three" Type="{kind}/chartsheet" Target="missing.xml"/></p:Relationships>"#
        );
        let main = format!(
            r#"<x:workbook xmlns:x="{strict}/spreadsheetml/main" xmlns:q="{kind}"><x:sheets>
            <x:sheet name="B &amp; &lt;C&gt;" q:id="two"/><x:sheet name="Chart" q:id="three"/>
            <x:sheet name="Module" q:id=""/><x:sheet name="A" q:id="one" id="two"/></x:sheets></x:workbook>"#
        );
        let sheet = |text: &str| {
            format!(
                r#"<x:worksheet xmlns:x="{strict}/spreadsheetml/main"><x:sheetData><x:row><x:c><x:f>{text}</x:f><x:v>1</x:v></x:c></x:row></x:sheetData></x:worksheet>"#
            )
        };
        let bytes = zipped(&[
            ("_rels/.rels", root.as_bytes()),
            ("office/book.xml", main.as_bytes()),
            ("office/_rels/book.xml.rels", links.as_bytes()),
            ("office/first.xml", sheet("1").as_bytes()),
            ("other/second.xml", sheet("2").as_bytes()),
        ]);
        let found: Vec<_> = list(&bytes).into_iter().map(|(place, _, text)| (place, text)).collect();
        assert_eq!(found, [("B & <C>!A1".into(), "=1".into()), ("A!A1".into(), "=2".into())]);
        let new = Workbook::open(&bytes).unwrap().with(&[(1, "=3")]).unwrap();
        assert_eq!(entry(&new, "other/second.xml"), sheet("3").replace("<x:v>1</x:v>", "").as_bytes());
        let marked = main.replace("</x:sheets>", r#"</x:sheets><x:calcPr fullCalcOnLoad="1"/>"#);
        assert_eq!(entry(&new, "office/book.xml"), marked.as_bytes());
    }

    #[test]
    fn writes_only_the_formula_and_drops_its_value() {
        let shared = r#"<c r="A2"><f t="shared" ref="A2:A3" si="0">OLD</f><v>1</v></c>"#;
        let rows = [
            (
                r#"<c r="B2" s="3" t="str"><f>OLD</f><v>2</v></c>"#,
                r#"<c r="B2" s="3" t="str"><f>NEW</f></c>"#,
            ),
            (r#"<c r="B2"><f ca="1"><![CDATA[OLD]]></f><v/></c>"#, r#"<c r="B2"><f ca="1">NEW</f></c>"#),
            ("<c><f>1</f><v>2</v></c><c><f>O<!-- -->LD</f></c>", "<c><f>1</f><v>2</v></c><c><f>NEW</f></c>"),
            (r#"<c r="B2"><v >2</v ><f>=OLD</f ><!----></c>"#, r#"<c r="B2"><f>NEW</f ><!----></c>"#),
            (
                &format!(
                    r#"{shared}<c r="A3"><f t="shared" si="0"/><v>2</v></c><c r="A4"><f t="shared" si="1"/><v>3</v></c>"#
                ),
                r#"<c r="A2"><f t="shared" ref="A2:A3" si="0">NEW</f></c><c r="A3"><f t="shared" si="0"/></c><c r="A4"><f t="shared" si="1"/><v>3</v></c>"#,
            ),
        ];
        for (old, new) in rows {
            let bytes = book(one(old).as_bytes(), "<calcPr/>");
            let workbook = Workbook::open(&bytes).unwrap();
            let index = workbook.formulas().iter().position(|f| f.text == "=OLD").unwrap();
            let text = if new.contains("ca=") { "=NEW" } else { "NEW" };
            let written = workbook.with(&[(index, "1"), (index, text)]).unwrap();
            assert_eq!(String::from_utf8(entry(&written, "xl/worksheets/one.xml")).unwrap(), one(new));
        }
    }

    #[test]
    fn asks_for_a_calculation_once() {
        let names = "<definedNames><definedName name=\"N\">A1</definedName></definedNames>";
        let rows = [
            ("", r#"<calcPr fullCalcOnLoad="1"/>"#),
            ("<oleSize/>", r#"<calcPr fullCalcOnLoad="1"/><oleSize/>"#),
            (r#"<calcPr calcId="1"/>"#, r#"<calcPr fullCalcOnLoad="1" calcId="1"/>"#),
            ("<calcPr></calcPr>", r#"<calcPr fullCalcOnLoad="1"></calcPr>"#),
            ("<calcPr fullCalcOnLoad = '&#48;' a='2'/>", "<calcPr fullCalcOnLoad = '1' a='2'/>"),
            (r#"<calcPr fullCalcOnLoad="true"/>"#, r#"<calcPr fullCalcOnLoad="true"/>"#),
            (
                &format!("{names}<ext><calcPr/></ext>"),
                &format!(r#"{names}<calcPr fullCalcOnLoad="1"/><ext><calcPr/></ext>"#),
            ),
        ];
        for (old, new) in rows {
            let bytes = book(one("<c><f>1</f></c>").as_bytes(), old);
            let written = Workbook::open(&bytes).unwrap().with(&[(0, "2")]).unwrap();
            assert_eq!(String::from_utf8(entry(&written, "xl/workbook.xml")).unwrap(), book_xml(new));
        }
    }

    #[test]
    fn repairs_names_and_leaves_the_calculation_alone_for_conditions() {
        let sheet = format!(
            r#"<worksheet {NS}><conditionalFormatting sqref="A1"><cfRule><formula>1</formula></cfRule></conditionalFormatting></worksheet>"#
        );
        let names =
            |text| format!(r#"<definedNames><definedName name="N">{text}</definedName></definedNames>"#);
        let bytes = book(sheet.as_bytes(), &names("1"));
        let workbook = Workbook::open(&bytes).unwrap();
        let written = workbook.with(&[(0, "2")]).unwrap();
        assert_eq!(
            entry(&written, "xl/worksheets/one.xml"),
            sheet.replace("<formula>1", "<formula>2").as_bytes()
        );
        assert_eq!(entry(&written, "xl/workbook.xml"), book_xml(&names("1")).as_bytes());
        let written = workbook.with(&[(1, "2")]).unwrap();
        let marked = format!(r#"{}<calcPr fullCalcOnLoad="1"/>"#, names("2"));
        assert_eq!(entry(&written, "xl/workbook.xml"), book_xml(&marked).as_bytes());
        assert_eq!(entry(&written, "xl/worksheets/one.xml"), sheet.as_bytes());
    }

    #[test]
    fn leaves_other_entries_as_they_are() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let plain = book(one("<c><f>1</f><v>1</v></c>").as_bytes(), "<calcPr/>");
        let mut source = ZipArchive::new(Cursor::new(&plain)).unwrap();
        for index in 0..source.len() {
            let mut file = source.by_index(index).unwrap();
            let time = DateTime::from_date_and_time(2003, 4, 5, 6, 7, 8).unwrap();
            let method = if index % 2 == 0 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
            let mut options =
                SimpleFileOptions::default().last_modified_time(time).compression_method(method);
            options = options.unix_permissions(0o640).compression_level((index % 2 == 1).then_some(1));
            let mut options = options.into_full_options();
            options.add_extra_field(0xCAFE, [1, 2, 3], true).unwrap();
            writer.start_file(file.name().unwrap(), options).unwrap();
            std::io::copy(&mut file, &mut writer).unwrap();
        }
        writer.set_comment("a comment").unwrap();
        let old = writer.finish().unwrap().into_inner();
        let workbook = Workbook::open(&old).unwrap();
        assert_eq!(workbook.with(&[]).unwrap(), old);
        assert_eq!(workbook.with(&[(0, "=1")]).unwrap(), old);
        let new = workbook.with(&[(0, "2")]).unwrap();
        let (mut a, mut b) =
            (ZipArchive::new(Cursor::new(&old)).unwrap(), ZipArchive::new(Cursor::new(&new)).unwrap());
        assert_eq!((a.len(), a.comment().to_vec()), (b.len(), b.comment().to_vec()));
        let mut changed = Vec::new();
        for index in 0..a.len() {
            let (mut a, mut b) = (a.by_index_raw(index).unwrap(), b.by_index_raw(index).unwrap());
            let name = a.name().unwrap().into_owned();
            assert_eq!(name, b.name().unwrap());
            assert_eq!((a.last_modified(), a.compression()), (b.last_modified(), b.compression()), "{name}");
            assert_eq!(
                (a.external_attributes(), a.system()),
                (b.external_attributes(), b.system()),
                "{name}"
            );
            let mut raw = (Vec::new(), Vec::new());
            a.read_to_end(&mut raw.0).unwrap();
            b.read_to_end(&mut raw.1).unwrap();
            if raw.0 == raw.1 {
                assert_eq!((a.crc32(), a.extra_data()), (b.crc32(), b.extra_data()), "{name}");
            } else {
                changed.push(name);
            }
        }
        assert_eq!(changed, ["xl/workbook.xml", "xl/worksheets/one.xml"]);
    }

    #[test]
    fn refuses_what_is_no_workbook() {
        let good = book(one("<c><f>1</f></c>").as_bytes(), "");
        let ole = |name: &str| {
            let mut bytes = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
            bytes.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
            bytes
        };
        let twice = {
            let mut bytes = zipped(&[("a/x.xml", b"1"), ("b/x.xml", b"2")]);
            while let Some(at) = memchr::memmem::find(&bytes, b"b/x.xml") {
                bytes[at] = b'a';
            }
            bytes
        };
        let binary =
            zipped(&[("_rels/.rels", rels(&[("a", "officeDocument", "xl/workbook.bin")]).as_bytes())]);
        let text = zipped(&[
            ("_rels/.rels", rels(&[("a", "officeDocument", "word/document.xml")]).as_bytes()),
            ("word/document.xml", b"<document/>"),
            ("word/_rels/document.xml.rels", rels(&[]).as_bytes()),
        ]);
        let rows = [
            (Vec::new(), "not an Excel workbook (.xlsx or .xlsm)"),
            (b"=A1+1".to_vec(), "not an Excel workbook (.xlsx or .xlsm)"),
            (zipped(&[("a", b"")]), "not an Excel workbook (.xlsx or .xlsm)"),
            (text, "not an Excel workbook (.xlsx or .xlsm)"),
            (ole("EncryptedPackage"), "encrypted workbook: save it without a password"),
            (ole("Workbook"), "workbook in the old .xls format: save it as .xlsx"),
            (binary, "binary .xlsb workbook: save it as .xlsx or .xlsm"),
            (twice, "workbook refused: two entries of the same name"),
            (
                zipped(&[("a/X.xml", b""), ("A\\x.XML", b"")]),
                "workbook refused: two entries of the same name",
            ),
            (b"PK\x01\x02".repeat(65_537), "workbook refused: too many entries"),
            (good[..good.len() / 2].to_vec(), "damaged workbook: archive: "),
            (good[..good.len() - 30].to_vec(), "damaged workbook: archive: "),
        ];
        for (bytes, wanted) in rows {
            let error = Workbook::open(&bytes).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error:?} instead of {wanted:?}");
        }
    }

    #[test]
    fn refuses_hostile_parts() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"&b;&b;\">]>".to_owned() + &one("<c><f>&a;</f></c>");
        let many: Vec<_> = (0..200).map(|i| format!(" xmlns:n{i}=\"urn:{i}\"")).collect();
        let damaged = "damaged workbook: xl/worksheets/one.xml: ";
        let rows = [
            (bomb.into_bytes(), "workbook refused: it has a DOCTYPE".to_owned()),
            ("<a>".repeat(100_000).into_bytes(), format!("{damaged}elements nested too deeply")),
            (
                vec![b' '; 17 << 20],
                "workbook refused: it inflates to far more than a workbook should".to_owned(),
            ),
            (one("<c><f>&a;</f></c>").into_bytes(), format!("{damaged}unknown entity")),
            (one("<c><f>1<b/></f></c>").into_bytes(), format!("{damaged}element inside a formula")),
            (one("<c><f>&#27;[2J</f></c>").into_bytes(), damaged.to_owned()),
            (
                one("<c r=\"B2\x1b[2J\"><f>1</f></c>").into_bytes(),
                format!("{damaged}character that XML forbids"),
            ),
            (one("<c r=\"12\"><f>1</f></c>").into_bytes(), format!("{damaged}bad name of a cell")),
            (one(&format!("<c{}/>", many.concat())).into_bytes(), damaged.to_owned()),
            (one("<c><f>1</c>").into_bytes(), damaged.to_owned()),
            (one("").into_bytes()[..80].to_vec(), damaged.to_owned()),
            (format!("<worksheet {NS}><sheetData>").into_bytes(), format!("{damaged}cut short")),
            (b"<a>\xff</a>".to_vec(), format!("{damaged}neither UTF-8 nor UTF-16")),
            (b"\xff\xfe<\0a".to_vec(), format!("{damaged}neither UTF-8 nor UTF-16")),
            (
                "<?xml version=\"1.0\" encoding=\"windows-1252\"?><a>ä</a>".into(),
                format!("{damaged}neither UTF-8 nor UTF-16"),
            ),
        ];
        for (sheet, wanted) in rows {
            let error = Workbook::open(&book(&sheet, "")).unwrap_err().to_string();
            assert!(error.starts_with(&wanted), "{error:?} instead of {wanted:?}");
        }
    }

    #[test]
    fn messages_are_short_and_plain() {
        let name = format!("{}\u{1b}[2J\u{9b}", "a".repeat(10_000));
        let error = Workbook::open(&book(format!("<{name}></b>").as_bytes(), "")).unwrap_err().to_string();
        assert!(error.len() < 300 && !error.contains(char::is_control), "{error:?}");
    }

    #[test]
    fn rules_share_their_cells() {
        let rule = "<cfRule><formula>1</formula></cfRule>".repeat(2);
        let sheet = format!(
            r#"<worksheet {NS}><conditionalFormatting sqref="A1">{rule}</conditionalFormatting></worksheet>"#
        );
        let bytes = book(sheet.as_bytes(), "");
        let workbook = Workbook::open(&bytes).unwrap();
        assert!(Arc::ptr_eq(&workbook.formulas()[0].cell, &workbook.formulas()[1].cell));
    }

    #[test]
    fn refuses_sheets_that_are_missing_or_one_part() {
        let open = |links: &[(&str, &str, &str)]| {
            let sheets = r#"<sheet name="A" r:id="a"/><sheet name="B" r:id="b"/>"#;
            let main = format!("<workbook {NS} {NS_R}><sheets>{sheets}</sheets></workbook>");
            let bytes = zipped(&[
                ("_rels/.rels", rels(&[("rId1", "officeDocument", "book.xml")]).as_bytes()),
                ("book.xml", main.as_bytes()),
                ("_rels/book.xml.rels", rels(links).as_bytes()),
                ("s.xml", cells("").as_bytes()),
            ]);
            Workbook::open(&bytes).map(|_| ()).unwrap_err().to_string()
        };
        let same = open(&[("a", "worksheet", "s.xml"), ("b", "worksheet", "S.xml")]);
        assert_eq!(same, "damaged workbook: S.xml: belongs to two sheets");
        let missing = open(&[("a", "worksheet", "s.xml"), ("b", "worksheet", "t.xml")]);
        assert_eq!(missing, "damaged workbook: t.xml: missing");
    }

    #[test]
    fn refuses_wrong_repairs() {
        let bytes = book(one("<c><f>1</f></c>").as_bytes(), "");
        let workbook = Workbook::open(&bytes).unwrap();
        assert_eq!(workbook.with(&[(1, "2")]), Err(WorkbookError::NoFormula(1)));
        assert_eq!(workbook.with(&[(0, "\0")]), Err(WorkbookError::BadText("Sheet 1!A2".into())));
    }

    #[test]
    fn reads_long_formulas_and_many() {
        let long = "1+".repeat(10_000) + "1";
        assert_eq!(
            list(&book(one(&format!("<c><f>{long}</f></c>")).as_bytes(), ""))[0].2.len(),
            long.len() + 1
        );
        let row = |row| format!("<row>{}</row>", format!("<c><f>A{row}</f><v>1</v></c>").repeat(10));
        let rows = (1..=2_000).map(row).collect::<Vec<_>>().concat();
        let bytes = book(cells(&rows).as_bytes(), "");
        let workbook = Workbook::open(&bytes).unwrap();
        assert_eq!(workbook.formulas().len(), 20_000);
        assert_eq!(&*workbook.formulas()[19_999].cell, "J2000");
        let all: Vec<_> = (0..20_000).map(|index| (index, "0")).collect();
        assert!(list(&workbook.with(&all).unwrap()).iter().all(|(_, _, text)| text == "=0"));
    }

    /// Pieces of a sheet, most of them whole.
    fn fragment() -> impl Strategy<Value = String> {
        let known = [
            "<row><c><f>1</f><v>1</v></c></row>",
            "<row r=\"7\"><c r=\"B7\"><v>é</v><f>A1&amp;&#65;<!-- --></f></c><c/></row>",
            "<row><c><f t=\"shared\" si=\"0\" ref=\"A1\">😀</f><v/></c><c><f t=\"shared\" si=\"0\"/><v>1</v></c></row>",
            "<row><c><f><![CDATA[<]]>&lt;</f><f>2</f></c></row>",
            "<row><c><v><row><c><f>1</f></c></row></v><f>1</f></c></row>",
            "</sheetData><conditionalFormatting><cfRule><formula>1</formula><formula>=2</formula></cfRule></conditionalFormatting><sheetData>",
            "</sheetData><dataValidations><dataValidation><formula1>1</formula1></dataValidation></dataValidations><sheetData>",
            "</sheetData><definedNames><definedName>1</definedName></definedNames><sheetData>",
            "é<?pi?>",
            "<row><c>",
            "</c></row>",
            "<f>",
            "&",
        ];
        proptest::collection::vec(proptest::sample::select(known.to_vec()), 0..6)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400), zip in any::<bool>()) {
            let head: &[u8] = if zip { b"PK\x03\x04" } else { b"" };
            _ = Workbook::open(&[head, &bytes].concat());
        }

        #[test]
        fn never_panics_on_changed_archives(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8)) {
            let mut bytes = book(one("<c><f>1</f><v>1</v></c>").as_bytes(), "<calcPr/>");
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(workbook) = Workbook::open(&bytes) {
                for index in 0..workbook.formulas().len() {
                    _ = workbook.with(&[(index, "2")]);
                }
            }
        }

        #[test]
        fn writes_what_it_reads_in_any_xml(xml in fragment(), text in "=[ -~é😀\r\n]{1,9}") {
            let bytes = book(cells(&xml).as_bytes(), "");
            if let Ok(workbook) = Workbook::open(&bytes) {
                let count = workbook.formulas().len();
                let repairs: Vec<_> = (0..count).map(|index| (index, text.as_str())).collect();
                let written = workbook.with(&repairs).unwrap();
                prop_assume!(!text.starts_with("==") && text.trim() != "=");
                let found = list(&written);
                prop_assert_eq!(found.len(), count);
                prop_assert!(found.iter().all(|found| found.2 == text));
            }
        }
    }
}
