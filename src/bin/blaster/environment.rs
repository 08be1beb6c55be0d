//! The variables that a command goes by: the process's, and beneath them those of a `.env` file.
//!
//! The process's environment itself is never changed.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use azure_openai_blaster::config::{self, BlasterConfig, FromEnv};
use azure_openai_blaster::error::ConfigError;

/// The file of the current folder that is read.
const FILE: &str = ".env";

/// The variables, by name.
pub(crate) struct Environment(HashMap<OsString, OsString>);

impl Environment {
    /// The process's variables, and those of `.env` in the current folder that the process does not have.
    pub(crate) fn read() -> Result<Self, ConfigError> {
        config::vars_beneath(FILE).map(Environment)
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
