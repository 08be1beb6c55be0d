//! Limits that were told and that the service does not keep: each is worth one word, not one for every refusal.

use super::limits::Contradiction;

/// Less than so much below what was told is no contradiction that anybody has to hear of: estimates stray as far.
const WORTH_A_WORD: f64 = 0.05;
/// A belief that has moved by this part since it was told is told again.
const MOVED: f64 = 0.2;

/// What was last said of each limit.
#[derive(Debug)]
pub(super) struct Contradictions {
    /// Tokens a minute that were believed when it was said; none where there is nothing to be said.
    said: Vec<Option<f64>>,
}

impl Contradictions {
    pub(super) fn new(limits: usize) -> Self {
        Contradictions {
            said: vec![None; limits],
        }
    }

    /// Takes how a limit stands, and returns what is news about it. A limit that is kept again begins anew.
    #[inline]
    pub(super) fn news(&mut self, limit: usize, stands: Option<Contradiction>) -> Option<Contradiction> {
        let said = &mut self.said[limit];
        let Some(contradiction) = stands.filter(|it| it.believed < (1.0 - WORTH_A_WORD) * it.told) else {
            *said = None;
            return None;
        };
        let believed = contradiction.believed;
        if said.is_some_and(|said| (believed - said).abs() <= MOVED * said) {
            return None;
        }
        *said = Some(believed);
        Some(contradiction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contradiction_is_said_once_and_again_when_it_has_moved_by_a_fifth_or_come_back() {
        let mut all = Contradictions::new(2);
        for (step, (believed, is_news)) in [
            (99.0, false),
            (96.0, false),
            (80.0, true),
            (80.0, false),
            (65.0, false),
            (95.0, false),
            (63.0, true),
            (75.0, false),
            (76.0, true),
            // It is kept again, nearly; then it is not.
            (97.0, false),
            (76.0, true),
        ]
        .into_iter()
        .enumerate()
        {
            let stands = Contradiction { told: 100.0, believed };
            assert_eq!(all.news(1, Some(stands)), is_news.then_some(stands), "step {step}");
        }
        assert_eq!(all.news(1, None), None);
        let stands = Contradiction {
            told: 100.0,
            believed: 76.0,
        };
        assert_eq!(all.news(1, Some(stands)), Some(stands), "it recovered in between");
        assert_eq!(all.news(0, Some(stands)), Some(stands), "the other limit's is its own");
    }
}
