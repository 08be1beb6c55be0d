//! Services that say more than they are asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a service that has said more than it was asked is given a connection for each request.
const DISTRUST: Duration = Duration::from_secs(600);

/// Whether an endpoint answers what nobody has asked. Such a service may be late with it, so that its second answer to one
/// request would pass for that to the next; it is therefore asked once on each connection.
pub(super) struct Strays {
    /// The endpoint's name.
    name: Arc<str>,
    /// When it last did so.
    seen: Mutex<Option<Instant>>,
}

impl Strays {
    pub(super) fn of(name: &Arc<str>) -> Arc<Strays> {
        Arc::new(Strays {
            name: Arc::clone(name),
            seen: Mutex::new(None),
        })
    }

    /// `bytes` came, and nobody had asked for them.
    pub(super) fn came(&self, bytes: &[u8], now: Instant) {
        if is_good_bye(bytes) {
            return;
        }
        let before = self.seen.lock().replace(now);
        if before.is_none_or(|before| now >= before + DISTRUST) {
            log::warn!(
                "{}: bytes came that nobody had asked for, which might be taken for another request's answer; \
                 each request gets a connection of its own for {} minutes",
                self.name,
                DISTRUST.as_secs() / 60
            );
        }
    }

    /// Whether no connection to it should be used twice.
    pub(super) fn are_about(&self, now: Instant) -> bool {
        self.seen.lock().is_some_and(|seen| now < seen + DISTRUST)
    }
}

/// Whether a service says so that it closes a connection on which it was asked nothing for a while (RFC 9110 §15.5.9).
fn is_good_bye(bytes: &[u8]) -> bool {
    let status = bytes.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
    status == Some(b"408")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn distrust_lasts_for_ten_minutes_from_the_last_stray_and_a_good_bye_is_none() {
        let strays = Strays::of(&"east".into());
        let t0 = clock::now();
        let minute = Duration::from_secs(60);
        strays.came(b"HTTP/1.1 408 Request Timeout\r\n\r\n", t0);
        assert!(!strays.are_about(t0));
        strays.came(b"HTTP/1.1 200 OK\r\n", t0);
        strays.came(b"H", t0 + 4 * minute);
        assert!(strays.are_about(t0 + 14 * minute - Duration::from_nanos(1)));
        assert!(!strays.are_about(t0 + 14 * minute));
    }
}
