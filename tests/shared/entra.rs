//! Entra ID and its neighbours as far as tests need them: a server that answers by a function, with or without TLS, and the
//! tokens that it hands out.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as the server got it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    /// By lower-case name.
    pub(crate) headers: BTreeMap<String, String>,
    /// The fields of the query, or of the form.
    pub(crate) fields: BTreeMap<String, String>,
}

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let body = body.into();
        Answer { status, headers, body }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

type Handler = dyn Fn(&Asked) -> Answer + Send + Sync;

/// A server on a loopback port. Its threads end with the process.
pub(crate) struct Fake {
    /// `http://127.0.0.1:<port>` or `https://localhost:<port>`.
    pub(crate) url: String,
    /// Its certificate, as a `ca_file`, where it speaks TLS.
    pub(crate) ca_file: Option<tempfile::NamedTempFile>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    pub(crate) fn plain(handler: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Fake::start(Arc::new(handler), None)
    }

    pub(crate) fn secure(handler: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let mut ca_file = tempfile::NamedTempFile::new().unwrap();
        ca_file.write_all(made.cert.pem().as_bytes()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Fake::start(Arc::new(handler), Some((Arc::new(config), ca_file)))
    }

    fn start(handler: Arc<Handler>, secure: Option<(Arc<ServerConfig>, tempfile::NamedTempFile)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (config, ca_file) = secure.unzip();
        let url = match &config {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        };
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let kept = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handler, kept, config) = (Arc::clone(&handler), Arc::clone(&kept), config.clone());
                thread::spawn(move || match config {
                    Some(config) => {
                        let tls = ServerConnection::new(config).unwrap();
                        serve(StreamOwned::new(tls, stream), &*handler, &kept);
                    }
                    None => serve(stream, &*handler, &kept),
                });
            }
        });
        Fake { url, ca_file, asked }
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn ca_file(&self) -> &std::path::Path {
        self.ca_file.as_ref().unwrap().path()
    }
}

/// A port where nobody listens, and nobody will.
pub(crate) fn closed_port() -> (TcpListener, u16) {
    // Bound and not listening would need more than the standard library: one that listens, and whose queue is drained by
    // nobody, takes connections and never answers. So this one is dropped by who wants a refusal.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn serve(mut stream: impl Read + Write, handler: &Handler, kept: &Mutex<Vec<Asked>>) {
    let Some(asked) = read(&mut stream) else { return };
    kept.lock().unwrap().push(asked.clone());
    let Answer { status, headers, body } = handler(&asked);
    let mut head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    // Whoever has left does not want it.
    let _ = stream.write_all(format!("{head}\r\n{body}").as_bytes());
    let _ = stream.flush();
}

fn read(stream: &mut impl Read) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) {
            let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
            let mut lines = head.lines();
            let mut first = lines.next()?.split(' ');
            let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
            let headers: BTreeMap<String, String> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let length = headers
                .get("content-length")
                .map_or(0, |length| length.parse().unwrap());
            if bytes.len() >= end + length {
                let (path, query) = target.split_once('?').unwrap_or((&target, ""));
                let form = String::from_utf8(bytes[end..].to_vec()).ok()?;
                let fields = query.split('&').chain(form.split('&'));
                let fields = fields.filter_map(|field| field.split_once('='));
                return Some(Asked {
                    method,
                    path: path.to_owned(),
                    headers,
                    fields: fields.map(|(name, value)| (name.to_owned(), decoded(value))).collect(),
                });
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&hex, 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

pub(crate) fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}

/// A token as Entra ID issues it, for a scope or resource, issued and ending at these Unix seconds. Holds the word `canary`
/// in all its parts.
pub(crate) fn token(scope: &str, issued: u64, ends: u64) -> String {
    let audience = scope.split(' ').next().unwrap().trim_end_matches("/.default");
    let claims = format!(
        r#"{{"aud":"{audience}","iat":{issued},"exp":{ends},"tid":"tenant-of-token","oid":"object-of-token","x":"canary"}}"#
    );
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.canary", part(r#"{"alg":"RS256","kid":"canary"}"#), part(&claims))
}

/// A token that lives for an hour from now on.
pub(crate) fn fresh(scope: &str) -> String {
    token(scope, unix_now(), unix_now() + 3600)
}

/// What the token endpoint answers.
pub(crate) fn issued(asked: &Asked) -> Answer {
    let token = fresh(&asked.fields["scope"]);
    Answer::json(
        200,
        format!(r#"{{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"{token}"}}"#),
    )
}

/// What it answers when it refuses.
pub(crate) fn aadsts(status: u16, error: &str, description: &str) -> Answer {
    let code: String = description
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    Answer::json(
        status,
        format!(
            r#"{{"error":"{error}","error_description":"{description} Trace ID: 1 Correlation ID: 2 Timestamp: 3","error_codes":[{}]}}"#,
            if code.is_empty() { "0" } else { &code }
        ),
    )
}

/// What a machine's identity service answers.
pub(crate) fn identity_token(asked: &Asked) -> Answer {
    let (resource, ends) = (&asked.fields["resource"], unix_now() + 86_400);
    let token = token(resource, unix_now(), ends);
    Answer::json(
        200,
        format!(
            r#"{{"access_token":"{token}","expires_in":"86400","expires_on":"{ends}","resource":"{resource}","token_type":"Bearer"}}"#
        ),
    )
}

/// A folder with a command in it, a shell script, and the PATH that finds it there and nowhere else but for the system's own.
#[cfg(unix)]
pub(crate) fn command(name: &str, script: &str) -> (tempfile::TempDir, String) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let found = format!("{}:/usr/bin:/bin", folder.path().display());
    (folder, found)
}

/// What az answers.
pub(crate) fn az_token(scope: &str, ends: u64) -> String {
    let token = token(scope, unix_now(), ends);
    format!(
        r#"{{"accessToken":"{token}","expiresOn":"2030-01-02 03:04:05.000000","expires_on":{ends},"subscription":"s","tenant":"t","tokenType":"Bearer"}}"#
    )
}
