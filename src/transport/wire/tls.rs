//! Whom we trust.

use std::sync::Arc;

use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use super::authorities::Authorities;

/// The TLS configuration that all endpoints share: rustls with ring, certificates verified.
///
/// With a `ca_file` the authorities in it are trusted *instead of* any others, as `curl --cacert` does: who names a
/// private authority usually wants no public one to vouch for its hosts. A file may hold both.
pub(super) fn config(own: Option<&Authorities>) -> TlsConfig {
    let roots = match own {
        Some(own) => {
            let certificates = own.certificates.iter().map(|der| Certificate::from_der(der).to_owned());
            RootCerts::Specific(Arc::new(certificates.collect()))
        }
        None if cfg!(feature = "platform-verifier") => RootCerts::PlatformVerifier,
        None => RootCerts::WebPki,
    };
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(roots)
        .build()
}
