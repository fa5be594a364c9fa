//! Random histories, lived through on both databases at once: at every step the audit
//! rebuilds the daemon's rows, the tables are what the plan makes of a model in memory, a
//! second run has nothing to do, and both databases tell the same.

use std::sync::Arc;

use crate::prelude::*;
use crate::replica::Replica;
use graph_simulator::{Shape, Tenant, generate, random_edit};
use nexus_dirsync::directory::ObjectId;
use nexus_dirsync::reconcile::guard::{Allowance, Limit, Limits};
use nexus_dirsync::reconcile::world::RegistryEntry;
use nexus_dirsync::store::Decision;
use nexus_dirsync::sync::Done;
use proptest::prelude::*;
use rand::SeedableRng;
use serde_json::Value;

/// One thing that happens between two runs.
#[derive(Clone, Debug)]
enum Step {
    /// So many random edits of the directory.
    Edits { seed: u64, count: u32 },
    /// Another registry, or none.
    Registry(Option<u8>),
    /// Another choice of admin groups.
    Admins(u8),
    /// The guard allows so many removals of a unit.
    Limits(Option<u64>),
    /// The guard looks at access and at products, too: who is left, and how many lose one.
    Products(u64),
    /// Somebody answers the oldest plan that waits.
    Answer(Answer),
    /// People link a group to a product.
    Link(u8),
    /// Removed objects may be purged at once, or never.
    Purge(bool),
    /// A group and a person that the registry names are deleted for good.
    End(u8),
    /// All delta tokens are lost.
    Expire,
    /// People write rows of their own.
    People(u8),
}

/// What people say about a held plan.
#[derive(Clone, Copy, Debug)]
enum Answer {
    No,
    Yes,
    /// To its first item alone.
    First,
    /// To all but that.
    Rest,
}

fn steps() -> impl Strategy<Value = Vec<(Step, bool)>> {
    let step = prop_oneof![
        8 => (any::<u64>(), 1..12_u32).prop_map(|(seed, count)| Step::Edits { seed, count }),
        2 => proptest::option::of(0..4_u8).prop_map(Step::Registry),
        1 => (0..4_u8).prop_map(Step::Admins),
        2 => proptest::option::of(0..4_u64).prop_map(Step::Limits),
        2 => (0..4_u64).prop_map(Step::Products),
        2 => prop::sample::select(vec![Answer::No, Answer::Yes, Answer::First, Answer::Rest])
            .prop_map(Step::Answer),
        1 => any::<u8>().prop_map(Step::Link),
        1 => any::<bool>().prop_map(Step::Purge),
        1 => (0..3_u8).prop_map(Step::End),
        1 => Just(Step::Expire),
        1 => any::<u8>().prop_map(Step::People),
    ];
    // Every fourth run is a full one.
    proptest::collection::vec((step, proptest::bool::weighted(0.25)), 4..14)
}

const NAMED: [&str; 4] = ["app-one", "app-two", "app-three", "admins"];
const PEOPLE: [&str; 3] = ["Ada Lovelace", "Zoé Müller", "Émile Zola"];

fn tenant() -> Tenant {
    generate(&Shape {
        seed: 7,
        users: 40,
        groups: 12,
        memberships: 90,
        nesting: 0.3,
        odd_names: true,
        named_groups: NAMED.map(str::to_owned).to_vec(),
        people: PEOPLE.map(str::to_owned).to_vec(),
        ..Shape::default()
    })
}

fn entries(choice: u8) -> Vec<RegistryEntry> {
    let all = [
        entry("one", &["APP-ONE", "app-two"], Some("ada lovelace")),
        entry("two", &["app-two"], Some("Zoe Muller")),
        entry("three", &["app-three", "nowhere"], Some("nobody")),
    ];
    all.into_iter()
        .enumerate()
        .filter(|(at, _)| *at != usize::from(choice))
        .map(|(_, e)| e)
        .collect()
}

