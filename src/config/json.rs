//! JSON whose every value knows where it stands.
//!
//! serde_json reads; its [`RawValue`] borrows from the text, so that the distance between two slices is a value's
//! position. A value is looked into only where something is expected inside, hence no depth of nesting matters:
//! serde_json skips over the rest without recursion.

use std::str::FromStr;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// A value, or an object's key, in the text that it was read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'t> {
    raw: &'t str,
    at: usize,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Null,
    Flag,
    Number,
    Text,
    List,
    Object,
}

/// A text that is not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// Where reading ended, in bytes from the start.
    pub at: usize,
    /// What is wrong there.
    pub why: String,
}

impl<'t> Node<'t> {
    /// The one value that makes up `text`.
    pub(super) fn root(text: &'t str) -> Result<Self, SyntaxError> {
        match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) => Ok(Node { raw: text, at: 0 }.inner(raw)),
            Err(error) => Err(SyntaxError::new(text, &error)),
        }
    }

    /// Position in bytes from the start of the text.
    pub(super) fn at(self) -> usize {
        self.at
    }

    /// The value as it was written.
    pub(super) fn raw(self) -> &'t str {
        self.raw
    }

    pub(super) fn sort(self) -> Sort {
        match self.raw.as_bytes().first() {
            Some(b'n') => Sort::Null,
            Some(b't' | b'f') => Sort::Flag,
            Some(b'"') => Sort::Text,
            Some(b'[') => Sort::List,
            Some(b'{') => Sort::Object,
            // Nothing else begins a value, and the text was read once as a whole.
            _ => Sort::Number,
        }
    }

    /// The number, where it is one and `T` can hold it exactly (a whole number) or nearly (a fraction).
    pub(super) fn number<T: FromStr>(self) -> Option<T> {
        if self.sort() == Sort::Number {
            self.raw.parse().ok()
        } else {
            None
        }
    }

    pub(super) fn flag(self) -> Option<bool> {
        serde_json::from_str(self.raw).ok()
    }

    /// The text, where it is one; none also for half of a surrogate pair, which no text can hold.
    pub(super) fn text(self) -> Option<String> {
        serde_json::from_str(self.raw).ok()
    }

    pub(super) fn items(self) -> Option<Vec<Node<'t>>> {
        let items: Vec<&RawValue> = serde_json::from_str(self.raw).ok()?;
        Some(items.into_iter().map(|item| self.inner(item)).collect())
    }

    /// Keys and values in the order of the text, a repeated key as often as it stands there.
    pub(super) fn entries(self) -> Option<Vec<(Node<'t>, Node<'t>)>> {
        let entries: Entries<'t> = serde_json::from_str(self.raw).ok()?;
        let pairs = entries.0.into_iter();
        Some(pairs.map(|(key, value)| (self.inner(key), self.inner(value))).collect())
    }

    fn inner(self, part: &'t RawValue) -> Self {
        let raw = part.get();
        Node {
            raw,
            at: self.at + (raw.as_ptr().addr() - self.raw.as_ptr().addr()),
        }
    }
}

impl Sort {
    /// In words, with the article.
    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Null => "null",
            Sort::Flag => "a boolean",
            Sort::Number => "a number",
            Sort::Text => "text",
            Sort::List => "a list",
            Sort::Object => "an object",
        }
    }
}

impl SyntaxError {
    fn new(text: &str, error: &serde_json::Error) -> Self {
        // serde_json counts the bytes of the line up to and with the one that it objects to.
        let line_start = match error.line() {
            0 | 1 => 0,
            line => text
                .match_indices('\n')
                .nth(line - 2)
                .map_or(text.len(), |(newline, _)| newline + 1),
        };
        let mut at = (line_start + error.column()).saturating_sub(1).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        SyntaxError {
            at,
            why: explain(text, at, error),
        }
    }
}

