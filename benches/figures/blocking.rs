//! What a call that blocks costs, beside the least that could do it: a channel to a worker, ureq, and a slot for the
//! answer.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use azure_openai_blaster::Blaster;
use crossbeam_channel::{Sender, unbounded};
use parking_lot::{Condvar, Mutex};

use crate::bare::Bare;
use crate::harness::{Effort, Goal, Ratio, cpu_each, figure};
use crate::ours::{self, PROMPT};
use crate::service::Service;

/// Threads that call, and as many workers.
const THREADS: usize = 16;

pub(crate) fn run(effort: Effort) {
    let service = Service::start(Duration::ZERO, 1).expect("the service starts");
    let urls = service.urls();
    let count = effort.count(10_000);
    let blaster = ours::blaster(&urls, THREADS);
    let skeleton = Skeleton::start(&Bare::new(&urls[0], THREADS));
    let ours = |blaster: &Blaster| {
        from_threads(count, || {
            let text = blaster.chat_completion(PROMPT).expect("the service answers");
            assert!(!text.is_empty());
        });
    };
    let other = |skeleton: &Skeleton| from_threads(count, || assert!(!skeleton.chat(PROMPT).is_empty()));
    ours(&blaster);
    other(&skeleton);
    let ratio = Ratio::of_pairs(
        effort,
        || cpu_each(count, || ours(&blaster)),
        || cpu_each(count, || other(&skeleton)),
    );
    let name = "CPU per blocking call ÷ channel, worker and slot around ureq";
    figure(name, ratio.median, "", Goal::AtMost(1.20), &ratio.detail("µs"));
}

/// Makes so many calls from all threads together.
fn from_threads(count: usize, call: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..count / THREADS).for_each(|_| call()));
        }
    });
}

struct Skeleton {
    queue: Sender<(String, Arc<Slot>)>,
}

#[derive(Default)]
struct Slot {
    text: Mutex<Option<String>>,
    filled: Condvar,
}

impl Skeleton {
    /// The threads end with the process.
    fn start(client: &Bare) -> Skeleton {
        let (queue, calls) = unbounded::<(String, Arc<Slot>)>();
        for _ in 0..THREADS {
            let (calls, client) = (calls.clone(), client.clone());
            thread::spawn(move || {
                for (prompt, slot) in &calls {
                    let text = client.chat(&prompt);
                    *slot.text.lock() = Some(text);
                    slot.filled.notify_one();
                }
            });
        }
        Skeleton { queue }
    }

    fn chat(&self, prompt: &str) -> String {
        let slot = Arc::new(Slot::default());
        let sent = self.queue.send((prompt.to_owned(), Arc::clone(&slot)));
        sent.expect("the threads live");
        let mut text = slot.text.lock();
        loop {
            match text.take() {
                Some(text) => return text,
                None => slot.filled.wait(&mut text),
            }
        }
    }
}
