//! A platform in maps: what a run loads, and what applying a plan leaves behind.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta};

use super::closed::close;
use crate::directory::{MemberKind, ObjectId, fold_case, person_key};
use crate::reconcile::fold::{EdgeMove, Moved, Observed};
use crate::reconcile::guard::held_objects;
use crate::reconcile::plan::{Change, Consent, Item, Plan, plan};
use crate::reconcile::report::FindingKind;
use crate::reconcile::world::{
    GroupRow, HandMade, Namesakes, ObservedUser, Policy, ProductRole, ProductRow, Purge,
    RegistryEntry, RegistryWorld, State, UserRow, World, claims,
};

/// What a run decides upon: everything, or what moved and what depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Everything observed or decided.
    Full,
    /// What moved since the last run, and what the last run held.
    Delta,
}

/// What a run may take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Withhold {
    /// Everything, but nothing that a person must always be asked.
    Nothing,
    /// Nothing.
    Removals,
    /// Nothing but users that stop being live.
    AllButUsers,
    /// Everything, what a person must be asked included.
    Agreed,
    /// Everything, but it may give no membership and no link.
    Gifts,
}

/// A plan with as much consent.
pub(super) fn planned(world: &World, policy: &Policy, withhold: Withhold) -> Plan {
    match withhold {
        Withhold::Nothing => plan(world, policy, Consent::REMOVALS),
        Withhold::Removals => plan(world, policy, Consent::NONE),
        Withhold::AllButUsers => {
            let mut users = plan(world, policy, Consent::REMOVALS).taken;
            users.retain(|item| matches!(item, Item::User(_)));
            plan(world, policy, Consent::only(&users))
        }
        Withhold::Agreed => {
            let asked = plan(world, policy, Consent::REMOVALS);
            plan(world, policy, Consent::removals_and(&asked.withheld))
        }
        Withhold::Gifts => {
            let refused = plan(world, policy, Consent::REMOVALS).taken;
            plan(world, policy, Consent::REMOVALS.refusing(&refused))
        }
    }
}

/// Both sides of the platform, and what moved since the last run.
#[derive(Clone, Debug)]
pub(super) struct Platform {
    pub(super) observed: Observed,
    pub(super) moved: Moved,
    pub(super) policy: Policy,
    pub(super) identities: BTreeMap<ObjectId, UserRow>,
    pub(super) local: Vec<HandMade>,
    pub(super) groups: BTreeMap<ObjectId, GroupRow>,
    pub(super) memberships: BTreeMap<ObjectId, BTreeSet<ObjectId>>,
    pub(super) products: BTreeMap<String, ProductRow>,
    pub(super) links: BTreeMap<ObjectId, BTreeSet<String>>,
    pub(super) product_members: BTreeMap<ObjectId, BTreeMap<String, ProductRole>>,
    pub(super) registry: RegistryWorld,
    pub(super) findings: BTreeMap<(FindingKind, String), String>,
    pub(super) held_users: BTreeSet<ObjectId>,
    pub(super) held_groups: BTreeSet<ObjectId>,
    pub(super) purge_users: BTreeMap<ObjectId, Purge>,
    pub(super) purge_groups: BTreeMap<ObjectId, Purge>,
    /// Whether runs ask the directory for the registry's group names.
    pub(super) asks: bool,
    rows_made: i32,
}

impl Platform {
    pub(super) fn new() -> Self {
        let policy = Policy {
            include_guests: true,
            include_disabled: true,
            members_only: false,
            tell_gifts: false,
            admin_groups: BTreeSet::new(),
            now: DateTime::from_timestamp(1_800_000_000, 0).expect("a time"),
            removed_at: DateTime::from_timestamp(1_800_000_000, 0).expect("a time"),
        };
        Self {
            observed: Observed::default(),
            moved: Moved::default(),
            policy,
            identities: BTreeMap::new(),
            local: Vec::new(),
            groups: BTreeMap::new(),
            memberships: BTreeMap::new(),
            products: BTreeMap::new(),
            links: BTreeMap::new(),
            product_members: BTreeMap::new(),
            registry: RegistryWorld::default(),
            findings: BTreeMap::new(),
            held_users: BTreeSet::new(),
            held_groups: BTreeSet::new(),
            purge_users: BTreeMap::new(),
            purge_groups: BTreeMap::new(),
            asks: true,
            rows_made: 0,
        }
    }

    pub(super) fn next_row(&mut self) -> i32 {
        self.rows_made += 1;
        self.rows_made
    }

