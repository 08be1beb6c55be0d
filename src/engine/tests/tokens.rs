//! Deployments that sign in with tokens, for hours of simulated time: who notices that tokens end, that their source fails,
//! that the service refuses them, that a clock is wrong.

use std::time::{Duration, Instant, SystemTime};

use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::api::{Condition, Operation, Priority};
use crate::auth::{AccessToken, Availability, CachePlan, Next, OnRefusal, Pass, Plan, Refusal, TokenError, Tokens};
use crate::balance::outcome::{Outcome, Scope};
use crate::balance::{EndpointId, SignedIn};
use crate::engine::actions::{Assignment, Settled};
use crate::engine::scenario::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What a source says, when.
type Script = dyn Fn(Duration) -> Result<AccessToken, TokenError>;

/// Endpoint 0 signs in with the tokens of a scripted source, the others (if any) with keys. The service takes the tokens that
/// it knows until they end.
struct World {
    bench: Bench,
    tokens: Tokens,
    begun: Instant,
    rng: SmallRng,
    source: Box<Script>,
    /// What this machine's clock is ahead by, in seconds.
    clock_error: i64,
    /// Tokens asked for, and those that came, with their ends.
    asked: Vec<Duration>,
    issued: Vec<(AccessToken, Instant)>,
    /// Tokens that the service takes no more, whatever they say.
    revoked: usize,
    /// Operations for which it takes none.
    refuses: Vec<Operation>,
    lacks_role: bool,
    refusals: u32,
}

/// The time of day when the world begins, by a clock that is right.
fn midnight() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

impl World {
    fn new(endpoints: usize, source: impl Fn(Duration) -> Result<AccessToken, TokenError> + 'static) -> Self {
        let bench = Bench::new(endpoints, 64);
        let caches = [
            "https://ai.azure.com/.default",
            "https://cognitiveservices.azure.com/.default",
        ];
        let cache = |scope: &str| CachePlan {
            source: "az".to_owned(),
            scope: scope.to_owned(),
        };
        let mut uses = vec![None; endpoints];
        uses[0] = Some((0, Some(1)));
        let plan = Plan {
            caches: caches.map(cache).to_vec(),
            endpoints: uses,
        };
        let mut world = World {
            begun: bench.now,
            bench,
            tokens: Tokens::new(plan),
            rng: SmallRng::seed_from_u64(7),
            source: Box::new(source),
            clock_error: 0,
            asked: Vec::new(),
            issued: Vec::new(),
            revoked: 0,
            refuses: Vec::new(),
            lacks_role: false,
            refusals: 0,
        };
        world.tell();
        world
    }

    fn age(&self) -> Duration {
        self.bench.now - self.begun
    }

    fn wall(&self) -> SystemTime {
        let right = midnight() + self.age();
        let error = Duration::from_secs(self.clock_error.unsigned_abs());
        if self.clock_error < 0 {
            right - error
        } else {
            right + error
        }
    }

    /// What the threads of the sources do.
    fn tend(&mut self) {
        for cache in 0..2 {
            if self.tokens.next(cache, self.bench.now) == Next::Ask {
                self.tokens.asks(cache, self.bench.now);
                self.asked.push(self.age());
                let result = (self.source)(self.age());
                if let Ok(token) = &result {
                    self.issued.push((token.clone(), self.bench.now + HOUR));
                }
                let (wall, now) = (self.wall(), self.bench.now);
                // What came of it shows in what is told.
                let _ = self.tokens.came(cache, result, wall, now, &mut self.rng);
            }
        }
        self.tell();
    }

    fn tell(&mut self) {
        for news in self.tokens.news(self.bench.now) {
            let signed_in = match news.availability {
                Availability::SignedIn => SignedIn::Yes,
                Availability::Awaited(reason) => SignedIn::Awaited(reason),
                Availability::Lacking(reason) => SignedIn::Lacking(reason),
            };
            let id = EndpointId::at(news.endpoint);
            self.bench.core.balancer.signed_in(id, news.number, signed_in);
        }
    }

