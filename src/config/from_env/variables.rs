//! The variables of an environment, and what is found wrong with them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsString;

use crate::config::complaint::{Complaints, Spot, found};
use crate::config::keys::Key;
use crate::config::{BlasterConfig, rules};
use crate::error::{ConfigError, Problem};

/// Which variable each part of a configuration was taken from.
pub(super) type Origins = HashMap<Spot, String>;

#[derive(Default)]
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    /// Those whose values are not Unicode.
    unreadable: BTreeSet<String>,
    problems: Vec<Problem>,
    /// What was complained about.
    subjects: HashSet<String>,
    warnings: Vec<String>,
}

impl Variables {
    pub(super) fn new<N: Into<OsString>, V: Into<OsString>>(all: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut variables = Variables::default();
        for (name, value) in all {
            // No name of ours is anything but ASCII.
            let Ok(name) = name.into().into_string() else { continue };
            match value.into().into_string() {
                Ok(value) => drop(variables.values.insert(name, value)),
                Err(_) => drop(variables.unreadable.insert(name)),
            }
        }
        variables
    }

    /// The value as it stands, even where it is empty.
    pub(super) fn raw(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// The value with its blanks; none where it is empty.
    pub(super) fn exact(&mut self, name: &str) -> Option<String> {
        if self.unreadable.contains(name) {
            self.complain(name, "must be Unicode text");
        }
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// The value; none where it is empty.
    pub(super) fn get(&mut self, name: &str) -> Option<String> {
        let value = self.exact(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        let has_text = self.values.get(name).is_some_and(|value| !value.trim().is_empty());
        has_text || self.unreadable.contains(name)
    }

    /// The value of a variable without which nothing can be sent; `what` it is stands in the complaint.
    pub(super) fn required(&mut self, name: &str, what: &str) -> String {
        self.get(name).unwrap_or_else(|| {
            self.complain(name, &format!("is required: {what}"));
            String::new()
        })
    }

    /// A number that `key` would admit.
    pub(super) fn whole(&mut self, name: &str, key: &Key) -> Option<u32> {
        let text = self.get(name)?;
        match text.parse() {
            Ok(number) if key.form.admits_whole(u64::from(number)) => Some(number),
            _ => {
                self.complain(name, &format!("must be {}, got {}", key.form, found(&text)));
                None
            }
        }
    }

    /// The first of two variables of the same meaning that is set, or `first`.
    pub(super) fn either(&mut self, first: &'static str, second: &'static str) -> &'static str {
        match (self.get(first), self.get(second)) {
            (Some(one), Some(other)) if one != other => {
                self.warn(format!("{second} has no effect beside {first}, and they differ"));
                first
            }
            (None, Some(_)) => second,
            _ => first,
        }
    }

    /// The names that begin so and have a value.
    pub(super) fn names_with(&self, prefix: &'static str) -> impl Iterator<Item = &str> {
        let names = self.values.keys().chain(&self.unreadable).map(String::as_str);
        names.filter(move |name| name.starts_with(prefix) && self.is_set(name))
    }

    /// Complains about a variable, once: a second complaint follows from the first.
    pub(super) fn complain(&mut self, variable: &str, said: &str) {
        if self.subjects.insert(variable.to_owned()) {
            self.note(variable, format!("{variable} {said}"));
        }
    }

    /// Complains in a sentence of its own.
    pub(super) fn note(&mut self, subject: &str, text: String) {
        self.problems.push(Problem {
            position: None,
            subject: subject.to_owned(),
            text,
        });
    }

    pub(super) fn warn(&mut self, said: String) {
        self.warnings.push(said);
    }

    /// Holds what was made of the variables against what is allowed; `otherwise` is the variable that everything else
    /// comes from.
    pub(super) fn judge(&mut self, config: &BlasterConfig, origins: &Origins, otherwise: &str) {
        let mut complaints = Complaints::default();
        rules::check(config, &|index| index, &mut |spot, said| {
            complaints.about(spot, None, said)
        });
        let entries: Vec<_> = (0..config.deployments.len()).collect();
        for (spot, said) in complaints.into_parts() {
            match origins.get(&spot) {
                Some(variable) => self.complain(variable, &said),
                None => {
                    let subject = spot.subject(Some((config, &entries)));
                    self.complain(otherwise, &format!("makes a configuration in which {subject} {said}"));
                }
            }
        }
    }

    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    pub(super) fn into_error(mut self) -> ConfigError {
        let more = self.problems.len().saturating_sub(ConfigError::LISTED);
        self.problems.truncate(ConfigError::LISTED);
        ConfigError::Invalid {
            file: None,
            problems: self.problems,
            more,
        }
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }
}
