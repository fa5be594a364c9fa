//! How delta and page tokens are lost, and that every way looks as documented or observed.

use std::time::Duration;

use graph_simulator::{Expiry, Options};

use crate::client::Graph;
use crate::deltas::{start, tidy};
use crate::{crowd, person};

#[test]
fn lost_tokens_are_told_in_every_known_way() {
    let (tenant, ..) = crowd(3);
    let graph = Graph::start(tenant, tidy());
    let table = [
        (Expiry::GoneWithLocation, 410, "syncStateNotFound"),
        (Expiry::GoneSyncStateNotFound, 410, "SyncStateNotFound"),
        (Expiry::BadRequestSyncStateNotFound, 400, "syncStateNotFound"),
        (Expiry::NotFoundResyncRequired, 404, "resyncRequired"),
        (Expiry::BadRequestResyncRequired, 400, ""),
        (Expiry::OlderThan30Days, 400, "Request_UnsupportedQuery"),
    ];
    for (how, status, code) in table {
        let before = start(&graph, "/users/delta");
        graph.simulator.expire_delta_tokens(how);
        let answer = graph.get(&before);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{how:?}");
        let location = answer.header("location");
        assert_eq!(location.is_some(), how == Expiry::GoneWithLocation);
        if let Some(location) = location {
            assert_eq!(graph.walk(location).0.len(), 3, "the location starts over");
        }
        if how == Expiry::BadRequestResyncRequired {
            assert_eq!(answer.json()["error"]["innerError"]["code"], "resyncRequired");
        }
        let after = start(&graph, "/users/delta");
        assert_eq!(graph.get(&after).status, 200, "later tokens are good");
    }
}

#[test]
fn forgotten_history_and_closed_rounds_end_old_links() {
    let (tenant, ..) = crowd(300);
    let graph = Graph::start(tenant, Options { open_rounds: 2, ..tidy() });
    let old = start(&graph, "/users/delta");
    let middle =
        graph.get("/users/delta").json()["@odata.nextLink"].as_str().expect("a link").to_owned();
    assert_eq!(graph.get(&middle).status, 200);
    start(&graph, "/users/delta");
    start(&graph, "/users/delta");
    assert_eq!(graph.get(&middle).code(), "Directory_ExpiredPageToken");
    graph.simulator.edit(|tenant| {
        tenant.create_user(person("New"));
        tenant.forget_history();
    });
    assert_eq!(graph.get(&old).code(), "Request_UnsupportedQuery");
}

#[test]
fn delta_tokens_can_be_short_lived() {
    let options = Options { delta_token_life: Some(Duration::ZERO), ..tidy() };
    let graph = Graph::start(crowd(1).0, options);
    let link = start(&graph, "/users/delta");
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(graph.get(&link).code(), "Request_UnsupportedQuery");
}
