//! The id under which the Responses API has stored an answer.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer as _, MapAccess};
use serde_json::value::RawValue;

use super::json::Text;

/// The id of a response that has come whole; none where it has none. Nothing behind it is read.
pub(crate) fn of_body(json: &[u8]) -> Option<Cow<'_, str>> {
    text(member(json, "id")?)
}

/// The id of the response that an event tells of.
pub(crate) fn of_event(data: &str) -> Option<Cow<'_, str>> {
    let response = member(data.as_bytes(), "response")?;
    of_body(response.get().as_bytes())
}

fn text(json: &RawValue) -> Option<Cow<'_, str>> {
    let Text(text) = serde_json::from_str(json.get()).ok()?;
    Some(text).filter(|text| !text.is_empty())
}

/// A member of the object that `json` is.
fn member<'a>(json: &'a [u8], key: &str) -> Option<&'a RawValue> {
    let mut found = None;
    let search = Search { key, found: &mut found };
    // Once it is found the reading is broken off, with an error that means nothing.
    let _ = serde_json::Deserializer::from_slice(json).deserialize_map(search);
    found
}

struct Search<'s, 'a> {
    key: &'s str,
    found: &'s mut Option<&'a RawValue>,
}

impl<'de> de::Visitor<'de> for Search<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            if key == self.key {
                *self.found = Some(map.next_value()?);
                return Ok(());
            }
            map.next_value::<de::IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_at_the_top_is_found_wherever_it_stands() {
        for (body, expected) in [
            (
                r#"{"id":"resp_1","object":"response","output":[{"id":"msg_1"}]}"#,
                Some("resp_1"),
            ),
            (
                r#"{"output":[{"id":"msg_1"}],"error":null, "id" : "resp_1"}"#,
                Some("resp_1"),
            ),
            (r#"{"id":"resp_1","output":[{"#, Some("resp_1")),
            (r#"{"output":[{"id":"msg_1"}],"text":"\"id\":\"resp_2\""}"#, None),
            (r#"{"id":null}"#, None),
            (r#"{"id":""}"#, None),
            (r#"[{"id":"resp_1"}]"#, None),
            ("", None),
        ] {
            assert_eq!(of_body(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn an_event_tells_the_id_of_its_response() {
        for (data, expected) in [
            (
                r#"{"type":"response.created","sequence_number":0,"response":{"object":"response","id":"resp_1"}}"#,
                Some("resp_1"),
            ),
            (
                r#"{"type":"response.output_item.added","item":{"id":"msg_1"},"id":"x"}"#,
                None,
            ),
            (r#"{"type":"response.failed","response":{"error":{"code":"x"}}}"#, None),
            ("[DONE]", None),
        ] {
            assert_eq!(of_event(data).as_deref(), expected, "{data}");
        }
    }
}
