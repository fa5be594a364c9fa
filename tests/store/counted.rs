//! What counts as taken away: whoever's end is held beside it, whoever was to come instead,
//! in delta runs as in full ones.

use crate::prelude::*;
use graph_simulator::{Effect, Fault};
use nexus_dirsync::reconcile::guard::Limits;
use nexus_dirsync::store::Decision;

const TEAM: [&str; 6] = ["ada", "bob", "cem", "dora", "eve", "fay"];

fn disable(world: &World, names: &[&str]) {
    world.edit(|tenant| {
        for name in names {
            tenant.update_user(id(name), |user| user.account_enabled = Some(false));
        }
    });
}

fn leave(world: &World, group: &str, names: &[&str]) {
    world.edit(|tenant| {
        for name in names {
            assert!(tenant.remove_member(id(group), id(name)), "{name} was there");
        }
    });
}

fn keeping() -> Limits {
    Limits { keep_reachable: true, ..unlimited() }
}

/// An end that is held, or was rejected, ends nobody: the same people leaving the group is
/// as surprising as ever.
#[tokio::test]
async fn an_end_that_is_held_excuses_no_other_loss() {
    for (on, rejected) in BOTH.into_iter().flat_map(|on| [(on, false), (on, true)]) {
        let mut world = World::new(on, company(&[("team", &TEAM)])).await;
        world.run(Full).await;
        world.link("app", id("team"));
        let mut limits = Limits { product_percent: 10.0, floor: 0, ..keeping() };
        limits.users.run.max = 0;
        world.settings.limits = limits;
        disable(&world, &TEAM);
        assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
        if rejected {
            let hash = world.pending().await.remove(0).hash;
            world.answer(&hash, Decision::Reject("a script went wrong".to_owned())).await;
        }
        leave(&world, "team", &TEAM);
        assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?} {rejected}");
        assert_eq!(world.who("app").len(), 6, "{on:?} {rejected}");
        let why = world.pending().await.pop().unwrap().header.reasons.join("; ");
        assert!(why.contains("would lose everybody"), "{on:?} {rejected}: {why}");
        assert!(why.contains("guard.product_percent"), "{on:?} {rejected}: {why}");
    }
}

/// Somebody who was to come gets no row, because the address is still somebody else's.
#[tokio::test]
async fn who_does_not_come_replaces_nobody() {
    for on in BOTH {
        let company = company(&[("readers", &["cem"]), ("others", &["ada"])]);
        let mut world = World::new(on, company).await;
        world.run(Full).await;
        world.link("app", id("readers"));
        let mut limits = keeping();
        limits.users.run.max = 0;
        world.settings.limits = limits;
        world.follow(|tenant| tenant.soft_delete_user(id("ada"))).await;
        world
            .follow(|tenant| {
                let mut bob = person("bob");
                bob.mail = Some(address("ada"));
                bob.user_principal_name = address("ada");
                tenant.create_user(bob);
                tenant.add_member(id("readers"), id("bob"));
                tenant.remove_member(id("readers"), id("cem"));
            })
            .await;
        assert_eq!(world.who("app"), ["cem"], "{on:?}");
        let plan = world.pending().await.pop().unwrap();
        assert!(plan.header.emptied.contains("app"), "{on:?}: {:?}", plan.header.reasons);
        world.approve_all().await;
        world.run(Delta).await;
        world.run_agreed(Delta).await;
        assert_eq!(world.who("app"), ["bob"], "{on:?}");
        world.assert_audit_whole().await;
    }
}

/// A name that means another group by now: who loses and gains by it is told in delta runs
/// as in full ones.
#[tokio::test]
async fn a_name_that_is_bound_anew_costs_what_it_costs() {
    for (on, mode) in BOTH.into_iter().flat_map(|on| [(on, Delta), (on, Full)]) {
        let people: Groups<'_> =
            &[("readers", &["ada", "bob", "cem"]), ("writers", &[]), ("x", &["dora"])];
        let mut world = World::new(on, company(people)).await;
        world.settings.limits = keeping();
        world.registry(vec![entry("app", &["readers"], None)]);
        world.run_agreed(Full).await;
        world.run_agreed(Full).await;
        world
            .follow(|tenant| {
                tenant.rename_group(id("readers"), "old");
                tenant.rename_group(id("writers"), "readers");
            })
            .await;
        world.run(Full).await;
        assert_eq!(world.approve_all().await, 1, "{on:?} {mode:?}: the name");
        let report = world.run(mode).await;
        assert_eq!((report.outcome, report.withheld.access), (Outcome::Held, 3), "{on:?} {mode:?}");
        let header = world.pending().await.remove(0).header;
        assert_eq!(header.cost, [("app".to_owned(), 3)].into(), "{on:?} {mode:?}");
        assert!(header.emptied.contains("app"), "{on:?} {mode:?}: {:?}", header.reasons);
    }
}

/// What only the part that is carried out gives is what the plan would take.
#[tokio::test]
async fn who_comes_meanwhile_is_part_of_the_cost() {
    for on in BOTH {
        let people: Groups<'_> =
            &[("readers", &["ada", "bob", "cem", "dora"]), ("writers", &["zoe"])];
        let mut world = World::new(on, company(people)).await;
        world.run(Full).await;
        world.link("app", id("readers"));
        world.link("wiki", id("writers"));
        world.settings.limits = at_most(1);
        disable(&world, &["ada", "bob"]);
        let report = world.follow(|tenant| tenant.add_member(id("writers"), id("ada"))).await;
        assert_eq!(report.withheld.access, 3, "{on:?}");
        let header = world.pending().await.remove(0).header;
        assert_eq!(header.counts.access, 3, "{on:?}");
        assert_eq!(header.cost, [("app".to_owned(), 2), ("wiki".to_owned(), 1)].into(), "{on:?}");
        world.approve_all().await;
        assert_eq!(world.run(Delta).await.outcome, Outcome::Applied, "{on:?}: one yes is enough");
    }
}

/// Who was not asked for in the first run of a scope was not rehearsed yet.
#[tokio::test]
async fn a_rehearsal_goes_on_until_everybody_could_be_asked_for() {
    for on in BOTH {
        let mut world =
            World::new(on, company(&[("readers", &["ada", "bob", "cem", "dora"])])).await;
        world.run(Full).await;
        world.link("app", id("readers"));
        world.settings.limits = Limits { rehearse: true, ..unlimited() };
        world.edit(|tenant| {
            tenant.soft_delete_user(id("ada"));
            tenant.purge_user(id("ada"));
        });
        world.settings.include_guests = false;
        let fault = world.simulator.inject(Fault::on("/getByIds", Effect::Html502));
        world.run(Delta).await;
        world.simulator.clear_fault(fault);
        for mode in [Delta, Full, Delta] {
            world.run(mode).await;
            assert_eq!(world.who("app").len(), 4, "{on:?} {mode:?}: nothing is taken away unasked");
        }
        world.run_agreed(Full).await;
        assert_eq!(world.who("app"), ["bob", "cem", "dora"], "{on:?}");
        world.assert_rests().await;
    }
}
