//! Whole runs: simulator, real database, and the truth of the tenant.

mod support;

use graph_simulator::{
    EditKind, GroupKind, NewGroup, NewUser, Shape, Tenant, generate, random_edit_of,
};
use nexus_dirsync::directory::Mode;
use nexus_dirsync::reconcile::report::{FindingKind, Outcome};
use rand::SeedableRng;
use support::world::{BOTH, World};

fn small(seed: u64) -> Tenant {
    generate(&Shape { seed, users: 60, groups: 12, memberships: 160, ..Shape::default() })
}

#[tokio::test]
async fn a_first_run_mirrors_the_tenant_and_a_second_rests() {
    for on in BOTH {
        let world = World::new(on, small(1)).await;
        let first = world.run(Mode::Full).await;
        assert_eq!(first.outcome, Outcome::Applied, "{on:?}");
        world.assert_equals_tenant().await;
        let rows = world.audit_rows().await;
        assert_eq!(rows, first.changes_total(), "one audit row for each change");
        for mode in [Mode::Delta, Mode::Full] {
            let report = world.run(mode).await;
            assert_eq!(report.outcome, Outcome::Unchanged, "{on:?} {mode} {:?}", report.changes);
            assert_eq!(report.drift, 0, "{on:?} {mode}");
        }
        assert_eq!(world.audit_rows().await, rows, "resting writes nothing");
    }
}

#[tokio::test]
async fn delta_runs_follow_random_edits() {
    let kinds = [
        EditKind::Join,
        EditKind::Leave,
        EditKind::Rename,
        EditKind::Disable,
        EditKind::Enable,
        EditKind::SoftDelete,
        EditKind::Restore,
        EditKind::NewUser,
        EditKind::NewGroup,
        EditKind::Nest,
        EditKind::Unnest,
        EditKind::DeleteGroup,
        EditKind::RestoreGroup,
        EditKind::MailChange,
        EditKind::MailSwap,
        EditKind::Purge,
    ];
    for on in BOTH {
        for seed in 0..4 {
            let world = World::new(on, small(seed)).await;
            world.run(Mode::Full).await;
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            for step in 0..25 {
                let told = world.simulator.edit(|tenant| {
                    (0..3).map(|_| random_edit_of(tenant, &mut rng, &kinds)).collect::<Vec<_>>()
                });
                let report = world.run(Mode::Delta).await;
                println!("{on:?} seed {seed} step {step}: {told:?} -> {:?}", report.changes);
                world.assert_equals_tenant().await;
            }
            let full = world.run(Mode::Full).await;
            assert_eq!(
                (full.outcome, full.drift),
                (Outcome::Unchanged, 0),
                "{on:?} seed {seed} {:?}",
                full.changes
            );
        }
    }
}

#[tokio::test]
async fn a_hidden_membership_that_looks_empty_removes_nobody() {
    for on in BOTH {
        let mut tenant = Tenant::new();
        let group = tenant.create_group(NewGroup {
            display_name: "secret".into(),
            visibility: Some("HiddenMembership".into()),
            kind: GroupKind::Microsoft365,
            ..NewGroup::default()
        });
        let ann = tenant.create_user(NewUser {
            display_name: "Ann".into(),
            mail: Some("ann@contoso.com".into()),
            account_enabled: Some(true),
            ..NewUser::default()
        });
        tenant.add_member(group, ann);
        let world = World::new(on, tenant).await;
        world.run(Mode::Full).await;
        world.assert_equals_tenant().await;
        world.simulator.set_roles(["User.Read.All", "GroupMember.Read.All"]);
        let report = world.run(Mode::Full).await;
        assert_eq!(report.outcome, Outcome::Unchanged, "{on:?} {:?}", report.changes);
        assert_eq!(report.findings.get(&FindingKind::PermissionMissing), Some(&1), "{on:?}");
        world.assert_equals_tenant().await;
        world.simulator.set_roles(["User.Read.All", "GroupMember.Read.All", "Member.Read.Hidden"]);
        let report = world.run(Mode::Full).await;
        assert_eq!(report.findings.get(&FindingKind::PermissionMissing), None, "{on:?}");
    }
}
