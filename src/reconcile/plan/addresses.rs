//! Who gets which e-mail address.
//!
//! `users.email` is unique, mail in a directory is not (2.8, traps 22 to 24). Everybody
//! asks for its mail first and for its UPN if that is refused. An address goes to whoever
//! has the best right to it: the holder who still claims it, then a first wish before a
//! second one, then a known person before a newcomer, then the lower id. A removed user
//! gives way to all of them; a row made by people to nobody ([`adoption`] apart), and takes
//! nothing from the holder by being spelled in other letter case.
//!
//! Asking goes on until nobody is refused any more (deferred acceptance), so the outcome
//! depends on rights alone and not on the order of asking; swaps and chains fall out of it.

mod adoption;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Draft;
use crate::directory::{ObjectId, fold_case};
use crate::reconcile::placeholder::{Placeholder, is_placeholder};
use crate::reconcile::report::FindingKind;
use crate::reconcile::world::{Identity, State, UserRow};

/// What one user asks for.
pub(super) struct Claim<'w> {
    /// The address it should have.
    pub(super) primary: Option<&'w str>,
    /// What it takes if that is not free: its UPN.
    pub(super) fallback: Option<&'w str>,
    /// Its row, if it has one.
    pub(super) row: Option<&'w UserRow>,
    /// What it may do.
    pub(super) standing: Standing,
    /// Whether it is in scope for the sake of a row made by people alone: it adopts that
    /// row, or gets none.
    pub(super) outsider: bool,
}

/// What somebody may do while addresses are dealt out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// An enabled member account: it may adopt a row made by people.
    Adopts,
    /// A member account not known to be enabled: it waits for such a row, because a
    /// second one would split the person in two.
    Waits,
    /// A guest: it does neither.
    Asks,
    /// Its removal is withheld: it asks for nothing and keeps what it has.
    Keeps,
    /// Removed: it asks for nothing and gives up what it has.
    Yields,
}

impl Standing {
    const fn asks(self) -> bool {
        matches!(self, Self::Adopts | Self::Waits | Self::Asks)
    }
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

/// Who sits on an address and does not ask for one; the strongest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seat {
    /// A removed user, which moves if asked.
    Removed(ObjectId),
    /// A row made by people, or a user that will not move.
    Taken,
}

type Claims<'w> = BTreeMap<ObjectId, Claim<'w>>;

/// Deals the addresses among `claims`; whoever is `purged` leaves its own behind.
pub(super) fn deal<'w>(
    draft: &mut Draft<'w>,
    claims: &Claims<'w>,
    purged: &BTreeSet<ObjectId>,
) -> Dealt {
    let seats = seats(draft, claims, purged);
    let adoption = adoption::settle(draft, claims, purged);
    let mut table =
        Table { claims, seats, dealt: BTreeMap::new(), left: Vec::new(), doubled: BTreeSet::new() };
    table.keep();
    for (id, row) in adoption.adopted {
        let email = claims[&id].primary.unwrap_or(&row.email).to_owned();
        table.dealt.insert(id, Address { email, claimed: None, adopted: Some(row) });
    }
    table.ask(&adoption.waiting);
    for id in &table.doubled {
        draft.raise(FindingKind::AddressConflict, id, DOUBLED);
    }
    let left = table.last_resort();
    for (id, why) in left {
        let (kind, message) = match why {
            Left::Silent => {
                (FindingKind::UserWithoutAddress, "neither mail nor userPrincipalName is set")
            }
            Left::Refused => (
                FindingKind::AddressConflict,
                "its mail and its userPrincipalName are both held by others",
            ),
        };
        draft.raise(kind, &id, message);
    }
    table.finish(draft)
}

/// Other services compare addresses as they are written, or not.
const DOUBLED: &str = "another row has its address in other letter case, so that nobody can tell whose it is; leave one of them";

/// The addresses of those who do not ask for one.
fn seats(
    draft: &Draft<'_>,
    claims: &Claims<'_>,
    purged: &BTreeSet<ObjectId>,
) -> BTreeMap<String, Seat> {
    let people = draft.world.hand_made.iter().map(|made| (&made.row.email, Seat::Taken));
    let known = draft.world.identities.iter().filter(|(id, _)| !purged.contains(id));
    let sitting = known.filter_map(|(id, row)| {
        let removed = match claims.get(id).map(|claim| claim.standing) {
            Some(standing) if standing.asks() => return None,
            Some(standing) => standing == Standing::Yields,
            None => row.state() == State::Removed,
        };
        Some((&row.email, if removed { Seat::Removed(*id) } else { Seat::Taken }))
    });
    let mut seats = BTreeMap::new();
    for (email, seat) in people.chain(sitting) {
        // Other services may have made two of one address by letter case: the stronger counts.
        let strongest = seats.entry(fold_case(email)).or_insert(seat);
        *strongest = seat.max(*strongest);
    }
    seats
}

/// Why somebody is left without what it asked for.
#[derive(Clone, Copy)]
enum Left {
    /// It asks for nothing.
    Silent,
    /// Others have it all.
    Refused,
}

struct Table<'d, 'w> {
    claims: &'d Claims<'w>,
    seats: BTreeMap<String, Seat>,
    dealt: BTreeMap<ObjectId, Address>,
    left: Vec<ObjectId>,
    /// Who keeps an address that another row has in other letter case.
    doubled: BTreeSet<ObjectId>,
}

/// A right to an address; the better one is the smaller.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    stranger: bool,
    wish: usize,
    newcomer: bool,
    id: ObjectId,
}

