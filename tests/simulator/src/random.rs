//! Random but realistic edits, each told in a sentence. Soak tests and the demo live on them.

use rand::Rng;
use rand::seq::IndexedRandom;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::generate::names;
use crate::tenant::{Group, GroupKind, NewGroup, NewUser, Tenant, User};

/// The edits [`random_edit`] chooses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EditKind {
    /// A user joins a group.
    Join,
    /// A user leaves a group.
    Leave,
    /// A user or a group gets another display name.
    Rename,
    /// An account is disabled.
    Disable,
    /// A disabled account is enabled.
    Enable,
    /// A user is soft-deleted.
    SoftDelete,
    /// A soft-deleted user is restored.
    Restore,
    /// A soft-deleted user is deleted for good.
    Purge,
    /// A user is hired into a group.
    NewUser,
    /// A group with a few members appears.
    NewGroup,
    /// A group becomes a member of another.
    Nest,
    /// A nested group is taken out.
    Unnest,
    /// A group is deleted.
    DeleteGroup,
    /// A soft-deleted group is restored.
    RestoreGroup,
    /// A mail address changes, appears or vanishes.
    MailChange,
    /// Two users swap their mail addresses.
    MailSwap,
}

impl EditKind {
    /// Every kind, with the weight it has in everyday life.
    const EVERYDAY: [(Self, u32); 16] = [
        (Self::Join, 30),
        (Self::Leave, 20),
        (Self::Rename, 6),
        (Self::Disable, 4),
        (Self::Enable, 4),
        (Self::SoftDelete, 4),
        (Self::Restore, 3),
        (Self::Purge, 2),
        (Self::NewUser, 8),
        (Self::NewGroup, 2),
        (Self::Nest, 3),
        (Self::Unnest, 2),
        (Self::DeleteGroup, 1),
        (Self::RestoreGroup, 1),
        (Self::MailChange, 6),
        (Self::MailSwap, 2),
    ];
}

/// Makes one random edit and says what it did.
pub fn random_edit(tenant: &mut Tenant, rng: &mut impl Rng) -> String {
    let pick = EditKind::EVERYDAY.choose_weighted(rng, |(_, weight)| *weight);
    let (kind, _) = pick.expect("the weights are positive");
    random_edit_of(tenant, rng, &[*kind])
}

/// Makes one random edit of one of these kinds and says what it did. Where the tenant has nothing to do such an edit
/// on, somebody new is hired instead, so that something always changes.
pub fn random_edit_of(tenant: &mut Tenant, rng: &mut impl Rng, kinds: &[EditKind]) -> String {
    let kind = kinds.choose(rng).copied().unwrap_or(EditKind::NewUser);
    attempt(tenant, rng, kind).unwrap_or_else(|| hire(tenant, rng))
}

fn attempt(tenant: &mut Tenant, rng: &mut impl Rng, kind: EditKind) -> Option<String> {
    match kind {
        EditKind::Join => join(tenant, rng),
        EditKind::Leave => leave(tenant, rng, false),
        EditKind::Unnest => leave(tenant, rng, true),
        EditKind::Rename if rng.random_bool(0.3) => rename_group(tenant, rng),
        EditKind::Rename => rename_user(tenant, rng),
        EditKind::Disable => switch_account(tenant, rng, false),
        EditKind::Enable => switch_account(tenant, rng, true),
        EditKind::SoftDelete => {
            let user = pick_user(tenant, rng, |user| !user.is_deleted())?;
            tenant.soft_delete_user(user);
            Some(format!("{} was soft-deleted.", user_name(tenant, user)))
        }
        EditKind::Restore => {
            let user = pick_user(tenant, rng, User::is_deleted)?;
            tenant.restore_user(user);
            Some(format!("{} was restored.", user_name(tenant, user)))
        }
        EditKind::Purge => {
            let user = pick_user(tenant, rng, User::is_deleted)?;
            let name = user_name(tenant, user);
            tenant.purge_user(user);
            Some(format!("{name} was deleted for good."))
        }
        EditKind::NewUser => Some(hire(tenant, rng)),
        EditKind::NewGroup => Some(found_group(tenant, rng)),
        EditKind::Nest => nest(tenant, rng),
        EditKind::DeleteGroup => {
            let group = pick_group(tenant, rng, |group| !group.is_deleted())?;
            let name = group_name(tenant, group);
            tenant.soft_delete_group(group);
            Some(format!("Group {name} was deleted."))
        }
        EditKind::RestoreGroup => {
            let group = pick_group(tenant, rng, Group::is_deleted)?;
            tenant.restore_group(group);
            Some(format!("Group {} was restored.", group_name(tenant, group)))
        }
        EditKind::MailChange => change_mail(tenant, rng),
        EditKind::MailSwap => swap_mails(tenant, rng),
    }
}

