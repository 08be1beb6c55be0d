//! How many worker threads this machine has room for.
//!
//! A thread that cannot be started is an error that can be handled; but one that starts and then finds no room for its signal
//! stack is aborted by the standard library, and the whole process with it. So what there is room for is reckoned
//! before, from what the system tells, and the pool is no larger.
//!
//! | limit | where it is told | a thread takes | kept for everything else |
//! |---|---|---|---|
//! | mappings | `vm.max_map_count`, lines of `/proc/self/maps` | 4: its stack, its signal stack, a guard page below each | [`MAPPINGS_KEPT`] |
//! | address space | `ulimit -v` | [`BYTES`], see below | the allocator's arenas, and [`BYTES_KEPT`] |
//! | data | `ulimit -d` | [`BYTES`] | [`BYTES_KEPT`] |
//! | memory that may be promised | `vm.overcommit_memory` 2: `/proc/meminfo` | [`BYTES`] | [`BYTES_KEPT`] |
//! | threads of the user | `ulimit -u`, which binds no privileged user | 1 | [`THREADS_KEPT`] |
//! | threads of the system | `kernel.threads-max`, `kernel.pid_max` | 1 | [`THREADS_KEPT`] |
//! | threads of a control group | `pids.max` of the process's group and those above it | 1 | [`THREADS_KEPT`] |
//!
//! Of what is free, half at most is kept. What cannot be learnt binds nothing.
//!
//! *Arenas.* glibc sets 64 MiB of addresses aside for a thread's allocations, until there are eight such arenas for each processor
//! and threads share them. Where there is no room for another, each allocation of a thread that has none takes a page
//! and a mapping of its own, which soon is the end. So where addresses are limited either all arenas find room beside the stacks, or
//! each worker has one of its own; only [`FEW`] workers can do without.

use std::fmt;

use crate::engine::worker::STACK;

/// Mappings of a thread, measured on Linux 6 with glibc 2.36 and Rust 1.95: 40,030 for 10,000.
const MAPPINGS: u64 = 4;
/// Bytes of addresses, and of memory that may be written, that a thread takes: its stack, and 10 KiB more that were
/// measured where pages are 4 KiB; three guard pages and signal stacks of 64 KiB where they are that large.
const BYTES: u64 = STACK as u64 + 192 * 1024;
/// For threads that look names up, large buffers, libraries, and what else the program maps.
const MAPPINGS_KEPT: u64 = 4096;
/// For requests and answers, and whatever else the program holds.
const BYTES_KEPT: u64 = 256 << 20;
/// For the timer, threads that look names up, and the rest of the program or the system.
const THREADS_KEPT: u64 = 512;
/// Addresses that glibc sets aside for an arena.
const ARENA: u64 = 64 << 20;
/// Workers for whom [`FOR_ONE_OF_FEW`] is enough each, whatever the arenas do.
const FEW: u64 = 8;
/// Addresses for a worker that has no arena, and for all that it allocates.
const FOR_ONE_OF_FEW: u64 = 16 << 20;

/// What the system tells. None: there is no such limit, or it cannot be learnt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// Memory mappings of the process.
    pub(super) mappings: Option<Figure>,
    /// Bytes of its address space.
    pub(super) addresses: Option<Figure>,
    /// Bytes of its writable memory.
    pub(super) data: Option<Figure>,
    /// Bytes of memory that the system may promise, to all processes.
    pub(super) promised: Option<Figure>,
    /// Threads of the user.
    pub(super) user_threads: Option<Figure>,
    /// Threads of the system.
    pub(super) system_threads: Option<Figure>,
    /// Threads of each control group that the process is in.
    pub(super) group_threads: Vec<Figure>,
    /// Arenas that the allocator may make.
    pub(super) arenas: u64,
}

/// A limit, and how much of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figure {
    pub(super) most: u64,
    pub(super) used: u64,
}

/// Workers that there is room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// As many as are wanted, or fewer.
    pub(crate) workers: usize,
    /// What keeps them from being as many as are wanted.
    pub(crate) bound: Option<Bound>,
}

/// The limit that binds, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    figure: Figure,
    limit: &'static Limit,
}

/// A kind of limit.
#[derive(Debug, PartialEq, Eq)]
struct Limit {
    /// What it counts.
    what: &'static str,
    /// How it is raised.
    remedy: &'static str,
    each: u64,
    kept: u64,
}

