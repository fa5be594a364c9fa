//! One simulator, one database, and runs between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use graph_simulator::{Options, Simulator, Tenant};
use nexus_dirsync::chain::Chain;
use nexus_dirsync::directory::Mode;
use nexus_dirsync::graph::{self, Directory, IdentityKind, IdentitySettings, SecretSource};
use nexus_dirsync::reconcile::guard::{Allowance, Limit, Limits};
use nexus_dirsync::reconcile::report::{Report, Trigger};
use nexus_dirsync::reconcile::world::RegistryEntry;
use nexus_dirsync::store::{self, Store};
use nexus_dirsync::sync::{Done, Error, Settings, Sync};
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

use super::postgres;

pub const TENANT: &str = "11111111-2222-4333-8444-555555555555";

/// Which database a test runs on; most run on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Postgres,
    Sqlite,
}

pub const BOTH: [On; 2] = [On::Sqlite, On::Postgres];

pub struct Database {
    pub url: String,
    _dir: Option<TempDir>,
}

impl Database {
    /// A database that somebody else made and takes away.
    pub fn at(url: String) -> Self {
        Self { url, _dir: None }
    }

    pub fn new(on: On) -> Self {
        match on {
            On::Postgres => Self { url: postgres::database(), _dir: None },
            On::Sqlite => {
                let dir = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", dir.path().join("dirsync.db").display());
                Self { url, _dir: Some(dir) }
            }
        }
    }

    pub fn settings(&self) -> store::Settings {
        store::Settings {
            url: self.url.clone().into(),
            pool_size: 4,
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(300),
            lock_timeout: Duration::from_secs(30),
        }
    }

    pub fn store(&self) -> Store {
        Store::open(&self.settings()).unwrap()
    }
}

/// Limits that nothing passes.
pub fn unlimited() -> Limits {
    let all = Allowance { max: u64::MAX, percent: 100.0 };
    let limit = Limit { run: all, window: all };
    Limits {
        users: limit,
        groups: limit,
        memberships: limit,
        access: limit,
        product_percent: 100.0,
        product_window_percent: 100.0,
        floor: u64::MAX,
        window: Duration::from_hours(24),
        gain_percent: 100.0,
        hold_gains: false,
        plans_max: 1_000,
        keep_reachable: false,
        rehearse: false,
    }
}

pub struct World {
    pub simulator: Simulator,
    pub database: Database,
    pub store: Store,
    pub settings: Settings,
}

impl World {
    pub async fn new(on: On, tenant: Tenant) -> Self {
        Self::with(on, tenant, Options::default()).await
    }

    pub async fn with(on: On, tenant: Tenant, options: Options) -> Self {
        Self::of(Database::new(on), tenant, options).await
    }

    pub async fn of(database: Database, tenant: Tenant, options: Options) -> Self {
        let world = Self::unmigrated(database, tenant, options);
        world.store.migrate().await.unwrap();
        world
    }

    /// The database is empty; somebody else may fill it first.
    pub fn before_migration(on: On, tenant: Tenant) -> Self {
        Self::unmigrated(Database::new(on), tenant, Options::default())
    }

    fn unmigrated(database: Database, tenant: Tenant, mut options: Options) -> Self {
        options.tenant_id = Uuid::nil();
        let simulator = Simulator::start(tenant, options).unwrap();
        let store = database.store();
        let settings = Settings {
            tenant_id: TENANT.to_owned(),
            endpoint: simulator.url(),
            all_groups: true,
            all_users: true,
            include_guests: true,
            include_disabled: true,
            admin_groups: BTreeSet::new(),
            registry: None,
            limits: unlimited(),
            retention: Duration::from_secs(30 * 24 * 3600),
            clock_skew_max: Duration::from_secs(3600),
            findings_retention: Duration::from_secs(90 * 24 * 3600),
            confirmations_max: 5000,
        };
        Self { simulator, database, store, settings }
    }

    pub fn directory(&self) -> Directory {
        let endpoint: Url = self.simulator.url().parse().unwrap();
        let mut graph = graph::Settings::new(endpoint.clone());
        graph.backoff_base = Duration::from_millis(5);
        graph.backoff_max = Duration::from_millis(50);
        graph.request_timeout = Duration::from_secs(20);
        let mut identity = IdentitySettings::new(
            IdentityKind::ClientSecret,
            endpoint,
            TENANT.to_owned(),
            Uuid::from_u128(7).to_string(),
        );
        identity.client_secret = Some(SecretSource::Inline("secret".to_owned().into()));
        Directory::connect(graph, identity, Arc::new(())).unwrap()
    }

