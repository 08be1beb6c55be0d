//! The state of an endpoint as shown to people and monitoring.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::advice::Advice;
use super::limit_report::{LimitReport, PromptError};
use super::seconds;

/// Whether an endpoint is given work, and if not, why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Condition {
    /// It is given work.
    Ready,
    /// It rests until a given moment, after a refusal (429) or a failure.
    CoolingDown,
    /// Too many failures, in a row or in half a minute; every 5 s one request tries whether it is back.
    Ejected,
    /// It cannot serve (wrong key, no such deployment, a Retry-After beyond `cooldown_max_s`), was never reached, or was
    /// switched off; every 60 s one request tries whether it is back (every 5 s where it was never reached), but not where it
    /// was switched off by hand.
    Disabled,
    /// It lacks every operation that it was asked for so far, as where its base URL is wrong; every 60 s one request tries
    /// again. The [reason](EndpointReport::reason) tells what to change.
    Misconfigured,
    /// One request is finding out whether it is back.
    Probing,
    /// It signs in with tokens and waits for one.
    SigningIn,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Condition::Ready => "ready",
            Condition::CoolingDown => "cooling down",
            Condition::Ejected => "ejected",
            Condition::Disabled => "disabled",
            Condition::Misconfigured => "misconfigured",
            Condition::Probing => "probing",
            Condition::SigningIn => "signing in",
        })
    }
}

/// A snapshot of one deployment: its condition, counts, latencies and limits. Holds no secret.
///
/// [`EndpointState::report`](crate::EndpointState::report) makes one. Its `Display` is one line for people, which
/// `docs/limits.md` in the repository explains; `Serialize` has the same figures for monitoring, with times in seconds
/// (`left_s`, `latency_p50_s`, …).
///
/// ```
/// use azure_openai_blaster::Blaster;
/// use azure_openai_blaster::testing::Scripted;
///
/// let blaster = Blaster::builder().transport(Scripted::answering("yes")).build()?;
/// for (_, result) in blaster.run_all(["one?", "two?", "three?"]) {
///     result?;
/// }
/// for state in blaster.states() {
///     let report = state.report();
///     println!("{report}"); // scripted: ready; 0 of 64 in flight; sent 3, answered 3, throttled 0, failed 0; …
///     assert_eq!((report.totals.sent, report.totals.succeeded), (3, 3));
///     assert!(report.advice.is_empty(), "nothing to do better");
/// }
/// # Ok::<(), azure_openai_blaster::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EndpointReport {
    /// `name` of the deployment.
    pub name: Arc<str>,
    /// `model` of the deployment: the deployment name that stands in the URL.
    pub model: Arc<str>,
    /// Whether it is given work.
    pub condition: Condition,
    /// Why it is not given work, or not all work: also told of one that is ready and has fallen silent, or lacks an operation.
    pub reason: Option<String>,
    /// Time until it is given work, or tried, again; none where it is ready or only `enable()` brings it back.
    #[serde(rename = "left_s", serialize_with = "seconds::optional")]
    pub left: Option<Duration>,
    /// Requests under way.
    pub in_flight: u32,
    /// Most requests that it is given at once: the configured `max_in_flight`, or what its weight comes to.
    pub max_in_flight: u32,
    /// `weight` of the deployment.
    pub weight: u32,
    /// `priority` of the deployment: its tier, of which lower ones come first.
    pub tier: u32,
    /// Its `weight` as a part of the weights of all deployments, 0 to 1; not the part of the requests that it has got.
    pub share: f64,
    /// What its requests came to.
    pub totals: Totals,
    /// Failures in a row that count against `auto_disable_threshold`; 0 after a success.
    pub failure_streak: u32,
    /// Half of the recent answers took no longer than this, from sending to their end.
    #[serde(rename = "latency_p50_s", serialize_with = "seconds::optional")]
    pub latency_p50: Option<Duration>,
    /// 99 of 100 recent answers took no longer than this.
    #[serde(rename = "latency_p99_s", serialize_with = "seconds::optional")]
    pub latency_p99: Option<Duration>,
    /// The service's own figures, as its latest reply told them.
    pub told: Told,
    /// Its own limit; none where it only draws from its group's.
    pub limit: Option<LimitReport>,
    /// The limit of its quota group, where it is in one: the group's use, by all members together.
    pub group_limit: Option<LimitReport>,
    /// How far the estimates of prompts were off; none before the first answer.
    pub prompt_error: Option<PromptError>,
    /// What to change in the configuration or in the requests; empty where there is nothing.
    pub advice: Vec<Advice>,
    /// Texts of the newest errors, oldest first, at most eight. Of the service's message only what does not stand in the
    /// request too.
    pub errors: Vec<String>,
}

