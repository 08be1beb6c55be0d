//! What an environment means. What is said of one that cannot be used is in `refusals`.

use super::*;
use crate::config::{Auth, DeploymentConfig, QuotaGroup, Strategy};

mod refusals;

const EAST: [(&str, &str); 2] = [
    ("AZURE_INSTANCE_EAST_API_KEY", "canary-east"),
    ("AZURE_INSTANCE_EAST_API_BASE", "https://east.openai.azure.com/"),
];
const WEST: [(&str, &str); 2] = [
    ("AZURE_INSTANCE_WEST_API_KEY", "canary-west"),
    ("AZURE_INSTANCE_WEST_API_BASE", "https://west.openai.azure.com"),
];
const MAP: (&str, &str) = ("MODEL_MAP_GPT_4O", "my-4o");
const SWITCH: (&str, &str) = ("USE_AZURE_OPENAI_ROUND_ROBIN", "true");
const CONNECTION: &str = "AZURE_OPENAI_ROUND_ROBIN_CONNECTION";

#[test]
fn instances_are_taken_as_the_proxy_takes_them() {
    let settings = [
        ("AZURE_INSTANCES", " east ,West,, "),
        ("AZURE_INSTANCE_EAST_PRIORITY", "10"),
        ("AZURE_INSTANCE_EAST_WEIGHT", " 80 "),
        ("AZURE_INSTANCE_EAST_MAX_TPM", "240000"),
        ("AZURE_INSTANCE_EAST_NAME", "instance1"),
        ("AZURE_INSTANCE_WEST_API_VERSION", "2024-10-21"),
        ("AZURE_INSTANCE_WEST_PRIORITY", ""),
        ("PATH", "/bin"),
    ];
    let got = read(&[&settings, &EAST, &WEST, &[MAP]]);
    let east = instance("east", "canary-east")
        .priority(10)
        .weight(80)
        .tpm_limit(240_000);
    let mut west = instance("west", "canary-west")
        .api_version("2024-10-21")
        .tpm_limit(30_000);
    west.name = "West".to_owned();
    assert_eq!(
        got.config,
        BlasterConfig::new([east, west]).strategy(Strategy::Failover)
    );
    assert_eq!((got.source, got.warnings), ("AZURE_INSTANCES", Vec::new()));
}

/// In a file tiers hold for every strategy; an instance that states none would be in another tier than one that does.
#[test]
fn priorities_of_instances_count_under_failover_and_priority_alone() {
    let rows = [
        (None, [10, 100]),
        (Some("failover"), [10, 100]),
        (Some("priority"), [10, 100]),
        (Some("weighted"), [1, 1]),
        (Some("round_robin"), [1, 1]),
        (Some("least_loaded"), [1, 1]),
        (Some("two_choices"), [1, 1]),
    ];
    for (strategy, expected) in rows {
        let settings = [("AZURE_INSTANCES", "east,west"), MAP];
        let strategy = strategy.map(|name| ("AZURE_ROUTING_STRATEGY", name));
        let strategy: Vec<_> = strategy.into_iter().collect();
        let got = read(&[
            &settings,
            &EAST,
            &WEST,
            &strategy,
            &[("AZURE_INSTANCE_EAST_PRIORITY", "10")],
        ]);
        let tiers: Vec<_> = got
            .config
            .deployments
            .iter()
            .map(|deployment| deployment.priority)
            .collect();
        assert_eq!(tiers, expected, "{strategy:?}");
        let warned = strategy
            .first()
            .filter(|_| expected == [1, 1])
            .map(|(name, value)| format!("AZURE_INSTANCE_<NAME>_PRIORITY has no effect beside {name}={value}"));
        assert_eq!(got.warnings, Vec::from_iter(warned));
        let silent = read(&[&settings, &EAST, &WEST, &strategy]);
        assert!(silent.warnings.is_empty(), "{:?}", silent.warnings);
        assert_eq!(
            silent.config.deployments[0].priority,
            silent.config.deployments[1].priority
        );
    }
}

