//! Eligible sets: who serves which model, and endpoints that alone can serve what they hold.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rand::rngs::SmallRng;

use super::limits::LimitSpec;
use super::ring::Ring;
use super::{EndpointId, EndpointSpec, Strategy};

/// An eligible set: the endpoints that serve one model, or one that alone can serve a request. Told by
/// [`Balancer::set`](super::Balancer::set) and [`Balancer::set_for`](super::Balancer::set_for).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SetId(u32);

impl SetId {
    /// All endpoints: the first set that is made.
    pub(super) const EVERYBODY: SetId = SetId(0);
}

/// The endpoints of one set, and whose turn it is.
#[derive(Debug)]
pub(super) struct Set {
    /// In the order of the configuration.
    pub(super) members: Vec<EndpointId>,
    /// Has a seat for each member.
    pub(super) ring: Ring,
    /// There are provisioned members and others.
    is_mixed: bool,
    /// The most tokens that one of the members grants in a window, by its configuration; none where one has no limit.
    grants: Option<u64>,
    /// The quota groups that its members draw from, each once, ascending.
    groups: Vec<usize>,
}

/// All sets. The models are known from the start, and so is how many sets of one endpoint there may be: requests cannot
/// make sets without end.
#[derive(Debug)]
pub(super) struct Sets {
    sets: Vec<Set>,
    by_model: HashMap<Arc<str>, SetId>,
    /// The sets of one endpoint that have been asked for.
    alone: HashMap<EndpointId, SetId>,
}

impl Sets {
    pub(super) fn new(specs: &[EndpointSpec], groups: &[LimitSpec], strategy: Strategy, rng: &mut SmallRng) -> Self {
        let mut sets = Sets {
            sets: vec![Set::new(specs, groups, strategy, |_| true, rng)],
            by_model: HashMap::new(),
            alone: HashMap::new(),
        };
        for model in specs.iter().flat_map(|spec| &spec.serves) {
            if !sets.by_model.contains_key(model) {
                let id = SetId(sets.sets.len() as u32);
                let serves = |member: usize| specs[member].serves.contains(model);
                sets.sets.push(Set::new(specs, groups, strategy, serves, rng));
                sets.by_model.insert(Arc::clone(model), id);
            }
        }
        sets
    }

    /// The set that serves `model` (without one: all), or none where nobody serves it.
    pub(super) fn of(&self, model: Option<&str>) -> Option<SetId> {
        match model {
            Some(model) => self.by_model.get(model).copied(),
            None => Some(SetId::EVERYBODY),
        }
    }

    /// The set of this endpoint alone, made where it has not been asked for before.
    pub(super) fn alone(
        &mut self,
        endpoint: EndpointId,
        specs: &[EndpointSpec],
        groups: &[LimitSpec],
        strategy: Strategy,
        rng: &mut SmallRng,
    ) -> SetId {
        if let Some(&id) = self.alone.get(&endpoint) {
            return id;
        }
        let id = SetId(self.sets.len() as u32);
        let is_it = |member: usize| member == endpoint.index();
        self.sets.push(Set::new(specs, groups, strategy, is_it, rng));
        self.alone.insert(endpoint, id);
        id
    }

    /// Every model name that some endpoint serves, sorted.
    pub(super) fn models(&self) -> Vec<Arc<str>> {
        let mut models: Vec<Arc<str>> = self.by_model.keys().cloned().collect();
        models.sort();
        models
    }

    pub(super) fn members(&self, id: SetId) -> &[EndpointId] {
        &self.sets[id.0 as usize].members
    }

    /// Whether the set has provisioned members and others.
    pub(super) fn is_mixed(&self, id: SetId) -> bool {
        self.sets[id.0 as usize].is_mixed
    }

    /// The most tokens that one of the members grants in a window; none where that has no bound.
    pub(super) fn grants(&self, id: SetId) -> Option<u64> {
        self.sets[id.0 as usize].grants
    }

    /// Whether some member draws from this quota group.
    pub(super) fn draws_from(&self, id: SetId, group: usize) -> bool {
        self.sets[id.0 as usize].groups.binary_search(&group).is_ok()
    }

    pub(super) fn get_mut(&mut self, id: SetId) -> &mut Set {
        &mut self.sets[id.0 as usize]
    }
}

impl Set {
    fn new(
        specs: &[EndpointSpec],
        groups: &[LimitSpec],
        strategy: Strategy,
        serves: impl Fn(usize) -> bool,
        rng: &mut SmallRng,
    ) -> Self {
        let members: Vec<EndpointId> = (0..specs.len())
            .filter(|&index| serves(index))
            .map(EndpointId::at)
            .collect();
        let weights: Vec<u32> = members
            .iter()
            .map(|member| specs[member.index()].turns(strategy))
            .collect();
        Set {
            ring: Ring::new(&weights, rng),
            grants: {
                let grants = members.iter().map(|member| specs[member.index()].grants(groups));
                grants
                    .collect::<Option<Vec<u64>>>()
                    .and_then(|grants| grants.into_iter().max())
            },
            is_mixed: {
                let is_provisioned = |member: &EndpointId| specs[member.index()].is_provisioned();
                members.iter().any(is_provisioned) && !members.iter().all(is_provisioned)
            },
            groups: {
                let groups = members.iter().filter_map(|member| specs[member.index()].group);
                groups.collect::<BTreeSet<_>>().into_iter().collect()
            },
            members,
        }
    }
}
