//! A JSON value that a schema allows.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Most values that an example has; what would come after is null. Schemas that name themselves would never end.
const MAX_VALUES: usize = 1000;

/// Deepest nesting that is followed; what lies deeper is null.
const MAX_DEPTH: usize = 32;

/// A JSON text that the schema allows, whose first string is `text`. Without a schema, or with one that names no
/// type, it is `{"answer": text}`.
///
/// Types, properties, `enum`, `const`, `items`, `anyOf` and local `$ref`s are followed; ranges and patterns are not.
pub(crate) fn example(schema: Option<&RawValue>, text: &str) -> String {
    let schema = schema.and_then(|schema| serde_json::from_str::<Value>(schema.get()).ok());
    let root = schema.unwrap_or_default();
    let mut maker = Maker {
        root: &root,
        text: Some(text),
        left: MAX_VALUES,
    };
    let made = match maker.value(&root, 0) {
        Value::Null => Value::Object(Map::from_iter([("answer".to_owned(), maker.string())])),
        made => made,
    };
    made.to_string()
}

struct Maker<'a> {
    root: &'a Value,
    /// The text, until the first string has taken it.
    text: Option<&'a str>,
    /// Values that may still be made.
    left: usize,
}

impl Maker<'_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if depth > MAX_DEPTH || self.left == 0 {
            return Value::Null;
        }
        self.left -= 1;
        let path = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
        if let Some(target) = path.and_then(|path| self.root.pointer(path)) {
            return self.value(target, depth + 1);
        }
        if let Some(constant) = schema.get("const").or_else(|| schema["enum"].get(0)) {
            return constant.clone();
        }
        if let Some(first) = schema["anyOf"].get(0) {
            return self.value(first, depth + 1);
        }
        match schema["type"].as_str().or_else(|| schema["type"][0].as_str()) {
            Some("string") => self.string(),
            Some("integer") => Value::from(1),
            Some("number") => Value::from(0.5),
            Some("boolean") => Value::Bool(true),
            Some("array") => Value::Array(vec![self.value(&schema["items"], depth + 1)]),
            Some("object") | None if schema["properties"].is_object() => {
                let properties = schema["properties"].as_object().into_iter().flatten();
                let made = properties.map(|(name, schema)| (name.clone(), self.value(schema, depth + 1)));
                Value::Object(made.collect())
            }
            Some("object") => Value::Object(Map::new()),
            _ => Value::Null,
        }
    }

    /// The text, for the first string; another word for all later ones.
    fn string(&mut self) -> Value {
        Value::from(self.text.take().unwrap_or("more"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_followed() {
        for (schema, made) in [
            (
                r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}}}"#,
                r#"{"a":"T","b":1}"#,
            ),
            (
                r#"{"properties":{"a":{"enum":["x","y"]},"b":{"const":7}}}"#,
                r#"{"a":"x","b":7}"#,
            ),
            (
                r#"{"type":"object","properties":{"l":{"type":"array","items":{"type":"string"}},"z":{"type":["string","null"]}}}"#,
                r#"{"l":["T"],"z":"more"}"#,
            ),
            (
                r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/d"}},"$defs":{"d":{"type":"boolean"}}}"##,
                r#"{"a":true}"#,
            ),
            (
                r#"{"type":"object","properties":{"a":{"anyOf":[{"type":"number"},{"type":"null"}]}}}"#,
                r#"{"a":0.5}"#,
            ),
            (r#"{"type":"object"}"#, "{}"),
            ("{}", r#"{"answer":"T"}"#),
            ("true", r#"{"answer":"T"}"#),
        ] {
            let raw = RawValue::from_string(schema.to_owned()).unwrap();
            assert_eq!(example(Some(&raw), "T"), made, "{schema}");
        }
        assert_eq!(example(None, "T"), r#"{"answer":"T"}"#);
    }

    #[test]
    fn a_schema_that_names_itself_ends() {
        let raw = r##"{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"}}}"##.to_owned();
        let made = example(Some(&RawValue::from_string(raw).unwrap()), "T");
        serde_json::from_str::<Value>(&made).unwrap();
    }
}
