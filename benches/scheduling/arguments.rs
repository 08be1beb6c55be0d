//! What is asked for on the command line.

use std::ops::RangeInclusive;
use std::sync::Arc;

use azure_openai_blaster::internals::Rule;
use azure_openai_blaster::sim::LimiterForm;

use crate::case::{Case, FORMS, Run};
use crate::cases;
use crate::world::fleet::Fleet;
use crate::world::service::form_name;

/// Which runs are wanted.
pub(crate) struct Arguments {
    cases: Vec<Arc<Case>>,
    forms: Vec<LimiterForm>,
    fleets: Vec<Fleet>,
    seeds: RangeInclusive<u64>,
    /// Print the only run request by request.
    pub(crate) story: bool,
}

impl Arguments {
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let known: Vec<Arc<Case>> = cases::all().into_iter().map(Arc::new).collect();
        let (mut cases, mut forms, mut fleets) = (Vec::new(), Vec::new(), Vec::new());
        let (mut seeds, mut story) = (1..=20, false);
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                "--quick" => seeds = 1..=2,
                "--story" => story = true,
                "--case" => cases.push(Arc::clone(one_of(word, words.next(), &known, |case| case.name)?)),
                "--form" => forms.push(*one_of(word, words.next(), &FORMS, |form| form_name(*form))?),
                "--fleet" => fleets.push(*one_of(word, words.next(), &Fleet::ALL, |fleet| fleet.name())?),
                "--seeds" => seeds = range(words.next().unwrap_or_default())?,
                "--without" => one_of(word, words.next(), &Rule::ALL, |(name, _)| name)?.1.switch_off(),
                other => {
                    return Err(format!(
                        "unknown option {other:?}; there are --quick, --seeds, --case, --form, --fleet, --without and \
                         --story"
                    ));
                }
            }
        }
        if cases.is_empty() {
            cases = known.into_iter().filter(|case| case.has_goals()).collect();
        }
        Ok(Arguments {
            cases,
            forms: or_all(forms, &FORMS),
            fleets: or_all(fleets, &Fleet::ALL),
            seeds,
            story,
        })
    }

    /// Every run, those of one row of the table together.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        for case in &self.cases {
            for &form in self.forms.iter().filter(|form| case.forms.contains(form)) {
                for &fleet in self.fleets.iter().filter(|fleet| case.fleets.contains(fleet)) {
                    runs.extend(self.seeds.clone().map(|seed| Run {
                        number: 0,
                        case: Arc::clone(case),
                        form,
                        fleet,
                        seed,
                    }));
                }
            }
        }
        for (number, run) in runs.iter_mut().enumerate() {
            run.number = number;
        }
        runs
    }
}

fn or_all<T: Copy>(chosen: Vec<T>, all: &[T]) -> Vec<T> {
    if chosen.is_empty() { all.to_vec() } else { chosen }
}

fn one_of<'a, T>(
    option: &str,
    word: Option<&str>,
    known: &'a [T],
    name: impl Fn(&T) -> &'static str,
) -> Result<&'a T, String> {
    let names = || known.iter().map(&name).collect::<Vec<_>>().join(", ");
    let word = word.ok_or_else(|| format!("{option} needs one of {}", names()))?;
    let found = known.iter().find(|one| name(one) == word);
    found.ok_or_else(|| format!("{option} {word:?}: there are {}", names()))
}

/// `7` or `1-20`.
fn range(word: &str) -> Result<RangeInclusive<u64>, String> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err(format!("--seeds needs one seed or a range, as in 1-20, got {word:?}")),
    }
}
