//! The first run, which makes everything there is, and what befalls it.

use super::Life;
use crate::proxy::{Act, Proxy};
use crate::schedule::{Asked, Course, Debut};
use crate::stage::{Stage, until};

/// What must be there before the first process is.
pub(super) fn prepare(course: &Course, stage: &Stage, proxy: &Proxy) {
    match &course.debut {
        Debut::Calm => {}
        Debut::Fault(fault) => {
            stage.world.simulator.inject(fault.clone());
        }
        Debut::Cut(place) => proxy.arm(*place, Act::Cut),
        Debut::Kill(place) => proxy.arm(*place, Act::Hold),
    }
}

impl Life<'_> {
    /// Up to the end of the first run that ends well.
    pub(super) async fn debut(&mut self) {
        self.tell(&format!("debut: {:?}", self.course.debut));
        self.daemon.until_serving().await;
        if let Debut::Kill(_) = self.course.debut {
            until("the first run is held", async || self.proxy.is_holding().then_some(())).await;
            self.daemon.kill();
            self.proxy.release();
            self.check().await;
            self.start().await;
        }
        let mut run = self.daemon.first_run().await;
        self.tell(&format!("  {} {:?}", run.outcome, run.failure));
        self.check().await;
        self.heal();
        self.proxy.release();
        if run.outcome == "failed" {
            run = self.good_turn(Asked::Delta).await;
        }
        assert!(["applied", "unchanged"].contains(&run.outcome.as_str()), "{run:?}");
    }
}
