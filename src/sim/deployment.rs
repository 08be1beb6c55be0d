//! One deployment: what it answers to a request that has found it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::answer::{Answer, Finish, Usage};
use super::cache::PromptCache;
use super::config::{
    CostModel, FaultKind, Poison, RefusalFamily, Refusals, RetryAfter, SimDeployment, SimOperation, Sku,
};
use super::dice::Dice;
use super::faults::Faults;
use super::limiter::{Admitted, LimitAxis, Limiter, Refused, Standing};
use super::plan::{Ask, Ending, Note, Piece, Plan};
use super::reply::headers::{self, Wait, letters};
use super::reply::{ErrorReply, Frames, Headers, Part, Scene, chat, completions, embeddings, responses, throttle};
use super::request::{Head, Request, Route};
use super::spoil;

/// What a deployment has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeploymentSummary {
    /// Its name.
    pub name: String,
    /// Requests that named it, and those that were spilt over to it.
    pub asked: u64,
    /// Requests that its quota admitted.
    pub admitted: u64,
    /// Requests that a quota refused.
    pub refused: u64,
    /// Faults that were played.
    pub faults: u64,
    /// Tokens charged on admission.
    pub charged: u64,
}

/// A request that has found its way.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    pub(crate) ask: &'a Ask<'a>,
    pub(crate) head: Head<'a>,
    pub(crate) route: Route<'a>,
    pub(crate) operation: SimOperation,
    pub(crate) request: Result<Request<'a>, ErrorReply>,
    /// Why it is turned away, if it is.
    pub(crate) denial: Option<ErrorReply>,
    /// Unix time, in seconds.
    pub(crate) unix_s: u64,
}

/// What a deployment answers.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) plan: Plan,
    /// A charge that is to be corrected to so many tokens when the reply is out.
    pub(crate) open: Option<(Admitted, u64)>,
    /// Whether another deployment may serve the request instead.
    pub(crate) spills: bool,
}

/// One deployment's state.
#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    config: SimDeployment,
    /// What every deployment of the world answers with an error.
    poison: Arc<[Poison]>,
    /// Seeds its chance.
    salt: u64,
    /// The served model, as a JSON string.
    model: String,
    fingerprint: String,
    limiter: Limiter,
    cache: PromptCache,
    faults: Faults,
    summary: DeploymentSummary,
}

/// Streams of chance that do not disturb each other.
const FAULT_DICE: u64 = 1;
const REPLY_DICE: u64 = 2;

/// Output that is charged where a request names no limit. Source: Microsoft's example of 149,984 tokens left of 150,000.
const DEFAULT_MAX: u64 = 16;

impl Deployment {
    pub(crate) fn new(config: &SimDeployment, poison: Arc<[Poison]>, salt: u64) -> Self {
        let mut dice = Dice::new(&[salt]);
        let phase = Duration::from_secs_f64(dice.unit() * config.limits.window_s);
        Deployment {
            poison,
            salt,
            model: super::reply::quoted(&config.served_model()),
            fingerprint: format!("fp_{:010x}", dice.bits() >> 24),
            limiter: match config.sku {
                Sku::Standard => Limiter::standard(&config.limits, phase),
                Sku::Provisioned => Limiter::provisioned(&config.limits),
            },
            cache: PromptCache::default(),
            faults: Faults::from(config.faults.as_slice()),
            summary: DeploymentSummary {
                name: config.name.clone(),
                ..DeploymentSummary::default()
            },
            config: config.clone(),
        }
    }

    pub(crate) fn config(&self) -> &SimDeployment {
        &self.config
    }

    pub(crate) fn summary(&self) -> &DeploymentSummary {
        &self.summary
    }

    /// Its faults, and the ordinal that its next request will have.
    pub(crate) fn faults_mut(&mut self) -> (&mut Faults, u64) {
        (&mut self.faults, self.summary.asked)
    }

    pub(crate) fn settle(&mut self, admitted: Admitted, actual: u64, now: Duration) {
        self.limiter.settle(admitted, actual, now);
    }

