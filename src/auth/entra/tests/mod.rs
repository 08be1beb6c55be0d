//! Each credential against a local stand-in of what it asks: its token reaches the simulator, and what can go wrong has a
//! sentence of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::auth::AccessToken;
use crate::clock;
use crate::transport::wire::WireSettings;
use crate::transport::wire::private::PrivateClient;
use fakes::*;

#[path = "../../../../tests/shared/entra.rs"]
pub(in crate::auth) mod fakes;

#[cfg(unix)]
mod commands;
mod managed;
mod secrets;
#[cfg(feature = "sim")]
mod whole;

pub(in crate::auth) const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

/// What a credential finds around it.
pub(in crate::auth) struct Around {
    pub(in crate::auth) variables: HashMap<String, String>,
    pub(in crate::auth) limits: EntraLimits,
    pub(in crate::auth) ca_file: Option<std::path::PathBuf>,
}

impl Around {
    /// Nothing: no variable, no identity service, no command.
    pub(in crate::auth) fn nothing() -> Self {
        let (listener, port) = closed_port();
        drop(listener);
        let limits = EntraLimits {
            imds: format!("http://127.0.0.1:{port}"),
            imds_pauses: vec![Duration::from_millis(1)],
            opens_browser: false,
            ..EntraLimits::default()
        };
        Around {
            variables: [("PATH".to_owned(), "/nonexistent".to_owned())].into(),
            limits,
            ca_file: None,
        }
    }

    pub(in crate::auth) fn with(mut self, variables: &[(&str, &str)]) -> Self {
        let pairs = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.variables.extend(pairs);
        self
    }

    /// This stands in for Entra ID.
    pub(in crate::auth) fn authority(mut self, entra: &Fake) -> Self {
        self.ca_file = Some(entra.ca_file().to_owned());
        self.with(&[("AZURE_AUTHORITY_HOST", &entra.url)])
    }

    /// This stands in for the machine's identity service.
    pub(in crate::auth) fn imds(mut self, service: &Fake) -> Self {
        self.limits.imds.clone_from(&service.url);
        self
    }

    pub(in crate::auth) fn settings(&self) -> Arc<EntraSettings> {
        let wire = WireSettings {
            proxy: Some(String::new()),
            ca_file: self.ca_file.clone(),
            ..WireSettings::default()
        };
        let variables = self.variables.clone();
        Arc::new(EntraSettings {
            variables: Arc::new(move |name: &str| variables.get(name).cloned()),
            client: Arc::new(PrivateClient::new(&wire).unwrap()),
            limits: self.limits.clone(),
        })
    }

    pub(in crate::auth) fn source(&self, credential: EntraCredential) -> EntraSource {
        self.source_of(&identity(credential))
    }

    pub(in crate::auth) fn source_of(&self, identity: &Identity) -> EntraSource {
        EntraSource::new(identity, self.settings())
    }

    /// The credential is asked once.
    pub(in crate::auth) fn ask(&self, credential: EntraCredential) -> Result<AccessToken, TokenError> {
        self.source(credential).ask(SCOPE, &Stop::default())
    }
}

/// An identity of which nothing is configured.
pub(in crate::auth) fn identity(credential: EntraCredential) -> Identity {
    Identity {
        credential,
        tenant_id: None,
        client_id: None,
        object_id: None,
        resource_id: None,
        client_secret: None,
    }
}

/// The error's text, which holds each of `words`, and whether it may pass.
#[track_caller]
pub(in crate::auth) fn said(result: Result<AccessToken, TokenError>, is_passing: bool, words: &[&str]) -> String {
    let error = result.expect_err("no token");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert_eq!(error.is_passing(), is_passing, "{text}");
    assert!(!text.contains("canary"), "{text}");
    assert!(text.len() < 2_000, "{text}");
    text
}
