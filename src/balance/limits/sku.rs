//! What kind of capacity is limited.

/// What kind of capacity a deployment has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sku {
    /// Pay as you go: an estimate of each request is charged on admission, against windows of tokens and of requests.
    #[default]
    Standard,
    /// Reserved throughput (PTU): a bucket of half a minute that admits whatever its size while its level is under the
    /// brim, and is corrected to what was really used as each request completes.
    Provisioned,
}
