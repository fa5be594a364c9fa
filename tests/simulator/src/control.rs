//! The control endpoints under `/_control`: counters, edits, faults and token expiry for processes that cannot hold
//! a [`Simulator`](crate::Simulator). They need no token and are not counted.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fault::{Expiry, Fault};
use crate::random::{EditKind, random_edit, random_edit_of};
use crate::service::{Body, Call, Reply, Service};
use crate::tenant::{GroupKind, NewGroup, NewUser, Tenant, User};

/// The edits that can be asked for from outside.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Edit {
    AddMember {
        group: Uuid,
        member: Uuid,
    },
    RemoveMember {
        group: Uuid,
        member: Uuid,
    },
    CreateUser {
        display_name: String,
        #[serde(default)]
        user_principal_name: String,
        mail: Option<String>,
        id: Option<Uuid>,
    },
    CreateGroup {
        display_name: String,
        visibility: Option<String>,
        #[serde(default)]
        kind: GroupKind,
        id: Option<Uuid>,
    },
    RenameUser {
        id: Uuid,
        display_name: String,
    },
    RenameGroup {
        id: Uuid,
        display_name: String,
    },
    SetMail {
        id: Uuid,
        mail: Option<String>,
    },
    SetEnabled {
        id: Uuid,
        enabled: bool,
    },
    /// Soft-deletes a user or a group.
    Delete {
        id: Uuid,
    },
    Restore {
        id: Uuid,
    },
    Purge {
        id: Uuid,
    },
    Random {
        count: u32,
        #[serde(default)]
        seed: u64,
        #[serde(default)]
        kinds: Vec<EditKind>,
    },
}

#[derive(Deserialize)]
struct ExpireRequest {
    how: Expiry,
}

/// Answers control requests; nothing if the call is none.
pub(crate) fn answer(service: &Service, call: &Call) -> Option<Reply> {
    let name = call.path.strip_prefix("/_control/")?;
    let outcome = match (call.method.as_str(), name) {
        ("GET", "counters") => Ok(json!(service.recorder().counters())),
        ("GET", "requests") => Ok(json!(service.recorder().records())),
        ("GET", "summary") => Ok(summary(&service.tenant())),
        ("POST", "reset") => {
            service.recorder().reset();
            Ok(json!({}))
        }
        ("POST", "edit") => {
            read(call).map(|edits: Edits| json!({ "done": edits.apply(&mut service.tenant_mut()) }))
        }
        ("POST", "fault") => {
            read::<Fault>(call).map(|fault| json!({ "id": service.faults().add(fault) }))
        }
        ("DELETE", "fault") => {
            service.faults().clear();
            Ok(json!({}))
        }
        ("POST", "expire") => read(call).map(|request: ExpireRequest| {
            service.expire_delta_tokens(request.how);
            json!({})
        }),
        ("POST", "revoke") => {
            service.revoke_tokens();
            Ok(json!({}))
        }
        _ => {
            return Some(Reply::new(404, Body::json(&json!({ "error": "no such control" }))));
        }
    };
    Some(match outcome {
        Ok(value) => Reply::ok(&value),
        Err(message) => Reply::new(400, Body::json(&json!({ "error": message }))),
    })
}

/// One edit or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Edits {
    One(Edit),
    Many(Vec<Edit>),
}

impl Edits {
    /// What each edit did: an id, a truth value, or, for random edits, a list of sentences.
    fn apply(self, tenant: &mut Tenant) -> Vec<Value> {
        let edits = match self {
            Self::One(edit) => vec![edit],
            Self::Many(edits) => edits,
        };
        edits.into_iter().map(|edit| edit.apply(tenant)).collect()
    }
}

impl Edit {
    fn apply(self, tenant: &mut Tenant) -> Value {
        match self {
            Self::AddMember { group, member } => json!(tenant.add_member(group, member)),
            Self::RemoveMember { group, member } => json!(tenant.remove_member(group, member)),
            Self::CreateUser { display_name, user_principal_name, mail, id } => {
                json!(tenant.create_user(NewUser {
                    display_name,
                    user_principal_name,
                    mail,
                    account_enabled: Some(true),
                    user_type: Some("Member".to_owned()),
                    id,
                }))
            }
            Self::CreateGroup { display_name, visibility, kind, id } => {
                json!(tenant.create_group(NewGroup { display_name, visibility, kind, id }))
            }
            Self::RenameUser { id, display_name } => {
                update_user(tenant, id, |user| user.display_name = Some(display_name))
            }
            Self::RenameGroup { id, display_name } => {
                tenant.rename_group(id, display_name);
                json!(tenant.group(id).is_some())
            }
            Self::SetMail { id, mail } => update_user(tenant, id, |user| user.mail = mail),
            Self::SetEnabled { id, enabled } => {
                update_user(tenant, id, |user| user.account_enabled = Some(enabled))
            }
            Self::Delete { id } => {
                json!(tenant.soft_delete_user(id) || tenant.soft_delete_group(id))
            }
            Self::Restore { id } => json!(tenant.restore_user(id) || tenant.restore_group(id)),
            Self::Purge { id } => json!(tenant.purge_user(id) || tenant.purge_group(id)),
            Self::Random { count, seed, kinds } => json!(random(tenant, count, seed, &kinds)),
        }
    }
}

/// Whether there was such a user.
fn update_user(tenant: &mut Tenant, id: Uuid, change: impl FnOnce(&mut User)) -> Value {
    tenant.update_user(id, change);
    json!(tenant.user(id).is_some())
}

fn random(tenant: &mut Tenant, count: u32, seed: u64, kinds: &[EditKind]) -> Vec<String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut edit = || match kinds {
        [] => random_edit(tenant, &mut rng),
        kinds => random_edit_of(tenant, &mut rng, kinds),
    };
    (0..count).map(|_| edit()).collect()
}

fn summary(tenant: &Tenant) -> Value {
    json!({
        "users": tenant.users().filter(|user| !user.is_deleted()).count(),
        "deletedUsers": tenant.users().filter(|user| user.is_deleted()).count(),
        "groups": tenant.groups().filter(|group| !group.is_deleted()).count(),
        "deletedGroups": tenant.groups().filter(|group| group.is_deleted()).count(),
        "memberships": tenant.edge_count(),
    })
}

fn read<T: DeserializeOwned>(call: &Call) -> Result<T, String> {
    serde_json::from_slice(&call.body).map_err(|error| error.to_string())
}
