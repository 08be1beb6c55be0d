//! The addresses of host names, remembered.
//!
//! Asked only when a new connection is made, never for a pooled one. The system's resolver can neither be broken off nor
//! bounded in time, so each name is looked up by a short-lived thread of its own, one at a time, while the calls that need
//! it wait for that, for their limits or a cancel. Nobody waits for another name.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::call::CurrentCall;
use super::lack;
use super::reach::{Reach, Route};
use crate::clock;
use crate::error::fault::{Fault, FaultKind, TimeoutKind};

/// How long an answer is used without asking again: about what the service's own records live (30–60 s).
const FRESH: Duration = Duration::from_secs(60);

/// How long the last good answer serves while asking again fails.
const KEPT: Duration = Duration::from_secs(600);

/// How long a failure is the answer, so that those who waited for it do not each ask again.
const FAILED: Duration = Duration::from_secs(1);

/// Names that are looked up at once, at most: a name service that hangs must not fill the machine with threads.
const MOST: usize = 256;

/// The stack of a thread that looks a name up. Modules of the C library are known to need up to 100 KiB.
const STACK: usize = 256 * 1024;

/// Host names and their addresses. Holds as many names as the configuration has hosts.
pub(super) struct Names {
    entries: Mutex<HashMap<(String, u16), Entry>>,
    lookup: Arc<Lookup>,
    /// Names that are being looked up.
    asking: Arc<AtomicUsize>,
}

type Entry = Arc<Mutex<Known>>;

type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// What is known of one name.
#[derive(Default)]
struct Known {
    good: Option<(Arc<[SocketAddr]>, Instant)>,
    failed: Option<(String, Instant)>,
    reach: Reach,
    /// While it is looked up, the calls that wait for that.
    waiting: Option<Vec<Weak<CurrentCall>>>,
    /// How many times it has been looked up, and what came of the last time.
    lookups: u64,
    last: Option<Answer>,
}

type Answer = Result<Arc<[SocketAddr]>, NoAddress>;

/// Why there are no addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NoAddress {
    /// The system's resolver says so.
    Failed(String),
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
            lookup: Arc::new(lookup),
            asking: Arc::default(),
        }
    }

    /// The addresses of `host` (a name or an address, without brackets), at least one, in the order in which they are worth
    /// a try.
    ///
    /// # Errors
    /// Where there is no address, or the call cannot wait for one.
    pub(super) fn route(&self, host: &str, port: u16, call: &Arc<CurrentCall>) -> Result<Route, Fault> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Route {
                addresses: vec![SocketAddr::new(address, port)],
                is_known: false,
            });
        }
        let entry = self.entry(host, port);
        match self.addresses(&entry, host, port, call)? {
            Ok(addresses) => Ok(entry.lock().reach.route(&addresses, clock::now())),
            Err(NoAddress::Failed(words)) => Err(call.fault(FaultKind::Dns, format!("{host}: {words}"))),
            Err(NoAddress::Lacking(words)) => Err(call.fault(FaultKind::Local, format!("{host}: {words}"))),
        }
    }

    fn addresses(&self, entry: &Entry, host: &str, port: u16, call: &Arc<CurrentCall>) -> Result<Answer, Fault> {
        let now = clock::now();
        let until = call.write_limit(now)?.until;
        let (kept, lookups, ask) = {
            let mut known = entry.lock();
            if let Some(answer) = known.answer(now) {
                return Ok(answer);
            }
            (known.kept(now), known.lookups, known.wait(call))
        };
        if ask {
            self.ask(entry, host, port);
        }
        // A lookup that hangs should leave time to connect to the address that was good before.
        let patience = match kept {
            Some(_) => now + until.saturating_duration_since(now) / 4,
            None => until,
        };
        let answered = call.wait_for(now, patience, || entry.lock().answer_after(lookups))?;
        Ok(match (answered, kept) {
            (Some(Err(_)) | None, Some(kept)) => Ok(kept),
            (Some(answer), _) => answer,
            (None, None) => return Err(call.timeout(TimeoutKind::Connect)),
        })
    }

    /// Looks a name up, on a thread of its own.
    fn ask(&self, entry: &Entry, host: &str, port: u16) {
        let turn = Turn::take(&self.asking);
        let began = turn.map(|turn| {
            let (entry, lookup, name) = (Arc::clone(entry), Arc::clone(&self.lookup), host.to_owned());
            let look_up = move || {
                let answer = lookup(&name, port);
                drop(turn);
                Known::learn(&entry, answer, clock::now());
            };
            thread::Builder::new()
                .name("blaster-lookup".into())
                .stack_size(STACK)
                .spawn(look_up)
        });
        let lacking = match began {
            Some(Ok(_)) => return,
            Some(Err(error)) => format!("no thread to look it up: {error}"),
            None => format!("{MOST} names are being looked up already"),
        };
        Known::lack(entry, lacking);
    }

    /// What came of connecting to the addresses of a name: the one that `answered`, and those that did not, or more slowly.
    pub(super) fn note(&self, host: &str, port: u16, answered: Option<&SocketAddr>, failed: &[SocketAddr]) {
        if host.parse::<IpAddr>().is_ok() {
            return;
        }
        let now = clock::now();
        let entry = self.entry(host, port);
        let mut known = entry.lock();
        for address in failed {
            known.reach.failed(address, now);
        }
        match answered {
            Some(address) => known.reach.answered(address),
            None => known.doubt(now),
        }
    }

    fn entry(&self, host: &str, port: u16) -> Entry {
        Arc::clone(self.entries.lock().entry((host.to_owned(), port)).or_default())
    }
}