    /// What comes of one request.
    fn answer(&mut self, sent: &Assignment, pass: Option<Pass>) -> Outcome {
        let endpoint = sent.lease.endpoint().index();
        if endpoint != 0 {
            return Outcome::SUCCESS;
        }
        let now = self.bench.now;
        let operation = sent.lease.operation();
        let pass = pass.expect("nothing is sent without a token");
        let known = self.issued[self.revoked..]
            .iter()
            .any(|(token, ends)| token.is(&pass.held.secret) && now < *ends);
        if known && !self.refuses.contains(operation) && !self.lacks_role {
            self.tokens.accepted(0, pass.id(), operation);
            return Outcome::SUCCESS;
        }
        self.refusals += 1;
        let refusal = Refusal {
            pass: pass.id(),
            operation,
            audience: None,
            lacks_role: self.lacks_role,
        };
        let reason = "401".to_owned();
        match self.tokens.refused(0, &refusal, now) {
            OnRefusal::Again | OnRefusal::OtherAudience => Outcome::Unsigned { reason },
            OnRefusal::Operation => Outcome::Unusable {
                scope: Scope::Operation,
                reason,
            },
            OnRefusal::Deployment => Outcome::Unusable {
                scope: Scope::Deployment,
                reason,
            },
        }
    }

    /// Sends and answers whatever goes now. How many jobs each endpoint has answered.
    fn go(&mut self) -> Vec<usize> {
        let mut answered = vec![0; 3];
        loop {
            self.tend();
            let sent = self.bench.pump();
            if sent.is_empty() {
                return answered;
            }
            // All leave together, and are answered one after another.
            let passes: Vec<_> = sent
                .iter()
                .map(|sent| self.tokens.pass(sent.lease.endpoint().index(), self.bench.now))
                .collect();
            for (assignment, pass) in sent.into_iter().zip(passes) {
                let endpoint = assignment.lease.endpoint().index();
                let outcome = self.answer(&assignment, pass);
                self.tell();
                self.bench.head(&assignment, Default::default());
                if matches!(self.bench.settle(assignment, &outcome), Settled::Answered(_)) {
                    answered[endpoint] += 1;
                }
            }
        }
    }

    fn submit(&mut self, jobs: usize) {
        (0..jobs).for_each(|_| drop(self.bench.submit(Priority::Normal)));
    }

    fn condition(&mut self) -> (Condition, Option<String>) {
        let snapshot = self.bench.core.balancer.snapshot(EndpointId::at(0), self.bench.now);
        (snapshot.condition, snapshot.reason)
    }
}

/// A source whose tokens live for an hour; each is another.
fn hourly(age: Duration) -> Result<AccessToken, TokenError> {
    Ok(AccessToken::lasting(format!("token-{}", age.as_millis()), HOUR))
}

/// The same, down between two moments.
fn down(from: Duration, to: Duration) -> impl Fn(Duration) -> Result<AccessToken, TokenError> {
    move |age| {
        if (from..to).contains(&age) {
            Err(TokenError::passing("login.example does not answer; try again later"))
        } else {
            hourly(age)
        }
    }
}

#[test]
fn three_hours_of_a_thousand_jobs_a_minute_need_a_few_tokens_and_see_no_401() {
    let mut world = World::new(1, hourly);
    let mut answered = 0;
    for _ in 0..180 * 60 {
        world.submit(1_000 / 60 + 1);
        answered += world.go()[0];
        world.bench.pass(SECOND);
    }
    assert_eq!(answered, 180 * 60 * 17);
    assert_eq!((world.refusals, world.bench.ended.len()), (0, 0));
    assert!((3..=6).contains(&world.asked.len()), "{:?}", world.asked);
}

