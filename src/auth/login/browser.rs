//! `interactive`: authorisation code with PKCE, on a loopback redirect.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use oauth2::basic::BasicTokenResponse;
use oauth2::{AuthorizationCode, CsrfToken, PkceCodeChallenge, RedirectUrl};

use super::{Client, LoginAsk, ended, tell};
use crate::auth::TokenError;
use crate::clock;

/// How often it is looked whether the browser has come.
const LOOK: Duration = Duration::from_millis(50);

/// Longest time that a connection of the browser may take for its request; it costs nobody else any.
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// Longest request of the browser.
const REQUEST_MAX: usize = 64 * 1024;

/// Most connections that are kept; of more the oldest is closed.
const VISITORS_MAX: usize = 32;

/// Has a person sign in.
pub(super) fn sign_in(ask: &LoginAsk<'_>, client: &Client) -> Result<BasicTokenResponse, TokenError> {
    let limits = &ask.settings.limits;
    let (listeners, port) = listen(limits.login_port).map_err(|error| {
        TokenError::lasting(format!(
            "there is no port {}for the browser's answer on this machine ({error}); end the program that has it, or sign in by \
             `device_code`",
            if limits.login_port == 0 { String::new() } else { format!("{} ", limits.login_port) }
        ))
    })?;
    let redirect = RedirectUrl::new(format!("http://localhost:{port}"))
        .map_err(|_| TokenError::lasting("the redirect makes no sense, which is a mistake of ours; report it"))?;
    let client = client.clone().set_redirect_uri(redirect);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scopes(ask.scopes())
        .add_extra_param("prompt", "select_account")
        .set_pkce_challenge(challenge)
        .url();
    tell(&format!(
        "Sign in within {} s at the browser that opens now. If none does, open this address on this machine:\n{url}",
        limits.login.as_secs()
    ));
    if limits.opens_browser {
        // On a thread of its own: one for terminals runs until it is left, and we are to hear what it brings meanwhile.
        let url = url.clone();
        let opened = thread::Builder::new().spawn(move || {
            if let Err(error) = webbrowser::open(url.as_str()) {
                log::debug!("no browser could be opened: {error}");
            }
        });
        if let Err(error) = opened {
            log::debug!("no thread for the browser: {error}");
        }
    }
    let code = await_answer(ask, &listeners, state.secret())?;
    client
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(verifier)
        .request(&|request| ask.exchange(&request))
        .map_err(|error| ask.explain(error))
}

/// Listens where browsers look for `localhost`: in both families of addresses, as far as there are.
fn listen(port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let port = first.local_addr()?.port();
    let second = TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    let listeners: Vec<_> = [Some(first), second.ok()].into_iter().flatten().collect();
    for listener in &listeners {
        listener.set_nonblocking(true)?;
    }
    Ok((listeners, port))
}

/// The code that the browser brings.
fn await_answer(ask: &LoginAsk<'_>, listeners: &[TcpListener], state: &str) -> Result<String, TokenError> {
    let until = clock::now() + ask.settings.limits.login;
    let mut visitors: Vec<Visitor> = Vec::new();
    loop {
        for listener in listeners {
            while let Ok((stream, _)) = listener.accept() {
                if visitors.len() == VISITORS_MAX {
                    visitors.remove(0);
                }
                visitors.extend(Visitor::of(stream));
            }
        }
        let now = clock::now();
        let mut answer = None;
        visitors.retain_mut(|visitor| match visitor.read(now) {
            _ if answer.is_some() => true,
            Reading::Goes => true,
            Reading::Over => false,
            Reading::Done(head) => {
                answer = answer_in(&head, state);
                visitor.reply(answer.as_ref());
                false
            }
        });
        if let Some(answer) = answer {
            return answer.map_err(|refusal| {
                TokenError::declined(match ask.subject().by_code(&refusal) {
                    Some(text) => format!("the sign-in was refused in the browser: {text}"),
                    None => format!(
                        "the sign-in was refused in the browser{}; sign in again with an account that may, by enabling the \
                         deployment or starting anew",
                        ask.subject().said(&refusal)
                    ),
                })
            });
        }
        if now >= until {
            return Err(TokenError::declined(format!(
                "nobody signed in at the browser within {} s; enable the deployment or start anew for another try, or sign in by \
                 `device_code`",
                ask.settings.limits.login.as_secs_f64()
            )));
        }
        if ask.stop.wait(LOOK) {
            return Err(ended());
        }
    }
}

