//! A group whose members could not be read is stale until they are: told, kept as it was,
//! and read again by each run; and not for longer than there is such a group.

use crate::prelude::*;
use graph_simulator::{Effect, Fault, FaultBody};

const TENANT: Groups<'_> =
    &[("readers", &["ada", "bob"]), ("others", &["fay"]), ("elsewhere", &["emil"])];

async fn platform(on: On, everything: bool) -> World {
    let mut world = World::new(on, company(TENANT)).await;
    world.settings.all_groups = everything;
    world.settings.all_users = everything;
    world.link("app", id("readers"));
    world.link("tool", id("others"));
    world.run(Full).await;
    world
}

fn status(status: u16, body: FaultBody) -> Effect {
    Effect::Status { status, headers: Vec::new(), body }
}

fn members_of(group: &str) -> String {
    format!("*{}/members?*", id(group))
}

fn finding(group: &str) -> String {
    format!("group_stale|{}", id(group))
}

#[tokio::test]
async fn a_list_that_is_not_found_of_a_group_that_is_there_is_not_read() {
    for on in BOTH {
        for everything in [true, false] {
            for before in [403, 404] {
                let at = format!("{on:?}, everything: {everything}, {before} before");
                let world = platform(on, everything).await;
                // Swallowed by the rounds: only a list can tell.
                world.simulator.inject(Fault::on("/delta", Effect::EmptyOk));
                world.follow(|tenant| hire(tenant, "gil", "readers")).await;
                world.simulator.clear_faults();
                for code in [before, 404, 404] {
                    let effect = status(code, FaultBody::Empty);
                    let fault = world.simulator.inject(Fault::on(members_of("readers"), effect));
                    let mode = if code == before { Full } else { Delta };
                    world.run(mode).await;
                    assert_eq!(world.findings(), [finding("readers")], "{at}");
                    assert_eq!(world.who("app"), ["ada", "bob"], "{at}");
                    world.simulator.clear_fault(fault);
                }
                world.run(Delta).await;
                assert_eq!(world.findings(), [""; 0], "{at}");
                assert_eq!(world.who("app"), ["ada", "bob", "gil"], "{at}");
                world.assert_rests().await;
            }
        }
    }
}

#[tokio::test]
async fn a_list_that_is_not_found_when_its_group_enters_is_read_later() {
    for on in BOTH {
        let world = platform(on, false).await;
        world.link("app", id("elsewhere"));
        let effect = status(404, FaultBody::Empty);
        world.simulator.inject(Fault::on(members_of("elsewhere"), effect));
        for _ in 0..2 {
            world.run(Delta).await;
            assert_eq!(world.findings(), [finding("elsewhere")], "{on:?}");
            assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
        }
        world.simulator.clear_faults();
        world.run(Delta).await;
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        assert_eq!(world.who("app"), ["ada", "bob", "emil"], "{on:?}");
        world.assert_rests().await;
    }
}

/// It was not found because it is gone, as the next round says.
#[tokio::test]
async fn a_group_that_was_deleted_is_stale_no_more() {
    for on in BOTH {
        for everything in [true, false] {
            for mode in [Delta, Full] {
                let at = format!("{on:?}, everything: {everything}, {mode}");
                let world = platform(on, everything).await;
                let effect = status(404, FaultBody::Empty);
                world.simulator.inject(Fault::on(members_of("readers"), effect));
                world.run(Full).await;
                assert_eq!(world.findings(), [finding("readers")], "{at}");
                world.edit(|tenant| tenant.soft_delete_group(id("readers")));
                world.run(mode).await;
                assert_eq!(world.findings(), [""; 0], "{at}");
                assert_eq!(world.who("app"), [""; 0], "{at}");
                world.simulator.clear_faults();
                world.follow(|tenant| tenant.restore_group(id("readers"))).await;
                assert_eq!(world.who("app"), ["ada", "bob"], "{at}");
                world.assert_rests().await;
            }
        }
    }
}

