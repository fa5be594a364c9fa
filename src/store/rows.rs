//! Rows as the tables hold them, and their way to and from the types of `reconcile`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;

use super::Error;
use super::schema::{
    aad_groups, dirsync_aad_groups, dirsync_group_members, dirsync_observed_edges,
    dirsync_observed_groups, dirsync_observed_users, dirsync_user_identities, product_aad_groups,
    product_members, products, users,
};
use super::types::{Id, Label, Time};
use crate::directory::{Evidence, GroupFacts, ObjectId, Tombstone, UserFacts, person_key};
use crate::reconcile::world::{
    GroupRow, Identity, MemberRead, ObservedGroup, ObservedUser, Presence, ProductRole, ProductRow,
    Role, State, UserRow,
};

fn parsed<T>(value: Option<T>, what: &'static str, label: &str) -> Result<T, Error> {
    value.ok_or_else(|| Error::Corrupt(format!("{what} \"{label}\"")))
}

#[derive(Debug, Clone, Queryable, Insertable, Serialize)]
#[diesel(table_name = dirsync_observed_users, treat_none_as_default_value = false)]
pub(super) struct ObservedUserRow {
    pub(super) object_id: Id,
    display_name: Option<String>,
    upn: Option<String>,
    mail: Option<String>,
    enabled: Option<bool>,
    guest: bool,
    presence: String,
    evidence: Option<String>,
}

fn presence_words(presence: Presence) -> (&'static str, Option<&'static str>) {
    match presence {
        Presence::Present => ("present", None),
        Presence::Gone(Tombstone::Soft, evidence) => ("soft_deleted", Some(evidence.label())),
        Presence::Gone(Tombstone::Hard, evidence) => ("gone", Some(evidence.label())),
    }
}

pub(super) fn presence_of(word: &str, evidence: Option<&str>) -> Result<Presence, Error> {
    let evidence = evidence.and_then(Evidence::parse).unwrap_or(Evidence::Derived);
    match word {
        "present" => Ok(Presence::Present),
        "soft_deleted" => Ok(Presence::Gone(Tombstone::Soft, evidence)),
        "gone" => Ok(Presence::Gone(Tombstone::Hard, evidence)),
        other => Err(Error::Corrupt(format!("presence \"{other}\""))),
    }
}

impl ObservedUserRow {
    pub(super) fn new(id: ObjectId, user: &ObservedUser) -> Self {
        let UserFacts { display_name, upn, mail, enabled, guest } = user.facts.clone();
        let (presence, evidence) = presence_words(user.presence);
        Self {
            object_id: id.into(),
            display_name,
            upn,
            mail,
            enabled,
            guest: guest.unwrap_or(false),
            presence: presence.to_owned(),
            evidence: evidence.map(str::to_owned),
        }
    }

    pub(super) fn read(self) -> Result<(ObjectId, ObservedUser), Error> {
        let Self { object_id, display_name, upn, mail, enabled, guest, presence, evidence } = self;
        let facts = UserFacts { display_name, upn, mail, enabled, guest: Some(guest) };
        let presence = presence_of(&presence, evidence.as_deref())?;
        Ok((object_id.into(), ObservedUser { facts, presence }))
    }
}

#[derive(Debug, Clone, Queryable, Insertable, Serialize)]
#[diesel(table_name = dirsync_observed_groups, treat_none_as_default_value = false)]
pub(super) struct ObservedGroupRow {
    pub(super) object_id: Id,
    display_name: Option<String>,
    hidden_membership: bool,
    presence: String,
    evidence: Option<String>,
    members: String,
    stale_since: Option<Time>,
}

impl ObservedGroupRow {
    pub(super) fn new(id: ObjectId, group: &ObservedGroup, now: DateTime<Utc>) -> Self {
        let GroupFacts { display_name, hidden_membership } = group.facts.clone();
        let (presence, evidence) = presence_words(group.presence);
        Self {
            object_id: id.into(),
            display_name,
            hidden_membership,
            presence: presence.to_owned(),
            evidence: evidence.map(str::to_owned),
            members: group.members.label().to_owned(),
            stale_since: (group.members == MemberRead::Stale).then_some(Time(now)),
        }
    }

    pub(super) fn read(self) -> Result<(ObjectId, ObservedGroup), Error> {
        let Self {
            object_id, display_name, hidden_membership, presence, evidence, members, ..
        } = self;
        let facts = GroupFacts { display_name, hidden_membership };
        let presence = presence_of(&presence, evidence.as_deref())?;
        let members = parsed(MemberRead::parse(&members), "members", &members)?;
        Ok((object_id.into(), ObservedGroup { facts, presence, members }))
    }
}

#[derive(Debug, Clone, Copy, Queryable, Insertable, Serialize)]
#[diesel(table_name = dirsync_observed_edges, treat_none_as_default_value = false)]
pub(super) struct EdgeRow {
    pub(super) group_id: Id,
    pub(super) member_id: Id,
    pub(super) is_group: bool,
}

#[derive(Debug, Clone, Queryable, Insertable, Serialize)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
pub(super) struct UsersRow {
    pub(super) id: i32,
    pub(super) email: String,
    name: String,
    role: Label,
    created_at: Time,
    updated_at: Time,
}

#[derive(Debug, Clone, Queryable, Insertable, Serialize)]
#[diesel(table_name = dirsync_user_identities, treat_none_as_default_value = false)]
pub(super) struct IdentityRow {
    pub(super) user_id: i32,
    pub(super) object_id: Id,
    state: String,
    guest: bool,
    name_key: String,
    claimed_email: Option<String>,
    admin_granted: bool,
    removed_at: Option<Time>,
}

