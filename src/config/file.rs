//! What was written: the keys of a configuration file, each with its value and its place, and nothing made of it.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::complaint::{Complaints, Spot, named};
use super::env::Env;
use super::json::{Node, Sort};
use super::keys::{
    CALLED_ELSEWHERE, DEPLOYMENT, DEPLOYMENTS, DEPLOYMENTS_MAX, GROUP, GROUP_CALLED_ELSEWHERE, Key, QUOTA_GROUPS,
    QUOTA_GROUPS_MAX, TOP, TOP_CALLED_ELSEWHERE,
};
use super::nearest::nearest;
use super::source::Source;
use super::{BlasterConfig, parse, parse_yaml};
use crate::error::ConfigError;

/// Reads the file at `path`; see [`parse_file`](super::parse_file).
pub(super) fn read_file(path: &Path, env: Env<'_>) -> Result<BlasterConfig, ConfigError> {
    let file = path.display().to_string();
    let bytes = read_at_most(path, BlasterConfig::FILE_MAX).map_err(|error| ConfigError::Unreadable {
        file: file.clone(),
        kind: error.kind(),
        cause: error.to_string(),
    })?;
    match str::from_utf8(&bytes) {
        Ok(text) if is_yaml(path) => parse_yaml(text, Some(&file), env),
        Ok(text) => parse(text, Some(&file), env),
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let mut complaints = Complaints::default();
            complaints.beside(Spot::default(), good.len(), || "the file must be UTF-8".into());
            Err(complaints.into_error(Some(&file), &Source::unread(&good), None))
        }
    }
}

fn is_yaml(path: &Path) -> bool {
    let end = path.extension().unwrap_or_default();
    end.eq_ignore_ascii_case("yaml") || end.eq_ignore_ascii_case("yml")
}

fn read_at_most(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        let cause = format!("larger than a configuration may be ({most} bytes)");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, cause));
    }
    Ok(bytes)
}

/// A configuration file as it stands.
#[derive(Debug)]
pub(super) struct File<'t> {
    pub top: Fields<'t>,
    /// As many as the list has, at most [`DEPLOYMENTS_MAX`]; one that is no object has no fields.
    pub deployments: Vec<Fields<'t>>,
    /// With their names as written, at most [`QUOTA_GROUPS_MAX`]; one that is no object has no fields.
    pub groups: Vec<(String, Fields<'t>)>,
}

/// The known keys of one object and what stands at them.
#[derive(Debug, Default)]
pub(super) struct Fields<'t> {
    /// Where the object begins.
    at: usize,
    found: Vec<(&'static Key, Node<'t>)>,
}

impl<'t> File<'t> {
    /// Reads `text`; none where it has no object to read keys from.
    pub(super) fn read(text: &'t str, complaints: &mut Complaints) -> Option<Self> {
        let whole = Spot::default();
        let root = match Node::root(text) {
            Ok(root) => root,
            Err(error) => {
                complaints.beside(whole, error.at, || error.why);
                return None;
            }
        };
        let Some(entries) = root.entries() else {
            let hint = match root.sort() {
                Sort::List => " (a list of deployments stands in {\"deployments\": […]})",
                _ => "",
            };
            let found = root.sort().name();
            let said = || format!("the file must be an object, got {found}{hint}");
            complaints.beside(whole, root.at(), said);
            return None;
        };
        let top = Fields::read(root.at(), entries, whole, complaints);
        let deployments = read_deployments(&top, complaints);
        let groups = read_groups(&top, complaints);
        Some(File {
            top,
            deployments,
            groups,
        })
    }

    /// Where that spot is: a key's value, or the object that lacks it.
    pub(super) fn place(&self, spot: Spot) -> usize {
        let deployment = spot.deployment.and_then(|index| self.deployments.get(index));
        let group = spot.group.and_then(|index| self.groups.get(index));
        let fields = deployment.or(group.map(|(_, fields)| fields)).unwrap_or(&self.top);
        fields.named(spot.key).map_or(fields.at, Node::at)
    }
}

fn read_deployments<'t>(top: &Fields<'t>, complaints: &mut Complaints) -> Vec<Fields<'t>> {
    let Some(list) = top.get(&DEPLOYMENTS) else {
        return Vec::new();
    };
    let spot = Spot::default().key(&DEPLOYMENTS);
    let Some(items) = list.items() else {
        let said = format!("must be {}, got {}", DEPLOYMENTS.form, list.sort().name());
        complaints.about(spot, Some(list.at()), said);
        return Vec::new();
    };
    if items.len() > DEPLOYMENTS_MAX {
        let said = format!("must be {}, got {}", DEPLOYMENTS.form, items.len());
        complaints.about(spot, Some(list.at()), said);
    }
    let read = |(index, item): (usize, Node<'t>)| {
        let spot = Spot::deployment(index);
        match item.entries() {
            Some(entries) => Fields::read(item.at(), entries, spot, complaints),
            None => {
                let said = format!("must be an object, got {}", item.sort().name());
                complaints.about(spot, Some(item.at()), said);
                Fields {
                    at: item.at(),
                    found: Vec::new(),
                }
            }
        }
    };
    items.into_iter().take(DEPLOYMENTS_MAX).enumerate().map(read).collect()
}

