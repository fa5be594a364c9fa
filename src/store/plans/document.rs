//! A held plan as text: the form that is hashed, stored and shown.
//!
//! Canonical: one line of JSON for the header and one for each item, keys in the order
//! of the alphabet, items in the order of their numbers. Whoever has the lines can take
//! the SHA-256 of them, each ended by a line feed, and compare.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::directory::ObjectId;
use crate::reconcile::guard::{Cost, End, Losses, NewItem, Outlook, Seen, Trip};
use crate::reconcile::plan::Item;
use crate::reconcile::report::Removals;
use crate::reconcile::world::World;
use crate::store::Error;

const FORMAT: u32 = 1;

/// What a plan is about, all items together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanHeader {
    /// How many people would lose each product.
    pub cost: Losses,
    /// What would be taken away, in the guard's units.
    pub counts: Counts,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Products that nobody would reach any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub emptied: BTreeSet<String>,
    /// The version of this form.
    pub format: u32,
    /// How many people would gain each product.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gain: Losses,
    /// Why it is held.
    pub reasons: Vec<String>,
    /// The run that made it.
    pub run_id: Uuid,
    /// Products that would have no admin any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without_admin: BTreeSet<String>,
}

/// What would be taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// (user, product) pairs.
    pub access: u64,
    /// Groups.
    pub groups: u64,
    /// Memberships, links, product memberships and roles.
    pub memberships: u64,
    /// Users.
    pub users: u64,
}

impl From<Removals> for Counts {
    fn from(Removals { users, groups, memberships, access }: Removals) -> Self {
        Self { access, groups, memberships, users }
    }
}

/// One item of a plan. It is its own precondition: as long as it is a difference, the
/// platform still has what it takes away, and the directory shows what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanItem {
    /// Who would lose each product by it, or gain it by an addition, by object id.
    pub cost: BTreeMap<String, BTreeSet<Uuid>>,
    /// How we know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// The group's object id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Uuid>,
    /// The group's name when the plan was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// What would happen, in a word such as `membership_removal`.
    pub kind: String,
    /// The product's name, the registry's name of a group, or the row that is adopted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its number in the plan, from 1.
    pub number: i32,
    /// What was seen of a user or group that ends, such as `disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// The user's object id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Uuid>,
    /// The user's address when the plan was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_email: Option<String>,
}

/// The word for what an item does.
const fn kind_of(item: &Item) -> &'static str {
    match item {
        Item::User(_) => "user_removal",
        Item::UserPurge(_) => "user_purge",
        Item::Group(_) => "group_removal",
        Item::GroupPurge(_) => "group_purge",
        Item::Membership(..) => "membership_removal",
        Item::Role(_) => "role_removal",
        Item::Link(..) => "link_removal",
        Item::ProductMember(..) => "product_member_removal",
        Item::Adoption(_) => "adoption",
        Item::Rebinding(..) => "rebinding",
        Item::Joining(..) => "membership_addition",
        Item::Linking(..) => "link_addition",
    }
}

impl PlanItem {
    fn new(number: i32, item: &Item, new: &NewItem, world: &World) -> Self {
        let seen = Seen::of(item, world);
        let (user, group, name) = match item {
            Item::User(id) | Item::UserPurge(id) | Item::Role(id) => (Some(*id), None, None),
            Item::Adoption(id) => (Some(*id), None, seen.as_ref().map(ToString::to_string)),
            Item::Group(id) | Item::GroupPurge(id) => (None, Some(*id), None),
            Item::Membership(group, user) | Item::Joining(group, user) => {
                (Some(*user), Some(*group), None)
            }
            Item::Link(product, group) | Item::Linking(product, group) => {
                (None, Some(*group), Some(product.clone()))
            }
            Item::ProductMember(product, user) => (Some(*user), None, Some(product.clone())),
            Item::Rebinding(name, group) => (None, Some(*group), Some(name.clone())),
        };
        let email = |id: ObjectId| {
            let row = world.identities.get(&id).map(|row| row.email.clone());
            row.or_else(|| world.users.get(&id).and_then(|user| user.facts.upn.clone()))
        };
        let called = |id: ObjectId| {
            let row = world.group_rows.get(&id).map(|row| row.display_name.clone());
            row.or_else(|| world.groups.get(&id).and_then(|group| group.facts.display_name.clone()))
        };
        Self {
            cost: new
                .cost
                .iter()
                .map(|(product, people)| {
                    (product.clone(), people.iter().map(|id| id.uuid()).collect())
                })
                .collect(),
            evidence: new.evidence.map(|evidence| evidence.label().to_owned()),
            group: group.map(ObjectId::uuid),
            group_name: group.and_then(called),
            kind: kind_of(item).to_owned(),
            name,
            number,
            seen: match seen {
                Some(Seen::End(end)) => Some(end.label().to_owned()),
                Some(Seen::Row(_)) | None => None,
            },
            user: user.map(ObjectId::uuid),
            user_email: user.and_then(email),
        }
    }

