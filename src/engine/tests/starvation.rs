//! Nobody starves: a large job beside an endless stream of small ones, and jobs of one model beside the limits of another.
//!
//! The service is an honest one that keeps to the quotas that were told, in either form.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::api::{Priority, Told};
use crate::balance::outcome::{Axis, Outcome, Throttle, Used};
use crate::engine::actions::Assignment;
use crate::engine::scenario::*;

const WINDOW: Duration = Duration::from_secs(60);
/// How often somebody looks at what has come.
const TICK: Duration = Duration::from_millis(250);

/// How a deployment counts.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// In windows, the first of which ends so many seconds after the beginning.
    Window(u32),
    Bucket,
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![(1u32..60).prop_map(Form::Window), Just(Form::Bucket)]
}

/// What a deployment has charged.
struct Deployment {
    form: Form,
    quota: f64,
    used: f64,
    /// The present window's end, or when it was last drained.
    at: Instant,
}

impl Deployment {
    fn new(form: Form, quota: u32, now: Instant) -> Self {
        let at = match form {
            Form::Window(first) => now + Duration::from_secs(first.into()),
            Form::Bucket => now,
        };
        Deployment {
            form,
            quota: quota.into(),
            used: 0.0,
            at,
        }
    }

    /// Admits a request, or names the seconds to wait.
    fn ask(&mut self, tokens: f64, now: Instant) -> Result<(), f64> {
        match self.form {
            Form::Window(_) => {
                while self.at <= now {
                    self.at += WINDOW;
                    self.used = 0.0;
                }
            }
            Form::Bucket => {
                let drained = (now - self.at).as_secs_f64() * self.quota / WINDOW.as_secs_f64();
                self.used = (self.used - drained).max(0.0);
                self.at = now;
            }
        }
        let over = self.used + tokens - self.quota;
        if over <= 0.0 {
            self.used += tokens;
            return Ok(());
        }
        Err(match self.form {
            Form::Window(_) => (self.at - now).as_secs_f64(),
            Form::Bucket => over * WINDOW.as_secs_f64() / self.quota,
        })
    }
}

/// An engine at work with deployments, one for each endpoint.
struct Town {
    bench: Bench,
    deployments: Vec<Deployment>,
    /// What is under way, with the moment at which its answer comes and what it is.
    under_way: Vec<(Instant, Assignment, Outcome)>,
    latency: Duration,
    /// When each job was admitted.
    admitted: BTreeMap<u64, Instant>,
}

impl Town {
    /// Each endpoint has a quota of so many tokens a minute, and serves a model of its own.
    fn new(quotas: &[(Form, u32)], latency: Duration) -> Self {
        let mut stage = Stage::of(quotas.len()).workers(512);
        for (index, &(_, quota)) in quotas.iter().enumerate() {
            stage = stage
                .limit(index, limit(Some(quota.into())))
                .endpoint(index, |spec| spec.max_in_flight = Some(256));
        }
        let bench = stage.begin();
        let deployment = |&(form, quota)| Deployment::new(form, quota, bench.now);
        Town {
            deployments: quotas.iter().map(deployment).collect(),
            bench,
            under_way: Vec::new(),
            latency,
            admitted: BTreeMap::new(),
        }
    }

    fn send(&mut self, mut all: Vec<Assignment>) {
        let now = self.bench.now;
        while let Some(sent) = all.pop() {
            let (size, endpoint) = (sent.job.request.size, sent.lease.endpoint().index());
            let asked = self.deployments[endpoint].ask(f64::from(size.total()), now);
            match asked {
                Ok(()) => {
                    self.admitted.insert(sent.job.id(), now);
                    if self.bench.head(&sent, Told::default()) {
                        all.extend(self.bench.go_on());
                    }
                    let used = Used {
                        prompt: Some(size.prompt()),
                        output: size.max_output(),
                    };
                    self.under_way.push((now + self.latency, sent, Outcome::Success(used)));
                }
                Err(wait) => {
                    let refused = Outcome::Throttled(Throttle {
                        wait: Some(Duration::from_secs_f64(wait.ceil())),
                        axis: Axis::Tokens,
                        reason: "429".to_owned(),
                    });
                    self.under_way.push((now, sent, refused));
                }
            }
        }
    }