    /// What a run sees.
    pub(super) fn world(&self, reach: Reach) -> World {
        let (affected_users, affected_groups) = match reach {
            Reach::Full => (
                self.observed.users.keys().chain(self.identities.keys()).copied().collect(),
                self.observed.groups.keys().copied().collect(),
            ),
            Reach::Delta => (self.affected_users(), self.affected_groups()),
        };
        let mut parents: BTreeMap<ObjectId, Vec<ObjectId>> = BTreeMap::new();
        for (group, members) in &self.observed.edges {
            for member in members {
                parents.entry(member.id).or_default().push(*group);
            }
        }
        let world = World {
            users: self.observed.users.clone(),
            groups: self.observed.groups.clone(),
            parents,
            identities: self.identities.clone(),
            hand_made: self.local.clone(),
            group_rows: self.groups.clone(),
            memberships: self.memberships.clone(),
            products: self.products.clone(),
            links: self.links.clone(),
            product_members: self.product_members.clone(),
            registry: self.registry_world(),
            affected_users,
            affected_groups,
            group_sizes: BTreeMap::new(),
            edge_evidence: self.edge_evidence(),
            records: self.moved.records.clone(),
            purge_users: self.purge_users.clone(),
            purge_groups: self.purge_groups.clone(),
            open_findings: self.findings.clone(),
        };
        match reach {
            Reach::Full => world,
            Reach::Delta => close(world, &self.policy.admin_groups),
        }
    }

    fn affected_groups(&self) -> BTreeSet<ObjectId> {
        self.moved.groups.union(&self.held_groups).copied().collect()
    }

    /// Whoever moved, stands below something that moved, or waits for an address that
    /// one of these may hold or give up.
    fn affected_users(&self) -> BTreeSet<ObjectId> {
        let mut users: BTreeSet<ObjectId> =
            self.moved.users.union(&self.held_users).copied().collect();
        if self.findings.keys().any(|(kind, _)| *kind == FindingKind::AdminGroupUnusable) {
            let granted = |row: &UserRow| row.identity.as_ref().is_some_and(|i| i.admin_granted);
            let admins = self.identities.iter().filter(|(_, row)| granted(row));
            users.extend(admins.map(|(id, _)| *id));
        }
        let mut tops = self.affected_groups();
        for ((_, member), step) in &self.moved.edges {
            match step {
                EdgeMove::Joined(MemberKind::User) | EdgeMove::Left(MemberKind::User, _) => {
                    users.insert(*member);
                }
                EdgeMove::Joined(MemberKind::Group) | EdgeMove::Left(MemberKind::Group, _) => {
                    tops.insert(*member);
                }
            }
        }
        for top in tops {
            users.extend(self.below(top));
        }
        users.extend(self.losing_to_the_registry());
        let single = self.registry_world().namesakes.into_values();
        users.extend(single.filter(|sakes| sakes.ids.len() == 1).flat_map(|sakes| sakes.ids));
        self.with_waiting(users)
    }

    /// Whoever may lose a product because the registry names a group or owner no more.
    fn losing_to_the_registry(&self) -> BTreeSet<ObjectId> {
        let Some(wanted) = &self.registry.wanted else { return BTreeSet::new() };
        let names = |product: &str, group: ObjectId| {
            let entries = wanted.iter().filter(|entry| entry.product == product);
            let names = entries.flat_map(|entry| &entry.groups).map(|name| fold_case(name));
            names.filter_map(|name| self.registry.group_bindings.get(&name)).any(|id| *id == group)
        };
        let ending = self.registry.links.iter().filter(|(product, group)| !names(product, *group));
        let ending: BTreeSet<ObjectId> = ending.map(|(_, group)| *group).collect();
        let members = self.memberships.iter().filter(|(_, of)| !of.is_disjoint(&ending));
        let owners = self.registry.members.keys().map(|(_, user)| *user);
        members.map(|(user, _)| *user).chain(owners).collect()
    }

    /// (user, product) pairs as `product_access` would yield them for people of the tenant.
    pub(super) fn access(&self) -> BTreeSet<(ObjectId, String)> {
        let live = self.identities.iter().filter(|(_, row)| row.state() == State::Live);
        let of = |user: &ObjectId| {
            let groups = self.memberships.get(user).into_iter().flatten();
            let giving = groups.filter(|group| {
                self.groups.get(*group).is_some_and(|row| row.state == Some(State::Live))
            });
            let linked = giving.filter_map(|group| self.links.get(group)).flatten().cloned();
            let own = self.product_members.get(user).into_iter().flat_map(BTreeMap::keys).cloned();
            linked.chain(own).collect::<Vec<String>>()
        };
        live.flat_map(|(user, _)| of(user).into_iter().map(|product| (*user, product))).collect()
    }

