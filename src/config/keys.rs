//! Every key of a configuration file: the one table that the reader knows keys by, that values are measured
//! against, and that the tables of `docs/CONFIG.md` are printed from.

use std::fmt;

use super::{Kind, SendStreamOptions, Sku, Strategy};

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    pub name: &'static str,
    /// What may stand there.
    pub form: Form,
    /// Whether `null` may stand there too, for the default.
    pub nullable: bool,
    /// The value that holds without it, as JSON or in words.
    pub default: &'static str,
    /// One sentence for the docs.
    pub meaning: &'static str,
    pub standing: Standing,
}

/// What other tools call a key of a deployment, and what it is called here.
pub(super) const CALLED_ELSEWHERE: [(&str, &Key); 17] = [
    ("api_base", &ENDPOINT),
    ("azure_endpoint", &ENDPOINT),
    ("base_url", &ENDPOINT),
    ("url", &ENDPOINT),
    ("azure_deployment", &MODEL),
    ("deployment", &MODEL),
    ("deployment_name", &MODEL),
    ("engine", &MODEL),
    ("key", &API_KEY),
    ("max_tokens", &MAX_COMPLETION_TOKENS),
    ("rpm", &RPM_LIMIT),
    ("max_rpm", &RPM_LIMIT),
    ("tpm", &TPM_LIMIT),
    ("max_tpm", &TPM_LIMIT),
    ("timeout", &TIMEOUT),
    ("default_headers", &HEADERS),
    ("api_type", &KIND),
];
/// The same of a quota group.
pub(super) const GROUP_CALLED_ELSEWHERE: [(&str, &Key); 2] = [("rpm", &GROUP_RPM_LIMIT), ("tpm", &GROUP_TPM_LIMIT)];
/// The same of the settings of the pool.
pub(super) const TOP_CALLED_ELSEWHERE: [(&str, &Key); 6] = [
    ("endpoints", &DEPLOYMENTS),
    ("instances", &DEPLOYMENTS),
    ("model_list", &DEPLOYMENTS),
    ("routing_strategy", &STRATEGY),
    ("workers", &NUM_WORKERS),
    ("max_retries", &MAX_JOB_RETRY),
];

/// What may stand at a key. `Display` says it so that it can follow "must be".
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Whole {
        min: u64,
        max: u64,
    },
    /// Both ends belong to it.
    Number {
        min: f64,
        max: f64,
    },
    /// More than zero.
    Seconds {
        max: u64,
    },
    Flag,
    OneOf(&'static [&'static str]),
    /// The rest are in words, as their rules have no common shape.
    Text(&'static str),
    List(&'static str),
    Object(&'static str),
}

/// What this release makes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Works,
    /// Accepted for compatibility; will never have an effect.
    Ignored,
}

impl Form {
    /// The texts that may stand there, where there are but a few.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        let names = match self {
            Form::OneOf(names) => names,
            _ => &[],
        };
        names.iter().copied()
    }

    pub(super) fn admits_whole(self, value: u64) -> bool {
        matches!(self, Form::Whole { min, max } if (min..=max).contains(&value))
    }

    pub(super) fn admits_number(self, value: f64) -> bool {
        matches!(self, Form::Number { min, max } if (min..=max).contains(&value))
    }

    pub(super) fn admits_time(self, value: std::time::Duration) -> bool {
        matches!(self, Form::Seconds { max } if !value.is_zero() && value <= std::time::Duration::from_secs(max))
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Whole { min, max } => write!(f, "a whole number from {min} to {max}"),
            Form::Number {
                min,
                max: f64::INFINITY,
            } => write!(f, "a number from {min} on"),
            Form::Number { min, max } => write!(f, "a number from {min} to {max}"),
            Form::Seconds { max } => write!(f, "a number of seconds above 0 and at most {max}"),
            Form::Flag => f.write_str("true or false"),
            Form::OneOf(names) => {
                for (index, name) in names.iter().enumerate() {
                    let joint = match index {
                        0 => "",
                        last if last + 1 == names.len() => " or ",
                        _ => ", ",
                    };
                    write!(f, "{joint}{name:?}")?;
                }
                Ok(())
            }
            Form::Text(words) | Form::List(words) | Form::Object(words) => f.write_str(words),
        }
    }
}

const DAY_S: u64 = 86_400;

/// Largest value of a count that nothing else bounds.
const COUNT_MAX: u64 = u32::MAX as u64;

