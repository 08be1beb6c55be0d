//! A request that cannot be sent as it is.

/// What is wrong with a request, found before anything was sent.
///
/// The builders do not return errors, so that a request reads as one expression: the first problem is kept
/// inside and returned when the request is submitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A chat request without a message; the service would refuse it.
    #[error("the request has no messages: at least one is needed")]
    NoMessages,
    /// An embedding request without an input; the service would refuse it.
    #[error("the request has no input: at least one text is needed")]
    NoInput,
    /// A field was set by its own method and by `extra`. Keep one of the two.
    #[error("`{key}` is set twice, by its own method and by `extra`: one of the two is needed")]
    Clash {
        /// The field.
        key: String,
    },
    /// A field of a message was set by its constructor and by `extra`. Keep one of the two.
    #[error("`{key}` of message {index} is set twice, as a field and by `extra`: one of the two is needed")]
    MessageClash {
        /// Position of the message, from 0.
        index: usize,
        /// The field.
        key: String,
    },
    /// A field that the library itself reads was passed by `extra`.
    #[error("`{key}` cannot be passed by `extra`, since the library reads it: the request has its own way to set it")]
    Reserved {
        /// The field.
        key: String,
    },
    /// A number that JSON cannot hold.
    #[error("`{key}` is {value}: a finite number is needed")]
    NotFinite {
        /// The field.
        key: String,
        /// What was given.
        value: String,
    },
    /// A value that cannot be written as JSON, e.g. a map whose keys are no texts.
    #[error("`{key}` cannot be written as JSON: {reason}")]
    NotJson {
        /// The field.
        key: String,
        /// Why, in the words of the serializer.
        reason: String,
    },
    /// The body of a raw request begins as a JSON object and is none.
    #[error("the body is not a JSON object: {reason}")]
    BadBody {
        /// Where it goes wrong.
        reason: String,
    },
    /// A header that HTTP cannot carry, or that the library sets itself.
    #[error("{reason}")]
    Header {
        /// Which one and why; never its value.
        reason: String,
    },
}
