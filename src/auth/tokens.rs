//! All sources of tokens and the deployments that use them, as functions of events and time.

use std::time::{Instant, SystemTime};

use rand::Rng;

use super::cache::{Held, Next, TokenCache};
use super::sign_in::{OnRefusal, Refusal, SignIn};
use super::token::ClockError;
use super::{AccessToken, TokenError};
use crate::api::Operation;

/// Who uses which tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// The scope of each cache, and what its source is called.
    pub(crate) caches: Vec<CachePlan>,
    /// By endpoint: the cache it uses, and the one for the other audience, where that is worth a try; none where it does not
    /// sign in with tokens.
    pub(crate) endpoints: Vec<Option<(usize, Option<usize>)>>,
}

/// The tokens of one source for one scope.
#[derive(Clone, Debug)]
pub(crate) struct CachePlan {
    /// What the source is called.
    pub(crate) source: String,
    pub(crate) scope: String,
}

/// See the page of the module.
#[derive(Debug)]
pub(crate) struct Tokens {
    caches: Vec<(CachePlan, TokenCache)>,
    sign_ins: Vec<Option<SignIn>>,
    /// By endpoint: what was told last, and how often something was.
    told: Vec<(u64, Option<Availability>)>,
}

/// Whether an endpoint can be used, as far as tokens are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// There is a token.
    SignedIn,
    /// There is none yet: work waits for it.
    Awaited(String),
    /// There is none, and somebody has to mend something: work does not wait for it.
    Lacking(String),
}

/// An endpoint can be used, or can be used no longer. Of two the one with the larger number holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) endpoint: usize,
    pub(crate) number: u64,
    pub(crate) availability: Availability,
}

/// A token on its way, and what it is known by.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    pub(crate) held: Held,
    cache: usize,
}

impl Pass {
    pub(crate) fn id(&self) -> (usize, u64) {
        (self.cache, self.held.number)
    }
}

impl Tokens {
    pub(crate) fn new(plan: Plan) -> Self {
        let caches = plan.caches.into_iter().map(|plan| (plan, TokenCache::default()));
        let sign_in = |uses: Option<(usize, Option<usize>)>| uses.map(|(cache, other)| SignIn::new(cache, other));
        Tokens {
            caches: caches.collect(),
            told: vec![(0, None); plan.endpoints.len()],
            sign_ins: plan.endpoints.into_iter().map(sign_in).collect(),
        }
    }

    /// Whether an endpoint signs in with tokens.
    pub(crate) fn signs_in(&self, endpoint: usize) -> bool {
        matches!(self.sign_ins.get(endpoint), Some(Some(_)))
    }

    /// The token for a request to an endpoint; none where there is none now, and where it needs none.
    pub(crate) fn pass(&self, endpoint: usize, now: Instant) -> Option<Pass> {
        let sign_in = self.sign_ins.get(endpoint)?.as_ref()?;
        let held = self.caches[sign_in.cache].1.token(now)?;
        sign_in.takes(held.number).then(|| Pass {
            held: held.clone(),
            cache: sign_in.cache,
        })
    }

    /// The service has refused a token with a 401.
    pub(crate) fn refused(&mut self, endpoint: usize, refusal: &Refusal<'_>, now: Instant) -> OnRefusal {
        let Some(Some(sign_in)) = self.sign_ins.get_mut(endpoint) else {
            return OnRefusal::Deployment;
        };
        let other = sign_in.other.map(|other| self.caches[other].0.scope.clone());
        let (_, cache) = &mut self.caches[sign_in.cache];
        let (follows, fetch) = sign_in.refused(refusal, cache, other.as_deref(), cache.is_young(now));
        if fetch {
            cache.want();
        }
        follows
    }

    /// The service has taken a token. True where that may let work go that waited.
    pub(crate) fn accepted(&mut self, endpoint: usize, pass: (usize, u64), operation: &Operation) -> bool {
        match self.sign_ins.get_mut(endpoint) {
            Some(Some(sign_in)) => sign_in.accepted(pass, operation),
            _ => false,
        }
    }

    /// Whether every source that is used has given a token, or said why not.
    pub(crate) fn all_have_answered(&self, now: Instant) -> bool {
        let has_answered =
            |cache: &TokenCache| cache.token(now).is_some() || (cache.error().is_some() && !cache.is_requested());
        let mut used = self.sign_ins.iter().flatten();
        used.all(|sign_in| has_answered(&self.caches[sign_in.cache].1))
    }

