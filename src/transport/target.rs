//! Where a deployment is asked: URLs, from text to text.
//!
//! ```text
//! dated     {base}/openai/deployments/{deployment}/chat/completions?api-version=2024-10-21
//!           {base}/openai/responses?api-version=2025-03-01-preview
//! v1        {base}/openai/v1/chat/completions
//! openai    {base}/chat/completions
//! ```
//! Source: the service's REST reference and the official Python SDK (`lib/azure.py` and its tests).

use std::fmt::Write as _;
use std::net::IpAddr;

use ureq::http::Uri;

use super::place::{self, Place};
use crate::api::Operation;
use crate::api::kind::Kind;

/// The place of one deployment: gives the URL of each operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Scheme, host, port and path prefix, without a slash at the end.
    base: String,
    host: String,
    surface: Surface,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Surface {
    /// `/openai/deployments/…?api-version=…`; the deployment is percent-encoded.
    Dated { deployment: String, api_version: String },
    /// `/openai/v1/…`; the deployment is `model` in the body.
    V1,
    /// Straight below the base.
    OpenAi,
}

/// The `api_version` that selects the `/openai/v1/` surface.
pub(crate) const V1: &str = "v1";

/// Operations that the dated surface serves below `/deployments/{deployment}/`; it serves all others (`responses`,
/// `files`, `batches`, `models`, …) below `/openai/`, and takes the deployment from the body.
const PER_DEPLOYMENT: [&str; 6] = ["chat", "completions", "embeddings", "audio", "images", "extensions"];

impl Target {
    /// The place of `deployment` on the service at `base`.
    ///
    /// `base` is `http://` or `https://`, a host, and optionally a port and a path prefix: a resource
    /// (`https://x.openai.azure.com`), a Foundry project (`https://x.services.ai.azure.com/api/projects/p`), or a
    /// gateway; [`Place`] tells what else is understood. An `/openai` or `/openai/v1` at its end is not repeated;
    /// `/openai/v1` there selects that surface whatever `api_version` says. For [`Kind::OpenAi`] requests go straight
    /// below the base, and `deployment` and `api_version` are not used.
    ///
    /// `api_version` is `v1`, or a dated version such as `2024-10-21` or `2025-01-01-preview`.
    ///
    /// # Errors
    /// A message that names the value and what would be right. It repeats nothing, for a key may be in the wrong place.
    pub(crate) fn new(kind: Kind, base: &str, deployment: &str, api_version: &str) -> Result<Target, String> {
        let base = Place::of(kind, base)
            .map_err(|needed| format!("an endpoint must {needed}"))?
            .base;
        let host = host_of(&base)?;
        let base = base.as_str();
        let (base, surface) = match kind {
            Kind::OpenAi => (base, Surface::OpenAi),
            Kind::Azure => {
                let v1_base = place::v1_root(base);
                let root = v1_base.or_else(|| place::openai_root(base)).unwrap_or(base);
                let deployment = encoded(deployment)?;
                let surface = if v1_base.is_some() || api_version == V1 {
                    Surface::V1
                } else {
                    let api_version = dated(api_version)?.to_owned();
                    Surface::Dated {
                        deployment,
                        api_version,
                    }
                };
                (root.trim_end_matches('/'), surface)
            }
        };
        Ok(Target {
            base: base.to_owned(),
            host,
            surface,
        })
    }

    /// The URL of `operation`.
    #[must_use]
    pub(crate) fn url(&self, operation: &Operation) -> String {
        let (base, path) = (&self.base, operation.path());
        match &self.surface {
            Surface::OpenAi => format!("{base}/{path}"),
            Surface::V1 => format!("{base}/openai/v1/{path}"),
            Surface::Dated {
                deployment,
                api_version,
            } if is_per_deployment(path) => {
                format!("{base}/openai/deployments/{deployment}/{path}?api-version={api_version}")
            }
            Surface::Dated { api_version, .. } => format!("{base}/openai/{path}?api-version={api_version}"),
        }
    }

    /// Whether it is spoken to by TLS.
    #[must_use]
    pub(crate) fn is_https(&self) -> bool {
        let scheme = self.base.split(':').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case("https")
    }

    /// The host's name or address, without brackets.
    #[must_use]
    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}

