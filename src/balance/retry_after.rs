//! How long a refusal asks us to wait, and what it says has run out.
//!
//! The time stands in one of three headers, in the reset header of the axis that is exhausted, or in the text. The
//! order and the traps are those measured on the service: a zero beside a positive value is no answer (Azure sends
//! `retry-after-ms: 0` beside `retry-after: 1`), a negative limit means that it is unknown, and a provisioned
//! deployment sends no rate headers at all.

use std::time::{Duration, SystemTime};

use super::outcome::Axis;
use crate::api::Headers;
use crate::api::error_object::{ErrorObject, find_ignoring_case};

/// Longest wait that is believed: 31 days, beyond the 86,400 s that Azure names for a quota of zero. More is cut to it.
pub const WAIT_MAX: Duration = Duration::from_secs(31 * 86_400);

/// The time that a refusal names: the largest of the named delay and the reset of `axis`, at most [`WAIT_MAX`].
///
/// The named delay is the first positive one of `retry-after-ms`, `retry-after` (seconds with or without a fraction,
/// or an HTTP date, which counts from the reply's own `date`, so that neither clock need be right, and from `wall` where
/// there is none), `x-ms-retry-after-ms`, and the message ("Please retry after 6 seconds",
/// "Try again in 2 seconds", "Please try again in 6m0s").
///
/// None where nothing is named or all of it is zero, negative, past or unreadable.
#[must_use]
pub fn named_wait(headers: &Headers, error: &ErrorObject, axis: Axis, wall: SystemTime) -> Option<Duration> {
    header_delay(headers, wall)
        .or_else(|| text_delay(&error.message))
        .max(axis_reset(headers, axis))
}

/// The time that the headers name for trying again, whatever ran out.
#[must_use]
pub fn header_delay(headers: &Headers, wall: SystemTime) -> Option<Duration> {
    let millis = |name| number(headers.get(name)?).and_then(|ms| wait(ms / 1_000.0));
    millis("retry-after-ms")
        .or_else(|| retry_after(headers.get("retry-after")?, || date(headers).unwrap_or(wall)))
        .or_else(|| millis("x-ms-retry-after-ms"))
}

/// What ran out, by the clearest sign there is: the service's word for it in header, code or text, else the one axis
/// that the headers show exhausted, else the wording.
///
/// Older gateways and Microsoft's own simulator say "call rate limit" for tokens, too: where the headers name one axis
/// alone, they say more than a text that speaks of requests.
#[must_use]
pub fn exhausted_axis(headers: &Headers, error: &ErrorObject) -> Axis {
    let named = headers.get("x-ratelimit-type").unwrap_or_default();
    if named.eq_ignore_ascii_case("tokens") {
        return Axis::Tokens;
    }
    if named.eq_ignore_ascii_case("requests") {
        return Axis::Requests;
    }
    if error.is_any(&["NoCapacity"]) || error.says("experiencing high demand") {
        return Axis::Capacity;
    }
    if error.says("throughput limit") && error.says("provisioned") {
        return Axis::Throughput;
    }
    // "tokens per min (TPM)" and type "tokens" are the OpenAI vendor's.
    if error.says("token rate limit") || error.says("tokens per ") || error.is_any(&["tokens"]) {
        return Axis::Tokens;
    }
    if error.is_any(&["requests"]) {
        return Axis::Requests;
    }
    let (tokens, requests) = (exhausted(headers, Axis::Tokens), exhausted(headers, Axis::Requests));
    let (tokens_back, requests_back) = (axis_reset(headers, Axis::Tokens), axis_reset(headers, Axis::Requests));
    let speaks_of_calls =
        error.says("call rate limit") || error.says("request rate limit") || error.says("requests per ");
    match (tokens, requests) {
        (true, false) => Axis::Tokens,
        (false, true) => Axis::Requests,
        // Both: the one that is longer in coming back is the one to wait for.
        (true, true) if !speaks_of_calls && requests_back > tokens_back => Axis::Requests,
        (true, true) if !speaks_of_calls => Axis::Tokens,
        // The v1 surface says "exceeded token rate limit" for tokens and plainly "exceeded rate limit" for requests.
        _ if !speaks_of_calls && !error.says("have exceeded rate limit") => Axis::Unknown,
        _ if tokens_back.is_some() && requests_back.is_none() => Axis::Tokens,
        _ => Axis::Requests,
    }
}

