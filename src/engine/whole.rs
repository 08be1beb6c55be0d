//! Replies that are read to their end before anybody is handed anything.

use crate::api::withheld::Withheld;
use crate::api::{ChatCompletion, Embeddings, Operation, RawReply};
use crate::balance::Lease;
use crate::balance::classify::{ReplyFacts, bad_reply, classify_unreadable, cut_short};
use crate::clock;
use crate::error::BadReply;
use crate::error::fault::{Fault, FaultKind, TimeoutKind};
use crate::transport::{self, MAX_BODY};

use super::attempt::{begins_events, is_of_type, says_stream};
use super::attempted::{Attempted, answered, judged, upstream};
use super::job::{Job, Reply};
use super::shared::Shared;
use super::sink::RawPiece;
use super::stored::Stored;
use super::streamed::{hand_out, is_delimited, pass_on, raw_stream};
use super::tail::Tail;

pub(super) fn chat_whole(
    shared: &Shared,
    job: &mut Job,
    lease: &Lease,
    mut reply: transport::Reply,
    withheld: Withheld<'_>,
) -> Result<Attempted, Fault> {
    let mut bytes = Vec::new();
    let cut = cut_body(&mut reply, &mut bytes)?;
    let mut completion = match (ChatCompletion::read(bytes), cut) {
        // All of it is there, whatever the connection came to afterwards.
        (Ok(completion), None) => completion,
        (Ok(completion), Some(_)) if completion.is_finished() => completion,
        (_, Some(fault)) => return Err(fault),
        (Err((bytes, bad)), None) => return Ok(no_answer(reply, &bytes, lease.operation(), &bad, withheld)),
    };
    // The service may answer whole although a stream was asked for: its reader gets it in one piece.
    if job.request.has_sink() {
        for delta in completion.to_deltas() {
            if let Some(ended) = hand_out(shared, job, delta, || std::mem::take(&mut completion)) {
                return Ok(ended);
            }
        }
    }
    let used = completion.usage().into();
    Ok(answered(Reply::Chat(Box::new(completion)), used))
}

/// Reads a body into `bytes`; some where it broke off, behind a whole answer perhaps.
fn cut_body(reply: &mut transport::Reply, bytes: &mut Vec<u8>) -> Result<Option<Fault>, Fault> {
    match reply.read_into(bytes, MAX_BODY) {
        Ok(()) => Ok(None),
        Err(fault) if matches!(fault.kind, FaultKind::Closed | FaultKind::Timeout(TimeoutKind::Idle)) => {
            Ok(Some(fault))
        }
        Err(fault) => Err(fault),
    }
}

pub(super) fn embeddings(
    lease: &Lease,
    mut reply: transport::Reply,
    withheld: Withheld<'_>,
) -> Result<Attempted, Fault> {
    let mut bytes = Vec::new();
    let cut = cut_body(&mut reply, &mut bytes)?;
    match (Embeddings::parse(&bytes), cut) {
        (Ok(embeddings), _) => {
            let used = embeddings.usage().into();
            Ok(answered(Reply::Embeddings(Box::new(embeddings)), used))
        }
        (Err(_), Some(fault)) => Err(fault),
        (Err(bad), None) => Ok(no_answer(reply, &bytes, lease.operation(), &bad, withheld)),
    }
}

/// A success whose body is none: an error that came as a 200, or something that makes no sense.
fn no_answer(
    reply: transport::Reply,
    body: &[u8],
    operation: &Operation,
    bad: &BadReply,
    withheld: Withheld<'_>,
) -> Attempted {
    let transport::Reply { status, headers, .. } = reply;
    let facts = ReplyFacts {
        status,
        headers: &headers,
        body,
        operation,
        wall: clock::wall(),
    };
    let what = classify_unreadable(&facts, bad, withheld);
    judged(what, Some(upstream(status, headers, body, withheld)))
}

/// Whether a body begins as JSON, or as a stream of events, and ends before that does.
fn is_cut(body: &[u8], tail: &Tail) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    match body.first() {
        Some(b'{' | b'[' | b'"') => {
            serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err_and(|error| error.is_eof())
        }
        _ => begins_events(body) && tail.lacks_end() && !holds_last_event(body),
    }
}

/// Whether a stream holds an event that others do not follow: `[DONE]`, or the last one of a response.
fn holds_last_event(body: &[u8]) -> bool {
    // In texts the quotes and the line end would be escaped.
    const LAST: [&[u8]; 6] = [
        b"\ndata: [DONE]",
        b"\ndata:[DONE]",
        br#""response.completed""#,
        br#""response.incomplete""#,
        br#""response.failed""#,
        br#""response.cancelled""#,
    ];
    LAST.iter().any(|last| memchr::memmem::find(body, last).is_some())
}

/// A reply that is passed on as bytes.
pub(super) fn raw(
    shared: &Shared,
    job: &mut Job,
    lease: &Lease,
    mut reply: transport::Reply,
    withheld: Withheld<'_>,
) -> Result<Attempted, Fault> {
    if says_stream(&reply.headers) {
        return raw_stream(shared, job, lease, reply, withheld);
    }
    let body = reply.read_to_vec(MAX_BODY)?;
    let mut tail = Tail::of(lease.operation());
    tail.push(&body);
    if !is_delimited(&reply.headers) && is_cut(&body, &tail) {
        let what = cut_short("the connection was closed before the end of the reply");
        return Ok(judged(what, None));
    }
    let html = is_of_type(&reply.headers, "text/html");
    let headers = withheld.told_headers(reply.headers);
    if html {
        let what = bad_reply(format!("{} with a web page", reply.status));
        return Ok(judged(what, Some(upstream(reply.status, headers, &body, withheld))));
    }
    let mut stored = Stored::of(lease);
    stored.body(&body);
    stored.note(shared, lease);
    if job.request.has_sink() {
        let pieces = [
            RawPiece::Head(reply.status, headers.clone()),
            RawPiece::Bytes(body.clone()),
        ];
        for piece in pieces {
            if let Some(ended) = pass_on(shared, job, piece) {
                return Ok(ended);
            }
        }
    }
    let reply = RawReply::new(reply.status, headers, body);
    Ok(answered(Reply::Raw(Box::new(reply)), tail.used()))
}
