//! The fields of a chat request: one method each, in alphabetical order.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::{
    ChatRequest, PromptCacheRetention, ReasoningEffort, ResponseFormat, ServiceTier, Stop, StreamOptions, Verbosity,
};
use crate::api::{Tool, ToolChoice};

/// The fields of the API that have a method, each sent only where it is set. A method that is called twice
/// counts the last time.
impl ChatRequest {
    /// Voice and format of a spoken answer; see [`modalities`](Self::modalities).
    #[must_use]
    pub fn audio(self, voice: impl Into<String>, format: impl Into<String>) -> Self {
        self.set("audio", &json!({ "voice": voice.into(), "format": format.into() }))
    }

    /// Azure's On Your Data: where the answer is to be looked up. An array of objects.
    #[must_use]
    pub fn data_sources(self, sources: impl Serialize) -> Self {
        self.set("data_sources", &sources)
    }

    /// −2.0 to 2.0; above 0 discourages repeating what is frequent. Not for reasoning models.
    #[must_use]
    pub fn frequency_penalty(self, penalty: f64) -> Self {
        self.set_number("frequency_penalty", penalty)
    }

    /// Deprecated by the service for [`tool_choice`](Self::tool_choice).
    #[must_use]
    pub fn function_call(self, choice: impl Serialize) -> Self {
        self.set("function_call", &choice)
    }

    /// Deprecated by the service for [`tools`](Self::tools).
    #[must_use]
    pub fn functions(self, functions: impl Serialize) -> Self {
        self.set("functions", &functions)
    }

    /// Token ids with a bias from −100 (never) to 100 (always). Not for reasoning models.
    #[must_use]
    pub fn logit_bias(self, biases: impl IntoIterator<Item = (u32, i32)>) -> Self {
        self.set("logit_bias", &biases.into_iter().collect::<BTreeMap<_, _>>())
    }

    /// Whether the answer's log probabilities are told. Not for reasoning models.
    #[must_use]
    pub fn logprobs(self, tell: bool) -> Self {
        self.set("logprobs", &tell)
    }

    /// Most tokens of the answer, hidden reasoning included: too few for a reasoning model and the answer is
    /// empty, with finish reason `length`. Azure charges this number against the quota on arrival, so keep it tight.
    #[must_use]
    pub fn max_completion_tokens(self, tokens: u32) -> Self {
        self.set("max_completion_tokens", &tokens)
    }

    /// Most tokens of the answer, for models that do not know [`max_completion_tokens`](Self::max_completion_tokens).
    #[must_use]
    pub fn max_tokens(self, tokens: u32) -> Self {
        self.set("max_tokens", &tokens)
    }

    /// Up to 16 pairs kept with a stored answer; keys to 64, values to 512 characters.
    #[must_use]
    pub fn metadata<K: Into<String>, V: Into<String>>(self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let pairs: BTreeMap<String, String> = pairs
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        self.set("metadata", &pairs)
    }

    /// Kinds of answer: `text`, `audio`.
    #[must_use]
    pub fn modalities<T: Into<String>>(self, kinds: impl IntoIterator<Item = T>) -> Self {
        let kinds: Vec<String> = kinds.into_iter().map(Into::into).collect();
        self.set("modalities", &kinds)
    }

    /// How many answers; 1 unless set.
    #[must_use]
    pub fn n(self, choices: u32) -> Self {
        self.set("n", &choices)
    }

    /// Whether the model may ask for several tool calls at once.
    #[must_use]
    pub fn parallel_tool_calls(self, allow: bool) -> Self {
        self.set("parallel_tool_calls", &allow)
    }

    /// Text that most of the answer will repeat, which makes it come faster.
    #[must_use]
    pub fn prediction(self, text: impl Into<String>) -> Self {
        self.set("prediction", &json!({ "type": "content", "content": text.into() }))
    }

    /// −2.0 to 2.0; above 0 discourages repeating at all. Not for reasoning models.
    #[must_use]
    pub fn presence_penalty(self, penalty: f64) -> Self {
        self.set_number("presence_penalty", penalty)
    }

    /// Requests with the same key and prefix are routed by the service to the same cache.
    #[must_use]
    pub fn prompt_cache_key(self, key: impl Into<String>) -> Self {
        self.set("prompt_cache_key", &key.into())
    }

