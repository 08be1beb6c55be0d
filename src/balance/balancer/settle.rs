//! What is concluded from an attempt that is over, about the endpoint and about the job.

use std::mem;
use std::time::Instant;

use super::Balancer;
use super::blame::Evidence;
use crate::api::Condition;
use crate::balance::endpoint::{DISABLED_PROBE, FullRow, Missing, Part, Sign};
use crate::balance::job::{Charge, JobState, Suspect};
use crate::balance::limits::Settlement;
use crate::balance::outcome::{Blame, Outcome, Scope, Throttle};
use crate::balance::quotas::Reserved;
use crate::balance::set::SetId;
use crate::balance::verdict::{GiveUp, Verdict, after_failure, after_unclear};
use crate::balance::{EndpointId, Lease, Remark, Role, backoff};

/// Times that a deployment refuses a job alone before it is taken to be too large for it.
const TOO_LARGE: usize = 2;

/// An attempt that is over, whatever it came to.
pub(super) struct Attempt {
    pub(super) lease: Lease,
    /// Whether it went first, and the others wait for what it found out.
    pub(super) scout: bool,
    /// It went first, and another has found out meanwhile.
    pub(super) overtaken: bool,
    /// Where its endpoint was silent: when that is asked next whether it is there.
    pub(super) silent: Option<Instant>,
    /// Who may serve the same.
    pub(super) set: SetId,
    /// When it was over.
    pub(super) now: Instant,
}

impl Balancer {
    /// Takes a lease back with what came of it, and says what becomes of the job.
    pub fn settle(
        &mut self,
        mut lease: Lease,
        job: &mut JobState,
        need: SetId,
        outcome: &Outcome,
        now: Instant,
    ) -> Verdict {
        let (part, silent) = self.endpoints[lease.endpoint.index()].back(&lease, outcome.is_answer(), now);
        let reserved = mem::take(&mut lease.reserved);
        let attempt = &Attempt {
            lease,
            scout: part == Part::Leads,
            overtaken: part == Part::Overtaken,
            silent,
            set: need,
            now,
        };
        let verdict = match outcome {
            Outcome::Success(_) => self.succeeded(attempt, job),
            Outcome::Throttled(throttle) => self.throttled(attempt, throttle),
            Outcome::Refused { own, reason } => self.refused(attempt, job, *own, reason),
            Outcome::Abandoned => self.abandoned(attempt),
            Outcome::Unsigned { reason } => self.unsigned(attempt, reason),
            Outcome::OutOfTime { silent } => self.out_of_time(attempt, job, *silent),
            Outcome::Unusable { scope, reason } => self.unusable(attempt, job, *scope, reason, true),
            Outcome::Failed { blame, reason } => match blame {
                Blame::Nobody => self.nobodys_fault(attempt),
                Blame::Here => self.lacked_here(attempt, job),
                Blame::Endpoint => self.endpoints_fault(attempt, job, attempt.evidence(Sign::Nothing, reason)),
                Blame::Cut => self.endpoints_fault(attempt, job, attempt.evidence(Sign::Cut, reason)),
                Blame::ServerError => self.endpoints_fault(attempt, job, attempt.evidence(Sign::Answer, reason)),
                Blame::Denied { lasts } => self.denied(attempt, job, *lasts, reason),
                Blame::Unclear => self.unclear(attempt, job, Charge::Unclear, FullRow::Ejects, reason),
            },
        };
        match self.settle_quota(attempt, reserved, outcome) {
            Some(quota) => self.too_large(attempt, job, quota).unwrap_or(verdict),
            None => verdict,
        }
    }

    /// The job was refused where nothing else was charged, and is larger than the `quota` that is believed. Once may be
    /// chance, or others that use it; where that has come twice from all that may serve it, it would come for ever, and
    /// the others would wait for it in vain.
    fn too_large(&self, attempt: &Attempt, job: &mut JobState, quota: u64) -> Option<Verdict> {
        job.note_too_large(attempt.lease.endpoint, quota);
        let mut members = self.sets.members(attempt.set).iter();
        members
            .all(|&member| {
                let is_gone = self.endpoints[member.index()].condition() == Condition::Disabled;
                is_gone || job.times_too_large(member) >= TOO_LARGE
            })
            .then(|| Verdict::GiveUp(GiveUp::TooLarge(job.largest_quota())))
    }

