//! The process's variables, and beneath them those of a `.env` file.
//!
//! The process's environment itself is never changed.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;
use std::{env, fs};

use crate::error::{ConfigError, Problem};

/// The process's variables, and those of the `.env` file at `path` that the process does not have. Where there is no such
/// file, the process's alone.
///
/// [`BlasterConfig::from_env_file`](super::BlasterConfig::from_env_file) makes a configuration of them.
///
/// # Errors
/// Why the file cannot be read, or which of its lines are none. No value is repeated.
pub fn vars_beneath(path: impl AsRef<Path>) -> Result<HashMap<OsString, OsString>, ConfigError> {
    let path = path.as_ref();
    let file = || path.display().to_string();
    let mut all = match fs::read(path) {
        Ok(bytes) => variables(&bytes).map_err(|problems| invalid(file(), problems))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            log::info!("there is no file {}: the environment says all", path.display());
            HashMap::new()
        }
        Err(error) => {
            return Err(ConfigError::Unreadable {
                file: file(),
                kind: error.kind(),
                cause: error.to_string(),
            });
        }
    };
    all.extend(env::vars_os());
    Ok(all)
}

fn invalid(file: String, mut problems: Vec<Problem>) -> ConfigError {
    let more = problems.len().saturating_sub(ConfigError::LISTED);
    problems.truncate(ConfigError::LISTED);
    ConfigError::Invalid {
        file: Some(file),
        problems,
        more,
    }
}

/// The variables that a file's bytes set, of two of one name the last; or what is wrong with them. Values stay out of it,
/// for they may be secret.
fn variables(bytes: &[u8]) -> Result<HashMap<OsString, OsString>, Vec<Problem>> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let line = bytes[..error.valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            return Err(vec![problem(line, "the file must be UTF-8")]);
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
                let said = "must be NAME=value, with a value that holds blanks, quotes, # or $ in single quotes";
                wrong.push(problem(begin + skipped + 1, said));
            }
        }
        begin = handed_out.get();
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

fn problem(line: usize, said: &str) -> Problem {
    Problem {
        position: Some((line, 1)),
        subject: String::new(),
        text: said.to_owned(),
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
mod tests {
    use std::ffi::OsStr;

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
        let wrong = variables(text.as_bytes()).unwrap_err();
        let places: Vec<_> = wrong.iter().map(|problem| problem.position).collect();
        assert_eq!(places, [4, 7, 8].map(|line| Some((line, 1))), "{wrong:?}");
        assert!(!format!("{wrong:?}").contains("canary"), "{wrong:?}");
        assert_eq!(
            variables(b"A=1\nB=\xff\n").unwrap_err(),
            [problem(2, "the file must be UTF-8")]
        );
    }

    #[test]
    fn a_line_longer_than_any_buffer_is_one_line() {
        let text = format!("A={}\nwrong\n", "x".repeat(100_000));
        assert_eq!(variables(text.as_bytes()).unwrap_err()[0].position, Some((2, 1)));
    }

    #[test]
    fn the_process_decides_over_a_file_and_a_file_need_not_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let all = vars_beneath(&path).unwrap();
        assert_eq!(all.get(OsStr::new("PATH")), env::var_os("PATH").as_ref());
        fs::write(&path, "PATH=canary\nOF_THE_FILE=1\n").unwrap();
        let all = vars_beneath(&path).unwrap();
        assert_eq!(all.get(OsStr::new("PATH")), env::var_os("PATH").as_ref());
        assert_eq!(all.get(OsStr::new("OF_THE_FILE")), Some(&OsString::from("1")));

        fs::write(&path, "A=1\nKEY=canary canary\n").unwrap();
        let error = vars_beneath(&path).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{}:2:1: must be NAME=value", path.display())),
            "{error}"
        );
        assert!(!error.contains("canary"), "{error}");
        let error = vars_beneath(folder.path()).unwrap_err();
        assert!(matches!(error, ConfigError::Unreadable { .. }), "{error}");
    }
}
