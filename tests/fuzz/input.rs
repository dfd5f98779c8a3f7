//! Turns the bytes of the fuzzer into a text and the choices that go with it.

use std::ops::Range;

use libfuzzer_sys::arbitrary::{Result, Unstructured};

/// Calls `check` with the text before the first NUL byte and with the choices after it, so that any
/// source file is an input too. On a thread with the stack that judges of any text need.
pub(crate) fn with(data: &[u8], check: impl FnOnce(&str, &mut Unstructured) -> Result<()> + Send) {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let text = String::from_utf8_lossy(&data[..end]);
    let mut choices = Unstructured::new(data.get(end + 1..).unwrap_or_default());
    std::thread::scope(|scope| {
        let stack = std::thread::Builder::new().stack_size(lastmile::lang::STACK);
        // Too few choices are no failure, and a panic has ended the process by now.
        let _ = stack.spawn_scoped(scope, || check(&text, &mut choices)).expect("a thread").join();
    });
}

/// A piece of `text`, of whole characters.
#[allow(dead_code, reason = "not every target needs one")]
pub(crate) fn span(text: &str, choices: &mut Unstructured) -> Result<Range<usize>> {
    let mut end = || Ok(text.floor_char_boundary(choices.int_in_range(0..=text.len())?));
    let (one, other) = (end()?, end()?);
    Ok(one.min(other)..one.max(other))
}
