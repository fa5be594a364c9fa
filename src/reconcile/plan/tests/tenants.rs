//! Small random tenants, and what happens in them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::script::id;
use crate::directory::proof::tests::{changes, departure, grave, whole};
use crate::directory::{
    Evidence, GroupFacts, Member, MemberKind, Members, ObjectId, Seen, Tombstone, UserFacts,
};
use crate::reconcile::fold::{Observed, Part};
use crate::reconcile::world::Presence;

const USERS: [&str; 5] = ["ada", "bob", "carl", "dora", "eve"];
const GROUPS: [&str; 4] = ["A", "B", "C", "D"];

/// Something that an administrator of the tenant does.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A user is made or changed.
    Account(&'static str, UserFacts),
    /// A group is made or renamed.
    Group(&'static str, GroupFacts),
    /// An object is deleted, or deleted for good.
    Delete(&'static str, Tombstone),
    /// A soft-deleted object comes back.
    Restore(&'static str),
    /// A group, somebody or something, and whether it joins or leaves.
    Edge(&'static str, &'static str, bool),
}

/// How addresses are spread.
#[derive(Clone, Copy, Debug)]
pub(super) enum Addresses {
    /// Nobody wishes for what another may have.
    Apart,
    /// Everybody wishes for a few addresses in any letter case, or for none.
    Contested,
}

pub(super) fn events(addresses: Addresses, most: usize) -> BoxedStrategy<Vec<Event>> {
    prop::collection::vec(event(addresses), 0..=most).boxed()
}

/// A tenant in which everybody is there from the start, enabled.
pub(super) fn settled() -> impl Strategy<Value = Vec<Event>> {
    let users = USERS.map(|name| Event::Account(name, apart(name, 0, true, false)));
    let groups = GROUPS.map(|name| Event::Group(name, group(name, 0)));
    let base: Vec<Event> = users.into_iter().chain(groups).collect();
    prop::collection::vec(edge(), 0..16)
        .prop_map(move |edges| base.iter().cloned().chain(edges).collect())
}

fn event(addresses: Addresses) -> BoxedStrategy<Event> {
    let user = prop::sample::select(USERS.to_vec());
    let object = prop::sample::select([&USERS[..], &GROUPS[..]].concat());
    let tombstone = prop_oneof![3 => Just(Tombstone::Soft), 1 => Just(Tombstone::Hard)];
    let enabled = prop::bool::weighted(0.7);
    let account = (user, 0..6_usize, 0..6_usize, enabled, prop::bool::weighted(0.2)).prop_map(
        move |(name, mail, upn, enabled, guest)| {
            let facts = match addresses {
                Addresses::Apart => apart(name, mail, enabled, guest),
                Addresses::Contested => contested(name, mail, upn, enabled, guest),
            };
            Event::Account(name, facts)
        },
    );
    let named = (prop::sample::select(GROUPS.to_vec()), 0..3_usize)
        .prop_map(|(name, call)| Event::Group(name, group(name, call)));
    prop_oneof![
        4 => account,
        2 => named,
        2 => (object.clone(), tombstone).prop_map(|(name, how)| Event::Delete(name, how)),
        2 => object.prop_map(Event::Restore),
        6 => edge(),
    ]
    .boxed()
}

fn edge() -> impl Strategy<Value = Event> {
    let group = prop::sample::select(GROUPS.to_vec());
    let member = prop::sample::select([&USERS[..], &GROUPS[..]].concat());
    (group, member, prop::bool::weighted(0.7))
        .prop_map(|(group, member, joins)| Event::Edge(group, member, joins))
}

fn apart(name: &str, mail: usize, enabled: bool, guest: bool) -> UserFacts {
    let mail = [Some(format!("{name}@x")), Some(format!("{name}@y")), None][mail % 3].clone();
    UserFacts {
        display_name: Some(name.to_owned()),
        upn: Some(format!("{name}@x")),
        mail,
        enabled: Some(enabled),
        guest: Some(guest),
    }
}

fn contested(name: &str, mail: usize, upn: usize, enabled: bool, guest: bool) -> UserFacts {
    let pool = ["", "p@x", "q@x", "P@X", "r@x"];
    let address = |n: usize| pool.get(n).map(|&address| address.to_owned());
    // One guest in two accounts says nothing of being enabled.
    let enabled = if guest && mail > 2 { None } else { Some(enabled) };
    UserFacts {
        display_name: (mail != upn).then(|| name.to_owned()),
        upn: address(upn),
        mail: address(mail),
        enabled,
        guest: Some(guest),
    }
}

fn group(name: &str, call: usize) -> GroupFacts {
    let display_name = [Some(name.to_owned()), Some("GRP".to_owned()), None][call].clone();
    GroupFacts { display_name, hidden_membership: false }
}

pub(super) fn kind(name: &str) -> MemberKind {
    if name.starts_with(char::is_uppercase) { MemberKind::Group } else { MemberKind::User }
}

/// What the tenant is now, as Graph would list it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenant {
    users: BTreeMap<&'static str, (UserFacts, Life)>,
    groups: BTreeMap<&'static str, (GroupFacts, Life)>,
    edges: BTreeSet<(&'static str, &'static str)>,
}

type Life = Presence;

impl Tenant {
    /// Lets something happen; what a delta round tells of it, if it could happen.
    pub(super) fn happen(&mut self, event: &Event) -> Option<Part> {
        let mut part = Part::default();
        match event {
            Event::Account(name, facts) => {
                self.may_be_made(name).then_some(())?;
                self.users.insert(name, (facts.clone(), Presence::Present));
                part.users.insert(id(name), Seen::Present(facts.clone()));
            }
            Event::Group(name, facts) => {
                self.may_be_made(name).then_some(())?;
                self.groups.insert(name, (facts.clone(), Presence::Present));
                self.tell_group(&mut part, name);
            }
            Event::Delete(name, how) => {
                self.is_here(name).then_some(())?;
                let gone = Presence::Gone(*how, Evidence::DeltaTombstone);
                *self.life(name)? = gone;
                self.tell(&mut part, name);
            }
            Event::Restore(name) => {
                let life = self.life(name)?;
                matches!(life, Presence::Gone(Tombstone::Soft, _)).then_some(())?;
                *life = Presence::Present;
                self.tell(&mut part, name);
            }
            Event::Edge(group, member, joins) => {
                (self.is_here(group) && self.is_here(member)).then_some(())?;
                let moved = if *joins {
                    self.edges.insert((group, member))
                } else {
                    self.edges.remove(&(*group, *member))
                };
                moved.then_some(())?;
                let change = changes(BTreeMap::from([(as_member(member), *joins)]));
                part.members.insert(id(group), Members::Changes(change));
            }
        }
        Some(part)
    }

    /// A whole read: what is there, every list to its end, and what a stored object is
    /// buried by if it is not there.
    pub(super) fn everything(&self, stored: &Observed) -> Part {
        let mut part = Part::default();
        let gone = grave(Tombstone::Soft, Evidence::ConfirmedById);
        for id in stored.users.keys() {
            part.users.insert(*id, Seen::Gone(gone));
        }
        for id in stored.groups.keys() {
            part.groups.insert(*id, Seen::Gone(gone));
        }
        for name in self.users.keys().chain(self.groups.keys()).filter(|name| self.is_here(name)) {
            self.tell(&mut part, name);
            if kind(name) == MemberKind::Group {
                part.members.insert(id(name), self.looked_at_twice(name, stored));
            }
        }
        part
    }

    /// A member list, and who is not in it any more by a second look.
    fn looked_at_twice(&self, group: &str, stored: &Observed) -> Members {
        let list = self.list(group);
        let stored = stored.edges.get(&id(group)).into_iter().flatten();
        let left = stored.filter(|member| !list.contains(member));
        let left = left.map(|member| (*member, departure(id(group), *member))).collect();
        Members::Complete { list: whole(list), left }
    }

    /// What is there, without lists or tombstones, and that no list could be read.
    pub(super) fn glimpse(&self) -> Part {
        let mut part = self.everything(&Observed::default());
        part.failed = std::mem::take(&mut part.members).into_keys().collect();
        part
    }

    /// What a read that nobody could finish shows: some of the objects, some of the members.
    pub(super) fn fragment(&self, shown: &[bool]) -> Part {
        let mut shown = shown.iter().copied().cycle();
        let mut is_shown = || shown.next().unwrap_or(false);
        let mut part = self.everything(&Observed::default());
        part.users.retain(|_, _| is_shown());
        part.groups.retain(|_, _| is_shown());
        for members in part.members.values_mut() {
            let Members::Complete { list, .. } = &*members else { continue };
            let list = list.get().iter().copied().filter(|_| is_shown()).collect();
            *members = Members::Complete { list: whole(list), left: BTreeMap::new() };
        }
        part.members.retain(|_, _| is_shown());
        part
    }

    /// A member list: the deleted are not on it.
    fn list(&self, group: &str) -> BTreeSet<Member> {
        let of = self.edges.iter().filter(|(of, member)| *of == group && self.is_here(member));
        of.map(|(_, member)| as_member(member)).collect()
    }

    fn tell(&self, part: &mut Part, name: &str) {
        match kind(name) {
            MemberKind::User => {
                let (facts, life) = &self.users[name];
                part.users.insert(id(name), seen(facts, *life));
            }
            MemberKind::Group => self.tell_group(part, name),
        }
    }

    fn tell_group(&self, part: &mut Part, name: &str) {
        let (facts, life) = &self.groups[name];
        part.groups.insert(id(name), seen(facts, *life));
        // What enters the scope is read by list in that same run.
        if life.is_present() {
            let list = whole(self.list(name));
            part.members.insert(id(name), Members::Complete { list, left: BTreeMap::new() });
        }
    }

    fn may_be_made(&self, name: &str) -> bool {
        self.is_here(name) || !(self.users.contains_key(name) || self.groups.contains_key(name))
    }

    fn is_here(&self, name: &str) -> bool {
        self.users.get(name).is_some_and(|(_, life)| life.is_present())
            || self.groups.get(name).is_some_and(|(_, life)| life.is_present())
    }

    fn life(&mut self, name: &str) -> Option<&mut Life> {
        let user = self.users.get_mut(name).map(|(_, life)| life);
        user.or_else(|| self.groups.get_mut(name).map(|(_, life)| life))
    }
}

fn seen<T: Clone>(facts: &T, life: Life) -> Seen<T> {
    match life {
        Presence::Present => Seen::Present(facts.clone()),
        Presence::Gone(tombstone, evidence) => Seen::Gone(grave(tombstone, evidence)),
    }
}

fn as_member(name: &str) -> Member {
    Member { id: id(name), kind: kind(name) }
}

/// All groups, for policies and links.
pub(super) fn group_ids() -> Vec<ObjectId> {
    GROUPS.map(id).to_vec()
}
