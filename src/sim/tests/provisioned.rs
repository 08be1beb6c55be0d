use super::*;
use crate::sim::{FaultKind, Limits, OutputLength, SimFault};

/// Two deployments of one resource; the brim of `d` is at 500 tokens.
fn with_spillover() -> SimConfig {
    SimConfig::new([
        SimDeployment::new("d").resource("r").provisioned(1000).spillover("pay"),
        SimDeployment::new("pay")
            .resource("r")
            .limits(Limits::new().tpm(2000).phase_s(0.0)),
    ])
}

#[test]
fn throughput_is_refused_above_the_brim_and_corrected_when_the_answer_is_out() {
    let mut client = Client::of(|d| d.provisioned(60_000).output(OutputLength::exactly(100)));
    let more = r#","max_tokens":39992"#;
    let first = client.chat("Hello!", more);
    assert_eq!((first.status, first.note.charged), (200, 40_000));
    assert_eq!(header(&first, "azure-openai-deployment-utilization"), Some("133.3%"));
    assert!(first.headers.iter().all(|(name, _)| !name.starts_with("x-ratelimit")));

    let refused = client.at(1.0).chat("Hello!", more);
    assert_eq!((refused.status, code(&refused)), (429, "rate_limit_reached".to_owned()));
    // 39,000 are in a bucket whose brim is at 30,000, and 1,000 drain in a second.
    assert_eq!(header(&refused, "retry-after-ms"), Some("9001"));
    assert_eq!(header(&refused, "retry-after"), Some("10"));
    assert!(refused.headers.iter().all(|(name, _)| !name.starts_with("x-ratelimit")));

    assert_ne!(first.note.ticket, 0);
    client.world.finished(first.note.ticket, Duration::from_secs(1));
    client.world.finished(first.note.ticket, Duration::from_secs(1));
    let next = client.at(1.0).chat("Hello!", r#","max_tokens":892"#);
    // What is left of the first one: 108 tokens used, less the 1,000 that drained (never below empty).
    assert_eq!(
        (next.status, header(&next, "azure-openai-deployment-utilization")),
        (200, Some("3.0%"))
    );
}

#[test]
fn output_counts_a_multiple_and_cached_tokens_nothing() {
    let long = "All the words of a long system prompt. ".repeat(200);
    let mut client = Client::of(|d| SimDeployment { output_ratio: 4.0, ..d }.provisioned(1_000_000));
    let first = client.chat(&long, r#","max_tokens":100"#);
    let prompt = json(&first)["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(first.note.charged, prompt + 400);
    let again = client.chat(&long, r#","max_tokens":100"#);
    let cached = json(&again)["usage"]["prompt_tokens_details"]["cached_tokens"]
        .as_u64()
        .unwrap();
    assert!(cached >= 1024, "{cached}");
    assert_eq!(again.note.charged, prompt - cached + 400);
}

#[test]
fn what_is_refused_spills_over_and_says_so() {
    let mut client = Client::new(&with_spillover());
    let more = r#","max_tokens":992"#;
    let first = client.chat("Hello!", more);
    assert_eq!(header(&first, "x-ms-deployment-name"), Some("d"));
    assert_eq!(header(&first, "x-ms-spillover-from-deployment"), None);
    let spilt = client.chat("Hello!", more);
    assert_eq!((spilt.status, spilt.deployment), (200, Some(0)));
    assert_eq!(header(&spilt, "x-ms-deployment-name"), Some("pay"));
    assert_eq!(header(&spilt, "x-ms-spillover-from-deployment"), Some("d"));
    assert_eq!(client.chat("Hello!", more).status, 200);
    let failed = client.chat("Hello!", more);
    assert_eq!(
        (failed.status, header(&failed, "x-ms-spillover-error")),
        (429, Some("429"))
    );
    assert_eq!(header(&failed, "x-ms-deployment-name"), Some("d"));
}

#[test]
fn server_errors_and_long_contexts_spill_over_and_other_errors_do_not() {
    for (kind, status) in [
        (FaultKind::Status { status: 500 }, 200),
        (FaultKind::Status { status: 503 }, 200),
        (FaultKind::Status { status: 404 }, 404),
        (FaultKind::FilteredPrompt, 400),
    ] {
        let mut config = with_spillover();
        config.deployments[0].faults.push(SimFault::always(kind));
        assert_eq!(Client::new(&config).chat("Hello!", "").status, status, "{kind:?}");
    }
    let mut config = with_spillover();
    config.deployments[0].context_tokens = 20;
    let mut client = Client::new(&config);
    let long = client.chat(&"word ".repeat(100), "");
    assert_eq!((long.status, header(&long, "x-ms-deployment-name")), (200, Some("pay")));
    // Nothing stays charged at the one that could not serve it.
    let next = client.chat("Hello!", r#","max_tokens":10"#);
    assert_eq!(header(&next, "azure-openai-deployment-utilization"), Some("3.6%"));
}

#[test]
fn a_request_can_name_where_it_may_spill() {
    let mut config = with_spillover();
    config.deployments[0].spillover = None;
    let mut client = Client::new(&config);
    client
        .headers
        .push(("x-ms-spillover-deployment".to_owned(), "pay".to_owned()));
    let more = r#","max_tokens":992"#;
    assert_eq!(client.chat("Hello!", more).status, 200);
    assert_eq!(
        header(&client.chat("Hello!", more), "x-ms-deployment-name"),
        Some("pay")
    );
}
