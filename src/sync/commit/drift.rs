//! Drift: what the lists of a full run find and delta runs should have applied.
//!
//! Not counted is what no delta run could have applied: what is in a group that is read for
//! the first time, or again after its list failed, and who comes in by it; nor what happened
//! while the lists were read, which the round after them tells.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::directory::{Members, ObjectId};
use crate::reconcile::fold::{Admission, Moved, Observed, Part, Scope};
use crate::reconcile::world::MemberRead;

/// Counts it while the parts of a run are folded.
#[derive(Debug)]
pub(super) struct Drift {
    /// Which parts are the lists; the one after them is the last round.
    lists: Range<usize>,
    /// Groups whose members were not known when the run began, or are not now.
    unread: BTreeSet<ObjectId>,
    /// People met by the lists for the first time, where nobody told of them by themselves.
    newcomers: BTreeSet<ObjectId>,
    /// What the last round tells.
    meanwhile: Keys,
    /// What had moved before the lists.
    before: Keys,
    count: u64,
}

/// What moved, by its keys.
#[derive(Debug, Default)]
struct Keys {
    users: BTreeSet<ObjectId>,
    groups: BTreeSet<ObjectId>,
    edges: BTreeSet<(ObjectId, ObjectId)>,
}

impl Drift {
    /// `observed` is what is stored.
    pub(super) fn new(
        lists: Range<usize>,
        parts: &[Part],
        observed: &Observed,
        scope: &Scope,
    ) -> Self {
        let listed = parts.get(lists.clone()).unwrap_or_default();
        let is_known = |id: &ObjectId| {
            observed.groups.get(id).is_some_and(|group| group.members == MemberRead::Complete)
        };
        let groups = listed.iter().flat_map(|part| part.groups.keys().chain(part.members.keys()));
        let mut unread: BTreeSet<ObjectId> = groups.filter(|id| !is_known(id)).copied().collect();
        unread.extend(listed.iter().flat_map(|part| &part.failed));
        let users = listed.iter().flat_map(|part| part.users.keys());
        let newcomers = match scope.users {
            Admission::All => BTreeSet::new(),
            Admission::Only(_) => {
                users.filter(|id| !observed.users.contains_key(id)).copied().collect()
            }
        };
        let meanwhile = parts.get(lists.end).map(Keys::told).unwrap_or_default();
        Self { lists, unread, newcomers, meanwhile, before: Keys::default(), count: 0 }
    }

    /// Looks at what moved before the part at this place is folded.
    pub(super) fn before(&mut self, at: usize, moved: &Moved) {
        if at == self.lists.start {
            self.before = Keys::moved(moved);
        } else if at == self.lists.end {
            self.count = self.count(moved);
        }
    }

    /// How many differences the lists found.
    pub(super) const fn total(&self) -> u64 {
        self.count
    }

    fn count(&self, moved: &Moved) -> u64 {
        let Keys { users, groups, edges } = Keys::moved(moved);
        let is_new = |known: fn(&Keys) -> &BTreeSet<ObjectId>, id: &ObjectId| {
            !known(&self.before).contains(id) && !known(&self.meanwhile).contains(id)
        };
        let edges: Vec<(ObjectId, ObjectId)> = edges
            .into_iter()
            .filter(|edge| !self.before.edges.contains(edge))
            .filter(|edge| !self.meanwhile.edges.contains(edge))
            .filter(|(group, _)| !self.unread.contains(group))
            .collect();
        let groups = groups
            .iter()
            .filter(|id| is_new(|keys| &keys.groups, id))
            .filter(|id| !self.unread.contains(id));
        let joined: BTreeSet<ObjectId> = edges.iter().map(|(_, member)| *member).collect();
        let users = users
            .iter()
            .filter(|id| is_new(|keys| &keys.users, id))
            .filter(|id| !self.newcomers.contains(id) || joined.contains(id));
        (users.count() + groups.count() + edges.len()) as u64
    }
}

impl Keys {
    fn moved(moved: &Moved) -> Self {
        Self {
            users: moved.users.clone(),
            groups: moved.groups.clone(),
            edges: moved.edges.keys().copied().collect(),
        }
    }

