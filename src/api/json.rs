//! A caller's value as JSON text.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
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

/// Reads a count: `null` and what is below zero are 0, and a fraction is dropped. Gateways write all of them.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Count;

    impl<'de> de::Visitor<'de> for Count {
        type Value = u64;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a number or null")
        }

        fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }

        fn visit_i64<E>(self, value: i64) -> Result<u64, E> {
            Ok(value.try_into().unwrap_or(0))
        }

        fn visit_f64<E>(self, value: f64) -> Result<u64, E> {
            Ok(value as u64) // saturates
        }

        fn visit_unit<E>(self) -> Result<u64, E> {
            Ok(0)
        }
    }

    deserializer.deserialize_any(Count)
}

/// An index: a count that fits.
pub(crate) fn index<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(u32::try_from(count(deserializer)?).unwrap_or(u32::MAX))
}
