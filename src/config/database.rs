//! Where the tables live. Must never show the URL: it holds a password.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::layers::Sources;
use super::postgres;
use super::problem::Fault;
use super::reader::Reader;
use super::secret::Secret;
use super::transport;
use super::values::{duration, secret, whole};

/// The database.
#[derive(Clone, Debug)]
pub struct Database {
    /// `postgres://…` or `sqlite://PATH`.
    pub url: Secret,
    /// Connections.
    pub pool_size: u32,
    /// For getting one.
    pub connect_timeout: Duration,
    /// For one statement.
    pub statement_timeout: Duration,
    /// For a lock that somebody else holds.
    pub lock_timeout: Duration,
    /// The URL as it was when this was read, where it lies in a file.
    in_file: Option<SecretString>,
}

impl Database {
    pub(super) fn read(from: &mut Reader, sources: &Sources, warnings: &mut Vec<String>) -> Self {
        let range = Duration::from_millis(1)..=Duration::from_hours(1);
        let url = url(from, sources, warnings);
        let in_file = match &url {
            Secret::File(_) => url.read().ok(),
            Secret::Value(_) => None,
        };
        Self {
            url,
            in_file,
            pool_size: from.get("database.pool_size", whole(1..=64)),
            connect_timeout: from.get("database.connect_timeout", duration(range.clone())),
            statement_timeout: from.get("database.statement_timeout", duration(range.clone())),
            lock_timeout: from.get("database.lock_timeout", duration(range)),
        }
    }

    /// Whether both name the same database in the same way. Connections are made with the URL
    /// of the start, so a file that says something else by now counts.
    pub(super) fn has_same_url(&self, other: &Self) -> bool {
        match (&self.url, &other.url) {
            (Secret::Value(a), Secret::Value(b)) => a.expose_secret() == b.expose_secret(),
            (Secret::File(a), Secret::File(b)) => {
                let read = |database: &Self| {
                    database.in_file.as_ref().map(|url| url.expose_secret().to_owned())
                };
                a == b && read(self) == read(other)
            }
            _ => false,
        }
    }
}

fn url(from: &mut Reader, sources: &Sources, warnings: &mut Vec<String>) -> Secret {
    let given: Option<SecretString> = from.get("database.url", secret);
    let file: Option<PathBuf> = super::secret_file(from, "database.url_file", warnings);
    if file.is_some() && from.is_given("database.url") {
        from.complain(
            "database.url_file",
            Fault::new("is set beside database.url", "set one of the two"),
        );
    }
    let key = if file.is_some() { "database.url_file" } else { "database.url" };
    let secret = match file {
        Some(file) => Secret::File(file),
        None => {
            Secret::Value(from.require("database.url", given, "the tables must live somewhere"))
        }
    };
    // A file that cannot be read was already complained about.
    if let Some(fault) = secret.read().ok().and_then(|url| fault(url.expose_secret()))
        && !from.is_bad(key)
    {
        from.complain(key, fault);
    }
    if let Ok(url) = secret.read() {
        let environment = transport::Environment::of(sources);
        warnings.extend(transport::warning(url.expose_secret(), &environment));
        if transport::has_password(url.expose_secret()) {
            super::note_public(from, "database.url", warnings);
        }
    }
    secret
}

/// Why a URL cannot work. Shows nothing of it.
fn fault(url: &str) -> Option<Fault> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return postgres::fault(url);
    }
    match url.strip_prefix("sqlite://") {
        Some("") | None => Some(Fault::new(
            "names no database that is supported",
            "use postgres://USER:PASSWORD@HOST/NAME or sqlite://PATH",
        )),
        Some(path) if path.contains(":memory:") || path.contains("mode=memory") => {
            Some(Fault::new(
                "names a database in memory, of which each connection would get one of its own, gone with it",
                "name a file: sqlite://PATH",
            ))
        }
        Some(_) => None,
    }
}
