//! Who is an effective member of which group.

use std::collections::BTreeSet;

use super::closure::Closure;
use super::groups::Groups;
use super::users::Users;
use super::{Draft, Item, MembershipChange};
use crate::directory::{Evidence, ObjectId, Tombstone};
use crate::reconcile::world::Presence;

/// Plans the memberships of the affected users. A user's state never matters here: a
/// disable is one status change, not hundreds of unlinks.
pub(super) fn decide(
    draft: &mut Draft<'_>,
    groups: &Groups,
    closure: &Closure<'_>,
    users: &Users<'_>,
) {
    let world = draft.world;
    let none = BTreeSet::new();
    // A first run makes them all: room made step by step is room taken twice.
    let stored: usize = world.memberships.values().map(BTreeSet::len).sum();
    draft.plan.memberships.reserve(users.effective().saturating_sub(stored));
    for user in &world.affected_users {
        let stored = world.memberships.get(user).unwrap_or(&none);
        let all = closure.unpurged(*user);
        let has_row = users.row(*user).is_some();
        let wanted = |group| has_row && all.contains(group) && !groups.is_purged(*group);
        let given = closure.given(*user, &all);
        for group in stored.union(&all) {
            let made = match (stored.contains(group), wanted(group)) {
                (false, true) if given.contains(group) && may_join(draft, *group, *user) => true,
                (true, false) if may_leave(draft, (*group, *user), &all, (groups, users)) => false,
                _ => continue,
            };
            let evidence = (!made).then(|| evidence(draft, *group, *user));
            let products = Vec::new();
            draft.plan.memberships.push(MembershipChange {
                group: *group,
                user: *user,
                made,
                evidence,
                products,
            });
        }
    }
}

/// A group that nobody knew has no members yet who could be surprised by more: if people
/// have linked it, that gives access at once.
fn may_join(draft: &mut Draft<'_>, group: ObjectId, user: ObjectId) -> bool {
    let known = draft.world.group_rows.get(&group).is_some_and(|row| row.state.is_some());
    !known || draft.may_give(|| Item::Joining(group, user))
}

/// What is purged takes its memberships along; they gave nothing any more. Those that end
/// anyway are things of their own, so that they are the same ones if the purge must wait.
/// Those that ended by a deletion wait for the purge.
fn may_leave(
    draft: &mut Draft<'_>,
    (group, user): (ObjectId, ObjectId),
    unpurged: &BTreeSet<ObjectId>,
    (groups, users): (&Groups, &Users<'_>),
) -> bool {
    let purged = users.is_purged(user) || groups.is_purged(group);
    if ends_by_deletion(draft, (group, user), unpurged) {
        return purged;
    }
    let ends = !purged || !unpurged.contains(&group);
    let may = ends && draft.may(Item::Membership(group, user));
    may || purged
}

/// Whether a membership may have ended because somebody, or a group in between, was deleted.
/// Azure ends the memberships of what it has deleted when it deletes it for good, 30 days
/// later (1.8 of the facts). Those of a person give nothing by then, and end with the row.
/// Where the deletion waits for an answer they give everything: the time that takes is
/// nobody's word.
fn ends_by_deletion(
    draft: &Draft<'_>,
    (group, user): (ObjectId, ObjectId),
    all: &BTreeSet<ObjectId>,
) -> bool {
    let person = match draft.world.users.get(&user).map(|seen| seen.presence) {
        Some(Presence::Gone(Tombstone::Hard, _)) => true,
        Some(Presence::Gone(Tombstone::Soft, _)) => draft.waits(&Item::User(user)),
        _ => false,
    };
    // Nobody says through which group somebody was in this one.
    let nested = || {
        evidence(draft, group, user) == Evidence::Derived
            && all.iter().any(|other| draft.waits(&Item::Group(*other)))
    };
    person || nested()
}

fn evidence(draft: &Draft<'_>, group: ObjectId, user: ObjectId) -> Evidence {
    draft.world.edge_evidence.get(&(group, user)).copied().unwrap_or(Evidence::Derived)
}
