//! A name of the registry that another group takes: whoever agrees to binding it anew sees
//! whom that gives what, and the audit says who it was.

use nexus_dirsync::reconcile::guard::Limits;

use crate::prelude::*;

/// The group of two products has lost its name to another, which waits for a person.
async fn taken(on: On, rehearse: bool) -> World {
    let tenant = company(&[("readers", &["ada", "bob"]), ("writers", &["bob", "cem"])]);
    let mut world = World::new(on, tenant).await;
    world.settings.limits = Limits { rehearse, ..unlimited() };
    world.registry(vec![entry("app", &["readers"], None), entry("vault", &["readers"], None)]);
    for _ in 0..2 {
        world.run_agreed(Full).await;
    }
    world.edit(|tenant| {
        tenant.rename_group(id("readers"), "old");
        tenant.rename_group(id("writers"), "readers");
    });
    assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
    world
}

#[tokio::test]
async fn its_plan_says_who_gains_what() {
    for (on, rehearse) in BOTH.into_iter().flat_map(|on| [(on, true), (on, false)]) {
        let world = taken(on, rehearse).await;
        let header = world.pending().await.remove(0).header;
        // Bob has it already.
        let gain = ["app", "vault"].map(|product| (product.to_owned(), 1));
        assert_eq!(header.gain, gain.into(), "{on:?}");
        assert_eq!(header.cost, [].into(), "{on:?}");
    }
}

#[tokio::test]
async fn every_row_that_comes_of_it_names_who_agreed() {
    for (on, rehearse) in BOTH.into_iter().flat_map(|on| [(on, true), (on, false)]) {
        let world = taken(on, rehearse).await;
        let mark = world.audit_mark();
        world.approve_all().await;
        world.run(Delta).await;
        let rows = world.lines("action, metadata", &format!("audit_logs WHERE id > {mark}"));
        let links = if rehearse { 2 } else { 4 };
        assert_eq!(rows.len(), links, "{on:?}: {rows:?}");
        assert!(rows.iter().all(|row| row.contains("approval")), "{on:?}: {rows:?}");
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn a_yes_is_about_those_who_were_named() {
    for on in BOTH {
        let world = taken(on, true).await;
        let seen = world.pending().await.remove(0).hash;
        world.follow(|tenant| hire(tenant, "dora", "writers")).await;
        world.approve_all().await;
        assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
        let anew = world.pending().await.remove(0);
        assert_ne!(anew.hash, seen, "{on:?}");
        assert_eq!(anew.header.gain["app"], 2, "{on:?}");

        world.follow(|tenant| tenant.remove_member(id("writers"), id("dora"))).await;
        world.run_agreed(Delta).await;
        assert_eq!(world.who("app"), ["bob", "cem"], "{on:?}: fewer are no surprise");
        world.assert_rests().await;
    }
}
