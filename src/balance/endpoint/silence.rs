//! Whether an endpoint has fallen silent.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::out::EJECTED_PROBE;

/// So many gaps of the usual length between heads; where they come by chance, one of 160,000 is as long.
const GAPS: f64 = 12.0;
/// No silence is shorter than that.
const SHORTEST: f64 = 2.0;
/// Heads before it is known what is usual.
const ENOUGH: u32 = 20;
/// Time after which a silent endpoint is asked whether it is there.
const KNOCK_AFTER: Duration = Duration::from_secs(10);

/// Notices that nothing comes of the requests that wait for their heads.
///
/// With `n` of them waiting and a mean latency of `l` a head comes every `l / n`, so that a silence of 12 of those gaps, but of
/// 2 s and of one `l` at least, is none by chance. It begins with the last head, and not before the oldest request has
/// waited for `l` itself: what is sent in one go is answered in one go. A silence that ends well although it was long is
/// remembered for some hundred heads, and the next one has to be longer by half.
///
/// A silent endpoint is given no work until a head comes. Where none does, one request finds out from time to time,
/// as a probe does: those that wait may be lost, and would keep an endpoint that is well out of work.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// When the requests were sent whose heads have not come, with the numbers of their leases, ascending.
    waiting: VecDeque<(u64, Instant)>,
    last: Option<Instant>,
    /// Mean time to the head of a good reply, in seconds.
    latency: f64,
    learnt: u32,
    /// The longest silence of late that a good reply has ended, in seconds.
    harmless: f64,
    /// When it is silent if nothing comes.
    at: Option<Instant>,
    /// When it is asked next whether it is there, after this many who asked in vain.
    knocks_at: Option<Instant>,
    knocks: u32,
}

impl Silence {
    /// Whether it is silent.
    #[inline]
    pub(super) fn is_on(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    /// When it is silent if nothing comes, if ever.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// When a silent endpoint is asked next, or one that falls silent first, if ever.
    pub(super) fn knocks_at(&self) -> Option<Instant> {
        let at = self.at?;
        Some(self.knocks_at.map_or(at + KNOCK_AFTER, |knocks_at| knocks_at.max(at)))
    }

    /// How many have asked a silent endpoint in vain.
    pub(super) fn knocks(&self) -> u32 {
        self.knocks
    }

    /// One asks a silent endpoint now; the next does so at `next`, if nothing has come.
    pub(super) fn knocked(&mut self, next: Instant) {
        self.knocks_at = Some(next);
    }

    fn position(&self, number: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&number, |(number, _)| *number).ok()
    }

    fn waits_no_more(&mut self, number: u64) {
        if let Some(index) = self.position(number) {
            self.waiting.remove(index);
        }
    }

    /// The silence in words.
    pub(super) fn describe(&self, now: Instant) -> Option<String> {
        if !self.is_on(now) {
            return None;
        }
        let passed = now.saturating_duration_since(self.begins()?).as_secs();
        Some(format!(
            "silent for {passed} s with {} requests under way",
            self.waiting.len()
        ))
    }

    /// A request has been sent.
    pub(super) fn sent(&mut self, number: u64, now: Instant) {
        let on = self.is_on(now);
        self.waiting.push_back((number, now));
        if !on {
            self.expect();
        }
    }

    /// The head of a reply has come; of a good one, for which the request had to wait for `latency`. True where a silence ends
    /// with it.
    pub(super) fn heard(&mut self, number: u64, latency: Option<Duration>, now: Instant) -> bool {
        let on = self.is_on(now);
        if let Some(latency) = latency {
            self.learn(latency.as_secs_f64(), now);
        }
        self.waits_no_more(number);
        if let Some(at) = self.at.filter(|_| on) {
            // They say nothing more: the endpoint is well, whatever has become of them.
            self.waiting.retain(|(_, sent)| *sent > at);
        }
        self.last = Some(now);
        self.knocks = 0;
        self.knocks_at = None;
        self.expect();
        on
    }

