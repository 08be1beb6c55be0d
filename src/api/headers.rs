//! HTTP headers as sent and received.

use std::borrow::Cow;
use std::fmt;

use ureq::http::header::CONTENT_TYPE;
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use super::error_object::one_line;
use super::withheld::secrets_of_header;

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

/// Longest value shown, in characters.
const SHOWN: usize = 300;

/// Longest name shown, in characters.
const NAME_SHOWN: usize = 80;

/// Headers that frame a message, say what its body is, name its destination, or that only the HTTP client can honour.
const FRAMING: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that the library fills in from a deployment's `api_key`.
const CREDENTIALS: [&str; 2] = ["api-key", "authorization"];

/// Most bytes of one header, name and value together: it has to leave in one piece, and most services and gateways take
/// 8 to 16 KiB.
pub(crate) const MAX_HEADER: usize = 12_000;

/// Most bytes of all headers that one request brings, or one deployment adds: the usual limit of a whole head.
pub(crate) const MAX_HEADERS: usize = 32 * 1024;

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|one| one.eq_ignore_ascii_case(name))
}

/// Whether a header is the library's to set, or a deployment's, and never a request's: it would break the framing, or
/// prove who sends to a deployment that the proof was not meant for.
pub(crate) fn is_reserved(name: &str) -> bool {
    is_one_of(&FRAMING, name) || is_one_of(&CREDENTIALS, name) || name.eq_ignore_ascii_case("cookie")
}

/// Whether a deployment may bring a header of this name: a credential only where it has no key that makes one.
pub(crate) fn deployment_may_set(name: &str, has_key: bool) -> bool {
    let is_the_keys = has_key && is_one_of(&CREDENTIALS, name);
    !is_one_of(&FRAMING, name) && !is_the_keys
}

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
        let shown = || one_line(name, NAME_SHOWN);
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{:?} is no header name", shown()))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            format!(
                "the value of header {:?} holds characters that no header may hold",
                shown()
            )
        })?;
        value.set_sensitive(is_secret || HIDDEN.contains(&key.as_str()));
        self.0.append(key, value);
        Ok(())
    }

    /// The first value of that name, where it is text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    /// What is too large about these headers to be sent, if anything.
    pub(crate) fn excess(&self) -> Option<String> {
        const LINE: usize = ": \r\n".len();
        let mut all = 0;
        for (name, value) in &self.0 {
            let bytes = name.as_str().len() + value.len();
            if bytes > MAX_HEADER {
                let name = one_line(name.as_str(), NAME_SHOWN);
                return Some(format!(
                    "header {name:?} has {bytes} bytes, name and value together, of which {MAX_HEADER} can be sent"
                ));
            }
            all += bytes + LINE;
        }
        (all > MAX_HEADERS)
            .then(|| format!("the headers have {all} bytes together, of which {MAX_HEADERS} can be sent"))
    }

    /// Name and value of each header; values that are not text are left out.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
    }

    /// The first ones, as long as all that they take is within `most` bytes.
    pub(crate) fn first(&self, most: usize) -> Self {
        // What the map takes for each, beside its texts.
        const ENTRY: usize = 64;
        let mut left = most;
        let mut first = HeaderMap::new();
        for (name, value) in &self.0 {
            let Some(rest) = left.checked_sub(ENTRY + name.as_str().len() + value.len()) else {
                break;
            };
            left = rest;
            first.append(name.clone(), value.clone());
        }
        Headers(first)
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

    /// Those that a request may bring, and its content type, which the library itself has put here. The rest was refused
    /// where the request was made; should any get here, it goes no further.
    pub(crate) fn sendable(&self) -> Cow<'_, Headers> {
        let may_go = |name: &HeaderName| *name == CONTENT_TYPE || !is_reserved(name.as_str());
        if self.0.keys().all(may_go) {
            return Cow::Borrowed(self);
        }
        let mut map = HeaderMap::new();
        for (name, value) in self.0.iter().filter(|(name, _)| may_go(name)) {
            map.append(name, value.clone());
        }
        Cow::Owned(Headers(map))
    }

    /// Keeps the headers of these names.
    pub(crate) fn retain_names(&mut self, keep: impl Fn(&str) -> bool) {
        let dropped: Vec<_> = self.0.keys().filter(|name| !keep(name.as_str())).cloned().collect();
        for name in dropped {
            self.0.remove(name);
        }
    }

    /// Replaces each value for which `change` has another one; what is no header value is not taken.
    pub(crate) fn change_values(&mut self, change: impl Fn(&[u8]) -> Option<Vec<u8>>) {
        for value in self.0.values_mut() {
            if let Some(Ok(mut other)) = change(value.as_bytes()).map(HeaderValue::try_from) {
                other.set_sensitive(value.is_sensitive());
                *value = other;
            }
        }
    }

    /// What must not show of those values that never show.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = String> {
        let hidden = self.0.iter().filter(|(_, value)| value.is_sensitive());
        let texts = hidden.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        texts.flat_map(|(name, value)| secrets_of_header(name, value))
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
            let value = match value.to_str() {
                _ if hidden => "(hidden)".to_owned(),
                Ok(text) => one_line(text, SHOWN),
                Err(_) => "(not text)".to_owned(),
            };
            (name.as_str(), value)
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
    fn what_is_reserved_is_left_out_in_any_case_but_for_the_content_type() {
        let mut headers = Headers::new();
        for name in FRAMING.iter().chain(&CREDENTIALS).chain(&["Cookie", "x-a", "x-a"]) {
            headers.insert(&name.to_uppercase(), "v").unwrap();
        }
        let sendable = headers.sendable();
        let mut names: Vec<_> = sendable.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "x-a", "x-a"]);
    }

    #[test]
    fn a_deployment_may_bring_a_credential_only_where_it_has_no_key() {
        for (name, with_key, without) in [
            ("Authorization", false, true),
            ("api-key", false, true),
            ("HOST", false, false),
            ("content-type", false, false),
            ("cookie", true, true),
            ("user-agent", true, true),
        ] {
            assert_eq!(deployment_may_set(name, true), with_key, "{name}");
            assert_eq!(deployment_may_set(name, false), without, "{name}");
        }
    }

    #[test]
    fn headers_are_bounded_each_and_together() {
        let excess = |lines: &[(&str, usize)]| {
            let mut headers = Headers::new();
            for (name, length) in lines {
                headers.insert(name, &"v".repeat(*length)).unwrap();
            }
            headers.excess()
        };
        assert_eq!(excess(&[("x-a", MAX_HEADER - 3)]), None);
        assert_eq!(excess(&[("x-a", 11_000), ("x-b", 11_000), ("x-c", 10_000)]), None);
        let one = excess(&[("x-b", 1), ("x-a", MAX_HEADER - 2)]).unwrap();
        assert_eq!(
            one,
            "header \"x-a\" has 12001 bytes, name and value together, of which 12000 can be sent"
        );
        let all = excess(&[("x-a", 11_000), ("x-b", 11_000), ("x-c", 11_000)]).unwrap();
        assert_eq!(all, "the headers have 33021 bytes together, of which 32768 can be sent");
        let name = "n".repeat(20_000);
        assert!(excess(&[(&name, 0)]).unwrap().len() < 200);
        // Nothing is so small that any number of it can be sent.
        assert!(excess(&vec![("x", 0); 7_000]).is_some());
    }

    #[test]
    fn a_value_that_would_split_the_head_is_refused() {
        assert!(Headers::new().insert("x-a", "b\r\nx-c: d").is_err());
        assert!(Headers::new().insert("x a", "b").is_err());
    }
}
