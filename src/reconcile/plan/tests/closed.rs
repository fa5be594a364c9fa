//! A world cut down to what its module promises, and no more.

use std::collections::BTreeSet;

use crate::directory::{ObjectId, fold_case};
use crate::reconcile::placeholder::is_placeholder;
use crate::reconcile::world::{UserRow, World, claims};

/// Drops whatever a loader that keeps its promise to the letter would not have loaded.
pub(super) fn close(mut world: World, admin_groups: &BTreeSet<ObjectId>) -> World {
    let users = world.affected_users.clone();
    let above = above(&world);
    let owners = owners(&world);
    let addresses = addresses(&world);
    let concerns = |row: &UserRow| {
        let claimed = row.identity.as_ref().and_then(|own| own.claimed_email.as_deref());
        [Some(row.email.as_str()), claimed]
            .into_iter()
            .flatten()
            .any(|address| addresses.contains(&fold_case(address)))
    };
    let groups: BTreeSet<ObjectId> = above
        .iter()
        .copied()
        .chain(world.affected_groups.iter().copied())
        .chain(users.iter().filter_map(|user| world.memberships.get(user)).flatten().copied())
        .chain(world.registry.group_bindings.values().copied())
        .chain(world.registry.links.iter().map(|(_, group)| *group))
        .chain(world.registry.candidates.values().flatten().copied())
        .chain(admin_groups.iter().copied())
        .collect();
    world.users.retain(|id, _| users.contains(id));
    world.groups.retain(|id, _| groups.contains(id));
    world.parents.retain(|id, _| users.contains(id) || above.contains(id));
    world.identities.retain(|id, row| users.contains(id) || owners.contains(id) || concerns(row));
    let sits = |row: &UserRow| concerns(row) || is_placeholder(&row.email);
    world.hand_made.retain(|made| sits(&made.row));
    world.group_rows.retain(|id, _| groups.contains(id));
    world.memberships.retain(|id, _| users.contains(id) || owners.contains(id));
    world.product_members.retain(|id, _| users.contains(id) || owners.contains(id));
    world
}

/// Every group over an affected user.
fn above(world: &World) -> BTreeSet<ObjectId> {
    let mut above = BTreeSet::new();
    let mut open: Vec<ObjectId> = world.affected_users.iter().copied().collect();
    while let Some(next) = open.pop() {
        let parents = world.parents.get(&next).into_iter().flatten();
        open.extend(parents.filter(|parent| above.insert(**parent)));
    }
    above
}

/// Everybody who is an owner, is bound as one, or may be.
fn owners(world: &World) -> BTreeSet<ObjectId> {
    let bound = world.registry.owner_bindings.values();
    let own = world.registry.members.keys().map(|(_, user)| user);
    bound.chain(own).chain(world.registry.owners.values().flatten()).copied().collect()
}

/// What the affected users hold or claim.
fn addresses(world: &World) -> BTreeSet<String> {
    let held = world.affected_users.iter().filter_map(|id| world.identities.get(id));
    let seen = world.affected_users.iter().filter_map(|id| world.users.get(id));
    held.map(|row| fold_case(&row.email)).chain(seen.flat_map(|user| claims(&user.facts))).collect()
}
