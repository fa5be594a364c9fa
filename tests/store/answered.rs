//! What an answer is about, and how long it is good: for what was seen when it was given,
//! for runs that read the directory after it, and until a run can tell that the matter is
//! over. What a run cannot tell ends neither a hold nor an answer.

use crate::prelude::*;
use graph_simulator::{Effect, Fault, FaultBody, Tenant};
use nexus_dirsync::directory::ObjectId;
use nexus_dirsync::reconcile::report::Trigger;
use nexus_dirsync::store::Decision;
use nexus_dirsync::sync::Sync;

const TENANT: Groups<'_> = &[
    ("readers", &["ada", "bob", "cem", "dora"]),
    ("writers", &["emil"]),
    ("admins", &["ada", "bob"]),
    ("roots", &["cem"]),
];

/// One thing may be taken away unasked, two are one too many.
async fn platform(on: On) -> World {
    let mut world = World::new(on, company(TENANT)).await;
    world.run(Full).await;
    world.link("app", id("readers"));
    world.settings.limits = at_most(1);
    world
}

fn disable(tenant: &mut Tenant, name: &str) {
    tenant.update_user(id(name), |user| user.account_enabled = Some(false));
}

fn purge(tenant: &mut Tenant, name: &str) {
    tenant.soft_delete_user(id(name));
    tenant.purge_user(id(name));
}

fn refused() -> Effect {
    Effect::Status { status: 403, headers: Vec::new(), body: FaultBody::Empty }
}

/// Holds what `world` asks for in a run, and says no to it.
async fn refuse(world: &World, mode: nexus_dirsync::directory::Mode) {
    assert_eq!(world.run(mode).await.outcome, Outcome::Held);
    let hash = world.pending().await.remove(0).hash;
    world.answer(&hash, Decision::Reject("it is not meant".into())).await;
    world.run(mode).await;
}

/// The states of everything that was ever held.
fn items(world: &World) -> Vec<String> {
    world.lines("status", "dirsync_plan_items")
}

fn by_hand(world: &World, name: &str, email: &str, role: &str) {
    world.sql(&format!(
        "INSERT INTO users (email, name, role) VALUES ('{email}', '{name}', '{role}')"
    ));
}

/// A platform in which the adoption of a row of "Ada" waits for an answer, and its plan.
async fn adopting(on: On) -> (World, String) {
    let world = World::new(on, company(&[("readers", &["bob"])])).await;
    world.run(Full).await;
    world.link("app", id("readers"));
    by_hand(&world, "Ada", &address("ada"), "user");
    world.member("tool", "Ada", "member");
    world.follow(|tenant| hire(tenant, "ada", "readers")).await;
    let hash = world.pending().await.remove(0).hash;
    (world, hash)
}

