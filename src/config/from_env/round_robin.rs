//! A JSON array of connections, as a round-robin client for AutoGen has it: each with an endpoint and a key, and with
//! whatever else differs from the rest of the environment.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::models::{Model, models};
use super::variables::Variables;
use crate::config::complaint::{Complaints, Spot, found_near, named};
use crate::config::env::escape;
use crate::config::file::File;
use crate::config::json::Node;
use crate::config::keys;
use crate::config::meaning::{Meaning, meaning};
use crate::config::{BlasterConfig, Strategy, rules};

pub(super) const CONNECTION: &str = "AZURE_OPENAI_ROUND_ROBIN_CONNECTION";
pub(super) const SWITCH: &str = "USE_AZURE_OPENAI_ROUND_ROBIN";
const API_VERSION: &str = "AZURE_OPENAI_API_VERSION";
const SDK_API_VERSION: &str = "OPENAI_API_VERSION";

const LOOK: &str =
    r#"a JSON array of connections, such as [{"AZURE_OPENAI_ENDPOINT": "https://…", "AZURE_OPENAI_API_KEY": "…"}]"#;

/// What a connection calls the keys of a deployment; `PUBLIC` is none of them.
const CALLED: [(&str, &str); 12] = [
    ("AZURE_OPENAI_ENDPOINT", "endpoint"),
    ("azure_endpoint", "endpoint"),
    ("AZURE_OPENAI_API_KEY", "api_key"),
    ("AZURE_OPENAI_API_VERSION", "api_version"),
    ("OPENAI_API_VERSION", "api_version"),
    ("AZURE_OPENAI_DEPLOYMENT", "model"),
    ("AZURE_OPENAI_DEPLOYMENT_NAME", "model"),
    ("azure_deployment", "model"),
    ("model", PUBLIC),
    ("max_tokens", "max_completion_tokens"),
    ("timeout", "timeout_s"),
    ("default_headers", "headers"),
];

/// The model as requests name it; the deployment too, where no other is given.
const PUBLIC: &str = "";

/// What AutoGen's client takes and a deployment has no counterpart of.
const WITHOUT_EFFECT: [&str; 22] = [
    "add_name_prefixes",
    "azure_ad_token",
    "azure_ad_token_provider",
    "frequency_penalty",
    "http_client",
    "include_name_in_message",
    "logit_bias",
    "max_retries",
    "model_capabilities",
    "model_info",
    "n",
    "organization",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
    "stream_options",
    "tool_choice",
    "top_p",
    "user",
];

/// Whether connections are asked for.
pub(super) fn switched_on(variables: &mut Variables) -> bool {
    let Some(text) = variables.get(SWITCH) else {
        return false;
    };
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => true,
        "false" | "0" | "no" | "off" => false,
        _ => {
            variables.complain(
                SWITCH,
                &format!("must be true or false, got {}", found_near(&text, ["true", "false"])),
            );
            false
        }
    }
}

/// The connections' deployments, each in turn.
pub(super) fn read(variables: &mut Variables) -> BlasterConfig {
    if super::instances::strategy(variables).is_some_and(|strategy| strategy != Strategy::RoundRobin) {
        variables.warn(format!(
            "AZURE_ROUTING_STRATEGY has no effect beside {CONNECTION}, whose connections take turns"
        ));
    }
    let config = deployments(variables).unwrap_or_else(|| BlasterConfig::new([]));
    config.strategy(Strategy::RoundRobin)
}

/// One connection: what it says, under the keys of a deployment, and what it calls each of them.
#[derive(Default)]
struct Connection {
    says: Map<String, Value>,
    called: HashMap<&'static str, String>,
    public: Option<Value>,
}

fn deployments(variables: &mut Variables) -> Option<BlasterConfig> {
    let text = variables.required(CONNECTION, LOOK);
    if text.is_empty() {
        return None;
    }
    let items = if text.starts_with('[') {
        match Node::root(&text) {
            Ok(root) => root.items().unwrap_or_default(),
            Err(error) => {
                let place = text.get(..error.at).unwrap_or(&text).chars().count() + 1;
                variables.complain(CONNECTION, &format!("is {}, at its character {place}", error.why));
                return None;
            }
        }
    } else {
        Vec::new()
    };
    if items.is_empty() {
        variables.complain(CONNECTION, &format!("must be {LOOK}"));
        return None;
    }
    let connections: Vec<_> = items
        .into_iter()
        .enumerate()
        .filter_map(|(index, item)| Some((index, connection(variables, index, item)?)))
        .collect();
    let base = connections
        .iter()
        .any(|(_, connection)| !connection.says.contains_key("model"));
    let base = if base { models(variables) } else { Vec::new() };
    let version = variables.either(API_VERSION, SDK_API_VERSION);
    let version = variables.get(version);
    let mut names = HashSet::new();
    let mut all = Vec::new();
    let mut origins = Vec::new();
    for (index, connection) in &connections {
        for mut says in connection.on(&base, *index, &mut names) {
            if let Some(version) = &version {
                says.entry("api_version").or_insert_with(|| version.clone().into());
            }
            all.push(Value::Object(says));
            origins.push((*index, &connection.called));
        }
    }
    if all.is_empty() {
        return None;
    }
    let text = Value::from(Map::from_iter([("deployments".to_owned(), Value::Array(all))])).to_string();
    let mut complaints = Complaints::default();
    let file = File::read(&text, &mut complaints)?;
    // Nothing in a connection names a variable: every `${` was escaped.
    let Meaning { config, entries } = meaning(&file, &|_| None, &mut complaints);
    rules::check(&config, &|index| entries[index], &mut |spot, said| {
        complaints.about(spot, None, said)
    });
    for (spot, said) in complaints.into_parts() {
        complain(variables, &origins, spot, &said);
    }
    Some(config)
}

