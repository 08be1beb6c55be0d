//! The list of models.

use super::{put, quote};
use crate::sim::config::SimDeployment;

/// The body of `GET …/models`: the models of a resource's deployments, each once.
pub(crate) fn json<'a>(deployments: impl Iterator<Item = &'a SimDeployment>, created: u64) -> Vec<u8> {
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
        let chat = !deployment
            .operations
            .iter()
            .all(|operation| operation.path() == "embeddings");
        put!(
            &mut out,
            "{{\"capabilities\":{{\"chat_completion\":{chat},\"completion\":{chat},\"embeddings\":{},\"fine_tune\":false,\
             \"inference\":true}},\"created_at\":{created},\"id\":",
            deployment
                .operations
                .iter()
                .any(|operation| operation.path() == "embeddings")
        );
        quote(&mut out, &model);
        out.extend_from_slice(
            b",\"lifecycle_status\":\"generally-available\",\"object\":\"model\",\"status\":\"succeeded\"}",
        );
        listed.push(model);
    }
    out.extend_from_slice(b"],\"object\":\"list\"}");
    out
}
