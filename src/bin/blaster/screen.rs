//! What people look at: stderr, and the live view at its bottom where there is one.

use std::env;
use std::io::{self, IsTerminal, Write};

use indicatif::MultiProgress;

/// Stderr. Whatever is written through it goes above the live view instead of through it, so the log is written
/// through it too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Screen(MultiProgress);

impl Screen {
    /// Whether a view may move about on it: a terminal that can.
    pub(crate) fn is_live(&self) -> bool {
        io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
    }

    /// Writes a line. Somebody who has closed stderr does not want to know.
    pub(crate) fn say(&self, line: &str) {
        self.0.suspend(|| {
            let _ = writeln!(io::stderr(), "{line}");
        });
    }

    /// Where the bars of a live view are added.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.0
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