fn complain(variables: &mut Variables, origins: &[(usize, &HashMap<&'static str, String>)], spot: Spot, said: &str) {
    let Some((index, called)) = spot.deployment.and_then(|position| origins.get(position)) else {
        variables.complain(
            CONNECTION,
            &format!("makes a configuration in which {} {said}", spot.subject(None)),
        );
        return;
    };
    let subject = format!("{CONNECTION}[{index}]");
    match spot.key {
        Some(key) => {
            let key = called.get(key).map_or(key, String::as_str);
            variables.complain(&format!("{subject}: {key}"), said);
        }
        None => variables.note(&subject, format!("{subject}: {said}")),
    }
}

fn connection(variables: &mut Variables, index: usize, item: Node<'_>) -> Option<Connection> {
    let Some(entries) = item.entries() else {
        variables.complain(
            &format!("{CONNECTION}[{index}]"),
            &format!("must be an object, got {}", item.sort().name()),
        );
        return None;
    };
    let mut connection = Connection::default();
    for (name, value) in entries {
        let name = name.text().unwrap_or_else(|| name.raw().to_owned());
        if WITHOUT_EFFECT.contains(&name.as_str()) {
            variables.warn(format!(
                "{CONNECTION}[{index}]: {name} has no effect; requests say it themselves"
            ));
            continue;
        }
        let Ok(mut value) = serde_json::from_str::<Value>(value.raw()) else {
            variables.complain(
                &format!("{CONNECTION}[{index}]: {}", named(&name)),
                "must be nested less deeply",
            );
            continue;
        };
        escape_all(&mut value);
        let renamed = CALLED.iter().find(|(called, _)| *called == name);
        let known = keys::DEPLOYMENT.iter().map(|key| key.name).find(|key| *key == name);
        let key = renamed.map(|(_, key)| *key).or(known);
        // Absent and null are the same there, but for a key: a gateway may need none.
        if value.is_null() && key != Some("api_key") {
            continue;
        }
        match key {
            Some(key) if connection.called.contains_key(key) => {
                let other = connection.called[key].clone();
                let said = format!("says the same as {}, which is given too", named(&other));
                variables.complain(&format!("{CONNECTION}[{index}]: {name}"), &said);
            }
            Some(key) => {
                connection.called.insert(key, name);
                if key == PUBLIC {
                    connection.public = Some(value);
                } else {
                    connection.says.insert(key.to_owned(), value);
                }
            }
            // The reader refuses it, with the nearest key that there is.
            None => drop(connection.says.insert(name, value)),
        }
    }
    if let Some(public) = connection.public.take() {
        if connection.says.contains_key("model") {
            let serves = Value::Array(vec![public]);
            connection.says.entry("serves").or_insert(serves);
        } else {
            connection.says.insert("model".into(), public);
            connection.called.insert("model", "model".into());
        }
    }
    Some(connection)
}

impl Connection {
    /// What it says of each of its deployments: its own, or the environment's.
    fn on(&self, base: &[Model], index: usize, names: &mut HashSet<String>) -> Vec<Map<String, Value>> {
        let name = self.name(index, names);
        let with = |entries: Vec<(&str, Value)>| {
            let mut says = self.says.clone();
            for (key, value) in entries {
                says.entry(key).or_insert(value);
            }
            says
        };
        if self.says.contains_key("model") {
            let mut says = self.says.clone();
            says.insert("name".into(), name);
            return vec![says];
        }
        let named = |model: &Model| match &name {
            Value::String(name) if base.len() > 1 => format!("{name}/{}", escape(&model.deployment)).into(),
            name => name.clone(),
        };
        let of = |model: &Model| {
            let mut entries = vec![("model", Value::from(escape(&model.deployment)))];
            if !model.serves.is_empty() {
                entries.push(("serves", model.serves.iter().map(|name| escape(name)).collect()));
            }
            let mut says = with(entries);
            says.insert("name".into(), named(model));
            says
        };
        base.iter().map(of).collect()
    }

    /// Its own name, or the resource's, which no two have.
    fn name(&self, index: usize, names: &mut HashSet<String>) -> Value {
        if let Some(name) = self.says.get("name") {
            return name.clone();
        }
        let endpoint = self.says.get("endpoint").and_then(Value::as_str).unwrap_or_default();
        let host = endpoint.split_once("://").map_or("", |(_, host)| host);
        let resource = host.split(['.', ':', '/', '@']).next().unwrap_or_default();
        let resource = if resource.is_empty() {
            format!("connection-{}", index + 1)
        } else {
            resource.to_owned()
        };
        let mut name = resource.clone();
        let mut number = 1;
        while !names.insert(name.clone()) {
            number += 1;
            name = format!("{resource}-{number}");
        }
        name.into()
    }
}

/// Nothing is filled in from the environment: what a client sends as it stands is sent as it stands.
fn escape_all(value: &mut Value) {
    match value {
        Value::String(text) => *text = escape(text),
        Value::Array(items) => items.iter_mut().for_each(escape_all),
        Value::Object(entries) => entries.values_mut().for_each(escape_all),
        _ => {}
    }
}
