//! An endpoint that is out: why, and when it is tried again.

use std::time::{Duration, Instant};

/// Time between probes of an ejected endpoint.
pub(in crate::balance) const EJECTED_PROBE: Duration = Duration::from_secs(5);
/// Time between probes of a disabled endpoint, and before an operation it lacked is tried again.
pub(in crate::balance) const DISABLED_PROBE: Duration = Duration::from_secs(60);
/// A probe's first byte must come within this, or within what 99 of 100 answers have needed, if that is longer.
pub(in crate::balance) const PROBE_FIRST_BYTE: Duration = Duration::from_secs(5);
/// A probe holds its job no longer than this, unless answers are known to take longer.
const PROBE_FIRST_BYTE_MAX: Duration = Duration::from_secs(30);

/// Why an endpoint is out, and when it is tried again.
#[derive(Clone, Debug)]
pub(super) struct Out {
    /// By hand or for good cause, and work does not wait for it; else it is ejected.
    pub(super) disabled: bool,
    /// None: only `enable()` brings it back.
    pub(super) probe_at: Option<Instant>,
    /// Probes in a row that have failed.
    pub(super) failed_probes: u32,
    pub(super) reason: String,
}

impl Out {
    pub(super) fn disabled(reason: String, probe_at: Option<Instant>) -> Self {
        Out {
            disabled: true,
            probe_at,
            failed_probes: 0,
            reason,
        }
    }

    pub(super) fn ejected(reason: String, probe_at: Instant) -> Self {
        Out {
            disabled: false,
            probe_at: Some(probe_at),
            failed_probes: 0,
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

    /// The same, after a probe that has failed.
    pub(super) fn probe_failed(&self, now: Instant) -> Self {
        let pause = if self.disabled { DISABLED_PROBE } else { EJECTED_PROBE };
        Out {
            failed_probes: self.failed_probes + 1,
            ..self.probed_at(now + pause)
        }
    }
}

/// Longest wait for a probe's first byte, after this many probes have failed. Doubles with each, within bounds: where
/// nothing has been learnt yet, requests that take longer than [`PROBE_FIRST_BYTE`] by their nature would keep a
/// healthy endpoint out, but an endpoint that hangs must not hold each probe's job for longer and longer.
pub(super) fn probe_first_byte(failed_probes: u32) -> Duration {
    PROBE_FIRST_BYTE
        .saturating_mul(2u32.saturating_pow(failed_probes))
        .min(PROBE_FIRST_BYTE_MAX)
}
