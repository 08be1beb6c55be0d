//! What the HTTP client's errors mean.
//!
//! Our own parts of it (sockets, dialling) know what happened and say it with a [`Fault`], which travels through the
//! client wrapped; only what the client itself found wrong must be translated.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;
use ureq::Error;

use super::call::CurrentCall;
use crate::error::fault::{Fault, FaultKind, TimeoutKind};

/// `fault` as the client passes it on.
pub(super) fn wrap(fault: Fault) -> Error {
    Error::Other(Box::new(fault))
}

/// What `error` means for `call`.
pub(super) fn of(error: Error, call: &CurrentCall) -> Fault {
    if let Some(fault) = carried(&error) {
        // Made where it happened, so its kind and phase are those of that moment.
        return fault.clone();
    }
    let (kind, message) = translated(&error);
    call.fault(kind, message)
}

/// What an error of reading a body means for `call`.
pub(super) fn of_read(error: io::Error, call: &CurrentCall) -> Fault {
    of(Error::from(error), call)
}

/// What an error of a socket, or of TLS over it, means for `call`.
pub(super) fn of_io(error: &io::Error, call: &CurrentCall) -> Fault {
    let (kind, message) = translated_io(error);
    call.fault(kind, message)
}

/// The [`Fault`] inside, through any number of wrappers.
fn carried(error: &Error) -> Option<&Fault> {
    let mut source: Option<&(dyn StdError + 'static)> = match error {
        Error::Other(inner) => Some(&**inner),
        Error::Io(inner) | Error::Decompress(_, inner) => inner.get_ref().map(|inner| inner as _),
        _ => None,
    };
    while let Some(inner) = source {
        if let Some(fault) = inner.downcast_ref::<Fault>() {
            return Some(fault);
        }
        source = match inner.downcast_ref::<Error>() {
            Some(error) => return carried(error),
            None => match inner.downcast_ref::<io::Error>() {
                Some(error) => error.get_ref().map(|inner| inner as _),
                None => inner.source(),
            },
        };
    }
    None
}

fn translated(error: &Error) -> (FaultKind, String) {
    match error {
        Error::Io(inner) => translated_io(inner),
        Error::Tls(_) | Error::TlsRequired => (FaultKind::Tls, error.to_string()),
        Error::Decompress(_, inner) if is_closed(inner) => {
            (FaultKind::Closed, "the compressed body ends before its end".to_owned())
        }
        Error::LargeResponseHeader(..) => (FaultKind::TooLarge, "the reply's head is too large".to_owned()),
        Error::BodyExceedsLimit(_) => (FaultKind::TooLarge, error.to_string()),
        Error::HostNotFound => (FaultKind::Dns, error.to_string()),
        Error::ConnectionFailed | Error::InvalidProxyUrl => (FaultKind::Connect, error.to_string()),
        // We set none of the client's timeouts, so this is for completeness.
        Error::Timeout(_) => (FaultKind::Timeout(TimeoutKind::Attempt), error.to_string()),
        _ => (FaultKind::Protocol, error.to_string()),
    }
}

fn translated_io(error: &io::Error) -> (FaultKind, String) {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner) => (FaultKind::Tls, tls_words(inner)),
        None if error.kind() == io::ErrorKind::UnexpectedEof => (
            FaultKind::Closed,
            "the peer closed the connection before the end of the reply".to_owned(),
        ),
        None => (FaultKind::Closed, error.to_string()),
    }
}

/// Whether the peer has closed or reset the connection.
pub(super) fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
    )
}

/// A TLS error in words, with what may be done where that is known.
pub(super) fn tls_words(error: &rustls::Error) -> String {
    let hint = match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "; where TLS is inspected on the way, or the service has a certificate of your own, name its authority in ca_file"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. } | CertificateError::NotValidYet,
        ) => "; is this machine's clock right?",
        rustls::Error::InvalidMessage(_) => "; does the service speak TLS on this port?",
        _ => "",
    };
    format!("{error}{hint}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;
    use crate::error::fault::Phase;
    use crate::transport::Limits;
    use crate::transport::gate::Interrupt as _;

    fn call() -> std::sync::Arc<CurrentCall> {
        let second = Duration::from_secs(1);
        let limits = Limits {
            connect: second,
            first_byte: second,
            first_content: second,
            idle: second,
            deadline: clock::now() + second,
        };
        CurrentCall::new(0, limits, std::sync::Arc::new([]))
    }

    #[test]
    fn a_fault_of_ours_comes_through_every_wrapper() {
        let fault = Fault::new(FaultKind::Timeout(TimeoutKind::Idle), Phase::Written, "x");
        let layers: [fn(Fault) -> Error; 4] = [
            wrap,
            |fault| Error::Io(io::Error::other(fault)),
            |fault| Error::Io(wrap(fault).into_io()),
            |fault| Error::Decompress("gzip", io::Error::other(io::Error::other(wrap(fault).into_io()))),
        ];
        for layer in layers {
            assert_eq!(of(layer(fault.clone()), &call()), fault);
        }
        assert_eq!(of_read(wrap(fault.clone()).into_io(), &call()), fault);
    }

    #[test]
    fn each_error_of_the_client_has_its_kind() {
        let check = |error: Error, kind| {
            let shown = format!("{error:?}");
            assert_eq!(of(error, &call()).kind, kind, "{shown}");
        };
        let io = |kind: io::ErrorKind| Error::Io(io::Error::from(kind));
        let tls = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        check(io(io::ErrorKind::UnexpectedEof), FaultKind::Closed);
        check(io(io::ErrorKind::ConnectionReset), FaultKind::Closed);
        check(
            Error::Io(io::Error::new(io::ErrorKind::InvalidData, tls())),
            FaultKind::Tls,
        );
        check(Error::Tls("x"), FaultKind::Tls);
        check(Error::LargeResponseHeader(2, 1), FaultKind::TooLarge);
        check(Error::HostNotFound, FaultKind::Dns);
        check(Error::BadUri("x".into()), FaultKind::Protocol);
        check(
            Error::Decompress("gzip", io::ErrorKind::UnexpectedEof.into()),
            FaultKind::Closed,
        );
        check(
            Error::Decompress("gzip", io::ErrorKind::InvalidInput.into()),
            FaultKind::Protocol,
        );
    }

    #[test]
    fn an_error_that_a_cancel_brought_about_is_the_cancel() {
        let call = call();
        call.interrupt();
        assert_eq!(
            of(Error::Io(io::ErrorKind::UnexpectedEof.into()), &call).kind,
            FaultKind::Cancelled
        );
    }

    #[test]
    fn a_certificate_of_an_unknown_authority_names_the_remedy() {
        let error = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert!(tls_words(&error).contains("ca_file"), "{}", tls_words(&error));
    }
}
