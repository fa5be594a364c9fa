//! A directory and its history, free of I/O and clocks: the same calls always give the same tenant.
//!
//! This module owns the objects, the membership edges in both directions and the change log. It must not know how
//! any of it looks on the wire. Edges of soft-deleted objects stay; edges of purged objects go.

mod groups;
mod log;
mod model;
mod users;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::{Builder, Uuid};

pub(crate) use log::{Change, Position, What};
pub(crate) use model::Fields;
pub use model::{Group, GroupKind, NewGroup, NewUser, ObjectType, OtherKind, User};

use log::ChangeLog;

/// Seconds between 1970 and the fictitious founding of every tenant, 2026-01-01T00:00:00Z.
const FOUNDED: i64 = 1_767_225_600;

/// A directory: users, groups, other objects, memberships, and everything that happened to them.
#[derive(Debug, Clone, Default)]
pub struct Tenant {
    users: BTreeMap<Uuid, User>,
    groups: BTreeMap<Uuid, Group>,
    others: BTreeMap<Uuid, OtherKind>,
    members: BTreeMap<Uuid, BTreeSet<Uuid>>,
    member_of: BTreeMap<Uuid, BTreeSet<Uuid>>,
    edges: usize,
    log: ChangeLog,
    seed: u64,
    drawn: u64,
}

impl Tenant {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty directory whose drawn object ids differ from those of other seeds.
    pub fn with_seed(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Every user, soft-deleted ones included (see [`User::is_deleted`]), in order of id.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// Every group, soft-deleted ones included, in order of id.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// A user by id, soft-deleted or not.
    pub fn user(&self, id: Uuid) -> Option<&User> {
        self.users.get(&id)
    }

    /// A group by id, soft-deleted or not.
    pub fn group(&self, id: Uuid) -> Option<&Group> {
        self.groups.get(&id)
    }

    /// The type of whatever object has this id, soft-deleted or not.
    pub fn object_type(&self, id: Uuid) -> Option<ObjectType> {
        if self.users.contains_key(&id) {
            Some(ObjectType::User)
        } else if self.groups.contains_key(&id) {
            Some(ObjectType::Group)
        } else {
            self.others.get(&id).map(|kind| ObjectType::Other(*kind))
        }
    }

    /// Whether an object exists and is not soft-deleted.
    pub fn is_live(&self, id: Uuid) -> bool {
        match (self.users.get(&id), self.groups.get(&id)) {
            (Some(user), _) => !user.is_deleted(),
            (_, Some(group)) => !group.is_deleted(),
            _ => self.others.contains_key(&id),
        }
    }

    /// The direct members of a group in order of id: objects of every type, soft-deleted ones included.
    pub fn direct_members(&self, group: Uuid) -> impl Iterator<Item = Uuid> {
        self.members.get(&group).into_iter().flatten().copied()
    }

    /// The groups an object is a direct member of, soft-deleted groups included.
    pub fn direct_groups(&self, member: Uuid) -> impl Iterator<Item = Uuid> {
        self.member_of.get(&member).into_iter().flatten().copied()
    }

    /// How many direct membership edges exist.
    pub fn edge_count(&self) -> usize {
        self.edges
    }

    /// Creates an object that is neither user nor group and can be a member.
    pub fn create_other(&mut self, kind: OtherKind) -> Uuid {
        let id = self.draw_id();
        self.others.insert(id, kind);
        id
    }

    /// Drops the change log: every delta link handed out so far is too old from now on.
    pub fn forget_history(&mut self) {
        self.log.forget();
    }

    /// The position after the newest change.
    pub(crate) fn now(&self) -> Position {
        self.log.end()
    }

    pub(crate) fn changes(&self, from: Position, to: Position) -> Option<&[Change]> {
        self.log.between(from, to)
    }

    pub(crate) fn users_after(&self, id: Option<Uuid>) -> impl Iterator<Item = &User> {
        after(&self.users, id)
    }

    pub(crate) fn groups_after(&self, id: Option<Uuid>) -> impl Iterator<Item = &Group> {
        after(&self.groups, id)
    }

    pub(crate) fn member_set(&self, group: Uuid) -> Option<&BTreeSet<Uuid>> {
        self.members.get(&group)
    }

    pub(crate) fn group_set(&self, member: Uuid) -> Option<&BTreeSet<Uuid>> {
        self.member_of.get(&member)
    }

    fn record(&mut self, id: Uuid, stream: ObjectType, what: What) {
        self.log.push(Change { id, stream, what });
    }

    /// A logical clock: one second per change since the tenant was founded.
    fn clock(&self) -> DateTime<Utc> {
        let elapsed = i64::try_from(self.log.end()).unwrap_or(i64::MAX / 2);
        DateTime::from_timestamp(FOUNDED, 0).unwrap_or_default() + TimeDelta::seconds(elapsed)
    }

    /// A fresh id that looks random but repeats from run to run.
    fn draw_id(&mut self) -> Uuid {
        loop {
            self.drawn += 1;
            let high = mix(self.seed ^ self.drawn);
            let low = mix(high ^ self.drawn.rotate_left(32));
            let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
            let id = Builder::from_random_bytes(bytes).into_uuid();
            if self.object_type(id).is_none() {
                return id;
            }
        }
    }
}

fn after<T>(map: &BTreeMap<Uuid, T>, id: Option<Uuid>) -> impl Iterator<Item = &T> {
    use std::ops::Bound::{Excluded, Unbounded};
    map.range((id.map_or(Unbounded, Excluded), Unbounded)).map(|(_, object)| object)
}

/// Spreads the bits of a counter over a whole word (the finaliser of the splitmix generator).
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
