//! `blaster check`: what a configuration means, whether its deployments can sign in, and whether they answer.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::Operation;
use azure_openai_blaster::auth::CredentialReport;
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig, Kind, QuotaGroup, defaults};
use azure_openai_blaster::error::ConfigError;

use crate::Failure;
use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::output::print;
use crate::screen::Screen;
use trial::{Sent, Trial};

mod trial;

/// Check a configuration and show what it means
///
/// Prints each deployment with the URL of its chat completions, its models, limits, tier and weight, how it signs in, and the proxy that leads to it. Where that is
/// with tokens of Entra ID one is fetched, and shown are its tenant, object id, audience and end. Nothing is sent to the deployments
/// without --send. Keys, tokens and header values are never shown. Warnings go to stderr. The CA file is read.
///
/// A `.env` file in the current folder is read beneath the environment: what both set, the environment decides.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    blaster check config.json         a file\n  \
    blaster check config.json --send  the same, and whether each deployment answers\n  \
    blaster check                     what the environment says, and a .env file beneath it\n\n\
    Exit codes:\n  \
    0  the configuration can be used\n  \
    1  a deployment got no token, or did not answer\n  \
    2  it cannot be used: stderr says everything that is wrong")]
pub(crate) struct Arguments {
    /// The configuration, as JSON, or YAML by its ending
    #[arg(value_name = "FILE", conflicts_with = "env")]
    file: Option<PathBuf>,

    /// The same, as other commands take it
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["env", "file"])]
    config: Option<PathBuf>,

    /// Read the environment alone: BLASTER_CONFIG, AZURE_INSTANCES, AZURE_OPENAI_ENDPOINT, … [default without a file]
    #[arg(long, short)]
    env: bool,

    /// Send one tiny request to each deployment, and show its status and latency
    #[arg(long)]
    send: bool,

    /// Look at the configuration alone: fetch no token
    #[arg(long, conflicts_with = "send")]
    offline: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints what the configuration means.
pub(crate) fn run(arguments: &Arguments, screen: &Screen) -> Result<ExitCode, Failure> {
    let environment = Environment::read().map_err(|error| wrong(&error))?;
    let (config, source, mut warnings) = match arguments.file.as_ref().or(arguments.config.as_ref()) {
        Some(file) => {
            let config = environment.config_of(file).map_err(|error| wrong(&error))?;
            (config, file.display().to_string(), Vec::new())
        }
        None => {
            let read = environment.config().map_err(|error| wrong(&error))?;
            (read.config, read.source.to_owned(), read.warnings)
        }
    };
    let setup = Blaster::builder().config(config.clone()).check();
    let setup = setup.map_err(|error| Failure::usage(error.to_string()))?;
    warnings.extend(setup.warnings);
    for warning in &warnings {
        screen.say(&format!("blaster: warning: {warning}"));
    }
    let trial = match arguments.offline {
        true => None,
        false => Some(trial::run(&config, &environment, arguments.send)?),
    };
    if arguments.json {
        print(&json(&config, &source, &warnings, trial.as_ref()))?;
    } else {
        print(described(&config, &source, &setup.proxies, trial.as_ref()).trim_end())?;
    }
    match trial.is_none_or(|trial| trial.is_good()) {
        true => Ok(ExitCode::Success),
        false => Ok(ExitCode::Failure),
    }
}

/// All of it for a program.
fn json(config: &BlasterConfig, source: &str, warnings: &[String], trial: Option<&Trial>) -> String {
    let urls = config.deployments.iter().map(|deployment| {
        let url = deployment.url(&Operation::ChatCompletions);
        (deployment.name.clone(), url.into())
    });
    let all = serde_json::json!({
        "source": source,
        "workers": config.workers(),
        "warnings": warnings,
        "config": config,
        "urls": urls.collect::<serde_json::Map<_, _>>(),
        "credentials": trial.map(|trial| &trial.credentials),
        "sent": trial.map(|trial| &trial.sent),
    });
    format!("{all:#}")
}

/// All complaints, a line each, the first beside the program's name only where it is the only one.
fn wrong(error: &ConfigError) -> Failure {
    let text = error.to_string();
    match text.contains('\n') {
        true => Failure::usage(format!("the configuration cannot be used:\n{text}")),
        false => Failure::usage(text),
    }
}

fn described(config: &BlasterConfig, source: &str, proxies: &[Option<String>], trial: Option<&Trial>) -> String {
    let count = config.deployments.len();
    let mut text = format!(
        "{count} {} from {source}: strategy {}, {} workers\n",
        if count == 1 { "deployment" } else { "deployments" },
        config.strategy.name(),
        config.workers(),
    );
    let mut rows = |title: &str, rows: Vec<(&str, String)>| {
        let _ = write!(text, "\n{}\n", one_line(title));
        for (label, value) in rows {
            let _ = writeln!(text, "  {label:<8} {}", one_line(&value));
        }
    };
    for (deployment, proxy) in config.deployments.iter().zip(proxies) {
        let mut own = of_deployment(deployment, trial);
        own.extend(proxy.clone().map(|proxy| ("proxy", proxy)));
        rows(&deployment.name, own);
    }
    for group in &config.quota_groups {
        rows(&format!("quota group {}", group.name), of_group(config, group));
    }
    text
}