    /// What the attempt has used of the quota, and what that teaches. After the endpoint has drawn its conclusions, for
    /// where the service names no time it is the endpoint's rest that counts.
    /// Returns the quota where the job is larger than that, and was refused alone.
    fn settle_quota(&mut self, attempt: &Attempt, reserved: Reserved, outcome: &Outcome) -> Option<u64> {
        let Attempt { lease, now, .. } = attempt;
        let (id, index) = (lease.endpoint, attempt.index());
        let estimator = &mut self.estimators[index];
        let end = match outcome {
            Outcome::Throttled(throttle) => {
                let endpoint = &self.endpoints[index];
                let until = endpoint.until().unwrap_or(*now);
                let exceeds = self
                    .quotas
                    .refuse(id, reserved, throttle, &endpoint.tallies.told, until, *now);
                if throttle
                    .wait
                    .is_some_and(|wait| wait > self.settings.health.cooldown_max)
                {
                    // The endpoint is disabled for it, and probed all the same.
                    self.quotas.block_at_most(id, until.max(*now + DISABLED_PROBE), *now);
                }
                self.note_limits(id);
                return exceeds;
            }
            Outcome::Success(used) => {
                let charged_output = estimator.output_charge(&lease.size);
                let took = now.saturating_duration_since(lease.at);
                self.paces[index].learn(took, *used);
                let standing = estimator.standing(&lease.size, *used);
                estimator.learn(&lease.size, *used);
                self.quotas.charges_change(id);
                self.note_load(attempt, standing);
                Settlement::Answered {
                    prompt: used.prompt.map(u64::from),
                    output: used.output.map(u64::from),
                    charged_output,
                }
            }
            _ if !lease.written => Settlement::NeverWritten,
            _ => Settlement::Kept,
        };
        self.quotas.settle(id, reserved, end, *now);
        self.note_limits(id);
        None
    }

    /// What an answered request was like, for advice; whether limits on answers are too high is looked at ever more rarely.
    fn note_load(&mut self, attempt: &Attempt, charged: f64) {
        let (id, index) = (attempt.lease.endpoint, attempt.index());
        let took = attempt.now.saturating_duration_since(attempt.lease.at);
        self.advisor.answered(index, charged, took);
        let estimator = &self.estimators[index];
        if estimator.is_time_for_advice()
            && !self.specs[index].is_provisioned()
            && let Some(advice) = estimator.limit_advice()
            && self.advisor.is_news_of(index, advice)
        {
            self.remarks.push(Remark::Answers(id, advice));
        }
    }

    fn succeeded(&mut self, attempt: &Attempt, job: &mut JobState) -> Verdict {
        let index = attempt.index();
        let endpoint = &mut self.endpoints[index];
        endpoint.tallies.totals.succeeded += 1;
        let took = attempt.now.saturating_duration_since(attempt.lease.at);
        endpoint.tallies.latency.record(took);
        let changed = endpoint.succeeded(&attempt.lease, job.id(), attempt.scout, attempt.now);
        self.note(index, changed);
        self.blame_suspects(attempt, job);
        Verdict::Done
    }

    /// The wait is the endpoint's; the job goes as soon as anybody can take it.
    fn throttled(&mut self, attempt: &Attempt, throttle: &Throttle) -> Verdict {
        let Attempt { lease, now, .. } = attempt;
        let index = attempt.index();
        let endpoint = &mut self.endpoints[index];
        endpoint.tallies.totals.throttled += 1;
        endpoint.lacks.unknown(lease, *now);
        // What was admitted between may take long to answer, and the row is over all the same: a back-off that goes on
        // growing lets the quota lie idle, and the next burst is the larger.
        if let Some(last) = endpoint.refused_at()
            && self.quotas.has_admitted(lease.endpoint, last, lease.at, *now)
        {
            endpoint.has_admitted();
        }
        let changed = endpoint.throttled(lease.at, throttle, &self.settings.health, *now);
        self.note(index, changed);
        Verdict::RetryAt(*now)
    }