impl<'w> Table<'_, 'w> {
    /// Those who ask for nothing stay where they are.
    fn keep(&mut self) {
        let keeping = self.claims.iter().filter(|(_, claim)| !claim.standing.asks());
        for (id, row) in keeping.filter_map(|(id, claim)| Some((*id, claim.row?))) {
            let claimed = row.identity.as_ref().and_then(|own| own.claimed_email.clone());
            self.dealt.insert(id, Address { email: row.email.clone(), claimed, adopted: None });
        }
    }

    /// Everybody asks for the first wish; whoever is refused, or displaced by a better
    /// right, asks for the next one.
    fn ask(&mut self, waiting: &BTreeSet<ObjectId>) {
        let adopted: BTreeSet<String> = self
            .dealt
            .values()
            .filter(|a| a.adopted.is_some())
            .map(|a| fold_case(&a.email))
            .collect();
        let open =
            self.claims.keys().filter(|id| !self.dealt.contains_key(id) && !waiting.contains(id));
        let mut asking: VecDeque<(ObjectId, usize)> = open.map(|id| (*id, 0)).collect();
        let mut granted: BTreeMap<String, Right> = BTreeMap::new();
        while let Some((id, wish)) = asking.pop_front() {
            let Some(address) = self.wish(id, wish) else {
                self.left.push(id);
                continue;
            };
            let address = fold_case(address);
            let right = self.right(id, wish, &address);
            let seated = right.stranger && self.seats.get(&address) == Some(&Seat::Taken);
            if seated || adopted.contains(&address) {
                asking.push_back((id, wish + 1));
                continue;
            }
            match granted.get(&address) {
                Some(better) if *better < right => asking.push_back((id, wish + 1)),
                _ => {
                    let displaced = granted.insert(address, right);
                    asking.extend(displaced.map(|right| (right.id, right.wish + 1)));
                }
            }
        }
        for (address, Right { id, wish, .. }) in granted {
            let wished = self.wish(id, wish).expect("only wishes are granted");
            // Who sits there has it in another spelling: possibly in the one that is wished.
            let seated = self.seats.get(&address) == Some(&Seat::Taken);
            let own = self.claims[&id].row.filter(|_| seated);
            self.give(id, own.map_or(wished, |row| &row.email).to_owned());
            if seated {
                self.doubled.insert(id);
            }
        }
        self.left.sort_unstable();
    }

    fn wish(&self, id: ObjectId, wish: usize) -> Option<&'w str> {
        let Claim { primary, fallback, .. } = &self.claims[&id];
        [*primary, *fallback].into_iter().flatten().nth(wish)
    }

    fn right(&self, id: ObjectId, wish: usize, address: &str) -> Right {
        let row = self.claims[&id].row;
        let holds = row.is_some_and(|row| fold_case(&row.email) == address);
        Right { stranger: !holds, wish, newcomer: row.is_none(), id }
    }

    fn give(&mut self, id: ObjectId, email: String) {
        let wished = self.claims[&id].primary;
        let claimed = wished.filter(|wish| fold_case(wish) != fold_case(&email));
        let claimed = claimed.map(str::to_owned);
        self.dealt.insert(id, Address { email, claimed, adopted: None });
    }

    /// Nothing that was asked for is free: a known user keeps what it has or gets a
    /// placeholder, a newcomer gets no row.
    fn last_resort(&mut self) -> Vec<(ObjectId, Left)> {
        let dealt = self.dealt.values();
        let mut taken: BTreeSet<String> = dealt.map(|address| fold_case(&address.email)).collect();
        let left = std::mem::take(&mut self.left);
        let mut why = Vec::new();
        for id in left {
            let claim = &self.claims[&id];
            let silent = claim.primary.is_none() && claim.fallback.is_none();
            why.push((id, if silent { Left::Silent } else { Left::Refused }));
            if let Some(row) = claim.row {
                let keeps = !is_placeholder(&row.email) && taken.insert(fold_case(&row.email));
                let email = if keeps {
                    row.email.clone()
                } else {
                    self.placeholder(Placeholder::Conflict, id)
                };
                self.give(id, email);
            }
        }
        why
    }

    /// Moves the removed users whose address somebody got.
    fn finish(self, draft: &Draft<'_>) -> Dealt {
        let Self { claims, seats, dealt, .. } = &self;
        let asked = dealt.iter().filter(|(id, _)| claims[id].standing.asks());
        let evicted: BTreeSet<ObjectId> = asked
            .filter_map(|(_, address)| match seats.get(&fold_case(&address.email)) {
                Some(Seat::Removed(holder)) => Some(*holder),
                _ => None,
            })
            .collect();
        let (mut moved, mut surrendered) = (BTreeMap::new(), BTreeMap::new());
        for id in evicted {
            let row = &draft.world.identities[&id];
            let email = self.placeholder(Placeholder::Removed, id);
            let claimed = Some(row.email.clone());
            if claims.contains_key(&id) {
                moved.insert(id, Address { email, claimed, adopted: None });
            } else {
                let identity =
                    row.identity.clone().map(|own| Identity { claimed_email: claimed, ..own });
                let updated_at = draft.policy.now;
                surrendered.insert(id, UserRow { email, updated_at, identity, ..row.clone() });
            }
        }
        let mut users = self.dealt;
        users.extend(moved);
        Dealt { users, surrendered }
    }

    /// One that no row has, unless it is this user's.
    fn placeholder(&self, kind: Placeholder, id: ObjectId) -> String {
        let free = |address: &String| match self.seats.get(address) {
            None => true,
            Some(seat) => *seat == Seat::Removed(id),
        };
        let mut addresses = kind.addresses(id);
        addresses.find(free).expect("there are more than rows")
    }
}
