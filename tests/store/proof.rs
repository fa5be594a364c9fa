//! A read is complete, or it removes nothing: whatever Graph shows of it, and whatever it
//! keeps to itself. Each row is a way in which the directory lies.

use crate::prelude::*;
use graph_simulator::{Effect, Expiry, Fault, FaultBody, GroupKind, NewGroup, Tenant};

const TENANT: Groups<'_> = &[
    ("readers", &["ada", "bob", "cem", "dora"]),
    ("outer", &["readers", "emil"]),
    ("others", &["fay", "ada"]),
    ("quiet", &["gil"]),
    ("crowd", &["ida", "jan"]),
];

async fn platform(on: On) -> World {
    let world = World::new(on, company(TENANT)).await;
    world.run(Full).await;
    world.link("app", id("outer"));
    world.link("tool", id("others"));
    world
}

fn narrow(mut world: World) -> World {
    world.settings.all_groups = false;
    world.settings.all_users = false;
    world
}

/// All that somebody could lose.
fn held(world: &World) -> Vec<String> {
    let mut held = world.users();
    held.extend(world.lines("'group', display_name", "aad_groups"));
    held.extend(world.lines("'state', object_id, state", "dirsync_aad_groups"));
    held.extend(world.lines("'member', aad_group_id, user_id", "dirsync_group_members"));
    held.extend(world.lines("'access', product_id, user_id", "product_access"));
    held
}

fn kinds(world: &World) -> Vec<String> {
    let mut kinds: Vec<String> = world
        .findings()
        .into_iter()
        .map(|line| line.split('|').next().unwrap_or_default().to_owned())
        .collect();
    kinds.dedup();
    kinds
}

fn status(status: u16) -> Effect {
    Effect::Status { status, headers: Vec::new(), body: FaultBody::Error("Injected".to_owned()) }
}

/// What is injected, where, and the kind of finding that must tell; none where the fault is
/// seen through without a trace.
type Lie = (&'static str, Vec<(&'static str, Effect)>, Option<&'static str>);

fn lies() -> Vec<Lie> {
    let permission = Some("permission_missing");
    let json = |status, value| Effect::Status {
        status,
        headers: Vec::new(),
        body: FaultBody::Json(value),
    };
    let omit = |keys: &[&str]| Effect::OmitKeys(keys.iter().map(ToString::to_string).collect());
    let users = |effect| vec![("/v1.0/users", effect)];
    let members = |effect| vec![("*/members?*", effect)];
    let nothing = vec![
        ("*/members?*", Effect::EmptyOk),
        ("*memberOf*", Effect::EmptyOk),
        ("*$count", json(200, serde_json::json!(0))),
    ];
    vec![
        ("an empty users list", vec![("/v1.0/users?", Effect::EmptyOk)], permission),
        ("an empty groups list", vec![("/v1.0/groups?", Effect::EmptyOk)], permission),
        ("no member anywhere", members(Effect::EmptyOk), permission),
        ("no member, no count, no group of anybody", nothing, permission),
        ("users without values", users(Effect::NullProperties), permission),
        ("groups without values", vec![("/v1.0/groups", Effect::NullProperties)], permission),
        ("users without names", users(omit(&["displayName"])), permission),
        ("people without state", users(omit(&["accountEnabled", "userType"])), None),
        ("members refused", members(status(403)), Some("group_stale")),
        ("members broken off", members(Effect::MissingValue), Some("group_stale")),
        (
            "a part of the members",
            members(json(206, serde_json::json!({ "value": [] }))),
            Some("group_stale"),
        ),
        ("members that never end", members(Effect::RepeatPage), Some("group_stale")),
    ]
}

