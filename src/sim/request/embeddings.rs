//! The body of an embedding.

use serde::Deserialize;

use super::text::{Str, StrOrList};
use super::{Embed, Markers, Request, parse};
use crate::sim::config::SimOperation;
use crate::sim::reply::ErrorReply;

/// Most inputs in a request. Source: Microsoft, "Quotas and limits".
const MAX_INPUTS: usize = 2048;

/// Longest embedding that may be asked for: that of text-embedding-3-large.
const MAX_DIMENSIONS: u32 = 3072;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    model: Option<Str<'a>>,
    #[serde(borrow, default)]
    input: Option<StrOrList<'a>>,
    dimensions: Option<u32>,
    #[serde(borrow, default)]
    encoding_format: Option<Str<'a>>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Request<'_>, ErrorReply> {
    let body: Body<'_> = parse(bytes)?;
    let input = body.input.ok_or_else(|| ErrorReply::missing("input"))?;
    if input.len() == 0 {
        return Err(ErrorReply::invalid(
            "'$.input' is invalid: it is empty.",
            Some("input"),
            None,
        ));
    }
    if input.len() > MAX_INPUTS {
        return Err(ErrorReply::too_long("input", input.len(), MAX_INPUTS));
    }
    if let Some(dimensions) = body.dimensions
        && !(1..=MAX_DIMENSIONS).contains(&dimensions)
    {
        return Err(ErrorReply::invalid(
            format!("Invalid value for 'dimensions': 1 to {MAX_DIMENSIONS} is possible, not {dimensions}."),
            Some("dimensions"),
            None,
        ));
    }
    let prompt = input.prompt();
    let mut request = Request::new(SimOperation::Embeddings, body.model, prompt, Markers::default());
    request.embed = Embed {
        inputs: input.hashes(),
        dimensions: body.dimensions,
        base64: body.encoding_format.is_some_and(|format| format.as_str() == "base64"),
    };
    Ok(request)
}
