//! How the command ends, in one place.

use std::process;

/// The command's exit codes, as scripts see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// What was asked for was done; a simulator that was ended by Ctrl-C has done it.
    Success,
    /// It was begun and failed.
    Failure,
    /// It could not be begun: wrong arguments or a wrong configuration. The argument parser uses the same number.
    Usage,
    /// Ctrl-C ended it before it was done; what a shell makes of SIGINT.
    Interrupted,
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        process::ExitCode::from(match code {
            ExitCode::Success => 0,
            ExitCode::Failure => 1,
            ExitCode::Usage => 2,
            ExitCode::Interrupted => 130,
        })
    }
}