async fn answer(world: &World, answer: Answer) {
    let pending = world.pending().await;
    let Some(plan) = pending.first() else { return };
    let items = plan.statuses.values().sum::<u64>();
    let numbers = 1..=i32::try_from(items).unwrap();
    let decision = match answer {
        Answer::No => Decision::Reject("not now".to_owned()),
        Answer::Yes => Decision::Approve(numbers.collect()),
        Answer::First => Decision::Approve([1].into()),
        Answer::Rest => Decision::Approve(numbers.skip(1).collect()),
    };
    // What is gone by now is nobody's to approve.
    world.try_answer(&plan.hash, decision).await.ok();
}

async fn take(world: &mut World, step: &Step) {
    match step {
        Step::Answer(how) => answer(world, *how).await,
        Step::Products(max) => {
            let all = unlimited();
            let run = Allowance { max: *max, percent: 100.0 };
            world.settings.limits = Limits {
                access: Limit { run, ..all.access },
                product_percent: 40.0,
                keep_reachable: true,
                floor: 1,
                ..all
            };
        }
        // By object id: row ids differ between databases.
        Step::Link(salt) => world.sql(&format!(
            "INSERT INTO products (name) VALUES ('linked{0}') ON CONFLICT (name) DO NOTHING;
             INSERT INTO product_aad_groups (product_id, aad_group_id)
               SELECT p.id, g.id FROM products p CROSS JOIN
                      (SELECT id FROM aad_groups ORDER BY external_id LIMIT 1 OFFSET {1}) g
                WHERE p.name = 'linked{0}'
               ON CONFLICT (product_id, aad_group_id) DO NOTHING",
            salt % 3,
            salt % 12
        )),
        Step::Edits { seed, count } => {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(*seed);
            world.edit(|tenant| {
                for _ in 0..*count {
                    random_edit(tenant, &mut rng);
                }
            });
        }
        Step::Registry(choice) => {
            world.settings.registry = choice.map(|choice| Arc::new(entries(choice)));
        }
        Step::Admins(choice) => {
            let named = |name: &str| {
                let find = |tenant: &Tenant| {
                    tenant.groups().find(|group| group.display_name == name).map(graph_simulator::Group::id)
                };
                world.simulator.read(find).map(ObjectId::new)
            };
            let chosen = NAMED.iter().rev().take(usize::from(*choice));
            world.settings.admin_groups = chosen.filter_map(|name| named(name)).collect();
        }
        Step::Limits(max) => world.settings.limits = max.map_or_else(unlimited, at_most),
        Step::Purge(now) => {
            world.settings.retention = if *now { Duration::ZERO } else { Duration::from_secs(1 << 30) };
        }
        Step::End(which) => {
            let (group, person) = (NAMED[usize::from(*which)], PEOPLE[usize::from(*which)]);
            world.edit(|tenant| {
                let group = tenant.groups().find(|g| g.display_name == group).map(|g| g.id());
                group.map(|id| tenant.purge_group(id));
                let person = tenant.users().find(|u| u.display_name.as_deref() == Some(person)).map(|u| u.id());
                person.map(|id| tenant.purge_user(id));
            });
        }
        Step::Expire => world.simulator.expire_delta_tokens(graph_simulator::Expiry::GoneWithLocation),
        Step::People(salt) => world.sql(&format!(
            "INSERT INTO products (name) VALUES ('people') ON CONFLICT (name) DO NOTHING;
             INSERT INTO users (email, name) VALUES ('hand{salt}@contoso.example', 'Hand {salt}') ON CONFLICT (email) DO NOTHING;
             INSERT INTO product_members (user_id, product_id, role)
               SELECT (SELECT min(user_id) + {salt} % 20 FROM dirsync_user_identities), id, 'member' FROM products
                WHERE name = 'people' AND EXISTS (SELECT 1 FROM users
                      WHERE id = (SELECT min(user_id) + {salt} % 20 FROM dirsync_user_identities))
               ON CONFLICT (user_id, product_id) DO NOTHING"
        )),
    }
}

