//! Kinds of errors, to compare and to count.

use super::Error;

/// The kind of an [`Error`], without what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// [`Error::Config`]
    Config,
    /// [`Error::Request`]
    Request,
    /// [`Error::UnknownModel`]
    UnknownModel,
    /// [`Error::Refused`]
    Refused,
    /// [`Error::Exhausted`]
    Exhausted,
    /// [`Error::ServerErrors`]
    ServerErrors,
    /// [`Error::NoEndpoint`]
    NoEndpoint,
    /// [`Error::Timeout`]
    Timeout,
    /// [`Error::TooLate`]
    TooLate,
    /// [`Error::TooLarge`]
    TooLarge,
    /// [`Error::NoText`]
    NoText,
    /// [`Error::StreamBroken`]
    StreamBroken,
    /// [`Error::Cancelled`]
    Cancelled,
    /// [`Error::ShutDown`]
    ShutDown,
    /// [`Error::QueueFull`]
    QueueFull,
    /// [`Error::WouldDeadlock`]
    WouldDeadlock,
    /// [`Error::Panicked`]
    Panicked,
    /// [`Error::Taken`]
    Taken,
    /// [`Error::Start`]
    Start,
    /// [`Error::Setup`]
    Setup,
}

impl Error {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Config(_) => ErrorKind::Config,
            Error::Request(_) => ErrorKind::Request,
            Error::UnknownModel { .. } => ErrorKind::UnknownModel,
            Error::Refused(_) => ErrorKind::Refused,
            Error::Exhausted(_) => ErrorKind::Exhausted,
            Error::ServerErrors(_) => ErrorKind::ServerErrors,
            Error::NoEndpoint { .. } => ErrorKind::NoEndpoint,
            Error::Timeout { .. } => ErrorKind::Timeout,
            Error::TooLate { .. } => ErrorKind::TooLate,
            Error::TooLarge { .. } => ErrorKind::TooLarge,
            Error::NoText { .. } => ErrorKind::NoText,
            Error::StreamBroken { .. } => ErrorKind::StreamBroken,
            Error::Cancelled(_) => ErrorKind::Cancelled,
            Error::ShutDown { .. } => ErrorKind::ShutDown,
            Error::QueueFull => ErrorKind::QueueFull,
            Error::WouldDeadlock => ErrorKind::WouldDeadlock,
            Error::Panicked { .. } => ErrorKind::Panicked,
            Error::Taken => ErrorKind::Taken,
            Error::Start(_) => ErrorKind::Start,
            Error::Setup { .. } => ErrorKind::Setup,
        }
    }
}
