//! Directories of any size from a few numbers and a seed. It only decides what exists; the tenant does the rest.

mod memberships;
pub(crate) mod names;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::tenant::{GroupKind, NewGroup, NewUser, OtherKind, Tenant};

/// What a generated directory looks like. The same shape always gives the same directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Shape {
    /// Decides every arbitrary choice.
    pub seed: u64,
    /// Users, people included.
    pub users: usize,
    /// Groups, named ones included.
    pub groups: usize,
    /// Direct memberships of users, approximately.
    pub memberships: usize,
    /// Members of the largest group; 0 lets the skew decide.
    pub largest_group: usize,
    /// Share of the groups that are nested in another. Any nesting brings one cycle and one diamond.
    pub nesting: f64,
    /// Share of guests.
    pub guests: f64,
    /// Share of disabled accounts.
    pub disabled: f64,
    /// Share of accounts without a mail address.
    pub mailless: f64,
    /// Share of users that are soft-deleted, memberships kept.
    pub soft_deleted: f64,
    /// Whether some names are such as break careless code.
    pub odd_names: bool,
    /// Groups that must exist once each; every one gets members.
    pub named_groups: Vec<String>,
    /// Display names of users that must exist once each; every one is in some of the named groups.
    pub people: Vec<String>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            seed: 1,
            users: 200,
            groups: 20,
            memberships: 1_000,
            largest_group: 0,
            nesting: 0.1,
            guests: 0.1,
            disabled: 0.05,
            mailless: 0.05,
            soft_deleted: 0.02,
            odd_names: false,
            named_groups: Vec::new(),
            people: Vec::new(),
        }
    }
}

/// Makes a directory. Its history is empty: delta rounds report only what happens from here on.
pub fn generate(shape: &Shape) -> Tenant {
    let mut rng = ChaCha8Rng::seed_from_u64(shape.seed);
    let mut tenant = Tenant::with_seed(shape.seed);
    let users = create_users(shape, &mut tenant, &mut rng);
    let groups = create_groups(shape, &mut tenant, &mut rng);
    memberships::fill(shape, &mut tenant, &mut rng, &users, &groups);
    memberships::nest(shape, &mut tenant, &mut rng, &groups);
    add_others(&mut tenant, &groups);
    for user in users.iter().skip(shape.people.len()) {
        if happens(&mut rng, shape.soft_deleted) {
            tenant.soft_delete_user(*user);
        }
    }
    tenant.forget_history();
    tenant
}

fn create_users(shape: &Shape, tenant: &mut Tenant, rng: &mut ChaCha8Rng) -> Vec<Uuid> {
    let total = shape.users.max(shape.people.len());
    let mut users = Vec::with_capacity(total);
    for number in 0..total {
        let person = shape.people.get(number);
        let name = match person {
            Some(name) => name.clone(),
            None => stranger(shape, rng),
        };
        let user = new_user(shape, rng, name, number, person.is_some());
        users.push(tenant.create_user(user));
    }
    users
}

/// A name that is not one of the people's, which must stay unique.
fn stranger(shape: &Shape, rng: &mut ChaCha8Rng) -> String {
    let odd = shape.odd_names && rng.random_bool(0.05);
    let name = names::person(rng, odd);
    let is_taken = shape.people.iter().any(|person| person.to_lowercase() == name.to_lowercase());
    if is_taken { format!("{name} jr.") } else { name }
}

fn new_user(
    shape: &Shape,
    rng: &mut ChaCha8Rng,
    name: String,
    number: usize,
    plain: bool,
) -> NewUser {
    let address = names::address(&name, number);
    let guest = !plain && happens(rng, shape.guests);
    let mailless = !plain && happens(rng, shape.mailless);
    let disabled = !plain && happens(rng, shape.disabled);
    let user_principal_name = if guest {
        format!("{}#EXT#@contoso.example", address.replace("@contoso.example", "_fabrikam.example"))
    } else {
        address.clone()
    };
    let outside = || address.replace("contoso", "fabrikam");
    NewUser {
        display_name: name,
        user_principal_name,
        mail: (!mailless).then(|| if guest { outside() } else { address.clone() }),
        account_enabled: Some(!disabled),
        user_type: Some(if guest { "Guest" } else { "Member" }.to_owned()),
        id: None,
    }
}

