//! Finds the formulas in a part.

use std::ops::Range;
use std::sync::Arc;

use super::package::Part;
use super::xml::{Element, MAIN, Step, Walk, is_xml};
use super::{Kind, Result, damaged};
use crate::lang::excel::{column_letters, column_number};

/// Elements that matter here. Each counts only where the format puts it, so that no formula lies inside another.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tag {
    Other,
    Root,
    Cells,
    Row,
    Cell,
    Value,
    Conditions,
    Rule,
    Validations,
    Validation,
    Names,
    Formula,
}

impl Tag {
    fn new(parent: Option<Self>, name: &str) -> Self {
        use Tag::{
            Cell, Cells, Conditions, Formula, Names, Other, Root, Row, Rule, Validation, Validations, Value,
        };
        let Some(parent) = parent else {
            return if matches!(name, "worksheet" | "workbook") { Root } else { Other };
        };
        match (parent, name) {
            (Root, "sheetData") => Cells,
            (Cells, "row") => Row,
            (Row, "c") => Cell,
            (Cell, "v") => Value,
            (Root, "conditionalFormatting") => Conditions,
            (Conditions, "cfRule") => Rule,
            (Root, "dataValidations") => Validations,
            (Validations, "dataValidation") => Validation,
            (Root, "definedNames") => Names,
            (Cell, "f")
            | (Rule, "formula")
            | (Validation, "formula1" | "formula2")
            | (Names, "definedName") => Formula,
            _ => Other,
        }
    }
}

/// A formula as it stands in a part. Only a cell that shares the formula of another has an empty text.
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) place: Arc<str>,
    pub(super) text: String,
    /// The content of the element.
    pub(super) inner: Range<usize>,
    /// The cached value, with its tags.
    pub(super) value: Option<Range<usize>>,
    /// Number of the shared formula.
    pub(super) group: Option<String>,
    /// Index of the sheet that a defined name belongs to.
    pub(super) scope: Option<usize>,
}

/// Gives every formula of a part to `sink`.
pub(super) fn find(text: &str, part: &Part, sink: &mut dyn FnMut(Found) -> Result<()>) -> Result<()> {
    let mut walk = Walk::new(text, part, MAIN);
    let mut finder = Finder::default();
    while let Some(step) = walk.next()? {
        match step {
            Step::Open(element) => finder.open(&element)?,
            Step::Text(text) => finder.text(&text),
            Step::Close(span) => {
                if let Some(found) = finder.close(&span) {
                    if !found.text.chars().all(is_xml) {
                        return Err(damaged(&part.name, "character that XML forbids"));
                    }
                    sink(found)?;
                }
            }
        }
    }
    Ok(())
}

/// What is known of the elements that are open.
#[derive(Default)]
struct Finder {
    tags: Vec<Tag>,
    row: u32,
    column: u32,
    /// The cell, or the cells of a condition or validation.
    place: Arc<str>,
    /// The formula whose text is being read.
    reading: Option<Found>,
    /// The formula and the value of the cell.
    formula: Option<Found>,
    value: Option<Range<usize>>,
}

impl Finder {
    fn open(&mut self, element: &Element) -> Result<()> {
        if self.reading.is_some() {
            return Err(damaged(element.part, "element inside a formula"));
        }
        let parent = self.tags.last().copied();
        let tag = Tag::new(parent, element.name());
        match tag {
            Tag::Row => {
                let number = element.attribute("r")?.and_then(|r| r.trim().parse().ok());
                self.row = number.unwrap_or(self.row.saturating_add(1));
                self.column = 0;
            }
            Tag::Cell => {
                self.value = None;
                self.enter_cell(element)?;
            }
            Tag::Value => self.value = Some(element.span.clone()),
            Tag::Conditions | Tag::Validation => {
                self.place = element.attribute("sqref")?.unwrap_or_default().into();
            }
            Tag::Formula => self.reading = self.start(parent, element)?,
            _ => {}
        }
        self.tags.push(tag);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(formula) = &mut self.reading {
            formula.text.push_str(text);
        }
    }

    /// The formula that is complete with the end of an element.
    fn close(&mut self, span: &Range<usize>) -> Option<Found> {
        match self.tags.pop()? {
            Tag::Formula => {
                let mut found = self.reading.take()?;
                found.inner.end = span.start;
                // Some programs write the sign, which the format leaves out.
                if found.text.starts_with("==") {
                    found.text.remove(0);
                }
                if self.tags.last() != Some(&Tag::Cell) {
                    return Some(found);
                }
                self.formula = Some(found);
                None
            }
            Tag::Value => {
                self.value.as_mut()?.end = span.end;
                None
            }
            Tag::Cell => self.formula.take().map(|found| Found { value: self.value.take(), ..found }),
            _ => None,
        }
    }

    /// A cell may leave its name out; then it is the next one of its row.
    fn enter_cell(&mut self, element: &Element) -> Result<()> {
        if let Some(name) = element.attribute("r")? {
            self.column = column(&name).ok_or_else(|| damaged(element.part, "bad name of a cell"))?;
            self.place = name.into();
        } else {
            self.column = self.column.saturating_add(1);
            self.place = format!("{}{}", column_letters(self.column), self.row).into();
        }
        Ok(())
    }

    /// The formula that starts with `element`; none for data tables and for names of macros.
    fn start(&self, parent: Option<Tag>, element: &Element) -> Result<Option<Found>> {
        let mut found = Found {
            kind: Kind::Cell,
            place: Arc::clone(&self.place),
            text: "=".to_owned(),
            inner: element.span.end..element.span.end,
            value: None,
            group: None,
            scope: None,
        };
        match parent {
            Some(Tag::Cell) => {
                let range = element.attribute("ref")?;
                match (element.attribute("t")?.as_deref(), range) {
                    (Some("dataTable"), _) => return Ok(None),
                    (Some("array"), Some(range)) => found.kind = Kind::Array(range),
                    (Some("shared"), range) => {
                        found.kind = range.map_or(Kind::Cell, Kind::Shared);
                        found.group = element.attribute("si")?;
                    }
                    _ => {}
                }
            }
            Some(Tag::Rule) => found.kind = Kind::Condition,
            Some(Tag::Validation) => found.kind = Kind::Validation,
            _ => {
                for macro_mark in ["function", "vbProcedure", "xlm"] {
                    if matches!(element.attribute(macro_mark)?.as_deref(), Some("1" | "true")) {
                        return Ok(None);
                    }
                }
                found.kind = Kind::Name;
                found.place = element.attribute("name")?.unwrap_or_default().into();
                found.scope = element.attribute("localSheetId")?.and_then(|id| id.trim().parse().ok());
            }
        }
        Ok(Some(found))
    }
}

/// Number of the column in the name of a cell: 28 for `AB7`.
fn column(cell: &str) -> Option<u32> {
    let digits = cell.find(|c: char| c.is_ascii_digit())?;
    let (letters, row) = cell.split_at(digits);
    let is_row = row.len() <= 7 && row.bytes().all(|b| b.is_ascii_digit());
    column_number(letters).filter(|_| is_row)
}
