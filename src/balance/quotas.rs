//! The limits of all endpoints: each has its own, a group's, both or none.

use std::time::{Duration, Instant};

use super::contradictions::Contradictions;
use super::limits::{Admission, Charge, Contradiction, Limit, LimitSnapshot, LimitSpec, Mode, Reservation, Settlement};
use super::outcome::{Axis, Throttle};
use super::tick::Tick;
use super::watched_limits::{Closing, WatchedLimits};
use super::{EndpointId, EndpointSpec, JobSize};
use crate::api::Told;
use crate::balance::limits::{Refusal, Wait};

/// The limits of all endpoints.
#[derive(Debug)]
pub(super) struct Quotas {
    /// Of endpoints and of groups.
    limits: WatchedLimits,
    /// By endpoint.
    of: Vec<Places>,
    /// What was said of those that were told and are not kept.
    contradictions: Contradictions,
}

/// Where the limits of an endpoint are among all.
#[derive(Clone, Copy, Debug)]
struct Places {
    own: Option<usize>,
    group: Option<usize>,
}

/// What is reserved for one request.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    own: Option<Reservation>,
    group: Option<Reservation>,
}

/// Whether an endpoint's limits admit a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// They do.
    Now,
    /// They do, to find something out: others come first.
    AsTest,
    /// Not before then.
    At(Instant),
}

impl Reserved {
    /// The numbers of its reservations, as far as they tell those apart that are under way together.
    pub(super) fn ticket(&self) -> u64 {
        let number =
            |reservation: &Option<Reservation>| reservation.as_ref().map_or(u32::MAX, Reservation::short_number);
        u64::from(number(&self.own)) | u64::from(number(&self.group)) << 32
    }
}

