//! Why a credential gave no token, in our own sentences: what is wrong, and what to do next.
//!
//! Whatever the service, a command or the crate says is cut short and looked through for secrets before it is repeated.

use std::sync::Arc;

use serde::Deserialize;

use super::chain::Member;
use super::command::Ended;
use super::http::{Failure, Refusal};
use super::settings::EntraSettings;
use crate::api::error_object::one_line;
use crate::api::withheld::Mask;
use crate::auth::{Identity, TokenError};
use crate::error::fault::{Fault, FaultKind};

/// Longest text of others that is repeated, in characters.
const WORDS_MAX: usize = 200;

/// What was asked.
pub(super) struct Subject<'a> {
    pub(super) member: Member,
    pub(super) identity: &'a Identity,
    pub(super) settings: &'a Arc<EntraSettings>,
    pub(super) scope: &'a str,
}

/// What a person at a browser was asked for.
#[cfg(feature = "browser-login")]
pub(in crate::auth) struct LoginSubject<'a> {
    pub(in crate::auth) identity: &'a Identity,
    pub(in crate::auth) settings: &'a Arc<EntraSettings>,
    pub(in crate::auth) scope: &'a str,
}

#[cfg(feature = "browser-login")]
impl LoginSubject<'_> {
    fn subject(&self) -> Subject<'_> {
        Subject {
            member: Member::Environment,
            identity: self.identity,
            settings: self.settings,
            scope: self.scope,
        }
    }

    /// What the code in a message of Entra ID means.
    pub(in crate::auth) fn by_code(&self, description: &str) -> Option<String> {
        by_code(&self.subject(), description)
    }

    /// Entra ID refuses by this reply.
    pub(in crate::auth) fn refused_by(&self, refusal: &Refusal) -> TokenError {
        refused(&self.subject(), refusal)
    }

    /// The words, cut short and without what looks like a token, to stand in a sentence.
    pub(in crate::auth) fn said(&self, words: &str) -> String {
        said(&self.subject(), words)
    }

    /// Entra ID refuses, in these words.
    pub(in crate::auth) fn refused(&self, words: &str) -> TokenError {
        let subject = self.subject();
        let text = by_code(&subject, words);
        TokenError::lasting(text.unwrap_or_else(|| {
            format!(
                "Entra ID refuses{}; see that message for what to do",
                said(&subject, words)
            )
        }))
    }
}

/// What is known of the failure.
pub(super) struct Explained<'a> {
    pub(super) failure: Option<&'a Failure>,
    pub(super) ended: Option<&'a Ended>,
    /// Where a reply came from that should have been a token.
    pub(super) answered: Option<&'a str>,
    /// What the crate says.
    pub(super) text: &'a str,
}

pub(super) fn explain(subject: &Subject<'_>, of: Explained<'_>) -> TokenError {
    match (of.failure, of.ended) {
        (Some(Failure::Fault { host, fault }), _) if subject.member == Member::Managed => {
            no_identity_service(host, fault)
        }
        (Some(Failure::Status(refusal)), _) if subject.member == Member::Managed => identity_refused(subject, refusal),
        (Some(Failure::Fault { host, fault }), _) => unreachable(host, fault),
        (Some(Failure::Status(refusal)), _) => refused(subject, refusal),
        (None, Some(ended)) => command(subject, ended, of.text),
        (None, None) => match of.answered {
            Some(host) => no_token(subject, host),
            None => set_up(subject, of.text),
        },
    }
}

/// The identity service of this machine does not answer.
fn no_identity_service(host: &str, fault: &Fault) -> TokenError {
    let text = match fault.kind {
        FaultKind::Refused | FaultKind::Connect | FaultKind::Timeout(_) | FaultKind::Dns => format!(
            "nothing answers at {host}, where machines in Azure have their identity service ({}); run it on a machine or app \
             with a managed identity, or choose another credential",
            fault.kind_in_words()
        ),
        _ => format!(
            "the identity service at {host} broke off ({}); see whether this machine is one in Azure",
            one_line(&fault.message, WORDS_MAX)
        ),
    };
    match fault.kind {
        FaultKind::Local => TokenError::passing(text),
        _ => TokenError::lasting(text),
    }
}

