//! Drift: what a full run finds and delta runs should have applied; nothing else is counted.

use crate::prelude::*;
use graph_simulator::{Effect, Fault, FaultBody, Tenant};

const TENANT: Groups<'_> = &[
    ("readers", &["ada", "bob"]),
    ("inner", &["cem"]),
    ("outer", &["dora"]),
    ("elsewhere", &["emil", "fay"]),
];

/// What is linked and read, in either scope.
async fn platform(on: On, everything: bool) -> World {
    let mut world = World::new(on, company(TENANT)).await;
    world.settings.all_groups = everything;
    world.settings.all_users = everything;
    world.link("app", id("readers"));
    world.link("tool", id("outer"));
    world.run(Full).await;
    world
}

/// What happens while the rounds say nothing, and what of it a full run finds as drift: with
/// everything in scope, and in a narrow one.
type Missed = (&'static str, fn(&mut Tenant), u64, u64);

const MISSED: &[Missed] = &[
    ("nothing", |_| {}, 0, 0),
    ("a name", |tenant| tenant.rename_group(id("readers"), "Readers".to_owned()), 1, 1),
    (
        "a member, new to a narrow scope, and a name",
        |tenant| {
            tenant.add_member(id("readers"), id("emil"));
            tenant.rename_group(id("readers"), "Readers".to_owned());
        },
        2,
        3,
    ),
    ("a new hire", |tenant| hire(tenant, "gil", "readers"), 2, 2),
    ("who left", |tenant| assert!(tenant.remove_member(id("readers"), id("ada"))), 1, 1),
    (
        "a person's name",
        |tenant| tenant.update_user(id("ada"), |ada| ada.display_name = Some("Ada".to_owned())),
        1,
        1,
    ),
    ("a deletion", |tenant| assert!(tenant.soft_delete_user(id("ada"))), 1, 1),
    ("a deletion for good", |tenant| assert!(tenant.purge_user(id("ada"))), 2, 2),
    ("a group's deletion", |tenant| assert!(tenant.soft_delete_group(id("outer"))), 1, 1),
    // What is in a group that is new to the scope is read for the first time.
    ("a nested group", |tenant| assert!(tenant.add_member(id("outer"), id("inner"))), 1, 1),
    (
        "out of a narrow scope",
        |tenant| assert!(tenant.remove_member(id("elsewhere"), id("fay"))),
        1,
        0,
    ),
];

#[tokio::test]
async fn what_delta_rounds_missed_is_drift_in_either_scope() {
    for on in BOTH {
        for (missed, change, wide, narrow) in MISSED {
            for (everything, expected) in [(true, *wide), (false, *narrow)] {
                let at = format!("{on:?} {missed}, everything: {everything}");
                let world = platform(on, everything).await;
                world.simulator.inject(Fault::on("/delta", Effect::EmptyOk));
                assert_eq!(world.follow(change).await.outcome, Outcome::Unchanged, "{at}");
                world.simulator.clear_faults();
                let full = world.run(Full).await;
                assert_eq!(full.drift, expected, "{at} {:?}", full.changes);
                assert_eq!(full.lag_max, None, "{at}: at any time before");
                world.assert_access_is_true();
                world.assert_rests().await;
            }
        }
    }
}

#[tokio::test]
async fn what_a_full_run_reads_first_or_again_is_no_drift() {
    for on in BOTH {
        for everything in [true, false] {
            let at = format!("{on:?}, everything: {everything}");
            let mut world = platform(on, everything).await;
            // New to the scope, by people and by the registry.
            world.link("app", id("elsewhere"));
            world.registry(vec![entry("new", &["inner"], None)]);
            let full = world.run(Full).await;
            assert_eq!((full.outcome, full.drift), (Outcome::Applied, 0), "{at}");
            assert!(!everything || full.lag_max.is_some(), "{at}: it was told of in time");
            // What a delta run would have followed.
            world.edit(|tenant| {
                hire(tenant, "gil", "readers");
                tenant.add_member(id("outer"), id("readers"));
                tenant.soft_delete_user(id("ada"));
            });
            let full = world.run(Full).await;
            assert_eq!((full.outcome, full.drift), (Outcome::Applied, 0), "{at}");
            // What could not be read before.
            let status =
                Effect::Status { status: 403, headers: Vec::new(), body: FaultBody::Empty };
            world.simulator.inject(Fault::on("*/members?*", status));
            assert_eq!(world.run(Full).await.drift, 0, "{at}: stale is not changed");
            world.simulator.clear_faults();
            assert_eq!(world.run(Full).await.drift, 0, "{at}: nor is read again");
            world.assert_access_is_true();
            world.assert_rests().await;
        }
    }
}