    /// A request is over, `answered` where something has come of it.
    pub(super) fn back(&mut self, number: u64, answered: bool, now: Instant) {
        if self.position(number).is_none() {
            return;
        }
        if answered {
            self.heard(number, None, now);
            return;
        }
        let on = self.is_on(now);
        self.waits_no_more(number);
        if !on || self.waiting.is_empty() {
            self.knocks = 0;
            self.knocks_at = None;
            self.expect();
        }
    }

    /// Who asked a silent endpoint has had no answer; `newest` where nobody has asked since.
    pub(super) fn knocked_in_vain(&mut self, newest: bool, now: Instant) {
        self.knocks = self.knocks.saturating_add(1);
        if newest && self.knocks_at.is_none_or(|at| at > now) {
            // It failed at once, instead of hanging.
            self.knocks_at = Some(now + EJECTED_PROBE);
        }
    }

    /// What has been sent until now tells nothing about what comes.
    pub(super) fn forget(&mut self, now: Instant) {
        self.waiting.clear();
        self.last = Some(now);
        self.expect();
    }

    fn learn(&mut self, latency: f64, now: Instant) {
        self.learnt = (self.learnt + 1).min(ENOUGH);
        if let Some(begun) = self.begins() {
            let lasted = now.saturating_duration_since(begun).as_secs_f64();
            self.harmless = (self.harmless * 0.995).max(lasted.min(4.0 * self.latency));
        }
        self.latency += (latency - self.latency) / f64::from(self.learnt);
    }

    /// When the present silence has begun, or begins.
    fn begins(&self) -> Option<Instant> {
        let (_, oldest) = self.waiting.front()?;
        let due = *oldest + Duration::from_secs_f64(self.latency);
        Some(self.last.map_or(due, |last| last.max(due)))
    }

