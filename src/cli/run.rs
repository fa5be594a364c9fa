//! `run`: the daemon.

use std::sync::Arc;

use super::{Context, Exit, failed, unusable};
use crate::config::Config;
use crate::daemon::{Daemon, DaemonError, Signals};
use crate::http::Readiness;
use crate::metrics::Metrics;
use crate::service::{self, OnDone, Service, Watch};
use crate::store::Store;
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
    let opening = service::open(store.clone(), config.identity.tenant_id.to_string());
    let mut runner = Service::new(sync, Arc::clone(&metrics));
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
        opening: Box::pin(opening),
    };
    match daemon.run().await {
        Ok(()) => Exit::Done,
        Err(DaemonError::Refused(refusal)) => unusable(&*refusal),
        Err(error) => failed(&error),
    }
}

fn readiness(store: Store) -> Readiness {
    Readiness::new(move || {
        let store = store.clone();
        async move { store.ready().await.map_err(|error| error.to_string()) }
    })
}
