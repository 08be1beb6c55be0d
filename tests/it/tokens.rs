//! Deployments that sign in with tokens of a provider of one's own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use azure_openai_blaster::api::{Condition, Operation, RawRequest};
use azure_openai_blaster::auth::{AccessToken, TokenError};
use azure_openai_blaster::config::{Auth, BlasterConfig};
use azure_openai_blaster::error::Error;
use azure_openai_blaster::sim::SimFleet;
use azure_openai_blaster::testing::{Scripted, ScriptedReply};
use azure_openai_blaster::{Blaster, DeploymentConfig};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::support::*;

const HOUR: Duration = Duration::from_secs(3600);
const DATED: &str = "https://cognitiveservices.azure.com";
const V1: &str = "https://ai.azure.com";

/// A token for a scope as Entra ID issues it, for an hour.
fn token(scope: &str, number: usize) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let audience = scope.trim_end_matches("/.default");
    let claims = format!(
        r#"{{"aud":"{audience}","iat":{now},"exp":{},"jti":"{number}"}}"#,
        now + 3600
    );
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

/// A provider that counts what it is asked for.
fn counting(asked: &Arc<Mutex<Vec<String>>>) -> Auth {
    let asked = Arc::clone(asked);
    Auth::custom(move |scope: &str| {
        let mut asked = asked.lock().unwrap();
        asked.push(scope.to_owned());
        Ok(AccessToken::lasting(token(scope, asked.len()), HOUR))
    })
}

/// A configuration for this fleet, every deployment of which signs in like this.
fn signing_in(fleet: &SimFleet, auth: &Auth) -> BlasterConfig {
    let mut config = config(fleet);
    for deployment in &mut config.deployments {
        deployment.auth = auth.clone();
    }
    config
}

fn start(config: BlasterConfig) -> Blaster {
    Blaster::builder().config(config).seed(1).build().unwrap()
}

#[test]
fn a_token_reaches_the_service_as_a_bearer_and_is_fetched_once_for_all_deployments() {
    let fleet = fleet(["east", "west", "north"].map(|name| terse(name).token_audience(DATED)));
    let asked = Arc::default();
    let blaster = start(signing_in(&fleet, &counting(&asked)));
    let handles: Vec<_> = (0..30).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    for result in wait_all(handles) {
        result.unwrap();
    }
    assert_eq!(*asked.lock().unwrap(), [format!("{DATED}/.default")]);
    assert_eq!(fleet.totals().requests, 30, "no attempt was in vain");
}

#[test]
fn where_the_service_asks_for_the_other_audience_that_is_tried_unless_the_scope_is_given() {
    let fleet = fleet([terse("east").token_audience(V1)]);
    let asked = Arc::default();
    let auth = counting(&asked);
    let blaster = start(signing_in(&fleet, &auth));
    let handle = blaster.submit(ask(1)).unwrap();
    let completion = wait(handle).unwrap();
    let statuses: Vec<_> = completion
        .ledger()
        .attempts()
        .iter()
        .map(|attempt| attempt.status)
        .collect();
    assert_eq!(statuses, [Some(401), Some(200)]);
    let scopes = [DATED, V1].map(|audience| format!("{audience}/.default"));
    assert_eq!(*asked.lock().unwrap(), scopes);
    wait(blaster.submit(ask(2)).unwrap()).unwrap();
    assert_eq!(fleet.totals().requests, 3, "the other audience is kept to");

    let mut config = signing_in(&fleet, &auth);
    config.deployments[0].token_scope = Some(scopes[0].clone());
    let blaster = start(config);
    let error = wait(blaster.submit(ask(3)).unwrap()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::NoEndpoint { .. }) && text.contains(V1), "{text}");
}

