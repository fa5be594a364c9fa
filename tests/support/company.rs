//! A small company made by hand, in which names stand for people and groups.

use graph_simulator::{GroupKind, NewGroup, NewUser, Tenant};
use uuid::Uuid;

/// The object id of whoever has this name in a [`company`].
pub fn id(name: &str) -> Uuid {
    let mixed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_01b3_0000_0001_00b3)
    });
    uuid::Builder::from_random_bytes(mixed.to_be_bytes()).into_uuid()
}

/// The address of whoever has this name.
pub fn address(name: &str) -> String {
    format!("{name}@contoso.example")
}

/// An enabled member account.
pub fn person(name: &str) -> NewUser {
    NewUser {
        display_name: name.to_owned(),
        user_principal_name: address(name),
        mail: Some(address(name)),
        account_enabled: Some(true),
        user_type: Some("Member".to_owned()),
        id: Some(id(name)),
    }
}

/// A guest account.
pub fn guest(name: &str) -> NewUser {
    NewUser { user_type: Some("Guest".to_owned()), ..person(name) }
}

/// A group and its direct members; members that are no group of the company are people.
pub type Groups<'a> = &'a [(&'a str, &'a [&'a str])];

/// A tenant with these groups and everybody in them. Its history is empty.
pub fn company(groups: Groups<'_>) -> Tenant {
    let mut tenant = Tenant::new();
    for (name, _) in groups {
        found(&mut tenant, name);
    }
    for (group, members) in groups {
        for member in *members {
            if tenant.object_type(id(member)).is_none() {
                tenant.create_user(person(member));
            }
            tenant.add_member(id(group), id(member));
        }
    }
    tenant.forget_history();
    tenant
}

/// Makes an empty group.
pub fn found(tenant: &mut Tenant, name: &str) {
    tenant.create_group(NewGroup {
        display_name: name.to_owned(),
        visibility: None,
        kind: GroupKind::Security,
        id: Some(id(name)),
    });
}

/// Hires somebody into a group.
pub fn hire(tenant: &mut Tenant, name: &str, group: &str) {
    tenant.create_user(person(name));
    tenant.add_member(id(group), id(name));
}
