//! What can go wrong, and what to do about it.
//!
//! A call, a handle and a stream end with an [`Error`]; a request that is not accepted comes back in a [`SubmitError`],
//! which `?` turns into an [`Error`]. What to do, by [kind](Error::kind):
//!
//! | kind | what to do |
//! |---|---|
//! | `Config`, `Setup`, `Start` | nothing was started: change what the message names |
//! | `Request`, `UnknownModel` | nothing was sent: change the request, or the configuration |
//! | `TooLarge` | shorten the prompt or lower its `max_completion_tokens`: no deployment's quota is large enough |
//! | `Refused` | change the request: no deployment would take it |
//! | `NoText` | look at the answer inside: tool calls, a refusal, a filtered or an empty message |
//! | `Exhausted`, `ServerErrors`, `Timeout`, `TooLate`, `StreamBroken`, `QueueFull` | submit again later: [`Error::is_retryable`] is true |
//! | `NoEndpoint` | where [`Error::is_retryable`] is true, submit again later; else change what each deployment's reason names |
//! | `Cancelled`, `ShutDown` | the program itself ended the job |
//! | `WouldDeadlock`, `Taken`, `Panicked` | correct the program |
//!
//! ```
//! use azure_openai_blaster::testing::{Scripted, ScriptedReply};
//! use azure_openai_blaster::{Blaster, ErrorKind};
//!
//! // A service that refuses every request for what it holds.
//! let service = Scripted::new(|_| ScriptedReply::status(400).body("the prompt is too long"));
//! let blaster = Blaster::builder().transport(service).build()?;
//! let mut later = Vec::new();
//! for (position, result) in blaster.run_all(["one", "two"]) {
//!     match result {
//!         Ok(_) => unreachable!("every request is refused"),
//!         Err(error) if error.is_retryable() => later.push(position),
//!         Err(error) => {
//!             assert_eq!(error.kind(), ErrorKind::Refused);
//!             eprintln!("{position}: {error}"); // the reason
//!             if let Some(ledger) = error.ledger() {
//!                 eprintln!("{ledger}"); // one line for each attempt
//!             }
//!         }
//!     }
//! }
//! assert!(later.is_empty());
//! # Ok::<(), azure_openai_blaster::Error>(())
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{ChatCompletion, Ledger};

pub use config::{ConfigError, Problem};
pub use kind::ErrorKind;
pub use reply::BadReply;
pub(crate) use reply::json_fault;
pub use request::RequestError;
pub use stream::{Incomplete, StreamProblem};
pub use submit::SubmitError;
pub use trail::Trail;
pub use upstream::Upstream;

mod config;
pub mod fault;
mod kind;
mod reply;
mod request;
mod stream;
mod submit;
mod trail;
mod upstream;