/// Whether the headers show that nothing is left of a limit that is known.
fn exhausted(headers: &Headers, axis: Axis) -> bool {
    let (limit, remaining) = match axis {
        Axis::Tokens => ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens"),
        Axis::Requests => ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"),
        Axis::Throughput | Axis::Capacity | Axis::Unknown => return false,
    };
    let integer = |name| headers.get(name)?.trim().parse::<i64>().ok();
    // −1 stands for "unknown" in both; a missing limit says nothing against what remains.
    integer(limit).is_none_or(|limit| limit > 0) && integer(remaining).is_some_and(|remaining| remaining <= 0)
}

/// When an axis is free again by its reset header: seconds on Azure, a span such as `6m0s` at the OpenAI vendor.
///
/// A number beyond [`WAIT_MAX`] is a date in disguise (some servers send seconds since the epoch) and is ignored.
fn axis_reset(headers: &Headers, axis: Axis) -> Option<Duration> {
    let name = match axis {
        Axis::Tokens => "x-ratelimit-reset-tokens",
        Axis::Requests => "x-ratelimit-reset-requests",
        Axis::Throughput | Axis::Capacity | Axis::Unknown => return None,
    };
    let value = headers.get(name)?.trim();
    let seconds = number(value).or_else(|| match span(value) {
        Some((seconds, "")) => Some(seconds),
        _ => None,
    })?;
    wait(seconds).filter(|_| seconds <= WAIT_MAX.as_secs_f64())
}

/// When the reply was made, by its sender's clock.
fn date(headers: &Headers) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get("date")?.trim()).ok()
}

/// The value of `retry-after`: seconds, or a date, which counts from `begin`.
fn retry_after(value: &str, begin: impl FnOnce() -> SystemTime) -> Option<Duration> {
    match number(value) {
        Some(seconds) => wait(seconds),
        None => {
            let date = httpdate::parse_http_date(value.trim()).ok()?;
            let left = date.duration_since(begin()).ok()?;
            Some(left.min(WAIT_MAX)).filter(|left| !left.is_zero())
        }
    }
}

/// The wait that a message names in words.
fn text_delay(message: &str) -> Option<Duration> {
    ["retry after ", "try again in ", "try again after ", "retry in "]
        .iter()
        .find_map(|lead| {
            let start = find_ignoring_case(message, lead)? + lead.len();
            let (seconds, _) = span(message[start..].trim_start())?;
            wait(seconds)
        })
}

/// A span of time at the start of `text` in seconds, and what follows it: `6 seconds`, `1 second`, `20s`, `1.242s`,
/// `882ms`, `6m0s`, `1h2m3s`. None without a unit.
fn span(text: &str) -> Option<(f64, &str)> {
    let mut total = None;
    let mut rest = text;
    while let Some((value, after)) = leading_number(rest) {
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let Some(unit) = unit_seconds(&after[..end]) else {
            break;
        };
        total = Some(total.unwrap_or(0.0) + value * unit);
        rest = &after[end..];
    }
    total.map(|seconds| (seconds, rest))
}

/// Seconds in a unit of time.
fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "ms" | "msec" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    })
}

/// A whole value that is a plain number, as digits with or without a fraction. No sign, no exponent, no `inf`: those
/// are not what any server means.
fn number(value: &str) -> Option<f64> {
    match leading_number(value.trim()) {
        Some((number, "")) => Some(number),
        _ => None,
    }
}