    fn told(round: &Part) -> Self {
        let mut edges = BTreeSet::new();
        for (group, members) in &round.members {
            if let Members::Changes(changes) = members {
                edges.extend(changes.get().keys().map(|member| (*group, member.id)));
            }
        }
        Self {
            users: round.users.keys().copied().collect(),
            groups: round.groups.keys().copied().collect(),
            edges,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;

    use super::*;
    use crate::directory::proof::tests::{changes, whole};
    use crate::directory::{GroupFacts, Member, MemberKind, Seen, UserFacts};
    use crate::reconcile::fold::fold;
    use crate::reconcile::world::{ObservedGroup, Presence};

    fn id(n: u128) -> ObjectId {
        ObjectId::new(Uuid::from_u128(n))
    }

    fn person(n: u128) -> Member {
        Member { id: id(n), kind: MemberKind::User }
    }

    /// A part that shows a group under this name, with these members.
    fn part(group: u128, name: &str, members: Members, people: &[u128]) -> Part {
        let facts = GroupFacts { display_name: Some(name.to_owned()), ..GroupFacts::default() };
        let people = people.iter().map(|n| (id(*n), Seen::Present(UserFacts::default())));
        Part {
            users: people.collect(),
            groups: BTreeMap::from([(id(group), Seen::Present(facts))]),
            members: BTreeMap::from([(id(group), members)]),
            ..Part::default()
        }
    }

    fn list(people: &[u128]) -> Members {
        let list = whole(people.iter().map(|n| person(*n)).collect());
        Members::Complete { list, left: BTreeMap::new() }
    }

    fn joined(people: &[u128]) -> Members {
        Members::Changes(changes(people.iter().map(|n| (person(*n), true)).collect()))
    }

    /// The drift of a run whose parts are a round, one part of lists, and a round.
    fn drift(members: MemberRead, parts: Vec<Part>) -> u64 {
        let group =
            ObservedGroup { facts: GroupFacts::default(), presence: Presence::Present, members };
        let mut observed =
            Observed { groups: BTreeMap::from([(id(1), group)]), ..Observed::default() };
        let ids = |ids: &[u128]| Admission::Only(ids.iter().copied().map(id).collect());
        let scope = Scope { users: ids(&[7, 8, 9]), groups: ids(&[1, 2]) };
        let mut drift = Drift::new(1..2, &parts, &observed, &scope);
        let mut moved = Moved::default();
        for (at, part) in parts.into_iter().enumerate() {
            drift.before(at, &moved);
            fold(&mut observed, part, &mut moved, &scope);
        }
        drift.total()
    }

    #[test]
    fn what_a_round_tells_before_or_after_the_lists_is_no_drift() {
        let nothing = Part::default;
        let lists = || part(1, "new", list(&[7, 8]), &[7, 8]);
        let round = || part(1, "new", joined(&[7, 8]), &[7, 8]);
        let half = || part(1, "new", joined(&[7]), &[7]);
        let known = MemberRead::Complete;
        assert_eq!(drift(known, vec![nothing(), lists(), nothing()]), 5);
        assert_eq!(drift(known, vec![round(), lists(), nothing()]), 0);
        assert_eq!(drift(known, vec![nothing(), lists(), round()]), 0);
        assert_eq!(drift(known, vec![half(), lists(), nothing()]), 2);
        assert_eq!(drift(known, vec![nothing(), lists(), half()]), 2);
    }

    #[test]
    fn what_is_read_first_or_again_is_no_drift() {
        let round = Part::default;
        let lists = |group| part(group, "new", list(&[7]), &[7]);
        assert_eq!(drift(MemberRead::Complete, vec![round(), lists(1), round()]), 3);
        assert_eq!(drift(MemberRead::Stale, vec![round(), lists(1), round()]), 0);
        assert_eq!(drift(MemberRead::Never, vec![round(), lists(1), round()]), 0);
        assert_eq!(drift(MemberRead::Complete, vec![round(), lists(2), round()]), 0);
        let failed = Part { failed: BTreeSet::from([id(1)]), ..Part::default() };
        assert_eq!(drift(MemberRead::Complete, vec![round(), failed, round()]), 0);
    }
}
