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
use super::world::{GroupRow, Policy, ProductRole, ProductRow, Purge, State, UserRow, World};
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
    /// The rebinding that it follows from, if it does.
    pub follows: Option<Item>,
}

/// One thing that may be withheld: something that is taken away, or that is only done
/// when a person says so. What two runs plan about the same thing is the same item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A user stops being live.
    User(ObjectId),
    /// A removed user's row goes for good.
    UserPurge(ObjectId),
    /// A group stops being live.
    Group(ObjectId),
    /// A removed group's row goes for good.
    GroupPurge(ObjectId),
    /// A membership ends: group, user.
    Membership(ObjectId, ObjectId),
    /// The role `admin` is taken back.
    Role(ObjectId),
    /// A link of the registry ends.
    Link(String, ObjectId),
    /// A product membership made by the registry ends.
    ProductMember(String, ObjectId),
    /// A row made by people, which is an admin or has product memberships, is adopted.
    Adoption(ObjectId),
    /// A registry name, folded, is bound to another group than before.
    Rebinding(String, ObjectId),
    /// A membership begins: group, user.
    Joining(ObjectId, ObjectId),
    /// A link of the registry begins.
    Linking(String, ObjectId),
}

impl Item {
    /// Whether a person must always be asked: nothing is taken away by it, and nothing
    /// tells the daemon that it is meant.
    pub const fn is_decision(&self) -> bool {
        matches!(self, Self::Adoption(_) | Self::Rebinding(..))
    }

    /// Whether a row goes for good that has given nothing for as long as the retention.
    pub const fn is_purge(&self) -> bool {
        matches!(self, Self::UserPurge(_) | Self::GroupPurge(_))
    }

    /// Whether people gain by it: then they, and nobody who loses, are its cost.
    pub const fn gives(&self) -> bool {
        self.is_gift() || matches!(self, Self::Rebinding(..))
    }

    /// Whether access is given by it: it goes on unless it is refused.
    pub const fn is_gift(&self) -> bool {
        matches!(self, Self::Joining(..) | Self::Linking(..))
    }
}

/// What a plan may hold of the things that can be withheld.
#[derive(Clone, Copy, Debug)]
pub struct Consent<'c> {
    removals: bool,
    items: &'c BTreeSet<Item>,
    refused: &'c BTreeSet<Item>,
    deferred: &'c BTreeSet<Item>,
}

static NO_ITEMS: BTreeSet<Item> = BTreeSet::new();

impl<'c> Consent<'c> {
    /// To nothing but gifts.
    pub const NONE: Consent<'static> = Consent::only(&NO_ITEMS);
    /// To every removal and gift, but to no decision.
    pub const REMOVALS: Consent<'static> = Consent::removals_and(&NO_ITEMS);

    /// To every removal and gift, and to `decisions`.
    pub const fn removals_and(decisions: &'c BTreeSet<Item>) -> Self {
        Self { removals: true, items: decisions, refused: &NO_ITEMS, deferred: &NO_ITEMS }
    }

    /// To these removals and decisions, and to every gift.
    pub const fn only(items: &'c BTreeSet<Item>) -> Self {
        Self { removals: false, items, refused: &NO_ITEMS, deferred: &NO_ITEMS }
    }

    /// But not to these.
    #[must_use]
    pub const fn refusing(self, refused: &'c BTreeSet<Item>) -> Self {
        Self { refused, ..self }
    }

    /// And to these not yet.
    #[must_use]
    pub const fn deferring(self, deferred: &'c BTreeSet<Item>) -> Self {
        Self { deferred, ..self }
    }

    fn refuses(self, item: &Item) -> bool {
        self.refused.contains(item)
    }

    fn grants(self, item: &Item) -> bool {
        let granted =
            item.is_gift() || (self.removals && !item.is_decision()) || self.items.contains(item);
        granted && !self.refuses(item) && !self.deferred.contains(item)
    }
}

