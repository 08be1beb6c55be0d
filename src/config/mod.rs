//! The deployments to send to and the settings of the pool, from a file or by calls.
//!
#![doc = include_str!("../../docs/CONFIG.md")]
// The tables say what errors say, where a URL stands without marks.
#![allow(rustdoc::bare_urls)]

// Inside: reading a file takes two steps, after `source` has made plain JSON of it. `file` sees what was written: known keys,
// each with its place in the text. `meaning` makes of it what is meant, a `BlasterConfig` of typed values with the environment
// filled in, and `rules` holds it against what is allowed, as `BlasterConfig::validate` does for one made by calls. After that
// nothing needs checking again. All three complain instead of giving up, so that one error tells everything. The tables of
// docs/CONFIG.md are printed from `keys`, which the reader goes by too.

pub use auth::Auth;
pub use blaster::BlasterConfig;
pub use deployment::DeploymentConfig;
#[cfg(feature = "dotenv")]
pub use dot_env::vars_beneath;
pub use from_env::{FromEnv, from_vars};
pub use kind::Kind;
pub use proxy::ProxyUrl;
pub use quota_group::QuotaGroup;
pub use send_stream_options::SendStreamOptions;
pub use sku::Sku;
pub use strategy::Strategy;

mod auth;
mod blaster;
mod complaint;
pub mod defaults;
mod deployment;
#[cfg(feature = "dotenv")]
mod dot_env;
mod env;
mod file;
mod from_env;
mod json;
mod keys;
mod kind;
mod meaning;
mod nearest;
mod proxy;
mod quota_group;
mod rules;
mod schema;
mod send_stream_options;
mod sku;
mod source;
mod strategy;
mod url;
mod write;
#[cfg(feature = "yaml")]
mod yaml;

#[cfg(test)]
mod tests;

use crate::error::ConfigError;
use json::SyntaxError;
use meaning::Meaning;
use source::Source;

/// Every key with its type, range and default: the tables of `docs/CONFIG.md`, in Markdown.
#[must_use]
pub fn reference() -> String {
    let tables = [keys::TOP, keys::DEPLOYMENT, keys::GROUP, keys::ENTRY].map(keys::table);
    tables.join("\n")
}

/// A JSON Schema of configuration files, by which editors complete and check them: `docs/config.schema.json`.
#[must_use]
pub fn schema() -> String {
    schema::whole()
}

/// Reads a configuration file, of at most [`BlasterConfig::FILE_MAX`] bytes: YAML where its name ends in `.yaml` or
/// `.yml`, which needs the feature `yaml`, and JSON otherwise.
///
/// `env` looks up what `${NAME}` stands for; [`BlasterConfig::from_file`] is this with the process's environment.
///
/// # Errors
/// Why the file cannot be read, or everything that is wrong with it.
pub fn parse_file(
    path: impl AsRef<std::path::Path>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<BlasterConfig, ConfigError> {
    file::read_file(path.as_ref(), env)
}

/// Reads a configuration's text, in JSON.
///
/// `file` is what errors call it. `env` looks up what `${NAME}` stands for. A byte order mark at the start is
/// skipped. [`BlasterConfig::from_json`] and [`BlasterConfig::from_file`] are this with the process's environment.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(
    text: &str,
    file: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<BlasterConfig, ConfigError> {
    read(text, |text| Ok(Source::of_json(text)), file, env)
}

/// Reads a configuration's text, in YAML.
fn parse_yaml(
    text: &str,
    file: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<BlasterConfig, ConfigError> {
    read(text, Source::of_yaml, file, env)
}

/// Reads a configuration's text, which `source` makes plain.
fn read<'t>(
    text: &'t str,
    source: impl FnOnce(&'t str) -> Result<Source<'t>, SyntaxError>,
    file: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<BlasterConfig, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut complaints = complaint::Complaints::default();
    let whole = complaint::Spot::default();
    if text.len() > BlasterConfig::FILE_MAX {
        let most = BlasterConfig::FILE_MAX;
        let said = || format!("the text must be at most {most} bytes, got {}", text.len());
        complaints.beside(whole, 0, said);
        return Err(complaints.into_error(file, &Source::unread(text), None));
    }
    let source = match source(text) {
        Ok(source) => source,
        Err(SyntaxError { at, why }) => {
            complaints.beside(whole, at, || why);
            return Err(complaints.into_error(file, &Source::unread(text), None));
        }
    };
    let Some(written) = file::File::read(source.json(), &mut complaints) else {
        return Err(complaints.into_error(file, &source, None));
    };
    let Meaning { config, entries } = meaning::meaning(&written, env, &mut complaints);
    rules::check(&config, &|index| entries[index], &mut |spot, said| {
        complaints.about(spot, Some(written.place(spot)), said);
    });
    if complaints.is_empty() {
        Ok(config)
    } else {
        Err(complaints.into_error(file, &source, Some((&config, &entries))))
    }
}