/// Most deployments of one configuration.
pub(super) const DEPLOYMENTS_MAX: usize = 10_000;
/// Most quota groups of one configuration.
pub(super) const QUOTA_GROUPS_MAX: usize = DEPLOYMENTS_MAX;
/// Longest name of a deployment or a quota group, in characters.
pub(super) const NAME_MAX: usize = 128;
/// Longest name of a model, in characters.
pub(super) const MODEL_MAX: usize = 256;
/// Longest API key, in bytes.
pub(super) const API_KEY_MAX: usize = 8192;
/// Longest resource id, in characters.
pub(super) const RESOURCE_ID_MAX: usize = 1024;
/// Most headers of a deployment: the service takes ten custom headers and answers 431 to more; two are ours.
pub(super) const HEADERS_MAX: usize = 8;

const STRATEGIES: [&str; 6] = [
    Strategy::Weighted.name(),
    Strategy::RoundRobin.name(),
    Strategy::Priority.name(),
    Strategy::Failover.name(),
    Strategy::LeastLoaded.name(),
    Strategy::TwoChoices.name(),
];
const KINDS: [&str; 2] = [Kind::Azure.name(), Kind::OpenAi.name()];
const SEND_STREAM_OPTIONS: [&str; 2] = [SendStreamOptions::Auto.name(), SendStreamOptions::Never.name()];
const SKUS: [&str; 2] = [Sku::Standard.name(), Sku::Provisioned.name()];

/// Makes a static of each key, and a table of all of them in this order. `+ null` is for `nullable`.
macro_rules! keys {
    ($table:ident: $(
        $id:ident = $name:literal, $form:expr, $default:literal, $standing:ident $(+ $null:ident)?, $meaning:literal;
    )*) => {
        $(pub(super) static $id: Key = Key {
            name: $name,
            form: $form,
            nullable: keys!(@nullable $($null)?),
            default: $default,
            meaning: $meaning,
            standing: Standing::$standing,
        };)*
        pub(super) static $table: &[&Key] = &[$(&$id),*];
    };
    (@nullable) => { false };
    (@nullable null) => { true };
}

keys! { TOP:
    DEPLOYMENTS = "deployments", Form::List("a list of 1 to 10000 deployments"), "required", Works,
        "The deployments to send to, each an object with the keys of the second table.";
    STRATEGY = "strategy", Form::OneOf(&STRATEGIES), "\"weighted\"", Works,
        "How an endpoint is chosen among those that are ready: by `weight`; each in turn; the lowest `priority`, shared \
         by `weight`; the lowest `priority`, and of one the first in the list; the one with the most room; the roomier \
         of two drawn at random.";
    NUM_WORKERS = "num_workers", Form::Whole { min: 1, max: 16_384 }, "64 × deployments, at most 1024", Works + null,
        "Worker threads, which is also the most requests in flight; fewer, with a warning, where this machine has room for no more \
         (Linux: about 15,000 where `vm.max_map_count` is 65530).";
    MAX_JOB_RETRY = "max_job_retry", Form::Whole { min: 1, max: 100 }, "5", Works,
        "Failed attempts, the first one included, after which a job is given up; waiting for quota or a cooldown \
         costs none.";
    QUEUE_CAPACITY = "queue_capacity", Form::Whole { min: 1, max: 10_000_000 }, "100000", Works,
        "Jobs that wait; a submitter waits for room when there are as many.";
    AUTO_DISABLE_THRESHOLD = "auto_disable_threshold", Form::Whole { min: 1, max: 1000 }, "5", Works,
        "Consecutive failures that take an endpoint out until a probe succeeds.";
    CONNECT_TIMEOUT = "connect_timeout_s", Form::Seconds { max: DAY_S }, "5", Works,
        "Longest time to resolve the name, connect and finish the TLS handshake.";
    FIRST_BYTE_TIMEOUT = "first_byte_timeout_s", Form::Seconds { max: DAY_S }, "600", Works,
        "Longest time from the end of a request to the first byte of its reply, and to the first content: text, a tool \
         call or a refusal in a stream, whatever frames come before it.";
    IDLE_TIMEOUT = "idle_timeout_s", Form::Seconds { max: DAY_S }, "60", Works,
        "Longest silence after the first content.";
    ATTEMPT_TIMEOUT = "attempt_timeout_s", Form::Seconds { max: DAY_S }, "600", Works,
        "Longest time of one request from connecting to the last byte.";
    JOB_TIMEOUT = "job_timeout_s", Form::Seconds { max: DAY_S }, "none", Works + null,
        "Longest time from a job's submission to its end, waiting and every attempt included.";
    COOLDOWN_MAX = "cooldown_max_s", Form::Seconds { max: 31 * DAY_S }, "3600", Works,
        "Longest Retry-After that is waited for; a longer one disables the endpoint, which is then probed.";
    PROXY = "proxy", Form::Text("a URL such as http://proxy.example:8080, or an empty text"),
        "[the environment's](#proxies)", Works + null,
        "HTTP proxy for every deployment on another machine; may hold a user name and password. An empty text means none, \
         whatever the environment says.";
    CA_FILE = "ca_file", Form::Text("the path of a PEM file"), "the built-in or the platform's roots", Works + null,
        "Certificates to trust instead, in PEM; a relative path starts at the working directory. Those that cannot be used are \
         passed over, with a warning, as long as one can.";
    ALLOW_HTTP = "allow_http", Form::Flag, "false", Works,
        "Whether `http://` endpoints may be on other machines; keys then travel in the clear.";
    SCHEMA = "$schema", Form::Text("the place of a JSON Schema"), "none", Ignored,
        "For editors, which complete and check a file by `docs/config.schema.json`.";
    WORKER_POLLING_INTERVAL = "worker_polling_interval", Form::Number { min: 0.0, max: f64::INFINITY },
        "none", Ignored + null,
        "Accepted for files of the Python original; nothing here polls.";
    QUOTA_GROUPS = "quota_groups", Form::Object("an object of at most 10000 quota groups, each under its name"),
        "none", Works,
        "Limits that several deployments share: those of one subscription, region and model. Each is an object with \
         the keys of the third table, under a name of 1 to 128 characters without control characters.";
}

