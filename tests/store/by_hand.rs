//! Rows of `users` that people made: whose they are, in a scope that has only members.

use crate::prelude::*;
use graph_simulator::{NewUser, Tenant};

const TENANT: Groups<'_> = &[("readers", &["ada"]), ("elsewhere", &["emil"])];

/// A platform in scope `linked`/`members` with one link, before its first run.
async fn narrow(on: On) -> World {
    let mut world = World::new(on, company(TENANT)).await;
    world.settings.all_groups = false;
    world.settings.all_users = false;
    world.settings.include_disabled = false;
    world.link("app", id("readers"));
    world
}

/// People make a row, with a name that the directory does not know.
fn write_down(world: &World, email: &str) {
    let (email, name) = (email.replace('\'', "''"), format!("by hand {}", email.len()));
    world.sql(&format!("INSERT INTO users (email, name) VALUES ('{email}', '{name}')"));
}

/// Somebody in no group at all.
fn loner(tenant: &mut Tenant, name: &str) {
    tenant.create_user(person(name));
}

/// The requests that asked for people by address, since the simulator's start.
fn asked(world: &World) -> usize {
    let by_address = |target: &str| {
        ["$filter=mail", "$filter=userPrincipalName"].iter().any(|filter| target.contains(filter))
    };
    world.simulator.requests().iter().filter(|request| by_address(&request.target)).count()
}

