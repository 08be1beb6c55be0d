//! What `blaster sim` tells the person at the terminal: pure text.

use std::fmt::Write as _;
use std::time::Duration;

use azure_openai_blaster::sim::{Counters, SimEndpoint, SimFleet, Totals};

/// The counters of a fleet at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    at: Duration,
    totals: Totals,
    deployments: Vec<(String, Counters)>,
}

impl Snapshot {
    pub(crate) fn of(fleet: &SimFleet) -> Self {
        let counters = |endpoint: &SimEndpoint| {
            // Every endpoint of the fleet has counters.
            let counters = fleet.counters(&endpoint.name).unwrap_or_default();
            (endpoint.name.clone(), counters)
        };
        Snapshot {
            at: fleet.now(),
            totals: fleet.totals(),
            deployments: fleet.endpoints().iter().map(counters).collect(),
        }
    }

    /// Whether anything happened between the two, time apart.
    pub(crate) fn differs_from(&self, other: &Snapshot) -> bool {
        self.totals != other.totals || self.deployments != other.deployments
    }

    /// One line of counters; the rate is that since `before`.
    pub(crate) fn line(&self, before: &Snapshot) -> String {
        let seconds = self.at.saturating_sub(before.at).as_secs_f64();
        let rate = match self.totals.requests - before.totals.requests {
            0 => 0.0,
            new => new as f64 / seconds.max(0.001),
        };
        let sum = |pick: fn(&Counters) -> u64| self.deployments.iter().map(|(_, counters)| pick(counters)).sum::<u64>();
        format!(
            "{:>5.0} s  {} requests ({rate:.0}/s)  {} ok  {} 429  {} 4xx  {} 5xx  {} broken  {} left  {} in flight  {} connections",
            self.at.as_secs_f64(),
            self.totals.requests,
            sum(|counters| counters.succeeded),
            sum(|counters| counters.throttled),
            sum(|counters| counters.client_errors),
            sum(|counters| counters.server_errors),
            sum(|counters| counters.broken),
            sum(|counters| counters.client_left),
            sum(|counters| counters.in_flight),
            self.totals.connections_open,
        )
    }

    /// The table at the end.
    pub(crate) fn summary(&self) -> String {
        let width = name_width(self.deployments.iter().map(|(name, _)| name.as_str()));
        let mut text = format!("\nAfter {:.0} s:\n  {:width$}", self.at.as_secs_f64(), "deployment");
        for title in COLUMNS {
            push(&mut text, format_args!("  {title:>9}"));
        }
        for (name, counters) in &self.deployments {
            push(&mut text, format_args!("\n  {name:width$}"));
            for number in columns(counters) {
                push(&mut text, format_args!("  {number:>9}"));
            }
        }
        let named: u64 = self.deployments.iter().map(|(_, counters)| counters.requests).sum();
        let Totals {
            requests,
            refused,
            connections,
            most_connections_open,
            forgotten,
            ..
        } = self.totals;
        push(
            &mut text,
            format_args!("\n  {connections} connections, at most {most_connections_open} at once."),
        );
        for (count, what) in [
            (requests - named, "requests named no deployment of the fleet"),
            (refused, "requests were no proper HTTP or too large"),
            (
                forgotten,
                "exchanges are missing in the journal: they came faster than it was written",
            ),
        ] {
            if count > 0 {
                push(&mut text, format_args!("\n  {count} {what}."));
            }
        }
        text
    }
}

/// Titles of the summary's columns.
const COLUMNS: [&str; 9] = [
    "requests", "ok", "429", "4xx", "5xx", "broken", "left", "peak", "tokens",
];

/// What stands under [`COLUMNS`].
fn columns(counters: &Counters) -> [u64; COLUMNS.len()] {
    [
        counters.requests,
        counters.succeeded,
        counters.throttled,
        counters.client_errors,
        counters.server_errors,
        counters.broken,
        counters.client_left,
        counters.most_in_flight,
        counters.charged,
    ]
}

