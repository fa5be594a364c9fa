//! How the daemon proves who it is.
//!
//! Owns the use of `azure_identity`: one credential of the configured kind, asked for
//! one token. Must not cache anything; that is `token`'s.

use std::path::Path;
use std::sync::Arc;

use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_core::time::Duration as AzureDuration;
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use crate::chain::Chain;
use crate::file;

use super::assertion::{self, CertificateAssertion};
use super::authority::{Authority, Refusal};
use super::error::{Cause, Error, UNTRUSTED, is_about_trust};
use super::link;
use super::settings::{IdentityKind, IdentitySettings, SecretSource, Settings};

/// Time for one token, repetitions within `azure_identity` included: every request of the
/// client waits for it.
const PATIENCE: AzureDuration = AzureDuration::seconds(20);

/// Makes tokens from the configured identity.
pub(super) struct Mint {
    identity: IdentitySettings,
    scope: String,
    authority: Authority,
    retry: RetryOptions,
}

impl Mint {
    pub(super) fn new(
        identity: IdentitySettings,
        scope: String,
        settings: &Settings,
        authority: Authority,
    ) -> Result<Self, Error> {
        identity.check()?;
        link::check_base("identity.authority", &identity.authority)?;
        let initial_delay = AzureDuration::try_from(settings.backoff_base)
            .unwrap_or(AzureDuration::milliseconds(500));
        let retry = ExponentialRetryOptions {
            initial_delay,
            max_retries: settings.retries_max,
            max_total_elapsed: PATIENCE,
            ..ExponentialRetryOptions::default()
        };
        Ok(Self { identity, scope, authority, retry: RetryOptions::exponential(retry) })
    }

    /// Asks for a token with a credential made for this one time, from files as they are now.
    pub(super) async fn token(&self) -> Result<(SecretString, DateTime<Utc>), Error> {
        let authority = self.authority.for_one_token();
        let credential = self.credential(&authority).await?;
        let token = match credential.get_token(&[&self.scope], None).await {
            Ok(token) => token,
            Err(error) => return Err(explain(self.identity.kind, authority.refusal(), error)),
        };
        let expires_at =
            DateTime::from_timestamp(token.expires_on.unix_timestamp(), 0).unwrap_or_else(Utc::now);
        Ok((token.token.secret().to_owned().into(), expires_at))
    }

    /// When the client certificate ends; `None` where there is none that can be read.
    pub(super) async fn expires_at(&self) -> Option<DateTime<Utc>> {
        if self.identity.kind != IdentityKind::Certificate {
            return None;
        }
        let certificate = read(self.identity.certificate_file.as_deref()?).await.ok()?;
        assertion::not_after(&certificate)
    }

    async fn credential(&self, authority: &Authority) -> Result<Arc<dyn TokenCredential>, Error> {
        let identity = &self.identity;
        let tenant = identity.tenant_id.clone();
        let client = identity.client_id.clone();
        let client_options = self.options(authority);
        let made: azure_core::Result<Arc<dyn TokenCredential>> = match identity.kind {
            IdentityKind::ClientSecret => {
                let options = ClientSecretCredentialOptions { client_options };
                ClientSecretCredential::new(&tenant, client, self.secret().await?, Some(options))
                    .map(|made| made as _)
            }
            IdentityKind::Certificate => {
                let assertion = self.assertion().await?;
                let options = ClientAssertionCredentialOptions { client_options };
                ClientAssertionCredential::new(tenant, client, assertion, Some(options))
                    .map(|made| made as _)
            }
            IdentityKind::WorkloadIdentity => {
                self.look_at_projected_token().await?;
                let options = WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    client_id: Some(client).filter(|id| !id.is_empty()),
                    tenant_id: Some(tenant).filter(|id| !id.is_empty()),
                    token_file_path: identity.federated_token_file.clone(),
                };
                WorkloadIdentityCredential::new(Some(options)).map(|made| made as _)
            }
            IdentityKind::ManagedIdentity => {
                let user_assigned_id =
                    Some(client).filter(|id| !id.is_empty()).map(UserAssignedId::ClientId);
                let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
                ManagedIdentityCredential::new(Some(options)).map(|made| made as _)
            }
            IdentityKind::AzureCli => {
                let tenant_id = Some(tenant).filter(|id| !id.is_empty());
                let options =
                    AzureCliCredentialOptions { tenant_id, ..AzureCliCredentialOptions::default() };
                AzureCliCredential::new(Some(options)).map(|made| made as _)
            }
        };
        made.map_err(|error| Error::Credential {
            code: None,
            remedy: "check the keys under identity, and that the files they name exist",
            source: Some(Arc::new(error)),
        })
    }

    /// The transport must always be given: without one `azure_core`, built without its own, panics.
    fn options(&self, authority: &Authority) -> ClientOptions {
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = authority.address_for_azure(&self.identity.authority);
        ClientOptions {
            cloud: Some(Arc::new(cloud.into())),
            transport: Some(Transport::new(Arc::new(authority.clone()))),
            retry: self.retry.clone(),
            ..ClientOptions::default()
        }
    }

    /// What is no token is told before it is sent: the authority's answer would not say so.
    async fn look_at_projected_token(&self) -> Result<(), Error> {
        let Some(file) = &self.identity.federated_token_file else { return Ok(()) };
        let token = read(file).await?;
        let parts: Vec<&str> = token.trim().split('.').collect();
        let is_token = |part: &&str| !part.is_empty() && !part.contains(char::is_whitespace);
        if parts.len() == 3 && parts.iter().all(is_token) {
            return Ok(());
        }
        Err(Error::Credential {
            code: None,
            remedy: "the file that identity.federated_token_file names is empty or holds no token; check that the service account's token is projected there",
            source: None,
        })
    }

    async fn secret(&self) -> Result<Secret, Error> {
        match &self.identity.client_secret {
            Some(SecretSource::Inline(secret)) => {
                Ok(Secret::new(secret.expose_secret().to_owned()))
            }
            Some(SecretSource::File(path)) => {
                let secret = read(path).await?;
                let secret = secret.strip_suffix('\n').unwrap_or(&secret);
                Ok(Secret::new(secret.strip_suffix('\r').unwrap_or(secret).to_owned()))
            }
            None => Err(Error::settings("identity.client_secret", "is needed")),
        }
    }

    async fn assertion(&self) -> Result<CertificateAssertion, Error> {
        let Some(file) = &self.identity.certificate_file else {
            return Err(Error::settings("identity.certificate_file", "is needed"));
        };
        let certificate = read(file).await?;
        let key = match &self.identity.private_key_file {
            Some(file) => read(file).await?,
            None => certificate.clone(),
        };
        let authority = self.identity.authority.as_str().trim_end_matches('/');
        let audience = format!("{authority}/{}/oauth2/v2.0/token", self.identity.tenant_id);
        CertificateAssertion::new(audience, self.identity.client_id.clone(), &certificate, &key)
    }
}