/// The digits, with or without a fraction, that `text` begins with, and what follows them.
fn leading_number(text: &str) -> Option<(f64, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    if whole == 0 {
        return None;
    }
    // "6." at the end of a sentence is 6 and a full stop.
    let fraction = text[whole..].strip_prefix('.').map_or(0, digits);
    let end = if fraction == 0 { whole } else { whole + 1 + fraction };
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// A positive number of seconds as a duration, at most [`WAIT_MAX`]; none where it is zero.
fn wait(seconds: f64) -> Option<Duration> {
    let bounded = seconds.min(WAIT_MAX.as_secs_f64());
    let wait = Duration::try_from_secs_f64(bounded).ok()?;
    (!wait.is_zero()).then_some(wait)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    const fn s(s: u64) -> Option<Duration> {
        Some(Duration::from_secs(s))
    }

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in pairs {
            headers.insert(name, value).unwrap();
        }
        headers
    }

    fn message(text: &str) -> ErrorObject {
        ErrorObject {
            message: text.to_owned(),
            ..ErrorObject::default()
        }
    }

    /// Sun, 06 Nov 1994 08:49:37 GMT, the example date of RFC 9110.
    fn wall() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    /// Names and values of headers.
    type Pairs<'a> = &'a [(&'a str, &'a str)];

    /// One row: where it comes from, the headers, the message, and what is to come out.
    type Row<'a> = (&'a str, Pairs<'a>, &'a str, Option<Duration>);

    fn check((origin, pairs, text, expected): &Row<'_>) {
        let (headers, error) = (headers(pairs), message(text));
        let axis = exhausted_axis(&headers, &error);
        assert_eq!(
            named_wait(&headers, &error, axis, wall()),
            *expected,
            "{origin}: {pairs:?} {text:?}"
        );
    }

    #[test]
    #[rustfmt::skip] // a table
    fn every_form_of_a_named_wait_is_read() {
        let rows: &[Row<'_>] = &[
            ("wire 4.6: ms", &[("retry-after-ms", "2000")], "", s(2)),
            ("wire 4.6: ms before seconds", &[("retry-after-ms", "300"), ("retry-after", "1")], "", ms(300)),
            ("wire 4.6 trap: zero ms falls through", &[("retry-after-ms", "0"), ("retry-after", "1")], "", s(1)),
            ("fraction of a ms", &[("retry-after-ms", "1.5")], "", Some(Duration::from_micros(1_500))),
            ("float seconds (openai-python accepts them)", &[("retry-after", "0.25")], "", ms(250)),
            ("spaces around", &[("retry-after", " 7 ")], "", s(7)),
            ("RFC 9110 date", &[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], "", s(30)),
            ("RFC 9110 date, old form", &[("retry-after", "Sunday, 06-Nov-94 08:50:07 GMT")], "", s(30)),
            ("date in the past", &[("retry-after", "Sun, 06 Nov 1994 08:49:07 GMT")], "", None),
            ("date is now", &[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], "", None),
            ("date far ahead", &[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")], "", Some(WAIT_MAX)),
            // The service's clock is an hour ahead, or behind, and it means three seconds.
            ("its own clock ahead", &[("date", "Sun, 06 Nov 1994 09:49:38 GMT"), ("retry-after", "Sun, 06 Nov 1994 09:49:41 GMT")], "", s(3)),
            ("its own clock behind", &[("date", "Sun, 06 Nov 1994 07:49:36 GMT"), ("retry-after", "Sun, 06 Nov 1994 07:49:39 GMT")], "", s(3)),
            ("its own clock, old form", &[("date", "Sunday, 06-Nov-94 09:49:38 GMT"), ("retry-after", "Sun, 06 Nov 1994 09:49:41 GMT")], "", s(3)),
            ("its own past", &[("date", "Sun, 06 Nov 1994 09:49:38 GMT"), ("retry-after", "Sun, 06 Nov 1994 09:49:37 GMT")], "", None),
            ("an hour by its own clock", &[("date", "Sun, 06 Nov 1994 09:49:38 GMT"), ("retry-after", "Sun, 06 Nov 1994 10:49:38 GMT")], "", s(3_600)),
            ("a date that is none", &[("date", "now"), ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], "", s(30)),
            ("seconds need no clock", &[("date", "Sun, 06 Nov 1994 09:49:38 GMT"), ("retry-after", "7")], "", s(7)),
            ("azcore's third header", &[("x-ms-retry-after-ms", "750")], "", ms(750)),
            ("third header is third", &[("x-ms-retry-after-ms", "750"), ("retry-after", "2")], "", s(2)),
            ("wire 4.5 b", &[], "… pricing tier. Please retry after 60 seconds. Please go here: …", s(60)),
            ("wire 4.5 b, zero quota", &[], "Please retry after 86400 seconds.", s(86_400)),
            ("wire 4.5 a, singular", &[], "Please retry after 1 second. To increase", s(1)),
            ("wire 4.5 c", &[], "Rate limit is exceeded. Try again in 2 seconds.", s(2)),
            ("peers: 6 seconds are not 15", &[], "Please retry after 6 seconds", s(6)),
            ("OpenAI vendor", &[], "Please try again in 6m0s. Visit", s(360)),
            ("OpenAI vendor", &[], "Please try again in 1.242s. Visit", ms(1_242)),
            ("OpenAI vendor", &[], "Please try again in 882ms. Visit", ms(882)),
            ("header before text", &[("retry-after", "3")], "Please retry after 60 seconds", s(3)),
            ("text without unit", &[], "retry after 2026-11-21", None),
            ("text without number", &[], "Please retry after some time.", None),
            ("zero in the text", &[], "Please retry after 0 seconds.", None),
            ("first lead unreadable, second good", &[], "retry after a while or try again in 4 s", s(4)),
            ("huge", &[("retry-after", "99999999999999999999999999")], "", Some(WAIT_MAX)),
            ("huge ms", &[("retry-after-ms", &"9".repeat(400))], "", Some(WAIT_MAX)),
            ("negative", &[("retry-after", "-5")], "", None),
            ("NaN", &[("retry-after", "NaN")], "", None),
            ("infinite", &[("retry-after-ms", "inf")], "", None),
            ("exponent", &[("retry-after", "1e3")], "", None),
            ("garbage", &[("retry-after", "soon"), ("retry-after-ms", "")], "", None),
            ("list", &[("retry-after", "1, 2")], "", None),
            ("under a nanosecond", &[("retry-after-ms", "0.0000000001")], "", None),
            ("nothing", &[], "", None),
        ];
        rows.iter().for_each(check);
    }

    #[test]
    #[rustfmt::skip] // a table
    fn the_reset_of_the_exhausted_axis_lengthens_the_wait() {
        const TOKENS: (&str, &str) = ("x-ratelimit-remaining-tokens", "0");
        const REQUESTS: (&str, &str) = ("x-ratelimit-remaining-requests", "0");
        let rows: &[Row<'_>] = &[
            ("alone", &[TOKENS, ("x-ratelimit-reset-tokens", "30")], "", s(30)),
            ("longer than the delay", &[TOKENS, ("x-ratelimit-reset-tokens", "30"), ("retry-after", "1")], "", s(30)),
            ("shorter than the delay", &[TOKENS, ("x-ratelimit-reset-tokens", "1"), ("retry-after", "9")], "", s(9)),
            ("zero", &[TOKENS, ("x-ratelimit-reset-tokens", "0"), ("retry-after", "1")], "", s(1)),
            ("of the other axis", &[TOKENS, ("x-ratelimit-reset-requests", "12"), ("retry-after", "1")], "", s(1)),
            ("requests", &[REQUESTS, ("x-ratelimit-reset-requests", "12")], "", s(12)),
            ("both", &[ TOKENS, REQUESTS, ("x-ratelimit-reset-tokens", "5"), ("x-ratelimit-reset-requests", "12")], "", s(12)),
            ("axis named by the text", &[("x-ratelimit-reset-tokens", "30")], "have exceeded token rate limit.", s(30)),
            ("axis unknown", &[("x-ratelimit-reset-tokens", "30")], "", None),
            ("OpenAI vendor's span", &[TOKENS, ("x-ratelimit-reset-tokens", "6m0s")], "", s(360)),
            ("OpenAI vendor's span", &[TOKENS, ("x-ratelimit-reset-tokens", "17ms")], "", ms(17)),
            ("span with a tail", &[TOKENS, ("x-ratelimit-reset-tokens", "6m0s?")], "", None),
            ("seconds since the epoch", &[TOKENS, ("x-ratelimit-reset-tokens", "1795219200")], "", None),
            ("negative", &[TOKENS, ("x-ratelimit-reset-tokens", "-1")], "", None),
            ("wire 4.6 capture, 5K TPM", &[("x-ratelimit-limit-requests", "5"), ("x-ratelimit-limit-tokens", "5000"), ("x-ratelimit-remaining-requests", "4"), TOKENS, ("x-ratelimit-type", "Tokens"), ("x-ratelimit-reset-requests", "12"), ("x-ratelimit-reset-tokens", "0"), ("retry-after", "1"), ("retry-after-ms", "0")], "Your requests to x for y in z have exceeded token rate limit.", s(1)),
        ];
        rows.iter().for_each(check);
    }

    #[test]
    #[rustfmt::skip] // a table
    fn the_axis_is_named_by_header_code_text_or_what_remains() {
        let code = |code: &str| ErrorObject {
            code: Some(code.to_owned()),
            ..ErrorObject::default()
        };
        let kind = |kind: &str| ErrorObject {
            kind: Some(kind.to_owned()),
            ..ErrorObject::default()
        };
        let rows: &[(&str, Pairs<'_>, ErrorObject, Axis)] = &[
            ("wire 4.6", &[("x-ratelimit-type", "Tokens")], message("call rate limit"), Axis::Tokens),
            ("wire 4.6", &[("x-ratelimit-type", "requests")], message(""), Axis::Requests),
            ("unknown type", &[("x-ratelimit-type", "Images")], message(""), Axis::Unknown),
            ("wire 4.5 a", &[], message("have exceeded the token rate limit for your current OpenAI S0 pricing tier."), Axis::Tokens),
            ("wire 4.5 a", &[], message("have exceeded the call rate limit for your current OpenAI S0 pricing tier."), Axis::Requests),
            ("wire 4.5 b, 5.3: Microsoft's simulator, for tokens", &[("retry-after", "12"), ("x-ratelimit-reset-tokens", "12")], message("Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-02-15-preview have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 12 seconds."), Axis::Tokens),
            ("… for requests", &[("retry-after", "12"), ("x-ratelimit-reset-requests", "12")], message("have exceeded call rate limit of your current OpenAI S0 pricing tier."), Axis::Requests),
            ("both are named", &[("x-ratelimit-reset-tokens", "12"), ("x-ratelimit-reset-requests", "5")], message("have exceeded call rate limit"), Axis::Requests),
            ("nothing is left of tokens alone", &[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-remaining-requests", "4"), ("x-ratelimit-reset-requests", "5")], message("have exceeded call rate limit"), Axis::Tokens),
            ("nothing is left of either", &[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-remaining-requests", "0")], message("have exceeded call rate limit"), Axis::Requests),
            ("a reset of zero names nothing", &[("x-ratelimit-reset-tokens", "0")], message("have exceeded call rate limit"), Axis::Requests),
            ("wire 4.5 d, plain", &[("x-ratelimit-reset-tokens", "12")], message("Your requests to x for y in z have exceeded rate limit."), Axis::Tokens),
            ("tokens are named as such", &[("x-ratelimit-reset-requests", "12")], message("have exceeded token rate limit"), Axis::Tokens),
            ("wire 4.5 c", &[], message("Rate limit is exceeded. Try again in 2 seconds."), Axis::Unknown),
            ("wire 4.5 d", &[], message("Your requests to x for y in z have exceeded token rate limit."), Axis::Tokens),
            ("wire 4.5 d", &[], message("Your requests to x for y in z have exceeded rate limit."), Axis::Requests),
            ("headers above d's wording", &[("x-ratelimit-remaining-tokens", "0")], message("Your requests have exceeded rate limit."), Axis::Tokens),
            ("wire 4.5 e", &[], message("Requests have exceeded the throughput limit on your Provisioned-Managed deployment."), Axis::Throughput),
            ("wire 4.5 f", &[("x-ratelimit-remaining-tokens", "0")], code("NoCapacity"), Axis::Capacity),
            ("wire 4.5 f, text only", &[], message("The system is currently experiencing high demand and cannot process your request."), Axis::Capacity),
            ("OpenAI vendor", &[], message("Rate limit reached for m on tokens per min (TPM): Limit 3"), Axis::Tokens),
            ("OpenAI vendor", &[], message("Rate limit reached for m on requests per min (RPM): Limit 3"), Axis::Requests),
            ("OpenAI vendor, type", &[], kind("tokens"), Axis::Tokens),
            ("OpenAI vendor, type", &[], kind("requests"), Axis::Requests),
            ("remaining", &[("x-ratelimit-remaining-requests", "0")], message(""), Axis::Requests),
            ("remaining below zero", &[("x-ratelimit-limit-tokens", "5000"), ("x-ratelimit-remaining-tokens", "-27689")], message(""), Axis::Tokens),
            ("wire 4.6 trap: −1 is unknown", &[("x-ratelimit-limit-tokens", "-1"), ("x-ratelimit-remaining-tokens", "-1")], message(""), Axis::Unknown),
            ("something left", &[("x-ratelimit-remaining-requests", "4")], message(""), Axis::Unknown),
        ];
        for (origin, pairs, error, expected) in rows {
            assert_eq!(
                exhausted_axis(&headers(pairs), error),
                *expected,
                "{origin}: {pairs:?} {error:?}"
            );
        }
    }

    /// Values as a mean server would send them: near the real forms, and anything at all.
    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{0,40}(\\.[0-9]{0,20})?",
            "-?[0-9]{1,25}(ms|s|m|h|d| seconds)?([0-9]{1,3}(ms|s))?",
            "[A-Z][a-z]{2}, [0-9]{2} (Jan|Feb|Nov|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT",
            "(NaN|inf|-inf|1e999|0x10|)",
            "[ -~]{0,30}",
        ]
    }

    proptest! {
        #[test]
        fn a_wait_is_never_zero_never_beyond_the_bound_and_nothing_panics(
            ms in value(), after in value(), third in value(), reset in value(), remaining in value(),
            lead in "(retry after|Try again in|please retry in|)", text in "\\PC{0,60}", amount in value(),
            wall_s in 0u64..=4_000_000_000,
        ) {
            let headers = headers(&[
                ("retry-after-ms", &ms), ("retry-after", &after), ("x-ms-retry-after-ms", &third),
                ("x-ratelimit-reset-tokens", &reset), ("x-ratelimit-reset-requests", &reset),
                ("x-ratelimit-remaining-tokens", &remaining),
            ]);
            let error = message(&format!("{text} {lead} {amount} {text}"));
            let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(wall_s);
            for axis in [exhausted_axis(&headers, &error), Axis::Tokens, Axis::Requests] {
                if let Some(wait) = named_wait(&headers, &error, axis, wall) {
                    prop_assert!(!wait.is_zero() && wait <= WAIT_MAX, "{wait:?}");
                }
            }
        }

        #[test]
        fn whole_seconds_and_milliseconds_come_out_as_they_went_in(amount in 1u64..=2_678_400) {
            let none = ErrorObject::default();
            let seconds = headers(&[("retry-after", &amount.to_string())]);
            prop_assert_eq!(named_wait(&seconds, &none, Axis::Unknown, wall()), s(amount));
            let millis = headers(&[("retry-after-ms", &amount.to_string())]);
            prop_assert_eq!(named_wait(&millis, &none, Axis::Unknown, wall()), ms(amount));
            let text = message(&format!("Please retry after {amount} seconds."));
            prop_assert_eq!(named_wait(&Headers::new(), &text, Axis::Unknown, wall()), s(amount));
        }
    }
}
