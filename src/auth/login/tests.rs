//! A person at a browser, played by a thread.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::auth::entra::tests::fakes::*;
use crate::auth::entra::tests::{Around, SCOPE, identity, said};
use crate::auth::{AccessToken, Ask, EntraCredential, Stop, TokenError};
use crate::clock;

/// Port for the browser's answer, which nobody else has at this moment.
fn free_port() -> u16 {
    let (listener, port) = closed_port();
    drop(listener);
    port
}

/// What the browser is sent to, once it is there to be asked.
fn browse(port: u16, target: &str) -> String {
    let until = clock::now() + Duration::from_secs(30);
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(clock::now() < until, "{error}"),
        }
        thread::park_timeout(Duration::from_millis(5));
    };
    stream
        .write_all(format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
        .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// Entra ID that gives a refresh token with each token.
fn entra() -> Fake {
    let number = AtomicUsize::new(0);
    Fake::secure(move |asked| {
        let number = number.fetch_add(1, Ordering::Relaxed);
        let token = fresh(SCOPE);
        Answer::json(
            200,
            format!(
                r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{token}","refresh_token":"canary-refresh-{number}","scope":"{}"}}"#,
                asked.fields.get("scope").map_or("", String::as_str)
            ),
        )
    })
}

fn around(entra: &Fake, port: u16) -> Around {
    let mut around = Around::nothing().authority(entra);
    around.limits.login_port = port;
    around.limits.login = Duration::from_secs(60);
    around
}

/// Whoever cannot see what was printed finds the state by trying: the server says nothing of it. So the browser's part of the
/// flow is played by `tests/credentials`, with a real one; here are the refusals that need no state.
#[test]
fn a_browser_that_never_comes_is_waited_for_as_long_as_a_person_has() {
    let entra = entra();
    let mut around = around(&entra, 0);
    around.limits.login = Duration::from_millis(150);
    let source = around.source(EntraCredential::Interactive);
    let result = source.ask(SCOPE, &Stop::default());
    said(
        result,
        false,
        &["nobody signed in at the browser within 0.15 s", "`device_code`"],
    );
    assert_eq!(entra.asked().len(), 0);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let entra = entra();
    let (_listener, port) = closed_port();
    let result = around(&entra, port).ask(EntraCredential::Interactive);
    said(
        result,
        false,
        &[
            &format!("there is no port {port} for the browser's answer"),
            "end the program that has it",
        ],
    );
}

#[test]
fn what_does_not_know_the_state_is_no_answer_and_a_closed_blaster_ends_the_wait() {
    let entra = entra();
    let port = free_port();
    let source = around(&entra, port).source(EntraCredential::Interactive);
    let stop = Stop::default();
    let thrown = stop.clone();
    let asking = thread::spawn(move || source.ask(SCOPE, &stop));
    for target in [
        "/?code=x&state=guessed",
        "/?error=access_denied&state=guessed",
        "/favicon.ico",
        "/",
    ] {
        assert!(browse(port, target).starts_with("HTTP/1.1 404"), "{target}");
    }
    thrown.throw();
    said(asking.join().unwrap(), false, &["ended with the program"]);
    assert_eq!(entra.asked().len(), 0, "no code was handed on");
}

/// Entra ID as it serves device codes: pending for so many questions, then `last`.
fn device_entra(pending: usize, last: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Fake {
    let left = AtomicUsize::new(pending);
    Fake::secure(move |asked| {
        if asked.path.ends_with("/devicecode") {
            return Answer::json(
                200,
                r#"{"user_code":"ABC-123","device_code":"canary-device","verification_uri":"https://microsoft.com/devicelogin","expires_in":900,"interval":0,"message":"m"}"#,
            );
        }
        if left.load(Ordering::Relaxed) > 0 {
            left.fetch_sub(1, Ordering::Relaxed);
            return aadsts(400, "authorization_pending", "AADSTS70016: pending.");
        }
        last(asked)
    })
}

fn by_device_code(entra: &Fake) -> Result<AccessToken, TokenError> {
    around(entra, 0).ask(EntraCredential::DeviceCode)
}

fn with_refresh(_: &Asked) -> Answer {
    let token = fresh(SCOPE);
    Answer::json(
        200,
        format!(
            r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{token}","refresh_token":"canary-refresh"}}"#
        ),
    )
}

#[test]
fn a_device_code_is_asked_for_until_the_person_has_signed_in_and_then_no_more() {
    let entra = device_entra(2, with_refresh);
    let source = around(&entra, 0).source(EntraCredential::DeviceCode);
    source.ask(SCOPE, &Stop::default()).unwrap();
    let asked = entra.asked();
    let paths: Vec<_> = asked.iter().map(|asked| asked.path.as_str()).collect();
    let (device, token) = (
        "/organizations/oauth2/v2.0/devicecode",
        "/organizations/oauth2/v2.0/token",
    );
    assert_eq!(paths, [device, token, token, token]);
    assert_eq!(
        asked[0].fields["scope"],
        format!("{SCOPE} openid profile offline_access")
    );
    assert_eq!(asked[0].fields["client_id"], "04b07795-8ddb-461a-bbee-02f9e1bf7b46");
    assert_eq!(asked[1].fields["device_code"], "canary-device");
    assert_eq!(
        asked[1].fields["grant_type"],
        "urn:ietf:params:oauth:grant-type:device_code"
    );

    // The next token needs no person.
    source.ask(SCOPE, &Stop::default()).unwrap();
    let last = entra.asked().pop().unwrap();
    assert_eq!(
        (
            last.fields["grant_type"].as_str(),
            last.fields["refresh_token"].as_str()
        ),
        ("refresh_token", "canary-refresh")
    );
    assert_eq!(entra.asked().len(), 5);
}

#[test]
fn a_refresh_token_that_holds_no_longer_asks_the_person_again() {
    let entra = device_entra(0, |asked| match asked.fields["grant_type"].as_str() {
        "refresh_token" => aadsts(400, "invalid_grant", "AADSTS700082: The refresh token has expired."),
        _ => with_refresh(asked),
    });
    let source = around(&entra, 0).source(EntraCredential::DeviceCode);
    source.ask(SCOPE, &Stop::default()).unwrap();
    source.ask(SCOPE, &Stop::default()).unwrap();
    let codes = entra
        .asked()
        .iter()
        .filter(|asked| asked.path.ends_with("/devicecode"))
        .count();
    assert_eq!(codes, 2);
}

#[test]
fn what_comes_in_the_way_of_a_device_code_has_its_own_sentence() {
    let declined = device_entra(1, |_| aadsts(400, "authorization_declined", "AADSTS70000: declined."));
    said(by_device_code(&declined), false, &["the sign-in was refused"]);
    let expired = device_entra(0, |_| aadsts(400, "expired_token", "AADSTS70020: expired."));
    said(by_device_code(&expired), false, &["nobody entered the code in time"]);
    let forbidden = Fake::secure(|_| aadsts(400, "invalid_client", "AADSTS53003: blocked by rules"));
    said(by_device_code(&forbidden), false, &["the rules of the tenant"]);
    let odd = Fake::secure(|_| Answer::json(200, "<html>canary"));
    said(by_device_code(&odd), false, &["does not answer as Entra ID does"]);
    let (listener, port) = closed_port();
    drop(listener);
    let gone = Around::nothing().with(&[("AZURE_AUTHORITY_HOST", &format!("https://127.0.0.1:{port}"))]);
    said(
        gone.ask(EntraCredential::DeviceCode),
        true,
        &["127.0.0.1 does not answer"],
    );
}

#[test]
fn what_a_sign_in_is_proved_by_is_not_repeated_whatever_the_status() {
    for status in [302, 400] {
        let told = |status, secret: &str| aadsts(status, "odd", &format!("AADSTS1: you sent {secret}"));
        let device = device_entra(0, move |asked| told(status, &asked.fields["device_code"]));
        said(
            by_device_code(&device),
            false,
            &["Entra ID refuses", "you sent (hidden)"],
        );
        let refresh = device_entra(0, move |asked| match asked.fields.get("refresh_token") {
            Some(refresh) => told(status, refresh),
            None => with_refresh(asked),
        });
        let source = around(&refresh, 0).source(EntraCredential::DeviceCode);
        source.ask(SCOPE, &Stop::default()).unwrap();
        let again = source.ask(SCOPE, &Stop::default());
        said(again, false, &["Entra ID refuses", "you sent (hidden)"]);
    }
}

#[test]
fn pauses_and_lives_beyond_all_clocks_are_long_ones() {
    let entra = Fake::secure(|asked| match asked.path.ends_with("/devicecode") {
        true => Answer::json(
            200,
            r#"{"user_code":"A","device_code":"canary-device","verification_uri":"https://x.example/","expires_in":18446744073709551615,"interval":18446744073709551615}"#,
        ),
        false => aadsts(400, "slow_down", "AADSTS70016: pending."),
    });
    let source = around(&entra, 0).source(EntraCredential::DeviceCode);
    let stop = Stop::default();
    let thrown = stop.clone();
    let asking = thread::spawn(move || source.ask(SCOPE, &stop));
    // It asks once, and then waits for the longest time.
    let until = clock::now() + Duration::from_secs(30);
    while entra.asked().len() < 2 && !asking.is_finished() {
        assert!(clock::now() < until, "it goes on or ends");
        thread::park_timeout(Duration::from_millis(5));
    }
    thrown.throw();
    said(asking.join().unwrap(), false, &["ended with the program"]);
}

#[test]
fn a_configured_tenant_and_app_are_signed_in_to() {
    let entra = device_entra(0, with_refresh);
    let own = crate::auth::Identity {
        tenant_id: Some("contoso.example".into()),
        client_id: Some("app-7".into()),
        ..identity(EntraCredential::DeviceCode)
    };
    around(&entra, 0).source_of(&own).ask(SCOPE, &Stop::default()).unwrap();
    let asked = &entra.asked()[0];
    assert_eq!(asked.path, "/contoso.example/oauth2/v2.0/devicecode");
    assert_eq!(asked.fields["client_id"], "app-7");
}

#[test]
fn a_source_can_be_asked_by_several_threads_and_is_shared() {
    let entra = device_entra(0, with_refresh);
    let source = Arc::new(around(&entra, 0).source(EntraCredential::DeviceCode));
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let source = Arc::clone(&source);
            thread::spawn(move || source.ask(SCOPE, &Stop::default()).is_ok())
        })
        .collect();
    assert!(asking.into_iter().all(|asking| asking.join().unwrap()));
}

