//! Who leads, as far as this replica knows.
//!
//! Owns the words. Must not find out: that is the election's, which publishes what it
//! learns on a channel that everybody here watches.

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::requests::Requests;

/// What is known about the lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lead {
    /// Whether this replica leads.
    pub leading: bool,
    /// The epoch in which it leads, or led last: what its commits are fenced with.
    pub epoch: Option<i64>,
    /// Who leads; `None` while nobody is known to.
    pub leader: Option<Leader>,
    /// Why it cannot be told, in plain words that anybody may read.
    pub problem: Option<String>,
}

/// The replica that leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// How it calls itself.
    pub instance: String,
    /// Raised with each change of the lead.
    pub epoch: i64,
    /// When it took the lead.
    pub since: DateTime<Utc>,
}

impl Lead {
    /// Whether another replica is known to have taken over since this one led.
    pub fn is_deposed(&self) -> bool {
        let leader = self.leader.as_ref().map(|leader| leader.epoch);
        !self.leading && leader.is_some() && leader > self.epoch
    }
}

/// Finds out who leads and publishes it until the token says that the run loop is over;
/// then gives the lead up. Passes on what the leader is asked for.
pub type Elect = Box<dyn FnOnce(Requests, CancellationToken) -> BoxFuture<'static, ()> + Send>;
