//! What a reply is to whoever asked for it.

use crate::api::{ChatCompletion, Embeddings, FinishReason, RawReply};
use crate::engine::job::Reply;
use crate::error::{Error, Result};

/// What the engine lays down for a job is what its kind of reply asks for; anything else is a mistake of ours.
fn foreign<T>(_: Reply) -> Result<T> {
    Err(Error::Panicked {
        what: "the reply is of another kind than was asked for".to_owned(),
        trail: Box::default(),
    })
}

pub(super) fn chat(reply: Reply) -> Result<ChatCompletion> {
    match reply {
        Reply::Chat(completion) => Ok(*completion),
        other => foreign(other),
    }
}

pub(super) fn text(reply: Reply) -> Result<String> {
    let completion = chat(reply)?;
    if completion.no_text().is_none() && completion.finish_reason() == Some(&FinishReason::Length) {
        // Its own id is a part of the answer; the request's is what support asks for.
        let attempt = completion.ledger().last();
        let endpoint = attempt.map_or("unknown", |attempt| &attempt.endpoint);
        let id = attempt.and_then(|attempt| attempt.request_id.as_deref());
        log::warn!(
            "an answer of {endpoint} was cut at its token limit (finish reason \"length\"; request id {})",
            id.unwrap_or("unknown")
        );
    }
    completion.into_text()
}

pub(super) fn raw(reply: Reply) -> Result<RawReply> {
    match reply {
        Reply::Raw(reply) => Ok(*reply),
        other => foreign(other),
    }
}

pub(super) fn embeddings(reply: Reply) -> Result<Embeddings> {
    match reply {
        Reply::Embeddings(embeddings) => Ok(*embeddings),
        other => foreign(other),
    }
}