/// The directory lies in each of these ways, over a whole tenant or over a narrow scope, with
/// its tokens and without (what is read does not depend on the database): nobody loses anything and nothing is rewritten. When it tells the
/// truth again, it is as if it never had lied.
#[tokio::test]
async fn whatever_a_read_leaves_out_nothing_is_removed_or_rewritten() {
    for on in BOTH {
        for (lie, effects, finding) in lies() {
            let ways: &[(&str, bool)] = match on {
                On::Sqlite => &[("all", false), ("all", true), ("narrow", false)],
                On::Postgres => &[("all", false)],
            };
            for (scope, lost) in ways.iter().copied() {
                let mut world = platform(on).await;
                if scope == "narrow" {
                    world = narrow(world);
                    world.run(Full).await;
                }
                let before = held(&world);
                let mark = world.audit_mark();
                for (path, effect) in &effects {
                    world.simulator.inject(Fault::on(*path, effect.clone()));
                }
                if lost {
                    world.simulator.expire_delta_tokens(Expiry::GoneSyncStateNotFound);
                }
                let at = format!("{on:?} {lie}, scope {scope}, tokens lost: {lost}");
                // A run may fail, where nothing at all can be believed.
                let told = world.try_run(Full).await.map(|_| kinds(&world));
                assert_eq!(held(&world), before, "{at}");
                assert_eq!(world.audit_since(mark), [""; 0], "{at}");
                if let (Ok(told), Some(finding), "all") = (told, finding, scope) {
                    assert!(told.contains(&finding.to_owned()), "{at}: {told:?}");
                }
                assert!(world.try_run(Delta).await.is_ok() || lost, "{at}");
                assert_eq!(held(&world), before, "{at}, and then");
                world.simulator.clear_faults();
                world.run(Full).await;
                assert_eq!(held(&world), before, "{at}, over");
                assert_eq!(world.audit_since(mark), [""; 0], "{at}, over");
                assert_eq!(world.findings(), [""; 0], "{at}, over");
                world.assert_equals_tenant().await;
            }
        }
    }
}

/// A round that says nothing of value keeps its place: what happened meanwhile is told again.
#[tokio::test]
async fn what_a_round_said_without_values_is_said_again() {
    for on in BOTH {
        let world = platform(on).await;
        let before = held(&world);
        world.edit(|tenant| {
            tenant.update_user(id("ada"), |user| {
                user.display_name = Some("Ada the Second".to_owned())
            });
            tenant.update_group(id("readers"), |group| group.display_name = "Readers".to_owned());
            tenant.soft_delete_user(id("gil"));
        });
        world.simulator.inject(Fault::on("/delta", Effect::NullProperties));
        for _ in 0..2 {
            world.run(Delta).await;
            let names = |rows: Vec<String>| -> Vec<String> {
                rows.into_iter().filter(|row| !row.contains("gil")).collect()
            };
            let now = names(held(&world));
            assert!(
                names(before.clone())
                    .iter()
                    .filter(|row| !row.starts_with("member|") && !row.starts_with("access|"))
                    .all(|row| now.contains(row)),
                "{on:?} {now:?}"
            );
            assert!(world.user("gil").ends_with("removed"), "{on:?}: a tombstone is believed");
            assert_eq!(
                world.findings(),
                ["permission_missing|groups", "permission_missing|users"],
                "{on:?}"
            );
        }
        world.simulator.clear_faults();
        let report = world.run(Delta).await;
        assert_eq!(report.mode, Delta, "{on:?}");
        assert!(world.user("ada").starts_with("Ada the Second"), "{on:?} {}", world.user("ada"));
        assert!(world.lines("display_name", "aad_groups").contains(&"Readers".to_owned()));
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.assert_rests().await;
        world.assert_equals_tenant().await;
    }
}

/// A tenant that shows blanks from the first moment on is read again until it shows values.
#[tokio::test]
async fn a_first_read_without_values_is_done_again() {
    for on in BOTH {
        let world = World::new(on, company(TENANT)).await;
        world.simulator.inject(Fault::on("/v1.0/users?", Effect::NullProperties));
        world.run(Full).await;
        assert_eq!(world.users(), [""; 0], "{on:?}: nobody is made of nothing");
        assert!(kinds(&world).contains(&"permission_missing".to_owned()), "{on:?}");
        world.simulator.clear_faults();
        assert_eq!(world.run(Delta).await.mode, Full, "{on:?}");
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.assert_rests().await;
        world.assert_equals_tenant().await;
    }
}

