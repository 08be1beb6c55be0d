//! A caller's value as JSON text.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use serde_json::value::RawValue;

/// A caller's value, written as JSON at once, or the reason why it cannot be.
///
/// Text rather than a tree, because the order of keys matters to the service: structured output follows the
/// order of its schema. The reason surfaces when the value is written into a request, which knows the field.
#[derive(Clone, Debug)]
pub(crate) struct Json(Result<Box<RawValue>, Box<str>>);

impl Json {
    pub(crate) fn of(value: &(impl Serialize + ?Sized)) -> Self {
        Json(serde_json::value::to_raw_value(value).map_err(|error| error.to_string().into()))
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(json) => json.serialize(serializer),
            Err(reason) => Err(ser::Error::custom(reason)),
        }
    }
}

/// A string of a reply, borrowed from it where it holds no escapes (which serde does not do inside an `Option`).
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Reads `null` as the default: the service writes it for many fields that it could leave out.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
