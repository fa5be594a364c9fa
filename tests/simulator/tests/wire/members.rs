//! Membership lists: types, nesting, hidden membership, what is left out, and the truth behind them.

use std::collections::BTreeSet;

use graph_simulator::{GroupKind, NewGroup, Options, OtherKind, Tenant};
use uuid::Uuid;

use crate::client::Graph;
use crate::{crowd, find, group, ids, person};

const EVENTUAL: [(&str, &str); 1] = [("ConsistencyLevel", "eventual")];

struct Nested {
    tenant: Tenant,
    outer: Uuid,
    inner: Uuid,
    ann: Uuid,
    bob: Uuid,
    cem: Uuid,
}

/// outer: ann, inner, a device, a service principal; inner: bob, cem and, to close a cycle, outer.
fn nested() -> Nested {
    let mut tenant = Tenant::new();
    let [ann, bob, cem] = ["Ann", "Bob", "Cem"].map(|name| tenant.create_user(person(name)));
    let outer = tenant.create_group(group("outer"));
    let inner = tenant.create_group(group("inner"));
    let principal = tenant.create_other(OtherKind::ServicePrincipal);
    let device = tenant.create_other(OtherKind::Device);
    for (to, member) in [
        (outer, ann),
        (outer, inner),
        (outer, principal),
        (outer, device),
        (inner, bob),
        (inner, cem),
        (inner, outer),
    ] {
        assert!(tenant.add_member(to, member));
        assert!(!tenant.add_member(to, member), "members do not join twice");
    }
    Nested { tenant, outer, inner, ann, bob, cem }
}

#[test]
fn members_come_in_mixed_types_without_service_principals() {
    let Nested { tenant, outer, inner, ann, .. } = nested();
    let graph = Graph::start(tenant, Options::default());
    let (items, _) = graph.walk(&format!("/groups/{outer}/members?$select=id,mail,description"));
    assert_eq!(items.len(), 3, "user, group and device: {items:?}");
    assert_eq!(find(&items, ann)["@odata.type"], "#microsoft.graph.user");
    assert!(
        find(&items, ann).get("mail").is_some() && find(&items, ann).get("description").is_none()
    );
    assert!(find(&items, inner).get("description").is_some(), "properties are those of the type");
    let (shown, _) = graph.walk("/groups/delta?$select=members");
    let entries = find(&shown, outer)["members@delta"].as_array().expect("members");
    assert!(
        entries.iter().any(|entry| entry["@odata.type"] == "#microsoft.graph.servicePrincipal")
    );
}

#[test]
fn casts_take_an_advanced_query_and_transitive_lists_survive_cycles() {
    let Nested { tenant, outer, inner, ann, bob, cem } = nested();
    let graph = Graph::start(tenant, Options::default());
    let cast = format!("/groups/{outer}/members/microsoft.graph.user?$count=true");
    assert_eq!(graph.get(&cast).code(), "Request_UnsupportedQuery");
    let answer = graph.get_with(&cast, &EVENTUAL).json();
    assert_eq!(ids(answer["value"].as_array().expect("a list")), [ann]);
    assert_eq!(answer["@odata.count"], 1);
    let (everything, _) = graph.walk(&format!("/groups/{outer}/transitiveMembers?$select=id"));
    let everything: BTreeSet<Uuid> = ids(&everything).into_iter().collect();
    assert!([ann, bob, cem, inner, outer].iter().all(|id| everything.contains(id)));
    let (groups, _) = graph.walk(&format!("/users/{bob}/memberOf?$select=id,displayName&$top=1"));
    assert_eq!(ids(&groups), [inner]);
    let (groups, _) = graph.walk(&format!("/users/{bob}/transitiveMemberOf?$top=1"));
    assert_eq!(groups.len(), 2);
}

#[test]
fn effective_users_follow_live_groups() {
    let Nested { mut tenant, outer, inner, ann, bob, cem } = nested();
    assert_eq!(tenant.effective_users(outer), [ann, bob, cem].into());
    assert_eq!(tenant.effective_users(inner), [ann, bob, cem].into());
    tenant.soft_delete_user(bob);
    assert_eq!(
        tenant.effective_users(outer),
        [ann, bob, cem].into(),
        "soft-deleted users are still members"
    );
    tenant.purge_user(bob);
    assert_eq!(tenant.effective_users(outer), [ann, cem].into());
    tenant.soft_delete_group(inner);
    assert_eq!(tenant.effective_users(outer), [ann].into(), "a deleted group passes nothing on");
    tenant.restore_group(inner);
    assert_eq!(tenant.effective_users(outer), [ann, cem].into(), "a restored one does");
    tenant.purge_group(inner);
    assert_eq!(tenant.effective_users(outer), [ann].into());
    assert!(tenant.direct_members(outer).all(|member| member != inner));
}

#[test]
fn deleted_members_and_hidden_groups_do_not_show() {
    let (mut tenant, all, people) = crowd(3);
    tenant.soft_delete_user(people[0]);
    let hidden = tenant.create_group(NewGroup {
        visibility: Some("Hiddenmembership".to_owned()),
        kind: GroupKind::Microsoft365,
        ..group("hidden")
    });
    tenant.add_member(hidden, people[1]);
    let graph = Graph::start(tenant, Options::default());
    let listed = |group: Uuid| graph.walk(&format!("/groups/{group}/members")).0.len();
    assert_eq!((listed(all), listed(hidden)), (2, 1));
    graph.simulator.set_roles(["User.Read.All", "GroupMember.Read.All"]);
    assert_eq!((listed(all), listed(hidden)), (2, 0));
    let (groups, _) = graph.walk("/groups/delta?$select=members");
    assert!(find(&groups, hidden).get("members@delta").is_none());
    graph.simulator.edit(|tenant| tenant.restore_user(people[0]));
    assert_eq!(listed(all), 3);
    graph.simulator.edit(|tenant| tenant.soft_delete_group(all));
    assert_eq!(graph.get(&format!("/groups/{all}/members")).status, 404);
}

#[test]
fn kinds_without_a_deleted_container_go_at_once() {
    for (kind, stays) in [
        (GroupKind::Security, true),
        (GroupKind::Microsoft365, true),
        (GroupKind::DynamicSecurity, true),
        (GroupKind::MailEnabledSecurity, false),
        (GroupKind::Distribution, false),
    ] {
        let mut tenant = Tenant::new();
        let id = tenant.create_group(NewGroup { kind, ..group("any") });
        assert!(tenant.soft_delete_group(id));
        assert_eq!(tenant.group(id).is_some(), stays, "{kind:?}");
    }
}
