//! Which proxy leads to a service: the configured one or, where none is, that of the environment, which is read as curl does.
//!
//! | variables, the first that is set | lead to endpoints of |
//! |---|---|
//! | `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY` | `https://` |
//! | `http_proxy`, `all_proxy`, `ALL_PROXY` | `http://` |
//!
//! Hosts that `no_proxy` or `NO_PROXY` [lists](super::no_proxy) are reached without. An empty variable counts as not set.
//! `HTTP_PROXY` in capitals is not read, for any client of a CGI program can set it. A proxy that cannot be used is an error
//! where it would be: to go without it is to go where none may. This machine itself is never reached through a proxy.

use std::ffi::OsString;

use ureq::http::StatusCode;
use ureq::{Proxy, ProxyProtocol};

use super::no_proxy::NoProxy;
use super::{WireError, WireSettings};
use crate::error::fault::FaultKind;
use crate::transport::Target;
use crate::transport::target::is_loopback;

/// The proxies that there are.
#[derive(Debug)]
pub(super) enum Proxies {
    /// The same for every endpoint, or none.
    Configured(Option<Proxy>),
    Environment(Environment),
}

/// What the environment says.
#[derive(Debug)]
pub(super) struct Environment {
    https: Option<Named>,
    http: Option<Named>,
    no_proxy: NoProxy,
    /// Set, and looked for by who expects a proxy where none is.
    http_variable: Option<&'static str>,
}

/// The proxy of a variable.
#[derive(Debug)]
struct Named {
    variable: &'static str,
    /// Or what is wrong with it.
    proxy: Result<Proxy, &'static str>,
}

/// How an endpoint is reached.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// None: directly.
    pub(super) proxy: Option<Proxy>,
    /// The variable that names the proxy.
    pub(super) variable: Option<&'static str>,
    /// What its user may not expect.
    pub(super) warning: Option<String>,
}

const NO_URL: &str = "must be the URL of an HTTP proxy, such as http://proxy.example:8080";
const SOCKS: &str = "names a SOCKS proxy, which is not supported; name an HTTP proxy there or in HTTPS_PROXY, or the hosts \
                     that need none in NO_PROXY";

impl Proxies {
    /// The proxies that these settings mean.
    ///
    /// # Errors
    /// Where the configured one is no URL of an HTTP proxy.
    pub(super) fn of(settings: &WireSettings) -> Result<Self, WireError> {
        match &settings.proxy {
            Some(url) => Proxies::configured(url),
            None => Ok(Proxies::of_environment(|name| std::env::var_os(name))),
        }
    }

    /// The proxy at `url`; an empty text means none.
    ///
    /// # Errors
    /// Where it is no URL of an HTTP proxy.
    pub(super) fn configured(url: &str) -> Result<Self, WireError> {
        let proxy = (!url.is_empty()).then(|| read(url)).transpose();
        Ok(Proxies::Configured(proxy.map_err(|_| WireError::Proxy)?))
    }

