//! What became of the prompts, from their answers, errors and ledgers.

use std::fmt::Write as _;

use azure_openai_blaster::api::{Attempt, ChatCompletion, Ledger};
use azure_openai_blaster::error::{Error, ErrorKind};

use super::prompts;

/// Failures that are told in full; of the others only the number.
const SAMPLES: usize = 5;

/// What became of the prompts.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Prompts that have their answer.
    pub(super) answered: u64,
    /// Prompts that were answered with something that does not belong to them.
    pub(super) mixed_up: u64,
    /// Prompts that ended in an error.
    pub(super) failed: u64,
    /// Prompts under way that were cut off after Ctrl-C.
    pub(super) cut_off: u64,
    /// The first that were not answered, each with its error and ledger, one line for each attempt.
    pub(super) samples: Vec<String>,
    /// What became of the requests that were sent for them.
    pub(super) requests: Requests,
    /// What befell them at the deployment that was named.
    pub(super) watched: Watched,
}

/// Requests by what they came to, as the ledgers have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Requests {
    /// Requests that left the machine.
    pub(super) sent: u64,
    /// Of those, refused with 429.
    pub(super) throttled: u64,
    /// Of those, failed in any other way.
    pub(super) failed: u64,
    /// Attempts that failed before anything was sent, for nobody took the connection.
    pub(super) unconnected: u64,
    /// Attempts beyond the first of a prompt.
    pub(super) retries: u64,
}

/// Failures at one deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Watched {
    /// The deployment's name.
    pub(super) name: &'static str,
    /// Attempts that failed there, 429s apart.
    pub(super) failures: u64,
    /// Prompts that met at least one of them.
    pub(super) prompts: u64,
    /// Of those prompts, the answered.
    pub(super) answered: u64,
}

impl Record {
    /// An empty record that watches this deployment.
    pub(super) fn watching(name: &'static str) -> Self {
        Record {
            watched: Watched {
                name,
                ..Watched::default()
            },
            ..Record::default()
        }
    }

    /// Prompts that have come to their end.
    pub(super) fn ended(&self) -> u64 {
        self.answered + self.not_answered()
    }

    /// Prompts that have come to an end other than their answer.
    pub(super) fn not_answered(&self) -> u64 {
        self.mixed_up + self.failed + self.cut_off
    }

    /// Notes how the prompt of this number ended.
    pub(super) fn note(&mut self, number: u32, result: &Result<ChatCompletion, Error>) {
        let ledger = match result {
            Ok(completion) => Some(completion.ledger()),
            Err(error) => error.ledger(),
        };
        let answered = match result {
            Ok(completion) if prompts::is_answer(number, completion) => {
                self.answered += 1;
                true
            }
            Ok(completion) => {
                self.mixed_up += 1;
                let text = completion.text().unwrap_or("no text");
                self.sample(number, &format!("the answer is to another prompt: {text}"), ledger);
                false
            }
            Err(error) if error.kind() == ErrorKind::ShutDown => {
                self.cut_off += 1;
                false
            }
            Err(error) => {
                self.failed += 1;
                self.sample(number, &error.to_string(), ledger);
                false
            }
        };
        if let Some(ledger) = ledger {
            self.count(ledger, answered);
        }
    }

    fn sample(&mut self, number: u32, what: &str, ledger: Option<&Ledger>) {
        if self.samples.len() == SAMPLES {
            return;
        }
        let mut text = format!("prompt {}: {what}", number + 1);
        for line in ledger.map(Ledger::to_string).unwrap_or_default().lines() {
            write!(text, "\n    {line}").expect("writing to a String cannot fail");
        }
        self.samples.push(text);
    }

