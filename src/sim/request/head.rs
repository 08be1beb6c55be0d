//! The headers of a request that mean something to the service.

/// Most headers beside the usual ones; more are answered 431. Source: Microsoft, "Quotas and limits".
pub(crate) const MAX_CUSTOM_HEADERS: usize = 10;

/// The headers of a request that mean something to the service.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head<'a> {
    pub(crate) api_key: Option<&'a str>,
    /// What follows `Bearer `; empty for another scheme.
    pub(crate) bearer: Option<&'a str>,
    /// `x-ms-client-request-id`, which is echoed.
    pub(crate) client_request_id: Option<&'a str>,
    /// `x-ms-spillover-deployment`
    pub(crate) spillover: Option<&'a str>,
    /// How many headers are none of those that every client sends.
    pub(crate) custom: usize,
}

impl<'a> Head<'a> {
    /// Reads headers whose names are in lower case.
    pub(crate) fn read(headers: &'a [(String, String)]) -> Self {
        let mut head = Head::default();
        for (name, value) in headers {
            match name.as_str() {
                "api-key" => head.api_key = Some(value),
                "authorization" => {
                    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
                    let bearer = scheme.eq_ignore_ascii_case("bearer");
                    head.bearer = Some(if bearer { token.trim() } else { "" });
                }
                "x-ms-client-request-id" => head.client_request_id = Some(value),
                "x-ms-spillover-deployment" => head.spillover = Some(value),
                "accept" | "accept-encoding" | "accept-language" | "cache-control" | "connection"
                | "content-length" | "content-type" | "cookie" | "expect" | "host" | "te" | "traceparent"
                | "tracestate" | "transfer-encoding" | "user-agent" | "via" => {}
                // Official clients tell of themselves in eight headers or more.
                own if own.starts_with("x-stainless-") => {}
                _ => head.custom += 1,
            }
        }
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_headers_and_credentials_are_not_custom() {
        let headers = [
            ("host", "x"),
            ("authorization", "bearer  abc"),
            ("api-key", "k"),
            ("x-mine", "1"),
            ("x-stainless-lang", "python"),
            ("x-ms-client-request-id", "r"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let head = Head::read(&headers);
        assert_eq!(head.custom, 1);
        assert_eq!(head.bearer, Some("abc"));
        assert_eq!(head.api_key, Some("k"));
        assert_eq!(head.client_request_id, Some("r"));
        let basic = [("authorization".to_owned(), "Basic abc".to_owned())];
        assert_eq!(Head::read(&basic).bearer, Some(""));
    }
}