impl UsersRow {
    pub(super) fn new(id: i32, row: &UserRow) -> Self {
        Self {
            id,
            email: row.email.clone(),
            name: row.name.clone(),
            role: Label::of(row.role.label()),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }

    pub(super) fn read(self, identity: Option<IdentityRow>) -> Result<UserRow, Error> {
        let Self { id, email, name, role, created_at, updated_at } = self;
        Ok(UserRow {
            id: Some(id),
            email,
            name,
            role: parsed(Role::parse(&role.0), "users.role", &role.0)?,
            created_at: created_at.0,
            updated_at: updated_at.0,
            identity: identity.map(IdentityRow::read).transpose()?,
        })
    }
}

impl IdentityRow {
    pub(super) fn new(user_id: i32, name: &str, identity: &Identity) -> Self {
        Self {
            user_id,
            object_id: identity.object_id.into(),
            state: identity.state.label().to_owned(),
            guest: identity.guest,
            name_key: person_key(name),
            claimed_email: identity.claimed_email.clone(),
            admin_granted: identity.admin_granted,
            removed_at: identity.removed_at.map(Time),
        }
    }

    fn read(self) -> Result<Identity, Error> {
        let Self { object_id, state, guest, claimed_email, admin_granted, removed_at, .. } = self;
        Ok(Identity {
            object_id: object_id.into(),
            state: parsed(State::parse(&state), "state", &state)?,
            guest,
            claimed_email,
            admin_granted,
            removed_at: removed_at.map(|time| time.0),
        })
    }
}

#[derive(Debug, Clone, Queryable, Insertable, Serialize)]
#[diesel(table_name = aad_groups, treat_none_as_default_value = false)]
pub(super) struct AadGroupsRow {
    pub(super) id: i32,
    external_id: String,
    display_name: String,
    created_at: Time,
    updated_at: Time,
}

#[derive(Debug, Clone, Queryable, Insertable, Serialize)]
#[diesel(table_name = dirsync_aad_groups, treat_none_as_default_value = false)]
pub(super) struct GroupStateRow {
    pub(super) aad_group_id: i32,
    pub(super) object_id: Id,
    state: String,
    removed_at: Option<Time>,
}

impl AadGroupsRow {
    pub(super) fn new(id: i32, row: &GroupRow) -> Self {
        Self {
            id,
            external_id: row.external_id.clone(),
            display_name: row.display_name.clone(),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }

    /// Whose row it is: the group's it was taken over for, whatever people write there later.
    /// `None` for a row of another service whose `external_id` is not spelled as an object id.
    pub(super) fn read(self, state: Option<GroupStateRow>) -> Result<Option<GroupRow>, Error> {
        let Self { id, external_id, display_name, created_at, updated_at } = self;
        let bound = state.as_ref().map(|state| ObjectId::from(state.object_id));
        let Some(object_id) = bound.or_else(|| ObjectId::spelled(&external_id)) else {
            return Ok(None);
        };
        let (state, removed_at) = match state {
            None => (None, None),
            Some(row) => (
                Some(parsed(State::parse(&row.state), "state", &row.state)?),
                row.removed_at.map(|time| time.0),
            ),
        };
        Ok(Some(GroupRow {
            id: Some(id),
            object_id,
            external_id,
            display_name,
            created_at: created_at.0,
            updated_at: updated_at.0,
            state,
            removed_at,
        }))
    }
}

impl GroupStateRow {
    /// The state's row, where the daemon has taken the group over.
    pub(super) fn new(aad_group_id: i32, row: &GroupRow) -> Option<Self> {
        Some(Self {
            aad_group_id,
            object_id: row.object_id.into(),
            state: row.state?.label().to_owned(),
            removed_at: row.removed_at.map(Time),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Queryable, Insertable, Serialize)]
#[diesel(table_name = dirsync_group_members, treat_none_as_default_value = false)]
pub(super) struct GroupMemberRow {
    pub(super) aad_group_id: i32,
    pub(super) user_id: i32,
}

#[derive(Debug, Clone, Queryable, Insertable, Serialize)]
#[diesel(table_name = products, treat_none_as_default_value = false)]
pub(super) struct ProductsRow {
    pub(super) id: i32,
    pub(super) name: String,
    description: Option<String>,
    created_at: Time,
    updated_at: Time,
}

impl ProductsRow {
    pub(super) fn new(id: i32, row: &ProductRow) -> Self {
        Self {
            id,
            name: row.name.clone(),
            description: row.description.clone(),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }

    pub(super) fn read(self, ours: bool) -> ProductRow {
        let Self { id, name, description, created_at, updated_at } = self;
        ProductRow {
            id: Some(id),
            name,
            description,
            created_at: created_at.0,
            updated_at: updated_at.0,
            ours,
        }
    }
}

#[derive(Debug, Clone, Copy, Queryable, Insertable, Serialize)]
#[diesel(table_name = product_aad_groups, treat_none_as_default_value = false)]
pub(super) struct LinkRow {
    pub(super) product_id: i32,
    pub(super) aad_group_id: i32,
    pub(super) created_at: Time,
}

#[derive(Debug, Clone, Queryable, Insertable, Serialize)]
#[diesel(table_name = product_members, treat_none_as_default_value = false)]
pub(super) struct ProductMemberRow {
    pub(super) user_id: i32,
    pub(super) product_id: i32,
    pub(super) role: Label,
    pub(super) joined_at: Time,
}

impl ProductMemberRow {
    pub(super) fn role(&self) -> Result<ProductRole, Error> {
        parsed(ProductRole::parse(&self.role.0), "product_members.role", &self.role.0)
    }
}
