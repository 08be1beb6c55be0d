//! Changes of endpoints, on their way to the log and the listener.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::balance::Change;

/// Changes in the order in which they happened.
///
/// They are added under the engine's lock and told without it, by whichever thread comes first; another that brings
/// more meanwhile leaves them to that one. So the listener hears one change at a time, and never an older one after a
/// newer one. A listener that changes an endpoint itself hears of it when it has returned.
#[derive(Debug, Default)]
pub(crate) struct News {
    waiting: Mutex<VecDeque<Change>>,
    telling: Mutex<()>,
}

impl News {
    /// Adds what has changed; to be called under the lock under which it did.
    pub(crate) fn add(&self, changes: &mut Vec<Change>) {
        self.waiting.lock().extend(changes.drain(..));
    }

    /// Tells what waits, unless another thread is at it.
    pub(crate) fn tell(&self, each: impl Fn(Change)) {
        loop {
            let Some(telling) = self.telling.try_lock() else { return };
            loop {
                // In a statement of its own, so that the queue is free while somebody listens.
                let next = self.waiting.lock().pop_front();
                let Some(change) = next else { break };
                each(change);
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

    fn change(number: usize) -> Change {
        Change {
            endpoint: number.to_string().into(),
            condition: Condition::Ready,
            reason: None,
            until: None,
        }
    }

    #[test]
    fn a_listener_that_changes_something_hears_of_it_after_it_has_returned() {
        let news = News::default();
        let heard = Mutex::new(Vec::new());
        let hear = |heard: &Mutex<Vec<String>>, what: &str| heard.lock().push(what.to_owned());
        news.add(&mut vec![change(1), change(2)]);
        news.tell(|first| {
            if &*first.endpoint == "1" {
                news.add(&mut vec![change(3)]);
                news.tell(|_| hear(&heard, "inside"));
            }
            hear(&heard, &first.endpoint);
        });
        assert_eq!(*heard.lock(), ["1", "2", "3"]);
    }

    #[test]
    fn changes_of_many_threads_are_told_one_at_a_time_and_in_order() {
        let news = News::default();
        let next = Mutex::new(0);
        let heard = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        {
                            let mut next = next.lock();
                            *next += 1;
                            news.add(&mut vec![change(*next)]);
                        }
                        news.tell(|change| heard.lock().push(change.endpoint.parse::<usize>().unwrap()));
                    }
                });
            }
        });
        assert_eq!(*heard.lock(), (1..=2000).collect::<Vec<_>>());
    }
}
