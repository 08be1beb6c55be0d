use super::*;
use crate::sim::{CostModel, LimiterForm, Limits, RateHeaders, RefusalFamily, Refusals, RetryAfter};

/// A prompt of 2 tokens of text and 6 of overhead.
const PROMPT: &str = "Hello!";

fn limited(limits: Limits) -> SimDeployment {
    SimDeployment::new("d").limits(limits.phase_s(30.0))
}

#[test]
fn both_cost_models_charge_what_they_say() {
    for (cost, more, charged) in [
        (CostModel::PromptAndMax, r#","max_completion_tokens":100"#, 108),
        (CostModel::PromptAndMax, r#","max_tokens":100,"n":3"#, 308),
        (CostModel::PromptAndMax, "", 24),
        (CostModel::MaxOnly, r#","max_tokens":100"#, 100),
        (CostModel::MaxOnly, "", 16),
    ] {
        let plan = Client::of(|d| d.cost(cost)).chat(PROMPT, more);
        assert_eq!(plan.note.charged, charged, "{cost:?} {more}");
        assert_eq!(plan.note.ticket, 0, "a standard charge stands");
    }
    let mut client = Client::of(|d| d.cost(CostModel::MaxOnly)).path("/openai/deployments/d/embeddings");
    assert_eq!(client.send(r#"{"input":["12345","1234"]}"#).note.charged, 3);
    let mut client = Client::of(|d| d).path("/openai/deployments/d/completions");
    let plan = client.send(r#"{"prompt":"1234","max_tokens":10,"best_of":4,"n":2}"#);
    assert_eq!(plan.note.charged, 41);
}

#[test]
fn tokens_are_refused_until_the_window_ends() {
    let mut client = Client::new(&SimConfig::new([limited(Limits::new().tpm(1000))]));
    let more = r#","max_completion_tokens":492"#;
    assert_eq!(client.at(0.0).chat(PROMPT, more).status, 200);
    assert_eq!(client.at(1.0).chat(PROMPT, more).status, 200);
    let refused = client.at(1.5).chat(PROMPT, more);
    assert_eq!((refused.status, code(&refused)), (429, "RateLimitReached".to_owned()));
    assert_eq!(header(&refused, "retry-after"), Some("29"));
    assert_eq!(header(&refused, "x-ratelimit-type"), Some("Tokens"));
    assert_eq!(header(&refused, "x-ratelimit-remaining-tokens"), Some("0"));
    assert!(text(&refused).contains("token rate limit") && text(&refused).contains("Please retry after 29 seconds."));
    assert_eq!((refused.note.charged, refused.head_at), (0, Duration::ZERO));
    assert_eq!(client.at(30.0).chat(PROMPT, more).status, 200);
    let done = &client.world.summary().deployments[0];
    assert_eq!((done.asked, done.admitted, done.refused, done.charged), (4, 3, 1, 1500));
}

#[test]
fn requests_are_refused_until_their_own_window_ends() {
    for (window_s, allowed, wait) in [(1.0, 2, "1"), (10.0, 20, "10"), (60.0, 120, "30")] {
        let limits = Limits::new().rpm(120).request_window_s(window_s);
        let mut client = Client::new(&SimConfig::new([limited(limits)]));
        for _ in 0..allowed {
            assert_eq!(client.chat(PROMPT, "").status, 200);
        }
        let refused = client.chat(PROMPT, "");
        assert_eq!(
            (refused.status, header(&refused, "retry-after")),
            (429, Some(wait)),
            "{window_s} s"
        );
        assert_eq!(header(&refused, "x-ratelimit-type"), Some("Requests"));
        assert!(text(&refused).contains("call rate limit"));
    }
}

#[test]
fn a_success_tells_how_the_quota_stands() {
    let names = ["limit", "remaining", "reset", "renewalperiod"];
    let shown = |form| {
        let deployment = limited(Limits::new().tpm(150_000).rpm(900)).rate_headers(form);
        let plan = Client::new(&SimConfig::new([deployment])).chat(PROMPT, "");
        ["requests", "tokens"].map(|axis| {
            names
                .map(|name| {
                    header(&plan, &format!("x-ratelimit-{name}-{axis}"))
                        .unwrap_or("-")
                        .to_owned()
                })
                .join(" ")
        })
    };
    assert_eq!(shown(RateHeaders::Full), ["900 149 10 10", "150000 149976 30 60"]);
    assert_eq!(shown(RateHeaders::Documented), ["900 149 10 -", "150000 149976 30 -"]);
    assert_eq!(shown(RateHeaders::Unlimited), ["-1 -1 0 -", "-1 -1 0 -"]);
    assert_eq!(shown(RateHeaders::Off), ["- - - -", "- - - -"]);
}

#[test]
fn without_rate_headers_neither_successes_nor_refusals_tell_a_quota() {
    for limits in [Limits::new().tpm(1000).rpm(12), Limits::new().tpm(30).rpm(120)] {
        for form in [LimiterForm::Window, LimiterForm::Bucket] {
            let deployment = limited(limits.clone().form(form)).rate_headers(RateHeaders::Off);
            let mut client = Client::new(&SimConfig::new([deployment]));
            let mut statuses = Vec::new();
            for _ in 0..3 {
                let plan = client.chat(PROMPT, "");
                let told = plan.headers.iter().find(|(name, _)| name.starts_with("x-ratelimit"));
                assert_eq!(told, None, "{limits:?}");
                assert_eq!(header(&plan, "retry-after").is_some(), plan.status == 429);
                statuses.push(plan.status);
            }
            assert_eq!((statuses[0], statuses[2]), (200, 429), "{limits:?}");
        }
    }
}

#[test]
fn a_group_is_shared_by_its_members_and_their_own_limits_hold_too() {
    let config = SimConfig::new([
        SimDeployment::new("a").resource("r").quota_group("g"),
        SimDeployment::new("b")
            .resource("r")
            .quota_group("g")
            .limits(Limits::new().tpm(300).phase_s(30.0)),
        SimDeployment::new("c").resource("r"),
    ])
    .quota_group("g", Limits::new().tpm(1000).phase_s(40.0));
    let mut client = Client::new(&config);
    let mut ask = |deployment: &str, max: u64| {
        client.path = format!("/openai/deployments/{deployment}/chat/completions");
        let plan = client.chat(PROMPT, &format!(r#","max_tokens":{}"#, max - 8));
        (plan.status, header(&plan, "retry-after").map(str::to_owned))
    };
    assert_eq!(ask("a", 600), (200, None));
    // Its own limit, then the group's: what one refuses is charged to neither.
    assert_eq!(ask("b", 301), (429, Some("30".to_owned())));
    assert_eq!(ask("b", 300), (200, None));
    assert_eq!(ask("a", 101), (429, Some("40".to_owned())));
    assert_eq!(ask("a", 100), (200, None));
    assert_eq!(ask("c", 100_000), (200, None));
}

#[test]
fn every_family_and_trap_of_429_can_be_chosen() {
    for family in RefusalFamily::ALL {
        let refusals = Refusals {
            family: Some(family),
            ..Refusals::default()
        };
        let mut client = Client::new(&SimConfig::new([limited(Limits::new().tpm(1)).refusals(refusals)]));
        let plan = client.chat(PROMPT, "");
        assert_eq!(plan.status, 429);
        let expected = match family {
            RefusalFamily::Reached => "RateLimitReached",
            RefusalFamily::Operation | RefusalFamily::Gateway => "429",
            RefusalFamily::Exceeded => "rate_limit_exceeded",
            RefusalFamily::Provisioned => "rate_limit_reached",
            RefusalFamily::NoCapacity => "NoCapacity",
        };
        assert_eq!(code(&plan), expected);
    }
    for (form, seconds, ms, limit) in [
        (RetryAfter::Honest, Some("30"), None, Some("1")),
        (RetryAfter::Both, Some("30"), Some("30000"), Some("1")),
        (RetryAfter::Date, Some("Thu, 01 Jan 2026 00:00:30 GMT"), None, Some("1")),
        (RetryAfter::Short, Some("29"), None, Some("1")),
        (RetryAfter::Seconds(86_400), Some("86400"), None, Some("1")),
        (RetryAfter::ZeroMs, Some("1"), Some("0"), Some("1")),
        (RetryAfter::Unlimited, None, None, Some("-1")),
        (RetryAfter::Silent, None, None, None),
    ] {
        let refusals = Refusals {
            retry_after: form,
            ..Refusals::default()
        };
        let mut client = Client::new(&SimConfig::new([limited(Limits::new().tpm(1)).refusals(refusals)]));
        let plan = client.chat(PROMPT, "");
        let got = [
            header(&plan, "retry-after"),
            header(&plan, "retry-after-ms"),
            header(&plan, "x-ratelimit-limit-tokens"),
        ];
        assert_eq!(got, [seconds, ms, limit], "{form:?}");
    }
}

#[test]
fn a_temporarily_lowered_limit_shows_and_holds() {
    let limits = Limits::new().tpm(1000).lowered(60.0, 120.0, 0.1);
    for form in [LimiterForm::Window, LimiterForm::Bucket] {
        let mut client = Client::new(&SimConfig::new([limited(limits.clone().form(form))]));
        let more = r#","max_tokens":192"#;
        assert_eq!(client.at(0.0).chat(PROMPT, more).status, 200);
        let lowered = client.at(90.0).chat(PROMPT, more);
        assert_eq!(
            (lowered.status, header(&lowered, "x-ratelimit-limit-tokens")),
            (429, Some("100")),
            "{form:?}"
        );
        assert_eq!(client.at(120.0).chat(PROMPT, more).status, 200, "{form:?}");
    }
}

#[test]
fn what_never_reaches_the_model_is_not_charged_and_what_it_rejects_is() {
    let mut client = Client::new(&SimConfig::new([limited(Limits::new().tpm(10_000))]));
    client.send("{");
    client.headers[0].1 = "wrong".to_owned();
    client.chat(PROMPT, "");
    client.headers[0].1 = "simulated-key".to_owned();
    assert_eq!(client.world.summary().deployments[0].charged, 0);
    assert_eq!(client.chat("sim:filter-prompt", "").status, 400);
    assert!(client.world.summary().deployments[0].charged > 0);
}
