//! TERM and INT for commands that have nothing to finish.
//!
//! Owns that they end. The kernel ends process 1 of a container by no signal that the
//! process does not catch, so that an init container or a Job would wait until it is
//! killed. What is in a transaction then, the database rolls back.

use std::io;
use std::process;

use tokio::signal::unix::{SignalKind, signal};

/// Ends the process on either signal, with the code that a shell tells for it.
pub(super) fn at_once() -> io::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // A task of its own: the command may be waiting for whoever reads its output.
    tokio::spawn(async move {
        let caught = tokio::select! {
            _ = term.recv() => SignalKind::terminate(),
            _ = int.recv() => SignalKind::interrupt(),
        };
        process::exit(128 + caught.as_raw_value());
    });
    Ok(())
}
