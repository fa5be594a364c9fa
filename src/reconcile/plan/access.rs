//! Who gains and loses which product by a plan.
//!
//! Counts (user, product) pairs as `product_access` yields them, not paths: moving
//! somebody between two groups of one product gains and loses nothing, and neither does
//! anything that happens to a person or a group that is not live.

use std::collections::{BTreeMap, BTreeSet};

use super::groups::Groups;
use super::users::Users;
use super::{AccessChange, Draft, Item, MembershipChange};
use crate::directory::ObjectId;
use crate::reconcile::world::{State, UserRow};

/// Products by group.
type Links = BTreeMap<ObjectId, BTreeSet<String>>;

/// Notes what everybody affected gains and loses, and writes into each planned
/// membership the products that it gives or takes.
pub(super) fn decide(draft: &mut Draft<'_>, groups: &Groups, users: &Users<'_>) {
    let mut memberships = std::mem::take(&mut draft.plan.memberships);
    let links = links_after(draft);
    let pairs = Pairs { groups, users, links: &links, turned: turned(draft) };
    let mut access = Vec::new();
    let mut chunks = memberships.chunk_by_mut(|a, b| a.user == b.user).peekable();
    for user in people(draft) {
        let changes = chunks.next_if(|chunk| chunk[0].user == user).unwrap_or_default();
        if pairs.may_change(draft, user, changes) {
            access.extend(pairs.change(draft, user, changes));
        }
    }
    drop(chunks);
    draft.plan.memberships = memberships;
    draft.plan.access = access;
}

/// Everybody affected, and whoever the registry makes or unmakes an owner.
fn people(draft: &Draft<'_>) -> BTreeSet<ObjectId> {
    let owners = draft.plan.members.iter().map(|change| change.key.1);
    draft.world.affected_users.iter().copied().chain(owners).collect()
}

/// Groups that give something else than before, whoever is in them.
fn turned(draft: &Draft<'_>) -> BTreeSet<ObjectId> {
    let states = draft.plan.groups.iter().filter(|change| {
        let state = |row: Option<&crate::reconcile::world::GroupRow>| row.and_then(|row| row.state);
        state(change.before.as_ref()) != state(change.after.as_ref())
    });
    let links = draft.plan.links.iter().map(|link| link.group);
    states.map(|change| change.key).chain(links).collect()
}

/// The links after the plan. A purged group takes its links along.
fn links_after(draft: &Draft<'_>) -> Links {
    let mut links = draft.world.links.clone();
    for link in &draft.plan.links {
        let products = links.entry(link.group).or_default();
        if link.made {
            products.insert(link.product.clone());
        } else {
            products.remove(&link.product);
        }
    }
    links
}

/// The two sides of a plan, as far as access follows from them.
struct Pairs<'a> {
    groups: &'a Groups,
    users: &'a Users<'a>,
    links: &'a Links,
    turned: BTreeSet<ObjectId>,
}

impl Pairs<'_> {
    /// Whether anything that gives this person access moves: most people are looked at
    /// in a full run and nothing does.
    fn may_change(&self, draft: &Draft<'_>, user: ObjectId, changes: &[MembershipChange]) -> bool {
        let world = draft.world;
        let linked =
            |group: &ObjectId| world.links.contains_key(group) || self.links.contains_key(group);
        let was = world.identities.get(&user).map(UserRow::state);
        let is = self.row(draft, user).map(UserRow::state);
        let stored = world.memberships.get(&user);
        was != is
            || changes.iter().any(|change| linked(&change.group))
            || draft.plan.members.iter().any(|change| change.key.1 == user)
            || (!self.turned.is_empty()
                && stored.is_some_and(|groups| groups.iter().any(|id| self.turned.contains(id))))
    }

    /// The person's row after the plan.
    fn row<'b>(&'b self, draft: &'b Draft<'_>, user: ObjectId) -> Option<&'b UserRow> {
        if draft.world.affected_users.contains(&user) {
            self.users.row(user)
        } else {
            draft.world.identities.get(&user)
        }
    }

    fn change(
        &self,
        draft: &Draft<'_>,
        user: ObjectId,
        changes: &mut [MembershipChange],
    ) -> Option<AccessChange> {
        let world = draft.world;
        let none = BTreeSet::new();
        let stored = world.memberships.get(&user).unwrap_or(&none);
        let mut wanted = stored.clone();
        for change in changes.iter() {
            if change.made {
                wanted.insert(change.group);
            } else {
                wanted.remove(&change.group);
            }
        }
        let had = Reach {
            live: world.identities.get(&user).is_some_and(|row| row.state() == State::Live),
            memberships: stored,
            links: &world.links,
            gives: &|id| world.group_rows.get(&id).is_some_and(|g| g.state == Some(State::Live)),
        };
        let has = Reach {
            live: self.row(draft, user).is_some_and(|row| row.state() == State::Live),
            memberships: &wanted,
            links: self.links,
            gives: &|group| self.groups.state(group) == Some(State::Live),
        };
        let own = || world.product_members.get(&user).into_iter().flat_map(BTreeMap::keys);
        let (before, after) =
            (had.products(own().collect()), has.products(own_after(draft, user, own())));
        for change in changes.iter_mut() {
            let (side, other) = if change.made { (&has, &before) } else { (&had, &after) };
            let products = side.by(change.group).filter(|product| !other.contains(product));
            change.products = products.cloned().collect();
        }
        let gained: BTreeSet<String> = after.difference(&before).map(|p| (*p).clone()).collect();
        let lost = before.difference(&after);
        let lost: BTreeMap<String, BTreeSet<Item>> =
            lost.map(|p| ((*p).clone(), causes(draft, user, p, &had))).collect();
        let moved = !gained.is_empty() || !lost.is_empty();
        let gifts = |product: &String| Some((product.clone(), gifts(draft, user, product, &has)?));
        let gifts = gained.iter().filter(|_| draft.policy.tell_gifts).filter_map(gifts).collect();
        moved.then_some(AccessChange { user, gained, gifts, lost })
    }
}

