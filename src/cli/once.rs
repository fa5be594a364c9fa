//! One run in this process, whatever it is for.

use super::sync::Progress;
use crate::chain::Chain;
use crate::daemon::{Shutdown, Stopped};
use crate::sync::{ATTEMPTS_MAX, Done, Error, Run, Sync};

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub(super) enum Setback {
    /// It was given up.
    #[error("{0}; nothing was written")]
    Stopped(#[from] Stopped),
    /// It failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// One run, begun again where somebody else wrote meanwhile. Reading is given up for a
/// stop, or when its time is over; a commit that has begun ends first.
pub(super) async fn once(
    sync: &Sync,
    run: Run,
    dry: bool,
    stop: &Shutdown,
) -> Result<Done, Setback> {
    let progress = Progress::start(sync);
    let mut attempt = 1;
    loop {
        let observation = stop.unless_stopped(sync.observe(run)).await??;
        progress.say("writing");
        match sync.commit(run, observation, dry).await {
            Err(Error::Store(error)) if error.is_conflict() && attempt < ATTEMPTS_MAX => {
                attempt += 1;
            }
            done => return Ok(done?),
        }
    }
}

impl Setback {
    /// Whether only another configuration or database can mend it.
    pub(super) const fn is_lasting(&self) -> bool {
        matches!(self, Self::Failed(Error::Store(error)) if error.is_lasting())
    }

    /// Why, in one line, with the remedy where the error itself has none.
    pub(super) fn reason(&self) -> String {
        let why = Chain(self);
        match self {
            Self::Failed(Error::Store(error)) if error.is_conflict() => format!(
                "{why}; that was so {ATTEMPTS_MAX} times, so try again when nobody else writes: `nexus-dirsync status` tells of the daemon's runs"
            ),
            _ => why.to_string(),
        }
    }
}
