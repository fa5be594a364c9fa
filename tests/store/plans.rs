//! Held plans on a real database: stored once, answered once, carried out as approved.

use crate::prelude::*;
use nexus_dirsync::directory::ObjectId;
use nexus_dirsync::reconcile::guard::Limits;
use nexus_dirsync::reconcile::world::RegistryEntry;
use nexus_dirsync::store::{Decider, Decision, Error, Verdict};

const CROWD: Groups<'_> = &[("readers", &["ada", "bob", "cem", "dora", "emil", "fay"])];

/// Six people reach `app` by one group; no more than two memberships may end in a run.
async fn crowd(on: On) -> World {
    let mut world = World::new(on, company(CROWD)).await;
    world.run(Full).await;
    world.link("app", id("readers"));
    world.settings.limits = at_most(2);
    world
}

/// Three of them leave the group.
async fn held(on: On) -> (World, String) {
    let world = crowd(on).await;
    leave(&world, &["ada", "bob", "cem"]);
    assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
    let hash = world.pending().await.remove(0).hash;
    (world, hash)
}

fn leave(world: &World, names: &[&str]) {
    world.edit(|tenant| {
        for name in names {
            assert!(tenant.remove_member(id("readers"), id(name)), "{name} was there");
        }
    });
}

/// The item that takes `name` out of the group, by number.
async fn number_of(world: &World, hash: &str, name: &str) -> i32 {
    let prefix = hash.to_owned();
    let plan = world.store.read(move |tx| tx.plan(&prefix)).await.unwrap().expect("the plan");
    let item = plan.items.iter().find(|(item, _)| item.user == Some(id(name)));
    item.expect("an item of this person").0.number
}

fn statuses(world: &World) -> Vec<String> {
    world.lines("status", "dirsync_plan_items ORDER BY status")
}

#[tokio::test]
async fn a_plan_tells_what_it_costs_and_how_we_know() {
    for on in BOTH {
        let (world, hash) = held(on).await;
        let prefix = hash[..8].to_owned();
        let detail = world.store.read(move |tx| tx.plan(&prefix)).await.unwrap().expect("a plan");
        assert!(detail.intact, "{on:?}");
        let header = &detail.plan.header;
        assert_eq!(header.cost, [("app".to_owned(), 3)].into(), "{on:?}");
        assert_eq!((header.counts.memberships, header.counts.access), (3, 3), "{on:?}");
        assert!(header.reasons[0].contains("guard.memberships_max is 2"), "{:?}", header.reasons);
        for (item, status) in &detail.items {
            assert_eq!((item.kind.as_str(), status.as_str()), ("membership_removal", "held"));
            assert_eq!(item.evidence.as_deref(), Some("delta_tombstone"), "{on:?}");
            assert_eq!(item.group_name.as_deref(), Some("readers"), "{on:?}");
            let who = [("app".to_owned(), [item.user.unwrap()].into())].into();
            assert_eq!(item.cost, who, "{on:?}");
        }
        world.sql("UPDATE dirsync_plan_items SET document = '{}' WHERE number = 1");
        let prefix = hash.clone();
        let read = world.store.read(move |tx| tx.plan(&prefix)).await;
        assert!(read.is_err() || !read.unwrap().expect("a plan").intact, "{on:?}: altered");
    }
}

/// Whoever ends in the same run is not what a person is asked about.
#[tokio::test]
async fn what_ends_anyway_is_no_cost() {
    for on in BOTH {
        let world = crowd(on).await;
        leave(&world, &["ada", "bob", "cem"]);
        let report = world
            .follow(|tenant| {
                tenant.update_user(id("ada"), |user| user.account_enabled = Some(false));
            })
            .await;
        assert_eq!(report.outcome, Outcome::Held, "{on:?}");
        assert_eq!((report.withheld.memberships, report.withheld.access), (3, 2), "{on:?}");
        let header = world.pending().await.remove(0).header;
        assert_eq!(header.cost, [("app".to_owned(), 2)].into(), "{on:?}");
        assert_eq!(header.counts.access, 2, "{on:?}");
        assert_eq!(world.run(Delta).await.withheld.access, 2, "{on:?}: the same later");
    }
}

