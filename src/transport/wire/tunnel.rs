//! A way through an HTTP proxy: `CONNECT` (RFC 9110 §9.3.6).

use std::io::{self, Read as _, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ureq::Proxy;

use super::call::CurrentCall;
use super::channel::Channel;
use super::dial::Place;
use super::fault;
use super::headers::AGENT_NAME;
use super::proxies;
use super::socket::{Socket, WaitFor};
use crate::clock;
use crate::error::fault::{Fault, FaultKind};

/// Longest head of a proxy's answer.
const MAX_HEAD: usize = 16 * 1024;

/// Asks `proxy`, to which `channel` leads by way of `socket`, for a way to `place`.
///
/// # Errors
/// Where it refuses, or says anything else than that it does not.
pub(super) fn open(
    channel: &mut Channel,
    socket: &Socket,
    proxy: &Proxy,
    place: &Place,
    call: &CurrentCall,
) -> Result<(), Fault> {
    let request = request(proxy, place);
    let mut rest = request.as_bytes();
    while !rest.is_empty() {
        match channel.write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) => wait(&error, WaitFor::Write, socket, call)?,
        }
    }
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    loop {
        match channel.read(&mut piece) {
            Ok(0) => return Err(refused(call, "it closed the connection")),
            Ok(amount) => answer.extend_from_slice(&piece[..amount]),
            Err(error) => wait(&error, WaitFor::Read, socket, call)?,
        }
        let end = match end_of_head(&answer) {
            Some(end) => end,
            None if answer.len() > MAX_HEAD => return Err(refused(call, "its answer has no end")),
            None => continue,
        };
        return match status(&answer) {
            // Whatever follows is not the service's, which has not been asked yet.
            Some(200..=299) if end < answer.len() => Err(refused(call, "it said more than it was asked")),
            Some(200..=299) => Ok(()),
            Some(status) => {
                let (kind, words) = proxies::refusal(status);
                Err(call.fault(kind, words))
            }
            None => Err(refused(call, "its answer is not HTTP")),
        };
    }
}

/// How long the head is that `bytes` begin with, once it is whole.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let ends = [&b"\n\r\n"[..], b"\n\n"].map(|end| {
        let at = bytes.windows(end.len()).position(|window| window == end)?;
        Some(at + end.len())
    });
    ends.into_iter().flatten().min()
}

fn wait(error: &io::Error, what: WaitFor, socket: &Socket, call: &CurrentCall) -> Result<(), Fault> {
    match error.kind() {
        io::ErrorKind::WouldBlock => socket.wait(call, what, call.write_limit(clock::now())?).map(drop),
        io::ErrorKind::Interrupted => Ok(()),
        _ => Err(fault::of_io(error, call)),
    }
}

fn refused(call: &CurrentCall, why: &str) -> Fault {
    call.fault(FaultKind::Connect, why)
}

fn request(proxy: &Proxy, place: &Place) -> String {
    let mut request = format!(
        "CONNECT {place} HTTP/1.1\r\nhost: {place}\r\nuser-agent: {AGENT_NAME}\r\nproxy-connection: keep-alive\r\n"
    );
    if proxy.username().is_some() || proxy.password().is_some() {
        let (user, password) = (
            proxy.username().unwrap_or_default(),
            proxy.password().unwrap_or_default(),
        );
        let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
        request.push_str(&format!("proxy-authorization: Basic {credentials}\r\n"));
    }
    request.push_str("\r\n");
    request
}

/// The status of an answer. Its words are not repeated: who was told a password may say it again.
fn status(head: &[u8]) -> Option<u16> {
    let status = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let is_status = status.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(status).ok().filter(|_| is_status)?.parse().ok()
}