/// Leaves out what two databases may differ in: row ids, times, the run's own ids.
fn plain(mut value: Value) -> Value {
    const OWN: [&str; 11] = [
        "id",
        "user_id",
        "aad_group_id",
        "product_id",
        "created_at",
        "updated_at",
        "joined_at",
        "run_id",
        "request_id",
        "read_at",
        "plan",
    ];
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|key, _| !OWN.contains(&key.as_str()));
        for (key, field) in fields.iter_mut() {
            let time = key == "removed_at" && !field.is_null();
            *field = if time { Value::from("then") } else { plain(field.take()) };
        }
    }
    value
}

/// The audit in order, free of what differs between databases.
fn told(world: &World) -> Vec<(u64, Vec<Value>)> {
    // No name holds this.
    const BETWEEN: &str = ", '\u{1f}', ";
    let json = ["before", "after", "metadata"]
        .map(|column| format!("coalesce(CAST({column} AS text), 'null')"));
    let columns = format!("id{BETWEEN}entity_type{BETWEEN}action{BETWEEN}{}", json.join(BETWEEN));
    let lines = world.lines(&columns, "audit_logs");
    let mut rows: Vec<(u64, Vec<Value>)> = lines
        .iter()
        .map(|line| {
            let mut fields = line.split("|\u{1f}|");
            let number = fields.next().unwrap().parse().unwrap();
            let parsed = fields
                .map(|text| plain(serde_json::from_str(text).unwrap_or_else(|_| text.into())));
            (number, parsed.collect())
        })
        .collect();
    rows.sort_by_key(|(number, _)| *number);
    rows
}

async fn live(everything: bool, history: Vec<(Step, bool)>) {
    let mut worlds =
        [World::new(On::Sqlite, tenant()).await, World::new(On::Postgres, tenant()).await];
    let mut replicas = [Replica::default(), Replica::default()];
    for (world, replica) in worlds.iter_mut().zip(&mut replicas) {
        world.settings.all_groups = everything;
        world.settings.all_users = everything;
        world.registry(entries(u8::MAX));
        replica.apply(&world.done(Full).await.plan);
    }
    for (at, (step, full)) in history.iter().enumerate() {
        let mode = if *full { Full } else { Delta };
        let mut outcomes = Vec::new();
        for (world, replica) in worlds.iter_mut().zip(&mut replicas) {
            take(world, step).await;
            let Done { report, plan, .. } = world.done(mode).await;
            replica.apply(&plan);
            assert_eq!(*replica, Replica::of(world), "{:?} step {at}", world.store.backend());
            let counted = world.database.count("dirsync_removals");
            let again = world.done(Delta).await;
            assert_eq!(
                (world.database.count("dirsync_removals"), again.report.pending.plans),
                (counted, report.pending.plans),
                "{:?} step {at}: what was done or held is neither counted nor asked again",
                world.store.backend()
            );
            assert!(
                again.plan.is_empty(),
                "{:?} step {at}: {:?}",
                world.store.backend(),
                again.plan
            );
            assert_eq!(
                again.report.withheld, report.withheld,
                "step {at}: what is held stays held, and costs the same"
            );
            let verified = world.store.read(|tx| tx.verify_audit()).await.unwrap();
            assert_eq!(verified.divergences, [], "{:?} step {at}", world.store.backend());
            assert_eq!(verified.foreign, [], "{:?} step {at}", world.store.backend());
            // A plan's hash tells its run and so is never the same twice.
            let told: Vec<String> = world
                .findings()
                .into_iter()
                .map(|told| match told.split_once('|') {
                    Some((kind, _)) if kind.starts_with("removals_") => kind.to_owned(),
                    _ => told,
                })
                .collect();
            outcomes.push((report.outcome, report.changes, report.withheld, told));
        }
        assert_eq!(outcomes[0], outcomes[1], "step {at}: SQLite and PostgreSQL do the same");
    }
    converge(everything, &mut worlds).await;
}

