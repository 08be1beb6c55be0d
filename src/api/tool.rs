//! A tool that the model may call.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::json::Json;

/// A tool that the model may call.
///
/// ```
/// use azure_openai_blaster::api::Tool;
///
/// let weather = Tool::function(
///     "get_weather",
///     "The weather at a place, now.",
///     serde_json::json!({"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}),
/// );
/// # assert!(serde_json::to_string(&weather)?.starts_with(r#"{"type":"function","function":{"name":"get_weather""#));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tool(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Function(Function),
    Other(Json),
}

#[derive(Clone, Debug, Serialize)]
struct Function {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    parameters: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

impl Tool {
    /// A function: its name, what it does (empty to say nothing), and the JSON Schema of its arguments.
    ///
    /// The schema's keys keep the order in which they are serialised.
    pub fn function(name: impl Into<String>, description: impl Into<String>, schema: impl Serialize) -> Self {
        Tool(Kind::Function(Function {
            name: name.into(),
            description: description.into(),
            parameters: Json::of(&schema),
            strict: None,
        }))
    }

    /// A tool of any other kind, whole: an object such as `{"type": "custom", "custom": {…}}`.
    pub fn other(tool: impl Serialize) -> Self {
        Tool(Kind::Other(Json::of(&tool)))
    }

    /// Whether arguments must follow the schema exactly. Without effect on tools that are no function.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        if let Kind::Function(function) = &mut self.0 {
            function.strict = Some(strict);
        }
        self
    }
}

impl Serialize for Tool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Kind::Function(function) => {
                let mut tool = serializer.serialize_map(Some(2))?;
                tool.serialize_entry("type", "function")?;
                tool.serialize_entry("function", function)?;
                tool.end()
            }
            Kind::Other(tool) => tool.serialize(serializer),
        }
    }
}

/// Whether and which tools the model is to call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// It calls none.
    None,
    /// It calls at least one.
    Required,
    /// It calls this function.
    Function(String),
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

impl Serialize for ToolChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ToolChoice::Auto => serializer.serialize_str("auto"),
            ToolChoice::None => serializer.serialize_str("none"),
            ToolChoice::Required => serializer.serialize_str("required"),
            ToolChoice::Function(name) => {
                let mut choice = serializer.serialize_map(Some(2))?;
                choice.serialize_entry("type", "function")?;
                choice.serialize_entry("function", &Named { name })?;
                choice.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn a_schema_keeps_the_order_of_its_keys() {
        let schema = RawValue::from_string(r#"{"z":1,"a":2}"#.to_owned()).unwrap();
        let tool = Tool::function("f", "", schema).strict(true);
        assert_eq!(
            serde_json::to_string(&tool).unwrap(),
            r#"{"type":"function","function":{"name":"f","parameters":{"z":1,"a":2},"strict":true}}"#
        );
    }

    #[test]
    fn a_choice_is_written_as_the_service_reads_it() {
        for (choice, json) in [
            (ToolChoice::Auto, r#""auto""#),
            (ToolChoice::None, r#""none""#),
            (ToolChoice::Required, r#""required""#),
            (
                ToolChoice::Function("f".to_owned()),
                r#"{"type":"function","function":{"name":"f"}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&choice).unwrap(), json);
        }
    }
}
