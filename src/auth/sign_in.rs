//! What a deployment concludes from a token that the service refused.
//!
//! | a 401 for a token | what follows |
//! |---|---|
//! | a newer token is there, or is being fetched for it | the job is sent again, with that |
//! | its text names the other audience, the scope is ours to choose, and this one has never been taken | the other scope, once; the job is sent again |
//! | the first token for the other audience | back to the scope of the surface, and the deployment's own fault |
//! | the first of this operation since it was last served | a new token is fetched, and the job sent again with that |
//! | the next one, or for a token that has just come, or for want of a role | the deployment's own fault, or, where it takes tokens for other operations, that operation's |
//!
//! The service names its audience in each 401, whatever is wrong with the token: that says nothing where it has taken one for
//! this audience before.
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
    pub(super) other: Option<usize>,
    /// Those that it goes back to where the other audience, which is being tried, is refused as well.
    home: Option<usize>,
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
            home: None,
            refused: None,
            renewed_for: Vec::new(),
            serves: false,
        }
    }

    /// Whether the token of that number may be sent.
    pub(super) fn takes(&self, number: u64) -> bool {
        self.refused.is_none_or(|refused| number > refused)
    }

    /// A token was refused. `cache` is what it came from, `other` what the tokens of the other audience are asked for;
    /// `is_young` where it has just come. True where a new token is to be fetched.
    pub(super) fn refused(
        &mut self,
        refusal: &Refusal<'_>,
        cache: &TokenCache,
        other: Option<&str>,
        is_young: bool,
    ) -> (OnRefusal, bool) {
        let (from, number) = refusal.pass;
        if from != self.cache || number < cache.newest() || !self.takes(number) {
            return (OnRefusal::Again, false);
        }
        if refusal.lacks_role {
            // Whose it is was read: the audience is right.
            self.home = None;
        } else {
            let names_other = refusal
                .audience
                .zip(other)
                .is_some_and(|(named, other)| is_same_audience(named, other));
            if !self.serves
                && names_other
                && let Some(other) = self.other.take()
            {
                self.home = Some(std::mem::replace(&mut self.cache, other));
                self.refused = None;
                return (OnRefusal::OtherAudience, false);
            }
            if let Some(home) = self.home.take() {
                self.cache = home;
                self.refused = None;
                return (OnRefusal::Deployment, false);
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
        self.home = None;
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;
    use crate::auth::{AccessToken, CachePlan, Plan, Tokens};
    use crate::clock::{Clock, ManualClock};

    const OURS: &str = "https://ai.azure.com/.default";
    const OTHER: &str = "https://cognitiveservices.azure.com/.default";

    /// One deployment, with a cache for each audience.
    struct World {
        tokens: Tokens,
        clock: ManualClock,
        rng: SmallRng,
    }

    impl World {
        fn new() -> Self {
            let plan = |scope: &str| CachePlan {
                source: "az".into(),
                scope: scope.into(),
            };
            let tokens = Tokens::new(Plan {
                caches: vec![plan(OURS), plan(OTHER)],
                endpoints: vec![Some((0, Some(1)))],
            });
            let mut world = World {
                tokens,
                clock: ManualClock::new(),
                rng: SmallRng::seed_from_u64(1),
            };
            world.fetch();
            world
        }

        fn now(&self) -> Instant {
            self.clock.now()
        }

        /// Time passes, and whatever is due is fetched.
        fn fetch(&mut self) {
            self.clock.advance(Duration::from_secs(40));
            for cache in self.tokens.caches() {
                if self.tokens.next(cache, self.now()) == crate::auth::Next::Ask {
                    let token = AccessToken::lasting("t", Duration::from_secs(3600));
                    let (wall, now) = (self.clock.wall(), self.now());
                    self.tokens.asks(cache, now);
                    self.tokens.came(cache, Ok(token), wall, now, &mut self.rng).unwrap();
                }
            }
        }

        /// The audience of the token that is sent.
        fn sends(&self) -> &str {
            let (cache, _) = self.tokens.pass(0, self.now()).unwrap().id();
            &self.tokens.plan(cache).scope
        }

        fn accepted(&mut self) {
            let pass = self.tokens.pass(0, self.now()).unwrap().id();
            self.tokens.accepted(0, pass, &Operation::ChatCompletions);
        }

        /// The service refuses the token in its usual words, which name this audience whatever is wrong.
        fn refused(&mut self, audience: &str) -> OnRefusal {
            let refusal = Refusal {
                pass: self.tokens.pass(0, self.now()).unwrap().id(),
                operation: &Operation::ChatCompletions,
                audience: Some(audience),
                lacks_role: false,
            };
            let now = self.now();
            let follows = self.tokens.refused(0, &refusal, now);
            self.fetch();
            follows
        }
    }

    #[test]
    fn a_service_that_has_taken_an_audience_is_not_sent_another() {
        let mut world = World::new();
        world.accepted();
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(world.refused("https://cognitiveservices.azure.com"), OnRefusal::Again);
        assert_eq!(world.sends(), OURS);
        world.accepted();
    }

    #[test]
    fn an_audience_that_is_of_no_use_either_is_left_again() {
        let mut world = World::new();
        let named = "https://cognitiveservices.azure.com";
        assert_eq!(world.refused(named), OnRefusal::OtherAudience);
        assert_eq!(world.sends(), OTHER);
        // Its token is not fetched anew: the audience was tried once.
        assert_eq!(world.refused(named), OnRefusal::Deployment);
        assert_eq!(world.sends(), OURS);
        // Whoever has mended the resource meanwhile is served with the audience of the surface.
        assert_ne!(world.refused(named), OnRefusal::OtherAudience);
        world.fetch();
        assert_eq!(world.sends(), OURS);
    }

    #[test]
    fn an_audience_that_is_taken_is_kept() {
        let mut world = World::new();
        let named = "https://cognitiveservices.azure.com";
        assert_eq!(world.refused(named), OnRefusal::OtherAudience);
        world.accepted();
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(world.refused(named), OnRefusal::Again);
        assert_eq!(world.sends(), OTHER);
    }

    #[test]
    fn an_audience_that_is_neither_is_not_tried_for() {
        let mut world = World::new();
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(world.refused("https://cognitiveservices.azure.us"), OnRefusal::Again);
        assert_eq!(world.sends(), OURS);
    }
}
