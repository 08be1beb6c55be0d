//! Values that hold no object of ours: names, numbers and texts.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Budget, Wtf8};

/// A number of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    Null,
    /// What is below zero is 0, and a fraction is dropped.
    Is(u64),
    /// No number, nor a text that is one.
    Odd,
}

/// What a message says.
#[derive(Debug, Default)]
pub(crate) enum Said<'a> {
    /// `null`, or nothing at all.
    #[default]
    Nothing,
    Text(Wtf8<'a>),
    /// A list of parts.
    Parts(Vec<&'a RawValue>),
}

impl Number {
    /// The number; none where there is none.
    pub(crate) fn known(self) -> Option<u64> {
        match self {
            Number::Is(number) => Some(number),
            Number::Null | Number::Odd => None,
        }
    }

    fn of_text(text: &str) -> Self {
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return Number::Is(number);
        }
        // Not what else is a float in Rust, such as `inf`.
        let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        let number = text.parse::<f64>().ok().filter(|_| is_number);
        number.map_or(Number::Odd, |number| Number::Is(number as u64)) // saturates
    }
}

impl<'a> Said<'a> {
    /// Takes the value of a member that comes once more: the last counts, unless it says nothing.
    pub(crate) fn follow(&mut self, later: Said<'a>) {
        let says_nothing = match &later {
            Said::Nothing => true,
            Said::Text(text) => text.is_empty(),
            Said::Parts(parts) => parts.is_empty(),
        };
        if !says_nothing || matches!(self, Said::Nothing) {
            *self = later;
        }
    }
}

/// Reads a name: a text that is not empty, or a number where `numbers` will do. None where it is anything else.
pub(super) struct Name {
    pub(super) numbers: bool,
}

impl Name {
    fn number<'de>(self, number: impl ToString) -> Option<Cow<'de, str>> {
        self.numbers.then(|| Cow::Owned(number.to_string()))
    }
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok((!name.is_empty()).then_some(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok((!name.is_empty()).then(|| Cow::Owned(name.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(self.number(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(self.number(number))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    pass_over!(None; visit_bool: bool, visit_seq, visit_map);
}

impl<'de> de::Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
        Ok(Number::Is(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
        Ok(Number::Is(number.try_into().unwrap_or(0)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
        Ok(Number::Is(number as u64)) // saturates
    }

    fn visit_str<E>(self, text: &str) -> Result<Number, E> {
        Ok(Number::of_text(text))
    }

    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number::Null)
    }

    pass_over!(Number::Odd; visit_bool: bool, visit_seq, visit_map);
}

/// Reads what a message says; anything but `null`, text and a list is an error, for it would be lost.
pub(super) struct Saying<'b>(pub(super) &'b Budget);

impl<'de> DeserializeSeed<'de> for Saying<'_> {
    type Value = Said<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Said<'de>, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Saying<'_> {
    type Value = Said<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a list of parts or null")
    }

    fn visit_none<E>(self) -> Result<Said<'de>, E> {
        Ok(Said::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Said<'de>, D::Error> {
        // As bytes, see `Wtf8`.
        deserializer.deserialize_bytes(self)
    }

    fn visit_borrowed_bytes<E>(self, text: &'de [u8]) -> Result<Said<'de>, E> {
        Ok(Said::Text(Wtf8(Cow::Borrowed(text))))
    }

    fn visit_bytes<E>(self, text: &[u8]) -> Result<Said<'de>, E> {
        Ok(Said::Text(Wtf8(Cow::Owned(text.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Said<'de>, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element()? {
            self.0
                .take_element::<&RawValue>(parts.len())
                .map_err(de::Error::custom)?;
            parts.push(part);
        }
        Ok(Said::Parts(parts))
    }
}
