//! How the workers are divided among the endpoints.

use super::{EndpointSpec, Strategy};

/// Most requests under way at each endpoint, of which those that are `used` share the workers.
///
/// One that hangs is to leave the others at least half of their shares: it has at most
/// min(2 × its share, workers − half the others' shares).
pub(super) fn caps(
    specs: &[EndpointSpec],
    strategy: Strategy,
    workers: u32,
    used: impl Fn(usize) -> bool,
    caps: &mut Vec<u32>,
) {
    let weight = |spec: &EndpointSpec| f64::from(spec.turns(strategy));
    let workers = f64::from(workers);
    let sum: f64 = (0..specs.len())
        .filter(|&index| used(index))
        .map(|index| weight(&specs[index]))
        .sum();
    caps.clear();
    caps.extend(specs.iter().enumerate().map(|(index, spec)| {
        let share = if used(index) && sum > 0.0 {
            workers * weight(spec) / sum
        } else {
            workers
        };
        let cap = (2.0 * share).min((workers + share) / 2.0);
        spec.max_in_flight.unwrap_or((cap as u32).max(1))
    }));
}
