//! What is asked of a deployment: the last part of the URL.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// An operation of the service, named by its path below the deployment (or below `/openai/v1`).
///
/// Limits and health belong to a deployment as a whole, but a deployment may lack an operation: an embedding
/// model has no chat. The balancer therefore keeps "not supported" per deployment *and* operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Operation {
    /// `chat/completions`
    ChatCompletions,
    /// `completions`
    Completions,
    /// `embeddings`
    Embeddings,
    /// `responses`
    Responses,
    /// Any other path, made with [`Operation::other`].
    Other(OtherPath),
}

/// A validated relative path, e.g. `images/generations`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OtherPath(Arc<str>);

/// Longest path accepted by [`Operation::other`], in bytes.
const MAX_PATH: usize = 256;

impl Operation {
    /// An operation by its path, without a leading slash; the known ones are recognised.
    ///
    /// # Errors
    /// A message where the path is empty, longer than 256 bytes, absolute, or holds anything but letters,
    /// digits, `-`, `_`, `.` and single slashes, or a segment of dots (which would climb out of the
    /// deployment's URL).
    pub fn other(path: &str) -> Result<Operation, String> {
        match path {
            "chat/completions" => return Ok(Operation::ChatCompletions),
            "completions" => return Ok(Operation::Completions),
            "embeddings" => return Ok(Operation::Embeddings),
            "responses" => return Ok(Operation::Responses),
            _ => {}
        }
        let good = |segment: &str| {
            !segment.is_empty()
                && !segment.bytes().all(|b| b == b'.')
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        if path.len() > MAX_PATH {
            return Err(format!(
                "an operation's path of {} bytes: {MAX_PATH} at most are allowed",
                path.len()
            ));
        }
        if !path.split('/').all(good) {
            return Err(format!(
                "operation {path:?}: a relative path of letters, digits, '-', '_' and '.' is needed, such as \"images/generations\""
            ));
        }
        Ok(Operation::Other(OtherPath(path.into())))
    }

    /// The path below the deployment, without a leading slash.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Operation::ChatCompletions => "chat/completions",
            Operation::Completions => "completions",
            Operation::Embeddings => "embeddings",
            Operation::Responses => "responses",
            Operation::Other(path) => &path.0,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_could_leave_the_deployment_is_refused() {
        for bad in [
            "",
            "/x",
            "x/",
            "a//b",
            "..",
            "a/../b",
            ".",
            "a?b",
            "a#b",
            "a b",
            "a%2fb",
            "ä",
            &"x".repeat(257),
            &"x".repeat(1_000_000),
        ] {
            let problem = Operation::other(bad).expect_err(bad);
            assert!(problem.len() < 1_000, "{problem}");
        }
    }

    #[test]
    fn known_paths_become_their_own_operation() {
        assert_eq!(Operation::other("chat/completions"), Ok(Operation::ChatCompletions));
        assert_eq!(
            Operation::other("images/generations").unwrap().path(),
            "images/generations"
        );
    }
}