#[test]
fn trouble_that_may_pass_is_told_apart_after_a_sign_in_too() {
    let rows = [
        (
            aadsts(503, "temporarily_unavailable", "AADSTS90033: transient"),
            "trouble of its own (503",
        ),
        (
            Answer::json(502, "<html>no healthy upstream canary</html>"),
            "answered 502, and not as Entra ID does",
        ),
        (aadsts(429, "throttled", "AADSTS90055: too many"), "(429"),
    ];
    for (trouble, words) in rows {
        let entra = device_entra(0, move |asked| match asked.fields["grant_type"].as_str() {
            "refresh_token" => trouble.clone(),
            _ => with_refresh(asked),
        });
        let source = around(&entra, 0).source(EntraCredential::DeviceCode);
        source.ask(SCOPE, &Stop::default()).unwrap();
        said(source.ask(SCOPE, &Stop::default()), true, &[words]);
    }
    // Before anybody has signed in it is the same.
    let down = Fake::secure(|_| Answer::json(503, "<html>canary"));
    said(by_device_code(&down), true, &["answered 503"]);
}

#[test]
fn a_poll_for_a_device_code_that_meets_trouble_is_made_again() {
    let asked_before = AtomicUsize::new(0);
    let entra = device_entra(0, move |asked| match asked_before.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::json(502, "<html>canary"),
        _ => with_refresh(asked),
    });
    by_device_code(&entra).unwrap();
    assert_eq!(entra.asked().len(), 3);
}

