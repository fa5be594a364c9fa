//! What happens in the company, one change at a time.
//!
//! Owns which change comes next and whom it concerns: such as the platform shows,
//! because a product hangs on it. Each is told in a sentence. What is switched off, put
//! in or deleted is remembered, so that it can come back.

mod pick;

use graph_simulator::{NewUser, Tenant};
use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

use pick::Pick;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Join,
    Leave,
    RenameUser,
    Disable,
    Enable,
    Hire,
    Depart,
    Return,
    Nest,
    Unnest,
    RenameGroup,
    DeleteGroup,
    RestoreGroup,
}

/// The order of events, over and over. Each kind is in the first dozen or undoes one
/// that is; joining and leaving are what happens most. A deleted group comes early: its
/// product would lose everybody, so that is held, and approved.
const PROGRAMME: [Kind; 17] = [
    Kind::Join,
    Kind::RenameUser,
    Kind::DeleteGroup,
    Kind::Leave,
    Kind::Disable,
    Kind::Nest,
    Kind::Hire,
    Kind::RenameGroup,
    Kind::Depart,
    Kind::Enable,
    Kind::Return,
    Kind::Join,
    Kind::Unnest,
    Kind::RestoreGroup,
    Kind::Leave,
    Kind::Hire,
    Kind::Join,
];

/// Changes the company.
#[derive(Debug)]
pub(super) struct Editor {
    /// Groups that products hang on.
    linked: Vec<Uuid>,
    rng: StdRng,
    /// How far the programme has come.
    at: usize,
    undone: Undone,
}

/// What waits to be taken back.
#[derive(Debug, Default)]
struct Undone {
    disabled: Option<Uuid>,
    departed: Option<Uuid>,
    deleted: Option<Uuid>,
    /// Outer and inner group.
    nested: Option<(Uuid, Uuid)>,
}

impl Editor {
    /// An editor for a company in which products hang on the groups of these names.
    pub(super) fn new(tenant: &Tenant, names: &[String]) -> Self {
        let linked =
            tenant.groups().filter(|group| names.contains(&group.display_name)).map(|g| g.id());
        Self {
            linked: linked.collect(),
            rng: StdRng::seed_from_u64(7),
            at: 0,
            undone: Undone::default(),
        }
    }

    /// Makes the next change and tells it. What has become impossible is left out.
    pub(super) fn next(&mut self, tenant: &mut Tenant) -> Option<String> {
        (0..PROGRAMME.len()).find_map(|_| {
            let kind = PROGRAMME[self.at % PROGRAMME.len()];
            self.at += 1;
            self.make(kind, tenant)
        })
    }

    fn make(&mut self, kind: Kind, tenant: &mut Tenant) -> Option<String> {
        let mut pick = Pick { tenant, linked: &self.linked, rng: &mut self.rng };
        match kind {
            Kind::Join => join(&mut pick),
            Kind::Leave => leave(&mut pick),
            Kind::RenameUser => rename_user(&mut pick),
            Kind::Hire => hire(&mut pick),
            Kind::RenameGroup => rename_group(&mut pick),
            Kind::Disable => disable(&mut pick, &mut self.undone),
            Kind::Enable => enable(tenant, &mut self.undone),
            Kind::Depart => depart(&mut pick, &mut self.undone),
            Kind::Return => come_back(tenant, &mut self.undone),
            Kind::Nest => nest(&mut pick, &mut self.undone),
            Kind::Unnest => unnest(tenant, &mut self.undone),
            Kind::DeleteGroup => delete_group(&mut pick, &mut self.undone),
            Kind::RestoreGroup => restore_group(tenant, &mut self.undone),
        }
    }
}

fn join(pick: &mut Pick<'_>) -> Option<String> {
    let group = pick.linked_group()?;
    let user = pick.outsider(group)?;
    pick.tenant.add_member(group, user).then(|| {
        format!("{} joined {}.", user_name(pick.tenant, user), group_name(pick.tenant, group))
    })
}

fn leave(pick: &mut Pick<'_>) -> Option<String> {
    let group = pick.linked_group()?;
    let user = pick.removable(group)?;
    pick.tenant.remove_member(group, user).then(|| {
        format!("{} left {}.", user_name(pick.tenant, user), group_name(pick.tenant, group))
    })
}

/// Somebody marries.
fn rename_user(pick: &mut Pick<'_>) -> Option<String> {
    let group = pick.linked_group()?;
    let user = pick.member(group)?;
    let (before, (_, family)) = (user_name(pick.tenant, user), pick.plain_name()?);
    let given = before.split_whitespace().next()?;
    let after = format!("{given} {family}");
    pick.tenant.update_user(user, |user| user.display_name = Some(after.clone()));
    (before != after).then(|| format!("{before} is now called {after}."))
}

fn hire(pick: &mut Pick<'_>) -> Option<String> {
    let group = pick.linked_group()?;
    let (given, family) = pick.plain_name()?;
    let number = pick.tenant.users().count();
    let address =
        format!("{}.{}{number}@contoso.example", given.to_lowercase(), family.to_lowercase());
    let user = pick.tenant.create_user(NewUser {
        display_name: format!("{given} {family}"),
        user_principal_name: address.clone(),
        mail: Some(address),
        account_enabled: Some(true),
        user_type: Some("Member".to_owned()),
        id: None,
    });
    pick.tenant.add_member(group, user);
    Some(format!("{given} {family} was hired into {}.", group_name(pick.tenant, group)))
}