    /// The proxies that the variables name which `get` finds.
    pub(super) fn of_environment(get: impl Fn(&str) -> Option<OsString>) -> Self {
        let first = |names: &[&'static str]| {
            let set = names.iter().map(|&name| (name, get(name).unwrap_or_default()));
            let mut set = set.filter(|(_, value)| !value.is_empty());
            set.next()
        };
        let proxy = |names: &[&'static str]| {
            let (variable, value) = first(names)?;
            let proxy = value.to_str().ok_or(NO_URL).and_then(|url| read(url.trim()));
            Some(Named { variable, proxy })
        };
        let no_proxy = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default().1;
        Proxies::Environment(Environment {
            https: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            http: proxy(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            no_proxy: NoProxy::read(&no_proxy.to_string_lossy()),
            http_variable: first(&["http_proxy", "HTTP_PROXY"]).map(|(name, _)| name),
        })
    }

    /// How `target` is reached.
    ///
    /// # Errors
    /// Where the proxy that it would be reached through cannot be used.
    pub(super) fn way_to(&self, target: &Target) -> Result<Way, WireError> {
        match self {
            _ if is_loopback(target.host()) => Ok(Way::default()),
            Proxies::Configured(proxy) => Ok(Way {
                proxy: proxy.clone(),
                ..Way::default()
            }),
            Proxies::Environment(environment) => environment.way_to(target),
        }
    }
}

impl Environment {
    fn way_to(&self, target: &Target) -> Result<Way, WireError> {
        if self.no_proxy.lists(target.host()) {
            return Ok(Way::default());
        }
        let named = if target.is_https() { &self.https } else { &self.http };
        let Some(Named { variable, proxy }) = named else {
            return Ok(Way {
                warning: self.http_variable.map(|variable| unused(variable, target.is_https())),
                ..Way::default()
            });
        };
        match proxy {
            Ok(proxy) => Ok(Way {
                proxy: Some(proxy.clone()),
                variable: Some(variable),
                warning: None,
            }),
            Err(problem) => Err(WireError::Environment { variable, problem }),
        }
    }
}

/// What is said where the proxy in `variable` is not used.
fn unused(variable: &str, is_https: bool) -> String {
    if is_https {
        format!(
            "{variable} is for http:// endpoints alone; https:// ones are reached directly, for neither HTTPS_PROXY nor \
             ALL_PROXY is set"
        )
    } else {
        format!("{variable} is not read in capitals, for any client of a CGI program can set it; set http_proxy")
    }
}

/// What it means that a proxy answers `CONNECT` with `status`, which is no success.
///
/// | status | means |
/// |---|---|
/// | 408, 429, 5xx | it could not reach the service, or not now |
/// | 407, other 4xx | it lets nobody through who asks like this: asking again is in vain |
pub(super) fn refusal(status: u16) -> (FaultKind, String) {
    let name = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    let kind = match status {
        408 | 429 => FaultKind::Connect,
        400..=499 => FaultKind::ProxyRefused,
        _ => FaultKind::Connect,
    };
    (
        kind,
        format!("it answered {status} {}", name.unwrap_or_default())
            .trim_end()
            .to_owned(),
    )
}

/// The HTTP proxy at `url`, whose scheme may be left out.
fn read(url: &str) -> Result<Proxy, &'static str> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if scheme.get(..5).is_some_and(|begin| begin.eq_ignore_ascii_case("socks")) {
        return Err(SOCKS);
    }
    let proxy = Proxy::new(url).map_err(|_| NO_URL)?;
    let is_http = matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https);
    let is_place = proxy.uri().authority().is_some_and(|authority| {
        // `host:` and `host:99999` pass as an authority, but lead nowhere.
        let place = authority.as_str().rsplit('@').next();
        let names_port = place != Some(authority.host());
        !authority.host().is_empty() && (!names_port || authority.port_u16().is_some_and(|port| port > 0))
    });
    if is_http && is_place { Ok(proxy) } else { Err(NO_URL) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kind::Kind;

    const HTTPS: &str = "https://service.example";
    const HTTP: &str = "http://service.example";

    /// The way to `endpoint` in an environment of such variables: the proxy's URL and its variable, or what is said.
    fn way(variables: &[(&str, &str)], endpoint: &str) -> Result<Way, String> {
        let get = |name: &str| {
            let mut found = variables.iter().filter(|(own, _)| *own == name);
            found.next().map(|(_, value)| OsString::from(value))
        };
        let target = Target::new(Kind::OpenAi, endpoint, "m", "v1").unwrap();
        let way = Proxies::of_environment(get).way_to(&target);
        way.map_err(|error| error.to_string())
    }

    fn through(variables: &[(&str, &str)], endpoint: &str, variable: &str, proxy: &str) {
        let way = way(variables, endpoint).unwrap();
        let found = way.proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
        assert_eq!(
            (found.as_deref(), way.variable),
            (Some(proxy), Some(variable)),
            "{variables:?}"
        );
        assert_eq!(way.warning, None);
    }

    fn direct(variables: &[(&str, &str)], endpoint: &str, warning: &str) {
        let way = way(variables, endpoint).unwrap();
        assert!(way.proxy.is_none() && way.variable.is_none(), "{variables:?}: {way:?}");
        let said = way.warning.unwrap_or_default();
        assert!(
            said.contains(warning) && said.is_empty() == warning.is_empty(),
            "{said}"
        );
    }

    fn refused(variables: &[(&str, &str)], words: &str) {
        let said = way(variables, HTTPS).unwrap_err();
        assert!(
            said.contains(words) && !said.contains("canary"),
            "{variables:?}: {said}"
        );
    }

    #[test]
    fn the_specific_variable_goes_before_the_general_and_small_letters_before_capitals() {
        const ALL: [(&str, &str); 6] = [
            ("ALL_PROXY", "http://a:1"),
            ("all_proxy", "http://b:2"),
            ("HTTPS_PROXY", "http://c:3"),
            ("https_proxy", "http://d:4"),
            ("HTTP_PROXY", "http://e:5"),
            ("http_proxy", "http://f:6"),
        ];
        through(&ALL, HTTPS, "https_proxy", "d:4");
        through(&ALL[..3], HTTPS, "HTTPS_PROXY", "c:3");
        through(&ALL[..2], HTTPS, "all_proxy", "b:2");
        through(&ALL[..1], HTTPS, "ALL_PROXY", "a:1");
        through(&ALL, HTTP, "http_proxy", "f:6");
        through(&ALL[..5], HTTP, "all_proxy", "b:2");
        through(
            &[("https_proxy", ""), ("HTTPS_PROXY", "http://c:3")],
            HTTPS,
            "HTTPS_PROXY",
            "c:3",
        );
        direct(&[], HTTPS, "");
        direct(&[("HTTPS_PROXY", ""), ("ALL_PROXY", "")], HTTPS, "");
    }

    #[test]
    fn a_socks_proxy_is_an_error_where_it_would_be_used_and_only_there() {
        for url in [
            "socks5://s:1080",
            "socks5h://u:canary@s:1080",
            "SOCKS4://s",
            "socks4a://s:1",
            "socks://s",
        ] {
            refused(&[("ALL_PROXY", url)], "ALL_PROXY names a SOCKS proxy");
            refused(
                &[("https_proxy", url), ("HTTPS_PROXY", "http://c:3")],
                "https_proxy names a SOCKS proxy",
            );
            through(
                &[("ALL_PROXY", url), ("HTTPS_PROXY", "http://c:3")],
                HTTPS,
                "HTTPS_PROXY",
                "c:3",
            );
            direct(&[("ALL_PROXY", url), ("NO_PROXY", "example")], HTTPS, "");
            direct(&[("ALL_PROXY", url)], "https://127.0.0.1:1", "");
        }
    }

    #[test]
    fn what_is_no_url_of_a_proxy_is_an_error_that_does_not_repeat_it() {
        for url in [
            "ftp://canary:1",
            "http://",
            "http://u:canary@",
            "http://canary:99999",
            "http://canary:0",
            "http://canary:",
            "://canary",
            "http://can ary:1",
        ] {
            refused(
                &[("HTTPS_PROXY", url), ("ALL_PROXY", "http://a:1")],
                "HTTPS_PROXY must be the URL",
            );
        }
    }

    #[test]
    fn a_scheme_and_a_port_may_be_left_out() {
        for (url, proxy) in [
            ("proxy.example:3128", "proxy.example:3128"),
            ("http://proxy.example", "proxy.example:80"),
            ("https://proxy.example", "proxy.example:443"),
            (" http://proxy.example:3128/ ", "proxy.example:3128"),
            ("http://user:p%40ss@proxy.example:3128", "proxy.example:3128"),
            ("http://[2001:db8::1]:3128", "[2001:db8::1]:3128"),
        ] {
            through(&[("HTTPS_PROXY", url)], HTTPS, "HTTPS_PROXY", proxy);
        }
    }

    #[test]
    fn hosts_that_need_no_proxy_and_this_machine_are_reached_directly() {
        let with = |no_proxy| [("HTTPS_PROXY", "http://c:3"), ("NO_PROXY", no_proxy)];
        direct(&with("example"), HTTPS, "");
        direct(&with("*"), HTTPS, "");
        direct(&with("10.0.0.0/8"), "https://10.1.2.3:8443", "");
        direct(&with("2001:db8::/32"), "https://[2001:db8::1]", "");
        direct(&with(""), "https://localhost:1", "");
        through(&with("other.example"), HTTPS, "HTTPS_PROXY", "c:3");
        let both = [
            ("HTTPS_PROXY", "http://c:3"),
            ("NO_PROXY", "example"),
            ("no_proxy", "other.example"),
        ];
        through(&both, HTTPS, "HTTPS_PROXY", "c:3");
    }

    #[test]
    fn a_variable_that_leads_nowhere_is_warned_of() {
        direct(
            &[("HTTP_PROXY", "http://e:5")],
            HTTPS,
            "HTTP_PROXY is for http:// endpoints alone",
        );
        direct(
            &[("http_proxy", "http://f:6")],
            HTTPS,
            "http_proxy is for http:// endpoints alone",
        );
        direct(
            &[("HTTP_PROXY", "http://e:5")],
            HTTP,
            "HTTP_PROXY is not read in capitals",
        );
        direct(&[("HTTP_PROXY", "http://e:5"), ("NO_PROXY", "example")], HTTPS, "");
    }

    #[test]
    fn a_proxy_that_could_do_better_later_is_told_from_one_that_will_not() {
        for status in [400, 401, 403, 404, 405, 407, 410, 451] {
            assert_eq!(refusal(status).0, FaultKind::ProxyRefused, "{status}");
        }
        for status in [101, 204, 302, 408, 429, 500, 502, 503, 504, 599, 999] {
            assert_eq!(refusal(status).0, FaultKind::Connect, "{status}");
        }
        assert_eq!(refusal(407).1, "it answered 407 Proxy Authentication Required");
        assert_eq!(refusal(599).1, "it answered 599");
    }

    #[test]
    fn a_configured_proxy_counts_whatever_the_environment_says() {
        let target = |endpoint| Target::new(Kind::OpenAi, endpoint, "m", "v1").unwrap();
        let way = |url, endpoint| Proxies::configured(url).unwrap().way_to(&target(endpoint)).unwrap();
        for endpoint in [HTTP, HTTPS] {
            assert_eq!(way("http://p:1", endpoint).proxy.unwrap().port(), 1);
            assert!(way("", endpoint).proxy.is_none());
        }
        assert!(way("http://p:1", "http://[::1]:8080").proxy.is_none());
        for wrong in ["socks5://s:1", "http://", "ftp://x"] {
            assert!(Proxies::configured(wrong).is_err(), "{wrong}");
        }
    }
}
