//! How a blaster is put together.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use parking_lot::Mutex;

use crate::api::RequestDefaults;
use crate::api::withheld::{Mask, secrets_of_header};
use crate::auth::{self, Keeper};
use crate::balance::limits::LimitSpec;
use crate::balance::{BalanceSettings, Balancer, EndpointSpec, HealthSettings};
use crate::clock;
use crate::config::{Auth, BlasterConfig, DeploymentConfig, Kind, QuotaGroup, Sku, defaults};
use crate::error::{Error, Result};
use crate::transport::target::host_of;
#[cfg(feature = "entra")]
use crate::transport::wire::private::PrivateClient;
use crate::transport::wire::{EndpointWire, WireError, WireSettings};
use crate::transport::{self, Target, Transport, UreqTransport};

use super::blaster::Blaster;
use super::connections::Connections;
use super::core::Core;
use super::event::{Event, Hook};
use super::local_limits::{room_for_workers, warn_of_few_files};
use super::setup::SetupReport;
use super::shared::{EndpointInfo, Shared, Timeouts};
use super::signing::SignIns;
use super::sources;
use super::worker;

/// Held while a pool is started: of two that were started at once each would count on the room that the other takes.
static STARTING: Mutex<()> = Mutex::new(());

/// Puts a [`Blaster`] together: a configuration, and what no file can say.
///
/// ```
/// use std::time::Duration;
///
/// use azure_openai_blaster::{Auth, Blaster, BlasterConfig, DeploymentConfig, Event};
///
/// let deployment = |name: &str| {
///     DeploymentConfig::new(name, format!("https://{name}.openai.azure.com"), "gpt-4o").auth(Auth::key("not-a-real-key"))
/// };
/// let config = BlasterConfig::new([deployment("my-resource-sweden"), deployment("my-resource-france").weight(2)])
///     .job_timeout(Duration::from_secs(600));
/// let builder = Blaster::builder()
///     .config(config) // or `config_file("config.json")?`
///     .workers(32)
///     .on_event(|event| {
///         if let Event::EndpointChanged { endpoint, condition, .. } = event {
///             eprintln!("{endpoint} is {condition}");
///         }
///     });
/// // What `build` would warn of, before anything is started.
/// assert!(builder.check()?.warnings.is_empty());
/// let blaster = builder.build()?;
/// assert_eq!((blaster.workers(), blaster.states().len()), (32, 2));
/// # Ok::<(), azure_openai_blaster::Error>(())
/// ```
#[derive(Default)]
pub struct Builder {
    config: Option<BlasterConfig>,
    workers: Option<usize>,
    transport: Option<Box<dyn Transport>>,
    hook: Option<Hook>,
    seed: Option<u64>,
    #[cfg(feature = "entra")]
    variables: Option<auth::entra::Variables>,
    #[cfg(feature = "entra")]
    entra_limits: auth::entra::EntraLimits,
    #[cfg(feature = "tiktoken")]
    counts_exactly: bool,
}

impl Builder {
    /// Takes the configuration from a JSON file; see `docs/CONFIG.md`.
    ///
    /// # Errors
    /// [`Error::Config`] with everything that is wrong with it.
    pub fn config_file(self, path: impl AsRef<Path>) -> Result<Self> {
        Ok(self.config(BlasterConfig::from_file(path)?))
    }