impl Quotas {
    pub(super) fn new(specs: &[EndpointSpec], groups: &[LimitSpec], start: Instant) -> Self {
        let mut limits: Vec<Limit> = groups.iter().map(|spec| Limit::new(spec, start)).collect();
        let mut users: Vec<Vec<EndpointId>> = vec![Vec::new(); groups.len()];
        let mut of = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let group = spec.group.filter(|&group| group < groups.len());
            if let Some(group) = group {
                users[group].push(EndpointId::at(index));
            }
            let own = spec.limit.map(|limit| {
                limits.push(Limit::new(&limit, start));
                users.push(vec![EndpointId::at(index)]);
                limits.len() - 1
            });
            of.push(Places { own, group });
        }
        // Nobody is asked unless a request is waiting.
        limits.iter_mut().for_each(|limit| limit.set_backlog(true));
        let contradictions = Contradictions::new(limits.len());
        let users = users.into_iter().map(Vec::into_boxed_slice).collect();
        Quotas {
            limits: WatchedLimits::new(limits, users, specs.len(), start),
            of,
            contradictions,
        }
    }

    /// What the limits of `endpoint` say to a request of this size, where they have no room and need not be asked: this is
    /// looked for at every endpoint for every decision.
    #[inline]
    pub(super) fn closed(&self, endpoint: EndpointId, size: JobSize, now: Tick) -> Option<&Closing> {
        self.limits.known(endpoint, size, now)
    }

    /// Whether the limits of `endpoint` admit a request of this size, with the charge that `charge` finds out: only where
    /// it matters.
    #[inline]
    pub(super) fn allow(
        &mut self,
        endpoint: EndpointId,
        size: JobSize,
        charge: impl FnOnce() -> Charge,
        now: Instant,
    ) -> Allowed {
        let Places { own, group } = self.of[endpoint.index()];
        if own.is_none() && group.is_none() {
            return Allowed::Now;
        }
        let ticks = self.limits.ticks();
        match self.closed(endpoint, size, ticks.tick(now)) {
            Some(closing) => Allowed::At(ticks.instant(closing.until)),
            None => self.ask(endpoint, size, &charge(), now),
        }
    }

    fn ask(&mut self, endpoint: EndpointId, size: JobSize, charge: &Charge, now: Instant) -> Allowed {
        let Places { own, group } = self.of[endpoint.index()];
        let mut allowed = Allowed::Now;
        for index in own.into_iter().chain(group) {
            allowed = match (self.limits.admits(index, charge, now), allowed) {
                (Admission::At(at), Allowed::At(later)) => Allowed::At(at.max(later)),
                (Admission::At(at), _) => Allowed::At(at),
                (Admission::Now(_), Allowed::At(at)) => Allowed::At(at),
                (Admission::Now(Mode::Test), _) => Allowed::AsTest,
                (Admission::Now(_), allowed) => allowed,
            };
        }
        if let Allowed::At(_) = allowed {
            self.limits.keep(endpoint, own.into_iter().chain(group), size, now);
        }
        allowed
    }

    /// What `endpoint` charges for requests is another from now on.
    pub(super) fn charges_change(&mut self, endpoint: EndpointId) {
        self.limits.charges_change(endpoint);
    }

    /// By limit: how many requests are under way there, and what is reserved for them.
    #[cfg(test)]
    pub(super) fn reserved(&self, now: Instant) -> Vec<(u64, f64)> {
        self.limits.iter().map(|limit| limit.snapshot(now).reserved).collect()
    }

    /// By limit: the same as these leases have it.
    #[cfg(test)]
    pub(super) fn held<'a>(&self, leases: impl Iterator<Item = &'a super::Lease>) -> Vec<(u64, f64)> {
        let mut held = vec![(0, 0.0); self.limits.iter().len()];
        for lease in leases {
            let (
                Places { own, group },
                Reserved {
                    own: of_own,
                    group: of_group,
                },
            ) = (self.of[lease.endpoint().index()], &lease.reserved);
            for (place, reservation) in [(own, of_own), (group, of_group)] {
                assert_eq!(place.is_some(), reservation.is_some(), "each limit has its reservation");
                if let (Some(index), Some(reservation)) = (place, reservation) {
                    held[index].0 += 1;
                    held[index].1 += reservation.charge().tokens;
                }
            }
        }
        held
    }

    /// The next answer of each limit is found out afresh.
    #[cfg(test)]
    pub(super) fn forget_answers(&mut self) {
        self.limits.forget_answers();
    }

    /// Whether nothing whatever may go now by the service's word, or by the pace of requests.
    pub(super) fn is_gated(&self, endpoint: EndpointId, now: Instant) -> bool {
        let Places { own, group } = self.of[endpoint.index()];
        own.into_iter()
            .chain(group)
            .any(|index| self.limits[index].is_gated(now))
    }

    /// Whether the endpoint's quota is believed to be counted in windows.
    #[inline]
    pub(super) fn is_in_windows(&self, endpoint: EndpointId) -> bool {
        let Places { own, group } = self.of[endpoint.index()];
        own.or(group).is_some_and(|index| self.limits[index].is_in_windows())
    }

    /// Tokens that fit into what is left of the present window at `endpoint`, or when that is to be asked again, where
    /// nothing may go before; none where that is not how it counts.
    pub(super) fn room(&mut self, endpoint: EndpointId, now: Instant) -> Option<Result<f64, Instant>> {
        let Places { own, group } = self.of[endpoint.index()];
        let mut rooms = own.into_iter().chain(group).map(|index| self.limits.room(index, now));
        let first = rooms.next()??;
        rooms.try_fold(first, |least, room| {
            Some(match (least, room?) {
                (Ok(least), Ok(room)) => Ok(least.min(room)),
                (Err(at), Err(later)) => Err(at.max(later)),
                (Err(at), _) | (_, Err(at)) => Err(at),
            })
        })
    }

    /// When more fits than is [left](Quotas::room) of the present window at `endpoint`, at the earliest.
    pub(super) fn turns_at(&self, endpoint: EndpointId) -> Option<Instant> {
        let Places { own, group } = self.of[endpoint.index()];
        let limits = own.into_iter().chain(group);
        limits.filter_map(|index| self.limits[index].turns_at()).min()
    }

    /// Charges a request that goes to `endpoint` now.
    pub(super) fn reserve(&mut self, endpoint: EndpointId, charge: &Charge, now: Instant) -> Reserved {
        let Places { own, group } = self.of[endpoint.index()];
        let mut reserve = |index: usize| {
            let limit = &mut self.limits[index];
            let mode = match limit.admits(charge, now) {
                Admission::Now(mode) => mode,
                // It goes for another reason, as a probe does, and teaches what it meets.
                Admission::At(_) => Mode::Trial,
            };
            limit.reserve(charge, mode, now)
        };
        Reserved {
            own: own.map(&mut reserve),
            group: group.map(reserve),
        }
    }

    /// A new connection is being made for the request with this ticket: until it stands, silence tells nothing.
    pub(super) fn connecting(&mut self, endpoint: EndpointId, ticket: u64) {
        self.by_ticket(endpoint, ticket, Limit::dialing);
    }

    /// The connection stands, and the request has been written.
    pub(super) fn connected(&mut self, endpoint: EndpointId, ticket: u64, took: Duration, now: Instant) {
        self.by_ticket(endpoint, ticket, |limit, number| {
            limit.connected(took);
            limit.written(number, now);
        });
    }

    fn by_ticket(&mut self, endpoint: EndpointId, ticket: u64, mut tell: impl FnMut(&mut Limit, u32)) {
        let Places { own, group } = self.of[endpoint.index()];
        for (place, number) in [(own, ticket as u32), (group, (ticket >> 32) as u32)] {
            if let Some(index) = place {
                tell(&mut self.limits[index], number);
            }
        }
    }

    /// The request has been admitted. True where others may go now that waited for that.
    pub(super) fn confirm(&mut self, endpoint: EndpointId, reserved: &Reserved, now: Instant) -> bool {
        let Places { own, group } = self.of[endpoint.index()];
        let mut others_may_go = false;
        for (place, reservation) in [(own, &reserved.own), (group, &reserved.group)] {
            if let (Some(index), Some(reservation)) = (place, reservation) {
                others_may_go |= self.limits[index].confirm(reservation, now);
            }
        }
        others_may_go
    }

    /// Whether a request that is not allowed now may be so at any time, by what the next head tells.
    pub(super) fn awaits_confirmation(&self, endpoint: EndpointId) -> bool {
        let Places { own, group } = self.of[endpoint.index()];
        let mut limits = own.into_iter().chain(group);
        limits.any(|index| self.limits[index].awaits_confirmation())
    }

    /// Whether one of its limits wants a test.
    pub(super) fn is_test_due(&self, endpoint: EndpointId) -> bool {
        let Places { own, group } = self.of[endpoint.index()];
        let mut limits = own.into_iter().chain(group);
        limits.any(|index| self.limits[index].is_test_due())
    }

    /// When a request that is allowed as a test could go as another one, at the earliest.
    pub(super) fn is_no_test_at(&self, endpoint: EndpointId, charge: &Charge, now: Instant) -> Option<Instant> {
        let Places { own, group } = self.of[endpoint.index()];
        let limits = own.into_iter().chain(group).map(|index| &self.limits[index]);
        let testing = limits.filter(|limit| limit.is_test_due());
        testing.map(|limit| limit.is_no_test_at(charge, now)).max()
    }

    /// A reply's figures: they are the deployment's own, where it has a limit of its own, else its group's. True where a
    /// limit is another now.
    pub(super) fn told(&mut self, endpoint: EndpointId, told: &Told, now: Instant) -> bool {
        let Places { own, group } = self.of[endpoint.index()];
        own.or(group).is_some_and(|index| self.limits[index].told(told, now))
    }

    /// Whether a request that was sent there between the two instants is known by now to have been admitted.
    pub(super) fn has_admitted(&mut self, endpoint: EndpointId, after: Instant, before: Instant, now: Instant) -> bool {
        let Places { own, group } = self.of[endpoint.index()];
        own.or(group)
            .is_some_and(|index| self.limits[index].has_admitted(after, before, now))
    }

    /// The request has ended, and was not refused for want of quota.
    pub(super) fn settle(&mut self, endpoint: EndpointId, reserved: Reserved, end: Settlement, now: Instant) {
        let Places { own, group } = self.of[endpoint.index()];
        for (place, reservation) in [(own, reserved.own), (group, reserved.group)] {
            if let (Some(index), Some(reservation)) = (place, reservation) {
                let _ = self.limits[index].settle(reservation, end, now);
            }
        }
    }

    /// The request has been refused; nothing is sent before `until`. Where nothing else of ours was charged there, and it
    /// is larger than what is believed to be granted in a window, that quota.
    ///
    /// What is exhausted is taken to be the group's, where there is one: its members' own limits are only narrower.
    pub(super) fn refuse(
        &mut self,
        endpoint: EndpointId,
        reserved: Reserved,
        throttle: &Throttle,
        told: &Told,
        until: Instant,
        now: Instant,
    ) -> Option<u64> {
        let Places { own, group } = self.of[endpoint.index()];
        let refusal = Refusal {
            axis: throttle.axis,
            wait: match throttle.wait {
                Some(wait) => Wait::Told(wait),
                None => Wait::Own(until.saturating_duration_since(now)),
            },
            remaining_tokens: told.remaining_tokens,
            remaining_requests: told.remaining_requests,
        };
        let rest = Refusal {
            axis: Axis::Capacity,
            ..refusal
        };
        let of_own = if group.is_some() { rest } else { refusal };
        let mut exceeds = None;
        for (place, reservation, refusal) in [(own, reserved.own, of_own), (group, reserved.group, refusal)] {
            if let (Some(index), Some(reservation)) = (place, reservation) {
                let settled = self.limits[index].settle(reservation, Settlement::Refused(refusal), now);
                exceeds = exceeds.or(settled.exceeds);
            }
        }
        exceeds
    }

    /// The service has named a wait that nobody keeps: the endpoint is asked again at `until`, and so are all of its group.
    pub(super) fn block_at_most(&mut self, endpoint: EndpointId, until: Instant, now: Instant) {
        let Places { own, group } = self.of[endpoint.index()];
        for index in own.into_iter().chain(group) {
            self.limits[index].block_at_most(until, now);
        }
    }

    /// What refusals have taught of the endpoint's limits is forgotten.
    pub(super) fn begin_anew(&mut self, endpoint: EndpointId, now: Instant) {
        let Places { own, group } = self.of[endpoint.index()];
        for index in own.into_iter().chain(group) {
            self.limits[index].begin_anew(now);
        }
    }

    /// Use of the present minute's quota, of the limit that is used most; none where none is known.
    pub(super) fn used_share(&self, endpoint: EndpointId, now: Instant) -> Option<f64> {
        let Places { own, group } = self.of[endpoint.index()];
        let shares = own
            .into_iter()
            .chain(group)
            .filter_map(|index| self.limits[index].used_share(now));
        shares.max_by(f64::total_cmp)
    }

    /// What is news about a limit of `endpoint` that was told and is not kept; with it, whether it is the group's.
    pub(super) fn contradicted(&mut self, endpoint: EndpointId) -> Option<(bool, Contradiction)> {
        let Places { own, group } = self.of[endpoint.index()];
        let mut news = |place: Option<usize>| {
            let index = place?;
            let stands = self.limits[index].contradiction();
            self.contradictions.news(index, stands)
        };
        let (own, group) = (news(own), news(group));
        group.map(|limit| (true, limit)).or(own.map(|limit| (false, limit)))
    }

    /// How many of a hundred requests one of its limits refuses whatever is sent, where that is news.
    pub(super) fn noise_news(&mut self, endpoint: EndpointId) -> Option<u32> {
        let Places { own, group } = self.of[endpoint.index()];
        let mut news = |place: Option<usize>| {
            let index = place?;
            let percent = self.limits[index].noise_news()?;
            self.limits[index].noise_told(percent);
            Some(percent)
        };
        news(own).max(news(group))
    }

    /// Requests a second that are admitted at `endpoint` for as long as work lasts, each charged so many tokens: by its own
    /// limit, and by its group's, with the group's position.
    pub(super) fn pace(&self, endpoint: EndpointId, charge: f64) -> (f64, Option<(usize, f64)>) {
        let Places { own, group } = self.of[endpoint.index()];
        let pace = |index: usize| self.limits[index].pace(charge);
        (own.map_or(f64::INFINITY, pace), group.map(|index| (index, pace(index))))
    }

    /// How the endpoint's own limit stands, and its group's.
    pub(super) fn snapshots(&self, endpoint: EndpointId, now: Instant) -> [Option<LimitSnapshot>; 2] {
        let Places { own, group } = self.of[endpoint.index()];
        [own, group].map(|place| place.map(|index| self.limits[index].snapshot(now)))
    }

    /// Forgets what endpoints said that had no room, so that each is asked.
    #[cfg(test)]
    pub(super) fn forget(&mut self) {
        self.limits.forget();
    }
}
