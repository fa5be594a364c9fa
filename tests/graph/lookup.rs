//! Single objects: here, in the deleted container, or gone.

use std::collections::BTreeSet;

use chrono::{TimeDelta, Utc};
use graph_simulator::{Effect, Fault, FaultBody, NewUser, Tenant};
use nexus_dirsync::directory::{Evidence, Member, MemberKind, ObjectId, Tombstone};
use nexus_dirsync::graph::{Detail, Error, GoneSince, ObjectKind, Verdict};
use serde_json::json;
use uuid::Uuid;

use crate::bench::{Bench, group_of, object, status, tenant_of};

/// How an object is gone, with the proof that it is.
fn gone<T>(verdict: &Verdict<T>) -> Option<Tombstone> {
    let Verdict::Gone(grave) = verdict else { return None };
    let record = grave.record();
    assert_eq!(record.evidence, Evidence::ConfirmedById);
    assert!(
        record.receipt.request_id.is_some() && record.receipt.at.is_some() && record.answers > 0
    );
    Some(grave.tombstone())
}

#[tokio::test]
async fn trap_19_many_users_are_looked_up_15_to_a_filter() {
    let (mut tenant, ids) = tenant_of(100);
    tenant.soft_delete_user(ids[3]);
    tenant.soft_delete_user(ids[4]);
    tenant.purge_user(ids[4]);
    let bench = Bench::new(tenant);
    let mut asked: Vec<_> = ids.iter().map(|id| object(*id)).collect();
    asked.push(object(Uuid::from_u128(1)));
    asked.push(asked[0]);
    let found = bench.directory.users_by_id(&asked).await.expect("users");
    assert_eq!(found.len(), 101);
    assert_eq!(gone(&found[&asked[3]]), Some(Tombstone::Soft));
    assert_eq!(gone(&found[&asked[4]]), Some(Tombstone::Hard));
    assert_eq!(gone(&found[&asked[100]]), Some(Tombstone::Hard));
    assert!(matches!(&found[&asked[9]], Verdict::Here(facts) if facts.mail.is_some()));
    assert_eq!(bench.requests_to("$batch"), 3, "by filter, by id, and among the deleted");
}

#[tokio::test]
async fn doubt_about_a_lost_user_is_no_answer_and_concerns_nobody_else() {
    let (mut tenant, ids) = tenant_of(2);
    let lost = [ids[1], Uuid::from_u128(1)];
    tenant.soft_delete_user(ids[1]);
    let bench = Bench::new(tenant);
    let asked = [ids[0], lost[0], lost[1]].map(object);
    let own = |status_code| {
        (
            format!("/users/{}", lost[1]),
            Effect::Status { status: status_code, headers: vec![], body: FaultBody::Empty },
        )
    };
    let deleted = |code| (format!("deletedItems/{}", lost[1]), status(code, &[]));
    let answer = |json| {
        let body = FaultBody::Json(json);
        let effect = Effect::Status { status: 200, headers: vec![], body };
        (format!("deletedItems/{}", lost[1]), effect)
    };
    let others = [
        answer(serde_json::json!({ "value": [] })),
        answer(serde_json::json!({ "id": lost[0], "deletedDateTime": "2026-01-01T00:00:00Z" })),
    ];
    let codes = [own(400), own(403), own(410), deleted(400), deleted(403), deleted(410)];
    for (path, effect) in codes.into_iter().chain(others) {
        let fault = bench.simulator.inject(Fault::on(&path, effect));
        for asked_by_list in [false, true] {
            let found = if asked_by_list {
                bench.directory.confirm_users(&asked, 9).await
            } else {
                bench.directory.users_by_id(&asked).await
            };
            let found = found.expect("answers");
            assert!(matches!(found[&asked[0]], Verdict::Here(_)), "{path}");
            assert_eq!(gone(&found[&asked[1]]), Some(Tombstone::Soft), "{path}");
            assert!(matches!(found[&asked[2]], Verdict::Unknown(_)), "{path}");
        }
        bench.simulator.clear_fault(fault);
    }
    bench.simulator.inject(Fault::on("users?", Effect::MissingValue));
    let found = bench.directory.users_by_id(&asked).await.expect("answers");
    assert!(found.values().all(|v| matches!(v, Verdict::Unknown(Error::Incomplete { .. }))));
}

#[tokio::test]
async fn who_was_not_listed_is_confirmed_by_a_thousand_and_refuted_whatever_lists_say() {
    let (mut tenant, ids) = tenant_of(1_001);
    tenant.soft_delete_user(ids[3]);
    tenant.soft_delete_user(ids[4]);
    tenant.purge_user(ids[4]);
    let bench = Bench::new(tenant);
    let asked: Vec<_> = ids.iter().map(|id| object(*id)).collect();
    // What a lost permission may look like, everywhere but under the own address.
    for effect in [None, Some("getByIds"), Some("users?")] {
        bench.simulator.clear_faults();
        if let Some(path) = effect {
            bench.simulator.inject(Fault::on(path, Effect::EmptyOk));
        }
        bench.simulator.reset_counters();
        let found = bench.directory.confirm_users(&asked, 2_000).await.expect("answers");
        assert_eq!(bench.requests_to("getByIds"), 2, "{effect:?}");
        assert_eq!(found.len(), 1_001, "{effect:?}");
        for (at, id) in asked.iter().enumerate() {
            let expected = match at {
                3 => Some(Tombstone::Soft),
                4 => Some(Tombstone::Hard),
                _ => None,
            };
            assert_eq!(gone(&found[id]), expected, "{effect:?} {at}");
            assert!(!matches!(found[id], Verdict::Unknown(_)), "{effect:?} {at}");
        }
    }
}

