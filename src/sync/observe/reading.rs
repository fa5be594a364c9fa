//! The reads of one run, in order, and what they leave to be read.

mod absent;
mod by_hand;
mod doubt;
mod names;
mod owners;
mod returned;
mod scope;
mod twice;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chrono::{DateTime, Utc};

use super::{ALL, is_present, registry_names};
use crate::directory::proof::Grave;
use crate::directory::{Cursor, Member, MemberKind, Members, Mode, ObjectId, Seen, UserFacts};
use crate::graph::{self, Detail, Lookup};
use crate::reconcile::fold::Part;
use crate::reconcile::report::{CursorReset, FindingKind};
use crate::reconcile::world::{Namesakes, ObservedGroup, Presence};
use crate::store::{Start, Which};
use crate::sync::{Error, Sync};
use returned::told;
use scope::joined;

/// Reads, part by part, and remembers what was met.
pub(super) struct Reader<'s> {
    sync: &'s Sync,
    start: &'s Start,
    pub(super) parts: Vec<Part>,
    pub(super) listed_at: Option<usize>,
    /// Which parts are the lists, where deltas were followed up to them: what they add is drift.
    pub(super) followed: Option<Range<usize>>,
    pub(super) admitted_users: BTreeSet<ObjectId>,
    pub(super) admitted_groups: BTreeSet<ObjectId>,
    pub(super) candidates: BTreeMap<String, BTreeSet<ObjectId>>,
    /// Users not met that have the address of a row made by hand, or alone an owner's name.
    pub(super) matched: BTreeSet<ObjectId>,
    /// Who has the names of owners, by key; empty where everybody is in scope.
    pub(super) namesakes: BTreeMap<String, Namesakes>,
    /// Whoever bears such a name in the list of all users, where a name waited for it.
    bearers: Option<BTreeMap<ObjectId, UserFacts>>,
    pub(super) notes: BTreeMap<(FindingKind, String), Option<String>>,
    /// What is stored of the objects met so far.
    stored_users: BTreeMap<ObjectId, Presence>,
    stored_groups: BTreeMap<ObjectId, ObservedGroup>,
    /// Objects that this run saw, by whether they exist.
    met_users: BTreeMap<ObjectId, bool>,
    met_groups: BTreeMap<ObjectId, bool>,
    /// Whom the last rounds show to exist. What lists showed before them brought its
    /// memberships along.
    told: BTreeSet<Member>,
    /// Groups whose members this run read, or tried to.
    listed: BTreeSet<ObjectId>,
    /// Whether hidden memberships are shown to us; if not they look empty (trap 29). `None`
    /// where the token does not tell.
    shows_hidden: Option<bool>,
    /// When the run began: since then something is stale that was not before.
    started_at: DateTime<Utc>,
    /// Streams whose list could not be believed, so that absence from it says nothing.
    disbelieved: BTreeSet<Stream>,
    /// Removals that lists suggested and a second look refuted.
    pub(super) refuted: u64,
}

/// What the rounds of a run came to.
pub(super) struct Rounds {
    /// What was read in the end.
    pub(super) mode: Mode,
    /// Where the next run starts.
    pub(super) cursor: Cursor,
    /// In which form the stored links were lost, if they were.
    pub(super) lost: Option<CursorReset>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(
        sync: &'s Sync,
        start: &'s Start,
        started_at: DateTime<Utc>,
        roles: Option<&[String]>,
    ) -> Self {
        let shows_hidden = roles.map(|roles| roles.iter().any(|role| role == "Member.Read.Hidden"));
        Self {
            sync,
            start,
            parts: Vec::new(),
            listed_at: None,
            followed: None,
            admitted_users: BTreeSet::new(),
            admitted_groups: BTreeSet::new(),
            candidates: BTreeMap::new(),
            matched: BTreeSet::new(),
            namesakes: BTreeMap::new(),
            bearers: None,
            notes: BTreeMap::new(),
            stored_users: BTreeMap::new(),
            stored_groups: BTreeMap::new(),
            met_users: BTreeMap::new(),
            met_groups: BTreeMap::new(),
            told: BTreeSet::new(),
            listed: BTreeSet::new(),
            shows_hidden,
            started_at,
            disbelieved: BTreeSet::new(),
            refuted: 0,
        }
    }

    /// The delta rounds; before them, for a full read, the lists. A lost token turns a
    /// delta run into a full one.
    pub(super) async fn rounds_and_lists(
        &mut self,
        mode: Mode,
        stored: Option<&Cursor>,
    ) -> Result<Rounds, Error> {
        let (mut cursor, mut lost) = (None, None);
        if let Some(stored) = stored {
            match self.rounds(stored).await {
                Ok(next) if mode == Mode::Delta => {
                    self.look_up_stored().await?;
                    return Ok(Rounds { mode: Mode::Delta, cursor: next, lost });
                }
                Ok(next) => cursor = Some(next),
                // The same run starts again from nothing: what is gone is found by id.
                Err(error) => lost = Some(given_up(mode, error)?),
            }
        }
        let followed = cursor.is_some();
        let cursor = match cursor {
            Some(cursor) => cursor,
            None => self.sync.directory.latest().await?,
        };
        self.look_up_everything().await?;
        let listed_at = self.parts.len();
        self.listed_at = Some(listed_at);
        self.followed = followed.then_some(listed_at..listed_at);
        self.resolve_names().await?;
        self.lists().await?;
        if let Some(lists) = &mut self.followed {
            lists.end = self.parts.len();
        }
        let cursor = self.rounds(&cursor).await?;
        Ok(Rounds { mode: Mode::Full, cursor, lost })
    }

