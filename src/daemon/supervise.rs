//! Keeps the daemon's parts together: one ends, all end.
//!
//! Owns how a daemon ends. Must not know what its parts do.

use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};

use super::shutdown::{Shutdown, Stopper};

/// Why a daemon ended although nobody asked it to, or could not end as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// A part came to its end by itself.
    #[error("the {0} ended by itself")]
    Early(&'static str),
    /// A part has a bug; the process must not go on with half of it gone.
    #[error("the {0} panicked")]
    Panicked(&'static str),
    /// Something was still busy when `schedule.stop_grace` was over.
    #[error("the {0} was still busy when schedule.stop_grace was over")]
    Late(&'static str),
}

/// The parts, by name.
pub struct Supervisor {
    parts: JoinSet<()>,
    names: Vec<(Id, &'static str)>,
    stopper: Stopper,
    shutdown: Shutdown,
}

impl Supervisor {
    /// Watches nothing yet.
    pub fn new(stopper: Stopper, shutdown: Shutdown) -> Self {
        Self { parts: JoinSet::new(), names: Vec::new(), stopper, shutdown }
    }

    /// Starts a part, which has to end when a stop is asked for and not before.
    pub fn start(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let id = self.parts.spawn(part).id();
        self.names.push((id, name));
    }

    /// Waits for a stop, or for a part that ends early, then gives the others `grace`.
    pub async fn run(mut self, grace: Duration) -> Result<(), Ended> {
        let shutdown = self.shutdown.clone();
        let first = shutdown.unless_stopped(self.parts.join_next_with_id()).await.ok().flatten();
        // A part may hear of a stop, and end, before word of it gets here.
        let asked = self.shutdown.is_requested();
        self.stopper.stop();
        let first = match first {
            Some(Ok((id, ()))) => {
                let name = self.forget(id);
                if asked { Ok(()) } else { Err(Ended::Early(name)) }
            }
            Some(Err(error)) => Err(Ended::Panicked(self.forget(error.id()))),
            None => Ok(()),
        };
        let rest = tokio::time::timeout(grace, self.drain()).await;
        let late = self.names.first().map_or("daemon", |(_, name)| name);
        first.and(rest.unwrap_or(Err(Ended::Late(late))))
    }

    async fn drain(&mut self) -> Result<(), Ended> {
        let mut all = Ok(());
        while let Some(ended) = self.parts.join_next_with_id().await {
            let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
            let name = self.forget(id);
            all = all.and(ended.map(|_| ()).map_err(|_| Ended::Panicked(name)));
        }
        all
    }

    fn forget(&mut self, id: Id) -> &'static str {
        let known = self.names.iter().position(|(known, _)| *known == id);
        known.map_or("daemon", |index| self.names.swap_remove(index).1)
    }
}