/// What one person gains and loses in a plan, as `product_access` yields it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessChange {
    /// The person.
    pub user: ObjectId,
    /// Products reached now and not before.
    pub gained: BTreeSet<String>,
    /// What gives each of them, all of it together, where [`Policy::tell_gifts`] asks for
    /// it; nothing of a product that would be gained without any of that as well.
    pub gifts: BTreeMap<String, BTreeSet<Item>>,
    /// Products reached before and not now, and what takes them away.
    pub lost: BTreeMap<String, BTreeSet<Item>>,
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
    /// What people gain and lose by all of that, by object id.
    pub access: Vec<AccessChange>,
    /// What the plan does of the things that can be withheld.
    pub taken: BTreeSet<Item>,
    /// What it left out, because [`Consent`] did not grant it.
    pub withheld: BTreeSet<Item>,
    /// Roles, links and product memberships of which this run cannot tell whether they are
    /// to end: a name means nobody, or an admin group is not known.
    pub undecided: BTreeSet<Item>,
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

    /// Forgets of what people lose what they lose by `part` as well. Returns how many pairs
    /// are gained by `part` alone: what is left out of it would take them as well.
    pub fn leave_out(&mut self, part: &Self) -> u64 {
        let mut done: BTreeMap<ObjectId, &AccessChange> =
            part.access.iter().map(|change| (change.user, change)).collect();
        let mut passing = 0;
        for change in &mut self.access {
            if let Some(done) = done.remove(&change.user) {
                passing += done.gained.difference(&change.gained).count();
                change.lost.retain(|product, _| !done.lost.contains_key(product));
            }
        }
        passing += done.values().map(|done| done.gained.len()).sum::<usize>();
        passing as u64
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
    consent: Consent<'w>,
    plan: Plan,
    /// Open findings that this run looked at; those not raised again are resolved.
    evaluated: BTreeSet<(FindingKind, String)>,
}

impl Draft<'_> {
    /// Whether `item` may be planned; notes it either way.
    fn may(&mut self, item: Item) -> bool {
        let may = self.consent.grants(&item);
        let noted = if may { &mut self.plan.taken } else { &mut self.plan.withheld };
        noted.insert(item);
        may
    }

    /// Likewise for a gift, which is made only where somebody wants to hear of it: there is
    /// one for each membership of a first run.
    fn may_give(&mut self, gift: impl FnOnce() -> Item) -> bool {
        !self.policy.tell_gifts || self.may(gift())
    }

    /// Whether this person stays of its own accord. Somebody who stays because the end is
    /// withheld keeps what there is, and becomes neither admin nor owner: those are given by
    /// name or trust, not by a membership that the directory tells.
    fn lasts(&self, user: ObjectId) -> bool {
        !self.plan.withheld.contains(&Item::User(user))
    }

    /// Whether `item` waits for an answer: neither planned nor refused.
    fn waits(&self, item: &Item) -> bool {
        self.plan.withheld.contains(item) && !self.consent.refuses(item)
    }

    /// Whether a row may go for good, if it is `asked` whether it does; `gone` is what it was
    /// of. While that is gone, only a run that asks can tell whether something is in the way.
    fn may_purge(&mut self, gone: bool, asked: Option<Purge>, item: Item) -> Option<bool> {
        let (Item::UserPurge(id) | Item::GroupPurge(id)) = item else { return None };
        if !gone || asked.is_some() {
            self.evaluate(&[FindingKind::TombstoneKept], &id);
        }
        let obstacle = asked.filter(|_| gone)?.obstacle();
        let Some(message) = obstacle else { return Some(self.may(item)) };
        self.raise(FindingKind::TombstoneKept, &id, message);
        Some(false)
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
pub fn plan<'w>(world: &'w World, policy: &'w Policy, consent: Consent<'w>) -> Plan {
    let mut draft =
        Draft { world, policy, consent, plan: Plan::default(), evaluated: BTreeSet::new() };
    let groups = groups::decide(&mut draft);
    let closure = closure::Closure::new(world, &groups);
    let users = users::decide(&mut draft, &groups, &closure);
    memberships::decide(&mut draft, &groups, &closure, &users);
    registry::decide(&mut draft, &groups, &users);
    access::decide(&mut draft, &groups, &users);
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