/// Line and column, both counted from 1, of the character at byte `at`.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// serde_json's words, or better ones where people bring what JSON lacks.
fn explain(text: &str, at: usize, error: &serde_json::Error) -> String {
    if text.trim().is_empty() {
        return "the file is empty: an object with a list of `deployments` is needed".into();
    }
    let rest = &text[at..];
    if rest.starts_with("/*") {
        return "not valid JSON: a comment that begins with /* ends with */".into();
    }
    if rest.starts_with('#') {
        return "not valid JSON: a comment begins with // (or stands between /* and */)".into();
    }
    if !text.trim_start().starts_with(['{', '[', '"']) {
        return "not valid JSON: an object in braces is needed (YAML is read from files that end in .yaml or .yml)"
            .into();
    }
    if rest.starts_with(['}', ']', ',']) && text[..at].trim_end().ends_with(',') {
        return "not valid JSON: there is a comma too many".into();
    }
    if rest.starts_with('\'') {
        return "not valid JSON: text stands in double quotes".into();
    }
    let words = error.to_string();
    let words = words
        .rsplit_once(" at line ")
        .map_or(words.as_str(), |(words, _)| words);
    format!("not valid JSON: {words}")
}

/// An object's entries, none of them merged or looked into.
struct Entries<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_key_and_value_knows_its_place() {
        let text = "\n { \"a\" : [ 1 ,\n  \"ß\", true ], \"a\":null}";
        let root = Node::root(text).unwrap();
        let entries = root.entries().unwrap();
        assert_eq!(entries.len(), 2);
        for (key, value) in &entries {
            assert!(text[key.at()..].starts_with(key.raw()));
            assert!(text[value.at()..].starts_with(value.raw()));
        }
        let items = entries[0].1.items().unwrap();
        assert_eq!(line_and_column(text, items[0].at()), (2, 12));
        assert_eq!(line_and_column(text, items[1].at()), (3, 3));
        assert_eq!(line_and_column(text, items[2].at()), (3, 8));
        assert_eq!(items[1].text().as_deref(), Some("ß"));
    }

    #[test]
    fn a_value_is_only_what_it_is() {
        let node = |text| Node::root(text).unwrap();
        assert_eq!(node("7").number::<u64>(), Some(7));
        for whole in ["7.0", "-7", "7e1", "99999999999999999999", "\"7\"", "null", "[7]"] {
            assert_eq!(node(whole).number::<u64>(), None, "{whole}");
        }
        assert_eq!(node("\"7\"").text().as_deref(), Some("7"));
        assert_eq!(node("\"\\ud800\"").text(), None);
        assert_eq!(node("7").text(), None);
        assert_eq!(node("true").flag(), Some(true));
        assert_eq!(node("1").flag(), None);
        assert!(node("{}").items().is_none());
        assert!(node("[]").entries().is_none());
    }

    #[test]
    fn a_text_that_is_no_json_is_told_where_and_why() {
        let rows = [
            ("", (1, 1), "empty"),
            (" \n ", (2, 1), "empty"),
            ("{} x", (1, 4), "trailing characters"),
            ("{\n \"a\": 1,\n}", (3, 1), "a comma too many"),
            ("{\n \"a\": 1\n \"b\": 2}", (3, 2), "expected `,` or `}`"),
            ("{\n # note\n}", (2, 2), "begins with //"),
            ("{\"a\": /* note 1}", (1, 7), "ends with */"),
            ("{\"ß\": 'x'}", (1, 7), "double quotes"),
            ("deployments:\n  - name: a", (1, 1), "YAML"),
            ("- a", (1, 2), "YAML"),
            ("[deployments]\nx = 1", (1, 2), "expected"),
            ("{\"a\": NaN}", (1, 7), "expected value"),
            ("{\"a\": \"x", (1, 8), "EOF"),
        ];
        for (text, place, part) in rows {
            let error = Node::root(text).unwrap_err();
            assert!(error.why.contains(part), "{text:?}: {error:?}");
            assert_eq!(line_and_column(text, error.at), place, "{text:?}: {error:?}");
        }
    }

    #[test]
    fn no_depth_of_nesting_exhausts_the_stack() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert_eq!(Node::root(&deep).unwrap().items().unwrap().len(), 1);
        assert!(Node::root(&"[".repeat(1_000_000)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_at_a_place_inside_it(text in "[\\[\\]{}:,\"\\\\a1. \nßx-]{0,40}") {
            match Node::root(&text) {
                Ok(node) => prop_assert!(text[node.at()..].starts_with(node.raw())),
                Err(error) => prop_assert!(text.is_char_boundary(error.at)),
            }
        }
    }
}
