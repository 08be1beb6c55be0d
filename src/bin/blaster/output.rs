//! Results: stdout.

use std::io::{self, Write};

use console::Term;

use crate::Failure;

/// Prints `text` and a line end to stdout. A reader that has gone is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::of("writing to stdout", &error)),
        _ => Ok(()),
    }
}

/// Columns of the terminal that results go to; no end of them in a file or a pipe.
pub(crate) fn width() -> usize {
    Term::stdout()
        .size_checked()
        .map_or(usize::MAX, |(_, columns)| columns.into())
}