    /// Takes a configuration.
    #[must_use]
    pub fn config(mut self, config: BlasterConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Adds a deployment to the configuration.
    #[must_use]
    pub fn deployment(mut self, deployment: DeploymentConfig) -> Self {
        self.config
            .get_or_insert_with(|| BlasterConfig::new([]))
            .deployments
            .push(deployment);
        self
    }

    /// Threads in the pool, instead of the configured `num_workers`: 1 to 16,384, which [`Builder::build`] checks. Default:
    /// [`BlasterConfig::workers`].
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Calls `hook`, instead of one that was set before, with everything that happens: on the thread on which it happens, so it should be quick. It must
    /// not wait for the blaster. Where it panics on a job's event, that job ends as [`Error::Panicked`]. Most of the
    /// threads are workers, whose stack is 512 KiB: the hook may use half of it.
    #[must_use]
    pub fn on_event(mut self, hook: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Sends by another transport than HTTP: [`testing::Scripted`](crate::testing::Scripted) for tests. Without a
    /// configuration there is one deployment then, called `scripted`.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
        self.transport = Some(Box::new(transport));
        self
    }

    /// Whether prompts are counted by the tokeniser of their model (default: no) instead of being estimated, which is off by
    /// 7 % for the single prompt and corrected by what answers tell. Worth its cost where prompts are long beside their answers'
    /// limits, and of all kinds: 50 to 100 µs for each KB of text, on the thread that submits it, where the estimate takes
    /// 3, and 45 MiB of memory for a vocabulary, loaded in 0.3 s when the first request needs it.
    ///
    /// Names that begin with `gpt-4-`, `gpt-3.5`, `gpt-35` or `text-embedding` stand for the older vocabulary
    /// (cl100k_base), all others for the newer one (o200k_base).
    #[cfg(feature = "tiktoken")]
    #[must_use]
    pub fn exact_token_counts(mut self, exact: bool) -> Self {
        self.counts_exactly = exact;
        self
    }

    /// Looks up the environment variables that Entra ID credentials go by (`AZURE_TENANT_ID`, `AZURE_TOKEN_CREDENTIALS`, …)
    /// here instead of in the process's environment: for a program that reads a `.env` file. Only those by which a host says
    /// where its identity service is (`IDENTITY_ENDPOINT`, …) are read from the process all the same.
    #[cfg(feature = "entra")]
    #[must_use]
    pub fn variables(mut self, lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.variables = Some(Arc::new(lookup));
        self
    }

    /// Where this machine's identity service is, and how long credentials may take, for tests.
    #[cfg(all(feature = "entra", any(test, feature = "internals")))]
    #[doc(hidden)]
    #[must_use]
    pub fn entra_limits(mut self, limits: auth::entra::EntraLimits) -> Self {
        self.entra_limits = limits;
        self
    }

    /// Seed of shuffle and jitter, for tests that want the same order each time. Default: drawn at random.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Checks everything that [`Builder::build`] does, reads the CA file and the environment's proxies, and starts nothing.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn check(&self) -> Result<SetupReport> {
        let config = self.effective_config()?;
        let mut report = SetupReport {
            warnings: config.warnings(),
            proxies: vec![None; config.deployments.len()],
        };
        if self.transport.is_none() {
            let wire = wire(&config, config.workers())?;
            report.warnings.extend(wire.warnings().iter().cloned());
            report.proxies = wire.proxies().collect();
        }
        Ok(report)
    }

    /// Checks everything and starts the threads.
    ///
    /// # Errors
    /// [`Error::Config`] with everything that is wrong, [`Error::Setup`] for a CA file or proxy that cannot be used,
    /// [`Error::Start`] where there is no room for even one worker (where there is room for some, the pool is smaller,
    /// and the log says so).
    pub fn build(self) -> Result<Blaster> {
        let config = self.effective_config()?;
        for warning in config.warnings() {
            log::warn!("configuration: {warning}");
        }
        let workers = config.workers();
        let needs_files = self.transport.is_none();
        let (transport, proxys): (Box<dyn Transport>, _) = match self.transport {
            Some(transport) => (transport, Vec::new()),
            None => {
                let wire = wire(&config, workers)?;
                for warning in wire.warnings() {
                    log::warn!("{warning}");
                }
                let proxys = wire.proxy_secrets();
                (Box::new(wire), proxys)
            }
        };
        let names: Vec<Arc<str>> = config
            .deployments
            .iter()
            .map(|deployment| deployment.name.as_str().into())
            .collect();
        transport.bind(&names);
        let began = clock::now();
        let balancer = Balancer::new(
            config
                .deployments
                .iter()
                .map(|deployment| spec(deployment, &config))
                .collect(),
            BalanceSettings {
                strategy: config.strategy,
                workers: u32::try_from(workers).unwrap_or(u32::MAX),
                max_attempts: config.max_job_retry,
                health: HealthSettings {
                    threshold: config.auto_disable_threshold,
                    cooldown_max: config.cooldown_max,
                },
                groups: config.quota_groups.iter().map(group).collect(),
                start: began,
                seed: self.seed.unwrap_or_else(rand::random),
            },
        );
        let core = Core::new(balancer, config.queue_capacity, began);
        let endpoints = config
            .deployments
            .iter()
            .map(|deployment| info(deployment, &proxys))
            .collect();
        let timeouts = Timeouts {
            connect: config.connect_timeout,
            first_byte: config.first_byte_timeout,
            idle: config.idle_timeout,
            attempt: config.attempt_timeout,
            job: config.job_timeout,
        };
        #[cfg(feature = "entra")]
        let keeper = keeper(&config, self.variables, self.entra_limits)?;
        #[cfg(not(feature = "entra"))]
        let keeper = keeper(&config);
        let shared = Shared::new(core, transport, endpoints, timeouts, self.hook).with_tokens(keeper);
        #[cfg(feature = "tiktoken")]
        let shared = shared.counting_exactly(self.counts_exactly);
        let shared = Arc::new(shared);
        shared.transport.observe(Arc::new(Connections::of(&shared)));
        // From here on a failure drops the blaster, which ends the threads that have been started.
        let blaster = Blaster::new(Arc::clone(&shared));
        if let Some(keeper) = &shared.keeper {
            keeper.start(SignIns::of(&shared)).map_err(Error::Start)?;
        }
        let started = start(&shared, workers)?;
        if needs_files {
            warn_of_few_files(started);
        }
        Ok(blaster)
    }
}

