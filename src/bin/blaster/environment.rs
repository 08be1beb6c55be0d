//! The variables that a command goes by: the process's, and beneath them those of a `.env` file.
//!
//! The process's environment itself is never changed.

use std::cell::Cell;
use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use azure_openai_blaster::config::{self, BlasterConfig, FromEnv};
use azure_openai_blaster::error::ConfigError;

use crate::Failure;

/// The file of the current folder that is read.
const FILE: &str = ".env";

/// The variables, by name.
pub(crate) struct Environment(HashMap<OsString, OsString>);

impl Environment {
    /// The process's variables, and those of `.env` in the current folder that the process does not have.
    pub(crate) fn read() -> Result<Self, Failure> {
        let mut all = HashMap::new();
        match fs::read(FILE) {
            Ok(bytes) => all.extend(variables(&bytes).map_err(Failure::usage)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::usage(format!("reading {FILE}: {error}"))),
        }
        all.extend(env::vars_os());
        Ok(Environment(all))
    }

    /// Looks variables up, for as long as need be.
    pub(crate) fn lookup(&self) -> impl Fn(&str) -> Option<String> + Send + Sync + 'static + use<> {
        let all = self.0.clone();
        move |name| all.get(OsStr::new(name))?.to_str().map(str::to_owned)
    }

    /// The configuration that the variables make.
    pub(crate) fn config(&self) -> Result<FromEnv, ConfigError> {
        config::from_vars(self.0.clone())
    }

    /// The configuration of a file, in which `${NAME}` stands for one of the variables.
    pub(crate) fn config_of(&self, file: &Path) -> Result<BlasterConfig, ConfigError> {
        let lookup = |name: &str| self.0.get(OsStr::new(name))?.to_str().map(str::to_owned);
        config::parse_file(file, &lookup)
    }
}

/// The variables that a `.env` file sets, of two of one name the last; or what is wrong with it, a line each. Values
/// stay out of it, for they may be secret.
fn variables(bytes: &[u8]) -> Result<HashMap<OsString, OsString>, String> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let line = bytes[..error.valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            return Err(format!("{FILE}:{line}: the file must be UTF-8"));
        }
    };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let handed_out = Rc::new(Cell::new(0));
    let reader = LineByLine {
        lines: lines.clone(),
        handed_out: Rc::clone(&handed_out),
        rest: 0,
    };
    let mut found = HashMap::new();
    let mut wrong = Vec::new();
    let mut begin = 0;
    for entry in dotenvy::from_read_iter(reader) {
        match entry {
            Ok((name, value)) => drop(found.insert(name.into(), value.into())),
            Err(_) => {
                // Blank lines and comments before it were skipped.
                let is_entry = |line: &&str| !matches!(line.trim_start().chars().next(), None | Some('#'));
                let skipped = lines[begin..].iter().position(is_entry).unwrap_or(0);
                wrong.push(format!(
                    "{FILE}:{}: must be NAME=value, with a value that holds blanks, quotes, # or $ in single quotes",
                    begin + skipped + 1
                ));
            }
        }
        begin = handed_out.get();
    }
    if wrong.is_empty() {
        Ok(found)
    } else {
        Err(wrong.join("\n"))
    }
}

/// Gives one line to each read, so that whoever buffers its reads is never ahead of the line that is being parsed.
struct LineByLine<'t> {
    lines: Vec<&'t str>,
    handed_out: Rc<Cell<usize>>,
    /// Bytes of the present line that have been read.
    rest: usize,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(line) = self.lines.get(self.handed_out.get()) else {
            return Ok(0);
        };
        let left = &line.as_bytes()[self.rest..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.rest += count;
        if self.rest == line.len() {
            self.handed_out.set(self.handed_out.get() + 1);
            self.rest = 0;
        }
        Ok(count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on fails
mod tests {
    use super::*;

    #[test]
    fn a_file_sets_variables_as_such_files_do() {
        let text = "\u{feff}# keys\nA=1\n\nexport B = 'x $y' # note\nC=\"two\nlines\"\nA=3\r\nD=\n";
        let found = variables(text.as_bytes()).unwrap();
        let mut found: Vec<_> = found
            .iter()
            .map(|(name, value)| (name.to_str().unwrap(), value.to_str().unwrap()))
            .collect();
        found.sort_unstable();
        assert_eq!(found, [("A", "3"), ("B", "x $y"), ("C", "two\nlines"), ("D", "")]);
    }

    #[test]
    fn each_line_that_is_wrong_is_numbered_and_not_repeated() {
        let text = "A=1\n# note\n\nKEY=canary and more\nB=\"two\nlines\"\ncanary\nC='open canary\nD=1\n";
        let error = variables(text.as_bytes()).unwrap_err();
        let numbers: Vec<_> = error.lines().map(|line| line.split(':').nth(1).unwrap()).collect();
        assert_eq!(numbers, ["4", "7", "8"], "{error}");
        assert!(!error.contains("canary"), "{error}");
        assert_eq!(
            variables(b"A=1\nB=\xff\n").unwrap_err(),
            ".env:2: the file must be UTF-8"
        );
    }

    #[test]
    fn a_line_longer_than_any_buffer_is_one_line() {
        let text = format!("A={}\nwrong\n", "x".repeat(100_000));
        assert!(variables(text.as_bytes()).unwrap_err().starts_with(".env:2: "));
    }
}