static MAPPED: Limit = Limit {
    what: "memory mappings (a thread takes 4)",
    remedy: "raise vm.max_map_count (sysctl)",
    each: MAPPINGS,
    kept: MAPPINGS_KEPT,
};
static ADDRESSES: Limit = Limit {
    what: "bytes of address space",
    remedy: "raise the limit (ulimit -v), or set MALLOC_ARENA_MAX to 2",
    each: BYTES,
    kept: BYTES_KEPT,
};
static DATA: Limit = Limit {
    what: "bytes of data",
    remedy: "raise the limit (ulimit -d)",
    each: BYTES,
    kept: BYTES_KEPT,
};
static PROMISED: Limit = Limit {
    what: "bytes of memory that the system may promise",
    remedy: "raise vm.overcommit_ratio (sysctl)",
    each: BYTES,
    kept: BYTES_KEPT,
};
static OF_THE_USER: Limit = Limit {
    what: "threads of this user",
    remedy: "raise the limit (ulimit -u)",
    each: 1,
    kept: THREADS_KEPT,
};
static OF_THE_SYSTEM: Limit = Limit {
    what: "threads of the system",
    remedy: "raise kernel.threads-max and kernel.pid_max (sysctl)",
    each: 1,
    kept: THREADS_KEPT,
};
static OF_THE_GROUP: Limit = Limit {
    what: "threads of a control group",
    remedy: "raise its pids.max (in containers: the pids limit)",
    each: 1,
    kept: THREADS_KEPT,
};

impl Figures {
    /// How many of `wanted` workers there is room for.
    pub(super) fn room(&self, wanted: usize) -> Room {
        let groups = self.group_threads.iter().map(|&figure| (&OF_THE_GROUP, Some(figure)));
        let limits = [
            (&MAPPED, self.mappings),
            (&ADDRESSES, self.addresses),
            (&DATA, self.data),
            (&PROMISED, self.promised),
            (&OF_THE_USER, self.user_threads),
            (&OF_THE_SYSTEM, self.system_threads),
        ];
        let mut room = Room {
            workers: wanted,
            bound: None,
        };
        for (limit, figure) in limits.into_iter().chain(groups) {
            let Some(figure) = figure else { continue };
            let free = figure.most.saturating_sub(figure.used);
            let threads = match *limit == ADDRESSES {
                true => self.threads_in_addresses(free),
                false => limit.threads(free),
            };
            let threads = usize::try_from(threads).unwrap_or(usize::MAX);
            if threads < room.workers {
                room.workers = threads;
                room.bound = Some(Bound { figure, limit });
            }
        }
        room
    }

    /// Threads that there are addresses for.
    fn threads_in_addresses(&self, free: u64) -> u64 {
        let beside_all_arenas = self.arenas.saturating_mul(ARENA).saturating_add(BYTES_KEPT);
        let sharing = free.saturating_sub(beside_all_arenas) / BYTES;
        let with_an_arena_each = (free - BYTES_KEPT.min(free / 2)) / (ARENA + BYTES);
        let few = (free / FOR_ONE_OF_FEW).min(FEW);
        sharing.max(with_an_arena_each.min(self.arenas)).max(few)
    }
}

