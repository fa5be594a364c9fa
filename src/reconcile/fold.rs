//! Brings an observation into the observed state.
//!
//! Owns the rules of overlay: last wins, silence is not removal, absence from a list is
//! none either, and a list cannot remove what lists never show. What it takes away comes
//! with its proof in the type. Decides nothing about rows of the platform.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{MemberRead, ObservedGroup, ObservedUser, Presence};
use crate::directory::proof::{Grave, Record};
use crate::directory::{
    Evidence, GroupFacts, GroupsOf, Member, MemberKind, Members, ObjectId, Seen, Tombstone,
    UserFacts,
};

/// One part of a run's observation: a delta round, a set of lists, or reads by id.
/// Parts are folded in the order in which they were read.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Users met.
    pub users: BTreeMap<ObjectId, Seen<UserFacts>>,
    /// Groups met.
    pub groups: BTreeMap<ObjectId, Seen<GroupFacts>>,
    /// Direct members, by group.
    pub members: BTreeMap<ObjectId, Members>,
    /// All direct groups of users and groups that came back: no round tells the edges of
    /// whoever is restored (trap 6).
    pub groups_of: BTreeMap<Member, GroupsOf>,
    /// Groups whose members could not be read, or not be believed.
    pub failed: BTreeSet<ObjectId>,
}

/// The observed state that a run has in hand: all of it, or what its parts touch.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Users by object id.
    pub users: BTreeMap<ObjectId, ObservedUser>,
    /// Groups by object id.
    pub groups: BTreeMap<ObjectId, ObservedGroup>,
    /// Direct members: group, then member. Holds each group that a part lists, whole,
    /// and each edge that a part moves.
    pub edges: BTreeMap<ObjectId, BTreeSet<Member>>,
}

/// What folding changed: exactly the rows to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Users with a new value.
    pub users: BTreeSet<ObjectId>,
    /// Groups with a new value.
    pub groups: BTreeSet<ObjectId>,
    /// Those of them that came, went or were read anew: their members may gain or lose by
    /// it, as they never do by a new name.
    pub turned: BTreeSet<ObjectId>,
    /// Edges by (group, member): `Some` for one that is now there.
    pub edges: BTreeMap<(ObjectId, ObjectId), EdgeMove>,
    /// What the removals among them rest on.
    pub records: Records,
}

/// What was found gone in this run, and what that rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// By object: users and groups.
    pub objects: BTreeMap<ObjectId, Record>,
    /// By (group, member).
    pub edges: BTreeMap<(ObjectId, ObjectId), Record>,
}

/// How an edge moved, seen over the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeMove {
    /// It was not there and is now.
    Joined(MemberKind),
    /// It was there and is not now, and this is how we know.
    Left(MemberKind, Evidence),
}

impl Moved {
    /// How many differences there are.
    pub fn len(&self) -> usize {
        self.users.len() + self.groups.len() + self.edges.len()
    }

    /// Whether nothing moved.
    pub fn is_empty(&self) -> bool {
        let Self { users, groups, turned: _, edges, records: _ } = self;
        users.is_empty() && groups.is_empty() && edges.is_empty()
    }
}

/// Folds one part into `observed` and notes what moved.
///
/// Only objects for which `in_scope` answers true, or which are already observed,
/// are taken in: the delta streams tell of the whole tenant.
pub fn fold(observed: &mut Observed, part: Part, moved: &mut Moved, in_scope: &Scope) {
    let Part { users, groups, members, groups_of, failed } = part;
    for (id, seen) in groups {
        if in_scope.groups.admits(&id) || observed.groups.contains_key(&id) {
            fold_group(observed, moved, id, seen);
        }
    }
    for (id, seen) in users {
        if in_scope.users.admits(&id) || observed.users.contains_key(&id) {
            fold_user(observed, moved, id, seen);
        }
    }
    for (group, members) in members {
        if observed.groups.contains_key(&group) {
            fold_members(observed, moved, group, members);
        }
    }
    for (member, groups) in groups_of {
        fold_groups_of(observed, moved, member, &groups);
    }
    for group in failed {
        set_read(observed, moved, group, MemberRead::Stale);
    }
}

/// Which objects a run takes in that it has not observed before.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Users.
    pub users: Admission,
    /// Groups.
    pub groups: Admission,
}

/// All objects of a kind, or some.
#[derive(Clone, Debug)]
pub enum Admission {
    /// Whatever the tenant has.
    All,
    /// These.
    Only(BTreeSet<ObjectId>),
}

