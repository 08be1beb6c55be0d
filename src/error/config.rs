//! What is wrong with a configuration.

use std::fmt;
use std::io;

/// A configuration that cannot be used.
///
/// `Display` gives one line per problem, each with file, line and column, where they are known. What stands in the wrong
/// place is not repeated, for it may be a key; only what is nearly a known word is, and names of up to 31 characters. `Debug` gives the same, for it is what a `main` shows that returns
/// the error.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be opened or read to its end.
    #[error("reading {file}: {cause}")]
    Unreadable {
        /// The file's path as it was given.
        file: String,
        /// What the operating system called it, e.g. [`io::ErrorKind::NotFound`].
        kind: io::ErrorKind,
        /// The operating system's words.
        cause: String,
    },
    /// The configuration was read, and what it says is not allowed.
    #[error("{}", Listing { file: file.as_deref(), problems, more: *more })]
    Invalid {
        /// The file's path as it was given; none for text and for a configuration made by calls.
        file: Option<String>,
        /// The first problems in the order of the file: at least 1, at most [`ConfigError::LISTED`].
        problems: Vec<Problem>,
        /// How many more problems there are.
        more: usize,
    },
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Line and column of the value (of the key, where the key itself is wrong), both counted from 1, the column in
    /// characters. None for a configuration made by calls.
    pub position: Option<(usize, usize)>,
    /// What it is about, e.g. `deployments[1] "backup": weight`; empty where it is about the file as a whole.
    pub subject: String,
    /// The whole sentence: subject, what would be right, and what was found.
    pub text: String,
}

impl ConfigError {
    /// Most problems listed in one error. Enough to correct a file in one go, few enough for a terminal.
    pub const LISTED: usize = 20;

    /// The problems found, in the order of the file; none where the file could not be read.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            ConfigError::Unreadable { .. } => &[],
            ConfigError::Invalid { problems, .. } => problems,
        }
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.position {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// The problems of one configuration, a line each; `file:line:column` is what terminals and editors make a link of.
struct Listing<'a> {
    file: Option<&'a str>,
    problems: &'a [Problem],
    more: usize,
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match (self.file, problem.position) {
                (Some(file), Some((line, column))) => write!(f, "{file}:{line}:{column}: {}", problem.text)?,
                (Some(file), None) => write!(f, "{file}: {}", problem.text)?,
                (None, _) => write!(f, "{problem}")?,
            }
        }
        if self.more > 0 {
            write!(f, "\n… and {} more", self.more)?;
        }
        Ok(())
    }
}
