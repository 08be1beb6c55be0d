//! The view on a terminal: a bar, and a line for each endpoint, redrawn in place.

use std::mem;

use azure_openai_blaster::api::Condition;
use console::Style;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::moment::{Endpoint, Moment, Standing, time_or_dash};
use super::view::View;
use super::words;
use crate::screen::Screen;

/// The bar takes what room the figures leave; cells are done, half done, to do – different without colours too.
const BAR: &str = "  {wide_bar:.cyan}  {msg}";
const CELLS: &str = "━╸─";

/// Every other line is made to fit before it is drawn.
const HEAD: &str = "{msg:.dim}";
const ROW: &str = "{msg}";

/// Width of the endpoints' names, and of their states.
const NAME: usize = 8;
const STATE: usize = 21;

/// The columns after the state, in their order; what matters less has no place on a narrow terminal.
const COLUMNS: [Column; 5] = [
    Column::new("in flight", 9, 57, |endpoint| endpoint.in_flight.to_string()),
    Column::new("answered", 8, 0, |endpoint| words::count(endpoint.answered)),
    Column::new("429s", 4, 0, |endpoint| words::count(endpoint.throttled)),
    Column::new("p50", 6, 71, |endpoint| time_or_dash(endpoint.p50)),
    Column::new("p99", 6, 71, |endpoint| time_or_dash(endpoint.p99)),
];

/// The reason stands behind them where at least so much of it can be read.
const REASON: usize = 12;

/// Lines at the bottom of the screen. Colours follow `NO_COLOR`, `CLICOLOR` and the terminal.
pub(super) struct Live {
    screen: Screen,
    /// How wide the terminal was when the lines were drawn.
    width: usize,
    /// Air between the bar and what was told above it meanwhile.
    gap: Option<ProgressBar>,
    bar: ProgressBar,
    head: ProgressBar,
    rows: Vec<ProgressBar>,
}

/// A figure of each endpoint.
struct Column {
    title: &'static str,
    width: usize,
    /// Terminals that are narrower do without it.
    from: usize,
    figure: fn(&Endpoint) -> String,
}

impl Column {
    const fn new(title: &'static str, width: usize, from: usize, figure: fn(&Endpoint) -> String) -> Self {
        Column {
            title,
            width,
            from,
            figure,
        }
    }
}

impl Live {
    pub(super) fn new(screen: &Screen) -> Self {
        let bars = screen.bars();
        let bar = add(bars, style(BAR).progress_chars(CELLS));
        let head = add(bars, style(HEAD));
        Live {
            screen: screen.clone(),
            width: screen.width(),
            gap: None,
            bar,
            head,
            rows: Vec::new(),
        }
    }

    /// What was drawn for another width is in disorder now, and is taken away.
    fn follow_width(&mut self) {
        let before = mem::replace(&mut self.width, self.screen.width());
        if self.width != before && !self.rows.is_empty() {
            let lines = 2 + usize::from(self.gap.is_some()) + self.rows.len();
            self.screen.clear_resized(lines, before, self.width);
        }
    }
}

impl View for Live {
    fn tell(&mut self, what: &str) {
        self.follow_width();
        // A line that is broken by the terminal is hard to tell from two.
        for line in what.lines() {
            self.screen.say(&words::brief(line, self.width));
        }
        if !self.rows.is_empty() && self.gap.is_none() {
            let gap = ProgressBar::no_length().with_style(style(HEAD));
            let gap = self.screen.bars().insert(0, gap);
            gap.tick();
            self.gap = Some(gap);
        }
    }