keys! { DEPLOYMENT:
    NAME = "name", Form::Text("text of 1 to 128 characters without control characters"), "required", Works,
        "Name in logs, reports and ledgers; no two deployments have the same.";
    ENDPOINT = "endpoint", Form::Text("an absolute URL such as https://my-resource.openai.azure.com"),
        "required", Works,
        "Base URL of the resource, or [what the portal shows](#endpoints); `/openai/v1` at its end selects that surface; \
         `http://` is for this machine alone unless `allow_http` is true.";
    API_KEY = "api_key",
        Form::Text("a key of 1 to 8192 printable ASCII characters without spaces, one of \"default\", \"az\", \
            \"interactive\", \"managed\", \"workload\", \"client_secret\", \"device_code\", or null"),
        "required", Works + null,
        "A key, best as `${ENV}`; `null` sends none; the names (in any letter case, empty means `default`) sign in \
         with Entra ID, see credentials.md.";
    MODEL = "model",
        Form::Text("text of 1 to 256 characters, without control characters and without `.` or `..` between slashes"),
        "required, unless `models` or `endpoint` names it", Works,
        "The deployment's name in the resource, which goes into the URL; for `kind` `openai` the model.";
    MODELS = "models", Form::List("a list of 1 or more models, each an object with the keys name, tpm and rpm"), "none", Works,
        "Several deployments of one resource in place of `model`, `tpm_limit` and `rpm_limit`: objects with the keys of the \
         fourth table, which share all that is said beside them. Each becomes a deployment of its own, `name/model` where \
         there are several.";
    API_VERSION = "api_version", Form::Text("\"v1\" or a date such as \"2024-10-21\" or \"2025-01-01-preview\""),
        "\"2025-01-01-preview\"", Works,
        "`v1` selects the `/openai/v1/` surface; without effect for `kind` `openai`. Where `endpoint` names a version, that \
         is the default.";
    KIND = "kind", Form::OneOf(&KINDS), "\"azure\"", Works,
        "`openai` is any OpenAI-compatible base URL: the vendor as fallback, vLLM, ….";
    WEIGHT = "weight", Form::Whole { min: 1, max: 1000 }, "1", Works,
        "Share of the requests, in proportion to the other weights.";
    SERVES = "serves", Form::List("a list of 1 or more model names, none of them empty"), "its own `model`", Works,
        "Public model names that this deployment answers for.";
    MAX_IN_FLIGHT = "max_in_flight", Form::Whole { min: 1, max: 16_384 },
        "by weight: min(2 × its share of the workers, workers − half the others' shares), at least 1", Works + null,
        "Most requests at once.";
    TIMEOUT = "timeout_s", Form::Seconds { max: DAY_S }, "`attempt_timeout_s`", Works + null,
        "Longest time of one request to this deployment.";
    HEADERS = "headers", Form::Object("an object of at most 8 headers with text values"), "none", Works,
        "Headers sent with every request to this deployment; one may have 12,000 bytes, name and value together, and all \
         of them 32 KiB.";
    TEMPERATURE = "temperature", Form::Number { min: 0.0, max: 2.0 }, "none", Works + null,
        "Sent where the request sets none.";
    MAX_COMPLETION_TOKENS = "max_completion_tokens", Form::Whole { min: 1, max: COUNT_MAX }, "none", Works + null,
        "Sent where the request sets no limit.";
    SEND_OPTIONS = "send_stream_options", Form::OneOf(&SEND_STREAM_OPTIONS), "\"auto\"", Works,
        "`never` for a deployment that refuses `stream_options` with 400: it is sent none, not a request's own either, and \
         its streams tell no usage. `auto` sends those of the request and asks for the usage of a streamed chat that has none.";
    RPM_LIMIT = "rpm_limit", Form::Whole { min: 1, max: COUNT_MAX }, "none", Works + null,
        "Requests a minute.";
    TPM_LIMIT = "tpm_limit", Form::Whole { min: 1, max: COUNT_MAX }, "none", Works + null,
        "Tokens a minute, prompt and longest answer together.";
    PRIORITY = "priority", Form::Whole { min: 1, max: COUNT_MAX }, "1", Works,
        "Tier; lower ones come first, whatever the strategy (say 1 for reserved throughput and 2 for pay as you go).";
    SKU = "sku", Form::OneOf(&SKUS), "\"standard\"", Works,
        "How the service accounts for use: `standard` charges an estimate on admission, `provisioned` (PTU) what was \
         used on completion.";
    QUOTA_GROUP = "quota_group", Form::Text("the name of a quota group"), "none", Works + null,
        "The entry of `quota_groups` that it draws from beside its own limits; a request needs room in both.";
    QUOTA_WINDOW = "quota_window_s", Form::Seconds { max: DAY_S }, "60", Works,
        "Window in which tokens are counted; what the service says of its own counts instead.";
    REQUEST_WINDOW = "request_window_s", Form::Seconds { max: DAY_S }, "10", Works,
        "Window in which requests are counted, each with its share of `rpm_limit`; what the service says of its own \
         counts instead.";
    TENANT_ID = "tenant_id", Form::Text("the id or domain of a tenant: letters, digits, `.` and `-`"),
        "the credential's own, or `AZURE_TENANT_ID`", Works + null,
        "Tenant of Entra ID that issues the tokens.";
    CLIENT_ID = "client_id", Form::Text("an id of letters, digits and `-`"), "`AZURE_CLIENT_ID`, or the host's own identity", Works + null,
        "App registration to sign in as (`client_secret`, `workload`, `interactive`, `device_code`), or managed identity \
         (`managed`, `default`).";
    OBJECT_ID = "object_id", Form::Text("an id of letters, digits and `-`"), "none", Works + null,
        "Managed identity to sign in as, by its object id instead of `client_id`.";
    RESOURCE_ID = "resource_id", Form::Text("a resource id, /subscriptions/…"), "none", Works + null,
        "Managed identity to sign in as, by its resource id instead of `client_id`; not on App Service.";
    CLIENT_SECRET = "client_secret", Form::Text("text of 1 to 8192 printable ASCII characters without spaces"), "`AZURE_CLIENT_SECRET`", Works + null,
        "Secret of the app registration, best as `${ENV}`; for `api_key` `client_secret` and `default`.";
    TOKEN_SCOPE = "token_scope", Form::Text("a scope such as \"https://cognitiveservices.azure.com/.default\""),
        "`https://ai.azure.com/.default` for `v1` and `services.ai.azure.com`, else `https://cognitiveservices.azure.com/.default`", Works + null,
        "What the tokens are for; where none is given and the service asks for the other one, that is tried.";
}

