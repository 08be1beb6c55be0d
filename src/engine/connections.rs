//! What the transport tells of new connections, on its way to the balancer.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::balance::EndpointId;
use crate::clock;
use crate::transport::Observer;

use super::core::Core;
use super::shared::Shared;

/// Tells the balancer of one blaster. Nothing follows from it at once, so nothing is pumped.
pub(crate) struct Connections {
    /// The blaster owns the transport, and the transport owns this.
    shared: Weak<Shared>,
}

impl Connections {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Connections {
            shared: Arc::downgrade(shared),
        }
    }

    fn tell(&self, endpoint: usize, learn: impl FnOnce(&mut Core, EndpointId, Instant)) {
        let Some(shared) = self.shared.upgrade() else { return };
        // A transport of the user's may say anything.
        if endpoint < shared.endpoints.len() {
            let now = clock::now();
            shared.with_core(|core| learn(core, EndpointId::at(endpoint), now));
        }
    }
}

impl Observer for Connections {
    fn connecting(&self, endpoint: usize, call: u64) {
        self.tell(endpoint, |core, id, _| core.balancer.connecting(id, call));
    }

    fn connected(&self, endpoint: usize, call: u64, took: Duration) {
        self.tell(endpoint, |core, id, now| core.balancer.connected(id, call, took, now));
    }
}
