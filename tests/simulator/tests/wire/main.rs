//! What the simulator does on the wire, seen by a small client of its own.

mod access;
mod batches;
mod binary;
mod client;
mod convergence;
mod deltas;
mod faults;
mod lists;
mod lost_tokens;
mod members;

use graph_simulator::{NewGroup, NewUser, Tenant};
use serde_json::Value;
use uuid::Uuid;

/// A user with everything set.
fn person(name: &str) -> NewUser {
    let address = format!("{}@contoso.example", name.to_lowercase());
    NewUser {
        display_name: name.to_owned(),
        user_principal_name: address.clone(),
        mail: Some(address),
        account_enabled: Some(true),
        user_type: Some("Member".to_owned()),
        id: None,
    }
}

/// A security group.
fn group(name: &str) -> NewGroup {
    NewGroup { display_name: name.to_owned(), ..NewGroup::default() }
}

/// A tenant with so many users, all in one group.
fn crowd(users: usize) -> (Tenant, Uuid, Vec<Uuid>) {
    let mut tenant = Tenant::new();
    let all = tenant.create_group(group("all"));
    let people: Vec<Uuid> =
        (0..users).map(|n| tenant.create_user(person(&format!("user{n}")))).collect();
    for user in &people {
        tenant.add_member(all, *user);
    }
    (tenant, all, people)
}

fn ids(items: &[Value]) -> Vec<Uuid> {
    items.iter().map(id).collect()
}

fn id(item: &Value) -> Uuid {
    item["id"].as_str().expect("an id").parse().expect("a GUID")
}

fn find(items: &[Value], wanted: Uuid) -> &Value {
    items.iter().find(|item| id(item) == wanted).expect("the object is listed")
}
