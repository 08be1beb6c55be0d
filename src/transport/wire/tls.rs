//! Whom we trust.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

/// Why a file of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("ca_file{}: {problem}", shown(path.as_deref()))]
pub(crate) struct CaFileError {
    /// The file; none where there is no such file, for what was named may then be anything, a key among it.
    path: Option<PathBuf>,
    problem: String,
}

fn shown(path: Option<&Path>) -> String {
    path.map(|path| format!(" {}", path.display())).unwrap_or_default()
}

/// The TLS configuration that all endpoints share: rustls with ring, certificates verified.
///
/// With a `ca_file` the authorities in it are trusted *instead of* any others, as `curl --cacert` does: who names a
/// private authority usually wants no public one to vouch for its hosts. A file may hold both.
pub(super) fn config(ca_file: Option<&Path>) -> Result<TlsConfig, CaFileError> {
    let roots = match ca_file {
        Some(path) => RootCerts::Specific(Arc::new(authorities(path)?)),
        None if cfg!(feature = "platform-verifier") => RootCerts::PlatformVerifier,
        None => RootCerts::WebPki,
    };
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(roots)
        .build())
}

/// The certificates in a PEM file, at least one, each usable as an authority.
fn authorities(path: &Path) -> Result<Vec<Certificate<'static>>, CaFileError> {
    let wrong = |problem: String| CaFileError {
        path: Some(path.to_owned()),
        problem,
    };
    let pem = fs::read(path).map_err(|error| CaFileError {
        path: None,
        problem: format!("reading the file that it names: {error}; a relative path starts at the working directory"),
    })?;
    let mut certificates = Vec::new();
    // The client would skip what it cannot use, and then trust nobody without saying why.
    let mut store = RootCertStore::empty();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| wrong(error.to_string()))? {
            let number = certificates.len() + 1;
            let der = CertificateDer::from(certificate.der());
            store
                .add(der)
                .map_err(|error| wrong(format!("certificate {number} cannot be used as an authority: {error}")))?;
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(wrong(
            "there is no certificate in it (-----BEGIN CERTIFICATE-----)".into(),
        ));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_file_without_a_usable_certificate_is_refused_by_name() {
        let check = |content: &str, hint: &str| {
            let file = file(content);
            let message = config(Some(file.path())).unwrap_err().to_string();
            assert!(message.contains(hint), "{message}");
            assert!(message.contains(&*file.path().to_string_lossy()), "{message}");
        };
        check("", "no certificate");
        check("hello", "no certificate");
        check(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "certificate 1",
        );
        let message = config(Some(Path::new("/nonexistent/canary"))).unwrap_err().to_string();
        assert!(
            message.contains("ca_file: reading the file") && !message.contains("canary"),
            "{message}"
        );
    }

    #[test]
    fn a_file_of_authorities_is_read() {
        let one = rcgen::generate_simple_self_signed(["localhost".to_owned()])
            .unwrap()
            .cert
            .pem();
        let two = file(&format!("a comment\n{one}{one}"));
        assert_eq!(authorities(two.path()).unwrap().len(), 2);
    }
}