/// A place among the [`MOST`] lookups, until dropped.
struct Turn(Arc<AtomicUsize>);

impl Turn {
    fn take(asking: &Arc<AtomicUsize>) -> Option<Turn> {
        let more = |asking| (asking < MOST).then_some(asking + 1);
        let taken = asking.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Turn(Arc::clone(asking)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Known {
    /// What needs no asking.
    fn answer(&self, now: Instant) -> Option<Answer> {
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

    /// Lets `call` wait for a lookup. True where one has to be begun for that.
    fn wait(&mut self, call: &Arc<CurrentCall>) -> bool {
        let begins = self.waiting.is_none();
        let waiting = self.waiting.get_or_insert_default();
        if waiting.len() == waiting.capacity() {
            // A lookup may hang for longer than the calls wait for it.
            waiting.retain(|call| call.strong_count() > 0);
        }
        waiting.push(Arc::downgrade(call));
        begins
    }

    /// What came of a lookup that was not over when there had been so many.
    fn answer_after(&self, lookups: u64) -> Option<Answer> {
        self.last.clone().filter(|_| self.lookups > lookups)
    }

    /// A lookup is over: takes what came of it and wakes those who wait.
    fn learn(entry: &Mutex<Known>, answer: io::Result<Vec<SocketAddr>>, now: Instant) {
        // That is no answer about the name, and nobody is to remember it.
        if let Some(words) = answer.as_ref().err().and_then(lack::of_lookup) {
            return Self::lack(entry, words);
        }
        let mut known = entry.lock();
        known.last = Some(match answer {
            Ok(addresses) if !addresses.is_empty() => {
                let addresses: Arc<[SocketAddr]> = addresses.into();
                known.good = Some((Arc::clone(&addresses), now));
                known.failed = None;
                Ok(addresses)
            }
            Ok(_) => known.fail("the name has no address".to_owned(), now),
            Err(error) => known.fail(error.to_string(), now),
        });
        Self::wake(known);
    }

    fn fail(&mut self, words: String, now: Instant) -> Answer {
        self.failed = Some((words.clone(), now));
        Err(NoAddress::Failed(words))
    }

    /// A lookup is over before it has begun, for want of something here.
    fn lack(entry: &Mutex<Known>, words: String) {
        let mut known = entry.lock();
        known.last = Some(Err(NoAddress::Lacking(words)));
        Self::wake(known);
    }

    fn wake(mut known: parking_lot::MutexGuard<'_, Known>) {
        known.lookups += 1;
        let waiting = known.waiting.take();
        // Who wakes asks what is known.
        drop(known);
        for call in waiting.iter().flatten().filter_map(Weak::upgrade) {
            call.wake();
        }
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
    use std::sync::mpsc;

    use super::*;
    use crate::transport::wire::tests::connecting;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    fn address(last: u8) -> Vec<SocketAddr> {
        vec![SocketAddr::from(([10, 0, 0, last], 443))]
    }

    fn failure() -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::other("no such name"))
    }

    fn route(names: &Names, host: &str, port: u16) -> Result<Vec<SocketAddr>, Fault> {
        names
            .route(host, port, &connecting(MINUTE))
            .map(|route| route.addresses)
    }

    /// A name as it was found out to be at so many seconds.
    struct Story {
        known: Mutex<Known>,
        t0: Instant,
    }

    impl Story {
        fn new() -> Self {
            Story {
                known: Mutex::default(),
                t0: clock::now(),
            }
        }

        fn learn(&self, answer: io::Result<Vec<SocketAddr>>, second: u32) {
            Known::learn(&self.known, answer, self.t0 + second * SECOND);
        }

        fn check(&self, second: u32, answer: Option<Answer>, kept: bool) {
            let (known, now) = (self.known.lock(), self.t0 + second * SECOND);
            assert_eq!(known.answer(now), answer, "after {second} s");
            assert_eq!(known.kept(now).is_some(), kept, "after {second} s");
        }
    }

    fn good(last: u8) -> Option<Answer> {
        Some(Ok(address(last).into()))
    }

    fn bad() -> Option<Answer> {
        Some(Err(NoAddress::Failed("no such name".to_owned())))
    }

    #[test]
    fn an_answer_is_fresh_for_a_minute_and_kept_for_ten_while_asking_fails() {
        let story = Story::new();
        story.check(0, None, false);
        story.learn(Ok(address(1)), 0);
        story.check(59, good(1), true);
        story.check(60, None, true);
        story.learn(failure(), 60);
        story.check(60, good(1), true);
        story.check(61, None, true);
        story.learn(failure(), 600);
        story.check(600, bad(), false);
        story.learn(Ok(address(2)), 600);
        story.check(600, good(2), true);
    }

    #[test]
    fn a_failure_is_the_answer_for_a_second() {
        let story = Story::new();
        story.learn(failure(), 0);
        story.check(0, bad(), false);
        story.check(1, None, false);
        story.learn(Ok(Vec::new()), 1);
        let none = NoAddress::Failed("the name has no address".to_owned());
        story.check(1, Some(Err(none)), false);
    }

    #[test]
    fn an_address_in_doubt_is_asked_for_again_but_kept() {
        let story = Story::new();
        story.learn(Ok(address(1)), 60);
        let doubt = |second| story.known.lock().doubt(story.t0 + second * SECOND);
        doubt(60);
        story.check(60, good(1), true);
        doubt(62);
        story.check(62, None, true);
    }

    #[test]
    fn many_who_need_a_name_at_once_ask_once() {
        const MANY: usize = 16;
        let asked = Arc::new(AtomicUsize::new(0));
        let (release, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let names = Names::with_lookup({
            let asked = Arc::clone(&asked);
            move |_, _| {
                asked.fetch_add(1, Ordering::Relaxed);
                let _ = held.lock().recv();
                Ok(address(1))
            }
        });
        let waiting = |names: &Names| names.entry("h", 443).lock().waiting.as_ref().map_or(0, Vec::len);
        thread::scope(|scope| {
            let routes: Vec<_> = (0..MANY).map(|_| scope.spawn(|| route(&names, "h", 443))).collect();
            while waiting(&names) < MANY {
                thread::yield_now();
            }
            release.send(()).unwrap();
            for found in routes {
                assert_eq!(found.join().unwrap().unwrap(), address(1));
            }
        });
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        release.send(()).unwrap();
        route(&names, "h", 80).unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2, "another port is another place");
    }

    /// Names of which `slow` is looked up until something is sent; what is told says that one is being looked up.
    fn hanging() -> (Names, mpsc::Sender<()>, mpsc::Receiver<()>) {
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
        (names, release, asking)
    }

    #[test]
    fn a_name_whose_lookup_hangs_holds_up_no_other() {
        let (names, release, asking) = hanging();
        thread::scope(|scope| {
            let slow = scope.spawn(|| route(&names, "slow", 443));
            asking.recv().unwrap();
            assert!(route(&names, "quick", 443).is_ok());
            let fault = names
                .route("slow", 443, &connecting(Duration::from_millis(20)))
                .unwrap_err();
            assert_eq!(fault.kind, FaultKind::Timeout(TimeoutKind::Connect));
            release.send(()).unwrap();
            assert!(slow.join().unwrap().is_ok());
        });
    }

    #[test]
    fn a_kept_address_serves_while_a_lookup_hangs() {
        let (names, _release, asking) = hanging();
        let entry = names.entry("slow", 443);
        let long_ago = clock::now().checked_sub(FRESH).unwrap();
        Known::learn(&entry, Ok(address(2)), long_ago);
        let call = connecting(Duration::from_millis(100));
        assert_eq!(names.route("slow", 443, &call).unwrap().addresses, address(2));
        asking.recv().unwrap();
    }

    #[test]
    fn those_who_wait_for_a_lookup_that_hangs_are_forgotten_with_their_calls() {
        let known = Mutex::new(Known::default());
        for _ in 0..10_000 {
            known.lock().wait(&connecting(MINUTE));
        }
        assert!(known.lock().waiting.as_ref().unwrap().capacity() < 100);
    }

    #[test]
    fn more_lookups_than_there_may_be_are_a_want_of_this_machine() {
        let (names, _release, _asking) = hanging();
        let all: Vec<_> = std::iter::from_fn(|| Turn::take(&names.asking)).collect();
        assert_eq!(all.len(), MOST);
        let fault = route(&names, "quick", 443).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Local, "{fault}");
        drop(all);
        assert!(route(&names, "quick", 443).is_ok(), "that is no answer about the name");
    }

    #[test]
    fn an_address_needs_no_asking() {
        let names = Names::with_lookup(|_, _| failure());
        for (host, wanted) in [("127.0.0.1", "127.0.0.1:7"), ("::1", "[::1]:7")] {
            assert_eq!(route(&names, host, 7).unwrap()[0].to_string(), wanted);
        }
        let fault = route(&names, "name", 7).unwrap_err();
        assert_eq!(
            (fault.kind, fault.message.as_str()),
            (FaultKind::Dns, "name: no such name")
        );
    }
}
