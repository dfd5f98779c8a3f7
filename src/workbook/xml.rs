//! The XML of one part, step by step and with byte positions.

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use quick_xml::XmlVersion::Explicit1_0;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, QName, ResolveResult};
use quick_xml::reader::NsReader;
use zip::CompressionMethod;

use super::package::{Archive, Part};
use super::{Result, WorkbookError, damaged};

/// Deepest nesting of elements.
const MAX_DEPTH: usize = 256;
/// Elements of workbooks and sheets, in transitional and in strict files.
pub(super) const MAIN: &[&str] = &[
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
];
/// Attribute `r:id`, in transitional and in strict files.
const RELATION: &[&str] = &[
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "http://purl.oclc.org/ooxml/officeDocument/relationships",
];

/// How UTF-16 is read and written in either order of bytes.
type Wide = (fn([u8; 2]) -> u16, fn(u16) -> [u8; 2]);
const WIDE_LITTLE: Wide = (u16::from_le_bytes, u16::to_le_bytes);
const WIDE_BIG: Wide = (u16::from_be_bytes, u16::to_be_bytes);

/// The text of a part; UTF-16 is written back as UTF-16. A byte order mark stays part of the text.
pub(super) struct Xml {
    pub(super) text: String,
    wide: Option<fn(u16) -> [u8; 2]>,
}

impl Xml {
    /// Inflates a part, but never more than `budget`, from which it takes what it used.
    pub(super) fn read(archive: &mut Archive, part: &Part, budget: &mut u64) -> Result<Self> {
        let file = archive.by_index(part.entry).map_err(|error| damaged(&part.name, error))?;
        if !matches!(file.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(damaged(&part.name, "unknown compression"));
        }
        let mut bytes = Vec::new();
        file.take(*budget + 1).read_to_end(&mut bytes).map_err(|error| damaged(&part.name, error))?;
        let rest = budget.checked_sub(bytes.len() as u64);
        *budget = rest.ok_or(WorkbookError::Refused("it inflates to far more than a workbook should"))?;
        Self::decode(bytes).ok_or_else(|| damaged(&part.name, "neither UTF-8 nor UTF-16"))
    }

    fn decode(bytes: Vec<u8>) -> Option<Self> {
        let little = match bytes.get(..2) {
            Some([0xFF, 0xFE] | [b'<', 0]) => true,
            Some([0xFE, 0xFF] | [0, b'<']) => false,
            _ => return Some(Self { text: String::from_utf8(bytes).ok()?, wide: None }),
        };
        let (from, wide) = if little { WIDE_LITTLE } else { WIDE_BIG };
        let (pairs, rest) = bytes.as_chunks::<2>();
        let text = char::decode_utf16(pairs.iter().copied().map(from)).collect::<Result<_, _>>().ok()?;
        rest.is_empty().then_some(Self { text, wide: Some(wide) })
    }

    pub(super) fn encode(&self, text: &str) -> Vec<u8> {
        self.wide.map_or_else(|| text.as_bytes().to_vec(), |to| text.encode_utf16().flat_map(to).collect())
    }
}

/// One step through a part.
pub(super) enum Step<'a> {
    Open(Element<'a>),
    Close(Range<usize>),
    Text(Cow<'a, str>),
}

/// The start of an element, and where its tag stands.
pub(super) struct Element<'a> {
    pub(super) start: BytesStart<'a>,
    pub(super) part: &'a str,
    pub(super) span: Range<usize>,
    ours: bool,
}

