//! The certificate authorities in a file.
//!
//! Such files are put together by hand and by scripts, so what is around the certificates is passed over: a byte order mark,
//! UTF-16 (as PowerShell writes it), comments, keys, blanks. Certificates that cannot be used are passed over too, and
//! warned of, as long as there is one that can.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Why a file of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("ca_file{}: {problem}", shown(path.as_deref()))]
pub(crate) struct CaFileError {
    /// The file; none where there is no such file, for what was named may then be anything, a key among it.
    path: Option<PathBuf>,
    problem: String,
    /// Why it could not be read.
    pub(super) cause: Option<io::Error>,
}

fn shown(path: Option<&Path>) -> String {
    path.map(|path| format!(" {}", path.display())).unwrap_or_default()
}

/// The certificates of a file that can be used as authorities, at least one.
#[derive(Debug)]
pub(super) struct Authorities {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// What is said of those that cannot.
    pub(super) warning: Option<String>,
}

/// Largest file that is read. That of all public authorities has a quarter of a megabyte.
const MOST_BYTES: u64 = 16 << 20;
/// Certificates of which it is said why they cannot be used.
const SHOWN: usize = 3;

const CERTIFICATE: &str = "CERTIFICATE";
/// What older tools write, and means the same.
const X509: &str = "X509 CERTIFICATE";
/// With more after the certificate than that.
const OPENSSL: &str = "TRUSTED CERTIFICATE";

impl Authorities {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Where it cannot be read, or no certificate in it can be used.
    pub(super) fn read(path: &Path) -> Result<Self, CaFileError> {
        let bytes = bytes(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CaFileError {
                path: None,
                problem: format!(
                    "reading the file that it names: {error}; a relative path starts at the working directory"
                ),
                cause: Some(error),
            },
            _ => CaFileError {
                path: Some(path.to_owned()),
                problem: error.to_string(),
                cause: Some(error),
            },
        })?;
        Self::of(&bytes, path).map_err(|problem| CaFileError {
            path: Some(path.to_owned()),
            problem,
            cause: None,
        })
    }

    fn of(bytes: &[u8], path: &Path) -> Result<Self, String> {
        let mut store = RootCertStore::empty();
        let mut certificates = Vec::new();
        let mut bad = Vec::new();
        let text = text(bytes);
        let blocks = blocks(&text);
        for (index, block) in blocks.iter().enumerate() {
            match usable(block, &mut store) {
                Ok(certificate) => certificates.push(certificate),
                Err(why) => bad.push(format!("certificate {}: {why}", index + 1)),
            }
        }
        if blocks.is_empty() {
            return Err(nothing_in(bytes, &text));
        }
        let (count, all) = (bad.len(), blocks.len());
        let more = match count.saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        bad.truncate(SHOWN);
        let why = bad.join("; ") + &more;
        if certificates.is_empty() {
            return Err(format!("no certificate in it can be used as an authority: {why}"));
        }
        let file = path.display();
        Ok(Authorities {
            certificates,
            warning: (count > 0).then(|| {
                format!("ca_file {file}: {count} of {all} certificates cannot be used and are passed over: {why}")
            }),
        })
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::other("it is larger than 16 MiB"));
    }
    Ok(bytes)
}

/// The text of a file, whatever it is written in; characters that make no sense matter in comments only.
fn text(bytes: &[u8]) -> String {
    let utf16 = |of: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|two| of([two[0], two[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes),
        _ => {
            let text = String::from_utf8_lossy(bytes);
            text.trim_start_matches('\u{feff}').to_owned()
        }
    }
}

/// What stands between the marks of a certificate, without them.
enum Block {
    Whole(String),
    Useless(&'static str),
}

/// The certificates in `text`, in their order.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    let unfinished = || Block::Useless("its end is missing");
    for line in text.split(['\n', '\r']).map(str::trim) {
        let mark = |begin: &str| line.strip_prefix(begin)?.strip_suffix("-----");
        if let Some(label) = mark("-----BEGIN ") {
            blocks.extend(open.take().map(|_| unfinished()));
            match label {
                CERTIFICATE | X509 => open = Some(String::new()),
                OPENSSL => blocks.push(Block::Useless(
                    "it is in a form of OpenSSL's own; `openssl x509 -in FILE` writes the usual one",
                )),
                _ => {}
            }
        } else if mark("-----END ").is_some() {
            blocks.extend(open.take().map(Block::Whole));
        } else if let Some(body) = &mut open {
            body.push_str(line);
            body.push('\n');
        }
    }
    blocks.extend(open.map(|_| unfinished()));
    blocks
}

/// The certificate in `block`, which `store` takes as an authority.
fn usable(block: &Block, store: &mut RootCertStore) -> Result<CertificateDer<'static>, String> {
    let body = match block {
        Block::Whole(body) => body,
        Block::Useless(why) => return Err((*why).to_owned()),
    };
    let pem = format!("-----BEGIN {CERTIFICATE}-----\n{body}-----END {CERTIFICATE}-----\n");
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())?;
    store.add(certificate.clone()).map_err(|error| error.to_string())?;
    Ok(certificate)
}

