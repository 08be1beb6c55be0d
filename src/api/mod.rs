//! Requests, answers and reports: the types of what is sent to the service and of what comes back.
//!
//! # Reading order
//! 1. [`ChatMessage`]: one turn of a conversation, with its [`Content`] and its [`ToolCall`]s
//! 2. [`ChatRequest`]: what is asked, with every field of the API and how urgent it is
//! 3. [`ChatCompletion`]: what is answered; [`Delta`]: the same, piece by piece
//! 4. [`EmbeddingRequest`] and [`Embeddings`]; [`RawRequest`] and [`RawReply`] for every other [`Operation`]
//! 5. [`Ledger`]: what it took; [`EndpointReport`]: how a deployment fares, with [`Advice`]
//!
//! Unknown fields pass through: of a request by [`ChatRequest::extra`], of a reply by its raw JSON
//! ([`ChatCompletion::raw`]).

pub use advice::{Advice, AdviceKind};
pub use completion::{ChatCompletion, Choice};
pub use content::{Content, ContentPart};
pub use delta::{Delta, ToolCallDelta};
pub use embeddings::{EmbeddingRequest, Embeddings, EncodingFormat};
pub use error_object::ErrorObject;
pub use finish::FinishReason;
pub use headers::Headers;
pub use ledger::{Attempt, Ledger};
pub use limit_report::{LimitReport, PromptError, QuotaForm};
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

mod advice;
// `internals` shows more of it than the engine uses.
#[cfg_attr(not(feature = "internals"), allow(dead_code, unreachable_pub))]
pub(crate) mod assembler;
pub(crate) mod body;
pub(crate) mod clip;
mod completion;
mod content;
mod delta;
mod embeddings;
pub(crate) mod error_object;
mod finish;
mod floats;
pub(crate) mod headers;
mod json;
pub(crate) mod kind;
mod ledger;
pub(crate) mod lenient;
mod limit_report;
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
pub(crate) mod response_id;
mod seconds;
mod secret;
pub(crate) mod send_stream_options;
mod tool;
mod tool_call;
mod usage;
// `internals` shows it.
#[cfg_attr(not(feature = "internals"), allow(unreachable_pub))]
pub(crate) mod withheld;

pub(crate) use body::{Defaults as RequestDefaults, RequestBody};
pub(crate) use options::Options;
pub(crate) use prepared::Prepared;
