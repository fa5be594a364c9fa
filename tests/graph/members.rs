//! Member lists: many at once, each whole or known not to be.

use std::collections::BTreeSet;

use graph_simulator::{Effect, Fault, GroupKind, NewGroup, Options, OtherKind};
use nexus_dirsync::directory::Evidence;
use nexus_dirsync::directory::proof::Whole;
use nexus_dirsync::graph::{Detail, Endpoint, Error, Lookup, MemberList};
use serde_json::json;
use uuid::Uuid;

use crate::bench::{Bench, group, group_of, object, status, tenant_of, user};

fn complete<T: Clone>(list: &Lookup<Whole<T>>) -> T {
    match list {
        Lookup::Complete(list) => {
            let proof = list.record();
            assert_eq!(proof.evidence, Evidence::CompleteRead);
            assert!(proof.answers > 0 && proof.receipt.request_id.is_some());
            list.get().clone()
        }
        _ => panic!("not complete"),
    }
}

#[tokio::test]
async fn many_lists_of_any_length_are_read_whole() {
    let (mut tenant, ids) = tenant_of(60);
    let teams: Vec<Uuid> =
        (0..50).map(|at| group_of(&mut tenant, &format!("team {at}"), &ids[..at])).collect();
    tenant.add_member(teams[3], teams[4]);
    let bench = Bench::with(tenant, Options::default(), |settings| settings.page_size = 7);
    let asked: Vec<_> = teams.iter().map(|id| object(*id)).collect();
    let all = bench.directory.members(&asked, Detail::Ids).await.expect("lists");
    assert_eq!(all.lists.len(), 50);
    assert!(all.users.is_empty() && all.groups.is_empty());
    for (at, team) in teams.iter().enumerate() {
        let mut expected: BTreeSet<_> = ids[..at].iter().map(|id| user(*id)).collect();
        if at == 3 {
            expected.insert(group(teams[4]));
        }
        assert_eq!(complete(&all.lists[&object(*team)]), expected, "team {at}");
    }
    let batches = bench.requests_to("$batch");
    assert_eq!(batches, 3, "first pages go 20 at a time");
}

#[tokio::test]
async fn facts_come_with_the_same_requests() {
    let (mut tenant, ids) = tenant_of(3);
    let inner = group_of(&mut tenant, "inner", &[]);
    let team = group_of(&mut tenant, "team", &[ids[0], ids[1], inner]);
    let bench = Bench::new(tenant);
    let all = bench.directory.members(&[object(team)], Detail::Facts).await.expect("lists");
    assert_eq!(all.users.len(), 2);
    let facts = &all.users[&object(ids[1])];
    assert_eq!(facts.mail.as_deref(), Some("user1@contoso.com"));
    assert_eq!((facts.enabled, facts.guest), (Some(true), Some(false)));
    assert_eq!(all.groups[&object(inner)].display_name.as_deref(), Some("inner"));
    assert_eq!(bench.simulator.counters().requests, 2, "a token and a batch");
}

#[tokio::test]
async fn without_the_right_to_read_users_there_are_members_but_no_facts() {
    let (mut tenant, ids) = tenant_of(2);
    let team = group_of(&mut tenant, "team", &ids);
    let bench = Bench::new(tenant);
    bench.simulator.inject(Fault::on("members", Effect::NullProperties));
    let all = bench.directory.members(&[object(team)], Detail::Facts).await.expect("lists");
    assert_eq!(complete(&all.lists[&object(team)]).len(), 2);
    assert!(all.users.is_empty());
}

#[tokio::test]
async fn trap_31_only_users_and_groups_are_members() {
    let (mut tenant, ids) = tenant_of(1);
    let others = [OtherKind::ServicePrincipal, OtherKind::Device, OtherKind::OrgContact];
    let mut members: Vec<_> = others.into_iter().map(|kind| tenant.create_other(kind)).collect();
    members.push(ids[0]);
    let team = group_of(&mut tenant, "team", &members);
    let bench = Bench::new(tenant);
    let all = bench.directory.members(&[object(team)], Detail::Ids).await.expect("lists");
    assert_eq!(complete(&all.lists[&object(team)]), BTreeSet::from([user(ids[0])]));
}

