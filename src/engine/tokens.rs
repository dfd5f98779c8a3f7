//! Lexemes to numbers: one byte-pair vocabulary holds whole lexemes and the pieces of rare words.
//!
//! A lexeme that is an entry of its own gets one id; any other is split into pieces, whose mean stands
//! for it. The first [`Tokens::n_emit`] ids are lexemes that the network may write; what is not among
//! them it can still copy from the window.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Result, anyhow};
use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::{Model, Tokenizer, Trainer};

/// Stands before every lexeme, so that `print` the word and `print` inside a word differ.
const START: &str = "▁";
/// Padding, also an absent piece.
pub const PAD: u16 = 0;
/// A lexeme that can be neither written nor copied.
pub const UNKNOWN: u16 = 1;
/// Follows the last lexeme.
pub const END: u16 = 2;
const SPECIAL: [&str; 3] = ["<pad>", "<unknown>", "<end>"];

pub const PIECES: usize = 4;
/// Pieces of one lexeme; absent ones are [`PAD`].
pub type Pieces = [u16; PIECES];

/// A vocabulary.
#[derive(Clone)]
pub struct Tokens {
    bpe: BPE,
    /// Text of the ids that may be written.
    emit: Vec<String>,
    whole: HashMap<String, u16>,
}

/// How large a vocabulary to learn.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Whole lexemes, specials included.
    pub emit: usize,
    /// Byte-pair entries to learn for the rest; those that are whole lexemes already count once.
    pub pieces: usize,
}

impl Tokens {
    /// No entries at all: a place-holder until one is learned or read.
    pub(super) fn empty() -> Self {
        Self { bpe: BPE::default(), emit: Vec::new(), whole: HashMap::new() }
    }

    /// Learns a vocabulary from the lexemes of each document. Those in `always` get an entry however
    /// rare they are.
    pub fn train<'d>(
        documents: impl Iterator<Item = &'d [String]>,
        always: &[String],
        sizes: Sizes,
    ) -> Result<Self> {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for lexeme in documents.flatten() {
            *counts.entry(lexeme.as_str()).or_default() += 1;
        }
        let mut common: Vec<(&str, u64)> = counts.iter().map(|(lexeme, n)| (*lexeme, *n)).collect();
        common.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let mut seen = HashSet::new();
        let wanted = always.iter().map(String::as_str).chain(common.iter().map(|(lexeme, _)| *lexeme));
        let emit: Vec<String> = SPECIAL
            .into_iter()
            .chain(wanted.filter(|lexeme| seen.insert(*lexeme)))
            .take(sizes.emit)
            .map(str::to_owned)
            .collect();

        // Counts are damped: rare words teach more about pieces than frequent ones, which are whole anyway.
        let words = common.iter().flat_map(|(lexeme, n)| {
            let times = usize::try_from(n.isqrt()).unwrap_or(usize::MAX);
            std::iter::repeat_n(format!("{START}{lexeme}"), times.min(200))
        });
        let mut trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(sizes.pieces)
            .limit_alphabet(300)
            .min_frequency(2)
            .build();
        let words: Vec<String> = words.collect();
        trainer.feed(words.iter(), |word| Ok(vec![word.to_owned()])).map_err(|e| anyhow!(e))?;
        let mut learned = BPE::default();
        trainer.train(&mut learned).map_err(|e| anyhow!(e))?;
        let parts: serde_json::Value = serde_json::to_value(&learned)?;

        let mut vocab: HashMap<String, u32> = HashMap::new();
        for (id, lexeme) in emit.iter().enumerate() {
            let entry = if id < SPECIAL.len() { lexeme.clone() } else { format!("{START}{lexeme}") };
            vocab.insert(entry, u32::try_from(id)?);
        }
        let mut pieces: Vec<(u64, &String)> = parts["vocab"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(piece, id)| (id.as_u64().unwrap_or_default(), piece))
            .collect();
        pieces.sort_unstable();
        for (_, piece) in pieces {
            let next = u32::try_from(vocab.len())?;
            vocab.entry(piece.clone()).or_insert(next);
        }
        let merges = parts["merges"].as_array().into_iter().flatten().filter_map(|merge| match merge {
            serde_json::Value::Array(pair) => {
                Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()))
            }
            serde_json::Value::String(pair) => {
                pair.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()))
            }
            _ => None,
        });
        let bpe = BPE::builder()
            .vocab_and_merges(vocab.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges.collect())
            .ignore_merges(true)
            .build()
            .map_err(|e| anyhow!(e))?;
        Ok(Self::from_bpe(bpe, emit.len()))
    }

    /// Reads `tokenizer.json`, of whose entries the first `n_emit` may be written.
    pub fn load(path: &Path, n_emit: usize) -> Result<Self> {
        let tokenizer = Tokenizer::from_file(path).map_err(|e| anyhow!("`{}`: {e}", path.display()))?;
        match tokenizer.get_model() {
            ModelWrapper::BPE(bpe) => Ok(Self::from_bpe(bpe.clone(), n_emit)),
            _ => Err(anyhow!("`{}` is not a byte-pair vocabulary", path.display())),
        }
    }

    pub fn save(&self, path: &Path) -> Result<()> {
        Tokenizer::new(self.bpe.clone()).save(path, false).map_err(|e| anyhow!("`{}`: {e}", path.display()))
    }

    fn from_bpe(bpe: BPE, n_emit: usize) -> Self {
        let text = |id: usize| {
            let entry = bpe.id_to_token(u32::try_from(id).expect("small")).unwrap_or_default();
            entry.strip_prefix(START).map_or(entry.clone(), str::to_owned)
        };
        let emit: Vec<String> = (0..n_emit).map(text).collect();
        let whole = emit
            .iter()
            .enumerate()
            .skip(SPECIAL.len())
            .map(|(id, lexeme)| (lexeme.clone(), u16::try_from(id).expect("fewer than 65,536 entries")))
            .collect();
        Self { bpe, emit, whole }
    }

    /// The pieces of a lexeme: all of a short word, the first three and the last of a long one.
    pub fn pieces(&self, lexeme: &str) -> Pieces {
        if let Some(id) = self.whole.get(lexeme) {
            return [*id, PAD, PAD, PAD];
        }
        let ids: Vec<u16> = self
            .bpe
            .tokenize(&format!("{START}{lexeme}"))
            .unwrap_or_default()
            .iter()
            .map(|token| u16::try_from(token.id).expect("fewer than 65,536 entries"))
            .collect();
        let mut pieces = [PAD; PIECES];
        match ids.as_slice() {
            [] => pieces[0] = UNKNOWN,
            short if short.len() <= PIECES => pieces[..short.len()].copy_from_slice(short),
            long => {
                pieces[..PIECES - 1].copy_from_slice(&long[..PIECES - 1]);
                pieces[PIECES - 1] = long[long.len() - 1];
            }
        }
        pieces
    }

    /// The id with which the network writes a lexeme, if it can.
    pub fn id(&self, lexeme: &str) -> Option<u16> {
        self.whole.get(lexeme).copied()
    }

    /// The lexeme of an id below [`Tokens::n_emit`]; `None` for padding and the like.
    pub fn lexeme(&self, id: usize) -> Option<&str> {
        (id >= SPECIAL.len()).then(|| self.emit.get(id).map(String::as_str)).flatten()
    }

    pub fn n_emit(&self) -> usize {
        self.emit.len()
    }

    pub fn size(&self) -> usize {
        self.bpe.get_vocab_size()
    }
}
