//! One attempt: send the job to the endpoint it was given, read what comes, and say what it came to.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::assembler::{Assembler, Step};
use crate::api::{Attempt, ChatCompletion, Delta, Embeddings, Headers, RawReply, Told};
use crate::balance::classify::{ReplyFacts, bad_reply, classify, classify_error_frame, classify_fault};
use crate::balance::outcome::{Blame, Outcome};
use crate::balance::{Lease, ReplyHead, Role};
use crate::clock;
use crate::error::fault::{Fault, FaultKind, Phase};
use crate::error::{StreamProblem, Upstream};
use crate::transport::{self, Body, Call, Gate, Limits, MAX_BODY, REFUSAL_TIME, sse};

use super::event::Event;
use super::job::{Job, Reply, ReplyKind};
use super::raw_look::RawLook;
use super::shared::Shared;
use super::stream::{Given, RawPiece};

/// Most bytes kept of a reply that is no success.
const ERROR_BODY: usize = 64 * 1024;
/// Bytes of a stream read at once.
const CHUNK: usize = 8 * 1024;
/// Most bytes of a raw stream held back while no content has come.
const MOST_HELD: usize = 1024 * 1024;

/// Most bytes of room that a worker keeps from one job to the next.
const ROOM_KEPT: usize = 1024 * 1024;

/// Room that a worker uses again and again.
#[derive(Default)]
pub(crate) struct Buffers {
    body: Vec<u8>,
}

impl Buffers {
    /// Gives the room of an uncommonly large body back: a thousand workers have one each.
    pub(crate) fn tidy(&mut self) {
        if self.body.capacity() > ROOM_KEPT {
            self.body = Vec::new();
        }
    }
}

/// What an attempt came to.
#[derive(Debug)]
pub(crate) struct Attempted {
    pub(crate) outcome: Outcome,
    /// The answer, where the outcome is a success.
    pub(crate) reply: Option<Reply>,
    /// The service's reply, where it was no success.
    pub(crate) upstream: Option<Upstream>,
    /// Why the job ends, where the outcome does not say it.
    pub(crate) cause: Option<Cause>,
}

/// Why a job ends for a reason that is not the endpoint's.
#[derive(Debug)]
pub(crate) enum Cause {
    /// Cancelled, or the blaster was closed.
    Cancelled,
    /// The job's own timeout ran out.
    TimedOut,
    /// The stream's callback has had enough.
    Stopped(Box<ChatCompletion>),
    /// The stream broke after part of it was handed out.
    Broken(Option<Box<ChatCompletion>>),
    /// Foreign code panicked.
    Panicked(String),
}

/// What is known of a reply when its attempt ends.
#[derive(Default)]
struct Seen {
    status: Option<u16>,
    region: Option<Box<str>>,
    request_id: Option<Box<str>>,
}

