//! A token, and how long it lives.

use std::time::{Duration, SystemTime};

use super::{Claims, TokenError};
use crate::api::Secret;

/// How far this machine's clock may be off before it is worth a word. Kerberos and Entra ID tolerate as much.
const TOLERATED: Duration = Duration::from_secs(300);

/// Longest token, in bytes: it has to fit into the head of a request. Those of Entra ID stay below 8 KiB or so, whatever
/// groups they name.
const TOKEN_MAX: usize = 12 * 1024;

/// A token, and when it expires. `Debug` hides it.
#[derive(Clone, Debug)]
pub struct AccessToken {
    secret: Secret,
    expiry: Expiry,
    /// The issuer's time of day when it was handed out.
    told_at: Option<SystemTime>,
    giver: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
enum Expiry {
    At(SystemTime),
    After(Duration),
}

/// How long a token can be used from the moment in which it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) left: Duration,
    /// What this machine's clock seems to be off by.
    pub(super) clock: Option<ClockError>,
}

/// The clock of this machine does not go with the issuer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockError {
    /// It is ahead by so much at least.
    Ahead(Duration),
    /// It is behind by so much at least.
    Behind(Duration),
}

impl AccessToken {
    /// A token that expires at a time of day, as `expires_on` tells it. Where the source says how long it lives instead,
    /// prefer [`AccessToken::lasting`], which does not depend on this machine's clock.
    pub fn new(token: impl Into<Secret>, expires_on: SystemTime) -> Self {
        AccessToken {
            secret: token.into(),
            expiry: Expiry::At(expires_on),
            told_at: None,
            giver: None,
        }
    }

    /// A token that lives for so long from now on, as `expires_in` tells it.
    pub fn lasting(token: impl Into<Secret>, life: Duration) -> Self {
        AccessToken {
            secret: token.into(),
            expiry: Expiry::After(life),
            told_at: None,
            giver: None,
        }
    }

    /// Tells the issuer's time of day when it was handed out.
    #[cfg(any(test, feature = "entra"))]
    pub(super) fn told_at(mut self, wall: Option<SystemTime>) -> Self {
        self.told_at = wall;
        self
    }

    /// Tells which of several credentials has given it.
    #[cfg(feature = "entra")]
    pub(super) fn given_by(mut self, giver: &'static str) -> Self {
        self.giver = Some(giver);
        self
    }

    pub(super) fn giver(&self) -> Option<&'static str> {
        self.giver
    }

    #[cfg(test)]
    pub(crate) fn is(&self, secret: &Secret) -> bool {
        self.secret == *secret
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// How long it lives, where it is this time of day.
    ///
    /// A token that has just come is fresh: where it seems to be expired, or not to be issued yet, it is this machine's
    /// clock that is wrong, and the token's own claims say how long it lives.
    ///
    /// # Errors
    /// Where it has expired, or is no token at all.
    pub(super) fn life(&self, wall: SystemTime) -> Result<Life, TokenError> {
        if self.secret.expose().is_empty() || !self.secret.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::lasting(
                "the token is empty or holds characters that no HTTP header may hold; the source of the tokens has to \
                 hand out the token alone",
            ));
        }
        if self.secret.expose().len() > TOKEN_MAX {
            return Err(TokenError::lasting(format!(
                "the token is longer than {TOKEN_MAX} bytes, and no request can carry it; see whether the source hands out the \
                 token alone, and have its issuer leave out what the service does not need"
            )));
        }
        // By the issuer's clock, where that was told.
        let told = self.told_at.and_then(|told| clock_error(told, wall));
        let wall = self.told_at.unwrap_or(wall);
        let at = match self.expiry {
            Expiry::After(left) if left.is_zero() => {
                return Err(TokenError::passing(
                    "the token that came lives for no time; ask for a new one",
                ));
            }
            Expiry::After(left) => return Ok(Life { left, clock: told }),
            Expiry::At(at) => at,
        };
        let claims = Claims::of(self.secret.expose()).unwrap_or_default();
        let (issued, whole) = (claims.issued(), claims.life());
        if let Some(issued) = issued
            && let Ok(behind) = issued.duration_since(wall)
            && behind > TOLERATED
        {
            let told = at.duration_since(issued).unwrap_or_default();
            return Ok(Life {
                left: whole.unwrap_or(told),
                clock: Some(ClockError::Behind(behind)),
            });
        }
        match (at.duration_since(wall), whole) {
            (Ok(left), _) if !left.is_zero() => Ok(Life { left, clock: told }),
            (Ok(_), Some(whole)) => Ok(Life {
                left: whole,
                clock: Some(ClockError::Ahead(Duration::ZERO)),
            }),
            (Err(over), Some(whole)) => Ok(Life {
                left: whole,
                clock: Some(ClockError::Ahead(over.duration())),
            }),
            (over, None) => {
                let over = over.err().map_or(0, |over| over.duration().as_secs());
                Err(TokenError::passing(format!(
                    "the token that came had expired {over} s before, by the clock of this machine; set the clock right"
                )))
            }
        }
    }
}

