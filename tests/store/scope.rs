//! Scope `linked` and `members`: what is read, what it costs, what comes in later.

use crate::prelude::*;

const TENANT: Groups<'_> = &[
    ("readers", &["ada", "bob"]),
    ("nested", &["cem"]),
    ("outer", &["nested", "dora"]),
    ("elsewhere", &["emil", "fay", "ada"]),
];

/// A platform in scope `linked`/`members`, with nothing linked yet.
async fn narrow(on: On) -> World {
    let mut world = World::new(on, company(TENANT)).await;
    world.settings.all_groups = false;
    world.settings.all_users = false;
    world
}

fn groups(world: &World) -> Vec<String> {
    world.lines("display_name", "aad_groups")
}

fn names(world: &World) -> Vec<String> {
    world.lines("name", "users")
}

#[tokio::test]
async fn a_first_read_asks_for_linked_groups_and_their_people_alone() {
    for on in BOTH {
        let world = narrow(on).await;
        world.link("app", id("outer"));
        world.run(Full).await;
        assert_eq!(groups(&world), ["nested", "outer"], "{on:?}");
        assert_eq!(names(&world), ["cem", "dora"], "{on:?}");
        assert_eq!(world.who("app"), ["cem", "dora"], "{on:?}");
        for request in world.simulator.requests() {
            let target = request.target.as_str();
            let list =
                ["/v1.0/users?", "/v1.0/groups?"].iter().any(|list| target.starts_with(list));
            assert!(!list || target.contains("$filter=id"), "{on:?}: {target} lists the tenant");
            for other in ["elsewhere", "readers"] {
                let other = id(other).to_string();
                assert!(!target.contains(&other), "{on:?}: {target} reads {other}");
            }
        }
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn a_link_added_by_people_is_read_by_the_next_delta_run() {
    for on in BOTH {
        let world = narrow(on).await;
        world.link("app", id("outer"));
        world.run(Full).await;
        world.link("tool", id("readers"));
        assert_eq!(world.who("tool"), [""; 0], "{on:?}: never read gives nothing");
        let report = world.run(Delta).await;
        assert_eq!(report.mode, Delta);
        assert_eq!(world.who("tool"), ["ada", "bob"], "{on:?}");
        assert_eq!(
            groups(&world),
            ["nested", "outer", "readers"],
            "{on:?}: the row by hand is taken over"
        );
        world.follow(|tenant| hire(tenant, "gil", "readers")).await;
        assert_eq!(world.who("tool"), ["ada", "bob", "gil"], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn a_group_nested_later_comes_in_with_its_people() {
    for on in BOTH {
        let world = narrow(on).await;
        world.link("app", id("readers"));
        world.run(Full).await;
        world.follow(|tenant| tenant.add_member(id("readers"), id("outer"))).await;
        assert_eq!(world.who("app"), ["ada", "bob", "cem", "dora"], "{on:?}");
        world.follow(|tenant| tenant.remove_member(id("nested"), id("cem"))).await;
        assert_eq!(world.who("app"), ["ada", "bob", "dora"], "{on:?}: and is followed");
        world.follow(|tenant| tenant.remove_member(id("readers"), id("outer"))).await;
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn whoever_leaves_the_last_group_keeps_the_row_and_is_followed() {
    for on in BOTH {
        let world = narrow(on).await;
        world.link("app", id("readers"));
        world.run(Full).await;
        world.member("tool", "ada", "member");
        world.follow(|tenant| tenant.remove_member(id("readers"), id("ada"))).await;
        assert_eq!(
            (world.who("app"), names(&world)),
            (vec!["bob".into()], vec!["ada".into(), "bob".into()])
        );
        assert_eq!(world.who("tool"), ["ada"], "{on:?}");
        world.assert_rests().await;
        world
            .follow(|tenant| tenant.update_user(id("ada"), |u| u.account_enabled = Some(false)))
            .await;
        assert_eq!(world.who("tool"), [""; 0], "{on:?}: still followed");
    }
}

#[tokio::test]
async fn somebody_restored_gets_its_memberships_back() {
    for on in BOTH {
        let world = narrow(on).await;
        world.link("app", id("outer"));
        world.run(Full).await;
        world.follow(|tenant| tenant.soft_delete_user(id("cem"))).await;
        assert_eq!(world.who("app"), ["dora"], "{on:?}");
        world.follow(|tenant| tenant.restore_user(id("cem"))).await;
        assert_eq!(world.who("app"), ["cem", "dora"], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn what_happens_out_of_scope_costs_no_row() {
    for on in BOTH {
        let world = narrow(on).await;
        world.link("app", id("readers"));
        world.run(Full).await;
        let report = world
            .follow(|tenant| {
                hire(tenant, "gil", "elsewhere");
                tenant.soft_delete_user(id("emil"));
                tenant.soft_delete_group(id("outer"));
            })
            .await;
        assert_eq!(report.outcome, Outcome::Unchanged, "{on:?}");
        assert_eq!(names(&world), ["ada", "bob"], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn a_person_deleted_while_the_token_was_lost_is_found_in_a_narrow_scope_too() {
    for on in BOTH {
        let world = narrow(on).await;
        world.link("app", id("readers"));
        world.run(Full).await;
        world.edit(|tenant| tenant.soft_delete_user(id("ada")) && tenant.purge_user(id("ada")));
        world.simulator.expire_delta_tokens(graph_simulator::Expiry::GoneSyncStateNotFound);
        let report = world.run(Delta).await;
        assert_eq!(report.mode, Full);
        assert_eq!(world.who("app"), ["bob"], "{on:?}");
        assert!(world.user("ada").ends_with("removed"), "{on:?}");
        world.assert_rests().await;
    }
}
