//! Where a key may go: to the host and the path that the configuration names, and nowhere else, whatever a service answers
//! and whatever a request calls itself. `tests/secrets` looks at where it may show.

use azure_openai_blaster::api::{ChatRequest, EmbeddingRequest, Operation, RawRequest};
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig, Kind};
use azure_openai_blaster::error::{Error, ErrorKind};
use azure_openai_blaster::sim::SimDeployment;
use azure_openai_blaster::{Blaster, EndpointState};

use crate::canned::Canned;
use crate::support::{ask, config, fleet, fleet_with_bodies, wait};

/// A blaster with one deployment at a base URL.
fn at(url: &str, kind: Kind) -> Blaster {
    let deployment = DeploymentConfig::new("gpt", url, "gpt")
        .auth(Auth::key("canary"))
        .kind(kind);
    let config = BlasterConfig::new([deployment.header("x-gateway-key", "canary")]);
    Blaster::builder().config(config.num_workers(2)).build().unwrap()
}

#[test]
fn a_redirect_is_never_followed_and_the_key_stays_with_its_host() {
    let thief = Canned::start("200 OK\r\ncontent-type: application/json", "{}");
    let bare = thief.url.trim_start_matches("http://").to_owned();
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        for location in [
            format!("{}/steal", thief.url),
            format!("//{bare}/steal"),
            "/elsewhere".to_owned(),
        ] {
            for kind in [Kind::Azure, Kind::OpenAi] {
                let host = Canned::start(&format!("{status}\r\nlocation: {location}"), "");
                let error = at(&host.url, kind).chat(ask(1)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NoEndpoint, "{status}: {error}");
                assert!(error.to_string().contains("redirects are not followed"), "{error}");
                let received = host.received();
                assert_eq!(
                    received.len(),
                    2,
                    "once more, for it may be a firewall: {status} {location}"
                );
                for request in received {
                    assert!(request.head.contains("canary"), "its own host gets the key");
                }
            }
        }
    }
    assert!(thief.received().is_empty());
}

#[test]
fn a_name_that_climbs_never_leaves_its_deployments_path() {
    let fleet = fleet_with_bodies([SimDeployment::new("gpt")]);
    let climbing = [
        "../../admin",
        "..%2f..%2fadmin",
        "gpt/../../admin",
        "/admin",
        "http://elsewhere.example",
        "gpt?x=y#z",
    ];
    let own = "/openai/deployments/gpt/chat/completions";
    let mut config = config(&fleet);
    // Nobody serves it: nothing is sent.
    let blaster = Blaster::builder().config(config.clone()).build().unwrap();
    for name in climbing {
        let refused = Error::from(blaster.submit(ask(1).model(name)).unwrap_err());
        assert_eq!(refused.kind(), ErrorKind::UnknownModel, "{name}");
    }
    assert_eq!(fleet.totals().requests, 0);
    // Served by that name all the same, it picks the deployment and is not sent.
    config.deployments[0].serves = climbing.map(str::to_owned).into();
    let blaster = Blaster::builder().config(config).build().unwrap();
    for name in climbing {
        fleet.clear_journal();
        blaster.chat(ask(1).model(name)).unwrap();
        blaster.embeddings(EmbeddingRequest::from("x").model(name)).unwrap();
        let body = format!(r#"{{"model":{name:?},"messages":[{{"role":"user","content":"hello"}}]}}"#);
        let raw = RawRequest::post(Operation::ChatCompletions, body);
        wait(blaster.submit_raw(raw).unwrap()).unwrap();
        for (entry, path) in fleet
            .journal()
            .iter()
            .zip([own, "/openai/deployments/gpt/embeddings", own])
        {
            assert_eq!(
                (entry.path.as_str(), entry.query.as_str()),
                (path, "api-version=2025-01-01-preview"),
                "{name}"
            );
            assert!(
                entry.body.ends_with(r#""model":"gpt"}"#) && !entry.body.contains("admin"),
                "{}",
                entry.body
            );
        }
    }
}

#[test]
fn a_deployment_by_an_odd_name_is_one_segment_of_its_path() {
    let names = [
        "a b",
        "a/b",
        "a?b=c&d",
        "a#b",
        "100%",
        "%2e%2e",
        "a;b@c:d",
        "q\"uo'te\\s",
    ];
    let fleet = fleet_with_bodies(names.map(SimDeployment::new));
    let blaster = Blaster::builder().config(config(&fleet)).build().unwrap();
    for name in names {
        fleet.clear_journal();
        blaster.chat(ask(1).model(name)).unwrap();
        let entry = &fleet.journal()[0];
        let middle = entry.path.strip_prefix("/openai/deployments/").unwrap();
        let segment = middle.strip_suffix("/chat/completions").unwrap();
        assert!(
            !segment.contains('/') && entry.query == "api-version=2025-01-01-preview",
            "{}",
            entry.path
        );
        assert_eq!(entry.deployment.as_deref(), Some(name), "{}", entry.path);
    }
}

#[test]
fn a_deployment_whose_name_climbs_is_no_deployment() {
    for name in ["..", ".", "../../admin", "a/../b", "a\\..\\b", "", "a\nb"] {
        let deployment = DeploymentConfig::new("gpt", "https://x.openai.azure.com", name).auth(Auth::key("canary"));
        let error = Blaster::builder().deployment(deployment).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{name:?}");
        assert!(
            error.to_string().contains("model") && !error.to_string().contains("canary"),
            "{error}"
        );
    }
    for path in [
        "../../admin",
        "/admin",
        "a//b",
        "a/..",
        "chat/completions?x=y",
        "a%2fb",
        "http://x",
        "a b",
        "",
    ] {
        assert!(Operation::other(path).is_err(), "{path}");
    }
}

#[test]
fn a_request_can_neither_bring_credentials_nor_name_another_host() {
    let fleet = fleet([SimDeployment::new("gpt")]);
    let blaster = Blaster::builder().config(config(&fleet)).build().unwrap();
    for (name, value) in [
        ("api-key", "stolen"),
        ("Authorization", "Bearer stolen"),
        ("Cookie", "a=stolen"),
        ("Host", "elsewhere.example"),
        ("Content-Length", "3"),
        ("Transfer-Encoding", "chunked"),
        ("x-split", "a\r\nhost: stolen"),
        ("x split", "stolen"),
    ] {
        let error = Error::from(
            blaster
                .submit(ChatRequest::from("hello").header(name, value))
                .unwrap_err(),
        );
        assert_eq!(error.kind(), ErrorKind::Request, "{name}: {error}");
        assert!(!error.to_string().contains("stolen"), "{error}");
    }
    assert_eq!(fleet.totals().requests, 0);
    assert_eq!(
        blaster
            .states()
            .iter()
            .map(EndpointState::report)
            .map(|report| report.totals.sent)
            .sum::<u64>(),
        0
    );
}