/// How far this machine's clock is off, where it is worth a word.
fn clock_error(right: SystemTime, wall: SystemTime) -> Option<ClockError> {
    match right.duration_since(wall) {
        Ok(behind) if behind > TOLERATED => Some(ClockError::Behind(behind)),
        Ok(_) => None,
        Err(ahead) => Some(ahead.duration())
            .filter(|ahead| *ahead > TOLERATED)
            .map(ClockError::Ahead),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::claims::tests::jwt;

    const HOUR: u64 = 3600;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn seconds(left: u64) -> Duration {
        Duration::from_secs(left)
    }

    #[test]
    fn a_clock_that_is_an_hour_off_is_told_and_the_token_used_for_its_own_life() {
        // Issued at 10 h, for an hour, by the issuer's clock.
        let token = |secret: &str| AccessToken::new(secret, at(11 * HOUR));
        let claims = jwt(r#"{"iat":36000,"exp":39600}"#);
        let rows = [
            ("right", 10 * HOUR, Some(HOUR), None),
            ("a minute behind", 10 * HOUR - 60, Some(HOUR + 60), None),
            ("half used", 10 * HOUR + 1800, Some(1800), None),
            (
                "an hour behind",
                9 * HOUR,
                Some(HOUR),
                Some(ClockError::Behind(seconds(HOUR))),
            ),
            (
                "an hour ahead",
                11 * HOUR,
                Some(HOUR),
                Some(ClockError::Ahead(seconds(0))),
            ),
            (
                "two hours ahead",
                12 * HOUR,
                Some(HOUR),
                Some(ClockError::Ahead(seconds(HOUR))),
            ),
        ];
        for (clock, now, left, error) in rows {
            let life = token(&claims).life(at(now)).ok();
            assert_eq!(life.map(|life| life.left), left.map(seconds), "{clock}");
            assert_eq!(life.and_then(|life| life.clock), error, "{clock}");
        }
        // One that says nothing of itself cannot be told from an expired one.
        assert_eq!(token("opaque").life(at(10 * HOUR)).unwrap().left, seconds(HOUR));
        let said = token("opaque").life(at(12 * HOUR)).unwrap_err();
        assert!(
            said.is_passing() && said.to_string().contains("set the clock right"),
            "{said}"
        );
    }

    #[test]
    fn where_the_issuer_tells_its_time_of_day_that_counts() {
        let token = AccessToken::new("opaque", at(11 * HOUR)).told_at(Some(at(10 * HOUR)));
        let rows = [
            (10 * HOUR, None),
            (12 * HOUR, Some(ClockError::Ahead(seconds(2 * HOUR)))),
            (9 * HOUR, Some(ClockError::Behind(seconds(HOUR)))),
        ];
        for (wall, clock) in rows {
            let left = seconds(HOUR);
            assert_eq!(token.life(at(wall)).unwrap(), Life { left, clock });
        }
    }

    #[test]
    fn a_token_whose_life_is_told_needs_no_clock_and_shows_nowhere() {
        let token = AccessToken::lasting("canary", seconds(HOUR));
        for wall in [0, 10 * HOUR] {
            assert_eq!(token.life(at(wall)).unwrap().left, seconds(HOUR));
        }
        assert!(!format!("{token:?}").contains("canary"));
        for text in ["", "canary\n", "can ary", "can\u{e4}ry"] {
            let said = AccessToken::lasting(text, seconds(1)).life(at(0)).unwrap_err();
            assert!(!said.is_passing() && !said.to_string().contains("can"), "{said}");
        }
        assert!(AccessToken::lasting("canary", seconds(0)).life(at(0)).is_err());
    }
}