#[test]
fn a_deployment_without_a_token_is_not_ready_says_so_and_takes_no_job_from_the_others() {
    let fleet = fleet([terse("east").token_audience(DATED), terse("west")]);
    let (answer, answers) = std::sync::mpsc::channel::<Result<AccessToken, TokenError>>();
    let answers = Mutex::new(answers);
    let slow = Auth::custom(move |_: &str| answers.lock().unwrap().recv().unwrap());
    let mut config = config(&fleet);
    config.deployments[0].auth = slow;
    config.deployments[0].serves = vec!["both".into(), "sole".into()];
    config.deployments[1].serves = vec!["both".into()];
    let blaster = start(config);
    for id in 0..10 {
        wait(blaster.submit(ask(id).model("both")).unwrap()).unwrap();
    }
    let report = state(&blaster, "east").report();
    assert_eq!(report.condition, Condition::SigningIn);
    assert!(report.reason.unwrap().contains("waits for a token"));
    assert_eq!(arrived(&fleet, "west").len(), 10);

    // Who has nowhere else to go waits, up to its timeout, and hears why.
    let hasty = blaster
        .submit(ask(10).model("sole").timeout(Duration::from_millis(50)))
        .unwrap();
    let error = wait(hasty).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("east waits for a token from the provider of tokens"),
        "{error}"
    );
    let patient = blaster.submit(ask(11).model("sole")).unwrap();
    answer.send(Ok(AccessToken::lasting(token(DATED, 1), HOUR))).unwrap();
    wait(patient).unwrap();
    assert_eq!(state(&blaster, "east").report().condition, Condition::Ready);
}

#[test]
fn a_provider_that_fails_for_good_or_panics_fails_jobs_at_once_with_its_own_words() {
    let fleet = fleet([terse("east").token_audience(DATED)]);
    let told = Auth::custom(|_: &str| Err(TokenError::lasting("the vault is sealed; unseal it")));
    let panics = Auth::custom(|_: &str| panic!("canary"));
    let empty = Auth::custom(|_: &str| Ok(AccessToken::lasting("", HOUR)));
    let expired = Auth::custom(|_: &str| Ok(AccessToken::lasting("two words", HOUR)));
    for (auth, words) in [
        (told, "the vault is sealed; unseal it"),
        (panics, "panicked"),
        (empty, "the token is empty"),
        (expired, "no HTTP header may hold"),
    ] {
        let blaster = start(signing_in(&fleet, &auth));
        let error = wait(blaster.submit(ask(1)).unwrap()).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, Error::NoEndpoint { .. }) && text.contains(words),
            "{text}"
        );
        assert!(!text.contains("canary") && !text.contains("two words"), "{text}");
        assert_eq!(state(&blaster, "east").report().condition, Condition::Disabled);
    }
    assert_eq!(fleet.totals().requests, 0);
}

#[test]
fn a_person_who_has_declined_is_asked_again_by_enable_alone() {
    let fleet = fleet([terse("east").token_audience(DATED)]);
    let asked = AtomicUsize::new(0);
    let auth = Auth::custom(move |scope: &str| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Err(TokenError::declined("not today")),
        number => Ok(AccessToken::lasting(token(scope, number), HOUR)),
    });
    let blaster = start(signing_in(&fleet, &auth));
    let reports = blaster.await_credentials(Duration::from_secs(60));
    assert_eq!(reports[0].problem.as_deref(), Some("not today"));
    let error = wait(blaster.submit(ask(1)).unwrap()).unwrap_err().to_string();
    assert!(error.contains("not today"), "{error}");
    state(&blaster, "east").enable();
    // It is asked when half a minute has passed since; nobody is to wait for that here.
    assert_eq!(state(&blaster, "east").report().condition, Condition::SigningIn);
}

#[test]
fn a_provider_that_waits_for_its_own_blaster_is_told_instead() {
    let own: Arc<Mutex<Option<std::sync::Weak<Blaster>>>> = Arc::default();
    let found = Arc::clone(&own);
    let auth = Auth::custom(move |scope: &str| {
        let blaster = loop {
            if let Some(blaster) = found.lock().unwrap().as_ref().and_then(std::sync::Weak::upgrade) {
                break blaster;
            }
            std::thread::yield_now();
        };
        match blaster.chat("which token?") {
            Err(Error::WouldDeadlock) => Ok(AccessToken::lasting(token(scope, 1), HOUR)),
            other => panic!("{other:?}"),
        }
    });
    let fleet = fleet([terse("east").token_audience(DATED)]);
    let blaster = Arc::new(start(signing_in(&fleet, &auth)));
    *own.lock().unwrap() = Some(Arc::downgrade(&blaster));
    wait(blaster.submit(ask(1)).unwrap()).unwrap();
}

