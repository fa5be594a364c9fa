//! How linked groups are told apart: they give access, or somebody should look.

use crate::prelude::*;
use graph_simulator::{Effect, Fault};
use nexus_dirsync::reconcile::report::{LinkedGroup, Report};

const TEAM: Groups<'_> = &[("readers", &["ada", "bob"]), ("writers", &["ada"]), ("nobody", &[])];

/// Live, empty, missing, stale.
fn counts(report: &Report) -> [u64; 4] {
    [LinkedGroup::Live, LinkedGroup::Empty, LinkedGroup::Missing, LinkedGroup::Stale]
        .map(|state| report.linked_groups[&state])
}

#[tokio::test]
async fn each_named_group_counts_once_as_what_it_is() {
    for on in BOTH {
        let mut world = World::new(on, company(TEAM)).await;
        assert_eq!(counts(&world.run(Full).await), [0, 0, 0, 0], "{on:?}: nothing is named");
        for group in ["readers", "nobody"] {
            world.link("app", id(group));
            world.link("tool", id(group));
        }
        world.link("app", id("of another tenant"));
        world.registry(vec![entry("app", &["writers", "readers"], None)]);
        assert_eq!(counts(&world.run(Delta).await), [2, 1, 1, 0], "{on:?}");

        let report = world.follow(|tenant| tenant.add_member(id("nobody"), id("bob"))).await;
        assert_eq!(counts(&report), [3, 0, 1, 0], "{on:?}: somebody came");
        let report = world.follow(|tenant| tenant.soft_delete_group(id("readers"))).await;
        assert_eq!(counts(&report), [2, 0, 2, 0], "{on:?}: a linked group is deleted");
    }
}

#[tokio::test]
async fn a_deleted_group_is_missing_though_its_removal_is_withheld() {
    for on in BOTH {
        let mut world = World::new(on, company(TEAM)).await;
        world.link("app", id("readers"));
        world.run(Full).await;
        world.settings.limits = at_most(0);
        let report = world.follow(|tenant| tenant.soft_delete_group(id("readers"))).await;
        assert_eq!(report.outcome, Outcome::Held, "{on:?}");
        assert_eq!(counts(&report), [0, 0, 1, 0], "{on:?}");
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
    }
}

#[tokio::test]
async fn a_group_that_cannot_be_read_is_stale() {
    for on in BOTH {
        let world = World::new(on, company(TEAM)).await;
        world.link("app", id("readers"));
        world.run(Full).await;
        let path = format!("/groups/{}/members", id("readers"));
        let failing = world.simulator.inject(Fault::on(path, Effect::MissingValue));
        assert_eq!(counts(&world.run(Full).await), [0, 0, 0, 1], "{on:?}");
        world.simulator.clear_fault(failing);
        assert_eq!(counts(&world.run(Delta).await), [1, 0, 0, 0], "{on:?}");
    }
}
