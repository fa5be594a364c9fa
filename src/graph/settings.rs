//! What an operator decides about reading Graph.
//!
//! Owns the settings of the requests and of the identity, and the rules a value
//! must keep. Must not read files or the environment: configuration is loaded
//! elsewhere, secrets are read when a token is asked for.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::error::Error;

/// The most objects Graph gives on one page (`$top`, "paging" page).
const PAGE_SIZE_MAX: u16 = 999;
/// The most requests Graph takes in one batch ("json-batching" page).
const BATCH_SIZE_MAX: usize = 20;

/// How Graph is read, and where every reading ends.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Scheme, host and port of Graph; `/v1.0` is added. Plain http only for loopback hosts.
    pub endpoint: Url,
    /// Objects a page of a plain list, 1 to 999.
    pub page_size: u16,
    /// Requests put into one `$batch`, 1 to 20.
    pub batch_size: usize,
    /// Requests under way at once, over everything this client does.
    pub concurrency: usize,
    /// Pages of one chain of links; a longer one fails.
    pub pages_max: u32,
    /// Bytes of one answer after decompression; a larger one fails.
    pub body_bytes_max: usize,
    /// Attempts after the first that one request (or one item of a batch) gets.
    pub retries_max: u32,
    /// Times that a list or round is begun again because its page links expired.
    pub restarts_max: u32,
    /// Upper end of the first random wait; it doubles from attempt to attempt.
    pub backoff_base: Duration,
    /// The longest single wait, whatever `Retry-After` asks for.
    pub backoff_max: Duration,
    /// Time to establish a connection.
    pub connect_timeout: Duration,
    /// Time of one request, from sending to the last byte of the answer.
    pub request_timeout: Duration,
}

impl Settings {
    /// Settings that suit a tenant of a hundred thousand users.
    pub fn new(endpoint: Url) -> Self {
        Self {
            endpoint,
            page_size: PAGE_SIZE_MAX,
            batch_size: BATCH_SIZE_MAX,
            concurrency: 8,
            pages_max: 20_000,
            body_bytes_max: 64 * 1024 * 1024,
            retries_max: 8,
            restarts_max: 3,
            backoff_base: Duration::from_millis(500),
            backoff_max: Duration::from_mins(2),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(100),
        }
    }

    /// Refuses values that could only fail later, or never end.
    pub(super) fn check(&self) -> Result<(), Error> {
        let rules = [
            ("graph.page_size", (1..=PAGE_SIZE_MAX).contains(&self.page_size), "must be 1 to 999"),
            (
                "graph.batch_size",
                (1..=BATCH_SIZE_MAX).contains(&self.batch_size),
                "must be 1 to 20",
            ),
            ("graph.concurrency", self.concurrency > 0, "must be at least 1"),
            ("graph.pages_max", self.pages_max > 0, "must be at least 1"),
            ("graph.body_bytes_max", self.body_bytes_max > 0, "must be at least 1"),
            (
                "graph.connect_timeout",
                !self.connect_timeout.is_zero(),
                "must be longer than nothing",
            ),
            (
                "graph.request_timeout",
                !self.request_timeout.is_zero(),
                "must be longer than nothing",
            ),
            ("graph.backoff_base", !self.backoff_base.is_zero(), "must be longer than nothing"),
            (
                "graph.backoff_max",
                self.backoff_max >= self.backoff_base,
                "must not be shorter than graph.backoff_base",
            ),
        ];
        match rules.into_iter().find(|(_, kept, _)| !kept) {
            Some((key, _, rule)) => Err(Error::settings(key, rule)),
            None => Ok(()),
        }
    }
}

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// Given in the configuration itself.
    Inline(SecretString),
    /// The content of a file, read anew for each token so that a rotated secret is taken up
    /// without a restart. One newline at the end does not count.
    File(PathBuf),
}

/// How the daemon proves to Microsoft Entra who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityKind {
    /// An application secret.
    ClientSecret,
    /// A certificate of the application, by a signed assertion.
    Certificate,
    /// A projected service account token (Kubernetes workload identity).
    WorkloadIdentity,
    /// The identity of the machine or pod it runs on.
    ManagedIdentity,
    /// Whoever is logged in to the Azure CLI; for laptops.
    AzureCli,
}

