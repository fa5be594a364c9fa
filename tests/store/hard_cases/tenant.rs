//! What a story does to the directory.

use graph_simulator::{Effect, Fault, FaultBody, GroupKind, NewGroup, Tenant};
use uuid::Uuid;

use crate::prelude::*;

/// What a replica says that has not heard of somebody.
fn not_found() -> Effect {
    Effect::Status {
        status: 404,
        headers: Vec::new(),
        body: FaultBody::Error("Request_ResourceNotFound".to_owned()),
    }
}

pub(super) fn is_group(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && !name.contains('@')
}

pub(super) fn full(address: &str) -> String {
    match address.strip_suffix("@x") {
        Some(local) => format!("{local}@contoso.example"),
        None => address.to_owned(),
    }
}

pub(super) fn value(words: &[&str], key: &str) -> Option<String> {
    let of = |word: &&str| word.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
    words.iter().find_map(of).map(|text| text.replace('_', " "))
}

pub(super) fn user(tenant: &mut Tenant, name: &str, words: &[&str]) {
    if tenant.user(id(name)).is_none() {
        tenant.create_user(person(name));
    }
    tenant.update_user(id(name), |user| {
        if let Some(mail) = value(words, "mail") {
            user.mail = Some(full(&mail)).filter(|mail| mail != "-");
        }
        if let Some(upn) = value(words, "upn") {
            user.user_principal_name = full(&upn);
        }
        if let Some(name) = value(words, "name") {
            user.display_name = Some(name).filter(|name| name != "-");
        }
        for word in words {
            match *word {
                "on" => user.account_enabled = Some(true),
                "off" => user.account_enabled = Some(false),
                "unknown" => user.account_enabled = None,
                "guest" => user.user_type = Some("Guest".to_owned()),
                "member" => user.user_type = Some("Member".to_owned()),
                word => assert!(word.contains('='), "what is {word} of a user?"),
            }
        }
    });
}

pub(super) fn group(tenant: &mut Tenant, name: &str, words: &[&str]) {
    if tenant.group(id(name)).is_none() {
        tenant.create_group(NewGroup {
            display_name: name.to_owned(),
            visibility: None,
            kind: GroupKind::Security,
            id: Some(id(name)),
        });
    }
    if let Some(new) = value(words, "name") {
        tenant.rename_group(id(name), new);
    }
    if let Some(at) = words.iter().position(|word| *word == "=") {
        join(tenant, name, &words[at + 1..]);
    }
}

pub(super) fn join(tenant: &mut Tenant, group: &str, members: &[&str]) {
    for member in members {
        if tenant.object_type(id(member)).is_none() {
            assert!(!is_group(member), "{member} comes after {group}");
            tenant.create_user(person(member));
        }
        assert!(tenant.add_member(id(group), id(member)), "{member} was not in {group}");
    }
}

pub(super) fn move_on(tenant: &mut Tenant, what: &str, name: &str) -> bool {
    let id: Uuid = id(name);
    match (what, is_group(name)) {
        ("gone", false) => tenant.soft_delete_user(id),
        ("gone", true) => tenant.soft_delete_group(id),
        ("gone!", false) => tenant.purge_user(id),
        ("gone!", true) => tenant.purge_group(id),
        (_, false) => tenant.restore_user(id),
        (_, true) => tenant.restore_group(id),
    }
}

/// The next round of users says nothing of anybody, the next look-up nothing of these.
pub(super) fn be_late(world: &World, names: &[&str]) {
    let once = |path: String, effect| {
        world.simulator.inject(Fault::on(path, effect).once());
    };
    once("/users/delta".to_owned(), Effect::EmptyOk);
    for name in names {
        once("/users?$filter=id".to_owned(), Effect::EmptyOk);
        once(format!("/users/{}?", id(name)), not_found());
    }
}
