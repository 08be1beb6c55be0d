//! `blaster demo`: a backlog through a simulated fleet, with all that goes wrong in real life.
//!
//! # Reading order
//! 1. [`story`]: the fleet, and what happens to it on the way
//! 2. [`prompts`]: what is asked, and whether an answer belongs to its prompt
//! 3. [`mod@run`]: the loop that feeds the blaster, takes the answers and tells the view
//! 4. what is kept of it: [`record`] (jobs and their ledgers), [`watch`] (what the blaster noticed, and when),
//!    [`uptime`] (who was ready how long), [`downfall`] (the one that dies), [`speed`]
//! 5. what is shown: a [`moment`] as a [`live`] view or as [`plain`] lines, and the [`summary`]

use std::sync::Arc;

use azure_openai_blaster::sim::{FleetSettings, SimFleet};
use azure_openai_blaster::{Blaster, BlasterConfig};

use crate::Failure;
use crate::exit_code::ExitCode;
use crate::interrupt::Interrupt;
use crate::output::{self, print};
use crate::screen::Screen;
use ending::Ending;
use live::Live;
use plain::Plain;
use prompts::Prompts;
use run::Run;
use stopwatch::Stopwatch;
use view::{Quiet, View};

mod downfall;
mod ending;
mod live;
mod moment;
mod plain;
mod prompts;
mod record;
mod run;
mod speed;
mod stopwatch;
mod story;
mod summary;
mod uptime;
mod view;
mod watch;
mod words;

/// Watch a backlog go through a simulated fleet, with a quota, failures and a death on the way
///
/// Four unequal deployments are simulated in this process, on loopback ports: no key, no network, nothing is spent.
/// One has a small quota, which is kept to, one fails now and then, one dies on the way and comes back. Every prompt
/// is answered all the same, and every answer is checked against its prompt.
///
/// Progress goes to stderr (on a terminal as a live view, else as a line every few seconds), the summary to stdout.
/// Ctrl-C finishes what is under way and sums up what happened so far.
///
/// Exit codes: 0 all answered, 1 something was not, 2 wrong arguments, 130 Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    blaster demo                    3,000 prompts, about 20 seconds\n  \
    blaster demo --workers 16       what fewer connections cost\n  \
    blaster demo --seed 7           other prompts fail, other requests are slow\n  \
    blaster demo --quiet            the summary alone")]
pub(crate) struct Arguments {
    /// How many prompts to send; the deployment dies after 6 s, so fewer than about 1,000 end before it does
    #[arg(long, short = 'n', value_name = "N", default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,

    /// Worker threads: most requests under way at once, 1 to 16384
    #[arg(long, short, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=16_384))]
    workers: u16,

    /// Decides all that is left to chance: latencies, faults, the order of the deployments
    #[arg(long, short, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Print the summary only
    #[arg(long, short)]
    quiet: bool,
}

/// Plays the demo to its end, or to Ctrl-C.
pub(crate) fn run(arguments: &Arguments, screen: &Screen) -> Result<ExitCode, Failure> {
    let prompts = Prompts::embedded().map_err(|error| Failure::of("reading the prompts of the demo", &error))?;
    let interrupt = Interrupt::catch().map_err(|error| Failure::of("listening for Ctrl-C", &error))?;
    let fleet = Arc::new(start_fleet(arguments)?);
    let stopwatch = Stopwatch::start(&fleet);
    let (hook, sightings) = watch::watch(stopwatch.clone());
    let blaster = Blaster::builder()
        .config(configuration(&fleet, arguments)?)
        .seed(arguments.seed)
        .on_event(hook)
        .build()
        .map_err(|error| Failure::of("starting the blaster", &error))?;

    let mut view = view_for(screen, arguments.quiet);
    view.tell(&story::introduction(arguments.requests));
    let mut run = Run::new(&blaster, &prompts, arguments.requests, stopwatch, sightings);
    let ending = run
        .play(view.as_mut(), &interrupt, |turn| story::perform(&fleet, turn))
        .map_err(|error| Failure::of("changing the fleet", &error))?;
    drop(view);
    print(&run.summary(ending, output::width()).to_string())?;
    Ok(match ending {
        Ending::Interrupted => ExitCode::Interrupted,
        Ending::Done if run.all_well() => ExitCode::Success,
        Ending::Done => ExitCode::Failure,
    })
}

fn start_fleet(arguments: &Arguments) -> Result<SimFleet, Failure> {
    // The counters are enough: nobody looks at single exchanges.
    let settings = FleetSettings::new().journal_capacity(0);
    SimFleet::start_with(story::fleet(arguments.seed), &settings)
        .map_err(|error| Failure::of("starting the simulated fleet", &error))
}

fn configuration(fleet: &SimFleet, arguments: &Arguments) -> Result<BlasterConfig, Failure> {
    let mut config = BlasterConfig::from_json(&fleet.blaster_config_json())
        .map_err(|error| Failure::of("reading the fleet's configuration", &error))?;
    story::tell_limits(&mut config);
    Ok(config
        .num_workers(arguments.workers.into())
        .auto_disable_threshold(story::EJECTED_AFTER))
}

/// The view for this screen: live on a terminal, plain lines anywhere else.
fn view_for(screen: &Screen, quiet: bool) -> Box<dyn View> {
    if quiet {
        Box::new(Quiet)
    } else if screen.is_live() {
        Box::new(Live::new(screen))
    } else {
        Box::new(Plain::new(screen))
    }
}
