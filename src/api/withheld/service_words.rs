//! What the service itself says: the parts of its messages that are the same every time.

/// Phrases of 16 bytes and more, folded ([`folded`](super::folded)). Where a message holds one, that part of it tells
/// nothing of the request, though the request may quote it.
///
/// Source: messages of Azure OpenAI as documented and captured; what differs from one to the next (names, numbers) is
/// left out, and so are parts too short to be taken for an echo. The regions are those whose names are long enough.
pub(super) const SERVICE_WORDS: &[&[u8]] = &[
    // 400
    b"the response was filtered due to the prompt triggering azure openai's content management policy. please modify your prompt and retry. to learn more about our content filtering policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766",
    b"this model's maximum context length is ",
    b" tokens. however, your messages resulted in ",
    b" tokens. please reduce the length of the messages.",
    b" tokens. however, you requested ",
    b" in the messages, ",
    b" in the completion). please reduce the length of the messages or completion.",
    b"your input exceeds the context window of this model. please adjust your input and try again.",
    b"unsupported parameter: '",
    b"' is not supported with this model.",
    b"unsupported value: '",
    b" with this model. only the default (1) value is supported.",
    b" operation does not work with the specified model, ",
    b". please choose different model and try again. you can learn more about which models can be used with each operation here: https://go.microsoft.com/fwlink/?linkid=2197993.",
    b"api version not supported",
    b"api-version query parameter is not allowed when using /v1 path",
    b" is enabled only for api-version ",
    b"could not find an existing deployment to match the model in the request",
    // 401 and 403
    b"access denied due to invalid subscription key or wrong api endpoint. make sure to provide a valid key for an active subscription and use a correct regional api endpoint for your resource.",
    b"unauthorized. access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired.",
    b"principal does not have access to api/operation.",
    b" lacks the required data action `microsoft.cognitiveservices/accounts/openai/deployments/",
    b"access denied due to virtual network/firewall rules.",
    b"public access is disabled. please configure private endpoint.",
    b"key based authentication is disabled for this resource.",
    b"a virtual network is configured for this resource. please use the correct endpoint",
    // 404, 408, 413, 431, 5xx
    b"the api deployment for this resource does not exist. if you created the deployment within the last 5 minutes, please wait a moment and try again.",
    b"resource not found",
    b"the operation was timeout.",
    b"request body too large for ",
    b"request header fields too large",
    b"the server had an error while processing your request. sorry about that! you can retry your request, or contact us through an azure support request at: https://go.microsoft.com/fwlink/?linkid=2213926 if the error persists. (please include the request id ",
    b"no healthy upstream",
    // 429
    b" have exceeded the token rate limit for your current openai s0 pricing tier. this request was for ",
    b" have exceeded the call rate limit for your current openai s0 pricing tier. this request was for ",
    b" have exceeded the token rate limit for your current aiservices s0 pricing tier. this request was for ",
    b" have exceeded the call rate limit for your current aiservices s0 pricing tier. this request was for ",
    b" under azure openai api version ",
    b" under openai language model instance api. please retry after ",
    b". please retry after ",
    b". to increase your default rate limit, visit: https://aka.ms/oai/quotaincrease.",
    b" operation under azure openai api version ",
    b" have exceeded token rate limit of your current openai s0 pricing tier. please retry after ",
    b" have exceeded call rate limit of your current openai s0 pricing tier. please retry after ",
    b". please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.",
    b"rate limit is exceeded. try again in ",
    b" have exceeded rate limit.",
    b" have exceeded token rate limit.",
    b"requests have exceeded the throughput limit on your provisioned-managed deployment. if you continue to exceed your limit, consider increasing the number of provisioned throughput units deployed.",
    b"the system is currently experiencing high demand and cannot process your request. your request exceeds the maximum usage size allowed during peak load.",
    b"for improved capacity reliability, consider switching to provisioned throughput.",
    b"the service is temporarily unable to process your request",
    b"chatcompletions_create",
    b"completions_create",
    b"embeddings_create",
    // Codes and types
    b"responsibleaipolicyviolation",
    b"context_length_exceeded",
    b"unsupported_parameter",
    b"invalid_request_error",
    b"operationnotsupported",
    b"authenticationtypedisabled",
    b"permissiondenied",
    b"deploymentnotfound",
    b"previous_response_not_found",
    b"tokens_limits_reached",
    b"internalservererror",
    b"ratelimitreached",
    b"rate_limit_exceeded",
    b"rate_limit_reached",
    b"too_many_requests",
    b"insufficient_quota",
    // Regions
    b"north central us",
    b"south central us",
    b"germany west central",
    b"south africa north",
    b"australia southeast",
    b"switzerland north",
    b"switzerland west",
];

#[cfg(test)]
mod tests {
    use super::super::folded::Folded;
    use super::super::runs;
    use super::*;

    #[test]
    fn every_phrase_is_folded_and_long_enough_to_matter() {
        for phrase in SERVICE_WORDS {
            let text = String::from_utf8_lossy(phrase);
            assert_eq!(Folded::of(phrase).bytes, *phrase, "{text}");
            assert!(phrase.len() >= runs::SHORTEST, "{text}");
        }
    }
}
