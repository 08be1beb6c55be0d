//! What Linux tells of the room for threads; on other systems nothing is read, and nothing binds.

use std::env;
use std::fs;
use std::path::Path;
use std::thread;

use super::cgroup;
use super::thread_budget::{Figure, Figures};

/// Capabilities that lift `ulimit -u`: CAP_SYS_ADMIN and CAP_SYS_RESOURCE.
const LIFTING: u64 = 1 << 21 | 1 << 24;

/// Where a user's limit leaves room for so many threads more than the whole system has, it is not looked at further: whose
/// threads those are is told by every process's own file.
const AMPLE: u64 = 20_000;

/// What this machine tells the process now.
pub(super) fn read() -> Figures {
    if !cfg!(target_os = "linux") {
        return Figures::default();
    }
    let limits = text("/proc/self/limits");
    let status = text("/proc/self/status");
    let memory = text("/proc/meminfo");
    let kernel = |name| number(Path::new("/proc/sys").join(name));
    let system_threads = total_threads(&text("/proc/loadavg"));
    let groups = cgroup::folders(&text("/proc/self/cgroup"), &text("/proc/self/mountinfo"));
    let of_group = |folder: &Path| figure(number(folder.join("pids.max")), number(folder.join("pids.current")));
    let promises = kernel("vm/overcommit_memory") == Some(2);
    Figures {
        mappings: figure(kernel("vm/max_map_count"), Some(lines("/proc/self/maps"))),
        addresses: figure(soft_limit(&limits, "Max address space"), bytes(&status, "VmSize")),
        data: figure(soft_limit(&limits, "Max data size"), bytes(&status, "VmData")),
        promised: figure(bytes(&memory, "CommitLimit"), bytes(&memory, "Committed_AS")).filter(|_| promises),
        user_threads: soft_limit(&limits, "Max processes")
            .filter(|&most| !is_privileged(&status) && most < system_threads.unwrap_or(0).saturating_add(AMPLE))
            .and_then(|most| figure(Some(most), threads_of(user(&status)?))),
        system_threads: figure(
            kernel("kernel/threads-max")
                .into_iter()
                .chain(kernel("kernel/pid_max"))
                .min(),
            system_threads,
        ),
        group_threads: groups.iter().filter_map(|folder| of_group(folder)).collect(),
        arenas: arenas(),
    }
}

/// The soft limit `name` in the text of `/proc/self/limits`; none where it is endless.
pub(super) fn soft_limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn figure(most: Option<u64>, used: Option<u64>) -> Option<Figure> {
    Some(Figure {
        most: most?,
        used: used?,
    })
}

/// The text of a file; none of one that cannot be read.
fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The number that is all that a file says; some say `max` for none.
fn number(path: impl AsRef<Path>) -> Option<u64> {
    text(path).trim().parse().ok()
}

fn lines(path: &str) -> u64 {
    let text = fs::read(path).unwrap_or_default();
    text.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// What follows `key` and a colon in the files of Linux that have a line for each figure.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .map(str::trim)
}

/// The figure of `key`, which is told in KiB.
fn bytes(text: &str, key: &str) -> Option<u64> {
    let kib: u64 = value(text, key)?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

/// The threads of the whole system, in the text of `/proc/loadavg`: `0.1 0.2 0.3 running/total last`.
fn total_threads(load: &str) -> Option<u64> {
    load.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// The real user of a process.
fn user(status: &str) -> Option<u64> {
    value(status, "Uid")?.split_whitespace().next()?.parse().ok()
}

/// Whether limits of the user's threads do not hold for the process.
fn is_privileged(status: &str) -> bool {
    let capabilities = value(status, "CapEff").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    user(status) == Some(0) || capabilities.is_some_and(|held| held & LIFTING != 0)
}

/// The threads of all processes of a user.
fn threads_of(wanted: u64) -> Option<u64> {
    let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        let is_process = entry.file_name().to_str()?.bytes().all(|byte| byte.is_ascii_digit());
        is_process.then(|| text(entry.path().join("status")))
    });
    let own = processes.filter(|status| user(status) == Some(wanted));
    Some(
        own.filter_map(|status| value(&status, "Threads")?.parse::<u64>().ok())
            .sum(),
    )
}

/// As many arenas as glibc makes at most: eight for each processor, two where addresses have 32 bits. Others have none.
fn arenas() -> u64 {
    if !cfg!(target_env = "gnu") {
        return 0;
    }
    let told = env::var("MALLOC_ARENA_MAX").ok().and_then(|most| most.parse().ok());
    let each = if cfg!(target_pointer_width = "64") { 8 } else { 2 };
    told.unwrap_or_else(|| thread::available_parallelism().map_or(1, |processors| each * processors.get() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
                          Max data size             unlimited            unlimited            bytes     \n\
                          Max processes             1                    2                    processes \n\
                          Max open files            1024                 524288               files     \n\
                          Max address space         1024000000           unlimited            bytes     \n";

    const STATUS: &str = "Name:\tblaster\nUid:\t1000\t1001\t1002\t1003\nVmSize:\t    2980 kB\nVmData:\t240 kB\n\
                          Threads:\t17\nCapEff:\t0000000000000000\n";

    #[test]
    fn the_soft_limit_is_the_first_number_of_its_line() {
        assert_eq!(soft_limit(LIMITS, "Max open files"), Some(1024));
        assert_eq!(soft_limit(LIMITS, "Max address space"), Some(1_024_000_000));
        assert_eq!(soft_limit(LIMITS, "Max data size"), None);
        assert_eq!(soft_limit(LIMITS, "Max something"), None);
        assert_eq!(soft_limit("", "Max open files"), None);
    }

    #[test]
    fn figures_stand_behind_their_keys() {
        assert_eq!(bytes(STATUS, "VmSize"), Some(2980 * 1024));
        assert_eq!(bytes(STATUS, "VmData"), Some(240 * 1024));
        assert_eq!(bytes(STATUS, "Vm"), None);
        assert_eq!(
            bytes("MemTotal: 1 kB\nCommitLimit:    12633364 kB\n", "CommitLimit"),
            Some(12_633_364 << 10)
        );
        assert_eq!(total_threads("0.20 0.18 0.12 1/803 11206\n"), Some(803));
        assert_eq!(total_threads(""), None);
    }

    #[test]
    fn a_privileged_process_is_bound_by_no_limit_of_its_user() {
        assert_eq!(user(STATUS), Some(1000));
        assert!(!is_privileged(STATUS));
        assert!(is_privileged(&STATUS.replace("1000", "0")));
        let with = |held: &str| STATUS.replace("0000000000000000", held);
        assert!(is_privileged(&with("0000000001000000")));
        assert!(is_privileged(&with("000001ffffffffff")));
        assert!(!is_privileged(&with("0000000000000400")));
        assert!(!is_privileged(""));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_tells_its_figures() {
        let figures = read();
        for figure in [figures.mappings, figures.system_threads] {
            let figure = figure.unwrap();
            assert!(figure.used > 0 && figure.used < figure.most, "{figures:?}");
        }
        let own = user(&text("/proc/self/status")).and_then(threads_of);
        assert!(own > Some(0), "{own:?}");
    }
}