#[tokio::test]
async fn a_yes_to_one_row_adopts_no_other_and_none_that_has_changed() {
    type Change = fn(&World);
    let changes: [(&str, Change); 3] = [
        ("another row", |world| {
            by_hand(world, "Root", "root@contoso.example", "admin");
            world.edit(|tenant| {
                tenant.update_user(id("ada"), |u| u.mail = Some("root@contoso.example".into()));
            });
        }),
        ("an admin's by now", |world| {
            world.sql("UPDATE users SET role = 'admin' WHERE name = 'Ada'");
        }),
        ("another product's by now", |world| world.member("vault", "Ada", "admin")),
    ];
    for (on, (at, change)) in BOTH.into_iter().flat_map(|on| changes.map(|row| (on, row))) {
        let (world, hash) = adopting(on).await;
        change(&world);
        world.run(Delta).await;
        world.answer(&hash, Decision::Approve([1].into())).await;
        world.run(Delta).await;
        let owned = world.database.count("dirsync_user_identities");
        assert_eq!(owned, 1, "{on:?}, {at}: bob's alone");
        let asked = world.pending().await;
        assert_eq!(asked.len(), 1, "{on:?}, {at}: it is asked for as it is");
        world.answer(&asked[0].hash, Decision::Approve([1].into())).await;
        world.run(Delta).await;
        assert_eq!(world.database.count("dirsync_user_identities"), 2, "{on:?}, {at}");
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn a_no_to_one_row_is_none_to_another() {
    for on in BOTH {
        let (world, hash) = adopting(on).await;
        by_hand(&world, "Ada new", &address("ada.new"), "admin");
        world.answer(&hash, Decision::Reject("another Ada".into())).await;
        world.run(Delta).await;
        assert_eq!(world.pending().await.len(), 0, "{on:?}");
        world
            .follow(|tenant| tenant.update_user(id("ada"), |u| u.mail = Some(address("ada.new"))))
            .await;
        assert_eq!(world.pending().await.len(), 1, "{on:?}");
    }
}

/// However little is asked for: one of the two would pass below the limit.
#[tokio::test]
async fn an_answer_about_a_disabled_person_is_none_about_a_deleted_one() {
    for (on, yes) in BOTH.into_iter().flat_map(|on| [(on, true), (on, false)]) {
        let at = format!("{on:?}, yes: {yes}");
        let world = platform(on).await;
        world.edit(|tenant| ["ada", "bob"].map(|name| disable(tenant, name)));
        if yes {
            world.run(Delta).await;
            world.follow(|tenant| purge(tenant, "ada")).await;
            world.approve_all().await;
            world.run(Delta).await;
        } else {
            refuse(&world, Delta).await;
            world.follow(|tenant| purge(tenant, "ada")).await;
        }
        assert!(world.user("ada").ends_with("live"), "{at}: {}", world.user("ada"));
        assert_eq!(world.user("bob").ends_with("disabled"), yes, "{at}: he is as he was");
        assert_eq!(world.pending().await.len(), 1, "{at}");
        world.approve_all().await;
        world.run(Delta).await;
        assert!(world.user("ada").ends_with("removed"), "{at}");
        world.assert_audit_whole().await;
    }
}

/// Azure empties its bin after thirty days, whoever said no.
#[tokio::test]
async fn a_no_to_a_deleted_group_does_not_end_by_its_purge() {
    for on in BOTH {
        let world = platform(on).await;
        world.link("tool", id("writers"));
        world.edit(|tenant| ["readers", "writers"].map(|name| tenant.soft_delete_group(id(name))));
        refuse(&world, Delta).await;
        world.edit(|tenant| tenant.purge_group(id("writers")));
        world.run(Full).await;
        assert_eq!(world.who("tool"), ["emil"], "{on:?}");
        assert_eq!(world.pending().await.len(), 1, "{on:?}");
    }
}

#[tokio::test]
async fn a_yes_counts_for_runs_that_read_after_it() {
    for on in BOTH {
        let world = platform(on).await;
        world.edit(|tenant| {
            ["ada", "bob"].map(|name| tenant.remove_member(id("readers"), id(name)))
        });
        world.run(Delta).await;
        let (sync, run) = (world.sync(), Sync::begin(Delta, Trigger::Schedule));
        let observation = sync.observe(run).await.unwrap();
        world.edit(|tenant| tenant.add_member(id("readers"), id("ada")));
        world.approve_all().await;
        let done = sync.commit(run, observation, false).await.unwrap();
        assert_eq!(done.report.outcome, Outcome::Held, "{on:?}");
        assert_eq!(world.who("app"), ["ada", "bob", "cem", "dora"], "{on:?}");
        world.run(Delta).await;
        assert_eq!(world.who("app"), ["ada", "cem", "dora"], "{on:?}");
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn silence_about_an_account_forgets_no_answer() {
    for on in BOTH {
        let world = platform(on).await;
        world.edit(|tenant| ["ada", "bob"].map(|name| disable(tenant, name)));
        refuse(&world, Delta).await;
        let silent = Effect::OmitKeys(vec!["accountEnabled".to_owned()]);
        let silent = world.simulator.inject(Fault::on("users/delta", silent));
        let call = |tenant: &mut Tenant, name: &str| {
            tenant.update_user(id("ada"), |user| user.display_name = Some(name.to_owned()));
        };
        world.follow(|tenant| call(tenant, "Ada L")).await;
        world.simulator.clear_fault(silent);
        world.follow(|tenant| call(tenant, "Ada")).await;
        assert_eq!(world.who("app"), ["Ada", "bob", "cem", "dora"], "{on:?}");
        assert_eq!(items(&world), ["rejected", "rejected"], "{on:?}");
    }
}

/// Whoever may be an admin by a group that cannot be read, or by a newcomer in it.
#[tokio::test]
async fn an_admin_group_that_cannot_be_read_forgets_no_answer() {
    for (on, newcomer) in BOTH.into_iter().flat_map(|on| [(on, true), (on, false)]) {
        for answered in [true, false] {
            let at = format!("{on:?}, newcomer: {newcomer}, answered: {answered}");
            let mut world = World::new(on, company(TENANT)).await;
            let admins = ["admins", "roots"].map(|name| ObjectId::new(id(name)));
            world.settings.admin_groups = admins.into();
            world.run(Full).await;
            world.settings.limits = at_most(1);
            // Membership and role.
            world.edit(|tenant| tenant.remove_member(id("admins"), id("ada")));
            if answered {
                refuse(&world, Delta).await;
            } else {
                world.run(Delta).await;
            }
            if newcomer {
                world.simulator.inject(Fault::on(format!("*{}*", id("gil")), refused()));
                world.simulator.inject(Fault::on("users/delta", Effect::EmptyOk));
                world.edit(|tenant| hire(tenant, "gil", "roots"));
            } else {
                let members = format!("*{}/members?*", id("roots"));
                world.simulator.inject(Fault::on(members, refused()));
            }
            world.run(if newcomer { Delta } else { Full }).await;
            world.simulator.clear_faults();
            for _ in 0..2 {
                world.run(Delta).await;
                assert!(world.user("ada").contains("admin"), "{at}: {}", world.user("ada"));
            }
            let state = if answered { "rejected" } else { "held" };
            assert_eq!(items(&world), [state, state], "{at}");
        }
    }
}

/// A name that means nobody, or no registry at all, tells nothing of what was made by it.
#[tokio::test]
async fn a_registry_that_means_nobody_for_once_forgets_no_answer() {
    let both = |owner| {
        [
            entry("app", &["readers", "writers"], owner),
            entry("tool", &["readers", "writers"], owner),
        ]
    };
    let less = [entry("app", &["writers"], None), entry("tool", &["writers"], None)];
    let unclear =
        [entry("app", &["writers", "nowhere"], Some("Nobody")), entry("tool", &["writers"], None)];
    for (on, registry) in BOTH.into_iter().flat_map(|on| [(on, Some(unclear.to_vec())), (on, None)])
    {
        let at = format!("{on:?}, registry: {}", registry.is_some());
        let mut world = World::new(on, company(TENANT)).await;
        for _ in 0..2 {
            world.registry(both(Some("ada")).to_vec());
            world.run(Full).await;
        }
        world.settings.limits = at_most(1);
        world.registry(less.to_vec());
        refuse(&world, Delta).await;
        match registry {
            Some(registry) => world.registry(registry),
            None => world.settings.registry = None,
        }
        world.run(Delta).await;
        world.registry(less.to_vec());
        world.run(Delta).await;
        assert_eq!(items(&world), ["rejected"; 4], "{at}: two links, two owners");
        assert_eq!(world.who("app"), ["ada", "bob", "cem", "dora", "emil"], "{at}");
        assert_eq!(world.database.count("product_members"), 2, "{at}");
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn a_purge_that_is_not_due_yet_forgets_no_answer() {
    for on in BOTH {
        let mut world = platform(on).await;
        world.settings.limits = unlimited();
        world.follow(|tenant| ["ada", "bob"].map(|name| purge(tenant, name))).await;
        world.settings.limits = at_most(1);
        world.settings.retention = Duration::ZERO;
        refuse(&world, Full).await;
        world.settings.retention = Duration::from_secs(3600);
        world.run(Full).await;
        world.settings.retention = Duration::ZERO;
        world.run(Full).await;
        assert_eq!(items(&world), ["rejected", "rejected"], "{on:?}");
        assert!(world.user("ada").ends_with("removed"), "{on:?}");
    }
}

#[tokio::test]
async fn whoever_is_an_admin_because_the_end_of_it_is_held_answers_nothing() {
    for on in BOTH {
        let mut world = World::new(on, company(TENANT)).await;
        world.settings.admin_groups = [ObjectId::new(id("admins"))].into();
        world.run(Full).await;
        world.settings.limits = at_most(0);
        world.follow(|tenant| tenant.remove_member(id("admins"), id("ada"))).await;
        let admin = |name: &'static str| world.store.read(move |tx| tx.live_admin(&address(name)));
        assert_eq!(admin("ada").await.unwrap(), None, "{on:?}");
        assert!(admin("bob").await.unwrap().is_some(), "{on:?}");
    }
}
