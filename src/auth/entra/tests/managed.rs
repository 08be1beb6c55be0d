//! The machine's identity service, and the chain of which it is a part.

use super::*;

#[test]
fn the_identity_service_is_asked_as_it_wants_to_be_for_each_kind_of_identity() {
    let service = Fake::plain(identity_token);
    let around = Around::nothing().imds(&service);
    let plain = super::identity(EntraCredential::Managed);
    let by = |change: fn(&mut Identity)| {
        let mut identity = plain.clone();
        change(&mut identity);
        identity
    };
    let rows = [
        (plain.clone(), None),
        (
            by(|id| id.client_id = Some("client-1".into())),
            Some(("client_id", "client-1")),
        ),
        (
            by(|id| id.object_id = Some("object-1".into())),
            Some(("object_id", "object-1")),
        ),
        (
            by(|id| id.resource_id = Some("/subscriptions/s/x".into())),
            Some(("msi_res_id", "/subscriptions/s/x")),
        ),
    ];
    for (number, (identity, field)) in rows.into_iter().enumerate() {
        let token = around.source_of(&identity).ask(SCOPE, &Stop::default()).unwrap();
        let left = token.life(clock::wall()).unwrap().left;
        assert!(left > Duration::from_secs(86_000), "{left:?}");
        let asked = &service.asked()[number];
        assert_eq!(asked.method, "GET");
        assert_eq!(asked.path, "/metadata/identity/oauth2/token");
        assert_eq!(asked.headers["metadata"], "true");
        assert_eq!(asked.fields["resource"], "https://cognitiveservices.azure.com");
        for name in ["client_id", "object_id", "msi_res_id"] {
            let expected = field.filter(|(given, _)| *given == name).map(|(_, value)| value);
            assert_eq!(asked.fields.get(name).map(String::as_str), expected, "{name}");
        }
    }
}

