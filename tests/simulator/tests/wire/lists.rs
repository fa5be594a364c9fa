//! Lists and single objects: options, paging, counting, filters, the deleted container, resolving ids.

use std::collections::BTreeSet;
use std::time::Duration;

use graph_simulator::{NewUser, Options, OtherKind, Tenant};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Graph;
use crate::{crowd, find, group, id, ids, person};

const EVENTUAL: [(&str, &str); 1] = [("ConsistencyLevel", "eventual")];

#[test]
fn pages_have_the_documented_sizes_and_lead_to_each_other() {
    let (tenant, _, people) = crowd(1_050);
    let graph = Graph::start(tenant, Options::default());
    for (path, size) in
        [("/users", 100), ("/users?$top=7", 7), ("/users?%24top=999&%24select=id", 999)]
    {
        assert_eq!(graph.get(path).json()["value"].as_array().map(Vec::len), Some(size), "{path}");
    }
    for path in ["/users?$top=1000", "/users?$top=0", "/users?$skip=5", "/groups?$select=nonsense"]
    {
        assert_eq!(graph.get(path).status, 400, "{path}");
    }
    let (items, delta) = graph.walk("/users?$select=id,displayName&$top=100");
    assert_eq!(delta, None);
    assert_eq!(ids(&items).into_iter().collect::<BTreeSet<_>>(), people.iter().copied().collect());
    assert_eq!(items.len(), people.len());
    assert!(items.iter().all(|item| item.get("mail").is_none() && item["displayName"].is_string()));
}

#[test]
fn links_work_only_verbatim() {
    let (tenant, ..) = crowd(5);
    let graph = Graph::start(tenant, Options::default());
    for first in ["/users?$top=2", "/users/delta?$deltatoken=latest"] {
        let page = graph.get(first).json();
        let link =
            page["@odata.nextLink"].as_str().or(page["@odata.deltaLink"].as_str()).expect("a link");
        let token = link.rsplit_once("token=").expect("a token").1;
        for wanted in ['+', '/', '_', '-'] {
            assert!(token.contains(wanted), "{wanted} in {token}");
        }
        assert_eq!(graph.get(link).status, 200);
        for damaged in [
            link.replace('+', "%20"),
            link.replace('+', "%2B"),
            link.replace('/', "%2F").replace("%2F", "/"),
        ] {
            let expected = if damaged == link { 200 } else { 400 };
            assert_eq!(graph.get(&damaged).status, expected, "{damaged}");
        }
        let elsewhere = link.replace("/users", "/groups");
        assert_eq!(graph.get(&elsewhere).status, 400);
    }
}

#[test]
fn page_tokens_can_be_short_lived() {
    let (tenant, ..) = crowd(5);
    let graph = Graph::start(
        tenant,
        Options { page_token_life: Some(Duration::ZERO), ..Options::default() },
    );
    let page = graph.get("/users?$top=2").json();
    let link = page["@odata.nextLink"].as_str().expect("a link");
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(graph.get(link).code(), "Directory_ExpiredPageToken");
}

#[test]
fn default_properties_leave_out_what_real_ones_leave_out() {
    let mut tenant = Tenant::new();
    let user = tenant.create_user(NewUser { mail: None, ..person("Ada") });
    let one = tenant.create_group(group("one"));
    let graph = Graph::start(tenant, Options::default());
    let shown = graph.get(&format!("/users/{user}")).json();
    assert_eq!(shown["displayName"], "Ada");
    assert_eq!(shown["mail"], Value::Null);
    assert!(shown.get("mail").is_some(), "lists show null");
    assert!(shown.get("accountEnabled").is_none() && shown.get("userType").is_none());
    let selected = graph.get(&format!("/users/{user}?$select=accountEnabled")).json();
    assert_eq!(selected, json!({ "id": user, "accountEnabled": true }));
    let shown = graph.get(&format!("/groups/{one}")).json();
    assert_eq!((&shown["securityEnabled"], &shown["groupTypes"]), (&json!(true), &json!([])));
    let missing = graph.get(&format!("/users/{one}"));
    assert_eq!((missing.status, missing.code().as_str()), (404, "Request_ResourceNotFound"));
}

