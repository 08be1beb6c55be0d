//! Log probabilities of a choice, joined from its frames.

use serde::Serialize;
use serde_json::value::RawValue;

use super::frame::FrameLogprobs;

#[derive(Debug, Default, Serialize)]
pub(super) struct Logprobs {
    content: Option<Vec<Box<RawValue>>>,
    refusal: Option<Vec<Box<RawValue>>>,
}

impl Logprobs {
    pub(super) fn add(&mut self, frame: FrameLogprobs<'_>) {
        let add = |list: &mut Option<Vec<Box<RawValue>>>, more: Option<Vec<&RawValue>>| {
            if let Some(more) = more {
                list.get_or_insert_default()
                    .extend(more.into_iter().map(ToOwned::to_owned));
            }
        };
        add(&mut self.content, frame.content);
        add(&mut self.refusal, frame.refusal);
    }
}
