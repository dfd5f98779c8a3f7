//! What the network is shown of a state, and in training what it should answer.

use std::collections::HashMap;

use super::tokens::{END, PAD, Pieces, Tokens, UNKNOWN};
use crate::lang::Fault;
use crate::state::{Event, State};

/// Noise levels the network is told: how many edits are still to come, in classes; 0 is "not told".
pub const LEVELS: i64 = 8;

/// The class of a number of edits.
pub fn level(n_edits: usize) -> u8 {
    match n_edits {
        0 => 0,
        1..=3 => u8::try_from(n_edits).expect("small"),
        4..=5 => 4,
        6..=8 => 5,
        9..=16 => 6,
        _ => 7,
    }
}

/// A state as numbers, one entry a lexeme and one for the end of the text.
#[derive(Clone, Debug)]
pub struct Input {
    pub pieces: Vec<Pieces>,
    /// [`crate::lexeme::Hint::index`].
    pub hints: Vec<u8>,
    /// [`Fault::code`] where the judge stumbled, else 0.
    pub faults: Vec<u8>,
    /// 0 elsewhere, 1 at the first fault, 2 at later ones; plus 3 when blanks stand before the lexeme.
    pub marks: Vec<u8>,
    /// The first position with the same lexeme.
    pub groups: Vec<u16>,
    pub level: u8,
}

impl Input {
    pub fn new(tokens: &Tokens, state: &State, faults: &[Fault]) -> Self {
        let n = state.len();
        let mut input = Self {
            pieces: Vec::with_capacity(n + 1),
            hints: state.hints().into_iter().map(|hint| u8::try_from(hint.index()).expect("small")).collect(),
            faults: vec![0; n + 1],
            marks: Vec::with_capacity(n + 1),
            groups: Vec::with_capacity(n + 1),
            level: 0,
        };
        let mut first_seen: HashMap<String, u16> = HashMap::new();
        for idx in 0..n {
            let lexeme = state.lexeme(idx);
            let here = u16::try_from(idx).expect("windows are short");
            input.groups.push(*first_seen.entry(lexeme.to_string()).or_insert(here));
            input.pieces.push(tokens.pieces(&lexeme));
            input.marks.push(if state.lexemes[idx].start < state.lexemes[idx].span.start { 3 } else { 0 });
        }
        input.pieces.push([END, PAD, PAD, PAD]);
        input.hints.push(0);
        input.marks.push(0);
        input.groups.push(u16::try_from(n).expect("windows are short"));
        for (nth, fault) in faults.iter().enumerate().rev() {
            let at = if fault.span.start >= state.text.len() { n } else { state.at_byte(fault.span.start) };
            input.faults[at] = fault.code;
            input.marks[at] = input.marks[at] / 3 * 3 + if nth == 0 { 1 } else { 2 };
        }
        input
    }

    /// Places, the end of the text included.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }
}

/// What a lexeme should become.
pub const KEEP: u8 = 0;
pub const DELETE: u8 = 1;
pub const SUBSTITUTE: u8 = 2;

/// A lexeme to write.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    /// The lexeme that is replaced, or the one before which something is missing.
    pub at: u16,
    pub is_insert: bool,
    /// Id in the vocabulary; [`UNKNOWN`] when it can be neither written nor copied.
    pub id: Option<u16>,
    /// The group in the window that it can be copied from.
    pub group: Option<u16>,
}

/// An input with the answer: the events that undo the damage.
#[derive(Clone, Debug)]
pub struct Example {
    pub input: Input,
    pub ops: Vec<u8>,
    pub inserts: Vec<u8>,
    pub contents: Vec<Content>,
}

impl Example {
    /// Where several lexemes are missing in one gap, the leftmost is the answer: the others follow in
    /// later steps.
    pub fn new(tokens: &Tokens, state: &State, faults: &[Fault], events: &[Event]) -> Self {
        let input = Input::new(tokens, state, faults);
        let n = input.len();
        let mut groups: HashMap<String, u16> = HashMap::new();
        for idx in 0..state.len() {
            groups.entry(state.lexeme(idx).to_string()).or_insert(input.groups[idx]);
        }
        let mut example = Self { input, ops: vec![KEEP; n], inserts: vec![0; n], contents: Vec::new() };
        for event in events {
            let (at, text, is_insert) = match event {
                Event::Delete { at } => {
                    example.ops[*at] = DELETE;
                    continue;
                }
                Event::Substitute { at, text } => {
                    example.ops[*at] = SUBSTITUTE;
                    (*at, text, false)
                }
                Event::Insert { at, .. } if example.inserts[*at] == 1 => continue,
                Event::Insert { at, text } => {
                    example.inserts[*at] = 1;
                    (*at, text, true)
                }
            };
            let (id, group) = (tokens.id(text), groups.get(text.as_str()).copied());
            let id = if id.is_none() && group.is_none() { Some(UNKNOWN) } else { id };
            example.contents.push(Content {
                at: u16::try_from(at).expect("windows are short"),
                is_insert,
                id,
                group,
            });
        }
        example
    }
}