    /// Answers a request. `group` is the shared quota that must admit as well.
    pub(crate) fn serve(&mut self, visit: &Visit<'_>, mut group: Option<&mut Limiter>) -> Served {
        let ordinal = self.summary.asked;
        self.summary.asked += 1;
        let now = visit.ask.now;
        let fault = self
            .faults
            .draw(ordinal, now, Dice::new(&[self.salt, ordinal, FAULT_DICE]));
        let mut dice = Dice::new(&[self.salt, ordinal, REPLY_DICE]);
        if let Some(fault) = fault {
            self.summary.faults += 1;
            if let Some(served) = self.instead(fault, visit, group.as_deref(), &mut dice) {
                return served;
            }
        }
        if let Some(denial) = &visit.denial {
            return self.error(denial, visit, &mut dice);
        }
        if !self.config.operations.contains(&visit.operation) {
            let error = ErrorReply::OperationNotSupported {
                operation: visit.operation,
                model: self.config.model.clone(),
            };
            return self.error(&error, visit, &mut dice);
        }
        let request = match &visit.request {
            Ok(request) => request,
            Err(error) => return self.error(error, visit, &mut dice),
        };

        let cached = if self.config.prompt_cache {
            self.cache.cached_tokens(&request.prompt.prefixes, now)
        } else {
            0
        };
        let admitted = match self.admit(self.charge(request, cached), group.as_deref_mut(), now) {
            Ok(admitted) => admitted,
            Err(refused) => {
                self.summary.refused += 1;
                let standing = self.standing(group.as_deref(), now);
                let Refusals { family, retry_after } = self.config.refusals;
                return self.refusal(visit, &mut dice, family, retry_after, refused, &standing);
            }
        };
        self.summary.admitted += 1;
        self.summary.charged += admitted.tokens;
        if self.config.prompt_cache {
            self.cache.note(&request.prompt.prefixes, now);
        }
        let standing = self.standing(group.as_deref(), now);
        let mut served = match self.objection(visit, request) {
            Some(error) => {
                let mut served = self.error(&error, visit, &mut dice);
                headers::add_standing(&mut served.plan.headers, &standing, self.config.rate_headers);
                served.open = Some((admitted, request.prompt.tokens - cached));
                served
            }
            None => {
                let mut answer = Answer::make(&self.config, request, cached);
                if fault == Some(FaultKind::EmptyChoices) {
                    answer.choices.clear();
                }
                if fault == Some(FaultKind::FilteredAnswer) {
                    answer
                        .choices
                        .iter_mut()
                        .for_each(|choice| choice.finish = Finish::ContentFilter);
                }
                let used = self.used(&answer.usage);
                Served {
                    plan: self.reply(visit, request, &answer, &standing, fault, &mut dice),
                    open: Some((admitted, used)),
                    spills: false,
                }
            }
        };
        if self.config.sku == Sku::Standard {
            served.open = None;
        }
        served.plan.note.charged = admitted.tokens;
        served.plan.note.fault = fault.map(|fault| fault.name());
        served
    }

    /// What a request is charged on admission.
    fn charge(&self, request: &Request<'_>, cached: u64) -> u64 {
        let prompt = request.prompt.tokens;
        if request.operation == SimOperation::Embeddings {
            return prompt;
        }
        let output = |default: u64| {
            let max = request.max_output.unwrap_or(default);
            max.min(self.config.context_tokens).saturating_mul(request.best_of)
        };
        match (self.config.sku, self.config.cost) {
            // Provisioned deployments estimate an output that is not limited.
            (Sku::Provisioned, _) => {
                let output = output(self.config.output.mean_tokens as u64);
                prompt - cached.min(prompt) + (output as f64 * self.config.output_ratio) as u64
            }
            (Sku::Standard, CostModel::PromptAndMax) => prompt.saturating_add(output(DEFAULT_MAX)),
            (Sku::Standard, CostModel::MaxOnly) => output(DEFAULT_MAX),
        }
    }

    /// What a provisioned deployment charges in the end.
    fn used(&self, usage: &Usage) -> u64 {
        usage.prompt - usage.cached + (usage.completion as f64 * self.config.output_ratio) as u64
    }