/// One person is missing from one page: it exists after all, or it left, or nobody can say.
#[tokio::test]
async fn whoever_a_list_leaves_out_is_asked_for() {
    for on in BOTH {
        for answer in ["here", "left", "unknown", "too many"] {
            let mut world = platform(on).await;
            let mark = world.audit_mark();
            // Drift: a membership that no round ever told of.
            world.edit(|tenant| {
                if answer == "left" {
                    tenant.remove_member(id("readers"), id("ada"));
                    tenant.forget_history();
                }
            });
            world.simulator.expire_delta_tokens(Expiry::GoneSyncStateNotFound);
            let list = format!("*{}/members?*", id("readers"));
            let without = world.simulator.read(|tenant| {
                let members = tenant.direct_members(id("readers")).filter(|m| *m != id("ada"));
                members
                    .map(|id| serde_json::json!({ "@odata.type": "#microsoft.graph.user", "id": id }))
                    .collect::<Vec<_>>()
            });
            let body = FaultBody::Json(serde_json::json!({ "value": without }));
            world
                .simulator
                .inject(Fault::on(list, Effect::Status { status: 200, headers: Vec::new(), body }));
            if answer == "unknown" {
                world.simulator.inject(Fault::on("memberOf", status(400)));
            }
            if answer == "too many" {
                world.settings.confirmations_max = 0;
            }
            let report = world.run(Full).await;
            let readers = format!("group_stale|{}", id("readers"));
            let (findings, refuted, unlinked): (Vec<&str>, u64, bool) = match answer {
                "here" => (vec!["read_refuted|memberships"], 1, false),
                "left" => (vec![], 0, true),
                "unknown" => (vec![&readers], 0, false),
                _ => (vec![&readers, "removal_unconfirmed|memberships"], 0, false),
            };
            assert_eq!(world.findings(), findings, "{on:?} {answer}");
            assert_eq!(report.refuted, refuted, "{on:?} {answer}");
            assert_eq!(world.who("app").contains(&"ada".to_owned()), !unlinked, "{on:?} {answer}");
            assert_eq!(world.audit_since(mark).is_empty(), !unlinked, "{on:?} {answer}");
            world.settings.confirmations_max = 5000;
            world.simulator.clear_faults();
            // A stale group is read again by the next run, whatever that is.
            world.run(if answer == "here" { Full } else { Delta }).await;
            assert_eq!(world.findings(), [""; 0], "{on:?} {answer}");
            world.assert_equals_tenant().await;
        }
    }
}

/// A nested group that a list leaves out is asked for like a person.
#[tokio::test]
async fn a_nested_group_that_a_list_leaves_out_is_asked_for() {
    for on in BOTH {
        for left in [false, true] {
            let world = platform(on).await;
            if left {
                world.edit(|tenant| {
                    tenant.remove_member(id("outer"), id("readers"));
                    tenant.forget_history();
                });
            }
            world.simulator.expire_delta_tokens(Expiry::GoneSyncStateNotFound);
            let emil =
                serde_json::json!({ "@odata.type": "#microsoft.graph.user", "id": id("emil") });
            let body = FaultBody::Json(serde_json::json!({ "value": [emil] }));
            let effect = Effect::Status { status: 200, headers: Vec::new(), body };
            world.simulator.inject(Fault::on(format!("*{}/members?*", id("outer")), effect));
            let report = world.run(Full).await;
            assert_eq!(world.who("app").len(), if left { 1 } else { 5 }, "{on:?}");
            assert_eq!(report.refuted, u64::from(!left), "{on:?}");
            world.simulator.clear_faults();
            world.run(Full).await;
            assert_eq!(world.findings(), [""; 0], "{on:?}");
            world.assert_equals_tenant().await;
        }
    }
}

/// Users and groups that a list leaves out: here, deleted, gone for good, or not to be asked.
#[tokio::test]
async fn objects_that_a_list_leaves_out_are_confirmed_by_id() {
    for on in BOTH {
        let world = platform(on).await;
        world.edit(|tenant| {
            tenant.soft_delete_user(id("ada"));
            tenant.soft_delete_user(id("bob"));
            tenant.purge_user(id("bob"));
            tenant.soft_delete_group(id("others"));
            tenant.purge_group(id("others"));
        });
        world.simulator.expire_delta_tokens(Expiry::OlderThan30Days);
        for stream in ["users", "groups"] {
            let path = format!("/v1.0/{stream}?$select");
            let live = world.simulator.read(|tenant| listed_without(tenant, stream));
            let body = FaultBody::Json(serde_json::json!({ "value": live }));
            let effect = Effect::Status { status: 200, headers: Vec::new(), body };
            world.simulator.inject(Fault::on(path, effect));
        }
        world.simulator.inject(Fault::on(format!("/users/{}?", id("fay")), status(400)));
        world.simulator.inject(Fault::on("getByIds", Effect::EmptyOk));
        let report = world.run(Full).await;
        let state = |name: &str| world.user(name).rsplit('|').next().unwrap_or_default().to_owned();
        let states = ["ada", "bob", "cem", "fay"].map(state);
        assert_eq!(states, ["removed", "removed", "live", "live"], "{on:?}");
        assert_eq!(report.refuted, 2, "{on:?}: cem and quiet");
        let findings = ["read_refuted|groups", "read_refuted|users", "removal_unconfirmed|users"];
        assert_eq!(world.findings(), findings, "{on:?}");
        let proofs = world.lines("metadata", "audit_logs WHERE action = 'status_change'");
        assert_eq!(proofs.len(), 3, "{on:?}");
        for proof in proofs {
            let proof: serde_json::Value = serde_json::from_str(&proof).unwrap();
            assert_eq!(proof["evidence"], "confirmed_by_id", "{on:?}");
            assert!(proof["proof"]["answers"].as_u64().unwrap() > 0, "{on:?} {proof}");
            assert!(proof["proof"]["request_id"].is_string(), "{on:?} {proof}");
            assert!(proof["proof"]["read_at"].is_string(), "{on:?} {proof}");
        }
        world.simulator.clear_faults();
        world.run(Full).await;
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.assert_equals_tenant().await;
    }
}

