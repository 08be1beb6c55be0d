//! Pushes a mountain of prompts through every Azure OpenAI deployment a team owns, and never loses a job.
//!
//! A [`Blaster`] owns a queue, a pool of worker threads and the deployments of its configuration. Each request goes to
//! the deployment whose turn it is by weight, of those that are ready at that moment; one that is throttled, fails or
//! is set up wrongly is passed over until it answers again. Waiting for quota costs a job none of its attempts. Every
//! job that was accepted ends exactly once: with its answer, or with a typed [`Error`] that tells what was tried.
//!
//! The library is made of threads and has no async runtime in it; its handles are futures all the same.
//!
//! # Example
//!
//! Here a scripted service stands in for the deployments, so that the example runs without key and network; outside
//! of tests the first two statements are `let blaster = Blaster::from_config("config.json")?;`.
//!
//! ```
//! use std::time::Duration;
//!
//! use azure_openai_blaster::testing::Scripted;
//! use azure_openai_blaster::{Blaster, ChatMessage, ChatRequest, Priority};
//!
//! let service = Scripted::answering("It gives the others a turn.");
//! let blaster = Blaster::builder().transport(service).build()?;
//!
//! // Wait for the text …
//! let text = blaster.chat_completion([ChatMessage::user("Why does backoff matter?")])?;
//! assert_eq!(text, "It gives the others a turn.");
//!
//! // … or submit now and take the whole answer later: wait for the handle, or await it.
//! let request = ChatRequest::new([ChatMessage::user("Why does backoff matter?")])
//!     .temperature(0.1)
//!     .max_completion_tokens(256)
//!     .timeout(Duration::from_secs(30))
//!     .priority(Priority::Interactive)
//!     .extra("reasoning_effort", "low");
//! let handle = blaster.submit(request)?;
//! let completion = handle.wait()?;
//! println!("{:?}, after these attempts:\n{}", completion.text(), completion.ledger());
//!
//! for state in blaster.states() {
//!     println!("{}", state.report());
//! }
//! blaster.close();
//! # Ok::<(), azure_openai_blaster::Error>(())
//! ```
//!
//! # What to call
//!
//! | wanted | call |
//! |---|---|
//! | a text, and to wait for it | [`Blaster::chat_completion`] |
//! | the whole answer: tool calls, usage, finish reason, raw JSON | [`Blaster::chat`] |
//! | to go on meanwhile | [`Blaster::submit_chat_completion`], [`Blaster::submit`]: a [`JobHandle`] to wait for, look at, await or cancel |
//! | not to wait for room in the queue | [`Blaster::try_submit`], [`Blaster::submit_timeout`] |
//! | many answers as they finish | [`JobSet`] for jobs under keys, [`Blaster::run_all`] for an iterator of any length |
//! | the text alone of a whole answer, or why there is none | [`ChatCompletion::into_text`] |
//! | to know what failed, what was tried, what the service said | [`Error::kind`], [`Error::ledger`], [`Error::upstream`]; the module [`error`] says what to do about each kind |
//! | to try again later what failed | [`Error::is_retryable`] |
//! | to show progress | [`Blaster::waiting`], [`Blaster::in_flight`], the [`report`](EndpointState::report) of each deployment |
//! | an answer as JSON, read into a type | [`ChatRequest::response_format`], [`ChatCompletion::text_json`] |
//! | the model to call functions | [`ChatRequest::tools`], [`ChatCompletion::tool_calls`] |
//! | requests from a file of JSON lines | [`ChatRequest`] is `Deserialize` |
//! | deployments from the environment | [`Blaster::from_env`] |
//! | an answer while it comes | [`Blaster::stream`], an iterator; [`Blaster::submit_streaming`], a callback |
//! | vectors | [`Blaster::embeddings`] |
//! | any other operation, as bytes | [`Blaster::submit_raw`], [`Blaster::stream_raw`] |
//! | to see and steer a deployment | [`Blaster::states`]: [`EndpointState`] |
//! | to know what would use the quotas better | [`Blaster::advice`] |
//! | metrics of one's own | [`Builder::on_event`] |
//! | to end | [`Blaster::drain`] lets jobs finish, [`Blaster::close`] does not |
//!
//! Callbacks and the event hook run on worker threads, whose stack is 512 KiB, half of it free: no place for deep
//! recursion, large arrays on the stack, or a wait for the same blaster.
//!
//! # Where requests go
//!
//! A request that names a [`model`](ChatRequest::model) may go to the deployments that
//! [serve](config::DeploymentConfig::serves) it, one without to all. Of those that are ready, each gets its share by
//! weight, spread evenly. What becomes of a reply:
//!
//! | reply | the deployment | the job |
//! |---|---|---|
//! | 429 | rests until the instant that the service named, and 1, 2, 4 … 30 s where it named none, or has refused twice before without admitting anything | goes on to the next ready one, at no cost; where all rest, it waits for the first |
//! | timeout, connection refused or cut, 408, 424, 5xx | rests for 1, 2, 4 … 30 s, unless nine of ten succeed; ejected after `auto_disable_threshold` failures in a row, then probed every 5 s. Cleared where it answers what was sent later: then it was the job | tried elsewhere, up to `max_job_retry` attempts |
//! | connection refused, no such host, TLS, for half a minute, where nothing ever went there | disabled as "never reached", probed every 5 s; where that is so of all of two or more hosts, this machine is offline, and they stay ejected | goes on to the next; [`Error::NoEndpoint`] where all are disabled; offline it waits |
//! | 401 for a token | waits for a new one; disabled where that is refused too | goes again, at no cost |
//! | 401, 403, 404 of the deployment, a Retry-After beyond `cooldown_max_s` | disabled with the reason, probed every 60 s | goes on to the next; [`Error::NoEndpoint`] where all are disabled, which says what to change |
//! | a denial (401, 403, …) that is not in the service's words, a redirect | disabled where it has not served before, though the next job is sent there once more where no other deployment is left; else as for a 5xx, though without a rest, and disabled after as many in a row | tried elsewhere; after three [`Error::ServerErrors`] |
//! | 404, 405: nothing at the path, as where the base URL is wrong | the operation is left out and tried every 60 s. One that has served nothing yet is [`Misconfigured`](api::Condition::Misconfigured), and its [advice](EndpointReport::advice) says what to change. Where the operation has served before it takes `auto_disable_threshold` jobs in a row; where a page says so and no other deployment is there, two | as for a deployment that is disabled |
//! | 400, 413, 422, content filter | unharmed | ends as [`Error::Refused`]; where a page says so, and not the service's JSON, when another deployment refuses it too |
//! | 500, or a success that makes no sense | blamed once the job succeeds elsewhere | asked of up to three deployments (a sole one twice), then [`Error::ServerErrors`] |
//! | a stream that breaks before its first content | as for a timeout | tried elsewhere; after that [`Error::StreamBroken`] with what was received |
//!
//! Where every deployment that serves a request rests or is ejected, the request waits for the first that is back, however
//! long that takes: give it a [`timeout`](ChatRequest::timeout), or all of them `job_timeout_s`, where that is too long.
//!
//! # Whose answer it is
//!
//! HTTP/1.1 tells replies apart by their order alone. So a connection is used again only where nothing is left of the reply
//! before, in no buffer, decrypted or not; and where bytes come before the next request is written, that request is sent
//! again on a connection of its own. What cannot be known: a service that answers one request twice, and whose second answer
//! arrives when the next request on that connection has been written, seems to answer that one. No client of HTTP/1.1 can
//! tell.
//!
//! # Limits
//!
//! A request goes out when the quota of a deployment, and of its [group](config::QuotaGroup), has room for its prompt and its
//! longest answer; until then it waits, and others pass it. Limits that were told wrong, or not at all, are learnt from the
//! service's refusals, and a [report](EndpointReport::limit) shows what is believed beside what was configured. A job that
//! cannot be admitted within its timeout ends at once as [`Error::TooLate`], one larger than every quota as
//! [`Error::TooLarge`]; one that holds a picture, sound or a file, whose size in tokens is a guess, is sent alone to find out. `docs/limits.md` in the repository tells how the service counts.
//!
//! # Modules, in reading order
//!
//! 1. [`api`]: requests, answers and reports
//! 2. [`config`]: the deployments and the settings of the pool, from JSON or by calls; every key with its default
//! 3. [`error`]: what can go wrong, and what to do about it; [`auth`]: tokens in place of keys
//! 4. [`testing`]: a service that answers from a script, for tests of your own
//! 5. [`transport`]: the way to the service behind one trait, for a transport of your own
//! 6. `sim` (feature `sim`): a fleet of simulated deployments on loopback ports
//!
//! The engine itself is private; `docs/ARCHITECTURE.md` in the repository leads through it.
//!
//! # Features
//!
//! `entra` alone is on by default; neither it nor the library needs an async runtime or a C library for TLS.
//!
//! ## Supported
//!
//! - `entra` (default): deployments sign in with Microsoft Entra ID, see `docs/credentials.md` in the repository
//! - `browser-login`: a person signs in at a browser, on this machine or another
//! - `yaml`: configuration files in YAML
//! - `dotenv`: `.env` files, by [`BlasterConfig::from_env`]'s sibling `from_env_file`
//! - `cli`: the command `blaster` with `check`, `demo` and `sim`
//! - `sim`: the simulator, module `sim`; brings tokio
//! - `tiktoken`: `Builder::exact_token_counts`, by which prompts are counted by the tokeniser of their model instead of being
//!   estimated; brings the vocabularies
//! - `platform-verifier`: TLS certificates are verified by the operating system's store instead of the built-in Mozilla
//!   roots; needed behind a company proxy that inspects TLS
//!
//! ## Internal
//!
//! - `internals`: parts of the inside for this crate's own tests, benches and fuzz targets, without any promise of
//!   stability
//!
//! # Log levels
//!
//! The library logs through the facade [`log`](https://docs.rs/log); a program that sets up no logger sees nothing.
//!
//! | level | what |
//! |---|---|
//! | error | a panic: of the event hook, of a task's waker, or in a worker, without what it said; only mistakes in code are logged so |
//! | warn | a deployment is ejected or disabled, or lacks an operation; a source of tokens gives none; the clock of this machine is wrong; a job has waited for a minute because every deployment that may serve it is out, with each one's reason and when it is asked next, and whether this machine seems to be offline (once in each such time, and at most every five minutes); the service grants less than the limit that was told; a text was cut at its token limit and returned without more ado; the configuration, the CA file or the environment's proxies say what has no effect; fewer worker threads could be started than were asked for |
//! | info | a deployment cools down, is probed, signs in, or is ready again; a token has come; [advice](Blaster::advice), once |
//! | debug | each attempt that failed, with the service's reason as far as it is not what was asked |
//! | trace | each attempt, as its line in the ledger; the moment at which its request begins to leave |
//!
//! Neither keys nor prompts nor answers are logged, nor do they stand in events, ledgers and reports, where a service repeats
//! them: the secrets that a call carried (key, token, a proxy's password, secret headers) are hidden wherever they come
//! back, also escaped and in another letter case, and of the service's message everything is left out that stands in the
//! request too, in runs of 16 bytes and more. An [`Error`] is for whoever asked: it shows the service's message whole, but for
//! the secrets. A success that cannot be read is told by its shape; its text is in [`Error::upstream`] alone. What is base64 of
//! a key, or split over two fields, is not recognised.
//!
//! The HTTP client underneath logs in its own name (`ureq`, `ureq_proto`). It is given no credential, but what a service sends
//! it logs as received, before any of this: some headers of replies (`server`, `content-type`, …) at debug, every byte of
//! requests and replies, prompts among it, at trace. A program whose log goes where others read it leaves those targets out, as
//! the command does: `env_logger::Builder::new().filter_module("ureq", LevelFilter::Error)`.
//!
//! # Versions
//!
//! Semantic versioning; before 1.0 a breaking change raises the minor version. What may grow is `#[non_exhaustive]`.
//! Needs Rust 1.88 or newer, and a newer one only in a minor version. `CHANGELOG.md` tells what changed.

// Everything has `Debug`; what may grow says so, and what may not says why. `internals` promises nothing.
#![cfg_attr(
    not(feature = "internals"),
    deny(missing_debug_implementations, clippy::exhaustive_enums, clippy::exhaustive_structs)
)]

pub mod api;
pub mod auth;
// `internals` shows more of it than the engine uses.
#[cfg_attr(not(feature = "internals"), allow(dead_code, unreachable_pub, unused_imports))]
mod balance;
#[cfg_attr(not(feature = "internals"), allow(dead_code, unreachable_pub))]
mod clock;
pub mod config;
mod engine;
pub mod error;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
#[cfg(feature = "sim")]
pub mod sim;
pub mod testing;
pub mod transport;

pub use api::{
    ChatCompletion, ChatMessage, ChatRequest, Delta, EmbeddingRequest, Embeddings, EndpointReport, Ledger, Operation,
    Priority, RawReply, RawRequest,
};
pub use config::{Auth, BlasterConfig, DeploymentConfig};
pub use engine::{
    Blaster, Builder, Canceller, ChatStream, DrainReport, EndpointState, Event, JobHandle, JobSet, NextPiece,
    RawStream, RunAll, SetupReport,
};
pub use error::{Error, ErrorKind, Result, SubmitError};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
