//! `before` and `after`: the whole row, with the daemon's own state where it has one.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::directory::ObjectId;
use crate::reconcile::world::{GroupRow, Identity, ProductRole, ProductRow, UserRow};
use crate::store::Error;
use crate::store::types::{Id, Time};

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A row of `users`, with `identity` where the daemon knows one. A first run writes one
/// for everybody, so it is made without a tree of values in between.
#[derive(Serialize)]
struct UserJson<'a> {
    id: i32,
    email: &'a str,
    name: &'a str,
    role: &'static str,
    created_at: Time,
    updated_at: Time,
    identity: Option<IdentityJson<'a>>,
}

#[derive(Serialize)]
struct IdentityJson<'a> {
    object_id: Id,
    state: &'static str,
    guest: bool,
    claimed_email: Option<&'a str>,
    admin_granted: bool,
    removed_at: Option<Time>,
}

impl<'a> UserJson<'a> {
    fn new(id: i32, row: &'a UserRow) -> Self {
        let UserRow { id: _, email, name, role, created_at, updated_at, identity } = row;
        Self {
            id,
            email,
            name,
            role: role.label(),
            created_at: Time(*created_at),
            updated_at: Time(*updated_at),
            identity: identity.as_ref().map(IdentityJson::new),
        }
    }
}

impl<'a> IdentityJson<'a> {
    fn new(identity: &'a Identity) -> Self {
        let Identity { object_id, state, guest, claimed_email, admin_granted, removed_at } =
            identity;
        Self {
            object_id: (*object_id).into(),
            state: state.label(),
            guest: *guest,
            claimed_email: claimed_email.as_deref(),
            admin_granted: *admin_granted,
            removed_at: removed_at.map(Time),
        }
    }
}

/// The row as text.
pub(in crate::store) fn user_text(id: i32, row: &UserRow) -> Result<String, Error> {
    serde_json::to_string(&UserJson::new(id, row)).map_err(|error| unwritable(&error))
}

/// The row as a value, to be compared with what the audit tells.
pub(in crate::store) fn user_json(id: i32, row: &UserRow) -> Result<Value, Error> {
    serde_json::to_value(UserJson::new(id, row)).map_err(|error| unwritable(&error))
}

fn unwritable(error: &serde_json::Error) -> Error {
    Error::Corrupt(error.to_string())
}

/// A row of `aad_groups`, with `state` where the daemon has taken it over.
pub(in crate::store) fn group_json(id: i32, row: &GroupRow) -> Value {
    let GroupRow {
        id: _,
        object_id: _,
        external_id,
        display_name,
        created_at,
        updated_at,
        state,
        removed_at,
    } = row;
    json!({
        "id": id,
        "external_id": external_id,
        "display_name": display_name,
        "created_at": time(*created_at),
        "updated_at": time(*updated_at),
        "state": state.map(|state| state.label()),
        "removed_at": removed_at.map(time),
    })
}

/// An effective membership. Written by hand: a first run has half a million of them.
pub(in crate::store) fn membership_json(
    (group_id, group): (i32, ObjectId),
    (user_id, user): (i32, ObjectId),
) -> String {
    format!(
        r#"{{"aad_group_id":{group_id},"user_id":{user_id},"group_object_id":"{group}","user_object_id":"{user}"}}"#
    )
}

/// A row of `products`.
pub(in crate::store) fn product_json(id: i32, row: &ProductRow) -> Value {
    let ProductRow { id: _, name, description, created_at, updated_at, ours: _ } = row;
    json!({
        "id": id,
        "name": name,
        "description": description,
        "created_at": time(*created_at),
        "updated_at": time(*updated_at),
    })
}

/// A row of `product_aad_groups`.
pub(in crate::store) fn link_json(product: i32, group: i32, created_at: DateTime<Utc>) -> Value {
    json!({ "product_id": product, "aad_group_id": group, "created_at": time(created_at) })
}

/// A row of `product_members`.
pub(in crate::store) fn member_json(
    product: i32,
    user: i32,
    role: ProductRole,
    joined_at: DateTime<Utc>,
) -> Value {
    json!({ "product_id": product, "user_id": user, "role": role.label(), "joined_at": time(joined_at) })
}
