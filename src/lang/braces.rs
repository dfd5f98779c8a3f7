//! Where braces and indentation disagree.
//!
//! A parser notices a missing `}` at the end of the file, far from where it belongs: each block takes the
//! brace of the block around it. People see from the indentation which block that was, and so do the
//! hints of rustc.

use std::ops::Range;

/// The braces of a text that are code, in order.
pub(super) struct Braces<'t> {
    text: &'t str,
    pairs: Vec<Pair>,
    /// Where lines start, but for the first.
    starts: Vec<usize>,
    /// Parts of several lines, such as strings and comments, whose indentation says nothing.
    torn: &'t [Range<usize>],
}

#[derive(Clone, Copy)]
struct Pair {
    open: usize,
    /// `None` when it is never closed.
    close: Option<usize>,
}

impl<'t> Braces<'t> {
    /// Of each brace its byte, and whether it opens a block.
    pub(super) fn new(text: &'t str, mut braces: Vec<(usize, bool)>, torn: &'t [Range<usize>]) -> Self {
        braces.sort_unstable();
        braces.dedup();
        let mut pairs: Vec<Pair> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        for (at, opens) in braces {
            if opens {
                open.push(pairs.len());
                pairs.push(Pair { open: at, close: None });
            } else if let Some(idx) = open.pop() {
                pairs[idx].close = Some(at);
            }
        }
        let starts = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1).collect();
        Self { text, pairs, starts, torn }
    }

    /// The opening brace whose partner is missing, and the byte before which it belongs, where the parser
    /// missed the partner of `opener`.
    pub(super) fn unclosed(&self, opener: usize) -> (usize, usize) {
        let Some(mut block) = self.pairs.iter().find(|pair| pair.open == opener).copied() else {
            return (opener, opener);
        };
        // A block that closes where the block around it would, but opens deeper, took a brace that is not its own.
        let took = |pair: &Pair, around: &Pair| {
            let depth = self.depth(around.open);
            self.closes_line(pair).is_some_and(|close| close == depth) && self.depth(pair.open) > depth
        };
        while let Some(inner) = self.inside(block).find(|pair| took(pair, &block)) {
            block = inner;
        }
        let end = block.close.unwrap_or(self.text.trim_end().len());
        (block.open, self.dedent(&block, end).unwrap_or(end))
    }

    /// The closing brace that is too many, where the parser found `closer` to close nothing.
    pub(super) fn unopened(&self, closer: usize) -> usize {
        let depth = self.depth(closer);
        let before = self.pairs.iter().filter(|pair| pair.close.is_some_and(|close| close < closer));
        let mut end = 0;
        let outermost = before.filter(|pair| {
            let is_outer = pair.open >= end;
            end = end.max(pair.close.unwrap_or(end));
            is_outer
        });
        let mut at = closer;
        let mut wrong = |pair: &Pair, depth: usize| {
            let is_wrong =
                self.depth(pair.open) == depth && self.closes_line(pair).is_some_and(|close| close > depth);
            if is_wrong {
                at = pair.close.unwrap_or(at);
            }
            is_wrong
        };
        let mut block = outermost.filter(|pair| wrong(pair, depth)).last().copied();
        while let Some(outer) = block {
            let Some(depth) = self.closes_line(&outer) else { break };
            block = self.inside(outer).filter(|pair| wrong(pair, depth)).last();
        }
        at
    }

    /// The blocks directly inside another.
    fn inside(&self, block: Pair) -> impl Iterator<Item = Pair> {
        let last = block.close.unwrap_or(usize::MAX);
        let mut end = block.open;
        let first = self.pairs.partition_point(|pair| pair.open <= block.open);
        self.pairs[first..].iter().copied().take_while(move |pair| pair.open < last).filter(move |pair| {
            let is_direct = pair.open > end;
            end = end.max(pair.close.unwrap_or(if is_direct { pair.open } else { end }));
            is_direct
        })
    }

    /// The indentation of the line of the closing brace, if it comes first there.
    fn closes_line(&self, pair: &Pair) -> Option<usize> {
        let close = pair.close?;
        let start = self.line_start(close);
        self.text[start..close].trim().is_empty().then(|| columns(&self.text[start..close]))
    }

    fn line_start(&self, byte: usize) -> usize {
        self.starts[..self.starts.partition_point(|start| *start <= byte)].last().copied().unwrap_or(0)
    }

    /// The indentation of the line of a byte.
    fn depth(&self, byte: usize) -> usize {
        let start = self.line_start(byte);
        let line = &self.text[start..];
        columns(&line[..line.len() - line.trim_start_matches([' ', '\t']).len()])
    }

    /// The first code of a block on a line that is indented no more than the one that opens it.
    fn dedent(&self, block: &Pair, end: usize) -> Option<usize> {
        let depth = self.depth(block.open);
        let mut is_first = true;
        let mut at = block.open;
        while let Some(length) = self.text[at..end].find('\n') {
            at += length + 1;
            let code = self.text.len() - self.text[at..].trim_start_matches([' ', '\t', '\u{feff}']).len();
            let is_blank = self.text[code..].starts_with(['\r', '\n', '#']) || code >= end;
            let is_torn =
                self.torn.iter().any(|range| range.start < at && code < range.end || range.start == code);
            if is_blank || is_torn {
                continue;
            }
            if self.depth(at) <= depth {
                // A block whose lines are not indented tells nothing, but for a head that stands there twice.
                let end = self.text[code..].find('\n').map_or(self.text.len(), |length| code + length);
                let opens = self.pairs.iter().any(|pair| (code..end).contains(&pair.open));
                return (!is_first || opens).then_some(code);
            }
            is_first = false;
        }
        None
    }
}

fn columns(blanks: &str) -> usize {
    blanks.chars().fold(0, |width, c| if c == '\t' { (width / 4 + 1) * 4 } else { width + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn braces(text: &str) -> Braces<'_> {
        Braces::new(text, text.match_indices(['{', '}']).map(|(at, brace)| (at, brace == "{")).collect(), &[])
    }

    /// `^` stands before the place where the brace belongs.
    #[track_caller]
    fn check_unclosed(marked: &str) {
        let text = marked.replace('^', "");
        assert_eq!(
            braces(&text).unclosed(text.find('{').expect("a brace")).1,
            marked.find('^').expect("a mark")
        );
    }

    #[track_caller]
    fn check_unopened(marked: &str) {
        let text = marked.replace('^', "");
        assert_eq!(
            braces(&text).unopened(text.rfind('}').expect("a brace")),
            marked.find('^').expect("a mark")
        );
    }

    #[test]
    fn a_missing_brace_belongs_where_the_indentation_ends() {
        check_unclosed("f {\n    if {\n        a\n    ^b\n}\n");
        check_unclosed("f {\n    if {\n        a\n    }^\n");
        check_unclosed("f {\n    a\n^g {\n    b\n}\n");
        check_unclosed("f\n{\n\tif\n\t{\n\t\ta\n\t^else\n\t{\n\t\tb\n\t}\n}\n");
        check_unclosed("f {\n    if {\n        while {\n            a\n        ^b\n    }\n    c\n}\n");
        check_unclosed("f {\na\nb^\n");
        check_unclosed("f {\n^f {\n    a\n}\n");
    }

    #[test]
    fn the_brace_that_is_too_many_closes_a_block_of_another_indentation() {
        check_unopened("f {\n    if {\n        a\n    }\n    ^}\n    b\n}\n");
        check_unopened("f {\n    a\n}\n^}\n");
        check_unopened("f {\n    if {\n        g {\n        }\n        ^}\n        b\n    }\n    c\n}\n");
    }
}
