//! Writes a run: observed state, decided changes, their audit, cursor. Decides nothing.
//!
//! All of it happens in the transaction that also loaded what the plan was made from:
//! on PostgreSQL that is one snapshot, so a row that somebody changed meanwhile fails
//! the write and the run plans again.

mod ids;
mod people;
mod products;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::audit::AuditLog;
use super::bulk::{self, ROWS_MAX, Target, insert_rows};
use super::rows::{EdgeRow, ObservedGroupRow, ObservedUserRow};
use super::schema::{
    dirsync_cursors, dirsync_observed_edges, dirsync_observed_groups, dirsync_observed_users,
};
use super::types::Time;
use super::{Doing, Error, Tx};
use crate::directory::{Cursor, MemberKind, Mode, ObjectId};
use crate::reconcile::fold::{EdgeMove, Moved, Observed, Records};
use crate::reconcile::guard::Release;
use crate::reconcile::plan::{Item, Plan};
use crate::reconcile::report::{Action, Entity, Totals, Trigger};
use crate::reconcile::world::World;

/// What identifies a run in everything it writes.
#[derive(Clone, Debug)]
pub struct RunInfo {
    /// The run's id.
    pub id: Uuid,
    /// What was read.
    pub mode: Mode,
    /// What woke it.
    pub trigger: Trigger,
    /// The time that its rows carry.
    pub now: DateTime<Utc>,
    /// The tenant.
    pub tenant_id: String,
    /// The Graph endpoint.
    pub endpoint: String,
    /// The query and scope of the links.
    pub fingerprint: String,
    /// The generation the run started from; 0 before the first.
    pub generation: i64,
    /// The epoch in which this daemon leads; `None` for a command, which only the
    /// generation keeps from writing over what it has not seen.
    pub epoch: Option<i64>,
    /// Graph's id of the last request.
    pub request_id: Option<String>,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Audit rows by entity and action: one for each changed row.
    pub changes: BTreeMap<(Entity, Action), u64>,
}

/// Who let items through.
pub(super) type Approvals = BTreeMap<Item, Release>;

/// Row ids of what the plan names by object id or name.
struct Ids {
    users: BTreeMap<ObjectId, i32>,
    groups: BTreeMap<ObjectId, i32>,
    products: BTreeMap<String, i32>,
}

/// A run being written.
struct Writing<'a, 'c> {
    tx: &'a mut Tx<'c>,
    plan: &'a Plan,
    info: &'a RunInfo,
    records: &'a Records,
    approved: &'a Approvals,
    ids: Ids,
    audit: AuditLog,
    changes: BTreeMap<(Entity, Action), u64>,
}

const OBSERVED_USERS: Target = Target {
    name: "dirsync_observed_users",
    key: &["object_id"],
    set: &["display_name", "upn", "mail", "enabled", "guest", "presence", "evidence"],
};
const OBSERVED_GROUPS: Target = Target {
    name: "dirsync_observed_groups",
    key: &["object_id"],
    set: &["display_name", "hidden_membership", "presence", "evidence", "members", "stale_since"],
};
const OBSERVED_EDGES: Target =
    Target { name: "dirsync_observed_edges", key: &["group_id", "member_id"], set: &["is_group"] };

