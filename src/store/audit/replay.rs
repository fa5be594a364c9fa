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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// `users` with identity, by id.
    pub users: BTreeMap<i64, Value>,
    /// `aad_groups` with state, by id.
    pub groups: BTreeMap<i64, Value>,
    /// Effective members: group id, user id.
    pub memberships: BTreeSet<(i64, i64)>,
    /// Products that the registry made, by id.
    pub products: BTreeMap<i64, Value>,
    /// Links that the registry made: product id, group id.
    pub links: BTreeMap<(i64, i64), Value>,
    /// Product memberships that the registry made: product id, user id.
    pub members: BTreeMap<(i64, i64), Value>,
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
        let mut reader = Reader::new(self.chronicle()?);
        let mut after = 0_i64;
        loop {
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
        let tables = self.daemon_rows()?;
        let (replay, mut verification) = reader.finish();
        verification.divergences.extend(compare(&replay, &tables));
        Ok(verification)
    }

    /// The same rows, from the tables.
    fn daemon_rows(&mut self) -> Result<Replay, Error> {
        let mut tables = Replay::default();
        for row in load_users(self.conn, UsersBy::All)? {
            if let (Some(id), Some(_)) = (row.id, &row.identity) {
                tables.users.insert(id.into(), user_json(id, &row)?);
            }
        }
        for row in load_groups(self.conn, Which::All)?.values() {
            if let (Some(id), Some(_)) = (row.id, row.state) {
                tables.groups.insert(id.into(), group_json(id, row));
            }
        }
        let members: Vec<GroupMemberRow> =
            dirsync_group_members::table.load(self.conn).doing("reading effective members")?;
        tables.memberships =
            members.into_iter().map(|row| (row.aad_group_id.into(), row.user_id.into())).collect();
        for product in self.catalogue()?.products.values().filter(|product| product.ours) {
            if let Some(id) = product.id {
                tables.products.insert(id.into(), product_json(id, product));
            }
        }
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
        for LinkRow { product_id, aad_group_id, created_at } in links {
            let row = link_json(product_id, aad_group_id, created_at.0);
            tables.links.insert((product_id.into(), aad_group_id.into()), row);
        }
        let members: Vec<ProductMemberRow> = dirsync_registry_members::table
            .inner_join(
                product_members::table.on(product_members::user_id
                    .eq(dirsync_registry_members::user_id)
                    .and(product_members::product_id.eq(dirsync_registry_members::product_id))),
            )
            .select(product_members::all_columns)
            .load(self.conn)
            .doing("reading registry members")?;
        for row in members {
            let json = member_json(row.product_id, row.user_id, row.role()?, row.joined_at.0);
            tables.members.insert((row.product_id.into(), row.user_id.into()), json);
        }
        Ok(tables)
    }
}

fn compare(replay: &Replay, tables: &Replay) -> Vec<Divergence> {
    let Replay { users, groups, memberships, products, links, members } = replay;
    let mut found = Vec::new();
    compare_rows("user", users, &tables.users, |id| id.to_string(), &mut found);
    compare_rows("aad_group", groups, &tables.groups, |id| id.to_string(), &mut found);
    compare_rows("product", products, &tables.products, |id| id.to_string(), &mut found);
    let both = |(a, b): &(i64, i64)| format!("{a}/{b}");
    compare_rows("product_aad_group", links, &tables.links, both, &mut found);
    compare_rows("product_member", members, &tables.members, both, &mut found);
    let differ = memberships.symmetric_difference(&tables.memberships);
    found.extend(differ.map(|key| Divergence {
        entity: "aad_group".into(),
        id: both(key),
        what: if memberships.contains(key) {
            "the audit has this membership, the tables have not".into()
        } else {
            "the tables have this membership, the audit has not".into()
        },
    }));
    found
}

fn compare_rows<K: Ord + Clone>(
    entity: &str,
    replay: &BTreeMap<K, Value>,
    tables: &BTreeMap<K, Value>,
    show: impl Fn(&K) -> String,
    found: &mut Vec<Divergence>,
) {
    let keys: BTreeSet<&K> = replay.keys().chain(tables.keys()).collect();
    for key in keys {
        let what = match (replay.get(key), tables.get(key)) {
            (Some(told), Some(stored)) if told == stored => continue,
            (Some(told), Some(stored)) => {
                let fields = told.as_object().into_iter().flatten();
                let differing: Vec<&str> = fields
                    .filter(|(field, value)| stored.get(field.as_str()) != Some(value))
                    .map(|(field, _)| field.as_str())
                    .collect();
                format!("audit and table differ in {}", differing.join(", "))
            }
            (Some(_), None) => "the audit has this row, the tables have not".to_owned(),
            (None, _) => "the tables have this row, the audit has not".to_owned(),
        };
        found.push(Divergence { entity: entity.to_owned(), id: show(key), what });
    }
}
