//! The HTTP proxy that connections go through.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{env, url};

/// A proxy's URL, e.g. `http://proxy.example:8080`; user name and password, where it has them, never show.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Box<str>);

impl ProxyUrl {
    /// The proxy at that URL, which [`BlasterConfig::validate`](super::BlasterConfig::validate) looks at.
    pub fn new(url: impl Into<Box<str>>) -> Self {
        ProxyUrl(url.into())
    }

    /// The whole URL; for the one place that connects.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ProxyUrl {
    fn from(url: &str) -> Self {
        ProxyUrl::new(url)
    }
}

impl From<String> for ProxyUrl {
    fn from(url: String) -> Self {
        ProxyUrl::new(url)
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&url::shown(&self.0))
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

impl Serialize for ProxyUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&env::escape(&self.to_string()))
    }
}
