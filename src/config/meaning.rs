//! What is meant: values of the right type, with the environment filled in. Ranges are left to [`rules`](super::rules),
//! which configurations made by calls have to keep as well.

use std::str::FromStr;
use std::time::Duration;

use super::complaint::{Complaints, Spot, found, found_near, named};
use super::env::{Env, expand};
use super::file::{Fields, File};
use super::json::{Node, Sort};
use super::keys::{self, Key};
use super::rules::is_model;
use super::{Auth, BlasterConfig, DeploymentConfig, Kind, ProxyUrl, QuotaGroup, SendStreamOptions, Sku, Strategy, url};
use crate::api::Secret;

/// What a file means.
pub(super) struct Meaning {
    pub config: BlasterConfig,
    /// Of each deployment the entry that it comes from: one with `models` makes several.
    pub entries: Vec<usize>,
}

/// One of an entry's `models`.
struct Model {
    name: String,
    tpm: Option<u32>,
    rpm: Option<u32>,
}

/// The configuration that `file` describes. Where something is missing or of a wrong type, there is a complaint and
/// some other value in its place.
pub(super) fn meaning(file: &File<'_>, env: Env<'_>, complaints: &mut Complaints) -> Meaning {
    let mut deployments = Vec::new();
    let mut entries = Vec::new();
    for (index, fields) in file.deployments.iter().enumerate() {
        let spot = Spot::deployment(index);
        deployments.extend(entry(&mut Reader {
            file,
            fields,
            spot,
            env,
            complaints,
        }));
        entries.resize(deployments.len(), index);
    }
    let groups = file.groups.iter().enumerate().map(|(index, (name, fields))| {
        let spot = Spot::group(index);
        let mut read = Reader {
            file,
            fields,
            spot,
            env,
            complaints,
        };
        group(name, &mut read)
    });
    let groups = groups.collect();
    let spot = Spot::default();
    let fields = &file.top;
    let config = top(
        &mut Reader {
            file,
            fields,
            spot,
            env,
            complaints,
        },
        deployments,
        groups,
    );
    Meaning { config, entries }
}

fn top(read: &mut Reader<'_, '_>, deployments: Vec<DeploymentConfig>, quota_groups: Vec<QuotaGroup>) -> BlasterConfig {
    let mut config = BlasterConfig::new(deployments);
    read.require(&keys::DEPLOYMENTS);
    set(&mut config.strategy, read.one_of(&keys::STRATEGY, Strategy::named));
    config.num_workers = read.number(&keys::NUM_WORKERS);
    set(&mut config.max_job_retry, read.number(&keys::MAX_JOB_RETRY));
    set(&mut config.queue_capacity, read.number(&keys::QUEUE_CAPACITY));
    set(
        &mut config.auto_disable_threshold,
        read.number(&keys::AUTO_DISABLE_THRESHOLD),
    );
    set(&mut config.connect_timeout, read.time(&keys::CONNECT_TIMEOUT));
    set(&mut config.first_byte_timeout, read.time(&keys::FIRST_BYTE_TIMEOUT));
    set(&mut config.idle_timeout, read.time(&keys::IDLE_TIMEOUT));
    set(&mut config.attempt_timeout, read.time(&keys::ATTEMPT_TIMEOUT));
    config.job_timeout = read.time(&keys::JOB_TIMEOUT);
    set(&mut config.cooldown_max, read.time(&keys::COOLDOWN_MAX));
    config.proxy = read.text(&keys::PROXY).map(ProxyUrl::new);
    config.ca_file = read.text(&keys::CA_FILE).map(Into::into);
    set(&mut config.allow_http, read.flag(&keys::ALLOW_HTTP));
    read.polling_interval();
    read.text(&keys::SCHEMA);
    config.quota_groups = quota_groups;
    config
}

fn group(name: &str, read: &mut Reader<'_, '_>) -> QuotaGroup {
    let name = match expand(name, read.env) {
        Ok(name) => name,
        Err(error) => {
            let at = Some(read.file.place(read.spot));
            read.complaints.about(read.spot, at, format!("{error}"));
            name.to_owned()
        }
    };
    let mut group = QuotaGroup::new(name);
    group.rpm_limit = read.number(&keys::GROUP_RPM_LIMIT);
    group.tpm_limit = read.number(&keys::GROUP_TPM_LIMIT);
    group.quota_window = read.time(&keys::GROUP_QUOTA_WINDOW);
    group.request_window = read.time(&keys::GROUP_REQUEST_WINDOW);
    group
}

