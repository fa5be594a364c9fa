//! Verifying the audit, by command and by the daemon: whole, and not whole after somebody
//! had a hand in it.

use nexus_dirsync::daemon::{AuditStatus, Status};
use rustix::process::Signal;

use crate::replicas;
use crate::stage::{Stage, small, until};
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

const OPEN: &str = "SELECT message AS cell FROM dirsync_findings WHERE kind = 'audit_diverged' AND resolved_at IS NULL";

#[tokio::test]
async fn the_daemon_tells_of_tampering_until_it_is_undone() {
    for on in BOTH {
        let stage = Stage::new(on, small(92)).await;
        stage.set("audit.verify_every", "1s");
        let daemon = stage.start().await;
        let differs = |expected| {
            move |status: &Status| {
                status.audit.verified_at.is_some() && (status.audit.differences > 0) == expected
            }
        };
        let whole = daemon.until_status("the audit is verified", differs(false)).await.audit;
        assert!(whole.rows > 0 && whole.due_at > whole.verified_at, "{on:?}: {whole:?}");
        assert!(daemon.value("dirsync_audit_verified_timestamp_seconds").await > 0.0);
        assert!(stage.sql().cells(OPEN).is_empty());

        let columns = "aad_group_id || ', ' || user_id";
        let member = stage.sql().cells(&format!(
            "SELECT {columns} AS cell FROM dirsync_group_members ORDER BY aad_group_id, user_id LIMIT 1"
        ));
        stage.sql().execute(&format!(
            "DELETE FROM dirsync_group_members WHERE {columns} = '{}'",
            member[0]
        ));
        daemon.until_status("tampering is found", differs(true)).await;
        assert_eq!(daemon.metric("dirsync_audit_differences").await, 1);
        let told = stage.sql().cells(OPEN).concat();
        assert!(
            told.contains("differ in 1 place,") && told.contains("the tables have not"),
            "{told}"
        );
        assert!(!daemon.said("ERROR", "audit and tables differ").is_empty());
        let told = stage.tell(&["status"]).await;
        assert!(told.code == 1 && told.out.contains("AUDIT DIFFERS"), "{told:?}");

        stage.sql().execute(&format!(
            "INSERT INTO dirsync_group_members (aad_group_id, user_id) VALUES ({})",
            member[0]
        ));
        daemon.until_status("it is found undone", differs(false)).await;
        assert!(stage.sql().cells(OPEN).is_empty());
        daemon.stop().await;
    }
}

#[tokio::test]
async fn whoever_takes_over_verifies_and_whoever_stands_by_does_not() {
    let stage = replicas::stage(93).await;
    let (one, two) = replicas::pair(&stage).await;
    let verified = |status: &Status| status.audit.verified_at.is_some();
    one.until_status("the leader verifies", verified).await;
    assert_eq!(two.status().await.audit, AuditStatus::default());
    one.signal(Signal::TERM);
    two.until_status("the next leader verifies", verified).await;
}

#[tokio::test]
async fn it_is_not_verified_where_that_is_off() {
    let stage = Stage::new(BOTH[0], small(94)).await;
    stage.set("audit.verify_every", "off");
    let daemon = stage.start().await;
    daemon.first_run().await;
    let status = daemon.turn(Signal::USR1).await;
    assert_eq!(status.outcome, "unchanged");
    assert_eq!(daemon.status().await.audit, AuditStatus::default());
    // Switched on, it is verified without another run.
    stage.set("audit.verify_every", "1h");
    daemon.signal(Signal::HUP);
    let verified = async || daemon.status().await.audit.verified_at;
    let first = until("the audit is verified", verified).await;
    stage.set("audit.verify_every", "off");
    daemon.signal(Signal::HUP);
    daemon.until_status("nobody verifies", |status| status.audit == AuditStatus::default()).await;
    stage.set("audit.verify_every", "1h");
    daemon.signal(Signal::HUP);
    let again = until("it is verified again, at once", verified).await;
    assert!(again > first);
    daemon.stop().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_told_and_ends_no_verification_in_silence() {
    let stage = Stage::new(BOTH[1], small(95)).await;
    stage.set("audit.verify_every", "1s");
    let daemon = stage.start().await;
    daemon.until_status("whole", |status| status.audit.verified_at.is_some()).await;
    stage.sql().execute(
        "INSERT INTO audit_logs (actor_type, entity_type, entity_id, action, created_at)
           VALUES ('system', 'user', 1, 'update', 'infinity')",
    );
    daemon.until_status("it is told", |status| status.audit.differences == 1).await;
    let told = stage.sql().cells(OPEN).concat();
    assert!(told.contains("cannot be read to its end"), "{told}");
    daemon.stop().await;
}
