//! How long each endpoint was ready.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use azure_openai_blaster::api::Condition;

/// How long each endpoint was ready. All are at the start.
#[derive(Debug, Default)]
pub(super) struct Uptime(HashMap<Arc<str>, Spell>);

/// An endpoint that has been something else than ready at least once.
#[derive(Debug, Default)]
struct Spell {
    /// Since when it has not been ready; none while it is.
    away_since: Option<Duration>,
    /// How long it was not, in all that is over.
    away: Duration,
}

impl Uptime {
    /// Notes what an endpoint has become.
    pub(super) fn note(&mut self, now: Duration, endpoint: &Arc<str>, condition: Condition) {
        let spell = self.0.entry(Arc::clone(endpoint)).or_default();
        if condition == Condition::Ready {
            if let Some(since) = spell.away_since.take() {
                spell.away += now.saturating_sub(since);
            }
        } else {
            spell.away_since.get_or_insert(now);
        }
    }

    /// How long it was ready until `now`.
    pub(super) fn ready(&self, endpoint: &str, now: Duration) -> Duration {
        let away = self.0.get(endpoint).map_or(Duration::ZERO, |spell| {
            let going_on = spell.away_since.map(|since| now.saturating_sub(since));
            spell.away + going_on.unwrap_or_default()
        });
        now.saturating_sub(away)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn time_away_is_counted_from_the_first_change_to_the_next_ready() {
        let (east, mut uptime) = (Arc::from("east"), Uptime::default());
        assert_eq!(uptime.ready("east", 7 * SECOND), 7 * SECOND);
        uptime.note(2 * SECOND, &east, Condition::CoolingDown);
        uptime.note(3 * SECOND, &east, Condition::Ejected);
        assert_eq!(uptime.ready("east", 4 * SECOND), 2 * SECOND);
        uptime.note(5 * SECOND, &east, Condition::Ready);
        uptime.note(6 * SECOND, &east, Condition::Ready);
        uptime.note(9 * SECOND, &east, Condition::CoolingDown);
        assert_eq!(uptime.ready("east", 10 * SECOND), 6 * SECOND);
        assert_eq!(uptime.ready("west", 10 * SECOND), 10 * SECOND);
    }
}
