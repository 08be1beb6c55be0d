//! The sources of Entra ID tokens, by name.

/// Where a token of Microsoft Entra ID comes from.
///
/// Which tenant, identity and secret it uses is said beside it, by
/// [`DeploymentConfig::tenant_id`](crate::config::DeploymentConfig::tenant_id) and its neighbours, or by the environment.
/// `docs/credentials.md` in the repository tells what each needs and where it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntraCredential {
    /// Environment, workload identity, managed identity, then the developer's tools: the first that yields a token is
    /// kept. An empty `api_key` means this one too, as in the Python original.
    Default,
    /// The login of the Azure command line, `az login`.
    Az,
    /// A person at a browser on this machine.
    Interactive,
    /// The managed identity of the virtual machine or app.
    Managed,
    /// The workload identity of a Kubernetes pod.
    Workload,
    /// An app registration's secret.
    ClientSecret,
    /// A person at a browser on another machine, who types a code there.
    DeviceCode,
}

impl EntraCredential {
    /// All of them.
    pub const ALL: [EntraCredential; 7] = [
        EntraCredential::Default,
        EntraCredential::Az,
        EntraCredential::Interactive,
        EntraCredential::Managed,
        EntraCredential::Workload,
        EntraCredential::ClientSecret,
        EntraCredential::DeviceCode,
    ];

    /// The name that it has in a configuration file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            EntraCredential::Default => "default",
            EntraCredential::Az => "az",
            EntraCredential::Interactive => "interactive",
            EntraCredential::Managed => "managed",
            EntraCredential::Workload => "workload",
            EntraCredential::ClientSecret => "client_secret",
            EntraCredential::DeviceCode => "device_code",
        }
    }

    /// Names of at least five letters: of a credential, and what the vendor's SDKs and tools call the same.
    pub(crate) const LONG_NAMES: [(&'static str, EntraCredential); 10] = [
        ("default", EntraCredential::Default),
        ("default_azure_credential", EntraCredential::Default),
        ("azure_cli", EntraCredential::Az),
        ("interactive", EntraCredential::Interactive),
        ("managed", EntraCredential::Managed),
        ("managed_identity", EntraCredential::Managed),
        ("workload", EntraCredential::Workload),
        ("workload_identity", EntraCredential::Workload),
        ("client_secret", EntraCredential::ClientSecret),
        ("device_code", EntraCredential::DeviceCode),
    ];

    /// The credential of that name, in any letter case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|credential| credential.name().eq_ignore_ascii_case(name))
    }
}

impl EntraCredential {
    /// The feature that it needs and this build does not have.
    pub(crate) fn lacking_feature(self) -> Option<&'static str> {
        let (feature, is_there) = match self {
            EntraCredential::Interactive | EntraCredential::DeviceCode => {
                ("browser-login", cfg!(feature = "browser-login"))
            }
            _ => ("entra", cfg!(feature = "entra")),
        };
        (!is_there).then_some(feature)
    }
}
