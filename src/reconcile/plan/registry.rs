//! What the product registry asks for: products, links, owners.
//!
//! A name is resolved once and bound to an object id; it is never guessed and never
//! followed to another object. Only what the registry made does it take away again;
//! what existed before stays people's.

mod owners;

use std::collections::{BTreeMap, BTreeSet};

use super::groups::Groups;
use super::users::Users;
use super::{Binding, Change, Draft, Item, LinkChange};
use crate::directory::{ObjectId, fold_case, person_key};
use crate::reconcile::report::FindingKind;
use crate::reconcile::world::{ProductRole, ProductRow, RegistryEntry, State, UserRow, World};

pub(super) use owners::single_bearers;

const GROUP_FINDINGS: &[FindingKind] = &[
    FindingKind::RegistryGroupUnresolved,
    FindingKind::RegistryGroupAmbiguous,
    FindingKind::RegistryGroupTaken,
];
const OWNER_FINDINGS: &[FindingKind] =
    &[FindingKind::RegistryOwnerUnresolved, FindingKind::RegistryOwnerAmbiguous];

/// Plans products, links and owners' memberships; nothing where no registry is configured.
pub(super) fn decide(draft: &mut Draft<'_>, groups: &Groups, users: &Users<'_>) {
    let Some(wanted) = &draft.world.registry.wanted else { return };
    decide_products(draft, wanted);
    let bound_groups = bind_groups(draft, wanted, groups);
    let bound_owners = bind_owners(draft, wanted, users);
    decide_links(draft, wanted, &bound_groups, groups);
    decide_members(draft, wanted, &bound_owners, users);
    end_bindings(draft, wanted, users);
    resolve_forgotten(draft, wanted);
}

fn decide_products(draft: &mut Draft<'_>, wanted: &[RegistryEntry]) {
    let now = draft.policy.now;
    for entry in wanted {
        let description = Some(entry.description.clone());
        let before = draft.world.products.get(&entry.product);
        let after = match before {
            None => ProductRow {
                id: None,
                name: entry.product.clone(),
                description,
                created_at: now,
                updated_at: now,
                ours: true,
            },
            Some(row) if row.ours && row.description != description => {
                ProductRow { description, updated_at: now, ..row.clone() }
            }
            Some(_) => continue,
        };
        let before = before.cloned();
        let key = entry.product.clone();
        draft.plan.products.push(Change { key, before, after: Some(after), evidence: None });
    }
    draft.plan.products.sort_by(|a, b| a.key.cmp(&b.key));
}

/// The group of each registry name that has one.
fn bind_groups(
    draft: &mut Draft<'_>,
    wanted: &[RegistryEntry],
    groups: &Groups,
) -> BTreeMap<String, ObjectId> {
    let mut bound = BTreeMap::new();
    for (key, name) in group_names(wanted) {
        let stored = draft.world.registry.group_bindings.get(&key).copied();
        let candidates = draft.world.registry.candidates.get(&key);
        if candidates.is_some() {
            draft.evaluate(GROUP_FINDINGS, &name);
        }
        if let Some(id) = stored {
            let id = check_binding(draft, (&key, name), id, candidates, groups);
            bound.insert(key, id);
            continue;
        }
        let Some(candidates) = candidates else { continue };
        match candidates.len() {
            0 => {
                let why = "no group of the tenant has this name; correct the registry or create the group";
                draft.raise(FindingKind::RegistryGroupUnresolved, &name, why);
            }
            1 => {
                let id = *candidates.first().expect("one candidate");
                bound.insert(key.clone(), id);
                draft.plan.bindings.push(Binding { owner: false, name: key, object: Some(id) });
            }
            n => {
                let why = format!("{n} groups of the tenant have this name; rename all but one");
                draft.raise(FindingKind::RegistryGroupAmbiguous, &name, why);
            }
        }
    }
    // A group that has no row yet cannot be linked: it is in scope from now on, and
    // is linked as soon as it was read.
    bound.retain(|_, id| groups.state(*id).is_some());
    bound
}

