//! Texts counted by the tokenisers themselves.

use tiktoken_rs::CoreBPE;

/// Most bytes that are given to a tokeniser at once: its regular expression gives up, in a panic, where it has to go back
/// too often, as over a million blanks. A cut costs a token at most.
const PIECE: usize = 32 * 1024;

/// The words that a family of models knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// gpt-4, gpt-3.5 and embeddings.
    Cl100k,
    /// gpt-4o, gpt-4.1, gpt-5, the o series; assumed of names that tell nothing.
    O200k,
}

impl Vocabulary {
    /// That of the model of this name, which may be a name that somebody has given to a deployment.
    #[must_use]
    pub fn of(model: Option<&str>) -> Self {
        let model = model.unwrap_or_default();
        let newer = ["gpt-4o", "gpt-4.1", "gpt-4.5"];
        let older = ["gpt-4", "gpt-3.5", "gpt-35", "text-embedding"];
        let begins = |names: &[&str]| names.iter().any(|name| model.starts_with(name));
        if begins(&older) && !begins(&newer) {
            Vocabulary::Cl100k
        } else {
            Vocabulary::O200k
        }
    }

    /// Loaded once, when it is first asked for.
    fn tokeniser(self) -> &'static CoreBPE {
        match self {
            Vocabulary::Cl100k => tiktoken_rs::cl100k_base_singleton(),
            Vocabulary::O200k => tiktoken_rs::o200k_base_singleton(),
        }
    }
}

/// Tokens of the texts of one request.
#[derive(Debug)]
pub(super) struct ExactTexts {
    vocabulary: Vocabulary,
    tokens: usize,
}

impl ExactTexts {
    pub(super) fn new(vocabulary: Vocabulary) -> Self {
        ExactTexts { vocabulary, tokens: 0 }
    }

    /// Counts a text in which nothing is escaped.
    pub(super) fn read(&mut self, mut text: &str) {
        let tokeniser = self.vocabulary.tokeniser();
        while !text.is_empty() {
            let (piece, rest) = text.split_at(boundary(text, PIECE));
            self.tokens += tokeniser.count_ordinary(piece);
            text = rest;
        }
    }

    pub(super) fn tokens(&self) -> f64 {
        self.tokens as f64
    }
}

/// The last boundary between characters within the first `most` bytes.
fn boundary(text: &str, most: usize) -> usize {
    let most = most.min(text.len());
    (0..=most).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::corpus::corpus;
    use super::super::text::Texts;
    use super::*;
    use crate::api::Operation;
    use crate::balance::JobSize;

    fn exact(text: &str) -> f64 {
        let mut texts = ExactTexts::new(Vocabulary::O200k);
        texts.read(text);
        texts.tokens()
    }

    #[test]
    fn the_corpus_s_counts_are_the_tokeniser_s() {
        for text in corpus() {
            assert_eq!(exact(&text.text), f64::from(text.tokens), "{}", text.kind);
        }
    }

    #[test]
    fn the_estimate_is_right_on_average_over_many_prompts() {
        let (mut errors, mut tokens, mut estimated) = (Vec::new(), 0.0, 0.0);
        for line in include_str!("../../../examples/prompts.jsonl").lines() {
            let request: serde_json::Value = serde_json::from_str(line).unwrap();
            let contents = request["messages"].as_array().unwrap().iter();
            for text in contents.filter_map(|message| message["content"].as_str()) {
                let mut texts = Texts::new();
                texts.read_raw(text.as_bytes());
                let (truth, estimate) = (exact(text), texts.tokens());
                tokens += truth;
                estimated += estimate;
                if truth >= 40.0 {
                    errors.push(estimate / truth - 1.0);
                }
            }
        }
        let count = errors.len() as f64;
        let mean = errors.iter().sum::<f64>() / count;
        let deviation = (errors.iter().map(|error| (error - mean).powi(2)).sum::<f64>() / count).sqrt();
        assert!(count > 100.0, "{count}");
        assert!(mean.abs() < 0.01 && deviation < 0.075, "{mean} ± {deviation}");
        assert!((estimated / tokens - 1.0).abs() < 0.01, "{estimated} of {tokens}");
    }

    #[test]
    fn a_request_is_counted_with_its_escapes_undone() {
        let members = br#""messages":[{"role":"user","content":"Caf\u00e9 \"Zum Anker\"\n"}],"max_tokens":7"#;
        let expected = exact("Café \"Zum Anker\"\n") as u32 + 3 + 4;
        let size = JobSize::counted(&Operation::ChatCompletions, members, Vocabulary::O200k);
        assert_eq!((size.prompt(), size.max_output()), (expected, Some(7)));
    }

    #[test]
    fn a_name_tells_the_vocabulary() {
        for (model, expected) in [
            (Some("gpt-4o-mini"), Vocabulary::O200k),
            (Some("gpt-4.1"), Vocabulary::O200k),
            (Some("gpt-5"), Vocabulary::O200k),
            (Some("our-chat"), Vocabulary::O200k),
            (None, Vocabulary::O200k),
            (Some("gpt-4-turbo"), Vocabulary::Cl100k),
            (Some("gpt-35-turbo"), Vocabulary::Cl100k),
            (Some("text-embedding-3-small"), Vocabulary::Cl100k),
        ] {
            assert_eq!(Vocabulary::of(model), expected, "{model:?}");
        }
        let text = "Ходит кот";
        let mut older = ExactTexts::new(Vocabulary::Cl100k);
        older.read(text);
        assert!(older.tokens() > exact(text), "the older vocabulary knows fewer words");
    }

    #[test]
    fn endless_runs_neither_panic_nor_take_for_ever() {
        for (part, times) in [(" ", 1_200_000), ("\n", 1_200_000), ("a", 40_000), ("🫠", 10_000)] {
            assert!(exact(&part.repeat(times)) > 10.0);
        }
    }
}
