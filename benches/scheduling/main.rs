//! How well the engine's decisions use what quotas allow, judged in a world whose time is simulated.
//!
//! The decisions are the real ones, without their threads; the deployments count with the simulator's own limiters.
//! What is measured are ratios to what could be had at best, not times, so a busy machine disturbs nothing.
//!
//! ```text
//! cargo bench --features internals,sim --bench scheduling                     every case, seeds 1 to 20: minutes
//! cargo bench --features internals,sim --bench scheduling -- --quick          two seeds: a smoke test
//! … -- --case told --case unknown --form window --fleet small3 --seeds 1-5    some of it
//! … -- --case told --form window --fleet small3 --seeds 7 --story             one run, request by request
//! … -- --case told --without test                                             without one of the rules of scheduling
//! ```
//!
//! Each row of the table is a measure of a case: its goal for each fleet, and mean/worst of the seeds. Missing a goal
//! fails nothing; a flaw (a job that is lost or ends twice, a timer that spins, a panic) does, with a line that repeats
//! the run that has it.
//!
//! # Reading order
//! 1. [`world`]: deployments, jobs, clients and events; also used by a test
//! 2. [`case`], [`cases`]: which worlds there are, and the goals
//! 3. [`judge`], [`faults`]: what is measured in them
//! 4. [`table`]: how that is printed

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arguments::Arguments;
use case::Run;
use judge::Verdict;
use rustix::time::{ClockId, clock_gettime};

mod arguments;
mod case;
mod cases;
mod faults;
mod judge;
mod quantile;
mod table;
mod world;

fn main() -> ExitCode {
    // Cargo adds `--bench` to what it is told.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let arguments = match Arguments::parse(&words) {
        Ok(arguments) => arguments,
        Err(complaint) => {
            eprintln!("{complaint}");
            return ExitCode::FAILURE;
        }
    };
    let runs = arguments.runs();
    if arguments.story {
        let [run] = &runs[..] else {
            eprintln!("--story tells one run; these are {}", runs.len());
            return ExitCode::FAILURE;
        };
        print!("{}", judge::story(run));
    }
    println!(
        "command: cargo bench --features internals,sim --bench scheduling -- {}",
        words.join(" ")
    );
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(runs.len().max(1));
    let (began, cpu_before) = (Instant::now(), cpu());
    let verdicts = judge_all(&runs, threads);
    let (took, cpu) = (began.elapsed().as_secs_f64(), cpu() - cpu_before);
    let flawed = table::print(&runs, &verdicts);
    let minutes = verdicts
        .iter()
        .map(|verdict| verdict.simulated)
        .sum::<Duration>()
        .as_secs_f64()
        / 60.0;
    println!(
        "\n{} runs, {minutes:.0} simulated minutes in {took:.1} s on {threads} threads: {:.0} a second, {:.0} in each of \
         CPU time (goal ≥ 100)",
        runs.len(),
        minutes / took,
        minutes / cpu
    );
    if flawed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Seconds of CPU time that this process has used.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// What became of each run, in their order.
fn judge_all(runs: &[Run], threads: usize) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(vec![Verdict::default(); runs.len()]);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = catch_unwind(AssertUnwindSafe(|| judge::judge(run)));
                    let verdict = verdict.unwrap_or_else(|panic| Verdict {
                        flaws: vec![format!("panicked: {}", words(panic.as_ref()))],
                        ..Verdict::default()
                    });
                    verdicts.lock().expect("nobody panics with it")[run.number] = verdict;
                }
            });
        }
    });
    verdicts.into_inner().expect("nobody panics with it")
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?")
}
