//! The headers of a reply.

use std::borrow::Cow;
use std::time::Duration;

use crate::sim::config::{RateHeaders, RefusalFamily, RetryAfter, whole_seconds};
use crate::sim::dice::Dice;
use crate::sim::limiter::{LimitAxis, Standing};

/// Names and values, in the order in which they are sent.
pub(crate) type Headers = Vec<(Cow<'static, str>, Cow<'static, str>)>;

/// The headers that every reply has.
pub(crate) fn common(content_type: &'static str, client_request_id: Option<&str>, dice: &mut Dice) -> Headers {
    // Room for all that are added later: a head is written once, and grown never.
    let mut headers = Headers::with_capacity(24);
    headers.push(("content-type".into(), content_type.into()));
    headers.push(("apim-request-id".into(), uuid(dice).into()));
    headers.push((
        "strict-transport-security".into(),
        "max-age=31536000; includeSubDomains; preload".into(),
    ));
    headers.push(("x-content-type-options".into(), "nosniff".into()));
    if let Some(id) = client_request_id {
        headers.push(("x-ms-client-request-id".into(), id.to_owned().into()));
    }
    headers
}

/// Random letters and digits.
pub(crate) fn letters(dice: &mut Dice, count: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789Az";
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let mut bits = dice.bits();
        // Sixty-four random bits are good for ten letters.
        for _ in 0..(count - text.len()).min(10) {
            text.push(char::from(LETTERS[(bits & 63) as usize]));
            bits >>= 6;
        }
    }
    text
}

/// A random UUID (version 4) as text.
fn uuid(dice: &mut Dice) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut bits = u128::from(dice.bits()) << 64 | u128::from(dice.bits());
    let mut text = String::with_capacity(36);
    for position in 0..32 {
        if matches!(position, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        let digit = match position {
            12 => 4,
            16 => 8 | (bits & 3) as usize,
            _ => (bits & 15) as usize,
        };
        bits >>= 4;
        text.push(char::from(DIGITS[digit]));
    }
    text
}

/// Adds how the quota stands. `form` is the deployment's setting; provisioned deployments report utilisation alone.
pub(crate) fn add_standing(headers: &mut Headers, standing: &Standing, form: RateHeaders) {
    let mut add = |name: &'static str, value: String| headers.push((name.into(), value.into()));
    if let Some(utilisation) = standing.utilisation {
        add(
            "azure-openai-deployment-utilization",
            format!("{:.1}%", utilisation * 100.0),
        );
        return;
    }
    let unlimited = match form {
        RateHeaders::Off => return,
        RateHeaders::Unlimited => true,
        RateHeaders::Full | RateHeaders::Documented => false,
    };
    if unlimited {
        for (name, value) in UNLIMITED {
            headers.push((name.into(), value.into()));
        }
        return;
    }
    let axes = [
        (
            standing.requests,
            [
                "x-ratelimit-limit-requests",
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
                "x-ratelimit-renewalperiod-requests",
            ],
        ),
        (
            standing.tokens,
            [
                "x-ratelimit-limit-tokens",
                "x-ratelimit-remaining-tokens",
                "x-ratelimit-reset-tokens",
                "x-ratelimit-renewalperiod-tokens",
            ],
        ),
    ];
    for (axis, [limit, remaining, reset, period]) in axes {
        let Some(axis) = axis else { continue };
        add(limit, axis.limit.to_string());
        add(remaining, axis.remaining.to_string());
        add(reset, axis.reset.as_millis().div_ceil(1000).to_string());
        if form == RateHeaders::Full {
            add(period, axis.period.as_millis().div_ceil(1000).to_string());
        }
    }
}

/// The trap of limits that are none.
const UNLIMITED: [(&str, &str); 6] = [
    ("x-ratelimit-limit-requests", "-1"),
    ("x-ratelimit-remaining-requests", "-1"),
    ("x-ratelimit-reset-requests", "0"),
    ("x-ratelimit-limit-tokens", "-1"),
    ("x-ratelimit-remaining-tokens", "-1"),
    ("x-ratelimit-reset-tokens", "0"),
];

/// A refusal, as far as headers tell of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// How long the limiter would refuse.
    pub(crate) exact: Duration,
    pub(crate) axis: LimitAxis,
    pub(crate) form: RetryAfter,
    pub(crate) provisioned: bool,
    /// Unix time, in seconds.
    pub(crate) unix_s: u64,
}

