//! Held plans as people meet them: the commands, beside a daemon and without one.

use graph_simulator::Group;
use nexus_dirsync::daemon::Status;
use rustix::process::Signal;

use crate::stage::{Stage, small, until};
use crate::support::world::{BOTH, On};

/// A platform that may lose three memberships a run, and a tenant that empties its groups.
async fn emptied(on: On) -> Stage {
    let stage = Stage::new(on, small(56)).await;
    stage.set_raw("guard.memberships_max", "3");
    stage.set_raw("guard.floor", "1");
    stage.ask(&["migrate"]).await;
    stage.ask(&["sync", "--full"]).await;
    stage.world.simulator.edit(|tenant| {
        let groups: Vec<_> = tenant.groups().map(Group::id).collect();
        for group in groups {
            let members: Vec<_> = tenant.direct_members(group).collect();
            for member in members {
                assert!(tenant.remove_member(group, member));
            }
        }
    });
    stage
}

/// The hash of the one plan that waits.
async fn waiting(stage: &Stage) -> String {
    let told = stage.tell(&["plans", "list", "--json"]).await;
    assert_eq!(told.code, 3, "{told:?}");
    let plans: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let waits = |plan: &&serde_json::Value| plan["status"] == "pending";
    let mut waiting = plans.as_array().unwrap().iter().filter(waits);
    let hash = waiting.next().expect("a plan")["hash"].as_str().unwrap().to_owned();
    assert!(waiting.next().is_none(), "{}", told.out);
    hash
}

/// An admin whom people made: the directory knows nothing of it.
fn make_admin(stage: &Stage) -> String {
    let email = "root@platform.example".to_owned();
    let insert =
        format!("INSERT INTO users (email, name, role) VALUES ('{email}', 'Root', 'admin')");
    stage.sql().execute(&insert);
    email
}

