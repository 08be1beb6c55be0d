//! What can go wrong.

pub use reply::BadReply;
pub use request::RequestError;
pub use stream::{Incomplete, StreamProblem};

pub mod fault;
pub mod reply;
pub mod request;
pub mod stream;
