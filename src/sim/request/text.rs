//! Pieces of JSON that borrow from the body where they can.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use super::Prompt;
use crate::sim::dice::hash;

/// A text that borrows where it holds no escapes. (`Cow` alone does so only as a field's very type, not inside an
/// `Option` or a `Vec`.)
#[derive(Clone, Debug, Default)]
pub(crate) struct Str<'a>(pub(crate) Cow<'a, str>);

impl Str<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Self {
        Str(Cow::Borrowed(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A text, or a list of something.
#[derive(Clone, Debug)]
pub(super) enum Items<'a, T> {
    Text(Cow<'a, str>),
    List(Vec<T>),
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Items<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ItemsVisitor<T> {
            type Value = Items<'de, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Items::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Items::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Items::List)
            }
        }
        deserializer.deserialize_any(ItemsVisitor(PhantomData))
    }
}

/// A message's content: a text, parts, or null.
#[derive(Clone, Debug, Default)]
pub(super) enum Content<'a> {
    #[default]
    None,
    Text(Cow<'a, str>),
    Parts(Vec<Part<'a>>),
}

/// A part of a message's content.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Part<'a> {
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
    #[serde(default)]
    image_url: Option<IgnoredAny>,
}

impl<'a> Content<'a> {
    /// The texts of it.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> + Clone {
        let (text, parts) = match self {
            Content::None => (None, [].as_slice()),
            Content::Text(text) => (Some(text.as_ref()), [].as_slice()),
            Content::Parts(parts) => (None, parts.as_slice()),
        };
        let parts = parts.iter().filter_map(|part| part.text.as_ref().map(Str::as_str));
        text.into_iter().chain(parts)
    }

    /// Images in it.
    pub(super) fn images(&self) -> u64 {
        match self {
            Content::Parts(parts) => parts.iter().filter(|part| part.image_url.is_some()).count() as u64,
            Content::None | Content::Text(_) => 0,
        }
    }

    /// The last text of it; empty where there is none.
    pub(super) fn into_last(self) -> Cow<'a, str> {
        match self {
            Content::None => Cow::Borrowed(""),
            Content::Text(text) => text,
            Content::Parts(parts) => {
                let text = parts.into_iter().rev().find_map(|part| part.text);
                text.unwrap_or_default().0
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items: Option<Items<'a, Part<'a>>> = Option::deserialize(deserializer)?;
        Ok(match items {
            None => Content::None,
            Some(Items::Text(text)) => Content::Text(text),
            Some(Items::List(parts)) => Content::Parts(parts),
        })
    }
}

/// What completions and embeddings take: a text, tokens, or a list of either.
#[derive(Clone, Debug)]
pub(super) enum StrOrList<'a> {
    Text(Cow<'a, str>),
    /// Token numbers: one input.
    Tokens(Vec<u64>),
    Texts(Vec<Str<'a>>),
    /// Token numbers of several inputs.
    Lists(Vec<Vec<u64>>),
}

impl<'a> StrOrList<'a> {
    /// Inputs in it.
    pub(super) fn len(&self) -> usize {
        match self {
            StrOrList::Text(_) => 1,
            StrOrList::Tokens(tokens) => usize::from(!tokens.is_empty()),
            StrOrList::Texts(texts) => texts.len(),
            StrOrList::Lists(lists) => lists.len(),
        }
    }

    /// All inputs as one prompt.
    pub(super) fn prompt(&self) -> Prompt {
        let of_numbers = |tokens: usize| Prompt {
            tokens: tokens as u64,
            hash: self
                .hashes()
                .iter()
                .fold(0, |state, one| hash(state, &one.to_le_bytes())),
            prefixes: Vec::new(),
        };
        match self {
            StrOrList::Text(text) => Prompt::new(std::iter::once(text.as_ref()), 0, 0, None),
            StrOrList::Texts(texts) => Prompt::new(texts.iter().map(Str::as_str), 0, 0, None),
            StrOrList::Tokens(tokens) => of_numbers(tokens.len()),
            StrOrList::Lists(lists) => of_numbers(lists.iter().map(Vec::len).sum()),
        }
    }

    /// A hash of each input.
    pub(super) fn hashes(&self) -> Vec<u64> {
        let of_numbers = |tokens: &Vec<u64>| tokens.iter().fold(0, |state, token| hash(state, &token.to_le_bytes()));
        match self {
            StrOrList::Text(text) => vec![hash(0, text.as_bytes())],
            StrOrList::Texts(texts) => texts.iter().map(|text| hash(0, text.0.as_bytes())).collect(),
            StrOrList::Tokens(tokens) => vec![of_numbers(tokens)],
            StrOrList::Lists(lists) => lists.iter().map(of_numbers).collect(),
        }
    }

    /// The last text of it; empty where there is none.
    pub(super) fn into_last(self) -> Cow<'a, str> {
        match self {
            StrOrList::Text(text) => text,
            StrOrList::Texts(mut texts) => texts.pop().unwrap_or_default().0,
            StrOrList::Tokens(_) | StrOrList::Lists(_) => Cow::Borrowed(""),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for StrOrList<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What a list holds is told by how its first element begins.
        let list = match Items::<'a, &'de RawValue>::deserialize(deserializer)? {
            Items::Text(text) => return Ok(StrOrList::Text(text)),
            Items::List(list) => list,
        };
        fn each<'de, T: Deserialize<'de>, E: de::Error>(list: &[&'de RawValue]) -> Result<Vec<T>, E> {
            let parse = |one: &&'de RawValue| serde_json::from_str(one.get()).map_err(E::custom);
            list.iter().map(parse).collect()
        }
        match list.first().map_or("", |first| first.get()).bytes().next() {
            Some(b'[') => each(&list).map(StrOrList::Lists),
            Some(b'0'..=b'9') => each(&list).map(StrOrList::Tokens),
            _ => each(&list).map(StrOrList::Texts),
        }
    }
}
