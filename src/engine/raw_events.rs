//! How far a raw stream has come, by its events: whether it has brought content, and where its answer ends.
//!
//! | stage    | begins with                                             | what comes                                |
//! |----------|---------------------------------------------------------|-------------------------------------------|
//! | Preamble | the stream                                              | is held back                              |
//! | Failed   | an error before any content                             | does not matter: it may be tried elsewhere |
//! | Content  | the first event that brings any                         | belongs to the reader                     |
//! | Ending   | an event that others hardly follow: the last one of a response, an error; `[DONE]` without its blank line | belongs to the reader, if it comes at once |
//! | Over     | `[DONE]`                                                | is no part of the answer                  |

use std::borrow::Cow;

use serde::Deserialize;

use crate::api::assembler::DONE;
use crate::api::{ErrorObject, Operation};
use crate::transport::sse::{Event, Parser};

use super::raw_look::RawLook;

/// A raw stream as far as it has come.
#[derive(Debug)]
pub(super) struct RawEvents {
    /// None once nothing is looked for any more: an event was too long.
    parser: Option<Parser>,
    is_response: bool,
    stage: Stage,
}

/// How far a stream has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    Preamble,
    Failed(ErrorObject),
    Content,
    Ending,
    Over,
}

impl RawEvents {
    pub(super) fn of(operation: &Operation) -> Self {
        RawEvents {
            parser: Some(Parser::new()),
            is_response: *operation == Operation::Responses,
            stage: Stage::Preamble,
        }
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Holds back no more, whatever has come.
    pub(super) fn take_for_content(&mut self) {
        if self.stage == Stage::Preamble {
            self.stage = Stage::Content;
        }
    }

    /// Takes the next bytes. Returns how many of them are part of the stream; `early` is told the data of each event
    /// up to the first one with content.
    pub(super) fn push(&mut self, bytes: &[u8], mut early: impl FnMut(&str)) -> usize {
        let mut taken = 0;
        // Line by line, for the place at which an event ends.
        for line in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            if self.is_settled() {
                break;
            }
            let Some(parser) = &mut self.parser else { break };
            taken += line.len();
            let (stage, is_response) = (&mut self.stage, self.is_response);
            let parsed = parser.push(line, |event| stage.pass(event, is_response, &mut early));
            if parsed.is_err() {
                self.parser = None;
                self.take_for_content();
            }
        }
        match self.stage {
            // The rest of the line end that closes the event.
            Stage::Over => taken + usize::from(bytes[..taken].ends_with(b"\r") && bytes[taken..].starts_with(b"\n")),
            _ => {
                if !self.is_settled() && self.parser.as_ref().is_some_and(|parser| parser.has_pending(DONE)) {
                    self.stage = Stage::Ending;
                }
                bytes.len()
            }
        }
    }

    fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Failed(_) | Stage::Over)
    }
}

impl Stage {
    fn pass(&mut self, event: Event<'_>, is_response: bool, early: &mut impl FnMut(&str)) {
        if *self == Stage::Preamble {
            early(event.data);
            *self = match RawLook::at(event.name, event.data) {
                RawLook::Preamble => return,
                RawLook::Failed(error) => Stage::Failed(error),
                RawLook::Content => Stage::Content,
            };
        }
        match self {
            Stage::Content | Stage::Ending if event.data.trim_ascii() == DONE => *self = Stage::Over,
            Stage::Content if event.name == "error" || is_response && ends_response(event) => *self = Stage::Ending,
            _ => {}
        }
    }
}

/// Whether an event is the last one of a response.
fn ends_response(event: Event<'_>) -> bool {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
    }
    let is_last = |kind: &str| {
        matches!(
            kind,
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled"
        )
    };
    match event.name {
        "" => serde_json::from_str::<Typed<'_>>(event.data).is_ok_and(|typed| is_last(&typed.r#type)),
        name => is_last(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n";
    const HI: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    const CREATED: &str =
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n";

    /// What is part of a stream that comes in these pieces, and how far it has come then.
    fn part_of(operation: &Operation, pieces: &[&[u8]]) -> (String, Stage) {
        let mut events = RawEvents::of(operation);
        let mut part = Vec::new();
        for piece in pieces {
            let taken = events.push(piece, |_| {});
            part.extend_from_slice(&piece[..taken]);
            if events.is_settled() {
                break;
            }
        }
        (String::from_utf8(part).unwrap(), events.stage)
    }

    #[test]
    fn a_stream_comes_from_stage_to_stage() {
        let chat = [
            ("", Stage::Preamble),
            (": waiting\n\n", Stage::Preamble),
            (ROLE, Stage::Preamble),
            ("data: {\"choi", Stage::Preamble),
            (HI, Stage::Content),
            ("data: {\"choices\":[]}\n\ndata: [DO", Stage::Preamble),
            ("data: [DONE]\n", Stage::Ending),
            ("data: [DONE]\n\n", Stage::Over),
            ("event: error\ndata: {}\n\n", Stage::Failed(ErrorObject::default())),
        ];
        for (stream, stage) in chat {
            let found = part_of(&Operation::ChatCompletions, &[stream.as_bytes()]);
            assert_eq!(found, (stream.to_owned(), stage));
        }
        for (operation, name, data, stage) in [
            (Operation::Responses, "response.in_progress", "{}", Stage::Preamble),
            (Operation::Responses, "response.output_text.delta", "{}", Stage::Content),
            (Operation::Responses, "response.completed", "{}", Stage::Ending),
            (Operation::Responses, "response.incomplete", "{}", Stage::Ending),
            (
                Operation::Responses,
                "",
                r#"{"type":"response.completed"}"#,
                Stage::Ending,
            ),
            (
                Operation::Responses,
                "",
                r#"{"type":"response.output_text.done"}"#,
                Stage::Content,
            ),
            (Operation::ChatCompletions, "response.completed", "{}", Stage::Content),
        ] {
            let stream = format!("{CREATED}event: {name}\ndata: {data}\n\n");
            assert_eq!(part_of(&operation, &[stream.as_bytes()]), (stream, stage), "{name}");
        }
        let broken = format!("{CREATED}data: x\n\nevent: error\ndata: {{}}\n\n");
        assert_eq!(part_of(&Operation::Responses, &[broken.as_bytes()]).1, Stage::Ending);
    }

    #[test]
    fn done_ends_the_stream_wherever_it_is_cut_and_nothing_behind_it_is_part_of_it() {
        for end in ["\n\n", "\r\n\r\n", "\r\r", "\n\r\n"] {
            let expected = format!("{ROLE}{HI}data: [DONE]{end}");
            let stream = format!("{expected}data: {{\"choices\":[]}}\n\n");
            let stream = stream.as_bytes();
            for cut in 0..=stream.len() {
                let (mut part, stage) = part_of(&Operation::Completions, &[&stream[..cut], &stream[cut..]]);
                if end.ends_with("\r\n") && cut == expected.len() - 1 {
                    // That the line end has a second byte cannot be seen from the first.
                    part.push('\n');
                }
                assert_eq!((part, stage), (expected.clone(), Stage::Over), "{end:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn an_event_that_is_too_long_to_be_looked_at_is_passed_on_with_all_that_follows() {
        let long = vec![b'x'; crate::transport::sse::MAX_EVENT + 1];
        let mut events = RawEvents::of(&Operation::Responses);
        assert_eq!(events.push(&long, |_| {}), long.len());
        assert_eq!(events.stage(), &Stage::Content);
        assert_eq!(events.push(b"\n\ndata: [DONE]\n\n", |_| {}), 16);
        assert_eq!(events.stage(), &Stage::Content);
    }
}
