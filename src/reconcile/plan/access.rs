//! Which products a membership change gives or takes, for the audit.
//!
//! Counts (user, product) pairs, not paths: moving somebody between two groups of one
//! product gains and loses nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use super::groups::Groups;
use crate::directory::ObjectId;
use crate::reconcile::world::State;

type Links = BTreeMap<ObjectId, BTreeSet<String>>;

/// Writes into each planned membership the products that its person gains or loses.
pub(super) fn annotate(draft: &mut Draft<'_>, groups: &Groups) {
    if draft.plan.memberships.is_empty() {
        return;
    }
    let world = draft.world;
    let links_before = &world.links;
    let links_after = links_after(draft);
    let live_before = |group: &ObjectId| {
        world.group_rows.get(group).is_some_and(|row| row.state == Some(State::Live))
    };
    let live_after = |group: &ObjectId| groups.state(*group) == Some(State::Live);

    let mut rest = draft.plan.memberships.as_mut_slice();
    while let Some(first) = rest.first() {
        let user = first.user;
        let of_user = rest.iter().take_while(|change| change.user == user).count();
        let (changes, tail) = rest.split_at_mut(of_user);
        rest = tail;
        // Most groups are linked to nothing: then there is nothing to compute.
        if !changes
            .iter()
            .any(|c| links_before.contains_key(&c.group) || links_after.contains_key(&c.group))
        {
            continue;
        }
        let before = world.memberships.get(&user).cloned().unwrap_or_default();
        let mut after = before.clone();
        for change in changes.iter() {
            if change.made {
                after.insert(change.group);
            } else {
                after.remove(&change.group);
            }
        }
        let direct: BTreeSet<&str> = world
            .product_members
            .get(&user)
            .map(|products| products.keys().map(String::as_str).collect())
            .unwrap_or_default();
        let had = products(&before, links_before, &live_before, &direct);
        let has = products(&after, &links_after, &live_after, &direct);
        for change in changes {
            let (links, other) =
                if change.made { (&links_after, &had) } else { (links_before, &has) };
            let reached = links.get(&change.group).into_iter().flatten();
            change.products = reached.filter(|p| !other.contains(p.as_str())).cloned().collect();
        }
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

fn products<'a>(
    groups: &BTreeSet<ObjectId>,
    links: &'a Links,
    live: &impl Fn(&ObjectId) -> bool,
    direct: &BTreeSet<&'a str>,
) -> BTreeSet<&'a str> {
    let by_group = groups.iter().filter(|group| live(group)).filter_map(|group| links.get(group));
    by_group.flatten().map(String::as_str).chain(direct.iter().copied()).collect()
}
