//! What would make better use of the quotas: more workers, and lower limits on answers.
//!
//! Workers are too few where, most times that one becomes free, a job is waiting that a quota has room for, and where the
//! quotas admit more than the workers can carry: by Little's law as many requests are under way as begin in a second,
//! times the seconds that one takes. The first alone says little, for at the beginning of each window the quota has room
//! for everybody; nor does the second, where little is to be done.

use std::time::Duration;

use super::estimator::LimitAdvice;
use crate::api::AdviceKind;

/// Of so many decisions with every worker busy and a job waiting, one looks whether a quota has room for that job.
const ONE_IN: u32 = 16;
/// Looks after which something is said.
const ENOUGH_LOOKS: u32 = 32;
/// With so many looks their counts are halved: the recent past counts.
const MANY_LOOKS: u32 = 256;
/// Too few are those of whom this many times as many are needed, and who find room in half of the looks.
const TOO_FEW: f64 = 1.25;
/// What was said is said again when this many times as many are needed.
const AGAIN: f64 = 1.5;
/// Weight of a new answer in the means: one part in so many.
const ANSWERS: f64 = 64.0;
/// Most workers that a blaster can have.
const MOST_WORKERS: f64 = 16_384.0;

/// That the workers are too few for the quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerAdvice {
    /// Threads in the pool.
    pub workers: u32,
    /// As many would be under way if the quotas were used up.
    pub needed: u32,
}

/// Watches a blaster's work for what could be better.
#[derive(Debug)]
pub(super) struct Advisor {
    /// By endpoint.
    loads: Vec<Load>,
    /// Decisions since the last look.
    decisions: u32,
    looks: u32,
    /// Looks that found room in a quota.
    with_room: u32,
    /// The need that was said last.
    said: Option<u32>,
    /// By endpoint: the limit on answers of which something was said.
    said_of: Vec<u32>,
}

/// What the requests to one endpoint are like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Load {
    answers: u32,
    /// Tokens charged, on average.
    pub(super) charge: f64,
    /// Seconds from sending to the end, on average.
    pub(super) seconds: f64,
}

/// What an endpoint could take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Capacity {
    /// Requests a second by its own quota; infinite where it has none, or it is not known.
    pub(super) own: f64,
    /// Its group, and the requests a second that are admitted there, by all members together.
    pub(super) group: Option<(usize, f64)>,
    /// Seconds that one takes.
    pub(super) seconds: f64,
    /// Most requests under way, where that is configured.
    pub(super) most: Option<u32>,
}

impl Advisor {
    pub(super) fn new(endpoints: usize) -> Self {
        Advisor {
            loads: vec![Load::default(); endpoints],
            decisions: 0,
            looks: 0,
            with_room: 0,
            said: None,
            said_of: vec![0; endpoints],
        }
    }

    /// A request has been answered.
    pub(super) fn answered(&mut self, endpoint: usize, charge: f64, took: Duration) {
        let load = &mut self.loads[endpoint];
        load.answers = load.answers.saturating_add(1);
        let part = (1.0 / f64::from(load.answers)).max(1.0 / ANSWERS);
        load.charge += (charge - load.charge) * part;
        load.seconds += (took.as_secs_f64() - load.seconds) * part;
    }

    /// What the requests to an endpoint are like; none before the first answer.
    pub(super) fn load(&self, endpoint: usize) -> Option<Load> {
        Some(self.loads[endpoint]).filter(|load| load.answers > 0)
    }

    /// Every worker is busy, and a job is waiting. Whether to look if a quota has room for it.
    #[inline]
    pub(super) fn all_busy(&mut self) -> bool {
        self.decisions += 1;
        let is_due = self.decisions >= ONE_IN;
        if is_due {
            self.decisions = 0;
        }
        is_due
    }

    /// What such a look has found.
    pub(super) fn looked(&mut self, has_room: bool) {
        self.looks += 1;
        self.with_room += u32::from(has_room);
        if self.looks >= MANY_LOOKS {
            self.looks /= 2;
            self.with_room /= 2;
        }
    }

    /// Whether it is time, after a look, to see what the endpoints could take: that means to ask them all.
    pub(super) fn is_time(&self) -> bool {
        self.looks.is_multiple_of(ENOUGH_LOOKS)
    }

    /// Whether the workers are too few for what the endpoints could take.
    pub(super) fn workers(&self, workers: u32, capacities: impl FnOnce() -> Vec<Capacity>) -> Option<WorkerAdvice> {
        if self.looks < ENOUGH_LOOKS || self.with_room * 2 < self.looks {
            return None;
        }
        let needed = needed(&capacities()).filter(|needed| *needed >= TOO_FEW * f64::from(workers))?;
        let needed = needed.min(MOST_WORKERS).ceil() as u32;
        (needed > workers).then_some(WorkerAdvice { workers, needed })
    }

    /// Whether this has not been said before.
    pub(super) fn is_news(&mut self, advice: WorkerAdvice) -> bool {
        let is_news = self
            .said
            .is_none_or(|said| f64::from(advice.needed) >= AGAIN * f64::from(said));
        if is_news {
            self.said = Some(advice.needed);
        }
        is_news
    }

    /// Whether nothing has been said of this limit on answers.
    pub(super) fn is_news_of(&mut self, endpoint: usize, advice: LimitAdvice) -> bool {
        let said = &mut self.said_of[endpoint];
        let is_news = *said != advice.limit;
        *said = advice.limit;
        is_news
    }
}

