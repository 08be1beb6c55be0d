//! An endpoint that is out: why, and when it is tried again.

use std::time::{Duration, Instant};

/// Time between probes of an ejected endpoint.
pub(in crate::balance) const EJECTED_PROBE: Duration = Duration::from_secs(5);
/// Time between probes of a disabled endpoint, and before an operation it lacked is tried again.
pub(in crate::balance) const DISABLED_PROBE: Duration = Duration::from_secs(60);
/// Silence that is longer than this tells against an endpoint, if answers are not known to take longer; a probe waits
/// so much longer than they do.
pub(in crate::balance) const PROBE_FIRST_BYTE: Duration = Duration::from_secs(5);

/// Why an endpoint is out, and when it is tried again.
#[derive(Clone, Debug)]
pub(super) struct Out {
    /// By hand or for good cause, and work does not wait for it; else it is ejected.
    pub(super) disabled: bool,
    /// When it is probed next, where a probe is out beside that one. None: only `enable()` brings it back.
    pub(super) probe_at: Option<Instant>,
    /// Time between its probes.
    pub(super) pause: Duration,
    /// Probes in a row that have failed.
    pub(super) failed_probes: u32,
    /// It went out while it was silent, and those that asked it then find out whether it is back.
    pub(super) was_asked: bool,
    /// It was well and denied one job, whose fault that may be; nothing has happened to it since. Where nobody else is there
    /// another job finds out at once.
    pub(super) is_doubtful: bool,
    /// It stays so until somebody changes the configuration, or the resource.
    pub(super) lasts: bool,
    pub(super) reason: String,
}

impl Out {
    pub(super) fn disabled(reason: String, probe_at: Option<Instant>) -> Self {
        Out {
            disabled: true,
            probe_at,
            pause: DISABLED_PROBE,
            failed_probes: 0,
            was_asked: false,
            lasts: false,
            is_doubtful: false,
            reason,
        }
    }

    pub(super) fn ejected(reason: String, probe_at: Instant) -> Self {
        Out {
            disabled: false,
            probe_at: Some(probe_at),
            pause: EJECTED_PROBE,
            failed_probes: 0,
            was_asked: false,
            lasts: false,
            is_doubtful: false,
            reason,
        }
    }

    /// The same, probed next at `at`.
    pub(super) fn probed_at(&self, at: Instant) -> Self {
        Out {
            probe_at: Some(at),
            ..self.clone()
        }
    }

    /// The same, after a probe that has failed; `newest` where none was sent after it.
    pub(super) fn probe_failed(&self, newest: bool, now: Instant) -> Self {
        let probe_at = match self.probe_at {
            // It was sent long ago: whether to send the next was decided then.
            Some(at) if !self.disabled && (!newest || at <= now) => at,
            _ => now + self.pause,
        };
        Out {
            failed_probes: self.failed_probes.saturating_add(1),
            is_doubtful: false,
            ..self.probed_at(probe_at)
        }
    }
}
