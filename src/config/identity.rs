//! How the daemon proves who it is to Azure AD.
//!
//! Owns which keys belong to which kind of credential. Must not get tokens, and must
//! not show any value of this section: people paste secrets into neighbouring keys.

use std::path::PathBuf;

use url::Url;
use uuid::Uuid;

use super::layers::Sources;
use super::problem::Fault;
use super::reader::Reader;
use super::secret::Secret;
use super::values::{guid, secret, service, word};
use crate::reconcile::report::labels;

labels! {
    /// The kinds of credential.
    CredentialKind {
        /// An application with a secret.
        ClientSecret = "client_secret",
        /// An application with a certificate.
        Certificate = "certificate",
        /// A token that Kubernetes projects into the pod.
        WorkloadIdentity = "workload_identity",
        /// What Azure gives to its machines and services.
        ManagedIdentity = "managed_identity",
        /// Whoever ran `az login`.
        AzureCli = "azure_cli",
    }
}

/// Who the daemon is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The root of the token endpoint.
    pub authority: Url,
    /// The one tenant.
    pub tenant_id: Uuid,
    /// The proof.
    pub credential: Credential,
}

/// A credential with just what its kind needs.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An application with a secret.
    ClientSecret {
        /// The application.
        client_id: Uuid,
        /// Its secret.
        secret: Secret,
    },
    /// An application with a certificate, both files PEM.
    Certificate {
        /// The application.
        client_id: Uuid,
        /// The certificate.
        certificate_file: PathBuf,
        /// Its RSA key.
        private_key_file: PathBuf,
    },
    /// A projected token.
    WorkloadIdentity {
        /// The application.
        client_id: Uuid,
        /// The token, replaced by Kubernetes as it ages.
        federated_token_file: PathBuf,
    },
    /// What Azure gives to its machines and services.
    ManagedIdentity {
        /// A user-assigned identity; `None` for the system's.
        client_id: Option<Uuid>,
    },
    /// Whoever ran `az login`.
    AzureCli,
}

impl Credential {
    /// The word of its kind.
    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::ClientSecret { .. } => CredentialKind::ClientSecret,
            Self::Certificate { .. } => CredentialKind::Certificate,
            Self::WorkloadIdentity { .. } => CredentialKind::WorkloadIdentity,
            Self::ManagedIdentity { .. } => CredentialKind::ManagedIdentity,
            Self::AzureCli => CredentialKind::AzureCli,
        }
    }
}

/// Every key of the section, read whatever the kind, so that all of them are known.
struct Keys {
    client_id: Option<Uuid>,
    secret: Option<Secret>,
    certificate_file: Option<PathBuf>,
    private_key_file: Option<PathBuf>,
    federated_token_file: Option<PathBuf>,
}

impl Identity {
    pub(super) fn read(from: &mut Reader, sources: &Sources, warnings: &mut Vec<String>) -> Self {
        let kind = from.get("identity.kind", word(CredentialKind::ALL, CredentialKind::label));
        let mut authority = from.get("identity.authority", service);
        let mut tenant_id = from.get("identity.tenant_id", guid);
        let mut keys = Keys::read(from, warnings);
        if kind == CredentialKind::WorkloadIdentity {
            // The names that the Azure workload identity webhook puts into pods.
            tenant_id = tenant_id
                .or_else(|| injected(from, sources, "AZURE_TENANT_ID", "identity.tenant_id"));
            keys.client_id = keys
                .client_id
                .or_else(|| injected(from, sources, "AZURE_CLIENT_ID", "identity.client_id"));
            keys.federated_token_file = keys
                .federated_token_file
                .or_else(|| sources.variable("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from));
            let host =
                sources.variable("AZURE_AUTHORITY_HOST").and_then(|host| Url::parse(host).ok());
            if let Some(host) =
                host.filter(|host| host.scheme() == "https" && !from.is_given("identity.authority"))
            {
                authority = host;
            }
        }
        let tenant_id =
            from.require("identity.tenant_id", tenant_id, "the daemon serves one tenant");
        Self { authority, tenant_id, credential: keys.credential(kind, from) }
    }
}

impl Keys {
    fn read(from: &mut Reader, warnings: &mut Vec<String>) -> Self {
        let client_id = from.get("identity.client_id", guid);
        let value = from.get("identity.client_secret", secret);
        let file = super::secret_file(from, "identity.client_secret_file", warnings);
        if value.is_some() {
            super::note_public(from, "identity.client_secret", warnings);
        }
        if value.is_some() && file.is_some() {
            let fault = Fault::new("is set beside identity.client_secret", "set one of the two");
            from.complain("identity.client_secret_file", fault);
        }
        Self {
            client_id,
            secret: file.map(Secret::File).or_else(|| value.map(Secret::Value)),
            certificate_file: super::readable_file(from, "identity.certificate_file"),
            private_key_file: super::secret_file(from, "identity.private_key_file", warnings),
            federated_token_file: super::readable_file(from, "identity.federated_token_file"),
        }
    }

    fn credential(self, kind: CredentialKind, from: &mut Reader) -> Credential {
        let why = format!("identity.kind = {:?} needs it", kind.label());
        match kind {
            CredentialKind::ClientSecret => Credential::ClientSecret {
                client_id: from.require("identity.client_id", self.client_id, &why),
                secret: from.require(
                    "identity.client_secret_file",
                    self.secret,
                    "neither is identity.client_secret, and identity.kind = \"client_secret\" needs one of them",
                ),
            },
            CredentialKind::Certificate => Credential::Certificate {
                client_id: from.require("identity.client_id", self.client_id, &why),
                certificate_file: from.require("identity.certificate_file", self.certificate_file, &why),
                private_key_file: from.require("identity.private_key_file", self.private_key_file, &why),
            },
            CredentialKind::WorkloadIdentity => Credential::WorkloadIdentity {
                client_id: from.require("identity.client_id", self.client_id, &why),
                federated_token_file: from.require("identity.federated_token_file", self.federated_token_file, &why),
            },
            CredentialKind::ManagedIdentity => Credential::ManagedIdentity { client_id: self.client_id },
            CredentialKind::AzureCli => Credential::AzureCli,
        }
    }
}

/// A GUID that the platform put into the environment.
fn injected(from: &mut Reader, sources: &Sources, variable: &str, key: &str) -> Option<Uuid> {
    let text = sources.variable(variable)?;
    let id = Uuid::parse_str(text).ok();
    if id.is_none() {
        from.complain(
            key,
            Fault::new(format!("is taken from {variable}, which is no GUID"), "set the key itself"),
        );
    }
    id
}
