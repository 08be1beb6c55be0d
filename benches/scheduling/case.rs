//! What makes a case, a measure and a run.

use std::sync::Arc;

use azure_openai_blaster::sim::LimiterForm;

use crate::world::conditions::Conditions;
use crate::world::fleet::Fleet;
use crate::world::service::form_name;

pub(crate) const FORMS: [LimiterForm; 3] = [LimiterForm::Window, LimiterForm::Bucket, LimiterForm::Log];

/// When a fault begins, in seconds since the start, and when it is over where it heals.
pub(crate) const FAULT_FROM: f64 = 120.0;
pub(crate) const FAULT_TO: f64 = 240.0;

/// Worlds that differ in form, fleet and seed only.
pub(crate) struct Case {
    /// For the command line.
    pub(crate) name: &'static str,
    /// For the table.
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    pub(crate) conditions: Conditions,
    pub(crate) forms: &'static [LimiterForm],
    pub(crate) fleets: &'static [Fleet],
    pub(crate) measures: Vec<Measure>,
}

/// What there is to do, and what is looked at.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A backlog is drained.
    Drain,
    /// The quota that a backlog uses while there is one.
    Goodput,
    /// Jobs come that use this part of the quota.
    Waits(f64),
    /// The first deployment breaks, and stays so.
    Dies,
    Hangs,
    /// The first deployment breaks, and is well again later.
    Heals,
}

/// A number that each run of a case gives.
pub(crate) struct Measure {
    pub(crate) what: &'static str,
    pub(crate) goals: Goals,
    /// Whether the worst seed must reach the goal, and not only the mean.
    pub(crate) always: bool,
    /// Its mean is divided by that of the measure at this position, and by no less than a tenth.
    pub(crate) over: Option<usize>,
    pub(crate) digits: usize,
}

/// Goals for each form, in the order of [`FORMS`], and each fleet, in the order of [`Fleet::ALL`].
pub(crate) type Goals = [[Goal; 4]; FORMS.len()];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    None,
    AtMost(f64),
    AtLeast(f64),
}

/// One world.
pub(crate) struct Run {
    /// Its position among the runs.
    pub(crate) number: usize,
    pub(crate) case: Arc<Case>,
    pub(crate) form: LimiterForm,
    pub(crate) fleet: Fleet,
    pub(crate) seed: u64,
}

impl Run {
    /// The command that does it again, and tells what was sent.
    pub(crate) fn command(&self) -> String {
        format!(
            "cargo bench --features internals,sim --bench scheduling -- --case {} --form {} --fleet {} --seeds {} --story",
            self.case.name,
            form_name(self.form),
            self.fleet.name(),
            self.seed
        )
    }
}

impl Case {
    pub(crate) fn has_goals(&self) -> bool {
        let has_goal = |measure: &Measure| measure.goals.iter().flatten().any(|goal| *goal != Goal::None);
        self.measures.iter().any(has_goal)
    }
}

impl Goal {
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Goal::None => true,
            Goal::AtMost(bound) => value <= bound,
            Goal::AtLeast(bound) => value >= bound,
        }
    }
}
