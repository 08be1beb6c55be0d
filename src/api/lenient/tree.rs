//! A value that nobody here knows, as a tree.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Budget, OverBudget, settled};

/// What the allocator adds to each text.
const TEXT: usize = 16;

/// Reads a value; none where it is no JSON, nested too deeply, or holds a number that nobody can hold.
pub(crate) fn read_tree(json: &str, budget: &Budget) -> Result<Option<Value>, OverBudget> {
    let read = |json: &str| {
        let mut json = serde_json::Deserializer::from_str(json);
        let value = Tree(budget).deserialize(&mut json)?;
        json.end().map(|()| value)
    };
    // A second time, where halves of surrogate pairs may be why it failed.
    let tree = read(json).or_else(|error| match settled(json) {
        Cow::Owned(json) if budget.excess().is_none() => read(&json),
        _ => Err(error),
    });
    match (tree, budget.excess()) {
        (Ok(value), _) => Ok(Some(value)),
        (Err(_), Some(excess)) => Err(excess),
        (Err(_), None) => Ok(None),
    }
}

#[derive(Clone, Copy)]
struct Tree<'b>(&'b Budget);

impl Tree<'_> {
    fn text<E: de::Error>(self, text: &str) -> Result<String, E> {
        // More of it may be appended.
        self.0.take(TEXT + 2 * text.len()).map_err(E::custom)?;
        Ok(text.to_owned())
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.text(value).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            self.0.take_element::<Value>(items.len()).map_err(de::Error::custom)?;
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(key) = map.next_key_seed(Name(self))? {
            self.0
                .take_entry::<String, Value>(members.len())
                .map_err(de::Error::custom)?;
            members.insert(key, map.next_value_seed(self)?);
        }
        Ok(Value::Object(members))
    }
}

/// The name of a member.
struct Name<'b>(Tree<'b>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        self.0.text(key)
    }
}
