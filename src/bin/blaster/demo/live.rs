//! The view on a terminal: a bar, and a line for each endpoint, redrawn in place.

use azure_openai_blaster::api::Condition;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::moment::{Endpoint, Moment, time_or_dash};
use super::view::View;
use super::words;
use crate::screen::Screen;

/// The bar takes what room the figures leave; cells are done, half done, to do – different without colours too.
const BAR: &str = "  {wide_bar:.cyan}  {msg}";
const CELLS: &str = "━╸─";

/// Every other line is cut where the terminal ends.
const HEAD: &str = "{wide_msg:.dim}";

/// Width of the endpoints' names, and of their states.
const NAME: usize = 8;
const STATE: usize = 13;

/// Lines at the bottom of the screen. Colours follow `NO_COLOR`, `CLICOLOR` and the terminal.
pub(super) struct Live {
    screen: Screen,
    /// Air between the bar and what was told above it meanwhile.
    gap: Option<ProgressBar>,
    bar: ProgressBar,
    head: ProgressBar,
    rows: Vec<Row>,
}

/// The line of an endpoint.
struct Row {
    line: ProgressBar,
    /// What its colour stands for.
    condition: Option<Condition>,
}

impl Live {
    pub(super) fn new(screen: &Screen) -> Self {
        let bars = screen.bars();
        let bar = add(bars, style(BAR).progress_chars(CELLS));
        let head = add(bars, style(HEAD));
        Live {
            screen: screen.clone(),
            gap: None,
            bar,
            head,
            rows: Vec::new(),
        }
    }
}

impl View for Live {
    fn tell(&mut self, what: &str) {
        self.screen.say(what);
        if !self.rows.is_empty() && self.gap.is_none() {
            let gap = ProgressBar::no_length().with_style(style(HEAD));
            let gap = self.screen.bars().insert(0, gap);
            gap.tick();
            self.gap = Some(gap);
        }
    }

    fn show(&mut self, moment: &Moment) {
        self.bar.set_length(moment.total);
        self.bar.set_position(moment.ended);
        self.bar.set_message(figures(moment));
        self.head.set_message(titles());
        while self.rows.len() < moment.endpoints.len() {
            self.rows.push(Row {
                line: add(self.screen.bars(), style(HEAD)),
                condition: None,
            });
        }
        for (row, endpoint) in self.rows.iter_mut().zip(&moment.endpoints) {
            if row.condition.replace(endpoint.condition) != Some(endpoint.condition) {
                row.line.set_style(style(&row_template(endpoint)));
            }
            row.line.set_prefix(format!("{:<STATE$}", endpoint.state()));
            row.line.set_message(columns(endpoint));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // The summary has it all.
        for line in [&self.bar, &self.head]
            .into_iter()
            .chain(&self.gap)
            .chain(self.rows.iter().map(|row| &row.line))
        {
            line.finish_and_clear();
        }
        self.screen.say("");
    }
}

fn add(bars: &MultiProgress, style: ProgressStyle) -> ProgressBar {
    bars.add(ProgressBar::no_length().with_style(style))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants but for a name, and tests parse them")
}

/// The name, the state in its colour, the rest.
fn row_template(endpoint: &Endpoint) -> String {
    let colour = match endpoint.condition {
        Condition::Ready => "green",
        Condition::CoolingDown => "yellow",
        Condition::Probing => "cyan",
        _ => "red",
    };
    let name = endpoint.name.replace('{', "{{").replace('}', "}}");
    format!("  {name:<NAME$}  {{prefix:.{colour}}} {{wide_msg}}")
}

/// What stands right of the bar, always as wide, so that the bar does not jump.
fn figures(moment: &Moment) -> String {
    let total = words::count(moment.total);
    let mut text = format!(
        "{:>width$}/{total}  {:>6}  {:>7} left",
        words::count(moment.ended),
        moment.speed(),
        moment.left().map_or_else(|| "–".to_owned(), words::wait),
        width = total.len(),
    );
    if moment.not_answered > 0 {
        text.push_str(&format!("  {} not answered", words::count(moment.not_answered)));
    }
    text
}

fn titles() -> String {
    format!(
        "  {:<NAME$}  {:<STATE$} {}",
        "endpoint",
        "state",
        row("in flight", "answered", "429s", "p50", "p99", "")
    )
}

fn columns(endpoint: &Endpoint) -> String {
    row(
        &endpoint.in_flight.to_string(),
        &words::count(endpoint.answered),
        &words::count(endpoint.throttled),
        &time_or_dash(endpoint.p50),
        &time_or_dash(endpoint.p99),
        endpoint.reason.as_deref().unwrap_or_default(),
    )
}

/// The columns after the state; at 80 columns they leave 15 for the reason.
fn row(in_flight: &str, answered: &str, throttled: &str, p50: &str, p99: &str, reason: &str) -> String {
    format!("{in_flight:>9} {answered:>8} {throttled:>4} {p50:>6} {p99:>6}  {reason}")
}

#[cfg(test)]
mod tests {
    use super::super::moment;
    use super::*;

    #[test]
    fn every_template_is_valid_whatever_the_condition_and_the_name() {
        for template in [BAR, HEAD] {
            style(template);
        }
        let mut endpoint = moment::tests::moment().endpoints.remove(0);
        for condition in [
            Condition::Ready,
            Condition::CoolingDown,
            Condition::Ejected,
            Condition::Disabled,
            Condition::Probing,
        ] {
            endpoint.condition = condition;
            style(&row_template(&endpoint));
        }
        endpoint.name = "a{b}:{".into();
        style(&row_template(&endpoint));
    }

    #[test]
    fn columns_stand_under_their_titles_and_leave_room_for_a_reason() {
        let moment = moment::tests::moment();
        let line = |endpoint: &Endpoint| {
            let state = endpoint.state();
            format!("  {:<NAME$}  {state:<STATE$} {}", endpoint.name, columns(endpoint))
        };
        let lines: Vec<String> = moment.endpoints.iter().map(line).collect();
        assert_eq!(
            titles(),
            "  endpoint  state         in flight answered 429s    p50    p99  "
        );
        assert_eq!(
            lines[0],
            "  east      ready                24    1,234    0 0.31 s  1.2 s  "
        );
        assert_eq!(
            lines[1],
            "  virginia  cooling 1.4 s         0      300    7      –      –  429 RateLimitReached"
        );
        assert_eq!(titles().chars().count(), 65);
    }

    #[test]
    fn the_figures_keep_their_width() {
        let mut moment = moment::tests::moment();
        assert_eq!(figures(&moment), "1,534/3,000   147/s     10 s left");
        (moment.ended, moment.rate) = (3, None);
        assert_eq!(figures(&moment), "    3/3,000     –/s        – left");
        moment.not_answered = 1;
        assert!(figures(&moment).ends_with("left  1 not answered"));
    }
}