    fn expect(&mut self) {
        let gap = self.latency / self.waiting.len().max(1) as f64;
        let longest = (GAPS * gap).max(self.latency).max(1.5 * self.harmless).max(SHORTEST);
        self.at = self
            .begins()
            .filter(|_| self.learnt >= ENOUGH)
            .map(|begins| begins + Duration::from_secs_f64(longest));
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::clock::{Clock, ManualClock};

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// An endpoint in virtual time.
    struct World {
        start: Instant,
        silence: Silence,
        sent: u64,
        /// When each head comes, by the request.
        heads: Vec<(Duration, u64, Duration)>,
    }

    impl World {
        fn new() -> Self {
            World {
                start: ManualClock::new().now(),
                silence: Silence::default(),
                sent: 0,
                heads: Vec::new(),
            }
        }

        /// Sends a request whose head comes after `latency`, if ever.
        fn send(&mut self, at: Duration, latency: Option<Duration>) {
            self.run(at);
            self.sent += 1;
            self.silence.sent(self.sent, self.start + at);
            self.heads
                .extend(latency.map(|latency| (at + latency, self.sent, latency)));
        }

        /// Lets the heads come until `until`. True where it was silent when one came.
        fn run(&mut self, until: Duration) -> bool {
            self.heads.sort_unstable();
            let due = self.heads.partition_point(|head| head.0 <= until);
            let ended = self
                .heads
                .drain(..due)
                .filter(|&(at, number, latency)| self.silence.heard(number, Some(latency), self.start + at));
            ended.count() > 0
        }

        /// When it is silent.
        fn at(&self) -> Option<Duration> {
            self.silence.at.map(|at| at - self.start)
        }

        /// Twenty requests that take `latency` each, one after the other. Returns when they are over.
        fn learn(&mut self, latency: f64) -> Duration {
            let ends = (0..20).map(|turn| seconds(latency) * turn);
            ends.for_each(|begins| self.send(begins, Some(seconds(latency))));
            let end = seconds(latency) * 20;
            assert!(!self.run(end));
            end
        }
    }

    #[test]
    fn nothing_is_silent_before_it_is_known_what_is_usual_or_where_nothing_is_asked() {
        let mut world = World::new();
        world.send(Duration::ZERO, None);
        assert_eq!(world.at(), None);
        let mut world = World::new();
        world.learn(1.0);
        assert_eq!(world.at(), None);
    }

    #[test]
    fn a_silence_is_twelve_gaps_long_though_never_shorter_than_one_answer_or_two_seconds() {
        for (latency, waiting, silent) in [(5.0, 1, 65.0), (5.0, 4, 20.0), (5.0, 17, 10.0), (0.1, 200, 2.1)] {
            let mut world = World::new();
            let now = world.learn(latency);
            (0..waiting).for_each(|_| world.send(now, None));
            let at = (world.at().unwrap() - now).as_secs_f64();
            assert!((at - silent).abs() < 1e-6, "{waiting} that wait for {latency} s: {at}");
        }
    }

    #[test]
    fn many_sent_at_once_that_are_all_answered_at_once_are_no_silence() {
        for latency in [0.5, 5.0, 17.0] {
            let mut world = World::new();
            let end = world.learn(latency);
            for window in 0..10 {
                let now = end + seconds(60.0 * f64::from(window));
                (0..200).for_each(|_| world.send(now, Some(seconds(latency * 1.3))));
                assert!(!world.run(now + seconds(59.0)), "{latency} s, window {window}");
            }
        }
    }

    #[test]
    fn steady_work_with_latencies_of_half_a_second_to_seventeen_is_silent_only_when_it_hangs() {
        for (seed, per_minute) in (0..20).flat_map(|seed| [(seed, 10.0), (seed, 50.0), (seed, 200.0)]) {
            let mut rng = SmallRng::seed_from_u64(seed);
            let mut world = World::new();
            let mut now = Duration::ZERO;
            let mut alarms = 0;
            while now < seconds(3600.0) {
                now += seconds(-rng.random::<f64>().max(1e-9).ln() * 60.0 / per_minute);
                alarms += u32::from(world.run(now));
                let latency = 0.5 * 34f64.powf(rng.random::<f64>());
                world.send(now, Some(seconds(latency)));
            }
            assert!(
                alarms <= 4,
                "seed {seed}, {per_minute} a minute: {alarms} false alarms in an hour"
            );
            // It hangs: what was sent is never answered, and more is sent for as long as it may.
            let hung = now;
            world.heads.clear();
            while world.at().is_none_or(|at| at > now) {
                now += seconds(60.0 / per_minute);
                world.send(now, None);
            }
            let noticed = (now - hung).as_secs_f64();
            let most = if per_minute < 50.0 { 60.0 } else { 16.0 };
            assert!(
                noticed < most,
                "seed {seed}, {per_minute} a minute: noticed after {noticed} s"
            );
        }
    }

    #[test]
    fn a_head_ends_it_and_those_that_are_lost_begin_no_other() {
        let mut world = World::new();
        let now = world.learn(1.0);
        (0..20).for_each(|_| world.send(now, None));
        let at = world.at().unwrap();
        assert!(world.silence.is_on(world.start + at));
        assert_eq!(
            world.silence.describe(world.start + at).unwrap(),
            "silent for 2 s with 20 requests under way"
        );
        world.send(at + seconds(10.0), Some(seconds(1.0)));
        assert_eq!(world.at(), Some(at), "who asks whether it is there changes nothing");
        assert!(world.run(at + seconds(11.0)));
        assert_eq!(world.at(), None, "nobody is waited for but those that are lost");
    }

    #[test]
    fn a_silence_that_was_harmless_makes_the_next_longer() {
        let mut world = World::new();
        let now = world.learn(1.0);
        (0..20).for_each(|_| world.send(now, Some(seconds(4.0))));
        assert!(world.run(now + seconds(4.0)), "four times as long as ever");
        let now = now + seconds(60.0);
        (0..20).for_each(|_| world.send(now, Some(seconds(4.0))));
        assert!(!world.run(now + seconds(4.0)));
    }

    #[test]
    fn it_ends_with_the_last_that_is_waited_for() {
        let mut world = World::new();
        let now = world.learn(1.0);
        (0..2).for_each(|_| world.send(now, None));
        let late = world.start + world.at().unwrap();
        world.silence.back(21, false, late);
        assert!(world.silence.is_on(late));
        world.silence.back(22, false, late);
        assert!(!world.silence.is_on(late));
    }
}
