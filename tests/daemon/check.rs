//! `check`: all is well, or what is wrong and what to do about it.

use crate::stage::{Stage, Told, small};
use crate::support::world::{BOTH, Database, On};

fn assert_wrong(told: &Told, what: &str, remedy: &str) {
    assert_eq!(told.code, 1, "{told:?}");
    let start = format!("WRONG {what}: ");
    let line = told.out.lines().find_map(|line| line.strip_prefix(&start));
    let line = line.unwrap_or_else(|| panic!("{start} in {told:?}"));
    assert!(line.contains(remedy), "{remedy} in {line}");
}

#[tokio::test]
async fn a_good_installation_has_nothing_wrong() {
    for on in BOTH {
        let stage = Stage::new(on, small(70)).await;
        let told = stage.ask(&["check"]).await;
        assert!(!told.contains("WRONG"), "{told}");
        for what in ["configuration", "registry", "database", "token", "permissions", "delta"] {
            assert!(told.contains(&format!("ok    {what}: ")), "{what} in {told}");
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_named_but_not_shown() {
    let stage = Stage::new(On::Sqlite, small(71)).await;
    let wrong = "wrong~secret~of~nobody";
    stage.set("identity.client_secret", wrong);
    let told = stage.tell(&["check"]).await;
    assert_wrong(&told, "token", "configure the secret's value, not its id");
    assert!(!format!("{told:?}").contains(wrong), "{told:?}");
}

#[tokio::test]
async fn a_missing_permission_is_named_with_what_needs_it() {
    let stage = Stage::new(On::Sqlite, small(72)).await;
    for (roles, missing) in [
        (&["User.Read.All"][..], "GroupMember.Read.All"),
        (&["GroupMember.Read.All"], "User.Read.All"),
        (&[], "User.Read.All"),
    ] {
        stage.world.simulator.set_roles(roles.iter().copied());
        let told = stage.tell(&["check"]).await;
        assert_wrong(&told, "permissions", missing);
        assert_wrong(&told, "permissions", "grant admin consent");
    }
    stage.world.simulator.set_roles(["Directory.Read.All"]);
    let told = stage.ask(&["check"]).await;
    assert!(told.contains("Member.Read.Hidden"), "{told}");
}

#[tokio::test]
async fn databases_that_cannot_be_used_are_named() {
    let stage = Stage::new(On::Sqlite, small(73)).await;
    let empty = Database::new(On::Sqlite);
    stage.set("database.url", &empty.url);
    assert_wrong(&stage.tell(&["check"]).await, "database", "nexus-dirsync migrate");
    let secret = "pa55word";
    stage.set("database.url", &format!("postgres://somebody:{secret}@127.0.0.1:1/nothing"));
    let told = stage.tell(&["check"]).await;
    assert_wrong(&told, "database", "check database.url");
    assert!(!format!("{told:?}").contains(secret), "{told:?}");
}

#[tokio::test]
async fn a_directory_that_does_not_answer_is_named() {
    let stage = Stage::new(On::Sqlite, small(74)).await;
    stage.set("graph.endpoint", "http://127.0.0.1:1");
    assert_wrong(&stage.tell(&["check"]).await, "users", "check the network, the proxy");
    stage.set("identity.authority", "http://127.0.0.1:1");
    assert_wrong(&stage.tell(&["check"]).await, "token", "identity.authority");
}

#[tokio::test]
async fn a_registry_that_cannot_be_used_is_named() {
    let stage = Stage::new(On::Sqlite, small(75)).await;
    stage.write_registry("");
    let told = stage.tell(&["check"]).await;
    assert_wrong(&told, "registry", "has 1 problem(s)");
    assert!(told.out.contains("no [[product]] at all"), "{told:?}");
}

#[tokio::test]
async fn the_database_of_another_tenant_is_named() {
    let stage = Stage::new(On::Sqlite, small(76)).await;
    stage.ask(&["sync"]).await;
    stage.set("identity.tenant_id", "99999999-2222-4333-8444-555555555555");
    assert_wrong(&stage.tell(&["check"]).await, "database", "identity.tenant_id");
}

#[tokio::test]
async fn a_machine_without_the_azure_cli_is_told_so() {
    let stage = Stage::new(On::Sqlite, small(77)).await;
    stage.set("identity.kind", "azure_cli");
    stage.unset("identity.client_secret");
    let told = stage.tell_with(&["check"], &[("PATH", "/nowhere")]).await;
    assert_wrong(&told, "token", "install the Azure CLI");
    assert_wrong(&told, "token", "choose another identity.kind");
}

#[tokio::test]
async fn a_file_of_authorities_that_is_none_is_told() {
    let stage = Stage::new(On::Sqlite, small(78)).await;
    let told = stage.tell_with(&["check"], &[("SSL_CERT_FILE", "/nowhere/ca.pem")]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("the file that SSL_CERT_FILE names cannot be read"), "{told:?}");
}
