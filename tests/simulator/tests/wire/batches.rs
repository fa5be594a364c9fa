//! `$batch`: limits, order, charges and faults of single items.

use graph_simulator::{Effect, Fault, FaultBody, Options, Quota};
use serde_json::{Value, json};

use crate::client::Graph;
use crate::crowd;

fn item<'a>(answer: &'a Value, id: &str) -> &'a Value {
    let responses = answer["responses"].as_array().expect("responses");
    responses.iter().find(|response| response["id"] == id).expect("an answer per item")
}

#[test]
fn items_have_answers_of_their_own_in_any_order() {
    let (tenant, all, people) = crowd(30);
    let graph = Graph::start(tenant, Options::default());
    let members = format!("/groups/{all}/members?$select=id&$top=10");
    let missing = format!("/users/{all}");
    let mut urls = vec![members.as_str(), missing.as_str(), "/users?$top=1000"];
    urls.extend(["/users/delta?$deltatoken=latest"; 9]);
    let answer = graph.batch(&urls);
    assert_eq!(item(&answer, "0")["status"], 200);
    assert_eq!(item(&answer, "0")["headers"]["x-ms-resource-unit"], "1");
    assert_eq!(item(&answer, "1")["body"]["error"]["code"], "Request_ResourceNotFound");
    assert_eq!(item(&answer, "2")["status"], 400);
    let order: Vec<&str> = answer["responses"]
        .as_array()
        .expect("responses")
        .iter()
        .filter_map(|response| response["id"].as_str())
        .collect();
    assert_eq!(order.len(), urls.len());
    assert!(
        !order.is_sorted_by_key(|id| id.parse::<u32>().ok()),
        "the order says nothing: {order:?}"
    );
    let next = item(&answer, "0")["body"]["@odata.nextLink"].as_str().expect("an absolute link");
    assert_eq!(graph.walk(next).0.len(), people.len() - 10);
    let counters = graph.simulator.counters();
    assert_eq!(counters.batch_items, 12);
    assert!(
        graph.simulator.requests().iter().any(|record| record.in_batch && record.status == 404)
    );
}

#[test]
fn malformed_batches_fail_as_a_whole() {
    let (tenant, ..) = crowd(1);
    let graph = Graph::start(tenant, Options::default());
    let request = |id: usize| json!({ "id": id.to_string(), "method": "GET", "url": "/users" });
    let many = |count: usize| json!({ "requests": (0..count).map(request).collect::<Vec<_>>() });
    let table = [
        (many(20), 200),
        (many(21), 400),
        (json!({ "requests": [request(1), request(1)] }), 400),
        (json!({ "requests": "none" }), 400),
        (json!({}), 400),
    ];
    for (body, status) in table {
        assert_eq!(graph.post("/$batch", &body).status, status, "{body}");
    }
    let nested =
        json!({ "requests": [{ "id": "1", "method": "POST", "url": "/$batch", "body": many(1) }] });
    assert_eq!(item(&graph.post("/$batch", &nested).json(), "1")["status"], 400);
}

#[test]
fn headers_bodies_and_dependencies_belong_to_items() {
    let (tenant, _, people) = crowd(3);
    let graph = Graph::start(tenant, Options::default());
    let body = json!({ "requests": [
        { "id": "a", "method": "GET", "url": "/users/$count", "headers": { "ConsistencyLevel": "eventual" } },
        { "id": "b", "method": "GET", "url": "/users/$count" },
        { "id": "c", "method": "GET", "url": "/users", "dependsOn": ["b"] },
        { "id": "d", "method": "POST", "url": "/directoryObjects/getByIds", "body": { "ids": [people[0]] },
          "headers": { "Content-Type": "application/json" } },
    ] });
    let answer = graph.post("/$batch", &body).json();
    assert_eq!(
        (&item(&answer, "a")["status"], &item(&answer, "a")["body"]),
        (&json!(200), &json!("3"))
    );
    assert_eq!(item(&answer, "b")["status"], 400);
    assert_eq!(item(&answer, "c")["status"], 424);
    assert_eq!(item(&answer, "d")["body"]["value"][0]["id"], json!(people[0]));
}

#[test]
fn every_item_is_charged_and_can_be_throttled() {
    let (tenant, ..) = crowd(1);
    let graph = Graph::start(tenant, Options { quota: Quota::of(10), ..Options::default() });
    let answer = graph.batch(&["/users"; 8]);
    let responses = answer["responses"].as_array().expect("responses");
    let throttled: Vec<&Value> =
        responses.iter().filter(|response| response["status"] == 429).collect();
    assert_eq!(throttled.len(), 3);
    assert!(throttled.iter().all(|response| response["headers"]["Retry-After"].is_string()));
}

#[test]
fn faults_hit_single_items() {
    let (tenant, ..) = crowd(1);
    let graph = Graph::start(tenant, Options::default());
    let effect = Effect::Status {
        status: 503,
        headers: vec![("Retry-After".to_owned(), "7".to_owned())],
        body: FaultBody::Error("ServiceNotAvailable".to_owned()),
    };
    graph.simulator.inject(Fault::on("/v1.0/groups", effect).once());
    let answer = graph.batch(&["/users", "/groups", "/groups"]);
    assert_eq!(item(&answer, "0")["status"], 200);
    assert_eq!(item(&answer, "1")["headers"]["Retry-After"], "7");
    assert_eq!(item(&answer, "1")["body"]["error"]["code"], "ServiceNotAvailable");
    assert_eq!(item(&answer, "2")["status"], 200);
}
