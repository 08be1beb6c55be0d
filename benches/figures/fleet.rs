//! Whether a thousand workers are kept busy: 40 endpoints that take 100 ms, beside bare ureq with a client for each.

use std::time::{Duration, Instant};

use crate::backlog::Pool;
use crate::bare::Bare;
use crate::harness::{Effort, Goal, Ratio, figure};
use crate::ours;
use crate::service::Service;

const WORKERS: usize = 1_024;
const ENDPOINTS: usize = 40;
const LATENCY: Duration = Duration::from_millis(100);

pub(crate) fn run(effort: Effort) {
    let service = Service::start(LATENCY, ENDPOINTS).expect("the service starts");
    let urls = service.urls();
    let count = effort.count(20 * WORKERS);
    let blaster = ours::blaster(&urls, WORKERS);
    let clients: Vec<_> = urls.iter().map(|url| Bare::new(url, WORKERS)).collect();
    let bare = Pool::start(&clients, WORKERS);
    ours::drain(&blaster, 4 * WORKERS);
    bare.drain(4 * WORKERS);
    let rate = |work: &dyn Fn()| {
        let started = Instant::now();
        work();
        count as f64 / started.elapsed().as_secs_f64()
    };
    let ratio = Ratio::of_pairs(
        effort,
        || rate(&|| ours::drain(&blaster, count)),
        || rate(&|| bare.drain(count)),
    );
    let name = format!("rate of {WORKERS} workers, {ENDPOINTS} endpoints, 100 ms ÷ bare ureq");
    figure(
        &name,
        ratio.median,
        "",
        Goal::AtLeast(0.95),
        &ratio.detail("requests/s"),
    );
    blaster.close();
    bare.stop();
}
