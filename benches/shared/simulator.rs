//! The simulator, in a process of its own.

use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

use crate::process::Running;

/// Starts `blaster sim` with this fleet, as JSON; also returns the configuration that it writes for its clients.
pub(crate) fn start<T: DeserializeOwned>(fleet: &str) -> Result<(Running, T), Box<dyn Error + Send + Sync>> {
    let config = tempfile::NamedTempFile::new()?;
    fs::write(config.path(), fleet)?;
    let process = Command::new(env!("CARGO_BIN_EXE_blaster"))
        .args(["sim", "--quiet", "--config"])
        .arg(config.path())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut process = Running(process);
    let stdout = process.0.stdout.take().ok_or("no stdout")?;
    // The value ends before the stream does: the process goes on.
    let mut values = serde_json::Deserializer::from_reader(stdout).into_iter::<T>();
    let written = values.next().ok_or("the simulator printed no configuration")??;
    Ok((process, written))
}