/// Adds what a 429 says about the time to wait, and how the quota stands.
pub(crate) fn add_wait(
    headers: &mut Headers,
    wait: &Wait,
    standing: &Standing,
    rates: RateHeaders,
    family: RefusalFamily,
) {
    let rates = match wait.form {
        RetryAfter::Silent => RateHeaders::Off,
        RetryAfter::Unlimited => RateHeaders::Unlimited,
        _ => rates,
    };
    if wait.form != RetryAfter::Silent {
        add_standing(headers, standing, rates);
    }
    if !wait.provisioned && rates != RateHeaders::Off && family != RefusalFamily::NoCapacity {
        let axis = match wait.axis {
            LimitAxis::Requests => "Requests",
            LimitAxis::Tokens | LimitAxis::Throughput => "Tokens",
        };
        headers.push(("x-ratelimit-type".into(), axis.into()));
    }
    let Some(told) = wait.form.told(wait.exact, wait.provisioned) else {
        return;
    };
    let mut add = |name: &'static str, value: String| headers.push((name.into(), value.into()));
    match wait.form {
        RetryAfter::Date => {
            // A date has no fractions: it must not name a moment before the truth.
            let date = wait.unix_s.saturating_add(whole_seconds(told));
            add("retry-after", http_date(date));
        }
        RetryAfter::ZeroMs => {
            add("retry-after", "1".to_owned());
            add("retry-after-ms", "0".to_owned());
        }
        RetryAfter::Honest if !wait.provisioned => add("retry-after", whole_seconds(told).to_string()),
        RetryAfter::Honest | RetryAfter::Both => {
            add("retry-after", whole_seconds(told).to_string());
            add("retry-after-ms", told.as_millis().to_string());
        }
        RetryAfter::Short | RetryAfter::Seconds(_) => add("retry-after", told.as_secs().to_string()),
        RetryAfter::Unlimited | RetryAfter::Silent => {}
    }
}

/// A moment as HTTP writes it, e.g. `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
fn http_date(unix_s: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (days, seconds) = (unix_s / 86_400, unix_s % 86_400);
    // Years are counted from March 1st of year 0 here, so that the leap day is a year's last (Howard Hinnant,
    // "chrono-compatible low-level date algorithms").
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[month as usize],
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::limiter::{Limiter, Limits};

    #[test]
    fn dates_are_written_as_http_has_them() {
        for (unix_s, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_795_269_600, "Sat, 21 Nov 2026 14:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(http_date(unix_s), date);
        }
    }

    #[test]
    fn a_uuid_is_one() {
        let text = uuid(&mut Dice::new(&[1]));
        let lengths: Vec<usize> = text.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{text}");
        assert_eq!(text.as_bytes()[14], b'4');
    }

    fn shown(headers: &Headers) -> String {
        let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        lines.join("\n")
    }

    #[test]
    fn each_form_of_wait_has_its_headers() {
        let limits = Limits::new().tpm(60_000).rpm(600).phase_s(0.0);
        let mut limiter = Limiter::standard(&limits, Duration::ZERO);
        let _ = limiter.admit(59_000, Duration::ZERO);
        let standing = limiter.standing(Duration::from_millis(500));
        let rows = [
            (
                RetryAfter::Honest,
                false,
                "x-ratelimit-limit-requests: 600\nx-ratelimit-remaining-requests: 99\nx-ratelimit-reset-requests: 10\n\
                 x-ratelimit-renewalperiod-requests: 10\nx-ratelimit-limit-tokens: 60000\n\
                 x-ratelimit-remaining-tokens: 1000\nx-ratelimit-reset-tokens: 60\n\
                 x-ratelimit-renewalperiod-tokens: 60\nx-ratelimit-type: Tokens\nretry-after: 60",
            ),
            (RetryAfter::Silent, false, ""),
            (
                RetryAfter::Unlimited,
                false,
                "x-ratelimit-limit-requests: -1\nx-ratelimit-remaining-requests: -1\nx-ratelimit-reset-requests: 0\n\
                 x-ratelimit-limit-tokens: -1\nx-ratelimit-remaining-tokens: -1\nx-ratelimit-reset-tokens: 0\n\
                 x-ratelimit-type: Tokens",
            ),
        ];
        for (form, provisioned, expected) in rows {
            let wait = Wait {
                exact: Duration::from_millis(59_500),
                axis: LimitAxis::Tokens,
                form,
                provisioned,
                unix_s: 0,
            };
            let mut headers = Headers::new();
            add_wait(
                &mut headers,
                &wait,
                &standing,
                RateHeaders::Full,
                RefusalFamily::Reached,
            );
            assert_eq!(shown(&headers), expected, "{form:?}");
        }
        for (form, provisioned, expected) in [
            (RetryAfter::Both, false, "retry-after: 60\nretry-after-ms: 60000"),
            (RetryAfter::Honest, true, "retry-after: 60\nretry-after-ms: 59500"),
            (RetryAfter::ZeroMs, false, "retry-after: 1\nretry-after-ms: 0"),
            (RetryAfter::Seconds(86_400), false, "retry-after: 86400"),
            (RetryAfter::Short, false, "retry-after: 59"),
            (RetryAfter::Date, false, "retry-after: Thu, 01 Jan 1970 00:01:00 GMT"),
        ] {
            let wait = Wait {
                exact: Duration::from_millis(59_500),
                axis: LimitAxis::Tokens,
                form,
                provisioned,
                unix_s: 0,
            };
            let mut headers = Headers::new();
            add_wait(&mut headers, &wait, &standing, RateHeaders::Off, RefusalFamily::Reached);
            assert_eq!(shown(&headers), expected, "{form:?}");
        }
    }
}
