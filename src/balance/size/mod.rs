//! How large a request is, as far as that can be told before it is sent.
//!
//! Texts are counted by the classes of their characters. How far that is off, in percent of what the tokeniser of gpt-4o
//! and later (o200k_base) counts:
//!
//! | text | error |
//! |---|---|
//! | English | +3 |
//! | German, Dutch | +2, +5 |
//! | French, Spanish, Italian, Portuguese | +12, +3, −11, +9 |
//! | Polish, Turkish, Finnish, Vietnamese | −16, −10, −23, −1 |
//! | Russian, Ukrainian, Greek | +2, −18, +5 |
//! | Arabic, Persian, Hebrew | 0, −7, +4 |
//! | Hindi, Bengali, Thai | +6, −10, +1 |
//! | Chinese (simplified, traditional), Japanese, Korean | +9, −13, +3, −4 |
//! | Rust, Python, TypeScript, C, SQL, HTML, shell | −4 … +7 |
//! | JSON, CSV, logs, numbers | −3 … +2 |
//! | Markdown, LaTeX, URLs | −6, −17, −12 |
//! | base64, hex | −17, −2 |
//!
//! Over the prompts of `examples/prompts.jsonl` with 40 tokens and more the mean error is within 1 % and its deviation
//! 7 %. What the service adds of its own (around messages, for tools, images) is as its vendor has documented it.

use std::fmt;

use crate::api::Operation;
#[cfg(feature = "tiktoken")]
use exact::ExactTexts;
#[cfg(feature = "tiktoken")]
pub use exact::Vocabulary;
use text::Texts;
pub use walk::Names;
use walk::{Counter, Found, walk};

#[cfg(test)]
mod corpus;
#[cfg(feature = "tiktoken")]
mod exact;
mod script;
mod text;
mod walk;

/// The size of one request in tokens: what it holds, and how much may come of it.
///
/// Six bytes, for a million jobs wait: two numbers, of 23 and 24 bits, which is more than any model takes, and between them
/// one bit that tells whether the first is a guess.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JobSize([u16; 3]);

/// What one walk over a request's body finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured<'a> {
    /// How large it is.
    pub size: JobSize,
    /// What it belongs to.
    pub names: Names<'a>,
}

/// How many tokens an answer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// There is none to count, as of embeddings.
    None,
    /// At most so many in all choices together.
    AtMost(u32),
    /// The request sets no limit.
    Open {
        /// How many choices it asks for, from 1 to 255.
        choices: u8,
        /// Whether a deployment's configured limit is written into it.
        takes_default: bool,
    },
}

/// Most tokens that an upload is taken for.
const UPLOAD: f64 = 8192.0;
/// The largest number that 23 bits hold; the bit above it says that it is a guess.
const MOST_PROMPT: u32 = GUESS - 1;
const GUESS: u32 = 1 << 23;
/// The largest number that 24 bits hold.
const MOST: u32 = (1 << 24) - 1;
/// From here on the second number is no limit: the low byte tells the choices, none of which means that there is no
/// output, and the bit above it whether a deployment's limit is taken.
const OPEN: u32 = MOST - 0x1ff;
const TAKES_DEFAULT: u32 = 0x100;

impl JobSize {
    /// No size [is smaller](JobSize::is_no_smaller).
    pub(super) const LEAST: JobSize = {
        let [d, e, f, _] = OPEN.to_le_bytes();
        JobSize([0, u16::from_le_bytes([0, d]), u16::from_le_bytes([e, f])])
    };

    /// A request that holds `prompt` tokens. Numbers beyond 8 million (16 million for an answer) count as that.
    #[must_use]
    pub fn new(prompt: u32, output: Output) -> Self {
        let output = match output {
            Output::None => OPEN,
            Output::AtMost(tokens) => tokens.min(OPEN - 1),
            Output::Open { choices, takes_default } => {
                OPEN | if takes_default { TAKES_DEFAULT } else { 0 } | u32::from(choices.max(1))
            }
        };
        let [a, b, c, _] = prompt.min(MOST_PROMPT).to_le_bytes();
        let [d, e, f, _] = output.to_le_bytes();
        JobSize([
            u16::from_le_bytes([a, b]),
            u16::from_le_bytes([c, d]),
            u16::from_le_bytes([e, f]),
        ])
    }

    /// The size that [`Measured::of`] finds.
    #[must_use]
    pub fn of(operation: &Operation, body: &[u8]) -> Self {
        Measured::of(operation, body).size
    }

