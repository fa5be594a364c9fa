//! Which people the platform sees, in which state and role.
//!
//! Addresses are dealt out in [`super::addresses`], because one person's may depend
//! on everybody else's.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::addresses::{self, Address, Claim, Standing};
use super::admins;
use super::closure::Closure;
use super::groups::Groups;
use super::registry::single_bearers;
use super::{Change, Draft, Item};
use crate::directory::{Evidence, ObjectId, fold_case};
use crate::reconcile::report::FindingKind;
use crate::reconcile::world::{
    HandMade, Identity, ObservedUser, Policy, Presence, Role, State, UserRow, claims,
    fallback_address, preferred_address,
};

/// The findings that this step looks at, one subject a user.
const FINDINGS: &[FindingKind] =
    &[FindingKind::UserWithoutAddress, FindingKind::AddressConflict, FindingKind::AdoptionWaits];

/// The rows of the people in play, after this plan.
pub(super) struct Users<'w> {
    /// Borrowed where nothing changes: a full run looks at everybody.
    after: BTreeMap<ObjectId, Option<Cow<'w, UserRow>>>,
    purged: BTreeSet<ObjectId>,
    effective: usize,
}

impl Users<'_> {
    /// The row of an affected user: `None` if it has none or is purged.
    pub(super) fn row(&self, id: ObjectId) -> Option<&UserRow> {
        self.after.get(&id).and_then(Option::as_deref)
    }

    /// Every affected user that has a row.
    pub(super) fn rows(&self) -> impl Iterator<Item = (ObjectId, &UserRow)> {
        self.after.iter().filter_map(|(id, row)| Some((*id, row.as_deref()?)))
    }

    /// Whether the user goes for good in this plan.
    pub(super) fn is_purged(&self, id: ObjectId) -> bool {
        self.purged.contains(&id)
    }

    /// How many effective memberships the affected users have, whether or not they get rows.
    pub(super) const fn effective(&self) -> usize {
        self.effective
    }

    /// Hands the changed rows over to the plan: the last thing done with them, so that
    /// none is held twice.
    pub(super) fn note_changes(self, draft: &mut Draft<'_>) {
        let world = draft.world;
        let made_by_hand: BTreeMap<i32, &UserRow> =
            world.hand_made.iter().filter_map(|made| Some((made.row.id?, &made.row))).collect();
        let changed = self.after.values().filter(|row| !matches!(row, Some(Cow::Borrowed(_))));
        draft.plan.users.reserve(changed.count());
        for (id, row) in self.after {
            let own = world.identities.get(&id);
            let (before, after) = match row {
                Some(Cow::Borrowed(_)) => continue,
                Some(Cow::Owned(row)) => {
                    (own.or_else(|| made_by_hand.get(&row.id?).copied()), Some(row))
                }
                None => (own, None),
            };
            if before == after.as_ref() {
                continue;
            }
            let evidence = match (world.users.get(&id).map(|user| user.presence), &after) {
                (_, None) => Some(Evidence::ConfirmedById),
                (Some(Presence::Gone(_, evidence)), Some(_)) => Some(evidence),
                // Disabled or enabled: `accountEnabled` says so.
                (_, Some(after)) => {
                    let was = before.filter(|row| row.identity.is_some());
                    was.filter(|row| row.state() != after.state()).map(|_| Evidence::Shown)
                }
            };
            let before = before.cloned();
            draft.plan.users.push(Change { key: id, before, after, evidence });
        }
    }
}

/// A user on the way to its row.
struct Candidate<'w> {
    seen: &'w ObservedUser,
    before: Option<&'w UserRow>,
    state: State,
    role: (Role, bool),
    outsider: bool,
}

