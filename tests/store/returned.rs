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

fn asked(world: &World, what: &str) -> usize {
    world.simulator.requests().iter().filter(|request| request.target.contains(what)).count()
}

#[tokio::test]
async fn who_cannot_be_asked_for_memberships_is_found_in_the_lists_of_groups() {
    for on in BOTH {
        for everything in [true, false] {
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
        for everything in [true, false] {
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

/// The deletion was before anybody read the group, so nobody has heard of her.
#[tokio::test]
async fn who_was_deleted_before_the_group_was_read_is_recognised_on_return() {
    for on in BOTH {
        for (everything, later) in [(true, false), (false, false), (false, true)] {
            let at = format!("{on:?}, everything: {everything}, linked later: {later}");
            let world = platform(on, everything).await;
            world.edit(|tenant| tenant.soft_delete_user(id("rita")));
            if later {
                world.link("tool", id("others"));
                world.run(Full).await;
            }
            world.link("app", id("readers"));
            world.run(if later { Delta } else { Full }).await;
            assert_eq!(world.who("app"), ["ada"], "{at}");
            world.follow(|tenant| tenant.restore_user(id("rita"))).await;
            assert_eq!(world.who("app"), ["ada", "rita"], "{at}");
            let full = world.run(Full).await;
            assert_eq!((full.outcome, full.drift), (Outcome::Unchanged, 0), "{at}");
            world.assert_rests().await;
            world.assert_audit_whole().await;
        }
    }
}

/// A group comes back into the groups above it, known before or not. Without the right to
/// look into the deleted groups nobody has heard of it in a wide scope either.
#[tokio::test]
async fn a_nested_group_that_comes_back_passes_its_people_on() {
    for on in BOTH {
        for everything in [true, false] {
            for (silence, effect) in silences()
                .map(|(name, effect)| (name, Some(effect)))
                .into_iter()
                .chain([("none", None)])
            {
                let at = format!("{on:?} {silence}, everything: {everything}");
                let world = platform(on, everything).await;
                world.edit(|tenant| tenant.soft_delete_group(id("readers")));
                world.link("app", id("outer"));
                world
                    .simulator
                    .inject(Fault::on("deletedItems/microsoft.graph.group", status(403)));
                world.run(Full).await;
                assert_eq!(world.who("app"), ["dora"], "{at}");
                if let Some(effect) = effect {
                    world.simulator.inject(Fault::on("memberOf", effect));
                }
                world.follow(|tenant| tenant.restore_group(id("readers"))).await;
                assert_eq!(world.who("app"), ["ada", "dora", "rita"], "{at}");
                world.simulator.clear_faults();
                world.follow(|tenant| tenant.remove_member(id("readers"), id("ada"))).await;
                assert_eq!(world.who("app"), ["dora", "rita"], "{at}: and is followed");
                world.assert_rests().await;
                world.assert_audit_whole().await;
            }
        }
    }
}

/// Nested in what is nested, and all of it is deleted when the root is read.
#[tokio::test]
async fn a_chain_of_groups_comes_back_in_any_order() {
    for on in BOTH {
        for order in [["middle", "inner"], ["inner", "middle"]] {
            let groups: Groups<'_> =
                &[("inner", &["ada"]), ("middle", &["inner", "bob"]), ("root", &["middle", "cem"])];
            let mut world = World::new(on, company(groups)).await;
            (world.settings.all_groups, world.settings.all_users) = (false, false);
            world.edit(|tenant| order.map(|group| tenant.soft_delete_group(id(group))));
            world.link("app", id("root"));
            world.run(Full).await;
            assert_eq!(world.who("app"), ["cem"], "{on:?} {order:?}");
            for group in order {
                world.follow(|tenant| tenant.restore_group(id(group))).await;
            }
            assert_eq!(world.who("app"), ["ada", "bob", "cem"], "{on:?} {order:?}");
            world.assert_rests().await;
        }
    }
}

/// Whoever is not known and belongs to nothing here costs one question and no row.
#[tokio::test]
async fn strangers_are_asked_for_their_groups_and_not_taken_in() {
    for on in BOTH {
        let world = platform(on, false).await;
        world.link("app", id("readers"));
        world.run(Full).await;
        world.run(Delta).await;
        world.simulator.reset_counters();
        let report = world
            .follow(|tenant| {
                hire(tenant, "gil", "elsewhere");
                tenant.rename_group(id("others"), "Others".to_owned());
            })
            .await;
        assert_eq!(report.outcome, Outcome::Unchanged, "{on:?}");
        for name in ["gil", "others", "elsewhere"] {
            assert_eq!(asked(&world, &format!("{}/memberOf", id(name))), 1, "{on:?} {name}");
        }
        assert_eq!(asked(&world, "/members?"), 0, "{on:?}: no list is read for them");
        assert_eq!(world.lines("count(*)", "dirsync_observed_users"), ["2"], "{on:?}");
        assert_eq!(world.lines("count(*)", "dirsync_observed_groups"), ["1"], "{on:?}");
        world.simulator.reset_counters();
        world.run(Delta).await;
        assert_eq!(asked(&world, "memberOf"), 0, "{on:?}: nothing changed");
    }
}

/// Half a tenant changes at once: the lists of the scope cost less than its people.
#[tokio::test]
async fn many_strangers_are_looked_for_in_the_lists_of_the_scope() {
    let world = platform(On::Sqlite, false).await;
    world.edit(|tenant| tenant.soft_delete_user(id("rita")));
    world.link("app", id("readers"));
    world.run(Full).await;
    world.simulator.reset_counters();
    world
        .follow(|tenant| {
            for n in 0..1_001 {
                tenant.create_user(person(&format!("hire{n}")));
            }
            tenant.restore_user(id("rita"))
        })
        .await;
    assert_eq!(asked(&world, "memberOf"), 0);
    assert_eq!(asked(&world, "/members?"), 1);
    assert_eq!(world.who("app"), ["ada", "rita"]);
    world.assert_rests().await;
}
