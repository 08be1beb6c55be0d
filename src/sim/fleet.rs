//! [`SimFleet`]: a simulated fleet of deployments that runs inside the calling process.

use std::fmt;
use std::time::Duration;

use serde_json::json;

use super::config::{SimConfig, SimDeployment, SimFault};
use super::fleet_error::FleetError;
use super::journal::{Counters, JournalEntry, JournalView, Totals};
use super::plan::{Ask, Plan};
use super::server::{Death, Model, Server, Site};
use super::settings::FleetSettings;
use super::world::World;
use crate::clock;

/// A deployment of a running fleet, with all that a client needs to call it.
#[derive(Clone)]
#[non_exhaustive]
pub struct SimEndpoint {
    /// Name, unique in the fleet: the deployment's own, or `resource/deployment` where two resources have one of it.
    pub name: String,
    /// Base URL of its resource, `http://127.0.0.1:<port>`.
    pub url: String,
    /// A key that it accepts; empty where keys are disabled.
    pub key: String,
    /// The deployment name that goes into the URL, or into `model` on the v1 surface.
    pub model: String,
    /// The model names that it answers for: its own, and that of the model behind it.
    pub serves: Vec<String>,
    /// Its share in the configuration that [`SimFleet::blaster_config_json`] writes.
    pub weight: u32,
}

impl fmt::Debug for SimEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimEndpoint")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("key", &format_args!("(hidden)"))
            .field("model", &self.model)
            .field("serves", &self.serves)
            .field("weight", &self.weight)
            .finish()
    }
}

/// A fleet of simulated deployments on loopback ports. Dropping it stops it.
///
/// Its calls block for moments only and may be made from any thread; the sockets are served on threads of its own.
///
/// ```
/// # use azure_openai_blaster::sim::{SimConfig, SimFleet};
/// # use std::time::Duration;
/// let fleet = SimFleet::start(SimConfig::default())?;
/// for endpoint in fleet.endpoints() {
///     println!("{} at {}", endpoint.name, endpoint.url);
/// }
/// let config = fleet.blaster_config_json(); // for `BlasterConfig::from_json`
/// let quiet = fleet.wait_for(Duration::from_secs(5), |view| view.entries().all(|entry| entry.ended.is_some()));
/// assert!(quiet);
/// # let _ = config;
/// # Ok::<(), azure_openai_blaster::sim::FleetError>(())
/// ```
#[derive(Debug)]
pub struct SimFleet {
    endpoints: Vec<SimEndpoint>,
    server: Server<World>,
}

impl SimFleet {
    /// Starts a fleet with the default [`FleetSettings`]; when it returns, every port accepts connections.
    ///
    /// # Errors
    /// As [`start_with`](Self::start_with).
    pub fn start(config: SimConfig) -> Result<Self, FleetError> {
        Self::start_with(config, &FleetSettings::default())
    }

    /// Starts a fleet.
    ///
    /// # Errors
    /// [`FleetError::Config`] for a configuration that [`SimConfig::check`] refuses; [`FleetError::Threads`],
    /// [`FleetError::Listen`] or [`FleetError::Ports`] where the system lacks threads or ports.
    pub fn start_with(config: SimConfig, settings: &FleetSettings) -> Result<Self, FleetError> {
        let mut world = World::new(&config)?;
        // Dates in `retry-after` count from the client's own time of day.
        let since_epoch = clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        world.starts_at(since_epoch.as_secs());
        let mut endpoints = describe(&config.deployments);
        let mut resources = vec![0; endpoints.len()];
        let mut count = 0;
        for (_, tenants) in world.resources() {
            for &tenant in tenants {
                resources[tenant] = count;
            }
            count += 1;
        }
        let sites = endpoints.iter().zip(&resources).map(|(endpoint, &resource)| Site {
            name: endpoint.name.as_str().into(),
            resource,
        });
        let ports = ports(settings.first_port, count)?;
        let server = Server::start(world, sites.collect(), &ports, settings)?;
        for (endpoint, resource) in endpoints.iter_mut().zip(resources) {
            if let Some(address) = server.address(resource) {
                endpoint.url = format!("http://{address}");
            }
        }
        Ok(SimFleet { endpoints, server })
    }

    /// The deployments, in the order of the configuration.
    #[must_use]
    pub fn endpoints(&self) -> &[SimEndpoint] {
        &self.endpoints
    }

    /// The base URL of the resource of this deployment.
    ///
    /// # Errors
    /// [`FleetError::UnknownDeployment`]
    pub fn url(&self, name: &str) -> Result<&str, FleetError> {
        Ok(&self.endpoints[self.position(name)?].url)
    }

