//! `device_code`: the person signs in at another machine, and types a code there.

use std::time::Duration;

use oauth2::basic::BasicTokenResponse;
use oauth2::{DeviceCodeErrorResponseType, RequestTokenError, StandardDeviceAuthorizationResponse};

use super::{Client, LoginAsk, tell};
use crate::api::error_object::one_line;
use crate::auth::TokenError;

/// Shortest pause between two questions; the service names one of some seconds.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// Longest code that is shown, and longest address, in characters.
const CODE_MAX: usize = 64;
const URI_MAX: usize = 300;

/// Has a person sign in.
pub(super) fn sign_in(ask: &LoginAsk<'_>, client: &Client) -> Result<BasicTokenResponse, TokenError> {
    let limit = ask.settings.limits.login;
    let exchange = |request| ask.exchange(&request);
    let details: StandardDeviceAuthorizationResponse = client
        .exchange_device_code()
        .add_scopes(ask.scopes())
        .request(&exchange)
        .map_err(|error| ask.explain(error))?;
    tell(&format!(
        "Sign in within {} s: open {} on any machine, and enter the code {}",
        limit.min(details.expires_in()).as_secs(),
        one_line(details.verification_uri().as_str(), URI_MAX),
        one_line(details.user_code().secret(), CODE_MAX)
    ));
    let pause = |time: Duration| {
        ask.stop.wait(time.max(PAUSE_MIN));
    };
    let polled = client
        .exchange_device_access_token(&details)
        .request(&exchange, pause, Some(limit));
    polled.map_err(|error| match &error {
        RequestTokenError::ServerResponse(told) => match told.error() {
            DeviceCodeErrorResponseType::ExpiredToken | DeviceCodeErrorResponseType::AuthorizationPending => {
                TokenError::declined(
                    "nobody entered the code in time; enable the deployment or start anew for another one",
                )
            }
            error if matches!(error.as_ref(), "access_denied" | "authorization_declined") => TokenError::declined(
                "the sign-in was refused; sign in again with an account that may, by enabling the deployment or starting anew",
            ),
            _ => ask.explain(error),
        },
        RequestTokenError::Other(_) => TokenError::declined(
            "nobody entered the code in time; enable the deployment or start anew for another one",
        ),
        _ => ask.explain(error),
    })
}