    /// The request is refused, by the service if that says so in its `own` form. If not, another endpoint is asked once: it may
    /// be something else that has answered.
    fn refused(&mut self, attempt: &Attempt, job: &mut JobState, own: bool, reason: &str) -> Verdict {
        let index = attempt.index();
        self.endpoints[index].tallies.totals.refused += 1;
        if !own && job.note_refusal() && self.others_serve(attempt) {
            job.note_failure(attempt.lease.endpoint, false);
            job.suspect(attempt.suspect(Charge::Unclear, reason));
            self.endpoints[index].lacks.unknown(&attempt.lease, attempt.now);
            if attempt.lease.role == Role::Probe {
                self.hold_against(attempt, job, Evidence::certain(Sign::Answer, reason));
            } else {
                self.learn_nothing(attempt);
            }
            return Verdict::RetryAt(attempt.now);
        }
        let endpoint = &mut self.endpoints[index];
        let changed = endpoint.answered(&attempt.lease, attempt.scout, attempt.now);
        self.note(index, changed);
        Verdict::GiveUp(GiveUp::Refused)
    }

    fn abandoned(&mut self, attempt: &Attempt) -> Verdict {
        self.endpoints[attempt.index()].tallies.totals.abandoned += 1;
        self.learn_nothing(attempt);
        Verdict::GiveUp(GiveUp::Abandoned)
    }

    /// The endpoint waits for a token; the job goes again when there is one, or elsewhere.
    fn unsigned(&mut self, attempt: &Attempt, reason: &str) -> Verdict {
        self.endpoints[attempt.index()].tallies.unusable(reason);
        self.learn_nothing(attempt);
        Verdict::RetryAt(attempt.now)
    }

    /// The job's time was over: that is held against an endpoint that kept it waiting for nothing.
    fn out_of_time(&mut self, attempt: &Attempt, job: &JobState, silent: bool) -> Verdict {
        let waited = attempt.now.saturating_duration_since(attempt.lease.at);
        let endpoint = &mut self.endpoints[attempt.index()];
        if !endpoint.let_down(attempt.scout, silent, waited, &self.settings.health) {
            return self.abandoned(attempt);
        }
        let reason = format!("no reply in the {} ms that its job had", waited.as_millis());
        endpoint.tallies.failed(&reason);
        endpoint.lacks.unknown(&attempt.lease, attempt.now);
        self.hold_against(attempt, job, attempt.evidence(Sign::Nothing, &reason));
        Verdict::GiveUp(GiveUp::Abandoned)
    }

    /// The deployment, or its operation, is taken out, and `lasts` where that does not pass by itself; the job goes elsewhere
    /// at no cost.
    fn unusable(&mut self, attempt: &Attempt, job: &mut JobState, scope: Scope, reason: &str, lasts: bool) -> Verdict {
        let Attempt { lease, scout, now, .. } = attempt;
        let index = attempt.index();
        if let Scope::Path { own } = scope {
            let has_met_it = |suspect: &Suspect| suspect.endpoint != lease.endpoint;
            if !own && job.suspects().iter().any(has_met_it) || self.endpoints[index].lacks.has_served(&lease.operation)
            {
                let operation = FullRow::Lacks(&lease.operation);
                return self.unclear(attempt, job, Charge::Denied, operation, reason);
            }
            job.suspect(attempt.suspect(Charge::Denied, reason));
        }
        let missing = match scope {
            Scope::Path { own: false } if !self.others_serve(attempt) => Missing::PathForOne,
            Scope::Path { .. } => Missing::Path,
            Scope::Operation | Scope::Deployment => Missing::Unknown,
        };
        let endpoint = &mut self.endpoints[index];
        endpoint.tallies.unusable(reason);
        job.note_failure(lease.endpoint, false);
        let changed = match scope {
            _ if attempt.overtaken => false,
            Scope::Deployment => endpoint.unusable(lease.epoch, *scout, reason, *now),
            Scope::Operation | Scope::Path { .. } => {
                let is_news = endpoint.lacks.is_news(&lease.operation);
                let changed = endpoint.lacks(lease, *scout, reason, missing, *now);
                if is_news && endpoint.condition() != Condition::Misconfigured {
                    self.remarks.push(Remark::Lacks(lease.endpoint, reason.to_owned()));
                }
                changed
            }
        };
        if changed && lasts && scope == Scope::Deployment {
            endpoint.is_out_lastingly();
        }
        self.note(index, changed);
        Verdict::RetryAt(*now)
    }

