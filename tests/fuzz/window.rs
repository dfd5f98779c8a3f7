//! What holds for the window of any fault in any text, and for any events in it.
#![no_main]

use lastmile::lang::python::Python;
use lastmile::lang::{Fault, Language};
use lastmile::patch::Edit;
use lastmile::state::{Event, State, align};
use lastmile::window::Lines;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

mod input;

fuzz_target!(|data: &[u8]| input::with(data, check));

fn check(text: &str, choices: &mut Unstructured) -> Result<()> {
    // Only long texts have a region that is smaller than they are.
    let text = text.repeat(choices.int_in_range(1..=12)?);
    assert_eq!(state(&text).apply(&[]), text);
    let fault = Fault { span: input::span(&text, choices)?, message: String::new(), code: 1 };
    let lines = Lines::new(&text, Python.style());
    let first = lines.window(&fault);
    assert!(first.as_ref().is_none_or(|window| window.span.start <= fault.span.start));
    let second = first.as_ref().and_then(|window| lines.earlier(&fault, window));
    for window in first.into_iter().chain(second) {
        let (span, region) = (window.span, window.region);
        for at in [span.start, span.end, region.start, region.end] {
            assert!(at == 0 || at == text.len() || text.as_bytes()[at - 1] == b'\n', "within a line");
        }
        assert!(region.start <= span.start && span.start <= span.end && span.end <= region.end);
        let before = &text[span.clone()];
        assert!(state(before).len() <= 514, "too long for the model");
        let after = damaged(before, choices)?;
        for part in [before, &after] {
            let edit = Edit::between(before, part).shifted(span.start);
            assert!(span.start <= edit.span.start && edit.span.end <= span.end);
            let expected = [&text[..span.start], part, &text[span.end..]].concat();
            assert_eq!(edit.apply(&text).as_deref(), Some(expected.as_str()));
        }
    }
    Ok(())
}

fn state(text: &str) -> State {
    State::new(text.to_owned(), Python.style())
}

/// The text after events that the network could propose.
fn damaged(text: &str, choices: &mut Unstructured) -> Result<String> {
    let state = state(text);
    let mut events = Vec::new();
    for _ in 0..choices.int_in_range(0..=8)? {
        let at = choices.int_in_range(0..=state.len() - 1)?;
        events.push(match choices.int_in_range(0..=2)? {
            0 => Event::Delete { at },
            1 => Event::Substitute { at, text: lexeme(&state, choices)? },
            // Before the lexeme, or behind the last.
            _ => Event::Insert { at: at + choices.int_in_range(0..=1)?, text: lexeme(&state, choices)? },
        });
    }
    let after = state.apply(&events);
    if let Some(first) = events.iter().map(Event::at).min() {
        let untouched = state.lexemes.get(first).map_or(text.len(), |lexeme| lexeme.start);
        assert!(after.starts_with(&text[..untouched]), "{events:?} changed what comes before");
    }
    if let Some(last) = events.iter().map(Event::at).max() {
        let untouched = state.lexemes.get(last + 2).map_or(text.len(), |lexeme| lexeme.start);
        assert!(after.ends_with(&text[untouched..]), "{events:?} changed what comes after");
    }
    let goal = self::state(&after);
    if let Some(events) = align(&state, &goal, 120) {
        // Marks that come to touch may read as another mark, so texts are compared without blanks.
        let bare = |text: &str| text.replace([' ', '\t', '\x0c', '\r', '\n'], "");
        assert_eq!(bare(&state.apply(&events)), bare(&after), "{events:?}");
    }
    Ok(after)
}

const VOCABULARY: [&str; 24] = [
    "\n", "\n    ", "\n\t", "(", ")", "[", "]", "{", "}", ":", ",", ".", "'", "\"", "'''", "#", "\\", "\\'",
    "-", "x", "f", "1", "é", "----",
];

fn lexeme(state: &State, choices: &mut Unstructured) -> Result<String> {
    Ok(match choices.int_in_range(0..=2)? {
        0 => (*choices.choose(&VOCABULARY)?).to_owned(),
        1 => state.lexeme(choices.int_in_range(0..=state.len() - 1)?).into_owned(),
        _ => choices.arbitrary()?,
    })
}