#[tokio::test]
async fn one_list_that_fails_does_not_fail_the_others() {
    let (mut tenant, ids) = tenant_of(30);
    let good = group_of(&mut tenant, "good", &ids);
    let bad = group_of(&mut tenant, "bad", &ids);
    let cut = group_of(&mut tenant, "cut", &ids);
    let gone = group_of(&mut tenant, "gone", &ids);
    tenant.soft_delete_group(gone);
    let bench = Bench::with(tenant, Options::default(), |settings| settings.page_size = 10);
    bench.simulator.inject(Fault::on(format!("{bad}/members"), status(400, &[])));
    bench.simulator.inject(Fault::on(format!("{cut}/members"), Effect::MissingValue).after(1));
    let asked = [good, bad, cut, gone].map(object);
    let all = bench.directory.members(&asked, Detail::Ids).await.expect("lists");
    assert_eq!(complete(&all.lists[&object(good)]).len(), 30);
    assert!(matches!(&all.lists[&object(bad)], MemberList::Failed(Error::Rejected(_))));
    assert!(matches!(&all.lists[&object(cut)], MemberList::Failed(Error::Incomplete { .. })));
    assert!(matches!(&all.lists[&object(gone)], MemberList::Gone));
}

#[tokio::test]
async fn trap_29_hidden_memberships_are_what_graph_shows_of_them() {
    let (mut tenant, ids) = tenant_of(2);
    let hidden = tenant.create_group(NewGroup {
        display_name: "hidden".to_owned(),
        kind: GroupKind::Microsoft365,
        visibility: Some("HiddenMembership".to_owned()),
        ..NewGroup::default()
    });
    tenant.add_member(hidden, ids[0]);
    let bench = Bench::new(tenant);
    let all = bench.directory.members(&[object(hidden)], Detail::Ids).await.expect("lists");
    assert_eq!(complete(&all.lists[&object(hidden)]).len(), 1);
}

#[tokio::test]
async fn trap_21_a_throttled_item_is_asked_for_again_alone() {
    let (mut tenant, ids) = tenant_of(3);
    let teams: Vec<Uuid> =
        (0..4).map(|at| group_of(&mut tenant, &format!("team {at}"), &ids)).collect();
    let bench = Bench::new(tenant);
    for (team, code) in [(teams[1], 429), (teams[2], 503)] {
        let throttled = status(code, &[("Retry-After", "0.05")]);
        bench.simulator.inject(Fault::on(format!("{team}/members"), throttled).times(2));
    }
    let asked: Vec<_> = teams.iter().map(|id| object(*id)).collect();
    let all = bench.directory.members(&asked, Detail::Ids).await.expect("lists");
    assert!(all.lists.values().all(|list| complete(list).len() == 3));
    assert_eq!(bench.requests_to("$batch"), 3);
    for (team, times) in [(teams[0], 1), (teams[1], 3), (teams[2], 3), (teams[3], 1)] {
        assert_eq!(bench.requests_to(&format!("{team}/members")), times);
    }
    assert!(bench.directory.tally().waited_seconds >= 0.1);
    assert!(bench.retries().contains(&(Endpoint::Members, "throttled")));
}

