//! Replies that are handed to their reader piece by piece.

use std::io::Read;

use crate::api::assembler::{Assembler, DONE, Step};
use crate::api::clip::clip;
use crate::api::withheld::Withheld;
use crate::api::{ChatCompletion, Delta, Headers, RawReply};
use crate::balance::Lease;
use crate::balance::classify::{bad_reply, classify_error_frame, cut_short};
use crate::clock;
use crate::error::StreamProblem;
use crate::error::fault::{Fault, FaultKind, Phase};
use crate::transport::{self, Body, Gate, MAX_BODY, sse};

use super::attempted::{Attempted, BODY_KEPT, Cause, answered, failed, judged, upstream};
use super::job::{Job, Reply};
use super::raw_events::{RawEvents, Stage};
use super::shared::Shared;
use super::sink::{Given, RawPiece};
use super::stored::Stored;
use super::tail::Tail;

/// Bytes of a stream read at once.
pub(super) const CHUNK: usize = 8 * 1024;
/// Most bytes of a raw stream held back while no content has come.
const MOST_HELD: usize = 1024 * 1024;

/// A chat that comes as a stream. Complete is what has a finish reason for every choice; how the stream ended
/// after that does not matter, nor does whether the body ends after `[DONE]`, or ever without it.
#[inline(never)] // for its buffer, as `read`
pub(super) fn chat_stream(
    shared: &Shared,
    job: &mut Job,
    reply: transport::Reply,
    withheld: Withheld<'_>,
) -> Result<Attempted, Fault> {
    let transport::Reply {
        status,
        headers,
        mut body,
    } = reply;
    let choices = job.request.body.choices();
    let mut assembler = if job.request.has_sink() {
        Assembler::new(choices)
    } else {
        Assembler::silent(choices)
    };
    let mut parser = sse::Parser::of_json();
    let mut buffer = [0; CHUNK];
    let mut steps = Vec::new();
    let mut bad_frame = Vec::new();
    let mut begun = false;
    let mut finished = false;
    let fault = loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => {
                if is_delimited(&headers) {
                    assembler.ends();
                }
                break None;
            }
            Ok(read) => read,
            Err(error) => break Some(Body::fault(&error)),
        };
        let mut on = |event: sse::Event<'_>| take(&mut assembler, event, &mut steps, &mut bad_frame);
        if let Err(too_long) = parser.push(&buffer[..read], &mut on) {
            break Some(Fault::new(
                FaultKind::TooLarge,
                Phase::HeadReceived,
                too_long.to_string(),
            ));
        }
        if parser.has_pending(DONE) {
            on(sse::Event { name: "", data: DONE });
        }
        if !begun && assembler.has_content() {
            begun = true;
            body.answer_begins();
        }
        if assembler.is_complete() != finished {
            finished = !finished;
            match finished {
                true => body.answer_finishes(),
                // A further choice than were asked for.
                false => body.answer_begins(),
            }
        }
        // What has failed, or is done, is not waited for: the service may keep the body open.
        let is_over = steps.iter().any(|step| matches!(step, Step::Done | Step::Failed(_)));
        for step in steps.drain(..) {
            let Step::Delta(delta) = step else { continue };
            if let Some(ended) = hand_out(shared, job, delta, || assembler.so_far()) {
                return Ok(ended);
            }
        }
        if is_over {
            body.drain();
            break None;
        }
    };
    // A last event without its blank line counts too; where it is too long it was not complete anyway.
    let _ = parser.finish(|event| take(&mut assembler, event, &mut steps, &mut bad_frame));
    for step in steps.drain(..) {
        if let Step::Delta(delta) = step
            && let Some(ended) = hand_out(shared, job, delta, || assembler.so_far())
        {
            return Ok(ended);
        }
    }
    let incomplete = match assembler.finish() {
        Ok(completion) => {
            let used = completion.usage().into();
            return Ok(answered(Reply::Chat(Box::new(completion)), used));
        }
        Err(incomplete) => incomplete,
    };
    let what = match (&incomplete.problem, &fault) {
        (StreamProblem::Service(error), _) => Ok(classify_error_frame(error, &headers, clock::wall(), withheld)),
        (_, Some(fault)) => Err(fault),
        (StreamProblem::Cut { .. }, None) => Ok(cut_short(incomplete.problem.to_string())),
        (problem, None) => Ok(bad_reply(problem.to_string())),
    };
    let mut attempted = match what {
        Ok(what) => {
            let has_frame = !bad_frame.is_empty();
            judged(what, has_frame.then(|| upstream(status, headers, &bad_frame, withheld)))
        }
        Err(fault) => failed(shared, job, withheld, fault),
    };
    if job.handed_out() && attempted.cause.is_none() {
        attempted.cause = Some(Cause::Broken(Some(incomplete.received)));
    }
    Ok(attempted)
}

/// Hands an event of a stream to the assembler; the data of the one that ends it is kept for who asks what it was.
fn take(assembler: &mut Assembler, event: sse::Event<'_>, steps: &mut Vec<Step>, bad_frame: &mut Vec<u8>) {
    assembler.push(event.name, event.data, |step| {
        if matches!(step, Step::Failed(_)) {
            bad_frame.extend_from_slice(clip(event.data, BODY_KEPT).as_bytes());
        }
        steps.push(step);
    });
}

