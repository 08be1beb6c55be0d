//! One attempt: send the job to the endpoint it was given, read what comes, and say what it came to.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::clip::clip;
use crate::api::withheld::Withheld;
use crate::api::{Attempt, Headers, Told};
use crate::auth::{NoToken, Pass};
use crate::balance::classify::{ReplyFacts, classify};
use crate::balance::outcome::{Blame, Outcome};
use crate::balance::{Lease, ReplyHead, Role};
use crate::clock;
use crate::error::fault::{Fault, FaultKind, Phase};
use crate::transport::{self, Body, Call, Limits, REFUSAL_TIME};

use super::attempted::{Attempted, BODY_KEPT, Cause, failed, judged, problem, upstream};
use super::event::Event;
use super::job::{Carried, Job, ReplyKind};
use super::shared::Shared;
use super::signing;
use super::streamed::{CHUNK, chat_stream};
use super::whole::{chat_whole, embeddings, raw};

/// Most bytes kept of a header in the ledger.
const HEADER_KEPT: usize = 128;

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

/// What is known of a reply when its attempt ends.
#[derive(Default)]
struct Seen {
    status: Option<u16>,
    region: Option<Box<str>>,
    request_id: Option<Box<str>>,
}

/// Sends `job` where `lease` says; a stale connection is replaced by a fresh one, once; a job that
/// was cut off before goes on a fresh one at once.
pub(crate) fn run(
    shared: &Shared,
    job: &mut Job,
    lease: &mut Lease,
    first_byte: Option<Duration>,
    buffers: &mut Buffers,
) -> Attempted {
    let endpoint = &shared.endpoints[lease.endpoint().index()];
    let pass = match shared
        .keeper
        .as_ref()
        .map(|keeper| keeper.pass(lease.endpoint().index()))
    {
        None => None,
        Some(Ok(pass)) => pass,
        Some(Err(NoToken)) => {
            lease.never_written();
            return signing::unsigned();
        }
    };
    buffers.body.clear();
    job.request
        .body
        .render(Some(&endpoint.model), endpoint.defaults, &mut buffers.body);
    let secrets = job.request.headers().into_iter().flat_map(Headers::secrets);
    let token = pass.iter().map(|pass| pass.held.secret.expose().to_owned());
    let mut mask = endpoint.mask.and(secrets.chain(token));
    // A gateway in front of several deployments may repeat what the job's earlier calls carried.
    for earlier in job.carried() {
        if earlier.endpoint != lease.endpoint() {
            mask = Cow::Owned(mask.into_owned().with(&shared.endpoints[earlier.endpoint.index()].mask));
        }
        let token = earlier.token.iter().map(|token| token.expose());
        if let Cow::Owned(both) = mask.and(token) {
            mask = Cow::Owned(both);
        }
    }
    let withheld = Withheld::new(&mask, &buffers.body);
    // Who has been cut off may be why: a pooled connection that closes would be an excuse each time, and its request one more.
    let mut fresh = job.was_cut();
    let mut waiting_since = job.waiting_since();
    loop {
        let started = clock::now();
        let mut seen = Seen::default();
        let (mut attempted, phase) = match send(
            shared,
            job,
            lease,
            pass.as_ref(),
            first_byte,
            started,
            fresh,
            &buffers.body,
            withheld,
            &mut seen,
        ) {
            Ok(attempted) => (attempted, Phase::HeadReceived),
            Err(fault) => {
                let phase = fault.phase;
                (failed(shared, job, withheld, &fault), phase)
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
                *blame = Blame::Cut;
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
            lease.tried(false);
            job.ledger().push_not_sent(attempt);
        } else {
            let told = shared.tell(|| Event::AttemptEnded {
                job: job.id(),
                attempt: attempt.clone(),
            });
            lease.tried(true);
            let has_failed = attempt.problem.is_some();
            job.ledger().push(attempt);
            if has_failed {
                job.note_carried(Carried {
                    endpoint: lease.endpoint(),
                    token: pass.as_ref().map(|pass| Arc::clone(&pass.held.secret)),
                });
            }
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
            if matches!(attempted.outcome, Outcome::Failed { blame: Blame::Cut, .. }) {
                job.note_cut();
            }
            return attempted;
        }
        fresh = true;
        waiting_since = shared.moment(ended);
    }
}

#[allow(clippy::too_many_arguments)] // the facts of one call, passed on once
fn send(
    shared: &Shared,
    job: &mut Job,
    lease: &Lease,
    pass: Option<&Pass>,
    first_byte: Option<Duration>,
    started: Instant,
    fresh: bool,
    body: &[u8],
    withheld: Withheld<'_>,
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
        number: lease.ticket(),
        method: job.request.method,
        operation: lease.operation(),
        headers: job.request.headers().unwrap_or(&none),
        token: pass.map(|pass| &*pass.held.secret),
        body,
        limits: Limits {
            connect: timeouts.connect,
            first_byte: first_byte.unwrap_or(timeouts.first_byte).min(timeouts.first_byte),
            // The time of a probe is up to the head of its reply, which lets others follow.
            first_content: timeouts.first_byte,
            idle: timeouts.idle,
            deadline,
        },
        gate: &job.cell.gate,
        fresh,
    };
    let reply = shared.transport.send(&call)?;
    read(shared, job, lease, pass, reply, withheld, seen)
}

