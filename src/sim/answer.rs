//! What the model says, before anything is written down.

use super::config::SimDeployment;
use super::dice::Dice;
use super::request::{Format, Request};
use super::schema;
use super::usage::Usage;

/// What the model says to a request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// One for each answer wanted; empty for embeddings.
    pub(crate) choices: Vec<Choice>,
    pub(crate) usage: Usage,
}

/// One of the answers.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) kind: Kind,
    pub(crate) text: Text,
    pub(crate) finish: Finish,
}

/// What an answer's text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `content`
    Content,
    /// `refusal`
    Refusal,
    /// The arguments of a call of this function.
    Call(String),
}

/// A text with the ends of its tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// Where each token ends, in bytes.
    ends: Vec<u32>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
}

impl Finish {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::ToolCalls => "tool_calls",
            Finish::ContentFilter => "content_filter",
        }
    }
}

/// What answers are made of. Each is one token, in scripts of one to four bytes a character, so that a cut in the
/// wrong place shows.
const WORDS: [&str; 64] = [
    " the",
    " quiet",
    " river",
    " turns",
    " under",
    " old",
    " bridges",
    " while",
    " lanterns",
    " glow",
    " along",
    " narrow",
    " streets",
    " and",
    " bakers",
    " open",
    " their",
    " doors",
    " before",
    " dawn",
    " naïve",
    " gulls",
    " circle",
    " above",
    " harbour",
    " boats",
    " carrying",
    " salt",
    " paper",
    " oranges",
    " from",
    " distant",
    " coasts",
    " Größe",
    " measured",
    " by",
    " patient",
    " hands",
    " every",
    " morning",
    " 東京",
    " letters",
    " arrive",
    " folded",
    " twice",
    " sealed",
    " with",
    " wax",
    " café",
    " tables",
    " hold",
    " maps",
    " of",
    " places",
    " nobody",
    " remembers",
    " 🙂",
    " yet",
    " each",
    " line",
    " leads",
    " home",
    " again",
    " softly",
];

impl Text {
    /// Made-up words that depend on `dice` alone, beginning with `opening`, which counts as one token.
    fn words(opening: Option<&str>, tokens: u64, dice: &mut Dice) -> Self {
        let tokens = tokens as usize;
        let mut made = Text {
            text: String::with_capacity(tokens * 8 + opening.map_or(0, str::len)),
            ends: Vec::with_capacity(tokens),
        };
        if let Some(opening) = opening {
            made.push(opening);
        }
        let (mut bits, mut left) = (0, 0);
        while made.ends.len() < tokens {
            // Sixty-four random bits are good for ten words.
            if left == 0 {
                (bits, left) = (dice.bits(), 10);
            }
            let word = WORDS[(bits & 63) as usize];
            bits >>= 6;
            left -= 1;
            let position = made.ends.len();
            if position % 64 == 63 {
                made.push("\n");
            } else if position == 0 {
                made.push(word.trim_start());
            } else {
                made.push(word);
            }
        }
        made
    }

    /// A given text, in tokens of four characters.
    fn given(text: String) -> Self {
        let ends = text
            .char_indices()
            .skip(4)
            .step_by(4)
            .map(|(position, _)| position as u32);
        let mut ends: Vec<u32> = ends.collect();
        if !text.is_empty() {
            ends.push(text.len() as u32);
        }
        Text { text, ends }
    }

    fn push(&mut self, token: &str) {
        self.text.push_str(token);
        self.ends.push(self.text.len() as u32);
    }

    /// Cuts it to so many tokens; says whether anything was lost.
    fn cut(&mut self, tokens: u64) -> bool {
        let tokens = usize::try_from(tokens).unwrap_or(usize::MAX);
        if tokens >= self.ends.len() {
            return false;
        }
        self.ends.truncate(tokens);
        self.text.truncate(self.ends.last().map_or(0, |end| *end as usize));
        true
    }