    /// How the prompt cache is written: an object `{"mode": "implicit" | "explicit", "ttl": …}`, for gpt-5.6 and later.
    #[must_use]
    pub fn prompt_cache_options(self, options: impl Serialize) -> Self {
        self.set("prompt_cache_options", &options)
    }

    /// How long the cached prompt is kept.
    #[must_use]
    pub fn prompt_cache_retention(self, retention: PromptCacheRetention) -> Self {
        self.set("prompt_cache_retention", &retention)
    }

    /// How much a reasoning model thinks.
    #[must_use]
    pub fn reasoning_effort(self, effort: ReasoningEffort) -> Self {
        self.set("reasoning_effort", &effort)
    }

    /// Form of the answer; [`ChatCompletion::text_json`](crate::ChatCompletion::text_json) reads JSON into a type.
    #[must_use]
    pub fn response_format(self, format: ResponseFormat) -> Self {
        self.set("response_format", &format)
    }

    /// A stable, anonymous name of the end user, for the service's detection of abuse.
    #[must_use]
    pub fn safety_identifier(self, identifier: impl Into<String>) -> Self {
        self.set("safety_identifier", &identifier.into())
    }

    /// Asks for the same answer to the same request, as far as the service can.
    #[must_use]
    pub fn seed(self, seed: i64) -> Self {
        self.set("seed", &seed)
    }

    /// Processing tier.
    #[must_use]
    pub fn service_tier(self, tier: ServiceTier) -> Self {
        self.set("service_tier", &tier)
    }

    /// Where the answer is to stop; one text or several. Not for o3 and o4-mini.
    #[must_use]
    pub fn stop(self, stop: impl Into<Stop>) -> Self {
        self.set("stop", &stop.into())
    }

    /// Whether the service keeps the answer.
    #[must_use]
    pub fn store(self, store: bool) -> Self {
        self.set("store", &store)
    }

    /// What a stream holds beside the answer; where it is not set the library asks for the usage. Left out altogether by
    /// `extra("stream_options", ())`, or for a deployment by its `send_stream_options`: some refuse it.
    #[must_use]
    pub fn stream_options(self, options: StreamOptions) -> Self {
        self.set("stream_options", &options)
    }

    /// 0.0 to 2.0, how much chance there is in the answer. Not for reasoning models.
    #[must_use]
    pub fn temperature(self, temperature: f64) -> Self {
        self.set_number("temperature", temperature)
    }

    /// Whether and which tools the model is to call.
    #[must_use]
    pub fn tool_choice(self, choice: ToolChoice) -> Self {
        self.set("tool_choice", &choice)
    }

    /// Tools that the model may call, up to 128; the calls are in
    /// [`ChatCompletion::tool_calls`](crate::ChatCompletion::tool_calls), and are answered by
    /// [`ChatMessage::tool`](crate::ChatMessage::tool).
    #[must_use]
    pub fn tools(self, tools: impl IntoIterator<Item = Tool>) -> Self {
        self.set("tools", &tools.into_iter().collect::<Vec<_>>())
    }

    /// 0 to 20 alternatives told for each token, beside [`logprobs`](Self::logprobs).
    #[must_use]
    pub fn top_logprobs(self, alternatives: u8) -> Self {
        self.set("top_logprobs", &alternatives)
    }

    /// 0.0 to 1.0, the share of likely tokens that is chosen from. Not for reasoning models.
    #[must_use]
    pub fn top_p(self, share: f64) -> Self {
        self.set_number("top_p", share)
    }

    /// The end user; the service replaces it by [`safety_identifier`](Self::safety_identifier) and
    /// [`prompt_cache_key`](Self::prompt_cache_key).
    #[must_use]
    pub fn user(self, user: impl Into<String>) -> Self {
        self.set("user", &user.into())
    }

    /// Azure's context for Defender: an object that tells the application and its end user.
    #[must_use]
    pub fn user_security_context(self, context: impl Serialize) -> Self {
        self.set("user_security_context", &context)
    }

    /// How wordy the answer is.
    #[must_use]
    pub fn verbosity(self, verbosity: Verbosity) -> Self {
        self.set("verbosity", &verbosity)
    }

    fn set(mut self, key: &'static str, value: &impl Serialize) -> Self {
        self.members.set(key, value);
        self
    }

    fn set_number(mut self, key: &'static str, value: f64) -> Self {
        self.members.set_number(key, value);
        self
    }
}
