//! What somebody asks of an endpoint by hand: to rest, to go, to come back.

use std::time::Instant;

use super::Endpoint;
use super::out::{EJECTED_PROBE, Out};
use super::state::{After, State};

impl Endpoint {
    /// Rests until `until` because somebody asked for it. True where the condition changed.
    pub(in crate::balance) fn cool_down(&mut self, until: Instant) -> bool {
        self.rests_by_hand_until = self.rests_by_hand_until.max(Some(until));
        // A probe under way must not end the rest before its time.
        self.scouts.overtake();
        if let State::Probing(out) = &self.state {
            // Nor is it followed by another one sooner than if nobody had asked.
            let next = out.probe_at.map_or(until, |at| at.max(until));
            self.state = State::Out(Out {
                is_doubtful: false,
                ..out.probed_at(next)
            });
            return true;
        }
        self.rest(until, After::Refusal, "asked to cool down".to_owned())
    }

    /// Takes the endpoint out. True where the condition changed.
    pub(in crate::balance) fn disable(&mut self, reason: String, probe_at: Option<Instant>) -> bool {
        if self.unavailable {
            return false;
        }
        // What was switched off by hand stays so.
        if let State::Out(Out {
            disabled: true,
            probe_at: None,
            ..
        }) = self.state
            && probe_at.is_some()
        {
            return false;
        }
        let failed_probes = match &self.state {
            State::Probing(out) => out.failed_probes + 1,
            State::Out(out) => out.failed_probes,
            _ => 0,
        };
        self.doubts.taken_out();
        self.state = State::Out(Out {
            failed_probes,
            ..Out::disabled(reason, probe_at)
        });
        self.epoch = self.epoch.wrapping_add(1);
        true
    }

    /// What took it out just now lasts until somebody changes something.
    pub(in crate::balance) fn is_out_lastingly(&mut self) {
        if let State::Out(out) = &mut self.state {
            out.lasts = true;
        }
    }

    /// Lets the next request find out whether the endpoint is back; until then work waits for it. One that is
    /// unavailable as it is configured stays out. True where the condition changed.
    pub(in crate::balance) fn enable(&mut self, now: Instant) -> bool {
        if self.unavailable {
            return false;
        }
        self.lacks.clear();
        self.rests_by_hand_until = None;
        match &mut self.state {
            State::Out(out) => {
                out.disabled = false;
                out.is_doubtful = false;
                out.pause = EJECTED_PROBE;
                out.probe_at = Some(now);
                out.failed_probes = 0;
                self.end_streak();
                // What was sent before tells nothing about what was mended since.
                self.epoch = self.epoch.wrapping_add(1);
                true
            }
            State::Probing(out) => {
                // The probe under way finds out.
                out.disabled = false;
                out.pause = EJECTED_PROBE;
                false
            }
            State::Cooling { after, .. } => {
                self.state = after.rested();
                true
            }
            State::Ready | State::Trial => false,
        }
    }
}
