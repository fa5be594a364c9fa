//! Owners of the registry in a scope that has only members: a name means one person of the
//! whole directory, or nobody.

use crate::prelude::*;
use graph_simulator::{Effect, Fault, FaultBody, NewUser, Tenant};

/// A platform in scope `linked`/`members` with one product of the registry, before its
/// first run.
async fn narrow(on: On, owner: &str) -> World {
    let mut world = World::new(on, company(&[("readers", &["ada"]), ("elsewhere", &[])])).await;
    world.settings.all_groups = false;
    world.settings.all_users = false;
    world.registry(vec![entry("app", &["readers"], Some(owner))]);
    world
}

/// Somebody in no group at all.
fn loner(tenant: &mut Tenant, name: &str, called: &str) {
    tenant.create_user(NewUser { display_name: called.to_owned(), ..person(name) });
}

fn call(tenant: &mut Tenant, name: &str, called: &str) {
    tenant.update_user(id(name), |user| user.display_name = Some(called.to_owned()));
}

/// Who owns something, by address.
fn owners(world: &World) -> Vec<String> {
    world.lines("u.email", "product_members m JOIN users u ON u.id = m.user_id")
}

/// How often all users of the tenant were listed.
fn listed(world: &World) -> usize {
    let whole = |target: &str| target.contains("/users?") && !target.contains("$filter");
    world.simulator.requests().iter().filter(|request| whole(&request.target)).count()
}

#[tokio::test]
async fn a_namesake_outside_every_group_forbids_an_owner() {
    // Whoever is in the group, and however the three of them are spelt.
    for (inside, outside, spelt) in [
        ("François Panard", "Francois Panard", "Francois Panard"),
        ("Francois Panard", "FRANÇOIS  PANARD", "Francois Panard"),
        ("Francois Panard", "Ḟrancois Panard", "François Panard"),
    ] {
        for on in BOTH {
            let world = narrow(on, spelt).await;
            world.edit(|tenant| {
                call(tenant, "ada", inside);
                loner(tenant, "fay", outside);
            });
            world.run(Full).await;
            let told = [format!("registry_owner_ambiguous|{spelt}")];
            assert_eq!(world.findings(), told, "{on:?}: {inside}, {outside}");
            assert_eq!(owners(&world), [""; 0], "{on:?}: {inside}, {outside}");
            assert_eq!(world.user("fay"), "", "{on:?}: nobody gets a row for it");
            world.assert_rests().await;
        }
    }
}

