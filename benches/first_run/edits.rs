//! A department that looks the same in a tenant of any size, and a hundred changes in it.

use serde_json::{Value, json};
use uuid::Uuid;

const PEOPLE: u128 = 100;
const TEAMS: u128 = 20;
/// Teams that each person is in.
const TEAMS_EACH: u128 = 5;

/// How many edits [`changes`] makes.
pub(crate) const CHANGES: usize = 100;

fn person(number: u128) -> Uuid {
    Uuid::from_u128(0x0de9_a270_0000_4000_8000_0000_0001_0000 + number)
}

fn team(number: u128) -> Uuid {
    Uuid::from_u128(0x0de9_a270_0000_4000_8000_0000_0002_0000 + number % TEAMS)
}

fn hire(number: u128) -> Value {
    let address = format!("department.{number}@contoso.example");
    json!({
        "op": "create_user", "id": person(number), "display_name": format!("Colleague {number}"),
        "user_principal_name": address, "mail": address,
    })
}

fn join(team: Uuid, person: Uuid) -> Value {
    json!({ "op": "add_member", "group": team, "member": person })
}

/// Makes the department: everybody is in five teams.
pub(crate) fn department() -> Value {
    let people = (0..PEOPLE).map(hire);
    let teams = (0..TEAMS).map(|number| {
        json!({ "op": "create_group", "id": team(number), "display_name": format!("Department team {number}") })
    });
    let memberships = (0..PEOPLE).flat_map(|number| {
        (0..TEAMS_EACH).map(move |step| join(team(number + step), person(number)))
    });
    Value::Array(people.chain(teams).chain(memberships).collect())
}

/// A hundred changes of every kind.
pub(crate) fn changes() -> Value {
    let joined = (0..30).map(|number| join(team(number + TEAMS_EACH), person(number)));
    let left = (30..55).map(
        |number| json!({ "op": "remove_member", "group": team(number), "member": person(number) }),
    );
    let renamed = (55..70).map(|number| {
        json!({ "op": "rename_user", "id": person(number), "display_name": format!("Renamed {number}") })
    });
    let mails = (70..80).map(|number| {
        let mail = format!("moved.{number}@contoso.example");
        json!({ "op": "set_mail", "id": person(number), "mail": mail })
    });
    let disabled = (80..87)
        .map(|number| json!({ "op": "set_enabled", "id": person(number), "enabled": false }));
    let deleted = (87..90).map(|number| json!({ "op": "delete", "id": person(number) }));
    let hired =
        (PEOPLE..PEOPLE + 4).flat_map(|number| [hire(number), join(team(number), person(number))]);
    let teams = (0..2).map(|number| {
        json!({ "op": "rename_group", "id": team(number), "display_name": format!("Renamed team {number}") })
    });
    let changes: Vec<Value> = joined
        .chain(left)
        .chain(renamed)
        .chain(mails)
        .chain(disabled)
        .chain(deleted)
        .chain(hired)
        .chain(teams)
        .collect();
    debug_assert_eq!(changes.len(), CHANGES);
    Value::Array(changes)
}
