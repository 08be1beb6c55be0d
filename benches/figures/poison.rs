//! What prompts cost the others that no endpoint bears, or one does not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use azure_openai_blaster::api::{Condition, Ledger};
use azure_openai_blaster::error::Error;
use azure_openai_blaster::{Blaster, Event};

use crate::harness::{Effort, Goal, figure};
use crate::ours;
use crate::picky::{Meets, Picky};

pub(crate) const ENDPOINTS: usize = 4;
pub(crate) const CALLERS: usize = 16;
/// How long a good answer takes: sixteen callers get 660 a second.
pub(crate) const LATENCY: Duration = Duration::from_millis(24);
/// Stands in the prompts that are not borne.
const WORD: &str = "POISON";

const ANSWERS: [(&str, Meets); 12] = [
    ("502", Meets::Page(502)),
    ("503", Meets::Page(503)),
    ("504", Meets::Page(504)),
    ("408", Meets::Page(408)),
    ("424", Meets::Page(424)),
    ("a closed connection", Meets::Closed),
    ("half an answer", Meets::Half),
    ("a reset", Meets::Reset),
    ("a redirect", Meets::Page(302)),
    ("a 403 page", Meets::Page(403)),
    ("a 404 page", Meets::Page(404)),
    ("a 405 page", Meets::Page(405)),
];

pub(crate) fn run(effort: Effort) {
    let time = Duration::from_secs(if effort.quick { 3 } else { 10 });
    for every in [20, 400] {
        let most = Crowd::run(every, Meets::Page(500), time).answered;
        for (name, meets) in ANSWERS {
            let crowd = Crowd::run(every, meets, time);
            let detail = format!(
                "{} ÷ {most} good jobs in {} s, good ones lost {}, endpoints out {}",
                crowd.answered,
                time.as_secs(),
                crowd.lost,
                crowd.out
            );
            let name = format!("good jobs ÷ with 500s, 1 prompt in {every} gets {name}");
            figure(
                &name,
                crowd.answered as f64 / most as f64,
                "",
                Goal::AtLeast(0.667),
                &detail,
            );
        }
    }
    for (name, meets) in ANSWERS {
        one_job_of_a_sole_endpoint(name, meets);
    }
    for (name, meets) in ANSWERS {
        one_deployment_of_four(name, meets);
    }
}

/// What `meets` the prompts with the word, and the others an answer.
fn unless_poisoned(meets: Meets) -> impl Fn(&[u8]) -> Meets + Send + Sync + 'static {
    move |request: &[u8]| {
        let is_poisoned = request.windows(WORD.len()).any(|word| word == WORD.as_bytes());
        if is_poisoned { meets } else { Meets::Answer(LATENCY) }
    }
}

/// A blaster of these endpoints, and what it tells.
pub(crate) fn start(urls: &[String], workers: usize) -> (Blaster, mpsc::Receiver<Event>) {
    let (tell, told) = mpsc::channel();
    let builder = Blaster::builder()
        .config(ours::config(urls, workers))
        .on_event(move |event: &Event| drop(tell.send(event.clone())));
    (builder.build().expect("the configuration is good"), told)
}

pub(crate) fn urls(servers: &[Picky]) -> Vec<String> {
    servers.iter().map(|server| server.url.clone()).collect()
}

/// How often an endpoint has been taken out.
fn times_out(told: &mpsc::Receiver<Event>) -> usize {
    let is_out = |event: &Event| {
        matches!(
            event,
            Event::EndpointChanged {
                condition: Condition::Ejected | Condition::Disabled,
                ..
            }
        )
    };
    told.try_iter().filter(is_out).count()
}

/// What callers got who each wait for an answer before they ask again.
struct Crowd {
    answered: usize,
    /// Good jobs that failed.
    lost: usize,
    out: usize,
}

impl Crowd {
    fn run(every: usize, meets: Meets, time: Duration) -> Crowd {
        let servers: Vec<_> = (0..ENDPOINTS).map(|_| Picky::start(unless_poisoned(meets))).collect();
        let (blaster, told) = start(&urls(&servers), CALLERS);
        let (next, answered, lost) = (AtomicUsize::new(1), AtomicUsize::new(0), AtomicUsize::new(0));
        let ends = Instant::now() + time;
        let crowd = || {
            while Instant::now() < ends {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let is_poison = number.is_multiple_of(every);
                let prompt = if is_poison { WORD } else { ours::PROMPT };
                let mut handle = blaster.submit_chat_completion(prompt).expect("there is room");
                let left = ends.saturating_duration_since(Instant::now());
                match (handle.wait_timeout(left), is_poison) {
                    (Some(Ok(_)), false) => answered.fetch_add(1, Ordering::Relaxed),
                    (Some(Err(_)), false) => lost.fetch_add(1, Ordering::Relaxed),
                    _ => 0,
                };
            }
        };
        thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(crowd);
            }
        });
        blaster.close();
        Crowd {
            answered: answered.into_inner(),
            lost: lost.into_inner(),
            out: times_out(&told),
        }
    }
}

fn attempts(error: &Error) -> usize {
    error.ledger().map_or(0, Ledger::len)
}

/// One job that the only deployment does not bear, before ten good ones, with one worker.
fn one_job_of_a_sole_endpoint(name: &str, meets: Meets) {
    let server = Picky::start(unless_poisoned(meets));
    let (blaster, _told) = start(&[server.url], 1);
    // It has served.
    ours::drain(&blaster, 4);
    let begun = Instant::now();
    let poison = blaster.submit_chat_completion(WORD).expect("there is room");
    let good: Vec<_> = (0..10)
        .map(|_| blaster.submit_chat_completion(ours::PROMPT).expect("there is room"))
        .collect();
    let lost = good.into_iter().filter_map(|handle| handle.wait().err()).count();
    let waited = begun.elapsed();
    let attempts = poison.wait().err().map_or(0, |error| attempts(&error));
    let detail = format!(
        "the last of ten good jobs after {:.2} s, {lost} lost; the other ended after {:.2} s",
        waited.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    let name = format!("requests of one job that gets {name} from a sole endpoint");
    // A pooled connection that closes is no failure once.
    let most = if matches!(meets, Meets::Closed | Meets::Reset) {
        6.0
    } else {
        5.0
    };
    figure(&name, attempts as f64, "", Goal::AtMost(most), &detail);
    blaster.close();
}

/// One deployment of four does not bear one prompt in twenty.
fn one_deployment_of_four(name: &str, meets: Meets) {
    let mut servers = vec![Picky::start(unless_poisoned(meets))];
    servers.extend((1..ENDPOINTS).map(|_| Picky::start(|_| Meets::Answer(LATENCY))));
    let (blaster, told) = start(&urls(&servers), CALLERS);
    let begun = Instant::now();
    let handles: Vec<_> = (0..2000)
        .map(|number: usize| {
            let prompt = if number.is_multiple_of(20) { WORD } else { ours::PROMPT };
            blaster.submit_chat_completion(prompt).expect("there is room")
        })
        .collect();
    let lost = handles.into_iter().filter_map(|handle| handle.wait().err()).count();
    let took = begun.elapsed().as_secs_f64();
    let report = blaster.states().remove(0).report();
    let detail = format!(
        "{lost} of 2000 lost, times out {}, it served {}",
        times_out(&told),
        report.totals.succeeded
    );
    let least = 2000.0 / CALLERS as f64 * LATENCY.as_secs_f64();
    let name = format!("time ÷ least, one of four gives {name} to 1 in 20");
    figure(&name, took / least, "", Goal::AtMost(1.5), &detail);
    blaster.close();
}