#[tokio::test]
async fn the_first_run_matches_rows_of_people_in_no_group() {
    for on in BOTH {
        let world = narrow(on).await;
        world.edit(|tenant| {
            for name in ["fay", "o'neil", "émile"] {
                loner(tenant, name);
            }
            tenant.create_user(NewUser { mail: None, ..person("gil") });
        });
        for name in ["FAY", "o'neil", "émile", "gil", "nobody"] {
            write_down(&world, &address(name));
        }
        write_down(&world, "not an address");
        world.run(Full).await;
        for name in ["fay", "o'neil", "émile", "gil"] {
            let expected = format!("{name}|{}|user|live", address(name));
            assert_eq!(world.user(name), expected, "{on:?}");
        }
        assert_eq!(world.user("emil"), "", "{on:?}: the rest of the tenant stays outside");
        assert_eq!(world.database.count("users"), 7, "{on:?}: none was made but ada's");
        world.assert_rests().await;
        world.assert_audit_whole().await;

        // The point of it: a membership given by hand ends with the person.
        world.member("tool", "fay", "member");
        assert_eq!(world.who("tool"), ["fay"], "{on:?}");
        world
            .follow(|tenant| tenant.update_user(id("fay"), |u| u.account_enabled = Some(false)))
            .await;
        assert_eq!(world.who("tool"), [""; 0], "{on:?}: disabled");
        world
            .follow(|tenant| tenant.update_user(id("fay"), |u| u.account_enabled = Some(true)))
            .await;
        assert_eq!(world.who("tool"), ["fay"], "{on:?}: and back");
        world.follow(|tenant| tenant.soft_delete_user(id("fay"))).await;
        assert_eq!(world.who("tool"), [""; 0], "{on:?}: deleted");
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn a_later_full_run_matches_rows_made_since() {
    for on in BOTH {
        let world = narrow(on).await;
        world.run(Full).await;
        world.edit(|tenant| loner(tenant, "fay"));
        world.run(Delta).await;
        write_down(&world, &address("fay"));
        let report = world.run(Delta).await;
        assert_eq!(report.outcome, Outcome::Unchanged, "{on:?}: nothing about fay came up");
        world.run(Full).await;
        assert_eq!(world.user("fay"), format!("fay|{}|user|live", address("fay")), "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn what_a_delta_round_brings_up_is_matched_at_once() {
    for on in BOTH {
        let world = narrow(on).await;
        world.edit(|tenant| loner(tenant, "fay"));
        for name in ["hal", "fay.new"] {
            write_down(&world, &address(name));
        }
        world.run(Full).await;
        world.follow(|tenant| loner(tenant, "hal")).await;
        assert!(world.user("hal").ends_with("live"), "{on:?}: hired");
        world
            .follow(|tenant| {
                tenant.update_user(id("fay"), |user| user.mail = Some(address("fay.new")));
            })
            .await;
        assert!(world.user("fay").contains("fay.new@"), "{on:?}: renamed to it");
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn a_delta_run_adopts_for_nobody_where_a_second_account_has_the_address() {
    for on in BOTH {
        let world = narrow(on).await;
        world.edit(|tenant| {
            tenant.create_user(NewUser { mail: Some(address("team")), ..person("twin") });
        });
        world.run(Full).await;
        write_down(&world, &address("team"));
        world
            .follow(|tenant| {
                tenant.create_user(NewUser { mail: Some(address("TEAM")), ..person("other") });
            })
            .await;
        assert_eq!((world.user("twin"), world.user("other")), <_>::default(), "{on:?}");
        let mut waiting = ["twin", "other"].map(|name| format!("adoption_waits|{}", id(name)));
        waiting.sort();
        assert_eq!(world.findings(), waiting, "{on:?}");
        world.assert_rests().await;
        world.follow(|tenant| tenant.soft_delete_user(id("other"))).await;
        assert!(world.user("twin").ends_with("live"), "{on:?}: the only one now");
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn an_account_known_for_a_row_that_is_gone_still_counts_as_a_second_one() {
    for on in BOTH {
        let world = narrow(on).await;
        world.edit(|tenant| loner(tenant, "fay"));
        write_down(&world, &address("fay"));
        let name = world.lines("name", "users").remove(0);
        world.member("tool", &name, "member");
        world.run(Full).await;
        // Fay was observed for the sake of the row; with it the reason to look at her goes.
        world.sql("DELETE FROM product_members");
        world.sql(&format!("DELETE FROM users WHERE name = '{name}'"));
        world.run(Delta).await;
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        write_down(&world, &address("fay"));
        world
            .follow(|tenant| {
                tenant.create_user(NewUser { mail: Some(address("fay")), ..person("other") });
            })
            .await;
        assert_eq!((world.user("fay"), world.user("other")), <_>::default(), "{on:?}");
        assert_eq!(world.findings().len(), 2, "{on:?}: {:?}", world.findings());
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn a_row_with_memberships_waits_and_is_adopted_once_it_has_none() {
    for on in BOTH {
        let world = narrow(on).await;
        world.edit(|tenant| loner(tenant, "fay"));
        write_down(&world, &address("fay"));
        let name = world.lines("name", "users").remove(0);
        world.member("tool", &name, "member");
        world.run(Full).await;
        assert_eq!(world.user("fay"), "", "{on:?}");
        let plan = world.pending().await.remove(0).hash;
        let told = [format!("adoption_waits|{}", id("fay")), format!("removals_held|{plan}")];
        assert_eq!(world.findings(), told, "{on:?}: it is a person's to say");
        assert_eq!(world.who("tool"), [name], "{on:?}: nothing is taken away unasked");
        assert_eq!(world.run(Full).await.changes_total(), 0, "{on:?}");
        for enabled in [false, true] {
            world
                .follow(|tenant| {
                    tenant.update_user(id("fay"), |user| user.account_enabled = Some(enabled));
                })
                .await;
            let told = "dirsync_findings WHERE resolved_at IS NULL AND kind = 'adoption_waits'";
            let told = world.lines("message", told);
            let left = told[0].starts_with("the account is disabled");
            assert_eq!(left, !enabled, "{on:?}: {told:?}");
            assert_eq!(world.run(Full).await.changes_total(), 0, "{on:?}");
        }
        world.sql("DELETE FROM product_members");
        world.run(Delta).await;
        assert!(world.user("fay").ends_with("live"), "{on:?}");
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn guests_and_disabled_accounts_are_not_let_in_by_a_row() {
    for on in BOTH {
        for include_disabled in [false, true] {
            let mut world = narrow(on).await;
            world.settings.include_disabled = include_disabled;
            world.edit(|tenant| {
                tenant.create_user(guest("gus"));
                tenant.create_user(NewUser { account_enabled: Some(false), ..person("dan") });
                tenant
                    .create_user(NewUser { user_principal_name: address("old"), ..person("new") });
            });
            for name in ["gus", "dan", "old"] {
                write_down(&world, &address(name));
            }
            world.run(Full).await;
            assert_eq!(world.database.count("users"), 4, "{on:?} {:?}", world.users());
            assert_eq!(world.database.count("dirsync_user_identities"), 1, "{on:?}: ada's");
            world.assert_rests().await;
        }
    }
}

#[tokio::test]
async fn the_cost_follows_the_rows_without_identity() {
    let world = narrow(On::Sqlite).await;
    world.run(Full).await;
    assert_eq!(asked(&world), 0, "no row, no question");
    for at in 0..46 {
        write_down(&world, &address(&format!("somebody{at}")));
    }
    world.edit(|tenant| loner(tenant, "somebody7"));
    let before = asked(&world);
    world.run(Full).await;
    assert_eq!(asked(&world) - before, 8, "46 rows, 15 to a filter, by mail and by UPN");
    let before = asked(&world);
    world.run(Delta).await;
    world.follow(|tenant| loner(tenant, "stranger")).await;
    assert_eq!(asked(&world), before, "a delta run asks for none that nobody bears");
    world.run(Full).await;
    assert_eq!(asked(&world) - before, 6, "45 are left");
}
