//! Every JSON shape that Graph is known to send, read by the types of the wire.

use serde_json::{from_str, json};

use super::*;

fn page(text: &str) -> Page {
    from_str(text).expect("a page")
}

fn object(value: &serde_json::Value) -> Object {
    serde_json::from_value(value.clone()).expect("an object")
}

fn id(text: &str) -> ObjectId {
    text.parse().expect("a GUID")
}

const ADA: &str = "0b1f6c1e-5a0f-4c43-9d8e-0d2b8a1c7e01";

#[test]
fn a_users_page_in_the_middle_of_a_round() {
    let page = page(
        r#"{
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users(displayName)",
        "@odata.nextLink": "https://graph.microsoft.com/v1.0/users/delta?$skiptoken=Qm9_x9-1+a/b",
        "value": [
          {"id": "0b1f6c1e-5a0f-4c43-9d8e-0d2b8a1c7e01", "displayName": "Ada Ünal",
           "userPrincipalName": "Ada.Unal@contoso.com", "mail": "ada.unal@contoso.com",
           "accountEnabled": true, "userType": "Member"},
          {"id": "0b1f6c1e-5a0f-4c43-9d8e-0d2b8a1c7e02", "displayName": "Build Robot",
           "userPrincipalName": "robot@contoso.com", "mail": null, "accountEnabled": false,
           "userType": "Member"},
          {"id": "0b1f6c1e-5a0f-4c43-9d8e-0d2b8a1c7e03", "displayName": "Guest Person",
           "userPrincipalName": "guest_fabrikam.com#EXT#@contoso.onmicrosoft.com",
           "accountEnabled": true, "userType": "Guest"}]}"#,
    );
    assert_eq!(
        page.next.as_deref(),
        Some("https://graph.microsoft.com/v1.0/users/delta?$skiptoken=Qm9_x9-1+a/b")
    );
    assert_eq!(page.delta, None);
    let users: Vec<_> = page.value.expect("a value").into_iter().map(Object::user).collect();
    assert_eq!(
        users[0],
        UserFacts {
            display_name: Some("Ada Ünal".to_owned()),
            upn: Some("Ada.Unal@contoso.com".to_owned()),
            mail: Some("ada.unal@contoso.com".to_owned()),
            enabled: Some(true),
            guest: Some(false),
        }
    );
    assert_eq!((&users[1].mail, users[1].enabled), (&None, Some(false)));
    assert!(users[2].is_guest() && users[2].mail.is_none());
}

#[test]
fn trap_08_both_reasons_bury_wherever_the_annotation_stands() {
    let page = page(
        r#"{
        "@odata.deltaLink": "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=RG_8k2+c/d",
        "value": [
          {"id": "0b1f6c1e-5a0f-4c43-9d8e-0d2b8a1c7e04", "@removed": {"reason": "changed"}},
          {"@removed": {"reason": "deleted"}, "id": "0b1f6c1e-5a0f-4c43-9d8e-0d2b8a1c7e05"},
          {"@removed": {}, "id": "0b1f6c1e-5a0f-4c43-9d8e-0d2b8a1c7e06"}]}"#,
    );
    let gone: Vec<_> = page.value.expect("a value").into_iter().map(Object::met_user).collect();
    let buried = Met::Removed;
    // An unknown reason is the one that loses nothing.
    let expected = [Tombstone::Soft, Tombstone::Hard, Tombstone::Soft].map(buried);
    assert_eq!(gone, expected);
}

#[test]
fn trap_01_members_are_read_from_their_annotation() {
    let page = page(
        r##"{"value": [
          {"id": "7d0a2b9c-1111-4a55-8f10-3f1d5e6a9b01", "displayName": "app-prod-readers",
           "description": null, "groupTypes": [], "members": null, "members@delta": [
            {"@odata.type": "#microsoft.graph.user", "id": "0b1f6c1e-5a0f-4c43-9d8e-0d2b8a1c7e01"},
            {"@odata.type": "#microsoft.graph.user", "id": "0b1f6c1e-5a0f-4c43-9d8e-0d2b8a1c7e02",
             "@removed": {"reason": "deleted"}},
            {"@odata.type": "#microsoft.graph.group", "id": "7d0a2b9c-1111-4a55-8f10-3f1d5e6a9b02"},
            {"@odata.type": "#microsoft.graph.servicePrincipal",
             "id": "9c1e0000-2222-4b66-9a21-4a2e6f7b0c03"},
            {"@odata.type": "#microsoft.graph.somethingNew", "id": "not even a GUID"}]},
          {"id": "7d0a2b9c-1111-4a55-8f10-3f1d5e6a9b09", "@removed": {"reason": "changed"}}]}"##,
    );
    let groups = page.value.expect("a value");
    let edges = groups[0].members.as_ref().expect("members");
    let changes: Vec<_> = edges
        .iter()
        .filter_map(|edge| edge.change(Endpoint::GroupsDelta).expect("readable"))
        .map(|(member, joined)| (member.id, member.kind, joined))
        .collect();
    assert_eq!(
        changes,
        [
            (id(ADA), MemberKind::User, true),
            (id("0b1f6c1e-5a0f-4c43-9d8e-0d2b8a1c7e02"), MemberKind::User, false),
            (id("7d0a2b9c-1111-4a55-8f10-3f1d5e6a9b02"), MemberKind::Group, true),
        ]
    );
    assert!(groups[1].members.is_none(), "no members is no information");
}

