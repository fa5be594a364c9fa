//! What follows from what is held waits with it: it is shown, counted and answered with
//! it, and costs nobody anything by itself.

use graph_simulator::Tenant;
use nexus_dirsync::directory::ObjectId;
use nexus_dirsync::reconcile::guard::{Allowance, Limits};
use nexus_dirsync::store::Decision;

use crate::prelude::*;

const NESTED: Groups<'_> = &[
    ("inner", &["ada", "bob"]),
    ("outer", &["inner", "cem", "dora", "emil", "fay"]),
    ("admins", &["inner", "gil"]),
];

/// Two people reach `x` by a group and `y` by the one around it; the group is deleted, which
/// would empty `x`.
async fn held(on: On) -> World {
    let mut world = World::new(on, company(NESTED)).await;
    world.settings.admin_groups = [ObjectId::new(id("admins"))].into();
    world.run(Full).await;
    world.link("x", id("inner"));
    world.link("y", id("outer"));
    world.settings.limits = Limits { keep_reachable: true, ..unlimited() };
    world.edit(|tenant| tenant.soft_delete_group(id("inner")));
    assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
    world
}

/// Items by number, with their status.
fn items(world: &World) -> Vec<String> {
    world.lines("number, status", "dirsync_plan_items ORDER BY plan_hash, number")
}

/// The hash of the plan, and the number of the item that everything else follows from.
async fn end_of_the_group(world: &World) -> (String, i32) {
    let hash = world.pending().await.remove(0).hash;
    let prefix = hash.clone();
    let plan = world.store.read(move |tx| tx.plan(&prefix)).await.unwrap().expect("the plan");
    let group = plan.items.iter().find(|(item, _)| item.kind == "group_removal");
    (hash, group.expect("the group").0.number)
}

#[tokio::test]
async fn it_is_shown_once_and_no_run_counts_it() {
    for on in BOTH {
        let mut world = held(on).await;
        let plan = world.pending().await.remove(0);
        let cost = [("x".to_owned(), 2), ("y".to_owned(), 2)];
        assert_eq!(plan.header.cost, cost.into(), "{on:?}");
        // The group, two memberships of the outer one, two of the admins, two roles.
        assert_eq!(plan.statuses.values().sum::<u64>(), 7, "{on:?}: {:?}", plan.header);
        for mode in [Delta, Full, Delta] {
            let report = world.run(mode).await;
            assert_eq!(report.changes, [].into(), "{on:?}");
            assert_eq!(world.pending().await.len(), 1, "{on:?}");
        }
        assert_eq!(world.database.count("dirsync_removals"), 0, "{on:?}");

        world.settings.limits.memberships.window = Allowance { max: 1, percent: 100.0 };
        let report = world.follow(|tenant| tenant.remove_member(id("outer"), id("cem"))).await;
        assert_eq!(report.changes.values().sum::<u64>(), 1, "{on:?}");
        assert_eq!(world.pending().await.len(), 1, "{on:?}: nothing else is trapped");
        assert_eq!(world.who("y").len(), 5, "{on:?}");
    }
}