impl Tx<'_> {
    /// Makes sure that nobody committed since the run started, that no other daemon leads
    /// since, and that the database is of this tenant. Call it first: it also keeps other
    /// runs, and a new leader, out until the end.
    ///
    /// # Errors
    /// [`Error::Superseded`], [`Error::Deposed`], [`Error::Tenant`].
    pub fn claim(&mut self, info: &RunInfo) -> Result<(), Error> {
        use diesel::connection::SimpleConnection;
        if info.epoch.is_some() {
            self.enter_fence()?;
        }
        if super::types::is_postgres(self.conn) {
            // Unlike a query this takes no snapshot: what follows sees what the run that
            // was waited for committed.
            self.conn
                .batch_execute("LOCK TABLE dirsync_cursors IN EXCLUSIVE MODE")
                .doing("waiting for another run")?;
        }
        info.epoch.map_or(Ok(()), |epoch| self.pass_fence(epoch))?;
        let stored = self.cursor()?;
        let generation = stored.as_ref().map_or(0, |row| row.generation);
        stored.map_or(Ok(()), |row| row.require_tenant(&info.tenant_id))?;
        if generation == info.generation { Ok(()) } else { Err(Error::Superseded) }
    }

    /// Writes the moved part of the observed state.
    pub fn write_observed(
        &mut self,
        observed: &Observed,
        moved: &Moved,
        first: bool,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let users: Vec<ObjectId> = moved.users.iter().copied().collect();
        for slice in users.chunks(ROWS_MAX) {
            let rows: Vec<ObservedUserRow> =
                slice.iter().map(|id| ObservedUserRow::new(*id, &observed.users[id])).collect();
            if first {
                insert_rows!(
                    self.conn,
                    dirsync_observed_users::table,
                    &rows,
                    "writing observed users"
                )?;
            } else {
                bulk::upsert(self.conn, &OBSERVED_USERS, &rows, "writing observed users")?;
            }
        }
        let groups: Vec<ObjectId> = moved.groups.iter().copied().collect();
        for slice in groups.chunks(ROWS_MAX) {
            let rows: Vec<ObservedGroupRow> = slice
                .iter()
                .map(|id| ObservedGroupRow::new(*id, &observed.groups[id], now))
                .collect();
            if first {
                insert_rows!(
                    self.conn,
                    dirsync_observed_groups::table,
                    &rows,
                    "writing observed groups"
                )?;
            } else {
                bulk::upsert(self.conn, &OBSERVED_GROUPS, &rows, "writing observed groups")?;
            }
        }
        self.write_edges(moved)
    }

    fn write_edges(&mut self, moved: &Moved) -> Result<(), Error> {
        let edge = |(group, member): (ObjectId, ObjectId), kind| EdgeRow {
            group_id: group.into(),
            member_id: member.into(),
            is_group: kind == MemberKind::Group,
        };
        let left = moved.edges.iter().filter_map(|(key, step)| match step {
            EdgeMove::Left(kind, _) => Some(edge(*key, *kind)),
            EdgeMove::Joined(_) => None,
        });
        let left: Vec<EdgeRow> = left.collect();
        bulk::delete(self.conn, &OBSERVED_EDGES, &left, "deleting observed edges")?;
        let mut joined = moved.edges.iter().filter_map(|(key, step)| match step {
            EdgeMove::Joined(kind) => Some(edge(*key, *kind)),
            EdgeMove::Left(..) => None,
        });
        loop {
            let rows: Vec<EdgeRow> = joined.by_ref().take(ROWS_MAX * 10).collect();
            if rows.is_empty() {
                return Ok(());
            }
            insert_rows!(self.conn, dirsync_observed_edges::table, rows, "writing observed edges")?;
        }
    }

    /// Writes the decided changes with one audit row each, and findings. `approved` says
    /// who let items through.
    pub fn apply(
        &mut self,
        plan: &Plan,
        world: &World,
        info: &RunInfo,
        approved: &Approvals,
    ) -> Result<Applied, Error> {
        let ids = ids::resolve(self, plan, world)?;
        let audit = AuditLog::new(info);
        let records = &world.records;
        let changes = BTreeMap::new();
        let mut writing = Writing { tx: self, plan, info, records, approved, ids, audit, changes };
        writing.memberships_end()?;
        writing.links_and_members_end()?;
        writing.groups()?;
        writing.users()?;
        writing.products()?;
        writing.memberships_begin()?;
        writing.links_and_members_begin()?;
        let Writing { audit, changes, .. } = writing;
        let written = audit.finish(self)?;
        debug_assert_eq!(written, changes.values().sum::<u64>(), "one audit row for each change");
        self.write_bindings(plan, info.now)?;
        self.write_findings(plan, info.now)?;
        Ok(Applied { changes })
    }

    /// Moves the cursor, and with it what the next run need not count.
    pub fn move_cursor(
        &mut self,
        cursor: &Cursor,
        totals: Totals,
        info: &RunInfo,
    ) -> Result<(), Error> {
        use dirsync_cursors::dsl;
        let count = |total: u64| i64::try_from(total).unwrap_or(i64::MAX);
        let values = (
            dsl::generation.eq(info.generation + 1),
            dsl::tenant_id.eq(info.tenant_id.as_str()),
            dsl::endpoint.eq(info.endpoint.as_str()),
            dsl::fingerprint.eq(info.fingerprint.as_str()),
            dsl::users_link.eq(cursor.users.as_str()),
            dsl::groups_link.eq(cursor.groups.as_str()),
            dsl::live_users.eq(count(totals.users)),
            dsl::live_groups.eq(count(totals.groups)),
            dsl::memberships.eq(count(totals.memberships)),
            dsl::access_pairs.eq(Some(count(totals.access))),
            dsl::updated_at.eq(Time(info.now)),
        );
        if info.generation == 0 {
            diesel::insert_into(dsl::dirsync_cursors)
                .values((dsl::id.eq(1), values))
                .execute(self.conn)
        } else {
            diesel::update(dsl::dirsync_cursors.find(1)).set(values).execute(self.conn)
        }
        .doing("moving the cursor")?;
        Ok(())
    }
}

impl Writing<'_, '_> {
    /// Who let one of these items through, if a person did.
    fn approval(&self, items: &[Item]) -> Option<Release> {
        if self.approved.is_empty() {
            return None;
        }
        items.iter().find_map(|item| self.approved.get(item)).cloned()
    }

    fn note(&mut self, entity: Entity, action: Action) {
        *self.changes.entry((entity, action)).or_insert(0) += 1;
    }
}
