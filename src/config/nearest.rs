//! The known name that an unknown one was probably meant to be.

/// The candidate that `name` differs least from, if it is near enough to be a slip of the pen.
///
/// Letter case, `_` and `-` do not count, so that `maxJobRetry` finds `max_job_retry`.
pub(super) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let half = simplified(name).len() / 2;
    within(half.clamp(1, 4), name, candidates)
}

/// The same, where it is at most `near_enough` slips away.
pub(super) fn within<'c>(
    near_enough: usize,
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let name = simplified(name);
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, &simplified(candidate)), candidate))
        .filter(|(distance, _)| *distance <= near_enough)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Longest name looked at, in characters: the work grows with the product of two lengths.
const LOOKED_AT: usize = 64;

fn simplified(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .take(LOOKED_AT)
        .collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b` (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = above[j] + usize::from(a[i] != b[j]);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_slips_of_the_pen() {
        let rows = [
            ("", "", 0),
            ("", "abc", 3),
            ("weight", "weight", 0),
            ("weight", "wieght", 1),
            ("kitten", "sitting", 3),
            ("ab", "ba", 1),
        ];
        for (a, b, expected) in rows {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(distance(&chars(a), &chars(b)), expected, "{a} {b}");
            assert_eq!(distance(&chars(b), &chars(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let known = ["weight", "max_job_retry", "endpoint", "model"];
        let rows = [
            ("wieght", Some("weight")),
            ("Weights", Some("weight")),
            ("maxJobRetry", Some("max_job_retry")),
            ("max-job-retries", Some("max_job_retry")),
            ("end_point", Some("endpoint")),
            ("mode", Some("model")),
            ("colour", None),
            ("", None),
        ];
        for (name, expected) in rows {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
