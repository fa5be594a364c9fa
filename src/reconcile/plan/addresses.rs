//! Who gets which e-mail address.
//!
//! `users.email` is unique, mail in a directory is not (2.8, traps 22 to 24). Rules:
//! the holder keeps an address it still claims; a first claim beats a fallback; a
//! removed user gives its address up to a live claimant; a row made by people is
//! adopted by exactly one enabled member account, or not at all.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use crate::directory::{ObjectId, fold_case};
use crate::reconcile::report::FindingKind;
use crate::reconcile::world::{HandMade, Role, State, UserRow};

/// What one user asks for.
pub(super) struct Claim<'w> {
    /// The address it should have.
    pub(super) primary: Option<&'w str>,
    /// What it takes if that is not free: its UPN.
    pub(super) fallback: Option<&'w str>,
    /// Its row, if it has one.
    pub(super) row: Option<&'w UserRow>,
    /// Claims nothing and keeps what it has: it is gone, or its removal is withheld.
    pub(super) keeps: bool,
    /// Ends as removed, so a live claimant may have its address.
    pub(super) removed: bool,
    /// An enabled member account, which may adopt a row made by people.
    pub(super) adopts: bool,
    /// A guest never adopts and never waits to.
    pub(super) guest: bool,
}

/// What one user gets.
pub(super) struct Address {
    /// The address.
    pub(super) email: String,
    /// The address it would have, were it free.
    pub(super) claimed: Option<String>,
    /// The row it adopts with it.
    pub(super) adopted: Option<UserRow>,
}

/// The outcome of dealing.
pub(super) struct Dealt {
    /// By user; a user that is missing gets no row, or keeps the one it has.
    pub(super) users: BTreeMap<ObjectId, Address>,
    /// Removed users outside the claimants that gave their address up.
    pub(super) surrendered: BTreeMap<ObjectId, UserRow>,
}

/// Who sits on an address while dealing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// A user that will not move.
    Fixed,
    /// A removed user, which moves if asked.
    Removed(ObjectId),
    /// A row made by people.
    People,
}

struct Table<'d, 'w> {
    draft: &'d mut Draft<'w>,
    claims: &'d BTreeMap<ObjectId, Claim<'w>>,
    seats: BTreeMap<String, Holder>,
    adopters: BTreeMap<String, Vec<ObjectId>>,
    dealt: BTreeMap<ObjectId, Address>,
    evicted: BTreeSet<ObjectId>,
    /// Users that wait for a person: no row, whatever else is free.
    waiting: BTreeSet<ObjectId>,
}

/// Deals the addresses.
pub(super) fn deal<'w>(draft: &mut Draft<'w>, claims: &BTreeMap<ObjectId, Claim<'w>>) -> Dealt {
    let seats = seats(draft, claims);
    let adopters = adopters(claims);
    let mut table = Table {
        draft,
        claims,
        seats,
        adopters,
        dealt: BTreeMap::new(),
        evicted: BTreeSet::new(),
        waiting: BTreeSet::new(),
    };
    table.holders_keep();
    // Those with a row before newcomers: who is known does not move for a stranger.
    for newcomers in [false, true] {
        table.round(newcomers, |claim| claim.primary);
    }
    for newcomers in [false, true] {
        table.round(newcomers, |claim| claim.fallback);
    }
    table.last_resort();
    table.finish()
}

/// The addresses that are taken by somebody who does not take part in the dealing.
fn seats(draft: &Draft<'_>, claims: &BTreeMap<ObjectId, Claim<'_>>) -> BTreeMap<String, Holder> {
    let mut seats = BTreeMap::new();
    for made in &draft.world.hand_made {
        seats.insert(fold_case(&made.row.email), Holder::People);
    }
    for (id, row) in &draft.world.identities {
        let holder = match claims.get(id) {
            Some(claim) if claim.removed => Holder::Removed(*id),
            Some(claim) if claim.keeps => Holder::Fixed,
            Some(_) => continue,
            None if row.state() == State::Removed => Holder::Removed(*id),
            None => Holder::Fixed,
        };
        seats.insert(fold_case(&row.email), holder);
    }
    seats
}

/// Enabled member accounts without a row, by the address they claim first.
fn adopters(claims: &BTreeMap<ObjectId, Claim<'_>>) -> BTreeMap<String, Vec<ObjectId>> {
    let mut adopters: BTreeMap<String, Vec<ObjectId>> = BTreeMap::new();
    for (id, claim) in claims {
        if let Some(primary) = claim.primary
            && claim.adopts
            && claim.row.is_none()
        {
            adopters.entry(fold_case(primary)).or_default().push(*id);
        }
    }
    adopters
}

