//! A chat request from its JSON, as the lines of a batch file hold it.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::ChatRequest;

/// Reads the JSON object that the API takes: `messages`, and any other members, known to this library or not.
///
/// `model` says where the request may go, as [`ChatRequest::model`] does, and `stream` is [`ChatRequest::stream`];
/// all else is sent as it stands, unless it is set anew by a method or by [`extra`](ChatRequest::extra), which then counts.
/// Only JSON is read (by `serde_json`), since members are kept as they are written.
///
/// ```
/// use azure_openai_blaster::ChatRequest;
///
/// let line = r#"{"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.1}"#;
/// let request: ChatRequest = serde_json::from_str(line)?;
/// assert!(request.temperature(0.2).check().is_ok());
/// # Ok::<(), serde_json::Error>(())
/// ```
impl<'de> Deserialize<'de> for ChatRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RequestVisitor)
    }
}

struct RequestVisitor;

impl<'de> Visitor<'de> for RequestVisitor {
    type Value = ChatRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chat request: an object with `messages`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ChatRequest, A::Error> {
        let mut request = ChatRequest::new([]);
        let (mut messages, mut model, mut stream) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "messages" => once(&mut messages, &key, map.next_value()?)?,
                "model" => once(&mut model, &key, map.next_value::<Option<String>>()?)?,
                "stream" => once(&mut stream, &key, map.next_value::<Option<bool>>()?)?,
                _ => {
                    let value: Box<RawValue> = map.next_value()?;
                    if !request.members.read(&key, value) {
                        return Err(twice(&key));
                    }
                }
            }
        }
        request.messages = messages.ok_or_else(|| de::Error::missing_field("messages"))?;
        if let Some(model) = model.flatten() {
            request = request.model(model);
        }
        Ok(request.stream(stream.flatten().unwrap_or(false)))
    }
}

fn once<T, E: de::Error>(place: &mut Option<T>, key: &str, value: T) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(twice(key)),
    }
}

fn twice<E: de::Error>(key: &str) -> E {
    E::custom(format_args!("`{}` is given twice", key.escape_debug()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::api::ChatRequest;
    use crate::api::body::Defaults;
    use crate::error::RequestError;

    fn wire(request: &ChatRequest) -> Result<String, RequestError> {
        let mut out = Vec::new();
        request.prepare()?.body.render(None, Defaults::default(), &mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    fn read(text: &str) -> Result<ChatRequest, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn what_is_read_is_sent_as_it_stands_but_for_the_model() {
        let text = r#"{"messages":[{"role":"user","content":"hi","name":"ada"}],"z":{"b":1.50,"a":[null]},"temperature":1e-1}"#;
        assert_eq!(wire(&read(text).unwrap()).unwrap(), text);
        let with_model = read(&text.replacen('{', r#"{"model":"gpt-4o","#, 1)).unwrap();
        assert_eq!(wire(&with_model).unwrap(), text);
        assert_eq!(with_model.prepare().unwrap().options.model.as_deref(), Some("gpt-4o"));
        let stream =
            read(r#"{"stream": true, "model": null, "messages": [{"role": "user", "content": "hi"}]}"#).unwrap();
        assert!(stream.prepare().unwrap().body.is_stream());
        let tree: Value = serde_json::from_str(text).unwrap();
        let from_tree: ChatRequest = serde_json::from_value(tree.clone()).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&wire(&from_tree).unwrap()).unwrap(), tree);
    }

    #[test]
    fn what_is_set_after_reading_counts() {
        let request =
            read(r#"{"messages": [{"role": "user", "content": "hi"}], "temperature": 1, "x": 1, "stop": "a"}"#);
        let request = request
            .unwrap()
            .temperature(0.5)
            .extra("x", 2)
            .extra("stop", json!(["b"]));
        let found: Value = serde_json::from_str(&wire(&request).unwrap()).unwrap();
        assert_eq!(
            found,
            json!({"messages": [{"role": "user", "content": "hi"}], "temperature": 0.5, "x": 2, "stop": ["b"]})
        );
        let clash = request.stop(["c"]).check().unwrap_err();
        assert_eq!(clash, RequestError::Clash { key: "stop".to_owned() });
    }

    #[test]
    fn what_is_no_request_is_told_with_its_place() {
        let rows = [
            ("[]", "expected a chat request: an object with `messages`"),
            ("{}", "missing field `messages`"),
            (r#"{"messages": "hi"}"#, "invalid type: string"),
            (r#"{"messages": [], "messages": []}"#, "`messages` is given twice"),
            (r#"{"messages": [], "x": 1, "\u0078": 2}"#, "`x` is given twice"),
            (r#"{"messages": [], "model": 4}"#, "expected a string"),
            (r#"{"messages": [], "stream": "yes"}"#, "expected a boolean"),
            (r#"{"messages": [{"content": "hi"}]}"#, "missing field `role`"),
        ];
        for (text, part) in rows {
            let error = read(text).unwrap_err().to_string();
            assert!(
                error.contains(part) && error.contains("line 1 column"),
                "{text}: {error}"
            );
        }
        let empty = read(r#"{"messages": []}"#).unwrap();
        assert_eq!(empty.check().unwrap_err(), RequestError::NoMessages);
    }

    #[test]
    fn the_prompts_that_come_with_the_examples_are_requests() {
        let mut lines = 0;
        for line in include_str!("../../../examples/prompts.jsonl").lines() {
            let request = read(line).unwrap();
            let sent: Value = serde_json::from_str(&wire(&request).unwrap()).unwrap();
            assert_eq!(sent, serde_json::from_str::<Value>(line).unwrap(), "{line}");
            lines += 1;
        }
        assert!(lines > 100, "{lines}");
    }
}