    /// Somebody asks for another try at an endpoint.
    pub(crate) fn request(&mut self, endpoint: usize) {
        if let Some(Some(sign_in)) = self.sign_ins.get(endpoint) {
            self.caches[sign_in.cache].1.request();
        }
    }

    /// What is to be done about a source.
    pub(crate) fn next(&self, cache: usize, now: Instant) -> Next {
        if self.is_used(cache) {
            self.caches[cache].1.next(now)
        } else {
            Next::Nothing
        }
    }

    /// When something changes though nothing happens.
    pub(crate) fn wakes_at(&self, cache: usize, now: Instant) -> Option<Instant> {
        let due = match self.next(cache, now) {
            Next::Ask => Some(now),
            Next::At(at) => Some(at),
            Next::Nothing => None,
        };
        due.into_iter().chain(self.caches[cache].1.ends(now)).min()
    }

    /// The source of a cache is being asked.
    pub(crate) fn asks(&mut self, cache: usize, now: Instant) {
        self.caches[cache].1.asks(now);
    }

    /// The source has given a token, or has not.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn came(
        &mut self,
        cache: usize,
        result: Result<AccessToken, TokenError>,
        wall: SystemTime,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Result<Option<ClockError>, TokenError> {
        let cache = &mut self.caches[cache].1;
        match result {
            Ok(token) => cache.came(&token, wall, now, rng),
            Err(error) => {
                cache.failed(error.clone(), now, rng);
                Err(error)
            }
        }
    }

    /// What has changed since it was last asked.
    pub(crate) fn news(&mut self, now: Instant) -> Vec<News> {
        let mut news = Vec::new();
        for endpoint in 0..self.sign_ins.len() {
            let Some(availability) = self.availability(endpoint, now) else {
                continue;
            };
            let (number, told) = &mut self.told[endpoint];
            if told.as_ref() != Some(&availability) {
                *number += 1;
                *told = Some(availability.clone());
                news.push(News {
                    endpoint,
                    number: *number,
                    availability,
                });
            }
        }
        news
    }

    /// Whether an endpoint can be used; none where it does not sign in with tokens.
    pub(crate) fn availability(&self, endpoint: usize, now: Instant) -> Option<Availability> {
        let sign_in = self.sign_ins.get(endpoint)?.as_ref()?;
        let (plan, cache) = &self.caches[sign_in.cache];
        if self.pass(endpoint, now).is_some() {
            return Some(Availability::SignedIn);
        }
        let source = &plan.source;
        Some(match cache.error() {
            _ if cache.is_requested() => {
                Availability::Awaited(format!("waits for a token from {source}, which is asked once more"))
            }
            Some(error) if error.is_passing() => {
                Availability::Awaited(format!("waits for a token from {source}: {error}"))
            }
            Some(error) => Availability::Lacking(format!("no token from {source}: {error}")),
            None if sign_in.refused.is_some() => Availability::Awaited(format!(
                "the service refused its token (401); waits for a new one from {source}"
            )),
            None => Availability::Awaited(format!("waits for a token from {source}")),
        })
    }

    /// The positions of the caches.
    pub(crate) fn caches(&self) -> std::ops::Range<usize> {
        0..self.caches.len()
    }

    /// What a cache holds tokens for, and where they come from.
    pub(crate) fn plan(&self, cache: usize) -> &CachePlan {
        &self.caches[cache].0
    }

    /// How a cache fares: its token, or why it has none.
    pub(crate) fn state(&self, cache: usize, now: Instant) -> (Option<&Held>, Option<&TokenError>) {
        let cache = &self.caches[cache].1;
        (cache.token(now), cache.error())
    }

    /// The endpoints that use a cache.
    pub(crate) fn users(&self, cache: usize) -> impl Iterator<Item = usize> {
        let uses = move |(endpoint, sign_in): (usize, &Option<SignIn>)| {
            sign_in
                .as_ref()
                .filter(|sign_in| sign_in.cache == cache)
                .map(|_| endpoint)
        };
        self.sign_ins.iter().enumerate().filter_map(uses)
    }

    /// Whether somebody uses a cache: the tokens of the other audience are not fetched before.
    pub(crate) fn is_used(&self, cache: usize) -> bool {
        self.users(cache).next().is_some()
    }
}
