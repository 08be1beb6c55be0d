//! The threads of a blaster: its timer and its workers.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use parking_lot::Mutex;

use super::local_limits::room_for_workers;
use super::shared::Shared;
use super::worker;
use crate::error::{Error, Result};

/// Held while a pool is started: of two that were started at once each would count on the room that the other takes.
static STARTING: Mutex<()> = Mutex::new(());

/// Starts the timer and the workers, as many of `wanted` as this machine has room for, and says how many. All of them run by
/// then, and what they take is taken.
pub(super) fn start(shared: &Arc<Shared>, wanted: usize) -> Result<usize> {
    let _starting = STARTING.lock();
    let room = room_for_workers(wanted);
    if let Some(bound) = room.bound {
        let words = format!(
            "this machine has room for {} of {wanted} worker threads: {bound}",
            room.workers
        );
        if room.workers == 0 {
            return Err(Error::Start(io::Error::new(io::ErrorKind::OutOfMemory, words)));
        }
        log::warn!("{words}, or lower num_workers");
    }
    let timer = Arc::clone(shared);
    spawn("blaster-timer".to_owned(), move || timer.run_timer()).map_err(Error::Start)?;
    let (begins, begun) = mpsc::channel::<()>();
    let mut started = 0;
    while started < room.workers {
        let (worker, begins) = (Arc::clone(shared), begins.clone());
        // Counted before it runs, so that whoever looks sees the whole pool.
        shared.with_core(|core| core.workers += 1);
        let spawned = spawn(format!("blaster-{started}"), move || {
            drop(begins);
            worker::run(&worker);
        });
        if let Err(error) = spawned {
            shared.with_core(|core| core.worker_left());
            if started == 0 {
                return Err(Error::Start(error));
            }
            log::warn!("only {started} of {wanted} worker threads could be started: {error}");
            break;
        }
        started += 1;
    }
    if started < wanted {
        shared.with_core(|core| core.balancer.set_workers(started as u32));
    }
    drop(begins);
    // Nothing is ever sent: it ends when the last of them has let go of its end.
    let _ = begun.recv();
    Ok(started)
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    // Nobody joins: a thread ends by itself when the blaster is closed, and closing never waits for a socket.
    thread::Builder::new()
        .name(name)
        .stack_size(worker::STACK)
        .spawn(body)
        .map(drop)
}
