//! Requests that every endpoint answers with an error, among thousands of good ones: they fail alone.

use std::time::Duration;

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::{ChatRequest, Condition};
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig};
use azure_openai_blaster::error::ErrorKind;
use azure_openai_blaster::sim::{FleetSettings, SimConfig, SimFleet};

use crate::conversing::Conversing;
use crate::support::{ask, attempts, config, echo, listened, wait, wait_all};

const ANSWER: &str =
    r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hey"}}]}"#;

const GOOD: usize = 5000;
/// Of each of the two poisons.
const BAD: usize = 50;

/// What a job is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Good,
    /// Answered 400 by every endpoint.
    Refused,
    /// Answered 500 by every endpoint.
    Crashing,
}

impl Kind {
    fn request(self, id: usize) -> ChatRequest {
        match self {
            Kind::Good => ask(id),
            Kind::Refused => ask(format!("{id} POISON-400")),
            Kind::Crashing => ask(format!("{id} POISON-500")),
        }
    }
}

/// Good jobs, and the bad ones one after the other in their midst.
fn contiguous() -> Vec<Kind> {
    let runs = [
        (Kind::Good, GOOD / 2),
        (Kind::Refused, BAD),
        (Kind::Crashing, BAD),
        (Kind::Good, GOOD / 2),
    ];
    runs.into_iter().flat_map(|(kind, count)| vec![kind; count]).collect()
}

/// The same jobs, scattered.
fn shuffled() -> Vec<Kind> {
    let jobs = contiguous();
    // A prime that does not divide the number of jobs meets each of them once.
    let step = 1999;
    (0..jobs.len()).map(|turn| jobs[turn * step % jobs.len()]).collect()
}

/// A 500 is asked about elsewhere, three times at most.
fn check(endpoints: usize, jobs: &[Kind]) {
    let asked = endpoints.min(3);
    let poisoned = SimConfig::uniform(endpoints)
        .poison("POISON-400", 400)
        .poison("POISON-500", 500);
    let fleet = SimFleet::start_with(poisoned, &FleetSettings::new()).unwrap();
    let (blaster, told) = listened(config(&fleet).num_workers(32));
    let handles: Vec<_> = jobs
        .iter()
        .enumerate()
        .map(|(id, kind)| blaster.submit(kind.request(id)).unwrap())
        .collect();
    let results = wait_all(handles);
    for (id, (kind, result)) in jobs.iter().zip(&results).enumerate() {
        match (kind, result) {
            (Kind::Good, Ok(completion)) => assert!(completion.text().unwrap().starts_with(&echo(id))),
            (Kind::Refused, Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
                assert_eq!((attempts(result), error.upstream().unwrap().status), (1, 400));
            }
            (Kind::Crashing, Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::ServerErrors, "{error}");
                assert_eq!((attempts(result), error.upstream().unwrap().status), (asked, 500));
            }
            (kind, result) => panic!("job {id}, {kind:?}: {result:?}"),
        }
    }
    assert_eq!(
        fleet.totals().requests as usize,
        results.iter().map(attempts).sum::<usize>()
    );
    // No endpoint even rested.
    assert_eq!(told.conditions(), []);
    for state in blaster.states() {
        let report = state.report();
        assert_eq!(
            (report.condition, report.failure_streak),
            (Condition::Ready, 0),
            "{report}"
        );
    }
}

#[test]
fn poison_in_a_row_takes_no_endpoint_out() {
    check(4, &contiguous());
    check(2, &contiguous());
}

#[test]
fn scattered_poison_takes_no_endpoint_out() {
    check(4, &shuffled());
}

/// Answers that may be an endpoint's fault as well as the prompt's.
#[test]
fn prompts_that_every_endpoint_fails_take_none_of_them_out() {
    for status in [502, 503, 408, 424] {
        let poisoned = SimConfig::uniform(4).poison("POISON", status);
        let fleet = SimFleet::start_with(poisoned, &FleetSettings::new()).unwrap();
        let (blaster, told) = listened(config(&fleet).num_workers(16));
        let is_bad = |id: usize| id.is_multiple_of(20);
        let handles: Vec<_> = (0..1000)
            .map(|id| {
                let asked = if is_bad(id) {
                    ask(format!("{id} POISON"))
                } else {
                    ask(id)
                };
                blaster.submit(asked).unwrap()
            })
            .collect();
        for (id, result) in wait_all(handles).iter().enumerate() {
            assert_eq!(result.is_err(), is_bad(id), "{status}: {result:?}");
            if let Err(error) = result {
                assert_eq!(attempts(result), 5, "{error}");
            }
        }
        let conditions = told.conditions();
        let out = |condition: &Condition| matches!(condition, Condition::Ejected | Condition::Disabled);
        assert!(
            !conditions.iter().any(|(_, condition)| out(condition)),
            "{status}: {conditions:?}"
        );
    }
}

/// A firewall in front of the only deployment, and the first prompt of all is one that it does not like.
#[test]
fn the_first_prompt_of_a_sole_deployment_fails_alone_whatever_page_a_firewall_answers() {
    const ANSWER: &str =
        r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hey"}}]}"#;
    for status in ["302 Found", "401 No", "403 No", "404 No", "405 No", "410 No"] {
        for workers in [1, 4] {
            let server = Conversing::start(move |mut talk| {
                let is_bad = String::from_utf8_lossy(&talk.request.body).contains("POISON");
                let (status, body) = if is_bad {
                    (status, "<html>no</html>")
                } else {
                    ("200 OK", ANSWER)
                };
                talk.send(&format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                ))
            });
            let deployment = DeploymentConfig::new("d", &*server.url, "m").auth(Auth::None);
            let config = BlasterConfig::new([deployment]).num_workers(workers);
            let blaster = Blaster::builder().config(config).seed(1).build().unwrap();
            let handles: Vec<_> = (0..20)
                .map(|id| blaster.submit(if id == 0 { "POISON" } else { "fine" }).unwrap())
                .collect();
            for (id, result) in wait_all(handles).iter().enumerate() {
                assert_eq!(
                    result.is_err(),
                    id == 0,
                    "{status}, {workers} workers, job {id}: {result:?}"
                );
            }
        }
    }
}

/// What closes a pooled connection is no failure, for it may have been closed before; but not each time, for a job.
#[test]
fn a_job_that_is_cut_off_each_time_is_sent_once_more_than_its_attempts_at_most() {
    let server = Conversing::start(|mut talk| {
        let is_bad = String::from_utf8_lossy(&talk.request.body).contains("POISON");
        !is_bad
            && talk.send(&format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{ANSWER}",
                ANSWER.len()
            ))
    });
    let deployment = DeploymentConfig::new("d", &*server.url, "m").auth(Auth::None);
    let config = BlasterConfig::new([deployment]).num_workers(2);
    let blaster = Blaster::builder().config(config).seed(1).build().unwrap();
    wait(blaster.submit("fine").unwrap()).unwrap();
    let mut bad = blaster.submit("POISON").unwrap();
    // The good ones leave connections in the pool.
    let result = loop {
        wait(blaster.submit("fine").unwrap()).unwrap();
        if let Some(result) = bad.wait_timeout(Duration::from_millis(5)) {
            break result;
        }
    };
    assert!((5..=6).contains(&attempts(&result)), "{result:?}");
}
