//! How much of the time each endpoint was ready.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use azure_openai_blaster::api::Condition;

use super::moment::Moment;

/// How much of the time each endpoint was ready, by looking often: what lies between two looks counts as the first of
/// them found it. (Events may overtake each other on their way here.)
#[derive(Debug, Default)]
pub(super) struct Uptime {
    last: Option<Moment>,
    away: HashMap<Arc<str>, Duration>,
}

impl Uptime {
    /// Notes how things stand.
    pub(super) fn note(&mut self, moment: &Moment) {
        if let Some(last) = self.last.replace(moment.clone()) {
            let time = moment.elapsed.saturating_sub(last.elapsed);
            for endpoint in last.endpoints {
                if endpoint.condition != Condition::Ready {
                    *self.away.entry(endpoint.name).or_default() += time;
                }
            }
        }
    }

    /// The part of the time in which it was ready, 0 to 1; 1 before there were two looks.
    pub(super) fn ready(&self, endpoint: &str) -> f64 {
        let whole = self.last.as_ref().map_or(Duration::ZERO, |last| last.elapsed);
        match self.away.get(endpoint) {
            Some(away) if !whole.is_zero() => 1.0 - away.div_duration_f64(whole),
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::moment;
    use super::*;

    #[test]
    fn time_away_is_counted_from_the_look_that_found_it() {
        let mut uptime = Uptime::default();
        assert_eq!(uptime.ready("east"), 1.0);
        let mut moment = moment::tests::moment();
        for (second, condition) in [
            (0, Condition::Ready),
            (2, Condition::CoolingDown),
            (3, Condition::Ejected),
            (5, Condition::Ready),
            (10, Condition::Ready),
        ] {
            moment.elapsed = Duration::from_secs(second);
            moment.endpoints[0].condition = condition;
            uptime.note(&moment);
        }
        assert_eq!(uptime.ready("east"), 0.7);
        assert_eq!(uptime.ready("virginia"), 0.0);
        assert_eq!(uptime.ready("west"), 1.0);
    }
}