/// Plans the affected users.
pub(super) fn decide<'w>(
    draft: &mut Draft<'w>,
    groups: &Groups,
    closure: &Closure<'_>,
) -> Users<'w> {
    let world = draft.world;
    let may_take_roles = admins::may_take_roles(draft);
    let mut purged = BTreeSet::new();
    let mut effective = 0;
    let mut after: BTreeMap<ObjectId, Option<Cow<'w, UserRow>>> = BTreeMap::new();
    let mut candidates: BTreeMap<ObjectId, Candidate<'_>> = BTreeMap::new();
    let mut by_hand = ByHand::new(&world.hand_made);
    let mut left: Vec<(ObjectId, &ObservedUser)> = Vec::new();
    let owners = single_bearers(world);
    for id in &world.affected_users {
        let before = world.identities.get(id);
        after.insert(*id, before.map(Cow::Borrowed));
        draft.evaluate(FINDINGS, id);
        let Some(seen) = world.users.get(id) else { continue };
        let above = closure.of(*id);
        let named = |group: &&ObjectId| draft.policy.admin_groups.contains(group);
        let may_tell = may_take_roles && !draft.policy.admin_groups.is_empty();
        let is_above = |group: &ObjectId| groups.state(*group) == Some(State::Live);
        let stays_admin = !may_tell || above.iter().filter(named).any(is_above);
        if !may_tell && before.is_some_and(is_admin_of_ours) {
            draft.plan.undecided.insert(Item::Role(*id));
        }
        if purge(draft, *id, seen, before) {
            // A role that ends anyway is a thing of its own, should the purge have to wait.
            role(draft, *id, before, (false, stays_admin));
            purged.insert(*id);
            after.insert(*id, None);
            continue;
        }
        effective += above.len();
        let becomes_admin =
            closure.given(*id, &above).iter().filter(named).any(|g| groups.lasts(*g));
        let is_member = !draft.policy.members_only || !above.is_empty() || owners.contains(id);
        if has_left(seen) && by_hand.gives(seen) {
            left.push((*id, seen));
        }
        let outsider = before.is_none() && !is_member && by_hand.row_of(seen).is_some();
        if let Some(state) = state(draft, *id, seen, before, is_member || outsider) {
            let role = role(draft, *id, before, (becomes_admin && draft.lasts(*id), stays_admin));
            candidates.insert(*id, Candidate { seen, before, state, role, outsider });
        }
    }
    let claims = candidates.iter().map(|(id, candidate)| (*id, claim(candidate))).collect();
    let mut addresses = addresses::deal(draft, &claims, &purged);
    by_hand.give(addresses.users.values().filter_map(|address| address.adopted.as_ref()));
    for (id, seen) in left {
        if by_hand.gives(seen) {
            draft.raise(FindingKind::AdoptionWaits, &id, LEFT_BEHIND);
        }
    }
    for (id, candidate) in &candidates {
        if let Some(address) = addresses.users.remove(id) {
            let row = row(*id, candidate, address, draft.policy);
            if candidate.before != Some(&row) {
                after.insert(*id, Some(Cow::Owned(row)));
            }
        }
    }
    for (id, row) in addresses.surrendered {
        after.insert(id, Some(Cow::Owned(row)));
    }
    Users { after, purged, effective }
}

/// Rows made by people, by folded address.
struct ByHand(BTreeMap<String, Weight>);

/// What hangs on a row made by people; the greater of two rows with one address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Nothing,
    /// Role `admin` or product memberships.
    Counts,
}

impl ByHand {
    fn new(rows: &[HandMade]) -> Self {
        let mut by_address = BTreeMap::new();
        for made in rows {
            let weight = if made.counts() { Weight::Counts } else { Weight::Nothing };
            let known = by_address.entry(fold_case(&made.row.email)).or_insert(weight);
            *known = weight.max(*known);
        }
        Self(by_address)
    }

    /// Takes out what is somebody's from now on.
    fn give<'r>(&mut self, adopted: impl Iterator<Item = &'r UserRow>) {
        for row in adopted {
            self.0.remove(&fold_case(&row.email));
        }
    }

    /// The row that may be this user's; never a guest's.
    fn row_of(&self, seen: &ObservedUser) -> Option<Weight> {
        if self.0.is_empty() || seen.facts.is_guest() {
            return None;
        }
        self.0.get(&fold_case(preferred_address(&seen.facts)?)).copied()
    }

    /// Whether a row with any address of this user, who is no guest, gives access.
    fn gives(&self, seen: &ObservedUser) -> bool {
        let counts = |address: String| self.0.get(&address) == Some(&Weight::Counts);
        !self.0.is_empty() && !seen.facts.is_guest() && claims(&seen.facts).any(counts)
    }
}

/// Whether the person is known to have left: unknown is not.
fn has_left(seen: &ObservedUser) -> bool {
    !seen.presence.is_present() || seen.facts.enabled == Some(false)
}

/// A row that nobody may adopt any more, and that still gives access.
const LEFT_BEHIND: &str = "the account is disabled or deleted, but an existing row with its address is an admin or has product memberships, and keeps them; take them away by hand";

/// Whether the user goes for good in this plan.
fn purge(
    draft: &mut Draft<'_>,
    id: ObjectId,
    seen: &ObservedUser,
    before: Option<&UserRow>,
) -> bool {
    let gone =
        !seen.presence.is_present() && before.is_some_and(|row| row.state() == State::Removed);
    let asked = draft.world.purge_users.get(&id).copied();
    draft.may_purge(gone, asked, Item::UserPurge(id)) == Some(true)
}