keys! { ENTRY:
    ENTRY_NAME = "name", Form::Text("text of 1 to 256 characters, without control characters and without `.` or `..` between slashes"),
        "required", Works,
        "As `model`.";
    ENTRY_TPM = "tpm", Form::Whole { min: 0, max: COUNT_MAX }, "0", Works + null,
        "As `tpm_limit`; 0 is none.";
    ENTRY_RPM = "rpm", Form::Whole { min: 0, max: COUNT_MAX }, "0", Works + null,
        "As `rpm_limit`; 0 is none.";
}

keys! { GROUP:
    GROUP_RPM_LIMIT = "rpm_limit", Form::Whole { min: 1, max: COUNT_MAX }, "none", Works + null,
        "Requests a minute of all members together.";
    GROUP_TPM_LIMIT = "tpm_limit", Form::Whole { min: 1, max: COUNT_MAX }, "none", Works + null,
        "Tokens a minute of all members together.";
    GROUP_QUOTA_WINDOW = "quota_window_s", Form::Seconds { max: DAY_S }, "60", Works + null,
        "Window in which tokens are counted, also for limits of the members' own; what the service says counts instead.";
    GROUP_REQUEST_WINDOW = "request_window_s", Form::Seconds { max: DAY_S }, "10", Works + null,
        "Window in which requests are counted, each with its share of `rpm_limit`; also for limits of the members' own; \
         what the service says counts instead.";
}

