//! One frame of a chat stream, as it stands on the wire, or a whole reply, which differs from a frame by what its choices
//! bring: a `message`, and not the next piece of one. Texts are borrowed from it.

use std::borrow::Cow;

use serde::de::{self, MapAccess};
use serde_json::value::RawValue;

use crate::api::Usage;
use crate::api::lenient::{Budget, Member, Number, Object, Said, Wtf8, read_object};

/// A frame, or a whole reply.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// As it was received.
    pub(super) json: &'a str,
    reading: Reading<'a>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) model: Option<Cow<'a, str>>,
    pub(super) created: u64,
    pub(super) system_fingerprint: Option<Cow<'a, str>>,
    pub(super) service_tier: Option<Cow<'a, str>>,
    /// None where there is no such list.
    pub(super) choices: Option<Vec<FrameChoice<'a>>>,
    /// What the usage tells, and how it does, in a frame of a stream.
    pub(super) used: Option<Usage>,
    pub(super) usage: Option<&'a RawValue>,
    pub(super) error: Option<&'a RawValue>,
    pub(super) prompt_filter_results: Option<&'a RawValue>,
}

#[derive(Debug)]
pub(super) struct FrameChoice<'a> {
    reading: Reading<'a>,
    pub(super) index: Option<u32>,
    /// Absent in the frames of the asynchronous filter.
    pub(super) said: Option<FrameMessage<'a>>,
    /// What stands in `message`, in a frame of a stream.
    pub(super) message: Option<FrameMessage<'a>>,
    pub(super) finish_reason: Option<Cow<'a, str>>,
    pub(super) content_filter_results: Option<&'a RawValue>,
    pub(super) logprobs: FrameLogprobs<'a>,
}

/// A message, or the next piece of one.
#[derive(Debug)]
pub(super) struct FrameMessage<'a> {
    reading: Reading<'a>,
    pub(super) role: Option<Cow<'a, str>>,
    pub(super) content: Said<'a>,
    pub(super) refusal: Option<Cow<'a, str>>,
    pub(super) tool_calls: Vec<FrameToolCall<'a>>,
    /// Its audio's id, of a whole reply.
    pub(super) audio: Option<Cow<'a, str>>,
    pub(super) extra: Extra<'a>,
}

#[derive(Debug)]
pub(super) struct FrameToolCall<'a> {
    reading: Reading<'a>,
    pub(super) index: Option<u32>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) function: Option<FrameCall<'a>>,
    pub(super) custom: Option<FrameCall<'a>>,
    pub(super) extra: Extra<'a>,
}

#[derive(Debug, Default)]
pub(super) struct FrameCall<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    /// A custom tool calls it `input`.
    pub(super) arguments: Option<Wtf8<'a>>,
}

#[derive(Default)]
struct FrameAudio<'a> {
    id: Option<Cow<'a, str>>,
}

/// Lists of log probabilities, as they stand in the frame.
#[derive(Debug, Default)]
pub(super) struct FrameLogprobs<'a> {
    pub(super) content: Option<&'a RawValue>,
    pub(super) refusal: Option<&'a RawValue>,
}

/// Members that are not known.
pub(super) type Extra<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// How a frame is read.
#[derive(Clone, Copy, Debug)]
struct Reading<'a> {
    budget: &'a Budget,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Of a stream, whose JSON is put together from what is read here.
    Piece,
    /// What nobody asks for stays in the reply's own JSON.
    Whole,
}

impl<'a> Frame<'a> {
    /// Reads a frame of a stream. What it holds is taken from `budget`; texts that are borrowed weigh nothing.
    pub(super) fn piece(json: &'a str, budget: &'a Budget) -> Result<Self, serde_json::Error> {
        Self::read(
            json,
            Reading {
                budget,
                form: Form::Piece,
            },
        )
    }

    /// Reads a whole reply, likewise.
    pub(super) fn whole(json: &'a str, budget: &'a Budget) -> Result<Self, serde_json::Error> {
        Self::read(
            json,
            Reading {
                budget,
                form: Form::Whole,
            },
        )
    }

