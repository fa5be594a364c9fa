//! Whom the name of an owner means.
//!
//! A name means somebody only where he is known to be the only one in the whole directory:
//! in scope `members` rows tell of members, and the run must have listed the rest.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Users, current, may_own, owner_names};
use crate::directory::ObjectId;
use crate::reconcile::plan::{Binding, Draft};
use crate::reconcile::report::FindingKind::{RegistryOwnerAmbiguous, RegistryOwnerUnresolved};
use crate::reconcile::world::World;

/// How many namesakes a finding names.
const NAMED: usize = 5;

/// Whoever bears alone a name that is not bound yet: he is in scope for it.
pub(in crate::reconcile::plan) fn single_bearers(world: &World) -> BTreeSet<ObjectId> {
    let registry = &world.registry;
    let Some(wanted) = &registry.wanted else { return BTreeSet::new() };
    let bearer = |key: &String| {
        let sakes = registry.namesakes.get(key).filter(|sakes| sakes.all)?;
        let rows = registry.owners.get(key).into_iter().flatten();
        let bearers: BTreeSet<&ObjectId> = rows.chain(&sakes.ids).collect();
        bearers.first().filter(|_| bearers.len() == 1).map(|id| **id)
    };
    let names = owner_names(wanted);
    let unbound = names.keys().filter(|key| !registry.owner_bindings.contains_key(*key));
    unbound.filter_map(bearer).collect()
}

/// The person that a name means, bound now if he was not; `people` are its bearers with a
/// row that is live.
pub(super) fn meant(
    draft: &mut Draft<'_>,
    users: &Users<'_>,
    (key, name): (&str, &str),
    people: &BTreeSet<ObjectId>,
) -> Option<ObjectId> {
    let sakes = draft.world.registry.namesakes.get(key);
    let are_all = !draft.policy.members_only || sakes.is_some_and(|sakes| sakes.all);
    let met = sakes.into_iter().flat_map(|sakes| &sakes.ids);
    let bearers: BTreeSet<ObjectId> = people.iter().chain(met).copied().collect();
    if let Some(id) = draft.world.registry.owner_bindings.get(key) {
        check_bound(draft, users, name, *id, bearers, are_all);
        return Some(*id);
    }
    let open = |kind| draft.world.open_findings.contains_key(&(kind, name.to_owned()));
    if !are_all && (open(RegistryOwnerUnresolved) || open(RegistryOwnerAmbiguous)) {
        // Nothing new can be told of it: the run that can is a full one.
        return None;
    }
    draft.evaluate(&[RegistryOwnerUnresolved, RegistryOwnerAmbiguous], &name);
    let ids: Vec<ObjectId> = bearers.into_iter().collect();
    match ids[..] {
        _ if !are_all => draft.raise(RegistryOwnerUnresolved, &name, NOT_LISTED),
        [] => draft.raise(RegistryOwnerUnresolved, &name, NOBODY),
        [id] if may_own(draft, users, id) => {
            draft.plan.bindings.push(Binding {
                owner: true,
                name: key.to_owned(),
                object: Some(id),
            });
            return Some(id);
        }
        [id] => {
            let why = format!(
                "{id} alone has this name, but no row that could own a product; see what other findings say of {id}. The owner gets no membership"
            );
            draft.raise(RegistryOwnerUnresolved, &name, why);
        }
        _ => {
            let why = format!(
                "{} live people have this name ({}); the owner gets no membership until all but one are renamed in Azure AD, or the registry names somebody else",
                ids.len(),
                told(&ids)
            );
            draft.raise(RegistryOwnerAmbiguous, &name, why);
        }
    }
    None
}

const NOBODY: &str = "no live person has this name, guests aside; the owner gets no membership. Correct the name in the registry, or in Azure AD";
const NOT_LISTED: &str = "the list of users could not be believed, so it is not known whom this name means; the owner gets no membership. See what other findings say of users; the next full run asks again";

/// A name that is bound means whom it meant; whoever else has it by now is told.
fn check_bound(
    draft: &mut Draft<'_>,
    users: &Users<'_>,
    name: &str,
    id: ObjectId,
    mut others: BTreeSet<ObjectId>,
    are_all: bool,
) {
    draft.evaluate(&[RegistryOwnerUnresolved], &name);
    if current(draft, users, id).is_none() {
        let why = format!(
            "bound to {id}, who is purged; name somebody else, or leave the name out for one run to have it resolved anew"
        );
        draft.raise(RegistryOwnerUnresolved, &name, why);
    }
    others.remove(&id);
    let is_open =
        draft.world.open_findings.contains_key(&(RegistryOwnerAmbiguous, name.to_owned()));
    if are_all {
        draft.evaluate(&[RegistryOwnerAmbiguous], &name);
    } else if is_open {
        // What was told may be more than this run knows.
        return;
    }
    if !others.is_empty() {
        let others: Vec<ObjectId> = others.into_iter().collect();
        let why = format!(
            "bound to {id}, who stays the owner, but {} other live people have this name now ({}); if one of them is meant, leave the name out for one run and tell them apart by name",
            others.len(),
            told(&others)
        );
        draft.raise(RegistryOwnerAmbiguous, &name, why);
    }
}

/// The first of them by id.
fn told(ids: &[ObjectId]) -> String {
    let mut text = String::new();
    for (at, id) in ids.iter().take(NAMED).enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{id}");
    }
    if ids.len() > NAMED { text + ", …" } else { text }
}
