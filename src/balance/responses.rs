//! Where responses are stored.
//!
//! What the Responses API keeps of a conversation belongs to the resource that answered: a request that continues one
//! of its responses, reads it or deletes it is answered 404 everywhere else.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::EndpointId;
use super::recent::Recent;

/// Responses that are remembered, half of them at least: a good MiB at most. A request about a forgotten one goes anywhere.
const KEPT: usize = 32_768;

/// The id of a response, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResponseKey(u64);

impl ResponseKey {
    /// The key of a response with this id.
    pub fn new(id: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        ResponseKey(hasher.finish())
    }
}

/// Which endpoint has stored which response.
#[derive(Debug)]
pub(super) struct Responses {
    holders: Recent<ResponseKey, EndpointId>,
}

impl Default for Responses {
    fn default() -> Self {
        Responses {
            holders: Recent::new(KEPT),
        }
    }
}

impl Responses {
    pub(super) fn stored(&mut self, response: ResponseKey, endpoint: EndpointId) {
        self.holders.insert(response, endpoint);
    }

    /// Who has stored it; none where nobody is known to.
    pub(super) fn holder(&mut self, response: ResponseKey) -> Option<EndpointId> {
        self.holders.get(&response)
    }
}