/// Requests by what they came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Requests that left the machine and are over, as the jobs' ledgers have them (`Ledger::len`).
    pub sent: u64,
    /// Tries of which nothing left the machine, as in `Ledger::not_sent`: connection refused, name not resolved.
    pub not_sent: u64,
    /// Answered well.
    pub succeeded: u64,
    /// Refused for want of quota or capacity (429).
    pub throttled: u64,
    /// Failed: no connection, timeouts, 5xx, replies that make no sense.
    pub failed: u64,
    /// Refused for what the request holds (400, content filter, …), which is the request's own fault.
    pub refused: u64,
    /// Refused because the endpoint cannot serve it (401, 403, 404).
    pub unusable: u64,
    /// Ended from our side: cancelled, shut down.
    pub abandoned: u64,
}

/// Rate-limit headers of the latest reply; none where the service did not send them (provisioned deployments
/// send only `utilization`). For display: they are counted in windows of different lengths and may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Told {
    /// `x-ratelimit-limit-requests`
    pub limit_requests: Option<i64>,
    /// `x-ratelimit-limit-tokens`
    pub limit_tokens: Option<i64>,
    /// `x-ratelimit-remaining-requests`
    pub remaining_requests: Option<i64>,
    /// `x-ratelimit-remaining-tokens`
    pub remaining_tokens: Option<i64>,
    /// `x-ratelimit-renewalperiod-requests`: the window in which requests are counted, in seconds.
    pub renewal_requests: Option<i64>,
    /// `x-ratelimit-renewalperiod-tokens`: the window in which tokens are counted, in seconds.
    pub renewal_tokens: Option<i64>,
    /// `azure-openai-deployment-utilization`, in percent.
    pub utilization: Option<f64>,
}

impl Told {
    /// Reads the headers of a reply; whatever is missing or no number is none.
    pub(crate) fn read(headers: &super::Headers) -> Self {
        let number = |name| headers.get(name)?.trim().parse().ok();
        Told {
            limit_requests: number("x-ratelimit-limit-requests"),
            limit_tokens: number("x-ratelimit-limit-tokens"),
            remaining_requests: number("x-ratelimit-remaining-requests"),
            remaining_tokens: number("x-ratelimit-remaining-tokens"),
            renewal_requests: number("x-ratelimit-renewalperiod-requests"),
            renewal_tokens: number("x-ratelimit-renewalperiod-tokens"),
            utilization: headers
                .get("azure-openai-deployment-utilization")
                .and_then(|value| value.trim().trim_end_matches('%').parse().ok())
                .filter(|value: &f64| value.is_finite()),
        }
    }
}

