//! Whole collections.

use graph_simulator::{Effect, Expiry, Fault, NewGroup, Options, Tenant};
use nexus_dirsync::directory::Evidence;
use nexus_dirsync::graph::{Counted, Error};
use serde_json::json;

use crate::bench::{Bench, group_of, object, status, tenant_of};

#[tokio::test]
async fn trap_15_a_list_is_read_to_its_last_page() {
    let (mut tenant, ids) = tenant_of(250);
    let team = group_of(&mut tenant, "team", &ids[..2]);
    let bench = Bench::with(tenant, Options::default(), |settings| settings.page_size = 100);
    let users = bench.directory.list_users().await.expect("a list");
    let groups = bench.directory.list_groups().await.expect("a list");
    let proof = users.record();
    assert_eq!((proof.evidence, proof.answers), (Evidence::CompleteRead, 3));
    assert!(proof.receipt.request_id.is_some() && proof.receipt.at.is_some());
    let (users, groups) = (users.into_inner(), groups.into_inner());
    assert_eq!((users.len(), groups.len()), (250, 1));
    assert_eq!(groups[&object(team)].display_name.as_deref(), Some("team"));
    assert_eq!(users[&object(ids[7])].mail.as_deref(), Some("user7@contoso.com"));
    assert_eq!(bench.directory.tally().pages, 4);
}

#[tokio::test]
async fn the_deleted_container_is_a_list_too() {
    let (mut tenant, ids) = tenant_of(3);
    let team = group_of(&mut tenant, "team", &[]);
    tenant.soft_delete_user(ids[1]);
    tenant.soft_delete_group(team);
    let bench = Bench::new(tenant);
    let users = bench.directory.deleted_users().await.expect("a list");
    assert_eq!(users.into_keys().collect::<Vec<_>>(), [object(ids[1])]);
    let denial = Fault::on("deletedItems/microsoft.graph.group", status(403, &[]));
    bench.simulator.inject(denial);
    let denied = bench.directory.deleted_groups().await.expect_err("no Group.Read.All");
    assert!(matches!(&denied, Error::Forbidden(_)), "{denied}");
    assert!(denied.to_string().contains("Group.Read.All"));
    bench.simulator.clear_faults();
    let groups = bench.directory.deleted_groups().await.expect("a list");
    assert_eq!(groups.into_keys().collect::<Vec<_>>(), [object(team)]);
}

#[tokio::test]
async fn a_page_without_value_is_never_empty() {
    let bench = Bench::new(tenant_of(3).0);
    bench.simulator.inject(Fault::on("users", Effect::MissingValue));
    let error = bench.directory.list_users().await.expect_err("incomplete");
    assert!(matches!(error, Error::Incomplete { .. }), "{error}");
}

#[tokio::test]
async fn trap_04_chains_that_never_end_are_ended() {
    let (tenant, _) = tenant_of(30);
    let bench = Bench::with(tenant, Options::default(), |settings| {
        settings.page_size = 10;
        settings.pages_max = 12;
    });
    let repeat = bench.simulator.inject(Fault::on("users?", Effect::RepeatPage));
    let error = bench.directory.list_users().await.expect_err("repeats");
    assert!(
        matches!(&error, Error::Endless { .. }) && error.to_string().contains("repeats"),
        "{error}"
    );
    bench.simulator.clear_fault(repeat);
    bench.simulator.reset_counters();
    bench.simulator.inject(Fault::on("users?", Effect::EndlessLinks));
    let error = bench.directory.list_users().await.expect_err("endless");
    assert!(error.to_string().contains("graph.pages_max"), "{error}");
    assert_eq!(bench.requests_to("/users?"), 12);
}

