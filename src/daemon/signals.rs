//! What the daemon does when it is signalled.
//!
//! Owns the meaning of each signal: TERM and INT stop, HUP reloads, USR1 asks for a
//! delta run, USR2 for a full one. Must not do any of it.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::requests::{Request, Requests};
use super::shutdown::{Shutdown, Stopper};
use crate::directory::Mode;
use crate::reconcile::report::Trigger;

/// The signals, caught from the moment this exists. Until then USR1, USR2 and HUP
/// end the process, so it is made first of all.
#[derive(Debug)]
pub struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
    usr1: Signal,
    usr2: Signal,
}

impl Signals {
    /// Catches them.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
            usr1: signal(SignalKind::user_defined1())?,
            usr2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Passes them on until a stop is asked for, by them or by somebody else.
    pub async fn pass_on(mut self, requests: Requests, stopper: Stopper, shutdown: Shutdown) {
        let ask = |mode| requests.ask(Request { mode, trigger: Trigger::Signal });
        while let Ok(name) = shutdown.unless_stopped(self.next()).await {
            tracing::info!(signal = name, "caught a signal");
            match name {
                "HUP" => requests.ask_reload(),
                "USR1" => ask(Mode::Delta),
                "USR2" => ask(Mode::Full),
                _ => stopper.stop(),
            }
        }
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "TERM",
            _ = self.int.recv() => "INT",
            _ = self.hup.recv() => "HUP",
            _ = self.usr1.recv() => "USR1",
            _ = self.usr2.recv() => "USR2",
        }
    }
}