/// The identity service of this machine gives no token.
fn identity_refused(subject: &Subject<'_>, refusal: &Refusal) -> TokenError {
    let id = subject.identity;
    let client = id
        .client_id
        .clone()
        .or_else(|| subject.settings.variable("AZURE_CLIENT_ID"));
    let asked = client.as_ref().or(id.object_id.as_ref()).or(id.resource_id.as_ref());
    match refusal.status {
        400 => TokenError::lasting(match asked {
            Some(asked) => format!(
                "this machine has no identity {asked} (400 of its identity service); assign it to the machine or app, or correct \
                 `client_id`"
            ),
            None => "this machine has no identity of its own (400 of its identity service); switch a system-assigned identity \
                     on, or name a user-assigned one by `client_id`"
                .to_owned(),
        }),
        401 | 403 => TokenError::lasting(format!(
            "this machine's identity service refuses us ({}); see what stands between, such as a proxy or a service mesh",
            refusal.status
        )),
        429 => TokenError::throttled(
            "this machine's identity service is asked too often (429), by others as well; it is asked again later",
            refusal.retry_after.unwrap_or_default(),
        ),
        404 | 410 => TokenError::passing(format!(
            "this machine's identity service is not ready ({}); it is asked again, and if that goes on see whether the identity \
             was just assigned, or this is a machine in Azure at all",
            refusal.status
        )),
        500.. => TokenError::throttled(
            format!(
                "this machine's identity service has trouble of its own ({}); it is asked again later",
                refusal.status
            ),
            refusal.retry_after.unwrap_or_default(),
        ),
        status => TokenError::lasting(format!(
            "this machine's identity service answered {status}; see what listens at {}",
            refusal.host
        )),
    }
}

/// A success that brings no token.
fn no_token(subject: &Subject<'_>, host: &str) -> TokenError {
    TokenError::lasting(match subject.member {
        Member::Managed => format!(
            "this machine's identity service answered with something that is no token; see what listens at {host}"
        ),
        _ => format!(
            "{host} answered with something that is no token; see what stands between, such as a proxy, and whether \
             AZURE_AUTHORITY_HOST is right"
        ),
    })
}

/// Entra ID does not answer.
pub(in crate::auth) fn unreachable(host: &str, fault: &Fault) -> TokenError {
    match fault.kind {
        FaultKind::Tls => TokenError::lasting(format!(
            "the certificate of {host} is not trusted ({}); where a proxy inspects TLS, give its authority as `ca_file`; where \
             `ca_file` is given, add the authority of {host} to it",
            one_line(&fault.message, WORDS_MAX)
        )),
        FaultKind::Protocol => TokenError::lasting(format!(
            "{host} does not speak as Entra ID does ({}); correct AZURE_AUTHORITY_HOST",
            one_line(&fault.message, WORDS_MAX)
        )),
        _ => TokenError::passing(format!(
            "{host} does not answer ({}); see whether this machine is online and may go there, through `proxy` if need be",
            one_line(&fault.message, WORDS_MAX)
        )),
    }
}

/// What Entra ID says when it refuses.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Oauth {
    error: String,
    error_description: String,
}

fn refused(subject: &Subject<'_>, refusal: &Refusal) -> TokenError {
    let told: Oauth = serde_json::from_slice(&refusal.body).unwrap_or_default();
    let status = refusal.status;
    let wait = refusal.retry_after.unwrap_or_default();
    if told.error.is_empty() && told.error_description.is_empty() {
        let text = format!(
            "{} answered {status}, and not as Entra ID does; see what stands between, such as a proxy, and whether \
             AZURE_AUTHORITY_HOST is right",
            refusal.host
        );
        return if status == 429 || status >= 500 {
            TokenError::throttled(text, wait)
        } else {
            TokenError::lasting(text)
        };
    }
    if status == 429 || status >= 500 || told.error == "temporarily_unavailable" {
        let text = format!(
            "Entra ID has trouble of its own ({status}{}); it is asked again later",
            said(subject, &told.error_description)
        );
        return TokenError::throttled(text, wait);
    }
    let text = by_code(subject, &told.error_description).unwrap_or_else(|| {
        format!(
            "Entra ID refuses{}; see that message for what to do",
            said(subject, &told.error_description)
        )
    });
    TokenError::lasting(text)
}

