//! Words: what is sent to the service and what comes back.
//!
//! # Reading order
//! 1. [`message`]: one turn of a conversation, with its [`content`] and its [`tool_call`]s
//! 2. [`request`]: what is asked, with every field of the API
//! 3. [`completion`]: what is answered; [`delta`]: the same, piece by piece
//! 4. [`embeddings`] and [`raw`]: the other operations
//!
//! Unknown fields pass through: of a request by `extra`, of a reply by its raw JSON.

pub use completion::{ChatCompletion, Choice};
pub use content::{Content, ContentPart};
pub use delta::{Delta, ToolCallDelta};
pub use embeddings::{EmbeddingRequest, Embeddings, EncodingFormat};
pub use error_object::ErrorObject;
pub use finish::FinishReason;
pub use headers::Headers;
pub use ledger::{Attempt, Ledger};
pub use message::{ChatMessage, Role};
pub use method::Method;
pub use no_text::NoText;
pub use operation::Operation;
pub use priority::Priority;
pub use raw::{RawReply, RawRequest};
pub use report::{Condition, EndpointReport, Told, Totals};
pub use request::{
    ChatRequest, PromptCacheRetention, ReasoningEffort, ResponseFormat, ServiceTier, Stop, StreamOptions, Verbosity,
};
pub use secret::Secret;
pub use tool::{Tool, ToolChoice};
pub use tool_call::{CustomCall, FunctionCall, ToolCall};
pub use usage::Usage;

// `pub` inside is for `internals`.
#[allow(unreachable_pub)]
pub(crate) mod assembler;
pub(crate) mod body;
pub(crate) mod clip;
mod completion;
mod content;
mod delta;
mod embeddings;
mod error_object;
mod finish;
mod floats;
mod headers;
mod json;
mod ledger;
mod members;
mod message;
mod method;
mod no_text;
mod operation;
mod options;
mod prepared;
mod priority;
mod raw;
mod report;
mod request;
mod secret;
mod tool;
mod tool_call;
mod usage;

pub(crate) use body::{Defaults as RequestDefaults, RequestBody};
pub(crate) use options::Options;
pub(crate) use prepared::Prepared;