#[tokio::test]
async fn a_yes_to_all_of_it_does_all_of_it_and_signs_it() {
    for on in BOTH {
        let world = held(on).await;
        let mark = world.audit_mark();
        world.approve_all().await;
        let report = world.run(Delta).await;
        assert_eq!((report.outcome, report.access.lost), (Outcome::Applied, 4), "{on:?}");
        assert!(world.who("x").is_empty() && world.who("y").len() == 4, "{on:?}");
        assert!(world.user("ada").contains("user"), "{on:?}: {}", world.user("ada"));
        let unsigned = format!(
            "audit_logs WHERE id > {mark} AND CAST(metadata AS text) NOT LIKE '%\"approval\"%'"
        );
        assert_eq!(world.database.count(&unsigned), 0, "{on:?}");
        assert_eq!(world.database.count("dirsync_removals"), 0, "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn a_yes_to_it_alone_is_no_yes_to_what_it_follows_from() {
    for on in BOTH {
        let world = held(on).await;
        let (hash, group) = end_of_the_group(&world).await;
        let others = (1..=7).filter(|number| *number != group).collect();
        world.answer(&hash, Decision::Approve(others)).await;
        let report = world.run(Delta).await;
        assert_eq!((report.outcome, report.changes), (Outcome::Held, [].into()), "{on:?}");
        let settled = world.lines(
            "status",
            &format!(
                "dirsync_plan_items WHERE plan_hash = '{hash}' GROUP BY status ORDER BY status"
            ),
        );
        assert_eq!(settled, ["changed", "moved"], "{on:?}: none of it was applied");
        assert_eq!(world.pending().await.len(), 1, "{on:?}");
        let known = items(&world);
        assert_eq!(world.run(Delta).await.changes, [].into(), "{on:?}");
        assert_eq!(items(&world), known, "{on:?}");
    }
}

#[tokio::test]
async fn a_yes_to_the_end_alone_leaves_what_follows_for_another_answer() {
    for on in BOTH {
        let world = held(on).await;
        let (hash, group) = end_of_the_group(&world).await;
        world.answer(&hash, Decision::Approve([group].into())).await;
        let report = world.run(Delta).await;
        assert_eq!((report.outcome, report.access.lost), (Outcome::Held, 2), "{on:?}");
        assert!(world.who("x").is_empty() && world.who("y").len() == 6, "{on:?}");
        world.approve_all().await;
        let report = world.run(Delta).await;
        assert_eq!((report.outcome, report.access.lost), (Outcome::Applied, 2), "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn somebody_whose_end_is_held_gets_no_role_and_no_product_to_own() {
    for on in BOTH {
        let mut world = World::new(on, company(NESTED)).await;
        world.settings.admin_groups = [ObjectId::new(id("admins"))].into();
        world.run(Full).await;
        world.link("y", id("outer"));
        world.settings.limits = Limits { rehearse: false, ..at_most(0) };
        world.edit(|tenant| {
            tenant.update_user(id("cem"), |user| user.account_enabled = Some(false));
            tenant.soft_delete_user(id("dora"));
        });
        world.run(Delta).await;
        let before = (world.user("cem"), world.who("y"));
        world.registry(vec![entry("vault", &[], Some("dora")), entry("safe", &[], Some("cem"))]);
        let report = world.follow(|tenant| tenant.add_member(id("admins"), id("cem"))).await;
        assert_eq!(report.outcome, Outcome::Held, "{on:?}");
        assert!(world.who("vault").is_empty() && world.who("safe").is_empty(), "{on:?}");
        assert_eq!((world.user("cem"), world.who("y")), before, "{on:?}");

        // Enabled again, he gets what he missed.
        let report = world.follow(|tenant| {
            tenant.update_user(id("cem"), |user| user.account_enabled = Some(true));
        });
        report.await;
        assert_eq!(world.who("safe").len(), 1, "{on:?}");
        assert!(world.user("cem").contains("admin"), "{on:?}: {}", world.user("cem"));
        world.approve_all().await;
        world.run(Delta).await;
        world.assert_rests().await;
    }
}

/// What is deleted, how, and how it then goes for good.
type Deletion = (&'static str, fn(&mut Tenant) -> bool, fn(&mut Tenant) -> bool);

const PEOPLE: Deletion = (
    "two people",
    |tenant| ["ada", "bob"].iter().all(|name| tenant.soft_delete_user(id(name))),
    |tenant| ["ada", "bob"].iter().all(|name| tenant.purge_user(id(name))),
);
const GROUP: Deletion = (
    "their group",
    |tenant| tenant.soft_delete_group(id("inner")),
    |tenant| tenant.purge_group(id("inner")),
);

/// Two products of `tenant`, linked to `inner` and to the group around it, once the deletion
/// is held and the limits are gone.
async fn kept(on: On, tenant: Groups<'_>, (what, delete, _): Deletion) -> World {
    let mut world = World::new(on, company(tenant)).await;
    world.run(Full).await;
    world.link("app", id("inner"));
    world.link("vault", id("around"));
    world.settings.limits.users.run.max = 1;
    world.settings.limits.groups.run.max = 0;
    assert_eq!(world.follow(delete).await.outcome, Outcome::Held, "{on:?}, {what}");
    world.settings.limits = unlimited();
    world
}

/// Somebody says no to the one plan.
async fn refuse(world: &World) {
    let hash = world.pending().await.remove(0).hash;
    world.answer(&hash, Decision::Reject("they stay".into())).await;
}

/// Azure purges what it has deleted after 30 days, and ends the memberships with that: the
/// time that a hold takes is nobody's word.
#[tokio::test]
async fn memberships_wait_with_a_deletion_that_is_held() {
    const TENANT: Groups<'_> = &[("inner", &["ada", "bob"]), ("around", &["inner", "cem"])];
    let cases = [(PEOPLE, false), (PEOPLE, true), (GROUP, false)];
    for (on, (case, refused)) in BOTH.into_iter().flat_map(|on| cases.map(|case| (on, case))) {
        let (what, _, purge) = case;
        let at = format!("{on:?}, {what}, refused before: {refused}");
        let mut world = kept(on, TENANT, case).await;
        if refused {
            refuse(&world).await;
        }

        // What does not happen is not counted, and keeps nobody else in.
        world.settings.limits.memberships.run.max = 1;
        world.edit(|tenant| {
            assert!(purge(tenant) && tenant.remove_member(id("around"), id("cem")));
        });
        for mode in [Delta, Full, Delta] {
            world.run(mode).await;
            assert_eq!(world.who("app"), ["ada", "bob"], "{at}, {mode:?}");
            assert_eq!(world.who("vault"), ["ada", "bob"], "{at}, {mode:?}");
        }
        assert_eq!(world.lines("memberships", "dirsync_removals"), ["1"], "{at}");
        world.settings.limits = unlimited();

        world.run_agreed(Delta).await;
        assert_eq!(world.who("vault"), [""; 0], "{at}");
        world.assert_equals_tenant().await;
        world.assert_rests().await;
    }
}

/// Who stays by a refusal stays in that group, and not in whatever else they leave.
#[tokio::test]
async fn a_deletion_that_was_refused_keeps_nobody_in_other_groups() {
    const TENANT: Groups<'_> =
        &[("inner", &["ada", "bob"]), ("middle", &["ada", "cem"]), ("around", &["middle", "dora"])];
    for (on, case) in BOTH.into_iter().flat_map(|on| [(on, PEOPLE), (on, GROUP)]) {
        let (what, ..) = case;
        let world = kept(on, TENANT, case).await;
        refuse(&world).await;
        world.run(Delta).await;
        world.edit(|tenant| tenant.remove_member(id("around"), id("middle")));
        for mode in [Delta, Full] {
            world.run(mode).await;
            assert_eq!(world.pending().await.len(), 0, "{on:?}, {what}, {mode:?}");
            assert_eq!(world.who("vault"), ["dora"], "{on:?}, {what}, {mode:?}");
            assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}, {what}, {mode:?}");
        }
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn what_waits_counts_for_nothing() {
    const TENANT: Groups<'_> = &[("inner", &["ada", "bob"]), ("around", &["inner", "cem"])];
    for on in BOTH {
        let mut world = kept(on, TENANT, PEOPLE).await;
        world.settings.limits.memberships.run.max = 1;
        world.edit(|tenant| {
            assert!(tenant.remove_member(id("around"), id("inner")));
            assert!(tenant.remove_member(id("around"), id("cem")));
        });
        for mode in [Delta, Full] {
            world.run(mode).await;
            assert_eq!(world.who("vault"), ["ada", "bob"], "{on:?}, {mode:?}");
        }
        world.run_agreed(Delta).await;
        world.assert_equals_tenant().await;
        world.assert_rests().await;
    }
}