#[test]
fn trap_37_an_error_body_is_read_whatever_its_form() {
    let table: [(&str, &[&str]); 9] = [
        (
            r#"{"error":{"code":"syncStateNotFound","message":"x","innerError":{"date":"y"}}}"#,
            &["syncStateNotFound"],
        ),
        (
            r#"{"error":{"code":"TooManyRequests","innerError":{"code":"429","status":"429"}}}"#,
            &["TooManyRequests", "429"],
        ),
        (
            r#"{"error":{"code":"","innererror":{"code":"resyncRequired","innererror":{"code":"a"}}}}"#,
            &["resyncRequired", "a"],
        ),
        (r#"{"Error":{"Code":"UnknownError"}}"#, &["UnknownError"]),
        (r#"{"error":"invalid_grant"}"#, &[]),
        (r#"{"error":{"code":5}}"#, &[]),
        ("<html>Bad Gateway</html>", &[]),
        ("", &[]),
        ("[]", &[]),
    ];
    for (body, codes) in table {
        assert_eq!(error_codes(body.as_bytes()), codes, "{body}");
    }
}

#[test]
fn trap_32_what_is_absent_is_unknown() {
    let user = object(&json!({"id": ADA})).user();
    assert_eq!(user, UserFacts::default());
    assert_eq!(object(&json!({"id": ADA, "accountEnabled": null})).user().enabled, None);
}

#[test]
fn the_rules_of_a_person() {
    type Rule = fn(&UserFacts) -> bool;
    let guest: Rule = |user| user.is_guest();
    let member: Rule = |user| !user.is_guest();
    let table: [(serde_json::Value, Rule); 12] = [
        (json!({"userType": "Guest"}), guest),
        (json!({"userType": "guest"}), guest),
        (json!({"userType": "Member"}), member),
        (json!({"userType": "Member", "userPrincipalName": "a_b.com#EXT#@c.com"}), member),
        (json!({"userType": null, "userPrincipalName": "a_b.com#ext#@c.com"}), guest),
        (json!({"userType": "", "userPrincipalName": "a_b.com#EXT#@c.com"}), guest),
        (json!({"userPrincipalName": "a@c.com"}), member),
        (json!({"mail": ""}), |user| user.mail.is_none()),
        (json!({"mail": " "}), |user| user.mail.is_none()),
        (json!({"mail": "Ada@X.com"}), |user| user.mail.as_deref() == Some("Ada@X.com")),
        (json!({"displayName": "A\u{0}B"}), |user| {
            user.display_name.as_deref() == Some("A\u{fffd}B")
        }),
        (json!({"displayName": ""}), |user| user.display_name.as_deref() == Some("")),
    ];
    for (value, rule) in table {
        assert!(rule(&object(&value).user()), "{value}");
    }
}

#[test]
fn trap_29_a_hidden_membership_is_seen_in_every_spelling() {
    for (visibility, hidden) in [
        (json!("HiddenMembership"), true),
        (json!("Hiddenmembership"), true),
        (json!("Private"), false),
        (json!(null), false),
    ] {
        let group = object(&json!({"visibility": visibility})).group();
        assert_eq!(group.hidden_membership, hidden, "{visibility}");
    }
}

#[test]
fn an_id_that_is_no_guid_is_refused_where_it_matters() {
    let endpoint = Endpoint::Members;
    for bad in [json!({"id": "x"}), json!({}), json!({"id": ""})] {
        let error = object(&bad).id.get(endpoint).expect_err("refused");
        assert!(error.to_string().contains("members") && error.kind() == "malformed");
    }
    let device = json!({"@odata.type": "#microsoft.graph.device", "id": "x"});
    assert_eq!(object(&device).member(endpoint).expect("ignored"), None);
    let user = json!({"@odata.type": "#microsoft.graph.user", "id": "x"});
    assert!(object(&user).member(endpoint).is_err());
}

#[test]
fn trap_38_unknown_is_ignored_but_a_missing_type_is_not() {
    let endpoint = Endpoint::Members;
    let odd = json!({"id": ADA, "@odata.type": "#Microsoft.Graph.User", "brandNew": {"a": [1]}});
    assert!(object(&odd).member(endpoint).expect("readable").is_some());
    // Leaving it out could hide a person.
    assert!(object(&json!({"id": ADA})).member(endpoint).is_err());
}

#[test]
fn nulls_without_the_right_to_read_are_no_facts() {
    let hidden = json!({"id": ADA, "displayName": null, "mail": null, "accountEnabled": null});
    assert!(!object(&hidden).is_readable());
    assert!(object(&json!({"id": ADA, "accountEnabled": false})).is_readable());
}

proptest::proptest! {
    #[test]
    fn no_body_whatever_brings_the_reading_down(body in proptest::collection::vec(0_u8.., 0..200)) {
        let _ = error_codes(&body);
        let _ = serde_json::from_slice::<Page>(&body);
    }
}
