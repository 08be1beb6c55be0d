//! What a message says: text, or a list of parts.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value, json};

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[allow(clippy::exhaustive_enums)] // the API has these two forms and no third
pub enum Content {
    /// Plain text.
    Text(String),
    /// Text, images and whatever else the model takes, in order.
    Parts(Vec<ContentPart>),
}

impl Content {
    /// The text, where the content is plain text or a single text part.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Content::Text(text) => Some(text),
            Content::Parts(parts) => match parts.as_slice() {
                [part] => part.as_text(),
                _ => None,
            },
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Content::Text(text.to_owned())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Content::Text(text)
    }
}

impl From<&String> for Content {
    fn from(text: &String) -> Self {
        Content::Text(text.clone())
    }
}

impl From<Cow<'_, str>> for Content {
    fn from(text: Cow<'_, str>) -> Self {
        Content::Text(text.into_owned())
    }
}

impl From<Vec<ContentPart>> for Content {
    fn from(parts: Vec<ContentPart>) -> Self {
        Content::Parts(parts)
    }
}

impl<const N: usize> From<[ContentPart; N]> for Content {
    fn from(parts: [ContentPart; N]) -> Self {
        Content::Parts(parts.into())
    }
}

// By hand: an untagged enum would copy the text once more, and every reply comes through here.
impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;

        impl<'de> de::Visitor<'de> for ContentVisitor {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a list of content parts")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, parts: A) -> Result<Content, A::Error> {
                Deserialize::deserialize(de::value::SeqAccessDeserializer::new(parts)).map(Content::Parts)
            }
        }

        deserializer.deserialize_any(ContentVisitor)
    }
}

/// One part of a message's content, of any kind that the service knows.
///
/// ```
/// use azure_openai_blaster::api::{ChatMessage, ContentPart};
///
/// let question = ChatMessage::user([
///     ContentPart::text("What is on this picture?"),
///     ContentPart::image_url("https://example.com/cat.png").detail("low"),
/// ]);
/// # assert!(question.content.is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentPart(Map<String, Value>);

impl ContentPart {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::other("text", json!(text.into()))
    }

    /// An image by its URL, which may be a `data:` URL (`data:image/png;base64,…`).
    pub fn image_url(url: impl Into<String>) -> Self {
        Self::other("image_url", json!({ "url": url.into() }))
    }

    /// A part of any kind: `{"type": kind, kind: value}`, the shape that all kinds share.
    pub fn other(kind: impl Into<String>, value: impl Into<Value>) -> Self {
        let kind = kind.into();
        let mut part = Map::new();
        part.insert("type".to_owned(), Value::String(kind.clone()));
        part.insert(kind, value.into());
        ContentPart(part)
    }

    /// How closely an image is looked at: `low`, `high` or `auto`. Without effect on other parts.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        if let Some(Value::Object(image)) = self.0.get_mut("image_url") {
            image.insert("detail".to_owned(), Value::String(detail.into()));
        }
        self
    }

    /// Sets any member of the part.
    #[must_use]
    pub fn extra(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// The kind: `text`, `image_url`, `input_audio`, `file`, `refusal`, …; empty where the part names none.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// The text of a text part.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if self.kind() != "text" {
            return None;
        }
        self.get("text").and_then(Value::as_str)
    }

    /// Any member of the part.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }
}
