//! How directory objects look in JSON: which properties, and when an absent one is null and when it is left out.
//! It must not choose which objects are shown.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::{Serialize, SerializeMap, Serializer};
use uuid::Uuid;

use super::problem::Problem;
use crate::tenant::{Fields, Group, ObjectType, User};

/// A property and the field of the model that feeds it; none for properties that are always null here.
type Property = (&'static str, Fields);

const USER: [Property; 18] = [
    ("displayName", Fields::DISPLAY_NAME),
    ("userPrincipalName", Fields::USER_PRINCIPAL_NAME),
    ("mail", Fields::MAIL),
    ("accountEnabled", Fields::ACCOUNT_ENABLED),
    ("userType", Fields::USER_TYPE),
    ("department", Fields::DEPARTMENT),
    ("createdDateTime", Fields::BIRTH),
    ("deletedDateTime", Fields::NONE),
    ("businessPhones", Fields::NONE),
    ("givenName", Fields::NONE),
    ("surname", Fields::NONE),
    ("jobTitle", Fields::NONE),
    ("mobilePhone", Fields::NONE),
    ("officeLocation", Fields::NONE),
    ("preferredLanguage", Fields::NONE),
    ("employeeId", Fields::NONE),
    ("companyName", Fields::NONE),
    ("externalUserState", Fields::NONE),
];

/// What a user shows without `$select`; `accountEnabled` and `userType` are not among it.
const USER_DEFAULT: [&str; 10] = [
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
];

const GROUP: [Property; 12] = [
    ("displayName", Fields::DISPLAY_NAME),
    ("description", Fields::DESCRIPTION),
    ("visibility", Fields::VISIBILITY),
    ("groupTypes", Fields::BIRTH),
    ("mailEnabled", Fields::BIRTH),
    ("securityEnabled", Fields::BIRTH),
    ("createdDateTime", Fields::BIRTH),
    ("mail", Fields::NONE),
    ("mailNickname", Fields::NONE),
    ("isAssignableToRole", Fields::NONE),
    ("membershipRule", Fields::NONE),
    ("deletedDateTime", Fields::NONE),
];

/// The properties to show of each type.
#[derive(Debug, Clone)]
pub(crate) struct Projection {
    user: Vec<Property>,
    group: Vec<Property>,
    /// Whether `members` was selected, or nothing was.
    pub(crate) members: bool,
}

impl Projection {
    /// From `$select`, without a look at whether the properties exist: lists of mixed types skip what a type lacks.
    pub(crate) fn lenient(select: Option<&[String]>) -> Self {
        let Some(names) = select else {
            let user = USER.into_iter().filter(|(name, _)| USER_DEFAULT.contains(name)).collect();
            return Self { user, group: GROUP.to_vec(), members: true };
        };
        let pick = |from: &[Property]| {
            from.iter()
                .filter(|(name, _)| names.iter().any(|n| n.eq_ignore_ascii_case(name)))
                .copied()
                .collect()
        };
        Self {
            user: pick(&USER),
            group: pick(&GROUP),
            members: names.iter().any(|n| n == "members"),
        }
    }

    /// From `$select` over a single type, on which every property must exist.
    pub(crate) fn strict(of: ObjectType, select: Option<&[String]>) -> Result<Self, Problem> {
        let (known, relations, type_name): (&[Property], &[&str], _) = match of {
            ObjectType::User => (&USER, &["id", "manager"], "user"),
            _ => (&GROUP, &["id", "members", "owners"], "group"),
        };
        let exists = |name: &String| {
            known
                .iter()
                .map(|(known, _)| *known)
                .chain(relations.iter().copied())
                .any(|k| k.eq_ignore_ascii_case(name))
        };
        match select.and_then(|names| names.iter().find(|name| !exists(name))) {
            Some(name) => Err(Problem::new(
                400,
                "BadRequest",
                format!(
                    "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type \
                     'microsoft.graph.{type_name}'."
                ),
            )),
            None => Ok(Self::lenient(select)),
        }
    }

    /// The fields whose change makes an object appear in a delta round.
    pub(crate) fn tracked(&self, of: ObjectType) -> Fields {
        let properties = if of == ObjectType::User { &self.user } else { &self.group };
        properties.iter().fold(Fields::NONE, |all, (_, field)| all.with(*field))
    }
}

/// The rules for properties without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Lists: null.
    List,
    /// Deltas: null if it was set once, else left out.
    Delta,
    /// Minimal deltas: only these fields at all.
    Minimal(Fields),
    /// No permission on the type: everything is null.
    Blind,
}

impl Manner {
    fn shows(self, field: Fields, ever_set: Fields) -> bool {
        match self {
            Self::List | Self::Blind => true,
            Self::Delta => ever_set.meets(field),
            Self::Minimal(changed) => changed.meets(field) && ever_set.meets(field),
        }
    }
}

/// A membership entry of a delta.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EdgeView {
    pub(crate) member: Uuid,
    pub(crate) of_type: ObjectType,
    pub(crate) removed: bool,
}

