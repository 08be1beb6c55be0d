//! Whom a failure speaks against: its endpoint, or its job.

use super::Balancer;
use super::settle::Attempt;
use crate::balance::endpoint::{Failure, FullRow, Sign};
use crate::balance::job::{Charge, JobState, Suspect};
use crate::balance::{EndpointId, Role};

/// A job whose failures have been taken back so often counts nowhere any more.
const TAKEN_BACK: usize = 2;

/// How a failure speaks against an endpoint.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    /// What was heard of it.
    pub(super) sign: Sign,
    /// Whether the job may be to blame as well.
    pub(super) is_doubt: bool,
    /// What a full row of them comes to.
    pub(super) full: FullRow<'a>,
    pub(super) reason: &'a str,
}

impl Balancer {
    /// The job has succeeded here, and so is not to blame for its failures: the endpoints are where it failed, and the others
    /// where it was answered with a 500.
    pub(super) fn blame_suspects(&mut self, attempt: &Attempt, job: &mut JobState) {
        let health = self.settings.health;
        for suspect in job.take_suspects() {
            let index = suspect.endpoint.index();
            let endpoint = &mut self.endpoints[index];
            let changed = match suspect.charge {
                Charge::Failed | Charge::Denied => endpoint.convicted(suspect.epoch, &suspect.reason, attempt.now),
                Charge::Unclear if suspect.endpoint == attempt.lease.endpoint => false,
                Charge::Unclear => {
                    let failure = Failure {
                        epoch: suspect.epoch,
                        number: suspect.number,
                        job: job.id(),
                        scout: false,
                        went_first: false,
                        silent: None,
                        sign: Sign::Answer,
                        is_doubt: false,
                        full: FullRow::Ejects,
                        reason: &suspect.reason,
                    };
                    endpoint.failed(&failure, &health, &mut self.rng, attempt.now)
                }
            };
            self.note(index, changed);
        }
    }

    /// Who has never been reached is waited for no longer after a while, unless nobody is: then it is this machine that is
    /// offline.
    pub(super) fn failed_on_the_way(&mut self, attempt: &Attempt, reason: &str) {
        let (index, now) = (attempt.index(), attempt.now);
        self.endpoints[index].reach.failed(now);
        let is_hopeless = self.endpoints[index]
            .reach
            .is_hopeless(self.settings.health.threshold, now);
        if is_hopeless && !self.is_offline() {
            let changed = self.endpoints[index].never_reached(reason, now);
            self.note(index, changed);
        }
    }

    /// Whether the job has failed at each endpoint that may serve it, now or after a rest.
    pub(super) fn has_asked_all(&self, attempt: &Attempt, job: &JobState) -> bool {
        let Attempt { lease, set, now, .. } = attempt;
        let mut members = self.sets.members(*set).iter();
        members
            .all(|&member| job.has_failed_at(member) || !self.endpoints[member.index()].serves(&lease.operation, *now))
    }

    /// Whether an endpoint other than the one that was asked may serve the same, now or after a rest.
    pub(super) fn others_serve(&self, attempt: &Attempt) -> bool {
        let Attempt { lease, set, now, .. } = attempt;
        let serves = |other: EndpointId| self.endpoints[other.index()].serves(&lease.operation, *now);
        let mut members = self.sets.members(*set).iter();
        members.any(|&other| other != lease.endpoint && serves(other))
    }

    /// Counts a failure at the endpoint and, unless it was a probe's, at the job. A probe's counts there once its endpoint
    /// has answered another job that was sent later.
    pub(super) fn count_failure(&mut self, attempt: &Attempt, job: &mut JobState, reason: &str) {
        let Attempt { lease, now, .. } = attempt;
        let endpoint = &mut self.endpoints[attempt.index()];
        endpoint.tallies.failed(reason);
        endpoint.lacks.unknown(lease, *now);
        let was_probe = lease.role == Role::Probe;
        job.note_failure(lease.endpoint, !was_probe);
        if was_probe {
            job.note_probe(lease.endpoint, lease.number);
        }
        let id = job.id();
        let is_back = |endpoint: EndpointId, number| self.endpoints[endpoint.index()].answers.any_later(number, id);
        job.count_probes(is_back);
    }

    /// Whether the endpoints at which the job failed have answered others since, so often that it is known to be to blame.
    pub(super) fn counts_nowhere(&self, job: &JobState) -> bool {
        let taken_back = job.suspects().iter().filter(|suspect| {
            let endpoint = &self.endpoints[suspect.endpoint.index()];
            suspect.charge != Charge::Unclear && endpoint.answers.any_later(suspect.number, job.id())
        });
        taken_back.count() >= TAKEN_BACK
    }

    /// The failure is the endpoint's own, as far as is known.
    pub(super) fn hold_against(&mut self, attempt: &Attempt, job: &JobState, evidence: Evidence<'_>) {
        let Attempt { lease, scout, now, .. } = attempt;
        let (index, health) = (attempt.index(), self.settings.health);
        let Evidence {
            sign,
            is_doubt,
            full,
            reason,
        } = evidence;
        if attempt.overtaken || sign != Sign::Answer && self.endpoints[index].knocked_in_vain(lease, *scout, *now) {
            return;
        }
        // Of a probe it is certain that it has found nothing.
        if is_doubt && lease.role != Role::Probe && self.counts_nowhere(job) {
            return self.learn_nothing(attempt);
        }
        let failure = Failure {
            epoch: lease.epoch,
            number: lease.number,
            job: job.id(),
            scout: *scout,
            went_first: lease.role != Role::Regular,
            silent: attempt.silent.filter(|_| self.others_serve(attempt)),
            sign,
            is_doubt,
            full,
            reason,
        };
        let changed = self.endpoints[index].failed(&failure, &health, &mut self.rng, *now);
        self.note(index, changed);
    }

    /// The attempt tells nothing about the endpoint.
    pub(super) fn learn_nothing(&mut self, attempt: &Attempt) {
        let Attempt { lease, scout, now, .. } = attempt;
        let index = attempt.index();
        let changed = self.endpoints[index].abandoned(lease, *scout, *now);
        self.note(index, changed);
    }
}

impl Attempt {
    /// A failure after the request was written may be the job's fault.
    pub(super) fn evidence<'a>(&self, sign: Sign, reason: &'a str) -> Evidence<'a> {
        Evidence {
            is_doubt: self.lease.written,
            ..Evidence::certain(sign, reason)
        }
    }

    pub(super) fn suspect(&self, charge: Charge, reason: &str) -> Suspect {
        Suspect {
            endpoint: self.lease.endpoint,
            epoch: self.lease.epoch,
            number: self.lease.number,
            charge,
            reason: reason.to_owned(),
        }
    }
}

impl<'a> Evidence<'a> {
    /// It is the endpoint's for certain.
    pub(super) fn certain(sign: Sign, reason: &'a str) -> Self {
        Evidence {
            sign,
            is_doubt: false,
            full: FullRow::Ejects,
            reason,
        }
    }
}