/// What the code in a message of Entra ID means for whoever has set this up.
fn by_code(subject: &Subject<'_>, description: &str) -> Option<String> {
    let code: u64 = {
        let (_, rest) = description.split_once("AADSTS")?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()?
    };
    let id = subject.identity;
    let variable = |name| subject.settings.variable(name);
    let tenant = id.tenant_id.clone().or_else(|| variable("AZURE_TENANT_ID"));
    let tenant = tenant.unwrap_or_else(|| "that was used".to_owned());
    let app = id.client_id.clone().or_else(|| variable("AZURE_CLIENT_ID"));
    let app = app.unwrap_or_else(|| "that was used".to_owned());
    let scope = subject.scope;
    let text = match code {
        90_002 | 90_003 | 900_021 | 900_023 | 900_382 | 50_059 => {
            format!("there is no tenant {tenant}; correct `tenant_id` or AZURE_TENANT_ID")
        }
        700_016 | 700_038 | 90_013 => {
            format!("there is no app {app} in the tenant {tenant}; correct `client_id` or `tenant_id`")
        }
        7_000_215 => format!(
            "the client secret of app {app} is wrong; give the secret's value, not its id, as AZURE_CLIENT_SECRET or `client_secret`"
        ),
        7_000_222 => format!(
            "the client secret of app {app} has expired; make a new one (az ad app credential reset --id {app}) and give it as \
             AZURE_CLIENT_SECRET or `client_secret`"
        ),
        7_000_112 => format!("the app {app} is switched off in the tenant {tenant}; have it switched on there"),
        70_021 | 700_211 | 700_212 | 700_213 | 700_223 => format!(
            "the app {app} does not trust this pod's service account; add a federated credential with its issuer, subject and \
             audience to the app"
        ),
        700_024 | 50_027 | 5_002_723 => {
            "the federated token is not valid at this time; see whether the clock of this machine is \
                                         right and the token's file is being renewed"
                .to_owned()
        }
        500_011 | 70_011 | 650_053 | 9_002_313 => {
            format!("there is no service {scope} in the tenant {tenant}; correct `token_scope`")
        }
        65_001 | 65_004 | 90_094 | 90_095 => format!(
            "nobody has consented to the app {app} using the service for them; have an administrator of the tenant {tenant} \
             grant it"
        ),
        50_076 | 50_078 | 50_079 | 50_173 | 700_082 | 700_084 | 50_132 | 70_043 | 70_044 | 50_133 | 50_089 => {
            format!("the login has ended or asks for more; {}", log_in(subject))
        }
        53_000..=53_004 | 530_003 | 50_105 | 50_158 => format!(
            "the rules of the tenant {tenant} forbid this sign-in{}; ask its administrator",
            said(subject, description)
        ),
        50_020 | 50_034 | 51_004 | 90_072 => {
            format!("the account is not one of the tenant {tenant}; {}", log_in(subject))
        }
        _ => return None,
    };
    Some(format!("{text} (AADSTS{code})"))
}

fn log_in(subject: &Subject<'_>) -> String {
    let tenant = match &subject.identity.tenant_id {
        Some(tenant) => format!(" --tenant {tenant}"),
        None => String::new(),
    };
    match subject.member {
        Member::Azd => format!("run `azd auth login{}`", tenant.replace("--tenant ", "--tenant-id ")),
        Member::Az => format!("run `az login{tenant}`"),
        _ => "sign in again".to_owned(),
    }
}

/// What became of az or azd.
fn command(subject: &Subject<'_>, ended: &Ended, text: &str) -> TokenError {
    let tool = subject.member.name();
    let (long, by_hand) = match subject.member {
        Member::Azd => ("the Azure Developer CLI", "azd auth token"),
        _ => ("the Azure CLI", "az account get-access-token"),
    };
    match ended {
        Ended::Exited(Some(0), _) if text.contains("2.54.0") => {
            TokenError::lasting("az is older than 2.54 and does not say when its tokens end; run `az upgrade`")
        }
        Ended::Exited(Some(0), _) => TokenError::lasting(format!(
            "{tool} answered with something that is no token; see what `{by_hand}` answers by hand"
        )),
        Ended::Exited(Some(127), _) => not_installed(tool, long),
        Ended::Exited(_, words) if words.contains("is not recognized as") => not_installed(tool, long),
        Ended::Exited(code, words) => {
            let lower = words.to_lowercase();
            if let Some(text) = by_code(subject, words) {
                return TokenError::lasting(text);
            }
            let is_logged_out = [
                "az login",
                "az account set",
                "azd auth login",
                "not logged in",
                "no subscription found",
            ];
            if is_logged_out.iter().any(|sign| lower.contains(sign)) {
                return TokenError::lasting(format!("{tool} is not logged in; {}", log_in(subject)));
            }
            let is_offline = [
                "connection",
                "network",
                "timed out",
                "name resolution",
                "getaddrinfo",
                "max retries",
            ];
            let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
            let text = format!(
                "{tool} failed with {code}{}; see what `{by_hand}` says by hand",
                said(subject, words)
            );
            if is_offline.iter().any(|sign| lower.contains(sign)) {
                TokenError::passing(text)
            } else {
                TokenError::lasting(text)
            }
        }
        Ended::TimedOut(limit) => TokenError::passing(format!(
            "{tool} did not answer within {} s and was ended; see how long `{by_hand}` takes by hand",
            limit.as_secs_f64()
        )),
        Ended::Stopped => TokenError::passing("it was ended with the program; start anew"),
        Ended::NotStarted(why) => TokenError::lasting(format!(
            "{tool} cannot be run ({}); see whether /bin/sh is there",
            one_line(why, WORDS_MAX)
        )),
    }
}

