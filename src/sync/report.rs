//! A report as the row of `dirsync_runs` and as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::reconcile::report::{CursorReset, Report};
use crate::store::RunRow;

/// Counts by `entity.action`.
pub fn changes_by_word(report: &Report) -> BTreeMap<String, u64> {
    let word = |(entity, action): &(_, _)| format!("{entity}.{action}");
    report.changes.iter().map(|(key, count)| (word(key), *count)).collect()
}

/// The report in words and counts; nothing personal is in it.
pub fn as_json(report: &Report) -> Value {
    let Report {
        run_id,
        mode,
        trigger,
        started_at,
        finished_at,
        outcome,
        changes: _,
        drift,
        refuted,
        withheld,
        access,
        pending,
        totals,
        states,
        reading,
        lag_max,
        phases,
        reset,
        linked_groups,
        findings,
        failure,
    } = report;
    let phases: BTreeMap<&str, f64> =
        phases.iter().map(|(phase, time)| (phase.label(), time.as_secs_f64())).collect();
    let linked_groups: BTreeMap<&str, u64> =
        linked_groups.iter().map(|(state, count)| (state.label(), *count)).collect();
    let findings: BTreeMap<&str, u64> =
        findings.iter().map(|(kind, count)| (kind.label(), *count)).collect();
    json!({
        "run_id": run_id,
        "mode": mode.label(),
        "trigger": trigger.label(),
        "outcome": outcome.label(),
        "started_at": started_at,
        "finished_at": finished_at,
        "changes": changes_by_word(report),
        "drift": drift,
        "refuted": refuted,
        "withheld": {
            "users": withheld.users, "groups": withheld.groups, "memberships": withheld.memberships,
            "access": withheld.access,
        },
        "totals": totals.map(|totals| json!({
            "users": totals.users, "groups": totals.groups, "memberships": totals.memberships,
            "access": totals.access,
        })),
        "states": states.map(|states| {
            let mut by_kind: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
            for (kind, state, count) in states.series() {
                by_kind.entry(kind).or_default().insert(state, count);
            }
            by_kind
        }),
        "access": { "gained": access.gained, "lost": access.lost },
        "pending_plans": { "plans": pending.plans, "oldest": pending.oldest },
        "reading": {
            "requests": reading.requests,
            "pages": reading.pages,
            "bytes": reading.bytes,
            "resource_units": reading.resource_units,
            "retries": reading.retries,
            "waited_seconds": reading.waited_seconds,
        },
        "lag_max_seconds": lag_max.map(|lag| lag.as_secs_f64()),
        "phase_seconds": phases,
        "cursor_reset": reset.map(CursorReset::label),
        "linked_groups": linked_groups,
        "findings": findings,
        "failure": failure.as_ref().map(|failure| json!({
            "kind": failure.kind, "message": failure.message,
        })),
    })
}

pub(super) fn row(report: &Report) -> RunRow {
    RunRow {
        id: report.run_id,
        mode: report.mode.label().to_owned(),
        trigger: report.trigger.label().to_owned(),
        outcome: report.outcome.label().to_owned(),
        started_at: report.started_at,
        finished_at: report.finished_at,
        report: as_json(report).to_string(),
    }
}
