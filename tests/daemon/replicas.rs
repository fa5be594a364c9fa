//! Two daemons on one PostgreSQL database: one leads, the other takes over.

use std::time::Instant;

use graph_simulator::{Effect, Fault};
use nexus_dirsync::daemon::Status;
use rustix::process::Signal;

use crate::killed::Latch;
use crate::process::{Daemon, run_ids};
use crate::stage::{Stage, small, until};
use crate::support::postgres;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::world::On;

/// A stage for replicas that notice soon.
pub async fn stage(seed: u64) -> Stage {
    let stage = Stage::new(On::Postgres, small(seed)).await;
    stage.set("leader.ask_every", "300ms");
    stage.set("leader.patience", "500ms");
    stage.set("leader.lease", "2s");
    // A commit waits for as long as a test holds it up: no limit ends it in the meantime.
    stage.set("database.lock_timeout", "5m");
    stage.set("database.statement_timeout", "5m");
    stage.set("schedule.stop_grace", "10m");
    stage
}

/// A leader that has done its first run, and a standby that knows it.
pub async fn pair(stage: &Stage) -> (Daemon, Daemon) {
    let one = stage.replica("one", &[]).await;
    one.first_run().await;
    let two = stage.replica("two", &[]).await;
    two.until_led_by("one").await;
    (one, two)
}

impl Daemon {
    pub async fn until_led_by(&self, name: &str) -> Status {
        let led = |status: &Status| status.leads.as_ref().is_some_and(|l| l.instance == name);
        self.until_status(&format!("{name} leads"), led).await
    }

    pub async fn until_leading(&self) -> Status {
        self.until_status("it leads", |status| status.leader).await
    }

    async fn until_outcome(&self, outcome: &str) {
        let ended = |status: &Status| status.last.values().any(|run| run.outcome == outcome);
        self.until_status(&format!("a run ends as {outcome}"), ended).await;
    }
}

#[tokio::test]
async fn one_leads_and_the_other_is_ready() {
    let stage = stage(110).await;
    let (one, two) = pair(&stage).await;
    for (daemon, name, leads) in [(&one, "one", 1), (&two, "two", 0)] {
        assert_eq!((daemon.code("/livez").await, daemon.code("/readyz").await), (200, 200));
        assert_eq!(daemon.metric("dirsync_leader").await, leads, "{name}");
        assert_eq!(daemon.metric("dirsync_leader_epoch").await, 1, "{name}");
        let status = daemon.status().await;
        assert_eq!((status.instance.as_str(), status.leader), (name, leads == 1));
        let leader = status.leads.unwrap();
        assert_eq!((leader.instance.as_str(), leader.epoch), ("one", 1));
    }
    let row = "SELECT holder || ' ' || epoch AS cell FROM dirsync_leader";
    assert_eq!(stage.sql().cells(row), ["one 1"]);
    // A standby runs nothing, and tells what the leader did.
    let told = one.status().await;
    let two_tells = two.until_status("it tells of the leader", |s| s.last == told.last).await;
    assert_eq!(two_tells.totals, told.totals);
    let started = "dirsync_runs_total{mode=\"full\",outcome=\"applied\",trigger=\"startup\"}";
    assert_eq!((one.metric(started).await, two.metric(started).await), (1, 0));
    one.stop().await;
    two.stop().await;
}