#[tokio::test]
async fn an_item_that_stays_throttled_fails_alone_and_names_the_setting() {
    let (mut tenant, ids) = tenant_of(3);
    let (good, bad) = (group_of(&mut tenant, "good", &ids), group_of(&mut tenant, "bad", &ids));
    let bench = Bench::new(tenant);
    bench.simulator.inject(Fault::on(format!("{bad}/members"), status(429, &[])));
    let all =
        bench.directory.members(&[object(good), object(bad)], Detail::Ids).await.expect("lists");
    assert_eq!(complete(&all.lists[&object(good)]).len(), 3);
    let MemberList::Failed(error) = &all.lists[&object(bad)] else { panic!("failed") };
    assert!(
        matches!(error, Error::Unavailable { .. })
            && error.to_string().contains("graph.retries_max")
    );
}

#[tokio::test]
async fn a_whole_batch_that_fails_is_asked_for_again() {
    let (mut tenant, ids) = tenant_of(3);
    let team = group_of(&mut tenant, "team", &ids);
    let bench = Bench::new(tenant);
    for effect in [status(424, &[]), status(429, &[]), Effect::Html502, Effect::TruncatedJson] {
        bench.simulator.inject(Fault::on("$batch", effect.clone()).once());
        let all = bench.directory.members(&[object(team)], Detail::Ids).await.expect("lists");
        assert_eq!(complete(&all.lists[&object(team)]).len(), 3, "{effect:?}");
    }
}

#[tokio::test]
async fn items_are_matched_by_id_and_a_missing_one_is_an_error() {
    let (mut tenant, ids) = tenant_of(2);
    let teams = [group_of(&mut tenant, "a", &[]), group_of(&mut tenant, "b", &[])].map(object);
    let (first, second) = (teams.iter().min().expect("two"), teams.iter().max().expect("two"));
    let bench = Bench::new(tenant);
    let body = json!({"value": [{"@odata.type": "#microsoft.graph.user", "id": ids[0]}]});
    let item = |id: &str| json!({"id": id, "status": 200, "headers": {"x-ms-resource-unit": 2}, "body": body});
    bench.answer("$batch", json!({"responses": [item("7"), item("1"), item("odd")]}));
    let all = bench.directory.members(&teams, Detail::Ids).await.expect("lists");
    assert!(matches!(&all.lists[first], MemberList::Failed(Error::Incomplete { .. })));
    assert_eq!(complete(&all.lists[second]), BTreeSet::from([user(ids[0])]));
}

#[tokio::test]
async fn an_expired_page_reads_that_list_again() {
    let (mut tenant, ids) = tenant_of(35);
    let team = group_of(&mut tenant, "team", &ids);
    let bench = Bench::with(tenant, Options::default(), |settings| settings.page_size = 10);
    bench.simulator.inject(Fault::on("skiptoken", Effect::ExpiredPageToken).once());
    bench.simulator.inject(Fault::on("skiptoken", Effect::ExpiredPageToken).after(2).once());
    let all = bench.directory.members(&[object(team)], Detail::Ids).await.expect("lists");
    assert_eq!(complete(&all.lists[&object(team)]).len(), 35);
}

#[tokio::test]
async fn trap_33_groups_of_a_user_are_asked_for_by_user() {
    let (mut tenant, ids) = tenant_of(3);
    let teams: Vec<_> =
        (0..25).map(|at| group_of(&mut tenant, &format!("team {at}"), &ids[..1])).collect();
    tenant.soft_delete_user(ids[2]);
    let outer = group_of(&mut tenant, "outer", &[teams[4], ids[1]]);
    let bench = Bench::with(tenant, Options::default(), |settings| settings.page_size = 10);
    let mut asked: Vec<_> = ids.iter().map(|id| user(*id)).collect();
    asked.push(group(teams[4]));
    let all = bench.directory.groups_of(&asked).await.expect("groups");
    assert_eq!(complete(&all[&asked[0].id]), teams.iter().map(|id| object(*id)).collect());
    assert_eq!(complete(&all[&asked[1].id]), BTreeSet::from([object(outer)]));
    assert!(matches!(all[&asked[2].id], Lookup::Gone));
    assert_eq!(complete(&all[&asked[3].id]), BTreeSet::from([object(outer)]), "nested groups, too");
}