    fn below(&self, top: ObjectId) -> BTreeSet<ObjectId> {
        let (mut seen, mut users, mut open) = (BTreeSet::from([top]), BTreeSet::new(), vec![top]);
        while let Some(group) = open.pop() {
            for member in self.observed.edges.get(&group).into_iter().flatten() {
                match member.kind {
                    MemberKind::User => {
                        users.insert(member.id);
                    }
                    MemberKind::Group if seen.insert(member.id) => open.push(member.id),
                    MemberKind::Group => {}
                }
            }
        }
        users
    }

    /// Adds, until nobody is left to add, whoever claims an address that somebody in
    /// play may hold now.
    fn with_waiting(&self, mut users: BTreeSet<ObjectId>) -> BTreeSet<ObjectId> {
        loop {
            let freed: BTreeSet<String> = users
                .iter()
                .filter_map(|id| self.identities.get(id))
                .map(|row| fold_case(&row.email))
                .collect();
            let waiting = self.observed.users.iter().filter(|(id, user)| {
                !users.contains(*id) && claims(&user.facts).any(|claim| freed.contains(&claim))
            });
            let waiting: Vec<ObjectId> = waiting.map(|(id, _)| *id).collect();
            if waiting.is_empty() {
                return users;
            }
            users.extend(waiting);
        }
    }

    fn registry_world(&self) -> RegistryWorld {
        let mut registry = self.registry.clone();
        let Some(wanted) = &registry.wanted else { return registry };
        for name in wanted.iter().flat_map(|entry| &entry.groups).filter(|_| self.asks) {
            let named = self.observed.groups.iter().filter(|(_, group)| {
                group.presence.is_present()
                    && group
                        .facts
                        .display_name
                        .as_deref()
                        .is_some_and(|other| fold_case(other) == fold_case(name))
            });
            registry.candidates.insert(fold_case(name), named.map(|(id, _)| *id).collect());
        }
        for owner in wanted.iter().filter_map(|entry| entry.owner.as_deref()) {
            let called = self.identities.iter().filter(|(_, row)| {
                person_key(&row.name) == person_key(owner)
                    && row.identity.as_ref().is_some_and(|i| i.state == State::Live && !i.guest)
            });
            registry.owners.insert(person_key(owner), called.map(|(id, _)| *id).collect());
        }
        if self.policy.members_only && self.asks {
            registry.namesakes = self.namesakes(wanted);
        }
        registry
    }

    /// What a list of all users says of the names of owners.
    fn namesakes(&self, wanted: &[RegistryEntry]) -> BTreeMap<String, Namesakes> {
        let bears = |user: &ObservedUser, owner: &str| {
            let name = user.facts.display_name.as_deref().map(person_key);
            user.presence.is_present()
                && user.facts.enabled == Some(true)
                && !user.facts.is_guest()
                && name.as_deref() == Some(owner)
        };
        let owners = wanted.iter().filter_map(|entry| entry.owner.as_deref()).map(person_key);
        let bearers = |owner: &str| {
            let bearers = self.observed.users.iter().filter(|(_, user)| bears(user, owner));
            Namesakes { all: true, ids: bearers.map(|(id, _)| *id).collect() }
        };
        owners.map(|owner| (owner.clone(), bearers(&owner))).collect()
    }

    fn edge_evidence(&self) -> BTreeMap<(ObjectId, ObjectId), crate::directory::Evidence> {
        let left = self.moved.edges.iter().filter_map(|(edge, step)| match step {
            EdgeMove::Left(_, evidence) => Some((*edge, *evidence)),
            EdgeMove::Joined(_) => None,
        });
        left.collect()
    }

    /// Carries a plan out, and holds it to what a database would hold it to.
    pub(super) fn apply(&mut self, plan: &Plan) {
        let collisions = self.collisions();
        self.apply_groups(plan);
        self.apply_users(plan);
        self.apply_memberships(plan);
        self.apply_registry(plan);
        for finding in &plan.resolved {
            assert!(self.findings.remove(finding).is_some(), "{finding:?} was not open");
        }
        self.findings.extend(plan.raised.clone());
        (self.held_users, self.held_groups) = held_objects(&plan.withheld);
        self.moved = Moved::default();
        self.purge_users.clear();
        self.purge_groups.clear();
        for address in self.collisions() {
            assert!(collisions.contains(&address), "{address} is held twice");
        }
        self.assert_keys();
        self.policy.now += TimeDelta::hours(1);
        self.policy.removed_at = self.policy.now;
    }

    fn apply_groups(&mut self, plan: &Plan) {
        for Change { key, before, after, .. } in &plan.groups {
            assert_eq!(self.groups.get(key), before.as_ref(), "a group changed under the plan");
            let Some(row) = after else {
                self.groups.remove(key);
                self.observed.groups.remove(key);
                self.observed.edges.remove(key);
                self.forget_member(*key);
                self.links.remove(key);
                self.registry.links.retain(|(_, group)| group != key);
                continue;
            };
            let id = row.id.unwrap_or_else(|| self.next_row());
            self.assert_group_times(before.as_ref(), row);
            self.groups.insert(*key, GroupRow { id: Some(id), ..row.clone() });
        }
    }

