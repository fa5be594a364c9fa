//! Whose the rows are that people made before the directory told of the person.
//!
//! A row is adopted by the one enabled member account whose first wish is its address,
//! or by nobody. Where two accounts wish for it, neither can be told to be the person.

use std::collections::{BTreeMap, BTreeSet};

use super::{Claims, Standing};
use crate::directory::{ObjectId, fold_case};
use crate::reconcile::plan::{Draft, Item};
use crate::reconcile::report::FindingKind;
use crate::reconcile::world::{HandMade, State, UserRow};

/// Who adopts what.
#[derive(Default)]
pub(super) struct Adoption {
    /// Newcomers and the rows they adopt.
    pub(super) adopted: BTreeMap<ObjectId, UserRow>,
    /// Newcomers that get no row until a person, or the directory, has decided.
    pub(super) waiting: BTreeSet<ObjectId>,
}

/// Decides about every row made by people that somebody wishes for.
pub(super) fn settle(
    draft: &mut Draft<'_>,
    claims: &Claims<'_>,
    purged: &BTreeSet<ObjectId>,
) -> Adoption {
    // Two rows may differ in letter case alone, and one of them may be somebody's already.
    let identities = draft.world.identities.iter().filter(|(id, _)| !purged.contains(id));
    let taken: BTreeSet<String> = identities.map(|(_, row)| fold_case(&row.email)).collect();
    let mut rows: BTreeMap<String, Vec<&HandMade>> = BTreeMap::new();
    for made in &draft.world.hand_made {
        rows.entry(fold_case(&made.row.email)).or_default().push(made);
    }
    let wishes = Wishes::new(draft, claims);
    let mut adoption = Adoption::default();
    for (address, rows) in rows {
        let newcomers = wishes.newcomers.get(&address).map_or(&[][..], Vec::as_slice);
        let adopters = newcomers.iter().filter(|id| claims[id].standing == Standing::Adopts);
        let adopters: Vec<ObjectId> = adopters.copied().collect();
        match (adopters.as_slice(), wishes.known.contains(&address)) {
            ([only], false) => {
                let alone = rows.len() == 1 && !taken.contains(&address);
                adopt(draft, &mut adoption, *only, rows[0], alone);
            }
            ([], false) => adoption
                .waiting
                .extend(newcomers.iter().filter(|id| claims[id].standing == Standing::Waits)),
            _ => {
                for id in adopters.iter().filter(|id| claims[id].outsider) {
                    draft.raise(FindingKind::AdoptionWaits, id, SHARED);
                }
            }
        }
    }
    // Who adopts is dealt with already; the other outsiders get no row.
    adoption.waiting.extend(claims.iter().filter(|(_, claim)| claim.outsider).map(|(id, _)| *id));
    adoption
}

/// Why nobody adopts.
const SHARED: &str = "an existing row has the address of several accounts; leave it to one of them";

fn adopt(
    draft: &mut Draft<'_>,
    adoption: &mut Adoption,
    id: ObjectId,
    made: &HandMade,
    alone: bool,
) {
    let why = if !alone {
        "several existing rows match this user's address; leave one of them"
    } else if made.counts() && !draft.may(Item::Adoption(id)) {
        "an existing row with this address is an admin or has product memberships; approve its adoption"
    } else {
        adoption.adopted.insert(id, made.row.clone());
        return;
    };
    adoption.waiting.insert(id);
    draft.raise(FindingKind::AdoptionWaits, &id, why);
}

/// Who wishes first for which address.
struct Wishes {
    /// Newcomers, by address.
    newcomers: BTreeMap<String, Vec<ObjectId>>,
    /// Addresses that an enabled member account with a row holds or wishes for.
    known: BTreeSet<String>,
}

impl Wishes {
    fn new(draft: &Draft<'_>, claims: &Claims<'_>) -> Self {
        let mut newcomers: BTreeMap<String, Vec<ObjectId>> = BTreeMap::new();
        let mut known = BTreeSet::new();
        for (id, claim) in claims {
            let Some(primary) = claim.primary else { continue };
            if claim.row.is_none() {
                newcomers.entry(fold_case(primary)).or_default().push(*id);
            } else if claim.standing == Standing::Adopts {
                known.insert(fold_case(primary));
            }
        }
        let others = draft.world.identities.iter().filter(|(id, _)| !claims.contains_key(id));
        for row in others.map(|(_, row)| row) {
            let Some(identity) = &row.identity else { continue };
            if identity.state == State::Live && !identity.guest {
                known.insert(fold_case(identity.claimed_email.as_ref().unwrap_or(&row.email)));
            }
        }
        Self { newcomers, known }
    }
}