    /// Its length in tokens.
    pub(crate) fn tokens(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Tokens `from` to `to`, the latter not included; what is beyond the end is left out.
    pub(crate) fn slice(&self, from: u64, to: u64) -> &str {
        let end = |tokens: u64| match (tokens.min(self.tokens()) as usize).checked_sub(1) {
            None => 0,
            Some(last) => self.ends[last] as usize,
        };
        &self.text[end(from)..end(to)]
    }
}

impl Answer {
    /// Length of the longest choice, in tokens; choices are made side by side.
    pub(crate) fn longest(&self) -> u64 {
        self.choices
            .iter()
            .map(|choice| choice.text.tokens())
            .max()
            .unwrap_or(0)
    }

    /// Makes up the answer of a deployment. Its text depends on the prompt alone, its length on the deployment's
    /// settings too, so that the same prompt is answered alike everywhere.
    pub(crate) fn make(deployment: &SimDeployment, request: &Request<'_>, cached: u64) -> Self {
        let mut usage = Usage {
            prompt: request.prompt.tokens,
            cached: cached.min(request.prompt.tokens),
            ..Usage::default()
        };
        if request.embed.inputs.is_empty() {
            let choices = (0..request.best_of).map(|index| Self::choice(deployment, request, index, &mut usage));
            let mut choices: Vec<Choice> = choices.collect();
            choices.truncate(request.choices as usize);
            return Answer { choices, usage };
        }
        Answer {
            choices: Vec::new(),
            usage,
        }
    }

    fn choice(deployment: &SimDeployment, request: &Request<'_>, index: u64, usage: &mut Usage) -> Choice {
        let mut dice = Dice::new(&[request.prompt.hash, index]);
        let limit = request.max_output.unwrap_or(u64::MAX);
        let hidden = if deployment.reasoning {
            (request.effort_tokens as f64 * (0.5 + dice.unit())) as u64
        } else {
            0
        };
        let hidden = hidden.min(limit);
        let room = limit - hidden;
        let markers = &request.markers;
        let wanted = markers.tokens.unwrap_or_else(|| deployment.output.sample(&mut dice));
        let wanted = wanted.clamp(1, (MAX_TOKENS / request.best_of).max(1));
        let opening = markers.echo.as_deref();
        // One token more than there is room for tells that the answer was cut.
        let mut words = |tokens: u64| Text::words(opening, tokens.min(room.saturating_add(1)), &mut dice);
        let (kind, mut text, finish) = if let Some(function) = &request.call {
            let name = function.name.as_str().to_owned();
            let arguments = schema::example(function.parameters, &words(wanted).text);
            (Kind::Call(name), Text::given(arguments), Finish::ToolCalls)
        } else if markers.refuse {
            let text = "I'm sorry, but I can't assist with that request.";
            (Kind::Refusal, Text::given(text.to_owned()), Finish::Stop)
        } else {
            let text = match request.format {
                Format::Text => words(wanted),
                Format::JsonObject => Text::given(schema::example(None, &words(wanted).text)),
                Format::Schema(schema) => Text::given(schema::example(Some(schema), &words(wanted).text)),
            };
            (Kind::Content, text, Finish::Stop)
        };
        let finish = match text.cut(room) {
            true => Finish::Length,
            false if markers.filter_answer => Finish::ContentFilter,
            false => finish,
        };
        usage.completion += hidden + text.tokens();
        usage.reasoning += hidden;
        Choice { kind, text, finish }
    }
}

/// Most tokens that are made up for one request, however many a marker asks for.
const MAX_TOKENS: u64 = 200_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::config::{OutputLength, SimOperation};

    fn answer(deployment: &SimDeployment, body: &str) -> Answer {
        let request = Request::read(SimOperation::Chat, false, body.as_bytes()).unwrap();
        Answer::make(deployment, &request, 0)
    }

