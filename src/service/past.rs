//! Reads from the database what replicas did before, or do elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use serde_json::Value;

use crate::chain::Chain;
use crate::daemon::{Recall, Refusal};
use crate::directory::Mode;
use crate::reconcile::report::{LastRun, Past, Removals, States};
use crate::store::{self, RunRow, Store, Tx};

/// What a recorded report tells again.
struct Recorded {
    run: LastRun,
    withheld: Removals,
    /// Full runs alone know it.
    states: Option<States>,
}

impl Recorded {
    /// `None` for a report that cannot be read, as another version may have left it: that is
    /// no reason to show nothing at all.
    fn read(row: &RunRow) -> Option<Self> {
        let read = || {
            let mut report: Value = serde_json::from_str(&row.report)?;
            let withheld = serde_json::from_value(report["withheld"].take())?;
            let states = states(&report["states"]);
            // Its message is for the log alone.
            report["failure"] = report["failure"]["kind"].take();
            Ok(Self { run: serde_json::from_value(report)?, withheld, states })
        };
        read()
            .inspect_err(|error: &serde_json::Error| {
                tracing::debug!(run.id = %row.id, "its report cannot be read: {error}");
            })
            .ok()
    }
}

/// What [`States::series`] told.
fn states(told: &Value) -> Option<States> {
    let count = |kind: &str, state: &str| told[kind][state].as_u64();
    let users = |state| count("users", state);
    let groups = |state| count("groups", state);
    Some(States {
        users: [users("live")?, users("disabled")?, users("removed")?],
        groups: [groups("live")?, groups("removed")?],
    })
}

fn read(tx: &mut Tx<'_>) -> Result<Past, store::Error> {
    let last = tx.last_runs()?;
    let good = tx.last_good_runs()?;
    let last_success: BTreeMap<Mode, _> =
        good.iter().map(|(mode, row)| (*mode, row.finished_at)).collect();
    let newest = good.values().max_by_key(|row| row.finished_at).and_then(Recorded::read);
    let full = good.get(&Mode::Full).and_then(Recorded::read);
    let last = last.iter().filter_map(|(mode, row)| Some((*mode, Recorded::read(row)?.run)));
    Ok(Past {
        last: last.collect(),
        consecutive_failures: tx.failures_since(last_success.values().max().copied())?,
        last_success,
        withheld: newest.map_or_else(Removals::default, |recorded| recorded.withheld),
        drift: full.as_ref().map_or(0, |recorded| recorded.run.drift),
        pending: tx.pending_plans()?,
        totals: tx.carried_totals()?,
        states: match full.and_then(|recorded| recorded.states) {
            None => Some(tx.states()?),
            recorded => recorded,
        },
        findings: tx.count_findings()?,
        linked_groups: tx.count_linked_groups()?,
        read_at: tx.cursor()?.map(|row| row.read_at),
    })
}

/// Asks `store` whenever it is called.
pub fn recall(store: Store) -> Recall {
    Arc::new(move || {
        let store = store.clone();
        async move {
            let past = store.read(read).await;
            past.inspect_err(|error| tracing::debug!("how runs went is not known: {error}")).ok()
        }
        .boxed()
    })
}

/// Looks at the database before the first run, and tells what it knows of runs before this
/// process. Nothing where it cannot be asked yet: the daemon stays alive, not ready, and
/// tries with each run.
///
/// # Errors
/// Whatever only another database or configuration can mend.
pub async fn open(store: Store, tenant_id: String) -> Result<Past, Refusal> {
    let past = async {
        store.ready_for(&tenant_id).await?;
        store.read(read).await
    };
    match past.await {
        Ok(past) => Ok(past),
        Err(error) if error.is_lasting() => Err(error.into()),
        Err(error) => {
            tracing::warn!("not ready: {}", Chain(&error));
            Ok(Past::default())
        }
    }
}
