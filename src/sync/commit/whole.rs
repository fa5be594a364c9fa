//! The plan that the guard judges.

use std::collections::{BTreeMap, BTreeSet};

use crate::reconcile::guard::{self, Cost, Held};
use crate::reconcile::plan::{Consent, Item, Plan, plan};
use crate::reconcile::world::{Policy, World};

/// A plan with every consent that there is.
pub(super) struct Whole {
    /// The plan.
    pub(super) plan: Plan,
    /// The same without what waits, if anything does.
    pub(super) apart: Option<Plan>,
    /// Who would gain by each decision that is open.
    pub(super) gains: BTreeMap<Item, Cost>,
}

/// Plans everything but what people refused. A decision that would give more than its plan
/// said waits for another word.
pub(super) fn plan_whole(
    world: &World,
    policy: &Policy,
    held: &Held,
    rejected: &BTreeSet<Item>,
) -> Whole {
    let consent = |decisions: &BTreeSet<Item>| {
        plan(world, policy, Consent::removals_and(decisions).refusing(rejected))
    };
    let mut decisions = guard::approved_decisions(held, world);
    let mut whole = consent(&decisions);
    let gains = gains(&whole, &decisions, world, consent);
    let outgrown = guard::outgrown(held, &gains);
    if !outgrown.is_empty() {
        decisions.retain(|item| !outgrown.contains(item));
        whole = consent(&decisions);
    }
    let waiting = guard::waiting(held);
    let apart = (!waiting.is_empty()).then(|| {
        let consent = Consent::removals_and(&decisions).refusing(rejected);
        plan(world, policy, consent.deferring(&waiting))
    });
    Whole { plan: whole, apart, gains }
}

/// Nobody rebinds a name on most days: then this plans nothing.
fn gains(
    whole: &Plan,
    decisions: &BTreeSet<Item>,
    world: &World,
    consent: impl Fn(&BTreeSet<Item>) -> Plan,
) -> BTreeMap<Item, Cost> {
    let rebinds = |item: &&Item| matches!(item, Item::Rebinding(..));
    let open = whole.taken.union(&whole.withheld).filter(rebinds);
    let mut told: BTreeSet<Item> = open.cloned().collect();
    if told.is_empty() {
        return BTreeMap::new();
    }
    let others: BTreeSet<Item> = decisions.iter().filter(|item| !rebinds(item)).cloned().collect();
    told.extend(others.iter().cloned());
    guard::gains_by_binding(&consent(&told), &consent(&others), world)
}
