//! When a source is asked for a token.
//!
//! | the token held | the source is asked |
//! |---|---|
//! | none, or at its end | at once |
//! | good | at 50 to 80 % of the life that it had when it came, drawn anew for each |
//! | refused by the service | at once, where it did not come within the last [`PAUSE`] |
//! | good, but the source has failed | after a pause; meanwhile, and until its true end, it is used |
//!
//! Whatever the reason, one asks at a time, and not twice within [`PAUSE`]. After a failure the pause is up to half as long
//! again, twice that where somebody has to mend something, and without end where a person has declined.
//!
//! Sources have caches of their own: az and managed identities hand the same token out again until minutes before its end.
//! It is asked for again at 50 to 80 % of what is left of its life then, and so on.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rand::{Rng, RngExt};

use super::error::Again;
use super::token::ClockError;
use super::{AccessToken, Claims, TokenError};
use crate::api::Secret;

/// Least time between two requests to a source.
pub(super) const PAUSE: Duration = Duration::from_secs(30);

/// Longest life that is believed; managed identities' tokens live for a day.
const LIFE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Longest time that a source which says so is left alone: it may be mended at any moment, and jobs wait for it.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// A token that can be sent.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) secret: Arc<Secret>,
    /// Which of the tokens that came it is, from 1.
    pub(crate) number: u64,
    pub(super) claims: Option<Arc<Claims>>,
    /// Which of several credentials has given it.
    pub(super) giver: Option<&'static str>,
    got: Instant,
    pub(super) ends: Instant,
    refresh_at: Instant,
}

/// The tokens of one source for one scope.
#[derive(Debug, Default)]
pub(super) struct TokenCache {
    held: Option<Held>,
    /// Tokens that have come.
    numbers: u64,
    is_asking: bool,
    asked: Option<Instant>,
    not_before: Option<Instant>,
    waits_for_request: bool,
    /// The token held is not enough.
    wanted: bool,
    /// Somebody has asked for another try, which has not come to anything yet.
    requested: bool,
    error: Option<TokenError>,
}

/// What is to be done about a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is asked for a token.
    Ask,
    /// Nothing before this instant.
    At(Instant),
    /// Nothing before something happens.
    Nothing,
}

impl TokenCache {
    /// The token that can be sent now.
    pub(super) fn token(&self, now: Instant) -> Option<&Held> {
        self.held.as_ref().filter(|held| now < held.ends)
    }

    /// The newest token, whether it can be sent or not.
    pub(super) fn newest(&self) -> u64 {
        self.numbers
    }

    /// Why the source has not given what it was asked for last.
    pub(super) fn error(&self) -> Option<&TokenError> {
        self.error.as_ref()
    }

    /// Whether somebody has asked for another try that has not come to anything yet: what was said last does not count.
    pub(super) fn is_requested(&self) -> bool {
        self.requested
    }

    /// What is to be done now.
    pub(super) fn next(&self, now: Instant) -> Next {
        if self.is_asking || self.waits_for_request {
            return Next::Nothing;
        }
        let due = match self.token(now) {
            Some(held) if !self.wanted => held.refresh_at,
            _ => now,
        };
        let rested = self.asked.map(|asked| asked + PAUSE);
        let due = [rested, self.not_before].into_iter().flatten().fold(due, Instant::max);
        if due <= now { Next::Ask } else { Next::At(due) }
    }

    /// When a token that is good now is so no longer.
    pub(super) fn ends(&self, now: Instant) -> Option<Instant> {
        self.token(now).map(|held| held.ends)
    }

    /// The source is being asked.
    pub(super) fn asks(&mut self, now: Instant) {
        self.is_asking = true;
        self.asked = Some(now);
    }

