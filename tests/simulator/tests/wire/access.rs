//! Tokens, permissions, throttling, headers and compression.

use std::time::Duration;

use graph_simulator::{Options, Quota, RetryAfter, Tenant};
use serde_json::json;
use uuid::Uuid;

use crate::client::Graph;
use crate::{crowd, group, person};

/// Form fields, the status they should give and a piece of the answer.
type Attempt = (&'static [(&'static str, &'static str)], u16, &'static str);

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const ATTEMPTS: [Attempt; 6] = [
    (&[("client_id", "app"), ("client_secret", "secret")], 200, ""),
    (&[("client_id", "app"), ("client_secret", "wrong")], 401, "AADSTS7000215"),
    (&[("client_id", "other"), ("client_secret", "secret")], 400, "AADSTS700016"),
    (&[("client_id", "app")], 401, "AADSTS7000218"),
    (
        &[
            ("client_id", "app"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", "a.b.c"),
        ],
        200,
        "",
    ),
    (
        &[
            ("client_id", "app"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", "abc"),
        ],
        401,
        "AADSTS50027",
    ),
];

#[test]
fn credentials_are_checked() {
    let options = Options {
        client_id: Some("app".to_owned()),
        client_secret: Some("secret".to_owned()),
        access_token_life: Duration::from_mins(10),
        ..Options::default()
    };
    let graph = Graph::start(Tenant::new(), options);
    for (credentials, status, text) in ATTEMPTS {
        let answer = graph.token_request(credentials);
        assert_eq!(answer.status, status, "{credentials:?}: {}", answer.text);
        assert!(answer.text.contains(text), "{}", answer.text);
        if status == 200 {
            assert_eq!(answer.json()["expires_in"], 600);
        }
    }
}

#[test]
fn calls_take_a_valid_token_of_this_server() {
    let mut graph = Graph::start(Tenant::new(), Options::default());
    assert_eq!(graph.get("/users").status, 200);
    for header in ["", "Bearer x.y.z", "Basic abc"] {
        let answer = graph.bare_get("/users", &[("authorization", header)]);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "InvalidAuthenticationToken"),
            "{header}"
        );
    }
    graph.simulator.revoke_tokens();
    assert_eq!(graph.get("/users").status, 401);
    graph.sign_in();
    assert_eq!(graph.get("/users").status, 200);
}

#[test]
fn tokens_expire() {
    let options = Options { access_token_life: Duration::ZERO, ..Options::default() };
    let graph = Graph::start(Tenant::new(), options);
    assert!(graph.get("/users").text.contains("Lifetime validation failed"));
}

#[test]
fn managed_identities_get_their_numbers_as_strings() {
    let graph = Graph::start(Tenant::new(), Options::default());
    let url = format!(
        "{}/msi/token?api-version=2019-08-01&resource=https://graph.microsoft.com",
        graph.simulator.url()
    );
    assert_eq!(graph.bare_get(&url, &[]).status, 401);
    let answer = graph.bare_get(&url, &[("x-identity-header", "secret")]).json();
    assert!(
        answer["expires_on"].as_str().is_some_and(|text| text.parse::<u64>().is_ok()),
        "{answer}"
    );
    let bearer = format!("Bearer {}", answer["access_token"].as_str().expect("a token"));
    assert_eq!(graph.bare_get("/users", &[("authorization", &bearer)]).status, 200);
}

#[test]
fn permissions_decide_what_may_be_asked() {
    let (tenant, all, people) = crowd(1);
    let graph = Graph::start(tenant, Options::default());
    let user = people[0];
    let table: [(&[&str], &str, u16); 7] = [
        (&[], "/users", 403),
        (&["User.Read.All"], "/users/delta", 200),
        (&["User.Read.All"], "/groups", 403),
        (&["GroupMember.Read.All"], "/groups/delta", 200),
        (&["GroupMember.Read.All"], "/directory/deletedItems/microsoft.graph.user", 403),
        (&["Directory.Read.All"], "/users", 200),
        (&["Directory.Read.All"], "/groups", 200),
    ];
    for (roles, path, status) in table {
        graph.simulator.set_roles(roles.iter().copied());
        assert_eq!(graph.get(path).status, status, "{roles:?} {path}");
    }
    graph.simulator.set_roles(["GroupMember.Read.All"]);
    let blind = graph.get(&format!("/groups/{all}/members?$select=id,displayName")).json();
    assert_eq!(
        blind["value"][0],
        json!({ "@odata.type": "#microsoft.graph.user", "id": user, "displayName": null })
    );
}

#[test]
fn units_are_charged_by_the_table() {
    let (tenant, all, people) = crowd(1);
    let graph = Graph::start(tenant, Options::default());
    let user = people[0];
    let table = [
        ("/users".to_owned(), "2"),
        ("/users?$select=id".to_owned(), "1"),
        ("/groups".to_owned(), "1"),
        (format!("/groups/{all}/members"), "3"),
        (format!("/groups/{all}/members?$select=id&$top=999"), "2"),
        (format!("/groups/{all}/members?$select=id&$top=5"), "1"),
        (format!("/groups/{all}/transitiveMembers"), "5"),
        (format!("/users/{user}/memberOf"), "2"),
        ("/users/delta".to_owned(), "1"),
    ];
    for (path, units) in table {
        assert_eq!(graph.get(&path).header("x-ms-resource-unit"), Some(units), "{path}");
    }
    assert_eq!(graph.simulator.counters().units, 18);
}

#[test]
fn too_many_units_are_refused_with_advice() {
    let quota = Quota { units_per_ten_seconds: Some(10), retry_after: RetryAfter::Seconds(2.128) };
    let mut tenant = Tenant::new();
    tenant.create_user(person("Ada"));
    tenant.create_group(group("all"));
    let graph = Graph::start(tenant, Options { quota, ..Options::default() });
    let answers: Vec<_> = (0..8).map(|_| graph.get("/users")).collect();
    assert!(
        answers.iter().any(|answer| answer.status == 200
            && answer.header("x-ms-throttle-limit-percentage").is_some())
    );
    let refused = answers.last().expect("eight answers");
    assert_eq!((refused.status, refused.code().as_str()), (429, "TooManyRequests"));
    assert_eq!(refused.header("retry-after"), Some("2.128"));
    assert_eq!(refused.header("x-ms-throttle-information"), Some("ResourceUnitLimitExceeded"));
    assert!(graph.simulator.counters().throttled > 0);
    graph.simulator.set_quota(Quota::NONE);
    assert_eq!(graph.get("/users").status, 200);
}

#[test]
fn answers_bear_the_usual_headers_and_shrink_on_request() {
    let (tenant, ..) = crowd(100);
    let graph = Graph::start(tenant, Options::default());
    let answer = graph.get_with("/users", &[("client-request-id", "mine")]);
    assert!(answer.header("request-id").is_some_and(|id| Uuid::parse_str(id).is_ok()));
    assert!(answer.header("date").is_some());
    assert_eq!(answer.header("client-request-id"), Some("mine"));
    let raw = graph.get_with("/users", &[("accept-encoding", "gzip")]);
    assert_eq!(raw.header("content-encoding"), Some("gzip"));
    assert!(raw.bytes * 3 < answer.bytes, "{} of {}", raw.bytes, answer.bytes);
    let record = graph.simulator.requests().pop().expect("a record");
    assert_eq!(
        (record.target.as_str(), record.status, record.bytes),
        ("/v1.0/users", 200, answer.bytes as u64)
    );
}
