//! What a deployment concludes from a token that the service refused.
//!
//! | a 401 for a token | what follows |
//! |---|---|
//! | a newer token is there, or is being fetched for it | the job is sent again, with that |
//! | its text names another audience than the token's, and the scope is ours to choose | the other scope, for good; the job is sent again |
//! | the first of this operation since it was last served | a new token is fetched, and the job sent again with that |
//! | the next one, or for a token that has just come, or for want of a role | the deployment's own fault, or, where it takes tokens for other operations, that operation's |
//!
//! Until a new token has come the deployment is not ready; others that share the token go on with it.

use super::cache::TokenCache;
use crate::api::Operation;

/// Most operations remembered.
const OPERATIONS_MAX: usize = 32;

/// A deployment that signs in with tokens.
#[derive(Debug)]
pub(super) struct SignIn {
    /// The tokens that it uses, by the position of their cache.
    pub(super) cache: usize,
    /// Those for the other audience, where they are worth a try.
    other: Option<usize>,
    /// The newest token that was refused, where a newer one is waited for.
    pub(super) refused: Option<u64>,
    /// The operations for which a new token has been fetched, and that have not been served since.
    renewed_for: Vec<Operation>,
    /// It has taken a token.
    serves: bool,
}

/// A 401 for a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal<'a> {
    /// Which token: that of [`Pass`](super::tokens::Pass).
    pub(crate) pass: (usize, u64),
    /// For what it was refused.
    pub(crate) operation: &'a Operation,
    /// The audience that the service names, if it does.
    pub(crate) audience: Option<&'a str>,
    /// It names a role that is missing: another token has it no more than this one.
    pub(crate) lacks_role: bool,
}

/// What follows from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnRefusal {
    /// The job goes again when there is another token.
    Again,
    /// The same, with tokens for the other audience.
    OtherAudience,
    /// The deployment takes tokens, but not for this operation.
    Operation,
    /// The deployment cannot be used.
    Deployment,
}

impl SignIn {
    pub(super) fn new(cache: usize, other: Option<usize>) -> Self {
        SignIn {
            cache,
            other,
            refused: None,
            renewed_for: Vec::new(),
            serves: false,
        }
    }

    /// Whether the token of that number may be sent.
    pub(super) fn takes(&self, number: u64) -> bool {
        self.refused.is_none_or(|refused| number > refused)
    }

    /// A token was refused. `cache` is what it came from, `audience` what that was asked for; `is_young` where it has just
    /// come. True where a new token is to be fetched.
    pub(super) fn refused(
        &mut self,
        refusal: &Refusal<'_>,
        cache: &TokenCache,
        audience: &str,
        is_young: bool,
    ) -> (OnRefusal, bool) {
        let (from, number) = refusal.pass;
        if from != self.cache || number < cache.newest() || !self.takes(number) {
            return (OnRefusal::Again, false);
        }
        if !refusal.lacks_role {
            let names_another = refusal.audience.is_some_and(|named| !is_same_audience(named, audience));
            if names_another && let Some(other) = self.other.take() {
                self.cache = other;
                self.refused = None;
                return (OnRefusal::OtherAudience, false);
            }
            if !is_young && !self.renewed_for.contains(refusal.operation) {
                self.note_renewal(refusal.operation);
                self.refused = Some(number);
                return (OnRefusal::Again, true);
            }
        }
        let scope = if self.serves {
            OnRefusal::Operation
        } else {
            OnRefusal::Deployment
        };
        self.note_renewal(refusal.operation);
        (scope, false)
    }

    fn note_renewal(&mut self, operation: &Operation) {
        if self.renewed_for.len() < OPERATIONS_MAX && !self.renewed_for.contains(operation) {
            self.renewed_for.push(operation.clone());
        }
    }

    /// A token was taken. True where that lets work go on that waited for another.
    pub(super) fn accepted(&mut self, pass: (usize, u64), operation: &Operation) -> bool {
        if pass.0 != self.cache {
            return false;
        }
        self.serves = true;
        self.renewed_for.retain(|renewed| renewed != operation);
        // It is good after all, for something.
        let is_good = self.refused == Some(pass.1);
        if is_good {
            self.refused = None;
        }
        is_good
    }
}

/// Whether two names of an audience mean the same: with and without `/.default`, or a slash.
fn is_same_audience(one: &str, other: &str) -> bool {
    bare(one).eq_ignore_ascii_case(bare(other))
}

fn bare(audience: &str) -> &str {
    audience.trim_end_matches(".default").trim_end_matches('/')
}
