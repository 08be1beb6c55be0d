//! Ten thousand requests under way at once, over plain HTTP: does everybody get an answer, and in how much memory?

use std::time::Duration;

use crate::harness::{Effort, Goal, figure, status_bytes};
use crate::ours::{self, PROMPT};
use crate::service::Service;

/// Time in which all requests can be sent, so that all are under way together.
const LATENCY: Duration = Duration::from_secs(10);

pub(crate) fn run(effort: Effort) {
    let count = effort.count(10_000);
    let service = Service::start(LATENCY, 1).expect("the service starts");
    let blaster = ours::blaster(&service.urls(), count);
    let handles: Vec<_> = (0..count)
        .map(|_| blaster.submit_chat_completion(PROMPT).expect("there is room"))
        .collect();
    let mut most = 0;
    while !handles[0].is_finished() {
        std::thread::sleep(Duration::from_millis(50));
        most = most.max(blaster.in_flight());
    }
    let answered = handles.into_iter().filter_map(|handle| handle.wait().ok()).count();
    figure(
        &format!("{count} in flight: answered"),
        answered as f64,
        "",
        Goal::AtLeast(count as f64),
        &format!("most under way at once {most}"),
    );
    let most = status_bytes("VmHWM") as f64 / 1e6;
    figure(
        &format!("{count} in flight: resident memory at its most"),
        most,
        " MB",
        Goal::AtMost(750.0),
        "",
    );
    blaster.close();
}
