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
