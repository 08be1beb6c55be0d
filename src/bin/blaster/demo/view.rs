//! How the run is shown while it lasts.

use super::moment::Moment;

/// Shows a run. Dropping it ends the showing.
pub(super) trait View {
    /// Tells that something happened.
    fn tell(&mut self, what: &str);

    /// Shows how things stand; called several times a second.
    fn show(&mut self, moment: &Moment);
}

/// Shows nothing.
pub(super) struct Quiet;

impl View for Quiet {
    fn tell(&mut self, _: &str) {}

    fn show(&mut self, _: &Moment) {}
}
