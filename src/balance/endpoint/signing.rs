//! An endpoint that signs in with tokens, and has none.
//!
//! That has nothing to do with how it fares: its state stays what it is, and holds again when there is a token.

use super::Endpoint;
use super::state::Readiness;
use crate::api::Condition;

/// It has no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsigned {
    /// Somebody has to mend something: work does not wait for it.
    is_lacking: bool,
    reason: String,
}

/// Whether an endpoint has the token that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedIn {
    /// It has, or needs none.
    Yes,
    /// It waits for one, and work waits for it.
    Awaited(String),
    /// It has none for as long as nobody mends something.
    Lacking(String),
}

impl Unsigned {
    pub(super) fn readiness(&self) -> Readiness {
        if self.is_lacking {
            Readiness::Refuses(None)
        } else {
            Readiness::OnSettle
        }
    }

    /// Whether it stays so until somebody mends something.
    pub(super) fn lasts(&self) -> bool {
        self.is_lacking
    }

    pub(super) fn condition(&self) -> Condition {
        if self.is_lacking {
            Condition::Disabled
        } else {
            Condition::SigningIn
        }
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}

impl Endpoint {
    /// It has got a token, or has none; of two such messages the one with the larger number holds. True where the condition
    /// changed.
    pub(in crate::balance) fn signed_in(&mut self, number: u64, signed_in: SignedIn) -> bool {
        if number <= self.signing {
            return false;
        }
        self.signing = number;
        let unsigned = match signed_in {
            SignedIn::Yes => None,
            SignedIn::Awaited(reason) => Some((false, reason)),
            SignedIn::Lacking(reason) => Some((true, reason)),
        };
        let unsigned = unsigned.map(|(is_lacking, reason)| Unsigned { is_lacking, reason });
        let changed = self.unsigned != unsigned;
        self.unsigned = unsigned;
        changed
    }

    /// What it waits for a token for, if it does.
    pub(in crate::balance) fn awaits_token(&self) -> Option<&str> {
        self.unsigned.as_ref().map(Unsigned::reason)
    }
}
