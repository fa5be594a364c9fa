//! What other people on the machine, or on the network, can learn from a running daemon.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;

use crate::stage::{SECRET, Stage, small};
use crate::support::company::{Groups, address, company, id};
use crate::support::world::{BOTH, On};

const TEAM: Groups<'_> =
    &[("Top-Secret-Readers", &["ada-lovelace", "bob-marley"]), ("Ops", &["ada-lovelace"])];

const REGISTRY: &str = r#"
    [[product]]
    name = "hidden-shop"
    description = "The shop"
    environment = "production"
    groups = ["Top-Secret-Readers", "Nobody-Knows"]
    owner = "bob-marley"
"#;

/// People, groups and products of a company, and where Graph is: none of it is anybody's
/// business who can reach the port.
#[tokio::test]
async fn what_is_served_and_logged_names_nobody() {
    for on in BOTH {
        let stage = Stage::new(on, company(TEAM)).await;
        stage.write_registry(REGISTRY);
        stage.set("log.level", "info");
        let daemon = stage.start().await;
        daemon.first_run().await;
        stage.world.simulator.edit(|tenant| {
            tenant.update_user(id("ada-lovelace"), |user| user.mail = Some("x@y.example".into()));
            tenant.soft_delete_user(id("bob-marley"));
        });
        daemon.turn(Signal::USR1).await;
        let mut never: Vec<String> = ["ada-lovelace", "bob-marley", "Top-Secret-Readers", "Ops"]
            .iter()
            .flat_map(|name| [(*name).to_owned(), address(name), id(name).to_string()])
            .collect();
        never.extend(
            ["hidden-shop", "Nobody-Knows", "@", "x@y", "postgres:", "sqlite:", SECRET, "://"]
                .map(str::to_owned),
        );
        for path in ["/livez", "/readyz", "/metrics", "/status", "/nothing"] {
            let (_, body) = daemon.get(path).await.unwrap();
            for word in &never {
                assert!(!body.contains(word.as_str()), "{on:?} {path}: {word} in {body}");
            }
        }
        // The log may give ids and settings, but no names and addresses.
        for name in ["ada-lovelace", "bob-marley", "Top-Secret-Readers", "hidden-shop", "x@y"] {
            assert!(!daemon.printed().contains(name), "{on:?}: {name} in {}", daemon.printed());
        }
        daemon.stop().await;
    }
}

#[tokio::test]
async fn the_process_list_shows_no_secret() {
    let stage = Stage::new(On::Sqlite, small(93)).await;
    let file = stage.path("secret");
    fs::write(&file, SECRET).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    stage.unset("identity.client_secret");
    stage.set("identity.client_secret_file", &file.display().to_string());
    let daemon = stage.start().await;
    daemon.first_run().await;
    let of = |name: &str| {
        let bytes = fs::read(format!("/proc/{}/{name}", daemon.pid())).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    for name in ["cmdline", "environ", "comm", "status", "stat"] {
        assert!(!of(name).contains(SECRET), "{name}");
    }
    let threads = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().flatten();
    let children: String = threads
        .map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default())
        .collect();
    assert_eq!(children, "", "nobody inherits anything");
    daemon.stop().await;
}

#[tokio::test]
async fn memory_is_not_dumped() {
    let stage = Stage::new(On::Sqlite, small(94)).await;
    let mut daemon = stage.start().await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let numbers: Vec<&str> = core.split_whitespace().filter(|word| *word == "0").collect();
    assert_eq!(numbers.len(), 2, "{core}");
    daemon.signal(Signal::ABORT);
    let status = daemon.end().await;
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}
