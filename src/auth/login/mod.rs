//! A person signs in at a browser: on this machine (`interactive`), or on another (`device_code`).
//!
//! What a person has done once holds for as long as the refresh token does, which is kept in memory and nowhere else.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::{
    AuthUrl, ClientId, DeviceAuthorizationUrl, EndpointNotSet, EndpointSet, ErrorResponse, HttpRequest, HttpResponse,
    RefreshToken, RequestTokenError, Scope, TokenResponse, TokenUrl,
};
use parking_lot::Mutex;

use super::entra::{EntraSettings, LoginSubject, Refusal, date, unreachable, with_sane_times};
use super::{AccessToken, Identity, Stop, TokenError};
use crate::transport::wire::private::PrivateRequest;

mod browser;
mod device;
#[cfg(test)]
mod tests;

/// The public client that is used where none is configured: the Azure CLI's, which every tenant knows.
const AZURE_CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// Any tenant of a company or school.
const ORGANIZATIONS: &str = "organizations";

/// Life of a token whose reply does not tell it.
const LIFE: Duration = Duration::from_secs(3600);

/// What a person has signed in for.
#[derive(Default)]
pub(super) struct Login {
    refresh: Mutex<Option<RefreshToken>>,
}

/// What a token is asked for.
pub(super) struct LoginAsk<'a> {
    pub(super) identity: &'a Identity,
    pub(super) settings: &'a Arc<EntraSettings>,
    pub(super) scope: &'a str,
    pub(super) stop: &'a Stop,
    /// The time of day that Entra ID told with its last reply.
    pub(super) date: Mutex<Option<SystemTime>>,
}

type Client = BasicClient<EndpointSet, EndpointSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

impl Login {
    /// A token for whoever signs in at a browser of this machine, or has done so.
    pub(super) fn in_browser(&self, ask: &LoginAsk<'_>) -> Result<AccessToken, TokenError> {
        self.by(ask, browser::sign_in)
    }

    /// A token for whoever signs in at another machine, or has done so.
    pub(super) fn by_device_code(&self, ask: &LoginAsk<'_>) -> Result<AccessToken, TokenError> {
        self.by(ask, device::sign_in)
    }

    fn by(
        &self,
        ask: &LoginAsk<'_>,
        sign_in: impl FnOnce(&LoginAsk<'_>, &Client) -> Result<BasicTokenResponse, TokenError>,
    ) -> Result<AccessToken, TokenError> {
        let client = ask.client()?;
        let known = self.refresh.lock().clone();
        let response = match known.map(|known| ask.refresh(&client, &known)) {
            // It holds no longer: the person is asked again.
            None | Some(Ok(None)) => sign_in(ask, &client),
            Some(Ok(Some(response))) => Ok(response),
            Some(Err(error)) => Err(error),
        };
        let response = response.map_err(|error| match ask.stop.is_thrown() {
            true => ended(),
            false => error,
        })?;
        if let Some(refresh) = response.refresh_token() {
            *self.refresh.lock() = Some(refresh.clone());
        }
        let life = response.expires_in().unwrap_or(LIFE);
        let token = AccessToken::lasting(response.access_token().secret().clone(), life);
        Ok(token.told_at(*ask.date.lock()))
    }
}

impl LoginAsk<'_> {
    fn client(&self) -> Result<Client, TokenError> {
        let variable = |name| self.settings.variable(name);
        let tenant = self.identity.tenant_id.clone().or_else(|| variable("AZURE_TENANT_ID"));
        let tenant = tenant.unwrap_or_else(|| ORGANIZATIONS.to_owned());
        let app = self.identity.client_id.clone().unwrap_or_else(|| AZURE_CLI.to_owned());
        let authority = self.settings.authority();
        let wrong = |_| {
            TokenError::lasting(format!(
                "the authority {authority} is no https:// URL; correct AZURE_AUTHORITY_HOST"
            ))
        };
        if !authority.starts_with("https://") {
            return Err(TokenError::lasting(format!(
                "the authority {authority} is no https:// URL; correct AZURE_AUTHORITY_HOST"
            )));
        }
        let url = |path: &str| format!("{authority}/{tenant}/oauth2/v2.0/{path}");
        Ok(BasicClient::new(ClientId::new(app))
            .set_auth_uri(AuthUrl::new(url("authorize")).map_err(wrong)?)
            .set_token_uri(TokenUrl::new(url("token")).map_err(wrong)?)
            .set_device_authorization_url(DeviceAuthorizationUrl::new(url("devicecode")).map_err(wrong)?))
    }

