//! Texts as vectors.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::body::BodyWriter;
use super::floats::Floats;
use super::lenient::{Budget, Member, Object, read_object};
use super::members::Members;
use super::options::option_methods;
use super::{ErrorObject, Ledger, Method, Operation, Options, Prepared, Usage};
use crate::error::{BadReply, RequestError, json_fault};

/// A request for the vectors of one or more texts. A builder by value, as
/// [`ChatRequest`](super::ChatRequest) is.
///
/// ```
/// use azure_openai_blaster::api::EmbeddingRequest;
///
/// let request = EmbeddingRequest::new(["first text", "second text"]).model("text-embedding-3-small").dimensions(256);
/// assert!(request.check().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct EmbeddingRequest {
    input: Input,
    encoding: EncodingFormat,
    members: Members,
    options: Options,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Input {
    Texts(Vec<String>),
    Tokens(Vec<Vec<u32>>),
}

/// How vectors travel; [`Embeddings`] are the same for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EncodingFormat {
    /// `base64`: a third of the bytes, which is why it is asked for unless you say otherwise. A service that does
    /// not know it sends the other one.
    #[default]
    Base64,
    /// `float`: lists of numbers.
    Float,
}

/// Most bytes that the vectors of a reply may take.
const MAX_MADE: usize = 128 << 20;

/// Fields that the library reads.
const RESERVED: [&str; 3] = ["input", "model", "encoding_format"];

impl EmbeddingRequest {
    /// A request for the vectors of these texts, of which there must be at least one (Azure takes up to 2,048).
    pub fn new<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::with_input(Input::Texts(texts.into_iter().map(Into::into).collect()))
    }

    /// A request for the vectors of texts that have been turned into tokens.
    pub fn tokens(texts: impl IntoIterator<Item = Vec<u32>>) -> Self {
        Self::with_input(Input::Tokens(texts.into_iter().collect()))
    }

    fn with_input(input: Input) -> Self {
        EmbeddingRequest {
            input,
            encoding: EncodingFormat::default(),
            members: Members::default(),
            options: Options::default(),
        }
    }

    option_methods!("The model, by the name under which deployments serve it. Without one any deployment may answer.");

    /// Length of the vectors, for models that can shorten them.
    #[must_use]
    pub fn dimensions(mut self, dimensions: u32) -> Self {
        self.members.set("dimensions", &dimensions);
        self
    }

    /// How vectors travel.
    #[must_use]
    pub fn encoding_format(mut self, format: EncodingFormat) -> Self {
        self.encoding = format;
        self
    }

    /// The end user, for the service's detection of abuse.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.members.set("user", &user.into());
        self
    }

    fn fail(&mut self, problem: RequestError) {
        self.members.fail(problem);
    }

    /// Sets any other field of the API, as [`ChatRequest::extra`](super::ChatRequest::extra) does.
    #[must_use]
    pub fn extra(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.members.extra(key.into(), &value, &RESERVED);
        self
    }

    /// Whether the request can be sent; the same check is made when it is submitted.
    ///
    /// # Errors
    /// The first problem.
    pub fn check(&self) -> Result<(), RequestError> {
        self.members.check()?;
        let is_empty = match &self.input {
            Input::Texts(texts) => texts.is_empty(),
            Input::Tokens(texts) => texts.is_empty(),
        };
        if is_empty {
            return Err(RequestError::NoInput);
        }
        Ok(())
    }

    /// Checks the request and brings it into the form in which it waits.
    pub(crate) fn prepare(&self) -> Result<Prepared, RequestError> {
        self.check()?;
        let operation = Operation::Embeddings;
        let mut body = BodyWriter::new(&operation, 256);
        body.value("input", &self.input)?;
        body.value("encoding_format", &self.encoding)?;
        self.members.write(&mut body);
        Ok(Prepared {
            operation,
            method: Method::Post,
            body: body.finish(),
            options: self.options.clone(),
        })
    }
}

impl From<&str> for EmbeddingRequest {
    fn from(text: &str) -> Self {
        EmbeddingRequest::new([text])
    }
}

impl From<String> for EmbeddingRequest {
    fn from(text: String) -> Self {
        EmbeddingRequest::new([text])
    }
}

impl From<&String> for EmbeddingRequest {
    fn from(text: &String) -> Self {
        EmbeddingRequest::from(text.as_str())
    }
}

impl<T: Into<String>> From<Vec<T>> for EmbeddingRequest {
    fn from(texts: Vec<T>) -> Self {
        EmbeddingRequest::new(texts)
    }
}

impl<T: Into<String>, const N: usize> From<[T; N]> for EmbeddingRequest {
    fn from(texts: [T; N]) -> Self {
        EmbeddingRequest::new(texts)
    }
}

/// The vectors of an [`EmbeddingRequest`]'s texts.
///
/// The reply's JSON is not kept beside them, for it may be large; who needs it makes a raw request.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Embeddings {
    /// One vector for each text, in the order of the texts.
    pub vectors: Vec<Vec<f32>>,
    /// The model that answered; may be empty.
    pub model: String,
    usage: Option<Usage>,
    ledger: Ledger,
}

impl Embeddings {
    /// Reads the body of a reply with status 200.
    ///
    /// # Errors
    /// Where it is not JSON of that shape, has an `error` at its top or no vectors, or where the vectors' indices do
    /// not say which text is whose.
    pub fn parse(body: &[u8]) -> Result<Self, BadReply> {
        let budget = Budget::new(MAX_MADE);
        Self::read(body, &budget).map_err(|reason| {
            let reason = match budget.excess() {
                Some(excess) => format!("the reply is too large: {excess}"),
                None => reason,
            };
            BadReply::new(reason, body)
        })
    }