    /// The size that [`Measured::counted`] finds.
    #[cfg(feature = "tiktoken")]
    #[must_use]
    pub fn counted(operation: &Operation, body: &[u8], vocabulary: Vocabulary) -> Self {
        Measured::counted(operation, body, vocabulary).size
    }

    /// Estimated tokens of everything that the model reads.
    #[must_use]
    pub fn prompt(self) -> u32 {
        let [a, b] = self.0[0].to_le_bytes();
        let [c, _] = self.0[1].to_le_bytes();
        u32::from_le_bytes([a, b, c, 0]) & MOST_PROMPT
    }

    /// The same size, of which nobody can tell before it is sent how many tokens it comes to.
    #[must_use]
    pub fn guessed(self) -> Self {
        let [low, middle, high] = self.0;
        JobSize([low, middle | (GUESS >> 16) as u16, high])
    }

    fn is_guess(self) -> bool {
        u32::from(self.0[1]) & (GUESS >> 16) != 0
    }

    /// What the request says about the answer's length.
    #[must_use]
    pub fn output(self) -> Output {
        match self.output_number() {
            OPEN => Output::None,
            open if open > OPEN => Output::Open {
                choices: open as u8,
                takes_default: open & TAKES_DEFAULT != 0,
            },
            limit => Output::AtMost(limit),
        }
    }

    /// The second number.
    #[inline]
    fn output_number(self) -> u32 {
        let [_, d] = self.0[1].to_le_bytes();
        let [e, f] = self.0[2].to_le_bytes();
        u32::from_le_bytes([d, e, f, 0])
    }

    /// Most tokens of the answer, over all choices, where the request sets a limit.
    #[must_use]
    pub fn max_output(self) -> Option<u32> {
        match self.output() {
            Output::AtMost(limit) => Some(limit),
            Output::None | Output::Open { .. } => None,
        }
    }

    /// Everything that is known beforehand to be charged: the prompt, and the answer's limit where there is one.
    #[must_use]
    pub fn total(self) -> u32 {
        self.prompt() + self.max_output().unwrap_or(0)
    }

    /// Which answers are alike: by the power of two of their limit, or that there is none.
    #[must_use]
    pub fn answer_class(self) -> u8 {
        match self.output() {
            Output::None => 0,
            Output::AtMost(limit) => 1 + limit.max(1).ilog2() as u8,
            Output::Open { .. } => u8::MAX,
        }
    }

    /// The least that it will be charged, were its prompt estimated a quarter too high, or guessed, too high by all of it.
    #[must_use]
    pub fn at_least(self) -> u64 {
        let prompt = if self.is_guess() { 0 } else { self.prompt() / 4 * 3 };
        u64::from(prompt) + u64::from(self.max_output().unwrap_or(0))
    }

    /// Whether a deployment, whatever it has been found to charge, charges no less for it than for `other`, and knows no
    /// better how much: so where it holds no less and may be answered by no less, as far as that can be compared.
    #[must_use]
    #[inline]
    pub fn is_no_smaller(self, other: JobSize) -> bool {
        let (mine, others) = (self.output_number(), other.output_number());
        // A deployment's own limit, or what it charges without one, may be less or more than a request's.
        let is_alike = mine < OPEN && others < OPEN
            || mine > OPEN && others > OPEN && mine & TAKES_DEFAULT == others & TAKES_DEFAULT;
        let is_answered_by_no_less = others == OPEN || is_alike && mine >= others;
        is_answered_by_no_less && self.prompt() >= other.prompt()
    }

    /// Whether it is a kind of request that the model answers with tokens.
    #[must_use]
    pub fn has_output(self) -> bool {
        self.output() != Output::None
    }
}

impl<'a> Measured<'a> {
    /// Measures a request by its body: the members of a JSON object without its braces, or anything else.
    ///
    /// A body that is no JSON, or of an operation that is not known, counts a token for four bytes; one that is no JSON
    /// never more than some thousand, for sound and files hold far less than their length would be as text.
    #[must_use]
    pub fn of(operation: &Operation, body: &'a [u8]) -> Self {
        Self::by(operation, body, Counter::Classes(Texts::new()))
    }

    /// Measures a request as [`Measured::of`] does, with its texts counted by a tokeniser. The first call loads its
    /// vocabulary, which takes 0.3 s: not to be made under a lock.
    #[cfg(feature = "tiktoken")]
    #[must_use]
    pub fn counted(operation: &Operation, body: &'a [u8], vocabulary: Vocabulary) -> Self {
        Self::by(operation, body, Counter::Exact(ExactTexts::new(vocabulary)))
    }