/// Whichever pod is asked, the answer is about the installation.
#[tokio::test]
async fn a_standby_tells_of_failures_and_of_what_is_held() {
    let stage = stage(119).await;
    stage.set_raw("guard.memberships_max", "0");
    let (one, two) = pair(&stage).await;
    // What a command beside the standby says.
    stage.set("http.listen", &two.address().to_string());
    stage.world.simulator.inject(Fault::on("/v1.0/", Effect::Html502));
    assert_eq!(one.turn(Signal::USR1).await.outcome, "failed");
    let told = two.until_status("it tells of the failure", |s| s.consecutive_failures == 1).await;
    assert_eq!(told.last, one.status().await.last);
    assert_eq!(two.metric("dirsync_consecutive_failures").await, 1);
    assert_eq!(stage.tell(&["status"]).await.code, 1);

    stage.world.simulator.clear_faults();
    stage.world.edit(|tenant| {
        let groups: Vec<_> = tenant.groups().map(graph_simulator::Group::id).collect();
        for group in groups {
            let members: Vec<_> = tenant.direct_members(group).collect();
            for member in members {
                tenant.remove_member(group, member);
            }
        }
    });
    assert_eq!(one.turn(Signal::USR1).await.outcome, "held");
    two.until_status("it tells what is held", |s| s.pending.plans == 1).await;
    let (told, of) = (two.status().await, one.status().await);
    assert_eq!((told.withheld, told.findings), (of.withheld, of.findings));
    assert_eq!(two.metric("dirsync_plan_pending").await, 1);
    assert_eq!(stage.tell(&["status"]).await.code, 3);

    // Whoever begins to lead knows what waits before it has run.
    stage.world.simulator.inject(Fault::on("/v1.0/", Effect::Html502));
    one.stop().await;
    let leads = two.until_leading().await;
    assert_eq!(leads.pending.plans, 1);
    assert_eq!(two.metric("dirsync_plan_pending").await, 1);
    two.stop().await;
}

/// A standby that began before there was anybody to count.
#[tokio::test]
async fn a_leader_shows_the_states_that_the_one_before_it_counted() {
    let stage = stage(129).await;
    let latch = Latch::close(&stage);
    let one = stage.replica("one", &[]).await;
    one.until_leading().await;
    let two = stage.replica("two", &[]).await;
    two.until_led_by("one").await;
    latch.open();
    one.first_run().await;
    let told = one.status().await;
    two.until_status("it tells of the leader", |status| status.last == told.last).await;
    stage.assert_states_are_shown(&two).await;
    // No run of its own counts: the lead alone must do.
    stage.world.simulator.inject(Fault::on("/v1.0/", Effect::Html502));
    one.stop().await;
    two.until_leading().await;
    stage.assert_states_are_shown(&two).await;
    two.stop().await;
}

#[tokio::test]
async fn a_killed_leader_is_succeeded() {
    // With the settings that an operator gets.
    let stage = Stage::new(On::Postgres, small(111)).await;
    let (mut one, two) = pair(&stage).await;
    stage.edit(111, 10);
    let killed = Instant::now();
    one.kill();
    let status = two.until_leading().await;
    println!("taken over {:.1} s after the leader was killed", killed.elapsed().as_secs_f64());
    let leader = status.leads.unwrap();
    assert_eq!((leader.instance.as_str(), leader.epoch), ("two", 2));
    let run = two.first_run().await;
    assert_eq!((run.outcome.as_str(), run.trigger.as_str()), ("applied", "startup"));
    stage.assert_told_once();
    stage.assert_converged().await;
    two.stop().await;
}

/// The worst moment: everything is written and not committed yet.
#[tokio::test]
async fn a_leader_paused_in_its_commit_is_refused_when_it_wakes_up() {
    let stage = stage(112).await;
    let (one, two) = pair(&stage).await;
    stage.edit(112, 10);
    let mut latch = Latch::close(&stage);
    one.signal(Signal::USR1);
    latch.is_reached().await;
    one.signal(Signal::STOP);
    let paused = Instant::now();
    two.until_leading().await;
    println!("taken over {:.1} s after the leader was paused", paused.elapsed().as_secs_f64());
    latch.open();
    assert_eq!(two.first_run().await.outcome, "applied");
    one.signal(Signal::CONT);
    one.until_outcome("superseded").await;
    one.until_led_by("two").await;
    assert_eq!((one.metric("dirsync_leader").await, one.code("/readyz").await), (0, 200));
    stage.assert_told_once();
    stage.assert_converged().await;

    // It stands by like any other.
    two.stop().await;
    assert_eq!(one.until_leading().await.leads.unwrap().epoch, 3);
    stage.assert_converged().await;
    one.stop().await;
}

