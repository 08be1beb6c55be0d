//! The bodies of 429, in the six families of texts that were seen.

use super::quoted;
use crate::sim::config::{RefusalFamily, SimDeployment, SimOperation, whole_seconds};
use crate::sim::limiter::LimitAxis;
use crate::sim::request::Surface;

use super::headers::Wait;

/// What a refusal is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) deployment: &'a SimDeployment,
    pub(crate) operation: SimOperation,
    pub(crate) surface: Surface,
    pub(crate) api_version: Option<&'a str>,
}

/// The body of a 429.
pub(crate) fn body(family: RefusalFamily, about: &About<'_>, wait: &Wait) -> Vec<u8> {
    let seconds = wait.form.told(wait.exact, wait.provisioned).map(whole_seconds);
    let SimDeployment {
        name, model, region, ..
    } = about.deployment;
    let operation = match about.operation {
        SimOperation::Chat => "ChatCompletions_Create",
        SimOperation::Completions => "Completions_Create",
        SimOperation::Embeddings => "Embeddings_Create",
        SimOperation::Responses => "Responses_Create",
    };
    let api = match (about.surface, about.api_version) {
        (Surface::Dated, Some(version)) => format!("Azure OpenAI API version {version}"),
        _ => "OpenAI Language Model Instance API".to_owned(),
    };
    let axis = match wait.axis {
        LimitAxis::Requests => "call",
        LimitAxis::Tokens | LimitAxis::Throughput => "token",
    };
    let plural = if seconds == Some(1) { "" } else { "s" };
    let retry = seconds.map_or_else(String::new, |n| format!(" Please retry after {n} second{plural}."));
    match family {
        RefusalFamily::Reached => error(
            "RateLimitReached",
            &format!(
                "Your requests to {name} for {model} in {region} have exceeded the {axis} rate limit for your current OpenAI \
                 S0 pricing tier. This request was for {operation} under {api}.{retry} To increase your default rate limit, \
                 visit: https://aka.ms/oai/quotaincrease."
            ),
        ),
        RefusalFamily::Operation => error(
            "429",
            &format!(
                "Requests to the {operation} Operation under {api} have exceeded {axis} rate limit of your current OpenAI S0 \
                 pricing tier.{retry} Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase \
                 the default rate limit."
            ),
        ),
        RefusalFamily::Gateway => {
            let again = seconds.map_or_else(String::new, |n| format!(" Try again in {n} second{plural}."));
            error("429", &format!("Rate limit is exceeded.{again}"))
        }
        RefusalFamily::Exceeded => typed_error("rate_limit_exceeded", &exceeded(about.deployment, wait.axis)),
        RefusalFamily::Provisioned => typed_error(
            "rate_limit_reached",
            "Requests have exceeded the throughput limit on your Provisioned-Managed deployment. If you continue to exceed \
             your limit, consider increasing the number of provisioned throughput units deployed.",
        ),
        RefusalFamily::NoCapacity => error(
            "NoCapacity",
            &format!(
                "The system is currently experiencing high demand and cannot process your request. Your request exceeds the \
                 maximum usage size allowed during peak load.{retry} For improved capacity reliability, consider switching \
                 to Provisioned Throughput."
            ),
        ),
    }
    .into_bytes()
}

/// The text of 2026.
pub(crate) fn exceeded(deployment: &SimDeployment, axis: LimitAxis) -> String {
    let axis = match axis {
        LimitAxis::Requests => "",
        LimitAxis::Tokens | LimitAxis::Throughput => "token ",
    };
    format!(
        "Your requests to {} for {} in {} have exceeded {axis}rate limit.",
        deployment.name, deployment.model, deployment.region
    )
}

fn error(code: &str, message: &str) -> String {
    format!("{{\"error\":{{\"code\":\"{code}\",\"message\": {}}}}}", quoted(message))
}

fn typed_error(code: &str, message: &str) -> String {
    format!(
        "{{\"error\":{{\"code\":\"{code}\",\"message\":{},\"param\":null,\"type\":\"too_many_requests\"}}}}",
        quoted(message)
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sim::config::RetryAfter;

    #[test]
    fn all_six_families_have_their_words() {
        let deployment = SimDeployment::new("east");
        let about = About {
            deployment: &deployment,
            operation: SimOperation::Chat,
            surface: Surface::Dated,
            api_version: Some("2025-01-01-preview"),
        };
        let wait = |ms, form| Wait {
            exact: Duration::from_millis(ms),
            axis: LimitAxis::Tokens,
            form,
            provisioned: false,
            unix_s: 0,
        };
        let honest = wait(1500, RetryAfter::Honest);
        let rows = [
            (
                RefusalFamily::Reached,
                honest,
                r#"{"error":{"code":"RateLimitReached","message": "Your requests to east for gpt-4o in Sweden Central have exceeded the token rate limit for your current OpenAI S0 pricing tier. This request was for ChatCompletions_Create under Azure OpenAI API version 2025-01-01-preview. Please retry after 2 seconds. To increase your default rate limit, visit: https://aka.ms/oai/quotaincrease."}}"#,
            ),
            (
                RefusalFamily::Operation,
                wait(500, RetryAfter::Honest),
                r#"{"error":{"code":"429","message": "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2025-01-01-preview have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 1 second. Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit."}}"#,
            ),
            (
                RefusalFamily::Gateway,
                honest,
                r#"{"error":{"code":"429","message": "Rate limit is exceeded. Try again in 2 seconds."}}"#,
            ),
            (
                RefusalFamily::Exceeded,
                honest,
                r#"{"error":{"code":"rate_limit_exceeded","message":"Your requests to east for gpt-4o in Sweden Central have exceeded token rate limit.","param":null,"type":"too_many_requests"}}"#,
            ),
            (
                RefusalFamily::Provisioned,
                honest,
                r#"{"error":{"code":"rate_limit_reached","message":"Requests have exceeded the throughput limit on your Provisioned-Managed deployment. If you continue to exceed your limit, consider increasing the number of provisioned throughput units deployed.","param":null,"type":"too_many_requests"}}"#,
            ),
            (
                RefusalFamily::NoCapacity,
                wait(1500, RetryAfter::Silent),
                r#"{"error":{"code":"NoCapacity","message": "The system is currently experiencing high demand and cannot process your request. Your request exceeds the maximum usage size allowed during peak load. For improved capacity reliability, consider switching to Provisioned Throughput."}}"#,
            ),
        ];
        for (family, wait, expected) in rows {
            let body = String::from_utf8(body(family, &about, &wait)).unwrap();
            assert_eq!(body, expected, "{family:?}");
            serde_json::from_str::<serde_json::Value>(&body).unwrap();
        }
    }
}
