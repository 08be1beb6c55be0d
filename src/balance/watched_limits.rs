//! All limits, and what they said last to those that had to wait.
//!
//! Every decision asks every endpoint of a set whether its quota has room, and while jobs wait for quota nearly all say
//! "not before then". Such a [`Closing`] is kept in a row beside the others, with the size of the job that was asked for,
//! so that asking hundreds of endpoints again reads a few kilobytes and not all of their books, and nobody's charge is
//! estimated in vain.
//!
//! **Invariant:** a closing that is kept is what the endpoint's limits would say now to every job that is no smaller, and
//! saying it would change nothing in them. It is kept only where each of the limits that say "not now", and no other is
//! there, remembers that itself ([`Limit::closed`]). Whoever changes a limit gets it by [`IndexMut`], and that forgets what
//! its endpoints said; who changes what jobs are charged says so by [`WatchedLimits::charges_change`]; and what time alone
//! changes is kept with the closing.

use std::ops::{Index, IndexMut};
use std::time::Instant;

use super::limits::{Admission, Charge, Limit};
use super::tick::{Tick, Ticks};
use super::{EndpointId, JobSize};

/// The limits by their positions.
#[derive(Debug)]
pub(super) struct WatchedLimits {
    limits: Vec<Limit>,
    /// By limit: whose it is.
    users: Vec<Box<[EndpointId]>>,
    /// By endpoint: what its limits have said, for as long as they say so.
    closings: Vec<Closing>,
    ticks: Ticks,
}

/// That an endpoint's quota has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closing {
    /// When to ask again.
    pub(super) until: Tick,
    /// From here on it must be asked anew.
    before: Tick,
    /// The job for which it holds, and for every one that is no smaller.
    size: JobSize,
    /// Whether the quota is believed to be counted in windows, what is left of which may have room for another job.
    pub(super) is_in_windows: bool,
}

impl Closing {
    /// Nothing is known.
    const NONE: Closing = Closing {
        until: Tick::START,
        before: Tick::START,
        size: JobSize::LEAST,
        is_in_windows: false,
    };

    #[inline]
    fn holds(&self, size: JobSize, now: Tick) -> bool {
        now < self.before && size.is_no_smaller(self.size)
    }
}

impl WatchedLimits {
    /// `users` are the endpoints that draw from each of `limits`; there are `endpoints` in all.
    pub(super) fn new(limits: Vec<Limit>, users: Vec<Box<[EndpointId]>>, endpoints: usize, start: Instant) -> Self {
        WatchedLimits {
            limits,
            users,
            closings: vec![Closing::NONE; endpoints],
            ticks: Ticks::new(start),
        }
    }

    /// What the limits of an endpoint say to a job of this size, where they have no room and need not be asked.
    #[inline]
    pub(super) fn known(&self, endpoint: EndpointId, size: JobSize, now: Tick) -> Option<&Closing> {
        Some(&self.closings[endpoint.index()]).filter(|closing| closing.holds(size, now))
    }

    /// What translates the ticks of closings.
    pub(super) fn ticks(&self) -> Ticks {
        self.ticks
    }

    /// Asks a limit.
    pub(super) fn admits(&mut self, index: usize, charge: &Charge, now: Instant) -> Admission {
        // What it remembers itself is no change.
        match self.limits[index].closed(now).filter(|closed| closed.is_for(charge)) {
            Some(closed) => Admission::At(closed.until()),
            None => self[index].admits(charge, now),
        }
    }

    /// Tokens that fit into what is left of a limit's window, or when to ask again.
    pub(super) fn room(&mut self, index: usize, now: Instant) -> Option<Result<f64, Instant>> {
        let limit = &self.limits[index];
        if limit.closed(now).is_some() {
            limit.room_as_known(now)
        } else {
            self[index].room(now)
        }
    }

    /// Keeps what the limits of an endpoint, those at `places`, have said when asked about a job of this size.
    pub(super) fn keep(
        &mut self,
        endpoint: EndpointId,
        places: impl Iterator<Item = usize>,
        size: JobSize,
        now: Instant,
    ) {
        self.closings[endpoint.index()] = self.closing(places, size, now).unwrap_or(Closing::NONE);
    }

    fn closing(&self, places: impl Iterator<Item = usize>, size: JobSize, now: Instant) -> Option<Closing> {
        let mut closing: Option<Closing> = None;
        for index in places {
            let limit = &self.limits[index];
            let closed = limit.closed(now)?;
            let (until, before) = (self.ticks.exact(closed.until())?, self.ticks.tick(closed.valid()));
            let first = closing.get_or_insert(Closing {
                until,
                before,
                size: JobSize::LEAST,
                is_in_windows: limit.is_in_windows(),
            });
            first.until = first.until.max(until);
            first.before = first.before.min(before);
            if !closed.is_for_every() {
                first.size = size;
            }
        }
        closing
    }

    /// What an endpoint charges for jobs is another from now on.
    pub(super) fn charges_change(&mut self, endpoint: EndpointId) {
        self.closings[endpoint.index()] = Closing::NONE;
    }

    /// Forgets every closing, so that each limit is asked.
    #[cfg(test)]
    pub(super) fn forget(&mut self) {
        self.closings.fill(Closing::NONE);
    }

    /// The same, and the next answer of each limit is found out afresh.
    #[cfg(test)]
    pub(super) fn forget_answers(&mut self) {
        self.limits.iter_mut().for_each(Limit::forget_answer);
        self.forget();
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Limit> {
        self.limits.iter()
    }
}

impl Index<usize> for WatchedLimits {
    type Output = Limit;

    fn index(&self, index: usize) -> &Limit {
        &self.limits[index]
    }
}

impl IndexMut<usize> for WatchedLimits {
    fn index_mut(&mut self, index: usize) -> &mut Limit {
        for user in &self.users[index] {
            self.closings[user.index()] = Closing::NONE;
        }
        &mut self.limits[index]
    }
}