/// It would be refused, so it does not even go on reading.
#[tokio::test]
async fn a_leader_paused_while_it_reads_gives_up_when_it_wakes_up() {
    let stage = stage(118).await;
    let (one, two) = pair(&stage).await;
    stage.edit(118, 10);
    stage.world.simulator.inject(Fault::on("/v1.0/", Effect::Hang).once());
    let requests = || stage.world.simulator.counters().requests;
    let before = requests();
    one.signal(Signal::USR2);
    until("it reads", async || (requests() > before).then_some(())).await;
    one.signal(Signal::STOP);
    two.until_leading().await;
    assert_eq!(two.first_run().await.outcome, "applied");
    one.signal(Signal::CONT);
    one.until_outcome("superseded").await;
    let told = one.said("WARN", "the run was superseded");
    let message = told[0]["message"].as_str().unwrap();
    assert!(message.contains("another replica took the lead"), "{message}");
    // Whoever asked the first one is answered by the second.
    let full = |status: &Status| status.last.get("full").is_some_and(|run| run.trigger == "signal");
    two.until_status("the full run that was asked for", full).await;
    stage.assert_told_once();
    stage.assert_converged().await;
    one.stop().await;
    two.stop().await;
}

/// No clock and no lost connection is needed: the database itself refuses the epoch.
#[tokio::test]
async fn the_commit_of_a_former_leader_is_refused_by_its_epoch() {
    let stage = stage(113).await;
    // Nobody ends its transaction meanwhile.
    stage.set("leader.patience", "50s");
    stage.set("leader.lease", "55s");
    let (one, two) = pair(&stage).await;
    stage.edit(113, 10);
    let before = stage.sql().dump()["audit_logs"].clone();
    let mut latch = stage.sql();
    latch.execute("BEGIN; LOCK TABLE dirsync_cursors IN EXCLUSIVE MODE");
    one.signal(Signal::USR1);
    let waits = "SELECT CAST(pid AS text) AS cell FROM pg_locks \
                 WHERE NOT granted AND relation = 'dirsync_cursors'::regclass";
    until("a commit has begun", async || latch.finds(waits).then_some(())).await;
    one.signal(Signal::STOP);
    stage.sql().execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks \
         WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    two.until_leading().await;
    one.signal(Signal::CONT);
    latch.execute("COMMIT");
    one.until_outcome("superseded").await;
    let told = one.said("WARN", "the run was superseded");
    assert_eq!(told[0]["failure"], "deposed");
    let message = told[0]["message"].as_str().unwrap();
    assert!(message.contains("epoch 1 of the lead is over, 2 is going on"), "{message}");
    assert_eq!(two.first_run().await.outcome, "applied");
    assert_ne!(stage.sql().dump()["audit_logs"], before);
    stage.assert_told_once();
    stage.assert_converged().await;
    one.stop().await;
    two.stop().await;
}

/// A replica whose database is behind a network that can be broken.
async fn behind(stage: &Stage, name: &str, proxy: &Proxy) -> Daemon {
    let database = stage.world.database.url.rsplit('/').next().unwrap();
    let url = format!("postgres://postgres@{}/{database}", proxy.address());
    stage.replica(name, &[("DIRSYNC__DATABASE__URL", &url)]).await
}

#[tokio::test]
async fn a_leader_that_is_cut_off_stops_leading_and_stands_by_when_it_is_back() {
    let stage = stage(114).await;
    let proxy = Proxy::start(Upstream::Unix(postgres::socket()));
    let one = behind(&stage, "one", &proxy).await;
    one.first_run().await;
    let two = stage.replica("two", &[]).await;
    two.until_led_by("one").await;
    stage.edit(114, 10);
    proxy.cut();
    one.until_status("it stops leading", |status| !status.leader && status.leads.is_none()).await;
    one.until_code("/readyz", 503).await;
    two.until_leading().await;
    assert_eq!(two.first_run().await.outcome, "applied");
    assert_eq!(one.metric("dirsync_leader").await, 0);
    proxy.restore();
    one.until_led_by("two").await;
    one.until_code("/readyz", 200).await;
    stage.assert_told_once();
    stage.assert_converged().await;
    one.stop().await;
    two.stop().await;
}