/// A raw stream: held back until the first event with content, so that a failure before it can be tried elsewhere; held
/// to its end where nobody reads it as it comes.
#[inline(never)] // for its buffer, as `read`
pub(super) fn raw_stream(
    shared: &Shared,
    job: &mut Job,
    lease: &Lease,
    reply: transport::Reply,
    withheld: Withheld<'_>,
) -> Result<Attempted, Fault> {
    let transport::Reply {
        status,
        mut headers,
        mut body,
    } = reply;
    let has_reader = job.request.has_sink();
    let mut events = RawEvents::of(lease.operation());
    let mut is_held = true;
    let mut is_ending = false;
    let mut held = Vec::new();
    let mut latest = Vec::new();
    let mut tail = Tail::of(lease.operation());
    let mut stored = Stored::of(lease);
    let mut buffer = [0; CHUNK];
    body.awaits_content();
    loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(_) if is_ending => break,
            Err(error) => {
                let mut attempted = failed(shared, job, withheld, &Body::fault(&error));
                if job.handed_out() && attempted.cause.is_none() {
                    attempted.cause = Some(Cause::Broken(None));
                }
                return Ok(attempted);
            }
        };
        let taken = events.push(&buffer[..read], |data| {
            stored.event(data);
            latest = clip(data, BODY_KEPT).as_bytes().to_vec();
        });
        held.extend_from_slice(&buffer[..taken]);
        tail.push(&buffer[..taken]);
        if is_held {
            match events.stage() {
                Stage::Failed(error) => {
                    let what = classify_error_frame(error, &headers, clock::wall(), withheld);
                    return Ok(judged(what, Some(upstream(status, headers, &latest, withheld))));
                }
                Stage::Preamble if held.len() < MOST_HELD => continue,
                _ => events.take_for_content(),
            }
            is_held = false;
            body.answer_begins();
            stored.note(shared, lease);
            headers = withheld.told_headers(headers);
            if has_reader && let Some(ended) = pass_on(shared, job, RawPiece::Head(status, headers.clone())) {
                return Ok(ended);
            }
        }
        if !has_reader {
            if held.len() > MAX_BODY {
                let message = format!("the body is larger than {MAX_BODY} bytes");
                return Err(Fault::new(FaultKind::TooLarge, Phase::HeadReceived, message));
            }
        } else if let Some(ended) = pass_on(shared, job, RawPiece::Bytes(std::mem::take(&mut held))) {
            return Ok(ended);
        }
        match events.stage() {
            Stage::Over => {
                body.drain();
                break;
            }
            Stage::Ending if !is_ending => {
                is_ending = true;
                body.answer_ends();
            }
            _ => {}
        }
    }
    if is_held {
        return Ok(judged(cut_short("the stream ended before any content"), None));
    }
    if *events.stage() == Stage::Content && !is_delimited(&headers) && tail.lacks_end() {
        let mut attempted = judged(
            cut_short("the connection was closed before the end of the stream"),
            None,
        );
        if job.handed_out() {
            attempted.cause = Some(Cause::Broken(None));
        }
        return Ok(attempted);
    }
    // With a reader nothing is left of it.
    let reply = RawReply::new(status, headers, held);
    Ok(answered(Reply::Raw(Box::new(reply)), tail.used()))
}

/// Whether a body says by itself where it ends, so that a cut is told from its end. Of the transfer codings only chunks do;
/// anything else ends with the connection.
pub(super) fn is_delimited(headers: &Headers) -> bool {
    let mut codings = headers.iter().filter(|(name, _)| *name == "transfer-encoding");
    let is_chunked = |(_, coding): (&str, &str)| {
        let mut codings = coding.split(',');
        codings.any(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
    };
    headers.get("content-length").is_some() || codings.any(is_chunked)
}

/// Hands a piece to the stream's reader. Some where the attempt ends with that.
pub(super) fn hand_out(
    shared: &Shared,
    job: &mut Job,
    delta: Delta,
    so_far: impl FnOnce() -> ChatCompletion,
) -> Option<Attempted> {
    let sink = job.request.sink()?;
    let given = sink.delta(delta, shared.timeouts.idle, &job.cell.gate);
    let is_callback = sink.is_callback();
    job.note_handed_out();
    given_up(given, &job.cell.gate, is_callback, so_far)
}

/// Hands a piece of a raw reply to its reader, likewise.
pub(super) fn pass_on(shared: &Shared, job: &mut Job, piece: RawPiece) -> Option<Attempted> {
    let sink = job.request.sink()?;
    let given = sink.raw(piece, shared.timeouts.idle, &job.cell.gate);
    job.note_handed_out();
    given_up(given, &job.cell.gate, false, ChatCompletion::default)
}

/// Some where the reader's answer ends the attempt.
fn given_up(
    given: Given,
    gate: &Gate,
    is_callback: bool,
    so_far: impl FnOnce() -> ChatCompletion,
) -> Option<Attempted> {
    let cause = match given {
        // What more has been read is not handed out any more, nor does it make an answer: the reader itself may have
        // closed the blaster.
        Given::Taken if gate.is_cancelled() => Cause::Cancelled,
        Given::Taken => return None,
        Given::Panicked(what) => Cause::Panicked(what),
        // What the reader says after a cancel is about the cancel.
        _ if gate.is_cancelled() => Cause::Cancelled,
        Given::Declined if is_callback => Cause::Stopped(Box::new(so_far())),
        Given::Declined | Given::Cancelled => Cause::Cancelled,
        Given::Stalled => Cause::Broken(Some(Box::new(so_far()))),
    };
    Some(Attempted::ended(cause))
}