/// The group that a bound name means: the one it is bound to, whoever else takes the
/// name, unless a person has said otherwise.
fn check_binding(
    draft: &mut Draft<'_>,
    (key, name): (&str, &str),
    id: ObjectId,
    candidates: Option<&BTreeSet<ObjectId>>,
    groups: &Groups,
) -> ObjectId {
    draft.evaluate(&[FindingKind::RegistryGroupUnresolved], &name);
    let named: Vec<ObjectId> = candidates.into_iter().flatten().copied().collect();
    let others = named.iter().filter(|other| **other != id).count();
    if let [heir] = named[..]
        && heir != id
        && draft.may(Item::Rebinding(key.to_owned(), heir))
    {
        draft.plan.bindings.push(Binding {
            owner: false,
            name: key.to_owned(),
            object: Some(heir),
        });
        return heir;
    }
    if others > 0 {
        let called = groups.name(id).unwrap_or("a group that is gone");
        let why = format!(
            "bound to {id} ({called}), but {others} other group(s) carry this name now; binding anew needs a person"
        );
        draft.raise(FindingKind::RegistryGroupTaken, &name, why);
    } else if groups.state(id).map_or(!named.contains(&id), |state| state == State::Removed) {
        let state =
            if groups.state(id).is_some() { "is gone" } else { "is purged, or not read yet" };
        let why = format!(
            "bound to {id}, which {state}; restore the group, or take the name out of the registry"
        );
        draft.raise(FindingKind::RegistryGroupUnresolved, &name, why);
    }
    id
}

/// The groups that the registry names: key, then the name as it is spelt there.
fn group_names(wanted: &[RegistryEntry]) -> BTreeMap<String, &str> {
    let names = wanted.iter().flat_map(|entry| &entry.groups);
    names.map(|name| (fold_case(name), name.as_str())).collect()
}

/// The owners likewise.
fn owner_names(wanted: &[RegistryEntry]) -> BTreeMap<String, &str> {
    let names = wanted.iter().filter_map(|entry| entry.owner.as_deref());
    names.map(|name| (person_key(name), name)).collect()
}

/// The person behind each owner key that means exactly one.
fn bind_owners(
    draft: &mut Draft<'_>,
    wanted: &[RegistryEntry],
    users: &Users<'_>,
) -> BTreeMap<String, ObjectId> {
    let names = owner_names(wanted);
    let mut people = draft.world.registry.owners.clone();
    for (id, row) in users.rows() {
        let key = person_key(&row.name);
        let candidate = row.identity.as_ref().is_some_and(|i| i.state == State::Live && !i.guest)
            && draft.lasts(id);
        for (name, ids) in &mut people {
            if *name != key || !candidate {
                ids.remove(&id);
            }
        }
        if candidate && names.contains_key(&key) {
            people.entry(key).or_default().insert(id);
        }
    }
    let mut bound = BTreeMap::new();
    for (key, name) in names {
        let none = BTreeSet::new();
        let people = people.get(&key).unwrap_or(&none);
        if let Some(id) = owners::meant(draft, users, (&key, name), people) {
            bound.insert(key, id);
        }
    }
    bound
}

