//! Changes of endpoints and remarks, on their way to the log and the listener.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::balance::{Change, Remark};

/// Something to be told.
#[derive(Debug)]
pub(crate) enum Piece {
    Change(Change),
    Remark(Remark),
}

/// News in the order in which they happened.
///
/// They are added under the engine's lock and told without it, by whichever thread comes first; another that brings
/// more meanwhile leaves them to that one. So the listener hears one change at a time, and never an older one after a
/// newer one. A listener that changes an endpoint itself hears of it when it has returned.
#[derive(Debug, Default)]
pub(crate) struct News {
    waiting: Mutex<VecDeque<Piece>>,
    telling: Mutex<()>,
}

impl News {
    /// Adds what has changed; to be called under the lock under which it did.
    pub(crate) fn add(&self, pieces: impl IntoIterator<Item = Piece>) {
        self.waiting.lock().extend(pieces);
    }

    /// Tells what waits, unless another thread is at it.
    pub(crate) fn tell(&self, each: impl Fn(Piece)) {
        loop {
            let Some(telling) = self.telling.try_lock() else { return };
            loop {
                // In a statement of its own, so that the queue is free while somebody listens.
                let next = self.waiting.lock().pop_front();
                let Some(piece) = next else { break };
                each(piece);
            }
            drop(telling);
            // What was added after the last look was left to this thread.
            if self.waiting.lock().is_empty() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Condition;

    fn change(number: usize) -> Piece {
        Piece::Change(Change {
            endpoint: number.to_string().into(),
            condition: Condition::Ready,
            reason: None,
            until: None,
        })
    }

    fn name(piece: &Piece) -> &str {
        match piece {
            Piece::Change(change) => &change.endpoint,
            Piece::Remark(remark) => panic!("only changes are told here: {remark:?}"),
        }
    }

    #[test]
    fn a_listener_that_changes_something_hears_of_it_after_it_has_returned() {
        let news = News::default();
        let heard = Mutex::new(Vec::new());
        let hear = |heard: &Mutex<Vec<String>>, what: &str| heard.lock().push(what.to_owned());
        news.add([change(1), change(2)]);
        news.tell(|first| {
            if name(&first) == "1" {
                news.add([change(3)]);
                news.tell(|_| hear(&heard, "inside"));
            }
            hear(&heard, name(&first));
        });
        assert_eq!(*heard.lock(), ["1", "2", "3"]);
    }

    #[test]
    fn changes_of_many_threads_are_told_one_at_a_time_and_in_order() {
        /// Fewer where each takes a thousand times as long.
        const EACH: usize = if cfg!(miri) { 10 } else { 500 };
        let news = News::default();
        let next = Mutex::new(0);
        let heard = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        {
                            let mut next = next.lock();
                            *next += 1;
                            news.add([change(*next)]);
                        }
                        news.tell(|change| heard.lock().push(name(&change).parse::<usize>().unwrap()));
                    }
                });
            }
        });
        assert_eq!(*heard.lock(), (1..=4 * EACH).collect::<Vec<_>>());
    }
}
