//! Rounds: whole, merged, last state wins; lost links in all their disguises.

use std::collections::BTreeMap;

use graph_simulator::{
    DeltaHabits, Effect, Expiry, Fault, FaultBody, GroupKind, NewGroup, Options, PageSizes, Tenant,
};
use nexus_dirsync::directory::proof::Grave;
use nexus_dirsync::directory::{DeltaLink, Evidence, Seen, Tombstone};
use nexus_dirsync::graph::{Error, QUERY_FINGERPRINT};
use serde_json::json;

use crate::bench::{Bench, group, group_of, object, tenant_of, user};

#[tokio::test]
async fn nothing_changed_is_an_empty_round_with_a_new_link() {
    let bench = Bench::new(tenant_of(3).0);
    let from = bench.directory.latest().await.expect("links");
    let users = bench.directory.users_round(&from.users).await.expect("a round");
    let groups = bench.directory.groups_round(&from.groups).await.expect("a round");
    assert!(users.seen.is_empty() && groups.groups.seen.is_empty() && groups.members.is_empty());
    let record = users.proof.record();
    assert!(record.receipt.request_id.is_some() && record.receipt.at.is_some());
    assert_eq!((record.evidence, record.answers), (Evidence::DeltaTombstone, 1));
    assert!(bench.directory.users_round(&users.next).await.is_ok());
}

#[tokio::test]
async fn a_round_tells_what_happened_to_users() {
    let (tenant, ids) = tenant_of(5);
    let bench = Bench::new(tenant);
    let from = bench.directory.latest().await.expect("links");
    bench.simulator.edit(|tenant| {
        tenant.update_user(ids[0], |user| user.display_name = Some("Renamed".to_owned()));
        tenant.soft_delete_user(ids[1]);
        tenant.soft_delete_user(ids[2]);
        tenant.purge_user(ids[2]);
        tenant.soft_delete_user(ids[3]);
        tenant.restore_user(ids[3]);
    });
    let round = bench.directory.users_round(&from.users).await.expect("a round");
    let gone = |tombstone| Seen::Gone(Grave::told(tombstone, &round.proof));
    assert!(matches!(&round.seen[&object(ids[0])], Seen::Present(facts)
        if facts.display_name.as_deref() == Some("Renamed") && facts.mail.is_some()));
    assert_eq!(round.seen[&object(ids[1])], gone(Tombstone::Soft));
    assert_eq!(round.seen[&object(ids[2])], gone(Tombstone::Hard));
    assert!(matches!(round.seen[&object(ids[3])], Seen::Present(_)));
    assert!(!round.seen.contains_key(&object(ids[4])));
}

#[tokio::test]
async fn trap_03_slices_of_a_group_over_many_pages_are_one_group() {
    let (tenant, ids) = tenant_of(60);
    let pages = PageSizes { delta_groups: 2, delta_members: 7, ..PageSizes::default() };
    let bench = Bench::with(tenant, Options { pages, ..Options::default() }, |_| {});
    let from = bench.directory.latest().await.expect("links");
    let (outer, inner) = bench.simulator.edit(|tenant| {
        let inner = group_of(tenant, "inner", &ids[..5]);
        let outer = group_of(tenant, "outer", &ids);
        tenant.add_member(outer, inner);
        (outer, inner)
    });
    let round = bench.directory.groups_round(&from.groups).await.expect("a round");
    assert!(round.groups.proof.record().answers > 5);
    let mut expected: BTreeMap<_, _> = ids.iter().map(|id| (user(*id), true)).collect();
    expected.insert(group(inner), true);
    assert_eq!(*round.members[&object(outer)].get(), expected);

    bench.simulator.edit(|tenant| {
        tenant.remove_member(outer, ids[0]);
        tenant.remove_member(outer, ids[1]);
        tenant.add_member(outer, ids[1]);
    });
    let next = bench.directory.groups_round(&round.groups.next).await.expect("a round");
    assert_eq!(next.members[&object(outer)].get().get(&user(ids[0])), Some(&false));
    assert_ne!(next.members[&object(outer)].get().get(&user(ids[1])), Some(&false));
}