#[tokio::test]
async fn a_plan_is_shown_approved_and_carried_out_by_the_daemon() {
    for on in BOTH {
        let stage = emptied(on).await;
        let dry = stage.tell(&["sync", "--dry-run"]).await;
        assert_eq!(dry.code, 3, "{dry:?}");
        assert!(
            dry.out.contains("guard.memberships_max") && dry.out.contains(" leaves "),
            "{dry:?}"
        );
        assert_eq!(stage.tell(&["plans", "list"]).await.code, 0, "a dry run holds nothing");

        let daemon = stage.start().await;
        assert_eq!(daemon.first_run().await.outcome, "held", "{on:?}");
        let hash = waiting(&stage).await;
        assert_eq!(daemon.status().await.pending.plans, 1);
        assert_eq!(daemon.metric("dirsync_plan_pending").await, 1);
        let shown = stage.ask(&["plans", "show", &hash[..10]]).await;
        assert!(shown.contains(&hash) && shown.contains("[delta_tombstone]"), "{shown}");

        // Nobody but a live admin, and no glass to break while there is one.
        let nobody = stage.tell(&["plans", "approve", &hash, "--by", "nobody@x"]).await;
        assert!(nobody.code == 2 && nobody.err.contains("--break-glass"), "{nobody:?}");
        let admin = make_admin(&stage);
        let nobody = stage.tell(&["plans", "approve", &hash, "--by", "nobody@x"]).await;
        assert!(nobody.code == 2 && nobody.err.contains("no live admin"), "{nobody:?}");
        for silent in [
            &["plans", "approve", &hash, "--break-glass", " "][..],
            &["plans", "reject", &hash, "--reason", "no", "--break-glass", ""],
        ] {
            let told = stage.tell(silent).await;
            assert!(told.code == 2 && told.err.contains("--break-glass is empty"), "{told:?}");
        }
        let glass = stage.tell(&["plans", "approve", &hash, "--break-glass", "in a hurry"]).await;
        assert!(glass.code == 2 && glass.err.contains("--by"), "{glass:?}");
        for items in ["0", "99999", "x"] {
            let args = ["plans", "approve", &hash, "--by", &admin, "--only", items];
            let refused = stage.tell(&args).await;
            assert!(refused.code == 2 && refused.err.contains("--only"), "{refused:?}");
        }
        assert_eq!(stage.tell(&["plans", "show", "ffff"]).await.code, 2);

        let known = crate::process::run_ids(&daemon.status().await);
        let told = stage.ask(&["plans", "approve", &hash, "--by", &admin.to_uppercase()]).await;
        assert!(told.contains("reads the directory again"), "{told}");
        assert_eq!(daemon.run_unlike(&known).await.outcome, "applied", "{on:?}");
        stage.assert_converged().await;
        assert_eq!(stage.ask(&["plans", "list"]).await.trim(), "nothing is held");
        let again = stage.tell(&["plans", "approve", &hash, "--by", &admin]).await;
        assert!(again.code == 1 && again.err.contains("answered once"), "{again:?}");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn without_a_daemon_sync_carries_an_approval_out_and_a_rejection_stays() {
    let stage = emptied(On::Sqlite).await;
    assert_eq!(stage.tell(&["sync"]).await.code, 3);
    let hash = waiting(&stage).await;
    let admin = make_admin(&stage);
    let args = ["plans", "approve", &hash, "--by", &admin, "--only", "1-2"];
    let told = stage.ask(&args).await;
    assert!(told.contains("2 of ") && told.contains("nexus-dirsync sync"), "{told}");
    assert_eq!(stage.tell(&["sync"]).await.code, 3, "the others are held anew");
    let rest = waiting(&stage).await;
    assert_ne!(rest, hash);
    stage.ask(&["plans", "reject", &rest, "--by", &admin, "--reason", "a mistake"]).await;
    let quiet = stage.tell(&["sync"]).await;
    assert_eq!(quiet.code, 0, "{quiet:?}: what was rejected waits for nobody");
    let shown = stage.ask(&["plans", "show", &rest]).await;
    assert!(shown.contains("rejected by") && shown.contains("a mistake"), "{shown}");
    let left =
        stage.sql().cells("SELECT CAST(count(*) AS text) AS cell FROM dirsync_group_members");
    assert_ne!(left, ["0"], "nobody else lost anything");
    let audit = stage.tell(&["audit", "verify"]).await;
    assert_eq!(audit.code, 0, "{audit:?}");
}

#[tokio::test]
async fn a_hold_clears_by_itself_in_the_status() {
    let stage = emptied(On::Sqlite).await;
    let before = stage.world.simulator.read(|tenant| tenant.edge_count());
    let daemon = stage.start().await;
    daemon.first_run().await;
    assert_eq!(before, 0);
    let (group, user) = {
        let mut sql = stage.sql();
        let ids = sql.cells("SELECT CAST(g.object_id AS text) || ' ' || CAST(i.object_id AS text) AS cell FROM dirsync_group_members m JOIN dirsync_aad_groups g ON g.aad_group_id = m.aad_group_id JOIN dirsync_user_identities i ON i.user_id = m.user_id");
        let parse = |text: &str| text.parse().unwrap();
        let all: Vec<(uuid::Uuid, uuid::Uuid)> = ids
            .iter()
            .map(|id| id.split_once(' ').map(|(g, u)| (parse(g), parse(u))).unwrap())
            .collect();
        stage.world.simulator.edit(|tenant| {
            for (group, user) in &all {
                tenant.add_member(*group, *user);
            }
        });
        all[0]
    };
    assert_ne!(group, user);
    daemon.turn(Signal::USR1).await;
    until("the hold to clear", async || (daemon.status().await.pending.plans == 0).then_some(()))
        .await;
    assert_eq!(stage.tell(&["plans", "list"]).await.code, 0);
    daemon.stop().await;
}

#[tokio::test]
async fn a_rejection_shows_without_waiting_for_the_schedule() {
    for on in BOTH {
        let stage = emptied(on).await;
        let daemon = stage.start().await;
        daemon.until_status("a plan waits", |status| status.pending.plans == 1).await;
        let admin = make_admin(&stage);
        let hash = waiting(&stage).await;
        stage.ask(&["plans", "reject", &hash, "--by", &admin, "--reason", "a mistake"]).await;
        let over = |status: &Status| status.pending.plans == 0 && status.withheld.memberships == 0;
        daemon.until_status("nothing waits", over).await;
        assert_eq!(daemon.metric("dirsync_plan_pending").await, 0, "{on:?}");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_yes_to_a_purge_is_carried_out_by_a_full_run() {
    let stage = Stage::new(On::Sqlite, small(57)).await;
    stage.set("removal.retention", "1s");
    stage.ask(&["migrate"]).await;
    stage.ask(&["sync", "--full"]).await;
    stage.world.simulator.edit(|tenant| {
        let somebody = tenant.users().next().expect("somebody").id();
        tenant.purge_user(somebody);
    });
    stage.ask(&["sync"]).await;
    stage.set_raw("guard.users_max", "0");
    until("the purge is held", async || {
        let held = stage.tell(&["sync", "--full"]).await.code == 3;
        held.then_some(())
    })
    .await;
    let users = stage.world.database.count("users");
    let admin = make_admin(&stage);
    let daemon = stage.start().await;
    daemon.until_status("it is ready for answers", |status| status.leader).await;
    let hash = waiting(&stage).await;
    stage.ask(&["plans", "approve", &hash, "--by", &admin]).await;
    let carried_out = |status: &Status| {
        status.last.get("full").is_some_and(|run| run.changes.contains_key("user.delete"))
    };
    daemon.until_status("the purge is carried out", carried_out).await;
    assert_eq!(stage.world.database.count("users"), users, "one less, and the admin");
    daemon.stop().await;
}
