//! As whom a deployment signs in.

use super::EntraCredential;
use crate::api::Secret;

/// As whom a deployment signs in with Entra ID, as its configuration says it. Deployments that say the same share tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) credential: EntraCredential,
    pub(crate) tenant_id: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) object_id: Option<String>,
    pub(crate) resource_id: Option<String>,
    pub(crate) client_secret: Option<Secret>,
}

impl Identity {
    /// What logs and reports call it.
    pub(crate) fn name(&self) -> String {
        let name = self.credential.name();
        let id = self
            .client_id
            .as_ref()
            .or(self.object_id.as_ref())
            .or(self.resource_id.as_ref());
        match (id, &self.tenant_id) {
            (None, None) => name.to_owned(),
            (Some(id), None) => format!("{name} ({id})"),
            (None, Some(tenant)) => format!("{name} (tenant {tenant})"),
            (Some(id), Some(tenant)) => format!("{name} ({id}, tenant {tenant})"),
        }
    }
}