    fn show(&mut self, moment: &Moment) {
        self.follow_width();
        self.bar.set_length(moment.total);
        self.bar.set_position(moment.ended);
        self.bar.set_message(figures(moment));
        self.head.set_message(titles(self.width));
        while self.rows.len() < moment.endpoints.len() {
            self.rows.push(add(self.screen.bars(), style(ROW)));
        }
        for (row, endpoint) in self.rows.iter().zip(&moment.endpoints) {
            let [name, state, rest] = line(endpoint, self.width);
            let state = colour(endpoint).for_stderr().apply_to(state);
            row.set_message(format!("{name}{state}{rest}"));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.follow_width();
        // The summary has it all.
        for line in [&self.bar, &self.head].into_iter().chain(&self.gap).chain(&self.rows) {
            line.finish_and_clear();
        }
        self.screen.say("");
    }
}

fn add(bars: &MultiProgress, style: ProgressStyle) -> ProgressBar {
    bars.add(ProgressBar::no_length().with_style(style))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants, and a test parses them")
}

/// Green is for those alone that answer.
fn colour(endpoint: &Endpoint) -> Style {
    match (endpoint.standing(), endpoint.condition) {
        (Standing::Well, _) => Style::new().green(),
        (Standing::Full(_) | Standing::Doubtful, _) | (Standing::Out, Condition::CoolingDown) => Style::new().yellow(),
        (Standing::Out, Condition::Probing) => Style::new().cyan(),
        (Standing::Out, _) => Style::new().red(),
    }
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

/// The titles of the columns that a terminal of this width has room for.
fn titles(width: usize) -> String {
    let mut text = format!("  {:<NAME$}  {:<STATE$}", "endpoint", "state");
    for Column { title, width, .. } in shown(width) {
        text.push_str(&format!(" {title:>width$}"));
    }
    words::brief(&text, width).into_owned()
}

/// The line of an endpoint, no wider than the terminal: its name, its state, the rest.
fn line(endpoint: &Endpoint, width: usize) -> [String; 3] {
    let mut rest = String::new();
    for Column { width, figure, .. } in shown(width) {
        rest.push_str(&format!(" {:>width$}", figure(endpoint)));
    }
    let left = width.saturating_sub(4 + NAME + STATE + rest.chars().count() + 2);
    if let Some(reason) = endpoint.reason.as_ref().filter(|_| left >= REASON) {
        rest.push_str("  ");
        rest.push_str(&words::brief(reason, left));
    }
    let mut left = width;
    let mut fit = |text: String| {
        let fitting: String = text.chars().take(left).collect();
        left -= fitting.chars().count();
        fitting
    };
    [
        fit(format!("  {:<NAME$}  ", endpoint.name)),
        fit(format!("{:<STATE$}", endpoint.state())),
        fit(rest),
    ]
}

fn shown(width: usize) -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().filter(move |column| width >= column.from)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::moment;
    use super::*;

    #[test]
    fn every_template_is_valid() {
        for template in [BAR, HEAD, ROW] {
            style(template);
        }
    }

    /// The lines as a terminal of this width shows them.
    fn lines(moment: &Moment, width: usize) -> Vec<String> {
        let rows = moment.endpoints.iter().map(|endpoint| line(endpoint, width).concat());
        [titles(width)].into_iter().chain(rows).collect()
    }

    fn moment() -> Moment {
        let mut moment = moment::tests::moment();
        let mut full = moment.endpoints[0].clone();
        (full.name, full.full) = ("paris".into(), Some(Duration::from_millis(2_300)));
        moment.endpoints.push(full);
        moment
    }

    #[test]
    fn columns_stand_under_their_titles_and_leave_room_for_a_reason() {
        assert_eq!(
            lines(&moment(), 100),
            [
                "  endpoint  state                 in flight answered 429s    p50    p99",
                "  east      ready                        24    1,234    0 0.31 s  1.2 s",
                "  virginia  cooling 1.4 s                 0      300    7      –      –  429 RateLimitReached",
                "  paris     waits for quota, 3 s         24    1,234    0 0.31 s  1.2 s",
            ]
        );
    }

    #[test]
    fn sixty_columns_show_whole_figures_only() {
        assert_eq!(
            lines(&moment(), 60),
            [
                "  endpoint  state                 in flight answered 429s",
                "  east      ready                        24    1,234    0",
                "  virginia  cooling 1.4 s                 0      300    7",
                "  paris     waits for quota, 3 s         24    1,234    0",
            ]
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut moment = moment();
        moment.endpoints[1].reason = Some("ö".repeat(300));
        moment.endpoints[2].name = "a-name-that-is-longer-than-its-column".into();
        for width in 1..200 {
            for line in lines(&moment, width) {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn green_are_those_alone_that_answer() {
        let east = moment().endpoints.remove(0);
        let is_green = |change: &dyn Fn(&mut Endpoint)| {
            let mut endpoint = east.clone();
            change(&mut endpoint);
            colour(&endpoint) == Style::new().green()
        };
        assert!(is_green(&|_| ()));
        assert!(
            !is_green(&|it| it.failures = 1),
            "its rest is over, and it is as dead as before"
        );
        assert!(!is_green(&|it| it.reason = Some("silent".to_owned())));
        assert!(!is_green(&|it| it.full = Some(Duration::from_secs(3))));
        for condition in [
            Condition::CoolingDown,
            Condition::Ejected,
            Condition::Disabled,
            Condition::Misconfigured,
            Condition::Probing,
            Condition::SigningIn,
        ] {
            assert!(!is_green(&|it| it.condition = condition), "{condition}");
        }
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
