//! The body of a (legacy) completion.

use serde::Deserialize;

use super::chat::{MAX_CHOICES, StreamOptions, stream};
use super::text::{Str, StrOrList};
use super::{Markers, Request, parse};
use crate::sim::config::SimOperation;
use crate::sim::reply::ErrorReply;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    model: Option<Str<'a>>,
    #[serde(borrow, default)]
    prompt: Option<StrOrList<'a>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    n: Option<u64>,
    best_of: Option<u64>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Request<'_>, ErrorReply> {
    let body: Body<'_> = parse(bytes)?;
    let prompt = body.prompt.ok_or_else(|| ErrorReply::missing("prompt"))?;
    let per_prompt = body.n.unwrap_or(1);
    let choices = per_prompt.saturating_mul(prompt.len() as u64);
    if !(1..=MAX_CHOICES).contains(&choices) {
        return Err(ErrorReply::invalid(
            format!("Invalid 'n': 1 to {MAX_CHOICES} answers are possible, not {choices}."),
            Some("n"),
            None,
        ));
    }
    let best_of = body.best_of.unwrap_or(per_prompt);
    if best_of < per_prompt || best_of > MAX_CHOICES {
        return Err(ErrorReply::invalid(
            format!("Invalid 'best_of': it must be from n ({per_prompt}) to {MAX_CHOICES}, but is {best_of}."),
            Some("best_of"),
            None,
        ));
    }
    let counted = prompt.prompt();
    let markers = Markers::read(&prompt.into_last());
    let mut request = Request::new(SimOperation::Completions, body.model, counted, markers);
    request.max_output = body.max_tokens;
    request.choices = choices;
    request.best_of = best_of.saturating_mul(choices / per_prompt);
    request.stream = stream(body.stream, body.stream_options);
    Ok(request)
}
