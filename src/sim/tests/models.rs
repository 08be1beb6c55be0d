use super::*;
use crate::sim::OutputLength;

#[test]
fn a_reasoning_model_rejects_what_it_does_not_know() {
    for (more, expected) in [
        (r#","max_tokens":10"#, Some("unsupported_parameter")),
        (r#","temperature":0.1"#, Some("unsupported_value")),
        (r#","top_p":0.5"#, Some("unsupported_value")),
        (r#","presence_penalty":1"#, Some("unsupported_value")),
        (r#","frequency_penalty":1"#, Some("unsupported_value")),
        (r#","logprobs":true"#, Some("unsupported_parameter")),
        (r#","top_logprobs":2"#, Some("unsupported_parameter")),
        (r#","logit_bias":{"1":1}"#, Some("unsupported_parameter")),
        (r#","temperature":1,"top_p":1,"presence_penalty":0"#, None),
        (r#","max_completion_tokens":500,"reasoning_effort":"low""#, None),
    ] {
        let plan = Client::of(SimDeployment::reasoning).chat("hello", more);
        let got = (plan.status == 400).then(|| code(&plan));
        assert_eq!(got.as_deref(), expected, "{more}");
        assert_eq!(Client::of(|d| d).chat("hello", more).status, 200, "others take {more}");
    }
    let both = r#"{"messages":[{"role":"system","content":"a"},{"role":"developer","content":"b"},{"role":"user","content":"c"}]}"#;
    assert_eq!(Client::of(SimDeployment::reasoning).send(both).status, 400);
    assert_eq!(Client::of(|d| d).send(both).status, 200);
}

#[test]
fn hidden_tokens_are_counted_and_can_use_up_the_limit() {
    let mut client = Client::of(SimDeployment::reasoning);
    let usage = json(&client.chat("hello", ""))["usage"].clone();
    let hidden = usage["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap();
    assert!(hidden > 0);
    assert_eq!(usage["completion_tokens"], hidden + 24);
    let tight = json(&client.chat("hello", r#","max_completion_tokens":20"#));
    assert_eq!(tight["choices"][0]["finish_reason"], "length");
    assert_eq!(tight["choices"][0]["message"]["content"], "");
    assert_eq!(tight["usage"]["completion_tokens_details"]["reasoning_tokens"], 20);
}

#[test]
fn prompts_and_sums_beyond_the_context_are_rejected() {
    let mut client = Client::of(|d| d.context_tokens(100));
    assert_eq!(client.chat(&"x".repeat(376), "").status, 200);
    for (prompt, more, part) in [
        ("x".repeat(380), "", "your messages resulted in 101 tokens"),
        (
            "x".repeat(4),
            r#","max_tokens":100"#,
            "you requested 107 tokens (7 in the messages, 100 in the completion)",
        ),
    ] {
        let plan = client.chat(&prompt, more);
        assert_eq!((plan.status, code(&plan)), (400, "context_length_exceeded".to_owned()));
        assert!(text(&plan).contains(part), "{}", text(&plan));
    }
}

#[test]
fn prompts_are_cached_in_steps_for_each_deployment() {
    let config = SimConfig::new([
        SimDeployment::new("d").resource("r"),
        SimDeployment::new("e").resource("r"),
        SimDeployment::new("off").resource("r").prompt_cache(false),
    ]);
    let mut client = Client::new(&config);
    // 1,300 tokens of text.
    let long = "y".repeat(5200);
    let mut cached = |deployment: &str, text: &str, at_s: f64| {
        client.path = format!("/openai/deployments/{deployment}/chat/completions");
        let body = json(&client.at(at_s).chat(text, ""));
        body["usage"]["prompt_tokens_details"]["cached_tokens"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(cached("d", &long, 0.0), 0);
    assert_eq!(cached("d", &long, 1.0), 1280);
    assert_eq!(cached("d", &format!("{}{}", &long[..4700], "z".repeat(500)), 2.0), 1152);
    assert_eq!(cached("e", &long, 3.0), 0);
    assert_eq!(cached("d", "short", 4.0), 0);
    assert_eq!(cached("d", &long, 1000.0), 0);
    assert_eq!(cached("off", &long, 0.0), 0);
    assert_eq!(cached("off", &long, 1.0), 0);
}

#[test]
fn a_limit_cuts_the_answer() {
    let mut client = Client::of(|d| d.output(OutputLength::exactly(50)));
    let cut = json(&client.chat("hello", r#","max_completion_tokens":10"#));
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
    assert_eq!(cut["usage"]["completion_tokens"], 10);
    let asked = json(&client.chat("hello sim:tokens=77", ""));
    assert_eq!(asked["usage"]["completion_tokens"], 77);
}
