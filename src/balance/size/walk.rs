//! What a request's body holds: one pass over its JSON, which builds nothing.
//!
//! A body is JSON text by the time it is measured, checked or written by ourselves, whoever made the request, so that
//! one walk serves typed requests and bodies that pass through as bytes. Only members that the model reads are looked
//! into; all others are skipped. Whatever the bytes are, the walk ends and does not panic.

#[cfg(feature = "tiktoken")]
use super::exact::ExactTexts;
use super::text::Texts;
use crate::api::Operation;

/// Tokens around each message: two that begin and one that ends it, and its role. Source: "How to count tokens with
/// tiktoken" in OpenAI's cookbook, from which also the ones below are.
const MESSAGE: i64 = 4;
/// Tokens that begin the answer.
const ANSWER: i64 = 3;
/// Around each call of a tool.
const CALL: i64 = 7;
/// Around each definition of a tool, its parameters, each of them, each value of an enumeration, and behind all.
const TOOL: i64 = 8;
const PARAMETERS: i64 = 3;
const PARAMETER: i64 = 6;
const ENUMERATION: i64 = -3;
const VARIANT: i64 = 3;
const TOOLS: i64 = 12;
/// An image in full detail, of 1024 by 1024 pixels: 85 and four tiles of 170. Its true size is not known. Source:
/// "Vision" in OpenAI's guide; some models count a multiple of it.
const IMAGE: i64 = 765;
/// What it costs less where little detail is asked for, whatever its size.
const LOW_DETAIL: i64 = IMAGE - 85;
/// Bytes of base64 to a token (a tenth of a second) of audio, uncompressed and not.
const WAV_TOKEN: usize = 6_400;
const MP3_TOKEN: usize = 2_100;
/// Bytes of base64 to a token of a document.
const FILE_TOKEN: usize = 64;
/// Tokens of a completion that sets no limit.
const COMPLETION_DEFAULT: u64 = 16;
/// Deeper than that nothing is looked into.
const DEEPEST: u32 = 24;

/// What was found in a body.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) prompt: f64,
    /// Whether some of it is sound, a picture or a file, of which the length says little about the tokens.
    pub(super) is_guess: bool,
    /// Most tokens of each choice.
    pub(super) limit: Option<u64>,
    pub(super) choices: u64,
    pub(super) names: Names<'a>,
}

/// Members of a request that name what it belongs to, as they are written (with escapes, where they have any); none
/// where there are none, or no text, or an empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names<'a> {
    /// `prompt_cache_key`
    pub prompt_cache_key: Option<&'a [u8]>,
    /// `user`
    pub user: Option<&'a [u8]>,
    /// `previous_response_id`
    pub previous_response_id: Option<&'a [u8]>,
}

/// Who counts the texts.
#[derive(Debug)]
pub(super) enum Counter {
    Classes(Texts),
    #[cfg(feature = "tiktoken")]
    Exact(ExactTexts),
}

impl Counter {
    fn tokens(&self) -> f64 {
        match self {
            Counter::Classes(texts) => texts.tokens(),
            #[cfg(feature = "tiktoken")]
            Counter::Exact(texts) => texts.tokens(),
        }
    }

    /// Reads a text that stands as it is.
    fn read_raw(&mut self, text: &[u8]) {
        match self {
            Counter::Classes(texts) => texts.read_raw(text),
            #[cfg(feature = "tiktoken")]
            Counter::Exact(texts) => texts.read(&String::from_utf8_lossy(text)),
        }
    }
}

/// What a string is to whoever holds it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// The model reads it.
    Text,
    /// It says what something is.
    Nothing,
}

