//! A JSON Schema of configuration files, made of the table of keys.

use serde_json::{Map, Value, json};

use super::keys::{self, Form, Key, Standing};

/// The schema of a whole file, in the version of JSON Schema that editors know.
pub(super) fn whole() -> String {
    let mut root = object(keys::TOP);
    let about = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of azure-openai-blaster",
        "definitions": {
            "deployment": object(keys::DEPLOYMENT),
            "model": object(keys::ENTRY),
            "quota_group": object(keys::GROUP),
        },
    });
    if let (Value::Object(root), Value::Object(about)) = (&mut root, about) {
        root.extend(about);
    }
    format!("{root:#}\n")
}

fn object(keys: &[&Key]) -> Value {
    let properties: Map<_, _> = keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    // What is required only where something else is missing is left to the reader.
    let required: Vec<_> = keys
        .iter()
        .filter(|key| key.default == "required")
        .map(|key| key.name)
        .collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    })
}

fn property(key: &Key) -> Value {
    let mut schema = of_form(key);
    if key.nullable {
        schema = json!({"anyOf": [schema, {"type": "null"}]});
    }
    let remark = match key.standing {
        Standing::Works => "",
        Standing::Ignored => " No effect.",
    };
    schema["description"] = format!("{}{remark} Default: {}", key.meaning, key.default).into();
    if let Ok(default) = serde_json::from_str::<Value>(key.default) {
        schema["default"] = default;
    }
    schema
}

fn of_form(key: &Key) -> Value {
    let text = || json!({"type": "string"});
    match key.form {
        Form::Whole { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Form::Number { min, max } if max.is_finite() => json!({"type": "number", "minimum": min, "maximum": max}),
        Form::Number { min, .. } => json!({"type": "number", "minimum": min}),
        Form::Seconds { max } => json!({"type": "number", "exclusiveMinimum": 0, "maximum": max}),
        Form::Flag => json!({"type": "boolean"}),
        // A variable may hold the name.
        Form::OneOf(names) => json!({"anyOf": [{"enum": names}, {"type": "string", "pattern": "^\\$\\{.*\\}$"}]}),
        Form::Text(_) => text(),
        Form::List(_) => {
            let items = match key.name {
                "deployments" => json!({"$ref": "#/definitions/deployment"}),
                "models" => json!({"$ref": "#/definitions/model"}),
                _ => text(),
            };
            json!({"type": "array", "minItems": 1, "items": items})
        }
        Form::Object(_) => {
            let values = match key.name {
                "quota_groups" => json!({"$ref": "#/definitions/quota_group"}),
                _ => text(),
            };
            json!({"type": "object", "additionalProperties": values})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_beside_the_docs_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.schema.json");
        let fresh = whole();
        let written = std::fs::read_to_string(path).unwrap_or_default();
        if written != fresh && std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &fresh).unwrap();
            return;
        }
        assert!(
            written == fresh,
            "docs/config.schema.json is behind the code: run this test with UPDATE_DOCS=1"
        );
    }

    /// Lists and objects have no shape of their own in the table.
    #[test]
    fn whatever_holds_objects_says_of_which_keys() {
        for (name, of) in [("deployments", "deployment"), ("quota_groups", "quota_group")] {
            let key = keys::TOP.iter().find(|key| key.name == name).unwrap();
            assert!(
                of_form(key).to_string().contains(&format!("#/definitions/{of}")),
                "{name}"
            );
        }
        assert!(of_form(&keys::MODELS).to_string().contains("#/definitions/model"));
        assert_eq!(of_form(&keys::HEADERS)["additionalProperties"]["type"], "string");
    }
}
