//! What ties a request to a deployment: loosely, for what is cached there, or for good, for what is stored there.

use crate::api::{Operation, Options};
use crate::balance::Names;
use crate::balance::affinity::AffinityKey;
use crate::balance::responses::ResponseKey;

/// What ties a request to a deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ties {
    /// It is better off where others with this key have been.
    pub(super) affinity: Option<AffinityKey>,
    /// Only who has stored this response can serve it.
    pub(super) response: Option<ResponseKey>,
}

impl Ties {
    pub(super) fn of(operation: &Operation, options: &Options, names: &Names<'_>) -> Self {
        Ties {
            affinity: affinity(operation, options, names),
            response: response(operation, names),
        }
    }
}

fn affinity(operation: &Operation, options: &Options, names: &Names<'_>) -> Option<AffinityKey> {
    if let Some(session) = &options.session {
        // An empty one: anywhere, whatever the body says.
        return (!session.is_empty()).then(|| AffinityKey::new("session", session.as_bytes()));
    }
    // Others have no prompt that could be cached.
    let is_prompted = matches!(
        operation,
        Operation::ChatCompletions | Operation::Completions | Operation::Responses
    );
    let cache_key = names.prompt_cache_key.map(|name| ("prompt_cache_key", name));
    let user = names.user.map(|name| ("user", name));
    let (kind, name) = cache_key.or(user).filter(|_| is_prompted)?;
    Some(AffinityKey::new(kind, name))
}

/// The stored response that a request continues, reads, cancels or deletes.
fn response(operation: &Operation, names: &Names<'_>) -> Option<ResponseKey> {
    match operation {
        Operation::Responses => names.previous_response_id.map(ResponseKey::new),
        Operation::Other(_) => {
            let id = operation.path().strip_prefix("responses/")?.split('/').next()?;
            // The others are operations of their own, of which no body is walked.
            let is_id = !matches!(id, "compact" | "input_tokens");
            is_id.then(|| ResponseKey::new(id.as_bytes()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Measured;

    fn ties(operation: &Operation, session: Option<&str>, members: &str) -> Ties {
        let mut options = Options::default();
        options.session = session.map(Into::into);
        Ties::of(operation, &options, &Measured::of(operation, members.as_bytes()).names)
    }

    #[test]
    fn a_session_goes_before_a_cache_key_and_that_before_a_user() {
        let both = r#""user":"u","prompt_cache_key":"k""#;
        let user = r#""user":"u""#;
        let key = |kind, name: &str| Some(AffinityKey::new(kind, name.as_bytes()));
        for operation in [Operation::ChatCompletions, Operation::Completions, Operation::Responses] {
            for (session, members, expected) in [
                (Some("s"), both, key("session", "s")),
                (None, both, key("prompt_cache_key", "k")),
                (None, user, key("user", "u")),
                (None, r#""n":1"#, None),
                (Some(""), both, None),
            ] {
                let found = ties(&operation, session, members).affinity;
                assert_eq!(found, expected, "{operation} {session:?} {members}");
            }
        }
        assert_eq!(ties(&Operation::Embeddings, None, both).affinity, None);
        assert_eq!(
            ties(&Operation::Embeddings, Some("s"), "").affinity,
            key("session", "s")
        );
        assert_ne!(key("session", "x"), key("user", "x"));
    }

    #[test]
    fn a_response_is_named_by_what_continues_it_and_by_paths_below_it() {
        let id = Some(ResponseKey::new(b"resp_1"));
        let members = r#""previous_response_id":"resp_1""#;
        for (operation, expected) in [
            (Operation::Responses, id),
            (Operation::ChatCompletions, None),
            (Operation::other("responses/resp_1").unwrap(), id),
            (Operation::other("responses/resp_1/cancel").unwrap(), id),
            (Operation::other("responses/compact").unwrap(), None),
            (Operation::other("responses/input_tokens").unwrap(), None),
            (Operation::other("images/generations").unwrap(), None),
        ] {
            assert_eq!(ties(&operation, None, members).response, expected, "{operation}");
        }
        assert_eq!(ties(&Operation::Responses, None, r#""input":"x""#).response, None);
    }
}