fn of_deployment(deployment: &DeploymentConfig, trial: Option<&Trial>) -> Vec<(&'static str, String)> {
    let served = deployment.served_models().join(", ");
    let mut rows = vec![
        ("URL", deployment.url(&Operation::ChatCompletions).unwrap_or_default()),
        ("model", deployment.model.clone()),
        ("serves", served),
        ("key", key(&deployment.auth)),
        ("tier", deployment.priority.to_string()),
        ("weight", deployment.weight.to_string()),
        ("limits", limits_of(deployment)),
    ];
    if deployment.kind == Kind::Azure {
        rows.insert(2, ("sku", deployment.sku.name().to_owned()));
    }
    if let Some(group) = &deployment.quota_group {
        rows.push(("group", group.clone()));
    }
    if let Some(most) = deployment.max_in_flight {
        rows.push(("at once", format!("at most {most} requests")));
    }
    if !deployment.headers.is_empty() {
        let names: Vec<_> = deployment.headers.iter().map(|(name, _)| name.as_str()).collect();
        rows.push(("headers", names.join(", ")));
    }
    if let Some(credential) = trial.and_then(|trial| trial.credential(&deployment.name)) {
        rows.push(("scope", credential.scope.clone()));
        let token = token(credential);
        let mut lines = lines_of(&token).into_iter();
        rows.extend(lines.next().map(|line| ("token", line.to_owned())));
        rows.extend(lines.map(|line| ("", line.to_owned())));
    }
    let sent = trial.and_then(|trial| trial.sent.iter().find(|sent| sent.deployment == deployment.name));
    if let Some(sent) = sent {
        let lacks_token = trial
            .and_then(|trial| trial.credential(&deployment.name))
            .is_some_and(|credential| credential.token.is_none());
        let outcome = match sent.status {
            None if lacks_token => "nothing, as there is no token".to_owned(),
            _ => outcome(sent),
        };
        rows.push(("sent", outcome));
    }
    rows
}

/// What is said of a token, a line for each credential that was tried.
fn lines_of(text: &str) -> Vec<&str> {
    const NAMES: [&str; 5] = ["environment: ", "workload: ", "managed: ", "az: ", "azd: "];
    let mut lines = Vec::new();
    let mut rest = text;
    let next = |rest: &str| {
        let ends = rest.match_indices(". ").map(|(at, _)| at);
        ends.into_iter()
            .find(|at| NAMES.iter().any(|name| rest[at + 2..].starts_with(name)))
    };
    while let Some(end) = next(rest) {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    lines
}

/// What is to be seen of a token.
fn token(credential: &CredentialReport) -> String {
    let problem = credential.problem.as_deref();
    let Some(token) = &credential.token else {
        return format!("none: {}", problem.unwrap_or("there was no answer in time"));
    };
    let by = token.giver.map(|giver| format!("by {giver}, ")).unwrap_or_default();
    let mut text = format!(
        "{by}until {}, in {} min",
        trial::time_of_day(token.expires),
        token.left.as_secs() / 60
    );
    let claims = [
        ("tenant", &token.tenant),
        ("object", &token.object),
        ("audience", &token.audience),
    ];
    for (name, claim) in claims {
        let _ = write!(text, ", {name} {}", claim.as_deref().unwrap_or("not told"));
    }
    text + &problem
        .map(|problem| format!("; no new one: {problem}"))
        .unwrap_or_default()
}

/// What became of a tiny request.
fn outcome(sent: &Sent) -> String {
    let took = sent
        .seconds
        .map(|seconds| format!(" in {seconds:.3} s"))
        .unwrap_or_default();
    let status = sent
        .status
        .map_or_else(|| "no reply".to_owned(), |status| status.to_string());
    match &sent.error {
        None => format!("{status}{took}"),
        Some(error) => format!("{status}{took}: {error}"),
    }
}

fn of_group(config: &BlasterConfig, group: &QuotaGroup) -> Vec<(&'static str, String)> {
    let members = config
        .deployments
        .iter()
        .filter(|d| d.quota_group.as_ref() == Some(&group.name));
    let members: Vec<_> = members.map(|deployment| deployment.name.as_str()).collect();
    let members = if members.is_empty() {
        "none".to_owned()
    } else {
        members.join(", ")
    };
    vec![
        (
            "limits",
            limits(group.rpm_limit, group.tpm_limit) + &windows(group.quota_window, group.request_window),
        ),
        ("members", members),
    ]
}

fn limits_of(deployment: &DeploymentConfig) -> String {
    limits(deployment.rpm_limit, deployment.tpm_limit)
        + &windows(Some(deployment.quota_window), Some(deployment.request_window))
}

/// The windows that are not the usual ones.
fn windows(quota: Option<Duration>, request: Option<Duration>) -> String {
    let mut text = String::new();
    let windows = [
        ("tokens", quota, defaults::QUOTA_WINDOW),
        ("requests", request, defaults::REQUEST_WINDOW),
    ];
    for (what, window, default) in windows {
        if let Some(window) = window.filter(|&window| window != default) {
            let _ = write!(text, ", {what} counted in {}", seconds(window));
        }
    }
    text
}

fn limits(rpm: Option<u32>, tpm: Option<u32>) -> String {
    match (rpm, tpm) {
        (None, None) => "none stated".to_owned(),
        (Some(rpm), None) => format!("{rpm} requests a minute"),
        (None, Some(tpm)) => format!("{tpm} tokens a minute"),
        (Some(rpm), Some(tpm)) => format!("{rpm} requests and {tpm} tokens a minute"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

fn key(auth: &Auth) -> String {
    match auth {
        Auth::Key(_) => "set (hidden)".to_owned(),
        Auth::Entra(credential) => format!("none; signs in with Entra ID ({})", credential.name()),
        Auth::Custom(_) => "none; signs in with tokens of a provider".to_owned(),
        Auth::None => "none".to_owned(),
        _ => "of a kind that this command does not know".to_owned(),
    }
}

/// A model that is served may be called what a terminal would obey.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
