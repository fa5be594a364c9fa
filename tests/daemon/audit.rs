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
