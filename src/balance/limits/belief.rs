//! Which of the models is believed, and how firmly.

/// How the service counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A bucket that drains all the time and holds one window's quota.
    Bucket,
    /// A count that starts anew with every window.
    Window,
    /// A sliding log: what was charged in the last window's length, and the new charge, must fit. It is the strictest of
    /// the three, so whoever keeps to it is refused by none.
    Log,
}

/// The belief and its standing.
#[derive(Clone, Debug)]
pub(super) struct Belief {
    pub(super) form: Form,
    /// Trials that have been confirmed.
    pub(super) evidence: u32,
    /// Trials that may be unconfirmed at once.
    pub(super) budget: u32,
    /// Raised with every change of mind: what was sent in an earlier epoch proves nothing.
    pub(super) epoch: u32,
    /// The window's clock has just been learnt, and nothing has been admitted by it since.
    pub(super) clock_is_new: bool,
    /// One job should find out whether it is a window after all.
    pub(super) test_is_due: bool,
    /// A test has shown that it is a bucket.
    pub(super) bucket_is_proven: bool,
    /// Refusals that the belief does not explain.
    pub(super) surprises: u32,
    /// Refusals in a row that a sliding log explains and what is believed does not.
    pub(super) votes_for_log: u32,
}

/// Confirmations that one refusal at a known boundary takes back, and the trials that are left then.
const TAKEN_BACK: u32 = 4;

impl Belief {
    pub(super) fn new() -> Self {
        Belief {
            form: Form::Bucket,
            evidence: 0,
            budget: 1,
            epoch: 0,
            clock_is_new: false,
            test_is_due: false,
            bucket_is_proven: false,
            surprises: 0,
            votes_for_log: 0,
        }
    }

    /// A new belief, or the old one from its beginnings, with so many trials at once.
    pub(super) fn change(&mut self, form: Form, budget: u32) {
        self.epoch += 1;
        self.form = form;
        self.evidence = 0;
        self.budget = budget;
    }

    /// A window whose clock has just been learnt.
    pub(super) fn window_with_new_clock(&mut self) {
        self.change(Form::Window, 1);
        self.clock_is_new = true;
    }

    /// A trial has been confirmed.
    pub(super) fn confirm(&mut self) {
        self.evidence = self.evidence.saturating_add(1);
        self.budget = self.budget.saturating_add(1);
        self.clock_is_new = false;
    }

    /// The belief was right, but less is granted than was thought.
    pub(super) fn waver(&mut self) {
        self.evidence = self.evidence.saturating_sub(TAKEN_BACK);
        self.budget = self.budget.clamp(1, TAKEN_BACK);
    }

    /// Nothing was sent for so long that the service's clock may have moved.
    pub(super) fn fade(&mut self) {
        self.evidence = 0;
        self.budget = 1;
    }
}
