//! Delta rounds: what appears when, and in which shape.

use std::collections::BTreeMap;

use graph_simulator::{DeltaHabits, Options, PageSizes, Tenant};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Graph;
use crate::{crowd, find, group, id, ids, person};

pub(crate) fn tidy() -> Options {
    Options { habits: DeltaHabits::TIDY, ..Options::default() }
}

pub(crate) fn start(graph: &Graph, first: &str) -> String {
    graph.walk(first).1.expect("a delta link")
}

pub(crate) fn next(graph: &Graph, link: &mut String) -> Vec<Value> {
    let (items, delta) = graph.walk(link);
    *link = delta.expect("a delta link");
    items
}

#[test]
fn every_spelling_of_the_function_starts_a_round() {
    let (tenant, ..) = crowd(3);
    let graph = Graph::start(tenant, tidy());
    for path in [
        "/users/delta",
        "/users/delta()",
        "/users/microsoft.graph.delta()",
        "/users/delta()?%24select=id%2Cmail",
    ] {
        assert_eq!(graph.walk(path).0.len(), 3, "{path}");
    }
    for path in ["/users/delta?$deltatoken=latest", "/users/delta?$deltaToken=latest"] {
        let page = graph.get(path).json();
        assert_eq!(page["value"], json!([]));
        let link = page["@odata.deltaLink"].as_str().expect("a link").to_owned();
        graph.simulator.edit(|tenant| tenant.create_user(person("New")));
        assert_eq!(graph.walk(&link).0.len(), 1, "{path}");
    }
}

#[test]
fn pages_have_the_size_the_server_chooses() {
    let (tenant, ..) = crowd(450);
    let graph = Graph::start(tenant, tidy());
    let page = graph.get("/users/delta?$select=id&$top=5").json();
    assert_eq!(page["value"].as_array().map(Vec::len), Some(200), "$top is ignored");
}

#[test]
fn large_groups_come_in_slices() {
    let (mut tenant, all, people) = crowd(1_201);
    let small = tenant.create_group(group("small"));
    tenant.add_member(small, people[0]);
    let graph = Graph::start(tenant, tidy());
    let (items, _) = graph.walk("/groups/delta?$select=displayName,members");
    let slices: Vec<usize> = items
        .iter()
        .filter(|item| id(item) == all)
        .map(|item| item["members@delta"].as_array().map_or(0, Vec::len))
        .collect();
    assert_eq!(slices, [500, 500, 201]);
    assert!(items.iter().filter(|item| id(item) == all).all(|item| item["displayName"] == "all"));
    let (plain, _) = graph.walk("/groups/delta?$select=displayName");
    assert!(
        plain.iter().all(|item| item.get("members@delta").is_none()),
        "members must be selected"
    );
    let (default, _) = graph.walk("/groups/delta");
    assert!(find(&default, small).get("members@delta").is_some(), "or nothing must be");
}

#[test]
fn only_changes_of_selected_properties_make_an_object_appear() {
    let (tenant, _, people) = crowd(3);
    let graph = Graph::start(tenant, tidy());
    let mut mail = start(&graph, "/users/delta?$select=mail");
    let mut all = start(&graph, "/users/delta");
    graph.simulator.edit(|tenant| {
        tenant.update_user(people[0], |user| user.display_name = Some("Other".into()));
    });
    assert!(next(&graph, &mut mail).is_empty());
    assert_eq!(ids(&next(&graph, &mut all)), [people[0]]);
    graph.simulator.edit(|tenant| tenant.update_user(people[0], |user| user.mail = None));
    assert_eq!(
        next(&graph, &mut mail),
        [json!({ "id": people[0], "mail": null })],
        "once set, now null"
    );
    assert!(next(&graph, &mut mail).is_empty(), "and said once");
    graph
        .simulator
        .edit(|tenant| tenant.update_user(people[0], |user| user.department = Some("x".into())));
    assert!(next(&graph, &mut mail).is_empty());
}