/// Once people agree to whatever was held, both sides equal the tenant.
async fn converge(everything: bool, worlds: &mut [World; 2]) {
    let mut decided = Vec::new();
    for world in worlds {
        world.settings.limits = unlimited();
        // What people said no to is asked again, as if the directory had changed it.
        let rejected = world.database.count("dirsync_plan_items WHERE status = 'rejected'");
        world.sql("UPDATE dirsync_plan_items SET status = 'gone' WHERE status = 'rejected'");
        world.run_agreed(if rejected > 0 { Full } else { Delta }).await;
        world.assert_access_is_true();
        if everything {
            world.assert_equals_tenant().await;
        }
        let rest = world.run(Full).await;
        assert_eq!(rest.drift, 0, "{:?}", world.store.backend());
        world.assert_rests().await;
        decided.push((world.store.read(|tx| tx.decided()).await.unwrap(), told(world)));
    }
    assert_eq!(decided[0].0, decided[1].0, "the same decided state");
    for (one, other) in decided[0].1.iter().zip(&decided[1].1) {
        assert_eq!(one.1, other.1, "the same audit, row by row");
    }
    assert_eq!(decided[0].1.len(), decided[1].1.len());
}

proptest! {
    // PROPTEST_CASES asks for more, as with every property.
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn replaying_the_audit_rebuilds_the_rows_after_any_history(everything: bool, history in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
        runtime.block_on(live(everything, history));
    }
}

/// A purge takes along links and owners that the registry still asks for.
#[test]
fn what_is_named_and_purged_leaves_no_row_behind() {
    let history = (0..3).flat_map(|which| [(Step::End(which), false), (Step::Purge(true), true)]);
    let history: Vec<(Step, bool)> = history.collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for everything in [false, true] {
        runtime.block_on(live(everything, history.clone()));
    }
}

#[test]
fn histories_that_failed_before_stay_whole() {
    use Step::{Edits, End, Limits, Purge, Registry};
    let edits = |seed, count| Edits { seed, count };
    let found = [
        // A deleted admin group whose end was held gave the role to its people.
        vec![
            (Limits(Some(0)), false),
            (edits(421_170_357_042_216_157, 8), true),
            (Step::Admins(3), true),
            (Step::People(73), false),
        ],
        // No delta run knew of a held purge, and what the purge takes along, though it ended
        // anyway, was an item only in runs without the purge.
        vec![
            (End(0), false),
            (Limits(Some(0)), false),
            (Purge(true), false),
            (edits(19_324_488_195_646_623, 4), true),
        ],
        vec![(End(2), false), (Limits(Some(0)), false), (Purge(true), false), (End(1), true)],
        // The same of what the registry gave and gives no more.
        vec![
            (End(0), false),
            (Limits(Some(0)), false),
            (Purge(true), false),
            (Registry(Some(0)), true),
        ],
        // A held purge waited for one more run once its person was back.
        vec![
            (edits(3_216_423_090_924_639_207, 11), false),
            (Purge(true), false),
            (edits(17_269_854_531_643_431_537, 2), false),
            (Limits(Some(0)), true),
            (edits(18_419_656_754_641_546_796, 5), false),
        ],
        // What was held, and went along with a purge, was counted as held in that run.
        vec![
            (Limits(Some(1)), false),
            (Purge(true), false),
            (End(0), false),
            (Registry(None), true),
        ],
        vec![
            (Limits(Some(2)), false),
            (edits(15_905_175_666_625_398_221, 6), false),
            (Purge(true), false),
            (edits(14_819_889_397_608_903_072, 8), true),
        ],
        // Somebody without a mailbox keeps the row, and what it gives.
        vec![
            (edits(15_014_447_154_460_196_782, 4), true),
            (edits(17_044_774_922_697_605_634, 3), false),
            (Step::Expire, true),
            (edits(13_358_140_740_348_416_505, 2), false),
        ],
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for history in found {
        runtime.block_on(live(false, history));
    }
}
