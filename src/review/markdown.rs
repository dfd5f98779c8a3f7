//! Text from outside as Markdown that says nothing of its own: no mention, link, HTML or end of a fence.

use std::fmt::Write as _;

/// `text` as a code span of one line.
pub(super) fn code(text: &str) -> String {
    let text = visible(text).replace('\n', "\u{23ce}").replace('\t', " ");
    let fence = "`".repeat(longest_run(&text) + 1);
    // A blank on both sides is taken away again, so that backticks do not touch.
    let pad = if text.starts_with('`') || text.ends_with('`') || text.trim().is_empty() { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A block of `text`, which ends in a line end or is empty, behind a fence that it cannot close.
pub(super) fn fenced(info: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{info}\n{text}{end}{fence}\n")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

/// Whether Markdown, a browser or an editor may show the text as another than it is.
pub(super) fn is_deceptive(text: &str) -> bool {
    text.chars().any(is_hidden)
}

/// The text with characters that are not seen, or that move others, written out.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        if is_hidden(c) {
            write!(out, "<U+{:04X}>", u32::from(c)).expect("a string takes all");
        } else {
            out.push(c);
        }
    }
    out
}

/// Marks of direction, joiners, fillers, tags and selectors; ends of lines that no editor counts.
fn is_hidden(c: char) -> bool {
    let is_invisible = matches!(
        c,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    is_invisible || (c.is_control() && c != '\n' && c != '\t')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag};

    use super::*;

    /// What a reader of Markdown takes for code, with the info string of blocks, and whatever else there is.
    fn read(markdown: &str) -> (Vec<(String, String)>, String) {
        let (mut blocks, mut rest, mut inside) = (Vec::new(), String::new(), None);
        for event in Parser::new(markdown) {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    inside = Some((info.into_string(), String::new()));
                }
                Event::End(pulldown_cmark::TagEnd::CodeBlock) => blocks.extend(inside.take()),
                Event::Text(text) => inside.as_mut().map_or(&mut rest, |(_, block)| block).push_str(&text),
                Event::Code(text) => blocks.push(("span".to_owned(), text.into_string())),
                Event::Start(Tag::Paragraph) | Event::End(_) | Event::SoftBreak => {}
                other => write!(rest, "{other:?}").expect("a string takes all"),
            }
        }
        (blocks, rest)
    }

    #[test]
    fn names_say_nothing_of_their_own() {
        let check = |text: &str, expected: &str| {
            let (spans, rest) = read(&format!("{}\n", code(text)));
            assert_eq!(spans, [("span".to_owned(), expected.to_owned())]);
            assert_eq!(rest, "");
        };
        check("src/a.py", "src/a.py");
        check("@org/team.py", "@org/team.py");
        check("a](http://x)<b>&amp;", "a](http://x)<b>&amp;");
        check("a`b``c.py", "a`b``c.py");
        check("`", "`");
        check("a\n::set-output name=x::y", "a\u{23ce}::set-output name=x::y");
        check("a\u{202e}yp.exe", "a<U+202E>yp.exe");
        check("\u{1b}[2J", "<U+001B>[2J");
    }

    #[test]
    fn no_run_of_backticks_ends_a_fence() {
        for n in 1..=9 {
            let text = format!("x = '{0}'\n{0}\n~~~\n", "`".repeat(n));
            assert_eq!(read(&fenced("suggestion", &text)).0, [("suggestion".to_owned(), text)]);
        }
        assert_eq!(fenced("suggestion", ""), "```suggestion\n```\n");
    }

    proptest! {
        #[test]
        fn a_block_holds_its_text(text in "([`~a# \t-]{0,6}\n){0,5}") {
            let (blocks, rest) = read(&fenced("x", &text));
            prop_assert_eq!((blocks, rest), (vec![("x".to_owned(), text)], String::new()));
        }

        #[test]
        fn a_span_is_one_span(text in "[`a @\\[<\n]{1,9}") {
            let (spans, rest) = read(&format!("{}\n", code(&text)));
            prop_assert_eq!((spans.len(), rest.as_str()), (1, ""));
        }
    }
}