#[test]
fn never_set_and_unchanged_differ_between_the_modes() {
    let mut tenant = Tenant::new();
    let ada = tenant.create_user(graph_simulator::NewUser { mail: None, ..person("Ada") });
    let graph = Graph::start(tenant, tidy());
    let select = "/users/delta?$select=displayName,mail,accountEnabled";
    let (items, link) = graph.walk(select);
    assert_eq!(
        items,
        [json!({ "id": ada, "displayName": "Ada", "accountEnabled": true })],
        "never set is absent"
    );
    let link = link.expect("a link");
    graph
        .simulator
        .edit(|tenant| tenant.update_user(ada, |user| user.account_enabled = Some(false)));
    let full = graph.get(&link).json();
    assert_eq!(
        full["value"],
        json!([{ "id": ada, "displayName": "Ada", "accountEnabled": false }])
    );
    let minimal =
        graph.get_with(&link, &[("Prefer", "return=minimal,odata.maxpagesize=999")]).json();
    assert_eq!(minimal["value"], json!([{ "id": ada, "accountEnabled": false }]));
}

#[test]
fn the_life_of_a_user_shows_in_the_users_stream_only() {
    let (tenant, all, people) = crowd(2);
    let graph = Graph::start(tenant, tidy());
    let mut users = start(&graph, "/users/delta?$select=displayName");
    let mut groups = start(&graph, "/groups/delta?$select=displayName,members");
    let ada = people[0];
    let edit = |change: fn(&mut Tenant, Uuid) -> bool| {
        graph.simulator.edit(|tenant| assert!(change(tenant, ada)));
    };
    edit(Tenant::soft_delete_user);
    assert_eq!(
        next(&graph, &mut users),
        [json!({ "id": ada, "@removed": { "reason": "changed" } })]
    );
    assert!(next(&graph, &mut groups).is_empty());
    edit(Tenant::restore_user);
    assert_eq!(next(&graph, &mut users), [json!({ "id": ada, "displayName": "user0" })]);
    assert!(next(&graph, &mut groups).is_empty());
    edit(Tenant::soft_delete_user);
    edit(Tenant::purge_user);
    assert_eq!(
        next(&graph, &mut users),
        [json!({ "id": ada, "@removed": { "reason": "deleted" } })]
    );
    let gone = json!({ "@odata.type": "#microsoft.graph.user", "id": ada, "@removed": { "reason": "deleted" } });
    assert_eq!(
        next(&graph, &mut groups),
        [json!({ "id": all, "displayName": "all", "members@delta": [gone] })]
    );
}

#[test]
fn purges_can_stay_out_of_the_groups_stream() {
    let (tenant, _, people) = crowd(2);
    let habits = DeltaHabits { purge_shows_in_groups: false, ..DeltaHabits::TIDY };
    let graph = Graph::start(tenant, Options { habits, ..Options::default() });
    let mut groups = start(&graph, "/groups/delta?$select=members");
    graph.simulator.edit(|tenant| tenant.purge_user(people[0]));
    assert!(next(&graph, &mut groups).is_empty());
}

#[test]
fn memberships_come_as_changes_and_whole_after_a_restore() {
    let (mut tenant, all, people) = crowd(3);
    let newcomer = tenant.create_user(person("New"));
    let graph = Graph::start(tenant, tidy());
    let mut groups = start(&graph, "/groups/delta?$select=members");
    graph.simulator.edit(|tenant| {
        tenant.add_member(all, newcomer);
        tenant.remove_member(all, people[0]);
    });
    let items = next(&graph, &mut groups);
    let entries = items[0]["members@delta"].as_array().expect("members");
    assert_eq!(entries.len(), 2);
    assert!(find(entries, newcomer).get("@removed").is_none());
    assert_eq!(find(entries, people[0])["@removed"]["reason"], "deleted");
    graph.simulator.edit(|tenant| tenant.soft_delete_group(all));
    assert_eq!(next(&graph, &mut groups)[0]["@removed"]["reason"], "changed");
    graph.simulator.edit(|tenant| tenant.restore_group(all));
    let items = next(&graph, &mut groups);
    let present = items[0]["members@delta"].as_array().expect("members");
    assert_eq!(present.iter().filter(|entry| entry.get("@removed").is_none()).count(), 3);
    graph.simulator.edit(|tenant| tenant.purge_group(all));
    assert_eq!(next(&graph, &mut groups)[0]["@removed"]["reason"], "deleted");
}

