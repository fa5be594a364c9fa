//! The shapes of Graph's JSON, and their translation into our nouns.
//!
//! Owns every field name of the wire. Must not send, retry or merge. Unknown
//! fields are ignored and open sets stay text (trap 38); what is known is typed,
//! so that a half-understood answer fails instead of reading as "empty".

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use crate::directory::{GroupFacts, Member, MemberKind, ObjectId, Tombstone, UserFacts};

use super::error::Error;
use super::observe::Endpoint;

/// One page of a list or of a delta round.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(rename = "@odata.nextLink")]
    pub(super) next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    pub(super) delta: Option<String>,
    /// Absent is an incomplete read, never an empty page.
    pub(super) value: Option<Vec<Object>>,
}

/// The id of an object. Anything but a GUID is kept apart, to be refused where it matters:
/// on objects that we mirror.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Id(Option<ObjectId>);

impl Id {
    /// The id, or an error that names the kind of page it came on.
    pub(super) fn get(self, endpoint: Endpoint) -> Result<ObjectId, Error> {
        self.0.ok_or_else(|| Error::Malformed {
            endpoint,
            what: "an object whose id is not a GUID".to_owned(),
        })
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        visit_text(deserializer, |text| Self(text.parse().ok()))
    }
}

/// `@odata.type` of a directory object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Group,
    /// Devices, service principals, contacts, and what Graph may invent (traps 31, 38).
    Other,
    /// Not said: fatal where types are mixed, since a person could be overlooked.
    #[default]
    Unsaid,
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        visit_text(deserializer, |text| match text.trim_start_matches('#') {
            name if name.eq_ignore_ascii_case("microsoft.graph.user") => Self::User,
            name if name.eq_ignore_ascii_case("microsoft.graph.group") => Self::Group,
            _ => Self::Other,
        })
    }
}

/// Reads a string without keeping it.
fn visit_text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: impl FnOnce(&str) -> T,
) -> Result<T, D::Error> {
    struct Text<F>(F);
    impl<T, F: FnOnce(&str) -> T> Visitor<'_> for Text<F> {
        type Value = T;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            Ok((self.0)(text))
        }
    }
    deserializer.deserialize_str(Text(read))
}

/// `@removed`.
#[derive(Debug, Deserialize)]
pub(super) struct Removed {
    reason: Option<String>,
}

impl Removed {
    /// `changed` is restorable, `deleted` is final (1.4 of the facts). An unknown reason is
    /// taken for the one that loses nothing.
    fn tombstone(&self) -> Tombstone {
        match self.reason.as_deref() {
            Some(reason) if reason.eq_ignore_ascii_case("deleted") => Tombstone::Hard,
            _ => Tombstone::Soft,
        }
    }
}

/// An object on a page of a delta round; what it is worth shows when the round has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Met<T> {
    /// It exists and these are its properties.
    Present(T),
    /// It is said to be gone.
    Removed(Tombstone),
}

/// One entry of `members@delta`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Edge {
    #[serde(rename = "@odata.type")]
    kind: Kind,
    id: Id,
    #[serde(rename = "@removed")]
    removed: Option<Removed>,
}

impl Edge {
    /// The member and whether it joined, or nothing for a kind that is not mirrored. The reason
    /// of a removal says nothing here: it is `deleted` even when the person only left.
    pub(super) fn change(&self, endpoint: Endpoint) -> Result<Option<(Member, bool)>, Error> {
        Ok(member(self.kind, self.id, endpoint)?.map(|member| (member, self.removed.is_none())))
    }
}

/// A directory object with every property that any of our requests selects.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Object {
    #[serde(rename = "@odata.type")]
    kind: Kind,
    pub(super) id: Id,
    display_name: Option<String>,
    user_principal_name: Option<String>,
    mail: Option<String>,
    account_enabled: Option<bool>,
    user_type: Option<String>,
    visibility: Option<String>,
    pub(super) deleted_date_time: Option<String>,
    #[serde(rename = "@removed")]
    removed: Option<Removed>,
    /// The literal key of the annotation (trap 1). Absent is no information, never "now empty".
    #[serde(rename = "members@delta")]
    pub(super) members: Option<Vec<Edge>>,
}

