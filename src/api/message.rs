//! One turn of a conversation.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::json::null_as_default;
use super::{Content, ToolCall};

/// One turn of a conversation, as sent to the service.
///
/// ```
/// use azure_openai_blaster::api::ChatMessage;
///
/// let messages = [
///     ChatMessage::system("Answer in one sentence."),
///     ChatMessage::user("Why does backoff matter?").name("ada"),
/// ];
/// assert_eq!(
///     serde_json::to_string(&messages[1])?,
///     r#"{"role":"user","content":"Why does backoff matter?","name":"ada"}"#,
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said; none (written as `null`) beside tool calls.
    #[serde(default)]
    pub content: Option<Content>,
    /// Tells speakers of the same role apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why the assistant would not answer, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Calls that the assistant asks for; written unless empty.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Which call a message of the role `tool` answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Members that this library does not know; they are sent as they are.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Instructions, for models before the reasoning ones.
    System,
    /// Instructions, for reasoning models.
    Developer,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
    /// A tool's answer.
    Tool,
    /// A role that this library does not know.
    Other(Box<str>),
}

impl ChatMessage {
    /// A message of any role; content may be text or a list of parts.
    pub fn new(role: Role, content: impl Into<Content>) -> Self {
        ChatMessage {
            role,
            content: Some(content.into()),
            name: None,
            refusal: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            extra: Map::new(),
        }
    }

    /// Instructions to a model that is no reasoning model.
    pub fn system(content: impl Into<Content>) -> Self {
        Self::new(Role::System, content)
    }

    /// Instructions to a reasoning model, which takes these or a system message but never both.
    pub fn developer(content: impl Into<Content>) -> Self {
        Self::new(Role::Developer, content)
    }

    /// What the user says.
    pub fn user(content: impl Into<Content>) -> Self {
        Self::new(Role::User, content)
    }

    /// What the assistant said in an earlier turn.
    pub fn assistant(content: impl Into<Content>) -> Self {
        Self::new(Role::Assistant, content)
    }

    /// The tool calls that the assistant asked for in an earlier turn, without text.
    pub fn assistant_tool_calls(calls: impl IntoIterator<Item = ToolCall>) -> Self {
        ChatMessage {
            content: None,
            tool_calls: calls.into_iter().collect(),
            ..Self::assistant("")
        }
    }

    /// The result of a tool call, by the call's id.
    pub fn tool(tool_call_id: impl Into<String>, content: impl Into<Content>) -> Self {
        ChatMessage {
            tool_call_id: Some(tool_call_id.into()),
            ..Self::new(Role::Tool, content)
        }
    }

    /// Tells speakers of the same role apart.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a member that this library does not know.
    ///
    /// A member that is also set as a field is an error, reported when the request is submitted.
    #[must_use]
    pub fn extra(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(key.into(), value.into());
        self
    }

    /// The text, where the content is text or a single text part.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.content.as_ref()?.as_text()
    }

    /// The member, if any, that is set both as a field and by [`extra`](Self::extra), and would be sent twice.
    pub(crate) fn clash(&self) -> Option<&str> {
        let keys = self.extra.keys().map(String::as_str);
        keys.into_iter().find(|key| match *key {
            "role" | "content" => true,
            "name" => self.name.is_some(),
            "refusal" => self.refusal.is_some(),
            "tool_calls" => !self.tool_calls.is_empty(),
            "tool_call_id" => self.tool_call_id.is_some(),
            _ => false,
        })
    }
}

impl Role {
    /// The role as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
            Role::Other(role) => role,
        }
    }
}

impl From<&str> for Role {
    fn from(role: &str) -> Self {
        match role {
            "system" => Role::System,
            "developer" => Role::Developer,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            other => Role::Other(other.into()),
        }
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let role = super::json::Text::deserialize(deserializer)?;
        Ok(Role::from(&*role.0))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::ContentPart;

    #[test]
    fn what_is_read_is_written_again() {
        // Shapes of wire §2, with members that no version of the API has.
        for wire in [
            json!({"role": "user", "content": "hi"}),
            json!({"role": "user", "content": "hi", "name": "ada", "mood": {"calm": [1, null, 2.5]}}),
            json!({"role": "developer", "content": [{"type": "text", "text": "be brief", "cache_control": {"type": "x"}}]}),
            json!({"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                {"type": "hologram", "hologram": {"depth": 3}},
            ]}),
            json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}, "signature": "s"},
                {"id": "call_2", "type": "custom", "custom": {"name": "c", "input": "free"}},
            ]}),
            json!({"role": "assistant", "content": null, "refusal": "I would rather not."}),
            json!({"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}}),
            json!({"role": "tool", "tool_call_id": "call_1", "content": "42"}),
            json!({"role": "oracle", "content": ""}),
        ] {
            let message: ChatMessage = serde_json::from_value(wire.clone()).unwrap();
            assert_eq!(serde_json::to_value(&message).unwrap(), wire);
        }
    }

    #[test]
    fn nulls_that_say_nothing_are_read_as_absent() {
        let wire = json!({"role": "assistant", "content": "x", "name": null, "refusal": null, "tool_calls": null, "tool_call_id": null});
        let message: ChatMessage = serde_json::from_value(wire).unwrap();
        assert_eq!(message, ChatMessage::assistant("x"));
    }

    #[test]
    fn content_that_is_neither_text_nor_parts_is_refused() {
        for content in [json!(1), json!({"text": "x"}), json!(["x"])] {
            let wire = json!({"role": "user", "content": content});
            assert!(serde_json::from_value::<ChatMessage>(wire).is_err());
        }
    }

    #[test]
    fn a_single_text_part_is_text() {
        assert_eq!(ChatMessage::user([ContentPart::text("a")]).text(), Some("a"));
        assert_eq!(
            ChatMessage::user([ContentPart::text("a"), ContentPart::text("b")]).text(),
            None
        );
        assert_eq!(ChatMessage::assistant_tool_calls([]).text(), None);
    }

    #[test]
    fn a_member_set_twice_is_found() {
        let call = ToolCall::function("1", "f", "{}");
        for (message, clash) in [
            (ChatMessage::user("a").extra("content", "b"), Some("content")),
            (ChatMessage::user("a").extra("role", "b"), Some("role")),
            (ChatMessage::user("a").name("b").extra("name", "c"), Some("name")),
            (ChatMessage::user("a").extra("name", "c"), None),
            (
                ChatMessage::assistant_tool_calls([call]).extra("tool_calls", 1),
                Some("tool_calls"),
            ),
            (
                ChatMessage::tool("1", "a").extra("tool_call_id", "2"),
                Some("tool_call_id"),
            ),
            (ChatMessage::user("a").extra("mood", "calm"), None),
        ] {
            assert_eq!(message.clash(), clash, "{message:?}");
        }
    }
}