#[tokio::test]
async fn an_owner_in_no_group_gets_a_row_and_the_product_in_the_same_run() {
    for on in BOTH {
        let world = narrow(on, "Solo Boss").await;
        world.edit(|tenant| loner(tenant, "boss", "Sólo Boss"));
        world.run(Full).await;
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        assert_eq!(owners(&world), [address("boss")], "{on:?}");
        world.assert_rests().await;
        world.assert_audit_whole().await;
        // Like anybody who has a row: followed, whatever becomes of the registry.
        world
            .follow(|tenant| tenant.update_user(id("boss"), |u| u.account_enabled = Some(false)))
            .await;
        assert!(world.user("boss").ends_with("disabled"), "{on:?}");
        assert_eq!(world.who("app"), ["ada"], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn guests_and_disabled_accounts_are_nobodys_namesakes() {
    for on in BOTH {
        let world = narrow(on, "ada").await;
        world.edit(|tenant| {
            tenant.create_user(NewUser { display_name: "Ada".into(), ..guest("visitor") });
            loner(tenant, "left", "Ada");
            tenant.update_user(id("left"), |user| user.account_enabled = Some(false));
            loner(tenant, "gone", "Ada");
            tenant.soft_delete_user(id("gone"));
        });
        world.run(Full).await;
        assert_eq!(owners(&world), [address("ada")], "{on:?}");
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn a_name_that_means_two_is_told_until_it_means_one() {
    for on in BOTH {
        let world = narrow(on, "ada").await;
        world.edit(|tenant| loner(tenant, "fay", "Ada"));
        world.run(Full).await;
        assert_eq!(world.findings(), ["registry_owner_ambiguous|ada"], "{on:?}");
        // Somebody without a row gives the name up: the next full run looks again.
        world.follow(|tenant| call(tenant, "fay", "Fay")).await;
        assert_eq!(owners(&world), [""; 0], "{on:?}: a round does not tell that this was all");
        assert_eq!(world.findings(), ["registry_owner_ambiguous|ada"], "{on:?}");
        world.run(Full).await;
        assert_eq!(owners(&world), [address("ada")], "{on:?}");
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn somebody_who_comes_up_with_a_name_that_waits_is_told_apart_at_once() {
    for on in BOTH {
        let world = narrow(on, "Solo Boss").await;
        world.edit(|tenant| loner(tenant, "fay", "fay"));
        world.run(Full).await;
        assert_eq!(world.findings(), ["registry_owner_unresolved|Solo Boss"], "{on:?}");
        world
            .follow(|tenant| {
                loner(tenant, "boss", "Solo Boss");
                call(tenant, "fay", "solo boss");
            })
            .await;
        assert_eq!(world.findings(), ["registry_owner_ambiguous|Solo Boss"], "{on:?}");
        world.follow(|tenant| call(tenant, "fay", "Fay")).await;
        // Whoever has the name comes up again, and has it alone now.
        world
            .follow(|tenant| {
                tenant.update_user(id("boss"), |user| user.mail = Some(address("chief")));
            })
            .await;
        assert_eq!(owners(&world), [address("chief")], "{on:?}");
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn a_bound_owner_stays_and_a_namesake_is_told() {
    for on in BOTH {
        for everything in [true, false] {
            let mut world = narrow(on, "ada").await;
            world.settings.all_users = everything;
            world.run(Full).await;
            world.follow(|tenant| loner(tenant, "fay", "Áda")).await;
            let told = ["registry_owner_ambiguous|ada"];
            assert_eq!(world.findings(), told, "{on:?} all: {everything}");
            assert_eq!(owners(&world), [address("ada")], "{on:?} all: {everything}");
            world.assert_rests().await;
            world.follow(|tenant| call(tenant, "fay", "Fay")).await;
            world.run(Full).await;
            assert_eq!(world.findings(), [""; 0], "{on:?} all: {everything}");
            assert_eq!(owners(&world), [address("ada")], "{on:?} all: {everything}");
        }
    }
}

#[tokio::test]
async fn an_owner_whose_row_has_to_wait_is_no_owner_yet() {
    for on in BOTH {
        let world = narrow(on, "Solo Boss").await;
        world.edit(|tenant| loner(tenant, "boss", "Solo Boss"));
        let boss = address("boss");
        world
            .sql(&format!("INSERT INTO users (email, name, role) VALUES ('{boss}', 'x', 'admin')"));
        world.run(Full).await;
        let waits = format!("adoption_waits|{}", id("boss"));
        let told = world.findings();
        assert!(told.contains(&"registry_owner_unresolved|Solo Boss".to_owned()), "{told:?}");
        assert!(told.contains(&waits), "{told:?}");
        assert_eq!(owners(&world), [""; 0], "{on:?}");
    }
}

#[tokio::test]
async fn the_tenant_is_listed_only_while_a_name_waits_for_it() {
    for on in BOTH {
        let mut world = narrow(on, "ada").await;
        world.run(Full).await;
        assert_eq!(listed(&world), 1, "{on:?}: the name is new");
        world.run(Full).await;
        world.run(Delta).await;
        assert_eq!(listed(&world), 1, "{on:?}: bound, it costs nothing");
        world.registry(vec![entry("app", &["readers"], Some("nobody"))]);
        world.run(Delta).await;
        assert_eq!(listed(&world), 2, "{on:?}: another name");
        world.run(Delta).await;
        assert_eq!(listed(&world), 2, "{on:?}: asked once by delta runs");
        world.run(Full).await;
        assert_eq!(listed(&world), 3, "{on:?}: and by every full run");
    }
}

/// Whoever a list leaves out may bear the name as well; that all are there is what the count
/// must say, not what is stored: most people have no row.
#[tokio::test]
async fn a_list_that_lacks_people_tells_of_nobody_that_he_bears_a_name_alone() {
    for on in BOTH {
        let world = narrow(on, "Zoe").await;
        world.edit(|tenant| {
            for name in ["zoe.one", "zoe.two", "bob", "cem", "dora"] {
                loner(tenant, name, if name.starts_with("zoe") { "Zoe" } else { name });
            }
        });
        let one = serde_json::json!({
            "id": id("zoe.one"), "displayName": "Zoe", "userPrincipalName": address("zoe.one"),
            "accountEnabled": true, "userType": "Member"
        });
        let body = FaultBody::Json(serde_json::json!({ "value": [one] }));
        let short = Effect::Status { status: 200, headers: Vec::new(), body };
        world.simulator.inject(Fault::on("/v1.0/users?$select", short));
        for mode in [Full, Delta] {
            world.run(mode).await;
            assert_eq!(owners(&world), [""; 0], "{on:?} {mode}");
        }
        world.simulator.clear_faults();
        world.run(Full).await;
        assert_eq!(owners(&world), [""; 0], "{on:?}");
        assert_eq!(world.findings(), ["registry_owner_ambiguous|Zoe"], "{on:?}");
    }
}

/// Nothing moves but the registry's word.
#[tokio::test]
async fn an_owner_who_has_the_product_already_gains_nothing() {
    for (on, mode) in BOTH.into_iter().flat_map(|on| [(on, Delta), (on, Full)]) {
        let mut world = World::new(on, company(&[("readers", &["ada", "bob"])])).await;
        world.registry(vec![entry("app", &["readers"], None)]);
        for _ in 0..2 {
            world.run(Full).await;
        }
        world.registry(vec![entry("app", &["readers"], Some("ada"))]);
        let report = world.run(mode).await;
        assert_eq!(owners(&world).len(), 1, "{on:?}, {mode:?}");
        assert_eq!(report.access.gained, 0, "{on:?}, {mode:?}");
        let pairs = world
            .lines("user_id, product_id", "product_access GROUP BY user_id, product_id")
            .len() as u64;
        assert_eq!(report.totals.map(|totals| totals.access), Some(pairs), "{on:?}, {mode:?}");
    }
}
