//! Which deployment a request goes to, under which URL and with which credential, and what of its operations a
//! deployment is held to.

use std::collections::{BTreeMap, BTreeSet};

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::{Condition, EmbeddingRequest, Operation, RawRequest};
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig, Kind, Strategy};
use azure_openai_blaster::error::{Error, ErrorKind};
use azure_openai_blaster::sim::{SimDeployment, SimFleet, SimOperation};
use serde_json::{Value, json};

use crate::support::{arrived, ask, attempts, blaster, config, echo, fleet, fleet_with_bodies, state, wait_all};

fn build(config: BlasterConfig) -> Blaster {
    Blaster::builder().config(config).seed(1).build().unwrap()
}

/// Requests that each deployment received.
fn counts(fleet: &SimFleet) -> BTreeMap<String, u64> {
    let endpoints = fleet.endpoints().iter();
    let count = |name: &str| fleet.counters(name).unwrap().requests;
    endpoints
        .map(|endpoint| (endpoint.name.clone(), count(&endpoint.name)))
        .collect()
}

#[test]
fn a_request_goes_to_those_that_serve_its_model() {
    let fleet = fleet([
        SimDeployment::new("east"),
        SimDeployment::new("west"),
        SimDeployment::new("mini").model("gpt-4o-mini", "2024-07-18"),
    ]);
    let blaster = blaster(&fleet);
    for (model, expected) in [
        (Some("gpt-4o"), ["east", "west"].as_slice()),
        (Some("gpt-4o-mini"), &["mini"]),
        (Some("west"), &["west"]),
        (None, &["east", "mini", "west"]),
    ] {
        fleet.clear_journal();
        for id in 0..12 {
            let request = model.iter().fold(ask(id), |request, model| request.model(*model));
            assert!(blaster.chat(request).unwrap().text().unwrap().starts_with(&echo(id)));
        }
        let entries = fleet.journal();
        assert_eq!(entries.len(), 12);
        let asked: BTreeSet<&str> = entries.iter().filter_map(|entry| entry.deployment.as_deref()).collect();
        assert_eq!(asked, expected.iter().copied().collect(), "{model:?}");
        for entry in &entries {
            let own = format!(
                "/openai/deployments/{}/chat/completions",
                entry.deployment.as_deref().unwrap()
            );
            assert_eq!(entry.path, own);
        }
    }
}