fn decide_links(
    draft: &mut Draft<'_>,
    wanted: &[RegistryEntry],
    bound: &BTreeMap<String, ObjectId>,
    groups: &Groups,
) {
    let desired: BTreeSet<(String, ObjectId)> = wanted
        .iter()
        .flat_map(|entry| entry.groups.iter().map(move |group| (entry, group)))
        .filter_map(|(entry, group)| Some((entry.product.clone(), *bound.get(&fold_case(group))?)))
        .collect();
    let world = draft.world;
    let exists = |product: &String, group: &ObjectId| {
        world.links.get(group).is_some_and(|products| products.contains(product))
    };
    let rebound = rebound(draft);
    let change = |product: &String, group, made| {
        let follows = rebound.get(&group).cloned();
        LinkChange { product: product.clone(), group, made, follows }
    };
    let mut changes = Vec::new();
    for (product, group) in &desired {
        // A group whose end is withheld gives nothing that it has not given before.
        let is_new = !exists(product, group) && !groups.is_ending(*group);
        if is_new && draft.may_give(|| Item::Linking(product.clone(), *group)) {
            changes.push(change(product, *group, true));
        }
    }
    let purged = purged(&draft.plan.groups);
    let unreadable = unresolved_products(wanted, bound);
    for (product, group) in &world.registry.links {
        let key = (product.clone(), *group);
        let purged = purged.contains(group);
        let named = desired.contains(&key) || purged && names(world, wanted, &key);
        if !named && unreadable.contains(product.as_str()) {
            draft.plan.undecided.insert(Item::Link(product.clone(), *group));
        }
        // A purge takes its links along; those that end anyway are things of their own.
        if !named
            && exists(product, group)
            && !unreadable.contains(product.as_str())
            && draft.may(Item::Link(product.clone(), *group))
            && !purged
        {
            changes.push(change(product, *group, false));
        }
    }
    changes.sort_by(|a, b| (&a.product, a.group, a.made).cmp(&(&b.product, b.group, b.made)));
    draft.plan.links = changes;
}

/// Both groups of each name that is bound anew.
fn rebound(draft: &Draft<'_>) -> BTreeMap<ObjectId, Item> {
    let bound = &draft.world.registry.group_bindings;
    let anew = draft.plan.bindings.iter().filter_map(|binding| {
        let was = bound.get(&binding.name).filter(|_| !binding.owner)?;
        let heir = binding.object.filter(|heir| heir != was)?;
        let item = Item::Rebinding(binding.name.clone(), heir);
        Some([(*was, item.clone()), (heir, item)])
    });
    anew.flatten().collect()
}

/// Whether the registry still asks for a link, by the name that the group is bound to.
fn names(world: &World, wanted: &[RegistryEntry], (product, group): &(String, ObjectId)) -> bool {
    let bound = |name: &String| world.registry.group_bindings.get(&fold_case(name)) == Some(group);
    wanted.iter().any(|entry| entry.product == *product && entry.groups.iter().any(bound))
}

/// Products with a group name that means nothing at the moment: what they had is not
/// taken away on the strength of a name that cannot be resolved.
fn unresolved_products<'e>(
    wanted: &'e [RegistryEntry],
    bound: &BTreeMap<String, ObjectId>,
) -> BTreeSet<&'e str> {
    wanted
        .iter()
        .filter(|entry| entry.groups.iter().any(|group| !bound.contains_key(&fold_case(group))))
        .map(|entry| entry.product.as_str())
        .collect()
}

fn decide_members(
    draft: &mut Draft<'_>,
    wanted: &[RegistryEntry],
    bound: &BTreeMap<String, ObjectId>,
    users: &Users<'_>,
) {
    let world = draft.world;
    let mut desired = BTreeSet::new();
    let mut undecided = BTreeSet::new();
    for entry in wanted {
        match entry.owner.as_deref().map(|owner| bound.get(&person_key(owner))) {
            Some(Some(id)) => {
                desired.insert((entry.product.clone(), *id));
            }
            Some(None) => {
                undecided.insert(entry.product.as_str());
            }
            None => {}
        }
    }
    let mut changes: Vec<super::ProductMemberChange> = Vec::new();
    for key in &desired {
        let present = world.product_members.get(&key.1).and_then(|products| products.get(&key.0));
        let before = world.registry.members.get(key).copied();
        let wanted = match before {
            Some(role) => role != ProductRole::Admin,
            // A membership made by people stays as people made it.
            None => present.is_none() && may_own(draft, users, key.1),
        };
        if wanted {
            let after = Some(ProductRole::Admin);
            changes.push(Change { key: key.clone(), before, after, evidence: None });
        }
    }
    for (key, role) in &world.registry.members {
        if !desired.contains(key) && undecided.contains(key.0.as_str()) {
            draft.plan.undecided.insert(Item::ProductMember(key.0.clone(), key.1));
        }
        if !desired.contains(key)
            && !undecided.contains(key.0.as_str())
            && draft.may(Item::ProductMember(key.0.clone(), key.1))
            && !users.is_purged(key.1)
        {
            changes.push(Change {
                key: key.clone(),
                before: Some(*role),
                after: None,
                evidence: None,
            });
        }
    }
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    draft.plan.members = changes;
}

