//! Which products a membership change gives or takes, for the audit.
//!
//! Counts (user, product) pairs as `product_access` yields them, not paths: moving
//! somebody between two groups of one product gains and loses nothing, and neither does
//! anything that happens to a person or a group that is not live.

use std::collections::{BTreeMap, BTreeSet};

use super::groups::Groups;
use super::users::Users;
use super::{Draft, MembershipChange};
use crate::directory::ObjectId;
use crate::reconcile::world::State;

/// Products by group.
type Links = BTreeMap<ObjectId, BTreeSet<String>>;

/// Writes into each planned membership the products that its person gains or loses.
pub(super) fn annotate(draft: &mut Draft<'_>, groups: &Groups, users: &Users<'_>) {
    let links = links_after(draft);
    // Most groups are linked to nothing: then there is nothing to compute.
    let touches = |change: &MembershipChange| {
        draft.world.links.contains_key(&change.group) || links.contains_key(&change.group)
    };
    let mut memberships = std::mem::take(&mut draft.plan.memberships);
    for changes in memberships.chunk_by_mut(|a, b| a.user == b.user) {
        if changes.iter().any(touches) {
            annotate_person(draft, groups, users, &links, changes);
        }
    }
    draft.plan.memberships = memberships;
}

/// The same for all changes of one person.
fn annotate_person(
    draft: &Draft<'_>,
    groups: &Groups,
    users: &Users<'_>,
    links: &Links,
    changes: &mut [MembershipChange],
) {
    let world = draft.world;
    let user = changes[0].user;
    let stored = world.memberships.get(&user).cloned().unwrap_or_default();
    let mut wanted = stored.clone();
    for change in changes.iter() {
        if change.made {
            wanted.insert(change.group);
        } else {
            wanted.remove(&change.group);
        }
    }
    let had = Access {
        live: world.identities.get(&user).is_some_and(|row| row.state() == State::Live),
        memberships: &stored,
        links: &world.links,
        gives: &|group| world.group_rows.get(&group).is_some_and(|g| g.state == Some(State::Live)),
    };
    let has = Access {
        live: users.row(user).is_some_and(|row| row.state() == State::Live),
        memberships: &wanted,
        links,
        gives: &|group| groups.state(group) == Some(State::Live),
    };
    let own = world.product_members.get(&user).into_iter().flat_map(BTreeMap::keys);
    let (own_before, own_after) = (own.clone().collect(), own_after(draft, user, own));
    let (before, after) = (had.products(own_before), has.products(own_after));
    for change in changes {
        let (side, other) = if change.made { (&has, &before) } else { (&had, &after) };
        let products = side.by(change.group).filter(|product| !other.contains(product));
        change.products = products.cloned().collect();
    }
}

/// What one person reaches at one moment.
struct Access<'a> {
    live: bool,
    memberships: &'a BTreeSet<ObjectId>,
    links: &'a Links,
    gives: &'a dyn Fn(ObjectId) -> bool,
}

impl<'a> Access<'a> {
    /// The products that a membership of `group` gives.
    fn by(&self, group: ObjectId) -> impl Iterator<Item = &'a String> {
        let gives = self.live && (self.gives)(group);
        self.links.get(&group).filter(|_| gives).into_iter().flatten()
    }

    /// All products, the person's `own` included.
    fn products(&self, own: BTreeSet<&'a String>) -> BTreeSet<&'a String> {
        let own = own.into_iter().filter(|_| self.live);
        self.memberships.iter().flat_map(|group| self.by(*group)).chain(own).collect()
    }
}

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
