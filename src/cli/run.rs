//! `run`: the daemon.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Context, Exit, failed, unusable};
use crate::config::Config;
use crate::daemon::{Daemon, DaemonError, Lead, Signals};
use crate::http::{Readiness, Unready};
use crate::metrics::Metrics;
use crate::service::{self, Election, Inbox, OnDone, Service, Watch};
use crate::store::{self, PoolUse, Store};
use crate::telemetry::Telemetry;

/// Runs until a signal asks for a stop.
pub async fn run(context: &Context) -> Exit {
    // Before anything else: a signal that comes early must not kill the process.
    let signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => return failed(&error),
    };
    let config = match context.config() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let telemetry = match Telemetry::start(&config.log) {
        Ok(telemetry) => telemetry,
        Err(error) => return failed(&error),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    serve(context, signals, config, &telemetry, None).await
}

/// The daemon with its parts; `on_done` is told of each run that committed.
pub async fn serve(
    context: &Context,
    signals: Signals,
    config: Config,
    telemetry: &Telemetry,
    on_done: Option<OnDone>,
) -> Exit {
    let metrics = Arc::new(Metrics::new());
    let sync = match service::sync(&config, Arc::new(Watch(Arc::clone(&metrics)))) {
        Ok(sync) => sync,
        Err(error) => return unusable(&error),
    };
    let store = sync.store().clone();
    let _lock = match store.lock_daemon() {
        Ok(lock) => lock,
        Err(error) => return unusable(&error),
    };
    let tenant_id = config.identity.tenant_id.to_string();
    let opening = service::open(store.clone(), tenant_id);
    let pool = store.clone();
    metrics.watch_pool(move || {
        let PoolUse { idle, in_use } = pool.pool_use();
        (idle, in_use)
    });
    let (publish, lead) = watch::channel(Lead::default());
    let (instance, inbox) = (config.leader.instance(), Inbox::default());
    let election = Election::new(store.clone(), config.leader.clone(), publish, inbox.clone());
    let mut runner =
        Service::new(sync, Arc::clone(&metrics), instance.clone(), lead.clone(), inbox);
    runner.look_at_credential().await;
    if let Some(on_done) = on_done {
        runner = runner.watched(on_done);
    }
    let sources = context.sources.clone();
    let telemetry = telemetry.clone();
    let daemon = Daemon {
        signals,
        config,
        load: Arc::new(move || Config::load(&sources)),
        apply: Box::new(move |config| telemetry.set_level(config.log.level)),
        runner,
        metrics,
        readiness: readiness(store.clone(), lead.clone()),
        verify: service::verify(store.clone(), lead.clone()),
        recall: service::recall(store),
        opening: Box::pin(opening),
        instance,
        lead,
        elect: Box::new(|requests, over| Box::pin(election.hold(requests, over))),
    };
    match daemon.run().await {
        Ok(()) => Exit::Done,
        Err(DaemonError::Refused(refusal)) => unusable(&*refusal),
        Err(error) => failed(&error),
    }
}

/// A replica is ready if it leads or could take over: the database answers, its schema is
/// known, and it tells who leads.
fn readiness(store: Store, lead: watch::Receiver<Lead>) -> Readiness {
    Readiness::new(move || {
        let (store, lead) = (store.clone(), lead.clone());
        async move {
            store.ready().await.map_err(|error| match &error {
                store::Error::Absent(_) | store::Error::Schema(_) => {
                    Unready::Other(error.to_string())
                }
                _ => Unready::Database(error.to_string()),
            })?;
            lead.borrow().problem.clone().map_or(Ok(()), |problem| Err(Unready::Other(problem)))
        }
    })
}
