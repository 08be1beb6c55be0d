//! Whatever a server sends, it is classified: nothing panics, every wait and reason is bounded, and no reply that
//! comes here is taken for a success.

use std::time::{Duration, SystemTime};

use azure_openai_blaster::api::{ErrorObject, Headers, Operation};
use azure_openai_blaster::internals::{
    Judged, Outcome, REASON_MAX, ReplyFacts, WAIT_MAX, Withheld, classify, classify_error_frame,
};

/// Headers that classification reads.
const NAMES: [&str; 12] = [
    "location",
    "retry-after",
    "retry-after-ms",
    "x-ms-retry-after-ms",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-ratelimit-type",
    "x-should-retry",
];

/// The input is a reply: a line with the status and the time of day in seconds since 1970, headers, an empty line, the body.
pub fn check(input: &[u8]) {
    let mut rest = input;
    let mut line = || {
        let mut parts = rest.splitn(2, |byte| *byte == b'\n');
        let line = parts.next().unwrap_or_default();
        rest = parts.next().unwrap_or_default();
        String::from_utf8_lossy(line).into_owned()
    };
    let first = line();
    let (status, wall_s) = first.split_once(' ').unwrap_or((&first, ""));
    let status = status.parse().unwrap_or(500);
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(wall_s.parse::<u32>().unwrap_or(0).into());
    let mut headers = Headers::new();
    loop {
        let line = line();
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        // What mutation has made of a name is some other one.
        let known = NAMES.contains(&name);
        let name = if known { name } else { NAMES[name.len() % NAMES.len()] };
        // A value that no header may hold does not reach us over HTTP either.
        let _ = headers.insert(name, value);
    }
    let body = rest;
    let facts = ReplyFacts {
        status,
        headers: &headers,
        body,
        operation: &Operation::ChatCompletions,
        wall,
    };
    judge(&classify(&facts, Withheld::default()));
    if let Some(error) = serde_json::from_slice(body)
        .ok()
        .as_ref()
        .and_then(ErrorObject::in_frame)
    {
        judge(&classify_error_frame(&error, &headers, wall, Withheld::default()));
    }
}

fn judge(judged: &Judged) {
    let reason = match &judged.outcome {
        Outcome::Throttled(throttle) => {
            if let Some(wait) = throttle.wait {
                assert!(!wait.is_zero() && wait <= WAIT_MAX, "{wait:?}");
            }
            &throttle.reason
        }
        Outcome::Failed { reason, .. } | Outcome::Unusable { reason, .. } | Outcome::Refused { reason, .. } => reason,
        Outcome::Success(_) | Outcome::Unsigned { .. } | Outcome::Abandoned | Outcome::OutOfTime { .. } => {
            panic!("a reply that is no good was called {judged:?}")
        }
    };
    for text in [reason, &judged.told] {
        assert!(!text.is_empty());
        assert!(text.chars().count() <= REASON_MAX + 1, "{text}");
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}
