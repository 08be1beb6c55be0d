//! What is told at the end: pure text.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_openai_blaster::api::EndpointReport;

use super::downfall::Downfall;
use super::moment::time_or_dash;
use super::record::{Record, Requests};
use super::run::Ending;
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
    answered: u64,
    throttled: u64,
    failed: u64,
    /// The part of the time in which it was ready, 0 to 1.
    ready: f64,
    p50: Option<Duration>,
    p99: Option<Duration>,
}

impl Row {
    /// How the endpoint of this report fared, which was ready for the part `ready` of the time.
    pub(super) fn new(report: EndpointReport, ready: f64) -> Self {
        Row {
            name: report.name,
            weight: report.share,
            answered: report.totals.succeeded,
            throttled: report.totals.throttled,
            failed: report.totals.failed,
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
        writeln!(f, "\n\n{}", self.record.requests)?;
        writeln!(f, "\n{}", self.downfall.tell(self.record.watched))?;
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
        let all: u64 = self.rows.iter().map(|row| row.answered).sum();
        write!(
            f,
            "\n\n  {:width$}  weight  share  answered  429s  failed   ready     p50     p99",
            "endpoint"
        )?;
        for row in &self.rows {
            write!(
                f,
                "\n  {:width$}  {:>6}  {:>5}  {:>8}  {:>4}  {:>6}  {:>6}  {:>6}  {:>6}",
                row.name,
                words::percent(row.weight, 1.0),
                words::percent(row.answered as f64, all as f64),
                words::count(row.answered),
                words::count(row.throttled),
                words::count(row.failed),
                words::percent(row.ready, 1.0),
                time_or_dash(row.p50),
                time_or_dash(row.p99),
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sent: {} refused with 429, {} failed",
            words::several(self.sent, "request"),
            words::count(self.throttled),
            words::count(self.failed),
        )?;
        if self.unconnected > 0 {
            write!(f, "; {} more found no connection", words::count(self.unconnected))?;
        }
        let retries = if self.retries == 1 { "retry" } else { "retries" };
        write!(f, ". {} {retries}.", words::count(self.retries))
    }
}
