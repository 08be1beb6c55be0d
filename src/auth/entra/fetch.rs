//! One token by one credential of the crate: the one place where they are made.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use azure_core::credentials::{Secret, TokenCredential};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, AzureDeveloperCliCredential, AzureDeveloperCliCredentialOptions,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use super::block_on::block_on;
use super::chain::Member;
use super::command::Commands;
use super::explain::{Explained, Subject, explain};
use super::http::Http;
use super::settings::EntraSettings;
use crate::auth::error::Again;
use crate::auth::{AccessToken, Identity, Stop, TokenError};
use crate::clock;

/// What a token is asked for.
pub(super) struct Fetch<'a> {
    pub(super) identity: &'a Identity,
    pub(super) settings: &'a Arc<EntraSettings>,
    pub(super) scope: &'a str,
    pub(super) stop: &'a Stop,
}

/// A credential of the crate, with what is noted while it works.
type Made = azure_core::Result<Arc<dyn TokenCredential>>;

impl Fetch<'_> {
    /// The same, for a person at a browser.
    #[cfg(feature = "browser-login")]
    pub(super) fn login(&self) -> crate::auth::login::LoginAsk<'_> {
        crate::auth::login::LoginAsk {
            identity: self.identity,
            settings: self.settings,
            scope: self.scope,
            stop: self.stop,
            date: parking_lot::Mutex::default(),
        }
    }

    /// A token by this credential, which is asked once.
    pub(super) fn by(&self, member: Member) -> Result<AccessToken, TokenError> {
        self.missing(member).map_err(TokenError::lasting)?;
        if member == Member::Workload {
            self.look_into_assertion()?;
        }
        let http = Http::new(self.settings, member == Member::Managed);
        let commands = Commands::new(self.settings, self.stop);
        let made = match member {
            Member::Environment => self.client_secret(&http),
            Member::Workload => self.workload(&http),
            Member::Managed => self.managed(&http),
            Member::Az => self.az(&commands),
            Member::Azd => self.azd(&commands),
        };
        let token = made.and_then(|credential| block_on(credential.get_token(&[self.scope], None)));
        let met = http.take_met();
        match token {
            Ok(token) => {
                let secret = token.token.secret().to_owned();
                let expires = SystemTime::from(token.expires_on);
                // By its claims, or by the clock that it was told with.
                let token = match member {
                    // The crate has added the life that was told to this machine's clock.
                    Member::Environment | Member::Workload => {
                        let life = expires.duration_since(clock::wall()).unwrap_or_default();
                        AccessToken::lasting(secret, life)
                    }
                    Member::Managed | Member::Az | Member::Azd => AccessToken::new(secret, expires),
                };
                Ok(token.told_at(met.date))
            }
            Err(error) => {
                let subject = Subject {
                    member,
                    identity: self.identity,
                    settings: self.settings,
                    scope: self.scope,
                };
                // Their words may repeat what was sent.
                let text = error.to_string();
                Err(explain(
                    &subject,
                    Explained {
                        failure: met.failure.as_ref(),
                        ended: commands.take_ended().as_ref(),
                        answered: met.answered.as_deref(),
                        text: &text,
                    },
                ))
            }
        }
    }

    /// A token of the managed identity, which is asked again where its service is not ready.
    pub(super) fn managed_with_retries(&self) -> Result<AccessToken, TokenError> {
        let mut result = self.by(Member::Managed);
        for &pause in &self.settings.limits.imds_pauses {
            let is_passing =
                matches!(&result, Err(error) if matches!(error.again(), Again::Soon(wait) if wait <= pause));
            if !is_passing || self.stop.wait(pause) {
                break;
            }
            result = self.by(Member::Managed);
        }
        result
    }

    /// What a credential needs and does not have, if anything.
    pub(super) fn missing(&self, member: Member) -> Result<(), String> {
        let (id, environment) = (self.identity, self.settings);
        let lacks = |given: bool, name: &'static str| (!given && environment.variable(name).is_none()).then_some(name);
        let missing: Vec<_> = match member {
            Member::Environment => [
                lacks(id.tenant_id.is_some(), "AZURE_TENANT_ID"),
                lacks(id.client_id.is_some(), "AZURE_CLIENT_ID"),
                lacks(id.client_secret.is_some(), "AZURE_CLIENT_SECRET"),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Member::Workload => [
                lacks(id.tenant_id.is_some(), "AZURE_TENANT_ID"),
                lacks(id.client_id.is_some(), "AZURE_CLIENT_ID"),
                lacks(false, "AZURE_FEDERATED_TOKEN_FILE"),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Member::Managed | Member::Az | Member::Azd => Vec::new(),
        };
        if missing.is_empty() {
            return Ok(());
        }
        let names = missing.join(", ");
        let is_certificate = environment.variable("AZURE_CLIENT_CERTIFICATE_PATH").is_some();
        Err(match member {
            Member::Environment if is_certificate => format!(
                "certificates (AZURE_CLIENT_CERTIFICATE_PATH) are not supported, and {names} not set; use a client secret or a \
                 federated credential"
            ),
            Member::Environment => {
                format!("{names} not set; set them, or `tenant_id`, `client_id` and `client_secret`")
            }
            _ => format!(
                "{names} not set; in a pod they are set by the workload identity webhook: label the pod \
                 azure.workload.identity/use: \"true\" and annotate its service account"
            ),
        })
    }

    /// # Errors
    /// Where the federated token's file holds nothing, which Entra ID would have no clear words for.
    fn look_into_assertion(&self) -> Result<(), TokenError> {
        let file = self.settings.variable("AZURE_FEDERATED_TOKEN_FILE").unwrap_or_default();
        // One that cannot be read is told by the crate.
        match std::fs::read_to_string(&file) {
            Ok(text) if text.trim().is_empty() => Err(TokenError::lasting(format!(
                "the federated token file {file} is empty; see whether the cluster, which is to renew it, does"
            ))),
            _ => Ok(()),
        }
    }

    fn tenant(&self) -> Option<String> {
        self.identity
            .tenant_id
            .clone()
            .or_else(|| self.settings.variable("AZURE_TENANT_ID"))
    }

    fn client(&self) -> Option<String> {
        self.identity
            .client_id
            .clone()
            .or_else(|| self.settings.variable("AZURE_CLIENT_ID"))
    }

    fn client_secret(&self, http: &Http) -> Made {
        let secret = match &self.identity.client_secret {
            Some(secret) => secret.expose().to_owned(),
            None => self.settings.variable("AZURE_CLIENT_SECRET").unwrap_or_default(),
        };
        let options = ClientSecretCredentialOptions {
            client_options: self.options(http),
        };
        let credential = ClientSecretCredential::new(
            &self.tenant().unwrap_or_default(),
            self.client().unwrap_or_default(),
            Secret::new(secret),
            Some(options),
        )?;
        Ok(credential)
    }

    fn workload(&self, http: &Http) -> Made {
        // Made anew for each token, it reads the file anew, which the cluster rotates.
        let options = WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions {
                client_options: self.options(http),
            },
            client_id: self.client(),
            tenant_id: self.tenant(),
            token_file_path: self.settings.variable("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
        };
        let credential = WorkloadIdentityCredential::new(Some(options))?;
        Ok(credential)
    }

    fn managed(&self, http: &Http) -> Made {
        let id = self.identity;
        let user_assigned_id = if let Some(id) = &id.object_id {
            Some(UserAssignedId::ObjectId(id.clone()))
        } else if let Some(id) = &id.resource_id {
            Some(UserAssignedId::ResourceId(id.clone()))
        } else {
            self.client().map(UserAssignedId::ClientId)
        };
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id,
            client_options: http.options(),
        };
        let credential = ManagedIdentityCredential::new(Some(options))?;
        Ok(credential)
    }

    fn az(&self, commands: &Commands) -> Made {
        let options = AzureCliCredentialOptions {
            tenant_id: self.identity.tenant_id.clone(),
            executor: Some(Arc::new(commands.clone())),
            subscription: None,
        };
        let credential = AzureCliCredential::new(Some(options))?;
        Ok(credential)
    }

    fn azd(&self, commands: &Commands) -> Made {
        let options = AzureDeveloperCliCredentialOptions {
            tenant_id: self.identity.tenant_id.clone(),
            executor: Some(Arc::new(commands.clone())),
        };
        let credential = AzureDeveloperCliCredential::new(Some(options))?;
        Ok(credential)
    }

    /// The options of a credential that asks Entra ID: the authority is given, as the crate reads the process's environment
    /// alone.
    fn options(&self, http: &Http) -> azure_core::http::ClientOptions {
        use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
        let mut custom = CustomConfiguration::default();
        custom.authority_host = self.settings.authority();
        azure_core::http::ClientOptions {
            cloud: Some(Arc::new(CloudConfiguration::Custom(custom))),
            ..http.options()
        }
    }
}