#[tokio::test]
async fn trap_28_of_several_states_in_a_round_the_last_wins() {
    let bench = Bench::new(Tenant::new());
    let id = "0b1f6c1e-5a0f-4c43-9d8e-0d2b8a1c7e01";
    let (root, upper) = (bench.root(), id.to_uppercase());
    bench.answer(
        "skiptoken=second",
        json!({"@odata.deltaLink": format!("{root}/users/delta?$deltatoken=end"), "value": [
            {"@removed": {"reason": "changed"}, "id": upper}, {"id": upper, "displayName": "last"}]}),
    );
    bench.answer(
        "deltatoken=first",
        json!({"@odata.nextLink": format!("{root}/users/delta?$skiptoken=second"),
               "value": [{"id": id, "displayName": "early", "mail": "a@b.c"}]}),
    );
    let from = DeltaLink::new(format!("{root}/users/delta?$deltatoken=first"));
    let round = bench.directory.users_round(&from).await.expect("a round");
    assert_eq!(round.seen.len(), 1);
    // The merge takes the last state whole: its absent mail was never set.
    assert!(matches!(&round.seen[&id.parse().expect("a GUID")], Seen::Present(facts)
        if facts.display_name.as_deref() == Some("last") && facts.mail.is_none()));
    assert_eq!(round.next.as_str(), format!("{root}/users/delta?$deltatoken=end"));
}

#[tokio::test]
async fn an_unruly_service_gives_the_same_round() {
    let (tenant, ids) = tenant_of(40);
    let pages = PageSizes { delta_users: 6, delta_members: 9, ..PageSizes::default() };
    let options = Options { pages, habits: DeltaHabits::UNRULY, ..Options::default() };
    let bench = Bench::with(tenant, options, |_| {});
    let from = bench.directory.latest().await.expect("links");
    let team = bench.simulator.edit(|tenant| {
        for id in &ids {
            tenant.update_user(*id, |user| user.display_name = Some("new".to_owned()));
        }
        group_of(tenant, "team", &ids)
    });
    let users = bench.directory.users_round(&from.users).await.expect("a round");
    let groups = bench.directory.groups_round(&from.groups).await.expect("a round");
    assert_eq!(users.seen.len(), ids.len());
    assert_eq!(groups.members[&object(team)].get().len(), ids.len());
}

#[tokio::test]
async fn trap_11_a_lost_link_is_known_in_every_disguise() {
    let bench = Bench::new(tenant_of(1).0);
    let from = bench.directory.latest().await.expect("links");
    let disguises = [
        Expiry::GoneWithLocation,
        Expiry::GoneSyncStateNotFound,
        Expiry::BadRequestSyncStateNotFound,
        Expiry::NotFoundResyncRequired,
        Expiry::BadRequestResyncRequired,
        Expiry::OlderThan30Days,
    ];
    for disguise in disguises {
        bench.simulator.inject(Fault::on("delta", Effect::TokenLost(disguise)).times(2));
        let users = bench.directory.users_round(&from.users).await.expect_err("lost");
        let groups = bench.directory.groups_round(&from.groups).await.expect_err("lost");
        assert!(
            matches!((users, groups), (Error::CursorLost(_), Error::CursorLost(_))),
            "{disguise:?}"
        );
    }
    bench.simulator.inject(Fault::on("delta", status_without_body(410)).once());
    assert!(matches!(bench.directory.users_round(&from.users).await, Err(Error::CursorLost(_))));
}

/// Of the first request of a stored link: later ones, and links of our own making, may fail
/// for other reasons.
#[tokio::test]
async fn a_stored_link_that_is_not_understood_is_lost() {
    let bench = Bench::new(tenant_of(1).0);
    let from = bench.directory.latest().await.expect("links");
    let code = |code: &str| FaultBody::Error(code.to_owned());
    for (status, body, expected) in [
        (409, code("resyncRequired"), "cursor_lost"),
        (412, code("resyncApplyDifferences"), "cursor_lost"),
        (403, code("SyncStateNotFound"), "cursor_lost"),
        (400, code(""), "cursor_lost"),
        (404, code(""), "cursor_lost"),
        (400, code("BadRequest"), "cursor_lost"),
        (404, code("Request_ResourceNotFound"), "cursor_lost"),
        (400, FaultBody::Empty, "cursor_lost"),
        (404, FaultBody::Html("<h1>not found</h1>".to_owned()), "cursor_lost"),
        (400, FaultBody::Json(json!(["what?"])), "cursor_lost"),
        (409, code("conflict"), "rejected"),
        (403, code("Authorization_RequestDenied"), "forbidden"),
        (401, code("syncStateNotFound"), "unauthorized"),
    ] {
        let told = format!("{status} {body:?}");
        let effect = Effect::Status { status, headers: Vec::new(), body };
        bench.simulator.inject(Fault::on("deltatoken", effect));
        let errors = [
            bench.directory.users_round(&from.users).await.expect_err(&told),
            bench.directory.groups_round(&from.groups).await.expect_err(&told),
        ];
        assert_eq!(errors.map(|error| error.kind()), [expected; 2], "{told}");
        assert!(
            bench.directory.latest().await.is_err_and(|error| error.kind() != "cursor_lost"),
            "{told}"
        );
        bench.simulator.clear_faults();
    }
}

