//! Endpoints that bear nothing: how soon they are out, and that no job is lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use azure_openai_blaster::Event;
use azure_openai_blaster::api::Condition;
use azure_openai_blaster::error::Error;

use crate::harness::{Effort, Goal, figure};
use crate::ours;
use crate::picky::{Meets, Picky};
use crate::poison::{CALLERS, ENDPOINTS, LATENCY, start, urls};

pub(crate) fn run(effort: Effort) {
    for (name, meets) in [("502", Meets::Page(502)), ("a reset", Meets::Reset)] {
        one_of_four_dies(name, meets);
    }
    nobody_listens();
    everything_fails(if effort.quick { 20 } else { 60 });
}

/// One of four endpoints dies amid work.
fn one_of_four_dies(name: &str, meets: Meets) {
    let dies = Instant::now() + Duration::from_secs(2);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut servers = vec![Picky::start({
        let asked = Arc::clone(&asked);
        move |_| {
            if Instant::now() < dies {
                return Meets::Answer(LATENCY);
            }
            asked.lock().expect("nobody panics").push(Instant::now());
            meets
        }
    })];
    servers.extend((1..ENDPOINTS).map(|_| Picky::start(|_| Meets::Answer(LATENCY))));
    let (blaster, told) = start(&urls(&servers), CALLERS);
    let handles: Vec<_> = (0..15_000)
        .map(|_| blaster.submit_chat_completion(ours::PROMPT).expect("there is room"))
        .collect();
    let ejected = loop {
        let Ok(event) = told.recv_timeout(Duration::from_secs(60)) else {
            break None;
        };
        if let Event::EndpointChanged {
            condition: Condition::Ejected,
            reason,
            ..
        } = event
        {
            break Some((Instant::now(), reason));
        }
    };
    let (at, reason) = ejected.expect("it is ejected before the backlog is over");
    let asked = asked
        .lock()
        .expect("nobody panics")
        .iter()
        .filter(|time| **time <= at)
        .count();
    let lost = handles.into_iter().filter_map(|handle| handle.wait().err()).count();
    let detail = format!(
        "{asked} requests met it, {lost} of 15000 jobs lost; {}",
        reason.unwrap_or_default()
    );
    let name = format!("seconds until one of four that gives {name} to all is out");
    figure(&name, (at - dies).as_secs_f64(), " s", Goal::AtMost(20.0), &detail);
    blaster.close();
}

/// A backlog of a sole endpoint at which nobody listens.
fn nobody_listens() {
    let (blaster, _told) = start(&["http://127.0.0.1:1".to_owned()], CALLERS);
    let begun = Instant::now();
    let handles: Vec<_> = (0..200)
        .map(|_| blaster.submit_chat_completion(ours::PROMPT).expect("there is room"))
        .collect();
    let errors: Vec<_> = handles.into_iter().filter_map(|handle| handle.wait().err()).collect();
    let told = errors.iter().map(Error::to_string);
    let told = told.filter(|told| told.contains("never reached")).count();
    let detail = format!("{} of 200 failed, {told} with \"never reached\"", errors.len());
    let name = "seconds until a backlog ends whose endpoint was never reached";
    figure(name, begun.elapsed().as_secs_f64(), " s", Goal::AtMost(45.0), &detail);
    blaster.close();
}

/// Everything answers 502 for so many seconds, under ten thousand jobs.
fn everything_fails(seconds: u64) {
    let from = Instant::now() + Duration::from_secs(2);
    let until = from + Duration::from_secs(seconds);
    let servers: Vec<_> = (0..ENDPOINTS)
        .map(|_| {
            Picky::start(move |_| {
                let now = Instant::now();
                if now >= from && now < until {
                    Meets::Page(502)
                } else {
                    Meets::Answer(LATENCY)
                }
            })
        })
        .collect();
    let (blaster, told) = start(&urls(&servers), CALLERS);
    let handles: Vec<_> = (0..10_000)
        .map(|_| blaster.submit_chat_completion(ours::PROMPT).expect("there is room"))
        .collect();
    let lost = handles.into_iter().filter_map(|handle| handle.wait().err()).count();
    let ended = Instant::now();
    let mut out = BTreeMap::new();
    for event in told.try_iter() {
        if let Event::EndpointChanged {
            endpoint, condition, ..
        } = event
            && condition == Condition::Ejected
        {
            *out.entry(endpoint).or_insert(0) += 1;
        }
    }
    let least = 10_000.0 / CALLERS as f64 * LATENCY.as_secs_f64() - 2.0;
    let detail = format!(
        "{lost} of 10000 jobs lost, all endpoints out: {}; the work left then takes {least:.1} s at least",
        out.len() == ENDPOINTS
    );
    let name = format!("seconds from the end of {seconds} s of 502 to the last answer");
    figure(
        &name,
        (ended - until).as_secs_f64(),
        " s",
        Goal::AtMost(least + 15.0),
        &detail,
    );
    blaster.close();
}
