//! Numbers for people.

use std::borrow::Cow;
use std::time::Duration;

/// `3,000`
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.char_indices() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 prompt`, `3,000 prompts`
pub(super) fn several(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// `8 ms`, `0.42 s`, `3.1 s`, `12 s`, `4 min 05 s`: as many figures as count.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.0995 {
        format!("{:.0} ms", seconds * 1000.0)
    } else if seconds < 0.995 {
        format!("{seconds:.2} s")
    } else {
        wait(time)
    }
}

/// `0.4 s`, `3.1 s`, `12 s`, `4 min 05 s`: a time that runs down before one's eyes.
pub(super) fn wait(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else if seconds < 99.5 {
        format!("{seconds:.0} s")
    } else {
        let whole = seconds.round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

/// `3 s`, `4 min 05 s`: a wait in whole seconds, no shorter than it is.
pub(super) fn whole(time: Duration) -> String {
    match time.as_secs() + u64::from(time.subsec_nanos() > 0) {
        seconds @ ..100 => format!("{seconds} s"),
        seconds => wait(Duration::from_secs(seconds)),
    }
}

/// The beginning of a text, at most so many characters long.
pub(super) fn brief(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => text.into(),
        Some(_) => {
            let end = text
                .char_indices()
                .nth(most.saturating_sub(1))
                .map_or(0, |(end, _)| end);
            format!("{}…", text[..end].trim_end()).into()
        }
    }
}

/// A moment of the run: `6.0 s`, always to the tenth.
pub(super) fn at(moment: Duration) -> String {
    format!("{:.1} s", moment.as_secs_f64())
}

/// `48 %`, of a part and its whole; `–` of nothing.
pub(super) fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 {
        format!("{:.0} %", 100.0 * part / whole)
    } else {
        "–".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart_and_one_is_no_plural() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (23_456, "23,456"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(several(1, "prompt"), "1 prompt");
        assert_eq!(several(3_000, "prompt"), "3,000 prompts");
    }

    #[test]
    fn times_have_the_figures_that_count() {
        for (milliseconds, text) in [
            (0, "0 ms"),
            (99, "99 ms"),
            (100, "0.10 s"),
            (421, "0.42 s"),
            (994, "0.99 s"),
            (996, "1.0 s"),
            (9_949, "9.9 s"),
            (9_951, "10 s"),
            (99_400, "99 s"),
            (245_200, "4 min 05 s"),
            (119_600, "2 min 00 s"),
        ] {
            assert_eq!(time(Duration::from_millis(milliseconds)), text);
        }
        assert_eq!(at(Duration::from_millis(13_040)), "13.0 s");
    }

    #[test]
    fn a_wait_keeps_to_tenths_while_it_is_short() {
        for (milliseconds, text) in [(0, "0.0 s"), (440, "0.4 s"), (9_000, "9.0 s"), (12_300, "12 s")] {
            assert_eq!(wait(Duration::from_millis(milliseconds)), text);
        }
        for (milliseconds, text) in [
            (0, "0 s"),
            (440, "1 s"),
            (3_000, "3 s"),
            (12_300, "13 s"),
            (119_100, "2 min 00 s"),
        ] {
            assert_eq!(whole(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(brief("größer", 6), "größer");
        assert_eq!(brief("größer", 5), "größ…");
        assert_eq!(brief("an end", 4), "an…");
        assert_eq!(brief("x", 0), "…");
    }

    #[test]
    fn a_part_of_nothing_is_no_percentage() {
        assert_eq!(percent(1.0, 3.0), "33 %");
        assert_eq!(percent(0.0, 0.0), "–");
    }
}
