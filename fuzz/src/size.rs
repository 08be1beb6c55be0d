//! Whatever a body holds, it is walked to its end, and is as large as the members that count.

use azure_openai_blaster::api::Operation;
use azure_openai_blaster::internals::Measured;

const OPERATIONS: [Operation; 4] = [
    Operation::ChatCompletions,
    Operation::Completions,
    Operation::Embeddings,
    Operation::Responses,
];

/// Tokens that a byte may come to at most: an image takes hundreds, and some bytes to name it.
const DENSEST: usize = 128;

/// The input is what stands between the braces of a request's body.
pub fn check(input: &[u8]) {
    for operation in &OPERATIONS {
        let measured = Measured::of(operation, input);
        assert!(
            measured.size.prompt() as usize <= DENSEST * (input.len() + 1),
            "{measured:?}"
        );
        let names = measured.names;
        for name in [names.prompt_cache_key, names.user, names.previous_response_id]
            .into_iter()
            .flatten()
        {
            assert!(
                !name.is_empty() && input.windows(name.len()).any(|part| part == name),
                "{name:?}"
            );
        }
        let object = [b"{", input, b"}"].concat();
        let is_object = input.starts_with(b"\"") && serde_json::from_slice::<serde::de::IgnoredAny>(&object).is_ok();
        if is_object {
            let more = [input, br#","no_member":{"content":"which counts"}"#].concat();
            assert_eq!(Measured::of(operation, &more), measured, "{operation}");
        }
    }
}