/// Result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call brought no answer.
///
/// [`Error::kind`] tells the kinds apart without matching; [`Error::ledger`] tells what was tried,
/// [`Error::upstream`] what the service said last.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be used. Nothing was started.
    #[error(transparent)]
    Config(#[from] ConfigError),

    /// The request cannot be sent as it is, e.g. a parameter set twice. Nothing was sent.
    #[error(transparent)]
    Request(#[from] RequestError),

    /// No deployment serves this model. Nothing was sent.
    #[error("no deployment serves the model {model:?}; there are: {}", list(.known))]
    UnknownModel {
        /// What was asked for.
        model: String,
        /// What is served.
        known: Vec<Arc<str>>,
    },

    /// The service refused the request for what it holds: malformed, too long, filtered. No other deployment was
    /// asked, and sending it again will not help.
    #[error("the request was refused: {}", .0.reason)]
    Refused(Box<Trail>),

    /// As many attempts failed as `max_job_retry` allows.
    #[error("gave up after {} failed attempt{}; last: {}", .0.failures, if .0.failures == 1 { "" } else { "s" }, .0.reason)]
    Exhausted(Box<Trail>),

    /// Every deployment that could be asked (or three of them) answered 500, or with something that makes no
    /// sense. Often the request is at fault: Azure answers some malformed requests with 500.
    #[error("every deployment asked failed on this request; last: {}", .0.reason)]
    ServerErrors(Box<Trail>),

    /// Every deployment that serves the request is disabled; each with its reason.
    #[error("no deployment can serve this: {}", reasons(.endpoints))]
    NoEndpoint {
        /// Name of each deployment and why it is disabled; jobs that end for the same reasons share them.
        endpoints: Arc<[(Arc<str>, String)]>,
        /// Whether each of these reasons lasts until somebody changes something, as it says: a key, an `api_version`, the
        /// name of the deployment.
        lasting: bool,
        /// What was tried before.
        trail: Box<Trail>,
    },

    /// The job's own timeout ran out, in the queue or on the way.
    #[error("no answer within {:.3} s{}", .timeout.as_secs_f64(), because(.trail))]
    Timeout {
        /// The job's timeout.
        timeout: Duration,
        /// What was tried.
        trail: Box<Trail>,
    },

    /// The job's own timeout would run out in the queue: by the quotas and cooldowns that are known, the first
    /// deployment that could take it could do so only later. Told at once instead of when the time is over.
    #[error(
        "no deployment can take it within {:.3} s: the first could {:.3} s after it was submitted",
        .timeout.as_secs_f64(),
        .earliest.as_secs_f64()
    )]
    TooLate {
        /// The job's timeout.
        timeout: Duration,
        /// The earliest moment, counted from the submission.
        earliest: Duration,
        /// What was tried.
        trail: Box<Trail>,
    },

    /// The request is larger than what any deployment that serves it grants in a whole window, and so would be refused
    /// for ever.
    #[error(
        "a request of about {tokens} tokens, prompt and longest answer, never fits: at most {most} are granted at once"
    )]
    TooLarge {
        /// What the request is estimated to be charged.
        tokens: u64,
        /// The largest quota of those that serve it.
        most: u64,
        /// What was tried.
        trail: Box<Trail>,
    },

    /// There is an answer, but no text in it: tool calls, a refusal, a filtered or an empty message. Only the
    /// calls that return text end so; the whole answer is inside.
    #[error("the answer holds no text: {why}")]
    NoText {
        /// What it holds instead.
        why: String,
        /// The answer.
        completion: Box<ChatCompletion>,
    },

    /// A stream broke after part of it had been handed out, so that it could not be tried again.
    #[error("the stream broke: {}", .trail.reason)]
    StreamBroken {
        /// What had been received, put together; none for a raw stream.
        partial: Option<Box<ChatCompletion>>,
        /// What was tried.
        trail: Box<Trail>,
    },

    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled(Box<Trail>),

    /// The blaster was closed before the job was done, or before it was submitted.
    #[error("{}", shut_down(*.dropped))]
    ShutDown {
        /// Nobody closed it: its last clone was dropped while the job was waiting or under way, as where
        /// `Blaster::from_env()?.submit("…")?` keeps the handle alone.
        dropped: bool,
        /// What was tried.
        trail: Box<Trail>,
    },

    /// The queue is full: from `try_submit`, from `submit_timeout` when its time is over, and from `submit` on a
    /// worker's own thread, which must not wait for itself.
    #[error("the queue is full")]
    QueueFull,

    /// A blocking call was made on one of the blaster's own worker threads (from a callback): the worker would
    /// wait for itself. Submit and let somebody else wait.
    #[error("a blocking call on a worker thread of the same blaster would wait for itself; submit instead")]
    WouldDeadlock,

    /// Something panicked while the job was worked on: a stream's callback, or the event hook.
    #[error("panicked: {what}")]
    Panicked {
        /// The panic's message.
        what: String,
        /// What was tried.
        trail: Box<Trail>,
    },

    /// The result was taken before: a handle gives it once.
    #[error("the result of this job was taken before")]
    Taken,

    /// No worker thread could be started.
    #[error("starting worker threads: {0}")]
    Start(#[source] std::io::Error),

    /// The way to the service could not be set up, e.g. a CA file that cannot be read.
    #[error("{message}")]
    Setup {
        /// What could not be set up, and why.
        message: String,
        /// The operating system's word, where it is its word.
        source: Option<std::io::Error>,
    },
}

impl Error {
    /// What was tried; none where the error came before there was a job.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        if let Error::NoText { completion, .. } = self {
            return Some(completion.ledger());
        }
        self.trail().map(|trail| &trail.ledger)
    }

    /// What the service said last, where it said anything but success.
    #[must_use]
    pub fn upstream(&self) -> Option<&Upstream> {
        self.trail()?.upstream.as_ref()
    }

    /// Whether the same request may succeed when it is submitted again later: where attempts failed, time ran out, a
    /// stream broke, the queue was full, or every deployment was disabled ([`Error::NoEndpoint`]) and not all of them for
    /// reasons that last, such as a wrong key: then it ends when one answers its probe (every 60 s) or is enabled.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::NoEndpoint { lasting, .. } => !lasting,
            _ => matches!(
                self.kind(),
                ErrorKind::Exhausted
                    | ErrorKind::ServerErrors
                    | ErrorKind::Timeout
                    | ErrorKind::TooLate
                    | ErrorKind::StreamBroken
                    | ErrorKind::QueueFull
            ),
        }
    }

    fn trail(&self) -> Option<&Trail> {
        match self {
            Error::Refused(trail)
            | Error::Exhausted(trail)
            | Error::ServerErrors(trail)
            | Error::Cancelled(trail)
            | Error::NoEndpoint { trail, .. }
            | Error::Timeout { trail, .. }
            | Error::TooLate { trail, .. }
            | Error::TooLarge { trail, .. }
            | Error::StreamBroken { trail, .. }
            | Error::ShutDown { trail, .. }
            | Error::Panicked { trail, .. } => Some(trail),
            _ => None,
        }
    }
}

