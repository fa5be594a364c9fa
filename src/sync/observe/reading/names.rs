//! Which groups have the names of the product registry.

use std::collections::BTreeSet;

use super::{Reader, registry_names};
use crate::directory::{GroupFacts, ObjectId, Seen, fold_case};
use crate::reconcile::report::FindingKind;
use crate::store::Stray;
use crate::sync::Error;

impl Reader<'_> {
    /// Links to rows that are no group's lead nowhere: said, not guessed.
    pub(in crate::sync::observe) fn note_invalid_links(&mut self) {
        for (subject, stray) in &self.start.invalid_links {
            let told = stray.map(|stray| match stray {
                Stray::NoId => "a link names this row of aad_groups, but its external_id is no object id as Azure spells it (36 characters, nothing around them); correct or remove it",
                Stray::Second => "a link names this row of aad_groups, but another row has the same external_id in other letter case and is the group's; link that one, and remove this",
                Stray::Rewritten => "this row of aad_groups was made for another group, and stays that group's whatever its external_id says; write back what it was, and make a row of its own for the group that is meant",
            });
            let told = told.map(str::to_owned);
            self.notes.insert((FindingKind::GroupIdInvalid, subject.clone()), told);
        }
    }

    /// Asks which groups have the names of the registry: all in a full run, else those
    /// that a round brought up, those never asked for, and those that several groups want:
    /// a person may have answered, and a group may have given the name up, which shows in
    /// no round under that name.
    pub(super) async fn resolve_names(&mut self) -> Result<(), Error> {
        let names = registry_names(self.sync);
        let mut asked: BTreeSet<String> = BTreeSet::new();
        if self.listed_at.is_some() {
            asked.extend(names.keys().cloned());
        } else {
            for part in &self.parts {
                for (id, seen) in &part.groups {
                    let Seen::Present(GroupFacts { display_name: Some(name), .. }) = seen else {
                        continue;
                    };
                    let key = fold_case(name);
                    if self.start.group_bindings.get(&key) != Some(id) && names.contains_key(&key) {
                        asked.insert(key);
                    }
                }
            }
            let known = |key: &String| {
                self.start.group_bindings.contains_key(key)
                    || self.start.unresolved_names.contains(key.as_str())
            };
            asked.extend(names.keys().filter(|key| !known(key)).cloned());
            let approved = &self.start.approved_names;
            asked.extend(names.keys().filter(|key| approved.contains(*key)).cloned());
            let wanted_by_several = |name: &String| {
                [FindingKind::RegistryGroupTaken, FindingKind::RegistryGroupAmbiguous]
                    .map(|kind| self.start.troubled_since.contains_key(&(kind, name.clone())))
                    .contains(&true)
            };
            let wanted = names.iter().filter(|(_, name)| wanted_by_several(name));
            asked.extend(wanted.map(|(key, _)| key.clone()));
        }
        if asked.is_empty() {
            return Ok(());
        }
        let wanted: Vec<String> = asked.iter().map(|key| names[key].clone()).collect();
        let found = self.sync.directory.groups_by_name(&wanted).await?;
        let mut ids = BTreeSet::new();
        for (name, groups) in found {
            let groups: BTreeSet<ObjectId> = groups.into_iter().map(|(id, _)| id).collect();
            ids.extend(&groups);
            self.candidates.insert(fold_case(&name), groups);
        }
        if self.listed_at.is_none() {
            self.load_stored(BTreeSet::new(), ids).await?;
        }
        Ok(())
    }
}