/// What is said of a file without a certificate that we know.
fn nothing_in(bytes: &[u8], text: &str) -> String {
    let hint = match bytes {
        // A sequence of DER with a length of two bytes.
        [0x30, 0x82, ..] => "; it looks like DER: `openssl x509 -inform der -in FILE` writes PEM",
        _ if text.contains("-----BEGIN PKCS7-----") => {
            "; it is PKCS #7: `openssl pkcs7 -print_certs -in FILE` writes PEM"
        }
        _ => "",
    };
    format!("there is no certificate in it (-----BEGIN CERTIFICATE-----){hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> String {
        let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        authority.cert.pem()
    }

    fn of(bytes: impl AsRef<[u8]>) -> Result<Authorities, String> {
        Authorities::of(bytes.as_ref(), Path::new("company.pem"))
    }

    /// Checks that so many certificates are found, and that nothing is said of them.
    fn check(origin: &str, bytes: impl AsRef<[u8]>, count: usize) {
        let found = of(bytes).unwrap_or_else(|error| panic!("{origin}: {error}"));
        assert_eq!((found.certificates.len(), &found.warning), (count, &None), "{origin}");
    }

    fn refused(bytes: impl AsRef<[u8]>, words: &str) {
        let error = of(bytes).unwrap_err();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn what_is_around_the_certificates_is_passed_over() {
        let (one, two) = (pem(), pem());
        let both = format!("{one}{two}");
        check("plain", &both, 2);
        check("the same twice", format!("{one}{one}"), 2);
        check("a byte order mark", format!("\u{feff}{both}"), 2);
        check(
            "two of them, by joining files",
            format!("\u{feff}{one}\u{feff}\n{two}"),
            2,
        );
        check("CRLF", both.replace('\n', "\r\n"), 2);
        check("CR", both.replace('\n', "\r"), 2);
        check("no line at the end", both.trim_end(), 2);
        check(
            "blanks",
            both.lines().map(|line| format!("  {line} \n")).collect::<String>(),
            2,
        );
        check("X509", both.replace(CERTIFICATE, X509), 2);
        check("a Latin-1 comment", [b"# Z\xfcrich\n", both.as_bytes()].concat(), 2);
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        check("a key", format!("{one}{key}{two}"), 2);
        for units in [u16::to_le_bytes, u16::to_be_bytes] {
            let text = format!("\u{feff}{both}").replace('\n', "\r\n");
            let bytes: Vec<u8> = text.encode_utf16().flat_map(units).collect();
            check("UTF-16", bytes, 2);
        }
    }

    #[test]
    fn one_bad_certificate_among_145_is_passed_over_with_a_warning() {
        let good = pem();
        let lines: Vec<&str> = good.lines().collect();
        for (bad, why) in [
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
                "certificate 7: ",
            ),
            (
                "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n".to_owned(),
                "base64",
            ),
            (
                "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".to_owned(),
                "certificate 7: ",
            ),
            (good.replacen(lines[2], &lines[2][1..], 1), "certificate 7: "),
            (lines[..3].join("\n") + "\n", "certificate 7: its end is missing"),
            (good.replace(CERTIFICATE, OPENSSL), "openssl x509"),
        ] {
            let all = [good.repeat(6), bad, good.repeat(139)].concat();
            let found = of(all).unwrap();
            assert_eq!(found.certificates.len(), 145);
            let warning = found.warning.unwrap();
            let said = "ca_file company.pem: 1 of 146 certificates cannot be used and are passed over: ";
            assert!(warning.starts_with(said) && warning.contains(why), "{warning}");
        }
        let cut = format!("{good}{}", lines[..4].join("\n"));
        assert!(
            of(cut)
                .unwrap()
                .warning
                .unwrap()
                .contains("certificate 2: its end is missing")
        );
        let many = format!("{}{good}", "-----BEGIN CERTIFICATE-----\nAAAA\n".repeat(9));
        assert!(of(many).unwrap().warning.unwrap().ends_with("; and 6 more"));
    }

    #[test]
    fn a_file_without_a_certificate_that_can_be_used_is_refused() {
        for nothing in [
            "",
            "hello",
            "\u{feff}",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            refused(nothing, "there is no certificate in it");
        }
        refused([0x30, 0x82, 5, 0], "it looks like DER");
        refused("-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", "openssl pkcs7");
        let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        refused(
            bad.repeat(2),
            "no certificate in it can be used as an authority: certificate 1: ",
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_and_what_names_none_is_not() {
        for (path, begins) in [("/nonexistent/canary", "ca_file: reading"), ("/", "ca_file /: ")] {
            let error = Authorities::read(Path::new(path)).unwrap_err().to_string();
            assert!(error.starts_with(begins) && !error.contains("canary"), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_without_end_is_refused() {
        let error = Authorities::read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(error, "ca_file /dev/zero: it is larger than 16 MiB");
    }
}
