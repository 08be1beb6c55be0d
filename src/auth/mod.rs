//! Tokens of Microsoft Entra ID, or of a provider of your own: where they come from, and when new ones are fetched.
//!
//! A deployment that signs in with tokens names a source of them ([`Auth::entra`](crate::Auth::entra), or
//! [`Auth::custom`](crate::Auth::custom) for a [`TokenProvider`]). Deployments that name the same source share its tokens. A
//! token is fetched before it is needed, on a thread of its source's own: a deployment without one is not ready, and no
//! worker ever waits for it.
//!
//! ```
//! use azure_openai_blaster::auth::EntraCredential;
//! use azure_openai_blaster::{Auth, BlasterConfig, DeploymentConfig};
//!
//! // `"api_key": "managed"` and `"client_id": "…"` in a configuration file.
//! let east = DeploymentConfig::new("east", "https://east.openai.azure.com", "gpt-4o")
//!     .auth(Auth::entra(EntraCredential::Managed))
//!     .client_id("00000000-0000-0000-0000-000000000000");
//! assert!(BlasterConfig::new([east]).validate().is_ok());
//! ```
//!
//! [`Blaster::credentials`](crate::Blaster::credentials) reports on each source: its token, or why there is none.
//!
//! `docs/credentials.md` in the repository says what each credential needs and where it works. A source of tokens of your own
//! implements [`TokenProvider`].

// Inside, in reading order:
// 1. `token`, `claims`: a token, how long it lives, and what it says of itself
// 2. `cache`: when a source is asked for a token; pure
// 3. `sign_in`: what a deployment concludes from a token that the service refused; pure
// 4. `tokens`: all sources and deployments together, as one value that a test can lead through hours in a moment; pure
// 5. `keeper`: the threads around it

pub use claims::Claims;
pub use error::TokenError;
pub use kind::EntraCredential;
pub use provider::{CustomProvider, TokenProvider};
pub use report::{CredentialReport, TokenReport};
pub use token::AccessToken;

pub(crate) use identity::Identity;
pub(crate) use keeper::{Keeper, Listener, NoToken, Source};
pub(crate) use provider::Ask;
#[cfg(not(feature = "entra"))]
pub(crate) use provider::Lacking;
pub(crate) use sign_in::{OnRefusal, Refusal};
#[cfg(feature = "entra")]
pub(crate) use stop::Stop;
pub(crate) use tokens::{Availability, CachePlan, News, Pass, Plan};
#[cfg(test)]
pub(crate) use {cache::Next, claims::tests::jwt, tokens::Tokens};

mod cache;
mod claims;
#[cfg(feature = "entra")]
pub(crate) mod entra;
mod error;
mod identity;
mod keeper;
mod kind;
#[cfg(feature = "browser-login")]
mod login;
mod provider;
mod report;
mod sign_in;
mod stop;
mod token;
mod tokens;