#[tokio::test]
async fn an_approved_plan_is_carried_out_in_the_next_run_and_signed() {
    for on in BOTH {
        let (world, hash) = held(on).await;
        let mark = world.audit_mark();
        world.approve_all().await;
        assert_eq!(world.who("app").len(), 6, "{on:?}: approving applies nothing");
        let done = world.run(Delta).await;
        assert_eq!((done.outcome, done.changes_total()), (Outcome::Applied, 3), "{on:?}");
        assert_eq!((done.access.lost, done.pending.plans), (3, 0), "{on:?}");
        assert_eq!(world.who("app"), ["dora", "emil", "fay"], "{on:?}");
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        let signed = format!(
            "audit_logs WHERE id > {mark} AND CAST(metadata AS text) LIKE '%{hash}%' AND CAST(metadata AS text) LIKE '%root@x%'"
        );
        assert_eq!(world.database.count(&signed), 3, "{on:?}");
        let known = format!("{signed} AND CAST(metadata AS text) LIKE '%delta_tombstone%'");
        assert_eq!(world.database.count(&known), 3, "{on:?}: as it was known when it was held");
        assert_eq!(statuses(&world), ["applied"; 3], "{on:?}");
        assert_eq!(
            world.lines("status", "dirsync_plans WHERE closed_at IS NOT NULL"),
            ["approved"]
        );
        // What was approved is not counted against later runs.
        assert_eq!(world.database.count("dirsync_removals"), 0, "{on:?}");
        world.assert_rests().await;
        world.assert_equals_tenant().await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn what_is_not_approved_is_held_anew_under_another_hash() {
    for on in BOTH {
        let (world, hash) = held(on).await;
        let ada = number_of(&world, &hash, "ada").await;
        world.answer(&hash, Decision::Approve([ada].into())).await;
        let done = world.run(Delta).await;
        assert_eq!((done.outcome, done.changes_total()), (Outcome::Held, 1), "{on:?}");
        assert_eq!(world.who("app"), ["bob", "cem", "dora", "emil", "fay"], "{on:?}");
        let next = world.pending().await;
        assert_eq!((next.len(), next[0].header.counts.memberships), (1, 2), "{on:?}");
        assert_ne!(next[0].hash, hash);
        assert!(next[0].header.reasons[0].contains(&hash), "{:?}", next[0].header.reasons);
        world.approve_all().await;
        world.run(Delta).await;
        assert_eq!(world.who("app"), ["dora", "emil", "fay"], "{on:?}");
        assert_eq!(statuses(&world), ["applied", "applied", "applied", "moved", "moved"], "{on:?}");
    }
}

#[tokio::test]
async fn only_what_still_stands_is_let_through() {
    for on in BOTH {
        let (world, hash) = held(on).await;
        // Bob comes back; taking Cem out would cost another product by now.
        world.link("other", id("readers"));
        world.edit(|tenant| tenant.add_member(id("readers"), id("bob")));
        world.approve_all().await;
        let done = world.run(Delta).await;
        assert_eq!(done.outcome, Outcome::Held, "{on:?}");
        // Two would cost more: they are held anew, as they were known before.
        let told = ["changed", "changed", "gone", "held", "held"];
        assert_eq!(statuses(&world), told, "{on:?} {hash}");
        assert_eq!(world.who("app").len(), 6, "{on:?}");
        let again = world.pending().await.remove(0);
        assert!(again.header.reasons[0].contains(&hash), "{on:?} {:?}", again.header.reasons);
        let known =
            "dirsync_plan_items WHERE status = 'held' AND document LIKE '%delta_tombstone%'";
        assert_eq!(world.database.count(known), 2, "{on:?}");
        assert_eq!(world.approve_all().await, 1);
        world.run(Delta).await;
        assert_eq!(world.who("app"), ["bob", "dora", "emil", "fay"], "{on:?}");
    }
}

#[tokio::test]
async fn a_plan_is_answered_once() {
    for on in BOTH {
        let (world, hash) = held(on).await;
        world.approve_all().await;
        for _ in 0..2 {
            let asked = hash.clone();
            let decider = Decider { by: "x".into(), user_id: None, break_glass: None };
            let refused = world
                .store
                .write(move |tx| {
                    let decision = Decision::Reject("late".into());
                    tx.decide_plan(&asked, &decider, &decision, chrono::Utc::now())
                        .map(Verdict::Commit)
                })
                .await
                .unwrap_err();
            assert!(matches!(refused, Error::Decided(_)), "{on:?} {refused}");
            world.run(Delta).await;
        }
        assert_eq!(world.who("app"), ["dora", "emil", "fay"], "{on:?}");
    }
}

#[tokio::test]
async fn what_is_rejected_stays_and_is_asked_again_when_the_directory_changes_it() {
    for on in BOTH {
        let (world, hash) = held(on).await;
        world.answer(&hash, Decision::Reject("they are on leave".into())).await;
        for mode in [Delta, Full] {
            let report = world.run(mode).await;
            assert_eq!(report.outcome, Outcome::Unchanged, "{on:?}");
            assert_eq!(report.withheld.total(), 0, "{on:?}: nothing waits");
        }
        assert_eq!(world.who("app").len(), 6, "{on:?}");
        assert_eq!(world.findings(), [format!("removals_rejected|{hash}")], "{on:?}");
        world.follow(|tenant| tenant.add_member(id("readers"), id("ada"))).await;
        world.follow(|tenant| tenant.remove_member(id("readers"), id("ada"))).await;
        assert_eq!(world.who("app").len(), 5, "{on:?}: one leaver is no surprise");
        world
            .follow(|tenant| {
                tenant.add_member(id("readers"), id("bob"));
                tenant.add_member(id("readers"), id("cem"));
            })
            .await;
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn a_later_harmless_removal_passes_and_a_later_surprise_is_a_plan_of_its_own() {
    for on in BOTH {
        let world = World::new(
            on,
            company(&[(
                "readers",
                &["ada", "bob", "cem", "dora", "emil", "fay", "gil", "hal", "ida", "jon"],
            )]),
        )
        .await;
        let mut world = world;
        world.run(Full).await;
        world.link("app", id("readers"));
        world.settings.limits = at_most(2);
        leave(&world, &["ada", "bob", "cem"]);
        world.run(Delta).await;
        leave(&world, &["dora"]);
        let report = world.run(Delta).await;
        assert_eq!((report.outcome, report.changes_total()), (Outcome::Held, 1), "{on:?}");
        leave(&world, &["emil", "fay", "gil"]);
        let report = world.run(Delta).await;
        assert_eq!((report.pending.plans, report.withheld.memberships), (2, 6), "{on:?}");
        assert_eq!(world.approve_all().await, 2);
        world.run(Delta).await;
        assert_eq!(world.who("app"), ["hal", "ida", "jon"], "{on:?}");
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn a_slow_leak_is_caught_by_the_window() {
    for on in BOTH {
        let mut world = crowd(on).await;
        world.settings.limits.memberships.window.max = 3;
        for name in ["ada", "bob", "cem"] {
            leave(&world, &[name]);
            let outcome = world.run(Delta).await.outcome;
            assert_eq!(outcome, Outcome::Applied, "{on:?} {name} {:?}", world.pending().await);
        }
        leave(&world, &["dora"]);
        assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
        let reasons = world.pending().await.remove(0).header.reasons;
        assert!(reasons[0].contains("guard.memberships_window_max is 3"), "{reasons:?}");
    }
}

#[tokio::test]
async fn a_product_that_would_lose_everybody_is_held_whatever_the_limits() {
    for on in BOTH {
        let mut world = crowd(on).await;
        world.settings.limits = Limits { keep_reachable: true, ..unlimited() };
        world.follow(|tenant| found(tenant, "writers")).await;
        world.link("tiny", id("writers"));
        world.follow(|tenant| tenant.add_member(id("writers"), id("ada"))).await;
        assert_eq!(world.who("tiny"), ["ada"], "{on:?}");
        leave(&world, &["ada"]);
        let held = world.follow(|tenant| tenant.remove_member(id("writers"), id("ada"))).await;
        // Only what takes the product away waits.
        assert_eq!((held.outcome, held.changes_total()), (Outcome::Held, 1), "{on:?}");
        assert_eq!(world.who("tiny"), ["ada"], "{on:?}");
        assert_eq!(world.who("app").len(), 5, "{on:?}");
    }
}

#[tokio::test]
async fn moving_between_two_groups_of_one_product_costs_nothing() {
    for on in BOTH {
        let tenant = company(&[
            ("readers", &["ada", "bob", "cem", "dora", "emil", "fay"]),
            ("writers", &["gil"]),
        ]);
        let mut world = World::new(on, tenant).await;
        world.run(Full).await;
        world.link("app", id("readers"));
        world.link("app", id("writers"));
        let mut limits = unlimited();
        limits.access.run.max = 0;
        world.settings.limits = Limits { product_percent: 1.0, floor: 0, ..limits };
        let moved = world
            .follow(|tenant| {
                for name in ["ada", "bob", "cem"] {
                    tenant.remove_member(id("readers"), id(name));
                    tenant.add_member(id("writers"), id(name));
                }
            })
            .await;
        assert_eq!((moved.outcome, moved.access.lost), (Outcome::Applied, 0), "{on:?}");
        leave(&world, &["dora"]);
        assert_eq!(
            world.run(Delta).await.outcome,
            Outcome::Held,
            "{on:?}: one pair is one too many"
        );
    }
}

#[tokio::test]
async fn a_run_over_another_scope_takes_nothing_away_unasked() {
    for on in BOTH {
        let mut world = crowd(on).await;
        world.settings.limits = Limits { rehearse: true, ..unlimited() };
        leave(&world, &["ada"]);
        world.settings.include_guests = false;
        let held = world.run(Delta).await;
        assert_eq!((held.mode, held.outcome), (Full, Outcome::Held), "{on:?}");
        assert_eq!(world.who("app").len(), 6, "{on:?}");
        // The runs after it are ordinary ones.
        leave(&world, &["bob"]);
        assert_eq!(world.run(Delta).await.changes_total(), 1, "{on:?}");
        world.approve_all().await;
        world.run(Delta).await;
        assert_eq!(world.who("app"), ["cem", "dora", "emil", "fay"], "{on:?}");
    }
}

#[tokio::test]
async fn too_many_unanswered_plans_fail_the_run_and_name_the_setting() {
    for on in BOTH {
        let (mut world, _) = held(on).await;
        world.settings.limits.plans_max = 1;
        world.settings.limits.memberships.run.max = 0;
        leave(&world, &["dora"]);
        let failed = world.try_run(Delta).await.unwrap_err();
        let told = nexus_dirsync::chain::Chain(&failed).to_string();
        assert!(told.contains("guard.plans_max"), "{on:?} {told}");
        assert_eq!(world.who("app").len(), 6, "{on:?}");
    }
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_stores_nothing() {
    for on in BOTH {
        let world = crowd(on).await;
        leave(&world, &["ada", "bob", "cem"]);
        let before = world.database.dump();
        let done = world.dry_run(Delta).await;
        assert_eq!(done.report.outcome, Outcome::Held, "{on:?}");
        assert_eq!(done.held_plan.expect("a plan").items.len(), 3, "{on:?}");
        assert!(world.database.dump() == before, "{on:?}: nothing is written");
    }
}

#[tokio::test]
async fn what_the_registry_gives_up_is_rehearsed() {
    for on in BOTH {
        let mut world = World::new(on, company(CROWD)).await;
        world.settings.limits = Limits { rehearse: true, ..unlimited() };
        world.registry(vec![entry("app", &["readers"], Some("ada"))]);
        world.run(Full).await;
        world.registry(vec![entry("tool", &["readers"], Some("ada"))]);
        let held = world.run(Delta).await;
        assert_eq!((held.outcome, held.withheld.memberships), (Outcome::Held, 2), "{on:?}");
        assert_eq!(world.who("app").len(), 6, "{on:?}");
        let plan = world.pending().await.remove(0);
        assert_eq!(plan.header.cost, [("app".to_owned(), 6)].into(), "{on:?}");
        assert_eq!(world.who("tool").len(), 6, "{on:?}: what gives goes on");
        // The row comes back: nothing is held any more, nobody lost anything.
        world.registry(vec![
            entry("app", &["readers"], Some("ada")),
            entry("tool", &["readers"], Some("ada")),
        ]);
        assert_eq!(world.run(Delta).await.outcome, Outcome::Unchanged, "{on:?}");
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        assert_eq!(world.lines("status", "dirsync_plans"), ["cleared"], "{on:?}");
    }
}

#[tokio::test]
async fn an_adoption_waits_for_a_word_and_keeps_what_the_row_had() {
    for on in BOTH {
        let world = World::before_migration(on, company(CROWD));
        world.store.migrate().await.unwrap();
        world.sql(&format!(
            "INSERT INTO users (email, name, role) VALUES ('{}', 'Root', 'admin')",
            address("ada")
        ));
        let first = world.run(Full).await;
        assert_eq!((first.outcome, first.pending.plans), (Outcome::Held, 1), "{on:?}");
        assert_eq!(world.run(Delta).await.pending.plans, 1, "{on:?}");
        world.approve_all().await;
        let done = world.run(Delta).await;
        assert_eq!(done.outcome, Outcome::Applied, "{on:?}");
        assert_eq!(
            world.lines("role", &format!("users WHERE email = '{}'", address("ada"))),
            ["admin"]
        );
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.assert_rests().await;
        world.assert_equals_tenant().await;
    }
}

#[tokio::test]
async fn a_name_is_bound_anew_when_a_person_says_so() {
    for on in BOTH {
        let mut world =
            World::new(on, company(&[("readers", &["ada"]), ("writers", &["bob"])])).await;
        world.registry(vec![entry("app", &["readers"], None)]);
        world.run(Full).await;
        world
            .follow(|tenant| {
                tenant.rename_group(id("readers"), "old");
                tenant.rename_group(id("writers"), "readers");
            })
            .await;
        assert_eq!(world.who("app"), ["ada"], "{on:?}");
        world.approve_all().await;
        let done = world.run(Delta).await;
        assert_eq!(done.outcome, Outcome::Applied, "{on:?}");
        assert_eq!(world.who("app"), ["bob"], "{on:?}");
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn a_rehearsal_ends_when_everything_was_read() {
    for on in BOTH {
        let mut world = crowd(on).await;
        world.settings.limits = Limits { rehearse: true, ..unlimited() };
        leave(&world, &["ada"]);
        world.settings.include_guests = false;
        let fault = graph_simulator::Fault::on("/members", graph_simulator::Effect::Html502);
        let fault = world.simulator.inject(fault);
        world.run(Delta).await;
        world.simulator.clear_fault(fault);
        for _ in 0..2 {
            let held = world.run(Delta).await;
            assert_eq!(world.who("app").len(), 6, "{on:?}: {:?}", held.changes);
        }
        assert_eq!(world.pending().await.len(), 1, "{on:?}");
        leave(&world, &["bob"]);
        assert_eq!(world.run(Delta).await.changes_total(), 1, "{on:?}: it is over");
    }
}

#[tokio::test]
async fn what_is_gone_cannot_be_approved_and_a_rejection_stands() {
    for on in BOTH {
        let (world, first) = held(on).await;
        let ada = number_of(&world, &first, "ada").await;
        world.follow(|tenant| tenant.add_member(id("readers"), id("ada"))).await;
        leave(&world, &["ada", "dora", "emil"]);
        world.run(Delta).await;
        let second = world.pending().await.remove(1).hash;
        world.answer(&second, Decision::Reject("they stay".into())).await;
        // The first plan held Ada, too, before she came back.
        world.answer(&first, Decision::Approve((1..=3).collect())).await;
        world.run(Delta).await;
        assert_eq!(world.who("app"), ["ada", "dora", "emil", "fay"], "{on:?} item {ada}");
        assert!(world.findings().contains(&format!("removals_rejected|{second}")), "{on:?}");
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn a_row_put_back_into_the_registry_means_what_it_meant() {
    for on in BOTH {
        let tenant = company(&[("readers", &["ada", "bob"]), ("writers", &["cem"])]);
        let mut world = World::new(on, tenant).await;
        world.settings.limits = Limits { rehearse: true, ..unlimited() };
        world.registry(vec![entry("app", &["readers"], None)]);
        world.run(Full).await;
        world.registry(vec![entry("tool", &["nowhere"], None)]);
        assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
        world
            .follow(|tenant| {
                tenant.rename_group(id("readers"), "old");
                tenant.rename_group(id("writers"), "readers");
            })
            .await;
        world.registry(vec![entry("app", &["readers"], None)]);
        world.run(Full).await;
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}: nobody else gets in");
        assert!(world.findings().contains(&"registry_group_taken|readers".to_owned()), "{on:?}");
    }
}

#[tokio::test]
async fn what_was_altered_after_it_was_approved_is_asked_anew() {
    for on in BOTH {
        let (world, hash) = held(on).await;
        world.approve_all().await;
        world.sql("UPDATE dirsync_plans SET header = replace(header, 'guard', 'GUARD')");
        assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
        assert_eq!(world.who("app").len(), 6, "{on:?}");
        assert_ne!(world.pending().await.remove(0).hash, hash, "{on:?}");
    }
}

#[tokio::test]
async fn a_no_is_good_until_the_directory_changes_what_it_was_about() {
    for on in BOTH {
        let mut world = crowd(on).await;
        world.settings.limits = at_most(0);
        let disabled = |tenant: &mut graph_simulator::Tenant| {
            tenant.update_user(id("ada"), |user| user.account_enabled = Some(false));
        };
        assert_eq!(world.follow(disabled).await.outcome, Outcome::Held, "{on:?}");
        let hash = world.pending().await.remove(0).hash;
        world.answer(&hash, Decision::Reject("on leave".into())).await;
        for mode in [Delta, Full] {
            assert_eq!(world.run(mode).await.outcome, Outcome::Unchanged, "{on:?}");
        }
        assert_eq!(world.findings(), [format!("removals_rejected|{hash}")], "{on:?}");

        let report = world.follow(|tenant| tenant.soft_delete_user(id("ada"))).await;
        assert_eq!((report.outcome, report.pending.plans), (Outcome::Held, 1), "{on:?}");
        let asked = world.pending().await.remove(0).hash;
        assert_eq!(world.findings(), [format!("removals_held|{asked}")], "{on:?}");
        assert_eq!(world.run(Full).await.pending.plans, 1, "{on:?}: asked once");
        world.approve_all().await;
        assert_eq!(world.run(Delta).await.outcome, Outcome::Applied, "{on:?}");
        assert_eq!(world.who("app").len(), 5, "{on:?}");
    }
}

#[tokio::test]
async fn a_run_over_another_registry_takes_nothing_away_unasked() {
    for on in BOTH {
        let mut world = World::new(on, company(CROWD)).await;
        let app = entry("app", &["readers"], None);
        world.registry(vec![app.clone()]);
        world.run(Full).await;
        world.settings.limits = Limits { rehearse: true, ..unlimited() };
        leave(&world, &["ada"]);
        assert_eq!(world.run(Delta).await.outcome, Outcome::Applied, "{on:?}");

        world.registry(vec![app.clone(), entry("tool", &[], None)]);
        leave(&world, &["bob"]);
        let report = world.run(Delta).await;
        assert_eq!((report.outcome, report.withheld.memberships), (Outcome::Held, 1), "{on:?}");
        assert!(report.reset.is_none(), "{on:?}: it costs no full read");
        let reasons = world.pending().await.remove(0).header.reasons;
        assert!(reasons[0].contains("scope, filters or registry"), "{on:?}: {reasons:?}");

        // Said in other words, or in another order, it is the same registry.
        let other = RegistryEntry { description: "Other words".to_owned(), ..app };
        world.registry(vec![entry("tool", &[], None), other]);
        leave(&world, &["cem"]);
        let report = world.run(Delta).await;
        assert_eq!(report.changes.values().sum::<u64>(), 2, "{on:?}: {:?}", report.changes);
        assert_eq!(world.who("app").len(), 4, "{on:?}");
    }
}

#[tokio::test]
async fn whoever_ends_in_the_directory_has_no_word_though_the_end_is_held() {
    for on in BOTH {
        let mut world = World::new(on, company(&[("admins", &["ada", "bob"])])).await;
        world.settings.admin_groups = [ObjectId::new(id("admins"))].into();
        world.run(Full).await;
        world.settings.limits = at_most(0);
        let admin = |name: &'static str| world.store.read(move |tx| tx.live_admin(&address(name)));
        assert!(admin("ada").await.unwrap().is_some(), "{on:?}");
        let report = world.follow(|tenant| tenant.soft_delete_user(id("ada"))).await;
        assert_eq!(report.outcome, Outcome::Held, "{on:?}");
        assert!(world.user("ada").contains("admin|live"), "{on:?}: {}", world.user("ada"));
        assert!(admin("ada").await.unwrap().is_none(), "{on:?}");
        assert!(admin("bob").await.unwrap().is_some(), "{on:?}");
    }
}
