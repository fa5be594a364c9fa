//! Whom and what a change concerns: chosen at random among what makes it visible.
//!
//! Changes nothing itself.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use graph_simulator::{Group, Tenant, User};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use uuid::Uuid;

/// How many people a linked group of everyday size reaches.
const EVERYDAY: RangeInclusive<usize> = 3..=60;
/// How many people a nested team brings along: some, but not a flood.
const TEAM: RangeInclusive<usize> = 2..=30;
/// How often chance is tried before a change is given up.
const ATTEMPTS: usize = 200;

/// The company with what choosing takes.
pub(super) struct Pick<'t> {
    pub(super) tenant: &'t mut Tenant,
    pub(super) linked: &'t [Uuid],
    pub(super) rng: &'t mut StdRng,
}

impl Pick<'_> {
    /// A group that a product hangs on, of everyday size.
    pub(super) fn linked_group(&mut self) -> Option<Uuid> {
        let fitting: Vec<Uuid> = self
            .linked
            .iter()
            .copied()
            .filter(|id| self.is_live(*id))
            .filter(|id| EVERYDAY.contains(&self.active(*id).len()))
            .collect();
        fitting.choose(self.rng).copied()
    }

    /// Somebody whom the group reaches.
    pub(super) fn member(&mut self, group: Uuid) -> Option<Uuid> {
        self.active(group).choose(self.rng).copied()
    }

    /// Somebody whom the group does not reach.
    pub(super) fn outsider(&mut self, group: Uuid) -> Option<Uuid> {
        let inside = self.tenant.effective_users(group);
        let outside: Vec<Uuid> = self
            .tenant
            .users()
            .filter(|user| is_active(user) && !inside.contains(&user.id()))
            .map(User::id)
            .collect();
        outside.choose(self.rng).copied()
    }

    /// A direct member whom the group would not reach on another way.
    pub(super) fn removable(&mut self, group: Uuid) -> Option<Uuid> {
        let nested: BTreeSet<Uuid> = self
            .tenant
            .direct_members(group)
            .filter(|member| self.tenant.group(*member).is_some())
            .flat_map(|inner| self.tenant.effective_users(inner))
            .collect();
        let alone: Vec<Uuid> = self
            .tenant
            .direct_members(group)
            .filter(|id| self.tenant.user(*id).is_some_and(is_active) && !nested.contains(id))
            .collect();
        alone.choose(self.rng).copied()
    }

    /// A group that no product hangs on, and that would bring new people into `outer`.
    pub(super) fn team_for(&mut self, outer: Uuid) -> Option<Uuid> {
        let inside = self.tenant.effective_users(outer);
        let fits = |group: &Group| {
            let people = self.active(group.id());
            let new = people.iter().filter(|id| !inside.contains(*id)).count();
            !group.is_deleted() && !self.linked.contains(&group.id()) && TEAM.contains(&new)
        };
        let teams: Vec<Uuid> = self.tenant.groups().filter(|g| fits(g)).map(Group::id).collect();
        teams.choose(self.rng).copied()
    }

    /// Given and family name, mixed from people of plain names.
    pub(super) fn plain_name(&mut self) -> Option<(String, String)> {
        let users: Vec<&User> = self.tenant.users().collect();
        let mut one =
            || (0..ATTEMPTS).find_map(|_| plain(users.choose(self.rng)?.display_name.as_deref()?));
        let ((given, _), (_, family)) = (one()?, one()?);
        Some((given.to_owned(), family.to_owned()))
    }

    /// People with an enabled account whom the group reaches, nested groups included.
    fn active(&self, group: Uuid) -> Vec<Uuid> {
        let reached = self.tenant.effective_users(group).into_iter();
        reached.filter(|id| self.tenant.user(*id).is_some_and(is_active)).collect()
    }

    fn is_live(&self, group: Uuid) -> bool {
        self.tenant.group(group).is_some_and(|group| !group.is_deleted())
    }
}

fn is_active(user: &User) -> bool {
    !user.is_deleted() && user.account_enabled == Some(true)
}

/// Two words of plain letters.
fn plain(name: &str) -> Option<(&str, &str)> {
    let (given, family) = name.split_once(' ')?;
    let is_plain = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic());
    (is_plain(given) && is_plain(family)).then_some((given, family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_mixed() {
        assert_eq!(plain("Ada Bauer"), Some(("Ada", "Bauer")));
        for odd in ["Ada", " Ada", "Ünal Çağlar", "Ada  Bauer", "Ada M. Bauer", ""] {
            assert_eq!(plain(odd), None, "{odd:?}");
        }
    }
}
