//! `registry check`: the file alone, and what it would do.

use crate::stage::{Stage, binary, small};
use crate::support::world::BOTH;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/registry.toml");

#[test]
fn the_file_alone_needs_no_configuration() {
    let output = binary().args(["registry", "check", SHIPPED]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("99 products"), "{told}");
    assert!(told.contains("only the file was checked"), "{told}");
}

#[test]
fn a_file_with_problems_is_refused_with_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.toml");
    let entry = "[[product]]\nname = \"a\"\ndescription = \"\"\nenvironment = \"production\"\ngroups = [\"\"]\n";
    std::fs::write(&path, entry.repeat(2)).unwrap();
    let output = binary().args(["registry", "check"]).arg(&path).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("group name is empty") && told.contains("named already"), "{told}");
    let output = binary().args(["registry", "check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "no file, no configuration");
}

#[tokio::test]
async fn with_a_database_the_changes_are_shown_and_none_is_made() {
    for on in BOTH {
        let stage = Stage::new(on, small(80)).await;
        stage.ask(&["sync"]).await;
        let group = stage.world.simulator.read(|tenant| {
            let live = |group: &&graph_simulator::Group| !group.is_deleted();
            tenant.groups().find(live).map(|group| group.display_name.clone()).unwrap()
        });
        let path = stage.write_registry(&format!(
            "[[product]]\nname = \"shop\"\ndescription = \"Shop\"\nenvironment = \"production\"\ngroups = [{group:?}, \"NOBODY-KNOWS\"]\n"
        ));
        let before = stage.sql().dump();
        let told = stage.ask(&["registry", "check"]).await;
        for part in ["1 products, 2 groups", "shop", "NOBODY-KNOWS"] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert_eq!(stage.sql().dump(), before, "{on:?}");
        let named = stage.ask(&["registry", "check", path.to_str().unwrap()]).await;
        assert_eq!(named, told);
        stage.ask(&["sync"]).await;
        stage.world.assert_audit_whole().await;
    }
}

/// A product with one group.
fn entry(group: &str) -> String {
    format!(
        "[[product]]\nname = \"shop\"\ndescription = \"Shop\"\nenvironment = \"production\"\ngroups = [{group:?}]\n"
    )
}

#[tokio::test]
async fn what_would_be_held_is_shown_before_and_after_it_is() {
    for on in BOTH {
        let stage = Stage::new(on, small(82)).await;
        let groups: Vec<String> = stage.world.simulator.read(|tenant| {
            let live = tenant.groups().filter(|group| !group.is_deleted());
            live.map(|group| group.display_name.clone()).collect()
        });
        let [first, .., last] = groups.as_slice() else { panic!("groups: {groups:?}") };
        stage.write_registry(&entry(first));
        stage.ask(&["sync"]).await;
        let told = stage.ask(&["registry", "check"]).await;
        assert!(told.contains("just what the registry says"), "{on:?}: {told}");
        stage.set_raw("guard.rehearse", "true");
        stage.write_registry(&entry(last));
        for _ in 0..2 {
            let told = stage.tell(&["registry", "check"]).await;
            assert_eq!(told.code, 3, "{on:?}: {told:?}");
            assert!(told.out.contains("\n= "), "{on:?}: {told:?}");
            assert!(told.out.contains("are held until somebody approves"), "{on:?}: {told:?}");
            assert_eq!(stage.tell(&["sync"]).await.code, 3, "{on:?}");
        }
        stage.write_registry(&entry("NOBODY-KNOWS").replace("shop", "other"));
        for _ in 0..2 {
            let told = stage.tell(&["registry", "check"]).await;
            assert!(told.out.contains("NOBODY-KNOWS"), "{on:?}: open findings are told: {told:?}");
            stage.tell(&["sync"]).await;
        }
    }
}

#[test]
fn a_broken_configuration_is_not_taken_for_none() {
    for (args, variable, part) in [
        (&["--config", "/nowhere/dirsync.toml"][..], None, "/nowhere/dirsync.toml"),
        (&[], Some(("DIRSYNC__DATABASE__URL", "mysql://host/db")), "database.url"),
        (&[], Some(("DIRSYNC__IDENTITY__KIND", "nonsense")), "identity.kind"),
    ] {
        let mut command = binary();
        let output = command
            .args(args)
            .args(["registry", "check", SHIPPED])
            .envs(variable)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(part), "{part} in {told}");
    }
}
