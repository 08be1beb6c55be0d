//! What a deployment answers instead of anything good.

use std::borrow::Cow;
use std::time::Duration;

use super::{Deployment, Served, Visit};
use crate::sim::config::{FaultKind, RefusalFamily, Refusals, RetryAfter, SimOperation, Sku};
use crate::sim::dice::Dice;
use crate::sim::limiter::{LimitAxis, Limiter, Refused, Standing};
use crate::sim::plan::{Ending, Note, Piece, Plan};
use crate::sim::reply::headers::{self, Wait};
use crate::sim::reply::{ErrorReply, Frames, Headers, Part, quote, responses, throttle};
use crate::sim::request::Told;

impl Deployment {
    /// What is answered instead of anything good; none for faults that spoil a good answer.
    pub(super) fn instead(
        &self,
        fault: FaultKind,
        visit: &Visit<'_>,
        group: Option<&Limiter>,
        dice: &mut Dice,
    ) -> Option<Served> {
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

    pub(super) fn error(&self, error: &ErrorReply, visit: &Visit<'_>, dice: &mut Dice) -> Served {
        let headers = self.headers(error.content_type(), visit, dice);
        Served {
            plan: error_plan(error, headers),
            open: None,
            spills: matches!(error, ErrorReply::PromptTooLong { .. } | ErrorReply::SumTooLong { .. }),
        }
    }

    /// A 429.
    pub(super) fn refusal(
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
        let request = visit.request.as_ref().ok().filter(|request| request.stream.is_some());
        let Some(request) = request else {
            let refused = Refused {
                wait: Duration::from_secs(retry_after_s.into()),
                axis: LimitAxis::Tokens,
            };
            let standing = self.standing(None, visit.ask.now);
            let family = Some(RefusalFamily::Exceeded);
            return self.refusal(visit, dice, family, RetryAfter::Honest, refused, &standing);
        };
        let message = throttle::exceeded(&self.config, LimitAxis::Tokens);
        let frames = if visit.operation == SimOperation::Responses {
            let nothing = Told::default();
            let response = responses::Reply {
                scene: &self.scene(visit, dice),
                told: request.told.as_deref().unwrap_or(&nothing),
                reasons: self.config.reasoning,
            };
            response.refused_stream(Duration::ZERO, &message)
        } else {
            let mut frames = Frames::default();
            frames.data(Duration::ZERO, Part::Finish, |out| {
                out.extend_from_slice(
                    b"{\"error\":{\"code\":\"rate_limit_exceeded\",\"param\":null,\"type\":\"too_many_requests\",\"message\":",
                );
                quote(out, &message);
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
