//! Which worlds there are, and what is hoped for in each.

use azure_openai_blaster::sim::LimiterForm;

use crate::case::{Case, FAULT_FROM, FAULT_TO, FORMS, Goal, Goals, Kind, Measure};
use crate::world::client::THRESHOLD;
use crate::world::conditions::{Conditions, Fault, FaultKind, Noise, RetryAfter, Told};
use crate::world::fleet::Fleet;

const NONE: Goals = [[Goal::None; 4]; FORMS.len()];
/// Those that count in windows or in a bucket: a log has neither whole windows nor a phase.
const WINDOW_OR_BUCKET: &[LimiterForm] = &[LimiterForm::Window, LimiterForm::Bucket];

/// Every case, in the order of the table; those without goals run only when they are named.
pub(crate) fn all() -> Vec<Case> {
    const PEACE: Conditions = Conditions::PEACE;
    // No goal is set for logs in those cases.
    let same = |most: f64| at_most([most; 4], [most; 4], None);
    let late = || {
        vec![
            always("late jobs, not there when it began", Goal::AtMost(0.0)),
            measure("late jobs, never sent there after", NONE),
            measure("late jobs", NONE),
            measure("p99 without the fault, s", NONE),
        ]
    };
    let healed = || {
        vec![
            always("s until it is asked", Goal::AtMost(5.0)),
            always("its share from 10 s after that", Goal::AtLeast(0.95)),
        ]
    };
    vec![
        drain(
            "told",
            "limits told",
            PEACE,
            at_most(
                [1.065, 1.055, 1.075, 1.065],
                [1.04, 1.05, 1.045, 1.06],
                [1.12, 1.07, 1.09, 1.065],
            ),
            at_most([0.007, 0.0015, 0.0025, 0.001], [0.0005; 4], [0.005; 4]),
        ),
        drain(
            "unknown",
            "limits unknown, no headers",
            Conditions {
                told: Told::Nothing,
                ..PEACE
            },
            at_most(
                [1.085, 1.06, 1.085, 1.07],
                [1.085, 1.06, 1.085, 1.07],
                [1.12, 1.065, 1.17, 1.07],
            ),
            at_most(
                [0.06, 0.03, 0.045, 0.025],
                [0.09, 0.05, 0.045, 0.025],
                [0.26, 0.21, 0.11, 0.05],
            ),
        ),
        drain(
            "twice",
            "told twice the truth",
            Conditions {
                told: Told::Times(2.0),
                ..PEACE
            },
            at_most(
                [1.085, 1.06, 1.10, 1.07],
                [1.085, 1.06, 1.10, 1.07],
                [1.11, 1.065, 1.11, 1.07],
            ),
            at_most([0.075; 4], [0.105; 4], [0.11; 4]),
        ),
        drain(
            "two-clients",
            "two clients that know nothing of each other",
            Conditions { clients: 2, ..PEACE },
            at_most([1.29; 4], [1.29; 4], [1.15, 1.13, 1.15, 1.17]),
            at_most([0.12; 4], [0.16; 4], [0.31, 0.11, 0.16, 0.12]),
        ),
        drain(
            "halved",
            "quota halved from 180 to 360 s",
            Conditions { dip: 0.5, ..PEACE },
            at_most([1.25; 4], [1.35; 4], None),
            same(0.16),
        ),
        drain(
            "network",
            "network + 0.2 s each way",
            Conditions { jitter: 0.2, ..PEACE },
            same(1.08),
            same(0.01),
        ),
        drain(
            "short-wait",
            "Retry-After a second short",
            Conditions {
                retry_after: RetryAfter::Short,
                ..PEACE
            },
            same(1.08),
            same(0.035),
        ),
        drain(
            "seconds",
            "requests counted per 1 s",
            Conditions {
                request_window: 1.0,
                ..PEACE
            },
            same(1.08),
            same(0.035),
        ),
        Case {
            name: "goodput",
            title: "goodput of whole windows after two",
            kind: Kind::Goodput,
            conditions: PEACE,
            forms: WINDOW_OR_BUCKET,
            fleets: &Fleet::ALL,
            measures: vec![measure("part of the quota", [[Goal::AtLeast(0.985); 4]; FORMS.len()])],
        },
        waits(
            "wait-90",
            "jobs come for 90 % of the quota",
            0.9,
            Goal::AtMost(0.1),
            Goal::None,
        ),
        waits(
            "wait-99",
            "jobs come for 99 % of the quota",
            0.99,
            Goal::None,
            Goal::AtMost(1.1),
        ),
        fault(
            "dies",
            "an endpoint dies by reset",
            Kind::Dies,
            FaultKind::Resets,
            600.0,
            vec![
                always("failures before one per 5 s", Goal::AtMost(f64::from(THRESHOLD))),
                measure("s between probes", NONE),
            ],
        ),
        fault(
            "hangs",
            "an endpoint hangs",
            Kind::Hangs,
            FaultKind::Hangs,
            600.0,
            late(),
        ),
        fault(
            "hangs-30",
            "the same, first_byte_timeout_s 30",
            Kind::Hangs,
            FaultKind::Hangs,
            30.0,
            late(),
        ),
        fault(
            "heals",
            "an endpoint heals that reset",
            Kind::Heals,
            FaultKind::Resets,
            600.0,
            healed(),
        ),
        fault(
            "heals-30",
            "one heals that hung, first_byte_timeout_s 30",
            Kind::Heals,
            FaultKind::Hangs,
            30.0,
            healed(),
        ),
        fault(
            "broken-drain",
            "a backlog, an endpoint resets 120 to 240 s",
            Kind::Drain,
            FaultKind::Resets,
            600.0,
            vec![measure("drain ÷ bound", NONE), measure("refusals per job", NONE)],
        ),
        noise(
            "noise-2",
            "1 of 50 refused at random for 1 s, told",
            0.02,
            Told::Times(1.0),
            1.1,
            1.0,
        ),
        noise("noise-2-unknown", "… limits unknown", 0.02, Told::Nothing, 1.2, 1.0),
        noise(
            "noise-2-twice",
            "… told twice the truth",
            0.02,
            Told::Times(2.0),
            1.25,
            1.0,
        ),
        noise(
            "noise-20",
            "1 of 5 refused at random for 1 s, told",
            0.2,
            Told::Times(1.0),
            1.5,
            0.3,
        ),
        noise("noise-20-unknown", "… limits unknown", 0.2, Told::Nothing, 2.0, 0.3),
        drain(
            "four-clients",
            "four clients, each told its quarter",
            Conditions {
                clients: 4,
                told: Told::Times(0.25),
                ..PEACE
            },
            NONE,
            NONE,
        ),
        drain(
            "far",
            "round trip 0.6 s, told twice the truth",
            Conditions {
                round_trip: 0.6,
                told: Told::Times(2.0),
                ..PEACE
            },
            NONE,
            NONE,
        ),
        drain(
            "counts-refused",
            "refused requests count",
            Conditions {
                counts_refused: true,
                ..PEACE
            },
            NONE,
            NONE,
        ),
        drain(
            "constant-wait",
            "Retry-After is always 1 s",
            Conditions {
                retry_after: RetryAfter::Always(1),
                ..PEACE
            },
            NONE,
            NONE,
        ),
    ]
}

