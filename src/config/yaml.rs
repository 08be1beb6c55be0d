//! YAML written anew as JSON, with the place that each part came from.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error, Location, Spanned};

use super::BlasterConfig;
use super::json::SyntaxError;

/// `text` as JSON, and the places in it with those in `text` that they came from, in order.
///
/// # Errors
/// Where it is no YAML of one document, or more than a configuration may be. What is said repeats nothing of it but a
/// single character.
pub(super) fn as_json(text: &str) -> Result<(String, Vec<(usize, usize)>), SyntaxError> {
    let mut budget = serde_saphyr::Budget::default();
    // A configuration nests five deep; each level takes a piece of the stack.
    budget.max_depth = 16;
    // Ten thousand deployments with every key; the text itself is bounded already.
    budget.max_nodes = 2_000_000;
    budget.max_events = 4_000_000;
    budget.max_total_scalar_bytes = BlasterConfig::FILE_MAX;
    let options = serde_saphyr::options! {
        budget: Some(budget),
        strict_booleans: true,
        with_snippet: false,
    };
    let tree: Spanned<Tree> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| wrong(text, &error))?;
    let mut written = Written::default();
    if !matches!(tree.value, Tree::Null) {
        written.tree(&tree)?;
    }
    Ok((written.json, written.places))
}

/// A value as YAML has it.
enum Tree {
    Null,
    Flag(bool),
    /// As JSON writes it.
    Number(String),
    Text(String),
    List(Vec<Spanned<Tree>>),
    Object(Vec<(Spanned<Tree>, Spanned<Tree>)>),
}

#[derive(Default)]
struct Written {
    json: String,
    places: Vec<(usize, usize)>,
}

impl Written {
    fn tree(&mut self, tree: &Spanned<Tree>) -> Result<(), SyntaxError> {
        self.place(tree);
        match &tree.value {
            Tree::Null => self.json += "null",
            Tree::Flag(flag) => self.json += if *flag { "true" } else { "false" },
            Tree::Number(number) => self.json += number,
            Tree::Text(text) => self.text(text),
            Tree::List(items) => {
                self.json.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.comma(index);
                    self.tree(item)?;
                }
                self.json.push(']');
            }
            Tree::Object(entries) => {
                self.json.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.comma(index);
                    self.place(key);
                    match &key.value {
                        Tree::Text(name) | Tree::Number(name) => self.text(name),
                        _ => {
                            let why = "not valid here: a key must be text".into();
                            return Err(SyntaxError { at: offset(key), why });
                        }
                    }
                    self.json.push(':');
                    self.tree(value)?;
                }
                self.json.push('}');
            }
        }
        Ok(())
    }

    fn place(&mut self, tree: &Spanned<Tree>) {
        self.places.push((self.json.len(), offset(tree)));
    }

    fn text(&mut self, text: &str) {
        self.json += &serde_json::Value::from(text).to_string();
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.json.push(',');
        }
    }
}

/// Where it stands, in bytes; of what an alias repeats, where the alias stands.
fn offset(tree: &Spanned<Tree>) -> usize {
    let offset = tree.referenced.span().byte_offset();
    offset.and_then(|offset| usize::try_from(offset).ok()).unwrap_or(0)
}

/// What is wrong, in words that repeat nothing.
fn wrong(text: &str, error: &Error) -> SyntaxError {
    let why = match error {
        Error::DuplicateMappingKey { .. } => "not valid YAML: a key is given twice".to_owned(),
        Error::MultipleDocuments { .. } => "not valid here: a second document begins".to_owned(),
        Error::UnknownAnchor { .. } => "not valid YAML: there is no anchor of that name before it".to_owned(),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => {
            "not valid here: it is nested deeper, or made larger by aliases, than a configuration may be".to_owned()
        }
        // Of what is wrong there, only a text is left, which may hold anything.
        Error::AliasError { .. } => "not valid here: what an alias stands for is wrong, or too much".to_owned(),
        // The parser's own words; of the text they hold a single character at most.
        Error::ExternalMessage { msg, .. } => format!("not valid YAML: {msg}"),
        _ => "not valid YAML".to_owned(),
    };
    let at = error.location().map_or(0, |location| place_of(text, location));
    SyntaxError { at, why }
}

fn place_of(text: &str, location: Location) -> usize {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    let (line, column) = (number(location.line()), number(location.column()));
    let start = text.split_inclusive('\n').take(line).map(str::len).sum::<usize>();
    let rest = text[start..].lines().next().unwrap_or_default();
    start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyTree)
    }
}

struct AnyTree;

impl<'de> Visitor<'de> for AnyTree {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Tree, E> {
        Ok(Tree::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Number(serde_json::Value::from(number).to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Object(entries))
    }
}