#[test]
fn tokens_of_half_a_minute_are_not_asked_for_more_often() {
    let mut world = World::new(1, |age| {
        let token = format!("token-{}", age.as_millis());
        Ok(AccessToken::lasting(token, 30 * SECOND))
    });
    let mut answered = 0;
    for _ in 0..10 * 60 {
        world.submit(1);
        answered += world.go()[0];
        world.bench.pass(SECOND);
    }
    let between = world.asked.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(between.min().unwrap() >= 30 * SECOND, "{:?}", world.asked);
    assert!(
        world.asked.len() >= 19 && answered == 600,
        "{answered} {:?}",
        world.asked
    );
}

#[test]
fn a_source_that_is_down_for_twenty_minutes_inside_a_tokens_life_is_not_noticed() {
    // The first refresh is due between 30 and 48 min.
    let mut world = World::new(1, down(29 * MINUTE, 49 * MINUTE));
    for _ in 0..60 * 60 {
        world.submit(1);
        assert_eq!(world.go()[0], 1, "at {:?}", world.age());
        world.bench.pass(SECOND);
    }
    let failed = world
        .asked
        .iter()
        .filter(|&&at| at > Duration::ZERO && at < 49 * MINUTE);
    let failed: Vec<_> = failed.collect();
    assert!(
        failed.windows(2).all(|pair| *pair[1] - *pair[0] >= 30 * SECOND),
        "{failed:?}"
    );
    assert_eq!(world.refusals, 0);
}

#[test]
fn beyond_its_tokens_life_jobs_go_where_a_key_is_and_come_back_by_themselves() {
    let mut world = World::new(2, down(10 * MINUTE, 90 * MINUTE));
    let mut last = Duration::ZERO;
    for _ in 0..2 * 60 * 60 {
        world.submit(2);
        let answered = world.go();
        assert_eq!(answered.iter().sum::<usize>(), 2, "at {:?}", world.age());
        let (condition, reason) = world.condition();
        if world.age() < HOUR {
            assert_eq!(condition, Condition::Ready, "at {:?}", world.age());
        } else if world.age() < 90 * MINUTE {
            assert_eq!(
                (condition, answered[1]),
                (Condition::SigningIn, 2),
                "at {:?}",
                world.age()
            );
            assert!(reason.unwrap().contains("login.example does not answer"));
        } else if condition == Condition::SigningIn {
            last = world.age();
        }
        world.bench.pass(SECOND);
    }
    assert!(last < 91 * MINUTE, "back {last:?} after the begin");
    assert_eq!(world.refusals, 0);
}

#[test]
fn jobs_that_have_nowhere_else_to_go_wait_up_to_their_timeout_and_are_told_why() {
    let mut world = World::new(1, down(Duration::ZERO, 5 * MINUTE));
    let patient = world.bench.submit(Priority::Normal).id;
    let hasty = world.bench.submit_urgent("m", 10, 20 * SECOND);
    world.go();
    world.bench.pass(20 * SECOND);
    let mut actions = world.bench.core_round();
    let ending = actions.endings.pop().unwrap();
    assert_eq!(ending.job.id(), hasty);
    let words = format!("{:?}", ending.why);
    assert!(
        words.contains("e0 waits for a token from az: login.example does not answer"),
        "{words}"
    );
    let mut answered = 0;
    while answered == 0 {
        assert!(world.age() < 6 * MINUTE);
        world.bench.pass(SECOND);
        answered = world.go()[0];
    }
    assert!(
        world.age() >= 5 * MINUTE && world.bench.ended.is_empty(),
        "job {patient}"
    );
}

#[test]
fn where_somebody_has_to_mend_something_jobs_do_not_wait_and_it_is_found_mended() {
    let mut world = World::new(1, |age| {
        if age < 5 * MINUTE {
            Err(TokenError::lasting("az is not logged in; run `az login`"))
        } else {
            hourly(age)
        }
    });
    world.submit(1);
    world.go();
    assert_eq!(world.bench.ended, [(0, "no endpoint")]);
    let (condition, reason) = world.condition();
    assert_eq!(condition, Condition::Disabled);
    assert!(reason.unwrap().contains("run `az login`"));
    for _ in 0..7 * 60 {
        world.bench.pass(SECOND);
        world.tend();
    }
    world.submit(1);
    assert_eq!(world.go()[0], 1);
    assert!(world.asked.len() <= 7, "once a minute at most: {:?}", world.asked);
}