/// The deployments of one entry.
fn entry(read: &mut Reader<'_, '_>) -> Vec<DeploymentConfig> {
    let Some(models) = read.models() else {
        return vec![deployment(read, None)];
    };
    let common = deployment(read, models.first().map(|model| model.name.clone()));
    let several = models.len() > 1;
    let of = |model: Model| {
        let mut config = common.clone();
        if several {
            config.name = format!("{}/{}", common.name, model.name);
        }
        config.model = model.name;
        config.tpm_limit = model.tpm;
        config.rpm_limit = model.rpm;
        config
    };
    models.into_iter().map(of).collect()
}

/// The deployment of one entry; `model` where it is one of its `models`.
fn deployment(read: &mut Reader<'_, '_>, model: Option<String>) -> DeploymentConfig {
    let name = read.required_text(&keys::NAME);
    let kind = read.one_of(&keys::KIND, Kind::named).unwrap_or_default();
    let endpoint = read.required_text(&keys::ENDPOINT);
    let model = match model.or_else(|| url::deployment_in(kind, &endpoint)) {
        Some(model) if read.fields.get(&keys::MODEL).is_none() => model,
        _ => read.required_text(&keys::MODEL),
    };
    let (_, named) = url::taken_apart(kind, endpoint.clone(), &model);
    let mut config = DeploymentConfig::of_kind(kind, name, endpoint, model).auth(read.auth().unwrap_or(Auth::None));
    if let Some(version) = read.text(&keys::API_VERSION) {
        if let Some(named) = named.filter(|named| *named != version) {
            read.complain(
                &keys::ENDPOINT,
                format!("must {}", url::other_version(&named, &version)),
            );
        }
        config.api_version = version;
    }
    set(&mut config.weight, read.number(&keys::WEIGHT));
    set(&mut config.serves, read.serves());
    config.max_in_flight = read.number(&keys::MAX_IN_FLIGHT);
    config.timeout = read.time(&keys::TIMEOUT);
    set(&mut config.headers, read.headers());
    config.temperature = read.number(&keys::TEMPERATURE);
    config.max_completion_tokens = read.number(&keys::MAX_COMPLETION_TOKENS);
    set(
        &mut config.send_stream_options,
        read.one_of(&keys::SEND_OPTIONS, SendStreamOptions::named),
    );
    config.rpm_limit = read.number(&keys::RPM_LIMIT);
    config.tpm_limit = read.number(&keys::TPM_LIMIT);
    set(&mut config.priority, read.number(&keys::PRIORITY));
    set(&mut config.sku, read.one_of(&keys::SKU, Sku::named));
    set(&mut config.quota_window, read.time(&keys::QUOTA_WINDOW));
    set(&mut config.request_window, read.time(&keys::REQUEST_WINDOW));
    config.quota_group = read.text(&keys::QUOTA_GROUP);
    config.tenant_id = read.text(&keys::TENANT_ID);
    config.client_id = read.text(&keys::CLIENT_ID);
    config.object_id = read.text(&keys::OBJECT_ID);
    config.resource_id = read.text(&keys::RESOURCE_ID);
    config.client_secret = read.text(&keys::CLIENT_SECRET).map(Secret::new);
    config.token_scope = read.text(&keys::TOKEN_SCOPE);
    config
}

/// Leaves the default where nothing was written.
fn set<T>(slot: &mut T, written: Option<T>) {
    if let Some(value) = written {
        *slot = value;
    }
}

/// Takes values out of one object. Each method gives none where the key is absent, where a `null` asks for the
/// default, and after a complaint.
struct Reader<'a, 't> {
    file: &'a File<'t>,
    fields: &'a Fields<'t>,
    spot: Spot,
    env: Env<'a>,
    complaints: &'a mut Complaints,
}

