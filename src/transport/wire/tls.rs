//! Whom we trust.

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};

use super::authorities::Authorities;
use super::call::CurrentCall;
use super::fault;
use crate::error::fault::{Fault, FaultKind};

/// Whom all endpoints trust, by rustls with ring unless the program has installed another provider.
pub(super) struct Trust {
    /// The authorities of a `ca_file`.
    own: Option<RootCertStore>,
    /// Made for the first connection that needs it: reading the system's certificates takes a while.
    config: OnceLock<Result<Arc<ClientConfig>, rustls::Error>>,
}

impl Trust {
    /// With a `ca_file` the authorities in it are trusted *instead of* any others, as `curl --cacert` does: who names a
    /// private authority usually wants no public one to vouch for its hosts. A file may hold both.
    pub(super) fn new(own: Option<&Authorities>) -> Self {
        let store = |own: &Authorities| {
            let mut store = RootCertStore::empty();
            // Each has been in a store before.
            store.add_parsable_certificates(own.certificates.iter().cloned());
            store
        };
        Trust {
            own: own.map(store),
            config: OnceLock::new(),
        }
    }

    /// The TLS configuration that all connections share, and with it the sessions that can be resumed.
    ///
    /// # Errors
    /// Where the system's certificates cannot be had.
    pub(super) fn config(&self, call: &CurrentCall) -> Result<Arc<ClientConfig>, Fault> {
        let made = self.config.get_or_init(|| self.make());
        made.clone()
            .map_err(|error| call.fault(FaultKind::Tls, fault::tls_words(&error)))
    }

    fn make(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let provider = CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
        let config =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let config = match &self.own {
            Some(own) => config.with_root_certificates(own.clone()),
            None => public(config, provider)?,
        };
        Ok(Arc::new(config.with_no_client_auth()))
    }
}

type Unverified = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;
type Verified = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

/// Trusts whom the operating system trusts.
#[cfg(feature = "platform-verifier")]
fn public(config: Unverified, provider: Arc<CryptoProvider>) -> Result<Verified, rustls::Error> {
    let verifier = rustls_platform_verifier::Verifier::new(provider)?;
    // Dangerous are verifiers that do not verify.
    Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
}

/// Trusts whom Mozilla trusts.
#[cfg(not(feature = "platform-verifier"))]
fn public(config: Unverified, _: Arc<CryptoProvider>) -> Result<Verified, rustls::Error> {
    let roots = webpki_roots::TLS_SERVER_ROOTS
        .iter()
        .cloned()
        .collect::<RootCertStore>();
    Ok(config.with_root_certificates(roots))
}