impl Builder {
    /// The configuration that counts, which is valid.
    fn effective_config(&self) -> Result<BlasterConfig> {
        let mut config = match (&self.config, &self.transport) {
            (Some(config), _) => config.clone(),
            (None, Some(_)) => BlasterConfig::new([scripted()]),
            (None, None) => BlasterConfig::new([]),
        };
        if let Some(workers) = self.workers {
            config.num_workers = Some(workers);
        }
        config.validate()?;
        Ok(config)
    }
}

/// Starts the timer and the workers, as many of `wanted` as this machine has room for, and says how many. All of them run by
/// then, and what they take is taken.
fn start(shared: &Arc<Shared>, wanted: usize) -> Result<usize> {
    let _starting = STARTING.lock();
    let room = room_for_workers(wanted);
    if let Some(bound) = room.bound {
        let words = format!(
            "this machine has room for {} of {wanted} worker threads: {bound}",
            room.workers
        );
        if room.workers == 0 {
            return Err(Error::Start(io::Error::new(io::ErrorKind::OutOfMemory, words)));
        }
        log::warn!("{words}, or lower num_workers");
    }
    let timer = Arc::clone(shared);
    spawn("blaster-timer".to_owned(), move || timer.run_timer()).map_err(Error::Start)?;
    let (begins, begun) = mpsc::channel::<()>();
    let mut started = 0;
    while started < room.workers {
        let (worker, begins) = (Arc::clone(shared), begins.clone());
        // Counted before it runs, so that whoever looks sees the whole pool.
        shared.with_core(|core| core.workers += 1);
        let spawned = spawn(format!("blaster-{started}"), move || {
            drop(begins);
            worker::run(&worker);
        });
        if let Err(error) = spawned {
            shared.with_core(|core| core.worker_left());
            if started == 0 {
                return Err(Error::Start(error));
            }
            log::warn!("only {started} of {wanted} worker threads could be started: {error}");
            break;
        }
        started += 1;
    }
    if started < wanted {
        shared.with_core(|core| core.balancer.set_workers(started as u32));
    }
    drop(begins);
    // Nothing is ever sent: it ends when the last of them has let go of its end.
    let _ = begun.recv();
    Ok(started)
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    // Nobody joins: a thread ends by itself when the blaster is closed, and closing never waits for a socket.
    thread::Builder::new()
        .name(name)
        .stack_size(worker::STACK)
        .spawn(body)
        .map(drop)
}

fn scripted() -> DeploymentConfig {
    DeploymentConfig::new("scripted", "http://localhost", "scripted").auth(Auth::None)
}

fn spec(deployment: &DeploymentConfig, config: &BlasterConfig) -> EndpointSpec {
    let group = deployment
        .quota_group
        .as_ref()
        .and_then(|name| config.quota_groups.iter().position(|group| group.name == *name));
    // A member of a group that states no limit of its own has none: what it meets is the group's.
    let [quota_window, request_window] = match group {
        Some(index) => config.quota_groups[index].windows_of(deployment),
        None => [deployment.quota_window, deployment.request_window],
    };
    let has_own = group.is_none() || deployment.tpm_limit.is_some() || deployment.rpm_limit.is_some();
    EndpointSpec {
        tier: deployment.priority,
        limit: has_own.then(|| LimitSpec {
            sku: deployment.sku,
            tpm: deployment.tpm_limit.map(u64::from),
            rpm: deployment.rpm_limit.map(u64::from),
            quota_window,
            request_window,
        }),
        group,
        default_limit: deployment.max_completion_tokens,
        name: deployment.name.as_str().into(),
        host: host_of(&deployment.endpoint).unwrap_or_default().into(),
        weight: deployment.weight,
        serves: deployment
            .served_models()
            .iter()
            .map(|model| model.as_str().into())
            .collect(),
        max_in_flight: deployment
            .max_in_flight
            .map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
        unavailable: deployment.auth.unavailable(),
    }
}

fn group(group: &QuotaGroup) -> LimitSpec {
    LimitSpec {
        sku: Sku::Standard,
        tpm: group.tpm_limit.map(u64::from),
        rpm: group.rpm_limit.map(u64::from),
        quota_window: group.quota_window.unwrap_or(defaults::QUOTA_WINDOW),
        request_window: group.request_window.unwrap_or(defaults::REQUEST_WINDOW),
    }
}

