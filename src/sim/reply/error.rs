//! Errors, word for word.

use std::borrow::Cow;

use super::quoted;
use crate::sim::config::SimOperation;

/// An error that is answered, but for 429 (see [`throttle`](super::throttle)).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ErrorReply {
    /// 400: the body is no JSON.
    BadJson,
    /// 400: a field is missing or makes no sense.
    Invalid {
        message: Cow<'static, str>,
        param: Option<&'static str>,
        code: Option<&'static str>,
    },
    /// 400: the prompt alone is too long.
    PromptTooLong { allowed: u64, prompt: u64 },
    /// 400: prompt and output limit together are too long.
    SumTooLong { allowed: u64, prompt: u64, output: u64 },
    /// 400: a reasoning model does not know this parameter.
    UnsupportedParameter { param: &'static str },
    /// 400: a reasoning model allows only the default of this parameter.
    UnsupportedValue {
        param: &'static str,
        got: f64,
        default: f64,
    },
    /// 400: both a `developer` and a `system` message, to a reasoning model.
    TwoSystems,
    /// 400: the prompt was blocked.
    ContentFilter,
    /// 400: the model does not know the operation.
    OperationNotSupported { operation: SimOperation, model: String },
    /// 400: an api-version that there never was.
    UnknownApiVersion,
    /// 400: an api-version on a surface that allows none.
    ApiVersionNotAllowed,
    /// 401: a wrong key, or none.
    WrongKey,
    /// 401: a wrong token; the audience that is wanted.
    WrongToken(Option<String>),
    /// 403: keys are disabled.
    KeysDisabled,
    /// 403: not from this network.
    Firewall,
    /// 404: no such deployment.
    DeploymentNotFound,
    /// 404: no such path, host or api-version.
    ResourceNotFound,
    /// 408
    Timeout,
    /// 431: too many headers.
    TooManyHeaders,
    /// 500
    Server,
    /// 502, from a gateway.
    Html502,
    /// 503, from a gateway.
    NoHealthyUpstream,
    /// Any other status; its wording is not established.
    Other(u16),
}

/// The page for 431.
const PAGE_431: &str = "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\"\"http://www.w3.org/TR/html4/strict.dtd\">\r\n\
    <HTML><HEAD><TITLE>Request Header Fields Too Large</TITLE>\r\n\
    <META HTTP-EQUIV=\"Content-Type\" Content=\"text/html; charset=us-ascii\"></HEAD>\r\n\
    <BODY><h2>Bad Request - Header Fields Too Large</h2>\r\n\
    <hr><p>HTTP Error 431. The size or number of the request headers is too large.</p>\r\n</BODY></HTML>\r\n";

/// The page for 502.
const PAGE_502: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>Microsoft-Azure-Application-Gateway/v2</center>\r\n\
    </body>\r\n</html>\r\n";

const CONTENT_FILTER: &str = concat!(
    r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "#,
    r#"Please modify your prompt and retry. To learn more about our content filtering policies please read our documentation: "#,
    r#"https://go.microsoft.com/fwlink/?linkid=2198766","type":null,"param":"prompt","code":"content_filter","status":400,"#,
    r#""innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":false,"severity":"safe"},"#,
    r#""jailbreak":{"filtered":true,"detected":true},"self_harm":{"filtered":false,"severity":"safe"},"#,
    r#""sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}}}}"#
);

impl ErrorReply {
    /// A field that is missing or makes no sense.
    pub(crate) fn invalid(
        message: impl Into<Cow<'static, str>>,
        param: Option<&'static str>,
        code: Option<&'static str>,
    ) -> Self {
        ErrorReply::Invalid {
            message: message.into(),
            param,
            code,
        }
    }

    /// A required field that is missing.
    pub(crate) fn missing(param: &'static str) -> Self {
        Self::invalid(
            format!("Missing required parameter: '{param}'."),
            Some(param),
            Some("missing_required_parameter"),
        )
    }

    /// A list that is too long.
    pub(crate) fn too_long(param: &'static str, length: usize, most: usize) -> Self {
        Self::invalid(
            format!(
                "Invalid '{param}': array too long. Expected an array with maximum length {most}, but got an array with length {length} instead."
            ),
            Some(param),
            Some("array_above_max_length"),
        )
    }

