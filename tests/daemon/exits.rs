//! Exit codes 0 to 3, as scripts depend on them.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::process::Command;

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
    for command in ["run", "sync", "check", "status"] {
        let (code, told) = bare(&[command]);
        assert_eq!(code, Some(2), "{command}: {told}");
        for key in ["identity.tenant_id", "identity.client_id", "identity.client_secret"] {
            assert!(told.contains(key), "{command}: {key} in {told}");
        }
    }
}

#[test]
fn commands_that_ask_the_database_alone_need_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let ask = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = binary();
        command.args(args).current_dir(dir.path()).envs(variables.iter().copied());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let there = ("DIRSYNC__DATABASE__URL", "sqlite://there.db");
    for args in [
        &["migrate", "--check"][..],
        &["migrate", "--revert"],
        &["audit", "verify"],
        &["plans", "list"],
        &["access", "who", "nothing"],
    ] {
        let (_, _, told) = ask(args, &[there]);
        assert!(told.contains("there is no database at there.db"), "{args:?}: {told}");
        assert!(told.contains("nexus-dirsync migrate"), "{args:?}: {told}");
        assert!(!dir.path().join("there.db").exists(), "{args:?} made one");
    }
    let (code, told, _) = ask(&["migrate"], &[there]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.starts_with("applied to SQLite, there.db: dirsync0001"), "{told}");
    for args in [&["migrate", "--check"][..], &["audit", "verify"]] {
        let (code, out, err) = ask(args, &[there, ("DIRSYNC__SCHEDULE__DELTA", "sometimes")]);
        assert_eq!(code, Some(0), "{args:?}: {out}{err}");
    }
    let (code, _, told) = ask(&["access", "who", "nothing"], &[there]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("there is no product"), "{told}");
    // A misspelt key would otherwise mean the default: a database that nobody asked for.
    for (key, value) in [
        ("DIRSYNC__DATABSE__URL", "sqlite://there.db"),
        ("DIRSYNC__DATABASE__URL", "mysql://there"),
        ("DIRSYNC__DATABASE__URL_FILE", "/nowhere"),
    ] {
        let (code, _, told) = ask(&["migrate"], &[(key, value)]);
        assert_eq!(code, Some(2), "{key}: {told}");
        assert!(!told.contains("identity."), "{told}");
    }
    assert!(!dir.path().join("dirsync.db").exists());
}

#[test]
fn a_wrong_command_line_is_told_with_usage() {
    for args in [&["sink"][..], &["sync", "--fast"], &[], &["access", "who"]] {
        let (code, told) = bare(args);
        assert_eq!(code, Some(2), "{args:?}");
        assert!(told.contains("Usage"), "{told}");
    }
}

#[test]
fn the_version_is_told_with_the_revision() {
    for command in [&["--version"][..], &["run", "--version"]] {
        let output = binary().args(command).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let expected = format!("{} ({})", nexus_dirsync::VERSION, nexus_dirsync::REVISION);
        assert_eq!((output.status.code(), told.contains(&expected)), (Some(0), true), "{told}");
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

/// A file that never ends, or that waits for somebody to write it, is none to read.
#[tokio::test]
async fn files_that_are_no_files_are_refused_by_name() {
    let stage = Stage::new(On::Sqlite, small(58)).await;
    let good = stage.path("dirsync.toml").display().to_string();
    let pipe = stage.path("pipe").display().to_string();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let large = stage.path("large.toml").display().to_string();
    File::create(&large).unwrap().set_len(1024 * 1024 + 1).unwrap();
    let linked = stage.path("linked.toml").display().to_string();
    symlink(&good, &linked).unwrap();
    let no_file = "is not a regular file";
    for (file, why) in [("/dev/zero", no_file), (&pipe, no_file), (&large, "is larger than 1 MiB")]
    {
        let bad = [
            (&["check", "--config", file][..], None, file),
            (&["registry", "check", file], None, file),
            (&["check"], Some("DIRSYNC__DATABASE__URL_FILE"), "database.url_file"),
            (
                &["check"],
                Some("DIRSYNC__IDENTITY__CLIENT_SECRET_FILE"),
                "identity.client_secret_file",
            ),
        ];
        for (args, variable, named) in bad {
            let config = ("DIRSYNC_CONFIG", if variable.is_some() { &*linked } else { "" });
            let mut command = binary();
            command.args(args).envs([config]).envs(variable.map(|name| (name, file)));
            let output = command.output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{args:?} {variable:?} {file}: {told}");
            assert!(told.contains(why) && told.contains(named), "{variable:?} {file}: {told}");
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
async fn a_command_that_reads_for_too_long_fails_and_names_the_setting() {
    let stage = Stage::new(On::Sqlite, small(56)).await;
    stage.set("schedule.run_timeout", "1s");
    stage.write_registry(
        "[[product]]\nname = \"shop\"\ndescription = \"\"\nenvironment = \"production\"\ngroups = []\n",
    );
    stage.world.simulator.inject(Fault::on("/v1.0/", Effect::Hang));
    for args in [&["sync", "--dry-run"][..], &["registry", "check"], &["sync"]] {
        let told = stage.tell(args).await;
        assert_eq!(told.code, 1, "{args:?}: {told:?}");
        let why = "reading took longer than schedule.run_timeout (1s); nothing was written";
        assert_eq!(told.err.matches(why).count(), 1, "{args:?}: {told:?}");
    }
    let recorded = stage.sql().cells("SELECT outcome || ' ' || trigger AS cell FROM dirsync_runs");
    assert_eq!(recorded, ["failed command"]);
}

#[tokio::test]
async fn a_run_that_fails_is_recorded_with_what_it_read() {
    for on in BOTH {
        let stage = Stage::new(on, small(56)).await;
        stage.world.simulator.inject(Fault::on("/v1.0/groups?", Effect::Html502));
        stage.tell(&["sync", "--dry-run"]).await;
        assert_eq!(stage.sql().dump()["dirsync_runs"].len(), 0, "{on:?}: a dry run leaves nothing");
        assert_eq!(stage.tell(&["sync"]).await.code, 1);
        let daemon = stage.start().await;
        daemon.first_run().await;
        daemon.stop().await;
        let runs = stage.world.store.read(|tx| tx.recent_runs(10)).await.unwrap();
        let triggers: Vec<&str> = runs.iter().map(|run| run.trigger.as_str()).collect();
        assert_eq!(triggers, ["startup", "command"], "{on:?}");
        for run in runs {
            assert_eq!(run.outcome, "failed", "{on:?}");
            let report: serde_json::Value = serde_json::from_str(&run.report).unwrap();
            assert!(report["reading"]["requests"].as_u64().unwrap() > 2, "{on:?}: {report}");
            assert!(report["reading"]["retries"].as_u64().unwrap() > 0, "{on:?}: {report}");
        }
    }
}

#[tokio::test]
async fn text_in_a_file_has_no_colours() {
    let stage = Stage::new(On::Sqlite, small(57)).await;
    stage.set("log.format", "text");
    let daemon = stage.start().await;
    daemon.first_run().await;
    let printed = daemon.printed();
    assert!(printed.contains("the run is complete"), "{printed}");
    assert!(!printed.contains('\u{1b}'), "{printed:?}");
    daemon.stop().await;
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