/// The state that the user should have, or `None` where it has no row and gets none.
fn state(
    draft: &mut Draft<'_>,
    id: ObjectId,
    seen: &ObservedUser,
    before: Option<&UserRow>,
    in_scope: bool,
) -> Option<State> {
    let stored = before.map(UserRow::state);
    let state = match (seen.presence, seen.facts.enabled) {
        (Presence::Gone(..), _) => State::Removed,
        (Presence::Present, Some(true)) => State::Live,
        (Presence::Present, Some(false)) => State::Disabled,
        // Unknown changes nothing; a new user is not live (trap 32).
        (Presence::Present, None) => stored.unwrap_or(State::Disabled),
    };
    match stored {
        None => {
            let policy = draft.policy;
            let wanted = state != State::Removed
                && (policy.include_guests || !seen.facts.is_guest())
                && (policy.include_disabled || state == State::Live)
                && in_scope;
            wanted.then_some(state)
        }
        Some(State::Live) if state != State::Live && !draft.may(Item::User(id)) => {
            Some(State::Live)
        }
        Some(_) => Some(state),
    }
}

fn is_admin_of_ours(row: &UserRow) -> bool {
    let granted = row.identity.as_ref().is_some_and(|identity| identity.admin_granted);
    row.role == Role::Admin && granted
}

/// The role, and whether it is the daemon's to take back.
fn role(
    draft: &mut Draft<'_>,
    id: ObjectId,
    before: Option<&UserRow>,
    (becomes_admin, stays_admin): (bool, bool),
) -> (Role, bool) {
    let had = before.map_or(Role::User, |row| row.role);
    let granted =
        before.and_then(|row| row.identity.as_ref()).is_some_and(|identity| identity.admin_granted);
    if draft.policy.admin_groups.is_empty() {
        return (had, granted);
    }
    match (had, granted) {
        (Role::User, _) if becomes_admin => (Role::Admin, true),
        (Role::Admin, true) if !stays_admin && draft.may(Item::Role(id)) => (Role::User, false),
        // People took it back meanwhile.
        (Role::User, true) => (Role::User, false),
        _ => (had, granted),
    }
}

/// What the user asks for when addresses are dealt out.
fn claim<'w>(candidate: &Candidate<'w>) -> Claim<'w> {
    let Candidate { seen, before, state, outsider, .. } = candidate;
    let standing = match state {
        State::Removed => Standing::Yields,
        _ if !seen.presence.is_present() => Standing::Keeps,
        _ if seen.facts.is_guest() => Standing::Asks,
        State::Live => Standing::Adopts,
        State::Disabled => Standing::Waits,
    };
    Claim {
        primary: preferred_address(&seen.facts),
        fallback: fallback_address(&seen.facts),
        row: *before,
        standing,
        outsider: *outsider,
    }
}

/// The row that follows from a candidate and the address dealt to it.
fn row(id: ObjectId, candidate: &Candidate<'_>, address: Address, policy: &Policy) -> UserRow {
    let Candidate { seen, before, state, role: (role, admin_granted), outsider: _ } = candidate;
    let was = before.cloned().or(address.adopted);
    let removed_at = match state {
        State::Removed => was
            .as_ref()
            .and_then(|row| row.identity.as_ref())
            .and_then(|identity| identity.removed_at)
            .or(Some(policy.removed_at)),
        _ => None,
    };
    let observed_name = seen.facts.display_name.as_deref().filter(|_| seen.presence.is_present());
    let name = match (observed_name, &was) {
        (Some(name), _) => name.to_owned(),
        (None, Some(row)) => row.name.clone(),
        (None, None) => address.email.clone(),
    };
    let mut row = UserRow {
        id: was.as_ref().and_then(|row| row.id),
        email: address.email,
        name,
        role: match &was {
            // Being adopted never costs a role.
            Some(adopted) if before.is_none() && adopted.role == Role::Admin => Role::Admin,
            _ => *role,
        },
        created_at: was.as_ref().map_or(policy.now, |row| row.created_at),
        updated_at: policy.now,
        identity: Some(Identity {
            object_id: id,
            state: *state,
            guest: seen.facts.is_guest(),
            claimed_email: address.claimed,
            admin_granted: *admin_granted,
            removed_at,
        }),
    };
    if let Some(was) = was
        && (&was.email, &was.name, was.role) == (&row.email, &row.name, row.role)
    {
        row.updated_at = was.updated_at;
    }
    row
}