    /// The error that is usual for a status.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            400 => Self::invalid("Invalid request.", None, Some("invalid_request_error")),
            401 => ErrorReply::WrongKey,
            403 => ErrorReply::Firewall,
            404 => ErrorReply::DeploymentNotFound,
            408 => ErrorReply::Timeout,
            431 => ErrorReply::TooManyHeaders,
            500 => ErrorReply::Server,
            502 => ErrorReply::Html502,
            503 => ErrorReply::NoHealthyUpstream,
            other => ErrorReply::Other(other),
        }
    }

    pub(crate) fn status(&self) -> u16 {
        match self {
            ErrorReply::BadJson
            | ErrorReply::Invalid { .. }
            | ErrorReply::PromptTooLong { .. }
            | ErrorReply::SumTooLong { .. }
            | ErrorReply::UnsupportedParameter { .. }
            | ErrorReply::UnsupportedValue { .. }
            | ErrorReply::TwoSystems
            | ErrorReply::ContentFilter
            | ErrorReply::OperationNotSupported { .. }
            | ErrorReply::UnknownApiVersion
            | ErrorReply::ApiVersionNotAllowed => 400,
            ErrorReply::WrongKey | ErrorReply::WrongToken(_) => 401,
            ErrorReply::KeysDisabled | ErrorReply::Firewall => 403,
            ErrorReply::DeploymentNotFound | ErrorReply::ResourceNotFound => 404,
            ErrorReply::Timeout => 408,
            ErrorReply::TooManyHeaders => 431,
            ErrorReply::Server => 500,
            ErrorReply::Html502 => 502,
            ErrorReply::NoHealthyUpstream => 503,
            ErrorReply::Other(status) => *status,
        }
    }

    pub(crate) fn content_type(&self) -> &'static str {
        match self {
            ErrorReply::TooManyHeaders => "text/html; charset=us-ascii",
            ErrorReply::Html502 => "text/html",
            ErrorReply::NoHealthyUpstream => "text/plain",
            _ => "application/json",
        }
    }

    /// The body. Those that a gateway writes have a space after `"message":`, those of the model have none.
    pub(crate) fn body(&self) -> Cow<'static, [u8]> {
        let text: Cow<'static, str> = match self {
            ErrorReply::BadJson => model_error(
                "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library \
                 correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
                None,
                None,
            ),
            ErrorReply::Invalid { message, param, code } => model_error(message, *param, *code),
            ErrorReply::PromptTooLong { allowed, prompt } => model_error(
                &format!(
                    "This model's maximum context length is {allowed} tokens. However, your messages resulted in {prompt} \
                     tokens. Please reduce the length of the messages."
                ),
                Some("messages"),
                Some("context_length_exceeded"),
            ),
            ErrorReply::SumTooLong { allowed, prompt, output } => model_error(
                &format!(
                    "This model's maximum context length is {allowed} tokens. However, you requested {} tokens ({prompt} in \
                     the messages, {output} in the completion). Please reduce the length of the messages or completion.",
                    prompt.saturating_add(*output)
                ),
                Some("messages"),
                Some("context_length_exceeded"),
            ),
            ErrorReply::UnsupportedParameter { param } => {
                let hint = if *param == "max_tokens" {
                    " Use 'max_completion_tokens' instead."
                } else {
                    ""
                };
                model_error(
                    &format!("Unsupported parameter: '{param}' is not supported with this model.{hint}"),
                    Some(param),
                    Some("unsupported_parameter"),
                )
            }
            ErrorReply::UnsupportedValue { param, got, default } => model_error(
                &format!(
                    "Unsupported value: '{param}' does not support {got} with this model. Only the default ({default}) value \
                     is supported."
                ),
                Some(param),
                Some("unsupported_value"),
            ),
            ErrorReply::TwoSystems => model_error(
                "Invalid value: 'system' and 'developer' messages cannot be used together with this model.",
                Some("messages"),
                Some("invalid_value"),
            ),
            ErrorReply::ContentFilter => CONTENT_FILTER.into(),
            ErrorReply::OperationNotSupported { operation, model } => {
                let operation = match operation {
                    SimOperation::Chat => "chatCompletion",
                    SimOperation::Completions => "completion",
                    SimOperation::Embeddings => "embeddings",
                    SimOperation::Responses => "responses",
                };
                let message = format!(
                    "The {operation} operation does not work with the specified model, {model}. Please choose different model \
                     and try again. You can learn more about which models can be used with each operation here: \
                     https://go.microsoft.com/fwlink/?linkid=2197993."
                );
                format!(
                    "{{\"error\":{{\"code\":\"OperationNotSupported\",\"message\":{}}}}}",
                    quoted(&message)
                )
                .into()
            }
            ErrorReply::UnknownApiVersion => {
                r#"{"error":{"code":"BadRequest","message":"API version not supported"}}"#.into()
            }
            ErrorReply::ApiVersionNotAllowed => {
                r#"{"error":{"code":"BadRequest","message":"api-version query parameter is not allowed when using /v1 path"}}"#.into()
            }
            ErrorReply::WrongKey => concat!(
                r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make "#,
                r#"sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}"#
            )
            .into(),
            ErrorReply::WrongToken(audience) => {
                let audience = audience.as_deref().unwrap_or("https://cognitiveservices.azure.com");
                let message = format!(
                    "Unauthorized. Access token is missing, invalid, audience is incorrect ({audience}), or have expired."
                );
                format!("{{\"statusCode\":401,\"message\":{}}}", quoted(&message)).into()
            }
            ErrorReply::KeysDisabled => {
                r#"{"error":{"code":"AuthenticationTypeDisabled","message": "Key based authentication is disabled for this resource."}}"#.into()
            }
            ErrorReply::Firewall => {
                r#"{"error":{"code":"403","message": "Access denied due to Virtual Network/Firewall rules."}}"#.into()
            }
            ErrorReply::DeploymentNotFound => concat!(
                r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist. If you "#,
                r#"created the deployment within the last 5 minutes, please wait a moment and try again."}}"#
            )
            .into(),
            ErrorReply::ResourceNotFound => r#"{"error":{"code":"404","message": "Resource not found"}}"#.into(),
            ErrorReply::Timeout => r#"{"error":{"code":"Timeout","message":"The operation was timeout."}}"#.into(),
            ErrorReply::TooManyHeaders => PAGE_431.into(),
            ErrorReply::Server => concat!(
                r#"{"error":{"message":"The server had an error while processing your request. Sorry about that! You can retry "#,
                r#"your request, or contact us through an Azure support request at: https://go.microsoft.com/fwlink/?linkid=2213926 "#,
                r#"if the error persists.","type":"server_error","param":null,"code":null}}"#
            )
            .into(),
            ErrorReply::Html502 => PAGE_502.into(),
            ErrorReply::NoHealthyUpstream => "no healthy upstream".into(),
            ErrorReply::Other(status) => {
                format!("{{\"error\":{{\"code\":\"{status}\",\"message\": \"The request failed with status {status}.\"}}}}").into()
            }
        };
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }
}

