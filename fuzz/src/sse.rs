//! A stream may be cut anywhere: parser and assembler see the same events and end with the same answer, and nothing
//! panics.

use azure_openai_blaster::internals::{Assembler, Step, sse};

/// The first line says how the rest, a stream, is read: its first byte is how many choices were asked for (`0` to `3` mean
/// themselves), the others are the lengths of the pieces, used over and over (`@` means 1, `A` 2).
pub fn check(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (how, stream) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (first, cuts) = how.split_first().unwrap_or((&0, &[]));
    let choices = u32::from(first % 4);
    let whole = read(std::iter::once(stream), choices);
    let pieces = super::pieces(stream, cuts);
    assert_eq!(read(pieces, choices), whole);
}

/// Events, steps and the answer (or why there is none), as text.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>, choices: u32) -> (Vec<(String, String)>, Vec<Step>, String) {
    let mut events = Vec::new();
    let mut parser = sse::Parser::new();
    let mut keep = |event: sse::Event<'_>| events.push((event.name.to_owned(), event.data.to_owned()));
    for piece in pieces {
        parser
            .push(piece, &mut keep)
            .expect("an input of the fuzzer is shorter than the longest event");
    }
    parser
        .finish(&mut keep)
        .expect("an input of the fuzzer is shorter than the longest event");

    let mut assembler = Assembler::new(choices);
    let mut silent = Assembler::silent(choices);
    let mut steps = Vec::new();
    for (name, data) in &events {
        assembler.push(name, data, |step| steps.push(step));
        silent.push(name, data, |step| {
            assert!(!matches!(step, Step::Delta(_)), "a delta that nobody reads")
        });
    }
    let answer = format!("{:?}", assembler.finish());
    assert_eq!(
        format!("{:?}", silent.finish()),
        answer,
        "the answer depends on who reads along"
    );
    (events, steps, answer)
}
