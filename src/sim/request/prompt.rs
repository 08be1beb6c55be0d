//! How long a prompt is, and what identifies it.

use crate::sim::dice::hash;

/// Prompts shorter than this are not cached. Source: Microsoft, "Prompt caching".
pub(crate) const CACHE_FROM: u64 = 1024;

/// Beyond that, hits come in steps of so many tokens.
pub(crate) const CACHE_STEP: u64 = 128;

/// Tokens that each message costs beside its text, and the whole prompt once more.
const MESSAGE_TOKENS: u64 = 3;

/// Tokens that an image costs, as one of low detail does.
const IMAGE_TOKENS: u64 = 85;

/// Units are quarters of a token: a character of ASCII counts one, any other two.
const UNITS_PER_TOKEN: u64 = 4;

/// A prompt as far as quotas, caches and chance are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// Its length in tokens, which is an estimate: a quarter of a token for each ASCII character, half a token for
    /// each other one, 3 for each message and 3 for the whole, 85 for each image.
    pub(crate) tokens: u64,
    /// A hash of all its text.
    pub(crate) hash: u64,
    /// A hash of what stands before each point where a cache hit may end: the first after [`CACHE_FROM`] tokens of
    /// text, the next ones [`CACHE_STEP`] further each.
    pub(crate) prefixes: Vec<u64>,
}

impl Prompt {
    /// A prompt made of these texts. `key` is `prompt_cache_key`, which keeps caches apart.
    pub(crate) fn new<'t>(
        texts: impl Iterator<Item = &'t str> + Clone,
        messages: u64,
        images: u64,
        key: Option<&str>,
    ) -> Self {
        let (mut text_units, mut whole) = (0, 0);
        for text in texts.clone() {
            text_units += units(text);
            whole = hash(whole, text.as_bytes());
        }
        let prefixes = if text_units >= CACHE_FROM * UNITS_PER_TOKEN {
            prefixes(texts, key)
        } else {
            Vec::new()
        };
        Prompt {
            tokens: text_units.div_ceil(UNITS_PER_TOKEN)
                + MESSAGE_TOKENS * if messages > 0 { messages + 1 } else { 0 }
                + IMAGE_TOKENS * images,
            hash: whole,
            prefixes,
        }
    }
}

fn units(text: &str) -> u64 {
    if text.is_ascii() {
        return text.len() as u64;
    }
    text.chars().map(units_of).sum()
}

fn units_of(character: char) -> u64 {
    if character.is_ascii() { 1 } else { 2 }
}

/// Where the first `units` of a text end, in bytes, and how many of them it lacks.
fn advance(text: &str, units: u64) -> (usize, u64) {
    let most = text.len().min(usize::try_from(units).unwrap_or(usize::MAX));
    if text.as_bytes()[..most].is_ascii() {
        return (most, units - most as u64);
    }
    let mut missing = units;
    for (position, character) in text.char_indices() {
        if missing == 0 {
            return (position, 0);
        }
        missing = missing.saturating_sub(units_of(character));
    }
    (text.len(), missing)
}

fn prefixes<'t>(texts: impl Iterator<Item = &'t str>, key: Option<&str>) -> Vec<u64> {
    let mut found = Vec::new();
    let mut state = hash(1, key.unwrap_or("").as_bytes());
    let mut missing = CACHE_FROM * UNITS_PER_TOKEN;
    for mut text in texts {
        while !text.is_empty() {
            let (end, still_missing) = advance(text, missing);
            state = hash(state, &text.as_bytes()[..end]);
            text = &text[end..];
            missing = still_missing;
            if missing == 0 {
                found.push(state);
                missing = CACHE_STEP * UNITS_PER_TOKEN;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(texts: &[&str]) -> Prompt {
        Prompt::new(texts.iter().copied(), texts.len() as u64, 0, None)
    }

    #[test]
    fn tokens_are_counted_by_characters_messages_and_images() {
        for (texts, tokens) in [
            (vec![""], 6),
            (vec!["Hello!"], 8),
            (vec!["abcd", "abcde"], 3 + 9),
            (vec!["日本語"], 8),
            (vec!["äöüß"], 8),
        ] {
            assert_eq!(prompt(&texts).tokens, tokens, "{texts:?}");
        }
        assert_eq!(Prompt::new(["abcd"].into_iter(), 1, 2, None).tokens, 1 + 6 + 170);
    }

    #[test]
    fn prefixes_begin_at_1024_tokens_and_step_by_128() {
        for (characters, count) in [(4095, 0), (4096, 1), (4607, 1), (4608, 2), (8192, 9)] {
            let text = "x".repeat(characters);
            assert_eq!(prompt(&[&text]).prefixes.len(), count, "{characters} characters");
            let text = "ä".repeat(characters / 2);
            assert_eq!(prompt(&[&text]).prefixes.len(), count, "{} umlauts", characters / 2);
        }
    }

    #[test]
    fn prompts_share_the_prefixes_before_their_first_difference() {
        let system = "You are a patient teacher of arithmetic. ".repeat(150);
        let one = prompt(&[&system, "one"]);
        let two = prompt(&[&system, "two"]);
        let later = prompt(&[&format!("{system}{}", "and more ".repeat(100))]);
        assert!(one.prefixes.len() >= 3);
        assert_eq!(one.prefixes, two.prefixes);
        assert_eq!(later.prefixes[..one.prefixes.len()], one.prefixes);
        assert_ne!(one.hash, two.hash);
        let keyed = Prompt::new([system.as_str(), "one"].into_iter(), 2, 0, Some("k"));
        assert_ne!(keyed.prefixes[0], one.prefixes[0]);
    }
}
