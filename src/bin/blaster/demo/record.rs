//! What became of the prompts, from their answers, errors and ledgers.

use std::collections::HashMap;
use std::sync::Arc;

use azure_openai_blaster::api::{ChatCompletion, Ledger};
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
    /// Requests that left the machine.
    pub(super) sent: u64,
    /// Attempts beyond the first of a prompt.
    pub(super) retries: u64,
    /// What became of the attempts, by endpoint.
    pub(super) attempts: HashMap<Arc<str>, Attempts>,
}

/// Attempts at one endpoint, by what they came to, as the ledgers have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    /// Answered well.
    pub(super) answered: u64,
    /// Refused with 429.
    pub(super) throttled: u64,
    /// Failed in any other way after they were sent.
    pub(super) failed: u64,
    /// Failed before anything was sent, for nobody took the connection.
    pub(super) unconnected: u64,
    /// Cut off after Ctrl-C.
    pub(super) cut_off: u64,
    /// Prompts that failed here at least once, 429s apart.
    pub(super) prompts_hit: u64,
    /// Of those, the ones that were answered in the end.
    pub(super) prompts_saved: u64,
}

impl Record {
    /// Prompts that have come to their end.
    pub(super) fn ended(&self) -> u64 {
        self.answered + self.not_answered()
    }

    /// Prompts that have come to an end other than their answer.
    pub(super) fn not_answered(&self) -> u64 {
        self.mixed_up + self.failed + self.cut_off
    }

    /// What became of the attempts at this endpoint.
    pub(super) fn at(&self, endpoint: &str) -> Attempts {
        self.attempts.get(endpoint).copied().unwrap_or_default()
    }

    /// What became of all attempts.
    pub(super) fn everywhere(&self) -> Attempts {
        self.attempts.values().fold(Attempts::default(), |sum, one| Attempts {
            answered: sum.answered + one.answered,
            throttled: sum.throttled + one.throttled,
            failed: sum.failed + one.failed,
            unconnected: sum.unconnected + one.unconnected,
            cut_off: sum.cut_off + one.cut_off,
            prompts_hit: sum.prompts_hit + one.prompts_hit,
            prompts_saved: sum.prompts_saved + one.prompts_saved,
        })
    }

    /// Notes how the prompt of this number ended.
    pub(super) fn note(&mut self, number: u32, result: &Result<ChatCompletion, Error>) {
        match result {
            Ok(completion) if prompts::is_answer(number, completion) => {
                self.answered += 1;
                self.count(completion.ledger(), End::Answered);
            }
            Ok(completion) => {
                self.mixed_up += 1;
                let text = completion.text().unwrap_or("no text");
                self.sample(
                    number,
                    &format!("the answer is to another prompt: {text}"),
                    Some(completion.ledger()),
                );
                self.count(completion.ledger(), End::Failed);
            }
            Err(error) => {
                let end = match error.kind() {
                    ErrorKind::ShutDown => {
                        self.cut_off += 1;
                        End::CutOff
                    }
                    _ => {
                        self.failed += 1;
                        self.sample(number, &error.to_string(), error.ledger());
                        End::Failed
                    }
                };
                if let Some(ledger) = error.ledger() {
                    self.count(ledger, end);
                }
            }
        }
    }

    fn sample(&mut self, number: u32, what: &str, ledger: Option<&Ledger>) {
        if self.samples.len() == SAMPLES {
            return;
        }
        let mut text = format!("prompt {}: {what}", number + 1);
        for line in ledger.map(Ledger::to_string).unwrap_or_default().lines() {
            text.push_str("\n    ");
            text.push_str(line);
        }
        self.samples.push(text);
    }

    fn count(&mut self, ledger: &Ledger, end: End) {
        self.sent += ledger.len() as u64;
        self.retries += (ledger.len() + ledger.not_sent().len()).saturating_sub(1) as u64;
        let mut hit: Vec<&Arc<str>> = Vec::new();
        let last = ledger.attempts().len().saturating_sub(1);
        for (position, attempt) in ledger.attempts().iter().enumerate() {
            let there = self.attempts.entry(Arc::clone(&attempt.endpoint)).or_default();
            if attempt.problem.is_none() {
                there.answered += 1;
            } else if attempt.status == Some(429) {
                there.throttled += 1;
            } else if end == End::CutOff && position == last {
                there.cut_off += 1;
            } else {
                there.failed += 1;
                hit.push(&attempt.endpoint);
            }
        }
        for attempt in ledger.not_sent() {
            self.attempts
                .entry(Arc::clone(&attempt.endpoint))
                .or_default()
                .unconnected += 1;
            hit.push(&attempt.endpoint);
        }
        hit.sort();
        hit.dedup();
        for endpoint in hit {
            let there = self.attempts.entry(Arc::clone(endpoint)).or_default();
            there.prompts_hit += 1;
            there.prompts_saved += u64::from(end == End::Answered);
        }
    }
}