impl Object {
    /// The member that this entry of a member list is, or nothing for a kind that is not mirrored.
    pub(super) fn member(&self, endpoint: Endpoint) -> Result<Option<Member>, Error> {
        member(self.kind, self.id, endpoint)
    }

    /// Whether Graph showed anything but type and id; without the right to read a kind of
    /// object it does not (4.5 of the facts), and such nulls are no facts.
    pub(super) const fn is_readable(&self) -> bool {
        self.display_name.is_some()
            || self.user_principal_name.is_some()
            || self.mail.is_some()
            || self.account_enabled.is_some()
    }

    /// The user as a delta round met it.
    pub(super) fn met_user(self) -> Met<UserFacts> {
        match &self.removed {
            // Beside the id nothing of a removed item is certain (1.4 of the facts).
            Some(removed) => Met::Removed(removed.tombstone()),
            None => Met::Present(self.user()),
        }
    }

    /// The group as a delta round met it.
    pub(super) fn met_group(self) -> Met<GroupFacts> {
        match &self.removed {
            Some(removed) => Met::Removed(removed.tombstone()),
            None => Met::Present(self.group()),
        }
    }

    /// The properties of a user. A selected property that is absent was never set: `None`.
    pub(super) fn user(self) -> UserFacts {
        let guest = match self.user_type.as_deref() {
            Some(kind) if !kind.is_empty() => Some(kind.eq_ignore_ascii_case("guest")),
            _ => self
                .user_principal_name
                .as_deref()
                .filter(|upn| upn.to_ascii_uppercase().contains("#EXT#"))
                .map(|_| true),
        };
        UserFacts {
            display_name: text(self.display_name),
            upn: text(self.user_principal_name).filter(|upn| !upn.is_empty()),
            mail: text(self.mail).filter(|mail| !mail.trim().is_empty()),
            enabled: self.account_enabled,
            guest,
        }
    }

    /// The properties of a group; the spelling of a hidden membership varies (trap 29).
    pub(super) fn group(self) -> GroupFacts {
        let hidden_membership =
            self.visibility.is_some_and(|text| text.eq_ignore_ascii_case("HiddenMembership"));
        GroupFacts { display_name: text(self.display_name), hidden_membership }
    }
}

/// A member by type and id. A missing type is an error: leaving the entry out could hide a person.
fn member(kind: Kind, id: Id, endpoint: Endpoint) -> Result<Option<Member>, Error> {
    let kind = match kind {
        Kind::User => MemberKind::User,
        Kind::Group => MemberKind::Group,
        Kind::Other => return Ok(None),
        Kind::Unsaid => {
            return Err(Error::Malformed {
                endpoint,
                what: "a member without @odata.type".to_owned(),
            });
        }
    };
    Ok(Some(Member { id: id.get(endpoint)?, kind }))
}

/// Text that a database takes: `PostgreSQL` has no U+0000 (2.8 of the facts).
fn text(text: Option<String>) -> Option<String> {
    text.map(|text| if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text })
}

/// The codes of an error body, outermost first. Lenient: the body may be absent, HTML, or
/// spelled `innererror` (trap 37).
pub(super) fn error_codes(body: &[u8]) -> Vec<String> {
    let mut codes = Vec::new();
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else {
        return codes;
    };
    let mut level = field(&body, "error");
    while let Some(error) = level {
        if let Some(code) =
            field(error, "code").and_then(serde_json::Value::as_str).filter(|code| !code.is_empty())
        {
            codes.push(code.chars().filter(|c| !c.is_control()).take(100).collect());
        }
        level = field(error, "innererror");
    }
    codes
}

/// A field whatever its letter case.
fn field<'a>(object: &'a serde_json::Value, name: &str) -> Option<&'a serde_json::Value> {
    object
        .as_object()?
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
