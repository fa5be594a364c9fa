//! The second look at memberships that a list lacks.
//!
//! A list is no snapshot, and what a lost permission shows looks like an empty one. So
//! nobody leaves a group for being missing from its list: the list must be plausible, and
//! the member's own list of groups must lack the group, too.

use std::collections::{BTreeMap, BTreeSet};

use super::absent::named;
use super::{Reader, Stream};
use crate::directory::proof::{Departure, Grave, Whole};
use crate::directory::{Member, MemberKind, Members, ObjectId, Seen};
use crate::graph::{Lookup, MemberOf};
use crate::reconcile::fold::Part;
use crate::reconcile::report::FindingKind;
use crate::sync::Error;

/// Groups whose stored members are loaded at a time.
const GROUPS_AT_ONCE: usize = 500;
/// A list that lacks at least so many members, and more than it shows, is implausible.
const SHRUNK_BY: usize = 10;
/// So many groups that are empty all at once, and no other that is not, are a fault.
const EMPTY_AT_ONCE: usize = 3;

/// Memberships that are stored, and missing from a list: (group, member).
type Missing = BTreeSet<(ObjectId, Member)>;

impl Reader<'_> {
    /// Looks twice at every membership that a list of this run lacks. Costs nothing where
    /// none does.
    pub(in crate::sync::observe) async fn look_twice(&mut self) -> Result<(), Error> {
        self.settle_buried();
        self.note(FindingKind::RemovalUnconfirmed, MEMBERSHIPS, None);
        if self.listed_at.is_some() {
            self.note(FindingKind::ReadRefuted, MEMBERSHIPS, None);
        }
        if self.start.cursor.is_none() {
            return Ok(());
        }
        let mut by_group = self.missing_by_group().await?;
        let mut by_member = self.missing_by_member().await?;
        self.part_from_dead(&by_group);
        self.forget_deleted(&mut by_group, &mut by_member).await?;
        let mut stale = self.implausible(&by_group).await;
        by_group.retain(|(group, _)| !stale.contains_key(group));
        let asked: BTreeSet<Member> =
            by_group.iter().chain(&by_member).map(|(_, member)| *member).collect();
        let most = self.sync.settings.confirmations_max;
        if asked.len() > most {
            let told = format!(
                "lists lack memberships of {} members at once, more than one run may confirm (removal.confirmations_max is {most}); nobody lost one. Find out why, then raise the limit",
                asked.len()
            );
            self.note(FindingKind::RemovalUnconfirmed, MEMBERSHIPS, Some(told));
            let groups = by_group.iter().chain(&by_member).map(|(group, _)| *group);
            stale.extend(groups.map(|group| (group, UNCONFIRMED.to_owned())));
        } else if !asked.is_empty() {
            let asked: Vec<Member> = asked.into_iter().collect();
            let answers = self.sync.directory.groups_of(&asked).await?;
            if self.shows_nothing(&answers) {
                let empty: BTreeSet<ObjectId> = by_group.iter().map(|(group, _)| *group).collect();
                self.note_all_empty(empty.len());
                stale.extend(empty.into_iter().map(|group| (group, EMPTY.to_owned())));
                by_group.clear();
            }
            let mut doubted = self.contradicted(&answers);
            doubted.extend(self.silent(&asked, &answers).await);
            self.conclude((&by_group, &by_member), &answers, &doubted, &mut stale);
        }
        for (group, why) in &stale {
            self.note_stale(*group, why);
        }
        if !stale.is_empty() {
            self.take(Part { failed: stale.into_keys().collect(), ..Part::default() });
        }
        Ok(())
    }

    /// Memberships that the lists of groups lack. The stored ones are loaded a few groups at a
    /// time: all of them are as many as the tenant has.
    async fn missing_by_group(&self) -> Result<Missing, Error> {
        let buried = self.left_by_rounds();
        let lists: Vec<(ObjectId, &BTreeSet<Member>)> = self.lists_read().collect();
        let mut missing = Missing::new();
        for slice in lists.chunks(GROUPS_AT_ONCE) {
            let groups: BTreeSet<ObjectId> = slice.iter().map(|(group, _)| *group).collect();
            let stored = self.sync.store.read(move |tx| tx.members_of(&groups)).await?;
            for (group, list) in slice {
                let lacking = stored.get(group).into_iter().flatten();
                let lacking = lacking.filter(|member| !list.contains(member));
                let lacking = lacking.filter(|member| !buried.contains(&(*group, member.id)));
                missing.extend(lacking.map(|member| (*group, *member)));
            }
        }
        Ok(missing)
    }

    /// Memberships that the lists of whoever came back lack.
    async fn missing_by_member(&self) -> Result<Missing, Error> {
        let buried = self.left_by_rounds();
        let lists: BTreeMap<ObjectId, (Member, &BTreeSet<ObjectId>)> = self
            .parts
            .iter()
            .flat_map(|part| &part.groups_of)
            .map(|(member, of)| (member.id, (*member, of.list.get())))
            .collect();
        if lists.is_empty() {
            return Ok(Missing::new());
        }
        let members = lists.keys().copied().collect();
        let stored = self.sync.store.read(move |tx| tx.groups_of(&members)).await?;
        let lacking = stored.into_iter().filter(|(group, member)| {
            !lists[member].1.contains(group) && !buried.contains(&(*group, *member))
        });
        Ok(lacking.map(|(group, member)| (group, lists[&member].0)).collect())
    }

    /// Who was found gone for good has left every group whose list agrees.
    fn part_from_dead(&mut self, missing: &Missing) {
        let graves: BTreeMap<ObjectId, Grave> = self
            .parts
            .iter()
            .flat_map(|part| {
                let users = part.users.iter().map(|(id, seen)| (*id, grave_in(seen)));
                users.chain(part.groups.iter().map(|(id, seen)| (*id, grave_in(seen))))
            })
            .filter_map(|(id, grave)| Some((id, grave?)))
            .collect();
        for part in &mut self.parts {
            for (group, members) in &mut part.members {
                let Members::Complete { list, left } = members else { continue };
                for (_, member) in of_group(missing, *group) {
                    let grave = graves.get(&member.id);
                    let dead = grave.and_then(|grave| Departure::of_dead(list, *member, grave));
                    left.extend(dead.map(|departure| (*member, departure)));
                }
            }
        }
    }

    /// Who is deleted is on no list and stays a member (1.8 of the facts).
    async fn forget_deleted(
        &mut self,
        by_group: &mut Missing,
        by_member: &mut Missing,
    ) -> Result<(), Error> {
        let missing = by_group.iter().chain(by_member.iter());
        let (mut users, mut groups) = (BTreeSet::new(), BTreeSet::new());
        for (group, member) in missing {
            groups.insert(*group);
            match member.kind {
                MemberKind::User => users.insert(member.id),
                MemberKind::Group => groups.insert(member.id),
            };
        }
        users.retain(|id| !self.stored_users.contains_key(id));
        groups.retain(|id| !self.stored_groups.contains_key(id));
        if self.listed_at.is_none() && !(users.is_empty() && groups.is_empty()) {
            self.load_stored(users, groups).await?;
        }
        by_group.retain(|(_, member)| self.is_here(*member));
        by_member.retain(|(group, _)| self.is_here(Member { id: *group, kind: MemberKind::Group }));
        Ok(())
    }

    /// Whether an object is not known to be gone.
    fn is_here(&self, Member { id, kind }: Member) -> bool {
        let (met, stored) = match kind {
            MemberKind::User => {
                (self.met_users.get(&id), self.stored_users.get(&id).map(|p| p.is_present()))
            }
            MemberKind::Group => (
                self.met_groups.get(&id),
                self.stored_groups.get(&id).map(|group| group.presence.is_present()),
            ),
        };
        met.copied().or(stored).unwrap_or(true)
    }

    /// Whether this run was shown no membership at all, from neither side: then a list of
    /// nothing is witnessed by nothing.
    fn shows_nothing(&self, answers: &BTreeMap<ObjectId, MemberOf>) -> bool {
        let shown = answers.values().any(|answer| match answer {
            Lookup::Complete(groups) => !groups.get().is_empty(),
            Lookup::Gone | Lookup::Failed(_) => false,
        });
        !shown && self.lists_read().all(|(_, list)| list.is_empty())
    }

    fn note_all_empty(&mut self, groups: usize) {
        let told = format!(
            "all {groups} groups with members look empty at once, which is what a lost permission looks like; grant {} to the application (App registrations, API permissions) and consent as an administrator. Nobody loses anything by it meanwhile",
            Stream::Groups.permission()
        );
        self.note_permission(MEMBERS, Some(told));
    }

    /// Groups whose lists cannot be what they seem, and why.
    async fn implausible(&mut self, missing: &Missing) -> BTreeMap<ObjectId, String> {
        let mut lacking: BTreeMap<ObjectId, usize> = BTreeMap::new();
        for (group, _) in missing {
            *lacking.entry(*group).or_default() += 1;
        }
        let mut suspects = BTreeMap::new();
        let (mut empty, mut full) = (0, 0);
        for (group, list) in self.lists_read() {
            full += usize::from(!list.is_empty());
            let Some(lacks) = lacking.get(&group) else { continue };
            empty += usize::from(list.is_empty());
            if list.is_empty() || (*lacks >= SHRUNK_BY && *lacks > list.len()) {
                let people = list.iter().filter(|member| member.kind == MemberKind::User).count();
                suspects.insert(group, people);
            }
        }
        if empty >= EMPTY_AT_ONCE && full == 0 {
            self.note_all_empty(empty);
            return suspects.into_keys().map(|group| (group, EMPTY.to_owned())).collect();
        }
        if full > 0 {
            self.note_permission(MEMBERS, None);
        }
        let mut stale = BTreeMap::new();
        if suspects.len() > self.sync.settings.confirmations_max {
            stale.extend(suspects.into_keys().map(|group| (group, UNCONFIRMED.to_owned())));
            return stale;
        }
        let nothing = Part::default();
        let hidden = suspects.keys().copied().filter(|group| {
            self.shows_hidden != Some(true) && self.hides_members(&nothing, *group)
        });
        let hidden: BTreeSet<ObjectId> = hidden.collect();
        for group in hidden {
            suspects.remove(&group);
            self.note_hidden(group);
            stale.insert(group, HIDDEN.to_owned());
        }
        let groups: Vec<ObjectId> = suspects.keys().copied().collect();
        for (group, counted) in self.sync.directory.count_people(&groups).await {
            let listed = suspects[&group];
            match counted {
                Ok(counted) if counted <= listed as u64 => {}
                Ok(counted) => {
                    let told = format!(
                        "its list shows {listed} people where Graph counts {counted}; if that stays, a permission is missing: grant {} to the application (App registrations, API permissions) and consent as an administrator",
                        Stream::Groups.permission()
                    );
                    self.note_permission(&group.to_string(), Some(told));
                    stale.insert(group, IMPLAUSIBLE.to_owned());
                }
                Err(error) => {
                    stale.insert(group, format!("{IMPLAUSIBLE}: {}", error.kind()));
                }
            }
        }
        stale
    }

    /// Writes down who has left; whoever has not, or may not have, stays.
    fn conclude(
        &mut self,
        (by_group, by_member): (&Missing, &Missing),
        answers: &BTreeMap<ObjectId, MemberOf>,
        doubted: &BTreeSet<ObjectId>,
        stale: &mut BTreeMap<ObjectId, String>,
    ) {
        let second = |member: Member| match answers.get(&member.id) {
            Some(Lookup::Complete(_)) if doubted.contains(&member.id) => Second::Unknown,
            Some(Lookup::Complete(groups)) => Second::List(groups),
            // Deleted meanwhile; it stays a member until a round or a full run buries it.
            Some(Lookup::Gone) => Second::Deleted,
            Some(Lookup::Failed(_)) | None => Second::Unknown,
        };
        let mut refuted = Vec::new();
        for part in &mut self.parts {
            for (group, members) in &mut part.members {
                let Members::Complete { list, left } = members else { continue };
                for (_, member) in of_group(by_group, *group) {
                    match second(*member) {
                        Second::List(groups) => {
                            match Departure::of_member((*group, list), (*member, groups)) {
                                Some(departure) => {
                                    left.insert(*member, departure);
                                }
                                None => refuted.push(*group),
                            }
                        }
                        Second::Deleted => {}
                        Second::Unknown => {
                            stale.insert(*group, UNCONFIRMED.to_owned());
                        }
                    }
                }
            }
            for (back, of) in &mut part.groups_of {
                for (group, member) in by_member.iter().filter(|(_, member)| member == back) {
                    match second(*member) {
                        Second::List(groups) => {
                            match Departure::of_group(*group, &of.list, groups) {
                                Some(departure) => {
                                    of.left.insert(*group, departure);
                                }
                                None => refuted.push(*group),
                            }
                        }
                        Second::Deleted => {}
                        Second::Unknown => {
                            stale.insert(*group, UNCONFIRMED.to_owned());
                        }
                    }
                }
            }
        }
        if !refuted.is_empty() {
            self.refuted += refuted.len() as u64;
            let times = refuted.len();
            refuted.dedup();
            let told = format!(
                "lists left out {times} memberships that exist after all, in groups {}; nobody lost one. If it stays, report it to Microsoft",
                named(&refuted)
            );
            self.note(FindingKind::ReadRefuted, MEMBERSHIPS, Some(told));
        }
    }

    /// Members who show no group at all, where the count does not agree: that is what a lost
    /// permission looks like. The count lags (2.2 of the facts), so it speaks against only.
    async fn silent(
        &self,
        asked: &[Member],
        answers: &BTreeMap<ObjectId, MemberOf>,
    ) -> BTreeSet<ObjectId> {
        let shows_nothing = |member: &Member| match answers.get(&member.id) {
            Some(Lookup::Complete(groups)) => groups.get().is_empty(),
            _ => false,
        };
        let silent: Vec<Member> = asked.iter().copied().filter(shows_nothing).collect();
        let counted = self.sync.directory.count_groups_of(&silent).await;
        let doubted = silent.iter().zip(counted).filter(|(_, count)| !matches!(count, Ok(0)));
        doubted.map(|(member, _)| member.id).collect()
    }

    /// Members whose own list lacks a group that shows them: what else it lacks means nothing.
    fn contradicted(&self, answers: &BTreeMap<ObjectId, MemberOf>) -> BTreeSet<ObjectId> {
        let buried = self.left_by_rounds();
        let mut contradicted = BTreeSet::new();
        for (group, list) in self.lists_read() {
            for member in list {
                if let Some(Lookup::Complete(groups)) = answers.get(&member.id)
                    && !groups.get().contains(&group)
                    && !buried.contains(&(group, member.id))
                {
                    contradicted.insert(member.id);
                }
            }
        }
        contradicted
    }

    /// The member lists of this run that were read to their ends.
    fn lists_read(&self) -> impl Iterator<Item = (ObjectId, &BTreeSet<Member>)> {
        let members = self.parts.iter().flat_map(|part| &part.members);
        members.filter_map(|(group, members)| match members {
            Members::Complete { list, .. } => Some((*group, list.get())),
            Members::Changes(_) => None,
        })
    }

    /// What the rounds buried themselves needs no second look.
    fn left_by_rounds(&self) -> BTreeSet<(ObjectId, ObjectId)> {
        let members = self.parts.iter().flat_map(|part| &part.members);
        let moves = members.filter_map(|(group, members)| match members {
            Members::Changes(changes) => Some((group, changes.get())),
            Members::Complete { .. } => None,
        });
        moves
            .flat_map(|(group, moves)| {
                let left = moves.iter().filter(|(_, joined)| !**joined);
                left.map(|(member, _)| (*group, member.id))
            })
            .collect()
    }
}

const fn grave_in<T>(seen: &Seen<T>) -> Option<Grave> {
    match seen {
        Seen::Gone(grave) => Some(*grave),
        Seen::Present(_) => None,
    }
}

/// What a second look came to.
enum Second<'a> {
    List(&'a Whole<BTreeSet<ObjectId>>),
    Deleted,
    Unknown,
}

fn of_group(missing: &Missing, group: ObjectId) -> impl Iterator<Item = &(ObjectId, Member)> {
    let first = Member { id: ObjectId::new(uuid::Uuid::nil()), kind: MemberKind::User };
    missing.range((group, first)..).take_while(move |(of, _)| *of == group)
}

/// Subjects of findings about all memberships, and about all lists of members.
const MEMBERSHIPS: &str = "memberships";
const MEMBERS: &str = "members";

const EMPTY: &str = "every group looks empty at once";
const HIDDEN: &str = "its membership is hidden and looks empty to us";
const IMPLAUSIBLE: &str = "its list lacks most of its members and Graph's count does not agree";
const UNCONFIRMED: &str = "its list lacks members, and Graph could not be asked whether they left";
