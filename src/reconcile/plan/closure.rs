//! Effective membership: who is in a group over nested groups, cycles included.
//!
//! Works upwards, from a person to the groups above: so its cost follows the people
//! whose edges changed, not the size of the groups.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::groups::Groups;
use crate::directory::ObjectId;
use crate::reconcile::world::{MemberRead, State, World};

/// Answers "which groups is this person in", remembering what lies above each group.
pub(super) struct Closure<'w> {
    world: &'w World,
    groups: &'w Groups,
    /// Whether the members of a group are members of its parents, too.
    passes: fn(&Groups, ObjectId) -> bool,
    above: RefCell<BTreeMap<ObjectId, Rc<BTreeSet<ObjectId>>>>,
    /// The same without what is withheld, where that is something else.
    lasting: Option<Box<Self>>,
}

impl<'w> Closure<'w> {
    pub(super) fn new(world: &'w World, groups: &'w Groups) -> Self {
        let through =
            |passes, lasting| Self { world, groups, passes, above: RefCell::default(), lasting };
        let lasting = groups.has_ending().then(|| Box::new(through(Groups::lasts, None)));
        through(|groups, id| groups.state(id) == Some(State::Live), lasting)
    }

    /// Those of `all`, the groups of this user, that may be given: an end that is withheld
    /// keeps what people have and gives nothing that they had not.
    pub(super) fn given<'a>(
        &self,
        user: ObjectId,
        all: &'a BTreeSet<ObjectId>,
    ) -> Cow<'a, BTreeSet<ObjectId>> {
        let Some(lasting) = &self.lasting else { return Cow::Borrowed(all) };
        let mut given = lasting.of(user);
        given.retain(|group| !self.groups.is_ending(*group));
        Cow::Owned(given)
    }

    /// The groups, among those that have a row, that `user` is an effective member of.
    pub(super) fn of(&self, user: ObjectId) -> BTreeSet<ObjectId> {
        let mut all = self.unpurged(user);
        all.retain(|group| !self.groups.is_purged(*group));
        all
    }

    /// The same if no group were purged by this plan.
    ///
    /// A removed group keeps its own members but passes none to its parents; a group
    /// never read gives nothing.
    pub(super) fn unpurged(&self, user: ObjectId) -> BTreeSet<ObjectId> {
        let mut all = BTreeSet::new();
        for direct in self.parents(user) {
            all.extend(self.above(direct).iter().copied());
        }
        all
    }

    /// `group` itself and every group that its members belong to through it.
    fn above(&self, group: ObjectId) -> Rc<BTreeSet<ObjectId>> {
        if let Some(known) = self.above.borrow().get(&group) {
            return Rc::clone(known);
        }
        let mut reached = BTreeSet::from([group]);
        let mut open = vec![group];
        while let Some(next) = open.pop() {
            if !(self.passes)(self.groups, next) {
                continue;
            }
            open.extend(self.parents(next).filter(|parent| reached.insert(*parent)));
        }
        let groups = self.groups;
        reached.retain(|id| groups.state(*id).is_some() || groups.is_purged(*id));
        let reached = Rc::new(reached);
        self.above.borrow_mut().insert(group, Rc::clone(&reached));
        reached
    }

    fn parents(&self, member: ObjectId) -> impl Iterator<Item = ObjectId> {
        let direct = self.world.parents.get(&member).map_or(&[][..], Vec::as_slice);
        direct.iter().copied().filter(|parent| {
            self.world.groups.get(parent).is_some_and(|group| group.members != MemberRead::Never)
        })
    }
}
