//! What each fuzz target does with its input. `tests/fuzz.rs` does it too, with the seeds alone, so that a target that
//! does not compile or hold any more is noticed without a fuzzer.

pub mod classify;
pub mod config;
pub mod reply;
pub mod request;
pub mod size;
pub mod sse;

/// Cuts `bytes` into pieces of these lengths, over and over: the lower six bits of each, and one more.
fn pieces<'a>(mut rest: &'a [u8], lengths: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let lengths = lengths.iter().chain(&[0]).cycle();
    lengths.map_while(move |length| {
        let (piece, after) = rest
            .split_at_checked(usize::from(*length) % 64 + 1)
            .unwrap_or((rest, &[]));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
