//! Strategies, tiers, limits and the groups that share them.

use std::time::Duration;

use super::*;

#[test]
fn limits_and_tiers_mean_what_the_calls_mean() {
    let text = file_with(
        r#""strategy": "priority", "quota_groups": {"east-${N}": {"tpm_limit": 240000, "rpm_limit": 1440}, "free": {}},"#,
        r#""rpm_limit": 600, "tpm_limit": 100000, "priority": 2, "sku": "provisioned", "quota_group": "east-4o",
           "quota_window_s": 30, "request_window_s": 1,"#,
    );
    let east = DeploymentConfig::new("east", "https://east.example", "gpt-4o")
        .auth(Auth::key("canary-key"))
        .rpm_limit(600)
        .tpm_limit(100_000)
        .priority(2)
        .sku(Sku::Provisioned)
        .quota_group("east-4o")
        .quota_window(Duration::from_secs(30))
        .request_window(Duration::from_secs(1));
    let expected = BlasterConfig::new([east])
        .strategy(Strategy::Priority)
        .quota_group(QuotaGroup::new("east-4o").tpm_limit(240_000).rpm_limit(1440))
        .quota_group(QuotaGroup::new("free"));
    assert_eq!(parse(&text, None, &|_| Some("4o".to_owned())), Ok(expected));
}

#[test]
fn every_strategy_is_accepted_under_its_name() {
    for strategy in Strategy::ALL {
        let line = format!("\"strategy\": \"{}\",", strategy.name());
        assert_eq!(read(&file_with(&line, "")).strategy, strategy);
    }
}

#[test]
fn limits_that_do_not_fit_together_are_warned_of() {
    let member = |name| DeploymentConfig::new(name, "https://a.example", "m").quota_group("east");
    let group = || QuotaGroup::new("east").tpm_limit(1000);
    let rows = [
        (
            BlasterConfig::new([member("a").tpm_limit(1000)]).quota_group(group()),
            None,
        ),
        (
            BlasterConfig::new([member("a").rpm_limit(9999)]).quota_group(group()),
            None,
        ),
        (
            BlasterConfig::new([member("a").tpm_limit(1001), member("b")]).quota_group(group()),
            Some("(deployments: a)"),
        ),
        (
            BlasterConfig::new([member("a")])
                .quota_group(group())
                .quota_group(QuotaGroup::new("west")),
            Some("no deployment draws from these quota groups: west"),
        ),
    ];
    for (config, part) in rows {
        assert_eq!(config.validate(), Ok(()));
        let warnings = config.warnings();
        assert_eq!(warnings.len(), usize::from(part.is_some()), "{warnings:?}");
        assert!(
            warnings.iter().all(|warning| warning.contains(part.unwrap())),
            "{warnings:?}"
        );
    }
}

#[test]
fn a_member_counts_in_its_groups_windows_unless_it_names_the_same() {
    let seconds = Duration::from_secs;
    let group = QuotaGroup::new("g")
        .quota_window(seconds(30))
        .request_window(seconds(1));
    let member = || DeploymentConfig::new("a", "https://a.example", "m").quota_group("g");
    let rows = [
        (member(), QuotaGroup::new("g"), [60, 10]),
        (member(), group.clone(), [30, 1]),
        (member().quota_window(seconds(30)), group.clone(), [30, 1]),
        (member().request_window(seconds(7)), QuotaGroup::new("g"), [60, 7]),
    ];
    for (member, group, windows) in rows {
        assert_eq!(group.windows_of(&member), windows.map(seconds));
        let config = BlasterConfig::new([member]).quota_group(group);
        assert_eq!(config.validate(), Ok(()));
    }
    let text = file_with(
        r#""quota_groups": {"g": {"quota_window_s": 30, "request_window_s": 1}},"#,
        r#""quota_group": "g","#,
    );
    assert_eq!(read(&text).quota_groups, [group]);
}

#[test]
fn the_quota_group_of_the_docs_is_read_and_has_nothing_to_warn_of() {
    let docs = include_str!("../../../docs/CONFIG.md");
    let texts = docs
        .split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let text = texts.into_iter().find(|text| text.contains("quota_groups")).unwrap();
    let config = parse(text, None, &|_| Some("not-a-real-key".to_owned())).unwrap();
    assert_eq!(config.quota_groups.len(), 1);
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn a_quota_group_is_refused_with_its_name_and_its_key() {
    // What is written as the groups, the deployment's keys, what is said, and where.
    let rows = [
        (
            r#"{"east": {"tpm_limit": 0}}"#,
            "",
            "quota_groups \"east\": tpm_limit must be a whole number from 1 to 4294967295, got 0",
            (2, 40),
        ),
        (
            r#"{"east": {"rpm_limit": "60"}}"#,
            "",
            "quota_groups \"east\": rpm_limit must be a whole number from 1 to 4294967295, got text of 2 characters",
            (2, 40),
        ),
        (
            r#"{"east": 7}"#,
            "",
            "quota_groups \"east\": must be an object, got a number",
            (2, 26),
        ),
        (
            r#"{"east": {}, "east": {}}"#,
            "",
            "quota_groups \"east\": is given twice",
            (2, 38),
        ),
        (
            r#"{"": {}}"#,
            "",
            "quota_groups \"\": must have a name that is text of 1 to 128 characters without control characters",
            (2, 22),
        ),
        (
            r#"{"east": {"tmp_limit": 1}}"#,
            "",
            "quota_groups \"east\": unknown key \"tmp_limit\"; did you mean \"tpm_limit\"?",
            (2, 27),
        ),
        (
            r#"{"east": {"weight": 1}}"#,
            "",
            "quota_groups \"east\": unknown key \"weight\"; it belongs into a deployment",
            (2, 27),
        ),
        (
            r#"{"east": {"quota_window_s": 0}}"#,
            "",
            "quota_groups \"east\": quota_window_s must be a number of seconds above 0 and at most 86400, got 0",
            (2, 45),
        ),
        (
            r#"{"g": {"quota_window_s": 30}}"#,
            r#""quota_group": "g", "quota_window_s": 45,"#,
            "deployments[0] \"east\": quota_window_s must be 30 as that of its quota group \"g\", got 45",
            (4, 39),
        ),
        (
            r#"{"g": {"request_window_s": 1}}"#,
            r#""quota_group": "g", "request_window_s": 2,"#,
            "deployments[0] \"east\": request_window_s must be 1 as that of its quota group \"g\", got 2",
            (4, 41),
        ),
        (
            r#"{"east-4o": {}, "west-4o": {}}"#,
            r#""quota_group": "eats-4o","#,
            "deployments[0] \"east\": quota_group must be the name of a quota group, got \"eats-4o\"; \
             did you mean \"east-4o\"? known: \"east-4o\", \"west-4o\"",
            (4, 16),
        ),
    ];
    for (groups, of_deployment, said, place) in rows {
        let problem = problem_of(&file_with(&format!("\"quota_groups\": {groups},"), of_deployment));
        assert_eq!(problem.text, said);
        assert_eq!(problem.position, Some(place), "{said}");
    }
}