    /// What was seen when it was held, as the guard compares it.
    pub fn seen(&self) -> Option<Seen> {
        if self.kind == "adoption" {
            return self.name.clone().map(Seen::Row);
        }
        self.seen.as_deref().and_then(End::parse).map(Seen::End)
    }

    /// What it cost when it was held, as the guard compares it.
    pub fn people(&self) -> Cost {
        let ids = |people: &BTreeSet<Uuid>| people.iter().map(|id| ObjectId::new(*id)).collect();
        self.cost.iter().map(|(product, people)| (product.clone(), ids(people))).collect()
    }

    /// The item that planning knows.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the document does not say one.
    pub fn item(&self) -> Result<Item, Error> {
        let user = || self.user.map(ObjectId::new).ok_or_else(|| self.corrupt("a user"));
        let group = || self.group.map(ObjectId::new).ok_or_else(|| self.corrupt("a group"));
        let name = || self.name.clone().ok_or_else(|| self.corrupt("a name"));
        Ok(match self.kind.as_str() {
            "user_removal" => Item::User(user()?),
            "user_purge" => Item::UserPurge(user()?),
            "group_removal" => Item::Group(group()?),
            "group_purge" => Item::GroupPurge(group()?),
            "membership_removal" => Item::Membership(group()?, user()?),
            "role_removal" => Item::Role(user()?),
            "link_removal" => Item::Link(name()?, group()?),
            "product_member_removal" => Item::ProductMember(name()?, user()?),
            "adoption" => Item::Adoption(user()?),
            "rebinding" => Item::Rebinding(name()?, group()?),
            "membership_addition" => Item::Joining(group()?, user()?),
            "link_addition" => Item::Linking(name()?, group()?),
            _ => return Err(self.corrupt("a known kind")),
        })
    }

    fn corrupt(&self, what: &str) -> Error {
        Error::Corrupt(format!(
            "item {} of a held plan, kind {}, lacks {what}",
            self.number, self.kind
        ))
    }
}

/// A plan as it is stored.
pub(super) struct Document {
    pub(super) hash: String,
    pub(super) header: String,
    /// By number.
    pub(super) items: Vec<String>,
}

/// Writes a plan down.
pub(super) fn write(
    (run_id, created_at): (Uuid, DateTime<Utc>),
    held: &BTreeMap<Item, NewItem>,
    (trips, [cost, gain], counts): (&[Trip], [Losses; 2], Counts),
    world: &World,
) -> Result<Document, Error> {
    let Outlook { emptied, without_admin } = Outlook::of(trips);
    let header = line(&PlanHeader {
        cost,
        counts,
        created_at,
        emptied,
        format: FORMAT,
        gain,
        reasons: trips.iter().map(ToString::to_string).collect(),
        run_id,
        without_admin,
    })?;
    let numbered = (1..).zip(held);
    let items = numbered
        .map(|(number, (item, new))| line(&PlanItem::new(number, item, new, world)))
        .collect::<Result<Vec<String>, Error>>()?;
    Ok(Document { hash: hash(&header, items.iter().map(String::as_str)), header, items })
}

/// The hash of a plan's lines.
pub(super) fn hash<'l>(header: &'l str, items: impl Iterator<Item = &'l str>) -> String {
    let mut digest = Sha256::new();
    for line in std::iter::once(header).chain(items) {
        digest.update(line.as_bytes());
        digest.update(b"\n");
    }
    format!("{:x}", digest.finalize())
}

fn line(part: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(part).map_err(|error| Error::Corrupt(error.to_string()))
}

/// Reads a part of a stored plan back.
pub(super) fn read<'d, T: Deserialize<'d>>(text: &'d str, hash: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Corrupt(format!("plan {hash}: {error}")))
}