impl Key {
    fn row(&self) -> String {
        let (kind, range) = match self.form {
            Form::Whole { max: COUNT_MAX, min } => ("integer", format!("{min} or more")),
            Form::Whole { min, max } => ("integer", format!("{min} … {max}")),
            Form::Number {
                min,
                max: f64::INFINITY,
            } => ("number", format!("{min} or more")),
            Form::Number { min, max } => ("number", format!("{min} … {max}")),
            Form::Seconds { max } => ("number", format!("above 0, at most {max}")),
            Form::Flag => ("boolean", self.form.to_string()),
            Form::OneOf(_) | Form::Text(_) => ("string", self.form.to_string()),
            Form::List(_) => ("list", self.form.to_string()),
            Form::Object(_) => ("object", self.form.to_string()),
        };
        let kind = if self.nullable {
            format!("{kind} or null")
        } else {
            kind.to_owned()
        };
        let remark = match self.standing {
            Standing::Works => "",
            Standing::Ignored => " **No effect.**",
        };
        format!(
            "| `{}` | {kind} | {range} | {} | {}{remark} |\n",
            self.name, self.default, self.meaning
        )
    }
}

/// A table of these keys in Markdown, as `docs/CONFIG.md` holds it.
pub(super) fn table(keys: &[&Key]) -> String {
    let head = "| key | type | allowed | default | meaning |\n|---|---|---|---|---|\n";
    keys.iter().fold(head.to_owned(), |table, key| table + &key.row())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs` with the text between `<!-- begin NAME -->` and `<!-- end NAME -->` replaced.
    fn replaced(docs: &str, name: &str, with: &str) -> String {
        let (before, rest) = docs.split_once(&format!("<!-- begin {name} -->\n")).unwrap();
        let (_, after) = rest.split_once(&format!("<!-- end {name} -->")).unwrap();
        format!("{before}<!-- begin {name} -->\n{with}<!-- end {name} -->{after}")
    }

    #[test]
    fn the_docs_print_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIG.md");
        let docs = std::fs::read_to_string(path).unwrap();
        let fresh = replaced(&docs, "top", &table(TOP));
        let fresh = replaced(&fresh, "deployment", &table(DEPLOYMENT));
        let fresh = replaced(&fresh, "group", &table(GROUP));
        let fresh = replaced(&fresh, "entry", &table(ENTRY));
        if docs != fresh && std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &fresh).unwrap();
            return;
        }
        assert!(
            docs == fresh,
            "docs/CONFIG.md is behind the code: run this test with UPDATE_DOCS=1"
        );
    }

    #[test]
    fn no_key_stands_twice() {
        for keys in [TOP, DEPLOYMENT, GROUP, ENTRY] {
            for (index, key) in keys.iter().enumerate() {
                assert!(keys[..index].iter().all(|other| other.name != key.name), "{}", key.name);
            }
        }
    }

    #[test]
    fn what_others_call_a_key_is_no_key_here() {
        let rows = [
            (TOP, &TOP_CALLED_ELSEWHERE[..]),
            (DEPLOYMENT, &CALLED_ELSEWHERE),
            (GROUP, &GROUP_CALLED_ELSEWHERE),
        ];
        for (keys, names) in rows {
            for (name, key) in names {
                assert!(keys.iter().all(|known| known.name != *name), "{name}");
                assert!(keys.iter().any(|known| known.name == key.name), "{name}");
            }
        }
    }

    #[test]
    fn limits_named_in_words_are_those_that_are_checked() {
        let rows = [
            (&DEPLOYMENTS, DEPLOYMENTS_MAX),
            (&QUOTA_GROUPS, QUOTA_GROUPS_MAX),
            (&NAME, NAME_MAX),
            (&MODEL, MODEL_MAX),
            (&API_KEY, API_KEY_MAX),
            (&HEADERS, HEADERS_MAX),
        ];
        for (key, limit) in rows {
            let words = key.form.to_string();
            assert!(
                words.split(' ').any(|word| word == limit.to_string()),
                "{words}: {limit}"
            );
        }
    }
}
