//! The run: feeds the blaster, takes the answers, plays the story and tells the view.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use azure_openai_blaster::api::ChatCompletion;
use azure_openai_blaster::error::Error;
use azure_openai_blaster::{Blaster, JobSet};

use super::downfall::Downfall;
use super::ending::Ending;
use super::moment::{Endpoint, Moment};
use super::prompts::Prompts;
use super::record::Record;
use super::speed::Speed;
use super::stopwatch::Stopwatch;
use super::story::{self, Plot, Turn};
use super::summary::{Row, Summary};
use super::uptime::Uptime;
use super::view::View;
use super::watch::Sighting;
use super::words;
use crate::interrupt::Interrupt;

/// Time between two looks at the endpoints; also how soon Ctrl-C is noticed.
const LOOK: Duration = Duration::from_millis(125);

/// How long what is under way may go on after Ctrl-C.
const GRACE: Duration = Duration::from_secs(2);

/// A run and all that is known of it.
pub(super) struct Run<'a> {
    blaster: &'a Blaster,
    prompts: &'a Prompts,
    total: u32,
    stopwatch: Stopwatch,
    sightings: Receiver<Sighting>,
    /// Number of the next prompt.
    next: u32,
    under_way: JobSet<u32, ChatCompletion>,
    plot: Plot,
    record: Record,
    uptime: Uptime,
    downfall: Downfall,
    speed: Speed,
    /// How long it took, once it is over.
    elapsed: Duration,
}

impl<'a> Run<'a> {
    /// A run of so many prompts; times are those of `stopwatch`.
    pub(super) fn new(
        blaster: &'a Blaster,
        prompts: &'a Prompts,
        total: u32,
        stopwatch: Stopwatch,
        sightings: Receiver<Sighting>,
    ) -> Self {
        Run {
            blaster,
            prompts,
            total,
            stopwatch,
            sightings,
            next: 0,
            under_way: JobSet::new(),
            plot: Plot::new(),
            record: Record::default(),
            uptime: Uptime::default(),
            downfall: Downfall::default(),
            speed: Speed::default(),
            elapsed: Duration::ZERO,
        }
    }

    /// Runs until every prompt has come to its end, or until Ctrl-C and a moment longer. `perform` lets a turn of the
    /// story happen.
    ///
    /// # Errors
    /// Those of `perform`.
    pub(super) fn play<E>(
        &mut self,
        view: &mut dyn View,
        interrupt: &Interrupt,
        mut perform: impl FnMut(Turn) -> Result<(), E>,
    ) -> Result<Ending, E> {
        let mut next_look = Duration::ZERO;
        let mut stop_at = None;
        loop {
            let now = self.now();
            match stop_at {
                None if interrupt.came() => {
                    stop_at = Some(now + GRACE);
                    let prompts = words::several(self.under_way.len() as u64, "prompt");
                    let grace = words::wait(GRACE);
                    view.tell(&line(now, &format!("Ctrl-C: finishing {prompts}, for {grace} at most")));
                }
                None => self.feed(),
                // Whatever is still under way ends as shut down.
                Some(stop) if now >= stop => self.blaster.close(),
                Some(_) => {}
            }
            while let Some(turn) = self.plot.due(now) {
                perform(turn)?;
                self.downfall.turn(now, turn);
                view.tell(&line(now, &turn.to_string()));
            }
            if now >= next_look {
                next_look = now + LOOK;
                self.listen(view);
                let moment = self.moment(now);
                self.uptime.note(&moment);
                view.show(&moment);
            }
            if self.under_way.is_empty() {
                break;
            }
            self.take(next_look.saturating_sub(now));
        }
        self.elapsed = self.now();
        let moment = self.moment(self.elapsed);
        self.uptime.note(&moment);
        self.listen(view);
        Ok(match stop_at {
            Some(_) if self.record.answered < self.total.into() => Ending::Interrupted,
            _ => Ending::Done,
        })
    }

    /// Whether every prompt was answered.
    pub(super) fn all_well(&self) -> bool {
        self.record.answered == u64::from(self.total)
    }

    /// What is told at the end.
    pub(super) fn summary(&self, ending: Ending, width: usize) -> Summary<'_> {
        let states = self.blaster.states();
        let rows = states.iter().map(|state| {
            let name = state.name();
            Row::new(state.report(), self.record.at(name), self.uptime.ready(name))
        });
        Summary {
            ending,
            elapsed: self.elapsed,
            total: self.total.into(),
            record: &self.record,
            downfall: &self.downfall,
            rows: rows.collect(),
            width,
        }
    }

    fn now(&self) -> Duration {
        self.stopwatch.read()
    }

    /// Submits prompts until there is enough for every worker, and as much again.
    fn feed(&mut self) {
        let enough = 2 * self.blaster.workers();
        while self.next < self.total && self.under_way.len() < enough {
            let number = self.next;
            self.next += 1;
            match self.blaster.submit(self.prompts.request(number)) {
                Ok(handle) => self.under_way.insert(number, handle),
                Err(error) => self.record.note(number, &Err(Error::from(error))),
            }
        }
    }

    /// Takes the answers that are there; waits for the first one, at most so long.
    fn take(&mut self, patience: Duration) {
        let mut taken = self.under_way.next_timeout(patience);
        while let Some((number, result)) = taken {
            self.record.note(number, &result);
            taken = self.under_way.try_next();
        }
    }

    /// Learns what the blaster has noticed, and tells what is worth it.
    fn listen(&mut self, view: &mut dyn View) {
        for Sighting { at, endpoint, what } in self.sightings.try_iter() {
            if *endpoint == *story::VICTIM
                && let Some(news) = self.downfall.sighting(at, &what)
            {
                view.tell(&line(at, &format!("{endpoint} {news}")));
            }
        }
    }

    fn moment(&mut self, now: Duration) -> Moment {
        let ended = self.record.ended();
        self.speed.note(now, ended);
        let states = self.blaster.states();
        Moment {
            elapsed: now,
            total: self.total.into(),
            ended,
            not_answered: self.record.not_answered(),
            rate: self.speed.per_second(),
            endpoints: states.iter().map(|state| Endpoint::from(state.report())).collect(),
        }
    }
}

/// Something that happened, and when.
fn line(at: Duration, what: &str) -> String {
    format!("{:>7}  {what}", words::at(at))
}