fn create_groups(shape: &Shape, tenant: &mut Tenant, rng: &mut ChaCha8Rng) -> Vec<Uuid> {
    let total = shape.groups.max(shape.named_groups.len());
    let mut groups = Vec::with_capacity(total);
    for number in 0..total {
        let named = shape.named_groups.get(number);
        let (display_name, kind) = match named {
            Some(name) => (name.clone(), GroupKind::Security),
            None => (unlike(shape, names::group(rng)), kind(rng)),
        };
        groups.push(tenant.create_group(NewGroup {
            display_name,
            kind,
            visibility: None,
            id: None,
        }));
    }
    groups
}

fn unlike(shape: &Shape, name: String) -> String {
    let is_taken =
        shape.named_groups.iter().any(|named| named.to_lowercase() == name.to_lowercase());
    if is_taken { format!("{name}-other") } else { name }
}

fn kind(rng: &mut ChaCha8Rng) -> GroupKind {
    match rng.random_range(0..20) {
        0..13 => GroupKind::Security,
        13..17 => GroupKind::Microsoft365,
        17 => GroupKind::DynamicSecurity,
        18 => GroupKind::MailEnabledSecurity,
        _ => GroupKind::Distribution,
    }
}

/// A service principal and a device, so that clients meet members they do not mirror.
fn add_others(tenant: &mut Tenant, groups: &[Uuid]) {
    for (group, kind) in groups.iter().zip([OtherKind::ServicePrincipal, OtherKind::Device]) {
        let other = tenant.create_other(kind);
        tenant.add_member(*group, other);
    }
}

fn happens(rng: &mut ChaCha8Rng, share: f64) -> bool {
    share > 0.0 && rng.random_bool(share.min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            users: 2_000,
            groups: 100,
            memberships: 10_000,
            largest_group: 1_500,
            odd_names: true,
            named_groups: vec!["app-one".into(), "app-two".into(), "app-three".into()],
            people: vec!["Ada Lovelace".into(), "Alan Turing".into()],
            ..Shape::default()
        }
    }

    #[test]
    fn a_shape_is_kept() {
        let shape = shape();
        let tenant = generate(&shape);
        assert_eq!(tenant.users().count(), shape.users);
        assert_eq!(tenant.groups().count(), shape.groups);
        assert!((9_500..10_500).contains(&tenant.edge_count()), "{}", tenant.edge_count());
        let largest = tenant.groups().map(|group| tenant.direct_members(group.id()).count()).max();
        assert!(largest.is_some_and(|largest| (1_500..1_510).contains(&largest)), "{largest:?}");
        for name in &shape.named_groups {
            let found: Vec<_> =
                tenant.groups().filter(|group| group.display_name == *name).collect();
            assert_eq!(found.len(), 1, "{name}");
            assert!(!tenant.effective_users(found[0].id()).is_empty(), "{name} has members");
        }
        for name in &shape.people {
            let found: Vec<_> =
                tenant.users().filter(|user| user.display_name.as_ref() == Some(name)).collect();
            assert_eq!(found.len(), 1, "{name}");
            let named = |group: Uuid| {
                tenant
                    .group(group)
                    .is_some_and(|group| shape.named_groups.contains(&group.display_name))
            };
            assert!(tenant.direct_groups(found[0].id()).any(named), "{name} is in a named group");
        }
        assert!(tenant.users().any(crate::User::is_deleted));
    }

    #[test]
    fn the_same_shape_gives_the_same_directory() {
        let (one, other) = (generate(&shape()), generate(&shape()));
        assert!(one.users().eq(other.users()));
        assert!(
            one.groups().all(|group| {
                one.direct_members(group.id()).eq(other.direct_members(group.id()))
            })
        );
    }
}
