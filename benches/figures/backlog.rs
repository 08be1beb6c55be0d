//! What a job of a backlog costs: submit all, wait for all, beside threads that take prompts from a channel and send
//! them with ureq.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};

use crate::bare::Bare;
use crate::harness::{Effort, Goal, Ratio, cpu_each, figure};
use crate::ours::{self, PROMPT};
use crate::service::Service;

pub(crate) fn run(effort: Effort) {
    let service = Service::start(Duration::ZERO, 1).expect("the service starts");
    let urls = service.urls();
    let count = effort.count(10_000);
    for workers in [16, 64, 256] {
        let blaster = ours::blaster(&urls, workers);
        let bare = Pool::start(&[Bare::new(&urls[0], workers)], workers);
        // Connections are made, and memory is set aside.
        ours::drain(&blaster, 2 * count.max(workers));
        bare.drain(2 * count.max(workers));
        let ratio = Ratio::of_pairs(
            effort,
            || cpu_each(count, || ours::drain(&blaster, count)),
            || cpu_each(count, || bare.drain(count)),
        );
        let name = format!("CPU per request of a backlog ÷ bare ureq, {workers} workers");
        figure(&name, ratio.median, "", Goal::AtMost(1.25), &ratio.detail("µs"));
        blaster.close();
        bare.stop();
    }
}

/// Threads that each take prompts from a channel and send them with ureq; a prompt's number picks the client.
pub(crate) struct Pool {
    queue: Sender<(usize, String)>,
    threads: Vec<JoinHandle<()>>,
    left: Arc<AtomicUsize>,
}

impl Pool {
    pub(crate) fn start(clients: &[Bare], workers: usize) -> Pool {
        let (queue, prompts) = unbounded::<(usize, String)>();
        let left = Arc::new(AtomicUsize::new(0));
        let drainer = thread::current();
        let threads = (0..workers).map(|_| {
            let (prompts, clients, left, drainer) =
                (prompts.clone(), clients.to_vec(), Arc::clone(&left), drainer.clone());
            thread::Builder::new()
                .name("bare".into())
                .stack_size(512 * 1024)
                .spawn(move || {
                    for (number, prompt) in &prompts {
                        let text = clients[number % clients.len()].chat(&prompt);
                        assert!(!text.is_empty());
                        if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                            drainer.unpark();
                        }
                    }
                })
        });
        Pool {
            queue,
            threads: threads.collect::<Result<_, _>>().expect("the threads start"),
            left,
        }
    }

    /// Sends so many prompts and waits until all are answered. To be called on the thread that started the pool.
    pub(crate) fn drain(&self, count: usize) {
        self.left.store(count, Ordering::Release);
        for number in 0..count {
            self.queue.send((number, PROMPT.to_owned())).expect("the threads live");
        }
        while self.left.load(Ordering::Acquire) > 0 {
            thread::park();
        }
    }

    pub(crate) fn stop(self) {
        drop(self.queue);
        for thread in self.threads {
            thread.join().expect("no thread panics");
        }
    }
}
