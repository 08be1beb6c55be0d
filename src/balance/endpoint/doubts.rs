//! What speaks against an endpoint, or against a job, and does not yet say which.

/// Doubts about one endpoint. A second job that meets the same settles them.
#[derive(Debug, Default)]
pub(in crate::balance) struct Doubts {
    /// Requests in a row whose job's time was over before anything came.
    silences: u32,
    /// Whether a whole good reply has come since it was last out.
    proven: bool,
    /// The job of the latest 500, where no success came since.
    unclear: Option<u64>,
}

impl Doubts {
    /// A reply has begun: the endpoint does not hang.
    pub(in crate::balance) fn heard(&mut self) {
        self.silences = 0;
    }

    /// A job's time was over. Returns to how many in a row nothing had come.
    pub(super) fn out_of_time(&mut self, silent: bool) -> u32 {
        self.silences = self.silences.saturating_add(u32::from(silent));
        self.silences
    }

    /// A whole good reply has come.
    pub(super) fn succeeded(&mut self) {
        self.unclear = None;
        self.heard();
    }

    /// A whole good reply has come that was asked for after the last failure.
    pub(super) fn proved(&mut self) {
        self.proven = true;
    }

    /// It has been taken out: what it served before counts no more.
    pub(super) fn taken_out(&mut self) {
        self.proven = false;
    }

    /// It is back.
    pub(super) fn is_back(&mut self) {
        self.unclear = None;
    }

    /// A 500 or a senseless reply for `job`, with no other endpoint to compare with: true where another job in
    /// a row met the same here, so that it is the endpoint's fault after all.
    pub(in crate::balance) fn unclear_again(&mut self, job: u64) -> bool {
        self.unclear.replace(job).is_some_and(|other| other != job)
    }

    /// Whether a whole good reply has come since it was last out.
    pub(in crate::balance) fn is_proven(&self) -> bool {
        self.proven
    }
}
