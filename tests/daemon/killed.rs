//! `kill -9` loses nothing and repeats nothing.

use std::time::Duration;

use graph_simulator::Options;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::process::Daemon;
use crate::stage::{Stage, guarded, small, until};
use crate::support::sql::Sql;
use crate::support::world::{Database, On};

const KILLS: usize = 16;

/// Edits, starts, and kills at a random moment up to `reach`; whether the run had ended.
async fn strike(stage: &Stage, rng: &mut ChaCha8Rng, reach: Duration) -> bool {
    stage.edit(rng.random(), 5);
    let mut daemon = stage.spawn();
    // The random moment is what is tested; nothing is waited for here.
    sleep(reach.mul_f64(rng.random_range(0.3..1.0))).await;
    daemon.kill();
    daemon.printed().contains("the run is complete")
}

async fn survive(on: On, seed: u64) {
    let options = Options { latency: Duration::from_millis(3), ..guarded() };
    let stage = Stage::with(Database::new(on), small(seed), options).await;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Stays about as long as a run takes, whatever the machine: near the commit.
    let mut reach = Duration::from_millis(700);
    let mut struck = 0;
    for _ in 0..KILLS {
        let ended = strike(&stage, &mut rng, reach).await;
        reach = reach.mul_f64(if ended { 0.85 } else { 1.15 });
        struck += u32::from(!ended);
        stage.world.assert_audit_whole().await;
        stage.assert_told_once();
    }
    println!("{on:?}: {struck} of {KILLS} kills struck a run");
    assert!(struck > 0, "every run had ended before it was killed");
    let daemon = stage.start().await;
    assert_ne!(daemon.first_run().await.outcome, "failed");
    stage.assert_converged().await;
    assert_eq!(daemon.turn(Signal::USR2).await.drift, 0);
    daemon.stop().await;
}

#[tokio::test]
async fn kills_at_random_moments_on_postgres() {
    survive(On::Postgres, 9).await;
}

#[tokio::test]
async fn kills_at_random_moments_on_sqlite() {
    survive(On::Sqlite, 9).await;
}

/// Lets no commit get past its first audit row.
pub struct Latch(Sql);

impl Latch {
    pub fn close(stage: &Stage) -> Self {
        let mut sql = stage.sql();
        sql.execute("BEGIN; LOCK TABLE audit_logs IN EXCLUSIVE MODE");
        Self(sql)
    }

    /// Waits until a transaction stands before it.
    pub async fn is_reached(&mut self) {
        let waits = "SELECT CAST(pid AS text) AS cell FROM pg_locks \
                     WHERE NOT granted AND relation = 'audit_logs'::regclass";
        until("a commit has begun", async || self.0.finds(waits).then_some(())).await;
    }

    pub fn open(mut self) {
        self.0.execute("COMMIT");
    }
}

async fn kill_in_commit(stage: &Stage, mut daemon: Daemon, mut latch: Latch) {
    latch.is_reached().await;
    daemon.kill();
    latch.open();
    let ours = "SELECT CAST(pid AS text) AS cell FROM pg_stat_activity \
                WHERE application_name = 'nexus-dirsync' AND datname = current_database() \
                  AND state <> 'idle'";
    let mut sql = stage.sql();
    let gone = async || (!sql.finds(ours)).then_some(());
    until("the server notices that its client is gone", gone).await;
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_commit_leaves_nothing_behind() {
    let stage = Stage::new(On::Postgres, small(10)).await;
    let written = || {
        let mut dump = stage.sql().dump();
        // Who led is no part of what a run writes.
        dump.remove("dirsync_leader");
        dump
    };
    let empty = written();
    let latch = Latch::close(&stage);
    kill_in_commit(&stage, stage.start().await, latch).await;
    assert_eq!(written(), empty, "a first run, killed");

    let daemon = stage.start().await;
    daemon.first_run().await;
    let before = written();
    stage.edit(10, 20);
    let latch = Latch::close(&stage);
    daemon.signal(Signal::USR1);
    kill_in_commit(&stage, daemon, latch).await;
    assert_eq!(written(), before, "a delta run, killed");

    let daemon = stage.start().await;
    assert_eq!(daemon.first_run().await.outcome, "applied");
    stage.assert_converged().await;
    daemon.stop().await;
}