impl fmt::Debug for Error {
    /// The message, for this is what a `main` shows that returns the error; with `{:#?}` also what was tried.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Error::Config(error) = self {
            return fmt::Debug::fmt(error, f);
        }
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        let mut shown = f.debug_tuple(&format!("{:?}", self.kind()));
        shown.field(&format_args!("{self}"));
        if let Some(trail) = self.trail() {
            shown.field(trail);
        }
        // Nor what was answered: errors are logged in this form.
        let answer = match self {
            Error::NoText { completion, .. } => Some(completion),
            Error::StreamBroken { partial, .. } => partial.as_ref(),
            _ => None,
        };
        if let Some(answer) = answer {
            let (choices, bytes) = (answer.choices.len(), answer.raw().len());
            shown.field(&format_args!("ChatCompletion(choices: {choices}, bytes: {bytes})"));
        }
        shown.finish()
    }
}

/// The last problem behind a colon; a job whose time was over at once had none.
fn because(trail: &Trail) -> String {
    match trail.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    }
}

fn shut_down(dropped: bool) -> &'static str {
    if dropped {
        "the blaster was dropped before the answer was there: keep it, or a clone, until then, or call its `drain`"
    } else {
        "the blaster is shut down"
    }
}

fn list(names: &[Arc<str>]) -> String {
    /// More would drown the message.
    const SHOWN: usize = 20;
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    shown.join(", ") + &and_more(names.len(), SHOWN)
}

fn reasons(endpoints: &[(Arc<str>, String)]) -> String {
    /// More would drown the message; the error holds them all.
    const SHOWN: usize = 10;
    let shown: Vec<String> = endpoints
        .iter()
        .take(SHOWN)
        .map(|(name, reason)| format!("{name}: {reason}"))
        .collect();
    shown.join("; ") + &and_more(endpoints.len(), SHOWN)
}

/// What is said of those that are not shown.
fn and_more(count: usize, shown: usize) -> String {
    match count.saturating_sub(shown) {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_says_why_where_there_is_something_to_say() {
        for (reason, said) in [
            ("", "no answer within 1.500 s"),
            (
                "503 Service Unavailable",
                "no answer within 1.500 s: 503 Service Unavailable",
            ),
        ] {
            let trail = Trail {
                reason: reason.to_owned(),
                ..Trail::default()
            };
            let timeout = Duration::from_millis(1500);
            let error = Error::Timeout {
                timeout,
                trail: Box::new(trail),
            };
            assert_eq!(error.to_string(), said);
        }
    }

    /// What the standard library shows of an error that `main` returns.
    #[test]
    fn a_main_that_returns_an_error_shows_its_message() {
        let text = r#"{"deployments": [{"name": "a", "endpoint": "https://a.example", "api_key": "k", "weigth": 2}]}"#;
        let config = crate::config::BlasterConfig::from_json(text).unwrap_err();
        let said = config.to_string();
        assert!(said.lines().count() > 1, "{said}");
        assert_eq!(format!("{config:?}"), said);
        assert_eq!(format!("{:?}", Error::Config(config)), said);
        let setup = Error::Setup {
            message: "no such file".to_owned(),
            source: None,
        };
        assert_eq!(format!("{setup:?}"), "no such file");
        let trail = Trail {
            reason: "503".to_owned(),
            failures: 2,
            ..Trail::default()
        };
        let once = Trail {
            failures: 1,
            ..trail.clone()
        };
        let once = Error::Exhausted(Box::new(once));
        assert_eq!(once.to_string(), "gave up after 1 failed attempt; last: 503");
        let exhausted = Error::Exhausted(Box::new(trail));
        assert_eq!(format!("{exhausted:?}"), "gave up after 2 failed attempts; last: 503");
        let all = format!("{exhausted:#?}");
        assert!(
            all.starts_with("Exhausted(\n    gave up after 2 failed attempts; last: 503,\n    Trail {"),
            "{all}"
        );
    }

    /// Errors are logged in this form, and answers are nobody's but the caller's.
    #[test]
    fn the_debug_form_of_an_error_shows_no_answer() {
        let body = r#"{"id":"the-key","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"my answer","tool_calls":[{"id":"the-key","type":"function","function":{"name":"the-key","arguments":"{}"}}]}}]}"#;
        let completion = Box::new(ChatCompletion::parse(body.as_bytes()).unwrap());
        let errors = [
            Error::NoText {
                why: "tool calls".to_owned(),
                completion: completion.clone(),
            },
            Error::StreamBroken {
                partial: Some(completion),
                trail: Box::default(),
            },
        ];
        for error in errors {
            let shown = format!("{error:#?}");
            assert!(
                shown.contains(&format!("ChatCompletion(choices: 1, bytes: {})", body.len())),
                "{shown}"
            );
            assert!(!shown.contains("the-key") && !shown.contains("my answer"), "{shown}");
        }
    }

    #[test]
    fn an_error_of_many_endpoints_shows_ten_and_holds_all() {
        let error = |count: usize| Error::NoEndpoint {
            endpoints: (0..count)
                .map(|id| (id.to_string().into(), "gone".to_owned()))
                .collect(),
            lasting: false,
            trail: Box::default(),
        };
        assert!(error(10).to_string().ends_with("8: gone; 9: gone"), "{}", error(10));
        assert!(error(12).to_string().ends_with("9: gone and 2 more"), "{}", error(12));
    }
}
