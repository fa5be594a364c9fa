//! Reads from the database what replicas did before, or do elsewhere.

use std::collections::BTreeMap;

use futures::FutureExt;

use crate::chain::Chain;
use crate::daemon::{Recall, Refusal};
use crate::directory::Mode;
use crate::reconcile::report::{Past, Recorded};
use crate::store::{self, RunRow, Store, Tx};

fn recorded(row: &RunRow) -> Result<Recorded, store::Error> {
    serde_json::from_str(&row.report)
        .map_err(|error| store::Error::Corrupt(format!("the report of run {}: {error}", row.id)))
}

/// What a replica shows that does not lead, and starts from when it begins to.
pub(super) fn read(tx: &mut Tx<'_>) -> Result<Past, store::Error> {
    let last = tx.last_runs()?;
    let good = tx.last_good_runs()?;
    let last_success: BTreeMap<Mode, _> =
        good.iter().map(|(mode, row)| (*mode, row.finished_at)).collect();
    let newest = good.values().max_by_key(|row| row.finished_at).map(recorded).transpose()?;
    let full = good.get(&Mode::Full).map(recorded).transpose()?;
    let last = last.iter().map(|(mode, row)| Ok((*mode, recorded(row)?)));
    Ok(Past {
        last: last.collect::<Result<_, store::Error>>()?,
        consecutive_failures: tx.failures_since(last_success.values().max().copied())?,
        last_success,
        withheld: newest.map_or_else(Default::default, |run| run.withheld),
        drift: full.map_or(0, |run| run.drift),
        pending: tx.pending_plans()?,
        totals: tx.carried_totals()?,
        states: None,
        findings: tx.count_findings()?,
        linked_groups: tx.count_linked_groups()?,
        read_at: tx.cursor()?.map(|row| row.read_at),
    })
}

/// Asks `store` whenever it is called.
pub fn recall(store: Store) -> Recall {
    Box::new(move || {
        let store = store.clone();
        async move {
            let past = store.read(read).await;
            past.inspect_err(|error| tracing::debug!("what others did is not known: {error}")).ok()
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
        let counted = |tx: &mut Tx<'_>| Ok(Past { states: Some(tx.states()?), ..read(tx)? });
        store.read(counted).await
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