#[test]
fn a_revoked_token_is_replaced_once_for_all_jobs_and_none_of_them_hears_of_it() {
    let mut world = World::new(1, hourly);
    world.submit(1);
    world.go();
    world.bench.pass(10 * MINUTE);
    world.revoked = 1;
    world.submit(50);
    assert_eq!(world.go()[0], 50);
    assert_eq!(world.asked.len(), 2, "{:?}", world.asked);
    assert!(world.bench.ended.is_empty());
    assert_eq!(world.condition().0, Condition::Ready);
}

#[test]
fn a_token_that_is_refused_afresh_is_the_endpoints_failure_and_the_jobs_go_elsewhere() {
    let mut world = World::new(2, hourly);
    world.bench.pass(MINUTE);
    world.refuses = vec![CHAT];
    world.tend();
    world.bench.pass(MINUTE);
    world.submit(20);
    assert_eq!(world.go()[1], 20);
    assert_eq!(world.condition().0, Condition::Disabled);
    let asked = world.asked.len();
    assert_eq!(asked, 2, "fetched once more: {:?}", world.asked);
    // It is probed each minute, and no token is fetched for that.
    for _ in 0..20 {
        world.bench.pass(MINUTE);
        world.submit(2);
        assert_eq!(world.go()[1], 2);
    }
    assert_eq!(world.asked.len(), asked, "{:?}", world.asked);
    // The service changes its mind.
    world.refuses.clear();
    world.bench.pass(MINUTE);
    world.submit(10);
    assert!(world.go()[0] > 0);
    assert_eq!(world.condition().0, Condition::Ready);
}

#[test]
fn a_role_that_is_missing_is_no_reason_for_another_token() {
    let mut world = World::new(2, hourly);
    world.lacks_role = true;
    world.tend();
    world.bench.pass(MINUTE);
    world.submit(5);
    assert_eq!(world.go()[1], 5);
    assert_eq!((world.asked.len(), world.condition().0), (1, Condition::Disabled));
}

#[test]
fn an_operation_that_takes_no_tokens_is_out_and_the_others_go_on() {
    let mut world = World::new(1, hourly);
    world.refuses = vec![Operation::Embeddings];
    world.submit(1);
    world.go();
    world.bench.pass(MINUTE);
    world
        .bench
        .submit_as("m", &Operation::Embeddings, Priority::Normal, None);
    world.submit(3);
    assert_eq!(world.go()[0], 4 - 1);
    assert_eq!(world.bench.ended, [(1, "no endpoint")]);
    assert_eq!(world.condition().0, Condition::Ready);
    let asked = world.asked.len();
    for _ in 0..10 {
        world.bench.pass(MINUTE);
        world
            .bench
            .submit_as("m", &Operation::Embeddings, Priority::Normal, None);
        world.submit(3);
        assert_eq!(world.go()[0], 3, "chats do not wait for what embeddings are told");
    }
    assert_eq!(world.asked.len(), asked, "{:?}", world.asked);
}

#[test]
fn a_clock_that_is_an_hour_off_keeps_no_job_from_its_answer() {
    for clock_error in [3600, 3700, -3600, -3700] {
        // The source tells the time of day at which a token ends, and the token when it was issued, by the right clock.
        let mut world = World::new(1, |age| {
            let issued = 1_800_000_000 + age.as_secs();
            let token = crate::auth::jwt(&format!(r#"{{"iat":{issued},"exp":{}}}"#, issued + 3600));
            Ok(AccessToken::new(token, midnight() + age + HOUR))
        });
        world.clock_error = clock_error;
        let mut answered = 0;
        for _ in 0..3 * 60 {
            world.submit(1);
            answered += world.go()[0];
            world.bench.pass(MINUTE);
        }
        assert_eq!((answered, world.refusals), (180, 0), "{clock_error}");
        assert!(world.asked.len() <= 6, "{clock_error}: {:?}", world.asked);
    }
}