fn read_groups<'t>(top: &Fields<'t>, complaints: &mut Complaints) -> Vec<(String, Fields<'t>)> {
    let Some(object) = top.get(&QUOTA_GROUPS) else {
        return Vec::new();
    };
    let spot = Spot::default().key(&QUOTA_GROUPS);
    let Some(entries) = object.entries() else {
        let said = format!("must be {}, got {}", QUOTA_GROUPS.form, object.sort().name());
        complaints.about(spot, Some(object.at()), said);
        return Vec::new();
    };
    if entries.len() > QUOTA_GROUPS_MAX {
        let said = format!("must be {}, got {}", QUOTA_GROUPS.form, entries.len());
        complaints.about(spot, Some(object.at()), said);
    }
    let read = |(index, (name, value)): (usize, (Node<'t>, Node<'t>))| {
        let spot = Spot::group(index);
        let fields = match value.entries() {
            Some(entries) => Fields::read(value.at(), entries, spot, complaints),
            None => {
                let said = format!("must be an object, got {}", value.sort().name());
                complaints.about(spot, Some(value.at()), said);
                Fields {
                    at: value.at(),
                    found: Vec::new(),
                }
            }
        };
        (name.text().unwrap_or_else(|| name.raw().to_owned()), fields)
    };
    entries
        .into_iter()
        .take(QUOTA_GROUPS_MAX)
        .enumerate()
        .map(read)
        .collect()
}

/// The keys that the object at `spot` may have.
fn known_keys(spot: Spot) -> &'static [&'static Key] {
    match spot {
        Spot {
            deployment: Some(_), ..
        } => DEPLOYMENT,
        Spot { group: Some(_), .. } => GROUP,
        _ => TOP,
    }
}

impl<'t> Fields<'t> {
    /// Sorts the entries of the object that begins at `at` into known keys and complaints.
    fn read(at: usize, entries: Vec<(Node<'t>, Node<'t>)>, spot: Spot, complaints: &mut Complaints) -> Self {
        let known = known_keys(spot);
        let mut found: Vec<(&'static Key, Node<'t>)> = Vec::new();
        for (written, value) in entries {
            // A key with half of a surrogate pair is no text, and certainly unknown.
            let name = written.text().unwrap_or_else(|| written.raw().to_owned());
            let Some(&key) = known.iter().find(|key| key.name == name) else {
                match called_elsewhere(&name, spot) {
                    // Said of the key that is meant, which is not missed as well then.
                    Some(key) => {
                        let said = format!("is what {} is called here", named(&name));
                        complaints.about(spot.key(key), Some(written.at()), said);
                    }
                    None => complaints.beside(spot, written.at(), || unknown(&name, spot)),
                }
                continue;
            };
            if found.iter().any(|(other, _)| other.name == key.name) {
                let said = || format!("key {} is given twice", named(&name));
                complaints.beside(spot, written.at(), said);
                continue;
            }
            found.push((key, value));
        }
        Fields { at, found }
    }

    /// What stands at `key`.
    pub(super) fn get(&self, key: &Key) -> Option<Node<'t>> {
        self.named(Some(key.name))
    }

    fn named(&self, name: Option<&str>) -> Option<Node<'t>> {
        let (_, node) = self.found.iter().find(|(key, _)| Some(key.name) == name)?;
        Some(*node)
    }
}

/// The key that other tools give that name, in the object at `spot`.
fn called_elsewhere(name: &str, spot: Spot) -> Option<&'static Key> {
    let names = match spot {
        Spot {
            deployment: Some(_), ..
        } => &CALLED_ELSEWHERE[..],
        Spot { group: Some(_), .. } => &GROUP_CALLED_ELSEWHERE,
        _ => &TOP_CALLED_ELSEWHERE,
    };
    names.iter().find(|(called, _)| *called == name).map(|(_, key)| *key)
}

/// What to say about a key that the object at `spot` does not have.
fn unknown(name: &str, spot: Spot) -> String {
    let known = known_keys(spot);
    let is_in = |keys: &[&Key]| keys.iter().any(|key| key.name == name);
    let hint = if is_in(DEPLOYMENT) {
        "it belongs into a deployment".to_owned()
    } else if is_in(TOP) {
        "it belongs beside `deployments`".to_owned()
    } else if let Some(near) = nearest(name, known.iter().map(|key| key.name)) {
        format!("did you mean {}?", named(near))
    } else {
        let names: Vec<_> = known.iter().map(|key| key.name).collect();
        format!("known here: {}", names.join(", "))
    };
    format!("unknown key {}; {hint}", named(name))
}
