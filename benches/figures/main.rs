//! The figures of the project: what the engine costs and how quick it is, beside what could be had without it.
//!
//! ```text
//! cargo bench --features internals --bench figures                    every figure, about a quarter of an hour
//! cargo bench --features internals --bench figures -- backlog lock    some of them
//! cargo bench --features internals --bench figures -- --quick         fewer rounds: a smoke test
//! ```
//!
//! Each line is a figure, its goal, and whether it is met; nothing here fails for being slow, for a clock on a busy
//! machine is no judge. Costs are CPU time of this process, with the service in a process of its own, and ratios are
//! medians over pairs of rounds that follow each other, so that what else the machine does meets both sides.
//!
//! # Reading order
//! 1. [`harness`]: how a figure is made and printed
//! 2. [`service`]: what answers, in its own process
//! 3. [`bare`]: the client that is compared with, ureq alone
//! 4. one module for each figure

use std::process::{Command, ExitCode};

mod backlog;
mod bare;
mod blocking;
mod crowd;
#[cfg(feature = "internals")]
mod estimate;
mod fleet;
mod harness;
#[path = "../shared/heading.rs"]
mod heading;
mod latency;
#[cfg(feature = "internals")]
mod lock;
#[path = "../shared/median.rs"]
mod median;
mod memory;
mod noise;
mod ours;
mod outage;
mod picky;
mod poison;
#[path = "../shared/process.rs"]
mod process;
mod service;

type Figure = (&'static str, fn(harness::Effort));

/// The figures by name. Each is made in a process of its own: idle threads and the memory of one do not meet another.
const FIGURES: &[Figure] = &[
    ("backlog", backlog::run),
    ("blocking", blocking::run),
    ("latency", latency::run),
    ("memory", memory::run),
    ("crowd", crowd::run),
    ("fleet", fleet::run),
    ("poison", poison::run),
    ("outage", outage::run),
    ("noise", noise::run),
    #[cfg(feature = "internals")]
    ("estimate", estimate::run),
    #[cfg(feature = "internals")]
    ("lock", lock::run),
];

fn main() -> ExitCode {
    let arguments = heading::arguments();
    if let [service::ARGUMENT, latency, ports, noise @ ..] =
        &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        service::run(latency, ports, noise);
        return ExitCode::SUCCESS;
    }
    let (options, names): (Vec<_>, Vec<_>) = arguments.iter().partition(|word| word.starts_with("--"));
    let known = |name: &&&String| FIGURES.iter().any(|(figure, _)| figure == *name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<_> = FIGURES.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no figure {unknown:?}; there are: {}", all.join(", "));
        return ExitCode::FAILURE;
    }
    let effort = harness::Effort {
        quick: options.iter().any(|option| *option == "--quick"),
    };
    if let ([name], Some(_)) = (&names[..], std::env::var_os(CHILD)) {
        for (_, run) in FIGURES.iter().filter(|(figure, _)| figure == name) {
            run(effort);
        }
        return ExitCode::SUCCESS;
    }
    heading::print("cargo bench --features internals --bench figures", &arguments);
    if cfg!(not(feature = "internals")) {
        println!("(the figure `lock` needs `--features internals`)");
    }
    for (name, _) in FIGURES {
        if (names.is_empty() || names.iter().any(|wanted| wanted == name)) && !in_child(name, &options) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Set in the process that makes one figure.
const CHILD: &str = "BLASTER_FIGURE";

/// Makes a figure in a process of its own; false where that failed.
fn in_child(name: &str, options: &[&String]) -> bool {
    let program = std::env::current_exe().expect("a bench knows where it is");
    let status = Command::new(program).arg(name).args(options).env(CHILD, "1").status();
    match status {
        Ok(status) if status.success() => true,
        other => {
            eprintln!("the figure {name} could not be made: {other:?}");
            false
        }
    }
}
