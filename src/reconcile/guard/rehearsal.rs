//! What is held because nobody has seen it yet, however little it is.
//!
//! Owns what a rehearsal is about; when there is one is not this module's to say.

use std::collections::BTreeSet;

use super::limits::Trip;
use crate::directory::ObjectId;
use crate::reconcile::plan::Item;
use crate::reconcile::world::{MemberRead, World};

/// What of a run takes nothing away unasked.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsal {
    /// Why.
    pub trip: Trip,
    /// The groups that it is about, once they can be read, and what they are nested in;
    /// `None` for everything.
    pub groups: Option<BTreeSet<ObjectId>>,
}

impl Rehearsal {
    /// Those of `items` that it is about.
    pub(super) fn among(&self, items: &BTreeSet<Item>, world: &World) -> BTreeSet<Item> {
        let Some(groups) = &self.groups else { return items.clone() };
        // As long as a group cannot be read it takes nothing away, here or above.
        let read = |group: &ObjectId| {
            world.groups.get(group).is_some_and(|group| group.members == MemberRead::Complete)
        };
        let mut open: Vec<ObjectId> = groups.iter().copied().filter(read).collect();
        let mut reached: BTreeSet<ObjectId> = open.iter().copied().collect();
        while let Some(next) = open.pop() {
            let parents = world.parents.get(&next).into_iter().flatten();
            open.extend(parents.filter(|parent| reached.insert(**parent)));
        }
        let concerned = items.iter().filter(|item| match item {
            Item::Group(group) | Item::Membership(group, _) | Item::Link(_, group) => {
                reached.contains(group)
            }
            _ => false,
        });
        concerned.cloned().collect()
    }
}
