//! What is told at the end: pure text.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_openai_blaster::api::EndpointReport;

use super::downfall::Downfall;
use super::ending::Ending;
use super::moment::time_or_dash;
use super::record::{Attempts, Record};
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
    /// Columns that there are to show it in.
    pub(super) width: usize,
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

/// A figure of each endpoint.
struct Column {
    title: &'static str,
    /// With the gap before it.
    width: usize,
    /// Narrow terminals show it, too.
    always: bool,
    /// Of the row, and of what all of them have answered.
    figure: fn(&Row, u64) -> String,
}

impl Column {
    const fn new(title: &'static str, width: usize, always: bool, figure: fn(&Row, u64) -> String) -> Self {
        Column {
            title,
            width,
            always,
            figure,
        }
    }
}

/// The columns behind the names, in their order.
const COLUMNS: [Column; 8] = [
    Column::new("weight", 8, false, |row, _| words::percent(row.weight, 1.0)),
    Column::new("share", 7, true, |row, all| {
        words::percent(row.attempts.answered as f64, all as f64)
    }),
    Column::new("answered", 10, true, |row, _| words::count(row.attempts.answered)),
    Column::new("429s", 6, true, |row, _| words::count(row.attempts.throttled)),
    Column::new("failed", 8, true, |row, _| {
        words::count(row.attempts.failed + row.attempts.unconnected)
    }),
    Column::new("ready", 8, true, |row, _| words::percent(row.ready, 1.0)),
    Column::new("p50", 8, false, |row, _| time_or_dash(row.p50)),
    Column::new("p99", 8, true, |row, _| time_or_dash(row.p99)),
];

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
            "\nNext: `sim` in place of `demo` keeps such a fleet running for a client of yours;\n\
             README.md, \"Your own prompts\", shows how to send prompts of your own."
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
            return write!(f, "All {total} got their own answer in {time}, {rate:.0} a second.");
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

    /// A line for each endpoint. A narrow terminal is spared the columns that matter least.
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.rows.iter().map(|row| row.name.chars().count());
        let width = name.max().unwrap_or_default().max("endpoint".len());
        let all = self.record.everywhere().answered;
        let is_narrow = self.width < "  ".len() + width + COLUMNS.iter().map(|column| column.width).sum::<usize>();
        let columns = || COLUMNS.iter().filter(|column| !is_narrow || column.always);
        write!(f, "\n\n  {:width$}", "endpoint")?;
        for column in columns() {
            write!(f, "{:>1$}", column.title, column.width)?;
        }
        for row in &self.rows {
            write!(f, "\n  {:width$}", row.name)?;
            for column in columns() {
                write!(f, "{:>1$}", (column.figure)(row, all), column.width)?;
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, weight: f64, attempts: Attempts, ready: f64) -> Row {
        Row {
            name: name.into(),
            weight,
            attempts,
            ready,
            p50: Some(Duration::from_millis(380)),
            p99: None,
        }
    }

    fn summary(record: &Record, ending: Ending) -> String {
        summary_in(usize::MAX, record, ending)
    }

    fn summary_in(width: usize, record: &Record, ending: Ending) -> String {
        let rows = vec![
            row("sweden", 0.8, record.at("sweden"), 1.0),
            row(VICTIM, 0.2, record.at(VICTIM), 0.604),
        ];
        let summary = Summary {
            ending,
            elapsed: Duration::from_secs(20),
            total: 3_000,
            record,
            downfall: &Downfall::default(),
            rows,
            width,
        };
        summary.to_string()
    }

    fn record() -> Record {
        let mut record = Record {
            answered: 3_000,
            sent: 3_030,
            retries: 35,
            ..Record::default()
        };
        let sweden = Attempts {
            answered: 2_250,
            throttled: 12,
            ..Attempts::default()
        };
        let virginia = Attempts {
            answered: 750,
            failed: 18,
            unconnected: 5,
            ..Attempts::default()
        };
        record.attempts.insert("sweden".into(), sweden);
        record.attempts.insert(VICTIM.into(), virginia);
        record
    }

    #[test]
    fn all_that_went_well_is_told_with_its_figures() {
        let text = summary(&record(), Ending::Done);
        let expected = "\
All 3,000 prompts got their own answer in 20.0 s, 150 a second.

  endpoint  weight  share  answered  429s  failed   ready     p50     p99
  sweden      80 %   75 %     2,250    12       0   100 %  0.38 s       –
  virginia    20 %   25 %       750     0      23    60 %  0.38 s       –

3,030 requests: 3,000 answered, 12 refused with 429, 18 failed.
5 more attempts found no connection. 35 retries in all.

virginia was to die, but the demo ended before.

Next: ";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn the_table_fits_a_terminal_of_60_columns() {
        let text = summary_in(60, &record(), Ending::Done);
        let expected = "

  endpoint  share  answered  429s  failed   ready     p99
  sweden     75 %     2,250    12       0   100 %       –
  virginia   25 %       750     0      23    60 %       –

";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn what_was_not_answered_is_counted_by_its_reason() {
        let mut record = record();
        (record.answered, record.failed, record.mixed_up) = (2_997, 2, 1);
        record.samples.push("prompt 8: refused\n    +0.1s east 400".to_owned());
        let text = summary(&record, Ending::Done);
        let expected = "\
2,997 of 3,000 prompts were answered in 20.0 s, 150 a second.
  2 failed
  1 got the answer to another prompt
  prompt 8: refused
    +0.1s east 400

  endpoint";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn an_interrupted_run_tells_what_was_not_done() {
        let mut record = record();
        (record.answered, record.cut_off) = (1_000, 7);
        let text = summary(&record, Ending::Interrupted);
        let expected = "\
Stopped by Ctrl-C. 1,000 of 3,000 prompts were answered in 20.0 s, 50 a second.
  7 under way were cut off
  1,993 were not begun

  endpoint";
        assert!(text.starts_with(expected), "{text}");
    }
}