/// Sends `job` where `lease` says; a stale connection is replaced by a fresh one, once.
pub(crate) fn run(
    shared: &Shared,
    job: &mut Job,
    lease: &mut Lease,
    first_byte: Option<Duration>,
    buffers: &mut Buffers,
) -> Attempted {
    let endpoint = &shared.endpoints[lease.endpoint().index()];
    buffers.body.clear();
    job.request
        .body
        .render(Some(&endpoint.model), endpoint.defaults, &mut buffers.body);
    let mut fresh = false;
    let mut waiting_since = job.waiting_since();
    loop {
        let started = clock::now();
        let mut seen = Seen::default();
        let (mut attempted, phase) =
            match send(shared, job, lease, first_byte, started, fresh, &buffers.body, &mut seen) {
                Ok(attempted) => (attempted, Phase::HeadReceived),
                Err(fault) => {
                    let phase = fault.phase;
                    (failed(shared, job, &fault), phase)
                }
            };
        let ended = clock::now();
        let mut stale = false;
        if let Outcome::Failed { blame, .. } = &mut attempted.outcome
            && *blame == Blame::Nobody
        {
            // A connection that was made for this very call cannot have been closed before it: once is an accident of
            // the pool, twice is the endpoint (or its transport), which must not be asked for ever.
            if fresh {
                *blame = Blame::Endpoint;
            }
            stale = !fresh;
        }
        let attempt = Attempt {
            endpoint: Arc::clone(&endpoint.name),
            operation: lease.operation().clone(),
            offset: shared.moment(started).since(job.submitted),
            wait: shared.moment(started).since(waiting_since),
            duration: ended.saturating_duration_since(started),
            status: seen.status,
            region: seen.region,
            request_id: seen.request_id,
            probe: lease.role() == Role::Probe,
            problem: problem(&attempted),
        };
        log::trace!("job {}: {attempt}", job.id());
        if let Some(problem) = &attempt.problem {
            log::debug!("job {}: attempt at {} failed: {problem}", job.id(), endpoint.name);
        }
        if phase == Phase::NotWritten {
            job.ledger().push_not_sent(attempt);
        } else {
            let told = shared.tell(|| Event::AttemptEnded {
                job: job.id(),
                attempt: attempt.clone(),
            });
            job.ledger().push(attempt);
            if let Err(what) = told {
                return Attempted {
                    outcome: Outcome::Abandoned,
                    cause: Some(Cause::Panicked(what)),
                    ..attempted
                };
            }
        }
        if !stale {
            // Of a try on a stale connection nothing came to the service.
            if phase == Phase::NotWritten {
                lease.never_written();
            }
            return attempted;
        }
        fresh = true;
        waiting_since = shared.moment(ended);
    }
}

/// What an attempt failed for, in words; none where it brought the answer.
fn problem(attempted: &Attempted) -> Option<Box<str>> {
    let words = match (&attempted.outcome, &attempted.cause) {
        (Outcome::Success, _) => return None,
        (_, Some(Cause::Cancelled)) => "cancelled",
        (_, Some(Cause::Stopped(_))) => "the caller had enough",
        (_, Some(Cause::Panicked(_))) => "a callback panicked",
        (Outcome::Throttled(throttle), _) => &throttle.reason,
        (Outcome::Failed { reason, .. } | Outcome::Unusable { reason, .. } | Outcome::Refused { reason }, _) => reason,
        (Outcome::OutOfTime { .. }, _) => "the job's time was over",
        (Outcome::Abandoned, _) => "given up",
    };
    Some(words.into())
}

#[allow(clippy::too_many_arguments)] // the facts of one call, passed on once
fn send(
    shared: &Shared,
    job: &mut Job,
    lease: &Lease,
    first_byte: Option<Duration>,
    started: Instant,
    fresh: bool,
    body: &[u8],
    seen: &mut Seen,
) -> Result<Attempted, Fault> {
    let endpoint = &shared.endpoints[lease.endpoint().index()];
    let timeouts = &shared.timeouts;
    let attempt_ends = started + endpoint.timeout.unwrap_or(timeouts.attempt);
    let deadline = job
        .deadline
        .map_or(attempt_ends, |deadline| shared.instant(deadline).min(attempt_ends));
    let none = Headers::new();
    let call = Call {
        endpoint: lease.endpoint().index(),
        number: lease.number(),
        method: job.request.method,
        operation: lease.operation(),
        headers: job.request.headers().unwrap_or(&none),
        body,
        limits: Limits {
            connect: timeouts.connect,
            first_byte: first_byte.unwrap_or(timeouts.first_byte).min(timeouts.first_byte),
            idle: timeouts.idle,
            deadline,
        },
        gate: &job.cell.gate,
        fresh,
    };
    let reply = shared.transport.send(&call)?;
    read(shared, job, lease, reply, seen)
}