/// What is told at the start: where the deployments are, and how to ask one.
pub(crate) fn introduction(endpoints: &[SimEndpoint]) -> String {
    let width = name_width(endpoints.iter().map(|endpoint| endpoint.name.as_str()));
    let mut text = format!("{} simulated deployments, until Ctrl-C:\n", endpoints.len());
    for SimEndpoint {
        name, url, key, model, ..
    } in endpoints
    {
        let key = match key.as_str() {
            "" => "no key, tokens alone".to_owned(),
            key => format!("api-key: {key}"),
        };
        push(
            &mut text,
            format_args!("  {name:width$}  {url}  {key}  model: {model}\n"),
        );
    }
    if let Some(first) = endpoints.first() {
        push(&mut text, format_args!("\nAsk one:\n  {}\n", curl(first)));
    }
    text.push_str("\nThe configuration for blaster goes to standard output.");
    text
}

/// A command line for a shell that asks `endpoint` something.
fn curl(endpoint: &SimEndpoint) -> String {
    let SimEndpoint { url, key, model, .. } = endpoint;
    let credential = match key.as_str() {
        "" => "-H \"authorization: Bearer $TOKEN\"".to_owned(),
        key => format!("-H 'api-key: {key}'"),
    };
    format!(
        "curl '{url}/openai/deployments/{}/chat/completions?api-version=2025-01-01-preview' \
         {credential} -H 'content-type: application/json' \
         -d '{{\"messages\":[{{\"role\":\"user\",\"content\":\"Why does backoff matter?\"}}]}}'",
        path_segment(model),
    )
}

/// `text` as one segment of a URL's path, and harmless between single quotes.
fn path_segment(text: &str) -> String {
    let mut segment = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            push(&mut segment, format_args!("%{byte:02X}"));
        }
    }
    segment
}

fn name_width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        .max("deployment".len())
}

fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(seconds: u64, requests: u64) -> Snapshot {
        let mut counters = Counters::default();
        counters.requests = requests;
        counters.succeeded = requests;
        let mut totals = Totals::default();
        totals.requests = requests;
        Snapshot {
            at: Duration::from_secs(seconds),
            totals,
            deployments: vec![("east".to_owned(), counters)],
        }
    }

    #[test]
    fn a_line_tells_the_rate_since_the_one_before() {
        let line = snapshot(15, 1500).line(&snapshot(10, 500));
        assert!(
            line.starts_with("   15 s  1500 requests (200/s)  1500 ok  0 429"),
            "{line}"
        );
        assert!(snapshot(15, 7).differs_from(&snapshot(10, 6)));
        assert!(!snapshot(15, 7).differs_from(&snapshot(10, 7)));
    }

    #[test]
    fn the_summary_has_a_line_for_each_deployment_and_tells_what_is_odd() {
        let mut snapshot = snapshot(9, 5);
        snapshot.totals.requests = 7;
        snapshot.totals.refused = 3;
        let text = snapshot.summary();
        assert!(text.contains("After 9 s:"), "{text}");
        assert!(
            text.lines()
                .any(|line| line.split_whitespace().take(3).eq(["east", "5", "5"])),
            "{text}"
        );
        assert!(
            text.contains("\n  2 requests named no deployment of the fleet."),
            "{text}"
        );
        assert!(
            text.contains("\n  3 requests were no proper HTTP or too large."),
            "{text}"
        );
        assert!(!text.contains("missing in the journal"), "{text}");
    }

    #[test]
    fn a_deployment_without_keys_is_asked_with_a_token() {
        use azure_openai_blaster::sim::{SimConfig, SimDeployment, SimFleet};
        let deployments = [SimDeployment::new("east").token_audience("https://ai.azure.com")];
        let fleet = SimFleet::start(SimConfig::new(deployments)).unwrap();
        let text = introduction(fleet.endpoints());
        assert!(text.contains("no key, tokens alone  model: east"), "{text}");
        assert!(text.contains(r#"-H "authorization: Bearer $TOKEN" -H"#), "{text}");
        assert!(!text.contains("api-key"), "{text}");
        assert!(fleet.blaster_config_json().contains(r#""api_key": "default""#));
    }

    #[test]
    fn a_deployment_name_is_safe_in_a_url_and_in_a_shell() {
        assert_eq!(path_segment("gpt-4o_mini.1~"), "gpt-4o_mini.1~");
        assert_eq!(path_segment("a/b c'?#%"), "a%2Fb%20c%27%3F%23%25");
    }
}
