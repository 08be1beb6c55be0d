//! What is measured where a deployment breaks: always the first one.

use std::time::Duration;

use crate::case::{FAULT_FROM, FAULT_TO};
use crate::quantile::quantile;
use crate::world::record::{End, Record, Sending};

const BROKEN: usize = 0;
/// Time between probes.
const PROBE: Duration = Duration::from_secs(5);
/// A job may take so much longer than 99 of 100 do in peace.
const LATE: f64 = 15.0;
/// Its share is looked at from so long after the first answer, for a minute.
const RAMP: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_secs(60);

/// How many requests it gets, after its first failure was heard, before they come at most once per 5 s; and the mean
/// time between those.
pub(crate) fn dies(record: &Record) -> Vec<f64> {
    let first = there(record)
        .filter_map(|sending| match sending.end {
            Some((at, End::Reset)) => Some(at),
            _ => None,
        })
        .min()
        .unwrap_or(record.over);
    let sent: Vec<Duration> = there(record)
        .map(|sending| sending.sent)
        .filter(|&sent| sent > first)
        .collect();
    let pauses: Vec<Duration> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The last of those that come too quickly is the one before the first pause of those that are all long enough.
    let quick = pauses
        .iter()
        .rposition(|&pause| pause < PROBE)
        .map_or(0, |last| last + 1);
    let probes = &pauses[quick..];
    let between = probes.iter().sum::<Duration>().as_secs_f64() / probes.len() as f64;
    let failures = sent.len().min(quick + 1);
    vec![failures as f64, between, record.failed() as f64]
}

/// How many jobs are late: of those that were not there when it began to hang, of those of them that were not sent
/// there after that either, and of all. Late is what takes much longer than 99 of 100 jobs do in the same world without
/// the fault, and than it took itself there.
pub(crate) fn hangs(record: &Record, unharmed: &Record) -> Vec<f64> {
    let began = Duration::from_secs_f64(FAULT_FROM);
    let mut times: Vec<f64> = (0..unharmed.jobs.len()).map(|job| time_of(unharmed, job)).collect();
    let p99 = quantile(&mut times, 0.99);
    let late: Vec<usize> = (0..record.jobs.len())
        .filter(|&job| time_of(record, job) > p99.max(time_of(unharmed, job)) + LATE)
        .collect();
    let mut was_there = vec![false; record.jobs.len()];
    let mut was_sent = vec![false; record.jobs.len()];
    for sending in there(record) {
        let left = sending.end.is_none_or(|(at, _)| at > began);
        was_there[sending.job] |= sending.sent <= began && left;
        was_sent[sending.job] |= sending.sent > began;
    }
    let others = late.iter().filter(|&&job| !was_there[job]).count();
    let free = late.iter().filter(|&&job| !was_there[job] && !was_sent[job]).count();
    vec![
        others as f64,
        free as f64,
        late.len() as f64,
        p99,
        record.failed() as f64,
    ]
}

/// How soon it is asked when it is well again, and its part of its share from ten seconds after its first answer.
pub(crate) fn heals(record: &Record) -> Vec<f64> {
    let healed = Duration::from_secs_f64(FAULT_TO);
    let asked = there(record).map(|sending| sending.sent).find(|&sent| sent >= healed);
    let answered = there(record)
        .filter(|sending| sending.sent >= healed)
        .find_map(|sending| match sending.end {
            Some((at, End::Answered)) => Some(at),
            _ => None,
        });
    let share = answered.map_or(0.0, |answered| {
        let look = answered + RAMP..answered + RAMP + LOOK;
        let seen = |sending: &&Sending| look.contains(&sending.sent);
        let all = record.sendings.iter().filter(seen).count();
        let its = there(record).filter(seen).count();
        // All weigh the same.
        (its * record.plans.len()) as f64 / all as f64
    });
    let wait = asked.map_or(f64::INFINITY, |asked| (asked - healed).as_secs_f64());
    vec![wait, share, record.failed() as f64]
}

fn there(record: &Record) -> impl Iterator<Item = &Sending> {
    record.sendings.iter().filter(|sending| sending.service == BROKEN)
}

/// From the job's coming to its end; the world's end for one that has none.
fn time_of(record: &Record, job: usize) -> f64 {
    let end = record.ends[job].map_or(record.over, |end| end.at);
    end.saturating_sub(record.jobs[job].submitted).as_secs_f64()
}