async fn read(path: &Path) -> Result<String, Error> {
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || file::read_text(&path)).await;
    reading.unwrap_or_else(|error| Err(error.into())).map_err(|error| Error::Credential {
        code: None,
        remedy: "a file named under identity cannot be read; check that it exists and the daemon may read it",
        source: Some(Arc::new(error)),
    })
}

/// The error for a token that was not given, with a remedy where the cause is known.
fn explain(kind: IdentityKind, refusal: Option<Refusal>, error: azure_core::Error) -> Error {
    let about_trust = is_about_trust(&error);
    let source: Cause = Arc::new(error);
    let remedy = match (kind, refusal) {
        (_, Some(refusal)) if refusal.is_final() => {
            return Error::Credential {
                remedy: remedy(kind, refusal.code.as_deref()),
                code: refusal.code,
                source: Some(source),
            };
        }
        (IdentityKind::AzureCli, _) if Chain(&*source).to_string().contains("found on PATH") => {
            "identity.kind is azure_cli, but there is no `az` in PATH; install the Azure CLI and run `az login`, or choose another identity.kind"
        }
        (IdentityKind::AzureCli, _) => {
            "the Azure CLI gave none; run `az login` as the user of this process, or choose another identity.kind"
        }
        (IdentityKind::ManagedIdentity, None) => {
            "the metadata service of this machine did not give one; check that it has a managed identity, or choose another identity.kind"
        }
        _ if about_trust => UNTRUSTED,
        _ => "check that identity.authority can be reached",
    };
    Error::Token { remedy, source }
}

/// What to do about the common refusals of Microsoft Entra (4.1 of the facts).
fn remedy(kind: IdentityKind, code: Option<&str>) -> &'static str {
    match code.and_then(|code| code.strip_prefix("AADSTS")) {
        Some("7000215") => "the client secret is wrong; configure the secret's value, not its id",
        Some("7000222") => {
            "the client secret has expired; create a new one and replace it in its file"
        }
        Some("700016") => {
            "the application is unknown in this tenant; check identity.client_id and identity.tenant_id"
        }
        Some("90002") => "the tenant is unknown; check identity.tenant_id and identity.authority",
        Some("700211" | "700213" | "70021") => {
            "no federated credential matches; check issuer, subject and audience of the federated credential"
        }
        Some("700024") => "the assertion is outside its time; check the clock of this host",
        Some("700027") => {
            "the certificate is not one of the application's; upload it, or configure the right one"
        }
        Some("7000112") => "the application is disabled in this tenant; enable it",
        _ if kind == IdentityKind::WorkloadIdentity => {
            "check the token in the file that identity.federated_token_file names (old, or of another cluster?), identity.tenant_id, identity.client_id, and the application's federated credential"
        }
        _ => {
            "check identity.kind, identity.tenant_id, identity.client_id and the secret that goes with them"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: IdentityKind = IdentityKind::ClientSecret;

    #[test]
    fn every_common_refusal_has_its_own_remedy() {
        let codes =
            ["7000215", "7000222", "700016", "90002", "700211", "700024", "700027", "7000112"];
        let mut remedies: Vec<_> =
            codes.iter().map(|code| remedy(SECRET, Some(&format!("AADSTS{code}")))).collect();
        remedies.push(remedy(SECRET, None));
        remedies.push(remedy(IdentityKind::WorkloadIdentity, None));
        let all = remedies.len();
        remedies.sort_unstable();
        remedies.dedup();
        assert_eq!(remedies.len(), all);
        assert_eq!(remedy(SECRET, Some("AADSTS70021")), remedy(SECRET, Some("AADSTS700213")));
    }
}
