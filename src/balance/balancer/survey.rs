//! What the endpoints of a set say to a job.

use std::time::Instant;

use super::Balancer;
use super::pick::Need;
use super::probing::Slowest;
use crate::balance::endpoint::Readiness;
use crate::balance::grade::{Grade, Record};
use crate::balance::quotas::Allowed;
use crate::balance::tick::{Tick, Ticks};
use crate::balance::watched_endpoints::AtEase;
use crate::balance::{EndpointId, JobState, Role};

/// What the endpoints of a set say to a job.
pub(super) struct Survey {
    /// A probe of it is due.
    pub(super) probe: Option<EndpointId>,
    /// A probe of it is due, and the job's time would end with the probe's, or the job has lost time by such endpoints.
    pub(super) hurried: Option<EndpointId>,
    /// A probe of it is due, and the job has had a 500 there: another one finds out better, for this one may be at
    /// fault itself.
    pub(super) reluctant: Option<EndpointId>,
    /// The best place of those that are ready.
    pub(super) best: Grade,
    /// Until when somebody is at work, if perhaps busy, should nothing be heard.
    at_work_until: Tick,
    /// Whether everybody is ejected or disabled.
    pub(super) all_out: bool,
    /// Who has fallen silent and has room, with the fewest requests under way: to be given the job where nobody is at work.
    silent: Option<(EndpointId, u32)>,
    /// When the first of the others that have fallen silent, or may before they are ready, has room.
    silent_at: Option<Instant>,
    /// Whether something under way may let it go sooner than `earliest`; found out only where that is after its time.
    pub(super) settles: bool,
    /// Whether somebody who is not ready is expected to be.
    pub(super) hope: bool,
    /// When the first of them is, as far as that is known.
    pub(super) earliest: Option<Instant>,
    /// Whether it may go later where it has not failed.
    pub(super) elsewhere: bool,
}

impl Default for Survey {
    fn default() -> Self {
        Survey {
            probe: None,
            hurried: None,
            reluctant: None,
            best: Grade::AWAY,
            at_work_until: Tick::START,
            all_out: true,
            silent: None,
            silent_at: None,
            settles: false,
            hope: false,
            earliest: None,
            elsewhere: false,
        }
    }
}

impl Survey {
    #[inline]
    fn add(&mut self, member: EndpointId, readiness: Readiness, job: &JobState, spares: impl FnOnce() -> bool) {
        match readiness {
            Readiness::Now(Role::Probe) if job.suspects_endpoint(member) => {
                self.reluctant = self.reluctant.or(Some(member));
            }
            Readiness::Now(Role::Probe) if self.probe.is_some() => {}
            Readiness::Now(Role::Probe) if spares() => self.hurried = self.hurried.or(Some(member)),
            Readiness::Now(Role::Probe) => self.probe = Some(member),
            Readiness::Now(Role::Regular | Role::Trial) => {}
            Readiness::At(at) => self.waits(at, !job.has_failed_at(member)),
            Readiness::OnSettle => {
                self.hope = true;
                self.settles = true;
                self.elsewhere |= !job.has_failed_at(member);
            }
            Readiness::Refuses(at) => self.earliest = sooner(self.earliest, at),
        }
    }

    /// Who is to be given the job though silent, as nobody is at work.
    pub(super) fn last_resort(&self, now: Tick) -> Option<EndpointId> {
        let (endpoint, _) = self.silent.filter(|_| self.at_work_until <= now)?;
        Some(endpoint)
    }

    /// Time alone may give the job to one that is silent: when it has room, and nobody is at work any more.
    fn name_the_turn_of_the_silent(&mut self, ticks: Ticks, now: Tick) {
        let is_at_work = now < self.at_work_until;
        let fits_at = if is_at_work { None } else { self.silent_at };
        let is_due = is_at_work && self.at_work_until != Tick::NEVER;
        let turns_at = is_due.then(|| ticks.instant(self.at_work_until));
        if self.silent.is_some() || self.silent_at.is_some() {
            self.earliest = sooner(self.earliest, sooner(fits_at, turns_at));
        }
    }

    /// Somebody, where the job has not failed if `elsewhere`, is not ready before this instant.
    fn waits(&mut self, at: Instant, elsewhere: bool) {
        self.hope = true;
        self.earliest = sooner(self.earliest, Some(at));
        self.elsewhere |= elsewhere;
    }
}

