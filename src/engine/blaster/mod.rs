//! The face of the engine.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use replies::{chat, embeddings, raw, text};
use submission::{give_back, invalid, patience};

use crate::api::{Advice, ChatCompletion, ChatRequest, Delta, EmbeddingRequest, Embeddings, RawReply, RawRequest};
use crate::auth::CredentialReport;
use crate::balance::EndpointId;
use crate::clock;
use crate::config::BlasterConfig;
use crate::error::{Error, Result, SubmitError};

use super::builder::Builder;
use super::drain::DrainReport;
use super::handle::JobHandle;
use super::job::ReplyKind;
use super::run_all::RunAll;
use super::shared::{Patience, Shared};
use super::sink::{self, Sink};
use super::state::EndpointState;
use super::stream::{ChatStream, RawStream};

mod replies;
mod submission;

/// A queue of jobs, a pool of worker threads, and the deployments that they are sent to.
///
/// It may be shared by threads, by reference or as clones, which share all of it. When the last clone is dropped, the blaster is closed: whatever is not answered by
/// then ends as [`Error::ShutDown`], which says so. That waits for nothing: what was under way may end a moment later.
/// Use [`Blaster::drain`] to let it finish.
///
/// ```
/// use azure_openai_blaster::testing::Scripted;
/// use azure_openai_blaster::{Blaster, ChatRequest};
///
/// // Outside of tests: `Blaster::from_config("config.json")?`.
/// let blaster = Blaster::builder().transport(Scripted::answering("Paris")).build()?;
///
/// // One prompt, and a wait for its text.
/// assert_eq!(blaster.chat_text("The capital of France?")?, "Paris");
///
/// // Many prompts: each answer as it comes, with the position of its prompt.
/// let prompts = (0..100).map(|id| ChatRequest::from(format!("City {id}?")).max_completion_tokens(50));
/// let mut answers = vec![String::new(); 100];
/// for (position, result) in blaster.run_all(prompts) {
///     answers[position] = result?.text().unwrap_or_default().to_owned();
/// }
/// assert!(answers.iter().all(|answer| answer == "Paris"));
/// # Ok::<(), azure_openai_blaster::Error>(())
/// ```
#[derive(Clone)]
pub struct Blaster {
    shared: Arc<Shared>,
    /// Closes when the last clone goes: the worker threads share `shared` and would keep it for ever.
    _owner: Arc<Owner>,
}

struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close_dropped();
    }
}