#[tokio::test]
async fn links_of_lists_to_elsewhere_are_never_followed() {
    let bench =
        Bench::with(tenant_of(30).0, Options::default(), |settings| settings.page_size = 10);
    let elsewhere = Bench::new(Tenant::new());
    bench.simulator.inject(Fault::on("users", Effect::RedirectLink(elsewhere.simulator.url())));
    let error = bench.directory.list_users().await.expect_err("refused");
    assert!(matches!(error, Error::Link { .. }), "{error}");
    assert!(
        error.to_string().contains(&elsewhere.simulator.url())
            && !error.to_string().contains("skiptoken")
    );
    assert!(elsewhere.simulator.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let bench = Bench::new(tenant_of(1).0);
    let elsewhere = Bench::new(tenant_of(1).0);
    let location = format!("{}/users", elsewhere.root());
    bench.simulator.inject(Fault::on("users", status(302, &[("Location", &location)])));
    assert!(matches!(bench.directory.list_users().await, Err(Error::Rejected(_))));
    assert!(elsewhere.simulator.requests().is_empty());
}

#[tokio::test]
async fn trap_17_a_list_whose_pages_expire_is_read_again() {
    let (tenant, _) = tenant_of(35);
    let bench = Bench::with(tenant, Options::default(), |settings| settings.page_size = 10);
    bench.simulator.inject(Fault::on("skiptoken", Effect::ExpiredPageToken).after(1).once());
    assert_eq!(bench.directory.list_users().await.expect("a list").get().len(), 35);
}

#[tokio::test]
async fn a_lost_token_is_our_mistake_where_no_link_was_stored() {
    let bench = Bench::new(tenant_of(1).0);
    bench.simulator.inject(Fault::on("users", Effect::TokenLost(Expiry::OlderThan30Days)).once());
    assert!(matches!(bench.directory.list_users().await, Err(Error::Rejected(_))));
}

#[tokio::test]
async fn an_answer_of_another_shape_names_the_page_and_not_its_content() {
    let bench = Bench::new(Tenant::new());
    bench.answer("users?", json!({"value": [{"id": "not-a-guid"}]}));
    let error = bench.directory.list_users().await.expect_err("no GUID");
    assert!(
        matches!(&error, Error::Malformed { .. }) && error.to_string().contains("GUID"),
        "{error}"
    );
    bench.simulator.clear_faults();
    bench.answer("users?", json!({"value": [{"id": 5, "displayName": "Ada"}]}));
    let error = bench.directory.list_users().await.expect_err("no string");
    assert!(
        matches!(&error, Error::Malformed { .. }) && !error.to_string().contains("Ada"),
        "{error}"
    );
    assert_eq!(bench.requests_to("/users?"), 2, "asking again would change nothing");
}

#[tokio::test]
async fn a_body_over_the_limit_names_the_setting() {
    let (tenant, _) = tenant_of(300);
    let bench =
        Bench::with(tenant, Options::default(), |settings| settings.body_bytes_max = 10_000);
    let error = bench.directory.list_users().await.expect_err("too large");
    assert!(
        matches!(&error, Error::TooLarge { .. })
            && error.to_string().contains("graph.body_bytes_max")
    );
}

#[tokio::test]
async fn trap_18_counts_are_asked_with_their_consistency_level() {
    let (mut tenant, _) = tenant_of(7);
    let visibility = Some("Hiddenmembership".to_owned());
    let hidden = tenant.create_group(NewGroup {
        display_name: "hidden".to_owned(),
        kind: graph_simulator::GroupKind::Microsoft365,
        visibility,
        ..NewGroup::default()
    });
    let bench = Bench::new(tenant);
    // Refused without `ConsistencyLevel: eventual`.
    assert_eq!(bench.directory.count(Counted::Users).await.expect("a count"), 7);
    assert_eq!(bench.directory.count(Counted::Groups).await.expect("a count"), 1);
    assert!(
        bench.directory.list_groups().await.expect("a list").get()[&object(hidden)]
            .hidden_membership
    );
}

#[tokio::test]
async fn trap_30_the_roles_of_the_token_are_known_before_anything_is_empty() {
    let bench = Bench::new(Tenant::new());
    let roles = bench.directory.token_roles().await.expect("a token").expect("readable");
    assert!(roles.contains(&"User.Read.All".to_owned()), "{roles:?}");
}
