//! How a request becomes a job, or is given back.

use std::sync::Arc;
use std::time::Duration;

use crate::api::{ChatRequest, Options, Prepared};
use crate::balance::{Measured, SetId};
use crate::clock;
use crate::engine::core::NotTaken;
use crate::engine::handle::JobHandle;
use crate::engine::job::{JobCell, Reply, ReplyKind, Request};
use crate::engine::shared::Patience;
use crate::engine::sink::Sink;
use crate::engine::ties::Ties;
use crate::error::{Error, RequestError, Result, SubmitError};

use super::Blaster;

impl Blaster {
    pub(super) fn submit_chat<T>(
        &self,
        request: ChatRequest,
        patience: Patience,
        sink: Option<Sink>,
        convert: fn(Reply) -> Result<T>,
    ) -> Result<JobHandle<T>, SubmitError<ChatRequest>> {
        match request.prepare() {
            Ok(prepared) => {
                let taken = self.take(prepared, ReplyKind::Chat, patience, sink);
                Ok(JobHandle::new(
                    give_back(taken, request)?,
                    Arc::clone(&self.shared),
                    convert,
                ))
            }
            Err(error) => Err(invalid(request, error)),
        }
    }

    /// Finds out who may serve the request, and queues it.
    pub(super) fn take(
        &self,
        prepared: Prepared,
        reply: ReplyKind,
        patience: Patience,
        sink: Option<Sink>,
    ) -> Result<Arc<JobCell>, Refusal> {
        let Prepared {
            operation,
            method,
            body,
            mut options,
        } = prepared;
        let Measured { size, names } = self.shared.measure(&operation, options.model.as_deref(), &body);
        let ties = Ties::of(&operation, &options, &names);
        let set = self.set(&options, &ties)?;
        let headers = options.take_headers();
        let Options { timeout, priority, .. } = options;
        let request = Request::new(body, method, reply, size, headers, sink).near(ties.affinity);
        self.shared
            .submit(set, &operation, patience, request, timeout, priority)
            .map_err(|why| match why {
                NotTaken::Full => Refusal::Full,
                NotTaken::Closed => Refusal::Closed,
            })
    }

    fn set(&self, options: &Options, ties: &Ties) -> Result<SetId, Refusal> {
        let model = options.model.as_deref();
        let set = self.shared.with_core(|core| {
            let set = core.balancer.set(model)?;
            Some(match ties.response {
                Some(response) => core.balancer.set_for(response, set),
                None => set,
            })
        });
        set.ok_or_else(|| {
            let model = model.unwrap_or_default().to_owned();
            Refusal::Unknown(Error::UnknownModel {
                model,
                known: self.models(),
            })
        })
    }
}

/// Why a prepared request was not taken.
pub(super) enum Refusal {
    Full,
    Closed,
    Unknown(Error),
}

pub(super) fn give_back<T, R>(taken: Result<T, Refusal>, request: R) -> Result<T, SubmitError<R>> {
    taken.map_err(|refusal| match refusal {
        Refusal::Full => SubmitError::Full(request),
        Refusal::Closed => SubmitError::ShutDown(request),
        Refusal::Unknown(error) => SubmitError::Invalid { request, error },
    })
}

pub(super) fn invalid<R>(request: R, error: RequestError) -> SubmitError<R> {
    SubmitError::Invalid {
        request,
        error: error.into(),
    }
}

pub(super) fn patience(timeout: Duration) -> Patience {
    clock::now()
        .checked_add(timeout)
        .map_or(Patience::Endless, Patience::Until)
}
