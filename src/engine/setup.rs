//! What can be known of a blaster before it is started.

/// What [`Builder::check`](crate::Builder::check) has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetupReport {
    /// What [`Builder::build`](crate::Builder::build) would warn of: of the configuration, the CA file and the environment.
    pub warnings: Vec<String>,
    /// The proxy that leads to each deployment, without its password, and the variable of the environment that names it;
    /// none where it is reached directly.
    pub proxies: Vec<Option<String>>,
}
