//! Where jobs wait: a lane for each eligible set and operation, in each lane a queue for each class.

use std::collections::HashMap;
use std::time::Duration;

use crate::api::{Operation, Priority};
use crate::balance::SetId;

use super::job::Job;
use super::line::Line;
use super::moment::Moment;

/// A class whose oldest job has waited so long …
const AGED: Duration = Duration::from_secs(30);
/// … takes one of so many turns.
const AGED_TURN: u64 = 16;
/// From so many lanes on, an unused one is used again for another operation.
const KEPT: usize = 256;

/// A lane's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LaneId(u32);

/// All lanes.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    by_key: HashMap<(SetId, Operation), LaneId>,
    waiting: usize,
    /// Jobs taken so far, over all lanes: what the turns of aged classes are counted in.
    turns: u64,
}

/// Jobs that the same endpoints may serve.
#[derive(Debug)]
struct Lane {
    set: SetId,
    operation: Operation,
    /// By class, then by age.
    queues: [Queue; 3],
    /// Jobs that name this lane, those under way included.
    alive: usize,
    /// Set while a round of the pump has found that nobody can take the lane's first job.
    blocked: bool,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: Line<Box<Job>>,
    /// `turns` when a job was last taken here, or when the first came.
    served: u64,
}

/// The place of a job among those that could go next; the smallest goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// 0 for an aged class whose turn it is, else one more than the class.
    class: usize,
    id: u64,
}

impl Lanes {
    /// The lane of jobs with this need, made where there is none.
    pub(crate) fn lane(&mut self, set: SetId, operation: &Operation) -> LaneId {
        if let Some(&id) = self.by_key.get(&(set, operation.clone())) {
            return id;
        }
        let lane = Lane {
            set,
            operation: operation.clone(),
            queues: Default::default(),
            alive: 0,
            blocked: false,
        };
        // Users may invent operations without end.
        let unused = (self.lanes.len() >= KEPT)
            .then(|| self.lanes.iter().position(|lane| lane.alive == 0))
            .flatten();
        let index = match unused {
            Some(index) => {
                let old = std::mem::replace(&mut self.lanes[index], lane);
                self.by_key.remove(&(old.set, old.operation));
                index
            }
            None => {
                self.lanes.push(lane);
                self.lanes.len() - 1
            }
        };
        let id = LaneId(index as u32);
        self.by_key.insert((set, operation.clone()), id);
        id
    }

    /// What the lane's jobs need.
    pub(crate) fn need(&self, id: LaneId) -> (SetId, &Operation) {
        let lane = &self.lanes[id.0 as usize];
        (lane.set, &lane.operation)
    }

    /// Jobs waiting, over all lanes.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// A job that names this lane begins its life.
    pub(crate) fn enter(&mut self, id: LaneId) {
        self.lanes[id.0 as usize].alive += 1;
    }

    /// A job that names this lane has ended.
    pub(crate) fn leave(&mut self, id: LaneId) {
        self.lanes[id.0 as usize].alive -= 1;
    }

    /// Lets `job` wait, in the place that its age gives it.
    pub(crate) fn insert(&mut self, job: Box<Job>) {
        let lane = &mut self.lanes[job.cell.lane.0 as usize];
        let queue = &mut lane.queues[job.cell.priority.index()];
        if queue.jobs.is_empty() {
            queue.served = self.turns;
        }
        queue.jobs.insert(job.id(), job);
        self.waiting += 1;
    }

    /// Takes a certain job out.
    pub(crate) fn remove(&mut self, id: LaneId, priority: Priority, job: u64) -> Option<Box<Job>> {
        let job = self.lanes.get_mut(id.0 as usize)?.queues[priority.index()]
            .jobs
            .remove(job)?;
        self.waiting -= 1;
        Some(job)
    }

    /// Begins a round: no lane is known to be blocked.
    pub(crate) fn unblock(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.blocked = false);
    }

    /// In this round nobody can take the lane's jobs.
    pub(crate) fn block(&mut self, id: LaneId) {
        self.lanes[id.0 as usize].blocked = true;
    }

    /// Takes the job that is to go next, from a lane that is not blocked.
    pub(crate) fn take_next(&mut self, now: Moment) -> Option<Box<Job>> {
        let turns = self.turns;
        let best = |lane: &Lane| -> Option<(Rank, usize)> {
            let firsts = lane.queues.iter().enumerate().filter_map(|(class, queue)| {
                let (id, job) = queue.jobs.first()?;
                let aged = class > 0 && turns - queue.served >= AGED_TURN - 1 && now.since(job.submitted) >= AGED;
                Some((
                    Rank {
                        class: if aged { 0 } else { class + 1 },
                        id,
                    },
                    class,
                ))
            });
            firsts.min()
        };
        let (_, class, index) = self
            .lanes
            .iter()
            .enumerate()
            .filter(|(_, lane)| !lane.blocked)
            .filter_map(|(index, lane)| best(lane).map(|(rank, class)| (rank, class, index)))
            .min()?;
        let job = self.lanes[index].queues[class].jobs.pop_first()?;
        self.waiting -= 1;
        Some(job)
    }

    /// The job that was taken goes: its class has had a turn.
    pub(crate) fn took_turn(&mut self, job: &Job) {
        self.turns += 1;
        self.lanes[job.cell.lane.0 as usize].queues[job.cell.priority.index()].served = self.turns;
    }

    /// The job that was taken cannot go after all.
    pub(crate) fn put_back(&mut self, job: Box<Job>) {
        self.lanes[job.cell.lane.0 as usize].queues[job.cell.priority.index()]
            .jobs
            .insert(job.id(), job);
        self.waiting += 1;
    }

    /// Takes the lane's most urgent, oldest job.
    pub(crate) fn take_of(&mut self, id: LaneId) -> Option<Box<Job>> {
        let queue = self.lanes[id.0 as usize]
            .queues
            .iter_mut()
            .find(|queue| !queue.jobs.is_empty())?;
        let job = queue.jobs.pop_first()?;
        self.waiting -= 1;
        Some(job)
    }

    /// Takes every job.
    #[allow(clippy::vec_box)] // they are boxed from beginning to end
    pub(crate) fn drain(&mut self) -> Vec<Box<Job>> {
        self.waiting = 0;
        let queues = self.lanes.iter_mut().flat_map(|lane| &mut lane.queues);
        queues.flat_map(|queue| queue.jobs.drain()).collect()
    }

    /// The lanes in which somebody waits.
    pub(crate) fn occupied(&self) -> Vec<LaneId> {
        let occupied = |lane: &Lane| lane.queues.iter().any(|queue| !queue.jobs.is_empty());
        (0..self.lanes.len())
            .filter(|&index| occupied(&self.lanes[index]))
            .map(|index| LaneId(index as u32))
            .collect()
    }
}
