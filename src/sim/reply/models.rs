//! The list of models.

use super::{put, quote};
use crate::sim::config::SimDeployment;
use crate::sim::request::Surface;

/// How long a model is served, in seconds: a year.
const MODEL_LIFE_S: u64 = 365 * 86_400;

/// The body of `GET …/models`: the models of a resource's deployments, each once. The dated surface lists them in Azure's
/// own form, the others in OpenAI's.
pub(crate) fn json<'a>(
    deployments: impl Iterator<Item = &'a SimDeployment>,
    surface: Surface,
    created: u64,
) -> Vec<u8> {
    let mut listed: Vec<String> = Vec::new();
    let mut out = b"{\"data\":[".to_vec();
    for deployment in deployments {
        let model = deployment.served_model();
        if listed.contains(&model) {
            continue;
        }
        if !listed.is_empty() {
            out.push(b',');
        }
        if surface == Surface::Dated {
            of_azure(&mut out, deployment, &model, created);
        } else {
            put!(&mut out, "{{\"created\":{created},\"id\":");
            quote(&mut out, &model);
            out.extend_from_slice(b",\"object\":\"model\",\"owned_by\":\"system\"}");
        }
        listed.push(model);
    }
    out.extend_from_slice(b"],\"object\":\"list\"}");
    out
}

fn of_azure(out: &mut Vec<u8>, deployment: &SimDeployment, model: &str, created: u64) {
    let chat = !deployment
        .operations
        .iter()
        .all(|operation| operation.path() == "embeddings");
    let embeddings = deployment
        .operations
        .iter()
        .any(|operation| operation.path() == "embeddings");
    put!(
        out,
        "{{\"capabilities\":{{\"chat_completion\":{chat},\"completion\":{chat},\"embeddings\":{embeddings},\
         \"fine_tune\":false,\"inference\":true}},\"created_at\":{created},\"deprecation\":{{\"inference\":{}}},\"id\":",
        created + MODEL_LIFE_S
    );
    quote(out, model);
    out.extend_from_slice(
        b",\"lifecycle_status\":\"generally-available\",\"object\":\"model\",\"status\":\"succeeded\"}",
    );
}
