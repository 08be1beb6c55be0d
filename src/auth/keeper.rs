//! The threads that fetch tokens, one for each source.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::cache::Next;
use super::provider::Ask;
use super::sign_in::{OnRefusal, Refusal};
use super::stop::Stop;
use super::token::ClockError;
use super::tokens::{News, Pass, Plan, Tokens};
use super::{AccessToken, TokenError};
use crate::api::Operation;
use crate::clock;

/// A source of tokens, and the caches that it fills.
pub(crate) struct Source {
    pub(crate) provider: Box<dyn Ask>,
    pub(crate) caches: Vec<usize>,
}

/// Who is told when endpoints can be used, and when they can be used no longer. Called on any thread, without a lock.
pub(crate) trait Listener: Send + Sync {
    /// The calling thread is one of a source's, from now on.
    fn begun(&self);

    fn signed_in(&self, news: News);
}

/// The sources of a blaster.
pub(crate) struct Keeper {
    /// A small lock of its own, held for a decision of [`Tokens`].
    tokens: Mutex<Tokens>,
    /// Wakes the threads, and those who wait for a source.
    changed: Condvar,
    sources: Vec<Source>,
    stop: Stop,
    listener: OnceLock<Box<dyn Listener>>,
}

impl Keeper {
    pub(crate) fn new(plan: Plan, sources: Vec<Source>) -> Arc<Self> {
        Arc::new(Keeper {
            tokens: Mutex::new(Tokens::new(plan)),
            changed: Condvar::new(),
            sources,
            stop: Stop::default(),
            listener: OnceLock::new(),
        })
    }

    /// Starts the threads, which fetch the first tokens at once.
    ///
    /// # Errors
    /// Where the system has no thread for them.
    pub(crate) fn start(self: &Arc<Self>, listener: impl Listener + 'static) -> io::Result<()> {
        let _ = self.listener.set(Box::new(listener));
        for source in 0..self.sources.len() {
            let keeper = Arc::clone(self);
            // Nobody joins: it ends by itself when the blaster is closed, or when what it then waits for lets go.
            thread::Builder::new()
                .name(format!("blaster-token-{source}"))
                .spawn(move || keeper.run(source))?;
        }
        Ok(())
    }

    /// Ends the threads, and what they wait for as far as that can be ended.
    pub(crate) fn close(&self) {
        self.stop.throw();
        // Under the lock, or the signal could fall between a thread's question and its sleep.
        let _tokens = self.tokens.lock();
        self.changed.notify_all();
    }

    /// The token for a request to an endpoint: `Ok(None)` where it needs none, an error where there is none now.
    pub(crate) fn pass(&self, endpoint: usize) -> Result<Option<Pass>, NoToken> {
        let mut tokens = self.tokens.lock();
        if !tokens.signs_in(endpoint) {
            return Ok(None);
        }
        let now = clock::now();
        if let Some(pass) = tokens.pass(endpoint, now) {
            return Ok(Some(pass));
        }
        // Its source may be busy, and has not told that its token has ended: the endpoint is not to be picked again before.
        let news = tokens.news(now);
        drop(tokens);
        self.tell(news);
        Err(NoToken)
    }

    /// The service has refused a token with a 401.
    pub(crate) fn refused(&self, endpoint: usize, refusal: &Refusal<'_>) -> OnRefusal {
        let now = clock::now();
        let (follows, news) = {
            let mut tokens = self.tokens.lock();
            let follows = tokens.refused(endpoint, refusal, now);
            self.changed.notify_all();
            (follows, tokens.news(now))
        };
        self.tell(news);
        follows
    }

    /// The service has taken a token.
    pub(crate) fn accepted(&self, endpoint: usize, pass: (usize, u64), operation: &Operation) {
        let news = {
            let mut tokens = self.tokens.lock();
            if !tokens.accepted(endpoint, pass, operation) {
                return;
            }
            tokens.news(clock::now())
        };
        self.tell(news);
    }

    /// Somebody asks for another try at an endpoint.
    pub(crate) fn request(&self, endpoint: usize) {
        let news = {
            let mut tokens = self.tokens.lock();
            tokens.request(endpoint);
            self.changed.notify_all();
            tokens.news(clock::now())
        };
        self.tell(news);
    }

