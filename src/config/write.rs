//! Values as a configuration file writes them, so that reading them gives the same again.

use std::time::Duration;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::env::escape;

/// Text in which a `${` stays one.
pub(super) fn text<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&escape(text))
}

pub(super) fn maybe_text<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => self::text(text, serializer),
        None => serializer.serialize_none(),
    }
}

pub(super) fn texts<S: Serializer>(texts: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(texts.len()))?;
    for text in texts {
        list.serialize_element(&escape(text))?;
    }
    list.end()
}

/// Seconds, as a fraction only where there is one. Exact to the nanosecond up to 31 days, the longest time that a
/// configuration may hold: a day more, and neighbouring nanoseconds would still be two different fractions.
pub(super) fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    if time.subsec_nanos() == 0 {
        time.as_secs().serialize(serializer)
    } else {
        time.as_secs_f64().serialize(serializer)
    }
}

pub(super) fn maybe_seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => seconds(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// A path; one that is not Unicode cannot be written in JSON and is an error.
pub(super) fn maybe_path<S: Serializer>(path: &Option<std::path::PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => match path.to_str() {
            Some(path) => text(path, serializer),
            None => Err(serde::ser::Error::custom("ca_file is not Unicode")),
        },
        None => serializer.serialize_none(),
    }
}