    /// A configuration for `BlasterConfig::from_json` with all deployments and keys.
    #[must_use]
    pub fn blaster_config_json(&self) -> String {
        let deployments: Vec<_> = self
            .endpoints
            .iter()
            .map(|endpoint| {
                // Without keys there are tokens, which whoever is signed in has.
                let api_key = match endpoint.key.as_str() {
                    "" => "default",
                    key => key,
                };
                json!({
                    "name": endpoint.name,
                    "endpoint": endpoint.url,
                    "api_key": api_key,
                    "model": endpoint.model,
                    "serves": endpoint.serves,
                    "weight": endpoint.weight,
                })
            })
            .collect();
        format!("{:#}", json!({ "deployments": deployments }))
    }

    /// A copy of the journal, in the order in which the requests were received.
    #[must_use]
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.server.journal().entries()
    }

    /// Removes the exchanges that are over from the journal and returns them; open ones stay for the next time.
    #[must_use]
    pub fn take_journal(&self) -> Vec<JournalEntry> {
        self.server.journal().take_ended()
    }

    /// Empties the journal; counters go on.
    pub fn clear_journal(&self) {
        self.server.journal().clear();
    }

    /// The counters of a deployment.
    ///
    /// # Errors
    /// [`FleetError::UnknownDeployment`]
    pub fn counters(&self, name: &str) -> Result<Counters, FleetError> {
        let counters = self.server.journal().view(|view| view.counters(name));
        counters.ok_or_else(|| self.unknown(name))
    }

    /// The totals of the whole fleet.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.server.journal().view(|view| view.totals())
    }

    /// Time since the start, on the journal's scale.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.server.now()
    }

    /// Waits until `condition` holds for the journal and the counters; false if it still does not after `timeout`.
    ///
    /// It is looked at again whenever something was noted, under the lock that the server needs for its notes: keep it
    /// short.
    #[must_use]
    pub fn wait_for(&self, timeout: Duration, condition: impl FnMut(JournalView<'_>) -> bool) -> bool {
        self.server.journal().wait_until(clock::now() + timeout, condition)
    }

    /// Lets a deployment die. When it returns, the next request or connection meets it dead.
    ///
    /// # Errors
    /// [`FleetError::UnknownDeployment`]; [`FleetError::Listen`] if the death changes to one with an open port, and it
    /// could not be opened.
    pub fn kill(&self, name: &str, death: Death) -> Result<(), FleetError> {
        self.set_death(name, Some(death))
    }

    /// Lets a deployment live again, on the port that it had.
    ///
    /// # Errors
    /// [`FleetError::UnknownDeployment`]; [`FleetError::Listen`] if the port could not be opened again.
    pub fn revive(&self, name: &str) -> Result<(), FleetError> {
        self.set_death(name, None)
    }

    /// Lets something go wrong with a deployment from now on, before the faults that it has already.
    ///
    /// # Errors
    /// [`FleetError::UnknownDeployment`]; [`FleetError::Config`] for a fault that no configuration could hold.
    pub fn inject(&self, name: &str, fault: SimFault) -> Result<(), FleetError> {
        let position = self.position(name)?;
        Ok(self.server.change(|world, _| world.inject(position, fault))?)
    }

    /// Ends all faults of a deployment, configured or injected.
    ///
    /// # Errors
    /// [`FleetError::UnknownDeployment`]
    pub fn clear_faults(&self, name: &str) -> Result<(), FleetError> {
        let position = self.position(name)?;
        self.server.change(|world, _| world.clear_faults(position));
        Ok(())
    }

    fn set_death(&self, name: &str, death: Option<Death>) -> Result<(), FleetError> {
        let position = self.position(name)?;
        self.server.set_death(position, death)
    }

    fn position(&self, name: &str) -> Result<usize, FleetError> {
        let found = self.endpoints.iter().position(|endpoint| endpoint.name == name);
        found.ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> FleetError {
        let known: Vec<&str> = self.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
        FleetError::UnknownDeployment {
            name: name.to_owned(),
            known: known.join(", "),
        }
    }
}

/// The deployments as clients see them; the URLs are still empty.
///
/// Two resources may have deployments of the same name, so a name that is not alone is told with its resource.
fn describe(deployments: &[SimDeployment]) -> Vec<SimEndpoint> {
    let describe = |deployment: &SimDeployment| {
        let alike = deployments.iter().filter(|other| other.name == deployment.name).count();
        let name = match alike {
            1 => deployment.name.clone(),
            _ => format!("{}/{}", deployment.resource_name(), deployment.name),
        };
        let mut serves = vec![deployment.name.clone()];
        if deployment.model != deployment.name {
            serves.push(deployment.model.clone());
        }
        SimEndpoint {
            name,
            url: String::new(),
            key: deployment
                .keys
                .first()
                .map(|key| key.expose().to_owned())
                .unwrap_or_default(),
            model: deployment.name.clone(),
            serves,
            weight: deployment.weight,
        }
    };
    deployments.iter().map(describe).collect()
}

/// The ports to open for so many resources; 0 stands for any that is free.
fn ports(first: Option<u16>, resources: usize) -> Result<Vec<u16>, FleetError> {
    let Some(first) = first else {
        return Ok(vec![0; resources]);
    };
    let ports: Vec<u16> = (first..=u16::MAX).take(resources).collect();
    match ports.len() == resources {
        true => Ok(ports),
        false => Err(FleetError::Ports { first, resources }),
    }
}

impl Model for World {
    fn ask(&mut self, ask: &Ask<'_>) -> Plan {
        World::ask(self, ask)
    }

    fn finished(&mut self, ticket: u64, now: Duration) {
        World::finished(self, ticket, now);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn every_endpoint_has_a_name_of_its_own_and_a_port_for_each_resource() {
        let fleet = SimFleet::start(SimConfig::new([
            SimDeployment::new("gpt").resource("north").weight(3),
            SimDeployment::new("gpt").resource("south"),
            SimDeployment::new("mini").resource("north").model("gpt-4o-mini", ""),
        ]))
        .unwrap();
        let names: Vec<&str> = fleet
            .endpoints()
            .iter()
            .map(|endpoint| endpoint.name.as_str())
            .collect();
        assert_eq!(names, ["north/gpt", "south/gpt", "mini"]);
        assert_eq!(fleet.url("north/gpt").unwrap(), fleet.url("mini").unwrap());
        assert_ne!(fleet.url("north/gpt").unwrap(), fleet.url("south/gpt").unwrap());
        for endpoint in fleet.endpoints() {
            TcpStream::connect(endpoint.url.trim_start_matches("http://")).unwrap();
        }
        let error = fleet.counters("gpt").unwrap_err().to_string();
        assert_eq!(
            error,
            r#"no deployment is called "gpt"; there are north/gpt, south/gpt, mini"#
        );
    }

    #[test]
    fn the_written_configuration_names_all_that_a_client_needs() {
        let config = SimConfig::new([
            SimDeployment::new("east").key("canary").weight(3),
            SimDeployment::new("gpt-4o"),
        ]);
        let fleet = SimFleet::start(config).unwrap();
        let written: serde_json::Value = serde_json::from_str(&fleet.blaster_config_json()).unwrap();
        let expected = json!({ "deployments": [
            { "name": "east", "endpoint": fleet.url("east").unwrap(), "api_key": "canary", "model": "east",
              "serves": ["east", "gpt-4o"], "weight": 3 },
            { "name": "gpt-4o", "endpoint": fleet.url("gpt-4o").unwrap(), "api_key": "simulated-key", "model": "gpt-4o",
              "serves": ["gpt-4o"], "weight": 1 },
        ]});
        assert_eq!(written, expected);
        assert!(!format!("{fleet:?}").contains("canary"));
    }

    #[test]
    fn a_fleet_that_cannot_be_is_refused_with_its_reason() {
        let empty = SimFleet::start(SimConfig::new([])).unwrap_err().to_string();
        assert!(empty.contains("at least one deployment"), "{empty}");
        let settings = FleetSettings::new().first_port(65_534);
        let error = SimFleet::start_with(SimConfig::uniform(3), &settings)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "3 resources need ports 65534..=65536, but 65535 is the last one");
    }

    #[test]
    fn a_deployment_is_killed_and_revived_by_name() {
        let fleet = SimFleet::start(SimConfig::uniform(2)).unwrap();
        let knock = |name: &str| TcpStream::connect(fleet.url(name).unwrap().trim_start_matches("http://"));
        fleet.kill("sim-1", Death::Refuse).unwrap();
        assert!(knock("sim-1").is_err());
        assert!(knock("sim-0").is_ok());
        fleet.revive("sim-1").unwrap();
        assert!(knock("sim-1").is_ok());
        assert!(fleet.kill("sim-2", Death::Hang).is_err());
    }
}