    fn count(&mut self, ledger: &Ledger, answered: bool) {
        let is_throttled = |attempt: &&Attempt| attempt.status == Some(429);
        let is_failed = |attempt: &&Attempt| attempt.problem.is_some() && attempt.status != Some(429);
        let number = |attempts: usize| attempts as u64;
        let unconnected = ledger.not_sent().len();
        self.requests.sent += number(ledger.len());
        self.requests.throttled += number(ledger.attempts().iter().filter(is_throttled).count());
        self.requests.failed += number(ledger.attempts().iter().filter(is_failed).count());
        self.requests.unconnected += number(unconnected);
        self.requests.retries += number((ledger.len() + unconnected).saturating_sub(1));

        let attempts = ledger.attempts().iter().chain(ledger.not_sent());
        let there = attempts.filter(|attempt| *attempt.endpoint == *self.watched.name);
        let failures = number(there.filter(is_failed).count());
        if failures > 0 {
            self.watched.failures += failures;
            self.watched.prompts += 1;
            self.watched.answered += u64::from(answered);
        }
    }
}

#[cfg(test)]
mod tests {
    use azure_openai_blaster::Blaster;
    use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig};
    use azure_openai_blaster::error::fault::FaultKind;
    use azure_openai_blaster::testing::{Scripted, ScriptedReply};

    use super::*;

    /// A record of prompt 7, asked of two deployments of which `east` goes first by these replies.
    fn record(east: impl IntoIterator<Item = ScriptedReply>, answer: &str) -> Record {
        let transport = Scripted::answering(answer).script("east", east);
        let deployments =
            ["east", "west"].map(|name| DeploymentConfig::new(name, "http://localhost", "gpt-4o").auth(Auth::None));
        let blaster = Blaster::builder()
            .config(BlasterConfig::new(deployments).num_workers(1))
            .transport(transport)
            .build()
            .unwrap();
        // The order of the two is left to chance, so the other one is out until `east` has been asked.
        let west = &blaster.states()[1];
        west.cool_down(std::time::Duration::from_millis(100));
        let mut record = Record::watching("east");
        record.note(7, &blaster.chat("hello"));
        record
    }

    #[test]
    fn an_answer_at_the_first_attempt_is_one_request() {
        let record = record([], "id:00000007 yes");
        assert_eq!((record.answered, record.not_answered()), (1, 0));
        let expected = Requests {
            sent: 1,
            ..Requests::default()
        };
        assert_eq!(record.requests, expected);
        assert_eq!(record.watched.prompts, 0);
    }

    #[test]
    fn a_429_and_a_failure_are_told_apart() {
        let throttled = ScriptedReply::status(429).header("retry-after", "60");
        let record = record([throttled], "id:00000007");
        let expected = Requests {
            sent: 2,
            throttled: 1,
            retries: 1,
            ..Requests::default()
        };
        assert_eq!((record.answered, record.requests), (1, expected));
        assert_eq!(record.watched.failures, 0);

        let record = self::record([ScriptedReply::status(503)], "id:00000007");
        let expected = Requests {
            sent: 2,
            failed: 1,
            retries: 1,
            ..Requests::default()
        };
        assert_eq!((record.answered, record.requests), (1, expected));
        let Watched {
            failures,
            prompts,
            answered,
            ..
        } = record.watched;
        assert_eq!((failures, prompts, answered), (1, 1, 1));
    }

    #[test]
    fn what_found_no_connection_was_not_sent() {
        let record = record([ScriptedReply::fault(FaultKind::Connect)], "id:00000007");
        let expected = Requests {
            sent: 1,
            unconnected: 1,
            retries: 1,
            ..Requests::default()
        };
        assert_eq!(record.requests, expected);
        assert_eq!(record.watched.failures, 1);
    }

    #[test]
    fn an_answer_to_another_prompt_and_a_refusal_are_told_with_their_ledgers() {
        let mixed_up = record([], "id:00000008 yes");
        assert_eq!((mixed_up.answered, mixed_up.mixed_up), (0, 1));
        assert!(
            mixed_up.samples[0].contains("id:00000008 yes"),
            "{:?}",
            mixed_up.samples
        );

        let refused = record([ScriptedReply::status(400)], "id:00000007");
        assert_eq!((refused.answered, refused.failed), (0, 1));
        let lines: Vec<&str> = refused.samples[0].lines().collect();
        assert!(lines[0].starts_with("prompt 8: the request was refused"), "{lines:?}");
        assert!(
            lines[1].contains("east chat/completions") && lines[1].contains(" 400"),
            "{lines:?}"
        );
    }
}
