//! Whatever a server sends, it is classified: nothing panics, every wait and reason is bounded, and no reply that
//! comes here is taken for a success.
#![no_main]

use std::time::{Duration, SystemTime};

use azure_openai_blaster::api::{ErrorObject, Headers, Operation};
use azure_openai_blaster::internals::{Outcome, REASON_MAX, ReplyFacts, WAIT_MAX, classify, classify_error_frame};
use libfuzzer_sys::{arbitrary, fuzz_target};

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

#[derive(arbitrary::Arbitrary, Debug)]
struct Input<'a> {
    status: u16,
    wall_s: u32,
    headers: Vec<(u8, &'a str)>,
    body: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let mut headers = Headers::new();
    for (name, value) in &input.headers {
        // A value that no header may hold does not reach us over HTTP either.
        let _ = headers.insert(NAMES[usize::from(*name) % NAMES.len()], value);
    }
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(input.wall_s.into());
    check(&classify(&ReplyFacts {
        // Mostly real statuses, sometimes any number.
        status: if input.status < 60_000 {
            200 + input.status % 400
        } else {
            input.status
        },
        headers: &headers,
        body: input.body,
        operation: &Operation::ChatCompletions,
        wall,
    }));
    if let Some(error) = serde_json::from_slice(input.body)
        .ok()
        .as_ref()
        .and_then(ErrorObject::in_frame)
    {
        check(&classify_error_frame(&error, &headers, wall));
    }
});

fn check(outcome: &Outcome) {
    let reason = match outcome {
        Outcome::Throttled(throttle) => {
            if let Some(wait) = throttle.wait {
                assert!(!wait.is_zero() && wait <= WAIT_MAX, "{wait:?}");
            }
            &throttle.reason
        }
        Outcome::Failed { reason, .. } | Outcome::Unusable { reason, .. } | Outcome::Refused { reason } => reason,
        Outcome::Success(_) | Outcome::Abandoned | Outcome::OutOfTime { .. } => {
            panic!("a reply that is no good was called {outcome:?}")
        }
    };
    assert!(!reason.is_empty());
    assert!(reason.chars().count() <= REASON_MAX + 1, "{reason}");
    assert!(!reason.contains(char::is_control), "{reason:?}");
    assert!(!reason.split(' ').any(|word| word.starts_with("sk-")), "{reason:?}");
}