impl<'w> Table<'_, 'w> {
    fn holders_keep(&mut self) {
        for (id, claim) in self.claims {
            let Some(row) = claim.row else { continue };
            if claim.keeps {
                let claimed =
                    row.identity.as_ref().and_then(|identity| identity.claimed_email.clone());
                self.dealt
                    .insert(*id, Address { email: row.email.clone(), claimed, adopted: None });
            } else if let Some(primary) = claim.primary
                && fold_case(primary) == fold_case(&row.email)
            {
                self.give(*id, primary, None);
            }
        }
    }

    fn round(&mut self, newcomers: bool, wish: impl Fn(&Claim<'w>) -> Option<&'w str>) {
        for (id, claim) in self.claims {
            let open = !self.dealt.contains_key(id) && !self.waiting.contains(id);
            if open
                && claim.row.is_none() == newcomers
                && let Some(address) = wish(claim)
            {
                self.try_give(*id, claim, address);
            }
        }
    }

    fn try_give(&mut self, id: ObjectId, claim: &Claim<'w>, address: &str) {
        match self.seats.get(&fold_case(address)) {
            None => self.give(id, address, None),
            Some(Holder::Removed(holder)) => {
                self.evicted.insert(*holder);
                self.give(id, address, None);
            }
            Some(Holder::Fixed) => {}
            Some(Holder::People) if claim.row.is_none() && !claim.guest => {
                self.adopt(id, claim, address);
            }
            Some(Holder::People) => {}
        }
    }

    /// A row made by people is on the address that a newcomer claims.
    fn adopt(&mut self, id: ObjectId, claim: &Claim<'w>, address: &str) {
        let folded = fold_case(address);
        let rows: Vec<&HandMade> = self
            .draft
            .world
            .hand_made
            .iter()
            .filter(|made| fold_case(&made.row.email) == folded)
            .collect();
        let adopters = self.adopters.get(&folded).map_or(&[][..], Vec::as_slice);
        if !claim.adopts {
            // The same person, disabled: a second row would split it in two. It waits.
            self.waiting.insert(id);
        } else if let ([made], [only]) = (rows.as_slice(), adopters)
            && *only == id
        {
            if made.row.role == Role::Admin || made.has_products {
                self.wait(id, "an existing row with this address is an admin or has product memberships; approve its adoption");
            } else {
                let row = made.row.clone();
                self.give(id, address, Some(row));
            }
        } else if rows.len() > 1 {
            self.wait(id, "several existing rows match this user's address; leave one of them");
        }
    }

    fn wait(&mut self, id: ObjectId, why: &str) {
        self.waiting.insert(id);
        self.draft.raise(FindingKind::AdoptionWaits, id, why);
    }

    fn give(&mut self, id: ObjectId, address: &str, adopted: Option<UserRow>) {
        self.seats.insert(fold_case(address), Holder::Fixed);
        let wished = self.claims.get(&id).and_then(|claim| claim.primary);
        let claimed =
            wished.filter(|wish| fold_case(wish) != fold_case(address)).map(str::to_owned);
        self.dealt.insert(id, Address { email: address.to_owned(), claimed, adopted });
    }

    /// Nothing that was claimed is free: a known user keeps what it has or gets a
    /// placeholder, a newcomer gets no row.
    fn last_resort(&mut self) {
        for (id, claim) in self.claims {
            if self.dealt.contains_key(id) || self.waiting.contains(id) {
                continue;
            }
            if claim.primary.is_none() && claim.fallback.is_none() {
                let why = "neither mail nor userPrincipalName is set";
                self.draft.raise(FindingKind::UserWithoutAddress, id, why);
            } else {
                let why = "its mail and its userPrincipalName are both held by others";
                self.draft.raise(FindingKind::AddressConflict, id, why);
            }
            if let Some(row) = claim.row {
                let current = fold_case(&row.email);
                let free =
                    !matches!(self.seats.get(&current), Some(Holder::Fixed | Holder::People));
                let email = if free { row.email.clone() } else { format!("{id}@conflict.invalid") };
                self.give(*id, &email, None);
            }
        }
    }

    fn finish(self) -> Dealt {
        let Self { draft, claims, mut dealt, evicted, .. } = self;
        let mut surrendered = BTreeMap::new();
        for id in evicted {
            let row = &draft.world.identities[&id];
            let email = placeholder(id);
            if claims.contains_key(&id) {
                let claimed = Some(row.email.clone());
                dealt.insert(id, Address { email, claimed, adopted: None });
            } else {
                let mut row = row.clone();
                if let Some(identity) = &mut row.identity {
                    identity.claimed_email = Some(row.email);
                }
                row.email = email;
                row.updated_at = draft.policy.now;
                surrendered.insert(id, row);
            }
        }
        Dealt { users: dealt, surrendered }
    }
}

/// The address of a removed user that gave its own up.
fn placeholder(id: ObjectId) -> String {
    format!("{id}@removed.invalid")
}