/// Looks into a body, given by its members without the braces.
pub(super) fn walk<'a>(operation: &Operation, members: &'a [u8], counter: Counter) -> Found<'a> {
    let mut walk = Walk {
        json: members,
        at: 0,
        depth: 0,
        texts: counter,
        tokens: 0,
        ids: 0,
        is_guess: false,
    };
    let (mut limit, mut choices, mut names) = (None, 1, Names::default());
    let is_completion = *operation == Operation::Completions;
    if is_completion {
        limit = Some(COMPLETION_DEFAULT);
    }
    walk.members(|walk, key| match key {
        b"messages" => {
            walk.tokens += ANSWER;
            walk.conversation(Reads::Nothing);
        }
        b"input" | b"instructions" | b"prompt" | b"suffix" => walk.conversation(Reads::Text),
        b"tools" | b"functions" => {
            walk.tokens += TOOLS;
            walk.tools();
        }
        b"response_format" | b"text" => walk.schema(),
        b"max_tokens" | b"max_completion_tokens" | b"max_output_tokens" => limit = walk.number().or(limit),
        b"n" | b"best_of" => choices = walk.number().unwrap_or(1).max(choices),
        b"prompt_cache_key" => names.prompt_cache_key = walk.name(),
        b"user" => names.user = walk.name(),
        b"previous_response_id" => names.previous_response_id = walk.name(),
        _ => walk.skip(),
    });
    Found {
        prompt: (walk.texts.tokens() + walk.tokens as f64).max(0.0) + walk.ids as f64,
        is_guess: walk.is_guess,
        limit,
        choices,
        names,
    }
}

struct Walk<'a> {
    json: &'a [u8],
    at: usize,
    depth: u32,
    texts: Counter,
    /// Tokens that are no text.
    tokens: i64,
    /// Tokens that were sent as numbers.
    ids: u64,
    /// Something was met whose tokens nobody can tell.
    is_guess: bool,
}

impl<'a> Walk<'a> {
    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.json.get(self.at) {
            if !byte.is_ascii_whitespace() {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_it = self.peek() == Some(byte);
        self.at += usize::from(is_it);
        is_it
    }

    /// Calls `each` for every member of an object whose brace has been read, with the walk at the member's value, which
    /// it must pass. Keys come as they are written: the known ones need no escapes, and who writes some is passed over.
    fn members(&mut self, mut each: impl FnMut(&mut Self, &'a [u8])) {
        while self.eat(b'"') {
            let key = self.string();
            if !self.eat(b':') {
                break;
            }
            each(self, key);
            if !self.eat(b',') {
                break;
            }
        }
        self.eat(b'}');
    }

    /// Calls `each` for every element of an array whose bracket has been read.
    fn elements(&mut self, mut each: impl FnMut(&mut Self)) {
        while !self.eat(b']') {
            let before = self.at;
            each(self);
            self.eat(b',');
            if self.at == before {
                // No JSON.
                self.at = self.json.len();
                break;
            }
        }
    }

    /// Steps over a string whose opening quote has been read, and returns what is in it.
    fn string(&mut self) -> &'a [u8] {
        let rest = self.json.get(self.at..).unwrap_or_default();
        let mut length = 0;
        while let Some(found) = rest[length..].iter().position(|&byte| byte == b'"' || byte == b'\\') {
            length += found;
            if rest[length] == b'"' {
                self.at += length + 1;
                return &rest[..length];
            }
            length = (length + 2).min(rest.len());
        }
        self.at = self.json.len();
        rest
    }

    /// Steps over a value of any kind.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => {
                    self.string();
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' | b':' => {}
                _ => self.word(),
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Steps over what is left of a number, `true`, `false` or `null`.
    fn word(&mut self) {
        let rest = self.json.get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
    }

    /// Reads a number; none where there is something else.
    fn number(&mut self) -> Option<u64> {
        self.peek();
        let from = self.at;
        self.skip();
        std::str::from_utf8(&self.json[from..self.at]).ok()?.trim().parse().ok()
    }

    /// Reads a name; none where there is something else, or nothing in it.
    fn name(&mut self) -> Option<&'a [u8]> {
        if self.eat(b'"') {
            return Some(self.string()).filter(|name| !name.is_empty());
        }
        self.skip();
        None
    }

    /// Reads a text whose opening quote has been read.
    fn text(&mut self) {
        match &mut self.texts {
            Counter::Classes(texts) => self.at = texts.read(self.json, self.at),
            #[cfg(feature = "tiktoken")]
            Counter::Exact(_) => self.exact_text(),
        }
    }

    #[cfg(feature = "tiktoken")]
    fn exact_text(&mut self) {
        let from = self.at - 1;
        self.string();
        let quoted = &self.json[from..self.at];
        match serde_json::from_slice::<String>(quoted) {
            Ok(text) => self.texts.read_raw(text.as_bytes()),
            Err(_) => self.texts.read_raw(quoted),
        }
    }