fn disable(pick: &mut Pick<'_>, undone: &mut Undone) -> Option<String> {
    let group = pick.linked_group()?;
    let user = pick.member(group)?;
    pick.tenant.update_user(user, |user| user.account_enabled = Some(false));
    undone.disabled = Some(user);
    Some(format!("The account of {} was disabled.", user_name(pick.tenant, user)))
}

fn enable(tenant: &mut Tenant, undone: &mut Undone) -> Option<String> {
    let user = undone.disabled.take()?;
    tenant.update_user(user, |user| user.account_enabled = Some(true));
    Some(format!("The account of {} was enabled again.", user_name(tenant, user)))
}

fn depart(pick: &mut Pick<'_>, undone: &mut Undone) -> Option<String> {
    let group = pick.linked_group()?;
    let user = pick.member(group)?;
    pick.tenant.soft_delete_user(user).then(|| {
        undone.departed = Some(user);
        format!("{} left the company; the account was deleted.", user_name(pick.tenant, user))
    })
}

fn come_back(tenant: &mut Tenant, undone: &mut Undone) -> Option<String> {
    let user = undone.departed.take()?;
    tenant
        .restore_user(user)
        .then(|| format!("The account of {} was restored.", user_name(tenant, user)))
}

fn nest(pick: &mut Pick<'_>, undone: &mut Undone) -> Option<String> {
    let outer = pick.linked_group()?;
    let inner = pick.team_for(outer)?;
    pick.tenant.add_member(outer, inner).then(|| {
        undone.nested = Some((outer, inner));
        let (inner, outer) = (group_name(pick.tenant, inner), group_name(pick.tenant, outer));
        format!("Group {inner} was nested in {outer}.")
    })
}

fn unnest(tenant: &mut Tenant, undone: &mut Undone) -> Option<String> {
    let (outer, inner) = undone.nested.take()?;
    tenant.remove_member(outer, inner).then(|| {
        format!(
            "Group {} was taken out of {}.",
            group_name(tenant, inner),
            group_name(tenant, outer)
        )
    })
}

/// The registry knows the group by its id, so a name may come and go.
fn rename_group(pick: &mut Pick<'_>) -> Option<String> {
    const NEW: &str = " (new)";
    let group = pick.linked_group()?;
    let before = group_name(pick.tenant, group);
    let after =
        before.strip_suffix(NEW).map_or_else(|| format!("{before}{NEW}"), ToOwned::to_owned);
    pick.tenant.rename_group(group, after.clone());
    Some(format!("Group {before} is now called {after}."))
}

fn delete_group(pick: &mut Pick<'_>, undone: &mut Undone) -> Option<String> {
    let group = pick.linked_group()?;
    pick.tenant.soft_delete_group(group).then(|| {
        undone.deleted = Some(group);
        format!("Group {} was deleted.", group_name(pick.tenant, group))
    })
}

fn restore_group(tenant: &mut Tenant, undone: &mut Undone) -> Option<String> {
    let group = undone.deleted.take()?;
    tenant
        .restore_group(group)
        .then(|| format!("Group {} was restored.", group_name(tenant, group)))
}

fn user_name(tenant: &Tenant, id: Uuid) -> String {
    tenant.user(id).map_or_else(String::new, |user| {
        user.display_name.clone().unwrap_or_else(|| user.user_principal_name.clone())
    })
}

fn group_name(tenant: &Tenant, id: Uuid) -> String {
    tenant.group(id).map_or_else(String::new, |group| group.display_name.clone())
}

#[cfg(test)]
mod tests {
    use graph_simulator::{Shape, generate};

    use super::*;

    #[test]
    fn the_first_dozen_shows_every_kind_that_was_promised() {
        use Kind::{DeleteGroup, Disable, Join, Leave, Nest, RenameGroup, RenameUser, Return};
        for kind in [Join, Leave, RenameUser, Disable, Return, RenameGroup, Nest, DeleteGroup] {
            assert!(PROGRAMME[..12].contains(&kind), "{kind:?}");
        }
    }

    #[test]
    fn every_change_of_many_rounds_is_told_and_happens() {
        let names = ["GRP-A", "GRP-B", "GRP-C", "GRP-D"].map(str::to_owned);
        let mut tenant = generate(&Shape {
            groups: 30,
            named_groups: names.to_vec(),
            nesting: 0.0,
            ..Shape::default()
        });
        let mut editor = Editor::new(&tenant, &names);
        for step in 0..PROGRAMME.len() * 5 {
            let before = tenant.clone();
            let told = editor.next(&mut tenant).expect("there is always something to do");
            assert!(told.ends_with('.'), "{step}: {told}");
            assert!(differs(&before, &tenant), "{step}: {told}");
        }
    }

    fn differs(one: &Tenant, other: &Tenant) -> bool {
        let edges = |tenant: &Tenant| -> Vec<(Uuid, Vec<Uuid>)> {
            tenant.groups().map(|g| (g.id(), tenant.direct_members(g.id()).collect())).collect()
        };
        !one.users().eq(other.users())
            || !one.groups().eq(other.groups())
            || edges(one) != edges(other)
    }
}
