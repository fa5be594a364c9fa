//! `demo`: the main job on a laptop, against a simulated tenant.
//!
//! Owns how stage, daemon and show begin and end together. The daemon is the one of
//! `run`, in this process.

use std::io::ErrorKind;

use rustix::process::{Signal, getpid, kill_process};

use super::run::serve;
use super::{Context, DemoArgs, Exit, failed};
use crate::daemon::Signals;
use crate::demo::{Show, ShowError, Stage, watch};
use crate::service;
use crate::telemetry::Telemetry;

/// Shows it, until a signal asks for a stop or, with `--once`, until all was shown.
pub async fn run(args: &DemoArgs) -> Exit {
    let signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => return failed(&error),
    };
    match Stage::set() {
        Ok(stage) => on(&stage, signals, args).await,
        Err(error) => failed(&error),
    }
}

async fn on(stage: &Stage, signals: Signals, args: &DemoArgs) -> Exit {
    let context = Context { sources: stage.sources() };
    let config = match context.config() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let telemetry = match Telemetry::start(&config.log) {
        Ok(telemetry) => telemetry,
        Err(error) => return failed(&error),
    };
    let store = match service::store(&config.database) {
        Ok(store) => store,
        Err(error) => return failed(&error),
    };
    if let Err(error) = store.migrate().await {
        return failed(&error);
    }
    let (on_done, runs) = watch();
    let mut show = Show::new(stage, store, runs);
    let played = {
        let mut daemon =
            std::pin::pin!(serve(&context, signals, config, &telemetry, Some(on_done)));
        tokio::select! {
            biased;
            exit = &mut daemon => Ok(cut_short(exit, args)),
            played = show.play(args.once) => end(played, daemon).await,
        }
    };
    match played {
        Ok(Exit::Done) => close(show).await,
        Ok(exit) => exit,
        Err(error) => told(&error),
    }
}

/// What it means that the daemon ended first: the end of a demo, but not of one that
/// had something to show to its end.
fn cut_short(exit: Exit, args: &DemoArgs) -> Exit {
    if args.once && exit == Exit::Done {
        eprintln!("stopped before everything was shown");
        return Exit::Failed;
    }
    exit
}

/// Stops the daemon as whoever runs it would, and waits for it.
async fn end(
    played: Result<(), ShowError>,
    daemon: impl Future<Output = Exit>,
) -> Result<Exit, ShowError> {
    kill_process(getpid(), Signal::TERM)?;
    let exit = daemon.await;
    played.map(|()| exit)
}

async fn close(show: Show<'_>) -> Exit {
    match show.close().await {
        Ok(true) => Exit::Done,
        Ok(false) => Exit::Failed,
        Err(error) => told(&error),
    }
}

/// A reader that has gone, such as `head`, has seen enough; that is no failure.
fn told(error: &ShowError) -> Exit {
    match error {
        ShowError::Screen(source) if source.kind() == ErrorKind::BrokenPipe => Exit::Done,
        error => failed(error),
    }
}
