//! `blaster sim`: a simulated fleet in a process of its own.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use azure_openai_blaster::sim::{FleetSettings, JournalEntry, SimConfig, SimFleet};

use crate::Failure;
use crate::interrupt::Interrupt;
use crate::output::print;
use report::Snapshot;

mod default_fleet;
mod report;

/// Time between two looks at the fleet; the journal file is at most this old.
const TICK: Duration = Duration::from_secs(1);

/// Looks between two lines of counters.
const TICKS_PER_LINE: u32 = 5;

/// Simulate a fleet of Azure OpenAI deployments on this machine
///
/// Serves every deployment of the fleet on a loopback port, with keys, quotas, 429s, streams, latencies and faults as
/// the configuration has them, for any client to be tried against. Nothing leaves the machine and nothing is spent.
///
/// A configuration for blaster goes to stdout, everything else to stderr: `blaster sim > sim.json` leaves a
/// file that `Blaster::from_config` takes. Ctrl-C ends the fleet with a summary.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    blaster sim                                  four deployments, to try things out\n  \
    blaster sim --print-config > fleet.json      a configuration to start your own from\n  \
    blaster sim --config fleet.json --port 9100  your fleet, on ports 9100, 9101, ...")]
pub(crate) struct Arguments {
    /// The fleet to simulate, as JSON; without it, four unequal deployments
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Port of the first resource; the others follow upwards [default: any that are free]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// Threads that serve the sockets [default: one for each core]
    #[arg(long, short, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// Print the fleet's configuration with every setting filled in, and exit
    #[arg(long)]
    print_config: bool,

    /// Say nothing but errors on stderr
    #[arg(long, short)]
    quiet: bool,

    /// Write each exchange to this file when it is over, one JSON object a line; keys are hidden
    #[arg(long, short, value_name = "FILE")]
    journal: Option<PathBuf>,
}

/// Runs the fleet until Ctrl-C.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = read_config(arguments)?;
    if arguments.print_config {
        let text = serde_json::to_string_pretty(&config);
        return print(&text.map_err(|error| Failure::of("writing the configuration", &error))?);
    }
    let mut journal = arguments.journal.as_ref().map(JournalFile::create).transpose()?;
    let interrupt = Interrupt::catch().map_err(|error| Failure::of("listening for Ctrl-C", &error))?;
    let fleet = start(config, arguments)?;

    let tell = |text: &str| {
        if !arguments.quiet {
            // Somebody who has closed stderr does not want to know, and the fleet goes on for its clients.
            let _ = writeln!(io::stderr(), "{text}");
        }
    };
    tell(&report::introduction(fleet.endpoints()));
    print(&fleet.blaster_config_json())?;

    let mut shown = Snapshot::of(&fleet);
    let mut ticks = 0;
    while !interrupt.wait(TICK) {
        if let Some(journal) = &mut journal {
            journal.write(&fleet.take_journal())?;
        }
        ticks += 1;
        if ticks % TICKS_PER_LINE == 0 {
            let now = Snapshot::of(&fleet);
            // An idle fleet fills no screens.
            if now.differs_from(&shown) {
                tell(&now.line(&shown));
                shown = now;
            }
        }
    }
    if let Some(journal) = &mut journal {
        journal.write(&fleet.journal())?;
    }
    tell(&Snapshot::of(&fleet).summary());
    Ok(())
}

fn read_config(arguments: &Arguments) -> Result<SimConfig, Failure> {
    let Some(path) = &arguments.config else {
        return Ok(default_fleet::default_fleet());
    };
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("reading the fleet's configuration {}: {error}", path.display())))?;
    SimConfig::from_json(&text).map_err(|error| {
        let mut message = format!("{}: {error}", path.display());
        if is_for_blaster(&text) {
            message.push_str("\nThis looks like a configuration of blaster, which says where deployments are. A fleet's says what they");
            message.push_str("\nare like; `blaster sim --print-config` prints one to start from.");
        }
        Failure::usage(message)
    })
}

/// Whether this is the other of the two files, which `blaster sim > sim.json` makes: its deployments have endpoints.
fn is_for_blaster(text: &str) -> bool {
    let read: Option<serde_json::Value> = serde_json::from_str(text).ok();
    read.is_some_and(|config| config["deployments"][0]["endpoint"].is_string())
}

fn start(config: SimConfig, arguments: &Arguments) -> Result<SimFleet, Failure> {
    let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut settings = FleetSettings::new().threads(arguments.threads.map_or_else(cores, NonZeroUsize::get));
    if let Some(port) = arguments.port {
        settings = settings.first_port(port);
    }
    if arguments.journal.is_none() {
        settings = settings.journal_capacity(0);
    }
    SimFleet::start_with(config, &settings).map_err(|error| Failure::of("starting the fleet", &error))
}

/// The file that the exchanges are written to.
struct JournalFile {
    path: PathBuf,
    file: BufWriter<fs::File>,
}

impl JournalFile {
    fn create(path: &PathBuf) -> Result<Self, Failure> {
        let file = fs::File::create(path)
            .map_err(|error| Failure::usage(format!("creating the journal {}: {error}", path.display())))?;
        Ok(JournalFile {
            path: path.clone(),
            file: BufWriter::new(file),
        })
    }

    fn write(&mut self, entries: &[JournalEntry]) -> Result<(), Failure> {
        let mut write_all = || {
            for entry in entries {
                serde_json::to_writer(&mut self.file, entry)?;
                self.file.write_all(b"\n")?;
            }
            self.file.flush()
        };
        write_all().map_err(|error| Failure::of(&format!("writing the journal {}", self.path.display()), &error))
    }
}