    pub fn sync(&self) -> Sync {
        Sync::new(self.store.clone(), self.directory(), self.settings.clone())
    }

    pub async fn try_run(&self, mode: Mode) -> Result<Done, Error> {
        let sync = self.sync();
        let run = Sync::begin(mode, Trigger::Command);
        let observation = sync.observe(run).await?;
        sync.commit(run, observation, false).await
    }

    /// A run that is rolled back.
    pub async fn dry_run(&self, mode: Mode) -> Done {
        let sync = self.sync();
        let run = Sync::begin(mode, Trigger::Command);
        let observation = sync.observe(run).await.unwrap();
        sync.commit(run, observation, true).await.unwrap()
    }

    pub async fn run(&self, mode: Mode) -> Report {
        self.done(mode).await.report
    }

    pub async fn done(&self, mode: Mode) -> Done {
        match self.try_run(mode).await {
            Ok(done) => done,
            Err(error) => panic!("the run failed: {}", Chain(&error)),
        }
    }

    pub fn registry(&mut self, entries: Vec<RegistryEntry>) {
        self.settings.registry = Some(Arc::new(entries));
    }

    /// The database holds what the tenant says, and the audit tells it.
    pub async fn assert_equals_tenant(&self) {
        let seen = self.store.read(snapshot).await.unwrap();
        let (users, members) = self.simulator.read(|tenant| truth(tenant, &seen));
        for (id, state) in &users {
            assert_eq!(seen.users.get(id), Some(state), "state of user {id}");
        }
        for (id, state) in &seen.users {
            assert!(
                users.contains_key(id) || state == "removed",
                "user {id} is {state} but unknown to the tenant"
            );
        }
        for (group, people) in &members {
            let mut stored = seen.members.get(group).cloned().unwrap_or_default();
            // Whom the tenant does not know any more gets nothing, and stays a member until
            // the row goes.
            stored.retain(|user| users.contains_key(user));
            assert_eq!(&stored, people, "members of {group}");
        }
        self.assert_audit_whole().await;
    }

    pub async fn assert_audit_whole(&self) {
        let verification = self.store.read(|tx| tx.verify_audit()).await.unwrap();
        assert_eq!(verification.divergences, [], "audit and tables");
        assert_eq!(verification.foreign, [], "nobody else wrote");
    }

    pub async fn audit_rows(&self) -> u64 {
        self.store.read(|tx| tx.verify_audit()).await.unwrap().rows
    }

    pub async fn people(&self, product: &str) -> BTreeSet<String> {
        let product = product.to_owned();
        let rows = self.store.read(move |tx| tx.access_who(&product)).await.unwrap();
        rows.unwrap_or_default().into_iter().map(|row| row.email).collect()
    }
}

/// The decided side, by object id.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub users: BTreeMap<Uuid, String>,
    pub members: BTreeMap<Uuid, BTreeSet<Uuid>>,
    pub groups: BTreeMap<Uuid, String>,
}

fn snapshot(tx: &mut store::Tx<'_>) -> Result<Snapshot, store::Error> {
    let decided = tx.decided()?;
    Ok(Snapshot {
        users: decided
            .users
            .into_iter()
            .map(|(id, state)| (id.uuid(), state.to_string()))
            .collect(),
        groups: decided
            .groups
            .into_iter()
            .map(|(id, state)| (id.uuid(), state.to_string()))
            .collect(),
        members: decided
            .members
            .into_iter()
            .map(|(group, users)| (group.uuid(), users.into_iter().map(|id| id.uuid()).collect()))
            .collect(),
    })
}

type Truth = (BTreeMap<Uuid, String>, BTreeMap<Uuid, BTreeSet<Uuid>>);

/// What the tenant says, about people and groups that the platform has taken in.
fn truth(tenant: &Tenant, seen: &Snapshot) -> Truth {
    let state = |user: &graph_simulator::User| match (user.is_deleted(), user.account_enabled) {
        (true, _) => "removed",
        (false, Some(true)) => "live",
        (false, _) => "disabled",
    };
    let users = tenant
        .users()
        .filter(|user| !user.is_deleted() || seen.users.contains_key(&user.id()))
        .filter(|user| user.account_enabled.is_some())
        .map(|user| (user.id(), state(user).to_owned()))
        .collect();
    let members = tenant
        .groups()
        .filter(|group| !group.is_deleted())
        .map(|group| {
            let mut people = tenant.effective_users(group.id());
            people.retain(|id| seen.users.contains_key(id));
            (group.id(), people)
        })
        .collect();
    (users, members)
}
