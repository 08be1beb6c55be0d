//! What is printed.

use crate::case::Case;
use crate::median::median;
use crate::run::Drained;

/// One run, in words.
pub(crate) fn line(run: &Drained) -> String {
    let mut line = format!(
        "{:.2} s ÷ {:.2} s = {:.3}, an oracle {:.2} s: {:.3}, {} 429s for {} jobs",
        run.took_s,
        run.bound_s,
        run.took_s / run.bound_s,
        run.oracle_s,
        run.took_s / run.oracle_s,
        run.refused,
        run.jobs
    );
    if let Some(problem) = &run.problem {
        line += &format!("; {} not answered, the first: {problem}", run.unanswered);
    }
    line
}

/// A row for each case; of several runs the medians, and the worst behind them.
pub(crate) fn markdown(rows: &[(Case, Vec<Drained>)]) -> String {
    let mut text = String::from(
        "| windows | form | fleet | limits | jobs | lower bound | drain ÷ lower bound | oracle ÷ lower bound | drain ÷ oracle | 429s per job |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (case, runs) in rows {
        let limits = case.told.name();
        text += &format!(
            "| {} | {} | {} | {limits} | {} | {:.1} s | {} | {} | {} | {} |\n",
            case.pace.name(),
            case.form(),
            case.shape.name(),
            runs[0].jobs,
            median(&mut runs.iter().map(|run| run.bound_s).collect::<Vec<_>>()),
            cell(runs, Drained::ratio),
            cell(runs, Drained::oracle_ratio),
            cell(runs, Drained::over_oracle),
            cell(runs, Drained::refusals),
        );
    }
    text
}

/// The median, and the worst where there are several.
fn cell(runs: &[Drained], figure: impl Fn(&Drained) -> f64) -> String {
    let mut values: Vec<f64> = runs.iter().map(figure).collect();
    let middle = median(&mut values);
    match values[..] {
        [_] => format!("{middle:.3}"),
        _ => format!("{middle:.3} (worst {:.3})", values[values.len() - 1]),
    }
}
