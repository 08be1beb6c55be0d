//! The world: resources with deployments, and the way of a request to the one that answers it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::config::{Poison, SimConfig, SimConfigError, SimDeployment, SimFault};
use super::deployment::{Deployment, DeploymentSummary, Served, Visit, error_plan};
use super::dice::{Dice, hash};
use super::gate::Gate;
use super::limiter::{Admitted, Limiter};
use super::plan::{Ask, Ending, Piece, Plan};
use super::reply::{ErrorReply, headers, models};
use super::request::{Head, Request, Route, Target};

/// The time of day at which a world starts unless it is told: the beginning of 2026.
const DEFAULT_START_UNIX_S: u64 = 1_767_225_600;

/// A simulated world: resources with deployments that share quotas, and what they answer.
///
/// A pure function of the configuration, the requests, their order and their times: one seed, one story.
///
/// ```
/// use azure_openai_blaster::sim::{SimConfig, World, plan::Ask};
/// use std::time::Duration;
///
/// let mut world = World::new(&SimConfig::uniform(1))?;
/// let plan = world.ask(&Ask {
///     resource: 0,
///     method: "POST",
///     path: "/openai/deployments/sim-0/chat/completions",
///     query: "api-version=2024-10-21",
///     headers: &[("api-key".to_owned(), "simulated-key".to_owned())],
///     body: br#"{"messages":[{"role":"user","content":"Why does backoff matter?"}]}"#,
///     now: Duration::ZERO,
/// });
/// assert_eq!(plan.status, 200);
/// # Ok::<(), azure_openai_blaster::sim::SimConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct World {
    start_unix_s: u64,
    seed: u64,
    resources: Vec<Resource>,
    deployments: Vec<Deployment>,
    /// The shared quota of each deployment, by position in `groups`.
    group_of: Vec<Option<usize>>,
    groups: Vec<Limiter>,
    /// Requests so far, those that found no deployment included.
    asked: u64,
    /// Charges that are to be corrected when their reply is out; as many as there are open requests.
    open: HashMap<u64, Open>,
    last_ticket: u64,
}

#[derive(Clone, Debug)]
struct Resource {
    name: String,
    deployments: Vec<usize>,
    gate: Gate,
}

/// A charge that is to be corrected.
#[derive(Clone, Copy, Debug)]
struct Open {
    deployment: usize,
    admitted: Admitted,
    actual: u64,
}

