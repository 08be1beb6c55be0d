//! What is found out over the network: tokens, and what becomes of one tiny request to each deployment.

use std::time::{Duration, SystemTime};

use azure_openai_blaster::api::{Attempt, Ledger};
use azure_openai_blaster::auth::CredentialReport;
use azure_openai_blaster::config::{Auth, BlasterConfig};
use azure_openai_blaster::error::Error;
use azure_openai_blaster::{Blaster, ChatRequest, EmbeddingRequest};
use serde::Serialize;

use crate::Failure;
use crate::environment::Environment;

/// Longest wait for tokens: a person at a browser has 300 s.
const TOKENS: Duration = Duration::from_secs(330);

/// Longest time of one tiny request.
const SENT: Duration = Duration::from_secs(60);

/// What was found out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Trial {
    pub(crate) credentials: Vec<CredentialReport>,
    /// In the order of the configuration; empty where nothing was sent.
    pub(crate) sent: Vec<Sent>,
}

/// What became of one tiny request.
#[derive(Debug, Serialize)]
pub(crate) struct Sent {
    pub(crate) deployment: String,
    /// Whether it was answered.
    pub(crate) ok: bool,
    /// Of the last reply, where one came.
    pub(crate) status: Option<u16>,
    /// Of the last attempt.
    pub(crate) seconds: Option<f64>,
    pub(crate) error: Option<String>,
}

impl Trial {
    /// Whether every deployment has what it needs, and answered where it was asked.
    pub(crate) fn is_good(&self) -> bool {
        self.credentials.iter().all(|credential| credential.token.is_some()) && self.sent.iter().all(|sent| sent.ok)
    }

    /// The source of a deployment's tokens.
    pub(crate) fn credential(&self, deployment: &str) -> Option<&CredentialReport> {
        let uses = |report: &&CredentialReport| report.deployments.iter().any(|name| **name == *deployment);
        self.credentials.iter().find(uses)
    }
}

/// Fetches the tokens that deployments need and, if that is asked for, sends each of them a tiny request.
pub(crate) fn run(config: &BlasterConfig, environment: &Environment, send: bool) -> Result<Trial, Failure> {
    let needs_tokens = config
        .deployments
        .iter()
        .any(|deployment| matches!(deployment.auth, Auth::Entra(_)));
    if !send && !needs_tokens {
        return Ok(Trial::default());
    }
    let mut config = config.clone();
    // Each deployment answers to a name of its own, so that a request goes to exactly that one.
    for (number, deployment) in config.deployments.iter_mut().enumerate() {
        deployment.serves = vec![name(number)];
    }
    config.max_job_retry = 1;
    let deployments = config.deployments.clone();
    let blaster = Blaster::builder()
        .config(config)
        .workers(deployments.len().min(32))
        .variables(environment.lookup())
        .build()
        .map_err(|error| Failure::of("setting up", &error))?;
    let credentials = blaster.await_credentials(TOKENS);
    let mut sent = Vec::new();
    if send {
        // All at once, told in the order of the configuration.
        let handles: Vec<_> = deployments
            .iter()
            .enumerate()
            .map(|(number, deployment)| {
                let model = name(number);
                if deployment.model.contains("embedding") {
                    let request = EmbeddingRequest::new(["ok"]).model(model).timeout(SENT);
                    Asked::Embeddings(blaster.submit_embeddings(request).map_err(Error::from))
                } else {
                    let request = ChatRequest::from("Answer with the word ok.").model(model).timeout(SENT);
                    Asked::Chat(blaster.submit(request).map_err(Error::from))
                }
            })
            .collect();
        for (deployment, asked) in deployments.iter().zip(handles) {
            sent.push(asked.outcome(&deployment.name));
        }
    }
    // A token may have been asked for anew.
    let credentials = if send { blaster.credentials() } else { credentials };
    blaster.close();
    Ok(Trial { credentials, sent })
}

fn name(number: usize) -> String {
    format!("deployment {number}")
}

/// A tiny request.
enum Asked {
    Chat(Result<azure_openai_blaster::JobHandle<azure_openai_blaster::ChatCompletion>, Error>),
    Embeddings(Result<azure_openai_blaster::JobHandle<azure_openai_blaster::Embeddings>, Error>),
}

impl Asked {
    fn outcome(self, deployment: &str) -> Sent {
        match self {
            Asked::Chat(handle) => outcome(deployment, handle.and_then(|handle| handle.wait()), |done| {
                done.ledger()
            }),
            Asked::Embeddings(handle) => outcome(deployment, handle.and_then(|handle| handle.wait()), |done| {
                done.ledger()
            }),
        }
    }
}

fn outcome<T>(deployment: &str, result: Result<T, Error>, ledger: impl Fn(&T) -> &Ledger) -> Sent {
    let last = match &result {
        Ok(done) => ledger(done).last(),
        Err(error) => error.ledger().and_then(Ledger::last),
    };
    Sent {
        deployment: deployment.to_owned(),
        ok: result.is_ok(),
        status: last.and_then(|attempt: &Attempt| attempt.status),
        seconds: last.map(|attempt| attempt.duration.as_secs_f64()),
        error: result.err().map(|error| error.to_string()),
    }
}

/// `Mon, 30 Nov 2026 19:26:27 GMT`
pub(crate) fn time_of_day(at: SystemTime) -> String {
    httpdate::fmt_http_date(at)
}
