//! What the user of a deployment that is of no use as it is configured has to change. It ends the reason, which errors,
//! reports and the log show.

use crate::api::error_object::clip;

/// The configured `model` is no deployment there.
pub(super) const MODEL: &str = "set model to the name of a deployment of this resource";
/// The configured `api_version` is refused.
pub(super) const API_VERSION: &str = "set api_version to v1";
/// The model has no such operation.
pub(super) const OTHER_MODEL: &str = "set model to a deployment whose model has this operation";
/// There is nothing at the URL.
pub(super) const URL: &str = "set endpoint to the resource's base URL, or api_version to v1";
/// Something else is at the URL.
pub(super) const ENDPOINT: &str = "set endpoint to the service's own base URL";
/// The proxy before it lets nobody through.
pub(super) const PROXY: &str =
    "set proxy to one that lets requests through, with the user name and password that it wants";
/// Nobody pays.
pub(super) const BILLING: &str = "see to the account's billing";

/// The identity may not do that.
pub(super) const ROLE: &str = "give the identity the role Cognitive Services OpenAI User on this resource";
/// The service takes no token of this kind.
pub(super) const TOKEN: &str = "set tenant_id and token_scope to those of this resource";

/// What helps where access is denied with this `status`.
pub(super) fn of_denial(status: u16) -> &'static str {
    match status {
        402 => BILLING,
        403 => "give this key and this machine access to the resource",
        407 => "set proxy with a user name and password",
        410 => "set model to a deployment that is not retired",
        _ => "set api_key to a key of this resource",
    }
}

/// `reason` and what helps, in `max` characters; a long reason is cut.
pub(super) fn after(reason: String, remedy: &str, max: usize) -> String {
    // Before the remedy there are an ellipsis and two characters between.
    let left = max.saturating_sub(remedy.chars().count() + 3);
    format!("{}; {remedy}", clip(reason, left).trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_leaves_room_for_what_helps() {
        assert_eq!(
            after("401 Unauthorized".into(), API_VERSION, 300),
            "401 Unauthorized; set api_version to v1"
        );
        let long = after("ü".repeat(400), API_VERSION, 300);
        assert_eq!(long.chars().count(), 300);
        assert!(long.ends_with("ü…; set api_version to v1"), "{long}");
    }
}