    /// One tick passes. The timer does what is due meanwhile; answers come at its end.
    fn tick(&mut self) {
        let end = self.bench.now + TICK;
        while let Some(at) = self.bench.core.next_wake().filter(|&at| at < end) {
            assert!(at > self.bench.now, "what is due is not done");
            self.bench.now = at;
            let sent = self.bench.pump();
            self.send(sent);
        }
        self.bench.now = end;
        let (due, later) = self.under_way.drain(..).partition(|(at, ..)| *at <= end);
        self.under_way = later;
        let due: Vec<(Instant, Assignment, Outcome)> = due;
        for (_, sent, outcome) in due {
            self.bench.settle(sent, &outcome);
            let sent = self.bench.go_on();
            self.send(sent);
        }
        let sent = self.bench.go_on();
        self.send(sent);
    }

    fn submit(&mut self, model: &str, tokens: u32, priority: Priority) -> u64 {
        let job = self.bench.submit_sized(model, tokens, priority);
        let sent = self.bench.go_on();
        self.send(sent);
        job
    }
}

proptest! {
    /// Within three windows: one that had begun, one for what has to age, and one to itself.
    #[test]
    fn a_large_job_that_fits_a_window_goes_within_three_of_them_beside_small_ones_without_end(
        form in form(),
        quota in 20_000u32..100_000,
        small in 100u32..400,
        part in 20u32..90,
        classes in (0usize..3, 0usize..3),
        latency in 1u64..20,
    ) {
        let mut town = Town::new(&[(form, quota)], TICK * latency as u32);
        let (of_small, of_large) = (Priority::ALL[classes.0], Priority::ALL[classes.1]);
        let size = |number: u64| quota / 100 * (1 + (number as u32 * 7) % 5) * small / 400;
        let mut stream = 0;
        let mut flow = |town: &mut Town, until: Instant, large: Option<u64>| {
            while town.bench.now < until && large.is_none_or(|large| !town.admitted.contains_key(&large)) {
                while town.bench.core.waiting() < 24 {
                    town.submit("m", size(stream), of_small);
                    stream += 1;
                }
                town.tick();
            }
        };
        let begun = town.bench.now;
        flow(&mut town, begun + 2 * WINDOW, None);
        let large = town.submit("m", quota / 100 * part, of_large);
        let submitted = town.bench.now;
        flow(&mut town, submitted + 3 * WINDOW, Some(large));
        prop_assert!(town.admitted.contains_key(&large), "it starves");
    }

    /// They have a class of their own, for a class that has aged takes its turns in all lanes.
    #[test]
    fn limits_of_one_model_never_delay_jobs_of_another(
        forms in (form(), form()),
        quotas in (2_000u32..20_000, 20_000u32..100_000),
        narrow in prop::collection::vec((0u32..400, 10u32..8_000, 0usize..3), 0..60),
        wide in prop::collection::vec((0u32..400, 10u32..8_000), 1..60),
        class in 0usize..3,
    ) {
        let went = |narrow: &[(u32, u32, usize)]| {
            let mut town = Town::new(&[(forms.0, quotas.0), (forms.1, quotas.1)], 4 * TICK);
            let mut jobs = Vec::new();
            for tick in 0..1_200 {
                for &(_, tokens, class) in narrow.iter().filter(|(at, ..)| *at == tick) {
                    town.submit("m0", tokens, Priority::ALL[class]);
                }
                for (number, &(_, tokens)) in wide.iter().enumerate().filter(|(_, (at, ..))| *at == tick) {
                    jobs.push((number, town.submit("m1", tokens, Priority::ALL[class])));
                }
                town.tick();
            }
            let begun = town.bench.now - 1_200 * TICK;
            let when = |(number, id): &(usize, u64)| (*number, town.admitted.get(id).map(|at| *at - begun));
            jobs.iter().map(when).collect::<BTreeMap<usize, Option<Duration>>>()
        };
        prop_assert_eq!(went(&[]), went(&narrow));
    }
}