impl fmt::Display for EndpointReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.condition)?;
        if let Some(left) = self.left {
            write!(f, " for {:.1} s", left.as_secs_f64())?;
        }
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        let totals = self.totals;
        write!(
            f,
            "; {} of {} in flight; sent {}, answered {}, throttled {}, failed {}",
            self.in_flight, self.max_in_flight, totals.sent, totals.succeeded, totals.throttled, totals.failed
        )?;
        for (count, word) in [
            (totals.not_sent, "not sent"),
            (totals.refused, "refused"),
            (totals.unusable, "unusable"),
            (totals.abandoned, "abandoned"),
        ] {
            if count > 0 {
                write!(f, ", {word} {count}")?;
            }
        }
        write!(f, "; tier {}, share {:.0} %", self.tier, self.share * 100.0)?;
        if let (Some(p50), Some(p99)) = (self.latency_p50, self.latency_p99) {
            write!(f, "; p50 {:.3} s, p99 {:.3} s", p50.as_secs_f64(), p99.as_secs_f64())?;
        }
        if let (Some(left), Some(limit)) = (self.told.remaining_tokens, self.told.limit_tokens) {
            write!(f, "; told {left} of {limit} tokens left")?;
        }
        if let Some(utilization) = self.told.utilization {
            write!(f, "; told {utilization:.1} % utilised")?;
        }
        for (limit, whose) in [(&self.limit, "limit"), (&self.group_limit, "group's limit")] {
            if let Some(limit) = limit.as_ref().filter(|limit| limit.is_telling()) {
                write!(f, "; {whose} {limit}")?;
            }
        }
        if let Some(error) = self.prompt_error {
            write!(f, "; {error}")?;
        }
        for advice in &self.advice {
            write!(f, "; advice: {}", advice.kind)?;
        }
        if let Some(error) = self.errors.last() {
            write!(f, "; last error: {error}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::AdviceKind;

    fn report() -> EndpointReport {
        EndpointReport {
            name: "east".into(),
            model: "gpt-4o".into(),
            condition: Condition::Ready,
            reason: None,
            left: None,
            in_flight: 3,
            max_in_flight: 16,
            weight: 1,
            tier: 2,
            share: 0.25,
            totals: Totals {
                sent: 10,
                succeeded: 7,
                ..Totals::default()
            },
            failure_streak: 0,
            latency_p50: None,
            latency_p99: None,
            told: Told::default(),
            limit: None,
            group_limit: None,
            prompt_error: None,
            advice: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn limit(quota_tpm: Option<u64>, configured_tpm: Option<u64>) -> LimitReport {
        LimitReport {
            quota_tpm,
            configured_tpm,
            contradicted_tpm: configured_tpm.filter(|_| quota_tpm < configured_tpm),
            form: None,
            used_tokens: 500,
            window_requests: None,
            request_window: Duration::from_secs(10),
            blocked: None,
            full: None,
            refusals: 0,
            noise_percent: None,
        }
    }

    const USUAL: &str =
        "east: ready; 3 of 16 in flight; sent 10, answered 7, throttled 0, failed 0; tier 2, share 25 %";

    #[track_caller]
    fn check(change: impl Fn(&mut EndpointReport), end: &str) {
        let mut report = report();
        change(&mut report);
        assert_eq!(report.to_string(), format!("{USUAL}{end}"));
    }

    #[test]
    fn a_report_is_one_line_with_what_there_is_to_say() {
        check(|_| (), "");
        // A deployment of which no limit is known has one all the same, to be learnt.
        check(|report| report.limit = Some(limit(None, None)), "");
        check(
            |report| {
                report.limit = Some(limit(Some(900), Some(1000)));
                report.group_limit = Some(limit(Some(5000), Some(5000)));
            },
            "; limit 900 tpm instead of the 1000 that were told, 500 used; group's limit 5000 tpm, 500 used",
        );
        check(
            |report| {
                report.prompt_error = Some(PromptError {
                    ratio: 1.0 / 0.96,
                    deviation: 0.06 / 0.96,
                    answers: 200,
                });
                let kind = AdviceKind::LowerLimit {
                    limit: 4096,
                    enough: 310,
                };
                report.advice = vec![Advice::of_endpoint(&report.name, kind)];
                report.errors = vec!["older".to_owned(), "429".to_owned()];
            },
            "; prompt estimates 4 % low ± 6 %; advice: max_completion_tokens 4096, 99 % of answers use under 310; last \
             error: 429",
        );
    }

    #[test]
    fn monitoring_reads_limits_and_tier() {
        let report = EndpointReport {
            limit: Some(limit(Some(900), Some(1000))),
            left: Some(Duration::from_millis(1500)),
            ..report()
        };
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["tier"], &json["left_s"]), (&2.into(), &1.5.into()));
        assert_eq!(json["limit"]["contradicted_tpm"], 1000);
        assert_eq!(
            (&json["group_limit"], &json["advice"]),
            (&serde_json::Value::Null, &serde_json::json!([]))
        );
    }
}
