//! A call of a tool that the model asks for.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A call of a tool that the model asks for.
///
/// The answer goes back as [`ChatMessage::tool`](super::ChatMessage::tool) with this call's `id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// Names the call for the answer; empty where the service gave none.
    #[serde(default)]
    pub id: String,
    /// `function` or `custom`.
    #[serde(rename = "type", default = "function_kind")]
    pub kind: String,
    /// What to call, for the kind `function`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionCall>,
    /// What to call, for the kind `custom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomCall>,
    /// Members that this library does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The function that is to be called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FunctionCall {
    /// Name of the function.
    #[serde(default)]
    pub name: String,
    /// Its arguments: a JSON text, as written by the model, hence not always valid. Empty for none.
    #[serde(default)]
    pub arguments: String,
}

/// The custom tool that is to be called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CustomCall {
    /// Name of the tool.
    #[serde(default)]
    pub name: String,
    /// Its input: free text, or text of the tool's grammar.
    #[serde(default)]
    pub input: String,
}

fn function_kind() -> String {
    "function".to_owned()
}

impl ToolCall {
    /// A call of a function, as it stands in an assistant's message.
    pub fn function(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        ToolCall {
            id: id.into(),
            kind: function_kind(),
            function: Some(FunctionCall {
                name: name.into(),
                arguments: arguments.into(),
            }),
            custom: None,
            extra: Map::new(),
        }
    }

    /// Name of the function or of the custom tool; empty where there is neither.
    #[must_use]
    pub fn name(&self) -> &str {
        match (&self.function, &self.custom) {
            (Some(function), _) => &function.name,
            (None, Some(custom)) => &custom.name,
            (None, None) => "",
        }
    }

    /// Arguments of the function or input of the custom tool, as written by the model; empty where there is neither.
    #[must_use]
    pub fn arguments(&self) -> &str {
        match (&self.function, &self.custom) {
            (Some(function), _) => &function.arguments,
            (None, Some(custom)) => &custom.input,
            (None, None) => "",
        }
    }

    /// The arguments, read as JSON.
    ///
    /// # Errors
    /// Where the model wrote arguments that are not JSON, or not of the type `T`.
    pub fn arguments_json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.arguments())
    }
}
