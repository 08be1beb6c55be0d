//! How replies are read: leniently, for they are paid for, but within a budget, and never so that a part passes for the
//! whole.
//!
//! JSON is parsed by `serde_json` and no less strictly than it does: a reply whose top-level value does not close is
//! none. What is forgiven lies in the values:
//!
//! | what comes                                                         | what it is taken for                        |
//! |--------------------------------------------------------------------|---------------------------------------------|
//! | bytes that are no UTF-8, halves of surrogate pairs                  | joined with the next piece, else U+FFFD     |
//! | a byte order mark                                                  | nothing                                     |
//! | a member twice                                                     | the last one that says anything             |
//! | numbers as text, text as numbers, where nobody asks for the member | what it says, or nothing                    |
//! | content in parts                                                   | their text, joined                          |
//! | a call's `arguments` as an object or `null`                        | its JSON, or none                           |
//! | calls of a stream that all say index 0, with ids of their own      | calls of their own                          |
//! | `message` in place of `delta`                                      | a delta                                     |
//! | a usage of any other form                                          | no usage                                    |
//!
//! # Reading order
//! 1. [`unicode`]: bytes become text
//! 2. [`object`]: an object, member by member, whatever stands in it
//! 3. [`leaf`]: a value that holds no object of ours
//! 4. [`tree`]: a value that nobody here knows
//! 5. [`budget`]: how much memory all of it may take

/// Methods of a visitor that read what is not wanted to its end.
macro_rules! pass_over {
    ($nothing:expr; $($visit:ident $(: $type:ty)?),*) => {
        $(pass_over!(@ $nothing; $visit $(: $type)?);)*
    };
    (@ $nothing:expr; visit_unit) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
    (@ $nothing:expr; visit_seq) => {
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<serde::de::IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
    (@ $nothing:expr; visit_map) => {
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
    (@ $nothing:expr; $visit:ident: $type:ty) => {
        fn $visit<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
}

pub(crate) use budget::{Budget, OverBudget};
pub(crate) use leaf::{Number, Said};
pub(crate) use object::{Member, Object, deserialize_object, read_object};
pub(crate) use tree::read_tree;
pub(crate) use unicode::{Joint, Wtf8, escaped, replaced, settled};

mod budget;
mod leaf;
mod object;
mod tree;
mod unicode;
