//! Trials above a learnt quota: whether there is more.

use super::moment::Moment;

/// When the next trial above the learnt quota is worth a refusal.
#[derive(Clone, Debug)]
pub(super) struct Raises {
    /// Windows: refusals at about the same total, in a row.
    steady: u32,
    /// Windows that are still left out.
    left_out: u32,
    /// Tokens that the window held at the last refusal.
    total: f64,
    /// Sliding log: not before this moment.
    due: Moment,
    /// Seconds to wait after the last refusal.
    pause: f64,
}

/// Most windows that are left out.
const LEFT_OUT: u32 = 3;
/// A total this much larger is another one.
const LARGER: f64 = 1.03;
/// Half of the first pause where a sliding log is believed, in seconds; each refusal doubles it …
const PAUSE: f64 = 10.0;
/// … to this at most.
const LONGEST_PAUSE: f64 = 240.0;

impl Raises {
    pub(super) fn new() -> Self {
        Raises {
            steady: 0,
            left_out: 0,
            total: 0.0,
            due: Moment::LONG_AGO,
            pause: PAUSE,
        }
    }

    /// Whether one may be made in the present window.
    pub(super) fn is_due(&self) -> bool {
        self.left_out == 0
    }

    /// When one may be made where a sliding log is believed.
    pub(super) fn due_at(&self) -> Moment {
        self.due
    }

    /// So many windows have passed.
    pub(super) fn skip(&mut self, windows: u32) {
        self.left_out = self.left_out.saturating_sub(windows);
    }

    /// One was refused by a window that held so much.
    pub(super) fn refused(&mut self, total: f64) {
        let is_same = total < LARGER * self.total;
        self.steady = if is_same { LEFT_OUT.min(self.steady + 1) } else { 0 };
        self.left_out = self.steady;
        self.total = total;
    }

    /// One was refused by a sliding log.
    pub(super) fn refused_by_log(&mut self, now: Moment) {
        self.pause = LONGEST_PAUSE.min(2.0 * self.pause);
        self.due = now + self.pause;
    }

    /// One was answered where a sliding log is believed: the next may go at once.
    pub(super) fn answered_by_log(&mut self) {
        self.due = Moment::LONG_AGO;
        self.pause = PAUSE;
    }

    /// The quota has been measured anew.
    pub(super) fn restart(&mut self) {
        self.steady = 0;
    }
}
