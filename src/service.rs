//! Puts the parts together from a configuration, and lets the daemon run them.
//!
//! Owns the wiring only: which setting goes into which part. Decides nothing about
//! runs; what a run does is `sync`'s.

mod audit;
mod election;
mod inbox;
mod past;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use audit::verify;
pub use election::Election;
pub use inbox::Inbox;
pub use past::{open, recall};

use crate::chain::Chain;
use crate::config::{Config, Credential, Database, GroupScope, Secret, UserScope};
use crate::daemon::{Lead, Refusal, Request, Runner, Shutdown, Stopped};
use crate::graph::{self, Directory, IdentityKind, IdentitySettings, SecretSource};
use crate::metrics::Metrics;
use crate::reconcile::guard::{self, Limit, Limits};
use crate::reconcile::report::{Failure, Outcome, Report};
use crate::reconcile::world::RegistryEntry;
use crate::registry;
use crate::store::{self, Store};
use crate::sync::{self, ATTEMPTS_MAX, Done, Mandate, Run, Settings, Sync};

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
pub fn store(database: &Database) -> Result<Store, Error> {
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
    let allowance = |from: crate::config::Allowance| guard::Allowance {
        max: from.max.into(),
        percent: from.percent,
    };
    let limit = |from: crate::config::UnitLimits| Limit {
        run: allowance(from.run),
        window: allowance(from.window),
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
            access: limit(guard.access),
            product_percent: guard.product_percent,
            product_window_percent: guard.product_window_percent,
            floor: guard.floor.into(),
            window: guard.window,
            gain_percent: guard.gain_percent,
            hold_gains: guard.hold_gains,
            plans_max: guard.plans_max.into(),
            keep_reachable: guard.keep_reachable,
            rehearse: guard.rehearse,
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
    Ok(Sync::new(store(&config.database)?, directory(config, observer)?, sync_settings(config)?))
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
    instance: String,
    lead: watch::Receiver<Lead>,
    inbox: Inbox,
}

impl Service {
    /// A service of the replica `instance` that counts in `metrics`, commits in the epoch
    /// that `lead` tells, and answers what is in `inbox`.
    pub const fn new(
        sync: Sync,
        metrics: Arc<Metrics>,
        instance: String,
        lead: watch::Receiver<Lead>,
        inbox: Inbox,
    ) -> Self {
        Self { sync, metrics, on_done: None, instance, lead, inbox }
    }

    /// The same, telling `on_done` of each run that committed.
    #[must_use]
    pub fn watched(mut self, on_done: OnDone) -> Self {
        self.on_done = Some(on_done);
        self
    }

    /// Shows when the credential ends: its files may have been replaced since last time.
    pub async fn look_at_credential(&self) {
        self.metrics.credential_expiry(self.sync.credential_expires_at().await);
    }

    async fn attempt(
        &self,
        run: Run,
        stop: &Shutdown,
        requests: &[i64],
    ) -> Result<Report, Setback> {
        let reading = stop.unless_stopped(self.sync.observe(run));
        let observation = tokio::select! {
            biased;
            () = self.deposed() => return Err(Setback::Deposed),
            observation = reading => observation??,
        };
        // The epoch of now, not of the beginning: who lost the lead while reading, and has
        // it again with nobody in between, has read nothing in vain.
        let epoch = self.lead.borrow().epoch;
        let mandate = Mandate { epoch, requests: requests.to_vec() };
        let done = self.sync.commit(run, observation.under(mandate), false).await?;
        if let Some(held) = &done.held_plan {
            tracing::warn!(
                run.id = %run.id, plan = held.plan.hash, items = held.items.len(),
                "a plan is held until a person answers: {}", held.plan.header.reasons.join("; ")
            );
        }
        if let Some(on_done) = &self.on_done {
            on_done(&done);
        }
        Ok(done.report)
    }

    /// Waits until another replica is known to lead: whatever is read here is in vain.
    async fn deposed(&self) {
        let mut lead = self.lead.clone();
        if lead.wait_for(Lead::is_deposed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the database knows a later leader than this replica.
    async fn is_deposed(&self) -> bool {
        let leader = self.sync.store().read(|tx| tx.leader()).await;
        let epoch = self.lead.borrow().epoch;
        leader.is_ok_and(|leader| leader.is_some_and(|leader| Some(leader.epoch) > epoch))
    }

    async fn failed(&self, run: Run, setback: Setback, before: &graph::Tally) -> Report {
        let (outcome, failure) = match setback {
            Setback::Stopped(Stopped::Requested) => (Outcome::Interrupted, None),
            Setback::Stopped(stopped @ Stopped::TimedOut { .. }) => {
                let message = stopped.to_string();
                (Outcome::Failed, Some(Failure { kind: "run_timeout", message }))
            }
            Setback::Deposed => (Outcome::Superseded, Some(deposed(&setback))),
            // A new leader refuses what an old one writes, or ends it before it is asked.
            Setback::Failed(ref error @ sync::Error::Store(ref cause))
                if !matches!(cause, store::Error::Superseded) && self.is_deposed().await =>
            {
                (Outcome::Superseded, Some(deposed(error)))
            }
            Setback::Failed(error) => return self.sync.failed(run, &error, before).await,
        };
        self.sync.ended(run, outcome, failure, before).await
    }
}

fn deposed(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure { kind: "deposed", message: Chain(error).to_string() }
}

#[derive(Debug, thiserror::Error)]
enum Setback {
    #[error("another replica took the lead; nothing was written")]
    Deposed,
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error(transparent)]
    Failed(#[from] sync::Error),
}

impl Runner for Service {
    async fn run(&mut self, request: Request, stop: &Shutdown) -> Report {
        let run = Sync::begin(request.mode, request.trigger);
        let before = self.sync.tally();
        let requests = self.inbox.open(self.sync.store(), request.mode).await;
        self.look_at_credential().await;
        let mut attempt = 1;
        loop {
            match self.attempt(run, stop, &requests).await {
                Ok(report) => {
                    self.inbox.answered(&requests);
                    return report;
                }
                Err(Setback::Failed(sync::Error::Store(error)))
                    if error.is_conflict() && attempt < ATTEMPTS_MAX =>
                {
                    attempt += 1;
                }
                Err(setback) => {
                    let report = self.failed(run, setback, &before).await;
                    let answers = report.outcome == Outcome::Failed;
                    self.inbox.failed(self.sync.store(), run, requests, answers).await;
                    return report;
                }
            }
        }
    }

    async fn pass_on(&mut self, request: Request) -> Result<(), Refusal> {
        let Request { mode, trigger } = request;
        let by = self.instance.clone();
        let store = self.sync.store();
        store
            .write(move |tx| tx.request_run(mode, trigger, &by).map(store::Verdict::Commit))
            .await?;
        Ok(())
    }

    fn reload(&mut self, config: Arc<Config>) -> Result<(), Refusal> {
        let directory = directory(&config, Arc::new(Watch(Arc::clone(&self.metrics))))?;
        let settings = sync_settings(&config)?;
        self.sync = Sync::new(self.sync.store().clone(), directory, settings);
        Ok(())
    }
}