#[test]
fn each_refusal_of_the_identity_service_has_its_own_sentence() {
    let check = |status: u16, is_passing: bool, asked: usize, words: &[&str]| {
        let service = Fake::plain(move |_| Answer::json(status, r#"{"error":"canary"}"#).header("retry-after", "0"));
        let around = Around::nothing().imds(&service);
        said(around.ask(EntraCredential::Managed), is_passing, words);
        assert_eq!(service.asked().len(), asked, "{status}");
    };
    check(400, false, 1, &["no identity of its own (400", "`client_id`"]);
    check(403, false, 1, &["refuses us (403)"]);
    // Asked once more, as it may not be ready yet.
    check(404, true, 2, &["not ready (404)"]);
    check(410, true, 2, &["not ready (410)"]);
    check(429, true, 2, &["asked too often (429)"]);
    check(503, true, 2, &["trouble of its own (503)"]);
    check(302, false, 1, &["answered 302"]);

    let named = Identity {
        client_id: Some("client-9".into()),
        ..super::identity(EntraCredential::Managed)
    };
    let service = Fake::plain(|_| Answer::json(400, "{}"));
    let result = Around::nothing()
        .imds(&service)
        .source_of(&named)
        .ask(SCOPE, &Stop::default());
    said(result, false, &["no identity client-9", "assign it"]);
    let garbage = Fake::plain(|_| Answer::json(200, "<html>canary</html>"));
    said(
        Around::nothing().imds(&garbage).ask(EntraCredential::Managed),
        false,
        &[
            "answered with something that is no token",
            "see what listens at 169.254.169.254",
        ],
    );
    let later = std::time::SystemTime::now() + Duration::from_secs(100);
    let later = httpdate::fmt_http_date(later);
    let service = Fake::plain(move |_| Answer::json(429, "{}").header("retry-after", &later));
    let error = Around::nothing()
        .imds(&service)
        .ask(EntraCredential::Managed)
        .unwrap_err();
    assert!(
        matches!(error.again(), crate::auth::error::Again::Soon(wait) if wait > Duration::from_secs(60)),
        "a date is a Retry-After too: {:?}",
        error.again()
    );
}

#[test]
fn an_end_told_as_a_number_is_understood_and_as_a_date_refused() {
    let ends = unix_now() + 4000;
    let body = |end: &str| {
        let token = fresh(SCOPE);
        format!(r#"{{"access_token":"{token}","expires_on":{end},"resource":"r","token_type":"Bearer"}}"#)
    };
    for end in [format!("{ends}"), format!("\"{ends}\"")] {
        let body = body(&end);
        let service = Fake::plain(move |_| Answer::json(200, body.clone()));
        let token = Around::nothing().imds(&service).ask(EntraCredential::Managed).unwrap();
        let left = token.life(clock::wall()).unwrap().left;
        assert!((3900..=4000).contains(&left.as_secs()), "{end}: {left:?}");
    }
    for end in ["\"11/30/2026 21:42:09 +00:00\"", "null", "\"\"", "{}"] {
        let body = body(end);
        let service = Fake::plain(move |_| Answer::json(200, body.clone()));
        let error = Around::nothing().imds(&service).ask(EntraCredential::Managed);
        let text = error
            .and_then(|token| token.life(clock::wall()).map(|_| ()))
            .unwrap_err()
            .to_string();
        assert!(!text.contains("eyJ") && text.len() < 500, "{end}: {text}");
    }
}

#[test]
fn a_service_that_is_not_ready_at_first_is_waited_for() {
    let answers = std::sync::atomic::AtomicUsize::new(0);
    let service = Fake::plain(move |asked| {
        if answers.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2 {
            Answer::json(404, "{}")
        } else {
            identity_token(asked)
        }
    });
    let mut around = Around::nothing().imds(&service);
    around.limits.imds_pauses = vec![Duration::from_millis(1); 3];
    around.ask(EntraCredential::Managed).unwrap();
    assert_eq!(service.asked().len(), 3);
}

#[test]
fn a_machine_without_an_identity_service_is_told_so_in_time() {
    said(
        Around::nothing().ask(EntraCredential::Managed),
        false,
        &[
            "nothing answers at 169.254.169.254",
            "connection refused",
            "choose another credential",
        ],
    );
    let (listener, port) = closed_port();
    let mut silent = Around::nothing();
    silent.limits.imds = format!("http://127.0.0.1:{port}");
    silent.limits.imds_total = Duration::from_millis(100);
    said(
        silent.ask(EntraCredential::Managed),
        false,
        &["nothing answers", "no answer in time"],
    );
    drop(listener);
}

#[test]
fn a_clock_that_is_an_hour_ahead_of_the_service_s_own_is_told_and_costs_no_token() {
    // It tells its time of day with each answer.
    let service = Fake::plain(|asked| {
        let right = unix_now() - 3600;
        let ends = right + 3600;
        let date = httpdate::fmt_http_date(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(right));
        let token = token(&asked.fields["resource"], right, ends);
        let body =
            format!(r#"{{"access_token":"{token}","expires_on":"{ends}","resource":"r","token_type":"Bearer"}}"#);
        Answer::json(200, body).header("date", &date)
    });
    let token = Around::nothing().imds(&service).ask(EntraCredential::Managed).unwrap();
    let life = token.life(clock::wall()).unwrap();
    assert!(
        life.left > Duration::from_secs(3590) && life.clock.is_some(),
        "{life:?}"
    );
}

#[test]
fn the_chain_takes_the_first_that_works_keeps_it_and_asks_no_other() {
    let service = Fake::plain(identity_token);
    let entra = Fake::secure(issued);
    let source = Around::nothing()
        .imds(&service)
        .authority(&entra)
        .source(EntraCredential::Default);
    for times in 1..4 {
        source.ask(SCOPE, &Stop::default()).unwrap();
        assert_eq!((service.asked().len(), entra.asked().len()), (times, 0));
    }
    assert_eq!(*source.kept.lock(), Some(Member::Managed));

    let app = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "a"),
        ("AZURE_CLIENT_SECRET", "canary"),
    ];
    let source = Around::nothing()
        .imds(&service)
        .authority(&entra)
        .with(&app)
        .source(EntraCredential::Default);
    source.ask(SCOPE, &Stop::default()).unwrap();
    assert_eq!((service.asked().len(), entra.asked().len()), (3, 1));
}

#[test]
fn where_no_credential_works_each_says_why() {
    let entra = Fake::secure(|_| {
        aadsts(
            400,
            "invalid_client",
            "AADSTS70021: No matching federated identity record found.",
        )
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "canary").unwrap();
    let around = Around::nothing().authority(&entra).with(&[
        ("AZURE_TENANT_ID", "tenant-1"),
        ("AZURE_CLIENT_ID", "app-1"),
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
    ]);
    said(
        around.ask(EntraCredential::Default),
        false,
        &[
            "environment: AZURE_CLIENT_SECRET not set",
            "workload: the app app-1 does not trust this pod's service account",
            "managed: nothing answers at 169.254.169.254",
            "az: az is not installed",
            "azd: azd is not installed",
        ],
    );
    // In the chain the identity service is asked once, however it answers.
    let service = Fake::plain(|_| Answer::json(503, "{}"));
    let prod = Around::nothing()
        .imds(&service)
        .with(&[("AZURE_TOKEN_CREDENTIALS", "prod")]);
    let text = said(prod.ask(EntraCredential::Default), true, &["managed: ", "(503)"]);
    assert!(!text.contains("az:"), "{text}");
    assert_eq!(service.asked().len(), 1);
    let odd = Around::nothing().with(&[("AZURE_TOKEN_CREDENTIALS", "BrokerCredential")]);
    said(
        odd.ask(EntraCredential::Default),
        false,
        &["AZURE_TOKEN_CREDENTIALS is \"BrokerCredential\""],
    );
}