/// Reads the reply whose head has come.
// Not a part of the caller's frame: thousands of workers wait there for the head, and what their stacks have no need
// of at that moment is not paid for.
#[inline(never)]
fn read(
    shared: &Shared,
    job: &mut Job,
    lease: &Lease,
    pass: Option<&Pass>,
    mut reply: transport::Reply,
    withheld: Withheld<'_>,
    seen: &mut Seen,
) -> Result<Attempted, Fault> {
    let word = |name| {
        let value = reply.headers.get(name)?;
        Some(clip(&withheld.recorded_word(value), HEADER_KEPT).into())
    };
    seen.status = Some(reply.status);
    seen.region = word("x-ms-region");
    seen.request_id = word("apim-request-id");
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
        return not_good(shared, lease, pass, reply, withheld);
    }
    if let (Some(keeper), Some(pass)) = (&shared.keeper, pass) {
        keeper.accepted(lease.endpoint().index(), pass.id(), lease.operation());
    }
    match job.request.reply {
        ReplyKind::Chat if is_chat_stream(&mut reply)? => chat_stream(shared, job, reply, withheld),
        ReplyKind::Chat => chat_whole(shared, job, lease, reply, withheld),
        ReplyKind::Embeddings => embeddings(lease, reply, withheld),
        ReplyKind::Raw => raw(shared, job, lease, reply, withheld),
    }
}

/// Whether its type says that it is a stream.
pub(super) fn says_stream(headers: &Headers) -> bool {
    is_of_type(headers, "text/event-stream")
}

/// Whether it is said to be of this media type, whose letter case does not count (RFC 9110 §8.3.1).
pub(super) fn is_of_type(headers: &Headers, media_type: &str) -> bool {
    let kind = headers.get("content-type").unwrap_or_default().trim_start().as_bytes();
    kind.get(..media_type.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(media_type.as_bytes()))
}

/// Whether a body that begins like this, with six bytes at least if it has so many, is a stream of events.
pub(super) fn begins_events(start: &[u8]) -> bool {
    const FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];
    FIELDS.iter().any(|field| start.starts_with(field))
}

/// Whether the reply to a chat is a stream. Its type does not decide it: gateways send streams as JSON or as text, and
/// refusals and whole answers as streams. Neither can be taken for the other.
fn is_chat_stream(reply: &mut transport::Reply) -> Result<bool, Fault> {
    let says_stream = says_stream(&reply.headers);
    reply.body.awaits_content();
    let start = reply.body.begins_with(1).map_err(|error| Body::fault(&error))?;
    let is_stream = match start.first() {
        None => says_stream,
        Some(b'{' | b'[' | b'<' | b'"') => false,
        Some(_) if says_stream => true,
        Some(_) => {
            let start = reply.body.begins_with(6).map_err(|error| Body::fault(&error))?;
            begins_events(start)
        }
    };
    if !is_stream {
        reply.body.answer_begins();
    }
    Ok(is_stream)
}

/// A reply that is no success.
fn not_good(
    shared: &Shared,
    lease: &Lease,
    pass: Option<&Pass>,
    reply: transport::Reply,
    withheld: Withheld<'_>,
) -> Result<Attempted, Fault> {
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
        operation: lease.operation(),
        wall: clock::wall(),
    };
    let mut what = classify(&facts, withheld);
    if let (401, Some(pass)) = (status, pass) {
        what = signing::refused(shared, lease, pass, &bytes, withheld, what);
    }
    Ok(judged(what, Some(upstream(status, headers, &bytes, withheld))))
}

/// Reads what comes of a refusal's body within [`REFUSAL_TIME`]. Some where the reading broke off.
fn read_some(body: Body, bytes: &mut Vec<u8>) -> Option<Fault> {
    let ends = clock::now() + REFUSAL_TIME;
    let mut body = body.take(BODY_KEPT as u64);
    let mut buffer = [0; CHUNK];
    loop {
        match body.read(&mut buffer) {
            Ok(0) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Some(Body::fault(&error)),
        }
        // Afterwards: it may be late because we were stopped, and then what has come is there.
        if clock::now() >= ends {
            return None;
        }
    }
}
