//! Injected faults, seen from the caller's side, and the control endpoints.

use std::time::{Duration, Instant};

use graph_simulator::{Effect, Expiry, Fault, FaultBody, Options};
use serde_json::{Value, json};

use crate::client::Graph;
use crate::{crowd, person};

fn graph() -> Graph {
    Graph::start(crowd(5).0, Options::default())
}

fn length(page: &Value) -> Option<usize> {
    page["value"].as_array().map(Vec::len)
}

#[test]
fn answers_can_be_replaced() {
    let graph = graph();
    let status = |status, body| Effect::Status {
        status,
        headers: vec![("X-Why".into(), "fault".into())],
        body,
    };
    let table = [
        (status(500, FaultBody::Empty), 500, ""),
        (status(504, FaultBody::Html("<html>".into())), 504, "<html>"),
        (
            status(403, FaultBody::Error("Authorization_RequestDenied".into())),
            403,
            "Authorization_RequestDenied",
        ),
        (status(200, FaultBody::Json(json!({ "odd": true }))), 200, "{\"odd\":true}"),
        (Effect::Html502, 502, "Bad Gateway"),
        (Effect::ExpiredPageToken, 400, "Directory_ExpiredPageToken"),
        (Effect::Unauthorized, 401, "InvalidAuthenticationToken"),
        (Effect::TokenLost(Expiry::GoneWithLocation), 410, "syncStateNotFound"),
    ];
    for (effect, status, text) in table {
        graph.simulator.inject(Fault::on("/users", effect.clone()).once());
        let answer = graph.get("/users");
        assert_eq!(answer.status, status, "{effect:?}");
        assert!(answer.text.contains(text), "{effect:?}: {}", answer.text);
        if matches!(effect, Effect::Status { .. }) {
            assert_eq!(answer.header("x-why"), Some("fault"));
        }
        assert_eq!(length(&graph.get("/users").json()), Some(5), "one request only");
    }
}

#[test]
fn answers_can_be_spoiled() {
    let graph = graph();
    let spoiled = |effect: Effect| {
        let id = graph.simulator.inject(Fault::on("/users", effect));
        let page = graph.get("/users?$select=displayName,mail&$top=2").json();
        graph.simulator.clear_fault(id);
        page
    };
    assert_eq!(length(&spoiled(Effect::EmptyOk)), Some(0));
    assert!(spoiled(Effect::MissingValue).get("value").is_none());
    let nulls = spoiled(Effect::NullProperties);
    assert!(nulls["value"][0]["id"].is_string() && nulls["value"][0]["mail"].is_null());
    let lacking = spoiled(Effect::OmitKeys(vec!["mail".to_owned()]));
    assert!(
        lacking["value"][0].get("mail").is_none() && lacking["value"][0]["displayName"].is_string()
    );
    let away = spoiled(Effect::RedirectLink("evil.example:81".to_owned()));
    assert!(
        away["@odata.nextLink"]
            .as_str()
            .is_some_and(|link| link.starts_with("http://evil.example:81/v1.0/users?"))
    );
}

#[test]
fn pages_can_repeat_or_never_end() {
    let graph = graph();
    let first = "/users?$top=5";
    graph.simulator.inject(Fault::on("/users", Effect::RepeatPage).once());
    let (items, _) = graph.walk(first);
    assert_eq!(items.len(), 10, "the page comes twice, then the list ends");
    graph.simulator.inject(Fault::on("/users/delta", Effect::RepeatPage));
    let page = graph.get("/users/delta").json();
    assert_eq!(page["@odata.nextLink"], json!(graph.url("/users/delta")));
    graph.simulator.clear_faults();
    graph.simulator.inject(Fault::on("/users", Effect::EndlessLinks));
    let mut link = first.to_owned();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let page = graph.get(&link).json();
        assert_eq!(length(&page), Some(5));
        link = page["@odata.nextLink"].as_str().expect("never the end").to_owned();
        assert!(seen.insert(link.clone()), "always a new link");
    }
}

#[test]
fn removals_can_be_swallowed() {
    let (mut tenant, _, people) = crowd(2);
    tenant.create_user(person("New"));
    let graph = Graph::start(tenant, Options::default());
    let link = graph.walk("/users/delta").1.expect("a link");
    graph.simulator.edit(|tenant| tenant.soft_delete_user(people[0]));
    graph.simulator.inject(Fault::on("deltatoken", Effect::OmitRemoved).once());
    assert_eq!(graph.walk(&link).0.len(), 0);
    assert_eq!(graph.walk(&link).0.len(), 1);
}

