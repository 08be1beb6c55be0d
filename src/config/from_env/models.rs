//! Which public model names lead to which deployments: `MODEL_MAP_<MODEL>=deployment`.

use std::collections::HashMap;

use super::variables::Variables;
use crate::config::complaint::named;

const MAP: &str = "MODEL_MAP_";
/// The sole deployment, under its own name; the second is what AutoGen samples call it.
pub(super) const DEPLOYMENT: &str = "AZURE_OPENAI_DEPLOYMENT";
pub(super) const DEPLOYMENT_NAME: &str = "AZURE_OPENAI_DEPLOYMENT_NAME";

/// Written without the marks that a variable's name cannot hold, as the FastAPI proxy knows them.
const COMPACT: [(&str, &[&str]); 2] = [
    ("gpt4o", &["gpt-4o"]),
    ("gpt35turbo", &["gpt-3.5-turbo", "gpt-35-turbo", "gpt-3-turbo"]),
];

/// A deployment that every resource has.
#[derive(Debug, PartialEq)]
pub(super) struct Model {
    pub deployment: String,
    /// Where that was said first.
    pub variable: String,
    /// Public names; empty for the deployment's own.
    pub serves: Vec<String>,
}

/// The deployments of each resource, at least one, in the order of the variables' names.
pub(super) fn models(variables: &mut Variables) -> Vec<Model> {
    let names: Vec<String> = variables.names_with(MAP).map(str::to_owned).collect();
    let mut models: Vec<Model> = Vec::new();
    let mut given: HashMap<String, (String, String)> = HashMap::new();
    for variable in names {
        let Some(deployment) = variables.get(&variable) else {
            continue;
        };
        let publics = public_names(&variable[MAP.len()..]);
        if publics.is_empty() {
            variables.complain(&variable, "must end in the name of a model, such as MODEL_MAP_GPT_4O");
            continue;
        }
        let at = models.iter().position(|model| model.deployment == deployment);
        let at = at.unwrap_or_else(|| {
            models.push(Model {
                deployment: deployment.clone(),
                variable: variable.clone(),
                serves: Vec::new(),
            });
            models.len() - 1
        });
        for public in publics {
            match given.get(&public) {
                Some((other, elsewhere)) if *elsewhere != deployment => {
                    let said = format!(
                        "gives the model {} to {}, and {other} gives it to {}",
                        named(&public),
                        named(&deployment),
                        named(elsewhere)
                    );
                    variables.complain(&variable, &said);
                }
                Some(_) => {}
                None => {
                    models[at].serves.push(public.clone());
                    given.insert(public, (variable.clone(), deployment.clone()));
                }
            }
        }
    }
    let sole = variables.either(DEPLOYMENT, DEPLOYMENT_NAME);
    match variables.get(sole) {
        None if models.is_empty() => {
            variables.complain(
                "MODEL_MAP_<MODEL>",
                &format!(
                    "is required: the deployment that a model leads to, for example MODEL_MAP_GPT_4O=my-deployment; \
                     or {DEPLOYMENT}"
                ),
            );
            models.push(sole_model("(none)".into(), sole));
        }
        Some(deployment) if models.is_empty() => models.push(sole_model(deployment, sole)),
        Some(_) => variables.warn(format!("{sole} has no effect beside MODEL_MAP_…")),
        None => {}
    }
    models
}

/// Whether any variable names a deployment.
pub(super) fn are_stated(variables: &Variables) -> bool {
    let sole = [DEPLOYMENT, DEPLOYMENT_NAME];
    sole.iter().any(|name| variables.is_set(name)) || variables.names_with(MAP).next().is_some()
}

pub(super) fn sole_model(deployment: String, variable: &str) -> Model {
    Model {
        deployment,
        variable: variable.to_owned(),
        serves: Vec::new(),
    }
}

/// What `written` may stand for: in lower case, `_` for `-`, and between two lone digits for `.` as well, since shells
/// take neither in a variable's name. `GPT_4_1_MINI` is `gpt-4-1-mini` and `gpt-4.1-mini`.
fn public_names(written: &str) -> Vec<String> {
    let lower = written.trim().to_lowercase();
    if lower.is_empty() {
        return Vec::new();
    }
    if let Some((_, known)) = COMPACT.iter().find(|(compact, _)| *compact == lower) {
        let known = known.iter().map(|name| (*name).to_owned());
        return known.chain([lower]).collect();
    }
    let dashed = lower.replace('_', "-");
    let parts: Vec<&str> = lower.split('_').collect();
    let is_digit = |part: &str| part.len() == 1 && part.starts_with(|c: char| c.is_ascii_digit());
    let mut dotted = parts[0].to_owned();
    for pair in parts.windows(2) {
        let mark = if is_digit(pair[0]) && is_digit(pair[1]) {
            '.'
        } else {
            '-'
        };
        dotted.push(mark);
        dotted.push_str(pair[1]);
    }
    if dotted == dashed {
        vec![dashed]
    } else {
        vec![dotted, dashed]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_as_a_shell_can_write_it() {
        let rows: [(&str, &[&str]); 8] = [
            ("GPT_4O", &["gpt-4o"]),
            ("gpt_4o_mini", &["gpt-4o-mini"]),
            ("GPT_4_1_MINI", &["gpt-4.1-mini", "gpt-4-1-mini"]),
            ("GPT_3_5_TURBO", &["gpt-3.5-turbo", "gpt-3-5-turbo"]),
            ("GPT_4O_2024_08_06", &["gpt-4o-2024-08-06"]),
            ("gpt-4.1", &["gpt-4.1"]),
            ("GPT4o", &["gpt-4o", "gpt4o"]),
            (
                "GPT35TURBO",
                &["gpt-3.5-turbo", "gpt-35-turbo", "gpt-3-turbo", "gpt35turbo"],
            ),
        ];
        for (written, expected) in rows {
            assert_eq!(public_names(written), expected, "{written}");
        }
    }
}
