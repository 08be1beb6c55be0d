//! One deployment: what it answers to a request that has found it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

pub(crate) use instead::error_plan;

use crate::sim::answer::{Answer, Finish};
use crate::sim::cache::PromptCache;
use crate::sim::config::{CostModel, FaultKind, Poison, Refusals, SimDeployment, SimOperation, Sku};
use crate::sim::dice::Dice;
use crate::sim::faults::Faults;
use crate::sim::limiter::{Admitted, Limiter, Refused, Standing};
use crate::sim::plan::{Ask, Ending, Note, Piece, Plan};
use crate::sim::reply::headers::{self, letters};
use crate::sim::reply::{ErrorReply, Frames, Headers, Scene, chat, completions, embeddings, quoted, responses};
use crate::sim::request::{Head, Request, Route, Told};
use crate::sim::spoil;
use crate::sim::usage::Usage;

mod instead;

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
            model: quoted(&config.served_model()),
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
        if let Some(fault) = fault
            && let Some(served) = self.instead(fault, visit, group.as_deref(), &mut dice)
        {
            self.summary.faults += 1;
            return served;
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
                let mut plan = self.reply(visit, request, &answer, &standing, fault, &mut dice);
                plan.note.fault = fault.map(|fault| fault.name());
                self.summary.faults += u64::from(fault.is_some());
                Served {
                    plan,
                    open: Some((admitted, used)),
                    spills: false,
                }
            }
        };
        if self.config.sku == Sku::Standard {
            served.open = None;
        }
        served.plan.note.charged = admitted.tokens;
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
        let whole_at = pace.after(answer.usage.reasoning + answer.longest());
        let scene = Scene {
            completed: visit.unix_s + whole_at.as_secs(),
            filter_down: fault == Some(FaultKind::FilterError),
            ..self.scene(visit, dice)
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
            (SimOperation::Responses, wanted) => {
                let nothing = Told::default();
                let response = responses::Reply {
                    scene: &scene,
                    told: request.told.as_deref().unwrap_or(&nothing),
                    reasons: self.config.reasoning,
                };
                match (&request.compacted, wanted) {
                    (Some(messages), _) => Body::Whole(responses::compaction(
                        &scene,
                        messages,
                        &answer.usage,
                        &letters(dice, 64),
                    )),
                    (None, None) => Body::Whole(response.json(answer)),
                    (None, Some(_)) => Body::Stream(response.stream(answer, &pace, frame_tokens)),
                }
            }
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
                let (at, bytes) = (whole_at, Cow::Owned(bytes));
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

    /// What all bodies of one reply have in common, of one that comes at once.
    fn scene(&self, visit: &Visit<'_>, dice: &mut Dice) -> Scene<'_> {
        Scene {
            id: letters(dice, 29),
            created: visit.unix_s,
            completed: visit.unix_s,
            model: &self.model,
            fingerprint: &self.fingerprint,
            filter: self.config.filter,
            filter_down: false,
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
