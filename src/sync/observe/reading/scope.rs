//! What enters the scope in a run: by configuration, by a link, by nesting, by coming back.
//!
//! Reads by id and by list what the delta rounds do not tell; nothing where nothing entered.

use std::collections::{BTreeMap, BTreeSet};

use super::Reader;
use crate::directory::{Member, MemberKind, Members, ObjectId, Seen};
use crate::graph::{self, Verdict};
use crate::reconcile::fold::Part;
use crate::reconcile::world::MemberRead;
use crate::sync::Error;

impl Reader<'_> {
    /// Reads these groups, their members, and what is nested in them, to the bottom.
    pub(super) async fn read_groups(&mut self, groups: BTreeSet<ObjectId>) -> Result<(), Error> {
        let mut open = groups;
        loop {
            open.retain(|id| !self.listed.contains(id));
            if open.is_empty() {
                return Ok(());
            }
            let unknown: Vec<ObjectId> =
                open.iter().filter(|id| self.met_groups.get(id) != Some(&true)).copied().collect();
            let directory = &self.sync.directory;
            let verdicts = directory.groups_by_id(&unknown).await?;
            let mut part = Part::default();
            let (mut unreadable, mut strangers) = (BTreeSet::new(), BTreeMap::new());
            for (id, verdict) in verdicts {
                match verdict {
                    Verdict::Here(facts) => {
                        part.groups.insert(id, Seen::Present(facts));
                    }
                    Verdict::Gone(grave) => {
                        part.groups.insert(id, Seen::Gone(grave));
                        unreadable.insert(id);
                    }
                    // The other groups are read all the same; a group in scope is asked for
                    // again by each run.
                    Verdict::Unknown(error) if self.is_asked_again(id) => {
                        part.failed.insert(id);
                        unreadable.insert(id);
                        self.note_stale(id, &format!("it could not be read: {}", error.kind()));
                    }
                    Verdict::Unknown(error) => {
                        unreadable.insert(id);
                        strangers.insert(id, error);
                    }
                }
            }
            part.failed.extend(self.wait_for(strangers)?);
            let ids: Vec<ObjectId> = open.difference(&unreadable).copied().collect();
            let lists = directory.members(&ids, self.detail()).await?;
            self.listed.extend(&unreadable);
            self.admitted_groups.extend(&open);
            self.add_lists(&mut part, lists);
            open = nested(&part).filter(|id| !self.is_read(*id)).collect();
            self.take(part);
        }
    }

    /// Whether the next run meets a group again by itself, however this one ends.
    fn is_asked_again(&self, id: ObjectId) -> bool {
        self.stored_groups.contains_key(&id) || self.roots().contains(&id)
    }

    /// Whether the members of a group are known: read in this run, or followed since
    /// an earlier one.
    fn is_read(&self, id: ObjectId) -> bool {
        self.listed.contains(&id)
            || self
                .stored_groups
                .get(&id)
                .is_some_and(|group| group.members == MemberRead::Complete)
                && self.listed_at.is_none()
    }

    /// Reads what entered the scope: by configuration, by a link, by nesting, by coming
    /// back. Costs nothing where nothing did.
    pub(in crate::sync::observe) async fn complete_scope(&mut self) -> Result<(), Error> {
        if self.listed_at.is_none() {
            self.resolve_names().await?;
        }
        let mut entering = self.read_returned().await?;
        let all = self.sync.settings.all_groups;
        for (id, exists) in &self.met_groups {
            let stored = self.stored_groups.get(id);
            let returned = stored.is_some_and(|group| !group.presence.is_present());
            if *exists && (returned || (stored.is_none() && all)) {
                entering.insert(*id);
            }
        }
        let roots = self.roots();
        entering.extend(roots.into_iter().filter(|id| !self.stored_groups.contains_key(id)));
        let unread = self.start.unread_groups.iter();
        entering.extend(unread.filter(|id| self.met_groups.get(id) != Some(&false)));
        let children: Vec<ObjectId> = self
            .parts
            .iter()
            .flat_map(|part| {
                part.members
                    .iter()
                    .filter(|(group, _)| self.in_scope(**group))
                    .flat_map(|(_, m)| joined_in(m))
            })
            .filter(|member| member.kind == MemberKind::Group && !self.in_scope(member.id))
            .map(|member| member.id)
            .collect();
        entering.extend(children);
        self.read_groups(entering).await?;
        self.read_users().await?;
        self.match_rows_made_by_hand().await?;
        self.tell_namesakes().await
    }

    pub(super) fn in_scope(&self, group: ObjectId) -> bool {
        self.stored_groups.contains_key(&group) || self.admitted_groups.contains(&group)
    }

    /// Members who are not known yet.
    async fn read_users(&mut self) -> Result<(), Error> {
        let mut unknown: BTreeSet<ObjectId> = BTreeSet::new();
        for part in &self.parts {
            for (_, members) in part.members.iter().filter(|(group, _)| self.in_scope(**group)) {
                let users = joined_in(members).filter(|member| member.kind == MemberKind::User);
                unknown.extend(users.map(|member| member.id));
            }
        }
        let unseen: BTreeSet<ObjectId> = unknown
            .iter()
            .filter(|id| !self.stored_users.contains_key(id) && !self.met_users.contains_key(id))
            .copied()
            .collect();
        if self.listed_at.is_none() && !unseen.is_empty() {
            self.load_stored(unseen, BTreeSet::new()).await?;
        }
        // Who is a member of a group in scope is in scope.
        self.admitted_users.extend(&unknown);
        let ask: Vec<ObjectId> = unknown
            .into_iter()
            .filter(|id| !self.stored_users.contains_key(id) && !self.met_users.contains_key(id))
            .collect();
        let users = self.sync.directory.users_by_id(&ask).await?;
        if users.is_empty() {
            return Ok(());
        }
        let (mut part, mut strangers) = (Part::default(), BTreeMap::new());
        for (id, verdict) in users {
            match verdict {
                Verdict::Here(facts) => {
                    part.users.insert(id, Seen::Present(facts));
                }
                Verdict::Gone(grave) => {
                    part.users.insert(id, Seen::Gone(grave));
                }
                Verdict::Unknown(error) => {
                    strangers.insert(id, error);
                }
            }
        }
        part.failed = self.wait_for(strangers)?;
        self.take(part);
        Ok(())
    }

    /// Members who could not be read and are stored nowhere: no run would ask for them again.
    /// So the groups in scope that have them are stale, which makes each run read these lists
    /// again, and everybody else in them goes on. Fails where no group would be.
    fn wait_for(
        &mut self,
        mut strangers: BTreeMap<ObjectId, graph::Error>,
    ) -> Result<BTreeSet<ObjectId>, Error> {
        let mut stale = BTreeMap::new();
        let mut met = BTreeSet::new();
        for (group, members) in self.parts.iter().flat_map(|part| &part.members) {
            for member in joined_in(members).filter(|_| self.in_scope(*group)) {
                if let Some(error) = strangers.get(&member.id) {
                    met.insert(member.id);
                    let why =
                        format!("its member {} could not be read: {}", member.id, error.kind());
                    stale.insert(*group, why);
                }
            }
        }
        strangers.retain(|id, _| !met.contains(id));
        if let Some((_, error)) = strangers.pop_first() {
            return Err(error.into());
        }
        for (group, why) in &stale {
            self.note_stale(*group, why);
        }
        Ok(stale.into_keys().collect())
    }
}

fn joined_in(members: &Members) -> Box<dyn Iterator<Item = Member> + '_> {
    match members {
        Members::Complete { list, .. } => Box::new(list.get().iter().copied()),
        Members::Changes(changes) => {
            let joined = changes.get().iter().filter(|(_, joined)| **joined);
            Box::new(joined.map(|(member, _)| *member))
        }
    }
}

pub(super) fn joined(part: &Part) -> impl Iterator<Item = Member> {
    part.members.values().flat_map(joined_in)
}

fn nested(part: &Part) -> impl Iterator<Item = ObjectId> {
    joined(part).filter(|member| member.kind == MemberKind::Group).map(|member| member.id)
}