/// A list without cem and fay, or without quiet.
fn listed_without(tenant: &Tenant, stream: &str) -> Vec<serde_json::Value> {
    if stream == "users" {
        let live = tenant.users().filter(|user| !user.is_deleted());
        let shown = live.filter(|user| ![id("cem"), id("fay")].contains(&user.id()));
        return shown
            .map(|user| {
                serde_json::json!({
                    "id": user.id(), "displayName": user.display_name, "mail": user.mail,
                    "userPrincipalName": user.user_principal_name,
                    "accountEnabled": user.account_enabled, "userType": user.user_type,
                })
            })
            .collect();
    }
    let live = tenant.groups().filter(|group| !group.is_deleted() && group.id() != id("quiet"));
    live.map(|group| serde_json::json!({ "id": group.id(), "displayName": group.display_name }))
        .collect()
}

/// One group looks empty: Graph counts its members, or it is empty indeed.
#[tokio::test]
async fn an_empty_list_is_believed_only_if_the_count_agrees() {
    for on in BOTH {
        for emptied in [false, true] {
            let world = platform(on).await;
            if emptied {
                world.edit(|tenant| {
                    tenant.remove_member(id("quiet"), id("gil"));
                    tenant.forget_history();
                });
            }
            world.simulator.expire_delta_tokens(Expiry::GoneSyncStateNotFound);
            let list = format!("*{}/members?*", id("quiet"));
            world.simulator.inject(Fault::on(list, Effect::EmptyOk));
            // Were it believed, the second look would agree.
            world.simulator.inject(Fault::on("memberOf", Effect::EmptyOk));
            let mark = world.audit_mark();
            world.run(Full).await;
            if emptied {
                assert_eq!(world.audit_since(mark), ["aad_group|unlink|1"], "{on:?}");
                assert_eq!(world.findings(), [""; 0], "{on:?}");
            } else {
                assert_eq!(world.audit_since(mark), [""; 0], "{on:?}");
                let quiet = id("quiet");
                let findings =
                    [format!("group_stale|{quiet}"), format!("permission_missing|{quiet}")];
                assert_eq!(world.findings(), findings, "{on:?}");
                let told = world.lines("message", "dirsync_findings WHERE kind = 'group_stale'");
                world.run(Delta).await;
                let again = world.lines("message", "dirsync_findings WHERE kind = 'group_stale'");
                assert!(told[0].starts_with("stale since 20"), "{on:?} {told:?}");
                assert_eq!(again, told, "{on:?}: since then, and not since the last run");
            }
            world.simulator.clear_faults();
            world.run(Delta).await;
            assert_eq!(world.findings(), [""; 0], "{on:?}");
            world.assert_equals_tenant().await;
        }
    }
}

/// Whoever does not see that a membership is hidden does not see the members, either.
#[tokio::test]
async fn a_hidden_membership_is_told_with_its_permission_and_its_age() {
    for on in BOTH {
        let mut tenant = company(&[("readers", &["ada"])]);
        tenant.create_group(NewGroup {
            display_name: "secret".to_owned(),
            visibility: Some("HiddenMembership".to_owned()),
            kind: GroupKind::Microsoft365,
            id: Some(id("secret")),
        });
        tenant.add_member(id("secret"), id("ada"));
        let world = World::new(on, tenant).await;
        world.run(Full).await;
        let before = held(&world);
        world.simulator.set_roles(["User.Read.All", "GroupMember.Read.All"]);
        world.run(Full).await;
        assert_eq!(held(&world), before, "{on:?}");
        assert_eq!(world.findings(), [format!("permission_missing|{}", id("secret"))], "{on:?}");
        let told = world.lines("message", "dirsync_findings").pop().unwrap();
        assert!(told.contains("Member.Read.Hidden") && told.contains("stale since"), "{told}");
    }
}

