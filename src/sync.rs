//! One run: observe, fold, plan, guard, apply, report. The only module that knows the order.
//!
//! Names neither the SDKs nor diesel nor axum. Reading may be given up at any await;
//! the commit is one blocking call that always ends.

mod commit;
mod observe;
mod report;
mod stamp;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use uuid::Uuid;

use crate::chain::Chain;
use crate::directory::{Mode, ObjectId};
use crate::graph::{self, Directory, Tally};
use crate::reconcile::guard::{Limits, Verdict};
use crate::reconcile::plan::Plan;
use crate::reconcile::report::{Failure, Outcome, Phase, Report, Trigger};
use crate::reconcile::world::{RegistryEntry, World};
use crate::store::{self, PlanDetail, Store};

pub use observe::Observation;
pub use report::{as_json, changes_by_word};

/// How often a run starts again because somebody else wrote the same rows meanwhile.
pub const ATTEMPTS_MAX: u32 = 3;

/// What a run is told by configuration.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four switches of the configuration, none a state"
)]
pub struct Settings {
    /// The tenant, as its id is written in the database.
    pub tenant_id: String,
    /// The Graph endpoint, as it is written in the database.
    pub endpoint: String,
    /// Whether every group of the tenant is in scope, or only linked ones and what is nested in them.
    pub all_groups: bool,
    /// Whether every user of the tenant is in scope, or only members of groups in scope.
    pub all_users: bool,
    /// Whether guests get new rows.
    pub include_guests: bool,
    /// Whether disabled accounts get new rows.
    pub include_disabled: bool,
    /// Groups whose members are platform admins.
    pub admin_groups: BTreeSet<ObjectId>,
    /// The registry; `None` where none is configured.
    pub registry: Option<Arc<Vec<RegistryEntry>>>,
    /// What the guard allows.
    pub limits: Limits,
    /// How long something must be gone before it is purged.
    pub retention: Duration,
    /// How far the clocks may disagree where something is purged.
    pub clock_skew_max: Duration,
    /// How long resolved findings and old runs are kept.
    pub findings_retention: Duration,
    /// At most so many removals that lists suggest are confirmed in one run.
    pub confirmations_max: usize,
}

impl Settings {
    /// What the delta links of a database depend on: another query or scope needs a
    /// new first read (traps 41, 42). So do switches that decide about objects which no
    /// delta would mention.
    fn fingerprint(&self) -> String {
        let admins: Vec<String> = self.admin_groups.iter().map(ToString::to_string).collect();
        format!(
            "{};groups={};users={};guests={};disabled={};admins={}",
            graph::QUERY_FINGERPRINT,
            if self.all_groups { "all" } else { "linked" },
            if self.all_users { "all" } else { "members" },
            self.include_guests,
            self.include_disabled,
            admins.join(","),
        )
    }
}

/// Why a run did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory could not be read.
    #[error("reading the directory failed")]
    Graph(#[from] graph::Error),
    /// The database did not do its part.
    #[error("using the database failed")]
    Store(#[from] store::Error),
}

impl Error {
    /// A label of a closed set.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Graph(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

/// A run that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Its id.
    pub id: Uuid,
    /// What was asked for.
    pub mode: Mode,
    /// What woke it.
    pub trigger: Trigger,
    /// When it began.
    pub started_at: DateTime<Utc>,
}

/// On whose behalf a run commits. A command has no mandate: it needs none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mandate {
    /// The epoch in which this daemon leads: the commit is refused if it is over.
    pub epoch: Option<i64>,
    /// The requests that the run answers, marked by its commit.
    pub requests: Vec<i64>,
}

/// What a run did, with the plan for whoever wants to show it.
#[derive(Debug)]
pub struct Done {
    /// The counts.
    pub report: Report,
    /// What was decided.
    pub plan: Plan,
    /// What it was decided upon; names for the plan's ids.
    pub world: World,
    /// The guard's word.
    pub verdict: Verdict,
    /// What is held since this run, as it was stored.
    pub held_plan: Option<PlanDetail>,
}

/// Does runs against one directory and one database.
#[derive(Clone)]
pub struct Sync {
    store: Store,
    directory: Directory,
    settings: Settings,
}

impl Sync {
    /// Puts the parts together.
    pub const fn new(store: Store, directory: Directory, settings: Settings) -> Self {
        Self { store, directory, settings }
    }

    /// The database in use.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// What reading has cost since this client was made.
    pub fn tally(&self) -> Tally {
        self.directory.tally()
    }

    /// When the certificate ends by which the daemon proves who it is; `None` where it has
    /// none, or none that can be read.
    pub async fn credential_expires_at(&self) -> Option<DateTime<Utc>> {
        self.directory.credential_expires_at().await
    }

    /// Begins a run: gives it an id and a time. The only place that asks the clock.
    pub fn begin(mode: Mode, trigger: Trigger) -> Run {
        let started_at = Utc::now().trunc_subsecs(6);
        Run { id: Uuid::now_v7(), mode, trigger, started_at }
    }

    /// Reads the directory as far as this run needs it. Writes nothing; may be dropped.
    pub async fn observe(&self, run: Run) -> Result<Observation, Error> {
        observe::observe(self, run).await
    }

    /// Decides and writes, in one transaction; with `dry`, undoes it again.
    pub async fn commit(
        &self,
        run: Run,
        observation: Observation,
        dry: bool,
    ) -> Result<Done, Error> {
        commit::commit(self, run, observation, dry).await
    }

    /// The report of a run that failed; see [`Sync::ended`].
    pub async fn failed(&self, run: Run, error: &Error, before: &Tally) -> Report {
        let (outcome, failure) = match error {
            Error::Store(store::Error::Superseded) => (Outcome::Superseded, None),
            error => {
                let failure = Failure { kind: error.kind(), message: Chain(error).to_string() };
                (Outcome::Failed, Some(failure))
            }
        };
        self.ended(run, outcome, failure, before).await
    }

    /// The report of a run that ended without a commit; recorded if the database allows.
    /// `before` is the [`tally`](Sync::tally) at its begin: what it read was paid for.
    pub async fn ended(
        &self,
        run: Run,
        outcome: Outcome,
        failure: Option<Failure>,
        before: &Tally,
    ) -> Report {
        let report = Report {
            run_id: run.id,
            mode: run.mode,
            trigger: run.trigger,
            started_at: run.started_at,
            finished_at: Utc::now().trunc_subsecs(6),
            outcome,
            changes: BTreeMap::new(),
            drift: 0,
            refuted: 0,
            withheld: crate::reconcile::report::Removals::default(),
            access: crate::reconcile::report::AccessMoves::default(),
            pending: crate::reconcile::report::PendingPlans::default(),
            totals: None,
            states: None,
            reading: observe::cost(before, &self.tally()),
            lag_max: None,
            phases: BTreeMap::<Phase, Duration>::new(),
            reset: None,
            linked_groups: BTreeMap::new(),
            findings: BTreeMap::new(),
            failure,
        };
        let row = report::row(&report);
        let recorded =
            self.store.write(move |tx| tx.record_run(&row).map(store::Verdict::Commit)).await;
        if let Err(error) = recorded {
            tracing::debug!(run.id = %run.id, %error, "the run could not be recorded");
        }
        report
    }
}