impl<'t> Reader<'_, 't> {
    fn number<T: FromStr>(&mut self, key: &'static Key) -> Option<T> {
        self.value(key, Node::number)
    }

    fn time(&mut self, key: &'static Key) -> Option<Duration> {
        self.value(key, |node| Duration::try_from_secs_f64(node.number()?).ok())
    }

    fn flag(&mut self, key: &'static Key) -> Option<bool> {
        self.value(key, Node::flag)
    }

    fn text(&mut self, key: &'static Key) -> Option<String> {
        let written = self.value(key, Node::text)?;
        self.expanded(key, &written)
    }

    fn required_text(&mut self, key: &'static Key) -> String {
        self.require(key);
        self.text(key).unwrap_or_default()
    }

    fn polling_interval(&mut self) {
        let key = &keys::WORKER_POLLING_INTERVAL;
        let written = self.value(key, |node| {
            node.number().filter(|seconds| key.form.admits_number(*seconds))
        });
        if written.is_some() {
            log::debug!("{} has no effect: nothing polls", key.name);
        }
    }

    fn one_of<T>(&mut self, key: &'static Key, one: impl Fn(&str) -> Option<T>) -> Option<T> {
        let name = self.text(key)?;
        let one = one(&name);
        if one.is_none() {
            let said = format!("must be {}, got {}", key.form, found_near(&name, key.form.names()));
            self.complain(key, said);
        }
        one
    }

    fn auth(&mut self) -> Option<Auth> {
        let key = &keys::API_KEY;
        self.require(key);
        let written = self.value(key, Node::text)?;
        let text = self.expanded(key, &written)?;
        if text.is_empty() && !written.is_empty() {
            // Written out, an empty key asks for Entra ID; from the environment it is a variable that lacks its value.
            self.complain(key, "names an environment variable that is empty".into());
        }
        Some(Auth::from_text(text))
    }

    /// None where there are no `models`; after a complaint some other model in their place.
    fn models(&mut self) -> Option<Vec<Model>> {
        self.fields.get(&keys::MODELS)?;
        let Some(models) = self.readable_models() else {
            let name = "(none)".to_owned();
            let (tpm, rpm) = (None, None);
            return Some(vec![Model { name, tpm, rpm }]);
        };
        for other in [&keys::MODEL, &keys::SERVES, &keys::TPM_LIMIT, &keys::RPM_LIMIT] {
            if self.fields.get(other).is_some() {
                self.complain(other, "must not be given beside `models`, which say it of each".into());
            }
        }
        Some(models)
    }

    fn readable_models(&mut self) -> Option<Vec<Model>> {
        let items = self.value(&keys::MODELS, |node| node.items().filter(|items| !items.is_empty()))?;
        let mut models: Vec<Model> = Vec::new();
        for item in items {
            let model = self.one_model(item)?;
            if models.iter().any(|other| other.name == model.name) {
                return self.refuse_model(item, "must name each model once".into());
            }
            models.push(model);
        }
        Some(models)
    }

    fn one_model(&mut self, item: Node<'t>) -> Option<Model> {
        let form = keys::MODELS.form;
        let Some(entries) = item.entries() else {
            return self.refuse_model(
                item,
                format!("must be {form}, got {} in it", shown(&keys::MODELS, item)),
            );
        };
        let (mut name, mut tpm, mut rpm) = (None, None, None);
        for (written, value) in entries {
            let key = written.text().unwrap_or_else(|| written.raw().to_owned());
            let is_again = match key.as_str() {
                "name" => name.replace(self.name_of_model(value)?).is_some(),
                "tpm" => tpm.replace(self.limit_of_model(&keys::ENTRY_TPM, value)?).is_some(),
                "rpm" => rpm.replace(self.limit_of_model(&keys::ENTRY_RPM, value)?).is_some(),
                _ => return self.refuse_model(written, format!("must be {form}, got the key {} in it", named(&key))),
            };
            if is_again {
                return self.refuse_model(written, format!("must have each key once, got {} twice", named(&key)));
            }
        }
        let Some(name) = name else {
            return self.refuse_model(item, format!("must be {form}, got one without a name"));
        };
        let (tpm, rpm) = (tpm.flatten(), rpm.flatten());
        Some(Model { name, tpm, rpm })
    }

    fn name_of_model(&mut self, value: Node<'t>) -> Option<String> {
        let form = keys::ENTRY_NAME.form;
        let wrong = |found| format!("must have for \"name\" {form}, got {found}");
        let name = self.part(&keys::MODELS, value, wrong)?;
        match is_model(&name) {
            true => Some(name),
            false => self.refuse_model(value, wrong(found(&name))),
        }
    }

    /// A limit, of which none is written 0 or `null`.
    fn limit_of_model(&mut self, key: &'static Key, value: Node<'t>) -> Option<Option<u32>> {
        if value.sort() == Sort::Null {
            return Some(None);
        }
        match value.number::<u32>() {
            Some(limit) => Some((limit > 0).then_some(limit)),
            None => {
                let got = shown(key, value);
                self.refuse_model(value, format!("must have for \"{}\" {}, got {got}", key.name, key.form))
            }
        }
    }

    fn refuse_model<T>(&mut self, at: Node<'t>, said: String) -> Option<T> {
        self.complaints.about(self.spot.key(&keys::MODELS), Some(at.at()), said);
        None
    }

    fn serves(&mut self) -> Option<Vec<String>> {
        let key = &keys::SERVES;
        let items = self.value(key, |node| node.items().filter(|items| !items.is_empty()))?;
        let mut names = Vec::new();
        for item in items {
            names.push(self.part(key, item, |found| format!("must be {}, got {found} in it", key.form))?);
        }
        Some(names)
    }

    fn headers(&mut self) -> Option<Vec<(String, Secret)>> {
        let key = &keys::HEADERS;
        let entries = self.value(key, Node::entries)?;
        let mut headers = Vec::new();
        for (name, value) in entries {
            let name = name.text().unwrap_or_else(|| name.raw().to_owned());
            let wrong = |found| format!("must have text for {}, got {found}", named(&name));
            let value = self.part(key, value, wrong)?;
            headers.push((name, Secret::new(value)));
        }
        Some(headers)
    }

    /// The text that is one `part` of the value at `key`; `wrong` says what is wrong if it is something else.
    fn part(&mut self, key: &'static Key, part: Node<'t>, wrong: impl FnOnce(String) -> String) -> Option<String> {
        let said = match part.text() {
            Some(written) => match expand(&written, self.env) {
                Ok(text) => return Some(text),
                Err(error) => error.to_string(),
            },
            None => wrong(shown(key, part)),
        };
        self.complaints.about(self.spot.key(key), Some(part.at()), said);
        None
    }

    /// What `read` makes of the value at `key`.
    fn value<T>(&mut self, key: &'static Key, read: impl FnOnce(Node<'t>) -> Option<T>) -> Option<T> {
        let node = self.fields.get(key)?;
        if key.nullable && node.sort() == Sort::Null {
            return None;
        }
        let value = read(node);
        if value.is_none() {
            self.complain(key, format!("must be {}, got {}", key.form, shown(key, node)));
        }
        value
    }

    fn require(&mut self, key: &'static Key) {
        if self.fields.get(key).is_none() {
            self.complain(key, format!("is required: {}", key.form));
        }
    }

    fn expanded(&mut self, key: &'static Key, written: &str) -> Option<String> {
        match expand(written, self.env) {
            Ok(text) => Some(text),
            Err(error) => {
                self.complain(key, error.to_string());
                None
            }
        }
    }

    fn complain(&mut self, key: &'static Key, said: String) {
        let spot = self.spot.key(key);
        self.complaints.about(spot, Some(self.file.place(spot)), said);
    }
}

/// A value of the wrong type, as it may be shown: what may be a key is only called what it is.
fn shown(key: &Key, node: Node<'_>) -> String {
    /// Room for every number that a key could take.
    const DIGITS: usize = 20;
    let is_key = [&keys::API_KEY, &keys::CLIENT_SECRET]
        .iter()
        .any(|hidden| hidden.name == key.name);
    match node.sort() {
        Sort::Number if !is_key && node.raw().len() <= DIGITS => node.raw().to_owned(),
        Sort::Flag | Sort::Null => node.raw().to_owned(),
        Sort::Text => node
            .text()
            .map_or_else(|| Sort::Text.name().to_owned(), |text| found(&text)),
        sort => sort.name().to_owned(),
    }
}
