//! `audit verify`: whole, and not whole after somebody had a hand in it.

use crate::stage::{Stage, small};
use crate::support::world::BOTH;

const TAMPERED: &[(&str, &str)] = &[
    (
        "UPDATE users SET role = 'admin' WHERE id = (SELECT min(user_id) FROM dirsync_user_identities)",
        "WRONG user ",
    ),
    (
        "DELETE FROM dirsync_group_members WHERE user_id = (SELECT min(user_id) FROM dirsync_group_members)",
        "WRONG ",
    ),
    (
        "DELETE FROM audit_logs WHERE id = (SELECT max(id) FROM audit_logs WHERE action = 'create' AND entity_type = 'user')",
        "WRONG user ",
    ),
    (
        "DELETE FROM audit_logs WHERE id = (SELECT max(id) FROM audit_logs WHERE action = 'link')",
        "WRONG ",
    ),
];

#[tokio::test]
async fn tampering_is_found_wherever_it_is() {
    for on in BOTH {
        for (tamper, found) in TAMPERED {
            let stage = Stage::new(on, small(90)).await;
            stage.ask(&["sync"]).await;
            let told = stage.ask(&["audit", "verify"]).await;
            assert!(told.contains(", 0 differences, 0 changes by others"), "{told}");
            stage.sql().execute(tamper);
            let told = stage.tell(&["audit", "verify"]).await;
            assert_eq!(told.code, 1, "{on:?} {tamper}: {told:?}");
            assert!(told.out.contains(found), "{on:?} {tamper}: {told:?}");
        }
    }
}

#[tokio::test]
async fn a_schema_that_is_not_known_is_not_judged() {
    const NEWER: &str = "INSERT INTO __diesel_schema_migrations (version) VALUES ('dirsync9999')";
    let questions: [&[&str]; 4] = [
        &["audit", "verify"],
        &["access", "who", "shop"],
        &["access", "explain", "ada@contoso.example", "shop"],
        &["registry", "check"],
    ];
    for on in BOTH {
        let stage = Stage::new(on, small(91)).await;
        let entry = "[[product]]\nname = \"shop\"\ndescription = \"Shop\"\nenvironment = \"production\"\ngroups = []\n";
        stage.write_registry(entry);
        stage.ask(&["sync"]).await;
        stage.sql().execute(NEWER);
        for question in questions {
            let told = stage.tell(question).await;
            assert_eq!(told.code, 2, "{on:?} {question:?}: {told:?}");
            assert!(told.err.contains("newer version"), "{on:?} {question:?}: {told:?}");
        }
        let empty = stage.path("empty.db").display().to_string();
        stage.set("database.url", &format!("sqlite://{empty}"));
        for question in questions {
            let told = stage.tell(question).await;
            assert_eq!(told.code, 2, "{question:?}: {told:?}");
            assert!(told.err.contains("migrate"), "{question:?}: {told:?}");
        }
    }
}
