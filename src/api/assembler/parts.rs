//! Content that comes as a list of parts.

use std::borrow::Cow;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::api::lenient::{Budget, Member, Object, Said, Wtf8, read_object};

/// One part of a message's content.
pub(super) enum Part<'a> {
    Text(Wtf8<'a>),
    Refusal(Cow<'a, str>),
    /// Thinking, an image, or something that is not known.
    Other(&'a RawValue),
}

impl<'a> Part<'a> {
    pub(super) fn read(part: &'a RawValue, budget: &'a Budget) -> Self {
        if let Ok(text) = serde_json::from_str(part.get()) {
            return Part::Text(text);
        }
        let mut members = Members {
            budget,
            kind: None,
            text: Said::Nothing,
            refusal: Said::Nothing,
        };
        if read_object(part.get(), &mut members).is_err() {
            return Part::Other(part);
        }
        let Members {
            kind, text, refusal, ..
        } = members;
        let is_kind = |known: &[&str]| kind.as_deref().is_none_or(|kind| known.contains(&kind));
        match (text, refusal) {
            (Said::Text(text), _) if is_kind(&["text", "output_text"]) => Part::Text(text),
            (_, Said::Text(text)) if is_kind(&["refusal"]) => Part::Refusal(text.into_text()),
            _ => Part::Other(part),
        }
    }
}

struct Members<'a> {
    budget: &'a Budget,
    kind: Option<Cow<'a, str>>,
    text: Said<'a>,
    refusal: Said<'a>,
}

impl<'a> Object<'a> for Members<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        match key {
            "type" => self.kind = value.word()?,
            "text" => self.text = value.said(self.budget)?,
            "refusal" => self.refusal = value.said(self.budget)?,
            _ => value.skip()?,
        }
        Ok(())
    }
}
