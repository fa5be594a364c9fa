//! Two steps: access ends at once and everything stays; a purge comes late, is asked
//! for by id, and takes nothing that history needs.

use crate::prelude::*;
use graph_simulator::Tenant;
use nexus_dirsync::reconcile::guard::Allowance;

const TEAM: Groups<'_> =
    &[("readers", &["ada", "bob"]), ("outer", &["readers"]), ("others", &["cem"])];

async fn team(on: On) -> World {
    let world = World::new(on, company(TEAM)).await;
    world.run(Full).await;
    world.link("app", id("outer"));
    world.member("tool", "ada", "admin");
    world
}

/// What must survive a removal: rows, memberships, links.
fn kept(world: &World) -> Vec<String> {
    let mut kept = world.lines("'user', id, email, name, role, created_at", "users");
    kept.extend(world.lines("'member', aad_group_id, user_id", "dirsync_group_members"));
    kept.extend(world.lines("'link', product_id, aad_group_id", "product_aad_groups"));
    kept.extend(world.lines("'product', product_id, user_id, role", "product_members"));
    kept
}

#[tokio::test]
async fn whoever_goes_loses_access_at_once_and_gets_back_exactly_what_it_had() {
    type Edit = fn(&mut Tenant);
    let ways: [(&str, Edit, Edit); 2] = [
        (
            "disabled",
            |t| t.update_user(id("ada"), |user| user.account_enabled = Some(false)),
            |t| t.update_user(id("ada"), |user| user.account_enabled = Some(true)),
        ),
        (
            "removed",
            |t| assert!(t.soft_delete_user(id("ada"))),
            |t| assert!(t.restore_user(id("ada"))),
        ),
    ];
    for on in BOTH {
        for (state, go, come) in ways {
            let world = team(on).await;
            let (before, mark) = (kept(&world), world.audit_mark());
            world.follow(go).await;
            assert_eq!(world.who("app"), ["bob"], "{on:?} {state}");
            assert_eq!(world.who("tool"), [""; 0], "{on:?} {state}");
            assert!(world.user("ada").ends_with(state), "{on:?} {}", world.user("ada"));
            assert_eq!(kept(&world), before, "{on:?} {state}: rows and memberships stay");
            assert_eq!(world.audit_since(mark), ["user|status_change|1"], "{on:?} {state}");
            world.follow(come).await;
            assert_eq!(world.who("app"), ["ada", "bob"], "{on:?} {state}");
            assert_eq!(world.who("tool"), ["ada"], "{on:?} {state}");
            assert_eq!(kept(&world), before, "{on:?} {state}");
            assert_eq!(world.audit_since(mark), ["user|status_change|2"], "{on:?} {state}");
            world.assert_rests().await;
            world.assert_equals_tenant().await;
        }
    }
}

