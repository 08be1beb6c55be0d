//! HTTP headers as sent and received.

use std::fmt;

use ureq::http::{HeaderMap, HeaderName, HeaderValue};

/// HTTP headers; names are compared without regard to case.
///
/// Values that carry credentials (`api-key`, `authorization`, cookies) or may repeat them (`location`) are hidden by
/// `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

/// Names whose value never shows.
const HIDDEN: [&str; 7] = [
    "api-key",
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    // Its query may hold anything that was sent.
    "location",
    "ocp-apim-subscription-key",
];

impl Headers {
    /// No headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header, beside any of the same name.
    ///
    /// # Errors
    /// A message (which does not repeat the value) where name or value cannot stand in an HTTP head.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.add(name, value, false)
    }

    /// [`Headers::insert`] of a value that never shows, whatever its name.
    pub(crate) fn insert_secret(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.add(name, value, true)
    }

    fn add(&mut self, name: &str, value: &str, is_secret: bool) -> Result<(), String> {
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no header name"))?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| format!("the value of header {name:?} holds characters that no header may hold"))?;
        value.set_sensitive(is_secret || HIDDEN.contains(&key.as_str()));
        self.0.append(key, value);
        Ok(())
    }

    /// The first value of that name, where it is text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    /// Name and value of each header; values that are not text are left out.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
    }

    /// How many headers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The map that the HTTP client works with.
    pub(crate) fn as_map(&self) -> &HeaderMap {
        &self.0
    }
}

impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Self {
        Headers(map)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| {
            let hidden = value.is_sensitive() || HIDDEN.contains(&name.as_str());
            (
                name.as_str(),
                if hidden {
                    "(hidden)"
                } else {
                    value.to_str().unwrap_or("(not text)")
                },
            )
        });
        f.debug_map().entries(shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_credential() {
        let mut headers = Headers::new();
        headers.insert("Api-Key", "canary-1").unwrap();
        headers.insert("Authorization", "Bearer canary-2").unwrap();
        headers.insert("x-ms-region", "Sweden Central").unwrap();
        headers.insert_secret("x-gateway", "canary-3").unwrap();
        let shown = format!("{headers:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("Sweden Central"), "{shown}");
    }

    #[test]
    fn a_value_that_would_split_the_head_is_refused() {
        assert!(Headers::new().insert("x-a", "b\r\nx-c: d").is_err());
        assert!(Headers::new().insert("x a", "b").is_err());
    }
}