    fn read(json: &'a str, reading: Reading<'a>) -> Result<Self, serde_json::Error> {
        let mut frame = Frame {
            json,
            reading,
            id: None,
            model: None,
            created: 0,
            system_fingerprint: None,
            service_tier: None,
            choices: None,
            used: None,
            usage: None,
            error: None,
            prompt_filter_results: None,
        };
        match read_object(json, &mut frame)? {
            true => Ok(frame),
            false => Err(de::Error::custom("it is no object")),
        }
    }
}

impl<'a> Object<'a> for Frame<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        match key {
            "id" => set(&mut self.id, value.name()?),
            "model" => set(&mut self.model, value.name()?),
            "created" => self.created = value.number()?.known().unwrap_or(self.created),
            "system_fingerprint" => set(&mut self.system_fingerprint, value.name()?),
            "service_tier" => set(&mut self.service_tier, value.name()?),
            "choices" => {
                let reading = self.reading;
                let choices = value.objects(reading.budget, || FrameChoice::new(reading))?;
                if self.choices.is_none() || choices.as_ref().is_some_and(|choices| !choices.is_empty()) {
                    self.choices = choices;
                }
            }
            "usage" if self.reading.form == Form::Whole => {
                let mut usage = Usage::default();
                let is_told = value.any_object(&mut usage)?;
                set_unless(&mut self.used, is_told.then_some(usage), |used| {
                    *used == Usage::default()
                });
            }
            "usage" => {
                if let Some(usage) = value.raw_unless_null()? {
                    set(&mut self.used, Usage::read(usage));
                    self.usage = Some(usage);
                }
            }
            "error" => set(&mut self.error, value.raw_unless_null()?),
            // Older versions call it `prompt_annotations`.
            "prompt_filter_results" | "prompt_annotations" if self.reading.form == Form::Piece => {
                set(&mut self.prompt_filter_results, value.raw_unless_null()?);
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> FrameChoice<'a> {
    fn new(reading: Reading<'a>) -> Self {
        FrameChoice {
            reading,
            index: None,
            said: None,
            message: None,
            finish_reason: None,
            content_filter_results: None,
            logprobs: FrameLogprobs::default(),
        }
    }
}

impl<'a> Object<'a> for FrameChoice<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        let Reading { form, .. } = self.reading;
        match key {
            "index" => set(&mut self.index, index(value)?),
            "delta" if form == Form::Piece => {
                let said = self.saying(value)?;
                set_unless(&mut self.said, said, FrameMessage::is_blank);
            }
            "message" if form == Form::Whole => {
                let said = self.saying(value)?;
                set_unless(&mut self.said, said, FrameMessage::is_blank);
            }
            "message" => {
                let said = self.saying(value)?;
                set_unless(&mut self.message, said, FrameMessage::is_blank);
            }
            "finish_reason" => set(&mut self.finish_reason, value.word()?),
            "content_filter_results" if form == Form::Piece => {
                set(&mut self.content_filter_results, value.raw_unless_null()?);
            }
            "logprobs" if form == Form::Piece => drop(value.any_object(&mut self.logprobs)?),
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> FrameChoice<'a> {
    fn saying<A: MapAccess<'a>>(&self, value: Member<'_, A>) -> Result<Option<FrameMessage<'a>>, A::Error> {
        let mut said = FrameMessage::new(self.reading);
        Ok(value.object(&mut said)?.then_some(said))
    }
}

impl<'a> FrameMessage<'a> {
    fn new(reading: Reading<'a>) -> Self {
        FrameMessage {
            reading,
            role: None,
            content: Said::Nothing,
            refusal: None,
            tool_calls: Vec::new(),
            audio: None,
            extra: Vec::new(),
        }
    }
}

impl FrameMessage<'_> {
    /// Whether it says nothing at all.
    pub(super) fn is_blank(&self) -> bool {
        let has_content = match &self.content {
            Said::Nothing => false,
            Said::Text(text) => !text.is_empty(),
            Said::Parts(parts) => !parts.is_empty(),
        };
        let has_more = self.refusal.is_some() || self.audio.is_some();
        !has_content && !has_more && self.tool_calls.is_empty() && self.extra.is_empty()
    }
}