#[test]
fn connections_can_break() {
    let graph = graph();
    graph.simulator.inject(Fault::on("/users", Effect::CutBody).once());
    let error = graph.try_get("/users", &[]).expect_err("the body is cut");
    assert!(error.is_body() || error.is_decode() || error.is_request(), "{error:?}");
    assert_eq!(graph.simulator.requests().last().map(|record| record.status), Some(0));
    graph.simulator.inject(Fault::on("/users", Effect::TruncatedJson).once());
    let answer = graph.get("/users");
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_str::<Value>(&answer.text).is_err());
    graph.simulator.inject(Fault::on("/users", Effect::Delay(Duration::from_millis(300))).once());
    let begun = Instant::now();
    assert_eq!(graph.get("/users").status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    graph.simulator.inject(Fault::on("/users", Effect::Hang).once());
    let error = graph.impatient_get("/users").expect_err("nothing comes");
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(graph.get("/users").status, 200, "others are served all the same");
}

#[test]
fn every_answer_takes_the_latency() {
    let options = Options { latency: Duration::from_millis(50), ..Options::default() };
    let graph = Graph::start(crowd(1).0, options);
    let begun = Instant::now();
    assert_eq!(graph.get("/users").status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[test]
fn a_dropped_simulator_no_longer_listens() {
    let graph = graph();
    let url = graph.simulator.url();
    graph.simulator.inject(Fault::on("/users", Effect::Hang));
    assert!(graph.impatient_get("/users").is_err());
    drop(graph);
    assert!(std::net::TcpStream::connect(url.trim_start_matches("http://")).is_err());
}

#[test]
fn the_token_endpoint_can_fail_too() {
    let graph = graph();
    graph.simulator.inject(Fault::on("/oauth2/v2.0/token", Effect::Html502).once().method("POST"));
    assert_eq!(graph.token_request(&[("client_id", "app"), ("client_secret", "x")]).status, 502);
    assert_eq!(graph.token_request(&[("client_id", "app"), ("client_secret", "x")]).status, 200);
    assert_eq!(graph.simulator.counters().token_requests, 3);
}

#[test]
fn control_endpoints_steer_a_process() {
    let graph = graph();
    let edits = json!([
        { "op": "create_user", "display_name": "New", "mail": null },
        { "op": "create_group", "display_name": "app" },
    ]);
    let done = graph.post("/_control/edit", &edits).json()["done"].clone();
    let (user, group) = (&done[0], &done[1]);
    let join = json!({ "op": "add_member", "group": group, "member": user });
    assert_eq!(graph.post("/_control/edit", &join).json()["done"], json!([true]));
    assert_eq!(graph.post("/_control/edit", &join).json()["done"], json!([false]));
    let told =
        graph.post("/_control/edit", &json!({ "op": "random", "count": 20, "seed": 3 })).json();
    let told = told["done"][0].as_array().expect("one sentence per edit");
    assert_eq!(told.len(), 20);
    assert!(told.iter().all(|line| line.as_str().is_some_and(|line| line.ends_with('.'))));
}

#[test]
fn control_endpoints_inject_faults_and_keep_books() {
    let graph = graph();
    let fault = json!({ "path": "/v1.0/groups", "times": 1, "effect": "html502" });
    assert_eq!(graph.post("/_control/fault", &fault).status, 200);
    assert_eq!(graph.get("/groups").status, 502);
    let link = graph.walk("/users/delta").1.expect("a link");
    assert_eq!(
        graph.post("/_control/expire", &json!({ "how": "goneSyncStateNotFound" })).status,
        200
    );
    assert_eq!(graph.get(&link).status, 410);
    let counters =
        graph.bare_get(&format!("{}/_control/counters", graph.simulator.url()), &[]).json();
    assert_eq!(counters["byStatus"]["410"], 1);
    assert_eq!(graph.post("/_control/reset", &json!({})).status, 200);
    assert_eq!(graph.simulator.counters().requests, 0);
    assert_eq!(graph.post("/_control/edit", &json!({ "op": "explode" })).status, 400);
    assert_eq!(graph.post("/_control/nothing", &json!({})).status, 404);
}
