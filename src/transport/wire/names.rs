//! The addresses of host names, remembered.
//!
//! Asked only when a new connection is made, never for a pooled one. Each name is looked up by one thread at a time;
//! others that need it wait for that one's answer, and nobody waits for another name.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::lack;
use crate::clock;

/// How long an answer is used without asking again: about what the service's own records live (30–60 s).
const FRESH: Duration = Duration::from_secs(60);

/// How long the last good answer serves while asking again fails.
const KEPT: Duration = Duration::from_secs(600);

/// How long a failure is the answer, so that those who waited for it do not each ask again.
const FAILED: Duration = Duration::from_secs(1);

/// Host names and their addresses. Holds as many names as the configuration has hosts.
pub(super) struct Names {
    entries: Mutex<HashMap<(String, u16), Arc<Entry>>>,
    lookup: Box<Lookup>,
}

type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

#[derive(Default)]
struct Entry {
    known: Mutex<Known>,
    /// Held while asking. Apart from `known`, so that a kept answer is at hand while a lookup hangs.
    asking: Mutex<()>,
}

#[derive(Default)]
struct Known {
    good: Option<(Arc<[SocketAddr]>, Instant)>,
    failed: Option<(String, Instant)>,
}

/// Why there are no addresses.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAddress {
    /// The system's resolver says so.
    Failed(String),
    /// It said nothing in time.
    TimedOut,
    /// It could not ask for want of something here, such as open files.
    Lacking(String),
}

impl Names {
    /// Names as the operating system resolves them.
    pub(super) fn new() -> Self {
        Self::with_lookup(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
    }

    pub(super) fn with_lookup(
        lookup: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Names {
            entries: Mutex::default(),
            lookup: Box::new(lookup),
        }
    }

    /// The addresses of `host` (a name or an address, without brackets), at least one, best first.
    ///
    /// Waits for another thread's lookup of the same name until `until`; a lookup of its own blocks for as long as
    /// the system's resolver takes, which cannot be bounded from here.
    ///
    /// # Errors
    /// Where there is no address.
    pub(super) fn resolve(&self, host: &str, port: u16, until: Instant) -> Result<Arc<[SocketAddr]>, NoAddress> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Arc::new([SocketAddr::new(address, port)]));
        }
        let entry = self.entry(host, port);
        let now = clock::now();
        if let Some(answer) = entry.known.lock().answer(now) {
            return answer;
        }
        // A lookup that hangs should leave time to connect to the address that was good before.
        let kept = entry.known.lock().kept(now);
        let patience = match kept {
            Some(_) => now + until.saturating_duration_since(now) / 4,
            None => until,
        };
        let Some(_asking) = entry.asking.try_lock_until(patience) else {
            return kept.ok_or(NoAddress::TimedOut);
        };
        // The one who asked before us may have got the answer.
        if let Some(answer) = entry.known.lock().answer(clock::now()) {
            return answer;
        }
        let answer = (self.lookup)(host, port);
        // That is no answer about the name, and nobody is to remember it.
        if let Some(words) = answer.as_ref().err().and_then(lack::of_lookup) {
            return kept.ok_or(NoAddress::Lacking(words));
        }
        entry.known.lock().learn(answer, clock::now())
    }

    /// The addresses that are known lead nowhere: asks again next time.
    pub(super) fn doubt(&self, host: &str, port: u16) {
        if host.parse::<IpAddr>().is_err() {
            self.entry(host, port).known.lock().doubt(clock::now());
        }
    }

    fn entry(&self, host: &str, port: u16) -> Arc<Entry> {
        Arc::clone(self.entries.lock().entry((host.to_owned(), port)).or_default())
    }
}

impl Known {
    /// What needs no asking.
    fn answer(&self, now: Instant) -> Option<Result<Arc<[SocketAddr]>, NoAddress>> {
        let good = self.good.as_ref().filter(|(_, at)| now < *at + FRESH);
        if let Some((addresses, _)) = good {
            return Some(Ok(Arc::clone(addresses)));
        }
        let (words, at) = self.failed.as_ref()?;
        (now < *at + FAILED).then(|| self.kept(now).ok_or_else(|| NoAddress::Failed(words.clone())))
    }

    /// The last good answer, while it serves.
    fn kept(&self, now: Instant) -> Option<Arc<[SocketAddr]>> {
        let (addresses, at) = self.good.as_ref()?;
        (now < *at + KEPT).then(|| Arc::clone(addresses))
    }

    fn learn(&mut self, answer: io::Result<Vec<SocketAddr>>, now: Instant) -> Result<Arc<[SocketAddr]>, NoAddress> {
        let words = match answer {
            Ok(addresses) if !addresses.is_empty() => {
                let addresses: Arc<[SocketAddr]> = addresses.into();
                self.good = Some((Arc::clone(&addresses), now));
                self.failed = None;
                return Ok(addresses);
            }
            Ok(_) => "the name has no address".to_owned(),
            Err(error) => error.to_string(),
        };
        self.failed = Some((words.clone(), now));
        self.kept(now).ok_or(NoAddress::Failed(words))
    }

