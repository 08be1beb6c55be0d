//! How long a backlog takes with quotas, beside the least time that it can take, and how many 429s it costs: the whole
//! engine over real sockets, against the simulator in a process of its own.
//!
//! ```text
//! cargo bench --features cli --bench drain                                 everything, about a quarter of an hour
//! cargo bench --features cli --bench drain -- --only 6s --only unequal     the cases whose names have all of these words
//! cargo bench --features cli --bench drain -- --quick                      smaller fleets, short windows: half a minute
//! cargo bench --features cli --bench drain -- --runs 3                     medians of three runs
//! cargo bench --features cli --bench drain -- --seed 7                     other jobs and other phases
//! cargo bench --features cli --bench drain -- --headers                    replies tell how the quota stands
//! ```
//!
//! Nothing here fails for being slow. Without `--headers` the service tells no limits, so that what a client was not
//! told stays unknown to it until it is refused.
//!
//! # Reading order
//! 1. [`case`]: what is tried
//! 2. [`shape`], [`fleet`] and [`jobs`]: who answers, and what is asked
//! 3. [`bound`]: the least time that it can take
//! 4. [`oracle`]: the time that a client takes which sees into the service
//! 5. [`run`]: one backlog, from the first submission to the last answer
//! 6. [`table`]: what is printed

use std::error::Error;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use case::{Case, Effort};
use run::Drained;

mod bound;
mod case;
mod fleet;
#[path = "../shared/heading.rs"]
mod heading;
mod jobs;
#[path = "../shared/median.rs"]
mod median;
mod oracle;
#[path = "../shared/process.rs"]
mod process;
mod run;
mod shape;
#[path = "../shared/simulator.rs"]
mod simulator;
mod table;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What the command line asks for.
pub(crate) struct Options {
    pub(crate) effort: Effort,
    /// Words that the names of cases must have, all of them.
    only: Vec<String>,
    /// Runs of each case.
    runs: u64,
    /// The first run's seed; each further one has the next.
    seed: u64,
    /// Whether replies tell how the quota stands.
    pub(crate) headers: bool,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self> {
        let mut options = Options {
            effort: Effort::Full,
            only: Vec::new(),
            runs: 1,
            seed: 1,
            headers: false,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--quick" => options.effort = Effort::Quick,
                "--headers" => options.headers = true,
                "--only" => options.only.push(value()?.clone()),
                "--runs" => options.runs = value()?.parse::<u64>()?.max(1),
                "--seed" => options.seed = value()?.parse()?,
                _ => return Err(format!("there is no option {word}").into()),
            }
        }
        Ok(options)
    }

    fn wants(&self, case: &Case) -> bool {
        let name = case.name();
        self.only
            .iter()
            .all(|wanted| name.split(' ').any(|word| word == wanted))
    }
}

fn main() -> ExitCode {
    let arguments = heading::arguments();
    match Options::read(&arguments).and_then(|options| measure(&options, &arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options, arguments: &[String]) -> Result<()> {
    let mut cases = case::all(options.effort);
    cases.retain(|case| options.wants(case));
    if cases.is_empty() {
        return Err("no case has such a name".into());
    }
    let mut rows: Vec<(Case, Vec<Drained>)> = Vec::new();
    // Those of one pace go together: how many may run at once depends on it.
    for group in cases.chunk_by(|a, b| a.pace == b.pace) {
        let runs: Vec<(Case, u64)> = group
            .iter()
            .flat_map(|case| (0..options.runs).map(|run| (*case, options.seed + run)))
            .collect();
        let drained = side_by_side(group[0].at_once(options.effort), &runs, options)?;
        let of_each = drained.chunks(options.runs as usize).map(<[Drained]>::to_vec);
        rows.extend(group.iter().copied().zip(of_each));
    }
    heading::print("cargo bench --features cli --bench drain", arguments);
    println!("\n{}", table::markdown(&rows));
    Ok(())
}

/// Makes these runs, at most `at_once` at a time; they come back in their order.
fn side_by_side(at_once: usize, runs: &[(Case, u64)], options: &Options) -> Result<Vec<Drained>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let lane = || -> Result<()> {
            loop {
                let position = next.fetch_add(1, Ordering::Relaxed);
                let Some((case, seed)) = runs.get(position) else {
                    return Ok(());
                };
                let drained = run::run(case, *seed, options)?;
                eprintln!("{}, seed {seed}: {}", case.name(), table::line(&drained));
                done.lock()
                    .map_err(|_| "another run panicked")?
                    .push((position, drained));
            }
        };
        let lanes: Vec<_> = (0..at_once).map(|_| scope.spawn(lane)).collect();
        lanes
            .into_iter()
            .try_for_each(|lane| lane.join().map_err(|_| "a run panicked")?)
    })?;
    let mut done = done.into_inner().map_err(|_| "a run panicked")?;
    done.sort_by_key(|(position, _)| *position);
    Ok(done.into_iter().map(|(_, drained)| drained).collect())
}
