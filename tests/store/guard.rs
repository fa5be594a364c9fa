//! The guard on a real database: what is held, what goes on, what lets go.

use crate::prelude::*;
use nexus_dirsync::reconcile::report::Removals;

const CROWD: Groups<'_> =
    &[("readers", &["ada", "bob", "cem", "dora", "emil", "fay"]), ("writers", &["ada", "bob"])];

async fn crowd(on: On, max: u64) -> World {
    let mut world = World::new(on, company(CROWD)).await;
    world.run(Full).await;
    world.link("app", id("readers"));
    world.settings.limits = at_most(max);
    world
}

fn leave(world: &World, group: &str, names: &[&str]) {
    world.edit(|tenant| {
        for name in names {
            assert!(tenant.remove_member(id(group), id(name)), "{name} was in {group}");
        }
    });
}

#[tokio::test]
async fn what_takes_away_is_held_and_what_gives_goes_on() {
    for on in BOTH {
        let world = crowd(on, 2).await;
        let cursor = world.lines("users_link, groups_link", "dirsync_cursors");
        leave(&world, "readers", &["ada", "bob", "cem"]);
        let held = world
            .follow(|tenant| {
                hire(tenant, "gil", "readers");
                tenant.update_user(id("dora"), |user| user.display_name = Some("dorothea".into()));
            })
            .await;
        assert_eq!(held.outcome, Outcome::Held, "{on:?}");
        let withheld = Removals { memberships: 3, access: 3, ..Removals::default() };
        assert_eq!(held.withheld, withheld, "{on:?}");
        assert_eq!(world.who("app"), ["ada", "bob", "cem", "dorothea", "emil", "fay", "gil"]);
        let edges = format!("dirsync_observed_edges WHERE group_id = '{}'", id("readers"));
        assert_eq!(world.database.count(&edges), 4, "{on:?}: the observed state moves on");
        assert_ne!(world.lines("users_link, groups_link", "dirsync_cursors"), cursor);
        let plan = world.pending().await.remove(0);
        assert_eq!(world.findings(), [format!("removals_held|{}", plan.hash)], "{on:?}");
        assert_eq!(world.lines("outcome", "dirsync_runs WHERE outcome = 'held'"), ["held"]);
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn neither_time_nor_higher_limits_release_what_is_held() {
    for on in BOTH {
        let mut world = crowd(on, 2).await;
        leave(&world, "readers", &["ada", "bob", "cem"]);
        assert_eq!(world.run(Delta).await.outcome, Outcome::Held);
        let hash = world.pending().await.remove(0).hash;
        world.settings.limits = unlimited();
        for mode in [Delta, Full, Delta] {
            let again = world.run(mode).await;
            assert_eq!((again.outcome, again.pending.plans), (Outcome::Held, 1), "{on:?}");
            assert_eq!(world.pending().await.remove(0).hash, hash, "{on:?}: the same plan");
        }
        assert_eq!(world.who("app").len(), 6, "{on:?}");
    }
}

#[tokio::test]
async fn a_hold_clears_by_itself_when_the_directory_comes_back() {
    for on in BOTH {
        let world = crowd(on, 2).await;
        let mark = world.audit_mark();
        leave(&world, "readers", &["ada", "bob", "cem"]);
        assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
        let back = world
            .follow(|tenant| {
                for name in ["ada", "bob", "cem"] {
                    tenant.add_member(id("readers"), id(name));
                }
            })
            .await;
        assert_eq!(back.outcome, Outcome::Unchanged, "{on:?}");
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        assert_eq!(world.audit_since(mark), [""; 0], "{on:?}: nobody lost anything");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn meeting_a_held_item_again_costs_no_read_in_full() {
    for on in BOTH {
        let world = crowd(on, 2).await;
        leave(&world, "readers", &["ada", "bob", "cem"]);
        world.run(Delta).await;
        world.simulator.reset_counters();
        assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
        let asked: Vec<_> = world.simulator.requests().into_iter().map(|r| r.target).collect();
        let rounds = |target: &String| target.contains("token");
        assert!(asked.iter().all(rounds), "{on:?}: only delta rounds, not {asked:?}");
    }
}

#[tokio::test]
async fn disabled_people_lose_access_though_memberships_are_held() {
    for on in BOTH {
        let world = crowd(on, 2).await;
        leave(&world, "readers", &["ada", "bob", "cem"]);
        let held = world
            .follow(|tenant| {
                tenant.update_user(id("fay"), |user| user.account_enabled = Some(false));
            })
            .await;
        assert_eq!(held.outcome, Outcome::Held, "{on:?}");
        assert_eq!(world.who("app"), ["ada", "bob", "cem", "dora", "emil"], "{on:?}");
    }
}

#[tokio::test]
async fn too_many_leavers_are_held_themselves() {
    for on in BOTH {
        let world = crowd(on, 2).await;
        let off = |name: &str| {
            let name = name.to_owned();
            move |tenant: &mut graph_simulator::Tenant| {
                tenant.update_user(id(&name), |user| user.account_enabled = Some(false));
            }
        };
        for name in ["ada", "bob", "cem"] {
            world.edit(off(name));
        }
        let held = world.run(Delta).await;
        assert_eq!(held.withheld.users, 3, "{on:?}");
        assert_eq!(world.who("app").len(), 6, "{on:?}");
        world.approve_all().await;
        assert_eq!(world.run(Delta).await.outcome, Outcome::Applied, "{on:?}");
        assert_eq!(world.who("app"), ["dora", "emil", "fay"], "{on:?}");
    }
}

#[tokio::test]
async fn a_group_that_vanishes_is_held_by_the_limit_on_groups() {
    for on in BOTH {
        let mut world = crowd(on, 100).await;
        world.settings.limits.groups.run.max = 0;
        let held = world.follow(|tenant| tenant.soft_delete_group(id("readers"))).await;
        assert_eq!(held.withheld.groups, 1, "{on:?}");
        assert_eq!(world.who("app").len(), 6, "{on:?}");
        world.approve_all().await;
        world.run(Delta).await;
        assert_eq!(world.who("app"), [""; 0], "{on:?}");
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn percentages_count_from_the_floor_on() {
    for on in BOTH {
        let mut world = crowd(on, 100).await;
        world.settings.limits.memberships.run.percent = 10.0;
        for (floor, name, outcome) in [(1, "ada", Outcome::Applied), (0, "bob", Outcome::Held)] {
            world.settings.limits.floor = floor;
            leave(&world, "readers", &[name]);
            assert_eq!(world.run(Delta).await.outcome, outcome, "{on:?} floor {floor}");
        }
    }
}