    fn apply_users(&mut self, plan: &Plan) {
        for Change { key, before, .. } in &plan.users {
            match before {
                Some(row) if row.identity.is_none() => {
                    let at = self.local.iter().position(|made| made.row == *row);
                    self.local.remove(at.expect("the adopted row exists"));
                }
                before => {
                    assert_eq!(self.identities.remove(key), *before, "a user changed");
                }
            }
        }
        for Change { key, before, after, .. } in &plan.users {
            let Some(row) = after else {
                self.observed.users.remove(key);
                self.forget_member(*key);
                self.product_members.remove(key);
                self.registry.members.retain(|(_, user), _| user != key);
                continue;
            };
            let id = row.id.unwrap_or_else(|| self.next_row());
            self.assert_user_times(before.as_ref(), row);
            self.identities.insert(*key, UserRow { id: Some(id), ..row.clone() });
        }
    }

    fn forget_member(&mut self, id: ObjectId) {
        for members in self.observed.edges.values_mut() {
            members.retain(|member| member.id != id);
        }
    }

    fn apply_memberships(&mut self, plan: &Plan) {
        for change in &plan.memberships {
            let groups = self.memberships.entry(change.user).or_default();
            let moved = if change.made {
                groups.insert(change.group)
            } else {
                groups.remove(&change.group)
            };
            assert!(moved, "{change:?} changes nothing");
            assert!(change.made || change.evidence.is_some(), "{change:?} has no evidence");
        }
        self.memberships.retain(|_, groups| !groups.is_empty());
    }

    fn apply_registry(&mut self, plan: &Plan) {
        for change in &plan.products {
            let row = change.after.clone().expect("products are never deleted");
            let id = row.id.unwrap_or_else(|| self.next_row());
            let row = ProductRow { id: Some(id), ..row };
            assert_eq!(self.products.insert(change.key.clone(), row), change.before);
        }
        for link in &plan.links {
            assert!(self.products.contains_key(&link.product), "{link:?} names no product");
            let key = (link.product.clone(), link.group);
            let products = self.links.entry(link.group).or_default();
            if link.made {
                assert!(products.insert(key.0.clone()) && self.registry.links.insert(key));
            } else {
                assert!(products.remove(&key.0) && self.registry.links.remove(&key));
            }
        }
        for change in &plan.members {
            let (product, user) = change.key.clone();
            let products = self.product_members.entry(user).or_default();
            let before = match change.after {
                Some(role) => {
                    self.registry.members.insert(change.key.clone(), role);
                    products.insert(product, role)
                }
                None => self
                    .registry
                    .members
                    .remove(&change.key)
                    .and_then(|_| products.remove(&product)),
            };
            assert_eq!(before, change.before, "{change:?}");
        }
        for binding in &plan.bindings {
            let names = if binding.owner {
                &mut self.registry.owner_bindings
            } else {
                &mut self.registry.group_bindings
            };
            match binding.object {
                Some(id) => {
                    let agreed = plan.taken.contains(&Item::Rebinding(binding.name.clone(), id));
                    assert_eq!(names.insert(binding.name.clone(), id).is_some(), agreed);
                }
                None => assert!(names.remove(&binding.name).is_some()),
            }
        }
    }

    /// Addresses, letter case aside, on which an identity does not sit alone.
    fn collisions(&self) -> BTreeSet<String> {
        let mut rows: BTreeMap<String, usize> = BTreeMap::new();
        let local = self.local.iter().map(|made| &made.row);
        for row in self.identities.values().chain(local) {
            *rows.entry(fold_case(&row.email)).or_default() += 1;
        }
        let identities = self.identities.values().map(|row| fold_case(&row.email));
        identities.filter(|address| rows[address] > 1).collect()
    }

    /// The foreign keys of the real tables.
    fn assert_keys(&self) {
        for (user, groups) in &self.memberships {
            assert!(self.identities.contains_key(user), "{user} has memberships and no row");
            for group in groups {
                let row = self.groups.get(group);
                assert!(row.is_some_and(|row| row.state.is_some()), "{group} has no state");
            }
        }
        for (product, user) in self.registry.members.keys() {
            assert!(self.products.contains_key(product), "{product} has members and no row");
            assert!(self.identities.contains_key(user), "{user} owns and has no row");
        }
        for group in self.registry.links.iter().map(|(_, group)| group) {
            assert!(self.groups.contains_key(group), "{group} is linked and has no row");
        }
    }
}
