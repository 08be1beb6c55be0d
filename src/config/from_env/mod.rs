//! A configuration from variables of the environment alone.
//!
//! Four ways of naming deployments are known, and the first that is taken counts alone: a file (`BLASTER_CONFIG`), a
//! list of connections (`AZURE_OPENAI_ROUND_ROBIN_CONNECTION`, as an AutoGen client has it), named instances
//! (`AZURE_INSTANCES`, as the FastAPI proxy has them), and a single resource under the names that the vendor's SDKs
//! and that proxy use. What others say beside it is warned of.

use std::ffi::OsString;

use super::{BlasterConfig, parse_file};
use crate::error::ConfigError;
use variables::Variables;

mod instances;
mod models;
mod round_robin;
mod variables;

#[cfg(test)]
mod tests;

/// Names a configuration file.
const FILE: &str = "BLASTER_CONFIG";

/// What an environment says: see [`from_vars`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FromEnv {
    /// The configuration, which is valid.
    pub config: BlasterConfig,
    /// The variable that it begins with, e.g. `AZURE_INSTANCES`.
    pub source: &'static str,
    /// What is set beside it and has no effect, a sentence each.
    pub warnings: Vec<String>,
}

/// Reads a configuration out of variables of an environment: what [`BlasterConfig::from_env`] does with the process's.
///
/// A variable that is empty counts as not set, and blanks around a value are dropped. In a file that `BLASTER_CONFIG`
/// names, `${NAME}` stands for one of these variables too.
///
/// ```
/// use azure_openai_blaster::config::from_vars;
///
/// let read = from_vars([
///     ("AZURE_INSTANCES", "east, west"),
///     ("AZURE_INSTANCE_EAST_API_BASE", "https://east.openai.azure.com"),
///     ("AZURE_INSTANCE_EAST_API_KEY", "not-a-real-key"),
///     ("AZURE_INSTANCE_WEST_API_BASE", "https://west.openai.azure.com"),
///     ("AZURE_INSTANCE_WEST_API_KEY", "not-a-real-key"),
///     ("MODEL_MAP_GPT_4O", "my-4o"),
/// ])?;
/// assert_eq!(read.source, "AZURE_INSTANCES");
/// assert_eq!(read.config.deployments.len(), 2);
/// assert_eq!(read.config.deployments[1].served_models(), ["gpt-4o"]);
/// # Ok::<(), azure_openai_blaster::error::ConfigError>(())
/// ```
///
/// # Errors
/// Which variables would do where none is set, why a file cannot be read, or everything that is wrong with what the
/// variables say: each with its name and what was found, without repeating it.
pub fn from_vars<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Result<FromEnv, ConfigError>
where
    N: Into<OsString>,
    V: Into<OsString>,
{
    let mut variables = Variables::new(variables);
    let switched_on = round_robin::switched_on(&mut variables);
    if let Some(path) = variables.exact(FILE) {
        return file(path, variables);
    }
    if switched_on {
        let config = round_robin::read(&mut variables);
        return finish(variables, config, round_robin::CONNECTION);
    }
    if variables.is_set(instances::NAMES) {
        let config = instances::several(&mut variables);
        return finish(variables, config, instances::NAMES);
    }
    if instances::SINGLE.iter().any(|name| variables.is_set(name)) {
        let (config, source) = instances::single(&mut variables);
        return finish(variables, config, source);
    }
    let hint = round_robin::CONNECTION;
    let hint = if variables.is_set(hint) {
        format!("; {hint} is set and counts once {} is true", round_robin::SWITCH)
    } else if variables.names_with(instances::PREFIX).next().is_some() {
        format!(
            "; variables of instances are set, and {} does not list them",
            instances::NAMES
        )
    } else {
        String::new()
    };
    variables.note(
        "",
        format!(
            "no variable of the environment names a deployment: set {FILE} to the path of a configuration file; or {}, \
             AZURE_INSTANCE_<NAME>_API_BASE and AZURE_INSTANCE_<NAME>_API_KEY of each, and MODEL_MAP_<MODEL>; or \
             {}=true and {}; or AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and AZURE_OPENAI_DEPLOYMENT{hint}",
            instances::NAMES,
            round_robin::SWITCH,
            round_robin::CONNECTION,
        ),
    );
    Err(variables.into_error())
}

fn file(path: String, mut variables: Variables) -> Result<FromEnv, ConfigError> {
    let read = parse_file(&path, &|name| variables.raw(name)).map_err(|error| match error {
        ConfigError::Unreadable { file, kind, cause } => ConfigError::Unreadable {
            file,
            kind,
            cause: format!("{cause} ({FILE} names this file)"),
        },
        wrong => wrong,
    });
    finish_with(&mut variables, FILE);
    Ok(FromEnv {
        config: read?,
        source: FILE,
        warnings: variables.into_warnings(),
    })
}

fn finish(mut variables: Variables, config: BlasterConfig, source: &'static str) -> Result<FromEnv, ConfigError> {
    finish_with(&mut variables, source);
    if variables.has_problems() {
        return Err(variables.into_error());
    }
    Ok(FromEnv {
        config,
        source,
        warnings: variables.into_warnings(),
    })
}

/// Warns of the other ways.
fn finish_with(variables: &mut Variables, source: &'static str) {
    for other in [
        round_robin::CONNECTION,
        instances::NAMES,
        instances::ENDPOINT,
        instances::API_BASE,
    ] {
        let same = [instances::ENDPOINT, instances::API_BASE];
        let is_own = other == source || same.contains(&source) && same.contains(&other);
        if !is_own && variables.is_set(other) {
            variables.warn(format!("{other} has no effect beside {source}"));
        }
    }
}
