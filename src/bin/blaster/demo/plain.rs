//! The view where there is no terminal: a line now and then.

use std::fmt::Write as _;
use std::time::Duration;

use super::moment::{Moment, time_or_dash};
use super::view::View;
use super::words;
use crate::screen::Screen;

/// Time between two lines.
const PACE: Duration = Duration::from_secs(3);

/// Longest reason that is told, in characters.
const REASON: usize = 40;

/// Writes a line every few seconds.
pub(super) struct Plain {
    screen: Screen,
    next: Duration,
}

impl Plain {
    pub(super) fn new(screen: &Screen) -> Self {
        Plain {
            screen: screen.clone(),
            next: PACE,
        }
    }
}

impl View for Plain {
    fn tell(&mut self, what: &str) {
        self.screen.say(what);
    }

    fn show(&mut self, moment: &Moment) {
        if moment.elapsed >= self.next {
            self.next = moment.elapsed + PACE;
            self.screen.say(&line(moment));
        }
    }
}

/// All that the live view shows, on one line.
fn line(moment: &Moment) -> String {
    let mut text = format!(
        "{:>7}  {} of {}, {}",
        words::at(moment.elapsed),
        words::count(moment.ended),
        words::count(moment.total),
        moment.speed(),
    );
    if let Some(left) = moment.left() {
        push(&mut text, format_args!(", {} left", words::wait(left)));
    }
    if moment.not_answered > 0 {
        push(
            &mut text,
            format_args!(", {} not answered", words::count(moment.not_answered)),
        );
    }
    for endpoint in &moment.endpoints {
        push(
            &mut text,
            format_args!(
                " | {} {}{}, {} in flight, {} answered, {} 429s, p50 {}, p99 {}",
                endpoint.name,
                endpoint.state(),
                endpoint
                    .reason
                    .as_ref()
                    .map(|reason| format!(" ({})", words::brief(reason, REASON)))
                    .unwrap_or_default(),
                endpoint.in_flight,
                words::count(endpoint.answered),
                words::count(endpoint.throttled),
                time_or_dash(endpoint.p50),
                time_or_dash(endpoint.p99),
            ),
        );
    }
    text
}

fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::super::moment;
    use super::*;

    #[test]
    fn a_line_holds_every_fact_of_the_moment() {
        let mut moment = moment::tests::moment();
        moment.not_answered = 2;
        assert_eq!(
            line(&moment),
            "  9.0 s  1,534 of 3,000, 147/s, 10 s left, 2 not answered \
             | east ready, 24 in flight, 1,234 answered, 0 429s, p50 0.31 s, p99 1.2 s \
             | virginia cooling 1.4 s (429 RateLimitReached), 0 in flight, 300 answered, 7 429s, p50 –, p99 –"
        );
    }
}
