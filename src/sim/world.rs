//! The world: resources with deployments, and what they answer.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use super::config::{SimConfig, SimConfigError, SimDeployment};
use super::plan::{Ask, Ending, Note, Piece, Plan};

/// A simulated world: resources with deployments that share quotas, and what they answer.
///
/// A pure function of the configuration, the requests, their order and their times: one seed, one story.
#[derive(Clone, Debug)]
pub struct World {
    config: SimConfig,
    resources: Vec<Resource>,
}

#[derive(Clone, Debug)]
struct Resource {
    name: String,
    deployments: Vec<usize>,
}

/// What a world has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorldSummary {
    /// One entry for each deployment, in the order of the configuration.
    pub deployments: Vec<DeploymentSummary>,
}

/// What a deployment has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeploymentSummary {
    /// Its name.
    pub name: String,
    /// Requests that named it.
    pub asked: u64,
    /// Requests that its quota admitted.
    pub admitted: u64,
    /// Requests that a quota refused.
    pub refused: u64,
    /// Faults that were played.
    pub faults: u64,
    /// Tokens charged on admission.
    pub charged: u64,
}

impl World {
    /// A world as configured, at time 0.
    ///
    /// # Errors
    /// As [`SimConfig::check`].
    pub fn new(config: &SimConfig) -> Result<World, SimConfigError> {
        config.check()?;
        let mut resources: Vec<Resource> = Vec::new();
        for (position, deployment) in config.deployments.iter().enumerate() {
            match resources.iter_mut().find(|r| r.name == deployment.resource_name()) {
                Some(resource) => resource.deployments.push(position),
                None => resources.push(Resource {
                    name: deployment.resource_name().to_owned(),
                    deployments: vec![position],
                }),
            }
        }
        Ok(World {
            config: config.clone(),
            resources,
        })
    }

    /// The resources (one port each), in the order in which the configuration first names them: name, and positions
    /// of their deployments. A resource's own position is what [`Ask::resource`] means.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.resources
            .iter()
            .map(|r| (r.name.as_str(), r.deployments.as_slice()))
    }

    /// The deployments, in the order of the configuration.
    pub fn deployments(&self) -> impl Iterator<Item = &SimDeployment> {
        self.config.deployments.iter()
    }

    /// What is to be answered to a request, and when.
    pub fn ask(&mut self, ask: &Ask<'_>) -> Plan {
        Plan {
            head_at: Duration::ZERO,
            status: 404,
            headers: vec![(Cow::Borrowed("content-type"), Cow::Borrowed("application/json"))],
            body: vec![Piece {
                at: Duration::ZERO,
                bytes: Cow::Borrowed(br#"{"error":{"code":"404","message": "Resource not found"}}"#),
            }],
            ending: Ending::Clean,
            deployment: self.resources.get(ask.resource).and(None),
            note: Note::default(),
        }
    }

    /// Tells that the reply with this [`Note::ticket`] is out, whole or not: provisioned deployments now charge what
    /// it used. To be called once for every ticket that is not 0.
    pub fn finished(&mut self, _ticket: u64, _now: Duration) {}

    /// What has been done so far.
    #[must_use]
    pub fn summary(&self) -> WorldSummary {
        WorldSummary::default()
    }
}
