//! How a blaster is put together.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "entra")]
use crate::auth;
use crate::balance::{BalanceSettings, Balancer, HealthSettings};
use crate::clock;
use crate::config::{Auth, BlasterConfig, DeploymentConfig};
use crate::error::{Error, Result};
use crate::transport::Transport;

use super::blaster::Blaster;
use super::configured::{group, info, keeper, spec, wire};
use super::connections::Connections;
use super::core::Core;
use super::event::{Event, Hook};
use super::local_limits::warn_of_few_files;
use super::pool;
use super::setup::SetupReport;
use super::shared::{Shared, Timeouts};
use super::signing::SignIns;

/// Puts a [`Blaster`] together: a configuration, and what no file can say.
///
/// ```
/// use std::time::Duration;
///
/// use azure_openai_blaster::{Auth, Blaster, BlasterConfig, DeploymentConfig, Event};
///
/// let deployment = |name: &str| {
///     DeploymentConfig::new(name, format!("https://{name}.openai.azure.com"), "gpt-4o").auth(Auth::api_key("not-a-real-key"))
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
    /// Takes the configuration from a file, JSON or YAML; see `docs/CONFIG.md`.
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
    /// Needs the feature `tiktoken`. Names that begin with `gpt-4-`, `gpt-3.5`, `gpt-35` or `text-embedding` stand for the older vocabulary
    /// (cl100k_base), all others for the newer one (o200k_base).
    #[cfg(feature = "tiktoken")]
    #[must_use]
    pub fn exact_token_counts(mut self, exact: bool) -> Self {
        self.counts_exactly = exact;
        self
    }

    /// Looks up the environment variables that Entra ID credentials go by (`AZURE_TENANT_ID`, `AZURE_TOKEN_CREDENTIALS`, …)
    /// here instead of in the process's environment: for a program that reads a `.env` file. Only those by which a host says
    /// where its identity service is (`IDENTITY_ENDPOINT`, …) are read from the process all the same. Needs the
    /// feature `entra`, which is on by default.
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
        let started = pool::start(&shared, workers)?;
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

fn scripted() -> DeploymentConfig {
    DeploymentConfig::new("scripted", "http://localhost", "scripted").auth(Auth::None)
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}
