//! Which rows of the platform are the daemon's: what only its own tables know.
//!
//! The audit tells who was whose, but not what a registry name was bound to, which
//! tenant the database belongs to, nor whom to ask Graph about by id. So the tables cannot
//! be made again from it, and whoever drops them has to say so.

use std::fmt;

use diesel::prelude::*;

use super::super::connection::Conn;
use super::super::{Doing, Error};
use crate::store::schema::{
    dirsync_aad_groups, dirsync_registry_bindings, dirsync_registry_links,
    dirsync_registry_members, dirsync_registry_products, dirsync_user_identities,
};

/// How much is the daemon's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Belongings {
    /// Rows of `users` with an identity.
    pub people: i64,
    /// Those whose role `admin` the daemon gave, and would take back.
    pub admins: i64,
    /// Rows of `aad_groups` that it keeps.
    pub groups: i64,
    /// Products, links and product memberships that the registry made.
    pub registry: i64,
    /// Registry names that are bound to an object.
    pub names: i64,
}

impl Belongings {
    /// Counts.
    pub(super) fn count(conn: &mut Conn) -> Result<Self, Error> {
        let granted =
            dirsync_user_identities::table.filter(dirsync_user_identities::admin_granted.eq(true));
        let mut count = || -> QueryResult<Self> {
            Ok(Self {
                people: dirsync_user_identities::table.count().get_result(conn)?,
                admins: granted.count().get_result(conn)?,
                groups: dirsync_aad_groups::table.count().get_result(conn)?,
                registry: dirsync_registry_products::table.count().get_result::<i64>(conn)?
                    + dirsync_registry_links::table.count().get_result::<i64>(conn)?
                    + dirsync_registry_members::table.count().get_result::<i64>(conn)?,
                names: dirsync_registry_bindings::table.count().get_result(conn)?,
            })
        };
        count().doing("counting what is the daemon's")
    }
}

impl fmt::Display for Belongings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { people, admins, groups, registry, names } = self;
        write!(
            f,
            "{people} people, {admins} of them admins by a group, {groups} groups, {registry} rows made by the registry and {names} bound names"
        )
    }
}
