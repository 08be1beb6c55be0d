//! A configuration from variables of the environment alone.

use super::complaint::{Complaints, Spot};
use super::env::Env;
use super::{Auth, BlasterConfig, DeploymentConfig};
use crate::error::ConfigError;

/// Names a configuration file; the other variables do not count then.
const FILE: &str = "BLASTER_CONFIG";
/// The names that the vendor's SDKs and samples use.
const ENDPOINT: &str = "AZURE_OPENAI_ENDPOINT";
const API_KEY: &str = "AZURE_OPENAI_API_KEY";
const DEPLOYMENT: &str = "AZURE_OPENAI_DEPLOYMENT";
const API_VERSION: &str = "OPENAI_API_VERSION";

/// What [`BlasterConfig::from_env`] does, with the environment as an argument. A variable that is empty counts as not
/// set.
pub(super) fn read(env: Env<'_>) -> Result<BlasterConfig, ConfigError> {
    let value = |name: &str| env(name).filter(|value| !value.is_empty());
    if let Some(path) = value(FILE) {
        return BlasterConfig::from_file(path);
    }
    let mut complaints = Complaints::default();
    let mut required = |name: &str| {
        value(name).unwrap_or_else(|| {
            let said = || format!("the environment variable {name} must be set, or {FILE} to the path of a file");
            complaints.beside(Spot::default(), None, said);
            String::new()
        })
    };
    let (endpoint, key, deployment) = (required(ENDPOINT), required(API_KEY), required(DEPLOYMENT));
    if !complaints.is_empty() {
        return Err(complaints.into_error(None, "", None));
    }
    let mut deployment = DeploymentConfig::new(deployment.clone(), endpoint, deployment).auth(Auth::from_text(key));
    if let Some(version) = value(API_VERSION) {
        deployment.api_version = version;
    }
    let config = BlasterConfig::new([deployment]);
    config.validate()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<BlasterConfig, ConfigError> {
        read(&|name| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some((*value).to_owned())
        })
    }

    #[test]
    fn one_deployment_is_made_of_the_variables_that_the_sdks_use() {
        let mut variables = vec![
            (ENDPOINT, "https://east.openai.azure.com/"),
            (API_KEY, "canary"),
            (DEPLOYMENT, "gpt-4o"),
        ];
        let east = DeploymentConfig::new("gpt-4o", "https://east.openai.azure.com", "gpt-4o").auth(Auth::key("canary"));
        assert_eq!(with(&variables), Ok(BlasterConfig::new([east.clone()])));
        variables.push((API_VERSION, "v1"));
        assert_eq!(with(&variables), Ok(BlasterConfig::new([east.api_version("v1")])));
        variables[0].1 = "east";
        let error = with(&variables).unwrap_err().to_string();
        assert!(
            error.contains("endpoint must be") && !error.contains("canary"),
            "{error}"
        );
    }

    #[test]
    fn each_variable_that_is_missing_is_named() {
        let error = with(&[(ENDPOINT, "https://east.example"), (API_KEY, "")]).unwrap_err();
        let said: Vec<_> = error.to_string().lines().map(str::to_owned).collect();
        assert_eq!(said.len(), 2);
        assert!(said[0].contains(API_KEY) && said[1].contains(DEPLOYMENT), "{error}");
    }

    #[test]
    fn a_file_that_is_named_counts_alone() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/no-such-file.json");
        let error = with(&[(FILE, path), (ENDPOINT, "x")]).unwrap_err();
        assert!(matches!(error, ConfigError::Unreadable { .. }), "{error}");
    }
}
