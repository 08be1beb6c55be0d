//! What a job costs that waits: a million of them behind one worker whose request is never answered.

use std::thread;

use azure_openai_blaster::Blaster;
use azure_openai_blaster::error::fault::{Fault, FaultKind, Phase};
use azure_openai_blaster::transport::{Call, Reply, Transport};

use crate::harness::{Effort, Goal, figure, status_bytes};
use crate::ours::{self, PROMPT};

/// Never answers; a call ends when it is cancelled.
struct Silence;

impl Transport for Silence {
    fn send(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        while !call.gate.is_cancelled() {
            thread::sleep(std::time::Duration::from_millis(10));
        }
        Err(Fault::new(FaultKind::Cancelled, Phase::NotWritten, "cancelled"))
    }
}

pub(crate) fn run(effort: Effort) {
    let count = effort.count(1_000_000);
    let config = ours::config(&["http://127.0.0.1:1".to_owned()], 1).queue_capacity(count + 1);
    let blaster = Blaster::builder().config(config).transport(Silence);
    let blaster = blaster.build().expect("the configuration is good");
    // What waits of a request: the members of its body, as JSON.
    let payload = format!(r#""messages":[{{"role":"user","content":"{PROMPT}"}}]"#).len();
    let submit = || blaster.submit_chat_completion(PROMPT).expect("there is room");
    let first = submit();
    let before = status_bytes("VmRSS");
    let handles: Vec<_> = (0..count).map(|_| submit()).collect();
    let grown = status_bytes("VmRSS").saturating_sub(before) as f64 / count as f64;
    assert_eq!(blaster.waiting(), count, "all but the first wait");
    figure(
        "memory of a queued job beyond its payload",
        grown - payload as f64,
        " B",
        Goal::AtMost(256.0),
        &format!("{count} jobs, resident memory, handles included; payload {payload} B"),
    );
    blaster.close();
    drop((first, handles));
}
