//! Exit codes 0 to 3, as scripts depend on them.

use graph_simulator::{Effect, Fault};

use crate::stage::{Stage, binary, small};
use crate::support::world::{BOTH, Database, On};

/// Runs without any stage: no file, no environment.
fn bare(args: &[&str]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let output = binary().args(args).current_dir(dir.path()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn without_a_configuration_all_problems_are_told_at_once() {
    for command in ["run", "sync", "check", "migrate", "status"] {
        let (code, told) = bare(&[command]);
        assert_eq!(code, Some(2), "{command}: {told}");
        for key in ["identity.tenant_id", "identity.client_id", "identity.client_secret"] {
            assert!(told.contains(key), "{command}: {key} in {told}");
        }
    }
}

#[test]
fn a_wrong_command_line_is_told_with_usage() {
    for args in [&["sink"][..], &["sync", "--fast"], &[], &["access", "who"]] {
        let (code, told) = bare(args);
        assert_eq!(code, Some(2), "{args:?}");
        assert!(told.contains("Usage"), "{told}");
    }
}

#[tokio::test]
async fn a_bad_configuration_is_refused_by_every_key() {
    let stage = Stage::new(On::Sqlite, small(50)).await;
    stage.set("graph.endpoint", "http://graph.example.com");
    stage.set("identity.authority", "http://10.0.0.1");
    stage.set("schedule.delta", "sometimes");
    stage.set("graf.page_size", "9");
    for command in ["run", "sync"] {
        let told = stage.tell(&[command]).await;
        assert_eq!(told.code, 2, "{told:?}");
        for key in ["graph.endpoint", "identity.authority", "schedule.delta", "graf"] {
            assert!(told.err.contains(key), "{key} in {told:?}");
        }
    }
}

#[tokio::test]
async fn a_database_that_was_not_migrated_is_refused_with_the_remedy() {
    for on in BOTH {
        let stage = Stage::new(on, small(51)).await;
        let empty = Database::new(on);
        stage.set("database.url", &empty.url);
        for command in ["run", "sync"] {
            let told = stage.tell(&[command]).await;
            assert_eq!(told.code, 2, "{told:?}");
            assert!(told.err.contains("nexus-dirsync migrate"), "{told:?}");
        }
        assert_eq!(stage.tell(&["migrate", "--check"]).await.code, 1);
        stage.ask(&["migrate"]).await;
        assert!(stage.ask(&["migrate"]).await.contains("nothing to do"));
        assert!(stage.ask(&["migrate", "--check"]).await.contains("current"));
        stage.ask(&["sync"]).await;
    }
}

#[tokio::test]
async fn the_database_of_another_tenant_is_refused() {
    for on in BOTH {
        let stage = Stage::new(on, small(52)).await;
        stage.ask(&["sync"]).await;
        let before = stage.sql().dump();
        stage.set("identity.tenant_id", "99999999-2222-4333-8444-555555555555");
        for command in ["sync", "run"] {
            let told = stage.tell(&[command]).await;
            assert_eq!(told.code, 2, "{command}: {told:?}");
            assert!(told.err.contains("identity.tenant_id"), "{told:?}");
        }
        assert_eq!(stage.sql().dump(), before, "nothing was written");
    }
}

#[tokio::test]
async fn a_run_that_fails_ends_with_1() {
    let stage = Stage::new(On::Sqlite, small(53)).await;
    stage.world.simulator.inject(Fault::on("/v1.0/", Effect::Html502));
    let told = stage.tell(&["sync"]).await;
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.err.contains("reading the directory failed"), "{told:?}");
}

#[tokio::test]
async fn a_mass_removal_is_held_with_3_and_withholds_nothing_else() {
    for on in BOTH {
        let stage = Stage::new(on, small(54)).await;
        stage.ask(&["sync"]).await;
        stage.set_raw("guard.floor", "2");
        stage.set_raw("guard.users_max", "5");
        let leavers = stage.world.simulator.edit(|tenant| {
            let live = |user: &&graph_simulator::User| {
                !user.is_deleted() && user.account_enabled == Some(true)
            };
            let ids: Vec<_> = tenant.users().filter(live).map(|user| user.id()).take(20).collect();
            for id in &ids {
                assert!(tenant.soft_delete_user(*id));
            }
            tenant.create_user(graph_simulator::NewUser {
                display_name: "New Comer".into(),
                account_enabled: Some(true),
                ..Default::default()
            });
            ids
        });
        for args in [&["sync"][..], &["sync", "--full"]] {
            let told = stage.tell(args).await;
            assert_eq!(told.code, 3, "{told:?}");
            assert!(told.out.contains("20 of "), "{told:?}");
            assert!(told.out.contains("guard.users_max"), "{told:?}");
        }
        let live = "SELECT CAST(object_id AS text) AS cell FROM dirsync_user_identities WHERE state = 'live'";
        let live = stage.sql().cells(live);
        assert!(leavers.iter().all(|id| live.contains(&id.to_string())), "nobody was taken away");
        let comer = "SELECT name AS cell FROM users WHERE name = 'New Comer'";
        assert!(stage.sql().finds(comer), "what gives goes on");
        // A person says yes: the next run catches up.
        let hash = stage.sql().cells("SELECT hash AS cell FROM dirsync_plans").remove(0);
        stage.ask(&["plans", "approve", &hash, "--break-glass", "they have left"]).await;
        stage.ask(&["sync"]).await;
        stage.assert_converged().await;
    }
}

#[tokio::test]
async fn a_daemon_that_withholds_says_so() {
    let stage = Stage::new(On::Sqlite, small(55)).await;
    stage.set_raw("guard.memberships_max", "3");
    stage.set_raw("guard.floor", "1");
    let daemon = stage.start().await;
    daemon.first_run().await;
    stage.world.simulator.edit(|tenant| {
        let groups: Vec<_> = tenant.groups().map(graph_simulator::Group::id).collect();
        for group in groups {
            let members: Vec<_> = tenant.direct_members(group).collect();
            for member in members {
                assert!(tenant.remove_member(group, member));
            }
        }
    });
    let run = daemon.turn(rustix::process::Signal::USR1).await;
    assert_eq!(run.outcome, "held");
    assert!(daemon.status().await.withheld.memberships > 3);
    let told = stage.tell(&["status"]).await;
    assert_eq!(told.code, 3, "{told:?}");
    assert!(told.out.contains("WITHHELD"), "{told:?}");
    assert_eq!((daemon.code("/livez").await, daemon.code("/readyz").await), (200, 200));
    daemon.stop().await;
}