impl Limit {
    /// Threads that there is room for where so much is free.
    fn threads(&self, free: u64) -> u64 {
        (free - self.kept.min(free / 2)) / self.each
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure { most, used } = self.figure;
        let Limit { what, remedy, .. } = self.limit;
        write!(f, "{used} of at most {most} {what} are in use; {remedy}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: usize = 16_384;

    fn figure(most: u64, used: u64) -> Figure {
        Figure { most, used }
    }

    fn mapped(most: u64, used: u64) -> Figures {
        Figures {
            mappings: Some(figure(most, used)),
            ..Figures::default()
        }
    }

    /// Checks how many of [`WANTED`] workers there is room for, and the words of what binds.
    fn check(figures: &Figures, workers: usize, words: &str) {
        let room = figures.room(WANTED);
        assert_eq!(room.workers, workers, "{figures:?}: {room:?}");
        let said = room.bound.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(said.contains(words) && said.is_empty() == words.is_empty(), "{said}");
    }

    #[test]
    fn what_is_not_known_and_what_is_ample_binds_nothing() {
        check(&Figures::default(), WANTED, "");
        check(&mapped(1 << 20, 400), WANTED, "");
        let ample = Some(figure(u64::MAX, 1 << 40));
        let figures = Figures {
            mappings: ample,
            addresses: ample,
            data: ample,
            promised: ample,
            user_threads: ample,
            system_threads: ample,
            group_threads: vec![figure(u64::MAX, 1)],
            arenas: u64::MAX,
        };
        check(&figures, WANTED, "");
    }

    #[test]
    fn mappings_are_four_a_thread_beside_what_is_kept() {
        // The most that Linux grants by default.
        check(&mapped(65_530, 310), (65_530 - 310 - 4096) / 4, "vm.max_map_count");
        check(&mapped(4 * 16_384 + 4096, 0), WANTED, "");
        check(&mapped(4 * 16_384 + 4095, 0), WANTED - 1, "max_map_count");
        // Of little, half.
        check(&mapped(1000, 200), 100, "200 of at most 1000 memory mappings");
        check(&mapped(100, 200), 0, "max_map_count");
    }

    #[test]
    fn addresses_hold_all_arenas_beside_the_stacks_or_one_for_each_worker() {
        let check = |free_mib: u64, arenas, workers: u64, words| {
            let used = 64 << 20;
            let figures = Figures {
                addresses: Some(figure(used + (free_mib << 20), used)),
                arenas,
                ..Figures::default()
            };
            check(&figures, workers as usize, words);
        };
        check(64 << 10, 16, WANTED as u64, "");
        check(7872, 1, ((7872 - 256 - 64) << 20) / BYTES, "ulimit -v");
        check(7872, 16, ((7872 - 256 - 1024) << 20) / BYTES, "MALLOC_ARENA_MAX");
        // The arenas would take it all.
        check(960, 16, 10, "67108864 of at most 1073741824 bytes");
        check(960, 2, ((960 - 256 - 128) << 20) / BYTES, "ulimit -v");
        // As many as have an arena each are not lessened because all have one.
        check(1285, 16, 15, "ulimit -v");
        // What a few allocate needs no arena.
        check(300, 16, 8, "ulimit -v");
        check(300, 0, ((300 - 256) << 20) / BYTES, "ulimit -v");
        check(100, 16, 6, "ulimit -v");
        check(15, 16, 0, "ulimit -v");
    }

    #[test]
    fn every_limit_binds_by_itself_and_the_tightest_is_named() {
        type Set = fn(&mut Figures, Figure);
        let rows: [(Set, u64, &str); 6] = [
            (|figures, figure| figures.data = Some(figure), BYTES, "ulimit -d"),
            (
                |figures, figure| figures.promised = Some(figure),
                BYTES,
                "vm.overcommit_ratio",
            ),
            (|figures, figure| figures.user_threads = Some(figure), 1, "ulimit -u"),
            (
                |figures, figure| figures.system_threads = Some(figure),
                1,
                "kernel.pid_max",
            ),
            (|figures, figure| figures.group_threads.push(figure), 1, "pids.max"),
            (
                |figures, figure| figures.mappings = Some(figure),
                MAPPINGS,
                "max_map_count",
            ),
        ];
        // All of them together, each tighter than the one before.
        let mut all = Figures::default();
        for (tightness, (set, each, words)) in rows.into_iter().enumerate() {
            let workers = 60 - tightness;
            let tight = figure(2 * workers as u64 * each + 5, 5);
            let mut alone = Figures::default();
            set(&mut alone, tight);
            check(&alone, workers, words);
            set(&mut all, tight);
            check(&all, workers, words);
        }
        // A group is in others, and the tightest of them counts.
        let groups = Figures {
            group_threads: vec![figure(9000, 10), figure(100, 2), figure(50_000, 900)],
            ..Figures::default()
        };
        check(&groups, 49, "2 of at most 100 threads of a control group");
    }

    #[test]
    fn no_more_than_are_wanted_and_where_that_is_few_a_narrow_machine_does() {
        assert_eq!(
            mapped(65_530, 310).room(8),
            Room {
                workers: 8,
                bound: None
            }
        );
        let narrow = Figures {
            group_threads: vec![figure(10, 4)],
            ..Figures::default()
        };
        assert_eq!(narrow.room(3).workers, 3);
        assert_eq!(narrow.room(4).workers, 3);
    }
}
