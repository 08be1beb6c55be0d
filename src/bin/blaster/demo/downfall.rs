//! The story of the deployment that dies, as the blaster saw it.

use std::fmt;
use std::time::Duration;

use azure_openai_blaster::api::Condition;

use super::record::Attempts;
use super::story::{Turn, VICTIM};
use super::watch::What;
use super::words;

/// Longest reason, in characters, that fits into a line of 80: when it is told at once, and in the summary.
const TOLD: usize = 45;
const SUMMED_UP: usize = 58;

/// What became of the deployment that dies; times are since the start.
#[derive(Debug, Default)]
pub(super) struct Downfall {
    died: Option<Duration>,
    /// When it was first given a rest.
    noticed: Option<Duration>,
    /// When it was ejected, and why.
    ejected: Option<(Duration, String)>,
    revived: Option<Duration>,
    /// When it was probed, until it was back.
    probes: Vec<Duration>,
    /// When it answered again.
    back: Option<Duration>,
}

impl Downfall {
    /// Notes what was done to it.
    pub(super) fn turn(&mut self, now: Duration, turn: Turn) {
        match turn {
            Turn::Death => self.died = Some(now),
            Turn::Revival => self.revived = Some(now),
        }
    }

    /// Notes what the blaster saw of it, and says what is worth telling.
    pub(super) fn sighting(&mut self, now: Duration, what: &What) -> Option<String> {
        if self.died.is_none_or(|died| now < died) || self.back.is_some() {
            return None;
        }
        match what {
            What::Answered => {
                // What was under way when it died may be told late.
                self.revived.filter(|revived| *revived <= now)?;
                self.back = Some(now);
                Some("answers again".to_owned())
            }
            What::Became(Condition::Ready, _) => None,
            What::Became(condition, reason) => {
                let first = self.noticed.is_none();
                self.noticed.get_or_insert(now);
                let reason = reason.as_deref().unwrap_or("no reason given");
                match condition {
                    Condition::Probing => {
                        self.probes.push(now);
                        Some("is probed with one request".to_owned())
                    }
                    Condition::Ejected if self.ejected.is_none() => {
                        self.ejected = Some((now, reason.to_owned()));
                        Some(format!("is ejected: {}", words::brief(reason, TOLD)))
                    }
                    Condition::Ejected => Some("did not answer its probe".to_owned()),
                    _ if first => Some(format!("is given a rest: {}", words::brief(reason, TOLD))),
                    _ => None,
                }
            }
        }
    }

    /// The story, for the summary; `attempts` are those that were made there.
    pub(super) fn tell(&self, attempts: Attempts) -> Story<'_> {
        Story {
            downfall: self,
            attempts,
        }
    }
}

/// The story, one line for each thing that happened.
pub(super) struct Story<'a> {
    downfall: &'a Downfall,
    attempts: Attempts,
}

