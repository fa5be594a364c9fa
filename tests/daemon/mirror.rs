//! The promise as a whole: random edits, signals and restarts, and in the end the truth.

use std::collections::{BTreeMap, BTreeSet};

use graph_simulator::{Shape, Tenant, generate, random_edit};
use nexus_dirsync::directory::person_key;
use nexus_dirsync::registry::{self, Registry};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use uuid::Uuid;

use crate::process::Daemon;
use crate::stage::Stage;
use crate::support::world::On;

const EDITS: usize = 500;
const BATCH: usize = 10;

/// The client's own registry.
fn shipped() -> (&'static str, Registry) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/registry.toml");
    (path, registry::load(path.as_ref()).unwrap())
}

/// A tenant in which every name of the registry means something.
fn tenant_of(registry: &Registry) -> Tenant {
    let mut groups = BTreeMap::new();
    let mut owners = BTreeMap::new();
    for entry in &registry.entries {
        groups.extend(entry.groups.iter().map(|name| (name.to_lowercase(), name.clone())));
        owners.extend(entry.owner.iter().map(|name| (person_key(name), name.clone())));
    }
    generate(&Shape {
        seed: 500,
        users: owners.len() + 60,
        groups: groups.len() + 10,
        memberships: 500,
        named_groups: groups.into_values().collect(),
        people: owners.into_values().collect(),
        ..Shape::default()
    })
}

fn groups_by_name(tenant: &Tenant) -> BTreeMap<String, Uuid> {
    tenant.groups().map(|group| (group.display_name.to_lowercase(), group.id())).collect()
}

/// Every product's owner administers it, under the same object id for ever.
fn owners(stage: &Stage) -> BTreeSet<String> {
    let sql = "SELECT p.name || ' ' || CAST(i.object_id AS text) AS cell FROM product_members m \
               JOIN products p ON p.id = m.product_id \
               JOIN dirsync_user_identities i ON i.user_id = m.user_id \
               WHERE CAST(m.role AS text) = 'admin'";
    stage.sql().cells(sql).into_iter().collect()
}

fn expected_owners(registry: &Registry, tenant: &Tenant) -> BTreeSet<String> {
    let people: BTreeMap<String, Uuid> = tenant
        .users()
        .filter_map(|user| Some((person_key(user.display_name.as_deref()?), user.id())))
        .collect();
    let owned = |entry: &nexus_dirsync::reconcile::world::RegistryEntry| {
        let owner = people[&person_key(entry.owner.as_deref()?)];
        Some(format!("{} {owner}", entry.product))
    };
    registry.entries.iter().filter_map(owned).collect()
}

/// The next thing that somebody asks for; each ends with one run more.
async fn next_turn(stage: &Stage, daemon: Daemon, rng: &mut ChaCha8Rng, step: usize) -> Daemon {
    if step % 16 == 15 {
        daemon.stop().await;
        let daemon = stage.start().await;
        daemon.first_run().await;
        return daemon;
    }
    if rng.random_bool(0.2) {
        stage.set_raw("graph.page_size", &rng.random_range(5..999).to_string());
        let before = daemon.status().await.config.loaded_at;
        daemon.signal(Signal::HUP);
        daemon.until_status("the reload", |status| status.config.loaded_at > before).await;
    }
    let signal = [Signal::USR1, Signal::USR1, Signal::USR1, Signal::USR2].choose(rng);
    let run = daemon.turn(*signal.unwrap()).await;
    assert!(["applied", "unchanged"].contains(&run.outcome.as_str()), "{run:?}");
    daemon
}

#[tokio::test]
async fn five_hundred_edits_end_in_the_tenants_truth() {
    let (path, registry) = shipped();
    let tenant = tenant_of(&registry);
    let (groups, owned) = (groups_by_name(&tenant), expected_owners(&registry, &tenant));
    let stage = Stage::new(On::Postgres, tenant).await;
    stage.set("registry.file", path);
    let mut daemon = stage.start().await;
    assert_eq!(daemon.first_run().await.outcome, "applied");
    stage.assert_converged().await;
    stage.assert_view(&registry, &groups);
    assert_eq!(owners(&stage), owned);

    let mut rng = ChaCha8Rng::seed_from_u64(500);
    for step in 0..EDITS / BATCH {
        let told: Vec<String> = stage
            .world
            .simulator
            .edit(|tenant| (0..BATCH).map(|_| random_edit(tenant, &mut rng)).collect());
        println!("step {step}: {told:?}");
        daemon = next_turn(&stage, daemon, &mut rng, step).await;
        if step % 10 == 9 {
            stage.assert_converged().await;
        }
    }
    stage.assert_converged().await;
    stage.assert_view(&registry, &groups);
    assert_eq!(owners(&stage), owned, "owners are bound to object ids");

    let full = daemon.turn(Signal::USR2).await;
    assert_eq!((full.outcome.as_str(), full.drift), ("unchanged", 0), "{full:?}");
    assert_eq!(daemon.status().await.withheld, nexus_dirsync::daemon::Counts::default());
    daemon.stop().await;
}

/// What an operator installs: linked groups, their members, nobody else.
#[tokio::test]
async fn the_default_scope_keeps_linked_groups_and_their_people() {
    let (path, registry) = shipped();
    let tenant = tenant_of(&registry);
    let groups = groups_by_name(&tenant);
    let stage = Stage::new(On::Sqlite, tenant).await;
    stage.set("registry.file", path);
    for key in ["scope.groups", "scope.users", "scope.include_disabled"] {
        stage.unset(key);
    }
    let daemon = stage.start().await;
    daemon.first_run().await;
    // What a link names for the first time is read by id, so a second run must rest.
    assert_eq!(daemon.turn(Signal::USR2).await.outcome, "unchanged");
    stage.assert_view(&registry, &groups);
    stage.world.assert_audit_whole().await;
    stage.assert_told_once();
    let strays = "SELECT CAST(u.id AS text) AS cell FROM users u WHERE NOT EXISTS \
                  (SELECT 1 FROM dirsync_group_members m WHERE m.user_id = u.id)";
    assert_eq!(stage.sql().cells(strays), [""; 0], "everybody is in some group");
    daemon.stop().await;
}