    /// A deployment that has served may have met a prompt that something on the way does not like. One that has not is
    /// believed, though where nobody else is there another job is to meet the same.
    fn denied(&mut self, attempt: &Attempt, job: &mut JobState, lasts: bool, reason: &str) -> Verdict {
        let index = attempt.index();
        if self.endpoints[index].doubts.is_proven() {
            return self.unclear(attempt, job, Charge::Denied, FullRow::Disables, reason);
        }
        job.suspect(attempt.suspect(Charge::Denied, reason));
        let was_ready = self.endpoints[index].is_ready();
        let verdict = self.unusable(attempt, job, Scope::Deployment, reason, lasts);
        if was_ready {
            self.endpoints[index].is_out_doubtfully(attempt.now);
        }
        verdict
    }

    fn nobodys_fault(&mut self, attempt: &Attempt) -> Verdict {
        self.endpoints[attempt.index()].tallies.totals.failed += 1;
        self.learn_nothing(attempt);
        Verdict::RetryAt(attempt.now)
    }

    /// The request never left. The job rests for a moment: what is lacking comes back as connections are closed.
    fn lacked_here(&mut self, attempt: &Attempt, job: &mut JobState) -> Verdict {
        self.learn_nothing(attempt);
        Verdict::RetryAt(attempt.now + backoff::short(job.note_rest(), backoff::SHORT_CAP, &mut self.rng))
    }

    fn endpoints_fault(&mut self, attempt: &Attempt, job: &mut JobState, evidence: Evidence<'_>) -> Verdict {
        self.count_failure(attempt, job, evidence.reason);
        self.hold_against(attempt, job, evidence);
        if !attempt.lease.written {
            self.failed_on_the_way(attempt, evidence.reason);
        }
        if evidence.is_doubt && attempt.lease.role != Role::Probe {
            job.suspect(attempt.suspect(Charge::Failed, evidence.reason));
        }
        let is_ready = |member: EndpointId| self.endpoints[member.index()].is_ready();
        let mut others = self.sets.members(attempt.set).iter();
        let is_spent = others.all(|&member| !is_ready(member) || job.has_failed_at(member));
        let rests = evidence.is_doubt && is_ready(attempt.lease.endpoint) && is_spent;
        let most = self.settings.max_attempts;
        after_failure(job, most, rests, &mut self.rng, attempt.now)
    }

    /// A 500, or a reply that makes no sense: the endpoint's fault, or the job's? Or a denial, for which the endpoint is
    /// charged at once.
    fn unclear(
        &mut self,
        attempt: &Attempt,
        job: &mut JobState,
        charge: Charge,
        full: FullRow<'_>,
        reason: &str,
    ) -> Verdict {
        self.count_failure(attempt, job, reason);
        // Where there is an elsewhere it shows when the job has been there; the next request may find out meanwhile.
        // A probe has found no more than that the endpoint is not back.
        let probe = attempt.lease.role == Role::Probe;
        let elsewhere = self.others_serve(attempt);
        let doubts = &mut self.endpoints[attempt.index()].doubts;
        if charge == Charge::Denied {
            let evidence = attempt.evidence(Sign::Answer, reason);
            self.hold_against(attempt, job, Evidence { full, ..evidence });
        } else if probe || (!elsewhere && doubts.unclear_again(job.id())) {
            self.hold_against(attempt, job, Evidence::certain(Sign::Answer, reason));
        } else {
            self.learn_nothing(attempt);
        }
        job.suspect(attempt.suspect(charge, reason));
        let asked_all = self.has_asked_all(attempt, job);
        let most = self.settings.max_attempts;
        after_unclear(job, most, probe, asked_all, &mut self.rng, attempt.now)
    }
}

impl Attempt {
    /// The position of the endpoint that was asked.
    pub(super) fn index(&self) -> usize {
        self.lease.endpoint.index()
    }
}