/// Requests under way where the quotas are used up; none where some quota is not known, so that there is no telling.
fn needed(capacities: &[Capacity]) -> Option<f64> {
    // By group: what its members could take by their own quotas, and how many they are.
    let mut groups: Vec<(f64, f64)> = Vec::new();
    for capacity in capacities {
        let Some((group, _)) = capacity.group else { continue };
        if groups.len() <= group {
            groups.resize(group + 1, (0.0, 0.0));
        }
        groups[group].0 += capacity.own;
        groups[group].1 += 1.0;
    }
    let rate = |capacity: &Capacity| match capacity.group.map(|(group, granted)| (groups[group], granted)) {
        None => capacity.own,
        // A group that grants less than its members' own quotas is shared among them.
        Some(((wanted, _), granted)) if wanted.is_finite() => capacity.own * (granted / wanted).min(1.0),
        Some(((_, members), granted)) => granted / members,
    };
    capacities
        .iter()
        .map(|capacity| under_way(capacity, rate(capacity)))
        .sum()
}

/// By Little's law.
fn under_way(capacity: &Capacity, rate: f64) -> Option<f64> {
    let most = capacity.most.map_or(f64::INFINITY, f64::from);
    Some((rate * capacity.seconds).min(most)).filter(|requests| requests.is_finite())
}

impl From<WorkerAdvice> for AdviceKind {
    fn from(WorkerAdvice { workers, needed }: WorkerAdvice) -> Self {
        AdviceKind::MoreWorkers { workers, needed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(rate: f64, seconds: f64) -> Capacity {
        Capacity {
            own: rate,
            group: None,
            seconds,
            most: None,
        }
    }

    fn member(own: f64, granted: f64, seconds: f64) -> Capacity {
        Capacity {
            group: Some((0, granted)),
            ..alone(own, seconds)
        }
    }

    #[track_caller]
    fn check(capacities: &[Capacity], expected: Option<f64>) {
        assert_eq!(needed(capacities), expected, "{capacities:?}");
    }

    #[test]
    fn as_many_are_needed_as_begin_while_one_takes() {
        const UNKNOWN: f64 = f64::INFINITY;
        check(&[alone(50.0, 3.0), alone(20.0, 2.0)], Some(190.0));
        check(&[alone(50.0, 3.0), alone(UNKNOWN, 2.0)], None);
        let most = Some(30);
        check(
            &[
                alone(50.0, 3.0),
                Capacity {
                    most,
                    ..alone(UNKNOWN, 2.0)
                },
            ],
            Some(180.0),
        );
        // A group counts once, whatever its members could take by themselves.
        check(&[member(UNKNOWN, 10.0, 2.0), member(UNKNOWN, 10.0, 4.0)], Some(30.0));
        check(&[member(30.0, 10.0, 2.0), member(10.0, 10.0, 4.0)], Some(25.0));
        check(
            &[member(3.0, 10.0, 2.0), member(2.0, 10.0, 4.0), alone(1.0, 1.0)],
            Some(15.0),
        );
    }

    #[test]
    fn advice_is_given_where_jobs_that_would_be_admitted_wait_for_workers() {
        let mut advisor = Advisor::new(1);
        let capacities = || vec![alone(95.0, 2.0)];
        for _ in 0..ENOUGH_LOOKS - 1 {
            advisor.looked(true);
        }
        assert_eq!(advisor.workers(64, capacities), None, "too early");
        advisor.looked(true);
        let advice = advisor.workers(64, capacities).unwrap();
        assert_eq!((advice.workers, advice.needed), (64, 190));
        assert_eq!(advisor.workers(160, capacities), None, "nearly as many as are needed");
        assert_eq!(advisor.workers(500, capacities), None);
        // The quotas become narrow: the jobs wait for them now.
        for _ in 0..ENOUGH_LOOKS + 1 {
            advisor.looked(false);
        }
        assert_eq!(advisor.workers(64, capacities), None);
    }

    #[test]
    fn a_thing_is_said_once() {
        let mut advisor = Advisor::new(2);
        let workers = |needed| WorkerAdvice { workers: 64, needed };
        let said = [190, 190, 250, 285, 300].map(|needed| advisor.is_news(workers(needed)));
        assert_eq!(said, [true, false, false, true, false]);
        let limit = |limit| LimitAdvice {
            limit,
            enough: 100,
            answers: 100,
        };
        let said = [(0, 4096), (0, 4096), (1, 4096), (0, 2048)].map(|(at, of)| advisor.is_news_of(at, limit(of)));
        assert_eq!(said, [true, false, true, true]);
    }

    #[test]
    fn one_decision_in_sixteen_looks() {
        let mut advisor = Advisor::new(1);
        let looks = (0..160).filter(|_| advisor.all_busy()).count();
        assert_eq!(looks, 10);
    }

    #[test]
    fn what_requests_are_like_follows_the_answers() {
        let mut advisor = Advisor::new(1);
        assert_eq!(advisor.load(0), None);
        advisor.answered(0, 1000.0, Duration::from_secs(2));
        advisor.answered(0, 2000.0, Duration::from_secs(4));
        let load = advisor.load(0).unwrap();
        assert_eq!((load.charge, load.seconds), (1500.0, 3.0));
        (0..1000).for_each(|_| advisor.answered(0, 500.0, Duration::from_secs(1)));
        let load = advisor.load(0).unwrap();
        assert!(
            (load.charge - 500.0).abs() < 1.0 && (load.seconds - 1.0).abs() < 0.01,
            "{load:?}"
        );
    }
}
