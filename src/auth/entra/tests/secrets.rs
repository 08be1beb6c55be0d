//! Client secrets and workload identities: what asks Entra ID itself.

use super::*;

/// The variables of an app with a secret.
const APP: [(&str, &str); 3] = [
    ("AZURE_TENANT_ID", "tenant-1"),
    ("AZURE_CLIENT_ID", "app-1"),
    ("AZURE_CLIENT_SECRET", "canary~secret"),
];

/// The variables of a pod, whose token is in `file`.
fn pod(file: &std::path::Path) -> [(&str, &str); 3] {
    [
        ("AZURE_TENANT_ID", "tenant-1"),
        ("AZURE_CLIENT_ID", "app-1"),
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
    ]
}

#[test]
fn a_client_secret_is_sent_to_the_tenant_s_token_endpoint_and_lives_as_long_as_it_is_told() {
    let entra = Fake::secure(issued);
    let around = Around::nothing().with(&APP).authority(&entra);
    let token = around.ask(EntraCredential::ClientSecret).unwrap();
    let life = token.life(clock::wall()).unwrap();
    assert!(
        life.left > Duration::from_secs(3590) && life.left <= Duration::from_secs(3599),
        "{life:?}"
    );
    let asked = &entra.asked()[0];
    assert_eq!(asked.path, "/tenant-1/oauth2/v2.0/token");
    let field = |name: &str| asked.fields[name].as_str();
    assert_eq!(
        [
            field("grant_type"),
            field("client_id"),
            field("client_secret"),
            field("scope")
        ],
        ["client_credentials", "app-1", "canary~secret", SCOPE]
    );
}