/// Reads the reply whose head has come.
// Not a part of the caller's frame: thousands of workers wait there for the head, and what their stacks have no need
// of at that moment is not paid for.
#[inline(never)]
fn read(
    shared: &Shared,
    job: &mut Job,
    lease: &Lease,
    reply: transport::Reply,
    seen: &mut Seen,
) -> Result<Attempted, Fault> {
    seen.status = Some(reply.status);
    seen.region = reply.headers.get("x-ms-region").map(Into::into);
    seen.request_id = reply.headers.get("apim-request-id").map(Into::into);
    // A refusal that comes as a 200 names a wait (wire §3.4).
    let has_content = !matches!(reply.status, 204 | 205);
    // To a deletion, nothing is an answer; to a chat or a text it is none.
    let good = matches!(reply.status, 200..=299) && (has_content || job.request.reply == ReplyKind::Raw);
    let admitted = good && reply.headers.get("retry-after").is_none();
    let head = ReplyHead {
        admitted,
        told: Told::read(&reply.headers),
    };
    shared.admitted(lease, &head, clock::now());
    if !good {
        return not_good(reply, lease.operation());
    }
    let streamed = reply
        .headers
        .get("content-type")
        .is_some_and(|kind| kind.trim_start().starts_with("text/event-stream"));
    match (job.request.reply, streamed) {
        (ReplyKind::Chat, true) => chat_stream(shared, job, reply),
        (ReplyKind::Chat, false) => chat_whole(shared, job, lease, reply),
        (ReplyKind::Embeddings, _) => embeddings(lease, reply),
        (ReplyKind::Raw, _) => raw(shared, job, reply, streamed),
    }
}

/// A request that brought no (whole) reply.
fn failed(shared: &Shared, job: &Job, fault: &Fault) -> Attempted {
    let job_over = job
        .deadline
        .is_some_and(|deadline| deadline <= shared.moment(clock::now()));
    match fault.kind {
        FaultKind::Cancelled => Attempted::ended(Cause::Cancelled),
        // Whichever limit it was: each ends with the job's time at the latest.
        FaultKind::Timeout(_) if job_over => Attempted {
            cause: Some(Cause::TimedOut),
            ..ended_as(Outcome::OutOfTime {
                silent: fault.phase != Phase::HeadReceived,
            })
        },
        _ => ended_as(classify_fault(fault)),
    }
}

/// A reply that is no success.
fn not_good(reply: transport::Reply, operation: &crate::api::Operation) -> Result<Attempted, Fault> {
    let transport::Reply { status, headers, body } = reply;
    let mut bytes = Vec::new();
    // What can be had of the body will do: the status has come, and says most. A cancel is heard all the same.
    if let Some(fault) = read_some(body, &mut bytes)
        && fault.kind == FaultKind::Cancelled
    {
        let phase = Phase::HeadReceived;
        return Err(Fault { phase, ..fault });
    }
    let facts = ReplyFacts {
        status,
        headers: &headers,
        body: &bytes,
        operation,
        wall: clock::wall(),
    };
    let outcome = classify(&facts);
    Ok(Attempted {
        outcome,
        reply: None,
        upstream: Some(Upstream::new(status, headers, bytes)),
        cause: None,
    })
}

/// Reads what comes of a refusal's body within [`REFUSAL_TIME`]. Some where the reading broke off.
fn read_some(body: Body, bytes: &mut Vec<u8>) -> Option<Fault> {
    let ends = clock::now() + REFUSAL_TIME;
    let mut body = body.take(ERROR_BODY as u64);
    let mut buffer = [0; CHUNK];
    while clock::now() < ends {
        match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Some(Body::fault(&error)),
        }
    }
    None
}

fn chat_whole(shared: &Shared, job: &mut Job, lease: &Lease, mut reply: transport::Reply) -> Result<Attempted, Fault> {
    let bytes = reply.read_to_vec(MAX_BODY)?;
    let completion = match ChatCompletion::parse(&bytes) {
        Ok(completion) => completion,
        Err(bad) => return Ok(no_answer(reply, &bytes, lease.operation(), &bad)),
    };
    // The service may answer whole although a stream was asked for: its reader gets it in one piece.
    if job.request.has_sink() {
        for delta in completion.to_deltas() {
            if let Some(ended) = hand_out(shared, job, delta, || completion.clone()) {
                return Ok(ended);
            }
        }
    }
    Ok(answered(Reply::Chat(Box::new(completion))))
}