    /// Charges both quotas or none.
    fn admit(&mut self, tokens: u64, group: Option<&mut Limiter>, now: Duration) -> Result<Admitted, Refused> {
        let Some(group) = group else {
            return self.limiter.admit(tokens, now);
        };
        let verdicts = [self.limiter.judge(tokens, now), group.judge(tokens, now)];
        let refused = verdicts
            .into_iter()
            .filter_map(Result::err)
            .max_by_key(|refused| refused.wait);
        if let Some(refused) = refused {
            self.limiter.refused(now);
            group.refused(now);
            return Err(refused);
        }
        let _group_charge = group.charge(tokens, now);
        Ok(self.limiter.charge(tokens, now))
    }

    /// How the quotas stand: its own, and the shared one where it has none.
    fn standing(&self, group: Option<&Limiter>, now: Duration) -> Standing {
        let mut standing = self.limiter.standing(now);
        if let Some(group) = group {
            let shared = group.standing(now);
            standing.tokens = standing.tokens.or(shared.tokens);
            standing.requests = standing.requests.or(shared.requests);
        }
        standing
    }

    /// Why the model itself rejects an admitted request.
    fn objection(&self, visit: &Visit<'_>, request: &Request<'_>) -> Option<ErrorReply> {
        if !self.poison.is_empty()
            && let Ok(body) = std::str::from_utf8(visit.ask.body)
            && let Some(poison) = self.poison.iter().find(|poison| body.contains(&poison.marker))
        {
            return Some(ErrorReply::of_status(poison.status));
        }
        if self.config.reasoning
            && let Some(error) = &request.unreasonable
        {
            return Some(error.clone());
        }
        if request.markers.filter_prompt {
            return Some(ErrorReply::ContentFilter);
        }
        let (allowed, prompt) = (self.config.context_tokens, request.prompt.tokens);
        let output = request.max_output.unwrap_or(0);
        if prompt > allowed {
            return Some(ErrorReply::PromptTooLong { allowed, prompt });
        }
        (prompt.saturating_add(output) > allowed).then_some(ErrorReply::SumTooLong {
            allowed,
            prompt,
            output,
        })
    }

    /// The good answer, spoilt as the fault asks.
    fn reply(
        &self,
        visit: &Visit<'_>,
        request: &Request<'_>,
        answer: &Answer,
        standing: &Standing,
        fault: Option<FaultKind>,
        dice: &mut Dice,
    ) -> Plan {
        let pace = self.config.latency.sample(dice);
        let scene = Scene {
            id: letters(dice, 29),
            created: visit.unix_s,
            model: &self.model,
            fingerprint: &self.fingerprint,
            filter: self.config.filter,
            filter_down: fault == Some(FaultKind::FilterError),
        };
        let frame_tokens = u64::from(self.config.frame_tokens);
        let body = match (request.operation, request.stream) {
            (SimOperation::Chat, None) => Body::Whole(chat::json(&scene, answer)),
            (SimOperation::Chat, Some(wanted)) => Body::Stream(chat::stream(
                &scene,
                answer,
                wanted,
                &request.prompt,
                &pace,
                frame_tokens,
            )),
            (SimOperation::Completions, None) => Body::Whole(completions::json(&scene, answer)),
            (SimOperation::Completions, Some(wanted)) => {
                Body::Stream(completions::stream(&scene, answer, wanted, &pace, frame_tokens))
            }
            (SimOperation::Embeddings, _) => {
                let dimensions = request.embed.dimensions.unwrap_or(self.config.dimensions);
                Body::Whole(embeddings::json(&scene, &request.embed, dimensions, &answer.usage))
            }
            (SimOperation::Responses, None) => Body::Whole(responses::json(&scene, answer)),
            (SimOperation::Responses, Some(_)) => Body::Stream(responses::stream(&scene, answer, &pace, frame_tokens)),
        };
        let content_type = match body {
            Body::Whole(_) => "application/json",
            Body::Stream(_) => "text/event-stream; charset=utf-8",
        };
        let mut headers = self.headers(content_type, visit, dice);
        headers.push(("x-ms-rai-invoked".into(), "true".into()));
        headers.push(("x-request-id".into(), headers[1].1.clone()));
        headers::add_standing(&mut headers, standing, self.config.rate_headers);
        let (head_at, body, ending) = match body {
            Body::Whole(mut bytes) => {
                let ending = fault.map_or(Ending::Clean, |fault| spoil::body(&mut bytes, fault));
                let at = pace.after(answer.usage.reasoning + answer.longest());
                let bytes = Cow::Owned(bytes);
                (at, vec![Piece { at, bytes }], ending)
            }
            Body::Stream(mut frames) => {
                let ending = fault.map_or(Ending::Clean, |fault| {
                    spoil::frames(&mut frames, fault, request.operation)
                });
                (pace.first, frames.into_pieces(), ending)
            }
        };
        let mut plan = Plan {
            head_at,
            status: 200,
            headers,
            body,
            ending,
            deployment: None,
            note: Note::default(),
        };
        match fault {
            Some(FaultKind::NoContent) => {
                plan.status = 204;
                plan.body.clear();
                plan.headers.retain(|(name, _)| name != "content-type");
            }
            Some(fault) => spoil::pace(&mut plan, fault),
            None => {}
        }
        plan
    }