    fn read(body: &[u8], budget: &Budget) -> Result<Self, String> {
        let json = String::from_utf8_lossy(body);
        let mut reply = WireReply::new(budget);
        read_object(json.trim_start_matches('\u{feff}'), &mut reply)
            .map_err(|error| format!("the reply holds no embeddings: {}", json_fault(&error)))?;
        if reply.error.and_then(ErrorObject::read).is_some() {
            return Err("the reply is an error".to_owned());
        }
        let mut data = reply.data;
        if data.is_empty() {
            return Err("the reply holds no embeddings".to_owned());
        }
        data.sort_by_key(|item| item.index);
        if data.iter().zip(0..).any(|(item, place)| item.index != Some(place)) {
            let last = data.len() - 1;
            return Err(format!("the indices of {} embeddings are not 0 to {last}", data.len()));
        }
        Ok(Embeddings {
            vectors: data.into_iter().map(|item| item.embedding).collect(),
            model: reply.model.unwrap_or_default().into_owned(),
            usage: reply.usage,
            ledger: Ledger::default(),
        })
    }

    /// What it cost.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// The attempts that it took.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn set_ledger(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }
}

struct WireReply<'a> {
    budget: &'a Budget,
    data: Vec<WireVector<'a>>,
    model: Option<Cow<'a, str>>,
    usage: Option<Usage>,
    error: Option<&'a RawValue>,
}

struct WireVector<'a> {
    budget: &'a Budget,
    index: Option<u64>,
    embedding: Vec<f32>,
}

impl<'a> WireReply<'a> {
    fn new(budget: &'a Budget) -> Self {
        WireReply {
            budget,
            data: Vec::new(),
            model: None,
            usage: None,
            error: None,
        }
    }
}

impl<'a> Object<'a> for WireReply<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        let budget = self.budget;
        match key {
            "data" => {
                let data = value.objects(budget, || WireVector {
                    budget,
                    index: None,
                    embedding: Vec::new(),
                })?;
                if let Some(data) = data.filter(|data| !data.is_empty()) {
                    self.data = data;
                }
            }
            "model" => self.model = value.name()?.or(self.model.take()),
            "usage" => {
                let mut usage = Usage::default();
                if value.any_object(&mut usage)? {
                    self.usage = Some(usage);
                }
            }
            "error" => self.error = value.raw_unless_null()?.or(self.error),
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for WireVector<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        match key {
            "index" => self.index = value.number()?.known().or(self.index),
            "embedding" => {
                let vector = value.seed(Floats(self.budget))?;
                if !vector.is_empty() {
                    self.embedding = vector;
                }
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::body::Defaults;

    fn body(request: &EmbeddingRequest) -> String {
        let mut out = Vec::new();
        let defaults = Defaults {
            temperature: Some(0.5),
            max_completion_tokens: Some(5),
            ..Defaults::default()
        };
        request.prepare().unwrap().body.render(Some("m"), defaults, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_request_is_written_without_the_defaults_of_chat() {
        for (request, expected) in [
            (
                EmbeddingRequest::new(["a", "b"])
                    .dimensions(3)
                    .user("u")
                    .extra("x", [1]),
                r#"{"input":["a","b"],"encoding_format":"base64","dimensions":3,"user":"u","x":[1],"model":"m"}"#,
            ),
            (
                EmbeddingRequest::tokens([vec![1, 2]]).encoding_format(EncodingFormat::Float),
                r#"{"input":[[1,2]],"encoding_format":"float","model":"m"}"#,
            ),
        ] {
            assert_eq!(body(&request), expected);
        }
    }

    #[test]
    fn a_request_that_would_be_refused_is_found_out() {
        for (request, expected) in [
            (EmbeddingRequest::new(Vec::<String>::new()), RequestError::NoInput),
            (
                EmbeddingRequest::from("a").extra("input", "b"),
                RequestError::Reserved {
                    key: "input".to_owned(),
                },
            ),
            (
                EmbeddingRequest::from("a").extra("user", "b").user("c"),
                RequestError::Clash { key: "user".to_owned() },
            ),
        ] {
            assert_eq!(request.prepare().unwrap_err(), expected);
        }
    }

    #[test]
    fn vectors_come_in_the_order_of_the_texts() {
        let body = br#"{"object":"list","data":[{"object":"embedding","index":1,"embedding":[2.0]},{"index":0,"embedding":"AACAPw=="}],
            "model":"text-embedding-3-small","usage":{"prompt_tokens":4,"total_tokens":4}}"#;
        let embeddings = Embeddings::parse(body).unwrap();
        assert_eq!(embeddings.vectors, [[1.0], [2.0]]);
        assert_eq!(embeddings.model, "text-embedding-3-small");
        assert_eq!(embeddings.usage().unwrap().prompt_tokens, 4);
    }

    #[test]
    fn a_reply_without_usable_vectors_is_refused() {
        for (body, reason) in [
            ("", "EOF"),
            ("<html>", "expected value"),
            ("{}", "no embeddings"),
            (r#"{"data":null}"#, "no embeddings"),
            (r#"{"data":[],"error":{"code":"x","message":"y"}}"#, "is an error"),
            (r#"{"data":[{"index":0,"embedding":"?"}]}"#, "base64"),
            (r#"{"data":[{"index":1,"embedding":[]}]}"#, "indices"),
            (
                r#"{"data":[{"index":0,"embedding":[]},{"index":0,"embedding":[]}]}"#,
                "indices",
            ),
        ] {
            let bad = Embeddings::parse(body.as_bytes()).unwrap_err();
            assert!(bad.reason().contains(reason), "{body}: {bad}");
        }
    }
}
