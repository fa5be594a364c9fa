//! Taking the daemon's tables back: not by accident, and never behind the audit's back.

use crate::prelude::*;
use nexus_dirsync::directory::ObjectId;
use nexus_dirsync::store::{Belongings, Error};

const TEAM: Groups<'_> = &[("readers", &["ada", "bob"]), ("admins", &["ada"])];

/// A platform after its first run, with a registry, an owner, an admin group.
async fn furnished(on: On) -> World {
    let mut world = World::new(on, company(TEAM)).await;
    world.settings.admin_groups = BTreeSet::from([ObjectId::new(id("admins"))]);
    world.registry(vec![entry("registered", &["readers"], Some("bob"))]);
    world.run(Full).await;
    assert_eq!(world.user("ada"), "ada|ada@contoso.example|admin|live", "{on:?}");
    world
}

#[tokio::test]
async fn what_is_the_daemons_is_not_forgotten_by_accident() {
    for on in BOTH {
        let world = furnished(on).await;
        let before = world.database.dump();
        let refused = world.store.revert().await.unwrap_err();
        let Error::Forgetting(belongings) = &refused else { panic!("{on:?}: {refused}") };
        let expected = Belongings { people: 2, admins: 1, groups: 2, registry: 3, names: 2 };
        assert_eq!(*belongings, expected, "{on:?}");
        let told = refused.to_string();
        for part in ["2 people, 1 of them admins", "3 rows made by the registry", "--forget"] {
            assert!(told.contains(part), "{on:?}: {told}");
        }
        assert!(world.database.dump() == before, "{on:?}: nothing was changed");
        assert_eq!(world.store.migrate().await.unwrap(), [""; 0], "{on:?}");
        world.assert_rests().await;
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn what_was_given_up_is_peoples_and_the_audit_says_so() {
    for on in BOTH {
        let world = furnished(on).await;
        let rows = world.lines("id, email, role", "users");
        world.store.revert_and_forget().await.unwrap();
        let told = world.lines("metadata", "audit_logs WHERE entity_id = 0").remove(0);
        assert!(told.contains("nexus-dirsync") && told.contains("registry_rows"), "{on:?} {told}");
        world.store.migrate().await.unwrap();
        world.assert_audit_whole().await;
        world.run(Full).await;
        assert_eq!(world.lines("id, email, role", "users"), rows, "{on:?}: no row changed");
        let mut waiting = ["ada", "bob"].map(|name| format!("adoption_waits|{}", id(name)));
        waiting.sort();
        let findings = world.findings();
        assert!(waiting.iter().all(|wait| findings.contains(wait)), "{on:?} {findings:?}");
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn empty_tables_are_taken_back_without_a_question() {
    for on in BOTH {
        let world = World::new(on, company(TEAM)).await;
        world.store.revert().await.unwrap();
        assert_eq!(world.database.count("audit_logs"), 0, "{on:?}: nothing was forgotten");
        world.store.migrate().await.unwrap();
        world.run(Full).await;
        world.assert_equals_tenant().await;
    }
}
