//! Writes groups, users and effective memberships.

use std::collections::BTreeMap;

use diesel::prelude::*;
use uuid::Uuid;

use super::Writing;
use crate::directory::{Evidence, ObjectId};
use crate::reconcile::plan::{GroupChange, Item, MembershipChange, UserChange};
use crate::reconcile::report::{Action, Entity};
use crate::reconcile::world::UserRow;
use crate::store::Error;
use crate::store::audit::{Entry, group_json, link_json, member_json, membership_json, user_text};
use crate::store::bulk::{self, ROWS_MAX, Target, insert_rows};
use crate::store::rows::{
    AadGroupsRow, GroupMemberRow, GroupStateRow, IdentityRow, LinkRow, ProductMemberRow, UsersRow,
};
use crate::store::schema::{
    aad_groups, dirsync_aad_groups, dirsync_group_members, dirsync_user_identities,
    product_aad_groups, product_members, users,
};
use crate::store::types::Id;
use crate::store::{Doing, Tx};

const USERS: Target =
    Target { name: "users", key: &["id"], set: &["email", "name", "role", "updated_at"] };
const EMAILS: Target = Target { name: "users", key: &["id"], set: &["email"] };
const USER_IDS: Target = Target { name: "users", key: &["id"], set: &[] };
const IDENTITIES: Target = Target {
    name: "dirsync_user_identities",
    key: &["user_id"],
    set: &[
        "object_id",
        "state",
        "guest",
        "name_key",
        "claimed_email",
        "admin_granted",
        "removed_at",
    ],
};
const GROUPS: Target =
    Target { name: "aad_groups", key: &["id"], set: &["display_name", "updated_at"] };
const GROUP_IDS: Target = Target { name: "aad_groups", key: &["id"], set: &[] };
const GROUP_STATES: Target = Target {
    name: "dirsync_aad_groups",
    key: &["aad_group_id"],
    set: &["object_id", "state", "removed_at"],
};
const MEMBERSHIPS: Target =
    Target { name: "dirsync_group_members", key: &["aad_group_id", "user_id"], set: &[] };

impl Writing<'_, '_> {
    pub(super) fn groups(&mut self) -> Result<(), Error> {
        let (mut new, mut changed, mut states, mut purged) = (vec![], vec![], vec![], vec![]);
        let plan = self.plan;
        for change in &plan.groups {
            let id = self.ids.groups[&change.key];
            match (&change.before, &change.after) {
                (None, Some(after)) => new.push(AadGroupsRow::new(id, after)),
                (Some(before), Some(after)) if before.display_name != after.display_name => {
                    changed.push(AadGroupsRow::new(id, after));
                }
                (_, None) => purged.push(change),
                _ => {}
            }
            states.extend(change.after.as_ref().and_then(|row| GroupStateRow::new(id, row)));
        }
        for change in purged {
            self.purge_group(change)?;
        }
        insert_rows!(self.tx.conn, aad_groups::table, &new, "inserting groups")?;
        bulk::update(self.tx.conn, &GROUPS, &changed, "updating groups")?;
        bulk::upsert(self.tx.conn, &GROUP_STATES, &states, "writing the state of groups")?;
        for change in &plan.groups {
            let id = self.ids.groups[&change.key];
            let json = |row: &Option<_>| row.as_ref().map(|row| group_json(id, row).to_string());
            let entry = Entry {
                entity: Entity::AadGroup,
                entity_id: id,
                action: change.action(),
                before: json(&change.before),
                after: json(&change.after),
                evidence: change.evidence,
                record: self.records.objects.get(&change.key).copied(),
                products: None,
                approval: self.approval(&[Item::Group(change.key), Item::GroupPurge(change.key)]),
            };
            self.audit.add(self.tx, entry)?;
            self.note(Entity::AadGroup, change.action());
        }
        Ok(())
    }

    /// A purged group takes its links along, whoever made them.
    fn purge_group(&mut self, change: &GroupChange) -> Result<(), Error> {
        let id = self.ids.groups[&change.key];
        let links: Vec<LinkRow> = product_aad_groups::table
            .filter(product_aad_groups::aad_group_id.eq(id))
            .load(self.tx.conn)
            .doing("reading links of a purged group")?;
        for LinkRow { product_id, aad_group_id, created_at } in links {
            let before = link_json(product_id, aad_group_id, created_at.0).to_string();
            self.taken(
                Entity::ProductAadGroup,
                product_id,
                Action::Unlink,
                before,
                (change.key, change.evidence, Item::GroupPurge(change.key)),
            )?;
        }
        let of_group = product_aad_groups::aad_group_id.eq(id);
        diesel::delete(product_aad_groups::table.filter(of_group))
            .execute(self.tx.conn)
            .doing("purging links")?;
        let state = dirsync_aad_groups::aad_group_id.eq(id);
        diesel::delete(dirsync_aad_groups::table.filter(state))
            .execute(self.tx.conn)
            .doing("purging a group")?;
        let row =
            [AadGroupsRow::new(id, change.before.as_ref().expect("a purged group had a row"))];
        bulk::delete(self.tx.conn, &GROUP_IDS, &row, "purging a group")?;
        self.tx.forget_group(change.key)
    }

