//! The product registry on real databases: the client's file end to end, and what people
//! and names do to it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::prelude::*;
use graph_simulator::{Shape, Simulator, Tenant, generate};
use nexus_dirsync::directory::{ObjectId, fold_case, person_key};
use nexus_dirsync::reconcile::world::RegistryEntry;

fn clients() -> Vec<RegistryEntry> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/registry.toml");
    nexus_dirsync::registry::load(&path).unwrap().entries
}

/// A tenant that has every group and owner of the registry, and strangers around them.
fn around(entries: &[RegistryEntry]) -> Tenant {
    let groups = entries.iter().flat_map(|entry| &entry.groups);
    let groups: BTreeMap<_, _> = groups.map(|name| (fold_case(name), name.clone())).collect();
    let owners = entries.iter().filter_map(|entry| entry.owner.as_ref());
    let owners: BTreeMap<_, _> = owners.map(|name| (person_key(name), name.clone())).collect();
    generate(&Shape {
        users: 150,
        groups: groups.len() + 20,
        memberships: 900,
        nesting: 0.3,
        named_groups: groups.into_values().collect(),
        people: owners.into_values().collect(),
        ..Shape::default()
    })
}

/// Who has access to each product, by the tenant's own word.
fn truth(simulator: &Simulator, entries: &[RegistryEntry]) -> BTreeMap<String, i64> {
    simulator.read(|tenant| {
        let live = |user: &uuid::Uuid| {
            tenant.user(*user).is_some_and(|u| !u.is_deleted() && u.account_enabled == Some(true))
        };
        let people = |entry: &RegistryEntry| {
            let mut people: BTreeSet<_> = tenant
                .groups()
                .filter(|group| entry.groups.contains(&group.display_name))
                .flat_map(|group| tenant.effective_users(group.id()))
                .collect();
            let owner = entry.owner.as_deref().map(person_key);
            people.extend(
                tenant
                    .users()
                    .filter(|u| u.display_name.as_deref().map(person_key) == owner)
                    .map(|u| u.id()),
            );
            people.retain(live);
            people.len()
        };
        entries
            .iter()
            .map(|entry| (entry.product.clone(), i64::try_from(people(entry)).unwrap()))
            .collect()
    })
}

#[tokio::test]
async fn the_clients_registry_gives_exactly_the_access_that_the_tenant_says() {
    let entries = clients();
    let owners: BTreeSet<_> =
        entries.iter().filter_map(|e| e.owner.as_deref()).map(person_key).collect();
    for on in BOTH {
        for everything in [true, false] {
            let mut world = World::new(on, around(&entries)).await;
            world.settings.all_groups = everything;
            world.settings.all_users = everything;
            world.registry(entries.clone());
            world.run(Full).await;
            assert_eq!(world.database.count("products"), 99, "{on:?} all: {everything}");
            let links: usize = entries.iter().map(|entry| entry.groups.len()).sum();
            assert_eq!(world.database.count("product_aad_groups"), links as u64, "{on:?}");
            assert_eq!(world.database.count("product_members"), 99, "{on:?} all: {everything}");
            assert_eq!(
                world.database.count("(SELECT DISTINCT user_id FROM product_members) o"),
                owners.len() as u64
            );
            let counts = world.store.read(|tx| tx.access_counts()).await.unwrap();
            assert_eq!(counts, truth(&world.simulator, &entries), "{on:?} all: {everything}");
            assert_eq!(world.findings(), [""; 0], "{on:?} all: {everything}");
            world.assert_rests().await;
            world.assert_audit_whole().await;
        }
    }
}

const TEAM: Groups<'_> = &[("readers", &["ada", "bob"]), ("writers", &["cem"])];

async fn team(on: On, entries: Vec<RegistryEntry>) -> World {
    let mut world = World::new(on, company(TEAM)).await;
    world.registry(entries);
    world.run(Full).await;
    world
}