    /// What is answered instead of anything good; none for faults that spoil a good answer.
    fn instead(&self, fault: FaultKind, visit: &Visit<'_>, group: Option<&Limiter>, dice: &mut Dice) -> Option<Served> {
        let now = visit.ask.now;
        let mut served = match fault {
            FaultKind::Hang => self.no_head(Ending::Hang, Vec::new()),
            FaultKind::Reset => self.no_head(Ending::Reset, Vec::new()),
            FaultKind::Garbage => self.no_head(
                Ending::Raw,
                vec![Piece {
                    at: Duration::ZERO,
                    bytes: Cow::Borrowed(b"\x16\x03\x01 220 mail.example ESMTP ready\r\n\0\xff\r\n\r\n"),
                }],
            ),
            FaultKind::Status { status: 429 } => {
                let refused = Refused {
                    wait: Duration::from_secs(2),
                    axis: LimitAxis::Tokens,
                };
                let Refusals { family, retry_after } = self.config.refusals;
                self.refusal(visit, dice, family, retry_after, refused, &self.standing(group, now))
            }
            FaultKind::Status { status } => {
                let mut served = self.error(&ErrorReply::of_status(status), visit, dice);
                served.spills = matches!(status, 500 | 503);
                served
            }
            FaultKind::ResourceNotFound => self.error(&ErrorReply::ResourceNotFound, visit, dice),
            FaultKind::Html502 => self.error(&ErrorReply::Html502, visit, dice),
            FaultKind::FilteredPrompt => self.error(&ErrorReply::ContentFilter, visit, dice),
            FaultKind::Redirect => {
                let mut served = self.error(&ErrorReply::Other(307), visit, dice);
                served.plan.body.clear();
                served.plan.headers.push(("location".into(), "/elsewhere".into()));
                served
            }
            FaultKind::Throttle {
                family,
                retry_after,
                wait_ms,
            } => {
                let refused = Refused {
                    wait: Duration::from_millis(wait_ms.into()),
                    axis: LimitAxis::Tokens,
                };
                let standing = self.standing(group, now);
                self.refusal(visit, dice, Some(family), retry_after, refused, &standing)
            }
            FaultKind::RefusedStream { retry_after_s } => self.refused_stream(visit, dice, retry_after_s),
            _ => return None,
        };
        served.plan.note.fault = Some(fault.name());
        Some(served)
    }

    fn no_head(&self, ending: Ending, body: Vec<Piece>) -> Served {
        Served {
            plan: Plan {
                head_at: Duration::ZERO,
                status: 0,
                headers: Headers::new(),
                body,
                ending,
                deployment: None,
                note: Note::default(),
            },
            open: None,
            spills: false,
        }
    }