/// A link into another version must not be stored: no later run could use it.
#[tokio::test]
async fn a_link_into_another_version_is_refused() {
    let bench = Bench::new(Tenant::new());
    let beta = format!("{}/beta/users/delta?$deltatoken=secret", bench.simulator.url());
    bench.answer("users/delta", json!({"@odata.deltaLink": beta, "value": []}));
    let stored = DeltaLink::new(format!("{}/users/delta?$deltatoken=x", bench.root()));
    for from in [stored, DeltaLink::new(beta)] {
        let error = bench.directory.users_round(&from).await.expect_err("refused");
        let told = error.to_string();
        assert!(matches!(error, Error::Link { .. }) && told.contains("out of /v1.0/"), "{told}");
        assert!(!told.contains("secret") && !told.contains("beta"), "{told}");
    }
    assert_eq!(bench.requests_to("/beta/"), 0);
}

fn status_without_body(status: u16) -> Effect {
    Effect::Status { status, headers: Vec::new(), body: FaultBody::Empty }
}

#[tokio::test]
async fn trap_17_an_expired_page_begins_the_round_again() {
    let (tenant, ids) = tenant_of(20);
    let pages = PageSizes { delta_users: 4, ..PageSizes::default() };
    let bench = Bench::with(tenant, Options { pages, ..Options::default() }, |_| {});
    let from = bench.directory.latest().await.expect("links");
    bench.simulator.edit(|tenant| {
        for id in &ids {
            tenant.update_user(*id, |user| user.mail = None);
        }
    });
    bench.simulator.inject(Fault::on("skiptoken", Effect::ExpiredPageToken).after(2).once());
    let round = bench.directory.users_round(&from.users).await.expect("a round");
    assert_eq!(round.seen.len(), ids.len());

    bench.simulator.inject(Fault::on("skiptoken", Effect::ExpiredPageToken));
    let error = bench.directory.users_round(&from.users).await.expect_err("never ends");
    assert!(matches!(&error, Error::PageExpired(_)), "{error}");
    assert!(error.to_string().contains("graph.concurrency"));
}

#[tokio::test]
async fn a_round_without_its_delta_link_is_incomplete() {
    let bench = Bench::new(Tenant::new());
    let from = DeltaLink::new(format!("{}/users/delta?$deltatoken=x", bench.root()));
    bench.answer("users/delta", json!({"value": []}));
    assert!(matches!(bench.directory.users_round(&from).await, Err(Error::Incomplete { .. })));
}

#[tokio::test]
async fn a_page_with_both_links_has_more_pages() {
    let bench = Bench::new(Tenant::new());
    let root = bench.root();
    let end = format!("{root}/users/delta?$deltatoken=end");
    bench.answer(
        "skiptoken=more",
        json!({"@odata.deltaLink": end, "value": [
        {"id": "0b1f6c1e-5a0f-4c43-9d8e-0d2b8a1c7e01"}]}),
    );
    bench.answer(
        "deltatoken=x",
        json!({"value": [],
        "@odata.deltaLink": format!("{root}/users/delta?$deltatoken=early"),
        "@odata.nextLink": format!("{root}/users/delta?$skiptoken=more")}),
    );
    let from = DeltaLink::new(format!("{root}/users/delta?$deltatoken=x"));
    let round = bench.directory.users_round(&from).await.expect("a round");
    assert_eq!((round.seen.len(), round.next.as_str()), (1, end.as_str()));
}