#[test]
fn every_strategy_of_the_proxy_is_taken() {
    let rows = [
        ("failover", Strategy::Failover),
        ("priority", Strategy::Priority),
        ("round_robin", Strategy::RoundRobin),
        ("WEIGHTED", Strategy::Weighted),
        (" least_loaded ", Strategy::LeastLoaded),
    ];
    for (written, expected) in rows {
        let settings = [("AZURE_INSTANCES", "east"), MAP, ("AZURE_ROUTING_STRATEGY", written)];
        assert_eq!(read(&[&settings, &EAST]).config.strategy, expected, "{written}");
    }
}

#[test]
fn the_deployments_of_an_instance_share_its_limit() {
    let settings = [
        ("AZURE_INSTANCES", "east,west"),
        ("AZURE_INSTANCE_EAST_MAX_TPM", "240000"),
        ("TOKEN_RATE_LIMIT", "50000"),
        ("MODEL_MAP_GPT_4O_MINI", "mini"),
        ("MODEL_MAP_TEXT_EMBEDDING_3_SMALL", "vectors"),
        ("MODEL_MAP_gpt-4o-mini-2024-07-18", "mini"),
    ];
    let config = read(&[&settings, &EAST, &WEST]).config;
    let expected: [(&str, &[&str], &str); 4] = [
        ("east/mini", &["gpt-4o-mini", "gpt-4o-mini-2024-07-18"], "east"),
        ("east/vectors", &["text-embedding-3-small"], "east"),
        ("west/mini", &["gpt-4o-mini", "gpt-4o-mini-2024-07-18"], "west"),
        ("west/vectors", &["text-embedding-3-small"], "west"),
    ];
    assert_eq!(config.deployments.len(), expected.len());
    for (deployment, (name, serves, group)) in config.deployments.iter().zip(expected) {
        assert_eq!(
            (deployment.name.as_str(), deployment.served_models().to_vec()),
            (name, serves.to_vec().iter().map(|s| (*s).to_owned()).collect())
        );
        assert_eq!(
            (deployment.quota_group.as_deref(), deployment.tpm_limit),
            (Some(group), None)
        );
    }
    let groups = vec![
        QuotaGroup::new("east").tpm_limit(240_000),
        QuotaGroup::new("west").tpm_limit(50_000),
    ];
    assert_eq!(config.quota_groups, groups);
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn an_instance_may_be_named_as_no_shell_can_write_it() {
    let rows = [
        ["AZURE_INSTANCE_EAST_US_API_KEY", "AZURE_INSTANCE_EAST_US_API_BASE"],
        ["AZURE_INSTANCE_EAST-US_API_KEY", "AZURE_INSTANCE_EAST-US_API_BASE"],
    ];
    for [key, base] in rows {
        let settings = [
            ("AZURE_INSTANCES", "east-us"),
            (key, "canary"),
            (base, "https://e.example"),
            MAP,
        ];
        let got = read(&[&settings]);
        assert_eq!(got.config.deployments[0].name, "east-us");
        assert_eq!(got.warnings, Vec::<String>::new());
    }
}

#[test]
fn a_single_resource_is_taken_under_either_name() {
    let key = ("AZURE_OPENAI_API_KEY", "canary");
    let sdk = ("AZURE_OPENAI_ENDPOINT", "https://east.openai.azure.com/");
    let proxy = ("AZURE_OPENAI_API_BASE", "https://east.openai.azure.com/");
    let deployment = ("AZURE_OPENAI_DEPLOYMENT", "gpt-4o");
    let one =
        |model: &str| DeploymentConfig::new(model, "https://east.openai.azure.com", model).auth(Auth::key("canary"));
    let pasted = (
        "AZURE_OPENAI_ENDPOINT",
        "https://east.openai.azure.com/openai/deployments/my-4o/chat/completions?api-version=2024-10-21",
    );
    let rows: [(&[(&str, &str)], DeploymentConfig); 7] = [
        (&[pasted, key], one("my-4o").api_version("2024-10-21")),
        (&[sdk, key, deployment], one("gpt-4o")),
        (
            &[sdk, key, deployment, ("OPENAI_API_VERSION", "v1")],
            one("gpt-4o").api_version("v1"),
        ),
        (
            &[sdk, key, deployment, ("TOKEN_RATE_LIMIT", "9")],
            one("gpt-4o").tpm_limit(9),
        ),
        (&[proxy, key, MAP], one("my-4o").serves(["gpt-4o"]).tpm_limit(30_000)),
        (
            &[
                proxy,
                key,
                MAP,
                ("AZURE_OPENAI_API_VERSION", "2024-10-21"),
                ("TOKEN_RATE_LIMIT", "9"),
            ],
            one("my-4o").serves(["gpt-4o"]).tpm_limit(9).api_version("2024-10-21"),
        ),
        (
            &[sdk, proxy, key, ("AZURE_OPENAI_DEPLOYMENT_NAME", "gpt-4o")],
            one("gpt-4o"),
        ),
    ];
    for (variables, expected) in rows {
        let got = read(&[variables]);
        assert_eq!(got.config, BlasterConfig::new([expected]), "{variables:?}");
        assert_eq!(got.warnings, Vec::<String>::new(), "{variables:?}");
    }
}

#[test]
fn connections_take_turns_and_override_the_rest_of_the_environment() {
    let connections = r#"[
      {"AZURE_OPENAI_ENDPOINT": "https://one.openai.azure.com/", "AZURE_OPENAI_API_KEY": "canary-${1}"},
      {"azure_endpoint": "https://two.openai.azure.com", "api_key": "canary-2", "azure_deployment": "mine",
       "model": "gpt-4o", "api_version": "v1", "max_tokens": 2000, "temperature": 0.0, "model_info": {}, "timeout": null},
      {"AZURE_OPENAI_ENDPOINT": "https://two.openai.azure.com", "AZURE_OPENAI_API_KEY": "canary-3", "model": "other",
       "weight": 3, "tpm_limit": 1000, "default_headers": {"x-a": "canary"}}
    ]"#;
    let base = [
        (CONNECTION, connections),
        ("AZURE_OPENAI_DEPLOYMENT_NAME", "base"),
        ("AZURE_OPENAI_API_VERSION", "2024-10-21"),
    ];
    let got = read(&[&base, &[("USE_AZURE_OPENAI_ROUND_ROBIN", "True")]]);
    let at = |name: &str, resource: &str, model: &str| {
        DeploymentConfig::new(name, format!("https://{resource}.openai.azure.com"), model).api_version("2024-10-21")
    };
    let expected = [
        at("one", "one", "base").auth(Auth::key("canary-${1}")),
        at("two", "two", "mine")
            .auth(Auth::key("canary-2"))
            .serves(["gpt-4o"])
            .api_version("v1")
            .max_completion_tokens(2000)
            .temperature(0.0),
        at("two-2", "two", "other")
            .auth(Auth::key("canary-3"))
            .weight(3)
            .tpm_limit(1000)
            .header("x-a", "canary"),
    ];
    assert_eq!(got.config, BlasterConfig::new(expected).strategy(Strategy::RoundRobin));
    assert_eq!(got.source, CONNECTION);
    assert_eq!(got.warnings.len(), 1, "{:?}", got.warnings);
    assert!(
        got.warnings[0].contains("[1]: model_info has no effect"),
        "{:?}",
        got.warnings
    );
}