    fn body(text: &str, more: &str) -> String {
        format!(r#"{{"messages":[{{"role":"user","content":{text:?}}}]{more}}}"#)
    }

    #[test]
    fn an_answer_has_exactly_the_tokens_that_its_usage_says() {
        let deployment = SimDeployment::new("d").output(OutputLength::exactly(100));
        for (more, tokens, finish) in [
            ("", 100, Finish::Stop),
            (r#","max_tokens":100"#, 100, Finish::Stop),
            (r#","max_tokens":99"#, 99, Finish::Length),
            (r#","max_completion_tokens":1"#, 1, Finish::Length),
            (r#","max_tokens":0"#, 0, Finish::Length),
        ] {
            let answer = answer(&deployment, &body("hello", more));
            let choice = &answer.choices[0];
            assert_eq!((choice.text.tokens(), choice.finish), (tokens, finish), "{more}");
            assert_eq!(answer.usage.completion, tokens, "{more}");
            assert_eq!(choice.text.slice(0, tokens), choice.text.text, "{more}");
        }
    }

    #[test]
    fn slices_put_together_are_the_text() {
        let deployment = SimDeployment::new("d").output(OutputLength::exactly(200));
        for more in ["", r#","response_format":{"type":"json_object"}"#] {
            let answer = answer(&deployment, &body("hello", more));
            let text = &answer.choices[0].text;
            for step in [1, 3, 7, 1000] {
                let joined: String = (0..text.tokens())
                    .step_by(step)
                    .map(|i| text.slice(i, i + step as u64))
                    .collect();
                assert_eq!(joined, text.text);
            }
        }
    }

    #[test]
    fn the_same_prompt_is_answered_alike_by_every_deployment_and_others_otherwise() {
        let (one, two) = (SimDeployment::new("a"), SimDeployment::new("b").region("x"));
        let text = |deployment, prompt| answer(deployment, &body(prompt, "")).choices[0].text.text.clone();
        assert_eq!(text(&one, "hello"), text(&two, "hello"));
        assert_ne!(text(&one, "hello"), text(&one, "hallo"));
        let several = answer(&one, &body("hello", r#","n":3"#));
        assert_eq!(several.choices.len(), 3);
        assert_ne!(several.choices[0].text, several.choices[1].text);
    }

    #[test]
    fn an_id_opens_the_answer_whatever_its_form() {
        let deployment = SimDeployment::new("d");
        let schema = r#","response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"n":{"type":"integer"},"s":{"type":"string"}}}}}"#;
        for (more, opening) in [
            ("", "id:abc123 "),
            (
                r#","response_format":{"type":"json_object"}"#,
                r#"{"answer":"id:abc123 "#,
            ),
            (schema, r#"{"n":1,"s":"id:abc123 "#),
        ] {
            let answer = answer(&deployment, &body("please, id:abc123", more));
            let text = &answer.choices[0].text.text;
            assert!(text.starts_with(opening), "{text}");
        }
    }

    #[test]
    fn reasoning_spends_hidden_tokens_first() {
        let deployment = SimDeployment::new("d").reasoning().output(OutputLength::exactly(10));
        let free = answer(&deployment, &body("hello", ""));
        assert!((96..=288).contains(&free.usage.reasoning), "{:?}", free.usage);
        assert_eq!(free.usage.completion, free.usage.reasoning + 10);
        let tight = answer(&deployment, &body("hello", r#","max_completion_tokens":50"#));
        assert_eq!((tight.usage.completion, tight.usage.reasoning), (50, 50));
        assert_eq!(tight.choices[0].text.text, "");
        assert_eq!(tight.choices[0].finish, Finish::Length);
        let none = answer(&deployment, &body("hello", r#","reasoning_effort":"none""#));
        assert_eq!(none.usage.reasoning, 0);
    }

    #[test]
    fn a_function_is_called_when_asked_for() {
        let tools = r#","tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}},{"type":"function","function":{"name":"get_time"}}]"#;
        let deployment = SimDeployment::new("d");
        for (prompt, choice, called) in [
            ("hello", "", None),
            ("use sim:tool", "", Some("get_weather")),
            ("call get_time now", "", Some("get_time")),
            ("hello", r#","tool_choice":"required""#, Some("get_weather")),
            ("call get_time", r#","tool_choice":"none""#, None),
            (
                "hello",
                r#","tool_choice":{"type":"function","function":{"name":"get_time"}}"#,
                Some("get_time"),
            ),
        ] {
            let answer = answer(&deployment, &body(prompt, &format!("{tools}{choice}")));
            let choice = &answer.choices[0];
            match called {
                Some(name) => {
                    assert_eq!(choice.kind, Kind::Call(name.to_owned()), "{prompt}");
                    assert_eq!(choice.finish, Finish::ToolCalls);
                    serde_json::from_str::<serde_json::Value>(&choice.text.text).unwrap();
                }
                None => assert_eq!(choice.kind, Kind::Content, "{prompt}"),
            }
        }
    }
}