#[test]
fn deltas_are_filtered_by_id_only() {
    let (tenant, _, people) = crowd(60);
    let graph = Graph::start(tenant, tidy());
    let filter = |count: usize| {
        let clauses: Vec<String> =
            people[..count].iter().map(|id| format!("id%20eq%20'{id}'")).collect();
        format!("/users/delta?$filter={}", clauses.join("%20or%20"))
    };
    let (items, link) = graph.walk(&filter(50));
    assert_eq!(items.len(), 50);
    assert_eq!(graph.get(&filter(51)).status, 400);
    assert_eq!(graph.get("/users/delta?$filter=displayName%20eq%20'user1'").status, 400);
    let mut link = link.expect("a link");
    graph.simulator.edit(|tenant| {
        for id in &people {
            assert!(tenant.soft_delete_user(*id));
        }
    });
    assert_eq!(next(&graph, &mut link).len(), 50);
}

fn unruly(users: usize) -> (Graph, Uuid, Vec<Uuid>) {
    let (tenant, all, people) = crowd(users);
    let habits = DeltaHabits { replay: 1.0, duplicate: 1.0, ..DeltaHabits::UNRULY };
    let pages = PageSizes { delta_users: 10, delta_members: 10, ..PageSizes::default() };
    (Graph::start(tenant, Options { habits, pages, ..Options::default() }), all, people)
}

#[test]
fn unruly_rounds_repeat_and_replay() {
    let (graph, _, people) = unruly(60);
    let mut users = start(&graph, "/users/delta?$select=mail");
    graph.simulator.edit(|tenant| tenant.update_user(people[0], |user| user.mail = None));
    assert_eq!(next(&graph, &mut users).len(), 2, "every object comes twice");
    let replayed = next(&graph, &mut users);
    assert_eq!(ids(&replayed), [people[0]; 2], "and once more in the next round");
    assert!(next(&graph, &mut users).is_empty());
}

#[test]
fn overruled_membership_entries_come_before_the_last_word() {
    let (graph, all, people) = unruly(3);
    let mut groups = start(&graph, "/groups/delta?$select=members");
    graph.simulator.edit(|tenant| {
        tenant.remove_member(all, people[0]);
        tenant.add_member(all, people[0]);
        tenant.remove_member(all, people[0]);
    });
    let items = next(&graph, &mut groups);
    let entries = items.iter().filter_map(|item| item["members@delta"].as_array()).flatten();
    let removals: Vec<bool> = entries.map(|entry| entry.get("@removed").is_some()).collect();
    assert!(removals.len() > 1 && removals.contains(&false), "{removals:?}");
    assert_eq!(removals.last(), Some(&true), "the last word is the truth");
}

#[test]
fn rounds_can_pause_on_empty_pages() {
    let habits = DeltaHabits { empty_pages: 1.0, ..DeltaHabits::TIDY };
    let graph = Graph::start(crowd(300).0, Options { habits, ..Options::default() });
    let first = graph.get("/users/delta").json();
    let second = graph.get(first["@odata.nextLink"].as_str().expect("a link")).json();
    assert_eq!(second["value"], json!([]), "an empty page in the middle");
    assert!(second["@odata.nextLink"].is_string());
}

#[test]
fn a_round_costs_what_changed() {
    let (tenant, _, people) = crowd(5_000);
    let graph = Graph::start(tenant, tidy());
    let mut users = start(&graph, "/users/delta?$deltatoken=latest");
    graph.simulator.edit(|tenant| tenant.update_user(people[7], |user| user.mail = None));
    graph.simulator.reset_counters();
    assert_eq!(ids(&next(&graph, &mut users)), [people[7]]);
    let counters = graph.simulator.counters();
    assert_eq!((counters.requests, counters.by_status), (1, BTreeMap::from([(200, 1)])));
}