impl Default for Admission {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl Admission {
    /// Whether `id` may come in.
    pub fn admits(&self, id: &ObjectId) -> bool {
        match self {
            Self::All => true,
            Self::Only(ids) => ids.contains(id),
        }
    }
}

fn fold_user(observed: &mut Observed, moved: &mut Moved, id: ObjectId, seen: Seen<UserFacts>) {
    let before = observed.users.get(&id);
    let grave = grave_in(&seen);
    let after = match seen {
        Seen::Present(facts) => {
            let guest = facts.guest.or_else(|| before.and_then(|user| user.facts.guest));
            ObservedUser { facts: UserFacts { guest, ..facts }, presence: Presence::Present }
        }
        Seen::Gone(grave) => ObservedUser {
            // A tombstone carries the id alone; the row keeps what it last knew.
            facts: before.map(|user| user.facts.clone()).unwrap_or_default(),
            presence: gone(before.map(|user| user.presence), grave),
        },
    };
    if before != Some(&after) {
        note_record(moved, id, grave);
        observed.users.insert(id, after);
        moved.users.insert(id);
    }
}

fn fold_group(observed: &mut Observed, moved: &mut Moved, id: ObjectId, seen: Seen<GroupFacts>) {
    let before = observed.groups.get(&id);
    let members = before.map_or(MemberRead::Never, |group| group.members);
    let grave = grave_in(&seen);
    let after = match seen {
        Seen::Present(facts) => ObservedGroup { facts, presence: Presence::Present, members },
        Seen::Gone(grave) => ObservedGroup {
            facts: before.map(|group| group.facts.clone()).unwrap_or_default(),
            presence: gone(before.map(|group| group.presence), grave),
            members,
        },
    };
    if before != Some(&after) {
        note_record(moved, id, grave);
        if before.map(|group| group.presence) != Some(after.presence) {
            moved.turned.insert(id);
        }
        observed.groups.insert(id, after);
        moved.groups.insert(id);
    }
}

const fn grave_in<T>(seen: &Seen<T>) -> Option<Grave> {
    match seen {
        Seen::Gone(grave) => Some(*grave),
        Seen::Present(_) => None,
    }
}

/// Keeps what a removal rests on; who came back has none.
fn note_record(moved: &mut Moved, id: ObjectId, grave: Option<Grave>) {
    match grave {
        Some(grave) => moved.records.objects.insert(id, grave.record()),
        None => moved.records.objects.remove(&id),
    };
}

/// The first evidence stays; only soft may turn into hard. So a tombstone that is
/// delivered again moves nothing.
fn gone(before: Option<Presence>, grave: Grave) -> Presence {
    let (tombstone, evidence) = (grave.tombstone(), grave.record().evidence);
    match before {
        Some(Presence::Gone(was, because)) if was == tombstone || was == Tombstone::Hard => {
            Presence::Gone(was, because)
        }
        _ => Presence::Gone(tombstone, evidence),
    }
}

fn fold_members(observed: &mut Observed, moved: &mut Moved, group: ObjectId, members: Members) {
    match members {
        Members::Changes(changes) => {
            for (member, joined) in changes.get() {
                if *joined {
                    join(observed, moved, group, *member);
                } else {
                    leave(observed, moved, group, *member, changes.record());
                }
            }
        }
        Members::Complete { list, left } => {
            for (member, departure) in left {
                // Lists leave out who is deleted, yet a deleted member stays one (1.8).
                if exists(observed, &member) {
                    leave(observed, moved, group, member, departure.record());
                }
            }
            for member in list.get() {
                join(observed, moved, group, *member);
            }
            set_read(observed, moved, group, MemberRead::Complete);
        }
    }
}

fn fold_groups_of(observed: &mut Observed, moved: &mut Moved, member: Member, groups: &GroupsOf) {
    for group in groups.list.get() {
        if observed.groups.contains_key(group) {
            join(observed, moved, *group, member);
        }
    }
    for (group, departure) in &groups.left {
        if observed.groups.get(group).is_some_and(is_whole) {
            leave(observed, moved, *group, member, departure.record());
        }
    }
}

/// Whether the absence of a group from somebody's list says anything: a deleted group is
/// left out of such lists, and one that could not be read may be hidden from us.
fn is_whole(group: &ObservedGroup) -> bool {
    group.presence.is_present() && group.members == MemberRead::Complete
}

/// Whether a member is known to exist, or not known at all.
fn exists(observed: &Observed, member: &Member) -> bool {
    match member.kind {
        MemberKind::User => observed.users.get(&member.id).is_none_or(|u| u.presence.is_present()),
        MemberKind::Group => {
            observed.groups.get(&member.id).is_none_or(|g| g.presence.is_present())
        }
    }
}

fn join(observed: &mut Observed, moved: &mut Moved, group: ObjectId, member: Member) {
    if observed.edges.entry(group).or_default().insert(member) {
        moved.records.edges.remove(&(group, member.id));
        note(moved, group, member, EdgeMove::Joined(member.kind));
    }
}

fn leave(
    observed: &mut Observed,
    moved: &mut Moved,
    group: ObjectId,
    member: Member,
    record: Record,
) {
    if observed.edges.entry(group).or_default().remove(&member) {
        moved.records.edges.insert((group, member.id), record);
        note(moved, group, member, EdgeMove::Left(member.kind, record.evidence));
    }
}

/// An edge that came and went within one run has not moved.
fn note(moved: &mut Moved, group: ObjectId, member: Member, step: EdgeMove) {
    let key = (group, member.id);
    match (moved.edges.get(&key), step) {
        (Some(EdgeMove::Joined(_)), EdgeMove::Left(..))
        | (Some(EdgeMove::Left(..)), EdgeMove::Joined(_)) => {
            moved.edges.remove(&key);
        }
        _ => {
            moved.edges.insert(key, step);
        }
    }
}

fn set_read(observed: &mut Observed, moved: &mut Moved, group: ObjectId, read: MemberRead) {
    let Some(known) = observed.groups.get_mut(&group) else { return };
    // A group never read gives nothing; failing to read it changes nothing about that.
    let read = match (known.members, read) {
        (MemberRead::Never, MemberRead::Stale) => MemberRead::Never,
        (_, read) => read,
    };
    if known.members != read {
        known.members = read;
        moved.groups.insert(group);
        moved.turned.insert(group);
    }
}

#[cfg(test)]
mod tests;