impl<'a> Object<'a> for FrameMessage<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        let Reading { budget, form } = self.reading;
        match key {
            "role" => set(&mut self.role, value.word()?),
            "content" => self.content.follow(value.said(budget)?),
            "refusal" => set(&mut self.refusal, value.word()?),
            "tool_calls" => {
                let reading = self.reading;
                let calls = value.objects(budget, || FrameToolCall::new(reading))?;
                if let Some(mut calls) = calls.filter(|calls| !calls.is_empty()) {
                    if form == Form::Whole {
                        // Some services repeat the stream's index here.
                        calls
                            .iter_mut()
                            .zip(0..)
                            .for_each(|(call, place)| call.index = Some(place));
                    }
                    self.tool_calls = calls;
                }
            }
            "audio" if form == Form::Whole => {
                let mut audio = FrameAudio::default();
                value.any_object(&mut audio)?;
                set(&mut self.audio, audio.id);
            }
            // The deprecated form of a tool call.
            "function_call" => push_extra(&mut self.extra, key, value, budget)?,
            // Reasoning text of other services, `audio`, …
            _ if form == Form::Piece => push_extra(&mut self.extra, key, value, budget)?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> FrameToolCall<'a> {
    fn new(reading: Reading<'a>) -> Self {
        FrameToolCall {
            reading,
            index: None,
            id: None,
            kind: None,
            function: None,
            custom: None,
            extra: Vec::new(),
        }
    }
}

impl<'a> Object<'a> for FrameToolCall<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        let part = |value: Member<'_, A>| {
            let mut call = FrameCall::default();
            Ok(value.object(&mut call)?.then_some(call))
        };
        match key {
            "index" => set(&mut self.index, index(value)?),
            "id" => set(&mut self.id, value.name()?),
            "type" => set(&mut self.kind, value.word()?),
            "function" => set_unless(&mut self.function, part(value)?, FrameCall::is_blank),
            "custom" => set_unless(&mut self.custom, part(value)?, FrameCall::is_blank),
            _ => push_extra(&mut self.extra, key, value, self.reading.budget)?,
        }
        Ok(())
    }
}

impl FrameCall<'_> {
    /// Whether it says nothing at all.
    fn is_blank(&self) -> bool {
        self.name.is_none() && self.arguments.as_ref().is_none_or(Wtf8::is_empty)
    }
}

impl<'a> Object<'a> for FrameCall<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        match key {
            "name" => set(&mut self.name, value.word()?),
            "arguments" | "input" => set_unless(&mut self.arguments, value.text_or_json()?, Wtf8::is_empty),
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for FrameAudio<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        match key {
            "id" => set(&mut self.id, value.name()?),
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for FrameLogprobs<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        match key {
            "content" => set(&mut self.content, value.raw_unless_null()?),
            "refusal" => set(&mut self.refusal, value.raw_unless_null()?),
            _ => value.skip()?,
        }
        Ok(())
    }
}

/// A position, which says whose what stands beside it is.
fn index<'a, A: MapAccess<'a>>(value: Member<'_, A>) -> Result<Option<u32>, A::Error> {
    match value.number()? {
        Number::Null => Ok(None),
        Number::Is(number) => Ok(Some(u32::try_from(number).unwrap_or(u32::MAX))),
        Number::Odd => Err(de::Error::custom("`index` is no number")),
    }
}

/// Of members that come twice the last counts, but one that says nothing does not take back what was said.
fn set<T>(slot: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *slot = value;
    }
}

/// The same, where some values say nothing.
fn set_unless<T>(slot: &mut Option<T>, value: Option<T>, says_nothing: impl FnOnce(&T) -> bool) {
    let is_kept = slot.is_some() && value.as_ref().is_some_and(says_nothing);
    set(slot, value.filter(|_| !is_kept));
}

fn push_extra<'a, A: MapAccess<'a>>(
    extra: &mut Extra<'a>,
    key: &str,
    value: Member<'_, A>,
    budget: &Budget,
) -> Result<(), A::Error> {
    let value = value.raw()?;
    budget
        .take_element::<(Cow<'_, str>, &RawValue)>(extra.len())
        .map_err(de::Error::custom)?;
    budget.take(key.len()).map_err(de::Error::custom)?;
    extra.push((Cow::Owned(key.to_owned()), value));
    Ok(())
}
