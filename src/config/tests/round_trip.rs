//! Configurations, texts and bytes of every kind, made at random.

use std::time::Duration;

use proptest::prelude::*;

use super::{NO_ENV, parse};
use crate::api::Secret;
use crate::auth::EntraCredential;
use crate::config::keys::{DEPLOYMENT, GROUP, TOP};
use crate::config::{self, Auth, BlasterConfig, DeploymentConfig, Kind, ProxyUrl, QuotaGroup, SendStreamOptions, Sku};

fn any_time(most: Duration) -> impl Strategy<Value = Duration> {
    (1..=most.as_nanos() as u64).prop_map(Duration::from_nanos)
}

prop_compose! {
    fn any_deployment()(
        model in "[a-z${}/]{0,6}[a-z]", weight in 1..=1000u32, kind in 0..2usize, auth in 0..8usize,
        serves in proptest::collection::vec("[a-z$\\{\\}\"\\\\ß]{1,9}", 0..3),
        max_in_flight in proptest::option::of(1..=16384usize),
        timeout in proptest::option::of(any_time(Duration::from_secs(86_400))),
        headers in proptest::collection::btree_set("x-[a-z]{1,5}", 0..4),
        temperature in proptest::option::of(0.0..=2.0f64),
        counts in proptest::array::uniform3(proptest::option::of(1..=u32::MAX)),
        windows in proptest::array::uniform2(any_time(Duration::from_secs(86_400))),
        (priority, sku, send, grouped) in (1..=u32::MAX, 0..2usize, 0..2usize, any::<bool>()),
        version in prop_oneof![Just("v1"), Just("2024-10-21"), Just("2025-01-01-preview")],
    ) -> DeploymentConfig {
        let mut config = DeploymentConfig::new("", "https://a.example/x", format!("m{model}"))
            .weight(weight).kind(Kind::ALL[kind]).api_version(version).serves(serves);
        config.auth = match auth {
            0 => Auth::None,
            1 => Auth::key("(hidden)"),
            other => Auth::Entra(EntraCredential::ALL[other - 2]),
        };
        config.headers = headers.into_iter().map(|name| (name, Secret::from("(hidden)"))).collect();
        config.max_in_flight = max_in_flight;
        config.timeout = timeout;
        config.priority = priority;
        config.sku = Sku::ALL[sku];
        config.send_stream_options = SendStreamOptions::ALL[send];
        [config.quota_window, config.request_window] = windows;
        config.quota_group = grouped.then(|| "${g} \"ß".to_owned());
        config.temperature = temperature;
        config.tenant_id = grouped.then(|| "contoso.example".to_owned());
        config.client_id = grouped.then(|| "0-1-2".to_owned());
        config.client_secret = grouped.then(|| Secret::from("(hidden)"));
        config.token_scope = grouped.then(|| "https://x.example/.default".to_owned());
        [config.max_completion_tokens, config.rpm_limit, config.tpm_limit] = counts;
        config
    }
}

prop_compose! {
    fn any_config()(
        deployments in proptest::collection::vec(any_deployment(), 1..4),
        strategy in 0..6usize, num_workers in proptest::option::of(1..=16384usize),
        max_job_retry in 1..=100u32, queue_capacity in 1..=10_000_000usize, threshold in 1..=1000u32,
        times in proptest::array::uniform4(any_time(Duration::from_secs(86_400))),
        job_timeout in proptest::option::of(any_time(Duration::from_secs(86_400))),
        cooldown_max in any_time(Duration::from_secs(31 * 86_400)),
        group_limits in proptest::array::uniform2(proptest::option::of(1..=u32::MAX)),
        group_windows: bool,
        proxy in proptest::option::of("http://[a-z]{1,9}:[1-9]"),
        ca_file in proptest::option::of("[a-z${}/ ß]{1,12}"), allow_http: bool,
    ) -> BlasterConfig {
        let mut config = BlasterConfig::new(deployments)
            .strategy(config::Strategy::ALL[strategy]).max_job_retry(max_job_retry).queue_capacity(queue_capacity)
            .auto_disable_threshold(threshold).cooldown_max(cooldown_max).allow_http(allow_http);
        for (index, deployment) in config.deployments.iter_mut().enumerate() {
            deployment.name = format!("${{{index}}} \"\\");
        }
        [config.connect_timeout, config.first_byte_timeout, config.idle_timeout, config.attempt_timeout] = times;
        let mut group = QuotaGroup::new("${g} \"ß");
        [group.rpm_limit, group.tpm_limit] = group_limits;
        let mut members = config.deployments.iter().filter(|deployment| deployment.quota_group.is_some());
        // Windows that its only member has, too: others would contradict it.
        if let (true, Some(member), None) = (group_windows, members.next(), members.next()) {
            [group.quota_window, group.request_window] = [Some(member.quota_window), Some(member.request_window)];
        }
        config.quota_groups = vec![group, QuotaGroup::new("other")];
        config.num_workers = num_workers;
        config.job_timeout = job_timeout;
        config.proxy = proxy.map(ProxyUrl::from);
        config.ca_file = ca_file.map(Into::into);
        config
    }
}

/// JSON that looks like a configuration and is mostly wrong.
fn any_json() -> impl Strategy<Value = String> {
    let names: Vec<_> = TOP.iter().chain(DEPLOYMENT).chain(GROUP).map(|key| key.name).collect();
    let name = prop_oneof![proptest::sample::select(names).prop_map(String::from), "[a-z_]{0,9}"];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<f64>()
            .prop_filter("no JSON", |f| f.is_finite())
            .prop_map(|f| f.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        "[a-z:/.@?#${}\\\\ß]{0,20}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec((name.clone(), inner), 0..8).prop_map(|entries| {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":\n{value}"))
                    .collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_configuration_written_and_read_is_the_same(config in any_config()) {
        prop_assert_eq!(config.validate(), Ok(()));
        let text = serde_json::to_string_pretty(&config).unwrap();
        prop_assert_eq!(parse(&text, None, NO_ENV), Ok(config));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&String::from_utf8_lossy(&bytes), None, NO_ENV);
    }

    #[test]
    fn json_of_any_shape_is_read_or_refused_in_its_place(value in any_json(), deployments: bool) {
        let text = if deployments { format!("{{\"deployments\": [{value}]}}") } else { value };
        match parse(&text, None, &|name| (name.len() < 3).then(|| "x".to_owned())) {
            Ok(config) => prop_assert_eq!(config.validate(), Ok(())),
            Err(error) => {
                prop_assert!(!error.problems().is_empty());
                let lines = text.lines().count();
                for problem in error.problems() {
                    let (line, column) = problem.position.unwrap();
                    prop_assert!((1..=lines).contains(&line) && column >= 1);
                }
            }
        }
    }
}
