//! An object of a reply, read member by member.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::leaf::{Name, Saying};
use super::{Budget, Number, Said, Wtf8};

/// What is made of an object, member by member.
pub(crate) trait Object<'de> {
    /// Takes the value of a member. A member may come more than once.
    fn member<A: MapAccess<'de>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error>;
}

/// Reads an object into `object`.
///
/// # Errors
/// Where it is anything else.
pub(crate) fn deserialize_object<'de, D: Deserializer<'de>>(
    deserializer: D,
    object: &mut impl Object<'de>,
) -> Result<(), D::Error> {
    match Into(object).deserialize(deserializer)? {
        true => Ok(()),
        false => Err(de::Error::custom("`null` in place of an object")),
    }
}

/// Reads the object that `json` is into `object`. False where it is `null`.
///
/// # Errors
/// Where it is anything else.
pub(crate) fn read_object<'de>(json: &'de str, object: &mut impl Object<'de>) -> Result<bool, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(json);
    let is_object = Into(object).deserialize(&mut json)?;
    json.end()?;
    Ok(is_object)
}

/// The value of a member, to be taken in one of these ways.
pub(crate) struct Member<'m, A>(&'m mut A);

impl<'de, A: MapAccess<'de>> Member<'_, A> {
    pub(crate) fn skip(self) -> Result<(), A::Error> {
        self.0.next_value::<IgnoredAny>().map(drop)
    }

    /// As it stands in the reply.
    pub(crate) fn raw(self) -> Result<&'de RawValue, A::Error> {
        self.0.next_value()
    }

    /// As it stands in the reply; none where it is `null`.
    pub(crate) fn raw_unless_null(self) -> Result<Option<&'de RawValue>, A::Error> {
        self.raw().map(|raw| Some(raw).filter(|raw| raw.get() != "null"))
    }

    /// As a text that is not empty; none where it is anything else.
    pub(crate) fn word(self) -> Result<Option<Cow<'de, str>>, A::Error> {
        self.0.next_value_seed(Name { numbers: false })
    }

    /// As a text that is not empty, or a number; none where it is anything else.
    pub(crate) fn name(self) -> Result<Option<Cow<'de, str>>, A::Error> {
        self.0.next_value_seed(Name { numbers: true })
    }

    /// As a number, which may have been written as a text.
    pub(crate) fn number(self) -> Result<Number, A::Error> {
        self.0.next_value()
    }

    /// As a text, or as JSON where it is anything else; none where it is `null`.
    pub(crate) fn text_or_json(self) -> Result<Option<Wtf8<'de>>, A::Error> {
        let json = self.raw()?.get();
        Ok(match json.as_bytes() {
            [b'"', ..] => Some(serde_json::from_str(json).unwrap_or_else(|_| json.into())),
            [b'n', ..] => None,
            _ => Some(json.into()),
        })
    }

    /// As what a message says.
    pub(crate) fn said(self, budget: &Budget) -> Result<Said<'de>, A::Error> {
        self.0.next_value_seed(Saying(budget))
    }

    /// As whatever `seed` reads.
    pub(crate) fn seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(seed)
    }

    /// Reads it into `object`. False where it is `null`; anything else is an error, for there may be something in it.
    pub(crate) fn object(self, object: &mut impl Object<'de>) -> Result<bool, A::Error> {
        self.0.next_value_seed(Into(object))
    }

    /// Reads it into `object`. False where it is anything else, which nobody asks for.
    pub(crate) fn any_object(self, object: &mut impl Object<'de>) -> Result<bool, A::Error> {
        self.0.next_value_seed(AnyInto(object))
    }

    /// As a list of objects, each beginning as `first`. None where it is `null`; anything else is an error.
    pub(crate) fn objects<T: Object<'de>>(
        self,
        budget: &Budget,
        first: impl Fn() -> T,
    ) -> Result<Option<Vec<T>>, A::Error> {
        self.0.next_value_seed(Objects { budget, first })
    }
}

struct Into<'o, T>(&'o mut T);

impl<'de, T: Object<'de>> DeserializeSeed<'de> for Into<'_, T> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Object<'de>> Visitor<'de> for Into<'_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            self.0.member(&key, Member(&mut map))?;
        }
        Ok(true)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

struct AnyInto<'o, T>(&'o mut T);

impl<'de, T: Object<'de>> DeserializeSeed<'de> for AnyInto<'_, T> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Object<'de>> Visitor<'de> for AnyInto<'_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<bool, A::Error> {
        Into(self.0).visit_map(map)
    }

    pass_over!(false; visit_unit, visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str, visit_seq);
}

struct Objects<'b, F> {
    budget: &'b Budget,
    first: F,
}

impl<'de, T: Object<'de>, F: Fn() -> T> DeserializeSeed<'de> for Objects<'_, F> {
    type Value = Option<Vec<T>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Object<'de>, F: Fn() -> T> Visitor<'de> for Objects<'_, F> {
    type Value = Option<Vec<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects or null")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut objects = Vec::new();
        loop {
            let mut object = (self.first)();
            match list.next_element_seed(Into(&mut object))? {
                None => return Ok(Some(objects)),
                Some(false) => return Err(de::Error::custom("`null` in a list of objects")),
                Some(true) => {
                    self.budget
                        .take_element::<T>(objects.len())
                        .map_err(de::Error::custom)?;
                    objects.push(object);
                }
            }
        }
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A key.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
