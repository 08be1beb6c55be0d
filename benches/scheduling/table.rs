//! How it is printed.

use std::collections::BTreeSet;

use azure_openai_blaster::sim::LimiterForm;

use crate::case::{Case, FORMS, Goal, Measure, Run};
use crate::judge::Verdict;
use crate::world::fleet::Fleet;
use crate::world::service::form_name;

/// What the seeds of a case, form and fleet have come to.
struct Cell<'a> {
    runs: Vec<(&'a Run, &'a Verdict)>,
}

/// A measure of a cell.
struct Figure<'a> {
    goal: Goal,
    mean: f64,
    worst: f64,
    /// The run that it is of.
    worst_run: &'a Run,
    is_met: bool,
}

/// Prints a row for each measure, then what is worth a look. True where something has a flaw.
pub(crate) fn print(runs: &[Run], verdicts: &[Verdict]) -> bool {
    let rows: Vec<&[Run]> = runs
        .chunk_by(|a, b| a.case.name == b.case.name && a.form == b.form)
        .collect();
    println!(
        "\n| case | form | measure | goal | {} | |",
        Fleet::ALL.map(Fleet::name).join(" | ")
    );
    println!("|---|---|---|---|{}---|", "---|".repeat(Fleet::ALL.len()));
    let mut misses = Vec::new();
    for row in rows {
        let (case, form) = (&row[0].case, row[0].form);
        let cells = Fleet::ALL.map(|fleet| Cell::of(fleet, row, verdicts));
        for (index, measure) in case.measures.iter().enumerate() {
            let figures = cells.iter().map(|cell| cell.figure(index));
            let figures: Vec<Option<Figure<'_>>> = figures.collect();
            let title = if index == 0 { case.title } else { "" };
            print_row(title, form, case, measure, &figures);
            let missed = figures.into_iter().flatten().filter(|figure| !figure.is_met);
            misses.extend(missed.map(|figure| (measure, figure)));
        }
    }
    print_misses(misses);
    print_flaws(runs, verdicts)
}

impl<'a> Cell<'a> {
    fn of(fleet: Fleet, row: &'a [Run], verdicts: &'a [Verdict]) -> Self {
        let runs = row.iter().filter(|run| run.fleet == fleet);
        let runs = runs.map(|run| (run, &verdicts[run.number]));
        Cell {
            // A panic gives no figures.
            runs: runs.filter(|(_, verdict)| !verdict.values.is_empty()).collect(),
        }
    }

    fn mean(&self, index: usize) -> f64 {
        let sum: f64 = self.runs.iter().map(|(_, verdict)| verdict.values[index]).sum();
        sum / self.runs.len() as f64
    }

    fn figure(&self, index: usize) -> Option<Figure<'a>> {
        let &(first, _) = self.runs.first()?;
        let measure = &first.case.measures[index];
        let form = FORMS.iter().position(|form| *form == first.form)?;
        let fleet = Fleet::ALL.iter().position(|fleet| *fleet == first.fleet)?;
        let goal = measure.goals[form][fleet];
        let divisor = |value: f64| value.max(0.1);
        let of = |verdict: &Verdict| match measure.over {
            Some(other) => verdict.values[index] / divisor(verdict.values[other]),
            None => verdict.values[index],
        };
        let mean = match measure.over {
            Some(other) => self.mean(index) / divisor(self.mean(other)),
            None => self.mean(index),
        };
        let badness = |value: f64| match goal {
            Goal::AtLeast(_) => -value,
            Goal::None | Goal::AtMost(_) => value,
        };
        let worse = |a: &&(&Run, &Verdict), b: &&(&Run, &Verdict)| badness(of(a.1)).total_cmp(&badness(of(b.1)));
        let &(worst_run, verdict) = self.runs.iter().max_by(worse)?;
        let worst = of(verdict);
        Some(Figure {
            goal,
            mean,
            worst,
            worst_run,
            is_met: goal.is_met(if measure.always { worst } else { mean }),
        })
    }
}

fn print_row(title: &str, form: LimiterForm, case: &Case, measure: &Measure, figures: &[Option<Figure<'_>>]) {
    let digits = measure.digits;
    let texts = figures.iter().map(|figure| match figure {
        Some(Figure { mean, worst, .. }) => format!("{mean:.digits$}/{worst:.digits$}"),
        None => "–".to_owned(),
    });
    let texts: Vec<String> = texts.map(|text| format!("{text:>13}")).collect();
    let missed: Vec<&str> = case
        .fleets
        .iter()
        .filter(|fleet| {
            let figures = figures.iter().flatten();
            figures
                .into_iter()
                .any(|figure| !figure.is_met && figure.worst_run.fleet == **fleet)
        })
        .map(|fleet| fleet.name())
        .collect();
    let has_goal = figures.iter().flatten().any(|figure| figure.goal != Goal::None);
    let verdict = match (has_goal, &missed[..]) {
        (false, _) => String::new(),
        (true, []) => "met".to_owned(),
        (true, missed) => format!("MISSED: {}", missed.join(", ")),
    };
    println!(
        "| {title:<44} | {:<6} | {:<37} | {:<29} | {} | {verdict} |",
        form_name(form),
        measure.what,
        goals(figures),
        texts.join(" | ")
    );
}

/// The goals of a row, once where all are the same.
fn goals(figures: &[Option<Figure<'_>>]) -> String {
    let mut bounds: Vec<String> = Vec::new();
    let mut sign = "";
    for figure in figures.iter().flatten() {
        let (mark, bound) = match figure.goal {
            Goal::None => continue,
            Goal::AtMost(bound) => ("≤ ", bound),
            Goal::AtLeast(bound) => ("≥ ", bound),
        };
        sign = mark;
        bounds.push(bound.to_string());
    }
    if bounds.iter().all(|bound| *bound == bounds[0]) {
        bounds.truncate(1);
    }
    format!("{sign}{}", bounds.join(", "))
}

/// The worst runs of what misses its goal, the furthest from it first.
fn print_misses(mut misses: Vec<(&Measure, Figure<'_>)>) {
    let distance = |figure: &Figure<'_>| match figure.goal {
        Goal::AtMost(bound) => figure.worst / bound.max(1e-6),
        Goal::AtLeast(bound) => bound / figure.worst.max(1e-6),
        Goal::None => 0.0,
    };
    misses.sort_by(|(_, a), (_, b)| distance(b).total_cmp(&distance(a)));
    if !misses.is_empty() {
        println!(
            "\nGoals missed: {}. The worst seed of the furthest in each case:",
            misses.len()
        );
    }
    let mut cases = BTreeSet::new();
    for (measure, figure) in misses
        .iter()
        .filter(|(_, figure)| cases.insert(figure.worst_run.case.name))
    {
        println!("  {} {:.3}: {}", measure.what, figure.worst, figure.worst_run.command());
    }
}

/// What must not happen. True where it did.
fn print_flaws(runs: &[Run], verdicts: &[Verdict]) -> bool {
    let flawed = || {
        runs.iter()
            .zip(verdicts)
            .filter(|(_, verdict)| !verdict.flaws.is_empty())
    };
    if flawed().next().is_some() {
        println!("\nFLAWS:");
    }
    for (run, verdict) in flawed() {
        println!("  {}: {}", verdict.flaws.join("; "), run.command());
    }
    flawed().next().is_some()
}