/// How a prompt ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Answered,
    Failed,
    CutOff,
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use azure_openai_blaster::Blaster;
    use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig};
    use azure_openai_blaster::error::fault::FaultKind;
    use azure_openai_blaster::testing::{Scripted, ScriptedReply};

    use super::*;

    /// A record of prompt 7, asked of two deployments; the first that is asked replies `first`, if there is such a
    /// reply, and every other time the reply is `answer`.
    fn record(first: Option<ScriptedReply>, answer: &str) -> Record {
        let (first, answer) = (Mutex::new(first), answer.to_owned());
        let transport = Scripted::new(move |_| {
            let first = first.lock().unwrap().take();
            first.unwrap_or_else(|| ScriptedReply::text(answer.clone()))
        });
        let deployments =
            ["east", "west"].map(|name| DeploymentConfig::new(name, "http://localhost", "gpt-4o").auth(Auth::None));
        let blaster = Blaster::builder()
            .config(BlasterConfig::new(deployments).num_workers(1))
            .transport(transport)
            .build()
            .unwrap();
        let mut record = Record::default();
        record.note(7, &blaster.chat("hello"));
        record
    }

    #[test]
    fn attempts_are_counted_by_what_they_came_to() {
        let good = Attempts {
            answered: 1,
            ..Attempts::default()
        };
        let hit = Attempts {
            prompts_hit: 1,
            prompts_saved: 1,
            ..good
        };
        let throttled = ScriptedReply::status(429).header("retry-after", "60");
        let unavailable = ScriptedReply::status(503);
        let refused = ScriptedReply::fault(FaultKind::Connect);
        for (first, sent, retries, expected) in [
            (None, 1, 0, good),
            (Some(throttled), 2, 1, Attempts { throttled: 1, ..good }),
            (Some(unavailable), 2, 1, Attempts { failed: 1, ..hit }),
            (Some(refused), 1, 1, Attempts { unconnected: 1, ..hit }),
        ] {
            let record = record(first, "id:00000007 yes");
            assert_eq!((record.answered, record.not_answered()), (1, 0), "{expected:?}");
            assert_eq!((record.sent, record.retries), (sent, retries), "{expected:?}");
            assert_eq!(record.everywhere(), expected);
            let elsewhere = record.at("nowhere");
            assert_eq!(elsewhere, Attempts::default());
        }
    }

    #[test]
    fn what_was_cut_off_is_no_failure_of_its_endpoint() {
        let blaster = Blaster::builder()
            .transport(Scripted::new(|_| ScriptedReply::hang()))
            .workers(1)
            .build()
            .unwrap();
        let handle = blaster.submit("hello").unwrap();
        while blaster.in_flight() == 0 {
            std::thread::yield_now();
        }
        blaster.close();
        let mut record = Record::default();
        record.note(0, &handle.wait());
        assert_eq!((record.cut_off, record.failed), (1, 0));
        assert!(record.samples.is_empty());
        let everywhere = record.everywhere();
        assert_eq!((everywhere.cut_off, everywhere.failed), (record.sent, 0));
    }

    #[test]
    fn an_answer_to_another_prompt_and_a_refusal_are_told_with_their_ledgers() {
        let mixed_up = record(None, "id:00000008 yes");
        assert_eq!((mixed_up.answered, mixed_up.mixed_up), (0, 1));
        assert!(
            mixed_up.samples[0].contains("id:00000008 yes"),
            "{:?}",
            mixed_up.samples
        );

        let error = r#"{"error":{"code":"BadRequest","message":"no"}}"#;
        let refused = record(Some(ScriptedReply::status(400).body(error)), "id:00000007");
        assert_eq!((refused.answered, refused.failed), (0, 1));
        let lines: Vec<&str> = refused.samples[0].lines().collect();
        assert!(lines[0].starts_with("prompt 8: the request was refused"), "{lines:?}");
        assert!(
            lines[1].contains("chat/completions") && lines[1].contains(" 400"),
            "{lines:?}"
        );
    }
}
