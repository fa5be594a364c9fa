//! The nouns of the directory as Microsoft Graph knows them.
//!
//! Owns the types that every other module speaks in. Must not know how they are
//! read (`graph`), stored (`store`) or decided upon (`reconcile`): no serde, no
//! diesel, no clock.

pub mod proof;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use self::proof::{Changes, Departure, Grave, Whole};

/// The immutable id of a directory object: the only identity there is.
///
/// Graph calls it opaque but issues GUIDs only; kept as 16 bytes so that half a
/// million edges stay small, and so that letter case cannot make two of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(Uuid);

impl ObjectId {
    /// Wraps an id that is already a GUID.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id that `text` spells as rows of the platform do, which are looked up by it: with
    /// hyphens and nothing around it, in either letter case.
    pub fn spelled(text: &str) -> Option<Self> {
        let id: Self = text.parse().ok()?;
        id.to_string().eq_ignore_ascii_case(text).then_some(id)
    }

    /// The GUID itself, for the database.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ObjectId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text.trim()).map(Self)
    }
}

/// What Graph says of a user that exists.
///
/// Every property is nullable in Graph's schema, `accountEnabled` included
/// (trap 32): an absent one is `None` and never read as `false`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFacts {
    /// `displayName`.
    pub display_name: Option<String>,
    /// `userPrincipalName`.
    pub upn: Option<String>,
    /// `mail`, with its letter case kept.
    pub mail: Option<String>,
    /// `accountEnabled`; `None` means unknown.
    pub enabled: Option<bool>,
    /// `userType` is `Guest`, or the UPN carries the guest marker `#EXT#` and no type is given;
    /// `None` where neither tells. Who is known as a guest stays one then.
    pub guest: Option<bool>,
}

impl UserFacts {
    /// Whether it is known to be a guest.
    pub fn is_guest(&self) -> bool {
        self.guest == Some(true)
    }
}

/// What Graph says of a group that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFacts {
    /// `displayName`; not unique in a tenant.
    pub display_name: Option<String>,
    /// `visibility` is `HiddenMembership`: its members need `Member.Read.Hidden`.
    pub hidden_membership: bool,
}

/// How an object went away. Both mean "removed" to us (trap 8); they differ in
/// what may come back: only a soft-deleted object keeps its memberships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tombstone {
    /// In the deleted container, restorable (`@removed` reason `changed`).
    Soft,
    /// Gone for good (`@removed` reason `deleted`, or unknown to Graph by id).
    Hard,
}

/// Why we believe that something is gone, or disabled; recorded in the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// A delta round buried it.
    DeltaTombstone,
    /// A whole list, read to its end, does not contain it.
    CompleteRead,
    /// Graph was asked for this very id and does not have it.
    ConfirmedById,
    /// Graph shows the object itself, with the property that decides.
    Shown,
    /// It follows from other observed state: a nested edge, a removed group, or a
    /// difference that an earlier run saw and the guard withheld.
    Derived,
}

impl Evidence {
    /// The label used in the audit and in logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::DeltaTombstone => "delta_tombstone",
            Self::CompleteRead => "complete_read",
            Self::ConfirmedById => "confirmed_by_id",
            Self::Shown => "shown",
            Self::Derived => "derived",
        }
    }

    /// The evidence of a label, for rows read back.
    pub fn parse(label: &str) -> Option<Self> {
        [Self::DeltaTombstone, Self::CompleteRead, Self::ConfirmedById, Self::Shown, Self::Derived]
            .into_iter()
            .find(|evidence| evidence.label() == label)
    }
}

/// One object as an observation met it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen<T> {
    /// It exists and these are its properties.
    Present(T),
    /// It is gone, and this is how we know.
    Gone(Grave),
}

/// The kinds of member that can give a person access. Devices, service
/// principals and contacts are left out while reading (trap 31).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberKind {
    /// A person.
    User,
    /// A nested group.
    Group,
}

/// One direct member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// Whose membership it is; possibly an object not seen yet.
    pub id: ObjectId,
    /// What it is.
    pub kind: MemberKind,
}

/// What an observation says about the direct members of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    /// The whole list, read to its end: who is in it is a member. Who is not may have left,
    /// may be soft-deleted and a member still, or may have been overlooked.
    Complete {
        /// The list.
        list: Whole<BTreeSet<Member>>,
        /// Who is known to have left: the list and a second look both say so.
        left: BTreeMap<Member, Departure>,
    },
    /// Only what moved.
    Changes(Changes),
}

/// All direct groups of one object, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupsOf {
    /// The list.
    pub list: Whole<BTreeSet<ObjectId>>,
    /// Groups that it is known to have left: this list and a second look both say so.
    pub left: BTreeMap<ObjectId, Departure>,
}

/// Graph's opaque URL for "what changed since". Sent back verbatim, never parsed
/// for its content, never logged: it opens tenant state (traps 10, 13).
#[derive(Clone, PartialEq, Eq)]
pub struct DeltaLink(String);

impl DeltaLink {
    /// Takes the link as Graph sent it.
    pub fn new(link: impl Into<String>) -> Self {
        Self(link.into())
    }

    /// The link, byte for byte as received.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeltaLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeltaLink(redacted)")
    }
}

/// Where the next run starts: one link per stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Continues `users/delta`.
    pub users: DeltaLink,
    /// Continues `groups/delta`.
    pub groups: DeltaLink,
}

/// Whether a run reads everything in scope or only what changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Everything in scope.
    Full,
    /// What changed since the cursor.
    Delta,
}

impl Mode {
    /// Label in metrics, logs and rows.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Delta => "delta",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The key under which people's names are compared: letter case, accents and
/// runs of white space do not count (the registry spells one person two ways).
pub fn person_key(name: &str) -> String {
    use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
    let plain: String = name.nfkd().filter(|c| !is_combining_mark(*c)).collect();
    plain.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// The key under which e-mail addresses and group names are compared: letter
/// case does not count (trap 22), everything else does.
pub fn fold_case(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_the_same_whatever_the_accents() {
        for (a, b) in [
            ("Sébastien Lescure", "Sebastien Lescure"),
            ("François Panard", "FRANCOIS  PANARD"),
            ("Ada Ünal", "ada u\u{308}nal"),
        ] {
            assert_eq!(person_key(a), person_key(b));
        }
        assert_ne!(person_key("Yan Peuillon"), person_key("Yann Peuillon"));
    }

    #[test]
    fn an_id_is_the_same_in_any_case_and_prints_one_way() {
        let id: ObjectId = "0B1F6C1E-5A0F-4C43-9D8E-0D2B8A1C7E01".parse().expect("a GUID");
        assert_eq!(id.to_string(), "0b1f6c1e-5a0f-4c43-9d8e-0d2b8a1c7e01");
        assert!("not-a-guid".parse::<ObjectId>().is_err());
    }

    #[test]
    fn a_delta_link_never_shows() {
        assert!(!format!("{:?}", DeltaLink::new("https://x/y?$deltatoken=abc")).contains("abc"));
    }
}