fn embeddings(lease: &Lease, mut reply: transport::Reply) -> Result<Attempted, Fault> {
    let bytes = reply.read_to_vec(MAX_BODY)?;
    Ok(match Embeddings::parse(&bytes) {
        Ok(embeddings) => answered(Reply::Embeddings(Box::new(embeddings))),
        Err(bad) => no_answer(reply, &bytes, lease.operation(), &bad),
    })
}

/// A success whose body is none: an error that came as a 200, or something that makes no sense.
fn no_answer(
    reply: transport::Reply,
    body: &[u8],
    operation: &crate::api::Operation,
    bad: &crate::error::BadReply,
) -> Attempted {
    let transport::Reply { status, headers, .. } = reply;
    let facts = ReplyFacts {
        status,
        headers: &headers,
        body,
        operation,
        wall: clock::wall(),
    };
    let outcome = match classify(&facts) {
        // The reader knows better what is wrong.
        Outcome::Failed {
            blame: Blame::Unclear, ..
        } => bad_reply(bad.to_string()),
        outcome => outcome,
    };
    let body = body[..body.len().min(ERROR_BODY)].to_vec();
    Attempted {
        outcome,
        reply: None,
        upstream: Some(Upstream::new(status, headers, body)),
        cause: None,
    }
}

/// A chat that comes as a stream. Complete is what has a finish reason for every choice; how the stream ended
/// after that does not matter.
#[inline(never)] // for its buffer, as `read`
fn chat_stream(shared: &Shared, job: &mut Job, reply: transport::Reply) -> Result<Attempted, Fault> {
    let transport::Reply { headers, mut body, .. } = reply;
    let choices = job.request.body.choices();
    let mut assembler = if job.request.has_sink() {
        Assembler::new(choices)
    } else {
        Assembler::silent(choices)
    };
    let mut parser = sse::Parser::new();
    let mut buffer = [0; CHUNK];
    let mut steps = Vec::new();
    let fault = loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break None,
            Ok(read) => read,
            Err(error) => break Some(Body::fault(&error)),
        };
        let parsed = parser.push(&buffer[..read], |event| {
            assembler.push(event.name, event.data, |step| steps.push(step))
        });
        if let Err(too_long) = parsed {
            break Some(Fault::new(
                FaultKind::TooLarge,
                Phase::HeadReceived,
                too_long.to_string(),
            ));
        }
        for step in steps.drain(..) {
            let Step::Delta(delta) = step else { continue };
            if let Some(ended) = hand_out(shared, job, delta, || assembler.so_far()) {
                return Ok(ended);
            }
        }
    };
    // A last event without its blank line counts too; where it is too long it was not complete anyway.
    let _ = parser.finish(|event| assembler.push(event.name, event.data, |step| steps.push(step)));
    for step in steps.drain(..) {
        if let Step::Delta(delta) = step
            && let Some(ended) = hand_out(shared, job, delta, || assembler.so_far())
        {
            return Ok(ended);
        }
    }
    let incomplete = match assembler.finish() {
        Ok(completion) => return Ok(answered(Reply::Chat(Box::new(completion)))),
        Err(incomplete) => incomplete,
    };
    let mut attempted = match (&incomplete.problem, &fault) {
        (StreamProblem::Service(error), _) => ended_as(classify_error_frame(error, &headers, clock::wall())),
        (_, Some(fault)) => failed(shared, job, fault),
        (StreamProblem::Cut { .. }, None) => ended_as(Outcome::Failed {
            blame: Blame::Endpoint,
            reason: incomplete.problem.to_string(),
        }),
        (problem, None) => ended_as(bad_reply(problem.to_string())),
    };
    if job.handed_out() && attempted.cause.is_none() {
        attempted.cause = Some(Cause::Broken(Some(incomplete.received)));
    }
    Ok(attempted)
}

