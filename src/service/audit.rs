//! Verifies the audit for the daemon, and tells people what does not fit.
//!
//! Owns the wording. What a verification looks at is the store's.

use std::sync::Arc;

use chrono::Utc;
use futures::FutureExt;
use tokio::sync::watch;

use crate::chain::Chain;
use crate::daemon::{Lead, Shutdown, Verified, Verify};
use crate::reconcile::report::FindingKind;
use crate::store::{self, Divergence, Store, Verdict, Verification};

/// What the finding is about.
const SUBJECT: &str = "audit_logs";
/// How many differences are named before the rest is only counted.
const NAMED_MAX: usize = 3;

/// Asks `store` whenever it is called, for as long as the lead of that moment lasts.
pub fn verify(store: Store, lead: watch::Receiver<Lead>) -> Verify {
    Arc::new(move |stop| {
        let (store, lead) = (store.clone(), lead.clone());
        async move {
            look(&store, lead, stop).await.unwrap_or_else(|error| {
                tracing::error!("the audit could not be verified: {}", Chain(&error));
                None
            })
        }
        .boxed()
    })
}

async fn look(
    store: &Store,
    lead: watch::Receiver<Lead>,
    stop: Shutdown,
) -> Result<Option<Verified>, store::Error> {
    let epoch = lead.borrow().epoch;
    let goes_on = move || {
        let lead = lead.borrow();
        lead.leading && lead.epoch == epoch && !stop.is_requested()
    };
    let found = match store.read_apart(move |tx| tx.verify_audit_while(goes_on)).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(None),
        Err(error) if error.is_unreadable() => unreadable(&error),
        Err(error) => return Err(error),
    };
    let Verification { rows, foreign, divergences } = found;
    let verified = Verified { rows, differences: divergences.len() as u64 };
    let message = wording(&divergences);
    match &message {
        None => tracing::info!(rows, by_others = foreign.len(), "the audit is whole"),
        Some(message) => tracing::error!(rows, "{message}"),
    }
    store
        .write(move |tx| {
            let key = (FindingKind::AuditDiverged, SUBJECT);
            tx.keep_finding(epoch, key, message.as_deref(), Utc::now()).map(Verdict::Commit)
        })
        .await?;
    Ok(Some(verified))
}

/// A row that nothing can be made of is no reason to tell nothing: whoever may add one could
/// end all verification by it.
fn unreadable(error: &store::Error) -> Verification {
    let what = format!("cannot be read to its end: {}", Chain(error));
    let (entity, id) = (SUBJECT.to_owned(), "?".to_owned());
    Verification { divergences: vec![Divergence { entity, id, what }], ..Verification::default() }
}

/// `None` where nothing differs.
fn wording(divergences: &[Divergence]) -> Option<String> {
    if divergences.is_empty() {
        return None;
    }
    let named: Vec<String> = divergences
        .iter()
        .take(NAMED_MAX)
        .map(|Divergence { entity, id, what }| format!("{entity} {id}: {what}"))
        .collect();
    let places = match divergences.len() {
        1 => "1 place".to_owned(),
        places => format!("{places} places"),
    };
    Some(format!(
        "audit and tables differ in {places}, such as {}; see `nexus-dirsync audit verify`",
        named.join("; ")
    ))
}