#[tokio::test]
async fn hard_deletion_ends_access_and_keeps_the_rows_for_the_retention() {
    for on in BOTH {
        let world = team(on).await;
        world
            .follow(|tenant| tenant.soft_delete_user(id("ada")) && tenant.purge_user(id("ada")))
            .await;
        assert_eq!(
            (world.who("app"), world.who("tool")),
            (vec!["bob".to_owned()], vec![]),
            "{on:?}"
        );
        world.run(Full).await;
        assert!(world.user("ada").ends_with("removed"), "{on:?}: kept for the retention");
        assert_eq!(world.database.count("product_members"), 1, "{on:?}");
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn a_removed_group_gives_nothing_and_comes_back_whole() {
    for on in BOTH {
        let world = team(on).await;
        let before = kept(&world);
        world.follow(|tenant| tenant.soft_delete_group(id("outer"))).await;
        assert_eq!(world.who("app"), [""; 0], "{on:?}");
        assert_eq!(kept(&world), before, "{on:?}: a removed group keeps its own");
        world.follow(|tenant| tenant.restore_group(id("outer"))).await;
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
        assert_eq!(kept(&world), before, "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn a_removed_group_passes_none_to_its_parents() {
    for on in BOTH {
        let world = team(on).await;
        world.follow(|tenant| tenant.soft_delete_group(id("readers"))).await;
        assert_eq!(world.who("app"), [""; 0], "{on:?}");
        world.follow(|tenant| tenant.restore_group(id("readers"))).await;
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn a_purge_takes_memberships_and_links_along_audited_and_only_in_full_runs() {
    for on in BOTH {
        let mut world = team(on).await;
        world
            .follow(|tenant| {
                tenant.soft_delete_user(id("ada"));
                tenant.purge_user(id("ada"));
                tenant.soft_delete_group(id("outer"));
                tenant.purge_group(id("outer"));
            })
            .await;
        world.settings.retention = Duration::ZERO;
        world.run(Delta).await;
        assert!(world.user("ada").ends_with("removed"), "{on:?}: no purge in a delta run");
        let mark = world.audit_mark();
        let purge = world.run(Full).await;
        assert_eq!(purge.outcome, Outcome::Applied, "{on:?}");
        assert_eq!(
            world.audit_since(mark),
            [
                "aad_group|delete|1",
                "aad_group|unlink|3",
                "product_aad_group|unlink|1",
                "product_member|delete|1",
                "user|delete|1"
            ],
            "{on:?}"
        );
        assert_eq!(world.user("ada"), "", "{on:?}");
        assert_eq!(world.database.count("product_members"), 0);
        assert_eq!(world.database.count("product_aad_groups"), 0);
        assert_eq!(world.lines("name", "products"), ["app", "tool"], "{on:?}: products stay");
        world.assert_rests().await;
        world.assert_equals_tenant().await;
    }
}

#[tokio::test]
async fn nothing_is_purged_before_its_retention_or_unless_graph_confirms_it() {
    for on in BOTH {
        let mut world = team(on).await;
        world.follow(|tenant| tenant.soft_delete_user(id("ada"))).await;
        world
            .follow(|tenant| tenant.update_user(id("bob"), |u| u.account_enabled = Some(false)))
            .await;
        world.settings.retention = Duration::from_secs(3600);
        world.run(Full).await;
        assert!(world.user("ada").ends_with("removed"), "{on:?}: retention");
        // Removed long ago as far as the database knows; Graph has it back.
        world.sql("UPDATE dirsync_user_identities SET removed_at = '2001-01-01T00:00:00.000000Z' WHERE state = 'removed'");
        world.edit(|tenant| tenant.restore_user(id("ada")));
        world.run(Full).await;
        assert!(world.user("ada").ends_with("live"), "{on:?}: {}", world.user("ada"));
        assert!(world.user("bob").ends_with("disabled"), "{on:?}: disabled is never purged");
    }
}

#[tokio::test]
async fn whoever_history_points_to_stays_with_a_finding() {
    let deployed = "INSERT INTO products (name) VALUES ('x');
        INSERT INTO resources (name, type, product_id, status) SELECT 'r', 'agent', id, 'active' FROM products WHERE name = 'x';
        INSERT INTO environments (name, type) VALUES ('e', 'staging');
        INSERT INTO resource_deployments (resource_id, environment_id, version, status, deployed_by)
          SELECT r.id, e.id, '1', 'deployed', u.id FROM resources r, environments e, users u WHERE u.name = 'ada'";
    let acted = "INSERT INTO audit_logs (actor_user_id, actor_type, entity_type, entity_id, action)
          SELECT id, 'user', 'product', 1, 'update' FROM users WHERE name = 'ada'";
    for on in BOTH {
        for history in [deployed, acted] {
            let mut world = team(on).await;
            world.sql(history);
            world
                .follow(|tenant| tenant.soft_delete_user(id("ada")) && tenant.purge_user(id("ada")))
                .await;
            world.settings.retention = Duration::ZERO;
            world.run(Full).await;
            assert!(world.user("ada").ends_with("removed"), "{on:?}");
            assert_eq!(world.findings(), [format!("tombstone_kept|{}", id("ada"))], "{on:?}");
            world.assert_rests().await;
        }
    }
}

#[tokio::test]
async fn clocks_that_disagree_block_every_purge() {
    for on in BOTH {
        let mut world = team(on).await;
        world
            .follow(|tenant| tenant.soft_delete_user(id("ada")) && tenant.purge_user(id("ada")))
            .await;
        world.settings.retention = Duration::ZERO;
        // Graph tells whole seconds, so some difference there always is.
        world.settings.clock_skew_max = Duration::ZERO;
        world.run(Full).await;
        assert!(world.user("ada").ends_with("removed"), "{on:?}");
        assert_eq!(world.findings(), ["clock_skew|clock"], "{on:?}");
        world.settings.clock_skew_max = Duration::from_secs(3600);
        world.run(Full).await;
        assert_eq!((world.user("ada"), world.findings()), (String::new(), vec![]), "{on:?}");
    }
}

#[tokio::test]
async fn a_purge_counts_for_the_guard() {
    for on in BOTH {
        let mut world = team(on).await;
        world
            .follow(|tenant| tenant.soft_delete_user(id("ada")) && tenant.purge_user(id("ada")))
            .await;
        world.settings.retention = Duration::ZERO;
        world.settings.limits = at_most(0);
        let held = world.run(Full).await;
        assert_eq!(held.outcome, Outcome::Held, "{on:?}");
        assert!(world.user("ada").ends_with("removed"), "{on:?}");
        world.settings.limits = unlimited();
        for mode in [Delta, Full] {
            let again = world.run(mode).await;
            assert_eq!(again.outcome, Outcome::Held, "{on:?} {mode}: nobody was asked yet");
            assert_eq!((again.pending, again.withheld), (held.pending, held.withheld), "{on:?}");
        }
        world.run_agreed(Delta).await;
        assert!(world.user("ada").ends_with("removed"), "{on:?}: purges are for full runs");
        world.run(Full).await;
        assert_eq!((world.user("ada"), world.findings()), (String::new(), vec![]), "{on:?}");
    }
}

#[tokio::test]
async fn whoever_is_purged_here_and_restored_there_comes_back_with_its_memberships() {
    for on in BOTH {
        let mut world = team(on).await;
        world
            .follow(|tenant| {
                tenant.soft_delete_user(id("ada"));
                tenant.soft_delete_group(id("readers"));
            })
            .await;
        world.settings.retention = Duration::ZERO;
        world.run(Full).await;
        assert_eq!(world.user("ada"), "", "{on:?}: purged");
        world.settings.retention = Duration::from_secs(3600);
        world.assert_rests().await;
        world
            .follow(|tenant| {
                tenant.restore_user(id("ada"));
                tenant.restore_group(id("readers"));
            })
            .await;
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
        world.assert_rests().await;
        world.assert_equals_tenant().await;
    }
}

/// Other services have tables of their own in the same database.
#[tokio::test]
async fn a_row_that_another_service_points_to_stays_and_stops_nothing() {
    for on in BOTH {
        let mut world = team(on).await;
        world.sql(
            "CREATE TABLE api_keys (user_id INTEGER REFERENCES users (id),
               aad_group_id INTEGER REFERENCES aad_groups (id));
             INSERT INTO api_keys SELECT u.id, g.id FROM users u, aad_groups g
               WHERE u.name = 'ada' AND g.display_name = 'outer'",
        );
        world.follow(purge_two).await;
        world
            .follow(|tenant| {
                for name in ["outer", "others"] {
                    assert!(tenant.soft_delete_group(id(name)) && tenant.purge_group(id(name)));
                }
            })
            .await;
        world.settings.retention = Duration::ZERO;
        for _ in 0..2 {
            world.run(Full).await;
            let mut told = world.findings();
            told.retain(|finding| finding.starts_with("tombstone_kept"));
            told.sort();
            let mut kept = ["ada", "outer"].map(|name| format!("tombstone_kept|{}", id(name)));
            kept.sort();
            assert_eq!(told, kept, "{on:?}");
            assert_eq!(world.user("bob"), "", "{on:?}: nobody else waits");
            assert!(world.user("ada").ends_with("removed"), "{on:?}");
            let groups = world.lines("display_name", "aad_groups ORDER BY 1");
            assert_eq!(groups, ["outer", "readers"], "{on:?}");
        }
        world.assert_rests().await;
        world.assert_audit_whole().await;
        world.sql("DROP TABLE api_keys");
        world.run(Full).await;
        assert_eq!(world.user("ada"), "", "{on:?}");
        let groups = world.lines("display_name", "aad_groups ORDER BY 1");
        assert_eq!(groups, ["readers"], "{on:?}");
    }
}

/// What is purged gave nothing any more, so it must not look like people who leave today.
#[tokio::test]
async fn too_many_purges_keep_nobody_in() {
    for on in BOTH {
        let mut world =
            World::new(on, company(&[("readers", &["ada", "bob", "cem", "dora"])])).await;
        world.run(Full).await;
        world.link("app", id("readers"));
        world.follow(purge_two).await;
        world.settings.limits = at_most(2);
        world.settings.retention = Duration::ZERO;
        world.edit(|tenant| {
            tenant.update_user(id("cem"), |user| user.account_enabled = Some(false));
        });
        assert_eq!(world.run(Full).await.outcome, Outcome::Held, "{on:?}");
        assert_eq!(world.who("app"), ["dora"], "{on:?}: whoever left is out");
        let mut held = world.lines("document", "dirsync_plan_items");
        held.retain(|item| !item.contains("user_purge"));
        assert_eq!(held, [""; 0], "{on:?}");

        world.run_agreed(Full).await;
        world.settings.limits.users.window = Allowance { max: 4, percent: 100.0 };
        world.edit(|tenant| {
            tenant.update_user(id("dora"), |user| user.account_enabled = Some(false));
        });
        assert_eq!(world.run(Delta).await.outcome, Outcome::Applied, "{on:?}: four people left");
    }
}

/// Azure ends memberships of whom it has deleted 30 days later.
#[tokio::test]
async fn whoever_has_been_removed_is_not_counted_again() {
    const TENANT: Groups<'_> =
        &[("first", &["ada", "bob", "cem", "dora"]), ("second", &["ada", "bob"])];
    for on in BOTH {
        let mut world = World::new(on, company(TENANT)).await;
        world.run(Full).await;
        world.link("app", id("first"));
        world.follow(|tenant| ["ada", "bob"].map(|name| tenant.soft_delete_user(id(name)))).await;
        world.settings.limits = at_most(2);
        world.edit(|tenant| {
            assert!(["ada", "bob"].iter().all(|name| tenant.purge_user(id(name))));
            tenant.remove_member(id("first"), id("cem"))
        });
        for (mode, outcome) in [(Delta, Outcome::Applied), (Full, Outcome::Unchanged)] {
            let done = world.done(mode).await;
            assert_eq!(done.report.outcome, outcome, "{on:?}: {:?}", done.verdict.trips);
        }
        assert_eq!(world.database.count("dirsync_group_members"), 5, "{on:?}: until the purge");
        world.settings.limits = unlimited();
        world.settings.retention = Duration::ZERO;
        world.run(Full).await;
        assert_eq!(world.database.count("dirsync_group_members"), 1, "{on:?}");
        world.assert_equals_tenant().await;
        world.assert_audit_whole().await;
    }
}

fn purge_two(tenant: &mut Tenant) {
    for name in ["ada", "bob"] {
        assert!(tenant.soft_delete_user(id(name)) && tenant.purge_user(id(name)));
    }
}