#[test]
fn filters_find_names_and_ids() {
    let mut tenant = Tenant::new();
    let names = ["Ann O'Neil", "ann o'neil", "Bob", "Ünal"];
    let users = names.map(|name| tenant.create_user(person(name)));
    tenant.create_group(group("App-One"));
    let graph = Graph::start(tenant, Options::default());
    let table = [
        ("displayName eq 'ANN O''NEIL'".to_owned(), 2),
        ("displayName in ('bob','ünal','nobody')".to_owned(), 2),
        (format!("id in ('{}','{}')", users[0], users[3]), 2),
        (format!("id eq '{}' or id eq '{}'", users[1], Uuid::nil()), 1),
    ];
    for (filter, count) in table {
        let answer = graph.get(&format!("/users?$filter={}", filter.replace(' ', "%20")));
        assert_eq!(
            answer.json()["value"].as_array().map(Vec::len),
            Some(count),
            "{filter}: {}",
            answer.text
        );
    }
    let found = graph.get("/groups?$filter=displayName+eq+'app-one'&$select=id").json();
    assert_eq!(found["value"].as_array().map(Vec::len), Some(1));
    let sixteen = vec!["'x'"; 16].join(",");
    for filter in [
        format!("id in ({sixteen})"),
        format!("displayName in ({sixteen})"),
        "displayName like 'x'".to_owned(),
    ] {
        let answer = graph.get(&format!("/users?$filter={}", filter.replace(' ', "%20")));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "Request_UnsupportedQuery"),
            "{filter}"
        );
    }
}

#[test]
fn counting_takes_the_header() {
    let (mut tenant, all, people) = crowd(12);
    tenant.soft_delete_user(people[0]);
    let graph = Graph::start(tenant, Options::default());
    for (path, count) in [
        ("/users/$count".to_owned(), "11"),
        ("/groups/%24count".to_owned(), "1"),
        (format!("/groups/{all}/members/$count"), "11"),
    ] {
        assert_eq!(graph.get(&path).status, 400, "{path}");
        let answer = graph.get_with(&path, &EVENTUAL);
        assert_eq!(
            (answer.text.as_str(), answer.header("content-type")),
            (count, Some("text/plain")),
            "{path}"
        );
    }
    let page = graph.get_with("/users?$count=true&$top=5", &EVENTUAL).json();
    assert_eq!(page["@odata.count"], 11);
    let next = graph.get_with(page["@odata.nextLink"].as_str().expect("a link"), &EVENTUAL).json();
    assert!(next.get("@odata.count").is_none(), "only the first page counts");
    assert!(graph.get("/users?$count=true").json().get("@odata.count").is_none());
}

#[test]
fn deleted_objects_lie_in_their_container() {
    let (mut tenant, all, people) = crowd(3);
    tenant.soft_delete_user(people[1]);
    tenant.soft_delete_group(all);
    tenant.purge_user(people[2]);
    let graph = Graph::start(tenant, Options::default());
    assert_eq!(ids(&graph.walk("/users").0), [people[0]]);
    assert_eq!(graph.get(&format!("/users/{}", people[1])).status, 404);
    let deleted = graph.walk("/directory/deletedItems/microsoft.graph.user?$select=id,deletedDateTime,userPrincipalName").0;
    assert_eq!(ids(&deleted), [people[1]]);
    assert!(deleted[0]["deletedDateTime"].is_string());
    let freed = deleted[0]["userPrincipalName"].as_str().expect("a name");
    assert!(freed.starts_with(&people[1].simple().to_string()), "{freed}");
    assert_eq!(ids(&graph.walk("/directory/deletedItems/microsoft.graph.group").0), [all]);
    for (id, status) in [(people[1], 200), (all, 200), (people[0], 404), (people[2], 404)] {
        assert_eq!(graph.get(&format!("/directory/deletedItems/{id}")).status, status);
    }
}

#[test]
fn ids_resolve_to_live_objects_with_default_properties() {
    let (mut tenant, all, people) = crowd(3);
    tenant.soft_delete_user(people[2]);
    let device = tenant.create_other(OtherKind::Device);
    let graph = Graph::start(tenant, Options::default());
    let wanted = json!([people[0], people[2], all, device, Uuid::nil()]);
    let all_types = graph.post("/directoryObjects/getByIds", &json!({ "ids": wanted })).json();
    let items = all_types["value"].as_array().expect("a list");
    assert_eq!(ids(items), [people[0], all, device]);
    let user = find(items, people[0]);
    assert_eq!(user["@odata.type"], "#microsoft.graph.user");
    assert!(user.get("accountEnabled").is_none(), "not among the default properties");
    let users = graph
        .post("/directoryObjects/getByIds", &json!({ "ids": wanted, "types": ["user"] }))
        .json();
    assert_eq!(id(&users["value"][0]), people[0]);
    assert_eq!(users["value"].as_array().map(Vec::len), Some(1));
    for (count, status) in [(1_000, 200), (1_001, 400)] {
        let body = json!({ "ids": vec![Uuid::nil(); count] });
        assert_eq!(graph.post("/directoryObjects/getByIds", &body).status, status);
    }
}
