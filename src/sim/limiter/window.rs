//! A count that starts anew with every window.

use std::time::Duration;

/// A count that starts anew with every window.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Nanoseconds, at least 1.
    length: u64,
    /// Nanoseconds from the start to the end of the first window, less than `length`; 0 stands for a whole window.
    phase: u64,
    /// Position of the window that `used` was counted in.
    index: u64,
    used: f64,
}

impl Window {
    /// Windows of `length`, the first of which ends at `phase`.
    pub(super) fn new(length: Duration, phase: Duration) -> Self {
        let length = nanos(length).max(1);
        Window {
            length,
            phase: nanos(phase) % length,
            index: 0,
            used: 0.0,
        }
    }

    /// What has been counted in the window of that time.
    pub(super) fn used(&self, now: Duration) -> f64 {
        if self.index_at(now) == self.index {
            self.used
        } else {
            0.0
        }
    }

    /// Counts `amount` in the window of that time.
    pub(super) fn add(&mut self, amount: f64, now: Duration) {
        let index = self.index_at(now);
        if index != self.index {
            self.index = index;
            self.used = 0.0;
        }
        self.used += amount;
    }

    /// Time until the next window begins.
    pub(super) fn rest(&self, now: Duration) -> Duration {
        let end = self.index_at(now) * self.length + self.phase;
        Duration::from_nanos(end.saturating_sub(nanos(now)))
    }

    /// Length of a window.
    pub(super) fn length(&self) -> Duration {
        Duration::from_nanos(self.length)
    }

    /// Windows are numbered from 1 (from 0 where the phase is none), so that the one numbered `i` ends at
    /// `i · length + phase`.
    fn index_at(&self, now: Duration) -> u64 {
        (nanos(now) + self.length - self.phase) / self.length
    }
}

/// Nanoseconds; 292 years at most, which leaves room for sums.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn windows_end_at_the_phase_and_every_length_after_it() {
        let mut window = Window::new(60 * SECOND, 25 * SECOND);
        window.add(7.0, Duration::ZERO);
        for (now, used, rest) in [(0, 7.0, 25), (24, 7.0, 1), (25, 0.0, 60), (84, 0.0, 1), (85, 0.0, 60)] {
            assert_eq!(window.used(now * SECOND), used, "used at {now} s");
            assert_eq!(window.rest(now * SECOND), rest * SECOND, "rest at {now} s");
        }
        window.add(1.0, 30 * SECOND);
        assert_eq!(window.used(84 * SECOND), 1.0);
    }

    #[test]
    fn a_phase_of_none_or_of_whole_lengths_gives_whole_windows_from_the_start() {
        for phase in [0, 60, 120] {
            let window = Window::new(60 * SECOND, phase * SECOND);
            assert_eq!(window.rest(Duration::ZERO), 60 * SECOND);
            assert_eq!(window.rest(61 * SECOND), 59 * SECOND);
        }
    }
}
