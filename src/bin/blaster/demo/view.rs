//! How the run is shown while it lasts.

use super::live::Live;
use super::moment::Moment;
use super::plain::Plain;
use crate::screen::Screen;

/// Shows a run. Dropping it ends the showing.
pub(super) trait View {
    /// Tells that something happened.
    fn tell(&mut self, what: &str);

    /// Shows how things stand; called several times a second.
    fn show(&mut self, moment: &Moment);
}

/// Shows nothing.
struct Quiet;

impl View for Quiet {
    fn tell(&mut self, _: &str) {}

    fn show(&mut self, _: &Moment) {}
}

/// The view for this screen: live on a terminal, plain lines anywhere else.
pub(super) fn choose(screen: &Screen, quiet: bool) -> Box<dyn View> {
    if quiet {
        Box::new(Quiet)
    } else if screen.is_live() {
        Box::new(Live::new(screen))
    } else {
        Box::new(Plain::new(screen))
    }
}
