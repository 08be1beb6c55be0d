//! The other model: a count that starts anew every minute, at a phase of the service's own.

use super::bucket::needed;
use super::moment::Moment;

/// What the service has charged in its present window, as it would stand if it counted by windows.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Tokens charged in it, never negative. Goes on counting while the boundary is unknown.
    used: f64,
    /// Variance of those estimates among them that are not yet settled.
    variance: f64,
    /// When it ends; none until that is learnt.
    boundary: Option<Boundary>,
    /// The first send that counts in it; all later ones do.
    first: u64,
    /// Tokens have been refused in it.
    pub(super) refused: bool,
    /// A refusal has found it full, to the quota that was told.
    pub(super) filled: bool,
    /// The quota was measured in it, by what it had admitted when it refused.
    pub(super) measured: bool,
}

/// When the service begins a new window: a refusal names it to a whole second, so it is an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Boundary {
    /// Not before this moment.
    pub(super) earliest: Moment,
    /// By this moment: nothing is sent on the strength of the new window before.
    pub(super) reset: Moment,
}

/// Seconds by which a refusal may miss the known boundary and still name the same one.
const SAME: f64 = 0.2;
/// Least width of the interval, in seconds.
const NARROWEST: f64 = 0.05;

impl Boundary {
    /// What a refusal of something sent at `sent` says that came at `now` and asks to wait so many whole seconds: the
    /// service has rounded them up.
    pub(super) fn named(sent: Moment, wait: f64, now: Moment) -> Self {
        Boundary {
            earliest: sent + (wait - 1.0),
            reset: now + wait,
        }
    }

    /// This boundary, so many windows of `length` earlier that it lies nearest to `other`.
    fn beside(self, other: Boundary, length: f64) -> Self {
        let away = ((self.reset - other.reset) / length).round() * length;
        Boundary {
            earliest: self.earliest - away,
            reset: self.reset - away,
        }
    }
}

impl Window {
    pub(super) fn new() -> Self {
        Window {
            used: 0.0,
            variance: 0.0,
            boundary: None,
            first: 0,
            refused: false,
            filled: false,
            measured: false,
        }
    }

    pub(super) fn used(&self) -> f64 {
        self.used
    }

    pub(super) fn boundary(&self) -> Option<Boundary> {
        self.boundary
    }

    /// Whether a send counts in the present window.
    pub(super) fn holds(&self, send: u64) -> bool {
        send >= self.first
    }

    /// The standard deviation of what it holds and a further charge of this variance.
    pub(super) fn deviation(&self, variance: f64) -> f64 {
        (self.variance + variance).sqrt()
    }

    pub(super) fn add(&mut self, tokens: f64, variance: f64) {
        self.used += tokens;
        self.variance += variance;
    }

    /// An estimate of this variance turns out to have been `more` tokens.
    pub(super) fn correct(&mut self, send: u64, more: f64, variance: f64) {
        if self.holds(send) {
            self.used = (self.used + more).max(0.0);
            self.variance = (self.variance - variance).max(0.0);
        }
    }

    /// Nothing more fits before the boundary.
    pub(super) fn fill(&mut self, quota: f64) {
        self.used = quota;
        self.filled = true;
    }

    /// Time passes; the answer is how many windows have begun. `next` is the number of the next send.
    pub(super) fn turn(&mut self, length: f64, next: u64, now: Moment) -> u32 {
        let Some(boundary) = self.boundary.filter(|boundary| now >= boundary.reset) else {
            return 0;
        };
        let turns = ((now - boundary.reset) / length).floor() + 1.0;
        self.begin(
            Some(Boundary {
                earliest: boundary.earliest + turns * length,
                reset: boundary.reset + turns * length,
            }),
            next,
        );
        self.refused = false;
        turns as u32
    }

    /// An empty window with this end.
    pub(super) fn begin(&mut self, boundary: Option<Boundary>, next: u64) {
        self.boundary = boundary;
        self.first = next;
        self.used = 0.0;
        self.variance = 0.0;
        self.measured = false;
        self.filled = false;
    }

    /// What was sent from number `first` on belongs to it.
    pub(super) fn recount(&mut self, first: u64, tokens: f64, variance: f64) {
        self.first = first;
        self.used = tokens.max(0.0);
        self.variance = variance.max(0.0);
    }

    /// The service's clock may have moved, or is not known for what it now counts.
    pub(super) fn forget_boundary(&mut self) {
        self.boundary = None;
    }

    /// Whether what a refusal names is the boundary that is known, or one some windows away from it.
    pub(super) fn agrees(&self, named: Boundary, length: f64) -> bool {
        self.boundary.is_some_and(|known| {
            let named = named.beside(known, length);
            named.reset > known.earliest - SAME && named.earliest < known.reset + SAME
        })
    }

    /// What a refusal names is the boundary that is known: both intervals hold it.
    pub(super) fn narrow(&mut self, named: Boundary, length: f64) {
        if let Some(known) = &mut self.boundary {
            let named = named.beside(*known, length);
            if named.reset > known.earliest {
                known.reset = known.reset.min(named.reset);
            }
            known.earliest = known.earliest.max(named.earliest.min(known.reset - NARROWEST));
        }
    }

    /// When a charge fits into `room` tokens a window, with `margin` deviations kept free; none while no boundary is known.
    pub(super) fn fits_at(&self, tokens: f64, variance: f64, room: f64, margin: f64, now: Moment) -> Option<Moment> {
        let fits = self.used + needed(tokens, margin * self.deviation(variance), room) <= room;
        self.boundary.map(|boundary| if fits { now } else { boundary.reset })
    }
}
