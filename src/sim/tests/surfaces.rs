use proptest::prelude::*;

use super::*;
use crate::sim::SimOperation;

#[test]
fn both_surfaces_answer_and_name_the_deployment_their_way() {
    let named = r#"{"model":"d","messages":[{"role":"user","content":"hello"}]}"#;
    for (path, query, body, status) in [
        (
            "/openai/deployments/d/chat/completions",
            "api-version=2024-10-21",
            chat("hello", ""),
            200,
        ),
        // The path decides; `model` in the body need not match.
        (
            "/openai/deployments/d/chat/completions",
            "api-version=2024-10-21",
            chat("hello", r#","model":"other""#),
            200,
        ),
        ("/openai/v1/chat/completions", "", named.to_owned(), 200),
        (
            "/openai/v1/chat/completions",
            "api-version=preview",
            named.to_owned(),
            200,
        ),
        ("/v1/chat/completions", "", named.to_owned(), 200),
        ("/api/projects/p/openai/v1/chat/completions", "", named.to_owned(), 200),
        ("/openai/v1/chat/completions", "", chat("hello", ""), 400),
        ("/openai/v1/chat/completions", "", chat("hello", r#","model":"D""#), 404),
        ("/openai/v1/chat/completions", "", "{".to_owned(), 400),
    ] {
        let mut client = Client::of(|d| d).path(path);
        query.clone_into(&mut client.query);
        let plan = client.send(&body);
        assert_eq!(plan.status, status, "{path}?{query} {body}: {}", text(&plan));
        assert_eq!(plan.deployment.is_some(), status == 200, "{path}");
    }
}

#[test]
fn a_wrong_url_finds_nothing_and_a_wrong_name_no_deployment() {
    for (path, query, part) in [
        (
            "/openai/deployments/x/chat/completions",
            "api-version=2024-10-21",
            "DeploymentNotFound",
        ),
        (
            "/openai/deployments/d/chat/completions",
            "",
            r#""message": "Resource not found""#,
        ),
        (
            "/openai/deployments/d/nonsense",
            "api-version=2024-10-21",
            r#""message": "Resource not found""#,
        ),
    ] {
        let mut client = Client::of(|d| d).path(path);
        query.clone_into(&mut client.query);
        let plan = client.chat("hello", "");
        assert_eq!(plan.status, 404);
        assert!(text(&plan).contains(part), "{path}: {}", text(&plan));
    }
}

#[test]
fn credentials_are_refused_in_azures_two_shapes() {
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let rows: [(Headers<'_>, u16, &str); 5] = [
        (&[("api-key", "simulated-key")], 200, "choices"),
        (&[("authorization", "Bearer token-1")], 200, "choices"),
        (&[("api-key", "wrong")], 401, r#"{"error":{"code":"401","#),
        (&[("authorization", "Bearer wrong")], 401, r#"{"statusCode":401,"#),
        (&[], 401, r#"{"error":{"code":"401","#),
    ];
    for (headers, status, part) in rows {
        let mut client = Client::of(|d| d.bearer_token("token-1"));
        client.headers = headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        let plan = client.chat("hello", "");
        assert_eq!(plan.status, status, "{headers:?}");
        assert!(text(&plan).contains(part), "{headers:?}: {}", text(&plan));
    }
}

#[test]
fn resources_are_hosts_with_deployments_and_keys_of_their_own() {
    let config = SimConfig::new([
        SimDeployment::new("a").resource("r").key("key-r"),
        SimDeployment::new("b").key("key-b"),
        SimDeployment::new("c").resource("r").key("key-r"),
    ]);
    let world = World::new(&config).unwrap();
    let resources: Vec<_> = world
        .resources()
        .map(|(name, all)| (name.to_owned(), all.to_vec()))
        .collect();
    assert_eq!(resources, [("r".to_owned(), vec![0, 2]), ("b".to_owned(), vec![1])]);
    let names: Vec<_> = world.deployments().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);

    let mut client = Client::new(&config);
    for (resource, key, deployment, status) in [
        (0, "key-r", "c", 200),
        (0, "key-r", "b", 404),
        (1, "key-b", "b", 200),
        (1, "key-r", "b", 401),
        (7, "key-r", "b", 404),
    ] {
        client.resource = resource;
        client.headers = vec![("api-key".to_owned(), key.to_owned())];
        client.path = format!("/openai/deployments/{deployment}/chat/completions");
        let plan = client.chat("hello", "");
        assert_eq!(plan.status, status, "{deployment} of resource {resource}");
    }
}

#[test]
fn more_than_ten_custom_headers_are_431_in_html() {
    let mut client = Client::of(|d| d);
    for i in 0..11 {
        client.headers.push((format!("x-custom-{i}"), "1".to_owned()));
    }
    let plan = client.chat("hello", "");
    assert_eq!(plan.status, 431);
    assert!(text(&plan).contains("<TITLE>Request Header Fields Too Large</TITLE>"));
    assert_eq!(header(&plan, "content-type"), Some("text/html; charset=us-ascii"));
}

#[test]
fn an_operation_that_the_model_lacks_is_not_supported_and_the_others_are() {
    let mut client = Client::of(|d| d.operations([SimOperation::Embeddings]));
    let plan = client.chat("hello", "");
    assert_eq!((plan.status, code(&plan)), (400, "OperationNotSupported".to_owned()));
    client.path = "/openai/deployments/d/embeddings".to_owned();
    assert_eq!(client.send(r#"{"input":"hello"}"#).status, 200);
}

#[test]
fn bad_bodies_are_answered_as_azure_does() {
    let rows = [
        ("chat/completions", "", 400, "could not parse the JSON body"),
        (
            "chat/completions",
            "{\"messages\":[",
            400,
            "could not parse the JSON body",
        ),
        ("chat/completions", "{}", 400, "Missing required parameter: 'messages'."),
        ("chat/completions", r#"{"messages":null}"#, 500, "server had an error"),
        ("chat/completions", r#"{"messages":[]}"#, 400, "too short"),
        ("chat/completions", r#"{"messages":"x"}"#, 400, "Invalid request body"),
        (
            "chat/completions",
            r#"{"messages":[{"role":"user","content":"x"}],"n":0}"#,
            400,
            "'n'",
        ),
        ("completions", r#"{"prompt":"x","best_of":2,"n":3}"#, 400, "best_of"),
        ("embeddings", "{}", 400, "'input'"),
        ("embeddings", r#"{"input":[]}"#, 400, "empty"),
        ("embeddings", r#"{"input":["a",1]}"#, 400, "Invalid request body"),
    ];
    for (operation, body, status, part) in rows {
        let mut client = Client::of(|d| d).path(&format!("/openai/deployments/d/{operation}"));
        let plan = client.send(body);
        assert_eq!(plan.status, status, "{operation} {body}");
        assert!(text(&plan).contains(part), "{operation} {body}: {}", text(&plan));
    }
    let many = vec![r#"{"role":"user","content":"x"}"#; 2049].join(",");
    let plan = Client::of(|d| d).send(&format!("{{\"messages\":[{many}]}}"));
    assert_eq!((plan.status, code(&plan)), (400, "array_above_max_length".to_owned()));
}

#[test]
fn a_body_of_every_form_is_understood() {
    for body in [
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}}]}]}"#,
        r#"{"messages":[{"role":"system","content":"a \"quoted\" word\n"},{"role":"user","content":"bä"}],"unknown":{"x":[1,null]}}"#,
        r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"id":"c"}]},{"role":"tool","tool_call_id":"c","content":"b"}]}"#,
        r#"{"messages":[{"role":"user","content":"a"}],"temperature":null,"max_tokens":null,"stream":null,"stream_options":null,"tools":null,"response_format":null}"#,
        r#"{"messages":[{"role":"user","content":"a","name":"x"}],"response_format":{"type":"text"},"logit_bias":{"1":2},"stop":["x"],"seed":1}"#,
    ] {
        let plan = Client::of(|d| d).send(body);
        assert_eq!(plan.status, 200, "{body}: {}", text(&plan));
    }
}

#[test]
fn models_are_listed() {
    let mut client = Client::of(|d| d).path("/openai/v1/models");
    client.method = "GET";
    client.query.clear();
    let plan = client.send("");
    assert_eq!(plan.status, 200);
    assert_eq!(json(&plan)["data"][0]["id"], "gpt-4o-2024-11-20");
    client.headers.clear();
    assert_eq!(client.send("").status, 401);
}

#[test]
fn every_reply_can_be_traced() {
    let mut client = Client::of(|d| d.region("North Central US"));
    client
        .headers
        .push(("x-ms-client-request-id".to_owned(), "mine".to_owned()));
    let (one, two) = (client.chat("hello", ""), client.chat("hello", ""));
    assert_eq!(header(&one, "x-ms-region"), Some("North Central US"));
    assert_eq!(header(&one, "x-ms-deployment-name"), Some("d"));
    assert_eq!(header(&one, "x-ms-client-request-id"), Some("mine"));
    assert!(header(&one, "apim-request-id").is_some());
    assert_ne!(header(&one, "apim-request-id"), header(&two, "apim-request-id"));
}

#[test]
fn one_seed_tells_one_story() {
    let story = |seed| {
        let config = SimConfig::new([SimDeployment::new("d")
            .latency(crate::sim::Latency::typical())
            .fault(crate::sim::SimFault::random(0.3, crate::sim::FaultKind::Reset))])
        .seed(seed);
        let mut client = Client::new(&config);
        (0..20)
            .map(|_| client.chat("hello", r#","stream":true"#))
            .collect::<Vec<_>>()
    };
    assert_eq!(story(1), story(1));
    assert_ne!(story(1), story(2));
}

/// Requests that are nearly right, and some that are not at all.
fn bodies() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("0".to_owned()),
        Just("-1".to_owned()),
        Just("1e400".to_owned()),
        Just(u64::MAX.to_string()),
        Just("null".to_owned()),
        Just("\"x\"".to_owned()),
        Just("[{}]".to_owned()),
        Just("true".to_owned()),
        (1..500u64).prop_map(|n| n.to_string()),
    ];
    let key = proptest::sample::select(vec![
        "n",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "best_of",
        "stream",
        "tools",
        "response_format",
        "dimensions",
        "input",
        "prompt",
        "messages",
        "temperature",
    ]);
    let fields = proptest::collection::vec((key, number), 0..4).prop_map(|fields| {
        let written: String = fields
            .iter()
            .map(|(key, value)| format!(",\"{key}\":{value}"))
            .collect();
        format!(r#"{{"model":"d","x":[{{"role":"user","content":"id:1 sim:tokens=99999999999"}}]{written}}}"#)
    });
    let renamed = (fields, proptest::sample::select(vec!["messages", "input", "prompt"]))
        .prop_map(|(body, name)| body.replacen("\"x\"", &format!("\"{name}\""), 1));
    prop_oneof![4 => renamed, 1 => ".*"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes is answered, and with an error where it makes no sense.
    #[test]
    fn nothing_that_is_sent_brings_the_world_down(
        body in bodies(),
        operation in proptest::sample::select(SimOperation::ALL.to_vec()),
        v1 in any::<bool>(),
        reasoning in any::<bool>(),
        provisioned in any::<bool>(),
        at_s in prop_oneof![0..100u64, Just(u64::MAX)],
    ) {
        let mut client = Client::of(|mut d| {
            d.reasoning = reasoning;
            if provisioned { d.provisioned(1000) } else { d.tpm(100_000) }
        });
        let surface = if v1 { "/openai/v1" } else { "/openai/deployments/d" };
        client.path = format!("{surface}/{}", operation.path());
        if v1 {
            client.query.clear();
        }
        client.now = Duration::from_secs(at_s);
        let plan = client.send(&body);
        prop_assert!(matches!(plan.status, 200 | 400 | 404 | 429 | 500), "{}", plan.status);
        client.world.finished(plan.note.ticket, client.now);
    }

    /// No URL does, either.
    #[test]
    fn no_url_brings_the_world_down(path in "(/openai|/v1|/api|/deployments|/%[0-9a-f]?|/d|/chat/completions|/ä){0,6}", query in ".*") {
        let mut client = Client::of(|d| d).path(&path);
        client.query = query;
        let plan = client.chat("hello", "");
        prop_assert!(matches!(plan.status, 200 | 400 | 404), "{}", plan.status);
    }
}