/// … or the last round of the same run: it was deleted while the lists were read.
#[tokio::test]
async fn a_group_that_is_deleted_while_it_is_read_is_not_stale() {
    for on in BOTH {
        let world = platform(on, true).await;
        let groups: Vec<_> = TENANT
            .iter()
            .map(|(name, _)| serde_json::json!({ "id": id(name), "displayName": name }))
            .collect();
        let link = world.lines("groups_link", "dirsync_cursors").pop().unwrap();
        world.edit(|tenant| tenant.soft_delete_group(id("readers")));
        // The first round and the list are from before.
        let round = serde_json::json!({ "value": [], "@odata.deltaLink": link });
        let round = Fault::on("groups/delta", status(200, FaultBody::Json(round))).once();
        world.simulator.inject(round);
        let list = FaultBody::Json(serde_json::json!({ "value": groups }));
        world.simulator.inject(Fault::on("/v1.0/groups?$select", status(200, list)));
        let report = world.run(Full).await;
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        assert_eq!((world.who("app"), report.drift), (vec![], 0), "{on:?}");
        world.simulator.clear_faults();
        world.assert_rests().await;
    }
}

/// Somebody new may be unreadable for as long as Graph likes: everybody else goes on, and the
/// group that tells of the newcomer is read until it tells enough.
#[tokio::test]
async fn a_member_who_cannot_be_read_holds_up_nobody_else() {
    let lists_tell: &[(&str, &[&str], &[&str])] =
        &[("emil", &[], &["ada", "emil"]), ("elsewhere", &["elsewhere"], &["ada"])];
    let lists_name: &[(&str, &[&str], &[&str])] = &[("gil", &["readers"], &["ada"])];
    for (on, code) in BOTH.into_iter().flat_map(|on| [(on, 400), (on, 403)]) {
        let narrow = lists_tell.iter().map(|row| (false, row));
        for (everything, (joiner, stale, who)) in
            narrow.chain(lists_name.iter().map(|row| (true, row)))
        {
            let at = format!("{on:?}, everything: {everything}, {joiner} {code}");
            let world = platform(on, everything).await;
            let effect = status(code, FaultBody::Empty);
            world.simulator.inject(Fault::on(format!("*{}*", id(joiner)), effect));
            // Only the membership is told of somebody who was hired just now.
            world.simulator.inject(Fault::on("users/delta", Effect::EmptyOk));
            world
                .follow(|tenant| {
                    if everything {
                        tenant.create_user(person(joiner));
                    }
                    tenant.add_member(id("readers"), id(joiner));
                    tenant.remove_member(id("readers"), id("bob"));
                    tenant.remove_member(id("others"), id("fay"));
                })
                .await;
            assert_eq!(world.findings(), [finding("readers")], "{at}");
            assert_eq!(world.who("app"), ["ada"], "{at}");
            assert_eq!(world.who("tool"), [""; 0], "{at}");
            for _ in 0..2 {
                world.run(Delta).await;
                let stale: Vec<String> = stale.iter().map(|group| finding(group)).collect();
                assert_eq!(world.findings(), stale, "{at}");
                assert_eq!(world.who("app"), *who, "{at}");
            }
            world.simulator.clear_faults();
            world.run(Delta).await;
            assert_eq!(world.findings(), [""; 0], "{at}");
            let joined = if everything { "gil" } else { "emil" };
            assert_eq!(world.who("app"), ["ada", joined], "{at}");
            world.assert_rests().await;
            world.assert_audit_whole().await;
        }
    }
}

/// Two answers of nothing are what a lost permission looks like: the count must agree.
#[tokio::test]
async fn an_empty_list_of_groups_is_no_proof_that_somebody_left() {
    for on in BOTH {
        let world = platform(on, true).await;
        let ada = serde_json::json!({ "@odata.type": "#microsoft.graph.user", "id": id("ada") });
        let body = FaultBody::Json(serde_json::json!({ "value": [ada] }));
        world.simulator.inject(Fault::on(members_of("readers"), status(200, body)));
        world.simulator.inject(Fault::on("*/memberOf?*", Effect::EmptyOk));
        world.run(Full).await;
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
        assert_eq!(world.findings(), [finding("readers")], "{on:?}");
        world.simulator.clear_faults();
        world.run(Delta).await;
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
    }
}
