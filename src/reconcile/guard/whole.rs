//! The plan that the guard judges: everything that could be done, whatever becomes of it.
//!
//! Owns what it may take for granted: that nobody does what was refused, and that nothing
//! is lost yet by what waits. Must not hold anything; that is the judge's.

use std::collections::{BTreeMap, BTreeSet};

use super::binding::{gains_by_binding, outgrown};
use super::demand::{approved_decisions, waiting};
use super::{Cost, Held};
use crate::reconcile::plan::{Consent, Item, Plan, plan};
use crate::reconcile::world::{Policy, World};

/// A plan with every consent that there is.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    /// The plan.
    pub plan: Plan,
    /// The same without what waits, if anything does: what that would take is told when
    /// somebody says yes to it.
    pub(super) apart: Option<Plan>,
    /// Who would gain by each decision that is open.
    pub(super) gains: BTreeMap<Item, Cost>,
}

impl Whole {
    /// Plans everything but what is `rejected`. A decision that would give more than its plan
    /// said waits for another word.
    pub fn plan(world: &World, policy: &Policy, held: &Held, rejected: &BTreeSet<Item>) -> Self {
        let consent = |decisions: &BTreeSet<Item>| {
            plan(world, policy, Consent::removals_and(decisions).refusing(rejected))
        };
        let mut decisions = approved_decisions(held, world);
        let mut whole = consent(&decisions);
        let gains = gains(&whole, (&decisions, rejected), world, consent);
        let outgrown = outgrown(held, &gains);
        if !outgrown.is_empty() {
            decisions.retain(|item| !outgrown.contains(item));
            whole = consent(&decisions);
        }
        let waiting = waiting(held);
        let apart = (!waiting.is_empty()).then(|| {
            let consent = Consent::removals_and(&decisions).refusing(rejected);
            plan(world, policy, consent.deferring(&waiting))
        });
        Self { plan: whole, apart, gains }
    }

    /// What comes to pass before anybody says more.
    pub(super) fn apart(&self) -> &Plan {
        self.apart.as_ref().unwrap_or(&self.plan)
    }
}

/// Nobody rebinds a name on most days: then this plans nothing.
fn gains(
    whole: &Plan,
    (decisions, rejected): (&BTreeSet<Item>, &BTreeSet<Item>),
    world: &World,
    consent: impl Fn(&BTreeSet<Item>) -> Plan,
) -> BTreeMap<Item, Cost> {
    let rebinds = |item: &&Item| matches!(item, Item::Rebinding(..));
    let open = whole.taken.union(&whole.withheld).filter(rebinds);
    let mut told: BTreeSet<Item> = open.filter(|item| !rejected.contains(*item)).cloned().collect();
    if told.is_empty() {
        return BTreeMap::new();
    }
    let others: BTreeSet<Item> = decisions.iter().filter(|item| !rebinds(item)).cloned().collect();
    told.extend(others.iter().cloned());
    gains_by_binding(&consent(&told), &consent(&others), world)
}
