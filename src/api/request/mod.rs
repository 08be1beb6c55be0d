//! What is asked of a chat model.

use std::time::Duration;

use serde::Serialize;

pub use values::{PromptCacheRetention, ReasoningEffort, ResponseFormat, ServiceTier, Stop, StreamOptions, Verbosity};

use super::body::BodyWriter;
use super::members::Members;
use super::{ChatMessage, Method, Operation, Options, Prepared, Priority};
use crate::error::RequestError;

mod fields;
mod values;

/// A chat request: messages, every field of the API, and how this library is to treat it.
///
/// A builder by value. Nothing is sent that was not set, except that a stream asks for its usage and a
/// deployment may be configured with defaults. The first mistake is kept and returned when the request is
/// submitted.
///
/// ```
/// use std::time::Duration;
/// use azure_openai_blaster::api::{ChatMessage, ChatRequest, Priority};
///
/// let request = ChatRequest::new([ChatMessage::user("Why does backoff matter?")])
///     .model("gpt-4o")
///     .temperature(0.1)
///     .max_completion_tokens(256)
///     .timeout(Duration::from_secs(30))
///     .priority(Priority::Interactive)
///     .extra("reasoning_effort", "low");
/// assert!(request.check().is_ok());
///
/// let twice = request.temperature(0.2).extra("temperature", 0.3);
/// assert_eq!(
///     twice.check().unwrap_err().to_string(),
///     "`temperature` is set twice, by its own method and by `extra`: one of the two is needed",
/// );
/// ```
#[derive(Clone, Debug)]
pub struct ChatRequest {
    messages: Vec<ChatMessage>,
    members: Members,
    stream: bool,
    options: Options,
}

/// Fields that the library reads, and that `extra` therefore must not set behind its back.
const RESERVED: [&str; 3] = ["messages", "model", "stream"];

impl ChatRequest {
    /// A request that continues this conversation, oldest message first; at least one is needed.
    pub fn new(messages: impl IntoIterator<Item = ChatMessage>) -> Self {
        ChatRequest {
            messages: messages.into_iter().collect(),
            members: Members::default(),
            stream: false,
            options: Options::default(),
        }
    }

    /// The model, by the name under which deployments serve it. Without one any deployment may answer.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.options.model = Some(model.into().into());
        self
    }

    /// Whether the answer is to come as a stream. Where a whole answer is waited for it is put together again.
    #[must_use]
    pub fn stream(mut self, stream: bool) -> Self {
        self.stream = stream;
        self
    }

    /// Longest time from submission to the end of the answer, waiting for quota and all attempts included.
    /// Without it the configured `job_timeout_s` counts.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// How urgent the request is.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.options.priority = priority;
        self
    }

    /// Requests with the same key prefer the same deployment, whose prompt cache knows them. Never sent.
    #[must_use]
    pub fn session(mut self, key: impl Into<String>) -> Self {
        self.options.session = Some(key.into().into());
        self
    }

    /// Adds an HTTP header. Azure refuses more than 10 of them.
    ///
    /// Credentials and what frames the body are the library's own and cannot be set.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        if let Err(problem) = self.options.header(name.as_ref(), value.as_ref()) {
            self.members.fail(problem);
        }
        self
    }

    /// Sets any field of the API, known to this library or not.
    ///
    /// To set a field both in this way and by its method is an error, and so is a value that JSON cannot hold;
    /// `messages`, `model` and `stream` must be set by their own.
    #[must_use]
    pub fn extra(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.members.extra(key.into(), &value, &RESERVED);
        self
    }

    /// The messages, oldest first.
    #[must_use]
    pub fn messages(&self) -> &[ChatMessage] {
        &self.messages
    }

    /// Whether the request can be sent; the same check is made when it is submitted.
    ///
    /// # Errors
    /// The first problem.
    pub fn check(&self) -> Result<(), RequestError> {
        self.members.check()?;
        if self.messages.is_empty() {
            return Err(RequestError::NoMessages);
        }
        let clash = self
            .messages
            .iter()
            .enumerate()
            .find_map(|(i, m)| Some((i, m.clash()?)));
        match clash {
            None => Ok(()),
            Some((index, key)) => Err(RequestError::MessageClash {
                index,
                key: key.to_owned(),
            }),
        }
    }

    /// Checks the request and brings it into the form in which it waits.
    pub(crate) fn prepare(&self) -> Result<Prepared, RequestError> {
        self.check()?;
        let operation = Operation::ChatCompletions;
        let mut body = BodyWriter::new(&operation, 256);
        body.value("messages", &self.messages)?;
        self.members.write(&mut body);
        if self.stream {
            body.member("stream", "true");
        }
        Ok(Prepared {
            operation,
            method: Method::Post,
            body: body.finish(),
            options: self.options.clone(),
        })
    }
}

impl From<Vec<ChatMessage>> for ChatRequest {
    fn from(messages: Vec<ChatMessage>) -> Self {
        ChatRequest::new(messages)
    }
}

impl<const N: usize> From<[ChatMessage; N]> for ChatRequest {
    fn from(messages: [ChatMessage; N]) -> Self {
        ChatRequest::new(messages)
    }
}

impl From<&[ChatMessage]> for ChatRequest {
    fn from(messages: &[ChatMessage]) -> Self {
        ChatRequest::new(messages.iter().cloned())
    }
}

impl From<&Vec<ChatMessage>> for ChatRequest {
    fn from(messages: &Vec<ChatMessage>) -> Self {
        ChatRequest::new(messages.iter().cloned())
    }
}

impl From<ChatMessage> for ChatRequest {
    fn from(message: ChatMessage) -> Self {
        ChatRequest::new([message])
    }
}

impl From<&str> for ChatRequest {
    /// One message of the user.
    fn from(prompt: &str) -> Self {
        ChatRequest::new([ChatMessage::user(prompt)])
    }
}

impl From<String> for ChatRequest {
    /// One message of the user.
    fn from(prompt: String) -> Self {
        ChatRequest::new([ChatMessage::user(prompt)])
    }
}
