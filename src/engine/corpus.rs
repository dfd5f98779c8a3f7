//! Good code to damage: JSON lines `{"text", "source"}`, plain or zstd-compressed, which may name a `damage` that people do
//! to such a text; and real pairs of broken and fixed code, `{"broken", "fixed"}`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use rand::Rng;
use rand::seq::IteratorRandom;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::noise::Damage;
use crate::lang::{Dialect, Language};

/// Good code.
#[derive(Deserialize)]
pub struct Document {
    pub text: String,
    /// What people do to it.
    pub damage: Option<Damage>,
}

/// Broken code and what a person made of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Pair {
    pub broken: String,
    pub fixed: String,
    /// The smallest part of the fix that parses.
    pub fixed_min: Option<String>,
}

/// Reads JSON lines, decompressing by file name.
pub fn read_lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>> {
    let name = || format!("reading `{}`", path.display());
    let file = File::open(path).with_context(name)?;
    let reader: Box<dyn Read> = if path.extension().is_some_and(|extension| extension == "zst") {
        Box::new(zstd::Decoder::new(file).with_context(name)?)
    } else {
        Box::new(file)
    };
    let mut rows = Vec::new();
    for line in BufReader::new(reader).lines() {
        rows.push(serde_json::from_str(&line.with_context(name)?).with_context(name)?);
    }
    Ok(rows)
}

/// Texts to cut training windows from.
pub struct Corpus {
    documents: Vec<Document>,
    /// Chance of each text, summed up to it: longer ones are drawn more often, within reason.
    sums: Vec<f64>,
}

impl Corpus {
    pub fn load(path: &Path) -> Result<Self> {
        Ok(Self::new(read_lines(path)?))
    }

    pub fn new(documents: Vec<Document>) -> Self {
        let mut sum = 0.0;
        let sums = documents.iter().map(|document| {
            let n_lines = document.text.bytes().filter(|byte| *byte == b'\n').count();
            sum += f64::from(u32::try_from(n_lines.min(400)).expect("small") + 1);
            sum
        });
        let sums = sums.collect();
        Self { documents, sums }
    }

    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    fn draw_document(&self, rng: &mut ChaCha8Rng) -> Option<&Document> {
        let at = rng.random_range(0.0..*self.sums.last()?);
        self.documents.get(self.sums.partition_point(|sum| *sum <= at))
    }

    /// Cuts whole lines that the language's judge accepts on their own, about `n_lines` of them.
    pub fn draw(&self, language: &dyn Language, n_lines: usize, rng: &mut ChaCha8Rng) -> Option<Document> {
        let Document { text, damage } = self.draw_document(rng)?;
        let part = |text| Document { text, damage: *damage };
        let starts: Vec<usize> = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .filter(|at| *at < text.len())
            .collect();
        let is_good = |part: &str| language.faults(part, Dialect::default()).is_empty();
        if starts.len() <= n_lines {
            return is_good(text).then(|| part(text.clone()));
        }
        let first = rng.random_range(0..starts.len());
        let tries = [0, 1, 2, 3, 4, 6, 8];
        tries.iter().find_map(|more| {
            let end = starts.get(first + n_lines + more).copied().unwrap_or(text.len());
            let lines = dedent(&text[starts[first]..end])?;
            is_good(&lines).then(|| part(lines))
        })
    }

    /// Cuts a whole block that opens with `word`, such as a function.
    pub fn draw_block(&self, language: &dyn Language, word: &str, rng: &mut ChaCha8Rng) -> Option<Document> {
        let Document { text, damage } = self.draw_document(rng)?;
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let indent = |line: &str| line.len() - line.trim_start().len();
        let opens =
            |line: &str| line.trim_start().strip_prefix(word).is_some_and(|rest| rest.starts_with(' '));
        let first = (0..lines.len()).filter(|idx| opens(lines[*idx])).choose(rng)?;
        let is_inside = |line: &&&str| line.trim().is_empty() || indent(line) > indent(lines[first]);
        let n_lines = 1 + lines[first + 1..].iter().take_while(is_inside).count();
        let block = dedent(&lines[first..first + n_lines].concat())?;
        let block = format!("{}\n", block.trim_end());
        let is_good = language.faults(&block, Dialect::default()).is_empty();
        is_good.then_some(Document { text: block, damage: *damage })
    }
}

/// Takes the first line's indentation off every line; `None` when a line has less, or nothing is left.
fn dedent(text: &str) -> Option<String> {
    let first = text.lines().next()?;
    let indent = &first[..first.len() - first.trim_start().len()];
    let mut lines = Vec::new();
    for line in text.split_inclusive('\n') {
        match line.strip_prefix(indent) {
            Some(rest) => lines.push(rest),
            None if line.trim().is_empty() => lines.push("\n"),
            None => return None,
        }
    }
    let text = lines.concat();
    (!text.trim().is_empty()).then_some(text)
}
