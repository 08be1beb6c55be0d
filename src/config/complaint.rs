//! What is found wrong on the way from text to configuration.

use std::collections::HashSet;

use super::keys::Key;
use super::nearest::nearest;
use super::source::Source;
use super::{Auth, BlasterConfig, DeploymentConfig};
use crate::api::withheld::WORD_MAX;
use crate::error::{ConfigError, Problem};

/// Something that a complaint can be about: the whole, a deployment, a quota group, or one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    /// Position in `deployments`; none for what stands beside it.
    pub deployment: Option<usize>,
    /// Position in `quota_groups`; none for what stands beside it.
    pub group: Option<usize>,
    /// The key; none for the object itself.
    pub key: Option<&'static str>,
}

/// Everything that is wrong with one configuration. The first [`ConfigError::LISTED`] complaints of the text are kept,
/// the others counted: a file of nonsense may hold a million.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// By position.
    kept: Vec<Complaint>,
    total: usize,
    spots: HashSet<Spot>,
}

#[derive(Debug)]
struct Complaint {
    spot: Spot,
    at: Option<usize>,
    said: String,
}

impl Spot {
    /// The deployment at that position, as a whole.
    pub(super) fn deployment(index: usize) -> Self {
        Spot {
            deployment: Some(index),
            ..Spot::default()
        }
    }

    /// The quota group at that position, as a whole.
    pub(super) fn group(index: usize) -> Self {
        Spot {
            group: Some(index),
            ..Spot::default()
        }
    }

    /// That key of the object that this is.
    pub(super) fn key(self, key: &Key) -> Self {
        Spot {
            key: Some(key.name),
            ..self
        }
    }

    /// In words, e.g. `deployments[1] "backup": weight`. `config` lends the names, with the entry that each of its
    /// deployments comes from.
    pub(super) fn subject(self, config: Option<(&BlasterConfig, &[usize])>) -> String {
        let mut subject = String::new();
        if let Some(entry) = self.deployment {
            subject = format!("deployments[{entry}]");
            let name = config.and_then(|(config, entries)| name_of(entry, config, entries));
            subject += &name.map(|name| format!(" {}", named(name))).unwrap_or_default();
        }
        let config = config.map(|(config, _)| config);
        if let Some(index) = self.group {
            subject = "quota_groups".to_owned();
            if let Some(group) = config.and_then(|config| config.quota_groups.get(index)) {
                subject += &format!(" {}", named(&group.name));
            }
        }
        if let Some(key) = self.key {
            if !subject.is_empty() {
                subject += ": ";
            }
            subject += key;
        }
        subject
    }
}

impl Complaints {
    /// Complains about what stands at `spot`, once: a second complaint about it, or about a key of it, follows from
    /// the first and is dropped. What is `said` follows the key ("must be …").
    pub(super) fn about(&mut self, spot: Spot, at: Option<usize>, said: impl Into<String>) {
        let object = Spot { key: None, ..spot };
        if !self.spots.contains(&object) && self.spots.insert(spot) {
            self.keep(spot, at, || said.into());
        }
    }

    /// Complains about something beside the known keys of the object at `spot`; what is `said` is a whole phrase.
    pub(super) fn beside(&mut self, spot: Spot, at: impl Into<Option<usize>>, said: impl FnOnce() -> String) {
        self.keep(spot, at.into(), said);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The error that says it all. `source` is what positions count in, the parts of `config` lend their names.
    pub(super) fn into_error(
        self,
        file: Option<&str>,
        source: &Source<'_>,
        config: Option<(&BlasterConfig, &[usize])>,
    ) -> ConfigError {
        let more = self.total - self.kept.len();
        let problems = self.kept.into_iter().map(|complaint| {
            let subject = complaint.spot.subject(config);
            let joint = match complaint.spot {
                _ if subject.is_empty() => "",
                Spot { key: Some(_), .. } => " ",
                _ => ": ",
            };
            Problem {
                position: complaint.at.map(|at| source.line_and_column(at)),
                text: format!("{subject}{joint}{}", complaint.said),
                subject,
            }
        });
        ConfigError::Invalid {
            file: file.map(str::to_owned),
            problems: problems.collect(),
            more,
        }
    }

    /// What is kept, each with what it is about.
    pub(super) fn into_parts(self) -> impl Iterator<Item = (Spot, String)> {
        self.kept.into_iter().map(|complaint| (complaint.spot, complaint.said))
    }

    fn keep(&mut self, spot: Spot, at: Option<usize>, said: impl FnOnce() -> String) {
        self.total += 1;
        let index = self.kept.partition_point(|complaint| complaint.at <= at);
        if index < ConfigError::LISTED {
            self.kept.truncate(ConfigError::LISTED - 1);
            self.kept.insert(index, Complaint { spot, at, said: said() });
        }
    }
}

/// The name of a deployment, group, key, header or variable as it may stand in a message: in quotes, control characters
/// escaped. One as long as a key may be a key, in the wrong place, and is not repeated.
pub(super) fn named(name: &str) -> String {
    /// Azure's keys have 32 characters or 84, and the vendor's more than 40.
    const SHOWN: usize = 31;
    match name.chars().count() {
        0..=SHOWN => format!("{name:?}"),
        count => format!("(a name of {count} characters)"),
    }
}

/// What stands in place of something else, without repeating it: a key is soon pasted into the wrong place.
pub(super) fn found(text: &str) -> String {
    match text.chars().count() {
        0 => "an empty text".to_owned(),
        1 => "text of 1 character".to_owned(),
        count => format!("text of {count} characters"),
    }
}

/// The same; but what is nearly one of these is a slip of the pen, and is shown.
pub(super) fn found_near<'c>(text: &str, known: impl IntoIterator<Item = &'c str>) -> String {
    match nearest(text, known) {
        Some(_) => named(text),
        None => found(text),
    }
}

/// The name of an entry of `deployments`: its deployment's, or what the names of its several deployments begin with. None
/// where it is empty, or holds what must not show.
fn name_of<'c>(entry: usize, config: &'c BlasterConfig, entries: &[usize]) -> Option<&'c str> {
    let mut own = entries
        .iter()
        .zip(&config.deployments)
        .filter(|(from, _)| **from == entry);
    let (_, first) = own.next()?;
    let name = match own.next() {
        Some(_) => first.name.strip_suffix(&first.model)?.strip_suffix('/')?,
        None => &first.name,
    };
    (!name.is_empty() && !holds_key(first, name)).then_some(name)
}

/// Whether `text` holds the deployment's key, which then stands in the wrong place.
pub(super) fn holds_key(deployment: &DeploymentConfig, text: &str) -> bool {
    let key = match &deployment.auth {
        Auth::Key(key) => Some(key),
        Auth::Entra(_) | Auth::Custom(_) | Auth::None => deployment.client_secret.as_ref(),
    };
    // A shorter one may well be a part of some other word.
    key.is_some_and(|key| key.expose().len() >= WORD_MAX && text.contains(key.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_unless_it_is_as_long_as_a_key_and_a_text_only_where_it_is_nearly_right() {
        assert_eq!(named("east\n"), r#""east\n""#);
        assert_eq!(named(&"e".repeat(31)).len(), 33);
        assert_eq!(named(&"é".repeat(32)), "(a name of 32 characters)");
        for (text, said) in [
            ("", "an empty text"),
            ("é", "text of 1 character"),
            ("canary", "text of 6 characters"),
        ] {
            assert_eq!(found(text), said);
            assert_eq!(found_near(text, ["weighted", "failover"]), said);
        }
        assert_eq!(found_near("Weigthed", ["weighted", "failover"]), "\"Weigthed\"");
    }
}
