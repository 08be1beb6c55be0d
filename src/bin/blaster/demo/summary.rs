//! What is told at the end: pure text.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_openai_blaster::api::EndpointReport;

use super::downfall::Downfall;
use super::moment::time_or_dash;
use super::record::{Attempts, Record};
use super::run::Ending;
use super::story::VICTIM;
use super::words;

/// What is told at the end.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    pub(super) ending: Ending,
    /// How long it took.
    pub(super) elapsed: Duration,
    /// Prompts that there were.
    pub(super) total: u64,
    pub(super) record: &'a Record,
    pub(super) downfall: &'a Downfall,
    pub(super) rows: Vec<Row>,
}

/// How an endpoint fared.
#[derive(Clone, Debug)]
pub(super) struct Row {
    name: Arc<str>,
    /// Its part of all weights, 0 to 1.
    weight: f64,
    attempts: Attempts,
    /// The part of the time in which it was ready, 0 to 1.
    ready: f64,
    p50: Option<Duration>,
    p99: Option<Duration>,
}

impl Row {
    /// How the endpoint of this report fared, by its attempts and the part of the time in which it was ready.
    pub(super) fn new(report: EndpointReport, attempts: Attempts, ready: f64) -> Self {
        Row {
            name: report.name,
            weight: report.share,
            attempts,
            ready,
            p50: report.latency_p50,
            p99: report.latency_p99,
        }
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.headline(f)?;
        for sample in &self.record.samples {
            write!(f, "\n  {sample}")?;
        }
        self.table(f)?;
        self.requests(f)?;
        writeln!(f, "\n\n{}", self.downfall.tell(self.record.at(VICTIM)))?;
        write!(
            f,
            "\nNext: `blaster sim` keeps a fleet like this running for a client of yours;\n\
             README.md, \"Library\", shows how to send prompts of your own."
        )
    }
}

impl Summary<'_> {
    fn headline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { answered, .. } = *self.record;
        let time = words::at(self.elapsed);
        let rate = answered as f64 / self.elapsed.as_secs_f64().max(0.001);
        let total = words::several(self.total, "prompt");
        if self.ending == Ending::Interrupted {
            f.write_str("Stopped by Ctrl-C. ")?;
        }
        if answered == self.total {
            return write!(
                f,
                "All {total} were answered in {time}, {rate:.0} a second, each with its own answer."
            );
        }
        write!(
            f,
            "{} of {total} were answered in {time}, {rate:.0} a second.",
            words::count(answered)
        )?;
        let not_begun = self.total - self.record.ended();
        for (number, what) in [
            (self.record.failed, "failed"),
            (self.record.mixed_up, "got the answer to another prompt"),
            (self.record.cut_off, "under way were cut off"),
            (not_begun, "were not begun"),
        ] {
            if number > 0 {
                write!(f, "\n  {} {what}", words::count(number))?;
            }
        }
        Ok(())
    }

    /// A line for each endpoint.
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.rows.iter().map(|row| row.name.chars().count());
        let width = name.max().unwrap_or_default().max("endpoint".len());
        let all = self.record.everywhere().answered;
        write!(
            f,
            "\n\n  {:width$}  weight  share  answered  429s  failed   ready     p50     p99",
            "endpoint"
        )?;
        for row in &self.rows {
            let Attempts {
                answered,
                throttled,
                failed,
                unconnected,
                ..
            } = row.attempts;
            write!(
                f,
                "\n  {:width$}  {:>6}  {:>5}  {:>8}  {:>4}  {:>6}  {:>6}  {:>6}  {:>6}",
                row.name,
                words::percent(row.weight, 1.0),
                words::percent(answered as f64, all as f64),
                words::count(answered),
                words::count(throttled),
                words::count(failed + unconnected),
                words::percent(row.ready, 1.0),
                time_or_dash(row.p50),
                time_or_dash(row.p99),
            )?;
        }
        Ok(())
    }

    fn requests(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attempts {
            answered,
            throttled,
            failed,
            unconnected,
            cut_off,
            ..
        } = self.record.everywhere();
        write!(f, "\n\n{}: ", words::several(self.record.sent, "request"))?;
        write!(f, "{} answered", words::count(answered))?;
        for (number, what) in [
            (throttled, "refused with 429"),
            (failed, "failed"),
            (cut_off, "cut off"),
        ] {
            if number > 0 {
                write!(f, ", {} {what}", words::count(number))?;
            }
        }
        if unconnected > 0 {
            let attempts = if unconnected == 1 { "attempt" } else { "attempts" };
            write!(
                f,
                ".\n{} more {attempts} found no connection",
                words::count(unconnected)
            )?;
        }
        let retries = if self.record.retries == 1 { "retry" } else { "retries" };
        write!(f, ". {} {retries} in all.", words::count(self.record.retries))
    }
}
