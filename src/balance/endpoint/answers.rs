//! Which requests an endpoint has answered well.

/// The latest request that was answered well, and the latest of another job.
#[derive(Debug, Default)]
pub(in crate::balance) struct Answers {
    newest: (u64, u64),
    other: u64,
}

impl Answers {
    /// The request with this number has been answered well, for `job`.
    pub(super) fn add(&mut self, number: u64, job: u64) {
        let (newest, of) = self.newest;
        if job == of {
            self.newest.0 = newest.max(number);
        } else if number > newest {
            self.other = newest;
            self.newest = (number, job);
        } else {
            self.other = self.other.max(number);
        }
    }

    /// Whether one was answered well that was sent later than the one with this number, and for another job.
    pub(in crate::balance) fn any_later(&self, number: u64, job: u64) -> bool {
        let (newest, of) = self.newest;
        number < if job == of { self.other } else { newest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_two_jobs_tell_for_every_job_whether_another_was_answered_later() {
        let all = [(3, 7), (5, 7), (4, 8), (9, 9), (6, 7), (11, 9), (10, 8), (2, 6)];
        let mut answers = Answers::default();
        for known in 0..all.len() {
            for job in 5..10 {
                for number in 0..13 {
                    let expected = all[..known].iter().any(|&(other, of)| other > number && of != job);
                    assert_eq!(answers.any_later(number, job), expected, "{known}: {number} of {job}");
                }
            }
            let (number, job) = all[known];
            answers.add(number, job);
        }
    }
}
