//! Keeps the first and the last part of a stream that may have no end.

use std::collections::VecDeque;
use std::io::Read;

use serde::{Deserialize, Serialize};

/// What is kept of a stream. Bytes that are no UTF-8 are replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// All of it, unless something was left out.
    pub first: String,
    /// Bytes between the two parts.
    pub left_out: u64,
    pub last: String,
}

impl Output {
    /// Both parts, with a line between them that says how much is missing.
    pub fn text(&self) -> String {
        match self.left_out {
            0 => self.first.clone(),
            n => format!("{}\n[{n} bytes left out]\n{}", self.first, self.last),
        }
    }
}

/// Reads to the end of the stream, or to its first error.
pub(super) fn capture(mut stream: impl Read, limit: usize) -> Output {
    let mut kept = Kept::new(limit);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return kept.into_output(),
            Ok(n) => kept.take(&chunk[..n]),
        }
    }
}

struct Kept {
    first_limit: usize,
    last_limit: usize,
    first: Vec<u8>,
    last: VecDeque<u8>,
    left_out: u64,
}

impl Kept {
    fn new(limit: usize) -> Self {
        let first_limit = limit / 2;
        Self {
            first_limit,
            last_limit: limit - first_limit,
            first: Vec::new(),
            last: VecDeque::new(),
            left_out: 0,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let n_first = bytes.len().min(self.first_limit - self.first.len());
        let (first, rest) = bytes.split_at(n_first);
        self.first.extend_from_slice(first);
        let (skipped, rest) = rest.split_at(rest.len().saturating_sub(self.last_limit));
        let n_pushed_out = (self.last.len() + rest.len()).saturating_sub(self.last_limit);
        self.last.drain(..n_pushed_out);
        self.last.extend(rest);
        self.left_out += (skipped.len() + n_pushed_out) as u64;
    }

    fn into_output(mut self) -> Output {
        let last: Vec<u8> = self.last.into();
        if self.left_out == 0 {
            self.first.extend(last);
            return Output { first: lossy(&self.first), left_out: 0, last: String::new() };
        }
        Output { first: lossy(&self.first), left_out: self.left_out, last: lossy(&last) }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out `chunks` one read at a time.
    struct Chunks<'a>(&'a [&'a str]);

    impl Read for Chunks<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some((chunk, rest)) = self.0.split_first() else { return Ok(0) };
            self.0 = rest;
            buffer[..chunk.len()].copy_from_slice(chunk.as_bytes());
            Ok(chunk.len())
        }
    }

    #[track_caller]
    fn check(chunks: &[&str], limit: usize, expected: (&str, u64, &str)) {
        let output = capture(Chunks(chunks), limit);
        assert_eq!((output.first.as_str(), output.left_out, output.last.as_str()), expected);
    }

    #[test]
    fn keeps_all_of_a_short_stream() {
        check(&["ab", "cd"], 4, ("abcd", 0, ""));
        check(&[], 4, ("", 0, ""));
        check(&["a", "ä"], 4, ("aä", 0, ""));
    }

    #[test]
    fn keeps_both_ends_of_a_long_one() {
        check(&["abcdefgh"], 4, ("ab", 4, "gh"));
        check(&["a", "b", "c", "d", "e"], 4, ("ab", 1, "de"));
        check(&["abc", "defghij", "k"], 5, ("ab", 6, "ijk"));
        check(&["abc"], 0, ("", 3, ""));
    }
}
