//! What a run tells people besides its changes: plans that wait, growth, and what reading met.
//!
//! Owns the wording and when such a finding is over. Findings about objects are planning's.

use std::collections::BTreeMap;

use crate::reconcile::guard::Verdict;
use crate::reconcile::plan::Plan;
use crate::reconcile::report::FindingKind;
use crate::store::{self, StoredPlan, Tx};

type Findings = BTreeMap<(FindingKind, String), String>;

/// Findings about plans: those that wait, those that were rejected, and growth.
pub(super) fn note_plans(
    tx: &mut Tx<'_>,
    plan: &mut Plan,
    open: &Findings,
    verdict: &Verdict,
    everything: bool,
) -> Result<(), store::Error> {
    const ABOUT_PLANS: [FindingKind; 2] =
        [FindingKind::RemovalsHeld, FindingKind::RemovalsRejected];
    let mut told = Findings::new();
    if open.keys().any(|(kind, _)| ABOUT_PLANS.contains(kind)) || !verdict.held.is_empty() {
        for stored in tx.plans(false)? {
            let (kind, message) = match stored.status.as_str() {
                "pending" => (FindingKind::RemovalsHeld, held_message(&stored)),
                "rejected" => (FindingKind::RemovalsRejected, rejected_message(&stored)),
                _ => continue,
            };
            told.insert((kind, stored.hash), message);
        }
    }
    for (product, (people, gained)) in &verdict.surges {
        let message = format!(
            "{gained} people gained it in one run, where {people} or more had it; guard.gain_percent calls that much"
        );
        told.insert((FindingKind::AccessSurge, product.clone()), message);
    }
    // Growth is an event: it is told until the next full run.
    let over = |kind: FindingKind| {
        ABOUT_PLANS.contains(&kind) || (everything && kind == FindingKind::AccessSurge)
    };
    let ended = open.keys().filter(|key| over(key.0) && !told.contains_key(*key));
    plan.resolved.extend(ended.cloned());
    plan.raised.extend(told.into_iter().filter(|(key, message)| open.get(key) != Some(message)));
    Ok(())
}

fn held_message(stored: &StoredPlan) -> String {
    format!(
        "{}; see `nexus-dirsync plans show {}`, then approve or reject it",
        stored.header.reasons.join("; "),
        short(&stored.hash)
    )
}

fn rejected_message(stored: &StoredPlan) -> String {
    format!(
        "rejected by {}: {}; the directory still asks for it, so it stays until the directory changes",
        stored.decided_by.as_deref().unwrap_or("somebody"),
        stored.reason.as_deref().unwrap_or("no reason given"),
    )
}

/// As much of a hash as people type.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Findings about reading: open with a message, or over.
pub(super) fn note_reading(
    plan: &mut Plan,
    open: &Findings,
    notes: BTreeMap<(FindingKind, String), Option<String>>,
) {
    for (key, message) in notes {
        let known = open.get(&key);
        match message {
            Some(message) if known != Some(&message) => {
                plan.raised.insert(key, message);
            }
            None if known.is_some() => {
                plan.resolved.insert(key);
            }
            _ => {}
        }
    }
}

/// Whether something that lists left out could not be asked for, now or in a run before.
pub(super) fn is_unconfirmed(plan: &Plan, open: &Findings) -> bool {
    let still_open = open.keys().filter(|key| !plan.resolved.contains(*key));
    plan.raised.keys().chain(still_open).any(|(kind, _)| *kind == FindingKind::RemovalUnconfirmed)
}
