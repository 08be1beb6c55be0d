//! Failures in a row.

/// Jobs of a row that are remembered; with more of them nobody asks whether one is met again.
const MOST_JOBS: usize = 64;

/// The failures since the last good answer.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Those that count: of requests under way together one, and of a job one, but where nobody else was there.
    length: u32,
    /// The jobs whose failures have cost no rest.
    spared: u32,
    jobs: Vec<u64>,
    /// The number of the latest of the requests.
    newest: u64,
    /// The number of the latest lease when one was counted last: what was sent before was under way together with it.
    counted_at: u64,
    /// One of them has cost a rest.
    is_costly: bool,
    first: Option<String>,
}

/// A failure, as a row sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed<'a> {
    /// The request's number.
    pub(super) number: u64,
    pub(super) job: u64,
    /// Whether nobody else was there who could have gone.
    pub(super) alone: bool,
    pub(super) reason: &'a str,
}

/// What a failure is to its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its job is new there.
    New,
    /// Its job is not, and nobody else was there.
    Alone,
    /// Its job is not: it says nothing that is not known.
    Again,
}

impl Row {
    /// How many count.
    pub(super) fn length(&self) -> u32 {
        self.length
    }

    /// Jobs that have failed and cost no rest.
    pub(super) fn spared(&self) -> u32 {
        self.spared
    }

    /// The number of the latest of the requests.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Adds a failure, where `leases` have been given.
    pub(super) fn add(&mut self, failed: Failed<'_>, leases: u64) -> Place {
        let place = if !self.jobs.contains(&failed.job) {
            Place::New
        } else if failed.alone {
            Place::Alone
        } else {
            Place::Again
        };
        if place != Place::Again && (failed.number > self.counted_at || self.length == 0) {
            self.length += 1;
            self.counted_at = leases;
        }
        if place == Place::New && self.jobs.len() < MOST_JOBS {
            self.jobs.push(failed.job);
        }
        self.newest = self.newest.max(failed.number);
        self.first.get_or_insert_with(|| failed.reason.to_owned());
        place
    }

    /// The latest costs no rest.
    pub(super) fn spare(&mut self) {
        self.spared += 1;
    }

    /// The latest costs a rest.
    pub(super) fn cost(&mut self) {
        self.is_costly = true;
    }

    /// The request with this number has been answered well. True where that ends the row: it was sent later than all of
    /// them. Where errors come fast and good answers slowly that may never be, so any will do that comes before one has cost
    /// a rest.
    pub(super) fn ends(&mut self, number: u64) -> bool {
        self.spared = 0;
        self.length > 0 && (number > self.newest || !self.is_costly)
    }

    /// What a full row says, of which `last` is the latest.
    pub(super) fn describe(&self, last: &str) -> String {
        match &self.first {
            Some(first) if first != last => {
                format!("{} failures in a row; first: {first}; last: {last}", self.length)
            }
            _ => format!("{} failures in a row: {last}", self.length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds failures, each with its number, its job, and whether that was alone; returns how long the row is then.
    fn row(failures: &[(u64, u64, bool, u64)]) -> (Row, Vec<u32>) {
        let mut row = Row::default();
        let lengths = failures.iter().map(|&(number, job, alone, leases)| {
            let failed = Failed {
                number,
                job,
                alone,
                reason: "502",
            };
            row.add(failed, leases);
            row.length()
        });
        let lengths = lengths.collect();
        (row, lengths)
    }

    #[test]
    fn a_row_counts_jobs_and_what_was_under_way_together_once() {
        for (what, failures, lengths) in [
            (
                "one after the other",
                vec![(1, 1, false, 1), (2, 2, false, 2), (3, 3, false, 3)],
                vec![1, 2, 3],
            ),
            (
                "under way together",
                vec![(1, 1, false, 3), (2, 2, false, 3), (3, 3, false, 3), (4, 4, false, 4)],
                vec![1, 1, 1, 2],
            ),
            (
                "the same job",
                vec![(1, 1, false, 1), (2, 1, false, 2), (3, 1, false, 3)],
                vec![1, 1, 1],
            ),
            (
                "the same job, which is alone",
                vec![(1, 1, false, 1), (2, 1, true, 2), (3, 1, true, 3)],
                vec![1, 2, 3],
            ),
        ] {
            assert_eq!(row(&failures).1, lengths, "{what}");
        }
    }

    #[test]
    fn a_row_ends_with_a_good_answer_to_what_was_sent_later_or_to_any_where_nothing_rests() {
        let failures = [(5, 1, false, 9), (7, 2, false, 9)];
        assert!(row(&failures).0.ends(1));
        for (number, ends) in [(1, false), (6, false), (8, true)] {
            let mut row = row(&failures).0;
            row.cost();
            assert_eq!(row.ends(number), ends, "{number}");
        }
        assert!(!Row::default().ends(1), "there is none");
    }
}