fn at_most(window: [f64; 4], bucket: [f64; 4], log: impl Into<Option<[f64; 4]>>) -> Goals {
    let log = log.into().map_or([Goal::None; 4], |log| log.map(Goal::AtMost));
    [window.map(Goal::AtMost), bucket.map(Goal::AtMost), log]
}

fn measure(what: &'static str, goals: Goals) -> Measure {
    Measure {
        what,
        goals,
        always: false,
        over: None,
        digits: 3,
    }
}

/// A measure that must be so much at most, or at least, for every seed.
fn always(what: &'static str, goal: Goal) -> Measure {
    Measure {
        always: true,
        ..measure(what, [[goal; 4]; FORMS.len()])
    }
}

/// A backlog; goals for drain ÷ lower bound and for refusals.
fn drain(name: &'static str, title: &'static str, conditions: Conditions, drained: Goals, refusals: Goals) -> Case {
    Case {
        name,
        title,
        kind: Kind::Drain,
        conditions,
        forms: &FORMS,
        fleets: &Fleet::ALL,
        measures: vec![
            measure("drain ÷ bound", drained),
            Measure {
                digits: 4,
                ..measure("refusals per job", refusals)
            },
        ],
    }
}

/// A backlog, of which a part is refused whatever was sent; goals for drain ÷ lower bound and for refusals.
fn noise(name: &'static str, title: &'static str, part: f64, told: Told, drained: f64, refusals: f64) -> Case {
    let same = |most: f64| at_most([most; 4], [most; 4], [most; 4]);
    let conditions = Conditions {
        noise: Some(Noise { part, wait: 1.0 }),
        told,
        ..Conditions::PEACE
    };
    let refusals = if refusals < 1.0 { same(refusals) } else { NONE };
    drain(name, title, conditions, same(drained), refusals)
}

/// Jobs come at random; they wait for their admission.
fn waits(name: &'static str, title: &'static str, use_of_quota: f64, p99: Goal, over_oracle: Goal) -> Case {
    Case {
        name,
        title,
        kind: Kind::Waits(use_of_quota),
        conditions: Conditions::PEACE,
        forms: WINDOW_OR_BUCKET,
        fleets: &[Fleet::Equal3, Fleet::Unequal8],
        measures: vec![
            measure("p50 wait, s", NONE),
            measure("p99 wait, s", [[p99; 4]; FORMS.len()]),
            measure("p99 of an oracle, s", NONE),
            Measure {
                over: Some(2),
                ..measure("p99 ÷ the oracle's", [[over_oracle; 4]; FORMS.len()])
            },
            measure("p99 of one that fills what ends first", NONE),
            Measure {
                digits: 4,
                ..measure("refusals per job", NONE)
            },
        ],
    }
}

/// The first deployment breaks, while a backlog is drained or while jobs come that use half of the quota.
fn fault(
    name: &'static str,
    title: &'static str,
    kind: Kind,
    fault: FaultKind,
    first_byte: f64,
    mut measures: Vec<Measure>,
) -> Case {
    measures.push(always("jobs that failed", Goal::AtMost(0.0)));
    let to = match kind {
        Kind::Dies | Kind::Hangs => f64::INFINITY,
        _ => FAULT_TO,
    };
    let fleets: &[Fleet] = match kind {
        Kind::Drain => &Fleet::ALL,
        _ => &[Fleet::Equal3],
    };
    Case {
        name,
        title,
        kind,
        conditions: Conditions {
            fault: Some(Fault {
                kind: fault,
                from: FAULT_FROM,
                to,
            }),
            first_byte,
            ..Conditions::PEACE
        },
        forms: &[LimiterForm::Window],
        fleets,
        measures,
    }
}