/// One object in a `value` array.
#[derive(Debug)]
pub(crate) enum Row<'a> {
    User {
        user: &'a User,
        shown: &'a Projection,
        manner: Manner,
        typed: bool,
    },
    Group {
        group: &'a Group,
        shown: &'a Projection,
        manner: Manner,
        typed: bool,
        members: Vec<EdgeView>,
    },
    Bare {
        id: Uuid,
        of_type: ObjectType,
    },
    Removed {
        id: Uuid,
        forever: bool,
    },
}

enum Cell<'a> {
    Text(Cow<'a, str>),
    Flag(bool),
    Words(&'static [&'static str]),
    Missing,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::User { user, shown, manner, typed } => {
                head(&mut map, user.id, ObjectType::User, *typed)?;
                for (name, field) in &shown.user {
                    let is_shown = manner.shows(*field, user.ever_set);
                    put(&mut map, name, user_cell(user, name), is_shown, *manner)?;
                }
            }
            Self::Group { group, shown, manner, typed, members } => {
                head(&mut map, group.id, ObjectType::Group, *typed)?;
                for (name, field) in &shown.group {
                    let is_shown = manner.shows(*field, group.ever_set);
                    put(&mut map, name, group_cell(group, name), is_shown, *manner)?;
                }
                if !members.is_empty() {
                    map.serialize_entry("members@delta", members)?;
                }
            }
            Self::Bare { id, of_type } => {
                head(&mut map, *id, *of_type, true)?;
                map.serialize_entry("displayName", &None::<&str>)?;
            }
            Self::Removed { id, forever } => removed(&mut map, *id, *forever)?,
        }
        map.end()
    }
}

/// The real service does not promise an order of keys, so neither order may be relied upon.
fn removed<M: SerializeMap>(map: &mut M, id: Uuid, forever: bool) -> Result<(), M::Error> {
    let reason = Reason { reason: if forever { "deleted" } else { "changed" } };
    if id.as_u128().is_multiple_of(2) {
        map.serialize_entry("@removed", &reason)?;
        map.serialize_entry("id", &id)
    } else {
        map.serialize_entry("id", &id)?;
        map.serialize_entry("@removed", &reason)
    }
}

#[derive(serde::Serialize)]
struct Reason {
    reason: &'static str,
}

impl Serialize for EdgeView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        head(&mut map, self.member, self.of_type, true)?;
        if self.removed {
            // Whatever became of the member itself, the documented reason is always this one.
            map.serialize_entry("@removed", &Reason { reason: "deleted" })?;
        }
        map.end()
    }
}

fn head<M: SerializeMap>(
    map: &mut M,
    id: Uuid,
    of_type: ObjectType,
    typed: bool,
) -> Result<(), M::Error> {
    if typed {
        map.serialize_entry("@odata.type", of_type.annotation())?;
    }
    map.serialize_entry("id", &id)
}

fn put<M: SerializeMap>(
    map: &mut M,
    name: &str,
    cell: Cell<'_>,
    is_shown: bool,
    manner: Manner,
) -> Result<(), M::Error> {
    if !is_shown {
        return Ok(());
    }
    match cell {
        _ if manner == Manner::Blind => map.serialize_entry(name, &None::<&str>),
        Cell::Text(text) => map.serialize_entry(name, &text),
        Cell::Flag(flag) => map.serialize_entry(name, &flag),
        Cell::Words(words) => map.serialize_entry(name, words),
        Cell::Missing => map.serialize_entry(name, &None::<&str>),
    }
}

fn user_cell<'a>(user: &'a User, name: &str) -> Cell<'a> {
    match name {
        "displayName" => text(user.display_name.as_deref()),
        // In the deleted container the id stands in front of the name, which frees the name for somebody else.
        "userPrincipalName" if user.is_deleted() => {
            Cell::Text(format!("{}{}", user.id.simple(), user.user_principal_name).into())
        }
        "userPrincipalName" => text(Some(&user.user_principal_name)),
        "mail" => text(user.mail.as_deref()),
        "accountEnabled" => user.account_enabled.map_or(Cell::Missing, Cell::Flag),
        "userType" => text(user.user_type.as_deref()),
        "department" => text(user.department.as_deref()),
        "createdDateTime" => time(Some(user.created)),
        "deletedDateTime" => time(user.deleted),
        "businessPhones" => Cell::Words(&[]),
        _ => Cell::Missing,
    }
}

fn group_cell<'a>(group: &'a Group, name: &str) -> Cell<'a> {
    match name {
        "displayName" => text(Some(&group.display_name)),
        "description" => text(group.description.as_deref()),
        "visibility" => text(group.visibility.as_deref()),
        "groupTypes" => Cell::Words(group.kind.group_types()),
        "mailEnabled" => Cell::Flag(group.kind.mail_enabled()),
        "securityEnabled" => Cell::Flag(group.kind.security_enabled()),
        "createdDateTime" => time(Some(group.created)),
        "deletedDateTime" => time(group.deleted),
        _ => Cell::Missing,
    }
}

fn text(value: Option<&str>) -> Cell<'_> {
    value.map_or(Cell::Missing, |value| Cell::Text(Cow::Borrowed(value)))
}

fn time(value: Option<DateTime<Utc>>) -> Cell<'static> {
    value.map_or(Cell::Missing, |time| {
        Cell::Text(time.to_rfc3339_opts(SecondsFormat::Secs, true).into())
    })
}
