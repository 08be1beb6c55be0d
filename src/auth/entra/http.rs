//! The crate's requests, over our own transport.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::Bytes;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, ClientOptions, HttpClient, Request, RetryOptions, StatusCode, Transport};
use parking_lot::Mutex;

use super::settings::EntraSettings;
use crate::balance::retry_after::header_delay;
use crate::clock;
use crate::error::fault::Fault;
use crate::transport::wire::private::{PrivateReply, PrivateRequest};

/// The address that the crate knows the identity service of a virtual machine by.
const IMDS: &str = "http://169.254.169.254";

/// Sends the requests of one credential, for one token.
#[derive(Clone)]
pub(super) struct Http {
    settings: Arc<EntraSettings>,
    /// Whether it is this machine's identity service that is asked. It never is through a proxy, which would be asked for the
    /// proxy's own identity.
    is_local: bool,
    met: Arc<Mutex<Met>>,
}

/// What the last request met.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// No reply came, or one that is no success.
    pub(super) failure: Option<Failure>,
    /// Where a reply came from that is a success.
    pub(super) answered: Option<String>,
    /// The server's time of day.
    pub(super) date: Option<SystemTime>,
}

/// Why a request brought no token.
#[derive(Debug)]
pub(super) enum Failure {
    /// No whole reply.
    Fault {
        host: String,
        fault: Fault,
    },
    Status(Refusal),
}

/// A reply that is no success.
#[derive(Debug)]
pub(in crate::auth) struct Refusal {
    pub(super) host: String,
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    pub(in crate::auth) fn of(host: String, reply: PrivateReply) -> Self {
        Refusal {
            host,
            status: reply.status,
            retry_after: header_delay(&reply.headers, clock::wall()),
            body: reply.body,
        }
    }
}

/// The server's time of day, as a reply tells it.
pub(in crate::auth) fn date(reply: &PrivateReply) -> Option<SystemTime> {
    httpdate::parse_http_date(reply.headers.get("date")?).ok()
}

impl Http {
    pub(super) fn new(settings: &Arc<EntraSettings>, is_local: bool) -> Self {
        Http {
            settings: Arc::clone(settings),
            is_local,
            met: Arc::default(),
        }
    }

    /// The options that every credential is given.
    pub(super) fn options(&self) -> ClientOptions {
        ClientOptions {
            transport: Some(Transport::new(Arc::new(self.clone()))),
            // Where it is heeded.
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        }
    }

    /// What the last request met.
    pub(super) fn take_met(&self) -> Met {
        std::mem::take(&mut self.met.lock())
    }

    fn exchange(&self, request: &Request) -> Result<PrivateReply, Failure> {
        let limits = &self.settings.limits;
        let url = request.url().as_str();
        let is_local = self.is_local;
        let url = match url.strip_prefix(IMDS) {
            Some(path) => format!("{}{path}", limits.imds),
            None => url.to_owned(),
        };
        let headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "user-agent" | "content-length" | "host" | "connection"))
            .map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned()))
            .collect();
        let body: Bytes = request.body().into();
        let sent = self.settings.client.exchange(&PrivateRequest {
            method: request.method().as_str(),
            url: &url,
            headers: &headers,
            body: &body,
            proxied: !is_local,
            connect: if is_local { limits.imds_connect } else { limits.connect },
            total: if is_local { limits.imds_total } else { limits.total },
        });
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let reply = sent.map_err(|fault| Failure::Fault {
            host: host.clone(),
            fault,
        })?;
        self.met.lock().date = date(&reply);
        if !(200..300).contains(&reply.status) {
            return Err(Failure::Status(Refusal::of(host, reply)));
        }
        self.met.lock().answered = Some(host);
        let body = with_sane_times(reply.body);
        let body = match is_local {
            true => with_end_as_text(body),
            false => body,
        };
        Ok(PrivateReply { body, ..reply })
    }
}

/// The reply of an identity service as the crate reads it, with its `expires_on` as text: some services tell it as a number.
fn with_end_as_text(body: Vec<u8>) -> Vec<u8> {
    let Ok(mut told) = serde_json::from_slice::<serde_json::Value>(&body) else {
        return body;
    };
    match told.get_mut("expires_on") {
        Some(end) if end.is_number() => *end = end.to_string().into(),
        _ => return body,
    }
    serde_json::to_vec(&told).unwrap_or(body)
}

/// Longest time that a reply may name, in seconds: what is added to the time of day beyond that has no date.
const TIME_MAX: f64 = 365.0 * 86_400.0;

/// The reply with times that the crates can reckon with: they panic at those beyond their calendars.
pub(in crate::auth) fn with_sane_times(body: Vec<u8>) -> Vec<u8> {
    let Ok(mut told) = serde_json::from_slice::<serde_json::Value>(&body) else {
        return body;
    };
    let mut is_changed = false;
    for name in ["expires_in", "ext_expires_in", "interval"] {
        if let Some(time) = told.get_mut(name)
            && let Some(seconds) = time.as_f64().filter(|seconds| seconds.abs() > TIME_MAX)
        {
            *time = (seconds.clamp(-TIME_MAX, TIME_MAX) as i64).into();
            is_changed = true;
        }
    }
    match is_changed {
        true => serde_json::to_vec(&told).unwrap_or(body),
        false => body,
    }
}

#[async_trait::async_trait]
impl HttpClient for Http {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        match self.exchange(request) {
            Ok(reply) => Ok(AsyncRawResponse::from_bytes(
                StatusCode::from(reply.status),
                Headers::new(),
                reply.body,
            )),
            Err(failure) => {
                self.met.lock().failure = Some(failure);
                // Of a kind that is not retried: neither `Io` nor `Connection`, nor a status.
                Err(Error::with_message(ErrorKind::Credential, "no token came"))
            }
        }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}
