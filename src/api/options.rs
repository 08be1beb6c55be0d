//! What a request says to this library rather than to the service.

use std::time::Duration;

use super::headers::is_reserved;
use super::withheld::sounds_secret;
use super::{Headers, Priority};
use crate::error::RequestError;

/// How a request is to be routed and treated; nothing of it is part of the body.
///
/// Small, because a job keeps it while it waits, and a million may wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The public name of the model; none goes to any deployment.
    pub(crate) model: Option<Box<str>>,
    /// Longest time from submission to the end of the reply.
    pub(crate) timeout: Option<Duration>,
    /// Class of the job.
    pub(crate) priority: Priority,
    /// Requests of the same session prefer the same deployment; an empty one says that there is no such.
    pub(crate) session: Option<Box<str>>,
    /// Headers of this request.
    headers: Option<Box<Headers>>,
}

impl Options {
    /// Adds a header of the caller's.
    pub(crate) fn header(&mut self, name: &str, value: &str) -> Result<(), RequestError> {
        if is_reserved(name) {
            return Err(RequestError::Header {
                reason: format!(
                    "header {name:?} is the library's to set, or a deployment's, and cannot be set per request"
                ),
            });
        }
        self.add_header(name, value)
    }

    /// Says what the body is, where that is not JSON.
    pub(crate) fn content_type(&mut self, value: &str) -> Result<(), RequestError> {
        self.add_header("content-type", value)
    }

    /// Headers of this request, taken out.
    pub(crate) fn take_headers(&mut self) -> Option<Box<Headers>> {
        self.headers.take()
    }

    /// Headers of this request, `content-type` among them only where the body is not JSON.
    #[cfg(test)]
    pub(crate) fn headers(&self) -> Option<&Headers> {
        self.headers.as_deref()
    }

    fn add_header(&mut self, name: &str, value: &str) -> Result<(), RequestError> {
        let headers = self.headers.get_or_insert_default();
        let inserted = if sounds_secret(name) {
            headers.insert_secret(name, value)
        } else {
            headers.insert(name, value)
        };
        let excess = inserted.map(|()| headers.excess());
        match excess {
            Ok(None) => Ok(()),
            Ok(Some(reason)) | Err(reason) => Err(RequestError::Header { reason }),
        }
    }
}

/// The methods by which a request is given its options, for the `impl` of each kind of request.
///
/// A trait would have to be imported by every caller. The request has a field `options` and a method `fail`, which keeps
/// its first mistake. `$model` says what its model is to it.
macro_rules! option_methods {
    ($model:literal) => {
        #[doc = $model]
        #[must_use]
        pub fn model(mut self, model: impl Into<String>) -> Self {
            self.options.model = Some(model.into().into());
            self
        }

        /// Longest time from submission to the end of the reply, waiting for quota and all attempts included.
        /// Without it the configured `job_timeout_s` counts. One beyond what the clock can tell, such as
        /// [`Duration::MAX`](std::time::Duration::MAX), is none.
        #[must_use]
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.timeout = Some(timeout);
            self
        }

        /// How urgent the request is. Default: [`Priority::Normal`]($crate::api::Priority::Normal).
        #[must_use]
        pub fn priority(mut self, priority: $crate::api::Priority) -> Self {
            self.options.priority = priority;
            self
        }

        /// Adds an HTTP header. Azure refuses more than 10 of them. One may have 12,000 bytes, name and value together,
        /// and all of them 32 KiB.
        ///
        /// Credentials and what frames the body are the library's own and cannot be set. A value whose name sounds secret
        /// (`key`, `token`, `auth`, `secret`, `password`, … in it) never shows, nor where the service repeats it.
        #[must_use]
        pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
            if let Err(problem) = self.options.header(name.as_ref(), value.as_ref()) {
                self.fail(problem);
            }
            self
        }
    };
}

pub(super) use option_methods;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_the_library_owns_is_refused() {
        let mut options = Options::default();
        assert!(options.header("Api-Key", "canary").is_err());
        assert!(options.header("HOST", "elsewhere").is_err());
        assert!(options.header("Accept-Encoding", "br").is_err());
        assert!(options.header("x-ms-spillover-deployment", "standard").is_ok());
        let names: Vec<_> = options.headers().into_iter().flat_map(Headers::iter).collect();
        assert_eq!(names, [("x-ms-spillover-deployment", "standard")]);
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_a_mistake_of_the_request() {
        let mut options = Options::default();
        let problem = options.header("x-trace", &"canary".repeat(12_000)).unwrap_err();
        let RequestError::Header { reason } = &problem else {
            panic!("{problem}");
        };
        assert!(
            reason.contains("\"x-trace\" has 72007 bytes") && !reason.contains("canary"),
            "{reason}"
        );
        let mut options = Options::default();
        let mut lines = (0..).map(|index| options.header(&format!("x-{index}"), &"v".repeat(8_000)));
        assert_eq!(lines.by_ref().take_while(Result::is_ok).count(), 4, "32 KiB of them");
        assert!(Options::default().content_type(&"x".repeat(70_000)).is_err());
    }

    #[test]
    fn options_stay_small() {
        assert!(size_of::<Options>() <= 64, "{}", size_of::<Options>());
    }
}
