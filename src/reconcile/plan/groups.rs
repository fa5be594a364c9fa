//! Which groups the platform sees, under which name, and whether they give access.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Draft, Item};
use crate::directory::{Evidence, ObjectId};
use crate::reconcile::report::FindingKind;
use crate::reconcile::world::{GroupRow, ObservedGroup, Presence, State};

/// The decided state of each group in play, after this plan.
pub(super) struct Groups {
    after: BTreeMap<ObjectId, GroupRow>,
    /// Live only because their end is withheld.
    ending: BTreeSet<ObjectId>,
    purged: BTreeSet<ObjectId>,
}

impl Groups {
    /// The group's decided state; `None` for a group that has no row, or is purged.
    pub(super) fn state(&self, id: ObjectId) -> Option<State> {
        self.after.get(&id).and_then(|row| row.state)
    }

    /// Whether the group had a row that goes for good in this plan.
    pub(super) fn is_purged(&self, id: ObjectId) -> bool {
        self.purged.contains(&id)
    }

    /// Whether the group gives access only because its end is withheld.
    pub(super) fn is_ending(&self, id: ObjectId) -> bool {
        self.ending.contains(&id)
    }

    /// Whether some group gives access only because its end is withheld.
    pub(super) fn has_ending(&self) -> bool {
        !self.ending.is_empty()
    }

    /// Whether the group gives access, and not only because its end is withheld.
    pub(super) fn lasts(&self, id: ObjectId) -> bool {
        self.state(id) == Some(State::Live) && !self.ending.contains(&id)
    }

    /// The group's name as the platform sees it.
    pub(super) fn name(&self, id: ObjectId) -> Option<&str> {
        self.after.get(&id).map(|row| row.display_name.as_str())
    }
}

/// Plans the affected groups.
pub(super) fn decide(draft: &mut Draft<'_>) -> Groups {
    let world = draft.world;
    let mut after = world.group_rows.clone();
    let rewritten = world.group_rows.values().filter(|row| row.is_rewritten());
    let occupied: BTreeMap<ObjectId, ObjectId> = rewritten
        .filter_map(|row| Some((ObjectId::spelled(&row.external_id)?, row.object_id)))
        .collect();
    let (mut ending, mut purged) = (BTreeSet::new(), BTreeSet::new());
    for id in &world.affected_groups {
        let Some(seen) = world.groups.get(id) else { continue };
        let before = world.group_rows.get(id);
        if let (None, Some(other)) = (before, occupied.get(id)) {
            let why = format!("{REWRITTEN} ({other})");
            draft.raise(FindingKind::GroupIdInvalid, id, why);
            continue;
        }
        let gone = !seen.presence.is_present() && is_removed(before);
        let asked = world.purge_groups.get(id).copied();
        let asked = draft.may_purge(gone, asked, Item::GroupPurge(*id));
        let (wanted, evidence) = if let Some(may) = asked {
            if !may {
                continue;
            }
            (None, Some(Evidence::ConfirmedById))
        } else {
            let Some(wanted) = desired(draft, *id, before, seen) else { continue };
            let evidence = match seen.presence {
                Presence::Gone(_, evidence) if wanted.state == Some(State::Removed) => {
                    Some(evidence)
                }
                _ => None,
            };
            (Some(wanted), evidence)
        };
        let live = wanted.as_ref().is_some_and(|row| row.state == Some(State::Live));
        if live && !seen.presence.is_present() {
            ending.insert(*id);
        }
        if before == wanted.as_ref() {
            continue;
        }
        if let Some(row) = &wanted {
            after.insert(*id, row.clone());
        } else {
            after.remove(id);
            purged.insert(*id);
        }
        draft.plan.groups.push(Change {
            key: *id,
            before: before.cloned(),
            after: wanted,
            evidence,
        });
    }
    Groups { after, ending, purged }
}

/// Such a group can have no row.
const REWRITTEN: &str =
    "people gave its external_id to a row of aad_groups that is another group's";

fn is_removed(row: Option<&GroupRow>) -> bool {
    row.is_some_and(|row| row.state == Some(State::Removed))
}

/// The row a group should have; `None` where none is to be made.
fn desired(
    draft: &mut Draft<'_>,
    id: ObjectId,
    before: Option<&GroupRow>,
    seen: &ObservedGroup,
) -> Option<GroupRow> {
    let now = draft.policy.now;
    let present = seen.presence.is_present();
    let mut row = match before {
        Some(row) => row.clone(),
        None if !present => return None,
        None => GroupRow {
            id: None,
            object_id: id,
            external_id: id.to_string(),
            display_name: String::new(),
            created_at: now,
            updated_at: now,
            state: None,
            removed_at: None,
        },
    };
    let state = if present { State::Live } else { State::Removed };
    let loses = row.state == Some(State::Live) && state == State::Removed;
    if !loses || draft.may(Item::Group(id)) {
        row.state = Some(state);
    }
    row.removed_at = match row.state {
        Some(State::Removed) => row.removed_at.or(Some(draft.policy.removed_at)),
        _ => None,
    };
    if present {
        // Graph cannot clear a group's name, but its schema allows null: fall back to the id.
        let name = seen.facts.display_name.clone().unwrap_or_else(|| id.to_string());
        if row.display_name != name {
            row.display_name = name;
            row.updated_at = now;
        }
    }
    Some(row)
}