#[test]
fn a_blaster_closes_while_a_provider_does_not_answer() {
    let (_answer, answers) = std::sync::mpsc::channel::<()>();
    let answers = Mutex::new(answers);
    let hangs = Auth::custom(move |_: &str| {
        let _ = answers.lock().unwrap().recv();
        Err(TokenError::passing("at last"))
    });
    let deployment = DeploymentConfig::new("east", "https://east.example", "m").auth(hangs);
    let blaster = Blaster::builder().deployment(deployment).workers(1).build().unwrap();
    let handle = blaster.submit(ask(1)).unwrap();
    blaster.close();
    assert!(matches!(wait(handle), Err(Error::ShutDown { .. })));
}

#[test]
fn an_operation_that_takes_no_tokens_leaves_the_others_alone() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let service = Scripted::new(move |call| {
        seen.fetch_add(1, Ordering::Relaxed);
        assert_eq!(call.token, Some("t1".into()));
        match call.operation {
            Operation::ChatCompletions => ScriptedReply::text("yes"),
            _ => ScriptedReply::status(401).body(r#"{"statusCode":401,"message":"Unauthorized."}"#),
        }
    });
    let auth = Auth::custom(|_: &str| Ok(AccessToken::lasting("t1", HOUR)));
    let deployment = DeploymentConfig::new("east", "https://east.example", "m").auth(auth);
    let blaster = Blaster::builder()
        .deployment(deployment)
        .transport(service)
        .workers(2)
        .build()
        .unwrap();
    wait(blaster.submit(ask(1)).unwrap()).unwrap();
    let transcription = RawRequest::post(Operation::other("audio/transcriptions").unwrap(), "{}");
    let error = wait(blaster.submit_raw(transcription).unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("no audio/transcriptions here with tokens"),
        "{error}"
    );
    wait(blaster.submit(ask(2)).unwrap()).unwrap();
    let report = state(&blaster, "east").report();
    assert_eq!((report.condition, calls.load(Ordering::Relaxed)), (Condition::Ready, 3));
}

#[test]
fn a_token_that_a_service_repeats_is_hidden_wherever_it_shows() {
    let secret = token(DATED, 7);
    let echo = secret.clone();
    let service = Scripted::new(move |_| {
        let body = format!(r#"{{"error":{{"code":"x","message":"what is {echo} to me?"}}}}"#);
        ScriptedReply::status(400).header("x-echo", &echo).body(body)
    });
    let given = secret.clone();
    let auth = Auth::custom(move |_: &str| Ok(AccessToken::lasting(given.clone(), HOUR)));
    let deployment = DeploymentConfig::new("east", "https://east.example", "m").auth(auth);
    let builder = Blaster::builder().deployment(deployment).transport(service);
    let blaster = builder.workers(1).build().unwrap();
    let error = wait(blaster.submit(ask(1)).unwrap()).unwrap_err();
    let report = state(&blaster, "east").report();
    let upstream = error.upstream().unwrap();
    let shown = format!(
        "{error} {error:?} {report} {:?} {upstream:?} {}",
        error.ledger(),
        String::from_utf8_lossy(&upstream.body)
    );
    assert!(shown.contains("(hidden)") && !shown.contains(&secret), "{shown}");
}

#[test]
fn the_longest_token_is_carried_and_a_longer_one_is_told() {
    const LONGEST: usize = 12 * 1024;
    let longest = "x".repeat(LONGEST);
    let mut east = terse("east");
    east.bearer_tokens.push(longest.as_str().into());
    let fleet = fleet([east]);
    let of = |length: usize| Auth::custom(move |_: &str| Ok(AccessToken::lasting("x".repeat(length), HOUR)));
    let blaster = start(signing_in(&fleet, &of(LONGEST)));
    wait(blaster.submit(ask(1)).unwrap()).unwrap();
    let blaster = start(signing_in(&fleet, &of(LONGEST + 1)));
    let error = wait(blaster.submit(ask(1)).unwrap()).unwrap_err().to_string();
    assert!(error.contains("the token is longer than 12288 bytes"), "{error}");
    assert_eq!(fleet.totals().requests, 1);
}