    /// Both delta rounds, side by side.
    async fn rounds(&mut self, from: &Cursor) -> Result<Cursor, graph::Error> {
        let directory = &self.sync.directory;
        let (users, groups) = tokio::try_join!(
            directory.users_round(&from.users),
            directory.groups_round(&from.groups)
        )?;
        let cursor = Cursor { users: users.next, groups: groups.groups.next };
        self.told = told(&users.seen, &groups.groups.seen);
        let members = groups.members.into_iter();
        self.take(Part {
            users: users.seen,
            groups: groups.groups.seen,
            members: members.map(|(group, changes)| (group, Members::Changes(changes))).collect(),
            ..Part::default()
        });
        Ok(cursor)
    }

    fn take(&mut self, part: Part) {
        self.met_users.extend(part.users.iter().map(|(id, seen)| (*id, is_present(seen))));
        self.met_groups.extend(part.groups.iter().map(|(id, seen)| (*id, is_present(seen))));
        self.parts.push(part);
    }

    /// What is stored of everything the rounds named.
    async fn look_up_stored(&mut self) -> Result<(), Error> {
        let mut users: BTreeSet<ObjectId> = self.met_users.keys().copied().collect();
        let mut groups: BTreeSet<ObjectId> = self.met_groups.keys().copied().collect();
        for part in &self.parts {
            groups.extend(part.members.keys());
            for member in joined(part) {
                match member.kind {
                    MemberKind::User => users.insert(member.id),
                    MemberKind::Group => groups.insert(member.id),
                };
            }
        }
        groups.extend(self.roots());
        groups.extend(&self.start.unread_groups);
        self.load_stored(users, groups).await
    }

    async fn load_stored(
        &mut self,
        users: BTreeSet<ObjectId>,
        groups: BTreeSet<ObjectId>,
    ) -> Result<(), Error> {
        let (users, groups) = self
            .sync
            .store
            .read(move |tx| {
                tx.few_rows()?;
                Ok((
                    tx.user_presence(Which::Ids(&users))?,
                    tx.observed_groups(Which::Ids(&groups))?,
                ))
            })
            .await?;
        self.stored_users.extend(users);
        self.stored_groups.extend(groups);
        Ok(())
    }

    async fn look_up_everything(&mut self) -> Result<(), Error> {
        let (users, groups) = self
            .sync
            .store
            .read(|tx| Ok((tx.user_presence(ALL)?, tx.observed_groups(ALL)?)))
            .await?;
        self.stored_users = users;
        self.stored_groups = groups;
        Ok(())
    }

    /// The lists of a full read, side by side, and whoever they do not show, by id.
    async fn lists(&mut self) -> Result<(), Error> {
        let Sync { directory, settings, .. } = self.sync;
        let names_wait = self.owners_wait_for_a_list();
        let users = async {
            if !settings.all_users && !names_wait {
                return Ok(None);
            }
            Ok::<_, graph::Error>(Some(directory.list_users().await?.into_inner()))
        };
        let groups = async {
            if !settings.all_groups {
                return Ok((None, graph::MemberLists::default()));
            }
            let groups = directory.list_groups().await?.into_inner();
            let ids: Vec<ObjectId> = groups.keys().copied().collect();
            let members = directory.members(&ids, self.detail()).await?;
            Ok((Some(groups), members))
        };
        let deleted = async {
            Ok((
                allowed(directory.deleted_users().await)?,
                allowed(directory.deleted_groups().await)?,
            ))
        };
        let (users, (groups, members), (deleted_users, deleted_groups)) =
            tokio::try_join!(users, groups, deleted)?;
        let users = if settings.all_users { users } else { self.keep_bearers(users).await };
        let listed = [
            (Stream::Users, users.as_ref().map(BTreeMap::len)),
            (Stream::Groups, groups.as_ref().map(BTreeMap::len)),
        ];
        for (stream, listed) in listed {
            self.judge_list(stream, listed).await?;
        }
        let (users, groups) = (users.unwrap_or_default(), groups.unwrap_or_default());
        let mut part = Part { users: present(users), groups: present(groups), ..Part::default() };
        self.add_lists(&mut part, members);
        for (id, grave) in deleted_users {
            if settings.all_users || self.stored_users.contains_key(&id) {
                part.users.entry(id).or_insert(Seen::Gone(grave));
            }
        }
        for (id, grave) in deleted_groups {
            if settings.all_groups || self.stored_groups.contains_key(&id) {
                part.groups.entry(id).or_insert(Seen::Gone(grave));
            }
        }
        self.take(part);
        if !settings.all_groups {
            let roots = self.roots();
            self.read_groups(roots).await?;
        }
        self.find_missing().await
    }

