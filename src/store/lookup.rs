//! Finds rows of `users` and `aad_groups` by what identifies them: object id or address.
//!
//! Addresses are compared without letter case. The databases fold ASCII alone, or what
//! their locale says; so addresses in other alphabets, which are few, are read whole
//! and folded here.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::bulk::IDS_MAX;
use super::connection::Conn;
use super::load::{Which, in_slices};
use super::rows::{AadGroupsRow, GroupStateRow, IdentityRow, UsersRow};
use super::schema::{aad_groups, dirsync_aad_groups, dirsync_user_identities, users};
use super::types::Id;
use super::{Doing, Error, Tx};
use crate::directory::{ObjectId, fold_case};
use crate::reconcile::world::{GroupRow, State, UserRow};

diesel::define_sql_function! {
    /// Folds ASCII case, in both databases.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}
diesel::define_sql_function! {
    /// The same for a column that may be null.
    #[sql_name = "lower"]
    fn lower_null(text: diesel::sql_types::Nullable<diesel::sql_types::Text>) -> diesel::sql_types::Nullable<diesel::sql_types::Text>;
}
diesel::define_sql_function! {
    /// Characters.
    #[sql_name = "length"]
    fn characters(text: diesel::sql_types::Nullable<diesel::sql_types::Text>) -> diesel::sql_types::Nullable<diesel::sql_types::Integer>;
}
diesel::define_sql_function! {
    /// Bytes: more than characters where some are not ASCII.
    #[sql_name = "octet_length"]
    fn bytes(text: diesel::sql_types::Nullable<diesel::sql_types::Text>) -> diesel::sql_types::Nullable<diesel::sql_types::Integer>;
}

/// Which rows of `users` to read.
#[derive(Clone, Copy)]
pub(super) enum UsersBy<'a> {
    All,
    ObjectIds(&'a BTreeSet<ObjectId>),
    /// Folded addresses.
    Emails(&'a BTreeSet<String>),
    /// No identity: made by people.
    Hand,
}

type UserParts = (UsersRow, Option<IdentityRow>);

/// Every row of `users` beside its identity. A macro: the query's type is not to be written.
macro_rules! users_with_identity {
    () => {
        users::table
            .left_join(
                dirsync_user_identities::table.on(dirsync_user_identities::user_id.eq(users::id)),
            )
            .select((users::all_columns, dirsync_user_identities::all_columns.nullable()))
    };
}

pub(super) fn load_users(conn: &mut Conn, by: UsersBy<'_>) -> Result<Vec<UserRow>, Error> {
    let rows: Vec<UserParts> = match by {
        UsersBy::All => users_with_identity!().order(users::id).load(conn),
        UsersBy::ObjectIds(ids) => in_slices(ids.iter().copied(), |ids| {
            users_with_identity!().filter(dirsync_user_identities::object_id.eq_any(ids)).load(conn)
        }),
        UsersBy::Emails(addresses) => users_by_email(conn, addresses),
        UsersBy::Hand => {
            users_with_identity!().filter(dirsync_user_identities::user_id.is_null()).load(conn)
        }
    }
    .doing("reading users")?;
    rows.into_iter().map(|(row, identity)| row.read(identity)).collect()
}

impl Tx<'_> {
    /// The addresses, folded, of rows of `users` that people made and nobody has adopted:
    /// all of them, or those among `addresses`.
    pub fn hand_made_addresses(
        &mut self,
        among: Option<&BTreeSet<String>>,
    ) -> Result<BTreeSet<String>, Error> {
        let rows = load_users(self.conn, among.map_or(UsersBy::Hand, UsersBy::Emails))?;
        let by_hand = rows.into_iter();
        let by_hand = by_hand.filter(|row| row.identity.is_none() && row.email.trim() == row.email);
        Ok(by_hand.map(|row| fold_case(&row.email)).collect())
    }
}

fn users_by_email(conn: &mut Conn, addresses: &BTreeSet<String>) -> QueryResult<Vec<UserParts>> {
    let (ascii, foreign) = by_alphabet(addresses);
    let mut rows = Vec::new();
    for slice in ascii.chunks(IDS_MAX) {
        rows.extend(users_with_identity!().filter(lower(users::email).eq_any(slice)).load(conn)?);
    }
    if !foreign.is_empty() {
        let email = || users::email.nullable();
        let all: Vec<UserParts> =
            users_with_identity!().filter(bytes(email()).ne(characters(email()))).load(conn)?;
        rows.extend(
            all.into_iter().filter(|(row, _)| foreign.contains(fold_case(&row.email).as_str())),
        );
    }
    Ok(rows)
}

/// Users who are not removed and would take one of these addresses if it came free.
pub(super) fn waiting_for(
    conn: &mut Conn,
    addresses: &BTreeSet<String>,
) -> Result<Vec<ObjectId>, Error> {
    use dirsync_user_identities::dsl::{claimed_email, object_id, state};
    let (ascii, foreign) = by_alphabet(addresses);
    let waiting = || {
        dirsync_user_identities::table
            .filter(state.ne(State::Removed.label()))
            .select((object_id, claimed_email))
    };
    let mut rows: Vec<(Id, Option<String>)> = Vec::new();
    for slice in ascii.chunks(IDS_MAX) {
        let found = waiting().filter(lower_null(claimed_email).eq_any(slice)).load(conn);
        rows.extend(found.doing("reading who waits for an address")?);
    }
    if !foreign.is_empty() {
        let all: Vec<(Id, Option<String>)> = waiting()
            .filter(bytes(claimed_email).ne(characters(claimed_email)))
            .load(conn)
            .doing("reading who waits for an address")?;
        let wanted = |claimed: &Option<String>| {
            claimed.as_deref().is_some_and(|claimed| foreign.contains(fold_case(claimed).as_str()))
        };
        rows.extend(all.into_iter().filter(|(_, claimed)| wanted(claimed)));
    }
    Ok(rows.into_iter().map(|(id, _)| id.into()).collect())
}

/// Those that the databases can fold, and the rest.
fn by_alphabet(addresses: &BTreeSet<String>) -> (Vec<&str>, BTreeSet<&str>) {
    let (ascii, foreign): (Vec<&str>, Vec<&str>) =
        addresses.iter().map(String::as_str).partition(|address| address.is_ascii());
    (ascii, foreign.into_iter().collect())
}

pub(super) fn load_groups(
    conn: &mut Conn,
    which: Which<'_>,
) -> Result<BTreeMap<ObjectId, GroupRow>, Error> {
    let query = || {
        aad_groups::table
            .left_join(
                dirsync_aad_groups::table.on(dirsync_aad_groups::aad_group_id.eq(aad_groups::id)),
            )
            .select((aad_groups::all_columns, dirsync_aad_groups::all_columns.nullable()))
    };
    let rows: Vec<(AadGroupsRow, Option<GroupStateRow>)> = match which {
        Which::All => query().load(conn),
        Which::Ids(ids) => {
            let bound = dirsync_aad_groups::object_id.nullable();
            in_slices(ids.iter().copied(), |ids| query().filter(bound.eq_any(ids)).load(conn))
                .and_then(|mut rows: Vec<(AadGroupsRow, Option<GroupStateRow>)>| {
                    let known = rows.iter().filter_map(|(_, state)| state.as_ref());
                    let known: BTreeSet<ObjectId> =
                        known.map(|state| state.object_id.into()).collect();
                    let spelled: Vec<String> =
                        ids.difference(&known).map(ToString::to_string).collect();
                    for slice in spelled.chunks(IDS_MAX) {
                        let external_id = lower(aad_groups::external_id);
                        rows.extend(query().filter(external_id.eq_any(slice)).load(conn)?);
                    }
                    Ok(rows)
                })
        }
    }
    .doing("reading groups")?;
    let mut groups = BTreeMap::new();
    for (row, state) in rows {
        let Some(group) = row.read(state)? else { continue };
        match groups.entry(group.object_id) {
            Entry::Vacant(place) => drop(place.insert(group)),
            // People may have written a second row, in other letter case; the first is the group's.
            Entry::Occupied(mut known) if precedes(&group, known.get()) => {
                known.insert(group);
            }
            Entry::Occupied(_) => {}
        }
    }
    Ok(groups)
}

/// Whether a row is rather the group's than another: ours, then the older one.
fn precedes(row: &GroupRow, other: &GroupRow) -> bool {
    (row.state.is_none(), row.id) < (other.state.is_none(), other.id)
}
