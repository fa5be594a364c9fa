//! Whole runs: simulator, real database, and the truth of the tenant.

mod support;

use graph_simulator::{
    EditKind, Effect, Fault, GroupKind, NewGroup, NewUser, Shape, Tenant, generate, random_edit_of,
};
use nexus_dirsync::directory::Mode;
use nexus_dirsync::reconcile::report::{FindingKind, Outcome};
use nexus_dirsync::reconcile::world::RegistryEntry;
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

/// A tenant with one group of `people`, linked to one product of the registry.
async fn one_product(on: support::world::On, people: usize) -> World {
    let mut tenant = Tenant::new();
    let group =
        tenant.create_group(NewGroup { display_name: "GRP-A".into(), ..NewGroup::default() });
    for n in 0..people {
        let user = tenant.create_user(NewUser {
            display_name: format!("Person {n}"),
            mail: Some(format!("p{n}@contoso.com")),
            account_enabled: Some(true),
            ..NewUser::default()
        });
        tenant.add_member(group, user);
    }
    let mut world = World::new(on, tenant).await;
    world.registry(vec![entry("a", &["GRP-A"]), entry("b", &["GRP-A"])]);
    world.run(Mode::Full).await;
    assert_eq!(world.people("a").await.len(), people);
    let mut limits = world.settings.limits;
    limits.memberships.run.max = 20;
    limits.access.run.max = 20;
    world.settings.limits = limits;
    world
}

fn entry(product: &str, groups: &[&str]) -> RegistryEntry {
    RegistryEntry {
        product: product.into(),
        description: product.into(),
        groups: groups.iter().map(ToString::to_string).collect(),
        owner: None,
    }
}

#[tokio::test]
async fn one_deleted_group_weighs_as_much_as_its_members() {
    for on in BOTH {
        let world = one_product(on, 40).await;
        let group =
            world.simulator.read(|tenant| tenant.groups().next().expect("the one group").id());
        world.simulator.edit(|tenant| tenant.soft_delete_group(group));
        assert_eq!(world.run(Mode::Delta).await.outcome, Outcome::Held, "{on:?}");
        assert_eq!(world.people("a").await.len(), 40, "{on:?}");
        world.simulator.edit(|tenant| tenant.restore_group(group));
        assert_ne!(world.run(Mode::Delta).await.outcome, Outcome::Held, "{on:?}");
        assert_eq!(world.people("a").await.len(), 40, "{on:?}");
    }
}

#[tokio::test]
async fn a_cut_registry_weighs_as_much_as_its_links_carry() {
    for on in BOTH {
        let mut world = one_product(on, 40).await;
        world.registry(vec![entry("b", &["GRP-A"])]);
        assert_eq!(world.run(Mode::Delta).await.outcome, Outcome::Held, "{on:?}");
        assert_eq!(world.people("a").await.len(), 40, "{on:?}");
    }
}

#[tokio::test]
async fn a_filter_that_answers_with_nothing_removes_nothing() {
    for on in BOTH {
        let mut world = one_product(on, 3).await;
        world.settings.all_groups = false;
        world.settings.all_users = false;
        world.run(Mode::Full).await;
        for path in ["*/groups?*filter=*", "*/users?*filter=*"] {
            let id = world.simulator.inject(Fault::on(path, Effect::EmptyOk));
            let report = world.run(Mode::Full).await;
            assert_eq!(world.people("a").await.len(), 3, "{on:?} {path} {:?}", report.changes);
            world.simulator.clear_fault(id);
        }
    }
}
