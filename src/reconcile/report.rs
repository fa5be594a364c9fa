//! What a run did, in counts and closed labels.
//!
//! Owns the words that logs, metrics, `/status` and `dirsync_runs` share. Holds no
//! names, addresses or links of people.

mod past;

use std::collections::BTreeMap;
use std::ops::Add;
use std::time::Duration;

use chrono::{DateTime, Utc};
pub use past::{LastRun, Past};
use serde::Deserialize;
use uuid::Uuid;

use crate::directory::Mode;

/// Declares a closed set of labels: the enum, its order and its words.
macro_rules! labels {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $label:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every value, for zero-initialised metrics and for tests.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word used in metrics, rows, logs and JSON.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }

            /// The value of a word, for rows read back.
            pub fn parse(label: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.label() == label)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.label())
            }
        }
    };
}
pub(crate) use labels;

labels! {
    /// What woke the run. Recorded, never acted upon.
    Trigger {
        /// A cron expression was due.
        Schedule = "schedule",
        /// USR1 or USR2.
        Signal = "signal",
        /// The daemon started, or the cursor was missing.
        Startup = "startup",
        /// `nexus-dirsync sync`.
        Command = "command",
    }
}

labels! {
    /// How a run ended.
    Outcome {
        /// Changes were committed.
        Applied = "applied",
        /// Nothing had changed; only run and cursor were written.
        Unchanged = "unchanged",
        /// The guard withheld removals; everything else was committed.
        Held = "held",
        /// Another daemon committed first; nothing was written.
        Superseded = "superseded",
        /// A stop was asked for while reading; nothing was written.
        Interrupted = "interrupted",
        /// Something failed; nothing was written.
        Failed = "failed",
    }
}

impl Outcome {
    /// Whether the database now equals what the run observed, held items apart.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Applied | Self::Unchanged | Self::Held)
    }
}

labels! {
    /// Which kind of row a change concerns: the audit's `entity_type` where we write it.
    Entity {
        /// `users` with its identity.
        User = "user",
        /// `aad_groups` and effective members.
        AadGroup = "aad_group",
        /// `products`, from the registry.
        Product = "product",
        /// `product_aad_groups`, from the registry.
        ProductAadGroup = "product_aad_group",
        /// `product_members`, from the registry.
        ProductMember = "product_member",
    }
}

labels! {
    /// What happened to the row: the audit's `action` where we write it.
    Action {
        /// A row was made.
        Create = "create",
        /// A row was adopted or its values changed.
        Update = "update",
        /// Disabled, enabled, removed, restored.
        StatusChange = "status_change",
        /// Purged, or taken away.
        Delete = "delete",
        /// A membership or link was made.
        Link = "link",
        /// A membership or link was taken away.
        Unlink = "unlink",
    }
}

labels! {
    /// Something a person should look at; a row of `dirsync_findings`.
    FindingKind {
        /// A registry group name that matches no group.
        RegistryGroupUnresolved = "registry_group_unresolved",
        /// A registry group name that matches several groups.
        RegistryGroupAmbiguous = "registry_group_ambiguous",
        /// A bound registry name that another group has taken.
        RegistryGroupTaken = "registry_group_taken",
        /// A registry owner that matches nobody.
        RegistryOwnerUnresolved = "registry_owner_unresolved",
        /// A registry owner that matches several people.
        RegistryOwnerAmbiguous = "registry_owner_ambiguous",
        /// A user without a usable address.
        UserWithoutAddress = "user_without_address",
        /// An address that two live users claim, and the fallback is taken too.
        AddressConflict = "address_conflict",
        /// A hand-made row that matches, but whose adoption needs a person.
        AdoptionWaits = "adoption_waits",
        /// A group whose members could not be read.
        GroupStale = "group_stale",
        /// A removed user or group whose row stays, because history or another service's
        /// table points to it.
        TombstoneKept = "tombstone_kept",
        /// A linked row of another service in `aad_groups` that is no group's: its `external_id`
        /// is no object id, another row's, or not that of its group any more.
        GroupIdInvalid = "group_id_invalid",
        /// A plan that the guard held, and that waits for a person.
        RemovalsHeld = "removals_held",
        /// Items that a person rejected, and that the directory still asks for.
        RemovalsRejected = "removals_rejected",
        /// A product that grew by much in one run.
        AccessSurge = "access_surge",
        /// A permission that is missing in Azure.
        PermissionMissing = "permission_missing",
        /// Something that a complete list left out exists after all: the list had drifted.
        ReadRefuted = "read_refuted",
        /// Something that a list left out, and that Graph could not be asked about.
        RemovalUnconfirmed = "removal_unconfirmed",
        /// An admin group that is unknown, deleted or unreadable.
        AdminGroupUnusable = "admin_group_unusable",
        /// The clocks of host, database and Graph disagree; nothing is purged.
        ClockSkew = "clock_skew",
        /// Audit and tables do not tell the same.
        AuditDiverged = "audit_diverged",
    }
}

labels! {
    /// The parts of a run, for durations.
    Phase {
        /// Reading Graph.
        Observe = "observe",
        /// Reading the database.
        Load = "load",
        /// Fold, plan and guard.
        Plan = "plan",
        /// The transaction.
        Apply = "apply",
    }
}