/// One group that cannot be read leaves the others alone.
#[tokio::test]
async fn a_run_goes_on_past_a_group_that_cannot_be_read() {
    for on in BOTH {
        let world = narrow(platform(on).await);
        world.run(Full).await;
        world.link("app", id("quiet"));
        world.edit(|tenant| {
            hire(tenant, "hal", "outer");
            tenant.forget_history();
        });
        world.simulator.expire_delta_tokens(Expiry::GoneSyncStateNotFound);
        world.simulator.inject(Fault::on(format!("{}?", id("others")), status(400)));
        world.simulator.inject(Fault::on("*/groups?*filter=id*", Effect::EmptyOk));
        world.simulator.inject(Fault::on(format!("*{}/members*", id("others")), status(400)));
        world.run(Delta).await;
        assert!(world.who("app").contains(&"hal".to_owned()), "{on:?}");
        assert_eq!(world.who("tool"), ["ada", "fay"], "{on:?}");
        assert!(world.findings().contains(&format!("group_stale|{}", id("others"))), "{on:?}");
        world.simulator.clear_faults();
        world.run(Delta).await;
        assert!(!kinds(&world).contains(&"group_stale".to_owned()), "{on:?}");
        world.run(Full).await;
        assert_eq!(world.findings(), [""; 0], "{on:?}");
    }
}

/// An admin group with a wrong id, deleted, or unreadable.
#[tokio::test]
async fn nobody_loses_a_role_by_an_admin_group_that_is_not_known() {
    for on in BOTH {
        let mut world = World::new(on, company(TENANT)).await;
        world.settings.admin_groups = [id("others").to_string().parse().unwrap()].into();
        world.run(Full).await;
        let admin = |world: &World| world.user("ada").contains("|admin|");
        assert!(admin(&world), "{on:?}");
        let right = world.settings.admin_groups.clone();
        world.settings.admin_groups = [id("nothing").to_string().parse().unwrap()].into();
        for mode in [Delta, Full, Delta] {
            world.run(mode).await;
            assert!(admin(&world), "{on:?}");
            let finding = format!("admin_group_unusable|{}", id("nothing"));
            assert_eq!(world.findings(), [finding], "{on:?}");
        }
        world.settings.admin_groups = right;
        world.simulator.inject(Fault::on(format!("*{}/members?*", id("others")), status(403)));
        world.run(Full).await;
        assert!(admin(&world), "{on:?}");
        let unusable = format!("admin_group_unusable|{}", id("others"));
        assert!(world.findings().contains(&unusable), "{on:?} {:?}", world.findings());
        world.simulator.clear_faults();
        world.run(Delta).await;
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.follow(|tenant| tenant.soft_delete_group(id("others"))).await;
        assert!(!admin(&world), "{on:?}: buried");
        assert_eq!(world.findings(), [unusable], "{on:?}: but not in silence");
    }
}

/// A group that nobody empties, and a second look that tells half of it: the lists of a
/// member must at least show the groups that show the member.
#[tokio::test]
async fn a_second_look_that_contradicts_the_first_proves_nothing() {
    for on in BOTH {
        let world = platform(on).await;
        let mark = world.audit_mark();
        world.simulator.expire_delta_tokens(Expiry::GoneSyncStateNotFound);
        let kept = ["bob", "cem", "dora"].map(
            |name| serde_json::json!({ "@odata.type": "#microsoft.graph.user", "id": id(name) }),
        );
        let body = FaultBody::Json(serde_json::json!({ "value": kept }));
        let effect = Effect::Status { status: 200, headers: Vec::new(), body };
        world.simulator.inject(Fault::on(format!("*{}/members?*", id("readers")), effect));
        world.simulator.inject(Fault::on("memberOf", Effect::EmptyOk));
        world.run(Full).await;
        assert_eq!(world.audit_since(mark), [""; 0], "{on:?}: others shows ada");
        assert_eq!(world.findings(), [format!("group_stale|{}", id("readers"))], "{on:?}");
    }
}