#[test]
fn a_connection_without_a_deployment_has_those_of_the_model_map() {
    let connections = r#"[{"name": "a", "azure_endpoint": "https://a.example", "api_key": null}]"#;
    let map = [MAP, ("MODEL_MAP_O3", "my-o3")];
    let config = read(&[&[SWITCH, (CONNECTION, connections)], &map]).config;
    let names: Vec<_> = config
        .deployments
        .iter()
        .map(|d| (d.name.as_str(), d.served_models()[0].as_str()))
        .collect();
    assert_eq!(names, [("a/my-4o", "gpt-4o"), ("a/my-o3", "o3")]);
    assert_eq!(config.deployments[0].auth, Auth::None);
}

#[test]
fn of_several_ways_the_first_counts_and_the_others_are_warned_of() {
    let connections = r#"[{"azure_endpoint": "https://a.example", "api_key": "canary", "model": "m"}]"#;
    let single = [
        ("AZURE_OPENAI_ENDPOINT", "https://s.example"),
        ("AZURE_OPENAI_API_KEY", "canary"),
    ];
    let instances = [("AZURE_INSTANCES", "east"), MAP];
    let of = |parts: &[&[(&str, &str)]]| {
        let got = read(parts);
        (got.source, got.warnings)
    };
    let all: [&[(&str, &str)]; 4] = [&[SWITCH, (CONNECTION, connections)], &instances, &EAST, &single];
    let (source, warnings) = of(&all);
    assert_eq!(source, CONNECTION);
    let expected = [
        format!("AZURE_INSTANCES has no effect beside {CONNECTION}"),
        format!("AZURE_OPENAI_ENDPOINT has no effect beside {CONNECTION}"),
    ];
    assert_eq!(warnings, expected);

    let off: [&[(&str, &str)]; 4] = [&[(CONNECTION, connections)], &instances, &EAST, &single];
    let (source, warnings) = of(&off);
    assert_eq!((source, warnings.len()), ("AZURE_INSTANCES", 2), "{warnings:?}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let text = r#"{"deployments": [{"name": "f", "endpoint": "https://f.example", "api_key": "${K}", "model": "m"}]}"#;
    std::fs::write(&path, text).unwrap();
    let file = [("BLASTER_CONFIG", path.to_str().unwrap()), ("K", "canary")];
    let (source, warnings) = of(&[&all.concat(), &file]);
    assert_eq!((source, warnings.len()), ("BLASTER_CONFIG", 3), "{warnings:?}");
    assert_eq!(read(&[&file]).config.deployments[0].auth, Auth::key("canary"));
}

#[test]
fn what_has_no_effect_beside_its_kind_is_warned_of() {
    let base = [("AZURE_INSTANCES", "east"), MAP];
    let rows: [(&str, &str, &str); 3] = [
        (
            "AZURE_INSTANCE_NORTH_API_KEY",
            "canary",
            "AZURE_INSTANCE_NORTH_API_KEY has no effect: AZURE_INSTANCES does not",
        ),
        (
            "AZURE_INSTANCE_EAST_MAXTPM",
            "7",
            "AZURE_INSTANCE_EAST_MAXTPM has no effect; did you mean …_MAX_TPM?",
        ),
        (
            "AZURE_OPENAI_DEPLOYMENT",
            "x",
            "AZURE_OPENAI_DEPLOYMENT has no effect beside MODEL_MAP_…",
        ),
    ];
    for (name, value, said) in rows {
        let warnings = read(&[&base, &EAST, &[(name, value)]]).warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(said), "{warnings:?}");
    }
    let two = [
        ("AZURE_OPENAI_ENDPOINT", "https://a.example"),
        ("AZURE_OPENAI_API_BASE", "https://b.example"),
        ("AZURE_OPENAI_API_KEY", "canary"),
        MAP,
    ];
    let got = read(&[&two]);
    assert_eq!(got.config.deployments[0].endpoint, "https://a.example");
    assert_eq!(
        got.warnings,
        ["AZURE_OPENAI_API_BASE has no effect beside AZURE_OPENAI_ENDPOINT, and they differ"]
    );
}

/// Reads those variables; nothing of what comes out may show what is secret.
fn with(parts: &[&[(&str, &str)]]) -> Result<FromEnv, ConfigError> {
    let result = from_vars(parts.concat());
    let shown = match &result {
        Ok(read) => format!("{read:?} {}", serde_json::to_string(&read.config).unwrap()),
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(!shown.contains("canary"), "{shown}");
    result
}

fn read(parts: &[&[(&str, &str)]]) -> FromEnv {
    let read = with(parts).unwrap_or_else(|error| panic!("{parts:?}\n{error}"));
    assert_eq!(read.config.validate(), Ok(()));
    read
}

/// The one problem of such an environment.
fn problem(parts: &[&[(&str, &str)]]) -> String {
    let error = with(parts).expect_err(&format!("{parts:?}"));
    assert_eq!(error.problems().len(), 1, "{parts:?}\n{error}");
    error.to_string()
}

fn instance(name: &str, key: &str) -> DeploymentConfig {
    DeploymentConfig::new(name, format!("https://{name}.openai.azure.com"), "my-4o")
        .auth(Auth::key(key))
        .serves(["gpt-4o"])
        .priority(100)
        .weight(100)
}