impl Element<'_> {
    /// Name without prefix; empty for an element of another namespace.
    pub(super) fn name(&self) -> &str {
        if self.ours { self.start.local_name().into_inner() } else { "" }
    }

    pub(super) fn attribute(&self, name: &str) -> Result<Option<String>> {
        self.attribute_by(|key| key.into_inner() == name)
    }

    fn attribute_by(&self, wanted: impl Fn(QName) -> bool) -> Result<Option<String>> {
        for attribute in self.start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| damaged(self.part, error))?;
            if wanted(attribute.key) {
                let value = attribute.normalized_value(Explicit1_0);
                let value = value.map_err(|error| damaged(self.part, error))?.into_owned();
                let legal = value.chars().all(is_xml).then_some(value);
                return legal.map(Some).ok_or_else(|| damaged(self.part, "character that XML forbids"));
            }
        }
        Ok(None)
    }
}

/// Walks through the XML of a part; refuses what well-formed parts do not have.
pub(super) struct Walk<'a> {
    reader: NsReader<&'a [u8]>,
    part: &'a str,
    /// The namespaces of the elements that the caller knows.
    namespaces: &'static [&'static str],
    /// Bytes of the byte order mark, which the reader does not count.
    skipped: usize,
    /// How many elements are open.
    pub(super) depth: usize,
    ascii: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(text: &'a str, part: &'a Part, namespaces: &'static [&'static str]) -> Self {
        let xml = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = NsReader::from_str(xml);
        reader.config_mut().expand_empty_elements = true;
        let skipped = text.len() - xml.len();
        Self { reader, part: &part.name, namespaces, skipped, depth: 0, ascii: text.is_ascii() }
    }

    /// Where the next step starts.
    fn position(&self) -> usize {
        // The text is in memory, so its length fits.
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX) + self.skipped
    }

    pub(super) fn next(&mut self) -> Result<Option<Step<'a>>> {
        let (part, known) = (self.part, self.namespaces);
        loop {
            let at = self.position();
            let (space, event) = self.reader.read_resolved_event().map_err(|error| damaged(part, error))?;
            let ours = matches!(space, ResolveResult::Bound(Namespace(name)) if known.contains(&name));
            return Ok(Some(match event {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(damaged(part, "elements nested too deeply"));
                    }
                    Step::Open(Element { start, part, span: at..self.position(), ours })
                }
                Event::End(_) => {
                    self.depth -= 1;
                    Step::Close(at..self.position())
                }
                Event::Text(text) => Step::Text(text.xml10_content()),
                Event::CData(text) => Step::Text(text.xml10_content()),
                Event::GeneralRef(name) => Step::Text(entity(part, &name)?.into()),
                Event::DocType(_) => return Err(WorkbookError::Refused("it has a DOCTYPE")),
                Event::Decl(declaration) => {
                    let utf = |name: Cow<str>| name.to_ascii_lowercase().starts_with("utf-");
                    if !self.ascii && declaration.encoding().is_some_and(|name| !name.is_ok_and(utf)) {
                        return Err(damaged(part, "neither UTF-8 nor UTF-16"));
                    }
                    continue;
                }
                Event::Comment(_) | Event::PI(_) | Event::Empty(_) => continue,
                Event::Eof if self.depth > 0 => return Err(damaged(part, "cut short")),
                Event::Eof => return Ok(None),
            }));
        }
    }

    /// The value of `r:id`, or nothing.
    pub(super) fn relation(&self, element: &Element) -> Result<String> {
        let wanted = |key: QName| {
            let (space, name) = self.reader.resolver().resolve_attribute(key);
            let ours = matches!(space, ResolveResult::Bound(Namespace(space)) if RELATION.contains(&space));
            ours && name.into_inner() == "id"
        };
        Ok(element.attribute_by(wanted)?.unwrap_or_default())
    }
}

/// What `&name;` stands for.
fn entity(part: &str, name: &BytesRef) -> Result<String> {
    let known = quick_xml::escape::resolve_xml_entity(name).map(str::to_owned);
    let number = name.resolve_char_ref().map_err(|error| damaged(part, error))?;
    known.or_else(|| number.map(String::from)).ok_or_else(|| damaged(part, "unknown entity"))
}

/// Whether XML can hold the character.
pub(super) fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}
