//! Whatever a server answers with, reading it takes no more memory than its budget, and no part of an answer passes for the
//! whole.

use azure_openai_blaster::api::{ChatCompletion, Embeddings};
use azure_openai_blaster::internals::read_whole_within;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Budget of a reading: so little that a short input can exceed it.
const BUDGET: usize = 64 * 1024;

/// What else a reading takes: its errors, and what other threads of a test do.
const OTHER: usize = 64 * 1024;

/// Prefixes of an answer that are tried.
const CUTS: usize = 64;

/// The input is the body of a reply.
pub fn check(input: &[u8]) {
    if let Ok(json) = str::from_utf8(input) {
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let read = read_whole_within(json, BUDGET);
        let peak = ALLOCATOR.peak_usage().saturating_sub(before);
        // A text with escapes is put together, which may take three times its length for a moment, and copied.
        let most = BUDGET + 4 * input.len() + OTHER;
        assert!(peak <= most, "{peak} bytes for {} of them", input.len());
        drop(read);
    }
    if let Ok(completion) = ChatCompletion::parse(input) {
        assert!(!completion.choices.is_empty());
        assert!(completion.choices.is_sorted_by_key(|choice| choice.index));
        serde_json::to_string(&completion.message()).expect("what was read can be sent back");
        refuse_prefixes(input, |prefix| ChatCompletion::parse(prefix).is_ok());
    }
    if Embeddings::parse(input).is_ok() {
        refuse_prefixes(input, |prefix| Embeddings::parse(prefix).is_ok());
    }
}

fn refuse_prefixes(input: &[u8], is_answer: impl Fn(&[u8]) -> bool) {
    let whole = input.trim_ascii_end().len();
    for cut in (0..whole).step_by(whole.div_ceil(CUTS)).chain([whole - 1]) {
        assert!(!is_answer(&input[..cut]), "the first {cut} bytes pass for the whole");
    }
}