impl Blaster {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Blaster {
            _owner: Arc::new(Owner(Arc::clone(&shared))),
            shared,
        }
    }

    /// A blaster as a file describes it, JSON or YAML; see `docs/CONFIG.md`.
    ///
    /// # Errors
    /// [`Error::Config`] with everything that is wrong with the file, [`Error::Setup`] for a CA file or proxy that
    /// cannot be used, [`Error::Start`] where not even one thread can be started.
    pub fn from_config(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().config_file(path)?.build()
    }

    /// A blaster as the process's environment describes it; see
    /// [`BlasterConfig::from_env`](crate::config::BlasterConfig::from_env), and `from_env_file` beside it for `.env` files.
    ///
    /// # Errors
    /// Those of [`Blaster::from_config`].
    pub fn from_env() -> Result<Self> {
        Self::builder().config(BlasterConfig::from_env()?).build()
    }

    /// A blaster to be put together step by step.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Sends a chat and waits for its text. Takes messages, a text, or a whole [`ChatRequest`].
    ///
    /// A text that was cut at its limit of tokens is returned all the same, with a warning in the log; [`Blaster::chat`] shows
    /// it by its finish reason.
    ///
    /// # Errors
    /// What the job ended with; [`Error::NoText`] where the answer holds none.
    pub fn chat_completion(&self, request: impl Into<ChatRequest>) -> Result<String> {
        self.refuse_on_worker()?;
        self.submit_chat_completion(request)?.wait()
    }

    /// [`Blaster::chat_completion`] by a name that says what comes back; [`Blaster::chat`] gives the whole answer.
    ///
    /// # Errors
    /// As there.
    pub fn chat_text(&self, request: impl Into<ChatRequest>) -> Result<String> {
        self.chat_completion(request)
    }

    /// Queues a chat and returns a handle on its text. Waits for room in the queue.
    ///
    /// # Errors
    /// [`SubmitError`], with the request.
    pub fn submit_chat_completion(
        &self,
        request: impl Into<ChatRequest>,
    ) -> Result<JobHandle<String>, SubmitError<ChatRequest>> {
        self.submit_chat(request.into(), Patience::Endless, None, text)
    }

    /// Sends a chat and waits for the whole answer.
    ///
    /// # Errors
    /// What the job ended with.
    pub fn chat(&self, request: impl Into<ChatRequest>) -> Result<ChatCompletion> {
        self.refuse_on_worker()?;
        self.submit(request)?.wait()
    }

    /// Queues a chat and returns a handle on the whole answer. Waits for room in the queue (except on a worker's
    /// own thread, where it returns [`SubmitError::Full`]).
    ///
    /// # Errors
    /// [`SubmitError`], with the request.
    pub fn submit(
        &self,
        request: impl Into<ChatRequest>,
    ) -> Result<JobHandle<ChatCompletion>, SubmitError<ChatRequest>> {
        self.submit_chat(request.into(), Patience::Endless, None, chat)
    }

    /// [`Blaster::submit`] that does not wait for room.
    ///
    /// # Errors
    /// [`SubmitError`], with the request; [`SubmitError::Full`] where there is no room.
    pub fn try_submit(
        &self,
        request: impl Into<ChatRequest>,
    ) -> Result<JobHandle<ChatCompletion>, SubmitError<ChatRequest>> {
        self.submit_chat(request.into(), Patience::None, None, chat)
    }

    /// [`Blaster::submit`] that waits for room for `timeout` at most; one beyond what the clock can tell is none.
    ///
    /// # Errors
    /// [`SubmitError`], with the request; [`SubmitError::Full`] where there was no room in that time.
    pub fn submit_timeout(
        &self,
        request: impl Into<ChatRequest>,
        timeout: Duration,
    ) -> Result<JobHandle<ChatCompletion>, SubmitError<ChatRequest>> {
        self.submit_chat(request.into(), patience(timeout), None, chat)
    }

    /// Runs every request of an iterator, and yields each answer as it comes, with its request's position. An error ends its
    /// own request and no other.
    ///
    /// ```
    /// # use azure_openai_blaster::{Blaster, testing::Scripted};
    /// # let blaster = Blaster::builder().transport(Scripted::answering("yes")).build()?;
    /// let prompts = ["Is it late?", "Is it far?"];
    /// let mut later = Vec::new();
    /// for (position, result) in blaster.run_all(prompts) {
    ///     match result {
    ///         Ok(completion) => println!("{}: {}", prompts[position], completion.text().unwrap_or_default()),
    ///         Err(error) if error.is_retryable() => later.push(position),
    ///         Err(error) => eprintln!("{}: {error}", prompts[position]),
    ///     }
    /// }
    /// # assert!(later.is_empty());
    /// # Ok::<(), azure_openai_blaster::Error>(())
    /// ```
    ///
    /// Requests are taken from the iterator as there is room: at most twice as many as there are workers are
    /// submitted and not yielded, so the iterator may be endless. On a thread of this blaster each request ends as
    /// [`Error::WouldDeadlock`], unsent.
    pub fn run_all<I>(&self, requests: I) -> RunAll<I::IntoIter>
    where
        I: IntoIterator,
        I::Item: Into<ChatRequest>,
    {
        let workers = self.shared.with_core(|core| core.workers);
        RunAll::new(self.clone(), requests.into_iter(), 2 * workers)
    }

    /// Sends a chat as a stream and returns its pieces as they come.
    ///
    /// # Errors
    /// [`SubmitError`], with the request. What happens later is found in the stream.
    pub fn stream(&self, request: impl Into<ChatRequest>) -> Result<ChatStream, SubmitError<ChatRequest>> {
        let (sender, pieces) = sink::channel();
        let request = request.into().stream(true);
        let handle = self.submit_chat(request, Patience::Endless, Some(Sink::Deltas(sender)), chat)?;
        Ok(ChatStream::new(pieces, handle))
    }

    /// Sends a chat as a stream and calls `each` with its pieces, on a worker's thread: it should be quick, and
    /// must not wait for this blaster. `Break` ends the stream; the handle then yields what had been received by then,
    /// whose choices lack a finish reason where they were not finished. A worker has a stack of 512 KiB, of which `each`
    /// may use half: deep recursion and large arrays belong elsewhere.
    ///
    /// ```
    /// # use azure_openai_blaster::Blaster;
    /// # use azure_openai_blaster::testing::Scripted;
    /// # let blaster = Blaster::builder().transport(Scripted::answering("Once upon a time")).build()?;
    /// use std::ops::ControlFlow;
    ///
    /// let handle = blaster.submit_streaming("A story, please.", |delta| {
    ///     print!("{}", delta.text());
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(handle.wait()?.text(), Some("Once upon a time"));
    /// # Ok::<(), azure_openai_blaster::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`SubmitError`], with the request.
    pub fn submit_streaming(
        &self,
        request: impl Into<ChatRequest>,
        each: impl FnMut(&Delta) -> ControlFlow<()> + Send + 'static,
    ) -> Result<JobHandle<ChatCompletion>, SubmitError<ChatRequest>> {
        let sink = Sink::Callback(Box::new(each));
        self.submit_chat(request.into().stream(true), Patience::Endless, Some(sink), chat)
    }

    /// Sends any operation as bytes and returns a handle on the reply's bytes. Errors, limits, retries and failover
    /// are the same as for chats.
    ///
    /// # Errors
    /// [`SubmitError`], with the request.
    pub fn submit_raw(&self, request: RawRequest) -> Result<JobHandle<RawReply>, SubmitError<RawRequest>> {
        match request.prepare() {
            Ok(prepared) => {
                let taken = self.take(prepared, ReplyKind::Raw, Patience::Endless, None);
                Ok(JobHandle::new(
                    give_back(taken, request)?,
                    Arc::clone(&self.shared),
                    raw,
                ))
            }
            Err(error) => Err(invalid(request, error)),
        }
    }

    /// Sends any operation as bytes, waits for the head of its reply and returns its bytes as they come.
    ///
    /// # Errors
    /// What the job ended with before any content had come.
    pub fn stream_raw(&self, request: RawRequest) -> Result<RawStream> {
        self.refuse_on_worker()?;
        let (sender, pieces) = sink::channel();
        let taken = self.take(
            request.prepare()?,
            ReplyKind::Raw,
            Patience::Endless,
            Some(Sink::Raw(sender)),
        );
        let cell = give_back(taken, request)?;
        RawStream::open(pieces, JobHandle::new(cell, Arc::clone(&self.shared), raw))
    }

    /// Asks for embeddings and waits for them.
    ///
    /// ```
    /// # use azure_openai_blaster::Blaster;
    /// # use azure_openai_blaster::testing::{Scripted, ScriptedReply};
    /// # let reply = serde_json::json!({"data": [{"index": 0, "embedding": [0.1, 0.2]}, {"index": 1, "embedding": [0.3, 0.4]}]});
    /// # let service = Scripted::new(move |_| ScriptedReply::status(200).json(&reply));
    /// # let blaster = Blaster::builder().transport(service).build()?;
    /// use azure_openai_blaster::EmbeddingRequest;
    ///
    /// let embeddings = blaster.embeddings(EmbeddingRequest::new(["first text", "second text"]))?;
    /// assert_eq!(embeddings.vectors.len(), 2); // in the order of the texts
    /// # Ok::<(), azure_openai_blaster::Error>(())
    /// ```
    ///
    /// # Errors
    /// What the job ended with.
    pub fn embeddings(&self, request: impl Into<EmbeddingRequest>) -> Result<Embeddings> {
        self.refuse_on_worker()?;
        self.submit_embeddings(request)?.wait()
    }

    /// Queues a request for embeddings.
    ///
    /// # Errors
    /// [`SubmitError`], with the request.
    pub fn submit_embeddings(
        &self,
        request: impl Into<EmbeddingRequest>,
    ) -> Result<JobHandle<Embeddings>, SubmitError<EmbeddingRequest>> {
        let request = request.into();
        match request.prepare() {
            Ok(prepared) => {
                let taken = self.take(prepared, ReplyKind::Embeddings, Patience::Endless, None);
                Ok(JobHandle::new(
                    give_back(taken, request)?,
                    Arc::clone(&self.shared),
                    embeddings,
                ))
            }
            Err(error) => Err(invalid(request, error)),
        }
    }

    /// A live handle on each endpoint, in the order of the configuration.
    #[must_use]
    pub fn states(&self) -> Vec<EndpointState> {
        let endpoints = 0..self.shared.endpoints.len();
        endpoints
            .map(|index| EndpointState::new(Arc::clone(&self.shared), EndpointId::at(index)))
            .collect()
    }

    /// How the sources of tokens fare that deployments sign in with; empty where all have keys.
    #[must_use]
    pub fn credentials(&self) -> Vec<CredentialReport> {
        let names: Vec<_> = self
            .shared
            .endpoints
            .iter()
            .map(|endpoint| Arc::clone(&endpoint.name))
            .collect();
        let report = |tokens: &_, now| CredentialReport::of(tokens, &names, now, clock::wall());
        self.shared
            .keeper
            .as_ref()
            .map_or_else(Vec::new, |keeper| keeper.look(report))
    }

    /// [`Blaster::credentials`], once each source has given a token or said why not, or after `timeout`. Nobody need call
    /// it: jobs wait for their deployments' tokens.
    #[must_use]
    pub fn await_credentials(&self, timeout: Duration) -> Vec<CredentialReport> {
        if let Some(keeper) = &self.shared.keeper {
            keeper.settle(clock::now().checked_add(timeout));
        }
        self.credentials()
    }

    /// What would make better use of the deployments: more workers, and for each deployment what its
    /// [report](crate::EndpointReport::advice) says. The same is logged once, at level info, and what a deployment lacks at
    /// level warn.
    #[must_use]
    pub fn advice(&self) -> Vec<Advice> {
        let workers = self.shared.with_core(|core| core.balancer.worker_advice());
        let mut advice: Vec<Advice> = workers.into_iter().map(Advice::of_all).collect();
        for report in self.states().iter().map(EndpointState::report) {
            advice.extend(report.advice);
        }
        advice
    }

    /// The model names that requests may ask for, sorted.
    #[must_use]
    pub fn models(&self) -> Vec<Arc<str>> {
        self.shared.with_core(|core| core.balancer.models())
    }

    /// Jobs waiting to be sent.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.with_core(|core| core.waiting())
    }

    /// Jobs under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.with_core(|core| core.in_flight())
    }

    /// Worker threads that live.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shared.with_core(|core| core.workers)
    }

    /// Takes no more jobs, lets those that there are finish for `timeout` at most, and closes. What is not done by
    /// then ends as [`Error::ShutDown`]. A `timeout` beyond what the clock can tell, such as [`Duration::MAX`], is none.
    ///
    /// On a thread of this blaster (in a stream's callback, or an event hook that it calls) a wait would be a wait for
    /// itself: there it takes no more jobs, returns at once with what is left, and does not close.
    ///
    /// The last jobs' handles, and the event hook, may be told a moment after this returns: take results by
    /// [`JobHandle::wait`], for [`JobHandle::try_wait`] may find none yet.
    ///
    /// ```
    /// # use azure_openai_blaster::Blaster;
    /// # use azure_openai_blaster::testing::Scripted;
    /// # let blaster = Blaster::builder().transport(Scripted::answering("yes")).build()?;
    /// use std::time::Duration;
    ///
    /// let handle = blaster.submit("Is there time?")?;
    /// let report = blaster.drain(Duration::from_secs(30));
    /// println!("{report}"); // how many jobs were answered, failed and left
    /// assert!(report.is_complete());
    /// assert_eq!(handle.wait()?.text(), Some("yes"));
    /// # Ok::<(), azure_openai_blaster::Error>(())
    /// ```
    pub fn drain(&self, timeout: Duration) -> DrainReport {
        let before = self.shared.with_core(|core| core.ended);
        let waits = !self.shared.is_own_worker();
        if waits {
            self.shared.drain(clock::now().checked_add(timeout));
        } else {
            self.shared.stop_admission();
        }
        let report = self.shared.with_core(|core| DrainReport {
            answered: core.ended.answered - before.answered,
            failed: core.ended.failed - before.failed,
            waiting: core.waiting(),
            in_flight: core.in_flight(),
        });
        if waits {
            self.close();
        }
        report
    }

    /// Ends everything now: every handle that has no result yet ends as [`Error::ShutDown`], but for those whose whole
    /// answer is about to be told; streams hand nothing out any more, submitters that wait for room get their requests
    /// back, connections are shut down. Waits neither for sockets nor for cooldowns; worker
    /// threads end by themselves. Further calls do nothing.
    pub fn close(&self) {
        self.shared.close();
    }

    /// The inside, for tests that break it.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether the calling thread is one of this blaster's own.
    pub(crate) fn is_own_thread(&self) -> bool {
        self.shared.is_own_worker()
    }

    fn refuse_on_worker(&self) -> Result<()> {
        if self.is_own_thread() {
            Err(Error::WouldDeadlock)
        } else {
            Ok(())
        }
    }
}

impl From<BlasterConfig> for Builder {
    fn from(config: BlasterConfig) -> Self {
        Builder::default().config(config)
    }
}

impl fmt::Debug for Blaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blaster")
            .field("endpoints", &self.shared.endpoints.len())
            .field("workers", &self.workers())
            .field("waiting", &self.waiting())
            .field("in_flight", &self.in_flight())
            .finish()
    }
}
