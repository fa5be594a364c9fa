//! The life of groups, the membership edges, and the truth about who is reached through nested groups.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::model::{Fields, Group, NewGroup, ObjectType};
use super::{Tenant, What};

impl Tenant {
    /// Creates a group and returns its id. An id that is already taken gives a group with a drawn id instead.
    pub fn create_group(&mut self, new: NewGroup) -> Uuid {
        let id = match new.id {
            Some(id) if self.object_type(id).is_none() => id,
            _ => self.draw_id(),
        };
        let mut group = Group {
            id,
            display_name: new.display_name,
            description: None,
            visibility: new.visibility,
            kind: new.kind,
            created: self.clock(),
            deleted: None,
            ever_set: Fields::NONE,
        };
        group.ever_set = group.held();
        self.groups.insert(id, group);
        self.record(id, ObjectType::Group, What::Created);
        id
    }

    /// Changes the properties of a group; what really changed goes into the history. Unknown ids are ignored.
    pub fn update_group(&mut self, id: Uuid, change: impl FnOnce(&mut Group)) {
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let before = group.clone();
        change(group);
        let changed = group.differs(&before);
        group.ever_set = group.ever_set.with(changed);
        if !changed.is_empty() {
            self.record(id, ObjectType::Group, What::Updated(changed));
        }
    }

    /// Gives a group another display name.
    pub fn rename_group(&mut self, id: Uuid, name: impl Into<String>) {
        self.update_group(id, |group| group.display_name = name.into());
    }

    /// Moves a group to the deleted container; its edges stay. Kinds that cannot be restored are purged at once.
    pub fn soft_delete_group(&mut self, id: Uuid) -> bool {
        let now = self.clock();
        match self.groups.get_mut(&id) {
            Some(group) if !group.kind.soft_deletes() => return self.purge_group(id),
            Some(group) if group.deleted.is_none() => group.deleted = Some(now),
            _ => return false,
        }
        self.record(id, ObjectType::Group, What::SoftDeleted);
        true
    }

    /// Brings a soft-deleted group back with its id and members.
    pub fn restore_group(&mut self, id: Uuid) -> bool {
        match self.groups.get_mut(&id) {
            Some(group) if group.deleted.is_some() => group.deleted = None,
            _ => return false,
        }
        self.record(id, ObjectType::Group, What::Restored);
        self.repeat_departures(id);
        true
    }

    /// Records once more who left a restored group. A round that ran while the group was deleted showed nothing but
    /// the deletion, so a client that kept the old members would otherwise never learn of these.
    fn repeat_departures(&mut self, group: Uuid) {
        let current = self.members.get(&group);
        let departures: BTreeMap<Uuid, What> = self
            .log
            .entries()
            .filter(|change| change.id == group)
            .filter_map(|change| match change.what {
                What::Left { member, .. } => Some((member, change.what)),
                _ => None,
            })
            .filter(|(member, _)| current.is_none_or(|current| !current.contains(member)))
            .collect();
        for what in departures.into_values() {
            self.record(group, ObjectType::Group, what);
        }
    }

    /// Deletes a group for good, live or soft-deleted, together with all edges from and to it.
    pub fn purge_group(&mut self, id: Uuid) -> bool {
        if self.groups.remove(&id).is_none() {
            return false;
        }
        self.record(id, ObjectType::Group, What::Purged);
        self.drop_from_groups(id, ObjectType::Group);
        let members = self.members.remove(&id).unwrap_or_default();
        self.edges -= members.len();
        for member in members {
            self.unlink_upwards(id, member);
        }
        true
    }

    /// Makes an object a direct member of a live group. False if nothing changed.
    pub fn add_member(&mut self, group: Uuid, member: Uuid) -> bool {
        let Some(of_type) = self.object_type(member) else {
            return false;
        };
        let is_open = self.groups.get(&group).is_some_and(|group| !group.is_deleted());
        if !is_open || !self.members.entry(group).or_default().insert(member) {
            return false;
        }
        self.member_of.entry(member).or_default().insert(group);
        self.edges += 1;
        self.record(group, ObjectType::Group, What::Joined { member, of_type });
        true
    }

    /// Ends a direct membership in a live group. False if nothing changed.
    pub fn remove_member(&mut self, group: Uuid, member: Uuid) -> bool {
        let is_open = self.groups.get(&group).is_some_and(|group| !group.is_deleted());
        let Some(of_type) = self.object_type(member).filter(|_| is_open) else {
            return false;
        };
        if !self.members.get_mut(&group).is_some_and(|members| members.remove(&member)) {
            return false;
        }
        self.unlink_upwards(group, member);
        self.edges -= 1;
        self.record(group, ObjectType::Group, What::Left { member, of_type, by_purge: false });
        true
    }

    /// The users a group reaches, directly and over nested groups, cycles included. A soft-deleted or purged group
    /// reaches nobody, on its own and for its parents; soft-deleted users still count, purged ones do not.
    pub fn effective_users(&self, group: Uuid) -> BTreeSet<Uuid> {
        let mut reached = BTreeSet::new();
        let mut seen = BTreeSet::from([group]);
        let mut open = vec![group];
        while let Some(current) = open.pop() {
            if self.groups.get(&current).is_none_or(Group::is_deleted) {
                continue;
            }
            for member in self.direct_members(current) {
                match self.object_type(member) {
                    Some(ObjectType::User) => {
                        reached.insert(member);
                    }
                    Some(ObjectType::Group) if seen.insert(member) => open.push(member),
                    _ => {}
                }
            }
        }
        reached
    }

    /// Takes a purged object out of every group it was in.
    pub(super) fn drop_from_groups(&mut self, member: Uuid, of_type: ObjectType) {
        for group in self.member_of.remove(&member).unwrap_or_default() {
            if self.members.get_mut(&group).is_some_and(|members| members.remove(&member)) {
                self.edges -= 1;
                self.record(
                    group,
                    ObjectType::Group,
                    What::Left { member, of_type, by_purge: true },
                );
            }
        }
    }

    fn unlink_upwards(&mut self, group: Uuid, member: Uuid) {
        if let Some(groups) = self.member_of.get_mut(&member) {
            groups.remove(&group);
            if groups.is_empty() {
                self.member_of.remove(&member);
            }
        }
    }
}
