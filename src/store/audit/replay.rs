//! Rebuilds the daemon's rows from its audit alone, and compares them with the tables.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use serde_json::Value;

use super::take::{AuditRow, Reader};
use super::{group_json, link_json, member_json, product_json, user_json};
use crate::store::load::Which;
use crate::store::lookup::{UsersBy, load_groups, load_users};
use crate::store::rows::{GroupMemberRow, LinkRow, ProductMemberRow};
use crate::store::schema::{
    audit_logs, dirsync_group_members, dirsync_registry_links, dirsync_registry_members,
    product_aad_groups, product_members,
};
use crate::store::types::Label;
use crate::store::{Doing, Error, Tx};

/// How many audit rows are held at once while replaying.
const PAGE_ROWS: i64 = 10_000;

/// The daemon's rows, as the audit tells them.
#[derive(Default)]
pub(super) struct Replay {
    /// `users` with identity, by id.
    pub(super) users: BTreeMap<i64, RowText>,
    /// `aad_groups` with state, by id.
    pub(super) groups: BTreeMap<i64, RowText>,
    /// Effective members: group id, user id.
    pub(super) memberships: BTreeSet<(i64, i64)>,
    /// Products that the registry made, by id.
    pub(super) products: BTreeMap<i64, RowText>,
    /// Links that the registry made: product id, group id.
    pub(super) links: BTreeMap<(i64, i64), RowText>,
    /// Product memberships that the registry made: product id, user id.
    pub(super) members: BTreeMap<(i64, i64), RowText>,
}

/// A row as text, its keys in order, so that equal rows are equal texts. As a tree of
/// values a large tenant would take several times the room.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RowText(Box<str>);

impl RowText {
    pub(super) fn new(row: &Value) -> Self {
        Self(row.to_string().into())
    }

    /// Fields that `stored` has not, or has otherwise.
    fn differing(&self, stored: &Value) -> String {
        let told: Value = serde_json::from_str(&self.0).expect("it was made of a value");
        let fields = told.as_object().into_iter().flatten();
        let differing: Vec<&str> = fields
            .filter(|(field, value)| stored.get(field.as_str()) != Some(value))
            .map(|(field, _)| field.as_str())
            .collect();
        differing.join(", ")
    }
}

/// A place where audit and tables do not tell the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Divergence {
    /// The kind of row.
    pub entity: String,
    /// Its id, or both ids.
    pub id: String,
    /// What differs.
    pub what: String,
}

/// The outcome of a verification.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Audit rows of the daemon that were replayed.
    pub rows: u64,
    /// Changes by somebody else, seen because a later `before` differs from the replay.
    pub foreign: Vec<Divergence>,
    /// Differences between the replay and the tables, and rows that cannot have been
    /// written as they stand.
    pub divergences: Vec<Divergence>,
}