    fn by(operation: &Operation, body: &'a [u8], counter: Counter) -> Self {
        let is_json = body.first() == Some(&b'"');
        let is_known = is_json && !matches!(operation, Operation::Other(_));
        let found = if is_known {
            walk(operation, body, counter)
        } else {
            Found {
                prompt: (body.len() as f64 / 4.0).min(if is_json { f64::INFINITY } else { UPLOAD }),
                is_guess: true,
                limit: None,
                choices: 1,
                names: Names::default(),
            }
        };
        let output = match (operation, found.limit) {
            (Operation::Embeddings, _) => Output::None,
            (_, Some(limit)) => Output::AtMost(u32::try_from(limit.saturating_mul(found.choices)).unwrap_or(u32::MAX)),
            (_, None) => Output::Open {
                choices: u8::try_from(found.choices).unwrap_or(u8::MAX),
                takes_default: *operation == Operation::ChatCompletions,
            },
        };
        let size = JobSize::new(found.prompt.round() as u32, output);
        Measured {
            size: if found.is_guess { size.guessed() } else { size },
            names: found.names,
        }
    }
}

impl fmt::Debug for JobSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobSize")
            .field("prompt", &self.prompt())
            .field("output", &self.output())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Estimator;

    #[test]
    fn an_upload_is_not_taken_for_a_text_of_its_length() {
        let sound = Operation::other("audio/transcriptions").unwrap();
        for (body, expected) in [
            (vec![b'-'; 4_000], 1_000),
            (vec![b'-'; 20_000_000], 8_192),
            ([b"\"".to_vec(), vec![b'x'; 399_999]].concat(), 100_000),
        ] {
            assert_eq!(JobSize::of(&sound, &body).prompt(), expected, "{} bytes", body.len());
        }
    }

    #[test]
    fn what_is_no_smaller_is_charged_no_less_by_any_deployment() {
        let open = |choices, takes_default| Output::Open { choices, takes_default };
        let outputs = [
            Output::None,
            Output::AtMost(0),
            Output::AtMost(700),
            open(1, true),
            open(2, true),
            open(1, false),
            open(2, false),
        ];
        let sizes: Vec<JobSize> = [0, 900, 1000]
            .into_iter()
            .flat_map(|prompt| outputs.map(|output| JobSize::new(prompt, output)))
            .collect();
        let deployments = [None, Some(0), Some(600), Some(800)].map(Estimator::new);
        for (size, other) in sizes
            .iter()
            .flat_map(|size| sizes.iter().map(move |other| (size, other)))
        {
            assert!(size.is_no_smaller(*size) && size.is_no_smaller(JobSize::LEAST));
            if size.is_no_smaller(*other) {
                for deployment in &deployments {
                    let (charge, least) = (deployment.charge(size), deployment.charge(other));
                    assert!(charge.tokens >= least.tokens, "{size:?} and {other:?}");
                    assert!(charge.variance >= least.variance, "{size:?} and {other:?}");
                }
            }
        }
        let pairs = sizes
            .iter()
            .flat_map(|size| sizes.iter().map(move |other| (size, other)));
        let comparable = pairs.filter(|(size, other)| size.is_no_smaller(**other)).count();
        assert_eq!(comparable, 6 * (7 + 6 + 3), "of 21 × 21");
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        assert_eq!(size_of::<JobSize>(), 6);
        let open = |choices, takes_default| Output::Open { choices, takes_default };
        for (prompt, output) in [
            (0, Output::None),
            (1, Output::AtMost(0)),
            (0x007f_00ff, Output::AtMost(0x00ff_fdff)),
            (0x002b_cdef, Output::AtMost(0x0012_3456)),
            (MOST_PROMPT, open(1, true)),
            (MOST_PROMPT, open(1, false)),
            (7, open(255, true)),
            (7, open(255, false)),
        ] {
            let size = JobSize::new(prompt, output);
            for size in [size, size.guessed()] {
                assert_eq!((size.prompt(), size.output()), (prompt, output));
            }
            let limit = u64::from(size.max_output().unwrap_or(0));
            assert_eq!(size.guessed().at_least(), limit);
            assert_eq!(size.at_least(), limit + u64::from(prompt / 4 * 3));
            assert_eq!(size.has_output(), output != Output::None);
        }
        let most = JobSize::new(u32::MAX, Output::AtMost(u32::MAX));
        assert_eq!((most.prompt(), most.max_output()), (MOST_PROMPT, Some(OPEN - 1)));
        assert_eq!(JobSize::new(0, open(0, true)).output(), open(1, true));
    }
}
