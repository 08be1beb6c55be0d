//! How good a place an endpoint is for a job.

/// How good a place an endpoint is for a job that could go there now: the smallest is the best, and among equals the
/// strategy decides.
///
/// ```text
/// bits  31..30  how the job has fared there: not failed, failed by the endpoint's fault, answered by a 500
///           29  the request would be a test of the quota: only where there is nothing else
///           28  its tier has been full a moment ago, and is left alone for another moment
///       27..1   tier
///            0  standard, in a set that has provisioned ones too: these are paid for anyway, and charge what is used
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grade(u32);

/// How a job has fared at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// It has not failed there.
    Clean = 0,
    /// It has failed there, by the endpoint's fault.
    Failed = 1,
    /// It was answered by a 500, which may be its own fault.
    Suspect = 2,
}

impl Grade {
    /// It cannot go there now.
    pub(super) const AWAY: Grade = Grade(u32::MAX);

    /// The grade of an endpoint by what it always is: its tier's place among the tiers, and whether provisioned ones of
    /// the same tier go before it.
    pub(super) fn standing(tier: usize, behind_provisioned: bool) -> Self {
        Grade(((tier as u32) & 0x07ff_ffff) << 1 | u32::from(behind_provisioned))
    }

    /// The same, where the job has fared like this.
    #[inline]
    pub(super) fn with(self, record: Record) -> Self {
        Grade(self.0 | (record as u32) << 30)
    }

    /// The same, as a test.
    pub(super) fn as_test(self) -> Self {
        Grade(self.0 | 1 << 29)
    }

    /// The same, where the tier was full a moment ago.
    pub(super) fn lately_full(self) -> Self {
        Grade(self.0 | 1 << 28)
    }

    /// How the job has fared there; none where it cannot go.
    pub(super) fn record(self) -> Option<Record> {
        match self.0 >> 30 {
            0 => Some(Record::Clean),
            1 => Some(Record::Failed),
            2 => Some(Record::Suspect),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_s_record_counts_most_then_tests_then_fullness_then_tiers_then_kind() {
        let rising = [
            Grade::standing(0, false),
            Grade::standing(0, true),
            Grade::standing(1, false),
            Grade::standing(1999, true),
            Grade::standing(0, false).lately_full(),
            Grade::standing(0, false).as_test(),
            Grade::standing(0, false).with(Record::Failed),
            Grade::standing(7, true).with(Record::Failed),
            Grade::standing(0, false).with(Record::Suspect),
            Grade::standing(1999, true)
                .lately_full()
                .as_test()
                .with(Record::Suspect),
            Grade::AWAY,
        ];
        assert!(rising.is_sorted_by(|a, b| a < b), "{rising:?}");
    }

    #[test]
    fn a_grade_tells_the_record() {
        for record in [Record::Clean, Record::Failed, Record::Suspect] {
            assert_eq!(Grade::standing(3, true).as_test().with(record).record(), Some(record));
        }
        assert_eq!(Grade::AWAY.record(), None);
    }
}