impl fmt::Display for Story<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attempts {
            failed,
            unconnected,
            prompts_hit,
            prompts_saved,
            ..
        } = self.attempts;
        let Some(died) = self.downfall.died else {
            return write!(f, "{VICTIM} was to die, but the demo ended before.");
        };
        write!(f, "{VICTIM} died at {}.", words::at(died))?;
        let mut line = |title: &str, text: String| write!(f, "\n  {title:<9}{text}");
        match self.downfall.noticed {
            Some(noticed) => line(
                "noticed",
                format!("{} later", words::time(noticed.saturating_sub(died))),
            )?,
            None => line("noticed", "not by anybody: nothing was sent there since".to_owned())?,
        }
        if prompts_hit > 0 {
            let attempts = words::several(failed + unconnected, "attempt");
            let prompts = words::several(prompts_hit, "prompt");
            let saved = match prompts_saved {
                _ if prompts_saved == prompts_hit => "all".to_owned(),
                saved => words::count(saved),
            };
            line(
                "failed",
                format!("{attempts} of {prompts}, {saved} answered by another attempt"),
            )?;
        }
        if let Some((at, reason)) = &self.downfall.ejected {
            line(
                "ejected",
                format!("at {}: {}", words::at(*at), words::brief(reason, SUMMED_UP)),
            )?;
        }
        match self.downfall.revived {
            Some(revived) => line(
                "revived",
                format!("at {}, without a word to the blaster", words::at(revived)),
            )?,
            None => line("revived", "not before the end".to_owned())?,
        }
        if !self.downfall.probes.is_empty() {
            let times: Vec<String> = self.downfall.probes.iter().copied().map(words::at).collect();
            line("probed", format!("at {}, with one request each time", times.join(", ")))?;
        }
        match self.downfall.back {
            Some(back) => {
                let away = words::time(back.saturating_sub(died));
                line("back", format!("at {}, {away} after its death", words::at(back)))
            }
            None => line("back", "not before the end".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTH: Duration = Duration::from_millis(100);

    fn became(condition: Condition) -> What {
        What::Became(condition, Some("connection refused".to_owned()))
    }

    fn attempts(failed: u64, unconnected: u64, prompts_hit: u64, prompts_saved: u64) -> Attempts {
        Attempts {
            failed,
            unconnected,
            prompts_hit,
            prompts_saved,
            ..Attempts::default()
        }
    }

    #[test]
    fn the_whole_story_is_told_in_order() {
        let mut downfall = Downfall::default();
        // Before the death nothing is its story.
        assert_eq!(downfall.sighting(50 * TENTH, &became(Condition::CoolingDown)), None);
        downfall.turn(60 * TENTH, Turn::Death);
        for (tenth, what, told) in [
            (60, What::Answered, None),
            (
                61,
                became(Condition::CoolingDown),
                Some("is given a rest: connection refused"),
            ),
            (70, became(Condition::Ready), None),
            (70, became(Condition::CoolingDown), None),
            (86, became(Condition::Ejected), Some("is ejected: connection refused")),
            (136, became(Condition::Probing), Some("is probed with one request")),
            (136, became(Condition::Ejected), Some("did not answer its probe")),
        ] {
            assert_eq!(downfall.sighting(tenth * TENTH, &what).as_deref(), told, "{tenth}");
        }
        downfall.turn(150 * TENTH, Turn::Revival);
        for (tenth, what, told) in [
            (186, became(Condition::Probing), Some("is probed with one request")),
            (188, became(Condition::Ready), None),
            (189, What::Answered, Some("answers again")),
            (190, What::Answered, None),
            (195, became(Condition::Ejected), None),
        ] {
            assert_eq!(downfall.sighting(tenth * TENTH, &what).as_deref(), told, "{tenth}");
        }
        assert_eq!(
            downfall.tell(attempts(20, 5, 24, 24)).to_string(),
            "virginia died at 6.0 s.\n  \
             noticed  0.10 s later\n  \
             failed   25 attempts of 24 prompts, all answered by another attempt\n  \
             ejected  at 8.6 s: connection refused\n  \
             revived  at 15.0 s, without a word to the blaster\n  \
             probed   at 13.6 s, 18.6 s, with one request each time\n  \
             back     at 18.9 s, 13 s after its death"
        );
    }

    #[test]
    fn a_story_that_was_cut_short_says_so() {
        let mut downfall = Downfall::default();
        let before = downfall.tell(attempts(0, 0, 0, 0)).to_string();
        assert_eq!(before, "virginia was to die, but the demo ended before.");
        downfall.turn(60 * TENTH, Turn::Death);
        assert_eq!(
            downfall.tell(attempts(1, 1, 1, 0)).to_string(),
            "virginia died at 6.0 s.\n  \
             noticed  not by anybody: nothing was sent there since\n  \
             failed   2 attempts of 1 prompt, 0 answered by another attempt\n  \
             revived  not before the end\n  \
             back     not before the end"
        );
    }
}