#[tokio::test]
async fn what_people_made_before_stays_peoples() {
    for on in BOTH {
        let mut world = World::new(on, company(TEAM)).await;
        world.run(Full).await;
        world.sql("INSERT INTO products (name, description) VALUES ('app', 'by hand')");
        world.link("app", id("readers"));
        world.member("app", "ada", "member");
        let made = |world: &World| {
            let mut rows = world.lines("id, name, description, updated_at", "products");
            rows.extend(world.lines("product_id, aad_group_id, created_at", "product_aad_groups"));
            rows.extend(world.lines("user_id, product_id, role, joined_at", "product_members"));
            rows
        };
        let (before, mark) = (made(&world), world.audit_mark());
        world.registry(vec![entry("app", &["Readers"], Some("ADA"))]);
        world.run(Delta).await;
        world.registry(vec![entry("other", &[], None)]);
        world.run(Delta).await;
        let after: Vec<_> = made(&world).into_iter().filter(|row| !row.contains("other")).collect();
        assert_eq!(after, before, "{on:?}");
        assert_eq!(world.audit_since(mark), ["product|create|1"], "{on:?}: only the other product");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn a_group_that_is_renamed_stays_bound_and_a_thief_of_its_name_is_a_finding() {
    for on in BOTH {
        let world = team(on, vec![entry("app", &["readers"], None)]).await;
        world.follow(|tenant| tenant.rename_group(id("readers"), "renamed")).await;
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.follow(|tenant| tenant.rename_group(id("writers"), "Readers")).await;
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}: never followed");
        let plan = world.pending().await.remove(0).hash;
        let told = ["registry_group_taken|readers".to_owned(), format!("removals_held|{plan}")];
        assert_eq!(world.findings(), told, "{on:?}: binding anew needs a person");
        world.run(Delta).await;
        assert_eq!(world.findings(), told, "{on:?}: a person is asked once");
        world.follow(|tenant| tenant.rename_group(id("writers"), "writers")).await;
        world.run(Full).await;
        assert_eq!(world.findings(), [""; 0], "{on:?}: over when the thief gives it back");
    }
}

#[tokio::test]
async fn names_that_mean_none_or_two_are_findings_until_they_mean_one() {
    for on in BOTH {
        let world = team(on, vec![entry("app", &["missing", "writers"], Some("nobody"))]).await;
        assert_eq!(
            world.findings(),
            ["registry_group_unresolved|missing", "registry_owner_unresolved|nobody"],
            "{on:?}"
        );
        assert_eq!(world.who("app"), ["cem"], "{on:?}: what resolves is linked");
        world
            .follow(|tenant| {
                found(tenant, "missing");
                hire(tenant, "nobody", "missing");
            })
            .await;
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        assert_eq!(world.who("app"), ["cem", "nobody"], "{on:?}");
        assert_eq!(world.lines("role", "product_members"), ["admin"], "{on:?}");
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn two_groups_or_two_people_of_one_name_are_never_guessed_between() {
    for on in BOTH {
        let mut world = World::new(on, company(TEAM)).await;
        world.edit(|tenant| {
            found(tenant, "twin");
            tenant.rename_group(id("writers"), "Twin");
            tenant.update_user(id("cem"), |user| user.display_name = Some("Ada".into()));
        });
        world.registry(vec![entry("app", &["twin"], Some("Ada"))]);
        world.run(Full).await;
        assert_eq!(
            world.findings(),
            ["registry_group_ambiguous|twin", "registry_owner_ambiguous|Ada"],
            "{on:?}"
        );
        assert_eq!(world.who("app"), [""; 0], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn what_the_registry_gives_up_is_unlinked_through_the_guard() {
    for on in BOTH {
        let mut world = team(
            on,
            vec![entry("app", &["readers"], Some("cem")), entry("tool", &["writers"], None)],
        )
        .await;
        world.settings.limits = at_most(1);
        world.registry(vec![entry("tool", &["writers"], None)]);
        let held = world.run(Delta).await;
        assert_eq!((held.outcome, held.withheld.memberships), (Outcome::Held, 2), "{on:?}");
        assert_eq!(world.who("app"), ["ada", "bob", "cem"], "{on:?}");
        let mark = world.audit_mark();
        world.approve_all().await;
        world.run(Delta).await;
        assert_eq!(world.who("app"), [""; 0], "{on:?}");
        assert_eq!(
            world.audit_since(mark),
            ["product_aad_group|unlink|1", "product_member|delete|1"]
        );
        assert_eq!(world.lines("name", "products"), ["app", "tool"], "{on:?}: the product stays");
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn owners_that_people_demote_are_corrected_and_without_registry_nothing_is_touched() {
    for on in BOTH {
        let mut world = team(on, vec![entry("app", &["readers"], Some("cem"))]).await;
        world.sql("UPDATE product_members SET role = 'member'");
        world.run(Delta).await;
        assert_eq!(world.lines("role", "product_members"), ["admin"], "{on:?}");
        world.settings.registry = None;
        let mark = world.audit_mark();
        world.run(Full).await;
        assert_eq!(world.audit_since(mark), [""; 0], "{on:?}");
        assert_eq!(world.who("app"), ["ada", "bob", "cem"], "{on:?}");
    }
}

#[tokio::test]
async fn a_description_that_changes_is_corrected_on_products_of_the_registry_alone() {
    for on in BOTH {
        let mut world = team(on, vec![entry("app", &["readers"], None)]).await;
        let mut changed = entry("app", &["readers"], None);
        changed.description = "Anew".to_owned();
        world.registry(vec![changed]);
        world.run(Delta).await;
        assert_eq!(world.lines("name, description", "products"), ["app|Anew"], "{on:?}");
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn a_link_of_a_bound_group_survives_its_removal_and_restore() {
    for on in BOTH {
        let world = team(on, vec![entry("app", &["readers"], None)]).await;
        world.follow(|tenant| tenant.soft_delete_group(id("readers"))).await;
        assert_eq!(world.who("app"), [""; 0], "{on:?}");
        assert_eq!(world.findings(), ["registry_group_unresolved|readers"], "{on:?}");
        assert_eq!(world.database.count("product_aad_groups"), 1, "{on:?}");
        world.follow(|tenant| tenant.restore_group(id("readers"))).await;
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        let bound = world.store.read(|tx| tx.bindings("group")).await.unwrap();
        assert_eq!(bound, BTreeMap::from([("readers".to_owned(), ObjectId::new(id("readers")))]));
        world.assert_rests().await;
    }
}
