//! Who in the whole directory has the names of the registry's owners.
//!
//! In scope `members` most people have no row, so rows cannot tell that a name means one
//! person. Nor can a filter: whether Graph's comparison folds accents is said nowhere, and a
//! namesake that it leaves out would make somebody an owner. So all users are listed, but
//! only while a name waits for it: of a name that is bound, every later bearer comes up in
//! a round. Whom a name means is planning's to say.

use std::collections::{BTreeMap, BTreeSet};

use super::absent::covers;
use super::{Reader, present};
use crate::directory::{ObjectId, Seen, UserFacts, person_key};
use crate::graph::Counted;
use crate::reconcile::fold::Part;
use crate::reconcile::report::FindingKind;
use crate::reconcile::world::Namesakes;
use crate::sync::Error;

impl Reader<'_> {
    /// Whether a full run must list all users for the sake of a name: one that is not
    /// bound, one that is said to have several bearers, or any after rounds that are lost.
    pub(super) fn owners_wait_for_a_list(&self) -> bool {
        let open = self.waiting_names();
        self.owner_keys().iter().any(|key| {
            self.followed.is_none()
                || !self.start.owner_bindings.contains_key(key)
                || open.contains(key)
        })
    }

    /// Keeps of a list of all users whoever bears the name of an owner; nothing of a list
    /// that looks like a lost permission or lacks people by `$count`, so that no name means
    /// anything by it: a second bearer may be among those.
    pub(super) async fn keep_bearers(
        &mut self,
        listed: Option<BTreeMap<ObjectId, UserFacts>>,
    ) -> Option<BTreeMap<ObjectId, UserFacts>> {
        let mut listed = listed?;
        let named = listed.values().filter(|facts| facts.display_name.is_some()).count();
        let stored = self.stored_users.values().filter(|presence| presence.is_present()).count();
        if named * 2 < listed.len() || listed.len() * 2 < stored {
            return None;
        }
        let counted = self.sync.directory.count(Counted::Users).await;
        if !counted.is_ok_and(|counted| covers(listed.len(), counted)) {
            return None;
        }
        let keys = self.owner_keys();
        listed.retain(|_, facts| key(facts).is_some_and(|key| keys.contains(&key)));
        self.bearers = Some(listed);
        // Nobody is in scope for being listed.
        None
    }

    /// Says who has the names, as far as this run can tell, and takes in whoever has one
    /// alone. After all other reads, so that it knows whom they met.
    pub(super) async fn tell_namesakes(&mut self) -> Result<(), Error> {
        let keys = self.owner_keys();
        if self.sync.settings.all_users || keys.is_empty() {
            return Ok(());
        }
        if self.listed_at.is_none() && self.round_raises_a_name(&keys).await? {
            let listed = self.sync.directory.list_users().await?.into_inner();
            self.keep_bearers(Some(listed)).await;
        }
        let all = self.bearers.is_some();
        let bearers = self.bearers_now(&keys);
        for name in keys {
            self.namesakes.insert(name, Namesakes { all, ids: BTreeSet::new() });
        }
        for (id, facts) in bearers.iter().filter(|(_, facts)| may_own(facts)) {
            if let Some(sakes) = key(facts).and_then(|key| self.namesakes.get_mut(&key)) {
                sakes.ids.insert(*id);
            }
        }
        if all { self.take_in_single_bearers(bearers).await } else { Ok(()) }
    }

    /// Whether a delta run must list all users: for a name that no run has looked for, or
    /// one that somebody has whom this run met, or had when he got his row.
    async fn round_raises_a_name(&self, keys: &BTreeSet<String>) -> Result<bool, Error> {
        let open = self.waiting_names();
        let unbound: BTreeSet<String> = keys
            .iter()
            .filter(|key| !self.start.owner_bindings.contains_key(*key))
            .cloned()
            .collect();
        if unbound.is_empty() || unbound.iter().any(|key| !open.contains(key)) {
            return Ok(!unbound.is_empty());
        }
        let met = self.parts.iter().flat_map(|part| part.users.values());
        let is_raised = |seen: &Seen<UserFacts>| match seen {
            Seen::Present(facts) => key(facts).is_some_and(|key| unbound.contains(&key)),
            Seen::Gone(_) => false,
        };
        if met.into_iter().any(is_raised) {
            return Ok(true);
        }
        let rows = self.sync.store.read(move |tx| tx.owners(&unbound)).await?;
        Ok(rows.values().flatten().any(|id| self.met_users.contains_key(id)))
    }

    /// The bearers listed, as the rest of the run knows them. What a round said before the
    /// list was read adds to it only: the list may be newer, or older.
    fn bearers_now(&self, keys: &BTreeSet<String>) -> BTreeMap<ObjectId, UserFacts> {
        let mut bearers = self.bearers.clone().unwrap_or_default();
        let listed_at = self.listed_at.unwrap_or(usize::MAX);
        for (at, part) in self.parts.iter().enumerate() {
            for (id, seen) in &part.users {
                match seen {
                    Seen::Present(facts) if key(facts).is_some_and(|key| keys.contains(&key)) => {
                        bearers.insert(*id, facts.clone());
                    }
                    _ if at >= listed_at || self.bearers.is_none() => {
                        bearers.remove(id);
                    }
                    _ => {}
                }
            }
        }
        bearers
    }

    /// Whoever has alone the name of an owner is in scope: he is read as others are by id.
    async fn take_in_single_bearers(
        &mut self,
        mut bearers: BTreeMap<ObjectId, UserFacts>,
    ) -> Result<(), Error> {
        let bound = &self.start.owner_bindings;
        let unbound = self.namesakes.iter().filter(|(key, _)| !bound.contains_key(*key));
        let single: BTreeSet<ObjectId> = unbound
            .filter(|(_, sakes)| sakes.ids.len() == 1)
            .flat_map(|(_, sakes)| sakes.ids.iter().copied())
            .collect();
        bearers.retain(|id, _| single.contains(id));
        self.matched.extend(&single);
        self.admitted_users.extend(&single);
        if self.listed_at.is_none() {
            self.load_stored(single, BTreeSet::new()).await?;
        }
        bearers.retain(|id, _| !self.stored_users.contains_key(id));
        if bearers.is_empty() {
            return Ok(());
        }
        self.take(Part { users: present(bearers), ..Part::default() });
        Ok(())
    }

    fn owner_keys(&self) -> BTreeSet<String> {
        let entries = self.sync.settings.registry.as_deref().map_or(&[][..], Vec::as_slice);
        entries.iter().filter_map(|entry| entry.owner.as_deref()).map(person_key).collect()
    }

    /// Owners' names that runs have looked for, and that mean nobody or several.
    fn waiting_names(&self) -> BTreeSet<String> {
        const OPEN: [FindingKind; 2] =
            [FindingKind::RegistryOwnerUnresolved, FindingKind::RegistryOwnerAmbiguous];
        let open = self.start.troubled_since.keys().filter(|(kind, _)| OPEN.contains(kind));
        open.map(|(_, name)| person_key(name)).collect()
    }
}

fn key(facts: &UserFacts) -> Option<String> {
    facts.display_name.as_deref().map(person_key)
}

/// Whether somebody could be an owner: an account of which it is unknown whether it is
/// enabled makes nobody one.
fn may_own(facts: &UserFacts) -> bool {
    facts.enabled == Some(true) && !facts.is_guest()
}
