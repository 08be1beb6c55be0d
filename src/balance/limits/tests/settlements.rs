//! What the settlement of an answer, or of a failure, teaches.

use super::scenario::{PROVISIONED, STANDARD, Scenario, refusal, tokens};
use crate::balance::limits::charge::{Mode, Settlement};
use crate::balance::limits::limit::LimitSpec;
use crate::balance::outcome::Axis;

#[test]
fn what_is_settled_counts_as_the_service_charges_it() {
    let answered = |prompt, output| Settlement::Answered {
        prompt,
        output,
        charged_output: 1_000.0,
    };
    // What was reserved is 3,000, of which the prompt's part is estimated at 2,000.
    #[rustfmt::skip] // a table
    let rows = [
        ("usage replaces the prompt's estimate", answered(Some(1_500), Some(10)), 2_500.0, 1_510.0),
        ("no usage", answered(None, None), 3_000.0, 3_000.0),
        ("the prompt alone", answered(Some(1_500), None), 2_500.0, 2_500.0),
        ("the output alone", answered(None, Some(10)), 3_000.0, 2_010.0),
        ("absurd usage", answered(Some(u64::MAX), Some(u64::MAX)), 3_000.0, 3_000.0),
        ("a failure after it was written", Settlement::Kept, 3_000.0, 3_000.0),
        ("never written", Settlement::NeverWritten, 0.0, 0.0),
        ("refused", Settlement::Refused(refusal(Axis::Capacity, 1.0)), 0.0, 0.0),
    ];
    for (name, end, standard, provisioned) in rows {
        for (spec, charged) in [(STANDARD, standard), (PROVISIONED, provisioned)] {
            let mut s = Scenario::new(&spec);
            let at = s.instant(0.0);
            let charge = crate::balance::limits::Charge {
                variance: 100.0,
                prompt: 2_000.0,
                ..tokens(3_000.0)
            };
            let reservation = s.limit.reserve(&charge, Mode::Sure, at);
            s.settle(reservation, end, 0.0);
            assert_eq!(
                (s.used(), s.level(), s.limit.sent.tokens()),
                (charged, charged, charged),
                "{name} {spec:?}"
            );
            assert_eq!(
                (s.limit.bucket.deviation(0.0), s.limit.window.deviation(0.0)),
                (0.0, 0.0),
                "{name} {spec:?}"
            );
        }
    }
}

#[test]
fn only_an_answer_is_evidence() {
    #[rustfmt::skip] // a table
    let rows = [
        ("answered", Settlement::Answered { prompt: None, output: None, charged_output: 0.0 }, 1, 1),
        ("failed", Settlement::Kept, 0, 1),
        ("never written", Settlement::NeverWritten, 0, 0),
        ("refused", Settlement::Refused(refusal(Axis::Tokens, 1.0)), 0, 1),
        ("refused for its number", Settlement::Refused(refusal(Axis::Requests, 1.0)), 0, 0),
    ];
    for (name, end, confirmed, counted) in rows {
        let mut s = Scenario::new(&LimitSpec {
            rpm: Some(600),
            ..STANDARD
        });
        let sent = s.force(3_000.0, Mode::Trial, 0.0);
        s.settle(sent, end, 0.1);
        assert_eq!(
            (s.limit.belief.evidence, s.limit.unconfirmed.confirmed()),
            (confirmed, confirmed.into()),
            "{name}"
        );
        assert_eq!(s.limit.requests.counted() as f64, f64::from(counted), "{name}");
    }
}