/// A connection of the browser, or of whoever else is on this machine. Browsers open some ahead of need, on which nothing
/// comes: none is waited for.
struct Visitor {
    stream: TcpStream,
    head: Vec<u8>,
    until: Instant,
}

/// What has come of a request.
enum Reading {
    Goes,
    Done(String),
    /// It comes to nothing.
    Over,
}

impl Visitor {
    fn of(stream: TcpStream) -> Option<Self> {
        stream.set_nonblocking(true).ok()?;
        Some(Visitor {
            stream,
            head: Vec::new(),
            until: clock::now() + REQUEST_TIME,
        })
    }

    /// Reads what is there.
    fn read(&mut self, now: Instant) -> Reading {
        let mut buffer = [0; 4096];
        loop {
            if self.head.windows(4).any(|four| four == b"\r\n\r\n") {
                let head = std::mem::take(&mut self.head);
                return String::from_utf8(head).map_or(Reading::Over, Reading::Done);
            }
            match self.stream.read(&mut buffer) {
                Ok(read @ 1..) if self.head.len() + read <= REQUEST_MAX => {
                    self.head.extend_from_slice(&buffer[..read]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && now < self.until => return Reading::Goes,
                _ => return Reading::Over,
            }
        }
    }

    /// Shows a page. None of it is what the request held.
    fn reply(&mut self, answer: Option<&Result<String, String>>) {
        let (status, words) = match answer {
            Some(Ok(_)) => ("200 OK", "You are signed in. This window can be closed."),
            Some(Err(_)) => ("200 OK", "The sign-in was refused. This window can be closed."),
            None => ("404 Not Found", "There is nothing here."),
        };
        let page = format!("<!doctype html><meta charset=utf-8><title>azure-openai-blaster</title><p>{words}</p>");
        let reply = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\
             cache-control: no-store\r\n\r\n{page}",
            page.len()
        );
        // The answer counts, whether or not the window shows a page. It is short enough to need no waiting.
        let _ = self.stream.write_all(reply.as_bytes());
    }
}

/// The code, or the refusal, in a request of the browser's; none where it is another request, or not an answer to ours.
fn answer_in(head: &str, state: &str) -> Option<Result<String, String>> {
    let target = head.strip_prefix("GET /")?.split(' ').next()?;
    let (_, query) = target.split_once('?')?;
    let field = |name: &str| {
        let mut fields = query.split('&').filter_map(|field| field.split_once('='));
        fields.find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
    };
    if field("state")? != state {
        return None;
    }
    match (field("code"), field("error")) {
        (_, Some(error)) => Some(Err(format!(
            "{error}: {}",
            field("error_description").unwrap_or_default()
        ))),
        (Some(code), None) => Some(Ok(code)),
        (None, None) => None,
    }
}

/// The text of a query's value.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let mut ahead = rest.clone();
                match (digit(ahead.next()), digit(ahead.next())) {
                    (Some(high), Some(low)) => {
                        bytes.push((high * 16 + low) as u8);
                        rest = ahead;
                    }
                    _ => bytes.push(b'%'),
                }
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_to_our_own_question_counts() {
        let answer = |target: &str| answer_in(&format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n"), "s-1");
        assert_eq!(
            answer("/?code=a%2Bb%20c&state=s-1&session_state=x"),
            Some(Ok("a+b c".to_owned()))
        );
        let refused = "access_denied: AADSTS65004: User declined".to_owned();
        assert_eq!(
            answer("/?error=access_denied&error_description=AADSTS65004%3a+User+declined&state=s-1"),
            Some(Err(refused))
        );
        for other in [
            "/favicon.ico",
            "/",
            "/?code=x",
            "/?code=x&state=s-2",
            "/?state=s-1",
            "/?code=x&state=",
        ] {
            assert_eq!(answer(other), None, "{other}");
        }
        assert_eq!(answer_in("POST /?code=x&state=s-1 HTTP/1.1\r\n\r\n", "s-1"), None);
        assert_eq!(decoded("100%&%zz%e2%82%ac%"), "100%&%zz\u{20ac}%");
    }
}
