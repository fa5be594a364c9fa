//! HUP: the whole configuration or none of it, the registry included.

use std::fs;
use std::process::Command;

use nexus_dirsync::daemon::Status;
use rustix::process::Signal;

use crate::process::Daemon;
use crate::stage::{Stage, small};
use crate::support::world::On;

const RELOAD_METRIC: &str = "dirsync_config_last_reload_successful";

fn product(name: &str) -> String {
    format!(
        "[[product]]\nname = {name:?}\ndescription = \"{name}\"\nenvironment = \"production\"\ngroups = []\n"
    )
}

fn products(stage: &Stage) -> Vec<String> {
    stage.sql().cells("SELECT name AS cell FROM products ORDER BY name")
}

async fn furnished() -> (Stage, Daemon) {
    let stage = Stage::new(On::Sqlite, small(30)).await;
    stage.write_registry(&product("one"));
    let daemon = stage.start().await;
    daemon.first_run().await;
    assert_eq!(products(&stage), ["one"]);
    (stage, daemon)
}

async fn accepted(daemon: &Daemon) -> Status {
    let before = daemon.status().await.config.loaded_at;
    daemon.signal(Signal::HUP);
    daemon.until_status("the reload", |status| status.config.loaded_at > before).await
}

/// Reloads what must be refused: nothing changes, and everybody can see why.
async fn refused(daemon: &Daemon, why: &str) {
    let before = daemon.status().await.config.loaded_at;
    let told = daemon.said("ERROR", "").len();
    daemon.signal(Signal::HUP);
    let status = daemon.until_status("the refusal", |status| status.config.reload_failed).await;
    // The next run comes after the reload, so whatever a refusal still does is done then.
    daemon.turn(Signal::USR1).await;
    assert_eq!(daemon.metric(RELOAD_METRIC).await, 0);
    let after = daemon.status().await;
    assert!(after.config.reload_failed, "still refused");
    assert_eq!((status.config.loaded_at, after.config.loaded_at), (before, before));
    let errors = daemon.said("ERROR", "");
    assert_eq!(errors.len(), told + 1, "{errors:?}");
    assert!(errors[told].to_string().contains(why), "{why} in {}", errors[told]);
    assert!(daemon.said("INFO", "the configuration was reloaded").is_empty());
}

#[tokio::test]
async fn a_changed_registry_takes_effect_with_the_next_run() {
    let (stage, daemon) = furnished().await;
    stage.write_registry(&(product("one") + &product("two")));
    daemon.turn(Signal::USR1).await;
    assert_eq!(products(&stage), ["one"], "not before it was asked for");
    accepted(&daemon).await;
    assert_eq!(daemon.turn(Signal::USR1).await.outcome, "applied");
    assert_eq!(products(&stage), ["one", "two"]);
    assert_eq!(daemon.metric(RELOAD_METRIC).await, 1);
    daemon.stop().await;
}

#[tokio::test]
async fn a_broken_registry_keeps_everything_as_it_was() {
    let (stage, daemon) = furnished().await;
    // A good change beside it must not come through alone.
    stage.set("log.level", "error");
    stage.write_registry("[[product]]\nname = \"two\"\nnonsense = 1\n");
    refused(&daemon, "registry").await;
    assert_eq!(products(&stage), ["one"]);

    stage.set("log.level", "trace");
    stage.write_registry(&(product("one") + &product("two")));
    assert!(!accepted(&daemon).await.config.reload_failed);
    assert_eq!(daemon.metric(RELOAD_METRIC).await, 1);
    daemon.turn(Signal::USR1).await;
    assert_eq!(products(&stage), ["one", "two"]);
    daemon.stop().await;
}

#[tokio::test]
async fn a_broken_configuration_keeps_everything_as_it_was() {
    let (stage, daemon) = furnished().await;
    stage.write_registry(&(product("one") + &product("two")));
    stage.write_config("graph.page_sise = 9\n");
    refused(&daemon, "graph.page_sise").await;
    assert_eq!(products(&stage), ["one"]);
    stage.write_config("");
    accepted(&daemon).await;
    daemon.turn(Signal::USR1).await;
    assert_eq!(products(&stage), ["one", "two"]);
    daemon.stop().await;
}

/// It would be waited for until somebody writes it, and nothing else be done meanwhile.
#[tokio::test]
async fn a_pipe_in_place_of_a_file_is_refused_and_holds_nothing_up() {
    let (stage, daemon) = furnished().await;
    for (file, why) in [("registry.toml", "registry"), ("dirsync.toml", "dirsync.toml")] {
        let path = stage.path(file);
        let before = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        refused(&daemon, why).await;
        fs::remove_file(&path).unwrap();
        fs::write(&path, before).unwrap();
    }
    accepted(&daemon).await;
    daemon.stop().await;
}

#[tokio::test]
async fn keys_that_take_a_restart_are_named_and_the_others_are_taken() {
    let (stage, daemon) = furnished().await;
    stage.set_raw("http.connections_max", "9");
    stage.set_raw("database.pool_size", "7");
    stage.write_registry(&(product("one") + &product("two")));
    let status = accepted(&daemon).await;
    assert_eq!(status.config.restart_needed, ["database.pool_size", "http"]);
    let warned = daemon.said("WARN", "these keys take a restart");
    assert_eq!(warned[0]["keys"], "database.pool_size, http");
    daemon.turn(Signal::USR1).await;
    assert_eq!(products(&stage), ["one", "two"]);

    stage.unset("http.connections_max");
    stage.unset("database.pool_size");
    assert_eq!(accepted(&daemon).await.config.restart_needed, [""; 0]);
    daemon.stop().await;
}