/// What a world has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorldSummary {
    /// Requests, those that found no deployment included.
    pub asked: u64,
    /// One entry for each deployment, in the order of the configuration.
    pub deployments: Vec<DeploymentSummary>,
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
            let known = resources.iter().position(|one| one.name == deployment.resource_name());
            let resource = known.unwrap_or(resources.len());
            if known.is_none() {
                resources.push(Resource {
                    name: deployment.resource_name().to_owned(),
                    deployments: Vec::new(),
                    gate: Gate::new(&config.api_versions),
                });
            }
            resources[resource].deployments.push(position);
            resources[resource].gate.admit(deployment);
        }
        let mut group_positions = BTreeMap::new();
        let mut groups = Vec::new();
        for (name, limits) in &config.quota_groups {
            group_positions.insert(name.as_str(), groups.len());
            let phase = Dice::new(&[config.seed, hash(1, name.as_bytes())]).unit() * limits.window_s;
            groups.push(Limiter::standard(limits, Duration::from_secs_f64(phase)));
        }
        let group_of = |deployment: &SimDeployment| group_positions.get(deployment.quota_group.as_deref()?).copied();
        let poison: Arc<[Poison]> = config.poison.as_slice().into();
        let deployments = config.deployments.iter().enumerate();
        Ok(World {
            start_unix_s: DEFAULT_START_UNIX_S,
            seed: config.seed,
            resources,
            deployments: deployments
                .map(|(position, one)| {
                    let salt = Dice::new(&[config.seed, position as u64]).bits();
                    Deployment::new(one, poison.clone(), salt)
                })
                .collect(),
            group_of: config.deployments.iter().map(group_of).collect(),
            groups,
            asked: 0,
            open: HashMap::new(),
            last_ticket: 0,
        })
    }

    /// Sets the time of day at which it starts, in Unix seconds; it shows in `created` and in dates of `retry-after`.
    pub fn starts_at(&mut self, unix_s: u64) {
        self.start_unix_s = unix_s;
    }

    /// The resources (one port each), in the order in which the configuration first names them: name, and positions
    /// of their deployments. A resource's own position is what [`Ask::resource`] means.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.resources
            .iter()
            .map(|one| (one.name.as_str(), one.deployments.as_slice()))
    }

    /// The deployments, in the order of the configuration.
    pub fn deployments(&self) -> impl Iterator<Item = &SimDeployment> {
        self.deployments.iter().map(Deployment::config)
    }

    /// Lets something go wrong with a deployment from now on, before the faults that it has. A position that there is
    /// not is ignored.
    ///
    /// # Errors
    /// [`SimConfigError::Value`] for a fault that no configuration could hold.
    pub fn inject(&mut self, deployment: usize, fault: SimFault) -> Result<(), SimConfigError> {
        fault.check(&|key| format!("the injected fault's {key}"))?;
        if let Some(deployment) = self.deployments.get_mut(deployment) {
            let (faults, next) = deployment.faults_mut();
            faults.inject(fault, next);
        }
        Ok(())
    }

    /// Ends all faults of a deployment, configured or injected. A position that there is not is ignored.
    pub fn clear_faults(&mut self, deployment: usize) {
        if let Some(deployment) = self.deployments.get_mut(deployment) {
            deployment.faults_mut().0.clear();
        }
    }

    /// What is to be answered to a request, and when.
    pub fn ask(&mut self, ask: &Ask<'_>) -> Plan {
        self.asked += 1;
        let unix_s = self.start_unix_s.saturating_add(ask.now.as_secs());
        let head = Head::read(ask.headers);
        let route = Route::read(ask.method, ask.path, ask.query);
        let (Some(resource), Some(route)) = (self.resources.get(ask.resource), route) else {
            return self.plain_error(&ErrorReply::ResourceNotFound, &head);
        };
        let denial = resource.gate.denial(&head, &route, unix_s);
        match (route.target, denial) {
            (Target::Operation(operation), denial) => {
                let visit = Visit {
                    ask,
                    head,
                    request: Request::read(operation, route.compacts, ask.body),
                    route,
                    operation,
                    denial,
                    unix_s,
                };
                self.operation(&visit)
            }
            (Target::Models, Some(denial)) => self.plain_error(&denial, &head),
            (Target::Models, None) => {
                let listed = resource.deployments.iter().map(|one| self.deployments[*one].config());
                let body = models::json(listed, route.surface, self.start_unix_s);
                Plan {
                    status: 200,
                    body: vec![Piece {
                        at: Duration::ZERO,
                        bytes: Cow::Owned(body),
                    }],
                    ..self.plain_error(&ErrorReply::Server, &head)
                }
            }
        }
    }

    /// Tells that the reply with this [`Note::ticket`](super::plan::Note::ticket) is out, whole or not: a provisioned deployment now charges what
    /// it used. To be called once for every ticket that is not 0; another one is ignored.
    pub fn finished(&mut self, ticket: u64, now: Duration) {
        if let Some(open) = self.open.remove(&ticket) {
            self.deployments[open.deployment].settle(open.admitted, open.actual, now);
        }
    }

    /// What has been done so far.
    #[must_use]
    pub fn summary(&self) -> WorldSummary {
        WorldSummary {
            asked: self.asked,
            deployments: self.deployments.iter().map(|one| one.summary().clone()).collect(),
        }
    }

    /// Finds the deployment of a request, and another one where it spills over.
    fn operation(&mut self, visit: &Visit<'_>) -> Plan {
        let in_body = visit.request.as_ref().ok().and_then(|request| request.model.as_ref());
        let name = visit
            .route
            .deployment
            .as_deref()
            .or(in_body.map(|model| model.as_str()));
        let Some(asked) = name.and_then(|name| self.find(visit.ask.resource, name)) else {
            let error = match (&visit.denial, &visit.request, name) {
                (Some(denial), _, _) => denial.clone(),
                (None, Err(error), None) => error.clone(),
                (None, Ok(_), None) => ErrorReply::missing("model"),
                (None, _, Some(_)) => ErrorReply::DeploymentNotFound,
            };
            return self.plain_error(&error, &visit.head);
        };
        let mut by = asked;
        let mut served = self.serve(asked, visit);
        let config = self.deployments[asked].config();
        let target = config.spillover.as_deref().or(visit.head.spillover);
        if served.spills
            && let Some(target) = target.and_then(|name| self.find(visit.ask.resource, name))
            && target != asked
        {
            let from = config.name.clone();
            let second = self.serve(target, visit);
            if second.plan.status < 400 && second.plan.ending == Ending::Clean {
                // What the first one had charged for nothing is given back.
                if let Some((admitted, _)) = served.open {
                    self.deployments[asked].settle(admitted, 0, visit.ask.now);
                }
                by = target;
                served = second;
                served
                    .plan
                    .headers
                    .push(("x-ms-spillover-from-deployment".into(), from.into()));
            } else {
                let code = second.plan.status.to_string();
                served.plan.headers.push(("x-ms-spillover-error".into(), code.into()));
            }
        }
        let mut plan = served.plan;
        plan.deployment = Some(asked);
        if let Some((admitted, actual)) = served.open {
            self.last_ticket += 1;
            plan.note.ticket = self.last_ticket;
            let open = Open {
                deployment: by,
                admitted,
                actual,
            };
            self.open.insert(self.last_ticket, open);
        }
        plan
    }

    fn serve(&mut self, deployment: usize, visit: &Visit<'_>) -> Served {
        let group = self.group_of[deployment].map(|group| &mut self.groups[group]);
        self.deployments[deployment].serve(visit, group)
    }

    /// A deployment of a resource, by its name.
    fn find(&self, resource: usize, name: &str) -> Option<usize> {
        let mut deployments = self.resources.get(resource)?.deployments.iter().copied();
        deployments.find(|one| self.deployments[*one].config().name == name)
    }

    /// An error of the resource itself.
    fn plain_error(&self, error: &ErrorReply, head: &Head<'_>) -> Plan {
        let mut dice = Dice::new(&[self.seed, self.asked]);
        error_plan(
            error,
            headers::common(error.content_type(), head.client_request_id, &mut dice),
        )
    }
}
