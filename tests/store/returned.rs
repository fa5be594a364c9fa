//! Who comes back brings memberships along that no round tells (trap 6): they are read in
//! the same run, from one side or the other, whoever was known before and whoever was not.

use crate::prelude::*;
use graph_simulator::{Effect, Fault, FaultBody};

const TENANT: Groups<'_> = &[
    ("readers", &["rita", "ada"]),
    ("outer", &["readers", "dora"]),
    ("others", &["fay"]),
    ("elsewhere", &["emil"]),
];

/// A platform in either scope, for which nobody has read anything yet.
async fn platform(on: On, everything: bool) -> World {
    let mut world = World::new(on, company(TENANT)).await;
    world.settings.all_groups = everything;
    world.settings.all_users = everything;
    world
}

fn status(status: u16) -> Effect {
    Effect::Status { status, headers: Vec::new(), body: FaultBody::Empty }
}

/// Ways in which `memberOf` may keep memberships to itself.
fn silences() -> [(&'static str, Effect); 5] {
    [
        ("busy", status(503)),
        ("refused", status(403)),
        ("not found", status(404)),
        ("empty", Effect::EmptyOk),
        ("broken off", Effect::MissingValue),
    ]
}

#[tokio::test]
async fn who_cannot_be_asked_for_memberships_is_found_in_the_lists_of_groups() {
    for on in BOTH {
        for everything in [true] {
            for (silence, effect) in silences() {
                let at = format!("{on:?} {silence}, everything: {everything}");
                let world = platform(on, everything).await;
                world.edit(|tenant| tenant.soft_delete_user(id("rita")));
                world.link("app", id("outer"));
                world.run(Full).await;
                assert_eq!(world.who("app"), ["ada", "dora"], "{at}");
                world.simulator.inject(Fault::on("memberOf", effect));
                world.follow(|tenant| tenant.restore_user(id("rita"))).await;
                assert_eq!(world.who("app"), ["ada", "dora", "rita"], "{at}");
                world.simulator.clear_faults();
                assert_eq!(world.findings(), [""; 0], "{at}");
                world.assert_rests().await;
                world.assert_audit_whole().await;
            }
        }
    }
}

/// Neither side can be read: what could not be is told, and read again by each run.
#[tokio::test]
async fn where_neither_side_can_be_read_the_groups_are_stale_until_they_are() {
    for on in BOTH {
        for everything in [true] {
            let at = format!("{on:?}, everything: {everything}");
            let world = platform(on, everything).await;
            world.edit(|tenant| tenant.soft_delete_user(id("rita")));
            world.link("app", id("outer"));
            world.run(Full).await;
            world.simulator.inject(Fault::on("memberOf", status(403)));
            world.simulator.inject(Fault::on("*/members?*", status(403)));
            world.follow(|tenant| tenant.restore_user(id("rita"))).await;
            let stale = format!("group_stale|{}", id("readers"));
            for _ in 0..2 {
                assert!(world.findings().contains(&stale), "{at} {:?}", world.findings());
                assert_eq!(world.who("app"), ["ada", "dora"], "{at}: nobody loses anything");
                world.run(Delta).await;
            }
            world.simulator.clear_faults();
            world.run(Delta).await;
            assert_eq!(world.who("app"), ["ada", "dora", "rita"], "{at}");
            assert_eq!(world.findings(), [""; 0], "{at}");
            world.assert_rests().await;
        }
    }
}
