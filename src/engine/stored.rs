//! Which response a reply of the Responses API has been stored as, so that what continues it can go to the same place.

use std::borrow::Cow;

use super::shared::Shared;
use crate::api::{Operation, response_id};
use crate::balance::Lease;
use crate::balance::responses::ResponseKey;

/// Looks for the response's id in what comes, until it is found.
#[derive(Debug)]
pub(super) enum Stored {
    /// There is nothing to be found, or no more.
    Done,
    /// In the events of a stream.
    Sought,
    Found(ResponseKey),
}

impl Stored {
    /// What a reply on this lease is looked at for.
    pub(super) fn of(lease: &Lease) -> Self {
        match lease.operation() {
            Operation::Responses => Stored::Sought,
            _ => Stored::Done,
        }
    }

    /// The data of the next event of a stream.
    pub(super) fn event(&mut self, data: &str) {
        self.seek(|| response_id::of_event(data));
    }

    /// A whole reply.
    pub(super) fn body(&mut self, body: &[u8]) {
        self.seek(|| response_id::of_body(body));
    }

    fn seek<'a>(&mut self, look: impl FnOnce() -> Option<Cow<'a, str>>) {
        if matches!(self, Stored::Sought)
            && let Some(id) = look()
        {
            *self = Stored::Found(ResponseKey::new(id.as_bytes()));
        }
    }

    /// Remembers it, before its reader can ask for it.
    pub(super) fn note(&mut self, shared: &Shared, lease: &Lease) {
        if let Stored::Found(response) = std::mem::replace(self, Stored::Done) {
            shared.with_core(|core| core.balancer.stored(response, lease.endpoint()));
        }
    }
}
