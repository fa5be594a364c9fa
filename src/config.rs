//! What the operator wants: one checked, immutable [`Config`].
//!
//! Owns the keys, their defaults and ranges, and the words for what is wrong with a
//! value. Must not act on any of it, and must never show a secret.
//! `config/default.toml` documents every key.

mod cron;
mod database;
mod identity;
mod layers;
mod postgres;
mod problem;
mod reader;
mod secret;
mod settings;
mod transport;
mod trust;
mod values;

use std::path::PathBuf;

pub use cron::{Cron, CronError};
pub use database::Database;
pub use identity::{Credential, CredentialKind, Identity};
pub use layers::Sources;
pub use problem::{Origin, Problem, Problems};
pub use secret::{Secret, SecretError};
pub use settings::{
    Allowance, Audit, Findings, Graph, GroupScope, Guard, Http, Leader, Log, LogFormat, LogLevel,
    Registry, Removal, Roles, Schedule, Scope, UnitLimits, UserScope,
};

use layers::Layers;
use problem::Fault;
use reader::Reader;

use crate::file;

/// The configuration of one process, checked as a whole. A reload makes another one.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the tables live.
    pub database: Database,
    /// Reading Microsoft Graph.
    pub graph: Graph,
    /// Who the daemon is.
    pub identity: Identity,
    /// When runs happen.
    pub schedule: Schedule,
    /// Who leads where several replicas run.
    pub leader: Leader,
    /// Which part of the tenant is kept.
    pub scope: Scope,
    /// Who is an admin.
    pub roles: Roles,
    /// What trips the guard.
    pub guard: Guard,
    /// When rows are purged.
    pub removal: Removal,
    /// The product registry.
    pub registry: Registry,
    /// Serving HTTP.
    pub http: Http,
    /// Logging.
    pub log: Log,
    /// Findings.
    pub findings: Findings,
    /// The audit.
    pub audit: Audit,
    /// What works but should not stay so; to be logged once.
    pub warnings: Vec<String>,
}

impl Config {
    /// Loads and checks everything. Either all of it is good, or every problem is told.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let (config, from) = Self::read(sources);
        from.finish().map(|()| config)
    }

    /// Where the tables live, for whoever asks nothing but them. What other sections lack
    /// does not matter; a key that nobody knows does, because it may be a misspelt one.
    pub fn load_database(sources: &Sources) -> Result<Database, Problems> {
        let (config, from) = Self::read(sources);
        from.finish_section("database").map(|()| config.database)
    }

    fn read(sources: &Sources) -> (Self, Reader) {
        let mut from = Reader::new(Layers::collect(sources));
        let mut warnings = sources.unread();
        warnings.extend(trust::warning(sources));
        let config = Self {
            database: Database::read(&mut from, sources, &mut warnings),
            graph: Graph::read(&mut from),
            identity: Identity::read(&mut from, sources, &mut warnings),
            schedule: Schedule::read(&mut from),
            leader: Leader::read(&mut from),
            scope: Scope::read(&mut from),
            roles: Roles::read(&mut from),
            guard: Guard::read(&mut from),
            removal: Removal::read(&mut from),
            registry: Registry::read(&mut from),
            http: Http::read(&mut from),
            log: Log::read(&mut from),
            findings: Findings::read(&mut from),
            audit: Audit::read(&mut from),
            warnings,
        };
        if config.schedule.stop_grace <= config.database.statement_timeout {
            let fault = Fault::new(
                "is not longer than database.statement_timeout, so a stop could cut a commit",
                "make it longer, and the pod's terminationGracePeriodSeconds longer still",
            );
            from.complain("schedule.stop_grace", fault);
        }
        (config, from)
    }

    /// What a running process makes of `new`: everything is taken as a whole, except
    /// keys that are only read at the start. Those stay, and are named.
    pub fn succeeded_by(&self, new: Self) -> (Self, Vec<&'static str>) {
        let restart_needed = self.restart_needed(&new);
        let config = Self {
            database: self.database.clone(),
            // A tenant that changed under a running daemon would mix two directories.
            identity: Identity { tenant_id: self.identity.tenant_id, ..new.identity },
            schedule: Schedule { stop_grace: self.schedule.stop_grace, ..new.schedule },
            leader: self.leader.clone(),
            http: self.http.clone(),
            log: Log { format: self.log.format, ..new.log },
            ..new
        };
        (config, restart_needed)
    }

    /// Keys that differ in `new` but are only read when the process starts.
    pub fn restart_needed(&self, new: &Self) -> Vec<&'static str> {
        let (database, other) = (&self.database, &new.database);
        [
            ("database.url", !database.has_same_url(other)),
            ("database.pool_size", database.pool_size != other.pool_size),
            ("database.connect_timeout", database.connect_timeout != other.connect_timeout),
            ("database.statement_timeout", database.statement_timeout != other.statement_timeout),
            ("database.lock_timeout", database.lock_timeout != other.lock_timeout),
            ("identity.tenant_id", self.identity.tenant_id != new.identity.tenant_id),
            ("leader", self.leader != new.leader),
            ("http", self.http != new.http),
            ("log.format", self.log.format != new.log.format),
            ("schedule.stop_grace", self.schedule.stop_grace != new.schedule.stop_grace),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }
}

/// A file that must be readable if it is named. Its path is not shown when it is not:
/// people paste secrets where paths belong.
fn readable_file(from: &mut Reader, key: &'static str) -> Option<PathBuf> {
    let path: Option<PathBuf> = from.get(key, values::path);
    if let Some(Err(error)) = path.as_deref().map(file::read) {
        let what = format!("the file it names cannot be read: {}", file::reason(&error));
        from.complain(key, Fault::new(what, "name a file that the daemon's user may read"));
    }
    path
}

/// A secret that stands in the configuration itself should not be there for all to see.
fn note_public(from: &Reader, key: &'static str, warnings: &mut Vec<String>) {
    if from.is_public(key) {
        warnings.push(format!(
            "{key} is a secret in a configuration file that every user of this machine may read; take that right away, or set {key}_file"
        ));
    }
}

/// The same for a file with a secret in it: must not be empty, should not be public.
fn secret_file(
    from: &mut Reader,
    key: &'static str,
    warnings: &mut Vec<String>,
) -> Option<PathBuf> {
    let path = readable_file(from, key)?;
    if !from.is_bad(key) && Secret::File(path.clone()).read().is_err() {
        from.complain(
            key,
            Fault::new("the file it names is empty or not text", "put the secret into it"),
        );
    }
    if secret::is_world_readable(&path) {
        warnings.push(format!("{key} names a file that every user of this machine may read"));
    }
    Some(path)
}
