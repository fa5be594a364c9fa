//! Whether all is as it should be: the database equals the tenant, and the audit tells
//! how it came to.
//!
//! Owns the comparison. Takes nothing from the daemon but its tables.

use std::collections::BTreeSet;

use graph_simulator::{Group, Simulator, Tenant, User};
use uuid::Uuid;

use crate::directory::ObjectId;
use crate::reconcile::world::State;
use crate::store::{self, Decided, Store, Verification};

/// What was compared, and what differs.
#[derive(Debug)]
pub(super) struct Proof {
    /// The audit, replayed and compared with the tables.
    pub(super) audit: Verification,
    /// Users and groups that were compared with the tenant.
    pub(super) compared: usize,
    /// Where tables and tenant differ, in words.
    pub(super) differences: Vec<String>,
}

impl Proof {
    /// Looks at the database as it is now. A tenant that has changed since the last run
    /// is not compared: the database cannot equal it yet.
    pub(super) async fn take(
        store: &Store,
        simulator: &Simulator,
        settled: bool,
    ) -> Result<Self, store::Error> {
        let (audit, decided) = store.read(|tx| Ok((tx.verify_audit()?, tx.decided()?))).await?;
        if !settled {
            return Ok(Self { audit, compared: 0, differences: Vec::new() });
        }
        let differences = simulator.read(|tenant| differences(tenant, &decided));
        Ok(Self { audit, compared: decided.users.len() + decided.groups.len(), differences })
    }

    /// Whether nothing differs.
    pub(super) fn holds(&self) -> bool {
        self.audit.divergences.is_empty()
            && self.audit.foreign.is_empty()
            && self.differences.is_empty()
    }
}

fn differences(tenant: &Tenant, decided: &Decided) -> Vec<String> {
    let mut found = Vec::new();
    for (id, state) in &decided.users {
        let expected = user_state(tenant.user(id.uuid()));
        if *state != expected {
            found.push(format!("user {id} is {state}, and should be {expected}"));
        }
    }
    for (id, state) in &decided.groups {
        let expected = group_state(tenant.group(id.uuid()));
        if *state != expected {
            found.push(format!("group {id} is {state}, and should be {expected}"));
        } else if *state == State::Live {
            found.extend(member_differences(tenant, decided, *id));
        }
    }
    found
}

fn user_state(user: Option<&User>) -> State {
    match user {
        Some(user) if user.is_deleted() => State::Removed,
        Some(user) if user.account_enabled == Some(true) => State::Live,
        Some(_) => State::Disabled,
        None => State::Removed,
    }
}

fn group_state(group: Option<&Group>) -> State {
    if group.is_some_and(|group| !group.is_deleted()) { State::Live } else { State::Removed }
}

/// Every enabled person whom a group reaches is a member, and nobody whom it does not.
fn member_differences(tenant: &Tenant, decided: &Decided, group: ObjectId) -> Option<String> {
    let reached = tenant.effective_users(group.uuid());
    let stored: BTreeSet<Uuid> =
        decided.members.get(&group).into_iter().flatten().map(|id| id.uuid()).collect();
    let missing = reached
        .iter()
        .filter(|id| user_state(tenant.user(**id)) == State::Live && !stored.contains(id))
        .count();
    let surplus = stored.difference(&reached).count();
    (missing + surplus > 0)
        .then(|| format!("group {group} lacks {missing} members and has {surplus} too many"))
}

#[cfg(test)]
mod tests {
    use graph_simulator::{NewGroup, NewUser};

    use super::*;

    fn company() -> (Tenant, Uuid, Uuid) {
        let mut tenant = Tenant::new();
        let user = tenant.create_user(NewUser {
            display_name: "Ada".into(),
            account_enabled: Some(true),
            ..NewUser::default()
        });
        let group =
            tenant.create_group(NewGroup { display_name: "G".into(), ..NewGroup::default() });
        tenant.add_member(group, user);
        (tenant, user, group)
    }

    #[test]
    fn what_differs_is_found() {
        let (mut tenant, user, group) = company();
        let (user, group) = (ObjectId::new(user), ObjectId::new(group));
        let mut decided = Decided::default();
        decided.users.insert(user, State::Live);
        decided.groups.insert(group, State::Live);
        assert_eq!(differences(&tenant, &decided).len(), 1, "a member is missing");
        decided.members.entry(group).or_default().insert(user);
        assert_eq!(differences(&tenant, &decided), Vec::<String>::new());
        tenant.remove_member(group.uuid(), user.uuid());
        assert_eq!(differences(&tenant, &decided).len(), 1, "a member is too much");
        tenant.soft_delete_user(user.uuid());
        tenant.soft_delete_group(group.uuid());
        assert_eq!(differences(&tenant, &decided).len(), 2, "both are gone");
    }
}
