//! Who came back: a restored object brings memberships along that no round tells (trap 6).
//!
//! Each of them is asked for its own groups. Where that gives no answer which can be
//! believed, the lists of all groups in scope are read instead: they show the same
//! memberships from the other side, and a list that fails leaves its group stale, to be read
//! again by each run. So nothing has to be remembered about whoever came back.
//!
//! Nor about whoever is gone: somebody deleted before its group was read has no tombstone
//! here, and looks like a new hire when it is restored. So strangers are asked as well.

use std::collections::{BTreeMap, BTreeSet};

use super::{ALL, Reader, present_ids};
use crate::directory::{GroupFacts, GroupsOf, Member, MemberKind, ObjectId, Seen, UserFacts};
use crate::graph::{Lookup, MemberOf};
use crate::reconcile::fold::Part;
use crate::sync::Error;

/// More strangers than these, and than there are groups in scope, are not asked: the lists
/// of the groups cost less.
const STRANGERS_MAX: usize = 1_000;
/// So many empty answers of strangers are counted again where nobody shows a group: being in
/// none is nothing special for somebody new.
const STRANGERS_COUNTED: usize = 20;

/// Who may have come back.
#[derive(Debug, Default)]
struct Returned {
    /// Stored as gone.
    known: BTreeSet<Member>,
    /// Not stored at all: new, out of scope, or deleted before anybody read its group.
    strangers: BTreeSet<Member>,
}

impl Reader<'_> {
    /// Reads the memberships of whoever the last rounds may have brought back; returns the
    /// groups whose lists have to be read for it.
    pub(super) async fn read_returned(&mut self) -> Result<BTreeSet<ObjectId>, Error> {
        let returned = self.returned();
        let strangers = returned.strangers.len();
        if strangers > STRANGERS_MAX {
            let scope = self.all_in_scope().await?;
            if strangers > scope.len() {
                return Ok(self.list_again(scope));
            }
        }
        let asked: Vec<Member> = returned.known.union(&returned.strangers).copied().collect();
        if asked.is_empty() {
            return Ok(BTreeSet::new());
        }
        let answers = self.sync.directory.groups_of(&asked).await?;
        if !self.is_believable(&returned, &answers).await {
            tracing::warn!(
                members = asked.len(),
                "whoever came back could not be asked for all groups, so the lists of the groups in scope are read"
            );
            let scope = self.all_in_scope().await?;
            return Ok(self.list_again(scope));
        }
        self.take_memberships(&returned, answers).await
    }

    /// Those of the last rounds that exist and are stored as gone, or not at all. Where the
    /// whole tenant is in scope every deleted user is stored, so who is not is new; deleted
    /// groups need not be, since not everybody may look into their container.
    fn returned(&self) -> Returned {
        let mut returned = Returned::default();
        for member in &self.told {
            let (presence, all) = match member.kind {
                MemberKind::User => {
                    (self.stored_users.get(&member.id).copied(), self.sync.settings.all_users)
                }
                MemberKind::Group => {
                    (self.stored_groups.get(&member.id).map(|group| group.presence), false)
                }
            };
            match presence {
                Some(presence) if !presence.is_present() => returned.known.insert(*member),
                None if !all => returned.strangers.insert(*member),
                Some(_) | None => continue,
            };
        }
        returned
    }

    /// Whether these answers are all that there is. An empty one is what a lost permission
    /// looks like, too, so the count must agree with it.
    async fn is_believable(
        &self,
        returned: &Returned,
        answers: &BTreeMap<ObjectId, MemberOf>,
    ) -> bool {
        let (mut empty, mut nobodys, mut shown) = (Vec::new(), Vec::new(), false);
        for member in returned.known.union(&returned.strangers) {
            match answers.get(&member.id) {
                Some(Lookup::Complete(groups)) if !groups.get().is_empty() => shown = true,
                Some(Lookup::Complete(_)) if returned.known.contains(member) => empty.push(*member),
                Some(Lookup::Complete(_)) => nobodys.push(*member),
                // Deleted again or not heard of yet: a live one would not be asked again.
                Some(Lookup::Gone | Lookup::Failed(_)) | None => return false,
            }
        }
        if !shown {
            empty.extend(nobodys.into_iter().take(STRANGERS_COUNTED));
        }
        let counted = self.sync.directory.count_groups_of(&empty).await;
        counted.into_iter().all(|count| matches!(count, Ok(0)))
    }

    /// Takes in the memberships of whoever came back, and those strangers who are in a group
    /// in scope; returns the groups among the latter.
    async fn take_memberships(
        &mut self,
        returned: &Returned,
        answers: BTreeMap<ObjectId, MemberOf>,
    ) -> Result<BTreeSet<ObjectId>, Error> {
        let mut lists = BTreeMap::new();
        for member in returned.known.union(&returned.strangers) {
            if let Some(Lookup::Complete(list)) = answers.get(&member.id) {
                lists.insert(*member, list.clone());
            }
        }
        if self.listed_at.is_none() {
            let groups: BTreeSet<ObjectId> =
                lists.values().flat_map(|list| list.get()).copied().collect();
            self.load_stored(BTreeSet::new(), groups).await?;
        }
        lists.retain(|member, list| {
            returned.known.contains(member) || list.get().iter().any(|group| self.in_scope(*group))
        });
        let mut entering = BTreeSet::new();
        for member in lists.keys().filter(|member| returned.strangers.contains(member)) {
            match member.kind {
                MemberKind::User => self.admitted_users.insert(member.id),
                MemberKind::Group => entering.insert(member.id),
            };
        }
        let groups_of = lists.into_iter();
        let groups_of =
            groups_of.map(|(member, list)| (member, GroupsOf { list, left: BTreeMap::new() }));
        self.take(Part { groups_of: groups_of.collect(), ..Part::default() });
        Ok(entering)
    }

    /// Every group in scope that is not known to be gone.
    async fn all_in_scope(&mut self) -> Result<BTreeSet<ObjectId>, Error> {
        if self.listed_at.is_none() {
            let groups = self.sync.store.read(|tx| tx.observed_groups(ALL)).await?;
            self.stored_groups.extend(groups);
        }
        let stored = self.stored_groups.iter().filter(|(_, group)| group.presence.is_present());
        let mut groups: BTreeSet<ObjectId> = stored.map(|(id, _)| *id).collect();
        groups.extend(&self.admitted_groups);
        groups.retain(|id| self.met_groups.get(id) != Some(&false));
        Ok(groups)
    }

    /// These groups, to be read by list, again if need be: a list of this run may be older
    /// than the return.
    fn list_again(&mut self, groups: BTreeSet<ObjectId>) -> BTreeSet<ObjectId> {
        self.listed.clear();
        groups
    }
}

/// Whom a round shows to exist.
pub(super) fn told(
    users: &BTreeMap<ObjectId, Seen<UserFacts>>,
    groups: &BTreeMap<ObjectId, Seen<GroupFacts>>,
) -> BTreeSet<Member> {
    let of = |kind| move |id| Member { id, kind };
    let users = present_ids(users).into_iter().map(of(MemberKind::User));
    users.chain(present_ids(groups).into_iter().map(of(MemberKind::Group))).collect()
}