/// Whether `host` (a name or an address, without brackets) is this machine: `localhost`, `127.0.0.0/8` or `::1`.
#[must_use]
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host of a base URL, after checking that the base is nothing more than a place.
pub(crate) fn host_of(base: &str) -> Result<String, String> {
    let wrong = || "an endpoint such as \"https://name.openai.azure.com\" is needed".to_owned();
    let uri: Uri = base.parse().map_err(|_| wrong())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong());
    }
    if uri.path().split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("an endpoint's path must not hold '.' or '..'".into());
    }
    let authority = uri.authority().ok_or_else(wrong)?;
    // `host:` and `host:99999` pass as an authority, but lead nowhere.
    if authority.as_str() != authority.host() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err("an endpoint's port must be 1..=65535".into());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(wrong());
    }
    Ok(host.to_owned())
}

/// `deployment` as one segment of a path: everything but unreserved characters, sub-delimiters, `:` and `@` is
/// percent-encoded (RFC 3986 §3.3, `pchar`).
fn encoded(deployment: &str) -> Result<String, String> {
    if matches!(deployment, "" | "." | "..") || deployment.chars().any(char::is_control) {
        return Err("model: the name of a deployment is needed, such as \"gpt-4o\"".into());
    }
    let mut path = String::with_capacity(deployment.len());
    for byte in deployment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            path.push(char::from(byte));
        } else {
            write!(path, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    Ok(path)
}

/// Checks a dated version: `YYYY-MM-DD`, with an optional suffix of letters, digits, '-' and '.', such as `-preview`.
pub(crate) fn dated(api_version: &str) -> Result<&str, String> {
    let (date, suffix) = api_version.split_at_checked(10).unwrap_or_default();
    let digits = |part: &str, count| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    let within = |part: &str, max: u8| part.parse().is_ok_and(|number| (1..=max).contains(&number));
    let is_date = match date.split('-').collect::<Vec<_>>()[..] {
        [year, month, day] => {
            digits(year, 4) && digits(month, 2) && digits(day, 2) && within(month, 12) && within(day, 31)
        }
        _ => false,
    };
    let is_suffix = |suffix: &str| {
        (2..=20).contains(&suffix.len()) && suffix.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
    };
    if is_date && (suffix.is_empty() || suffix.starts_with('-') && is_suffix(suffix)) {
        Ok(api_version)
    } else {
        Err("api_version: \"v1\" or a dated version is needed, such as \"2024-10-21\" or \"2025-01-01-preview\"".into())
    }
}

fn is_per_deployment(path: &str) -> bool {
    path.split('/')
        .next()
        .is_some_and(|first| PER_DEPLOYMENT.contains(&first))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATED: &str = "2025-01-01-preview";

    fn url(kind: Kind, base: &str, deployment: &str, api_version: &str, operation: &str) -> String {
        let operation = Operation::other(operation).unwrap();
        let target = Target::new(kind, base, deployment, api_version).unwrap();
        let url = target.url(&operation);
        assert!(url.parse::<Uri>().is_ok(), "{url} is no URI");
        url
    }

    #[test]
    fn each_surface_has_its_own_paths() {
        let check = |base, api_version, operation, wanted| {
            assert_eq!(url(Kind::Azure, base, "gpt", api_version, operation), wanted);
        };
        let host = "https://x.openai.azure.com";
        for operation in [
            "chat/completions",
            "completions",
            "embeddings",
            "audio/transcriptions",
            "audio/translations",
            "audio/speech",
            "images/generations",
            "images/edits",
        ] {
            let wanted = format!("{host}/openai/deployments/gpt/{operation}?api-version={DATED}");
            check(host, DATED, operation, wanted);
            check(host, V1, operation, format!("{host}/openai/v1/{operation}"));
        }
        for operation in ["responses", "models", "files", "batches", "responses/resp_1/cancel"] {
            check(
                host,
                DATED,
                operation,
                format!("{host}/openai/{operation}?api-version={DATED}"),
            );
            check(host, V1, operation, format!("{host}/openai/v1/{operation}"));
        }
    }

    #[test]
    fn a_base_is_joined_however_it_is_written() {
        let check = |base, api_version, wanted: &str| {
            assert_eq!(url(Kind::Azure, base, "d", api_version, "embeddings"), wanted, "{base}");
        };
        let dated = "https://x.openai.azure.com/openai/deployments/d/embeddings?api-version=2024-10-21";
        let v1 = "https://x.openai.azure.com/openai/v1/embeddings";
        for base in [
            "https://x.openai.azure.com",
            "https://x.openai.azure.com/",
            "https://x.openai.azure.com//",
        ] {
            check(base, "2024-10-21", dated);
            check(base, V1, v1);
        }
        check("https://x.openai.azure.com/openai", "2024-10-21", dated);
        check("https://x.openai.azure.com/openai/", V1, v1);
        check("https://x.openai.azure.com/openai/v1", V1, v1);
        check("https://x.openai.azure.com/openai/v1/", V1, v1);
        check("https://x.openai.azure.com/openai/v1/", "2024-10-21", v1);
        check(
            "https://x.services.ai.azure.com/api/projects/p",
            V1,
            "https://x.services.ai.azure.com/api/projects/p/openai/v1/embeddings",
        );
        check(
            "https://x.services.ai.azure.com/api/projects/p/openai/v1",
            V1,
            "https://x.services.ai.azure.com/api/projects/p/openai/v1/embeddings",
        );
        check(
            "https://gate.example:8443/a/b/",
            V1,
            "https://gate.example:8443/a/b/openai/v1/embeddings",
        );
        check("http://[::1]:9/", V1, "http://[::1]:9/openai/v1/embeddings");
    }

    #[test]
    fn an_openai_compatible_base_is_taken_as_it_is() {
        let check = |base, wanted: &str| assert_eq!(url(Kind::OpenAi, base, "m", DATED, "chat/completions"), wanted);
        check(
            "https://api.openai.com/v1",
            "https://api.openai.com/v1/chat/completions",
        );
        check(
            "https://api.openai.com/v1/",
            "https://api.openai.com/v1/chat/completions",
        );
        check("http://127.0.0.1:8000", "http://127.0.0.1:8000/chat/completions");
        check(
            "https://x.openai.azure.com/openai/v1",
            "https://x.openai.azure.com/openai/v1/chat/completions",
        );
    }

    /// Origin: the table in the Python SDK's `tests/lib/test_azure_deployment_path.py`.
    #[test]
    fn a_deployment_is_one_segment_of_the_path() {
        let check = |deployment, segment: &str| {
            assert_eq!(
                url(Kind::Azure, "https://h", deployment, "2024-10-21", "embeddings"),
                format!("https://h/openai/deployments/{segment}/embeddings?api-version=2024-10-21"),
            );
        };
        check("gpt-4o_mini.1~", "gpt-4o_mini.1~");
        check("a/b", "a%2Fb");
        check("../../models", "..%2F..%2Fmodels");
        check("a b", "a%20b");
        check("a#b", "a%23b");
        check("a?b=c", "a%3Fb=c");
        check("a%2Fb", "a%252Fb");
        check("%2e%2e", "%252e%252e");
        check("a\\b", "a%5Cb");
        check("!$&'()*+,;=:@", "!$&'()*+,;=:@");
        check("...", "...");
        check("ä", "%C3%A4");
        check("模型", "%E6%A8%A1%E5%9E%8B");
        check("a\"<>[]^`{|}b", "a%22%3C%3E%5B%5D%5E%60%7B%7C%7Db");
    }

    #[test]
    fn what_cannot_be_a_place_is_refused_and_says_what_would_be_right() {
        let check = |base: &str, deployment: &str, api_version: &str, hint: &str| {
            let message = Target::new(Kind::Azure, base, deployment, api_version).unwrap_err();
            assert!(
                message.contains(hint),
                "{base:?} {deployment:?} {api_version:?}: {message}"
            );
            assert!(!message.contains("canary"), "{message}");
        };
        let host = "https://h";
        for deployment in ["", ".", "..", "a\nb", "a\u{0}b"] {
            check(host, deployment, V1, "name of a deployment");
        }
        for version in [
            "",
            "V1",
            "v2",
            "preview",
            "latest",
            "2024-10",
            "2024-10-21&x=y",
            "2024-10-21 ",
            "20241021ab",
        ] {
            check(host, "d", version, "2024-10-21");
        }
        for base in [
            "",
            "h",
            "/openai",
            "ftp://h",
            "https://",
            "https:///x",
            "https://a b",
            "//h/x",
        ] {
            check(base, "d", V1, "https://name.openai.azure.com");
        }
        check("https://user:canary@h", "d", V1, "api_key");
        check("https://h?api-version=1", "d", V1, "api-version");
        check("https://h/#x", "d", V1, "`#`");
        check("https://h/a/../b", "d", V1, "'..'");
        for base in ["https://h:", "https://h:0", "https://h:99999", "https://h:x"] {
            check(base, "d", V1, "1..=65535");
        }
    }

    #[test]
    fn loopback_is_this_machine_and_nothing_that_looks_like_it() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "h",
            "localhost.example",
            "10.0.0.1",
            "::2",
            "0.0.0.0",
            "127.0.0.1.example",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