impl Tx<'_> {
    /// Replays the daemon's audit rows in order and compares with the tables; looks
    /// whether each fits itself and what stood before it, whether they stand in the order of
    /// time, and whether each run on record wrote as many as it counted.
    pub fn verify_audit(&mut self) -> Result<Verification, Error> {
        Ok(self.verify_audit_while(|| true)?.expect("nothing stops it"))
    }

    /// The same for as long as `goes_on`, which is asked before each page; then nothing.
    pub fn verify_audit_while(
        &mut self,
        goes_on: impl Fn() -> bool,
    ) -> Result<Option<Verification>, Error> {
        let mut reader = Reader::new(self.chronicle()?);
        // Whoever may give a row its number may give it any.
        let mut after = i64::MIN;
        loop {
            if !goes_on() {
                return Ok(None);
            }
            let page: Vec<AuditRow> = audit_logs::table
                .filter(audit_logs::id.gt(after))
                .filter(audit_logs::actor_type.eq(Label::of("system")))
                .order(audit_logs::id)
                .limit(PAGE_ROWS)
                .select((
                    audit_logs::id,
                    audit_logs::entity_type,
                    audit_logs::entity_id,
                    audit_logs::action,
                    audit_logs::created_at,
                    audit_logs::before,
                    audit_logs::after,
                    audit_logs::metadata,
                ))
                .load(self.conn)
                .doing("reading the audit")?;
            let Some(last) = page.last() else { break };
            after = last.0;
            page.into_iter().try_for_each(|row| reader.take(row))?;
        }
        let (replay, mut verification) = reader.finish();
        self.compare(replay, &mut verification.divergences)?;
        Ok(Some(verification))
    }

    /// Holds the tables against what the audit tells.
    fn compare(&mut self, replay: Replay, found: &mut Vec<Divergence>) -> Result<(), Error> {
        let Replay { users, groups, memberships, products, links, members } = replay;
        let mut users = Comparison::new("user", users);
        for row in load_users(self.conn, UsersBy::All)? {
            if let (Some(id), Some(_)) = (row.id, &row.identity) {
                users.meet(&id.into(), &user_json(id, &row)?);
            }
        }
        found.extend(users.finish());
        let mut groups = Comparison::new("aad_group", groups);
        for row in load_groups(self.conn, Which::All)?.values() {
            if let (Some(id), Some(_)) = (row.id, row.state) {
                groups.meet(&id.into(), &group_json(id, row));
            }
        }
        found.extend(groups.finish());
        found.extend(self.compare_memberships(memberships)?);
        let mut made = Comparison::new("product", products);
        for product in self.catalogue()?.products.values().filter(|product| product.ours) {
            if let Some(id) = product.id {
                made.meet(&id.into(), &product_json(id, product));
            }
        }
        found.extend(made.finish());
        found.extend(self.compare_links(links)?);
        found.extend(self.compare_members(members)?);
        Ok(())
    }

    fn compare_memberships(
        &mut self,
        mut told: BTreeSet<(i64, i64)>,
    ) -> Result<Vec<Divergence>, Error> {
        let differ = |key: &(i64, i64), what: &str| Divergence {
            entity: "aad_group".to_owned(),
            id: key.show(),
            what: what.to_owned(),
        };
        let rows: Vec<GroupMemberRow> =
            dirsync_group_members::table.load(self.conn).doing("reading effective members")?;
        let stored = rows.into_iter().map(|row| (row.aad_group_id.into(), row.user_id.into()));
        let mut found: Vec<Divergence> = stored
            .filter(|key| !told.remove(key))
            .map(|key| differ(&key, "the tables have this membership, the audit has not"))
            .collect();
        let rest = told.iter();
        found.extend(
            rest.map(|key| differ(key, "the audit has this membership, the tables have not")),
        );
        Ok(found)
    }

    fn compare_links(
        &mut self,
        told: BTreeMap<(i64, i64), RowText>,
    ) -> Result<Vec<Divergence>, Error> {
        let links: Vec<LinkRow> =
            dirsync_registry_links::table
                .inner_join(product_aad_groups::table.on(
                    product_aad_groups::product_id.eq(dirsync_registry_links::product_id).and(
                        product_aad_groups::aad_group_id.eq(dirsync_registry_links::aad_group_id),
                    ),
                ))
                .select(product_aad_groups::all_columns)
                .load(self.conn)
                .doing("reading registry links")?;
        let mut comparison = Comparison::new("product_aad_group", told);
        for LinkRow { product_id, aad_group_id, created_at } in links {
            let row = link_json(product_id, aad_group_id, created_at.0);
            comparison.meet(&(product_id.into(), aad_group_id.into()), &row);
        }
        Ok(comparison.finish())
    }

    fn compare_members(
        &mut self,
        told: BTreeMap<(i64, i64), RowText>,
    ) -> Result<Vec<Divergence>, Error> {
        let members: Vec<ProductMemberRow> = dirsync_registry_members::table
            .inner_join(
                product_members::table.on(product_members::user_id
                    .eq(dirsync_registry_members::user_id)
                    .and(product_members::product_id.eq(dirsync_registry_members::product_id))),
            )
            .select(product_members::all_columns)
            .load(self.conn)
            .doing("reading registry members")?;
        let mut comparison = Comparison::new("product_member", told);
        for row in members {
            let json = member_json(row.product_id, row.user_id, row.role()?, row.joined_at.0);
            comparison.meet(&(row.product_id.into(), row.user_id.into()), &json);
        }
        Ok(comparison.finish())
    }
}

/// What identifies a row, as people read it.
trait Key: Ord {
    fn show(&self) -> String;
}

impl Key for i64 {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Key for (i64, i64) {
    fn show(&self) -> String {
        format!("{}/{}", self.0, self.1)
    }
}

/// Rows of one kind as the audit tells them, until the tables' row is met.
struct Comparison<K> {
    entity: &'static str,
    told: BTreeMap<K, RowText>,
    found: Vec<Divergence>,
}

impl<K: Key> Comparison<K> {
    fn new(entity: &'static str, told: BTreeMap<K, RowText>) -> Self {
        Self { entity, told, found: Vec::new() }
    }

    /// Looks at a row of the tables.
    fn meet(&mut self, key: &K, stored: &Value) {
        match self.told.remove(key) {
            Some(told) if told == RowText::new(stored) => {}
            Some(told) => {
                let fields = told.differing(stored);
                self.say(key, format!("audit and table differ in {fields}"));
            }
            None => self.say(key, "the tables have this row, the audit has not".to_owned()),
        }
    }

    /// All differences; what was not met is not in the tables.
    fn finish(mut self) -> Vec<Divergence> {
        for key in std::mem::take(&mut self.told).into_keys() {
            self.say(&key, "the audit has this row, the tables have not".to_owned());
        }
        self.found
    }

    fn say(&mut self, key: &K, what: String) {
        let Self { entity, .. } = *self;
        self.found.push(Divergence { entity: entity.to_owned(), id: key.show(), what });
    }
}