    /// Steps into an object or array, unless that would be too deep.
    fn deeper(&mut self, into: impl FnOnce(&mut Self)) {
        if self.depth == DEEPEST {
            return self.skip();
        }
        self.at += 1;
        self.depth += 1;
        into(self);
        self.depth -= 1;
    }

    /// Messages, a message, its content, or parts of it.
    fn conversation(&mut self, reads: Reads) {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                match reads {
                    Reads::Text => self.text(),
                    Reads::Nothing => drop(self.string()),
                }
            }
            Some(b'[') => self.deeper(|walk| walk.elements(|walk| walk.conversation(reads))),
            Some(b'{') => self.deeper(|walk| walk.members(Self::part)),
            Some(byte) => {
                // Texts may be sent as the numbers of their tokens.
                self.ids += u64::from(reads == Reads::Text && byte.is_ascii_digit());
                self.skip();
            }
            None => {}
        }
    }

    fn part(&mut self, key: &[u8]) {
        match key {
            b"content" | b"text" | b"refusal" | b"output" | b"input" | b"reasoning_content" => {
                self.conversation(Reads::Text);
            }
            b"role" => {
                self.tokens += MESSAGE;
                self.skip();
            }
            b"name" => {
                self.tokens += 1;
                self.conversation(Reads::Text);
            }
            b"arguments" => {
                self.tokens += CALL;
                self.conversation(Reads::Text);
            }
            b"image_url" => {
                self.tokens += IMAGE;
                self.is_guess = true;
                self.conversation(Reads::Nothing);
            }
            b"detail" if self.eat(b'"') => {
                if self.string() == b"low" {
                    self.tokens -= LOW_DETAIL;
                }
            }
            b"input_audio" => self.audio(),
            b"file_data" => self.file(),
            _ => self.conversation(Reads::Nothing),
        }
    }

    fn audio(&mut self) {
        let (mut bytes, mut is_small) = (0, false);
        if !self.eat(b'{') {
            return self.skip();
        }
        self.members(|walk, key| match key {
            b"data" if walk.eat(b'"') => bytes = walk.string().len(),
            b"format" if walk.eat(b'"') => is_small = walk.string() == b"mp3",
            _ => walk.skip(),
        });
        self.is_guess = true;
        self.tokens += (bytes / if is_small { MP3_TOKEN } else { WAV_TOKEN }) as i64;
    }

    fn file(&mut self) {
        if self.eat(b'"') {
            self.is_guess = true;
            self.tokens += (self.string().len() / FILE_TOKEN) as i64;
        } else {
            self.skip();
        }
    }

    /// Definitions of tools, of which the service makes declarations in a language of its own.
    fn tools(&mut self) {
        match self.peek() {
            Some(b'[') => self.deeper(|walk| walk.elements(Self::tools)),
            Some(b'{') => self.deeper(|walk| {
                walk.members(|walk, key| match key {
                    b"name" => {
                        walk.tokens += TOOL;
                        walk.conversation(Reads::Text);
                    }
                    b"description" => walk.conversation(Reads::Text),
                    b"properties" => walk.properties(),
                    b"enum" => {
                        walk.tokens += ENUMERATION;
                        walk.variants();
                    }
                    b"required" => walk.skip(),
                    _ => walk.tools(),
                });
            }),
            _ => self.skip(),
        }
    }

    fn properties(&mut self) {
        if self.peek() != Some(b'{') {
            return self.skip();
        }
        self.tokens += PARAMETERS;
        self.deeper(|walk| {
            while walk.eat(b'"') {
                walk.text();
                walk.tokens += PARAMETER;
                if !walk.eat(b':') {
                    break;
                }
                walk.tools();
                if !walk.eat(b',') {
                    break;
                }
            }
            walk.eat(b'}');
        });
    }

    fn variants(&mut self) {
        if self.peek() != Some(b'[') {
            return self.skip();
        }
        self.deeper(|walk| {
            walk.elements(|walk| {
                walk.tokens += VARIANT;
                walk.conversation(Reads::Text);
            });
        });
    }

    /// The form of the answer, which the model reads as it is written.
    fn schema(&mut self) {
        self.peek();
        let from = self.at;
        self.skip();
        self.texts.read_raw(&self.json[from..self.at]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: Operation = Operation::ChatCompletions;

    fn walk<'a>(operation: &Operation, members: &'a [u8]) -> Found<'a> {
        super::walk(operation, members, Counter::Classes(Texts::new()))
    }

    /// Tokens of the texts alone.
    fn texts(texts: &[&str]) -> i64 {
        let mut all = Texts::new();
        texts.iter().for_each(|text| all.read_raw(text.as_bytes()));
        all.tokens().round() as i64
    }

    fn check(operation: &Operation, members: &str, expected: i64) {
        let found = walk(operation, members.as_bytes()).prompt.round() as i64;
        assert_eq!(found, expected, "{members}");
    }

    #[test]
    fn what_a_chat_model_reads_is_counted() {
        let plain = texts(&["Be brief.", "Why does backoff matter?"]);
        check(
            &CHAT,
            r#""temperature":0.5,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Why does backoff matter?"}],"user":"not read by anyone""#,
            plain + ANSWER + 2 * MESSAGE,
        );
        check(
            &CHAT,
            r#" "messages" : [ { "content" : [ {"type":"text","text":"Be brief."} , {"text":"Why does backoff matter?"} ] , "role" : "user" } ] "#,
            plain + ANSWER + MESSAGE,
        );
        check(
            &CHAT,
            r#""messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"call_abcdefghijkl","type":"function","function":{"name":"look_up","arguments":"{\"city\":\"Trier\"}"}}]},{"role":"tool","tool_call_id":"call_abcdefghijkl","content":"sunny"}]"#,
            texts(&["look_up", r#"{"city":"Trier"}"#, "sunny"]) + ANSWER + 2 * MESSAGE + CALL + 1,
        );
        check(&CHAT, r#""messages":[]"#, ANSWER);
    }

    #[test]
    fn what_is_no_text_counts_by_its_kind() {
        let data = "A".repeat(64_000);
        for (part, expected) in [
            (
                format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}"#),
                765,
            ),
            (
                r#"{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}}"#.to_owned(),
                85,
            ),
            (
                r#"{"type":"input_image","detail":"low","image_url":"https://x/y.png"}"#.to_owned(),
                85,
            ),
            (
                r#"{"type":"image_url","image_url":{"url":"x","detail":"high"}}"#.to_owned(),
                765,
            ),
            (
                r#"{"type":"image_url","image_url":{"url":"x","detail":null}}"#.to_owned(),
                765,
            ),
            (
                format!(r#"{{"type":"input_audio","input_audio":{{"data":"{data}","format":"wav"}}}}"#),
                10,
            ),
            (
                format!(r#"{{"type":"input_audio","input_audio":{{"format":"mp3","data":"{data}"}}}}"#),
                30,
            ),
            (
                format!(r#"{{"type":"file","file":{{"filename":"a.pdf","file_data":"{data}"}}}}"#),
                1000,
            ),
        ] {
            let members = format!(r#""messages":[{{"role":"user","content":[{part}]}}]"#);
            check(&CHAT, &members, expected + ANSWER + MESSAGE);
        }
    }

    #[test]
    fn tools_count_as_the_service_declares_them() {
        // By the cookbook's formula for gpt-4o this definition has 7 + 3 + 2 * (3 + 3) + (-3 + 2 * 3) + 12 tokens beside
        // its texts, and 1 for each colon and each type in its declarations.
        let definition = r#"{"name":"weather","description":"Weather of a place","parameters":{"type":"object","required":["place"],"properties":{"place":{"type":"string","description":"A town"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}}}}"#;
        let words = texts(&[
            "weather",
            "Weather of a place",
            "place",
            "A town",
            "unit",
            "celsius",
            "fahrenheit",
        ]);
        let expected = words + TOOLS + TOOL + PARAMETERS + 2 * PARAMETER + ENUMERATION + 2 * VARIANT;
        check(
            &CHAT,
            &format!(r#""tools":[{{"type":"function","function":{definition}}}]"#),
            expected,
        );
        check(&CHAT, &format!(r#""functions":[{definition}]"#), expected);
        check(&Operation::Responses, &format!(r#""tools":[{definition}]"#), expected);
        // A parameter may be called like a word of the schema.
        let tricky = r#""functions":[{"parameters":{"properties":{"name":{"type":"string"},"required":{}}}}]"#;
        check(
            &CHAT,
            tricky,
            texts(&["name", "required"]) + TOOLS + PARAMETERS + 2 * PARAMETER,
        );
    }

    #[test]
    fn other_operations_are_read_in_their_own_words() {
        for (operation, members, expected) in [
            (Operation::Embeddings, r#""input":"one text""#, texts(&["one text"])),
            (
                Operation::Embeddings,
                r#""input":["one","two"]"#,
                texts(&["one", "two"]),
            ),
            (Operation::Embeddings, r#""input":[[11,12,13],[14]]"#, 4),
            (
                Operation::Completions,
                r#""prompt":[1,2,3],"suffix":"end""#,
                3 + texts(&["end"]),
            ),
            (
                Operation::Responses,
                r#""instructions":"Be brief.","input":[{"role":"user","content":[{"type":"input_text","text":"Hello"}]},{"type":"function_call_output","call_id":"c","output":"42"}]"#,
                texts(&["Be brief.", "Hello", "42"]) + MESSAGE,
            ),
            (
                Operation::Responses,
                r#""text":{"format":{"type":"json_object"}}"#,
                texts(&[r#"{"format":{"type":"json_object"}}"#]),
            ),
        ] {
            check(&operation, members, expected);
        }
    }

    #[test]
    fn limits_are_read() {
        let limits = |operation: &Operation, members: &str| {
            let found = walk(operation, members.as_bytes());
            (found.limit, found.choices)
        };
        for (members, expected) in [
            (r#""max_tokens":5"#, (Some(5), 1)),
            (r#""max_tokens":null,"max_completion_tokens": 7 ,"n": 3"#, (Some(7), 3)),
            (r#""max_completion_tokens":7,"max_tokens":null,"n":null"#, (Some(7), 1)),
            (r#""metadata":{"max_tokens":5,"n":2}"#, (None, 1)),
            (r#""max_tokens":"5","n":-1"#, (None, 1)),
        ] {
            assert_eq!(limits(&CHAT, members), expected, "{members}");
        }
        assert_eq!(limits(&Operation::Responses, r#""max_output_tokens":9"#), (Some(9), 1));
        assert_eq!(limits(&Operation::Completions, ""), (Some(16), 1));
        assert_eq!(
            limits(&Operation::Completions, r#""best_of":4,"n":2,"max_tokens":8"#),
            (Some(8), 4)
        );
    }

    #[test]
    fn names_are_read() {
        let names = |members: &'static str| {
            let Names {
                prompt_cache_key,
                user,
                previous_response_id,
            } = walk(&CHAT, members.as_bytes()).names;
            [prompt_cache_key, user, previous_response_id].map(|name| name.and_then(|name| str::from_utf8(name).ok()))
        };
        for (members, expected) in [
            (
                r#""user": "u" ,"prompt_cache_key":"k","previous_response_id":"resp_1""#,
                [Some("k"), Some("u"), Some("resp_1")],
            ),
            (r#""user":null,"prompt_cache_key":"","n":2"#, [None; 3]),
            (r#""user":{"user":"x"},"metadata":{"user":"y"}"#, [None; 3]),
            (
                r#""messages":[{"role":"user","content":"user"}],"user":"a\"b""#,
                [None, Some(r#"a\"b"#), None],
            ),
        ] {
            assert_eq!(names(members), expected, "{members}");
        }
        assert_eq!(walk(&CHAT, br#""user":["u"],"n":3"#).choices, 3, "the walk goes on");
    }

    #[test]
    fn any_bytes_are_walked_to_their_end() {
        let whole = r#""user":"u","messages":[{"role":"user","content":[{"text":"a\u00e4\ud83d\ude00\n","x":[1,{"y":null}]}]}],"tools":[{"name":"f","parameters":{"properties":{"p":{"enum":["a"]}}}}],"response_format":{"a":"é"}"#;
        for operation in [
            CHAT,
            Operation::Completions,
            Operation::Embeddings,
            Operation::Responses,
        ] {
            for end in 0..whole.len() {
                walk(&operation, &whole.as_bytes()[..end]);
                // One byte is another.
                for byte in *b"\"\\{}[],:\xff1" {
                    let mut broken = whole.as_bytes().to_vec();
                    broken[end] = byte;
                    walk(&operation, &broken);
                }
            }
        }
        let deep = format!(r#""messages":{}{}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
        check(&CHAT, &deep, ANSWER);
    }
}