#[test]
fn a_refresh_token_of_no_use_without_the_person_asks_the_person() {
    for error in ["interaction_required", "login_required", "consent_required"] {
        let entra = device_entra(0, move |asked| match asked.fields["grant_type"].as_str() {
            "refresh_token" => aadsts(400, error, "AADSTS50076: you must use multi-factor authentication."),
            _ => with_refresh(asked),
        });
        let source = around(&entra, 0).source(EntraCredential::DeviceCode);
        source.ask(SCOPE, &Stop::default()).unwrap();
        source.ask(SCOPE, &Stop::default()).unwrap();
        let codes = entra
            .asked()
            .iter()
            .filter(|asked| asked.path.ends_with("/devicecode"))
            .count();
        assert_eq!(codes, 2, "{error}");
    }
}

#[test]
fn a_closed_blaster_ends_the_wait_for_a_device_code() {
    let entra = Arc::new(device_entra(usize::MAX, with_refresh));
    let source = around(&entra, 0).source(EntraCredential::DeviceCode);
    let stop = Stop::default();
    let thrown = stop.clone();
    let asking = thread::spawn(move || source.ask(SCOPE, &stop));
    let until = clock::now() + Duration::from_secs(30);
    while entra.asked().len() < 2 {
        assert!(clock::now() < until, "nobody asks");
        thread::park_timeout(Duration::from_millis(5));
    }
    thrown.throw();
    // The person would have a minute.
    let until = clock::now() + Duration::from_secs(30);
    while !asking.is_finished() {
        assert!(clock::now() < until, "it goes on asking");
        thread::park_timeout(Duration::from_millis(5));
    }
    said(asking.join().unwrap(), false, &["ended with the program"]);
}

#[test]
fn a_silent_connection_of_the_browser_holds_nobody_up() {
    let entra = entra();
    let port = free_port();
    let source = around(&entra, port).source(EntraCredential::Interactive);
    let stop = Stop::default();
    let thrown = stop.clone();
    let asking = thread::spawn(move || source.ask(SCOPE, &stop));
    browse(port, "/");
    // Browsers open some ahead of need.
    let silent: Vec<_> = (0..3)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    for _ in 0..3 {
        browse(port, "/favicon.ico");
    }
    for stream in &silent {
        stream.set_nonblocking(true).unwrap();
        let error = (&*stream).read(&mut [0]).expect_err("nobody has closed it");
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
    thrown.throw();
    said(asking.join().unwrap(), false, &["ended with the program"]);
}

#[test]
fn a_clock_that_is_an_hour_off_is_told_at_a_sign_in_too() {
    let entra = device_entra(0, |asked| {
        let right = std::time::SystemTime::now() - Duration::from_secs(3600);
        with_refresh(asked).header("date", &httpdate::fmt_http_date(right))
    });
    let life = by_device_code(&entra).unwrap().life(clock::wall()).unwrap();
    assert!(
        life.left > Duration::from_secs(3500) && life.clock.is_some(),
        "{life:?}"
    );
}
