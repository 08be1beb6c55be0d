//! What can go wrong with a simulated fleet.

use std::io;
use std::net::SocketAddr;

use super::config::SimConfigError;

/// Why something could not be done with a fleet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// The world cannot be as it was described.
    #[error(transparent)]
    Config(#[from] SimConfigError),
    /// The server's threads could not be started.
    #[error("starting {threads} threads for the simulator")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        source: io::Error,
    },
    /// A port could not be opened, at the start or when its deployment was revived.
    #[error("listening on {address} for the simulator")]
    Listen {
        /// Address and port.
        address: SocketAddr,
        /// What the system said, mostly that another program has the port.
        source: io::Error,
    },
    /// There are not enough port numbers from the first one on.
    #[error("{resources} resources need ports {first}..={last}, but 65535 is the last one", last = u64::from(*first) + *resources as u64 - 1)]
    Ports {
        /// The first port, as asked for.
        first: u16,
        /// Ports needed.
        resources: usize,
    },
    /// No deployment has this name.
    #[error("no deployment is called {name:?}; there are {known}")]
    UnknownDeployment {
        /// The name that was asked for.
        name: String,
        /// The names that there are, with commas between.
        known: String,
    },
}
