//! The path of a URL that was given as an endpoint.

use percent_encoding::percent_decode_str;

use super::FOUNDRY;
use crate::transport::target::V1;

/// Ends of a URL that name an operation wherever they stand …
const OPERATIONS: [&[&str]; 8] = [
    &["chat", "completions"],
    &["audio", "speech"],
    &["audio", "transcriptions"],
    &["audio", "translations"],
    &["images", "edits"],
    &["images", "generations"],
    &["images", "variations"],
    &["responses", "compact"],
];
/// … and those that a gateway may well call a prefix of its own: operations at the service's hosts, and below `openai` or
/// a `v1`.
const SHORT_OPERATIONS: [&str; 6] = ["batches", "completions", "embeddings", "files", "models", "responses"];

pub(super) const OPENAI: &str = "openai";
const DEPLOYMENTS: &str = "deployments";

/// The segments of a path, without empty ones at its end.
pub(super) struct Path<'u>(Vec<&'u str>);

impl<'u> Path<'u> {
    pub(super) fn new(path: &'u str) -> Self {
        let path = path.trim_matches('/');
        Path(if path.is_empty() {
            Vec::new()
        } else {
            path.split('/').collect()
        })
    }

    /// The base URL that it makes.
    pub(super) fn below(&self, origin: &str) -> String {
        self.0
            .iter()
            .fold(origin.to_owned(), |base, segment| base + "/" + segment)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn append(&mut self, segments: &[&'static str]) {
        self.0.extend(segments);
    }

    pub(super) fn ends_with(&self, end: &[&str]) -> bool {
        let from = self.0.len().checked_sub(end.len());
        from.is_some_and(|from| {
            self.0[from..]
                .iter()
                .zip(end)
                .all(|(one, other)| one.eq_ignore_ascii_case(other))
        })
    }

    /// Cuts `/openai/deployments/D/…` off, and gives D.
    pub(super) fn take_deployment(&mut self) -> Result<Option<String>, &'static str> {
        let begins = |pair: &[&str]| pair[0].eq_ignore_ascii_case(OPENAI) && pair[1].eq_ignore_ascii_case(DEPLOYMENTS);
        let Some(at) = self.0.windows(2).position(begins) else {
            return Ok(None);
        };
        let name = self.0.get(at + 2).copied().unwrap_or_default();
        let name = percent_decode_str(name).decode_utf8().unwrap_or_default();
        if name.is_empty() {
            return Err("name a deployment, in UTF-8, behind /openai/deployments/, or be the base URL alone");
        }
        let name = name.into_owned();
        self.0.truncate(at);
        Ok(Some(name))
    }

    /// Cuts an operation off its end.
    pub(super) fn drop_operation(&mut self, is_service: bool) {
        if let Some(operation) = OPERATIONS.iter().find(|operation| self.ends_with(operation)) {
            self.0.truncate(self.0.len() - operation.len());
            return;
        }
        let Some((last, before)) = self.0.split_last() else {
            return;
        };
        let is_short = SHORT_OPERATIONS
            .iter()
            .any(|operation| last.eq_ignore_ascii_case(operation));
        let follows = |segment: &&str| segment.eq_ignore_ascii_case(OPENAI) || segment.eq_ignore_ascii_case(V1);
        // Alone behind the host `models` is another API, of which more is to be said.
        let is_other_api = is_service && before.is_empty() && last.eq_ignore_ascii_case("models");
        if is_short && !is_other_api && (is_service || before.last().is_some_and(follows)) {
            self.0.pop();
        }
    }

    /// Brings what is left into the one form that the service knows it by.
    pub(super) fn settle_at_service(&mut self, host: &str) -> Result<(), &'static str> {
        let lower: Vec<String> = self.0.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        match lower[..] {
            [] | [OPENAI] => self.0.clear(),
            [V1] | [OPENAI, V1] => self.0 = vec![OPENAI, V1],
            ["models", ..] if host.ends_with(FOUNDRY) => {
                return Err(
                    "lead to /openai/v1 in place of /models, which is the model-inference API and another one: \
                            https://NAME.services.ai.azure.com/openai/v1",
                );
            }
            ["api", "projects", _] | ["api", "projects", _, OPENAI] | ["api", "projects", _, OPENAI, V1]
                if host.ends_with(FOUNDRY) =>
            {
                self.0 = vec!["api", "projects", self.0[2], OPENAI, V1];
            }
            _ => {
                return Err(
                    "end after the host, or with /openai/v1: the service answers no other path \
                            (a target URI as the portal shows it is taken, too)",
                );
            }
        }
        Ok(())
    }
}
