//! Whether rows may go for good.
//!
//! Deployments and the audit keep the row of a person. So does whatever table of another
//! service points to a row: which those are is not the daemon's to know, and it may not be
//! allowed to read them. So it tries, and takes back what it tried.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::bulk::IDS_MAX;
use super::connection::Conn;
use super::schema::{
    aad_groups, audit_logs, dirsync_aad_groups, dirsync_group_members, dirsync_user_identities,
    product_aad_groups, product_members, resource_deployments, users,
};
use super::world::Question;
use super::{Doing, Error, Tx};
use crate::directory::ObjectId;
use crate::reconcile::world::{Purge, World};

/// Deletes rows of one table with all that a purge takes along.
type Delete = fn(&mut Conn, &[i32]) -> QueryResult<()>;

impl Tx<'_> {
    /// Says of everything that may be purged whether its row can go.
    pub(super) fn fill_purges(
        &mut self,
        world: &mut World,
        question: &Question,
    ) -> Result<(), Error> {
        let row = |id: &ObjectId| Some((*id, world.identities.get(id)?.id?));
        let people: Vec<_> = question.purge_users.keys().filter_map(row).collect();
        let row = |id: &ObjectId| Some((*id, world.group_rows.get(id)?.id?));
        let groups: Vec<_> = question.purge_groups.keys().filter_map(row).collect();

        let mut free = Vec::new();
        for (id, row) in people {
            if self.has_history(row)? {
                world.purge_users.insert(id, Purge::HeldByHistory);
            } else {
                free.push((id, row));
            }
        }
        world.purge_users.extend(self.judge_purges(&free, delete_users)?);
        world.purge_groups = self.judge_purges(&groups, delete_groups)?.into_iter().collect();
        Ok(())
    }

    fn has_history(&mut self, user: i32) -> Result<bool, Error> {
        let deployed: i64 = resource_deployments::table
            .filter(resource_deployments::deployed_by.eq(user))
            .count()
            .get_result(self.conn)
            .doing("looking for deployments")?;
        let acted: i64 = audit_logs::table
            .filter(audit_logs::actor_user_id.eq(user))
            .count()
            .get_result(self.conn)
            .doing("looking for audit entries")?;
        Ok(deployed + acted > 0)
    }

    fn judge_purges(
        &mut self,
        rows: &[(ObjectId, i32)],
        delete: Delete,
    ) -> Result<Vec<(ObjectId, Purge)>, Error> {
        let ids: Vec<i32> = rows.iter().map(|(_, row)| *row).collect();
        let mut pinned = BTreeSet::new();
        for slice in ids.chunks(IDS_MAX) {
            self.find_pinned(slice, delete, &mut pinned)?;
        }
        let judge = |(id, row): &(ObjectId, i32)| {
            (*id, if pinned.contains(row) { Purge::HeldElsewhere } else { Purge::Free })
        };
        Ok(rows.iter().map(judge).collect())
    }

    /// Halves until those are found that cannot go: usually there are none.
    fn find_pinned(
        &mut self,
        ids: &[i32],
        delete: Delete,
        pinned: &mut BTreeSet<i32>,
    ) -> Result<(), Error> {
        if ids.is_empty() || self.can_delete(ids, delete)? {
            return Ok(());
        }
        if let [id] = ids {
            pinned.insert(*id);
            return Ok(());
        }
        let (left, right) = ids.split_at(ids.len() / 2);
        self.find_pinned(left, delete, pinned)?;
        self.find_pinned(right, delete, pinned)
    }

    fn can_delete(&mut self, ids: &[i32], delete: Delete) -> Result<bool, Error> {
        let tried: QueryResult<()> = self.conn.transaction(|conn| {
            delete(conn, ids)?;
            Err(DieselError::RollbackTransaction)
        });
        match tried {
            Ok(()) | Err(DieselError::RollbackTransaction) => Ok(true),
            Err(DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)) => Ok(false),
            Err(error) => Err(error).doing("trying whether rows can be purged"),
        }
    }
}

fn delete_users(conn: &mut Conn, ids: &[i32]) -> QueryResult<()> {
    use dirsync_group_members as memberships;
    diesel::delete(memberships::table.filter(memberships::user_id.eq_any(ids))).execute(conn)?;
    diesel::delete(product_members::table.filter(product_members::user_id.eq_any(ids)))
        .execute(conn)?;
    let identities = dirsync_user_identities::user_id.eq_any(ids);
    diesel::delete(dirsync_user_identities::table.filter(identities)).execute(conn)?;
    diesel::delete(users::table.filter(users::id.eq_any(ids))).execute(conn)?;
    Ok(())
}

fn delete_groups(conn: &mut Conn, ids: &[i32]) -> QueryResult<()> {
    use dirsync_group_members as memberships;
    let members = memberships::aad_group_id.eq_any(ids);
    diesel::delete(memberships::table.filter(members)).execute(conn)?;
    let links = product_aad_groups::aad_group_id.eq_any(ids);
    diesel::delete(product_aad_groups::table.filter(links)).execute(conn)?;
    let states = dirsync_aad_groups::aad_group_id.eq_any(ids);
    diesel::delete(dirsync_aad_groups::table.filter(states)).execute(conn)?;
    diesel::delete(aad_groups::table.filter(aad_groups::id.eq_any(ids))).execute(conn)?;
    Ok(())
}
