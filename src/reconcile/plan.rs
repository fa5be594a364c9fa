//! What follows from the observed state, and differs from the decided one.
//!
//! Owns the order of deciding: groups, then who is in them, then users, then
//! products. Pure: a [`World`] and a [`Policy`] in, a [`Plan`] out, byte for byte the
//! same each time. Counting and limits are the guard's.

mod access;
mod addresses;
mod admins;
mod closure;
mod display;
mod groups;
mod memberships;
mod registry;
mod users;

use std::collections::{BTreeMap, BTreeSet};

pub use display::lines;

use super::report::{Action, FindingKind};
use super::world::{GroupRow, Policy, ProductRole, ProductRow, State, UserRow, World};
use crate::directory::{Evidence, ObjectId};

/// One row that changes: what it was, what it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<K, V> {
    /// Which row.
    pub key: K,
    /// The row as loaded; `None` for one that is made.
    pub before: Option<V>,
    /// The row as it shall be; `None` for one that is purged.
    pub after: Option<V>,
    /// Why, where something is taken away.
    pub evidence: Option<Evidence>,
}

/// A change of a `users` row or its identity.
pub type UserChange = Change<ObjectId, UserRow>;
/// A change of an `aad_groups` row or its state.
pub type GroupChange = Change<ObjectId, GroupRow>;
/// A change of a `products` row, by name.
pub type ProductChange = Change<String, ProductRow>;
/// A change of a `product_members` row, by product name and person.
pub type ProductMemberChange = Change<(String, ObjectId), ProductRole>;

impl UserChange {
    /// The audit's word for it.
    pub fn action(&self) -> Action {
        match (&self.before, &self.after) {
            (None, _) => Action::Create,
            (Some(_), None) => Action::Delete,
            (Some(before), Some(_)) if before.identity.is_none() => Action::Update,
            (Some(before), Some(after)) if before.state() != after.state() => Action::StatusChange,
            _ => Action::Update,
        }
    }

    /// Whether somebody who could have access can have none afterwards.
    pub fn is_removal(&self) -> bool {
        let was_live = self.before.as_ref().is_some_and(|row| row.state() == State::Live);
        let is_live = self.after.as_ref().is_some_and(|row| row.state() == State::Live);
        self.after.is_none() || (was_live && !is_live)
    }
}

impl GroupChange {
    /// The audit's word for it.
    pub fn action(&self) -> Action {
        match (&self.before, &self.after) {
            (None, _) => Action::Create,
            (Some(_), None) => Action::Delete,
            (Some(before), Some(_)) if before.state.is_none() => Action::Update,
            (Some(before), Some(after)) if before.state != after.state => Action::StatusChange,
            _ => Action::Update,
        }
    }

    /// Whether the group stops giving access.
    pub fn is_removal(&self) -> bool {
        let was_live = self.before.as_ref().is_some_and(|row| row.state == Some(State::Live));
        let is_live = self.after.as_ref().is_some_and(|row| row.state == Some(State::Live));
        self.after.is_none() || (was_live && !is_live)
    }
}

/// Somebody becomes or stops being an effective member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipChange {
    /// The group.
    pub group: ObjectId,
    /// The person.
    pub user: ObjectId,
    /// Made or taken away.
    pub made: bool,
    /// Why, where it is taken away.
    pub evidence: Option<Evidence>,
    /// Products that the person gains or loses by it.
    pub products: Vec<String>,
}

/// A link of the registry between a product and a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// The product's name.
    pub product: String,
    /// The group.
    pub group: ObjectId,
    /// Made or taken away.
    pub made: bool,
}

/// What is taken away, by the thing that loses it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Removal {
    /// A user stops being live, or is purged.
    User(ObjectId),
    /// A group stops being live, or is purged.
    Group(ObjectId),
    /// A membership ends: group, user.
    Membership(ObjectId, ObjectId),
    /// The role `admin` is taken back.
    Role(ObjectId),
    /// A link of the registry ends.
    Link(String, ObjectId),
    /// A product membership made by the registry ends.
    ProductMember(String, ObjectId),
}

/// Which removals a plan must leave out: the guard's verdict, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withhold {
    /// Plan everything.
    Nothing,
    /// Plan what gives and corrects, and list what would have been taken away.
    Removals,
    /// The same, but let people be disabled or removed: whoever leaves the company loses
    /// access at once, unless it is the number of leavers that is surprising. Purges wait.
    AllButUsers,
}