fn not_installed(tool: &str, long: &str) -> TokenError {
    TokenError::lasting(format!(
        "{tool} is not installed, or not on the PATH; install {long}, or choose another credential"
    ))
}

/// The credential could not even be set up, or a reply was no token.
fn set_up(subject: &Subject<'_>, text: &str) -> TokenError {
    let member = subject.member;
    if member == Member::Workload && text.contains("federated token") {
        let file = subject
            .settings
            .variable("AZURE_FEDERATED_TOKEN_FILE")
            .unwrap_or_default();
        let why = std::fs::read_to_string(&file).err().map(|error| format!(" ({error})"));
        return TokenError::lasting(format!(
            "the federated token file {file} cannot be read{}; see whether AZURE_FEDERATED_TOKEN_FILE is right and this program \
             may read it",
            why.unwrap_or_default()
        ));
    }
    if text.contains("isn't supported") || text.contains("aren't supported") {
        return TokenError::lasting(format!(
            "this host's kind of managed identity cannot be used{}; use a client secret or a workload identity",
            said(subject, text)
        ));
    }
    if text.contains("HTTPS scheme") || text.contains("relative URL") {
        return TokenError::lasting(format!(
            "the authority {} is no https:// URL; correct AZURE_AUTHORITY_HOST",
            one_line(&subject.settings.authority(), WORDS_MAX)
        ));
    }
    TokenError::lasting(format!(
        "{} gave no token{}; see whether what it was given is right",
        member.name(),
        said(subject, text)
    ))
}

/// `: what others say`, cut short, without secrets; nothing where they say nothing.
fn said(subject: &Subject<'_>, words: &str) -> String {
    // Ids that only the vendor's support can make something of.
    let words = words.split(" Trace ID:").next().unwrap_or_default();
    let words = words.split("\nTo troubleshoot").next().unwrap_or_default();
    let configured = subject
        .identity
        .client_secret
        .as_ref()
        .map(|secret| secret.expose().to_owned());
    let secrets = configured
        .into_iter()
        .chain(subject.settings.variable("AZURE_CLIENT_SECRET"));
    let words = Mask::of(secrets).hide(words).into_owned();
    let words = without_tokens(&words);
    let words = one_line(words.trim(), WORDS_MAX);
    if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    }
}

/// The words without what looks like a token: three parts in base64 with dots between, or anything as long as no word is.
fn without_tokens(words: &str) -> String {
    let is_part_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '/' | '~');
    let mut text = String::with_capacity(words.len());
    let mut rest = words;
    while !rest.is_empty() {
        let run = rest.find(|c| !is_part_of_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(run);
        let is_token = word.starts_with("eyJ") || word.len() > 80 && !word.contains("://");
        text.push_str(if is_token { "(hidden)" } else { word });
        let gap = after.find(is_part_of_token).unwrap_or(after.len());
        text.push_str(&after[..gap]);
        rest = &after[gap..];
    }
    text
}

impl Fault {
    fn kind_in_words(&self) -> String {
        match self.kind {
            FaultKind::Refused => "connection refused".to_owned(),
            FaultKind::Timeout(_) => "no answer in time".to_owned(),
            _ => one_line(&self.message, WORDS_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_token_is_hidden_and_the_rest_stays() {
        let long = "x".repeat(81);
        let rows = [
            ("plain words, a-b_c.", "plain words, a-b_c."),
            ("token=eyJ0eXAi.eyJhdWQi.c2ln end", "token=(hidden) end"),
            ("token: eyJ0eXAi.eyJhdWQi.c2ln, end", "token: (hidden), end"),
            ("\"eyJ0eXAi\"", "\"(hidden)\""),
            ("", ""),
        ];
        for (words, expected) in rows {
            assert_eq!(without_tokens(words), expected);
        }
        assert_eq!(without_tokens(&format!("a {long} b")), "a (hidden) b");
    }
}
