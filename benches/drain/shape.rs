//! Fleets as teams have them.

/// The model of a fleet.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// Three of 300,000 tokens a minute.
    Equal,
    /// Eight, of 1,000,000 tokens a minute down to 20,000, the smaller the slower.
    Unequal,
    /// Two provisioned ones beside three that are paid by the token.
    Tiered,
}

/// Thousands of tokens a minute, requests a minute (none: provisioned), tokens a second of an answer.
pub(crate) type Size = (u64, Option<u64>, f64);

impl Shape {
    pub(crate) const ALL: [Shape; 3] = [Shape::Equal, Shape::Unequal, Shape::Tiered];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Equal => "equal",
            Shape::Unequal => "unequal",
            Shape::Tiered => "tiered",
        }
    }

    pub(crate) fn sizes(self) -> &'static [Size] {
        match self {
            Shape::Equal => &[(300, Some(1800), 60.0); 3],
            Shape::Unequal => &[
                (1000, Some(1000), 80.0),
                (500, Some(500), 60.0),
                (240, Some(240), 60.0),
                (120, Some(120), 50.0),
                (60, Some(60), 50.0),
                (30, Some(30), 40.0),
                (30, Some(30), 40.0),
                (20, Some(20), 40.0),
            ],
            Shape::Tiered => &[
                (600, None, 100.0),
                (600, None, 100.0),
                (250, Some(1500), 55.0),
                (250, Some(1500), 55.0),
                (120, Some(720), 55.0),
            ],
        }
    }

    /// How many jobs a minute's quotas of the whole fleet are good for.
    pub(crate) fn jobs_a_minute(self) -> f64 {
        match self {
            Shape::Equal => 390.0,
            Shape::Unequal => 870.0,
            Shape::Tiered => 950.0,
        }
    }
}
