//! The simulator reads the same requests wherever their bytes are cut, keeps to its limits, and never panics.

use azure_openai_blaster::internals::read_requests;

/// Longest body that is taken.
const MOST: usize = 1000;

/// The first line holds the lengths of the pieces, used over and over (`@` means 1, `A` 2); the rest is what a client sends.
pub fn check(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (lengths, sent) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let whole = read_requests([sent], MOST);
    for request in &whole.bodies {
        assert!(*request <= MOST, "a body of {request} bytes");
    }
    let pieces = super::pieces(sent, lengths);
    assert_eq!(read_requests(pieces, MOST), whole);
}