    /// Looks at the tokens.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Tokens, Instant) -> T) -> T {
        look(&self.tokens.lock(), clock::now())
    }

    /// Waits until every source that is used has given a token, or said why not; at `until` at the latest, where that is some.
    pub(crate) fn settle(&self, until: Option<Instant>) {
        let mut tokens = self.tokens.lock();
        while !tokens.all_have_answered(clock::now()) && !self.stop.is_thrown() {
            match until {
                Some(until) if self.changed.wait_until(&mut tokens, until).timed_out() => return,
                Some(_) => {}
                None => self.changed.wait(&mut tokens),
            }
        }
    }

    /// The life of a thread.
    fn run(&self, source: usize) {
        if let Some(listener) = self.listener.get() {
            listener.begun();
        }
        while let Some(cache) = self.await_due(source) {
            let Source { provider, .. } = &self.sources[source];
            let (name, scope) = self.look(|tokens, _| {
                let plan = tokens.plan(cache);
                (plan.source.clone(), plan.scope.clone())
            });
            log::debug!("asking {name} for a token for {scope}");
            let asked = catch_unwind(AssertUnwindSafe(|| provider.ask(&scope, &self.stop)));
            let result = asked.unwrap_or_else(|_| {
                Err(TokenError::lasting(
                    "the provider of tokens panicked, which is a mistake in it",
                ))
            });
            self.came(cache, result, &name, &scope);
        }
    }

    /// Waits until a cache of the source is due, and marks it as being asked for; none where the blaster is closed.
    fn await_due(&self, source: usize) -> Option<usize> {
        let caches = &self.sources[source].caches;
        let mut tokens = self.tokens.lock();
        loop {
            if self.stop.is_thrown() {
                return None;
            }
            let now = clock::now();
            let due = caches
                .iter()
                .copied()
                .find(|&cache| tokens.next(cache, now) == Next::Ask);
            if let Some(cache) = due {
                tokens.asks(cache, now);
            }
            // A token may have come to its end.
            let news = tokens.news(now);
            if due.is_some() || !news.is_empty() {
                parking_lot::MutexGuard::unlocked(&mut tokens, || self.tell(news));
            }
            if due.is_some() {
                return due;
            }
            match caches.iter().filter_map(|&cache| tokens.wakes_at(cache, now)).min() {
                Some(at) => drop(self.changed.wait_until(&mut tokens, at)),
                None => self.changed.wait(&mut tokens),
            }
        }
    }

    fn came(&self, cache: usize, result: Result<AccessToken, TokenError>, name: &str, scope: &str) {
        let (now, wall) = (clock::now(), clock::wall());
        let (before, came, news) = {
            let mut tokens = self.tokens.lock();
            let before = tokens.state(cache, now).1.cloned();
            let came = tokens.came(cache, result, wall, now, &mut rand::rng());
            self.changed.notify_all();
            (before, came, tokens.news(now))
        };
        match came {
            Ok(clock_error) => {
                log::info!("{name} has given a token for {scope}");
                if let Some(error) = clock_error {
                    warn_of_clock(error, name);
                }
            }
            // Said once; it is asked again every half minute.
            Err(error) if before.as_ref() == Some(&error) => log::debug!("still no token from {name}: {error}"),
            Err(error) => log::warn!("no token for {scope} from {name}: {error}"),
        }
        self.tell(news);
    }

    fn tell(&self, news: Vec<News>) {
        if let Some(listener) = self.listener.get() {
            news.into_iter().for_each(|news| listener.signed_in(news));
        }
    }
}

/// There is no token at the moment for an endpoint that needs one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoToken;

fn warn_of_clock(error: ClockError, name: &str) {
    let (by, how) = match error {
        ClockError::Ahead(by) => (by, "ahead"),
        ClockError::Behind(by) => (by, "behind"),
    };
    log::warn!(
        "the clock of this machine is at least {} s {how} of that by which {name} issues tokens; they are used for as long as \
         they say that they live, but set the clock right",
        by.as_secs()
    );
}
