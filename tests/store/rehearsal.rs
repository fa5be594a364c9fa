//! A rehearsal is about what nobody has seen yet. What could not be read in it is held when
//! it is read; everybody else goes on.

use crate::prelude::*;
use graph_simulator::{Effect, Fault, FaultBody, GroupKind, NewGroup};
use nexus_dirsync::reconcile::guard::Limits;

const TENANT: Groups<'_> = &[
    ("readers", &["ada", "bob", "cem", "dora"]),
    ("secret", &["emil", "fay"]),
    ("outer", &["secret", "gil"]),
];

async fn platform(on: On) -> World {
    let mut world = World::new(on, company(TENANT)).await;
    world.settings.limits = Limits { rehearse: true, ..unlimited() };
    world
}

fn disable(tenant: &mut graph_simulator::Tenant, name: &str) {
    tenant.update_user(id(name), |user| user.account_enabled = Some(false));
}

fn hide(world: &World, group: &str) -> graph_simulator::FaultId {
    let refused = Effect::Status { status: 403, headers: Vec::new(), body: FaultBody::Empty };
    world.simulator.inject(Fault::on(format!("*{}/members?*", id(group)), refused))
}

/// Whoever leaves by anything else loses access at once, also long after.
async fn assert_leavers_leave(world: &World, at: &str) {
    for mode in [Delta, Full, Delta] {
        world.run(mode).await;
    }
    world.follow(|tenant| disable(tenant, "ada")).await;
    assert_eq!(world.who("app"), ["bob", "cem", "dora"], "{at}");
    world.follow(|tenant| tenant.soft_delete_user(id("bob"))).await;
    world.follow(|tenant| tenant.remove_member(id("readers"), id("cem"))).await;
    assert_eq!(world.who("app"), ["dora"], "{at}");
    assert_eq!(world.pending().await.len(), 0, "{at}");
}

#[tokio::test]
async fn a_group_that_cannot_be_read_holds_up_nobody_elses_end() {
    for on in BOTH {
        let world = platform(on).await;
        hide(&world, "secret");
        world.run(Full).await;
        world.link("app", id("readers"));
        assert_leavers_leave(&world, &format!("{on:?}: from the first run on")).await;

        let mut world = platform(on).await;
        world.registry(vec![entry("app", &["readers"], None)]);
        world.run(Full).await;
        world.run(Full).await;
        hide(&world, "secret");
        world.run(Full).await;
        world.registry(vec![entry("app", &["readers"], None), entry("tool", &["readers"], None)]);
        assert_leavers_leave(&world, &format!("{on:?}: after another registry")).await;
    }
}

/// Nobody can tell who is in it, but whoever leaves what it is nested in is told.
#[tokio::test]
async fn a_group_that_cannot_be_read_holds_up_nobody_in_the_groups_above() {
    for (on, mode) in BOTH.into_iter().flat_map(|on| [(on, Delta), (on, Full)]) {
        let world = platform(on).await;
        hide(&world, "secret");
        world.run(Full).await;
        world.link("app", id("outer"));
        for mode in [Delta, Full] {
            world.run(mode).await;
        }
        world.edit(|tenant| tenant.remove_member(id("outer"), id("gil")));
        assert_eq!(world.run(mode).await.outcome, Outcome::Applied, "{on:?}, {mode:?}");
        assert_eq!(world.who("app"), [""; 0], "{on:?}, {mode:?}");
    }
}

#[tokio::test]
async fn a_hidden_membership_holds_up_nobody_elses_end() {
    for on in BOTH {
        let world = platform(on).await;
        world.simulator.set_roles(["User.Read.All", "GroupMember.Read.All"]);
        world.edit(|tenant| {
            tenant.create_group(NewGroup {
                display_name: "hidden".to_owned(),
                visibility: Some("HiddenMembership".to_owned()),
                kind: GroupKind::Microsoft365,
                id: Some(id("hidden")),
            });
        });
        world.run(Full).await;
        world.link("app", id("readers"));
        assert_leavers_leave(&world, &format!("{on:?}")).await;
    }
}

/// What it takes away when it is read at last was not rehearsed, whoever it passes its
/// members on to.
#[tokio::test]
async fn what_could_not_be_read_is_held_when_it_is() {
    for on in BOTH {
        let mut world = platform(on).await;
        world.run(Full).await;
        world.link("app", id("outer"));
        world.run(Full).await;
        let hidden = hide(&world, "secret");
        world.simulator.inject(Fault::on("groups/delta", Effect::EmptyOk));
        world.edit(|tenant| tenant.remove_member(id("secret"), id("emil")));
        // Another scope, in which the group cannot be read.
        world.settings.include_guests = false;
        world.run(Full).await;
        world.run(Delta).await;
        world.simulator.clear_fault(hidden);
        world.run(Full).await;
        assert_eq!(world.who("app"), ["emil", "fay", "gil"], "{on:?}");
        assert_eq!(world.pending().await.len(), 1, "{on:?}");
        world.approve_all().await;
        world.run(Delta).await;
        assert_eq!(world.who("app"), ["fay", "gil"], "{on:?}");
        world.simulator.clear_faults();
        world.assert_audit_whole().await;
    }
}
