//! How fast it goes just now.

use std::collections::VecDeque;
use std::time::Duration;

/// The rate is that of this last stretch of time.
const STRETCH: Duration = Duration::from_secs(3);

/// Before this a rate says nothing.
const SHORTEST: Duration = Duration::from_millis(500);

/// Measures a rate from a count that grows.
#[derive(Debug, Default)]
pub(super) struct Speed {
    /// Time and count, oldest first; the oldest is the last one that is at least [`STRETCH`] old.
    marks: VecDeque<(Duration, u64)>,
}

impl Speed {
    /// Notes the count at `now`.
    pub(super) fn note(&mut self, now: Duration, count: u64) {
        self.marks.push_back((now, count));
        while self
            .marks
            .get(1)
            .is_some_and(|(at, _)| now.saturating_sub(*at) >= STRETCH)
        {
            self.marks.pop_front();
        }
    }

    /// Per second; none where too little is known.
    pub(super) fn per_second(&self) -> Option<f64> {
        let (&(from, before), &(to, after)) = (self.marks.front()?, self.marks.back()?);
        let time = to.saturating_sub(from);
        (time >= SHORTEST).then(|| (after - before) as f64 / time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_stretch() {
        let mut speed = Speed::default();
        let note = |speed: &mut Speed, tenth: u64, count| speed.note(Duration::from_millis(100 * tenth), count);
        assert_eq!(speed.per_second(), None);
        note(&mut speed, 0, 0);
        note(&mut speed, 4, 40);
        assert_eq!(speed.per_second(), None);
        note(&mut speed, 10, 100);
        assert_eq!(speed.per_second(), Some(100.0));
        // A pause of ten seconds is soon all that is seen, and is forgotten as soon.
        note(&mut speed, 110, 100);
        assert_eq!(speed.per_second(), Some(0.0));
        (111..=150).for_each(|tenth| note(&mut speed, tenth, 100 + 20 * (tenth - 110)));
        assert_eq!(speed.per_second(), Some(200.0));
        assert!(speed.marks.len() <= 32);
    }
}