    /// No longer fresh, but kept; unless it is so young that asking again would be the same answer.
    fn doubt(&mut self, now: Instant) {
        if let Some((_, at)) = &mut self.good
            && now >= *at + FAILED
        {
            *at = (*at).min(now.checked_sub(FRESH).unwrap_or(*at));
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.lock().keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(last: u8) -> Vec<SocketAddr> {
        vec![SocketAddr::from(([10, 0, 0, last], 443))]
    }

    fn failure() -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::other("no such name"))
    }

    fn soon() -> Instant {
        clock::now() + 30 * SECOND
    }

    #[test]
    fn an_answer_is_fresh_for_a_minute_and_kept_for_ten_while_asking_fails() {
        let t0 = clock::now();
        let mut known = Known::default();
        assert!(known.answer(t0).is_none());
        known.learn(Ok(address(1)), t0).unwrap();
        assert_eq!(known.answer(t0 + 59 * SECOND).unwrap().unwrap()[..], address(1)[..]);
        assert!(known.answer(t0 + FRESH).is_none());
        assert_eq!(known.learn(failure(), t0 + FRESH).unwrap()[..], address(1)[..]);
        assert_eq!(known.answer(t0 + FRESH).unwrap().unwrap()[..], address(1)[..]);
        assert!(known.answer(t0 + FRESH + FAILED).is_none());
        assert!(known.learn(failure(), t0 + KEPT).is_err());
        known.learn(Ok(address(2)), t0 + KEPT).unwrap();
        assert_eq!(known.answer(t0 + KEPT).unwrap().unwrap()[..], address(2)[..]);
    }

    #[test]
    fn a_failure_is_the_answer_for_a_second() {
        let t0 = clock::now();
        let mut known = Known::default();
        assert!(known.learn(failure(), t0).is_err());
        assert_eq!(
            known.answer(t0 + SECOND / 2),
            Some(Err(NoAddress::Failed("no such name".into())))
        );
        assert!(known.answer(t0 + SECOND).is_none());
        assert!(known.learn(Ok(Vec::new()), t0).is_err());
    }

    #[test]
    fn an_address_in_doubt_is_asked_for_again_but_kept() {
        let t0 = clock::now() + FRESH;
        let mut known = Known::default();
        known.learn(Ok(address(1)), t0).unwrap();
        known.doubt(t0);
        assert!(known.answer(t0).is_some(), "it was asked for just now");
        known.doubt(t0 + 2 * SECOND);
        assert!(known.answer(t0 + 2 * SECOND).is_none());
        assert!(known.kept(t0 + 2 * SECOND).is_some());
    }

    #[test]
    fn many_who_need_a_name_at_once_ask_once() {
        let (asked, arrived) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let names = {
            let (asked, arrived) = (Arc::clone(&asked), Arc::clone(&arrived));
            Names::with_lookup(move |_, _| {
                asked.fetch_add(1, Ordering::Relaxed);
                while arrived.load(Ordering::Relaxed) < 16 {
                    std::thread::yield_now();
                }
                // The last one to arrive should be waiting by the time of the answer.
                (0..100).for_each(|_| std::thread::yield_now());
                Ok(address(1))
            })
        };
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    arrived.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(names.resolve("h", 443, soon()).unwrap()[..], address(1)[..]);
                });
            }
        });
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        names.resolve("h", 80, soon()).unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2, "another port is another place");
    }

    #[test]
    fn a_name_whose_lookup_hangs_holds_up_no_other() {
        let (release, hang) = mpsc::channel::<()>();
        let (entered, asking) = mpsc::channel::<()>();
        let hang = Mutex::new(hang);
        let names = Names::with_lookup(move |host, _| {
            if host == "slow" {
                entered.send(()).unwrap();
                let _ = hang.lock().recv();
            }
            Ok(address(1))
        });
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| names.resolve("slow", 443, soon()));
            asking.recv().unwrap();
            assert!(names.resolve("quick", 443, soon()).is_ok());
            assert_eq!(names.resolve("slow", 443, clock::now()), Err(NoAddress::TimedOut));
            release.send(()).unwrap();
            assert!(slow.join().unwrap().is_ok());
        });
    }

    #[test]
    fn an_address_needs_no_asking() {
        let names = Names::with_lookup(|_, _| failure());
        for (host, wanted) in [("127.0.0.1", "127.0.0.1:7"), ("::1", "[::1]:7")] {
            assert_eq!(names.resolve(host, 7, soon()).unwrap()[0].to_string(), wanted);
        }
    }
}