#[test]
fn a_life_beyond_all_calendars_is_a_long_one() {
    for life in [
        "9223372036854775807",
        "9223372036854",
        "18446744073709551615",
        "-9223372036854775808",
    ] {
        let body = format!(r#"{{"token_type":"Bearer","expires_in":{life},"access_token":"abc.def.ghi"}}"#);
        let entra = Fake::secure(move |_| Answer::json(200, body.clone()));
        let around = Around::nothing().with(&APP).authority(&entra);
        let token = around.ask(EntraCredential::ClientSecret).unwrap();
        let life_left = token.life(clock::wall());
        match life.starts_with('-') {
            false => assert!(life_left.unwrap().left > Duration::from_secs(300 * 86_400), "{life}"),
            true => assert!(life_left.is_err(), "{life}"),
        }
    }
}

#[test]
fn what_is_configured_counts_before_the_environment() {
    let entra = Fake::secure(issued);
    let around = Around::nothing().with(&APP).authority(&entra);
    let own = Identity {
        tenant_id: Some("tenant-2".into()),
        client_id: Some("app-2".into()),
        client_secret: Some("canary-2".into()),
        ..identity(EntraCredential::ClientSecret)
    };
    around.source_of(&own).ask(SCOPE, &Stop::default()).unwrap();
    let asked = &entra.asked()[0];
    assert_eq!(asked.path, "/tenant-2/oauth2/v2.0/token");
    assert_eq!(
        (
            asked.fields["client_id"].as_str(),
            asked.fields["client_secret"].as_str()
        ),
        ("app-2", "canary-2")
    );
}

#[test]
fn each_asking_asks_anew() {
    // The crate would give the same token out until minutes before its end, also after the service has refused it.
    let entra = Fake::secure(issued);
    let source = Around::nothing()
        .with(&APP)
        .authority(&entra)
        .source(EntraCredential::ClientSecret);
    for times in 1..4 {
        source.ask(SCOPE, &Stop::default()).unwrap();
        assert_eq!(entra.asked().len(), times);
    }
}

#[test]
fn what_entra_id_refuses_is_told_with_the_next_step() {
    let rows = [
        (
            401,
            "invalid_client",
            "AADSTS7000215: Invalid client secret provided: canary~secret.",
            "the secret's value, not its id",
        ),
        (
            401,
            "invalid_client",
            "AADSTS7000222: The provided client secret keys for app 'app-1' are expired.",
            "az ad app credential reset --id app-1",
        ),
        (
            400,
            "invalid_request",
            "AADSTS90002: Tenant 'tenant-1' not found.",
            "there is no tenant tenant-1; correct `tenant_id`",
        ),
        (
            400,
            "unauthorized_client",
            "AADSTS700016: Application with identifier 'app-1' was not found.",
            "there is no app app-1 in the tenant tenant-1",
        ),
        (
            400,
            "invalid_resource",
            "AADSTS500011: The resource principal was not found.",
            "correct `token_scope`",
        ),
        (
            400,
            "invalid_grant",
            "AADSTS53003: Access has been blocked by Conditional Access policies.",
            "ask its administrator",
        ),
        (
            400,
            "invalid_client",
            "AADSTS700024: Client assertion is not within its valid time range.",
            "the clock of this machine",
        ),
        (
            400,
            "invalid_client",
            "AADSTS70021: No matching federated identity record found.",
            "add a federated credential",
        ),
        (
            400,
            "odd",
            "AADSTS999999: Something new, with eyJhbGciOiJ.eyJjYW5hcnki.canary in it.",
            "Something new, with (hidden) in it",
        ),
    ];
    for (status, error, description, next_step) in rows {
        let entra = Fake::secure(move |_| aadsts(status, error, description));
        let around = Around::nothing().with(&APP).authority(&entra);
        let text = said(around.ask(EntraCredential::ClientSecret), false, &[next_step]);
        assert!(!text.contains("Trace ID"), "{text}");
    }
}

#[test]
fn trouble_that_may_pass_is_told_apart() {
    let check = |answer: Answer, is_passing: bool, words: &str| {
        let entra = Fake::secure(move |_| answer.clone());
        let around = Around::nothing().with(&APP).authority(&entra);
        said(around.ask(EntraCredential::ClientSecret), is_passing, &[words]);
        assert_eq!(entra.asked().len(), 1, "asked once: {words}");
    };
    check(
        aadsts(503, "temporarily_unavailable", "AADSTS90033: A transient error"),
        true,
        "trouble of its own (503",
    );
    check(
        aadsts(429, "throttled", "AADSTS90055: too many").header("retry-after", "77"),
        true,
        "(429",
    );
    check(
        Answer::json(502, "<html>no healthy upstream canary</html>"),
        true,
        "answered 502, and not as Entra ID does",
    );
    check(
        Answer::json(403, "<html>blocked, canary</html>"),
        false,
        "answered 403, and not as Entra ID does",
    );
    check(
        Answer::json(302, "").header("location", "https://elsewhere.example/canary"),
        false,
        "answered 302",
    );
    for body in ["canary", "<html>canary", ""] {
        check(
            Answer::json(200, body),
            false,
            "localhost answered with something that is no token",
        );
    }

    let (listener, port) = closed_port();
    drop(listener);
    let gone = Around::nothing()
        .with(&APP)
        .with(&[("AZURE_AUTHORITY_HOST", &format!("https://127.0.0.1:{port}"))]);
    said(
        gone.ask(EntraCredential::ClientSecret),
        true,
        &["127.0.0.1 does not answer", "online"],
    );
    let (listener, port) = closed_port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let no_tls = Around::nothing()
        .with(&APP)
        .with(&[("AZURE_AUTHORITY_HOST", &format!("https://127.0.0.1:{port}"))]);
    said(no_tls.ask(EntraCredential::ClientSecret), false, &["`ca_file`"]);
    let unknown = Fake::secure(issued);
    let untrusted = Around::nothing()
        .with(&APP)
        .with(&[("AZURE_AUTHORITY_HOST", &unknown.url)]);
    said(
        untrusted.ask(EntraCredential::ClientSecret),
        false,
        &["not trusted", "`ca_file`"],
    );
    for authority in ["http://127.0.0.1:1", "nonsense://x"] {
        let odd = Around::nothing()
            .with(&APP)
            .with(&[("AZURE_AUTHORITY_HOST", authority)]);
        said(
            odd.ask(EntraCredential::ClientSecret),
            false,
            &["correct AZURE_AUTHORITY_HOST"],
        );
    }
}

#[test]
fn an_authority_that_does_not_answer_is_left_after_its_time() {
    let (listener, port) = closed_port();
    let mut around = Around::nothing()
        .with(&APP)
        .with(&[("AZURE_AUTHORITY_HOST", &format!("https://127.0.0.1:{port}"))]);
    around.limits.connect = Duration::from_millis(100);
    said(around.ask(EntraCredential::ClientSecret), true, &["does not answer"]);
    drop(listener);
}

#[test]
fn what_is_not_set_is_named() {
    let none = Around::nothing();
    said(
        none.ask(EntraCredential::ClientSecret),
        false,
        &[
            "AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET not set",
            "`client_secret`",
        ],
    );
    let certificate = Around::nothing()
        .with(&APP[..2])
        .with(&[("AZURE_CLIENT_CERTIFICATE_PATH", "/x.pem")]);
    said(
        certificate.ask(EntraCredential::ClientSecret),
        false,
        &["AZURE_CLIENT_CERTIFICATE_PATH", "not supported"],
    );
    said(
        none.ask(EntraCredential::Workload),
        false,
        &["AZURE_FEDERATED_TOKEN_FILE not set", "azure.workload.identity/use"],
    );
    // Set to nothing is not set.
    let empty = Around::nothing().with(&APP).with(&[("AZURE_CLIENT_SECRET", " ")]);
    said(
        empty.ask(EntraCredential::ClientSecret),
        false,
        &["AZURE_CLIENT_SECRET not set"],
    );
}

#[test]
fn a_federated_token_is_read_anew_each_time_as_the_cluster_rotates_it() {
    let entra = Fake::secure(issued);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "canary-assertion-1").unwrap();
    let source = Around::nothing()
        .with(&pod(&file))
        .authority(&entra)
        .source(EntraCredential::Workload);
    source.ask(SCOPE, &Stop::default()).unwrap();
    std::fs::write(&file, "canary-assertion-2").unwrap();
    source.ask(SCOPE, &Stop::default()).unwrap();
    let assertions: Vec<_> = entra
        .asked()
        .iter()
        .map(|asked| asked.fields["client_assertion"].clone())
        .collect();
    assert_eq!(assertions, ["canary-assertion-1", "canary-assertion-2"]);
    assert_eq!(
        entra.asked()[0].fields["client_assertion_type"],
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    std::fs::write(&file, " \n").unwrap();
    let empty = source.ask(SCOPE, &Stop::default());
    said(empty, false, &["the federated token file", "is empty"]);
    assert_eq!(entra.asked().len(), 2);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let folder_in_its_place = source.ask(SCOPE, &Stop::default());
    said(folder_in_its_place, false, &["the federated token file", "directory"]);
    std::fs::remove_dir(&file).unwrap();
    let gone = source.ask(SCOPE, &Stop::default());
    said(
        gone,
        false,
        &[
            "the federated token file",
            file.to_str().unwrap(),
            "AZURE_FEDERATED_TOKEN_FILE",
        ],
    );
}

/// A service on plain HTTP that begins a reply and goes on as `rest` says.
fn beginning(rest: impl Fn(&mut std::net::TcpStream) + Send + Clone + 'static) -> String {
    use std::io::{Read as _, Write as _};
    let (listener, port) = closed_port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let rest = rest.clone();
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n{\"access_token\":\"canary");
                rest(&mut stream);
            });
        }
    });
    format!("http://127.0.0.1:{port}")
}

#[test]
fn a_reply_that_hangs_trickles_or_breaks_off_is_left_after_its_time() {
    use std::io::{Read as _, Write as _};
    let hangs = beginning(|stream| drop(stream.read(&mut [0; 1])));
    let trickles = beginning(|stream| {
        while stream.write_all(b"x").is_ok() {
            std::thread::park_timeout(Duration::from_millis(10));
        }
    });
    let breaks_off = beginning(|_| {});
    let floods = beginning(|stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    for (url, words) in [
        (hangs, "no answer in time"),
        (trickles, "no answer in time"),
        (breaks_off, "broke off"),
        (floods, "larger than 1 MiB"),
    ] {
        let mut around = Around::nothing();
        around.limits.imds = url;
        around.limits.imds_total = Duration::from_secs(1);
        around.limits.imds_pauses.clear();
        let text = around.ask(EntraCredential::Managed).unwrap_err().to_string();
        assert!(text.contains(words) && !text.contains("canary"), "{text}");
    }
}
