//! How replies are read: leniently, for they are paid for, but within a budget, and never so that a part passes for the
//! whole.
//!
//! JSON is parsed by `serde_json` and no less strictly than it does: a reply whose top-level value does not close is
//! none. What is forgiven lies in the values:
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

mod budget;
mod leaf;
mod object;
mod tree;