labels! {
    /// Why a run read everything although it had a cursor.
    CursorReset {
        /// Graph says that the delta link is too old (410).
        Expired = "expired",
        /// Graph refuses the delta link (400, and whatever else is no 410 or 404).
        Refused = "refused",
        /// Graph does not know the delta link (404).
        Unknown = "unknown",
        /// Following the stored links failed in a way that may be due to them.
        Unusable = "unusable",
        /// This version asks Graph for something else than the one that took the link.
        QueryChanged = "query_changed",
        /// Scope, switches or admin groups were configured anew.
        ScopeChanged = "scope_changed",
        /// The links are of another endpoint.
        EndpointChanged = "endpoint_changed",
        /// What the last run read was not believed.
        InDoubt = "in_doubt",
    }
}

labels! {
    /// How a group is that a link or the registry names.
    LinkedGroup {
        /// It gives access to somebody.
        Live = "live",
        /// It was read, and nobody is in it.
        Empty = "empty",
        /// It is gone in the directory, or was never read.
        Missing = "missing",
        /// Its members could not be read at the last attempt: it takes nothing away.
        Stale = "stale",
    }
}

/// Removals by the units that the guard counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Removals {
    /// Users that end as disabled or removed, or are purged.
    pub users: u64,
    /// Groups that end as removed, or are purged.
    pub groups: u64,
    /// Memberships, links and roles taken away.
    pub memberships: u64,
    /// (user, product) pairs that end.
    pub access: u64,
}

impl Removals {
    /// How many things are taken away; access only follows from them.
    pub const fn total(self) -> u64 {
        self.users + self.groups + self.memberships
    }
}

impl Add for Removals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            users: self.users + other.users,
            groups: self.groups + other.groups,
            memberships: self.memberships + other.memberships,
            access: self.access + other.access,
        }
    }
}

/// (user, product) pairs that a run made and ended, as `product_access` yields them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessMoves {
    /// Pairs that are new.
    pub gained: u64,
    /// Pairs that are over.
    pub lost: u64,
}

/// Held plans that wait for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingPlans {
    /// How many.
    pub plans: u64,
    /// When the oldest of them was made.
    pub oldest: Option<DateTime<Utc>>,
}

/// How many objects the platform sees after the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Live users with an identity.
    pub users: u64,
    /// Live groups.
    pub groups: u64,
    /// Effective memberships.
    pub memberships: u64,
    /// (user, product) pairs with access.
    pub access: u64,
}

/// How many objects are in which state: counted, so full runs alone know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct States {
    /// Users that are live, disabled and removed.
    pub users: [u64; 3],
    /// Groups that are live and removed.
    pub groups: [u64; 2],
}

impl States {
    /// Each count with its kind of object and its state.
    pub const fn series(self) -> [(&'static str, &'static str, u64); 5] {
        let Self { users: [live, disabled, removed], groups: [groups, groups_removed] } = self;
        [
            ("users", "live", live),
            ("users", "disabled", disabled),
            ("users", "removed", removed),
            ("groups", "live", groups),
            ("groups", "removed", groups_removed),
        ]
    }
}

/// What reading cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Requests answered, retries included.
    pub requests: u64,
    /// Pages of lists and rounds. One request with a batch brings the first pages of up to
    /// 20 lists, so there may be more pages than requests.
    pub pages: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// Resource units as Graph reported them.
    pub resource_units: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Seconds spent waiting for Graph's leave to go on.
    pub waited_seconds: f64,
}

/// Why a run failed: a closed kind for labels, and the whole chain for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A label of a closed set.
    pub kind: &'static str,
    /// The error with its causes, free of secrets and links.
    pub message: String,
}

/// One run, told in counts of what was *written*.
#[derive(Clone, Debug)]
pub struct Report {
    /// The run's id, in every audit row and log line of it.
    pub run_id: Uuid,
    /// What was read; a lost token turns a delta run into a full one.
    pub mode: Mode,
    /// What woke it.
    pub trigger: Trigger,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// How it ended.
    pub outcome: Outcome,
    /// Rows written, one audit row each.
    pub changes: BTreeMap<(Entity, Action), u64>,
    /// Differences a full run found that delta runs should have applied.
    pub drift: u64,
    /// Removals that lists suggested and a second look refuted: none of them was made.
    pub refuted: u64,
    /// What is withheld until a person answers.
    pub withheld: Removals,
    /// Who gained and lost access.
    pub access: AccessMoves,
    /// Plans that wait for a person.
    pub pending: PendingPlans,
    /// What the platform sees now.
    pub totals: Option<Totals>,
    /// The same by state, where the run counted.
    pub states: Option<States>,
    /// What reading cost.
    pub reading: Reading,
    /// How long ago, at most, the directory was changed as this run wrote it: since the read
    /// before it began. Graph does not tell when something changed. `None` where nothing
    /// changed, or the read before may have missed it.
    pub lag_max: Option<Duration>,
    /// How long each part took.
    pub phases: BTreeMap<Phase, Duration>,
    /// Why the run began from nothing, if it had a cursor that was of no use.
    pub reset: Option<CursorReset>,
    /// Groups that links or the registry name, by how they are; empty if unknown.
    pub linked_groups: BTreeMap<LinkedGroup, u64>,
    /// Open findings by kind after the run.
    pub findings: BTreeMap<FindingKind, u64>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

impl Report {
    /// Rows written in all.
    pub fn changes_total(&self) -> u64 {
        self.changes.values().sum()
    }
}
