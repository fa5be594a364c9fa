//! A group whose end is held keeps what people have, and gives nothing that it has not given.

use crate::prelude::*;
use nexus_dirsync::reconcile::guard::Limits;

const TENANT: Groups<'_> = &[("inner", &["ada"]), ("outer", &["inner", "bob"])];

/// A platform in which the end of "outer" is held, to which the registry links a product.
async fn ending(on: On) -> World {
    let mut world = World::new(on, company(TENANT)).await;
    world.registry(vec![entry("app", &["outer"], None)]);
    world.run(Full).await;
    world.run(Full).await;
    world.settings.limits = Limits { keep_reachable: true, ..unlimited() };
    world.edit(|tenant| tenant.soft_delete_group(id("outer")));
    assert_eq!(world.run(Delta).await.outcome, Outcome::Held);
    world
}

#[tokio::test]
async fn a_group_whose_end_is_held_gives_nothing_new() {
    for (on, back) in BOTH.into_iter().flat_map(|on| [(on, true), (on, false)]) {
        let at = format!("{on:?}, back: {back}");
        let mut world = ending(on).await;
        world.follow(|tenant| hire(tenant, "zoe", "inner")).await;
        world.registry(vec![entry("app", &["outer"], None), entry("vault", &["outer"], None)]);
        for mode in [Delta, Full] {
            world.run(mode).await;
            assert_eq!(world.who("app"), ["ada", "bob"], "{at}");
            assert_eq!(world.who("vault"), [""; 0], "{at}");
        }
        // As if it had never been held.
        if back {
            world.follow(|tenant| tenant.restore_group(id("outer"))).await;
        } else {
            world.approve_all().await;
            world.run(Delta).await;
        }
        world.settings.limits = unlimited();
        world.run(Full).await;
        let whoever: &[&str] = if back { &["ada", "bob", "zoe"] } else { &[] };
        assert_eq!(
            (world.who("app"), world.who("vault")),
            (strings(whoever), strings(whoever)),
            "{at}"
        );
        world.assert_equals_tenant().await;
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