/// No end of a connection tells either side: the leader must stop before the other begins.
#[tokio::test]
async fn two_never_lead_when_the_network_falls_silent() {
    // With the settings that an operator gets.
    let stage = Stage::new(On::Postgres, small(115)).await;
    let proxy = Proxy::start(Upstream::Unix(postgres::socket()));
    let one = behind(&stage, "one", &proxy).await;
    one.first_run().await;
    let two = stage.replica("two", &[]).await;
    two.until_led_by("one").await;
    stage.edit(115, 10);
    let stalled = Instant::now();
    proxy.stall();
    until("the other takes over", async || {
        // The first must have said that it does not lead before the second says that it does.
        let second = two.metric("dirsync_leader").await;
        let first = one.metric("dirsync_leader").await;
        assert!(first + second < 2, "both lead");
        (second == 1).then_some(())
    })
    .await;
    println!("taken over {:.1} s after the network fell silent", stalled.elapsed().as_secs_f64());
    assert_eq!(two.first_run().await.outcome, "applied");
    proxy.restore();
    one.until_led_by("two").await;
    stage.assert_told_once();
    stage.assert_converged().await;
    one.stop().await;
    two.stop().await;
}

/// The lock's own connection is well, and nothing else of the leader's.
#[tokio::test]
async fn a_leader_whose_questions_are_not_answered_gives_the_lead_up() {
    let stage = Stage::new(On::Postgres, small(109)).await;
    let proxy = Proxy::start(Upstream::Unix(postgres::socket()));
    let one = behind(&stage, "one", &proxy).await;
    one.first_run().await;
    let two = stage.replica("two", &[]).await;
    two.until_led_by("one").await;
    stage.edit(109, 10);
    proxy.stall_all_but_the_lead();
    until("the other takes over", async || {
        // What a kubelet does.
        one.get("/readyz").await;
        two.status().await.leader.then_some(())
    })
    .await;
    assert_eq!(two.first_run().await.outcome, "applied");
    assert_eq!(one.metric("dirsync_leader").await, 0);
    proxy.restore();
    one.until_led_by("two").await;
    one.until_code("/readyz", 200).await;
    stage.assert_told_once();
    stage.assert_converged().await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_leader_that_is_stopped_commits_and_then_gives_the_lead_up() {
    // With the settings that an operator gets: the standby is called, and does not poll.
    let stage = Stage::new(On::Postgres, small(116)).await;
    stage.set("leader.ask_every", "30s");
    stage.set("leader.lease", "40s");
    let (mut one, two) = pair(&stage).await;
    stage.edit(116, 10);
    let mut latch = Latch::close(&stage);
    one.signal(Signal::USR1);
    latch.is_reached().await;
    one.signal(Signal::TERM);
    let caught = async || (one.said("INFO", "caught a signal").len() == 2).then_some(());
    until("the stop is noticed", caught).await;
    assert!(!two.status().await.leader && one.is_running(), "it waits for the commit");
    let stopped = Instant::now();
    latch.open();
    assert_eq!(one.exit_code().await, 0);
    two.until_leading().await;
    println!("taken over {:.1} s after the last commit", stopped.elapsed().as_secs_f64());
    assert_eq!(two.first_run().await.outcome, "unchanged", "the commit was whole");
    stage.assert_told_once();
    stage.assert_converged().await;
    two.stop().await;
}

/// A blip of the lead's own connection makes no new epoch and costs no run.
#[tokio::test]
async fn a_leader_that_lost_only_its_connection_goes_on() {
    let stage = stage(117).await;
    let one = stage.replica("one", &[]).await;
    one.first_run().await;
    stage.edit(117, 10);
    let mut latch = Latch::close(&stage);
    let known = run_ids(&one.status().await);
    one.signal(Signal::USR1);
    latch.is_reached().await;
    stage.sql().execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'nexus-dirsync leader' AND datname = current_database()",
    );
    let lost = async || (!one.said("WARN", "cannot be told who leads").is_empty()).then_some(());
    until("it notices", lost).await;
    one.until_leading().await;
    latch.open();
    assert_eq!(one.run_unlike(&known).await.outcome, "applied");
    assert_eq!(one.metric("dirsync_leader_epoch").await, 1);
    stage.assert_converged().await;
    one.stop().await;
}
