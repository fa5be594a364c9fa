//! Puts the parts together from a configuration, and lets the daemon run them.
//!
//! Owns the wiring only: which setting goes into which part. Decides nothing about
//! runs; what a run does is `sync`'s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::chain::Chain;
use crate::config::{Config, Credential, GroupScope, Secret, UserScope};
use crate::daemon::{Refusal, Request, Runner, Shutdown, Stopped};
use crate::directory::Mode;
use crate::graph::{self, Directory, IdentityKind, IdentitySettings, SecretSource};
use crate::metrics::Metrics;
use crate::reconcile::guard::{Limit, Limits};
use crate::reconcile::report::{Failure, Outcome, Report};
use crate::reconcile::world::RegistryEntry;
use crate::registry;
use crate::store::{self, Store};
use crate::sync::{self, ATTEMPTS_MAX, Done, Run, Settings, Sync};

/// Why the parts could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A secret's file could not be read.
    #[error("reading a secret of the configuration failed")]
    Secret(#[from] crate::config::SecretError),
    /// The database's settings are no good.
    #[error("the database's settings cannot be used")]
    Store(#[from] store::Error),
    /// Graph's settings or the credential are no good.
    #[error("the settings of Microsoft Graph cannot be used")]
    Graph(#[from] graph::Error),
    /// The registry is no good.
    #[error("the product registry cannot be used")]
    Registry(#[from] registry::Error),
}

/// Opens the database of a configuration.
pub fn store(config: &Config) -> Result<Store, Error> {
    let database = &config.database;
    Ok(Store::open(&store::Settings {
        url: database.url.read()?,
        pool_size: database.pool_size,
        connect_timeout: database.connect_timeout,
        statement_timeout: database.statement_timeout,
        lock_timeout: database.lock_timeout,
    })?)
}

/// Connects to the Graph of a configuration.
pub fn directory(config: &Config, observer: Arc<dyn graph::Observer>) -> Result<Directory, Error> {
    let from = &config.graph;
    let mut settings = graph::Settings::new(from.endpoint.clone());
    settings.page_size = u16::try_from(from.page_size).unwrap_or(u16::MAX);
    settings.concurrency = as_usize(from.concurrency);
    settings.batch_size = as_usize(from.batch_size);
    settings.pages_max = from.pages_max;
    settings.body_bytes_max = as_usize(from.body_bytes_max);
    settings.retries_max = from.retries_max;
    settings.backoff_base = from.backoff_base;
    settings.backoff_max = from.backoff_max;
    settings.connect_timeout = from.connect_timeout;
    settings.request_timeout = from.request_timeout;
    Ok(Directory::connect(settings, identity(config), observer)?)
}

fn identity(config: &Config) -> IdentitySettings {
    let from = &config.identity;
    let (kind, client_id) = match &from.credential {
        Credential::ClientSecret { client_id, .. } => (IdentityKind::ClientSecret, Some(client_id)),
        Credential::Certificate { client_id, .. } => (IdentityKind::Certificate, Some(client_id)),
        Credential::WorkloadIdentity { client_id, .. } => {
            (IdentityKind::WorkloadIdentity, Some(client_id))
        }
        Credential::ManagedIdentity { client_id } => {
            (IdentityKind::ManagedIdentity, client_id.as_ref())
        }
        Credential::AzureCli => (IdentityKind::AzureCli, None),
    };
    let client_id = client_id.map(ToString::to_string).unwrap_or_default();
    let tenant_id = from.tenant_id.to_string();
    let mut identity = IdentitySettings::new(kind, from.authority.clone(), tenant_id, client_id);
    match &from.credential {
        Credential::ClientSecret { secret, .. } => {
            identity.client_secret = Some(match secret {
                Secret::Value(secret) => SecretSource::Inline(secret.clone()),
                Secret::File(path) => SecretSource::File(path.clone()),
            });
        }
        Credential::Certificate { certificate_file, private_key_file, .. } => {
            identity.certificate_file = Some(certificate_file.clone());
            identity.private_key_file = Some(private_key_file.clone());
        }
        Credential::WorkloadIdentity { federated_token_file, .. } => {
            identity.federated_token_file = Some(federated_token_file.clone());
        }
        Credential::ManagedIdentity { .. } | Credential::AzureCli => {}
    }
    identity
}

/// What runs are told by a configuration.
pub fn sync_settings(config: &Config) -> Result<Settings, Error> {
    let registry = config.registry.file.as_deref().map(registry::load).transpose()?;
    let limit = |allowance: crate::config::Allowance| Limit {
        max: allowance.max.into(),
        percent: allowance.percent,
    };
    let guard = &config.guard;
    Ok(Settings {
        tenant_id: config.identity.tenant_id.to_string(),
        endpoint: config.graph.endpoint.to_string(),
        all_groups: config.scope.groups == GroupScope::All,
        all_users: config.scope.users == UserScope::All,
        include_guests: config.scope.include_guests,
        include_disabled: config.scope.include_disabled,
        admin_groups: config.roles.admin_groups.iter().copied().collect(),
        registry: registry.map(|registry| Arc::<Vec<RegistryEntry>>::new(registry.entries)),
        limits: Limits {
            users: limit(guard.users),
            groups: limit(guard.groups),
            memberships: limit(guard.memberships),
            floor: guard.floor.into(),
        },
        retention: config.removal.retention,
        clock_skew_max: config.removal.clock_skew_max,
        findings_retention: config.findings.retention,
        confirmations_max: as_usize(config.removal.confirmations_max),
    })
}

fn as_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Everything that a run needs.
pub fn sync(config: &Config, observer: Arc<dyn graph::Observer>) -> Result<Sync, Error> {
    Ok(Sync::new(store(config)?, directory(config, observer)?, sync_settings(config)?))
}

/// Metrics watch the reading.
pub struct Watch(pub Arc<Metrics>);

impl graph::Observer for Watch {
    fn answered(&self, answer: &graph::Answer) {
        let status = (answer.status != 0).then_some(answer.status);
        let taken = answer.seconds.map(Duration::from_secs_f64);
        self.0.graph_request(answer.endpoint.label(), status, taken);
        self.0.graph_resource_units(answer.resource_units);
    }

    fn retried(&self, _: graph::Endpoint, reason: &'static str) {
        self.0.graph_retry(reason);
    }

    fn waited(&self, seconds: f64) {
        self.0.graph_waited(seconds);
    }

    fn throttle_ratio(&self, ratio: f64) {
        self.0.graph_throttle_ratio(ratio);
    }
}

/// Called with what a run did, plan included; the demo shows it.
pub type OnDone = Arc<dyn Fn(&Done) + Send + std::marker::Sync>;

/// Does the daemon's runs.
pub struct Service {
    sync: Sync,
    metrics: Arc<Metrics>,
    on_done: Option<OnDone>,
}

impl Service {
    /// A service that counts in `metrics`.
    pub const fn new(sync: Sync, metrics: Arc<Metrics>) -> Self {
        Self { sync, metrics, on_done: None }
    }

    /// The same, telling `on_done` of each run that committed.
    #[must_use]
    pub fn watched(mut self, on_done: OnDone) -> Self {
        self.on_done = Some(on_done);
        self
    }

    async fn attempt(&self, run: Run, stop: &Shutdown) -> Result<Report, Setback> {
        let observation = stop.unless_stopped(self.sync.observe(run)).await??;
        let done = self.sync.commit(run, observation, false).await?;
        for trip in &done.trips {
            tracing::warn!(run.id = %run.id, "removals are held: {trip}");
        }
        if let Some(on_done) = &self.on_done {
            on_done(&done);
        }
        Ok(done.report)
    }

    async fn failed(&self, run: Run, setback: Setback) -> Report {
        let (outcome, failure) = match setback {
            Setback::Stopped(Stopped::Requested) => (Outcome::Interrupted, None),
            Setback::Stopped(stopped @ Stopped::TimedOut { .. }) => {
                let message = stopped.to_string();
                (Outcome::Failed, Some(Failure { kind: "run_timeout", message }))
            }
            Setback::Failed(sync::Error::Store(store::Error::Superseded)) => {
                (Outcome::Superseded, None)
            }
            Setback::Failed(error) => {
                let failure = Failure { kind: error.kind(), message: Chain(&error).to_string() };
                (Outcome::Failed, Some(failure))
            }
        };
        self.sync.ended(run, outcome, failure).await
    }
}

#[derive(Debug, thiserror::Error)]
enum Setback {
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error(transparent)]
    Failed(#[from] sync::Error),
}

impl Runner for Service {
    async fn run(&mut self, request: Request, stop: &Shutdown) -> Report {
        let run = Sync::begin(request.mode, request.trigger);
        let mut attempt = 1;
        loop {
            match self.attempt(run, stop).await {
                Ok(report) => return report,
                Err(Setback::Failed(sync::Error::Store(error)))
                    if error.is_conflict() && attempt < ATTEMPTS_MAX =>
                {
                    attempt += 1;
                }
                Err(setback) => return self.failed(run, setback).await,
            }
        }
    }

    fn reload(&mut self, config: Arc<Config>) -> Result<(), Refusal> {
        let directory = directory(&config, Arc::new(Watch(Arc::clone(&self.metrics))))?;
        let settings = sync_settings(&config)?;
        self.sync = Sync::new(self.sync.store().clone(), directory, settings);
        Ok(())
    }
}

/// When a run of each mode last succeeded, as the database tells; empty where it
/// cannot be asked yet.
pub async fn last_successes(store: &Store) -> BTreeMap<Mode, DateTime<Utc>> {
    let rows = store.read(|tx| tx.last_successes()).await.unwrap_or_default();
    rows.into_iter().collect()
}