/// What goes for good in this plan, and takes along what the registry gave it.
fn purged(changes: &[super::GroupChange]) -> BTreeSet<ObjectId> {
    changes.iter().filter(|change| change.after.is_none()).map(|change| change.key).collect()
}

/// Whether a person may become an owner now; who is one already stays one while bound.
fn may_own(draft: &Draft<'_>, users: &Users<'_>, id: ObjectId) -> bool {
    let identity = current(draft, users, id).and_then(|row| row.identity.as_ref());
    identity.is_some_and(|identity| identity.state == State::Live && !identity.guest)
        && draft.lasts(id)
}

/// The row of a person as it will be.
fn current<'r>(draft: &Draft<'r>, users: &'r Users<'_>, id: ObjectId) -> Option<&'r UserRow> {
    let affected = draft.world.affected_users.contains(&id);
    if affected { users.row(id) } else { draft.world.identities.get(&id) }
}

/// A name that the registry gives up is free to be resolved anew one day, but not before
/// all that was made by it is taken away: if the name comes back it means what it meant.
fn end_bindings(draft: &mut Draft<'_>, wanted: &[RegistryEntry], users: &Users<'_>) {
    let (groups, owners) = (group_names(wanted), owner_names(wanted));
    let registry = &draft.world.registry;
    let over: BTreeSet<(&str, ObjectId)> = draft
        .plan
        .links
        .iter()
        .filter(|link| !link.made)
        .map(|link| (link.product.as_str(), link.group))
        .collect();
    let purged = purged(&draft.plan.groups);
    let linked: BTreeSet<ObjectId> = registry
        .links
        .iter()
        .filter(|(product, group)| !over.contains(&(product.as_str(), *group)))
        .filter(|(_, group)| !purged.contains(group))
        .map(|(_, group)| *group)
        .collect();
    let owning: BTreeSet<ObjectId> = registry
        .members
        .keys()
        .filter(|key| {
            let ends = |change: &&super::ProductMemberChange| {
                change.key == **key && change.after.is_none()
            };
            !users.is_purged(key.1) && draft.plan.members.iter().find(ends).is_none()
        })
        .map(|(_, user)| *user)
        .collect();
    let unnamed = |names: &BTreeMap<String, &str>, name: &String| !names.contains_key(name);
    let ended_groups = registry
        .group_bindings
        .iter()
        .filter(|(name, id)| unnamed(&groups, name) && !linked.contains(id))
        .map(|(name, _)| name);
    let ended_owners = registry
        .owner_bindings
        .iter()
        .filter(|(name, id)| unnamed(&owners, name) && !owning.contains(id))
        .map(|(name, _)| name);
    let ended = ended_groups.map(|name| (false, name)).chain(ended_owners.map(|name| (true, name)));
    let ended = ended.map(|(owner, name)| Binding { owner, name: name.clone(), object: None });
    draft.plan.bindings.extend(ended);
}

/// Findings about names that the registry holds no more, or spells anew, are over.
fn resolve_forgotten(draft: &mut Draft<'_>, wanted: &[RegistryEntry]) {
    let groups: BTreeSet<&str> = group_names(wanted).into_values().collect();
    let owners: BTreeSet<&str> = owner_names(wanted).into_values().collect();
    let forgotten = draft.world.open_findings.keys().filter(|(kind, subject)| {
        (GROUP_FINDINGS.contains(kind) && !groups.contains(subject.as_str()))
            || (OWNER_FINDINGS.contains(kind) && !owners.contains(subject.as_str()))
    });
    draft.evaluated.extend(forgotten.cloned());
}
