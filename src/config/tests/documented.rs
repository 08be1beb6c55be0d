//! What the documentation says of the fields.

use crate::config::defaults;

#[test]
fn the_fields_state_their_defaults_as_they_are() {
    let pages = [
        include_str!("../blaster.rs"),
        include_str!("../deployment.rs"),
        include_str!("../quota_group.rs"),
    ]
    .concat();
    let seconds = |time: std::time::Duration| format!("{} s", time.as_secs_f64());
    let stated = [
        ("MAX_JOB_RETRY", defaults::MAX_JOB_RETRY.to_string()),
        ("QUEUE_CAPACITY", defaults::QUEUE_CAPACITY.to_string()),
        ("AUTO_DISABLE_THRESHOLD", defaults::AUTO_DISABLE_THRESHOLD.to_string()),
        ("CONNECT_TIMEOUT", seconds(defaults::CONNECT_TIMEOUT)),
        ("FIRST_BYTE_TIMEOUT", seconds(defaults::FIRST_BYTE_TIMEOUT)),
        ("IDLE_TIMEOUT", seconds(defaults::IDLE_TIMEOUT)),
        ("ATTEMPT_TIMEOUT", seconds(defaults::ATTEMPT_TIMEOUT)),
        ("COOLDOWN_MAX", seconds(defaults::COOLDOWN_MAX)),
        ("WEIGHT", defaults::WEIGHT.to_string()),
        ("PRIORITY", defaults::PRIORITY.to_string()),
        ("QUOTA_WINDOW", seconds(defaults::QUOTA_WINDOW)),
        ("REQUEST_WINDOW", seconds(defaults::REQUEST_WINDOW)),
        ("API_VERSION", format!("`{}`", defaults::API_VERSION)),
        ("WORKERS_PER_DEPLOYMENT", defaults::WORKERS_PER_DEPLOYMENT.to_string()),
        ("WORKERS_AT_MOST", defaults::WORKERS_AT_MOST.to_string()),
    ];
    let links = pages.matches("[`defaults::").count() - pages.matches("SCOPE`]").count();
    let mut found = 0;
    for (name, value) in stated {
        let link = format!(" ([`defaults::{name}`])");
        let mut before = pages.split(&link).collect::<Vec<_>>();
        before.pop();
        assert!(!before.is_empty(), "{name} is nowhere");
        found += before.len();
        for text in before {
            let digits = text.replace(',', "");
            assert!(
                digits.ends_with(&format!(" {value}")),
                "{name} is {value}: {:?}",
                &text[text.len() - 40..]
            );
        }
    }
    assert_eq!(found, links, "a default without its value");
}
