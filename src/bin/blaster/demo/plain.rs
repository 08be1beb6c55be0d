//! The view where there is no terminal: a line now and then.

use std::fmt::Write as _;
use std::time::Duration;

use super::moment::{Moment, Standing};
use super::view::View;
use super::words;
use crate::screen::Screen;

/// Time between two lines.
const PACE: Duration = Duration::from_secs(3);

/// Longest line, in characters: logs and other people's terminals are not made for more.
const LONGEST: usize = 159;

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

/// How far it is, and what each endpoint has answered; those that are not well say how they are.
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
    for (position, endpoint) in moment.endpoints.iter().enumerate() {
        let sign = if position == 0 { ':' } else { ',' };
        push(
            &mut text,
            format_args!("{sign} {} {}", endpoint.name, words::count(endpoint.answered)),
        );
        if endpoint.standing() != Standing::Well {
            push(&mut text, format_args!(" ({})", endpoint.state()));
        }
    }
    words::brief(&text, LONGEST).into_owned()
}

fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::super::moment;
    use super::*;

    #[test]
    fn a_line_tells_how_far_it_is_and_who_is_not_well() {
        let mut moment = moment::tests::moment();
        moment.not_answered = 2;
        assert_eq!(
            line(&moment),
            "  9.0 s  1,534 of 3,000, 147/s, 10 s left, 2 not answered: east 1,234, virginia 300 (cooling 1.4 s)"
        );
    }

    #[test]
    fn a_line_stays_under_160_characters() {
        let mut moment = moment::tests::moment();
        (moment.total, moment.ended, moment.elapsed) = (50_000, 41_534, Duration::from_secs(754));
        moment.endpoints = [moment.endpoints.clone(), moment.endpoints.clone()].concat();
        moment.endpoints[2].full = Some(Duration::from_secs(12));
        let all = line(&moment);
        assert!(all.chars().count() < 160, "{all}");
        assert!(
            all.ends_with("east 1,234 (waits for quota, 12 s), virginia 300 (cooling 1.4 s)"),
            "{all}"
        );
        moment.endpoints = vec![moment.endpoints[1].clone(); 30];
        let cut = line(&moment);
        assert!(cut.chars().count() < 160 && cut.ends_with('…'), "{cut}");
    }
}