impl Balancer {
    /// Asks each endpoint of the set whether it is ready and its quota has room, lets cooldowns end that are over, and
    /// notes in `grades` how good a place each is.
    pub(super) fn survey(&mut self, need: &Need<'_>, now: Instant) -> Survey {
        let mut found = Survey::default();
        self.grades.clear();
        self.has_gaps = false;
        // Whose time is over before anybody has room is told so, unless it may turn out otherwise.
        let is_late = |at: Instant| need.deadline.is_some_and(|deadline| deadline < at);
        let (ticks, tick) = (self.ticks, self.ticks.tick(now));
        let deadline = need.deadline.map_or(Tick::NEVER, |deadline| ticks.tick(deadline));
        let is_untried = need.job.is_untried();
        let mut earliest = Tick::NEVER;
        let slowest = Slowest::default();
        for seat in 0..self.sets.members(need.set).len() {
            let member = self.sets.members(need.set)[seat];
            let index = member.index();
            let at_ease = self.endpoints.known_at_ease(index, tick);
            // The usual case while jobs wait for quota, found out without the rest: this loop is most of what the
            // engine's lock is held for.
            if let Some(AtEase { silent_at, knocks_at }) = at_ease
                && is_untried
                && let Some(closing) = self.quotas.closed(member, need.size, tick)
                && closing.until <= deadline
            {
                earliest = earliest.min(closing.until).min(knocks_at);
                found.at_work_until = found.at_work_until.max(silent_at);
                found.all_out = false;
                self.has_gaps |= closing.is_in_windows;
                self.tiers.found_full(member, now);
                self.grades.push(Grade::AWAY);
                continue;
            }
            let mut readiness = if at_ease.is_some() {
                Readiness::Now(Role::Regular)
            } else {
                let said = self.endpoints.say(index, need.operation, now);
                if said.is_news {
                    let change = self.endpoints[index].change(&self.specs[index].name);
                    self.changes.push(change);
                }
                found.settles |= said.may_go_on;
                said.readiness
            };
            let waits_not_for_quota = matches!(readiness, Readiness::At(_));
            let mut grade = Grade::AWAY;
            if let Readiness::Now(Role::Regular | Role::Trial) = readiness {
                let allowed = self.allows(member, need, now);
                if let Allowed::At(mut at) = allowed {
                    // Whoever falls silent meanwhile is asked whether it is there, quota or no quota.
                    let knocks_at = self.endpoints.knock_at(index);
                    at = knocks_at.map_or(at, |knock| knock.min(at));
                    self.tiers.found_full(member, now);
                    found.settles |= is_late(at) && self.may_let_go_sooner(member, now);
                    readiness = Readiness::At(at);
                } else {
                    grade = self.tiers.standing(member, now).with(need.job.record_at(member));
                    if allowed == Allowed::AsTest {
                        grade = grade.as_test();
                    }
                }
            }
            if let Readiness::At(at) = readiness {
                found.settles |= is_late(at) && self.endpoints[index].rests_by_hand(now);
            }
            if readiness == Readiness::OnSettle {
                // Should it fall silent, one asks it though it has no place left.
                found.earliest = sooner(found.earliest, self.endpoints.knock_at(index));
            }
            self.grades.push(grade);
            found.best = found.best.min(grade);
            let endpoint = &self.endpoints[index];
            found.all_out = found.all_out && endpoint.is_out();
            if endpoint.serves(need.operation, now) {
                let until = endpoint.is_at_work(now).then(|| endpoint.silent_at());
                let until = until.map(|at| at.map_or(Tick::NEVER, |at| ticks.tick(at)));
                found.at_work_until = found.at_work_until.max(until.unwrap_or(Tick::START));
                let in_flight = endpoint.in_flight();
                // Who has failed there waits for another one, or asks whether it is there.
                let is_clean = need.job.record_at(member) == Record::Clean;
                let cap = self.endpoints.cap(index);
                let worth_a_try_at = endpoint.worth_a_try_at(cap).filter(|_| is_clean);
                if is_clean && endpoint.is_worth_a_try(cap, now) {
                    match self.allowed(member, need, now) {
                        Allowed::Now if found.silent.is_none_or(|(_, least)| least > in_flight) => {
                            found.silent = Some((member, in_flight));
                        }
                        Allowed::Now => {}
                        // A silence would confirm a test, and confirms nothing here.
                        Allowed::AsTest => {
                            let charge = self.estimators[index].charge(&need.size);
                            let at = self.quotas.is_no_test_at(member, &charge, now);
                            found.silent_at = sooner(found.silent_at, at);
                        }
                        Allowed::At(at) => found.silent_at = sooner(found.silent_at, Some(at)),
                    }
                } else if waits_not_for_quota {
                    found.silent_at = sooner(found.silent_at, worth_a_try_at);
                }
            }
            // Who has lost time with it, or with another one that is out, has done its part.
            let spares = || {
                let job = need.job;
                let is_doubtful = self.endpoints[member.index()].is_doubtful(now);
                is_doubtful
                    || job.has_probed()
                    || job.has_failed_at(member)
                    || self.is_hasty(member, need, &slowest, now)
            };
            found.add(member, readiness, need.job, spares);
        }
        if earliest < Tick::NEVER {
            found.waits(ticks.instant(earliest), true);
        }
        self.outages.looked(need.set, found.all_out, now);
        found.name_the_turn_of_the_silent(ticks, tick);
        found
    }

    /// Whether an endpoint that is ready is to be given the job by its quota. Where that has no room, it is noted whether
    /// it counts in windows.
    #[inline]
    fn allows(&mut self, member: EndpointId, need: &Need<'_>, now: Instant) -> Allowed {
        let charge = || self.estimators[member.index()].charge(&need.size);
        let allowed = self.quotas.allow(member, need.size, charge, now);
        self.has_gaps |= matches!(allowed, Allowed::At(_)) && self.quotas.is_in_windows(member);
        allowed
    }

    /// Whether an endpoint whose quota has no room may have some sooner than it says. The service's word is certain, and
    /// so is the pace of requests. What is under way may give room back, or be confirmed.
    fn may_let_go_sooner(&self, member: EndpointId, now: Instant) -> bool {
        let index = member.index();
        self.specs[index].is_provisioned()
            || self.quotas.awaits_confirmation(member)
            || self.endpoints[index].in_flight() > 0 && !self.quotas.is_gated(member, now)
    }
}

/// The earlier of two instants, of which none is never.
fn sooner(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