    /// A purged user takes its product memberships along, whoever made them.
    fn purge_user(&mut self, change: &UserChange) -> Result<(), Error> {
        let id = self.ids.users[&change.key];
        let memberships: Vec<ProductMemberRow> = product_members::table
            .filter(product_members::user_id.eq(id))
            .load(self.tx.conn)
            .doing("reading product memberships of a purged user")?;
        for row in memberships {
            let role = row.role()?;
            let before =
                member_json(row.product_id, row.user_id, role, row.joined_at.0).to_string();
            self.taken(
                Entity::ProductMember,
                row.product_id,
                Action::Delete,
                before,
                (change.key, change.evidence, Item::UserPurge(change.key)),
            )?;
        }
        let of_user = product_members::user_id.eq(id);
        diesel::delete(product_members::table.filter(of_user))
            .execute(self.tx.conn)
            .doing("purging memberships")?;
        let identity = dirsync_user_identities::user_id.eq(id);
        diesel::delete(dirsync_user_identities::table.filter(identity))
            .execute(self.tx.conn)
            .doing("purging a user")?;
        let row = [UsersRow::new(id, change.before.as_ref().expect("a purged user had a row"))];
        bulk::delete(self.tx.conn, &USER_IDS, &row, "purging a user")?;
        self.tx.forget_user(change.key)
    }

    fn taken(
        &mut self,
        entity: Entity,
        entity_id: i32,
        action: Action,
        before: String,
        (purged, evidence, with): (ObjectId, Option<Evidence>, Item),
    ) -> Result<(), Error> {
        let entry = Entry {
            entity,
            entity_id,
            action,
            before: Some(before),
            after: None,
            evidence,
            record: self.records.objects.get(&purged).copied(),
            products: None,
            approval: self.approval(&[with]),
        };
        self.audit.add(self.tx, entry)?;
        self.note(entity, action);
        Ok(())
    }

    pub(super) fn users(&mut self) -> Result<(), Error> {
        let plan = self.plan;
        for change in plan.users.iter().filter(|change| change.after.is_none()) {
            self.purge_user(change)?;
        }
        self.vacate_addresses()?;
        plan.users.chunks(ROWS_MAX).try_for_each(|changes| self.write_users(changes))
    }

    /// Rows, identities and audit of so many users as one statement takes: all of them at
    /// once would be a second copy of the plan.
    fn write_users(&mut self, changes: &[UserChange]) -> Result<(), Error> {
        let (mut new, mut new_identities, mut changed, mut identities) =
            (vec![], vec![], vec![], vec![]);
        for change in changes {
            let Some(after) = &change.after else { continue };
            let id = self.ids.users[&change.key];
            let row = UsersRow::new(id, after);
            match &change.before {
                None => new.push(row),
                Some(before) if before.updated_at != after.updated_at || differs(before, after) => {
                    changed.push(row);
                }
                Some(_) => {}
            }
            let identity = after.identity.as_ref().map(|i| IdentityRow::new(id, &after.name, i));
            match change.before.as_ref().and_then(|row| row.identity.as_ref()) {
                None => new_identities.extend(identity),
                Some(_) => identities.extend(identity),
            }
        }
        bulk::update(self.tx.conn, &USERS, &changed, "updating users")?;
        insert_rows!(self.tx.conn, users::table, new, "inserting users")?;
        insert_rows!(
            self.tx.conn,
            dirsync_user_identities::table,
            new_identities,
            "inserting identities"
        )?;
        bulk::upsert(self.tx.conn, &IDENTITIES, &identities, "writing identities")?;
        changes.iter().try_for_each(|change| self.audit_user(change))
    }

    fn audit_user(&mut self, change: &UserChange) -> Result<(), Error> {
        let id = self.ids.users[&change.key];
        let json = |row: &Option<UserRow>| row.as_ref().map(|row| user_text(id, row)).transpose();
        let entry = Entry {
            entity: Entity::User,
            entity_id: id,
            action: change.action(),
            before: json(&change.before)?,
            after: json(&change.after)?,
            evidence: change.evidence,
            record: self.records.objects.get(&change.key).copied(),
            products: None,
            approval: self.approval(&[
                Item::User(change.key),
                Item::UserPurge(change.key),
                Item::Role(change.key),
                Item::Adoption(change.key),
            ]),
        };
        self.audit.add(self.tx, entry)?;
        self.note(Entity::User, change.action());
        Ok(())
    }