/// The gifts of the plan that lead to a product, one for each path; `None` if one path has
/// none, so that refusing the others would change nothing.
fn gifts(
    draft: &Draft<'_>,
    user: ObjectId,
    product: &str,
    has: &Reach<'_>,
) -> Option<BTreeSet<Item>> {
    let owner =
        draft.plan.members.iter().any(|change| {
            change.key.1 == user && change.key.0 == product && change.after.is_some()
        });
    let own = draft.world.product_members.get(&user).is_some_and(|own| own.contains_key(product));
    if owner || own {
        return None;
    }
    let leads = |group: &&ObjectId| has.by(**group).any(|other| other == product);
    let gift = |group: &ObjectId| {
        let gifts = [Item::Linking(product.to_owned(), *group), Item::Joining(*group, user)];
        gifts.into_iter().find(|item| draft.plan.taken.contains(item))
    };
    has.memberships.iter().filter(leads).map(gift).collect()
}

/// Everything that the plan does to the paths on which a person reached a product.
fn causes(draft: &Draft<'_>, user: ObjectId, product: &str, had: &Reach<'_>) -> BTreeSet<Item> {
    let leads = |group: &&ObjectId| had.by(**group).any(|other| other == product);
    let through = had.memberships.iter().filter(leads).flat_map(|group| {
        [
            Item::Membership(*group, user),
            Item::Group(*group),
            Item::Link(product.to_owned(), *group),
        ]
    });
    let own = [Item::User(user), Item::ProductMember(product.to_owned(), user)];
    through.chain(own).filter(|item| draft.plan.taken.contains(item)).collect()
}

/// What one person reaches at one moment.
struct Reach<'a> {
    live: bool,
    memberships: &'a BTreeSet<ObjectId>,
    links: &'a Links,
    gives: &'a dyn Fn(ObjectId) -> bool,
}

impl<'a> Reach<'a> {
    /// The products that a membership of `group` gives.
    fn by(&self, group: ObjectId) -> impl Iterator<Item = &'a String> + use<'a> {
        let gives = self.live && (self.gives)(group);
        self.links.get(&group).filter(|_| gives).into_iter().flatten()
    }

    /// All products, the person's `own` included.
    fn products(&self, own: BTreeSet<&'a String>) -> BTreeSet<&'a String> {
        let own = own.into_iter().filter(|_| self.live);
        self.memberships.iter().flat_map(|group| self.by(*group)).chain(own).collect()
    }
}

/// A person's product memberships after the registry's changes.
fn own_after<'a>(
    draft: &'a Draft<'_>,
    user: ObjectId,
    before: impl Iterator<Item = &'a String>,
) -> BTreeSet<&'a String> {
    let mut own: BTreeSet<&String> = before.collect();
    for change in draft.plan.members.iter().filter(|change| change.key.1 == user) {
        if change.after.is_some() {
            own.insert(&change.key.0);
        } else {
            own.remove(&change.key.0);
        }
    }
    own
}