/// Hands a piece to the stream's reader. Some where the attempt ends with that.
fn hand_out(
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

/// Some where the reader's answer ends the attempt.
fn given_up(
    given: Given,
    gate: &Gate,
    is_callback: bool,
    so_far: impl FnOnce() -> ChatCompletion,
) -> Option<Attempted> {
    let cause = match given {
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

/// A reply that is passed on as bytes.
fn raw(shared: &Shared, job: &mut Job, mut reply: transport::Reply, streamed: bool) -> Result<Attempted, Fault> {
    if job.request.has_sink() && streamed {
        return raw_stream(shared, job, reply);
    }
    let body = reply.read_to_vec(MAX_BODY)?;
    let html = reply
        .headers
        .get("content-type")
        .is_some_and(|kind| kind.starts_with("text/html"));
    if html {
        return Ok(ended_as(bad_reply(format!("{} with a web page", reply.status))));
    }
    if job.request.has_sink() {
        let pieces = [
            RawPiece::Head(reply.status, reply.headers.clone()),
            RawPiece::Bytes(body.clone()),
        ];
        for piece in pieces {
            if let Some(ended) = pass_on(shared, job, piece) {
                return Ok(ended);
            }
        }
    }
    Ok(answered(Reply::Raw(Box::new(RawReply::new(
        reply.status,
        reply.headers,
        body,
    )))))
}

/// A raw stream: held back until the first event with content, so that a failure before it can be tried elsewhere.
#[inline(never)] // for its buffer, as `read`
fn raw_stream(shared: &Shared, job: &mut Job, reply: transport::Reply) -> Result<Attempted, Fault> {
    let transport::Reply {
        status,
        headers,
        mut body,
    } = reply;
    let mut parser = Some(sse::Parser::new());
    let mut held = Vec::new();
    let mut buffer = [0; CHUNK];
    loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => {
                let mut attempted = failed(shared, job, &Body::fault(&error));
                if job.handed_out() && attempted.cause.is_none() {
                    attempted.cause = Some(Cause::Broken(None));
                }
                return Ok(attempted);
            }
        };
        held.extend_from_slice(&buffer[..read]);
        if let Some(looking) = &mut parser {
            let mut look = RawLook::Preamble;
            let parsed = looking.push(&buffer[..read], |event| {
                if look == RawLook::Preamble {
                    look = RawLook::at(event.name, event.data);
                }
            });
            match (parsed, look) {
                (Ok(()), RawLook::Preamble) if held.len() < MOST_HELD => continue,
                (Ok(()), RawLook::Failed(error)) => {
                    return Ok(ended_as(classify_error_frame(&error, &headers, clock::wall())));
                }
                _ => parser = None,
            }
            if let Some(ended) = pass_on(shared, job, RawPiece::Head(status, headers.clone())) {
                return Ok(ended);
            }
        }
        if let Some(ended) = pass_on(shared, job, RawPiece::Bytes(std::mem::take(&mut held))) {
            return Ok(ended);
        }
    }
    if parser.is_some() {
        let reason = "the stream ended before any content".to_owned();
        return Ok(ended_as(Outcome::Failed {
            blame: Blame::Endpoint,
            reason,
        }));
    }
    Ok(answered(Reply::Raw(Box::new(RawReply::new(
        status,
        headers,
        Vec::new(),
    )))))
}

fn pass_on(shared: &Shared, job: &mut Job, piece: RawPiece) -> Option<Attempted> {
    let sink = job.request.sink()?;
    let given = sink.raw(piece, shared.timeouts.idle, &job.cell.gate);
    job.note_handed_out();
    given_up(given, &job.cell.gate, false, ChatCompletion::default)
}

fn answered(reply: Reply) -> Attempted {
    Attempted {
        outcome: Outcome::Success,
        reply: Some(reply),
        upstream: None,
        cause: None,
    }
}

fn ended_as(outcome: Outcome) -> Attempted {
    Attempted {
        outcome,
        reply: None,
        upstream: None,
        cause: None,
    }
}
