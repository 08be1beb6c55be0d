//! What people look at: stderr, and the live view at its bottom where there is one.

use std::env;
use std::io::{self, IsTerminal, Write};

use console::Term;
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

    /// Columns of the terminal.
    pub(crate) fn width(&self) -> usize {
        Term::stderr().size().1.into()
    }

    /// Takes away so many lines of a live view that were drawn on a terminal of another width.
    ///
    /// Each was as wide as the terminal, and most terminals break such lines anew when they are resized: the lines are one
    /// paragraph then, of more rows or fewer. Of the others a narrower one loses rows above the view, and a wider one keeps a
    /// few of its old rows.
    pub(crate) fn clear_resized(&self, lines: usize, before: usize, now: usize) {
        let (more, fewer) = rows_changed(lines, before, now);
        // What is gone is looked for from where the last row was.
        let _ = write!(io::stderr(), "{}", "\n".repeat(fewer));
        self.0.suspend(|| {
            let up = if more > 0 {
                format!("\x1b[{more}A")
            } else {
                String::new()
            };
            let _ = write!(io::stderr(), "{up}\r\x1b[J");
        });
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

/// How many rows more, or fewer, so many lines take that filled a width of `before` and are broken anew for `now`.
fn rows_changed(lines: usize, before: usize, now: usize) -> (usize, usize) {
    let rows = (lines * before).div_ceil(now.max(1));
    (rows.saturating_sub(lines), lines.saturating_sub(rows))
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_broken_anew_take_more_rows_or_fewer() {
        for (lines, before, now, changed) in [
            (6, 80, 80, (0, 0)),
            // 600 columns in rows of 60.
            (6, 100, 60, (4, 0)),
            (6, 60, 59, (1, 0)),
            (7, 50, 110, (0, 3)),
            (6, 60, 1_000, (0, 5)),
            (1, 80, 0, (79, 0)),
        ] {
            assert_eq!(
                rows_changed(lines, before, now),
                changed,
                "{lines} of {before} in {now}"
            );
        }
    }
}