fn join(tenant: &mut Tenant, rng: &mut impl Rng) -> Option<String> {
    let group = pick_group(tenant, rng, |group| !group.is_deleted())?;
    let user = pick_user(tenant, rng, |user| !user.is_deleted())?;
    let joined = tenant.add_member(group, user);
    joined.then(|| format!("{} joined {}.", user_name(tenant, user), group_name(tenant, group)))
}

fn leave(tenant: &mut Tenant, rng: &mut impl Rng, nested: bool) -> Option<String> {
    let fits = |member: Uuid| {
        if nested { tenant.group(member).is_some() } else { tenant.user(member).is_some() }
    };
    let group = pick_group(tenant, rng, |group| {
        !group.is_deleted() && tenant.direct_members(group.id()).any(fits)
    })?;
    let members: Vec<Uuid> = tenant.direct_members(group).filter(|member| fits(*member)).collect();
    let member = *members.choose(rng)?;
    let name = if nested { group_name(tenant, member) } else { user_name(tenant, member) };
    let left = tenant.remove_member(group, member);
    left.then(|| format!("{name} left {}.", group_name(tenant, group)))
}

fn rename_user(tenant: &mut Tenant, rng: &mut impl Rng) -> Option<String> {
    let user = pick_user(tenant, rng, |user| !user.is_deleted())?;
    let before = user_name(tenant, user);
    let name = names::person(rng, false);
    tenant.update_user(user, |user| user.display_name = Some(name.clone()));
    Some(format!("{before} is now called {name}."))
}

fn rename_group(tenant: &mut Tenant, rng: &mut impl Rng) -> Option<String> {
    let group = pick_group(tenant, rng, |group| !group.is_deleted())?;
    let before = group_name(tenant, group);
    let name = names::group(rng);
    tenant.rename_group(group, name.clone());
    Some(format!("Group {before} is now called {name}."))
}

fn switch_account(tenant: &mut Tenant, rng: &mut impl Rng, on: bool) -> Option<String> {
    let user = pick_user(tenant, rng, |user| {
        !user.is_deleted() && user.account_enabled.unwrap_or(true) != on
    })?;
    tenant.update_user(user, |user| user.account_enabled = Some(on));
    Some(format!(
        "The account of {} was {}.",
        user_name(tenant, user),
        if on { "enabled" } else { "disabled" }
    ))
}

fn hire(tenant: &mut Tenant, rng: &mut impl Rng) -> String {
    let name = names::person(rng, false);
    let address = names::address(&name, rng.random_range(0..100_000));
    let user = tenant.create_user(NewUser {
        display_name: name.clone(),
        user_principal_name: address.clone(),
        mail: Some(address),
        account_enabled: Some(true),
        user_type: Some("Member".to_owned()),
        id: None,
    });
    match pick_group(tenant, rng, |group| !group.is_deleted()) {
        Some(group) if tenant.add_member(group, user) => {
            format!("{name} was hired into {}.", group_name(tenant, group))
        }
        _ => format!("{name} was hired."),
    }
}

fn found_group(tenant: &mut Tenant, rng: &mut impl Rng) -> String {
    let name = names::group(rng);
    let kind = if rng.random_bool(0.2) { GroupKind::Microsoft365 } else { GroupKind::Security };
    let group =
        tenant.create_group(NewGroup { display_name: name.clone(), kind, ..NewGroup::default() });
    let mut members = 0;
    for _ in 0..rng.random_range(0..5) {
        if let Some(user) = pick_user(tenant, rng, |user| !user.is_deleted()) {
            members += u32::from(tenant.add_member(group, user));
        }
    }
    format!("Group {name} was created with {members} members.")
}

