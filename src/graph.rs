//! Microsoft Graph, read and nothing else.
//!
//! Owns the reading: tokens, requests, pages, batches, throttling, and the proof that
//! a read is complete. It is the only module that names the SDKs of Graph and Azure
//! and the HTTP client under them. Must not plan, store or decide: it returns what
//! Graph says, whole, or an error, and absence only where absence was proven.
//!
//! Numbers of traps and sections of "the facts", here and below, are those of
//! `graph-facts.md`; quoted names are pages of the Microsoft Graph documentation.
//!
//! Every future can be dropped at any await; nothing goes on behind the caller's back.

mod assertion;
mod authority;
mod batch;
mod chain;
mod client;
mod credential;
mod delta;
mod error;
mod link;
mod list;
mod lookup;
mod members;
mod observe;
mod patience;
mod probe;
mod settings;
mod token;
mod transport;
mod wire;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;

pub use self::delta::{GroupsRound, QUERY_FINGERPRINT, Round};
pub use self::error::{Error, Rejection};
pub use self::lookup::{GoneSince, ObjectKind, Verdict};
pub use self::members::{Detail, Lookup, MemberList, MemberLists, MemberOf};
pub use self::observe::{Answer, Endpoint, Observer, Tally};
pub use self::probe::Counted;
pub use self::settings::{IdentityKind, IdentitySettings, SecretSource, Settings};

use self::authority::Authority;
use self::client::Client;
use self::credential::Mint;
use self::link::Root;
use self::observe::Meter;
use self::patience::Gate;
use self::token::Tokens;
use self::transport::Transport;

/// A connection to the directory of one tenant. Cheap to clone; clones share connections,
/// token, limits and counts.
#[derive(Clone)]
pub struct Directory {
    client: Arc<Client>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("settings", &self.client.settings).finish_non_exhaustive()
    }
}

impl Directory {
    /// Prepares the reading of one tenant. Sends nothing yet: the first request fetches a token.
    ///
    /// [`Error::Settings`] names the first setting that cannot work.
    pub fn connect(
        settings: Settings,
        identity: IdentitySettings,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Error> {
        settings.check()?;
        let root = Root::new(&settings.endpoint)?;
        let scope = identity.scope.clone().unwrap_or_else(|| root.scope());
        let meter = Arc::new(Meter::new(observer));
        let authority = Authority::new(&settings, &identity, Arc::clone(&meter))?;
        let tokens = Tokens::new(Mint::new(identity, scope, &settings, authority)?);
        let transport = Transport::new(&settings, tokens.clone())?;
        let permits = Semaphore::new(settings.concurrency.min(Semaphore::MAX_PERMITS));
        let client =
            Client { settings, root, tokens, meter, transport, permits, gate: Gate::default() };
        Ok(Self { client: Arc::new(client) })
    }

    /// The newest `Date` that Graph sent, to compare clocks with; `None` before the first answer.
    pub fn server_time(&self) -> Option<DateTime<Utc>> {
        self.client.meter.server_time()
    }

    /// Graph's id of the last request that was answered, for the audit.
    pub fn last_request_id(&self) -> Option<String> {
        self.client.meter.request_id()
    }

    /// What was done so far; only ever grows.
    pub fn tally(&self) -> Tally {
        self.client.meter.tally()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_send<T: Send>(_: T) {}

    /// Not run: that it compiles is the test. Callers spawn these futures.
    #[expect(dead_code, reason = "only has to compile")]
    fn every_read_can_be_spawned(directory: &Directory, link: &crate::directory::DeltaLink) {
        assert_send(directory.latest());
        assert_send(directory.users_round(link));
        assert_send(directory.groups_round(link));
        assert_send(directory.list_users());
        assert_send(directory.list_groups());
        assert_send(directory.deleted_users());
        assert_send(directory.members(&[], Detail::Facts));
        assert_send(directory.groups_of(&[]));
        assert_send(directory.users_by_id(&[]));
        assert_send(directory.confirm_users(&[], 0));
        assert_send(directory.confirm_groups(&[], 0));
        assert_send(directory.groups_by_id(&[]));
        assert_send(directory.groups_by_name(&[]));
        assert_send(directory.gone_since(&[], ObjectKind::User));
        assert_send(directory.count(Counted::Users));
        assert_send(directory.token_roles());
    }
}