/// An error as the model writes it.
fn model_error(message: &str, param: Option<&str>, code: Option<&str>) -> Cow<'static, str> {
    let or_null = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), quoted);
    format!(
        "{{\"error\":{{\"message\":{},\"type\":\"invalid_request_error\",\"param\":{},\"code\":{}}}}}",
        quoted(message),
        or_null(param),
        or_null(code)
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_statuses_have_their_own_words_and_others_a_plain_envelope() {
        for (status, part) in [
            (400, "invalid_request_error"),
            (401, "invalid subscription key"),
            (403, "Virtual Network/Firewall"),
            (404, "DeploymentNotFound"),
            (408, "The operation was timeout."),
            (424, "\"424\""),
            (431, "<TITLE>Request Header Fields Too Large</TITLE>"),
            (500, "The server had an error"),
            (502, "<html>"),
            (503, "no healthy upstream"),
            (504, "\"504\""),
        ] {
            let error = ErrorReply::of_status(status);
            assert_eq!(error.status(), status);
            let body = String::from_utf8(error.body().into_owned()).unwrap();
            assert!(body.contains(part), "{status}: {body}");
            if error.content_type() == "application/json" {
                serde_json::from_str::<serde_json::Value>(&body).unwrap();
            }
        }
    }

    #[test]
    fn texts_are_those_of_the_service() {
        for (error, expected) in [
            (
                ErrorReply::UnsupportedParameter { param: "max_tokens" },
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
            ),
            (
                ErrorReply::UnsupportedValue {
                    param: "temperature",
                    got: 0.1,
                    default: 1.0,
                },
                r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.1 with this model. Only the default (1) value is supported.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}"#,
            ),
            (
                ErrorReply::PromptTooLong {
                    allowed: 128_000,
                    prompt: 192_041,
                },
                r#"{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 192041 tokens. Please reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            ),
            (
                ErrorReply::ResourceNotFound,
                r#"{"error":{"code":"404","message": "Resource not found"}}"#,
            ),
        ] {
            assert_eq!(String::from_utf8(error.body().into_owned()).unwrap(), expected);
        }
    }
}