    const fn detail(&self) -> Detail {
        if self.sync.settings.all_users { Detail::Ids } else { Detail::Facts }
    }

    /// Groups that are in scope by themselves: linked, bound, admin groups, and the one
    /// group that an unbound registry name means.
    fn roots(&self) -> BTreeSet<ObjectId> {
        let mut roots = self.start.linked_groups.clone();
        roots.extend(self.start.group_bindings.values());
        roots.extend(&self.sync.settings.admin_groups);
        roots.extend(self.candidates.values().filter(|ids| ids.len() == 1).flatten());
        roots
    }

    /// Whether a group hides its members, as last heard of it.
    fn hides_members(&self, part: &Part, group: ObjectId) -> bool {
        let heard = std::iter::once(part).chain(self.parts.iter().rev());
        let facts = heard.filter_map(|part| match part.groups.get(&group) {
            Some(Seen::Present(facts)) => Some(facts),
            _ => None,
        });
        let stored = self.stored_groups.get(&group).map(|group| &group.facts);
        facts.chain(stored).next().is_some_and(|facts| facts.hidden_membership)
    }

    fn add_lists(&mut self, part: &mut Part, lists: graph::MemberLists) {
        let graph::MemberLists { lists, users, groups } = lists;
        for (group, list) in lists {
            self.listed.insert(group);
            let hidden = self.shows_hidden == Some(false) && self.hides_members(part, group);
            match list {
                // Empty is what a hidden membership looks like without the right to see
                // it: no proof that anybody left.
                Lookup::Complete(list) if hidden && list.get().is_empty() => {
                    self.note_hidden(group);
                    self.admitted_groups.insert(group);
                    part.failed.insert(group);
                }
                Lookup::Complete(list) => {
                    self.admitted_groups.insert(group);
                    self.note_read(group);
                    let left = BTreeMap::new();
                    part.members.insert(group, Members::Complete { list, left });
                }
                // Not found is not read either: if it was deleted meanwhile, a round says so.
                unread @ (Lookup::Gone | Lookup::Failed(_)) => {
                    self.note_stale(group, &why_unread(&unread));
                    self.admitted_groups.insert(group);
                    part.failed.insert(group);
                }
            }
        }
        self.admitted_users.extend(users.keys());
        part.users.extend(present(users));
        for (id, facts) in groups {
            self.admitted_groups.insert(id);
            part.groups.entry(id).or_insert(Seen::Present(facts));
        }
    }
}

/// One of the two streams of the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    Users,
    Groups,
}

impl Stream {
    /// Its name, as the subject of findings.
    const fn label(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "groups",
        }
    }

    /// The permission that shows it.
    const fn permission(self) -> &'static str {
        match self {
            Self::Users => "User.Read.All",
            Self::Groups => "GroupMember.Read.All",
        }
    }
}

fn present<T>(objects: BTreeMap<ObjectId, T>) -> BTreeMap<ObjectId, Seen<T>> {
    objects.into_iter().map(|(id, facts)| (id, Seen::Present(facts))).collect()
}

fn why_unread<T>(lookup: &Lookup<T>) -> String {
    let why = if let Lookup::Failed(error) = lookup { error.kind() } else { "not found" };
    format!("its members could not be read: {why}")
}

fn present_ids<T>(objects: &BTreeMap<ObjectId, Seen<T>>) -> BTreeSet<ObjectId> {
    objects.iter().filter(|(_, seen)| is_present(seen)).map(|(id, _)| *id).collect()
}

/// Why the stored links are given up after such an error, or the error if they are not.
///
/// A full run needs no links, so whatever may be due to them ends there; else one bad link
/// would fail every later run. A link that leads elsewhere never will be followed.
fn given_up(mode: Mode, error: graph::Error) -> Result<CursorReset, graph::Error> {
    let reset = match &error {
        graph::Error::CursorLost(rejection) => match rejection.status {
            410 => CursorReset::Expired,
            404 => CursorReset::Unknown,
            _ => CursorReset::Refused,
        },
        graph::Error::Link { .. } => CursorReset::Unusable,
        error if mode == Mode::Full && error.is_of_the_link() => CursorReset::Unusable,
        _ => return Err(error),
    };
    tracing::warn!(
        reason = reset.label(),
        "the stored delta links are of no use, so everything is read: {error}"
    );
    Ok(reset)
}

/// The deleted container is a help, not a need: without the right to look into it, who
/// is missing is asked for by id.
fn allowed(
    result: Result<BTreeMap<ObjectId, Grave>, graph::Error>,
) -> Result<BTreeMap<ObjectId, Grave>, graph::Error> {
    match result {
        Err(graph::Error::Forbidden(_)) => Ok(BTreeMap::new()),
        other => other,
    }
}