    /// `users.email` is checked row by row, so in a swap both addresses are taken.
    /// Rows that leave an address which another row takes step aside first; then the order
    /// of writing does not matter.
    fn vacate_addresses(&mut self) -> Result<(), Error> {
        let changes = &self.plan.users;
        let movers = changes.iter().filter_map(|change| {
            let (before, after) = (change.before.as_ref()?, change.after.as_ref()?);
            (before.email != after.email).then_some((change.key, before, after))
        });
        let left: BTreeMap<&str, _> =
            movers.map(|(key, before, after)| (before.email.as_str(), (key, after))).collect();
        let taken = changes.iter().filter_map(|change| change.after.as_ref());
        let taken = taken.filter_map(|row| left.get(row.email.as_str()));
        let leaving: Vec<UsersRow> = taken
            .map(|(key, after)| {
                // No row of people's has it already.
                let email = format!("{key}.{}@moving.invalid", Uuid::new_v4().simple());
                UsersRow::new(self.ids.users[key], &UserRow { email, ..(*after).clone() })
            })
            .collect();
        bulk::update(self.tx.conn, &EMAILS, &leaving, "moving addresses")?;
        Ok(())
    }

    pub(super) fn memberships_end(&mut self) -> Result<(), Error> {
        self.memberships(false)
    }

    pub(super) fn memberships_begin(&mut self) -> Result<(), Error> {
        self.memberships(true)
    }

    fn memberships(&mut self, made: bool) -> Result<(), Error> {
        let plan = self.plan;
        let mut rows: Vec<GroupMemberRow> = Vec::new();
        for change in plan.memberships.iter().filter(|change| change.made == made) {
            let MembershipChange { group, user, evidence, products, .. } = change;
            let (group_id, user_id) = (self.ids.groups[group], self.ids.users[user]);
            rows.push(GroupMemberRow { aad_group_id: group_id, user_id });
            let json = membership_json((group_id, *group), (user_id, *user));
            let (action, key) = if made {
                (Action::Link, "products_gained")
            } else {
                (Action::Unlink, "products_lost")
            };
            let (before, after) = if made { (None, Some(json)) } else { (Some(json), None) };
            let entry = Entry {
                entity: Entity::AadGroup,
                entity_id: group_id,
                action,
                before,
                after,
                evidence: *evidence,
                record: self.records.edges.get(&(*group, *user)).copied(),
                products: (!products.is_empty()).then(|| (key, products.clone())),
                approval: if made {
                    self.approval(&[Item::Joining(*group, *user)])
                } else {
                    self.approval(&[
                        Item::Membership(*group, *user),
                        // What a purge takes along.
                        Item::GroupPurge(*group),
                        Item::UserPurge(*user),
                    ])
                },
            };
            self.audit.add(self.tx, entry)?;
            self.note(Entity::AadGroup, action);
        }
        if made {
            for rows in rows.chunks(ROWS_MAX * 10) {
                insert_rows!(
                    self.tx.conn,
                    dirsync_group_members::table,
                    rows,
                    "inserting memberships"
                )?;
            }
        } else {
            let ended = bulk::delete(self.tx.conn, &MEMBERSHIPS, &rows, "deleting memberships")?;
            // No audit row without its change.
            if ended != rows.len() {
                let planned = rows.len();
                let what = format!("{planned} memberships were to end, and {ended} were there");
                return Err(Error::Corrupt(what));
            }
        }
        Ok(())
    }
}

fn differs(before: &UserRow, after: &UserRow) -> bool {
    (&before.email, &before.name, before.role) != (&after.email, &after.name, after.role)
}

impl Tx<'_> {
    /// Forgets what was observed of a purged user, unless Graph can still restore it:
    /// then it would have to come back with its memberships.
    fn forget_user(&mut self, id: ObjectId) -> Result<(), Error> {
        use crate::store::schema::{
            dirsync_observed_edges as edges, dirsync_observed_users as observed,
        };
        let id = Id::from(id);
        let gone = observed::table.find(id).filter(observed::presence.ne(SOFT_DELETED));
        let forgotten = diesel::delete(gone).execute(self.conn).doing("forgetting a user")?;
        if forgotten > 0 {
            diesel::delete(edges::table.filter(edges::member_id.eq(id)))
                .execute(self.conn)
                .doing("forgetting a user's edges")?;
        }
        Ok(())
    }

    /// Forgets what was observed of a purged group, likewise.
    fn forget_group(&mut self, id: ObjectId) -> Result<(), Error> {
        use crate::store::schema::{
            dirsync_observed_edges as edges, dirsync_observed_groups as observed,
        };
        let id = Id::from(id);
        let gone = observed::table.find(id).filter(observed::presence.ne(SOFT_DELETED));
        let forgotten = diesel::delete(gone).execute(self.conn).doing("forgetting a group")?;
        if forgotten > 0 {
            diesel::delete(edges::table.filter(edges::group_id.eq(id).or(edges::member_id.eq(id))))
                .execute(self.conn)
                .doing("forgetting a group's edges")?;
        }
        Ok(())
    }
}

/// The word for what is in Graph's deleted container.
const SOFT_DELETED: &str = "soft_deleted";
