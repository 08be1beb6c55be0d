//! How a figure is made and printed.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How much is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Fewer requests in each round; the figures are rough.
    pub(crate) quick: bool,
}

impl Effort {
    /// So many, or a tenth of it.
    pub(crate) fn count(self, full: usize) -> usize {
        if self.quick { full / 10 } else { full }
    }
}

/// Pairs of rounds for each ratio; the median of fewer than five says little.
const PAIRS: usize = 15;

/// A ratio from rounds of ours and of what it is compared with.
pub(crate) struct Ratio {
    /// Median over the pairs.
    pub(crate) median: f64,
    least: f64,
    most: f64,
    ours: f64,
    other: f64,
}

impl Ratio {
    /// Runs both in turn, and divides each result of `ours` by the one of `other` beside it.
    pub(crate) fn of_pairs(effort: Effort, mut ours: impl FnMut() -> f64, mut other: impl FnMut() -> f64) -> Self {
        let pairs = if effort.quick { 5 } else { PAIRS };
        let (mut a, mut b, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..pairs {
            let (left, right) = (ours(), other());
            a.push(left);
            b.push(right);
            ratios.push(left / right);
        }
        Ratio {
            median: median(&mut ratios),
            least: ratios[0],
            most: ratios[ratios.len() - 1],
            ours: median(&mut a),
            other: median(&mut b),
        }
    }

    /// What lies behind the ratio, in words.
    pub(crate) fn detail(&self, unit: &str) -> String {
        format!(
            "{:.1} ÷ {:.1} {unit}, pairs {:.3} to {:.3}",
            self.ours, self.other, self.least, self.most
        )
    }
}

/// Sorts, and returns the value in the middle.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value that the part `q` of `times` does not exceed.
pub(crate) fn quantile(times: &mut [Duration], q: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * q) as usize]
}

/// A unit of time: how it is written, and how many seconds it has.
pub(crate) type Unit = (&'static str, f64);

pub(crate) const MICROSECONDS: Unit = (" µs", 1e-6);
pub(crate) const MILLISECONDS: Unit = (" ms", 1e-3);

/// Where a figure should lie.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// Prints a figure, its goal and whether it is met.
pub(crate) fn figure(name: &str, value: f64, unit: &str, goal: Goal, detail: &str) {
    let (sign, bound, met) = match goal {
        Goal::AtMost(bound) => ('≤', bound, value <= bound),
        Goal::AtLeast(bound) => ('≥', bound, value >= bound),
    };
    let verdict = if met { "met" } else { "MISSED" };
    let digits = if bound < 2.0 {
        2
    } else if bound < 200.0 {
        1
    } else {
        0
    };
    println!("{name:<62} {value:>8.digits$}{unit:<4} goal {sign} {bound}{unit:<4} {verdict:<7} {detail}");
}

/// Prints quantiles of `times` as figures, each with the most that it should be. Beside them, where there are some,
/// the same quantiles of `floor`: of the least that could be had on this machine at this time.
pub(crate) fn quantiles(
    name: &str,
    times: &mut [Duration],
    floor: Option<&mut [Duration]>,
    unit: Unit,
    goals: &[(f64, f64)],
) {
    let (sign, length) = unit;
    let mut floor = floor;
    for &(q, goal) in goals {
        let mut detail = format!("{} times", times.len());
        if let Some(floor) = &mut floor {
            let least = quantile(floor, q).as_secs_f64() / length;
            detail += &format!("; a bare channel and thread {least:.1}{sign}");
        }
        let value = quantile(times, q).as_secs_f64() / length;
        let name = format!("{name}, p{}", q * 100.0);
        figure(&name, value, sign, Goal::AtMost(goal), &detail);
    }
}

/// CPU time that this process has used, in user and in system mode.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Microseconds of CPU time that `work` takes for each of `count`.
pub(crate) fn cpu_each(count: usize, work: impl FnOnce()) -> f64 {
    let before = cpu();
    work();
    (cpu() - before).as_secs_f64() * 1e6 / count as f64
}

/// A line of `/proc/self/status`, in bytes; zero where there is none.
pub(crate) fn status_bytes(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let kib = value.and_then(|value| value.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}

/// The machine that the figures are of.
pub(crate) fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("machine: {cores} × {model}, Linux {}, load {load}", kernel.trim())
}