/// What a registry name is bound to from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Whether it names an owner; a group otherwise.
    pub owner: bool,
    /// The name, folded.
    pub name: String,
    /// The object; `None` ends the binding, because the registry names it no more.
    pub object: Option<ObjectId>,
}

/// Everything to do, in the order of doing it, and what was left undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Groups, by object id.
    pub groups: Vec<GroupChange>,
    /// Users, by object id.
    pub users: Vec<UserChange>,
    /// Memberships, by user, then group.
    pub memberships: Vec<MembershipChange>,
    /// Products, by name.
    pub products: Vec<ProductChange>,
    /// Links, by product, then group.
    pub links: Vec<LinkChange>,
    /// Product memberships, by product, then person.
    pub members: Vec<ProductMemberChange>,
    /// Bindings of registry names.
    pub bindings: Vec<Binding>,
    /// Findings to open or reword.
    pub raised: BTreeMap<(FindingKind, String), String>,
    /// Findings that are no more.
    pub resolved: BTreeSet<(FindingKind, String)>,
    /// What was left out by [`Withhold::Removals`].
    pub withheld: BTreeSet<Removal>,
}

impl Plan {
    /// Whether nothing of the platform changes (findings and bindings apart).
    pub fn is_empty(&self) -> bool {
        let Self { groups, users, memberships, products, links, members, .. } = self;
        groups.is_empty()
            && users.is_empty()
            && memberships.is_empty()
            && products.is_empty()
            && links.is_empty()
            && members.is_empty()
    }

    /// How many rows change, one audit row each.
    pub fn len(&self) -> usize {
        let Self { groups, users, memberships, products, links, members, .. } = self;
        groups.len()
            + users.len()
            + memberships.len()
            + products.len()
            + links.len()
            + members.len()
    }
}

/// What deciding has come to so far; each step reads the ones before it.
struct Draft<'w> {
    world: &'w World,
    policy: &'w Policy,
    withhold: Withhold,
    plan: Plan,
    /// Open findings that this run looked at; those not raised again are resolved.
    evaluated: BTreeSet<(FindingKind, String)>,
}

impl Draft<'_> {
    /// Whether `removal` may be planned; notes it as withheld if not.
    fn may_remove(&mut self, removal: Removal) -> bool {
        match (self.withhold, &removal) {
            (Withhold::AllButUsers, Removal::User(_)) => true,
            _ => self.may_purge(removal),
        }
    }

    /// Whether an object may go for good: nothing is so urgent about it that it could
    /// not wait for a person.
    fn may_purge(&mut self, removal: Removal) -> bool {
        let may = self.withhold == Withhold::Nothing;
        if !may {
            self.plan.withheld.insert(removal);
        }
        may
    }

    fn raise(&mut self, kind: FindingKind, subject: &impl ToString, message: impl Into<String>) {
        self.plan.raised.insert((kind, subject.to_string()), message.into());
    }

    /// Says that this run can tell whether `subject` has findings of these kinds.
    fn evaluate(&mut self, kinds: &[FindingKind], subject: &impl ToString) {
        let open = &self.world.open_findings;
        if open.is_empty() {
            return;
        }
        let subject = subject.to_string();
        let keys = kinds.iter().map(|kind| (*kind, subject.clone()));
        self.evaluated.extend(keys.filter(|key| open.contains_key(key)));
    }
}

/// Decides. See the module.
pub fn plan(world: &World, policy: &Policy, withhold: Withhold) -> Plan {
    let mut draft =
        Draft { world, policy, withhold, plan: Plan::default(), evaluated: BTreeSet::new() };
    let groups = groups::decide(&mut draft);
    let closure = closure::Closure::new(world, &groups);
    let users = users::decide(&mut draft, &groups, &closure);
    memberships::decide(&mut draft, &closure, &users);
    registry::decide(&mut draft, &groups, &users);
    access::annotate(&mut draft, &groups, &users);
    users.note_changes(&mut draft);
    settle_findings(&mut draft);
    draft.plan
}

/// Drops findings that say nothing new, and resolves those that are over.
fn settle_findings(draft: &mut Draft<'_>) {
    let open = &draft.world.open_findings;
    let evaluated = std::mem::take(&mut draft.evaluated);
    draft.plan.resolved =
        evaluated.into_iter().filter(|key| !draft.plan.raised.contains_key(key)).collect();
    draft.plan.raised.retain(|key, message| open.get(key) != Some(message));
}

#[cfg(test)]
mod tests;
