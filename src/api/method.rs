//! How a request is made.

/// HTTP methods that the engine passes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// `GET`, sent without a body
    Get,
    /// `POST`
    #[default]
    Post,
    /// `DELETE`, sent without a body
    Delete,
}
