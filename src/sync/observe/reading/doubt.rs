//! Whether what is shown can be believed: permissions, and properties without values.
//!
//! A lost permission answers 200 and shows null (4.5 of the facts). That is recognised by
//! the whole of a read, never row by row: one name may be null, half of them may not. A
//! stream in doubt keeps its link, so that whatever it said without values is said again
//! when it can be believed; until then what is stored stays.

use std::collections::BTreeMap;

use super::{Reader, Stream, present_ids};
use crate::directory::{Cursor, GroupFacts, ObjectId, Seen, UserFacts};
use crate::reconcile::fold::Part;
use crate::reconcile::world::{ObservedGroup, ObservedUser};
use crate::store::Which;
use crate::sync::Error;

/// Permissions that show a stream; any of them will do.
const SHOW_USERS: &[&str] =
    &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
const SHOW_GROUPS: &[&str] = &[
    "GroupMember.Read.All",
    "GroupMember.ReadWrite.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
/// Mail can be taken away from people; from so many of a read at once it is not.
const MAILS_LOST: usize = 10;
/// One account without a state is one account (trap 32); all of several at once are not.
const STATES_LOST: usize = 2;

/// Which streams were not believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sync::observe) struct Doubt {
    users: bool,
    groups: bool,
}

impl Doubt {
    /// Where the next run starts, and whether it must read everything: a stream in doubt goes
    /// on where it did before; without such a place there is no going on.
    pub(in crate::sync::observe) fn cursor(
        self,
        read: Cursor,
        stored: Option<Cursor>,
    ) -> (Cursor, bool) {
        match stored {
            Some(stored) => {
                let users = if self.users { stored.users } else { read.users };
                let groups = if self.groups { stored.groups } else { read.groups };
                (Cursor { users, groups }, false)
            }
            None => (read, self.users || self.groups),
        }
    }
}

impl Reader<'_> {
    /// Says which permissions the token lacks.
    pub(in crate::sync::observe) fn note_roles(&mut self, roles: Option<&[String]>) {
        let Some(roles) = roles else { return };
        for (stream, any) in [(Stream::Users, SHOW_USERS), (Stream::Groups, SHOW_GROUPS)] {
            if !any.iter().any(|role| roles.iter().any(|have| have == role)) {
                let told = format!(
                    "the token has no permission that shows {0}; grant {1} to the application (App registrations, API permissions) and consent as an administrator",
                    stream.label(),
                    stream.permission()
                );
                self.note_permission(stream.label(), Some(told));
            }
        }
    }

    /// Looks for properties that cannot all have been taken away, and puts what is stored in
    /// their place.
    pub(in crate::sync::observe) async fn mend_properties(&mut self) -> Result<Doubt, Error> {
        let mut doubt = Doubt::default();
        for at in 0..self.parts.len() {
            if looks_blank_users(&self.parts[at]) {
                let ids = present_ids(&self.parts[at].users);
                let stored = self.sync.store.read(move |tx| tx.observed_users(&ids)).await?;
                if lost_users(&self.parts[at], &stored) {
                    doubt.users = true;
                    mend_users(&mut self.parts[at], &stored);
                }
            }
            if looks_blank_groups(&self.parts[at]) {
                let ids = present_ids(&self.parts[at].groups);
                let stored =
                    self.sync.store.read(move |tx| tx.observed_groups(Which::Ids(&ids))).await?;
                if lost_groups(&self.parts[at], &stored) {
                    doubt.groups = true;
                    mend_groups(&mut self.parts[at], &stored);
                }
            }
        }
        let told = [
            (Stream::Users, doubt.users, self.met_users.values().any(|here| *here)),
            (Stream::Groups, doubt.groups, self.met_groups.values().any(|here| *here)),
        ];
        for (stream, doubted, shown) in told {
            if doubted {
                let told = format!(
                    "{} come without values that they had, which is what a lost permission looks like; grant {} to the application (App registrations, API permissions) and consent as an administrator. What is stored stays as it is meanwhile",
                    stream.label(),
                    stream.permission()
                );
                self.note_permission(stream.label(), Some(told));
            } else if shown {
                self.note_permission(stream.label(), None);
            }
        }
        Ok(doubt)
    }
}

fn present<T>(objects: &BTreeMap<ObjectId, Seen<T>>) -> impl Iterator<Item = &T> {
    objects.values().filter_map(|seen| match seen {
        Seen::Present(facts) => Some(facts),
        Seen::Gone(_) => None,
    })
}

