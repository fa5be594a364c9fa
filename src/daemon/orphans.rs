//! What process 1 of a container owes: to bury orphans.
//!
//! Owns that no ended process stays in the table because nobody asked how it ended. Must
//! not run beside anything that waits for children of its own; the daemon starts none.

use tokio::signal::unix::{SignalKind, signal};

use super::shutdown::Shutdown;

/// Buries the children that the kernel gave to this process, if it is process 1, until a
/// stop is asked for.
pub(super) async fn bury(shutdown: Shutdown) {
    if std::process::id() == 1 {
        match signal(SignalKind::child()) {
            Ok(mut ended) => {
                while shutdown.unless_stopped(ended.recv()).await.is_ok() {
                    bury_all();
                }
            }
            Err(error) => tracing::warn!(%error, "orphans will not be buried"),
        }
    }
    shutdown.stopped().await;
}

/// One signal may stand for several of them.
fn bury_all() {
    use rustix::process::{WaitOptions, wait};
    while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
        tracing::debug!(pid = pid.as_raw_nonzero(), "an orphan ended");
    }
}
