//! `run`: the daemon.

use std::sync::Arc;

use super::{Context, Exit, failed, unusable};
use crate::chain::Chain;
use crate::config::Config;
use crate::daemon::{Daemon, Signals};
use crate::http::{Readiness, Unready};
use crate::metrics::Metrics;
use crate::service::{self, OnDone, Past, Service, Watch};
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
    match store.ready_for(&config.identity.tenant_id.to_string()).await {
        Ok(()) => {}
        Err(error) if error.is_lasting() => return unusable(&error),
        // It may come yet: the daemon stays alive, not ready, and tries with each run.
        Err(error) => tracing::warn!("not ready: {}", Chain(&error)),
    }
    let Past { last_success, cursor_moved_at, states } = service::past(&store).await;
    metrics.states(states);
    if let Some(time) = cursor_moved_at {
        metrics.delta_tokens(time);
    }
    let pool = store.clone();
    metrics.watch_pool(move || {
        let PoolUse { idle, in_use } = pool.pool_use();
        (idle, in_use)
    });
    let mut runner = Service::new(sync, Arc::clone(&metrics));
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
        readiness: readiness(store),
        last_success,
    };
    match daemon.run().await {
        Ok(()) => Exit::Done,
        Err(error) => failed(&error),
    }
}

fn readiness(store: Store) -> Readiness {
    Readiness::new(move || {
        let store = store.clone();
        async move {
            store.ready().await.map_err(|error| match &error {
                store::Error::Schema(_) => Unready::Other(error.to_string()),
                _ => Unready::Database(error.to_string()),
            })
        }
    })
}