fn nest(tenant: &mut Tenant, rng: &mut impl Rng) -> Option<String> {
    let outer = pick_group(tenant, rng, |group| !group.is_deleted())?;
    let inner = pick_group(tenant, rng, |group| !group.is_deleted() && group.id() != outer)?;
    let nested = tenant.add_member(outer, inner);
    nested.then(|| {
        format!(
            "Group {} became a member of {}.",
            group_name(tenant, inner),
            group_name(tenant, outer)
        )
    })
}

fn change_mail(tenant: &mut Tenant, rng: &mut impl Rng) -> Option<String> {
    let user = pick_user(tenant, rng, |user| !user.is_deleted())?;
    let name = user_name(tenant, user);
    let mail = rng.random_bool(0.8).then(|| names::address(&name, rng.random_range(0..100_000)));
    tenant.update_user(user, |user| user.mail.clone_from(&mail));
    Some(match mail {
        Some(mail) => format!("The address of {name} is now {mail}."),
        None => format!("{name} has no mailbox any more."),
    })
}

fn swap_mails(tenant: &mut Tenant, rng: &mut impl Rng) -> Option<String> {
    let has_mail = |user: &User| !user.is_deleted() && user.mail.is_some();
    let one = pick_user(tenant, rng, has_mail)?;
    let other = pick_user(tenant, rng, |user| has_mail(user) && user.id() != one)?;
    let (first, second) = (tenant.user(one)?.mail.clone(), tenant.user(other)?.mail.clone());
    tenant.update_user(one, |user| user.mail = second);
    tenant.update_user(other, |user| user.mail = first);
    Some(format!(
        "{} and {} swapped their addresses.",
        user_name(tenant, one),
        user_name(tenant, other)
    ))
}

/// The first fitting user from a random id on, wrapping around.
fn pick_user(tenant: &Tenant, rng: &mut impl Rng, fits: impl Fn(&User) -> bool) -> Option<Uuid> {
    let start = Uuid::from_u128(rng.random());
    let mut found = tenant.users_after(Some(start)).chain(tenant.users());
    found.find(|user| fits(user)).map(User::id)
}

fn pick_group(tenant: &Tenant, rng: &mut impl Rng, fits: impl Fn(&Group) -> bool) -> Option<Uuid> {
    let start = Uuid::from_u128(rng.random());
    let mut found = tenant.groups_after(Some(start)).chain(tenant.groups());
    found.find(|group| fits(group)).map(Group::id)
}

fn user_name(tenant: &Tenant, id: Uuid) -> String {
    let user = tenant.user(id);
    user.map_or_else(String::new, |user| {
        user.display_name.clone().unwrap_or_else(|| user.user_principal_name.clone())
    })
}

fn group_name(tenant: &Tenant, id: Uuid) -> String {
    tenant.group(id).map_or_else(String::new, |group| group.display_name.clone())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::generate::{Shape, generate};

    #[test]
    fn every_kind_of_edit_happens_and_is_told() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut tenant = generate(&Shape { soft_deleted: 0.2, nesting: 0.5, ..Shape::default() });
        let deleted = attempt(&mut tenant, &mut rng, EditKind::DeleteGroup);
        assert!(deleted.is_some());
        for (kind, _) in EditKind::EVERYDAY {
            let before = tenant.now();
            // A single attempt may fail, for example because somebody is a member already.
            let told = (0..50).find_map(|_| attempt(&mut tenant, &mut rng, kind));
            assert!(told.is_some_and(|told| told.ends_with('.')), "{kind:?}");
            assert!(tenant.now() > before, "{kind:?} is in the history");
        }
    }

    #[test]
    fn both_directions_of_the_edges_agree_after_many_edits() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut tenant = generate(&Shape { users: 50, groups: 10, ..Shape::default() });
        for _ in 0..3_000 {
            random_edit(&mut tenant, &mut rng);
        }
        let mut edges = 0;
        for group in tenant.groups().map(Group::id) {
            for member in tenant.direct_members(group) {
                edges += 1;
                assert!(tenant.object_type(member).is_some(), "members exist");
                assert!(tenant.direct_groups(member).any(|parent| parent == group));
            }
        }
        assert_eq!(edges, tenant.edge_count());
    }
}
