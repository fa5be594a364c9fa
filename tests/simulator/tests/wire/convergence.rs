//! The promise of delta queries: merging every round, last word wins, gives the directory as it is.

use std::collections::{BTreeMap, BTreeSet};

use graph_simulator::{DeltaHabits, Options, PageSizes, Shape, Tenant, generate, random_edit};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;
use uuid::Uuid;

use crate::client::Graph;
use crate::deltas::{next, start, tidy};
use crate::{crowd, find};

/// What a client knows: live users with their mail, live groups with their names, edges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Mirror {
    users: BTreeMap<Uuid, Option<String>>,
    groups: BTreeMap<Uuid, String>,
    edges: BTreeMap<Uuid, BTreeSet<Uuid>>,
    gone: BTreeSet<Uuid>,
}

fn id(value: &Value) -> Uuid {
    value["id"].as_str().expect("an id").parse().expect("a GUID")
}

impl Mirror {
    fn merge_users(&mut self, items: &[Value]) {
        for item in items {
            match item["@removed"]["reason"].as_str() {
                None => {
                    self.users.insert(id(item), item["mail"].as_str().map(str::to_owned));
                }
                Some(reason) => self.remove(id(item), reason),
            }
        }
    }

    fn merge_groups(&mut self, items: &[Value]) {
        for item in items {
            if let Some(reason) = item["@removed"]["reason"].as_str() {
                self.remove(id(item), reason);
                continue;
            }
            self.groups.insert(id(item), item["displayName"].as_str().expect("a name").to_owned());
            for member in item["members@delta"].as_array().into_iter().flatten() {
                let edges = self.edges.entry(id(item)).or_default();
                if member.get("@removed").is_some() {
                    edges.remove(&id(member))
                } else {
                    edges.insert(id(member))
                };
            }
        }
    }

    fn remove(&mut self, id: Uuid, reason: &str) {
        self.users.remove(&id);
        self.groups.remove(&id);
        if reason == "deleted" {
            self.edges.remove(&id);
            self.gone.insert(id);
        }
    }

    /// Edges from and to what is gone for good go as well; empty sets are no knowledge.
    fn settled(mut self) -> Self {
        for members in self.edges.values_mut() {
            members.retain(|member| !self.gone.contains(member));
        }
        // Edges of groups in the deleted container are known only to clients that saw them before.
        self.edges.retain(|group, members| self.groups.contains_key(group) && !members.is_empty());
        self.gone.clear();
        self
    }

    fn check(&self, graph: &Graph) -> Result<(), TestCaseError> {
        let truth = graph.simulator.read(Self::truth);
        let known = self.clone().settled();
        prop_assert_eq!(&known.users, &truth.users);
        prop_assert_eq!(&known.groups, &truth.groups);
        for group in truth.groups.keys() {
            let (known, truth) = (known.edges.get(group), truth.edges.get(group));
            prop_assert_eq!(known, truth, "members of {}", group);
        }
        Ok(())
    }

    fn truth(tenant: &Tenant) -> Self {
        let live_groups = || tenant.groups().filter(|group| !group.is_deleted());
        let edges =
            live_groups().map(|group| (group.id(), tenant.direct_members(group.id()).collect()));
        Self {
            users: tenant
                .users()
                .filter(|u| !u.is_deleted())
                .map(|u| (u.id(), u.mail.clone()))
                .collect(),
            groups: live_groups().map(|group| (group.id(), group.display_name.clone())).collect(),
            edges: edges.collect(),
            gone: BTreeSet::new(),
        }
        .settled()
    }
}

fn options(seed: u64, purge_shows: bool) -> Options {
    Options {
        pages: PageSizes {
            delta_users: 7,
            delta_groups: 3,
            delta_members: 5,
            ..PageSizes::default()
        },
        habits: DeltaHabits { purge_shows_in_groups: purge_shows, ..DeltaHabits::UNRULY },
        seed,
        ..Options::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rounds_converge_from_any_point(
        seed: u64,
        purge_shows: bool,
        head_start in 0_usize..60,
        rounds in prop::collection::vec(0_usize..40, 1..5),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut tenant = generate(&Shape { seed, users: 30, groups: 6, memberships: 60, ..Shape::default() });
        for _ in 0..head_start {
            random_edit(&mut tenant, &mut rng);
        }
        let graph = Graph::start(tenant, options(seed, purge_shows));
        let mut mirror = Mirror::default();
        let mut users = "/users/delta?$select=id,mail".to_owned();
        let mut groups = "/groups/delta()?$select=displayName,members".to_owned();
        for edits in rounds.into_iter().chain([0]) {
            let (items, link) = graph.walk(&users);
            mirror.merge_users(&items);
            users = link.expect("a delta link");
            let (items, link) = graph.walk(&groups);
            mirror.merge_groups(&items);
            groups = link.expect("a delta link");
            mirror.check(&graph)?;
            graph.simulator.edit(|tenant| {
                for _ in 0..edits {
                    random_edit(tenant, &mut rng);
                }
            });
        }
    }

    #[test]
    fn rounds_converge_while_the_directory_changes(seed: u64, purge_shows: bool, rounds in 1_usize..4) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shape = Shape { seed, users: 30, groups: 6, memberships: 60, ..Shape::default() };
        let graph = Graph::start(generate(&shape), options(seed, purge_shows));
        let mut mirror = Mirror::default();
        let mut links = ["/users/delta?$select=id,mail", "/groups/delta"].map(str::to_owned);
        for round in 0..=rounds {
            for link in &mut links {
                let users = link.contains("/users/");
                let between = |rng: &mut ChaCha8Rng| {
                    // Nothing happens during the last round, so that it can catch up.
                    if round < rounds {
                        graph.simulator.edit(|tenant| random_edit(tenant, rng));
                    }
                };
                let mut target = link.clone();
                *link = loop {
                    let page = graph.get(&target).json();
                    let items = page["value"].as_array().expect("items");
                    if users { mirror.merge_users(items) } else { mirror.merge_groups(items) }
                    match page["@odata.nextLink"].as_str() {
                        Some(next) => next.clone_into(&mut target),
                        None => break page["@odata.deltaLink"].as_str().expect("a link").to_owned(),
                    }
                    between(&mut rng);
                };
            }
        }
        mirror.check(&graph)?;
    }
}

#[test]
fn who_left_before_a_deletion_is_told_after_the_restore() {
    let (tenant, all, people) = crowd(3);
    let graph = Graph::start(tenant, tidy());
    let mut groups = start(&graph, "/groups/delta?$select=members");
    graph.simulator.edit(|tenant| {
        tenant.remove_member(all, people[0]);
        tenant.soft_delete_group(all);
    });
    let deleted = next(&graph, &mut groups);
    assert!(deleted[0].get("members@delta").is_none());
    graph.simulator.edit(|tenant| tenant.restore_group(all));
    let restored = next(&graph, &mut groups);
    let entries = restored[0]["members@delta"].as_array().expect("members");
    assert_eq!(find(entries, people[0])["@removed"]["reason"], "deleted");
    assert_eq!(entries.len(), 3);
}