    /// What is asked for: the service's scope, and that later tokens can be had without the person.
    fn scopes(&self) -> impl Iterator<Item = Scope> {
        let all = [self.scope, "openid", "profile", "offline_access"];
        all.into_iter().map(|scope| Scope::new(scope.to_owned()))
    }

    /// A token for what the person has signed in for before; none where that holds no longer.
    fn refresh(&self, client: &Client, known: &RefreshToken) -> Result<Option<BasicTokenResponse>, TokenError> {
        let request = client.exchange_refresh_token(known).add_scopes(self.scopes());
        match request.request(&|request| self.exchange(&request)) {
            Ok(response) => Ok(Some(response)),
            Err(RequestTokenError::ServerResponse(told)) if needs_person(told.error().as_ref()) => Ok(None),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// One exchange with Entra ID.
    fn exchange(&self, request: &HttpRequest) -> Result<HttpResponse, Unreached> {
        let limits = &self.settings.limits;
        let host = request.uri().host().unwrap_or_default().to_owned();
        if self.stop.is_thrown() {
            // After an error the crate would go on asking until the code's end.
            let mut response = HttpResponse::new(br#"{"error":"expired_token"}"#.to_vec());
            *response.status_mut() = ureq::http::StatusCode::BAD_REQUEST;
            return Ok(response);
        }
        let headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        let reply = self.settings.client.exchange(&PrivateRequest {
            method: request.method().as_str(),
            url: &request.uri().to_string(),
            headers: &headers,
            body: request.body(),
            proxied: true,
            connect: limits.connect,
            total: limits.total,
        });
        let reply = reply.map_err(|fault| Unreached(unreachable(&host, &fault)))?;
        *self.date.lock() = date(&reply);
        if reply.status == 429 || reply.status >= 500 {
            return Err(Unreached(self.subject().refused_by(&Refusal::of(host, reply))));
        }
        let mut response = HttpResponse::new(with_sane_times(reply.body));
        *response.status_mut() = ureq::http::StatusCode::from_u16(reply.status).unwrap_or_default();
        for (name, value) in reply.headers.as_map() {
            response.headers_mut().append(name, value.clone());
        }
        Ok(response)
    }

    /// Why there is no token.
    fn explain<T: ErrorResponse + fmt::Display>(&self, error: RequestTokenError<Unreached, T>) -> TokenError {
        match error {
            RequestTokenError::Request(Unreached(error)) => error,
            // `error: description`, of which the description has the code.
            RequestTokenError::ServerResponse(told) => self.subject().refused(&told.to_string()),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => TokenError::lasting(format!(
                "{} does not answer as Entra ID does; see whether AZURE_AUTHORITY_HOST is right",
                self.settings.authority()
            )),
        }
    }

    fn subject(&self) -> LoginSubject<'_> {
        LoginSubject {
            identity: self.identity,
            settings: self.settings,
            scope: self.scope,
        }
    }
}

/// Whether a refresh token is of no use without the person who has signed in: it has ended, or more is asked of them.
fn needs_person(error: &str) -> bool {
    matches!(
        error,
        "invalid_grant" | "interaction_required" | "login_required" | "consent_required"
    )
}

/// Nobody waits any more.
fn ended() -> TokenError {
    TokenError::declined("the sign-in was ended with the program; start anew")
}

/// Entra ID did not answer, or has trouble of its own.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Unreached(TokenError);

/// Tells the person at the terminal what to do.
fn tell(words: &str) {
    log::info!("a person is asked to sign in");
    // Whoever has closed it does not want to be told.
    let _ = writeln!(std::io::stderr(), "{words}");
}