    fn error(&self, error: &ErrorReply, visit: &Visit<'_>, dice: &mut Dice) -> Served {
        let headers = self.headers(error.content_type(), visit, dice);
        Served {
            plan: error_plan(error, headers),
            open: None,
            spills: matches!(error, ErrorReply::PromptTooLong { .. } | ErrorReply::SumTooLong { .. }),
        }
    }

    /// A 429.
    fn refusal(
        &self,
        visit: &Visit<'_>,
        dice: &mut Dice,
        family: Option<RefusalFamily>,
        form: RetryAfter,
        refused: Refused,
        standing: &Standing,
    ) -> Served {
        let provisioned = self.config.sku == Sku::Provisioned;
        let family = family.unwrap_or(if provisioned {
            RefusalFamily::Provisioned
        } else {
            RefusalFamily::Reached
        });
        let wait = Wait {
            exact: refused.wait,
            axis: refused.axis,
            form,
            provisioned,
            unix_s: visit.unix_s,
        };
        let about = throttle::About {
            deployment: &self.config,
            operation: visit.operation,
            surface: visit.route.surface,
            api_version: visit.route.api_version,
        };
        let mut headers = self.headers("application/json", visit, dice);
        headers::add_wait(&mut headers, &wait, standing, self.config.rate_headers, family);
        Served {
            plan: Plan {
                status: 429,
                body: vec![Piece {
                    at: Duration::ZERO,
                    bytes: Cow::Owned(throttle::body(family, &about, &wait)),
                }],
                ..error_plan(&ErrorReply::Server, headers)
            },
            open: None,
            spills: true,
        }
    }

    /// The 200 that is a 429; to a request that wants no stream, the 429 itself.
    fn refused_stream(&self, visit: &Visit<'_>, dice: &mut Dice, retry_after_s: u32) -> Served {
        let streams = visit.request.as_ref().is_ok_and(|request| request.stream.is_some());
        if !streams {
            let refused = Refused {
                wait: Duration::from_secs(retry_after_s.into()),
                axis: LimitAxis::Tokens,
            };
            let standing = self.standing(None, visit.ask.now);
            let family = Some(RefusalFamily::Exceeded);
            return self.refusal(visit, dice, family, RetryAfter::Honest, refused, &standing);
        }
        let message = throttle::exceeded(&self.config, LimitAxis::Tokens);
        let frames = if visit.operation == SimOperation::Responses {
            responses::refused_stream(Duration::ZERO, &message)
        } else {
            let mut frames = Frames::default();
            frames.data(Duration::ZERO, Part::Finish, |out| {
                out.extend_from_slice(
                    b"{\"error\":{\"code\":\"rate_limit_exceeded\",\"param\":null,\"type\":\"too_many_requests\",\"message\":",
                );
                super::reply::quote(out, &message);
                out.extend_from_slice(b"}}");
            });
            frames
        };
        let mut headers = self.headers("text/event-stream; charset=utf-8", visit, dice);
        headers.push(("retry-after".into(), retry_after_s.to_string().into()));
        Served {
            plan: Plan {
                status: 200,
                body: frames.into_pieces(),
                ..error_plan(&ErrorReply::Server, headers)
            },
            open: None,
            spills: false,
        }
    }

    fn headers(&self, content_type: &'static str, visit: &Visit<'_>, dice: &mut Dice) -> Headers {
        let mut headers = headers::common(content_type, visit.head.client_request_id, dice);
        headers.push(("x-ms-region".into(), self.config.region.clone().into()));
        headers.push(("x-ms-deployment-name".into(), self.config.name.clone().into()));
        headers
    }
}

/// A body before it is spoilt.
enum Body {
    Whole(Vec<u8>),
    Stream(Frames),
}

/// An error reply, at once.
pub(crate) fn error_plan(error: &ErrorReply, headers: Headers) -> Plan {
    Plan {
        head_at: Duration::ZERO,
        status: error.status(),
        headers,
        body: vec![Piece {
            at: Duration::ZERO,
            bytes: error.body(),
        }],
        ending: Ending::Clean,
        deployment: None,
        note: Note::default(),
    }
}