fn info(deployment: &DeploymentConfig, proxys: &[String]) -> EndpointInfo {
    EndpointInfo {
        name: deployment.name.as_str().into(),
        model: deployment.model.as_str().into(),
        group: deployment.quota_group.as_deref().map(Into::into),
        defaults: RequestDefaults {
            temperature: deployment.temperature,
            max_completion_tokens: deployment.max_completion_tokens,
            send_stream_options: deployment.send_stream_options,
        },
        timeout: deployment.timeout,
        mask: mask(deployment, proxys),
    }
}

/// What each call to the deployment carries that must not show, a proxy's secrets among it.
fn mask(deployment: &DeploymentConfig, proxys: &[String]) -> Mask {
    let key = match &deployment.auth {
        Auth::Key(key) => Some(key.expose().to_owned()),
        // A token is hidden by whoever sends it.
        Auth::Entra(_) | Auth::Custom(_) | Auth::None => None,
    };
    let headers = deployment.headers.iter();
    let headers = headers.flat_map(|(name, value)| secrets_of_header(name, value.expose()));
    Mask::of(key.into_iter().chain(headers).chain(proxys.iter().cloned()))
}

/// The transport over HTTP to the configured deployments.
fn wire(config: &BlasterConfig, workers: usize) -> Result<UreqTransport> {
    let setup = |deployment: &DeploymentConfig, problem: String| Error::Setup {
        message: format!("deployment {:?}: {problem}", deployment.name),
        source: None,
    };
    let endpoints = config.deployments.iter().map(|deployment| {
        let url = Target::new(
            deployment.kind,
            &deployment.endpoint,
            &deployment.model,
            &deployment.api_version,
        )
        .map_err(|problem| setup(deployment, problem))?;
        let mut headers = crate::api::Headers::new();
        for (name, value) in &deployment.headers {
            headers
                .insert_secret(name, value.expose())
                .map_err(|problem| setup(deployment, problem))?;
        }
        Ok(EndpointWire {
            name: deployment.name.as_str().into(),
            url,
            auth: auth(deployment),
            headers,
            max_connections: deployment.max_in_flight.unwrap_or(workers).min(workers),
        })
    });
    UreqTransport::new(endpoints.collect::<Result<_>>()?, &settings(config)).map_err(not_set_up)
}

fn not_set_up(error: WireError) -> Error {
    Error::Setup {
        message: error.to_string(),
        source: error.into_cause(),
    }
}

fn settings(config: &BlasterConfig) -> WireSettings {
    WireSettings {
        proxy: config.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
        ca_file: config.ca_file.clone(),
        ..WireSettings::default()
    }
}

/// The sources of tokens, where a deployment needs one.
#[cfg(feature = "entra")]
fn keeper(
    config: &BlasterConfig,
    variables: Option<auth::entra::Variables>,
    limits: auth::entra::EntraLimits,
) -> Result<Option<Arc<Keeper>>> {
    use auth::entra::{EntraSettings, EntraSource};
    if !config.deployments.iter().any(sources::signs_in) {
        return Ok(None);
    }
    let client = PrivateClient::new(&settings(config)).map_err(not_set_up)?;
    let entra = Arc::new(EntraSettings {
        variables: variables.unwrap_or_else(|| Arc::new(|name: &str| std::env::var(name).ok())),
        client: Arc::new(client),
        limits,
    });
    let (plan, sources) = sources::of(config, |identity| {
        Box::new(EntraSource::new(identity, Arc::clone(&entra)))
    });
    Ok(Some(Keeper::new(plan, sources)))
}

/// The sources of tokens, where a deployment needs one. Of Entra ID this build has none, and such deployments are disabled.
#[cfg(not(feature = "entra"))]
fn keeper(config: &BlasterConfig) -> Option<Arc<Keeper>> {
    let (plan, sources) = sources::of(config, |identity| Box::new(auth::Lacking::of(identity)));
    (!sources.is_empty()).then(|| Keeper::new(plan, sources))
}

fn auth(deployment: &DeploymentConfig) -> transport::Auth {
    match (&deployment.auth, deployment.kind) {
        (Auth::Key(key), Kind::OpenAi) => transport::Auth::Bearer(key.clone()),
        (Auth::Key(key), Kind::Azure) => transport::Auth::Key(key.clone()),
        (Auth::Entra(_) | Auth::Custom(_), _) => transport::Auth::Token,
        (Auth::None, _) => transport::Auth::None,
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}
