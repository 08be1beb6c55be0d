//! Where jobs wait: a lane for each eligible set and operation, in each lane a queue for each class.

use std::collections::HashMap;
use std::time::Duration;

use crate::api::{Operation, Priority};
use crate::balance::{JobSize, SetId};

#[cfg(test)]
use super::by_size::BySize;
use super::job::Job;
use super::moment::Moment;
use super::queue::Queue;

/// A class whose oldest job has waited so long …
const AGED: Duration = Duration::from_secs(30);
/// … takes one of so many turns.
///
/// Counted twice, for the two things that classes compete for: over all lanes, for the workers, and within a lane,
/// for its endpoints. Counted over all lanes alone, a class that is served in one lane would starve in another;
/// counted by lanes alone, one that waits in a lane without others would have no turns to count.
const AGED_TURN: u64 = 16;
/// From so many lanes on, an unused one is used again for another operation.
const KEPT: usize = 256;

/// A lane's position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LaneId(u32);

/// All lanes.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    by_key: HashMap<(SetId, Operation), LaneId>,
    /// Jobs waiting, by class.
    waiting: [usize; 3],
    /// Turns so far, and of each class, over all lanes.
    turns: Turns,
}

/// Jobs that the same endpoints may serve.
#[derive(Debug)]
struct Lane {
    set: SetId,
    operation: Operation,
    /// By class, then by age.
    queues: [Queue; 3],
    /// Turns so far, and of each class, in this lane.
    turns: Turns,
    /// Jobs that name this lane, those under way included.
    alive: usize,
    /// The pump has found that nobody can take the lane's first job, and nothing has changed that since.
    blocked: Option<Blocked>,
}

/// Why the jobs of a lane wait.
#[derive(Clone, Copy, Debug)]
struct Blocked {
    /// Class and number of the first that nobody could take.
    by: (usize, u64),
    gap: Option<Gap>,
}

/// What is left of a window, into which a younger job of the class would fit than the one that waits for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The most tokens of a job that may fit.
    pub(crate) most: u32,
    /// Of so many of the oldest jobs one is looked for.
    pub(crate) among: usize,
}

/// Whose turn it was.
#[derive(Debug, Default)]
struct Turns {
    taken: u64,
    /// `taken` when each class last had a turn, or when its first job came.
    served: [u64; 3],
}

impl Turns {
    fn came(&mut self, class: usize) {
        self.served[class] = self.taken;
    }

    fn took(&mut self, class: usize) {
        self.taken += 1;
        self.served[class] = self.taken;
    }

    fn is_due(&self, class: usize) -> bool {
        self.taken - self.served[class] >= AGED_TURN - 1
    }
}

/// The place of a job among those that could go next; the smallest goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// 0 for an aged class whose turn it is, else one more than the class.
    class: usize,
    id: u64,
}