#[tokio::test]
async fn more_lost_objects_than_may_be_asked_for_are_asked_for_not_at_all() {
    let (tenant, ids) = tenant_of(3);
    let bench = Bench::new(tenant);
    let mut asked: Vec<_> = ids.iter().map(|id| object(*id)).collect();
    asked.extend((1..4).map(|n| object(Uuid::from_u128(n))));
    let found = bench.directory.confirm_users(&asked, 2).await.expect("answers");
    assert!(asked[..3].iter().all(|id| matches!(found[id], Verdict::Here(_))));
    assert!(
        asked[3..].iter().all(|id| matches!(found[id], Verdict::Unknown(Error::TooMany { .. })))
    );
    let found = bench.directory.confirm_users(&asked, 3).await.expect("answers");
    assert!(asked[3..].iter().all(|id| gone(&found[id]) == Some(Tombstone::Hard)));
}

#[tokio::test]
async fn a_lost_group_counts_as_restorable_while_nobody_may_look() {
    let (mut tenant, _) = tenant_of(0);
    let here = group_of(&mut tenant, "here", &[]);
    let soft = group_of(&mut tenant, "soft", &[]);
    tenant.soft_delete_group(soft);
    let bench = Bench::new(tenant);
    bench.simulator.inject(Fault::on("deletedItems", status(403, &[])));
    let asked = [here, soft, Uuid::from_u128(1)].map(object);
    let found = bench.directory.groups_by_id(&asked).await.expect("groups");
    assert!(
        matches!(&found[&asked[0]], Verdict::Here(facts) if facts.display_name.as_deref() == Some("here"))
    );
    assert_eq!(
        (gone(&found[&asked[1]]), gone(&found[&asked[2]])),
        (Some(Tombstone::Soft), Some(Tombstone::Soft))
    );
    bench.simulator.clear_faults();
    let found = bench.directory.groups_by_id(&asked).await.expect("groups");
    assert_eq!(
        (gone(&found[&asked[1]]), gone(&found[&asked[2]])),
        (Some(Tombstone::Soft), Some(Tombstone::Hard))
    );
}

#[tokio::test]
async fn trap_25_names_match_any_case_none_or_several() {
    let (mut tenant, _) = tenant_of(0);
    let odd = group_of(&mut tenant, "O'Neil & Söhne #1+2 (100%)", &[]);
    let twins = [group_of(&mut tenant, "Twin", &[]), group_of(&mut tenant, "twin", &[])];
    for at in 0..40 {
        group_of(&mut tenant, &format!("team {at}"), &[]);
    }
    let bench = Bench::new(tenant);
    let mut names: Vec<String> = (0..40).map(|at| format!("TEAM {at}")).collect();
    names.extend(["O'Neil & Söhne #1+2 (100%)", "tWIN", "nobody", "nobody"].map(str::to_owned));
    let found = bench.directory.groups_by_name(&names).await.expect("groups");
    let ids = |name: &str| found[name].iter().map(|(id, _)| *id).collect::<Vec<ObjectId>>();
    assert_eq!(found.len(), 43);
    assert_eq!(ids("O'Neil & Söhne #1+2 (100%)"), [object(odd)]);
    let mut expected = twins.map(object);
    expected.sort();
    assert_eq!(ids("tWIN"), expected);
    assert!(ids("nobody").is_empty());
    assert_eq!(found["TEAM 7"][0].1.display_name.as_deref(), Some("team 7"));
}

#[tokio::test]
async fn a_purge_learns_whether_and_since_when() {
    let (mut tenant, ids) = tenant_of(4);
    tenant.soft_delete_user(ids[1]);
    tenant.soft_delete_user(ids[2]);
    tenant.purge_user(ids[2]);
    let bench = Bench::new(tenant);
    let asked: Vec<_> = ids.iter().map(|id| object(*id)).collect();
    let found = bench.directory.gone_since(&asked, ObjectKind::User).await.expect("answers");
    let GoneSince::SoftSince(since, soft) = found[&asked[1]] else { panic!("soft") };
    let GoneSince::Gone(hard) = found[&asked[2]] else { panic!("gone") };
    assert_eq!((soft.tombstone(), hard.tombstone()), (Tombstone::Soft, Tombstone::Hard));
    // The simulated directory lives in the past: this is its date, not the time of asking.
    assert!(Utc::now() - since > TimeDelta::days(1), "{since}");
    let alive = [0, 3].map(|at: usize| found[&asked[at]]);
    assert_eq!((found.len(), alive), (4, [GoneSince::Alive; 2]));
    let clock = bench.directory.server_time().expect("a Date");
    assert!((Utc::now() - clock).abs() < TimeDelta::minutes(1));
    assert!(bench.directory.last_request_id().is_some());
}