/// Who the daemon is in the tenant, and how it proves it.
#[derive(Clone, Debug)]
pub struct IdentitySettings {
    /// The proof.
    pub kind: IdentityKind,
    /// Where tokens come from; plain http only for loopback hosts.
    pub authority: Url,
    /// Directory (tenant) id.
    pub tenant_id: String,
    /// Application (client) id; for a managed identity, empty means the system-assigned one.
    pub client_id: String,
    /// For `ClientSecret`.
    pub client_secret: Option<SecretSource>,
    /// For `Certificate`: PEM with the certificate, and with the private key unless that has its own file.
    pub certificate_file: Option<PathBuf>,
    /// For `Certificate`: PEM with the RSA private key.
    pub private_key_file: Option<PathBuf>,
    /// For `WorkloadIdentity`; without it `AZURE_FEDERATED_TOKEN_FILE` of the pod is used.
    pub federated_token_file: Option<PathBuf>,
    /// The scope asked for; without it `/.default` of the Graph endpoint.
    pub scope: Option<String>,
}

impl IdentitySettings {
    /// An identity with nothing but a kind and its ids; the rest is set by field.
    pub fn new(
        kind: IdentityKind,
        authority: Url,
        tenant_id: impl Into<String>,
        client_id: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            authority,
            tenant_id: tenant_id.into(),
            client_id: client_id.into(),
            client_secret: None,
            certificate_file: None,
            private_key_file: None,
            federated_token_file: None,
            scope: None,
        }
    }

    /// Refuses an identity that lacks what its kind needs.
    pub(super) fn check(&self) -> Result<(), Error> {
        let named = matches!(self.kind, IdentityKind::ClientSecret | IdentityKind::Certificate);
        let rules = [
            (
                "identity.tenant_id",
                !named || !self.tenant_id.is_empty(),
                "is needed for this identity.kind",
            ),
            (
                "identity.client_id",
                !named || !self.client_id.is_empty(),
                "is needed for this identity.kind",
            ),
            (
                "identity.client_secret",
                self.kind != IdentityKind::ClientSecret || self.client_secret.is_some(),
                "is needed for identity.kind client_secret (or client_secret_file)",
            ),
            (
                "identity.certificate_file",
                self.kind != IdentityKind::Certificate || self.certificate_file.is_some(),
                "is needed for identity.kind certificate",
            ),
        ];
        match rules.into_iter().find(|(_, kept, _)| !kept) {
            Some((key, _, rule)) => Err(Error::settings(key, rule)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut Settings);

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn a_value_that_could_never_work_is_named() {
        let good = Settings::new(url("https://graph.microsoft.com"));
        assert!(good.check().is_ok());
        let table: [(&str, Spoil); 6] = [
            ("graph.page_size", |s| s.page_size = 1000),
            ("graph.batch_size", |s| s.batch_size = 21),
            ("graph.concurrency", |s| s.concurrency = 0),
            ("graph.pages_max", |s| s.pages_max = 0),
            ("graph.backoff_base", |s| s.backoff_base = Duration::ZERO),
            ("graph.backoff_max", |s| s.backoff_max = Duration::from_millis(1)),
        ];
        for (key, spoil) in table {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert!(bad.check().is_err_and(|error| error.to_string().contains(key)), "{key}");
        }
    }

    #[test]
    fn an_identity_needs_what_its_kind_needs() {
        let authority = url("https://login.microsoftonline.com");
        let identity = |kind| IdentitySettings::new(kind, authority.clone(), "tenant", "app");
        assert!(identity(IdentityKind::ClientSecret).check().is_err());
        assert!(identity(IdentityKind::Certificate).check().is_err());
        assert!(identity(IdentityKind::ManagedIdentity).check().is_ok());
        assert!(identity(IdentityKind::WorkloadIdentity).check().is_ok());
    }
}