#[test]
fn an_unknown_model_fails_at_once_and_names_the_known_ones() {
    let fleet = fleet([
        SimDeployment::new("east"),
        SimDeployment::new("mini").model("gpt-4o-mini", "2024-07-18"),
    ]);
    let blaster = blaster(&fleet);
    let refused = blaster.submit(ask(0).model("gpt-9")).unwrap_err();
    let said = Error::from(refused).to_string();
    assert_eq!(
        said,
        r#"no deployment serves the model "gpt-9"; there are: east, gpt-4o, gpt-4o-mini, mini"#
    );
    let raw = RawRequest::post(Operation::Responses, r#"{"model":"gpt-9","input":"x"}"#);
    let embeddings = blaster
        .embeddings(EmbeddingRequest::from("x").model("gpt-9"))
        .unwrap_err();
    assert_eq!(
        Error::from(blaster.submit_raw(raw).unwrap_err()).kind(),
        ErrorKind::UnknownModel
    );
    assert_eq!(embeddings.kind(), ErrorKind::UnknownModel);
    assert_eq!(fleet.totals().requests, 0);
}

/// After every request each deployment has had its share of them, within one.
fn check_shares(strategy: Strategy, weights: &[(&str, u32)]) {
    let fleet = fleet(
        weights
            .iter()
            .map(|(name, weight)| SimDeployment::new(*name).weight(*weight)),
    );
    let mut config = config(&fleet).strategy(strategy);
    // All are ready at every moment, whatever the threads do.
    config
        .deployments
        .iter_mut()
        .for_each(|one| one.max_in_flight = Some(16));
    let blaster = build(config);
    let share = |name: &str| {
        let weight = |weight: u32| {
            if strategy == Strategy::RoundRobin {
                1.0
            } else {
                f64::from(weight)
            }
        };
        let sum: f64 = weights.iter().map(|(_, one)| weight(*one)).sum();
        let own = weights.iter().find(|(one, _)| *one == name).unwrap();
        weight(own.1) / sum
    };
    let mut sent: BTreeMap<String, f64> = BTreeMap::new();
    for turn in 1..=120 {
        let completion = blaster.chat(ask(turn)).unwrap();
        *sent
            .entry(completion.ledger().attempts()[0].endpoint.to_string())
            .or_default() += 1.0;
        for (name, _) in weights {
            let (had, due) = (
                sent.get(*name).copied().unwrap_or_default(),
                share(name) * f64::from(turn),
            );
            assert!(
                (had - due).abs() <= 1.0,
                "{strategy:?} {name}: {had} of {due} after {turn}"
            );
        }
    }
    let results = wait_all((0..880).map(|id| blaster.submit(ask(id)).unwrap()).collect::<Vec<_>>());
    assert!(results.iter().all(Result::is_ok));
    for (name, had) in counts(&fleet) {
        let due = share(&name) * 1000.0;
        assert!((had as f64 - due).abs() <= 1.0, "{strategy:?} {name}: {had} of {due}");
    }
}

#[test]
fn every_deployment_has_its_share_within_one_request() {
    check_shares(Strategy::Weighted, &[("a", 5), ("b", 3), ("c", 1)]);
    check_shares(Strategy::Weighted, &[("a", 1000), ("b", 1)]);
    check_shares(Strategy::RoundRobin, &[("a", 5), ("b", 3), ("c", 1)]);
}

/// Sends one of everything, and returns the paths with their queries.
fn paths(fleet: &SimFleet, change: impl Fn(&mut DeploymentConfig)) -> Vec<String> {
    let mut config = config(fleet);
    change(&mut config.deployments[0]);
    let blaster = build(config);
    fleet.clear_journal();
    blaster.chat(ask(1)).unwrap();
    blaster.chat(ask(2).stream(true)).unwrap();
    blaster.embeddings("three").unwrap();
    let responses = RawRequest::post(Operation::Responses, r#"{"input":"id:4"}"#);
    blaster.submit_raw(responses).unwrap().wait().unwrap();
    let completions = RawRequest::post(Operation::Completions, r#"{"prompt":"id:5"}"#);
    blaster.submit_raw(completions).unwrap().wait().unwrap();
    let url = |path: &str, query: &str| {
        if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        }
    };
    fleet
        .journal()
        .iter()
        .map(|entry| url(&entry.path, &entry.query))
        .collect()
}

#[test]
fn both_surfaces_and_an_openai_compatible_base_have_their_own_paths() {
    let fleet = fleet_with_bodies([SimDeployment::new("gpt")]);
    let base = fleet.endpoints()[0].url.clone();
    let dated = "2025-04-01-preview";
    let below = |prefix: &str| {
        let paths = [
            "chat/completions",
            "chat/completions",
            "embeddings",
            "responses",
            "completions",
        ];
        paths.map(|path| format!("{prefix}/{path}"))
    };
    assert_eq!(
        paths(&fleet, |one| one.api_version = dated.to_owned()),
        [
            "/openai/deployments/gpt/chat/completions",
            "/openai/deployments/gpt/chat/completions",
            "/openai/deployments/gpt/embeddings",
            "/openai/responses",
            "/openai/deployments/gpt/completions",
        ]
        .map(|path| format!("{path}?api-version={dated}"))
    );
    assert_eq!(
        paths(&fleet, |one| one.api_version = "v1".to_owned()),
        below("/openai/v1")
    );
    assert_eq!(
        paths(&fleet, |one| one.endpoint = format!("{base}/openai/v1")),
        below("/openai/v1")
    );
    assert_eq!(
        paths(&fleet, |one| one.endpoint = format!("{base}/api/projects/p/openai/v1")),
        below("/api/projects/p/openai/v1")
    );
    let openai = |one: &mut DeploymentConfig| {
        one.kind = Kind::OpenAi;
        one.endpoint = format!("{base}/v1");
    };
    assert_eq!(paths(&fleet, openai), below("/v1"));
    for entry in fleet.journal() {
        let body: Value = serde_json::from_str(&entry.body).unwrap();
        assert_eq!(body["model"], "gpt", "the deployment's own name is the model");
    }
}

#[test]
fn azure_gets_its_key_as_a_key_and_others_as_a_bearer_token() {
    let fleet = fleet([SimDeployment::new("gpt").key("right")]);
    let base = fleet.endpoints()[0].url.clone();
    for (kind, endpoint, key, bearer) in [
        (Kind::Azure, base.clone(), Some("(hidden)"), None),
        (Kind::OpenAi, format!("{base}/v1"), None, Some("(hidden)")),
    ] {
        let mut config = config(&fleet);
        config.deployments[0].kind = kind;
        config.deployments[0].endpoint = endpoint;
        fleet.clear_journal();
        build(config).chat(ask(1)).unwrap();
        let entry = &fleet.journal()[0];
        assert_eq!(
            (entry.header("api-key"), entry.header("authorization")),
            (key, bearer),
            "{kind:?}"
        );
    }
}

#[test]
fn an_operation_that_a_deployment_lacks_never_disturbs_its_others() {
    let fleet = fleet([
        SimDeployment::new("chatter").operations([SimOperation::Chat]),
        SimDeployment::new("embedder").operations([SimOperation::Embeddings]),
        SimDeployment::new("old").operations([SimOperation::Completions]),
    ]);
    let blaster = blaster(&fleet);
    let completion = || RawRequest::post(Operation::Completions, r#"{"prompt":"hello"}"#);
    for id in 0..30 {
        blaster.chat(ask(id)).unwrap();
        blaster.embeddings(format!("text {id}")).unwrap();
        blaster.submit_raw(completion()).unwrap().wait().unwrap();
    }
    // Each found out about each of its two lacks once, and that cost nobody anything.
    assert_eq!(
        counts(&fleet),
        [("chatter", 32), ("embedder", 32), ("old", 32)]
            .map(|(n, c)| (n.to_owned(), c))
            .into()
    );
    for state in blaster.states() {
        let report = state.report();
        assert_eq!(
            (report.condition, report.totals.unusable, report.totals.failed),
            (Condition::Ready, 2, 0),
            "{report}"
        );
    }
}

#[test]
fn an_operation_that_nobody_has_fails_with_each_reason_and_the_others_go_on() {
    let fleet = fleet(["east", "west"].map(|name| SimDeployment::new(name).operations([SimOperation::Chat])));
    let blaster = blaster(&fleet);
    let images = Operation::other("images/generations").unwrap();
    for (operation, said) in [
        (Operation::Embeddings, "OperationNotSupported"),
        (images, "Resource not found"),
    ] {
        let handle = blaster
            .submit_raw(RawRequest::post(operation.clone(), r#"{"input":"x"}"#))
            .unwrap();
        let error = handle.wait().unwrap_err();
        let Error::NoEndpoint { endpoints, trail, .. } = &error else {
            panic!("{operation}: {error}")
        };
        assert_eq!(trail.ledger.len(), 2, "{operation}: each was asked once");
        for name in ["east", "west"] {
            let (_, reason) = endpoints.iter().find(|(one, _)| one.as_ref() == name).unwrap();
            assert!(
                reason.contains(said) && reason.contains(operation.path()),
                "{name}: {reason}"
            );
        }
        // Known by now: nobody is asked again.
        let again = blaster
            .submit_raw(RawRequest::post(operation, r#"{"input":"x"}"#))
            .unwrap()
            .wait();
        assert_eq!(again.unwrap_err().ledger().unwrap().len(), 0);
    }
    for id in 0..10 {
        assert_eq!(blaster.chat(ask(id)).unwrap().ledger().len(), 1);
    }
    assert!(
        blaster
            .states()
            .iter()
            .all(|state| state.report().condition == Condition::Ready)
    );
}

#[test]
fn an_operation_that_the_api_version_is_too_old_for_leaves_chats_alone() {
    let fleet = fleet(["east", "west"].map(SimDeployment::new));
    // The default version is older than the Responses API.
    let blaster = blaster(&fleet);
    let responses = RawRequest::post(Operation::Responses, r#"{"input":"hello"}"#);
    let error = blaster.submit_raw(responses).unwrap().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoEndpoint, "{error}");
    assert!(
        error
            .to_string()
            .contains("responses not served here: 400 BadRequest: API version"),
        "{error}"
    );
    for id in 0..10 {
        assert_eq!(blaster.chat(ask(id)).unwrap().ledger().len(), 1);
    }
    assert!(
        blaster
            .states()
            .iter()
            .all(|state| state.report().condition == Condition::Ready)
    );
}

#[test]
fn a_missing_deployment_is_taken_out_alone_and_for_every_operation() {
    let fleet = fleet([
        SimDeployment::new("here").resource("shared"),
        SimDeployment::new("there").resource("shared"),
    ]);
    let mut config = config(&fleet);
    let mut ghost = config.deployments[0].clone();
    ghost.name = "ghost".to_owned();
    ghost.model = "gone".to_owned();
    config.deployments.push(ghost);
    let blaster = build(config);
    let mut asked = 0;
    for id in 0..20 {
        let completion = blaster.chat(ask(id).model("gpt-4o")).unwrap();
        blaster
            .embeddings(EmbeddingRequest::from("text").model("gpt-4o"))
            .unwrap();
        asked += completion
            .ledger()
            .attempts()
            .iter()
            .filter(|attempt| attempt.endpoint.as_ref() == "ghost")
            .count();
    }
    let reports = ["ghost", "here", "there"].map(|name| state(&blaster, name).report());
    let [ghost, here, there] = &reports;
    assert_eq!(ghost.condition, Condition::Disabled);
    assert!(ghost.reason.as_ref().unwrap().contains("DeploymentNotFound"), "{ghost}");
    assert!(
        asked <= 1 && ghost.totals.sent == 1,
        "found out once, by a chat or by an embedding: {ghost}"
    );
    for report in [here, there] {
        assert_eq!(
            (report.condition, report.totals.failed),
            (Condition::Ready, 0),
            "{report}"
        );
    }
}

#[test]
fn a_deployments_defaults_fill_only_what_a_request_leaves_open() {
    let fleet = fleet_with_bodies([SimDeployment::new("east"), SimDeployment::new("west")]);
    let mut config = config(&fleet);
    config.deployments[0] = config.deployments[0].clone().temperature(0.3).max_completion_tokens(77);
    let blaster = build(config);
    // What the request says itself, and what it says at the deployment that has defaults.
    for (request, own, filled) in [
        (
            ask(0),
            json!({}),
            json!({"temperature": 0.3, "max_completion_tokens": 77}),
        ),
        (
            ask(1).temperature(0.9),
            json!({"temperature": 0.9}),
            json!({"temperature": 0.9, "max_completion_tokens": 77}),
        ),
        (
            ask(2).max_completion_tokens(5).stream(true),
            json!({"max_completion_tokens": 5}),
            json!({"temperature": 0.3, "max_completion_tokens": 5}),
        ),
        (
            ask(3).max_tokens(6),
            json!({"max_tokens": 6}),
            json!({"temperature": 0.3, "max_tokens": 6}),
        ),
        (
            ask(4).extra("temperature", ()),
            json!({"temperature": null}),
            json!({"temperature": null, "max_completion_tokens": 77}),
        ),
    ] {
        for (model, expected) in [("west", &own), ("east", &filled)] {
            fleet.clear_journal();
            blaster.chat(request.clone().model(model)).unwrap();
            let mut body: serde_json::Map<String, Value> =
                serde_json::from_str(&arrived(&fleet, model)[0].body).unwrap();
            body.retain(|key, _| ["temperature", "max_completion_tokens", "max_tokens"].contains(&key.as_str()));
            assert_eq!(&Value::Object(body), expected, "{model}");
        }
    }
    // They are chats' parameters: nothing else gets them.
    fleet.clear_journal();
    blaster
        .embeddings(EmbeddingRequest::from("text").model("east"))
        .unwrap();
    let body: Value = serde_json::from_str(&fleet.journal()[0].body).unwrap();
    assert_eq!(
        (&body["temperature"], &body["max_completion_tokens"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_wrong_key_costs_no_caller_anything() {
    let fleet = fleet([SimDeployment::new("locked").key("right"), SimDeployment::new("open")]);
    let mut config = config(&fleet);
    config.deployments[0].auth = Auth::key("wrong");
    let blaster = build(config);
    let results = wait_all((0..200).map(|id| blaster.submit(ask(id)).unwrap()).collect::<Vec<_>>());
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(results.iter().map(attempts).sum::<usize>(), fleet.journal().len());
    let report = state(&blaster, "locked").report();
    assert_eq!(
        (report.condition, report.totals.succeeded),
        (Condition::Disabled, 0),
        "{report}"
    );
    assert!(report.reason.as_ref().unwrap().contains("401"), "{report}");
}