    /// The source has given a token, at this time of day. What this machine's clock seems to be off by is returned.
    ///
    /// # Errors
    /// Where it is none that can be used, which counts as a failure of the source.
    pub(super) fn came(
        &mut self,
        token: &AccessToken,
        wall: SystemTime,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Result<Option<ClockError>, TokenError> {
        let life = match token.life(wall) {
            Ok(life) => life,
            Err(error) => {
                self.failed(error.clone(), now, rng);
                return Err(error);
            }
        };
        let left = life.left.min(LIFE_MAX);
        self.numbers += 1;
        self.held = Some(Held {
            secret: Arc::new(token.secret().clone()),
            number: self.numbers,
            claims: Claims::of(token.secret().expose()).map(Arc::new),
            giver: token.giver(),
            got: now,
            ends: now + left,
            refresh_at: now + left.mul_f64(rng.random_range(0.5..0.8)),
        });
        self.is_asking = false;
        self.not_before = None;
        self.wanted = false;
        self.requested = false;
        self.error = None;
        Ok(life.clock)
    }

    /// The source has failed.
    pub(super) fn failed(&mut self, error: TokenError, now: Instant, rng: &mut impl Rng) {
        let jittered = PAUSE.mul_f64(rng.random_range(1.0..1.5));
        self.is_asking = false;
        self.requested = false;
        match error.again() {
            Again::Soon(wait) => self.not_before = Some(now + jittered.max(wait.min(WAIT_MAX))),
            Again::Later => self.not_before = Some(now + 2 * jittered),
            Again::OnRequest => self.waits_for_request = true,
        }
        self.error = Some(error);
    }

    /// The token held is not enough: a new one is fetched as soon as may be.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// Somebody asks for another try, whatever the source has said.
    pub(super) fn request(&mut self) {
        self.waits_for_request = false;
        self.not_before = None;
        self.wanted = true;
        self.requested = true;
    }

    /// Whether the token held has just come: to fetch another one would bring the same.
    pub(super) fn is_young(&self, now: Instant) -> bool {
        self.held.as_ref().is_some_and(|held| now < held.got + PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;
    use crate::clock::{Clock, ManualClock};

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    struct World {
        cache: TokenCache,
        clock: ManualClock,
        rng: SmallRng,
    }

    impl World {
        fn new(seed: u64) -> Self {
            World {
                cache: TokenCache::default(),
                clock: ManualClock::new(),
                rng: SmallRng::seed_from_u64(seed),
            }
        }

        fn now(&self) -> Instant {
            self.clock.now()
        }

        fn next(&self) -> Next {
            self.cache.next(self.now())
        }

        /// The source is asked and gives a token that lives for so long.
        fn comes(&mut self, life: Duration) {
            assert_eq!(self.next(), Next::Ask);
            self.cache.asks(self.now());
            let token = AccessToken::lasting("t", life);
            let (wall, now) = (self.clock.wall(), self.now());
            self.cache.came(&token, wall, now, &mut self.rng).unwrap();
        }

        fn fails(&mut self, error: TokenError) {
            assert_eq!(self.next(), Next::Ask);
            self.cache.asks(self.now());
            let now = self.now();
            self.cache.failed(error, now, &mut self.rng);
        }

        /// Time until the source is asked.
        fn wait(&self) -> Duration {
            match self.next() {
                Next::At(at) => at - self.now(),
                Next::Ask => Duration::ZERO,
                Next::Nothing => Duration::MAX,
            }
        }
    }

    #[test]
    fn a_token_is_refreshed_between_half_and_four_fifths_of_its_life_at_a_moment_of_its_own() {
        let mut waits: Vec<Duration> = (0..50)
            .map(|seed| {
                let mut world = World::new(seed);
                world.comes(HOUR);
                world.wait()
            })
            .collect();
        waits.sort_unstable();
        assert!(waits[0] >= HOUR / 2 && waits[49] < HOUR * 4 / 5, "{waits:?}");
        waits.dedup();
        assert!(
            waits.len() > 40,
            "many processes started at once ask at once: {waits:?}"
        );
    }

    #[test]
    fn one_asks_at_a_time_and_not_twice_within_the_pause() {
        let mut world = World::new(1);
        world.cache.asks(world.now());
        assert_eq!(world.next(), Next::Nothing);
        let now = world.now();
        world
            .cache
            .came(
                &AccessToken::lasting("t", 3 * SECOND),
                world.clock.wall(),
                now,
                &mut world.rng,
            )
            .unwrap();
        world.clock.advance(5 * SECOND);
        assert!(world.cache.token(world.now()).is_none(), "it lived for 3 s");
        assert_eq!(world.wait(), PAUSE - 5 * SECOND);
        world.cache.want();
        world.cache.request();
        assert_eq!(world.wait(), PAUSE - 5 * SECOND);
        world.clock.advance(PAUSE - 5 * SECOND);
        assert_eq!(world.next(), Next::Ask);
    }

    #[test]
    fn the_last_good_token_is_used_to_its_end_while_the_source_fails() {
        let mut world = World::new(1);
        world.comes(HOUR);
        let wait = world.wait();
        world.clock.advance(wait);
        let mut asked = 0;
        while world.cache.token(world.now()).is_some() {
            world.fails(TokenError::passing("down"));
            asked += 1;
            let wait = world.wait();
            assert!(wait >= PAUSE && wait < PAUSE.mul_f64(1.5), "{wait:?}");
            world.clock.advance(wait);
        }
        assert!(asked > 10, "{asked}");
        assert_eq!(world.cache.error().unwrap().to_string(), "down");
        world.comes(HOUR);
        assert!(world.cache.error().is_none() && world.cache.token(world.now()).unwrap().number == 2);
    }

    #[test]
    fn how_long_a_source_that_failed_is_left_alone_depends_on_why() {
        let wait = |error| {
            let mut world = World::new(1);
            world.fails(error);
            world.wait()
        };
        let passing = wait(TokenError::passing("x"));
        assert!(passing >= PAUSE && passing < PAUSE.mul_f64(1.5), "{passing:?}");
        assert_eq!(wait(TokenError::throttled("x", 100 * SECOND)), 100 * SECOND);
        assert_eq!(wait(TokenError::throttled("x", 100 * HOUR)), HOUR);
        let lasting = wait(TokenError::lasting("x"));
        assert!(lasting >= 2 * PAUSE && lasting < 3 * PAUSE, "{lasting:?}");
        let mut world = World::new(1);
        world.fails(TokenError::declined("x"));
        world.clock.advance(100 * HOUR);
        assert_eq!(world.next(), Next::Nothing);
        world.cache.request();
        assert_eq!(world.next(), Next::Ask);
    }

    #[test]
    fn a_source_that_hands_the_same_token_out_is_asked_ever_closer_to_its_end_and_not_all_the_time() {
        let mut world = World::new(1);
        let ends = world.now() + HOUR;
        let mut asked = 0;
        while world.now() < ends {
            let left = ends - world.now();
            world.comes(left);
            asked += 1;
            let wait = world.wait().max(SECOND);
            world.clock.advance(wait);
        }
        assert!((4..15).contains(&asked), "{asked}");
    }
}
