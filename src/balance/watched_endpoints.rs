//! All endpoints, and what each says to whatever request comes.
//!
//! Every decision asks every endpoint of a set whether it is ready, and most have nothing to think about: they take any
//! request, are full, or rest. Such a [`Word`] is kept in a row beside the others, so that asking hundreds of endpoints
//! reads a few kilobytes and not all of their books.
//!
//! **Invariant:** a word that is kept is what its endpoint would say now, and saying it would change nothing there. Whoever
//! changes an endpoint gets it by [`IndexMut`], and that forgets its word; a change of the places forgets all of them; and
//! what time alone changes is kept with the word.

use std::ops::{Index, IndexMut};
use std::time::Instant;

use super::endpoint::{Endpoint, Readiness, Word};
use super::tick::{Tick, Ticks};
use super::{EndpointSpec, Strategy, shares};
use crate::api::Operation;

/// The endpoints by their positions, and their places.
#[derive(Debug)]
pub(super) struct WatchedEndpoints {
    endpoints: Vec<Endpoint>,
    /// Which are known to be at ease: what most say, in the least room.
    at_ease: Vec<AtEase>,
    /// The word of each, where it has one, and when it holds no more.
    words: Vec<Option<(Word, Tick)>>,
    /// Which of them may be choosy: those that were when they were asked, or have changed since.
    may_be_choosy: Vec<bool>,
    ticks: Ticks,
    /// Most requests under way at each, as those that are not out share the workers.
    caps: Vec<u32>,
    /// Which of them share the workers.
    share: Vec<bool>,
}

/// That an endpoint takes any request.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtEase {
    /// Until it is silent, should nothing be heard from it.
    pub(super) silent_at: Tick,
    /// When one request finds out whether it is there, should nothing be heard from it until then.
    pub(super) knocks_at: Tick,
}

impl AtEase {
    /// It is not known to.
    const NOT: AtEase = AtEase {
        silent_at: Tick::START,
        knocks_at: Tick::NEVER,
    };
}

/// What an endpoint has said to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) readiness: Readiness,
    /// Its condition has changed since it was asked last.
    pub(super) is_news: bool,
    /// Something under way may let requests go sooner than it says.
    pub(super) may_go_on: bool,
}

impl WatchedEndpoints {
    /// All of `specs`, with no places yet.
    pub(super) fn new(specs: &[EndpointSpec], start: Instant) -> Self {
        let endpoint = |spec: &EndpointSpec| Endpoint::new(spec.unavailable.clone(), spec.max_in_flight.is_none());
        let endpoints = specs.iter().map(endpoint);
        WatchedEndpoints {
            endpoints: endpoints.collect(),
            at_ease: vec![AtEase::NOT; specs.len()],
            words: vec![None; specs.len()],
            may_be_choosy: vec![true; specs.len()],
            ticks: Ticks::new(start),
            caps: vec![0; specs.len()],
            share: vec![false; specs.len()],
        }
    }

    /// Divides the workers among those that are not out.
    pub(super) fn share_workers(&mut self, specs: &[EndpointSpec], strategy: Strategy, workers: u32) {
        self.share.clear();
        self.share
            .extend(self.endpoints.iter().map(|endpoint| !endpoint.is_out()));
        shares::caps(specs, strategy, workers, |index| self.share[index], &mut self.caps);
        self.forget();
    }

    /// Whether an endpoint that has changed shares the workers and should not, or the other way round.
    pub(super) fn is_to_share_anew(&self, index: usize) -> bool {
        self.share[index] == self.endpoints[index].is_out()
    }

    /// Most requests under way at an endpoint.
    pub(super) fn cap(&self, index: usize) -> u32 {
        self.caps[index]
    }

    /// Whether an endpoint is known to take any request.
    #[inline]
    pub(super) fn known_at_ease(&self, index: usize, now: Tick) -> Option<AtEase> {
        Some(self.at_ease[index]).filter(|at_ease| now < at_ease.silent_at)
    }

    /// What an endpoint says to a request: by its word, or else when asked, once a cooldown that is over has ended.
    pub(super) fn say(&mut self, index: usize, operation: &Operation, now: Instant) -> Said {
        if let Some((word, before)) = self.words[index]
            && self.ticks.tick(now) < before
        {
            return Said {
                readiness: word.readiness(),
                is_news: false,
                may_go_on: false,
            };
        }
        let (endpoint, cap) = (&mut self.endpoints[index], self.caps[index]);
        let is_news = endpoint.refresh(cap, now);
        let said = Said {
            readiness: endpoint.readiness(operation, cap, now),
            is_news,
            may_go_on: endpoint.may_go_on(now),
        };
        let word = endpoint.word(cap, now);
        self.keep(index, word);
        said
    }

    fn keep(&mut self, index: usize, word: Option<Word>) {
        let before = |word: Word| word.ends().map_or(Tick::NEVER, |at| self.ticks.tick(at));
        self.words[index] = word.map(|word| (word, before(word)));
        self.at_ease[index] = match self.words[index] {
            Some((Word::AtEase { .. }, silent_at)) => AtEase {
                silent_at,
                knocks_at: self.knock_at(index).map_or(Tick::NEVER, |at| self.ticks.tick(at)),
            },
            _ => AtEase::NOT,
        };
    }

    /// Whether there is a request that some endpoint would turn away.
    pub(super) fn any_choosy(&mut self) -> bool {
        let WatchedEndpoints {
            endpoints,
            may_be_choosy,
            ..
        } = self;
        may_be_choosy.iter_mut().zip(endpoints).any(|(may_be, endpoint)| {
            *may_be = *may_be && endpoint.is_choosy();
            *may_be
        })
    }

    /// Whether any request can go there now, as a regular one.
    pub(super) fn is_at_ease(&self, index: usize, now: Instant) -> bool {
        matches!(
            self.endpoints[index].word(self.caps[index], now),
            Some(Word::AtEase { .. })
        )
    }

    /// When one request finds out whether an endpoint is there, should nothing be heard from it until then.
    pub(super) fn knock_at(&self, index: usize) -> Option<Instant> {
        self.endpoints[index].knock_at(self.caps[index])
    }

    /// What an endpoint says to a request; to be asked where no cooldown that is over waits for its end.
    pub(super) fn readiness(&self, index: usize, operation: &Operation, now: Instant) -> Readiness {
        self.endpoints[index].readiness(operation, self.caps[index], now)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter()
    }

    /// Forgets every word, so that each endpoint is asked.
    pub(super) fn forget(&mut self) {
        (0..self.words.len()).for_each(|index| self.keep(index, None));
    }
}

impl Index<usize> for WatchedEndpoints {
    type Output = Endpoint;

    fn index(&self, index: usize) -> &Endpoint {
        &self.endpoints[index]
    }
}

impl IndexMut<usize> for WatchedEndpoints {
    fn index_mut(&mut self, index: usize) -> &mut Endpoint {
        self.keep(index, None);
        self.may_be_choosy[index] = true;
        &mut self.endpoints[index]
    }
}