/// A property of users, for whoever wants to know whether it is there.
type Property = fn(&UserFacts) -> bool;

const NAME: Property = |facts| facts.display_name.is_some();
const UPN: Property = |facts| facts.upn.is_some();
const MAIL: Property = |facts| facts.mail.is_some();
const ENABLED: Property = |facts| facts.enabled.is_some();

fn is_blank(facts: &UserFacts) -> bool {
    !NAME(facts) && !UPN(facts) && !MAIL(facts) && facts.enabled.is_none()
}

/// Whether half of the users lack a property: cheap, and false in any ordinary read.
fn looks_blank_users(part: &Part) -> bool {
    let half = |lacks: &dyn Fn(&UserFacts) -> bool| {
        let (mut lacking, mut all) = (0, 0);
        for facts in present(&part.users) {
            all += 1;
            lacking += usize::from(lacks(facts));
        }
        all > 0 && lacking * 2 >= all
    };
    half(&is_blank) || [NAME, UPN, MAIL, ENABLED].iter().any(|has| half(&|facts| !has(facts)))
}

/// Whether so many lack what they had, as nobody would take it from them.
fn lost_users(part: &Part, stored: &BTreeMap<ObjectId, ObservedUser>) -> bool {
    let lost = |has: Property| {
        let (mut lost, mut kept) = (0, 0);
        for (id, seen) in &part.users {
            let Seen::Present(facts) = seen else { continue };
            if has(facts) {
                kept += 1;
            } else if stored.get(id).is_some_and(|user| has(&user.facts)) {
                lost += 1;
            }
        }
        (lost, lost > 0 && lost >= kept)
    };
    // Azure AD cannot clear the first two; mail it can, and a state may be null (trap 32).
    let (mails, most_mails) = lost(MAIL);
    let (states, most_states) = lost(ENABLED);
    let blank = part.users.iter().filter(|(id, seen)| {
        let was_blank = stored.get(id).is_some_and(|user| is_blank(&user.facts));
        matches!(seen, Seen::Present(facts) if is_blank(facts)) && !was_blank
    });
    lost(NAME).1
        || lost(UPN).1
        || (most_states && states >= STATES_LOST)
        || (most_mails && mails >= MAILS_LOST)
        || blank.count() * 2 >= present(&part.users).count()
}

/// Stored values for those that are missing; who is new and shows nothing is not taken in.
fn mend_users(part: &mut Part, stored: &BTreeMap<ObjectId, ObservedUser>) {
    part.users.retain(|id, seen| {
        let Seen::Present(facts) = seen else { return true };
        match stored.get(id) {
            Some(ObservedUser { facts: was, .. }) => {
                let UserFacts { display_name, upn, mail, enabled, guest } = was.clone();
                facts.display_name = facts.display_name.take().or(display_name);
                facts.upn = facts.upn.take().or(upn);
                facts.mail = facts.mail.take().or(mail);
                facts.enabled = facts.enabled.or(enabled);
                facts.guest = facts.guest.or(guest);
                true
            }
            None => !is_blank(facts),
        }
    });
}

fn looks_blank_groups(part: &Part) -> bool {
    let nameless = present(&part.groups).filter(|facts| facts.display_name.is_none()).count();
    nameless > 0 && nameless * 2 >= present(&part.groups).count()
}

/// A group's name is required and cannot be cleared ("group" resource page).
fn lost_groups(part: &Part, stored: &BTreeMap<ObjectId, ObservedGroup>) -> bool {
    let lost = part.groups.iter().filter(|(id, seen)| {
        let had = stored.get(id).is_none_or(|group| group.facts.display_name.is_some());
        matches!(seen, Seen::Present(facts) if facts.display_name.is_none()) && had
    });
    let lost = lost.count();
    lost > 0 && lost * 2 >= present(&part.groups).count()
}

fn mend_groups(part: &mut Part, stored: &BTreeMap<ObjectId, ObservedGroup>) {
    part.groups.retain(|id, seen| {
        let Seen::Present(facts) = seen else { return true };
        match stored.get(id) {
            Some(ObservedGroup { facts: was, .. }) => {
                let GroupFacts { display_name, hidden_membership } = was.clone();
                facts.display_name = facts.display_name.take().or(display_name);
                facts.hidden_membership |= hidden_membership;
                true
            }
            None => facts.display_name.is_some(),
        }
    });
}
