//! How a quota stands, as shown to people and monitoring.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::seconds;

/// How the service counts tokens against a quota, as its refusals have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuotaForm {
    /// A count that starts anew with every window.
    Window,
    /// A bucket that drains all the time and holds one window's quota.
    Bucket,
    /// A sliding log: what was charged in the last window's length.
    Log,
}

/// A limit of a deployment, or of a quota group, as the blaster believes it to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LimitReport {
    /// Tokens a minute that are believed to be granted; none while unknown.
    pub quota_tpm: Option<u64>,
    /// Tokens a minute by the configuration, where it says so.
    pub configured_tpm: Option<u64>,
    /// Tokens a minute that were told, by the configuration or by the service's headers, where its refusals have shown
    /// that it grants less.
    pub contradicted_tpm: Option<u64>,
    /// How the service counts; none while nothing has shown it.
    pub form: Option<QuotaForm>,
    /// Tokens charged in the present window, or in the last one's length.
    pub used_tokens: u64,
    /// Requests that are admitted in one `request_window`; none while unknown.
    pub window_requests: Option<u64>,
    /// The window in which the service counts requests.
    #[serde(rename = "request_window_s", serialize_with = "seconds::plain")]
    pub request_window: Duration,
    /// Time for which nothing is sent, by the service's word.
    #[serde(rename = "blocked_s", serialize_with = "seconds::optional")]
    pub blocked: Option<Duration>,
    /// Time until it has room again, by the service's word, the requests or the tokens: for every request, or for those of the
    /// size that did not fit. None where it has room, or where no request was held back by it.
    #[serde(rename = "full_s", serialize_with = "seconds::optional")]
    pub full: Option<Duration>,
    /// Refusals (429) so far, for tokens, requests and capacity.
    pub refusals: u64,
    /// Of a hundred recent requests so many were refused though the quota had room: the service lacks capacity, counts
    /// imprecisely, or others share the quota. Such a refusal is waited for and teaches nothing. None below eight of them.
    pub noise_percent: Option<u32>,
}

impl LimitReport {
    /// Whether there is anything to say: some limit is known, or has shown itself.
    pub(crate) fn is_telling(&self) -> bool {
        self.quota_tpm.is_some() || self.window_requests.is_some() || self.blocked.is_some() || self.refusals > 0
    }
}

impl fmt::Display for LimitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quota_tpm {
            Some(believed) => write!(f, "{believed} tpm")?,
            None => f.write_str("tpm unknown")?,
        }
        match (self.contradicted_tpm, self.configured_tpm) {
            (Some(told), _) => write!(f, " instead of the {told} that were told")?,
            (None, Some(configured)) if self.quota_tpm != Some(configured) => {
                write!(f, " instead of the {configured} configured")?;
            }
            _ => {}
        }
        match self.form {
            Some(QuotaForm::Window) => f.write_str(" in windows")?,
            Some(QuotaForm::Bucket) => f.write_str(" in a bucket")?,
            Some(QuotaForm::Log) => f.write_str(" in a sliding log")?,
            None => {}
        }
        write!(f, ", {} used", self.used_tokens)?;
        if let Some(requests) = self.window_requests {
            write!(f, ", {requests} requests each {} s", self.request_window.as_secs_f64())?;
        }
        if let Some(blocked) = self.blocked {
            write!(f, ", blocked for {:.1} s", blocked.as_secs_f64())?;
        } else if let Some(full) = self.full {
            write!(f, ", full for {:.1} s", full.as_secs_f64())?;
        }
        if self.refusals > 0 {
            write!(f, ", refused {} times", self.refusals)?;
        }
        if let Some(percent) = self.noise_percent {
            write!(f, ", {percent} % of requests refused by no limit")?;
        }
        Ok(())
    }
}

/// How far the blaster's estimates of prompts were from what answers told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PromptError {
    /// Actual ÷ estimated tokens, on average. Newer answers count for more.
    pub ratio: f64,
    /// Standard deviation of that.
    pub deviation: f64,
    /// Answers that it was learnt from.
    pub answers: u32,
}

impl fmt::Display for PromptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (1.0 - 1.0 / self.ratio) * 100.0;
        let side = if percent < 0.0 { "high" } else { "low" };
        write!(
            f,
            "prompt estimates {:.0} % {side} ± {:.0} %",
            percent.abs(),
            self.deviation / self.ratio * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit() -> LimitReport {
        LimitReport {
            quota_tpm: Some(120_000),
            configured_tpm: Some(120_000),
            contradicted_tpm: None,
            form: None,
            used_tokens: 45_000,
            window_requests: None,
            request_window: Duration::from_secs(10),
            blocked: None,
            full: None,
            refusals: 0,
            noise_percent: None,
        }
    }

    #[track_caller]
    fn check(change: impl Fn(&mut LimitReport), line: &str) {
        let mut report = limit();
        change(&mut report);
        assert_eq!(report.to_string(), line);
    }

    #[test]
    fn a_limit_is_told_in_one_line() {
        check(|_| (), "120000 tpm, 45000 used");
        check(
            |limit| {
                limit.quota_tpm = Some(80_000);
                limit.contradicted_tpm = Some(120_000);
                limit.form = Some(QuotaForm::Window);
            },
            "80000 tpm instead of the 120000 that were told in windows, 45000 used",
        );
        check(
            |limit| limit.quota_tpm = Some(60_000),
            "60000 tpm instead of the 120000 configured, 45000 used",
        );
        check(
            |limit| {
                limit.form = Some(QuotaForm::Bucket);
                limit.window_requests = Some(100);
                (limit.blocked, limit.full) = (Some(Duration::from_millis(3_240)), Some(Duration::from_millis(3_240)));
                limit.refusals = 4;
            },
            "120000 tpm in a bucket, 45000 used, 100 requests each 10 s, blocked for 3.2 s, refused 4 times",
        );
        check(
            |limit| limit.full = Some(Duration::from_millis(3_240)),
            "120000 tpm, 45000 used, full for 3.2 s",
        );
        check(
            |limit| (limit.quota_tpm, limit.configured_tpm, limit.used_tokens) = (None, None, 7),
            "tpm unknown, 7 used",
        );
    }

    #[test]
    fn monitoring_reads_units_in_names_and_times_in_seconds() {
        let report = LimitReport {
            blocked: Some(Duration::from_millis(2_500)),
            form: Some(QuotaForm::Window),
            ..limit()
        };
        assert_eq!(
            serde_json::to_value(&report).unwrap(),
            serde_json::json!({
                "quota_tpm": 120_000, "configured_tpm": 120_000, "contradicted_tpm": null, "form": "window",
                "used_tokens": 45_000, "window_requests": null, "request_window_s": 10.0, "blocked_s": 2.5,
                "full_s": null, "refusals": 0, "noise_percent": null,
            })
        );
    }
}