#[tokio::test]
async fn a_purge_is_not_told_anything_in_doubt() {
    let bench = Bench::new(tenant_of(0).0);
    let asked = [object(Uuid::from_u128(1))];
    bench.simulator.inject(Fault::on("deletedItems", status(403, &[])));
    let denied = bench.directory.gone_since(&asked, ObjectKind::Group).await;
    assert!(matches!(denied, Err(Error::Forbidden(_))));
    let hidden = bench.simulator.inject(Fault::on("/users/", status(403, &[])));
    let denied = bench.directory.gone_since(&asked, ObjectKind::User).await;
    assert!(matches!(denied, Err(Error::Forbidden(_))));
    bench.simulator.clear_fault(hidden);
    bench.answer("getByIds", json!({}));
    let cut = bench.directory.gone_since(&asked, ObjectKind::User).await;
    assert!(matches!(cut, Err(Error::Incomplete { .. })));
}

#[tokio::test]
async fn more_ids_than_one_question_takes_are_asked_in_several() {
    let (tenant, ids) = tenant_of(1_001);
    let bench = Bench::new(tenant);
    let asked: Vec<_> = ids.iter().map(|id| object(*id)).collect();
    let found = bench.directory.gone_since(&asked, ObjectKind::User).await.expect("answers");
    assert!(found.len() == 1_001 && found.values().all(|since| *since == GoneSince::Alive));
    assert_eq!(bench.requests_to("getByIds"), 2);
}

#[tokio::test]
async fn trap_35_guests_are_addressed_by_id() {
    let (mut tenant, _) = tenant_of(0);
    let upn = "guest_fabrikam.com#EXT#@contoso.onmicrosoft.com".to_owned();
    let guest =
        tenant.create_user(NewUser { user_principal_name: upn.clone(), ..NewUser::default() });
    let bench = Bench::new(tenant);
    let found = bench.directory.users_by_id(&[object(guest)]).await.expect("users");
    let Verdict::Here(facts) = &found[&object(guest)] else { panic!("present") };
    assert!(facts.is_guest() && facts.upn.as_ref() == Some(&upn));
    assert!(bench.simulator.requests().iter().all(|request| !request.target.contains("EXT")));
}

#[tokio::test]
async fn trap_14_and_16_nothing_is_expanded_and_properties_are_always_selected() {
    let (mut tenant, ids) = tenant_of(2);
    let team = [object(group_of(&mut tenant, "team", &ids))];
    let bench = Bench::new(tenant);
    let asked = [object(ids[0])];
    let directory = &bench.directory;
    directory.latest().await.expect("links");
    directory.list_users().await.expect("a list");
    directory.list_groups().await.expect("a list");
    directory.deleted_users().await.expect("a list");
    directory.members(&team, Detail::Facts).await.expect("lists");
    let kinds = [(asked[0], MemberKind::User), (team[0], MemberKind::Group)];
    directory.groups_of(&kinds.map(|(id, kind)| Member { id, kind })).await.expect("groups");
    directory.users_by_id(&asked).await.expect("users");
    directory.groups_by_id(&team).await.expect("groups");
    for request in bench.simulator.requests().iter().filter(|request| request.method == "GET") {
        assert!(!request.target.contains("expand"), "{}", request.target);
        assert!(request.target.contains("$select="), "{}", request.target);
    }
}

#[tokio::test]
async fn trap_22_an_address_may_be_several_peoples_or_nobodys() {
    let mut tenant = Tenant::new();
    let user = |mail: Option<&str>, upn: &str| NewUser {
        display_name: upn.to_owned(),
        user_principal_name: upn.to_owned(),
        mail: mail.map(str::to_owned),
        ..NewUser::default()
    };
    let by_mail = tenant.create_user(user(Some("O'Neil+x@contoso.example"), "one@t"));
    let too = tenant.create_user(user(Some("o'neil+X@contoso.example"), "two@t"));
    let by_upn = tenant.create_user(user(None, "a_b#EXT#@t"));
    tenant.create_user(user(Some("other@t"), "three@t"));
    let bench = Bench::new(tenant);
    let asked = ["o'neil+x@contoso.example", "a_b#ext#@t", "nobody@t"].map(str::to_owned);
    let asked = asked.into_iter().chain((0..14).map(|at| format!("{at}@t"))).collect();
    let found = bench.directory.users_by_address(&asked).await.expect("users");
    let expected: BTreeSet<_> = [by_mail, too, by_upn].map(object).into();
    assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), expected);
    assert_eq!(bench.requests_to("$batch"), 2, "17 addresses: one by mail, one by UPN");
}
