//! What is tried: every fleet, in all forms of counting, at two paces, with what the client is told of the limits.

use azure_openai_blaster::sim::LimiterForm;

use crate::shape::Shape;

/// One backlog to be measured.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) pace: Pace,
    pub(crate) form: LimiterForm,
    pub(crate) shape: Shape,
    pub(crate) told: Told,
}

/// How fast time goes by.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// As on Azure: tokens a minute, requests in ten seconds.
    Azure,
    /// Everything in a tenth of the time, as often in each window: quotas, latencies, windows. The service tells its
    /// waits in whole seconds all the same, so these figures are worse than the others by nature.
    Tenth,
}

impl Pace {
    /// How many seconds of Azure's pass in one.
    pub(crate) fn speed(self) -> f64 {
        match self {
            Pace::Azure => 1.0,
            Pace::Tenth => 10.0,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Pace::Azure => "60s",
            Pace::Tenth => "6s",
        }
    }
}

/// What the client is told of the limits.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Told {
    Truth,
    Nothing,
    Twice,
}

impl Told {
    /// What a limit is told as.
    pub(crate) fn limit(self, truth: u64) -> Option<u64> {
        match self {
            Told::Truth => Some(truth),
            Told::Nothing => None,
            Told::Twice => Some(2 * truth),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Told::Truth => "told",
            Told::Nothing => "unknown",
            Told::Twice => "told-twice",
        }
    }
}

/// How much is asked for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Effort {
    Full,
    /// A quarter of the quotas, fewer windows, and no run at Azure's pace.
    Quick,
}

impl Effort {
    /// The part of each quota.
    pub(crate) fn share(self) -> f64 {
        match self {
            Effort::Full => 1.0,
            Effort::Quick => 0.25,
        }
    }

    /// How many windows' quotas the jobs take together. One is there at once.
    pub(crate) fn windows(self) -> f64 {
        match self {
            Effort::Full => 4.0,
            Effort::Quick => 2.0,
        }
    }
}

impl Case {
    pub(crate) fn name(&self) -> String {
        let (pace, form, shape, told) = (self.pace.name(), self.form(), self.shape.name(), self.told.name());
        format!("{pace} {form} {shape} {told}")
    }

    pub(crate) fn form(&self) -> &'static str {
        match self.form {
            LimiterForm::Window => "window",
            LimiterForm::Bucket => "bucket",
            LimiterForm::Log => "log",
            form => panic!("{form:?} has no name here"),
        }
    }

    /// How many runs of its pace may go on at once: together they are a few hundred requests a second, so that the
    /// machine is not what is waited for.
    pub(crate) fn at_once(&self, effort: Effort) -> usize {
        match (self.pace, effort) {
            (Pace::Azure, _) => 6,
            (Pace::Tenth, Effort::Full) => 2,
            (Pace::Tenth, Effort::Quick) => 6,
        }
    }
}

/// All cases, those of one pace together.
pub(crate) fn all(effort: Effort) -> Vec<Case> {
    let paces: &[Pace] = match effort {
        Effort::Full => &[Pace::Tenth, Pace::Azure],
        Effort::Quick => &[Pace::Tenth],
    };
    let tells = [Told::Truth, Told::Nothing, Told::Twice];
    let mut cases = Vec::new();
    for &pace in paces {
        for told in tells {
            for form in [LimiterForm::Window, LimiterForm::Bucket, LimiterForm::Log] {
                for shape in Shape::ALL {
                    cases.push(Case {
                        pace,
                        form,
                        shape,
                        told,
                    });
                }
            }
        }
    }
    cases
}
