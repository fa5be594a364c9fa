//! Who came back: a restored object brings memberships along that no round tells (trap 6).
//!
//! Each of them is asked for its own groups. Where that gives no answer which can be
//! believed, the lists of all groups in scope are read instead: they show the same
//! memberships from the other side, and a list that fails leaves its group stale, to be read
//! again by each run. So nothing has to be remembered about whoever came back.

use std::collections::{BTreeMap, BTreeSet};

use super::{ALL, Reader};
use crate::directory::{GroupsOf, Member, MemberKind, ObjectId};
use crate::graph::{Lookup, MemberOf};
use crate::reconcile::fold::Part;
use crate::sync::Error;

impl Reader<'_> {
    /// Reads the memberships of whoever the last rounds brought back; returns the groups
    /// whose lists have to be read for it. Costs nothing where nobody came back.
    pub(super) async fn read_returned(&mut self) -> Result<BTreeSet<ObjectId>, Error> {
        let returned = self.returned();
        if returned.is_empty() {
            return Ok(BTreeSet::new());
        }
        let asked: Vec<Member> = returned.into_iter().collect();
        let answers = self.sync.directory.groups_of(&asked).await?;
        if !self.is_believable(&asked, &answers).await {
            tracing::warn!(
                members = asked.len(),
                "whoever came back could not be asked for all groups, so the lists of the groups in scope are read"
            );
            return self.all_in_scope().await;
        }
        self.take_memberships(answers);
        Ok(BTreeSet::new())
    }

    /// Those of the last rounds that exist and are stored as gone.
    fn returned(&self) -> BTreeSet<Member> {
        let is_gone = |id: &ObjectId| self.stored_users.get(id).is_some_and(|p| !p.is_present());
        let users = self.told_users.iter().filter(|id| is_gone(id));
        users.map(|id| Member { id: *id, kind: MemberKind::User }).collect()
    }

    /// Whether these answers are all that there is. An empty one is what a lost permission
    /// looks like, too, so the count must agree with it.
    async fn is_believable(
        &self,
        asked: &[Member],
        answers: &BTreeMap<ObjectId, MemberOf>,
    ) -> bool {
        let mut empty = Vec::new();
        for member in asked {
            match answers.get(&member.id) {
                Some(Lookup::Complete(groups)) if groups.get().is_empty() => empty.push(*member),
                Some(Lookup::Complete(_)) => {}
                // Deleted again or not heard of yet: a live one would not be asked again.
                Some(Lookup::Gone | Lookup::Failed(_)) | None => return false,
            }
        }
        let counted = self.sync.directory.count_groups_of(&empty).await;
        counted.into_iter().all(|count| matches!(count, Ok(0)))
    }

    fn take_memberships(&mut self, answers: BTreeMap<ObjectId, MemberOf>) {
        let mut part = Part::default();
        for (id, groups) in answers {
            if let Lookup::Complete(list) = groups {
                part.groups_of.insert(id, GroupsOf { list, left: BTreeMap::new() });
            }
        }
        self.take(part);
    }

    /// Every group in scope that is not known to be gone, to be read by list, again if need
    /// be: a list of this run may be older than the return.
    async fn all_in_scope(&mut self) -> Result<BTreeSet<ObjectId>, Error> {
        if self.listed_at.is_none() {
            let groups = self.sync.store.read(|tx| tx.observed_groups(ALL)).await?;
            self.stored_groups.extend(groups);
        }
        self.listed.clear();
        let stored = self.stored_groups.iter().filter(|(_, group)| group.presence.is_present());
        let mut groups: BTreeSet<ObjectId> = stored.map(|(id, _)| *id).collect();
        groups.extend(&self.admitted_groups);
        groups.retain(|id| self.met_groups.get(id) != Some(&false));
        Ok(groups)
    }
}