#[tokio::test]
async fn trap_10_links_go_over_the_wire_as_they_came() {
    let bench = Bench::new(Tenant::new());
    let target = "/v1.0/users/delta?$deltatoken=a%2Bb+c/d==_-~!*()&%24x=%27y%27";
    bench.answer(
        "users/delta",
        json!({"@odata.deltaLink": bench.simulator.url() + target, "value": []}),
    );
    let from = DeltaLink::new(bench.simulator.url() + target);
    let round = bench.directory.users_round(&from).await.expect("a round");
    assert_eq!(round.next, from);
    let sent = bench.simulator.requests().pop().expect("a request");
    assert_eq!(sent.target, target);
    // The one octet that is written differently, with the same meaning.
    let from =
        DeltaLink::new(format!("{}/v1.0/users/delta?$deltatoken='x'", bench.simulator.url()));
    bench.directory.users_round(&from).await.expect("a round");
    let sent = bench.simulator.requests().pop().expect("a request");
    assert_eq!(sent.target, "/v1.0/users/delta?$deltatoken=%27x%27");
}

#[tokio::test]
async fn links_to_elsewhere_are_never_followed() {
    let (tenant, _) = tenant_of(300);
    let bench = Bench::new(tenant);
    let elsewhere = Bench::new(Tenant::new());
    bench.simulator.inject(Fault::on("users", Effect::RedirectLink(elsewhere.simulator.url())));
    let stored = DeltaLink::new(format!("{}/users/delta?$deltatoken=secret", elsewhere.root()));
    let errors = [
        bench.directory.latest().await.map(|_| ()).err(),
        bench.directory.users_round(&stored).await.map(|_| ()).err(),
    ];
    // Neither one that Graph hands out now nor one that is stored already.
    for error in errors {
        let error = error.expect("refused");
        assert!(matches!(error, Error::Link { .. }), "{error}");
        let told = error.to_string();
        assert!(!told.contains("secret") && !told.contains("deltatoken"), "{told}");
    }
    assert!(elsewhere.simulator.requests().is_empty());
}

#[tokio::test]
async fn trap_02_and_41_the_query_selects_members_and_has_a_fingerprint() {
    let bench = Bench::new(Tenant::new());
    bench.directory.latest().await.expect("links");
    let select = |stream: &str| {
        let requests = bench.simulator.requests();
        let request =
            requests.iter().find(|request| request.target.contains(stream)).expect("asked");
        assert!(request.prefer.is_none(), "default mode: absent means never set");
        let query = request.target.split("$select=").nth(1).expect("a select");
        query.split('&').next().expect("a list").to_owned()
    };
    let (users, groups) = (select("users/delta"), select("groups/delta"));
    assert_eq!(users, "id,displayName,userPrincipalName,mail,accountEnabled,userType");
    assert_eq!(groups, "id,displayName,visibility,members");
    assert_eq!(QUERY_FINGERPRINT, format!("users:{users};groups:{groups}"));
}

#[tokio::test]
async fn trap_36_a_gateway_failure_is_ridden_out_at_the_same_link() {
    let (tenant, ids) = tenant_of(30);
    let pages = PageSizes { delta_members: 5, ..PageSizes::default() };
    let bench = Bench::with(tenant, Options { pages, ..Options::default() }, |_| {});
    let from = bench.directory.latest().await.expect("links");
    let team = bench.simulator.edit(|tenant| group_of(tenant, "team", &ids));
    bench.simulator.inject(Fault::on("groups/delta", Effect::Html502).after(1).times(2));
    let late = crate::bench::status(504, &[]);
    bench.simulator.inject(Fault::on("groups/delta", late).after(3).times(2));
    let round = bench.directory.groups_round(&from.groups).await.expect("a round");
    assert_eq!(round.members[&object(team)].get().len(), ids.len());
}

#[tokio::test]
async fn trap_43_a_soft_deletion_reads_the_same_for_every_kind_of_group() {
    let bench = Bench::new(Tenant::new());
    let from = bench.directory.latest().await.expect("links");
    let kinds = [GroupKind::Security, GroupKind::Microsoft365, GroupKind::Distribution];
    let groups = kinds.map(|kind| {
        bench.simulator.edit(|tenant| {
            let group = tenant.create_group(NewGroup { kind, ..NewGroup::default() });
            tenant.soft_delete_group(group);
            object(group)
        })
    });
    let round = bench.directory.groups_round(&from.groups).await.expect("a round");
    let gone = |tombstone| Seen::Gone(Grave::told(tombstone, &round.groups.proof));
    assert_eq!(round.groups.seen[&groups[0]], gone(Tombstone::Soft));
    assert_eq!(round.groups.seen[&groups[1]], gone(Tombstone::Soft));
    assert_eq!(round.groups.seen[&groups[2]], gone(Tombstone::Hard));
}