impl Lane {
    fn is_occupied(&self) -> bool {
        self.queues.iter().any(|queue| !queue.is_empty())
    }
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
            turns: Turns::default(),
            alive: 0,
            blocked: None,
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
        self.waiting.iter().sum()
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
        let class = job.cell.priority.index();
        let lane = &mut self.lanes[job.cell.lane.0 as usize];
        if lane.queues[class].is_empty() {
            lane.turns.came(class);
        }
        // What nobody could take was another job: this one may be of a class that goes before, or older, or small enough
        // for what is left.
        let queue = &lane.queues[class];
        lane.blocked.take_if(|Blocked { by, gap }| {
            let fits = |gap: Gap| job.request.size.total() <= gap.most && queue.is_among(job.id(), gap.among);
            (class, job.id()) < *by || class == by.0 && gap.is_some_and(fits)
        });
        if self.waiting[class] == 0 {
            self.turns.came(class);
        }
        self.put_back(job);
    }

    /// Takes a certain job out: those behind it may go.
    pub(crate) fn remove(&mut self, id: LaneId, priority: Priority, job: u64) -> Option<Box<Job>> {
        let class = priority.index();
        let lane = self.lanes.get_mut(id.0 as usize)?;
        let job = lane.queues[class].remove(job)?;
        lane.blocked = None;
        Some(self.left(job))
    }

    /// No lane is known to be blocked.
    pub(crate) fn unblock(&mut self) {
        for lane in &mut self.lanes {
            lane.blocked = None;
        }
    }

    /// This lane is not known to be blocked any more.
    pub(crate) fn unblock_one(&mut self, id: LaneId) {
        self.lanes[id.0 as usize].blocked = None;
    }

    /// The lanes that are known to be blocked.
    pub(crate) fn blocked(&self) -> Vec<LaneId> {
        let blocked = (0..self.lanes.len()).filter(|&index| self.lanes[index].blocked.is_some());
        blocked.map(|index| LaneId(index as u32)).collect()
    }

    /// The sizes of those jobs of a lane that would go if they could: the oldest of each class, and the smallest of those
    /// that have been looked at.
    pub(crate) fn candidates(&self, id: LaneId) -> impl Iterator<Item = JobSize> {
        let queues = self.lanes[id.0 as usize].queues.iter();
        queues.flat_map(|queue| {
            let oldest = queue.first().map(|(_, job)| job.request.size);
            oldest
                .into_iter()
                .chain(queue.smallest().next().map(|job| job.request.size))
        })
    }

    /// Until its lane is unblocked nobody can take this job or those behind it, but for one that comes and fits into the
    /// gap.
    pub(crate) fn block(&mut self, first: &Job, gap: Option<Gap>) {
        let by = (first.cell.priority.index(), first.id());
        self.lanes[first.cell.lane.0 as usize].blocked = Some(Blocked { by, gap });
    }

    /// More may be left than was found: for whoever comes it is looked at again.
    pub(crate) fn gap_may_be_larger(&mut self, id: LaneId) {
        if let Some(Blocked { gap: Some(gap), .. }) = &mut self.lanes[id.0 as usize].blocked {
            gap.most = u32::MAX;
        }
    }

    /// Whether [`Lanes::take_next`] would find a job.
    pub(crate) fn any_may_go(&self) -> bool {
        self.lanes
            .iter()
            .any(|lane| lane.blocked.is_none() && lane.is_occupied())
    }

    /// Takes the job that is to go next, from a lane that is not blocked.
    pub(crate) fn take_next(&mut self, now: Moment) -> Option<Box<Job>> {
        let turns = &self.turns;
        let best = |lane: &Lane| -> Option<(Rank, usize)> {
            let firsts = lane.queues.iter().enumerate().filter_map(|(class, queue)| {
                let (id, job) = queue.first()?;
                let is_due = turns.is_due(class) || lane.turns.is_due(class);
                let aged = class > 0 && is_due && now.since(job.submitted) >= AGED;
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
            .filter(|(_, lane)| lane.blocked.is_none())
            .filter_map(|(index, lane)| best(lane).map(|(rank, class)| (rank, class, index)))
            .min()?;
        let job = self.lanes[index].queues[class].pop_first()?;
        Some(self.left(job))
    }

    /// The job that was taken goes: its class has had a turn.
    pub(crate) fn took_turn(&mut self, job: &Job) {
        let class = job.cell.priority.index();
        self.turns.took(class);
        self.lanes[job.cell.lane.0 as usize].turns.took(class);
    }

    /// The job that was taken cannot go after all.
    pub(crate) fn put_back(&mut self, job: Box<Job>) {
        let class = job.cell.priority.index();
        self.waiting[class] += 1;
        self.lanes[job.cell.lane.0 as usize].queues[class].insert(job);
    }

    /// A job has been taken out of its queue.
    fn left(&mut self, job: Box<Job>) -> Box<Job> {
        self.waiting[job.cell.priority.index()] -= 1;
        job
    }

    /// Prepares a look at the oldest `among` jobs of the queue from which `oldest` was taken, by their sizes.
    pub(super) fn index(&mut self, oldest: &Job, among: usize) {
        let lane = &mut self.lanes[oldest.cell.lane.0 as usize];
        lane.queues[oldest.cell.priority.index()].index(among);
    }

    /// The same of all queues of a lane.
    pub(super) fn index_all(&mut self, id: LaneId, among: usize) {
        let queues = self.lanes[id.0 as usize].queues.iter_mut();
        queues.for_each(|queue| queue.index(among));
    }

    /// The indexed jobs of that queue that are no larger than `most` tokens, the largest first.
    pub(super) fn largest(&self, oldest: &Job, most: u32) -> impl Iterator<Item = &Job> {
        self.queue_of(oldest).largest(most)
    }

    /// Prepares a look at the oldest `among` jobs of that queue by the classes of their answers.
    pub(super) fn index_by_class(&mut self, oldest: &Job, among: usize) {
        let lane = &mut self.lanes[oldest.cell.lane.0 as usize];
        lane.queues[oldest.cell.priority.index()].index_by_class(among);
    }

    /// The first class after `last` of which there are indexed jobs in that queue.
    pub(super) fn class_after(&self, oldest: &Job, last: Option<u8>) -> Option<u8> {
        self.queue_of(oldest).class_after(last)
    }

    /// The indexed jobs of that queue of a class, the smallest first; or, backwards, the largest.
    pub(super) fn of_class(&self, oldest: &Job, class: u8) -> impl DoubleEndedIterator<Item = &Job> {
        self.queue_of(oldest).of_class(class)
    }

    /// Whether another job of its queue may be preferred to `oldest`.
    pub(super) fn may_pass(&self, oldest: &Job) -> bool {
        self.queue_of(oldest).may_pass(oldest.id())
    }

    /// Takes a job that goes before `oldest` of the same queue.
    pub(super) fn take_instead(&mut self, oldest: &Job, job: u64) -> Option<Box<Job>> {
        let queue = &mut self.lanes[oldest.cell.lane.0 as usize].queues[oldest.cell.priority.index()];
        queue.pass(oldest.id());
        self.remove(oldest.cell.lane, oldest.cell.priority, job)
    }

    /// The jobs of one class of a lane, the oldest first.
    pub(super) fn oldest(&self, id: LaneId, class: Priority) -> impl Iterator<Item = &Job> {
        self.lanes[id.0 as usize].queues[class.index()].oldest()
    }

    fn queue_of(&self, job: &Job) -> &Queue {
        &self.lanes[job.cell.lane.0 as usize].queues[job.cell.priority.index()]
    }

    /// Takes the lane's most urgent, oldest job.
    pub(crate) fn take_of(&mut self, id: LaneId) -> Option<Box<Job>> {
        let mut queues = self.lanes[id.0 as usize].queues.iter_mut();
        let job = queues.find_map(Queue::pop_first)?;
        Some(self.left(job))
    }

    /// Takes every job.
    #[allow(clippy::vec_box)] // they are boxed from beginning to end
    pub(crate) fn drain(&mut self) -> Vec<Box<Job>> {
        self.waiting = [0; 3];
        let queues = self.lanes.iter_mut().flat_map(|lane| &mut lane.queues);
        queues.flat_map(Queue::drain).collect()
    }

    /// The lanes in which somebody waits.
    pub(crate) fn occupied(&self) -> Vec<LaneId> {
        (0..self.lanes.len())
            .filter(|&index| self.lanes[index].is_occupied())
            .map(|index| LaneId(index as u32))
            .collect()
    }
}

/// What a look at all that waits needs, which is to leave no trace.
#[cfg(test)]
impl Lanes {
    /// The classes whose first job may be the first of its lane: the most urgent, and those that have aged.
    pub(super) fn classes_that_may_be_first(&self, id: LaneId, now: Moment) -> Vec<Priority> {
        let queues = &self.lanes[id.0 as usize].queues;
        let most_urgent = Priority::ALL
            .into_iter()
            .find(|class| !queues[class.index()].is_empty());
        let aged = Priority::ALL.into_iter().filter(|&class| {
            let first = queues[class.index()].first();
            Some(class) != most_urgent && first.is_some_and(|(_, job)| now.since(job.submitted) >= AGED)
        });
        most_urgent.into_iter().chain(aged).collect()
    }

    /// Takes the first job of a lane that is of this class, or of a less urgent one.
    pub(super) fn take_from(&mut self, id: LaneId, class: Priority) -> Option<Box<Job>> {
        let mut queues = self.lanes[id.0 as usize].queues[class.index()..].iter_mut();
        let job = queues.find_map(Queue::pop_first)?;
        Some(self.left(job))
    }

    /// The indexes by size of a lane's queues.
    pub(super) fn indexes(&self, id: LaneId) -> [BySize; 3] {
        self.lanes[id.0 as usize]
            .queues
            .each_ref()
            .map(|queue| queue.sizes.clone())
    }

    /// Makes them what they were.
    pub(super) fn restore_indexes(&mut self, id: LaneId, kept: [BySize; 3]) {
        for (queue, kept) in self.lanes[id.0 as usize].queues.iter_mut().zip(kept) {
            queue.sizes = kept;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::outcome::Outcome;
    use crate::engine::scenario::{Bench, balancer};

    fn operation(number: usize) -> Operation {
        Operation::other(&format!("x{number}")).unwrap()
    }

    #[test]
    fn a_lane_without_jobs_is_used_again_when_users_invent_operations() {
        let set = balancer(1, 1).set(None).unwrap();
        let mut lanes = Lanes::default();
        let kept = lanes.lane(set, &operation(0));
        lanes.enter(kept);
        for number in 1..10_000 {
            let id = lanes.lane(set, &operation(number));
            assert_ne!(id, kept, "a job still names it");
            lanes.enter(id);
            lanes.leave(id);
        }
        assert_eq!((lanes.lanes.len(), lanes.by_key.len()), (KEPT, KEPT));
        assert_eq!(lanes.lane(set, &operation(0)), kept);
        assert_eq!(lanes.need(kept), (set, &operation(0)));
    }

    #[test]
    fn every_end_of_a_job_leaves_its_lane() {
        let mut bench = Bench::new(1, 1);
        for number in 0..3 * KEPT {
            let cell = bench.submit_as("m", &operation(number), Priority::Normal, None);
            match number % 3 {
                0 => {
                    bench.answer_next();
                }
                1 => assert!(bench.cancel(&cell)),
                _ => {
                    let sent = bench.next();
                    bench.settle(sent, &Outcome::Abandoned);
                }
            }
            let last = bench.core.lanes.lanes.len();
            assert!(last <= KEPT, "{last} lanes");
        }
    }
}
